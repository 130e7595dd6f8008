"""The checklist, judged from saved runs as the codec reads them and from what was looked at."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto import mock_aws

from perfkit import __version__
from perfkit.analysis.verdict import Ruling, Verdict
from perfkit.dynamodb.tables import Identity, IndexState, Keys, TableState
from perfkit.dynamodb.targets import parse_target
from perfkit.gates.checklist import Evidence, check
from perfkit.gates.lines import State
from perfkit.gates.probing import look_at_cache_metrics, look_at_stack, look_at_user_errors
from perfkit.gates.source import Source, SourceScan, Unread
from perfkit.measure.histogram import Histogram
from perfkit.measure.statistics import summarize
from perfkit.runs import (
    CacheFigures,
    HttpFigures,
    LoadModel,
    LoadSettings,
    LoadStage,
    LoadTest,
    Run,
    RunKind,
    RunStore,
    Variant,
)
from perfkit.runs.codec import decode, encode
from perfkit.service.endpoints import CACHED
from perfkit.workloads.gates import parse_gate
from perfkit.workloads.loader import load

COURSES = load("courses")
SHOP = load(Path(__file__).parents[2] / "examples" / "shop.toml")
MAIN_JOB = Path(__file__).parents[1] / "report" / "main_job"
MADE_S = 1_700_000_000.0

NOT_THERE = Verdict(ruling=Ruling.FAIL, reason="not there")
CLEAN = Source(scans=(), allowed=(), unread=(), files=3, changed_s=MADE_S)


@pytest.fixture(scope="module")
def measured() -> list[Run]:
    """Return the runs of `perfkit run` that are kept for the reports' tests, as if made just now."""
    return [
        replace(run, workload_digest=COURSES.digest, perfkit=__version__)
        for run in RunStore(MAIN_JOB).list().runs
    ]


QUERIES = {"query": 15, "batch_get_item": 4}


def loaded(
    users: int = 200,
    *,
    invalid: tuple[str, ...] = (),
    operations: dict[str, int] | None = QUERIES,
    **changes: Any,
) -> Run:
    """Return a load test of the service at phase 3: 1 to 150 ms, 99% hits, as the codec reads it."""
    samples_s = [each / 1000 for each in range(1, 151)] * 10

    def variant(question: str) -> Variant:
        return Variant(
            name="load",
            question=question,
            operation=question or "all requests",
            calls=1500,
            requests=1500,
            errors=0,
            items_read=None,
            items_returned=0,
            bytes_read=None,
            capacity_units=0.1,
            capacity_source="embedded",
            latency_s=summarize(samples_s),
            histogram=Histogram(samples_s).encode(),
            cache=CacheFigures(hits=1485, misses=15, errors=0),
            http=HttpFigures(
                requests_per_s=800.0,
                statuses={"200": 1500},
                errors_by_kind={},
                service_s=summarize(samples_s),
                service_histogram="",
                operations=operations,
            ),
        )

    settings = LoadSettings(
        model=LoadModel.CLOSED,
        users=users,
        duration_s=600.0,
        think_s=0.2,
        urls=("http://127.0.0.1:8000",),
        phase=3,
        switches={"pooling": True, "batching": True, "background": True},
    )
    run = Run(
        kind=RunKind.LOAD,
        scenario="load",
        workload="courses",
        workload_digest=COURSES.digest,
        target={"kind": "embedded"},
        started_at="2026-12-01T10:00:00.000000Z",
        variants=(variant(""), *(variant(endpoint) for endpoint in CACHED)),
        load_test=LoadTest(settings=settings, invalid=invalid),
        id="the-load-test",
    )
    return decode(encode(replace(run, **changes)), "a test")


def table_states(status: str = "ACTIVE", made_s: float = MADE_S) -> dict[str, TableState | None]:
    """Return the tables of courses as a target would describe them."""
    return {
        table.name: TableState(
            name=table.name,
            arn="",
            status="ACTIVE",
            keys=Keys.of(table),
            items=1,
            size_bytes=1,
            billing="PAY_PER_REQUEST",
            read_capacity=0,
            write_capacity=0,
            identity=Identity(created_s=made_s),
            indexes=tuple(
                IndexState(
                    name=index.name,
                    status=status,
                    backfilling=False,
                    keys=Keys.of(index),
                    projection="ALL",
                    non_key_attributes=(),
                    items=1,
                    size_bytes=1,
                )
                for index in table.indexes
            ),
        )
        for table in COURSES.tables
    }


