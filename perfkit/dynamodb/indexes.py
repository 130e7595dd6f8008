"""Global indexes on tables in use: planned, created online, watched until they answer, dropped."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from perfkit.dynamodb.connection import Connection
from perfkit.dynamodb.errors import BUSY, answer_errors
from perfkit.dynamodb.estimates import estimate_index, sample
from perfkit.dynamodb.index_progress import BuildProgress, build_progress
from perfkit.dynamodb.patience import Backoff, PatientConnection, Pause
from perfkit.dynamodb.safety import Effect, Preview
from perfkit.dynamodb.tables import (
    IndexState,
    Keys,
    TableState,
    describe,
    index_difference,
    is_ours,
)
from perfkit.dynamodb.targets import Target, TargetKind
from perfkit.embedded.errors import DynamoDBError
from perfkit.errors import TargetError, WorkloadError
from perfkit.workloads.generator import ItemGenerator
from perfkit.workloads.model import Index, Table, Workload

__all__ = [
    "Change",
    "Event",
    "Goal",
    "IndexPlan",
    "State",
    "apply",
    "create_preview",
    "drop_preview",
    "plan",
]


class State(StrEnum):
    """How an index of the workload stands on the target."""

    MISSING = "missing"
    CREATING = "creating"
    ACTIVE = "active"
    DELETING = "deleting"
    DIFFERENT = "different"
    """An index of that name exists with other keys or another projection."""


class Goal(StrEnum):
    """What is wanted of an index."""

    PRESENT = "present"
    ABSENT = "absent"


class Change(StrEnum):
    """What became of an index."""

    CREATED = "created"
    ALREADY_THERE = "already there"
    DROPPED = "dropped"
    NOT_THERE = "not there"
    UNDER_WAY = "under way"
    """Started (here or elsewhere) and not waited for."""
    QUEUED = "not started"
    """Another index operation of the same table comes first."""
    LEFT = "left as it is"
    """Differs from the workload's index of that name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexPlan:
    """
    One index of the workload, and how it stands.

    Args:
        table: Its table in the workload.
        index: The index as the workload wants it.
        state: How it stands on the target.
        difference: How the existing index differs, empty if it does not.
        ours: Whether perfkit created the table.
        entries: Estimated items that have the index's keys and so are copied.
        write_units: Estimated units to copy them.
        storage_bytes: Estimated size of the index.
    """

    table: Table
    index: Index
    state: State
    difference: str
    ours: bool
    entries: int
    write_units: float
    storage_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """
    How far one index is, told while waiting.

    Args:
        status: Status on the target; empty if there is no such index (yet, or any more).
        fraction: Part that is copied, 0 to 1; None if unknown.
    """

    table: str
    index: str
    status: str
    fraction: float | None


def plan(target: Target, workload: Workload, names: Sequence[str] = ()) -> tuple[IndexPlan, ...]:
    """
    Look how the workload's indexes stand; changes nothing, reads no items.

    Args:
        target: Where.
        workload: Which indexes.
        names: Only indexes of these names; all if empty.

    Raises:
        WorkloadError: The workload has no index of such a name.
        TargetError: A table is missing, or the target does not answer.
    """
    known = [(table, index) for table in workload.tables for index in table.indexes]
    for name in names:
        if all(index.name != name for _, index in known):
            choices = (
                ", ".join(sorted(index.name for _, index in known)) or "none: it has no indexes"
            )
            msg = f"workload {workload.name} has no index {name!r}; choose from {choices}"
            raise WorkloadError(msg)
    wanted = [(table, index) for table, index in known if not names or index.name in names]
    if not target.may_exist:
        raise _no_table(workload.tables[0].name, target)
    generator = ItemGenerator(workload)
    connection = PatientConnection(target.connect(), backoff=Backoff())
    plans: list[IndexPlan] = []
    try:
        for table in workload.tables:
            if all(owner is not table for owner, _ in wanted):
                continue
            with answer_errors(f"looking at table {table.name}", target.name):
                state = describe(connection, table.name)
                if state is None:
                    raise _no_table(table.name, target)
                ours = is_ours(connection, state)
            items = state.items
            if not items and target.kind is not TargetKind.EMBEDDED:
                # AWS counts every six hours, and some stand-ins never do
                items = generator.count(table.name)
            some = sample(generator, table.name)
            for index in (index for owner, index in wanted if owner is table):
                existing = state.index(index.name)
                difference = index_difference(index, existing)
                estimate = estimate_index(table, index, some, items)
                plans.append(
                    IndexPlan(
                        table=table,
                        index=index,
                        state=_state(existing, difference),
                        difference=difference,
                        ours=ours,
                        entries=estimate.entries,
                        write_units=estimate.write_units,
                        storage_bytes=estimate.storage_bytes,
                    )
                )
    finally:
        connection.close()
    return tuple(plans)


