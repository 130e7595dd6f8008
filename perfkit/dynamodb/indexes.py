"""Global indexes on tables in use: planned, created online, watched until they answer, dropped."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from perfkit.capacity import Consistency, item_size, read_units
from perfkit.dynamodb.connection import Connection
from perfkit.dynamodb.errors import BUSY, answer_errors
from perfkit.dynamodb.estimates import estimate_index, sample
from perfkit.dynamodb.index_items import (
    IndexCount,
    ItemCheck,
    check_definitions,
    check_held_keys,
    check_table,
    count_entries,
)
from perfkit.dynamodb.index_progress import BuildProgress, build_progress
from perfkit.dynamodb.ownership import Ownership, not_the_same
from perfkit.dynamodb.retries import Backoff, Clock, Pause, RetryingConnection
from perfkit.dynamodb.safety import Effect, Preview
from perfkit.dynamodb.tables import (
    IndexState,
    Keys,
    TableState,
    count_items,
    describe,
    index_definition,
    index_difference,
)
from perfkit.dynamodb.targets import Target, TargetKind
from perfkit.embedded.errors import DynamoDBError
from perfkit.errors import ConfigError, TargetError, WorkloadError
from perfkit.workloads.generator import ItemGenerator
from perfkit.workloads.model import Index, Table, Workload

__all__ = [
    "Change",
    "Event",
    "Goal",
    "IndexPlan",
    "IndexPlanState",
    "ItemChecks",
    "apply",
    "check_items",
    "check_types",
    "count",
    "create_preview",
    "drop_preview",
    "plan",
]

ItemChecks = dict[tuple[str, str], ItemCheck]
"""What items say about indexes, by the names of table and index."""

_STALLED_S = 30.0
"""After so long without progress a line says so, and again each time as much time has passed."""

_COUNTS = 5
"""So often entries that are missing are looked for again: global indexes lag behind their table."""
_COUNTS_PAID = 1
"""So often on AWS, where each count is in the preview and its cost."""
_COUNT_AGAIN_S = 1.0


class IndexPlanState(StrEnum):
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
        ours: Whether perfkit created the table; no other table's indexes are changed.
        table_state: The table as it is.
        scan_units: Estimated units to read the table once.
        entries: Estimated items that have the index's keys and so are copied.
        write_units: Estimated units to copy them.
        storage_bytes: Estimated size of the index.
        is_paid: Whether reading the table costs money.
    """

    table: Table
    index: Index
    state: IndexPlanState
    difference: str
    ours: bool
    table_state: TableState
    scan_units: float
    entries: int
    write_units: float
    storage_bytes: int
    is_paid: bool

    @property
    def is_to_create(self) -> bool:
        """Whether there is something to create or to wait for."""
        return self.state in {
            IndexPlanState.MISSING,
            IndexPlanState.CREATING,
            IndexPlanState.DELETING,
        }

    @property
    def is_to_count_again(self) -> bool:
        """Whether its entries are counted although it is there: what it lacks must not be forgotten."""
        return self.state is IndexPlanState.ACTIVE and self.ours and not self.is_paid

    @property
    def is_to_drop(self) -> bool:
        """Whether there is an index to drop, and it is the workload's."""
        return self.state in {IndexPlanState.CREATING, IndexPlanState.ACTIVE}


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """
    How far one index is, reported while waiting.

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

    Tables that exist without perfkit are left out.

    Args:
        target: Where.
        workload: Which indexes.
        names: Only indexes of these names; all if empty.

    Raises:
        WorkloadError: The workload has no index of such a name, or not on a table of perfkit's.
        TargetError: A table is missing, or the target does not answer.
    """
    known = [(table, index) for table in workload.made for index in table.indexes]
    for name in names:
        if all(index.name != name for _, index in known):
            _check_made(workload, name)
            choices = (
                ", ".join(sorted(index.name for _, index in known)) or "none: it has no indexes"
            )
            msg = f"workload {workload.name} has no index {name!r}; choose from {choices}"
            raise WorkloadError(msg)
    wanted = [(table, index) for table, index in known if not names or index.name in names]
    if not workload.made:
        return ()
    if not target.may_exist:
        raise _no_table(workload.made[0].name, target)
    generator = ItemGenerator(workload)
    ownership = Ownership(target)
    connection = RetryingConnection(target.connect(), backoff=Backoff())
    plans: list[IndexPlan] = []
    try:
        for table in workload.tables:
            if all(owner is not table for owner, _ in wanted):
                continue
            with answer_errors(f"looking at table {table.name}", target.name):
                state = describe(connection, table.name)
                if state is None:
                    raise _no_table(table.name, target)
                mark = ownership.mark_of(connection, state)
            items = state.items
            if target.kind is not TargetKind.EMBEDDED:
                # AWS counts every six hours, and some stand-ins never do
                scale = 1.0 if mark is None or mark.scale is None else mark.scale
                filled = ItemGenerator(workload, scale=scale).count(table.name)
                items = max(items, filled) if mark is not None else items or filled
            some = sample(generator, table.name)
            mean_bytes = sum(map(item_size, some)) / max(1, len(some))
            size_bytes = max(state.size_bytes, round(mean_bytes * items))
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
                        ours=mark is not None,
                        table_state=state,
                        scan_units=read_units(size_bytes, Consistency.STRONG),
                        entries=estimate.entries,
                        write_units=estimate.write_units,
                        storage_bytes=estimate.storage_bytes,
                        is_paid=target.is_aws,
                    )
                )
    finally:
        connection.close()
    return tuple(plans)


