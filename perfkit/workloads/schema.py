"""A workload file as it is written: the shape of every table of it, nothing about how they fit."""

import re
from collections.abc import Iterable
from enum import StrEnum
from typing import Annotated, Any, Self

from pydantic import AfterValidator, BeforeValidator, Field, Strict, model_validator

from perfkit.capacity import MAX_ITEM_BYTES
from perfkit.workloads.kinds import Count, Flag, Kind, Positive, Section, Written
from perfkit.workloads.literals import Value

__all__ = [
    "ONLY_ENTITY",
    "EntitySection",
    "FileSection",
    "IndexSection",
    "KeySection",
    "PatternSection",
    "Projection",
    "SizeSection",
    "TableSection",
]

ONLY_ENTITY = ""
"""The name of the one entity of a table that describes its items itself."""

MAX_INDEXES = 20
MAX_INDEX_KEYS = 4
"""Partition key attributes of a global index, and as many sort key attributes."""
MAX_NON_KEY_ATTRIBUTES = 100

_TABLE_NAME = re.compile(r"[a-zA-Z0-9_.-]{3,255}")
_SHORT_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")
_PLACEHOLDER = re.compile(r"[A-Za-z0-9_]+")


def _table_name(name: str) -> str:
    if not _TABLE_NAME.fullmatch(name):
        msg = "expected a name of 3 to 255 letters, digits, '_', '-' and '.'"
        raise ValueError(msg)
    return name


def _short_name(name: str) -> str:
    # "all" asks for every scenario
    if not _SHORT_NAME.fullmatch(name) or name == "all":
        msg = "expected a name of small letters, digits, '-' and '_', other than 'all'"
        raise ValueError(msg)
    return name


def _entity_name(name: str) -> str:
    return name if name == ONLY_ENTITY else _short_name(name)


def _placeholder(name: str) -> str:
    if not _PLACEHOLDER.fullmatch(name):
        msg = "expected a name of letters, digits and '_', without ':' or '#'"
        raise ValueError(msg)
    return name


def _line(text: str) -> str:
    if not text.isprintable():
        msg = "expected one line of printable characters"
        raise ValueError(msg)
    return text


def _no_twins(names: tuple[str, ...]) -> tuple[str, ...]:
    twins = sorted({name for name in names if names.count(name) > 1})
    if twins:
        msg = f"expected each attribute once; {', '.join(twins)} is listed again"
        raise ValueError(msg)
    return names


TableName = Annotated[str, AfterValidator(_table_name)]
ShortName = Annotated[Written, AfterValidator(_short_name)]
EntityName = Annotated[str, AfterValidator(_entity_name)]
Line = Annotated[Written, AfterValidator(_line)]
Placeholder = Annotated[str, AfterValidator(_placeholder)]
Names = Annotated[tuple[Written, ...], AfterValidator(_no_twins)]
AttributeName = Annotated[str, Field(min_length=1, max_length=255)]
Size = Annotated[Count, Field(ge=1, le=MAX_ITEM_BYTES)]


class KeyType(StrEnum):
    """What a key attribute is: a text, a number, binary."""

    S = "S"
    N = "N"
    B = "B"


class Projection(StrEnum):
    """Which attributes an index holds."""

    ALL = "ALL"
    KEYS_ONLY = "KEYS_ONLY"
    INCLUDE = "INCLUDE"


class SizeSection(Section):
    """How large items are: any size between two, or one of a few."""

    min: Size | None = None
    max: Size | None = None
    choice: Annotated[tuple[Size, ...], Field(min_length=1)] | None = None
    weights: tuple[Positive, ...] | None = None

    @model_validator(mode="before")
    @classmethod
    def _one_number(cls, value: Any) -> Any:
        return value if isinstance(value, dict) else {"min": value, "max": value}

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if (self.choice is None) == (self.min is None or self.max is None):
            msg = "expected a number of bytes, {min = …, max = …} or {choice = […]}"
            raise ValueError(msg)
        if self.min is not None and self.max is not None and self.min > self.max:
            msg = f"expected min to be at most max, got min {self.min} and max {self.max}"
            raise ValueError(msg)
        if self.weights is not None and len(self.weights) != len(self.choice or ()):
            msg = f"expected one weight for each size of choice, got {len(self.weights)}"
            raise ValueError(msg)
        return self


class ExactlySection(Section):
    """A fact the generated items must show: so many of them have these values."""

    items: Count
    where: Annotated[dict[AttributeName, Value], Field(min_length=1)]


class EntitySection(Section):
    """One kind of item of a table."""

    items: Count
    item_size: SizeSection | None = None
    attributes: Annotated[dict[AttributeName, Kind], Field(min_length=1)]
    exactly: tuple[ExactlySection, ...] = ()


