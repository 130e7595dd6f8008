"""A mix written as a file: which requests a service gets, how often, and with which values."""

import csv
import json
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    StrictBool,
    StrictInt,
    StrictStr,
    ValidationError,
)

from perfkit.errors import ConfigError
from perfkit.load.plan import PLACEHOLDER, Mix, Request, Values
from perfkit.workloads.kinds import Section
from perfkit.workloads.loader import at_lines
from perfkit.workloads.problems import Problem, nearest, structural_problems
from perfkit.workloads.schema import printable_line

__all__ = ["TOKEN", "DrawItems", "drawn_tables", "read_mix"]

_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
_MOST_ROWS = 1_000_000

TOKEN = "token"  # noqa: S105 - the name of a column
"""A column of values drawn from items that is no attribute: the token of the item's user."""

DrawItems = Callable[
    [str, Sequence[str], int, Mapping[str, str | int | bool]], Sequence[tuple[str, ...]]
]
"""Returns, of at most so many items of a table, the attributes that are named, of those items that
have the values that are wanted."""


def _method(text: str) -> str:
    if text.upper() not in _METHODS:
        msg = f"expected a method; choose from {', '.join(_METHODS)}"
        raise ValueError(msg)
    return text.upper()


def _path(text: str) -> str:
    if not text.startswith("/") or text.startswith("//") or any(each <= " " for each in text):
        msg = "expected a path from its slash on, without spaces, such as /orders/{order}"
        raise ValueError(msg)
    return text


def _written(value: object) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        msg = "expected a text or a number"
        raise ValueError(msg)  # noqa: TRY004 - what pydantic hands on
    return str(value)


class _ValuesSection(Section):
    """What stands for one placeholder; one of `list`, `range`, `file`, `items`."""

    items_of: str | None = Field(None, alias="items")
    list_of: tuple[Annotated[str, BeforeValidator(_written)], ...] | None = Field(
        None, alias="list"
    )
    range_of: tuple[int, int] | None = Field(None, alias="range")
    file: str | None = None
    where: dict[str, StrictBool | StrictInt | StrictStr] = Field(default_factory=dict)
    most: int = Field(1000, ge=1, le=_MOST_ROWS)
    skew: float = Field(0.0, ge=0, le=10)


class _RequestSection(Section):
    """A kind of request."""

    method: Annotated[str, AfterValidator(_method)] = "GET"
    path: Annotated[str, AfterValidator(_path)]
    headers: dict[str, Annotated[str, AfterValidator(printable_line)]] = Field(default_factory=dict)
    body: str = ""
    json_body: dict[str, Any] | None = Field(None, alias="json")
    weight: float = Field(1.0, gt=0, le=1e6)
    expect: tuple[Annotated[int, Field(ge=100, le=599)], ...] = ()


class _MixSection(Section):
    """The whole file."""

    name: Annotated[str, AfterValidator(printable_line), Field(min_length=1, max_length=60)]
    description: str = ""
    headers: dict[str, Annotated[str, AfterValidator(printable_line)]] = Field(default_factory=dict)
    values: dict[str, _ValuesSection] = Field(default_factory=dict)
    requests: dict[str, _RequestSection] = Field(min_length=1)


class _Unreadable(Exception):  # noqa: N818 - never leaves this module
    """Why values are not there, in words."""


def read_mix(
    content: bytes,
    *,
    source: str,
    folder: Path,
    draw: DrawItems | None = None,
) -> Mix:
    """
    Return the mix that a file describes, with all its values.

    Args:
        content: Of the file.
        source: What to call it in messages.
        folder: Where paths in it begin.
        draw: Draws values from items of a table; None where there are no tables.

    Raises:
        ConfigError: It says what it may not: a line for each problem.
    """
    try:
        text = content.decode("utf-8-sig")
        data = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        msg = f"{source}: not valid TOML: {error}"
        raise ConfigError(msg) from error

    def wrong(problems: Sequence[Problem]) -> ConfigError:
        return at_lines(problems, text, source)

    try:
        section = _MixSection.model_validate(data)
    except ValidationError as error:
        raise wrong(structural_problems(_MixSection, data, error)) from error
    problems = list(_placeholder_problems(section))
    if problems:
        raise wrong(problems)
    values: dict[str, Values] = {}
    for name, each in section.values.items():
        columns = sorted({column for used, column in _used(section) if used == name and column})
        try:
            values[name] = _read_values(each, columns, folder, draw)
        except _Unreadable as error:
            problems.append(Problem.at("values", name, message=str(error)))
            continue
        unknown = [each for each in columns if each not in values[name].columns]
        problems += [
            Problem.at(
                "values",
                name,
                message=f"no column {column!r}; {nearest(column, values[name].columns)}",
            )
            for column in unknown
        ]
    if problems:
        raise wrong(problems)
    return Mix(
        name=section.name,
        values=values,
        requests=tuple(
            _to_request(name, each, section.headers) for name, each in section.requests.items()
        ),
    )


