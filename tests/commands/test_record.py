"""`perfkit record` as it is typed: the command's environment, exit codes, signals, and its end."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from perfkit.cli import app
from perfkit.traffic.trace import read_trace

pytestmark = pytest.mark.processes

PERFKIT = Path(sys.executable).with_name("perfkit")

APPLICATION = """
import os, signal, sys, time
import boto3
client = boto3.client("dynamodb")
for _ in range({calls}):
    client.list_tables()
{then}
"""


def run(*arguments: str, **variables: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [PERFKIT, *arguments],
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        check=False,
    )


def perfkit(*arguments: str) -> Result:
    """Run a command within this process."""
    return CliRunner().invoke(app, list(arguments))


def application(calls: int, then: str = "") -> list[str]:
    return [sys.executable, "-c", APPLICATION.format(calls=calls, then=then)]


@contextmanager
def running(*arguments: str) -> Iterator["subprocess.Popen[str]"]:
    with subprocess.Popen(
        [PERFKIT, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            yield process
        finally:
            if process.poll() is None:
                process.kill()
            process.communicate()


def test_a_command_runs_unchanged_and_is_recorded() -> None:
    """Nothing is configured: no region, no credentials, no endpoint."""
    done = run(
        "record",
        "--output",
        "app.trace",
        "--",
        *application(3, "sys.exit(7)"),
    )

    assert done.returncode == 7, done.stderr
    assert "Recorded 3 requests" in done.stderr
    assert "perfkit traffic show app.trace" in done.stderr
    shown = perfkit("traffic", "show", "app.trace", "--json")
    (row,) = json.loads(shown.stdout)["sections"][0]["blocks"][1]["rows"]
    assert (row["operation"], row["calls"]) == ("ListTables", 3)


def test_a_command_that_is_killed_leaves_a_whole_trace() -> None:
    killed = application(2, "os.kill(os.getpid(), signal.SIGKILL)")
    done = run("record", "--output", "app.trace", "--", *killed)

    assert done.returncode == 128 + signal.SIGKILL
    assert "Recorded 2 requests" in done.stderr
    assert read_trace(Path("app.trace")).is_complete


def test_a_command_that_asks_nothing_is_told_how_to() -> None:
    done = run("record", "--output", "app.trace", "--", sys.executable, "-c", "print('hello')")

    assert done.returncode == 3
    assert done.stdout == "hello\n"
    assert "no request to DynamoDB came by" in done.stderr
    assert "AWS_ENDPOINT_URL_DYNAMODB" in done.stderr
    assert not Path("app.trace").exists()


def test_a_target_that_is_away_is_named_and_not_the_application() -> None:
    # nothing listens on port 1
    done = run("record", "--target", "http://127.0.0.1:1", "--", "true")

    assert done.returncode == 3
    assert "http://127.0.0.1:1 cannot be reached" in done.stderr
    assert "AWS_ENDPOINT_URL_DYNAMODB" not in done.stderr


def test_a_recording_without_an_answer_ends_with_that() -> None:
    gone = (
        "import boto3; boto3.client('dynamodb').get_item(TableName='Gone', Key={'id': {'S': 'x'}})"
    )
    done = run("record", "--output", "app.trace", "--", sys.executable, "-c", gone)

    assert done.returncode == 1
    last = done.stderr.splitlines()[-1]
    assert "1 of 1 request failed: ResourceNotFoundException" in last
    assert "is the target right?" in last


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        pytest.param(["--output", "there", "--", "true"], "there already", id="trace"),
        pytest.param(["--output", "no/x.trace", "--", "true"], "no folder no", id="folder"),
        pytest.param(["--", "no-such-program"], "cannot run no-such-program", id="command"),
        pytest.param(
            ["--duration", "soon", "--", "true"], "--duration 'soon' is no duration", id="duration"
        ),
        pytest.param(["--allow-host", "a b", "--", "true"], "no name of a host", id="host"),
    ],
)
def test_what_cannot_be_done_is_said_at_once(arguments: list[str], reason: str) -> None:
    Path("there").write_text("mine")

    done = perfkit("record", *arguments)

    assert done.exit_code == 2
    assert reason in done.stderr
    assert Path("there").read_text() == "mine"
    assert list(Path().rglob("*.trace")) == []
    assert not Path("no").exists()


def test_nothing_but_the_reason_is_said_where_a_command_cannot_run(server: str) -> None:
    done = run("record", "--target", server, "--", "no-such-program")

    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1, done.stderr


def test_a_port_that_is_taken_is_an_error(server: str, recorder: Callable[..., Any]) -> None:
    other, port = (url.rpartition(":")[2] for url in (recorder(server).url, server))

    taken = perfkit("record", "--port", other, "--target", server, "--", "true")
    own = perfkit("record", "--port", port, "--target", server, "--", "true")

    assert [taken.exit_code, own.exit_code] == [2, 2]
    assert "choose another --port" in taken.stderr


def test_a_signal_reaches_the_command_and_its_end_comes_back() -> None:
    wait = "print('ready', flush=True); time.sleep(600)"
    with running("record", "--output", "app.trace", "--", *application(1, wait)) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGTERM)

        assert process.wait() == 128 + signal.SIGTERM
    assert read_trace(Path("app.trace")).requests == 1


def test_a_recorder_that_is_killed_leaves_a_trace(tmp_path: Path) -> None:
    """Up to the last commit, which is half a second old at most."""
    wait = "print(os.getppid(), flush=True); time.sleep(600)"
    trace = tmp_path / "app.trace"
    with running("record", "--output", str(trace), "--", *application(5, wait)) as process:
        assert process.stdout is not None
        assert int(process.stdout.readline()) == process.pid
        (child,) = children(process.pid)
        try:
            # with the wait for the commit
            while not recorded(trace):
                time.sleep(0.05)
            process.send_signal(signal.SIGKILL)
            process.wait()
        finally:
            os.kill(child, signal.SIGKILL)

    found = read_trace(trace)
    assert found.requests == found.details == 5
    assert not found.is_complete
    shown = perfkit("traffic", "show", str(trace))
    assert "the recording was cut short" in shown.stdout


def recorded(trace: Path) -> bool:
    try:
        return read_trace(trace).requests == 5
    except Exception:  # noqa: BLE001 - whatever is not there yet
        return False


def children(pid: int) -> list[int]:
    found = subprocess.run(
        ["ps", "-o", "pid=", "--ppid", str(pid)], capture_output=True, text=True, check=True
    )
    return [int(line) for line in found.stdout.split()]


@pytest.fixture(scope="module")
def trace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("trace") / "app.trace"
    done = run(
        "record",
        "--data",
        str(path.with_name("data")),
        "--output",
        str(path),
        "--",
        *application(40),
    )
    assert done.returncode == 0, done.stderr
    return path


def other_format(content: bytes) -> bytes:
    # of the same length: no page moves
    assert content.count(b"format1") == 1
    return content.replace(b"format1", b"format9")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        pytest.param(lambda content: content[: len(content) // 2], "is damaged", id="cut in half"),
        pytest.param(lambda _: b"", "is empty", id="empty"),
        pytest.param(lambda _: b"{}" * 2000, "is no trace of perfkit's", id="no trace"),
        pytest.param(other_format, "is a trace of format 9", id="another version"),
    ],
)
def test_a_trace_that_cannot_be_read_is_explained(trace: Path, change: Any, reason: str) -> None:
    Path("bad.trace").write_bytes(change(trace.read_bytes()))

    done = perfkit("traffic", "show", "bad.trace")

    assert done.exit_code == 2
    assert done.stderr.count("\n") == 1
    assert reason in done.stderr


@pytest.mark.parametrize("kind", ["html", "md", "csv", "json"])
def test_a_recording_is_written_in_every_format(trace: Path, kind: str) -> None:
    done = perfkit("traffic", "show", str(trace), "--output", f"page.{kind}")

    assert done.exit_code == 0, done.stderr
    assert "ListTables" in Path(f"page.{kind}").read_text()
