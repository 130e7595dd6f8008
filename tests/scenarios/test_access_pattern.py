"""Access patterns measured on the embedded engine: counts and capacity are exact, results equal."""

import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from perfkit.dynamodb import indexes, seeding
from perfkit.dynamodb.targets import Target
from perfkit.errors import ResultsDifferError, TargetError, UnknownScenarioError
from perfkit.measure.histogram import Histogram
from perfkit.measure.rounds import Plan
from perfkit.runs import Run, RunStore
from perfkit.scenarios.base import Context, Options, Progress
from perfkit.scenarios.registry import _scenarios_of, find, measure_scenarios
from perfkit.workloads.generator import ItemGenerator
from perfkit.workloads.loader import load
from perfkit.workloads.model import Workload

THRICE = Options(plan=Plan(iterations=3))
SCANS = ["scan", "scan-filtered", "scan-parallel"]
SHOP = Path(__file__).parents[2] / "examples" / "shop.toml"


def seed(target: Target, workload: Workload, scale: float) -> None:
    seeding.seed(seeding.plan(target, workload, scale=scale), processes=1)


def index(target: Target, workload: Workload) -> None:
    indexes.apply(
        target, indexes.plan(target, workload), indexes.Goal.PRESENT, pause=lambda _: None
    )


def make_context(target: Target, workload: Workload, options: Options = THRICE) -> Context:
    return Context(
        workload=workload,
        client=target.client(),
        target=target.describe(),
        where=target.name,
        options=options,
    )


def measure(context: Context, name: str) -> Run:
    (scenario,) = find(context.workload, [name])
    return scenario.measure(context)


@pytest.fixture
def context(seeded: Target, workload: Workload) -> Iterator[Context]:
    context = make_context(seeded, workload)
    yield context
    context.client.close()


def test_every_figure_of_a_run_is_right(context: Context) -> None:
    run = measure(context, "courses")

    # 200 items of 1,024 bytes are 50 blocks of 4 KB; the 50 of the answer are 12.5, so 13
    assert [variant.name for variant in run.variants] == [*SCANS, "query"]
    scan, filtered, parallel, query = run.variants
    for variant in (scan, filtered, parallel):
        assert variant.operation == "Scan"
        assert variant.index is None
        assert variant.items_read == 200
        assert variant.items_returned == 50
        assert variant.items_wasted == 150
        assert variant.capacity_source == "embedded"
        assert variant.bytes_read_source == "capacity"
    assert scan.capacity_units == filtered.capacity_units == 25.0
    assert scan.bytes_read == 204_800
    assert scan.items_received == 200
    assert filtered.items_received == 50
    # each of four segments rounds its own page up
    assert 25.0 <= (parallel.capacity_units or 0) <= 27.0
    assert parallel.requests_per_call == 4
    assert parallel.concurrency == 4
    assert query.operation == "Query"
    assert query.index == "CoursesBySemester"
    assert query.items_read == query.items_returned == query.items_received == 50
    assert query.capacity_units == 6.5
    assert query.bytes_read == 51_200
    assert query.bytes_read_source == "items"


def test_every_variant_says_how_large_its_answer_is(tmp_path: Path) -> None:
    """Scans answer whole items, and an index that holds some attributes less; policy or not."""
    workload = load(str(SHOP))
    target = Target(data=tmp_path / "data.sqlite3")
    seed(target, workload, 0.1)
    index(target, workload)
    context = make_context(target, workload)
    client = context.client
    asked = {
        "TableName": "Shop",
        "ExpressionAttributeValues": {":reason": {"S": "payment"}},
    }
    pages = client.get_paginator("scan").paginate(
        **asked, FilterExpression="review_reason = :reason"
    )
    scanned = [item for page in pages for item in page["Items"]]
    queried = client.query(
        **asked, IndexName="OrdersToReview", KeyConditionExpression="review_reason = :reason"
    )["Items"]

    review, orders = measure(context, "review"), measure(context, "orders")

    def size(items: Any) -> int:
        return len(json.dumps(items, separators=(",", ":"), ensure_ascii=False).encode())

    assert scanned
    assert size(queried) < size(scanned)
    assert {each.name: each.body_bytes for each in review.variants} == {
        **dict.fromkeys(SCANS, size(scanned)),
        "query": size(queried),
    }
    # how long answers are kept: of review never
    assert (review.cache_ttl_s, orders.cache_ttl_s) == (0.0, 60.0)
    client.close()


