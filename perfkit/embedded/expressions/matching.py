"""Comparisons and functions compiled to closures: an item in canonical form in, a bool out."""

import operator
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

from perfkit.capacity import AttributeValue, Item
from perfkit.embedded.expressions.operands import Literal, Operand, Reader, reader
from perfkit.embedded.values import ORDERED_TYPES, binary, compare, type_of

__all__ = ["ItemTest", "predicate_test"]

ItemTest: TypeAlias = Callable[[Item], bool]

_ORDERINGS: dict[str, Callable[[Any, Any], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_MIRRORED = {"<": ">", "<=": ">=", ">": "<", ">=": "<="}


def predicate_test(name: str, operands: Sequence[Operand]) -> ItemTest:
    """
    Return the test of one comparison or function.

    Args:
        name: "=", "BETWEEN", "contains", ...
        operands: Its operands, already checked.
    """
    read = reader(operands[0])
    match name:
        case "=":
            return _equality(operands[0], operands[1])
        case "<>":
            equal = _equality(operands[0], operands[1])
            return lambda item: not equal(item)
        case "BETWEEN":
            return _between(*operands)
        case "IN":
            return _membership(read, operands[1:])
        case "attribute_exists":
            return lambda item: read(item) is not None
        case "attribute_not_exists":
            return lambda item: read(item) is None
        case "attribute_type":
            # the name of a type, a literal by its checks
            name_of_type = reader(operands[1])({}) or {}
            kind = name_of_type.get("S")
            return lambda item: kind in (read(item) or ())
        case "begins_with":
            return _pairwise(_begins_with, read, reader(operands[1]))
        case "contains":
            return _pairwise(_contains, read, reader(operands[1]))
        case _:
            return _ordering(name, operands[0], operands[1])


def _equality(left: Operand, right: Operand) -> ItemTest:
    if isinstance(left, Literal):
        left, right = right, left
    read = reader(left)
    if not isinstance(right, Literal):
        return _pairwise(operator.eq, read, reader(right))
    value = right.value
    match left:
        case (str(name),):
            return lambda item: item.get(name) == value
        case _:
            return lambda item: read(item) == value


def _ordering(name: str, left: Operand, right: Operand) -> ItemTest:
    if isinstance(left, Literal):
        left, right, name = right, left, _MIRRORED[name]
    in_order = _ORDERINGS[name]
    if not isinstance(right, Literal):
        return _pairwise(
            lambda one, two: _comparable(one, two) and in_order(compare(one, two), 0),
            reader(left),
            reader(right),
        )
    kind = type_of(right.value)
    sort_by = ORDERED_TYPES[kind]
    bound = sort_by(right.value[kind])
    read = reader(left)

    def test(item: Item) -> bool:
        value = read(item)
        return value is not None and kind in value and in_order(sort_by(value[kind]), bound)

    return test


def _comparable(left: AttributeValue, right: AttributeValue) -> bool:
    kind = type_of(left)
    return kind in ORDERED_TYPES and kind in right


def _between(operand: Operand, lower: Operand, upper: Operand) -> ItemTest:
    not_below = _ordering(">=", operand, lower)
    not_above = _ordering("<=", operand, upper)
    return lambda item: not_below(item) and not_above(item)


def _membership(read: Reader, candidates: Sequence[Operand]) -> ItemTest:
    readers = [reader(candidate) for candidate in candidates]

    def test(item: Item) -> bool:
        value = read(item)
        return value is not None and any(value == candidate(item) for candidate in readers)

    return test


def _pairwise(
    holds: Callable[[AttributeValue, AttributeValue], bool], left: Reader, right: Reader
) -> ItemTest:
    """Return the test whether *holds* for both operands; without one of them it does not."""

    def test(item: Item) -> bool:
        one, two = left(item), right(item)
        return one is not None and two is not None and holds(one, two)

    return test


def _begins_with(value: AttributeValue, prefix: AttributeValue) -> bool:
    if "S" in value and "S" in prefix:
        start: str = prefix["S"]
        return bool(value["S"].startswith(start))
    if "B" in value and "B" in prefix:
        return binary(value["B"]).startswith(binary(prefix["B"]))
    return False


def _contains(container: AttributeValue, wanted: AttributeValue) -> bool:
    ((kind, content),) = container.items()
    match kind:
        case "S" | "SS":
            return "S" in wanted and wanted["S"] in content
        case "NS":
            return "N" in wanted and wanted["N"] in content
        case "BS":
            return "B" in wanted and wanted["B"] in content
        case "B":
            return "B" in wanted and binary(wanted["B"]) in binary(content)
        case "L":
            return wanted in content
        case _:
            return False
