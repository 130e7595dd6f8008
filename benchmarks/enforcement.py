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
from perfkit.embedded.throughput import Enforcement
from perfkit.units import TIMES

__all__ = ["compare"]

_ITEMS = 5_000
_QUERIED = 50
_CALLS = 200
_UNITS = {"ReadCapacityUnits": 100_000, "WriteCapacityUnits": 100_000}
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
    return Section(
        title="Enforced throughput",
        method=(
            f"Medians of {rounds * _CALLS} calls each, without boto3, in turns of {_CALLS} on two"
            f" files of {_ITEMS:,} items of 1 KB with one global index.\n"
            f"The buckets fill {_QUICKER:,.0f} times as fast as they should, so that nothing is"
            " refused.\n"
            "Off, an operation asks one attribute that is None."
        ),
        tables=[Table(["", "off", "on", "more"], rows)],
        aims=[Aim.at_most(f"{what}, on ÷ off", ratio, 2.5) for what, ratio in ratios.items()],
    )


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
