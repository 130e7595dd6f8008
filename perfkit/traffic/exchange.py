"""One request and its answer, and what of them goes into a trace."""

import re
from collections import OrderedDict, deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from secrets import token_bytes
from typing import Any

import orjson

from perfkit.capacity import item_size
from perfkit.embedded.expressions.lexer import InvalidExpressionError
from perfkit.embedded.expressions.parser import condition_tree
from perfkit.embedded.expressions.syntax import Junction, PathNode, Predicate, ValueNode
from perfkit.traffic.consumed import arms
from perfkit.traffic.schemas import Schema
from perfkit.traffic.shapes import WRITES, Fingerprint, fingerprint_of

__all__ = ["Exchange", "Observed", "Observer", "Touched", "is_failure", "is_throttle"]

MOST_RETURNED = 100
"""Keys of returned items that are kept of one answer."""

_NAMING = frozenset({"Query", "Scan", "BatchGetItem", "GetItem"})
_MOST_LOOKED_AT = 200
_MOST_VALUES = 2_000
_SHORTEST_VALUE = 2
_LONGEST_VALUE = 256
_ANSWERS = 3
_MOST_GROUPS = 500

Group = str | int
"""Trace id of the application's request, or number of the connection where there is none."""

_MOST_OPEN_PAGES = 10_000
_MOST_TEXT = 200

_ATTEMPT = re.compile(r"attempt=(\d+)")
_TRACEPARENT = re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}")

_THROTTLES = frozenset(
    {
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "ThrottlingException",
        "ThrottlingError",
    }
)


def is_throttle(error: str) -> bool:
    """Return whether an error's code says that there was no capacity left."""
    return error in _THROTTLES or "ThrottlingError" in error


def is_failure(error: str) -> bool:
    """
    Return whether an error's code is that of a request that went wrong.

    A throttle is a matter of capacity, and a condition that does not hold is an answer.
    """
    return bool(error) and not is_throttle(error) and "ConditionalCheckFailed" not in error


@dataclass(slots=True, kw_only=True)
class Exchange:
    """
    One request as it came and its answer as it went.

    Args:
        operation: E.g. `Query`.
        request: The request, parsed.
        body: The request's bytes, as the application sent them.
        at_s: When it came, in seconds since the recording began.
        duration_s: From then until the target had answered.
        status: HTTP status; 0 where there was no answer.
        answer: The answer's bytes, as the application got them.
        consumed: What `consumed.cut` found.
        connection: A number for each connection.
        headers: The request's headers, names in lower case.
        failure: Why there was no answer.
    """

    operation: str
    request: dict[str, Any]
    body: bytes
    at_s: float
    duration_s: float
    status: int
    answer: bytes
    consumed: tuple[dict[str, Any], ...]
    connection: int
    headers: Mapping[str, str]
    failure: str = ""


@dataclass(frozen=True, slots=True)
class Touched:
    """
    An item, or the items of a partition, that a request names.

    Args:
        table: The table's name.
        index: The index whose partition it is; "" for the table's.
        partition: Hash of the partition key; 0 where it is not known.
        key: Hash of the whole key; 0 where the request names a partition only.
        writes: Whether it is written.
    """

    table: str
    index: str
    partition: int
    key: int
    writes: bool


@dataclass(slots=True, kw_only=True)
class Observed:
    """What is kept of one exchange; the meaning of the fields is `trace.Call`'s."""

    number: int
    fingerprint: Fingerprint
    at_s: float
    duration_s: float
    status: int
    error: str
    connection: int
    agent: str
    caller: bytes | None
    invocation: int
    attempt: int
    count: int
    scanned: int
    sent_bytes: int
    received_bytes: int
    item_bytes: int
    unprocessed: int
    same: int
    chain: int
    page: int
    behind: int
    units: tuple[tuple[str, str, float], ...]
    touched: tuple[Touched, ...]
    returned: tuple[int, ...]
    body: bytes | None = None


class _Answer:
    """The values in one answer, and how far its items were asked for in their order."""

    __slots__ = ("_first", "_last", "_place", "number")

    def __init__(self, number: int, items: list[dict[str, Any]]) -> None:
        self.number = number
        self._first: dict[str, int] = {}
        self._last: dict[str, int] = {}
        self._place = 0
        for place, item in enumerate(items[:_MOST_LOOKED_AT]):
            if len(self._first) >= _MOST_VALUES:
                break
            for value in _texts(item):
                self._first.setdefault(value, place)
                self._last[value] = place

    def holds(self, wanted: set[str]) -> bool:
        """Return whether something is wanted of one of its items."""
        return not wanted.isdisjoint(self._first)

    def is_next(self, wanted: set[str]) -> bool:
        """Return whether something is wanted of the item last asked for, or of a later one."""
        for value in wanted:
            if self._last.get(value, -1) >= self._place:
                self._place = max(self._place, self._first[value])
                return True
        if self.holds(wanted):
            # somebody asks in another order
            self._place = len(self._last)
        return False


