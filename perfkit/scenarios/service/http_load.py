"""
A small HTTP client that keeps a fixed number of requests under way, in a process of its own.

    python -m perfkit.scenarios.service.http_load

reads a job a line from standard input (JSON) and writes one line of figures for each.

It is a closed loop: each of its connections asks again as soon as its answer is complete, so a
request is due when it is sent, and a slow service is asked less, not later. One thread waits for
all connections, and nothing but the standard library is imported, so that the client takes
little of the processor it shares with the service.
"""

import hashlib
import json
import selectors
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from typing import IO, Any, Self, cast

from perfkit.errors import TargetError

__all__ = ["Figures", "Job", "LoadProcess", "load_process"]

_CONNECT_S = 5.0
_ANSWER_S = 60.0
_RECEIVE_BYTES = 1 << 16
_KEPT_BYTES = 1000
"""Of an answer that differs from the first, or failed, so much is handed on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """
    What to ask, and how often.

    Args:
        host: Of the service.
        port: Of the service.
        path: With its query.
        token: Bearer token; empty sends none.
        concurrency: Connections, each with one request under way.
        requests: Requests in all.
    """

    host: str
    port: int
    path: str
    token: str = ""
    concurrency: int = 1
    requests: int = 1


@dataclass(slots=True, kw_only=True)
class Figures:
    """
    What the requests of one job took; times in seconds.

    Attributes:
        samples_s: From sending a request to the last byte of its answer.
        elapsed_s: From the first request sent to the last answer.
        statuses: Answers by status.
        cache_states: Answers by X-Cache.
        cache_s: By X-Cache, what its requests took together.
        stages_s: By stage of Server-Timing, what all requests took together.
        read_units: All requests together; None where an answer did not say.
        body_bytes: Size of the first good answer.
        digest: SHA-256 of the first good answer; "" if there was none.
        differing: Good answers that were not like the first.
        example: The beginning of one that differed or failed.
    """

    samples_s: list[float] = field(default_factory=list)
    elapsed_s: float = 0.0
    statuses: dict[str, int] = field(default_factory=dict)
    cache_states: dict[str, int] = field(default_factory=dict)
    cache_s: dict[str, float] = field(default_factory=dict)
    stages_s: dict[str, float] = field(default_factory=dict)
    read_units: float | None = 0.0
    body_bytes: int = 0
    digest: str = ""
    differing: int = 0
    example: str = ""


@dataclass(frozen=True, slots=True)
class _Head:
    """What stands before a body."""

    status: str
    headers: Mapping[str, str]
    body_bytes: int

    @classmethod
    def read(cls, head: bytes | bytearray) -> Self:
        first, *lines = head.decode("latin-1").split("\r\n")
        headers = {}
        for line in lines:
            name, colon, value = line.partition(":")
            if colon:
                headers[name.lower()] = value.strip()
        length = headers.get("content-length", "")
        if not length.isdigit():
            msg = f"an answer without a length: {first[:80]!r}"
            raise ValueError(msg)
        return cls(first[9:12], headers, int(length))


class _Connection:
    """One kept connection and the answer that is coming in on it."""

    def __init__(self, job: Job) -> None:
        self.socket = socket.create_connection((job.host, job.port), _CONNECT_S)
        # a request is one small packet; delayed sending would hold it back
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.settimeout(_ANSWER_S)
        self.sent_s = 0.0
        self._received = bytearray()
        self._head: _Head | None = None

    def send(self, request: bytes) -> None:
        self._received.clear()
        self._head = None
        self.sent_s = time.perf_counter()
        self.socket.sendall(request)

    def receive(self) -> tuple[_Head, bytes] | None:
        """Take what has come; return head and body once the answer is complete."""
        piece = self.socket.recv(_RECEIVE_BYTES)
        if not piece:
            msg = "the service closed the connection before its answer was complete"
            raise ConnectionError(msg)
        self._received += piece
        if self._head is None:
            end = self._received.find(b"\r\n\r\n")
            if end < 0:
                return None
            self._head = _Head.read(self._received[:end])
            del self._received[: end + 4]
        if len(self._received) < self._head.body_bytes:
            return None
        return self._head, bytes(self._received[: self._head.body_bytes])

    def close(self) -> None:
        self.socket.close()


def _ask(job: Job) -> Figures:
    """
    Make the requests of *job* in this very process.

    Raises:
        OSError: The service cannot be reached, hangs up or does not answer.
        ValueError: It answers something that is no HTTP answer with a length.
    """
    lines = [f"GET {job.path} HTTP/1.1", f"Host: {job.host}:{job.port}"]
    if job.token:
        lines.append(f"Authorization: Bearer {job.token}")
    request = ("\r\n".join(lines) + "\r\n\r\n").encode()
    figures, first, left = Figures(), b"", job.requests
    connections = []
    with selectors.DefaultSelector() as selector:
        try:
            for _ in range(min(job.concurrency, job.requests)):
                connection = _Connection(job)
                connections.append(connection)
                selector.register(connection.socket, selectors.EVENT_READ, connection)
            # connecting is not what is measured
            start_s = time.perf_counter()
            for connection in connections:
                connection.send(request)
                left -= 1
            pending = len(connections)
            while pending:
                ready = selector.select(_ANSWER_S)
                if not ready:
                    msg = f"no answer within {_ANSWER_S:g} s"
                    raise TimeoutError(msg)
                for key, _ in ready:
                    answer = key.data.receive()
                    if answer is None:
                        continue
                    taken_s = time.perf_counter() - key.data.sent_s
                    if left:
                        key.data.send(request)
                        left -= 1
                    else:
                        pending -= 1
                    head, body = answer
                    first = _count(figures, taken_s, head, body, first)
            figures.elapsed_s = time.perf_counter() - start_s
        finally:
            for connection in connections:
                connection.close()
    figures.digest = hashlib.sha256(first).hexdigest() if first else ""
    figures.body_bytes = len(first)
    return figures


def _count(figures: Figures, taken_s: float, head: _Head, body: bytes, first: bytes) -> bytes:
    """Add one answer; return the first good one of all."""
    status, headers = head.status, head.headers
    state = headers.get("x-cache", "")
    figures.samples_s.append(taken_s)
    figures.statuses[status] = figures.statuses.get(status, 0) + 1
    if state:
        figures.cache_states[state] = figures.cache_states.get(state, 0) + 1
        figures.cache_s[state] = figures.cache_s.get(state, 0.0) + taken_s
    for stage, stage_s in read_timing(headers.get("server-timing", "")):
        figures.stages_s[stage] = figures.stages_s.get(stage, 0.0) + stage_s
    units = headers.get("x-consumed-read-units")
    if units is None or figures.read_units is None:
        figures.read_units = None
    else:
        figures.read_units += float(units)
    if status != "200":
        figures.example = figures.example or _example(body)
        return first
    if first and body != first:
        figures.differing += 1
        figures.example = figures.example or _example(body)
    return first or body


def read_timing(header: str) -> Iterator[tuple[str, float]]:
    """
    Yield the stages of a Server-Timing header and the seconds each took.

    Source: W3C Server Timing: `name;dur=MILLISECONDS;desc="…"`, separated by commas.
    """
    for part in header.split(","):
        name, *parameters = (piece.strip() for piece in part.split(";"))
        for parameter in parameters:
            key, _, value = parameter.partition("=")
            if key.strip().lower() == "dur":
                try:
                    yield name, float(value.strip().strip('"')) / 1e3
                except ValueError:
                    break


def _example(body: bytes) -> str:
    return body[:_KEPT_BYTES].decode("utf-8", "replace")


# ---- the process -------------------------------------------------------------------------


class LoadProcess:
    """The client, running in a process of its own."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "perfkit.scenarios.service.http_load"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            # an interrupt at the keyboard is for the parent, who then ends this
            start_new_session=True,
        )

    @property
    def pid(self) -> int:
        return self._process.pid

    def ask(self, job: Job) -> Figures:
        """
        Make the requests of *job* and return what they took.

        Raises:
            TargetError: The service could not be asked.
        """
        sent = cast("IO[bytes]", self._process.stdin)
        heard = cast("IO[bytes]", self._process.stdout)
        try:
            sent.write(json.dumps(asdict(job)).encode() + b"\n")
            sent.flush()
            answer: Mapping[str, Any] = json.loads(heard.readline() or b"{}")
        except (OSError, ValueError) as error:
            msg = f"the HTTP client ended: {error}"
            raise TargetError(msg) from error
        if "samples_s" not in answer:
            reason = answer.get("error", "the HTTP client ended")
            msg = f"GET {job.path} on port {job.port}: {reason}"
            raise TargetError(msg)
        return Figures(**answer)

    def close(self) -> None:
        """End it, whatever it is doing."""
        self._process.kill()
        self._process.communicate()


@contextmanager
def load_process() -> Iterator[LoadProcess]:
    """Yield a client that ends with the block."""
    process = LoadProcess()
    try:
        yield process
    finally:
        process.close()


def main() -> None:
    """Do one job a line until there is no more."""
    for line in sys.stdin:
        try:
            answer = asdict(_ask(Job(**json.loads(line))))
        except (OSError, ValueError) as error:
            answer = {"error": str(error) or type(error).__name__}
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
