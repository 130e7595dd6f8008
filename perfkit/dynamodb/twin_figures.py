"""What a twin of a table, whole or of a sample, says of the table: queries, entries, storage."""

import hashlib
import random
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import ceil
from typing import Any

from perfkit.capacity import (
    INDEX_ENTRY_OVERHEAD_BYTES,
    MAX_ITEM_BYTES,
    READ_UNIT_BYTES,
    Item,
    item_size,
    read_units,
)
from perfkit.dynamodb.estimates import stored_size
from perfkit.dynamodb.index_items import Reason, Violation, violations
from perfkit.dynamodb.sample import SampledItem, SampleFacts
from perfkit.dynamodb.tables import Keys
from perfkit.dynamodb.twin import Twin
from perfkit.measure.cluster_sample import (
    ClusterSample,
    count_in_table,
    mean_of_hits,
    members_in_table,
    sum_of_members,
)
from perfkit.workloads.model import Index, Table
from perfkit.workloads.profile import Estimate, design_effect

__all__ = ["IndexFigures", "QueryFigures", "TableTwin", "query_units"]

_PAGE_BYTES = 1_048_576
_FEW_PLACES = 5
"""From fewer the design effect of what was found there cannot be told."""
_KEPT = 400
"""Items kept to be written again and again: enough for means of write units."""


@dataclass(frozen=True, slots=True, kw_only=True)
class QueryFigures:
    """
    What a query would take of the whole table; modelled.

    Args:
        read_units: Of one call, eventually consistent.
        items_read: Entries that it reads.
        items_returned: Of these, those that pass its filter.
        hits: Entries that it read in the twin.
    """

    read_units: Estimate
    items_read: Estimate
    items_returned: Estimate
    hits: int


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexFigures:
    """
    What an index would hold of the whole table; modelled.

    Args:
        entries: Items that it has.
        entry_bytes: Their mean size as throughput is billed.
        stored_bytes: As storage is billed, with the overhead of each entry.
        left_out: Items of the twin that it would leave out, by the first reason.
        violating: Items of the table that have a key attribute of the index and violate it: they
            would not be in the index, and writes of their kind would be refused.
    """

    entries: Estimate
    entry_bytes: float
    stored_bytes: Estimate
    left_out: Mapping[Violation, int]
    violating: Estimate


@dataclass(slots=True)
class _Entries:
    """What the items of a twin have for one index."""

    belonging: Counter[int] = field(default_factory=Counter)
    sizes: list[int] = field(default_factory=list)
    stored: dict[int, list[int]] = field(default_factory=dict)
    others: list[int] = field(default_factory=list)
    total_bytes: int = 0
    total_stored: int = 0
    left_out: Counter[Violation] = field(default_factory=Counter)
    violating: Counter[int] = field(default_factory=Counter)
    groups: dict[bytes, Counter[int]] = field(default_factory=dict)