@dataclass(slots=True)
class Observer:
    """
    Makes what is kept of exchanges.

    Keys become hashes under a secret that is made for each recording and written nowhere: nobody
    can find out later by trying whether a key was among them.

    Args:
        schemas: Keys of tables and indexes, by table; filled as they become known.
        keep_values: Keep requests as they were, for one's own test data.
    """

    schemas: dict[str, Schema]
    keep_values: bool = False
    _secret: bytes = field(default_factory=lambda: token_bytes(32), repr=False)
    _pages: "OrderedDict[int, tuple[int, int]]" = field(default_factory=OrderedDict)
    _chains: int = 0
    _number: int = 0
    _answered: "OrderedDict[Group, deque[_Answer]]" = field(default_factory=OrderedDict, repr=False)
    _latest: "deque[_Answer]" = field(default_factory=lambda: deque(maxlen=_ANSWERS), repr=False)

    def observe(self, exchange: Exchange) -> Observed:
        """Return what is kept of an exchange."""
        operation, request = exchange.operation, exchange.request
        answer = _parsed(exchange.answer)
        fingerprint = fingerprint_of(operation, request)
        headers = exchange.headers
        items = _items(answer)
        scanned, count = _counts(operation, request, answer, items)
        chain, page = self._page(fingerprint, request, answer)
        touched = tuple(self._touched(operation, request))
        attempt = _ATTEMPT.search(headers.get("amz-sdk-request", ""))
        caller = _TRACEPARENT.match(headers.get("traceparent", ""))
        self._number += 1
        group: Group = caller[1] if caller else exchange.connection
        return Observed(
            number=self._number,
            fingerprint=fingerprint,
            at_s=exchange.at_s,
            duration_s=exchange.duration_s,
            status=exchange.status,
            error=exchange.failure or (_error(answer) if exchange.status != 200 else ""),
            connection=exchange.connection,
            agent=headers.get("user-agent", "")[:_MOST_TEXT],
            caller=bytes.fromhex(caller[1]) if caller else None,
            invocation=self._hash(headers.get("amz-sdk-invocation-id", "").encode()),
            attempt=int(attempt[1]) if attempt else 1,
            count=count,
            scanned=scanned,
            sent_bytes=len(exchange.body),
            received_bytes=len(exchange.answer),
            item_bytes=_item_bytes(request, items),
            unprocessed=_unprocessed(answer),
            same=self._hash(operation.encode() + exchange.body),
            chain=chain,
            page=page,
            behind=self._behind(group, operation, request, items),
            units=tuple(arms(exchange.consumed)),
            touched=touched,
            returned=self._returned(operation, request, items),
            body=exchange.body if self.keep_values else None,
        )

    def _hash(self, content: bytes) -> int:
        if not content:
            return 0
        digest = blake2b(content, key=self._secret, digest_size=8).digest()
        return int.from_bytes(digest, signed=True)

    def _hash_key(self, table: str, index: str, values: Mapping[str, Any]) -> int:
        return self._hash(orjson.dumps([table, index, values], option=orjson.OPT_SORT_KEYS))

    def _page(
        self, fingerprint: Fingerprint, request: Mapping[str, Any], answer: Mapping[str, Any]
    ) -> tuple[int, int]:
        """Return which chain of pages a request belongs to, and which page of it this is."""
        begins = request.get("ExclusiveStartKey") or request.get("NextToken")
        ends = answer.get("LastEvaluatedKey") or answer.get("NextToken")
        if not (begins or ends):
            return 0, 0
        chain, page = 0, 0
        if begins:
            chain, page = self._pages.pop(self._place(fingerprint, begins), (0, 0))
        if not chain:
            self._chains += 1
            chain = self._chains
        if ends:
            self._pages[self._place(fingerprint, ends)] = (chain, page + 1)
            if len(self._pages) > _MOST_OPEN_PAGES:
                self._pages.popitem(last=False)
        return chain, page

    def _place(self, fingerprint: Fingerprint, key: Any) -> int:
        return self._hash_key(fingerprint.table, fingerprint.index, {"at": key})

    def _behind(
        self,
        group: "Group",
        operation: str,
        request: Mapping[str, Any],
        items: list[dict[str, Any]],
    ) -> int:
        """
        Return the number of the request whose answer holds the key that this one asks for.

        Of the same connection or caller, and among its last answers: a key that was read out of
        one answer and asked for next is what tells N+1 from requests that happen to follow each
        other. Clients may have a connection for each table (PynamoDB has), so other connections'
        answers count too, as long as their items are asked for in their order. The values looked
        at are forgotten with the answer.
        """
        answer = None
        if operation in {"GetItem", "Query"} and "ExclusiveStartKey" not in request:
            own = self._answered.get(group) or deque[_Answer]()
            others = self._latest if isinstance(group, int) else ()
            wanted = set(_asked_for(request)) if own or others else set()
            for each in own:
                if each.holds(wanted):
                    answer = each
            if answer is not None:
                # reads behind it must not push it out
                own.remove(answer)
                own.append(answer)
            else:
                answer = next((each for each in reversed(others) if each.is_next(wanted)), None)
        # what was read one by one is not what a hundred more are read by
        if operation in _NAMING and items and (answer is None or len(items) > 1):
            self._keep(group, _Answer(self._number, items), several=len(items) > 1)
        return 0 if answer is None else answer.number

    def _keep(self, group: "Group", answer: "_Answer", *, several: bool) -> None:
        self._answered.setdefault(group, deque(maxlen=_ANSWERS)).append(answer)
        self._answered.move_to_end(group)
        if len(self._answered) > _MOST_GROUPS:
            self._answered.popitem(last=False)
        if isinstance(group, int) and several:
            self._latest.append(answer)

    def _touched(self, operation: str, request: Mapping[str, Any]) -> Iterator[Touched]:
        match operation:
            case "GetItem" | "DeleteItem" | "UpdateItem":
                yield from self._item(request, "Key", writes=operation != "GetItem")
            case "PutItem":
                yield from self._item(request, "Item", writes=True)
            case "Query":
                yield from self._partition(request)
            case "BatchGetItem" | "BatchWriteItem":
                yield from self._batch(request)
            case "TransactGetItems" | "TransactWriteItems":
                for each in _dicts(request.get("TransactItems")):
                    for action, given in each.items():
                        place = "Item" if action == "Put" else "Key"
                        writes = action not in {"Get", "ConditionCheck"}
                        yield from self._item(given, place, writes=writes)

    def _item(self, request: Any, place: str, *, writes: bool) -> Iterator[Touched]:
        if not isinstance(request, dict):
            return
        table = _table(request)
        item = request.get(place)
        schema = self.schemas.get(table)
        if not isinstance(item, dict):
            return
        if schema is None:
            # which of the attributes is the partition key, nobody knows
            if place == "Key":
                yield Touched(table, "", 0, self._hash_key(table, "", item), writes)
            return
        key = {name: item.get(name) for name in schema.key}
        partition = {schema.partition: item.get(schema.partition)}
        yield Touched(
            table,
            "",
            self._hash_key(table, "", partition),
            self._hash_key(table, "", key),
            writes,
        )

    def _batch(self, request: Mapping[str, Any]) -> Iterator[Touched]:
        wanted = request.get("RequestItems")
        if not isinstance(wanted, dict):
            return
        for table, given in wanted.items():
            if isinstance(given, dict):
                for key in _dicts(given.get("Keys")):
                    yield from self._item({"TableName": table, "Key": key}, "Key", writes=False)
                continue
            for each in _dicts(given):
                put, deleted = each.get("PutRequest"), each.get("DeleteRequest")
                one, place = (put, "Item") if isinstance(put, dict) else (deleted, "Key")
                if isinstance(one, dict):
                    yield from self._item(one | {"TableName": table}, place, writes=True)

    def _partition(self, request: Mapping[str, Any]) -> Iterator[Touched]:
        table, index = _table(request), str(request.get("IndexName") or "")
        schema = self.schemas.get(table)
        name = None if schema is None else schema.partition_of(index)
        for attribute, value in _equalities(request):
            if name in {None, attribute}:
                partition = self._hash_key(table, index, {attribute: value})
                yield Touched(table, index, partition, 0, writes=False)
                return

    def _returned(
        self, operation: str, request: Mapping[str, Any], items: list[dict[str, Any]]
    ) -> tuple[int, ...]:
        """Return the hashes of the returned items' keys in their table."""
        table = _table(request)
        schema = self.schemas.get(table)
        if operation not in {"Query", "Scan"} or schema is None:
            return ()
        return tuple(
            self._hash_key(table, "", {name: item.get(name) for name in schema.key})
            for item in items[:MOST_RETURNED]
            if all(name in item for name in schema.key)
        )


