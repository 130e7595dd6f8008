"""The processes that make requests, as their parent sees them: started, heard, stopped."""

import json
import selectors
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from typing import Any, Self

from perfkit.errors import ConfigError, TargetError
from perfkit.load.plan import LoadPlan
from perfkit.processes import lifeline
from perfkit.processes.sockets import kept_free

__all__ = ["LOOPBACK", "Generator", "Place", "work_for"]

_MODULE = "perfkit.load.generator"
_POLL_S = 0.25
_STOP_S = 5.0
_END_S = 20.0
_MASTER_S = 30.0
LOOPBACK = "127.0.0.1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """
    Where requests are made.

    Args:
        processes: That make requests on this machine; 1 is on its own.
        expected: Workers on other machines to wait for; then none are started here.
        bind: Where a master listens for them.
        web: Address of Locust's own page; None shows none.
        wait_s: How long to wait for all workers.
    """

    processes: int = 1
    expected: int = 0
    bind: tuple[str, int] = (LOOPBACK, 0)
    web: tuple[str, int] | None = None
    wait_s: float = 120.0


class _Child:
    """One process and the line to it."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.process, self.line = lifeline.start(
            lambda line: [sys.executable, "-m", _MODULE, lifeline.OPTION, str(line)],
            stdout=subprocess.DEVNULL,
        )
        self._received = bytearray()
        self.open = True

    def say(self, message: Mapping[str, Any]) -> None:
        with suppress(OSError):
            self.line.sendall(json.dumps(message).encode() + b"\n")

    def hear(self) -> Iterator[dict[str, Any]]:
        """Yield the messages that are there; the line is closed once it has ended."""
        try:
            piece = self.line.recv(1 << 20)
        except OSError:
            piece = b""
        if not piece:
            self.open = False
            return
        self._received += piece
        *lines, rest = self._received.split(b"\n")
        self._received = bytearray(rest)
        for line in lines:
            yield json.loads(line)

    def end(self, deadline_s: float) -> None:
        # it ends by itself when nobody holds the line
        self.line.close()
        lifeline.await_end(self.process, deadline_s)


