"""Finding a workload file, reading it, and saying what is wrong with it."""

import hashlib
import re
import tomllib
from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from importlib import resources
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from perfkit.errors import GateError, WorkloadError
from perfkit.settings import WORKLOAD_FILE
from perfkit.workloads.answers import unanswered
from perfkit.workloads.build import build, build_gates
from perfkit.workloads.checks import table_problems, target_problems
from perfkit.workloads.gates import Gate
from perfkit.workloads.hints import syntax_hint
from perfkit.workloads.lines import Lines
from perfkit.workloads.model import Ignored, Workload
from perfkit.workloads.names import circles, name_problems
from perfkit.workloads.parameter_files import with_parameter_files
from perfkit.workloads.problems import InvalidWorkloadError, Problem, structural_problems
from perfkit.workloads.questions import pattern_problems
from perfkit.workloads.schema import FileSection, GatesFile, IgnoreFile

__all__ = ["BUILT_IN_SOURCE", "at_lines", "doubts", "load", "load_gates", "load_ignored"]

_BUILT_IN = ("courses",)
"""Names of the workloads that come with perfkit."""

BUILT_IN_SOURCE = "built-in"
"""Where these come from, in place of a file."""


def load(name_or_path: str | Path | None = None) -> Workload:
    """
    Return a workload, valid in every respect that can be known without a table.

    Args:
        name_or_path: The name of a built-in workload or the path of a file; None takes
            `perfkit.toml` of the current folder if there is one, else the built-in `courses`.

    Raises:
        WorkloadError: No such workload, or a file that says what it may not: one line for each
            problem, with the file, the key, the value and what would be accepted.
    """
    if name_or_path is None:
        name_or_path = WORKLOAD_FILE if WORKLOAD_FILE.exists() else _BUILT_IN[0]
    if name_or_path in _BUILT_IN:
        content = resources.files("perfkit.workloads").joinpath(f"{name_or_path}.toml").read_bytes()
        return read(content, source=BUILT_IN_SOURCE)
    path = Path(name_or_path)
    return read(_content(path), source=str(name_or_path), folder=path.parent)


def doubts(workload: Workload, *, make_items: bool = False) -> list[Problem]:
    """
    Return what is allowed in a workload's file and hardly meant: parameters that no item has.

    Args:
        make_items: Look among the items as well, where they are few; takes up to a second.
    """
    problems = list(unanswered(workload, make_items=make_items))
    if not problems or not Path(workload.source).is_file():
        return problems
    lines = Lines(_content(Path(workload.source)).decode("utf-8-sig"))
    return [replace(problem, line=lines.line(problem.path)) for problem in problems]


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except (FileNotFoundError, NotADirectoryError) as error:
        files = sorted(str(file) for file in Path().glob("*.toml") if file.name != "pyproject.toml")
        msg = (
            f"no workload {str(path)!r}: neither a file nor a built-in workload; "
            f"choose from {', '.join([*_BUILT_IN, *files])}, or give a path"
        )
        raise WorkloadError(msg) from error
    except OSError as error:
        msg = f"{path}: cannot be read: {error.strerror}"
        raise WorkloadError(msg) from error


def _syntax_problem(text: str, reason: str) -> Problem:
    """Return what Python's TOML reader says, and what is meant by the line it stopped at."""
    place = _PLACE.search(reason)
    if place is None:
        return Problem.at(message=f"not valid TOML: {reason}")
    lines = text.splitlines() or [""]
    number = min(int(place["line"]) if place["line"] else len(lines), len(lines))
    where = f" (column {place['column']})" if place["column"] else " (at the end of the file)"
    message = f"not valid TOML: {reason[: place.start()].rstrip()}{where}"
    hint = syntax_hint(lines[number - 1], reason)
    return replace(
        Problem.at(message=f"{message}; {hint}" if hint else message),
        line=number,
    )


_PLACE = re.compile(r"\(at (?:line (?P<line>\d+), column (?P<column>\d+)|end of document)\)$")


def _parse(content: bytes, source: str) -> tuple[str, dict[str, Any]]:
    """
    Return a file's text and what it says.

    Raises:
        InvalidWorkloadError: It is no TOML.
    """
    try:
        # some editors start a file with a byte order mark
        text = content.decode("utf-8-sig")
        return text, tomllib.loads(text, parse_float=Decimal)
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        problem = replace(Problem.at(message="not UTF-8 text"), line=line)
        raise InvalidWorkloadError(source, [problem]) from error
    except (ValueError, ArithmeticError, RecursionError) as error:
        # besides syntax errors: numbers too long and lists too deep for Python
        reason = str(error) or "a number that is out of range"
        raise InvalidWorkloadError(source, [_syntax_problem(text, reason)]) from error


def at_lines(problems: Sequence[Problem], text: str, source: str) -> InvalidWorkloadError:
    """Return the error that names problems of a file with their lines."""
    lines = Lines(text)
    return InvalidWorkloadError(
        source, [replace(problem, line=lines.line(problem.path)) for problem in problems]
    )


def load_gates(path: Path) -> tuple[Gate, ...]:
    """
    Return the gates of a file that holds the `[gates]` of a workload and nothing else.

    Raises:
        GateError: There is no such file.
        WorkloadError: It says what it may not, a line for each problem.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        msg = (
            f"cannot read the gates in {path} ({error.strerror}); a file of gates begins with"
            ' [gates], and a line of it is overall = ["p95_ms < 200"]'
        )
        raise GateError(msg) from error
    text, data = _parse(content, str(path))
    try:
        file = GatesFile.model_validate(data)
    except ValidationError as error:
        problems = structural_problems(GatesFile, data, error)
        raise at_lines(problems, text, str(path)) from error
    return build_gates(file.gates)


def load_ignored(path: Path) -> tuple[Ignored, ...]:
    """
    Return the findings that a file says are known, whatever else is in it.

    Raises:
        WorkloadError: There is no such file, or its `[[ignore]]` says what it may not.
    """
    text, data = _parse(_content(path), str(path))
    data = {name: value for name, value in data.items() if name == "ignore"}
    try:
        file = IgnoreFile.model_validate(data)
    except ValidationError as error:
        problems = structural_problems(IgnoreFile, data, error)
        raise at_lines(problems, text, str(path)) from error
    return tuple(Ignored(**each.model_dump()) for each in file.ignore)


def read(content: bytes, *, source: str, folder: Path | None = None) -> Workload:
    """
    Return the workload that *content* describes.

    Args:
        content: A workload file's bytes.
        source: What to call it in messages.
        folder: Where paths in it begin; the current one if left out.

    Raises:
        InvalidWorkloadError: It says what it may not.
    """

    def wrong(problems: Sequence[Problem]) -> InvalidWorkloadError:
        return at_lines(problems, text, source)

    text, data = _parse(content, source)
    try:
        file = FileSection.model_validate(data)
    except ValidationError as error:
        raise wrong(structural_problems(FileSection, data, error)) from error
    # each step relies on the one before it
    file, problems = with_parameter_files(file, folder or Path())
    problems = problems or list(name_problems(file)) or list(circles(file))
    if problems:
        raise wrong(problems)
    workload = build(file, source=source, digest=hashlib.sha256(content).hexdigest())
    problems = [
        *table_problems(workload),
        *pattern_problems(workload),
        *target_problems(workload),
    ]
    if problems:
        raise wrong(problems)
    return workload
