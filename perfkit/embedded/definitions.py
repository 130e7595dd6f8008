"""What CreateTable and UpdateTable may ask for: from a request to a checked table definition."""

import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache
from typing import Any

from perfkit.embedded.errors import INVALID_VALUES, validation
from perfkit.embedded.schema import ACCOUNT, REGION, Index, IndexKind, Keys, Table, Throughput

__all__ = [
    "check_throughput",
    "kept_settings",
    "new_index",
    "new_table",
    "read_attributes",
    "with_stream",
]

_log = logging.getLogger("perfkit.dynamodb")


_MOST_GLOBAL = 20
_MOST_LOCAL = 5
_MOST_KEYS_OF_A_PART = 4
_MOST_NON_KEY_ATTRIBUTES = 100
_MOST_UNITS = 1_000_000_000_000

_KEPT_SETTINGS = ("OnDemandThroughput", "WarmThroughput")


def read_attributes(request: Mapping[str, Any]) -> dict[str, str]:
    """
    Return the declared attribute types by name.

    Raises:
        DynamoDBError: An attribute is declared twice, be it with the same type.
    """
    declared = request.get("AttributeDefinitions") or ()
    types = {entry["AttributeName"]: entry["AttributeType"] for entry in declared}
    if len(types) < len(declared):
        msg = "Cannot have two attributes with the same name"
        raise validation(msg)
    return types


def new_table(request: Mapping[str, Any]) -> Table:
    """
    Return the table that a CreateTable request describes.

    Raises:
        DynamoDBError: ValidationException for the first rule it breaks, in AWS's order.
    """
    name = request["TableName"]
    if len(name) < 3:
        raise validation(
            f"1 validation error detected: Value '{name}' at 'tableName' failed to satisfy"
            " constraint: Member must have length greater than or equal to 3"
        )
    if len(request["KeySchema"]) > 2:
        shown = ", ".join(
            f"KeySchemaElement(attributeName={e['AttributeName']}, keyType={e['KeyType']})"
            for e in request["KeySchema"]
        )
        raise validation(
            f"1 validation error detected: Value '[{shown}]' at 'keySchema' failed to satisfy"
            " constraint: Member must have length less than or equal to 2"
        )
    billing = request.get("BillingMode", "PROVISIONED")
    throughput = check_throughput(request, billing, None)
    attributes = read_attributes(request)
    keys = _read_keys(request["KeySchema"], attributes)
    local, other = request.get("LocalSecondaryIndexes"), request.get("GlobalSecondaryIndexes")
    if local is None and other is None and len(attributes) != len(keys.names):
        raise validation(
            f"{INVALID_VALUES}Number of attributes in KeySchema does not exactly match number of"
            " attributes defined in AttributeDefinitions"
        )
    indexes = _read_indexes(local, other, keys, attributes, billing)
    _check_all_used(attributes, keys, indexes)
    stream = request.get("StreamSpecification") or {}
    if not stream.get("StreamEnabled") and stream.get("StreamViewType"):
        raise validation(
            f"{INVALID_VALUES}Table is being created with a stream disabled, UpdateViewType should"
            " not be specified"
        )
    table = Table(
        name=name,
        keys=keys,
        attributes=attributes,
        created_s=time.time(),
        billing=billing,
        throughput=throughput,
        indexes=indexes,
        deletion_protection=bool(request.get("DeletionProtectionEnabled")),
        settings=kept_settings(request),
    )
    return with_stream(table, stream, table.created_s) if stream.get("StreamEnabled") else table


def with_stream(table: Table, given: Mapping[str, Any], now_s: float) -> Table:
    """
    Return a table whose stream is turned on or off, which is kept and shown, nothing more.

    Args:
        given: The StreamSpecification.
        now_s: Seconds since 1970, which name the stream.

    Raises:
        DynamoDBError: It is so already, or nothing says what the stream would hold.
    """
    enabled = "StreamSpecification" in table.settings
    if bool(given["StreamEnabled"]) == enabled:
        state = "an enabled" if enabled else "a disabled"
        raise validation(f"Table already has {state} stream: TableName: {table.name}")
    if enabled:
        kept = {
            name: kept for name, kept in table.settings.items() if name != "StreamSpecification"
        }
        return replace(table, settings=kept)
    view = given.get("StreamViewType")
    if view is None:
        raise validation(f"{INVALID_VALUES}StreamViewType must be specified for an enabled stream")
    _warn_of_streams()
    moment = datetime.fromtimestamp(now_s, tz=UTC)
    label = moment.isoformat(timespec="milliseconds").removesuffix("+00:00")
    stream = {
        "StreamSpecification": {"StreamEnabled": True, "StreamViewType": view},
        "LatestStreamLabel": label,
        "LatestStreamArn": f"{table.arn}/stream/{label}",
    }
    return replace(table, settings={**table.settings, **stream})


