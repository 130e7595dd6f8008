"""What the service comparison runs: seeded tables, Redis servers, services, the bare application."""

import http.client
import os
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Self
from urllib.parse import urlsplit

from benchmarks.measuring import perfkit_command, run_command
from benchmarks.plain_fastapi import REDIS_VARIABLE
from perfkit.dynamodb.targets import Target
from perfkit.errors import TargetError
from perfkit.processes.redis_server import find_program, unix_url
from perfkit.processes.sockets import bind, url_of
from perfkit.scenarios.service.http_load import read_timing
from perfkit.service.running import Plan, RunningService
from perfkit.service.settings import ServiceSettings, Switches
from perfkit.service.tokens import DEMO_USER, Tokens
from perfkit.settings import DATA_FILE

__all__ = ["QUESTION", "Call", "Caller", "RedisServer", "Site", "plain", "running", "site"]

QUESTION = "/api/courses?semester=1&department=CS"
"""50 courses, 50 KB."""

_HOST = "127.0.0.1"
_END_S = 10.0
_READY_S = 20.0
_POLL_S = 0.05
_ANSWER_S = 30.0


# ---- what is there -----------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """Seeded tables, and a folder for everything that works with them."""

    folder: Path
    secret: str

    @property
    def token(self) -> str:
        """Of the user who asks."""
        return Tokens(self.secret).issue(DEMO_USER)

    def plan(
        self,
        name: str,
        switches: Switches,
        *,
        redis: "RedisServer | None" = None,
        smtp_url: str | None = None,
        workers: int = 1,
        deliver: bool = False,
    ) -> Plan:
        """Return how to run a service; its files are in the folder of this name."""
        settings = ServiceSettings(
            switches=switches,
            secret=self.secret,
            target=Target(data=self.folder / DATA_FILE),
            redis_url=None if redis is None else redis.url,
            smtp_url=smtp_url,
            folder=self.folder / name,
        )
        return Plan(settings=settings, host=_HOST, port=0, workers=workers, deliver=deliver)


@contextmanager
def site() -> Iterator[Site]:
    """Seed tables with indexes in a temporary folder."""
    with tempfile.TemporaryDirectory(prefix="perfkit-bench-") as name, _interruptible():
        folder = Path(name)
        run_command([*perfkit_command(), "seed"], folder)
        run_command([*perfkit_command(), "create-indexes"], folder)
        yield Site(folder=folder, secret=secrets.token_hex(32))


@contextmanager
def _interruptible() -> Iterator[None]:
    """Have other requests to end do what Ctrl-C does, so that all processes are ended too."""
    numbers = (signal.SIGTERM, signal.SIGHUP)
    before = [signal.signal(number, signal.default_int_handler) for number in numbers]
    try:
        yield
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)


@contextmanager
def running(plans: Mapping[str, Plan]) -> Iterator[dict[str, RunningService]]:
    """Run services side by side, all with their workers; what dies stays dead."""
    services = {name: RunningService(plan) for name, plan in plans.items()}
    with ExitStack() as stack:
        for service in services.values():
            stack.callback(service.stop)
        with ThreadPoolExecutor(len(services)) as pool:
            for starting in [pool.submit(each.start) for each in services.values()]:
                starting.result()
        yield services