def evidence(runs: list[Run], **changes: Any) -> Evidence:
    found = Evidence(
        workload=COURSES,
        target={"kind": "embedded"},
        runs=runs,
        tables=table_states(),
        source=CLEAN,
        cache_metrics=NOT_THERE,
        stack=NOT_THERE,
        results_name="report.html",
    )
    return replace(found, **changes)


def states(found: Evidence, **options: Any) -> dict[str, State]:
    return {line.title: line.state for line in check(found, **options)}


def test_without_evidence_nothing_is_done_and_each_line_says_what_to_do() -> None:
    lines = check(evidence([], tables={}, source=None))

    assert {line.state for line in lines} == {State.NOT_DONE}
    assert all(line.reason and line.next_step.startswith("perfkit ") for line in lines)
    assert len({line.group for line in lines}) == 4


def next_steps(found: Evidence, **options: Any) -> dict[str, str]:
    return {line.title: line.next_step for line in check(found, **options)}


def test_what_a_command_needs_comes_before_it() -> None:
    nothing = next_steps(evidence([], tables=dict.fromkeys(table_states()), options=" --data x"))
    bare = {
        name: None if state is None else replace(state, indexes=())
        for name, state in table_states().items()
    }
    without_indexes = next_steps(evidence([], tables=bare))

    assert nothing["tested with 50 users"] == "perfkit seed --data x"
    assert nothing["tested with 200 users"] == "perfkit seed --data x"
    assert without_indexes["tested with 50 users"] == "perfkit load --phase 1 --users 50"
    assert without_indexes["tested with 200 users"] == "perfkit create-indexes"


def test_a_scan_that_is_found_is_to_be_changed_where_it_is() -> None:
    scan = SourceScan(file="app/orders.py", line=3, call="table.scan")
    found = replace(CLEAN, scans=(scan,))
    title = "no Scan is left in the source"

    assert next_steps(evidence([], source=None))[title] == "perfkit check --source ."
    assert next_steps(evidence([], source=found, source_name="my app"))[title] == (
        "make app/orders.py:3 a query or get, or allow it by a comment"
        " `# perfkit: allow-scan REASON`"
    )


def test_an_index_that_lacks_is_made_before_it_is_measured(measured: list[Run]) -> None:
    scanned = [
        replace(run, variants=tuple(each for each in run.variants if each.index is None))
        for run in measured
        if run.scenario == "courses"
    ]
    title = "courses is answered by CoursesBySemester"
    tables = table_states()
    courses = tables["Courses"]
    assert courses is not None
    bare = {**tables, "Courses": replace(courses, indexes=())}
    theirs = replace(COURSES, tables=tuple(replace(table, entities=()) for table in COURSES.tables))

    def line(**changes: Any) -> tuple[str, str]:
        found = check(evidence(scanned, **changes), phase=2)
        return next((each.reason, each.next_step) for each in found if each.title == title)

    assert line(tables=bare) == ("there is no index CoursesBySemester", "perfkit create-indexes")
    assert line(tables=bare, workload=theirs) == (
        "there is no index CoursesBySemester",
        "perfkit migrate plan",
    )
    assert line() == (
        f"CoursesBySemester is ACTIVE; run {scanned[0].id} was measured without it",
        "perfkit bench --scenario courses",
    )


def test_what_was_measured_by_an_index_that_is_gone_is_open_again(measured: list[Run]) -> None:
    budgets = replace(
        COURSES,
        patterns=tuple(replace(each, max_rcu=1_000_000.0) for each in COURSES.patterns),
    )
    tables = table_states()
    courses = tables["Courses"]
    assert courses is not None
    run_id = next(run.id for run in measured if run.scenario == "courses")
    gate = parse_gate("courses: errors == 0")
    titles = (
        "courses is answered by CoursesBySemester",
        "courses takes at most 1,000,000 RCU",
        str(gate),
    )

    def lines(there: TableState | None) -> list[tuple[State, str, str]]:
        found = evidence(measured, workload=budgets, tables={**tables, "Courses": there})
        by_title = {line.title: line for line in check(found, gates=[gate])}
        return [
            (line.state, line.reason, line.next_step)
            for title in titles
            for line in [by_title[title]]
        ]

    assert lines(courses) == [(State.DONE, "", "")] * 3
    without_index = lines(replace(courses, indexes=()))
    assert [state for state, _, _ in without_index] == [State.NOT_DONE, State.STALE, State.STALE]
    older = f"run {run_id} is older than the present tables and indexes"
    gone = f"there is no index CoursesBySemester any more; {older}"
    assert {each[1:] for each in without_index} == {(gone, "perfkit create-indexes")}
    without_table = lines(None)
    assert [state for state, _, _ in without_table] == [State.NOT_DONE, State.STALE, State.STALE]
    assert {step for _, _, step in without_table} == {"perfkit seed"}
    assert all("no table Courses any more" in reason for _, reason, _ in without_table)


