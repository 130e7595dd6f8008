"""Architecture files: what they may say, and the reference document's two that come with perfkit."""

from dataclasses import replace
from decimal import Decimal
from importlib import resources
from pathlib import Path

from perfkit.cost.architecture import (
    Accelerator,
    Architecture,
    Architectures,
    CacheNodes,
    Capacity,
    Index,
    Instances,
    LoadBalancer,
    Monitoring,
    Network,
    OnDemand,
    Provisioned,
    Queue,
    QuotedLine,
    ServerlessCache,
    Table,
)
from perfkit.cost.assumptions import Assumptions, read_traffic
from perfkit.cost.names import Engine, TableClass
from perfkit.cost.prices import HOURS_A_MONTH
from perfkit.cost.reading import Fields, describe, parse
from perfkit.errors import ArchitectureError, ConfigError
from perfkit.workloads.problems import Problem

__all__ = ["load_architectures", "read_architectures"]

# Beyond these a number is a slip and no service.
_MOST_THINGS = 100_000
_MOST_HOURS = 744  # of a month of 31 days
_MOST_UNITS = 10**9
_MOST_GB = 10**9
_MOST_REQUESTS = 10**15
_MOST_USD = 10**9

_NONE = Decimal(0)


def load_architectures(path: Path | None = None) -> Architectures:
    """
    Return what a file describes; None is the reference document's "before" and "after".

    A file with nothing but `[traffic]` adds that to the reference document's.

    Raises:
        ArchitectureError: The file cannot be read or says what it may not: a line for each
            problem, with the key, the value and what would be accepted.
    """
    if path is None:
        folder = resources.files("perfkit.cost").joinpath("architectures")
        return read_architectures(folder.joinpath("reference.toml").read_bytes(), source="built-in")
    try:
        content = path.read_bytes()
    except OSError as error:
        msg = (
            f"cannot read the architecture file {path} ({error.strerror});"
            " docs/cost.md has one to start from"
        )
        raise ArchitectureError(msg) from error
    found = read_architectures(content, source=str(path), file=str(path))
    if found.before is None and found.after is None:
        # what runs is left to the reference document; its file is not this one
        return replace(load_architectures(), traffic=found.traffic)
    return found


def read_architectures(content: bytes, *, source: str, file: str = "") -> Architectures:
    """
    Return what *content* describes.

    Args:
        content: An architecture file's bytes.
        source: What to call it in messages.
        file: Where it is, for reports.

    Raises:
        ArchitectureError: It says what it may not.
    """
    problems: list[Problem] = []
    top = parse(content, problems)
    name, before, after, quoted_source = "", None, None, ""
    traffic: Assumptions | None = None
    if not problems:
        name = top.text("name", default=Path(file).stem or "architecture")
        quoted_source = (
            top.text("quoted_source", default="a document") if top.has("quoted_source") else ""
        )
        before, after = (_architecture(top, side) for side in ("before", "after"))
        traffic = _traffic(top)
        if not top.has("before", "after", "traffic"):
            message = "nothing in it; expected [before], [after] or both, or [traffic] alone"
            problems.append(Problem.at(message=message))
        top.finish()
    if problems:
        raise ArchitectureError(describe(source, problems))
    return Architectures(
        name=name,
        before=before,
        after=after,
        quoted_source=quoted_source,
        traffic=traffic,
        file=file,
    )


def _traffic(top: Fields) -> Assumptions | None:
    table = top.table("traffic")
    if table is None:
        return None
    try:
        return read_traffic(table)
    except ConfigError as error:
        table.problems.append(Problem.at("traffic", message=str(error)))
        return None


def _architecture(top: Fields, side: str) -> Architecture | None:
    at = top.table(side)
    if at is None:
        return None
    nat = at.table("nat")
    architecture = Architecture(
        title=at.text("title", default=side.capitalize()),
        instances=tuple(map(_instances, at.tables("instances"))),
        load_balancer=_load_balancer(at),
        cache_nodes=tuple(map(_cache_nodes, at.tables("cache"))),
        serverless_caches=tuple(map(_serverless, at.tables("serverless_cache"))),
        accelerators=tuple(map(_accelerator, at.tables("dax"))),
        tables=tuple(_table(name, table) for name, table in at.named_tables("tables")),
        network=_network(at),
        monitoring=_monitoring(at),
        queue=_queue(at),
        nat_gateways=0 if nat is None else _count(nat),
        nat_hours=_NONE if nat is None else _hours(nat),
        quoted=tuple(map(_quoted, at.tables("quoted"))),
        quoted_notes=at.texts("quoted_notes"),
        notes=at.texts("notes"),
    )
    if nat is not None:
        nat.finish()
    at.finish()
    return architecture


def _count(at: Fields, key: str = "count", default: int | None = None) -> int:
    return at.whole(key, default=default, most=_MOST_THINGS)


def _hours(at: Fields) -> Decimal:
    return at.number("hours", default=HOURS_A_MONTH, most=_MOST_HOURS)


def _gb(at: Fields, key: str) -> Decimal:
    return at.number(key, default=_NONE, most=_MOST_GB)


def _requests(at: Fields, key: str) -> Decimal:
    return at.number(key, default=_NONE, most=_MOST_REQUESTS)


