"""The console a command runs at: streams that are closed or full, few files, odd names, Ctrl-C."""

import json
import os
import shlex
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

pytestmark = pytest.mark.processes

PERFKIT = [sys.executable, "-m", "perfkit"]
COMMAND = shlex.join(PERFKIT)

PRINTING = ["--help", "status"]


def shell(command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", "-c", command],
        capture_output=True,
        text=True,
        errors="surrogateescape",
        env={**os.environ, "NO_COLOR": "1", **environment},
        check=False,
    )


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a seeded data file and a run."""
    folder = tmp_path_factory.mktemp("measured")
    for arguments in (["seed", "--scale", "0.02"], ["bench", "--scenario", "profile", *TWICE]):
        subprocess.run([*PERFKIT, *arguments], cwd=folder, capture_output=True, check=True)
    return folder


TWICE = ["--iterations", "2"]
MEASURING = ["bench --scenario profile --iterations 2 --json"]


@pytest.mark.parametrize("arguments", [*PRINTING, *MEASURING])
def test_results_that_nobody_can_receive_are_an_error(
    arguments: str, measured: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(measured)

    closed = shell(f"{COMMAND} {arguments} >&-")
    full = shell(f"{COMMAND} {arguments} >/dev/full")

    # `perfkit status` hints at the next command, on standard error
    assert closed.stderr.splitlines()[-1] == (
        "Error: the output cannot be written: standard output is closed"
    )
    assert closed.returncode == 1
    *steps, error = full.stderr.splitlines()
    assert error.startswith("Error: no space left to write the ")
    assert full.returncode == 3
    assert steps in ([], ["Measuring profile (1 of 1)"])


@pytest.mark.parametrize("where", ["2>&-", "2>/dev/full"])
def test_what_is_no_result_is_dropped_where_it_cannot_be_written(where: str) -> None:
    printed = shell(f"{COMMAND} status {where}")
    refused = shell(f"{COMMAND} report {where}")
    unknown = shell(f"{COMMAND} nope {where}")

    assert (printed.returncode, printed.stderr) == (0, "")
    assert printed.stdout == shell(f"{COMMAND} status 2>/dev/null").stdout
    assert (refused.returncode, refused.stdout, refused.stderr) == (2, "", "")
    assert (unknown.returncode, unknown.stdout, unknown.stderr) == (2, "", "")


def test_nothing_printed_goes_into_a_file_that_took_the_place_of_a_closed_stream() -> None:
    """The first file opened is given the lowest free number, which may be standard output's."""
    answer = shell(f"{COMMAND} seed --scale 0.002 <&- >&- 2>&-; {COMMAND} status")

    assert answer.returncode == 0
    assert Path(".perfkit/dynamodb.sqlite3-lock").read_bytes() == b""


