# ruff: noqa: RUF001 - a minus sign is one
"""`perfkit compare` from the outside: what it says of two runs, and what it refuses to compare."""

import csv
import json
import math
import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import typer
from inline_snapshot import snapshot
from typer.testing import CliRunner, Result

from perfkit.commands.compare import compare
from perfkit.errors import PerfkitError
from perfkit.runs import (
    CacheFigures,
    Doubt,
    DoubtKind,
    LatencySummary,
    MachineLoad,
    Run,
    RunStore,
    Variant,
    WriteCost,
)

APP = typer.Typer()
APP.command()(compare)


def variant(name: str = "query", *, at_s: float = 0.01, rounds: int = 9, **more: Any) -> Variant:
    """A variant whose rounds lie within 2% of *at_s*, the same for the same *at_s*."""
    chance = random.Random(str(at_s))
    rounds_s = tuple(at_s * chance.uniform(0.98, 1.02) for _ in range(rounds))
    figures: dict[str, Any] = {
        "items_read": 50,
        "items_returned": 50,
        "bytes_read": 51_200,
        "capacity_units": 6.5,
        "requests_per_call": 1.0,
        "errors": 0,
    }
    return Variant(
        name=name,
        operation="Query",
        calls=rounds,
        requests=rounds,
        capacity_source="embedded",
        latency_s=LatencySummary(
            count=rounds, mean=at_s, p50=at_s, p90=at_s, p95=at_s, p99=2 * at_s, max=2 * at_s
        ),
        histogram="",
        rounds_s=rounds_s,
        **(figures | more),
    )


def run(number: int, *variants: Variant, **more: Any) -> Run:
    about: dict[str, Any] = {
        "kind": "scenario",
        "scenario": "courses",
        "workload": "courses",
        "target": {"kind": "embedded"},
        "machine": {"cpu": "a", "cores": 2, "memory_gib": 8.0, "os": "Linux", "boto3": "1.44.5"},
        "settings": {"consistent": False, "scale": 1.0, "iterations": None, "rounds": 9},
        "workload_digest": "47cc939c",
        "perfkit": "0.1.0",
    }
    return Run(
        variants=variants or (variant(),),
        started_at=f"2026-01-01T00:{number:02d}:00Z",
        id=f"20260101T00{number:02d}00Z-{more.get('scenario', 'courses')}-00000{number % 10}",
        **(about | more),
    )


def save(*runs: Run, folder: str = ".perfkit/runs") -> None:
    for each in runs:
        RunStore(Path(folder)).save(each)


def perfkit_compare(*arguments: str) -> Result:
    return CliRunner().invoke(APP, list(arguments))


def refusal(*arguments: str) -> tuple[int, str]:
    result = perfkit_compare(*arguments)
    assert isinstance(result.exception, PerfkitError), result.output
    assert result.stdout == ""
    return result.exception.exit_code, str(result.exception)


def latency(*arguments: str) -> dict[str, Any]:
    """Return what the JSON document says of the first variant's latency."""
    found = json.loads(perfkit_compare(*arguments, "--json").stdout)["compare"]["changes"][0]
    assert isinstance(found["latency"], dict)
    return found["latency"]


TWO = ("courses~1", "courses")


def test_a_pull_request_gets_a_verdict_and_a_table() -> None:
    for number in range(10):
        late = number % 2
        save(
            run(
                number,
                variant("scan", at_s=0.3 + number / 1000, capacity_units=1250.0),
                variant(at_s=0.02 if late else 0.01),
            ),
            folder="branch" if late else "base",
        )

    result = perfkit_compare("base", "branch", "--fail-on-regression", "10", "--format", "markdown")

    assert isinstance(result.exception, PerfkitError)
    assert result.exception.exit_code == 4
    assert str(result.exception) == snapshot(
        "courses, query: latency +102% (+102% to +102%): at or above --fail-on-regression 10"
    )
    assert result.stdout.partition("\n## ")[0] == snapshot("""\
# perfkit compare: base → branch

- Fail: regression of 10% or more: courses, query: latency +102% (+102% to +102%). Of 2 compared: 1 slower, 1 not significant.

| scenario   | variant   |   p50 before |   p50 after | latency change¹           | latency verdict   |   RCU before |   RCU after | RCU change   |
|:-----------|:----------|-------------:|------------:|:--------------------------|:------------------|-------------:|------------:|:-------------|
| courses    | scan      |       304 ms |      305 ms | +0.09% (−0.61% to +0.64%) | pass              |        1,250 |       1,250 | the same     |
|            | query     |      10.0 ms |     20.0 ms | +102% (+102% to +102%)    | fail              |          6.5 |         6.5 | the same     |

- Load: how much of the CPU other programs used is not known.

- Runs: 5 before, 5 after.
- The runs took turns: each pair gives one ratio, and the interval is Student's t on them, so what slows the machine for a while cancels.
""")


