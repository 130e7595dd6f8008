"""A workload file as it is written: the shape of every table of it, nothing about how they fit."""

import re
from collections.abc import Iterable
from enum import StrEnum
from typing import Annotated, Any, Self

from pydantic import AfterValidator, BeforeValidator, Field, Strict, model_validator

from perfkit.capacity import MAX_ITEM_BYTES
from perfkit.errors import GateError
from perfkit.workloads.gates import parse_gate
from perfkit.workloads.kinds import Count, Flag, Kind, Positive, Section, Written
from perfkit.workloads.literals import Value
from perfkit.workloads.outline import SECONDS_A_MONTH

__all__ = [
    "MAX_PARAMETER_SETS",
    "ONLY_ENTITY",
    "SAMPLE",
    "EntitySection",
    "FileSection",
    "GatesFile",
    "IndexSection",
    "KeySection",
    "ParameterSet",
    "PatternSection",
    "Projection",
    "SizeSection",
    "StepsSection",
    "TableSection",
    "Today",
]

SAMPLE = "sample"
"""Where parameters come from that are drawn from the items of the table."""

ONLY_ENTITY = ""
"""The name of the one entity of a table that describes its items itself."""

MAX_INDEXES = 20
MAX_INDEX_KEYS = 4
"""Partition key attributes of a global index, and as many sort key attributes."""
MAX_NON_KEY_ATTRIBUTES = 100
MAX_PARAMETER_SETS = 100
"""Every one of them is asked in every form: more would take long and say no more."""

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


def printable_line(text: str) -> str:
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


def _gate(text: str) -> str:
    try:
        parse_gate(text, scope="")
    except GateError as error:
        # the value stands before the problem anyway
        raise ValueError(str(error).removeprefix(f"gate {text!r}, ")) from None
    return text


TableName = Annotated[str, AfterValidator(_table_name)]
ShortName = Annotated[Written, AfterValidator(_short_name)]
EntityName = Annotated[str, AfterValidator(_entity_name)]
Line = Annotated[Written, AfterValidator(printable_line)]
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


class Today(StrEnum):
    """What a service does now to answer a question."""

    SCAN = "scan"
    """It reads the whole table and filters itself."""
    SCAN_FILTERED = "scan-filtered"
    """It reads the whole table with a FilterExpression."""
    QUERY = "query"
    GET = "get"
    STEPS = "steps"
    """It finds items, then asks once more for each of them."""


class First(StrEnum):
    """How the first of several steps finds its items."""

    SCAN = Today.SCAN.value
    SCAN_FILTERED = Today.SCAN_FILTERED.value
    QUERY = Today.QUERY.value


class ScanSection(Section):
    """A question asked of every item of the table."""

    filter: Written


class QuerySection(Section):
    """The same question asked of the table's key or of an index."""

    index: Written | None = None
    key_condition: Written
    filter: Written | None = None
    descending: Annotated[bool, Strict()] = False


class ThenSection(Section):
    """What is asked once for each item found: values are attributes of that item."""

    table: Written
    get: Annotated[dict[AttributeName, Written], Field(min_length=1)] | None = None
    query: QuerySection | None = None
    parameters: Annotated[dict[Placeholder, Written], Field(default_factory=dict)]

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if (self.query is None) == (self.get is None):
            msg = "expected either get or query: what is asked for each item found"
            raise ValueError(msg)
        if self.query is None and self.parameters:
            msg = "parameters are for a query; expected them to be left out beside get"
            raise ValueError(msg)
        return self


class StepsSection(Section):
    """A sequence: items are found, and for each of them something is asked."""

    first: First
    then: ThenSection


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


ParameterSet = Annotated[dict[Placeholder, Value], Field(min_length=1)]


