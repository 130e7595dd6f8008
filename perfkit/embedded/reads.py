"""GetItem, Query and Scan: what a read touches, what it costs, where it stops."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from perfkit.capacity import Consistency, Item, read_units
from perfkit.embedded import lateness
from perfkit.embedded.errors import INVALID_VALUES, DynamoDBError, validation
from perfkit.embedded.expressions import (
    Condition,
    KeyTerm,
    Placeholders,
    Projection,
    parse_condition,
    parse_key_condition,
    parse_projection,
)
from perfkit.embedded.keys import check_key, check_no_key_is_nested, find_table
from perfkit.embedded.legacy import attributes_to_get, filter_condition, key_conditions
from perfkit.embedded.metering import Meter
from perfkit.embedded.pages import PAGE_BYTES, PIECE_BYTES, billed, is_full, weight
from perfkit.embedded.ranges import KeyRange, check_start, query_range, segment_range
from perfkit.embedded.schema import Index, IndexKind, IndexStatus, Table
from perfkit.embedded.storage import Storage, Transaction
from perfkit.embedded.values import normalize_item

__all__ = ["get_item", "project", "query", "read_consistency", "scan"]


def read_consistency(request: Mapping[str, Any]) -> Consistency:
    """Return how the request reads."""
    return Consistency.STRONG if request.get("ConsistentRead") else Consistency.EVENTUAL


def project(data: bytes, projection: Projection | None) -> Any:
    """Return an item for an answer: as stored, or the parts asked for."""
    if projection is None:
        return orjson.Fragment(data)
    return projection.apply(orjson.loads(data))


def get_item(storage: Storage, request: Mapping[str, Any]) -> dict[str, Any]:
    """Answer GetItem."""
    key_item = normalize_item(request["Key"])
    projection = attributes_to_get(request.get("AttributesToGet"))
    expressions = _parse(request, projection=projection)
    with storage.read() as transaction:
        table = find_table(transaction, request["TableName"])
        check_key(table, key_item)
        _check_projection(table, expressions)
        key = table.keys.stored(key_item)
        if storage.enforcement is not None:
            admitted = storage.enforcement.read(transaction, table, None, key)
        find = lateness.find if lateness.is_late(table, None, request) else Transaction.find
        row = find(transaction, table, key)
    answer: dict[str, Any] = {}
    size = 0 if row is None else row[1]
    if storage.enforcement is not None:
        admitted.take(read_units(size, read_consistency(request)))
    if row is not None:
        _, size, data = row
        answer["Item"] = project(data, expressions.projection)
    if "ReturnConsumedCapacity" in request:
        meter = Meter(table.name)
        meter.add_table(read_units(size, read_consistency(request)))
        _add_consumed(answer, meter, request)
    return answer


def query(storage: Storage, request: Mapping[str, Any]) -> dict[str, Any]:
    """Answer Query."""
    condition = filter_condition(request.get("QueryFilter"), request.get("ConditionalOperator"))
    projection = attributes_to_get(request.get("AttributesToGet"))
    start = _start_key(request)
    expressions = _parse(request, key_condition=True, condition=condition, projection=projection)
    select = _select(request, expressions.projection, envelope="1 validation error detected: ")
    with storage.read() as transaction:
        table = find_table(transaction, request["TableName"])
        index = _index(table, request)
        keys = table.keys if index is None else index.keys
        within = query_range(table, index, expressions.key_terms, start)
        _check_projection(table, expressions)
        if expressions.filter is not None:
            for name in keys.names:
                if name in expressions.filter.attributes:
                    what = "Filter Expression" if condition is None else "QueryFilter"
                    raise validation(
                        f"{what} can only contain non-primary key attributes:"
                        f" Primary key attribute: {name}"
                    )
            check_no_key_is_nested(table, expressions.filter.nested_attributes)
        late = lateness.is_late(table, index, request)
        source = _source(table, index, select, expressions, late=late)
        _check_filter_is_projected(source, expressions.filter)
        backward = request.get("ScanIndexForward") is False
        within = within.resumed(table, index, start, backward=backward)
        page = _admitted_page(
            storage, transaction, source, within, request, expressions, backward=backward
        )
    return _page_answer(page, source, request, select, expressions)


def scan(storage: Storage, request: Mapping[str, Any]) -> dict[str, Any]:
    """Answer Scan."""
    projection = attributes_to_get(request.get("AttributesToGet"))
    condition = filter_condition(request.get("ScanFilter"), request.get("ConditionalOperator"))
    start = _start_key(request)
    within = _segment(request)
    expressions = _parse(request, condition=condition, projection=projection)
    select = _select(request, expressions.projection)
    with storage.read() as transaction:
        table = find_table(transaction, request["TableName"])
        index = _index(table, request)
        if start is not None:
            check_start(table, index, start)
            position = within.position(table, index, start)
            if not within.contains(position):
                raise validation(
                    "The provided starting key is invalid: Invalid ExclusiveStartKey. Please use"
                    " ExclusiveStartKey with correct Segment. TotalSegments:"
                    f" {request['TotalSegments']} Segment: {request['Segment']}"
                )
        _check_projection(table, expressions)
        late = lateness.is_late(table, index, request)
        source = _source(table, index, select, expressions, late=late)
        if expressions.filter is not None:
            check_no_key_is_nested(table, expressions.filter.nested_attributes)
        within = within.resumed(table, index, start, backward=False)
        page = _admitted_page(
            storage, transaction, source, within, request, expressions, backward=False
        )
    return _page_answer(page, source, request, select, expressions)


# ---- the request -----------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class _Expressions:
    """The expressions of one read, or what stands for them, parsed."""

    key_terms: tuple[KeyTerm, ...] = ()
    filter: Condition | None = None
    projection: Projection | None = None


def _parse(
    request: Mapping[str, Any],
    *,
    key_condition: bool = False,
    condition: Condition | None = None,
    projection: Projection | None = None,
) -> _Expressions:
    """
    Parse a read's expressions and check that they use all placeholders.

    Args:
        key_condition: Whether a key condition must be among them.
        condition: What stands for a filter expression.
        projection: What stands for a projection expression.
    """
    key_text = request.get("KeyConditionExpression")
    filter_text = request.get("FilterExpression")
    projection_text = request.get("ProjectionExpression")
    names = request.get("ExpressionAttributeNames")
    values = request.get("ExpressionAttributeValues")
    texts = (key_text, filter_text, projection_text)
    if names is not None and all(text is None for text in texts):
        msg = "ExpressionAttributeNames can only be specified when using expressions"
        raise validation(msg)
    if values is not None and key_text is None and filter_text is None:
        null = (
            "FilterExpression and KeyConditionExpression are"
            if key_condition
            else "FilterExpression is"
        )
        raise validation(
            f"ExpressionAttributeValues can only be specified when using expressions: {null} null"
        )
    keys = request.get("KeyConditions")
    if key_condition and key_text is None and keys is None:
        msg = (
            "Either the KeyConditions or KeyConditionExpression parameter must be specified in"
            " the request."
        )
        raise validation(msg)
    placeholders = Placeholders(names, values)

    def parse_others() -> None:
        nonlocal condition, projection
        if filter_text is not None:
            condition = parse_condition(filter_text, placeholders, "FilterExpression")
        if projection_text is not None:
            projection = parse_projection(projection_text, placeholders)
        placeholders.check_all_used()

    terms: tuple[KeyTerm, ...] = ()
    if key_text is not None:
        terms = parse_key_condition(key_text, placeholders, parse_others=parse_others)
    else:
        parse_others()
        if key_condition and keys is not None:
            terms = key_conditions(keys)
    return _Expressions(key_terms=terms, filter=condition, projection=projection)


def _check_projection(table: Table, expressions: _Expressions) -> None:
    if expressions.projection is not None:
        check_no_key_is_nested(table, expressions.projection.nested_attributes)


_PREFIXED = (
    "Supplied AttributeValue",
    f"{INVALID_VALUES}Null attribute",
    f"{INVALID_VALUES}An string set",
    f"{INVALID_VALUES}Binary sets",
)


def _start_key(request: Mapping[str, Any]) -> Item | None:
    given = request.get("ExclusiveStartKey")
    if given is None:
        return None
    try:
        return normalize_item(given)
    except DynamoDBError as error:
        if not error.message.startswith(_PREFIXED):
            raise
        raise validation(f"The provided starting key is invalid: {error.message}") from error


def _select(request: Mapping[str, Any], projection: Projection | None, envelope: str = "") -> str:
    given = request.get("Select")
    if given is None:
        if projection is not None:
            return "SPECIFIC_ATTRIBUTES"
        return "ALL_PROJECTED_ATTRIBUTES" if "IndexName" in request else "ALL_ATTRIBUTES"
    if projection is not None and given != "SPECIFIC_ATTRIBUTES":
        what = "only the Count" if given == "COUNT" else given
        member = "AttributesToGet" if "AttributesToGet" in request else "ProjectionExpression"
        raise validation(f"{envelope}Cannot specify the {member} when choosing to get {what}")
    if given == "ALL_PROJECTED_ATTRIBUTES" and "IndexName" not in request:
        # AWS says "Querying" to a Scan as well
        raise validation(
            f"{envelope}ALL_PROJECTED_ATTRIBUTES can be used only when Querying using an IndexName"
        )
    if projection is None and given == "SPECIFIC_ATTRIBUTES":
        raise validation(
            f"{envelope}Must specify the AttributesToGet or ProjectionExpression when choosing to"
            " get SPECIFIC_ATTRIBUTES"
        )
    return str(given)


def _segment(request: Mapping[str, Any]) -> KeyRange:
    segment, total = request.get("Segment"), request.get("TotalSegments")
    if segment is None and total is None:
        return KeyRange()
    if total is None:
        msg = (
            "The TotalSegments parameter is required but was not present in the request when"
            " Segment parameter is present"
        )
        raise validation(msg)
    if segment is None:
        msg = (
            "The Segment parameter is required but was not present in the request when"
            " parameter TotalSegments is present"
        )
        raise validation(msg)
    if segment >= total:
        raise validation(
            "The Segment parameter is zero-based and must be less than parameter TotalSegments:"
            f" Segment: {segment} is not less than TotalSegments: {total}"
        )
    return segment_range(segment, total)


def _index(table: Table, request: Mapping[str, Any]) -> Index | None:
    name = request.get("IndexName")
    if name is None:
        return None
    index = table.index(name)
    if index is None or index.status is IndexStatus.DELETING:
        raise validation(f"The table does not have the specified index: {name}")
    if index.kind is IndexKind.GLOBAL and request.get("ConsistentRead"):
        msg = "Consistent reads are not supported on global secondary indexes"
        raise validation(msg)
    if index.status is IndexStatus.CREATING:
        raise validation(f"Cannot read from backfilling global secondary index: {name}")
    return index


# ---- the page --------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class _Source:
    """
    Where a page comes from.

    Args:
        sql: Everything before the WHERE; columns: weight in a page, or where that is not known
            the size below 0; JSON (the stored key where it *counts*); and where it *fetches*
            the size of the item in the table.
        key: Name of the column with the stored key.
        counts: Whether nothing of the items is needed.
        fetches: Whether attributes that a local index lacks are read from the table.
        late: Whether it is read as it was a moment ago.
    """

    table: Table
    index: Index | None
    sql: str
    key: str
    counts: bool = False
    fetches: bool = False
    late: bool = False


_WEIGHT = f"ifnull(weight, CASE WHEN size < {PIECE_BYTES} THEN size ELSE -size END)"
_ENTRY_WEIGHT = _WEIGHT.replace("weight", "e.weight").replace("size", "e.size")


def _source(
    table: Table, index: Index | None, select: str, expressions: _Expressions, *, late: bool
) -> _Source:
    if index is None:
        # where a late page ends there may be no item any more to read the key of
        counts = select == "COUNT" and expressions.filter is None and not late
        sql = f"SELECT {_WEIGHT}, {'k' if counts else 'data'} FROM t{table.store}"
        return _Source(table=table, index=None, sql=sql, key="k", counts=counts, late=late)
    joined = f"FROM i{index.store} e CROSS JOIN t{table.store} t ON t.id = e.item"
    if index.projection == "ALL":
        sql = f"SELECT {_ENTRY_WEIGHT}, t.data {joined}"
        return _Source(table=table, index=index, sql=sql, key="e.k", late=late)
    projected = index.attributes(table.keys)
    wanted = expressions.projection.attributes if expressions.projection is not None else set()
    missing = sorted(wanted - projected)
    if index.kind is IndexKind.GLOBAL:
        if select == "ALL_ATTRIBUTES":
            raise validation(
                f"{INVALID_VALUES}Select type ALL_ATTRIBUTES is not"
                f" supported for global secondary index {index.name} because its projection"
                " type is not ALL"
            )
        if missing:
            raise validation(
                f"{INVALID_VALUES}Global secondary index {index.name}"
                f" does not project [{', '.join(missing)}]"
            )
    elif select == "ALL_ATTRIBUTES" or missing:
        sql = f"SELECT {_ENTRY_WEIGHT}, t.data, t.size {joined}"
        return _Source(table=table, index=index, sql=sql, key="e.k", fetches=True)
    sql = f"SELECT {_WEIGHT}, data FROM i{index.store}"
    return _Source(table=table, index=index, sql=sql, key="k", late=late)


def _check_filter_is_projected(source: _Source, condition: Condition | None) -> None:
    # a scan takes such a filter and finds nothing
    index = source.index
    if index is None or index.projection == "ALL" or condition is None or source.fetches:
        return
    missing = sorted(condition.attributes - index.attributes(source.table.keys))
    if missing:
        raise validation(
            f"{INVALID_VALUES}Secondary index {index.name} does not"
            f" project one or more filter attributes: [{', '.join(missing)}]"
        )


@dataclass(slots=True)
class _Page:
    """
    One page as it was read.

    Args:
        kept: JSON of the items that passed the filter.
        evaluated: Items looked at.
        size: Their bytes, which are billed.
        last: JSON of the item the page stopped at, None where it came to the end.
        fetched_sizes: Bytes of the items fetched from the table for a local index.
    """

    kept: list[bytes]
    evaluated: int
    size: int
    last: bytes | None
    fetched_sizes: list[int] = field(default_factory=list)


def _admitted_page(
    storage: Storage,
    transaction: Transaction,
    source: _Source,
    within: KeyRange,
    request: Mapping[str, Any],
    expressions: _Expressions,
    *,
    backward: bool,
) -> _Page:
    """Read a page; where throughput is enforced, if there is some where it begins."""
    admitted = None
    if storage.enforcement is not None:
        place = within.lower or b""
        admitted = storage.enforcement.read(transaction, source.table, source.index, place)
    page = _read_page(transaction, source, within, request, expressions, backward=backward)
    if admitted is not None:
        admitted.take(_page_meter(page, source, request).total)
    if storage.latency is not None:
        storage.latency.page(page.size)
    return page


def _read_page(
    transaction: Transaction,
    source: _Source,
    within: KeyRange,
    request: Mapping[str, Any],
    expressions: _Expressions,
    *,
    backward: bool,
) -> _Page:
    where, bounds = within.sql(source.key)
    order = "DESC" if backward else "ASC"
    limit = request.get("Limit") or -1
    rows: Any
    if source.late:
        store = source.table.store if source.index is None else source.index.store
        rows = lateness.rows(
            transaction, source.sql, source.key, store, within, order=order, limit=limit
        )
    else:
        rows = transaction.run(
            f"{source.sql}{where} ORDER BY {source.key} {order} LIMIT ?", (*bounds, limit)
        )
    fetched: list[int] = []
    sized = _noting_fetches(rows, fetched) if source.fetches else rows
    condition = expressions.filter
    weigh = _weigher(transaction, source)
    page = (
        _take(sized, limit, weigh) if condition is None else _filter(sized, limit, condition, weigh)
    )
    page.fetched_sizes = fetched
    if source.counts and page.last is not None:
        _, _, page.last = transaction.find(source.table, page.last) or (0, 0, b"")
    return page


_Weigh = Callable[[int, bytes], int]


def _weigher(transaction: Transaction, source: _Source) -> _Weigh:
    """Return what works out the weight of a row that was written without, from size and JSON."""
    table, index = source.table, source.index
    keys = table.keys if index is None else index.keys

    def weigh(size: int, row: bytes) -> int:
        if source.counts:
            _, _, row = transaction.find(table, row) or (0, 0, b"{}")
        item = orjson.loads(row)
        if source.fetches and index is not None:
            # the row is the item, and what is read of the index is its entry
            item = index.view(item, table.keys)
        return weight(item, size, keys.sort)

    return weigh


def _noting_fetches(
    rows: Iterable[tuple[int, bytes, int]], fetched: list[int]
) -> Iterator[tuple[int, bytes]]:
    for weighs, data, item_bytes in rows:
        fetched.append(item_bytes)
        yield weighs, data


# The two loops below run for every item of every scan: no call and no branch that is not needed.


def _take(rows: Iterable[tuple[int, bytes]], limit: int, weigh: _Weigh) -> _Page:
    kept: list[bytes] = []
    keep = kept.append
    total = 0
    full = False
    for weighs, data in rows:
        keep(data)
        total += weighs if weighs >= 0 else weigh(-weighs, data)
        # what weighs more than it is billed makes this true as well
        if total >= PAGE_BYTES and is_full(total):
            full = True
            break
    stopped = full or len(kept) == limit
    return _Page(kept, len(kept), billed(total), kept[-1] if stopped else None)


def _filter(
    rows: Iterable[tuple[int, bytes]], limit: int, condition: Condition, weigh: _Weigh
) -> _Page:
    needle, *others = condition.needles or (b"",)
    kept: list[bytes] = []
    evaluated = total = 0
    full = False
    data = b""
    for weighs, data in rows:
        evaluated += 1
        total += weighs if weighs >= 0 else weigh(-weighs, data)
        # most items are rejected by their bytes, unparsed
        if (
            needle in data
            and all(other in data for other in others)
            and condition.matches(orjson.loads(data))
        ):
            kept.append(data)
        if total >= PAGE_BYTES and is_full(total):
            full = True
            break
    stopped = full or evaluated == limit
    return _Page(kept, evaluated, billed(total), data if stopped else None)


def _page_answer(
    page: _Page,
    source: _Source,
    request: Mapping[str, Any],
    select: str,
    expressions: _Expressions,
) -> dict[str, Any]:
    answer: dict[str, Any] = {"Count": len(page.kept), "ScannedCount": page.evaluated}
    if select != "COUNT":
        answer["Items"] = [project(data, expressions.projection) for data in page.kept]
    if page.last is not None:
        item = orjson.loads(page.last)
        names = source.table.keys.names + (source.index.keys.names if source.index else ())
        answer["LastEvaluatedKey"] = {name: item[name] for name in names}
    if "ReturnConsumedCapacity" in request:
        _add_consumed(answer, _page_meter(page, source, request), request)
    return answer


def _page_meter(page: _Page, source: _Source, request: Mapping[str, Any]) -> Meter:
    consistency = read_consistency(request)
    units = read_units(page.size, consistency)
    meter = Meter(source.table.name)
    if source.index is None:
        meter.add_table(units)
        return meter
    # fetches are rounded up one by one; an index read shows the table, at 0 without them
    meter.add_table(sum(read_units(size, consistency) for size in page.fetched_sizes))
    meter.add_index(source.index.name, units, local=source.index.kind is IndexKind.LOCAL)
    return meter


def _add_consumed(answer: dict[str, Any], meter: Meter, request: Mapping[str, Any]) -> None:
    consumed = meter.answer(request.get("ReturnConsumedCapacity"))
    if consumed is not None:
        answer["ConsumedCapacity"] = consumed
