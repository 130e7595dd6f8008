"""
An embedded DynamoDB over HTTP that notes what each call consumed: `python -m benchmarks.counting`.

What it notes is its own count: it asks the engine for the units whether or not the client does.
"""

import sys
import time
from pathlib import Path
from typing import Any

import orjson

from perfkit.embedded import Engine
from perfkit.embedded.http import serve
from perfkit.processes.sockets import bind, url_of

__all__ = ["READS", "WRITES"]

READS = frozenset({"BatchGetItem", "GetItem", "Query", "Scan", "TransactGetItems"})
WRITES = frozenset({"BatchWriteItem", "DeleteItem", "PutItem", "TransactWriteItems", "UpdateItem"})


class _Counting(Engine):
    """The engine, with a line in a file for each call that consumed units."""

    def __init__(self, path: Path, notes: Path) -> None:
        super().__init__(path)
        # lines of a few bytes, each written at once
        self._notes = notes.open("a", buffering=1, encoding="ascii")

    def execute(self, operation: str, request: dict[str, Any]) -> bytes:
        if operation not in READS | WRITES:
            return super().execute(operation, request)
        begun_s = time.monotonic()
        body = super().execute(operation, {**request, "ReturnConsumedCapacity": "TOTAL"})
        consumed = orjson.loads(body)["ConsumedCapacity"]
        parts = consumed if isinstance(consumed, list) else [consumed]
        units = sum(part["CapacityUnits"] for part in parts)
        self._notes.write(f"{begun_s:.6f} {operation} {units}\n")
        return body


def main() -> None:
    """Serve a data file until ended, and note what calls consume."""
    data, notes = map(Path, sys.argv[1:])
    listener = bind("127.0.0.1", 0)
    serve(
        _Counting(data, notes),
        listener,
        "127.0.0.1",
        started=lambda: print(url_of(listener, "127.0.0.1"), flush=True),
    )


if __name__ == "__main__":
    main()
