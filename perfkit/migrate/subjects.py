"""Which indexes are to be verified: those of a workload that are there, or those of a plan."""

from collections.abc import Sequence

from perfkit.dynamodb.connection import Connection
from perfkit.dynamodb.tables import IndexState, TableState
from perfkit.dynamodb.targets import Target
from perfkit.errors import ConfigError, TargetError
from perfkit.migrate.answers import questions_of
from perfkit.migrate.plan import Creation, IndexDefinition, Plan
from perfkit.migrate.planning import name_there
from perfkit.migrate.proposals import check_names, described
from perfkit.migrate.verify import Subject
from perfkit.workloads.model import Index, Workload

__all__ = ["subjects_of"]


def subjects_of(
    connection: Connection,
    target: Target,
    workload: Workload,
    *,
    plan: Plan | None = None,
    names: Sequence[str] = (),
) -> tuple[Subject, ...]:
    """
    Return tables with the indexes to verify.

    Args:
        connection: Where the tables are.
        target: Likewise.
        workload: Whose indexes; without a plan, those of them that are there.
        plan: Verify what it creates instead.
        names: Only indexes of these names, as the workload or the plan has them; all if empty.

    Raises:
        ConfigError: The plan is about another table or workload, or creates no such index.
        WorkloadError: The workload has no index of such a name.
        TargetError: A table is missing, or none of the indexes is there.
    """
    found = (
        _of_workload(connection, target, workload, names)
        if plan is None
        else _of_plan(connection, target, workload, plan, names)
    )
    if not found:
        msg = (
            f"none of the indexes of workload {workload.name} is there yet in {target.name};"
            " `perfkit migrate plan` says what creating them takes"
        )
        raise TargetError(msg)
    return found


def _of_workload(
    connection: Connection, target: Target, workload: Workload, names: Sequence[str]
) -> tuple[Subject, ...]:
    check_names(workload, names)
    found = []
    for table in workload.tables:
        wanted = [
            each for each in table.indexes if not each.local and (not names or each.name in names)
        ]
        if not wanted:
            continue
        state = described(connection, target, table)
        there = {each.name: _there(state, each) for each in wanted}
        lacking = [each for each in wanted if there[each.name] is None]
        missing = {
            each.name: _why_missing(state, each)
            for each in lacking
            if names or state.index(each.name) is not None
        }
        subject = _subject(workload, state, there, missing)
        if subject.indexes or subject.unreadable:
            found.append(subject)
    return tuple(found)


def _there(state: TableState, index: Index) -> IndexState | None:
    return state.index(name_there(state, index))


def _why_missing(state: TableState, index: Index) -> str:
    there = state.index(index.name)
    if there is not None and there.status == "DELETING":
        return "is DELETING"
    what = "has another key or projection than the workload's" if there else "is not there"
    return f"{what}; `perfkit migrate plan` says what creating it takes"


def _of_plan(
    connection: Connection,
    target: Target,
    workload: Workload,
    plan: Plan,
    names: Sequence[str],
) -> tuple[Subject, ...]:
    created = [each.index.name for table in plan.tables for each in table.creations]
    unknown = sorted(set(names) - set(created))
    if unknown or not created:
        what = f"no index {unknown[0]!r}" if unknown else "no index"
        msg = f"the plan creates {what}; it creates {', '.join(created) or 'nothing'}"
        raise ConfigError(msg)
    found = []
    for planned in plan.tables:
        wanted = [each for each in planned.creations if not names or each.index.name in names]
        if not wanted:
            continue
        table = next((each for each in workload.tables if each.name == planned.table), None)
        if table is None:
            msg = (
                f"the plan is of workload {plan.workload}, and workload {workload.name} has no table"
                f" {planned.table}; name the plan's with --workload"
            )
            raise ConfigError(msg)
        state = described(connection, target, table)
        if planned.identity.is_known and planned.identity != state.identity:
            msg = (
                f"table {state.name} in {target.name} is another one than the plan's: re-created"
                " since, or in another place; check --target, or make a new plan"
            )
            raise ConfigError(msg)
        there = {_workload_name(each): _planned(state, each.index) for each in wanted}
        missing = {
            each.index.name: "is not there; `perfkit migrate apply` creates it"
            for each in wanted
            if state.index(each.index.name) is None
        }
        found.append(_subject(workload, state, there, missing))
    return tuple(found)


def _workload_name(creation: Creation) -> str:
    """Return the name that the workload has for an index: a new one takes the place of it."""
    return creation.replaces or creation.index.name


def _planned(state: TableState, index: IndexDefinition) -> IndexState | None:
    there = state.index(index.name)
    if there is None:
        return None
    same = (
        there.keys.partition == index.partition
        and there.keys.sort == index.sort
        and there.projection == index.projection
        and sorted(there.non_key_attributes) == sorted(index.non_key_attributes)
    )
    if not same:
        msg = (
            f"index {index.name} of {state.name} has another key or projection than the plan's; make"
            " a new plan"
        )
        raise ConfigError(msg)
    return there


def _subject(
    workload: Workload,
    state: TableState,
    wanted: dict[str, IndexState | None],
    missing: dict[str, str],
) -> Subject:
    """
    Return what can be verified.

    Args:
        workload: Whose patterns ask.
        state: The table.
        wanted: The indexes, by their names in the workload; None for one that is not there.
        missing: Why some cannot be verified, by name.
    """
    readable, unreadable = {}, dict(missing)
    for name, index in wanted.items():
        if index is None:
            continue
        if index.status in {"ACTIVE", "UPDATING"}:
            readable[name] = index
        else:
            unreadable[index.name] = f"is {index.status}; run again when it is ACTIVE"
    return Subject(
        state=state,
        indexes=tuple(readable.values()),
        unreadable=unreadable,
        questions=questions_of(workload.patterns, state.name, readable),
    )
