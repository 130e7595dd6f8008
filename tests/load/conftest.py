"""A small service to load, in this very process, that does what a test wants of it."""

import asyncio
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import pytest

_SLOW_S = 60.0


@dataclass(slots=True)
class TinyService:
    """
    Answers on a free port; `/status/N` with that status, `/slow` after the timeout of any test.

    Attributes:
        asked: Requests by path, without queries.
        headers: What was sent with the last request of each path.
        targets: Every path that was asked, with its query.
        health: The status of `/healthz`.
        stalls_at: When this many requests have come, nothing is answered for `stalls_s`.
    """

    url: str = ""
    asked: Counter[str] = field(default_factory=Counter)
    headers: dict[str, dict[str, str]] = field(default_factory=dict)
    targets: list[str] = field(default_factory=list)
    bodies: dict[str, bytes] = field(default_factory=dict)
    health: int = 200
    stalls_at: int = 0
    stalls_s: float = 0.0
    _resumes_s: float = 0.0

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while line := await reader.readline():
                await self._answer(line.decode().split(), reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async def _answer(
        self, first: list[str], reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        headers = {}
        while (line := await reader.readline()) not in {b"\r\n", b""}:
            name, _, value = line.decode().partition(":")
            headers[name.lower()] = value.strip()
        body = await reader.readexactly(int(headers.get("content-length", "0")))
        path = urlsplit(first[1]).path
        self.asked[path] += 1
        self.headers[path] = headers
        self.targets.append(first[1])
        self.bodies[path] = body
        if self.stalls_at and sum(self.asked.values()) == self.stalls_at:
            self._resumes_s = time.monotonic() + self.stalls_s
        await asyncio.sleep(max(self._resumes_s - time.monotonic(), 0.0))
        if path == "/slow":
            await asyncio.sleep(_SLOW_S)
        status = int(path.removeprefix("/status/")) if path.startswith("/status/") else 200
        status = self.health if path == "/healthz" else status
        state = "HIT" if self.asked[path] % 2 else "MISS"
        writer.write(
            f"HTTP/1.1 {status} X\r\ncontent-length: 2\r\nx-cache: {state}\r\n"
            "x-consumed-read-units: 1.5\r\nx-consumed-write-units: 0.5\r\n"
            "x-dynamodb-operations: query=1, get_item=2\r\n"
            "server-timing: db;dur=4.0, total;dur=5.0\r\nlocation: /elsewhere\r\n\r\nok".encode()
        )
        await writer.drain()


class _Running:
    """The service's thread."""

    def __init__(self) -> None:
        self.service = TinyService()
        self._ready = threading.Event()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        self._ready.wait()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        server = self._loop.run_until_complete(
            asyncio.start_server(self.service.handle, "127.0.0.1", 0)
        )
        port = server.sockets[0].getsockname()[1]
        self.service.url = f"http://127.0.0.1:{port}"
        self._ready.set()
        self._loop.run_forever()
        server.close()
        for task in asyncio.all_tasks(self._loop):
            task.cancel()
        self._loop.run_until_complete(asyncio.sleep(0))
        self._loop.close()

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()


@pytest.fixture(scope="module")
def shared_service() -> Iterator[TinyService]:
    """Return a service that the tests of a file share."""
    running = _Running()
    yield running.service
    running.stop()


@pytest.fixture
def second_service() -> Iterator[TinyService]:
    """Return another instance of it."""
    running = _Running()
    yield running.service
    running.stop()


@pytest.fixture
def tiny_service() -> Iterator[TinyService]:
    """Return a service of a test's own."""
    running = _Running()
    yield running.service
    running.stop()
