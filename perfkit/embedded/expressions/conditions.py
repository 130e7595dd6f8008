"""Conditions and filters, compiled to closures that are asked of one item after another."""

from collections.abc import Sequence
from dataclasses import dataclass

import orjson

from perfkit.capacity import AttributeValue, Item
from perfkit.embedded.expressions.lexer import InvalidExpressionError
from perfkit.embedded.expressions.matching import ItemTest, predicate_test
from perfkit.embedded.expressions.operands import Literal, Operand, Path, Size, heads
from perfkit.embedded.expressions.parser import condition_tree
from perfkit.embedded.expressions.placeholders import Placeholders
from perfkit.embedded.expressions.predicates import bind_predicate
from perfkit.embedded.expressions.syntax import Condition as ConditionTree
from perfkit.embedded.expressions.syntax import Predicate

__all__ = ["Comparison", "Condition", "condition_of", "parse_condition"]

_WRITTEN_ONE_WAY = frozenset({"S", "N", "B", "BOOL", "NULL"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """
    A condition of one request, to be asked of many items.

    Attributes:
        matches: Tells whether an item in canonical form satisfies the condition.
        attributes: Top-level attributes it looks at.
        nested_attributes: Those of them it looks into, as in "a.b" or "a[0]".
        needles: Byte strings that the compact JSON (orjson.dumps) of every matching item
            contains.  An item without one need not be decoded to be rejected; an item with
            all of them may still not match.
    """

    matches: ItemTest
    attributes: frozenset[str]
    nested_attributes: frozenset[str]
    needles: tuple[bytes, ...]


def parse_condition(text: str, placeholders: Placeholders, kind: str) -> Condition:
    """
    Return the condition *text* states.

    Args:
        text: The expression.
        placeholders: What its `#names` and `:values` stand for.
        kind: The request parameter it came in, "ConditionExpression" or "FilterExpression".

    Raises:
        DynamoDBError: AWS refuses the expression; worded as AWS does.
    """
    try:
        compiler = _Compiler(placeholders)
        matches = compiler.compile(condition_tree(text), certain=True)
    except InvalidExpressionError as error:
        raise error.answer(kind) from None
    return Condition(
        matches=matches,
        attributes=frozenset(heads(compiler.paths)),
        nested_attributes=frozenset(heads(path for path in compiler.paths if len(path) > 1)),
        needles=tuple(compiler.needles),
    )


@dataclass(frozen=True, slots=True)
class Comparison:
    """
    One condition of a parameter from before expressions.

    Attributes:
        attribute: Name of a top-level attribute, as it is.
        operator: As an expression writes it, or "not contains".
        values: Canonical, as many and of such types as the operator takes.
    """

    attribute: str
    operator: str
    values: tuple[AttributeValue, ...]


def condition_of(comparisons: Sequence[Comparison], *, any_of: bool) -> Condition:
    """
    Return the condition that all comparisons hold, or any of them.

    Args:
        comparisons: At least one.
        any_of: Whether one of them is enough.
    """
    certain = not any_of or len(comparisons) == 1
    needles: list[bytes] = []
    tests = []
    for comparison in comparisons:
        values = (Literal(value) for value in comparison.values)
        operands: tuple[Operand, ...] = ((comparison.attribute,), *values)
        # of an item that lacks the attribute, both "contains" and its opposite are false
        negated = comparison.operator == "not contains"
        if certain:
            needles += _needles("attribute_exists" if negated else comparison.operator, operands)
        if negated:
            tests += [_excludes(operands)]
        else:
            tests += [predicate_test(comparison.operator, operands)]
    return Condition(
        matches=tests[0] if len(tests) == 1 else _some(tests) if any_of else _every(tests),
        attributes=frozenset(comparison.attribute for comparison in comparisons),
        nested_attributes=frozenset(),
        needles=tuple(needles),
    )


def _excludes(operands: Sequence[Operand]) -> ItemTest:
    exists = predicate_test("attribute_exists", operands[:1])
    contains = predicate_test("contains", operands)
    return lambda item: exists(item) and not contains(item)


class _Compiler:
    """Compiles one syntax tree and notes, on the way, what the condition depends on."""

    def __init__(self, placeholders: Placeholders) -> None:
        self._placeholders = placeholders
        self.paths: list[Path] = []
        self.needles: list[bytes] = []

    def compile(self, tree: ConditionTree, *, certain: bool) -> ItemTest:
        """
        Return the test for *tree*.

        Args:
            tree: A condition.
            certain: Whether an item can only match if this part of the condition holds.
        """
        if isinstance(tree, Predicate):
            operands = bind_predicate(tree, self._placeholders)
            for operand in operands:
                self._note_path(operand)
            if certain:
                self.needles += _needles(tree.operator, operands)
            return predicate_test(tree.operator, operands)
        certain = certain and tree.operator == "AND"
        tests = [self.compile(condition, certain=certain) for condition in tree.conditions]
        match tree.operator, tests:
            case "NOT", [test]:
                return lambda item: not test(item)
            case "AND", [first, second]:
                return lambda item: first(item) and second(item)
            case "OR", [first, second]:
                return lambda item: first(item) or second(item)
            case "AND", _:
                return _every(tests)
            case _:
                return _some(tests)

    def _note_path(self, operand: Operand) -> None:
        if isinstance(operand, Size):
            self._note_path(operand.operand)
        elif isinstance(operand, tuple):
            self.paths.append(operand)


def _every(tests: Sequence[ItemTest]) -> ItemTest:
    def test(item: Item) -> bool:
        for part in tests:  # noqa: SIM110  all() takes twice the time
            if not part(item):
                return False
        return True

    return test


def _some(tests: Sequence[ItemTest]) -> ItemTest:
    def test(item: Item) -> bool:
        for part in tests:  # noqa: SIM110  any() takes twice the time
            if part(item):
                return True
        return False

    return test


def _needles(operator: str, operands: Sequence[Operand]) -> list[bytes]:
    """Return what the compact JSON of an item must contain for one predicate to hold."""
    match operator, *operands:
        case "=", (*_, str(name)), Literal(value=value):
            return _equality_needles(name, value)
        case "=", Literal(value=value), (*_, str(name)):
            return _equality_needles(name, value)
        case "<" | "<=" | ">" | ">=" | "BETWEEN" | "begins_with", (
            *_,
            str(name),
        ), Literal() as of, *_:
            return [_beginning(name, of.value)]
        case "<" | "<=" | ">" | ">=", Literal() as of, (*_, str(name)):
            return [_beginning(name, of.value)]
        case "attribute_exists" | "contains" | "IN", (*_, str(name)), *_:
            return [orjson.dumps({name: {}})[1:-2]]
        case _:
            return []


def _equality_needles(name: str, value: AttributeValue) -> list[bytes]:
    # lists, maps and sets that are equal may be written in several ways
    if _WRITTEN_ONE_WAY.isdisjoint(value):
        return []
    return [orjson.dumps({name: value})[1:-1]]


def _beginning(name: str, value: AttributeValue) -> bytes:
    """Return how an attribute of the value's type begins."""
    (kind,) = value
    return orjson.dumps({name: {kind: 0}})[1:-3]
