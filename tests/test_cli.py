"""The command line as a whole: help, versions, errors, interrupts."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner

from perfkit import __version__
from perfkit.cli import app

pytestmark = pytest.mark.processes

PERFKIT = [sys.executable, "-m", "perfkit"]


def perfkit(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "COLUMNS": "80", "NO_COLOR": "1"}
    return subprocess.run(
        [*PERFKIT, *arguments],
        capture_output=True,
        text=True,
        cwd=cwd,
        env=environment,
        check=False,
        timeout=120,
    )


def test_version_is_the_packages(tmp_path: Path) -> None:
    assert perfkit("--version", cwd=tmp_path).stdout == f"perfkit {__version__}\n"


def test_no_arguments_show_the_help(tmp_path: Path) -> None:
    answer = perfkit(cwd=tmp_path)

    assert "Usage: perfkit" in answer.stdout + answer.stderr


COMMANDS = [command.name or "" for command in app.registered_commands] + [
    "cost what-if",
    "migrate plan",
    "migrate preflight",
    "traffic show",
    "traffic check",
    "traffic workload",
    "workload",
    "workload show",
    "workload validate",
]


def test_help_groups_the_commands_and_cuts_none_of_their_summaries() -> None:
    answer = CliRunner().invoke(app, ["--help"], terminal_width=80)

    assert "..." not in answer.stdout.partition("\nMeasure:")[2]
    assert [line for line in answer.stdout.splitlines() if re.fullmatch(r"[A-Z].*:", line)] == [
        "Options:",
        "Measure:",
        "Traffic:",
        "Change:",
        "Report:",
        "Reference service:",
        "Data and tools:",
    ]
    summaries = answer.stdout.partition("\nMeasure:\n")[2].splitlines()
    commands = [line.split()[0] for line in summaries if line.startswith("  ")]
    # one line each, and none without a group
    assert sorted(commands) == sorted(
        [command.name or "" for command in app.registered_commands]
        + ["cost", "migrate", "prices", "stack", "traffic", "workload"]
    )
    assert max(map(len, answer.stdout.splitlines())) <= 80


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_that_fits_80_columns(command: str) -> None:
    answer = CliRunner().invoke(app, [*command.split(), "--help"], terminal_width=80)

    assert answer.exit_code == 0
    assert max(map(len, answer.stdout.splitlines())) <= 80
    assert len(answer.stdout.splitlines()) > 5


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        pytest.param(["nope"], 2, "No such command 'nope'", id="unknown command"),
        pytest.param(["bench", "--nope"], 2, "No such option: --nope", id="unknown option"),
        pytest.param(
            ["bench", "--scenario", "course"],
            2,
            "Error: no scenario named 'course' in workload courses; choose from all, courses,",
            id="unknown scenario",
        ),
        pytest.param(["report"], 2, "Error: no runs saved in", id="nothing to report"),
        pytest.param(["bench"], 3, "perfkit seed", id="nothing seeded"),
        pytest.param(["create-indexes"], 3, "perfkit seed", id="no tables to index"),
        pytest.param(["seed", "--workload", "absent.toml"], 2, "absent.toml", id="no workload"),
        pytest.param(["seed", "--scale", "-1"], 2, "scale", id="negative scale"),
        pytest.param(["seed", "--scale", "nan"], 2, "scale", id="scale that is no number"),
        pytest.param(["seed", "--scale", "1e12"], 2, "lower the scale", id="absurd scale"),
        pytest.param(["seed", "--target", "ftp://x"], 2, "ftp://x", id="no such target"),
        pytest.param(
            ["status", "--target", "http://127.0.0.1:9"], 3, "127.0.0.1:9", id="nobody listens"
        ),
        pytest.param(["seed", "--data", "/dev/null/x"], 2, "/dev/null/x", id="no such folder"),
        pytest.param(
            ["bench", "--iterations", "0"],
            2,
            "Invalid value for '--iterations': it must be at least 1",
            id="no iterations",
        ),
        pytest.param(["serve", "--port", "70000"], 2, "it must be at most 65535", id="no port"),
        pytest.param(["report", "--format", "x"], 2, "'--format': 'x' is not one", id="no format"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(
    arguments: list[str], code: int, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")

    answer = CliRunner().invoke(app, arguments)

    assert (answer.exit_code, answer.stdout) == (code, "")
    assert message in answer.stderr
    assert "Traceback" not in answer.stderr


@pytest.mark.parametrize("group", ["traffic", "migrate", "stack", "workload", "prices", "cost"])
def test_summaries_of_commands_are_not_cut(group: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")

    shown = CliRunner().invoke(app, [group, "--help"]).stdout

    summaries = shown[shown.index("\nCommands:") :].splitlines()
    assert len(summaries) > 2
    assert not [line for line in summaries if line.endswith("...")]


def test_a_file_that_is_no_database_is_named(tmp_path: Path) -> None:
    data = tmp_path / "notes.txt"
    data.write_text("These are notes and no database. " * 100)

    answer = perfkit("status", "--data", str(data), cwd=tmp_path)

    assert answer.returncode == 3
    assert " ".join(answer.stderr.split()).startswith(f"Error: {data} is no perfkit data file")
    assert answer.stderr.count("Error") == 1
    assert "Traceback" not in answer.stderr
    assert data.read_text().startswith("These are notes")


def wait_for(file: Path) -> None:
    deadline_s = time.monotonic() + 60
    while not file.exists() and time.monotonic() < deadline_s:
        time.sleep(0.05)


@pytest.mark.parametrize(
    "command",
    [["run", "--scale", "20"], ["bench", "--min-time", "60"]],
    ids=lambda command: command[0],
)
def test_ctrl_c_ends_a_command_with_one_line(command: list[str], tmp_path: Path) -> None:
    if command[0] == "bench":
        assert perfkit("seed", "--scale", "0.02", cwd=tmp_path).returncode == 0
    with subprocess.Popen(
        [*PERFKIT, *command],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
        start_new_session=True,
    ) as process:
        # under way, however long this machine takes to start it
        made = "runs" if command[0] == "bench" else "dynamodb.sqlite3"
        wait_for(tmp_path / ".perfkit" / made)
        time.sleep(0.2)

        # what a terminal does: the whole group of processes gets it
        os.killpg(process.pid, signal.SIGINT)
        _, errors = process.communicate(timeout=60)

    assert process.returncode == 130, errors
    assert "Traceback" not in errors
    assert "nterrupted" in errors.splitlines()[-1]


def test_a_reader_that_stops_early_is_no_error(tmp_path: Path) -> None:
    command = f"{sys.executable} -m perfkit workload show | head -n 1"

    answer = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {command}"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        check=False,
    )

    assert answer.returncode == 0
    assert answer.stderr == ""
