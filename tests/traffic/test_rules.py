"""Rules on what the order service does not do: statements, several connections, hidden throttles."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import boto3
import orjson
import pytest
from botocore.config import Config
from multidict import CIMultiDict

from perfkit.dynamodb.client import embedded_client
from perfkit.dynamodb.safety import RequestPrices
from perfkit.traffic.exchange import Exchange, Observer
from perfkit.traffic.figures import summarize
from perfkit.traffic.findings import Finding, Rule, Settings
from perfkit.traffic.rules import find
from perfkit.traffic.schemas import read_schema
from perfkit.traffic.trace import read_trace
from perfkit.traffic.trace_file import TraceWriter
from perfkit.traffic.upstream import Answer, Upstream

PRICES = RequestPrices(
    region="us-east-1", read_unit_usd=0.125e-6, write_unit_usd=0.625e-6, source="test"
)

ORDERS: dict[str, Any] = {
    "TableName": "Orders",
    "KeySchema": [{"AttributeName": "OrderID", "KeyType": "HASH"}],
    "AttributeDefinitions": [{"AttributeName": "OrderID", "AttributeType": "N"}],
    "GlobalSecondaryIndexes": [
        {
            "IndexName": "by-day",
            "KeySchema": [{"AttributeName": "order-day", "KeyType": "HASH"}],
            "Projection": {"ProjectionType": "ALL"},
        }
    ],
}


def exchange(number: int, operation: str, request: Any, answer: Any, **more: Any) -> Exchange:
    """Return a request that began at *number* seconds and took half of one."""
    plain: dict[str, Any] = {
        "operation": operation,
        "request": request,
        "body": orjson.dumps(request),
        "at_s": float(number),
        "duration_s": 0.5,
        "status": 200,
        "answer": orjson.dumps(answer),
        "consumed": (
            {"TableName": "Orders", "CapacityUnits": 0.5, "Table": {"CapacityUnits": 0.5}},
        ),
        "connection": 1,
        "headers": {},
    }
    return Exchange(**(plain | more))


def found_in(exchanges: Sequence[Exchange]) -> list[Finding]:
    """Return what the rules find in a trace of these."""
    path = Path("rules.trace")
    schema = read_schema(ORDERS)
    assert schema is not None
    observer = Observer({"Orders": schema})
    writer = TraceWriter(path, {"duration_s": 120.0}, most_bytes=1 << 30, warn=pytest.fail)
    writer.describe("Orders", ORDERS)
    for each in exchanges:
        writer.add(observer.observe(each))
    writer.close()
    return list(find(summarize(read_trace(path), PRICES), Settings()))


def statement(text: str) -> Exchange:
    # no Count and no ScannedCount: AWS gives none
    consumed = {"TableName": "Orders", "CapacityUnits": 20.0, "Table": {"CapacityUnits": 20.0}}
    items = [{"OrderID": {"N": str(number)}} for number in range(3)]
    asked = {"Statement": text}
    return exchange(1, "ExecuteStatement", asked, {"Items": items}, consumed=(consumed,))


def scan(number: int, key: str | None = None, **more: Any) -> Exchange:
    asked = {
        "TableName": "Orders",
        "FilterExpression": "customer = :c",
        "ExpressionAttributeValues": {":c": {"S": "x"}},
    } | ({"ExclusiveStartKey": {"OrderID": {"N": key}}} if key else {})
    last = {} if key else {"LastEvaluatedKey": {"OrderID": {"N": "7"}}}
    return exchange(number, "Scan", asked | more, {"Count": 2, "ScannedCount": 1000, **last})


def test_a_scan_that_ends_at_its_limit_reads_a_part() -> None:
    (part,) = found_in([scan(1, Limit=1000)])
    Path("rules.trace").unlink()
    found = found_in([scan(1, Limit=1000), scan(2, "7", Limit=1000)])
    (paged,) = (each for each in found if each.rule is Rule.SCAN)

    assert part.what == "reads a part of Orders, up to a Limit, to answer a question"
    assert part.worth == (
        "at most: a query finds what is behind the Limit, too, and reads that as well"
    )
    assert paged.what == "reads all of Orders to answer a question"
    assert paged.evidence == "1 time, each 1 RCU and 2,000 items read for 4 returned"


# the first eight are the examples of the developer guide, "PartiQL select statements for DynamoDB"
@pytest.mark.parametrize(
    ("text", "scans"),
    [
        ('SELECT * FROM "Orders" WHERE OrderID = 100', False),
        ("SELECT * FROM \"Orders\" WHERE OrderID = 100 and Address='some address'", False),
        ('SELECT * FROM "Orders" WHERE OrderID = 100 or OrderID = 200', False),
        ('SELECT * FROM "Orders" WHERE OrderID IN [100, 300, 234]', False),
        ('SELECT * FROM "Orders"', True),
        ('SELECT * FROM "Orders" WHERE OrderID > 1', True),
        ("SELECT * FROM \"Orders\" WHERE Address='some address'", True),
        ("SELECT * FROM \"Orders\" WHERE OrderID = 100 OR Address='some address'", True),
        ('select * from Orders where Address = ? and ("OrderID" = ? or OrderID in (?, ?))', False),
        ('SELECT * FROM Orders WHERE OrderID = ? AND (Address = ? OR contains("Address", ?))', False),
        ('SELECT * FROM Orders WHERE (OrderID = ? AND total > 5) OR begins_with("Address", ?)', True),
        ('SELECT * FROM Orders WHERE "my-OrderID" = ?', True),
        ("SELECT * FROM Orders WHERE address.OrderID = ?", True),
        ("SELECT * FROM Orders WHERE NOT (OrderID = ?)", True),
        ("SELECT * FROM Orders WHERE total > ? and not OrderID in (?, ?)", True),
        ("SELECT * FROM Orders WHERE NOT total = ? AND OrderID = ? AND NOT(OrderID = ?)", False),
        ('SELECT * FROM "Orders"."by-day" WHERE "order-day" = ?', False),
        ('SELECT * FROM "Orders"."by-day" WHERE OrderID = ?', True),
        ("UPDATE Orders SET Address = 'new' WHERE OrderID = 100", False),
    ],
)  # fmt: skip
def test_a_statement_without_its_key_is_a_scan(text: str, scans: bool) -> None:
    found = found_in([statement(text)])

    assert [each.rule for each in found] == [Rule.SCAN] * scans


def test_a_statement_says_no_more_than_is_known() -> None:
    (scan,) = found_in([statement("SELECT * FROM Orders WHERE Address = 'x'")])

    assert scan.evidence == (
        "1 time, each 20 RCU and 3 items returned; of a statement DynamoDB does not say how many"
        " it read"
    )
    assert scan.remedy == "an index with the partition key Address, and a query of it"
    # 20 units in 120 s at $0.125 a million, 730 h a month
    assert scan.worth_usd == pytest.approx(20 * 0.125e-6 / 120 * 730 * 3600)
    assert scan.worth.startswith("at most")


def test_a_remedy_names_the_type_of_what_is_a_key_already() -> None:
    (scan,) = found_in([statement('SELECT * FROM "Orders"."by-day" WHERE OrderID = ?')])
    assert scan.remedy == "an index with the partition key OrderID (a number), and a query of it"


def get(number: int, traceparent: str, **more: Any) -> Exchange:
    """Return a GetItem of a key of its own, on a connection of its own."""
    headers = {"traceparent": traceparent}
    key = {"TableName": "Orders", "Key": {"OrderID": {"N": str(number)}}}
    return exchange(
        number, "GetItem", key, {}, **({"connection": number, "headers": headers} | more)
    )


def trace_id(number: int, span: int = 1) -> str:
    return f"00-{number:032x}-{span:016x}-01"


def test_reads_of_one_trace_id_are_found_over_several_connections() -> None:
    (found,) = found_in([get(number, trace_id(1, span=number + 1)) for number in range(6)])

    assert (found.rule, found.request) == (Rule.N_PLUS_ONE, "GetItem Orders")
    assert found.evidence == "1 caller, 6 reads each, one after another"
    # of six halves of a second one is left
    assert found.worth == "about 2.50 s each time, and no units"


@pytest.mark.parametrize(
    "exchanges",
    [
        pytest.param([get(number, trace_id(1)) for number in range(4)], id="four"),
        pytest.param([get(number, trace_id(number + 1)) for number in range(6)], id="of six"),
        pytest.param([get(number, "") for number in range(6)], id="without a trace id"),
        pytest.param(
            [get(number, trace_id(1), at_s=number * 0.1) for number in range(6)], id="at a time"
        ),
        pytest.param(
            [get(7, trace_id(1), at_s=float(number)) for number in range(6)], id="of one key"
        ),
    ],
)
def test_other_reads_are_left_alone(exchanges: Sequence[Exchange]) -> None:
    assert found_in(exchanges) == []


LISTED = list(range(100, 120))


def listing(number: int) -> Exchange:
    """Return a query that lists items."""
    query = {
        "TableName": "Orders",
        "IndexName": "by-day",
        "KeyConditionExpression": "#d = :d",
        "ExpressionAttributeNames": {"#d": "order-day"},
        "ExpressionAttributeValues": {":d": {"S": "2026-01-01"}},
    }
    items = [{"OrderID": {"N": str(each)}} for each in LISTED]
    return exchange(number, "Query", query, {"Items": items, "Count": 20, "ScannedCount": 20})


@pytest.mark.parametrize(
    ("asked", "connection", "expected"),
    [
        pytest.param(LISTED, 1, [Rule.N_PLUS_ONE], id="one after another"),
        pytest.param(LISTED[::-1], 1, [Rule.N_PLUS_ONE], id="in any order"),
        pytest.param(LISTED, 2, [Rule.N_PLUS_ONE], id="on another connection"),
        pytest.param(LISTED[::-1], 2, [], id="there, in another order"),
        pytest.param(LISTED[:9], 1, [], id="less than half"),
        pytest.param(range(200, 220), 1, [], id="of other items"),
    ],
)
def test_reads_behind_an_answer(
    asked: Sequence[int], connection: int, expected: Sequence[Rule]
) -> None:
    reads = [
        get(number, "", at_s=float(place), connection=connection)
        for place, number in enumerate(asked, 1)
    ]

    found = found_in([listing(0), *reads])

    assert [each.rule for each in found] == expected


def test_one_answer_among_others_that_is_followed_by_its_items_is_chance() -> None:
    """A page lists things, and a visitor in three looks at most of them."""
    visits = [*LISTED, *LISTED[:3], *LISTED[:2]]
    pages = (0, 20, 23)
    exchanges: list[Exchange] = []
    for place, number in enumerate(visits):
        if place in pages:
            exchanges.append(listing(len(exchanges)))
        exchanges.append(get(number, "", at_s=float(len(exchanges)), connection=1))

    assert found_in(exchanges) == []


class Throttling:
    """A target that refuses the first attempt of each call."""

    def __init__(self, upstream: Upstream) -> None:
        self._upstream = upstream

    async def send(self, method: str, path: str, headers: CIMultiDict[str], body: bytes) -> Answer:
        if "attempt=1" not in headers.get("amz-sdk-request", ""):
            return await self._upstream.send(method, path, headers, body)
        kind = "com.amazonaws.dynamodb.v20120810#ProvisionedThroughputExceededException"
        return Answer(400, CIMultiDict(), orjson.dumps({"__type": kind, "message": "too much"}))

    async def close(self) -> None:
        await self._upstream.close()


@pytest.mark.processes
def test_throttles_that_retries_hide_are_found(
    recorder: Callable[..., Any], tmp_path: Path
) -> None:
    """The application is answered each time, by the retries of boto3, which pass the recorder."""
    things = embedded_client(tmp_path / "data.sqlite3")
    things.create_table(
        TableName="things",
        BillingMode="PAY_PER_REQUEST",
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
    )
    things.put_item(TableName="things", Item={"pk": {"S": "a"}})
    recording = recorder(changed=Throttling)
    application = boto3.client(
        "dynamodb",
        endpoint_url=recording.url,
        region_name="us-east-1",
        aws_access_key_id="any",
        aws_secret_access_key="any",
        config=Config(retries={"mode": "legacy"}),
    )

    answers = [application.get_item(TableName="things", Key={"pk": {"S": "a"}}) for _ in range(5)]

    assert [each["Item"] for each in answers] == [{"pk": {"S": "a"}}] * 5
    assert [each["ResponseMetadata"]["RetryAttempts"] for each in answers] == [1] * 5
    trace = recording.trace()
    assert [call.attempt for call in trace.calls()] == [1, 2] * 5
    (found,) = find(summarize(trace, PRICES), Settings())
    assert (found.rule, found.request) == (Rule.THROTTLED, "GetItem things")
    assert found.what == "50% of its attempts were throttled"
    assert found.evidence.startswith("5 of 10; 5 calls were answered after a retry")
