"""Sections about the cache and the service, built from runs that are written down here."""
# ruff: noqa: RUF001 - the signs that reports print

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from inline_snapshot import snapshot

from perfkit.report import csv_tables, markdown, plain
from perfkit.report.build import build_report
from perfkit.report.json_document import report_document
from perfkit.report.model import Report, Table
from perfkit.report.waterfall import stages_of
from perfkit.results import (
    CacheFigures,
    Check,
    Comparison,
    Hour,
    LatencySummary,
    Run,
    ServiceFigures,
    Variant,
)

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
        calls=10,
        requests=10,
        requests_per_call=1.0,
        errors=0,
        items_read=None,
        items_returned=50,
        bytes_read=None,
        capacity_units=units,
        capacity_source="embedded",
        latency_s=LatencySummary(
            count=10,
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
        kind=kind,
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
    settings={
        "traffic_rate_hz": 100 / 3.6,
        "traffic_keys": 78,
        "traffic_skew": 0.8,
        "traffic_ttl_s": 300.0,
        "traffic_jitter_share": 0.1,
        "traffic_writes_an_hour": 60,
        "traffic_error_share": 0.0001,
    },
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
What the phases promise, against phase 0¹
                                                          95% interval
endpoint  phase    figure            †promised  measured          from      to  verdict
---------------------------------------------------------------------------------------
GET /a    phase 3  latency less²           99%     99.9%         99.9%  99.95%  pass
          phase 2  read units less³        95%     72.5%         72.5%   72.5%  fail\
""")


def test_the_dashboard_has_eight_metrics_measured_and_quoted() -> None:
    assert text(PHASES, "phases", "dashboard") == snapshot("""\
Dashboard: GET /a, 2 requests at a time
                   response time
phase    figures            mean      p99  requests/s  unhealthy  5XX  CPU¹  RCU/s²  hit rate³
----------------------------------------------------------------------------------------------
phase-0  measured         1.60 s   3.20 s         1.2          0   0%   50%    31.9          –
         quoted           5.30 s        –           –          –  12%     –       –          –
phase-3  measured        1.00 ms  2.00 ms       2,000          0   0%   50%       0       100%\
""")


def test_the_request_flow_is_a_waterfall() -> None:
    assert text(PHASES, "phases", "flow") == snapshot("""\
Request flow of GET /a, stage by stage (means, from Server-Timing)
variant       stage¹    from    takes  waterfall                       †document
--------------------------------------------------------------------------------
phase-0       auth       0 s   100 ms  ██░░░░░░░░░░░░░░░░░░░░░░░░░░░░    10.0 ms
              db      100 ms   1.00 s  ░████████████████████░░░░░░░░░     4.80 s
              notify  1.10 s   400 ms  ░░░░░░░░░░░░░░░░░░░░████████░░          –
              other   1.50 s   100 ms  ░░░░░░░░░░░░░░░░░░░░░░░░░░░░██          –
phase-3       auth       0 s   100 µs  ███░░░░░░░░░░░░░░░░░░░░░░░░░░░          –
              cache   100 µs   400 µs  ░░░████████████░░░░░░░░░░░░░░░          –
              notify  500 µs   200 µs  ░░░░░░░░░░░░░░░██████░░░░░░░░░          –
              other   700 µs   300 µs  ░░░░░░░░░░░░░░░░░░░░░█████████          –
phase-3-cold  auth       0 s   100 µs  █░░░░░░░░░░░░░░░░░░░░░░░░░░░░░          –
              cache   100 µs   400 µs  █░░░░░░░░░░░░░░░░░░░░░░░░░░░░░          –
              notify  500 µs   200 µs  █░░░░░░░░░░░░░░░░░░░░░░░░░░░░░          –
              other   700 µs  19.3 ms  ░█████████████████████████████          –\
""")


def test_each_switch_has_its_worth() -> None:
    assert text(ABLATION, "ablation", "worth") == snapshot("""\
Phase 3 without one switch, against phase 3
endpoint  variant        warm (95% CI)             with an empty cache (95% CI)
-------------------------------------------------------------------------------
GET /a    without cache  10.0× slower (9.09–11.1)  no difference (0.90–1.10)
""")


def test_off_against_on_is_one_table() -> None:
    assert text(SWITCH, "switches", "switches") == snapshot("""\
One call of each¹
                           latency
scenario    variant  does      p50      p99     mean  RCU      CPU  on against off
---------------------------------------------------------------------------------------------------
n-plus-one  off      GET   4.00 ms  8.00 ms  4.00 ms  3.5  2.00 ms  –
            on       GET   2.00 ms  4.00 ms  2.00 ms  3.5  1.00 ms  2.00× faster (95% CI 1.80–2.20)\
""")


def test_the_cache_statistics_are_worked_out() -> None:
    assert text(CACHE, "cache", "statistics") == snapshot("""\
Cache statistics¹
                   hits                  misses           errors               average
pattern  requests  hits  share     mean  misses     mean  errors     mean  worked out²  measured  at 99% hits
-------------------------------------------------------------------------------------------------------------
courses        30    10  33.3%  1.00 ms      10  20.0 ms      10  30.0 ms      17.0 ms   17.0 ms     ≈1.19 ms\
""")


def test_the_cache_flow_has_real_counts() -> None:
    assert text(CACHE, "cache", "cache-flow") == snapshot("""\
Cache flow
                                                                                        document
X-Cache  steps                                               requests  share     mean  †requests    †mean
---------------------------------------------------------------------------------------------------------
HIT      key, look, answer                                         10  33.3%  1.00 ms     99,000  2.00 ms
MISS     key, look, lease, query, store, answer                    10  33.3%  20.0 ms      1,000  52.0 ms
ERROR    key, look that fails or is left out, query, answer        10  33.3%  30.0 ms         10  50.0 ms\
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
        assert "Dashboard: GET /a" in written
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
        assert len(stage.bar) == 30
        assert "█" in stage.bar
    assert at_s == pytest.approx(max(whole_s, sum(stages_s.values())), rel=1e-6, abs=1e-9)


def test_the_total_is_no_stage_and_what_is_left_is_other() -> None:
    stages = stages_of({"auth": 1.0, "db": 0.0, "total": 3.0}, 4.0)

    assert [(each.name, each.duration_s) for each in stages] == [("auth", 1.0), ("other", 3.0)]
