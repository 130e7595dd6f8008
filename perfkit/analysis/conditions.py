"""How busy the machine was while the runs of two sides were measured, and whether that differed."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from perfkit.measure.doubts import OTHERS_SHARE, STOLEN_SHARE
from perfkit.runs import DoubtKind, Run
from perfkit.units import format_share

__all__ = ["Load", "busy", "load_of", "loads_differ", "pace_between"]

_APART = 0.05
"""Share of the CPU by which the load of two sides may differ, at the median."""


@dataclass(frozen=True, slots=True)
class Load:
    """
    Share of the machine's CPU time that was not perfkit's, over the runs of a side.

    Args:
        median: Over the runs.
        least: Of any run.
        most: Of any run.
    """

    median: float
    least: float
    most: float

    def __str__(self) -> str:
        middle, *ends = (
            format_share(round(share, 2)) for share in (self.median, self.least, self.most)
        )
        return middle if ends[0] == ends[1] else f"{middle} ({ends[0]} to {ends[1]})"


def load_of(runs: Sequence[Run]) -> Load | None:
    """Return what other programs and the hypervisor took while *runs* were measured, if known."""
    shares = [share for share in map(_load, runs) if share is not None]
    if not shares or len(shares) < len(runs):
        return None
    return Load(statistics.median(shares), min(shares), max(shares))


def loads_differ(before: Load | None, after: Load | None) -> bool:
    """Tell whether one side had the machine more to itself than the other, as far as is known."""
    return before is not None and after is not None and abs(after.median - before.median) > _APART


def busy(run: Run) -> str:
    """Return what kept the machine from a run, in words; or nothing."""
    others, stolen = run.load.others_share, run.load.stolen_share
    if others is not None and others > OTHERS_SHARE:
        return f"other programs used {format_share(round(others, 2))} of the CPU"
    if stolen is not None and stolen > STOLEN_SHARE:
        return f"the hypervisor took {format_share(round(stolen, 2))} of the CPU"
    return ""


def _load(run: Run) -> float | None:
    others = run.load.others_share
    return None if others is None else others + (run.load.stolen_share or 0.0)


def pace_between(before: Sequence[Run], after: Sequence[Run]) -> str:
    """Return how the rates differ that two sides were held below, in words; nothing if they do not."""
    paces = [" or ".join(dict.fromkeys(map(_pace, runs))) for runs in (before, after)]
    return "" if paces[0] == paces[1] else f"{paces[0]} before, {paces[1]} after"


def _pace(run: Run) -> str:
    """Return `held below 5 RCU/s`, as the run's doubt about it begins."""
    paced = next((each for each in run.doubts if each.kind is DoubtKind.PACED), None)
    return "not held below a rate" if paced is None else paced.reason.partition(":")[0]
