"""Attribute values: what DynamoDB accepts, in one canonical form, and how they compare."""

from binascii import a2b_base64, b2a_base64
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any, NoReturn

from perfkit.capacity import AttributeValue, Item
from perfkit.embedded.errors import INVALID_VALUES, DynamoDBError
from perfkit.embedded.numbers import InvalidValueError, canonical_number, number_key

__all__ = [
    "ORDERED_TYPES",
    "InvalidValueError",
    "binary",
    "canonical_number",
    "check_levels",
    "compare",
    "json_map",
    "json_text",
    "key_bytes",
    "nesting",
    "normalize_item",
    "normalize_value",
    "number_key",
    "type_of",
]

_MAX_LEVELS = 32

_EMPTY = "Supplied AttributeValue is empty, must contain exactly one of the supported datatypes"
_SEVERAL = (
    "Supplied AttributeValue has more than one datatypes set, "
    "must contain exactly one of the supported datatypes"
)
_TOO_DEEP = (
    "Nesting Levels have exceeded supported limits: "
    "Attributes in the item have nested levels beyond supported limit"
)
_NOT_DECODED = "SerializationException"
_EMPTY_NAME = "Empty attribute name"
_ATTRIBUTE_VALUE = "com.amazonaws.dynamodb.v20120810.AttributeValue"


def check_levels(value: AttributeValue, level: int = 1) -> None:
    """Refuse a canonical value that nests deeper than DynamoDB stores."""
    if level > _MAX_LEVELS:
        _refuse(_TOO_DEEP)
    for member in value.get("L") or value.get("M", {}).values():
        check_levels(member, level + 1)


def _refuse(message: str, older_message: str | None = None) -> NoReturn:
    raise InvalidValueError(message, older_message)


def _refuse_json(message: str) -> NoReturn:
    raise DynamoDBError(_NOT_DECODED, message)


def _refuse_json_type(content: object, java_class: str) -> NoReturn:
    """Refuse JSON of another type than a member of the Java class takes."""
    match content:
        case bool():
            found = f"{content!s}_VALUE".upper()
        case int():
            found = "NUMBER_VALUE"
        case float():
            found = "DECIMAL_VALUE"
        case str():
            found = "STRING_VALUE"
        case None:
            found = "NULL_VALUE"
        case list():
            _refuse_json(f"Unrecognized collection type class {java_class}")
        case _:
            _refuse_json("Start of structure or map found where not expected")
    _refuse_json(f"{found} cannot be converted to {java_class.rpartition('.')[2]}")


def normalize_item(item: object) -> Item:
    """
    Return *item* checked and in canonical form.

    Canonical: numbers as `canonical_number` writes them, binary as base64 text (bytes, as
    boto3 has them, are taken too), sets sorted, and only known types.  Canonical values are
    equal for DynamoDB exactly when `==` says so.

    Args:
        item: Decoded JSON; values that are canonical already are shared, not copied.

    Raises:
        DynamoDBError: *item* breaks a rule of DynamoDB; worded as AWS does.
    """
    members = json_map(item)
    if "" in members:
        _refuse(_EMPTY_NAME)
    try:
        return _normalize_members(members)
    except InvalidValueError as error:
        # AWS looks at how deep all attributes go before it looks at names within them
        if error.message == _EMPTY_NAME and nesting(members) >= _MAX_LEVELS:
            _refuse(_TOO_DEEP)
        raise


def _normalize_members(members: Mapping[str, Any]) -> Item:
    normalized: Item = {}
    for name, value in members.items():
        # Runs for every attribute written: text and plain numbers must not leave this loop.
        if type(value) is dict and len(value) == 1:
            text = value.get("S")
            if type(text) is str:
                normalized[name] = value
                continue
            text = value.get("N")
            if type(text) is str:
                number = canonical_number(text)
                normalized[name] = value if number is text else {"N": number}
                continue
        normalized[name] = _normalize(value, 1)
    return normalized


