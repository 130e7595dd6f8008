"""Percentiles, summaries, and whether the intervals hold what they promise."""

import math
import random
import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perfkit.measure.statistics import (
    find_centre,
    paired_ratio,
    percentile,
    summarize,
    t_quantile,
)

LATENCIES = st.lists(st.floats(1e-7, 3600), min_size=1, max_size=300)


@pytest.mark.parametrize(
    ("fraction", "expected"),
    [(0.01, 1.0), (0.07, 7.0), (0.5, 50.0), (0.9, 90.0), (0.99, 99.0), (0.991, 100.0), (1, 100.0)],
)
def test_a_percentile_is_the_nearest_rank(fraction: float, expected: float) -> None:
    assert percentile([float(number) for number in range(1, 101)], fraction) == expected


@pytest.mark.parametrize("fraction", [0, -0.1, 1.01])
def test_a_fraction_outside_its_range_is_refused(fraction: float) -> None:
    with pytest.raises(ValueError, match="fraction"):
        percentile([1.0], fraction)


def test_nothing_has_no_percentile() -> None:
    with pytest.raises(ValueError, match="no latencies"):
        percentile([], 0.5)


@given(LATENCIES)
def test_percentiles_are_measured_and_do_not_cross(samples_s: list[float]) -> None:
    summary = summarize(samples_s)

    assert summary.min is not None
    in_order = [summary.min, summary.p50, summary.p90, summary.p95, summary.p99, summary.max]
    assert in_order == sorted(in_order)
    assert set(in_order) <= set(samples_s)
    assert summary.min <= summary.mean * (1 + 1e-12)
    assert summary.mean <= summary.max * (1 + 1e-12)
    assert summary.count == len(samples_s)


@given(LATENCIES, st.integers())
def test_a_summary_does_not_depend_on_the_order(samples_s: list[float], seed: int) -> None:
    shuffled = samples_s.copy()
    random.Random(seed).shuffle(shuffled)

    assert summarize(shuffled) == summarize(samples_s)


