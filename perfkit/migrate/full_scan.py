"""A table read whole, in the segments of a parallel scan: it can be ended and go on later."""

import threading
import time
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from math import floor
from typing import Any

from perfkit.capacity import Item, read_units
from perfkit.dynamodb.connection import Connection, consumed_units
from perfkit.dynamodb.retries import Backoff, RetryingConnection
from perfkit.dynamodb.sample import to_wire
from perfkit.dynamodb.tables import Keys
from perfkit.dynamodb.targets import Target, TargetKind
from perfkit.migrate.checkpoint import Checkpoint, Segment, TableProgress
from perfkit.migrate.proposals import Proposal
from perfkit.migrate.tally import Tally
from perfkit.migrate.threads import ReadingThreads
from perfkit.migrate.violations_file import ViolationsFile
from perfkit.workloads.profile import kind_of

__all__ = ["FullScan", "full_units", "kind_in_table", "page_units"]

_MOST_PAGE_UNITS = 128.0
"""Of 1 MB, eventually consistent."""
_LEAST_PAGE_UNITS = 2.5
_MEAN_ROUNDING = 0.25
"""Of half a unit."""

_SAVE_EVERY_S = 1.0


def page_units(rate: float | None, segments: int) -> float:
    """
    Return the read units of a page, at most.

    All of 1 MB would take a slow rate's units of many seconds at once, so all segments' pages take
    those of one second. Of very small pages each would be rounded up to half a unit for nothing.

    Args:
        rate: Read units a second; None for no limit.
        segments: Of the parallel scan.
    """
    if rate is None:
        return _MOST_PAGE_UNITS
    return min(max(rate / segments, _LEAST_PAGE_UNITS), _MOST_PAGE_UNITS)


def full_units(proposal: Proposal, page: float) -> float:
    """
    Return roughly the read units of reading a table once, from its description.

    Args:
        proposal: The table.
        page: Read units of a page; of each, a quarter more goes into rounding up on average.
    """
    if not proposal.state.size_bytes:
        return 0.0
    units = read_units(proposal.state.size_bytes)
    return units + floor(units / page) * _MEAN_ROUNDING


class FullScan:
    """The rest of one table, in threads; the caller's thread keeps how far they are."""

    def __init__(
        self,
        target: Target,
        connection: Connection,
        proposal: Proposal,
        progress: TableProgress,
        *,
        output: ViolationsFile | None,
        save: Callable[[], None],
        checkpoint: Checkpoint,
        advance: Callable[[str, int], None],
    ) -> None:
        self._raw_binary = target.kind is not TargetKind.EMBEDDED
        self._proposal = proposal
        self._progress = progress
        self._output = output
        self._write = save
        self._checkpoint = checkpoint
        self._advance = advance
        self._keys = {index.name: Keys.of(index) for index in proposal.indexes}
        self._lock = threading.Lock()
        self._threads = ReadingThreads()
        # whether the file of violations holds all of what is counted, and nothing else
        self._is_whole = True
        self._connection = RetryingConnection(
            connection, backoff=Backoff(pause=self._threads.pause)
        )
        self._request = self._scan()

    def run(self) -> None:
        """
        Read on to the end.

        Raises:
            DynamoDBError: The target refused.
            PerfkitError: A limit, a full disk.
        """
        self._save()
        saved_s = time.monotonic()

        def meanwhile() -> None:
            nonlocal saved_s
            self._tell()
            if time.monotonic() - saved_s >= _SAVE_EVERY_S:
                self._save()
                saved_s = time.monotonic()

        try:
            self._threads.run(
                [
                    partial(self._follow, number, segment)
                    for number, segment in enumerate(self._progress.segments)
                    if not segment.is_done
                ],
                meanwhile,
            )
        finally:
            self._save()

    def _tell(self) -> None:
        with self._lock:
            items = sum(each.tally.items for each in self._progress.segments)
        self._advance(self._proposal.state.name, items)

    def _save(self) -> None:
        with self._lock:
            if not self._is_whole:
                return
            if self._output is not None:
                self._checkpoint.violations_bytes = self._output.flush()
            self._write()

    def _scan(self) -> dict[str, Any]:
        names = [*self._proposal.state.keys.names]
        names += [name for each in self._keys.values() for name in each.names]
        if self._progress.kinds_by:
            names.append(self._progress.kinds_by)
        aliases = {f"#{number}": name for number, name in enumerate(dict.fromkeys(names))}
        request: dict[str, Any] = {
            "TableName": self._proposal.state.name,
            "ProjectionExpression": ", ".join(aliases),
            "ExpressionAttributeNames": aliases,
            "ReturnConsumedCapacity": "TOTAL",
        }
        if self._progress.page_items is not None:
            request["Limit"] = self._progress.page_items
        return request

    def _follow(self, number: int, segment: Segment) -> None:
        while not (segment.is_done or self._threads.stop.is_set()):
            self._page(number, segment)

    def _page(self, number: int, segment: Segment) -> None:
        request = dict(self._request)
        if len(self._progress.segments) > 1:
            request |= {"Segment": number, "TotalSegments": len(self._progress.segments)}
        if segment.start is not None:
            request["ExclusiveStartKey"] = (
                _with_bytes(segment.start) if self._raw_binary else segment.start
            )
        answer = self._connection.execute("Scan", request)
        items = [to_wire(item) for item in answer["Items"]]
        last = answer.get("LastEvaluatedKey")
        with self._lock:
            if self._threads.stop.is_set():
                # what the caller keeps does not know of this page any more
                return
            page = self._count(items, segment.tally)
            segment.tally.include(page)
            self._progress.read_units += consumed_units(answer) or 0.0
            segment.start = None if last is None else to_wire(last)
            segment.is_done = last is None

    def _count(self, items: Iterable[Item], before: Tally) -> Tally:
        """Return what a page says; its violations are written by then, or none of it counts."""
        page = Tally()
        try:
            for item in items:
                kind = kind_in_table(item, self._proposal, self._progress.kinds_by)
                kind = before.nameable(kind, len(page.kinds))
                for name, violation in page.add(item, kind, self._keys):
                    if self._output is not None:
                        self._output.write(self._proposal, item, name, violation)
        except BaseException:
            self._is_whole = False
            self._threads.stop.set()
            raise
        return page


def kind_in_table(item: Item, proposal: Proposal, by: str | None) -> str:
    """Return what kind of item this is; *by* tells kinds apart, None where there is one."""
    return "" if by is None else kind_of(item, proposal.state.keys.names, by)


def _with_bytes(key: Mapping[str, Mapping[str, str]]) -> Item:
    """Return a key as boto3 wants it: binary as bytes."""
    import base64

    return {
        name: {kind: base64.b64decode(content) if kind == "B" else content}
        for name, value in key.items()
        for kind, content in value.items()
    }
