"""Global indexes on tables in use: planned, created online, watched until they answer, dropped."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from perfkit.capacity import Consistency, item_size, read_units
from perfkit.dynamodb.errors import answer_errors
from perfkit.dynamodb.estimates import estimate_index, sample
from perfkit.dynamodb.index_items import (
    IndexCount,
    ItemCheck,
    check_definitions,
    check_held_keys,
    check_table,
    count_entries,
)
from perfkit.dynamodb.index_work import (
    Change,
    Changes,
    Event,
    Goal,
    Recorder,
    TableWork,
    WaitPolicy,
    Wanted,
    carry_out,
)
from perfkit.dynamodb.ownership import Mark, Ownership
from perfkit.dynamodb.retries import Backoff, Clock, Pause, RetryingConnection
from perfkit.dynamodb.safety import Effect, Preview
from perfkit.dynamodb.tables import (
    Definition,
    IndexState,
    TableState,
    count_items,
    describe,
    index_difference,
    to_be_made,
)
from perfkit.dynamodb.targets import Target, TargetKind
from perfkit.errors import TargetError, WorkloadError
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


def plan(
    target: Target, workload: Workload, names: Sequence[str] = (), *, seeded: float | None = None
) -> tuple[IndexPlan, ...]:
    """
    Look how the workload's indexes stand; changes nothing, reads no items.

    Tables that exist without perfkit are left out.

    Args:
        target: Where.
        workload: Which indexes.
        names: Only indexes of these names; all if empty.
        seeded: The scale at which the tables will have been filled by then; None takes them as
            they are.

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
    if seeded is None and not target.may_exist:
        raise _no_table(workload.made[0].name, target)
    generator = ItemGenerator(workload)
    ownership = Ownership(target)
    plans: list[IndexPlan] = []
    with RetryingConnection(target.connect()) as connection:
        for table in workload.tables:
            if all(owner is not table for owner, _ in wanted):
                continue
            with answer_errors(f"looking at table {table.name}", target.name):
                state = describe(connection, table.name)
                mark: Mark | None = Mark()
                if state is not None:
                    mark = ownership.mark_of(connection, state)
                elif seeded is None:
                    raise _no_table(table.name, target)
                else:
                    state = to_be_made(table)
            items = state.items
            if target.kind is not TargetKind.EMBEDDED:
                # AWS counts every six hours, and some stand-ins never do
                scale = seeded or (mark and mark.scale) or 1.0
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
    return tuple(plans)


def _check_made(workload: Workload, index: str) -> None:
    for table in workload.existing:
        if any(each.name == index for each in table.indexes):
            msg = (
                f"index {index} is on {table.name}, a table that perfkit did not create: it adds"
                " none to it and drops none of it; `perfkit migrate plan` plans it, and `perfkit"
                " migrate rollback` takes back what a plan added"
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
    with RetryingConnection(target.connect()) as connection:
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
    items: dict[str, int] = {}
    with RetryingConnection(target.connect(), backoff=Backoff(pause=pause)) as connection:
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
    record: Recorder = lambda _: None,
    clock: Clock = time.monotonic,
    pause: Pause = time.sleep,
) -> Changes:
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
        record: Called before and after each step.
        clock: Seconds that only grow.
        pause: Sleeps.

    Returns:
        What became of each index, by the names of table and index.

    Raises:
        ConfigError: A table is not perfkit's, or was re-created meanwhile.
        TargetError: The target failed, an index vanished while it was being built, or it took
            longer than *timeout_s*.
    """
    doing = "creating indexes" if goal is Goal.PRESENT else "dropping indexes"
    with (
        RetryingConnection(target.connect(), backoff=Backoff(pause=pause)) as connection,
        answer_errors(doing, target.name),
    ):
        works = _works(connection, target, plans, goal, record)
        ownership = Ownership(target)
        for work in works:
            if not work.is_done:
                ownership.check(connection, work.table_name, work.identity)
        policy = WaitPolicy(
            timeout_s=timeout_s, watch=watch, stalled=stalled, clock=clock, pause=pause
        )
        return carry_out(works, target, policy, again=_AGAIN, wait=wait)


_AGAIN = "`perfkit status` shows how far it is, and the same command waits for the rest"


def _works(
    connection: RetryingConnection,
    target: Target,
    plans: Sequence[IndexPlan],
    goal: Goal,
    record: Recorder,
) -> list[TableWork]:
    by_table: dict[str, list[IndexPlan]] = {}
    for each in plans:
        by_table.setdefault(each.table.name, []).append(each)
    return [
        TableWork(
            connection,
            target,
            some[0].table.name,
            some[0].table_state.identity,
            {each.index.name: _first_change(each, goal) for each in some},
            [Wanted(definition=Definition.of(each.index), goal=goal) for each in some],
            record=record,
        )
        for some in by_table.values()
    ]


def _first_change(each: IndexPlan, goal: Goal) -> Change:
    """Return what is known of an index before anything is done."""
    if each.state is IndexPlanState.DIFFERENT:
        return Change.LEFT
    if goal is Goal.PRESENT and each.state is IndexPlanState.ACTIVE:
        return Change.ALREADY_THERE
    if goal is Goal.ABSENT and each.state is IndexPlanState.MISSING:
        return Change.NOT_THERE
    if each.state in {IndexPlanState.CREATING, IndexPlanState.DELETING}:
        return Change.UNDER_WAY
    return Change.QUEUED
