"""A workload as the rest of perfkit reads it: tables, indexes, questions, cache policy."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from perfkit.capacity import AttributeValue
from perfkit.errors import WorkloadError
from perfkit.workloads.gates import Gate
from perfkit.workloads.kinds import Integer, Kinds, Reference, Timestamp
from perfkit.workloads.problems import nearest
from perfkit.workloads.schema import Projection, Today

__all__ = [
    "AccessPattern",
    "Attribute",
    "CachePolicy",
    "Entity",
    "Exactly",
    "GetForm",
    "Ignored",
    "Index",
    "ItemSize",
    "Key",
    "Projection",
    "QueryForm",
    "Quote",
    "Quoted",
    "Steps",
    "Table",
    "Target",
    "TargetDefaults",
    "Then",
    "Today",
    "Traffic",
    "Workload",
    "attributes_of",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """An attribute of a primary or index key."""

    name: str
    type: str
    """S, N or B."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemSize:
    """Sizes of items: `choices` with their `weights`, or anything from `min_bytes` to `max_bytes`."""

    min_bytes: int
    max_bytes: int
    choices: tuple[int, ...] = ()
    weights: tuple[float, ...] = ()

    @property
    def mean_bytes(self) -> float:
        """The size to expect on average."""
        if not self.choices:
            return (self.min_bytes + self.max_bytes) / 2
        weights = self.weights or (1.0,) * len(self.choices)
        total = sum(size * weight for size, weight in zip(self.choices, weights, strict=True))
        return total / sum(weights)


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Target:
    """An attribute of one kind of item, wherever it is."""

    table: str
    entity: str
    attribute: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Attribute:
    """One attribute of an item and how its values are made."""

    name: str
    type: str
    """Of DynamoDB: S, N, BOOL, L, M, …"""
    generator: Kinds
    target: Target | None = None
    """What a reference refers to."""

    def unique_values(self, counts: Mapping[tuple[str, str], int]) -> int | None:
        """
        Return how many values an attribute marked unique can have; None for any other.

        Args:
            counts: Items of each entity, by table and entity name.
        """
        match self.generator:
            case Integer(unique=True) | Timestamp(unique=True) as kind:
                return kind.max - kind.min + 1
            case Reference(unique=True) if self.target is not None:
                return counts[self.target.table, self.target.entity]
            case _:
                return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Exactly:
    """*items* items have these values, and no others do."""

    items: int
    where: Mapping[str, AttributeValue]


@dataclass(frozen=True, slots=True, kw_only=True)
class Entity:
    """One kind of item of a table."""

    name: str
    items: int
    item_size: ItemSize | None
    attributes: tuple[Attribute, ...]
    exactly: tuple[Exactly, ...] = ()

    def attribute(self, name: str) -> Attribute:
        """Return the attribute called *name*."""
        return next(attribute for attribute in self.attributes if attribute.name == name)


@dataclass(frozen=True, slots=True, kw_only=True)
class Index:
    """
    A secondary index.

    `exists`: it is there already, and perfkit does not make it; else it is one to create. `local`:
    a local one, which only ever exists.
    """

    name: str
    partition_keys: tuple[Key, ...]
    sort_keys: tuple[Key, ...]
    projection: Projection
    non_key_attributes: tuple[str, ...] = ()
    exists: bool = False
    local: bool = False

    @property
    def keys(self) -> tuple[Key, ...]:
        """The key attributes, partition first."""
        return self.partition_keys + self.sort_keys


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """
    A table: its keys, its indexes, and the kinds of items it holds.

    One of no kinds of items exists already: perfkit reads it and makes nothing of it.
    """

    name: str
    partition_key: Key
    sort_key: Key | None
    indexes: tuple[Index, ...]
    entities: tuple[Entity, ...]

    @property
    def exists(self) -> bool:
        """Whether it is there already, with items that perfkit did not make."""
        return not self.entities

    @property
    def partition_keys(self) -> tuple[Key, ...]:
        """Its partition key, as an index has them."""
        return (self.partition_key,)

    @property
    def sort_keys(self) -> tuple[Key, ...]:
        """Its sort key if it has one, as an index has them."""
        return () if self.sort_key is None else (self.sort_key,)

    @property
    def keys(self) -> tuple[Key, ...]:
        """The key attributes, partition first."""
        return self.partition_keys + self.sort_keys

    def index(self, name: str) -> Index:
        """Return the index called *name*."""
        for index in self.indexes:
            if index.name == name:
                return index
        raise _unknown(self.name, "index", name, (index.name for index in self.indexes))

    @property
    def items(self) -> int:
        """Items at scale 1; 0 of one that exists already: only the target knows."""
        return sum(entity.items for entity in self.entities)

    @property
    def item_size(self) -> ItemSize | None:
        """Smallest and largest item, or None where an entity's items are as large as they come."""
        sizes = [entity.item_size for entity in self.entities]
        known = [size for size in sizes if size is not None]
        if not known or len(known) < len(sizes):
            return None
        return ItemSize(
            min_bytes=min(size.min_bytes for size in known),
            max_bytes=max(size.max_bytes for size in known),
        )

    @property
    def attributes(self) -> tuple[Attribute, ...]:
        """Every attribute an item may have, each once."""
        return tuple(
            {
                attribute.name: attribute
                for entity in reversed(self.entities)
                for attribute in reversed(entity.attributes)
            }.values()
        )[::-1]

    def entity(self, name: str) -> Entity:
        """Return the entity called *name*."""
        return next(entity for entity in self.entities if entity.name == name)

    def projected(self, index: Index) -> frozenset[str] | None:
        """Return the attributes a read of *index* can give, or None for all of them."""
        if index.projection is Projection.ALL:
            return None
        keys = {key.name for key in (*self.keys, *index.keys)}
        return frozenset(keys | set(index.non_key_attributes))


