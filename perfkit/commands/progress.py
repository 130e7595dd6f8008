"""Progress bars on standard error, silent unless that is a terminal; import late, Rich comes with it."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

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

from perfkit.units import one_line

__all__ = ["Bars", "bars"]


class _RateColumn(ProgressColumn):
    """Items a second."""

    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        return Text("" if speed is None else f"{speed:,.0f} {task.fields['unit']}/s")


class Bars:
    """Several labelled bars."""

    def __init__(self, progress: Progress, unit: str) -> None:
        self._progress = progress
        self._unit = unit
        self._tasks: dict[str, Task] = {}

    def add(self, name: str, total: float | None) -> None:
        """Show a bar; *total* None shows that something goes on, not how far it is."""
        number = self._progress.add_task(one_line(name), total=total, unit=self._unit)
        self._tasks[name] = self._progress.tasks[number]

    def advance(self, name: str, by: float) -> None:
        """Move a bar on."""
        self._progress.advance(self._tasks[name].id, by)

    def reach(self, name: str, completed: float, total: float | None) -> None:
        """Set how far a bar is."""
        self._progress.update(self._tasks[name].id, completed=completed, total=total)

    def label(self, name: str, text: str) -> None:
        """Change what stands before a bar."""
        self._progress.update(self._tasks[name].id, description=one_line(text))


@contextmanager
def bars(*, unit: str) -> Iterator[Bars]:
    """Show bars while the block runs, and take them away afterwards."""
    console = Console(stderr=True)
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
    progress = Progress(
        *columns,
        console=console,
        disable=not console.is_terminal,
        transient=True,
        get_time=time.monotonic,
    )
    with progress:
        yield Bars(progress, unit)