def test_strong_figures_are_measured_where_they_can_be(context: Context) -> None:
    run = measure(context, "courses")

    scan, query = run.variants[0], run.variants[-1]
    assert (scan.capacity_units_strong, scan.capacity_strong_source) == (50.0, "measured")
    # a global index answers eventually consistent only
    assert (query.capacity_units_strong, query.capacity_strong_source) == (13.0, "modelled")


def test_latencies_hold_together(context: Context) -> None:
    run = measure(context, "courses")

    for variant in run.variants:
        assert variant.calls == 3
        assert variant.requests == 3 * (variant.requests_per_call or 0)
        assert variant.latency_s.count == 3
        assert len(variant.rounds_s) == 3
        assert sorted(variant.rounds_s)[1] == variant.latency_s.p50
        histogram = Histogram.decode(variant.histogram)
        assert histogram.count == 3
        assert histogram.percentile(0.5) == pytest.approx(
            variant.latency_s.p50, rel=0.001, abs=1e-6
        )
        assert variant.client_cpu_s is not None
        assert variant.client_cpu_s > 0
        assert variant.retries == variant.errors == 0


def test_each_variant_is_compared_with_the_scan(context: Context) -> None:
    run = measure(context, "courses")

    assert [each.candidate for each in run.comparisons] == [*SCANS[1:], "query"]
    query = run.comparisons[-1]
    assert query.baseline == "scan"
    assert query.capacity_ratio == 25 / 6.5
    assert query.results_equal
    assert query.rounds == 3
    assert query.latency_ratio_ci95 is not None
    low, high = query.latency_ratio_ci95
    assert low <= query.latency_ratio <= high
    assert query.significant == (low > 1 or high < 1)


def test_a_point_read_is_set_against_the_scans(context: Context) -> None:
    run = measure(context, "profile")

    assert [variant.name for variant in run.variants] == [*SCANS, "get"]
    get = run.variants[-1]
    assert get.operation == "GetItem"
    assert (get.items_read, get.items_returned, get.requests_per_call) == (1, 1, 1)
    assert (get.capacity_units, get.capacity_units_strong) == (0.5, 1.0)
    assert get.capacity_strong_source == "measured"
    assert get.bytes_read == 1024


def test_a_run_says_what_was_asked_and_quoted(context: Context) -> None:
    run = measure(context, "courses")

    assert run.kind == "scenario"
    assert run.scenario == run.workload == "courses"
    assert run.workload_digest == context.workload.digest
    assert run.parameters == {":semester": {"S": "1"}, ":department": {"S": "CS"}}
    assert run.settings["iterations"] == 3
    assert run.settings["rounds"] == 3
    assert run.settings["segments"] == 4
    assert run.target == {"kind": "embedded"}
    assert run.quoted is not None
    assert run.quoted["before"]["rcu"] == 2500
    assert run.quoted["latency_ratio"] == 96
    assert run.duration_s > 0
    assert run.warnings == ()
    assert any("only 3 calls" in caution.reason for caution in run.cautions)


def test_a_run_names_nobody_and_no_place(context: Context, seeded: Target) -> None:
    text = json.dumps(measure(context, "courses").to_dict())

    assert str(seeded.data.parent) not in text
    assert "hostname" not in text


def test_consistent_reads_cost_double_and_an_index_stays_eventual(
    seeded: Target, workload: Workload
) -> None:
    options = Options(plan=Plan(iterations=1), consistent=True)

    run = measure(make_context(seeded, workload, options), "courses")

    scan, query = run.variants[0], run.variants[-1]
    assert (scan.consistency, scan.capacity_units, scan.capacity_units_strong) == (
        "strong", 50.0, 50.0,
    )  # fmt: skip
    assert scan.bytes_read == 204_800
    assert (query.consistency, query.capacity_units) == ("eventual", 6.5)
    assert any("the query eventually" in warning.reason for warning in run.warnings)


