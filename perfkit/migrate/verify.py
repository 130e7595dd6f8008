"""
Whether indexes hold what their tables do, in both directions, while the tables are in use.

A table is read once and so is each of its indexes; what then seems to differ is looked at again
(see `second_look`). Nothing is written.
"""

import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

from perfkit.analysis.verdict import Ruling, Verdict
from perfkit.capacity import Item
from perfkit.dynamodb.connection import Connection
from perfkit.dynamodb.errors import answer_errors
from perfkit.dynamodb.index_items import Reason, Violation, violations
from perfkit.dynamodb.retries import Backoff, Clock, Pause, RetryingConnection
from perfkit.dynamodb.tables import IndexState, TableState
from perfkit.dynamodb.targets import Target, TargetKind
from perfkit.migrate.entries import Entries, Suspect
from perfkit.migrate.pages import PageReader
from perfkit.migrate.second_look import Difference, SecondLook
from perfkit.units import format_many

__all__ = ["SETTLE_S", "Finding", "Subject", "Verification", "verdict_of"]

SETTLE_S = 10.0
"""In AWS's own tests of its SDKs, 3 s were not always enough."""

_AT_ONCE = 10_000
"""Items looked at again together, so that their number costs no memory."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """
    A table and those of its indexes that are verified.

    Args:
        state: The table as the target describes it.
        indexes: Those that can be read.
        unreadable: Why others cannot be, by name.
    """

    state: TableState
    indexes: tuple[IndexState, ...]
    unreadable: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True, kw_only=True)
class Finding:
    """
    What was found of one index.

    Attributes:
        table: Its table.
        index: Its name.
        items: Items of the table, as they were read.
        entries: Entries of the index, likewise.
        left_out: Items that cannot be in it, by the first thing that keeps them out.
        looked_again: Items that seemed to differ at first.
        differences: Those that do.
        undecided: Those that were written all the while, so that nobody can say.
        unreadable: Why it could not be read; empty if it could.
    """

    table: str
    index: str
    items: int = 0
    entries: int = 0
    left_out: Counter[Violation] = field(default_factory=Counter)
    looked_again: int = 0
    differences: list[Difference] = field(default_factory=list)
    undecided: list[Suspect] = field(default_factory=list)
    unreadable: str = ""


def verdict_of(finding: Finding) -> Verdict:
    """Return whether an index holds what its table does."""
    name = f"{finding.index} of {finding.table}"
    if finding.unreadable:
        return Verdict(ruling=Ruling.INVALID, reason=f"{name} {finding.unreadable}")
    evidence = (
        f"{format_many(finding.items, 'item')}, {format_many(finding.entries, 'entry', 'entries')}"
    )
    if finding.differences:
        differ = "differs" if len(finding.differences) == 1 else "differ"
        reason = f"{format_many(len(finding.differences), 'item')} {differ} from {name}"
        return Verdict(ruling=Ruling.FAIL, reason=reason, evidence=evidence)
    if finding.undecided:
        reason = (
            f"{format_many(len(finding.undecided), 'item')} of {finding.table} differed from"
            f" {finding.index} and kept being written; run again"
        )
        return Verdict(ruling=Ruling.INVALID, reason=reason, evidence=evidence)
    return Verdict(ruling=Ruling.PASS, evidence=evidence)


class Verification:
    """
    Compares a table with its indexes.

    Args:
        target: Where; its limits hold for all threads.
        settle_s: No index lags behind by so much.
        segments: Of the parallel scans.
        page_units: Read units of a page at most; None for as many as a page takes.
        clock: Seconds that only grow.
        pause: Sleeps.
    """

    def __init__(
        self,
        target: Target,
        *,
        settle_s: float = SETTLE_S,
        segments: int = 4,
        page_units: float | None = None,
        clock: Clock = time.monotonic,
        pause: Pause = time.sleep,
    ) -> None:
        self._target = target
        self._settle_s = settle_s
        self._segments = segments
        self._page_units = page_units
        self._clock = clock
        self._pause = pause
        self._advance: Callable[[str, int], None] = lambda _, __: None
        self.read_units = 0.0

    def watch(self, advance: Callable[[str, int], None]) -> None:
        """Have *advance* called with the name of a table or an index, and what was read of it."""
        self._advance = advance

    def compare(self, subject: Subject) -> tuple[Finding, ...]:
        """
        Return what was found of each index of a table.

        Raises:
            TargetError: The target failed.
            LimitReachedError: It would cost more than allowed.
            StorageFullError: No room for temporary data.
        """
        state = subject.state
        found = {each.name: Finding(table=state.name, index=each.name) for each in subject.indexes}
        unreadable = tuple(
            Finding(table=state.name, index=name, unreadable=why)
            for name, why in subject.unreadable.items()
        )
        if subject.indexes:
            connection = self._target.connect(read_only=True)
            try:
                with answer_errors(f"verifying {state.name}", self._target.name):
                    self._compare(connection, subject, found)
            finally:
                connection.close()
        return (*found.values(), *unreadable)

    def _compare(self, connection: Connection, subject: Subject, found: dict[str, Finding]) -> None:
        state, entries = subject.state, Entries(subject.indexes, subject.state.keys)
        reader = PageReader(connection, segments=self._segments, page_units=self._page_units)
        try:
            self._read_table(reader, subject, entries, found)
            for index in subject.indexes:
                self._read_index(reader, state, index, entries, found[index.name])
            patient = RetryingConnection(connection, backoff=Backoff())
            look = SecondLook(
                patient,
                state,
                settle_s=self._settle_s,
                raw_binary=self._target.kind is not TargetKind.EMBEDDED,
                clock=self._clock,
                pause=self._pause,
            )
            for suspects in entries.suspects(_AT_ONCE):
                for each in suspects:
                    found[each.index].looked_again += 1
                outcome = look.decide(suspects)
                for difference in outcome.differences:
                    found[difference.index].differences.append(difference)
                for suspect in outcome.undecided:
                    found[suspect.index].undecided.append(suspect)
            self.read_units += look.read_units
        finally:
            self.read_units += reader.read_units
            entries.close()

    def _read_table(
        self, reader: PageReader, subject: Subject, entries: Entries, found: dict[str, Finding]
    ) -> None:
        state, read = subject.state, 0

        def take(items: list[Item]) -> None:
            nonlocal read
            entries.expect(items)
            for index in subject.indexes:
                _count_left_out(items, index, found[index.name])
            read += len(items)
            self._advance(state.name, read)

        reader.read(_scan(state, subject.indexes), take)
        for each in found.values():
            each.items = read

    def _read_index(
        self,
        reader: PageReader,
        state: TableState,
        index: IndexState,
        entries: Entries,
        found: Finding,
    ) -> None:
        def take(items: list[Item]) -> None:
            entries.meet(index, items)
            found.entries += len(items)
            self._advance(f"{state.name}/{index.name}", found.entries)

        request = {"TableName": state.name, "IndexName": index.name}
        reader.read({**request, "ReturnConsumedCapacity": "TOTAL"}, take)


def _count_left_out(items: Sequence[Item], index: IndexState, finding: Finding) -> None:
    for item in items:
        found = violations(item, index.keys)
        if found:
            # an item without one of the keys is not meant to be in the index, whatever else it has
            first = min(found, key=lambda each: each.reason is not Reason.MISSING)
            finding.left_out[first] += 1


def _scan(state: TableState, indexes: Sequence[IndexState]) -> dict[str, Any]:
    request: dict[str, Any] = {"TableName": state.name, "ReturnConsumedCapacity": "TOTAL"}
    if any(index.projection == "ALL" for index in indexes):
        return request
    names = dict.fromkeys(
        chain(
            state.keys.names,
            *((*index.keys.names, *index.non_key_attributes) for index in indexes),
        )
    )
    aliases = {f"#{number}": name for number, name in enumerate(names)}
    return {
        **request,
        "ProjectionExpression": ", ".join(aliases),
        "ExpressionAttributeNames": aliases,
    }
