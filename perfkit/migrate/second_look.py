"""
Looking again at items that seem to differ from their entries, until it is certain.

An index lags behind its table, and under live writes a scan of one sees another state than a scan
of the other. So a difference counts only if the item stayed as it was, by strongly consistent
reads, for longer than an index lags, and its entries differed at every look meanwhile.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from perfkit.capacity import Item
from perfkit.dynamodb.connection import Connection
from perfkit.dynamodb.index_items import violations
from perfkit.dynamodb.items import canonical, to_client
from perfkit.dynamodb.retries import Clock, Pause
from perfkit.dynamodb.tables import IndexState, TableState
from perfkit.migrate.entries import Suspect, as_text, digest_of, expected_entry, part_of

__all__ = ["Difference", "DifferenceKind", "Outcome", "SecondLook"]

_LOOKS = 6
"""Pauses until the time is over, each twice as long as the one before."""

_MORE_LOOKS = 6
"""For items that were written meanwhile; after that they are left undecided."""

_BATCH_KEYS = 100
"""Keys that BatchGetItem takes at most."""

_UNPROCESSED_PAUSE_S = 0.2


class DifferenceKind(StrEnum):
    """How an index differs from its table at one item."""

    MISSING = "missing"
    """The item belongs in it, and has no entry."""
    EXTRA = "extra"
    """There is an entry that no item, or no such item, accounts for."""
    DIFFERS = "differs"
    """The entry is not what the item says."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """
    An item that differs from its entry.

    Args:
        index: The index.
        key: Of the item, in wire form.
        kind: How.
        reason: In words, without a value.
    """

    index: str
    key: Item
    kind: DifferenceKind
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """
    What became of suspects.

    Args:
        differences: Those that differ.
        undecided: Those that were written again and again, so that nobody can say.
    """

    differences: tuple[Difference, ...]
    undecided: tuple[Suspect, ...]


class SecondLook:
    """
    Looks again at items of one table.

    Args:
        connection: Where.
        state: The table and its indexes, as the target describes them.
        settle_s: No index lags behind by so much.
        raw_binary: Whether requests want binary values as bytes.
        clock: Seconds that only grow.
        pause: Sleeps.

    Attributes:
        read_units: Consumed so far, as the target says.
    """

    def __init__(
        self,
        connection: Connection,
        state: TableState,
        *,
        settle_s: float,
        raw_binary: bool,
        clock: Clock,
        pause: Pause,
    ) -> None:
        self._connection = connection
        self._state = state
        self._settle_s = settle_s
        self._raw_binary = raw_binary
        self._clock = clock
        self._pause = pause
        self.read_units = 0.0

    def decide(self, suspects: Iterable[Suspect]) -> Outcome:
        """
        Return which of some items differ.

        Raises:
            DynamoDBError: The target refused.
            LimitReachedError: It would cost more than allowed.
        """
        left = list(suspects)
        differences = []
        for seconds in (*self._pauses(), 0.0):
            begun_s = self._clock()
            sights = self._look(left)
            ended_s = self._clock()
            left = []
            for sight in sights:
                difference = _difference(sight)
                if difference is None:
                    continue
                if self._lasts(sight, begun_s, ended_s):
                    differences.append(difference)
                else:
                    left.append(sight.suspect)
            if not left:
                break
            self._pause(seconds)
        return Outcome(differences=tuple(differences), undecided=tuple(left))

    def _pauses(self) -> Iterator[float]:
        # a little more than the time, so that the last of the looks is past it
        first_s = 1.01 * self._settle_s / (2**_LOOKS - 1)
        yield from (first_s * 2**number for number in range(_LOOKS))
        yield from (self._settle_s / 2 for _ in range(_MORE_LOOKS))

    def _lasts(self, sight: "_Sight", begun_s: float, ended_s: float) -> bool:
        """Return whether item and entries are what they were for so long, and remember them."""
        suspect = sight.suspect
        state = b"" if sight.item is None else digest_of(sight.item)
        seen = digest_of({}, sorted(canonical(entry) for entry in sight.entries))
        if (state, seen) != (suspect.state, suspect.seen):
            suspect.state, suspect.seen, suspect.since_s = state, seen, ended_s
        return begun_s - suspect.since_s >= self._settle_s

    def _look(self, suspects: Sequence[Suspect]) -> "list[_Sight]":
        """Read items, strongly consistent, and then their entries."""
        items = self._items({as_text(each.key): each.key for each in suspects})
        sights = []
        asked: dict[tuple[str, str], dict[str, _Sight]] = {}
        for suspect in suspects:
            name = as_text(suspect.key)
            index = self._state.index(suspect.index)
            assert index is not None  # noqa: S101 - it is one of the table's
            item = items.get(name)
            entry = None if item is None else expected_entry(item, index, self._state.keys)
            if entry is not None:
                suspect.entry_keys.add(as_text(part_of(entry, index.keys.names)))
            sight = _Sight(suspect=suspect, index=index, item=item, expected=entry)
            sights.append(sight)
            for key in suspect.entry_keys:
                asked.setdefault((index.name, key), {})[name] = sight
        # all that are under one key of the index come with one query
        for (_, key), wanted in asked.items():
            self._find_entries(next(iter(wanted.values())).index, json.loads(key), wanted)
        return sights

    def _items(self, keys: dict[str, Item]) -> dict[str, Item]:
        found = {}
        ordered = list(keys.values())
        for start in range(0, len(ordered), _BATCH_KEYS):
            batch = [self._sent(key) for key in ordered[start : start + _BATCH_KEYS]]
            wanted: Any = {self._state.name: {"Keys": batch, "ConsistentRead": True}}
            while wanted:
                answer = self._connection.execute(
                    "BatchGetItem", {"RequestItems": wanted, "ReturnConsumedCapacity": "TOTAL"}
                )
                self._count(*answer.get("ConsumedCapacity", ()))
                for item in answer.get("Responses", {}).get(self._state.name, ()):
                    found[as_text(part_of(item, self._state.keys.names))] = item
                wanted = answer.get("UnprocessedKeys")
                if wanted:
                    self._pause(_UNPROCESSED_PAUSE_S)
        return found

    def _find_entries(self, index: IndexState, key: Item, wanted: "dict[str, _Sight]") -> None:
        """Add to each of *wanted*, by the text of its item's key, its entry under one key."""
        names = index.keys.names
        request: dict[str, Any] = {
            "TableName": self._state.name,
            "IndexName": index.name,
            "KeyConditionExpression": " AND ".join(
                f"#k{number} = :k{number}" for number in range(len(names))
            ),
            "ExpressionAttributeNames": {f"#k{number}": name for number, name in enumerate(names)},
            "ExpressionAttributeValues": {
                f":k{number}": self._sent({name: key[name]})[name]
                for number, name in enumerate(names)
            },
            "ReturnConsumedCapacity": "TOTAL",
        }
        while True:
            answer = self._connection.execute("Query", request)
            self._count(answer.get("ConsumedCapacity", {}))
            for entry in answer["Items"]:
                sight = wanted.get(as_text(part_of(entry, self._state.keys.names)))
                if sight is not None:
                    sight.entries.append(entry)
            if "LastEvaluatedKey" not in answer:
                return
            request["ExclusiveStartKey"] = answer["LastEvaluatedKey"]

    def _sent(self, key: Item) -> Item:
        """Return a key as a request wants it."""
        if not self._raw_binary:
            return key
        return {name: to_client(value) for name, value in key.items()}

    def _count(self, *consumed: dict[str, Any]) -> None:
        self.read_units += sum(each.get("CapacityUnits", 0.0) for each in consumed)


