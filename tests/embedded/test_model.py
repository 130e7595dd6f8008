"""The engine against a dict: random writes, then every way of reading and every figure agree."""

import operator
from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from typing import Any

import boto3
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perfkit.capacity import Consistency, index_write_units, item_size, read_units, write_units
from perfkit.dynamodb.client import embedded_client

Item = dict[str, Any]
Key = tuple[str, str]
Model = dict[Key, Item]

PARTITIONS = ["a", "a\x00", "b", "ä"]
SORTS = ["-10", "-1", "0", "1.5", "2", "10"]
TABLE = "things"

# name, partition and sort attribute, what it projects besides keys (None is everything)
INDEXES: list[tuple[str, tuple[str, str], set[str] | None]] = [
    ("by-g", ("g", "n"), {"v"}),
    ("by-g-all", ("g", "pk"), None),
    ("local", ("pk", "n"), set()),
]
TYPES = {"pk": "S", "sk": "N", "g": "S", "n": "N"}


def schema(*names: str) -> list[dict[str, str]]:
    return [
        {"AttributeName": name, "KeyType": kind}
        for name, kind in zip(names, ("HASH", "RANGE"), strict=True)
    ]


def projection(more: set[str] | None) -> dict[str, Any]:
    if more is None:
        return {"ProjectionType": "ALL"}
    if more:
        return {"ProjectionType": "INCLUDE", "NonKeyAttributes": sorted(more)}
    return {"ProjectionType": "KEYS_ONLY"}


def new_client(session: boto3.Session) -> Any:
    client = embedded_client(":memory:", session=session)
    indexes = [
        {"IndexName": name, "KeySchema": schema(*keys), "Projection": projection(more)}
        for name, keys, more in INDEXES
    ]
    client.create_table(
        TableName=TABLE,
        BillingMode="PAY_PER_REQUEST",
        KeySchema=schema("pk", "sk"),
        AttributeDefinitions=[
            {"AttributeName": name, "AttributeType": kind} for name, kind in TYPES.items()
        ],
        GlobalSecondaryIndexes=indexes[:2],
        LocalSecondaryIndexes=indexes[2:],
    )
    return client


# ---- the model ---------------------------------------------------------------------------


def key_of(item: Mapping[str, Any]) -> Key:
    return item["pk"]["S"], item["sk"]["N"]


def wire(key: Key) -> Item:
    return {"pk": {"S": key[0]}, "sk": {"N": key[1]}}


def view(item: Item | None, keys: tuple[str, str], more: set[str] | None) -> Item | None:
    """Return the entry an index must have for an item, None if it has none."""
    if item is None or any(name not in item for name in keys):
        return None
    wanted = None if more is None else {"pk", "sk", *keys, *more}
    return {name: value for name, value in item.items() if wanted is None or name in wanted}


def units(old: Item | None, new: Item | None, *, transactional: bool = False) -> float:
    """Return what replacing *old* by *new* costs with all indexes."""

    def size(item: Item | None) -> int | None:
        return None if item is None else item_size(item)

    total = write_units(size(old), size(new), transactional=transactional)
    for _, keys, more in INDEXES:
        before, after = view(old, keys, more), view(new, keys, more)
        moved = before is None or after is None or any(before[n] != after[n] for n in keys)
        total += index_write_units(
            size(before), size(after), key_changed=moved, view_changed=before != after
        )
    return total


def changed(item: Item | None, key: Key, changes: Mapping[str, Any]) -> Item | None:
    """Return an item after attributes were set or, with None, removed."""
    if item is None and not any(changes.values()):
        # removing makes no item
        return None
    result = {**(item or wire(key)), **changes}
    return {name: value for name, value in result.items() if value is not None}


# ---- random writes -----------------------------------------------------------------------

keys = st.tuples(st.sampled_from(PARTITIONS), st.sampled_from(SORTS))
attributes = st.fixed_dictionaries(
    {},
    optional={
        "g": st.sampled_from(["x", "y"]).map(lambda text: {"S": text}),
        "n": st.sampled_from(["1", "2", "-3"]).map(lambda number: {"N": number}),
        "v": st.sampled_from([1, 900, 1500, 3000]).map(lambda size: {"S": "v" * size}),
        "w": st.sampled_from(["p", "q"]).map(lambda text: {"SS": [text, "z"]}),
    },
)
changes = st.fixed_dictionaries(
    {},
    optional={
        "g": st.sampled_from([None, {"S": "x"}, {"S": "y"}]),
        "n": st.sampled_from([None, {"N": "1"}, {"N": "2"}]),
        "v": st.sampled_from([None, {"S": "short"}, {"S": "v" * 2000}]),
    },
).filter(bool)

single = st.one_of(
    st.tuples(st.just("put"), keys, attributes),
    st.tuples(st.just("update"), keys, changes),
    st.tuples(st.just("delete"), keys, st.none()),
)
write = st.one_of(
    st.tuples(st.just("single"), single),
    # put only if the item is there, or only if it is not
    st.tuples(st.just("conditional"), st.tuples(keys, attributes, st.booleans())),
    st.tuples(
        st.just("batch"), st.lists(single, min_size=1, max_size=6, unique_by=lambda one: one[1])
    ),
    st.tuples(
        st.just("transaction"),
        st.lists(
            st.tuples(single, st.sampled_from([None, True, False])),
            min_size=1,
            max_size=5,
            unique_by=lambda one: one[0][1],
        ),
    ),
)

