"""
Pages of a list, and the tokens that lead from one to the next.

A token holds the key of the last row before its page, so that rows which come or go meanwhile
move no other row to another page.
"""

import base64
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Self

from fastapi import Query

from perfkit.service.problems import Problem

__all__ = ["LARGEST_PAGE", "Following", "Key", "Limit", "Page"]

LARGEST_PAGE = 100

_LONGEST_TOKEN = 1024
_LONGEST_PART = 256

Key = tuple[str, ...]
"""What rows are ordered by, and which together names one."""

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Page:
    """A part of a list: at most *limit* rows, those after a key."""

    limit: int = LARGEST_PAGE
    after: Key = ()

    @classmethod
    def read(cls, limit: int, following: str | None) -> Self:
        """
        Return the page that a request asks for.

        Raises:
            Problem: 422: *following* is no token of this service's.
        """
        return cls(limit) if following is None else cls(limit, _read(following))

    @property
    def variant(self) -> str:
        """A name under which this page can be kept; another page, another name."""
        return f"{self.limit} {self.after}"

    def of(self, rows: Sequence[Row], key: Callable[[Row], Key]) -> dict[str, Any]:
        """Return the page of a whole list that is in order of *key*."""
        rest = [row for row in rows if key(row) > self.after]
        return {**self.part(rest[: self.limit + 1], key), "total": len(rows)}

    def part(self, rows: Sequence[Row], key: Callable[[Row], Key]) -> dict[str, Any]:
        """Return the page of which *rows* are the first, and one more if there is one."""
        items = rows[: self.limit]
        following = _token(key(items[-1])) if len(rows) > self.limit else None
        return {"total": None, "items": items, "next": following}


def _token(key: Key) -> str:
    return base64.urlsafe_b64encode(json.dumps(key).encode()).rstrip(b"=").decode()


def _read(token: str) -> Key:
    try:
        content = base64.urlsafe_b64decode(token.encode() + b"=" * (-len(token) % 4))
        key = json.loads(content)
        if isinstance(key, list) and len(key) in {1, 2} and all(map(_may_be_in_a_key, key)):
            return tuple(key)
    except (ValueError, RecursionError):
        pass
    reason = "it is not a token this service gave; start without one"
    raise Problem(422, f"next: {reason}", errors=(("next", reason),))


def _may_be_in_a_key(part: object) -> bool:
    return isinstance(part, str) and 0 < len(part) <= _LONGEST_PART and part.isprintable()


Limit = Annotated[int, Query(ge=1, le=LARGEST_PAGE, description="Items on a page.")]
Following = Annotated[
    str | None,
    Query(alias="next", max_length=_LONGEST_TOKEN, description="Of the page before."),
]
