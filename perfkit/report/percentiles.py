"""How tables and charts show percentiles where there were few calls."""

from collections.abc import Iterable, Sequence

from perfkit.analysis.percentiles import exists
from perfkit.report.model import Cell, Marked
from perfkit.runs import Variant

__all__ = ["FEW_NOTE", "few_notes", "median_cell", "median_title"]

FEW_NOTE = "No percentile where there were too few calls for one to lie above it."
_SINGLE_NOTE = "There was a single call: what it took."


def few_notes(variants: Sequence[Variant], *fractions: float) -> tuple[str, ...]:
    """Return the note of a table that lacks some of these percentiles, if it does."""
    lacks = any(not exists(each, one.latency_s.count) for one in variants for each in fractions)
    return (FEW_NOTE,) if lacks else ()


def median_cell(variant: Variant) -> Cell:
    """Return the median for a table that has no mean, or the single call and a note that it is."""
    latency_s = variant.latency_s
    if exists(0.5, latency_s.count):
        return latency_s.p50
    return Marked(value=latency_s.mean, note=_SINGLE_NOTE)


def median_title(title: str, variants: Iterable[Variant]) -> str:
    """Return the title of a chart of medians, which says where single calls are in it."""
    single = any(not exists(0.5, each.latency_s.count) for each in variants)
    return f"{title}, p50 or the single call" if single else f"{title}, p50"