EXISTS = {True: "attribute_exists(pk)", False: "attribute_not_exists(pk)"}


def request_of(kind: str, key: Key, content: Any) -> tuple[str, dict[str, Any]]:
    """Return operation and parameters of one write."""
    if kind == "put":
        return "put_item", {"Item": {**wire(key), **content}}
    if kind == "delete":
        return "delete_item", {"Key": wire(key)}
    sets = [f"{name} = :{name}" for name, value in content.items() if value is not None]
    removes = [name for name, value in content.items() if value is None]
    expression = " ".join(
        [f"SET {', '.join(sets)}"] * bool(sets) + [f"REMOVE {', '.join(removes)}"] * bool(removes)
    )
    values = {f":{name}": value for name, value in content.items() if value is not None}
    more = {"ExpressionAttributeValues": values} if values else {}
    return "update_item", {"Key": wire(key), "UpdateExpression": expression, **more}


def after(model: Model, kind: str, key: Key, content: Any) -> Item | None:
    """Return what one write makes of the item under its key."""
    if kind == "put":
        return {**wire(key), **content}
    return None if kind == "delete" else changed(model.get(key), key, content)


def store(model: Model, key: Key, item: Item | None) -> None:
    if item is None:
        model.pop(key, None)
    else:
        model[key] = item


def apply(client: Any, model: Model, kind: str, content: Any) -> None:
    """Do one write to both and compare what it cost."""
    if kind == "single":
        operation, request = request_of(*content)
        answer = getattr(client, operation)(
            TableName=TABLE, ReturnConsumedCapacity="TOTAL", **request
        )
        key, new = content[1], after(model, *content)
        assert answer["ConsumedCapacity"]["CapacityUnits"] == units(model.get(key), new)
        store(model, key, new)
    elif kind == "conditional":
        key, given_attributes, wanted = content
        item = {**wire(key), **given_attributes}
        request = {"TableName": TABLE, "Item": item, "ConditionExpression": EXISTS[wanted]}
        if (key in model) == wanted:
            client.put_item(**request)
            model[key] = item
        else:
            with pytest.raises(client.exceptions.ConditionalCheckFailedException):
                client.put_item(**request)
    elif kind == "batch":
        apply_batch(client, model, [one for one in content if one[0] != "update"])
    else:
        apply_transaction(client, model, content)


def apply_batch(client: Any, model: Model, writes: list[tuple[str, Key, Any]]) -> None:
    if not writes:
        return
    requests = []
    expected = 0.0
    for one in writes:
        _, request = request_of(*one)
        requests.append({"PutRequest" if one[0] == "put" else "DeleteRequest": request})
        expected += units(model.get(one[1]), after(model, *one))
        store(model, one[1], after(model, *one))
    answer = client.batch_write_item(RequestItems={TABLE: requests}, ReturnConsumedCapacity="TOTAL")
    assert answer["UnprocessedItems"] == {}
    assert [entry["CapacityUnits"] for entry in answer["ConsumedCapacity"]] == [expected]


def apply_transaction(
    client: Any, model: Model, actions: list[tuple[tuple[str, Key, Any], bool | None]]
) -> None:
    names = {"put": "Put", "update": "Update", "delete": "Delete"}
    items = []
    for one, wanted in actions:
        _, request = request_of(*one)
        if wanted is not None:
            request["ConditionExpression"] = EXISTS[wanted]
        items.append({names[one[0]]: {"TableName": TABLE, **request}})
    fails = [wanted is not None and (one[1] in model) != wanted for one, wanted in actions]
    request = {"TransactItems": items, "ReturnConsumedCapacity": "TOTAL"}
    if any(fails):
        with pytest.raises(client.exceptions.TransactionCanceledException) as caught:
            client.transact_write_items(**request)
        codes = [reason["Code"] for reason in caught.value.response["CancellationReasons"]]
        assert codes == ["ConditionalCheckFailed" if failed else "None" for failed in fails]
        return
    answer = client.transact_write_items(**request)
    expected = sum(
        units(model.get(one[1]), after(model, *one), transactional=True) for one, _ in actions
    )
    assert answer["ConsumedCapacity"][0]["CapacityUnits"] == expected
    for one, _ in actions:
        store(model, one[1], after(model, *one))


# ---- reading everything back -------------------------------------------------------------


def canonical(items: Iterator[Item] | list[Item]) -> list[str]:
    """Return items in a form that compares in any order."""
    return sorted(repr(sorted(item.items())) for item in items)


def pages(read: Callable[..., Any], **request: Any) -> list[Item]:
    found: list[Item] = []
    while True:
        page = read(TableName=TABLE, **request)
        found += page["Items"]
        if "LastEvaluatedKey" not in page:
            return found
        request["ExclusiveStartKey"] = page["LastEvaluatedKey"]


