"""
A small HTTP/1.1 server: one thread a connection, limits on everything a client sends.

A thread that waits for one client holds nobody else up, and a request is read, answered and
sent by the same thread: handing it from an event loop to a worker and back takes longer than
the engine needs for an item.
"""

import errno
import resource
import signal
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from email.utils import formatdate
from http import HTTPStatus
from queue import SimpleQueue

import httptools

__all__ = ["Request", "Response", "Server"]

_MOST_BODY_BYTES = 16 << 20
"""What AWS takes."""

_MOST_HEADERS = 100
_MOST_HEADER_BYTES = 64 << 10
_MOST_CONNECTIONS = 400
_MOST_AT_ONCE = 16
"""Requests in the engine at a time; each has the data file open for itself."""
_DESCRIPTORS_A_CONNECTION = 4
_DESCRIPTORS_AT_ONCE = 16
"""Of those that the system gives, so that the engine always finds some."""

_CLOSES_WITHIN_S = 1.0
_REQUEST_WITHIN_S = 30.0
"""From the first byte of a request to its last, and for sending an answer."""
_IDLE_S = 75.0
"""Looked at each time that a connection was silent for as long as a request may take."""
_FINISH_WITHIN_S = 5.0
_PAUSE_S = 0.05
_NO_QUEUE = nullcontext()
_DRAIN_BYTES = 64 << 20
_CHUNK_BYTES = 64 << 10

_FLEETING = (
    errno.ECONNABORTED,
    errno.EPROTO,
    errno.EPERM,
    errno.ENOBUFS,
    errno.ENOMEM,
    errno.ENETDOWN,
    errno.ENETUNREACH,
    errno.EHOSTDOWN,
    errno.EHOSTUNREACH,
)
"""Why a client cannot be accepted, when others can: see accept(2)."""


@dataclass(slots=True)
class Request:
    """One request; header names in lower case, values in the order they came."""

    method: str = ""
    headers: dict[str, list[str]] = field(default_factory=dict)
    body: bytes = b""
    keeps_alive: bool = True

    def header(self, name: str) -> str:
        """Return the first value of a header, empty if it is not there."""
        values = self.headers.get(name)
        return values[0] if values else ""


@dataclass(frozen=True, slots=True)
class Response:
    """One answer, without the headers that every answer has."""

    status: int
    body: bytes
    headers: dict[str, str]


