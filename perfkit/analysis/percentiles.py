"""Which percentiles of a run exist, and where they come from."""

from collections.abc import Iterable

from perfkit.errors import RunFileError
from perfkit.measure.statistics import nearest_rank
from perfkit.runs import LatencySummary, Variant

__all__ = ["exists", "percentile", "percentiles"]


def exists(fraction: float, calls: int) -> bool:
    """Tell whether at least one of so many calls lies above a nearest-rank percentile."""
    return nearest_rank(fraction, calls) < calls


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
