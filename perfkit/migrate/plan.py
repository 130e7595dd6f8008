"""A migration's plan as it is saved: what is there, what will be created, and what it takes."""

from dataclasses import dataclass
from math import isfinite
from typing import Self

from perfkit.dynamodb.tables import Identity
from perfkit.workloads.profile import Estimate

__all__ = [
    "FORMAT",
    "Call",
    "Creation",
    "Existing",
    "Figures",
    "IndexDefinition",
    "Place",
    "Plan",
    "Range",
    "Removal",
    "Scaling",
    "TablePlan",
    "Throughput",
]

FORMAT = 1
"""Of a plan's file. 1: first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Range:
    """A modelled figure of the whole table with its interval of 95%; *high* is None if unknown."""

    value: float
    low: float
    high: float | None

    @classmethod
    def of(cls, estimate: Estimate) -> Self:
        """Return an estimate as a file can hold it."""
        return cls(
            value=estimate.value,
            low=estimate.low,
            high=estimate.high if isfinite(estimate.high) else None,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """
    Where the tables are.

    Args:
        kind: `embedded`, `endpoint` or `aws`.
        region: Of AWS, or what a stand-in is told; empty for the embedded engine.
        endpoint: Address of a stand-in; empty where there is none.
        account: Of AWS; empty where nobody knows.
    """

    kind: str
    region: str = ""
    endpoint: str = ""
    account: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Throughput:
    """Provisioned units a second."""

    read: int
    write: int


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexDefinition:
    """
    A global index as it will be created.

    Args:
        name: Its name.
        partition: Partition key attributes as (name, type).
        sort: Likewise sort key attributes.
        projection: `ALL`, `KEYS_ONLY` or `INCLUDE`.
        non_key_attributes: Of `INCLUDE`.
        throughput: None on demand.
    """

    name: str
    partition: tuple[tuple[str, str], ...]
    sort: tuple[tuple[str, str], ...] = ()
    projection: str
    non_key_attributes: tuple[str, ...] = ()
    throughput: Throughput | None = None

    @property
    def key_text(self) -> str:
        """The key for people: `customer, total`; several attributes of a part as `year + month`."""
        parts = (part for part in (self.partition, self.sort) if part)
        return ", ".join(" + ".join(name for name, _ in part) for part in parts)


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """
    What an index takes; all of it modelled from a sample of the table's items.

    Args:
        entries: Items it will hold.
        entry_bytes: Mean size of an entry, as throughput is billed.
        backfill_units: Write units to build it, in one region.
        backfill_capacity: Write units a second that building is reckoned with.
        backfill_hours: How long it takes at that, without what allocation takes.
        backfill_usd: What building costs, in all regions; None without a price.
        stored_bytes: As storage is billed, in one region.
        storage_usd_month: In all regions; None without a price.
        table_write_units: Write units of a new item, in the table alone.
        index_write_units: What the index adds to it, on average over all items.
        moved_write_units: What it adds to an update that changes one of its keys, of an item in it.
        write_usd_million: What it adds to a million new items, in all regions; None without a price.
        largest_key: Share of the entries under the most frequent partition key; None if no item of
            the sample is in the index.
        largest_key_capacity: Write units a second that building puts on that key's partition.
        largest_key_read_units: Read units of one query of all of that key's entries.
        needed_write_capacity: Write units a second that the index needs so that it does not throttle
            the table; None where nothing says how much is written, or the index scales by itself.
    """

    entries: Range
    entry_bytes: float
    backfill_units: Range
    backfill_capacity: float
    backfill_hours: float
    backfill_usd: float | None
    stored_bytes: Range
    storage_usd_month: float | None
    table_write_units: float
    index_write_units: float
    moved_write_units: float
    write_usd_million: float | None
    largest_key: Range | None
    largest_key_capacity: float
    largest_key_read_units: float
    needed_write_capacity: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """How a pattern asks before and after, as code without values."""

    pattern: str
    before_boto3: str
    after_boto3: str
    before_javascript: str
    after_javascript: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Creation:
    """
    An index to create.

    Args:
        index: As it will be.
        replaces: The index of the workload's name, which is there with another key or projection:
            it stays, the service is switched, and its removal is a later plan of its own.
        figures: What it takes.
        calls: The patterns that ask it.
    """

    index: IndexDefinition
    replaces: str = ""
    figures: Figures
    calls: tuple[Call, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Removal:
    """
    An index to remove, in a plan of its own.

    Args:
        index: As it is.
        days: So many days were looked back for reads.
        until: The end of these days, in UTC; empty where nobody could be asked.
        read_units: What was read of it in these days; None if that is unknown.
        unknown_because: Why it is unknown; empty where it is known.
    """

    index: IndexDefinition
    days: int
    until: str = ""
    read_units: float | None = None
    unknown_because: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Existing:
    """
    A global index that is there.

    Args:
        index: As it is.
        status: As the target describes it.
        difference: How it differs from the workload's of that name; empty if it does not.
        in_workload: Whether the workload has one of that name.
    """

    index: IndexDefinition
    status: str
    difference: str = ""
    in_workload: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Scaling:
    """
    How Application Auto Scaling changes a provisioned table's capacity; the index gets the same.

    Args:
        dimension: `ReadCapacityUnits` or `WriteCapacityUnits`.
        least: Units a second at least.
        most: At most.
        target_percent: Utilisation that it aims at; None where there is no target-tracking policy.
    """

    dimension: str
    least: int
    most: int
    target_percent: float | None

    @property
    def metric(self) -> str:
        """What Application Auto Scaling calls the utilisation that it aims at."""
        return f"DynamoDB{self.dimension.removesuffix('Units')}Utilization"


@dataclass(frozen=True, slots=True, kw_only=True)
class TablePlan:
    """
    One table.

    Args:
        table: Its name.
        arn: As the target gives it.
        identity: Which table of that name it is.
        digest: Of its global indexes; with another one the plan is out of date.
        partition: Its partition key as (name, type).
        sort: Its sort key, if it has one.
        local: Its local indexes, which exist since it does.
        billing: `PAY_PER_REQUEST` or `PROVISIONED`.
        throughput: Provisioned units; None on demand.
        items: Items, as far as the target knows, or counted if the sample is all of them; where
            nobody knows, an estimate.
        sampled: Items that figures are estimated from.
        whole: The sample is the whole table.
        replicas: Other regions, each with its own backfill, writes and storage.
        scaling: Of a provisioned table.
        existing: Global indexes that are there.
        creations: In order, one after the other: DynamoDB takes one at a time.
        removals: Likewise; never beside creations.
        warnings: What to heed.
    """

    table: str
    arn: str
    identity: Identity
    digest: str
    partition: tuple[tuple[str, str], ...]
    sort: tuple[tuple[str, str], ...] = ()
    local: tuple[IndexDefinition, ...] = ()
    billing: str
    throughput: Throughput | None = None
    items: int
    sampled: int
    whole: bool
    replicas: tuple[str, ...] = ()
    scaling: tuple[Scaling, ...] = ()
    existing: tuple[Existing, ...] = ()
    creations: tuple[Creation, ...] = ()
    removals: tuple[Removal, ...] = ()
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """
    What a migration will do; tables go side by side.

    Args:
        perfkit: The version that made it.
        created_at: When, in UTC.
        workload: Its name.
        workload_digest: SHA-256 of its file.
        place: Where the tables are.
        prices: Whose prices, in words; empty where there are none.
        tables: Those with something to create or to remove.
        format: Of the file.
    """

    format: int = FORMAT
    perfkit: str
    created_at: str
    workload: str
    workload_digest: str
    place: Place
    prices: str
    tables: tuple[TablePlan, ...]
