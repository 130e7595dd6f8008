"""What a run found: the variant that the others are compared with, and the best of the others."""

from dataclasses import dataclass

from perfkit.runs import Comparison, Modelled, Run, Variant

__all__ = ["Outcome", "find_outcome"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """
    What a run has to say in one line.

    Args:
        before: The variant that the others are compared with.
        after: The candidate that costs least, or None where none costs less.
        comparison: Of these two.
        modelled: What a twin says of an index that does not exist, where that costs less than
            whatever was measured; None where it does not, or nothing was modelled.
    """

    before: Variant
    after: Variant | None = None
    comparison: Comparison | None = None
    modelled: Modelled | None = None

    @property
    def modelled_ratio(self) -> float | None:
        """How many times fewer read units the modelled form takes than what is before."""
        if self.modelled is None or self.before.capacity_units is None:
            return None
        return self.before.capacity_units / self.modelled.capacity_units


def find_outcome(run: Run) -> Outcome | None:
    """
    Return the outcome of a run; None if it measured nothing.

    The candidate is the one that consumes least capacity, the faster of equals, and it must
    consume less than the baseline or be significantly faster at the same. Where the target told
    no capacity, it is the fastest that is significantly faster. A candidate that returned other
    items is none; where answers could not be compared, because only some of a scan's pages were
    read, the run says so.
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
        and (comparison.results_equal or comparison.unchecked)
        and (variant := run.variant(comparison.candidate)) is not None
    ]
    better = [pair for pair in rivals if _is_better(before, *pair)]
    if not better:
        return Outcome(before=before, modelled=_modelled(run, before))
    comparison, after = min(
        better, key=lambda pair: (pair[1].capacity_units or 0.0, -pair[0].latency_ratio)
    )
    return Outcome(
        before=before, after=after, comparison=comparison, modelled=_modelled(run, after)
    )


def _modelled(run: Run, best: Variant) -> Modelled | None:
    """Return the modelled form that costs least, if it costs less than the best that was measured."""
    units = best.capacity_units
    if units is None:
        return None
    cheaper = [
        each for each in run.modelled if not each.differs and 0 < each.capacity_units < units
    ]
    return min(cheaper, key=lambda each: each.capacity_units, default=None)


def _is_better(before: Variant, comparison: Comparison, candidate: Variant) -> bool:
    faster = comparison.significant and comparison.latency_ratio > 1
    if before.capacity_units is None or candidate.capacity_units is None:
        return faster
    # only an index or a key answers in another way; filters and threads read all the same
    same = candidate.capacity_units == before.capacity_units and candidate.operation != "Scan"
    return candidate.capacity_units < before.capacity_units or (same and faster)
