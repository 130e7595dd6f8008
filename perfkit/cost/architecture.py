"""What a service runs on, as an architecture file says it: what a month's bill has lines for."""

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated, Any, Self

from pydantic import Field, ValidationInfo, field_validator, model_validator

from perfkit.cost.assumptions import Assumptions, Traffic
from perfkit.cost.names import Engine, TableClass
from perfkit.cost.prices import HOURS_A_MONTH
from perfkit.cost.toml_file import Number, Section, Tables, Text, Whole, one_of, up_to

__all__ = [
    "Architecture",
    "ArchitectureFile",
    "Architectures",
    "Billed",
    "Index",
    "LoadBalancer",
    "OnDemand",
    "Provisioned",
    "QuotedLine",
    "Table",
]

# One load balancer capacity unit holds so much of each; the dimension that needs most is billed.
# Source: AWS's Elastic Load Balancing pricing page.
_CONNECTIONS_PER_S = 25
_ACTIVE_CONNECTIONS = 3_000
_GB_PER_HOUR = 1
_RULES_PER_S = 1_000

# Beyond these a number is a slip and no service.
Count = Annotated[Whole, up_to(100_000)]
Hours = Annotated[Number, up_to(744)]  # of a month of 31 days
Units = Annotated[Number, up_to(10**9)]
WholeUnits = Annotated[Whole, up_to(10**9, least=1)]
Gigabytes = Annotated[Number, up_to(10**9)]
Requests = Annotated[Number, up_to(10**15)]
Dollars = Annotated[Number, up_to(10**9)]

_NONE = Decimal(0)
_ALWAYS = Decimal(HOURS_A_MONTH)


class Instances(Section):
    """EC2 instances of one type; hours, volume in gigabytes and addresses are those of each."""

    service: Text = "EC2"
    type: Text
    count: Count
    hours: Hours = _ALWAYS
    volume_gb: Gigabytes = _NONE
    public_addresses: Count = 0


class LoadBalancer(Section):
    """
    Application load balancers and what goes through all of them together.

    `lcu` are the capacity units used on average; without it they follow from the rest: connections
    opened a second, connections open in a minute, gigabytes a month of requests and answers, and
    rules tried a second beyond the first ten of each request. Public addresses are those of each:
    one a zone where it faces the internet.
    """

    count: Count = 1
    hours: Hours = _ALWAYS
    new_connections_per_s: Requests = _NONE
    active_connections: Requests = _NONE
    processed_gb: Gigabytes = _NONE
    rule_evaluations_per_s: Requests = _NONE
    lcu: Units | None = None
    public_addresses: Count = 0

    @field_validator("lcu")
    @classmethod
    def _either(cls, lcu: Decimal | None, info: ValidationInfo) -> Decimal | None:
        follows_from = ("new_connections_per_s", "active_connections", "processed_gb")
        if any(info.data.get(key) for key in (*follows_from, "rule_evaluations_per_s")):
            msg = "expected either lcu or what it follows from, not both"
            raise ValueError(msg)
        return lcu

    @property
    def capacity_units(self) -> Decimal:
        """Return the capacity units that are billed in each hour, on average."""
        if self.lcu is not None:
            return self.lcu
        if not self.hours:
            return _NONE
        return max(
            self.new_connections_per_s / _CONNECTIONS_PER_S,
            self.active_connections / _ACTIVE_CONNECTIONS,
            self.processed_gb / self.hours / _GB_PER_HOUR,
            self.rule_evaluations_per_s / _RULES_PER_S,
        )


class CacheNodes(Section):
    """ElastiCache nodes of one type, `cache.t3.micro`, that run an engine."""

    engine: Annotated[Engine, one_of(Engine)] = Engine.REDIS
    type: Text
    count: Count = 1
    hours: Hours = _ALWAYS


class ServerlessCache(Section):
    """A serverless cache: gigabytes held on average, and processing units used in a month."""

    engine: Annotated[Engine, one_of(Engine)] = Engine.VALKEY
    storage_gb: Gigabytes
    ecpus: Requests
    hours: Hours = _ALWAYS


class Accelerator(Section):
    """DAX nodes of one type, `dax.t3.small`."""

    type: Text
    count: Count
    hours: Hours = _ALWAYS


@dataclass(frozen=True, slots=True, kw_only=True)
class Provisioned:
    """Read and write units a second that are paid for whether they are used or not."""

    rcu: Decimal
    wcu: Decimal
    hours: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class OnDemand:
    """Read and write request units that are used in a month."""

    read_requests: Decimal
    write_requests: Decimal


