"""What writing items and building indexes will take, estimated from a sample of the workload's items."""

import random
from collections.abc import Sequence
from dataclasses import dataclass

from perfkit.capacity import (
    INDEX_ENTRY_OVERHEAD_BYTES,
    Item,
    index_write_units,
    item_size,
    write_units,
)
from perfkit.workloads.generator import ItemGenerator
from perfkit.workloads.model import Index, Table

__all__ = [
    "IndexEstimate",
    "estimate_index",
    "index_entry",
    "sample",
    "stored_size",
    "units_per_item",
]

_SAMPLE_ITEMS = 400


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexEstimate:
    """
    What building an index takes.

    Args:
        entries: Items that have all of the index's key attributes.
        write_units: Units to write the entries.
        storage_bytes: Size of the entries as billed, 100 bytes of overhead each.
    """

    entries: int
    write_units: float
    storage_bytes: int


def sample(generator: ItemGenerator, table: str) -> list[Item]:
    """Return some of a table's items, the same ones every time."""
    count = generator.count(table)
    # drawn, not every n-th: a workload may well repeat something every n items
    chosen = random.Random(0).sample(range(count), min(_SAMPLE_ITEMS, count))  # noqa: S311
    return [generator.item(table, number) for number in sorted(chosen)]


def index_entry(table: Table, index: Index, item: Item) -> Item | None:
    """Return what an index stores of an item, None if it lacks a key attribute of the index."""
    if any(key.name not in item for key in index.keys):
        return None
    return _projected(table, index, item)


def stored_size(table: Table, index: Index, item: Item) -> int:
    """Return what an item takes in an index as storage is billed, or would with its keys."""
    return item_size(_projected(table, index, item)) + INDEX_ENTRY_OVERHEAD_BYTES


def _projected(table: Table, index: Index, item: Item) -> Item:
    names = table.projected(index)
    if names is None:
        return item
    return {name: value for name, value in item.items() if name in names}


def units_per_item(table: Table, indexes: Sequence[Index], items: Sequence[Item]) -> float:
    """Return the mean write units of putting one new item, into the table and these indexes."""
    if not items:
        return 0.0
    total = 0.0
    for item in items:
        total += write_units(None, item_size(item))
        for index in indexes:
            total += _entry_units(index_entry(table, index, item))
    return total / len(items)


def estimate_index(
    table: Table, index: Index, items: Sequence[Item], table_items: int
) -> IndexEstimate:
    """
    Estimate what building an index takes.

    Args:
        table: The index's table.
        index: The index.
        items: A sample of the table's items.
        table_items: Items in the whole table.
    """
    if not items:
        return IndexEstimate(entries=0, write_units=0.0, storage_bytes=0)
    entries = [entry for item in items if (entry := index_entry(table, index, item)) is not None]
    factor = table_items / len(items)
    stored = sum(item_size(entry) + INDEX_ENTRY_OVERHEAD_BYTES for entry in entries)
    return IndexEstimate(
        entries=round(len(entries) * factor),
        write_units=sum(map(_entry_units, entries)) * factor,
        storage_bytes=round(stored * factor),
    )


def _entry_units(entry: Item | None) -> float:
    new_bytes = None if entry is None else item_size(entry)
    return index_write_units(None, new_bytes, key_changed=False, view_changed=True)
