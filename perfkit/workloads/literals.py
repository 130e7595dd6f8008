"""Values as a workload file writes them, and as DynamoDB takes them: every type it has."""

import base64
import binascii
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal, InvalidOperation
from typing import Annotated, Any

from pydantic import BeforeValidator

from perfkit.capacity import AttributeValue

__all__ = [
    "Value",
    "literal_content",
    "literal_type",
    "names_type",
    "plain_value",
    "wire_value",
]

# DynamoDB keeps 38 digits of a number, and lists and maps 32 deep
_MAX_DIGITS = 38
_MAX_DEPTH = 32

_SETS = frozenset({"SS", "NS", "BS"})
_TYPES = frozenset({"S", "N", "B", "BOOL", "NULL", "L", "M"}) | _SETS

_WANTED = "expected a text, a number of at most 38 digits, true or false"


def names_type(value: Any) -> bool:
    """Tell whether a table of the file is a value that names its type, `{ B = "AQI=" }`."""
    return _typed(value) is not None


def _typed(value: Any) -> tuple[str, Any] | None:
    """Return type and content of a value that names its type, `{ SS = ["a", "b"] }`."""
    if isinstance(value, Mapping) and len(value) == 1:
        ((kind, content),) = value.items()
        if kind in _TYPES:
            return kind, content
    return None


def _checked(value: Any, depth: int = 0) -> Any:
    """Return *value* if it is one that DynamoDB can hold."""
    if depth > _MAX_DEPTH:
        msg = f"expected lists and tables at most {_MAX_DEPTH} deep"
        raise ValueError(msg)
    typed = _typed(value)
    if typed is not None:
        _check_typed(*typed, depth)
    elif isinstance(value, list | tuple):
        for member in value:
            _checked(member, depth + 1)
    elif isinstance(value, Mapping):
        for member in value.values():
            _checked(member, depth + 1)
    elif not isinstance(value, str | bool) and not _is_number(value):
        raise ValueError(_WANTED)
    return value


def _is_number(value: Any) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        return False
    number = Decimal(value)
    digits = len(number.as_tuple().digits)
    return number.is_finite() and max(digits, abs(number.adjusted())) <= _MAX_DIGITS


def _check_typed(kind: str, content: Any, depth: int) -> None:
    if kind in _SETS:
        _check_set(kind, content)
        return
    fits, wanted = _FITS[kind]
    if not fits(content):
        msg = f"expected {wanted} in {{ {kind} = … }}"
        raise ValueError(msg)
    if kind == "L":
        _checked(list(content), depth)
    elif kind == "M":
        for member in content.values():
            _checked(member, depth + 1)


def _check_set(kind: str, content: Any) -> None:
    one = {"SS": "text", "NS": "number", "BS": "base64 text"}[kind]
    if isinstance(content, list | tuple) and content:
        try:
            members = [literal_content(_checked({kind[0]: each})) for each in content]
        except ValueError:
            members = []
        if members and len(set(members)) == len(members):
            return
    msg = f"expected a list of at least one {one}, each once, in {{ {kind} = … }}"
    raise ValueError(msg)


def _number(content: Any) -> Any:
    """Return a number that may be written as text, as DynamoDB's JSON does."""
    if isinstance(content, str):
        try:
            return Decimal(content)
        except InvalidOperation:
            return None
    return content


def _is_base64(content: Any) -> bool:
    if not isinstance(content, str):
        return False
    try:
        base64.b64decode(content, validate=True)
    except (binascii.Error, ValueError):
        return False
    return True


_FITS: Mapping[str, tuple[Callable[[Any], bool], str]] = {
    "S": (lambda content: isinstance(content, str), "a text"),
    "N": (lambda content: _is_number(_number(content)), "a number of at most 38 digits"),
    "B": (_is_base64, "base64 text"),
    "BOOL": (lambda content: isinstance(content, bool), "true or false"),
    "NULL": (lambda content: content is True, "true"),
    "L": (lambda content: isinstance(content, list | tuple), "a list"),
    "M": (lambda content: isinstance(content, Mapping), "a table"),
}

Value = Annotated[Any, BeforeValidator(_checked)]
"""
A text, a number, true or false, a list, a map, or a value that names its type.

A table of one key that is the name of a type is a value of that type as in DynamoDB's JSON:
`{ B = "AQI=" }`, `{ SS = ["a", "b"] }`, `{ NULL = true }`. Any other table is a map.
"""


def literal_type(value: Any) -> str:
    """Return the DynamoDB type of a value of the file."""
    return next(iter(wire_value(value)))


def literal_content(value: Any) -> Any:
    """Return what stands on the wire for a value of the file, without its type."""
    return next(iter(wire_value(value).values()))


def wire_value(value: Any) -> AttributeValue:
    """Return a value of the file as DynamoDB takes it."""
    typed = _typed(value)
    if typed is not None:
        return _wire_typed(*typed)
    match value:
        case bool():
            return {"BOOL": value}
        case str():
            return {"S": value}
        case list() | tuple():
            return {"L": [wire_value(member) for member in value]}
        case Mapping():
            return {"M": {name: wire_value(member) for name, member in value.items()}}
        case _:
            return {"N": _number_text(value)}


def _wire_typed(kind: str, content: Any) -> AttributeValue:
    match kind:
        case "N":
            return {kind: _number_text(_number(content))}
        case "NS":
            return {kind: [_number_text(_number(member)) for member in content]}
        case "L":
            return {kind: [wire_value(member) for member in content]}
        case "M":
            return {kind: {name: wire_value(member) for name, member in content.items()}}
        case _:
            return {kind: list(content) if kind in _SETS else content}


def _number_text(value: int | Decimal) -> str:
    # never with an exponent; 1.50 as the service would give it back
    text = format(Decimal(value), "f") if value else "0"
    return text.rstrip("0").rstrip(".") if "." in text else text


def plain_value(wire: AttributeValue) -> Any:
    """Return what the file says for a value on the wire: the reverse of `wire_value`."""
    ((kind, content),) = wire.items()
    match kind:
        case "S" | "BOOL":
            return content
        case "N":
            return Decimal(content)
        case "NS":
            return {kind: [Decimal(member) for member in content]}
        case "L":
            return [plain_value(member) for member in content]
        case "M":
            plain = {name: plain_value(member) for name, member in content.items()}
            # a map of one attribute called "S" would be read as a text
            return plain if _typed(plain) is None else {kind: plain}
        case _:
            return {kind: _text(content)}


def _text(content: Any) -> Any:
    """Return binary content as a file can hold it: boto3 has it as bytes."""
    if isinstance(content, bytes):
        return base64.b64encode(content).decode()
    if isinstance(content, Sequence) and not isinstance(content, str):
        return [_text(member) for member in content]
    return content
