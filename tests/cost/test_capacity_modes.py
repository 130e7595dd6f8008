"""Capacity on demand, provisioned and scaled: hand-worked bills, and where one becomes the cheaper."""
# ruff: noqa: RUF003 - the signs of arithmetic

from decimal import Decimal

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from perfkit.cost.break_even import Steps, StepsOf, last_crossing, stairs, straight_crossing
from perfkit.cost.capacity_modes import (
    Demand,
    Mode,
    Shape,
    _daily_curve,
    _provisioned_units,
    break_even_factor,
    cheapest,
    cost_of,
)
from perfkit.cost.price_file import load_book
from perfkit.cost.prices import round_to_cents

BOOK = load_book("us-east-1")
FLAT = Shape(peak_ratio=1, target_utilisation=0.7)
DAY = Shape(peak_ratio=2, target_utilisation=0.7)

shapes = st.builds(
    Shape,
    peak_ratio=st.floats(1, 20),
    target_utilisation=st.floats(0.2, 0.9),
)
rates = st.one_of(st.just(0.0), st.floats(0.001, 5_000))
demand_lists = st.lists(
    st.builds(
        Demand,
        table=st.just("T"),
        index=st.none(),
        read_units_s=rates,
        write_units_s=rates,
    ),
    min_size=1,
    max_size=4,
)


def asked(read_units_s: float = 0.0, write_units_s: float = 0.0) -> list[Demand]:
    return [Demand(table="T", index=None, read_units_s=read_units_s, write_units_s=write_units_s)]


def cents(usd: Decimal) -> str:
    return f"{round_to_cents(usd):.2f}"


# ---- hand-worked bills -------------------------------------------------------------------


def test_on_demand_is_billed_by_the_unit() -> None:
    # 1,250 units of a scan, 20 a second: 65.7 thousand million units at $0.125 a million
    cost = cost_of(asked(1_250 * 20, 10), Mode.ON_DEMAND, BOOK, DAY)

    assert cents(cost.reads.usd) == "8212.50"
    # 26.28 million at $0.625 a million
    assert cents(cost.writes.usd) == "16.43"
    assert cost.reads.arithmetic == (
        "25,000 RRU/s \N{MULTIPLICATION SIGN} 2,628,000 s: 65,700,000,000 read request units"
        " \N{MULTIPLICATION SIGN} $0.125 per 1,000,000 = $8,212.50"
    )


def test_provisioned_capacity_holds_the_peak_for_every_hour() -> None:
    # 100 RCU for 730 h at $0.00013 and 20 WCU at $0.00065
    cost = cost_of(asked(50, 10), Mode.PROVISIONED, BOOK, DAY)

    assert cents(cost.reads.usd) == "9.49"
    assert cents(cost.writes.usd) == "9.49"


def test_auto_scaling_keeps_its_target_in_every_hour() -> None:
    # traffic without a peak: 70 units ÷ 70% = 100 RCU all day
    flat = cost_of(asked(70), Mode.AUTO_SCALING, BOOK, FLAT)

    assert cents(flat.reads.usd) == "9.49"
    # an unused table keeps its one WCU: 730 × $0.00065
    assert cents(flat.writes.usd) == "0.47"
    # with a peak of twice the mean the hours' units still average the mean ÷ 70%, rounded up
    assert _provisioned_units(7_000, Mode.AUTO_SCALING, DAY) == pytest.approx(10_000, abs=1)


def test_capacity_is_provisioned_in_whole_units_at_least_one_each() -> None:
    assert _provisioned_units(0, Mode.PROVISIONED, FLAT) == 1
    assert _provisioned_units(1.01, Mode.PROVISIONED, FLAT) == 2
    # 0.1 × 3 ÷ 0.3 is a little above 1 in binary
    assert _provisioned_units(0.1 * 3 / 0.3, Mode.PROVISIONED, FLAT) == 1
    even = Shape(peak_ratio=1, target_utilisation=0.6)
    assert _provisioned_units(6_000, Mode.AUTO_SCALING, even) == 10_000
    # a table and its index need one each
    two = [*asked(0.1), Demand(table="T", index="I", read_units_s=0.1)]
    assert cents(cost_of(two, Mode.PROVISIONED, BOOK, FLAT).reads.usd) == "0.19"


def test_the_free_tier_gives_25_units_of_each_kind_once() -> None:
    free = cost_of(asked(25, 25), Mode.PROVISIONED, BOOK, FLAT, free_tier=True)
    more = cost_of(asked(26, 26), Mode.PROVISIONED, BOOK, FLAT, free_tier=True)
    later = cost_of(asked(5), Mode.PROVISIONED, BOOK, FLAT, after=asked(22), free_tier=True)

    assert free.usd == 0
    # one unit of each: 730 × ($0.00013 + $0.00065)
    assert cents(more.usd) == "0.57"
    # 22 of the 25 are gone, so two of the five are paid
    assert cents(later.reads.usd) == "0.19"


# ---- the day -----------------------------------------------------------------------------


