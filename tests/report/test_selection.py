"""Which runs a report shows, and what it finds in them."""
# ruff: noqa: RUF001 - the signs that reports print

from dataclasses import replace
from pathlib import Path

import pytest

from perfkit.analysis.outcome import find_outcome
from perfkit.analysis.selection import select
from perfkit.errors import RunFileError
from perfkit.report.before_after import before_after
from perfkit.report.build import build_report
from perfkit.report.model import Marked, Provenance, Report, Section, Statements, Table
from perfkit.runs import Doubt, DoubtKind, Run, RunStore, Variant

RUNS = RunStore(Path(__file__).parent / "runs")


def run(scenario: str = "courses") -> Run:
    return next(each for each in RUNS.list().runs if each.scenario == scenario)


def at(second: int, **changes: object) -> Run:
    moment = f"2026-01-02T10:00:{second:02d}.000000Z"
    return replace(run(), started_at=moment, id=f"run-{second}", **changes)  # type: ignore[arg-type]


def section(report: Report, name: str) -> Section:
    return next(each for each in report.sections if each.name == name)


def said(report: Report, name: str) -> list[str]:
    (block,) = section(report, name).blocks
    assert isinstance(block, Statements)
    return [statement.text for statement in block.statements]


def caution(text: str) -> Doubt:
    return Doubt(DoubtKind.MACHINE, text)


def test_the_newest_run_of_each_scenario_is_shown() -> None:
    selection = select([at(1), at(3), at(2)])

    assert [each.id for each in selection.runs] == ["run-3"]
    assert [each.id for each in selection.older] == ["run-2", "run-1"]


def test_measuring_one_scenario_again_does_not_move_it() -> None:
    first, second = at(1, scenario="courses"), at(2, scenario="profile")

    selection = select([first, second, at(3, scenario="courses")])

    assert [each.id for each in selection.runs] == ["run-3", "run-2"]


def test_moments_are_compared_whatever_their_time_zone() -> None:
    late = replace(run(), started_at="2026-01-01T08:00:00-05:00", id="late")
    early = replace(run(), started_at="2026-01-01T12:00:00Z", id="early")

    selection = select([early, late])

    assert [each.id for each in selection.runs] == ["late"]


def test_targets_and_workloads_are_groups_of_their_own() -> None:
    aws = {"kind": "aws", "region": "eu-west-1"}

    selection = select([at(1), at(2, target=aws), at(3, workload="shop")])

    assert [group.title for group in selection.groups] == [
        "workload shop, target embedded",
        "workload courses, target aws eu-west-1",
        "workload courses, target embedded",
    ]
    assert selection.title(selection.runs[0]) == "courses (workload shop, target embedded)"


def test_an_edited_workload_is_another_workload() -> None:
    selection = select(
        [
            at(1, scenario="courses", workload_digest="a" * 64),
            at(2, scenario="profile", workload_digest="b" * 64),
        ]
    )

    assert [group.title for group in selection.groups] == [
        "workload courses, target embedded",
        "workload courses, earlier file aaaaaaaa, target embedded",
    ]


def test_the_outcome_is_the_cheapest_variant_against_the_baseline() -> None:
    outcome = find_outcome(run())

    assert outcome is not None
    assert outcome.after is not None
    assert (outcome.before.name, outcome.after.name) == ("scan", "query")


def test_a_variant_that_costs_as_much_is_no_outcome() -> None:
    scans = replace(run(), variants=run().variants[:3], comparisons=run().comparisons[:2])

    outcome = find_outcome(scans)

    assert outcome is not None
    assert outcome.after is None


def test_a_variant_that_returned_other_items_is_no_outcome() -> None:
    *others, last = run().comparisons
    wrong = replace(run(), comparisons=(*others, replace(last, results_equal=False)))

    outcome = find_outcome(wrong)

    assert outcome is not None
    assert outcome.after is None


def test_without_capacity_the_fastest_counts_if_the_difference_is_real() -> None:
    def without(variant: Variant) -> Variant:
        return replace(variant, capacity_units=None, capacity_units_strong=None)

    untold = replace(run(), variants=tuple(map(without, run().variants)))
    doubtful = replace(
        untold, comparisons=tuple(replace(each, significant=False) for each in run().comparisons)
    )

    told, unsure = find_outcome(untold), find_outcome(doubtful)

    assert told is not None
    assert told.after is not None
    assert told.after.name == "query"
    assert unsure is not None
    assert unsure.after is None


def test_a_run_without_variants_has_no_outcome_and_is_reported() -> None:
    empty = replace(run(), variants=(), comparisons=(), doubts=())

    assert find_outcome(empty) is None
    assert said(build_report([empty]), "warnings") == [
        "courses: the run holds no measurement; measure again."
    ]


