"""The README is what a stranger types, so a test types it."""

import re
import shlex
import shutil
import signal
import subprocess
import sys
import urllib.request
from contextlib import chdir
from pathlib import Path

import pytest
from typer.testing import CliRunner

from perfkit.cli import app

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()


def blocks() -> list[list[str]]:
    """Return the perfkit commands of each console block of the README, without their comments."""
    found = []
    for block in re.findall(r"```console\n(.*?)```", README, re.DOTALL):
        lines = [line.partition("  #")[0].strip() for line in block.splitlines()]
        found.append([line for line in lines if line.startswith("perfkit ")])
    return [block for block in found if block]


def smaller(command: str) -> list[str]:
    """Return the arguments of a command as it stands there, on fewer items and for less time."""
    arguments = shlex.split(command)[1:]
    if arguments[0] in {"run", "seed"}:
        arguments += ["--scale", "0.02"]
    if arguments[0] in {"run", "bench"} and "--iterations" not in arguments:
        arguments += ["--min-time", "0.05"]
    if arguments[0] in {"dynamodb", "up"}:
        # somebody else may have the port
        arguments += ["--port", "0"]
    if arguments[0] == "watch":
        # it watches until somebody ends it
        arguments += ["--duration", "2s"]
    return arguments


def run(arguments: list[str]) -> tuple[int, str, str]:
    """Return exit code, standard output and standard error of a command."""
    if arguments[0] == "up":
        # what it leaves behind must not be this process's child
        done = subprocess.run(
            [sys.executable, "-m", "perfkit", *arguments],
            capture_output=True,
            text=True,
            check=False,
        )
        return done.returncode, done.stdout, done.stderr
    result = CliRunner().invoke(app, arguments)
    return result.exit_code, result.stdout, f"{result.stderr} {result.exception!r}"


def failures(block: list[str]) -> dict[str, str]:
    """Run commands in the current folder; return what those that do not work said."""
    failed = {}
    try:
        for command in block:
            code, output, errors = run(smaller(command))
            # of a check that says what is not done, that is the answer
            fine = {0, 3, 4} if command.startswith("perfkit check") else {0}
            if code not in fine or not (output or "--output" in command):
                failed[command] = f"{code}: {errors}"
    finally:
        if any(command.startswith("perfkit up") for command in block):
            run(["down"])
    return failed


FIRST, *OTHERS = blocks()
SERVERS = [command for block in OTHERS for command in block if "perfkit dynamodb" in command]
BLOCKS = [block for block in OTHERS if not set(block) <= set(SERVERS)]


@pytest.fixture(scope="module")
def begun(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder of a fresh clone in which the first commands were typed."""
    folder = tmp_path_factory.mktemp("readme")
    shutil.copytree(ROOT / "examples", folder / "examples")
    with chdir(folder):
        assert failures(FIRST) == {}
    return folder


@pytest.mark.processes
@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: block[0])
def test_the_commands_work_one_after_the_other(
    block: list[str], begun: Path, isolated_folder: Path
) -> None:
    """Each finds what those before it, and the first ones of all, left."""
    shutil.copytree(begun, isolated_folder, dirs_exist_ok=True)

    assert failures(block) == {}


@pytest.mark.processes
@pytest.mark.parametrize("command", SERVERS)
def test_every_server_starts_answers_and_ends(command: str) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "perfkit", *smaller(command)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        url = re.findall(r"http://\S+", process.stdout.readline())[0]

        with urllib.request.urlopen(url, timeout=60) as answer:
            healthy = answer.read()
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)

    assert healthy.startswith(b"healthy")
    assert (process.returncode, errors) == (0, "")


def test_the_two_commands_come_first() -> None:
    first = re.findall(r"```console\n(.*?)```", README, re.DOTALL)[0]

    assert [line.split("#")[0].strip() for line in first.splitlines()] == ["make run", "make test"]
    assert README.index(first) < 200


def test_links_lead_somewhere() -> None:
    links = re.findall(r"\]\(([^)#]+)\)", README)

    assert [link for link in links if not (ROOT / link).exists()] == []


@pytest.mark.parametrize("page", sorted((ROOT / "docs").rglob("*.md")), ids=lambda page: page.name)
def test_links_of_the_documentation_lead_somewhere(page: Path) -> None:
    links = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text())

    assert [link for link in links if not (page.parent / link).exists()] == []
