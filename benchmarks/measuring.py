"""Taking turns, so that drift of the machine hits all alike; and running perfkit's commands."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from perfkit.errors import TargetError

__all__ = ["interleave", "perfkit_command", "run_command", "start_command", "timed"]


def interleave(
    turns: Mapping[str, Callable[[], Sequence[float]]], *, rounds: int
) -> dict[str, list[float]]:
    """
    Let each contender take its turn in every round, a different one first each time.

    Args:
        turns: By name, what takes one turn and returns the seconds of its calls.

    Returns:
        By name, the seconds of all calls.
    """
    seconds: dict[str, list[float]] = {name: [] for name in turns}
    names = list(turns)
    for number in range(rounds):
        first = number % len(names)
        for name in names[first:] + names[:first]:
            seconds[name] += turns[name]()
    return seconds


def timed(call: Callable[[], object]) -> Callable[[], list[float]]:
    """Return a turn that is one call."""

    def turn() -> list[float]:
        start_s = time.perf_counter()
        call()
        return [time.perf_counter() - start_s]

    return turn


def perfkit_command() -> list[str]:
    """
    Return how the installed `perfkit` command is started.

    Raises:
        TargetError: perfkit is not installed beside this Python.
    """
    # not resolved: in a virtual environment the interpreter is a link out of it
    script = Path(sys.executable).with_name("perfkit")
    if not script.exists():
        msg = "the perfkit command is not installed beside this Python: pip install -e ."
        raise TargetError(msg)
    return [sys.executable, str(script)]


def start_command(command: Sequence[str], folder: Path) -> "subprocess.Popen[str]":
    """Start a command in a folder; what it prints, errors too, comes through its stdout."""
    # settings of the person who measures must not change what is measured
    variables = {k: v for k, v in os.environ.items() if not k.startswith("PERFKIT_")}
    return subprocess.Popen(
        command,
        cwd=folder,
        env=variables,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def run_command(command: Sequence[str], folder: Path) -> str:
    """
    Run a command to its end in a folder and return what it printed.

    Raises:
        TargetError: It failed; with the end of what it printed.
    """
    with start_command(command, folder) as process:
        printed, _ = process.communicate()
    if process.returncode != 0:
        name = " ".join([Path(command[1]).name, *command[2:]])
        msg = f"`{name}` ended with code {process.returncode}: {printed.strip()[-200:]}"
        raise TargetError(msg)
    return printed