def test_consistent_point_reads_are_strong(seeded: Target, workload: Workload) -> None:
    options = Options(plan=Plan(iterations=1), consistent=True)

    run = measure(make_context(seeded, workload, options), "profile")

    assert [variant.consistency for variant in run.variants] == ["strong"] * 4
    assert run.variants[-1].capacity_units == 1.0


def test_segments_can_be_chosen(seeded: Target, workload: Workload) -> None:
    options = Options(plan=Plan(iterations=1), segments=7)

    run = measure(make_context(seeded, workload, options), "courses")

    parallel = run.variant("scan-parallel")
    assert parallel is not None
    assert (parallel.concurrency, parallel.requests_per_call) == (7, 7)
    assert parallel.items_read == 200


def test_without_the_index_the_scans_are_measured_and_the_next_step_is_told(
    tmp_path: Path, workload: Workload
) -> None:
    target = Target(data=tmp_path / "data.sqlite3")
    seed(target, workload, 0.01)

    run = measure(make_context(target, workload), "courses")

    assert [variant.name for variant in run.variants] == SCANS
    assert run.next_steps == (
        "no index CoursesBySemester on Courses: run `perfkit create-indexes`, then measure again",
    )


def test_no_index_is_advised_on_a_table_that_perfkit_did_not_create(
    tmp_path: Path, workload: Workload
) -> None:
    """`create-indexes` would refuse it."""
    target = Target(data=tmp_path / "data.sqlite3")
    seed(target, workload, 0.01)
    client = target.client()
    arn = client.describe_table(TableName="Courses")["Table"]["TableArn"]
    client.untag_resource(ResourceArn=arn, TagKeys=["created-by"])

    run = measure(dataclasses.replace(make_context(target, workload), source=target), "courses")

    (step,) = run.next_steps
    assert step == (
        "no index CoursesBySemester on Courses, and perfkit adds none to a table that it did not"
        " create: under another name in the workload, `perfkit seed` and `perfkit create-indexes`"
        " make one of its own to measure"
    )


def test_without_a_table_the_way_out_is_seeding(tmp_path: Path, workload: Workload) -> None:
    target = Target(data=tmp_path / "data.sqlite3")

    with pytest.raises(TargetError, match="perfkit seed"):
        measure(make_context(target, workload), "courses")


def test_an_empty_table_is_no_measurement(tmp_path: Path, workload: Workload) -> None:
    target = Target(data=tmp_path / "data.sqlite3")
    seed(target, workload, 0.01)
    context = make_context(target, workload)
    for item in context.client.scan(TableName="Courses")["Items"]:
        context.client.delete_item(TableName="Courses", Key={"course_id": item["course_id"]})

    with pytest.raises(TargetError, match=r"Courses is empty .* run `perfkit seed`"):
        measure(context, "courses")


def test_variants_that_disagree_are_an_error_and_not_a_comparison(
    tmp_path: Path, workload: Workload
) -> None:
    """A scan filter that asks for less than the key condition."""
    target = Target(data=tmp_path / "data.sqlite3")
    seed(target, workload, 0.01)
    index(target, workload)
    pattern = dataclasses.replace(
        workload.pattern("courses"),
        scan_filter="semester_id = :semester AND department_id = :department AND credits > :four",
        parameters={**workload.pattern("courses").parameters, ":four": {"N": "4"}},
    )
    wrong = dataclasses.replace(workload, patterns=(pattern,))

    with pytest.raises(ResultsDifferError) as caught:
        measure(make_context(target, wrong), "courses")

    message = str(caught.value)
    count = ItemGenerator(workload, scale=0.01).count("Courses")
    assert message.startswith("courses: scan and query returned different items: scan lacks")
    assert "course_id=C" in message
    assert f"Courses held {count} items" in message


