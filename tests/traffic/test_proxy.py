"""The recorder between an application and a target: what the application notices of it, and what not."""

import asyncio
import http.client
import itertools
import json
import socket
import sqlite3
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import boto3
import orjson
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from multidict import CIMultiDict
from typer.testing import CliRunner

from perfkit.cli import app
from perfkit.dynamodb.targets import parse_target
from perfkit.traffic.trace import read_trace
from perfkit.traffic.trace_file import TraceWriter
from perfkit.traffic.upstream import Answer, Upstream

pytestmark = pytest.mark.processes

Start = Callable[..., Any]


def ask(
    url: str, operation: str, request: Any, headers: dict[str, str] | None = None
) -> tuple[int, dict[str, str], bytes]:
    """Send a request as it is; return status, headers and body."""
    place = urlsplit(url)
    connection = http.client.HTTPConnection(place.hostname or "", place.port, timeout=60)
    body = request if isinstance(request, bytes) else json.dumps(request).encode()
    sent = {
        "X-Amz-Target": f"DynamoDB_20120810.{operation}",
        "Content-Type": "application/x-amz-json-1.0",
        "Authorization": "AWS4-HMAC-SHA256 Credential=somebody/20260101/us-east-1/dynamodb/"
        "aws4_request, SignedHeaders=host, Signature=0",
        "X-Amz-Date": "20260101T000000Z",
    }
    try:
        connection.request("POST", "/", body, sent | (headers or {}))
        answer = connection.getresponse()
        found = {name.lower(): value for name, value in answer.getheaders()}
        return answer.status, found, answer.read()
    finally:
        connection.close()


TABLE = {
    "TableName": "things",
    "BillingMode": "PAY_PER_REQUEST",
    "KeySchema": [
        {"AttributeName": "pk", "KeyType": "HASH"},
        {"AttributeName": "sk", "KeyType": "RANGE"},
    ],
    "AttributeDefinitions": [
        {"AttributeName": name, "AttributeType": "S"} for name in ("pk", "sk", "day")
    ],
    "GlobalSecondaryIndexes": [
        {
            "IndexName": "by-day",
            "KeySchema": [{"AttributeName": "day", "KeyType": "HASH"}],
            "Projection": {"ProjectionType": "ALL"},
        }
    ],
}


def item(number: int) -> dict[str, Any]:
    return {
        "pk": {"S": f"p{number % 2}"},
        "sk": {"S": f"{number:03}"},
        "day": {"S": "2026-01-01"},
        "ConsumedCapacity": {"S": "é"},
    }


DAY = {
    "TableName": "things",
    "IndexName": "by-day",
    "KeyConditionExpression": "#d = :d",
    "ExpressionAttributeNames": {"#d": "day"},
    "ExpressionAttributeValues": {":d": {"S": "2026-01-01"}},
}
KEY = {"pk": {"S": "p1"}, "sk": {"S": "001"}}

CALLS: list[tuple[str, Any]] = [
    *(("PutItem", {"TableName": "things", "Item": item(number)}) for number in range(6)),
    ("GetItem", {"TableName": "things", "Key": KEY}),
    ("GetItem", {"TableName": "things", "Key": KEY, "ReturnConsumedCapacity": "TOTAL"}),
    ("GetItem", {"TableName": "things", "Key": KEY, "ReturnConsumedCapacity": "INDEXES"}),
    ("GetItem", {"TableName": "things", "Key": KEY, "ReturnConsumedCapacity": "NONE"}),
    ("Query", DAY),
    ("Query", DAY | {"ReturnConsumedCapacity": "TOTAL", "Limit": 2}),
    ("Query", DAY | {"ReturnConsumedCapacity": "INDEXES"}),
    ("Scan", {"TableName": "things", "Limit": 3}),
    ("BatchGetItem", {"RequestItems": {"things": {"Keys": [KEY]}}}),
    (
        "BatchGetItem",
        {"RequestItems": {"things": {"Keys": [KEY]}}, "ReturnConsumedCapacity": "TOTAL"},
    ),
    (
        "BatchWriteItem",
        {"RequestItems": {"things": [{"PutRequest": {"Item": item(7)}}]}},
    ),
    (
        "UpdateItem",
        {
            "TableName": "things",
            "Key": KEY,
            "UpdateExpression": "SET n = :n",
            "ExpressionAttributeValues": {":n": {"N": "1"}},
            "ReturnValues": "ALL_NEW",
            "ReturnConsumedCapacity": "TOTAL",
        },
    ),
    (
        "PutItem",
        {
            "TableName": "things",
            "Item": item(1),
            "ConditionExpression": "attribute_not_exists(pk)",
        },
    ),
    ("GetItem", {"TableName": "nothing", "Key": KEY}),
    ("Query", {"TableName": "things"}),
    ("GetItem", {"TableName": "things", "Key": KEY, "ReturnConsumedCapacity": "BOGUS"}),
    ("DeleteItem", {"TableName": "things", "Key": KEY}),
    ("NoSuchOperation", {}),
    ("GetItem", b"no JSON"),
    ("GetItem", b"[]"),
]


