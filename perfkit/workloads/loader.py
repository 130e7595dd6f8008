"""Finding a workload file, reading it, and saying what is wrong with it."""

import hashlib
import tomllib
from collections.abc import Sequence
from decimal import Decimal
from importlib import resources
from pathlib import Path

from pydantic import ValidationError

from perfkit.errors import WorkloadError
from perfkit.settings import WORKLOAD_FILE
from perfkit.workloads.build import build
from perfkit.workloads.checks import table_problems
from perfkit.workloads.model import Workload
from perfkit.workloads.names import circles, name_problems
from perfkit.workloads.problems import InvalidWorkloadError, Problem, structural_problems
from perfkit.workloads.questions import pattern_problems
from perfkit.workloads.schema import FileSection

__all__ = ["BUILT_IN", "load"]

BUILT_IN = ("courses",)
"""Names of the workloads that come with perfkit."""


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
        name_or_path = WORKLOAD_FILE if WORKLOAD_FILE.exists() else BUILT_IN[0]
    if name_or_path in BUILT_IN:
        content = resources.files("perfkit.workloads").joinpath(f"{name_or_path}.toml").read_bytes()
        return read(content, source="built-in")
    return read(_content(Path(name_or_path)), source=str(name_or_path))


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except (FileNotFoundError, NotADirectoryError) as error:
        files = sorted(str(file) for file in Path().glob("*.toml") if file.name != "pyproject.toml")
        msg = (
            f"no workload {str(path)!r}: neither a file nor a built-in workload; "
            f"choose from {', '.join([*BUILT_IN, *files])}, or give a path"
        )
        raise WorkloadError(msg) from error
    except OSError as error:
        msg = f"{path}: cannot be read: {error.strerror}"
        raise WorkloadError(msg) from error


def read(content: bytes, *, source: str) -> Workload:
    """
    Return the workload that *content* describes.

    Args:
        content: A workload file's bytes.
        source: What to call it in messages.

    Raises:
        InvalidWorkloadError: It says what it may not.
    """

    def wrong(problems: Sequence[Problem]) -> InvalidWorkloadError:
        return InvalidWorkloadError(source, problems)

    try:
        # some editors start a file with a byte order mark
        data = tomllib.loads(content.decode("utf-8-sig"), parse_float=Decimal)
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise wrong([Problem.at(message=f"not UTF-8 text (at line {line})")]) from error
    except (ValueError, ArithmeticError, RecursionError) as error:
        # besides syntax errors: numbers too long and lists too deep for Python
        reason = str(error) or "a number that is out of range"
        raise wrong([Problem.at(message=f"not valid TOML: {reason}")]) from error
    try:
        file = FileSection.model_validate(data)
    except ValidationError as error:
        raise wrong(structural_problems(FileSection, data, error)) from error
    # each step relies on the one before it
    problems = list(name_problems(file)) or list(circles(file))
    if problems:
        raise wrong(problems)
    workload = build(file, source=source, digest=hashlib.sha256(content).hexdigest())
    problems = [*table_problems(workload), *pattern_problems(workload)]
    if problems:
        raise wrong(problems)
    return workload
