"""How the attributes of one item are made together: templates, references and exact facts."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet

from perfkit.errors import WorkloadError
from perfkit.workloads import draws, values
from perfkit.workloads.kinds import Drawn, Padding, Reference, Sequence, Template
from perfkit.workloads.model import Attribute, Entity, Target, Workload
from perfkit.workloads.values import Make, Value, Values

__all__ = ["Rows"]

# far more redraws than an `exactly` that can be met needs
_MAX_ATTEMPTS = 1000


class Rows:
    """
    Makes the values of items, all but their padding.

    Args:
        workload: What to make.
        random_seed: Another seed, other values.
        counts: Items of each entity, by table and entity name.
    """

    def __init__(
        self, workload: Workload, random_seed: int, counts: Mapping[tuple[str, str], int]
    ) -> None:
        self._workload = workload
        self._random_seed = random_seed
        self._counts = counts

    def key(self, *parts: str) -> int:
        """Return the 64-bit key under which what *parts* name is drawn."""
        return draws.key_for(self._random_seed, *parts)

    def maker(
        self, table: str, entity: Entity, wanted: Iterable[str] | None = None
    ) -> Callable[[int], Values]:
        """
        Return what makes the values of any item of an entity, given its number.

        Args:
            table: The table's name.
            entity: One of its entities.
            wanted: Attributes to make, and with them those they are made from; default all.
        """
        exact = {name for exactly in entity.exactly for name in exactly.where}
        free: list[tuple[str, Make]] = []
        tied: list[tuple[str, Make]] = []
        joins: list[tuple[str, Callable[[int, Values], Value]]] = []
        for attribute in _in_order(entity, wanted, exact):
            name, kind = attribute.name, attribute.generator
            if isinstance(kind, Template):
                joins.append((name, values.joined(kind, self.key(table, entity.name, name))))
            elif name in exact:
                tied.append((name, self._value_maker(table, entity, attribute)))
            elif not isinstance(kind, Padding):
                free.append((name, self._value_maker(table, entity, attribute)))
        tie = self._tied_maker(table, entity, tied) if tied else None

        def make_row(index: int) -> Values:
            row = {name: make(index, 0) for name, make in free}
            if tie is not None:
                tie(index, row)
            for name, join in joins:
                row[name] = join(index, row)
            return row

        return make_row

    def _value_maker(self, table: str, entity: Entity, attribute: Attribute) -> Make:
        kind = attribute.generator
        key = self.key(table, entity.name, attribute.name)
        if isinstance(kind, Reference) and attribute.target is not None:
            make = self._reference_maker(kind, attribute.target, key)
        else:
            make = values.plain(kind, key)
        if isinstance(kind, Drawn) and kind.present < 1:
            # a key of its own: presence must not follow from the value
            presence = self.key(table, entity.name, attribute.name, "present")
            return values.absent_sometimes(make, presence, kind.present)
        return make

    def _reference_maker(self, kind: Reference, target: Target, key: int) -> Make:
        count = self._counts[target.table, target.entity]
        value_of = self._lookup(target)
        # without this the most popular items would be the first ones of their table
        place = draws.permutation(key, count)
        if kind.unique:
            return lambda index, _attempt: value_of(place(index))
        if kind.zipf is None:
            draw = draws.uniform(key, count)
            return lambda index, attempt: value_of(draw(index, attempt))
        rank = draws.zipf(key, count, kind.zipf)
        return lambda index, attempt: value_of(place(rank(index, attempt)))

    def _lookup(self, target: Target) -> Callable[[int], Value]:
        """Return what makes the attribute referred to, of any item."""
        kind = self._workload.attribute(target).generator
        if isinstance(kind, Sequence):
            make = values.plain(kind, 0)
            return lambda index: make(index, 0)
        entity = self._workload.entity(target)
        make_row = self.maker(target.table, entity, [target.attribute])
        return lambda index: make_row(index)[target.attribute]

    def _tied_maker(
        self, table: str, entity: Entity, tied: list[tuple[str, Make]]
    ) -> Callable[[int, Values], None]:
        """
        Return what fills in the attributes that `exactly` speaks of.

        The items of each fact are chosen by a permutation of all of them; every other item is
        drawn again until it does not look like one.
        """
        count = self._counts[table, entity.name]
        place = draws.permutation(self.key(table, entity.name, "exactly"), count)
        facts = [
            tuple((name, next(iter(value.values()))) for name, value in exactly.where.items())
            for exactly in entity.exactly
        ]
        owners: list[tuple[int, int]] = []
        end = 0
        for number, exactly in enumerate(entity.exactly):
            end += exactly.items
            owners.append((end, number))
        total = end

        def tie(index: int, row: Values) -> None:
            position = place(index)
            own = -1
            if position < total:
                own = next(number for end, number in owners if position < end)
            for attempt in range(_MAX_ATTEMPTS):
                for name, make in tied:
                    row[name] = make(index, attempt)
                if own >= 0:
                    row.update(facts[own])
                for number, fact in enumerate(facts):
                    if number != own and all(row[name] == value for name, value in fact):
                        break
                else:
                    return
            msg = f"{table}: no values left for item {index} beside those that exactly asks for"
            raise WorkloadError(msg)

        return tie


def _in_order(
    entity: Entity, wanted: Iterable[str] | None, tied: AbstractSet[str]
) -> Iterator[Attribute]:
    """Yield the *wanted* attributes, those they are made from before them, *tied* all or none."""
    done: dict[str, Attribute] = {}

    def visit(name: str) -> None:
        if name in done:
            return
        attribute = entity.attribute(name)
        if isinstance(attribute.generator, Template):
            for part in attribute.generator.names:
                visit(part)
        done[name] = attribute

    for name in wanted or [attribute.name for attribute in entity.attributes]:
        visit(name)
    if tied & done.keys():
        for name in sorted(tied):
            visit(name)
    yield from done.values()
