"""The answer on one screen, from the saved runs of a real `perfkit run`."""
# ruff: noqa: RUF001 - the signs that reports print

import hashlib
import io
import re
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest
from inline_snapshot import snapshot
from rich.console import Console

import perfkit
from perfkit.analysis.answer import next_steps_of
from perfkit.cli import app
from perfkit.cost.options import CostOptions
from perfkit.report import plain, terminal
from perfkit.report.answer import write_doubts
from perfkit.report.build import build_cost_screen, build_report, build_screen
from perfkit.report.sections import Topic
from perfkit.runs import Doubt, DoubtKind, Run, RunStore

SHOP = Path(__file__).parents[2] / "examples" / "shop.toml"
RUNS = RunStore(Path(__file__).parent / "main_job").list().runs


def screen(*runs: Run, width: int = 80) -> str:
    blocks = build_screen(runs or RUNS, cost=CostOptions(), next_step="`perfkit report`")
    return plain.render_blocks(blocks, width)


def test_the_main_job_is_answered_on_one_screen() -> None:
    """A million calls: 15,625 RRU and 15.5 by index, $0.125 a million; 4 indexes, $0.625 a million."""
    assert screen() == snapshot("""\
courses: 5 access patterns, 65,000 items, embedded DynamoDB, 2026-11-30

                          today          after             gain
pattern      by             RCU  median    RCU   median     RCU    time  wasted
-------------------------------------------------------------------------------
courses      scan→query   1,250  278 ms    6.5  1.74 ms    192×    168×   99.5%
             quoted¹      2,500  4.80 s     13  50.0 ms    192×     96×   99.5%
instructor   scan→query   1,250  343 ms    2.5  1.01 ms    500×    364×   99.8%
enrollments  scan→query   6,250  4.97 s      1   595 µs  6,250×  7,251×  99.99%
             quoted¹     12,500  8.00 s      2  40.0 ms  6,250×    200×  99.99%
roster       scan→query   6,250  2.88 s      5  1.35 ms  1,250×  2,402×   99.9%
profile      scan→get       625  279 ms    0.5   376 µs  1,250×    624×  99.98%

Phases: fail, 5 of 6 promises kept; GET /api/courses took 1.35 s, now 1.74 ms
Cache: pass, no call failed with its server killed; warm 4.98× to 21.2× faster
Cost: a million calls of each pattern cost $1,953.13 today, $1.94 after; the
  indexes add $2.50 to a million new items in each table (modelled)

Doubtful: other programs used 40% to 84% of the CPU; only 3 to 8 calls of scan;
  latencies are the embedded engine's, without network or AWS; 2 more: `perfkit
  report -v`.
Next: `perfkit report`

¹ Quoted from: reference architecture, which counts strongly consistent reads:
  twice the units.
""")


@pytest.mark.parametrize("width", [80, 100])
@pytest.mark.parametrize("at_terminal", [False, True])
def test_the_answer_has_at_most_forty_lines_as_wide_as_asked(
    width: int, *, at_terminal: bool
) -> None:
    if at_terminal:
        file = io.StringIO()
        blocks = build_screen(RUNS, cost=CostOptions(), next_step="`perfkit report`")
        terminal.print_blocks(
            blocks, Console(file=file, force_terminal=True, no_color=True, width=width)
        )
        lines = file.getvalue().splitlines()
    else:
        lines = screen(width=width).splitlines()

    assert len(lines) <= 40
    if not at_terminal:
        assert max(map(len, lines)) <= width


def test_a_workload_of_many_patterns_stays_on_one_screen() -> None:
    named = [
        replace(run, scenario=f"{run.scenario}-of-a-rather-long-name-{number}", quoted=None)
        for number in range(8)
        for run in RUNS
        if run.kind == "scenario"
    ]

    shown = screen(*named)

    assert len(shown.splitlines()) <= 60
    assert "The first 15 of 40 rows" in shown


def test_of_several_workloads_the_newest_is_answered_and_the_others_are_named() -> None:
    others = [
        replace(run, workload=f"other-{number}", started_at="2026-01-01T00:00:00Z")
        for number in range(8)
        for run in RUNS
    ]

    shown = screen(*RUNS, *others)

    assert shown.startswith("courses: 5 access patterns")
    assert "Also saved: other-0: 5 access patterns" in shown
    assert "and 3 others" in shown
    assert len(shown.splitlines()) <= 60


def test_what_an_earlier_workload_file_measured_is_said_to_be_that() -> None:
    courses = next(each for each in RUNS if each.scenario == "courses")
    edited = replace(
        courses, scenario="profile", workload_digest="b" * 64, started_at="2026-12-24T00:00:00Z"
    )
    sentence = "courses of courses: measured with an earlier version of the workload's file"

    assert sentence in screen(edited, courses, width=200)
    assert sentence in plain.render_report(build_report([edited, courses]), 200)
    assert "earlier version" not in screen(courses, width=200)


