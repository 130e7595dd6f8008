"""When items of tables with a time to live expire: rows beside the items, in order of time."""

import orjson

from perfkit.capacity import Item
from perfkit.embedded.schema import Table
from perfkit.embedded.storage import Transaction

__all__ = ["due", "forget", "forget_table", "note", "note_all"]

_OLDEST_S = 5 * 365 * 86_400
"""What lies further back was never meant as a time to live: AWS leaves it alone, too."""

_MOST_DIGITS = 18
"""Seconds of more digits fit no row, and no time that anybody waits for."""

_ROWS = (
    (
        "CREATE TABLE IF NOT EXISTS expirations ("
        "name TEXT NOT NULL, k BLOB NOT NULL, at INTEGER NOT NULL, PRIMARY KEY (name, k)"
        ") WITHOUT ROWID"
    ),
    "CREATE INDEX IF NOT EXISTS expirations_by_time ON expirations (at)",
)


def _expires_s(item: Item, attribute: str) -> int | None:
    """Return when an item expires, in seconds since 1970; None if never."""
    text: str | None = item.get(attribute, {}).get("N")
    if text is None:
        return None
    whole = text.partition(".")[0]
    return int(whole) if len(whole) <= _MOST_DIGITS else None


def note(transaction: Transaction, table: Table, key: bytes, item: Item | None) -> None:
    """Note when what is now stored under a key expires; None: it is gone."""
    at = None
    if item is not None and table.ttl_attribute is not None:
        at = _expires_s(item, table.ttl_attribute)
    if at is None:
        forget(transaction, table.name, key)
    else:
        transaction.run(
            "INSERT OR REPLACE INTO expirations VALUES (?, ?, ?)", (table.name, key, at)
        )


def forget(transaction: Transaction, table_name: str, key: bytes) -> None:
    """Forget when what was stored under a key expires."""
    transaction.run("DELETE FROM expirations WHERE name = ? AND k = ?", (table_name, key))


def note_all(transaction: Transaction, table: Table) -> None:
    """Note when each item of a table expires, after its attribute was chosen."""
    for statement in _ROWS:
        transaction.run(statement)
    # as every item with such a number begins it, so that the others need not be read
    beginning = orjson.dumps({table.ttl_attribute: {"N": 0}})[1:-3]
    rows = transaction.run(f"SELECT k, data FROM t{table.store} WHERE instr(data, ?)", (beginning,))
    for key, data in rows:
        note(transaction, table, key, orjson.loads(data))


def forget_table(transaction: Transaction, table: Table) -> None:
    """Forget when items of a table expire."""
    transaction.run("DELETE FROM expirations WHERE name = ?", (table.name,))


def due(transaction: Transaction, now_s: float, limit: int) -> list[tuple[str, bytes]]:
    """
    Return table and stored key of items whose time has passed, the first to expire first.

    Args:
        now_s: Seconds since 1970.
        limit: How many at the most.
    """
    known = "SELECT 1 FROM sqlite_schema WHERE name = 'expirations'"
    if transaction.run(known).fetchone() is None:
        return []
    rows: list[tuple[str, bytes]] = transaction.run(
        "SELECT name, k FROM expirations WHERE at <= ? AND at > ? ORDER BY at LIMIT ?",
        (int(now_s), int(now_s) - _OLDEST_S, limit),
    ).fetchall()
    return rows
