"""BatchWriteItem and BatchGetItem: all or nothing, limits, duplicates, what is refused and when."""

import json
from collections.abc import Callable
from typing import Any

import pytest

INVALID = "One or more parameter values were invalid: "
ONE = "1 validation error detected: "
MISMATCH = "The provided key element does not match the schema"
DUPLICATES = "Provided list of item keys contains duplicates"
BAD_CAPACITY = (
    "Value 'BOGUS' at 'returnConsumedCapacity' failed to satisfy constraint: Member must satisfy"
    " enum value set: [INDEXES, TOTAL, NONE]"
)
BAD_METRICS = (
    "Value 'BOGUS' at 'returnItemCollectionMetrics' failed to satisfy constraint: Member must"
    " satisfy enum value set: [SIZE, NONE]"
)
EMPTY_KEY = (
    "One or more parameter values are not valid. The AttributeValue for a key attribute cannot"
    " contain an empty {} value. Key: pk"
)


def key(number: int) -> dict[str, Any]:
    return {"pk": {"S": f"k{number:03}"}}


def put(item: dict[str, Any]) -> dict[str, Any]:
    return {"PutRequest": {"Item": item}}


def delete(item_key: dict[str, Any]) -> dict[str, Any]:
    return {"DeleteRequest": {"Key": item_key}}


@pytest.fixture
def things(make_table: Callable[..., str]) -> str:
    return make_table("things")


def test_puts_and_deletes_over_several_tables(client: Any, make_table: Callable[..., str]) -> None:
    make_table("one")
    make_table("two")
    client.put_item(TableName="one", Item=key(0))
    client.put_item(TableName="two", Item={**key(1), "old": {"S": "x"}})

    answer = client.batch_write_item(
        RequestItems={
            "one": [delete(key(0)), put({**key(1), "b": {"B": b"\x00"}})],
            "two": [put({**key(1), "new": {"S": "y"}}), delete(key(9))],
        }
    )

    assert answer["UnprocessedItems"] == {}
    assert client.scan(TableName="one")["Items"] == [{**key(1), "b": {"B": b"\x00"}}]
    assert client.scan(TableName="two")["Items"] == [{**key(1), "new": {"S": "y"}}]


def test_25_writes_and_100_reads_are_the_most(client: Any, things: str, refused: Any) -> None:
    for start in range(0, 100, 25):
        writes = [put(key(number)) for number in range(start, start + 25)]
        client.batch_write_item(RequestItems={things: writes})

    found = client.batch_get_item(
        RequestItems={things: {"Keys": [key(number) for number in range(100)]}}
    )

    assert len(found["Responses"][things]) == 100
    assert found["UnprocessedKeys"] == {}
    with refused(part="Member must have length less than or equal to 25"):
        client.batch_write_item(RequestItems={things: [put(key(n)) for n in range(26)]})
    message = (
        f"{ONE}Value at 'RequestItems.things.member.Keys' failed to satisfy constraint: Member"
        " must have length less than or equal to 100"
    )
    with refused("ValidationException", message):
        client.batch_get_item(RequestItems={things: {"Keys": [key(n) for n in range(101)]}})


def test_the_limits_hold_over_all_tables_together(
    client: Any, make_table: Callable[..., str], refused: Any
) -> None:
    make_table("one")
    make_table("two")

    with refused(part="Too many items requested for the BatchWriteItem call"):
        client.batch_write_item(
            RequestItems={
                "one": [put(key(n)) for n in range(13)],
                "two": [put(key(n)) for n in range(13)],
            }
        )
    with refused(part="Too many items requested for the BatchGetItem call"):
        client.batch_get_item(
            RequestItems={
                "one": {"Keys": [key(n) for n in range(51)]},
                "two": {"Keys": [key(n) for n in range(51)]},
            }
        )
    assert client.scan(TableName="one")["Count"] == 0


def test_reads_leave_out_missing_items_and_keep_their_table(client: Any, things: str) -> None:
    client.put_item(TableName=things, Item={**key(1), "v": {"N": "1"}, "w": {"N": "2"}})

    found = client.batch_get_item(
        RequestItems={things: {"Keys": [key(1), key(2)], "ProjectionExpression": "v"}}
    )
    nothing = client.batch_get_item(RequestItems={things: {"Keys": [key(2)]}})
    unmatched = client.batch_get_item(
        RequestItems={things: {"Keys": [key(1)], "ProjectionExpression": "gone"}}
    )

    assert found["Responses"] == {things: [{"v": {"N": "1"}}]}
    assert nothing["Responses"] == {things: []}
    assert unmatched["Responses"] == {things: [{}]}


