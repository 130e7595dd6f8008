"""What a sample says of a table, against figures worked by hand and tables that are known whole."""

import random
from collections import Counter
from typing import Any

import pytest

from perfkit.capacity import item_size
from perfkit.workloads.profile import (
    Estimate,
    Profile,
    Profiler,
    _distinct_values,
    _effective_size,
    _wilson,
    design_effect,
)


def profile_of(
    items: list[dict[str, Any]], *, table_items: int = 0, keys: tuple[str, ...] = ("pk",)
) -> Profile:
    """Return the profile of items, each found in a place of its own."""
    profiler = Profiler(keys)
    for place, item in enumerate(items):
        profiler.add(item, item_size(item), place)
    whole = not table_items
    return profiler.profile(table_items=table_items or len(items), whole=whole)


@pytest.mark.parametrize(
    ("hits", "of", "low", "high"),
    [
        # published: Newcombe (1998), "Two-sided confidence intervals for the single proportion",
        # table I, method 3
        pytest.param(81, 263, 0.2553, 0.3662, id="81 of 263"),
        pytest.param(15, 148, 0.0624, 0.1605, id="15 of 148"),
        pytest.param(0, 20, 0.0, 0.1611, id="none of 20"),
        pytest.param(1, 29, 0.0061, 0.1718, id="1 of 29"),
    ],
)
def test_a_share_has_wilsons_interval(hits: int, of: int, low: float, high: float) -> None:
    share = _wilson(hits, of)

    assert share.value == hits / of
    assert share.low == pytest.approx(low, abs=5e-5)
    assert share.high == pytest.approx(high, abs=5e-5)


def test_clusters_of_ten_alike_say_as_much_as_single_items() -> None:
    sizes = dict.fromkeys(range(100), 10)
    alike = dict.fromkeys(range(0, 100, 2), 10)
    apart = dict.fromkeys(range(100), 5)

    # ten times 100 by 99: the variance between 100 clusters has 99 degrees of freedom
    assert design_effect([alike], sizes) == pytest.approx(10 * 100 / 99)
    assert design_effect([apart], sizes) == 1.0


def test_items_that_come_in_equal_groups_say_as_much_as_the_groups() -> None:
    """Ten items a place that are always the same are worth one."""
    sizes = dict.fromkeys(range(50), 10)
    alike = {place: 10 for place in range(50) if place % 2}
    mixed = dict.fromkeys(range(50), 5)

    assert _effective_size(alike, sizes) == pytest.approx(50, rel=0.03)
    assert _effective_size(mixed, sizes) == 500


def test_distinct_values_are_estimated_as_postgresql_does() -> None:
    # seen: one value three times, one twice, five once; a table ten times as large
    # n = 10, d = 7, f1 = 5, N = 100: 10 * 7 / (10 - 5 + 5 * 10 / 100) = 12.73
    estimate = _distinct_values([3, 2, 1, 1, 1, 1, 1], items=10, table_items=100)

    assert estimate.value == pytest.approx(70 / 5.5)
    assert (estimate.low, estimate.high) == (7, 52)
    # what never repeats may be different everywhere, and is taken for it
    assert _distinct_values([1] * 10, items=10, table_items=500).value == pytest.approx(500)
    assert _distinct_values([4, 4], items=8, table_items=500) == Estimate.exactly(2)


def test_intervals_hold_the_truth_for_known_tables() -> None:
    """Sixty tables of some thousand items, evenly filled and skewed ones."""
    chance = random.Random(1)
    held = Counter[str]()
    for _ in range(60):
        values = chance.choice([3, 40, 700, 5_000])
        skew = chance.choice([0.0, 0.7, 1.2])
        weights = [1 / (rank + 1) ** skew for rank in range(values)]
        size = chance.randrange(1000, 8_000)
        table = chance.choices(range(values), weights, k=size)
        taken = [{"v": {"N": str(value)}} for value in chance.sample(table, 400)]

        found = profile_of(taken, table_items=size, keys=("v",)).attributes[0].values

        assert found is not None
        ((_, most),) = Counter(table).most_common(1)
        held["distinct"] += found.distinct.low <= len(set(table)) <= found.distinct.high
        held["share"] += found.top_share.low <= most / size <= found.top_share.high
    assert held["distinct"] >= 57
    assert held["share"] >= 57


