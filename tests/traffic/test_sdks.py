"""SDKs as their users have them: each gets through a recorder what it gets without one."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import boto3
import pytest
from pynamodb.attributes import NumberAttribute, UnicodeAttribute
from pynamodb.indexes import AllProjection, GlobalSecondaryIndex
from pynamodb.models import Model

pytestmark = pytest.mark.processes

ROOT = Path(__file__).parents[2]

TABLE = {
    "TableName": "things",
    "BillingMode": "PAY_PER_REQUEST",
    "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}],
    "AttributeDefinitions": [
        {"AttributeName": name, "AttributeType": "S"} for name in ("pk", "day")
    ],
    "GlobalSecondaryIndexes": [
        {
            "IndexName": "by-day",
            "KeySchema": [{"AttributeName": "day", "KeyType": "HASH"}],
            "Projection": {"ProjectionType": "ALL"},
        }
    ],
}

JAVASCRIPT = """
const sdk = require(process.argv[2]);
const client = new sdk.DynamoDBClient({});
const TableName = "things";
(async () => {
  const item = { pk: { S: "a" }, day: { S: "2026-01-01" }, n: { N: "1.50" } };
  const put = await client.send(new sdk.PutItemCommand({ TableName, Item: item }));
  const got = await client.send(new sdk.GetItemCommand({
    TableName, Key: { pk: item.pk }, ReturnConsumedCapacity: "TOTAL" }));
  const found = await client.send(new sdk.QueryCommand({
    TableName, IndexName: "by-day", KeyConditionExpression: "#d = :d",
    ExpressionAttributeNames: { "#d": "day" }, ExpressionAttributeValues: { ":d": item.day } }));
  let refused = null;
  try { await client.send(new sdk.GetItemCommand({ TableName: "nothing", Key: { pk: item.pk } })); }
  catch (error) { refused = error.name; }
  for (const each of [put, got, found]) delete each.$metadata;
  console.log(JSON.stringify([put, got, found, refused]));
})();
"""


@pytest.fixture(scope="module")
def with_table(server: str) -> str:
    client = boto3.client(
        "dynamodb",
        endpoint_url=server,
        region_name="us-east-1",
        aws_access_key_id="any",
        aws_secret_access_key="any",
    )
    client.create_table(**TABLE)
    return server


def environment(url: str) -> dict[str, str]:
    return os.environ | {
        "AWS_ACCESS_KEY_ID": "any",
        "AWS_SECRET_ACCESS_KEY": "any",
        "AWS_REGION": "us-east-1",
        # the aws command line of version 1 reads only this one
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ENDPOINT_URL_DYNAMODB": url,
    }


def run(command: list[str], url: str) -> str:
    done = subprocess.run(
        command, env=environment(url), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def asked(trace: Any) -> list[str]:
    return [trace.fingerprints[call.fingerprint].text for call in trace.calls()]


def test_javascript(
    with_table: str,
    recorder: Callable[..., Any],
    program: Callable[..., str],
    missing: Callable[[str], Any],
) -> None:
    sdk = ROOT / "node_modules" / "@aws-sdk" / "client-dynamodb"
    if not sdk.exists():
        missing("the AWS SDK for JavaScript is missing: `make stand-ins` installs it")
    command = [program("node"), "-e", JAVASCRIPT.replace("process.argv[2]", json.dumps(str(sdk)))]
    recording = recorder(with_table)

    direct, recorded = (json.loads(run(command, url)) for url in (with_table, recording.url))

    assert recorded == direct
    put, got, found, refused = recorded
    assert put == {}
    assert got["ConsumedCapacity"] == {"CapacityUnits": 0.5, "TableName": "things"}
    assert found["Items"] == [got["Item"]]
    assert refused == "ResourceNotFoundException"
    trace = recording.trace()
    assert asked(trace) == [
        "PutItem things",
        "GetItem things",
        "Query things.by-day: day = :v",
        "GetItem nothing",
    ]
    assert "aws-sdk-js/3" in next(trace.calls()).agent


def test_the_aws_command_line(with_table: str, recorder: Callable[..., Any]) -> None:
    aws = Path(sys.executable).with_name("aws")
    item = '{"pk": {"S": "b"}, "day": {"S": "x"}}'
    recording = recorder(with_table)

    run([str(aws), "dynamodb", "put-item", "--table-name", "things", "--item", item], recording.url)

    assert asked(recording.trace()) == ["PutItem things"]


def test_pynamodb(
    with_table: str, recorder: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It asks for consumed capacity itself in some of its calls."""
    recording = recorder(with_table)
    for name, value in environment(recording.url).items():
        monkeypatch.setenv(name, value)

    class ByDay(GlobalSecondaryIndex[Any]):  # type: ignore[no-untyped-call]
        class Meta:
            index_name = "by-day"
            projection = AllProjection()

        day = UnicodeAttribute(hash_key=True)

    class Thing(Model):
        class Meta:
            table_name = "things"
            host = recording.url
            region = "us-east-1"

        pk = UnicodeAttribute(hash_key=True)
        day = UnicodeAttribute()
        n = NumberAttribute(null=True)
        by_day = ByDay()

    Thing("p", day="2026-02-02", n=3).save()
    found = Thing.get("p")
    with Thing.batch_write() as batch:
        for number in range(3):
            batch.save(Thing(f"p{number}", day="2026-02-02"))
    listed = list(Thing.by_day.query("2026-02-02", filter_condition=Thing.n > 2))
    Thing("p").update(actions=[Thing.n.set(Thing.n + 1)])
    found.delete()

    assert (found.n, [each.pk for each in listed]) == (3, ["p"])
    trace = recording.trace()
    kinds = [text for text in asked(trace) if not text.startswith("DescribeTable")]
    assert kinds == [
        "PutItem things",
        "GetItem things: consistent" if "consistent" in kinds[1] else "GetItem things",
        "BatchWriteItem things: put",
        "Query things.by-day: day = :v; filter n > :v",
        "UpdateItem things: SET n = n + :v",
        "DeleteItem things",
    ]
    # every request but DescribeTable consumed something
    assert all(call.units for call in trace.calls() if call.count)
