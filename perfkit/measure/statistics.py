"""Statistics of latencies: pure functions, seconds in and seconds out."""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from perfkit.results import LatencySummary

__all__ = ["Ratio", "nearest_rank", "paired_ratio", "percentile", "summarize", "t_quantile_975"]

# A clock tick too short to see must not become a division by zero.
_SHORTEST_S = 1e-9


def nearest_rank(fraction: float, count: int) -> int:
    """Return which of *count* ordered values, from 1 on, is the percentile *fraction*."""
    # 0.07 * 100 is 7.000000000000001, which would round up to the wrong rank.
    return max(math.ceil(round(fraction * count, 6)), 1)


def percentile(ordered_s: Sequence[float], fraction: float) -> float:
    """
    Return the nearest-rank percentile of sorted latencies.

    Nearest rank returns a latency that was measured, never a blend of two.
    Source: Hyndman & Fan (1996), definition 1.

    Args:
        ordered_s: Latencies in seconds, ascending, at least one.
        fraction: Rank in (0, 1]; 0.99 is the 99th percentile.

    Raises:
        ValueError: *ordered_s* is empty or *fraction* is outside (0, 1].
    """
    if not ordered_s:
        msg = "no latencies to take a percentile of"
        raise ValueError(msg)
    if not 0 < fraction <= 1:
        msg = f"a percentile's fraction is above 0 and at most 1, got {fraction}"
        raise ValueError(msg)
    return ordered_s[nearest_rank(fraction, len(ordered_s)) - 1]


def summarize(samples_s: Sequence[float]) -> LatencySummary:
    """Return count, mean, extremes and nearest-rank percentiles of at least one latency."""
    ordered_s = sorted(samples_s)
    return LatencySummary(
        count=len(ordered_s),
        mean=math.fsum(ordered_s) / len(ordered_s),
        p50=percentile(ordered_s, 0.50),
        p90=percentile(ordered_s, 0.90),
        p95=percentile(ordered_s, 0.95),
        p99=percentile(ordered_s, 0.99),
        max=ordered_s[-1],
        min=ordered_s[0],
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Ratio:
    """How many times longer the baseline takes, with a 95% interval if there were rounds enough."""

    value: float
    interval: tuple[float, float] | None
    rounds: int

    @property
    def significant(self) -> bool:
        """Whether the interval leaves out 1, "no difference"."""
        return self.interval is not None and not self.interval[0] <= 1 <= self.interval[1]


def paired_ratio(baseline_s: Sequence[float], candidate_s: Sequence[float]) -> Ratio:
    """
    Compare two variants measured in the same rounds.

    Each round gives one ratio, baseline ÷ candidate, of the medians of its two turns; whatever
    slowed the whole round (drift, a neighbour) cancels out of it. The value is the geometric mean
    of these ratios, the interval is Student's t on their logarithms, turned back. Two rounds are
    too few for an interval worth printing: at three, t is 4.3.

    Sources: Student (1908); Georges, Buytaert & Eeckhout, "Statistically rigorous Java
    performance evaluation" (2007), for t where there are few measurements; Fleming & Wallace
    (1986) for the geometric mean of ratios.

    Args:
        baseline_s: Median latency of each round in seconds.
        candidate_s: The same of the other variant, same length and order.

    Raises:
        ValueError: The two differ in length, or are empty.
    """
    logs = [
        math.log(max(base_s, _SHORTEST_S) / max(other_s, _SHORTEST_S))
        for base_s, other_s in zip(baseline_s, candidate_s, strict=True)
    ]
    mean = statistics.fmean(logs)
    interval = None
    if len(logs) >= 3:
        half = t_quantile_975(len(logs) - 1) * statistics.stdev(logs) / math.sqrt(len(logs))
        interval = (math.exp(mean - half), math.exp(mean + half))
    return Ratio(value=math.exp(mean), interval=interval, rounds=len(logs))


# NIST/SEMATECH e-Handbook of Statistical Methods, 1.3.6.7.2: upper 2.5% points, 1 to 30 degrees
_T_975 = (
    *(12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228),
    *(2.201, 2.179, 2.160, 2.145, 2.131, 2.120, 2.110, 2.101, 2.093, 2.086),
    *(2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042),
)
_Z_975 = 1.959963984540054


def t_quantile_975(degrees: int) -> float:
    """
    Return the 97.5% point of Student's t, right to three decimals.

    Source: NIST's table up to 30 degrees of freedom; above, the first terms of the expansion in
    Abramowitz & Stegun 26.7.5.

    Args:
        degrees: Degrees of freedom, at least 1.
    """
    if degrees < 1:
        msg = f"Student's t needs at least 1 degree of freedom, got {degrees}"
        raise ValueError(msg)
    if degrees <= len(_T_975):
        return _T_975[degrees - 1]
    z = _Z_975
    first = (z**3 + z) / 4
    second = (5 * z**5 + 16 * z**3 + 3 * z) / 96
    third = (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384
    return z + first / degrees + second / degrees**2 + third / degrees**3
