"""Sections about the cache and the service, built from runs that are written down here."""
# ruff: noqa: RUF001 - the signs that reports print

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from inline_snapshot import snapshot

from perfkit.cost.options import CostOptions
from perfkit.measure.histogram import Histogram
from perfkit.report import csv_tables, markdown, plain
from perfkit.report.build import build_report
from perfkit.report.json_document import report_document
from perfkit.report.model import (
    Bars,
    Curves,
    Diagram,
    Gauges,
    Marked,
    Provenance,
    Report,
    Section,
    Table,
    Waterfall,
)
from perfkit.report.sections import Topic
from perfkit.report.waterfall import stages_of
from perfkit.runs import (
    CacheFigures,
    Check,
    Comparison,
    Hour,
    HourTraffic,
    LatencySummary,
    Run,
    RunKind,
    ServiceFigures,
    Variant,
    WriteCost,
)
from perfkit.workloads.loader import load

KINDS = ("phases", "ablation", "switch", "cache", "cache-hour")


def variant(
    name: str,
    mean_s: float,
    *,
    question: str = "",
    units: float | None = 1.0,
    cache: CacheFigures | None = None,
    stages_s: dict[str, Any] | None = None,
) -> Variant:
    service = None
    if stages_s is not None:
        service = ServiceFigures(
            switches={"cache": cache is not None},
            requests_per_s=2 / mean_s,
            read_units_per_s=None if units is None else units * 2 / mean_s,
            failed_share=0.0,
            healthy=1,
            instances=1,
            cpu_s=mean_s / 4,
            cpu_share=0.5,
            stages_s=stages_s,
        )
    return Variant(
        name=name,
        question=question,
        operation="GET",
        calls=1000,
        requests=1000,
        requests_per_call=1.0,
        errors=0,
        items_read=None,
        items_returned=50,
        bytes_read=None,
        capacity_units=units,
        capacity_source="embedded",
        latency_s=LatencySummary(
            count=1000,
            mean=mean_s,
            p50=mean_s,
            p90=mean_s,
            p95=mean_s,
            p99=mean_s * 2,
            max=mean_s * 3,
        ),
        histogram="",
        client_cpu_s=None if service is not None else mean_s / 2,
        body_bytes=50_000,
        concurrency=2,
        cache=cache,
        service=service,
    )


def compared(baseline: str, candidate: str, ratio: float, question: str = "") -> Comparison:
    return Comparison(
        question=question,
        baseline=baseline,
        candidate=candidate,
        latency_ratio=ratio,
        latency_ratio_ci95=(ratio * 0.9, ratio * 1.1),
        capacity_ratio=None,
        results_equal=True,
        significant=True,
        rounds=5,
    )


def run(kind: str, **fields: Any) -> Run:
    return Run(
        kind=RunKind(kind),
        scenario={"switch": "n-plus-one"}.get(kind, kind),
        description="What is asked",
        workload="courses",
        workload_digest="0" * 64,
        target={"kind": "embedded"},
        started_at="2026-01-01T10:00:00Z",
        id=f"20260101T100000Z-{kind}-0a1b2c",
        machine={"cpu": "test"},
        **fields,
    )


HITS = CacheFigures(hits=10, misses=0, errors=0, hit_mean_s=0.001)
MISSES = CacheFigures(hits=0, misses=10, errors=0, miss_mean_s=0.02)
ERRORS = CacheFigures(hits=0, misses=0, errors=10, error_mean_s=0.03)
SLOW_STAGES = {"auth": 0.1, "parse": 0.0, "cache": 0.0, "db": 1.0, "notify": 0.4, "total": 1.5}
FAST_STAGES = {"auth": 0.0001, "cache": 0.0004, "notify": 0.0002, "total": 0.0008}

PHASES = run(
    "phases",
    variants=(
        variant("phase-0", 1.6, question="GET /a", units=25.5, stages_s=SLOW_STAGES),
        variant("phase-3", 0.001, question="GET /a", units=0.0, cache=HITS, stages_s=FAST_STAGES),
        variant(
            "phase-3-cold", 0.02, question="GET /a", units=7.0, cache=MISSES, stages_s=FAST_STAGES
        ),
    ),
    comparisons=(
        compared("phase-0", "phase-3", 1600.0, "GET /a"),
        compared("phase-0", "phase-3-cold", 80.0, "GET /a"),
    ),
    checks=(
        Check(
            name="phase 3",
            question="GET /a",
            figure="latency",
            promised=0.99,
            measured=0.999375,
            interval=(0.9993, 0.9995),
            verdict="pass",
            baseline="phase-0",
            candidate="phase-3",
            source="a document",
        ),
        Check(
            name="phase 2",
            question="GET /a",
            figure="read units",
            promised=0.95,
            measured=0.725,
            interval=(0.725, 0.725),
            verdict="fail",
        ),
    ),
    quoted={
        "source": "a document",
        "question": "GET /a",
        "flow": {"phase-0": {"auth": 0.01, "db": 4.8}},
        "dashboard": {"phase-0": {"mean_s": 5.3, "failed_share": 0.12, "hit_rate": None}},
    },
)
ABLATION = run(
    "ablation",
    variants=(
        variant("phase-3", 0.001, question="GET /a", units=0.0, stages_s=FAST_STAGES),
        variant("without cache", 0.01, question="GET /a", units=6.5, stages_s=FAST_STAGES),
        variant("phase-3-cold", 0.02, question="GET /a", units=7.0, stages_s=FAST_STAGES),
        variant("without cache-cold", 0.02, question="GET /a", units=7.0, stages_s=FAST_STAGES),
    ),
    comparisons=(
        compared("phase-3", "without cache", 0.1, "GET /a"),
        replace(compared("phase-3-cold", "without cache-cold", 1.0, "GET /a"), significant=False),
    ),
)
SWITCH = run(
    "switch",
    variants=(variant("off", 0.004, units=3.5), variant("on", 0.002, units=3.5)),
    comparisons=(replace(compared("off", "on", 2.0), capacity_ratio=1.0),),
)
QUOTED_HOUR = {
    "hits": 99_000,
    "misses": 1_000,
    "errors": 10,
    "hit_mean_s": 0.002,
    "miss_mean_s": 0.052,
    "error_mean_s": 0.05,
}
CACHE = run(
    "cache",
    variants=(
        variant("query", 0.015, question="courses", units=6.5),
        variant("cached-cold", 0.02, question="courses", units=6.5, cache=MISSES),
        variant("cached-warm", 0.001, question="courses", units=0.0, cache=HITS),
        variant("cache-killed", 0.03, question="courses", units=6.5, cache=ERRORS),
    ),
    comparisons=(compared("query", "cached-warm", 15.0, "courses"),),
    quoted=QUOTED_HOUR,
)


