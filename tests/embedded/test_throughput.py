"""Throughput that is enforced, in virtual time: figures worked out by hand, and AWS's answers."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from perfkit.embedded.buckets import Bucket, Buckets
from perfkit.embedded.definitions import new_table
from perfkit.embedded.engine import Engine
from perfkit.embedded.errors import DynamoDBError
from perfkit.embedded.storage import Storage
from perfkit.embedded.throughput import Enforcement
from perfkit.measure.clock import FakeClock

ARN = "arn:aws:dynamodb:us-east-1:123456789012:table/Orders"
TABLE_EXCEEDED = (
    "The level of configured provisioned throughput for the table was exceeded. Consider increasing"
    " your provisioning level with the UpdateTable API."
)


class Database:
    """An engine in memory that enforces throughput by a clock of its own."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        buckets = Buckets(None, clock=self.clock.now)
        self.engine = Engine(":memory:", enforcement=Enforcement(buckets, clock=self.clock.now))

    def run(self, operation: str, **request: Any) -> dict[str, Any]:
        answer: dict[str, Any] = orjson.loads(self.engine.execute(operation, request))
        return answer

    def create(self, units: tuple[int, int] | None, index: tuple[int, int] | None = None) -> None:
        """Make the table Orders, on demand without units, with an index ByStatus if it has some."""

        def throughput(given: tuple[int, int] | None) -> dict[str, Any]:
            if given is None:
                return {}
            names = ("ReadCapacityUnits", "WriteCapacityUnits")
            return {"ProvisionedThroughput": dict(zip(names, given, strict=True))}

        request: dict[str, Any] = {
            "TableName": "Orders",
            "BillingMode": "PAY_PER_REQUEST" if units is None else "PROVISIONED",
            "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}],
            "AttributeDefinitions": [{"AttributeName": "id", "AttributeType": "S"}],
            **throughput(units),
        }
        if index is not None:
            request["AttributeDefinitions"].append(
                {"AttributeName": "status", "AttributeType": "S"}
            )
            request["GlobalSecondaryIndexes"] = [
                {
                    "IndexName": "ByStatus",
                    "KeySchema": [{"AttributeName": "status", "KeyType": "HASH"}],
                    "Projection": {"ProjectionType": "ALL"},
                    **throughput(index),
                }
            ]
        self.run("CreateTable", **request)

    def put(self, key: str, **attributes: str) -> None:
        item = {"id": {"S": key}, **{name: {"S": value} for name, value in attributes.items()}}
        self.run("PutItem", TableName="Orders", Item=item)

    def get(self, key: str) -> None:
        """Read an item for one unit."""
        self.run("GetItem", TableName="Orders", Key={"id": {"S": key}}, ConsistentRead=True)


@pytest.fixture
def database() -> Iterator[Database]:
    database = Database()
    yield database
    database.engine.close()


def refused(call: Any) -> DynamoDBError | None:
    try:
        call()
    except DynamoDBError as error:
        return error
    return None


def reasons(error: DynamoDBError) -> Any:
    return error.extra.get("ThrottlingReasons") or error.extra["throttlingReasons"]


def demand(database: Database, call: Any, *, rate: int, seconds: int) -> list[int]:
    """Ask so often a second, evenly, and return how many were served in each second."""
    served = []
    for _ in range(seconds):
        count = 0
        for _ in range(rate):
            database.clock.advance(1 / rate)
            count += refused(call) is None
        served.append(count)
    return served


def test_a_table_serves_its_burst_and_then_its_units(database: Database) -> None:
    """100 RCU under 300 a second: 200 a second of the 30,000 saved units last 150 s."""
    database.create((100, 100))
    # a page of 75 units, so that a test has four requests a second and not three hundred
    for number in range(3):
        database.put(f"o{number}", text="x" * 100 * 1024)

    def scan() -> None:
        # 300 KB, strongly consistent: 75 units of 4 KB
        database.run("Scan", TableName="Orders", ConsistentRead=True, Select="COUNT")

    served = [75 * count for count in demand(database, scan, rate=4, seconds=350)]

    assert sum(served[:150]) == pytest.approx(150 * 300, rel=0.03)
    assert sum(served[150:]) == pytest.approx(200 * 100, rel=0.03)
    assert sum(served) == pytest.approx(30_000 + 350 * 100, rel=0.03)
    error = refused(scan)
    assert error is not None
    assert (error.code, error.message) == (
        "ProvisionedThroughputExceededException",
        TABLE_EXCEEDED,
    )
    assert reasons(error) == [{"reason": "TableReadProvisionedThroughputExceeded", "resource": ARN}]


