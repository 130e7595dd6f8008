"""The HTTP client against servers that answer what a test tells them to."""

import hashlib
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from perfkit.errors import TargetError
from perfkit.scenarios.service.http_load import Job, _ask, load_process, read_timing

pytestmark = pytest.mark.processes


def answer(body: bytes, status: str = "200 OK", *headers: str) -> bytes:
    head = "\r\n".join([f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers])
    return head.encode() + b"\r\n\r\n" + body


@contextmanager
def serving(*answers: bytes, pieces: int = 1) -> Iterator[tuple[int, list[bytes]]]:
    """Serve these answers over and over, on every connection; yields the port and the requests."""
    heard: list[bytes] = []
    listener = socket.create_server(("127.0.0.1", 0))
    left = iter(answers * 1000)
    lock = threading.Lock()

    def converse(connection: socket.socket) -> None:
        with connection:
            while request := connection.recv(65536):
                with lock:
                    heard.append(request)
                    reply = next(left)
                step = max(1, len(reply) // pieces)
                for start in range(0, len(reply), step):
                    connection.sendall(reply[start : start + step])
                if not reply:
                    return

    def accept() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=converse, args=(connection,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield listener.getsockname()[1], heard
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()


def job(port: int, **more: object) -> Job:
    return Job(host="127.0.0.1", port=port, path="/a?b=1", **more)  # type: ignore[arg-type]


def test_every_request_is_made_timed_and_counted() -> None:
    with serving(answer(b"hello")) as (port, heard):
        figures = _ask(job(port, requests=10, concurrency=3, token="t"))

    assert len(heard) == 10
    assert heard[0].startswith(b"GET /a?b=1 HTTP/1.1\r\n")
    assert b"Authorization: Bearer t\r\n" in heard[0]
    assert len(figures.samples_s) == 10
    assert figures.statuses == {"200": 10}
    assert figures.body_bytes == 5
    assert figures.digest == hashlib.sha256(b"hello").hexdigest()
    assert 0 < max(figures.samples_s) <= figures.elapsed_s


def test_the_headers_of_the_service_are_added_up() -> None:
    hit = answer(b"x", "200 OK", "X-Cache: HIT", "Server-Timing: db;dur=2, auth;dur=1.5")
    miss = answer(
        b"x", "200 OK", "x-cache: MISS", "server-timing: db;dur=4", "X-Consumed-Read-Units: 6.5"
    )
    with serving(hit, miss) as (port, _):
        first = _ask(job(port, requests=2))
    with serving(miss) as (port, _):
        second = _ask(job(port, requests=2))

    assert first.cache_states == {"HIT": 1, "MISS": 1}
    assert first.stages_s == pytest.approx({"db": 0.006, "auth": 0.0015})
    # one answer did not say, so the sum is not known
    assert first.read_units is None
    assert second.read_units == 13.0


def test_an_answer_in_many_pieces_is_put_together() -> None:
    with serving(answer(b"0123456789" * 50), pieces=40) as (port, _):
        figures = _ask(job(port, requests=3))

    assert figures.body_bytes == 500
    assert figures.differing == 0


def test_answers_that_differ_are_noticed() -> None:
    with serving(answer(b"one"), answer(b"two")) as (port, _):
        figures = _ask(job(port, requests=4))

    assert figures.differing == 2
    assert figures.example == "two"


def test_failures_are_counted_and_are_no_answers() -> None:
    bad = answer(b"sorry", "503 Service Unavailable")
    with serving(bad, answer(b"fine")) as (port, _):
        figures = _ask(job(port, requests=4))

    assert figures.statuses == {"503": 2, "200": 2}
    assert figures.digest == hashlib.sha256(b"fine").hexdigest()
    assert figures.example == "sorry"
    assert figures.differing == 0


@pytest.mark.parametrize(
    "reply",
    [
        pytest.param(b"HTTP/1.1 200 OK\r\n\r\n", id="no length"),
        pytest.param(answer(b"whole")[:-2], id="cut short"),
        pytest.param(b"", id="hangs up"),
    ],
)
def test_what_is_no_answer_is_an_error(reply: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("perfkit.scenarios.service.http_load._ANSWER_S", 0.2)
    with serving(reply) as (port, _), pytest.raises((OSError, ValueError)):
        _ask(job(port))


def test_the_process_answers_jobs_and_tells_errors(free_port: Callable[[], int]) -> None:
    free = free_port()
    with serving(answer(b"hello")) as (port, _), load_process() as load:
        good = load.ask(job(port, requests=5))
        with pytest.raises(TargetError, match=f"GET /a.* on port {free}: .*refused"):
            load.ask(job(free))
        again = load.ask(job(port, requests=1))

    assert len(good.samples_s) == 5
    assert again.statuses == {"200": 1}


def test_the_process_ends_with_its_block() -> None:
    with load_process() as load:
        process = load._process

    assert process.poll() is not None


def test_server_timing_is_read_as_the_standard_has_it() -> None:
    header = 'db;desc="a table";dur=12.5, cache;dur="3" , miss, odd;dur=x, total;DUR=20'

    assert dict(read_timing(header)) == {"db": 0.0125, "cache": 0.003, "total": 0.02}
