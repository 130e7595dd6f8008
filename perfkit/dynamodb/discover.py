"""The tables that a target has, described and sampled, to start a workload from; it only reads."""

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from perfkit.capacity import AttributeValue, Item
from perfkit.dynamodb.retries import RetryingConnection
from perfkit.dynamodb.sample import SampleFacts, SampleLimits, Sampling
from perfkit.dynamodb.tables import Keys, TableState, describe, table_names
from perfkit.dynamodb.targets import Target
from perfkit.embedded.errors import DynamoDBError
from perfkit.errors import ConfigError
from perfkit.units import format_some
from perfkit.workloads.profile import Profile, Profiler

__all__ = ["Discovered", "Found", "find_tables", "read_table"]

_MOST_TABLES = 20
"""More tables are not read unless they are named."""

_EXAMPLES = 3
_NAMED = 10
_WILD = frozenset("*?[")
_USABLE = frozenset({"ACTIVE", "UPDATING"})
_IS = {
    "CREATING": "is being created",
    "DELETING": "is being deleted",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """
    Which tables there are.

    Args:
        tables: Those that can be read, as described.
        skipped: Why others cannot, as sentences.
    """

    tables: tuple[TableState, ...]
    skipped: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Discovered:
    """
    What is known of one table.

    Args:
        table: As described.
        facts: How its sample was taken.
        profile: What the sample says.
        examples: Keys of some sampled items, by index name, "" for the table's own.
    """

    table: TableState
    facts: SampleFacts
    profile: Profile
    examples: Mapping[str, tuple[Item, ...]]


def find_tables(
    connection: RetryingConnection, target: Target, wanted: Sequence[str] = ()
) -> Found:
    """
    Return the tables to start from.

    Args:
        connection: To the target.
        target: For messages.
        wanted: Names, or patterns such as `orders-*`; all tables if empty.

    Raises:
        ConfigError: There is none, or none of such a name, or too many to read them unasked.
        DynamoDBError: The target refused.
    """
    named = [name for name in wanted if not _WILD.intersection(name)]
    names = list(dict.fromkeys(named))
    # where all tables are named, nobody needs the permission to list them
    if len(named) < len(wanted) or not wanted:
        there = table_names(connection)
        if not there:
            raise _no_tables(target)
        for pattern in (each for each in wanted if each not in named):
            matching = [name for name in there if fnmatchcase(name, pattern)]
            if not matching:
                msg = f"no table in {target.name} is called {pattern}; there are {format_some(there, _NAMED)}"
                raise ConfigError(msg)
            names += [name for name in matching if name not in names]
        if not wanted:
            names = there
    if len(names) > _MOST_TABLES and not wanted:
        msg = (
            f"{target.name} has {len(names)} tables ({format_some(names, _NAMED)}); choose with --table, which"
            " may be repeated and takes patterns: --table 'orders-*', or --table '*' for all"
        )
        raise ConfigError(msg)
    tables, skipped = [], []
    for name in names:
        state = describe(connection, name)
        if state is None and name in named:
            msg = f"no table {name} in {target.name}; {_choices(connection, target)}"
            raise ConfigError(msg)
        if state is None:
            skipped.append(f"{name} was deleted meanwhile")
        elif state.status not in _USABLE:
            is_now = _IS.get(state.status, f"is {state.status}")
            skipped.append(f"{name} {is_now}: run again without it, or when it is ACTIVE")
        else:
            tables.append(state)
    return Found(tables=tuple(tables), skipped=tuple(skipped))


def _choices(connection: RetryingConnection, target: Target) -> str:
    try:
        there = table_names(connection)
    except DynamoDBError:
        return "check the name, --target and --region"
    return f"there are {format_some(there, _NAMED)}" if there else str(_no_tables(target))


def _no_tables(target: Target) -> ConfigError:
    """Return the error that says where was looked, and with whose credentials."""
    if target.kind == "embedded":
        msg = (
            f"no tables in {target.name}; name another place with --target, for example aws or"
            " http://localhost:8000, or another file with --data"
        )
        return ConfigError(msg)
    account = target.account()
    place = f"account {account}, " if account else ""
    msg = (
        f"no tables in {target.name} ({place}region {target.resolved_region()}, access key"
        f" {target.access_key()}); other regions and other accounts have other tables, emulators keep those"
        " of each access key apart: check --region, --profile and AWS_ACCESS_KEY_ID"
    )
    return ConfigError(msg)


def read_table(
    connection: RetryingConnection,
    table: TableState,
    *,
    limits: SampleLimits,
    seed: int = 0,
    advance: Callable[[int], None] = lambda _: None,
) -> Discovered:
    """
    Sample a table and return what is known of it; items are forgotten as they are counted.

    Args:
        connection: To the target.
        table: The table, as described.
        limits: Of its sample.
        seed: Another one takes other items.
        advance: Called with how many more items were read.

    Raises:
        DynamoDBError: The target refused, or the table is gone.
    """
    sampling = Sampling(connection, table, limits=limits, seed=seed)
    profiler = Profiler(table.keys.names)
    examples = {name: _Examples(keys, seed) for name, keys in _key_sets(table)}
    for sampled in sampling:
        profiler.add(sampled.item, sampled.size_bytes, sampled.segment)
        for each in examples.values():
            each.add(sampled.item)
        advance(1)
    facts = sampling.facts()
    return Discovered(
        table=table,
        facts=facts,
        profile=profiler.profile(table_items=facts.table_items, whole=facts.whole),
        examples={name: each.kept for name, each in examples.items()},
    )


def _key_sets(table: TableState) -> Iterator[tuple[str, Keys]]:
    yield "", table.keys
    for index in (*table.indexes, *table.local_indexes):
        yield index.name, index.keys


class _Examples:
    """Keeps the keys of some items that have them all, each item as likely as any other."""

    def __init__(self, keys: Keys, seed: int) -> None:
        self._types = dict(keys.partition + keys.sort)
        self._rng = random.Random(seed)  # noqa: S311 - repeatable, and nothing is secret
        self._seen = 0
        self._kept: list[Item] = []

    def add(self, item: Item) -> None:
        key: dict[str, AttributeValue] = {}
        for name, kind in self._types.items():
            value = item.get(name, {})
            if not value.get(kind):
                return
            key[name] = value
        self._seen += 1
        if len(self._kept) < _EXAMPLES:
            self._kept.append(key)
        elif (place := self._rng.randrange(self._seen)) < _EXAMPLES:
            self._kept[place] = key

    @property
    def kept(self) -> tuple[Item, ...]:
        return tuple(self._kept)