@given(st.floats(1, 20))
def test_a_day_has_its_mean_and_its_peak(peak_ratio: float) -> None:
    curve = _daily_curve(peak_ratio)

    assert len(curve) == 24
    assert sum(curve) / 24 == pytest.approx(1)
    assert max(curve) == pytest.approx(peak_ratio, rel=1e-6)
    assert min(curve) >= -1e-12


# ---- which is cheapest, and from when on --------------------------------------------------


def test_a_unit_that_is_used_all_the_time_pays_from_29_percent_on() -> None:
    """3,600 units an hour: on demand $0.00045, provisioned $0.00013, so from 28.9% use on."""
    fully_used = 3600 * 0.125e-6

    assert 0.00013 / fully_used == pytest.approx(0.2889, abs=1e-4)
    # a peak of 3.4 times the mean uses 29.4% of what holds it, one of 3.5 times 28.6%
    busy, spiky = (Shape(peak_ratio=ratio, target_utilisation=0.7) for ratio in (3.4, 3.5))
    assert break_even_factor(asked(1_000, 100), Mode.PROVISIONED, BOOK, busy) is not None
    assert break_even_factor(asked(1_000, 100), Mode.PROVISIONED, BOOK, spiky) is None


def test_one_unit_of_each_kind_is_the_least_that_can_be_provisioned() -> None:
    # two RCU and one WCU are $0.6643 a month, which on demand is 2.02 reads a second: more than two
    factor = break_even_factor(asked(1), Mode.PROVISIONED, BOOK, FLAT)
    # so it takes a third RCU: $0.7592, or 2.31 reads a second
    assert factor == pytest.approx(730 * (3 * 0.00013 + 0.00065) / (2_628_000 * 0.125e-6))


@given(demand_lists, shapes, st.sampled_from((Mode.PROVISIONED, Mode.AUTO_SCALING)), st.booleans())
# at 28.9% a provisioned unit costs what it does on demand: the two rise almost alike
@example(
    [*asked(9), *asked(0, 1)],
    Shape(peak_ratio=3, target_utilisation=0.2890625),
    Mode.AUTO_SCALING,
    False,
)
def test_the_break_even_is_where_the_costs_cross_for_good(
    demands: list[Demand], shape: Shape, mode: Mode, free_tier: bool
) -> None:
    factor = break_even_factor(demands, mode, BOOK, shape, free_tier=free_tier)

    def difference(times: float) -> float:
        more = [each.times(times) for each in demands]
        provisioned = cost_of(more, mode, BOOK, shape, free_tier=free_tier)
        on_demand = cost_of(more, Mode.ON_DEMAND, BOOK, shape, free_tier=free_tier)
        return float(provisioned.usd - on_demand.usd)

    tolerance = 1e-6
    if factor is None:
        # never for good: at a thousand units of the smallest it is still the dearer
        assert difference(1e6) >= -tolerance
        return
    for beyond in (1.0001, 1.01, 1.5, 3, 10, 100):
        assert difference(factor * beyond) <= tolerance * max(1.0, factor * beyond)
    if factor > 0:
        # nearer than any step begins: there it is the stair that the line meets
        assert difference(factor * (1 - 1e-9)) >= -tolerance * max(1.0, factor)


@given(demand_lists, shapes, st.sampled_from(list(Mode)), st.floats(1, 10))
def test_more_traffic_never_costs_less(
    demands: list[Demand], shape: Shape, mode: Mode, times: float
) -> None:
    less = cost_of(demands, mode, BOOK, shape).usd
    more = cost_of([each.times(times) for each in demands], mode, BOOK, shape).usd

    assert more >= less - Decimal("1e-9")


@given(demand_lists, shapes)
def test_the_cheapest_is_the_least(demands: list[Demand], shape: Shape) -> None:
    costs = [cost_of(demands, mode, BOOK, shape) for mode in Mode]

    assert cheapest(costs).usd == min(each.usd for each in costs)


def test_nothing_asked_has_no_break_even() -> None:
    assert break_even_factor(asked(), Mode.PROVISIONED, BOOK, DAY) is None


# ---- crossings ---------------------------------------------------------------------------


def test_a_fixed_cost_is_paid_back_by_what_is_saved() -> None:
    assert straight_crossing(12.41, 20.0) == pytest.approx(0.6205)
    assert straight_crossing(0, 5) == 0
    assert straight_crossing(12.41, 0) is None
    assert straight_crossing(12.41, -1) is None


@given(st.floats(0.01, 100), st.floats(0.001, 10), st.floats(0, 30), st.floats(0.5, 20))
def test_stairs_and_a_line_cross_last_where_it_is_said(
    usd: float, units_per_x: float, free: float, steepness: float
) -> None:
    groups = [
        StepsOf(usd=usd, free_units=free, steps=(Steps(units_per_x=units_per_x, weight=1.0),))
    ]
    slope = usd * units_per_x * steepness
    x = last_crossing(slope, groups)

    if x is None:
        assert steepness <= 1 + 1e-9
        return
    for more in (1.001, 1.1, 2, 50):
        assert stairs(x * more, groups) <= slope * x * more * (1 + 1e-9) + 1e-9