def number(item: Item, name: str) -> Decimal:
    return Decimal(item[name]["N"])


def check_totals(client: Any, model: Model) -> None:
    table = client.describe_table(TableName=TABLE)["Table"]
    described = {
        index["IndexName"]: (index["ItemCount"], index["IndexSizeBytes"])
        for index in table["GlobalSecondaryIndexes"] + table["LocalSecondaryIndexes"]
    }
    assert table["ItemCount"] == len(model)
    assert table["TableSizeBytes"] == sum(item_size(item) for item in model.values())
    for name, index_keys, more in INDEXES:
        entries = [e for item in model.values() if (e := view(item, index_keys, more)) is not None]
        assert described[name] == (len(entries), sum(item_size(entry) for entry in entries))


def check_scans(client: Any, model: Model, limit: int, segments: int) -> None:
    whole = client.scan(TableName=TABLE, ReturnConsumedCapacity="TOTAL", ConsistentRead=True)
    size = sum(item_size(item) for item in model.values())
    assert canonical(whole["Items"]) == canonical(list(model.values()))
    assert whole["ConsumedCapacity"]["CapacityUnits"] == read_units(size, Consistency.STRONG)
    assert pages(client.scan, Limit=limit) == whole["Items"]
    parts = [
        pages(client.scan, Segment=segment, TotalSegments=segments) for segment in range(segments)
    ]
    assert canonical([item for part in parts for item in part]) == canonical(whole["Items"])
    for name, index_keys, more in INDEXES:
        entries = [e for item in model.values() if (e := view(item, index_keys, more)) is not None]
        assert canonical(pages(client.scan, IndexName=name, Limit=limit)) == canonical(entries)


COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


def check_query(
    client: Any, model: Model, key: Key, comparison: str, forward: bool, limit: int
) -> None:
    partition, bound = key
    request = {
        "KeyConditionExpression": f"pk = :p AND sk {comparison} :s",
        "ExpressionAttributeValues": {":p": {"S": partition}, ":s": {"N": bound}},
        "ScanIndexForward": forward,
    }
    expected = sorted(
        (
            item
            for (pk, sk), item in model.items()
            if pk == partition and COMPARISONS[comparison](Decimal(sk), Decimal(bound))
        ),
        key=lambda item: number(item, "sk"),
        reverse=not forward,
    )
    page = client.query(TableName=TABLE, ReturnConsumedCapacity="TOTAL", **request)
    size = sum(item_size(item) for item in expected)
    assert [key_of(item) for item in page["Items"]] == [key_of(item) for item in expected]
    assert canonical(page["Items"]) == canonical(expected)
    assert page["ConsumedCapacity"]["CapacityUnits"] == read_units(size)
    assert pages(client.query, Limit=limit, **request) == page["Items"]
    filtered = client.query(TableName=TABLE, FilterExpression="attribute_exists(v)", **request)
    assert canonical(filtered["Items"]) == canonical([item for item in expected if "v" in item])


def check_index_queries(client: Any, model: Model, forward: bool, limit: int) -> None:
    for name, (hash_name, range_name), more in INDEXES:
        for value in ["x", "y"] if hash_name == "g" else PARTITIONS:
            request = {
                "IndexName": name,
                "KeyConditionExpression": f"{hash_name} = :h",
                "ExpressionAttributeValues": {":h": {"S": value}},
                "ScanIndexForward": forward,
            }
            page = client.query(TableName=TABLE, ReturnConsumedCapacity="TOTAL", **request)
            entries = [
                entry
                for item in model.values()
                if (entry := view(item, (hash_name, range_name), more)) is not None
                and entry[hash_name] == {"S": value}
            ]
            size = sum(item_size(entry) for entry in entries)
            ordered = [
                number(item, range_name)
                if TYPES[range_name] == "N"
                else item[range_name]["S"].encode()
                for item in page["Items"]
            ]
            assert canonical(page["Items"]) == canonical(entries)
            assert ordered == sorted(ordered, reverse=not forward)
            assert page["ConsumedCapacity"]["CapacityUnits"] == read_units(size)
            assert pages(client.query, Limit=limit, **request) == page["Items"]


@settings(max_examples=settings().max_examples // 2)
@given(
    writes=st.lists(write, max_size=25),
    key=keys,
    comparison=st.sampled_from(list(COMPARISONS)),
    forward=st.booleans(),
    limit=st.integers(1, 5),
    segments=st.integers(1, 4),
)
def test_random_writes_agree_with_a_dict(
    session: boto3.Session,
    writes: list[tuple[str, Any]],
    key: Key,
    comparison: str,
    forward: bool,
    limit: int,
    segments: int,
) -> None:
    client = new_client(session)
    model: Model = {}

    for kind, content in writes:
        apply(client, model, kind, content)

    check_totals(client, model)
    check_scans(client, model, limit, segments)
    check_query(client, model, key, comparison, forward, limit)
    check_index_queries(client, model, forward, limit)
    for each in [key, *model]:
        found = client.get_item(TableName=TABLE, Key=wire(each)).get("Item")
        assert found == model.get(each)
    client.close()