def test_a_side_of_few_calls_has_no_p99() -> None:
    """Of 100 calls one lies above the p99, of 99 none."""
    save(*(run(n, variant(rounds=calls)) for n, calls in ((1, 99), (2, 100))))

    (change,) = json.loads(perfkit_compare(*TWO, "--json").stdout)["compare"]["changes"]

    assert change["baseline"]["p99_s"] is None
    assert change["candidate"]["p99_s"] == 0.02


def exit_code(*arguments: str) -> int:
    result = perfkit_compare(*arguments)
    if result.exception is None:
        return result.exit_code
    assert isinstance(result.exception, PerfkitError), result.output
    return result.exception.exit_code


def test_noise_is_printed_as_not_significant_and_informs_only() -> None:
    save(run(1, variant(at_s=0.01)), run(2, variant(at_s=0.0103)))

    result = perfkit_compare(*TWO)

    assert result.exit_code == 0
    assert "No significant change" in result.stdout
    assert "not significant" in result.stdout


@pytest.mark.parametrize(
    ("slowdown", "percent", "code"),
    [
        pytest.param(1.4, "60", 0, id="the whole interval lies below the limit"),
        pytest.param(1.4, "20", 4, id="above"),
        pytest.param(1.4, "40", 3, id="it includes the limit"),
        pytest.param(1.0, "5", 0, id="the same code"),
        pytest.param(0.7, "0", 0, id="faster"),
    ],
)
def test_a_gate_passes_below_fails_above_and_is_invalid_in_between(
    slowdown: float, percent: str, code: int
) -> None:
    in_turns(slowdown)

    assert exit_code("base", "branch", "--fail-on-regression", percent) == code


@pytest.mark.parametrize(
    ("slowdown", "verdict", "code"),
    [
        pytest.param(1.3, "invalid", 3, id="30% is what runs differ by"),
        pytest.param(1.0, "invalid", 3, id="even the same may hide 30%"),
        pytest.param(3.0, "fail", 4, id="three times as long is beyond it"),
        pytest.param(0.3, "pass", 0, id="a third is below every limit"),
    ],
)
def test_a_single_pair_shows_only_what_is_beyond_all_that_runs_differ_by(
    slowdown: float, verdict: str, code: int
) -> None:
    save(run(1), run(2, variant(at_s=0.01 * slowdown)))

    found = compared(*TWO, "--fail-on-regression", "10")

    assert found["changes"][0]["latency"]["verdict"] == found["outcome"] == verdict
    assert exit_code(*TWO, "--fail-on-regression", "10") == code
    said = " ".join(perfkit_compare(*TWO).stdout.split())
    assert "25% a side, stated for want of earlier runs" in said


def test_earlier_runs_of_the_same_code_say_what_a_pair_may_differ_by() -> None:
    """Six runs within 1% of each other: the least that was ever measured, 8%, and no more."""
    save(*(run(number, variant(at_s=0.01 + number / 1e5)) for number in range(6)))
    save(run(10), run(11, variant(at_s=0.016)))

    found = compared(*TWO, "--fail-on-regression", "10")

    low, high = found["changes"][0]["latency"]["interval"]
    # t(5) = 2.571 times 8%, for each of the two
    assert high / low == pytest.approx(math.exp(2 * 2.571 * 0.08 * math.sqrt(2)), rel=0.02)
    assert found["outcome"] == "fail"
    said = " ".join(perfkit_compare(*TWO).stdout.split())
    assert "8% a side, by which 6 earlier runs of the same code differed here" in said


@pytest.mark.parametrize(
    "other",
    [
        {"workload_digest": "0000"},
        {"perfkit": "0.0.9"},
        {"machine": {**run(1).machine, "cpu": "b"}},
        {"machine": {**run(1).machine, "boto3": "1.0"}},
        {"settings": {**run(1).settings, "scale": 0.1}},
        {"scenario": "profile"},
        {"target": {"kind": "endpoint"}},
    ],
)
def test_earlier_runs_of_anything_else_say_nothing(other: dict[str, Any]) -> None:
    save(*(run(number, variant(at_s=0.01 + number / 1e5), **other) for number in range(6)))
    save(run(10), run(11, variant(at_s=0.016)))

    said = " ".join(perfkit_compare("20260101T0010", "courses").stdout.split())
    assert "stated for want of earlier runs" in said


def test_what_was_measured_within_minutes_says_nothing_of_hours() -> None:
    save(*(run(number, variant(at_s=0.01 + number / 1e5)) for number in range(6)))
    save(run(10), run(40, variant(at_s=0.016)))

    assert "stated for want of earlier runs" in " ".join(perfkit_compare(*TWO).stdout.split())


