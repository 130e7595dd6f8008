"""
Which scenarios there are, and measuring them by name.

Where a workload has a pattern of the same name as one of perfkit's own scenarios, the pattern has
the name: a workload's names keep their meaning when perfkit learns something new.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace

from perfkit.errors import UnknownScenarioError
from perfkit.runs import Run, RunStore
from perfkit.scenarios.access_pattern import access_patterns
from perfkit.scenarios.base import Context, Scenario
from perfkit.scenarios.service import every_scenario, service_scenarios
from perfkit.workloads.model import Workload

__all__ = ["PATTERNS", "find", "main_job", "measure_scenarios"]

_ALL = "all"

PATTERNS = "patterns"
"""Stands for the scenarios of a workload's own patterns, unless one of them is called so."""

_MAIN_JOB = ("phases", "cache", "index-cost")


def _own_scenarios(workload: Workload) -> Iterator[Scenario]:
    from perfkit.scenarios.cache import cache_scenarios
    from perfkit.scenarios.cache_hour import cache_hour_scenarios
    from perfkit.scenarios.index_cost import index_cost_scenarios

    yield from cache_scenarios(workload)
    yield from cache_hour_scenarios(workload)
    yield from index_cost_scenarios(workload)
    yield from service_scenarios(workload)


# Each gives the scenarios a workload allows; a new kind of scenario adds its function here. The
# first that has a name keeps it.
_SOURCES: tuple[Callable[[Workload], Iterable[Scenario]], ...] = (access_patterns, _own_scenarios)


def _scenarios_of(workload: Workload) -> dict[str, Scenario]:
    """Return every scenario of *workload* by name, in the workload's order."""
    found: dict[str, Scenario] = {}
    for source in _SOURCES:
        for scenario in source(workload):
            found.setdefault(scenario.name, scenario)
    return found


def main_job(workload: Workload, *, patterns_only: bool = False) -> list[Scenario]:
    """
    Return what `perfkit run` measures: all patterns, the phases, the cache, index costs.

    Of the phases it is the endpoints that take least time and say most.

    What a workload does not allow is left out: the service serves the built-in one only, and
    without a cache policy there is no cache to measure.
    """
    from perfkit.scenarios.service.phases import PhasesScenario

    allowed = () if patterns_only else _scenarios_of(workload)
    found = find(workload, [PATTERNS, *(name for name in _MAIN_JOB if name in allowed)])
    return [
        replace(each, short=True) if isinstance(each, PhasesScenario) else each for each in found
    ]


def find(workload: Workload, names: Sequence[str]) -> list[Scenario]:
    """
    Return the scenarios called *names*, each once.

    `all` stands for every one, `patterns` for those of the workload's own patterns.

    Raises:
        UnknownScenarioError: The workload has no scenario of such a name, or none at all.
    """
    scenarios = _scenarios_of(workload)
    found: dict[str, Scenario] = {}
    for name in names:
        if name in scenarios:
            found[name] = scenarios[name]
        elif name == _ALL:
            found |= scenarios
        elif name == PATTERNS:
            found |= {each.name: each for each in access_patterns(workload)}
        else:
            raise UnknownScenarioError(_explain(workload, name, scenarios))
    if not found:
        msg = (
            f"nothing to measure: no pattern in workload {workload.name} ({workload.source});"
            " add one as [patterns.NAME]"
        )
        raise UnknownScenarioError(msg)
    return list(found.values())


def _explain(workload: Workload, name: str, scenarios: Iterable[str]) -> str:
    choices = f"choose from {', '.join([_ALL, *scenarios, PATTERNS])}"
    if name in {each.name for each in every_scenario()}:
        return (
            f"{name} measures the reference service, which serves the built-in workload courses"
            f" and not {workload.name}; {choices}"
        )
    if name in {"cache", "cache-hour"}:
        return f"no pattern of workload {workload.name} has a cache policy; {choices}"
    if name == "index-cost":
        return f"no table that perfkit makes for {workload.name} has an index; {choices}"
    return f"no scenario named {name!r} in workload {workload.name}; {choices}"


def measure_scenarios(
    scenarios: Iterable[Scenario], context: Context, store: RunStore
) -> Iterator[Run]:
    """
    Measure scenarios one after the other, and yield each run once it is saved.

    Whatever ends this early, an error or Ctrl-C, leaves the finished runs saved.

    Args:
        scenarios: What to measure, as `find` gives it.
        context: What to measure with.
        store: Where runs are kept.

    Raises:
        TargetError: The target could not be measured.
    """
    for scenario in scenarios:
        run = scenario.measure(context)
        yield replace(run, id=store.save(run).stem)