class Generator:
    """
    Makes requests by a plan, in processes of their own; leave the block to end them.

    Args:
        plan: What to do.
        place: Where.
    """

    def __init__(self, plan: LoadPlan, place: Place) -> None:
        self._plan = plan
        self._place = place
        self._children: list[_Child] = []
        self._selector = selectors.DefaultSelector()
        self._addresses = ExitStack()
        self._leads = place.expected > 0 or place.processes > 1
        self.workers = place.expected or place.processes
        """Processes that make requests."""
        self.expected = place.expected
        """Those of them that others start."""
        self.address = place.bind
        """Where they come to."""

    def __enter__(self) -> Self:
        order = {
            "plan": self._plan.to_json(),
            "workers": self.workers,
            "web": self._place.web,
            "role": "master" if self._leads else "local",
        }
        try:
            if self._place.web is not None:
                # Locust would say so in a traceback, when requests are being made already
                self._keep(self._place.web, "web")
            if self._leads:
                self.address = self._keep(self._place.bind, "master")
                order |= dict(zip(("host", "port"), self.address, strict=True))
            self._start("the generator", order)
            if self._leads and not self._place.expected:
                for number in range(self._place.processes):
                    worker = {**order, "role": "worker", "locustfile": self._plan.locustfile}
                    worker.pop("plan")
                    self._start(f"generator {number + 1}", worker)
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _keep(self, address: tuple[str, int], who: str) -> tuple[str, int]:
        """Keep an address for Locust to listen at, and return it with its port."""
        try:
            return self._addresses.enter_context(kept_free(*address))
        except ConfigError as error:
            # the option of a command that has several of them
            text = str(error).replace("another --", f"another --{who}-")
            raise ConfigError(text) from error

    def _start(self, name: str, order: Mapping[str, Any]) -> None:
        child = _Child(name)
        self._children.append(child)
        self._selector.register(child.line, selectors.EVENT_READ, child)
        child.say(order)

    def reports(self) -> Iterator[dict[str, Any] | None]:
        """
        Yield what the process that leads says, until everything is done; None now and then.

        Raises:
            ConfigError: Users cannot be made of the Locust file, or a port is taken.
            TargetError: The only process, or the one that leads, has ended, or workers are missing.
        """
        deadline_s = time.monotonic() + self._place.wait_s
        joined, started = 0, False
        main = self._children[0]
        while True:
            for child, report in self._hear():
                if report is None:
                    if child is main:
                        code = child.process.wait()
                        msg = f"the process that makes the requests ended (code {code})"
                        raise TargetError(msg)
                    if not started:
                        code = child.process.wait()
                        msg = f"{child.name} ended before it began (code {code})"
                        raise TargetError(msg)
                elif report["type"] == "failed":
                    raise ConfigError(_explain(report["error"], self._plan))
                elif child is main:
                    started = started or report["type"] == "started"
                    joined = report["count"] if report["type"] == "worker" else joined
                    yield report
                    if report["type"] == "done":
                        return
            if not started and self._leads and time.monotonic() > deadline_s:
                msg = (
                    f"{joined} of {self.workers} workers have come after {self._place.wait_s:g} s;"
                    " start them with `perfkit load --worker --master-host HOST`"
                )
                raise TargetError(msg)
            yield None

    def _hear(self) -> Iterator[tuple[_Child, dict[str, Any] | None]]:
        for key, _ in self._selector.select(_POLL_S):
            child: _Child = key.data
            for report in child.hear():
                yield child, report
            if not child.open:
                self._selector.unregister(child.line)
                yield child, None

    def finish(self) -> None:
        """Have the only process begin no more requests; the end of its reports is as always."""
        self._children[0].say({"type": "finish"})

    def stop(self) -> Iterator[dict[str, Any]]:
        """Make no more requests, and yield what was still to be reported."""
        self._children[0].say({"type": "stop"})
        deadline_s = time.monotonic() + _STOP_S
        while time.monotonic() < deadline_s:
            for child, report in self._hear():
                if child is not self._children[0]:
                    continue
                if report is None or report["type"] == "done":
                    return
                yield report

    def close(self) -> None:
        """End all processes."""
        deadline_s = time.monotonic() + _END_S
        for child in self._children:
            child.end(deadline_s)
        self._children.clear()
        self._selector.close()
        self._addresses.close()


def _explain(error: str, plan: LoadPlan) -> str:
    if plan.locustfile is not None:
        return f"{plan.locustfile}: {error}"
    return error


def work_for(host: str, port: int, locustfile: str | None, *, say: Callable[[str], None]) -> None:
    """
    Make requests on this machine as a master elsewhere says, until it is done.

    Args:
        host: Of the master.
        port: Of the master.
        locustfile: The same as the master's, where it has one.
        say: Told how far it is.

    Raises:
        TargetError: No master answers, or it is gone.
    """
    child = _Child("the worker")
    deadline_s = time.monotonic() + _MASTER_S
    planned = False
    try:
        child.say({"role": "worker", "host": host, "port": port, "locustfile": locustfile})
        with selectors.DefaultSelector() as selector:
            selector.register(child.line, selectors.EVENT_READ)
            while True:
                for report in child.hear() if selector.select(_POLL_S) else ():
                    match report["type"]:
                        case "connected":
                            say(f"Connected to {host}:{port}; waiting for the other workers.")
                        case "planned":
                            planned = True
                        case "started":
                            say("Making requests.")
                        case "failed":
                            raise TargetError(report["error"])
                        case "done":
                            say("Done.")
                            return
                if not child.open:
                    msg = f"the worker ended (code {child.process.wait()})"
                    raise TargetError(msg)
                if not planned and time.monotonic() > deadline_s:
                    msg = (
                        f"no master answers at {host}:{port}; start it with `perfkit load --master"
                        f" --master-host {host}`"
                    )
                    raise TargetError(msg)
    finally:
        child.end(time.monotonic() + _STOP_S)
