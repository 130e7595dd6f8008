"""The timeline and the answer of a service that was changed under load, from figures of a hand."""
# ruff: noqa: RUF001 - the signs that reports print

from dataclasses import replace
from typing import Any

import pytest

from perfkit.analysis.load_stages import passage_of
from perfkit.analysis.verdict import Ruling
from perfkit.measure.histogram import Histogram
from perfkit.measure.statistics import summarize
from perfkit.report.build import build_report
from perfkit.report.model import Curves, Point, VerticalLine
from perfkit.report.plain import render_blocks
from perfkit.report.sections import load_stages
from perfkit.report.sections.load import blocks_of
from perfkit.runs import (
    HttpFigures,
    InstanceSample,
    LoadEvent,
    LoadModel,
    LoadSecond,
    LoadSettings,
    LoadStage,
    LoadTest,
    Run,
    RunKind,
    Variant,
)


def figures(name: str, *, slowest_s: float, units: float, errors: int = 0) -> Variant:
    """Return a hundred requests, the last of which took so long, in ten seconds."""
    samples_s = [slowest_s * each / 100 for each in range(1, 101)]
    return Variant(
        name="load", question=name, operation=name, calls=100, requests=100, errors=errors,
        items_read=None, items_returned=0, bytes_read=None, capacity_units=units,
        capacity_source="embedded", latency_s=summarize(samples_s),
        histogram=Histogram(samples_s).encode(),
        http=HttpFigures(
            requests_per_s=10.0, statuses={}, errors_by_kind={}, service_s=summarize(samples_s),
            service_histogram="", throttles=0,
        ),
    )  # fmt: skip


def second(at_s: float, **changes: Any) -> LoadSecond:
    made = LoadSecond(
        at_s=at_s, users=4, requests=10, errors=0, p50_s=0.1, p95_s=0.2, read_units=500.0,
        throttles=0,
    )  # fmt: skip
    return replace(made, **changes)


def run_of(seconds: tuple[LoadSecond, ...], **changes: Any) -> Run:
    test = LoadTest(
        settings=LoadSettings(
            model=LoadModel.CLOSED, users=4, duration_s=6.0, think_s=0.5, mix="courses"
        ),
        measured_s=6.0,
        seconds=seconds,
        stages=(
            LoadStage(
                name="phase 0", start_s=1.0, end_s=3.0,
                figures=figures("phase 0", slowest_s=2.0, units=250.0),
            ),
            LoadStage(
                name="phase 2", start_s=4.0, end_s=6.0,
                figures=figures("phase 2", slowest_s=0.02, units=0.5),
            ),
        ),
        events=(
            LoadEvent(at_s=2.5, name="created", detail="4 indexes"),
            LoadEvent(at_s=3.5, name="phase 2: indexes"),
        ),
    )  # fmt: skip
    return Run(
        kind=RunKind.LOAD,
        scenario="migrate-demo",
        workload="courses",
        target={"kind": "embedded"},
        started_at="2026-01-01T00:00:00Z",
        id="migrate-demo-1",
        settings={"items": 6500},
        variants=(figures("", slowest_s=2.0, units=100.0),),
        load_test=replace(test, **changes),
    )


SECONDS = tuple(second(float(number)) for number in range(1, 7))
FAILING = (replace(SECONDS[0], errors=1), *SECONDS[1:])


def test_a_later_one_takes_the_place_of_an_earlier_one() -> None:
    """Each had a service of its own, at an address of its own."""
    earlier = run_of(SECONDS)
    later = replace(earlier, id="later", started_at="2026-01-02T00:00:00Z")
    settings = replace(later.load_test.settings, urls=("http://127.0.0.1:2",))  # type: ignore[union-attr]
    later = replace(later, load_test=replace(later.load_test, settings=settings))  # type: ignore[type-var]

    sections = build_report([earlier, later], sections=("load-stages",)).sections

    assert [each.facts["run"] for each in sections] == ["later"]


