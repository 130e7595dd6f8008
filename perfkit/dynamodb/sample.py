"""
A bounded sample of a table that is in use: some items from all over its key space; it only reads.

The key space is cut into the segments of a parallel scan, of which some are chosen by chance, as
many from every stretch; each gives its first items. DynamoDB assigns items to segments by a hash
of their partition key (developer guide, "parallel scan"), so this is a sample of partition keys,
and items of one partition key come together. What that means for the items:

- Where partition keys have few items each, every item is about as likely to be taken as any other.
- Of a partition key with more items than are taken of a segment at a time, only the first by sort
  key are seen, and it gets less than its share. `SampleFacts.cut_segments` counts where that
  happened.
- Items taken of one segment may resemble each other; `SampledItem.segment` lets statistics reckon
  with it (see `workloads.profile`).

Or whole segments are taken, much narrower ones: `Sampling(..., whole_segments=True)`. Then every
partition key is as likely to be in the sample as any other, with all its items, so sums over the
table can be estimated. `SampleFacts.cut` names segments with more items than can be afforded.
"""

import base64
import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from math import ceil
from typing import Any

from perfkit.capacity import READ_UNIT_BYTES, Item, item_size, read_units
from perfkit.dynamodb.connection import consumed_units
from perfkit.dynamodb.retries import RetryingConnection
from perfkit.dynamodb.tables import TableState
from perfkit.measure.cluster_sample import ClusterSample

__all__ = [
    "Sample",
    "SampleFacts",
    "SampleLimits",
    "SampledItem",
    "Sampling",
    "every_item",
    "take_sample",
    "to_wire",
]

_ITEMS_A_VISIT = 10
"""Items of 400 bytes, ten of them, cost no more than the half unit that a single one does."""

_LEAST_UNITS = 100
_MOST_VISITS = 100
_FEWEST_SEGMENTS = 4
_SEGMENTS_A_VISIT = 4
_EVENTUAL_BYTES_A_UNIT = 2 * READ_UNIT_BYTES
_MOST_SEGMENTS = 1_000_000
"""Of DynamoDB's TotalSegments."""
_MOST_WHOLE_SEGMENTS = 200
_MOST_OF_A_SAMPLE = 0.25
"""More of one segment are not taken: it holds a large partition key."""
_MOST_TIMES = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleLimits:
    """
    Where a sample ends: at whatever comes first.

    Args:
        items: Most items.
        read_units: Most read units. What a page costs is known when it has come, so this may be
            exceeded by what is wrong in guessing its size from those before, a page (1 MB) at most.
    """

    items: int = 1000
    read_units: float = 2500.0

    def for_table(self, table: TableState) -> "SampleLimits":
        """
        Return these limits with no more read units than a table's sample should take.

        From the sizes in the table's description, and half as much again, because a sample's items
        may be larger than the average. A description may be hours old, and that of a stand-in
        wrong: a hundred units are always allowed, and where it says nothing the limit stays.
        """
        if table.items <= 0 or table.size_bytes <= 0:
            return self
        items = min(self.items, table.items)
        size_bytes = 1.5 * items * table.size_bytes / table.items
        # half a unit a page for rounding up, and for each segment that turns out empty
        segments, visits = _cut(table.items, self.items)
        units = ceil(size_bytes / _EVENTUAL_BYTES_A_UNIT + (segments + visits) / 2)
        return replace(self, read_units=min(self.read_units, max(_LEAST_UNITS, units)))


