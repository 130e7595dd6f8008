"""What a run found: the variant that the others are compared with, and the best of the others."""

from dataclasses import dataclass

from perfkit.runs import Comparison, Run, Variant

__all__ = ["Outcome", "find_outcome"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """
    What a run has to say in one line.

    Args:
        before: The variant that the others are compared with.
        after: The candidate that costs least, or None where none costs less.
        comparison: Of these two.
    """

    before: Variant
    after: Variant | None = None
    comparison: Comparison | None = None


def find_outcome(run: Run) -> Outcome | None:
    """
    Return the outcome of a run; None if it measured nothing.

    The candidate is the one that consumes least capacity, the faster of equals, and it must
    consume less than the baseline or be significantly faster at the same. Where the target told
    no capacity, it is the fastest that is significantly faster. A candidate that returned other
    items is none.
    """
    if not run.variants:
        return None
    before = run.variants[0]
    if run.comparisons:
        before = run.variant(run.comparisons[0].baseline) or before
    rivals = [
        (comparison, variant)
        for comparison in run.comparisons
        if comparison.baseline == before.name
        and comparison.results_equal
        and (variant := run.variant(comparison.candidate)) is not None
    ]
    better = [pair for pair in rivals if _is_better(before, *pair)]
    if not better:
        return Outcome(before=before)
    comparison, after = min(
        better, key=lambda pair: (pair[1].capacity_units or 0.0, -pair[0].latency_ratio)
    )
    return Outcome(before=before, after=after, comparison=comparison)


def _is_better(before: Variant, comparison: Comparison, candidate: Variant) -> bool:
    faster = comparison.significant and comparison.latency_ratio > 1
    if before.capacity_units is None or candidate.capacity_units is None:
        return faster
    # only an index or a key answers in another way; filters and threads read all the same
    same = candidate.capacity_units == before.capacity_units and candidate.operation != "Scan"
    return candidate.capacity_units < before.capacity_units or (same and faster)