def test_an_index_that_cannot_keep_up_throttles_the_tables_writes(database: Database) -> None:
    """5 WCU under 20 writes a second: its 1,500 saved units last 100 s."""
    database.create((100, 1000), index=(100, 5))
    numbers = iter(range(10_000))

    def write() -> None:
        database.put(f"o{next(numbers)}", status="open")

    served = demand(database, write, rate=20, seconds=150)

    assert sum(served[:100]) == pytest.approx(100 * 20, rel=0.03)
    assert sum(served[100:]) == pytest.approx(50 * 5, rel=0.03)
    # an item that the index does not hold is refused with the others
    error = refused(lambda: database.put("other"))
    assert error is not None
    assert error.message.startswith(
        "The level of configured provisioned throughput for one or more global secondary indexes"
    )
    assert reasons(error) == [
        {
            "reason": "IndexWriteProvisionedThroughputExceeded",
            "resource": f"{ARN}/index/ByStatus",
        }
    ]
    # and nothing was kept of it; reads of table and index go on
    assert "Item" not in database.run("GetItem", TableName="Orders", Key={"id": {"S": "other"}})
    assert database.run("Scan", TableName="Orders", IndexName="ByStatus")["Count"] == sum(served)


@pytest.mark.parametrize(
    ("units", "code"),
    [
        pytest.param((20_000, 100), "ProvisionedThroughputExceededException", id="provisioned"),
        pytest.param(None, "ThrottlingException", id="on demand"),
    ],
)
def test_a_hot_key_is_served_what_a_partition_serves(
    units: tuple[int, int] | None, code: str, database: Database
) -> None:
    database.create(units)
    # 400 KB: 100 units
    database.put("hot", text="x" * (400 * 1024 - 20))
    others = [f"o{number}" for number in range(8)]

    def query() -> None:
        database.run(
            "Query",
            TableName="Orders",
            ConsistentRead=True,
            Select="COUNT",
            KeyConditionExpression="id = :hot",
            ExpressionAttributeValues={":hot": {"S": "hot"}},
        )

    served = demand(database, query, rate=50, seconds=60)

    assert 100 * sum(served) == pytest.approx(60 * 3000, rel=0.03)
    error = refused(query)
    assert error is not None
    assert error.code == code
    assert reasons(error) == [{"reason": "TableReadKeyRangeThroughputExceeded", "resource": ARN}]
    # keys in other partitions are served
    assert Counter(refused(lambda key=key: database.get(key)) is None for key in others)[True] > 0


def test_an_on_demand_table_serves_what_a_new_one_does(database: Database) -> None:
    """12,000 read units a second, evenly spread over its keys, and no more."""
    enforcement = Enforcement(Buckets(None, clock=database.clock.now), clock=database.clock.now)
    with Storage(":memory:").read() as transaction:
        table = new_table(
            {
                "TableName": "Orders",
                "BillingMode": "PAY_PER_REQUEST",
                "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}],
                "AttributeDefinitions": [{"AttributeName": "id", "AttributeType": "S"}],
            }
        )
        turn = iter(range(100_000))

        def read() -> None:
            # of 100 units, 180 of them a second; places next to each other by turns
            place = (next(turn) * 2654435761 % 2**32).to_bytes(4, "big")
            enforcement.read(transaction, table, None, place).take(100.0)

        served = demand(database, read, rate=180, seconds=60)

    assert 100 * sum(served[1:]) == pytest.approx(59 * 12_000, rel=0.03)


def test_an_on_demand_maximum_holds_for_table_and_index(database: Database) -> None:
    database.create(None, index=None)
    database.run(
        "UpdateTable",
        TableName="Orders",
        OnDemandThroughput={"MaxReadRequestUnits": 10, "MaxWriteRequestUnits": 5},
    )
    database.run(
        "UpdateTable",
        TableName="Orders",
        AttributeDefinitions=[
            {"AttributeName": "id", "AttributeType": "S"},
            {"AttributeName": "status", "AttributeType": "S"},
        ],
        GlobalSecondaryIndexUpdates=[
            {
                "Create": {
                    "IndexName": "ByStatus",
                    "KeySchema": [{"AttributeName": "status", "KeyType": "HASH"}],
                    "Projection": {"ProjectionType": "ALL"},
                    "OnDemandThroughput": {"MaxReadRequestUnits": 2, "MaxWriteRequestUnits": -1},
                }
            }
        ],
    )
    while database.run("DescribeTable", TableName="Orders")["Table"]["TableStatus"] != "ACTIVE":
        pass

    def query() -> None:
        database.run(
            "Query",
            TableName="Orders",
            IndexName="ByStatus",
            KeyConditionExpression="#s = :open",
            ExpressionAttributeNames={"#s": "status"},
            ExpressionAttributeValues={":open": {"S": "open"}},
        )

    gets = demand(database, lambda: database.get("o1"), rate=100, seconds=20)
    queries = demand(database, query, rate=20, seconds=20)

    assert sum(gets[1:]) == 19 * 10
    # an empty page takes half a unit
    assert sum(queries[1:]) == 19 * 2 * 2
    error = refused(query)
    assert error is not None
    assert (error.code, error.message) == (
        "ThrottlingException",
        "Throughput exceeds the maximum OnDemandThroughput configured on table or index",
    )
    assert error.extra["throttlingReasons"] == [
        {
            "reason": "IndexReadMaxOnDemandThroughputExceeded",
            "resource": f"{ARN}/index/ByStatus",
        }
    ]