@dataclass(frozen=True, slots=True, kw_only=True)
class SampledItem:
    """
    One item of a sample.

    Args:
        item: As on the wire, binary values as base64 text whatever the target.
        size_bytes: As DynamoDB bills it.
        segment: Where in the key space it was found; items of one segment belong together.
    """

    item: Item
    size_bytes: int
    segment: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleFacts:
    """
    How a sample was taken.

    Args:
        table: The table as described before; counts and sizes are hours old on AWS.
        items: Items taken.
        size_bytes: Of these together.
        segments: Into so many the key space was cut.
        segments_read: So many of them were looked at.
        cut_segments: So many gave nothing but the first items of one partition key that has more.
        read: The numbers of those that were looked at.
        cut: Of these, the ones that have more items than were taken.
        pages: Requests that were answered.
        read_units: What the target says it consumed; None if it does not say.
        modelled_units: What DynamoDB bills for these pages, from their items' sizes.
        retries: Requests sent again, for whatever reason.
        throttles: Of these, those refused for lack of capacity.
        whole: The sample is the whole table.
        spent_limit: The most read units allowed, where they ended the sample before it had as many
            items as wanted; else None.
        ignores_segments: The target does not know parallel scans, as DynamoDB Local: the items
            are the first ones of the table, not from all over it.
    """

    table: TableState
    items: int
    size_bytes: int
    segments: int
    segments_read: int
    cut_segments: int
    read: tuple[int, ...]
    cut: frozenset[int]
    pages: int
    read_units: float | None
    modelled_units: float
    retries: int
    throttles: int
    whole: bool
    spent_limit: float | None
    ignores_segments: bool

    @property
    def table_items(self) -> int | None:
        """Items in the table: counted if the sample is all of it, else as the target says, if it knows."""
        if self.whole:
            return self.items
        return self.table.items if self.table.items >= self.items else None

    @property
    def estimated_items(self) -> int:
        """
        Items in the table, also where the target does not say.

        Then as many times those taken as there are more segments than were read; if some have more
        than was taken, there are more.
        """
        if self.table_items is not None:
            return self.table_items
        return ceil(self.items * self.segments / max(self.segments_read, 1))

    def clusters(self, sizes: Mapping[int, int]) -> ClusterSample:
        """
        Return what statistics reckon with.

        Args:
            sizes: Items taken, by segment.
        """
        if self.whole:
            return ClusterSample(sizes=sizes, clusters=1, population=self.items, whole=True)
        return ClusterSample(
            sizes={each: sizes.get(each, 0) for each in self.read},
            cut=self.cut,
            clusters=self.segments,
            population=self.estimated_items,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """The items of a sample, and how it was taken."""

    items: tuple[SampledItem, ...]
    facts: SampleFacts


@dataclass(slots=True, kw_only=True)
class _Segment:
    """How far a segment is read."""

    number: int
    start: dict[str, Any] | None = None
    begun: bool = False
    partition: str | None = None
    mixed: bool = False
    items: int = 0

    @property
    def is_cut(self) -> bool:
        return self.start is not None and self.partition is not None and not self.mixed


class Sampling:
    """
    Taking a sample: iterate over it for the items, page by page, then ask for its `facts`.

    The same seed takes the same items, as long as nobody writes to the table. Nothing is kept
    of items once they are handed out.

    Args:
        connection: Where the table is; its repeats are counted.
        table: The table, as described.
        limits: Where to end.
        seed: Another one takes other items.
        whole_segments: Take narrow segments to their ends, instead of the first items of wide ones.
    """

    def __init__(
        self,
        connection: RetryingConnection,
        table: TableState,
        *,
        limits: SampleLimits,
        seed: int = 0,
        whole_segments: bool = False,
    ) -> None:
        self._connection = connection
        self._table = table
        self._limits = limits
        rng = random.Random(seed)  # noqa: S311 - repeatable, and nothing is secret
        self._whole_segments = whole_segments
        if whole_segments:
            self._segments, visits = _cut_narrow(table.items, limits.items)
            # so many and no more: to stop by what was found would favour what is found early
            order = iter(rng.sample(range(self._segments), visits))
            most = 1.0 if table.items <= limits.items else _MOST_OF_A_SAMPLE
            self._limit = max(_ITEMS_A_VISIT, ceil(limits.items * most))
        else:
            self._segments, visits = _cut(table.items, limits.items)
            order = _order(self._segments, visits, rng)
            self._limit = max(_ITEMS_A_VISIT, ceil(limits.items / visits))
        self._waiting = [_Segment(number=each) for each in order]
        self._read: list[_Segment] = []
        self._items = self._bytes = self._pages = 0
        self._reported_units: float | None = 0.0
        self._modelled_units = self._spent_units = 0.0
        self._first_key: dict[str, Any] | None = None
        self._ignores_segments = False
        self._repeats_before = connection.repeats
        self._throttles_before = connection.throttles

    def __iter__(self) -> Iterator[SampledItem]:
        """
        Read on, and yield each item.

        Raises:
            DynamoDBError: The target refused, or the table is gone.
        """
        if self._table.items <= 0 and not self._pages and self._is_empty():
            self._waiting.clear()
        while self._waiting and (limit := self._page_limit()) > 0:
            yield from self._page(self._waiting.pop(0), limit)

    def facts(self) -> SampleFacts:
        """Return how it went so far."""
        return SampleFacts(
            table=self._table,
            items=self._items,
            size_bytes=self._bytes,
            segments=self._segments,
            segments_read=len(self._read),
            # without a sort key a partition key has one item, and nothing to cut
            cut_segments=sum(each.is_cut for each in self._read) if self._table.keys.sort else 0,
            read=tuple(each.number for each in self._read),
            cut=frozenset(each.number for each in self._read if each.start is not None),
            pages=self._pages,
            read_units=self._reported_units,
            modelled_units=self._modelled_units,
            retries=self._connection.repeats - self._repeats_before,
            throttles=self._connection.throttles - self._throttles_before,
            whole=not self._waiting and (not self._whole_segments or self._is_everything()),
            spent_limit=self._limits.read_units
            if self._waiting and self._items < self._limits.items
            else None,
            ignores_segments=self._ignores_segments,
        )

    def _is_everything(self) -> bool:
        """Return whether every segment was read to its end."""
        return (self._ignores_segments or len(self._read) == self._segments) and all(
            each.start is None for each in self._read
        )

    def _is_empty(self) -> bool:
        """
        Return whether a table that is said to have no items has none.

        It costs half a unit to know; looking at all segments of one that has none, many.
        """
        answer = self._connection.execute(
            "Scan",
            {"TableName": self._table.name, "Limit": 1, "ReturnConsumedCapacity": "TOTAL"},
        )
        self._account(answer, sum(map(item_size, answer["Items"])))
        return not answer["Items"] and "LastEvaluatedKey" not in answer

    def _page(self, segment: _Segment, limit: int) -> Iterator[SampledItem]:
        request: dict[str, Any] = {
            "TableName": self._table.name,
            "Limit": limit,
            "ReturnConsumedCapacity": "TOTAL",
        }
        if not self._ignores_segments:
            request |= {"Segment": segment.number, "TotalSegments": self._segments}
        if segment.start is not None:
            request["ExclusiveStartKey"] = segment.start
        answer = self._connection.execute("Scan", request)
        found = [to_wire(item) for item in answer["Items"]]
        sizes = [item_size(item) for item in found]
        self._account(answer, sum(sizes))
        if found and not segment.begun and self._is_repeated(found[0]):
            self._go_on_in_order()
            return
        if not segment.begun:
            segment.begun = True
            self._read.append(segment)
        segment.start = answer.get("LastEvaluatedKey")
        segment.items += len(found)
        if segment.start is not None:
            if not self._whole_segments or self._ignores_segments:
                self._waiting.append(segment)
            elif segment.items < self._limit:
                self._waiting.insert(0, segment)
        name = self._table.keys.partition[0][0]
        for item, size_bytes in zip(found, sizes, strict=True):
            partition = repr(item.get(name))
            segment.mixed = segment.mixed or segment.partition not in {None, partition}
            segment.partition = partition
            self._items += 1
            self._bytes += size_bytes
            yield SampledItem(item=item, size_bytes=size_bytes, segment=segment.number)

    def _page_limit(self) -> int:
        """Return how many items to ask for, so that neither limit is exceeded as far as one can tell."""
        limit = min(self._limit, self._limits.items - self._items)
        if self._whole_segments:
            # so many are to be expected, and may be a few more
            limit = self._limit if self._items < _MOST_TIMES * self._limits.items else 0
        known, size_bytes = self._table.items, self._table.size_bytes
        if self._items:
            known, size_bytes = self._items, self._bytes
        room_bytes = (self._limits.read_units - self._spent_units) * _EVENTUAL_BYTES_A_UNIT
        if room_bytes <= 0:
            return 0
        if known > 0 and size_bytes > 0:
            limit = min(limit, int(room_bytes * known / size_bytes))
        # however little may be read, one item is
        return limit if self._pages else max(1, limit)

    def _account(self, answer: dict[str, Any], size_bytes: int) -> None:
        reported = consumed_units(answer)
        due = read_units(size_bytes)
        self._pages += 1
        self._modelled_units += due
        if reported is None or self._reported_units is None:
            self._reported_units = None
        else:
            self._reported_units += reported
        # a target that is known to say too little must not be read without a limit
        spent = max(reported or 0.0, due)
        self._spent_units += spent

    def _is_repeated(self, first: Item) -> bool:
        """Return whether a segment begins with the item that the first one began with."""
        key = {name: first.get(name) for name in self._table.keys.names}
        if self._first_key is None:
            self._first_key = key
            return False
        return key == self._first_key

    def _go_on_in_order(self) -> None:
        """Read on in the one stretch that there is: the target gave a segment what was in another."""
        self._ignores_segments = True
        begun = [each for each in self._read if each.partition is not None]
        self._read = begun
        self._waiting = [each for each in begun if each.start is not None]
        self._segments = 1


def take_sample(
    connection: RetryingConnection,
    table: TableState,
    *,
    limits: SampleLimits,
    seed: int = 0,
    whole_segments: bool = False,
) -> Sample:
    """
    Return a sample of a table; all of it is kept in memory.

    Args:
        connection: Where the table is.
        table: The table, as described.
        limits: Where to end.
        seed: Another one takes other items.
        whole_segments: Take narrow segments to their ends, instead of the first items of wide ones.

    Raises:
        DynamoDBError: The target refused, or the table is gone.
    """
    sampling = Sampling(connection, table, limits=limits, seed=seed, whole_segments=whole_segments)
    items = tuple(sampling)
    return Sample(items=items, facts=sampling.facts())


def every_item(connection: RetryingConnection, table: TableState) -> Iterator[SampledItem]:
    """
    Yield every item of a table, page by page; nothing is kept of them.

    Raises:
        DynamoDBError: The target refused, or the table is gone.
    """
    request: dict[str, Any] = {"TableName": table.name}
    while True:
        answer = connection.execute("Scan", request)
        for item in map(to_wire, answer["Items"]):
            yield SampledItem(item=item, size_bytes=item_size(item), segment=0)
        if "LastEvaluatedKey" not in answer:
            return
        request["ExclusiveStartKey"] = answer["LastEvaluatedKey"]


def _cut(table_items: int, wanted: int) -> tuple[int, int]:
    """Return into how many segments to cut the key space, and how many of them will be looked at."""
    visits = ceil(min(wanted, table_items or wanted) / _ITEMS_A_VISIT)
    visits = min(max(visits, _FEWEST_SEGMENTS), _MOST_VISITS)
    # chosen by chance out of more, unless about all of the table is to be read anyway
    return visits * min(max(table_items // max(wanted, 1), 1), _SEGMENTS_A_VISIT), visits


def _cut_narrow(table_items: int, wanted: int) -> tuple[int, int]:
    """Return into how many segments to cut the key space, and how many of them give what is wanted."""
    items_each = max(
        _ITEMS_A_VISIT, ceil(min(wanted, table_items or wanted) / _MOST_WHOLE_SEGMENTS)
    )
    segments = min(
        max(ceil((table_items or wanted) / items_each), _FEWEST_SEGMENTS), _MOST_SEGMENTS
    )
    return segments, min(segments, ceil(wanted / items_each))


def _order(segments: int, visits: int, rng: random.Random) -> Iterator[int]:
    """Yield all segments, first one of every stretch in any order, then another one of each, …"""
    width = segments // visits
    stretches = [
        rng.sample(range(first, first + width), width) for first in range(0, segments, width)
    ]
    for turn in range(width):
        rng.shuffle(stretches)
        yield from (stretch[turn] for stretch in stretches)


def to_wire(item: Item) -> Item:
    """Return an item or key as it is on the wire, whatever the target gave."""
    return {name: _wire(value) for name, value in item.items()}


def _wire(value: dict[str, Any]) -> dict[str, Any]:
    """Return a value as it is on the wire: boto3 gives binary as bytes."""
    ((kind, content),) = value.items()
    match kind:
        case "B" if isinstance(content, bytes):
            return {kind: base64.b64encode(content).decode()}
        case "BS":
            return {kind: [_wire({"B": member})["B"] for member in content]}
        case "M":
            return {kind: {name: _wire(member) for name, member in content.items()}}
        case "L":
            return {kind: [_wire(member) for member in content]}
        case _:
            return value