class RedisServer:
    """A Redis server that is this process's own child, so that its CPU time counts as ours."""

    def __init__(self, process: "subprocess.Popen[bytes]", path: Path) -> None:
        self._process = process
        self.path = path
        self.url = unix_url(str(path))

    @classmethod
    @contextmanager
    def started(cls, folder: Path, name: str) -> Iterator[Self]:
        """Run a server with the settings of perfkit's own; it keeps the log that queues need."""
        home = folder / f"redis-{name}"
        home.mkdir()
        path = home / "redis.sock"
        command = [
            *(find_program(), "--port", "0", "--unixsocket", str(path), "--dir", str(home)),
            *("--save", "", "--appendonly", "yes"),
            *("--maxmemory", "256mb", "--maxmemory-policy", "volatile-lru"),
        ]
        with _child(command, home / "log") as process:
            server = cls(process, path)
            server._await_ready(home / "log")
            try:
                yield server
            finally:
                # what is stopped cannot be asked to end
                server.signal(signal.SIGCONT)

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal, if it is still there."""
        self._process.send_signal(number)

    def _await_ready(self, log: Path) -> None:
        deadline_s = time.monotonic() + _READY_S
        while time.monotonic() < deadline_s and self._process.poll() is None:
            with suppress(OSError), socket.socket(socket.AF_UNIX) as connection:
                connection.connect(str(self.path))
                return
            time.sleep(0.02)
        msg = f"the Redis server did not start: {log.read_text(errors='replace')[-200:]}"
        raise TargetError(msg)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plain:
    """The plain application, running."""

    url: str
    pids: Sequence[int]


@contextmanager
def plain(folder: Path, redis: RedisServer, *, workers: int) -> Iterator[Plain]:
    """Run the plain application in as many processes, which share a port as the service's do."""
    module = "benchmarks.plain_fastapi"
    with ExitStack() as stack:
        place = stack.enter_context(bind(_HOST, 0, shared=True))
        port = place.getsockname()[1]
        pids = [
            stack.enter_context(
                _child(
                    [sys.executable, "-m", module, str(port)],
                    folder / f"plain-{worker}.log",
                    variables={REDIS_VARIABLE: redis.url},
                )
            ).pid
            for worker in range(workers)
        ]
        yield Plain(url=url_of(place, _HOST), pids=pids)


@contextmanager
def _child(
    command: Sequence[str],
    log: Path,
    *,
    inherited: Sequence[int] = (),
    variables: Mapping[str, str] | None = None,
) -> Iterator["subprocess.Popen[bytes]"]:
    """Run a program in a process group of its own, which ends with the block."""
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            # where modules of this package are found
            cwd=Path(__file__).parents[1],
            env={**os.environ, **(variables or {})},
            pass_fds=inherited,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        yield process
    finally:
        for number in (signal.SIGTERM, signal.SIGKILL):
            with suppress(ProcessLookupError):
                os.killpg(process.pid, number)
            with suppress(subprocess.TimeoutExpired):
                process.wait(_END_S)
                break


# ---- asking ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """
    One answered request; times in seconds.

    Attributes:
        elapsed_s: From sending it to the last byte of its answer.
        cache: The answer's X-Cache.
        stages_s: What its Server-Timing says.
    """

    elapsed_s: float
    cache: str
    stages_s: Mapping[str, float]


class Caller:
    """
    One kept connection, one request at a time, all for the same answer.

    Args:
        url: Of a service.
        token: Bearer token to send.
        path: What to ask for.
    """

    def __init__(self, url: str, token: str, path: str = QUESTION) -> None:
        parts = urlsplit(url)
        self._connection = http.client.HTTPConnection(
            parts.hostname or "", parts.port, timeout=_ANSWER_S
        )
        self._headers = {"Authorization": f"Bearer {token}"}
        self._path = path
        self.body = b""
        """The first answer."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def await_answer(self) -> None:
        """
        Ask until there is an answer: the service may be starting.

        Raises:
            TargetError: There is none for too long.
        """
        deadline_s = time.monotonic() + _READY_S
        while True:
            try:
                self.call()
            except TargetError:
                if time.monotonic() > deadline_s:
                    raise
                self._connection.close()
                time.sleep(_POLL_S)
            else:
                return

    def call(self) -> Call:
        """
        Ask once.

        Raises:
            TargetError: There is no answer, or another than before.
        """
        start_s = time.perf_counter()
        try:
            self._connection.request("GET", self._path, headers=self._headers)
            answer = self._connection.getresponse()
            body = answer.read()
        except (OSError, http.client.HTTPException) as error:
            msg = f"no answer to GET {self._path}: {error!r}"
            raise TargetError(msg) from error
        elapsed_s = time.perf_counter() - start_s
        self.body = self.body or body
        if answer.status != 200 or body != self.body:
            msg = f"GET {self._path} answered {answer.status}: {body[:200]!r}"
            raise TargetError(msg)
        return Call(
            elapsed_s=elapsed_s,
            cache=answer.getheader("X-Cache", ""),
            stages_s=dict(read_timing(answer.getheader("Server-Timing", ""))),
        )
