"""`perfkit status` from the outside."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import typer
from inline_snapshot import snapshot
from typer.testing import CliRunner, Result

from perfkit.commands.bench import bench
from perfkit.commands.create_indexes import create_indexes
from perfkit.commands.seed import seed
from perfkit.commands.status import status
from perfkit.dynamodb.client import embedded_client
from perfkit.dynamodb.targets import Target
from perfkit.errors import TargetError
from perfkit.runs import Run, RunKind, RunStore

APP = typer.Typer()
for command in (seed, create_indexes, bench, status):
    APP.command()(command)


def perfkit(*arguments: str) -> Result:
    return CliRunner().invoke(APP, list(arguments))


def save_run(scenario: str, started_at: str) -> None:
    run = Run(
        kind=RunKind.SCENARIO,
        scenario=scenario,
        workload="courses",
        target={"kind": "embedded"},
        started_at=started_at,
        id=f"run-{scenario}",
    )
    RunStore(Path(".perfkit/runs")).save(run)


def test_nothing_made_yet_is_said_and_stays_so(tmp_path: Path) -> None:
    result = perfkit("status")

    assert result.exit_code == 0
    assert result.stdout == snapshot("""\
Tables
table        status   in the workload
-------------------------------------
Courses      missing           10,000
Enrollments  missing           50,000
Users        missing            5,000

Data file: .perfkit/dynamodb.sqlite3 (not made yet)
No saved runs in .perfkit/runs.
""")
    assert result.stderr == "Next: perfkit seed\n"
    assert not (tmp_path / ".perfkit").exists()


def test_tables_indexes_and_runs_are_shown(copy_courses: Callable[..., Path]) -> None:
    copy_courses(Target().data, 0.1, indexed=False)
    perfkit("create-indexes", "--index", "CoursesBySemester")
    save_run("courses", "2026-01-01T00:00:00Z")
    save_run("profile", "2026-01-02T00:00:00Z")

    result = perfkit("status")

    text = result.stdout.replace("\N{EN DASH}", "-")
    lines = [line for line in text.splitlines() if "Data file" not in line]
    assert "\n".join(lines) == snapshot("""\
Tables
table        status  items  in the workload     size  billing
---------------------------------------------------------------------
Courses      ACTIVE  1,000           10,000  1.02 MB  PAY_PER_REQUEST
Enrollments  ACTIVE  5,000           50,000  5.12 MB  PAY_PER_REQUEST
Users        ACTIVE    500            5,000   512 kB  PAY_PER_REQUEST

Indexes
index                table        status   items     size
---------------------------------------------------------
CoursesBySemester    Courses      ACTIVE   1,000  1.02 MB
CoursesByInstructor  Courses      missing      -        -
EnrollmentsByUser    Enrollments  missing      -        -
EnrollmentsByCourse  Enrollments  missing      -        -

