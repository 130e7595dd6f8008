"""
What tables on AWS consumed, as CloudWatch counted it, and what a month of that costs.

Source: DynamoDB developer guide, "DynamoDB metrics and dimensions": consumed and provisioned units
of a table are its own, those of each global index stand beside them.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from perfkit.capacity import INDEX_ENTRY_OVERHEAD_BYTES
from perfkit.cost import names
from perfkit.cost.bill import Bill, Usage, Use, charge
from perfkit.cost.names import TableClass
from perfkit.cost.prices import HOURS_A_MONTH, PriceBook
from perfkit.cost.quantities import GIGABYTE, short
from perfkit.errors import ConfigError
from perfkit.units import TIMES

if TYPE_CHECKING:
    from perfkit.dynamodb.targets import Target

__all__ = ["Consumed", "Consumption", "bill_of_consumption", "consumption"]

_PERIOD_S = 3600
"""Kept for as long as anything is, and few enough points: shorter periods are gone after days."""

_METRICS = {
    "ConsumedReadCapacityUnits": "Sum",
    "ConsumedWriteCapacityUnits": "Sum",
    "ProvisionedReadCapacityUnits": "Average",
    "ProvisionedWriteCapacityUnits": "Average",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Consumed:
    """
    What a table, or one of its global indexes, consumed.

    Args:
        table: The table.
        index: The index; None for the table itself.
        table_class: How it is stored, and priced.
        on_demand: It is billed by the unit; else by provisioned capacity.
        hours: Hours that were looked at: those since it was made, if it is younger.
        read_units: Read units in these hours.
        write_units: Write units in these hours.
        read_capacity: Provisioned read units, on average of these hours; 0 on demand.
        write_capacity: Likewise write units.
        stored_bytes: What it stores now, with what is billed for each item; about six hours old.
    """

    table: str
    index: str | None
    table_class: TableClass
    on_demand: bool
    hours: float
    read_units: float
    write_units: float
    read_capacity: float
    write_capacity: float
    stored_bytes: float

    @property
    def name(self) -> str:
        """What people call it: `Orders`, `Orders.ByCustomer`."""
        return self.table if self.index is None else f"{self.table}.{self.index}"

    @property
    def reads_a_month(self) -> float:
        """Read units of a month in which as much comes in an hour."""
        return self.read_units * HOURS_A_MONTH / self.hours

    @property
    def writes_a_month(self) -> float:
        """Likewise write units."""
        return self.write_units * HOURS_A_MONTH / self.hours

    @property
    def stored_gb(self) -> float:
        """Gigabytes that it stores."""
        return self.stored_bytes / GIGABYTE

    def usages(self) -> tuple[Usage, Usage]:
        """Return its lines of a month's bill: units or capacity, and storage."""
        key = f"{self.table}/{self.index or ''}"
        mode = "on demand" if self.on_demand else "provisioned"
        return (
            Usage(key=key, service=self.name, configuration=mode, uses=tuple(self._capacity())),
            Usage(key=f"{key} storage", service=f"{self.name}, storage", uses=(self._storage(),)),
        )

    def _capacity(self) -> Iterator[Use]:
        kind = self.table_class
        if not self.on_demand:
            for price, units, letter in (
                (names.read_capacity(kind), self.read_capacity, "R"),
                (names.write_capacity(kind), self.write_capacity, "W"),
            ):
                text = f"{short(units)} {letter}CU {TIMES} {HOURS_A_MONTH} h"
                yield Use(price=price, quantity=units * HOURS_A_MONTH, arithmetic=text)
            return
        for price, units, month, letter in (
            (names.read_request(kind), self.read_units, self.reads_a_month, "R"),
            (names.write_request(kind), self.write_units, self.writes_a_month, "W"),
        ):
            hours = f"÷ {self.hours:,.0f} h {TIMES} {HOURS_A_MONTH} h"
            yield Use(price=price, quantity=month, arithmetic=f"{units:,.1f} {letter}RU {hours}")

    def _storage(self) -> Use:
        return Use(
            price=names.storage(self.table_class),
            quantity=self.stored_gb,
            arithmetic=f"{self.stored_bytes:,.0f} B ÷ {GIGABYTE:,} B",
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Consumption:
    """
    What CloudWatch says of tables.

    Args:
        where: Account and region, for people.
        region: The region.
        days: How far it was looked back.
        parts: Tables and indexes, each table before its indexes.
        absent: Tables that are not there.
    """

    where: str
    region: str
    days: int
    parts: tuple[Consumed, ...]
    absent: tuple[str, ...]

    def part(self, table: str, index: str | None = None) -> Consumed | None:
        """Return what a table or index consumed, if it is known."""
        found = (each for each in self.parts if (each.table, each.index) == (table, index))
        return next(found, None)


def bill_of_consumption(found: Consumption, book: PriceBook, *, free_tier: bool = False) -> Bill:
    """
    Return the month's bill of tables as they are: from units, whatever calls they were for.

    It has two lines of each part: units or capacity, and storage.
    """
    usages = [usage for each in found.parts for usage in each.usages()]
    return Bill(title="today", lines=charge(usages, book, free_tier=free_tier))


def consumption(
    target: "Target", tables: Iterable[str], *, days: int, now: datetime
) -> Consumption:
    """
    Return what tables consumed, up to the last full hour.

    Args:
        target: AWS: DescribeTable and GetMetricData are asked there.
        tables: Their names.
        days: How far to look back.
        now: The time.

    Raises:
        ConfigError: There are no credentials or no region, they may not ask, or none of the tables
            is there.
        TargetError: AWS does not answer, or not all of it.
    """
    tables = tuple(dict.fromkeys(tables))
    end = now.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
    start = end - timedelta(days=days)
    described = {name: _describe(target, name) for name in tables}
    known = {name: table for name, table in described.items() if table is not None}
    absent = tuple(name for name in tables if name not in known)
    region = target.resolved_region()
    if not known:
        msg = (
            f"none of the tables {', '.join(tables)} is in {target.name}; give the --region and"
            " --profile of the account that has them"
        )
        raise ConfigError(msg)
    places = [
        (name, index)
        for name, table in known.items()
        for index in (
            None,
            *(each["IndexName"] for each in table.get("GlobalSecondaryIndexes", ())),
        )
    ]
    sums = _metrics(target, places, start, end)
    return Consumption(
        where=target.name,
        region=region,
        days=days,
        parts=tuple(
            _part(known[name], index, sums[name, index], start, end) for name, index in places
        ),
        absent=absent,
    )


def _describe(target: "Target", name: str) -> Mapping[str, Any] | None:
    from perfkit.dynamodb.errors import aws_errors

    client = target.client()
    with aws_errors(f"looking at {name}", target.name):
        try:
            table: Mapping[str, Any] = client.describe_table(TableName=name)["Table"]
        except client.exceptions.ResourceNotFoundException:
            return None
    return table


_Place = tuple[str, str | None]


def _metrics(
    target: "Target", places: Sequence[_Place], start: datetime, end: datetime
) -> Mapping[_Place, Mapping[str, Sequence[float]]]:
    """Return the values of every metric of each place, an hour each; none where nothing came."""
    from perfkit.dynamodb.cloudwatch import Metric, read_metrics

    def metric(place: _Place, name: str, statistic: str) -> Metric:
        table, index = place
        dimensions = [("TableName", table)]
        dimensions += [("GlobalSecondaryIndexName", index)] if index else []
        return Metric(
            namespace="AWS/DynamoDB",
            name=name,
            dimensions=tuple(dimensions),
            statistic=statistic,
        )

    wanted = {
        (place, name): metric(place, name, statistic)
        for place in places
        for name, statistic in _METRICS.items()
    }
    found = read_metrics(
        target,
        list(wanted.values()),
        start,
        end,
        period_s=_PERIOD_S,
        doing="asking CloudWatch for consumed units",
    )
    return {
        place: {name: list(found[wanted[place, name]].values()) for name in _METRICS}
        for place in places
    }


def _part(
    table: Mapping[str, Any],
    index: str | None,
    values: Mapping[str, Sequence[float]],
    start: datetime,
    end: datetime,
) -> Consumed:
    owner = table
    if index is not None:
        owner = next(each for each in table["GlobalSecondaryIndexes"] if each["IndexName"] == index)
    # of a table that is younger, hours before it was made are no hours without use
    begun = max(start, table.get("CreationDateTime", start))
    throughput = owner.get("ProvisionedThroughput", {})
    billing = table.get("BillingModeSummary", {}).get("BillingMode", "PROVISIONED")
    infrequent = table.get("TableClassSummary", {}).get("TableClass", "").endswith("ACCESS")
    prefix = "Table" if index is None else "Index"

    def mean(metric: str, now: float) -> float:
        found = values.get(metric, ())
        return sum(found) / len(found) if found else now

    on_demand = billing == "PAY_PER_REQUEST"
    # CloudWatch follows what auto scaling does; where it has nothing yet, what holds now counts
    capacity = [
        0.0
        if on_demand
        else mean(f"Provisioned{kind}CapacityUnits", throughput.get(f"{kind}CapacityUnits", 0))
        for kind in ("Read", "Write")
    ]
    return Consumed(
        table=table["TableName"],
        index=index,
        table_class=TableClass.INFREQUENT_ACCESS if infrequent else TableClass.STANDARD,
        on_demand=on_demand,
        hours=max(1.0, (end - begun).total_seconds() / 3600),
        read_units=sum(values.get("ConsumedReadCapacityUnits", ())),
        write_units=sum(values.get("ConsumedWriteCapacityUnits", ())),
        read_capacity=capacity[0],
        write_capacity=capacity[1],
        # a local index is read and written with its table, and stored beside it
        stored_bytes=sum(
            each.get(f"{kind}SizeBytes", 0) + INDEX_ENTRY_OVERHEAD_BYTES * each.get("ItemCount", 0)
            for kind, each in (
                (prefix, owner),
                *(("Index", local) for local in owner.get("LocalSecondaryIndexes", ())),
            )
        ),
    )
