"""Items compared and named: canonical forms, and the difference between two answers."""

import base64
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from perfkit.capacity import Item
from perfkit.units import format_some

__all__ = ["as_json", "canonical", "describe_difference", "from_client", "to_client"]

_MOST_NAMED = 3
_SETS = frozenset({"SS", "NS", "BS"})


def canonical(item: Mapping[str, Any], attributes: Sequence[str] = ()) -> str:
    """
    Return a text that two items share exactly if they are equal.

    Args:
        item: As boto3 gives it: binary values as bytes, sets in any order.
        attributes: Look at these only; all if empty.
    """
    seen = {name: item[name] for name in attributes if name in item} if attributes else item
    return json.dumps({name: _plain(value) for name, value in seen.items()}, sort_keys=True)


def _plain(value: Mapping[str, Any]) -> dict[str, Any]:
    ((kind, content),) = value.items()
    if kind in _SETS:
        return {kind: sorted(_text(member) for member in content)}
    if kind == "L":
        return {kind: [_plain(member) for member in content]}
    if kind == "M":
        return {kind: {name: _plain(member) for name, member in content.items()}}
    return {kind: _text(content)}


def _text(content: Any) -> Any:
    return base64.b64encode(content).decode() if isinstance(content, bytes) else content


def as_json(items: Sequence[Item]) -> bytes:
    """Return an answer's items as a service would send them, in DynamoDB's JSON without spaces."""
    import orjson

    return orjson.dumps(items, default=_binary)


def _binary(value: object) -> str:
    """Return binary content as JSON can hold it."""
    if not isinstance(value, bytes):
        msg = f"no JSON for {type(value).__name__}"
        raise TypeError(msg)
    return base64.b64encode(value).decode()


def to_client(value: Mapping[str, Any]) -> dict[str, Any]:
    """Return a value in wire form as boto3 wants it: base64 text becomes bytes."""
    ((kind, content),) = value.items()
    match kind:
        case "B":
            return {kind: base64.b64decode(content)}
        case "BS":
            return {kind: [base64.b64decode(member) for member in content]}
        case "L":
            return {kind: [to_client(member) for member in content]}
        case "M":
            return {kind: {name: to_client(member) for name, member in content.items()}}
        case _:
            return {kind: content}


def from_client(value: Mapping[str, Any]) -> dict[str, Any]:
    """Return a value as boto3 gives it in wire form: bytes become base64 text."""
    ((kind, content),) = value.items()
    match kind:
        case "BS":
            return {kind: [_text(member) for member in content]}
        case "L":
            return {kind: [from_client(member) for member in content]}
        case "M":
            return {kind: {name: from_client(member) for name, member in content.items()}}
        case _:
            return {kind: _text(content)}


def describe_difference(
    answers: Mapping[str, Iterable[Item]], attributes: Sequence[str], keys: Sequence[str]
) -> str | None:
    """
    Return how the answers of several variants differ, None if they hold the same items.

    Args:
        answers: Items by variant; the first variant is what the others are held against.
        attributes: Look at these only; all if empty.
        keys: The table's key attributes, which name an item.
    """
    (first, expected_items), *others = answers.items()
    expected = _named(expected_items, attributes, keys)
    for name, items in others:
        found = _named(items, attributes, keys)
        missing = list((Counter(expected) - Counter(found)).elements())
        extra = list((Counter(found) - Counter(expected)).elements())
        if not missing and not extra:
            continue
        changed = {key for key, _ in missing} & {key for key, _ in extra}
        parts = [
            f"{other} lacks {format_some([key for key, _ in lacked if key not in changed], _MOST_NAMED)}"
            for other, lacked in ((name, missing), (first, extra))
            if any(key not in changed for key, _ in lacked)
        ]
        if changed:
            parts.append(
                f"both return {format_some(sorted(changed), _MOST_NAMED)} with different attributes"
            )
        return f"{first} and {name} returned different items: {'; '.join(parts)}"
    return None


def _named(
    items: Iterable[Item], attributes: Sequence[str], keys: Sequence[str]
) -> list[tuple[str, str]]:
    """Return each item's name, made of its key, beside its canonical form."""
    return [
        (
            ", ".join(f"{key}={_short(item[key])}" for key in keys if key in item) or "an item",
            canonical(item, attributes),
        )
        for item in items
    ]


def _short(value: Mapping[str, Any]) -> str:
    ((_, content),) = value.items()
    text = str(_text(content))
    return text if len(text) <= 40 else f"{text[:37]}..."