@pytest.fixture(params=["embedded", "moto", "dynalite"])
def target(
    request: pytest.FixtureRequest, empty_stand_in: Callable[[str], str], server: str
) -> Iterator[str]:
    """Return the URL of each target in turn."""
    url = server if request.param == "embedded" else empty_stand_in(request.param)
    yield url
    ask(url, "DeleteTable", {"TableName": "things"})
    wait_until(url, is_there=False)


def wait_until(url: str, *, is_there: bool) -> None:
    while True:
        status, _, body = ask(url, "DescribeTable", {"TableName": "things"})
        active = status == 200 and orjson.loads(body)["Table"]["TableStatus"] == "ACTIVE"
        if active == is_there and (is_there or status != 200):
            return


_OF_ONE_ANSWER = {"date", "x-amzn-requestid", "x-amz-id-2"}
_OF_THE_CONNECTION = {"connection", "keep-alive", "transfer-encoding", "content-length"}
_LEFT_OUT = _OF_ONE_ANSWER | _OF_THE_CONNECTION


def test_answers_are_the_same_with_and_without_a_recorder(target: str, recorder: Start) -> None:
    """Status, headers and bytes; what differs is what differs between two answers of the target."""
    found = {}
    recording = recorder(target)
    for url in (target, recording.url):
        ask(target, "CreateTable", TABLE)
        wait_until(target, is_there=True)
        found[url] = [ask(url, operation, request) for operation, request in CALLS]
        ask(target, "DeleteTable", {"TableName": "things"})
        wait_until(target, is_there=False)

    for call, (status, headers, body), (own_status, own_headers, own_body) in zip(
        CALLS, found[target], found[recording.url], strict=True
    ):
        if b'"ConsumedCapacity": [' in body and "ReturnConsumedCapacity" not in call[1]:
            # moto gives it to whoever did not ask; through a recorder nobody gets what he did not
            assert call[0].startswith("Batch")
            continue
        assert (own_status, own_body) == (status, body), call
        kept = {name: value for name, value in headers.items() if name not in _LEFT_OUT}
        own = {name: value for name, value in own_headers.items() if name not in _LEFT_OUT}
        assert kept.items() <= own.items(), call
        assert int(own_headers["content-length"]) == len(own_body)
        if "x-amz-crc32" in own_headers:
            assert int(own_headers["x-amz-crc32"]) == zlib.crc32(own_body)


