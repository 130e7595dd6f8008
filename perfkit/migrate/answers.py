"""
A pattern's form of today against its query of an index: what each finds, key by key.

Today's form is a filter over the table, so one scan of the table answers it for all keys. The query
is asked with each key, or with a sample of them. What only one of the two finds is looked at again
as entries are (see `second_look`). Items that the index cannot hold are counted apart.
"""

import hashlib
import heapq
import json
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from perfkit.capacity import AttributeValue, Item
from perfkit.dynamodb.index_items import violations
from perfkit.dynamodb.items import canonical, from_client
from perfkit.dynamodb.requests import scan_test
from perfkit.dynamodb.tables import IndexState, TableState
from perfkit.migrate.entries import as_text, digest_of, part_of, room
from perfkit.migrate.second_look import Settling, StrongReader
from perfkit.workloads.equalities import equalities
from perfkit.workloads.model import AccessPattern, QueryForm

__all__ = ["Answer", "Answers", "Question", "chance_of_more", "questions_of"]

_ASKABLE = frozenset({"S", "N", "B", "BOOL"})

_TABLES = (
    "CREATE TABLE asked (hash BLOB PRIMARY KEY, parameters TEXT) WITHOUT ROWID",
    "CREATE TABLE found (hash BLOB, key TEXT, digest BLOB, PRIMARY KEY (hash, key)) WITHOUT ROWID",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """
    A pattern that is asked both ways.

    Args:
        pattern: With its scan filter.
        form: Its query, of the index under the name that it has on the table.
        index: The index.
    """

    pattern: AccessPattern
    form: QueryForm
    index: IndexState

    @property
    def scan_filter(self) -> str:
        """Today's form."""
        return self.pattern.scan_filter or ""

    @property
    def bound(self) -> dict[str, str]:
        """The attribute that each parameter equals; empty unless items say all parameters."""
        found = dict(equalities(self.scan_filter, self.pattern))
        return found if found.keys() >= self.pattern.parameter_names else {}


def questions_of(
    patterns: Iterable[AccessPattern], table: str, indexes: dict[str, IndexState]
) -> tuple[Question, ...]:
    """
    Return the patterns that can be asked both ways.

    Args:
        patterns: Of the workload.
        table: The table.
        indexes: Those that are there, by their names in the workload.
    """
    found = []
    for pattern in patterns:
        form = pattern.better_query
        if pattern.table != table or form is None or pattern.scan_filter is None:
            continue
        index = indexes.get(form.index or "")
        if index is None:
            continue
        question = Question(pattern=pattern, form=replace(form, index=index.name), index=index)
        if question.bound or not pattern.drawn:
            found.append(question)
    return tuple(found)


def chance_of_more(keys: int) -> float:
    """
    Return the share of keys that may differ at most, at 95%, where none of a sample does.

    Source: Hanley and Lippman-Hand (1983), "If nothing goes wrong, is everything all right?", JAMA
    249; the exact form of the rule of three.
    """
    return float(1 - 0.05 ** (1 / keys))


@dataclass(slots=True, kw_only=True)
class Answer:
    """
    What was found of one pattern.

    Attributes:
        pattern: Its name.
        table: Its table.
        index: The index.
        keys: Keys that it was asked with.
        whole: These are all that items have.
        unheld: Items that today's form finds and the index cannot hold, of these keys.
        differing: Parameters that the two forms answer differently, as texts.
        differences: Table key of each item that only one of them finds, or otherwise, and why.
        undecided: Items that were written all the while.
    """

    pattern: str
    table: str
    index: str
    keys: int = 0
    whole: bool = True
    unheld: int = 0
    differing: set[str] = field(default_factory=set)
    differences: list[tuple[Item, str]] = field(default_factory=list)
    undecided: int = 0


@dataclass(slots=True, kw_only=True)
class _Found:
    """One item under one key, as each form finds it at a look."""

    suspect: "_Suspect"
    item: Item | None
    today: bytes | None
    queried: bytes | None

    @property
    def is_equal(self) -> bool:
        return self.today == self.queried

    @property
    def state(self) -> bytes:
        return digest_of(self.item or {}, self.queried)

    @property
    def wanted(self) -> bytes:
        return digest_of({}, self.today, self.queried)

    @property
    def reason(self) -> str:
        if self.queried is None:
            return "today's form finds it, and the query of the index does not"
        if self.today is None:
            return "the query of the index finds it, and today's form does not"
        return "both find it, with other attributes"


@dataclass(slots=True, kw_only=True)
class _Suspect:
    parameters: str
    key: Item


class Answers:
    """
    What today's form of a question finds, for some or all keys that items have.

    Threads may share it only under a lock of their own.

    Args:
        question: The question.
        state: Its table.
        most: Keys to ask with at most: those whose hashes are smallest, which is a random sample of
            the keys, however many items each has. None for all.
    """

    def __init__(self, question: Question, state: TableState, *, most: int | None) -> None:
        self._question = question
        self._state = state
        self._most = most
        self._bound = question.bound
        self._largest: list[int] = []
        self._kept: set[bytes] = set()
        self._is_whole = True
        self._unheld: dict[bytes, int] = {}
        self._tests: list[tuple[bytes, Callable[[Item], bool]]] = []
        with room():
            self._file = sqlite3.connect("", isolation_level=None, check_same_thread=False)
            for statement in (
                "PRAGMA journal_mode = OFF",
                "PRAGMA synchronous = OFF",
                *_TABLES,
            ):
                self._file.execute(statement)
        if not self._bound:
            for one in question.pattern.sets:
                name = self._keep(dict(one.parameters))
                assert name is not None  # noqa: S101 - nothing is left out of written sets
                self._tests.append((name, scan_test(question.pattern.asking(one.parameters))))

    def add(self, items: Iterable[Item]) -> None:
        """Take a page of the table into account."""
        with room():
            self._file.execute("BEGIN")
            for item in items:
                for name, matches in self._tests or self._own(item):
                    if not matches(item):
                        continue
                    if violations(item, self._question.index.keys):
                        self._unheld[name] = self._unheld.get(name, 0) + 1
                        continue
                    self._file.execute(
                        "INSERT OR REPLACE INTO found VALUES (?, ?, ?)",
                        (name, self._key(item), self._digest(item)),
                    )
            self._file.execute("COMMIT")

    def _own(self, item: Item) -> list[tuple[bytes, Callable[[Item], bool]]]:
        """Return the key that an item says, if it is one of those to ask with, and its test."""
        parameters = {}
        for name, attribute in self._bound.items():
            value = item.get(attribute)
            if value is None or next(iter(value)) not in _ASKABLE:
                return []
            parameters[name] = from_client(value)
        refused = {each.attribute for each in violations(item, self._question.index.keys)}
        if refused & set(self._bound.values()):
            # no query of the index can ask with it
            return []
        kept = self._keep(parameters)
        return (
            [] if kept is None else [(kept, scan_test(self._question.pattern.asking(parameters)))]
        )

    def _keep(self, parameters: dict[str, AttributeValue]) -> bytes | None:
        text = as_text(parameters)
        name = hashlib.blake2b(text.encode(), digest_size=16).digest()
        if self._most is not None:
            if name in self._kept:
                return name
            # negative, because the largest is what has to go
            place = -int.from_bytes(name)
            if len(self._largest) == self._most:
                self._is_whole = False
                gone = heapq.heappushpop(self._largest, place)
                if gone == place:
                    return None
                left = (-gone).to_bytes(16)
                self._kept.discard(left)
                self._unheld.pop(left, None)
                self._file.execute("DELETE FROM asked WHERE hash = ?", (left,))
                self._file.execute("DELETE FROM found WHERE hash = ?", (left,))
            else:
                heapq.heappush(self._largest, place)
            self._kept.add(name)
        self._file.execute("INSERT OR IGNORE INTO asked VALUES (?, ?)", (name, text))
        return name

    def compare(self, reader: StrongReader, settling: Settling) -> Answer:
        """
        Ask the query with each key, and return how its answers differ from today's.

        Raises:
            DynamoDBError: The target refused.
            LimitReachedError: It would cost more than allowed.
        """
        question = self._question
        answer = Answer(
            pattern=question.pattern.name,
            table=self._state.name,
            index=question.index.name,
            whole=self._is_whole,
            unheld=sum(self._unheld.values()),
        )
        suspects = []
        for name, text in self._file.execute("SELECT hash, parameters FROM asked").fetchall():
            answer.keys += 1
            suspects += [
                _Suspect(parameters=text, key=json.loads(key))
                for key in self._unlike(reader, name, text)
            ]
        certain, undecided = settling.decide(suspects, lambda left: self._look(reader, left))
        for each in certain:
            answer.differing.add(each.suspect.parameters)
            answer.differences.append((each.suspect.key, each.reason))
        answer.undecided = len(undecided)
        return answer

    def _look(self, reader: StrongReader, suspects: list[_Suspect]) -> list[_Found]:
        """Read items, strongly consistent, and ask the query again."""
        items = reader.items({as_text(each.key): each.key for each in suspects})
        asked: dict[str, dict[str, _Found]] = {}
        for suspect in suspects:
            name = as_text(suspect.key)
            item = items.get(name)
            found = _Found(suspect=suspect, item=item, today=None, queried=None)
            if item is not None and self._holds(item, json.loads(suspect.parameters)):
                found.today = self._digest(item)
            asked.setdefault(suspect.parameters, {})[name] = found
        for parameters, wanted in asked.items():
            for entry in self._ask(reader, parameters):
                asked_again = wanted.get(self._key(entry))
                if asked_again is not None:
                    asked_again.queried = self._digest(entry)
        return [found for wanted in asked.values() for found in wanted.values()]

    def _holds(self, item: Item, parameters: dict[str, AttributeValue]) -> bool:
        """Return whether today's form finds an item that the index can hold."""
        matches = scan_test(self._question.pattern.asking(parameters))
        return matches(item) and not violations(item, self._question.index.keys)

    def _unlike(self, reader: StrongReader, name: bytes, text: str) -> set[str]:
        """Return the keys of items that only one form finds, or finds otherwise."""
        unlike = set()
        for item in self._ask(reader, text):
            key, digest = self._key(item), self._digest(item)
            row = self._file.execute(
                "DELETE FROM found WHERE hash = ? AND key = ? RETURNING digest", (name, key)
            ).fetchone()
            if row is None or row[0] != digest:
                unlike.add(key)
        rows = self._file.execute("SELECT key FROM found WHERE hash = ?", (name,))
        return {*unlike, *(key for (key,) in rows)}

    def _ask(self, reader: StrongReader, parameters: str) -> Iterator[Item]:
        """Yield what the query finds with some parameters."""
        form, pattern = self._question.form, self._question.pattern
        names, values = pattern.asking(json.loads(parameters)).placeholders(
            form.key_condition, form.filter
        )
        request: dict[str, Any] = {
            "TableName": self._state.name,
            "IndexName": form.index,
            "KeyConditionExpression": form.key_condition,
            "ExpressionAttributeValues": values,
        }
        if names:
            request["ExpressionAttributeNames"] = names
        if form.filter is not None:
            request["FilterExpression"] = form.filter
        return reader.pages(request)

    def _key(self, item: Item) -> str:
        return as_text(part_of(item, self._state.keys.names))

    def _digest(self, item: Item) -> bytes:
        text = canonical(item, self._question.pattern.returns)
        return hashlib.blake2b(text.encode(), digest_size=16).digest()

    def close(self) -> None:
        """Remove what is kept."""
        self._file.close()
