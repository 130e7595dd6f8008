"""Checks of primary keys and index keys in requests, worded as AWS words them."""

from perfkit.capacity import AttributeValue, Item
from perfkit.embedded.errors import INVALID_VALUES, DynamoDBError, validation
from perfkit.embedded.schema import MAX_PARTITION_KEY_BYTES, MAX_SORT_KEY_BYTES, Keys, Table
from perfkit.embedded.storage import Transaction
from perfkit.embedded.values import key_bytes

__all__ = [
    "KEY_MISMATCH",
    "check_content",
    "check_index_keys",
    "check_item",
    "check_key",
    "check_no_key_is_nested",
    "find_table",
    "table_name",
]

_NOT_VALID = "One or more parameter values are not valid. "
KEY_MISMATCH = "The provided key element does not match the schema"


def table_name(given: str) -> str:
    """Return the table's name from a name or a resource name (ARN)."""
    return given.rpartition("/")[2] if given.startswith("arn:") else given


def find_table(transaction: Transaction, given: str) -> Table:
    """
    Return the table a data operation names.

    Raises:
        DynamoDBError: ResourceNotFoundException.
    """
    table = transaction.table(table_name(given))
    if table is None:
        raise DynamoDBError("ResourceNotFoundException", "Requested resource not found")
    return table


def _kind(value: AttributeValue) -> str:
    return next(iter(value))


def check_content(name: str, value: AttributeValue, keys: Keys, *, empty: bool = False) -> None:
    """
    Raise unless the value of a key attribute has a length that a key may have.

    Args:
        name: The attribute.
        value: Of the attribute's type.
        keys: The keys it belongs to.
        empty: Whether it may be empty, as the beginning of a key may.
    """
    raw = key_bytes(value)
    if not raw and not empty and "N" not in value:
        what = "string" if "S" in value else "binary"
        raise validation(
            f"{_NOT_VALID}The AttributeValue for a key attribute cannot contain an empty"
            f" {what} value. Key: {name}"
        )
    if name in keys.partition:
        # "of2048" is how AWS spells it
        if len(raw) > MAX_PARTITION_KEY_BYTES:
            raise validation(
                f"{INVALID_VALUES}Size of hashkey has exceeded the maximum size limit"
                f" of{MAX_PARTITION_KEY_BYTES} bytes"
            )
    elif len(raw) > MAX_SORT_KEY_BYTES:
        raise validation(
            f"{INVALID_VALUES}Aggregated size of all range keys has exceeded the size limit"
            f" of {MAX_SORT_KEY_BYTES} bytes"
        )


def check_key(table: Table, key: Item) -> None:
    """Raise unless *key* is exactly a primary key of the table."""
    names = table.keys.names
    if len(key) != len(names):
        raise validation(KEY_MISMATCH)
    for name in names:
        value = key.get(name)
        if value is None or table.attributes[name] not in value:
            raise validation(KEY_MISMATCH)
    for name in names:
        check_content(name, key[name], table.keys)


def check_no_key_is_nested(table: Table, nested: frozenset[str]) -> None:
    """
    Raise if an expression looks into a key attribute of the table or of an index.

    Args:
        nested: Top-level attributes that the expression looks into, as in "a.b" or "a[0]".
    """
    of_indexes = {name for name, _, _ in table.index_key_types}
    for member, names in (("Key", set(table.keys.names)), ("IndexKey", of_indexes)):
        for name in sorted(nested & names):
            raise validation(
                "Key attributes must be scalars; list random access '[]' and map lookup '.' are"
                f" not allowed: {member}: {name}"
            )


def check_item(table: Table, item: Item, *, batch: bool = False) -> None:
    """
    Raise unless *item* has a primary key of the table and fits its indexes.

    Args:
        batch: BatchWriteItem words a wrong key as the other operations word a `Key`.
    """
    for name in table.keys.names:
        value = item.get(name)
        expected = table.attributes[name]
        if value is None:
            raise validation(
                KEY_MISMATCH if batch else f"{INVALID_VALUES}Missing the key {name} in the item"
            )
        if expected not in value:
            raise validation(
                KEY_MISMATCH
                if batch
                else f"{INVALID_VALUES}Type mismatch for key {name} expected: {expected}"
                f" actual: {_kind(value)}"
            )
        check_content(name, value, table.keys)
    check_index_keys(table, item)


def check_index_keys(table: Table, item: Item, *, update: bool = False) -> None:
    """
    Raise if an attribute that keys an index has a type or content that cannot be a key.

    Args:
        update: UpdateItem words an empty value differently.
    """
    for name, expected, index_name in table.index_key_types:
        value = item.get(name)
        if value is None:
            continue
        if expected not in value:
            raise validation(
                f"{INVALID_VALUES}Type mismatch for Index Key {name} Expected: {expected}"
                f" Actual: {_kind(value)} IndexName: {index_name}"
            )
        raw = key_bytes(value)
        if not raw:
            what = "string" if expected == "S" else "binary"
            if update:
                raise validation(
                    f"{_NOT_VALID}The update expression attempted to update a secondary index"
                    " key to a value that is not supported. The AttributeValue for a key"
                    f" attribute cannot contain an empty {what} value."
                )
            raise validation(
                f"{_NOT_VALID}A value specified for a secondary index key is not supported."
                f" The AttributeValue for a key attribute cannot contain an empty {what} value."
                f" IndexName: {index_name}, IndexKey: {name}"
            )
        if len(raw) > MAX_SORT_KEY_BYTES:
            _check_index_key_length(table, name, len(raw))


def _check_index_key_length(table: Table, name: str, length: int) -> None:
    for index in table.writable_indexes:
        if name in index.keys.sort:
            raise validation(
                f"{INVALID_VALUES}Aggregated size of all range keys has exceeded the size limit"
                f" of {MAX_SORT_KEY_BYTES} bytes"
            )
        if name in index.keys.partition and length > MAX_PARTITION_KEY_BYTES:
            raise validation(
                f"{INVALID_VALUES}Size of hashkey has exceeded the maximum size limit"
                f" of{MAX_PARTITION_KEY_BYTES} bytes"
            )