@pytest.mark.parametrize(
    ("level", "degrees", "quantile"),
    [
        # NIST/SEMATECH e-Handbook of Statistical Methods, 1.3.6.7.2
        (0.95, 1, 12.706),
        (0.95, 2, 4.303),
        (0.95, 4, 2.776),
        (0.95, 10, 2.228),
        (0.95, 30, 2.042),
        (0.95, 60, 2.000),
        (0.95, 100, 1.984),
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


def test_a_few_values_are_trimmed_as_yuen_has_it() -> None:
    """
    By hand: 1, 2, 3, 4, 100 without both ends have the mean 3; drawn in they are 2, 2, 3, 4, 4.

    Their squares about 3 sum to 4, and Yuen's variance is that by h (h - 1) = 6, with 2 degrees.
    """
    centre = find_centre([100.0, 3.0, 1.0, 2.0, 4.0])

    assert (centre.value, centre.degrees) == (3.0, 2.0)
    assert centre.variance == pytest.approx(4 / 6)


def test_many_values_lose_those_that_are_far_off() -> None:
    chance = random.Random(1)
    usual = [chance.gauss(0, 1) for _ in range(40)]

    clean, disturbed = find_centre(usual), find_centre([*usual, *[50.0 + n for n in range(6)]])

    assert clean.value == pytest.approx(statistics.fmean(usual), abs=0.05)
    # the mean of all would be 6.8
    assert disturbed.value == pytest.approx(clean.value, abs=0.05)
    assert disturbed.variance < 1.3 * clean.variance


@pytest.mark.parametrize(
    "values",
    [
        pytest.param([1.0] * 20, id="all equal"),
        pytest.param([1.0] * 12 + [2.0] * 8, id="more than half equal"),
        pytest.param([-1.0, 1.0] * 10, id="two heaps"),
        pytest.param([float(n) ** 9 for n in range(1, 30)], id="ever further apart"),
    ],
)
def test_odd_values_have_a_centre_among_them(values: list[float]) -> None:
    centre = find_centre(values)

    assert min(values) <= centre.value <= max(values)
    assert math.isfinite(centre.variance)
    assert centre.degrees >= 1


def test_no_values_have_no_centre() -> None:
    with pytest.raises(ValueError, match="no values"):
        find_centre([])


def test_a_ratio_is_baseline_over_candidate() -> None:
    ratio = paired_ratio([0.1, 0.2, 0.4], [0.01, 0.02, 0.04])

    assert ratio.value == pytest.approx(10)
    assert ratio.interval == pytest.approx((10, 10))
    assert ratio.significant


def test_an_interval_by_hand() -> None:
    # logs of 1, e and e², mean 1, standard deviation 1, t(2) = 4.303
    ratio = paired_ratio([1, math.e, math.e**2], [1, 1, 1])

    half = 4.302653 / math.sqrt(3)
    assert ratio.value == pytest.approx(math.e)
    assert ratio.interval == pytest.approx((math.exp(1 - half), math.exp(1 + half)))
    assert not ratio.significant


@pytest.mark.parametrize("rounds", [1, 2])
def test_too_few_rounds_have_a_ratio_and_no_interval(rounds: int) -> None:
    ratio = paired_ratio([2.0] * rounds, [1.0] * rounds)

    assert ratio.value == pytest.approx(2)
    assert ratio.interval is None
    assert not ratio.significant


def test_rounds_must_be_pairs() -> None:
    with pytest.raises(ValueError, match=r"longer|shorter"):
        paired_ratio([1.0, 2.0], [1.0])


def test_a_time_too_short_to_see_is_no_division_by_zero() -> None:
    assert math.isfinite(paired_ratio([0.0, 0.0, 1.0], [0.0, 1.0, 0.0]).value)


@given(st.lists(st.tuples(st.floats(1e-5, 10), st.floats(1e-5, 10)), min_size=3, max_size=30))
def test_swapping_the_two_turns_the_ratio_over(pairs: list[tuple[float, float]]) -> None:
    forth = paired_ratio([one for one, _ in pairs], [other for _, other in pairs])
    back = paired_ratio([other for _, other in pairs], [one for one, _ in pairs])

    assert forth.value == pytest.approx(1 / back.value)
    assert forth.interval is not None
    assert back.interval is not None
    assert forth.interval[0] == pytest.approx(1 / back.interval[1])


@given(st.lists(st.floats(1e-3, 1), min_size=3, max_size=20), st.floats(0.01, 100))
def test_drift_that_hits_both_alike_cancels_out(drift: list[float], factor: float) -> None:
    ratio = paired_ratio([each * factor for each in drift], drift)

    assert ratio.interval is not None
    assert ratio.interval[1] / ratio.interval[0] == pytest.approx(1, abs=1e-6)


def simulate(chance: random.Random, rounds: int, factor: float) -> tuple[list[float], list[float]]:
    """
    Return round medians of two variants on a restless machine.

    The machine drifts from round to round (a random walk) and within a round, so that whoever
    comes later has it slower; calls scatter lognormally; one call in twenty meets a neighbour
    and takes up to three times as long. The fast variant is called nine times a turn.
    """
    baseline: list[float] = []
    candidate: list[float] = []
    level = 1.0
    for _ in range(rounds):
        level *= math.exp(chance.gauss(0, 0.10))
        turns = [(baseline, 1, factor), (candidate, 9, 1.0)]
        chance.shuffle(turns)
        for position, (medians, calls, scale) in enumerate(turns):
            medians.append(
                statistics.median(
                    scale
                    * level
                    * (1 + 0.02 * position)
                    * math.exp(chance.gauss(0, 0.05))
                    * (chance.uniform(1.5, 3) if chance.random() < 0.05 else 1)
                    for _ in range(calls)
                )
            )
    return baseline, candidate


@pytest.mark.parametrize("rounds", [3, 5, 20])
@pytest.mark.parametrize("factor", [1.0, 1.1, 300.0])
def test_nineteen_of_twenty_intervals_hold_the_true_ratio(rounds: int, factor: float) -> None:
    """The ratio a quiet machine would show: neighbours may widen an interval, not move it away."""
    chance = random.Random(f"{rounds} {factor}")
    cases = 500

    held = 0
    for _ in range(cases):
        interval = paired_ratio(*simulate(chance, rounds, factor)).interval
        assert interval is not None
        held += interval[0] <= factor <= interval[1]

    assert 0.92 <= held / cases <= 0.99


def test_equal_variants_are_rarely_called_different() -> None:
    chance = random.Random(7)

    called_different = 0
    for _ in range(1000):
        drift = [math.exp(chance.gauss(0, 0.3)) for _ in range(5)]
        one, other = ([each * math.exp(chance.gauss(0, 0.1)) for each in drift] for _ in "ab")
        called_different += paired_ratio(one, other).significant

    assert 0.03 <= called_different / 1000 <= 0.07


def disturbed(
    chance: random.Random, rounds: int, factor: float, share: float, both: bool
) -> tuple[list[float], list[float]]:
    """Return round medians that scatter by 5%; *share* of them take 2 to 5 times as long."""

    def round_s(scale: float, hit: bool) -> float:
        slow = chance.uniform(2, 5) if hit and chance.random() < share else 1.0
        return scale * math.exp(chance.gauss(0, 0.05)) * slow

    return (
        [round_s(factor, True) for _ in range(rounds)],
        [round_s(1.0, both) for _ in range(rounds)],
    )


@pytest.mark.parametrize("both", [False, True], ids=["of one variant", "of both"])
@pytest.mark.parametrize("rounds", [3, 5, 8, 12, 20, 40])
def test_disturbed_rounds_do_not_move_an_interval_away(rounds: int, both: bool) -> None:
    """With the mean of logarithms 20 rounds, 15% of one variant's disturbed, held 72%."""
    chance = random.Random(f"{rounds} {both}")
    cases = 600

    held = 0
    for _ in range(cases):
        interval = paired_ratio(*disturbed(chance, rounds, 1.3, 0.15, both)).interval
        assert interval is not None
        held += interval[0] <= 1.3 <= interval[1]

    # 93%, and what 600 cases may be off: 2 * sqrt(0.93 * 0.07 / 600)
    assert held / cases >= 0.909


@pytest.mark.parametrize(("rounds", "most"), [(8, 1.2), (12, 1.2), (20, 1.15), (40, 1.1)])
def test_an_undisturbed_interval_is_hardly_wider_than_that_of_the_mean(
    rounds: int, most: float
) -> None:
    chance = random.Random(rounds)
    ours, means = [], []
    for _ in range(400):
        logs = [chance.gauss(0, 0.05) for _ in range(rounds)]
        centre = find_centre(logs)
        ours.append(t_quantile(0.95, centre.degrees) * math.sqrt(centre.variance))
        means.append(t_quantile(0.95, rounds - 1) * statistics.stdev(logs) / math.sqrt(rounds))

    assert statistics.median(ours) < most * statistics.median(means)


@pytest.mark.parametrize("rounds", [8, 20])
def test_a_few_disturbed_rounds_leave_an_interval_useful(rounds: int) -> None:
    """The mean's would reach by a factor of 1.4 and more either way."""
    chance = random.Random(rounds)
    widths = []
    for _ in range(400):
        interval = paired_ratio(*disturbed(chance, rounds, 1.0, 0.15, both=False)).interval
        assert interval is not None
        widths.append(math.sqrt(interval[1] / interval[0]))

    assert statistics.median(widths) < 1.12