@dataclass(slots=True, kw_only=True)
class _Sight:
    """
    What one look showed.

    Args:
        suspect: The item looked at.
        index: The index.
        item: As it is; None if there is none.
        expected: The entry it should have; None if none.
        entries: Those that it has, under any of the keys asked for.
    """

    suspect: Suspect
    index: IndexState
    item: Item | None
    expected: Item | None
    entries: list[Item] = field(default_factory=list)


def _difference(sight: _Sight) -> Difference | None:
    """Return how an item and its entries differ, None if they do not."""
    wanted = [] if sight.expected is None else [canonical(sight.expected)]
    if [canonical(entry) for entry in sight.entries] == wanted:
        return None
    kind, reason = _kind_and_reason(sight)
    return Difference(index=sight.index.name, key=sight.suspect.key, kind=kind, reason=reason)


def _kind_and_reason(sight: _Sight) -> tuple[DifferenceKind, str]:
    expected, entries = sight.expected, sight.entries
    if not entries:
        return DifferenceKind.MISSING, "the item has its keys, and no entry"
    if sight.item is None:
        return DifferenceKind.EXTRA, "there is an entry and no such item"
    if expected is None:
        why = " and ".join(
            each.describe(1).removeprefix("1 ") for each in violations(sight.item, sight.index.keys)
        )
        return DifferenceKind.EXTRA, f"there is an entry, and the item {why}"
    if len(entries) > 1:
        return DifferenceKind.EXTRA, "there is an entry more, under another key"
    (entry,) = entries
    names = sorted(
        name
        for name in {*entry, *expected}
        if canonical(part_of(entry, [name])) != canonical(part_of(expected, [name]))
    )
    if set(names) & set(sight.index.keys.names):
        return DifferenceKind.DIFFERS, f"its entry is under another key: {', '.join(names)}"
    return DifferenceKind.DIFFERS, f"its entry has another {', '.join(names)}"
