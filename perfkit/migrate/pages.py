"""All pages of a table or an index, read by the segments of a parallel scan."""

import threading
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from perfkit.capacity import Item
from perfkit.dynamodb.connection import Connection, consumed_units
from perfkit.dynamodb.retries import Backoff, RetryingConnection
from perfkit.migrate.threads import ReadingThreads

__all__ = ["PageReader"]

_FIRST_PAGE_ITEMS = 25


class PageReader:
    """
    Reads tables and indexes whole, eventually consistent.

    Args:
        connection: Where.
        segments: Of the parallel scan, each in a thread of its own.
        page_units: Read units of a page at most; None for as many as a page takes.

    Attributes:
        read_units: Consumed so far, as the target says.
    """

    def __init__(
        self, connection: Connection, *, segments: int, page_units: float | None = None
    ) -> None:
        self._threads = ReadingThreads()
        self._connection = RetryingConnection(
            connection, backoff=Backoff(pause=self._threads.pause)
        )
        self._segments = segments
        self._page_units = page_units
        self._lock = threading.Lock()
        self.read_units = 0.0

    def read(self, request: Mapping[str, Any], take: Callable[[list[Item]], None]) -> None:
        """
        Hand all items of a scan to *take*, a page at a time and one page after the other.

        Raises:
            DynamoDBError: The target refused.
            PerfkitError: A limit was reached, or what *take* raises.
        """
        self._threads.stop.clear()
        segments = 1 if self._ignores_segments(request) else self._segments
        self._threads.run(
            [partial(self._follow, request, number, segments, take) for number in range(segments)]
        )

    def _ignores_segments(self, request: Mapping[str, Any]) -> bool:
        """Tell whether the target gives every segment the whole table, as DynamoDB Local does."""
        if self._segments == 1:
            return True
        firsts = []
        for number in range(2):
            part = {"Segment": number, "TotalSegments": self._segments, "Limit": 1}
            answer = self._connection.execute("Scan", {**request, **part})
            self._count(answer)
            firsts.append(answer["Items"])
        return bool(firsts[0]) and firsts[0] == firsts[1]

    def _follow(
        self,
        request: Mapping[str, Any],
        number: int,
        segments: int,
        take: Callable[[list[Item]], None],
    ) -> None:
        asked = dict(request)
        if segments > 1:
            asked |= {"Segment": number, "TotalSegments": segments}
        if self._page_units is not None:
            asked["Limit"] = _FIRST_PAGE_ITEMS
        stop = self._threads.stop
        while not stop.is_set():
            answer = self._connection.execute("Scan", asked)
            units = self._count(answer)
            with self._lock:
                # nobody waits for it any more
                if stop.is_set():
                    return
                take(answer["Items"])
            if "LastEvaluatedKey" not in answer:
                return
            asked["ExclusiveStartKey"] = answer["LastEvaluatedKey"]
            if self._page_units is not None and units and answer.get("ScannedCount"):
                asked["Limit"] = _fitting(self._page_units, units, answer["ScannedCount"])

    def _count(self, answer: Mapping[str, Any]) -> float:
        units = consumed_units(answer) or 0.0
        with self._lock:
            self.read_units += units
        return units


def _fitting(page_units: float, units: float, items: int) -> int:
    """Return how many items take *page_units*, going by a page of items that took *units*."""
    return max(1, int(page_units * items / units))