@cache
def _warn_of_streams() -> None:
    """Say once that a stream holds nothing."""
    _log.warning("streams of the embedded DynamoDB are kept and shown, but nothing is streamed")


def kept_settings(request: Mapping[str, Any]) -> dict[str, Any]:
    """
    Return the settings that are given back: table class, encryption, on-demand limits.

    Raises:
        DynamoDBError: An on-demand limit that nothing could be served by.
    """
    for name, units in (request.get("OnDemandThroughput") or {}).items():
        if units == 0 or units < -1:
            raise validation(f"{INVALID_VALUES}{name} must be -1, for no limit, or at least 1")
    kept = {name: request[name] for name in _KEPT_SETTINGS if request.get(name)}
    if request.get("TableClass"):
        kept["TableClassSummary"] = {"TableClass": request["TableClass"]}
    if (request.get("SSESpecification") or {}).get("Enabled"):
        kept["SSEDescription"] = {
            "Status": "ENABLED",
            "SSEType": "KMS",
            "KMSMasterKeyArn": f"arn:aws:kms:{REGION}:{ACCOUNT}:alias/aws/dynamodb",
        }
    return kept


def check_throughput(
    request: Mapping[str, Any], billing: str, index_name: str | None
) -> Throughput:
    """
    Return the provisioned units of a table or an index.

    Raises:
        DynamoDBError: They are missing, out of bounds, or given for on-demand.
    """
    given = request.get("ProvisionedThroughput")
    if billing == "PAY_PER_REQUEST":
        if given and (given["ReadCapacityUnits"] or given["WriteCapacityUnits"]):
            subject = f" for index {index_name}" if index_name else ""
            raise validation(
                f"{INVALID_VALUES}Neither ReadCapacityUnits nor WriteCapacityUnits can be specified"
                f"{subject} when BillingMode is PAY_PER_REQUEST"
            )
        return Throughput()
    if given is None:
        if index_name is None:
            raise validation(
                f"{INVALID_VALUES}ReadCapacityUnits and WriteCapacityUnits must both be specified"
                " when BillingMode is PROVISIONED"
            )
        raise validation(
            f"{INVALID_VALUES}ProvisionedThroughput must be specified for index: {index_name}"
        )
    for member in ("ReadCapacityUnits", "WriteCapacityUnits"):
        if given[member] > _MOST_UNITS:
            suffix = f" for index {index_name}" if index_name else ""
            raise validation(f"Given value {given[member]} for {member} is out of bounds{suffix}")
    return Throughput(read=given["ReadCapacityUnits"], write=given["WriteCapacityUnits"])


def _undefined(names: Sequence[str], attributes: Mapping[str, str]) -> str:
    return (
        f"{INVALID_VALUES}Some index key attributes are not defined in AttributeDefinitions."
        f" Keys: [{', '.join(names)}], AttributeDefinitions: [{', '.join(attributes)}]"
    )


def _read_keys(schema: Sequence[Mapping[str, str]], attributes: Mapping[str, str]) -> Keys:
    names = [entry["AttributeName"] for entry in schema]
    if any(name not in attributes for name in names) or len(names) > len(attributes):
        if len(names) == 2:
            msg = "Invalid KeySchema: Some index key attribute have no definition"
            raise validation(msg)
        raise validation(_undefined(names, attributes))
    _check_order(schema)
    return Keys(partition=(names[0],), sort=tuple(names[1:]))


def _check_order(schema: Sequence[Mapping[str, str]]) -> None:
    names = [entry["AttributeName"] for entry in schema]
    if len(set(names)) < len(names):
        msg = "Both the Hash Key and the Range Key element in the KeySchema have the same name"
        raise validation(msg)
    if schema[0]["KeyType"] != "HASH":
        msg = "Invalid KeySchema: The first KeySchemaElement is not a HASH key type"
        raise validation(msg)
    if len(schema) == 2 and schema[1]["KeyType"] != "RANGE":
        msg = "Invalid KeySchema: The second KeySchemaElement is not a RANGE key type"
        raise validation(msg)


