"""`perfkit create-indexes` and `perfkit drop-indexes` from the outside."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import typer
from inline_snapshot import snapshot
from moto import mock_aws
from typer.testing import CliRunner, Result

from perfkit.commands.create_indexes import create_indexes
from perfkit.commands.drop_indexes import drop_indexes
from perfkit.commands.seed import seed
from perfkit.dynamodb import indexes
from perfkit.dynamodb.targets import Target
from perfkit.errors import ConfigError, PerfkitError

APP = typer.Typer()
for command in (seed, create_indexes, drop_indexes):
    APP.command()(command)


def perfkit(*arguments: str) -> Result:
    return CliRunner().invoke(APP, list(arguments))


@pytest.fixture
def _seeded(copy_courses: Callable[..., Path]) -> None:
    copy_courses(Target().data, 0.02, indexed=False)


def refusal(*arguments: str) -> tuple[int, str]:
    result = perfkit(*arguments)
    assert isinstance(result.exception, PerfkitError), result.output
    return result.exception.exit_code, str(result.exception)


@pytest.mark.usefixtures("_seeded")
def test_a_dry_run_shows_the_plan_and_changes_nothing() -> None:
    first = perfkit("create-indexes", "--dry-run")
    second = perfkit("create-indexes", "--dry-run")

    assert first.stdout == second.stdout
    assert (first.exit_code, first.stderr) == (0, "")
    assert first.stdout == snapshot("""\
Indexes
index                table        keys                        projection  state    items to copy¹  est. WCU  est. size
----------------------------------------------------------------------------------------------------------------------
CoursesBySemester    Courses      semester_id, department_id  ALL         missing             200       200     225 kB
CoursesByInstructor  Courses      instructor_id, course_id    ALL         missing             200       200     225 kB
EnrollmentsByUser    Enrollments  user_id, enrolled_at        ALL         missing           1,000     1,000    1.12 MB
EnrollmentsByCourse  Enrollments  course_id, enrolled_at      ALL         missing           1,000     1,000    1.12 MB

¹ Estimated from a sample of the workload's items.
""")


@pytest.mark.usefixtures("_seeded")
def test_what_is_created_is_said_and_what_was_there() -> None:
    one = perfkit("create-indexes", "--index", "CoursesBySemester")
    rest = perfkit("create-indexes")

    assert re.search(r"^Created, and active after .*: CoursesBySemester$", one.stdout, re.MULTILINE)
    assert "Already there: CoursesBySemester\n" in rest.stdout
    assert rest.stdout.count("missing") == 3


@pytest.mark.usefixtures("_seeded")
def test_without_waiting_the_rest_is_named() -> None:
    result = perfkit("create-indexes", "--no-wait")

    assert "Under way (`perfkit status` shows how far): CoursesBySemester, Enr" in result.stdout
    assert "Not started yet" in result.stdout


@pytest.mark.usefixtures("_seeded")
def test_json_is_one_document_and_nothing_else() -> None:
    result = perfkit("create-indexes", "--index", "CoursesBySemester", "--json")

    document = json.loads(result.stdout)
    assert document.pop("elapsed_s") > 0
    assert document == snapshot(
        {
            "target": {"kind": "embedded"},
            "dry_run": False,
            "indexes": [
                {
                    "table": "Courses",
                    "name": "CoursesBySemester",
                    "keys": ["semester_id", "department_id"],
                    "projection": "ALL",
                    "non_key_attributes": [],
                    "state_before": "missing",
                    "difference": "",
                    "change": "created",
                    "items": 200,
                    "items_that_belong": 200,
                    "entries": 200,
                    "shortfall": "",
                    "items_to_copy": 200,
                    "estimated_write_units": 200.0,
                    "estimated_storage_bytes": 224800,
                }
            ],
        }
    )


@pytest.mark.usefixtures("_seeded")
def test_an_index_that_differs_ends_with_an_error_after_the_others_are_made() -> None:
    connection = Target().connect()
    connection.execute(
        "UpdateTable",
        {
            "TableName": "Courses",
            "AttributeDefinitions": [{"AttributeName": "title", "AttributeType": "S"}],
            "GlobalSecondaryIndexUpdates": [
                {
                    "Create": {
                        "IndexName": "CoursesBySemester",
                        "KeySchema": [{"AttributeName": "title", "KeyType": "HASH"}],
                        "Projection": {"ProjectionType": "ALL"},
                    }
                }
            ],
        },
    )
    connection.close()

    exit_code, message = refusal("create-indexes")

    assert exit_code == 2
    assert message == snapshot(
        "index CoursesBySemester of Courses exists and differs: its key is title (S), the workload wants semester_id (S), department_id (S). It was left as it is: give the workload's index a new name and create that, switch the service to it, and remove the old one only when nothing reads it any more"
    )
    changes = json.loads(perfkit("create-indexes", "--dry-run", "--json").stdout)["indexes"]
    assert [each["state_before"] for each in changes] == ["different", *["active"] * 3]


def test_without_tables_the_way_is_shown_and_no_file_made(tmp_path: Any) -> None:
    assert refusal("create-indexes") == (
        3,
        (
            "table Courses does not exist in the embedded engine (.perfkit/dynamodb.sqlite3); run"
            " `perfkit seed` first"
        ),
    )
    assert refusal("drop-indexes")[0] == 3
    assert not (tmp_path / ".perfkit").exists()


@pytest.mark.usefixtures("_seeded")
def test_dropping_undoes_creating() -> None:
    perfkit("create-indexes")

    one = perfkit("drop-indexes", "--index", "CoursesBySemester")
    rest = perfkit("drop-indexes", "--json")

    assert one.stdout == "Dropped: CoursesBySemester\n"
    assert [each["change"] for each in json.loads(rest.stdout)["indexes"]] == [
        "not there",
        *["dropped"] * 3,
    ]


@pytest.mark.usefixtures("_seeded")
@pytest.mark.parametrize("command", ["create-indexes", "drop-indexes"])
def test_ctrl_c_says_how_to_continue(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: Any, **__: Any) -> Any:
        raise KeyboardInterrupt

    monkeypatch.setattr(indexes, "apply", interrupted)

    result = perfkit(command)

    assert result.exit_code == 130
    assert "\nInterrupted: what was begun " in f"\n{result.stderr}"


@pytest.fixture
def _aws(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "mine")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Poll moto without waiting as long as AWS takes."""
    apply: Any = indexes.apply
    monkeypatch.setattr(
        indexes, "apply", lambda *a, **options: apply(*a, **options, pause=lambda _: None)
    )