@pytest.mark.parametrize(
    ("units", "percent", "verdict"),
    [
        pytest.param(6.5, "0", "pass", id="the same"),
        pytest.param(7.0, "5", "fail", id="7.7% more, 5% allowed"),
        pytest.param(7.0, "10", "pass", id="7.7% more, 10% allowed"),
        pytest.param(6.6, "0", "fail", id="any more, none allowed"),
        pytest.param(6.0, "0", "pass", id="less"),
    ],
)
def test_capacity_is_judged_from_one_pair_of_runs(units: float, percent: str, verdict: str) -> None:
    save(run(1), run(2, variant(capacity_units=units)))

    found = compared(*TWO, "--fail-on-regression", percent)

    assert found["changes"][0]["capacity"]["verdict"] == verdict
    # a pair of latencies is no evidence for either
    assert exit_code(*TWO, "--fail-on-regression", percent) == (4 if verdict == "fail" else 3)


def test_only_rcu_judges_no_latency_and_allows_no_rise() -> None:
    save(run(1), run(2, variant(at_s=1.0)))
    assert exit_code(*TWO, "--only", "rcu") == 0
    shown = perfkit_compare(*TWO, "--only", "rcu").stdout
    assert "Of 1 compared: 1 with the same read units" in shown
    assert "RCU" in shown
    assert not {"latency", "cannot tell", "p50", "Next:"} & set(shown.replace("\n", " ").split())
    assert "p99" not in perfkit_compare(*TWO, "--only", "rcu", "-v").stdout

    save(run(1), run(2, variant(capacity_units=6.6)))
    assert exit_code(*TWO, "--only", "rcu") == 4
    assert exit_code(*TWO, "--only", "rcu", "--fail-on-regression", "5") == 0
    assert exit_code(*TWO, "--only", "rcu", "--control", "query") == 2


def test_capacity_that_depends_on_a_cache_is_shown_and_not_judged() -> None:
    cache = CacheFigures(hits=5, misses=5, errors=0)
    save(
        run(1, variant(cache=cache, capacity_units=1.0)),
        run(2, variant(cache=cache, capacity_units=9.0)),
    )

    result = perfkit_compare(*TWO)

    assert result.exit_code == 0
    assert "+800%, not judged" in result.stdout
    assert compared(*TWO, "--fail-on-regression", "10")["regressions"] == []


@pytest.mark.parametrize(
    ("before", "after", "reason"),
    [
        pytest.param({}, {"rounds": 2}, "2 rounds are too few", id="two rounds"),
        pytest.param({"errors": 1}, {"errors": 1}, "calls failed", id="failed calls"),
        pytest.param({}, {"items_returned": 49}, "the answers differ", id="another answer"),
    ],
)
def test_what_supports_no_verdict_gets_none(
    before: dict[str, Any], after: dict[str, Any], reason: str
) -> None:
    save(run(1, variant(**before)), run(2, variant(at_s=1.0, **after)))

    informed = latency(*TWO)
    judged = latency(*TWO, "--fail-on-regression", "10")

    assert (informed["verdict"], informed["direction"]) == (None, "cannot tell")
    assert (judged["verdict"], judged["reason"]) == ("invalid", reason)
    assert informed["interval"] is None


def test_two_runs_a_side_are_too_few_for_many_comparisons() -> None:
    """A run four times as long as the other, and t at 1 - 0.05 / 30 with one degree: 382."""
    names = [f"query-{number}" for number in range(30)]
    for number, (folder, at_s) in enumerate(
        [("base", 0.01), ("branch", 0.01), ("branch", 0.011), ("base", 0.04)]
    ):
        save(run(number, *(variant(name, at_s=at_s) for name in names)), folder=folder)

    found = latency("base", "branch")

    assert (found["direction"], found["interval"]) == ("cannot tell", None)
    assert found["reason"] == "2 runs a side are too few for 30 comparisons"


@pytest.mark.parametrize(
    ("load", "reason"),
    [
        (MachineLoad(others_share=0.4), "other programs used 40% of the CPU"),
        (MachineLoad(stolen_share=0.05), "the hypervisor took 5% of the CPU"),
    ],
)
def test_a_busy_machine_makes_a_single_run_useless(load: MachineLoad, reason: str) -> None:
    save(run(1), run(2, variant(at_s=1.0), load=load))

    assert latency(*TWO)["reason"] == reason


def test_a_threshold_that_could_not_be_tested_is_an_error() -> None:
    save(run(1, variant(rounds=1)), run(2, variant(rounds=1)))

    result = perfkit_compare(*TWO, "--fail-on-regression", "10")

    assert isinstance(result.exception, PerfkitError)
    assert result.exception.exit_code == 3
    assert "Invalid: 1 of 1 latency cannot be judged: 1 round is too few" in result.stdout


def test_different_machines_compare_capacity_only() -> None:
    machine = {**run(1).machine, "cpu": "b"}
    save(run(1), run(2, variant(at_s=1.0, capacity_units=13.0), machine=machine))

    result = perfkit_compare(*TWO, "--fail-on-regression", "10")

    assert "measured on different machines (cpu a and b)" in result.stdout
    assert latency(*TWO, "--fail-on-regression", "10")["reason"] == "different machines"
    assert isinstance(result.exception, PerfkitError)
    assert str(result.exception).startswith("courses, query: 6.5 → 13 read units")


