"""Changes between separate runs: noise is found to be noise, and a real slowdown is found."""

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perfkit.measure.changes import Method, change_between, t_quantile

REPETITIONS = 250


@pytest.mark.parametrize(
    ("level", "degrees", "quantile"),
    [
        # NIST/SEMATECH e-Handbook 1.3.6.7.2
        (0.95, 1, 12.706),
        (0.95, 2, 4.303),
        (0.95, 4, 2.776),
        (0.95, 10, 2.228),
        (0.98, 5, 3.365),
        (0.99, 8, 3.355),
        (0.998, 4, 7.173),
        (0.998, 30, 3.385),
        pytest.param(0.95, 4.9, 2.776, id="a fraction of a degree is dropped"),
    ],
)
def test_students_t_agrees_with_the_table(level: float, degrees: float, quantile: float) -> None:
    assert t_quantile(level, degrees) == pytest.approx(quantile, abs=0.0006)


@pytest.mark.parametrize(("level", "degrees"), [(0.0, 3), (1.0, 3), (0.95, 0.5)])
def test_students_t_needs_a_level_and_a_degree_of_freedom(level: float, degrees: float) -> None:
    with pytest.raises(ValueError, match="Student's t needs"):
        t_quantile(level, degrees)


def test_pairs_give_the_interval_worked_out_by_hand() -> None:
    # logarithms of the ratios: 0.1, 0.2, 0.3; mean 0.2, deviation 0.1, t(2) = 4.303
    before = [[1.0], [2.0], [4.0]]
    after = [[math.exp(0.1)], [2 * math.exp(0.2)], [4 * math.exp(0.3)]]

    change = change_between(before, after, in_turns=True)

    half = 4.3027 * 0.1 / math.sqrt(3)
    assert change.method is Method.PAIRED
    assert change.ratio == pytest.approx(math.exp(0.2))
    assert change.interval == pytest.approx((math.exp(0.2 - half), math.exp(0.2 + half)), rel=1e-4)


def test_single_runs_are_widened_by_what_rounds_cannot_show() -> None:
    """Rounds without any spread: what is left is the least by which whole runs differ."""
    change = change_between([[1.0] * 20], [[1.2] * 20])

    # t of 1,000 degrees, 1.962, by 5% for each of the two runs: 0.1387
    assert change.method is Method.ROUNDS
    assert change.interval == pytest.approx(
        (1.2 * math.exp(-0.1387), 1.2 * math.exp(0.1387)), rel=1e-3
    )


@pytest.mark.parametrize(
    ("apart", "half"),
    [
        # deviation of the runs 0.1, t(2) = 4.303, and one more of them less the mean of three
        pytest.param(
            0.1, 4.3027 * 0.1 * math.sqrt(1 + 1 / 3), id="the runs differ by more than 5%"
        ),
        # t of 1,000 degrees, and 5% in the place of nothing
        pytest.param(0.0, 1.9623 * 0.05 * math.sqrt(1 + 1 / 3), id="the runs do not differ"),
    ],
)
@pytest.mark.parametrize("other_way", [False, True])
def test_one_run_lies_off_as_far_as_the_several_it_is_held_against(
    apart: float, half: float, other_way: bool
) -> None:
    several = [[math.exp(apart * each)] * 5 for each in (-1, 0, 1)]
    one = [[math.exp(0.7)] * 5]

    change = change_between(*((one, several) if other_way else (several, one)))

    ratio = math.exp(-0.7 if other_way else 0.7)
    assert change.method is Method.ONE
    assert change.interval == pytest.approx(
        (ratio * math.exp(-half), ratio * math.exp(half)), rel=1e-4
    )


@pytest.mark.parametrize("variants", [1, 16])
def test_noise_of_one_run_against_five_is_no_change(variants: int) -> None:
    """Whole runs differ by 8% and their rounds by 3%: what the one's rounds cannot show."""
    chance = random.Random(20260101)
    found = 0
    for _ in range(REPETITIONS):
        changes = [
            change_between(
                *(
                    [
                        measured(chance, rounds=5, run_to_run=0.08, round_to_round=0.03)
                        for _ in range(runs)
                    ]
                    for runs in (5, 1)
                ),
                comparisons=variants,
            )
            for _ in range(variants)
        ]
        found += any(each.significant for each in changes)

    assert found / REPETITIONS <= 0.078


@pytest.mark.parametrize("rounds", [1, 2])
def test_too_few_rounds_of_a_single_run_allow_no_statement(rounds: int) -> None:
    change = change_between([[1.0] * rounds], [[9.0] * 30])

    assert change.ratio == pytest.approx(9)
    assert (change.interval, change.method, change.significant) == (None, None, False)


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


def test_an_interval_too_wide_to_mean_anything_is_none() -> None:
    """
    Two runs a side at 1 - 0.05 / 100 with a degree of freedom: t is 1,273 (1 / tan(pi / 4000)).

    The middles are 0.0101, 0.0404 and 0.0101, 0.0102: half the interval is 1,273 times 0.69, and
    e to the 883 is beyond every float.
    """
    before = [[0.01, 0.0102, 0.0101], [0.04, 0.0408, 0.0404]]
    after = [[0.01, 0.0103, 0.0101], [0.0101, 0.0102, 0.0104]]

    change = change_between(before, after, comparisons=100)

    assert change.ratio == pytest.approx(math.sqrt(0.0101 * 0.0102 / (0.0101 * 0.0404)))
    assert (change.interval, change.method, change.significant) == (None, None, False)


