"""Where a page of a Query or a Scan ends: at 1 MB, as it is stored."""

from collections.abc import Sequence

from perfkit.capacity import AttributeValue, Item, attribute_value_size, item_size

__all__ = ["PAGE_BYTES", "PIECE_BYTES", "surplus"]

PAGE_BYTES = 1 << 20
"""A page ends with the item that makes it this large, whether or not the filter keeps it."""

PIECE_BYTES = 3072
"""Items from this size on are stored in pieces."""

_ITEM_BYTES = 2
_PIECE_EXTRA_BYTES = 18


def surplus(item: Item, sort_names: Sequence[str]) -> int:
    """
    Return by how many bytes an item weighs more in a page than it is billed, at least 0.

    An item is stored with one byte in place of each attribute's name, a length before each
    value, and 18 bytes and the sort key again for each piece of 3,072 bytes.  Long items so
    end a page before their billed bytes come to 1 MB.  That their pages are never longer
    than 1 MB as billed, and that short items weigh what they are billed, is what real tables
    show, whose pages take 128 to 128.5 units.

    Args:
        item: An item, or an entry of an index, of `PIECE_BYTES` or more.
        sort_names: Attributes of the sort key.

    Source: answers of the real service at the limit, published from 2013 on.
    """
    content = sum(1 + _stored(value) for name, value in item.items() if name not in sort_names)
    sort_bytes = sum(attribute_value_size(item[name]) for name in sort_names)
    pieces = 1 + (1 + content) // PIECE_BYTES
    stored = _ITEM_BYTES + content + pieces * (_PIECE_EXTRA_BYTES + sort_bytes)
    return max(0, stored - item_size(item))


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