@pytest.mark.parametrize(
    ("other", "said"),
    [
        ({"target": {"kind": "aws"}}, "different targets, embedded and aws"),
        (
            {"target": {"kind": "embedded", "modelled": {"throughput": "enforced"}}},
            "different targets, embedded and embedded with AWS's throughput modelled",
        ),
        ({"workload": "shop"}, "different workloads, courses and shop"),
        ({"kind": "cache"}, "different kinds, scenario and cache"),
        ({"workload_digest": "0000"}, "was edited between runs"),
        ({"settings": {"scale": 0.1}}, "different settings, consistent false and null"),
        (
            {"settings": {**run(1).settings, "scale": 0.1}},
            "different settings, scale 1.0 and 0.1",
        ),
    ],
)
def test_other_work_is_never_compared(other: dict[str, Any], said: str) -> None:
    save(run(1), run(2, **other))

    code, message = refusal("20260101T0001", "20260101T0002")

    assert code == 2
    assert said in message


def test_an_edited_workload_is_compared_on_request_and_said() -> None:
    save(run(1), run(2, workload_digest="0000"))

    result = perfkit_compare(*TWO, "--edited")

    assert result.exit_code == 0
    assert "was edited between the runs" in result.stdout


@pytest.mark.parametrize(
    ("other", "said"),
    [
        ({"perfkit": "0.2.0"}, "perfkit differs (0.1.0, 0.2.0)"),
        ({"machine": {**run(1).machine, "boto3": "1.45.0"}}, "boto3 differs (1.44.5, 1.45.0)"),
        ({"settings": {**run(1).settings, "iterations": 5}}, "iterations differs (null, 5)"),
        (
            {"doubts": (Doubt(DoubtKind.CAPACITY, "the emulator counts wrongly"),)},
            "courses: the emulator counts wrongly",
        ),
    ],
)
def test_what_weakens_a_comparison_is_said(other: dict[str, Any], said: str) -> None:
    save(run(1), run(2, **other))

    result = perfkit_compare(*TWO)

    assert result.exit_code == 0
    assert said in " ".join(result.stdout.split())


@pytest.mark.parametrize(
    ("names", "code", "said"),
    [
        (("courses", "nope"), 2, "no run, scenario, file or folder 'nope'"),
        (("courses", "cuorses"), 2, "did you mean 'courses'?"),
        (("courses~7", "courses"), 2, "there is no courses~7: 2 runs are saved"),
        (("2026", "courses"), 2, "'2026' begins the ids of 2 runs"),
        (("courses", "courses"), 2, "both sides hold run 20260101T000200Z-courses-000002"),
        (("courses", "missing.json"), 2, "no run file missing.json"),
        ((".", "courses"), 2, ". is a folder and courses a run"),
        (("", "courses"), 2, "no run, scenario, file or folder ''"),
        (("courses~1", "courses", "--fail-on-regression=-1"), 2, "-1 is no percentage"),
        (("courses~1", "courses", "--fail-on-regression", "nan"), 2, "nan is no percentage"),
        (("courses~1", "courses", "--json", "--format", "csv"), 2, "contradict each other"),
    ],
)
def test_a_wrong_request_gets_one_line(names: tuple[str, ...], code: int, said: str) -> None:
    save(run(1), run(2))

    found, message = refusal(*names)

    assert found == code
    assert said in message
    assert "\n" not in message


def test_other_scenarios_have_nothing_in_common() -> None:
    save(run(1), run(2, scenario="profile"))

    assert refusal("courses", "profile") == (
        2,
        "courses holds courses and profile profile; only runs of the same scenario can be compared",
    )


def test_each_workload_and_target_of_a_folder_is_held_against_its_own() -> None:
    """The cache of one workload is five times as fast as that of another, which is no change."""
    aws = {"kind": "aws", "region": "eu-west-1"}
    for number, folder in ((0, "base"), (10, "branch")):
        save(
            run(number + 1, variant(at_s=0.01), scenario="cache"),
            run(number + 2, variant(at_s=0.05), scenario="cache", workload="shop"),
            run(number + 3, variant(at_s=0.2), scenario="cache", target=aws),
            folder=folder,
        )
    save(run(4, workload="shop"), folder="base")
    save(run(14), folder="branch")

    found = compared("base", "branch")

    assert [
        (each["scenario"], each["workload"], each["target"], each["latency"]["ratio"])
        for each in found["changes"]
    ] == [
        ("cache", "courses", "embedded", 1.0),
        ("cache", "shop", "embedded", 1.0),
        ("cache", "courses", "aws eu-west-1", 1.0),
    ]
    assert found["left_out"] == [
        "courses of shop: only in base.",
        "courses of courses: only in branch.",
    ]
    assert "aws eu-west-1" in perfkit_compare("base", "branch").stdout