def test_what_is_over_16_mb_comes_back_unprocessed(client: Any, things: str) -> None:
    fill = {"S": "x" * 400_000}
    for number in range(45):
        client.put_item(TableName=things, Item={**key(number), "fill": fill})
    asked = {"Keys": [key(number) for number in range(45)], "ConsistentRead": True}

    first = client.batch_get_item(RequestItems={things: asked})
    rest = client.batch_get_item(RequestItems=first["UnprocessedKeys"])

    assert 40 <= len(first["Responses"][things]) < 45
    assert first["UnprocessedKeys"][things]["ConsistentRead"] is True
    assert rest["UnprocessedKeys"] == {}
    found = [*first["Responses"][things], *rest["Responses"][things]]
    assert sorted(item["pk"]["S"] for item in found) == [f"k{number:03}" for number in range(45)]


# name, writes, message
BAD_WRITES = [
    pytest.param([put(key(1)), put(key(1))], DUPLICATES, id="put twice"),
    pytest.param([put(key(1)), delete(key(1))], DUPLICATES, id="put and delete"),
    pytest.param([put({"pk": {"N": "1"}})], MISMATCH, id="number for a key"),
    pytest.param([put({"pk": {"L": []}})], MISMATCH, id="list for a key"),
    pytest.param([put({"v": {"N": "1"}})], MISMATCH, id="no key"),
    pytest.param([delete({"v": {"N": "1"}})], MISMATCH, id="delete without a key"),
    pytest.param([put({"pk": {"S": ""}})], EMPTY_KEY.format("string"), id="empty key"),
    pytest.param([delete({"pk": {"S": ""}})], EMPTY_KEY.format("string"), id="delete empty key"),
    pytest.param(
        [put({**key(2), "g": {"N": "1"}})],
        f"{INVALID}Type mismatch for Index Key g Expected: S Actual: N IndexName: by-g",
        id="number for an index key",
    ),
    pytest.param(
        [put({**key(2), "g": {"S": ""}})],
        "One or more parameter values are not valid. A value specified for a secondary index key is"
        " not supported. The AttributeValue for a key attribute cannot contain an empty string"
        " value. IndexName: by-g, IndexKey: g",
        id="empty index key",
    ),
    pytest.param(
        [put({**key(2), "fill": {"S": "x" * 409_600}})],
        "Item size has exceeded the maximum allowed size",
        id="too large",
    ),
    # batches answer in the older wording
    pytest.param(
        [put({**key(2), "n": {"N": ""}})],
        "The parameter cannot be converted to a numeric value",
        id="bad number",
    ),
    pytest.param(
        [put({**key(2), "n": {"N": "1E2147483647"}})],
        "Number underflow. Attempting to store a number with magnitude smaller than supported"
        " range",
        id="wrapped exponent",
    ),
    pytest.param(
        [put({**key(2), "s": {"SS": ["b", "a", "b"]}})],
        f"{INVALID}Input collection [b, a, b] contains duplicates.",
        id="bad set",
    ),
    pytest.param(
        [put({**key(2), "s": {"NS": ["2", "1", "2"]}})],
        "Input collection contains duplicates",
        id="bad number set",
    ),
]


@pytest.mark.parametrize(("writes", "message"), BAD_WRITES)
def test_one_bad_write_refuses_the_whole_batch(
    client: Any,
    make_table: Callable[..., str],
    refused: Any,
    writes: list[dict[str, Any]],
    message: str,
) -> None:
    make_table("things", gsi={"by-g": ("g", "ALL")})

    with refused("ValidationException", message):
        client.batch_write_item(RequestItems={"things": [put(key(100)), *writes]})
    assert client.scan(TableName="things")["Count"] == 0


