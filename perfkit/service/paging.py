"""
Pages of an answer, and the tokens that lead from one to the next.

The whole answer is what is cached; a page is cut out of it. A token holds the key of the last
row before it, so that rows which come or go meanwhile move no other row to another page, and it
is signed together with the question: one for other rows or of one's own making is refused.
"""

import base64
import binascii
import hmac
import json
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from perfkit.service.encoding import compose_list, count_list, decode_list, encode, split_list
from perfkit.service.questions import Question

__all__ = ["LARGEST_PAGE", "Page", "Pager"]

LARGEST_PAGE = 100

_SIGNATURE_BYTES = 16
_LONGEST_TOKEN = 512


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """A part of an answer: at most *limit* rows, those after a key."""

    limit: int = LARGEST_PAGE
    after: tuple[str, ...] | None = None


class Pager:
    """
    Cuts pages out of whole answers.

    Args:
        secret: Key of the tokens' signatures.
    """

    def __init__(self, secret: str) -> None:
        self._key = sha256(b"perfkit pages " + secret.encode()).digest()

    def cut(self, body: bytes, page: Page, question: Question) -> bytes:
        """
        Return one page of a whole answer, without decoding the rows on it.

        Args:
            body: The whole answer.
            page: Which part.
            question: What was asked.
        """
        total = count_list(body)
        if page.after is None and total <= page.limit:
            return body
        order = question.kind.order
        lines = split_list(body)
        start = 0
        if page.after is not None:
            start = bisect_right(lines, page.after, key=lambda line: _key(json.loads(line), order))
        chosen = lines[start : start + page.limit]
        following = None
        if start + page.limit < len(lines):
            following = self._token(question.text, _key(json.loads(chosen[-1]), order))
        return compose_list(chosen, total, following)

    def encode(self, body: bytes, page: Page, question: Question) -> bytes:
        """Return the same page as `cut`, by way of decoding and encoding all of it."""
        order = question.kind.order
        rows = decode_list(body)
        total = len(rows)
        if page.after is not None:
            rows = [row for row in rows if _key(row, order) > page.after]
        chosen = rows[: page.limit]
        following = None
        if len(chosen) < len(rows):
            following = self._token(question.text, _key(chosen[-1], order))
        return compose_list([encode(row) for row in chosen], total, following)

    def _token(self, question: str, after: tuple[str, ...]) -> str:
        content = encode(after)
        signed = self._signature(question, content) + content
        return _text(signed)

    def _signature(self, question: str, content: bytes) -> bytes:
        message = question.encode() + b"\0" + content
        return hmac.digest(self._key, message, "sha256")[:_SIGNATURE_BYTES]

    def read(self, token: str, question: str) -> tuple[str, ...] | None:
        """Return the key in a token of this question, None if it is no such token."""
        if len(token) > _LONGEST_TOKEN:
            return None
        try:
            padded = token.encode("ascii") + b"=" * (-len(token) % 4)
            signed = base64.b64decode(padded, altchars=b"-_", validate=True)
        except (binascii.Error, ValueError):
            return None
        if _text(signed) != token:
            # the same bytes spelled differently: nobody was given that
            return None
        signature, content = signed[:_SIGNATURE_BYTES], signed[_SIGNATURE_BYTES:]
        if not hmac.compare_digest(signature, self._signature(question, content)):
            return None
        return tuple(json.loads(content))


def _text(token: bytes) -> str:
    return base64.urlsafe_b64encode(token).rstrip(b"=").decode()


def _key(row: dict[str, Any], order: Sequence[str]) -> tuple[str, ...]:
    return tuple(str(row[name]) for name in order)
