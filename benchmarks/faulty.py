"""A proxy before a DynamoDB that throttles, fails, resets, cuts answers and lets credentials expire."""

import contextlib
import http.client
import http.server
import json
import random
import socket
import threading
import time
import zlib
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from typing import Any
from urllib.parse import urlsplit

__all__ = ["SHORT_TIMEOUT", "Fault", "FaultyProxy", "faulty"]

SHORT_TIMEOUT = (
    "from perfkit.dynamodb.targets import Target\n"
    "Target.client.__kwdefaults__['read_timeout_s'] = 0.5\n"
    "from perfkit.cli import main\n"
    "main()\n"
)
"""A program that is perfkit with little patience, so that timeouts can be tried by the dozen."""

_HANG_S = 1.0


class Fault(StrEnum):
    """What goes wrong with one request."""

    THROTTLED = "throttled"
    FAILED = "answered 500, not done"
    FAILED_AFTER = "answered 500, done all the same"
    RESET = "reset, not done"
    RESET_AFTER = "reset, done all the same"
    HALF = "answered by half"
    TIMEOUT = "no answer in time, done all the same"
    EXPIRED = "credentials expired"


_ANSWERS = {
    Fault.THROTTLED: (400, "com.amazonaws.dynamodb.v20120810#ThrottlingException"),
    Fault.FAILED: (500, "com.amazonaws.dynamodb.v20120810#InternalServerError"),
    Fault.FAILED_AFTER: (500, "com.amazonaws.dynamodb.v20120810#InternalServerError"),
    Fault.EXPIRED: (400, "com.amazon.coral.service#ExpiredTokenException"),
}
_DONE_ALL_THE_SAME = {Fault.FAILED_AFTER, Fault.RESET_AFTER, Fault.HALF, Fault.TIMEOUT}


class FaultyProxy:
    """
    The proxy.

    Args:
        upstream: URL of what it stands before.
        faults: So many in all.
        seed: Of what goes wrong when.

    Attributes:
        url: Where it is.
        injected: How often each fault was met.
        changed: Index operations that the upstream accepted, as (`create` or `delete`, index).
    """

    def __init__(self, upstream: str, *, faults: int, seed: int) -> None:
        self._chance = random.Random(seed)
        kinds = list(Fault)
        self._left = [kinds[number % len(kinds)] for number in range(faults)]
        self._chance.shuffle(self._left)
        self._lock = threading.Lock()
        self.injected: Counter[Fault] = Counter()
        self.changed: list[tuple[str, str]] = []
        proxy, behind = self, urlsplit(upstream)

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                operation = self.headers["X-Amz-Target"].rpartition(".")[2]
                fault = proxy._draw(operation)
                status, content = 0, b""
                if fault is None or fault in _DONE_ALL_THE_SAME:
                    status, content = self._pass_on(body)
                    if operation == "UpdateTable" and status == 200:
                        proxy._note(json.loads(body))
                if fault is None:
                    self._answer(status, content, len(content))
                elif fault in _ANSWERS:
                    status, kind = _ANSWERS[fault]
                    content = json.dumps({"__type": kind, "message": str(fault)}).encode()
                    self._answer(status, content, len(content))
                elif fault is Fault.HALF:
                    self._answer(status, content[: len(content) // 2], len(content))
                    self._cut()
                else:
                    if fault is Fault.TIMEOUT:
                        time.sleep(_HANG_S)
                    self._cut()

            def _pass_on(self, body: bytes) -> tuple[int, bytes]:
                passed = {
                    name: value
                    for name, value in self.headers.items()
                    if name.lower() not in {"host", "content-length", "connection"}
                }
                connection = http.client.HTTPConnection(behind.hostname or "", behind.port)
                try:
                    connection.request("POST", "/", body, passed)
                    answer = connection.getresponse()
                    return answer.status, answer.read()
                finally:
                    connection.close()

            def _answer(self, status: int, content: bytes, length: int) -> None:
                with contextlib.suppress(OSError):
                    self.send_response(status)
                    self.send_header("Content-Type", "application/x-amz-json-1.0")
                    self.send_header("X-Amz-Crc32", str(zlib.crc32(content)))
                    self.send_header("Content-Length", str(length))
                    self.end_headers()
                    self.wfile.write(content)

            def _cut(self) -> None:
                self.close_connection = True
                with contextlib.suppress(OSError):
                    self.connection.shutdown(socket.SHUT_RDWR)

            def log_message(self, *_: Any) -> None:
                """Say nothing."""

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    @property
    def left(self) -> int:
        """Faults that are still to come."""
        return len(self._left)

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _draw(self, operation: str) -> Fault | None:
        with self._lock:
            # what changes something shall meet more than its share
            share = 0.8 if operation == "UpdateTable" else 0.3
            if not self._left or self._chance.random() >= share:
                return None
            fault = self._left.pop()
            self.injected[fault] += 1
            return fault

    def _note(self, request: dict[str, Any]) -> None:
        with self._lock:
            for update in request["GlobalSecondaryIndexUpdates"]:
                ((what, index),) = update.items()
                self.changed.append((what.lower(), index["IndexName"]))


@contextmanager
def faulty(upstream: str, *, faults: int, seed: int) -> Iterator[FaultyProxy]:
    """Run a proxy."""
    proxy = FaultyProxy(upstream, faults=faults, seed=seed)
    try:
        yield proxy
    finally:
        proxy.close()