def test_where_there_is_no_pattern_to_measure_the_service_is_loaded() -> None:
    found = evidence([], workload=replace(COURSES, name="tables", patterns=()))

    (line,) = [line for line in check(found) if line.title == "no UserErrors"]

    assert line.next_step == "perfkit load --url URL --mix FILE"


def test_another_service_is_loaded_again_as_it_was() -> None:
    run = loaded(workload="tiny", workload_digest="", target={"kind": "url"})
    assert run.load_test is not None
    settings = replace(
        run.load_test.settings, phase=None, switches=None, mix="tiny", mix_file="load/mix.toml"
    )
    run = replace(run, load_test=replace(run.load_test, settings=settings))
    gate = parse_gate("p95_ms < 1")

    before = next_steps(evidence([], workload=SHOP, tables={}), gates=[gate])
    after = next_steps(evidence([run], workload=SHOP, tables={}), gates=[gate])

    assert before["p95_ms < 1"] == "perfkit load --url URL --mix FILE"
    assert after["p95_ms < 1"] == ("perfkit load --url http://127.0.0.1:8000 --mix load/mix.toml")


def test_what_runs_show_is_done(measured: list[Run]) -> None:
    found = states(
        evidence(
            [loaded(), *measured],
            stack=Verdict(ruling=Ruling.PASS, evidence="stack perfkit is CREATE_COMPLETE"),
            results="about the-load-test",
        )
    )

    not_done = {title for title, state in found.items() if state is not State.DONE}
    # the service of that run mailed while it answered: 69% less, which the run says, too
    assert not_done == {
        "latency 80% lower",
        "writes invalidate the cache",
        "cache metrics are in CloudWatch",
    }


@pytest.mark.parametrize(
    ("users", "duration_s", "done"),
    [
        pytest.param(49, 600.0, set(), id="few users"),
        pytest.param(50, 60.0, {"tested with 50 users"}, id="50 users"),
        pytest.param(200, 599.0, {"tested with 50 users", "tested with 200 users"}, id="short"),
    ],
)
def test_a_load_test_of_too_few_users_or_too_short_shows_less(
    users: int, duration_s: float, done: set[str]
) -> None:
    run = loaded(users)
    assert run.load_test is not None
    settings = replace(run.load_test.settings, duration_s=duration_s)
    run = replace(run, load_test=replace(run.load_test, settings=settings))

    found = states(evidence([run]))

    tested = {title for title, state in found.items() if state is State.DONE and "tested" in title}
    assert tested == done
    assert found["load test: 200 users for 10 minutes"] is State.NOT_DONE
    assert found["p95 below 200 ms"] is State.NOT_DONE


def test_an_invalid_load_test_passes_nothing() -> None:
    run = loaded(invalid=("the generator was saturated; raise --processes",))

    lines = check(evidence([run]), gates=[parse_gate("errors == 0")])

    by_title = {line.title: line for line in lines}
    for title in ("tested with 200 users", "p95 below 200 ms", "no errors", "errors == 0"):
        assert by_title[title].state is State.INVALID
        assert "the generator was saturated" in by_title[title].reason


