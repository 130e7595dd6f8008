"""One request to a service: through no proxy, and following no redirect."""

import http.client
import ssl
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from urllib.parse import urlsplit

__all__ = ["Response", "ask", "status_of"]

_LARGEST_BYTES = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """
    What a service answers.

    Args:
        status: Of the answer.
        location: Where it says to go instead; empty if it does not.
        body: Its beginning, if it is very large.
    """

    status: int
    location: str
    body: bytes


def ask(
    url: str,
    *,
    timeout_s: float,
    method: str = "GET",
    headers: Mapping[str, str] | None = None,
    verify: bool = True,
    most_bytes: int = _LARGEST_BYTES,
) -> Response:
    """
    Return the answer to one request.

    Args:
        url: Whole.
        timeout_s: Longest wait for anything to move.
        method: Of the request.
        headers: To send.
        verify: Whether it matters who signed the service's certificate.
        most_bytes: Of the body, to read.

    Raises:
        OSError: There is no answer, or not in time.
        ValueError: A header or the path cannot be sent.
    """
    path = url.partition("://")[2].partition("/")[2]
    try:
        with closing(_connection(url, timeout_s, verify=verify)) as connection:
            connection.request(method, f"/{path}", headers=headers or {})
            answer = connection.getresponse()
            return Response(
                status=answer.status,
                location=answer.headers.get("Location", ""),
                # reading nothing, too, would wait for the first chunk
                body=answer.read(most_bytes) if most_bytes else b"",
            )
    except http.client.HTTPException as error:
        raise ConnectionError(str(error) or type(error).__name__) from error


def _connection(url: str, timeout_s: float, *, verify: bool) -> http.client.HTTPConnection:
    parts = urlsplit(url)
    host = parts.hostname or ""
    # without a port http.client takes the end of an IPv6 address for one
    if parts.scheme != "https":
        return http.client.HTTPConnection(host, parts.port or 80, timeout=timeout_s)
    context = None if verify else ssl._create_unverified_context()  # noqa: S323, SLF001
    return http.client.HTTPSConnection(host, parts.port or 443, timeout=timeout_s, context=context)


def status_of(url: str, *, timeout_s: float, verify: bool = True) -> int | None:
    """Return the status that a service answers; None if there is no answer in time."""
    try:
        return ask(url, timeout_s=timeout_s, verify=verify, most_bytes=0).status
    except OSError:
        return None