def _check_made(workload: Workload, index: str) -> None:
    for table in workload.existing:
        if any(each.name == index for each in table.indexes):
            msg = (
                f"index {index} is on {table.name}, a table that perfkit did not create: it adds"
                " none to it and drops none of it"
            )
            raise WorkloadError(msg)


def _no_table(name: str, target: Target) -> TargetError:
    return TargetError(f"table {name} does not exist in {target.name}; run `perfkit seed` first")


def _state(existing: IndexState | None, difference: str) -> IndexPlanState:
    if existing is None:
        return IndexPlanState.MISSING
    if existing.status == "DELETING":
        return IndexPlanState.DELETING
    if difference:
        return IndexPlanState.DIFFERENT
    # UPDATING (a change of throughput) answers queries as ACTIVE does
    return IndexPlanState.CREATING if existing.status == "CREATING" else IndexPlanState.ACTIVE


def create_preview(plans: Sequence[IndexPlan], workload: Workload) -> Preview:
    """Return what creating the missing indexes does."""
    wanted = [each for each in plans if each.is_to_create]
    effects = []
    for each in wanted:
        if each.state is not IndexPlanState.CREATING:
            text = f"create index {each.index.name} on table {each.table.name}, copying about"
            effects.append(
                Effect(text=f"{text} {each.entries:,} items", write_units=each.write_units)
            )
    for name in dict.fromkeys(each.table.name for each in wanted):
        of_table = [each for each in wanted if each.table.name == name]
        entries_bytes = sum(each.storage_bytes for each in of_table)
        once = of_table[0].scan_units + read_units(entries_bytes, Consistency.EVENTUAL)
        # the table is read again for each index that lacks entries
        again = _COUNTS_PAID * (once + (len(of_table) - 1) * of_table[0].scan_units)
        effects.append(
            Effect(
                text=f"read table {name} once, to see which items belong in"
                f" {', '.join(each.index.name for each in of_table)}, count the entries, and where"
                " some are missing do both again",
                read_units=once + again,
            )
        )
    again_there = [each for each in plans if each.is_to_count_again]
    for name in dict.fromkeys(each.table.name for each in again_there):
        there = [each.index.name for each in again_there if each.table.name == name]
        effects.append(
            Effect(text=f"count the items of table {name} and the entries of {', '.join(there)}")
        )
    return Preview(
        title=f"Create indexes of workload {workload.name}",
        effects=tuple(effects),
        foreign=_foreign(wanted),
    )


def drop_preview(plans: Sequence[IndexPlan], workload: Workload) -> Preview:
    """Return what dropping the existing indexes does."""
    wanted = [each for each in plans if each.is_to_drop]
    return Preview(
        title=f"Drop indexes of workload {workload.name}",
        effects=tuple(
            Effect(
                text=f"drop index {each.index.name} of table {each.table.name}"
                + ("" if each.ours else ", which perfkit did not create")
            )
            for each in wanted
        ),
        foreign=_foreign(wanted),
    )


def _foreign(plans: Sequence[IndexPlan]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(each.table.name for each in plans if not each.ours))


def check_types(plans: Sequence[IndexPlan]) -> None:
    """
    Refuse indexes whose key attributes the tables define with another type; reads nothing.

    Raises:
        ConfigError: Names attribute, type found and type wanted.
    """
    for each in plans:
        if each.state in {IndexPlanState.MISSING, IndexPlanState.DELETING}:
            check_definitions(each.table, each.index, each.table_state)