@pytest.mark.parametrize(
    ("changed", "run", "reason"),
    [
        pytest.param(
            {}, {"workload_digest": "0" * 64}, "the workload's file was edited", id="workload"
        ),
        pytest.param(
            {}, {"perfkit": "0.0.1"}, "measured the service of perfkit 0.0.1", id="service"
        ),
        pytest.param(
            {"source": replace(CLEAN, changed_s=2e9)}, {}, "the source was changed", id="source"
        ),
        pytest.param(
            {"tables": table_states(made_s=2e9)}, {}, "table Courses was made after", id="tables"
        ),
    ],
)
def test_what_is_older_than_the_last_change_is_stale(
    changed: dict[str, Any], run: dict[str, Any], reason: str
) -> None:
    lines = check(evidence([loaded(**run)], **changed), phase=4)

    line = next(line for line in lines if line.title == "p95 below 200 ms")
    assert (line.state, line.verdict.ruling) == (State.STALE, Ruling.INVALID)
    assert reason in line.reason


def test_runs_on_another_target_show_nothing(measured: list[Run]) -> None:
    found = states(evidence(measured, target={"kind": "aws", "region": "eu-west-1"}), phase=2)

    assert found["courses is answered by CoursesBySemester"] is State.NOT_DONE


@pytest.mark.parametrize(
    ("changed", "title", "reason"),
    [
        pytest.param(
            {"tables": table_states("CREATING")},
            "indexes are ACTIVE",
            "CoursesBySemester is CREATING; CoursesByInstructor is CREATING",
            id="index",
        ),
        pytest.param(
            {"source": replace(CLEAN, scans=(SourceScan(file="a.py", line=7, call="t.scan"),))},
            "no Scan is left in the source of the reference service",
            "a.py:7: t.scan",
            id="scan",
        ),
    ],
)
def test_what_is_not_so_is_named(changed: dict[str, Any], title: str, reason: str) -> None:
    line = next(line for line in check(evidence([], **changed), phase=2) if line.title == title)

    assert line.state is State.NOT_DONE
    assert line.reason.startswith(reason)


@pytest.mark.parametrize(
    ("misses", "state"), [(99, State.INVALID), (100, State.NOT_DONE)], ids=["few", "many"]
)
def test_an_endpoint_without_a_hit_is_not_cached_once_it_was_asked_enough(
    misses: int, state: State
) -> None:
    run = loaded()
    cache = CacheFigures(hits=0, misses=misses, errors=0)
    run = replace(run, variants=tuple(replace(each, cache=cache) for each in run.variants))

    assert states(evidence([run]))["GET /api/enrollments is cached"] is state


def test_scans_are_counted_under_load() -> None:
    title = "no Scan is asked under load"

    scanning = check(evidence([loaded(operations={**QUERIES, "scan": 1})]), phase=2)
    silent = check(evidence([loaded(operations=None)]), phase=2)
    querying = check(evidence([loaded()]), phase=2)

    by_title = [
        {line.title: line for line in lines}[title] for lines in (scanning, silent, querying)
    ]
    assert [line.state for line in by_title] == [State.NOT_DONE, State.NOT_DONE, State.DONE]
    assert by_title[0].reason == "1 Scan among 20 calls in run the-load-test"


@pytest.mark.parametrize(
    ("errors", "state"), [({}, State.DONE), ({"status 404": 2, "status 500": 1}, State.NOT_DONE)]
)
def test_an_answer_that_the_mix_expects_is_no_user_error(
    errors: dict[str, int], state: State
) -> None:
    run = loaded()
    http = run.variants[0].http
    assert http is not None
    http = replace(http, statuses={"200": 1490, "404": 10}, errors_by_kind=errors)
    run = replace(run, variants=(replace(run.variants[0], http=http), *run.variants[1:]))

    line = {each.title: each for each in check(evidence([run]), phase=2)}["no UserErrors"]

    assert line.state is state
    said = line.reason or line.verdict.evidence
    assert said.startswith("2 answers" if errors else "no answer of status 4xx")


def test_a_service_that_was_changed_under_load_is_no_evidence() -> None:
    """It scanned at its beginning, and does not at its end."""
    title = "no Scan is asked under load"
    run = loaded(operations={**QUERIES, "scan": 1})
    assert run.load_test is not None
    stage = LoadStage(name="phase 0", start_s=0.0, end_s=1.0)
    changed = replace(run, id="changed", load_test=replace(run.load_test, stages=(stage,)))

    found = states(evidence([changed, loaded()]), phase=2)
    alone = {line.title: line for line in check(evidence([changed]), phase=2)}[title]

    assert found[title] is State.DONE
    assert (alone.state, alone.reason) == (State.NOT_DONE, "no run shows it")