def test_a_question_that_finds_nothing_is_doubtful(seeded: Target, workload: Workload) -> None:
    get = workload.pattern("profile").get
    assert get is not None
    pattern = dataclasses.replace(
        workload.pattern("profile"),
        parameters={":user": {"S": "nobody"}},
        get=dataclasses.replace(get, key={"user_id": {"S": "nobody"}}),
    )

    run = measure(
        make_context(seeded, dataclasses.replace(workload, patterns=(pattern,))), "profile"
    )

    assert run.variants[-1].items_returned == 0
    assert run.variants[-1].capacity_units == 0.5
    assert any(
        "no item answers this question (:user = nobody)" in each.reason for each in run.warnings
    )


def test_runs_are_saved_as_they_finish(context: Context, tmp_path: Path) -> None:
    store = RunStore(tmp_path / "runs")
    measuring = measure_scenarios(find(context.workload, ["profile", "courses"]), context, store)

    first = next(measuring)

    assert store.list().runs == [first]
    second = next(measuring)
    assert store.list().runs == [second, first]


def test_an_interrupt_keeps_finished_runs_and_stops_threads(
    context: Context, tmp_path: Path
) -> None:
    import threading

    def interrupt(progress: Progress) -> None:
        if progress.scenario == "courses" and progress.doing == "measuring":
            raise KeyboardInterrupt

    store = RunStore(tmp_path / "runs")
    interrupted = dataclasses.replace(context, progress=interrupt)

    with pytest.raises(KeyboardInterrupt):
        list(measure_scenarios(find(context.workload, ["profile", "courses"]), interrupted, store))

    assert [run.scenario for run in store.list().runs] == ["profile"]
    assert not [thread for thread in threading.enumerate() if "segment" in thread.name]


def test_progress_says_what_is_done_and_rises_to_one(context: Context) -> None:
    seen: list[Progress] = []

    measure(dataclasses.replace(context, progress=seen.append), "courses")

    assert [each.doing for each in seen[:4]] == [
        "checking query", "checking scan-parallel", "checking scan-filtered", "checking scan",
    ]  # fmt: skip
    # on a busy machine a slow call is named, too, and nothing more is done by then
    rounds = [each.share for each in seen[4:] if each.doing == "measuring"]
    assert rounds == pytest.approx([1 / 3, 2 / 3, 1])


def test_patterns_means_every_access_pattern_in_the_workloads_order(workload: Workload) -> None:
    names = [scenario.name for scenario in find(workload, ["patterns"])]

    assert names == ["courses", "instructor", "enrollments", "roster", "profile"]
    assert [scenario.name for scenario in find(workload, ["all"])] == list(_scenarios_of(workload))


def test_a_scenario_named_twice_is_measured_once(workload: Workload) -> None:
    assert [each.name for each in find(workload, ["roster", "roster"])] == ["roster"]


def test_an_unknown_scenario_names_the_choices(workload: Workload) -> None:
    with pytest.raises(UnknownScenarioError) as caught:
        find(workload, ["courses", "nope"])

    assert str(caught.value) == (
        "no scenario named 'nope' in workload courses;"
        f" choose from all, {', '.join(_scenarios_of(workload))}, patterns"
    )


def test_what_measuring_will_read_is_known_beforehand(context: Context) -> None:
    (scenario,) = find(context.workload, ["courses"])

    effect = scenario.effect(context)

    # the workload's 10,000 items, not the 200 that are there: 3 calls, 2 warm-ups, 1 strong pass
    assert effect.read_units == 3 * (5 * 1250 + 2500)
    assert "read all of Courses in 3 ways, about 1,250 RCU each time" in effect.text


@pytest.mark.parametrize("segments", [-1, 0, 1, 65])
def test_impossible_segments_are_refused(segments: int) -> None:
    from perfkit.errors import ConfigError

    with pytest.raises(ConfigError, match=f"got {segments}"):
        Options(segments=segments)


def test_what_expressions_do_not_use_is_not_sent(context: Context) -> None:
    """DynamoDB refuses unused placeholders; a pattern may have some that only its scan uses."""
    sent: list[dict[str, Any]] = []
    context.client.meta.events.register(
        "provide-client-params.dynamodb.*", lambda params, **_: sent.append(params)
    )

    measure(context, "enrollments")

    for request in sent:
        text = json.dumps({key: request[key] for key in request if "Expression" in key})
        values = request.get("ExpressionAttributeValues", {})
        assert all(text.count(name) > 1 for name in values)