Saved runs, newest first
run          scenario  started (UTC)
---------------------------------------
run-profile  profile   2026-01-02 00:00
run-courses  courses   2026-01-01 00:00
""")
    assert result.stderr == "Next: perfkit create-indexes\n"


def test_an_index_under_way_shows_how_far_it_is(
    copy_courses: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("perfkit.embedded.backfill._STEP_ITEMS", 200)
    copy_courses(Target().data, 0.02, indexed=False)
    perfkit("create-indexes", "--index", "EnrollmentsByUser", "--no-wait")

    fractions = []
    for _ in range(3):
        document = json.loads(perfkit("status", "--json").stdout)
        (enrollments,) = (each for each in document["tables"] if each["name"] == "Enrollments")
        (index,) = (each for each in enrollments["indexes"] if each["name"] == "EnrollmentsByUser")
        assert index["status"] == "CREATING"
        fractions.append(index["fraction"])

    # first the index is allocated, then copied, a step with every look
    assert 0 == fractions[0] <= fractions[1] < fractions[2] < 1


def test_json_is_one_document_and_nothing_else(copy_courses: Callable[..., Path]) -> None:
    copy_courses(Target().data, 0.1, indexed=False)
    save_run("courses", "2026-01-01T00:00:00Z")

    result = perfkit("status", "--json")

    document = json.loads(result.stdout)
    assert document["data_file"].pop("size_bytes") > 1_000_000
    assert document["tables"][0] == snapshot(
        {
            "name": "Courses",
            "exists": True,
            "made": True,
            "ours": True,
            "status": "ACTIVE",
            "items": 1000,
            "workload_items": 10000,
            "seeded_items": 1000,
            "size_bytes": 1024000,
            "billing": "PAY_PER_REQUEST",
            "indexes": [
                {
                    "name": "CoursesBySemester",
                    "status": "missing",
                    "backfilling": False,
                    "fraction": None,
                    "items": None,
                    "size_bytes": None,
                    "difference": "",
                },
                {
                    "name": "CoursesByInstructor",
                    "status": "missing",
                    "backfilling": False,
                    "fraction": None,
                    "items": None,
                    "size_bytes": None,
                    "difference": "",
                },
            ],
        }
    )
    del document["tables"]
    assert document == snapshot(
        {
            "target": {"kind": "embedded"},
            "data_file": {"path": ".perfkit/dynamodb.sqlite3", "exists": True},
            "workload": "courses",
            "runs": [
                {
                    "id": "run-courses",
                    "kind": "scenario",
                    "scenario": "courses",
                    "workload": "courses",
                    "target": "embedded",
                    "started_at": "2026-01-01T00:00:00Z",
                }
            ],
            "service": {"state": "down"},
            "problems": [],
        }
    )


def test_an_index_of_the_same_name_with_other_keys_is_a_warning() -> None:
    perfkit("seed", "--processes", "1", "--scale", "0.01", "--table", "Courses")
    client = embedded_client(".perfkit/dynamodb.sqlite3")
    client.update_table(
        TableName="Courses",
        AttributeDefinitions=[{"AttributeName": "title", "AttributeType": "S"}],
        GlobalSecondaryIndexUpdates=[
            {
                "Create": {
                    "IndexName": "CoursesBySemester",
                    "KeySchema": [{"AttributeName": "title", "KeyType": "HASH"}],
                    "Projection": {"ProjectionType": "ALL"},
                }
            }
        ],
    )
    client.close()

    result = perfkit("status")

    said = (
        "index CoursesBySemester of Courses differs: its key is title (S), the workload wants"
        " semester_id (S), department_id (S)"
    )
    assert said in " ".join(result.stderr.split())
    measured = perfkit("bench", "--scenario", "courses", "--iterations", "1")
    assert measured.exit_code == 0
    assert "index CoursesBySemester of Courses has other keys, so it is not queried" in " ".join(
        measured.output.split()
    )


def test_a_run_file_cut_in_half_is_a_warning() -> None:
    save_run("courses", "2026-01-01T00:00:00Z")
    (file,) = Path(".perfkit/runs").glob("*.json")
    file.write_bytes(file.read_bytes()[:100])

    result = perfkit("status")

    assert result.exit_code == 0
    assert "is cut short" in result.stderr


def test_nobody_at_the_target_is_an_error() -> None:
    result = perfkit("status", "--target", "http://127.0.0.1:1")

    assert isinstance(result.exception, TargetError)
    assert "connection refused" in str(result.exception)


def test_the_service_is_said_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is right needs a word, what fails its reason; both as /healthz says them."""
    checks = {
        "dynamodb": {"status": "ok", "detail": "tables are there, indexes too"},
        "cache": {"status": "failing", "detail": "Redis does not answer"},
        "notifications": {"status": "off", "detail": "nobody is notified"},
    }
    service = {"state": "failing", "url": "http://127.0.0.1:1", "log": "a.log", "checks": checks}
    monkeypatch.setattr("perfkit.service.launch.health", lambda: service)

    assert (
        "Service: failing at http://127.0.0.1:1"
        " (dynamodb ok, cache failing: Redis does not answer, notifications off)\n"
    ) in perfkit("status").stdout
