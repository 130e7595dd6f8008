"""uvicorn's HTTP protocol with limits on what a request may say before its body, and problem bodies."""

from typing import Any

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from perfkit.service.problems import CONTENT_TYPE, encode_problem
from perfkit.service.timing import Trace

__all__ = ["LARGEST_HEAD_BYTES", "BoundedProtocol"]

LARGEST_HEAD_BYTES = 32 * 1024
"""Of the request line and all headers: enough for anybody's cookies."""


class _HeadTooLargeError(Exception):
    """Raised through the parser, which then ends the connection."""


class _HostError(Exception):
    """Raised through the parser likewise."""


class BoundedProtocol(HttpToolsProtocol):
    """
    Refuses endless headers while they come, instead of when they are complete.

    Also a request whose host is not told once. Source: RFC 9112, 3.2.
    """

    _head_bytes = 0
    _hosts = 0
    _host_is_wrong = False

    def on_message_begin(self) -> None:
        """Begin to count."""
        self._head_bytes = 0
        self._hosts = 0
        super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        """Count a part of the request line."""
        self._count(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Count a header."""
        self._count(len(name) + len(value))
        if len(name) == 4 and name.lower() == b"host":
            self._hosts += 1
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Begin to answer, if it is told once for which host this is."""
        if self._hosts != 1 and (self._hosts or self.parser.get_http_version() == "1.1"):
            self._host_is_wrong = True
            raise _HostError
        super().on_headers_complete()

    def _unsupported_upgrade_warning(self) -> None:
        """Say nothing: a server may ignore an upgrade, and there is nothing to install for it."""

    def _count(self, size_bytes: int) -> None:
        self._head_bytes += size_bytes
        if self._head_bytes > LARGEST_HEAD_BYTES:
            raise _HeadTooLargeError

    def send_400_response(self, msg: str) -> None:
        """Answer what is no HTTP, or too much of it, and hang up."""
        del msg
        status, detail = 400, "this is no HTTP request that can be read"
        if self._head_bytes > LARGEST_HEAD_BYTES:
            status = 431
            detail = f"the request line and the headers have more than {LARGEST_HEAD_BYTES} bytes"
        elif self._host_is_wrong:
            detail = "a request has one header Host; only HTTP/1.0 may leave it out"
        body = encode_problem(status, detail)
        headers: list[tuple[bytes, bytes]] = [
            (b"content-type", CONTENT_TYPE.encode()),
            (b"content-length", b"%d" % len(body)),
            (b"connection", b"close"),
            *Trace().headers(),
        ]
        lines = [b"%s: %s\r\n" % header for header in headers]
        transport: Any = self.transport
        transport.write(b"".join([STATUS_LINE[status], *lines, b"\r\n", body]))
        transport.close()