class _RefusedError(Exception):
    """A client has sent what is not a request, or one that is too large."""

    def __init__(self, status: HTTPStatus, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


class _Reader:
    """
    Makes requests out of bytes.

    `requests` holds those that are complete, `refusal` what is wrong with the bytes after them;
    `begun` says whether a part of another has come, and `expects_continue` whether the client
    waits to be asked for its body.
    """

    def __init__(self) -> None:
        self.requests: deque[Request] = deque()
        self.begun = False
        self.expects_continue = False
        self._parser = httptools.HttpRequestParser(self)
        self._unparsed_bytes = 0
        self.refusal: _RefusedError | None = None
        self.on_message_begin()

    def feed(self, data: bytes) -> None:
        """Take what has come; what is no HTTP, or more than is taken, becomes the `refusal`."""
        try:
            self._parse(data)
        except _RefusedError as refusal:
            self.refusal = refusal

    def _parse(self, data: bytes) -> None:
        complete = len(self.requests)
        self._unparsed_bytes += len(data)
        while data:
            self.begun = True
            try:
                self._parser.feed_data(data)
            except httptools.HttpParserUpgrade as upgrade:
                data = self._without_offer(self.requests.pop()) + data[upgrade.args[0] :]
            except httptools.HttpParserError as error:
                bad = _RefusedError(HTTPStatus.BAD_REQUEST, "this is no HTTP/1.1 request")
                raise self.refusal or bad from error
            else:
                break
        # a header line comes to on_header when it has ended, so the rest is counted here
        if self._in_body or len(self.requests) > complete:
            self._unparsed_bytes = 0
        elif self._unparsed_bytes > _MOST_HEADER_BYTES + _CHUNK_BYTES:
            raise _too_many_headers()

    def _without_offer(self, request: Request) -> bytes:
        """
        Return the head of a request again, without its offer of another protocol.

        An offer may be ignored (RFC 9110, section 7.8).  The parser takes it as accepted, and
        the body for that protocol's.
        """
        if request.method == "CONNECT":
            raise _RefusedError(HTTPStatus.METHOD_NOT_ALLOWED, "this is no proxy")
        version = self._parser.get_http_version()
        lines = [f"{request.method} / HTTP/{version}"]
        for name, values in request.headers.items():
            if name != "upgrade":
                lines += [f"{name}: {value}" for value in values]
        self._parser = httptools.HttpRequestParser(self)
        return "\r\n".join([*lines, "\r\n"]).encode("latin-1")

    # ---- called by the parser, which stops at what they raise

    def on_message_begin(self) -> None:
        self._request = Request()
        self._chunks: list[bytes] = []
        self._headers = 0
        self._header_bytes = 0
        self._body_bytes = 0
        self._in_body = False

    def on_url(self, url: bytes) -> None:
        self._count(len(url))

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers += 1
        self._count(len(name) + len(value))
        # those after a body say nothing that is looked at
        if not self._in_body:
            self._request.headers.setdefault(name.decode("latin-1").lower(), []).append(
                value.decode("latin-1")
            )

    def on_headers_complete(self) -> None:
        self._in_body = True
        self._request.method = self._parser.get_method().decode("latin-1")
        length = self._request.header("content-length")
        if length.isdecimal() and int(length) > _MOST_BODY_BYTES:
            self._refuse(_too_large())
        self.expects_continue = (
            self._request.header("expect").lower() == "100-continue" and not self._is_old()
        )

    def on_body(self, body: bytes) -> None:
        self.expects_continue = False
        self._body_bytes += len(body)
        if self._body_bytes > _MOST_BODY_BYTES:
            self._refuse(_too_large())
        self._chunks.append(body)

    def on_message_complete(self) -> None:
        self.begun = self.expects_continue = self._in_body = False
        request = self._request
        request.body = b"".join(self._chunks)
        request.keeps_alive = self._parser.should_keep_alive() and not self._is_old()
        self.requests.append(request)

    def _is_old(self) -> bool:
        """Return whether the client speaks HTTP/1.0: one request, and one answer."""
        return bool(self._parser.get_http_version() == "1.0")

    def _count(self, size: int) -> None:
        self._header_bytes += size
        if self._headers > _MOST_HEADERS or self._header_bytes > _MOST_HEADER_BYTES:
            self._refuse(_too_many_headers())

    def _refuse(self, refusal: _RefusedError) -> None:
        # the parser raises an error of its own for one that it is stopped with
        self.refusal = refusal
        raise refusal


def _too_many_headers() -> _RefusedError:
    return _RefusedError(
        HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
        f"a request may have {_MOST_HEADERS} headers, of {_MOST_HEADER_BYTES >> 10} KB in all",
    )


def _too_large() -> _RefusedError:
    return _RefusedError(
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        f"a request may have {_MOST_BODY_BYTES >> 20} MB",
    )


class _Turns:
    """A semaphore, which in the standard library takes several times as long."""

    def __init__(self, count: int) -> None:
        self._free: SimpleQueue[None] = SimpleQueue()
        for _ in range(count):
            self._free.put(None)

    def __enter__(self) -> None:
        self._free.get()

    def __exit__(self, *_: object) -> None:
        self._free.put(None)


@dataclass(eq=False, slots=True)
class _Connection:
    """One client: its socket, its thread, and since when it has been waited for."""

    socket: socket.socket
    thread: threading.Thread | None = None
    waiting_since_s: float | None = None


class Server:
    """
    Answers requests that reach a listening socket.

    Args:
        listener: Bound, and listening.
        answer: Makes the answer of a request; called in many threads, must not raise.
        refuse: Makes the body of an answer to what is no request, from what is wrong.
        writes: Says whether answering a request may have to wait for other writers.
        wait: Called in the thread of each request before its answer is sent, outside its turn.
    """

    def __init__(
        self,
        listener: socket.socket,
        answer: Callable[[Request], Response],
        refuse: Callable[[HTTPStatus, str], Response],
        writes: Callable[[Request], bool],
        *,
        wait: Callable[[], None] = lambda: None,
    ) -> None:
        self._listener = listener
        self._answer = answer
        self._refuse = refuse
        self._writes = writes
        self._wait = wait
        descriptors, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        if descriptors == resource.RLIM_INFINITY:
            descriptors = _DESCRIPTORS_A_CONNECTION * _MOST_CONNECTIONS
        self._most = min(_MOST_CONNECTIONS, max(1, descriptors // _DESCRIPTORS_A_CONNECTION))
        at_once = min(_MOST_AT_ONCE, max(1, descriptors // _DESCRIPTORS_AT_ONCE))
        self._turns = _Turns(at_once)
        # another process may hold the file for long: those that wait for it leave room for reads
        self._turns_to_write = _Turns(max(1, at_once // 2))
        self._connections: set[_Connection] = set()
        self._guard = threading.Lock()
        self._ending = False
        self._date = (0, "")

    def run(self) -> None:
        """Answer until interrupted by SIGINT or SIGTERM, and let requests finish then."""
        try:
            with _terminate_as_interrupt():
                while True:
                    self._accept()
        except KeyboardInterrupt:
            self._end()

    def _accept(self) -> None:
        try:
            accepted, _ = self._listener.accept()
        except OSError as error:
            if error.errno in (errno.EMFILE, errno.ENFILE):
                # one that is closed gives its descriptor back
                self._close_longest_waiting()
            elif error.errno not in _FLEETING:
                raise
            time.sleep(_PAUSE_S)
            return
        if len(self._connections) >= self._most:
            closed = self._close_longest_waiting()
            if closed is None:
                accepted.close()
                return
            # until its thread is done it has a descriptor, and the engine may find none
            if closed.thread is not None:
                closed.thread.join(_CLOSES_WITHIN_S)
        connection = _Connection(accepted)
        connection.waiting_since_s = time.monotonic()
        connection.thread = threading.Thread(target=self._serve, args=(connection,), daemon=True)
        with self._guard:
            self._connections.add(connection)
        try:
            connection.thread.start()
        except RuntimeError:
            # the system gives no more threads
            self._forget(connection)

    def _close_longest_waiting(self) -> "_Connection | None":
        """End the connection whose client has been silent for longest, and return it, if any."""
        with self._guard:
            waiting = [
                (since_s, connection)
                for connection in self._connections
                if (since_s := connection.waiting_since_s) is not None
            ]
        if not waiting:
            return None
        _, oldest = min(waiting, key=lambda pair: pair[0])
        oldest.waiting_since_s = None
        _hang_up(oldest.socket)
        return oldest

    def _end(self) -> None:
        self._ending = True
        self._listener.close()
        with self._guard:
            connections = list(self._connections)
        for connection in connections:
            if connection.waiting_since_s is not None:
                _hang_up(connection.socket)
        deadline_s = time.monotonic() + _FINISH_WITHIN_S
        for connection in connections:
            if connection.thread is not None:
                connection.thread.join(max(0.0, deadline_s - time.monotonic()))

    def _forget(self, connection: _Connection) -> None:
        with self._guard:
            self._connections.discard(connection)
        connection.socket.close()

    # ---- one connection, in its own thread

    def _serve(self, connection: _Connection) -> None:
        client = connection.socket
        reader = _Reader()
        try:
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            # holds for sending too
            client.settimeout(_REQUEST_WITHIN_S)
            while self._next(connection, reader):
                # from here on the end of the server waits for it
                connection.waiting_since_s = None
                request = reader.requests.popleft()
                waiting = self._turns_to_write if self._writes(request) else _NO_QUEUE
                with waiting, self._turns:
                    response = self._answer(request)
                self._wait()
                closes = self._ending or not request.keeps_alive
                self._send(client, request.method, response, closes=closes)
                connection.waiting_since_s = time.monotonic()
                if closes or self._ending:
                    break
        except _RefusedError as refusal:
            with suppress(OSError):
                response = self._refuse(refusal.status, refusal.message)
                self._send(client, "", response, closes=True)
                self._drain(client)
        except OSError:
            # it has hung up, or takes too long
            pass
        finally:
            self._forget(connection)

    def _next(self, connection: _Connection, reader: _Reader) -> bool:
        """Wait for a complete request; False where the client hung up or sent none in time."""
        client = connection.socket
        deadline_s = None
        asked = False
        while not reader.requests:
            # the requests before it have been answered
            if reader.refusal is not None:
                raise reader.refusal
            try:
                data = client.recv(_CHUNK_BYTES)
            except TimeoutError:
                if reader.begun:
                    raise _too_slow() from None
                since_s = connection.waiting_since_s
                if since_s is None or time.monotonic() - since_s >= _IDLE_S:
                    return False
                continue
            if not data:
                return False
            reader.feed(data)
            if reader.requests or reader.refusal is not None:
                continue
            # a client that sends is not silent: others make room before it
            connection.waiting_since_s = time.monotonic()
            if reader.expects_continue and not asked:
                client.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
                asked = True
            # a client that sends a byte now and then has no longer than any other
            if deadline_s is None:
                deadline_s = time.monotonic() + _REQUEST_WITHIN_S
            left_s = deadline_s - time.monotonic()
            if left_s <= 0:
                raise _too_slow()
            client.settimeout(left_s)
        if deadline_s is not None:
            client.settimeout(_REQUEST_WITHIN_S)
        return True

    def _send(
        self, client: socket.socket, method: str, response: Response, *, closes: bool
    ) -> None:
        status = HTTPStatus(response.status)
        lines = [f"HTTP/1.1 {status.value} {status.phrase}", f"date: {self._now()}"]
        lines += [f"{name}: {value}" for name, value in response.headers.items()]
        if status is not HTTPStatus.NO_CONTENT:
            lines.append(f"content-length: {len(response.body)}")
        if closes:
            lines.append("connection: close")
        head = "\r\n".join([*lines, "\r\n"]).encode("latin-1")
        client.sendall(head if method == "HEAD" else head + response.body)

    def _now(self) -> str:
        second = int(time.time())
        if self._date[0] != second:
            self._date = (second, formatdate(second, usegmt=True))
        return self._date[1]

    def _drain(self, client: socket.socket) -> None:
        # a client that is still sending would see a broken connection instead of the answer
        client.shutdown(socket.SHUT_WR)
        deadline_s = time.monotonic() + _FINISH_WITHIN_S
        left = _DRAIN_BYTES
        while left > 0 and (left_s := deadline_s - time.monotonic()) > 0 and not self._ending:
            client.settimeout(left_s)
            data = client.recv(_CHUNK_BYTES)
            if not data:
                return
            left -= len(data)


def _too_slow() -> _RefusedError:
    return _RefusedError(
        HTTPStatus.REQUEST_TIMEOUT, f"a request must be complete within {_REQUEST_WITHIN_S:g} s"
    )


def _hang_up(client: socket.socket) -> None:
    # wakes the thread that reads from it; closing alone would not
    with suppress(OSError):
        client.shutdown(socket.SHUT_RDWR)


@contextmanager
def _terminate_as_interrupt() -> Iterator[None]:
    """End as on Ctrl-C when the system asks for it."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
