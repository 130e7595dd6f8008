"""
Which items belong in an index: why one would not be in it, what a table's items say, the count after.

DynamoDB leaves an item out of a new index without a word if a key attribute of the index is
missing, has another type, is empty or too long. Source: AWS developer guide, "Detecting and
correcting index key violations in DynamoDB".
"""

import base64
import difflib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from perfkit.capacity import AttributeValue, Item
from perfkit.dynamodb.connection import Connection
from perfkit.dynamodb.tables import Keys, TableState
from perfkit.embedded.schema import MAX_PARTITION_KEY_BYTES, MAX_SORT_KEY_BYTES
from perfkit.errors import ConfigError
from perfkit.workloads.bounds import present_share
from perfkit.workloads.model import Index, Table

__all__ = [
    "IndexCount",
    "ItemCheck",
    "Reason",
    "Violation",
    "check_definitions",
    "check_held_keys",
    "check_held_type",
    "check_table",
    "count_entries",
    "shortfall",
    "typed_keys",
    "violations",
]


class Reason(StrEnum):
    """Why an item is not in an index."""

    MISSING = "missing"
    NULL = "NULL"
    TYPE = "type"
    EMPTY = "empty"
    TOO_LONG = "too long"


@dataclass(frozen=True, slots=True, kw_only=True)
class Violation:
    """
    One key attribute that keeps an item out of an index.

    Args:
        attribute: Its name.
        reason: What is wrong with it.
        found: The type it has, "" if it is missing.
        wanted: The type the index wants.
        limit_bytes: The most it may take.
    """

    attribute: str
    reason: Reason
    found: str
    wanted: str
    limit_bytes: int

    def describe(self, items: int) -> str:
        """Return in words how many items it keeps out."""
        has, lacks = ("has", "lacks") if items == 1 else ("have", "lack")
        match self.reason:
            case Reason.MISSING:
                return f"{items:,} {lacks} {self.attribute}"
            case Reason.NULL:
                return f"{items:,} {has} NULL in {self.attribute}"
            case Reason.EMPTY:
                return f"{items:,} {has} an empty {self.attribute}"
            case Reason.TOO_LONG:
                return f"{items:,} {has} a {self.attribute} of more than {self.limit_bytes:,} bytes"
            case Reason.TYPE:
                return (
                    f"{items:,} {has} {self.attribute} as {self.found}, where it wants"
                    f" {self.wanted}"
                )


def violations(item: Item, keys: Keys) -> tuple[Violation, ...]:
    """
    Return why an item is not in an index with these keys: nothing if it is.

    Args:
        item: As DynamoDB answers it; binary values as bytes or in base64.
        keys: Of the index.
    """
    found = []
    for parts, limit in (
        (keys.partition, MAX_PARTITION_KEY_BYTES),
        (keys.sort, MAX_SORT_KEY_BYTES),
    ):
        for name, wanted in parts:
            reason = _reason(item.get(name), wanted, limit)
            if reason is not None:
                kind = next(iter(item[name])) if name in item else ""
                found.append(
                    Violation(
                        attribute=name, reason=reason, found=kind, wanted=wanted, limit_bytes=limit
                    )
                )
    return tuple(found)


def _reason(value: AttributeValue | None, wanted: str, limit: int) -> Reason | None:
    if value is None:
        return Reason.MISSING
    if "NULL" in value:
        return Reason.NULL
    if wanted not in value:
        return Reason.TYPE
    if wanted == "N":
        return None
    size_bytes = _size_bytes(wanted, value[wanted])
    if size_bytes == 0:
        return Reason.EMPTY
    return Reason.TOO_LONG if size_bytes > limit else None


def _size_bytes(kind: str, content: Any) -> int:
    if kind == "B":
        return len(content if isinstance(content, bytes) else base64.b64decode(content))
    return len(content.encode())


# ---- the items of a table ------------------------------------------------------------------------


@dataclass(slots=True, kw_only=True)
class ItemCheck:
    """
    What a check of a table's items found for one index.

    Attributes:
        index: The index as the workload wants it.
        items: Items of the table.
        belonging: Items that belong in the index.
        left_out: Items that do not, by the first thing that keeps them out.
        types: For each key attribute, items by the type they have it in.
    """

    index: Index
    items: int = 0
    belonging: int = 0
    left_out: Counter[Violation] = field(default_factory=Counter)
    types: dict[str, Counter[str]] = field(default_factory=dict)

    def add(self, item: Item, keys: Keys) -> None:
        """Take one more item into account."""
        self.items += 1
        for name in keys.names:
            # NULL is no type that a workload could say
            if "NULL" not in item.get(name, {"NULL": True}):
                self.types.setdefault(name, Counter())[next(iter(item[name]))] += 1
        found = violations(item, keys)
        if found:
            # an item without one of the keys is not meant to be in the index, whatever else it has
            self.left_out[min(found, key=lambda each: each.reason is not Reason.MISSING)] += 1
        else:
            self.belonging += 1