class Billed(Section):
    """
    What a table and an index have alike: capacity, and gigabytes stored.

    DynamoDB provisions whole units, and at least one of each.
    """

    rcu: WholeUnits | None = None
    wcu: WholeUnits | None = None
    hours: Hours = _ALWAYS
    read_requests: Requests | None = None
    write_requests: Requests | None = None
    storage_gb: Gigabytes = _NONE

    @model_validator(mode="after")
    def _one_mode(self) -> Self:
        provisioned = [each is not None for each in (self.rcu, self.wcu)]
        on_demand = [each is not None for each in (self.read_requests, self.write_requests)]
        if any(provisioned) and any(on_demand):
            msg = "expected rcu and wcu or read_requests and write_requests, not both"
            raise ValueError(msg)
        if not (all(provisioned) or all(on_demand)):
            msg = (
                "missing what it is billed by; expected rcu and wcu, or read_requests and"
                " write_requests a month"
            )
            raise ValueError(msg)
        return self

    @property
    def capacity(self) -> Provisioned | OnDemand:
        """Return how it is billed."""
        if self.rcu is not None and self.wcu is not None:
            return Provisioned(rcu=Decimal(self.rcu), wcu=Decimal(self.wcu), hours=self.hours)
        return OnDemand(
            read_requests=self.read_requests or _NONE, write_requests=self.write_requests or _NONE
        )


class Index(Billed):
    """A global secondary index; its table class is the table's."""


class Table(Billed):
    """A DynamoDB table with its indexes."""

    table_class: Annotated[TableClass, one_of(TableClass), Field(alias="class")] = (
        TableClass.STANDARD
    )
    indexes: dict[str, Index] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _alike(self) -> Self:
        if any(type(index.capacity) is not type(self.capacity) for index in self.indexes.values()):
            msg = "an index is billed as its table is: expected all on demand or none"
            raise ValueError(msg)
        return self


class Network(Section):
    """What leaves, in gigabytes a month: to the internet, and to another zone, billed at both ends."""

    out_gb: Gigabytes = _NONE
    between_zones_gb: Gigabytes = _NONE


class Monitoring(Section):
    """
    CloudWatch in a month.

    Custom metrics (those that AWS services publish themselves are free of charge), alarms of
    standard resolution on one metric each, metrics asked for with GetMetricData, and log text.
    """

    metrics: Units = _NONE
    alarms: Units = _NONE
    metric_requests: Requests = _NONE
    logs_in_gb: Gigabytes = _NONE
    logs_stored_gb: Gigabytes = _NONE


class Queue(Section):
    """SQS requests in a month: a message sent, received and deleted is three."""

    standard_requests: Requests = _NONE
    fifo_requests: Requests = _NONE


class Nat(Section):
    """NAT gateways."""

    count: Count
    hours: Hours = _ALWAYS


class QuotedLine(Section):
    """A line of a bill as somebody states it; `replaces` is the earlier bill's service it follows."""

    service: Text
    configuration: Text
    monthly: Dollars
    replaces: Text = ""

    @property
    def follows(self) -> str:
        """Return the service of the earlier bill that it is compared with."""
        return self.replaces or self.service


class Architecture(Section):
    """Everything that runs, the bill as a document states it, and what its reader should know."""

    title: Text
    instances: Annotated[tuple[Instances, ...], Tables] = ()
    load_balancer: LoadBalancer | None = None
    cache: Annotated[tuple[CacheNodes, ...], Tables] = ()
    serverless_cache: Annotated[tuple[ServerlessCache, ...], Tables] = ()
    dax: Annotated[tuple[Accelerator, ...], Tables] = ()
    tables: dict[str, Table] = Field(default_factory=dict)
    data_transfer: Network = Network()
    cloudwatch: Monitoring = Monitoring()
    queue: Queue = Queue()
    nat: Nat | None = None
    quoted: Annotated[tuple[QuotedLine, ...], Tables] = ()
    quoted_notes: tuple[Text, ...] = ()
    notes: tuple[Text, ...] = ()

    @property
    def indexes(self) -> Iterator[tuple[Table, Index]]:
        return (
            (table, index) for table in self.tables.values() for index in table.indexes.values()
        )


class ArchitectureFile(Section):
    """A file: what runs before, after, or both, and what comes in."""

    name: Text = ""
    quoted_source: Text = ""
    before: Architecture | None = None
    after: Architecture | None = None
    traffic: Traffic | None = None

    @field_validator("before", "after", mode="before")
    @classmethod
    def _titled(cls, value: Any, info: ValidationInfo) -> Any:
        title = str(info.field_name).capitalize()
        return {"title": title, **value} if isinstance(value, dict) else value

    @model_validator(mode="after")
    def _something(self) -> Self:
        if self.before is None and self.after is None and self.traffic is None:
            msg = "nothing in it; expected [before], [after] or both, or [traffic] alone"
            raise ValueError(msg)
        return self


@dataclass(frozen=True, slots=True, kw_only=True)
class Architectures:
    """
    What a file describes: what runs before, after, or both.

    Args:
        name: For people.
        quoted_source: The document that states the quoted lines; empty where there are none.
        traffic: What is assumed of traffic; None where the file says nothing.
        states_a_rate: It says how many requests come.
        states_writes: It says how many writes come to every table.
        file: Where it was read, for messages; empty for the one that comes with perfkit.
    """

    name: str
    before: Architecture | None
    after: Architecture | None
    quoted_source: str = ""
    traffic: Assumptions | None = None
    states_a_rate: bool = False
    states_writes: bool = False
    file: str = ""

    @property
    def quoted(self) -> bool:
        """Return whether every architecture has its bill stated."""
        sides = [side for side in (self.before, self.after) if side is not None]
        return all(side.quoted for side in sides)