def test_what_all_items_of_a_sample_have_may_be_lacking_where_partitions_are_alike() -> None:
    """Of 100 partition keys three items each; a key's items have an attribute all or not at all."""
    chance = random.Random(1)
    held = 0
    for _ in range(100):
        profiler = Profiler(("pk",))
        for place in range(100):
            has = chance.random() < 0.985
            item = {"pk": {"S": f"{place}"}} | ({"v": {"S": "x"}} if has else {})
            for _ in range(3):
                profiler.add(item, 10, place)
        found = profiler.profile(table_items=100_000, whole=False).attribute("v")
        assert found is not None
        held += found.share.low <= 0.985 <= found.share.high
    # Wilson's interval of 100 independent ones holds it in 93%
    assert held >= 88

    # where each item has a partition key of its own, 1,000 say as much as 1,000: n ÷ (n + z²)
    alone = profile_of([{"pk": {"S": f"{n}"}} for n in range(1000)], table_items=9000)
    assert alone.attributes[0].share.low == pytest.approx(1000 / (1000 + 1.959964**2))


def test_attributes_have_types_and_shares() -> None:
    items: list[dict[str, Any]] = [
        {"pk": {"S": f"{number}"}, "state": {"S": "open" if number % 4 else "new"}}
        for number in range(100)
    ]
    items[0]["state"] = {"NULL": True}
    items[1]["state"] = {"S": ""}
    items[2]["tags"] = {"SS": ["a", "b"]}

    profile = profile_of(items)

    assert profile.whole
    names = [each.name for each in profile.attributes]
    assert names == ["pk", "state", "tags"]
    state = profile.attribute("state")
    assert state is not None
    assert state.types == {"S": 99, "NULL": 1}
    assert state.values is not None
    assert state.values.empty == 1
    # open, new and the empty one
    assert state.values.distinct == Estimate.exactly(3)
    assert state.values.top[0] == ({"S": "open"}, 74)
    assert state.values.top_share == Estimate.exactly(74 / 99)
    tags = profile.attribute("tags")
    assert tags is not None
    assert tags.values is None
    assert tags.share == Estimate.exactly(0.01)


def test_sizes_are_those_that_dynamodb_bills() -> None:
    # 2 bytes of name and so many of the value
    profile = profile_of([{"pk": {"S": "x" * length}} for length in range(1, 101)])

    assert profile.sizes is not None
    sizes = profile.sizes
    assert (sizes.smallest, sizes.median, sizes.p90, sizes.p99) == (3, 52, 92, 101)
    assert (sizes.largest, sizes.mean) == (102, 52.5)


def test_the_kinds_of_a_single_table_design_are_told_apart_by_their_keys() -> None:
    items = [{"pk": {"S": f"CUSTOMER#{n}"}, "sk": {"S": "PROFILE"}} for n in range(20)]
    items += [{"pk": {"S": f"CUSTOMER#{n}"}, "sk": {"S": f"ORDER#{n}"}} for n in range(60)]

    profile = profile_of(items, keys=("pk", "sk"))

    assert [(kind.name, kind.items) for kind in profile.kinds] == [
        ("CUSTOMER# / ORDER#", 60),
        ("CUSTOMER# / PROFILE", 20),
    ]
    assert profile.kinds_by == ""
    assert profile.kinds[0].share == Estimate.exactly(0.75)


def test_or_by_an_attribute_that_says_it() -> None:
    items = [{"pk": {"S": f"{n}"}, "_type": {"S": "User" if n % 3 else "Team"}} for n in range(30)]

    profile = profile_of(items)

    assert profile.kinds_by == "_type"
    assert [kind.name for kind in profile.kinds] == ["User", "Team"]


def test_a_table_of_one_kind_has_no_kinds() -> None:
    assert profile_of([{"pk": {"S": f"{n}"}} for n in range(30)]).kinds == ()
    assert profile_of([{"pk": {"S": f"U#{n}"}} for n in range(30)]).kinds == ()
    # a name of its own for each says nothing of kinds
    assert profile_of([{"pk": {"S": "x"}, "type": {"S": f"{n}"}} for n in range(30)]).kinds == ()


def test_values_that_lie_together_are_not_taken_for_all_there_are() -> None:
    """Ten items of each partition key come together; how many keys there are they do not say."""
    profiler = Profiler(("pk",))
    for place in range(50):
        for _ in range(10):
            profiler.add({"pk": {"S": f"{place}"}}, 10, place)

    profile = profiler.profile(table_items=50_000, whole=False)

    found = profile.attributes[0].values
    assert found is not None
    assert (found.distinct.low, found.distinct.high) == (50, 5000)
