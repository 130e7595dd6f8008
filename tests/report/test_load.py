"""Load tests in reports and comparisons, from figures that a hand put together."""

from dataclasses import replace
from typing import Any

import pytest

from perfkit.analysis.matching import match_sides
from perfkit.analysis.sides import Side
from perfkit.errors import ConfigError
from perfkit.measure.histogram import Histogram
from perfkit.measure.statistics import summarize
from perfkit.report import formats
from perfkit.report.build import build_report, build_screen
from perfkit.report.model import Curves
from perfkit.report.plain import fit, render_blocks, render_report
from perfkit.report.sections import Topic
from perfkit.report.sections.load import blocks_of
from perfkit.runs import (
    CacheFigures,
    CloudMetric,
    Doubt,
    DoubtKind,
    GateOutcome,
    HttpFigures,
    InstanceSample,
    LoadModel,
    LoadSecond,
    LoadSettings,
    LoadTest,
    Run,
    RunKind,
    ServiceFigures,
    Variant,
)


def variant(question: str, factor: float = 1.0, **changes: Any) -> Variant:
    samples_s = [factor * each / 1000 for each in range(1, 201)]
    made = Variant(
        name="load",
        question=question,
        operation=question or "all requests",
        calls=200,
        requests=200,
        errors=0,
        items_read=None,
        items_returned=0,
        bytes_read=None,
        capacity_units=1.5,
        capacity_source="embedded",
        latency_s=summarize(samples_s),
        histogram=Histogram(samples_s).encode(),
        rounds_s=tuple(factor * (0.1 + number / 1000) for number in range(10)),
        cache=CacheFigures(hits=190, misses=10, errors=0),
        service=ServiceFigures(
            switches={}, requests_per_s=20 / factor, read_units_per_s=30.0, failed_share=0.0,
            healthy=1, instances=1, cpu_s=0.01, cpu_share=0.2, stages_s={"db": 0.01},
        ),
        http=HttpFigures(
            requests_per_s=20.0, statuses={"200": 200}, errors_by_kind={},
            service_s=summarize(samples_s), service_histogram="", write_units=0.0,
        ),
    )  # fmt: skip
    return replace(made, **changes)


def run_of(phase: int, factor: float = 1.0, users: int = 50, **changes: Any) -> Run:
    test = LoadTest(
        settings=LoadSettings(
            model=LoadModel.CLOSED, users=users, duration_s=10.0, think_s=0.2, mix="courses",
            phase=phase, switches={"cache": phase > 0}, urls=(f"http://127.0.0.1:{phase + 1}",),
        ),
        measured_s=10.0,
        lag_p99_s=0.001,
        generator_cpu_share=0.3,
    )  # fmt: skip
    return Run(
        kind=RunKind.LOAD,
        scenario="load",
        workload="courses",
        target={"kind": "embedded"},
        started_at=f"2026-01-0{phase + 1}T00:00:00Z",
        id=f"load-{phase}",
        machine={"cpu": "Testing CPU", "cores": 2},
        variants=(variant("", factor), variant("GET /api/courses", factor)),
        load_test=replace(test, **changes),
    )


def test_a_report_shows_each_phase_with_its_gates() -> None:
    gates = (
        GateOutcome(gate="p95_ms < 200", value=190.0, verdict="pass", reason="p95_ms is 190"),
        GateOutcome(gate="hit_rate > 0.99", value=0.95, verdict="fail", reason="hit_rate is 0.95"),
    )

    report = build_report([run_of(0, 20.0), run_of(3, gates=gates)], topics=[Topic.LATENCY])
    text = formats.render_text(report, formats.Format.MARKDOWN)

    assert "Load on phase 0" in text
    assert "Load on phase 3" in text
    assert "50 users with 0.2 s to think, for 10 s" in text
    # in Markdown for a pull request the comparison's sign is escaped
    assert "0.95" in text
    assert "FAIL" in text


def test_a_report_draws_what_a_test_was_like_from_second_to_second() -> None:
    seconds = tuple(
        LoadSecond(
            at_s=float(number), users=5, requests=10 * number, errors=number, p50_s=0.01, p95_s=0.02
        )
        for number in range(1, 4)
    )

    (section,) = build_report([run_of(0, seconds=seconds)], topics=[Topic.LATENCY]).sections[-1:]
    charts = {each.title: each for each in section.blocks if isinstance(each, Curves)}

    # the service says no units and no throttles
    assert list(charts) == [
        "Response time",
        "Requests answered a second",
        "Failed requests a second",
    ]
    (answered,) = charts["Requests answered a second"].curves
    (failed,) = charts["Failed requests a second"].curves
    assert [(each.x, each.y) for each in answered.points] == [(1, 9), (2, 18), (3, 27)]
    assert [each.y for each in failed.points] == [1, 2, 3]