class KeySection(Section):
    """A key attribute: its name, and its type where no attribute of the table gives it."""

    name: Written
    type: KeyType | None = None

    @model_validator(mode="before")
    @classmethod
    def _name_alone(cls, value: Any) -> Any:
        return value if isinstance(value, dict) else {"name": value}


def _listed(value: Any) -> Any:
    return value if isinstance(value, list) else [value]


IndexKeys = Annotated[
    tuple[KeySection, ...],
    BeforeValidator(_listed),
    Field(min_length=1, max_length=MAX_INDEX_KEYS),
]


class IndexSection(Section):
    """A secondary index: one that is there, or one to create."""

    partition_key: IndexKeys
    sort_key: IndexKeys | None = None
    projection: Projection = Projection.ALL
    non_key_attributes: Annotated[Names, Field(max_length=MAX_NON_KEY_ATTRIBUTES)] = ()
    exists: Flag = False
    local: Flag = False

    @property
    def keys(self) -> tuple[KeySection, ...]:
        """The key attributes, partition first."""
        return (*self.partition_key, *(self.sort_key or ()))

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if (self.projection is Projection.INCLUDE) != bool(self.non_key_attributes):
            msg = (
                "expected non_key_attributes to list at least one attribute when projection is "
                "INCLUDE, and to be left out otherwise"
            )
            raise ValueError(msg)
        return self


class TableSection(Section):
    """
    A table: its keys, its indexes, and what its items are.

    One without items and attributes exists already, with items that perfkit did not make.
    """

    partition_key: KeySection
    sort_key: KeySection | None = None
    indexes: Annotated[
        dict[TableName, IndexSection], Field(max_length=MAX_INDEXES, default_factory=dict)
    ]
    entities: Annotated[dict[EntityName, EntitySection], Field(min_length=1, default_factory=dict)]

    @model_validator(mode="before")
    @classmethod
    def _one_kind_of_item(cls, value: Any) -> Any:
        """Read a table that describes its items itself as a table of one entity."""
        if not isinstance(value, dict):
            return value
        entity = {name: value[name] for name in EntitySection.model_fields if name in value}
        if "entities" not in value:
            rest = {name: content for name, content in value.items() if name not in entity}
            return {**rest, "entities": {ONLY_ENTITY: entity}} if entity else rest
        if entity:
            msg = f"expected either entities or {', '.join(entity)}, not both"
            raise ValueError(msg)
        return value

    @classmethod
    def known_keys(cls) -> Iterable[str]:
        """Return its own keys and those of the one kind of item it may describe itself."""
        return dict.fromkeys([*cls.model_fields, *EntitySection.model_fields])

    @property
    def keys(self) -> tuple[KeySection, ...]:
        """The attributes of the primary key."""
        return (self.partition_key, *([self.sort_key] if self.sort_key else []))


class ScanSection(Section):
    """A question asked of every item of the table."""

    filter: Written


class QuerySection(Section):
    """The same question asked of the table's key or of an index."""

    index: Written | None = None
    key_condition: Written
    filter: Written | None = None
    descending: Annotated[bool, Strict()] = False


class CacheSection(Section):
    """How an answer is kept in a cache."""

    key: Line
    ttl_s: Positive


class QuoteSection(Section):
    """What a document says one call costs."""

    latency_s: Positive
    rcu: Positive
    items_read: Count
    wasted: Count


class QuotedSection(Section):
    """What a document says of a pattern, before and after."""

    source: Line
    before: QuoteSection
    after: QuoteSection
    latency_ratio: Positive
    capacity_ratio: Positive


class PatternSection(Section):
    """A question the service asks."""

    description: Line
    table: Written
    parameters: Annotated[dict[Placeholder, Value], Field(min_length=1)]
    names: Annotated[dict[Placeholder, Written], Field(default_factory=dict)]
    scan: ScanSection
    query: QuerySection | None = None
    get: Annotated[dict[AttributeName, Value], Field(min_length=1)] | None = None
    returns: Names = ()
    cache: CacheSection | None = None
    quoted: QuotedSection | None = None

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if (self.query is None) == (self.get is None):
            msg = "expected either query or get: the one way to ask without a scan"
            raise ValueError(msg)
        return self


class TargetSection(Section):
    """Where the tables are, unless an option or a variable of the environment says otherwise."""

    at: Written | None = None
    region: Written | None = None
    profile: Written | None = None
    data: Written | None = None
    redis_url: Written | None = None


class FileSection(Section):
    """The whole file."""

    name: ShortName
    description: Line
    tables: Annotated[dict[TableName, TableSection], Field(min_length=1)]
    patterns: Annotated[dict[ShortName, PatternSection], Field(default_factory=dict)]
    target: TargetSection | None = None
