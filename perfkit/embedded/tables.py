"""Operations on tables: create, describe, list, update, delete, tags, limits."""

import re
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from perfkit.embedded import backfill, lateness
from perfkit.embedded.definitions import (
    check_throughput,
    kept_settings,
    new_index,
    new_table,
    read_attributes,
    with_stream,
)
from perfkit.embedded.errors import INVALID_VALUES, DynamoDBError, validation
from perfkit.embedded.expirations import forget_table
from perfkit.embedded.keys import table_name
from perfkit.embedded.schema import (
    ACCOUNT,
    Index,
    IndexKind,
    IndexStatus,
    Table,
)
from perfkit.embedded.storage import Storage, Transaction

__all__ = [
    "create_table",
    "delete_table",
    "describe_limits",
    "describe_table",
    "find_described",
    "find_resource",
    "list_tables",
    "list_tags_of_resource",
    "tag_resource",
    "untag_resource",
    "update_table",
]

_PAGE = 100
_MOST_TAGS = 50
_ARN = re.compile(r"arn:aws[a-z-]*:dynamodb:[a-z0-9-]+:(\d{12}):table/([a-zA-Z0-9_.-]+)")
_ONE_AT_A_TIME = (
    "Subscriber limit exceeded: Only 1 online index can be created or deleted simultaneously"
    " per table"
)


def create_table(storage: Storage, request: Mapping[str, Any]) -> dict[str, Any]:
    """Answer CreateTable; the table is usable when the answer is out."""
    table = new_table(request)
    tags = _read_tags(request.get("Tags"))
    with storage.write() as transaction:
        if transaction.table(table.name) is not None:
            raise DynamoDBError("ResourceInUseException", f"Table already exists: {table.name}")
        table = replace(table, index_delay_s=lateness.delay_of(transaction))
        table = transaction.add_table(table)
        _set_tags(transaction, table.name, tags)
        described = _describe(transaction, table, status="CREATING")
    # as on AWS, where indexes made with their table never backfill
    for index in described.get("GlobalSecondaryIndexes", ()):
        index["IndexStatus"] = "CREATING"
    return {"TableDescription": described}


def describe_table(storage: Storage, request: Mapping[str, Any]) -> dict[str, Any]:
    """Answer DescribeTable, then move a running index operation on by one step."""
    with storage.read() as transaction:
        table = find_described(transaction, request)
        described = _describe(transaction, table)
    if described["TableStatus"] == "UPDATING" and not storage.read_only:
        with storage.write() as transaction:
            current = transaction.table(table.name)
            if current is not None:
                backfill.advance(transaction, current)
    return {"Table": described}


def list_tables(storage: Storage, request: Mapping[str, Any]) -> dict[str, Any]:
    """Answer ListTables."""
    limit = request.get("Limit", _PAGE)
    with storage.read() as transaction:
        names = transaction.table_names(request.get("ExclusiveStartTableName", ""), limit + 1)
    answer: dict[str, Any] = {"TableNames": names[:limit]}
    if len(names) > limit:
        answer["LastEvaluatedTableName"] = names[limit - 1]
    return answer


def delete_table(storage: Storage, request: Mapping[str, Any]) -> dict[str, Any]:
    """Answer DeleteTable; the table is gone when the answer is out."""
    with storage.write() as transaction:
        table = find_described(transaction, request)
        if table.deletion_protection:
            msg = (
                "Resource cannot be deleted as it is currently protected against deletion."
                " Disable deletion protection first."
            )
            raise validation(msg)
        _refuse_while_updating(table)
        described = _describe(transaction, table, status="DELETING")
        transaction.remove_table(table)
        if table.ttl_attribute is not None:
            forget_table(transaction, table)
    for member in ("AttributeDefinitions", "KeySchema", "CreationDateTime"):
        described.pop(member)
    return {"TableDescription": described}