def hour(name: str, provenance: str, latencies: str, hits: int, **more: Any) -> Hour:
    return Hour(
        name=name,
        provenance=provenance,
        latencies=latencies,
        duration_s=3600.0,
        ttl_s=more.pop("ttl_s", 300.0),
        cache=CacheFigures(
            hits=hits,
            misses=100_000 - hits,
            errors=0,
            hit_mean_s=0.002,
            miss_mean_s=0.052,
        ),
        fills=100_000 - hits,
        **more,
    )


CACHE_HOUR = run(
    "cache-hour",
    hours=(
        hour("an hour", "quoted", "quoted", 99_000, mean_s=0.0025),
        hour("an hour", "modelled", "quoted", 99_000),
        hour("an hour", "modelled", "measured", 99_000),
        hour("short run", "measured", "measured", 70_000),
        hour("short run", "modelled", "", 70_100),
        hour("TTL 60 s", "modelled", "measured", 95_000, ttl_s=60.0, read_units=32_500.0),
        hour("TTL 300 s", "modelled", "measured", 99_000, read_units=6_500.0),
    ),
    traffic=HourTraffic(
        rate_hz=100 / 3.6,
        keys=78,
        skew=0.8,
        ttl_s=300.0,
        jitter_share=0.1,
        writes_an_hour=60,
        error_share=0.0001,
    ),
    quoted=QUOTED_HOUR,
)
ALL = (PHASES, ABLATION, SWITCH, CACHE, CACHE_HOUR)


def table(report: Report, section: str, name: str) -> Table:
    return next(
        each
        for one in report.sections
        if one.name == section
        for each in one.tables
        if each.name == name
    )


def text(of: Run, section: str, name: str) -> str:
    """Return one table as people read it, without footnotes."""
    report = build_report([of])
    whole = plain.render_blocks((table(report, section, name),), 140)
    return whole.split("\n\n")[0]


def test_promises_stand_beside_what_was_measured() -> None:
    assert text(PHASES, "phases", "promises") == snapshot("""\
What the phases promise, against phase 0¹²
                                                          95% interval
endpoint  phase    figure            †promised  measured          from      to  verdict
---------------------------------------------------------------------------------------
GET /a    phase 3  latency less³           99%     99.9%         99.9%  99.95%  pass
          phase 2  read units less⁴        95%     72.5%         72.5%   72.5%  fail\
""")


def test_the_dashboard_has_eight_metrics_measured_and_quoted() -> None:
    assert text(PHASES, "dashboard", "dashboard") == snapshot("""\
Every phase¹
                   response time
phase    figures            mean      p99  requests/s  unhealthy  5XX  CPU²  RCU/s³  hit rate⁴
----------------------------------------------------------------------------------------------
phase-0  measured         1.60 s   3.20 s        1.25          0   0%   50%    31.9          –
         quoted           5.30 s        –           –          –  12%     –       –          –
phase-3  measured        1.00 ms  2.00 ms       2,000          0   0%   50%       0       100%\
""")


def test_the_request_flow_is_a_waterfall() -> None:
    section = next(each for each in build_report([PHASES]).sections if each.name == "flow")

    assert plain.render_blocks(section.blocks, 60) == snapshot("""\
GET /a, stage by stage, each request over its own length
phase-0, measured  1.60 s
  auth    ███░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░   100 ms
  db      ░░██████████████████████████░░░░░░░░░░░░░   1.00 s
  notify  ░░░░░░░░░░░░░░░░░░░░░░░░░░░░██████████░░░   400 ms
  other   ░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░███   100 ms

†phase-0, quoted  4.81 s
  auth    █░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░  10.0 ms
  db      █████████████████████████████████████████   4.80 s

phase-3, measured  1.00 ms
  auth    ████░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░   100 µs
  cache   ░░░░████████████████░░░░░░░░░░░░░░░░░░░░░   400 µs
  notify  ░░░░░░░░░░░░░░░░░░░░█████████░░░░░░░░░░░░   200 µs
  other   ░░░░░░░░░░░░░░░░░░░░░░░░░░░░█████████████   300 µs

phase-3-cold, measured  20.0 ms
  auth    █░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░   100 µs
  cache   █░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░   400 µs
  notify  ░█░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░   200 µs
  other   ░████████████████████████████████████████  19.3 ms

Means, from the header Server-Timing. other: what the
  service's own stages do not account for, among it the HTTP
  server, the connection, the client, and waiting for a
  processor.
The document's figures do not agree with one another:
  phase-0's stages add up to 4.81 s, its dashboard says 5.30
  s.

† marks figures quoted from a document; all others are
  measured, unless their row says otherwise.
""")


