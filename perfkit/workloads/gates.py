"""Gates as people write them: `GET /api/courses: p95_ms < 200`; parsed, never evaluated."""

import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import NoReturn

from perfkit.errors import GateError
from perfkit.workloads.problems import nearest

__all__ = ["OVERALL", "Comparator", "Gate", "parse_gate", "plain_number"]

OVERALL = "overall"
"""What a gate is written for that holds all requests together."""


class _Dimension(StrEnum):
    """What a metric's values are, and so in which units a limit may be given."""

    TIME = "a time in milliseconds"
    SHARE = "a share from 0 to 1"
    NUMBER = "a number"


_METRICS: Mapping[str, _Dimension] = {
    "mean_ms": _Dimension.TIME,
    "p50_ms": _Dimension.TIME,
    "p90_ms": _Dimension.TIME,
    "p95_ms": _Dimension.TIME,
    "p99_ms": _Dimension.TIME,
    "max_ms": _Dimension.TIME,
    "service_mean_ms": _Dimension.TIME,
    "service_p95_ms": _Dimension.TIME,
    "service_p99_ms": _Dimension.TIME,
    "requests": _Dimension.NUMBER,
    "rate": _Dimension.NUMBER,
    "errors": _Dimension.NUMBER,
    "error_rate": _Dimension.SHARE,
    "status_4xx": _Dimension.NUMBER,
    "status_5xx": _Dimension.NUMBER,
    "hit_rate": _Dimension.SHARE,
    "rcu_per_request": _Dimension.NUMBER,
    "wcu_per_request": _Dimension.NUMBER,
    "usd_per_million": _Dimension.NUMBER,
    # of one core, so above 1 where several are busy
    "cpu": _Dimension.NUMBER,
    "unhealthy": _Dimension.NUMBER,
}
"""What a gate can be about."""


class Comparator(StrEnum):
    """How a measured value must stand to the limit."""

    BELOW = "<"
    AT_MOST = "<="
    ABOVE = ">"
    AT_LEAST = ">="
    EQUAL = "=="

    def holds(self, value: float, limit: float) -> bool:
        """Tell whether a measured value keeps a limit."""
        return _COMPARE[self](value, limit)


