"""The measures of a load test, held against figures worked out by hand."""

from dataclasses import replace
from typing import Any

import pytest

from perfkit.analysis.measures import _MEASURES, OVERALL, measures_of
from perfkit.measure.histogram import Histogram
from perfkit.measure.statistics import summarize
from perfkit.runs import (
    CacheFigures,
    HttpFigures,
    InstanceSample,
    LoadModel,
    LoadSettings,
    LoadTest,
    Run,
    RunKind,
    Variant,
)
from perfkit.workloads.gates import _METRICS

SAMPLES_S = [each / 1000 for each in range(1, 201)]


def endpoint(question: str, **changes: Any) -> Variant:
    """Two hundred requests of 1 to 200 ms each, of which three failed."""
    variant = Variant(
        name="load",
        question=question,
        operation=question or "all requests",
        calls=200,
        requests=200,
        errors=3,
        items_read=None,
        items_returned=0,
        bytes_read=None,
        capacity_units=2.0,
        capacity_source="embedded",
        latency_s=summarize(SAMPLES_S),
        histogram=Histogram(SAMPLES_S).encode(),
        cache=CacheFigures(hits=180, misses=19, errors=1),
        http=HttpFigures(
            requests_per_s=20.0,
            statuses={"200": 197, "404": 1, "503": 1},
            errors_by_kind={"timeout": 1, "status 404": 1, "status 503": 1},
            service_s=summarize([each / 2 for each in SAMPLES_S]),
            service_histogram="",
            write_units=1.0,
        ),
    )
    return replace(variant, **changes)


def load_run(*variants: Variant, **changes: Any) -> Run:
    test = LoadTest(
        settings=LoadSettings(model=LoadModel.OPEN, users=10, duration_s=10.0, rate_hz=20.0)
    )
    return Run(
        kind=RunKind.LOAD,
        scenario="load",
        workload="courses",
        target={"kind": "embedded"},
        started_at="2026-01-01T00:00:00Z",
        variants=variants,
        load_test=replace(test, **changes),
    )


def test_measures_have_the_values_that_a_hand_works_out() -> None:
    found = measures_of(load_run(endpoint(OVERALL), endpoint("GET /a", cache=None)))

    assert found[OVERALL] == {
        "requests": 200,
        "rate": 20.0,
        "errors": 3,
        "error_rate": 0.015,
        "status_4xx": 1,
        "status_5xx": 1,
        "mean_ms": pytest.approx(100.5),
        "p50_ms": 100.0,
        "p90_ms": 180.0,
        "p95_ms": 190.0,
        "p99_ms": 198.0,
        "max_ms": 200.0,
        "service_mean_ms": pytest.approx(50.25),
        "service_p95_ms": 95.0,
        "service_p99_ms": 99.0,
        "hit_rate": 0.9,
        "rcu_per_request": 2.0,
        "wcu_per_request": 1.0,
        # us-east-1, on demand: $0.125 a million read units, $0.625 a million write units
        "usd_per_million": pytest.approx(2 * 0.125 + 0.625),
        "cpu": None,
        "unhealthy": None,
    }
    assert found["GET /a"]["hit_rate"] is None
    assert all(set(each) == set(_MEASURES) for each in found.values())


def test_a_gate_can_be_about_each_measure_and_about_nothing_else() -> None:
    assert set(_METRICS) == set(_MEASURES)


def test_what_a_service_does_not_say_has_no_value() -> None:
    run = load_run(endpoint(OVERALL, capacity_units=None, http=None, cache=None))

    found = measures_of(run)[OVERALL]

    assert {name for name, value in found.items() if value is None} == {
        "rate", "status_4xx", "status_5xx", "service_mean_ms", "service_p95_ms", "service_p99_ms",
        "hit_rate", "rcu_per_request", "wcu_per_request", "usd_per_million", "cpu", "unhealthy",
    }  # fmt: skip


def test_a_percentile_that_no_request_lies_above_has_no_value() -> None:
    run = load_run(endpoint(OVERALL, latency_s=summarize(SAMPLES_S[:50])))

    found = measures_of(run)[OVERALL]

    assert (found["p95_ms"], found["p99_ms"]) == (48.0, None)


def test_instances_count_by_the_busiest_and_by_the_worst_moment() -> None:
    samples = [
        InstanceSample(at_s=1.0, instance="a", healthy=True, cpu_share=0.2),
        InstanceSample(at_s=1.0, instance="b", healthy=True, cpu_share=0.5),
        InstanceSample(at_s=2.0, instance="a", healthy=False, cpu_share=0.4),
        InstanceSample(at_s=2.0, instance="b", healthy=False, cpu_share=0.7),
        InstanceSample(at_s=3.0, instance="a", healthy=False),
        InstanceSample(at_s=3.0, instance="b", healthy=True),
    ]

    found = measures_of(load_run(endpoint(OVERALL), instances=tuple(samples)))[OVERALL]

    assert found["cpu"] == pytest.approx(0.6)
    assert found["unhealthy"] == 2


def test_a_run_without_requests_and_one_of_another_kind_have_no_measures() -> None:
    assert measures_of(load_run()) == {}
    assert measures_of(replace(load_run(endpoint(OVERALL)), kind=RunKind.PHASES)) == {}


def test_instances_that_are_looked_at_one_after_the_other_are_unhealthy_together() -> None:
    looks = [(0.0, "a", True), (0.1, "b", True), (1.0, "a", False), (1.3, "b", False)]
    looks += [(2.0, "a", True), (2.1, "b", False), (3.1, "b", True)]
    samples = tuple(
        InstanceSample(at_s=at_s, instance=name, healthy=healthy) for at_s, name, healthy in looks
    )

    assert measures_of(load_run(endpoint(OVERALL), instances=samples))[OVERALL]["unhealthy"] == 2