def update_table(storage: Storage, request: Mapping[str, Any]) -> dict[str, Any]:
    """Answer UpdateTable: settings at once, at most one index operation that goes on."""
    updates = request.get("GlobalSecondaryIndexUpdates") or []
    for name in ("ReplicaUpdates", "GlobalTableWitnessUpdates", "MultiRegionConsistency"):
        if request.get(name):
            raise validation(
                f"{name} cannot be carried out: the embedded DynamoDB is one region without replicas"
            )
    changes = ("ProvisionedThroughput", "BillingMode", "StreamSpecification", "SSESpecification")
    others = ("DeletionProtectionEnabled", "TableClass", "OnDemandThroughput", "WarmThroughput")
    if not updates and all(request.get(name) is None for name in (*changes, *others)):
        msg = (
            "At least one of ProvisionedThroughput, BillingMode, UpdateStreamEnabled,"
            " GlobalSecondaryIndexUpdates or SSESpecification or ReplicaUpdates is required"
        )
        raise validation(msg)
    _check_updates(updates)
    with storage.write() as transaction:
        before = find_described(transaction, request)
        table = _update_settings(before, request)
        for update in updates:
            table = _update_index(transaction, table, update, request)
        transaction.save(table)
        described = _describe(transaction, table, status="UPDATING")
    # the answer still shows what is being changed
    units = ("ReadCapacityUnits", "WriteCapacityUnits", "NumberOfDecreasesToday")
    described["ProvisionedThroughput"] |= {name: _throughput(before)[name] for name in units}
    return {"TableDescription": described}


def describe_limits(storage: Storage, request: Mapping[str, Any]) -> dict[str, Any]:  # noqa: ARG001
    """Answer DescribeLimits with the default quotas of an account."""
    return {
        "AccountMaxReadCapacityUnits": 80_000,
        "AccountMaxWriteCapacityUnits": 80_000,
        "TableMaxReadCapacityUnits": 40_000,
        "TableMaxWriteCapacityUnits": 40_000,
    }


def tag_resource(storage: Storage, request: Mapping[str, Any]) -> dict[str, Any]:
    """Answer TagResource."""
    tags = _read_tags(request["Tags"])
    with storage.write() as transaction:
        _set_tags(transaction, find_resource(transaction, request).name, tags)
    return {}


def untag_resource(storage: Storage, request: Mapping[str, Any]) -> dict[str, Any]:
    """Answer UntagResource."""
    with storage.write() as transaction:
        name = find_resource(transaction, request).name
        for key in request["TagKeys"]:
            transaction.run("DELETE FROM tags WHERE name = ? AND key = ?", (name, key))
    return {}


def list_tags_of_resource(storage: Storage, request: Mapping[str, Any]) -> dict[str, Any]:
    """Answer ListTagsOfResource, all on one page."""
    with storage.read() as transaction:
        name = find_resource(transaction, request).name
        rows = transaction.run("SELECT key, value FROM tags WHERE name = ?", (name,)).fetchall()
    return {"Tags": [{"Key": key, "Value": value} for key, value in rows]}


# ---- UpdateTable -----------------------------------------------------------------------


def _check_updates(updates: list[dict[str, Any]]) -> None:
    names: set[str] = set()
    for update in updates:
        parts = [update[kind] for kind in ("Create", "Update", "Delete") if update.get(kind)]
        if not parts:
            raise validation(
                f"{INVALID_VALUES}One of GlobalSecondaryIndexUpdate.Update,"
                " GlobalSecondaryIndexUpdate.Create, GlobalSecondaryIndexUpdate.Delete must"
                " not be null"
            )
        for part in parts:
            if part["IndexName"] in names:
                raise validation(
                    f"{INVALID_VALUES}Only one global secondary index update per index is allowed"
                    f" simultaneously. Index: {part['IndexName']}"
                )
            names.add(part["IndexName"])
    if sum(not update.get("Update") for update in updates) > 1:
        raise DynamoDBError("LimitExceededException", _ONE_AT_A_TIME)


def _update_settings(table: Table, request: Mapping[str, Any]) -> Table:
    given = request.get("ProvisionedThroughput")
    billing = request.get("BillingMode")
    switched = billing is not None and billing != table.billing
    if given is not None or switched:
        _refuse_while_updating(table)
        wanted = billing or table.billing
        throughput = check_throughput(request, wanted, None)
        if given is not None and not switched and throughput.units == table.throughput.units:
            raise validation(
                "The provisioned throughput for the table will not change. The requested value"
                " equals the current value. Current ReadCapacityUnits provisioned for the"
                f" table: {throughput.read}. Requested ReadCapacityUnits: {throughput.read}."
                " Current WriteCapacityUnits provisioned for the table:"
                f" {throughput.write}. Requested WriteCapacityUnits: {throughput.write}. Refer"
                " to the Amazon DynamoDB Developer Guide for current limits and how to request"
                " higher limits."
            )
        if not switched:
            throughput = table.throughput.changed_to(throughput, time.time())
        table = replace(table, billing=wanted, throughput=throughput)
    if request.get("DeletionProtectionEnabled") is not None:
        table = replace(table, deletion_protection=request["DeletionProtectionEnabled"])
    stream = request.get("StreamSpecification")
    if stream is not None:
        table = with_stream(table, stream, time.time())
    return replace(table, settings={**table.settings, **kept_settings(request)})


