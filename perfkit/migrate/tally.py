"""What items say about proposed indexes, counted: pure, one item after the other."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from perfkit.capacity import Item
from perfkit.dynamodb.index_items import Reason, Violation, violations
from perfkit.dynamodb.tables import Keys
from perfkit.workloads.profile import Estimate, share_of

__all__ = ["IndexTally", "Tallies", "Tally", "is_refused"]

_MOST_KINDS = 50
_OTHER_KINDS = "other kinds"


def is_refused(violation: Violation) -> bool:
    """
    Whether DynamoDB refuses to write an item with this violation once the index is there.

    It does with all but a missing attribute; the write fails for the table too. Source: AWS
    developer guide, "Managing Global Secondary Indexes".
    """
    return violation.reason is not Reason.MISSING


@dataclass(slots=True, kw_only=True)
class IndexTally:
    """
    What some items of a table say about one index.

    Args:
        left_out: Items that will not be in it.
        refused: Of these, items that can no longer be written as they are once it is there.
        reasons: By key attribute and reason, items that have this violation; one item may have
            several.
        refused_kinds: By kind, the items that can no longer be written.
        types: By key attribute and type, items that have it so.
    """

    left_out: int = 0
    refused: int = 0
    reasons: dict[str, dict[Reason, int]] = field(default_factory=dict)
    refused_kinds: dict[str, int] = field(default_factory=dict)
    types: dict[str, dict[str, int]] = field(default_factory=dict)

    def add(self, item: Item, kind: str, keys: Keys) -> tuple[Violation, ...]:
        """Count an item, and return what keeps it out."""
        for name in keys.names:
            value = item.get(name)
            if value is not None and "NULL" not in value:
                _count(self.types.setdefault(name, {}), next(iter(value)))
        found = violations(item, keys)
        for each in found:
            _count(self.reasons.setdefault(each.attribute, {}), each.reason)
        self.left_out += bool(found)
        if any(map(is_refused, found)):
            self.refused += 1
            _count(self.refused_kinds, kind)
        return found

    def include(self, other: "IndexTally") -> None:
        """Add another count to this one."""
        self.left_out += other.left_out
        self.refused += other.refused
        for name, reasons in other.reasons.items():
            _include(self.reasons.setdefault(name, {}), reasons)
        for name, types in other.types.items():
            _include(self.types.setdefault(name, {}), types)
        _include(self.refused_kinds, other.refused_kinds)


@dataclass(slots=True, kw_only=True)
class Tally:
    """
    What some items of a table say about its proposed indexes.

    Args:
        items: Items looked at.
        refused: Items that could no longer be written with all of the indexes there.
        kinds: By kind, items.
        indexes: By name.
    """

    items: int = 0
    refused: int = 0
    kinds: dict[str, int] = field(default_factory=dict)
    indexes: dict[str, IndexTally] = field(default_factory=dict)

    def nameable(self, kind: str, more: int = 0) -> str:
        """Return a kind, or that it is one of too many to name with *more* that are named elsewhere."""
        known = kind in self.kinds or len(self.kinds) + more < _MOST_KINDS
        return kind if known else _OTHER_KINDS

    def add(self, item: Item, kind: str, keys: Mapping[str, Keys]) -> list[tuple[str, Violation]]:
        """
        Count an item, and return by index what keeps it out.

        Args:
            item: With at least all key attributes it has of table and indexes.
            kind: What kind of item it is.
            keys: Of the indexes, by name.
        """
        self.items += 1
        _count(self.kinds, kind)
        found = [
            (name, each)
            for name, wanted in keys.items()
            for each in self.indexes.setdefault(name, IndexTally()).add(item, kind, wanted)
        ]
        self.refused += any(is_refused(each) for _, each in found)
        return found

    def include(self, other: "Tally") -> None:
        """Add another count to this one."""
        self.items += other.items
        self.refused += other.refused
        _include(self.kinds, other.kinds)
        for name, each in other.indexes.items():
            self.indexes.setdefault(name, IndexTally()).include(each)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tallies:
    """
    What a table's items say, by where they were found.

    Args:
        places: By segment.
        whole: The segments are the whole table.
        partitions: How many partition keys the items of a sample are of; those of one may be alike
            in everything.
    """

    places: Mapping[int, Tally]
    whole: bool
    partitions: int | None = None

    def total(self) -> Tally:
        """Return everything together."""
        return _sum(self.places.values())

    def share(self, count: Callable[[Tally], int]) -> Estimate | None:
        """
        Return the share of items that a count takes, with its interval where it is a sample.

        Returns:
            None where there are no items.
        """
        sizes = {place: each.items for place, each in self.places.items() if each.items}
        if not sizes:
            return None
        hits = {place: count(self.places[place]) for place in sizes}
        return share_of(hits, sizes, whole=self.whole, partitions=self.partitions)


def _sum(tallies: Iterable[Tally]) -> Tally:
    total = Tally()
    for each in tallies:
        total.include(each)
    return total


def _count(counts: dict[Any, int], name: str) -> None:
    counts[name] = counts.get(name, 0) + 1


def _include(counts: dict[Any, int], others: Mapping[Any, int]) -> None:
    for name, count in others.items():
        counts[name] = counts.get(name, 0) + count
