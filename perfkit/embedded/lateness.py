"""
Reads that lag behind writes, where somebody asked for it: global indexes and eventual reads.

Beside the items are rows of `late`: what was under a stored key before a write, until when readers
still see that.  They are written with the write, in one transaction, so no process and no kill can
lose or forget one.  Of several under one key the oldest that is not due counts.  The writes of an
item become due in their order, in the table and in each index, so what is read is always a state
that the item was in.

How long it takes is kept in each table's definition, which every request reads anyway: of a table
without it nothing here runs.
"""

import hashlib
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from math import isfinite
from typing import Any

import orjson

from perfkit.capacity import Item, item_size
from perfkit.embedded.pages import weight
from perfkit.embedded.ranges import KeyRange
from perfkit.embedded.schema import Index, IndexKind, Table
from perfkit.embedded.storage import Storage, Transaction
from perfkit.errors import ConfigError

__all__ = ["delay_of", "find", "is_late", "note", "rows", "set_delay"]

_now_s = time.time
"""Seconds since 1970, which all processes share."""

_MOST_S = 3600.0

_ROWS = (
    (
        "CREATE TABLE IF NOT EXISTS late (id INTEGER PRIMARY KEY, store INTEGER NOT NULL,"
        " k BLOB NOT NULL, item BLOB NOT NULL, due_s REAL NOT NULL, size INTEGER NOT NULL,"
        " weight INTEGER NOT NULL, data BLOB)"
    ),
    "CREATE INDEX IF NOT EXISTS late_by_key ON late (store, k, id)",
    "CREATE INDEX IF NOT EXISTS late_by_item ON late (store, item, due_s)",
    "CREATE INDEX IF NOT EXISTS late_by_time ON late (due_s)",
    "CREATE TABLE IF NOT EXISTS delay (seconds REAL NOT NULL, writes INTEGER NOT NULL)",
)


def set_delay(storage: Storage, seconds: float) -> None:
    """
    Let reads of all tables of a file lag by up to so many seconds, in all processes; 0 ends it.

    Raises:
        ConfigError: It is no number from 0 to an hour.
    """
    if not (isfinite(seconds) and 0 <= seconds <= _MOST_S):
        msg = f"an index delay is a number of seconds from 0 to {_MOST_S:.0f}, not {seconds:g}"
        raise ConfigError(msg)
    with storage.read() as transaction:
        if delay_of(transaction) == seconds:
            return
    with storage.write() as transaction:
        for statement in _ROWS:
            transaction.run(statement)
        transaction.run("DELETE FROM delay")
        transaction.run("INSERT INTO delay VALUES (?, 0)", (seconds,))
        for (name,) in transaction.run("SELECT name FROM catalog").fetchall():
            table = transaction.table(name)
            if table is not None:
                transaction.save(replace(table, index_delay_s=seconds))
        if not seconds:
            transaction.run("DELETE FROM late")


def delay_of(transaction: Transaction) -> float:
    """Return by how many seconds at most reads of a file's tables lag."""
    if transaction.run("SELECT 1 FROM sqlite_schema WHERE name = 'delay'").fetchone() is None:
        return 0.0
    row = transaction.run("SELECT seconds FROM delay").fetchone()
    return 0.0 if row is None else float(row[0])


def is_late(table: Table, index: Index | None, request: Mapping[str, Any]) -> bool:
    """Return whether a read lags: of a global index, or eventually consistent of the table."""
    if not table.index_delay_s:
        return False
    if index is None:
        return not request.get("ConsistentRead")
    return index.kind is IndexKind.GLOBAL


# ---- writing -----------------------------------------------------------------------------------------


def note(
    transaction: Transaction, table: Table, key: bytes, old: Item | None, new: Item | None
) -> None:
    """
    Keep for late readers what a write replaces.

    Args:
        transaction: The write's.
        table: One whose reads lag.
        key: Stored key of the item.
        old: What was under it; None if nothing.
        new: What takes its place; None if nothing.
    """
    transaction.run("DELETE FROM late WHERE due_s <= ?", (_now_s(),))
    if old != new:
        _keep(transaction, table, table.store, key, [(key, old)], table.keys.sort)
    for index in table.writable_indexes:
        if index.kind is not IndexKind.GLOBAL:
            continue
        old_key, old_view = _entry(table, index, key, old)
        new_key, new_view = _entry(table, index, key, new)
        if (old_key, old_view) == (new_key, new_view):
            continue
        before: list[tuple[bytes, Item | None]] = []
        if old_key is not None:
            before.append((old_key, old_view))
        if new_key is not None and new_key != old_key:
            before.append((new_key, None))
        _keep(transaction, table, index.store, key, before, index.keys.sort)