def nesting(named: Mapping[str, object]) -> int:
    """
    Return how many lists and maps contain one another in a map of names, at the deepest place.

    Args:
        named: An item, or what else a request has under names that are its client's own, decoded;
            an item of text has 0, one with a list of text 1.
    """
    deepest = 0
    # an attribute may be called L or M, so names and types are told apart by where they stand
    left: list[tuple[object, int, bool]] = [(named, 0, True)]
    while left:
        node, depth, has_names = left.pop()
        deepest = max(deepest, depth)
        if isinstance(node, dict):
            for name, inner in node.items():
                if isinstance(inner, dict | list):
                    is_container = not has_names and name in {"L", "M"}
                    left.append((inner, depth + is_container, is_container and name == "M"))
        elif isinstance(node, list):
            left += [(inner, depth, False) for inner in node]
    return deepest


def normalize_value(value: object) -> AttributeValue:
    """Return one value checked and in canonical form, as `normalize_item` does."""
    return _normalize(value, 1)


def _normalize(value: object, level: int) -> AttributeValue:
    if level > _MAX_LEVELS:
        _refuse(_TOO_DEEP)
    if value is None:
        _refuse(_EMPTY)
    if type(value) is list:
        _refuse_json(f"Unrecognized collection type class {_ATTRIBUTE_VALUE}")
    if type(value) is not dict:
        _refuse_json("Unexpected value type in payload")
    # AWS ignores members that are null or that it does not know, and looks into every other
    # before it objects to having several.
    normalized: AttributeValue = {}
    for kind, content in value.items():
        if content is not None and kind in _READERS:
            normalized[kind] = _READERS[kind](content, level)
    if len(normalized) == 1:
        return normalized
    _refuse(_SEVERAL if normalized else _EMPTY)


def json_text(content: object, _level: int = 0) -> str:
    """Return decoded JSON that must be a string."""
    if type(content) is not str:
        _refuse_json_type(content, "java.lang.String")
    return content


def _number(content: object, _level: int = 0) -> str:
    return canonical_number(json_text(content))


def _base64(content: object, _level: int = 0) -> str:
    if isinstance(content, bytes | bytearray):
        return b2a_base64(content, newline=False).decode()
    if type(content) is not str:
        if isinstance(content, list | dict):
            _refuse_json_type(content, "java.nio.ByteBuffer")
        _refuse_json("only base-64-encoded strings are convertible to bytes")
    try:
        canonical = b2a_base64(a2b_base64(content), newline=False).decode()
    except ValueError:
        canonical = None
    if canonical == content:
        return content
    if len(content) % 4:
        _refuse_json(
            f"Base64 encoded length is expected a multiple of 4 bytes but found: {len(content)}"
        )
    for character in content.rstrip("="):
        if not (character.isascii() and (character.isalnum() or character in "+/=")):
            _refuse_json(f"Invalid Base64 character: '{character}'")
    _refuse_json("Invalid last non-pad Base64 character dectected")


def _boolean(content: object, _level: int) -> bool:
    if type(content) is bool:
        return content
    if type(content) is str:
        _refuse_json("Unexpected token received from parser")
    _refuse_json_type(content, "java.lang.Boolean")


def _null(content: object, level: int) -> bool:
    if not _boolean(content, level):
        _refuse(f"{INVALID_VALUES}Null attribute value types must have the value of true")
    return True


def _json_list(content: object) -> list[Any]:
    if type(content) is list:
        return content
    if type(content) is dict:
        _refuse_json("Start of structure or map found where not expected")
    _refuse_json("Unexpected field type")


def json_map(content: object) -> Mapping[str, Any]:
    """Return decoded JSON that must be an object."""
    if isinstance(content, Mapping):
        return content
    if type(content) is list:
        _refuse_json(
            f"Unrecognized collection type java.util.Map<java.lang.String, {_ATTRIBUTE_VALUE}>"
        )
    _refuse_json("Unexpected field type")