def drawn_tables(content: bytes) -> Mapping[str, int]:
    """Return the tables whose items a mix draws, and how many at most; none of a file that is wrong."""
    try:
        section = _MixSection.model_validate(tomllib.loads(content.decode("utf-8-sig")))
    except (ValueError, RecursionError):
        return {}
    tables: dict[str, int] = {}
    for each in section.values.values():
        if each.items_of is not None:
            tables[each.items_of] = max(each.most, tables.get(each.items_of, 0))
    return tables


def _to_request(name: str, section: _RequestSection, common: Mapping[str, str]) -> Request:
    headers, body = {**common, **section.headers}, section.body
    if section.json_body is not None:
        body = json.dumps(section.json_body, ensure_ascii=False)
        headers.setdefault("Content-Type", "application/json")
    return Request(
        name=name,
        method=section.method,
        path=section.path,
        headers=headers,
        body=body,
        weight=section.weight,
        expect=section.expect,
    )


def _texts(section: _MixSection) -> Iterator[tuple[tuple[str, ...], str]]:
    """Yield every text that may have placeholders, with where it is."""
    for name, text in section.headers.items():
        yield ("headers", name), text
    for name, request in section.requests.items():
        place = ("requests", name)
        yield (*place, "path"), request.path
        yield (*place, "body"), request.body
        if request.json_body is not None:
            yield (*place, "json"), json.dumps(request.json_body)
        for header, text in request.headers.items():
            yield (*place, "headers", header), text


def _used(section: _MixSection) -> Iterator[tuple[str, str]]:
    for _, text in _texts(section):
        yield from PLACEHOLDER.findall(text)


def _placeholder_problems(section: _MixSection) -> Iterator[Problem]:
    for place, text in _texts(section):
        for name, _ in PLACEHOLDER.findall(text):
            if name not in section.values:
                advice = (
                    nearest(name, section.values)
                    if section.values
                    else f"write [values.{name}] with a list, a range or a file"
                )
                yield Problem.at(*place, message=f"no values for {{{name}}}; {advice}")
    for name, request in section.requests.items():
        if request.body and request.json_body is not None:
            yield Problem.at("requests", name, "json", message="body is there, too; leave one out")
    for name, values in section.values.items():
        given = [
            key
            for key, value in (
                ("items", values.items_of),
                ("list", values.list_of),
                ("range", values.range_of),
                ("file", values.file),
            )
            if value is not None
        ]
        if len(given) != 1:
            found = " and ".join(given) or "none"
            yield Problem.at(
                "values",
                name,
                message=f"expected one of list, range, file and items, found {found}",
            )
        if values.where and values.items_of is None:
            yield Problem.at("values", name, "where", message="only items can be chosen by it")


def _read_values(
    section: _ValuesSection, columns: Sequence[str], folder: Path, draw: DrawItems | None
) -> Values:
    if section.items_of is not None:
        if draw is None:
            msg = (
                "items are drawn from tables, and no workload was named; give --workload, or a file"
            )
            raise _Unreadable(msg)
        if not columns:
            msg = "say which attribute is meant, as {name.attribute}"
            raise _Unreadable(msg)
        rows = draw(section.items_of, columns, section.most, section.where)
        if not rows:
            wanted = "".join(f" and {name} {value}" for name, value in section.where.items())
            msg = (
                f"no item of {section.items_of} has {', '.join(columns)}{wanted}; fill the table"
                " first"
            )
            raise _Unreadable(msg)
        return Values(columns=tuple(columns), rows=tuple(rows), skew=section.skew)
    if section.file is not None:
        return _read_file(folder / section.file, section.skew)
    if section.range_of is not None:
        first, last = section.range_of
        if not 0 <= last - first < _MOST_ROWS:
            msg = f"expected a range from low to high of at most {_MOST_ROWS:,} numbers"
            raise _Unreadable(msg)
        listed = tuple((str(each),) for each in range(first, last + 1))
    else:
        listed = tuple((each,) for each in section.list_of or ())
    if not listed:
        msg = "expected at least one value"
        raise _Unreadable(msg)
    return Values(columns=("value",), rows=listed, skew=section.skew)


def _read_file(path: Path, skew: float) -> Values:
    """Return the lines of a file, or the rows of a CSV file whose first line names the columns."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no UTF-8 text"
        msg = f"{path} cannot be read: {reason}"
        raise _Unreadable(msg) from error
    if path.suffix.lower() == ".csv":
        columns, *rows = [tuple(row) for row in csv.reader(text.splitlines()) if row] or [()]
        short = next((row for row in rows if len(row) != len(columns)), None)
        if short is not None:
            msg = f"{path}: expected {len(columns)} columns in each row, found {','.join(short)!r}"
            raise _Unreadable(msg)
    else:
        columns = ("value",)
        rows = [(line.strip(),) for line in text.splitlines() if line.strip()]
    if not rows:
        msg = f"{path} has no values"
        raise _Unreadable(msg)
    if len(rows) > _MOST_ROWS:
        msg = f"{path} has {len(rows):,} values; at most {_MOST_ROWS:,} are drawn from"
        raise _Unreadable(msg)
    return Values(columns=columns, rows=tuple(rows), skew=skew)