def test_where_no_request_failed_no_failures_are_drawn() -> None:
    seconds = tuple(
        LoadSecond(at_s=float(number), users=5, requests=10, errors=0, p50_s=0.01, p95_s=0.02)
        for number in range(1, 4)
    )

    (section,) = build_report([run_of(0, seconds=seconds)], topics=[Topic.LATENCY]).sections[-1:]

    assert "Failed requests a second" not in {
        each.title for each in section.blocks if isinstance(each, Curves)
    }


def test_a_report_about_a_mix_is_not_headed_as_a_workload() -> None:
    run = of_a_shop()

    assert build_report([run]).heading == f"{run.description}: {run.workload}"


def test_an_invalid_run_says_so_in_the_report_and_on_the_screen() -> None:
    run = run_of(3, invalid=("the generator was saturated: 97% of a core",))

    report = build_report([run], topics=[Topic.LATENCY])
    screen = render_blocks(build_screen([run], next_step=""), 80)

    assert "INVALID: the generator was saturated: 97% of a core." in formats.render_text(
        report, formats.Format.MARKDOWN
    )
    assert "(invalid)" in screen


def test_one_screen_has_a_line_for_each_phase() -> None:
    screen = render_blocks(build_screen([run_of(0), run_of(3)], next_step=""), 120)

    assert "Load: phase 0: 50 users, 20 requests/s, p95 190 ms, no errors, hits 95%" in screen
    assert "Load: phase 3: " in screen


def test_the_dashboard_compares_the_first_phase_with_the_last() -> None:
    runs = [run_of(0, 20.0), run_of(2, 2.0), run_of(3)]

    (section,) = [
        each
        for each in build_report(runs, topics=[Topic.DASHBOARD]).sections
        if each.name == "dashboard"
    ]
    text = render_blocks(section.blocks, 100)

    assert "phase 0, measured" in text
    assert "phase 3, measured" in text
    assert "phase 2" not in text
    # means of 2,010 ms and 100.5 ms: 1 - 1/20
    assert "Response time, measured: 95% improvement" in text
    assert "Throughput, measured: 1,900% increase" in text


def test_the_dashboard_comes_first_and_warns_of_its_own_runs_only() -> None:
    doubtful = replace(run_of(3), doubts=(Doubt(DoubtKind.DATA, "of the load"),))
    bench = replace(
        doubtful,
        kind=RunKind.SCENARIO,
        scenario="course-list",
        target={"kind": "aws", "region": "eu-west-1"},
        load_test=None,
        doubts=(Doubt(DoubtKind.DATA, "of the bench"),),
    )

    report = build_report([bench, doubtful], topics=[Topic.DASHBOARD])

    assert report.title == "perfkit report: workload courses, target embedded"
    assert [each.name for each in report.sections] == ["dashboard", "warnings"]
    text = render_report(fit(report, width=120, more=""), 120)
    assert "of the load" in text
    assert "of the bench" not in text
    # the status names limits, and they are on the same screen
    assert "GOOD by the limits" in text
    assert "EXCELLENT up to a mean of 100 ms" in text


def test_the_dashboard_says_no_change_between_different_loads() -> None:
    (section,) = [
        each
        for each in build_report([run_of(0, users=4), run_of(3)], topics=[Topic.DASHBOARD]).sections
        if each.name == "dashboard"
    ]
    text = render_blocks(section.blocks, 100)

    assert "Not under the same load (users 4 and 50): what changed is not worked out." in text
    assert "improvement" not in text


def of_a_shop(**changes: Any) -> Run:
    """Return a test of a service that is not ours, which answers without any header of its own."""
    run = run_of(0)
    assert run.load_test is not None
    settings = replace(
        run.load_test.settings, phase=None, switches=None, urls=("http://shop.example",)
    )
    total = variant("", service=None, cache=None, capacity_units=None)
    statuses = {"200": 190, "502": 10}
    assert total.http is not None
    total = replace(total, http=replace(total.http, statuses=statuses))
    return replace(
        run,
        variants=(total,),
        load_test=replace(run.load_test, settings=settings, **changes),
    )


