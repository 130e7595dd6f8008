"""Bills hold only what the workload and the runs bear out; every figure is worked out by hand."""
# ruff: noqa: RUF002, RUF003 - the signs of arithmetic

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from perfkit.cli import app
from perfkit.cost.options import CostOptions
from perfkit.cost.price_file import load_book, write_price_file
from perfkit.report import plain
from perfkit.report.build import build_report
from perfkit.report.json_document import report_document
from perfkit.report.model import Report
from perfkit.runs import (
    CacheFigures,
    Doubt,
    DoubtKind,
    Hour,
    HourTraffic,
    LatencySummary,
    Run,
    RunKind,
    RunStore,
    ServiceFigures,
    Variant,
    WriteCost,
)
from perfkit.runs import Comparison as Compared
from perfkit.workloads.loader import load
from perfkit.workloads.outline import outline

SHOP = Path(__file__).parents[2] / "examples" / "shop.toml"
LATENCY = LatencySummary(count=1, mean=1.0, p50=1.0, p90=1.0, p95=1.0, p99=1.0, max=1.0)
UNKNOWN: dict[str, Any] = {"workload": "gone", "workload_digest": "0" * 64}


def variant(name: str, operation: str, units: float, **more: Any) -> Variant:
    fields = {"items_read": 10_000, "items_returned": 10, "table": "Shop", **more}
    return Variant(
        name=name,
        operation=operation,
        calls=1,
        requests=1,
        errors=0,
        bytes_read=None,
        capacity_units=units,
        capacity_source="embedded",
        latency_s=LATENCY,
        histogram="",
        **fields,
    )


def run(kind: str, scenario: str, **more: Any) -> Run:
    fields: dict[str, Any] = {
        "workload": "shop",
        "workload_digest": load(str(SHOP)).digest,
        "target": {"kind": "embedded"},
        "started_at": "2026-01-01T00:00:00Z",
        "id": f"{scenario}-1",
        **more,
    }
    return Run(kind=RunKind(kind), scenario=scenario, **fields)


def pattern(
    name: str, units: float, before_bytes: int | None, after_bytes: int | None, **more: Any
) -> Run:
    return run(
        "scenario",
        name,
        variants=(
            variant("scan", "Scan", 1_000.0, body_bytes=before_bytes),
            variant("query", "Query", units, index="Any", body_bytes=after_bytes),
        ),
        **more,
    )


# the shop keeps orders for 60 s and has no cache policy for review
ORDERS = pattern("orders", 14.0, 30_000, 30_000)
REVIEW = pattern("review", 4.0, 60_000, 6_000)
# 100 questions, equally wanted, and no write that forgets one
HOUR = run(
    "cache-hour",
    "cache-hour",
    traffic=HourTraffic(
        rate_hz=20.0,
        keys=100,
        skew=0.0,
        ttl_s=300.0,
        jitter_share=0.0,
        writes_an_hour=0,
        error_share=0.0,
    ),
    hours=(
        Hour(
            name="short run",
            provenance="measured",
            latencies="measured",
            duration_s=4.0,
            ttl_s=0.5,
            cache=CacheFigures(hits=689, misses=311, errors=0),
        ),
    ),
)


def served(name: str, cpu_s: float) -> Variant:
    service = ServiceFigures(
        switches={},
        requests_per_s=1.0,
        read_units_per_s=1.0,
        failed_share=0.0,
        healthy=1,
        instances=1,
        cpu_s=cpu_s,
        cpu_share=0.5,
        stages_s={},
    )
    return replace(variant(name, "GET", 1.0, question="GET /a"), service=service)


PHASES = run(
    "phases",
    "phases",
    variants=(served("phase-0", 0.5), served("phase-3", 0.007), served("phase-3-cold", 0.07)),
)


