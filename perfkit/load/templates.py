"""
Requests put together from a mix: which comes next, and what stands for its placeholders.

Only the standard library is imported: Locust must be the first that a process of its own loads.
"""

import random
from bisect import bisect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate
from urllib.parse import quote

from perfkit.load.plan import PLACEHOLDER, Mix, Request, Values

__all__ = ["Drawn", "RequestSource"]

_Rows = Mapping[str, tuple[str, ...]]
_Text = Callable[[_Rows], str]


@dataclass(frozen=True, slots=True)
class Drawn:
    """A request to make."""

    request: Request
    path: str
    headers: dict[str, str]
    body: str


class RequestSource:
    """
    Draws requests by their weights, and the values of each.

    Args:
        mix: What there is.
        seed: Another seed, other requests.
    """

    def __init__(self, mix: Mix, seed: int | None = None) -> None:
        self._random = random.Random(seed)  # noqa: S311 - no secret
        self._weights = list(accumulate(each.weight for each in mix.requests))
        self._values = {name: _cumulated(values) for name, values in mix.values.items()}
        self._compiled = [_Compiled(each, mix.values) for each in mix.requests]

    def draw(self) -> Drawn:
        """Return the next request."""
        compiled = self._compiled[self._pick(self._weights)]
        rows = {name: self._row(name) for name in compiled.uses}
        return Drawn(
            compiled.request,
            compiled.path(rows),
            {name: text(rows) for name, text in compiled.headers},
            compiled.body(rows),
        )

    def pause(self, mean_s: float) -> float:
        """Return how long a user thinks; exponential, as of users who know nothing of each other."""
        return self._random.expovariate(1 / mean_s) if mean_s > 0 else 0.0

    def _row(self, name: str) -> tuple[str, ...]:
        rows, weights = self._values[name]
        if weights is None:
            return self._random.choice(rows)
        return rows[self._pick(weights)]

    def _pick(self, cumulated: list[float]) -> int:
        return min(bisect(cumulated, self._random.random() * cumulated[-1]), len(cumulated) - 1)


def _cumulated(values: Values) -> tuple[tuple[tuple[str, ...], ...], list[float] | None]:
    if not values.skew:
        return values.rows, None
    weights = ((number + 1) ** -values.skew for number in range(len(values.rows)))
    return values.rows, list(accumulate(weights))


class _Compiled:
    """A request whose placeholders have been looked up."""

    def __init__(self, request: Request, values: Mapping[str, Values]) -> None:
        self.request = request
        texts = (request.path, request.body, *request.headers.values())
        self.uses = {name for text in texts for name, _ in PLACEHOLDER.findall(text)} & set(values)
        self.path = _compile(request.path, values, _quoted)
        self.body = _compile(request.body, values, str)
        self.headers = [
            (name, _compile(text, values, str)) for name, text in request.headers.items()
        ]


@lru_cache(maxsize=65536)
def _quoted(text: str) -> str:
    return quote(text, safe="")


def _compile(text: str, values: Mapping[str, Values], escape: Callable[[str], str]) -> _Text:
    """Return what fills a template; braces that name no value are left as they are."""
    parts: list[str | tuple[str, int]] = []
    end = 0
    for found in PLACEHOLDER.finditer(text):
        name, column = found.groups()
        if name not in values:
            continue
        parts.append(text[end : found.start()])
        parts.append((name, values[name].columns.index(column) if column else 0))
        end = found.end()
    parts.append(text[end:])
    if len(parts) == 1:
        return lambda _: text
    return lambda rows: "".join(
        part if isinstance(part, str) else escape(rows[part[0]][part[1]]) for part in parts
    )
