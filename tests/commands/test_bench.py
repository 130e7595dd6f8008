"""`perfkit bench` from the outside: what it prints where, what it saves, what it refuses."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto import mock_aws
from typer.testing import CliRunner, Result

from perfkit.cli import app
from perfkit.runs import RunStore
from perfkit.scenarios.access_pattern import AccessPatternScenario

RUNS = Path(".perfkit/runs")


@pytest.fixture(scope="module")
def data(courses_data: Callable[..., Path]) -> Path:
    """Return a data file with a fiftieth of the courses workload and its indexes."""
    return courses_data(0.02)


def bench(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, ["bench", *map(str, arguments)])


def test_json_is_one_document_with_the_runs_and_nothing_else(data: Path) -> None:
    result = bench("--scenario", "profile", "--iterations", "2", "--json", "--data", data)

    assert (result.exit_code, result.stderr) == (0, "Measuring profile (1 of 1)\n")
    document = json.loads(result.stdout)
    (run,) = document["runs"]
    assert run["scenario"] == "profile"
    assert [variant["calls"] for variant in run["variants"]] == [2, 2, 2, 2]


def test_figures_are_printed_and_saved(data: Path) -> None:
    result = bench("--scenario", "courses", "--iterations", "2", "--data", data)

    assert (result.exit_code, result.stderr) == (0, "Measuring courses (1 of 1)\n")
    assert "query" in result.stdout
    (run,) = RunStore(RUNS).list().runs
    assert result.stdout.startswith(
        "courses: access pattern courses, 200 items, embedded DynamoDB, "
    )
    assert [variant.name for variant in run.variants][-1] == "query"


def test_verbose_prints_the_whole_report(data: Path) -> None:
    result = bench("--scenario", "courses", "--iterations", "2", "-v", "--data", data)

    (run,) = RunStore(RUNS).list().runs
    assert run.id in result.stdout
    assert "Machine and versions" in result.stdout


def test_all_scenarios_are_measured_when_none_is_named(data: Path) -> None:
    result = bench("--iterations", "1", "--data", data)

    assert result.exit_code == 0
    assert {run.scenario for run in RunStore(RUNS).list().runs} == {
        "courses", "instructor", "enrollments", "roster", "profile",
    }  # fmt: skip


def test_time_options_reach_the_plan(data: Path) -> None:
    bench("--scenario", "profile", "--min-time", "0.05", "--consistent", "--segments", "3",
          "--data", data)  # fmt: skip

    (run,) = RunStore(RUNS).list().runs
    assert run.settings["min_time_s"] == 0.05
    assert run.settings["iterations"] is None
    assert run.settings["consistent"] is True
    assert run.settings["segments"] == 3


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["--scenario", "nope"], 2, "no scenario named 'nope'"),
        (["--iterations", "3", "--min-time", "1"], 2, "--iterations and --min-time contradict"),
        (["--min-time", "-3"], 2, "--min-time must be above 0 s and at most 86,400 s, got -3"),
        (["--segments", "1"], 2, "--segments must be 2 to 64, got 1"),
        (["--iterations", "0"], 2, "--iterations"),
        (["--workload", "missing.toml"], 2, "missing.toml"),
        (["--target", "nonsense"], 2, "no target 'nonsense'"),
        (["--scenario", "courses"], 3, "perfkit seed"),
    ],
)
def test_a_wrong_request_is_one_line_and_an_exit_code(
    arguments: list[str], code: int, said: str
) -> None:
    result = bench(*arguments)

    assert result.exit_code == code
    assert said in " ".join(result.stderr.split())
    assert result.stdout == ""
    assert "Traceback" not in result.stderr


def test_a_run_folder_in_the_way_is_noticed_before_measuring(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stop_at("courses", AssertionError("it was measured"), monkeypatch)
    RUNS.parent.mkdir()
    RUNS.write_text("in the way")

    result = bench("--scenario", "courses", "--data", data)

    assert result.exit_code == 2
    assert "cannot save runs in .perfkit/runs" in result.stderr


@pytest.mark.processes
def test_an_endpoint_where_nothing_listens_is_a_target_that_fails(
    free_port: Callable[[], int],
) -> None:
    result = bench("--target", f"http://127.0.0.1:{free_port()}")

    assert result.exit_code == 3
    assert "is it running?" in result.stderr


def stop_at(name: str, error: BaseException, monkeypatch: pytest.MonkeyPatch) -> None:
    measure = AccessPatternScenario.measure

    def stop(scenario: AccessPatternScenario, context: Any) -> Any:
        if scenario.name == name:
            raise error
        return measure(scenario, context)

    monkeypatch.setattr(AccessPatternScenario, "measure", stop)


def test_an_interrupt_keeps_what_was_finished(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stop_at("roster", KeyboardInterrupt(), monkeypatch)

    result = bench("--iterations", "1", "--data", data, "--max-cost", "1")

    assert result.exit_code == 130
    # three patterns' worth, whatever it was
    assert "read and 0.0 write units, $" in result.stderr
    assert "3 of 5 scenarios were measured and are saved; `perfkit report`" in result.stderr
    assert len(RunStore(RUNS).list().runs) == 3


def test_a_failure_keeps_what_was_finished(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from perfkit.errors import TargetError

    stop_at("instructor", TargetError("the target went away"), monkeypatch)

    result = bench("--iterations", "1", "--data", data)

    assert result.exit_code == 3
    assert "1 of 5 scenarios were measured" in result.stderr
    assert "Error: the target went away" in result.stderr


@pytest.fixture
def account(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An account as moto plays it, with the Users table; it answers constants for capacity."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    with mock_aws():
        client = boto3.client("dynamodb", region_name="us-east-1")
        client.create_table(
            TableName="Users",
            KeySchema=[{"AttributeName": "user_id", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "user_id", "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
        )
        for number in range(100, 160):
            item = {"user_id": {"S": f"student{number}"}, "about": {"S": "x" * 1000}}
            client.put_item(TableName="Users", Item=item)
        yield


AWS = ("--target", "aws", "--region", "us-east-1", "--scenario", "profile", "--iterations", "2")


@pytest.mark.usefixtures("account")
def test_an_account_is_not_scanned_without_a_yes() -> None:
    result = bench(*AWS)

    assert result.exit_code == 2
    assert "read all of Users in 3 ways" in result.stderr
    assert "Roughly $" in result.stderr
    assert "add --yes" in result.stderr
    assert not RunStore(RUNS).list().runs


@pytest.mark.usefixtures("account")
def test_a_cost_limit_holds_even_with_a_yes() -> None:
    result = bench(*AWS, "--yes", "--max-cost", "0.00001")

    assert result.exit_code == 2
    assert "more than --max-cost" in result.stderr


@pytest.mark.usefixtures("account")
def test_capacity_that_moto_makes_up_is_doubted() -> None:
    result = bench(*AWS, "--yes")

    assert result.exit_code == 0
    (run,) = RunStore(RUNS).list().runs
    assert run.target == {"kind": "aws", "region": "us-east-1"}
    assert run.variants[0].capacity_source == "aws"
    assert run.variants[0].bytes_read is None
    assert any("which DynamoDB bills as" in warning.reason for warning in run.warnings)
    assert not any("embedded engine" in warning.reason for warning in run.warnings)


def test_traffic_without_the_scenario_that_takes_it_is_refused(data: Path) -> None:
    result = bench("--scenario", "courses", "--hour", "rate=1", "--data", data)

    assert result.exit_code == 2
    assert "--hour changes cache-hour only" in str(result.exception) + result.stderr
    assert not RUNS.exists()


def test_the_old_name_of_an_option_is_refused_with_the_new_one(data: Path) -> None:
    result = bench("--scenario", "cache-hour", "--traffic", "rate=1", "--data", data)

    assert result.exit_code == 2
    assert "is called --hour now; give --hour rate=1" in str(result.exception) + result.stderr


BUDGET = """
name = "budget"
description = "Courses that are there, and what asking for them may take"

[tables.Courses]
partition_key = { name = "course_id", type = "S" }

[tables.Courses.indexes]
CoursesBySemester = { partition_key = { name = "semester_id", type = "S" }, sort_key = { name = "department_id", type = "S" }, exists = true }

[patterns.courses]
description = "Courses of a semester and department"
table = "Courses"
parameters = { semester = "1", department = "CS" }
query.index = "CoursesBySemester"
query.key_condition = "semester_id = :semester AND department_id = :department"
max_rcu = 6.5
"""


def test_a_pattern_beyond_its_budget_is_exit_code_4_once_it_is_saved(data: Path) -> None:
    kept, broken = Path("kept.toml"), Path("broken.toml")
    kept.write_text(BUDGET)
    broken.write_text(BUDGET.replace("6.5", "6"))

    within = bench("--workload", kept, "--iterations", "2", "--data", data)
    beyond = bench("--workload", broken, "--iterations", "2", "--data", data)

    assert within.exit_code == 0
    assert "max_rcu" not in within.stderr
    assert beyond.exit_code == 4
    assert "courses: query takes 6.5 RCU a call, and max_rcu is 6" in beyond.stderr
    assert len(RunStore(RUNS).list().runs) == 2