def test_a_document_whose_figures_do_not_agree_is_told_of() -> None:
    """The stages quoted for phase-0 take 10 ms and 4.8 s, so 4.81 s; its dashboard has 5.3 s."""
    quoted = {**(PHASES.quoted or {}), "dashboard": {"phase-0": {"mean_s": 4.81}}}

    assert (
        "The document's figures do not agree with one another: phase-0's stages add up to 4.81 s,"
        " its dashboard says 5.30 s." in plain.render_blocks(section("flow", PHASES).blocks, 200)
    )
    agreeing = section("flow", replace(PHASES, quoted=quoted))
    assert "do not agree" not in plain.render_blocks(agreeing.blocks, 200)


def test_the_limits_of_the_dashboard_stand_in_its_report() -> None:
    """The limits of the table in docs/reports.md, as a reader of a mailed page needs them."""
    written = plain.render_report(build_report([PHASES]), 10_000)

    assert "docs/reports.md" not in written
    assert (
        "EXCELLENT up to a mean of 100 ms, a p99 of 200 ms and 0% failed, with no unhealthy"
        " instance and, if there is a cache, at least 90% hits; GOOD up to a mean of 200 ms, a p99"
        " of 500 ms and 0.1% failed, with none unhealthy and at least 80% hits; STRAINED up to a"
        " mean of 1 s, a p99 of 2 s and 1% failed" in written
    )


def test_a_promise_without_a_verdict_cannot_be_judged_in_the_words_of_the_warnings() -> None:
    unsure = replace(PHASES.checks[0], verdict="invalid", reason="too few rounds")
    shown = section("phases", replace(PHASES, checks=(unsure,)))

    text = plain.render_blocks((shown.tables[0],), 200)

    assert "cannot be judged" in text
    assert "invalid" not in text
    assert shown.tables[0].rows[0]["verdict"] == "invalid"


def test_the_waterfall_and_its_table_agree() -> None:
    section = next(each for each in build_report([PHASES]).sections if each.name == "flow")

    waterfall = next(each for each in section.blocks if isinstance(each, Waterfall))
    spans = [
        (span.label, span.start_s, span.duration_s)
        for lane in waterfall.lanes
        if lane.provenance is Provenance.MEASURED
        for span in lane.spans
    ]
    assert spans == [
        (row["stage"], row["start_s"], row["duration_s"]) for row in section.tables[0].rows
    ]


def test_each_switch_has_its_worth() -> None:
    assert text(ABLATION, "ablation", "worth") == snapshot("""\
Phase 3 without one switch, against phase 3¹
endpoint  variant        warm (95% CI)             with an empty cache (95% CI)
-------------------------------------------------------------------------------
GET /a    without cache  10.0× slower (9.09–11.1)  no difference (0.90–1.10)\
""")


def test_off_against_on_is_one_table() -> None:
    assert text(SWITCH, "switches", "switches") == snapshot("""\
One call of each¹²
                           latency
scenario    variant  does      p50      p99     mean  RCU      CPU  on against off
---------------------------------------------------------------------------------------------------
n-plus-one  off      GET   4.00 ms  8.00 ms  4.00 ms  3.5  2.00 ms  –
            on       GET   2.00 ms  4.00 ms  2.00 ms  3.5  1.00 ms  2.00× faster (95% CI 1.80–2.20)\
""")


def test_the_cache_statistics_are_worked_out() -> None:
    assert text(CACHE, "cache", "statistics") == snapshot("""\
Cache statistics¹²
                   hits                  misses           errors      average
pattern  requests  hits  share     mean  misses     mean  errors  worked out³  measured  at 99% hits
----------------------------------------------------------------------------------------------------
courses        20    10    50%  1.00 ms      10  20.0 ms       0      10.5 ms   10.5 ms     ≈1.19 ms\
""")


def test_the_cache_flow_has_real_counts() -> None:
    assert text(CACHE, "cache", "cache-flow") == snapshot("""\
Cache flow
                                                                                        document
X-Cache  steps                                               requests  share     mean  †requests    †mean
---------------------------------------------------------------------------------------------------------
HIT      key, look, answer                                         10    50%  1.00 ms     99,000  2.00 ms
MISS     key, look, lease, query, store, answer                    10    50%  20.0 ms      1,000  52.0 ms
ERROR    key, look that fails or is left out, query, answer         0     0%        –         10  50.0 ms\
""")


def test_the_hour_of_the_document_stands_above_its_reproduction() -> None:
    assert text(CACHE_HOUR, "cache-hour", "hours") == snapshot("""\
Cache statistics of an hour
                                 hits                  misses           errors      average
counts    latencies  requests    hits  share     mean  misses     mean  errors  worked out¹  measured
-----------------------------------------------------------------------------------------------------
quoted²   quoted      100,000  99,000    99%  2.00 ms   1,000  52.0 ms       0      2.50 ms   2.50 ms
modelled  quoted      100,000  99,000    99%  2.00 ms   1,000  52.0 ms       0      2.50 ms         –
          measured    100,000  99,000    99%  2.00 ms   1,000  52.0 ms       0      2.50 ms         –\
""")