def is_write(fingerprint: Fingerprint) -> bool:
    """Return whether what is consumed are write units."""
    if "Statement" in fingerprint.operation or fingerprint.operation == "ExecuteTransaction":
        return not fingerprint.change.lstrip().upper().startswith("SELECT")
    return fingerprint.operation in WRITES


def _parsed(body: bytes) -> dict[str, Any]:
    try:
        answer = orjson.loads(body)
    except orjson.JSONDecodeError:
        return {}
    return answer if isinstance(answer, dict) else {}


def _table(request: Mapping[str, Any]) -> str:
    name = request.get("TableName")
    # the name may be an ARN
    return name.rpartition(":table/")[2] if isinstance(name, str) else ""


def _dicts(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, list):
        yield from (each for each in value if isinstance(each, dict))


def _items(answer: Mapping[str, Any]) -> list[dict[str, Any]]:
    if isinstance(answer.get("Item"), dict):
        return [answer["Item"]]
    if isinstance(answer.get("Responses"), dict):
        return [item for items in answer["Responses"].values() for item in _dicts(items)]
    if isinstance(answer.get("Responses"), list):
        return [each["Item"] for each in _dicts(answer["Responses"]) if each.get("Item")]
    return list(_dicts(answer.get("Items")))


def _counts(
    operation: str,
    request: Mapping[str, Any],
    answer: Mapping[str, Any],
    items: list[dict[str, Any]],
) -> tuple[int, int]:
    """Return how many items were evaluated, 0 where nobody says, and how many returned or written."""
    count = answer.get("Count")
    if isinstance(count, int):
        scanned = answer.get("ScannedCount")
        return (scanned if isinstance(scanned, int) else count), count
    if operation == "BatchWriteItem" and isinstance(request.get("RequestItems"), dict):
        number = sum(
            len(each) for each in request["RequestItems"].values() if isinstance(each, list)
        ) - _unprocessed(answer)
        return number, number
    if operation == "ExecuteStatement":
        # how many it evaluated the answer does not say
        return 0, len(items)
    if operation in WRITES:
        return (1, 1) if operation != "TransactWriteItems" else (0, 0)
    return len(items), len(items)