def check_items(
    target: Target,
    plans: Sequence[IndexPlan],
    *,
    stage: Callable[[str], None] = lambda _: None,
) -> ItemChecks:
    """
    Read every table that gets an index once, and return what its items say about it.

    Args:
        target: Where.
        plans: What `plan` found.
        stage: Called with what is being done, as a short text.

    Raises:
        ConfigError: The workload describes an index wrongly: nothing was created.
        TargetError: The target failed.
    """
    checks: ItemChecks = {}
    connection = RetryingConnection(target.connect(), backoff=Backoff())
    try:
        for table in {each.table.name: each.table for each in plans}.values():
            wanted = [each.index for each in plans if each.table is table and each.is_to_create]
            if not wanted:
                continue
            stage(f"reading {table.name}")
            with answer_errors(f"reading table {table.name}", target.name):
                found = check_table(connection, table.name, wanted)
                for each in found.values():
                    check_held_keys(connection, table, each)
            checks |= {(table.name, name): each for name, each in found.items()}
    finally:
        connection.close()
    return checks


def count(
    target: Target,
    plans: Sequence[IndexPlan],
    checks: ItemChecks,
    changes: Mapping[tuple[str, str], Change],
    *,
    stage: Callable[[str], None] = lambda _: None,
    pause: Pause = time.sleep,
) -> tuple[IndexCount, ...]:
    """
    Count the entries of the indexes that were created, and off AWS of those that were there.

    `shortfall` says what one lacks. Where there are fewer than items that belong in the index,
    both are looked at again: an index lags behind its table, and somebody may be deleting.

    Args:
        target: Where.
        plans: What `plan` found.
        checks: What `check_items` found before.
        changes: What became of the indexes.
        stage: Called with what is being done, as a short text.
        pause: Sleeps.

    Raises:
        TargetError: The target failed.
    """
    counts = []
    connection = RetryingConnection(target.connect(), backoff=Backoff(pause=pause))
    items: dict[str, int] = {}
    try:
        for each in plans:
            table, index = each.table.name, each.index.name
            seen = checks.get((table, index))
            created = changes.get((table, index)) is Change.CREATED and seen is not None
            if not created and not each.is_to_count_again:
                continue
            stage(f"counting {index}")
            with answer_errors(f"counting index {index} of {table}", target.name):
                if seen is None:
                    if table not in items:
                        items[table] = count_items(connection, table).items
                    # if all are in it, none needs to be looked at
                    whole = items[table]
                    seen = ItemCheck(index=each.index, items=whole, belonging=whole)
                entries = count_entries(connection, table, index)
                if not created and entries < seen.belonging:
                    seen = check_table(connection, table, [each.index])[index]
                for _ in range(_COUNTS_PAID if each.is_paid else _COUNTS):
                    if entries >= seen.belonging:
                        break
                    pause(_COUNT_AGAIN_S)
                    seen = check_table(connection, table, [each.index])[index]
                    entries = count_entries(connection, table, index)
            counts.append(IndexCount(table=each.table, check=seen, entries=entries))
    finally:
        connection.close()
    return tuple(counts)


def apply(
    target: Target,
    plans: Sequence[IndexPlan],
    goal: Goal,
    *,
    wait: bool = True,
    timeout_s: float | None = None,
    watch: Callable[[Event], None] = lambda _: None,
    stalled: Callable[[str], None] = lambda _: None,
    clock: Clock = time.monotonic,
    pause: Pause = time.sleep,
) -> dict[tuple[str, str], Change]:
    """
    Bring indexes to be present and active, or absent.

    One operation per table at a time, as DynamoDB demands; tables side by side. Operations
    that others started are waited for. May be interrupted and called again at any moment.

    Args:
        target: Where.
        plans: What `plan` found; indexes that differ from the workload's are left alone.
        goal: What is wanted.
        wait: Whether to return only when all is done.
        timeout_s: Wait no longer than so many seconds; None waits for ever.
        watch: Called with the state of every index whenever it was looked at.
        stalled: Called with one line for a person when nothing has moved for 30 s, and after
            every further 30 s.
        clock: Seconds that only grow.
        pause: Sleeps.

    Returns:
        What became of each index, by the names of table and index.

    Raises:
        ConfigError: A table is not perfkit's, or was made anew meanwhile.
        TargetError: The target failed, an index vanished while it was being built, or it took
            longer than *timeout_s*.
    """
    doing = "creating indexes" if goal is Goal.PRESENT else "dropping indexes"
    connection = RetryingConnection(target.connect(), backoff=Backoff(pause=pause))
    try:
        with answer_errors(doing, target.name):
            works = _works(connection, target, plans, goal)
            ownership = Ownership(target)
            for work in works:
                if not work.is_done:
                    ownership.check(connection, work.table_name, work.identity)
            progress = build_progress(target)
            intervals = _intervals(target)
            waiting = _Waiting(works, timeout_s, stalled, clock)
            while True:
                moved = [work.step(progress, watch) for work in works if not work.is_done]
                if not wait or all(work.is_done for work in works):
                    break
                pause(waiting.allow(intervals.next(moved=any(moved)), moved=any(moved)))
    finally:
        connection.close()
    return {
        (work.table_name, name): change for work in works for name, change in work.changes.items()
    }


