"""`perfkit seed` from the outside: what it prints, refuses and asks, and how it is interrupted."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
import typer
from inline_snapshot import snapshot
from moto import mock_aws
from typer.testing import CliRunner, Result

from perfkit.commands.seed import seed
from perfkit.dynamodb.client import embedded_client
from perfkit.errors import PerfkitError

PERFKIT = Path(sys.executable).with_name("perfkit")

APP = typer.Typer()
APP.command()(seed)


def perfkit_seed(*arguments: str) -> Result:
    return CliRunner().invoke(APP, ["--processes", "1", *arguments])


def refusal(*arguments: str) -> tuple[int, str]:
    result = perfkit_seed(*arguments)
    assert isinstance(result.exception, PerfkitError), result.output
    assert result.stdout == ""
    return result.exception.exit_code, str(result.exception)


def test_results_go_to_stdout_and_the_rest_to_stderr() -> None:
    result = perfkit_seed("--scale", "0.1")

    assert result.exit_code == 0
    assert result.stdout == snapshot("""\
Seeded
table        items¹  written now  already there  WCU consumed  RCU consumed²
----------------------------------------------------------------------------
Courses       1,000        1,000              0         1,000            250
Enrollments   5,000        5,000              0         5,000          1,250
Users           500          500              0           500            125
all           6,500        6,500              0         6,500          1,625

¹ Counted by reading the table to its end.
² By counting and comparing.
""")
    assert result.stderr.startswith("Seeding\nWrote 6,500 items in ")


def test_json_is_one_document_and_nothing_else() -> None:
    result = perfkit_seed("--scale", "0.1", "--table", "Users", "--json")

    document = json.loads(result.stdout)
    assert document.pop("elapsed_s") > 0
    assert document == snapshot(
        {
            "workload": "courses",
            "target": {"kind": "embedded"},
            "scale": 0.1,
            "random_seed": 1,
            "refusals": 0,
            "remarks": [],
            "tables": [
                {
                    "name": "Users",
                    "created": True,
                    "found": "nothing",
                    "expected": 500,
                    "items": 500,
                    "written": 500,
                    "already": 0,
                    "foreign": 0,
                    "write_units": 500.0,
                    "read_units": 125.0,
                }
            ],
        }
    )


def test_foreign_items_are_a_warning() -> None:
    perfkit_seed("--scale", "0.1", "--table", "Users")
    client = embedded_client()
    for name in ("teacher1", "teacher2"):
        client.put_item(TableName="Users", Item={"user_id": {"S": name}})

    result = perfkit_seed("--scale", "0.1", "--table", "Users")

    assert result.exit_code == 0
    assert "Warning: Users holds 2 items that are not this workload's" in result.stderr


def test_a_smaller_scale_is_refused() -> None:
    """Its tables would keep the other items, and every figure would be of a mixture."""
    perfkit_seed("--scale", "0.2", "--table", "Users")

    code, message = refusal("--scale", "0.1", "--table", "Users")

    assert code == 2
    assert "table Users was filled at scale 0.2" in message
    assert "perfkit clean" in message


def test_a_larger_scale_grows_the_tables() -> None:
    perfkit_seed("--scale", "0.1", "--table", "Users")

    result = perfkit_seed("--scale", "0.2", "--table", "Users")

    assert result.exit_code == 0
    assert "Warning: Users holds" not in result.stderr
    refused, _ = refusal("--scale", "0.1", "--table", "Users")
    assert refused == 2


@pytest.mark.parametrize(
    ("arguments", "code", "part"),
    [
        (("--table", "Nope"), 2, "no table 'Nope'"),
        (("--scale", "0"), 2, "scale must be above 0"),
        (("--workload", "nope.toml"), 2, "nope.toml"),
        (("--target", "nope"), 2, "no target 'nope'"),
        (("--target", "http://127.0.0.1:1"), 3, "connection refused"),
        (("--data", "/proc/nowhere/data.sqlite3"), 2, "/proc/nowhere/data.sqlite3"),
    ],
)
def test_bad_input_is_one_line(arguments: tuple[str, ...], code: int, part: str) -> None:
    exit_code, message = refusal(*arguments)

    assert exit_code == code
    assert part in message
    assert "\n" not in message


def test_a_file_that_is_not_ours_is_left_as_it_is(tmp_path: Path) -> None:
    file = tmp_path / "notes.txt"
    file.write_text("not a database, but long enough to be looked at " * 40)

    exit_code, message = refusal("--data", str(file))

    assert exit_code == 3
    assert "notes.txt is no perfkit data file" in message
    assert file.read_text().startswith("not a database")


def test_the_data_file_may_come_from_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PERFKIT_DATA", str(tmp_path / "elsewhere.sqlite3"))

    perfkit_seed("--scale", "0.1", "--table", "Users")

    assert (tmp_path / "elsewhere.sqlite3").exists()
    # a default for the embedded engine does not contradict another target
    assert "connection refused" in refusal("--target", "http://127.0.0.1:1")[1]


@pytest.fixture
def _aws(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "mine")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")


AWS = ("--target", "aws", "--scale", "0.1", "--table", "Users")


@mock_aws
@pytest.mark.usefixtures("_aws")
def test_an_account_is_not_touched_without_a_word() -> None:
    exit_code, message = refusal(*AWS)

    assert (exit_code, message) == (
        2,
        "nobody is at the terminal to confirm this; add --yes to go ahead. Nothing was done",
    )


@mock_aws
@pytest.mark.usefixtures("_aws")
def test_an_account_is_seeded_with_yes_and_the_preview_is_shown() -> None:
    result = perfkit_seed(*AWS, "--yes")

    assert result.exit_code == 0
    assert result.stderr.splitlines()[:4] == snapshot(
        [
            "Seed workload courses in AWS account 123456789012, region eu-west-1:",
            "  - create table Users, on demand, tagged created-by=perfkit",
            "  - write up to 500 items to table Users, and count them",
            "Roughly $0.00037 on demand: about 500 write and 125 read units (AWS Price List bulk API, as in clont 0.3.0, 2026-09-29, eu-west-1).",
        ]
    )


@mock_aws
@pytest.mark.usefixtures("_aws")
def test_too_dear_is_refused() -> None:
    exit_code, message = refusal("--target", "aws", "--yes", "--max-cost", "0.001")

    assert exit_code == 2
    assert "more than --max-cost 0.001" in message


@mock_aws
@pytest.mark.usefixtures("_aws")
def test_somebody_elses_table_is_not_written_to_by_accident() -> None:
    import boto3

    boto3.client("dynamodb").create_table(
        TableName="Users",
        KeySchema=[{"AttributeName": "user_id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "user_id", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )

    exit_code, message = refusal(*AWS, "--yes")

    assert exit_code == 2
    assert message == snapshot(
        "table Users in AWS (eu-west-1) does not carry perfkit's mark: it fills, changes and deletes only tables that it created itself. Nothing was changed; `perfkit bench` measures what is there, and under another name in the workload perfkit makes a table of its own"
    )


# ---- interrupted, in processes of its own ----------------------------------------------------------


def start(*arguments: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [PERFKIT, "seed", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def group(leader: int) -> list[str]:
    """Return the processes of a group that are not yet zombies."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error, ProcessLookupError):
            alive = process.status() != psutil.STATUS_ZOMBIE
            if alive and os.getpgid(process.pid) == leader:
                found.append(" ".join(process.cmdline()))
    return found


