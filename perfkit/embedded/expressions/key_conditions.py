"""Key conditions: which keys a query asks for."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import NoReturn

from perfkit.capacity import AttributeValue
from perfkit.embedded.expressions.lexer import InvalidExpressionError, refuse
from perfkit.embedded.expressions.operands import Literal, Operand, Size
from perfkit.embedded.expressions.parser import condition_tree
from perfkit.embedded.expressions.placeholders import Placeholders
from perfkit.embedded.expressions.predicates import bind_predicate
from perfkit.embedded.expressions.syntax import Condition, Predicate, predicates

__all__ = ["KeyOperator", "KeyTerm", "parse_key_condition"]


class KeyOperator(StrEnum):
    """
    How a key is compared; the values are those of the expression language.

    OTHER is a comparison of `KeyConditions` that no key can answer, such as CONTAINS.
    """

    EQ = "="
    LT = "<"
    LE = "<="
    GT = ">"
    GE = ">="
    BETWEEN = "BETWEEN"
    BEGINS_WITH = "begins_with"
    OTHER = "other"


_WRITTEN = frozenset(KeyOperator) - {KeyOperator.OTHER}

_MIRRORED = {
    KeyOperator.EQ: KeyOperator.EQ,
    KeyOperator.LT: KeyOperator.GT,
    KeyOperator.LE: KeyOperator.GE,
    KeyOperator.GT: KeyOperator.LT,
    KeyOperator.GE: KeyOperator.LE,
}


@dataclass(frozen=True, slots=True)
class KeyTerm:
    """
    What is asked of one key attribute.

    Attributes:
        attribute: Its name.
        operator: The comparison, with the attribute on its left.
        operands: One value, two for BETWEEN.
    """

    attribute: str
    operator: KeyOperator
    operands: tuple[AttributeValue, ...]


def parse_key_condition(
    text: str, placeholders: Placeholders, *, parse_others: Callable[[], None] = lambda: None
) -> tuple[KeyTerm, ...]:
    """
    Return what *text* asks of each key attribute, in the order written.

    Which attributes are keys, and how many terms they allow, is for the reader of the schema.

    Args:
        text: The KeyConditionExpression.
        placeholders: What its `#names` and `:values` stand for.
        parse_others: Parses the other expressions of the request. AWS does so after it has bound
            this expression's operands and before it checks the terms, and so do we: which error
            is answered depends on it.

    Raises:
        DynamoDBError: AWS refuses the expression; worded as AWS does.
    """
    try:
        tree = condition_tree(text)
        bound = [bind_predicate(predicate, placeholders) for predicate in predicates(tree)]
        parse_others()
        terms: dict[str, KeyTerm] = {}
        for predicate, operands in zip(_conjuncts(tree), bound, strict=True):
            term = _key_term(predicate.operator, operands)
            if term.attribute in terms:
                refuse("KeyConditionExpressions must only contain one condition per key")
            terms[term.attribute] = term
    except InvalidExpressionError as error:
        raise error.answer("KeyConditionExpression") from None
    return tuple(terms.values())


def _refuse_operator(operator: str) -> NoReturn:
    refuse(f"Invalid operator used in KeyConditionExpression: {operator}")


def _conjuncts(tree: Condition) -> Iterator[Predicate]:
    """Yield the predicates of a pure AND from left to right."""
    if isinstance(tree, Predicate):
        yield tree
        return
    if tree.operator != "AND":
        _refuse_operator(tree.operator)
    for condition in tree.conditions:
        yield from _conjuncts(condition)


def _key_term(operator: str, operands: tuple[Operand, ...]) -> KeyTerm:
    if operator not in _WRITTEN:
        _refuse_operator(operator)
    one_sided = operator in {KeyOperator.BETWEEN, KeyOperator.BEGINS_WITH}
    if one_sided and not isinstance(operands[0], tuple):
        if isinstance(operands[0], Size):
            refuse("KeyConditionExpressions cannot contain nested operations")
        refuse(
            f"Invalid condition in KeyConditionExpression: {operator} operator must have "
            "the key attribute as its first operand"
        )
    attribute = ""
    values = []
    for operand in operands:
        match operand:
            case Size():
                refuse("KeyConditionExpressions cannot contain nested operations")
            case Literal(value=value):
                values.append(value)
            case (str(name), *rest):
                if attribute:
                    refuse(
                        "Invalid condition in KeyConditionExpression: "
                        "Multiple attribute names used in one condition"
                    )
                if rest:
                    refuse("KeyConditionExpressions cannot have conditions on nested attributes")
                attribute = name
    if not attribute:
        refuse("Invalid condition in KeyConditionExpression: No key attribute specified")
    key_operator = KeyOperator(operator)
    if isinstance(operands[0], Literal):
        key_operator = _MIRRORED[key_operator]
    return KeyTerm(attribute, key_operator, tuple(values))