@pytest.fixture(autouse=True)
def _shop(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The measured workload's file is the one that commands take, whatever was found before."""
    monkeypatch.setenv("PERFKIT_WORKLOAD", str(SHOP))
    outline.cache_clear()
    yield
    outline.cache_clear()


def report(*runs: Run, **options: Any) -> Report:
    return build_report(
        runs, cost=CostOptions(**{"region": "us-east-1", "rps": ("20",), **options})
    )


def measured(built: Report) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(json.dumps(report_document(built)))["cost"]["measured"]
    return found


def lines(bill: dict[str, Any]) -> dict[str, float]:
    return {line["key"]: line["monthly"] for line in bill["lines"]}


def shown(built: Report) -> str:
    return " ".join(plain.render_report(built, 100).split())


def findings(built: Report) -> str:
    (section,) = (each for each in built.sections if each.name == "findings")
    return " ".join(plain.render_blocks(section.blocks, 10_000).split())


@pytest.fixture
def what_if(tmp_path: Path) -> Callable[..., Any]:
    def ask(runs: tuple[Run, ...], *arguments: str) -> Any:
        store = RunStore(tmp_path / ".perfkit" / "runs")
        for each in runs:
            store.save(replace(each, id=""))
        return CliRunner().invoke(app, ["cost", "what-if", *arguments])

    return ask


# ---- after has the indexes whose better read is counted ------------------------------------------


def test_after_pays_for_the_indexes_that_get_there_and_no_other() -> None:
    """A write takes 1 WRU in the table and in each index, so an index costs what the table does."""
    indexed = {"orders": "ByUser", "review": "ByState"}
    runs = [
        replace(
            each,
            variants=(each.variants[0], replace(each.variants[1], index=indexed[each.scenario])),
            comparisons=(
                Compared(
                    baseline="scan",
                    candidate="query",
                    latency_ratio=2.0,
                    latency_ratio_ci95=None,
                    capacity_ratio=10.0,
                    results_equal=True,
                ),
            ),
        )
        for each in (ORDERS, REVIEW)
    ]
    units = dict.fromkeys(("insert", "update", "unchanged", "delete", "key-change"), 1.0)
    costs = tuple(
        WriteCost(table="Shop", index=name, units=units, entry_bytes=900.0, items=10_000)
        for name in (None, "ByUser", "ByState")
    )
    index_cost = run("index-cost", "index-cost", write_costs=costs)

    one = report(*runs, index_cost, rps=("orders=20",))
    both = report(*runs, index_cost)

    for built, count in ((one, 1), (both, 2)):
        found = lines(measured(built)["after"])
        assert found["index-writes"] == pytest.approx(count * found["table-writes"], abs=0.02)
    assert "To get there takes 1 index (ByUser; 10.0 MB)" in shown(one)
    assert "To get there takes 2 indexes (ByUser, ByState; 20.0 MB)" in shown(both)


# ---- prices are those of where the runs are ------------------------------------------------------


def test_prices_are_those_of_the_runs_region_where_all_are_known(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """20/s × 1,000 RRU × 2,628,000 s × $0.1415 a million = $7,437.24 in eu-west-1."""
    monkeypatch.setenv("PERFKIT_PRICES", str(tmp_path))
    target = {"kind": "aws", "region": "eu-west-1"}
    there = replace(ORDERS, target=target)

    # of eu-west-1 come no prices of a cache node and of data out
    some = report(there, region=None)
    assert measured(some)["region"] == "us-east-1"
    why = "list prices of us-east-1 (of eu-west-1 no price of data-out and 1 more is known)"
    assert why in shown(some)

    dear = {**load_book().prices, **load_book("eu-west-1").prices}
    (tmp_path / "eu-west-1.toml").write_text(
        write_price_file("eu-west-1", dear, heading="Mine"), encoding="utf-8"
    )
    known = report(there, region=None)
    assert measured(known)["region"] == "eu-west-1"
    assert lines(measured(known)["before"])["reads"] == 7437.24
    assert "us-east-1" not in shown(known)

    nowhere = report(replace(ORDERS, target={"kind": "aws", "region": "xx-east-9"}), region=None)
    assert "us-east-1 (no price of xx-east-9 is known)" in shown(nowhere)
    assert "list prices of us-east-1 (" not in shown(report(ORDERS, region=None))


# ---- only what has a cache policy is cached ------------------------------------------------------


def test_only_patterns_with_a_cache_policy_are_cached() -> None:
    """
    10/s of each. Orders: 10/s × 60 s ÷ 100 keys = 6 in a life, so 6 of 7 are hits.

    After: 10 × (14 + 4) = 180 RRU/s × 2,628,000 s × $0.125 a million = $59.13. Behind the cache:
    10 × 14 ÷ 7 + 10 × 4 = 60 RRU/s = $19.71. Were review cached too, it would be less.
    """
    found = measured(report(ORDERS, REVIEW, HOUR))

    assert lines(found["after"])["reads"] == 59.13
    assert lines(found["cached"])["reads"] == 19.71
    assert found["traffic"]["kept_s"] == {"orders": 60.0}


def test_the_cache_saves_nothing_of_what_it_does_not_keep() -> None:
    """
    6/7 of 10 in 20 requests are 42.86%; of read units 10 × 14 × 6/7 = 120 of 180, 66.67%.

    120 RRU/s are 120 × 2,628,000 s × $0.125 a million = $39.42. The node, $12.41, is paid by
    12.41 ÷ 59.13 = 20.99% of read units. At r requests a second, half of them orders, 0.3 r come in
    a life, hits are 0.3 r ÷ (1 + 0.3 r), and saved is r/2 × 14 × that = 7 r × 0.3 r ÷ (1 + 0.3 r)
    RRU/s at $0.3285 each: 0.68985 r² = 12.41 (1 + 0.3 r), so
    r = (3.723 + √(3.723² + 4 × 0.68985 × 12.41)) ÷ 1.3797 = 7.7254.
    """
    found = measured(report(ORDERS, REVIEW, HOUR))

    (row,) = (each for each in found["caches"] if each["state"] == "after")
    assert row["hit_rate"] == pytest.approx(3 / 7)
    assert row["unit_hit_rate"] == pytest.approx(2 / 3)
    assert row["saved"] == pytest.approx(39.42)
    assert row["pays_from_hit_rate"] == pytest.approx(0.2099, abs=1e-4)
    assert row["pays_from_requests_per_s"] == pytest.approx(7.7254, abs=1e-4)


def test_a_hit_rate_that_no_cached_pattern_could_reach_pays_no_node() -> None:
    """At 4/s orders are 2 × 14 of 36 RRU/s, $9.20 of $11.83 a month: less than the node's $12.41."""
    few = measured(report(ORDERS, REVIEW, HOUR, rps=("4",)))
    # review takes 12 × 100 of 12 × (14 + 100) RRU/s; all of orders is $55.19, 12.3% of the reads
    dear = replace(
        REVIEW, variants=(REVIEW.variants[0], replace(REVIEW.variants[1], capacity_units=100.0))
    )
    most = measured(report(ORDERS, dear, HOUR, rps=("6",)))

    (after,) = (each for each in few["caches"] if each["state"] == "after")
    assert after["pays_from_hit_rate"] is None
    # 3 × 114 × $0.3285 = $112.35: 11.05% would pay, and orders are 12.28% of it
    (after,) = (each for each in most["caches"] if each["state"] == "after")
    assert after["pays_from_hit_rate"] == pytest.approx(12.41 / 112.347, abs=1e-4)


def test_capacity_modes_behind_the_cache_read_all_of_what_is_not_kept() -> None:
    found = measured(report(ORDERS, REVIEW, HOUR))

    (row,) = (
        each for each in found["capacity_modes"] if each["state"] == "cached" and not each["table"]
    )
    assert row["on-demand"] == pytest.approx(19.71)


def test_instances_answer_what_is_not_kept_as_misses() -> None:
    """3 of 7 requests are hits of 7 ms, 4 of 7 misses of 70 ms: 43 ms × 20/s = 0.86 vCPU ÷ 0.2 = 5."""
    found = measured(report(ORDERS, REVIEW, HOUR, PHASES))

    # 5 × 730 h × $0.0104
    assert lines(found["cached"])["instances"] == 37.96


def test_what_if_caches_what_the_workload_does(what_if: Callable[..., Any]) -> None:
    """A hit rate of 90% is that of orders: 10 × 14 × 0.1 + 10 × 4 = 54 RRU/s = $17.74."""
    answer = what_if((ORDERS, REVIEW, HOUR), "--rps", "20", "--set", "cache.hit_rate=0.9", "--json")

    (reads,) = (each for each in json.loads(answer.stdout)["lines"] if each["key"] == "reads")
    assert (reads["baseline"], reads["changed"]) == (19.71, 17.74)


def test_without_any_cache_policy_there_is_no_bill_behind_a_cache(
    what_if: Callable[..., Any],
) -> None:
    found = measured(report(REVIEW))

    assert "cached" not in found
    assert found["caches"] == []
    answer = what_if((REVIEW,), "--rps", "20", "--json")
    assert "cache" not in [each["key"] for each in json.loads(answer.stdout)["lines"]]
    refused = what_if((REVIEW,), "--rps", "20", "--set", "answers=cache")
    assert refused.exit_code == 2
    assert "no access pattern that was measured has a cache policy" in refused.stderr


def test_a_run_says_its_cache_policy_where_the_workload_is_gone() -> None:
    orders, review = (replace(each, **UNKNOWN) for each in (ORDERS, REVIEW))
    hour = replace(HOUR, **UNKNOWN)

    unsaid = report(orders, review, hour)
    found = measured(
        report(replace(orders, cache_ttl_s=60.0), replace(review, cache_ttl_s=0.0), hour)
    )

    assert lines(found["cached"])["reads"] == 19.71
    # of an older run that does not say it nothing is cached, and that is said
    assert "cached" not in measured(unsaid)
    assert "cache policies, so nothing of it is taken to be cached: orders, review" in shown(unsaid)


def test_a_run_of_the_cache_names_what_is_cached() -> None:
    asked = run(
        "cache", "cache", variants=(variant("query", "Query", 14.0, question="orders"),), **UNKNOWN
    )
    orders, review = (replace(each, **UNKNOWN) for each in (ORDERS, REVIEW))

    found = measured(report(orders, review, asked))

    assert list(found["traffic"]["kept_s"]) == ["orders"]
    assert "cache policies" not in [each["what"] for each in found["missing"]]


# ---- data out ------------------------------------------------------------------------------------


def test_answers_are_sent_in_the_form_they_have() -> None:
    """
    10/s × (30,000 + 60,000) B × 2,628,000 s ÷ 2**30 = 2,202.76 GB × $0.09 = $198.25 by scan.

    By query 10/s × (30,000 + 6,000) B: 881.10 GB, $79.30; behind the cache the same answers.
    """
    found = measured(report(ORDERS, REVIEW, HOUR))

    assert lines(found["before"])["data-out"] == 198.25
    assert lines(found["after"])["data-out"] == 79.30
    assert lines(found["cached"])["data-out"] == 79.30


@pytest.mark.parametrize(
    ("sizes", "what"),
    [
        pytest.param((None, None), "review by scan and query", id="neither form"),
        pytest.param((None, 6_000), "review by scan", id="not by scan"),
    ],
)
def test_an_answer_of_unknown_size_is_not_free(
    sizes: tuple[int | None, int | None], what: str
) -> None:
    review = pattern("review", 4.0, *sizes)

    found = measured(report(ORDERS, review, HOUR))

    # bills that are held against one another have the line all or none
    assert all("data-out" not in lines(found[side]) for side in ("before", "after", "cached"))
    assert {"what": f"sizes of answers, for data out: {what}", "command": "perfkit bench"} in found[
        "missing"
    ]
    # what nobody asks for is not missed: 20/s × 30,000 B are 1,468.51 GB
    asked = measured(report(ORDERS, review, HOUR, rps=("orders=20",)))
    assert lines(asked["after"])["data-out"] == 132.17


def test_older_runs_have_the_sizes_of_the_run_of_the_cache() -> None:
    old = pattern("orders", 14.0, None, None)
    cache = run(
        "cache",
        "cache",
        variants=(
            variant("scan", "Scan", 1_000.0, question="orders", body_bytes=60_000),
            variant("query", "Query", 14.0, question="orders", body_bytes=30_000),
        ),
    )

    found = measured(report(old, cache, HOUR))

    # 20/s × 60,000 B are 2,937.02 GB
    assert lines(found["before"])["data-out"] == 264.33
    assert lines(found["after"])["data-out"] == 132.17


# ---- what is said of it --------------------------------------------------------------------------


def test_the_hit_rate_of_a_short_run_is_no_hit_rate_of_a_month() -> None:
    built = report(ORDERS, REVIEW, HOUR)

    assert {each["hit_rate_of"] for each in measured(built)["caches"]} == {"this traffic"}
    assert "the short real run" not in shown(built)


COMPARED = Compared(
    baseline="scan",
    candidate="query",
    latency_ratio=5.0,
    latency_ratio_ci95=(4.0, 6.0),
    capacity_ratio=10.0,
    results_equal=True,
    significant=True,
    rounds=9,
)


def sure(of: Run) -> Run:
    """Return a run on AWS with a certain result."""
    return replace(of, target={"kind": "aws"}, comparisons=(COMPARED,))


@pytest.mark.parametrize(
    ("change", "doubt"),
    [
        pytest.param(
            {"doubts": (Doubt(DoubtKind.NOISY_ROUNDS, "they differ"),)},
            "review: calls or rounds of one variant lie far apart",
            id="caution",
        ),
        pytest.param({"doubts": (Doubt(DoubtKind.DATA, "odd"),)}, "review: odd", id="warning"),
        pytest.param(
            {"perfkit": "0.0.1"},
            "measured by perfkit 0.0.1, 0.1.0; hold only runs of one version against one another,"
            " or measure all again",
            id="versions",
        ),
    ],
)
def test_what_is_doubtful_is_said_and_nothing_where_nothing_is(
    change: dict[str, Any], doubt: str
) -> None:
    # patterns of a known workload that have no run are a doubt, too
    runs = (replace(sure(ORDERS), **UNKNOWN), replace(sure(REVIEW), **UNKNOWN))

    calls = replace(runs[0].variants[0].latency_s, count=20)
    often = [
        replace(run, variants=tuple(replace(each, latency_s=calls) for each in run.variants))
        for run in runs
    ]

    assert "oubt" not in findings(build_report(often))
    doubtful = findings(build_report((often[0], replace(often[1], **change))))
    assert f"Doubtful: {doubt}." in doubtful


TIMED = replace(
    PHASES, workload="courses", quoted={"source": "a document"}, comparisons=(), checks=()
)


def test_quoted_money_stands_apart_from_what_was_measured() -> None:
    built = findings(build_report([TIMED], cost=CostOptions(prices="quoted")))

    measured_here = re.search(r"The service answers in [^.]*\..*? at phase 3 \(GET /a\)", built)
    assert measured_here is not None
    assert "$" not in measured_here.group()
    assert "a month of all services, quoted¹ †$118.50 †$68.50" in built


def test_a_workload_that_quotes_nothing_hears_nothing_of_a_document() -> None:
    built = build_report([replace(TIMED, quoted=None)], cost=CostOptions())

    assert "118.50" not in findings(built)


def test_findings_have_the_measured_bill_of_a_stated_traffic(tmp_path: Path) -> None:
    """A rate that nobody stated makes no headline."""
    runs = (sure(ORDERS), sure(REVIEW), replace(HOUR, target={"kind": "aws"}))
    file = tmp_path / "mine.toml"
    file.write_text("[traffic]\nrps = 20\n")

    # reads 20 × 1,000 RRU/s = $6,570 and data out $198.25; $59.13 and $79.30; $19.71, $79.30, $12.41
    for options in (CostOptions(rps=("20",)), CostOptions(architecture=file)):
        built = findings(build_report(runs, cost=options))
        assert "Today 20 requests a second cost $6,768.25 a month (modelled)" in built
        assert "It could be $138.43 a month, $111.42 behind the cache" in built
    unstated = build_report(runs, cost=CostOptions())
    assert "requests a second cost" not in findings(unstated)
    assert "Today a million calls of each of 2 access patterns cost" in findings(unstated)
    # nor a month's bill: 1,000 RRU × 1,000,000 × $0.125 / 1,000,000
    assert "a million calls of orders" in shown(unstated)
    assert "$125" in shown(unstated)
    for each in ("20 requests", "a month's bill, on demand", "Capacity modes"):
        assert each not in shown(unstated)


def test_intervals_are_said_not_to_be_corrected_for_their_number() -> None:
    text = shown(build_report([sure(ORDERS), sure(REVIEW)]))

    assert "they are not corrected for their number (Bonferroni)" in text
    assert "Bonferroni" not in shown(build_report([replace(ORDERS, comparisons=())]))


@pytest.mark.parametrize("arguments", [("--free-tier",), ("--set", "free_tier=on")])
def test_what_if_says_what_the_free_tier_takes_off(
    what_if: Callable[..., Any], arguments: tuple[str, ...]
) -> None:
    answer = what_if((ORDERS, REVIEW, HOUR), "--rps", "20", *arguments)

    assert "The free tier that is taken off: 100 GB of data-out." in " ".join(answer.stdout.split())


def test_the_free_tier_says_what_it_takes_off(tmp_path: Path) -> None:
    """
    12 alarms, 10 of them free: $0.20. 3,000,000 requests, 1,000,000 of them free: $0.80.

    6 GB of logs, 5 of them free: $0.50.
    """
    file = tmp_path / "mine.toml"
    file.write_text(
        "[before.cloudwatch]\nalarms = 12\nlogs_in_gb = 6\n[before.queue]\nstandard_requests = 3_000_000\n"
    )

    built = build_report(
        (), cost=CostOptions(architecture=file, free_tier=True, prices="list"), topics=()
    )

    document: Any = report_document(built)["cost"]
    assert {each["service"]: each["monthly"] for each in document["before"]["lines"]} == {
        "CloudWatch": 0.70,
        "SQS": 0.80,
    }
    text = shown(built)
    assert "10 alarms of cloudwatch-alarm, 5 GB of cloudwatch-logs-in" in text
    assert "1,000,000 requests of sqs-standard-request" in text
    assert "Nothing else that AWS gives away is" in text