def test_the_virtual_cache_stands_beside_the_real_one() -> None:
    assert text(CACHE_HOUR, "cache-hour", "check") == snapshot("""\
The virtual cache against a real one¹
cache                 time    TTL  requests    hits  hit rate  queries
----------------------------------------------------------------------
real, measured     3,600 s  300 s   100,000  70,000       70%   30,000
virtual, modelled  3,600 s  300 s   100,000  70,100     70.1%   29,900\
""")


def test_hit_rate_depends_on_the_time_to_live() -> None:
    assert text(CACHE_HOUR, "cache-hour", "hit-rate-by-ttl") == snapshot("""\
Hit rate by time to live, one hour each
                            DynamoDB
   TTL  ≈hit rate  ≈misses  ≈queries    ≈RCU
--------------------------------------------
60.0 s        95%    5,000     5,000  32,500
 300 s        99%    1,000     1,000   6,500\
""")


def test_every_kind_of_run_has_a_section_in_every_format() -> None:
    report = build_report(ALL)

    names = {section.name for section in report.sections}
    assert {"phases", "ablation", "switches", "cache", "cache-hour"} <= names
    for written in (plain.render_report(report, 100), markdown.render_report(report)):
        assert "which this perfkit cannot show" not in written
        assert "Status: CRITICAL" in written
        assert "TTL" in written
    tables = csv_tables.render_tables(report)
    assert {"promises", "dashboard", "flow", "worth", "switches", "statistics", "hours"} <= set(
        tables
    )
    json.dumps(report_document(report), allow_nan=False)


@pytest.mark.parametrize("of", ALL, ids=KINDS)
def test_narrow_terminals_are_kept_to(of: Run) -> None:
    written = plain.render_report(build_report([of]), 80)

    tables = [line for line in written.split("\n") if "  " in line.strip()]
    assert tables


@pytest.mark.parametrize("of", ALL, ids=KINDS)
def test_a_run_cut_to_its_variants_is_still_shown(of: Run) -> None:
    bare = replace(of, comparisons=(), checks=(), quoted=None, settings={})

    assert plain.render_report(build_report([bare]), 120)


def test_names_that_look_like_markup_stay_text() -> None:
    strange = "<script>[bold]|*"
    renamed = replace(
        SWITCH,
        scenario=strange,
        variants=tuple(replace(v, operation=strange) for v in SWITCH.variants),
    )

    written = markdown.render_report(build_report([renamed]))

    assert "<script>" not in written


@given(
    st.dictionaries(st.sampled_from("abcdefg"), st.floats(0, 100), max_size=7), st.floats(0, 1000)
)
def test_stages_follow_one_another_and_add_up(stages_s: dict[str, float], whole_s: float) -> None:
    stages = stages_of(stages_s, whole_s)

    at_s = 0.0
    for stage in stages:
        assert stage.start_s == pytest.approx(at_s, abs=1e-9)
        at_s += stage.duration_s
    assert at_s == pytest.approx(max(whole_s, sum(stages_s.values())), rel=1e-6, abs=1e-9)


def test_the_total_is_no_stage_and_what_is_left_is_other() -> None:
    stages = stages_of({"auth": 1.0, "db": 0.0, "total": 3.0}, 4.0)

    assert [(each.name, each.duration_s) for each in stages] == [("auth", 1.0), ("other", 3.0)]


QUOTED_DASHBOARD = {
    "phase-0": {
        "mean_s": 5.3,
        "p99_s": 8.5,
        "requests_per_s": 20.0,
        "unhealthy": 1,
        "failed_share": 0.12,
        "cpu_share": 0.8,
        "read_units_per_s": 1000.0,
        "hit_rate": None,
    },
    "phase-3": {
        "mean_s": 0.025,
        "p99_s": 0.15,
        "requests_per_s": 800.0,
        "unhealthy": 0,
        "failed_share": 0.0,
        "cpu_share": 0.25,
        "read_units_per_s": 50.0,
        "hit_rate": 0.99,
    },
}
WHOLE = replace(PHASES, quoted={**(PHASES.quoted or {}), "dashboard": QUOTED_DASHBOARD})
"""With both sides of the reference document's dashboard."""


def section(name: str, *of: Run) -> Section:
    return next(each for each in build_report(of).sections if each.name == name)