def _entry(
    table: Table, index: Index, key: bytes, item: Item | None
) -> tuple[bytes | None, Item | None]:
    entry_key = None if item is None else table.entry_key(index, item, key)
    return entry_key, None if item is None or entry_key is None else index.view(item, table.keys)


def _keep(
    transaction: Transaction,
    table: Table,
    store: int,
    item_key: bytes,
    before: Iterable[tuple[bytes, Item | None]],
    sort_names: tuple[str, ...],
) -> None:
    """Add rows of one write in one store: they become due together, and after earlier ones."""
    (number,) = transaction.run("UPDATE delay SET writes = writes + 1 RETURNING writes").fetchone()
    (last_s,) = transaction.run(
        "SELECT coalesce(max(due_s), 0) FROM late WHERE store = ? AND item = ?", (store, item_key)
    ).fetchone()
    due_s = max(last_s, _now_s() + table.index_delay_s * _fraction(store, number))
    for key, view in before:
        size = 0 if view is None else item_size(view)
        transaction.run(
            "INSERT INTO late (store, k, item, due_s, size, weight, data)"
            " VALUES (?, ?, ?, ?, ?, ?, ?)",
            (
                store,
                key,
                item_key,
                due_s,
                size,
                0 if view is None else weight(view, size, sort_names),
                None if view is None else orjson.dumps(view),
            ),
        )


def _fraction(store: int, number: int) -> float:
    """Return a number from 0 to 1, the same each time for the same writes."""
    digest = hashlib.blake2b(f"{store} {number}".encode(), digest_size=8).digest()
    return int.from_bytes(digest) / 2**64


# ---- reading -----------------------------------------------------------------------------------------


def find(transaction: Transaction, table: Table, key: bytes) -> tuple[int, int, bytes] | None:
    """Return what `Transaction.find` does, as a late reader sees it; without a row number."""
    row = transaction.run(
        "SELECT 0, size, data FROM late WHERE store = ? AND k = ? AND due_s > ?"
        " ORDER BY id LIMIT 1",
        (table.store, key, _now_s()),
    ).fetchone()
    if row is None:
        return transaction.find(table, key)
    return None if row[2] is None else row


def rows(
    transaction: Transaction,
    sql: str,
    key: str,
    store: int,
    within: KeyRange,
    *,
    order: str,
    limit: int,
) -> Iterator[tuple[int, bytes]]:
    """
    Return weight and JSON of what late readers see in a range of a table or an index, in order.

    Args:
        transaction: What reads.
        sql: Everything before the WHERE that reads what is there now: weight and JSON.
        key: Name of the column with the stored key.
        store: Number of the table or index.
        within: The range.
        order: ASC or DESC.
        limit: Rows at most, -1 for all.
    """
    read_s = _now_s()
    where, bounds = within.sql(key)
    late_where, _ = within.sql("l.k")
    select, _, source = sql.partition(" FROM ")
    # within the question about `late`, a bare name is a column of that
    now_key = key if "." in key else f"{source}.{key}"
    found = transaction.run(
        f"{select}, {key} AS place FROM {source}{where}{' AND' if where else ' WHERE'} NOT EXISTS"
        f" (SELECT 1 FROM late p WHERE p.store = ? AND p.k = {now_key} AND p.due_s > ?)"
        " UNION ALL"
        f" SELECT l.weight, l.data, l.k FROM late l{late_where}"
        f"{' AND' if late_where else ' WHERE'} l.store = ? AND l.due_s > ? AND l.data IS NOT NULL"
        " AND NOT EXISTS (SELECT 1 FROM late o WHERE o.store = l.store AND o.k = l.k"
        " AND o.due_s > ? AND o.id < l.id)"
        f" ORDER BY place {order} LIMIT ?",
        (*bounds, store, read_s, *bounds, store, read_s, read_s, limit),
    )
    return ((weighs, data) for weighs, data, _ in found)
