"""The values a question is asked with, where they are drawn from the items of its table."""

import random
from collections.abc import Mapping
from dataclasses import replace

from perfkit.capacity import AttributeValue, Item
from perfkit.dynamodb.connection import ClientConnection
from perfkit.dynamodb.errors import answer_errors
from perfkit.dynamodb.retries import RetryingConnection
from perfkit.dynamodb.sample import SampleLimits, take_sample
from perfkit.dynamodb.tables import describe
from perfkit.errors import TargetError
from perfkit.scenarios.base import Context
from perfkit.workloads.equalities import equal_attributes
from perfkit.workloads.model import AccessPattern, Workload

__all__ = [
    "DRAWING_UNITS",
    "SETS",
    "parameters_in_runs",
    "with_parameters",
    "workload_with_parameters",
]

SETS = 10
"""Enough to tell a lucky value from the others, few enough to ask every form with each."""

DRAWING_UNITS = 100.0
"""Read units that drawing takes at most."""

_LIMITS = SampleLimits(items=200, read_units=DRAWING_UNITS)

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
    items = _some_items(pattern, context)
    found: dict[str, dict[str, AttributeValue]] = {}
    for item in items:
        if all(_may_be_asked(item.get(each), types.get(each)) for each in wanted.values()):
            drawn = {name: item[attribute] for name, attribute in wanted.items()}
            found.setdefault(repr(drawn), {**pattern.parameters, **drawn})
    if not found:
        msg = (
            f"{pattern.name}: none of {len(items)} items of {pattern.table} has"
            f" {', '.join(wanted.values())} to draw parameters from; write parameters instead"
        )
        raise TargetError(msg)
    first, *more = list(found.values())[:SETS]
    return replace(pattern.asking(first), more_parameters=tuple(more))


def parameters_in_runs(pattern: AccessPattern, workload: Workload) -> Mapping[str, AttributeValue]:
    """Return the values that a run may say a pattern was asked with: those of somebody's items are none."""
    theirs = pattern.drawn or workload.table(pattern.table).exists
    return {} if theirs else pattern.parameters


def _may_be_asked(value: AttributeValue | None, key_type: str | None) -> bool:
    """Tell whether a question may compare with a value; a key is of one type and never empty."""
    if value is None:
        return False
    ((kind, content),) = value.items()
    return kind in _ASKABLE if key_type is None else kind == key_type and bool(content)


def _key_types(pattern: AccessPattern, workload: Workload) -> dict[str, str]:
    table = workload.table(pattern.table)
    named = {form.index for form in (pattern.query, pattern.today_query) if form is not None}
    keys = [*table.keys]
    for index in table.indexes:
        if index.name in named:
            keys += index.keys
    return {key.name: key.type for key in keys}


def _some_items(pattern: AccessPattern, context: Context) -> list[Item]:
    """Return items from all over the table, in an order that the seed decides."""
    seed = context.options.plan.random_seed
    # the client is the caller's, and stays open
    connection = RetryingConnection(ClientConnection(context.client, where=context.where))
    with answer_errors(f"drawing parameters for {pattern.name}", context.where):
        table = describe(connection, pattern.table)
        if table is None:
            msg = f"{pattern.name}: table {pattern.table} does not exist in {context.where}"
            raise TargetError(msg)
        sample = take_sample(connection, table, limits=_LIMITS.for_table(table), seed=seed)
    items = [each.item for each in sample.items]
    random.Random(seed).shuffle(items)  # noqa: S311 - values, no secret
    return items
