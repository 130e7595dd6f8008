"""
Keeps processes running: what dies is started again, after growing pauses.

Everything ends with the supervisor, however that ends: each child watches its lifeline.
"""

import contextlib
import logging
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from threading import Event

import psutil

from perfkit.errors import TargetError
from perfkit.processes import guard, lifeline

__all__ = ["Program", "Supervisor", "born", "cpu_s", "is_running"]

_READY_S = 60.0
_STOP_S = 15.0
_POLL_S = 0.1
_SHORT_LIFE_S = 5.0
_FIRST_PAUSE_S = 0.5
_LONGEST_PAUSE_S = 30.0
_SAME_S = 1.0

_log = logging.getLogger("perfkit.processes")


def born(pid: int) -> float | None:
    """Return when a process was started, in seconds since 1970; None if there is none."""
    try:
        process = psutil.Process(pid)
        return None if process.status() == psutil.STATUS_ZOMBIE else process.create_time()
    except psutil.Error:
        return None


def is_running(pid: int, born_at_s: float) -> bool:
    """Return whether the process of a number is still the one that was started at that time."""
    now_s = born(pid)
    # the system's clock, by which it is told, may have been put right meanwhile
    return now_s is not None and abs(now_s - born_at_s) < _SAME_S


def cpu_s(pids: Sequence[int]) -> float | None:
    """Return the processor time of some processes so far, user and kernel; None if unknown."""
    try:
        times = [psutil.Process(pid).cpu_times() for pid in pids]
    except psutil.Error:
        return None
    return sum(each.user + each.system for each in times)


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """
    A program to keep running; see `lifeline` for what it owes its supervisor.

    Args:
        name: For messages.
        arguments: The command line.
        environment: What to add to this process's environment.
        descriptors: Open files that it inherits.
        works: For a program of others, which knows nothing of lifelines: tells whether it works.
            A guard ends it with its supervisor.
    """

    name: str
    arguments: Sequence[str]
    environment: Mapping[str, str] = field(default_factory=dict)
    descriptors: tuple[int, ...] = ()
    works: Callable[[], bool] | None = None

    def command(self, line: int) -> list[str]:
        """Return the whole command line."""
        if self.works is None:
            return [*self.arguments, lifeline.OPTION, str(line)]
        return [sys.executable, "-IS", guard.__file__, str(line), *self.arguments]


class _Child:
    """A running program, and when to start it again."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self._pause_s = 0.0
        self._due_s: float | None = None
        self._begin()

    def _begin(self) -> None:
        self._started_at_s = time.monotonic()
        self.process, self.lifeline = lifeline.start(
            self.program.command,
            environment=self.program.environment,
            descriptors=self.program.descriptors,
        )

    def await_ready(self, deadline_s: float) -> None:
        """
        Wait until it works.

        Raises:
            TargetError: It ended, or takes too long.
        """
        name = self.program.name
        if self.program.works is not None:
            self._await_works(self.program.works, deadline_s)
            return
        self.lifeline.settimeout(max(deadline_s - time.monotonic(), 0.01))
        try:
            heard = self.lifeline.recv(1)
        except TimeoutError as error:
            msg = f"{name} is not ready after {_READY_S:g} s"
            raise TargetError(msg) from error
        except OSError:
            heard = b""
        if heard != lifeline.READY:
            msg = f"{name} ended at once (code {self.process.wait()}); its output is above"
            raise TargetError(msg)

    def _await_works(self, works: Callable[[], bool], deadline_s: float) -> None:
        name = self.program.name
        while not works():
            if self.process.poll() is not None:
                msg = f"{name} ended at once (code {self.process.wait()}); its output is above"
                raise TargetError(msg)
            if time.monotonic() > deadline_s:
                msg = f"{name} is not ready after {_READY_S:g} s"
                raise TargetError(msg)
            time.sleep(_POLL_S)

    def look(self) -> bool:
        """Start it again if it has ended; return whether it was."""
        now_s = time.monotonic()
        if self._due_s is not None:
            if now_s < self._due_s:
                return False
            self._due_s = None
            self._begin()
            return True
        code = self.process.poll()
        if code is None:
            return False
        self.lifeline.close()
        if now_s - self._started_at_s >= _SHORT_LIFE_S:
            self._pause_s = 0.0
        self._due_s = now_s + self._pause_s
        _log.warning(
            "%s (process %d) ended with %d; starting it again in %g s",
            self.program.name,
            self.process.pid,
            code,
            self._pause_s,
        )
        self._pause_s = min(max(2 * self._pause_s, _FIRST_PAUSE_S), _LONGEST_PAUSE_S)
        return False

    def end(self) -> None:
        """Ask it to end."""
        if self.program.works is not None:
            # the guard ends the program in good order when its lifeline is cut
            self.lifeline.close()
            return
        # it may have ended by itself
        with contextlib.suppress(ProcessLookupError):
            self.process.terminate()

    def await_end(self, deadline_s: float) -> None:
        """Wait for its end, and make one if it takes too long."""
        lifeline.await_end(self.process, deadline_s)
        self.lifeline.close()


class Supervisor:
    """Starts programs and keeps them running."""

    def __init__(self) -> None:
        self._children: list[_Child] = []

    @property
    def pids(self) -> list[int]:
        """The processes."""
        return [child.process.pid for child in self._children]

    def pids_of(self, programs: Sequence[Program]) -> list[int]:
        """Return the processes of those of some programs that are running."""
        return [
            child.process.pid
            for child in self._children
            if child.program in programs and child.process.poll() is None
        ]

    def start(self, programs: Sequence[Program]) -> None:
        """
        Start programs and wait until they work.

        Raises:
            TargetError: A process does not start; of these programs none is left then.
        """
        children: list[_Child] = []
        try:
            # those before one that cannot be started are in the list by then
            children.extend(_Child(program) for program in programs)
            deadline_s = time.monotonic() + _READY_S
            for child in children:
                child.await_ready(deadline_s)
        except BaseException:
            _end(children)
            raise
        self._children += children

    def run(
        self,
        stop: Event,
        *,
        meanwhile: Callable[[], None] = lambda: None,
        restarted: Callable[[], None] = lambda: None,
    ) -> None:
        """
        Keep everything running until *stop* is set.

        Args:
            stop: Says when.
            meanwhile: Called several times a second.
            restarted: Called when a program has been started again.
        """
        while not stop.wait(_POLL_S):
            looks = [child.look() for child in self._children]
            if any(looks):
                restarted()
            meanwhile()

    def retire(self, programs: Sequence[Program]) -> None:
        """End some of the programs."""
        retired = [child for child in self._children if child.program in programs]
        self._children = [child for child in self._children if child not in retired]
        _end(retired)

    def stop(self) -> None:
        """End everything that was started here."""
        _end(self._children)
        self._children.clear()


def _end(children: Sequence[_Child]) -> None:
    for child in children:
        child.end()
    deadline_s = time.monotonic() + _STOP_S
    for child in children:
        child.await_end(deadline_s)
