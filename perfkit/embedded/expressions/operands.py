"""Operands with their placeholders filled in: paths, literals and size(), and how to read them."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NoReturn, TypeAlias

from perfkit.capacity import AttributeValue, Item
from perfkit.embedded.expressions.lexer import refuse
from perfkit.embedded.expressions.placeholders import Placeholders
from perfkit.embedded.expressions.syntax import Call, PathNode, ValueNode
from perfkit.embedded.expressions.syntax import Operand as OperandNode
from perfkit.embedded.values import binary, type_of

__all__ = [
    "Literal",
    "Operand",
    "Path",
    "Reader",
    "Size",
    "bind_operand",
    "check_disjoint",
    "check_operand_count",
    "heads",
    "reader",
    "refuse_operand_type",
    "refuse_same_operand",
    "static_type",
]

Path: TypeAlias = tuple[str | int, ...]
"""Where a value is in an item: attribute, then map keys and list indexes."""


@dataclass(frozen=True, slots=True)
class Literal:
    """A value given with the request."""

    value: AttributeValue


@dataclass(frozen=True, slots=True)
class Size:
    """size(): the number of characters, bytes or members of an operand."""

    operand: "Operand"


Operand: TypeAlias = Path | Literal | Size

Reader: TypeAlias = Callable[[Item], AttributeValue | None]
"""Returns the value of an operand for one item, None if there is none."""


def bind_operand(node: OperandNode, placeholders: Placeholders) -> Operand:
    """Return an operand of a condition with its placeholders filled in."""
    match node:
        case PathNode():
            return placeholders.path(node)
        case ValueNode(name=name):
            return Literal(placeholders.value(name))
        case Call(function=function, arguments=arguments):
            # the parser lets no other function than size() be an operand of a condition
            operands = [bind_operand(argument, placeholders) for argument in arguments]
            check_operand_count(function, operands, 1)
            kind = static_type(operands[0])
            if kind in {"N", "BOOL", "NULL"}:
                refuse_operand_type(function, kind)
            return Size(operands[0])


def static_type(operand: Operand) -> str | None:
    """Return the type an operand has whatever the item, None if it depends on the item."""
    match operand:
        case Literal(value=value):
            return type_of(value)
        case Size():
            return "N"
        case _:
            return None


def check_operand_count(function: str, operands: Sequence[object], count: int) -> None:
    """Refuse a function with other than *count* operands."""
    if len(operands) != count:
        refuse(
            "Incorrect number of operands for operator or function; "
            f"operator or function: {function}, number of operands: {len(operands)}"
        )


def refuse_operand_type(operator: str, kind: str) -> NoReturn:
    """Refuse an operand whose type is known to be wrong."""
    refuse(
        "Incorrect operand type for operator or function; "
        f"operator or function: {operator}, operand type: {kind}"
    )


def refuse_same_operand(operator: str, path: Path) -> NoReturn:
    """Refuse a path that is both the first and a further operand."""
    refuse(
        "The first operand must be distinct from the remaining operands for this operator "
        f"or function; operator: {operator}, first operand: {_path_text(path)}"
    )


def _path_text(path: Path) -> str:
    """Return a path as AWS's messages show it: "[a, [0], b]"."""
    return f"[{', '.join(f'[{part}]' if isinstance(part, int) else part for part in path)}]"


def heads(paths: Iterable[Path]) -> Iterator[str]:
    """Yield the top-level attribute of each path."""
    for path in paths:
        yield str(path[0])


def check_disjoint(paths: Sequence[Path]) -> None:
    """Refuse paths of which one contains another, or that take one value for map and list."""
    for clash, message in (
        (_overlap, "Two document paths overlap with each other"),
        (_conflict, "Two document paths conflict with each other"),
    ):
        for i, second in enumerate(paths):
            for first in paths[:i]:
                if clash(first, second):
                    refuse(
                        f"{message}; must remove or rewrite one of these paths; "
                        f"path one: {_path_text(first)}, path two: {_path_text(second)}"
                    )


def _overlap(first: Path, second: Path) -> bool:
    shorter = min(len(first), len(second))
    return first[:shorter] == second[:shorter]


def _conflict(first: Path, second: Path) -> bool:
    for one, two in zip(first, second, strict=False):
        if type(one) is not type(two):
            return True
        if one != two:
            return False
    return False


def reader(operand: Operand) -> Reader:
    """Return the function that reads an operand from an item."""
    match operand:
        case Literal(value=value):
            return lambda _item: value
        case Size(operand=inner):
            return _size_reader(reader(inner))
        case (str(name),):
            return lambda item: item.get(name)
        case (str(name), *rest):
            return _path_reader(name, rest)
    msg = f"no path: {operand!r}"
    raise AssertionError(msg)


def _path_reader(name: str, rest: Sequence[str | int]) -> Reader:
    def read(item: Item) -> AttributeValue | None:
        value = item.get(name)
        for part in rest:
            if value is None:
                return None
            if isinstance(part, str):
                value = value["M"].get(part) if "M" in value else None
            else:
                elements = value.get("L", ())
                value = elements[part] if part < len(elements) else None
        return value

    return read


def _size_reader(read: Reader) -> Reader:
    def read_size(item: Item) -> AttributeValue | None:
        value = read(item)
        if value is None:
            return None
        ((kind, content),) = value.items()
        match kind:
            case "S":
                # AWS counts UTF-16 code units
                return {"N": str(len(content.encode("utf-16-le")) // 2)}
            case "B":
                return {"N": str(len(binary(content)))}
            case "N" | "BOOL" | "NULL":
                return None
            case _:
                return {"N": str(len(content))}

    return read_size