def test_the_dashboard_says_how_things_were_and_are_measured_and_quoted() -> None:
    """The document's own words: 99.5%, 12% to 0%; 800 is 40 times 20, and 3,900% more."""
    assert plain.render_blocks(section("dashboard", WHOLE).blocks[:2], 80) == snapshot("""\
GET /a, 2 requests at a time
Before: phase-0, measured
TargetResponseTime (avg)  ██████████░░░░░░░░░░ 1.60 s !
TargetResponseTime (p99)  ████████████████████ 3.20 s !
RequestCount              ░░░░░░░░░░░░░░░░░░░░ 1.25/s
UnhealthyHostCount        ░░░░░░░░░░░░░░░░░░░░ 0 ✓
HTTPCode_Target_5XX       ░░░░░░░░░░░░░░░░░░░░ 0% ✓
CPUUtilization            ██████████░░░░░░░░░░ 50%
DynamoDB ConsumedRCU      ████████████████████ 31.9/s
Cache Hit Rate            ░░░░░░░░░░░░░░░░░░░░ –
Status: CRITICAL
  average response time 1.60 s, 99th percentile 3.20 s: CRITICAL by the limits
  noted below

After: phase-3, measured
TargetResponseTime (avg)  ░░░░░░░░░░░░░░░░░░░░ 1.00 ms ✓
TargetResponseTime (p99)  ░░░░░░░░░░░░░░░░░░░░ 2.00 ms ✓
RequestCount              ████████████████████ 2,000/s
UnhealthyHostCount        ░░░░░░░░░░░░░░░░░░░░ 0 ✓
HTTPCode_Target_5XX       ░░░░░░░░░░░░░░░░░░░░ 0% ✓
CPUUtilization            ██████████░░░░░░░░░░ 50%
DynamoDB ConsumedRCU      ░░░░░░░░░░░░░░░░░░░░ 0/s
Cache Hit Rate            ████████████████████ 100% ✓
Status: EXCELLENT
  average response time 1.00 ms, 99th percentile 2.00 ms, unhealthy instances 0,
  failed requests 0%, cache hits 100%: EXCELLENT by the limits noted below

†Before: phase-0, quoted
TargetResponseTime (avg)  ████████████░░░░░░░░ 5.30 s !
TargetResponseTime (p99)  ████████████████████ 8.50 s !
RequestCount              ░░░░░░░░░░░░░░░░░░░░ 20/s
UnhealthyHostCount        ████████████████████ 1 !
HTTPCode_Target_5XX       ██░░░░░░░░░░░░░░░░░░ 12% !
CPUUtilization            ████████████████░░░░ 80%
DynamoDB ConsumedRCU      ████████████████████ 1,000/s
Cache Hit Rate            ░░░░░░░░░░░░░░░░░░░░ –
Status: CRITICAL
  average response time 5.30 s, 99th percentile 8.50 s, failed requests 12%:
  CRITICAL by the limits noted below

†After: phase-3, quoted
TargetResponseTime (avg)  ░░░░░░░░░░░░░░░░░░░░ 25.0 ms ✓
TargetResponseTime (p99)  ░░░░░░░░░░░░░░░░░░░░ 150 ms ✓
RequestCount              ████████████████████ 800/s
UnhealthyHostCount        ░░░░░░░░░░░░░░░░░░░░ 0 ✓
HTTPCode_Target_5XX       ░░░░░░░░░░░░░░░░░░░░ 0% ✓
CPUUtilization            █████░░░░░░░░░░░░░░░ 25%
DynamoDB ConsumedRCU      █░░░░░░░░░░░░░░░░░░░ 50/s
Cache Hit Rate            ████████████████████ 99% ✓
Status: EXCELLENT
  average response time 25.0 ms, 99th percentile 150 ms, unhealthy instances 0,
  failed requests 0%, cache hits 99%: EXCELLENT by the limits noted below

Summary
Response time, measured: 99.9% improvement (1.60 s → 1.00 ms).
Throughput, measured: 159,900% increase (1.25 → 2,000 requests/s).
Error rate, measured: the same (0% → 0%).
Response time, quoted: 99.5% improvement (5.30 s → 25.0 ms).
Throughput, quoted: 3,900% increase (20 → 800 requests/s).¹
Error rate, quoted: 100% reduction (12% → 0%).

† marks figures quoted from a document; all others are measured, unless their
  row says otherwise.
¹ 40× of the earlier figure: that is 3,900% more, and a document that writes
  4,000% means that the later figure is 4,000% of the earlier one.
""")


def test_architecture_diagrams_are_filled_with_what_was_measured() -> None:
    assert plain.render_blocks(section("architecture", WHOLE).blocks[:3], 80) == snapshot("""\
Before: phase-0
     ┌──────────┐
     │ Internet │
     │ GET /a   │
     └─────┬────┘
           │
           ▼
  ┌─────────────────┐
  │  Load balancer  │
  │ 1.25 requests/s │
  └────────┬────────┘
           │
           ▼
 ┌───────────────────┐
 │      Service      │
 │ mean 1.60 s       │
 │ p99 3.20 s        │
 │ CPU 50% of a core │
 │ 5XX 0%            │
 └─────────┬─────────┘
           │
every request, no cache
           ▼
┌────────────────────┐
│      DynamoDB      │
│ 31.9 RCU/s         │
│ 25.5 RCU a request │
└────────────────────┘

After: phase-3
          ┌──────────┐
          │ Internet │
          │ GET /a   │
          └─────┬────┘
                │
                ▼
      ┌──────────────────┐
      │  Load balancer   │
      │ 2,000 requests/s │
      └─────────┬────────┘
                │
                ▼
      ┌───────────────────┐
      │      Service      │
      │ mean 1.00 ms      │
      │ p99 2.00 ms       │
      │ CPU 50% of a core │
      │ 5XX 0%            │
      └─────────┬─────────┘
           ┌────┴─────────┐
       100% hits          │
           ▼              │
┌─────────────────────┐   │
│        Cache        │   │
│ 100% hits           │   │
│ looked up in 400 µs │   │
└─────────────────────┘   │
                 ┌────────┘
             0% misses
                 ▼
        ┌─────────────────┐
        │    DynamoDB     │
        │ 0 RCU/s         │
        │ 0 RCU a request │
        └─────────────────┘

Every figure in the boxes is measured in run 20260101T100000Z-phases-0a1b2c,
  where the same request comes again and again and is in the cache, if there is
  one. The internet and the load balancer stand where a deployment has them;
  they were not part of the measurement.
What each table and index is read for is not known: measure access patterns with
  `perfkit bench`.
""")


