"""Where a page of a Query or a Scan ends: at 1 MB, as it is stored."""

from collections.abc import Sequence

from perfkit.capacity import AttributeValue, Item, attribute_value_size

__all__ = ["PAGE_BYTES", "PIECE_BYTES", "billed", "is_full", "weight"]

PAGE_BYTES = 1 << 20
"""A page ends with the item that makes it this large, whether or not the filter keeps it."""

PIECE_BYTES = 3072
"""Items from this size on are stored in pieces, and may weigh more in a page than is billed."""

_SURPLUS_SHIFT = 32
_ITEM_BYTES = 2
_PIECE_EXTRA_BYTES = 18
_BILLED = (1 << _SURPLUS_SHIFT) - 1


def weight(item: Item, size: int, sort_names: Sequence[str]) -> int:
    """
    Return what an item weighs in a page: bytes as billed, plus 2**32 times the bytes beyond them.

    So weights of items add up to the weight of a page, with both in it, and a loop over items
    adds one number.

    An item is stored with one byte in place of each attribute's name, a length before each
    value, and 18 bytes and the sort key again for each piece of 3,072 bytes.  Long items so
    end a page before their billed bytes come to 1 MB.  That their pages are never longer
    than 1 MB as billed, and that items shorter than a piece weigh what they are billed, is
    what real tables show, whose pages take 128 to 128.5 units.

    Args:
        item: The item, or an entry of an index.
        size: Its bytes as billed.
        sort_names: Attributes of the sort key of the table, or of the index.

    Source: answers of the real service at the limit, published from 2013 on.
    """
    if size < PIECE_BYTES:
        return size
    return size + (_surplus(item, size, sort_names) << _SURPLUS_SHIFT)


def billed(weight: int) -> int:
    """Return the bytes as billed of items that weigh so much together."""
    return weight & _BILLED


def is_full(weight: int) -> bool:
    """Tell whether items that weigh so much together end a page."""
    return (weight & _BILLED) + (weight >> _SURPLUS_SHIFT) >= PAGE_BYTES


def _surplus(item: Item, billed_bytes: int, sort_names: Sequence[str]) -> int:
    """Return by how many bytes a long item weighs more in a page than it is billed, at least 0."""
    content = sort_bytes = 0
    for name, value in item.items():
        if name in sort_names:
            sort_bytes += attribute_value_size(value)
            continue
        text = value.get("S")
        # most attributes are plain text: this loop runs for every large item written
        if text is not None and text.isascii():
            size = len(text)
            content += size + (2 if size < 128 else 3 if size < 16_384 else 4)
        else:
            content += 1 + _stored(value)
    pieces = 1 + (1 + content) // PIECE_BYTES
    stored = _ITEM_BYTES + content + pieces * (_PIECE_EXTRA_BYTES + sort_bytes)
    return max(0, stored - billed_bytes)


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
