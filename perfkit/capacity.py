"""
Item sizes and the capacity units DynamoDB bills for them: pure functions.

Sizes follow the developer guide's "item sizes and formats" and "capacity unit
calculations" pages; where the guide only approximates (numbers, index writes,
transactions) the rule is the one that reproduces published answers of the real
service.  The embedded engine bills with these functions.
"""

from collections.abc import Iterable, Mapping
from decimal import Decimal
from enum import StrEnum
from functools import lru_cache
from typing import Any

__all__ = [
    "INDEX_ENTRY_OVERHEAD_BYTES",
    "MAX_ITEM_BYTES",
    "READ_UNIT_BYTES",
    "AttributeValue",
    "Consistency",
    "Item",
    "attribute_value_size",
    "index_write_units",
    "item_size",
    "read_units",
    "replay_units",
    "write_units",
]

AttributeValue = dict[str, Any]
"""One value on the wire: `{"S": "text"}`; binary is base64 text there, bytes in boto3."""

Item = dict[str, AttributeValue]
"""Attribute name to value."""

READ_UNIT_BYTES = 4096
_WRITE_UNIT_BYTES = 1024
MAX_ITEM_BYTES = 409_600

INDEX_ENTRY_OVERHEAD_BYTES = 100
"""Added to every item and every index entry when storage is billed, never when throughput is."""


class Consistency(StrEnum):
    """How a read is done, which decides its price."""

    EVENTUAL = "eventual"
    STRONG = "strong"
    TRANSACTIONAL = "transactional"


_READ_FACTOR = {
    Consistency.EVENTUAL: 0.5,
    Consistency.STRONG: 1.0,
    Consistency.TRANSACTIONAL: 2.0,
}


@lru_cache(maxsize=16_384)
def _number_size(text: str) -> int:
    """
    Return the bytes a number takes.

    One byte, one for each pair of decimal digits counted from the decimal point with
    leading and trailing zero pairs dropped, one more if negative; zero takes one byte.
    Source: published answers of the real service (100 takes 2 bytes, 1010 takes 3, 1.5
    takes 3), which the developer guide's "about (digits / 2) + 1" approximates.

    Args:
        text: A finite decimal number, with or without exponent.
    """
    if "e" in text or "E" in text:
        text = format(Decimal(text), "f")
    digits = text.lstrip("+-")
    whole, _, fraction = digits.partition(".")
    whole = whole.lstrip("0")
    fraction = fraction.rstrip("0")
    if not whole and not fraction:
        return 1
    pairs = (len(whole) + 1) // 2 + (len(fraction) + 1) // 2
    if not whole:
        pairs -= (len(fraction) - len(fraction.lstrip("0"))) // 2
    elif not fraction:
        pairs -= (len(whole) - len(whole.rstrip("0"))) // 2
    return 1 + pairs + text.startswith("-")


def _text_size(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode())


def _binary_size(value: str | bytes) -> int:
    if isinstance(value, str):
        return len(value) // 4 * 3 - value.endswith("=") - value.endswith("==")
    return len(value)


def attribute_value_size(value: Mapping[str, Any]) -> int:
    """
    Return the bytes of one value, its name not counted.

    Source: developer guide, "item sizes and formats"; every element of a list or map,
    nested ones too, adds one byte to the three of the container.

    Args:
        value: `{type: content}`; binary content as padded base64 text or as bytes.
    """
    ((kind, content),) = value.items()
    match kind:
        case "S":
            return _text_size(content)
        case "N":
            return _number_size(content)
        case "B":
            return _binary_size(content)
        case "BOOL" | "NULL":
            return 1
        case "M":
            return 3 + sum(
                1 + _text_size(name) + attribute_value_size(member)
                for name, member in content.items()
            )
        case "L":
            return 3 + sum(1 + attribute_value_size(member) for member in content)
        case "SS":
            return sum(_text_size(member) for member in content)
        case "NS":
            return sum(_number_size(member) for member in content)
        case "BS":
            return sum(_binary_size(member) for member in content)
        case _:
            msg = f"no attribute type {kind!r}"
            raise ValueError(msg)


def item_size(item: Mapping[str, Mapping[str, Any]]) -> int:
    """Return the bytes of an item: names in UTF-8 plus values."""
    total = 0
    for name, value in item.items():
        total += len(name) if name.isascii() else len(name.encode())
        text = value.get("S")
        # most attributes are plain text: this loop runs for every written item
        if text is not None and text.isascii():
            total += len(text)
        else:
            total += attribute_value_size(value)
    return total


def _units(size_bytes: int, unit_bytes: int) -> int:
    return max(1, -(-size_bytes // unit_bytes))


def read_units(size_bytes: int, consistency: Consistency = Consistency.EVENTUAL) -> float:
    """
    Return the read units of one rounding: a fetched item, or a whole page of evaluated ones.

    Source: developer guide, "capacity unit consumption": 4 KB a unit strongly consistent,
    half eventually consistent, double in a transaction; at least one unit's worth, so a
    missing item (0 bytes) costs 1, 0.5 or 2.
    """
    return _units(size_bytes, READ_UNIT_BYTES) * _READ_FACTOR[consistency]


def write_units(
    old_bytes: int | None, new_bytes: int | None, *, transactional: bool = False
) -> float:
    """
    Return the write units of one item in its table.

    Source: developer guide: 1 KB a unit of the larger of the item before and after, at
    least one; double in a transaction.

    Args:
        old_bytes: Size before, None if there was no item.
        new_bytes: Size after, None if there is none.
        transactional: Whether the write (or condition check) is part of a transaction.
    """
    units = _units(max(old_bytes or 0, new_bytes or 0), _WRITE_UNIT_BYTES)
    return float(units * 2 if transactional else units)


def index_write_units(
    old_bytes: int | None, new_bytes: int | None, *, key_changed: bool, view_changed: bool
) -> float:
    """
    Return the write units one index takes for one change of its table.

    Sized on the projected entry; a transaction does not double it.  0 means that the
    index takes no part and is left out of the answer.
    Source: answers of the real service published in August 2026.

    Args:
        old_bytes: Size of the entry before, None if the item was not in the index.
        new_bytes: Size of the entry after, None if it is not in the index.
        key_changed: Whether a key attribute of the index changed (entry moves).
        view_changed: Whether any projected attribute changed.
    """
    old = 0 if old_bytes is None else _units(old_bytes, _WRITE_UNIT_BYTES)
    new = 0 if new_bytes is None else _units(new_bytes, _WRITE_UNIT_BYTES)
    if old and new and not key_changed:
        return float(max(old, new)) if view_changed else 0.0
    return float(old + new)


def replay_units(sizes_bytes: Iterable[int]) -> float:
    """
    Return the read units of repeating a finished transaction under its token.

    Source: published answers: a repeat reads each item, 2 units per 4 KB of the larger
    image before and after the first call.
    """
    return sum(read_units(size, Consistency.TRANSACTIONAL) for size in sizes_bytes)
