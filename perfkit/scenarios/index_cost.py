"""What indexes cost at every write, by projection: real writes into an engine that is thrown away."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from statistics import fmean
from typing import Any

from perfkit.capacity import Item, attribute_value_size, item_size
from perfkit.dynamodb.connection import EngineConnection
from perfkit.dynamodb.estimates import index_entry, sample
from perfkit.dynamodb.index_items import violations
from perfkit.dynamodb.safety import Effect
from perfkit.dynamodb.tables import Keys, index_definition
from perfkit.embedded import Engine
from perfkit.embedded.expressions import Placeholders, parse_condition
from perfkit.errors import TargetError
from perfkit.runs import Run, RunKind, WriteCost
from perfkit.scenarios.base import Context, Progress, Scenario
from perfkit.scenarios.recorder import Recorder
from perfkit.workloads.generator import ItemGenerator
from perfkit.workloads.model import AccessPattern, Index, Projection, Table, Workload

__all__ = ["index_cost_scenarios", "write_costs"]

_NAME = "index-cost"

_INSERT = "insert"
_UNCHANGED = "unchanged"
_UPDATE = "update"
_KEY_CHANGE = "key-change"
_DELETE = "delete"

_SAMPLE_ITEMS = 60
# an index may name so many attributes; AWS counts them over all indexes of a table
_MOST_INCLUDED = 100


def index_cost_scenarios(workload: Workload) -> Iterator[Scenario]:
    """Yield the scenario if a table of *workload* has an index."""
    if any(table.indexes for table in workload.made):
        yield _IndexCostScenario()


@dataclass(frozen=True, slots=True)
class _IndexCostScenario:
    """Every index with each projection, written to in a table of its own."""

    name: str = _NAME
    description: str = "What every index takes at each write and in storage, by projection"

    def effect(self, _: Context) -> Effect:
        """Return that the target is left alone."""
        return Effect(text=f"{self.name}: write samples to an engine of its own, not to the target")

    def measure(self, context: Context) -> Run:
        """
        Write a sample of the workload's items with and without each index, and read what it took.

        The writes go to an embedded engine in memory; the target is not asked anything.

        Raises:
            TargetError: The engine counted otherwise with indexes than without, which it may not.
        """
        recorder = Recorder(RunKind.INDEX_COST, self, context)
        generator = ItemGenerator(context.workload)
        costs: list[WriteCost] = []
        # of items that perfkit did not make there is no sample here
        for number, table in enumerate(context.workload.made):
            share = number / len(context.workload.made)
            context.progress(Progress(_NAME, f"writing to {table.name}", share))
            chosen, count = sample(generator, table.name), generator.count(table.name)
            costs += write_costs(context.workload, table, chosen, count)
        return recorder.finish(
            settings={
                "sample_items": _SAMPLE_ITEMS,
                "engine": "embedded, in memory, thrown away",
            },
            write_costs=tuple(costs),
        )


def write_costs(
    workload: Workload, table: Table, chosen: Sequence[Item], count: int
) -> Iterator[WriteCost]:
    """
    Yield the cost of a table alone, and of each global index with each projection.

    Args:
        workload: Whose patterns say what an index has to hold.
        table: The table, with its indexes.
        chosen: A sample of its items.
        count: How many it has.

    Raises:
        TargetError: The engine counted otherwise with indexes than without, which it may not.
    """
    if not chosen:
        return
    items = _some(chosen)
    plain = _write_all(table, (), items, _plain_changes(table, items))
    yield WriteCost(
        table=table.name,
        index=None,
        units=_means(plain.table_units),
        # the larger sample: nothing has to be written to know a size
        entry_bytes=fmean(map(item_size, chosen)),
        items=count,
        sample_items=len(items),
    )
    for index in table.indexes:
        if index.local:
            continue
        patterns = [each for each in workload.patterns if _asks(each, table, index)]
        needed = _needed(patterns, table, index)
        forms = list(_forms(table, index, needed))
        # items without an entry take nothing: only those with one are written, and say what it is
        keys = Keys.of(index)
        having = [each for each in chosen if not violations(each, keys)]
        items = _some(having)
        changes = _changes(table, index, items)
        with_index = _write_all(table, forms, items, changes)
        without = _write_all(table, (), items, changes)
        if with_index.table_units != without.table_units:
            msg = f"writes to {table.name} took other units with {index.name} than without"
            raise TargetError(msg)
        for form in forms:
            entries = [index_entry(table, form, each) or {} for each in having]
            held = table.projected(form)
            yield WriteCost(
                table=table.name,
                index=index.name,
                units=_means(with_index.index_units[form.name]),
                entry_bytes=fmean(map(item_size, entries)) if entries else 0.0,
                items=count,
                entries_share=len(entries) / len(chosen),
                sample_items=len(items),
                projection=form.projection,
                attributes=form.non_key_attributes,
                declared=form.projection is index.projection,
                patterns=tuple(each.name for each in patterns),
                covers=held is None or needed <= held,
                filters=tuple(
                    each.name for each in patterns if held is None or _filtered_by(each) <= held
                ),
            )


def _some(items: Sequence[Item]) -> Sequence[Item]:
    """Return as many items as are written, from all over the sample."""
    return items[:: max(1, len(items) // _SAMPLE_ITEMS)][:_SAMPLE_ITEMS]


def _asks(pattern: AccessPattern, table: Table, index: Index) -> bool:
    query = pattern.query
    return pattern.table == table.name and query is not None and query.index == index.name


def _needed(patterns: Iterable[AccessPattern], table: Table, index: Index) -> set[str]:
    """Return the attributes that patterns need of an index."""
    needed = {key.name for key in (*table.keys, *index.keys)}
    for pattern in patterns:
        # a pattern that lists none returns whole items
        needed |= set(pattern.returns or (attribute.name for attribute in table.attributes))
        needed |= _filtered_by(pattern)
    return needed


def _filtered_by(pattern: AccessPattern) -> set[str]:
    """Return the attributes that a pattern's query filters by."""
    if pattern.query is None or pattern.query.filter is None:
        return set()
    names, values = pattern.placeholders(pattern.query.filter)
    placeholders = Placeholders(names or None, values or None)
    condition = parse_condition(pattern.query.filter, placeholders, kind="FilterExpression")
    return set(condition.attributes)


