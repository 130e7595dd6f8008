"""
Keeps a service running: its workers, the mail worker, the cache server; what dies is replaced.

Everything ends with the supervisor, however that ends: workers watch a socket to it.
"""

import contextlib
import logging
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from threading import Event
from typing import Any

from perfkit.errors import TargetError
from perfkit.service.metrics import FOLDER_VARIABLE
from perfkit.service.process import READY, bind
from perfkit.service.settings import ServiceSettings

__all__ = ["Plan", "Supervisor"]

_READY_S = 60.0
_STOP_S = 15.0
_POLL_S = 0.1
_SHORT_LIFE_S = 5.0
_MOST_SHORT_LIVES = 3
_PAUSE_S = 0.5
_LOOK_AT_SERVER_S = 1.0

# elsewhere all connections would go to one of the sockets: there the workers share one
_SHARES = sys.platform == "linux"

_log = logging.getLogger("perfkit.service")


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """
    What to run.

    Args:
        settings: For the workers; the URLs they lack are filled in when servers were started.
        host: Address to listen on.
        port: 0 takes a free one.
        workers: Processes that answer requests.
        deliver: Also run a worker that delivers what is queued.
    """

    settings: ServiceSettings
    host: str = "127.0.0.1"
    port: int = 8080
    workers: int = 1
    deliver: bool = False


class _Child:
    """A process that is replaced when it ends."""

    def __init__(
        self, name: str, arguments: list[str], environment: Mapping[str, str], fds: tuple[int, ...]
    ) -> None:
        self.name = name
        self._arguments = arguments
        self._environment = environment
        self._fds = fds
        self._short_lives = 0
        self._due_s: float | None = None
        self._begin()

    def _begin(self) -> None:
        self.lifeline, theirs = socket.socketpair()
        self._started_at_s = time.monotonic()
        self.process = subprocess.Popen(  # noqa: S603 - this very program
            [
                *(sys.executable, "-m", "perfkit.service.process"),
                *("--lifeline", str(theirs.fileno())),
                *self._arguments,
            ],
            env={**os.environ, **self._environment},
            pass_fds=(theirs.fileno(), *self._fds),
            stdin=subprocess.DEVNULL,
            # an interrupt at the keyboard is for the supervisor, who then ends its children
            start_new_session=True,
        )
        theirs.close()

    def await_ready(self, deadline_s: float) -> None:
        """
        Wait until it works.

        Raises:
            TargetError: It ended, or takes too long.
        """
        self.lifeline.settimeout(max(deadline_s - time.monotonic(), 0.01))
        try:
            said = self.lifeline.recv(1)
        except TimeoutError as error:
            msg = f"{self.name} is not ready after {_READY_S:g} s"
            raise TargetError(msg) from error
        except OSError:
            said = b""
        if said != READY:
            msg = f"{self.name} ended at once (code {self.process.wait()}); what it said is above"
            raise TargetError(msg)

    def look(self) -> None:
        """
        Start it again if it has ended.

        Raises:
            TargetError: It ends over and over as soon as it is started.
        """
        from prometheus_client.multiprocess import mark_process_dead

        if self._due_s is not None:
            if time.monotonic() >= self._due_s:
                self._due_s = None
                self._begin()
            return
        code = self.process.poll()
        if code is None:
            return
        self.lifeline.close()
        if (folder := self._environment.get(FOLDER_VARIABLE)) is not None:
            # what it counted stays, what it measured of itself is not true any more
            mark_process_dead(self.process.pid, folder)  # type: ignore[no-untyped-call]
        lived_s = time.monotonic() - self._started_at_s
        _log.warning("%s (process %d) ended with %d", self.name, self.process.pid, code)
        self._short_lives = self._short_lives + 1 if lived_s < _SHORT_LIFE_S else 0
        if self._short_lives > _MOST_SHORT_LIVES:
            msg = f"{self.name} ends as soon as it is started (code {code}); what it said is above"
            raise TargetError(msg)
        self._due_s = time.monotonic() + _PAUSE_S * self._short_lives

    def ask_to_end(self) -> None:
        """Let it finish what it is doing."""
        self.process.terminate()

    def await_end(self, deadline_s: float) -> None:
        """Wait for its end, and make one if it takes too long."""
        try:
            self.process.wait(max(deadline_s - time.monotonic(), 0.01))
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.lifeline.close()


