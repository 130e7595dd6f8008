"""Price and architecture files: TOML read into pydantic models, numbers as exact decimals."""

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, Strict, ValidationError

from perfkit.errors import ConfigError
from perfkit.workloads.problems import Problem, nearest, structural_problems

__all__ = ["Day", "Flag", "Number", "Section", "Tables", "Text", "Whole", "one_of"]
__all__ += ["problems_text", "read", "up_to"]

Model = TypeVar("Model", bound=BaseModel)


class Section(BaseModel):
    """A table of a file: every key known, nothing changed once read."""

    # most reports read no architecture file, and need not wait for what one may say
    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value.strip():
        msg = "expected a text"
        raise ValueError(msg)
    return value


def _number(value: Any) -> Decimal:
    # pydantic alone would take true for 1 and "2" for 2
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        msg = "expected a number"
        raise ValueError(msg)  # noqa: TRY004
    return Decimal(value)


def _day(value: Any) -> date:
    if isinstance(value, datetime) or not isinstance(value, date):
        msg = "expected a date without quotes, such as 2026-09-29"
        raise ValueError(msg)  # noqa: TRY004 - pydantic collects ValueErrors
    return value


def _tables(value: Any) -> Any:
    """Return the tables of a list; a single table is a list of one."""
    items = [value] if isinstance(value, dict) else value
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        msg = "expected one table or a list of tables"
        raise ValueError(msg)
    return items


Text = Annotated[str, BeforeValidator(_text)]
Number = Annotated[Decimal, BeforeValidator(_number), Field(allow_inf_nan=False)]
Whole = Annotated[int, Strict()]
Flag = Annotated[bool, Strict()]
Day = Annotated[date, BeforeValidator(_day)]
Tables = BeforeValidator(_tables)


def up_to(most: int, *, least: int = 0) -> Any:
    """Return the bounds of a number."""
    return Field(ge=least, le=most)


def one_of(kind: type[StrEnum]) -> BeforeValidator:
    """Return what reads one of a closed set of words, and names the nearest to any other."""

    def known(value: Any) -> StrEnum:
        try:
            return kind(value)
        except ValueError:
            msg = nearest(str(value), [each.value for each in kind])
            raise ValueError(msg) from None

    return BeforeValidator(known)


def _parse(content: bytes) -> dict[str, Any]:
    """
    Return what a file holds, numbers with a point as decimals: prices are exact.

    Raises:
        ValueError: It is no TOML.
    """
    try:
        # some editors start a file with a byte order mark
        return tomllib.loads(content.decode("utf-8-sig"), parse_float=Decimal)
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        msg = f"not UTF-8 text (at line {line})"
        raise ValueError(msg) from error
    except (ValueError, ArithmeticError, RecursionError) as error:
        # besides syntax errors: numbers too long and lists too deep for Python
        reason = str(error) or "a number that is out of range"
        msg = f"not valid TOML: {reason}"
        raise ValueError(msg) from error


def read(model: type[Model], content: bytes, *, source: str, error: type[ConfigError]) -> Model:
    """
    Return a file's content, valid in itself.

    Args:
        model: What a file of its kind may say.
        content: Its bytes.
        source: What to call it in messages.
        error: What to raise.

    Raises:
        ConfigError: Of the kind *error*: the file says what it may not, a line for each problem
            with the key, the value and what would be accepted.
    """
    data: Mapping[str, Any] = {}
    try:
        data = _parse(content)
        return model.model_validate(data)
    except ValidationError as invalid:
        problems = [_shortened(each) for each in structural_problems(model, data, invalid)]
    except ValueError as invalid:
        problems = [Problem.at(message=str(invalid))]
    raise error(problems_text(source, problems))


def _shortened(problem: Problem) -> Problem:
    """Leave out a table as a value: its key names it, and it is too long for a line."""
    long = problem.value is not None and problem.value.startswith(("{", "[{"))
    return replace(problem, value=None) if long else problem


def problems_text(source: str, problems: Iterable[Problem]) -> str:
    """Return one line for each problem of a file."""
    return "\n".join(f"{source}: {problem}" for problem in dict.fromkeys(problems))
