"""`perfkit fleet`: what it makes of saved load tests, and of requests that cannot be right."""

import json
import re
from collections.abc import Callable
from dataclasses import replace

import pytest
from typer.testing import CliRunner

from perfkit.cli import app
from perfkit.runs import LoadStage, Run, RunStore
from perfkit.settings import RUNS_FOLDER

MakeRun = Callable[..., Run]


def fleet(*arguments: str) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, ["fleet", *arguments])
    return result.exit_code, result.stdout, result.stderr


@pytest.fixture
def saved(make_load_run: MakeRun) -> None:
    """Save a test of phase 0 that is as busy as can be, and one of phase 3 that is not."""
    store = RunStore(RUNS_FOLDER)
    # 0.99 of a core at 9 requests a second is 110 ms each
    store.save(make_load_run(0, cores=[0.99] * 60, rate_hz=9.0, p95_s=5.0, errors=120))
    store.save(make_load_run(3))


@pytest.mark.usefixtures("saved")
def test_both_sides_stand_in_one_document() -> None:
    code, output, _ = fleet("--rate", "400", "--p95", "200ms", "--json")

    document = json.loads(output)
    before, after = document["sides"]["before"], document["sides"]["after"]
    assert code == 0
    # 400/s of 110 ms are 44 vCPU, of 0.2 each
    assert (before["instances"], before["p95_kept"], before["bursting"]) == (220, False, None)
    assert (after["instances"], after["p95_kept"]) == (4, True)
    assert after["bursting"] == {"instances": 1, "lasts_s": pytest.approx(28_800)}
    # 0.99 / 0.5 instances are wanted before, and after it is at its target
    sizes = [(each["before"], each["after"]) for each in before["scaling"]["events"]]
    assert (sizes, after["scaling"]["stable"]) == ([(1, 2)], True)
    assert (before["provenance"], document["missing"]) == ("modelled", [])
    assert before["measured"]["failed_share"] == 0.12


@pytest.mark.usefixtures("saved")
def test_one_screen_says_what_is_modelled_and_what_is_doubtful() -> None:
    code, output, _ = fleet("--rate", "400")

    assert code == 0
    assert "t3.micro for 400 requests/s around the clock, p95 below 200 ms" in output
    assert "≈ marks figures modelled by a formula" in output
    flat = " ".join(output.split())
    assert "before: no load test of it kept p95 below 200 ms, 5.00 s in this one" in flat
    assert "before: 12% of the requests failed" in flat
    assert "The embedded engine works in the service's own processes" in flat
    assert "÷" not in output


@pytest.mark.usefixtures("saved")
def test_verbose_shows_how_it_came_about() -> None:
    _, output, _ = fleet("--rate", "400", "-v")

    flat = " ".join(output.split())
    assert "12 credits an hour ÷ 60 = 0.2 vCPU for good, of 2" in flat
    assert "17,280 ÷ (0.8 - 0.2) = 28,800 s" in flat
    assert "minute 3: 1 → 2 instances at 99% CPU" in flat
    assert "It grows after 3 one-minute datapoints above 50%" in flat
    assert "Amazon EC2 Auto Scaling User Guide" in flat


@pytest.mark.usefixtures("saved")
def test_type_region_and_policy_are_those_that_are_asked_for() -> None:
    """
    A t4g.micro has the same credits and costs $0.0092 in eu-west-1: four are $26.86 a month.

    0.99 instances' worth of work on two is 49.5%, so 0.99 / 0.4 are wanted, three; half is 25%.
    """
    _, output, _ = fleet(
        *("--rate", "400", "--instance", "t4g.micro", "--region", "eu-west-1"),
        *("--target-cpu", "40", "--min", "2", "--max", "3", "--json"),
    )

    sides = json.loads(output)["sides"]
    assert sides["after"]["usd_a_month"] == pytest.approx(26.864)
    sizes = [(each["scaling"]["start"], each["scaling"]["end"]) for each in sides.values()]
    assert sizes == [(2, 3), (2, 2)]


def test_what_is_missing_comes_with_the_command(make_load_run: MakeRun) -> None:
    like_aws = {"kind": "embedded", "modelled": {"throughput": "enforced"}}
    RunStore(RUNS_FOLDER).save(make_load_run(3, target=like_aws))

    code, output, _ = fleet("--rate", "400")

    assert code == 0
    assert "before: `perfkit load --phase 0 --duration 5m --like-aws`" in output