@pytest.mark.parametrize(
    ("block", "message"),
    [
        pytest.param({"Keys": [key(1), key(1)]}, DUPLICATES, id="one key twice"),
        pytest.param({"Keys": [{"pk": {"N": "1"}}]}, MISMATCH, id="number for a key"),
        pytest.param({"Keys": [{"pk": {"S": ""}}]}, EMPTY_KEY.format("string"), id="empty key"),
        pytest.param(
            {"Keys": []},
            f"{ONE}Value at 'RequestItems.things.member.Keys' failed to satisfy constraint: Member"
            " must have length greater than or equal to 1",
            id="no keys",
        ),
        pytest.param(
            {"Keys": [key(1)], "ProjectionExpression": "a, a"},
            "Invalid ProjectionExpression: Two document paths overlap with each other; must remove"
            " or rewrite one of these paths; path one: [a], path two: [a]",
            id="overlap",
        ),
        pytest.param(
            {"Keys": [key(1)], "ProjectionExpression": "a", "AttributesToGet": ["a"]},
            "Can not use both expression and non-expression parameters in the same request:"
            " Non-expression parameters: {AttributesToGet} Expression parameters:"
            " {ProjectionExpression}",
            id="old and new projection",
        ),
        # reads answer in the newer wording, bare
        pytest.param(
            {"Keys": [{"pk": {"N": ""}}]},
            "The parameter cannot be converted to a numeric value: ",
            id="bad number",
        ),
    ],
)
def test_one_bad_block_refuses_the_whole_read(
    client: Any, things: str, refused: Any, block: dict[str, Any], message: str
) -> None:
    with refused("ValidationException", message):
        client.batch_get_item(RequestItems={things: block})


@pytest.mark.parametrize("operation", ["batch_write_item", "batch_get_item"])
def test_the_form_is_checked_before_tables(
    client: Any, things: str, refused: Any, operation: str
) -> None:
    def call(table: str, **more: Any) -> None:
        content: Any = [put(key(1))] if operation == "batch_write_item" else {"Keys": [key(1)]}
        getattr(client, operation)(RequestItems={things: content, table: content}, **more)

    with refused("ResourceNotFoundException", "Requested resource not found"):
        call("nothing")
    with refused("ValidationException", ONE + BAD_CAPACITY):
        call("nothing", ReturnConsumedCapacity="BOGUS")
    assert client.scan(TableName=things)["Count"] == 0


def test_both_choices_are_complained_about(client: Any, things: str, refused: Any) -> None:
    message = f"2 validation errors detected: {BAD_CAPACITY}; {BAD_METRICS}"

    with refused("ValidationException", message):
        client.batch_write_item(
            RequestItems={things: [put(key(1))]},
            ReturnConsumedCapacity="BOGUS",
            ReturnItemCollectionMetrics="BOGUS",
        )


@pytest.mark.parametrize("operation", ["batch_write_item", "batch_get_item"])
def test_an_empty_request(client: Any, refused: Any, operation: str) -> None:
    message = (
        f"{ONE}Value at 'RequestItems' failed to satisfy constraint: Member must have length"
        " greater than or equal to 1"
    )

    with refused("ValidationException", message):
        getattr(client, operation)(RequestItems={})


def test_bad_table_names(client: Any, refused: Any) -> None:
    asked = {"bad!name": {"Keys": [{"pk": {"S": "a"}}]}}
    shown = json.dumps(asked, separators=(",", ":"))
    bad_name = (
        f"Value '{shown}' at 'requestItems' failed to satisfy constraint: Map keys must satisfy"
        " constraint: [Member must have length less than or equal to 255, Member must have length"
        " greater than or equal to 3, Member must satisfy regular expression pattern:"
        " [a-zA-Z0-9_.-]+]"
    )

    with refused("ValidationException", ONE + bad_name):
        client.batch_get_item(RequestItems=asked)
    with refused(
        "ValidationException", f"2 validation errors detected: {bad_name}; {BAD_CAPACITY}"
    ):
        client.batch_get_item(RequestItems=asked, ReturnConsumedCapacity="BOGUS")
    # a batch of writes comes to the names later
    with refused("ValidationException", ONE + BAD_CAPACITY):
        client.batch_write_item(
            RequestItems={"bad!name": [put(key(1))]}, ReturnConsumedCapacity="BOGUS"
        )
    with refused("ValidationException"):
        client.batch_write_item(RequestItems={"bad!name": [put(key(1))]})


def test_item_collections_of_a_batch(client: Any, make_table: Callable[..., str]) -> None:
    make_table("things", "pk sk", lsi={"local": ("pk l", "ALL")})
    items = [{**key(1), "sk": {"S": str(number)}} for number in range(2)]

    answer = client.batch_write_item(
        RequestItems={"things": [put(items[0]), delete(items[1])]},
        ReturnItemCollectionMetrics="SIZE",
    )

    entry = {"ItemCollectionKey": key(1), "SizeEstimateRangeGB": [0.0, 1.0]}
    assert answer["ItemCollectionMetrics"] == {"things": [entry, entry]}