def test_unreadable_files_are_counted() -> None:
    report = build_report([replace(run(), doubts=())], problems=[RunFileError("x is cut short")])

    assert said(report, "warnings") == ["1 run file could not be read and left out."]


def test_a_warning_of_several_scenarios_is_said_once() -> None:
    quiet, busy = replace(run("profile"), doubts=()), "the machine was busy"

    report = build_report(
        [
            replace(run("courses"), doubts=(Doubt(DoubtKind.DATA, busy),)),
            replace(run("instructor"), doubts=(Doubt(DoubtKind.DATA, busy),)),
            quiet,
        ]
    )

    assert said(report, "warnings") == [f"courses, instructor: {busy}"]


def test_what_limits_a_single_run_stands_first() -> None:
    report = build_report([replace(run(), doubts=(caution("only 3 calls"),))])

    assert said(report, "warnings") == ["courses: only 3 calls"]


def test_what_limits_several_runs_stands_with_their_tables() -> None:
    """Five scenarios with three remarks each would push the figures off the screen."""
    courses = replace(
        run("courses"), doubts=(caution("only 3 calls"), caution("the machine is busy"))
    )
    profile = replace(run("profile"), doubts=())

    report = build_report([courses, profile])

    assert said(report, "warnings") == [
        "courses: figures with a margin; what limits them stands with their tables."
    ]
    (section,) = [each for each in report.sections if each.subject == "courses"]
    cautions = section.blocks[-1]
    assert isinstance(cautions, Statements)
    assert [each.text for each in cautions.statements] == ["only 3 calls", "the machine is busy"]


def test_next_steps_come_last_and_once() -> None:
    steps = ("no index I on T: run `perfkit create-indexes`, then measure again",)

    report = build_report([replace(run(name), next_steps=steps) for name in ("courses", "profile")])

    assert report.sections[-1].name == "next-steps"
    assert said(report, "next-steps") == list(steps)


def test_sections_can_be_chosen() -> None:
    report = build_report([run("courses"), run("profile")], sections={"summary"})

    assert [each.name for each in report.sections] == ["summary"]


@pytest.mark.parametrize(
    ("verdict", "changes"),
    [
        pytest.param("228× faster (95% CI 216–241)", {}, id="faster"),
        pytest.param(
            "4.00× slower (95% CI 3.33–5.00)",
            {"latency_ratio": 0.25, "latency_ratio_ci95": (0.2, 0.3)},
            id="slower",
        ),
        pytest.param(
            "no significant difference (95% CI 0.90–1.20)",
            {"latency_ratio": 1.05, "latency_ratio_ci95": (0.9, 1.2), "significant": False},
            id="not significant",
        ),
        pytest.param(
            "no significant difference (too few rounds for an interval)",
            {"latency_ratio_ci95": None, "significant": False},
            id="no interval",
        ),
        pytest.param("returned other items: not compared", {"results_equal": False}, id="unequal"),
    ],
)
def test_comparisons_are_said_in_words(verdict: str, changes: dict[str, object]) -> None:
    *others, last = run().comparisons
    changed = replace(last, **changes)  # type: ignore[arg-type]

    report = build_report([replace(run(), comparisons=(*others, changed))])

    tables = {each.name: each for each in section(report, "access-pattern").tables}
    cell = tables["comparisons"].rows[-1]["latency"]
    assert (cell.value if isinstance(cell, Marked) else cell) == verdict


def quoted_note(table: Table) -> str | None:
    (cell,) = (
        cell
        for row in table.rows
        if isinstance(cell := row["figures"], Marked) and cell.value == Provenance.QUOTED
    )
    return cell.note


def test_the_footnote_says_how_a_document_counts() -> None:
    table = before_after([run()], name="t", title="")

    assert quoted_note(table) == (
        "Quoted from: reference architecture."
        " It counts RCU as if every read were strongly consistent."
    )


def test_the_footnote_says_when_the_tables_are_not_alike() -> None:
    scan, *others = run().variants
    smaller = replace(run(), variants=(replace(scan, items_read=100, capacity_units=12.5), *others))

    table = before_after([smaller], name="t", title="")

    assert "There a call read 10,000 items, here 100" in (quoted_note(table) or "")


@pytest.mark.parametrize(
    "quoted",
    [
        pytest.param({"source": "a page"}, id="no figures"),
        pytest.param({"before": 5, "after": None}, id="wrong shapes"),
        pytest.param({"before": {"rcu": "many", "latency_s": True}}, id="no numbers"),
    ],
)
def test_quotes_that_are_incomplete_are_shown_as_far_as_they_go(quoted: dict[str, object]) -> None:
    table = before_after([replace(run(), quoted=quoted)], name="t", title="")

    assert table.rows[-1]["capacity_units_before"] is None
    assert table.rows[-1]["latency_before_s"] is None
