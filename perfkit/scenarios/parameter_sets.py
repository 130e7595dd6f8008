"""The values a question is asked with, where they are drawn from the items of its table."""

import random
from collections.abc import Iterator, Mapping
from dataclasses import replace

from perfkit.capacity import AttributeValue, Item
from perfkit.dynamodb.errors import aws_errors
from perfkit.errors import TargetError
from perfkit.scenarios.base import Context
from perfkit.scenarios.items import from_client
from perfkit.workloads.equalities import equal_attributes
from perfkit.workloads.model import AccessPattern, Workload

__all__ = ["SETS", "with_parameters", "workload_with_parameters"]

SETS = 10
"""Enough to tell a lucky value from the others, few enough to ask every form with each."""

# The key space in as many segments, some items of each until there are enough: a few read units.
_SEGMENTS = 16
_ITEMS_A_SEGMENT = 25
_ITEMS = 200

_ASKABLE = frozenset({"S", "N", "B", "BOOL"})


def workload_with_parameters(context: Context) -> Workload:
    """
    Return the workload with values for every parameter that is drawn.

    Raises:
        TargetError: A table is missing, or none of its items says what is asked.
    """
    patterns = tuple(with_parameters(pattern, context) for pattern in context.workload.patterns)
    return replace(context.workload, patterns=patterns)


def with_parameters(pattern: AccessPattern, context: Context) -> AccessPattern:
    """
    Return a pattern with values for the parameters that are drawn; one without any as it is.

    The same seed and the same items give the same values. An item that lacks one of the
    attributes, or has it in another type than a key wants, is passed over.

    Raises:
        TargetError: The table is missing, or none of the items read says what is asked.
    """
    if not pattern.drawn:
        return pattern
    bound = equal_attributes(pattern)
    wanted = {name: bound[name] for name in pattern.drawn}
    types = _key_types(pattern, context.workload)
    with aws_errors(f"drawing parameters for {pattern.name}", context.where):
        items = list(_some_items(pattern, context))
    found: dict[str, Mapping[str, AttributeValue]] = {}
    for item in items:
        values = {name: item.get(attribute, {}) for name, attribute in wanted.items()}
        if all(
            value.keys() <= {types.get(wanted[name])}
            if wanted[name] in types
            else value.keys() <= _ASKABLE
            for name, value in values.items()
        ) and all(values.values()):
            sets = {
                **pattern.parameters,
                **{name: from_client(each) for name, each in values.items()},
            }
            found.setdefault(repr(sets), sets)
    if not found:
        msg = (
            f"{pattern.name}: none of {len(items)} items of {pattern.table} has"
            f" {', '.join(wanted.values())} to draw parameters from; write parameters instead"
        )
        raise TargetError(msg)
    first, *more = list(found.values())[:SETS]
    drawn = pattern.asking(first)
    return replace(drawn, more_parameters=tuple(more))


def _key_types(pattern: AccessPattern, workload: Workload) -> dict[str, str]:
    table = workload.table(pattern.table)
    named = {form.index for form in (pattern.query, pattern.today_query) if form is not None}
    keys = [*table.keys]
    for index in table.indexes:
        if index.name in named:
            keys += index.keys
    return {key.name: key.type for key in keys}


def _some_items(pattern: AccessPattern, context: Context) -> Iterator[Item]:
    """Yield items from all over the table, in an order that the seed decides."""
    chance = random.Random(context.options.plan.random_seed)  # noqa: S311 - values, no secret
    segments = list(range(_SEGMENTS))
    chance.shuffle(segments)
    items: list[Item] = []
    for segment in segments:
        page = context.client.scan(
            TableName=pattern.table,
            Segment=segment,
            TotalSegments=_SEGMENTS,
            Limit=_ITEMS_A_SEGMENT,
        )
        items += page["Items"]
        if len(items) >= _ITEMS:
            break
    chance.shuffle(items)
    yield from items
