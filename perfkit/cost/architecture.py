"""What a service runs on: the things that a month's bill has lines for, and nothing about prices."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal

from perfkit.cost.assumptions import Assumptions
from perfkit.cost.names import Engine, TableClass

__all__ = [
    "Accelerator",
    "Architecture",
    "Architectures",
    "CacheNodes",
    "Capacity",
    "Index",
    "Instances",
    "LoadBalancer",
    "Monitoring",
    "Network",
    "OnDemand",
    "Provisioned",
    "Queue",
    "QuotedLine",
    "ServerlessCache",
    "Table",
]

# One load balancer capacity unit holds so much of each; the dimension that needs most is billed.
# Source: AWS's Elastic Load Balancing pricing page.
_CONNECTIONS_PER_S = 25
_ACTIVE_CONNECTIONS = 3_000
_GB_PER_HOUR = 1
_RULES_PER_S = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Instances:
    """
    EC2 instances of one type.

    Args:
        service: What the bill's line is called.
        type: `t3.micro`.
        count: How many.
        hours: Hours a month each of them runs.
        volume_gb: Gigabytes of gp3 volume each of them has.
        public_addresses: Public IPv4 addresses each of them has.
    """

    service: str
    type: str
    count: int
    hours: Decimal
    volume_gb: Decimal = Decimal(0)
    public_addresses: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadBalancer:
    """
    Application load balancers and what goes through all of them together.

    Args:
        count: How many.
        hours: Hours a month each of them runs.
        units: Capacity units used on average; None works them out from the rest.
        new_connections_per_s: Connections opened a second.
        active_connections: Connections open in a minute.
        processed_gb: Gigabytes a month, requests and answers together.
        rule_evaluations_per_s: Rules tried a second beyond the first ten of each request.
        public_addresses: Public IPv4 addresses each of them has: one a zone where it faces the
            internet.
    """

    count: int
    hours: Decimal
    units: Decimal | None = None
    new_connections_per_s: Decimal = Decimal(0)
    active_connections: Decimal = Decimal(0)
    processed_gb: Decimal = Decimal(0)
    rule_evaluations_per_s: Decimal = Decimal(0)
    public_addresses: int = 0

    @property
    def capacity_units(self) -> Decimal:
        """Return the capacity units that are billed in each hour, on average."""
        if self.units is not None:
            return self.units
        if not self.hours:
            return Decimal(0)
        return max(
            self.new_connections_per_s / _CONNECTIONS_PER_S,
            self.active_connections / _ACTIVE_CONNECTIONS,
            self.processed_gb / self.hours / _GB_PER_HOUR,
            self.rule_evaluations_per_s / _RULES_PER_S,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheNodes:
    """ElastiCache nodes of one type: `cache.t3.micro` running an engine some hours a month."""

    engine: Engine
    type: str
    count: int
    hours: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerlessCache:
    """A serverless cache: gigabytes held on average, and processing units used in a month."""

    engine: Engine
    storage_gb: Decimal
    units: Decimal
    hours: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Accelerator:
    """DAX nodes of one type, `dax.t3.small`."""

    type: str
    count: int
    hours: Decimal


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


Capacity = Provisioned | OnDemand


@dataclass(frozen=True, slots=True, kw_only=True)
class Index:
    """A global secondary index; its table class is the table's."""

    name: str
    capacity: Capacity
    storage_gb: Decimal = Decimal(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A DynamoDB table with its indexes."""

    name: str
    capacity: Capacity
    table_class: TableClass = TableClass.STANDARD
    storage_gb: Decimal = Decimal(0)
    indexes: tuple[Index, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """
    What leaves, in gigabytes a month.

    Args:
        out_gb: To the internet.
        between_zones_gb: From one availability zone to another; both ends are billed.
    """

    out_gb: Decimal = Decimal(0)
    between_zones_gb: Decimal = Decimal(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Monitoring:
    """
    CloudWatch in a month.

    Args:
        metrics: Custom metrics; those that AWS services publish themselves are free of charge.
        alarms: Alarms of standard resolution on one metric each.
        metric_requests: Metrics asked for with GetMetricData.
        logs_in_gb: Log text taken in.
        logs_stored_gb: Log text kept.
    """

    metrics: Decimal = Decimal(0)
    alarms: Decimal = Decimal(0)
    metric_requests: Decimal = Decimal(0)
    logs_in_gb: Decimal = Decimal(0)
    logs_stored_gb: Decimal = Decimal(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Queue:
    """SQS requests in a month: a message sent, received and deleted is three."""

    standard_requests: Decimal = Decimal(0)
    fifo_requests: Decimal = Decimal(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class QuotedLine:
    """
    A line of a bill as somebody states it.

    Args:
        service: What it is called.
        configuration: What it is for, in their words.
        monthly_usd: What it costs a month.
        replaces: The service of the earlier bill that it is compared with.
    """

    service: str
    configuration: str
    monthly_usd: Decimal
    replaces: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Architecture:
    """
    Everything that runs.

    Args:
        title: For people.
        nat_gateways: How many.
        nat_hours: Hours a month each of them runs.
        quoted: The bill as a document states it; empty where none does.
        quoted_notes: What a reader of that bill should know.
        notes: What a reader of the list prices should know.
    """

    title: str
    instances: tuple[Instances, ...] = ()
    load_balancer: LoadBalancer | None = None
    cache_nodes: tuple[CacheNodes, ...] = ()
    serverless_caches: tuple[ServerlessCache, ...] = ()
    accelerators: tuple[Accelerator, ...] = ()
    tables: tuple[Table, ...] = ()
    network: Network = field(default_factory=Network)
    monitoring: Monitoring = field(default_factory=Monitoring)
    queue: Queue = field(default_factory=Queue)
    nat_gateways: int = 0
    nat_hours: Decimal = Decimal(0)
    quoted: tuple[QuotedLine, ...] = ()
    quoted_notes: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def indexes(self) -> Iterator[tuple[Table, Index]]:
        return ((table, index) for table in self.tables for index in table.indexes)


@dataclass(frozen=True, slots=True, kw_only=True)
class Architectures:
    """
    What a file describes: what runs before, after, or both.

    Args:
        name: For people.
        quoted_source: The document that states the quoted lines; empty where there are none.
        traffic: What is assumed of traffic; None where the file says nothing.
        file: Where it was read, for messages; empty for the one that comes with perfkit.
    """

    name: str
    before: Architecture | None
    after: Architecture | None
    quoted_source: str = ""
    traffic: Assumptions | None = None
    file: str = ""

    @property
    def quoted(self) -> bool:
        """Return whether every architecture has its bill stated."""
        sides = [side for side in (self.before, self.after) if side is not None]
        return all(side.quoted for side in sides)
