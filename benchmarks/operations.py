"""The requests that engines are compared by, on the built-in workload's own items."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import count, cycle
from typing import Any

from perfkit.capacity import Item
from perfkit.units import TIMES
from perfkit.workloads.generator import ItemGenerator

__all__ = ["OPERATIONS", "Answer", "Operation", "Requests", "create_tables", "fill_tables"]

_BATCH = 25
_KEYS_READ = 50
_UNITS = {"ReturnConsumedCapacity": "TOTAL"}

_INDEX = {
    "IndexName": "CoursesBySemester",
    "KeySchema": [
        {"AttributeName": "semester_id", "KeyType": "HASH"},
        {"AttributeName": "department_id", "KeyType": "RANGE"},
    ],
    "Projection": {"ProjectionType": "ALL"},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """
    One thing to do, and how much faster than the best peer it should be.

    Args:
        name: Name of the method of `Requests`.
        label: What it is called; takes the number of items of each table.
        aim: Least ratio of the best peer's median to perfkit's.
        units: What AWS bills for it.
        most_calls: Calls in one turn, if they are quick.
    """

    name: str
    label: str
    aim: float
    units: float
    rounds: int
    most_calls: int


OPERATIONS = (
    Operation(name="put_item", label="PutItem of 1 KB", aim=1, units=2, rounds=10, most_calls=100),
    Operation(
        name="batch_write_item",
        label=f"BatchWriteItem of 25 {TIMES} 1 KB",
        aim=1,
        units=50,
        rounds=10,
        most_calls=20,
    ),
    Operation(
        name="get_item", label="GetItem of 1 KB", aim=2.5, units=0.5, rounds=10, most_calls=100
    ),
    Operation(
        name="query", label="Query of 50 by index", aim=2, units=6.5, rounds=10, most_calls=50
    ),
    Operation(
        name="scan_courses",
        label="filtered Scan of {Courses:,}",
        aim=4,
        units=1250,
        rounds=7,
        most_calls=5,
    ),
    Operation(
        name="scan_enrollments",
        label="filtered Scan of {Enrollments:,}",
        aim=4,
        units=6250,
        rounds=5,
        most_calls=5,
    ),
)


@dataclass(frozen=True, slots=True)
class Answer:
    """What a call came to: keys of the items returned, in order of key, and units reported."""

    keys: tuple[str, ...] = ()
    units: float = 0.0


class Requests:
    """
    The requests, made ready before the clock starts.

    Args:
        client: A boto3 client.
        generator: Makes the items that are written.
        prefix: Begins the keys of what is written, so that each writer adds new items.
    """

    def __init__(self, client: Any, generator: ItemGenerator, prefix: str) -> None:
        self._client = client
        self._new = _new_items(generator, prefix)
        numbers = range(0, generator.count("Courses"), generator.count("Courses") // _KEYS_READ)
        self._keys = cycle([_key(generator.item("Courses", number)) for number in numbers])

    def ready(self, operation: str) -> Callable[[], Answer]:
        """Return the next call of an operation; its request is complete."""
        call: Callable[[], Callable[[], Answer]] = getattr(self, f"_{operation}")
        return call()

    def _put_item(self) -> Callable[[], Answer]:
        item = next(self._new)
        return lambda: _written(self._client.put_item(TableName="Written", Item=item, **_UNITS))

    def _batch_write_item(self) -> Callable[[], Answer]:
        requests = [{"PutRequest": {"Item": next(self._new)}} for _ in range(_BATCH)]
        return lambda: _written(
            self._client.batch_write_item(RequestItems={"Written": requests}, **_UNITS)
        )

    def _get_item(self) -> Callable[[], Answer]:
        key = next(self._keys)

        def call() -> Answer:
            answer = self._client.get_item(TableName="Courses", Key=key, **_UNITS)
            return Answer((answer["Item"]["course_id"]["S"],), _units(answer))

        return call

    def _query(self) -> Callable[[], Answer]:
        return lambda: self._pages(
            self._client.query,
            "course_id",
            TableName="Courses",
            IndexName="CoursesBySemester",
            KeyConditionExpression="semester_id = :semester AND department_id = :department",
            ExpressionAttributeValues={":semester": {"S": "1"}, ":department": {"S": "CS"}},
        )

    def _scan_courses(self) -> Callable[[], Answer]:
        return lambda: self._pages(
            self._client.scan,
            "course_id",
            TableName="Courses",
            FilterExpression="semester_id = :semester AND department_id = :department",
            ExpressionAttributeValues={":semester": {"S": "1"}, ":department": {"S": "CS"}},
        )

    def _scan_enrollments(self) -> Callable[[], Answer]:
        return lambda: self._pages(
            self._client.scan,
            "enrollment_id",
            TableName="Enrollments",
            FilterExpression="user_id = :user",
            ExpressionAttributeValues={":user": {"S": "student123"}},
        )

    def _pages(self, call: Callable[..., Any], key: str, **request: Any) -> Answer:
        keys: list[str] = []
        units = 0.0
        while True:
            answer = call(**request, **_UNITS)
            keys += [item[key]["S"] for item in answer["Items"]]
            units += _units(answer)
            if "LastEvaluatedKey" not in answer:
                return Answer(tuple(sorted(keys)), units)
            request["ExclusiveStartKey"] = answer["LastEvaluatedKey"]


def _written(answer: Mapping[str, Any]) -> Answer:
    if answer.get("UnprocessedItems"):
        msg = "items came back unprocessed, so the time says nothing"
        raise ValueError(msg)
    return Answer(units=_units(answer))


def _units(answer: Mapping[str, Any]) -> float:
    consumed = answer.get("ConsumedCapacity", ())
    parts = consumed if isinstance(consumed, list) else [consumed] if consumed else []
    return float(sum(part["CapacityUnits"] for part in parts))


def _key(item: Item) -> Item:
    return {"course_id": item["course_id"]}


def _new_items(generator: ItemGenerator, prefix: str) -> Iterator[Item]:
    """Yield courses of the same size without end, each under a key of its own."""
    courses = generator.count("Courses")
    for number in count():
        # six characters, as long as the key that it replaces
        key = f"{prefix}{number:05}"
        yield generator.item("Courses", number % courses) | {"course_id": {"S": key}}


def create_tables(client: Any) -> None:
    """Create the tables and wait until they can be used."""
    for name in ("Courses", "Written"):
        _create(client, name, "course_id", indexed=True)
    _create(client, "Enrollments", "enrollment_id", indexed=False)


def _create(client: Any, name: str, key: str, *, indexed: bool) -> None:
    attributes = [key]
    options: dict[str, Any] = {}
    if indexed:
        attributes += ["semester_id", "department_id"]
        options["GlobalSecondaryIndexes"] = [_INDEX]
    client.create_table(
        TableName=name,
        BillingMode="PAY_PER_REQUEST",
        KeySchema=[{"AttributeName": key, "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": a, "AttributeType": "S"} for a in attributes],
        **options,
    )
    client.get_waiter("table_exists").wait(TableName=name, WaiterConfig={"Delay": 1})


def fill_tables(client: Any, generator: ItemGenerator) -> None:
    """Write the items that are read: 10,000 courses and 50,000 enrollments at scale 1."""
    for table in ("Courses", "Enrollments"):
        items = generator.count(table)
        for start in range(0, items, _BATCH):
            stop = min(start + _BATCH, items)
            requests = [
                {"PutRequest": {"Item": item}} for item in generator.items(table, start, stop)
            ]
            _written(client.batch_write_item(RequestItems={table: requests}))
