"""
Looking again at items that seem to differ from their entries, until it is certain.

An index lags behind its table, and under live writes a scan of one sees another state than a scan
of the other. So a difference counts only if the item stayed as it was, by strongly consistent
reads, for longer than an index lags, and its entries differed at every look meanwhile.
"""

import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol, TypeVar

from perfkit.capacity import Item
from perfkit.dynamodb.connection import Connection
from perfkit.dynamodb.index_items import violations
from perfkit.dynamodb.items import canonical, to_client
from perfkit.dynamodb.retries import Clock, Pause
from perfkit.dynamodb.tables import IndexState, TableState
from perfkit.migrate.entries import Suspect, as_text, digest_of, expected_entry, part_of
from perfkit.migrate.tally import is_refused

__all__ = ["Difference", "DifferenceKind", "Outcome", "SecondLook", "Settling", "StrongReader"]

_STEPS = (1, 2, 4, 8, 8, 8, 8, 8)
"""Pauses until the time is over: soon at first, since most indexes lag by little, and then often
enough that an item that flips between two states does not look the same by chance each time."""

_MORE_LOOKS = 24
"""For items that were written meanwhile; after that they are left undecided."""

_MORE_TIMES = 3
"""These take so many times as long."""

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
        is_refused: There is an entry of an item that DynamoDB would refuse to write.
    """

    index: str
    key: Item
    kind: DifferenceKind
    reason: str
    is_refused: bool = False


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


class _Recheck(Protocol):
    """What looking again at a suspect showed."""

    @property
    def suspect(self) -> Any:
        """What was looked at."""

    @property
    def is_equal(self) -> bool:
        """Whether both sides agree."""

    @property
    def state(self) -> bytes:
        """A digest of everything that was seen."""

    @property
    def wanted(self) -> bytes:
        """A digest of the two sides alone."""


_R = TypeVar("_R", bound=_Recheck)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settling:
    """
    How long to look again, and by which clock.

    Args:
        settle_s: No index lags behind by so much.
        clock: Seconds that only grow.
        pause: Sleeps.
    """

    settle_s: float
    clock: Clock = time.monotonic
    pause: Pause = time.sleep

    def decide(
        self, suspects: Iterable[Any], look: Callable[[list[Any]], Sequence[_R]]
    ) -> tuple[list[_R], list[Any]]:
        """
        Return what certainly differs, and the suspects of which nobody can say.

        At first everything of an item counts: one that is moved to and fro may look the same each
        time, but seldom with all its attributes. At the last of many looks only the two sides do,
        since an item may be written all the time in other attributes.

        Args:
            suspects: What to look at.
            look: Looks at several; answers in their order.
        """
        left = list(suspects)
        certain: list[_R] = []
        tracks: dict[int, tuple[bytes, float, bytes, float]] = {}
        for seconds in (*self._pauses(), None):
            begun_s = self.clock()
            looks = look(left)
            ended_s = self.clock()
            left = []
            for seen in looks:
                if seen.is_equal:
                    continue
                name = id(seen.suspect)
                state, state_s, wanted, wanted_s = tracks.get(name, (b"", ended_s, b"", ended_s))
                state_s = state_s if seen.state == state else ended_s
                wanted_s = wanted_s if seen.wanted == wanted else ended_s
                tracks[name] = seen.state, state_s, seen.wanted, wanted_s
                since_s = wanted_s if seconds is None else state_s
                if begun_s - since_s >= self.settle_s:
                    certain.append(seen)
                else:
                    left.append(seen.suspect)
            if not left or seconds is None:
                break
            self.pause(seconds)
        return certain, left

    def _pauses(self) -> Iterator[float]:
        # a little more than the time, so that the last of the looks is past it
        unit_s = 1.01 * self.settle_s / sum(_STEPS)
        yield from (unit_s * step for step in _STEPS)
        yield from (_MORE_TIMES * self.settle_s / _MORE_LOOKS for _ in range(_MORE_LOOKS))


class StrongReader:
    """
    Reads items of one table, strongly consistent.

    Args:
        connection: Where.
        state: The table.
        raw_binary: Whether requests want binary values as bytes.
        pause: Sleeps where a batch was not answered whole.

    Attributes:
        read_units: Consumed so far, as the target says.
    """

    def __init__(
        self, connection: Connection, state: TableState, *, raw_binary: bool, pause: Pause
    ) -> None:
        self._connection = connection
        self._state = state
        self._raw_binary = raw_binary
        self._pause = pause
        self.read_units = 0.0

    def items(self, keys: Mapping[str, Item]) -> dict[str, Item]:
        """Return the items that are there, by the texts of their keys."""
        found = {}
        ordered = list(keys.values())
        for start in range(0, len(ordered), _BATCH_KEYS):
            batch = [self.sent(key) for key in ordered[start : start + _BATCH_KEYS]]
            wanted: Any = {self._state.name: {"Keys": batch, "ConsistentRead": True}}
            while wanted:
                answer = self._connection.execute(
                    "BatchGetItem", {"RequestItems": wanted, "ReturnConsumedCapacity": "TOTAL"}
                )
                self.count(*answer.get("ConsumedCapacity", ()))
                for item in answer.get("Responses", {}).get(self._state.name, ()):
                    found[as_text(part_of(item, self._state.keys.names))] = item
                wanted = answer.get("UnprocessedKeys")
                if wanted:
                    self._pause(_UNPROCESSED_PAUSE_S)
        return found

    def pages(self, request: Mapping[str, Any]) -> Iterator[Item]:
        """Yield what a query finds; its values in wire form."""
        asked = {
            **request,
            "ReturnConsumedCapacity": "TOTAL",
            "ExpressionAttributeValues": self.sent(request["ExpressionAttributeValues"]),
        }
        while True:
            answer = self._connection.execute("Query", asked)
            self.count(answer.get("ConsumedCapacity", {}))
            yield from answer["Items"]
            if "LastEvaluatedKey" not in answer:
                return
            asked["ExclusiveStartKey"] = answer["LastEvaluatedKey"]

    def sent(self, values: Item) -> Item:
        """Return values in wire form as a request wants them."""
        if not self._raw_binary:
            return values
        return {name: to_client(value) for name, value in values.items()}

    def count(self, *consumed: Mapping[str, Any]) -> None:
        self.read_units += sum(each.get("CapacityUnits", 0.0) for each in consumed)


class SecondLook:
    """
    Looks again at items of one table and their entries.

    Args:
        reader: Of the table.
        state: The table and its indexes, as the target describes them.
        settling: How long.
    """

    def __init__(self, reader: StrongReader, state: TableState, settling: Settling) -> None:
        self._reader = reader
        self._state = state
        self._settling = settling

    def decide(self, suspects: Iterable[Suspect]) -> Outcome:
        """
        Return which of some items differ.

        Raises:
            DynamoDBError: The target refused.
            LimitReachedError: It would cost more than allowed.
        """
        certain, undecided = self._settling.decide(suspects, self._look)
        return Outcome(
            differences=tuple(_difference(each) for each in certain), undecided=tuple(undecided)
        )

    def _look(self, suspects: Sequence[Suspect]) -> "list[_Seen]":
        """Read items, strongly consistent, and then their entries."""
        items = self._reader.items({as_text(each.key): each.key for each in suspects})
        looks = []
        asked: dict[tuple[str, str], dict[str, _Seen]] = {}
        for suspect in suspects:
            name = as_text(suspect.key)
            index = self._state.index(suspect.index)
            assert index is not None  # noqa: S101 - it is one of the table's
            item = items.get(name)
            entry = None if item is None else expected_entry(item, index, self._state.keys)
            if entry is not None:
                suspect.entry_keys.add(as_text(part_of(entry, index.keys.names)))
            seen = _Seen(suspect=suspect, index=index, item=item, expected=entry)
            looks.append(seen)
            for key in suspect.entry_keys:
                under = json.loads(key)
                if violations(under, index.keys):
                    # no query takes such a key, and DynamoDB has no such entry; a stand-in may
                    seen.entries.append(under)
                else:
                    asked.setdefault((index.name, key), {})[name] = seen
        # all that are under one key of the index come with one query
        for (_, key), wanted in asked.items():
            self._find_entries(next(iter(wanted.values())).index, json.loads(key), wanted)
        return looks

    def _find_entries(self, index: IndexState, key: Item, wanted: "dict[str, _Seen]") -> None:
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
                f":k{number}": key[name] for number, name in enumerate(names)
            },
        }
        for entry in self._reader.pages(request):
            seen = wanted.get(as_text(part_of(entry, self._state.keys.names)))
            if seen is not None:
                seen.entries.append(entry)


@dataclass(slots=True, kw_only=True)
class _Seen:
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

    @property
    def is_equal(self) -> bool:
        wanted = [] if self.expected is None else [canonical(self.expected)]
        return self._texts == wanted

    @property
    def state(self) -> bytes:
        return digest_of(self.item or {}, self._texts)

    @property
    def wanted(self) -> bytes:
        return digest_of(self.expected or {}, self._texts)

    @property
    def _texts(self) -> list[str]:
        return sorted(canonical(entry) for entry in self.entries)


def _difference(seen: _Seen) -> Difference:
    kind, reason = _kind_and_reason(seen)
    return Difference(
        index=seen.index.name,
        key=seen.suspect.key,
        kind=kind,
        reason=reason,
        is_refused=bool(seen.entries)
        and seen.item is not None
        and any(map(is_refused, violations(seen.item, seen.index.keys))),
    )


def _kind_and_reason(seen: _Seen) -> tuple[DifferenceKind, str]:
    expected, entries = seen.expected, seen.entries
    if not entries:
        return DifferenceKind.MISSING, "the item has its keys, and no entry"
    if seen.item is None:
        return DifferenceKind.EXTRA, "there is an entry and no such item"
    if expected is None:
        why = " and ".join(
            each.describe(1).removeprefix("1 ") for each in violations(seen.item, seen.index.keys)
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
    if set(names) & set(seen.index.keys.names):
        return DifferenceKind.DIFFERS, f"its entry is under another key: {', '.join(names)}"
    return DifferenceKind.DIFFERS, f"its entry has another {', '.join(names)}"
