"""Seeding: bring a target's tables to hold exactly a workload's items, however often it is run."""

import os
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from perfkit.capacity import Consistency, Item, item_size, read_units
from perfkit.dynamodb.errors import answer_errors
from perfkit.dynamodb.estimates import sample, units_per_item
from perfkit.dynamodb.ownership import Mark, Ownership, check_same, not_ours
from perfkit.dynamodb.retries import Backoff, RetryingConnection
from perfkit.dynamodb.safety import Effect, Preview
from perfkit.dynamodb.tables import (
    Identity,
    TableState,
    check_keys,
    count_items,
    create,
    describe,
    wait_until_active,
)
from perfkit.dynamodb.targets import Target, TargetKind
from perfkit.dynamodb.writing import (
    BATCH_ITEMS,
    CHUNK_ITEMS,
    Chunk,
    Job,
    Progress,
    chunks_of,
    same_items,
    write,
)
from perfkit.errors import ConfigError, TargetError
from perfkit.workloads.generator import ItemGenerator
from perfkit.workloads.model import Table, Workload

__all__ = [
    "Found",
    "PlannedTable",
    "SeedOutcome",
    "SeedPlan",
    "SeededTable",
    "default_processes",
    "plan",
    "preview",
    "seed",
]


_CHUNKS_CHECKED = 400
# starting a process takes as long as writing some 8,000 items
_ITEMS_A_PROCESS = 10_000


class Found(StrEnum):
    """What a table held before."""

    NOTHING = "nothing"
    EVERYTHING = "everything"
    PART = "part"
    OTHER = "other"
    """As many items as the workload has, of which a sample differs."""
    MORE = "more"
    UNKNOWN = "unknown"
    """Not looked, because everything is to be written anyway."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedTable:
    """
    One table of a plan.

    Args:
        table: As the workload wants it.
        expected: Items it is to hold.
        state: As it is now, None if it is missing.
        ours: Whether perfkit created it, or will; no other table is seeded.
        write_units: Estimated units to write all items.
        read_units: Estimated units to count them and compare some.
    """

    table: Table
    expected: int
    state: TableState | None
    ours: bool
    write_units: float
    read_units: float


@dataclass(frozen=True, slots=True, kw_only=True)
class SeedPlan:
    """What seeding is going to do; `force` writes every item without looking."""

    job: Job
    tables: tuple[PlannedTable, ...]
    force: bool

    @property
    def items(self) -> int:
        """Items of all planned tables."""
        return sum(planned.expected for planned in self.tables)


@dataclass(frozen=True, slots=True, kw_only=True)
class SeededTable:
    """
    One table after seeding.

    Args:
        items: What the final count found.
        written: Items written now; `already` counts those found in place.
        least_write_units: What the written items take at least, by the billing rules.
    """

    name: str
    expected: int
    items: int
    created: bool
    found: Found
    written: int
    already: int
    write_units: float
    read_units: float
    least_write_units: float

    @property
    def foreign(self) -> int:
        """Items beyond the workload's."""
        return max(0, self.items - self.expected)


@dataclass(frozen=True, slots=True, kw_only=True)
class SeedOutcome:
    """All tables after seeding, and what it took."""

    tables: tuple[SeededTable, ...]
    elapsed_s: float
    refusals: int

    def remarks(self) -> list[str]:
        """Return what a person should know besides the numbers."""
        remarks = []
        for table in self.tables:
            if table.foreign:
                remarks.append(
                    f"{table.name} holds {table.foreign:,} items that are not this workload's (at"
                    " this --scale and --random-seed); they were left alone, and every read of the"
                    " table pays for them"
                )
            if table.found is Found.OTHER:
                remarks.append(
                    f"{table.name} held items that differ from the workload's (another"
                    " --random-seed, or changed since); all were written again"
                )
            if table.write_units < 0.9 * table.least_write_units:
                remarks.append(
                    f"the target says {table.write_units:,.0f} write units for {table.name}, where"
                    f" DynamoDB bills at least {table.least_write_units:,.0f}: do not trust its"
                    " capacity figures"
                )
        if self.refusals:
            remarks.append(
                f"the target refused or returned items {self.refusals:,} times; all were sent"
                " again (hold the rate with --max-wcu)"
            )
        return remarks


