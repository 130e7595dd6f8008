"""What a proposed index takes, modelled from a sample of its table's items; pure."""

import json
from collections import Counter
from dataclasses import replace
from math import ceil, inf

from perfkit.capacity import (
    Item,
    index_write_units,
    item_size,
    read_units,
    write_units,
)
from perfkit.cost import names
from perfkit.cost.names import TableClass
from perfkit.cost.prices import PriceBook
from perfkit.cost.quantities import GIGABYTE
from perfkit.dynamodb.estimates import index_entry, stored_size
from perfkit.dynamodb.index_items import violations
from perfkit.dynamodb.sample import Sample
from perfkit.dynamodb.tables import Keys, TableState
from perfkit.measure.cluster_sample import members_in_table, sum_in_table, sum_of_members
from perfkit.migrate.plan import Figures, Range
from perfkit.workloads.model import Index, Table
from perfkit.workloads.profile import Estimate, Profiler

__all__ = ["figures_of"]

_ON_DEMAND_BACKFILL_CAPACITY = 1000.0
"""Write units a second that building on demand is reckoned with: what one partition takes."""


def figures_of(
    table: Table,
    index: Index,
    sample: Sample,
    *,
    book: PriceBook | None,
    backfill_wcu: float | None,
    writes_hz: float | None,
) -> Figures:
    """
    Return what an index takes.

    Args:
        table: As the workload has it.
        index: The index.
        sample: Of the table's items.
        book: Prices; None where there are none.
        backfill_wcu: Write units a second to build it with; None for what the table has, or what
            one partition takes.
        writes_hz: Items written a second; None where nobody says.
    """
    state, whole = sample.facts.table, sample.facts.whole
    keys, items = Keys.of(index), sample.facts.estimated_items
    sizes: Counter[int] = Counter()
    entries: Counter[int] = Counter()
    units: dict[int, float] = {}
    stored: dict[int, list[int]] = {}
    others: list[int] = []
    table_units = entry_bytes = 0.0
    partitions = Profiler(("key",))
    for each in sample.items:
        sizes[each.segment] += 1
        table_units += write_units(None, each.size_bytes)
        stored_bytes = stored_size(table, index, each.item)
        others.append(stored_bytes)
        entry = None if violations(each.item, keys) else index_entry(table, index, each.item)
        if entry is None:
            continue
        size_bytes = item_size(entry)
        entries[each.segment] += 1
        entry_bytes += size_bytes
        units[each.segment] = units.get(each.segment, 0.0) + index_write_units(
            None, size_bytes, key_changed=False, view_changed=True
        )
        stored.setdefault(each.segment, []).append(stored_bytes)
        partitions.add({"key": {"S": _partition(each.item, keys)}}, size_bytes, each.segment)
    counted, of = entries.total(), len(sample.items)
    clusters = sample.facts.clusters(sizes)
    in_table = members_in_table(entries, clusters)
    all_units = sum_in_table(units, clusters) if of else Estimate.exactly(0.0)
    all_stored = sum_of_members(stored, others, clusters) if of else Estimate.exactly(0.0)
    if sample.facts.table_items is None:
        # certain is what was seen, and nothing else
        in_table = replace(in_table, low=float(counted), high=inf)
        all_units = replace(all_units, low=sum(units.values()), high=inf)
        all_stored = replace(all_stored, low=float(sum(map(sum, stored.values()))), high=inf)
    each_units = all_units.value / items if items else 0.0
    mean_entry = entry_bytes / counted if counted else 0.0
    table_each = table_units / of if of else 0.0
    capacity = _capacity(state, backfill_wcu)
    hours = all_units.value / capacity / 3600
    top = partitions.profile(table_items=None, whole=whole).attribute("key")
    largest = None if top is None or top.values is None else top.values.top_share
    regions = 1 + len(state.replicas)
    prices = _Prices(book, state, regions)
    return Figures(
        entries=Range.of(in_table),
        entry_bytes=mean_entry,
        backfill_units=Range.of(all_units),
        backfill_capacity=capacity,
        backfill_hours=hours,
        backfill_usd=prices.backfill(all_units.value, capacity, hours),
        stored_bytes=Range.of(all_stored),
        storage_usd_month=prices.storage(all_stored.value),
        table_write_units=table_each,
        index_write_units=each_units,
        moved_write_units=2 * sum(units.values()) / counted if counted else 0.0,
        write_usd_million=prices.writes(each_units * 1_000_000),
        largest_key=None if largest is None else Range.of(largest),
        largest_key_capacity=0.0 if largest is None else largest.value * capacity,
        largest_key_read_units=0.0
        if largest is None
        else read_units(round(largest.value * in_table.value * mean_entry)),
        needed_write_capacity=_needed(state, table_each, each_units, writes_hz),
    )


def _partition(item: Item, keys: Keys) -> str:
    return json.dumps([item[name] for name, _ in keys.partition])


def _capacity(state: TableState, backfill_wcu: float | None) -> float:
    if backfill_wcu is not None:
        return backfill_wcu
    if state.billing == "PROVISIONED" and state.write_capacity:
        return float(state.write_capacity)
    return _ON_DEMAND_BACKFILL_CAPACITY


def _needed(
    state: TableState, table_units: float, index_units: float, writes_hz: float | None
) -> float | None:
    """
    Return the write capacity an index needs.

    As much as its table's capacity can bring about: what a write takes in the index, for each unit
    that it takes in the table.
    """
    if state.billing == "PROVISIONED" and table_units:
        return float(max(1, ceil(state.write_capacity * index_units / table_units)))
    return None if writes_hz is None else writes_hz * index_units


class _Prices:
    """What units and bytes cost in all regions of a table, by one region's prices."""

    def __init__(self, book: PriceBook | None, state: TableState, regions: int) -> None:
        self._book = book
        self._class = (
            TableClass.INFREQUENT_ACCESS
            if state.table_class == "STANDARD_INFREQUENT_ACCESS"
            else TableClass.STANDARD
        )
        self._provisioned = state.billing == "PROVISIONED"
        self._regions = regions

    def backfill(self, units: float, capacity: float, hours: float) -> float | None:
        if self._provisioned:
            return self._cost(names.write_capacity(self._class), capacity * hours)
        return self._cost(names.write_request(self._class), units)

    def writes(self, units: float) -> float | None:
        """Return what units cost on demand; provisioned ones are paid for by the hour."""
        if self._provisioned:
            return None
        return self._cost(names.write_request(self._class), units)

    def storage(self, stored_bytes: float) -> float | None:
        return self._cost(names.storage(self._class), stored_bytes / GIGABYTE)

    def _cost(self, name: str, quantity: float) -> float | None:
        if self._book is None or name not in self._book:
            return None
        return float(self._book.price(name).cost(round(quantity, 9)).usd) * self._regions