def test_units_are_those_that_the_engine_counts(server: str, recorder: Start) -> None:
    """What the target answers to whoever asks it directly is what the trace says, arm by arm."""
    counted: dict[str, float] = {}
    ask(server, "CreateTable", TABLE)
    for operation, request in CALLS:
        if isinstance(request, dict) and request.get("ReturnConsumedCapacity") != "BOGUS":
            asked = request | {"ReturnConsumedCapacity": "INDEXES"}
            status, _, body = ask(server, operation, asked)
            consumed = orjson.loads(body).get("ConsumedCapacity", []) if status == 200 else []
            for each in consumed if isinstance(consumed, list) else [consumed]:
                arms = {"things": each["Table"]["CapacityUnits"]} | {
                    f"things.{name}": units["CapacityUnits"]
                    for name, units in each.get("GlobalSecondaryIndexes", {}).items()
                }
                for arm, units in arms.items():
                    counted[arm] = counted.get(arm, 0.0) + units
    ask(server, "DeleteTable", {"TableName": "things"})
    ask(server, "CreateTable", TABLE)
    recording = recorder(server)

    for operation, request in CALLS:
        ask(recording.url, operation, request)

    ask(server, "DeleteTable", {"TableName": "things"})
    trace = recording.trace()
    recorded: dict[str, float] = {}
    for totals in trace.totals.values():
        for arm, number in totals.units.items():
            recorded[arm] = recorded.get(arm, 0.0) + number
    assert recorded == counted
    assert counted["things.by-day"] > 0
    assert trace.requests == len(CALLS) - 2
    assert trace.meta["unread"] == 2


def test_a_trace_holds_no_value(server: str, recorder: Start) -> None:
    ask(server, "CreateTable", TABLE)
    recording = recorder(server)
    secret = {"pk": {"S": "Ada-Lovelace"}, "sk": {"S": "4111-1111"}, "day": {"S": "top-secret"}}
    asked = DAY | {"ExpressionAttributeValues": {":d": {"S": "top-secret"}}, "Limit": 1}

    ask(recording.url, "PutItem", {"TableName": "things", "Item": secret})
    ask(recording.url, "Query", asked)
    statement = "SELECT * FROM things WHERE pk = 'Ada-Lovelace'"
    ask(recording.url, "ExecuteStatement", {"Statement": statement})

    trace = recording.trace()
    # its keys were looked up meanwhile, which takes its time
    ask(server, "DeleteTable", {"TableName": "things"})
    written = trace.path.read_bytes()
    for value in (b"Ada", b"4111-1111", b"top-secret", b"Credential", b"somebody"):
        assert value not in written
    assert trace.path.stat().st_mode & 0o777 == 0o600
    put, query = list(trace.calls())[:2]
    # the item that came back is the one that was written
    assert query.returned == (put.touched[0].key,)


def test_pages_of_one_query_are_a_chain(server: str, recorder: Start) -> None:
    recording = recorder(server)
    client = recording.client()
    client.create_table(**TABLE)
    for number in range(5):
        client.put_item(TableName="things", Item=item(number))
    asked = {"TableName": "things", "PaginationConfig": {"PageSize": 2}}
    twice = [len(list(client.get_paginator("scan").paginate(**asked))) for _ in range(2)]

    client.delete_table(TableName="things")
    calls = [each for each in recording.trace().calls() if each.chain]
    assert twice == [3, 3]
    assert [each.page for each in calls] == [0, 1, 2] * 2
    assert len({each.chain for each in calls}) == 2


def test_retries_and_the_request_behind_are_recorded(server: str, recorder: Start) -> None:
    recording = recorder(server)
    key = {"TableName": "nothing", "Key": KEY}
    headers = {
        "amz-sdk-request": "attempt=2; max=3",
        "amz-sdk-invocation-id": "0c6a",
        "traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        "user-agent": "aws-sdk-js/3",
    }

    ask(recording.url, "GetItem", key, headers)

    (call,) = recording.trace().calls()
    assert (call.attempt, call.agent) == (2, "aws-sdk-js/3")
    assert call.caller == "4bf92f3577b34da6a3ce929d0e0e4736"
    assert call.error == "ResourceNotFoundException"


def test_sixteen_megabytes_pass_and_more_do_not(server: str, recorder: Start) -> None:
    recording = recorder(server)
    largest = 16 << 20
    request = b'{"TableName":"things","Key":{"pk":{"S":"' + b"x" * (largest - 45) + b'"}}}'

    answers = [
        ask(url, "GetItem", body)
        for url in (server, recording.url)
        for body in (request[:largest], request + b" " * 64)
    ]

    assert [status for status, _, _ in answers] == [400, 413, 400, 413]
    assert answers[0][2] == answers[2][2]
    assert orjson.loads(answers[3][2])["__type"] == orjson.loads(answers[1][2])["__type"]