def wait_for_writing(process: "subprocess.Popen[str]", data: Path) -> None:
    """Return when items have been written for a moment."""
    log = Path(f"{data}-wal")
    deadline_s = time.monotonic() + 60
    while not (log.exists() and log.stat().st_size > 1_000_000):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline_s
        time.sleep(0.01)


def wait_until_gone(leader: int) -> None:
    deadline_s = time.monotonic() + 60
    while left := group(leader):
        assert time.monotonic() < deadline_s, left
        time.sleep(0.02)


def finish_and_count() -> dict[str, int]:
    """Seed to the end; return what the tables hold."""
    result = CliRunner().invoke(APP, ["--json", "--processes", "2", *PART])
    return {table["name"]: table["items"] for table in json.loads(result.stdout)["tables"]}


PART = ("--scale", "0.3")
SLOWLY = ("--max-wcu", "2500")
"""So that it takes some seconds more, however late somebody interrupts it."""

COMPLETE = {"Courses": 3_000, "Enrollments": 15_000, "Users": 1_500}


@pytest.mark.processes
def test_ctrl_c_says_how_far_it_got_and_leaves_no_process(tmp_path: Path) -> None:
    process = start("--processes", "2", *SLOWLY, *PART)
    wait_for_writing(process, tmp_path / ".perfkit" / "dynamodb.sqlite3")

    # as a terminal does: to the whole group
    os.killpg(process.pid, signal.SIGINT)
    stdout, stderr = process.communicate(timeout=60)

    assert (process.returncode, stdout) == (130, "")
    said = re.fullmatch(
        r"Seeding\nConsumed (?:.|\n)+?\nInterrupted: ([\d,]+) of 19,500 items are in; run the same command again to continue\.\n",
        stderr,
    )
    assert said, stderr
    assert int(said[1].replace(",", "")) < 19_500
    wait_until_gone(process.pid)
    assert finish_and_count() == COMPLETE


@pytest.mark.processes
def test_a_killed_seeding_leaves_no_process_and_is_completed_by_the_next(tmp_path: Path) -> None:
    process = start("--processes", "2", *SLOWLY, *PART)
    wait_for_writing(process, tmp_path / ".perfkit" / "dynamodb.sqlite3")

    process.kill()
    process.communicate(timeout=60)

    wait_until_gone(process.pid)
    assert finish_and_count() == COMPLETE
