"""What measured requests cost, in reports: from fixed runs, against figures worked out by hand."""
# ruff: noqa: RUF001, RUF003 - the signs that reports print

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from inline_snapshot import snapshot
from typer.testing import CliRunner

from perfkit.analysis import costs
from perfkit.cli import app
from perfkit.cost import architecture_file, described, price_file
from perfkit.cost.options import CostOptions
from perfkit.errors import ConfigError, PriceError
from perfkit.report import csv_tables, markdown, plain
from perfkit.report.build import build_cost_screen, build_report, build_screen
from perfkit.report.json_document import report_document
from perfkit.report.model import Curves, Report, Table
from perfkit.runs import (
    CacheFigures,
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
from perfkit.workloads.loader import load

RUNS = Path(__file__).with_name("runs")
LATENCY = LatencySummary(count=1, mean=1.0, p50=1.0, p90=1.0, p95=1.0, p99=1.0, max=1.0)
UNITS = {"insert": 1.0, "unchanged": 0.0, "update": 1.0, "key-change": 2.0, "delete": 1.0}


def variant(name: str, operation: str, units: float, **more: Any) -> Variant:
    fields = {"items_read": 10_000, "items_returned": 50, "table": "Books", **more}
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
    return Run(
        kind=RunKind(kind),
        scenario=scenario,
        workload="books",
        target={"kind": "embedded"},
        started_at="2026-01-01T00:00:00Z",
        id=f"{scenario}-1",
        **more,
    )


SHELF = run(
    "scenario",
    "shelf",
    variants=(
        variant("scan", "Scan", 1250.0),
        variant("query", "Query", 6.5, index="ByShelf", items_read=50),
    ),
)
TABLE = WriteCost(table="Books", index=None, units=UNITS, entry_bytes=1024.0, items=10_000)
ALL = replace(TABLE, index="ByShelf", projection="ALL", patterns=("shelf",))
KEYS = replace(
    ALL,
    projection="KEYS_ONLY",
    units={**UNITS, "update": 0.0},
    entry_bytes=40.0,
    declared=False,
    covers=False,
)
WRITES = run("index-cost", "index-cost", write_costs=(TABLE, ALL, KEYS))
CACHE = run(
    "cache",
    "cache",
    variants=(
        variant("scan", "Scan", 1250.0, question="shelf", body_bytes=50_000),
        variant("query", "Query", 6.5, question="shelf", body_bytes=50_000),
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
    return replace(variant(name, "GET", 1.0, question="GET /books"), service=service)


PHASES = run(
    "phases",
    "phases",
    variants=(served("phase-0", 0.5), served("phase-3", 0.001), served("phase-3-cold", 0.011)),
)
HOUR = run(
    "cache-hour",
    "cache-hour",
    traffic=HourTraffic(
        rate_hz=27.8,
        keys=10,
        skew=0.8,
        ttl_s=60.0,
        jitter_share=0.1,
        writes_an_hour=60.0,
        error_share=0.0,
    ),
    hours=(
        Hour(
            name="short run",
            provenance="measured",
            latencies="measured",
            duration_s=4.0,
            ttl_s=0.5,
            cache=CacheFigures(hits=30, misses=70, errors=0),
        ),
        Hour(
            name="an hour",
            provenance="modelled",
            latencies="measured",
            duration_s=3600.0,
            ttl_s=60.0,
            cache=CacheFigures(hits=80, misses=20, errors=0),
        ),
    ),
)
FULL = (SHELF, WRITES, CACHE, PHASES, HOUR)


def _with_rate(options: dict[str, Any]) -> dict[str, Any]:
    """Return options that state a rate, as without one there is no month."""
    return options if "architecture" in options else {"rps": ("20",), **options}


def report(*runs: Run, **options: Any) -> Report:
    cost = CostOptions(region="us-east-1", prices="list", **_with_rate(options))
    return build_report(runs or FULL, sections={"cost", "cost-measured"}, cost=cost)


def table(built: Report, name: str) -> Table:
    return next(each for section in built.sections for each in section.tables if each.name == name)


def text(built: Report, name: str, width: int = 110) -> str:
    return plain.render_blocks((table(built, name),), width)


def measured(built: Report) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(json.dumps(report_document(built)))["cost"]["measured"]
    return found


# ---- figures -------------------------------------------------------------------------------


def test_reads_are_units_times_traffic() -> None:
    # 20/s × 1,250 × 2,628,000 s × $0.125 a million, and with 6.5
    assert text(report(), "cost-patterns") == snapshot("""\
Reads a month, on demand
                      RCU a request                      a month
pattern  ≈requests/s         before  after  ≈hit rate    ≈before  ≈after  ≈after, cached¹
-----------------------------------------------------------------------------------------
shelf             20          1,250    6.5      99.1%  $8,212.50  $42.71            $0.37
TOTAL²            20              –      –          –  $8,212.50  $42.71            $0.37

≈ marks figures modelled by a formula; all others are measured, unless their row says otherwise.
¹ Reads of misses, and all of what has no cache policy; the node is in the bill below.
² All patterns are one line of the bill, rounded to cents once: cents of the rows may sum to a little more or
  less.
""")


def test_rows_of_patterns_sum_to_the_bill_where_one_has_no_better_form() -> None:
    # what is asked by key already goes on as today, behind the cache too
    title = run("scenario", "title", variants=(variant("get", "GetItem", 0.5, items_read=1),))

    built = report(SHELF, title, WRITES, CACHE)

    *_, total = table(built, "cost-patterns").rows
    reads = table(built, "cost-measured-bill").rows[0]
    for state in ("before_usd", "after_usd", "cached_usd"):
        assert total[state] == pytest.approx(reads[state], abs=0.01)


def test_the_bill_has_before_after_and_cached() -> None:
    assert text(report(), "cost-measured-bill") == snapshot("""\
The month's bill, on demand
                               a month
for                            ≈before    ≈after  ≈after, cached
----------------------------------------------------------------
DynamoDB reads               $8,212.50    $42.71           $0.37
DynamoDB writes to tables        $1.64     $1.64           $1.64
DynamoDB writes to indexes           –     $1.81           $1.81
storage of tables             $0.00262  $0.00262        $0.00262
storage of indexes                   –  $0.00262        $0.00262
cache node (cache.t3.micro)          –         –          $12.41
instances (t3.micro)           $379.60    $15.18           $7.59
data out                       $220.28   $220.28         $220.28
TOTAL                        $8,814.02   $281.63         $244.11

≈ marks figures modelled by a formula; all others are measured, unless their row says otherwise.
""")


def test_capacity_modes_name_the_cheapest_and_from_when_on() -> None:
    assert text(report(), "cost-capacity-modes") == snapshot("""\
Capacity modes¹
                                                  a month
answers        table or index  ≈RCU/s  ≈WCU/s  ≈on-demand  ≈provisioned  ≈auto-scaling  cheapest
----------------------------------------------------------------------------------------------------
before         TOTAL           25,000       1   $8,214.14     $4,745.95      $3,390.28  auto-scaling
after          Books                0       1       $1.64         $1.04          $1.04  provisioned
               ByShelf            130     1.1      $44.51        $26.10         $18.68  auto-scaling
               TOTAL              130     2.1      $46.15        $27.14         $19.72  auto-scaling
after, cached  TOTAL            1.126     2.1       $3.82         $2.75          $2.27  auto-scaling

                               pays from requests/s
answers        table or index          ≈provisioned  ≈auto-scaling
------------------------------------------------------------------
before         TOTAL                       0.003235       0.002147
after          Books                          12.71          8.619
               ByShelf                       0.5543         0.3926
               TOTAL                          1.028         0.7745
after, cached  TOTAL                          11.08          5.146

≈ marks figures modelled by a formula; all others are measured, unless their row says otherwise.
¹ The rate from which on demand stays the more expensive mode, as all traffic grows alike, in requests a
  second of all patterns together; a dash where it never is, or nothing is read. Behind the cache each rate
  has its own hit rate, unless one is given, which is held.
""")


def test_projections_stand_side_by_side() -> None:
    assert text(report(), "cost-indexes") == snapshot("""\
What indexes cost and save¹
                                             reads a month            the index a month
index    projection  asked by  ≈RCU a query         ≈today  ≈queries            ≈writes   ≈storage
--------------------------------------------------------------------------------------------------
ByShelf  ALL         shelf              6.5      $8,212.50    $42.71              $1.81   $0.00262
         KEYS_ONLY²  shelf             25.5      $8,212.50   $167.54              $1.15  $0.000326

index    projection  ≈saves a month  ≈backfill, once  ≈pays from requests/s
---------------------------------------------------------------------------
ByShelf  ALL              $8,167.99            $0.01               0.004429
         KEYS_ONLY²       $8,043.81            $0.01               0.002859

≈ marks figures modelled by a formula; all others are measured, unless their row says otherwise.
¹ On demand, reads of its patterns at the traffic above. The declared projection's queries are as measured,
  the others' modelled from measured sizes. Backfill is paid once.
² It lacks attributes that the patterns need: a read of the table for each item found is in its queries.
""")


def test_the_cache_is_shown_at_the_hit_rate_of_the_virtual_hour_too() -> None:
    assert text(report(), "cost-cache") == snapshot("""\
What the cache saves and costs (cache.t3.micro)¹
                               hits of              reads a month             a month
instead of  hit rate of       requests  read units       ≈without     ≈saved    ≈node      ≈left
------------------------------------------------------------------------------------------------
today       this traffic        ≈99.1%      ≈99.1%      $8,212.50  $8,141.38   $12.41  $8,128.97
            the virtual hour      ≈80%        ≈80%      $8,212.50  $6,570.00   $12.41  $6,557.59
queries     this traffic        ≈99.1%      ≈99.1%         $42.71     $42.34   $12.41     $29.93
            the virtual hour      ≈80%        ≈80%         $42.71     $34.16   $12.41     $21.75

                              the node pays from
instead of  hit rate of           ≈of read units  ≈requests/s
-------------------------------------------------------------
today       this traffic                    0.2%      0.08209
            the virtual hour                0.2%      0.03778
queries     this traffic                   29.1%        5.981
            the virtual hour               29.1%        7.265

≈ marks figures modelled by a formula; all others are measured, unless their row says otherwise.
¹ On demand. What is saved follows the hits weighted by read units: the expensive pattern may be one that is
  asked rarely, and one without a cache policy is never hit. For this traffic each rate of requests has its
  own hit rate; one that is given or of a run is held at all rates. A dash where no rate pays for the node;
  shorter answer times are not counted.
""")


def test_instances_and_data_out_are_shown() -> None:
    assert text(report(), "cost-instances") == snapshot("""\
Instances for 20 requests a second¹²
                             vCPUs in use
variant       CPU a request         ≈mean  ≈busiest hour  ≈t3.micro  decided by  ≈a month
-----------------------------------------------------------------------------------------
phase-0              500 ms            10             20         50  baseline     $379.60
phase-3             1.00 ms          0.02           0.04          1  baseline       $7.59
phase-3-cold        11.0 ms          0.22           0.44          2  baseline      $15.18

≈ marks figures modelled by a formula; all others are measured, unless their row says otherwise.
¹ Processor time was measured on this machine and is assumed to be the same on a vCPU there, which is another
  processor and shared in another way: take the counts as an order of magnitude, and load-test before you rely
  on them.
² t3.micro: 2 vCPUs, of which 0.2 may be used for good; 288 credits at most, which is 2 h 40 min in full. A
  day's mean must stay within that baseline, and the busiest hour within 70% of all vCPUs. Source: Amazon EC2
  User Guide, key concepts for burstable performance instances (credit table).
""")
    assert text(report(), "cost-data-out") == snapshot("""\
Data out a month¹
                      an answer           GB a month          a month
pattern  ≈requests/s     before    after     ≈before  ≈after  ≈before   ≈after
------------------------------------------------------------------------------
shelf             20    50.0 kB  50.0 kB       2,448   2,448  $220.28  $220.28

≈ marks figures modelled by a formula; all others are measured, unless their row says otherwise.
¹ Bodies of answers alone, each pattern for itself; the bill has them together, with tiers and, if it is asked
  for, the free tier. A body is the answer's items as DynamoDB's JSON, types and all; a service that sends
  plain JSON sends less.
""")


# ---- curves --------------------------------------------------------------------------------


def test_curves_cross_where_their_lines_stand() -> None:
    curves = [
        block
        for section in report().sections
        for block in section.blocks
        if isinstance(block, Curves)
    ]

    assert [each.name for each in curves] == [
        *("cost-capacity-curves", "cost-index-curves", "cost-cache-curves"),
    ]
    for chart in curves[1:]:
        (line,) = chart.lines
        first, second = chart.curves
        # the cheaper one left of the line is the dearer one right of it
        for old, new in zip(first.points, second.points, strict=True):
            if old.x < line.x * 0.99:
                assert old.y < new.y
            if old.x > line.x * 1.01:
                assert old.y > new.y


# ---- explained, and for programs -----------------------------------------------------------


def test_explain_shows_each_amounts_arithmetic() -> None:
    short, long = (plain.render_report(report(explain=explain), 100) for explain in (False, True))

    assert "How it came about" not in short
    assert "1,250 RRU × 20/s × 2,628,000 s: 65,700,000,000 read request units" in long
    assert "= $8,212.50" in long


def test_each_pattern_is_kept_as_long_as_its_workload_says() -> None:
    """The built-in workload keeps profiles for 180 s and all else 300 s; the run says neither."""
    digest = load("courses").digest

    def of_courses(run: Run, digest: str) -> Run:
        pattern = "profile" if run is SHELF else run.scenario
        return replace(run, scenario=pattern, workload="courses", workload_digest=digest)

    def built(digest: str) -> Report:
        both = (SHELF, replace(SHELF, id="other", scenario="roster"))
        return build_report(
            [of_courses(each, digest) for each in both], cost=CostOptions(rps=("20",))
        )

    assert measured(built(digest))["traffic"]["kept_s"] == {"profile": 180.0, "roster": 300.0}
    shown = " ".join(plain.render_report(built(digest), 100).split())
    assert "kept 300 s (profile 180 s) as the workload says, 60 invalidations an hour" in shown
    # a pattern that was not measured is not spoken of
    roster = of_courses(replace(SHELF, scenario="roster"), digest)
    alone = build_report([roster], cost=CostOptions(rps=("20",)))
    assert "kept 300 s as the workload says" in " ".join(plain.render_report(alone, 100).split())
    # another workload of that name, so nothing is known, and nothing is taken to be kept
    assert measured(built("0" * 64))["traffic"]["kept_s"] == {}
    assert "invalidations an hour" not in plain.render_report(built("0" * 64), 100)


def test_a_bill_that_is_not_whole_says_what_is_in_it() -> None:
    """Of one pattern alone: 20/s by scan, by index, and behind the cache with its node."""
    some = build_report([replace(SHELF, cache_ttl_s=300.0)], cost=CostOptions(rps=("20",)))

    assert "behind the cache: reads and cache node only; everything is on demand." in " ".join(
        plain.render_report(some, 100).split()
    )
    whole = " ".join(plain.render_report(report(), 100).split())
    assert "behind the cache; everything is on demand." in whole


def test_programs_find_it_below_the_bills() -> None:
    found = measured(report())

    assert found["before"]["total"] == pytest.approx(
        sum(line["monthly"] for line in found["before"]["lines"])
    )
    assert {line["provenance"] for line in found["after"]["lines"]} == {"modelled"}
    assert found["traffic"]["patterns"] == {"shelf": 20.0}
    quoting = [replace(run, quoted={"source": "a document"}) for run in FULL]
    full = report_document(
        build_report(quoting, sections={"cost", "cost-measured"}, cost=CostOptions(rps=("20",)))
    )["cost"]
    assert isinstance(full, dict)
    assert {"before", "after", "savings", "measured"} <= full.keys()


def test_every_format_shows_it() -> None:
    from perfkit.report import formats
    from perfkit.report.formats import Format

    built = report()

    for chosen in Format:
        if chosen is Format.CSV:
            assert "cost-indexes" in csv_tables.render_tables(built)
        else:
            assert "8,212.50" in formats.render_text(built, chosen) or chosen is Format.JSON
    assert "## Cost of what was measured" in markdown.render_report(built)


# ---- options -------------------------------------------------------------------------------


def test_traffic_comes_from_options_and_files(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text("[before]\ntitle = 'b'\n[traffic]\nrps = 5\nhit_rate = 0.5\n")

    assert measured(report(rps=("40",)))["traffic"]["requests_per_s"] == 40
    assert measured(report(architecture=file))["traffic"]["requests_per_s"] == 5
    assert measured(report(architecture=file))["caches"][0]["hit_rate"] == 0.5
    both = report(architecture=file, rps=("shelf=7",))
    assert measured(both)["traffic"]["requests_per_s"] == 7


def test_the_free_tier_is_off_unless_asked_for() -> None:
    paid, free = measured(report()), measured(report(free_tier=True))

    assert not paid["free_tier"]
    # the report lists the allowances it took off
    shown = " ".join(plain.render_report(report(free_tier=True), 110).split())
    assert (
        "taken off: 25 GB-months of dynamodb-storage, 100 GB of data-out, 18,250 RCU-hours" in shown
    )
    # 100 GB of data out and all of the storage
    difference = paid["before"]["total"] - free["before"]["total"]
    storage = next(line for line in paid["before"]["lines"] if line["key"] == "table-storage")
    assert difference == pytest.approx(9.0 + storage["monthly"], abs=0.01)


def test_traffic_of_an_unknown_pattern_names_the_nearest() -> None:
    with pytest.raises(ConfigError, match="'shelv' that was not measured; did you mean 'shelf'"):
        report(rps=("shelv=1",))


def test_a_region_that_lacks_prices_says_which() -> None:
    cost = CostOptions(region="eu-west-1", prices="list", rps=("20",))

    built = build_report(FULL, sections={"cost-measured"}, cost=cost)

    shown = plain.render_report(built, 120)
    assert "Left out: no price 'redis-cache.t3.micro-hour' for eu-west-1" in shown
    assert "cost-patterns" in [each.name for each in built.sections[0].tables]
    with pytest.raises(PriceError):
        build_report(FULL, sections={"cost-measured"}, cost=CostOptions(region="mars-1"))


def test_everything_is_worked_out_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Findings, dashboard, bills and curves show the same figures: none of them works one out."""
    asked: list[str] = []
    for module, name in (
        (architecture_file, "load_architectures"),
        (price_file, "load_book"),
        (described, "quoted"),
        (described, "by_list"),
        (costs, "gather"),
        (costs, "estimate"),
    ):
        work_out = getattr(module, name)

        def counted(*args: Any, name: str = name, work_out: Any = work_out, **more: Any) -> Any:
            asked.append(name)
            return work_out(*args, **more)

        monkeypatch.setattr(module, name, counted)

    names = {"findings", "dashboard", "cost", "cost-measured"}
    quoting = [replace(run, quoted={"source": "a document"}) for run in FULL]
    built = build_report(quoting, sections=names, cost=CostOptions(rps=("20",)))

    assert {each.name for each in built.sections} == names
    assert sorted(asked) == sorted(set(asked))
    assert len(asked) == 6


# ---- what is missing or mixed --------------------------------------------------------------


def test_runs_without_writes_say_what_would_measure_them() -> None:
    shown = plain.render_report(report(SHELF), 120)

    assert "writes, storage and what indexes cost: `perfkit bench --scenario index-cost`" in shown
    assert "storage of tables" not in shown


def test_a_workload_file_that_is_elsewhere_may_be_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def shown() -> str:
        return plain.render_blocks(build_cost_screen([SHELF], cost=CostOptions(), more=""), 300)

    assert "the file of workload books is not in this folder" in shown()

    elsewhere = tmp_path / "mine.toml"
    elsewhere.write_text('name = "books"\n[traffic.reads]\nshelf = { rps = 3 }\n')
    monkeypatch.setenv("PERFKIT_WORKLOAD", str(elsewhere))

    assert "is not in this folder" not in shown()
    assert "A month on demand, 3 requests/s" in shown()


def test_missing_queries_are_those_of_what_is_scanned() -> None:
    title = run("scenario", "title", variants=(variant("query", "Query", 0.5, items_read=1),))
    scanned = replace(SHELF, variants=SHELF.variants[:1])

    missing = measured(report(scanned, title))["missing"]

    assert "queries by index for shelf" in [each["what"] for each in missing]


def test_a_table_without_an_index_has_only_its_scan() -> None:
    alone = replace(SHELF, variants=SHELF.variants[:1])

    built = report(alone)

    assert list(measured(built)["capacity_modes"][0]) != []
    assert "after" not in measured(built)
    assert "perfkit create-indexes, then perfkit bench" in plain.render_report(built, 120)


def test_no_index_is_to_be_created_on_a_table_that_perfkit_did_not_fill() -> None:
    """Whose workload file was edited since, so that it does not say so."""
    alone = replace(SHELF, variants=SHELF.variants[:1], settings={"scale": None})

    assert "create-indexes" not in plain.render_report(report(alone), 120)


def test_no_requests_at_all_is_no_division_by_nothing() -> None:
    built = report(rps=("shelf=0",))

    assert measured(built)["before"]["lines"][0]["monthly"] == 0


@pytest.mark.parametrize("traffic", ["patterns = { shelf = 0 }", "weights = { shelf = 0 }"])
def test_where_nothing_is_read_no_rate_of_reads_pays(tmp_path: Path, traffic: str) -> None:
    """Writes alone cost, but any factor of no reads a second is no reads a second."""
    file = tmp_path / "mine.toml"
    file.write_text(f"[before]\ntitle = 'b'\n[traffic]\n{traffic}\n")

    found = measured(report(architecture=file))

    assert found["traffic"]["requests_per_s"] == 0
    rates = [each["pays_from_requests_per_s"] for each in found["capacity_modes"]]
    assert rates
    assert all(each == {"provisioned": None, "auto-scaling": None} for each in rates)


def test_the_document_is_that_of_the_newest_runs_that_have_the_traffic() -> None:
    newer = replace(
        SHELF, workload="films", scenario="cast", id="cast-1", started_at="2026-01-02T00:00:00Z"
    )

    found = measured(report(*FULL, newer, rps=("shelf=4",)))

    assert "books" in found["subject"]
    # 4/s × 1,250 × 2,628,000 s × $0.125 a million
    assert found["before"]["lines"][0]["monthly"] == pytest.approx(1642.5)
    # where none is refused it is the newest
    assert "films" in measured(report(*FULL, newer))["subject"]


def test_workloads_are_never_mixed() -> None:
    other = replace(SHELF, workload="films", scenario="cast", id="cast-1")

    built = report(*FULL, other, rps=("shelf=4",))

    sections = [each for each in built.sections if each.name == "cost-measured"]
    assert len(sections) == 2
    by_subject = {each.subject: each for each in sections}
    (films,) = (each for name, each in by_subject.items() if "films" in name)
    # its patterns are not those that traffic was given for
    assert "Left out: traffic of a pattern 'shelf'" in plain.render_blocks(films.blocks, 100)


def test_a_rate_of_a_pattern_that_no_workload_has_is_an_error_for_several_too() -> None:
    other = replace(SHELF, workload="films", scenario="cast", id="cast-1")
    cost = CostOptions(rps=("shef=4",))

    with pytest.raises(ConfigError, match="'shef' that was not measured"):
        build_cost_screen([SHELF, other], cost=cost, more="")
    with pytest.raises(ConfigError, match="'shef' that was not measured"):
        build_screen([SHELF, other], cost=cost, next_step="")
    with pytest.raises(ConfigError, match="'shef' that was not measured"):
        report(SHELF, other, rps=("shef=4",))


def of_courses(*scenarios: str) -> list[Run]:
    workload = load()
    return [
        replace(
            SHELF,
            scenario=name,
            workload=workload.name,
            workload_digest=workload.digest,
            started_at=f"2026-01-01T00:00:0{number}Z",
        )
        for number, name in enumerate(scenarios)
    ]


def test_traffic_spread_over_less_than_the_workload_is_said() -> None:
    """The workload has five patterns: 20/s over four of them are 5/s each instead of 4/s."""
    built = report(*of_courses("courses", "instructor", "enrollments", "roster"))

    assert [row["reads_per_s"] for row in table(built, "cost-patterns").rows[:4]] == [5.0] * 4
    assert (
        "All 20 requests a second are spread over courses, instructor, enrollments, roster:"
        " profile is not among the runs, so its share falls to the others and amounts are not"
        " those of the whole workload; measure with `perfkit bench`."
    ) in " ".join(plain.render_report(built, 120).split())


def test_traffic_of_single_patterns_or_over_all_of_them_is_not_spread() -> None:
    every = of_courses("courses", "instructor", "enrollments", "roster", "profile")

    assert "are spread over" not in plain.render_report(report(*every), 120)
    assert "are spread over" not in plain.render_report(report(*every[:2], rps=("courses=4",)), 120)
    # another workload of that name has other patterns
    edited = [replace(each, workload_digest="another") for each in every[:2]]
    assert "are spread over" not in plain.render_report(report(*edited), 120)


def test_nothing_is_shown_where_nobody_asked_about_money() -> None:
    assert build_report(FULL, sections={"cost-measured"}).sections == ()
    quoted = CostOptions(prices="quoted")
    assert build_report(FULL, sections={"cost-measured"}, cost=quoted).sections == ()


# ---- the command ---------------------------------------------------------------------------


@pytest.fixture
def ask(tmp_path: Path) -> Callable[..., Any]:
    store = RunStore(tmp_path / ".perfkit" / "runs")
    shutil.copytree(RUNS, store.folder)
    return lambda *arguments: CliRunner().invoke(app, ["report", "--cost", *arguments])


def test_the_report_has_it_after_the_bills(ask: Callable[..., Any]) -> None:
    answer = ask("--rps", "courses=20", "--json")

    document = json.loads(answer.stdout)
    (reads,) = (
        line for line in document["cost"]["measured"]["before"]["lines"] if line["key"] == "reads"
    )
    assert reads["monthly"] == pytest.approx(8212.5)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--rps", "x"), "--rps 'x' is no rate"),
        (("--rps", "corses=3"), "did you mean 'courses'?"),
        (("--rps", "courses=-1"), "--rps courses is -1; give more than 0"),
        (("--rps", "5", "--rps", "courses=1"), "contradict each other"),
    ],
)
def test_wrong_traffic_ends_with_2(
    ask: Callable[..., Any], arguments: tuple[str, ...], message: str
) -> None:
    answer = ask(*arguments)

    assert answer.exit_code == 2
    assert message in answer.stderr


# --- an architecture with measured units


def test_an_architecture_takes_measured_units_and_says_what_disagreed(tmp_path: Path) -> None:
    """
    20 requests and one write a second: 65,700,000,000 RRU by scan, 341,640,000 by index.

    2,628,000 writes of one WRU to the table, and 10,000 items of 1,124 B, which is 0.010468 GB.
    """
    file = tmp_path / "mine.toml"
    file.write_text(
        # within a tenth, and so no disagreement
        "[before.tables.Books]\nread_requests = 60_000_000_000\nwrite_requests = 2_628_000\n[after.tables.Books]\nread_requests = 0\nwrite_requests = 2_000_000\nstorage_gb = 5\n[after.tables.Books.indexes.ByShelf]\nread_requests = 300_000_000\nwrite_requests = 2_890_800\n[traffic]\nwrites_per_s = 1\n"
    )

    built = report(architecture=file, rps=("20",))

    document = report_document(built)["cost"]
    assert isinstance(document, dict)
    assert document["warnings"] == snapshot(
        [
            "After, Books: the file says 2,000,000 write units a month, measured are 2,628,000 (runs, at the stated traffic); the bill takes the measured",
            "After, Books: the file says 5 GB stored, measured are 0.01 (runs, at the stated traffic); the bill takes the measured",
            "After, Books.ByShelf: the file says 300,000,000 read units a month, measured are 341,640,000 (runs, at the stated traffic); the bill takes the measured",
        ]
    )
    (before,) = document["before"]["lines"]
    # 65,700 × $0.125 and 2.628 × $0.625
    assert before["monthly"] == 8214.14
    table, index = document["after"]["lines"]
    # 2.628 × $0.625 and 0.010468 × $0.25; 341.64 × $0.125 and 2.8908 × $0.625
    assert (table["monthly"], index["monthly"]) == (1.65, 44.51)


@pytest.mark.parametrize(
    ("rps", "runs", "disagree"),
    [
        # nobody says how many writes come
        pytest.param("20", FULL, ["read units a month"], id="reads of one pattern"),
        # nor which pattern the requests are for
        pytest.param("20", (*FULL, replace(SHELF, scenario="other")), [], id="of two"),
        pytest.param(
            "shelf=20",
            (*FULL, replace(SHELF, scenario="other")),
            ["read units a month"],
            id="of one of two",
        ),
    ],
)
def test_a_file_is_not_overruled_by_what_is_only_assumed(
    rps: str, runs: tuple[Run, ...], disagree: list[str], tmp_path: Path
) -> None:
    file = tmp_path / "mine.toml"
    file.write_text("[before.tables.Books]\nread_requests = 1_000\nwrite_requests = 7\n")

    document = report_document(report(*runs, architecture=file, rps=(rps,)))["cost"]

    assert isinstance(document, dict)
    assert [
        word
        for warning in document["warnings"]
        for word in ("read units a month", "write units a month")
        if word in warning
    ] == disagree


@pytest.mark.parametrize("stated", [False, True])
def test_a_month_says_which_writes_are_only_assumed(stated: bool, tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text("[traffic]\nrps = 20\n" + "writes_per_s = 1\n" * stated)
    cost = CostOptions(region="us-east-1", prices="list", architecture=file)

    shown = plain.render_blocks(build_cost_screen(FULL, cost=cost, more="-v"), 300)

    assert ("writes to Books are assumed, 1/s to each" in shown) is not stated


def test_capacity_that_cannot_carry_what_was_measured_is_named(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text("[before.tables.Books]\nrcu = 100\nwcu = 1\n")

    document = report_document(report(architecture=file, rps=("20",)))["cost"]

    assert isinstance(document, dict)
    assert document["warnings"] == snapshot(
        [
            "Before, Books: the file provisions 100 RCU, measured are 25,000 a second on average (runs, at the stated traffic), which it cannot carry; the bill takes the file's"
        ]
    )
    # (100 × $0.00013 + $0.00065) × 730
    assert document["before"]["total"] == 9.96


def test_without_a_stated_rate_an_architecture_keeps_its_own_numbers(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text("[before.tables.Books]\nread_requests = 1_000_000\nwrite_requests = 0\n")

    document = report_document(report(architecture=file))["cost"]

    assert isinstance(document, dict)
    assert (document["warnings"], document["before"]["total"]) == ([], 0.13)
