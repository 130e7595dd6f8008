"""PutItem, UpdateItem and DeleteItem, and the one change of an item that all writes come to."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import orjson

from perfkit.capacity import (
    MAX_ITEM_BYTES,
    Item,
    index_write_units,
    item_size,
    write_units,
)
from perfkit.embedded import lateness
from perfkit.embedded.errors import INVALID_VALUES, DynamoDBError, validation
from perfkit.embedded.expirations import note
from perfkit.embedded.expressions import (
    Condition,
    Placeholders,
    Update,
    parse_condition,
    parse_update,
)
from perfkit.embedded.keys import (
    check_index_keys,
    check_item,
    check_key,
    check_no_key_is_nested,
    find_table,
)
from perfkit.embedded.legacy import attribute_updates, expected_condition
from perfkit.embedded.metering import Meter
from perfkit.embedded.pages import weight
from perfkit.embedded.requests import nests_very_deep
from perfkit.embedded.schema import IndexKind, Table, after
from perfkit.embedded.storage import Storage, Transaction
from perfkit.embedded.throughput import Enforcement
from perfkit.embedded.values import InvalidValueError, normalize_item

__all__ = [
    "Change",
    "NewItem",
    "Stored",
    "WriteRequest",
    "change_item",
    "check_update_keys",
    "check_update_size",
    "collection_metrics",
    "delete_item",
    "load",
    "parse_expressions",
    "put_item",
    "update_item",
    "updated",
]

_ENVELOPE = "1 validation error detected: "
_TOO_LARGE = "Item size has exceeded the maximum allowed size"
_OLD = ("NONE", "ALL_OLD")
_TOO_LARGE_UPDATE = "Item size to update has exceeded the maximum allowed size"


@contextmanager
def _enveloped(request: Mapping[str, Any]) -> Iterator[None]:
    """Put the words before a complaint that AWS puts there on single writes."""
    try:
        yield
    except DynamoDBError as error:
        if error.code != "ValidationException":
            raise
        if nests_very_deep(request):
            older = error.older_message if isinstance(error, InvalidValueError) else error.message
            raise validation(older) from error
        if error.message.startswith(("Supplied AttributeValue", _ENVELOPE)):
            raise
        raise validation(_ENVELOPE + error.message) from error


@dataclass(frozen=True, slots=True)
class Stored:
    """An item as it is in the table: its row number, size in bytes and JSON."""

    row: int
    size: int
    data: bytes

    @property
    def item(self) -> Item:
        """The item itself."""
        item: Item = orjson.loads(self.data)
        return item


@dataclass(frozen=True, slots=True)
class NewItem:
    """A complete item with normalized values, ready to be stored."""

    item: Item
    size: int
    data: bytes

    @classmethod
    def of(cls, item: Item, *, too_large: str = _TOO_LARGE) -> "NewItem":
        """
        Prepare an item.

        Raises:
            DynamoDBError: It is over 400 KB, in the words of *too_large*.
        """
        size = item_size(item)
        if size > MAX_ITEM_BYTES:
            raise validation(too_large)
        return cls(item, size, orjson.dumps(item))


def load(transaction: Transaction, table: Table, key: bytes) -> Stored | None:
    """Return what is stored under a key."""
    row = transaction.find(table, key)
    return None if row is None else Stored(*row)


@dataclass(frozen=True, slots=True)
class Change:
    """What one write did, for billing: sizes of the item before and after, None if absent."""

    old_bytes: int | None
    new_bytes: int | None


def change_item(
    transaction: Transaction,
    table: Table,
    key: bytes,
    old: Stored | None,
    new: NewItem | None,
    meter: Meter,
    *,
    transactional: bool = False,
) -> Change:
    """
    Replace what is stored under *key* by *new*, with all indexes, and count the units.

    Args:
        old: What is stored there now.
        new: What takes its place; None removes.
        meter: Takes the units of the table and of each index that took part.
        transactional: Whether the table's units count double.

    Raises:
        ThrottleError: Throughput is enforced, and there is not enough; nothing was changed.
    """
    if meter.enforcement is not None:
        return _change_admitted(
            transaction,
            table,
            key,
            old,
            new,
            meter,
            meter.enforcement,
            transactional=transactional,
        )
    return _change(transaction, table, key, old, new, meter, transactional=transactional)


def _change_admitted(
    transaction: Transaction,
    table: Table,
    key: bytes,
    old: Stored | None,
    new: NewItem | None,
    meter: Meter,
    enforcement: Enforcement,
    *,
    transactional: bool,
) -> Change:
    indexes = [index for index in table.writable_indexes if index.kind is IndexKind.GLOBAL]
    entries: dict[str, bytes] = {}
    for index in indexes:
        # of an entry that moves, the place that it moves to
        if new is not None and all(name in new.item for name in index.keys.names):
            entries[index.name] = index.keys.stored_partition(new.item)
        elif old is not None and (entry := table.entry_key(index, old.item, key)) is not None:
            entries[index.name] = entry
    admitted = enforcement.write(transaction, table, key, entries)
    own = Meter(table.name)
    change = _change(transaction, table, key, old, new, own, transactional=transactional)
    of_table = (own.table_units or 0.0) + sum(own.local_units.values())
    admitted.take(of_table, *(own.global_units.get(index.name, 0.0) for index in indexes))
    meter.add(own)
    return change


def _change(
    transaction: Transaction,
    table: Table,
    key: bytes,
    old: Stored | None,
    new: NewItem | None,
    meter: Meter,
    *,
    transactional: bool,
) -> Change:
    new_bytes = None if new is None else new.size
    old_bytes = None if old is None else old.size
    row = 0
    if new is not None:
        row = transaction.put(
            table,
            key,
            new.size,
            weight(new.item, new.size, table.keys.sort),
            new.data,
            None if old is None else (old.row, old.size, old.data),
        )
    elif old is not None:
        transaction.delete(table, (old.row, old.size, old.data))
    if table.index_delay_s:
        lateness.note(
            transaction,
            table,
            key,
            None if old is None else old.item,
            None if new is None else new.item,
        )
    meter.add_table(write_units(old_bytes, new_bytes, transactional=transactional))
    if table.ttl_attribute is not None:
        note(transaction, table, key, None if new is None else new.item)
    if table.indexes and (old is not None or new is not None):
        _change_indexes(transaction, table, key, row, old, new, meter)
    return Change(old_bytes, new_bytes)


def _change_indexes(
    transaction: Transaction,
    table: Table,
    key: bytes,
    row: int,
    old: Stored | None,
    new: NewItem | None,
    meter: Meter,
) -> None:
    old_item = None if old is None else old.item
    new_item = None if new is None else new.item
    for index in table.writable_indexes:
        old_key = None if old_item is None else table.entry_key(index, old_item, key)
        new_key = None if new_item is None else table.entry_key(index, new_item, key)
        if old_key is None and new_key is None:
            continue
        old_view = index.view(old_item, table.keys) if old_item is not None and old_key else None
        new_view = index.view(new_item, table.keys) if new_item is not None and new_key else None
        old_size = None if old is None or old_view is None else _view_size(old_view, old_item, old)
        new_size = None if new is None or new_view is None else _view_size(new_view, new_item, new)
        changed = old_view != new_view
        if old_key is not None and old_key != new_key:
            transaction.delete_entry(index, old_key)
        # a backfill may not have come to this item yet, so its entry is written even when
        # nothing in it changed
        if (
            new_key is not None
            and new_view is not None
            and new_size is not None
            and (changed or index.backfilling)
        ):
            data = None if index.projection == "ALL" else orjson.dumps(new_view)
            is_new = old_key != new_key and not index.backfilling
            weighs = weight(new_view, new_size, index.keys.sort)
            transaction.put_entry(index, new_key, row, new_size, weighs, data, is_new=is_new)
        units = index_write_units(
            old_size, new_size, key_changed=old_key != new_key, view_changed=changed
        )
        if units:
            meter.add_index(index.name, units, local=index.kind is IndexKind.LOCAL)


def _view_size(view: Item, item: Item | None, whole: Stored | NewItem) -> int:
    # an index that projects everything hands the item itself out, whose size is known
    return whole.size if view is item else item_size(view)


# ---- the three operations ------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class WriteRequest:
    """The expressions of one write, or what stands for them, parsed."""

    condition: Condition | None
    update: Update | None


def parse_expressions(request: Mapping[str, Any]) -> WriteRequest:
    """
    Parse a write's expressions and check that they use all placeholders.

    Parameters from before expressions are taken in their place; both together were refused
    before.
    """
    names = request.get("ExpressionAttributeNames")
    values = request.get("ExpressionAttributeValues")
    update_text = request.get("UpdateExpression")
    condition_text = request.get("ConditionExpression")
    if update_text is None and condition_text is None:
        for given, member in ((names, "Names"), (values, "Values")):
            if given is not None:
                msg = f"ExpressionAttribute{member} can only be specified when using expressions"
                raise validation(msg)
        return WriteRequest(
            update=attribute_updates(request.get("AttributeUpdates")),
            condition=expected_condition(
                request.get("Expected"), request.get("ConditionalOperator")
            ),
        )
    placeholders = Placeholders(names, values)
    update = None if update_text is None else parse_update(update_text, placeholders)
    condition = (
        None
        if condition_text is None
        else parse_condition(condition_text, placeholders, "ConditionExpression")
    )
    placeholders.check_all_used()
    return WriteRequest(condition, update)


def _check_condition(parsed: WriteRequest, old: Item | None, request: Mapping[str, Any]) -> None:
    if parsed.condition is None or parsed.condition.matches(old or {}):
        return
    extra = {}
    if old is not None and request.get("ReturnValuesOnConditionCheckFailure") == "ALL_OLD":
        extra["Item"] = old
    raise DynamoDBError(
        "ConditionalCheckFailedException", "The conditional request failed", extra=extra
    )


def _answer(
    transaction: Transaction,
    table: Table,
    request: Mapping[str, Any],
    key: Item,
    attributes: Item | None,
    meter: Meter,
) -> dict[str, Any]:
    answer: dict[str, Any] = {}
    if attributes:
        answer["Attributes"] = attributes
    consumed = meter.answer(request.get("ReturnConsumedCapacity"))
    if consumed is not None:
        answer["ConsumedCapacity"] = consumed
    if table.has_local and request.get("ReturnItemCollectionMetrics") == "SIZE":
        answer["ItemCollectionMetrics"] = collection_metrics(transaction, table, key)
    return answer


def collection_metrics(transaction: Transaction, table: Table, key: Item) -> dict[str, Any]:
    """Return the key of an item collection and its size, in GB, as a range."""
    start = table.keys.stored_partition(key)
    (size,) = transaction.run(
        f"SELECT coalesce(sum(size), 0) FROM t{table.store} WHERE k >= ? AND k < ?",
        (start, after(start)),
    ).fetchone()
    whole = size >> 30
    return {
        "ItemCollectionKey": {name: key[name] for name in table.keys.partition},
        "SizeEstimateRangeGB": [whole, whole + 1],
    }


def put_item(storage: Storage, request: Mapping[str, Any]) -> dict[str, Any]:
    """Answer PutItem."""
    wanted = request.get("ReturnValues", "NONE")
    with _enveloped(request):
        _only_old_before_depth(wanted, request)
        item = normalize_item(request["Item"])
        _only_old(wanted)
        parsed = parse_expressions(request)
    new = NewItem.of(item)
    with storage.write() as transaction:
        table = find_table(transaction, request["TableName"])
        check_item(table, item)
        key = table.keys.stored(item)
        old = load(transaction, table, key)
        old_item = old.item if old is not None and (parsed.condition or wanted != "NONE") else None
        _check_condition(parsed, old_item, request)
        meter = Meter(table.name, storage.enforcement)
        change_item(transaction, table, key, old, new, meter)
        attributes = old_item if wanted == "ALL_OLD" else None
        return _answer(transaction, table, request, item, attributes, meter)


def delete_item(storage: Storage, request: Mapping[str, Any]) -> dict[str, Any]:
    """Answer DeleteItem."""
    wanted = request.get("ReturnValues", "NONE")
    with _enveloped(request):
        _only_old_before_depth(wanted, request)
        key_item = normalize_item(request["Key"])
        _only_old(wanted)
        parsed = parse_expressions(request)
    with storage.write() as transaction:
        table = find_table(transaction, request["TableName"])
        check_key(table, key_item)
        key = table.keys.stored(key_item)
        old = load(transaction, table, key)
        old_item = old.item if old is not None else None
        _check_condition(parsed, old_item, request)
        meter = Meter(table.name, storage.enforcement)
        change_item(transaction, table, key, old, None, meter)
        attributes = old_item if wanted == "ALL_OLD" else None
        return _answer(transaction, table, request, key_item, attributes, meter)


def update_item(storage: Storage, request: Mapping[str, Any]) -> dict[str, Any]:
    """Answer UpdateItem."""
    with _enveloped(request):
        key_item = normalize_item(request["Key"])
        parsed = parse_expressions(request)
    with storage.write() as transaction:
        table = find_table(transaction, request["TableName"])
        check_key(table, key_item)
        check_update_keys(table, parsed.update)
        check_update_size(parsed.update)
        key = table.keys.stored(key_item)
        old = load(transaction, table, key)
        old_item = None if old is None else old.item
        _check_condition(parsed, old_item, request)
        new = updated(table, key_item, old_item, parsed.update)
        meter = Meter(table.name, storage.enforcement)
        change_item(transaction, table, key, old, new, meter)
        new_item = {} if new is None else new.item
        attributes = _returned(request.get("ReturnValues"), parsed.update, old_item, new_item)
        return _answer(transaction, table, request, key_item, attributes, meter)


def updated(table: Table, key: Item, old: Item | None, update: Update | None) -> NewItem | None:
    """
    Return the item after an update; without a stored item it starts from its key.

    An update that only removes makes no item where there is none: then None.

    Raises:
        DynamoDBError: The update cannot be applied, or its result cannot be stored.
    """
    if old is None and update is not None and update.only_removes:
        return None
    item = old if old is not None else key
    if update is not None:
        item = update.apply(item)
        written = {name: item[name] for name in update.attributes if name in item}
        check_index_keys(table, written, update=True)
    return NewItem.of(item, too_large=_TOO_LARGE_UPDATE)


def check_update_keys(table: Table, update: Update | None) -> None:
    """Raise if an update writes a key attribute or looks into one."""
    if update is None:
        return
    for name in table.keys.names:
        if name in update.attributes:
            raise validation(
                f"{INVALID_VALUES}Cannot update attribute {name}. This attribute is part of the key"
            )
    check_no_key_is_nested(table, update.nested_attributes)


def check_update_size(update: Update | None) -> None:
    """Raise if an update expression itself is larger than an item may be."""
    if update is not None and update.statement_bytes > MAX_ITEM_BYTES:
        raise validation(_TOO_LARGE_UPDATE)


def _only_old(wanted: str) -> None:
    if wanted not in _OLD:
        msg = "ReturnValues can only be ALL_OLD or NONE"
        raise validation(msg)


def _only_old_before_depth(wanted: str, request: Mapping[str, Any]) -> None:
    # of what nests very deep, AWS looks at ReturnValues before it looks at the values
    if wanted not in _OLD and nests_very_deep(request):
        _only_old(wanted)


def _returned(
    wanted: str | None, update: Update | None, old: Item | None, new: Item
) -> Item | None:
    match wanted:
        case "ALL_OLD":
            return old
        case "ALL_NEW":
            return new
        case "UPDATED_OLD" if update is not None and old is not None:
            return update.updated_view(old)
        case "UPDATED_NEW" if update is not None:
            return update.updated_view(new)
        case _:
            return None
