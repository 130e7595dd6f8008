"""A table as the target describes it: its key, its size, and which of its indexes can be queried."""

from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from perfkit.dynamodb.errors import aws_errors
from perfkit.dynamodb.ownership import unmarked
from perfkit.dynamodb.tables import (
    NEW_NAME,
    IndexState,
    Keys,
    index_difference,
    index_states,
    key_difference,
    seeded_scale,
    table_state,
)
from perfkit.errors import TargetError
from perfkit.scenarios.base import Context
from perfkit.settings import WORKLOAD_FILE
from perfkit.workloads.loader import BUILT_IN_SOURCE
from perfkit.workloads.model import Index, QueryForm

__all__ = ["DescribedTable", "describe", "index_obstacle", "lacks_index", "query_obstacle"]


@dataclass(frozen=True, slots=True, kw_only=True)
class DescribedTable:
    """What measuring needs to know of a table: its key, and its indexes with their state."""

    name: str
    keys: tuple[str, ...]
    items: int
    scale: float | None
    size_bytes: int
    global_indexes: Mapping[str, IndexState]
    local_indexes: frozenset[str]


def describe(context: Context, table: str) -> DescribedTable:
    from botocore.exceptions import ClientError

    with aws_errors(f"looking at table {table}", context.where):
        try:
            description = context.client.describe_table(TableName=table)["Table"]
        except ClientError as error:
            if error.response.get("Error", {}).get("Code") != "ResourceNotFoundException":
                raise
            planned = context.workload.table(table)
            if context.before_seeding and not planned.exists:
                return DescribedTable(
                    name=table,
                    keys=tuple(key.name for key in planned.keys),
                    items=planned.items,
                    scale=None,
                    size_bytes=0,
                    global_indexes={},
                    local_indexes=frozenset(),
                )
            raise _no_table(context, table) from error
    _check_keys(context, table, description)
    return DescribedTable(
        name=table,
        keys=tuple(part["AttributeName"] for part in description["KeySchema"]),
        items=description.get("ItemCount", 0),
        scale=_scale(context, description.get("TableArn", "")),
        size_bytes=description.get("TableSizeBytes", 0),
        global_indexes={index.name: index for index in index_states(description)},
        local_indexes=frozenset(
            index["IndexName"] for index in description.get("LocalSecondaryIndexes", ())
        ),
    )


def _no_table(context: Context, table: str) -> TargetError:
    """Return what to do about a table that is not there."""
    from botocore.exceptions import BotoCoreError, ClientError

    workload = context.workload
    text = f"no table {table} on {context.where}"
    if workload.table(table).exists:
        try:
            there = context.client.list_tables()["TableNames"]
        except (BotoCoreError, ClientError):
            # not everybody may list them
            there = []
        near = get_close_matches(table, there, n=1)
        check = f"did you mean '{near[0]}'? Else check" if near else "check"
        return TargetError(
            f"{text}, which the workload says exists: {check} the target, region and credentials"
        )
    if workload.source == BUILT_IN_SOURCE and context.target_kind != "embedded":
        return TargetError(
            f"{text}: workload {workload.name} is built in, and is used where there is no"
            f" {WORKLOAD_FILE} and no --workload; `perfkit init` writes one from the tables"
            f" there, `perfkit seed` creates those of {workload.name}"
        )
    return TargetError(
        f"{text}: `perfkit seed` creates and fills it; where it should be there, check --target,"
        " --region and --profile"
    )


def _check_keys(context: Context, table: str, description: Mapping[str, Any]) -> None:
    """
    Check that a table has the key that the workload says.

    Raises:
        TargetError: It has another one, by which nothing could be asked.
    """
    workload = context.workload
    difference = key_difference(workload.table(table), table_state(description))
    if difference:
        at = "" if workload.source == BUILT_IN_SOURCE else f" in {workload.source}"
        msg = f"table {table} on {context.where}: {difference}; correct the key{at}"
        raise TargetError(msg)


def _scale(context: Context, arn: str) -> float | None:
    """Return the scale a table was seeded at, if it says so."""
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        found = context.client.list_tags_of_resource(ResourceArn=arn).get("Tags", ())
    except (BotoCoreError, ClientError):
        # not every stand-in knows tags, and not every account may read them
        return None
    return seeded_scale({tag["Key"]: tag["Value"] for tag in found})


def lacks_index(context: Context, form: QueryForm, table: DescribedTable) -> bool:
    """Tell whether a query's index is not there, or has other keys than the workload says."""
    if form.index is None or form.index in table.local_indexes:
        return False
    wanted = context.workload.table(table.name).index(form.index)
    existing = table.global_indexes.get(form.index)
    if existing is None:
        # one that should be there is a mistake, and no proposal
        return not wanted.exists
    return existing.keys != Keys.of(wanted)


def query_obstacle(context: Context, form: QueryForm, table: DescribedTable) -> str:
    """Return why a query cannot be asked on this target, and what to do; "" if it can."""
    if form.index is None or form.index in table.local_indexes:
        return ""
    declared = context.workload.table(table.name)
    wanted, existing = declared.index(form.index), table.global_indexes.get(form.index)
    if existing is None and declared.exists:
        return (
            f"index {form.index} is not on {table.name}, though the workload says that it"
            " exists: check its name and the target"
            if wanted.exists
            else f"`perfkit migrate preflight` finds the items of {table.name} that {form.index},"
            " which is proposed and not there, could not hold; `perfkit migrate plan` says"
            " what building it takes"
        )
    if existing is None and _is_foreign(context, table.name):
        return (
            f"no index {form.index} on {table.name}, and perfkit adds none to a table that it"
            " did not create: under another name in the workload, `perfkit seed` and"
            " `perfkit create-indexes` make one of its own to measure"
        )
    if existing is not None and declared.exists:
        return _obstacle_of_theirs(table.name, wanted, existing)
    return index_obstacle(table.name, wanted, existing)


def _is_foreign(context: Context, table: str) -> bool:
    """Tell whether perfkit did not create a table, as far as the target is known."""
    return context.source is not None and bool(unmarked(context.source, [table]))


def _obstacle_of_theirs(table: str, wanted: Index, existing: IndexState) -> str:
    """Return why an index of a table that exists already cannot be queried; "" if it can."""
    if existing.keys != Keys.of(wanted):
        remedy = "correct them" if wanted.exists else "give the one that is proposed another name"
        return (
            f"index {wanted.name} of {table} has other keys than in the workload"
            f" ({index_difference(wanted, existing)}): {remedy}"
        )
    if existing.status not in {"ACTIVE", "UPDATING"}:
        return (
            f"index {wanted.name} of {table} is {existing.status}: wait until it is ACTIVE and"
            " measure again"
        )
    return ""


def index_obstacle(table: str, wanted: Index, existing: IndexState | None) -> str:
    """Return why an index cannot be queried, and what to do about it; "" if it can."""
    if existing is None:
        return (
            f"no index {wanted.name} on {table}: run `perfkit create-indexes`, then measure again"
        )
    if existing.keys != Keys.of(wanted):
        return (
            f"index {wanted.name} of {table} has other keys, so it is not queried"
            f" ({index_difference(wanted, existing)}); {NEW_NAME}"
        )
    if existing.status == "CREATING":
        return (
            f"index {wanted.name} of {table} is still being created: `perfkit create-indexes`"
            " waits for it; then measure again"
        )
    if existing.status not in {"ACTIVE", "UPDATING"}:
        return (
            f"index {wanted.name} of {table} is {existing.status}: wait until it is ACTIVE and"
            " measure again"
        )
    return ""
