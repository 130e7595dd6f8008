"""`perfkit traffic workload`: what an application asks in ways that a workload has fewer words for."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from perfkit.cli import app
from perfkit.workloads.loader import load

pytestmark = pytest.mark.processes

TABLE: dict[str, Any] = {
    "TableName": "My.things",
    "BillingMode": "PAY_PER_REQUEST",
    "KeySchema": [
        {"AttributeName": "pk", "KeyType": "HASH"},
        {"AttributeName": "sk", "KeyType": "RANGE"},
    ],
    "AttributeDefinitions": [
        {"AttributeName": "pk", "AttributeType": "S"},
        {"AttributeName": "sk", "AttributeType": "N"},
        {"AttributeName": "mark", "AttributeType": "B"},
        {"AttributeName": "day", "AttributeType": "S"},
    ],
    "LocalSecondaryIndexes": [
        {
            "IndexName": "by-mark",
            "KeySchema": [
                {"AttributeName": "pk", "KeyType": "HASH"},
                {"AttributeName": "mark", "KeyType": "RANGE"},
            ],
            "Projection": {"ProjectionType": "KEYS_ONLY"},
        }
    ],
    "GlobalSecondaryIndexes": [
        {
            "IndexName": "by.day",
            "KeySchema": [{"AttributeName": "day", "KeyType": "HASH"}],
            "Projection": {"ProjectionType": "INCLUDE", "NonKeyAttributes": ["tags"]},
        }
    ],
}
KEY = {"pk": {"S": "a"}, "sk": {"N": "1"}}


@pytest.fixture
def workload(recorder: Callable[..., Any]) -> Callable[..., str]:
    """Return a function that records what is asked, writes its workload, and returns what it says."""

    def workload(ask: Callable[[Any], object]) -> str:
        recording = recorder(keep_values=True)
        client = recording.client()
        client.create_table(**TABLE)
        more = {"mark": {"B": b"\0\xff"}, "day": {"S": "mon"}, "tags": {"SS": ["x"]}}
        client.put_item(TableName="My.things", Item=KEY | more)
        ask(client)
        done = CliRunner().invoke(app, ["traffic", "workload", str(recording.trace().path)])
        assert done.exit_code == 0, done.output
        return done.stderr

    return workload


def query(key: str, values: dict[str, Any], **more: Any) -> dict[str, Any]:
    asked = {"TableName": "My.things", "KeyConditionExpression": key}
    return asked | {"ExpressionAttributeValues": values} | more


def test_whatever_is_asked_is_a_pattern_that_bench_takes(workload: Callable[..., str]) -> None:
    def ask(client: Any) -> None:
        client.get_item(TableName="My.things", Key=KEY)
        # as PynamoDB calls them
        names = {"#0": "pk", "#1": "sk"}
        values = {":0": {"S": "a"}, ":1": {"N": "0"}, ":2": {"N": "9.50"}}
        between = "#0 = :0 AND #1 BETWEEN :1 AND :2"
        client.query(**query(between, values, ExpressionAttributeNames=names))
        marked = {":p": {"S": "a"}, ":m": {"B": b"\0\xff"}}
        client.query(**query("pk = :p AND mark = :m", marked, IndexName="by-mark"))
        client.query(**query("#d = :d", {":d": {"S": "mon"}}, IndexName="by.day",
                             ExpressionAttributeNames={"#d": "day"}))  # fmt: skip
        client.scan(
            TableName="My.things",
            FilterExpression="contains(tags, :t) AND NOT done = :done",
            ExpressionAttributeValues={":t": {"S": "x"}, ":done": {"BOOL": True}},
        )

    said = workload(ask)

    assert "Otherwise" not in said
    assert "Left out" not in said
    assert len(load("perfkit.toml").patterns) == 5
    options = ["--data", "data.sqlite3", "--min-time", "0.01", "--yes"]
    measured = CliRunner().invoke(app, ["bench", *options])
    assert measured.exit_code == 0, measured.output


def test_what_a_pattern_cannot_say_is_said(workload: Callable[..., str]) -> None:
    def ask(client: Any) -> None:
        client.query(**query("pk = :p", {":p": {"S": "a"}}, Limit=1, ConsistentRead=True))
        client.scan(
            TableName="My.things",
            FilterExpression="tags = :t OR absent = :n",
            ExpressionAttributeValues={":t": {"SS": ["x"]}, ":n": {"NULL": True}},
        )

    said = workload(ask)

    _, *others = said.splitlines()
    assert "\n".join(others) == (
        "Otherwise: my-things-by-partition is asked with a Limit, and the pattern reads to the end.\n"
        "Otherwise: my-things-by-partition is asked consistently, at twice the units, and the"
        " pattern is not.\n"
        "Left out: Scan My.things: filter tags = :v OR absent = :v: it compares otherwise than by"
        " =, and there are no values that a workload can hold; record with --keep-values, or write"
        " it by hand."
    )
    assert said.startswith("Wrote perfkit.toml: 1 access pattern without rates, as it was recorded")
    text = Path("perfkit.toml").read_text()
    assert "# my-things-by-partition = { rps = " in text
    assert load("perfkit.toml").traffic is None
    assert "# It is asked with a Limit" in text
