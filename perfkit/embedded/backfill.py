"""
Creating and deleting an index on a live table, one bounded step at a time.

There is no daemon: each DescribeTable moves the operation on.  A step is one transaction,
so processes may take turns and any of them may be killed between or within steps.  Writers
keep the index up to date from the moment it copies (`writes.change_item`); the copy works
through the items by row number and overwrites what is there, so both may meet an item in
any order.
"""

from dataclasses import replace

import orjson

from perfkit.capacity import item_size
from perfkit.embedded.pages import weight
from perfkit.embedded.schema import Index, IndexStatus, Table
from perfkit.embedded.storage import Transaction

__all__ = ["advance", "running"]

_STEP_ITEMS = 2_000
"""Items one step copies: about 0.05 s of writing, which other writers wait for."""


def running(table: Table) -> Index | None:
    """Return the index that is being created or deleted, if one is."""
    busy = (IndexStatus.CREATING, IndexStatus.DELETING)
    return next((index for index in table.indexes if index.status in busy), None)


def advance(transaction: Transaction, table: Table) -> Table:
    """Take one step of the running index operation and return the table as it is then."""
    index = running(table)
    if index is None:
        return table
    if index.status is IndexStatus.DELETING:
        transaction.remove_index(index)
        table = table.without_index(index.name)
    elif not index.backfilling:
        table = table.with_index(replace(index, backfilling=True))
    else:
        table = table.with_index(_copy(transaction, table, index))
    transaction.save(table)
    return table


def _copy(transaction: Transaction, table: Table, index: Index) -> Index:
    rows = transaction.run(
        f"SELECT id, k, data FROM t{table.store} WHERE id > ? ORDER BY id LIMIT ?",
        (index.cursor, _STEP_ITEMS),
    ).fetchall()
    for row, key, data in rows:
        item = orjson.loads(data)
        entry = table.entry_key(index, item, key)
        if entry is None:
            continue
        view = index.view(item, table.keys)
        stored = None if index.projection == "ALL" else orjson.dumps(view)
        size = item_size(view)
        weighs = weight(view, size, index.keys.sort)
        transaction.put_entry(index, entry, row, size, weighs, stored)
    if len(rows) == _STEP_ITEMS:
        return replace(index, cursor=rows[-1][0])
    return replace(index, status=IndexStatus.ACTIVE, backfilling=False, cursor=0)