def _list(content: object, level: int) -> list[AttributeValue]:
    return [_normalize(element, level + 1) for element in _json_list(content)]


def _map(content: object, level: int) -> dict[str, AttributeValue]:
    members = {name: _normalize(member, level + 1) for name, member in json_map(content).items()}
    if "" in members:
        _refuse(_EMPTY_NAME)
    return members


def _string_set(content: object, _level: int) -> list[str]:
    members = [json_text(member) for member in _json_list(content)]
    if not members:
        _refuse(f"{INVALID_VALUES}An string set  may not be empty")
    if len(set(members)) < len(members):
        shown = ", ".join(f'"{member}"' for member in _up_to_repeat(members, str.encode))
        _refuse(
            f"{INVALID_VALUES}Input collection [{shown}] contains duplicates.",
            f"{INVALID_VALUES}Input collection [{', '.join(members)}] contains duplicates.",
        )
    return sorted(members)


def _number_set(content: object, _level: int) -> list[str]:
    members = [_number(member) for member in _json_list(content)]
    if not members:
        _refuse(f"{INVALID_VALUES}An number set  may not be empty")
    if len(set(members)) < len(members):
        _refuse(
            f"{INVALID_VALUES}Input collection contains duplicates.",
            "Input collection contains duplicates",
        )
    return sorted(members, key=Decimal)


def _binary_set(content: object, _level: int) -> list[str]:
    members = [_base64(member) for member in _json_list(content)]
    if not members:
        _refuse(f"{INVALID_VALUES}Binary sets should not be empty")
    if len(set(members)) < len(members):
        shown = ",".join(f'"{member}"' for member in _up_to_repeat(members, a2b_base64))
        _refuse(
            f"{INVALID_VALUES}Input collection [{shown}]of type BS contains duplicates.",
            f"{INVALID_VALUES}Input collection [{', '.join(members)}]of type BS contains duplicates.",
        )
    return sorted(members, key=a2b_base64)


def _up_to_repeat(members: list[str], order: Callable[[str], bytes]) -> list[str]:
    """Return *members* as AWS shows them: those before the first repeat sorted, the rest as is."""
    repeat = next(i for i, member in enumerate(members) if member in members[:i])
    return sorted(members[:repeat], key=order) + members[repeat:]


_READERS: dict[str, Callable[[object, int], Any]] = {
    "S": json_text,
    "N": _number,
    "B": _base64,
    "BOOL": _boolean,
    "NULL": _null,
    "L": _list,
    "M": _map,
    "SS": _string_set,
    "NS": _number_set,
    "BS": _binary_set,
}


def type_of(value: AttributeValue) -> str:
    """Return the type of a canonical value: "S", "N", ..."""
    return next(iter(value))


binary: Callable[[str], bytes] = a2b_base64
"""Return the bytes of a canonical B value."""

ORDERED_TYPES: dict[str, Callable[[str], Any]] = {"S": str, "N": Decimal, "B": binary}
"""The types that have an order, each with what to sort its canonical content by."""


def compare(left: AttributeValue, right: AttributeValue) -> int:
    """
    Return -1, 0 or 1 as *left* is below, equal to or above *right*.

    Text and binary compare by their bytes, numbers exactly.

    Args:
        left: A canonical value of type S, N or B.
        right: One of the same type.
    """
    kind = type_of(left)
    sort_by = ORDERED_TYPES[kind]
    first, second = sort_by(left[kind]), sort_by(right[kind])
    return int(first > second) - int(first < second)


def key_bytes(value: AttributeValue) -> bytes:
    """Return bytes that sort as DynamoDB sorts canonical key values of one type (S, N or B)."""
    text: str
    ((kind, text),) = value.items()
    match kind:
        case "S":
            return text.encode()
        case "N":
            return number_key(text)
        case "B":
            return binary(text)
        case _:
            msg = f"no key has type {kind!r}; keys are S, N or B"
            raise ValueError(msg)