@pytest.mark.parametrize("rps", [(), ("20",)])
def test_costs_have_a_screen_of_their_own(rps: tuple[str, ...]) -> None:
    """The reads of 4/s of 1,250, 1,250, 6,250, 6,250 and 625 RRU for 730 h at $0.125 a million."""
    cost = CostOptions(rps=rps, today=date(2026, 12, 1))
    blocks = build_cost_screen(RUNS, cost=cost, more="perfkit report --cost -v")

    for width in (80, 100, 120):
        lines = plain.render_blocks(blocks, width).splitlines()
        assert len(lines) <= 60
        assert max(map(len, lines)) <= width
    shown = plain.render_blocks(blocks, 120)
    assert "More: perfkit report --cost -v" in shown
    reads = 4 * (1_250 + 1_250 + 6_250 + 6_250 + 625) * 730 * 3600 * 0.125 / 1_000_000
    assert (f"${reads:,.2f}" in shown) is bool(rps)


def test_long_warnings_are_cut_to_three_lines() -> None:
    warned = [
        replace(run, doubts=(Doubt(DoubtKind.DATA, f"{run.scenario} " + "went wrong " * 60),))
        for run in RUNS
    ]

    lines = screen(*warned).splitlines()

    start = next(number for number, line in enumerate(lines) if line.startswith("Doubtful: "))
    end = next(number for number, line in enumerate(lines) if line.startswith("Next: "))
    assert end - start <= 3
    assert "more: `perfkit report -v`." in " ".join(lines[start:end])


def test_a_doubt_is_cut_between_words() -> None:
    text = write_doubts([f"no run of {', '.join(['parcels-by-status'] * 30)}"], 100)

    assert len(text) <= 100
    assert text.endswith("parcels-by-status, ….")


def test_patterns_that_were_chosen_leave_no_doubt_about_the_others(shop: list[Run]) -> None:
    two = [replace(run, settings={}) for run in shop if run.kind == "scenario"][:2]
    assert len(two) == 2
    every, chosen = (
        plain.render_blocks(build_screen(two, next_step="", is_choice=is_choice), 80)
        for is_choice in (False, True)
    )

    assert "no run of" in every
    assert "no run of" not in chosen


def test_no_index_is_to_be_made_that_a_newer_run_was_answered_by() -> None:
    """The step is of an older run, of another pattern by the same index."""
    older, newer = (run for run in RUNS if run.scenario in {"courses", "instructor"})
    index = newer.variants[-1].index
    assert index
    step = f"no index {index} on Courses: run `perfkit create-indexes`, then measure again"
    near = f"no index {index}2 on Courses: run `perfkit create-indexes`, then measure again"
    older = replace(older, started_at="2026-11-01T00:00:00Z", next_steps=(step, near))
    newer = replace(newer, started_at="2026-11-02T00:00:00Z")

    assert next_steps_of([older, newer]) == (near,)
    older = replace(older, started_at="2026-11-03T00:00:00Z")
    assert next_steps_of([older, newer]) == (step, near)


def test_one_pattern_shows_all_its_variants() -> None:
    shown = screen(*(run for run in RUNS if run.scenario == "courses"))

    assert "scan-parallel" in shown
    assert "168× faster (157–179)" in shown


@pytest.mark.parametrize("scenario", ["phases", "cache", "index-cost"])
def test_every_kind_of_run_has_an_answer_on_one_screen(scenario: str) -> None:
    shown = screen(*(run for run in RUNS if run.scenario == scenario))

    assert len(shown.splitlines()) <= 45
    assert shown.startswith(f"courses: {scenario}, embedded DynamoDB, 2026-11-30\n")


def test_a_call_that_failed_without_its_cache_fails_the_cache() -> None:
    (cache,) = (run for run in RUNS if run.kind == "cache")
    variants = tuple(
        replace(each, errors=2) if each.name == "cache-killed" else each for each in cache.variants
    )

    shown = screen(replace(cache, variants=variants))

    assert "Cache: fail, 10 calls failed with the cache's server down" in shown


def test_the_report_begins_with_the_same_answer() -> None:
    built = build_report(RUNS, cost=CostOptions(rps=("20",)))
    (section,) = (each for each in built.sections if each.name == "findings")

    assert plain.render_blocks(section.blocks[:1], 10_000).splitlines()[:3] == snapshot(
        [
            "Today 20 requests a second cost $20,932.00 a month (modelled): enrollments reads 50,000 items for 6,250 RCU by scan, $8,212.50 of it.",
            "It could be $155.33 a month, $148.62 behind the cache (5 of 5 patterns have a better variant): enrollments reads 5 items for 1 RCU by query, 6,250× fewer read units.",
            "To get there takes 4 indexes (CoursesBySemester, CoursesByInstructor, EnrollmentsByUser, EnrollmentsByCourse; 135 MB), and reads by key for profile.",
        ]
    )


def test_a_cache_that_costs_more_than_it_saves_is_no_advice() -> None:
    built = build_report(RUNS, cost=CostOptions(rps=("0.02",)))
    (section,) = (each for each in built.sections if each.name == "findings")

    could_be = plain.render_blocks(section.blocks[:1], 10_000).splitlines()[1]

    assert "behind the cache" not in could_be
    # cache.t3.micro: 730 hours at $0.017 are $12.41, and next to nothing is read
    assert could_be.startswith("It could be $20.47 a month (5 of 5")
    assert could_be.endswith("a cache would cost more than it saves, $32.88 a month with it.")


