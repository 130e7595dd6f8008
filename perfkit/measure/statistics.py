"""Statistics of latencies: pure functions, seconds in and seconds out."""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from perfkit.runs import LatencySummary

__all__ = [
    "CONFIDENCE",
    "Centre",
    "Ratio",
    "find_centre",
    "log_of",
    "nearest_rank",
    "paired_ratio",
    "summarize",
    "t_quantile",
]

CONFIDENCE = 0.95

# A clock tick too short to see must not become a division by zero.
_SHORTEST_S = 1e-9

_FEWEST_ROUNDS = 3
_MOST_TO_TRIM = 12
"""Up to so many values are trimmed; more show well enough which of them are outliers."""
_BISQUARE = 4.685
_LARGEST_DEGREES = 1_000


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
    slowed the whole round (drift, a neighbour) cancels out of it. The value is the centre of these
    ratios on logarithms, which a few disturbed rounds do not move, and the interval is Student's t.
    Two rounds are too few for an interval worth printing: at three, t is 4.3.

    Sources: Georges, Buytaert & Eeckhout, "Statistically rigorous Java performance evaluation"
    (2007), for t where there are few measurements; Fleming & Wallace (1986) for logarithms of
    ratios; `find_centre` for the centre.

    Args:
        baseline_s: Median latency of each round in seconds.
        candidate_s: The same of the other variant, same length and order.

    Raises:
        ValueError: The two differ in length, or are empty.
    """
    centre = find_centre(
        [
            log_of(base_s) - log_of(other_s)
            for base_s, other_s in zip(baseline_s, candidate_s, strict=True)
        ]
    )
    interval = None
    if len(baseline_s) >= _FEWEST_ROUNDS:
        half = t_quantile(CONFIDENCE, centre.degrees) * math.sqrt(centre.variance)
        interval = (math.exp(centre.value - half), math.exp(centre.value + half))
    return Ratio(value=math.exp(centre.value), interval=interval, rounds=len(baseline_s))


def log_of(seconds: float) -> float:
    """Return the logarithm of a latency; one too short to see counts as a nanosecond."""
    return math.log(max(seconds, _SHORTEST_S))


@dataclass(frozen=True, slots=True, kw_only=True)
class Centre:
    """
    Where the middle of some values lies, and how surely.

    Args:
        value: The centre.
        variance: Of the centre itself, the square of its standard error; 0 where it is not known.
        degrees: Degrees of freedom of Student's t for an interval around it.
    """

    value: float
    variance: float
    degrees: float


def find_centre(values: Sequence[float], *, trim: float = 0.2) -> Centre:
    """
    Return the centre of values of which some may be far off, and how surely.

    Up to 12 values: the mean without the lowest and the highest *trim* of them, with Yuen's
    standard error. More: Tukey's bisquare mean around the median, tuned to 95% efficiency, with
    its usual standard error; a value 4.7 standard deviations off has no weight. 0.6 degrees of
    freedom for each value but one make up for a scale that is itself estimated.

    By simulation (benchmarks/judging.py), with 3 to 60 values, clean or with 15% of them 2 to 5
    times larger on one side or on both, 94% to 98% of the intervals hold the true centre; only
    where 60 values scatter by 20% already are 92% left. Without outliers the interval is 7% to 10%
    wider than that of the mean from 8 values on, 43% with 5.

    Sources: Yuen, "The two-sample trimmed t for unequal population variances" (1974); Mosteller &
    Tukey, "Data Analysis and Regression" (1977); Huber, "Robust Statistics" (1981), 6.8, for the
    standard error.

    Args:
        values: At least one.
        trim: Share of the values to leave out at either end, where there are 12 at most.

    Raises:
        ValueError: There are no values.
    """
    if not values:
        msg = "no values to find the centre of"
        raise ValueError(msg)
    if len(values) == 1:
        return Centre(value=values[0], variance=0.0, degrees=1.0)
    if len(values) > _MOST_TO_TRIM:
        return _bisquare(values)
    return _trimmed(values, int(trim * len(values)))


def _trimmed(values: Sequence[float], cut: int) -> Centre:
    ordered, count = sorted(values), len(values)
    kept = ordered[cut : count - cut]
    # the spread is that of all values, each outer one drawn in to the outermost that is kept
    drawn_in = [min(max(value, kept[0]), kept[-1]) for value in ordered]
    middle = statistics.fmean(drawn_in)
    # not statistics.variance(), whose exact fractions take ten times as long
    squares = math.fsum((value - middle) ** 2 for value in drawn_in)
    variance = squares / (len(kept) * (len(kept) - 1))
    return Centre(value=statistics.fmean(kept), variance=variance, degrees=len(kept) - 1.0)


def _bisquare(values: Sequence[float]) -> Centre:
    count = len(values)
    centre = statistics.median(values)
    # 1.4826 makes it a standard deviation, the rest is for few values (Croux & Rousseeuw, 1992)
    reach = (
        _BISQUARE
        * 1.4826
        * statistics.median(abs(value - centre) for value in values)
        * count
        / (count - 0.8)
    )
    if reach <= 0:
        # more than half of the values are equal
        return _trimmed(values, count // 5)
    for _ in range(20):
        weights = [max(1 - ((value - centre) / reach) ** 2, 0.0) ** 2 for value in values]
        centre = math.fsum(
            weight * value for weight, value in zip(weights, values, strict=True)
        ) / math.fsum(weights)
    squares = slope = 0.0
    for value in values:
        share = ((value - centre) / reach) ** 2
        if share < 1:
            squares += ((value - centre) * (1 - share) ** 2) ** 2
            slope += (1 - share) * (1 - 5 * share)
    if slope < count / 4:
        # two heaps and no middle
        return _trimmed(values, count // 5)
    variance = squares / slope**2 * count / (count - 1)
    return Centre(value=centre, variance=variance, degrees=max(0.6 * (count - 1), 1.0))


def t_quantile(level: float, degrees: float) -> float:
    """
    Return how far Student's t lies from 0 at most, with probability *level*.

    A fraction of a degree of freedom is dropped, which errs on the side of caution.

    Args:
        level: Probability in (0, 1), of both sides: 0.95 gives the 97.5% point.
        degrees: Degrees of freedom, at least 1.
    """
    if not 0 < level < 1 or degrees < 1:
        msg = f"Student's t needs a level within 0 and 1 and a degree of freedom, got {level}, {degrees}"
        raise ValueError(msg)
    # sums of variances may miss a whole number by a rounding error
    return _t_quantile(level, min(int(degrees + 1e-9), _LARGEST_DEGREES))


@lru_cache(maxsize=1024)
def _t_quantile(level: float, degrees: int) -> float:
    # Newton's method, from below: the probability rises ever more slowly, so no step goes too far
    limit = -statistics.NormalDist().inv_cdf((1 - level) / 2)
    step = math.inf
    while step > 1e-9 * limit:
        step = (level - _t_within(limit, degrees)) / (2 * _t_density(limit, degrees))
        limit += step
    return limit


def _t_density(place: float, degrees: int) -> float:
    """Return the density of Student's t. Source: Abramowitz & Stegun 26.7.1, differentiated."""
    peak = math.exp(math.lgamma((degrees + 1) / 2) - math.lgamma(degrees / 2))
    tail = math.pow(1 + place**2 / degrees, -(degrees + 1) / 2)
    return peak / math.sqrt(degrees * math.pi) * tail


def _t_within(limit: float, degrees: int) -> float:
    """
    Return the probability that Student's t lies within ±*limit*.

    Source: Abramowitz & Stegun 26.7.3 and 26.7.4, exact for whole degrees of freedom.
    """
    angle = math.atan(limit / math.sqrt(degrees))
    sine, cosine = math.sin(angle), math.cos(angle)
    odd = degrees % 2 == 1
    term = cosine if odd else 1.0
    total = term if degrees > 1 else 0.0
    for each in range(3 if odd else 2, degrees - 1, 2):
        term *= cosine**2 * (each - 1) / each
        total += term
    return 2 / math.pi * (angle + sine * total) if odd else sine * total