def test_source_that_cannot_be_read_is_no_proof() -> None:
    unread = replace(CLEAN, unread=(Unread(file="b.py", reason="line 1 is no Python"),))

    found = states(evidence([], source=unread), phase=2)

    assert found["no Scan is left in the source of the reference service"] is State.INVALID


def test_a_pattern_that_is_not_asked_by_its_index_is_not_done(measured: list[Run]) -> None:
    scanned = [
        replace(run, variants=tuple(each for each in run.variants if each.index is None))
        for run in measured
        if run.scenario == "courses"
    ]

    found = states(evidence(scanned), phase=2)

    assert found["courses is answered by CoursesBySemester"] is State.NOT_DONE


def test_gates_are_held_against_load_tests_and_patterns(measured: list[Run]) -> None:
    texts = {
        "p95_ms < 200": State.DONE,
        "GET /api/courses: hit_rate > 0.99": State.NOT_DONE,
        "GET /api/course: errors == 0": State.INVALID,
        "courses: rcu_per_request <= 6.5": State.DONE,
        "courses: rcu_per_request < 6.5": State.NOT_DONE,
        "wcu_per_request <= 1": State.INVALID,
    }

    found = states(evidence([loaded(), *measured]), gates=[parse_gate(text) for text in texts])

    assert {title: found[title] for title in texts} == texts


def test_another_workload_has_nothing_of_the_reference_document() -> None:
    lines = check(evidence([], workload=SHOP, tables={}))

    assert {line.group for line in lines} == {"Indexes and scans"}
    assert not any("80%" in line.title or "/api" in line.title for line in lines)


def test_a_load_test_of_which_every_request_failed_shows_nothing() -> None:
    run = loaded()
    total = replace(run.variants[0], errors=run.variants[0].requests)

    found = states(evidence([replace(run, variants=(total,))]))

    assert found["tested with 50 users"] is State.NOT_DONE


def test_a_stack_with_a_load_balancer_wants_the_load_test_to_be_of_it() -> None:
    found = states(evidence([loaded()], stack_url="http://lb.example"), phase=4)

    assert found["p95 below 200 ms"] is State.NOT_DONE


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Return the target aws, with an AWS that is not AWS's."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    with mock_aws():
        yield parse_target("aws", None, region="eu-west-1", profile=None)


def test_cache_metrics_are_looked_for_in_cloudwatch(aws: Any) -> None:
    before = look_at_cache_metrics(aws, "perfkit")
    data = [{"MetricName": name, "Value": 1.0} for name in ("Hits", "Misses")]
    boto3.client("cloudwatch", region_name="eu-west-1").put_metric_data(
        Namespace="perfkit", MetricData=data
    )
    after = look_at_cache_metrics(aws, "perfkit")

    assert (before.ruling, after.ruling) == (Ruling.FAIL, Ruling.PASS)
    assert after.evidence == "Hits, Misses in namespace perfkit"


def test_user_errors_are_those_that_cloudwatch_counts(aws: Any) -> None:
    before = look_at_user_errors(aws, None)
    refused = {"MetricName": "UserErrors", "Value": 3.0, "Timestamp": datetime.now(UTC)}
    boto3.client("cloudwatch", region_name="eu-west-1").put_metric_data(
        Namespace="AWS/DynamoDB", MetricData=[refused]
    )
    after = look_at_user_errors(aws, None)

    assert before is not None
    assert after is not None
    assert (before.ruling, after.ruling) == (Ruling.PASS, Ruling.FAIL)
    assert after.evidence.startswith("CloudWatch counts 3 since ")


def test_a_stack_is_looked_for_by_its_name(aws: Any) -> None:
    before, _ = look_at_stack(aws, "perfkit")
    boto3.client("cloudformation", region_name="eu-west-1").create_stack(
        StackName="perfkit",
        TemplateBody='{"Resources": {"Queue": {"Type": "AWS::SQS::Queue"}}, "Outputs":'
        ' {"LoadBalancerUrl": {"Value": "http://lb.example"}}}',
    )
    after, url = look_at_stack(aws, "perfkit")

    assert (before.ruling, before.reason) == (Ruling.FAIL, "there is no stack perfkit")
    assert (after.ruling, url) == (Ruling.PASS, "http://lb.example")
