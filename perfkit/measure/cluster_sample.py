"""
What a sample of clusters says of a whole table: how many items have a property, and sums over items.

A cluster is what was taken at one place of the table; items of one place may resemble each other.
Pure functions; intervals are of 95%, and honest where nothing was found.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from statistics import fmean

from perfkit.measure.statistics import CONFIDENCE, t_quantile
from perfkit.workloads.profile import Estimate, design_effect

__all__ = [
    "ClusterSample",
    "count_in_table",
    "mean_of_hits",
    "members_in_table",
    "sum_in_table",
    "sum_of_members",
]

_TAIL = (1 - CONFIDENCE) / 2


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterSample:
    """
    How a sample was taken.

    Args:
        sizes: Items taken, by cluster; empty clusters that were looked at count, too.
        cut: Clusters of which not all items were taken.
        clusters: All there are in the table.
        population: Items of the whole table.
        whole: Every item was taken.
    """

    sizes: Mapping[int, int]
    cut: frozenset[int] = frozenset()
    clusters: int
    population: int
    whole: bool = False

    @property
    def items(self) -> int:
        """Items taken."""
        return sum(self.sizes.values())

    @property
    def hidden(self) -> float:
        """
        Items of the table that this sample cannot speak of.

        Clusters that were chosen by chance say how many items all clusters have together
        (Horvitz and Thompson, 1952), with an interval. What the table is said to have beyond that
        lies where the sample did not look: in a few places with very many items, as those of one
        large partition key.
        """
        if self.whole or not self.sizes:
            return 0.0
        taken = [0 if each in self.cut else size for each, size in self.sizes.items()]
        if len(taken) < 2:
            return float(self.population - self.items)
        mean = fmean(taken)
        variance = sum((each - mean) ** 2 for each in taken) / (len(taken) - 1)
        reach = t_quantile(CONFIDENCE, len(taken) - 1) * math.sqrt(variance / len(taken))
        return max(0.0, self.population - self.clusters * (mean + reach))


def _clopper_pearson(hits: float, of: float) -> tuple[float, float]:
    """
    Return the exact interval of a share; both numbers may be fractions.

    Without a hit the upper end is about 3.7 / *of*, the two-sided "rule of three".
    Source: Clopper and Pearson (1934), "The use of confidence or fiducial limits illustrated in the
    case of the binomial"; as quantiles of the beta distribution.

    Args:
        hits: From 0 to *of*.
        of: More than 0.
    """
    low = 0.0 if hits <= 0 else _beta_quantile(_TAIL, hits, of - hits + 1)
    high = 1.0 if hits >= of else _beta_quantile(1 - _TAIL, hits + 1, of - hits)
    return low, high


def count_in_table(hits: Mapping[int, int], sample: ClusterSample, *, effect: float) -> Estimate:
    """
    Return how many items of the table have a property.

    The interval is Clopper and Pearson's on the effective size of the sample, with Student's t for
    few clusters. Source: Korn and Graubard (1998), "Confidence intervals for proportions with small
    expected number of positive counts estimated from survey data", Survey Methodology 24.

    Its lower end counts one hit less: whoever asks may have picked the property because he had seen
    one of these very items. Its upper end takes what the sample cannot speak of to have it.

    Args:
        hits: Items of the sample that have it, by cluster.
        sample: How it was taken.
        effect: The design effect of properties of this kind; this one's own counts if it is larger.
    """
    found, of, population = sum(hits.values()), sample.items, sample.population
    if sample.whole:
        return Estimate.exactly(found)
    if not of:
        return Estimate(value=0.0, low=0.0, high=float(population))
    effective = _effective(hits, sample, effect)
    low = high = 0.0
    if found > 1:
        low, _ = _clopper_pearson((found - 1) * effective / of, effective)
    _, high = _clopper_pearson(found * effective / of, effective)
    hidden = sample.hidden
    # where much is hidden, shares of what was seen are shares of the rest
    value = found / of * (population - hidden)
    top = float(found + population - of)
    return Estimate(
        value=min(max(value, found), top),
        low=min(max(low * (population - hidden), found), top),
        high=min(max(high * (population - hidden) + hidden, found), top),
    )


def members_in_table(members: Mapping[int, int], sample: ClusterSample) -> Estimate:
    """
    Return how many items of the table are members of something, as of an index.

    In the middle is the share of the sample, as it is of sums: what it does not speak of is taken
    to be like the rest, and only the ends reckon with its being otherwise.

    Args:
        members: Items of the sample that are, by cluster.
        sample: How it was taken.
    """
    found = count_in_table(members, sample, effect=1.0)
    if sample.whole or not sample.items:
        return found
    return replace(found, value=sum(members.values()) / sample.items * sample.population)


def mean_of_hits(
    values: Mapping[int, Iterable[float]], others: Iterable[float], sample: ClusterSample
) -> Estimate:
    """
    Return the mean of a figure, as the size, over the items that have a property.

    Few hits say little of how far their figures lie apart, so the larger of their deviation and that
    of all items counts; with fewer than two the ends are the least and most of all.

    Args:
        values: Of the hits, by cluster.
        others: Of all items that could have been hits, at least one.
        sample: How it was taken.
    """
    found = [each for cluster in values.values() for each in cluster]
    known = list(others)
    mean = fmean(found or known)
    if sample.whole:
        return Estimate.exactly(mean)
    least, most = min(known), max(known)
    if len(found) < 2:
        return Estimate(value=mean, low=least, high=most)
    # hits of one place count as one observation
    places = [fmean(cluster) for each in values.values() if (cluster := list(each))]
    size = len(places)
    deviation = max(_deviation(found), _deviation(known))
    if size < 2:
        return Estimate(value=mean, low=least, high=most)
    reach = t_quantile(CONFIDENCE, size - 1) * deviation / math.sqrt(size)
    return Estimate(
        value=mean, low=min(mean, max(least, mean - reach)), high=max(mean, min(most, mean + reach))
    )


def sum_in_table(sums: Mapping[int, float], sample: ClusterSample) -> Estimate:
    """
    Return the sum of a figure over all items of the table.

    The ratio to the number of items, with Student's t on the clusters. Source: Cochran (1977),
    "Sampling Techniques", 6.3, and Kish (1965), 6.3.

    Args:
        sums: Over the items of each cluster; one that is left out is 0.
        sample: How it was taken; at least one item.
    """
    of, clusters = sample.items, len(sample.sizes)
    total = sum(sums.values())
    if sample.whole:
        return Estimate.exactly(total)
    ratio = total / of
    value = ratio * sample.population
    if clusters < 2:
        return Estimate(value=value, low=total, high=math.inf)
    squares = sum((sums.get(each, 0.0) - ratio * size) ** 2 for each, size in sample.sizes.items())
    error = math.sqrt(clusters / (clusters - 1) * squares) / of * sample.population
    # where most items are of a few clusters, these few say it; Kish (1965), 8.2
    alike = of**2 / sum(size**2 for size in sample.sizes.values())
    reach = t_quantile(CONFIDENCE, max(1, round(alike) - 1)) * error
    return Estimate(value=value, low=max(total, value - reach), high=value + reach)


def sum_of_members(
    values: Mapping[int, Iterable[float]], others: Iterable[float], sample: ClusterSample
) -> Estimate:
    """
    Return the sum of a figure, as the size, over all members of something in the table.

    Few members say little of how far their figures lie apart: the larger of their deviation and that
    of all items counts. Neither end contradicts what is said of the number of members.

    Args:
        values: Of the members, by cluster.
        others: Of all items, as if they were members.
        sample: How it was taken; at least one item.
    """
    by_cluster = {each: list(found) for each, found in values.items()}
    found = [each for cluster in by_cluster.values() for each in cluster]
    members = members_in_table({each: len(one) for each, one in by_cluster.items()}, sample)
    total = sum_in_table({each: sum(one) for each, one in by_cluster.items()}, sample)
    if sample.whole:
        return total
    known = [*others] or found
    if not known:
        return total
    if len(by_cluster) < 2:
        return replace(total, high=max(total.value, members.high * max(known)))
    more = max(0.0, _deviation(known) ** 2 - _deviation(found) ** 2)
    reach = t_quantile(CONFIDENCE, len(by_cluster) - 1) * math.sqrt(more / len(by_cluster))
    mean = fmean(found)
    low = math.hypot(total.value - total.low, members.value * reach)
    high = math.hypot(total.high - total.value, members.value * reach)
    return Estimate(
        value=total.value,
        low=min(max(sum(found), total.value - low), members.low * mean),
        high=max(total.value + high, members.high * mean),
    )


def _effective(hits: Mapping[int, int], sample: ClusterSample, effect: float) -> float:
    clusters, of = len(sample.sizes), sample.items
    if clusters < 2:
        # one place of the table says nothing of the others
        return 1.0
    own = design_effect([hits], sample.sizes)
    few = (t_quantile(CONFIDENCE, max(of - 1, 1)) / t_quantile(CONFIDENCE, clusters - 1)) ** 2
    return max(1.0, of / max(1.0, effect, own) * few)


def _deviation(values: list[float]) -> float:
    mean = fmean(values)
    return math.sqrt(math.fsum((each - mean) ** 2 for each in values) / max(len(values) - 1, 1))


def _beta_quantile(probability: float, a: float, b: float) -> float:
    low, high = 0.0, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        below = _beta_share(middle, a, b) < probability
        low, high = (middle, high) if below else (low, middle)
    return (low + high) / 2


def _beta_share(x: float, a: float, b: float) -> float:
    """
    Return the regularized incomplete beta function.

    By its continued fraction, which ends quickly left of the mean. Source: NIST Digital Library of
    Mathematical Functions, 8.17.22, evaluated as in Lentz (1976).
    """
    if x <= 0 or x >= 1:
        return float(x >= 1)
    if x > (a + 1) / (a + b + 2):
        return 1 - _beta_share(1 - x, b, a)
    front = math.exp(
        math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x)
    )
    tiny = 1e-300
    upper, lower = 1.0, 1 - (a + b) * x / (a + 1)
    lower = 1 / (lower if abs(lower) > tiny else tiny)
    value = lower
    for step in range(1, 500):
        even = step * (b - step) * x / ((a + 2 * step - 1) * (a + 2 * step))
        odd = -(a + step) * (a + b + step) * x / ((a + 2 * step) * (a + 2 * step + 1))
        for term in (even, odd):
            lower = 1 + term * lower
            lower = 1 / (lower if abs(lower) > tiny else tiny)
            upper = 1 + term / upper
            upper = upper if abs(upper) > tiny else tiny
            change = upper * lower
            value *= change
        if abs(change - 1) < 1e-13:
            break
    return front * value / a
