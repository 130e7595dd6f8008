"""What a described architecture uses in a month, line by line as on a bill."""

from collections.abc import Iterable, Iterator
from decimal import Decimal

from perfkit.cost import names
from perfkit.cost.architecture import Architecture, Index, OnDemand, Provisioned, Table
from perfkit.cost.bill import Usage, Use
from perfkit.units import TIMES, format_many, format_quantity

__all__ = ["usages_of"]

_INDEXES = "dynamodb-indexes"
_TABLES = "dynamodb-tables"


def usages_of(architecture: Architecture) -> tuple[Usage, ...]:
    """Return the lines of an architecture's bill, in the order of the reference document."""
    lines = (
        *_instances(architecture),
        *_caches(architecture),
        *_dynamodb(architecture),
        *_load_balancer(architecture),
        *_nat(architecture),
        *_addresses(architecture),
        *_network(architecture),
        *_monitoring(architecture),
        *_queue(architecture),
    )
    return tuple(line for line in lines if line.uses)


def _hours(count: int, what: str, hours: Decimal, price: str) -> Use:
    return Use(
        price=price,
        quantity=count * hours,
        arithmetic=f"{count:,} {what} {TIMES} {format_quantity(hours)} h",
    )


def _instances(architecture: Architecture) -> Iterator[Usage]:
    by_service: dict[str, list[tuple[str, Use]]] = {}
    volumes = []
    for group in architecture.instances:
        price = names.instance(group.type)
        by_service.setdefault(group.service, []).append(
            (
                f"{group.count:,} {TIMES} {group.type}",
                _hours(group.count, group.type, group.hours, price),
            )
        )
        if group.volume_gb:
            volumes.append(
                (f"{group.count:,} {TIMES} {format_quantity(group.volume_gb)} GB", group)
            )
    for service, parts in by_service.items():
        yield Usage(
            # a group may be called as the file likes, "queue" or "nat" too
            key=f"instances {service}",
            service=service,
            configuration=", ".join(text for text, _ in parts),
            uses=tuple(use for _, use in parts),
        )
    yield Usage(
        key="volumes",
        service="EBS volumes",
        configuration=", ".join(text for text, _ in volumes) + " gp3",
        uses=tuple(
            Use(price=names.VOLUME, quantity=group.count * group.volume_gb, arithmetic=text)
            for text, group in volumes
        ),
    )


def _caches(architecture: Architecture) -> Iterator[Usage]:
    uses, texts = [], []
    for nodes in architecture.cache:
        price = names.cache_node(nodes.engine, nodes.type)
        uses.append(_hours(nodes.count, nodes.type, nodes.hours, price))
        texts.append(nodes.type if nodes.count == 1 else f"{nodes.count:,} {TIMES} {nodes.type}")
    for cache in architecture.serverless_cache:
        gigabytes = format_quantity(cache.storage_gb)
        uses.append(
            Use(
                price=names.serverless_storage(cache.engine),
                quantity=cache.storage_gb * cache.hours,
                arithmetic=f"{gigabytes} GB {TIMES} {format_quantity(cache.hours)} h",
            )
        )
        uses.append(Use(price=names.serverless_unit(cache.engine), quantity=cache.ecpus))
        texts.append(f"serverless {cache.engine}, {gigabytes} GB")
    yield Usage(
        key="elasticache", service="ElastiCache", configuration=", ".join(texts), uses=tuple(uses)
    )
    yield Usage(
        key="dax",
        service="DAX",
        configuration=", ".join(f"{each.count:,} {TIMES} {each.type}" for each in architecture.dax),
        uses=tuple(
            _hours(each.count, each.type, each.hours, names.accelerator(each.type))
            for each in architecture.dax
        ),
    )


def _dynamodb(architecture: Architecture) -> Iterator[Usage]:
    tables = tuple((table, table) for table in architecture.tables.values())
    indexes = tuple(architecture.indexes)
    yield Usage(
        key=_TABLES,
        service="DynamoDB Base" if indexes else "DynamoDB",
        configuration=_capacity_text([table.capacity for table in architecture.tables.values()]),
        uses=_dynamodb_uses(tables),
    )
    yield Usage(
        key=_INDEXES,
        service="DynamoDB GSI",
        configuration=_index_text([index.capacity for _, index in indexes]),
        uses=_dynamodb_uses(indexes),
    )


def _dynamodb_uses(owners: Iterable[tuple[Table, Table | Index]]) -> tuple[Use, ...]:
    """Return what tables or indexes take, one use a price and a number of hours."""
    # by price and hours; what is not paid by the hour has none
    quantities: dict[tuple[str, Decimal | None], Decimal] = {}
    for table, owner in owners:
        kind = table.table_class
        hours: Decimal | None
        match owner.capacity:
            case Provisioned(rcu=rcu, wcu=wcu, hours=hours):
                parts = ((names.read_capacity(kind), rcu), (names.write_capacity(kind), wcu))
            case OnDemand(read_requests=read, write_requests=written):
                parts = ((names.read_request(kind), read), (names.write_request(kind), written))
                hours = None
        for price, quantity in parts:
            key = (price, hours)
            quantities[key] = quantities.get(key, Decimal(0)) + quantity
        if owner.storage_gb:
            stored = (names.storage(kind), None)
            quantities[stored] = quantities.get(stored, Decimal(0)) + owner.storage_gb
    return tuple(
        Use(
            price=price,
            quantity=quantity if hours is None else quantity * hours,
            arithmetic=""
            if hours is None
            else f"{format_quantity(quantity)} {TIMES} {format_quantity(hours)} h",
        )
        for (price, hours), quantity in quantities.items()
        if quantity
    )


