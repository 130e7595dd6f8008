"""Which indexes of a workload are not on the target's tables yet."""

from collections.abc import Sequence
from dataclasses import dataclass

from perfkit.dynamodb.connection import Connection
from perfkit.dynamodb.errors import answer_errors
from perfkit.dynamodb.index_items import check_definitions
from perfkit.dynamodb.tables import TableState, check_keys, describe, index_difference
from perfkit.dynamodb.targets import Target
from perfkit.errors import TargetError, WorkloadError
from perfkit.workloads.model import Index, Table, Workload
from perfkit.workloads.problems import nearest

__all__ = ["Proposal", "check_names", "described", "find_proposals"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """
    A table and what the workload wants of it.

    Args:
        table: As the workload describes it.
        state: As the target does.
        indexes: Those in question.
    """

    table: Table
    state: TableState
    indexes: tuple[Index, ...]

    def is_missing(self, index: Index) -> bool:
        """Whether the table has no index of that name."""
        return self.state.index(index.name) is None


def find_proposals(
    connection: Connection, target: Target, workload: Workload, names: Sequence[str] = ()
) -> tuple[Proposal, ...]:
    """
    Return the tables that lack indexes of a workload, and which; reads no items.

    An index that is there under its name with another key or projection is wanted as a new one,
    so it counts as lacking.

    Args:
        connection: Where the tables are.
        target: Likewise.
        workload: Which indexes.
        names: Indexes of these names, whether or not they are there; all that are lacking if empty.

    Raises:
        WorkloadError: The workload has no index of such a name.
        ConfigError: The table defines a key attribute with another type.
        TargetError: A table is missing, is being made or deleted, or has another key.
    """
    check_names(workload, names)
    found = []
    for table in workload.tables:
        wanted = [
            index
            for index in table.indexes
            if not index.local and (index.name in names if names else not index.exists)
        ]
        if not wanted:
            continue
        state = described(connection, target, table)
        if not names:
            wanted = [index for index in wanted if _is_lacking(state, index)]
        for index in wanted:
            check_definitions(table, index, state)
        if wanted:
            found.append(Proposal(table=table, state=state, indexes=tuple(wanted)))
    return tuple(found)


def check_names(workload: Workload, names: Sequence[str]) -> None:
    """
    Refuse names of indexes that a workload does not have.

    Raises:
        WorkloadError: It has no global index of such a name.
    """
    known = {index.name for table in workload.tables for index in table.indexes if not index.local}
    for name in names:
        if name not in known:
            msg = f"workload {workload.name} has no index {name!r}; {nearest(name, known)}"
            raise WorkloadError(msg)


def described(connection: Connection, target: Target, table: Table) -> TableState:
    """
    Return a table of a workload as the target describes it.

    Raises:
        TargetError: It is missing, is being made or deleted, or has another key.
    """
    with answer_errors(f"looking at table {table.name}", target.name):
        state = describe(connection, table.name)
    if state is None:
        advice = "check --target, --region and --profile" if table.exists else "run `perfkit seed`"
        msg = f"table {table.name} does not exist in {target.name}; {advice}"
        raise TargetError(msg)
    check_keys(table, state, where=target.name)
    if state.status in {"CREATING", "DELETING", "ARCHIVED", "ARCHIVING"}:
        msg = f"table {table.name} is {state.status} in {target.name}; run again when it is ACTIVE"
        raise TargetError(msg)
    return state


def _is_lacking(state: TableState, index: Index) -> bool:
    existing = state.index(index.name)
    return existing is None or bool(index_difference(index, existing))