def test_a_regression_of_one_workload_among_several_is_named_with_it() -> None:
    for number, folder, at_s in ((0, "base", 0.01), (10, "branch", 0.05)):
        save(
            run(number + 1, scenario="cache"),
            run(number + 2, variant(at_s=at_s), scenario="cache", workload="shop"),
            folder=folder,
        )

    error = perfkit_compare("base", "branch", "--fail-on-regression", "10").exception

    assert str(error).startswith("cache of shop, query: latency +")


def test_runs_are_found_by_id_scenario_and_file() -> None:
    save(run(1), run(2))
    path = ".perfkit/runs/20260101T000100Z-courses-000001.json"

    outputs = {
        perfkit_compare(name, "20260101T0002", "--json")
        .stdout.replace(name, "*", 1)
        .count('"p50_s"')
        for name in ("courses~1", "20260101T0001", "20260101T000100Z-courses-000001", path)
    }

    assert outputs == {2}


def in_turns(slowdown: float, *, pairs: int = 5, **more: Any) -> None:
    """Two folders as a workflow leaves them: runs in turns, the machine slower and slower."""
    for number in range(pairs):
        drift = 0.01 * 1.2**number * (1 + 0.01 * (number % 2))
        save(
            run(2 * number, variant(at_s=drift)),
            run(2 * number, variant(at_s=drift), scenario="profile"),
            folder="base/.perfkit/runs",
        )
        save(run(2 * number + 1, variant(at_s=drift * slowdown), **more), folder="branch")


def test_folders_of_runs_in_turns_are_compared_pair_by_pair() -> None:
    """The machine doubles its time meanwhile, and still 20% are found."""
    in_turns(1.2)

    found = json.loads(perfkit_compare("base", "branch", "--json").stdout)["compare"]

    change = found["changes"][0]
    assert change["latency"]["method"] == "paired-runs"
    assert change["latency"]["direction"] == "slower"
    assert change["latency"]["ratio"] == pytest.approx(1.2, rel=0.03)
    assert (change["baseline"]["runs"], change["candidate"]["runs"]) == (5, 5)
    assert found["left_out"] == ["profile: only in base."]


def test_one_run_against_several_is_said_as_such() -> None:
    in_turns(1.0)
    save(run(30, variant(at_s=0.02)), folder="one")

    change = compared("base", "one")["changes"][0]
    said = " ".join(perfkit_compare("base", "one", "-v").stdout.split())

    assert change["latency"]["method"] == "single-run"
    assert "Runs: 5 before, 1 after. A side of one run:" in said


def sides(
    *,
    slowdown: float = 1.0,
    count: int = 8,
    turns: bool = True,
    load: tuple[float | None, float | None] = (0.05, 0.05),
    machine: float = 0.3,
    **more: Any,
) -> None:
    """
    Two folders of runs by a machine whose speed changes from run to run; its variants differ by 2%.

    The load is that of the two sides.
    """
    chance = random.Random(f"{slowdown} {turns}")
    for number in range(2 * count):
        late = number % 2 if turns else int(number >= count)
        speed = math.exp(chance.gauss(0, machine))
        busy = MachineLoad(others_share=load[late], stolen_share=0.0)
        variants = [
            variant(name, at_s=at_s * speed * math.exp(chance.gauss(0, 0.02)))
            for name, at_s in (("scan", 0.3), ("query", 0.01 * (slowdown if late else 1.0)))
        ]
        save(run(number, *variants, load=busy, **more), folder=("base", "branch")[late])


GATE = ("base", "branch", "--fail-on-regression", "10")


@pytest.mark.parametrize("turns", [True, False])
@pytest.mark.parametrize(("slowdown", "outcome"), [(1.3, "fail"), (1.0, "pass")])
def test_ratios_to_a_control_tell_what_the_machine_hides(
    turns: bool, slowdown: float, outcome: str
) -> None:
    """Whole runs differ by 30%, which hides a query that takes 30% longer."""
    sides(slowdown=slowdown, turns=turns)

    without, with_control = compared(*GATE), compared(*GATE, "--control", "scan")

    assert without["outcome"] == "invalid"
    assert with_control["outcome"] == outcome
    scan, query = with_control["changes"]
    assert (scan["latency"]["is_control"], scan["latency"]["verdict"]) == (True, None)
    assert scan["capacity"]["verdict"] == "pass"
    assert (query["latency"]["control"], query["latency"]["verdict"]) == ("scan", outcome)
    assert query["latency"]["ratio"] == pytest.approx(slowdown, rel=0.05)


def test_a_control_that_nobody_has_is_refused() -> None:
    sides()

    assert refusal(*GATE, "--control", "scna") == (
        2,
        "no variant named 'scna' to serve as --control; there are scan, query",
    )


