"""What the runs of a group found: what the phases and the cache change, and what is uncertain."""

from collections import Counter
from collections.abc import Iterable

from perfkit.analysis.verdict import Ruling, Verdict
from perfkit.runs import Comparison, Run

__all__ = ["count_promises", "fastest", "unsure"]


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
