"""
The parameters from before expressions, as the expressions they stand for.

Old SDKs and mappers send nothing else.  Each function checks one parameter as AWS checks it
and returns what the parser of the matching expression returns, so that everything behind
knows one form only.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

from perfkit.embedded.errors import INVALID_VALUES, validation
from perfkit.embedded.expressions import (
    AttributeAction,
    Comparison,
    Condition,
    KeyOperator,
    KeyTerm,
    Projection,
    Update,
    condition_of,
    projection_of,
    update_of,
)
from perfkit.embedded.values import compare, normalize_value, type_of

__all__ = [
    "attribute_updates",
    "attributes_to_get",
    "expected_condition",
    "filter_condition",
    "key_conditions",
]


_SCALARS = frozenset({"S", "N", "B"})
_OPERATORS: dict[str, str] = {
    "EQ": "=",
    "NE": "<>",
    "LE": "<=",
    "LT": "<",
    "GE": ">=",
    "GT": ">",
    "CONTAINS": "contains",
    "NOT_CONTAINS": "not contains",
    "BEGINS_WITH": "begins_with",
    "IN": "IN",
    "BETWEEN": "BETWEEN",
    "NULL": "attribute_not_exists",
    "NOT_NULL": "attribute_exists",
}
"""What an expression writes for each ComparisonOperator."""

_TYPES: dict[str, frozenset[str]] = {
    **dict.fromkeys(("LE", "LT", "GE", "GT", "IN", "BETWEEN"), _SCALARS),
    # true and null are looked for in lists
    **dict.fromkeys(("CONTAINS", "NOT_CONTAINS"), _SCALARS | {"BOOL", "NULL"}),
    "BEGINS_WITH": frozenset({"S", "B"}),
}
"""The types a value may have; for the other operators any."""

_SETS = ("SS", "NS", "BS")
_ADDABLE = ("N", "L", *_SETS)


def attributes_to_get(names: Sequence[str] | None) -> Projection | None:
    """
    Return the projection that AttributesToGet stands for.

    Raises:
        DynamoDBError: A name is there twice.
    """
    if names is None:
        return None
    for number, name in enumerate(names):
        if name in names[:number]:
            _refuse(f"{INVALID_VALUES}Duplicate value in attribute name: {name}")
    return projection_of(names)


def filter_condition(
    conditions: Mapping[str, Any] | None, conditional_operator: str | None
) -> Condition | None:
    """
    Return the filter that QueryFilter or ScanFilter stands for; None if there is nothing in it.

    Args:
        conditional_operator: `AND`, `OR`, or None, which is AND.

    Raises:
        DynamoDBError: A condition has values that its operator does not take.
    """
    return _condition(_comparisons(conditions or {}), conditional_operator)


def key_conditions(conditions: Mapping[str, Any]) -> tuple[KeyTerm, ...]:
    """
    Return what KeyConditions ask of each key attribute.

    Raises:
        DynamoDBError: A condition has values that its operator does not take, or there are
            none or too many.
    """
    terms = [
        KeyTerm(comparison.attribute, _key_operator(comparison.operator), comparison.values)
        for comparison in _comparisons(conditions)
    ]
    if len(terms) not in (1, 2):
        _refuse("Conditions can be of length 1 or 2 only")
    return tuple(terms)


def _key_operator(written: str) -> KeyOperator:
    return KeyOperator(written) if written in list(KeyOperator) else KeyOperator.OTHER


def expected_condition(
    expected: Mapping[str, Any] | None, conditional_operator: str | None
) -> Condition | None:
    """
    Return the condition that Expected stands for; None if there is nothing in it.

    Args:
        conditional_operator: `AND`, `OR`, or None, which is AND.

    Raises:
        DynamoDBError: Members of a condition do not go together.
    """
    comparisons = [_expectation(name, given) for name, given in (expected or {}).items()]
    return _condition(comparisons, conditional_operator)


def attribute_updates(updates: Mapping[str, Any] | None) -> Update | None:
    """
    Return the update that AttributeUpdates stands for; None if there is nothing in it.

    Raises:
        DynamoDBError: An action lacks its value, or has one of a type it does not take.
    """
    if not updates:
        return None
    return update_of({name: _action(given) for name, given in updates.items()})


def _action(given: Mapping[str, Any]) -> AttributeAction:
    action = given.get("Action") or "PUT"
    value = None if given.get("Value") is None else normalize_value(given["Value"])
    if value is None:
        if action != "DELETE":
            _refuse(
                f"{INVALID_VALUES}Only DELETE action is allowed when no attribute value is specified"
            )
        return AttributeAction("DELETE", None)
    kind = type_of(value)
    if action == "DELETE" and kind not in _SETS:
        _refuse(f"{INVALID_VALUES}DELETE action with value is not supported for the type {kind}")
    if action == "ADD" and kind not in _ADDABLE:
        _refuse(f"{INVALID_VALUES}ADD action is not supported for the type {kind}")
    return AttributeAction(action, value)


def _expectation(name: str, given: Mapping[str, Any]) -> Comparison:
    operator, values = given.get("ComparisonOperator"), given.get("AttributeValueList")
    value, exists = given.get("Value"), given.get("Exists")
    if values is not None and value is not None:
        _refuse(
            f"{INVALID_VALUES}Value and AttributeValueList cannot be used together for Attribute: {name}"
        )
    if operator is not None:
        if exists is not None:
            _refuse(
                f"{INVALID_VALUES}Exists and ComparisonOperator cannot be used together for"
                f" Attribute: {name}"
            )
        if operator not in ("NULL", "NOT_NULL") and values is None and value is None:
            _refuse(
                f"{INVALID_VALUES}Value or AttributeValueList must be used with ComparisonOperator:"
                f" {operator} for Attribute: {name}"
            )
        return _comparison(name, operator, [value] if value is not None else values or [])
    if values is not None:
        _refuse(
            f"{INVALID_VALUES}AttributeValueList can only be used with a ComparisonOperator for"
            f" Attribute: {name}"
        )
    if exists is False:
        if value is not None:
            _refuse(
                f"{INVALID_VALUES}Value cannot be used when Exists is false for Attribute: {name}"
            )
        return _comparison(name, "NULL", [])
    if value is None:
        shown = "null" if exists is None else "true"
        _refuse(
            f"{INVALID_VALUES}Value must be provided when Exists is {shown} for Attribute: {name}"
        )
    return _comparison(name, "EQ", [value])


def _comparisons(conditions: Mapping[str, Any]) -> list[Comparison]:
    return [
        _comparison(name, given["ComparisonOperator"], given.get("AttributeValueList") or [])
        for name, given in conditions.items()
    ]


def _comparison(name: str, operator: str, given: Sequence[Any]) -> Comparison:
    values = tuple(normalize_value(value) for value in given)
    if not _takes(operator, len(values)):
        _refuse(
            f"{INVALID_VALUES}Invalid number of argument(s) for the {operator} ComparisonOperator"
        )
    kinds = [type_of(value) for value in values]
    if len(set(kinds)) > 1:
        _refuse(f"{INVALID_VALUES}AttributeValues inside AttributeValueList must be of same type")
    if kinds and kinds[0] not in _TYPES.get(operator, kinds):
        _refuse(
            f"{INVALID_VALUES}ComparisonOperator {operator} is not valid for {kinds[0]}"
            " AttributeValue type"
        )
    if operator == "BETWEEN" and compare(*values) > 0:
        _refuse(
            "The BETWEEN condition was provided a range where the lower bound is greater than the"
            " upper bound"
        )
    return Comparison(name, _OPERATORS[operator], values)


def _takes(operator: str, count: int) -> bool:
    match operator:
        case "NULL" | "NOT_NULL":
            return count == 0
        case "IN":
            return count > 0
        case "BETWEEN":
            return count == 2
        case _:
            return count == 1


def _condition(
    comparisons: Sequence[Comparison], conditional_operator: str | None
) -> Condition | None:
    if not comparisons:
        return None
    return condition_of(comparisons, any_of=conditional_operator == "OR")


def _refuse(message: str) -> NoReturn:
    raise validation(message)