def _pages(connection: Connection, request: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield every page of a scan."""
    asked = dict(request)
    while True:
        answer = connection.execute("Scan", asked)
        yield answer
        if "LastEvaluatedKey" not in answer:
            return
        asked["ExclusiveStartKey"] = answer["LastEvaluatedKey"]


def check_table(
    connection: Connection, table: str, indexes: Sequence[Index]
) -> dict[str, ItemCheck]:
    """
    Read a table once, strongly consistent, and return by name what its items say about indexes.

    Args:
        connection: Where the table is.
        table: Its name.
        indexes: As the workload wants them.
    """
    keys = {index.name: Keys.of(index) for index in indexes}
    checks = {index.name: ItemCheck(index=index) for index in indexes}
    names = {f"#{number}": name for number, name in enumerate(_attributes(keys.values()))}
    request = {
        "TableName": table,
        "ConsistentRead": True,
        "ProjectionExpression": ", ".join(names),
        "ExpressionAttributeNames": names,
    }
    for page in _pages(connection, request):
        for item in page["Items"]:
            for name, check in checks.items():
                check.add(item, keys[name])
    return checks


def _attributes(keys: Any) -> list[str]:
    return list(dict.fromkeys(name for each in keys for name in each.names))


def count_entries(connection: Connection, table: str, index: str) -> int:
    """Return how many entries an index has, by reading it to its end."""
    request = {"TableName": table, "IndexName": index, "Select": "COUNT"}
    return sum(page["Count"] for page in _pages(connection, request))


# ---- what contradicts the workload -----------------------------------------------------------------

_KEY_TYPES = frozenset({"S", "N", "B"})


def check_definitions(table: Table, index: Index, state: TableState) -> None:
    """
    Refuse an index whose key attribute the table defines with another type.

    Raises:
        ConfigError: Names attribute, type found and type wanted.
    """
    for name, wanted in typed_keys(index):
        defined = state.attributes.get(name, wanted)
        if defined != wanted:
            msg = (
                f"index {index.name} of {table.name} wants {name} as {wanted}, and the table"
                f" defines it as {defined}; {_correction(table, name, defined)}"
            )
            raise ConfigError(msg)


# of so many items that should have an attribute, by chance none has it once in 500 million times
_MOST_BY_CHANCE = 20


def check_held_keys(connection: Connection, table: Table, check: ItemCheck) -> None:
    """
    Refuse an index that the workload describes wrongly, as the table's items show.

    An attribute that most items have with another type, or that none has. Single items that
    differ are no mistake of the workload's: see `shortfall`.

    Raises:
        ConfigError: Names attribute, what was found and what was wanted.
    """
    for name, wanted in typed_keys(check.index):
        if check.types.get(name):
            check_held_type(table, check.index.name, (name, wanted), check.types[name])
        elif (table.exists and check.items) or _share(table, name) * check.items >= _MOST_BY_CHANCE:
            msg = (
                f"index {check.index.name} of {table.name} wants {name} ({wanted}), and none of the"
                f" table's {check.items:,} items has it{_similar(connection, table.name, name)};"
                " correct the name in the workload. No index was created"
            )
            raise ConfigError(msg)


def check_held_type(
    table: Table, index: str, key: tuple[str, str], types: Mapping[str, int]
) -> None:
    """
    Refuse a key attribute that most items have with another type.

    Args:
        table: As the workload has it.
        index: Its name.
        key: Name and type of the attribute, as the index wants it.
        types: Of the items that have it, by type.

    Raises:
        ConfigError: Names attribute, type found and type wanted.
    """
    name, wanted = key
    kind = max(types, key=lambda each: types[each])
    if kind != wanted:
        msg = (
            f"index {index} of {table.name} wants {name} as {wanted}, and {types[kind]:,} of the"
            f" {sum(types.values()):,} items that have it hold it as {kind};"
            f" {_correction(table, name, kind)}. No index was created"
        )
        raise ConfigError(msg)


def _correction(table: Table, name: str, kind: str) -> str:
    """Return what to do about an attribute that is of another type than the workload says."""
    if kind not in _KEY_TYPES:
        return "no index can be keyed on such values"
    if table.exists:
        return f'write {{ name = "{name}", type = "{kind}" }} in the workload'
    return "correct the attribute's kind in the workload"


def typed_keys(index: Index) -> tuple[tuple[str, str], ...]:
    """Return the key attributes of an index as (name, type), partition first."""
    keys = Keys.of(index)
    return keys.partition + keys.sort


def _share(table: Table, attribute: str) -> float:
    """Return the share of a table's items that have an attribute, as the workload says."""
    having = 0.0
    for entity in table.entities:
        if any(each.name == attribute for each in entity.attributes):
            having += entity.items * present_share(entity, entity.attribute(attribute))
    return having / table.items if table.items else 0.0


def _similar(connection: Connection, table: str, attribute: str) -> str:
    """Return what items have instead: a name that is much like it, or what there is."""
    answer = connection.execute("Scan", {"TableName": table, "Limit": 100})
    names = sorted({name for item in answer["Items"] for name in item})
    similar = difflib.get_close_matches(attribute, names, n=1)
    return f" (there is {similar[0]})" if similar else f" (they have {', '.join(names[:20])})"


# ---- the count ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexCount:
    """
    The entries of an index, against the items of its table.

    Args:
        check: What its items were found to be.
        entries: What the index holds.
    """

    table: Table
    check: ItemCheck
    entries: int


def shortfall(count: IndexCount) -> str:
    """
    Return in one line what an index lacks; "" if it lacks nothing.

    Items without an attribute that the workload does not give to every item are no loss: the
    index is meant to be sparse.
    """
    check = count.check
    lost = {
        violation: items
        for violation, items in check.left_out.items()
        if violation.reason is not Reason.MISSING or _share(count.table, violation.attribute) >= 1
    }
    not_copied = max(0, check.belonging - count.entries)
    if not lost and not not_copied:
        return ""
    reasons = [violation.describe(items) for violation, items in lost.items()]
    if not_copied:
        has = "has its keys and is" if not_copied == 1 else "have its keys and are"
        reasons.append(f"{not_copied:,} {has} not in it all the same")
    total = check.belonging + sum(lost.values())
    return (
        f"index {check.index.name} of {count.table.name} holds {count.entries:,} of {total:,} items:"
        f" {', '.join(reasons)}"
    )
