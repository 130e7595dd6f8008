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
    """

    name: str
    key: tuple[str, ...]
    types: Mapping[str, str]
    indexes: Mapping[str, Index]

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
    return Schema(
        name=str(description.get("TableName", "")),
        key=key,
        types={
            str(each["AttributeName"]): str(each["AttributeType"])
            for each in description.get("AttributeDefinitions") or ()
        },
        indexes=indexes,
    )


def _key(description: Mapping[str, Any]) -> tuple[str, ...]:
    schema = description.get("KeySchema") or ()
    ordered = sorted(schema, key=lambda part: part.get("KeyType") != "HASH")
    return tuple(str(part["AttributeName"]) for part in ordered)