_COMPARE: Mapping[Comparator, Callable[[float, float], bool]] = {
    Comparator.BELOW: operator.lt,
    Comparator.AT_MOST: operator.le,
    Comparator.ABOVE: operator.gt,
    Comparator.AT_LEAST: operator.ge,
    Comparator.EQUAL: operator.eq,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """
    A condition on one figure.

    Args:
        metric: One of `_METRICS`.
        comparator: How the figure must stand to the limit.
        limit: In the metric's own unit.
        scope: An endpoint, `GET /api/courses`, or an access pattern; empty for all requests.
    """

    metric: str
    comparator: Comparator
    limit: float
    scope: str = ""

    @property
    def condition(self) -> str:
        """The gate without what it is about: `p95_ms < 200`."""
        return f"{self.metric} {self.comparator} {plain_number(self.limit)}"

    def __str__(self) -> str:
        return f"{self.scope}: {self.condition}" if self.scope else self.condition


def plain_number(value: float) -> str:
    """Return a number in digits alone, as short as tells it from every other."""
    text = format(Decimal(repr(value)), "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


_WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_SYMBOL = re.compile(r"[<>=!]+")
_NUMBER = re.compile(r"[+-]?(?:[0-9][0-9_]*(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
# letters that follow at once are meant as one, whichever they are
_UNIT = re.compile(r"%|(?<=[0-9.])[A-Za-z]+|(?:ms|s)\b")
# as k6 writes them
_CALLED = re.compile(r"p\(([0-9.]+)\)|(avg|med)\b")
_ALLOWED = {
    _Dimension.TIME: "ms or s, or no unit",
    _Dimension.SHARE: "%, or no unit",
    _Dimension.NUMBER: "no unit",
}
_TIME_UNITS = {"ms": Decimal(1), "s": Decimal(1000)}


def parse_gate(text: str, *, scope: str | None = None) -> Gate:
    """
    Return the gate that a text says: a metric, a comparison and a number.

    Before it may stand what it is about, and a colon. Times may be given as `200ms` or `0.2s`, and
    shares as `90%`; with a unit a time's metric needs none: `p95 < 200ms`.

    Args:
        text: For example `GET /api/courses: p95_ms < 200`.
        scope: What it is about, where that is written elsewhere.

    Raises:
        GateError: It says something else; the message names the column and what would be accepted.
    """
    about, colon, _ = text.rpartition(":")
    if colon and scope is not None:
        reader = _Reader(text, 0)
        reader.fail(f"what it is about is its key; expected it without {about.strip()!r}")
    named = scope if scope is not None else about.strip().strip("\"'")
    if colon and not named:
        _Reader(text, 0).fail("expected an endpoint or an access pattern before the colon")
    reader = _Reader(text, len(about) + len(colon))
    metric, column = reader.metric(), reader.column
    comparator = reader.comparator()
    limit, unit = reader.number(), reader.unit()
    reader.finish()
    metric, limit = _fit(reader, metric, limit, unit, column)
    return Gate(
        metric=metric,
        comparator=comparator,
        limit=float(limit),
        scope="" if named == OVERALL else named,
    )


def _fit(
    reader: "_Reader", metric: str, limit: Decimal, unit: str, column: int
) -> tuple[str, Decimal]:
    """Return metric and limit in the metric's own unit."""
    if metric not in _METRICS:
        # a time without a unit of its own, which the limit then has
        metric = f"{metric}_ms"
        if not unit:
            reader.fail_at(column, f"expected a unit; write {metric}, or {limit}ms for the limit")
    dimension = _METRICS[metric]
    if unit and dimension is _Dimension.TIME and unit in _TIME_UNITS:
        limit *= _TIME_UNITS[unit]
    elif unit == "%" and dimension is _Dimension.SHARE:
        limit /= 100
    elif unit:
        reader.fail(f"{metric} is {dimension}; expected {_ALLOWED[dimension]}, got {unit!r}")
    if dimension is _Dimension.SHARE and not 0 <= limit <= 1:
        meant = (
            f"; write {plain_number(float(limit / 100))} or {limit}%" if 1 < limit <= 100 else ""
        )
        reader.fail(f"{metric} is {dimension}, got {limit}{meant}")
    return metric, limit


class _Reader:
    """Reads a gate from left to right and says where it is no gate."""

    def __init__(self, text: str, start: int) -> None:
        self._text = text
        self._at = start
        self.column = start + 1

    def fail(self, message: str) -> NoReturn:
        """Raise the error for what was read last."""
        self.fail_at(self.column, message)

    def fail_at(self, column: int, message: str) -> NoReturn:
        msg = f"gate {self._text!r}, column {column}: {message}"
        raise GateError(msg)

    def _take(self, pattern: re.Pattern[str]) -> str:
        """Return what comes next, if it is of a kind; empty if it is not."""
        while self._at < len(self._text) and self._text[self._at].isspace():
            self._at += 1
        self.column = self._at + 1
        found = pattern.match(self._text, self._at)
        if found is None:
            return ""
        self._at = found.end()
        return found[0]

    def _next(self) -> str:
        rest = self._text[self._at :].split(maxsplit=1)
        return repr(rest[0]) if rest else "the end"

    def metric(self) -> str:
        """Return a metric's name, also one of a time without its unit."""
        called = _CALLED.match(self._text[self._at :].lstrip())
        word = self._take(_WORD)
        if called is not None:
            name = (
                f"p{called[1]}_ms" if called[1] else {"avg": "mean_ms", "med": "p50_ms"}[called[2]]
            )
            advice = f"did you mean {name!r}?" if name in _METRICS else nearest(name, _METRICS)
            self.fail(f"no metric {called[0]!r}; {advice}")
        if not word:
            self.fail(f"expected a metric, such as p95_ms, got {self._next()}")
        if word not in _METRICS and f"{word}_ms" not in _METRICS:
            self.fail(f"no metric {word!r}; {nearest(word, _METRICS)}")
        return word

    def comparator(self) -> Comparator:
        """Return how the figure is compared."""
        symbol = self._take(_SYMBOL)
        if symbol not in set(Comparator):
            meant = {"=": "; write ==", "=<": "; write <=", "=>": "; write >="}.get(symbol, "")
            got = repr(symbol) if symbol else self._next()
            self.fail(f"expected one of {' '.join(Comparator)}, got {got}{meant}")
        return Comparator(symbol)

    def number(self) -> Decimal:
        """Return the limit."""
        text = self._take(_NUMBER)
        if not text:
            self.fail(f"expected a number, got {self._next()}")
        number = Decimal(text)
        if float(number) in {float("inf"), float("-inf")}:
            self.fail(f"{text} is too large a number")
        return number

    def unit(self) -> str:
        """Return the unit of the limit; empty if there is none."""
        return self._take(_UNIT)

    def finish(self) -> None:
        """Make sure that nothing follows."""
        column = self.column
        self._take(re.compile(""))
        if self._at < len(self._text):
            self.fail(f"expected the end, got {self._next()}; a gate is one comparison")
        self.column = column