def test_nothing_is_to_be_done_where_nothing_reads_less() -> None:
    (courses,) = (each for each in RUNS if each.scenario == "courses")
    units = courses.variants[0].capacity_units
    alike = replace(
        courses,
        variants=tuple(replace(each, capacity_units=units) for each in courses.variants),
        comparisons=tuple(replace(each, capacity_ratio=1.0) for each in courses.comparisons),
    )
    (section,) = build_report([alike], sections={"findings"}, cost=CostOptions()).sections

    shown = plain.render_blocks(section.blocks[:1], 10_000)

    assert "reads less yet; courses is faster by query." in shown
    assert "To get there" not in shown


def test_units_that_dynamodb_would_not_bill_are_doubted_first() -> None:
    doubts = (
        Doubt(DoubtKind.CAPACITY, "http://127.0.0.1:5000 is not AWS: it is unchecked"),
        Doubt(DoubtKind.CAPACITY, "scan: the target charges 0.5 RCU, which DynamoDB bills as 40.5"),
    )
    run = replace(next(each for each in RUNS if each.scenario == "courses"), doubts=doubts)

    assert "Doubtful: courses: scan: the target charges 0.5 RCU" in screen(run)
    costs = build_cost_screen([run], cost=CostOptions(), more="")
    assert "Doubtful: courses: scan: the target charges 0.5 RCU" in plain.render_blocks(costs, 120)


# ---- another workload ----------------------------------------------------------------------


@pytest.fixture
def shop() -> list[Run]:
    """Runs over a workload that quotes nothing, of which one of the cache has a document's figures."""
    digest = hashlib.sha256(SHOP.read_bytes()).hexdigest()
    return [
        replace(
            run,
            workload=str(SHOP),
            workload_digest=digest,
            quoted=run.quoted if run.kind == "cache" else None,
        )
        for run in RUNS
        if run.kind in {"scenario", "cache"}
    ]


def test_another_workload_hears_nothing_of_the_reference_document(shop: list[Run]) -> None:
    report = build_report(shop, cost=CostOptions())
    shown = plain.render_report(report, 200)

    for word in ("118.50", "99,000", "document", "reference architecture", "quoted"):
        assert word not in shown
    assert "118.50" in plain.render_report(build_report(RUNS, cost=CostOptions()), 200)


def test_nothing_advises_a_scenario_that_refuses_the_workload(shop: list[Run]) -> None:
    report = build_report(shop, cost=CostOptions(), topics=[Topic.COST, Topic.DASHBOARD])
    shown = plain.render_report(report, 10_000)

    assert "--scenario phases" not in shown
    assert "`perfkit load --url URL --mix FILE`" in shown


def test_an_unstated_rate_makes_no_headline(shop: list[Run]) -> None:
    report = build_report(shop, cost=CostOptions(), topics=[Topic.COST])
    (section,) = (each for each in report.sections if each.name == "cost-measured")

    first = plain.render_blocks(section.blocks[:1], 10_000)

    assert first.startswith("A million calls of each pattern cost $1,953.13 today, $1.94 after;")


def test_servers_killed_on_purpose_are_no_error_rate() -> None:
    (section,) = (each for each in build_report(RUNS).sections if each.name == "cache")
    shown = plain.render_blocks(section.blocks, 200)

    assert "23.2%" not in shown
    (statistics,) = (each for each in section.tables if each.name == "statistics")
    assert [row["errors"] for row in statistics.rows] == [0, 0, 0, 0, 0]


def test_every_command_that_a_text_names_exists() -> None:
    names = {command.name for command in app.registered_commands} | {
        group.name for group in app.registered_groups
    }
    named = {
        found
        for path in Path(perfkit.__file__).parent.rglob("*.py")
        for found in re.findall(r"`perfkit ([a-z]+(?:-[a-z]+)*)", path.read_text())
    }

    assert named <= names
    assert len(named) > 8


# ---- ratios that round to 1 ------------------------------------------------------------------


def test_no_text_says_that_something_is_one_time_less() -> None:
    """1,250 units of 1,248 are fewer, and 1.002 times is not what a reader wants to know."""
    (run,) = (each for each in RUNS if each.scenario == "courses")
    scan, *_, query = run.variants
    (against,) = (each for each in run.comparisons if each.candidate == query.name)
    alike = replace(
        run,
        quoted=None,
        variants=(scan, replace(query, capacity_units=1_248.0)),
        comparisons=(
            replace(
                against,
                capacity_ratio=1_250 / 1_248,
                latency_ratio=1.004,
                latency_ratio_ci95=(1.002, 1.006),
            ),
        ),
    )

    report = plain.render_report(build_report([alike], cost=CostOptions()), 10_000)

    for text in (screen(alike, width=200), report):
        assert re.search(r"\b1(\.0+)?× (fewer|faster|cheaper|slower)", text) is None
        assert "less than 1% faster" in text
    assert "reads 50 items for 1,248 RCU by query, as many read units." in report