def test_there_is_no_dashboard_of_a_service_that_was_changed() -> None:
    """Its figures would be of all phases together."""
    names = {each.name for each in build_report([run_of(SECONDS)]).sections}

    assert {"load-stages", "load"} <= names
    assert "dashboard" not in names


def curves_of(run: Run) -> dict[str, Curves]:
    (section,) = (each for each in build_report([run]).sections if each.name == "load-stages")
    return {block.name: block for block in section.blocks if isinstance(block, Curves)}


def points_of(chart: Curves, label: str) -> tuple[Point, ...]:
    return next(each.points for each in chart.curves if each.label == label)


def test_every_chart_has_a_marker_at_each_event() -> None:
    charts = curves_of(run_of(FAILING))

    assert len(charts) == 4
    for chart in charts.values():
        assert chart.lines == (
            VerticalLine(x=2.5, label="created"),
            VerticalLine(x=3.5, label="phase 2: indexes"),
        )


def test_what_is_counted_is_shown_by_the_second() -> None:
    seconds = (
        second(1.0, throttles=4, errors=2),
        second(3.0, read_units=100.0),
        second(3.2),
        second(4.2, users=1),
    )
    charts = curves_of(run_of(seconds))

    # the second one lasted two seconds, the next one too short for a rate, then users left
    assert points_of(charts["timeline-read-units"], "read units") == (
        Point(1.0, 500.0),
        Point(3.0, 50.0),
    )
    answered, failures = charts["timeline-requests"], charts["timeline-failures"]
    assert points_of(answered, "answered") == (Point(1.0, 8.0), Point(3.0, 5.0))
    assert points_of(failures, "failed requests") == (Point(1.0, 2.0), Point(3.0, 0.0))
    assert points_of(failures, "throttled calls") == (Point(1.0, 4.0), Point(3.0, 0.0))
    assert points_of(charts["timeline-latency"], "95th percentile")[0] == Point(1.0, 0.2)


def test_at_a_rate_no_second_with_requests_is_left_out() -> None:
    seconds = (second(1.0), second(2.0), second(3.0, users=2), second(3.9, users=0, requests=9))
    settings = LoadSettings(
        model=LoadModel.OPEN, users=4, duration_s=6.0, rate_hz=10.0, mix="courses"
    )

    charts = curves_of(run_of((*seconds, second(4.2, users=0, requests=0)), settings=settings))

    answered = points_of(charts["timeline-requests"], "answered")
    assert [each.x for each in answered] == [1.0, 2.0, 3.0, 3.9]


def test_a_dashboard_of_which_half_is_missing_has_no_grade() -> None:
    silent = tuple(replace(each, read_units=None) for each in SECONDS)
    quick = replace(figures("", slowest_s=0.05, units=0.0), capacity_units=None)
    run = replace(run_of(silent, stages=(), events=()), scenario="load", variants=(quick,))

    (section,) = (each for each in build_report([run]).sections if each.name == "dashboard")
    text = render_blocks(section.blocks, 100)

    assert "Status: NO GRADE" in text
    assert "of 8 figures are missing" in text


def test_a_service_that_says_nothing_of_throttles_has_no_line_of_them() -> None:
    silent = tuple(replace(each, throttles=None) for each in FAILING)

    labels = [each.label for each in curves_of(run_of(silent))["timeline-failures"].curves]

    assert labels == ["failed requests"]


def test_the_answer_of_a_migration_without_a_failed_request() -> None:
    run = run_of(SECONDS)
    text = render_blocks(load_stages.screen(run), 100)

    assert load_stages.headline(run) == "From phase 0 to phase 2 without a failed request"
    assert text.startswith("No request failed of 60 requests while the service went from phase 0")
    # of a hundred, the 95th took 95% of the slowest
    assert "went from 1.90 s to 19.0 ms (100×)" in text
    assert "from 250 RCU to 0.5 RCU (500×)" in text
    assert "4 users with 0.5 s to think, for 6 s, on 6,500 items." in text
    assert "Doubtful" not in text


