"""How the indexes of tables stand: by DescribeTable alone, and what a plan and a journal add."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from perfkit.dynamodb.errors import answer_errors
from perfkit.dynamodb.index_progress import build_progress
from perfkit.dynamodb.retries import RetryingConnection
from perfkit.dynamodb.tables import Definition, IndexState, TableState, describe, index_difference
from perfkit.dynamodb.targets import Target
from perfkit.errors import TargetError
from perfkit.migrate.applying import definition_of
from perfkit.migrate.journal import Made, journal_of
from perfkit.migrate.plan import Plan
from perfkit.workloads.model import Workload

__all__ = ["Standing", "TableStanding", "stand"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """
    One index.

    Args:
        definition: As it is, or where it is not there as it is wanted.
        index: As the target describes it; None if it is not there.
        fraction: Part that is copied, of one that is being made; None if unknown.
        planned: `create` or `remove`; empty where the plan says nothing of it, or there is none.
        difference: How it differs from the index of that name in the plan, or without one in the
            workload; empty if it does not.
        made: What the journal in this folder says of it; None if nothing.
    """

    definition: Definition
    index: IndexState | None
    fraction: float | None = None
    planned: str = ""
    difference: str = ""
    made: Made | None = None

    @property
    def status(self) -> str:
        """What becomes of it, in a word or two."""
        if self.index is None:
            return "not there" if self.planned != "remove" else "removed"
        if self.index.status == "CREATING":
            return "CREATING, items are copied" if self.index.backfilling else "CREATING, allocated"
        return self.index.status

    @property
    def outcome(self) -> str:
        """What has become of what the plan says of it; empty where it says nothing."""
        if self.planned == "remove":
            return "removed" if self.index is None else "to be removed"
        if not self.planned:
            return ""
        if self.index is None:
            return "to be created"
        if self.difference:
            return "differs"
        if not self.is_done:
            return "being created" if self.index.status == "CREATING" else "to be created"
        return "there already" if self.made is None else "created"

    @property
    def is_done(self) -> bool:
        """Whether the plan has nothing left to do with it."""
        if self.planned == "remove":
            return self.index is None
        return not self.planned or (
            self.index is not None
            and self.index.status in {"ACTIVE", "UPDATING"}
            and not self.difference
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class TableStanding:
    """
    One table.

    Args:
        state: As the target describes it.
        is_planned: Whether it is the very table that was planned; None without a plan.
        indexes: Those there, and those of the plan, or without one of the workload.
        lines: What the journal in this folder says, oldest first.
    """

    state: TableState
    is_planned: bool | None
    indexes: tuple[Standing, ...]
    lines: tuple[Mapping[str, object], ...]


def stand(
    target: Target, names: Sequence[str], plan: Plan | None, workload: Workload | None = None
) -> tuple[TableStanding, ...]:
    """
    Return how tables stand; changes nothing.

    Args:
        target: Where they are.
        names: Of the tables.
        plan: What is to be created or removed; None without one.
        workload: Whose indexes are wanted where there is no plan.

    Raises:
        TargetError: A table is not there, or the target failed.
        ConfigError: A journal is damaged.
    """
    if not target.may_exist:
        msg = f"no tables in {target.name}, which is not made yet"
        raise TargetError(msg)
    with RetryingConnection(target.connect(read_only=True)) as connection:
        return tuple(_table(connection, target, name, plan, workload) for name in names)


def _table(
    connection: RetryingConnection,
    target: Target,
    name: str,
    plan: Plan | None,
    workload: Workload | None,
) -> TableStanding:
    with answer_errors(f"looking at table {name}", target.name):
        state = describe(connection, name)
    if state is None:
        msg = (
            f"table {name} does not exist in {target.name}; check --target, --region and --profile"
        )
        raise TargetError(msg)
    journal = journal_of(target, name)
    made = journal.made(state)
    progress = build_progress(target)
    source = "workload" if plan is None else "plan"
    planned = _wanted(workload, name) if plan is None else _planned(plan, name)
    entries = _planned_entries(plan, name)
    found = []
    for index in state.indexes:
        wanted, what = planned.get(index.name, (None, ""))
        found.append(
            Standing(
                definition=_as_it_is(index),
                index=index,
                fraction=progress.fraction(state, index, entries.get(index.name))
                if index.status == "CREATING"
                else None,
                planned=what,
                difference="" if wanted is None else index_difference(wanted, index, whose=source),
                made=made.get(index.name),
            )
        )
    there = {each.name for each in state.indexes}
    found += [
        Standing(definition=wanted, index=None, planned=what)
        for index_name, (wanted, what) in planned.items()
        if index_name not in there
    ]
    identities = (
        [] if plan is None else [each.identity for each in plan.tables if each.table == name]
    )
    return TableStanding(
        state=state,
        is_planned=state.identity in identities if identities else None,
        indexes=tuple(found),
        lines=tuple(journal.lines()),
    )


def _as_it_is(index: IndexState) -> Definition:
    return Definition(
        name=index.name,
        keys=index.keys,
        projection=index.projection,
        non_key_attributes=index.non_key_attributes,
    )


def _wanted(workload: Workload | None, table: str) -> dict[str, tuple[Definition, str]]:
    return {
        index.name: (Definition.of(index), "")
        for each in (() if workload is None else workload.tables)
        if each.name == table
        for index in each.indexes
        if not index.local
    }


def _planned(plan: Plan, table: str) -> dict[str, tuple[Definition, str]]:
    found: dict[str, tuple[Definition, str]] = {}
    for each in plan.tables:
        if each.table != table:
            continue
        for creation in each.creations:
            found[creation.index.name] = (definition_of(creation.index), "create")
        for removal in each.removals:
            found[removal.index.name] = (definition_of(removal.index), "remove")
    return found


def _planned_entries(plan: Plan | None, table: str) -> dict[str, float]:
    """Return how many entries the plan's new indexes will have, by name."""
    return {
        creation.index.name: creation.figures.entries.value
        for each in (() if plan is None else plan.tables)
        if each.table == table
        for creation in each.creations
    }