def test_a_target_that_is_away_is_an_error_that_sdks_try_again(
    recorder: Start, free_port: Callable[[], int]
) -> None:
    recording = recorder(f"http://127.0.0.1:{free_port()}")
    client = boto3.client(
        "dynamodb",
        endpoint_url=recording.url,
        region_name="us-east-1",
        aws_access_key_id="somebody",
        aws_secret_access_key="else",
        config=Config(retries={"total_max_attempts": 2, "mode": "standard"}),
    )

    with pytest.raises(ClientError) as caught:
        client.get_item(TableName="things", Key=KEY)

    assert caught.value.response["Error"]["Code"] == "InternalServerError"
    assert "got no answer from its target" in caught.value.response["Error"]["Message"]
    calls = list(recording.trace().calls())
    assert [(each.attempt, each.error, each.status) for each in calls] == [
        (1, "no answer", 0),
        (2, "no answer", 0),
    ]


def test_a_target_that_answers_wrong_units_is_named(
    empty_stand_in: Callable[[str], str], recorder: Start
) -> None:
    url = empty_stand_in("moto")
    recording = recorder(url, doubt_of=parse_target(url).doubt_of)
    ask(url, "CreateTable", TABLE)

    ask(recording.url, "GetItem", {"TableName": "things", "Key": KEY})

    ask(url, "DeleteTable", {"TableName": "things"})
    trace = recording.trace()
    assert "is moto: it answers constants" in trace.capacity_doubt
    shown = CliRunner().invoke(app, ["traffic", "check", str(trace.path)])
    assert "Doubtful: " in shown.stdout


class Stuck:
    """A target that never answers a GetItem, and notes for how long each was waited for."""

    def __init__(self, upstream: Upstream) -> None:
        self._upstream = upstream
        self.asked = threading.Semaphore(0)
        self.left = threading.Semaphore(0)
        self.waits_s: list[float] = []

    async def send(self, method: str, path: str, headers: CIMultiDict[str], body: bytes) -> Answer:
        if headers["X-Amz-Target"].endswith(".GetItem"):
            asked_s = time.perf_counter()
            self.asked.release()
            try:
                await asyncio.Event().wait()
            finally:
                self.waits_s.append(time.perf_counter() - asked_s)
                self.left.release()
        return await self._upstream.send(method, path, headers, body)

    async def close(self) -> None:
        await self._upstream.close()


def test_a_target_that_is_slow_is_waited_for_as_long_as_the_application_does(
    server: str, recorder: Start
) -> None:
    stuck: list[Stuck] = []

    def changed(upstream: Upstream) -> Stuck:
        stuck.append(Stuck(upstream))
        return stuck[0]

    recording = recorder(server, changed=changed)
    place = urlsplit(recording.url)

    for attempt in (1, 2):
        client = http.client.HTTPConnection(place.hostname or "", place.port)
        headers = {
            "X-Amz-Target": "DynamoDB_20120810.GetItem",
            "amz-sdk-request": f"attempt={attempt}; max=2",
        }
        client.request("POST", "/", json.dumps({"TableName": "things", "Key": KEY}), headers)
        assert stuck[0].asked.acquire(timeout=60)
        time.sleep(0.1)
        # as an SDK does that has waited for as long as it is told
        client.close()
        assert stuck[0].left.acquire(timeout=60)
    status, _, others = ask(recording.url, "ListTables", {})

    assert (status, json.loads(others)) == (200, {"TableNames": []})
    calls = list(recording.trace().calls())
    assert [(each.attempt, each.error) for each in calls] == [
        (1, "client gave up"),
        (2, "client gave up"),
        (1, ""),
    ]
    for call, wait_s in zip(calls[:2], stuck[0].waits_s, strict=True):
        # to the microsecond
        assert call.duration_s + 1e-6 >= wait_s >= 0.1


