"""What enforced throughput costs the embedded engine, on and off in turns."""

import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from itertools import count
from pathlib import Path
from typing import Any

from benchmarks.measuring import interleave
from benchmarks.section import Aim, Section, Table
from perfkit.embedded import Engine
from perfkit.embedded.buckets import Buckets
from perfkit.embedded.errors import DynamoDBError
from perfkit.embedded.throughput import Enforcement
from perfkit.measure.clock import FakeClock
from perfkit.units import TIMES

__all__ = ["compare"]

_ITEMS = 5_000
_QUERIED = 50
_CALLS = 200
_UNITS = {"ReadCapacityUnits": 100_000, "WriteCapacityUnits": 100_000}
_PAGE_UNITS = 75
_MINUTE_S = 60
_QUICKER = 10_000.0
"""Time of the buckets runs so much faster: the same work, and nothing is refused."""

_Call = Callable[[Engine], object]


def compare(*, quick: bool) -> Section:
    """Measure four operations with and without enforcement, on files with the same items."""
    rounds = 2 if quick else 15
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        buckets = Buckets(folder / "levels", clock=lambda: time.time() * _QUICKER)
        engines = {
            "off": _fill(Engine(folder / "off.sqlite3")),
            "on": _fill(Engine(folder / "on.sqlite3", enforcement=Enforcement(buckets))),
        }
        rows, ratios = [], {}
        for what, call in _operations().items():
            turns = {each: _turn(engine, call) for each, engine in engines.items()}
            seconds = interleave(turns, rounds=rounds)
            off, on = (statistics.median(seconds[each]) for each in ("off", "on"))
            ratios[what] = on / off
            rows.append([what, *(f"{each * 1e6:.0f} µs" for each in (off, on, on - off))])
        for engine in engines.values():
            engine.close()
    served, held = _served(quick=quick)
    return Section(
        title="Enforced throughput",
        method=(
            f"Medians of {rounds * _CALLS} calls each, without boto3, in turns of {_CALLS} on two"
            f" files of {_ITEMS:,} items of 1 KB with one global index.\n"
            f"The buckets fill {_QUICKER:,.0f} times as fast as they should, so that nothing is"
            " refused.\n"
            "Off, an operation asks one attribute that is None.\n"
            "What is served is counted in virtual time, second by second, on engines in memory."
        ),
        tables=[Table(["", "off", "on", "more"], rows), served],
        aims=[
            *(Aim.at_most(f"{what}, on ÷ off", ratio, 2.5) for what, ratio in ratios.items()),
            *held,
        ],
    )


# ---- what is served, in virtual time --------------------------------------------------------------


def _served(*, quick: bool) -> tuple[Table, list[Aim]]:
    """Return what three demands are served, beside what the limits come to by hand."""
    seconds = 200 if quick else 400
    found = {
        # 300 s of 100 units are saved up
        "reads of a table of 100 RCU, 300 asked a second": (
            *_read_a_table(seconds), 30_000 + 100 * seconds,
        ),
        # 300 s of 5
        "writes to a table with an index of 5 WCU, 20 asked a second": (
            *_write_an_index(seconds), 1_500 + 5 * seconds,
        ),
        "reads of one key of a table of 20,000 RCU, 5,000 asked a second": (
            *_read_a_key(_MINUTE_S), 3_000 * _MINUTE_S,
        ),
    }  # fmt: skip
    rows = [
        [what, f"{units:,.0f}", f"{expected:,}", reason]
        for what, (units, reason, expected) in found.items()
    ]
    aims = [
        Aim.at_most(f"{what}: off by", abs(units / expected - 1) * 100, 3, "%")
        for what, (units, _, expected) in found.items()
    ]
    return Table(["units in virtual time", "served", "by hand", "refused for"], rows), aims


class _Virtual:
    """An engine in memory that enforces by a clock of its own."""

    def __init__(self, units: tuple[int, int], index: tuple[int, int] | None = None) -> None:
        self.clock = FakeClock()
        buckets = Buckets(None, clock=self.clock.now)
        self.engine = Engine(":memory:", enforcement=Enforcement(buckets, clock=self.clock.now))
        names = ("ReadCapacityUnits", "WriteCapacityUnits")
        request: dict[str, Any] = {
            "TableName": "Things",
            "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}],
            "AttributeDefinitions": [{"AttributeName": "id", "AttributeType": "S"}],
            "ProvisionedThroughput": dict(zip(names, units, strict=True)),
        }
        if index is not None:
            request["AttributeDefinitions"].append({"AttributeName": "group", "AttributeType": "S"})
            request["GlobalSecondaryIndexes"] = [
                {
                    "IndexName": "ByGroup",
                    "KeySchema": [{"AttributeName": "group", "KeyType": "HASH"}],
                    "Projection": {"ProjectionType": "ALL"},
                    "ProvisionedThroughput": dict(zip(names, index, strict=True)),
                }
            ]
        self.engine.execute("CreateTable", request)

    def demand(
        self, seconds: int, rate: int, units: float, call: Callable[[], object]
    ) -> tuple[float, str]:
        """Ask so often a second; return the units that were served, and why others were not."""
        served, reason = 0.0, ""
        for _ in range(seconds * rate):
            self.clock.advance(1 / rate)
            try:
                call()
            except DynamoDBError as error:
                # which of the two depends on the exception
                named = {name.lower(): each for name, each in error.extra.items()}
                reason = named["throttlingreasons"][0]["reason"]
            else:
                served += units
        self.engine.close()
        return served, reason


