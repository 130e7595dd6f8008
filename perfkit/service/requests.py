"""Requests taken apart by hand: query, path, body; everything wrong with one is a problem."""

import json
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl

from perfkit.service.paging import LARGEST_PAGE, Page, Pager
from perfkit.service.problems import Problem
from perfkit.service.questions import Question
from perfkit.service.tokens import is_identifier

__all__ = ["LARGEST_BODY_BYTES", "invalid", "read_body", "read_identifier", "read_page"]
__all__ += ["read_query"]

LARGEST_BODY_BYTES = 64 * 1024

_MOST_PARAMETERS = 20

_QUERY, _BODY, _LIMIT, _NEXT = "query", "body", "limit", "next"
_DIGITS = re.compile(r"[0-9]{1,9}")


def invalid(place: str, reason: str) -> Problem:
    """Return the 422 that names what is wrong and where."""
    return Problem(422, f"{place}: {reason}", errors=((place, reason),))


def read_query(raw: bytes) -> dict[str, str]:
    """
    Return the parameters of a query string, each given once.

    Raises:
        Problem: 422.
    """
    if not raw:
        return {}
    try:
        pairs = parse_qsl(
            raw.decode("ascii"),
            keep_blank_values=True,
            errors="strict",
            max_num_fields=_MOST_PARAMETERS,
        )
    except UnicodeDecodeError as error:
        raise invalid(_QUERY, "it is not UTF-8") from error
    except ValueError as error:
        raise invalid(_QUERY, f"it has more than {_MOST_PARAMETERS} parameters") from error
    parameters = dict(pairs)
    if len(parameters) < len(pairs):
        raise invalid(_QUERY, "a parameter is given twice")
    return parameters


def read_identifier(place: str, value: object) -> str:
    """
    Return *value* if it can be the name of something.

    Raises:
        Problem: 422.
    """
    if value is None:
        raise invalid(place, "it is missing")
    if not is_identifier(value):
        raise invalid(place, "expected 1 to 64 printable ASCII characters")
    return str(value)


def read_page(query: Mapping[str, str], pager: Pager, question: Question) -> Page:
    """
    Return which page of the answer to *question* is wanted.

    Raises:
        Problem: 422.
    """
    limit = LARGEST_PAGE
    if _LIMIT in query:
        text = query[_LIMIT]
        limit = int(text) if _DIGITS.fullmatch(text) else 0
        if not 1 <= limit <= LARGEST_PAGE:
            raise invalid(_LIMIT, f"expected a whole number from 1 to {LARGEST_PAGE}")
    if _NEXT not in query:
        return Page(limit=limit)
    after = pager.read(query[_NEXT], question.text)
    if after is None:
        reason = "it is not a token this service gave for this question; start without one"
        raise invalid(_NEXT, reason)
    return Page(limit=limit, after=after)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return the members of an object; of two by one name readers keep different ones."""
    members = dict(pairs)
    if len(members) < len(pairs):
        raise invalid(_BODY, "a member is given twice")
    return members


async def read_body(scope: Any, receive: Any, members: frozenset[str]) -> dict[str, Any]:
    """
    Return the JSON object in a request's body.

    Args:
        members: What it may have.

    Raises:
        Problem: 413, 415 or 422.
    """
    content_type = dict(scope["headers"]).get(b"content-type", b"application/json")
    if content_type.partition(b";")[0].strip().lower() != b"application/json":
        raise Problem(415, "the body must be application/json")
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Problem(400, "the body ended early")
        body += message.get("body", b"")
        if len(body) > LARGEST_BODY_BYTES:
            raise Problem(413, f"the body is larger than {LARGEST_BODY_BYTES} bytes")
        if not message.get("more_body"):
            break
    try:
        content = json.loads(body.decode(), object_pairs_hook=_once)
    except UnicodeDecodeError as error:
        raise invalid(_BODY, "it is not UTF-8") from error
    except (ValueError, RecursionError) as error:
        raise invalid(_BODY, "it is not JSON") from error
    if not isinstance(content, dict):
        raise invalid(_BODY, "expected a JSON object")
    if unknown := content.keys() - members:
        raise invalid(_BODY, f"it has a member {min(unknown)!r:.80} which means nothing here")
    return content
