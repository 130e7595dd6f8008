"""`perfkit clean` from the outside: it lists, asks, and removes nothing that is not perfkit's."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import typer
from inline_snapshot import snapshot
from moto import mock_aws
from typer.testing import CliRunner, Result

from perfkit.commands.clean import clean
from perfkit.commands.options import request_prices
from perfkit.commands.seed import seed
from perfkit.dynamodb.targets import Target, TargetKind
from perfkit.errors import ConfigError, PerfkitError
from perfkit.runs import RunStore

APP = typer.Typer()
for command in (seed, clean):
    APP.command()(command)

SAVED = RunStore(Path(__file__).parents[1] / "report" / "runs")

FOREIGN = {
    "TableName": "Mine",
    "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}],
    "AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "S"}],
    "BillingMode": "PAY_PER_REQUEST",
}


def perfkit(*arguments: str) -> Result:
    return CliRunner().invoke(APP, list(arguments))


@pytest.fixture
def _seeded(copy_courses: Callable[..., Path]) -> None:
    copy_courses(Target().data, 0.02, indexed=False)


def ask(operation: str, request: dict[str, Any], target: Target | None = None) -> dict[str, Any]:
    connection = (target or Target()).connect()
    try:
        return connection.execute(operation, request)
    finally:
        connection.close()


@pytest.mark.usefixtures("_seeded")
def test_it_lists_and_asks_before_it_removes(tmp_path: Path) -> None:
    result = perfkit("clean")

    assert isinstance(result.exception, ConfigError)
    assert "add --yes" in str(result.exception)
    assert "  - table Courses with 200 items\n" in result.stderr
    assert (tmp_path / ".perfkit" / "dynamodb.sqlite3").exists()


@pytest.mark.usefixtures("_seeded")
def test_no_at_the_terminal_removes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "perfkit.commands.clean.make_permission", lambda **_: _permission(lambda _: False)
    )

    result = perfkit("clean")

    assert result.exit_code == 1
    assert result.stderr.endswith("Nothing was removed.\n")
    assert (tmp_path / ".perfkit" / "dynamodb.sqlite3").exists()


def _permission(answer: Any) -> Any:
    from perfkit.dynamodb.safety import Permission

    return Permission(prices=request_prices, ask=answer)


@pytest.mark.usefixtures("_seeded")
def test_tables_go_with_their_file_and_runs_stay(tmp_path: Path) -> None:
    run = tmp_path / ".perfkit" / "runs" / "one.json"
    run.parent.mkdir()
    run.write_text("{}")

    result = perfkit("clean", "--yes")

    removed = [line.partition(" (")[0] for line in result.stdout.splitlines()]
    assert removed == snapshot(
        [
            "Removed table Courses with 200 items",
            "Removed table Enrollments with 1,000 items",
            "Removed table Users with 123 items",
            "Removed data file .perfkit/dynamodb.sqlite3",
        ]
    )
    assert list((tmp_path / ".perfkit").rglob("*")) == [run.parent, run]


def test_runs_go_when_asked_for_and_nothing_else(tmp_path: Path) -> None:
    folder = tmp_path / ".perfkit" / "runs"
    whole = RunStore(folder).save(SAVED.list().runs[0])
    cut = folder / "cut.json"
    cut.write_bytes(whole.read_bytes()[:300])
    others = [folder / "notes.json", folder / "list.json"]
    others[0].write_text('{"format": 1, "by": "somebody"}')
    others[1].write_text("[1, 2]")

    page, journal = (
        tmp_path / ".perfkit/report.html",
        tmp_path / ".perfkit/migrations/journal.jsonl",
    )
    page.write_text("<html>")
    journal.parent.mkdir()
    journal.write_text("{}")

    result = perfkit("clean", "--runs", "--yes")

    assert (
        result.stdout
        == "Removed 2 saved runs in .perfkit/runs\nRemoved page .perfkit/report.html\n"
    )
    assert "What stays in .perfkit: migrations (the record of who made which index), runs" in (
        result.stderr
    )
    assert not page.exists()
    assert journal.exists()
    assert (
        "What stays in .perfkit/runs, because it cannot be read as a run: 2 files." in result.stderr
    )
    assert sorted(folder.iterdir()) == sorted(others)


@pytest.mark.usefixtures("_seeded")
def test_tables_of_somebody_else_stay_and_keep_the_file() -> None:
    ask("CreateTable", FOREIGN)

    result = perfkit("clean", "--yes")

    assert "Table Mine stays" in result.stderr
    assert ask("ListTables", {}) == {"TableNames": ["Mine"]}


def test_nothing_to_remove_is_said_and_makes_nothing(tmp_path: Path) -> None:
    result = perfkit("clean")

    assert (result.exit_code, result.stdout) == (0, "Nothing to remove.\n")
    assert not (tmp_path / ".perfkit").exists()


def test_a_file_that_is_not_ours_is_not_removed(tmp_path: Path) -> None:
    file = tmp_path / "thesis.txt"
    file.write_text("years of work " * 100)

    result = perfkit("clean", "--yes", "--data", str(file))

    assert isinstance(result.exception, PerfkitError)
    assert file.exists()


@mock_aws
def test_on_aws_only_tagged_tables_of_the_workload_are_deleted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "mine")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    aws = Target(kind=TargetKind.AWS)
    ask("CreateTable", FOREIGN, aws)
    arguments = ("--target", "aws", "--yes", "--table", "Courses", "--scale", "0.01")
    assert perfkit("seed", "--processes", "1", *arguments).exit_code == 0

    result = perfkit("clean", "--target", "aws", "--yes")

    assert result.stdout == "Removed table Courses with 101 items\n"
    assert ask("ListTables", {}, aws)["TableNames"] == ["Mine"]


def test_a_table_of_the_workload_that_is_somebody_elses_stops_it() -> None:
    assert (
        perfkit("seed", "--processes", "1", "--scale", "0.01", "--table", "Courses").exit_code == 0
    )
    ask("CreateTable", FOREIGN | {"TableName": "Users"})

    result = perfkit("clean", "--yes")

    assert isinstance(result.exception, ConfigError)
    assert str(result.exception).startswith("table Users in the embedded engine")
    assert "  - table Users, which perfkit did not create\n" in result.stderr
    assert ask("ListTables", {}) == {"TableNames": ["Courses", "Users"]}
