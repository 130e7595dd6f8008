"""Keys and indexes of tables, as DescribeTable tells them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

__all__ = ["Index", "Schema", "read_schema"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Index:
    """
    A secondary index.

    Args:
        name: Its name.
        key: Its key attributes, partition key first.
        projection: ALL, KEYS_ONLY or INCLUDE.
        included: Attributes beside the keys, of INCLUDE.
        is_global: Whether it is global.
    """

    name: str
    key: tuple[str, ...]
    projection: str
    included: tuple[str, ...] = ()
    is_global: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Schema:
    """
    A table.

    Args:
        name: Its name.
        key: Its key attributes, partition key first.
        types: Types of key attributes, of the indexes' too.
        indexes: By name.
        on_demand: Whether requests are paid for one by one.
        read_units: Provisioned, for the table itself.
        write_units: Likewise.
        items: As DynamoDB counts them every six hours.
        size_bytes: Likewise.
    """

    name: str
    key: tuple[str, ...]
    types: Mapping[str, str]
    indexes: Mapping[str, Index]
    on_demand: bool
    read_units: int
    write_units: int
    items: int
    size_bytes: int

    @property
    def partition(self) -> str:
        """The partition key's name."""
        return self.key[0]

    def partition_of(self, index: str) -> str | None:
        """Return the name of an index's partition key; None where there is no such index."""
        if not index:
            return self.partition
        found = self.indexes.get(index)
        return None if found is None else found.key[0]


def read_schema(description: Mapping[str, Any]) -> Schema | None:
    """Return the schema in the `Table` of a DescribeTable answer; None where that is none."""
    key = _key(description)
    if not key:
        return None
    indexes = {
        str(each["IndexName"]): Index(
            name=str(each["IndexName"]),
            key=_key(each),
            projection=str(each.get("Projection", {}).get("ProjectionType", "ALL")),
            included=tuple(each.get("Projection", {}).get("NonKeyAttributes") or ()),
            is_global=kind == "GlobalSecondaryIndexes",
        )
        for kind in ("GlobalSecondaryIndexes", "LocalSecondaryIndexes")
        for each in description.get(kind) or ()
    }
    provisioned = description.get("ProvisionedThroughput") or {}
    read_units = int(provisioned.get("ReadCapacityUnits") or 0)
    mode = (description.get("BillingModeSummary") or {}).get("BillingMode")
    return Schema(
        name=str(description.get("TableName", "")),
        key=key,
        types={
            str(each["AttributeName"]): str(each["AttributeType"])
            for each in description.get("AttributeDefinitions") or ()
        },
        indexes=indexes,
        on_demand=mode == "PAY_PER_REQUEST" or (mode is None and not read_units),
        read_units=read_units,
        write_units=int(provisioned.get("WriteCapacityUnits") or 0),
        items=int(description.get("ItemCount") or 0),
        size_bytes=int(description.get("TableSizeBytes") or 0),
    )


def _key(description: Mapping[str, Any]) -> tuple[str, ...]:
    schema = description.get("KeySchema") or ()
    ordered = sorted(schema, key=lambda part: part.get("KeyType") != "HASH")
    return tuple(str(part["AttributeName"]) for part in ordered)