def default_processes(items: int) -> int:
    """Return how many processes write so many items: one a core, at most four."""
    try:
        cores = len(os.sched_getaffinity(0))
    except AttributeError:
        # macOS has no affinity
        cores = os.cpu_count() or 1
    return max(min(cores, 4, items // _ITEMS_A_PROCESS), 1)


def plan(
    target: Target,
    workload: Workload,
    *,
    scale: float = 1.0,
    random_seed: int = 1,
    tables: Sequence[str] = (),
    force: bool = False,
) -> SeedPlan:
    """
    Look at the tables and say what seeding them takes; changes nothing, reads no items.

    Tables that exist without perfkit are none of its business.

    Args:
        target: Where.
        workload: What.
        scale: Factor on the items of every table.
        random_seed: Another one gives other items.
        tables: Only these; all if empty.
        force: Write every item even if it is there.

    Raises:
        WorkloadError: The workload has no such table.
        ConfigError: A number is out of range.
        TargetError: A table of perfkit's has another key schema, or the target does not answer.
    """
    generator = ItemGenerator(workload, random_seed, scale)
    named = [workload.table(name) for name in dict.fromkeys(tables)] or workload.tables
    chosen = [table for table in named if not table.exists]
    ownership = Ownership(target)
    planned = []
    with (
        RetryingConnection(target.connect()) as connection,
        answer_errors("looking at the tables", target.name),
    ):
        for table in chosen:
            state = describe(connection, table.name)
            mark = Mark() if state is None else ownership.mark_of(connection, state)
            if state is not None and mark is not None:
                check_keys(table, state, where=target.name)
                _check_scale(table.name, mark.scale, scale, target)
            planned.append(_planned(table, state, ours=mark is not None, generator=generator))
    return SeedPlan(
        job=Job(
            target=target,
            workload=workload,
            random_seed=random_seed,
            scale=scale,
        ),
        tables=tuple(planned),
        force=force,
    )


def _check_scale(name: str, before: float | None, scale: float, target: Target) -> None:
    if before is not None and before > scale:
        way_out = "give its table another name in the workload"
        if target.kind is TargetKind.EMBEDDED:
            way_out = "keep the smaller one in a file of its own with --data"
        msg = (
            f"table {name} was filled at scale {before:g}: at scale {scale:g} its other items"
            f" would stay and be measured, too. Run `perfkit clean` first, or {way_out}"
        )
        raise ConfigError(msg)


def _planned(
    table: Table, state: TableState | None, *, ours: bool, generator: ItemGenerator
) -> PlannedTable:
    expected = generator.count(table.name)
    items = sample(generator, table.name)
    present = {index.name for index in state.indexes} if state else set()
    indexes = [index for index in table.indexes if index.name in present]
    mean_bytes = sum(map(item_size, items)) / max(1, len(items))
    reads = read_units(round(mean_bytes * expected), Consistency.STRONG)
    if state is not None:
        # counted before as well, foreign items included, and compared here and there
        size_bytes = max(round(mean_bytes * expected), state.size_bytes)
        compared = len(items) + _CHUNKS_CHECKED + expected * (BATCH_ITEMS + 1) / CHUNK_ITEMS
        one = read_units(round(mean_bytes), Consistency.STRONG)
        reads = 2 * read_units(size_bytes, Consistency.STRONG) + compared * one
    return PlannedTable(
        table=table,
        expected=expected,
        state=state,
        ours=ours,
        write_units=units_per_item(table, indexes, items) * expected,
        read_units=reads,
    )


def preview(planned: SeedPlan) -> Preview:
    """Return what a person should see before it happens."""
    effects = []
    for each in planned.tables:
        name = each.table.name
        if each.state is None:
            effects.append(
                Effect(text=f"create table {name}, on demand, tagged created-by=perfkit")
            )
        whose = "" if each.ours else ", which perfkit did not create"
        effects.append(
            Effect(
                text=f"write up to {each.expected:,} items to table {name}{whose}, and count them",
                read_units=each.read_units,
                write_units=each.write_units,
            )
        )
    return Preview(
        title=f"Seed workload {planned.job.workload.name}",
        effects=tuple(effects),
        foreign=tuple(each.table.name for each in planned.tables if not each.ours),
    )


def seed(
    planned: SeedPlan,
    *,
    processes: int,
    stage: Callable[[str], None] = lambda _: None,
    progress: Callable[[Progress], None] = lambda _: None,
) -> SeedOutcome:
    """
    Carry out a plan.

    Safe to interrupt at any moment and to start again: an item has the same key every time, so
    writing it twice leaves one; and a chunk is skipped only if its last batch is in place, the
    final count deciding whether that was right.

    Args:
        planned: What to do.
        processes: Processes to write in.
        stage: Called with what is being done, as a short text.
        progress: Called with items written or found in place, several times a second.

    Raises:
        ConfigError: A table is not perfkit's, or was replaced by another one meanwhile.
        TargetError: The target failed, or lost items while being written to.
        StorageFullError: No space left; what was written stays.
    """
    if processes < 1:
        msg = f"--processes must be at least 1, got {processes}"
        raise ConfigError(msg)
    started_s = time.monotonic()
    job = planned.job
    with (
        answer_errors("seeding", job.target.name),
        RetryingConnection(job.target.connect()) as connection,
    ):
        run = _Run(planned, connection, processes, stage, progress)
        run.prepare()
        run.fill()
        tables = tuple(run.verify(each) for each in planned.tables)
    return SeedOutcome(tables=tables, elapsed_s=time.monotonic() - started_s, refusals=run.refusals)


class _Run:
    """One execution of a plan: look, write, count."""

    def __init__(
        self,
        planned: SeedPlan,
        connection: RetryingConnection,
        processes: int,
        stage: Callable[[str], None],
        progress: Callable[[Progress], None],
    ) -> None:
        self._plan = planned
        self._job = planned.job
        self._connection = connection
        self._ownership = Ownership(planned.job.target)
        self._processes = processes
        self._stage = stage
        self._progress = progress
        self._generator = ItemGenerator(
            planned.job.workload, planned.job.random_seed, planned.job.scale
        )
        self._created: dict[str, bool] = {}
        self._found: dict[str, Found] = {}
        self._counted: dict[str, int] = {}
        self._done = {each.table.name: Progress(table=each.table.name) for each in planned.tables}

    @property
    def refusals(self) -> int:
        return sum(done.refusals for done in self._done.values())

    def prepare(self) -> None:
        """
        Create what is missing, and find out what the rest holds.

        Every table that is there is perfkit's before the first thing is changed, and every
        table that is written to is once more perfkit's before the first note is made.
        """
        where = self._job.target.name
        missing = [each.table for each in self._plan.tables if each.state is None]
        for each in self._plan.tables:
            if each.state is not None:
                self._ownership.check(self._connection, each.table.name, each.state.identity)
        if missing:
            self._ownership.prepare()
        for table in missing:
            made = create(self._connection, table)
            self._created[table.name] = made is not None
            if made is not None:
                self._ownership.note_created(made)
        states = {}
        for each in self._plan.tables:
            name = each.table.name
            self._stage(f"waiting for table {name}")
            state = states[name] = wait_until_active(self._connection, name, pause=time.sleep)
            # one that somebody else made a moment earlier, or in place of ours
            if self._ownership.mark_of(self._connection, state) is None:
                raise not_ours([name], where, begun=True)
            check_keys(each.table, state, where=where)
        for state in states.values():
            self._ownership.note_scale(self._connection, state, self._job.scale)
        identities: dict[str, Identity] = {name: each.identity for name, each in states.items()}
        self._job = replace(self._job, identities=identities)
        for each in self._plan.tables:
            self._found[each.table.name] = self._look(each)

    def _look(self, each: PlannedTable) -> Found:
        name = each.table.name
        if self._created.get(name):
            return Found.NOTHING
        if self._plan.force:
            return Found.UNKNOWN
        self._stage(f"looking at what {name} holds")
        items = self._count(name)
        if items != each.expected:
            return Found.MORE if items > each.expected else Found.PART if items else Found.NOTHING
        keys = tuple(key.name for key in each.table.keys)
        same, units = same_items(
            self._connection,
            name,
            keys,
            self._spot_checks(each),
            backoff=Backoff(),
        )
        self._add(Progress(table=name, read_units=units))
        return Found.EVERYTHING if same else Found.OTHER

    def _spot_checks(self, each: PlannedTable) -> list[Item]:
        """Return items that show whether a table of the right size is the workload's."""
        name = each.table.name
        # an interrupted seeding with another --random-seed has begun chunks and not ended them
        starts = range(0, each.expected, CHUNK_ITEMS)
        begun = random.Random(0).sample(starts, min(_CHUNKS_CHECKED, len(starts)))  # noqa: S311
        return [
            *sample(self._generator, name),
            *(self._generator.item(name, number) for number in begun),
        ]

    def fill(self) -> None:
        """Write what is not known to be there."""
        chunks: list[Chunk] = []
        for each in self._plan.tables:
            name = each.table.name
            if self._found[name] is Found.EVERYTHING:
                self._report(Progress(table=name, skipped=each.expected))
            else:
                # a larger count than expected could hide a gap, so only a smaller one is trusted
                look_first = self._found[name] is Found.PART
                chunks += chunks_of(name, each.expected, look_first=look_first)
        if chunks:
            self._stage("writing items")
            write(self._job, chunks, processes=self._processes, report=self._report)

    def verify(self, each: PlannedTable) -> SeededTable:
        """Count a table, and write it whole if skipping left a gap."""
        name = each.table.name
        found = self._found[name]
        items = self._counted[name] if found is Found.EVERYTHING else self._count(name)
        if items < each.expected and found is Found.PART:
            self._stage(f"writing all items of {name}: it has gaps")
            chunks = list(chunks_of(name, each.expected, look_first=False))
            self._done[name] = replace(self._done[name], skipped=0)
            write(self._job, chunks, processes=self._processes, report=self._add)
            items = self._count(name)
        if items < each.expected:
            check_same(self._connection, name, self._job.identities[name], self._job.target.name)
            msg = (
                f"all {each.expected:,} items of {name} were written, and it holds {items:,}:"
                " something else deletes items there; stop that, and run again"
            )
            raise TargetError(msg)
        done = self._done[name]
        least = units_per_item(each.table, (), sample(self._generator, name)) * done.written
        return SeededTable(
            name=name,
            expected=each.expected,
            items=items,
            created=self._created.get(name, False),
            found=found,
            written=done.written,
            already=done.skipped,
            write_units=done.write_units,
            read_units=done.read_units,
            least_write_units=least,
        )

    def _count(self, name: str) -> int:
        self._stage(f"counting {name}")
        counted = count_items(self._connection, name)
        self._add(Progress(table=name, read_units=counted.read_units))
        self._counted[name] = counted.items
        return counted.items

    def _add(self, done: Progress) -> None:
        self._done[done.table] += done

    def _report(self, done: Progress) -> None:
        self._add(done)
        self._progress(done)
