"""Estimates from clusters, against published intervals and cases worked out by hand."""

import random

import pytest

from perfkit.measure.cluster_sample import (
    ClusterSample,
    _clopper_pearson,
    count_in_table,
    mean_of_hits,
    members_in_table,
    sum_in_table,
    sum_of_members,
)


@pytest.mark.parametrize(
    ("hits", "of", "low", "high"),
    [
        # R, binom.test
        (0, 10, 0.0, 0.3084971),
        (1, 10, 0.002528579, 0.4450161),
        (5, 50, 0.03327509, 0.2181354),
        (10, 10, 0.6915029, 1.0),
        # (1 - 0.025^(1/1000)): the rule of three with both tails
        (0, 1000, 0.0, 0.003682084),
    ],
)
def test_exact_intervals_of_shares(hits: int, of: int, low: float, high: float) -> None:
    assert _clopper_pearson(hits, of) == pytest.approx((low, high), rel=1e-6, abs=1e-9)


def test_nothing_found_is_no_proof_that_nothing_is_there() -> None:
    sample = ClusterSample(sizes=dict.fromkeys(range(100), 10), clusters=2000, population=20_000)

    alone = count_in_table({}, sample, effect=1.0)
    together = count_in_table({}, sample, effect=10.0)

    assert (alone.value, alone.low) == (0, 0)
    # 3.68 of 1,000, and a little more for 100 clusters instead of 1,000
    assert 20_000 * 0.00368 < alone.high < 20_000 * 0.0039
    # items that come in tens: as few observations, ten times the interval
    assert 9 < together.high / alone.high < 11


def test_one_hit_may_be_the_only_one() -> None:
    sample = ClusterSample(sizes=dict.fromkeys(range(100), 10), clusters=2000, population=20_000)

    found = count_in_table({3: 1}, sample, effect=1.0)

    assert (found.value, found.low) == (20, 1)
    assert found.high > 100


def test_what_lies_where_nothing_was_looked_at_may_all_have_it() -> None:
    # 2,000 clusters of ten are 20,000 items, and the table is said to have 30,000
    sample = ClusterSample(sizes=dict.fromkeys(range(100), 10), clusters=2000, population=30_000)

    found = count_in_table(dict.fromkeys(range(50), 1), sample, effect=1.0)

    assert sample.hidden == 10_000
    assert found.value == pytest.approx(1000)
    assert found.high > 11_000


def test_sums_and_means_of_clusters_alike_are_certain() -> None:
    sample = ClusterSample(sizes=dict.fromkeys(range(10), 5), clusters=100, population=500)

    total = sum_in_table(dict.fromkeys(range(10), 700.0), sample)
    mean = mean_of_hits({1: [100.0, 100.0], 2: [100.0]}, [100.0] * 20, sample)

    assert (total.value, total.low, total.high) == pytest.approx((70_000, 70_000, 70_000))
    assert (mean.value, mean.low, mean.high) == (100, 100, 100)


def test_few_members_reckon_with_the_large_items_that_others_are() -> None:
    """Of 3,000 items 60 are members; one of twenty items is a hundred times as large as others."""
    chance = random.Random(1)
    inside = 0
    for _ in range(100):
        table = [
            (chance.random() < 0.02, 10_000 if chance.random() < 0.05 else 100) for _ in range(3000)
        ]
        taken = chance.sample(range(300), 100)
        members: dict[int, list[float]] = {}
        others = []
        for cluster in taken:
            for is_member, size in table[cluster * 10 : cluster * 10 + 10]:
                others.append(size)
                if is_member:
                    members.setdefault(cluster, []).append(size)
        sample = ClusterSample(sizes=dict.fromkeys(taken, 10), clusters=300, population=3000)
        total = sum_of_members(members, others, sample)
        inside += total.low <= sum(size for member, size in table if member) <= total.high

    # of intervals of 95% fewer than 90 come once in 70 times, and these are wider
    assert inside >= 90


def test_all_items_are_members_however_few_clusters_say_so() -> None:
    # 2,000 clusters of ten are 20,000 items, and the table is said to have 30,000
    sample = ClusterSample(sizes=dict.fromkeys(range(100), 10), clusters=2000, population=30_000)

    found = members_in_table(dict.fromkeys(range(100), 10), sample)

    assert (found.value, found.high) == (30_000, 30_000)
    assert found.low < 20_000