def _works(
    connection: Connection, target: Target, plans: Sequence[IndexPlan], goal: Goal
) -> list["_TableWork"]:
    by_table: dict[str, list[IndexPlan]] = {}
    for each in plans:
        by_table.setdefault(each.table.name, []).append(each)
    return [_TableWork(connection, target, some, goal) for some in by_table.values()]


class _TableWork:
    """The index operations of one table, one after the other."""

    def __init__(
        self, connection: Connection, target: Target, plans: Sequence[IndexPlan], goal: Goal
    ) -> None:
        self._connection = connection
        self._target = target
        self._table = plans[0].table
        self.identity = plans[0].table_state.identity
        self._goal = goal
        self._begun: set[str] = set()
        self._seen: tuple[TableState, list[float | None]] | None = None
        self._open: dict[str, Index] = {}
        self.changes: dict[str, Change] = {}
        for each in plans:
            name = each.index.name
            if each.state is IndexPlanState.DIFFERENT:
                self.changes[name] = Change.LEFT
            elif goal is Goal.PRESENT and each.state is IndexPlanState.ACTIVE:
                self.changes[name] = Change.ALREADY_THERE
            elif goal is Goal.ABSENT and each.state is IndexPlanState.MISSING:
                self.changes[name] = Change.NOT_THERE
            else:
                self.changes[name] = Change.QUEUED
                self._open[name] = each.index
                if each.state in {IndexPlanState.CREATING, IndexPlanState.DELETING}:
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
        if state.identity != self.identity:
            raise not_the_same(self._table.name, self._target.name, is_there=True)
        fractions = []
        for name in list(self._open):
            self._settle(name, state.index(name))
            event = self._event(name, state, progress)
            fractions.append(event.fraction)
            watch(event)
        startable = next((name for name in self._open if self._may_start(name, state)), None)
        if startable is not None and self._start(self._open[startable], state):
            self._begun.add(startable)
            self.changes[startable] = Change.UNDER_WAY
            return True
        moved = (state, fractions) != self._seen
        self._seen = (state, fractions)
        return moved

    def waiting_for(self) -> list[str]:
        """Return the indexes that are not done, each with its status."""
        state = None if self._seen is None else self._seen[0]
        texts = []
        for name in self._open:
            index = None if state is None else state.index(name)
            status = "not begun" if index is None else index.status
            texts.append(f"{name} of {self._table.name} ({status})")
        return texts

    def _settle(self, name: str, index: IndexState | None) -> None:
        if index is not None and index.status != "DELETING":
            difference = index_difference(self._open[name], index)
            if difference:
                msg = (
                    f"index {name} of {self._table.name} was made anew by somebody else meanwhile:"
                    f" {difference}; it was left alone"
                )
                raise ConfigError(msg)
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
    # AWS needs the new key's attributes only, but some stand-ins forget those left out
    types: dict[str, str] = {}
    for each in (state.keys, *(existing.keys for existing in state.indexes), keys):
        types.update(each.partition + each.sort)
    creation = index_definition(index, keys)
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


class _Waiting:
    """How long to wait in all, and what to say when nothing moves."""

    def __init__(
        self,
        works: Sequence[_TableWork],
        timeout_s: float | None,
        stalled: Callable[[str], None],
        clock: Clock,
    ) -> None:
        self._works = works
        self._timeout_s = timeout_s
        self._stalled = stalled
        self._clock = clock
        self._started_s = self._moved_s = self._reported_s = clock()

    def allow(self, interval_s: float, *, moved: bool) -> float:
        """Return how long to wait before the next look, at most *interval_s*."""
        now_s = self._clock()
        waiting = ", ".join(text for work in self._works for text in work.waiting_for())
        if moved:
            self._moved_s = self._reported_s = now_s
        elif now_s - self._reported_s >= _STALLED_S:
            self._reported_s = now_s
            self._stalled(
                f"Nothing has moved for {now_s - self._moved_s:.0f} s: {waiting}; still waiting."
                " Ctrl-C ends the waiting, and what was begun stays."
            )
        if self._timeout_s is None:
            return interval_s
        left_s = self._timeout_s - (now_s - self._started_s)
        if left_s <= 0:
            msg = (
                f"not done after {self._timeout_s:g} s: {waiting}. What was begun stays:"
                " `perfkit status` shows how far it is, and the same command waits for the rest"
            )
            raise TargetError(msg)
        return min(interval_s, left_s)


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