class TableTwin:
    """
    A table's items in a twin, with the indexes a workload gives it.

    Args:
        twin: Where to.
        table: As the workload has it, with its indexes.
        keys: Of the table, as it is.
        indexes: Those to make; all of the table's if left out.
    """

    def __init__(
        self, twin: Twin, table: Table, keys: Keys, indexes: Sequence[Index] | None = None
    ) -> None:
        self.table = table
        self._twin = twin
        self._keys = keys
        # a local index takes another table key's place, and is never one to be made
        self._indexes = {
            each.name: each
            for each in (table.indexes if indexes is None else indexes)
            if not each.local
        }
        self._entries = {name: _Entries() for name in self._indexes}
        self._places: dict[tuple[str, ...], int] = {}
        self._sizes: Counter[int] = Counter()
        self._partitions: Counter[bytes] = Counter()
        self._kept: list[Item] = []
        self._rng = random.Random(0)  # noqa: S311 - repeatable, and nothing is secret
        self._items = 0
        self._whole = False
        self._counted = True
        self._sample = ClusterSample(sizes={}, clusters=0, population=0)
        twin.make_table(table.name, keys)

    @property
    def items(self) -> int:
        """Items in the twin."""
        return self._items

    @property
    def table_items(self) -> int:
        """Items of the table, as far as is known."""
        return self._sample.population

    @property
    def whole(self) -> bool:
        """Whether all of the table is in the twin."""
        return self._whole

    @property
    def counted(self) -> bool:
        """Whether the target says how many items the table has, or all were copied."""
        return self._counted

    @property
    def some_items(self) -> Sequence[Item]:
        """Up to 400 of its items, by chance."""
        return self._kept

    def fill(self, items: Iterable[SampledItem], *, whole: bool = False) -> None:
        """
        Copy items; call `scale` and `index` afterwards.

        Args:
            items: From the table.
            whole: They are all of it: where each was found is of no interest then.
        """
        self._whole = whole
        self._twin.load(self.table.name, self._noted(items))

    def scale(self, facts: SampleFacts | None = None) -> None:
        """
        Say what the items are a part of.

        Args:
            facts: How the sample was taken; None where the items are the whole table.
        """
        if facts is None or facts.whole:
            self._whole = True
            self._sample = ClusterSample(
                sizes=dict(self._sizes), clusters=1, population=self._items, whole=True
            )
            return
        self._counted = facts.table_items is not None
        self._sample = facts.clusters(self._sizes)

    def index(self) -> None:
        """Make the indexes."""
        for index in self._indexes.values():
            self._twin.add_index(self.table.name, index)

    def ask(
        self, request: Mapping[str, Any], filtered: Mapping[str, Any] | None = None
    ) -> QueryFigures:
        """
        Return what a query takes of the whole table.

        Args:
            request: The query without its filter, as on the wire.
            filtered: The same with its filter, if it has one.
        """
        index = request["IndexName"]
        entries: defaultdict[int, list[float]] = defaultdict(list)
        units, hits = 0.0, 0
        for page in self._twin.pages("Query", request):
            units += page["ConsumedCapacity"]["CapacityUnits"]
            hits += len(page["Items"])
            if not self._whole:
                for entry in page["Items"]:
                    entries[self._place(entry)].append(item_size(entry))
        returned: Counter[int] = Counter()
        if filtered is not None:
            for page in self._twin.pages("Query", filtered):
                if self._whole:
                    returned[0] += len(page["Items"])
                else:
                    returned.update(map(self._place, page["Items"]))
        if self._whole:
            return QueryFigures(
                read_units=Estimate.exactly(units),
                items_read=Estimate.exactly(hits),
                items_returned=Estimate.exactly(hits if filtered is None else returned.total()),
                hits=hits,
            )
        sample, known = self._sample, self._entries[index]
        effect = design_effect(known.groups.values(), sample.sizes)
        counts = {place: len(sizes) for place, sizes in entries.items()}
        items = count_in_table(counts, sample, effect=effect)
        size = mean_of_hits(entries, known.sizes or [0], sample)
        return QueryFigures(
            read_units=Estimate(
                value=query_units(items.value * size.value),
                low=query_units(items.low * size.low),
                high=query_units(items.high * size.high, at_most=True),
            ),
            items_read=items,
            items_returned=items
            if filtered is None
            else count_in_table(returned, sample, effect=effect),
            hits=hits,
        )

    def found(self, operation: str, request: Mapping[str, Any]) -> frozenset[tuple[str, ...]]:
        """Return the keys of what a query or scan of the twin finds."""
        return frozenset(
            self._key(item)
            for page in self._twin.pages(operation, request)
            for item in page["Items"]
        )

    def entries(self, index: str) -> IndexFigures:
        """
        Return what an index holds of the whole table.

        Raises:
            KeyError: The twin has no such index.
        """
        found, sample = self._entries[index], self._sample
        items = found.belonging.total()
        if self._whole:
            entries = Estimate.exactly(items)
            stored = Estimate.exactly(found.total_stored)
            violating = Estimate.exactly(found.violating.total())
        else:
            entries = members_in_table(found.belonging, sample)
            stored = Estimate.exactly(0)
            if self._items:
                # the largest items there can be, where a sample says nothing
                most = float(sample.population * (MAX_ITEM_BYTES + INDEX_ENTRY_OVERHEAD_BYTES))
                stored = sum_of_members(found.stored, found.others, sample)
                stored = replace(stored, high=min(stored.high, most))
            # seen in few places, it may be a matter of partition keys of which none was seen
            is_rare = len(found.violating) < _FEW_PLACES
            effect = self._partition_items if is_rare else 1.0
            violating = count_in_table(found.violating, sample, effect=effect)
        return IndexFigures(
            entries=entries,
            entry_bytes=found.total_bytes / items if items else 0.0,
            stored_bytes=stored,
            left_out=dict(found.left_out.most_common()),
            violating=violating,
        )

    @property
    def _partition_items(self) -> float:
        """Items with the partition key of an item of the sample, on average."""
        counts = self._partitions.values()
        return sum(count**2 for count in counts) / max(sum(counts), 1)

    def _noted(self, items: Iterable[SampledItem]) -> Iterator[Item]:
        for each in items:
            place = 0 if self._whole else each.segment
            self._items += 1
            self._sizes[place] += 1
            if not self._whole:
                self._places[self._key(each.item)] = place
                partition = repr([each.item[name] for name, _ in self._keys.partition])
                self._partitions[hashlib.blake2b(partition.encode(), digest_size=12).digest()] += 1
            self._keep(each.item)
            for name, index in self._indexes.items():
                self._note(self._entries[name], index, each.item, place)
            yield each.item

    def _note(self, entries: _Entries, index: Index, item: Item, place: int) -> None:
        found = violations(item, Keys.of(index))
        stored_bytes = stored_size(self.table, index, item)
        if not self._whole:
            entries.others.append(stored_bytes)
        if found:
            # an item without one of the keys is not meant to be in the index, whatever else it has
            first = min(found, key=lambda each: each.reason is not Reason.MISSING)
            entries.left_out[first] += 1
            if any(each.reason is not Reason.MISSING for each in found):
                entries.violating[place] += 1
            return
        size_bytes = stored_bytes - INDEX_ENTRY_OVERHEAD_BYTES
        entries.belonging[place] += 1
        entries.total_bytes += size_bytes
        entries.total_stored += stored_bytes
        if self._whole:
            return
        entries.stored.setdefault(place, []).append(stored_bytes)
        entries.sizes.append(size_bytes)
        value = repr([item[key.name] for key in index.partition_keys]).encode()
        digest = hashlib.blake2b(value, digest_size=12).digest()
        entries.groups.setdefault(digest, Counter())[place] += 1

    def _keep(self, item: Item) -> None:
        # reservoir sampling: Vitter (1985), algorithm R
        if len(self._kept) < _KEPT:
            self._kept.append(item)
        elif (chosen := self._rng.randrange(self._items)) < _KEPT:
            self._kept[chosen] = item

    def _key(self, item: Item) -> tuple[str, ...]:
        return tuple(repr(item[name]) for name in self._keys.names)

    def _place(self, entry: Item) -> int:
        return self._places[self._key(entry)]


def query_units(size_bytes: float, *, at_most: bool = False) -> float:
    """
    Return the read units of a query over so many bytes of entries, eventually consistent.

    Each page of 1 MB is rounded up by itself; of where pages end nothing is known but their number.

    Args:
        size_bytes: Of the entries together; a fraction where it is estimated.
        at_most: Round every page up as far as it can be.
    """
    pages = max(1, ceil(size_bytes / _PAGE_BYTES))
    rounding = (pages - 1) * READ_UNIT_BYTES * (1.0 if at_most else 0.5 if pages > 1 else 0.0)
    return read_units(ceil(size_bytes + rounding))