AWS = ("--target", "aws", "--yes")


@mock_aws
@pytest.mark.usefixtures("_aws", "quick")
def test_an_account_is_changed_with_yes_only() -> None:
    assert perfkit("seed", "--processes", "1", "--scale", "0.002", *AWS).exit_code == 0

    assert refusal("create-indexes", "--target", "aws")[0] == 2
    assert perfkit("create-indexes", *AWS, "--max-cost", "1").exit_code == 0
    assert refusal("drop-indexes", "--target", "aws")[0] == 2
    dropped = perfkit("drop-indexes", *AWS)

    assert dropped.exit_code == 0
    assert "  - drop index CoursesBySemester of table Courses\n" in dropped.stderr


@pytest.mark.usefixtures("_seeded")
def test_indexes_of_a_table_without_the_mark_are_left_alone() -> None:
    assert perfkit("create-indexes", "--index", "CoursesBySemester").exit_code == 0
    connection = Target().connect()
    table = connection.execute("DescribeTable", {"TableName": "Courses"})["Table"]
    gone = {"ResourceArn": table["TableArn"], "TagKeys": ["created-by"]}
    connection.execute("UntagResource", gone)

    dropping = perfkit("drop-indexes")
    creating = perfkit("create-indexes", "--yes")

    assert "drop index CoursesBySemester of table Courses, which perfkit did not" in dropping.stderr
    assert "items to copy" in creating.stdout
    for result in (dropping, creating):
        assert isinstance(result.exception, ConfigError)
        assert "table Courses in the embedded engine" in str(result.exception)
    after = connection.execute("DescribeTable", {"TableName": "Courses"})["Table"]
    assert [each["IndexName"] for each in after["GlobalSecondaryIndexes"]] == ["CoursesBySemester"]
    connection.close()


@pytest.mark.usefixtures("_seeded")
def test_an_index_that_differs_is_named_and_not_dropped() -> None:
    connection = Target().connect()
    creation = {
        "IndexName": "CoursesBySemester",
        "KeySchema": [{"AttributeName": "title", "KeyType": "HASH"}],
        "Projection": {"ProjectionType": "ALL"},
    }
    connection.execute(
        "UpdateTable",
        {
            "TableName": "Courses",
            "AttributeDefinitions": [{"AttributeName": "title", "AttributeType": "S"}],
            "GlobalSecondaryIndexUpdates": [{"Create": creation}],
        },
    )

    exit_code, message = refusal("drop-indexes", "--index", "CoursesBySemester")

    assert exit_code == 2
    assert message.startswith(
        "index CoursesBySemester of Courses differs from the workload's and was left alone: its"
        " key is title (S)"
    )
    table = connection.execute("DescribeTable", {"TableName": "Courses"})["Table"]
    assert [each["IndexName"] for each in table["GlobalSecondaryIndexes"]] == ["CoursesBySemester"]
    connection.close()


@pytest.mark.usefixtures("_seeded")
@pytest.mark.parametrize("command", ["create-indexes", "drop-indexes"])
def test_waiting_may_be_limited(command: str) -> None:
    if command == "drop-indexes":
        perfkit("create-indexes")

    exit_code, message = refusal(command, "--timeout", "0")
    rest = perfkit(command)

    assert exit_code == 3
    assert message.startswith("not done after 0 s: CoursesBySemester of Courses")
    assert rest.exit_code == 0
