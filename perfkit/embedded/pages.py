"""Where a page of a Query or a Scan ends: at 1 MB, as it is stored."""

from collections.abc import Callable, Sequence

import orjson

from perfkit.capacity import AttributeValue, Item, attribute_value_size
from perfkit.embedded.schema import MAX_SORT_KEY_BYTES

__all__ = ["PAGE_BYTES", "PIECE_BYTES", "Room"]

PAGE_BYTES = 1 << 20
"""A page ends with the item that makes it this large, whether or not the filter keeps it."""

PIECE_BYTES = 3072
"""Items from this size on are stored in pieces."""

_ITEM_BYTES = 2
_PIECE_EXTRA_BYTES = 18


class Room:
    """
    The room that a page has for items, in bytes as they are billed.

    An item is stored with one byte in place of each attribute's name, a length before each
    value, and 18 bytes and the sort key again for each piece of 3,072 bytes.  Long items so
    end a page before their billed bytes come to 1 MB.  That their pages are never longer
    than 1 MB as billed, and that short items weigh what they are billed, is what real tables
    show, whose pages take 128 to 128.5 units.

    Long items are decoded to be weighed, so that waits until the page may be full.

    Args:
        sort_names: Attributes of the sort key of what is read.
        read: Returns the JSON of a row's item or entry; None if rows are the JSON.

    Source: answers of the real service at the limit, published from 2013 on.
    """

    def __init__(
        self, sort_names: Sequence[str], read: Callable[[bytes], bytes] | None = None
    ) -> None:
        self._sort_names = sort_names
        self._read = read
        self._piece_bytes = _PIECE_EXTRA_BYTES + len(sort_names) * MAX_SORT_KEY_BYTES
        self._room = PAGE_BYTES
        self._most = 0
        self._waiting: list[tuple[int, bytes]] = []

    def beside(self, billed: int, row: bytes) -> int:
        """Return the room there is at least, once an item of `PIECE_BYTES` or more is in it."""
        self._waiting.append((billed, row))
        # what is stored beside the content is less than a third of what JSON has beside it,
        # and less than the content itself
        beside = billed if self._read else max(0, len(row) - billed) // 3
        pieces = 1 + (billed + beside) // PIECE_BYTES
        self._most += _ITEM_BYTES + beside + pieces * self._piece_bytes
        return self._room - self._most

    def settled(self) -> int:
        """Return the room there is."""
        for billed, row in self._waiting:
            data = row if self._read is None else self._read(row)
            self._room -= _surplus(orjson.loads(data), billed, self._sort_names)
        self._waiting.clear()
        self._most = 0
        return self._room


def _surplus(item: Item, billed: int, sort_names: Sequence[str]) -> int:
    """Return by how many bytes an item weighs more in a page than it is billed, at least 0."""
    content = sort_bytes = 0
    for name, value in item.items():
        if name in sort_names:
            sort_bytes += attribute_value_size(value)
            continue
        text = value.get("S")
        if text is None:
            content += 1 + _stored(value)
        else:
            size = len(text) if text.isascii() else len(text.encode())
            content += size + (2 if size < 128 else 3 if size < 16_384 else 4)
    pieces = 1 + (1 + content) // PIECE_BYTES
    stored = _ITEM_BYTES + content + pieces * (_PIECE_EXTRA_BYTES + sort_bytes)
    return max(0, stored - billed)


def _stored(value: AttributeValue) -> int:
    ((kind, content),) = value.items()
    match kind:
        case "S":
            size = attribute_value_size(value)
            return size + (1 if size < 128 else 2 if size < 16_384 else 3)
        case "N" | "B":
            return attribute_value_size(value) + 1
        case "SS" | "NS" | "BS":
            return attribute_value_size(value) + len(content) + 1
        case "L":
            return 3 + sum(1 + _stored(element) for element in content)
        case "M":
            return 3 + sum(2 + _stored(member) for member in content.values())
        case "BOOL":
            return 1
        case _:
            return 0