def _forms(table: Table, index: Index, needed: set[str]) -> Iterator[Index]:
    """
    Yield the index with each projection, under a name of its own.

    INCLUDE holds what the workload says, or else what the patterns need.
    """
    keys = {key.name for key in (*table.keys, *index.keys)}
    included = tuple(sorted(needed - keys))
    if index.projection is Projection.INCLUDE:
        included = index.non_key_attributes
    for projection in Projection:
        attributes = included if projection is Projection.INCLUDE else ()
        if projection is Projection.INCLUDE and not 1 <= len(included) <= _MOST_INCLUDED:
            continue
        yield replace(
            index, name=str(projection), projection=projection, non_key_attributes=attributes
        )


_Change = tuple[str, int, Item | None]
"""Its kind, which item it happens to, and the item afterwards; None once it is deleted."""


def _plain_changes(table: Table, items: Sequence[Item]) -> list[_Change]:
    return _all_changes(items, {key.name for key in table.keys}, ())


def _changes(table: Table, index: Index, items: Sequence[Item]) -> list[_Change]:
    """Return what happens to the items; the key that changes is one the table itself lacks."""
    own = {key.name for key in table.keys}
    movable = [key.name for key in index.keys if key.name not in own]
    return _all_changes(items, own | {key.name for key in index.keys}, movable)