def test_a_question_takes_the_first_control_that_it_has() -> None:
    for number in range(6):
        save(
            run(number, variant("scan"), variant()),
            run(number, variant("phase-0"), variant("phase-3"), scenario="phases"),
            run(number, variant("a"), variant("b"), scenario="others"),
            folder=("base", "branch")[number % 2],
        )

    found = compared(*GATE, "--control", "phase-0", "--control", "scan")["changes"]

    assert {(each["variant"], each["latency"]["control"]) for each in found} == {
        ("scan", None),
        ("query", "scan"),
        ("phase-0", None),
        ("phase-3", "phase-0"),
        ("a", None),
        ("b", None),
    }


def test_a_control_that_fails_is_none() -> None:
    save(run(1, variant("scan", errors=1), variant()), run(3), folder="base")
    save(run(2, variant("scan", errors=1), variant()), run(4), folder="branch")

    found = compared(*GATE, "--control", "scan")

    assert found["changes"][0]["latency"]["reason"] == "the control scan is not in all runs"
    assert found["left_out"] == ["courses, scan: missing in some of the runs, so it is left out."]


def test_the_same_code_measured_later_on_a_busier_machine_is_no_regression() -> None:
    """Twelve earlier against twelve later runs, all a third slower: the load says why."""
    sides(count=12, turns=False, load=(0.05, 0.4), slowdown=1.36, machine=0.02)

    result = perfkit_compare(*GATE)

    assert isinstance(result.exception, PerfkitError)
    assert result.exception.exit_code == 3
    said = " ".join(result.stdout.split())
    assert "Load: other programs used 5% of the CPU before, 40% after." in said
    assert "Not measured in turns, so either side may lie off as a whole" in said
    # nor does a control help: a short call is slowed less than a long one
    assert compared(*GATE, "--control", "scan")["outcome"] == "invalid"


def test_load_that_differs_hits_both_sides_of_runs_in_turns() -> None:
    sides(slowdown=1.3, load=(0.1, 0.3))

    assert compared(*GATE, "--control", "scan")["outcome"] == "fail"
    said = " ".join(perfkit_compare(*GATE, "--control", "scan").stdout.split())
    assert "Load: other programs used 10% of the CPU before, 30% after." in said


def test_a_load_that_nobody_measured_is_said() -> None:
    sides(load=(None, 0.1))

    said = " ".join(perfkit_compare("base", "branch").stdout.split())
    assert "Load: how much of the CPU other programs used is not known." in said


def test_cautions_of_the_runs_are_counted_on_the_screen_and_listed_elsewhere() -> None:
    sides(count=2, doubts=(Doubt(DoubtKind.FEW_CALLS, "query: only 4 calls"),))

    screen, whole = (perfkit_compare("base", "branch", *more).stdout for more in ((), ("-v",)))

    assert "4 cautions in 4 runs: see -v." in screen
    assert "20260101T000000Z-courses-000000: query: only 4 calls" in whole
    assert len(compared("base", "branch")["cautions"]) == 4
    assert "only 4 calls" in perfkit_compare("base", "branch", "--format", "markdown").stdout


