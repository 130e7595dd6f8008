"""
Asking for consumed capacity on an application's behalf, and taking it out of the answer again.

Both are cuts in the bytes: everything else of a request and of an answer stays as it was written,
numbers and escapes too.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import orjson

__all__ = ["COUNTED", "Cut", "asked_for", "cut", "with_capacity"]

COUNTED = frozenset(
    {
        "BatchExecuteStatement",
        "BatchGetItem",
        "BatchWriteItem",
        "DeleteItem",
        "ExecuteStatement",
        "ExecuteTransaction",
        "GetItem",
        "PutItem",
        "Query",
        "Scan",
        "TransactGetItems",
        "TransactWriteItems",
        "UpdateItem",
    }
)
"""Operations that say what they consumed where they are asked to."""

MOST_BODY_BYTES = 16 << 20
"""What AWS takes; a request is not made larger than that."""

_MEMBER = b'"ReturnConsumedCapacity":"INDEXES"'
_ASKED = re.compile(rb'"ReturnConsumedCapacity"\s*:\s*"(?:NONE|TOTAL)"')
_NAME = b'"ConsumedCapacity"'
_ANSWERED = re.compile(_NAME + rb"\s*:\s*(?=[\[{])")
_BRACKETS = re.compile(rb"[\[\]{}]")
_SPACE = b" \t\r\n"

_FIELDS = frozenset(
    {
        "TableName",
        "CapacityUnits",
        "ReadCapacityUnits",
        "WriteCapacityUnits",
        "Table",
        "LocalSecondaryIndexes",
        "GlobalSecondaryIndexes",
    }
)
"""Of a ConsumedCapacity. No attribute value has a member of such a name: those are called S, N, …"""

_INDEXES = re.compile(
    rb'\s*,\s*"(?:Local|Global)SecondaryIndexes"\s*:\s*\{(?:[^{}]|\{[^{}]*\})*\}'
    rb'|"(?:Local|Global)SecondaryIndexes"\s*:\s*\{(?:[^{}]|\{[^{}]*\})*\}\s*,\s*'
)
_TABLE = re.compile(rb'\s*,\s*"Table"\s*:\s*\{[^{}]*\}|"Table"\s*:\s*\{[^{}]*\}\s*,\s*')


def asked_for(request: dict[str, Any]) -> str:
    """Return what a request says of consumed capacity: NONE where it says nothing."""
    asked = request.get("ReturnConsumedCapacity", "NONE")
    return asked if isinstance(asked, str) else ""


def with_capacity(body: bytes, request: dict[str, Any]) -> bytes:
    """
    Return a request that asks for consumed capacity with its indexes.

    Args:
        body: The request as it was sent.
        request: The same, parsed.

    Returns:
        *body* itself where it asks for that already, for something that there is not, or has no
        room for more.
    """
    if "ReturnConsumedCapacity" not in request:
        if len(body) > MOST_BODY_BYTES - len(_MEMBER) - 1:
            return body
        brace = body.index(b"{") + 1
        comma = b"," if request else b""
        return body[:brace] + _MEMBER + comma + body[brace:]
    if asked_for(request) not in {"NONE", "TOTAL"}:
        return body
    found = list(_ASKED.finditer(body))
    if len(found) != 1:
        # an attribute of somebody's has that very name, or the name is written with escapes
        return orjson.dumps(request | {"ReturnConsumedCapacity": "INDEXES"})
    return body[: found[0].start()] + _MEMBER + body[found[0].end() :]


@dataclass(frozen=True, slots=True)
class Cut:
    """
    An answer as the application gets it, and what was consumed.

    Args:
        body: The answer without what the application did not ask for.
        consumed: The consumed capacities, one for each table; empty where the target gave none.
    """

    body: bytes
    consumed: tuple[dict[str, Any], ...]


def cut(body: bytes, asked: str) -> Cut:
    """
    Take out of an answer what the application did not ask for.

    Args:
        body: The answer to a request that asked for INDEXES.
        asked: What the application had asked for: NONE, TOTAL or INDEXES.
    """
    found = _find(body)
    if found is None:
        return Cut(body, ())
    start, value_start, end = found
    value = body[value_start:end]
    consumed = orjson.loads(value)
    capacities = tuple(consumed) if isinstance(consumed, list) else (consumed,)
    if asked == "NONE":
        return Cut(_without(body, start, end), capacities)
    if asked == "TOTAL":
        total = _TABLE.sub(b"", _INDEXES.sub(b"", value))
        return Cut(body[:value_start] + total + body[end:], capacities)
    return Cut(body, capacities)


def _find(body: bytes) -> tuple[int, int, int] | None:
    """Return where the member begins, where its value does, and where that ends."""
    start = -1
    # much faster than to let the expression look for the name in a whole page
    while (start := body.find(_NAME, start + 1)) >= 0:
        match = _ANSWERED.match(body, start)
        # inside a text the quotation mark is escaped
        if match is None or body[start - 1 : start] == b"\\":
            continue
        end = _end(body, match.end())
        if end is not None and _is_capacity(body[match.end() : end]):
            return start, match.end(), end
    return None


def _end(body: bytes, start: int) -> int | None:
    # names of tables and indexes have no brackets in them
    depth = 0
    for bracket in _BRACKETS.finditer(body, start):
        depth += 1 if bracket[0] in b"[{" else -1
        if depth == 0:
            return bracket.end()
    return None


def _is_capacity(value: bytes) -> bool:
    try:
        parsed = orjson.loads(value)
    except orjson.JSONDecodeError:
        return False
    return all(
        isinstance(each, dict) and each.keys() <= _FIELDS
        for each in (parsed if isinstance(parsed, list) else [parsed])
    )


def _without(body: bytes, start: int, end: int) -> bytes:
    after = end + _blank(body[end : end + 64])
    if body[after : after + 1] == b",":
        return body[:start] + body[after + 1 :].lstrip(_SPACE)
    before = body[:start].rstrip(_SPACE)
    if before.endswith(b","):
        before = before[:-1]
    return before + body[end:]


def _blank(text: bytes) -> int:
    return len(text) - len(text.lstrip(_SPACE))


def arms(consumed: tuple[dict[str, Any], ...]) -> Iterator[tuple[str, str, float]]:
    """Yield table, index ("" for the table itself) and units of each arm that consumed some."""
    for each in consumed:
        table = str(each.get("TableName", ""))
        indexes = [
            (name, units)
            for kind in ("LocalSecondaryIndexes", "GlobalSecondaryIndexes")
            for name, units in (each.get(kind) or {}).items()
        ]
        of_table = each.get("Table")
        if of_table is None and not indexes:
            # targets that know only totals
            of_table = {"CapacityUnits": each.get("CapacityUnits", 0.0)}
        if of_table is not None and (units := _units(of_table)):
            yield table, "", units
        for name, given in indexes:
            if units := _units(given):
                yield table, str(name), units


def _units(given: dict[str, Any]) -> float:
    units = given.get("CapacityUnits")
    return float(units) if isinstance(units, int | float) else 0.0
