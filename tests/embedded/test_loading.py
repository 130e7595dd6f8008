"""Loading many items at once leaves what so many PutItem leave."""

from pathlib import Path
from typing import Any

import orjson
import pytest

from perfkit.embedded import DynamoDBError, Engine

TABLE: dict[str, Any] = {
    "TableName": "things",
    "BillingMode": "PAY_PER_REQUEST",
    "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}],
    "AttributeDefinitions": [
        {"AttributeName": "pk", "AttributeType": "S"},
        {"AttributeName": "kind", "AttributeType": "S"},
    ],
    "GlobalSecondaryIndexes": [
        {
            "IndexName": "by-kind",
            "KeySchema": [{"AttributeName": "kind", "KeyType": "HASH"}],
            "Projection": {"ProjectionType": "KEYS_ONLY"},
        }
    ],
}


@pytest.fixture
def engine() -> Engine:
    engine = Engine(":memory:")
    engine.execute("CreateTable", TABLE)
    return engine


def thing(number: int, **attributes: Any) -> dict[str, Any]:
    return {"pk": {"S": f"t{number:03}"}, "kind": {"S": f"k{number % 3}"}, **attributes}


def ask(engine: Engine, operation: str, **request: Any) -> dict[str, Any]:
    answer: dict[str, Any] = orjson.loads(
        engine.execute(operation, {"TableName": "things", **request})
    )
    return answer


def contents(engine: Engine) -> list[Any]:
    return [ask(engine, "Scan"), ask(engine, "Scan", IndexName="by-kind")]


def test_loading_is_putting(engine: Engine) -> None:
    items = [thing(number, size={"N": "1.50"}) for number in range(100)]
    other = Engine(":memory:")
    other.execute("CreateTable", TABLE)
    put_units = sum(
        ask(other, "PutItem", Item=item, ReturnConsumedCapacity="TOTAL")["ConsumedCapacity"][
            "CapacityUnits"
        ]
        for item in items
    )

    units = engine.load("things", items)

    assert units == put_units == 200
    assert contents(engine) == contents(other)
    assert ask(engine, "DescribeTable")["Table"]["ItemCount"] == 100


def test_loading_again_changes_nothing(engine: Engine) -> None:
    items = [thing(number) for number in range(10)]
    engine.load("things", items)
    before = contents(engine)

    units = engine.load("things", items)

    # the table is written, the index is not: its view did not change
    assert units == 10
    assert contents(engine) == before
    assert ask(engine, "DescribeTable")["Table"]["ItemCount"] == 10


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        pytest.param(thing(1), "same key", id="twice the same key"),
        pytest.param({"kind": {"S": "k"}}, "key element", id="no key"),
        pytest.param(thing(9, kind={"N": "1"}), "Type mismatch for Index Key", id="index key"),
        pytest.param(thing(9, n={"N": "one"}), "numeric value", id="no number"),
        pytest.param(thing(9, text={"S": "x" * 409_600}), "Item size", id="too large"),
    ],
)
def test_a_bad_item_keeps_all_out(engine: Engine, bad: dict[str, Any], message: str) -> None:
    with pytest.raises(DynamoDBError, match=message):
        engine.load("things", [thing(1), thing(2), bad])

    assert ask(engine, "Scan")["Count"] == 0


def test_a_table_must_be_there(tmp_path: Path) -> None:
    with pytest.raises(DynamoDBError, match="Requested resource not found"):
        Engine(tmp_path / "data.sqlite3").load("absent", [thing(1)])
