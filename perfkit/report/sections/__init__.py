"""
The sections a report can have, in the order in which they are shown.

A new kind of run, or a new view of old ones, is one more module here with a `build` function, and
one more entry in `SECTIONS`; every format shows it.
"""

from collections.abc import Callable, Iterable, Mapping

from perfkit.report.model import Section
from perfkit.report.sections import (
    ablation,
    access_patterns,
    cache,
    cache_hour,
    doubts,
    index_costs,
    machine,
    next_steps,
    phases,
    saved_runs,
    summary,
    switches,
)
from perfkit.report.selection import Selection

__all__ = ["SECTIONS", "Builder"]

Builder = Callable[[Selection], Iterable[Section]]
"""Yields the sections that the selected runs give rise to; none is fine."""

SECTIONS: Mapping[str, Builder] = {
    "warnings": doubts.build,
    "summary": summary.build,
    "access-patterns": access_patterns.build,
    "phases": phases.build,
    "ablation": ablation.build,
    "switches": switches.build,
    "cache": cache.build,
    "cache-hour": cache_hour.build,
    "index-cost": index_costs.build,
    "older-runs": saved_runs.build,
    "machine": machine.build,
    "next-steps": next_steps.build,
}
