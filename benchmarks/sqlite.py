"""The engine's full scan against a bare SQLite read of the same rows."""

import json
import re
import sqlite3
import statistics
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson

from benchmarks.measuring import interleave, timed
from benchmarks.section import Aim, Section, Table
from perfkit.embedded import Engine
from perfkit.errors import ResultsDifferError
from perfkit.units import format_count, format_ratio
from perfkit.workloads.generator import ItemGenerator
from perfkit.workloads.loader import load

__all__ = ["compare"]

_COUNT = re.compile(rb'"ScannedCount":([0-9]+)')
_KEY = re.compile(rb'"LastEvaluatedKey":({"enrollment_id":{[^}]*}})')

_LIMIT = 2.5
_NOTE = (
    "A filter on equal strings skips items by their bytes; one on an order of numbers has to"
    " parse every item."
)
_BY_ROW = "bare SQLite by row"
_BY_KEY = "bare SQLite by key"
_UNFILTERED = "Scan, unfiltered"
_BY_BYTES = "Scan, filter `user_id = :user`"
_PARSED = "Scan, filter `grade > :grade`"


def compare(*, quick: bool) -> Section:
    """Measure scans of all enrollments."""
    scale = 0.1 if quick else 1.0
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "scan.sqlite3"
        engine = Engine(path)
        try:
            items = _fill(engine, scale)
            connection = sqlite3.connect(path)
            try:
                seconds = _measure(engine, connection, items, rounds=5 if quick else 15)
            finally:
                connection.close()
        finally:
            engine.close()
    medians = {name: statistics.median(times) for name, times in seconds.items()}
    rows = [
        [
            name,
            f"{median * 1e3:.1f}",
            f"{median / items * 1e6:.2f}",
            format_ratio(median / medians[_BY_KEY]),
            format_ratio(median / medians[_BY_ROW]),
        ]
        for name, median in medians.items()
    ]
    return Section(
        title="The engine's scan against bare SQLite",
        method=(
            f"Medians over {len(seconds[_UNFILTERED])} interleaved rounds in one process;"
            f" {format_count(items)} items of 1,024 bytes in one file, all pages.\n"
            "Bare SQLite is `SELECT size, data`, what a scan needs of each row, in Python's sqlite3"
            " with the engine's 64 MB of cache and its mapped file.\n"
            "A Scan has to go in order of key, or it could not be resumed or cut into segments;"
            " the file holds items in order of writing. Both reads are shown.\n"
            "The engine's answers are finished JSON."
        ),
        tables=[Table(["", "ms", "µs an item", "÷ by key", "÷ by row"], rows)],
        aims=[
            Aim.at_most(f"{name} ÷ {read}", medians[name] / medians[read], _LIMIT)
            for name in (_UNFILTERED, _BY_BYTES, _PARSED)
            for read in (_BY_KEY, _BY_ROW)
        ],
        notes=[_NOTE],
    )


def _fill(engine: Engine, scale: float) -> int:
    generator = ItemGenerator(load("courses"), scale=scale)
    engine.execute(
        "CreateTable",
        {
            "TableName": "Enrollments",
            "BillingMode": "PAY_PER_REQUEST",
            "KeySchema": [{"AttributeName": "enrollment_id", "KeyType": "HASH"}],
            "AttributeDefinitions": [{"AttributeName": "enrollment_id", "AttributeType": "S"}],
        },
    )
    # where an engine has a CREATING state, a look ends it
    engine.execute("DescribeTable", {"TableName": "Enrollments"})
    items = generator.count("Enrollments")
    for start in range(0, items, 25):
        batch = generator.items("Enrollments", start, min(start + 25, items))
        requests = [{"PutRequest": {"Item": item}} for item in batch]
        engine.execute("BatchWriteItem", {"RequestItems": {"Enrollments": requests}})
    return items


def _measure(
    engine: Engine, connection: sqlite3.Connection, items: int, *, rounds: int
) -> dict[str, list[float]]:
    connection.execute("PRAGMA cache_size = -65536")
    connection.execute(f"PRAGMA mmap_size = {2 << 30}")
    (definition,) = connection.execute("SELECT definition FROM catalog").fetchone()
    rows = f"SELECT size, data FROM t{json.loads(definition)['store']}"

    def bare(sql: str) -> Callable[[], None]:
        def read() -> None:
            found = 0
            for _ in connection.execute(sql):
                found += 1
            _check(found, items)

        return read

    def scan(**request: Any) -> Callable[[], None]:
        def read() -> None:
            _check(_scan(engine, request), items)

        return read

    turns = {
        _BY_ROW: bare(rows),
        _BY_KEY: bare(f"{rows} ORDER BY k"),
        _UNFILTERED: scan(),
        _BY_BYTES: scan(
            FilterExpression="user_id = :user",
            ExpressionAttributeValues={":user": {"S": "student123"}},
        ),
        _PARSED: scan(
            FilterExpression="grade > :grade",
            ExpressionAttributeValues={":grade": {"N": "3.9"}},
        ),
    }
    for warm_up in turns.values():
        warm_up()
    return interleave({name: timed(read) for name, read in turns.items()}, rounds=rounds)


def _scan(engine: Engine, request: dict[str, Any]) -> int:
    """Scan all pages and return how many items were read."""
    read = 0
    start: dict[str, Any] = {}
    while True:
        page = engine.execute("Scan", {"TableName": "Enrollments", **request, **start})
        # parsing whole pages would measure the JSON parser; these members are beside the items
        edges = page[:100] + page[-200:]
        count, key = _COUNT.search(edges), _KEY.search(edges)
        read += int(count[1]) if count else 0
        if key is None:
            return read
        start = {"ExclusiveStartKey": orjson.loads(key[1])}


def _check(found: int, expected: int) -> None:
    if found != expected:
        msg = f"a scan read {found:,} of {expected:,} items"
        raise ResultsDifferError(msg)