def _no_table(name: str, target: Target) -> TargetError:
    return TargetError(f"table {name} does not exist in {target.name}; run `perfkit seed` first")


def _state(existing: IndexState | None, difference: str) -> State:
    if existing is None:
        return State.MISSING
    if existing.status == "DELETING":
        return State.DELETING
    if difference:
        return State.DIFFERENT
    # UPDATING (a change of throughput) answers queries as ACTIVE does
    return State.CREATING if existing.status == "CREATING" else State.ACTIVE


def create_preview(plans: Sequence[IndexPlan], workload: Workload) -> Preview:
    """Return what creating the missing indexes does."""
    return Preview(
        title=f"Create indexes of workload {workload.name}",
        effects=tuple(
            Effect(
                text=f"create index {each.index.name} on table {each.table.name}, copying about"
                f" {each.entries:,} items",
                write_units=each.write_units,
            )
            for each in plans
            if each.state in {State.MISSING, State.DELETING}
        ),
    )


def drop_preview(plans: Sequence[IndexPlan], workload: Workload) -> Preview:
    """Return what dropping the existing indexes does."""
    return Preview(
        title=f"Drop indexes of workload {workload.name}",
        effects=tuple(
            Effect(
                text=f"drop index {each.index.name} of table {each.table.name}"
                + ("" if each.ours else ", which perfkit did NOT create")
            )
            for each in plans
            if each.state not in {State.MISSING, State.DELETING}
        ),
    )


def apply(
    target: Target,
    plans: Sequence[IndexPlan],
    goal: Goal,
    *,
    wait: bool = True,
    watch: Callable[[Event], None] = lambda _: None,
    pause: Pause = time.sleep,
) -> dict[tuple[str, str], Change]:
    """
    Bring indexes to be present and active, or absent.

    One operation per table at a time, as DynamoDB demands; tables side by side. Operations
    that others started are waited for. May be interrupted and called again at any moment.

    Args:
        target: Where.
        plans: What `plan` found; indexes that differ are left alone when *goal* is PRESENT.
        goal: What is wanted.
        wait: Whether to return only when all is done.
        watch: Called with the state of every index whenever it was looked at.
        pause: Sleeps.

    Returns:
        What became of each index, by the names of table and index.

    Raises:
        TargetError: The target failed, or an index vanished while it was being built.
    """
    doing = "creating indexes" if goal is Goal.PRESENT else "dropping indexes"
    connection = PatientConnection(target.connect(), backoff=Backoff(pause=pause))
    try:
        with answer_errors(doing, target.name):
            tables = {each.table.name: each.table for each in plans}
            works = [_TableWork(connection, table, plans, goal) for table in tables.values()]
            progress = build_progress(target)
            intervals = _intervals(target)
            while True:
                moved = [work.step(progress, watch) for work in works if not work.is_done]
                if not wait or all(work.is_done for work in works):
                    break
                pause(intervals.next(moved=any(moved)))
    finally:
        connection.close()
    return {
        (work.table_name, name): change for work in works for name, change in work.changes.items()
    }


