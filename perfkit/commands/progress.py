"""
Progress on standard error: bars at a terminal, a line now and then where there is none.

Import late: Rich comes with it.
"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    ProgressColumn,
    Task,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from perfkit.commands.output import note
from perfkit.units import format_duration, format_share, one_line

__all__ = ["Shown", "bars"]

_EVERY_S = 30.0
"""Seconds after which a line says that something still goes on."""


class Shown(Protocol):
    """How far several things are, each by a name."""

    def add(self, name: str, total: float | None) -> None:
        """Begin; *total* None says that something goes on, not how far it is."""

    def advance(self, name: str, by: float) -> None:
        """Move on."""

    def reach(self, name: str, completed: float, total: float | None) -> None:
        """Set how far it is."""

    def label(self, name: str, text: str, *, step: str = "") -> None:
        """
        Say what is being done.

        Args:
            name: Of the thing.
            text: What is done with it at the moment.
            step: What that is a part of; a new one is worth a line. Left out, it is the text.
        """


class _RateColumn(ProgressColumn):
    """Items a second."""

    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        return Text("" if speed is None else f"{speed:,.0f} {task.fields['unit']}/s")


class _Bars:
    """Bars one below another, redrawn ten times a second by a thread of Rich's."""

    def __init__(self, progress: Progress, unit: str) -> None:
        self._progress = progress
        self._unit = unit
        self._tasks: dict[str, Task] = {}

    def add(self, name: str, total: float | None) -> None:
        number = self._progress.add_task(one_line(name), total=total, unit=self._unit)
        self._tasks[name] = self._progress.tasks[number]

    def advance(self, name: str, by: float) -> None:
        self._progress.advance(self._tasks[name].id, by)

    def reach(self, name: str, completed: float, total: float | None) -> None:
        self._progress.update(self._tasks[name].id, completed=completed, total=total)

    def label(self, name: str, text: str, *, step: str = "") -> None:  # noqa: ARG002 - a bar has one line
        self._progress.update(self._tasks[name].id, description=one_line(text))


class _Lines:
    """
    A line at the start of each step, and one whenever nothing was written for `_EVERY_S`.

    Args:
        write: Takes a line.
        now: A clock, in seconds.
    """

    def __init__(self, write: Callable[[str], None], now: Callable[[], float]) -> None:
        self._write = write
        self._now = now
        self._lock = threading.Lock()
        self._began_s = self._written_s = now()
        self._step = self._text = ""
        self._steps: dict[str, str] = {}
        self._done: dict[str, tuple[float, float | None]] = {}
        self._current = ""

    def add(self, name: str, total: float | None) -> None:
        self._done[name] = (0.0, total)

    def advance(self, name: str, by: float) -> None:
        completed, total = self._done[name]
        self._done[name] = (completed + by, total)

    def reach(self, name: str, completed: float, total: float | None) -> None:
        self._done[name] = (completed, total)

    def label(self, name: str, text: str, *, step: str = "") -> None:
        with self._lock:
            self._current, self._text = name, text
            reached = step or text
            # several things take turns: each says its step once
            if reached not in {self._step, self._steps.get(name)}:
                self._say(reached)
            self._step = self._steps[name] = reached

    def tick(self) -> None:
        """Write a line if it is time for one; called every now and then."""
        with self._lock:
            if self._text and self._now() - self._written_s >= _EVERY_S:
                completed, total = self._done.get(self._current, (0.0, None))
                share = f", {format_share(round(completed / total, 2))}" if total else ""
                self._say(
                    f"{self._text}{share}, after {format_duration(self._now() - self._began_s)}"
                )

    def _say(self, text: str) -> None:
        self._written_s = self._now()
        self._write(text)


@contextmanager
def bars(*, unit: str) -> Iterator[Shown]:
    """Show how far things are while the block runs; bars are taken away afterwards."""
    console = Console(stderr=True)
    if not console.is_terminal:
        with _lines() as lines:
            yield lines
        return
    columns: list[ProgressColumn] = [
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TaskProgressColumn(),
        # moves also while a single slow call is all that happens
        TimeElapsedColumn(),
    ]
    if unit:
        columns.append(_RateColumn())
    columns.append(TimeRemainingColumn())
    progress = Progress(*columns, console=console, transient=True, get_time=time.monotonic)
    with progress:
        yield _Bars(progress, unit)


@contextmanager
def _lines() -> Iterator[_Lines]:
    lines = _Lines(note, time.monotonic)
    ended = threading.Event()

    def watch() -> None:
        # nothing reports during a slow call, so a thread watches the clock
        while not ended.wait(1.0):
            lines.tick()

    watcher = threading.Thread(target=watch, name="progress", daemon=True)
    watcher.start()
    try:
        yield lines
    finally:
        ended.set()
        watcher.join()
