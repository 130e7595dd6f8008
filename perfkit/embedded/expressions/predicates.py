"""Comparisons and functions with their operands filled in and checked as AWS checks them."""

from collections.abc import Container

from perfkit.capacity import AttributeValue
from perfkit.embedded.expressions.lexer import refuse
from perfkit.embedded.expressions.operands import (
    Literal,
    Operand,
    Size,
    bind_operand,
    check_operand_count,
    refuse_operand_type,
    refuse_same_operand,
    static_type,
)
from perfkit.embedded.expressions.placeholders import Placeholders
from perfkit.embedded.expressions.syntax import PathNode, Predicate, leaves
from perfkit.embedded.values import ORDERED_TYPES, binary, compare, type_of

__all__ = ["bind_predicate"]

_MAX_IN_OPERANDS = 100
_TYPES = frozenset({"S", "N", "B", "SS", "NS", "BS", "L", "M", "BOOL", "NULL"})


def bind_predicate(predicate: Predicate, placeholders: Placeholders) -> tuple[Operand, ...]:
    """Return the operands of a predicate, their placeholders filled in, their types checked."""
    # AWS reports an undefined placeholder before anything else that is wrong here.
    for node in predicate.operands:
        for leaf in leaves(node):
            if isinstance(leaf, PathNode):
                placeholders.path(leaf)
            else:
                placeholders.value(leaf.name)
    operands = tuple(bind_operand(node, placeholders) for node in predicate.operands)
    match predicate.operator:
        case "attribute_exists" | "attribute_not_exists":
            check_operand_count(predicate.operator, operands, 1)
            _check_path(predicate.operator, operands[0])
        case "attribute_type":
            check_operand_count(predicate.operator, operands, 2)
            _check_distinct(predicate.operator, operands)
            _check_type_name(operands[1])
        case "begins_with":
            check_operand_count(predicate.operator, operands, 2)
            _check_distinct(predicate.operator, operands)
            _check_types(predicate.operator, operands, {"S", "B"})
        case "contains":
            check_operand_count(predicate.operator, operands, 2)
            _check_distinct(predicate.operator, operands)
        case "IN":
            if len(operands) - 1 > _MAX_IN_OPERANDS:
                refuse(
                    "The IN operator is provided with too many operands; "
                    f"number of operands: {len(operands) - 1}"
                )
            _check_distinct(predicate.operator, operands)
        case "BETWEEN":
            _check_distinct(predicate.operator, operands)
            _check_types(predicate.operator, operands, ORDERED_TYPES)
            _check_bounds(operands[1], operands[2])
        case "=" | "<>":
            _check_distinct(predicate.operator, operands)
        case _:
            _check_distinct(predicate.operator, operands)
            _check_types(predicate.operator, operands, ORDERED_TYPES)
    return operands


def _check_path(function: str, operand: Operand) -> None:
    if not isinstance(operand, tuple):
        refuse(f"Operator or function requires a document path; operator or function: {function}")


def _check_type_name(operand: Operand) -> None:
    if not isinstance(operand, Literal):
        known = "N" if isinstance(operand, Size) else "{NS,SS,L,BS,N,M,B,BOOL,NULL,S}"
        refuse_operand_type("attribute_type", known)
    kind = type_of(operand.value)
    if kind != "S":
        refuse_operand_type("attribute_type", kind)
    if operand.value["S"] not in _TYPES:
        refuse(
            f"Invalid attribute type name found; type: {operand.value['S']}, "
            "valid types: {B,NULL,SS,BOOL,L,BS,N,NS,S,M}"
        )


def _check_distinct(operator: str, operands: tuple[Operand, ...]) -> None:
    first = operands[0]
    if isinstance(first, tuple) and first in operands[1:]:
        refuse_same_operand(operator, first)


def _check_types(operator: str, operands: tuple[Operand, ...], allowed: Container[str]) -> None:
    for operand in operands:
        kind = static_type(operand)
        if kind is not None and kind not in allowed:
            refuse_operand_type(operator, kind)


def _check_bounds(lower: Operand, upper: Operand) -> None:
    if not isinstance(lower, Literal) or not isinstance(upper, Literal):
        return
    if type_of(lower.value) != type_of(upper.value):
        problem = "requires same data type for lower and upper bounds"
    elif compare(lower.value, upper.value) > 0:
        problem = "requires upper bound to be greater than or equal to lower bound"
    else:
        return
    refuse(
        f"The BETWEEN operator {problem}; lower bound operand: {_bound_text(lower.value)}, "
        f"upper bound operand: {_bound_text(upper.value)}"
    )


def _bound_text(value: AttributeValue) -> str:
    ((kind, content),) = value.items()
    if kind == "B":
        size_bytes = len(binary(content))
        content = f"java.nio.HeapByteBuffer[pos=0 lim={size_bytes} cap={size_bytes}]"
    return f"AttributeValue: {{{kind}:{content}}}"