def _update_index(
    transaction: Transaction, table: Table, update: dict[str, Any], request: Mapping[str, Any]
) -> Table:
    if given := update.get("Create"):
        return _create_index(transaction, table, given, read_attributes(request))
    if given := update.get("Delete"):
        return _delete_index(table, given["IndexName"])
    given = update["Update"]
    index = table.index(given["IndexName"])
    if index is None or index.kind is IndexKind.LOCAL:
        raise DynamoDBError("ResourceNotFoundException", "Requested resource not found")
    index = replace(index, settings={**index.settings, **kept_settings(given)})
    if given.get("ProvisionedThroughput") is None:
        return table.with_index(index)
    throughput = check_throughput(given, table.billing, index.name)
    throughput = index.throughput.changed_to(throughput, time.time())
    return table.with_index(replace(index, throughput=throughput))


def _create_index(
    transaction: Transaction, table: Table, given: dict[str, Any], declared: dict[str, str]
) -> Table:
    index = new_index(given, declared, table.billing, kind=IndexKind.GLOBAL)
    if table.index(index.name) is not None:
        raise validation(f"{INVALID_VALUES}Duplicate index name: {index.name}")
    if backfill.running(table) is not None:
        raise DynamoDBError("LimitExceededException", _ONE_AT_A_TIME)
    if sum(other.kind is IndexKind.GLOBAL for other in table.indexes) >= 20:
        msg = f"{INVALID_VALUES}GlobalSecondaryIndex count exceeds the per-table limit of 20"
        raise validation(msg)
    # every key must be declared again, but what is declared otherwise than before is ignored
    added = {n: declared[n] for n in index.keys.names if n not in table.attributes}
    table = replace(table, attributes={**table.attributes, **added})
    index = replace(index, status=IndexStatus.CREATING)
    return table.with_index(transaction.add_index(index))


def _delete_index(table: Table, name: str) -> Table:
    index = table.index(name)
    if index is None or index.kind is IndexKind.LOCAL:
        raise DynamoDBError("ResourceNotFoundException", "Requested resource not found")
    running = backfill.running(table)
    if running is not None and running.name != name:
        raise DynamoDBError("LimitExceededException", _ONE_AT_A_TIME)
    if index.status is IndexStatus.DELETING or (
        index.status is IndexStatus.CREATING and not index.backfilling
    ):
        raise DynamoDBError(
            "ResourceInUseException",
            f"Attempt to change a resource which is still in use: Index is being"
            f" {'deleted' if index.status is IndexStatus.DELETING else 'created'}: {name}",
        )
    return table.with_index(replace(index, status=IndexStatus.DELETING, backfilling=False))


def _refuse_while_updating(table: Table) -> None:
    if backfill.running(table) is not None:
        raise DynamoDBError(
            "ResourceInUseException",
            f"Attempt to change a resource which is still in use: Table is being updated:"
            f" {table.name}",
        )


# ---- descriptions ----------------------------------------------------------------------


def find_described(transaction: Transaction, request: Mapping[str, Any]) -> Table:
    """
    Return the table an operation on tables names.

    Raises:
        DynamoDBError: ResourceNotFoundException, which names it.
    """
    name = table_name(request["TableName"])
    table = transaction.table(name)
    if table is None:
        raise DynamoDBError(
            "ResourceNotFoundException", f"Requested resource not found: Table: {name} not found"
        )
    return table


def _throughput(of: Table | Index) -> dict[str, Any]:
    throughput = of.throughput
    answer: dict[str, Any] = {
        "NumberOfDecreasesToday": throughput.decreases_on_day_of(time.time()),
        "ReadCapacityUnits": throughput.read,
        "WriteCapacityUnits": throughput.write,
    }
    for member, moment in (
        ("LastIncreaseDateTime", throughput.increased_s),
        ("LastDecreaseDateTime", throughput.decreased_s),
    ):
        if moment is not None:
            answer[member] = round(moment, 3)
    return answer