@pytest.mark.parametrize("width", [80, 120])
@pytest.mark.parametrize("gate", [(), ("--fail-on-regression", "10")])
def test_the_terminal_shows_one_screen_with_the_worst_on_it(
    gate: tuple[str, ...], width: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    names = [f"way-{number}" for number in range(40)]
    for number in range(10):
        late = number % 2
        save(
            run(
                number,
                *(
                    variant(name, at_s=0.02 if late and name == "way-39" else 0.01)
                    for name in names
                ),
                doubts=(
                    Doubt(DoubtKind.MACHINE, "a"),
                    Doubt(DoubtKind.MACHINE, "b"),
                    *(Doubt(DoubtKind.DATA, f"warning {each}") for each in range(9)),
                ),
            ),
            folder=("base", "branch")[late],
        )

    screen = perfkit_compare("base", "branch", *gate).stdout
    whole = perfkit_compare("base", "branch", *gate, "-v").stdout

    assert len(screen.splitlines()) <= 40
    assert screen.index("way-39") < screen.index("30 more rows, none of them worse: see -v.")
    assert "7 more doubts: see -v." in screen
    assert all(name in whole for name in names)
    assert "courses: warning 8" in whole
    assert "Side by side" in whole


def test_variants_of_one_side_are_named() -> None:
    save(run(1, variant(), variant("scan")), run(2, variant(), variant("get")))

    result = perfkit_compare(*TWO)

    assert "courses, scan: only in the baseline." in result.stdout
    assert "courses, get: only in the candidate." in result.stdout


def compared(*arguments: str) -> dict[str, Any]:
    found = json.loads(perfkit_compare(*arguments, "--json").stdout)["compare"]
    assert isinstance(found, dict)
    return found


@pytest.mark.parametrize("percent", ["0", "10", "1000"])
def test_calls_that_fail_where_none_did_are_a_regression(percent: str) -> None:
    """All nine calls of the query fail, and the rounds look as before."""
    save(run(1, variant("scan"), variant()), run(2, variant("scan"), variant(errors=9)))

    result = perfkit_compare(*TWO, "--fail-on-regression", percent)

    assert isinstance(result.exception, PerfkitError)
    assert (result.exception.exit_code, str(result.exception)) == (
        4,
        "courses, query: 9 of 9 calls failed, none before: a regression at any limit",
    )
    assert "Fail: regression: courses, query: 9 of 9 calls failed, none before." in result.stdout
    assert "fail: calls fail" in result.stdout


@pytest.mark.parametrize(("before", "code"), [(1, 3), (9, 3), (0, 4)])
def test_calls_that_failed_before_are_no_regression(before: int, code: int) -> None:
    save(
        run(1, variant("scan"), variant(errors=before)), run(2, variant("scan"), variant(errors=9))
    )

    error = perfkit_compare(*TWO, "--fail-on-regression", "10").exception

    assert getattr(error, "exit_code", 0) == code


def test_a_variant_that_is_gone_is_a_regression() -> None:
    save(run(1, variant("scan"), variant()), run(2, variant("scan")))

    result = perfkit_compare(*TWO, "--fail-on-regression", "10")

    assert isinstance(result.exception, PerfkitError)
    assert (result.exception.exit_code, str(result.exception)) == (
        4,
        "courses, query is gone: a regression at any limit",
    )
    assert "Fail: regression: courses, query is gone." in result.stdout


def test_a_variant_that_only_some_runs_lack_is_gone_from_these() -> None:
    save(run(1, variant("scan"), variant()), run(3, variant("scan"), variant()), folder="base")
    save(run(2, variant("scan"), variant()), run(4, variant("scan")), folder="branch")

    assert compared("base", "branch")["broken"] == ["courses, query is gone in 1 of 2 runs"]
    assert compared("branch", "base")["broken"] == []


def test_what_broke_is_said_without_a_threshold_too() -> None:
    save(
        run(1, variant("scan"), variant("get"), variant()),
        run(2, variant("scan"), variant("get", errors=2)),
    )

    result = perfkit_compare(*TWO)

    assert result.exit_code == 0
    assert (
        "Worse. courses, query is gone; courses, get: 2 of 9 calls failed, none before. Of 2"
        in " ".join(result.stdout.split())
    )
    assert "calls fail, none did before" in result.stdout


def test_an_index_that_came_or_went_is_said_first_with_what_the_best_form_takes() -> None:
    scan = variant("scan-filtered", capacity_units=172.0)
    save(run(1, scan), run(2, scan, variant(capacity_units=1.0)))

    for names, said in (
        (
            TWO,
            (
                "Better. courses: the best form took 172 RCU (scan-filtered) before and takes 1 RCU"
                " (query) now. Of 1 compared:"
            ),
        ),
        (
            reversed(TWO),
            (
                "Worse. courses: the best form took 1 RCU (query) before and takes 172 RCU"
                " (scan-filtered) now. Of 1 compared:"
            ),
        ),
    ):
        assert said in " ".join(perfkit_compare(*names).stdout.split())
    assert compared(*TWO)["best"] == [
        {
            "scenario": "courses",
            "baseline": {"variant": "scan-filtered", "capacity_units": 172.0},
            "candidate": {"variant": "query", "capacity_units": 1.0},
        }
    ]
    # the gate is what it was
    assert compared(*reversed(TWO), "--only", "rcu")["broken"] == ["courses, query is gone"]


def test_a_side_that_was_held_below_a_rate_supports_no_word_on_latency() -> None:
    paced = Doubt(DoubtKind.PACED, "held below 5 RCU/s: latencies are those of calls once sent")
    save(run(1), run(2, variant(at_s=0.1), doubts=(paced,)))

    said = " ".join(perfkit_compare(*TWO).stdout.split())

    assert "It cannot be told whether anything changed." in said
    assert "Not held below a rate before, held below 5 RCU/s after, so latencies are no" in said
    assert "Next: measure both sides with the same --max-rcu, or both without" in said
    result = perfkit_compare(*TWO, "--fail-on-regression", "10")
    assert isinstance(result.exception, PerfkitError)
    assert result.exception.exit_code == 3


def test_a_new_variant_is_no_regression() -> None:
    save(run(1, variant()), run(2, variant(), variant("get")))

    found = compared(*TWO, "--fail-on-regression", "0")

    assert (found["regressions"], found["broken"]) == ([], [])


def test_an_unreadable_file_of_a_folder_is_named() -> None:
    in_turns(1.0)
    Path("branch/half.json").write_text('{"format": 1')

    assert "run file branch/half.json is cut short" in perfkit_compare("base", "branch").stdout


def test_an_empty_folder_is_refused() -> None:
    Path("empty").mkdir()

    assert refusal("empty", "empty")[1].startswith("no runs in the folder empty;")


@pytest.mark.parametrize(
    ("name", "beginning"),
    [
        ("c.md", "# perfkit compare: courses\\~1 → courses\n\n- No significant change."),
        ("c.txt", "perfkit compare: courses~1 → courses\n===="),
        ("c.html", "<!doctype html>"),
        ("c.csv", "baseline,candidate,scenario,workload,target,question,variant,p50_baseline_s"),
        ("c.json", '{\n  "format": 1,'),
    ],
)
def test_every_format_goes_to_a_file(name: str, beginning: str) -> None:
    save(run(1), run(2))

    result = perfkit_compare(*TWO, "--output", name)

    assert (result.exit_code, result.stdout) == (0, "")
    assert Path(name).read_text().lower().startswith(beginning.lower())


def test_the_report_is_written_before_the_command_fails() -> None:
    save(run(1), run(2, variant(at_s=0.05)))

    perfkit_compare(*TWO, "--fail-on-regression", "10", "--format", "csv", "--output", "tables")

    rows = list(csv.DictReader(Path("tables/changes.csv").read_text().splitlines()))
    assert [row["regression"] for row in rows] == ["true"]


def test_a_name_stays_text() -> None:
    save(
        run(1, variant("<script>alert(1)</script>")),
        run(2, variant("<script>alert(1)</script>")),
    )

    assert "<script>alert(1)" not in perfkit_compare(*TWO, "--format", "html").stdout
    assert "<script>" not in perfkit_compare(*TWO, "--format", "markdown").stdout


def test_a_run_without_variants_is_said() -> None:
    save(replace(run(1), variants=()), replace(run(2), variants=()))

    assert "courses: its runs hold no variants." in perfkit_compare(*TWO).stdout


def writes(number: int, times: float = 1.0, *, other: float = 1.0) -> Run:
    """An index-cost run: a table, an index as the workload has it, and one that nobody has."""
    costs = tuple(
        WriteCost(
            table="T",
            index=index,
            units={"insert": 2.0 * by, "unchanged": 0.0, "update": 1.0},
            entry_bytes=1500.0,
            items=10,
            projection=projection,
            declared=declared,
        )
        for index, projection, declared, by in (
            (None, "", True, times),
            ("ByDate", "ALL", True, 1.0),
            ("ByDate", "KEYS_ONLY", False, other),
        )
    )
    found = run(number, kind="index-cost", scenario="index-cost", write_costs=costs)
    return replace(found, variants=())


WRITES = ("index-cost~1", "index-cost")


@pytest.mark.parametrize(
    ("times", "percent", "code"),
    [(3.0, "10", 4), (3.0, "200", 4), (3.0, "201", 0), (1.0, "0", 0), (0.5, "0", 0)],
)
def test_write_units_are_counted_and_held_against_the_limit(
    times: float, percent: str, code: int
) -> None:
    """An insert into the table takes 2 units and then 6: 200% more."""
    save(writes(1), writes(2, times))

    error = perfkit_compare(*WRITES, "--fail-on-regression", percent).exception

    assert (getattr(error, "exit_code", 0) if error else 0) == code
    if code:
        assert str(error).startswith("index-cost, T: insert 2 → 6 write units: at or above")


@pytest.mark.parametrize(
    ("times", "said"),
    [
        (3.0, "Worse. Write units of 2 tables and indexes compared: 1 take more."),
        (0.5, "Better. Write units of 2 tables and indexes compared: 1 take less."),
        (1.0, "No significant change. Write units of 2 tables and indexes compared: the same."),
    ],
)
def test_write_units_have_a_verdict_and_a_table_in_every_format(times: float, said: str) -> None:
    save(writes(1), writes(2, times))

    assert compared(*WRITES)["summary"] == said
    assert compared(*WRITES)["write_costs"][0]["units"]["insert"]["candidate"] == 2 * times
    for name in ("terminal", "markdown", "html"):
        text = perfkit_compare(*WRITES, "--format", name, "-v").stdout
        assert "(the table itself)" in text
        assert times == 1 or f"2 → {2 * times:g}" in text
    perfkit_compare(*WRITES, "--format", "csv", "--output", "tables")
    rows = list(csv.DictReader(Path("tables/write-costs.csv").read_text().splitlines()))
    assert [float(row["insert_candidate"]) for row in rows] == [2 * times, 2, 2]


def test_a_projection_that_nobody_has_is_no_regression() -> None:
    save(writes(1), writes(2, other=3.0))

    result = perfkit_compare(*WRITES, "--fail-on-regression", "0")

    assert result.exit_code == 0
    assert "2 → 6" in result.stdout
    assert (
        "regression"
        not in result.stdout.partition("Write units of one write")[2].partition("¹ ")[0]
    )
