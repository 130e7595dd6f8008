"""Which scenarios there are, and measuring them by name."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace

from perfkit.errors import UnknownScenarioError
from perfkit.results import Run, RunStore
from perfkit.scenarios.access_pattern import access_patterns
from perfkit.scenarios.base import Context, Scenario
from perfkit.workloads.model import Workload

__all__ = ["ALL", "find", "measure_scenarios", "scenarios_of"]

ALL = "all"

# Each gives the scenarios a workload allows; a new kind of scenario adds its function here.
_SOURCES: tuple[Callable[[Workload], Iterable[Scenario]], ...] = (access_patterns,)


def scenarios_of(workload: Workload) -> dict[str, Scenario]:
    """Return every scenario of *workload* by name, in the workload's order."""
    return {scenario.name: scenario for source in _SOURCES for scenario in source(workload)}


def find(workload: Workload, names: Sequence[str]) -> list[Scenario]:
    """
    Return the scenarios called *names*, each once; `all` stands for every one.

    Raises:
        UnknownScenarioError: The workload has no scenario of such a name.
    """
    scenarios = scenarios_of(workload)
    found: dict[str, Scenario] = {}
    for name in names:
        if name == ALL:
            found |= scenarios
        elif name in scenarios:
            found[name] = scenarios[name]
        else:
            choices = ", ".join([ALL, *scenarios])
            msg = f"no scenario named {name!r} in workload {workload.name}; choose from {choices}"
            raise UnknownScenarioError(msg)
    return list(found.values())


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
