"""
The sections a report can have, in the order in which they are shown.

A new kind of run, or a new view of old ones, is one more module here with a `build` function, and
one more entry in `SECTIONS`; every format shows it. The entry's topics say which of the flags of
`perfkit report` choose it.
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from perfkit.analysis.selection import Selection
from perfkit.report.model import Section
from perfkit.report.sections import (
    ablation,
    access_patterns,
    architecture,
    cache,
    cache_hour,
    cost,
    cost_consumption,
    cost_measured,
    dashboard,
    doubts,
    findings,
    flow,
    index_costs,
    latency,
    load,
    load_stages,
    machine,
    next_steps,
    phases,
    results,
    saved_runs,
    summary,
    switches,
)

__all__ = ["MISSING", "OF_THE_SERVICE", "SECTIONS", "Builder", "Entry", "Topic", "names_of"]

Builder = Callable[[Selection], Iterable[Section]]
"""Yields the sections that the selected runs give rise to; none is fine."""


class Topic(StrEnum):
    """What a reader can choose sections by: the flag `--rcu` chooses those of the topic RCU."""

    RCU = "rcu"
    LATENCY = "latency"
    CACHE = "cache"
    FLOW = "flow"
    COST = "cost"
    DASHBOARD = "dashboard"
    ARCHITECTURE = "architecture"


@dataclass(frozen=True, slots=True)
class Entry:
    """
    One section of the registry.

    Args:
        build: Yields the sections.
        topics: Flags that choose it; without any it is in whole reports only.
        always: It is in every report, whatever was chosen: what a reader must not miss.
        needs_runs: It has something to show only where runs are saved.
    """

    build: Builder
    topics: frozenset[Topic] = frozenset()
    always: bool = False
    needs_runs: bool = True


def _about(build: Builder, *topics: Topic, needs_runs: bool = True) -> Entry:
    return Entry(build, frozenset(topics), needs_runs=needs_runs)


SECTIONS: Mapping[str, Entry] = {
    "warnings": Entry(doubts.build, always=True),
    "findings": _about(findings.build),
    "summary": _about(summary.build, Topic.RCU, Topic.LATENCY),
    "access-patterns": _about(access_patterns.build, Topic.RCU, Topic.LATENCY),
    "latency": _about(latency.build, Topic.LATENCY),
    "architecture": _about(architecture.build, Topic.ARCHITECTURE),
    "dashboard": _about(dashboard.build, Topic.DASHBOARD),
    "results": _about(results.build, Topic.DASHBOARD),
    "flow": _about(flow.build, Topic.FLOW),
    "phases": _about(phases.build, Topic.LATENCY),
    "ablation": _about(ablation.build, Topic.LATENCY),
    "load-stages": _about(load_stages.build, Topic.LATENCY),
    "load": _about(load.build, Topic.LATENCY),
    "switches": _about(switches.build, Topic.LATENCY),
    "cache": _about(cache.build, Topic.CACHE, Topic.FLOW),
    "cache-hour": _about(cache_hour.build, Topic.CACHE),
    "cost": _about(cost.build, Topic.COST, needs_runs=False),
    "cost-cloudwatch": _about(cost_consumption.build, Topic.COST),
    "cost-measured": _about(cost_measured.build, Topic.COST),
    "index-cost": _about(index_costs.build, Topic.COST),
    "older-runs": _about(saved_runs.build),
    "machine": _about(machine.build),
    "next-steps": _about(next_steps.build),
}

MISSING: Mapping[Topic, str] = {
    Topic.RCU: "measure access patterns with `perfkit bench`",
    Topic.LATENCY: "measure access patterns with `perfkit bench`",
    Topic.CACHE: "measure the cache with `perfkit bench --scenario cache`",
    Topic.FLOW: "measure the service with `perfkit bench --scenario phases`",
    Topic.COST: "measure what indexes take with `perfkit bench --scenario index-cost`",
    Topic.DASHBOARD: "measure the service with `perfkit bench --scenario phases` or `perfkit load`",
    Topic.ARCHITECTURE: "measure the service with `perfkit bench --scenario phases`",
}
"""What to do about a topic of which the saved runs show nothing."""

OF_THE_SERVICE = frozenset({Topic.FLOW, Topic.DASHBOARD, Topic.ARCHITECTURE})
"""Topics of the reference service, which serves the built-in workload and no other."""


def names_of(topics: Collection[Topic]) -> tuple[str, ...]:
    """Return the names of the sections that some topics choose, in order; no topic chooses all."""
    return tuple(
        name
        for name, entry in SECTIONS.items()
        if not topics or entry.always or not entry.topics.isdisjoint(topics)
    )
