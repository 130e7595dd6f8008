"""The README is what a stranger types, so a test types it."""

import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()


def commands() -> list[str]:
    """Return the perfkit commands of the README's console blocks, without their comments."""
    blocks = re.findall(r"```console\n(.*?)```", README, re.DOTALL)
    lines = [line.partition("  #")[0].strip() for block in blocks for line in block.splitlines()]
    return [line for line in lines if line.startswith("perfkit ")]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as after a fresh clone, where each command finds what those before it left."""
    folder = tmp_path_factory.mktemp("stranger")
    shutil.copytree(ROOT / "examples", folder / "examples")
    return folder


def start(command: str, folder: Path) -> subprocess.Popen[str]:
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("AWS_", "PERFKIT_"))}
    return subprocess.Popen(
        [sys.executable, "-m", *shlex.split(command)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=folder,
        env=environment,
    )


SERVERS = [command for command in commands() if command.startswith("perfkit dynamodb")]


ONE_BY_ONE = [each for each in commands() if each not in SERVERS]


# the same command may stand there twice: before a change and after it
@pytest.mark.parametrize(
    "command", ONE_BY_ONE, ids=[f"{number} {each}" for number, each in enumerate(ONE_BY_ONE)]
)
def test_every_command_works_as_written(command: str, folder: Path) -> None:
    with start(command, folder) as process:
        output, errors = process.communicate(timeout=300)

    assert process.returncode == 0, errors
    assert output or "--output" in command
    assert "Traceback" not in errors


@pytest.mark.parametrize("command", SERVERS)
def test_every_server_starts_answers_and_ends(command: str, folder: Path) -> None:
    command = re.sub(r"--port \d+", "--port 0", command)
    with start(command, folder) as process:
        assert process.stdout is not None
        url = re.findall(r"http://\S+", process.stdout.readline())[0]

        with urllib.request.urlopen(url, timeout=10) as answer:
            healthy = answer.read()
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=30)

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
