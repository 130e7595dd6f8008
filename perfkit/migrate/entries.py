"""
What an index should hold, and what it holds instead: entries compared without keeping them.

Of each entry that an item should have, a digest is kept in a temporary file, so memory stays flat
whatever the table has. The file has no name: nobody else can open it, and it is gone when the
process is.
"""

import hashlib
import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from perfkit.capacity import Item
from perfkit.dynamodb.index_items import violations
from perfkit.dynamodb.items import canonical, from_client
from perfkit.dynamodb.tables import IndexState, Keys
from perfkit.errors import StorageFullError

__all__ = ["Entries", "Suspect", "as_text", "digest_of", "expected_entry", "part_of", "room"]

_DIGEST_BYTES = 16
"""Of two different entries, that their digests are alike has odds of one in 2 to the 128th."""

_TABLES = """
CREATE TABLE expected (digest BLOB PRIMARY KEY, place INTEGER, key TEXT) WITHOUT ROWID;
CREATE TABLE suspects (place INTEGER, key TEXT, entry TEXT);
"""


def part_of(item: Item, names: Iterable[str]) -> Item:
    """Return the attributes of these names that an item has."""
    return {name: item[name] for name in names if name in item}


def expected_entry(item: Item, index: IndexState, keys: Keys) -> Item | None:
    """
    Return the entry that an item should have in an index; None if it does not belong in it.

    Args:
        item: With at least all attributes that the index projects.
        index: As the target describes it.
        keys: Of the table.
    """
    if violations(item, index.keys):
        return None
    if index.projection == "ALL":
        return item
    return part_of(item, dict.fromkeys((*index.keys.names, *keys.names, *index.non_key_attributes)))


def as_text(key: Item) -> str:
    """Return a key, in wire form or boto3's, as a text of its wire form."""
    plain = {name: from_client(value) for name, value in key.items()}
    return json.dumps(plain, sort_keys=True, ensure_ascii=False)


def digest_of(item: Mapping[str, Any], *more: object) -> bytes:
    """Return a digest that two items share exactly if they are equal, and *more* is."""
    text = f"{canonical(item)}\n{more}"
    return hashlib.blake2b(text.encode(), digest_size=_DIGEST_BYTES).digest()


@dataclass(slots=True, kw_only=True)
class Suspect:
    """
    An item that may differ from its entries.

    Args:
        index: The index.
        key: Of the item, in wire form.
        entry_keys: Keys of the index under which it has, had, or should have an entry, as texts.
    """

    index: str
    key: Item
    entry_keys: set[str] = field(default_factory=set)


class Entries:
    """
    The entries that a table's items should have in some indexes, less those that were found.

    Threads may share it only under a lock of their own.

    Args:
        indexes: As the target describes them.
        keys: Of the table.

    Raises:
        StorageFullError: From every method, where the disk is full.
    """

    def __init__(self, indexes: Iterable[IndexState], keys: Keys) -> None:
        self._indexes = tuple(indexes)
        self._keys = keys
        with room():
            # "" is a temporary file that SQLite removes as soon as it is open
            self._file = sqlite3.connect("", isolation_level=None, check_same_thread=False)
            for statement in (
                "PRAGMA journal_mode = OFF",
                "PRAGMA synchronous = OFF",
                "PRAGMA cache_size = -32000",
                *_TABLES.strip().split("\n"),
            ):
                self._file.execute(statement)

    def expect(self, items: Iterable[Item]) -> None:
        """Take a page of the table into account."""
        rows = []
        for item in items:
            key = as_text(part_of(item, self._keys.names))
            for place, index in enumerate(self._indexes):
                entry = expected_entry(item, index, self._keys)
                if entry is not None:
                    rows.append((digest_of(entry, place), place, key))
        with self._transaction() as run:
            # a segment that moves hands out an item twice
            run("INSERT OR IGNORE INTO expected VALUES (?, ?, ?)", rows)

    def meet(self, index: IndexState, entries: Iterable[Item]) -> None:
        """Take a page of an index into account, once all of the table's were."""
        place = self._indexes.index(index)
        strangers = []
        with self._transaction():
            for entry in entries:
                found = self._file.execute(
                    "DELETE FROM expected WHERE digest = ?", (digest_of(entry, place),)
                )
                if not found.rowcount:
                    key = as_text(part_of(entry, self._keys.names))
                    strangers.append((place, key, as_text(part_of(entry, index.keys.names))))
            self._file.executemany("INSERT INTO suspects VALUES (?, ?, ?)", strangers)

    def suspects(self, most: int) -> Iterator[list[Suspect]]:
        """Yield the items that may differ from their entries, so many at a time."""
        with room():
            rows = self._file.execute(
                "SELECT place, key, max(entry) AS first, json_group_array(entry) FROM"
                " (SELECT place, key, entry FROM suspects"
                " UNION ALL SELECT place, key, NULL FROM expected)"
                " GROUP BY place, key ORDER BY place, first, key"
            )
            while found := rows.fetchmany(most):
                yield [
                    Suspect(
                        index=self._indexes[place].name,
                        key=json.loads(key),
                        entry_keys={each for each in json.loads(entries) if each is not None},
                    )
                    for place, key, _, entries in found
                ]

    def close(self) -> None:
        """Remove the file."""
        self._file.close()

    @contextmanager
    def _transaction(self) -> Iterator[Any]:
        with room():
            self._file.execute("BEGIN")
            yield self._file.executemany
            self._file.execute("COMMIT")


@contextmanager
def room() -> Iterator[None]:
    """Explain a disk that is full of temporary data."""
    try:
        yield
    except sqlite3.OperationalError as error:
        msg = (
            f"no room for temporary data ({error}); free some space, or name another folder with"
            " TMPDIR"
        )
        raise StorageFullError(msg) from error
