"""Fingerprints: operation, table, index and normalised expressions, which requests have in common."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from perfkit.traffic import normalised

__all__ = ["WRITES", "Fingerprint", "fingerprint_of"]

_READS = frozenset({"GetItem", "BatchGetItem", "TransactGetItems", "Query", "Scan"})
WRITES = frozenset({"PutItem", "UpdateItem", "DeleteItem", "BatchWriteItem", "TransactWriteItems"})

_CACHED = 4_096


@dataclass(frozen=True, slots=True, kw_only=True)
class Fingerprint:
    """
    What requests of the same kind have in common.

    Args:
        operation: E.g. `Query`.
        table: The table; several in alphabetical order, joined by " + "; "" for none.
        index: The index that is read; "" for the table.
        key: Key condition.
        filter: Filter expression.
        projection: What of the items is asked for; "" for all.
        change: What is written: an update expression, or a batch's kinds of writes.
        condition: Condition of a write.
        options: `consistent`, `backward`, `count`, `limit`, `segment`, in this order.
    """

    operation: str
    table: str = ""
    index: str = ""
    key: str = ""
    filter: str = ""
    projection: str = ""
    change: str = ""
    condition: str = ""
    options: str = ""

    @property
    def where(self) -> str:
        """Table and index as people write them: `Orders.by-status`."""
        return f"{self.table}.{self.index}" if self.index else self.table

    @property
    def detail(self) -> str:
        """Everything but operation and place, on one line."""
        parts = [
            self.key,
            self.filter and f"filter {self.filter}",
            self.change,
            self.condition and f"if {self.condition}",
            self.projection and f"only {self.projection}",
            self.options,
        ]
        return "; ".join(filter(None, parts))

    @property
    def text(self) -> str:
        """The whole on one line."""
        head = f"{self.operation} {self.where}".strip()
        return f"{head}: {self.detail}" if self.detail else head

    @property
    def tables(self) -> tuple[str, ...]:
        """The tables it is about."""
        return tuple(self.table.split(" + ")) if self.table else ()


_cache: dict[tuple[Any, ...], Fingerprint] = {}

_TEXTS = (
    "TableName",
    "IndexName",
    "KeyConditionExpression",
    "FilterExpression",
    "ProjectionExpression",
    "UpdateExpression",
    "ConditionExpression",
    "Select",
    "ConsistentRead",
    "ScanIndexForward",
    "Statement",
)
_OLD = (
    "KeyConditions",
    "QueryFilter",
    "ScanFilter",
    "Expected",
    "AttributeUpdates",
    "AttributesToGet",
    "RequestItems",
    "TransactItems",
    "Statements",
    "TransactStatements",
)


def fingerprint_of(operation: str, request: Mapping[str, Any]) -> Fingerprint:
    """Return the fingerprint of a request; of one that DynamoDB will refuse too."""
    if any(name in request for name in _OLD):
        return _fingerprint(operation, request)
    names = request.get("ExpressionAttributeNames") or {}
    try:
        known = (
            operation,
            *map(request.get, _TEXTS),
            "Limit" in request,
            "Segment" in request,
            tuple(sorted(names.items())) if names else (),
        )
        found = _cache.get(known)
    except (TypeError, AttributeError):
        # parameters that are no text
        return _fingerprint(operation, request)
    if found is None:
        if len(_cache) >= _CACHED:
            _cache.clear()
        found = _cache[known] = _fingerprint(operation, request)
    return found


def _fingerprint(operation: str, request: Mapping[str, Any]) -> Fingerprint:
    if "RequestItems" in request:
        return _batch(operation, _mapping(request["RequestItems"]))
    if "TransactItems" in request:
        return _transaction(operation, list(_mappings(request["TransactItems"])))
    if operation in {"ExecuteStatement", "BatchExecuteStatement", "ExecuteTransaction"}:
        return _statements(operation, request)
    names = _mapping(request.get("ExpressionAttributeNames"))
    operator = request.get("ConditionalOperator")
    return Fingerprint(
        operation=operation,
        table=_text(request.get("TableName")),
        index=_text(request.get("IndexName")),
        key=normalised.condition(request.get("KeyConditionExpression"), names)
        or normalised.legacy_conditions(request.get("KeyConditions")),
        filter=normalised.condition(request.get("FilterExpression"), names)
        or normalised.legacy_conditions(
            request.get("QueryFilter") or request.get("ScanFilter"), operator
        ),
        projection=_projection(request, names),
        change=normalised.update(request.get("UpdateExpression"), names)
        or _old_changes(request.get("AttributeUpdates")),
        condition=normalised.condition(request.get("ConditionExpression"), names)
        or normalised.legacy_conditions(request.get("Expected"), operator),
        options=", ".join(_options(request)),
    )


def _options(request: Mapping[str, Any]) -> Iterator[str]:
    if request.get("ConsistentRead") is True:
        yield "consistent"
    if request.get("ScanIndexForward") is False:
        yield "backward"
    if request.get("Select") == "COUNT":
        yield "count"
    if "Limit" in request:
        yield "limit"
    if "Segment" in request:
        yield "segment"


def _projection(request: Mapping[str, Any], names: Mapping[str, Any]) -> str:
    written = normalised.projection(request.get("ProjectionExpression"), names)
    old = request.get("AttributesToGet")
    if written or not isinstance(old, list):
        return written
    return ", ".join(sorted(map(str, old)))


def _old_changes(updates: Any) -> str:
    clauses = {"PUT": "SET {} = :v", "ADD": "ADD {} :v", "DELETE": "REMOVE {}"}
    return " ".join(
        clauses.get(str(_mapping(given).get("Action", "PUT")), "?").format(name)
        for name, given in sorted(_mapping(updates).items())
    )


def _batch(operation: str, items: Mapping[str, Any]) -> Fingerprint:
    tables = sorted(map(str, items))
    projections, changes = [], []
    options: list[str] = []
    for table in tables:
        given = items[table]
        if isinstance(given, list):
            changes += sorted({name for each in _mappings(given) for name in each})
            continue
        keys = _mapping(given)
        projections.append(_projection(keys, _mapping(keys.get("ExpressionAttributeNames"))))
        options += _options(keys)
    return Fingerprint(
        operation=operation,
        table=" + ".join(tables),
        projection=normalised.listed(projections),
        change=normalised.listed(_WORDS.get(each, each) for each in changes),
        options=", ".join(dict.fromkeys(options)),
    )


_WORDS = {"PutRequest": "put", "DeleteRequest": "delete"}


def _transaction(operation: str, items: list[Mapping[str, Any]]) -> Fingerprint:
    found = [
        (str(action), _mapping(given)) for each in items for action, given in sorted(each.items())
    ]
    parts = []
    for action, given in found:
        one = _fingerprint(action, given)
        detail = f" {one.detail}" if one.detail else ""
        parts.append(f"{action} {one.table}{detail}")
    tables = sorted({_text(given.get("TableName")) for _, given in found})
    return Fingerprint(
        operation=operation,
        table=" + ".join(tables),
        change=normalised.listed(sorted(set(parts))),
    )


def _statements(operation: str, request: Mapping[str, Any]) -> Fingerprint:
    given = request.get("Statements") or request.get("TransactStatements")
    texts = [each.get("Statement") for each in _mappings(given)] or [request.get("Statement")]
    places = [normalised.statement_table(each) for each in texts]
    indexes = {index for _, index in places if index}
    return Fingerprint(
        operation=operation,
        table=" + ".join(sorted({table for table, _ in places if table})),
        index=indexes.pop() if len(indexes) == 1 else "",
        change=normalised.listed(sorted({normalised.statement(each) for each in texts})),
        options=", ".join(_options(request)),
    )


def _text(value: Any) -> str:
    # the name may be an ARN
    return value.rpartition(":table/")[2] if isinstance(value, str) else ""


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _mappings(value: Any) -> Iterator[Mapping[str, Any]]:
    yield from (each for each in value if isinstance(each, dict)) if isinstance(value, list) else ()