def test_a_stage_of_few_requests_is_doubtful() -> None:
    run = run_of(SECONDS)
    assert run.load_test is not None
    first, second = run.load_test.stages
    assert first.figures is not None
    first = replace(first, figures=replace(first.figures, requests=20))
    run = replace(run, load_test=replace(run.load_test, stages=(first, second)))

    text = " ".join(render_blocks(load_stages.screen(run), 100).split())

    assert "Doubtful: there were only 20 requests at phase 0, and percentiles of fewer" in text


@pytest.mark.parametrize(
    ("troubled_s", "calm_from", "ruling"),
    [
        pytest.param(None, "phase 0", Ruling.PASS, id="never"),
        pytest.param(2.0, "phase 2", Ruling.PASS, id="until the indexes"),
        pytest.param(4.0, "phase 2", Ruling.PASS, id="until they are asked"),
        pytest.param(5.0, "", Ruling.FAIL, id="after that"),
    ],
)
def test_throttling_has_ended_with_the_stage_that_none_follows(
    troubled_s: float | None, calm_from: str, ruling: Ruling
) -> None:
    seconds = tuple(
        replace(each, throttles=7) if each.at_s == troubled_s else each for each in SECONDS
    )
    passage = passage_of(run_of(seconds))

    assert passage is not None
    assert passage.calm_from == calm_from
    assert passage.judge(throttled=True).ruling is ruling


def test_a_failed_request_fails_a_migration_that_has_room() -> None:
    seconds = (SECONDS[0], replace(SECONDS[1], errors=1), *SECONDS[2:])
    run = run_of(seconds)
    passage = passage_of(run)

    assert passage is not None
    assert passage.judge(throttled=False).reason == "1 of 60 requests failed, where none should"
    assert passage.judge(throttled=True).ruling is Ruling.PASS
    answer = render_blocks(load_stages.screen(run), 200)
    assert "1 of 60 requests failed (1.7%)" in answer
    assert "from phase 2 on, none" in answer


def test_the_throttling_that_ends_is_the_headline() -> None:
    run = run_of((replace(SECONDS[1], throttles=5, errors=3), *SECONDS[2:]))

    assert load_stages.headline(run) == "The throttling ends with phase 2: indexes"


def test_the_headline_names_the_phase_though_its_first_second_began_before_it_was_noted() -> None:
    events = (
        LoadEvent(at_s=3.5, name="phase 1: cache"),
        LoadEvent(at_s=4.02, name="phase 2: indexes"),
    )
    run = run_of((replace(SECONDS[1], throttles=5), *SECONDS[2:]), events=events)

    assert load_stages.headline(run) == "The throttling ends with phase 2: indexes"


def test_a_service_that_was_changed_is_on_no_dashboard() -> None:
    """The mean of all phases is no phase's, and what it lacks is not what another service lacks."""
    total = figures("GET /api/courses", slowest_s=1.0, units=9.0)
    looked_at = (InstanceSample(at_s=1.0, instance="a", cpu_share=0.5),)
    run = replace(run_of(SECONDS, instances=looked_at), variants=(total,))

    names = [section.name for section in build_report([run]).sections]

    assert "load" in names
    assert "dashboard" not in names
    assert "The service" not in render_blocks(blocks_of(run), 200)


def test_one_that_was_cut_short_says_so_first() -> None:
    run = run_of(SECONDS, interrupted=True, stages=run_of(SECONDS).load_test.stages[:1])  # type: ignore[union-attr]

    assert passage_of(run) is None
    assert render_blocks(load_stages.screen(run), 100).startswith("Interrupted after 6.00 s")
    assert "without a failed request" not in load_stages.headline(run)
    assert curves_of(run)
