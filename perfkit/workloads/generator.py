"""
The items of a workload, each made from its number alone.

The same workload, random seed and scale give the same item for the same number in any process
and any order, so several processes can make disjoint ranges; memory does not grow with scale.
"""

from collections.abc import Callable, Iterator
from math import isfinite

from perfkit.capacity import Item, item_size
from perfkit.errors import ConfigError, WorkloadError
from perfkit.workloads import draws
from perfkit.workloads.kinds import Padding, Sequence
from perfkit.workloads.model import Entity, ItemSize, Target, Workload
from perfkit.workloads.names import entity_path
from perfkit.workloads.problems import toml_path
from perfkit.workloads.rows import Rows
from perfkit.workloads.words import TEXT_LENGTH, text

__all__ = ["ItemGenerator"]

_MOST_ITEMS = 1_000_000_000
"""Items of one entity; a slip of the keyboard should not fill a disk, or an account, for weeks."""

_Counts = dict[tuple[str, str], int]


class ItemGenerator:
    """
    Makes the items of every table of a workload.

    Items of a table are numbered from 0, one entity's after the other's.

    Args:
        workload: What to make.
        random_seed: Another seed, other items.
        scale: Multiplies the number of items of every entity. What `exactly` asks for neither
            grows nor shrinks with it, and no entity shrinks below what that needs.

    Raises:
        ConfigError: *scale* is not above 0, or gives a table more than MOST_ITEMS.
        WorkloadError: At this scale an attribute runs out of unique values.
    """

    def __init__(self, workload: Workload, random_seed: int = 1, scale: float = 1.0) -> None:
        if not isfinite(scale) or scale <= 0:
            msg = f"scale must be above 0, got {scale}"
            raise ConfigError(msg)
        self._workload = workload
        counts = _counts(workload, scale)
        _check_counts(counts, scale)
        _check_unique_values(workload, counts, scale)
        rows = Rows(workload, random_seed, counts)
        self._makers = {
            table.name: [
                (counts[table.name, entity.name], _item_maker(rows, table.name, entity))
                for entity in table.entities
            ]
            for table in workload.tables
        }

    def count(self, table_name: str) -> int:
        """Return how many items *table_name* has at this scale."""
        return sum(count for count, _ in self._makers[self._workload.table(table_name).name])

    def item(self, table_name: str, index: int) -> Item:
        """Return item *index* of *table_name*, 0 <= *index* < count."""
        return next(self.items(table_name, index, index + 1))

    def items(self, table_name: str, start: int, stop: int) -> Iterator[Item]:
        """Return items *start* to *stop* - 1 of *table_name*, made one after the other."""
        count = self.count(table_name)
        if not 0 <= start <= stop <= count:
            msg = f"{table_name} has {count} items, there is no range from {start} to {stop}"
            raise IndexError(msg)
        return self._range(table_name, start, stop)

    def _range(self, table_name: str, start: int, stop: int) -> Iterator[Item]:
        for count, make in self._makers[table_name]:
            yield from map(make, range(max(start, 0), min(stop, count)))
            start -= count
            stop -= count


def _counts(workload: Workload, scale: float) -> _Counts:
    """Return the items of each entity at *scale*, enough for everything `exactly` asks for."""
    counts = {
        (table.name, entity.name): max(1, round(entity.items * scale)) if entity.items else 0
        for table in workload.tables
        for entity in table.entities
    }
    for table in workload.tables:
        for entity in table.entities:
            place = table.name, entity.name
            counts[place] = max(counts[place], sum(exactly.items for exactly in entity.exactly))
            for target, value in _named_items(entity):
                place = target.table, target.entity
                kind = workload.attribute(target).generator
                number = kind.index(value) if isinstance(kind, Sequence) else None
                counts[place] = max(counts[place], (number or 0) + 1)
    return counts


def _check_counts(counts: _Counts, scale: float) -> None:
    for (table, _), count in counts.items():
        if count > _MOST_ITEMS:
            msg = (
                f"scale {scale:g} gives table {table} {count:,} items; perfkit makes up to"
                f" {_MOST_ITEMS:,}: lower the scale"
            )
            raise ConfigError(msg)


def _named_items(entity: Entity) -> Iterator[tuple[Target, str]]:
    """Yield the items of other entities that the facts of this one name."""
    for exactly in entity.exactly:
        for name, value in exactly.where.items():
            target = entity.attribute(name).target
            if target is not None:
                yield target, next(iter(value.values()))


def _check_unique_values(workload: Workload, counts: _Counts, scale: float) -> None:
    for table in workload.tables:
        for entity in table.entities:
            count = counts[table.name, entity.name]
            for attribute in entity.attributes:
                values = attribute.unique_values(counts)
                if values is not None and values < count:
                    msg = (
                        f"{table.name}.{attribute.name} has {values:,} unique values, too few for "
                        f"{count:,} items at scale {scale:g}; widen it or lower the scale"
                    )
                    raise WorkloadError(msg)


def _item_maker(rows: Rows, table: str, entity: Entity) -> Callable[[int], Item]:
    """Return what makes whole items of one entity."""
    make_row = rows.maker(table, entity)
    layout = [
        (attribute.name, attribute.type)
        for attribute in entity.attributes
        if not isinstance(attribute.generator, Padding)
    ]

    def make(index: int) -> Item:
        row = make_row(index)
        return {name: {kind: row[name]} for name, kind in layout if row[name] is not None}

    padding = next(
        (item.name for item in entity.attributes if isinstance(item.generator, Padding)), None
    )
    if padding is None or entity.item_size is None:
        return make
    return _padded(
        make,
        padding,
        place=toml_path((*entity_path(table, entity.name), "item_size")),
        size_of=_size_maker(entity.item_size, rows.key(table, entity.name, "item_size")),
        key=rows.key(table, entity.name, padding),
    )


def _padded(
    make: Callable[[int], Item],
    padding: str,
    *,
    place: str,
    size_of: Callable[[int], int],
    key: int,
) -> Callable[[int], Item]:
    """Return *make* with an attribute *padding* that fills each item up to its size."""
    name_bytes = len(padding.encode())
    long_text = text()

    def make_padded(index: int) -> Item:
        item = make(index)
        room = size_of(index) - name_bytes - item_size(item)
        if room < 0:
            msg = f"{place}: item {index} would be {-room} bytes larger; raise it"
            raise WorkloadError(msg)
        # all of it is ASCII, so that characters are bytes
        start = draws.mix(key, index) % TEXT_LENGTH
        source = long_text if room <= TEXT_LENGTH else long_text * (room // TEXT_LENGTH)
        item[padding] = {"S": source[start : start + room]}
        return item

    return make_padded


def _size_maker(size: ItemSize, key: int) -> Callable[[int], int]:
    """Return what gives the size of any item."""
    if size.min_bytes == size.max_bytes:
        return lambda _index: size.min_bytes
    if not size.choices:
        draw = draws.uniform(key, size.max_bytes - size.min_bytes + 1)
        return lambda index: size.min_bytes + draw(index, 0)
    pick = draws.choice(key, size.weights or [1] * len(size.choices))
    return lambda index: size.choices[pick(index, 0)]
