"""Syntax trees of the expression language: what was written, placeholders not yet filled in."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

__all__ = [
    "Action",
    "Arithmetic",
    "Call",
    "Condition",
    "Junction",
    "Operand",
    "PathNode",
    "Predicate",
    "SetValue",
    "ValueNode",
    "calls",
    "leaves",
    "predicates",
]


@dataclass(frozen=True, slots=True)
class PathNode:
    """A document path; a part is a name, a `#name` or a list index."""

    parts: tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class ValueNode:
    """A `:value`."""

    name: str


@dataclass(frozen=True, slots=True)
class Call:
    """A function call used as an operand."""

    function: str
    arguments: tuple["Operand", ...]


Operand: TypeAlias = PathNode | ValueNode | Call


@dataclass(frozen=True, slots=True)
class Predicate:
    """One comparison or function: `operator` is "=", "BETWEEN", "contains", ..."""

    operator: str
    operands: tuple[Operand, ...]


@dataclass(frozen=True, slots=True)
class Junction:
    """AND or OR over two or more conditions, NOT over one."""

    operator: str
    conditions: tuple["Condition", ...]


Condition: TypeAlias = Predicate | Junction


@dataclass(frozen=True, slots=True)
class Arithmetic:
    """A sum or a difference in a SET clause."""

    operator: str
    left: Operand
    right: Operand


SetValue: TypeAlias = Operand | Arithmetic


@dataclass(frozen=True, slots=True)
class Action:
    """One action of an update; REMOVE has no value."""

    clause: str
    path: PathNode
    value: SetValue | None = None


def leaves(node: SetValue) -> Iterator[PathNode | ValueNode]:
    """Yield the paths and values of an operand from left to right."""
    match node:
        case Call(arguments=arguments):
            for argument in arguments:
                yield from leaves(argument)
        case Arithmetic(left=left, right=right):
            yield from leaves(left)
            yield from leaves(right)
        case _:
            yield node


def calls(node: SetValue) -> Iterator[str]:
    """Yield the functions an operand calls, outer before inner, from left to right."""
    match node:
        case Call(function=function, arguments=arguments):
            yield function
            for argument in arguments:
                yield from calls(argument)
        case Arithmetic(left=left, right=right):
            yield from calls(left)
            yield from calls(right)


def predicates(condition: Condition) -> Iterator[Predicate]:
    """Yield the predicates of a condition from left to right."""
    if isinstance(condition, Predicate):
        yield condition
    else:
        for part in condition.conditions:
            yield from predicates(part)
