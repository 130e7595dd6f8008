"""
The one way answers are written: items of DynamoDB to JSON, an item a line.

A list is written with its length first and a line break after each item. JSON text has no line
breaks of its own, so a page can be cut out of a cached answer without decoding it, and what is
cut equals what is encoded.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from perfkit.capacity import AttributeValue, Item

__all__ = [
    "compose_list",
    "count_list",
    "decode_list",
    "encode",
    "encode_again",
    "encode_list",
    "encode_row",
]
__all__ += ["plain", "split_list"]

_TOTAL = b'{"total":'
_ITEMS = b',"items":['
_LARGEST_INTEGER = (1 << 63) - 1


def encode(value: Any) -> bytes:
    """Return *value* as JSON: UTF-8, no spaces, keys in the order they have."""
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()


def plain(item: Item, attributes: Sequence[str]) -> dict[str, Any]:
    """Return *attributes* of an item as JSON values, null where it has none."""
    return {name: _value(item[name]) if name in item else None for name in attributes}


def _value(value: AttributeValue) -> Any:
    ((kind, content),) = value.items()
    match kind:
        case "S" | "BOOL":
            return content
        case "N":
            return _number(content)
        case "NULL":
            return None
        case "L":
            return [_value(member) for member in content]
        case "M":
            return {name: _value(member) for name, member in content.items()}
        case "SS":
            return sorted(content)
        case "NS":
            return sorted(map(_number, content))
        case _:
            msg = f"a {kind} value has no place in an answer"
            raise ValueError(msg)


def _number(text: str) -> int | float:
    # what JSON readers keep exactly is an int; anything else is the nearest double, which
    # survives being decoded and encoded again
    try:
        number = int(text)
    except ValueError:
        return float(text)
    return number if abs(number) <= _LARGEST_INTEGER else float(number)


def encode_row(row: Mapping[str, Any]) -> bytes:
    """Return one row as a whole answer."""
    return encode(row) + b"\n"


def encode_again(body: bytes) -> bytes:
    """Return the answer about one row by way of decoding it."""
    return encode_row(json.loads(body))


def encode_list(rows: Iterable[Mapping[str, Any]]) -> bytes:
    """Return rows as a whole answer: all on one page, nothing after it."""
    lines = [encode(row) for row in rows]
    return compose_list(lines, len(lines), None)


def compose_list(lines: Sequence[bytes], total: int, following: str | None) -> bytes:
    """
    Return an answer from encoded rows.

    Args:
        lines: One row each.
        total: Rows of the whole answer.
        following: The token of the next page, None on the last one.
    """
    end = b'],"next":' + (b"null" if following is None else encode(following)) + b"}\n"
    start = _TOTAL + b"%d" % total + _ITEMS + b"\n"
    return start + b",\n".join(lines) + b"\n" + end if lines else start + end


def count_list(body: bytes) -> int:
    """Return how many rows the whole answer has that *body* is or is a page of."""
    return int(body[len(_TOTAL) : body.index(_ITEMS)])


def split_list(body: bytes) -> list[bytes]:
    """Return the encoded rows of a whole answer, without decoding them."""
    return [line.removesuffix(b",") for line in body.split(b"\n")[1:-2]]


def decode_list(body: bytes) -> list[dict[str, Any]]:
    """Return the rows of a whole answer, decoded."""
    rows: list[dict[str, Any]] = json.loads(body)["items"]
    return rows
