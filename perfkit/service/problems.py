"""Answers other than success, raised wherever they are found out; `problem_bodies` writes them."""

from collections.abc import Mapping

__all__ = ["Problem", "unavailable"]

_RETRY_AFTER_S = 2


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


def unavailable(detail: str) -> Problem:
    """Return the 503 for what cannot be answered now."""
    return Problem(503, detail, headers={"Retry-After": str(_RETRY_AFTER_S)})
