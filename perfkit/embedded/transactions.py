"""TransactWriteItems and TransactGetItems."""

import hashlib
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from perfkit.capacity import (
    Consistency,
    Item,
    item_size,
    read_units,
    replay_units,
    write_units,
)
from perfkit.embedded.errors import DynamoDBError, ThrottleError, validation
from perfkit.embedded.expressions import Placeholders, Projection, parse_projection
from perfkit.embedded.keys import (
    check_item,
    check_key,
    check_no_key_is_nested,
    find_table,
)
from perfkit.embedded.metering import Meter
from perfkit.embedded.reads import project
from perfkit.embedded.schema import Table
from perfkit.embedded.storage import Storage, Transaction
from perfkit.embedded.values import normalize_item
from perfkit.embedded.writes import (
    Change,
    NewItem,
    Stored,
    WriteRequest,
    change_item,
    check_update_keys,
    check_update_size,
    collection_metrics,
    load,
    parse_expressions,
    updated,
)

__all__ = ["transact_get_items", "transact_write_items"]

_MOST_BYTES = 4 << 20
_TOKEN_LIFE_S = 600.0
_KINDS = ("ConditionCheck", "Put", "Delete", "Update")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Action:
    """One action of a transaction, checked as far as is possible without its table."""

    kind: str
    table: str
    given: Mapping[str, Any]
    item: Item
    parsed: WriteRequest
    new: NewItem | None = None


def transact_write_items(storage: Storage, request: Mapping[str, Any]) -> dict[str, Any]:
    """Answer TransactWriteItems: all actions or none; a token makes repeating it harmless."""
    given = request["TransactItems"]
    actions = [_read_action(entry) for entry in given]
    if sum(item_size(action.item) for action in actions) > _MOST_BYTES:
        msg = (
            "Collection size exceeded: the actions of a transaction may hold 4 MB of items together"
        )
        raise validation(msg)
    if storage.latency is not None:
        storage.latency.items(len(actions))
    token = request.get("ClientRequestToken")
    with storage.write() as transaction:
        if token is not None:
            repeated = _repeated(transaction, token, request)
            if repeated is not None:
                return repeated
        targets = _targets(transaction, actions)
        plans = _plan(transaction, actions, targets)
        meters: dict[str, Meter] = {}
        changes: list[tuple[str, Change]] = []
        metrics: dict[str, list[Any]] = {}
        for number, (action, (table, key), (old, new)) in enumerate(
            zip(actions, targets, plans, strict=True)
        ):
            meter = meters.setdefault(table.name, Meter(table.name, storage.enforcement))
            try:
                if action.kind == "ConditionCheck":
                    changes.append((table.name, _checked(transaction, table, key, old, meter)))
                    continue
                change = change_item(transaction, table, key, old, new, meter, transactional=True)
            except ThrottleError as error:
                raise _throttled(error, number, len(actions)) from error
            changes.append((table.name, change))
            if table.has_local and request.get("ReturnItemCollectionMetrics") == "SIZE":
                metrics.setdefault(action.table, []).append(
                    collection_metrics(transaction, table, action.item)
                )
        if token is not None:
            _remember(transaction, token, request, changes)
    answer: dict[str, Any] = {}
    if metrics:
        answer["ItemCollectionMetrics"] = metrics
    return answer | _consumed(list(meters.values()), request, "WriteCapacityUnits")


def _checked(
    transaction: Transaction, table: Table, key: bytes, old: Stored | None, meter: Meter
) -> Change:
    """Count the units of an item that a condition was held against."""
    size = None if old is None else old.size
    units = write_units(size, size, transactional=True)
    if meter.enforcement is not None:
        meter.enforcement.write(transaction, table, key, {}).take(units)
    meter.add_table(units)
    return Change(size, size)