def _describe(
    transaction: Transaction, table: Table, *, status: str | None = None
) -> dict[str, Any]:
    items, size = transaction.totals(table.store)
    if status is None:
        status = "ACTIVE" if backfill.running(table) is None else "UPDATING"
    answer: dict[str, Any] = {
        "AttributeDefinitions": [
            {"AttributeName": name, "AttributeType": kind}
            for name, kind in table.attributes.items()
        ],
        "TableName": table.name,
        "KeySchema": table.keys.to_wire(),
        "TableStatus": status,
        "CreationDateTime": round(table.created_s, 3),
        "ProvisionedThroughput": _throughput(table),
        "TableSizeBytes": size,
        "ItemCount": items,
        "TableArn": table.arn,
        "TableId": table.table_id,
        "DeletionProtectionEnabled": table.deletion_protection,
        **table.settings,
    }
    if table.billing == "PAY_PER_REQUEST":
        answer["BillingModeSummary"] = {"BillingMode": table.billing}
    for kind, member in (
        (IndexKind.GLOBAL, "GlobalSecondaryIndexes"),
        (IndexKind.LOCAL, "LocalSecondaryIndexes"),
    ):
        described = [
            _describe_index(transaction, table, index)
            for index in table.indexes
            if index.kind is kind
        ]
        if described:
            answer[member] = described
    return answer


def _describe_index(transaction: Transaction, table: Table, index: Index) -> dict[str, Any]:
    items, size = transaction.totals(index.store)
    projection: dict[str, Any] = {"ProjectionType": index.projection}
    if index.non_key_attributes:
        projection["NonKeyAttributes"] = list(index.non_key_attributes)
    answer: dict[str, Any] = {
        "IndexName": index.name,
        "KeySchema": index.keys.to_wire(),
        "Projection": projection,
        "IndexSizeBytes": size,
        "ItemCount": items,
        "IndexArn": f"{table.arn}/index/{index.name}",
        **index.settings,
    }
    if index.kind is IndexKind.GLOBAL:
        answer["IndexStatus"] = index.status.value
        answer["ProvisionedThroughput"] = _throughput(index)
        if index.status is IndexStatus.CREATING:
            answer["Backfilling"] = index.backfilling
    return answer


# ---- tags ------------------------------------------------------------------------------


def _read_tags(given: list[dict[str, str]] | None) -> dict[str, str]:
    tags: dict[str, str] = {}
    for tag in given or ():
        if tag["Key"] in tags:
            raise validation(f"{INVALID_VALUES}Duplicate tag key: {tag['Key']}")
        if tag["Key"].startswith("aws:"):
            raise validation(f"{INVALID_VALUES}Tag keys must not start with aws:")
        tags[tag["Key"]] = tag["Value"]
    return tags


def find_resource(transaction: Transaction, request: Mapping[str, Any]) -> Table:
    """
    Return the table whose resource name (ARN) a request has.

    Raises:
        DynamoDBError: It is no resource name of a table, or not of one that is here.
    """
    arn = request["ResourceArn"]
    match = _ARN.fullmatch(arn)
    if match is None:
        raise validation(f"Invalid TableArn: Invalid ResourceArn provided as input {arn}")
    account, name = match.groups()
    if account != ACCOUNT:
        raise DynamoDBError(
            "AccessDeniedException",
            f"User is not authorized to perform this operation on resource: {arn}",
        )
    table = transaction.table(name)
    if table is None:
        raise DynamoDBError(
            "ResourceNotFoundException",
            f"Requested resource not found: ResourcArn: {arn} not found",
        )
    return table


def _set_tags(transaction: Transaction, name: str, tags: dict[str, str]) -> None:
    for key, value in tags.items():
        transaction.run(
            "INSERT INTO tags VALUES (?, ?, ?)"
            " ON CONFLICT (name, key) DO UPDATE SET value = excluded.value",
            (name, key, value),
        )
    (count,) = transaction.run("SELECT count(*) FROM tags WHERE name = ?", (name,)).fetchone()
    if count > _MOST_TAGS:
        raise validation(
            f"{INVALID_VALUES}Too many tags: the limit is {_MOST_TAGS} for one resource"
        )
