"""Writing many items in one transaction: perfkit's own way to fill a table, not DynamoDB's."""

from collections.abc import Sequence

from perfkit.capacity import Item
from perfkit.embedded.errors import validation
from perfkit.embedded.keys import check_item, find_table
from perfkit.embedded.metering import Meter
from perfkit.embedded.storage import Storage
from perfkit.embedded.values import normalize_item
from perfkit.embedded.writes import NewItem, change_item, load

__all__ = ["load_items"]


def load_items(storage: Storage, table_name: str, items: Sequence[Item]) -> float:
    """
    Write items as so many PutItem would, all or none.

    Returns:
        Write units.

    Raises:
        DynamoDBError: An item cannot be stored, two have the same key, or there is no table.
    """
    new_items = [NewItem.of(normalize_item(item)) for item in items]
    # what needs no lock is done before taking it: writers of all processes queue for it
    with storage.read() as transaction:
        table = find_table(transaction, table_name)
    keyed = {}
    for new in new_items:
        check_item(table, new.item, batch=True)
        keyed[table.keys.stored(new.item)] = new
    if len(keyed) < len(new_items):
        msg = "two of the items to load have the same key"
        raise validation(msg)
    with storage.write() as transaction:
        current = find_table(transaction, table_name)
        if current.table_id != table.table_id:
            msg = "the table was removed and made again meanwhile"
            raise validation(msg)
        # a definition changed meanwhile may have other indexes
        for new in new_items if current != table else ():
            check_item(current, new.item, batch=True)
        meter = Meter(current.name)
        # neighbours by key share pages of the key index, and of the table when it is scanned
        for key in sorted(keyed):
            change_item(
                transaction, current, key, load(transaction, current, key), keyed[key], meter
            )
    return meter.total