class PatternSection(Section):
    """A question the service asks."""

    description: Line
    table: Written
    parameters: Annotated[
        tuple[ParameterSet, ...],
        BeforeValidator(_listed),
        Field(min_length=1, max_length=MAX_PARAMETER_SETS),
    ] = ()
    parameters_from: Written | None = None
    names: Annotated[dict[Placeholder, Written], Field(default_factory=dict)]
    today: Today | None = None
    scan: ScanSection | None = None
    query: QuerySection | None = None
    get: Annotated[dict[AttributeName, Value], Field(min_length=1)] | None = None
    today_query: QuerySection | None = None
    steps: StepsSection | None = None
    max_rcu: Positive | None = None
    returns: Names = ()
    cache: CacheSection | None = None
    quoted: QuotedSection | None = None

    @model_validator(mode="after")
    def _fits(self) -> Self:
        """Check that there is today's form, and at most one better one."""
        lacking = {
            Today.SCAN: self.scan is None and "scan.filter",
            Today.SCAN_FILTERED: self.scan is None and "scan.filter",
            Today.QUERY: self.query is None and self.today_query is None and "query",
            Today.GET: self.get is None and "get",
            Today.STEPS: self.steps is None and "steps",
        }
        wanted = lacking[self.form]
        if wanted and self.today is None:
            msg = "expected a form: scan, query, get or steps"
            raise ValueError(msg)
        if wanted:
            msg = f'today = "{self.today}" needs {wanted}, which is missing'
            raise ValueError(msg)
        if self.steps is not None:
            self._check_steps(self.steps)
        elif self.form is Today.GET and self.query is not None:
            msg = "a get is the cheapest way there is; expected query to be left out"
            raise ValueError(msg)
        elif self.today_query is not None and self.form is not Today.QUERY:
            msg = 'today_query is what the service asks now; expected today = "query" beside it'
            raise ValueError(msg)
        elif self.query and self.get and (self.form is not Today.QUERY or self.today_query):
            msg = "expected either query or get: the one way to ask without a scan"
            raise ValueError(msg)
        return self

    def _check_steps(self, steps: StepsSection) -> None:
        if self.form is not Today.STEPS:
            msg = (
                f'steps are what the service does now; expected today = "steps", got "{self.today}"'
            )
            raise ValueError(msg)
        if self.get is not None:
            msg = "the first step finds items; expected scan or query beside steps, and no get"
            raise ValueError(msg)
        if steps.first is not First.QUERY and self.scan is None:
            msg = f'steps.first = "{steps.first}" needs scan.filter, which is missing'
            raise ValueError(msg)
        if steps.first is First.QUERY and self.query is None and self.today_query is None:
            msg = 'steps.first = "query" needs query, which is missing'
            raise ValueError(msg)
        if steps.first is First.QUERY and self.scan is not None:
            msg = "the first step queries, so nothing is scanned; expected scan to be left out"
            raise ValueError(msg)
        if steps.first is not First.QUERY and self.today_query is not None:
            msg = 'today_query is what the service asks now; expected steps.first = "query"'
            raise ValueError(msg)

    @property
    def form(self) -> Today:
        """What the service does now, as it says or as the forms that are there suggest."""
        if self.today is not None:
            return self.today
        if self.steps is not None:
            return Today.STEPS
        if self.scan is not None:
            return Today.SCAN
        asked = self.query is not None or self.today_query is not None
        return Today.QUERY if asked or self.get is None else Today.GET


class RateSection(Section):
    """How often something is done: so often a second, or a month."""

    rps: Positive | None = None
    per_month: Positive | None = None

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if (self.rps is None) == (self.per_month is None):
            msg = "expected either rps, calls a second, or per_month"
            raise ValueError(msg)
        return self

    @property
    def hz(self) -> float:
        """Calls a second."""
        return self.rps if self.rps is not None else (self.per_month or 0.0) / SECONDS_A_MONTH


class TrafficSection(Section):
    """How much the service asks and writes."""

    reads: Annotated[dict[ShortName, RateSection], Field(default_factory=dict)]
    writes: Annotated[dict[TableName, RateSection], Field(default_factory=dict)]


class TargetSection(Section):
    """Where the tables are, unless an option or a variable of the environment says otherwise."""

    at: Written | None = None
    region: Written | None = None
    profile: Written | None = None
    data: Written | None = None
    redis_url: Written | None = None


Gates = Annotated[
    dict[
        Line,
        Annotated[
            tuple[Annotated[Line, AfterValidator(_gate)], ...],
            BeforeValidator(_listed),
            Field(min_length=1),
        ],
    ],
    Field(default_factory=dict),
]


class IgnoreSection(Section):
    """A finding of `perfkit traffic check` that is known and left alone."""

    rule: Line
    request: Line
    reason: Line


class GatesFile(Section):
    """A file of gates alone."""

    gates: Gates


class IgnoreFile(Section):
    """What a file says of findings; whatever else it says does not matter."""

    ignore: tuple[IgnoreSection, ...] = ()


class FileSection(Section):
    """The whole file."""

    name: ShortName
    description: Line
    tables: Annotated[dict[TableName, TableSection], Field(min_length=1)]
    patterns: Annotated[dict[ShortName, PatternSection], Field(default_factory=dict)]
    traffic: TrafficSection | None = None
    target: TargetSection | None = None
    gates: Gates
    ignore: tuple[IgnoreSection, ...] = ()