@pytest.mark.parametrize(
    ("arguments", "limit"),
    [
        ("status", 6),
        ("status", 14),
        ("bench --scenario profile --iterations 2", 14),
        ("bench --scenario profile --iterations 2", 20),
    ],
)
def test_a_process_that_may_open_few_files_works_or_says_what_to_allow(
    arguments: str, limit: int, measured: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(measured)

    answer = shell(f"ulimit -n {limit}; exec {COMMAND} {arguments}")

    assert "Traceback" not in answer.stderr
    assert answer.returncode in {0, 3}
    if answer.returncode:
        *steps, error = answer.stderr.splitlines()
        assert error.startswith("Error: too many open files")
        assert "ulimit -n 256" in error
        assert steps in ([], ["Measuring profile (1 of 1)"])


@pytest.mark.parametrize("locale", ["C", "C.UTF-8"])
def test_a_folder_whose_name_is_no_text(locale: str, tmp_path: Path) -> None:
    folder = os.fsencode(tmp_path) + b"/caf\xe9"
    Path(os.fsdecode(folder)).mkdir()
    data = os.fsdecode(folder + b"/data.sqlite3")
    # a locale with strict errors, as people have; C alone would let the bytes through
    how = {"LC_ALL": locale, "PYTHONIOENCODING": "utf-8:strict"} if "UTF" in locale else {}

    def run(arguments: str) -> subprocess.CompletedProcess[str]:
        return shell(f"cd {shlex.quote(os.fsdecode(folder))}; {COMMAND} {arguments}", **how)

    done = [run(f"{each} --data {shlex.quote(data)}") for each in ("seed --scale 0.02", "status")]
    if locale != "C":
        done.append(run(f"bench --scenario profile --iterations 2 --data {shlex.quote(data)}"))
        done.append(run("report --format html"))
    printed = run(f"status --json --data {shlex.quote(data)}")
    absent = run(f"workload validate {shlex.quote(data)}.toml")

    assert [answer.stderr for answer in (*done, printed) if answer.returncode] == []
    assert r"caf\udce9/data.sqlite3" in printed.stdout
    assert json.loads(printed.stdout)
    assert f"{tmp_path}/caf\\udce9/data.sqlite3" in done[1].stdout
    assert absent.returncode == 2
    assert "caf\\udce9" in absent.stderr


# ---- Ctrl-C ------------------------------------------------------------------------------

# loaded by Python before the program: sends the process real signals when it has come so far,
# counted in what Python does (audit events) and not in seconds
INTERRUPTER = """
    import os, signal, sys

    begun = False
    events = 0
    moments = {int(moment) for moment in os.environ.pop("INTERRUPT_AT").split(",")}

    def hook(event, arguments):
        global begun, events
        if not begun:
            # the first line of the program that may be interrupted
            begun = event == "import" and arguments[0] == "perfkit.cli"
            return
        events += 1
        if events in moments:
            os.kill(os.getpid(), signal.SIGINT)

    sys.addaudithook(hook)
"""


@pytest.fixture
def interrupted(
    tmp_path: Path,
) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Return a function that runs perfkit in a folder and interrupts it at some events."""
    (tmp_path / "hooks").mkdir()
    (tmp_path / "hooks" / "sitecustomize.py").write_text(textwrap.dedent(INTERRUPTER))

    def run(
        arguments: str, *moments: int, folder: Path = tmp_path
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*PERFKIT, *arguments.split()],
            capture_output=True,
            text=True,
            cwd=folder,
            env={
                **os.environ,
                "PYTHONPATH": str(tmp_path / "hooks"),
                "INTERRUPT_AT": ",".join(map(str, moments)),
            },
            check=False,
        )

    return run


def left_running(folder: Path) -> list[str]:
    """Return the commands of processes that work in *folder*, as far as the system shows them."""
    found = [
        " ".join(process.info["cmdline"] or ())
        for process in psutil.process_iter(["cwd", "cmdline"])
        if process.info["cwd"] == str(folder.resolve())
    ]
    return [command for command in found if command and "pytest" not in command]


def check_interrupted(answer: subprocess.CompletedProcess[str], folder: Path) -> None:
    assert "Traceback" not in answer.stderr
    assert "Exception ignored" not in answer.stderr
    # the command may have ended before
    if answer.returncode:
        assert answer.returncode == 130
        assert "nterrupted" in answer.stderr.splitlines()[-1]
    # whoever guards a server of perfkit's ends a moment after it
    end_s = time.monotonic() + 60
    while left_running(folder) and time.monotonic() < end_s:
        time.sleep(0.05)
    assert left_running(folder) == []
    # what is under way is written elsewhere and renamed
    assert list(folder.glob(".perfkit/runs/*.tmp")) == []


@pytest.mark.parametrize("moment", [1, 100, 1500])
def test_ctrl_c_while_a_command_is_loaded_ends_it_with_one_line(
    moment: int, measured: Path, interrupted: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    answer = interrupted("status", moment, folder=measured)

    assert answer.returncode == 130
    assert answer.stdout == ""
    assert answer.stderr == "Interrupted.\n"
    check_interrupted(answer, measured)


@pytest.mark.parametrize("moment", [5_000, 9_500, 11_000])
def test_ctrl_c_again_and_again_does_not_disturb_the_end(
    moment: int, measured: Path, interrupted: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    """A scenario with a cache server of its own, an event loop and a folder to take away."""
    again = (moment + later for later in (1, 2, 5, 10, 20, 50, 100, 200))

    answer = interrupted("bench --scenario cache --iterations 2", moment, *again, folder=measured)

    check_interrupted(answer, measured)


# at the very end a module's names are let go, when Python has put handlers of signals away
LATE = """
    import os, signal

    class Late:
        def __del__(self, kill=os.kill, process=os.getpid(), number=signal.SIGINT):
            kill(process, number)

    late = Late()
"""


def test_ctrl_c_when_all_is_done_changes_nothing(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(textwrap.dedent(LATE))

    answer = subprocess.run(
        [*PERFKIT, "--version"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        check=False,
    )

    assert (answer.returncode, answer.stderr) == (0, "")


# Python can pass no error on from there, and drops it
UNRAISABLE = """
    import os, signal, time
    from perfkit.console import interrupts

    class Slow:
        def __del__(self):
            os.kill(os.getpid(), signal.SIGINT)
            print("asked", flush=True)

    interrupts.install()
    interrupts.begin()
    try:
        Slow()
        time.sleep(60)
    except KeyboardInterrupt:
        print("interrupted")
"""


def test_ctrl_c_is_not_lost_where_errors_are_dropped() -> None:
    answer = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(UNRAISABLE)],
        capture_output=True,
        text=True,
        check=False,
    )

    assert (answer.stdout, answer.stderr) == ("interrupted\n", "")


def test_ctrl_c_while_dataclasses_are_made_keeps_the_exit_code(tmp_path: Path) -> None:
    (tmp_path / "interrupted.py").write_text(
        "import os, signal, sys\n"
        "from perfkit.console import INTERRUPTED, interrupts\n"
        "interrupts.install(); interrupts.begin()\n"
        "try:\n"
        "    exec('os.kill(os.getpid(), signal.SIGINT)')\n"
        "except KeyboardInterrupt:\n"
        "    interrupts.end()\n"
        "    sys.exit(INTERRUPTED)\n"
    )

    answer = subprocess.run(
        [sys.executable, "-m", "interrupted"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        check=False,
    )

    assert (answer.returncode, answer.stderr) == (130, "")
