"""The size AWS gives an update expression, to which it holds a stand-alone UpdateItem."""

from collections.abc import Iterable

from perfkit.capacity import attribute_value_size
from perfkit.embedded.expressions.operands import Path
from perfkit.embedded.expressions.placeholders import Placeholders
from perfkit.embedded.expressions.syntax import (
    Action,
    Arithmetic,
    Call,
    PathNode,
    SetValue,
    ValueNode,
)

__all__ = ["statement_bytes"]

_CONTAINER_BYTES = 3
_ACTION_BYTES = {"SET": 19, "ADD": 19, "REMOVE": 1, "DELETE": 1}
_OPERATOR_BYTES = {"+": 34, "-": 37, "if_not_exists": 39, "list_append": 37}


def statement_bytes(actions: Iterable[Action], placeholders: Placeholders) -> int:
    """
    Return the size of an update whose placeholders are all defined.

    Values count wherever they are used, values read from the item nothing.
    Source: answers of the real service at the limit, published in 2026.
    """
    total = _CONTAINER_BYTES
    for action in actions:
        total += _ACTION_BYTES[action.clause]
        total += _path_bytes(placeholders.path(action.path), step_bytes=4)
        if action.value is not None and action.clause != "DELETE":
            total += _value_bytes(action.value, placeholders)
    return total


def _path_bytes(path: Path, *, step_bytes: int) -> int:
    names = sum(len(str(part).encode()) for part in path)
    return names + step_bytes * (len(path) - 1)


def _value_bytes(node: SetValue, placeholders: Placeholders) -> int:
    match node:
        case ValueNode(name=name):
            return attribute_value_size(placeholders.value(name))
        case PathNode():
            path = placeholders.path(node)
            return 1 + sum(14 + len(str(part).encode()) for part in path)
        case Arithmetic(operator=operator, left=left, right=right):
            operands = (left, right)
        case Call(function=operator, arguments=operands):
            pass
    return _OPERATOR_BYTES[operator] + sum(
        _value_bytes(operand, placeholders) for operand in operands
    )