def _capacity_text(capacities: list[Provisioned | OnDemand]) -> str:
    provisioned = [each for each in capacities if isinstance(each, Provisioned)]
    on_demand = [each for each in capacities if isinstance(each, OnDemand)]
    texts = []
    if provisioned:
        rcu = sum((each.rcu for each in provisioned), Decimal(0))
        wcu = sum((each.wcu for each in provisioned), Decimal(0))
        texts.append(f"{format_quantity(rcu)} RCU, {format_quantity(wcu)} WCU")
    if on_demand:
        reads = sum((each.read_requests for each in on_demand), Decimal(0))
        writes = sum((each.write_requests for each in on_demand), Decimal(0))
        texts.append(
            f"on demand: {format_quantity(reads)} read, {format_quantity(writes)} write units"
        )
    return "; ".join(texts)


def _index_text(capacities: list[Provisioned | OnDemand]) -> str:
    if not capacities:
        return ""
    count = len(capacities)
    if count > 1 and len(set(capacities)) == 1:
        return f"{count} {TIMES} {_capacity_text(capacities[:1])}"
    noun = "index" if count == 1 else "indexes"
    return f"{count} {noun}: {_capacity_text(capacities)}"


def _load_balancer(architecture: Architecture) -> Iterator[Usage]:
    balancer = architecture.load_balancer
    if balancer is None:
        return
    units = balancer.capacity_units
    uses = [_hours(balancer.count, "ALB", balancer.hours, names.LOAD_BALANCER)]
    if units:
        uses.append(
            Use(
                price=names.LOAD_BALANCER_UNIT,
                quantity=units * balancer.hours,
                arithmetic=f"{format_quantity(units)} LCU {TIMES} {format_quantity(balancer.hours)} h",
            )
        )
    yield Usage(
        key="ALB",
        service="ALB",
        configuration=f"{balancer.count:,} {TIMES} ALB, {format_quantity(round(units, 3))} LCU",
        uses=tuple(uses),
    )


def _nat(architecture: Architecture) -> Iterator[Usage]:
    nat = architecture.nat
    if nat is not None and nat.count:
        yield Usage(
            key="nat",
            service="NAT gateway",
            configuration=f"{nat.count:,} {TIMES} NAT, without the data through it",
            uses=(_hours(nat.count, "NAT", nat.hours, names.NAT),),
        )


def _addresses(architecture: Architecture) -> Iterator[Usage]:
    balancer = architecture.load_balancer
    holders = [(each.count * each.public_addresses, each.hours) for each in architecture.instances]
    if balancer is not None:
        holders.append((balancer.count * balancer.public_addresses, balancer.hours))
    holders = [(count, hours) for count, hours in holders if count]
    total = sum(count for count, _ in holders)
    yield Usage(
        key="addresses",
        service="Public IPv4",
        configuration=f"{total:,} {'address' if total == 1 else 'addresses'}",
        uses=tuple(
            _hours(count, "in use", hours, names.PUBLIC_ADDRESS) for count, hours in holders
        ),
    )


def _network(architecture: Architecture) -> Iterator[Usage]:
    network = architecture.data_transfer
    yield _counted("Data Transfer", ((network.out_gb, "GB", names.DATA_OUT),))
    between = network.between_zones_gb
    yield Usage(
        key="zones",
        service="Data between zones",
        configuration=f"{format_quantity(between)} GB",
        uses=(
            Use(
                price=names.INTER_ZONE,
                quantity=2 * between,
                arithmetic=f"{format_quantity(between)} GB out and in again",
            ),
        )
        if between
        else (),
    )


def _monitoring(architecture: Architecture) -> Iterator[Usage]:
    used = architecture.cloudwatch
    yield _counted(
        "CloudWatch",
        (
            (used.metrics, "custom metric", names.METRIC),
            (used.alarms, "alarm", names.ALARM),
            (used.metric_requests, "metric request", names.METRIC_REQUEST),
            (used.logs_in_gb, "GB of logs in", names.LOGS_IN),
            (used.logs_stored_gb, "GB of logs kept", names.LOGS_STORED),
        ),
    )


def _queue(architecture: Architecture) -> Iterator[Usage]:
    queue = architecture.queue
    yield _counted(
        "SQS",
        (
            (queue.standard_requests, "request", names.QUEUE_REQUEST),
            (queue.fifo_requests, "FIFO request", names.FIFO_REQUEST),
        ),
    )


def _counted(service: str, parts: Iterable[tuple[Decimal, str, str]]) -> Usage:
    """Return a line of what is counted by the month: quantities, what they are of, and prices."""
    used = [part for part in parts if part[0]]
    return Usage(
        key=service,
        service=service,
        configuration=", ".join(
            # gigabytes have no plural
            format_many(quantity, noun, noun if noun.startswith("GB") else "")
            for quantity, noun, _ in used
        ),
        uses=tuple(Use(price=price, quantity=quantity) for quantity, _, price in used),
    )
