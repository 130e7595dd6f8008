"""What the runs of a group found: the largest saving, what the phases and the cache change, what is unsure."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from perfkit.analysis.outcome import Outcome, find_outcome
from perfkit.analysis.selection import Group
from perfkit.analysis.verdict import Ruling, Verdict
from perfkit.runs import Comparison, Run, RunKind

__all__ = ["Savings", "count_promises", "fastest", "find_savings", "unsure"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Savings:
    """
    What the access patterns of a group could read less.

    Args:
        patterns: How many were measured.
        better: How many of them have a variant that reads less; one that is only faster does not.
        best: The run with the largest saving and its outcome; None if no variant reads less.
    """

    patterns: int
    better: int
    best: tuple[Run, Outcome] | None


def find_savings(group: Group) -> Savings | None:
    """Return what the group's access patterns could read less; None if none was measured."""
    outcomes = [
        (run, outcome)
        for run in group.runs
        if run.kind is RunKind.SCENARIO and (outcome := find_outcome(run)) is not None
    ]
    if not outcomes:
        return None
    better = [each for each in outcomes if _saving(each[1]) > 1]
    best = max(better, key=lambda each: _saving(each[1]), default=None)
    return Savings(patterns=len(outcomes), better=len(better), best=best)


def _saving(outcome: Outcome) -> float:
    comparison = outcome.comparison
    return 0.0 if comparison is None else comparison.capacity_ratio or 0.0


def fastest(run: Run) -> Comparison | None:
    """Return the comparison of a run whose candidate is surely faster by most, if one is."""
    return max(
        (each for each in run.comparisons if each.significant and each.latency_ratio > 1),
        key=lambda each: each.latency_ratio,
        default=None,
    )


def count_promises(runs: Iterable[Run]) -> Counter[Ruling]:
    """Return how many promises of the phases were kept, broken, and not to be judged."""
    return Counter(Verdict.of_check(check).ruling for run in runs for check in run.checks)


def unsure(runs: Iterable[Run]) -> tuple[int, int]:
    """Return how many comparisons show no significant difference, and of how many."""
    comparisons = [each for run in runs for each in run.comparisons]
    return sum(not each.significant for each in comparisons), len(comparisons)