def drain(call: Any) -> None:
    """Call without a pause until it is refused."""
    while refused(call) is None:
        pass


def test_a_batch_hands_back_what_there_is_no_throughput_for(database: Database) -> None:
    database.create((1, 1))
    puts = [{"PutRequest": {"Item": {"id": {"S": f"o{number}"}}}} for number in range(25)]
    # 290 of the 300 units that an idle table of one unit a second has saved
    for number in range(290):
        database.put(f"before{number}")

    first = database.run("BatchWriteItem", RequestItems={"Orders": puts})
    second = refused(lambda: database.run("BatchWriteItem", RequestItems={"Orders": puts[10:]}))

    assert first["UnprocessedItems"] == {"Orders": puts[10:]}
    assert database.run("DescribeTable", TableName="Orders")["Table"]["ItemCount"] == 300
    # where none of them is taken the call fails
    assert second is not None
    assert second.code == "ProvisionedThroughputExceededException"

    keys = [{"id": {"S": f"o{number}"}} for number in range(10)]
    for _ in range(296):
        database.get("o1")
    got = database.run(
        "BatchGetItem", RequestItems={"Orders": {"Keys": keys, "ConsistentRead": True}}
    )
    assert len(got["Responses"]["Orders"]) == 4
    assert got["UnprocessedKeys"] == {"Orders": {"Keys": keys[4:], "ConsistentRead": True}}


@pytest.mark.parametrize(
    ("units", "code"),
    [
        pytest.param((1, 1), "ProvisionedThroughputExceeded", id="provisioned"),
        pytest.param(None, "ThrottlingError", id="on demand"),
    ],
)
def test_a_transaction_is_cancelled_as_a_whole(
    units: tuple[int, int] | None, code: str, database: Database
) -> None:
    database.create(units)
    hot = {"id": {"S": "hot"}, "text": {"S": "x" * 100 * 1024}}
    drain(lambda: database.run("PutItem", TableName="Orders", Item=hot))
    database.run(
        "CreateTable",
        TableName="Others",
        BillingMode="PAY_PER_REQUEST",
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
    )
    writes = [
        {"Put": {"TableName": table, "Item": {"id": {"S": "hot"}}}}
        for table in ("Others", "Orders")
    ]

    error = refused(lambda: database.run("TransactWriteItems", TransactItems=writes))

    assert error is not None
    assert error.code == "TransactionCanceledException"
    assert [each["Code"] for each in error.extra["CancellationReasons"]] == ["None", code]
    assert database.run("Scan", TableName="Others")["Count"] == 0


def test_without_enforcement_nothing_is_refused() -> None:
    engine = Engine(":memory:")
    database = Database()
    database.engine = engine
    database.create((1, 1))

    for number in range(400):
        database.put(f"o{number}")

    assert database.run("Scan", TableName="Orders")["Count"] == 400


# ---- the levels ------------------------------------------------------------------------


def test_all_that_open_a_file_share_its_levels(tmp_path: Path) -> None:
    clock = FakeClock()
    one, other = (Buckets(tmp_path / "levels", clock=clock.now) for _ in range(2))
    bucket = Bucket("table", 10.0, 3000.0)
    one.take([(bucket, 3005.0)])

    assert other.empty([bucket]) == 0
    clock.advance(1.0)
    # 5 units of debt are paid, and 5 are there
    assert other.empty([bucket]) is None
    one.close()
    other.close()


def test_a_bucket_in_use_keeps_its_level_among_thousands() -> None:
    clock = FakeClock()
    buckets = Buckets(None, clock=clock.now)
    kept = Bucket("kept", 1.0, 300.0)
    buckets.take([(kept, 300.0)])

    for number in range(4000):
        buckets.take([(Bucket(f"other {number}", 1.0, 300.0), 1.0)])

    assert buckets.empty([kept]) == 0
