"""Recorders in front of servers, within the process of the test."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config

from perfkit.dynamodb.targets import Target, parse_target
from perfkit.processes.sockets import bind
from perfkit.traffic.proxy import Proxy
from perfkit.traffic.trace import Trace, read_trace
from perfkit.traffic.trace_file import TraceWriter
from perfkit.traffic.upstream import open_upstream


class Recorder:
    """
    A recorder in a thread.

    Attributes:
        url: Where it is.
        warnings: What it had to say.
    """

    def __init__(self, target: Target, path: Path, **options: Any) -> None:
        self.warnings: list[str] = []
        self._path = path
        self._most_bytes = options.pop("most_bytes", 1 << 30)
        self._options = options
        self._listener = bind("127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._ready = threading.Event()
        self._thread = threading.Thread(target=asyncio.run, args=(self._run(target),))
        self._thread.start()
        assert self._ready.wait(60)

    async def _run(self, target: Target) -> None:
        self._loop, self._end = asyncio.get_running_loop(), asyncio.Event()
        upstream = await open_upstream(target)
        self.writer = TraceWriter(
            self._path,
            {"target": target.describe()},
            most_bytes=self._most_bytes,
            warn=self.warnings.append,
        )
        self.proxy = Proxy(upstream, self.writer, host="127.0.0.1", **self._options)
        await self.proxy.start(self._listener)
        self._ready.set()
        await self._end.wait()
        duration_s = self.proxy.elapsed_s
        await self.proxy.stop()
        self.writer.note(complete=True, duration_s=duration_s, unread=self.proxy.unread)
        self.writer.close()

    def stop(self) -> None:
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._end.set)
            self._thread.join()
        self._listener.close()

    def trace(self) -> Trace:
        """End the recording and return it."""
        self.stop()
        return read_trace(self._path)

    def client(self, **config: Any) -> Any:
        """Return an ordinary client that comes by here."""
        return client_of(self.url, **config)


def client_of(url: str, **config: Any) -> Any:
    return boto3.client(
        "dynamodb",
        endpoint_url=url,
        region_name="us-east-1",
        aws_access_key_id="somebody",
        aws_secret_access_key="else",
        config=Config(**({"retries": {"total_max_attempts": 1}} | config)),
    )


@pytest.fixture
def recorder(tmp_path: Path) -> Iterator[Callable[..., Recorder]]:
    """Return a function that puts a recorder in front of a target: a URL, or a data file."""
    with ExitStack() as stack:
        numbers = iter(range(1, 100))

        def start(target: str | Path = "embedded", **options: Any) -> Recorder:
            if str(target).startswith("http"):
                found = parse_target(str(target))
            else:
                data = tmp_path / "data.sqlite3" if target == "embedded" else Path(target)
                found = parse_target(None, data)
            made = Recorder(found, tmp_path / f"{next(numbers)}.trace", **options)
            stack.callback(made.stop)
            return made

        yield start
