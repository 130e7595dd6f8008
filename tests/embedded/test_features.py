"""Time to live, streams, throughput's history, and questions about what the engine leaves out."""

import logging
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from perfkit.embedded import engine as engine_module
from perfkit.embedded.definitions import _warn_of_streams
from perfkit.embedded.transport import answer

NOW = 1_800_000_000
YEAR = 365 * 86_400


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Return a function that lets time pass for the engine."""
    passed = [0.0]
    monkeypatch.setattr(engine_module, "monotonic", lambda: 1_000_000 + passed[0])
    monkeypatch.setattr(engine_module, "time", lambda: NOW + passed[0])

    def go_on(seconds: float) -> None:
        passed[0] += seconds

    return go_on


def of(name: str, expires: Any = None) -> dict[str, Any]:
    item: dict[str, Any] = {"pk": {"S": name}, "g": {"S": "g"}}
    return item if expires is None else {**item, "expires": expires}


def at(seconds: float) -> dict[str, str]:
    return {"N": str(NOW + seconds)}


def names(page: dict[str, Any]) -> set[str]:
    return {item["pk"]["S"] for item in page["Items"]}


def switch(client: Any, table: str, *, enabled: bool = True, attribute: str = "expires") -> Any:
    specification = {"Enabled": enabled, "AttributeName": attribute}
    answer = client.update_time_to_live(TableName=table, TimeToLiveSpecification=specification)
    return answer["TimeToLiveSpecification"] == specification


def status(client: Any, table: str) -> Any:
    return client.describe_time_to_live(TableName=table)["TimeToLiveDescription"]


# ---- time to live ------------------------------------------------------------------------


def test_time_to_live_is_kept_and_shown(client: Any, make_table: Callable[..., str]) -> None:
    table = make_table()

    assert status(client, table) == {"TimeToLiveStatus": "DISABLED"}
    assert switch(client, table)
    assert status(client, table) == {"TimeToLiveStatus": "ENABLED", "AttributeName": "expires"}
    assert switch(client, table, enabled=False)
    assert status(client, table) == {"TimeToLiveStatus": "DISABLED"}


def test_what_makes_no_sense_for_time_to_live_is_refused(
    client: Any, make_table: Callable[..., str], refused: Any
) -> None:
    table = make_table()

    with refused("ValidationException", "TimeToLive is already disabled"):
        switch(client, table, enabled=False)
    switch(client, table)
    with refused("ValidationException", "TimeToLive is already enabled"):
        switch(client, table)
    for enabled in (True, False):
        with refused(
            "ValidationException",
            "TimeToLive is active on a different AttributeName: current AttributeName is expires",
        ):
            switch(client, table, enabled=enabled, attribute="other")
    for specification, problem in (
        ({"Enabled": True}, "timeToLiveSpecification.attributeName"),
        ({"AttributeName": "x"}, "timeToLiveSpecification.enabled"),
        ({"Enabled": True, "AttributeName": ""}, "length greater than or equal to 1"),
        ({"Enabled": True, "AttributeName": "x" * 256}, "length less than or equal to 255"),
    ):
        with refused("ValidationException", part=problem):
            client.update_time_to_live(TableName=table, TimeToLiveSpecification=specification)
    with refused(
        "ResourceNotFoundException", "Requested resource not found: Table: nothing not found"
    ):
        switch(client, "nothing")
    with refused("ResourceNotFoundException"):
        status(client, "nothing")


def test_expired_items_go_from_the_table_and_its_indexes(
    client: Any, make_table: Callable[..., str], clock: Callable[[float], None]
) -> None:
    table = make_table("things", "pk", gsi={"by-g": ("g", "ALL")})
    client.put_item(TableName=table, Item=of("before", at(-60)))
    switch(client, table)
    client.put_item(TableName=table, Item=of("soon", at(30)))
    client.put_item(TableName=table, Item=of("with fractions", at(30.5)))
    client.batch_write_item(RequestItems={table: [{"PutRequest": {"Item": of("batch", at(30))}}]})
    client.transact_write_items(
        TransactItems=[{"Put": {"TableName": table, "Item": of("transaction", at(30))}}]
    )
    client.put_item(TableName=table, Item=of("later", at(90)))
    client.put_item(TableName=table, Item=of("renewed", at(30)))
    client.put_item(TableName=table, Item=of("renewed", at(90)))
    client.put_item(TableName=table, Item=of("kept after all", at(30)))
    client.update_item(
        TableName=table, Key={"pk": {"S": "kept after all"}}, UpdateExpression="REMOVE expires"
    )
    client.put_item(TableName=table, Item=of("never"))
    client.put_item(TableName=table, Item=of("text", {"S": str(NOW)}))
    client.put_item(TableName=table, Item=of("in milliseconds", {"N": str(NOW * 1000)}))
    client.put_item(TableName=table, Item=of("five years", at(-5 * YEAR)))
    client.put_item(TableName=table, Item=of("nearly five years", at(-5 * YEAR + 600)))
    client.put_item(TableName=table, Item=of("huge", {"N": "1e100"}))
    kept = {"later", "renewed", "kept after all", "never", "text", "in milliseconds",
            "five years", "huge"}  # fmt: skip

    clock(60)
    scanned = client.scan(TableName=table)
    queried = client.query(
        TableName=table,
        IndexName="by-g",
        KeyConditionExpression="g = :g",
        ExpressionAttributeValues={":g": {"S": "g"}},
    )
    described = client.describe_table(TableName=table)["Table"]

    assert names(scanned) == names(queried) == kept
    assert (
        described["ItemCount"] == described["GlobalSecondaryIndexes"][0]["ItemCount"] == len(kept)
    )


def test_an_expired_item_is_seen_until_the_next_look(
    client: Any, make_table: Callable[..., str], clock: Callable[[float], None]
) -> None:
    table = make_table()
    switch(client, table)
    key = {"pk": {"S": "a"}}
    client.put_item(TableName=table, Item=of("a", at(0)))

    assert "Item" in client.get_item(TableName=table, Key=key)
    clock(engine_module._POLL_S)
    assert "Item" not in client.get_item(TableName=table, Key=key)


def test_expiring_takes_no_write_units(
    client: Any, make_table: Callable[..., str], clock: Callable[[float], None]
) -> None:
    table = make_table()
    switch(client, table)
    client.put_item(TableName=table, Item=of("a", at(1)))

    clock(5)
    written = client.put_item(
        TableName=table, Item=of("b", at(100)), ReturnConsumedCapacity="TOTAL"
    )

    assert written["ConsumedCapacity"]["CapacityUnits"] == 1
    assert names(client.scan(TableName=table)) == {"b"}


def test_nothing_expires_without_time_to_live(
    client: Any, make_table: Callable[..., str], clock: Callable[[float], None]
) -> None:
    off, gone = make_table("off"), make_table("gone")
    for table in (off, gone):
        switch(client, table)
        client.put_item(TableName=table, Item=of("a", at(10)))
    switch(client, off, enabled=False)
    client.delete_table(TableName=gone)
    again = make_table("gone")
    client.put_item(TableName=again, Item=of("a", at(10)))

    clock(60)

    assert names(client.scan(TableName=off)) == names(client.scan(TableName=again)) == {"a"}
    assert status(client, again) == {"TimeToLiveStatus": "DISABLED"}


def test_any_process_removes_what_has_expired(
    connect: Callable[..., Any],
    make_table: Callable[..., str],
    clock: Callable[[float], None],
    tmp_path: Path,
) -> None:
    first, second = connect(tmp_path / "data"), connect(tmp_path / "data")
    table = make_table(on=first)
    switch(first, table)
    first.put_item(TableName=table, Item=of("a", at(10)))
    assert names(second.scan(TableName=table)) == {"a"}

    clock(60)

    assert names(second.scan(TableName=table)) == set()
    assert status(second, table)["AttributeName"] == "expires"


def test_choosing_the_attribute_does_not_hold_the_table_in_memory(
    client: Any, make_table: Callable[..., str]
) -> None:
    table = make_table()
    for number in range(40):
        item = {**of(str(number), at(60)), "fill": {"S": "x" * 300_000}}
        client.put_item(TableName=table, Item=item)

    tracemalloc.start()
    try:
        switch(client, table)
        _, most_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    # a few of 40 items at a time
    assert most_bytes < 6_000_000


# ---- streams -----------------------------------------------------------------------------

STREAM = {"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"}


def test_a_stream_is_kept_and_shown(client: Any, build: Any, refused: Any) -> None:
    created = client.create_table(**build.table("things", StreamSpecification=STREAM))
    described = client.describe_table(TableName="things")["Table"]

    assert created["TableDescription"]["StreamSpecification"] == STREAM
    assert described["StreamSpecification"] == STREAM
    label = described["LatestStreamLabel"]
    assert time.strptime(label[:19], "%Y-%m-%dT%H:%M:%S")
    assert described["LatestStreamArn"] == f"{described['TableArn']}/stream/{label}"

    with refused("ValidationException", "Table already has an enabled stream: TableName: things"):
        client.update_table(TableName="things", StreamSpecification=STREAM)
    client.update_table(TableName="things", StreamSpecification={"StreamEnabled": False})
    assert "StreamSpecification" not in client.describe_table(TableName="things")["Table"]


def test_a_stream_is_turned_on_later(
    client: Any, make_table: Callable[..., str], refused: Any
) -> None:
    table = make_table()

    with refused("ValidationException", "Table already has a disabled stream: TableName: things"):
        client.update_table(TableName=table, StreamSpecification={"StreamEnabled": False})
    updated = client.update_table(TableName=table, StreamSpecification=STREAM)

    assert updated["TableDescription"]["StreamSpecification"] == STREAM


def test_that_nothing_is_streamed_is_said_once(
    client: Any, build: Any, caplog: pytest.LogCaptureFixture
) -> None:
    _warn_of_streams.cache_clear()

    with caplog.at_level(logging.WARNING):
        for name in ("one", "two"):
            client.create_table(**build.table(f"table-{name}", StreamSpecification=STREAM))

    assert [record.message for record in caplog.records] == [
        "streams of the embedded DynamoDB are kept and shown, but nothing is streamed"
    ]


# ---- throughput --------------------------------------------------------------------------


def units(read: int, write: int) -> dict[str, int]:
    return {"ReadCapacityUnits": read, "WriteCapacityUnits": write}


def test_changes_of_throughput_are_dated_and_decreases_counted(client: Any, build: Any) -> None:
    request = build.table("things", "pk", gsi={"by-g": ("g", "ALL")}, BillingMode="PROVISIONED")
    request["ProvisionedThroughput"] = units(5, 5)
    request["GlobalSecondaryIndexes"][0]["ProvisionedThroughput"] = units(5, 5)
    client.create_table(**request)

    def changed(of_table: dict[str, int] | None, of_index: dict[str, int] | None) -> Any:
        update: dict[str, Any] = {}
        if of_table:
            update["ProvisionedThroughput"] = of_table
        if of_index:
            given = {"IndexName": "by-g", "ProvisionedThroughput": of_index}
            update["GlobalSecondaryIndexUpdates"] = [{"Update": given}]
        answer = client.update_table(TableName="things", **update)["TableDescription"]
        described = client.describe_table(TableName="things")["Table"]
        index = described["GlobalSecondaryIndexes"][0]["ProvisionedThroughput"]
        return answer["ProvisionedThroughput"], described["ProvisionedThroughput"], index

    raised = changed(units(10, 5), None)
    lowered = changed(units(4, 5), units(5, 3))
    both = changed(units(5, 4), units(4, 4))

    _, table, index = raised
    assert table["LastIncreaseDateTime"].timestamp() == pytest.approx(time.time(), abs=60)
    assert "LastDecreaseDateTime" not in table
    assert table["NumberOfDecreasesToday"] == 0
    assert not {"LastIncreaseDateTime", "LastDecreaseDateTime"} & set(index)

    answered, table, index = lowered
    # the answer shows the units that are being changed, and when
    assert answered | units(10, 5) == answered
    assert answered["NumberOfDecreasesToday"] == 0
    assert answered["LastDecreaseDateTime"] == table["LastDecreaseDateTime"]
    assert table | units(4, 5) == table
    assert table["NumberOfDecreasesToday"] == index["NumberOfDecreasesToday"] == 1
    assert table["LastIncreaseDateTime"] == raised[1]["LastIncreaseDateTime"]
    assert "LastDecreaseDateTime" in index

    _, table, index = both
    assert table["NumberOfDecreasesToday"] == index["NumberOfDecreasesToday"] == 2
    assert table["LastIncreaseDateTime"] > raised[1]["LastIncreaseDateTime"]


def test_decreases_are_counted_by_the_day(
    client: Any, build: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    noon = 20_000 * 86_400 + 43_200.0
    monkeypatch.setattr("perfkit.embedded.tables.time.time", lambda: noon)
    client.create_table(
        **build.table("things", BillingMode="PROVISIONED", ProvisionedThroughput=units(5, 5))
    )
    client.update_table(TableName="things", ProvisionedThroughput=units(4, 5))

    def today() -> Any:
        table = client.describe_table(TableName="things")["Table"]
        return table["ProvisionedThroughput"]["NumberOfDecreasesToday"]

    assert today() == 1
    monkeypatch.setattr("perfkit.embedded.tables.time.time", lambda: noon + 43_200)
    assert today() == 0


@pytest.mark.parametrize(
    "change",
    [
        {"ReplicaUpdates": [{"Create": {"RegionName": "eu-west-1"}}]},
        {"MultiRegionConsistency": "STRONG"},
    ],
)
def test_replicas_are_refused(
    client: Any, make_table: Callable[..., str], refused: Any, change: dict[str, Any]
) -> None:
    (name,) = change

    with refused("ValidationException", part=f"{name} cannot be carried out"):
        client.update_table(TableName=make_table(), **change)


# ---- what the engine leaves out ----------------------------------------------------------


def test_a_table_without_other_features_is_described_so(
    client: Any, make_table: Callable[..., str], refused: Any
) -> None:
    table = make_table()
    arn = client.describe_table(TableName=table)["Table"]["TableArn"]

    backups = client.describe_continuous_backups(TableName=table)["ContinuousBackupsDescription"]
    insights = client.describe_contributor_insights(TableName=table)
    streaming = client.describe_kinesis_streaming_destination(TableName=table)

    recovery = backups["PointInTimeRecoveryDescription"]["PointInTimeRecoveryStatus"]
    assert recovery == insights["ContributorInsightsStatus"] == "DISABLED"
    assert streaming["KinesisDataStreamDestinations"] == []
    with refused("PolicyNotFoundException", part=arn):
        client.get_resource_policy(ResourceArn=arn)


def test_other_features_of_no_table_are_not_described(client: Any, refused: Any) -> None:
    with refused("TableNotFoundException", "Table not found: nothing"):
        client.describe_continuous_backups(TableName="nothing")
    with refused("ResourceNotFoundException"):
        client.describe_contributor_insights(TableName="nothing")
    with refused("ResourceNotFoundException"):
        client.describe_kinesis_streaming_destination(TableName="nothing")


def test_a_request_to_another_service_is_named() -> None:
    engine = engine_module.Engine(":memory:")

    status, body = answer(engine, "DynamoDBStreams_20120810.ListStreams", b"{}")

    assert status == 400
    assert b"UnknownOperationException" in body
    assert b"'DynamoDBStreams_20120810.ListStreams'" in body


def test_an_endpoint_is_never_one_of_aws(client: Any) -> None:
    assert [e["Address"] for e in client.describe_endpoints()["Endpoints"]] == ["localhost"]
