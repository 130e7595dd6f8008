"""Which percentiles a report shows, and where they come from, the same in every table."""

import math
from collections.abc import Iterable, Sequence

from perfkit.errors import RunFileError
from perfkit.report.model import Cell, Marked
from perfkit.results import LatencySummary, Variant

__all__ = [
    "FEW_NOTE",
    "exists",
    "few_notes",
    "median_cell",
    "median_title",
    "percentile",
    "percentiles",
]

FEW_NOTE = "No percentile where there were too few calls for one to lie above it."
_SINGLE_NOTE = "There was a single call: what it took."


def exists(fraction: float, calls: int) -> bool:
    """Tell whether at least one of so many calls lies above a nearest-rank percentile."""
    # 0.07 * 100 is 7.000000000000001, which would round up to the wrong rank
    return max(math.ceil(round(fraction * calls, 6)), 1) < calls


def percentile(latency_s: LatencySummary, fraction: float) -> float | None:
    """
    Return one of the percentiles of a summary in seconds, None where no call lies above it.

    Args:
        latency_s: Of all calls.
        fraction: 0.5, 0.9, 0.95 or 0.99.
    """
    return _exact(latency_s)[fraction] if exists(fraction, latency_s.count) else None


def percentiles(variant: Variant, fractions: Iterable[float]) -> dict[float, float | None]:
    """
    Return percentiles that at least one call lies above; none at all without a histogram.

    The histogram, right to 0.1%, gives those that the summary lacks; between two exact ones it
    is kept between them.

    Args:
        variant: With its histogram.
        fractions: Ranks from 0 to below 1.
    """
    from perfkit.measure.histogram import Histogram

    if not variant.histogram:
        return {}
    try:
        histogram = Histogram.decode(variant.histogram)
    except RunFileError:
        return {}
    if not histogram.count:
        return {}
    latency_s = variant.latency_s
    exact = _exact(latency_s)

    def read(fraction: float) -> float:
        if fraction in exact:
            return exact[fraction]
        least = [seconds for each, seconds in exact.items() if each < fraction]
        most = [seconds for each, seconds in exact.items() if each > fraction]
        seconds = histogram.percentile(max(fraction, 1e-6))
        return min(max([seconds, *least]), *most, latency_s.max)

    return {each: read(each) if exists(each, latency_s.count) else None for each in fractions}


def _exact(latency_s: LatencySummary) -> dict[float, float]:
    return {0.5: latency_s.p50, 0.9: latency_s.p90, 0.95: latency_s.p95, 0.99: latency_s.p99}


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
