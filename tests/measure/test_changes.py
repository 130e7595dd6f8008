"""Changes between separate runs: worked out by hand, and never surer than the runs allow."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perfkit.measure.changes import (
    _LEAST_SPREAD,
    STATED_SPREAD,
    Method,
    Spread,
    change_between,
    find_spread,
)

# t of 1,000 degrees of freedom at 95%
T = 1.9623


def runs(*middles: float, rounds: int = 5) -> list[list[float]]:
    """Runs whose rounds are all alike."""
    return [[middle] * rounds for middle in middles]


def test_pairs_give_the_interval_worked_out_by_hand() -> None:
    # logarithms of the ratios: 0.1, 0.2, 0.3; mean 0.2, deviation 0.1, t(2) = 4.303
    before = [[1.0], [2.0], [4.0]]
    after = [[math.exp(0.1)], [2 * math.exp(0.2)], [4 * math.exp(0.3)]]

    change = change_between(before, after, in_turns=True)

    half = 4.3027 * 0.1 / math.sqrt(3)
    assert (change.method, change.spread) == (Method.PAIRED, None)
    assert change.ratio == pytest.approx(math.exp(0.2))
    assert change.interval == pytest.approx((math.exp(0.2 - half), math.exp(0.2 + half)), rel=1e-4)


def test_a_disturbed_pair_of_eight_does_not_decide() -> None:
    after = [1.3 + number / 1000 for number in range(7)]

    change = change_between(runs(*[1.0] * 8), runs(*after, 9.0), in_turns=True)

    assert change.ratio == pytest.approx(1.304, abs=0.002)
    assert change.interval is not None
    assert change.interval[1] < 1.31


def test_a_gate_holds_its_upper_end_against_each_row_alone() -> None:
    """At 1 - 0.05 / 10 with two degrees of freedom t is 14.09; alone it is 4.303."""
    after = [math.exp(0.1), math.exp(0.2), math.exp(0.3)]

    change = change_between(runs(1, 1, 1), runs(*after), in_turns=True, comparisons=10)

    low, high = (factor * 0.1 / math.sqrt(3) for factor in (14.0890, 4.3027))
    assert change.gate == pytest.approx((math.exp(0.2 - low), math.exp(0.2 + high)), rel=1e-4)
    assert change.interval is not None
    assert change.interval[1] == pytest.approx(math.exp(0.2 + low), rel=1e-4)


@pytest.mark.parametrize("count", [2, 8, 50])
def test_runs_that_took_no_turns_may_lie_off_as_a_whole(count: int) -> None:
    """However many there are: without any scatter, what is left is 25% for each of the sides."""
    change = change_between(runs(*[1.0] * count), runs(*[1.4] * count))

    half = T * 0.25 * math.sqrt(2)
    assert (change.method, change.spread) == (Method.RUNS, STATED_SPREAD)
    assert change.interval == pytest.approx((1.4 * math.exp(-half), 1.4 * math.exp(half)), rel=1e-3)


def test_a_control_stands_for_the_turns() -> None:
    # deviation 0.1 a side of three: standard error 0.1 * sqrt(2 / 3), t(4) = 2.776
    sides = [runs(*(math.exp(at + each) for each in (-0.1, 0, 0.1))) for at in (0.0, 0.3)]

    change = change_between(*sides, controlled=True)

    half = 2.7764 * 0.1 * math.sqrt(2 / 3)
    assert (change.method, change.spread) == (Method.RUNS, None)
    assert change.interval == pytest.approx((math.exp(0.3 - half), math.exp(0.3 + half)), rel=1e-4)


@pytest.mark.parametrize(
    ("before", "after", "controlled", "sides"),
    [
        pytest.param(1, 1, False, 2, id="one run a side"),
        pytest.param(1, 1, True, 2, id="one run a side, with a control"),
        pytest.param(1, 5, False, 2, id="one against several"),
        pytest.param(5, 1, True, 1, id="several against one, with a control"),
    ],
)
def test_a_single_run_may_lie_off_as_far_as_runs_are_known_to(
    before: int, after: int, controlled: bool, sides: int
) -> None:
    change = change_between(runs(*[1.0] * before), runs(*[1.2] * after), controlled=controlled)

    half = T * 0.25 * math.sqrt(sides)
    assert change.method is Method.SINGLE
    assert change.interval == pytest.approx((1.2 * math.exp(-half), 1.2 * math.exp(half)), rel=1e-3)


def test_what_earlier_runs_differed_by_takes_the_place_of_what_is_stated() -> None:
    # six runs: t(5) = 2.571
    change = change_between(runs(1.0), runs(1.2), spread=Spread(deviation=0.1, degrees=5, runs=6))

    half = 2.5706 * 0.1 * math.sqrt(2)
    assert change.interval == pytest.approx((1.2 * math.exp(-half), 1.2 * math.exp(half)), rel=1e-4)


def test_rounds_that_scatter_are_allowed_for_besides() -> None:
    quiet = change_between(runs(1.0), runs(1.2))
    scattered = change_between([[0.5, 0.7, 1.0, 1.4, 2.0]], runs(1.2))

    assert quiet.interval is not None
    assert scattered.interval is not None
    assert scattered.interval[1] / scattered.interval[0] > quiet.interval[1] / quiet.interval[0]


@pytest.mark.parametrize(
    ("apart", "deviation"),
    [(0.2, 0.2 * math.sqrt(2.5)), (0.01, _LEAST_SPREAD)],
)
def test_a_spread_is_that_of_the_runs_but_never_below_the_least_seen(
    apart: float, deviation: float
) -> None:
    spread = find_spread(runs(*(math.exp(apart * each) for each in (-2, -1, 0, 1, 2))))

    assert spread.deviation == pytest.approx(deviation)
    assert (spread.degrees, spread.runs) == (4, 5)


@pytest.mark.parametrize("rounds", [1, 2])
def test_too_few_rounds_of_a_single_run_allow_no_statement(rounds: int) -> None:
    change = change_between([[1.0] * rounds], [[9.0] * 30])

    assert change.ratio == pytest.approx(9)
    assert (change.interval, change.gate, change.method) == (None, None, None)
    assert not change.significant


@pytest.mark.parametrize(("before", "after"), [([], [[1.0]]), ([[1.0]], [[]])])
def test_nothing_cannot_be_compared(before: list[list[float]], after: list[list[float]]) -> None:
    with pytest.raises(ValueError, match="at least one run"):
        change_between(before, after)


def test_more_comparisons_make_wider_intervals() -> None:
    sides = [[1.0, 1.1, 0.9, 1.05]], [[1.4, 1.5, 1.3, 1.45]]

    alone, among_twenty = change_between(*sides), change_between(*sides, comparisons=20)

    assert alone.interval is not None
    assert among_twenty.interval is not None
    assert among_twenty.interval[0] < alone.interval[0] < alone.ratio < alone.interval[1]
    assert alone.interval[1] < among_twenty.interval[1]


@pytest.mark.parametrize(("spread", "known"), [(0.77, True), (0.78, False)])
def test_a_factor_of_a_thousand_is_the_widest(spread: float, known: bool) -> None:
    """Runs at 0 and *spread* on one side: t(1) = 12.706 by spread / 2 reaches log(1000) at 1.087."""
    scale = 1.0873 / 0.775
    before, after = runs(1.0, math.exp(spread * scale)), runs(1.0, 1.0)

    change = change_between(before, after, controlled=True)

    assert (change.interval is not None) is known
    assert (change.method is not None) is known


@given(
    st.lists(st.lists(st.floats(1e-6, 1e3), min_size=3, max_size=8), min_size=1, max_size=4),
    st.lists(st.lists(st.floats(1e-6, 1e3), min_size=3, max_size=8), min_size=1, max_size=4),
    st.booleans(),
)
def test_the_other_way_round_is_the_reciprocal(
    before: list[list[float]], after: list[list[float]], controlled: bool
) -> None:
    there = change_between(before, after, controlled=controlled)
    back = change_between(after, before, controlled=controlled)

    assert there.ratio == pytest.approx(1 / back.ratio)
    if there.interval is None or back.interval is None:
        assert there.interval is back.interval
        return
    assert there.interval == pytest.approx((1 / back.interval[1], 1 / back.interval[0]), rel=1e-6)