def dashboard_of(run: Run) -> str:
    (section,) = [
        each
        for each in build_report([run], topics=[Topic.DASHBOARD]).sections
        if each.name == "dashboard"
    ]
    text = render_blocks(section.blocks, 100)
    return " ".join(text.replace("█", "").replace("░", "").split())


def test_the_dashboard_of_another_service_names_what_that_does_not_offer() -> None:
    text = dashboard_of(of_a_shop())

    assert "TargetResponseTime (avg) 100 ms" in text
    assert "RequestCount 20/s" in text
    assert "HTTPCode_Target_5XX 5%" in text
    assert "Not offered by the service: UnhealthyHostCount (/healthz or --metrics)" in text
    assert text.count("CPUUtilization") == 1
    assert "DynamoDB ConsumedRCU (the header X-Consumed-Read-Units)" in text


def test_the_result_names_what_a_service_that_nobody_could_look_at_does_not_offer() -> None:
    text = " ".join(render_blocks(blocks_of(of_a_shop()), 100).split())

    assert "Not offered: UnhealthyHostCount, CPUUtilization" in text


def test_what_another_services_metrics_say_is_on_its_dashboard() -> None:
    samples = tuple(
        InstanceSample(
            at_s=at_s, instance=name, healthy=healthy, cpu_share=cpu_share,
            hit_rate=hit_rate, requests_per_s=rate,
        )
        for at_s, name, healthy, cpu_share, hit_rate, rate in (
            (0.0, "a", True, 0.2, 0.9, 60.0),
            (0.1, "b", True, 0.6, 0.6, 30.0),
            (1.0, "a", False, 0.4, 0.8, 10.0),
        )
    )  # fmt: skip

    text = dashboard_of(of_a_shop(instances=samples))

    # the mean of 30% and 60%
    assert "CPUUtilization 45%" in text
    assert "UnhealthyHostCount 1" in text
    # 54, 18 and 8 of 100
    assert "Cache Hit Rate 80%" in text
    assert "Not offered by the service: DynamoDB ConsumedRCU" in text


def test_what_cloudwatch_says_is_on_the_dashboard_where_the_service_says_nothing() -> None:
    def metric(name: str, statistic: str, *values: float) -> CloudMetric:
        minutes = {f"2026-01-01T00:0{n}:00Z": value for n, value in enumerate(values)}
        return CloudMetric(
            namespace="AWS", name=name, dimensions={}, statistic=statistic, minutes=minutes
        )

    # from 30 s on, for three minutes: two of them whole
    run = of_a_shop(
        measured_s=180.0,
        cloudwatch=(
            metric("ConsumedReadCapacityUnits", "Sum", 60.0, 600.0, 120.0, 9000.0),
            metric("ConsumedReadCapacityUnits", "Sum", 0.0, 300.0),
            metric("CPUUtilization", "Average", 20.0, 40.0),
            metric("UnHealthyHostCount", "Maximum", 0.0, 1.0, 0.0),
        ),
    )

    run = replace(run, started_at="2026-01-01T00:00:30Z")

    text = dashboard_of(run)

    # (900 + 120) units in 120 s
    assert "DynamoDB ConsumedRCU 8.5/s" in text
    assert run.load_test is not None
    short = replace(run, load_test=replace(run.load_test, measured_s=60.0))
    # no minute is whole: 9,000 units in the busiest
    assert "DynamoDB ConsumedRCU 150/s" in dashboard_of(short)
    assert "CPUUtilization 30%" in text
    assert "UnhealthyHostCount 1" in text
    report = build_report([run], topics=[Topic.LATENCY])
    markdown = formats.render_text(report, formats.Format.MARKDOWN)
    assert "CloudWatch, by the minute" in markdown


def side(run: Run, title: str) -> Side:
    return Side(title=title, runs=(run,))


def test_phases_under_the_same_load_are_compared() -> None:
    matching = match_sides(side(run_of(0, 20.0), "before"), side(run_of(3), "after"))

    assert [each.scenario for each in matching.matches] == ["load"]


def test_runs_under_different_load_are_not_compared() -> None:
    with pytest.raises(ConfigError, match="under different load, users 50 and 200"):
        match_sides(side(run_of(0), "before"), side(run_of(3, users=200), "after"))


def test_a_load_on_modelled_limits_says_so() -> None:
    target = {"kind": "embedded", "modelled": {"throughput": "enforced"}}

    report = build_report([replace(run_of(0), target=target)])

    assert "phase 0 like AWS (modelled)" in formats.render_text(report, formats.Format.MARKDOWN)
