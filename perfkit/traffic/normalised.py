"""
What requests of the same kind have in common, as text: names resolved, values left out.

Two requests with the same text differ only in values.  `#d` stands for the attribute's name,
`:v` for any value.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from perfkit.embedded.expressions.lexer import InvalidExpressionError
from perfkit.embedded.expressions.parser import condition_tree, projection_paths, update_actions
from perfkit.embedded.expressions.syntax import (
    Action,
    Arithmetic,
    Call,
    Condition,
    Junction,
    PathNode,
    Predicate,
    SetValue,
    ValueNode,
)

__all__ = ["condition", "legacy_conditions", "projection", "statement", "update"]

_PLAIN = re.compile(r"[A-Za-z_-]{1,64}")
_PLACEHOLDER = re.compile(r"#[A-Za-z0-9_]+")
_VALUE = re.compile(r":[A-Za-z0-9_]+")
_MOST_CHARACTERS = 1_000

Names = Mapping[str, Any]


def condition(text: Any, names: Names) -> str:
    """Return a condition, a filter or a key condition, normalised; "" for none."""
    if not isinstance(text, str):
        return ""
    try:
        return _condition(condition_tree(text), names)
    except InvalidExpressionError:
        return _unparsed(text, names)


def projection(text: Any, names: Names) -> str:
    """Return the paths of a projection in alphabetical order; "" for none."""
    if not isinstance(text, str):
        return ""
    try:
        return ", ".join(sorted(_path(each, names) for each in projection_paths(text)))
    except InvalidExpressionError:
        return _unparsed(text, names)


def update(text: Any, names: Names) -> str:
    """Return an update expression, normalised; "" for none."""
    if not isinstance(text, str):
        return ""
    try:
        actions = update_actions(text)
    except InvalidExpressionError:
        return _unparsed(text, names)
    clauses: dict[str, list[str]] = {}
    for action in actions:
        clauses.setdefault(action.clause, []).append(_action(action, names))
    return " ".join(f"{clause} {', '.join(parts)}" for clause, parts in clauses.items())


_COMPARISONS = {"EQ": "=", "NE": "<>", "LT": "<", "LE": "<=", "GT": ">", "GE": ">="}
_FUNCTIONS = {
    "BEGINS_WITH": "begins_with({}, :v)",
    "CONTAINS": "contains({}, :v)",
    "NOT_CONTAINS": "NOT contains({}, :v)",
    "NULL": "attribute_not_exists({})",
    "NOT_NULL": "attribute_exists({})",
    "BETWEEN": "{} BETWEEN :v AND :v",
    "IN": "{} IN (:v)",
}


def legacy_conditions(given: Any, operator: Any = None) -> str:
    """
    Return conditions as they were written before expressions: KeyConditions, ScanFilter, Expected.

    In the words of expressions, so that a client's age makes no difference.
    """
    if not isinstance(given, dict):
        return ""
    joined = " OR " if operator == "OR" else " AND "
    return joined.join(_legacy(str(name), each) for name, each in sorted(given.items()))


def _legacy(name: str, given: Any) -> str:
    operator = given.get("ComparisonOperator") if isinstance(given, dict) else None
    if operator is None:
        # an Expected of old: a value, or whether there is one
        exists = not isinstance(given, dict) or given.get("Exists", True)
        return f"{name} = :v" if exists else f"attribute_not_exists({name})"
    if operator in _FUNCTIONS:
        return _FUNCTIONS[operator].format(name)
    return f"{name} {_COMPARISONS.get(str(operator), '?')} :v"


_QUOTED = re.compile(r"'(?:[^']|'')*'")
_NUMBER = re.compile(r"(?<![\w\"])-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?\b")
_LISTED = re.compile(r"\?(?:\s*,\s*\?)+")


def statement(text: Any) -> str:
    """Return a PartiQL statement with `?` in the place of each literal."""
    if not isinstance(text, str):
        return ""
    # what stands in double quotes is a name
    parts = re.split(r'("[^"]*")', text)
    for number, part in enumerate(parts):
        if number % 2 == 0:
            parts[number] = _NUMBER.sub("?", _QUOTED.sub("?", part))
    return _shortened(_LISTED.sub("?", " ".join("".join(parts).split())))


_TABLE = re.compile(
    r'\b(?:FROM|INTO|UPDATE)\s+(?:"([^"]+)"|([\w.-]+))(?:\s*\.\s*(?:"([^"]+)"|([\w-]+)))?',
    re.IGNORECASE,
)


def statement_table(text: Any) -> tuple[str, str]:
    """Return table and index of a PartiQL statement; "" for what it does not name."""
    found = _TABLE.search(text) if isinstance(text, str) else None
    if found is None:
        return "", ""
    return found[1] or found[2], found[3] or found[4] or ""


def _condition(node: Condition, names: Names) -> str:
    if isinstance(node, Predicate):
        return _predicate(node, names)
    if node.operator == "NOT":
        return f"NOT {_nested(node.conditions[0], names)}"
    return f" {node.operator} ".join(_nested(each, names) for each in node.conditions)


def _nested(node: Condition, names: Names) -> str:
    text = _condition(node, names)
    return f"({text})" if isinstance(node, Junction) else text


def _predicate(node: Predicate, names: Names) -> str:
    operands = [_value(each, names) for each in node.operands]
    if node.operator == "BETWEEN":
        return f"{operands[0]} BETWEEN {operands[1]} AND {operands[2]}"
    if node.operator == "IN":
        # however many there are
        return f"{operands[0]} IN ({', '.join(dict.fromkeys(operands[1:]))})"
    if node.operator in {"=", "<>", "<", "<=", ">", ">="}:
        return f"{operands[0]} {node.operator} {operands[1]}"
    return f"{node.operator}({', '.join(operands)})"


def _action(action: Action, names: Names) -> str:
    path = _path(action.path, names)
    if action.value is None:
        return path
    value = _value(action.value, names)
    return f"{path} = {value}" if action.clause == "SET" else f"{path} {value}"


def _value(node: SetValue, names: Names) -> str:
    match node:
        case ValueNode():
            return ":v"
        case PathNode():
            return _path(node, names)
        case Call(function=function, arguments=arguments):
            return f"{function}({', '.join(_value(each, names) for each in arguments)})"
        case Arithmetic(operator=operator, left=left, right=right):
            return f"{_value(left, names)} {operator} {_value(right, names)}"


def _path(node: PathNode, names: Names) -> str:
    return "".join(_parts(node, names))


def _parts(node: PathNode, names: Names) -> Iterator[str]:
    for number, part in enumerate(node.parts):
        if isinstance(part, int):
            yield "[n]"
        else:
            dot = "." if number else ""
            yield dot + _name(part, names, inner=bool(number))


def _name(part: str, names: Names, *, inner: bool) -> str:
    if not part.startswith("#"):
        return part
    name = str(names.get(part, part))
    # within a map a name may be data: a customer's number, an address, a day
    return "*" if inner and not _PLAIN.fullmatch(name) else name


def _unparsed(text: str, names: Names) -> str:
    def filled(found: re.Match[str]) -> str:
        inner = text[: found.start()].rstrip().endswith(".")
        return _name(found[0], names, inner=inner)

    return _shortened(_VALUE.sub(":v", _PLACEHOLDER.sub(filled, text)))


def _shortened(text: str) -> str:
    return text if len(text) <= _MOST_CHARACTERS else f"{text[:_MOST_CHARACTERS]}…"


def listed(parts: Iterable[str]) -> str:
    """Return distinct texts, joined in order."""
    return "; ".join(dict.fromkeys(filter(None, parts)))