@dataclass(frozen=True, slots=True, kw_only=True)
class QueryForm:
    """How a pattern asks an index, or the table's own key when *index* is None."""

    index: str | None
    key_condition: str
    filter: str | None = None
    descending: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class GetForm:
    """How a pattern reads one item; *parameters* says which of its values fill the key."""

    key: Mapping[str, AttributeValue]
    parameters: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Then:
    """
    What is asked once for each item that a first step found.

    Args:
        table: Of whom.
        key: By key attribute of a GetItem, where its value comes from; None for a query.
        query: What is asked instead; None for a GetItem.
        parameters: Of the query, where their values come from.

    A value comes from an attribute of the item found, named; from one of the pattern's parameters,
    `:name`; or it is a text made of attributes in braces, `CUSTOMER#{customer_id}`.
    """

    table: str
    key: Mapping[str, str] | None
    query: QueryForm | None
    parameters: Mapping[str, str]

    @property
    def sources(self) -> tuple[str, ...]:
        """Where values come from."""
        return tuple((self.key or self.parameters).values())


_BRACES = re.compile(r"\{([^{}]+)\}")


def attributes_of(source: str) -> tuple[str, ...]:
    """Return the attributes of the item found that a second step's value is made of."""
    if source.startswith(":"):
        return ()
    return tuple(_BRACES.findall(source)) if set("{}") & set(source) else (source,)


@dataclass(frozen=True, slots=True, kw_only=True)
class Steps:
    """A sequence: *first* (`scan`, `scan-filtered` or `query`) finds items, *then* asks for each."""

    first: str
    then: Then