class _TableWork:
    """The index operations of one table, one after the other."""

    def __init__(
        self, connection: Connection, table: Table, plans: Sequence[IndexPlan], goal: Goal
    ) -> None:
        self._connection = connection
        self._table = table
        self._goal = goal
        self._begun: set[str] = set()
        self._seen: TableState | None = None
        self._open: dict[str, Index] = {}
        self.changes: dict[str, Change] = {}
        for each in plans:
            if each.table.name != table.name:
                continue
            name = each.index.name
            if goal is Goal.PRESENT and each.state is State.DIFFERENT:
                self.changes[name] = Change.LEFT
            elif goal is Goal.PRESENT and each.state is State.ACTIVE:
                self.changes[name] = Change.ALREADY_THERE
            elif goal is Goal.ABSENT and each.state is State.MISSING:
                self.changes[name] = Change.NOT_THERE
            else:
                self.changes[name] = Change.QUEUED
                self._open[name] = each.index
                if each.state in {State.CREATING, State.DELETING}:
                    self.changes[name] = Change.UNDER_WAY

    @property
    def table_name(self) -> str:
        return self._table.name

    @property
    def is_done(self) -> bool:
        return not self._open

    def step(self, progress: BuildProgress, watch: Callable[[Event], None]) -> bool:
        """Look once, start what can be started; return whether anything moved since the last look."""
        state = describe(self._connection, self._table.name)
        if state is None:
            msg = f"table {self._table.name} was deleted meanwhile"
            raise TargetError(msg)
        for name in list(self._open):
            self._settle(name, state.index(name))
            watch(self._event(name, state, progress))
        startable = next((name for name in self._open if self._may_start(name, state)), None)
        if startable is not None and self._start(self._open[startable], state):
            self._begun.add(startable)
            self.changes[startable] = Change.UNDER_WAY
            return True
        moved = state != self._seen
        self._seen = state
        return moved

    def _settle(self, name: str, index: IndexState | None) -> None:
        if self._goal is Goal.ABSENT:
            if index is None:
                self.changes[name] = Change.DROPPED
                del self._open[name]
        elif index is None and name in self._begun:
            msg = (
                f"index {name} of {self._table.name} vanished while it was being built: something"
                " else deletes it, or the target refused it"
            )
            raise TargetError(msg)
        elif index is not None and index.status in {"ACTIVE", "UPDATING"}:
            self.changes[name] = Change.CREATED
            del self._open[name]

    def _event(self, name: str, state: TableState, progress: BuildProgress) -> Event:
        index = state.index(name)
        fraction = None
        if index is not None and index.status == "CREATING":
            fraction = progress.fraction(state, index)
        return Event(
            table=self._table.name,
            index=name,
            status="" if index is None else index.status,
            fraction=fraction,
        )

    def _may_start(self, name: str, state: TableState) -> bool:
        index = state.index(name)
        if self._goal is Goal.PRESENT:
            return index is None and not state.is_busy
        # an index whose items are being copied may be dropped; one being allocated may not
        return index is not None and (not state.is_busy or index.backfilling)

    def _start(self, index: Index, state: TableState) -> bool:
        """Ask for one operation; return whether it was accepted."""
        if self._goal is Goal.PRESENT:
            request = _creation(index, state)
        else:
            request = {"GlobalSecondaryIndexUpdates": [{"Delete": {"IndexName": index.name}}]}
        try:
            self._connection.execute("UpdateTable", {"TableName": self._table.name, **request})
        except DynamoDBError as error:
            # somebody else was faster: look again, and wait for theirs
            if error.code in BUSY or self._is_begun_elsewhere(index.name):
                return False
            raise
        return True

    def _is_begun_elsewhere(self, name: str) -> bool:
        state = describe(self._connection, self._table.name)
        if state is None:
            return False
        return (state.index(name) is not None) is (self._goal is Goal.PRESENT)


def _creation(index: Index, state: TableState) -> dict[str, Any]:
    keys = Keys.of(index)
    schema, _ = keys.to_wire()
    # AWS needs the new key's attributes only, but some stand-ins forget those left out
    types: dict[str, str] = {}
    for each in (state.keys, *(existing.keys for existing in state.indexes), keys):
        types.update(each.partition + each.sort)
    projection: dict[str, Any] = {"ProjectionType": str(index.projection)}
    if index.projection == "INCLUDE":
        projection["NonKeyAttributes"] = list(index.non_key_attributes)
    creation: dict[str, Any] = {
        "IndexName": index.name,
        "KeySchema": schema,
        "Projection": projection,
    }
    if state.billing == "PROVISIONED":
        # a table of somebody else's making: its own throughput is the only hint there is
        creation["ProvisionedThroughput"] = {
            "ReadCapacityUnits": max(1, state.read_capacity),
            "WriteCapacityUnits": max(1, state.write_capacity),
        }
    return {
        "AttributeDefinitions": [
            {"AttributeName": name, "AttributeType": kind} for name, kind in types.items()
        ],
        "GlobalSecondaryIndexUpdates": [{"Create": creation}],
    }


class _Intervals:
    """How long to wait between looks: short while things move, longer while they do not."""

    def __init__(self, first_s: float, longest_s: float) -> None:
        self._first_s = first_s
        self._longest_s = longest_s
        self._next_s = first_s

    def next(self, *, moved: bool) -> float:
        self._next_s = self._first_s if moved else min(self._next_s * 1.5, self._longest_s)
        return self._next_s


def _intervals(target: Target) -> _Intervals:
    if target.kind is TargetKind.EMBEDDED:
        # each look copies the next items, so looking is the work
        return _Intervals(0.0005, 0.05)
    return _Intervals(2.0, 20.0) if target.is_aws else _Intervals(0.1, 2.0)
