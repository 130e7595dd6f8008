"""Looking for what a damaged data file holds in place of items and definitions."""

from typing import Any

import orjson

from perfkit.embedded.schema import Table
from perfkit.embedded.storage import Storage, Transaction
from perfkit.embedded.values import normalize_item

__all__ = ["find_damage"]


def find_damage(storage: Storage) -> str | None:
    """
    Return what in the file cannot be read as the engine wrote it; None if everything can.

    Reads the whole file, so it is for when something has gone wrong already.
    """
    with storage.read() as transaction:
        for name, definition in transaction.run("SELECT name, definition FROM catalog"):
            table = _table(definition)
            if table is None or table.name != name:
                return f"the definition of table {name}"
            if not _readable(transaction, f"t{table.store}"):
                return f"an item of table {name}"
            for index in table.indexes:
                if not _readable(transaction, f"i{index.store}"):
                    return f"an entry of index {index.name} of table {name}"
    return None


def _table(definition: Any) -> Table | None:
    try:
        return Table.from_json(orjson.loads(definition))
    except Exception:  # noqa: BLE001 - whatever damage leads to
        return None


def _readable(transaction: Transaction, store: str) -> bool:
    for size, data in transaction.run(f"SELECT size, data FROM {store}"):
        # an entry of an index that projects everything has no data of its own
        if not isinstance(size, int) or (data is None and store.startswith("t")):
            return False
        try:
            if data is not None:
                normalize_item(orjson.loads(data))
        except Exception:  # noqa: BLE001
            return False
    return True
