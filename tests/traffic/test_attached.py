"""Recording within the process, through botocore's events: what the application gets, and the trace."""

from pathlib import Path
from typing import Any

import boto3
import pytest

from perfkit.dynamodb.client import embedded_client
from perfkit.errors import ConfigError
from perfkit.traffic import attach
from perfkit.traffic.trace import read_trace

TABLE: dict[str, Any] = {
    "TableName": "things",
    "BillingMode": "PAY_PER_REQUEST",
    "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}],
    "AttributeDefinitions": [{"AttributeName": name, "AttributeType": "S"} for name in ("pk", "d")],
    "GlobalSecondaryIndexes": [
        {
            "IndexName": "by-d",
            "KeySchema": [{"AttributeName": "d", "KeyType": "HASH"}],
            "Projection": {"ProjectionType": "ALL"},
        }
    ],
}
ITEM = {"pk": {"S": "secret"}, "d": {"S": "1"}}


def test_a_client_is_recorded_and_gets_what_it_asked_for(client: Any) -> None:
    client.create_table(**TABLE)
    with attach(client, "app.trace"):
        put = client.put_item(TableName="things", Item=ITEM)
        total = client.put_item(TableName="things", Item=ITEM, ReturnConsumedCapacity="TOTAL")
        whole = client.put_item(TableName="things", Item=ITEM, ReturnConsumedCapacity="INDEXES")
        with pytest.raises(client.exceptions.ResourceNotFoundException):
            client.get_item(TableName="nothing", Key={"pk": {"S": "x"}})
    after = client.get_item(TableName="things", Key={"pk": {"S": "secret"}})

    assert "ConsumedCapacity" not in put
    assert total["ConsumedCapacity"] == {"TableName": "things", "CapacityUnits": 1.0}
    assert whole["ConsumedCapacity"]["Table"] == {"CapacityUnits": 1.0}
    assert "ConsumedCapacity" not in after
    trace = read_trace(Path("app.trace"))
    calls = list(trace.calls())
    assert [call.error for call in calls] == ["", "", "", "ResourceNotFoundException"]
    # the first writes the entry of the index, the others leave it as it is
    assert calls[0].units == (("things", "", 1.0), ("things", "by-d", 1.0))
    assert calls[1].units == (("things", "", 1.0),)
    assert calls[0].touched == calls[1].touched
    assert trace.schemas["things"].indexes["by-d"].key == ("d",)
    assert b"secret" not in Path("app.trace").read_bytes()


def test_all_clients_of_a_session_are_recorded(tmp_path: Path) -> None:
    session = boto3.Session()
    with attach(session, "app.trace"):
        embedded_client(tmp_path / "data", session=session).list_tables()

    assert read_trace(Path("app.trace")).requests == 1


def test_a_sample_takes_whole_stretches_of_time(
    client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [0.0]
    monkeypatch.setattr("perfkit.traffic.attached.time.perf_counter", lambda: now[0])
    with attach(client, "app.trace", sample=0.25):
        for second in range(0, 4_000, 5):
            now[0] = second
            client.list_tables()

    trace = read_trace(Path("app.trace"))
    slots = {int(call.at_s // 10) for call in trace.calls()}
    # 400 stretches of ten seconds: a binomial with a standard deviation of 8.7
    assert 50 < len(slots) < 150
    assert trace.requests == 2 * len(slots)
    assert trace.observed_s == pytest.approx(10 * len(slots), abs=10)


def test_what_cannot_be_recorded_is_refused(client: Any) -> None:
    with pytest.raises(ConfigError, match="cannot attach to int"):
        attach(1, "app.trace")
    with pytest.raises(ConfigError, match="sample=2"):
        attach(client, "app.trace", sample=2)
