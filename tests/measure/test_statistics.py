"""Percentiles, summaries, and whether the intervals hold what they promise."""

import math
import random
import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perfkit.measure.statistics import (
    paired_ratio,
    percentile,
    summarize,
    t_quantile_975,
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


def test_t_agrees_with_the_tables() -> None:
    # NIST/SEMATECH e-Handbook of Statistical Methods, 1.3.6.7.2
    published = {1: 12.706, 2: 4.303, 10: 2.228, 30: 2.042, 31: 2.040, 60: 2.000, 100: 1.984}

    assert {degrees: round(t_quantile_975(degrees), 3) for degrees in published} == published


def test_t_has_no_step_where_the_table_ends() -> None:
    values = [t_quantile_975(degrees) for degrees in range(1, 200)]

    assert values == sorted(values, reverse=True)


def test_t_needs_a_degree_of_freedom() -> None:
    with pytest.raises(ValueError, match="got 0"):
        t_quantile_975(0)


def test_a_ratio_is_baseline_over_candidate() -> None:
    ratio = paired_ratio([0.1, 0.2, 0.4], [0.01, 0.02, 0.04])

    assert ratio.value == pytest.approx(10)
    assert ratio.interval == pytest.approx((10, 10))
    assert ratio.significant


def test_an_interval_by_hand() -> None:
    # logs of 1, e and e², mean 1, standard deviation 1, t(2) = 4.303
    ratio = paired_ratio([1, math.e, math.e**2], [1, 1, 1])

    half = 4.303 / math.sqrt(3)
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
    cases = 1000

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