@dataclass(frozen=True, slots=True, kw_only=True)
class Traffic:
    """
    How much the service asks and writes, a second.

    Args:
        reads_hz: Calls of patterns, by name.
        writes_hz: Items written to tables, by name.
    """

    reads_hz: Mapping[str, float]
    writes_hz: Mapping[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class CachePolicy:
    """Under which key an answer is kept, and for how long."""

    key: str
    ttl_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Quote:
    """What a document says one call costs."""

    latency_s: float
    rcu: float
    items_read: int
    wasted: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Quoted:
    """What a document says of a pattern, before and after: never measured here."""

    source: str
    before: Quote
    after: Quote
    latency_ratio: float
    capacity_ratio: float


_PLACEHOLDERS = re.compile(r"[:#][A-Za-z0-9_]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessPattern:
    """
    A question the service asks, in the form it has today and in the form it could have.

    `parameters` and `names` carry their `:` and `#`; DynamoDB refuses what an expression leaves
    unused, so `placeholders` picks those that a request's expressions mention.

    Args:
        parameters: The first set of values it is asked with.
        more_parameters: Further sets of the same parameters.
        drawn: Parameters that are in no set, because they are drawn from the table's items.
        scan_filter: The question as a filter over the table; None if it is never scanned.
        query: By an index or the table's key. Today's, where today is a query, unless there is
            `today_query`; else the better form.
        get: The question as a key: today's where today is a get, else the better form.
        today: What the service does now.
        today_query: What the service queries now, where `query` is better.
        steps: What it does now, where that is a sequence.
        max_rcu: Read units that a call may take at most in its better, or only, form.
    """

    name: str
    description: str
    table: str
    parameters: Mapping[str, AttributeValue]
    names: Mapping[str, str]
    scan_filter: str | None
    query: QueryForm | None
    get: GetForm | None
    returns: tuple[str, ...]
    cache: CachePolicy | None
    quoted: Quoted | None
    more_parameters: tuple[Mapping[str, AttributeValue], ...] = ()
    drawn: tuple[str, ...] = ()
    today: Today = Today.SCAN
    today_query: QueryForm | None = None
    steps: Steps | None = None
    max_rcu: float | None = None

    @property
    def parameter_names(self) -> set[str]:
        """Its parameters, with their `:`."""
        return {*self.parameters, *self.drawn}

    @property
    def sets(self) -> "tuple[AccessPattern, ...]":
        """The pattern with each set of parameters alone."""
        return tuple(
            self.asking(parameters) for parameters in (self.parameters, *self.more_parameters)
        )

    def asking(self, parameters: Mapping[str, AttributeValue]) -> "AccessPattern":
        """Return the pattern with other parameters, all of them."""
        get = self.get
        if get is not None:
            asked = {name: parameters[value] for name, value in get.parameters.items()}
            get = replace(get, key={**get.key, **asked})
        return replace(self, parameters=parameters, more_parameters=(), drawn=(), get=get)

    @property
    def queries_today(self) -> bool:
        """Whether the service queries now, alone or as the first of several steps."""
        return self.today is Today.QUERY or (
            self.steps is not None and self.steps.first == Today.QUERY
        )

    @property
    def query_today(self) -> QueryForm | None:
        """What the service queries now; None if it does not."""
        return (self.today_query or self.query) if self.queries_today else None

    @property
    def better_query(self) -> QueryForm | None:
        """The query that would be better than what the service does now; None if there is none."""
        return None if self.query is self.query_today else self.query

    @property
    def better_get(self) -> GetForm | None:
        """The get that would be better than what the service does now; None if there is none."""
        return None if self.today is Today.GET else self.get

    @property
    def key_forms(self) -> tuple[str, ...]:
        """The expressions of its queries, key conditions and filters."""
        forms = [form for form in (self.query, self.today_query) if form is not None]
        if self.steps is not None and self.steps.then.query is not None:
            forms.append(self.steps.then.query)
        return tuple(
            text for form in forms for text in (form.key_condition, form.filter) if text is not None
        )

    def placeholders(
        self, *expressions: str | None
    ) -> tuple[dict[str, str], dict[str, AttributeValue]]:
        """Return the names and the values that *expressions* use, for one request."""
        used = self.mentioned(*expressions)
        return (
            {name: attribute for name, attribute in self.names.items() if name in used},
            {name: value for name, value in self.parameters.items() if name in used},
        )

    @staticmethod
    def mentioned(*expressions: str | None) -> set[str]:
        """Return the placeholders, with their `:` or `#`, that *expressions* mention."""
        return set(_PLACEHOLDERS.findall(" ".join(filter(None, expressions))))


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetDefaults:
    """
    Where the tables are, unless an option or a variable of the environment says otherwise.

    Args:
        at: `embedded`, `aws` or the URL of an endpoint.
        region: AWS region.
        profile: AWS profile.
        data: The embedded engine's file.
        redis_url: A Redis server, without its password.
    """

    at: str | None = None
    region: str | None = None
    profile: str | None = None
    data: str | None = None
    redis_url: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Ignored:
    """
    A finding of `perfkit traffic check` that is known and left alone.

    Args:
        rule: The rule's name; `*` for any.
        request: The request as it is shown; `*` stands for anything in it.
        reason: Why.
    """

    rule: str
    request: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """Everything a workload file says."""

    name: str
    description: str
    tables: tuple[Table, ...]
    patterns: tuple[AccessPattern, ...]
    source: str
    """The file's path, or "built-in"."""
    digest: str
    """SHA-256 of the file, in hexadecimal."""
    traffic: Traffic | None = None
    """How much the service asks and writes; None where nobody says."""
    target: TargetDefaults = field(default_factory=TargetDefaults)
    gates: tuple[Gate, ...] = ()
    """What must hold of what is measured."""

    @property
    def quotes(self) -> bool:
        """Whether it has figures of a document beside what is measured."""
        return any(pattern.quoted is not None for pattern in self.patterns)

    @property
    def made(self) -> tuple[Table, ...]:
        """The tables whose items perfkit makes."""
        return tuple(table for table in self.tables if not table.exists)

    @property
    def existing(self) -> tuple[Table, ...]:
        """The tables that exist already: perfkit reads them and writes nothing to them."""
        return tuple(table for table in self.tables if table.exists)

    def scaled(self, factor: float) -> "Workload":
        """Return it with so many times the items in the tables that perfkit makes."""
        return replace(
            self,
            tables=tuple(
                replace(
                    table,
                    entities=tuple(
                        replace(each, items=max(1, round(each.items * factor)))
                        for each in table.entities
                    ),
                )
                for table in self.tables
            ),
        )

    def table(self, name: str) -> Table:
        """Return the table called *name*."""
        for table in self.tables:
            if table.name == name:
                return table
        raise _unknown(self.name, "table", name, (table.name for table in self.tables))

    def entity(self, target: Target) -> Entity:
        """Return the kind of item that *target* is an attribute of."""
        return self.table(target.table).entity(target.entity)

    def attribute(self, target: Target) -> Attribute:
        """Return the attribute at *target*."""
        return self.entity(target).attribute(target.attribute)

    def pattern(self, name: str) -> AccessPattern:
        """Return the access pattern called *name*."""
        for pattern in self.patterns:
            if pattern.name == name:
                return pattern
        names = (pattern.name for pattern in self.patterns)
        raise _unknown(self.name, "access pattern", name, names)


def _unknown(workload: str, what: str, name: str, names: Iterable[str]) -> WorkloadError:
    msg = f"workload {workload} has no {what} {name!r}; {nearest(name, names)}"
    return WorkloadError(msg)
