"""TOML read key by key into exact values, with everything that is wrong with it collected on the way."""

import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any, Final, TypeVar

from perfkit.workloads.problems import Problem, nearest

__all__ = ["Fields", "describe", "parse"]

_REQUIRED: Final = object()

Choice = TypeVar("Choice", bound=StrEnum)


@dataclass(slots=True)
class Fields:
    """
    A table of a file.

    Each key is asked for by what it should hold; `finish` then names the keys that nobody asked
    for. A value that will not do is noted as a problem and stood in for, so that one reading
    finds every problem of a file.

    Args:
        data: The table.
        path: Where it is in the file.
        problems: Shared by all tables of the file.
    """

    data: Mapping[str, Any]
    path: tuple[str | int, ...]
    problems: list[Problem]
    _asked: set[str] = field(default_factory=set)

    def has(self, *keys: str) -> bool:
        """Return whether one of the keys is there; each of them is one that may be."""
        self._asked.update(keys)
        return any(key in self.data for key in keys)

    def text(self, key: str, default: str | None = None) -> str:
        """Return a text that is not empty; required unless there is a default."""
        value = self._get(key, "a text", default if default is not None else _REQUIRED)
        if value is None:
            return ""
        if not isinstance(value, str) or not value.strip():
            self.wrong(key, "expected a text")
            return ""
        return value

    def choice(self, key: str, kind: type[Choice], default: Choice) -> Choice:
        """Return one of a closed set of words."""
        value = self._get(key, "a word", default)
        try:
            return kind(value)
        except ValueError:
            self.wrong(key, nearest(str(value), [each.value for each in kind]))
            return default

    def flag(self, key: str, *, default: bool) -> bool:
        """Return true or false."""
        value = self._get(key, "true or false", default)
        if not isinstance(value, bool):
            self.wrong(key, "expected true or false")
            return default
        return value

    def number(
        self,
        key: str,
        *,
        default: Decimal | int | None = None,
        most: int,
        above: int | None = None,
    ) -> Decimal:
        """
        Return a number from 0 to *most*, exactly as it is written.

        Args:
            key: Its key.
            default: What stands in for a missing one; None makes it required.
            most: The largest that can be meant.
            above: It must be more than this, too.
        """
        value = self._get(key, "a number", default if default is not None else _REQUIRED)
        if value is None:
            return Decimal(1)
        if isinstance(value, bool) or not isinstance(value, int | Decimal):
            self.wrong(key, "expected a number")
            return Decimal(1)
        number = Decimal(value)
        if not number.is_finite():
            self.wrong(key, "expected a finite number")
        elif above is not None and number <= above:
            self.wrong(key, f"expected more than {above:,}")
        elif number < 0:
            self.wrong(key, "expected at least 0")
        elif number > most:
            self.wrong(key, f"expected at most {most:,}")
        else:
            return number
        return Decimal(1)

    def whole(self, key: str, *, default: int | None = None, least: int = 0, most: int) -> int:
        """Return a whole number within bounds; required unless there is a default."""
        value = self._get(key, "a whole number", default if default is not None else _REQUIRED)
        if value is None:
            return least
        if isinstance(value, bool) or not isinstance(value, int):
            self.wrong(key, "expected a whole number")
        elif value < least:
            self.wrong(key, f"expected at least {least:,}")
        elif value > most:
            self.wrong(key, f"expected at most {most:,}")
        else:
            return value
        return least

    def day(self, key: str) -> date | None:
        """Return a date, or None where there is none."""
        value = self._get(key, "a date", None)
        if value is None:
            return None
        if isinstance(value, datetime) or not isinstance(value, date):
            self.wrong(key, "expected a date without quotes, such as 2026-09-29")
            return None
        return value

    def table(self, key: str, *, required: bool = False) -> "Fields | None":
        """Return a table inside this one, or None where there is none."""
        value = self._get(key, f"a table, such as [{key}]", _REQUIRED if required else None)
        if value is None:
            return None
        if not isinstance(value, dict):
            self.wrong(key, "expected a table")
            return None
        return self._inner(key, value)

    def named_tables(self, key: str, *, required: bool = False) -> Iterator[tuple[str, "Fields"]]:
        """Yield the tables of a table with names of the writer's choice."""
        outer = self.table(key, required=required)
        if outer is None:
            return
        for name in outer.data:
            inner = outer.table(name)
            if inner is not None:
                yield name, inner

    def tables(self, key: str) -> "Iterator[Fields]":
        """Yield the tables of a list of tables; a single table is a list of one."""
        value = self._get(key, "a list of tables", [])
        items = [value] if isinstance(value, dict) else value
        if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
            self.wrong(key, f"expected tables, such as [[{key}]]")
            return
        for number, item in enumerate(items):
            place = (key,) if item is value else (key, number)
            yield Fields(item, (*self.path, *place), self.problems)

    def texts(self, key: str) -> tuple[str, ...]:
        """Return a list of texts; a missing one is empty."""
        value = self._get(key, "a list of texts", [])
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            self.wrong(key, "expected a list of texts")
            return ()
        return tuple(value)

    def wrong(self, key: str | None, message: str) -> None:
        """Note that a key's value, or without a key the table itself, will not do."""
        path = self.path if key is None else (*self.path, key)
        value = self.data if key is None else self.data.get(key)
        shown = None if isinstance(value, dict) else value
        self.problems.append(Problem.at(*path, message=message, value=shown))

    def finish(self) -> None:
        """Note the keys that nobody asked for, each with the nearest that would have been read."""
        for key in self.data:
            if key not in self._asked:
                message = f"no such key; {nearest(key, self._asked)}"
                self.problems.append(Problem.at(*self.path, key, message=message))

    def _get(self, key: str, wanted: str, default: Any) -> Any:
        self._asked.add(key)
        if key in self.data:
            return self.data[key]
        if default is _REQUIRED:
            self.problems.append(Problem.at(*self.path, key, message=f"missing; expected {wanted}"))
            return None
        return default

    def _inner(self, key: str, value: Mapping[str, Any]) -> "Fields":
        return Fields(value, (*self.path, key), self.problems)


def parse(content: bytes, problems: list[Problem]) -> Fields:
    """
    Return a file's top level; of what is no TOML an empty one, with the problem noted.

    Numbers with a point become decimals: prices are exact.
    """
    data: Mapping[str, Any] = {}
    try:
        # some editors start a file with a byte order mark
        data = tomllib.loads(content.decode("utf-8-sig"), parse_float=Decimal)
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        problems.append(Problem.at(message=f"not UTF-8 text (at line {line})"))
    except (ValueError, ArithmeticError, RecursionError) as error:
        # besides syntax errors: numbers too long and lists too deep for Python
        reason = str(error) or "a number that is out of range"
        problems.append(Problem.at(message=f"not valid TOML: {reason}"))
    return Fields(data, (), problems)


def describe(source: str, problems: Sequence[Problem] | Iterable[Problem]) -> str:
    """Return one line for each problem of a file."""
    return "\n".join(f"{source}: {problem}" for problem in dict.fromkeys(problems))
