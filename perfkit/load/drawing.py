"""Values of requests drawn from the items of tables, so that they are as skewed as the data is."""

import random
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from difflib import get_close_matches

from perfkit.capacity import AttributeValue
from perfkit.dynamodb.connection import Connection
from perfkit.dynamodb.errors import answer_errors
from perfkit.dynamodb.retries import RetryingConnection
from perfkit.dynamodb.safety import Effect
from perfkit.dynamodb.sample import SampleLimits, take_sample
from perfkit.dynamodb.tables import TableState, describe, table_names
from perfkit.dynamodb.targets import Target
from perfkit.embedded.errors import DynamoDBError
from perfkit.errors import TargetError
from perfkit.load.mix_file import DrawItems
from perfkit.units import format_units

__all__ = ["describe_tables", "draw_from", "drawing_effects"]

_MOST_UNITS = 1000.0

Derived = Mapping[str, tuple[str, Callable[[str], str]]]
"""By name of a column: the attribute it is made from, and how."""


def draw_from(target: Target, derived: Derived, seeded: Collection[str] = ()) -> DrawItems:
    """
    Return what draws values from items on a target: from all over the table, each item as likely.

    At most 1,000 read units are spent on a table; a limit of the target holds too.

    Args:
        target: Where the tables are.
        derived: Columns that are made from an attribute instead of being one.
        seeded: Names of the tables that `perfkit seed` creates.
    """

    def draw(
        table: str, columns: Sequence[str], most: int, where: Mapping[str, str | int | bool]
    ) -> Sequence[tuple[str, ...]]:
        with (
            RetryingConnection(target.connect()) as connection,
            answer_errors(f"drawing values from {table}", target.name),
        ):
            state = describe(connection, table)
            if state is None:
                msg = (
                    f"{target.name} has no table {table} to draw values from;"
                    f" {_way_out(table, connection, seeded)}"
                )
                raise TargetError(msg)
            limits = SampleLimits(items=most, read_units=_MOST_UNITS).for_table(state)
            sample = take_sample(connection, state, limits=limits, seed=1)
        rows = []
        for each in sample.items:
            if any(_plain(each.item.get(name, {})) != value for name, value in where.items()):
                continue
            row = tuple(_value(each.item, column, derived) for column in columns)
            if None not in row:
                rows.append(tuple(text for text in row if text is not None))
        random.Random(1).shuffle(rows)  # noqa: S311 - values, no secret
        return rows

    return draw


def _way_out(table: str, connection: Connection, seeded: Collection[str]) -> str:
    if table in seeded:
        return "create it with `perfkit seed`, or name another --target"
    there: list[str] = []
    # not everybody may list them
    with suppress(DynamoDBError):
        there = table_names(connection)
    near = get_close_matches(table, {*there, *seeded}, n=1)
    likely = f"did you mean {near[0]}? Else " if near else ""
    return f"{likely}correct the mix, or name another --target"


def describe_tables(target: Target, names: Iterable[str]) -> dict[str, TableState]:
    """
    Return the tables that are there.

    Raises:
        TargetError: The target does not answer.
    """
    with (
        RetryingConnection(target.connect(read_only=True)) as connection,
        answer_errors("looking at the tables", target.name),
    ):
        found = {name: describe(connection, name) for name in names}
    return {name: state for name, state in found.items() if state is not None}


def drawing_effects(target: Target, tables: Mapping[str, int]) -> tuple[Effect, ...]:
    """
    Return what drawing values reads, to be shown before it is done.

    Args:
        target: Where the tables are.
        tables: How many items are drawn of each, at most.

    Raises:
        TargetError: The target does not answer.
    """
    effects = []
    there = describe_tables(target, tables)
    for name, items in tables.items():
        limits = SampleLimits(items=items, read_units=_MOST_UNITS)
        if name in there:
            limits = limits.for_table(there[name])
        units = format_units(limits.read_units)
        effects.append(
            Effect(
                text=f"read up to {items:,} items of {name} for values of requests;"
                f" at most {units} read units",
                read_units=limits.read_units,
            )
        )
    return tuple(effects)


def _plain(value: AttributeValue) -> str | int | bool | None:
    """Return a value as a TOML file writes it; None where it cannot."""
    if "N" in value:
        try:
            return int(value["N"])
        except ValueError:
            return None
    found = value.get("S", value.get("BOOL"))
    return found if isinstance(found, str | bool) else None


def _value(item: Mapping[str, AttributeValue], column: str, derived: Derived) -> str | None:
    name, make = derived.get(column, (column, str))
    value = item.get(name, {})
    text = value.get("S", value.get("N"))
    return make(text) if isinstance(text, str) else None