@pytest.mark.parametrize(("spread", "told"), [(0.77, True), (0.78, False)])
def test_a_factor_of_a_thousand_is_the_widest(spread: float, told: bool) -> None:
    """Runs at 0 and *spread* on one side: t(1) = 12.706 by spread / 2 reaches log(1000) at 1.087."""
    scale = 1.0873 / 0.775
    before, after = [[1.0], [math.exp(spread * scale)]], [[1.0], [1.0]]

    change = change_between(before, after)

    assert (change.interval is not None) is told


@given(
    st.lists(st.lists(st.floats(1e-6, 1e3), min_size=3, max_size=8), min_size=1, max_size=4),
    st.lists(st.lists(st.floats(1e-6, 1e3), min_size=3, max_size=8), min_size=1, max_size=4),
)
def test_the_other_way_round_is_the_reciprocal(
    before: list[list[float]], after: list[list[float]]
) -> None:
    there, back = change_between(before, after), change_between(after, before)

    assert there.ratio == pytest.approx(1 / back.ratio)
    if there.interval is None or back.interval is None:
        assert there.interval is back.interval
        return
    assert there.interval == pytest.approx((1 / back.interval[1], 1 / back.interval[0]), rel=1e-6)


def measured(
    chance: random.Random, *, rounds: int, run_to_run: float, round_to_round: float, at: float = 1.0
) -> list[float]:
    """Rounds of one run as a shared machine makes them: off as a whole, each like the last, bursts."""
    whole, noise = chance.gauss(0, run_to_run), 0.0
    values = []
    for _ in range(rounds):
        noise = 0.5 * noise + chance.gauss(0, round_to_round * math.sqrt(0.75))
        burst = 5 * round_to_round * chance.expovariate(1) if chance.random() < 0.05 else 0.0
        values.append(0.01 * at * math.exp(whole + noise + burst))
    return values


def alarms(
    *,
    runs: int,
    rounds: int = 5,
    run_to_run: float,
    round_to_round: float,
    slowdown: float = 1.0,
    variants: int = 1,
    comparisons: int | None = None,
    in_turns: bool = True,
) -> float:
    """Return the share of comparisons in which any of the variants is found to have changed."""
    chance = random.Random(20260101)
    found = 0
    for _ in range(REPETITIONS):
        results = []
        for _ in range(variants):
            # drift of the machine, which hits the two runs of a pair alike
            drift = [chance.gauss(0, run_to_run) for _ in range(runs)]
            sides = [
                [
                    measured(
                        chance,
                        rounds=rounds,
                        run_to_run=run_to_run,
                        round_to_round=round_to_round,
                        at=at * math.exp(shift if in_turns else 0.0),
                    )
                    for shift in drift
                ]
                for at in (1.0, slowdown)
            ]
            results.append(
                change_between(*sides, in_turns=in_turns, comparisons=comparisons or variants)
            )
        found += any(each.significant for each in results)
    return found / REPETITIONS


@pytest.mark.parametrize("variants", [1, 16])
@pytest.mark.parametrize(
    ("runs", "run_to_run", "round_to_round", "in_turns"),
    [
        pytest.param(1, 0.02, 0.03, False, id="one run a side, quiet"),
        pytest.param(1, 0.15, 0.2, False, id="one run a side, as on a shared machine"),
        pytest.param(3, 0.15, 0.2, True, id="three in turns, shared"),
        pytest.param(5, 0.05, 0.05, True, id="five in turns"),
        pytest.param(5, 0.15, 0.2, True, id="five in turns, shared"),
        pytest.param(5, 0.15, 0.2, False, id="five a side, shared"),
        pytest.param(2, 0.15, 0.2, False, id="two a side, shared"),
    ],
)
def test_noise_is_called_a_change_in_one_comparison_of_twenty_at_most(
    runs: int, run_to_run: float, round_to_round: float, in_turns: bool, variants: int
) -> None:
    share = alarms(
        runs=runs,
        run_to_run=run_to_run,
        round_to_round=round_to_round,
        in_turns=in_turns,
        variants=variants,
    )

    # 5% and what 250 repetitions may be off: 2 * sqrt(0.05 * 0.95 / 250)
    assert share <= 0.078


@pytest.mark.parametrize(
    ("runs", "rounds", "run_to_run", "round_to_round", "comparisons"),
    [
        pytest.param(1, 11, 0.02, 0.02, 1, id="one run a side, quiet"),
        pytest.param(5, 5, 0.03, 0.05, 16, id="five in turns, one of sixteen"),
        pytest.param(8, 5, 0.05, 0.1, 16, id="eight in turns, less quiet"),
    ],
)
def test_a_slowdown_by_thirty_percent_is_found(
    runs: int, rounds: int, run_to_run: float, round_to_round: float, comparisons: int
) -> None:
    share = alarms(
        runs=runs,
        rounds=rounds,
        run_to_run=run_to_run,
        round_to_round=round_to_round,
        slowdown=1.3,
        comparisons=comparisons,
    )

    assert share >= 0.8
