"""Doubts: which measurements are questioned, why, and with which advice."""

import random
import statistics
from array import array

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perfkit.measure.doubts import (
    _modified_z_scores,
    doubt_intervals,
    doubt_machine,
    doubt_series,
)
from perfkit.measure.machine import Load, LoadBetween
from perfkit.measure.measurement import Measurement
from perfkit.measure.rounds import Plan
from perfkit.measure.statistics import Ratio
from perfkit.runs import Doubt
from perfkit.units import TIMES

ADAPTIVE = Plan(min_time_s=3)
FIXED = Plan(iterations=20)


def make_series(samples_s: list[float]) -> Measurement:
    return Measurement(samples_s=array("d", samples_s), rounds_s=samples_s)


def steady(calls: int = 100, middle_s: float = 0.1) -> list[float]:
    chance = random.Random(1)
    return [middle_s * chance.gauss(1, 0.03) for _ in range(calls)]


def texts(samples_s: list[float], plan: Plan = ADAPTIVE) -> list[str]:
    return [str(doubt) for doubt in doubt_series({"query": make_series(samples_s)}, plan)]


def test_steady_calls_are_not_doubted() -> None:
    assert texts(steady()) == []


def test_calls_that_are_all_equal_are_not_doubted() -> None:
    assert texts([0.1] * 100) == []


def test_a_slow_first_call_is_pointed_out() -> None:
    (text,) = texts([0.5, *steady(50)])

    assert text.startswith("query: the first call took 500 ms, the others 100 ms")
    assert "measure again" in text


def test_a_slow_first_call_among_hundreds_is_no_matter() -> None:
    assert texts([0.5, *steady(300)]) == []


def test_the_first_of_a_few_calls_is_held_against_the_others() -> None:
    assert "the first call took 160 ms" in " ".join(texts([0.16, 0.1, 0.1]))
    assert "the first call" not in " ".join(texts([0.14, 0.1, 0.1]))
    assert "the first call" not in " ".join(texts([0.1, 0.16, 0.1]))


def test_many_outliers_are_counted_with_the_worst() -> None:
    (text,) = texts([*steady(90), *([0.9] * 10)])

    assert text.startswith("query: 10 of 100 calls took far longer than the others (up to 900 ms)")


def test_a_few_outliers_are_the_tail_that_p99_shows() -> None:
    assert texts([*steady(97), 0.9, 0.9, 0.9]) == []


def test_few_calls_have_no_high_percentiles() -> None:
    (text,) = texts([0.1, 0.1, 0.1])

    assert text == (
        "query: only 3 calls, too few for p90, p95 and p99;"
        " raise --min-time above 3, or give --iterations"
    )


def test_one_call_is_a_call() -> None:
    assert "only 1 call," in texts([0.1])[0]


def test_advice_knows_the_options_used() -> None:
    (text,) = texts([0.1, 0.1], FIXED)

    assert text.endswith("raise --iterations above 20")


def test_variants_that_share_a_doubt_are_named_together() -> None:
    series = {name: make_series([0.1] * 3) for name in ("scan", "scan-filtered")}

    (doubt,) = doubt_series(series, ADAPTIVE)

    assert doubt.reason.startswith("scan, scan-filtered: only 3 calls,")


def test_variants_with_few_calls_are_not_all_said_to_have_the_fewest() -> None:
    series = {"phase-0": make_series([0.1] * 6), "phase-1-cold": make_series([0.1])}

    (doubt,) = doubt_series(series, ADAPTIVE)

    assert doubt.reason.startswith("phase-0, phase-1-cold: only 1 to 6 calls,")


def test_rounds_that_scatter_show_a_noisy_machine() -> None:
    (text,) = texts([0.1, 0.2, 0.3, 0.15, 0.25] * 4)

    assert "latency differs by up to" in text
    assert "between rounds; close other programs" in text


def test_no_interval_and_a_wide_one_are_doubted_a_narrow_one_not() -> None:
    ratios = {
        ("scan", "none"): Ratio(value=2.0, interval=None, rounds=2),
        ("scan", "wide"): Ratio(value=2.0, interval=(1.0, 4.0), rounds=3),
        ("scan", "narrow"): Ratio(value=2.0, interval=(1.9, 2.1), rounds=3),
    }

    none, wide = doubt_intervals(ratios, FIXED)

    assert none.reason == (
        "scan against none: only 2 rounds, too few for an interval, so none of these differences"
        " is significant"
    )
    assert wide.reason == (
        "scan against wide: after 3 rounds the ratio may be anything from"
        f" 1.00{TIMES} to 4.00{TIMES}"
    )
    assert wide.hint == "more rounds narrow it: raise --iterations above 20"


def test_too_few_rounds_are_told_once_for_all_comparisons() -> None:
    single = Ratio(value=2.0, interval=None, rounds=1)
    double = Ratio(value=2.0, interval=None, rounds=2)
    pairs = {("scan", "query"): single, ("users scan", "get"): double, ("scan", "get"): single}

    (doubt,) = doubt_intervals(pairs, FIXED)

    assert doubt.reason == (
        "scan against query, get; users scan against get: only 1 to 2 rounds, too few for an"
        " interval, so no difference is significant"
    )


def make_load(
    *, own: float = 0, busy: float | None = None, stolen: float = 0, idle: float = 0,
    average: float | None = None,
) -> Load:  # fmt: skip
    if busy is None:
        return Load(own_cpu_s=own, load_average=average)
    return Load(
        own_cpu_s=own,
        busy_s=busy,
        stolen_s=stolen,
        total_s=busy + stolen + idle,
        load_average=average,
    )


def doubts_between(before: Load, after: Load) -> list[Doubt]:
    return list(doubt_machine(LoadBetween(before=before, after=after), cores=2))


def test_perfkits_own_work_is_not_held_against_the_machine() -> None:
    before, after = make_load(busy=100), make_load(own=10, busy=110, idle=10, average=9.0)

    assert doubts_between(before, after) == []


def test_other_programs_are_named_with_their_share() -> None:
    (doubt,) = doubts_between(make_load(busy=0), make_load(own=5, busy=10, idle=10))

    assert doubt.reason == "other programs used 25% of this machine's CPU time"


def test_a_greedy_hypervisor_is_named() -> None:
    (doubt,) = doubts_between(make_load(busy=0), make_load(own=9, busy=9, stolen=1, idle=10))

    assert doubt.reason == "the hypervisor took 5% of this machine's CPU time away"


def test_without_counters_the_load_average_before_decides() -> None:
    (doubt,) = doubts_between(make_load(average=3.5), make_load(average=0.0))

    assert "load average 3.5 on 2 cores" in doubt.reason
    assert doubts_between(make_load(average=1.5), make_load(average=9.0)) == []


def test_too_short_a_time_says_nothing() -> None:
    assert doubts_between(make_load(busy=0), make_load(busy=0.4)) == []


@given(st.lists(st.floats(1e-6, 100), min_size=1, max_size=50))
def test_scores_rise_with_the_values(values: list[float]) -> None:
    scores = _modified_z_scores(values)

    assert [value for _, value in sorted(zip(scores, values, strict=True))] == sorted(values)


def test_scores_count_standard_deviations_of_ordinary_scatter() -> None:
    chance = random.Random(3)
    values = [chance.gauss(10, 2) for _ in range(10_000)]

    scores = _modified_z_scores([*values, 30.0])

    assert statistics.stdev(scores[:-1]) == pytest.approx(1, abs=0.03)
    assert scores[-1] == pytest.approx(10, abs=0.3)
