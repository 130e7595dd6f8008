"""Names of the prices that perfkit asks a price book for; a missing one is an error that names it."""

import re
from collections.abc import Mapping
from enum import StrEnum

__all__ = [
    "ALARM",
    "DATA_OUT",
    "FIFO_REQUEST",
    "FIXED",
    "INTER_ZONE",
    "LOAD_BALANCER",
    "LOAD_BALANCER_UNIT",
    "LOGS_IN",
    "LOGS_STORED",
    "METRIC",
    "METRIC_REQUEST",
    "NAT",
    "PUBLIC_ADDRESS",
    "QUEUE_REQUEST",
    "USUAL",
    "VOLUME",
    "Engine",
    "TableClass",
    "accelerator",
    "cache_node",
    "instance",
    "instance_of",
    "is_of_a_type",
    "read_capacity",
    "read_request",
    "serverless_storage",
    "serverless_unit",
    "storage",
    "unit_of",
    "write_capacity",
    "write_request",
]

LOAD_BALANCER = "alb-hour"
LOAD_BALANCER_UNIT = "alb-lcu-hour"
PUBLIC_ADDRESS = "public-ipv4-hour"
NAT = "nat-hour"
VOLUME = "gp3-storage"
DATA_OUT = "data-out"
INTER_ZONE = "data-between-zones"
"""Each way: a gigabyte sent and received costs it twice."""
METRIC = "cloudwatch-metric"
ALARM = "cloudwatch-alarm"
METRIC_REQUEST = "cloudwatch-get-metric-data"
LOGS_IN = "cloudwatch-logs-in"
LOGS_STORED = "cloudwatch-logs-storage"
QUEUE_REQUEST = "sqs-standard-request"
FIFO_REQUEST = "sqs-fifo-request"


class TableClass(StrEnum):
    """How DynamoDB stores a table."""

    STANDARD = "standard"
    INFREQUENT_ACCESS = "infrequent-access"


class Engine(StrEnum):
    """What runs on a cache node."""

    REDIS = "redis"
    VALKEY = "valkey"


def _dynamodb(kind: str, table_class: TableClass) -> str:
    infix = "" if table_class is TableClass.STANDARD else "ia-"
    return f"dynamodb-{infix}{kind}"


def read_request(table_class: TableClass = TableClass.STANDARD) -> str:
    """Return the price of a read request unit, on demand."""
    return _dynamodb("read-request", table_class)


def write_request(table_class: TableClass = TableClass.STANDARD) -> str:
    """Return the price of a write request unit, on demand."""
    return _dynamodb("write-request", table_class)


def read_capacity(table_class: TableClass = TableClass.STANDARD) -> str:
    """Return the price of a provisioned read unit for an hour."""
    return _dynamodb("rcu-hour", table_class)


def write_capacity(table_class: TableClass = TableClass.STANDARD) -> str:
    """Return the price of a provisioned write unit for an hour."""
    return _dynamodb("wcu-hour", table_class)


def storage(table_class: TableClass = TableClass.STANDARD) -> str:
    """Return the price of a gigabyte in a table or index for a month."""
    return _dynamodb("storage", table_class)


def instance(instance_type: str) -> str:
    """Return the price of an EC2 instance for an hour: `ec2-t3.micro-hour`."""
    return f"ec2-{instance_type}-hour"


def cache_node(engine: Engine, node_type: str) -> str:
    """Return the price of an ElastiCache node for an hour: `redis-cache.t3.micro-hour`."""
    return f"{engine}-{node_type}-hour"


def accelerator(node_type: str) -> str:
    """Return the price of a DAX node for an hour: `dax.t3.small-hour`."""
    return f"{node_type}-hour"


def serverless_storage(engine: Engine) -> str:
    """Return the price of a gigabyte in a serverless cache for an hour."""
    return f"{engine}-serverless-gb-hour"


def serverless_unit(engine: Engine) -> str:
    """Return the price of an ElastiCache processing unit."""
    return f"{engine}-serverless-ecpu"


def _fixed() -> dict[str, str]:
    units = {
        LOAD_BALANCER: "load balancer hour",
        LOAD_BALANCER_UNIT: "LCU-hour",
        PUBLIC_ADDRESS: "address hour",
        NAT: "gateway hour",
        VOLUME: "GB-month",
        DATA_OUT: "GB",
        INTER_ZONE: "GB",
        METRIC: "metric",
        ALARM: "alarm",
        METRIC_REQUEST: "metric request",
        LOGS_IN: "GB",
        LOGS_STORED: "GB-month",
        QUEUE_REQUEST: "request",
        FIFO_REQUEST: "request",
    }
    for kind in TableClass:
        units[read_request(kind)] = "read request unit"
        units[write_request(kind)] = "write request unit"
        units[read_capacity(kind)] = "RCU-hour"
        units[write_capacity(kind)] = "WCU-hour"
        units[storage(kind)] = "GB-month"
    for engine in Engine:
        units[serverless_storage(engine)] = "GB-hour"
        units[serverless_unit(engine)] = "ECPU"
    return units


FIXED: Mapping[str, str] = _fixed()
"""Units of all prices but those of instances and nodes, by name."""

USUAL = (
    read_capacity(),
    write_capacity(),
    read_request(),
    write_request(),
    storage(),
    LOAD_BALANCER,
    LOAD_BALANCER_UNIT,
    PUBLIC_ADDRESS,
    DATA_OUT,
    instance("t3.micro"),
    instance("t4g.micro"),
    cache_node(Engine.REDIS, "cache.t3.micro"),
    cache_node(Engine.VALKEY, "cache.t4g.micro"),
)
"""What most bills need, in both capacity modes; a new region starts with it."""

_TYPE = r"[a-z0-9-]+\.[a-z0-9-]+"
_INSTANCE = re.compile(rf"ec2-({_TYPE})-hour")
_NODE = re.compile(rf"(?:(?:{'|'.join(Engine)})-cache\.|dax\.){_TYPE}-hour")


def instance_of(name: str) -> str | None:
    """Return the instance type that a price is of; None if it is of anything else."""
    found = _INSTANCE.fullmatch(name)
    return found[1] if found else None


def is_of_a_type(name: str) -> bool:
    """Return whether a price is that of an instance or a cache node, of which there are many types."""
    return (_INSTANCE.fullmatch(name) or _NODE.fullmatch(name)) is not None


def unit_of(name: str) -> str | None:
    """
    Return the unit that a price is multiplied in; None if nothing asks for a price of that name.

    Instances and nodes need not be known ones: their names follow a scheme.
    """
    if _INSTANCE.fullmatch(name):
        return "instance hour"
    return "node hour" if _NODE.fullmatch(name) else FIXED.get(name)
