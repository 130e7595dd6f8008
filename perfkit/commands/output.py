"""How commands write to the terminal, and to files."""

import os
import re
import shutil
import sys
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import typer

from perfkit.errors import ConfigError
from perfkit.units import escape, escape_json

if TYPE_CHECKING:
    from perfkit.dynamodb.targets import Target
    from perfkit.workloads.model import Workload

__all__ = [
    "note",
    "note_left_alone",
    "print_json",
    "print_line",
    "print_text",
    "say",
    "say_consumption",
    "say_error",
    "warn",
    "warn_of_units",
    "wrap",
    "write_file",
]


def say_consumption(target: "Target") -> None:
    """Tell a person what was consumed, where there is a limit."""
    from perfkit.dynamodb.safety import consumption

    line = consumption(target)
    if line is not None:
        note(line)


def warn_of_units(target: "Target") -> None:
    """Warn where a target is known to answer wrong units, beside what it says it consumed."""
    from perfkit.errors import TargetError

    try:
        doubt = target.capacity_doubt()
    except TargetError:
        # what was found is worth more than how far to trust its units
        return
    if doubt:
        warn(f"{doubt}.")


def print_text(text: str = "") -> None:
    """Print a part of a result; what a terminal would obey is shown instead."""
    typer.echo(escape(text))


def wrap(text: str, stream: TextIO, *, indent: str = "") -> str:
    """
    Wrap each line at the terminal's width, where it is known how wide that is.

    *indent*, below the beginning of the line itself, begins what is wrapped. Commands, in backticks
    or after an arrow, stay in one piece to be copied; what goes to a file or another program keeps
    its lines.
    """
    if not (stream.isatty() or os.environ.get("COLUMNS")):
        return text
    width = shutil.get_terminal_size().columns
    return "\n".join(_wrap_line(line, width, indent) for line in text.splitlines())


_COMMAND = re.compile(r"`[^`]*`|(?:(?<=-> )|(?<=Next: )|(?<=The way back: ))perfkit .*")
_JOINED = "\0"
"""A space within a command: no text has it, as `escape` shows it."""


def _wrap_line(line: str, width: int, indent: str) -> str:
    begin = re.match(r" *(- )?", line)
    whole = _COMMAND.sub(lambda command: command[0].replace(" ", _JOINED), line)
    return textwrap.fill(
        whole,
        width,
        subsequent_indent=" " * (begin.end() if begin else 0) + indent,
        break_long_words=False,
        break_on_hyphens=False,
    ).replace(_JOINED, " ")


def print_line(text: str) -> None:
    """Print a sentence of a result, wrapped as tables are."""
    from perfkit.report import terminal
    from perfkit.report.model import Statement, Statements

    terminal.print_blocks((Statements(name="line", statements=(Statement(text=text),)),))


def say(text: str, *, fg: str | None = None) -> None:
    """Print to standard error, wrapped where it is known how wide the terminal is."""
    typer.secho(wrap(escape(text), sys.stderr), fg=fg, err=True)


def note_left_alone(workload: "Workload") -> None:
    """Say which tables a command leaves alone, because they exist without perfkit."""
    names = [table.name for table in workload.existing]
    if names:
        exist = "exists" if len(names) == 1 else "exist"
        note(f"Left alone: {', '.join(names)}, which the workload says {exist} without perfkit.")


def note(text: str) -> None:
    """Tell a person something that is no result: to standard error."""
    say(text)


def warn(text: str) -> None:
    """Tell a person something to heed."""
    say(f"Warning: {text}", fg="yellow")


def say_error(text: str) -> None:
    """Tell a person why a command ends."""
    say(f"Error: {text}", fg="red")


def write_file(file: Path, text: str, *, mode: str = "w") -> None:
    """
    Write, or with mode "a" add, what an option asks for in a file.

    Raises:
        ConfigError: It cannot be written to.
    """
    try:
        with file.open(mode, encoding="utf-8") as opened:
            opened.write(text)
    except OSError as error:
        msg = f"cannot write {file} ({error.strerror}); name a file in a folder that is there"
        raise ConfigError(msg) from error


def print_json(document: dict[str, Any]) -> None:
    """Print the one JSON document of a command."""
    import json

    typer.echo(escape_json(json.dumps(document, indent=2, ensure_ascii=False)))