def _all_changes(items: Sequence[Item], fixed: set[str], movable: Sequence[str]) -> list[_Change]:
    """
    Return what happens: each item comes, is put again, has an attribute changed, and goes.

    A changed value is another item's of the sample. Attributes take their turns, one an item.
    Each kind of change starts from the item as it came.
    """
    changes: list[_Change] = [(_INSERT, number, item) for number, item in enumerate(items)]
    changes += [(_UNCHANGED, number, item) for number, item in enumerate(items)]
    for number, item in enumerate(items):
        others = sorted(item.keys() - fixed)
        turned = others[number % len(others) :] + others[: number % len(others)] if others else []
        changed = next(filter(None, (_with(items, number, each) for each in turned)), None)
        if changed is not None:
            changes += [(_UPDATE, number, changed), ("", number, item)]
        # all of an index may be in one partition, and only its sort key differ
        moved = next(filter(None, (_with(items, number, each) for each in movable)), None)
        if moved is not None:
            changes += [(_KEY_CHANGE, number, moved), ("", number, item)]
    changes += [(_DELETE, number, None) for number in range(len(items))]
    return changes


def _with(items: Sequence[Item], number: int, name: str) -> Item | None:
    """
    Return an item with another one's value of an attribute, None where all are the same.

    The value is the one nearest in size: what a change of size costs is no matter of the index.
    """
    item = items[number]
    value = item.get(name)
    if value is None:
        return None
    size_bytes = attribute_value_size(value)
    others = [
        other
        for step in range(1, len(items))
        # a value of another type would be no value of a key
        if (other := items[(number + step) % len(items)].get(name)) is not None
        and other != value
        and other.keys() == value.keys()
    ]
    if not others:
        return None
    nearest = min(others, key=lambda each: abs(attribute_value_size(each) - size_bytes))
    return {**item, name: nearest}


@dataclass(slots=True)
class _Written:
    """Units of every single change, by kind: of the table, and of each index."""

    table_units: dict[str, list[float]]
    index_units: dict[str, dict[str, list[float]]]


def _write_all(
    table: Table, forms: Sequence[Index], items: Sequence[Item], changes: Sequence[_Change]
) -> _Written:
    """Write to a table with these indexes in an engine of its own, and return what it reported."""
    schema, definitions = Keys.of(table).to_wire()
    types = {each["AttributeName"]: each for each in definitions}
    indexes = []
    for form in forms:
        keys = Keys.of(form)
        types |= {each["AttributeName"]: each for each in keys.to_wire()[1]}
        indexes.append(index_definition(form, keys))
    creation: dict[str, Any] = {
        "TableName": table.name,
        "KeySchema": schema,
        "AttributeDefinitions": list(types.values()),
        "BillingMode": "PAY_PER_REQUEST",
    }
    if indexes:
        creation["GlobalSecondaryIndexes"] = indexes
    written = _Written({}, {form.name: {} for form in forms})
    with closing(EngineConnection(Engine(":memory:"))) as connection:
        connection.execute("CreateTable", creation)
        for kind, number, after in changes:
            request: dict[str, Any] = {
                "TableName": table.name,
                "ReturnConsumedCapacity": "INDEXES",
            }
            if after is None:
                request["Key"] = {each.name: items[number][each.name] for each in table.keys}
            else:
                request["Item"] = after
            answer = connection.execute("DeleteItem" if after is None else "PutItem", request)
            if kind:
                _note(written, kind, answer["ConsumedCapacity"])
    return written


def _note(written: _Written, kind: str, consumed: Mapping[str, Any]) -> None:
    units = consumed["Table"]["CapacityUnits"]
    written.table_units.setdefault(kind, []).append(units)
    by_index = consumed.get("GlobalSecondaryIndexes", {})
    for name, kinds in written.index_units.items():
        # an index whose view did not change is left out of the answer
        kinds.setdefault(kind, []).append(by_index.get(name, {}).get("CapacityUnits", 0.0))


def _means(units: Mapping[str, Sequence[float]]) -> dict[str, Any]:
    return {kind: fmean(each) for kind, each in units.items()}
