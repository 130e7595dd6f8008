"""The twins of a command: one for each table whose indexes do not exist yet, made when first asked for."""

import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Self

from perfkit.capacity import READ_UNIT_BYTES
from perfkit.dynamodb.connection import ClientConnection
from perfkit.dynamodb.errors import answer_errors
from perfkit.dynamodb.retries import RetryingConnection
from perfkit.dynamodb.sample import SampledItem, SampleFacts, SampleLimits, Sampling, every_item
from perfkit.dynamodb.tables import TableState, describe
from perfkit.dynamodb.twin import Twin
from perfkit.dynamodb.twin_figures import TableTwin
from perfkit.errors import TargetError
from perfkit.workloads.model import Table

__all__ = ["SAMPLE_ITEMS", "TwinOptions", "Twins"]

SAMPLE_ITEMS = 1000

_OTHER = 1_000_003
"""Parameters may be drawn from a sample, too, and must not be those of the very same items."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TwinOptions:
    """
    How to make twins.

    Args:
        items: Items to sample of a table.
        whole: Copy all of them instead.
    """

    items: int = SAMPLE_ITEMS
    whole: bool = False


@dataclass(frozen=True, slots=True)
class _Made:
    twin: TableTwin
    facts: SampleFacts | None


class Twins:
    """
    Twins by table, in one temporary file that `close` deletes.

    As a context it closes them, and ends by SIGTERM and SIGHUP as by Ctrl-C, so that these leave no
    file behind either.

    Args:
        options: How to make them.
        client: A boto3 client of the target, which keeps the command's limits.
        where: The target, in messages.
        seed: Another one samples other items.
    """

    def __init__(self, options: TwinOptions, client: Any, *, where: str, seed: int = 0) -> None:
        self._options = options
        # the client is the caller's, and stays open
        self._connection = RetryingConnection(ClientConnection(client, where=where))
        self._where = where
        self._seed = seed + _OTHER
        self._file: Twin | None = None
        self._made: dict[str, _Made] = {}
        self._planned: set[str] = set()
        self._handlers: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Self:
        # no other thread may say what signals do
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGTERM, signal.SIGHUP):
                self._handlers[number] = signal.signal(number, signal.default_int_handler)
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self.close()
        finally:
            for number, handler in self._handlers.items():
                signal.signal(number, handler)
            self._handlers.clear()

    def close(self) -> None:
        """Delete all twins."""
        self._made.clear()
        if self._file is not None:
            self._file.close()
            self._file = None

    def plan(self, table: str) -> tuple[str, float]:
        """
        Return what will be read of a table, in words, and its read units; "" where that was said.

        Raises:
            TargetError: There is no such table.
        """
        if table in self._planned:
            return "", 0.0
        self._planned.add(table)
        state = self._describe(table)
        if self._options.whole:
            units = state.size_bytes / READ_UNIT_BYTES / 2
            return f"copy all of {table} into a temporary twin", units
        limits = self._limits(state)
        # what is described as empty may hold any number
        most = min(limits.items, state.items or limits.items)
        what = f"copy up to {most:,} sampled items of {table}"
        return f"{what} into a temporary twin", limits.read_units

    def of(self, table: Table, report: Callable[[str, float], None]) -> TableTwin:
        """
        Return the twin of a table.

        Args:
            table: As the workload has it.
            report: Told how far copying is.

        Raises:
            TargetError: The table is gone, or the target refused.
        """
        if table.name not in self._made:
            self._made[table.name] = self._make(table, report)
        return self._made[table.name].twin

    def facts(self, table: str) -> SampleFacts | None:
        """Return how a table was sampled; None if all of it was copied."""
        return self._made[table].facts

    def _make(self, table: Table, report: Callable[[str, float], None]) -> _Made:
        doing = f"copying {'all' if self._options.whole else 'a sample'} of {table.name}"
        with answer_errors(doing, self._where):
            state = self._describe(table.name)
            self._file = self._file or Twin()
            twin = TableTwin(self._file, table, state.keys)
            facts = None
            if self._options.whole:
                items = every_item(self._connection, state)
                twin.fill(_with_progress(items, doing, state.items, report), whole=True)
            else:
                sampling = Sampling(
                    self._connection,
                    state,
                    limits=self._limits(state),
                    seed=self._seed,
                    whole_segments=True,
                )
                twin.fill(_with_progress(sampling, doing, self._options.items, report))
                facts = sampling.facts()
            twin.scale(facts)
            twin.index()
        return _Made(twin, facts)

    def _describe(self, table: str) -> TableState:
        state = describe(self._connection, table)
        if state is None:
            msg = f"table {table} does not exist in {self._where}"
            raise TargetError(msg)
        return state

    def _limits(self, state: TableState) -> SampleLimits:
        limits = SampleLimits(items=self._options.items, read_units=_units(self._options.items))
        return limits.for_table(state)


def _units(items: int) -> float:
    # 10 KB an item at most, before the description of the table says it better
    return 2.5 * items


def _with_progress(
    items: Iterable[SampledItem], doing: str, expected: int, report: Callable[[str, float], None]
) -> Iterator[SampledItem]:
    """Yield items, and report every now and then how many there were."""
    for number, each in enumerate(items):
        if number % 100 == 0:
            report(doing, min(1.0, number / max(expected, 1)))
        yield each
