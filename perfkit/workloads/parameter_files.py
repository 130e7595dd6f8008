"""Parameters of a pattern in a file of their own: a set of values in each line, as JSON."""

import json
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from perfkit.workloads.problems import Problem
from perfkit.workloads.schema import MAX_PARAMETER_SETS, SAMPLE, FileSection, ParameterSet

__all__ = ["with_parameter_files"]

_SET: TypeAdapter[dict[str, Any]] = TypeAdapter(ParameterSet)


class _UnreadableError(Exception):
    """What is wrong with a file of parameters."""


def with_parameter_files(file: FileSection, folder: Path) -> tuple[FileSection, list[Problem]]:
    """
    Return the workload file with the parameters that stand in other files, and what is wrong there.

    Args:
        file: As it is written.
        folder: Where its paths begin.
    """
    problems: list[Problem] = []
    patterns = dict(file.patterns)
    for name, section in file.patterns.items():
        path = section.parameters_from
        if path is None or path == SAMPLE:
            continue
        message = ""
        if section.parameters:
            message = "the values are in a file; expected parameters to be left out"
        else:
            try:
                sets = tuple(_sets(folder / path))
            except _UnreadableError as error:
                message = str(error)
            else:
                patterns[name] = section.model_copy(update={"parameters": sets})
        if message:
            place = "patterns", name, "parameters_from"
            problems.append(Problem.at(*place, value=path, message=message))
    return file.model_copy(update={"patterns": patterns}), problems


def _sets(path: Path) -> Iterator[dict[str, Any]]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        msg = (
            f'cannot be read ({error.strerror}); expected "{SAMPLE}", or a file beside the'
            " workload with a set of values in each line, as JSON"
        )
        raise _UnreadableError(msg) from error
    except UnicodeDecodeError as error:
        msg = "not UTF-8 text"
        raise _UnreadableError(msg) from error
    count = 0
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        count += 1
        if count > MAX_PARAMETER_SETS:
            msg = f"expected at most {MAX_PARAMETER_SETS} lines: each is asked in every form"
            raise _UnreadableError(msg)
        yield _set(line, number)
    if not count:
        msg = "expected at least one line with a set of values, as JSON"
        raise _UnreadableError(msg)


def _set(line: str, number: int) -> dict[str, Any]:
    try:
        values = json.loads(line, parse_float=Decimal)
    except (ValueError, RecursionError) as error:
        msg = f"line {number} is no JSON: {error}"
        raise _UnreadableError(msg) from error
    try:
        return _SET.validate_python(values)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        named = " ".join(str(part) for part in first["loc"][:1])
        reason = str(first.get("ctx", {}).get("error", "")) or (
            'expected parameters and their values, such as {"user": "u1"}'
        )
        msg = f"line {number}{f', {named}' if named else ''}: {reason}"
        raise _UnreadableError(msg) from error