def transact_get_items(storage: Storage, request: Mapping[str, Any]) -> dict[str, Any]:
    """Answer TransactGetItems: one consistent state of all items."""
    given = request["TransactItems"]
    gets = [(entry["Get"], *_read_get(entry["Get"])) for entry in given]
    if storage.latency is not None:
        storage.latency.items(len(gets))
    meters: dict[str, Meter] = {}
    responses: list[dict[str, Any]] = []
    with storage.read() as transaction:
        targets = []
        seen: set[tuple[str, bytes]] = set()
        reasons: list[dict[str, Any] | None] = []
        for get, key, projection in gets:
            table = find_table(transaction, get["TableName"])
            if projection is not None:
                check_no_key_is_nested(table, projection.nested_attributes)
            problem = _problem(lambda table=table, key=key: check_key(table, key))
            reasons.append(problem)
            stored = b"" if problem else table.keys.stored(key)
            if problem is None and (table.name, stored) in seen:
                raise validation(_SAME_ITEM)
            seen.add((table.name, stored))
            targets.append((table, stored))
        _cancel(reasons)
        for number, ((_, _, projection), (table, stored)) in enumerate(
            zip(gets, targets, strict=True)
        ):
            if storage.enforcement is not None:
                try:
                    admitted = storage.enforcement.read(transaction, table, None, stored)
                except ThrottleError as error:
                    raise _throttled(error, number, len(gets)) from error
            row = transaction.find(table, stored)
            size = 0
            response: dict[str, Any] = {}
            if row is not None:
                _, size, data = row
                found = project(data, projection)
                # unlike GetItem, a projection that matches nothing leaves no Item
                if found:
                    response["Item"] = found
            responses.append(response)
            meter = meters.setdefault(table.name, Meter(table.name))
            units = read_units(size, Consistency.TRANSACTIONAL)
            meter.add_table(units)
            if storage.enforcement is not None:
                admitted.take(units)
    consumed = _consumed(list(meters.values()), request, "ReadCapacityUnits")
    return {"Responses": responses, **consumed}


# ---- reading the request ---------------------------------------------------------------


def _read_action(entry: Mapping[str, Any]) -> _Action:
    kinds = [kind for kind in _KINDS if entry.get(kind) is not None]
    if len(kinds) != 1:
        if not kinds:
            msg = (
                "1 validation error detected: Value '' at 'transactItems' failed to satisfy"
                " constraint: TransactWriteRequest should contain Delete or Put or Update or"
                " ConditionCheck"
            )
            raise validation(msg)
        msg = "TransactItems can only contain one of Check, Put, Update or Delete"
        raise validation(msg)
    (kind,) = kinds
    given = entry[kind]
    parsed = parse_expressions(given)
    check_update_size(parsed.update)
    item = normalize_item(given["Item" if kind == "Put" else "Key"])
    new = NewItem.of(item) if kind == "Put" else None
    table = given["TableName"]
    return _Action(kind=kind, table=table, given=given, item=item, parsed=parsed, new=new)


def _read_get(get: Mapping[str, Any]) -> tuple[Item, Projection | None]:
    names = get.get("ExpressionAttributeNames")
    text = get.get("ProjectionExpression")
    if text is None and names is not None:
        msg = "ExpressionAttributeNames can only be specified when using expressions"
        raise validation(msg)
    placeholders = Placeholders(names, None)
    projection = None if text is None else parse_projection(text, placeholders)
    placeholders.check_all_used()
    return normalize_item(get["Key"]), projection


# ---- planning --------------------------------------------------------------------------

_SAME_ITEM = "Transaction request cannot include multiple operations on one item"


def _targets(transaction: Transaction, actions: Sequence[_Action]) -> list[tuple[Table, bytes]]:
    """Return table and stored key of each action; keys that fit no table cancel."""
    tables = [find_table(transaction, action.table) for action in actions]
    reasons = []
    for action, table in zip(actions, tables, strict=True):
        check = check_item if action.kind == "Put" else check_key
        reasons.append(
            _problem(lambda check=check, table=table, item=action.item: check(table, item))
        )
    stored: list[tuple[Table, bytes]] = []
    for action, table, reason in zip(actions, tables, reasons, strict=True):
        keyed = all(name in action.item for name in table.keys.names)
        usable = reason is None or (
            action.kind == "Put" and keyed and "Index Key" in reason["Message"]
        )
        stored.append((table, table.keys.stored(action.item) if usable else b""))
    named = [(table.name, key) for table, key in stored if key]
    if len(set(named)) < len(named):
        raise validation(_SAME_ITEM)
    _cancel(reasons)
    return stored


