"""Update expressions: an old item in, a new item out."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import NoReturn, TypeAlias

from perfkit.capacity import AttributeValue, Item
from perfkit.embedded.errors import validation
from perfkit.embedded.expressions.lexer import InvalidExpressionError, refuse
from perfkit.embedded.expressions.operands import (
    Path,
    Reader,
    check_disjoint,
    check_operand_count,
    heads,
    reader,
    refuse_operand_type,
    refuse_same_operand,
)
from perfkit.embedded.expressions.parser import update_actions
from perfkit.embedded.expressions.placeholders import Placeholders
from perfkit.embedded.expressions.projections import PathTree, path_tree, pick
from perfkit.embedded.expressions.statement_size import statement_bytes
from perfkit.embedded.expressions.syntax import (
    Action,
    Arithmetic,
    Call,
    Operand,
    PathNode,
    SetValue,
    ValueNode,
    leaves,
)
from perfkit.embedded.numbers import add, subtract
from perfkit.embedded.values import check_levels, normalize_value, type_of

__all__ = ["AttributeAction", "Update", "parse_update", "update_of"]

_Compute: TypeAlias = Callable[[Item], AttributeValue]
"""Returns the value of a SET clause for the old item."""

_Change: TypeAlias = Callable[[Item, AttributeValue | None], AttributeValue | None]
"""Returns what becomes of a value, given the old item and the old value; None is "removed"."""

_SETS = frozenset({"SS", "NS", "BS"})
_LONG_NAMES = {
    "S": "STRING",
    "N": "NUMBER",
    "B": "BINARY",
    "BOOL": "BOOLEAN",
    "NULL": "NULL",
    "L": "LIST",
    "M": "MAP",
}
_ARITHMETIC = {"+": add, "-": subtract}


@dataclass(frozen=True, slots=True, kw_only=True)
class Update:
    """
    An update of one request, to be applied to an item.

    Attributes:
        attributes: Top-level attributes it writes.
        nested_attributes: Top-level attributes it reads or writes inside of, as in "a.b".
        statement_bytes: What AWS holds a stand-alone UpdateItem to, besides the size of the
            finished item: the bytes it writes plus a cost for each of its actions.
        only_removes: Whether it has no other clauses than REMOVE and DELETE.  Of an item that
            does not exist AWS then changes nothing: it neither creates it nor objects to paths.
        targets: Where it writes.
        changes: What it does there, in the same tree.
    """

    attributes: frozenset[str]
    nested_attributes: frozenset[str]
    statement_bytes: int
    only_removes: bool
    targets: PathTree
    changes: PathTree

    def apply(self, item: Item) -> Item:
        """
        Return *item* updated; *item* itself stays as it is.

        Every value, and every list index, refers to the item before the update.

        Args:
            item: The item in canonical form, only its key if it is new.

        Raises:
            DynamoDBError: The update does not fit the item; worded as AWS does.
        """
        updated = _change_members(self.changes, item, item)
        for name in self.nested_attributes & self.attributes & updated.keys():
            check_levels(updated[name])
        return updated

    def updated_view(self, item: Item) -> Item:
        """Return the parts of *item*, old or new, at the places the update writes."""
        return pick(self.targets, item)


def parse_update(text: str, placeholders: Placeholders) -> Update:
    """
    Return the update *text* states.

    Args:
        text: The UpdateExpression.
        placeholders: What its `#names` and `:values` stand for.

    Raises:
        DynamoDBError: AWS refuses the expression; worded as AWS does.
    """
    try:
        actions = update_actions(text)
        read_or_written = _fill_placeholders(actions, placeholders)
        paths = [placeholders.path(action.path) for action in actions]
        check_disjoint(paths)
        _check_set_operands(actions, placeholders)
        changes = [_change(action, placeholders) for action in actions]
    except InvalidExpressionError as error:
        raise error.answer("UpdateExpression") from None
    return Update(
        attributes=frozenset(heads(paths)),
        nested_attributes=frozenset(heads(path for path in read_or_written if len(path) > 1)),
        statement_bytes=statement_bytes(actions, placeholders),
        only_removes=all(action.clause in {"REMOVE", "DELETE"} for action in actions),
        targets=path_tree(dict.fromkeys(paths)),
        changes=path_tree(dict(zip(paths, changes, strict=True))),
    )


@dataclass(frozen=True, slots=True)
class AttributeAction:
    """
    What AttributeUpdates do to one attribute.

    Attributes:
        action: `PUT`, `ADD` or `DELETE`.
        value: Canonical and of a type the action takes; None only deletes.
    """

    action: str
    value: AttributeValue | None


def update_of(actions: Mapping[str, AttributeAction]) -> Update:
    """
    Return the update that does something to each of some whole attributes.

    It is held to the size of the finished item alone: what AWS counts beyond it is known for
    expressions only.

    Args:
        actions: By the attributes' names as they are; at least one.
    """
    names: dict[Path, None] = dict.fromkeys((name,) for name in actions)
    return Update(
        attributes=frozenset(actions),
        nested_attributes=frozenset(),
        statement_bytes=0,
        only_removes=all(action.action == "DELETE" for action in actions.values()),
        targets=path_tree(names),
        changes={name: _attribute_change(action) for name, action in actions.items()},
    )


def _attribute_change(action: AttributeAction) -> _Change:
    value = action.value
    if value is None:
        return lambda _item, _old: None
    if action.action == "PUT":
        return lambda _item, _old: value
    ((kind, content),) = value.items()
    if action.action == "DELETE":
        change = _deletion(value)
    elif kind == "L":
        change = lambda _item, old: {"L": [*(old or {"L": []})["L"], *content]}  # noqa: E731
    else:
        change = _addition(value)

    def checked(item: Item, old: AttributeValue | None) -> AttributeValue | None:
        if old is not None and kind not in old:
            _refuse("Type mismatch for attribute to update")
        return change(item, old)

    return checked


def _fill_placeholders(actions: Iterable[Action], placeholders: Placeholders) -> list[Path]:
    """Return every path of an update; names are looked up before values, as AWS does."""
    nodes: list[PathNode | ValueNode] = []
    for action in actions:
        nodes.append(action.path)
        if action.value is not None:
            nodes += leaves(action.value)
    paths = [placeholders.path(node) for node in nodes if isinstance(node, PathNode)]
    for node in nodes:
        if isinstance(node, ValueNode):
            placeholders.value(node.name)
    return paths


def _check_set_operands(actions: Iterable[Action], placeholders: Placeholders) -> None:
    for clause, node in ((action.clause, action.value) for action in actions):
        if clause not in {"ADD", "DELETE"} or not isinstance(node, ValueNode):
            continue
        kind = type_of(placeholders.value(node.name))
        if kind not in _SETS and (clause, kind) != ("ADD", "N"):
            refuse(
                "Incorrect operand type for operator or function; "
                f"operator: {clause}, operand type: {_LONG_NAMES[kind]}, "
                f"typeSet: ALLOWED_FOR_{clause}_OPERAND"
            )


def _change(action: Action, placeholders: Placeholders) -> _Change:
    match action:
        case Action(clause="SET", value=node) if node is not None:
            compute = _computation(node, placeholders)
            return lambda item, _old: compute(item)
        case Action(clause="ADD", value=ValueNode(name=name)):
            return _addition(placeholders.value(name))
        case Action(clause="DELETE", value=ValueNode(name=name)):
            return _deletion(placeholders.value(name))
        case _:
            return lambda _item, _old: None


def _addition(value: AttributeValue) -> _Change:
    ((kind, content),) = value.items()

    def change(_item: Item, old: AttributeValue | None) -> AttributeValue:
        if old is None:
            return value
        if kind not in old:
            _refuse_type()
        if kind == "N":
            return {"N": add(old["N"], content)}
        return normalize_value({kind: list({*old[kind], *content})})

    return change


def _deletion(value: AttributeValue) -> _Change:
    ((kind, content),) = value.items()
    deleted = frozenset(content)

    def change(_item: Item, old: AttributeValue | None) -> AttributeValue | None:
        if old is None:
            return None
        if kind not in old:
            _refuse_type()
        left = [member for member in old[kind] if member not in deleted]
        return {kind: left} if left else None

    return change


def _computation(node: SetValue, placeholders: Placeholders) -> _Compute:
    match node:
        case PathNode():
            return _existing(reader(placeholders.path(node)))
        case ValueNode(name=name):
            value = placeholders.value(name)
            return lambda _item: value
        case Arithmetic(operator=operator, left=left, right=right):
            _check_literals(operator, (left, right), "N", placeholders)
            return _sum(
                _ARITHMETIC[operator],
                _computation(left, placeholders),
                _computation(right, placeholders),
            )
        case Call(function="list_append", arguments=arguments):
            check_operand_count("list_append", arguments, 2)
            _check_literals("list_append", arguments, "L", placeholders)
            first, second = (_computation(argument, placeholders) for argument in arguments)
            return _concatenation(first, second)
        case Call(function=function, arguments=arguments):
            check_operand_count(function, arguments, 2)
            return _fallback(function, arguments, placeholders)


def _existing(read: Reader) -> _Compute:
    def compute(item: Item) -> AttributeValue:
        value = read(item)
        if value is None:
            _refuse(
                "The provided expression refers to an attribute that does not exist in the item"
            )
        return value

    return compute


def _sum(calculate: Callable[[str, str], str], left: _Compute, right: _Compute) -> _Compute:
    def compute(item: Item) -> AttributeValue:
        one, two = left(item), right(item)
        if "N" not in one or "N" not in two:
            _refuse_type()
        return {"N": calculate(one["N"], two["N"])}

    return compute


def _concatenation(first: _Compute, second: _Compute) -> _Compute:
    def compute(item: Item) -> AttributeValue:
        one, two = first(item), second(item)
        if "L" not in one or "L" not in two:
            _refuse_type()
        return {"L": one["L"] + two["L"]}

    return compute


def _fallback(
    function: str, arguments: tuple[Operand, ...], placeholders: Placeholders
) -> _Compute:
    node, otherwise = arguments
    if not isinstance(node, PathNode):
        refuse(f"Operator or function requires a document path; operator or function: {function}")
    path = placeholders.path(node)
    if isinstance(otherwise, PathNode) and placeholders.path(otherwise) == path:
        refuse_same_operand(function, path)
    read = reader(path)
    compute = _computation(otherwise, placeholders)
    return lambda item: read(item) or compute(item)


def _check_literals(
    operator: str, nodes: Iterable[Operand], wanted: str, placeholders: Placeholders
) -> None:
    for node in nodes:
        if isinstance(node, ValueNode):
            kind = type_of(placeholders.value(node.name))
            if kind != wanted:
                refuse_operand_type(operator, kind)


def _refuse(message: str) -> NoReturn:
    raise validation(message)


def _refuse_type() -> NoReturn:
    _refuse("An operand in the update expression has an incorrect data type")


def _change_value(
    branch: PathTree | _Change, item: Item, old: AttributeValue | None
) -> AttributeValue | None:
    """Return what becomes of the value *old* of *item* under one branch of the changes."""
    if not isinstance(branch, dict):
        return branch(item, old)
    kind = "M" if isinstance(next(iter(branch)), str) else "L"
    if old is None or kind not in old:
        _refuse("The document path provided in the update expression is invalid for update")
    if kind == "M":
        return {"M": _change_members(branch, item, old["M"])}
    return {"L": _change_elements(branch, item, old["L"])}


def _change_members(
    branch: PathTree, item: Item, members: dict[str, AttributeValue]
) -> dict[str, AttributeValue]:
    changed = dict(members)
    for name, inner in branch.items():
        value = _change_value(inner, item, members.get(name))
        if value is None:
            changed.pop(name, None)
        else:
            changed[name] = value
    return changed


def _change_elements(
    branch: PathTree, item: Item, elements: list[AttributeValue]
) -> list[AttributeValue]:
    changed: list[AttributeValue | None] = list(elements)
    # Indexes past the end append, the lowest first and without a gap.
    for index in sorted(branch):
        if index < len(elements):
            changed[index] = _change_value(branch[index], item, elements[index])
        else:
            changed.append(_change_value(branch[index], item, None))
    return [element for element in changed if element is not None]
