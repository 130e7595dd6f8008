"""Refusals and failures as problem bodies. Source: RFC 9457, Problem Details for HTTP APIs."""

import json
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

__all__ = ["CONTENT_TYPE", "Problem", "encode_problem"]

CONTENT_TYPE = "application/problem+json"


class Problem(Exception):  # noqa: N818 - a problem is what RFC 9457 calls it
    """
    An answer other than success, raised wherever it is found out.

    Args:
        status: HTTP status.
        detail: What is wrong with this request and what to do about it.
        headers: Sent along, e.g. Retry-After.
        errors: Where in the request, as (place, reason) pairs.
    """

    def __init__(
        self,
        status: int,
        detail: str,
        *,
        headers: Mapping[str, str] | None = None,
        errors: tuple[tuple[str, str], ...] = (),
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.headers = dict(headers or {})
        self.errors = errors

    @property
    def body(self) -> bytes:
        """The problem as JSON."""
        return encode_problem(self.status, self.detail, self.errors)


def encode_problem(status: int, detail: str, errors: tuple[tuple[str, str], ...] = ()) -> bytes:
    """Return a problem body: type, title, status, detail and, where known, the places."""
    content: dict[str, Any] = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
    }
    if errors:
        content["errors"] = [{"place": place, "reason": reason} for place, reason in errors]
    return json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