def _plan(
    transaction: Transaction, actions: Sequence[_Action], targets: Sequence[tuple[Table, bytes]]
) -> list[tuple[Stored | None, NewItem | None]]:
    """Return (stored, new item) of each action; failed conditions and updates cancel."""
    reasons: list[dict[str, Any] | None] = []
    plans: list[tuple[Stored | None, NewItem | None]] = []
    for action, (table, key) in zip(actions, targets, strict=True):
        old = load(transaction, table, key)
        old_item = None if old is None else old.item
        new = action.new
        reason: dict[str, Any] | None = None
        condition = action.parsed.condition
        if condition is not None and not condition.matches(old_item or {}):
            reason = {
                "Code": "ConditionalCheckFailed",
                "Message": "The conditional request failed",
            }
            wanted = action.given.get("ReturnValuesOnConditionCheckFailure")
            if old_item is not None and wanted == "ALL_OLD":
                reason["Item"] = old_item
        elif action.kind == "Update":
            try:
                check_update_keys(table, action.parsed.update)
                new = updated(table, action.item, old_item, action.parsed.update)
            except DynamoDBError as error:
                reason = _reason(error)
        reasons.append(reason)
        plans.append((old, new))
    _cancel(reasons)
    return plans


def _problem(check: Any) -> dict[str, Any] | None:
    """Return the cancellation reason of a failed key check, if it fails."""
    try:
        check()
    except DynamoDBError as error:
        return _reason(error)
    return None


def _reason(error: DynamoDBError) -> dict[str, Any]:
    # an empty key refuses the whole request; every other bad value cancels the transaction
    if error.message.startswith("One or more parameter values are not valid"):
        raise error
    return {"Code": "ValidationError", "Message": error.message}


def _cancel(reasons: Sequence[dict[str, Any] | None]) -> None:
    if any(reasons):
        raise _cancelled(reasons)


def _throttled(error: ThrottleError, number: int, actions: int) -> DynamoDBError:
    """Return what cancels a transaction because there is no throughput for one of its actions."""
    return _cancelled([error.cancellation if each == number else None for each in range(actions)])


def _cancelled(reasons: Sequence[dict[str, Any] | None]) -> DynamoDBError:
    listed = [reason or {"Code": "None"} for reason in reasons]
    codes = ", ".join(reason["Code"] for reason in listed)
    return DynamoDBError(
        "TransactionCanceledException",
        f"Transaction cancelled, please refer cancellation reasons for specific reasons [{codes}]",
        extra={"CancellationReasons": listed},
    )


# ---- tokens and capacity ---------------------------------------------------------------


def _fingerprint(request: Mapping[str, Any]) -> bytes:
    content = orjson.dumps(request["TransactItems"], option=orjson.OPT_SORT_KEYS)
    return hashlib.sha256(content).digest()


def _remember(
    transaction: Transaction,
    token: str,
    request: Mapping[str, Any],
    changes: Sequence[tuple[str, Change]],
) -> None:
    sizes = [
        (table, max(change.old_bytes or 0, change.new_bytes or 0)) for table, change in changes
    ]
    transaction.run("DELETE FROM tokens WHERE expires_s < ?", (time.time(),))
    transaction.run(
        "INSERT INTO tokens VALUES (?, ?, ?, ?)",
        (token, _fingerprint(request), time.time() + _TOKEN_LIFE_S, orjson.dumps(sizes)),
    )


def _repeated(
    transaction: Transaction, token: str, request: Mapping[str, Any]
) -> dict[str, Any] | None:
    """Return the answer to a request that was carried out before under the same token."""
    row = transaction.run(
        "SELECT request, answer FROM tokens WHERE token = ? AND expires_s >= ?",
        (token, time.time()),
    ).fetchone()
    if row is None:
        return None
    if row[0] != _fingerprint(request):
        raise DynamoDBError("IdempotentParameterMismatchException", "")
    meters: dict[str, Meter] = {}
    for table, size in orjson.loads(row[1]):
        meters.setdefault(table, Meter(table)).add_table(replay_units([size]))
    return _consumed(list(meters.values()), request, "ReadCapacityUnits")


def _consumed(meters: Sequence[Meter], request: Mapping[str, Any], split: str) -> dict[str, Any]:
    answers = [meter.answer(request.get("ReturnConsumedCapacity"), split) for meter in meters]
    if not answers or answers[0] is None:
        return {}
    return {"ConsumedCapacity": answers}