def _read_indexes(
    local: Sequence[Mapping[str, Any]] | None,
    other: Sequence[Mapping[str, Any]] | None,
    keys: Keys,
    attributes: Mapping[str, str],
    billing: str,
) -> tuple[Index, ...]:
    indexes: list[Index] = []
    if local is not None:
        if not local:
            raise validation(f"{INVALID_VALUES}List of LocalSecondaryIndexes is empty")
        if not keys.sort:
            raise validation(
                f"{INVALID_VALUES}Table KeySchema does not have a range key, which is required when"
                " specifying a LocalSecondaryIndex"
            )
        for given in local:
            index = new_index(given, attributes, billing, kind=IndexKind.LOCAL)
            _check_local(index, keys)
            _check_name(index, indexes)
            indexes.append(index)
        if len(local) > _MOST_LOCAL:
            raise validation(
                f"{INVALID_VALUES}Number of LocalSecondaryIndexes exceeds per-table limit of"
                f" {_MOST_LOCAL}"
            )
    if other is not None:
        if not other:
            raise validation(f"{INVALID_VALUES}List of GlobalSecondaryIndexes is empty")
        for given in other:
            index = new_index(given, attributes, billing, kind=IndexKind.GLOBAL)
            _check_name(index, indexes)
            indexes.append(index)
        if len(other) > _MOST_GLOBAL:
            raise validation(
                f"{INVALID_VALUES}GlobalSecondaryIndex count exceeds the per-table limit of"
                f" {_MOST_GLOBAL}"
            )
    if sum(len(index.non_key_attributes) for index in indexes) > _MOST_NON_KEY_ATTRIBUTES:
        raise validation(
            f"{INVALID_VALUES}Total number of non-key attributes projected exceeds the limit of"
            f" {_MOST_NON_KEY_ATTRIBUTES}"
        )
    return tuple(indexes)


def _check_local(index: Index, keys: Keys) -> None:
    if not index.keys.sort:
        raise validation(
            f"{INVALID_VALUES}Index KeySchema does not have a range key for index: {index.name}"
        )
    if index.keys.partition != keys.partition:
        raise validation(
            f"{INVALID_VALUES}Index KeySchema does not have the same leading hash key as table"
            f" KeySchema for index: {index.name}. index hash key: {index.keys.partition[0]},"
            f" table hash key: {keys.partition[0]}"
        )


def _check_name(index: Index, others: Sequence[Index]) -> None:
    if any(other.name == index.name for other in others):
        raise validation(f"{INVALID_VALUES}Duplicate index name: {index.name}")


def new_index(
    given: Mapping[str, Any], attributes: Mapping[str, str], billing: str, *, kind: IndexKind
) -> Index:
    """
    Return the index that part of a request describes.

    Raises:
        DynamoDBError: ValidationException for the first rule it breaks.
    """
    schema = given["KeySchema"]
    names = [entry["AttributeName"] for entry in schema]
    if any(name not in attributes for name in names):
        raise validation(_undefined(names, attributes))
    partition = tuple(e["AttributeName"] for e in schema if e["KeyType"] == "HASH")
    sort = tuple(e["AttributeName"] for e in schema if e["KeyType"] == "RANGE")
    # several attributes of a kind are for global indexes only, partition keys first
    several = kind is IndexKind.GLOBAL and len(schema) > 2
    if not several:
        _check_order(schema[:2])
    if (
        (several and [*partition, *sort] != names)
        or len(set(names)) < len(names)
        or len(partition) > _MOST_KEYS_OF_A_PART
        or len(sort) > _MOST_KEYS_OF_A_PART
        or (kind is IndexKind.LOCAL and len(schema) > 2)
    ):
        raise validation(
            f"{INVALID_VALUES}Invalid KeySchema for index {given['IndexName']}: up to"
            f" {_MOST_KEYS_OF_A_PART} HASH attributes, then up to {_MOST_KEYS_OF_A_PART} RANGE"
            " attributes, each once"
        )
    projection = (given.get("Projection") or {}).get("ProjectionType")
    non_key = (given.get("Projection") or {}).get("NonKeyAttributes")
    if projection is None:
        raise validation(f"{INVALID_VALUES}Unknown ProjectionType: null")
    if projection != "INCLUDE" and non_key is not None:
        raise validation(
            f"{INVALID_VALUES}ProjectionType is {projection}, but NonKeyAttributes is specified"
        )
    if projection == "INCLUDE" and not non_key:
        raise validation(
            f"{INVALID_VALUES}ProjectionType is INCLUDE, but NonKeyAttributes is not specified"
        )
    return Index(
        name=given["IndexName"],
        kind=kind,
        keys=Keys(partition=partition, sort=sort),
        projection=projection,
        non_key_attributes=tuple(non_key or ()),
        settings={} if kind is IndexKind.LOCAL else kept_settings(given),
        throughput=Throughput()
        if kind is IndexKind.LOCAL
        else check_throughput(given, billing, given["IndexName"]),
    )


def _check_all_used(attributes: Mapping[str, str], keys: Keys, indexes: Sequence[Index]) -> None:
    used = {*keys.names, *(name for index in indexes for name in index.keys.names)}
    if attributes.keys() - used:
        raise validation(
            f"{INVALID_VALUES}Some AttributeDefinitions are not used. AttributeDefinitions:"
            f" [{', '.join(attributes)}], keys used: [{', '.join(sorted(used))}]"
        )