def test_what_the_architecture_diagrams_show_is_in_a_table() -> None:
    """
    Every line of a box and every label of the drawing above, with its figure unrounded.

    From the runs at the top: phase-0 reads 25.5 units 1.25 times a second, and hits are 100%.
    """
    shown = section("architecture", WHOLE)
    (table,) = shown.tables

    rows = [
        tuple(row[key] for key in ("side", "component", "figure", "value", "unit", "provenance"))
        for row in table.rows
    ]
    assert rows[1:6] == [
        ("before", "Load balancer", "1.25 requests/s", 1.25, "requests/s", "measured"),
        ("before", "Service", "mean 1.60 s", 1.6, "s", "measured"),
        ("before", "Service", "p99 3.20 s", 3.2, "s", "measured"),
        ("before", "Service", "CPU 50% of a core", 0.5, "fraction of a core", "measured"),
        ("before", "Service", "5XX 0%", 0.0, "fraction", "measured"),
    ]
    assert ("before", "DynamoDB", "31.9 RCU/s", 31.875, "RCU/s", "measured") in rows
    assert ("before", "Service → DynamoDB", "every request, no cache", None, None, None) in rows
    assert rows[-2:] == [
        ("after", "Service → Cache", "100% hits", 1.0, "fraction", "measured"),
        ("after", "Service → DynamoDB", "0% misses", 0.0, "fraction", "measured"),
    ]
    drawn = [each for each in shown.blocks if isinstance(each, Diagram)]
    assert sum(len(node.lines) for each in drawn for node in each.nodes) + 3 == len(rows)
    texts = csv_tables.render_tables(Report(title="", sections=(shown,)))
    assert len(texts["architecture"].splitlines()) == len(rows) + 1


def test_instances_that_say_the_same_are_in_the_table_once() -> None:
    variants = []
    for each in WHOLE.variants:
        assert each.service is not None
        variants.append(replace(each, service=replace(each.service, instances=2)))

    (table,) = section("architecture", replace(WHOLE, variants=tuple(variants))).tables

    components = [row["component"] for row in table.rows if row["side"] == "before"]
    assert components.count("each of 2 services") == 4
    assert components.count("each of 2 services → DynamoDB") == 1


def test_the_cache_flow_is_a_diagram_with_real_counts() -> None:
    diagrams = [each for each in section("cache", CACHE).blocks if isinstance(each, Diagram)]

    assert plain.render_blocks(tuple(diagrams), 80) == snapshot("""\
Through the cache
      ┌───────────────────────┐
      │  Look into the cache  │
      │ 20 requests, measured │
      └───────────┬───────────┘
        ┌─────────┴────────┐
    10 (50%)           10 (50%)
        ▼                  ▼
┌──────────────┐   ┌──────────────┐
│     HIT      │   │     MISS     │
│ mean 1.00 ms │   │ lease        │
│              │   │ query        │
│              │   │ store        │
│              │   │ mean 20.0 ms │
└───────┬──────┘   └───────┬──────┘
        └────────┬─────────┘
                 ▼
            ┌────────┐
            │ Answer │
            └────────┘
""")


def test_findings_of_phases_alone_say_what_changed_and_what_is_doubtful() -> None:
    assert plain.render_blocks(section("findings", PHASES).blocks, 80) == snapshot("""\
The service answers in 1.60 s on average at phase 0 and in 1.00 ms at phase 3
  (GET /a); 1 of 2 promises of the phases are kept.
Doubtful: latencies are the embedded engine's, without network or AWS.
""")


def test_a_cache_that_slows_everything_down_is_no_success() -> None:
    slower = replace(
        compared("query", "cached-warm", 0.5, "courses"), latency_ratio_ci95=(0.45, 0.55)
    )

    found = plain.render_blocks(
        section("findings", replace(CACHE, comparisons=(slower,))).blocks, 10_000
    )

    assert "nothing measured is surely faster with it" in found
    assert "than query" not in found


def test_a_way_that_reads_as_much_is_not_counted_as_reading_less() -> None:
    of = measured(0.1, 0.1)
    scan = replace(of.variants[0], capacity_units=0.5)
    comparison = replace(
        compared("scan", "get", 1.6), capacity_ratio=1.0, latency_ratio_ci95=(1.5, 1.7)
    )
    of = replace(of, variants=(scan, replace(scan, name="get")), comparisons=(comparison,))

    found = plain.render_blocks(section("findings", of).blocks, 10_000)

    assert "fewer read units" not in found
    assert "No access pattern measured here has a variant that reads less yet; courses is" in found


def test_only_a_share_that_a_document_quotes_is_to_the_whole_percent() -> None:
    """(122.13 less 61.36) by 122.13 = 49.76%, which the cost section writes 49.8%."""
    report = build_report([PHASES], cost=CostOptions(prices="list"))
    (dashboard,) = (each for each in report.sections if each.name == "dashboard")

    shown = plain.render_blocks(dashboard.blocks, 10_000)

    assert "Cost, at list prices: 49.8% reduction ($122.13 → $61.36 a month)." in shown


def test_bills_are_part_of_the_dashboard_and_the_findings() -> None:
    """The document's: $118.50 before, $68.50 after, 42% less."""
    report = build_report([PHASES], cost=CostOptions(prices="quoted"))
    texts = {
        each.name: plain.render_blocks(each.blocks, 10_000)
        for each in report.sections
        if each.name in {"findings", "dashboard"}
    }

    assert "Cost, quoted: 42% reduction ($118.50 → $68.50 a month)." in texts["dashboard"]
    assert "a month of all services, quoted¹  †$118.50  †$68.50" in texts["findings"]
    assert "¹ Of what is described (reference document); not measured here." in texts["findings"]


