"""Projections: the parts of an item a request asks for."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from perfkit.capacity import AttributeValue, Item
from perfkit.embedded.expressions.lexer import InvalidExpressionError
from perfkit.embedded.expressions.operands import Path, check_disjoint, heads
from perfkit.embedded.expressions.parser import projection_paths
from perfkit.embedded.expressions.placeholders import Placeholders

__all__ = [
    "PathTree",
    "Projection",
    "parse_projection",
    "path_tree",
    "pick",
    "projection_of",
]

PathTree: TypeAlias = dict[Any, Any]
"""Paths merged by their common beginnings: part to tree, something else where a path ends."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Projection:
    """
    The parts of an item a request asks for.

    Attributes:
        attributes: Top-level attributes they are in.
        nested_attributes: Those of them it looks into, as in "a.b" or "a[0]".
        paths: Where they are.
    """

    attributes: frozenset[str]
    nested_attributes: frozenset[str]
    paths: PathTree

    def apply(self, item: Item) -> Item:
        """Return those parts of *item* that it has; list elements move together."""
        return pick(self.paths, item)


def parse_projection(text: str, placeholders: Placeholders) -> Projection:
    """
    Return the projection *text* states.

    Args:
        text: The ProjectionExpression.
        placeholders: What its `#names` stand for.

    Raises:
        DynamoDBError: AWS refuses the expression; worded as AWS does.
    """
    try:
        paths = [placeholders.path(node) for node in projection_paths(text)]
        check_disjoint(paths)
    except InvalidExpressionError as error:
        raise error.answer("ProjectionExpression") from None
    return _projection(paths)


def projection_of(names: Iterable[str]) -> Projection:
    """Return the projection on whole attributes, by their names as they are."""
    return _projection([(name,) for name in names])


def _projection(paths: Sequence[Path]) -> Projection:
    return Projection(
        attributes=frozenset(heads(paths)),
        nested_attributes=frozenset(heads(path for path in paths if len(path) > 1)),
        paths=path_tree(dict.fromkeys(paths)),
    )


def path_tree(ends: Mapping[Path, Any]) -> PathTree:
    """Return disjoint paths as a tree, with what is given for each path at its end."""
    tree: PathTree = {}
    for path, end in ends.items():
        branch = tree
        for part in path[:-1]:
            branch = branch.setdefault(part, {})
        branch[path[-1]] = end
    return tree


def pick(tree: PathTree, members: dict[str, AttributeValue]) -> dict[str, AttributeValue]:
    """Return the parts of an item, or of the content of a map, at the paths of *tree*."""
    picked = {}
    for name, branch in tree.items():
        if name in members:
            value = _pick_value(branch, members[name])
            if value is not None:
                picked[name] = value
    return picked


def _pick_value(branch: PathTree | None, value: AttributeValue) -> AttributeValue | None:
    if branch is None:
        return value
    if isinstance(next(iter(branch)), str):
        found = pick(branch, value.get("M", {}))
        return {"M": found} if found else None
    elements = value.get("L", [])
    chosen = []
    for index in sorted(branch):
        if index < len(elements):
            element = _pick_value(branch[index], elements[index])
            if element is not None:
                chosen.append(element)
    return {"L": chosen} if chosen else None
