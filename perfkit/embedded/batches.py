"""BatchGetItem and BatchWriteItem."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from perfkit.capacity import Item, read_units
from perfkit.embedded import lateness
from perfkit.embedded.errors import ThrottleError, validation
from perfkit.embedded.expressions import Placeholders, Projection, parse_projection
from perfkit.embedded.keys import (
    check_item,
    check_key,
    check_no_key_is_nested,
    find_table,
)
from perfkit.embedded.legacy import attributes_to_get
from perfkit.embedded.metering import Meter
from perfkit.embedded.reads import project, read_consistency
from perfkit.embedded.requests import MIXED
from perfkit.embedded.schema import Table
from perfkit.embedded.storage import Storage, Transaction
from perfkit.embedded.values import normalize_item
from perfkit.embedded.writes import NewItem, change_item, collection_metrics, load

__all__ = ["batch_get_item", "batch_write_item"]

_MOST_WRITES = 25
_MOST_READS = 100
_MOST_BYTES = 16 << 20
_DUPLICATES = "Provided list of item keys contains duplicates"


# ---- BatchGetItem ----------------------------------------------------------------------


def batch_get_item(storage: Storage, request: Mapping[str, Any]) -> dict[str, Any]:
    """Answer BatchGetItem; what would make the answer too large comes back unprocessed."""
    blocks = request["RequestItems"]
    count = _count_keys(blocks.values())
    if storage.latency is not None:
        storage.latency.items(count)
    _check_not_mixed(blocks.values())
    parsed = [(name, block, *_parse_block(block)) for name, block in blocks.items()]
    responses: dict[str, list[Any]] = {}
    unprocessed: dict[str, Any] = {}
    meters: list[Meter] = []
    room = _MOST_BYTES
    throttled: list[ThrottleError] = []
    with storage.read() as transaction:
        for name, block, keys, projection in parsed:
            table = find_table(transaction, name)
            if projection is not None:
                check_no_key_is_nested(table, projection.nested_attributes)
            stored_keys = _distinct(table, keys)
            meter = Meter(table.name)
            found = responses.setdefault(name, [])
            consistency = read_consistency(block)
            find = lateness.find if lateness.is_late(table, None, block) else Transaction.find
            left: list[Any] = []
            for given, stored_key in zip(block["Keys"], stored_keys, strict=True):
                if room <= 0:
                    left.append(given)
                    continue
                if storage.enforcement is not None:
                    try:
                        admitted = storage.enforcement.read(transaction, table, None, stored_key)
                    except ThrottleError as error:
                        throttled.append(error)
                        left.append(given)
                        continue
                row = find(transaction, table, stored_key)
                size = 0
                if row is not None:
                    _, size, data = row
                    found.append(project(data, projection))
                    room -= size
                units = read_units(size, consistency)
                meter.add_table(units)
                if storage.enforcement is not None:
                    admitted.take(units)
            if left:
                unprocessed[name] = {**block, "Keys": left}
            meters.append(meter)
    if len(throttled) == count:
        raise throttled[0]
    answer: dict[str, Any] = {"Responses": responses, "UnprocessedKeys": unprocessed}
    _add_consumed(answer, meters, request)
    return answer


def _count_keys(blocks: Collection[Mapping[str, Any]]) -> int:
    count = sum(len(block["Keys"]) for block in blocks)
    if count > _MOST_READS:
        msg = "Too many items requested for the BatchGetItem call"
        raise validation(msg)
    return count


def _check_not_mixed(blocks: Collection[Mapping[str, Any]]) -> None:
    # one form for the whole request, whatever table a block is of
    if any(block.get("AttributesToGet") is not None for block in blocks) and any(
        block.get("ProjectionExpression") is not None for block in blocks
    ):
        raise validation(
            f"{MIXED}Non-expression parameters: {{AttributesToGet}}"
            " Expression parameters: {ProjectionExpression}"
        )


def _parse_block(block: Mapping[str, Any]) -> tuple[list[Item], Projection | None]:
    keys = [normalize_item(key) for key in block["Keys"]]
    names = block.get("ExpressionAttributeNames")
    text = block.get("ProjectionExpression")
    if text is None and names is not None:
        msg = "ExpressionAttributeNames can only be specified when using expressions"
        raise validation(msg)
    if text is None:
        return keys, attributes_to_get(block.get("AttributesToGet"))
    placeholders = Placeholders(names, None)
    projection = parse_projection(text, placeholders)
    placeholders.check_all_used()
    return keys, projection


def _distinct(table: Table, keys: list[Item]) -> list[bytes]:
    for key in keys:
        check_key(table, key)
    stored = [table.keys.stored(key) for key in keys]
    if len(set(stored)) < len(stored):
        raise validation(_DUPLICATES)
    return stored


# ---- BatchWriteItem --------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Write:
    """One request of a batch: the key it writes under (or the item, which holds it), the item."""

    key: Item
    new: NewItem | None


def batch_write_item(storage: Storage, request: Mapping[str, Any]) -> dict[str, Any]:
    """
    Answer BatchWriteItem: all items or, on an error, none.

    Where throughput is enforced, what there is none for is left unprocessed.
    """
    blocks = request["RequestItems"]
    parsed = {name: _parse_writes(writes) for name, writes in blocks.items()}
    if sum(len(writes) for writes in parsed.values()) > _MOST_WRITES:
        msg = "Too many items requested for the BatchWriteItem call"
        raise validation(msg)
    if storage.latency is not None:
        storage.latency.items(sum(map(len, parsed.values())))
    # what needs no lock is done before taking it: writers of all processes queue for it
    with storage.read() as transaction:
        tables = {name: find_table(transaction, name) for name in parsed}
    keyed = {name: _distinct_writes(tables[name], writes) for name, writes in parsed.items()}
    answer: dict[str, Any] = {"UnprocessedItems": {}}
    unprocessed: dict[str, list[Any]] = {}
    throttled: list[ThrottleError] = []
    metrics: dict[str, list[Any]] = {}
    meters: list[Meter] = []
    with storage.write() as transaction:
        for name, writes in parsed.items():
            table = find_table(transaction, name)
            if table != tables[name]:
                keyed[name] = _distinct_writes(table, writes)
            meter = Meter(table.name, storage.enforcement)
            left = unprocessed.setdefault(name, [])
            for key, write, given in zip(keyed[name], writes, blocks[name], strict=True):
                old = load(transaction, table, key)
                try:
                    change_item(transaction, table, key, old, write.new, meter)
                except ThrottleError as error:
                    throttled.append(error)
                    left.append(given)
                    continue
                if request.get("ReturnItemCollectionMetrics") == "SIZE" and table.has_local:
                    metrics.setdefault(name, []).append(
                        collection_metrics(transaction, table, write.key)
                    )
            meters.append(meter)
        if throttled and len(throttled) == sum(map(len, parsed.values())):
            raise throttled[0]
    answer["UnprocessedItems"] = {name: left for name, left in unprocessed.items() if left}
    if metrics:
        answer["ItemCollectionMetrics"] = metrics
    _add_consumed(answer, meters, request)
    return answer


def _parse_writes(writes: list[dict[str, Any]]) -> list[_Write]:
    parsed: list[_Write] = []
    for write in writes:
        put, delete = write.get("PutRequest"), write.get("DeleteRequest")
        if put is not None and delete is None:
            item = normalize_item(put["Item"])
            parsed.append(_Write(item, NewItem.of(item)))
        elif delete is not None and put is None:
            parsed.append(_Write(normalize_item(delete["Key"]), None))
        else:
            msg = (
                "Supplied AttributeValue has more than one datatypes set, must contain exactly"
                " one of the supported datatypes"
                if put is not None
                else "1 validation error detected: Value at 'RequestItems' failed to satisfy"
                " constraint: a write must have a PutRequest or a DeleteRequest"
            )
            raise validation(msg)
    return parsed


def _distinct_writes(table: Table, writes: list[_Write]) -> list[bytes]:
    """Return the stored key of each write; no item may be written twice."""
    for write in writes:
        if write.new is None:
            check_key(table, write.key)
        else:
            check_item(table, write.key, batch=True)
    stored = [table.keys.stored(write.key) for write in writes]
    if len(set(stored)) < len(stored):
        raise validation(_DUPLICATES)
    return stored


def _add_consumed(answer: dict[str, Any], meters: list[Meter], request: Mapping[str, Any]) -> None:
    consumed = [meter.answer(request.get("ReturnConsumedCapacity")) for meter in meters]
    if consumed and consumed[0] is not None:
        answer["ConsumedCapacity"] = consumed