def test_bills_that_cannot_be_made_out_are_left_out_of_the_dashboard(tmp_path: Path) -> None:
    options = CostOptions(architecture=tmp_path / "missing.toml")

    report = build_report([PHASES], topics=[Topic.DASHBOARD], cost=options)

    assert "Cost," not in plain.render_report(report)


@pytest.mark.parametrize("of", ALL, ids=KINDS)
def test_findings_of_a_run_without_comparisons_are_no_error(of: Run) -> None:
    bare = replace(of, comparisons=(), checks=(), quoted=None)

    assert plain.render_report(build_report([bare]))


def measured(*samples_s: float) -> Run:
    """Return a run of one access pattern with these latencies."""
    histogram = Histogram(samples_s)
    each = replace(
        variant("scan", max(samples_s)),
        histogram=histogram.encode(),
        calls=len(samples_s),
        latency_s=LatencySummary(
            count=len(samples_s),
            mean=sum(samples_s) / len(samples_s),
            p50=histogram.percentile(0.5),
            p90=histogram.percentile(0.9),
            p95=histogram.percentile(0.95),
            p99=histogram.percentile(0.99),
            max=max(samples_s),
        ),
    )
    return replace(
        SWITCH, kind=RunKind.SCENARIO, scenario="courses", variants=(each,), comparisons=()
    )


def test_percentiles_come_from_the_histogram() -> None:
    """1 to 100 ms: the median is 50 ms, and one call in a hundred lies above 99 ms."""
    row = section("latency", measured(*(n / 1000 for n in range(1, 101)))).tables[0].rows[0]

    assert row["p50_s"] == pytest.approx(0.050, rel=0.001)
    assert row["p90_s"] == pytest.approx(0.090, rel=0.001)
    assert row["p99_s"] == pytest.approx(0.099, rel=0.001)
    assert row["p999_s"] is None


def test_a_percentile_that_no_call_lies_above_is_not_claimed() -> None:
    blocks = section("latency", measured(0.1, 0.2, 0.3, 0.4)).blocks

    row = next(each for each in blocks if isinstance(each, Table)).rows[0]
    assert row["p75_s"] == pytest.approx(0.3, rel=0.001)
    assert row["p90_s"] is None


def test_a_curve_takes_twenty_calls() -> None:
    few, enough = ([0.001 * n for n in range(1, count + 1)] for count in (19, 20))

    assert not any(isinstance(each, Curves) for each in section("latency", measured(*few)).blocks)
    blocks = section("latency", measured(*enough)).blocks
    curves = next(each for each in blocks if isinstance(each, Curves))
    assert max(point.x for point in curves.curves[0].points) == 0.95


def test_tables_agree_on_percentiles_and_which_there_are() -> None:
    """
    Of 35 calls, 1.75 lie above a p95 (rank 34) and none above a p99 (rank 35).

    6.5651 ms is 6.565 ms in the histogram, whose digits end at 1 us: the exact one is shown.
    """
    samples_s = [0.001 * n for n in range(1, 36)]
    of = measured(*samples_s)
    exact = replace(of.variants[0].latency_s, p50=0.0065651, p95=0.0340001, p99=0.035)
    of = replace(of, variants=(replace(of.variants[0], latency_s=exact),))
    report = build_report([of])

    shown = table(report, "access-pattern", "variants").rows[0]
    row = table(report, "latency", "percentiles").rows[0]
    assert [shown[key] for key in ("p50_s", "p95_s", "p99_s")] == [0.0065651, 0.0340001, None]
    assert [row[key] for key in ("p50_s", "p95_s", "p99_s")] == [0.0065651, 0.0340001, None]
    assert "No percentile where there were too few calls" in plain.render_report(report)


def test_percentiles_of_the_histogram_stay_between_exact_ones() -> None:
    """All 20 calls took 6.5651 ms: none of them is above another, whatever the rounding."""
    of = measured(*[0.0065651] * 20)
    exact = replace(
        of.variants[0].latency_s, p50=0.0065651, p90=0.0065651, p95=0.0065651, max=0.0065651
    )

    row = (
        section("latency", replace(of, variants=(replace(of.variants[0], latency_s=exact),)))
        .tables[0]
        .rows[0]
    )

    assert row["p50_s"] == row["p75_s"] == row["p90_s"] == row["p95_s"] == row["max_s"]


def test_a_single_call_has_a_mean_and_no_median() -> None:
    report = build_report([measured(0.25)])

    row = table(report, "access-pattern", "variants").rows[0]
    assert (row["p50_s"], row["p95_s"], row["p99_s"], row["mean_s"]) == (None, None, None, 0.25)
    assert table(report, "latency", "percentiles").rows[0]["p50_s"] is None


def test_before_and_after_show_a_single_call_as_what_it_is() -> None:
    (row, *_) = table(
        build_report([replace(measured(0.25), quoted={"before": {"latency_s": 1}})]),
        "access-pattern",
        "beside-quoted",
    ).rows

    assert isinstance(row["latency_before_s"], Marked)
    assert row["latency_before_s"].value == 0.25
    assert row["latency_before_s"].note == "There was a single call: what it took."