def _read_a_table(seconds: int) -> tuple[float, str]:
    table = _Virtual((100, 100))
    for number in range(3):
        # 100 KB: a scan of the three takes 75 units, strongly consistent
        item = {"id": {"S": f"thing-{number}"}, "text": {"S": "x" * 100 * 1024}}
        table.engine.execute("PutItem", {"TableName": "Things", "Item": item})
    scan = {"TableName": "Things", "ConsistentRead": True, "Select": "COUNT"}
    return table.demand(seconds, 4, _PAGE_UNITS, lambda: table.engine.execute("Scan", scan))


def _write_an_index(seconds: int) -> tuple[float, str]:
    table = _Virtual((100, 1000), index=(100, 5))
    numbers = count()

    def put() -> object:
        item = {"id": {"S": f"thing-{next(numbers)}"}, "group": {"S": "all"}}
        return table.engine.execute("PutItem", {"TableName": "Things", "Item": item})

    return table.demand(seconds, 20, 1, put)


def _read_a_key(seconds: int) -> tuple[float, str]:
    table = _Virtual((20_000, 1000))
    # 400 KB, strongly consistent: 100 units
    item = {"id": {"S": "hot"}, "text": {"S": "x" * (400 * 1024 - 20)}}
    table.engine.execute("PutItem", {"TableName": "Things", "Item": item})
    query = {
        "TableName": "Things",
        "ConsistentRead": True,
        "Select": "COUNT",
        "KeyConditionExpression": "id = :hot",
        "ExpressionAttributeValues": {":hot": {"S": "hot"}},
    }
    return table.demand(seconds, 50, 100, lambda: table.engine.execute("Query", query))


def _turn(engine: Engine, call: _Call) -> Callable[[], Sequence[float]]:
    def turn() -> Sequence[float]:
        seconds = []
        for _ in range(_CALLS):
            start_s = time.perf_counter()
            call(engine)
            seconds.append(time.perf_counter() - start_s)
        return seconds

    return turn


def _operations() -> dict[str, _Call]:
    numbers = count()

    def item() -> dict[str, Any]:
        return _item(next(numbers) % _ITEMS)

    def get(engine: Engine) -> object:
        return engine.execute("GetItem", {"TableName": "Things", "Key": {"id": item()["id"]}})

    def query(engine: Engine) -> object:
        request = {
            "TableName": "Things",
            "IndexName": "ByGroup",
            "KeyConditionExpression": "#g = :g",
            "ExpressionAttributeNames": {"#g": "group"},
            "ExpressionAttributeValues": {":g": item()["group"]},
        }
        return engine.execute("Query", request)

    def put(engine: Engine) -> object:
        return engine.execute("PutItem", {"TableName": "Things", "Item": item()})

    def batch(engine: Engine) -> object:
        puts = [{"PutRequest": {"Item": item()}} for _ in range(25)]
        return engine.execute("BatchWriteItem", {"RequestItems": {"Things": puts}})

    return {
        "GetItem": get,
        f"Query of {_QUERIED} by index": query,
        "PutItem": put,
        f"BatchWriteItem of 25 {TIMES} 1 KB": batch,
    }


def _item(number: int) -> dict[str, Any]:
    group = number % (_ITEMS // _QUERIED)
    return {
        "id": {"S": f"thing-{number}"},
        "group": {"S": f"group-{group}"},
        "text": {"S": "x" * 970},
    }


def _fill(engine: Engine) -> Engine:
    names = ("id", "group")
    engine.execute(
        "CreateTable",
        {
            "TableName": "Things",
            "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}],
            "AttributeDefinitions": [
                {"AttributeName": name, "AttributeType": "S"} for name in names
            ],
            "ProvisionedThroughput": _UNITS,
            "GlobalSecondaryIndexes": [
                {
                    "IndexName": "ByGroup",
                    "KeySchema": [{"AttributeName": "group", "KeyType": "HASH"}],
                    "Projection": {"ProjectionType": "ALL"},
                    "ProvisionedThroughput": _UNITS,
                }
            ],
        },
    )
    engine.load("Things", [_item(number) for number in range(_ITEMS)])
    return engine