def test_a_clock_that_jumps_changes_no_time(
    server: str, recorder: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    recording = recorder(server)
    hour = itertools.cycle([3_600.0, -7_200.0])
    now = time.time
    monkeypatch.setattr(time, "time", lambda: now() + next(hour))

    for _ in range(4):
        ask(recording.url, "ListTables", {})

    trace = recording.trace()
    calls = list(trace.calls())
    assert [each.number for each in calls] == [1, 2, 3, 4]
    assert all(0 <= each.at_s <= each.end_s <= trace.duration_s < 3_600 for each in calls)


def test_a_page_of_a_browser_is_kept_out(server: str, recorder: Start) -> None:
    recording = recorder(server)

    refused = [
        ask(recording.url, "ListTables", {}, {"Origin": "https://evil.example"}),
        ask(recording.url, "ListTables", {}, {"Host": "evil.example"}),
    ]

    assert [status for status, _, _ in refused] == [403, 403]
    assert b"perfkit record" in refused[0][2]
    assert recording.trace().requests == 0


def test_what_is_no_request_to_dynamodb_passes(server: str, recorder: Start) -> None:
    place = urlsplit(recorder(server).url)
    connection = http.client.HTTPConnection(place.hostname or "", place.port)

    connection.request("GET", "/")

    assert connection.getresponse().read().startswith(b"healthy")
    connection.close()


def test_a_client_that_waits_to_be_asked_for_its_body_is_asked(
    server: str, recorder: Start
) -> None:
    place = urlsplit(recorder(server).url)
    with socket.create_connection((place.hostname, place.port)) as client:
        client.sendall(
            b"POST / HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\n"
            b"X-Amz-Target: DynamoDB_20120810.ListTables\r\nContent-Length: 2\r\n\r\n"
        )
        asked = client.recv(100)
        client.sendall(b"{}")
        answer = client.recv(4096)

    assert asked.startswith(b"HTTP/1.1 100")
    assert answer.startswith(b"HTTP/1.1 200")


def test_a_recorder_in_front_of_a_recorder(server: str, recorder: Start) -> None:
    inner = recorder(server)
    outer = recorder(inner.url)
    client = outer.client()

    answer = client.list_tables()

    assert answer["TableNames"] == []
    assert [each.trace().requests for each in (outer, inner)] == [1, 1]


def test_a_full_disk_ends_the_recording_and_not_the_traffic(
    server: str, recorder: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    recording = recorder(server)
    ask(recording.url, "ListTables", {})
    stopped = threading.Event()

    def full(_: Any) -> None:
        stopped.set()
        message = "database or disk is full"
        raise sqlite3.OperationalError(message)

    monkeypatch.setattr(type(recording.writer), "_commit", full)
    assert stopped.wait(60)
    recording.writer._thread.join()

    status, _, _ = ask(recording.url, "ListTables", {})

    assert status == 200
    (warning,) = recording.warnings
    assert "no space left" in warning
    assert "the application goes on" in warning


def test_beyond_its_size_a_trace_keeps_exact_counts(
    server: str, recorder: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("perfkit.traffic.trace_file._COMMIT_EVERY_S", 0.01)
    monkeypatch.setattr("perfkit.traffic.trace_file.SLOT_S", 1e-6)
    recording = recorder(server, most_bytes=100)
    client = recording.client()
    number = 0
    while recording.writer._every < 4 or number < 40:
        client.list_tables()
        number += 1

    trace = recording.trace()

    assert trace.requests == number
    assert trace.details < number
    assert trace.meta["details_every"] >= 4


def test_what_cannot_be_made_smaller_ends_no_recording(tmp_path: Path) -> None:
    """A trace that is too large by what is never left out: two minutes double it 63 times."""
    writer = TraceWriter(tmp_path / "a.trace", {}, most_bytes=1, warn=pytest.fail)

    for _ in range(70):
        writer._thin_out()

    writer.close()
    assert read_trace(tmp_path / "a.trace").is_complete is False