def _instances(at: Fields) -> Instances:
    instances = Instances(
        service=at.text("service", default="EC2"),
        type=at.text("type"),
        count=_count(at),
        hours=_hours(at),
        volume_gb=_gb(at, "volume_gb"),
        public_addresses=_count(at, "public_addresses", 0),
    )
    at.finish()
    return instances


def _load_balancer(side: Fields) -> LoadBalancer | None:
    at = side.table("load_balancer")
    if at is None:
        return None
    by_units = at.has("lcu")
    keys = ("new_connections_per_s", "active_connections", "processed_gb", "rule_evaluations_per_s")
    if by_units and at.has(*keys):
        at.wrong("lcu", "expected either lcu or what it follows from, not both")
    at.has(*keys)
    balancer = LoadBalancer(
        count=_count(at, default=1),
        hours=_hours(at),
        units=at.number("lcu", most=_MOST_UNITS) if by_units else None,
        new_connections_per_s=_requests(at, keys[0]),
        active_connections=_requests(at, keys[1]),
        processed_gb=_gb(at, keys[2]),
        rule_evaluations_per_s=_requests(at, keys[3]),
        public_addresses=_count(at, "public_addresses", 0),
    )
    at.finish()
    return balancer


def _cache_nodes(at: Fields) -> CacheNodes:
    nodes = CacheNodes(
        engine=at.choice("engine", Engine, Engine.REDIS),
        type=at.text("type"),
        count=_count(at, default=1),
        hours=_hours(at),
    )
    at.finish()
    return nodes


def _serverless(at: Fields) -> ServerlessCache:
    cache = ServerlessCache(
        engine=at.choice("engine", Engine, Engine.VALKEY),
        storage_gb=at.number("storage_gb", most=_MOST_GB),
        units=at.number("ecpus", most=_MOST_REQUESTS),
        hours=_hours(at),
    )
    at.finish()
    return cache


def _accelerator(at: Fields) -> Accelerator:
    accelerator = Accelerator(type=at.text("type"), count=_count(at), hours=_hours(at))
    at.finish()
    return accelerator


def _table(name: str, at: Fields) -> Table:
    indexes = []
    for index_name, index in at.named_tables("indexes"):
        indexes.append(
            Index(name=index_name, capacity=_capacity(index), storage_gb=_gb(index, "storage_gb"))
        )
        index.finish()
    table = Table(
        name=name,
        capacity=_capacity(at),
        table_class=at.choice("class", TableClass, TableClass.STANDARD),
        storage_gb=_gb(at, "storage_gb"),
        indexes=tuple(indexes),
    )
    at.finish()
    on_demand = isinstance(table.capacity, OnDemand)
    if any(isinstance(index.capacity, OnDemand) != on_demand for index in table.indexes):
        at.wrong(None, "an index is billed as its table is: expected all on demand or none")
    return table


def _capacity(at: Fields) -> Capacity:
    provisioned, on_demand = ("rcu", "wcu"), ("read_requests", "write_requests")
    is_provisioned, is_on_demand = at.has(*provisioned), at.has(*on_demand)
    if is_provisioned and is_on_demand:
        at.wrong(
            None, f"expected {' and '.join(provisioned)} or {' and '.join(on_demand)}, not both"
        )
    if is_provisioned:
        return Provisioned(
            # DynamoDB provisions whole units, and at least one of each
            rcu=Decimal(at.whole("rcu", least=1, most=_MOST_UNITS)),
            wcu=Decimal(at.whole("wcu", least=1, most=_MOST_UNITS)),
            hours=_hours(at),
        )
    if not is_on_demand:
        at.wrong(
            None,
            "missing what it is billed by; expected rcu and wcu, or read_requests and"
            " write_requests a month",
        )
        return OnDemand(read_requests=_NONE, write_requests=_NONE)
    return OnDemand(
        read_requests=at.number("read_requests", most=_MOST_REQUESTS),
        write_requests=at.number("write_requests", most=_MOST_REQUESTS),
    )


def _network(side: Fields) -> Network:
    at = side.table("data_transfer")
    if at is None:
        return Network()
    network = Network(out_gb=_gb(at, "out_gb"), between_zones_gb=_gb(at, "between_zones_gb"))
    at.finish()
    return network


def _monitoring(side: Fields) -> Monitoring:
    at = side.table("cloudwatch")
    if at is None:
        return Monitoring()
    monitoring = Monitoring(
        metrics=at.number("metrics", default=_NONE, most=_MOST_UNITS),
        alarms=at.number("alarms", default=_NONE, most=_MOST_UNITS),
        metric_requests=_requests(at, "metric_requests"),
        logs_in_gb=_gb(at, "logs_in_gb"),
        logs_stored_gb=_gb(at, "logs_stored_gb"),
    )
    at.finish()
    return monitoring


def _queue(side: Fields) -> Queue:
    at = side.table("queue")
    if at is None:
        return Queue()
    queue = Queue(
        standard_requests=_requests(at, "standard_requests"),
        fifo_requests=_requests(at, "fifo_requests"),
    )
    at.finish()
    return queue


def _quoted(at: Fields) -> QuotedLine:
    service = at.text("service")
    line = QuotedLine(
        service=service,
        configuration=at.text("configuration"),
        monthly_usd=at.number("monthly", most=_MOST_USD),
        replaces=at.text("replaces", default=service or "?"),
    )
    at.finish()
    return line