def test_a_single_call_among_the_bars_is_said() -> None:
    one = replace(CACHE.variants[0], latency_s=replace(CACHE.variants[0].latency_s, count=1))
    several = {each.title for each in section("cache", CACHE).blocks if isinstance(each, Bars)}
    single = {
        each.title
        for each in section("cache", replace(CACHE, variants=(one, *CACHE.variants[1:]))).blocks
        if isinstance(each, Bars)
    }

    assert several == {"Latency of a call, p50"}
    assert single == {"Latency of a call, p50 or the single call"}


def test_a_few_requests_are_judged_by_their_mean() -> None:
    """Of 6 requests none lies above a p99; 150 ms on average is GOOD (up to 200 ms)."""
    few = replace(PHASES.variants[0].latency_s, count=6, mean=0.15, p99=3.2)
    of = replace(
        PHASES, variants=(replace(PHASES.variants[0], latency_s=few), *PHASES.variants[1:])
    )
    (gauges,) = [each for each in section("dashboard", of).blocks if isinstance(each, Gauges)]

    assert gauges.panels[0].status == "GOOD"
    assert gauges.panels[0].reason == (
        "average response time 150 ms: GOOD by the limits noted below; 6 requests are too"
        " few for a 99th percentile"
    )
    assert "too few" not in gauges.panels[1].reason
    assert table(build_report([of]), "dashboard", "dashboard").rows[0]["p99_s"] is None
    assert table(build_report([of]), "phases", "requests").rows[0]["p99_s"] is None
    diagrams = plain.render_blocks(section("architecture", of).blocks, 200)
    assert "p99 –" in diagrams
    assert "3.20 s" not in diagrams


def test_a_damaged_histogram_is_left_out() -> None:
    good = measured(0.1, 0.2)
    damaged = replace(good, variants=(replace(good.variants[0], histogram="AAAA"),))

    assert "latency" not in {each.name for each in build_report([damaged]).sections}


def warnings(*of: Run, now: datetime | None = None) -> str:
    report = build_report(of, now=now)
    found = [each for each in report.sections if each.name == "warnings"]
    return " ".join(plain.render_blocks(found[0].blocks, 10_000).split("\n")) if found else ""


def test_old_runs_are_named() -> None:
    fresh = replace(PHASES, started_at="2026-03-01T00:00:00Z")
    old = replace(CACHE, started_at="2026-01-01T00:00:00")

    said = warnings(fresh, old, now=datetime(2026, 3, 2, tzinfo=UTC))

    assert said.startswith("cache: more than 30 days old (up to 60); measure again")


def test_a_run_of_thirty_days_is_not_old() -> None:
    of = replace(PHASES, started_at="2026-01-01T00:00:00Z")

    assert "days old" not in warnings(of, now=datetime(2026, 1, 31, tzinfo=UTC))


def test_a_run_of_what_writes_cost_is_a_measurement() -> None:
    cost = WriteCost(
        table="Courses",
        index="CoursesByInstructor",
        units={"insert": 1.0},
        entry_bytes=1024,
        items=10_000,
        projection="ALL",
    )
    of = replace(PHASES, kind=RunKind.INDEX_COST, scenario="index-cost", variants=(), checks=())

    assert "holds no measurement" in warnings(of)
    assert "holds no measurement" not in warnings(replace(of, write_costs=(cost,)))


def test_runs_of_different_versions_are_named() -> None:
    said = warnings(replace(PHASES, perfkit="0.1.0"), replace(CACHE, perfkit="0.2.0"))

    assert "measured by perfkit 0.1.0, 0.2.0" in said


def test_runs_of_different_machines_are_named() -> None:
    said = warnings(replace(PHASES, machine={"cores": 2}), replace(CACHE, machine={"cores": 8}))

    assert "measured on 2 machines" in said


def test_access_patterns_with_different_settings_are_named() -> None:
    one = replace(measured(0.1), settings={"consistent": False})
    other = replace(measured(0.1), scenario="profile", settings={"consistent": True})

    assert "with different settings (consistent false, true)" in warnings(one, other)


def test_promises_that_cannot_be_judged_are_named() -> None:
    unsure = replace(PHASES.checks[0], verdict="invalid", reason="too few rounds")

    said = warnings(replace(PHASES, checks=(unsure, *PHASES.checks[1:])))

    assert "phases: 1 of 2 promises cannot be judged: too few rounds" in said


def test_access_patterns_that_were_left_out_are_named() -> None:
    workload = load()
    of = replace(measured(0.1), workload=workload.name, workload_digest=workload.digest)

    said = warnings(of, replace(of, scenario="profile"))

    assert "no run of instructor, enrollments, roster;" in said
    assert "costs spread the traffic over the others" in said


def test_a_rate_of_its_own_falls_to_no_other_pattern(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    workload = load()
    Path("perfkit.toml").write_text(
        f'name = "{workload.name}"\n[traffic.reads]\ncourses = {{ rps = 3 }}\n'
    )
    of = replace(measured(0.1), workload=workload.name, workload_digest=workload.digest)

    said = warnings(of, replace(of, scenario="profile"))

    assert "roster; sums, findings and costs leave them out;" in said


def test_other_workloads_of_the_same_name_are_not_thought_incomplete() -> None:
    of = replace(measured(0.1), workload=load().name, workload_digest="another")

    assert "no run of" not in warnings(of, replace(of, scenario="profile"))


def test_findings_never_mix_targets() -> None:
    elsewhere = replace(PHASES, target={"kind": "endpoint", "endpoint": "http://localhost:8000"})

    report = build_report([PHASES, elsewhere])

    titles = [each.title for each in report.sections if each.name == "findings"]
    assert len(titles) == len(set(titles)) == 2
