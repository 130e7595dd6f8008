"""Whether the questions of a workload have an answer among the items it makes."""

from collections.abc import Iterator
from functools import partial

from perfkit.capacity import AttributeValue
from perfkit.embedded.expressions import (
    KeyOperator,
    Placeholders,
    parse_condition,
    parse_key_condition,
)
from perfkit.workloads.bounds import first_text
from perfkit.workloads.generator import ItemGenerator
from perfkit.workloads.kinds import (
    Choice,
    Constant,
    DecimalNumber,
    Integer,
    Sequence,
    Template,
    number_in,
    set_number,
)
from perfkit.workloads.literals import literal_content, plain_value
from perfkit.workloads.model import AccessPattern, Attribute, Entity, Table, Workload
from perfkit.workloads.problems import Problem, written

__all__ = ["unanswered"]

_MOST_MADE = 20_000


def unanswered(workload: Workload, *, make_items: bool = False) -> Iterator[Problem]:
    """
    Yield a problem for each parameter value that no item has, for want of which nothing is found.

    Args:
        make_items: Look among the items themselves, too, of tables with at most 20,000: then
            values that each occur, but never together, are found out as well.
    """
    for pattern in workload.patterns:
        table = workload.table(pattern.table)
        if pattern.drawn:
            continue
        problems = [
            problem for one in pattern.sets for problem in _impossible(workload, one, table)
        ]
        yield from problems
        if not problems and make_items and 0 < table.items <= _MOST_MADE and pattern.scan_filter:
            for one in pattern.sets:
                yield from _not_found(workload, one, pattern.scan_filter)


def _impossible(workload: Workload, pattern: AccessPattern, table: Table) -> Iterator[Problem]:
    for name, value in _asked(pattern):
        entities = [entity for entity in table.entities if _has(entity, name)]
        reasons = [_reason(workload, entity, entity.attribute(name), value) for entity in entities]
        if reasons and all(reason is not None for reason in reasons):
            parameter = next(
                (key for key, held in pattern.parameters.items() if held == value), None
            )
            path = ("parameters", parameter[1:]) if parameter else ("get", name)
            yield Problem.at(
                "patterns",
                pattern.name,
                *path,
                value=plain_value(value),
                message=f"no item has this {name}: {reasons[0]}; nothing will be found",
            )


def _asked(pattern: AccessPattern) -> Iterator[tuple[str, AttributeValue]]:
    """Yield the attributes that must equal a value."""
    if pattern.get is not None:
        yield from pattern.get.key.items()
    if pattern.query is not None:
        text = pattern.query.key_condition
        names, values = pattern.placeholders(text)
        for term in parse_key_condition(text, Placeholders(names or None, values or None)):
            if term.operator is KeyOperator.EQ:
                yield term.attribute, term.operands[0]


def _has(entity: Entity, name: str) -> bool:
    return any(attribute.name == name for attribute in entity.attributes)


def _reason(
    workload: Workload, entity: Entity, attribute: Attribute, wire: AttributeValue
) -> str | None:
    """Return why no item of an entity has the value; None if one may have it."""
    ((kind, content),) = wire.items()
    if kind != attribute.type:
        return None
    match attribute.generator:
        case Choice() as made:
            texts = [literal_content(value) for value in made.values]
            return None if content in texts else f"it is one of {written(made.values)}"
        case Constant() as made:
            return (
                None if content == literal_content(made.value) else f"it is {written(made.value)}"
            )
        case Sequence() as made:
            index = made.index(content)
            if not entity.items or (index is not None and index < entity.items):
                return None
            return f"they are {made.text(0)} to {made.text(entity.items - 1)}"
        case Integer() as made:
            number = number_in(content, made.format)
            if number is not None and made.min <= number <= made.max:
                return None
            low, high = (set_number(bound, made.format) for bound in (made.min, made.max))
            return f"it is one of {low} to {high}"
        case DecimalNumber() as made:
            inside = made.min <= plain_value(wire) <= made.max
            return None if inside else f"it is from {made.min} to {made.max}"
        case Template():
            start, _ = first_text(workload, entity, attribute)
            return None if content.startswith(start) else f"it starts with {written(start)}"
        case _ if attribute.target is not None:
            target = attribute.target
            return _reason(workload, workload.entity(target), workload.attribute(target), wire)
        case _:
            return None


def _not_found(workload: Workload, pattern: AccessPattern, scan_filter: str) -> Iterator[Problem]:
    parse = partial(parse_condition, kind="FilterExpression")
    names, values = pattern.placeholders(scan_filter)
    condition = parse(scan_filter, Placeholders(names or None, values or None))
    generator = ItemGenerator(workload)
    items = generator.items(pattern.table, 0, generator.count(pattern.table))
    if not any(map(condition.matches, items)):
        yield Problem.at(
            "patterns",
            pattern.name,
            "scan",
            "filter",
            value=scan_filter,
            message="no item of the default random seed answers this; nothing will be found",
        )
