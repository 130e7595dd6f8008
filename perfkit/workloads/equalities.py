"""What a question's parameters must equal, read from its expressions."""

from collections.abc import Iterator

from perfkit.embedded.expressions.parser import condition_tree
from perfkit.embedded.expressions.syntax import Condition, Junction, PathNode, Predicate, ValueNode
from perfkit.workloads.model import AccessPattern

__all__ = ["equal_attributes", "equalities"]


def equalities(text: str, pattern: AccessPattern) -> Iterator[tuple[str, str]]:
    """
    Yield the parameters of an expression, each with the attribute it equals in every answer.

    Args:
        text: A filter or a key condition that DynamoDB accepts.
        pattern: Whose names the expression uses.
    """
    for name, attribute in _equal(condition_tree(text)):
        yield name, pattern.names.get(attribute, attribute)


def equal_attributes(pattern: AccessPattern) -> dict[str, str]:
    """Return an attribute that each parameter of a pattern equals, for those that equal one."""
    forms = [pattern.scan_filter]
    for form in (pattern.query, pattern.today_query):
        forms += [] if form is None else [form.key_condition, form.filter]
    found = {
        name: attribute
        for text in filter(None, forms)
        for name, attribute in equalities(text, pattern)
    }
    if pattern.get is not None:
        found |= {name: attribute for attribute, name in pattern.get.parameters.items()}
    return found


def _equal(condition: Condition) -> Iterator[tuple[str, str]]:
    match condition:
        case Junction(operator="AND", conditions=conditions):
            for part in conditions:
                yield from _equal(part)
        case (
            Predicate(operator="=", operands=(PathNode(parts=(str(attribute),)), ValueNode(name)))
            | Predicate(operator="=", operands=(ValueNode(name), PathNode(parts=(str(attribute),))))
        ):
            yield name, attribute