def _item_bytes(request: Mapping[str, Any], items: list[dict[str, Any]]) -> int:
    """Return the size of one item that was read or written, as DynamoDB counts it; 0 for none."""
    one = items[0] if items else request.get("Item")
    if not isinstance(one, dict):
        return 0
    try:
        return item_size(one)
    except (ValueError, TypeError, AttributeError):
        return 0


def _unprocessed(answer: Mapping[str, Any]) -> int:
    number = 0
    for name in ("UnprocessedItems", "UnprocessedKeys"):
        given = answer.get(name)
        for each in given.values() if isinstance(given, dict) else ():
            number += len(each.get("Keys") or ()) if isinstance(each, dict) else len(each)
    return number


def _error(answer: Mapping[str, Any]) -> str:
    kind = str(answer.get("__type", "")).rpartition("#")[2][:_MOST_TEXT]
    reasons = {str(each.get("Code")) for each in _dicts(answer.get("CancellationReasons"))}
    reasons -= {"None"}
    return f"{kind} ({', '.join(sorted(reasons))})" if reasons else kind or "no DynamoDB error"


def _texts(item: Mapping[Any, Any]) -> list[str]:
    """Return the texts and numbers in an item, nested ones too, that may be somebody's key."""
    found: list[str] = []
    for value in item.values():
        if not isinstance(value, dict):
            continue
        text = value.get("S") or value.get("N")
        if isinstance(text, str):
            if _SHORTEST_VALUE <= len(text) <= _LONGEST_VALUE:
                found.append(text)
            continue
        nested = value.get("M") or value.get("L")
        if isinstance(nested, dict):
            found += _texts(nested)
        elif isinstance(nested, list):
            found += _texts(dict(enumerate(nested)))
    return found


def _asked_for(request: Mapping[str, Any]) -> Iterator[str]:
    """Yield the values of the key, or of the key condition, that a read asks for."""
    key = request.get("Key")
    if isinstance(key, dict):
        yield from _texts(key)
    yield from _texts(dict(_equalities(request)))


def _equalities(request: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield the attributes that a key condition compares for equality, with their values."""
    old = request.get("KeyConditions")
    if isinstance(old, dict):
        for name, given in old.items():
            if isinstance(given, dict) and given.get("ComparisonOperator") == "EQ":
                yield name, next(iter(given.get("AttributeValueList") or ()), None)
        return
    text = request.get("KeyConditionExpression")
    if not isinstance(text, str):
        return
    try:
        tree = condition_tree(text)
    except InvalidExpressionError:
        return
    names = request.get("ExpressionAttributeNames") or {}
    values = request.get("ExpressionAttributeValues") or {}
    for term in tree.conditions if isinstance(tree, Junction) else (tree,):
        if not (isinstance(term, Predicate) and term.operator == "="):
            continue
        match term.operands:
            case (PathNode(parts=(str(name),)), ValueNode(name=value)):
                yield str(names.get(name, name)), values.get(value)
            case (ValueNode(name=value), PathNode(parts=(str(name),))):
                yield str(names.get(name, name)), values.get(value)