class Supervisor:
    """
    Starts what a plan needs, and keeps it running.

    Args:
        plan: What to run.
    """

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._folder = plan.settings.folder
        self._children: list[_Child] = []
        self._open = contextlib.ExitStack()
        self._server: Any = None
        self._looked_s = 0.0
        self.url = ""
        """Where the service is, once it is started."""

    def start(self) -> None:
        """
        Start everything and wait until it works.

        Raises:
            ConfigError: The address cannot be listened on.
            TargetError: A process or a server does not start.
        """
        plan = self._plan
        try:
            settings = self._start_servers()
            # so that other programs which do not share cannot be listening there
            bind(plan.host, plan.port, shared=False).close()
            place = self._open.enter_context(bind(plan.host, plan.port, shared=_SHARES))
            port = place.getsockname()[1]
            shown = f"[{plan.host}]" if ":" in plan.host else plan.host
            self.url = f"http://{shown}:{port}"
            arguments = ["--host", plan.host, "--port", str(port)]
            fds: tuple[int, ...] = ()
            if not _SHARES:
                fds = (place.fileno(),)
                arguments = ["--listener", str(place.fileno())]
            environment = settings.to_environment() | self._folders()
            for number in range(plan.workers):
                self._children.append(_Child(f"worker {number + 1}", arguments, environment, fds))
            if plan.deliver:
                self._children.append(_Child("the mail worker", [], environment, ()))
            deadline_s = time.monotonic() + _READY_S
            for child in self._children:
                child.await_ready(deadline_s)
        except BaseException:
            self.stop()
            raise

    def _start_servers(self) -> ServiceSettings:
        from perfkit.cache import server
        from perfkit.service.notifications.sink import start_sink

        settings = self._plan.settings
        switches = settings.switches
        if switches.needs_redis and settings.redis_url is None:
            self._server = server.start(self._folder, persistent=switches.needs_queue)
            settings = replace(settings, redis_url=self._server.url)
        if switches.notify and settings.smtp_url is None:
            sink = start_sink(folder=self._folder)
            self._open.callback(sink.stop)
            settings = replace(settings, smtp_url=sink.settings.url)
        return settings

    def _folders(self) -> dict[str, str]:
        # the counters of one run: another one counts from nothing
        folder = self._folder / "service" / f"metrics-{os.getpid()}"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        self._open.callback(shutil.rmtree, folder, ignore_errors=True)
        return {FOLDER_VARIABLE: str(folder.absolute())}

    def run(self, stop: Event) -> None:
        """
        Keep everything running until *stop* is set.

        Raises:
            TargetError: A process ends over and over as soon as it is started.
        """
        while not stop.wait(_POLL_S):
            for child in self._children:
                child.look()
            self._look_at_server()

    def _look_at_server(self) -> None:
        from perfkit.cache import server

        if self._server is None or time.monotonic() - self._looked_s < _LOOK_AT_SERVER_S:
            return
        self._looked_s = time.monotonic()
        if server.find(self._folder) is None:
            _log.warning("the cache server is gone; starting another")
            persistent = self._plan.settings.switches.needs_queue
            self._server = server.start(self._folder, persistent=persistent)

    @property
    def pids(self) -> list[int]:
        """The processes of the service."""
        return [child.process.pid for child in self._children]

    def stop(self) -> None:
        """End everything that was started here."""
        for child in self._children:
            child.ask_to_end()
        deadline_s = time.monotonic() + _STOP_S
        for child in self._children:
            child.await_end(deadline_s)
        self._children.clear()
        self._open.close()
        if self._server is not None and self._server.started_here:
            self._server.stop()
        self._server = None