def test_few_requests_are_no_mean(make_load_run: MakeRun) -> None:
    RunStore(RUNS_FOLDER).save(make_load_run(0, rate_hz=1.0))

    _, output, _ = fleet("--rate", "400")

    assert "before: only 60 requests ended while it was measured" in " ".join(output.split())


def test_runs_can_be_named(make_load_run: MakeRun) -> None:
    store = RunStore(RUNS_FOLDER)
    for phase in (1, 2, 3):
        store.save(make_load_run(phase))

    _, output, _ = fleet("--rate", "9", "--before", "load-2", "--after", "load", "--json")

    sides = json.loads(output)["sides"]
    assert [side["measured"]["run"] for side in sides.values()] == ["load-2", "load-3"]


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        pytest.param(["--rate", "0"], 2, "--rate 0 is out of range", id="no rate"),
        pytest.param(["--rate", "nan"], 2, "--rate nan is out of range", id="no number"),
        pytest.param(["--rate", "1", "--p95", "soon"], 2, "is no duration", id="no limit"),
        pytest.param(["--rate", "1", "--target-cpu", "0"], 2, "--target-cpu 0", id="no CPU"),
        pytest.param(["--rate", "1", "--min", "5", "--max", "2"], 2, "at most 2", id="max < min"),
        pytest.param(["--rate", "1", "--instance", "t3.micr"], 2, "'t3.micro'", id="no such type"),
        pytest.param(["--rate", "1", "--before", "x"], 2, "no run 'x'", id="no such run"),
        pytest.param(["--rate", "1", "--region", "mars"], 2, "mars", id="no such region"),
        pytest.param(
            ["--rate", "1"],
            3,
            "`perfkit load --phase 0` and `perfkit load --phase 3`",
            id="nothing",
        ),
    ],
)
def test_what_cannot_be_answered_is_one_clear_line(
    arguments: list[str], code: int, words: str
) -> None:
    found, _, errors = fleet(*arguments)

    assert found == code
    assert errors.startswith("Error: ")
    assert errors.count("\n") == 1
    assert words in errors


def test_a_load_test_that_is_not_there_is_measured_by_load(make_load_run: MakeRun) -> None:
    RunStore(RUNS_FOLDER).save(make_load_run(3))

    code, _, errors = fleet("--rate", "400", "--before", "load~1")

    assert code == 2
    assert "1 run is saved of scenario load" in errors
    assert "measure again with `perfkit load --phase 3`" in errors


def of_another_service(run: Run) -> Run:
    assert run.load_test is not None
    settings = replace(
        run.load_test.settings, phase=None, urls=("http://127.0.0.1:1",), mix_file="a mix.toml"
    )
    return replace(run, load_test=replace(run.load_test, settings=settings))


def test_one_of_another_service_is_measured_with_its_mix(make_load_run: MakeRun) -> None:
    RunStore(RUNS_FOLDER).save(of_another_service(make_load_run(3)))

    _, _, errors = fleet("--rate", "400", "--before", "load~1")

    assert "with `perfkit load --url http://127.0.0.1:1 --mix 'a mix.toml'`" in errors


def test_load_tests_of_another_service_are_to_be_named(make_load_run: MakeRun) -> None:
    """The newest says nothing of processors, so it is none of the two."""
    store = RunStore(RUNS_FOLDER)
    for number, cores in enumerate(((0.5,) * 60, (0.5,) * 60, ())):
        store.save(of_another_service(make_load_run(number, cores=cores)))

    code, _, errors = fleet("--rate", "50")

    assert code == 3
    assert "is of the reference service; name others with" in errors
    found = re.search("`(--before load~2 --after load~1)`", errors)
    assert found, errors
    assert fleet("--rate", "50", *found[1].split())[0] == 0


def test_a_demo_alone_says_that_the_service_was_changed(make_load_run: MakeRun) -> None:
    run = make_load_run(3)
    assert run.load_test is not None
    stage = LoadStage(name="phase 0", start_s=0.0, end_s=1.0)
    test = replace(
        run.load_test, stages=(stage,), settings=replace(run.load_test.settings, phase=None)
    )
    RunStore(RUNS_FOLDER).save(replace(run, scenario="migrate-demo", load_test=test))

    code, _, errors = fleet("--rate", "50")

    assert code == 3
    assert "with nothing changed meanwhile, as `perfkit migrate demo` changes it" in errors
