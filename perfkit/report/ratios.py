"""Comparisons in words: how much faster, how much cheaper, and whether that is certain."""

from collections.abc import Iterable

from perfkit.report.figures import ABSENT, format_value
from perfkit.report.model import Cell, Kind, Marked, Tone
from perfkit.runs import Comparison
from perfkit.units import format_ratio

__all__ = [
    "INTERVALS_NOTE",
    "interval_notes",
    "write_capacity",
    "write_latency",
    "write_short",
]

INTERVALS_NOTE = (
    "Each interval holds with 95% for itself; they are not corrected for their number (Bonferroni),"
    " so of twenty about one misses."
)


def interval_notes(comparisons: Iterable[Comparison]) -> tuple[str, ...]:
    """Return what a table of comparisons says of their intervals; nothing where there are none."""
    return (INTERVALS_NOTE,) if any(each.latency_ratio_ci95 for each in comparisons) else ()


def write_short(comparison: Comparison) -> Cell:
    """Return how the candidate's latency compares, for a column that says what the interval is."""
    interval = comparison.latency_ratio_ci95
    if not comparison.significant:
        return f"no difference ({_range(*interval)})" if interval else "too few rounds"
    written = write_latency(comparison)
    if not isinstance(written, Marked):
        return written
    return Marked(value=str(written.value).replace("95% CI ", ""), tone=written.tone)


def write_latency(comparison: Comparison) -> Cell:
    """Return how the candidate's latency compares, with its interval."""
    interval = comparison.latency_ratio_ci95
    if not comparison.significant:
        why = f"95% CI {_range(*interval)}" if interval else "too few rounds for an interval"
        return f"no significant difference ({why})"
    ratio, word, tone = comparison.latency_ratio, "faster", Tone.GOOD
    if ratio < 1:
        ratio, word, tone = 1 / ratio, "slower", Tone.WARNING
        interval = (1 / interval[1], 1 / interval[0]) if interval else None
    certainty = f" (95% CI {_range(*interval)})" if interval else ""
    # "1.00 times" would say that there is no difference
    times = "less than 1%" if round(ratio, 2) == 1 else format_ratio(ratio)
    return Marked(value=f"{times} {word}{certainty}", tone=tone)


def _range(low: float, high: float) -> str:
    return f"{format_ratio(low)[:-1]}{ABSENT}{format_ratio(high)[:-1]}"


def write_capacity(ratio: float | None) -> Cell:
    """Return how the candidate's capacity compares."""
    if ratio is None:
        return "not known"
    if ratio == 1:
        return "the same"
    if round(ratio if ratio > 1 else 1 / ratio, 2) == 1:
        # pages and segments are rounded up one by one
        return "the same, but for rounding"
    if ratio > 1:
        return Marked(value=f"{format_value(ratio, Kind.RATIO)} cheaper", tone=Tone.GOOD)
    return Marked(value=f"{format_value(1 / ratio, Kind.RATIO)} more expensive", tone=Tone.WARNING)
