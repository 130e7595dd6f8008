"""Names of the prices that perfkit asks a price book for; a missing one is an error that names it."""

from enum import StrEnum

__all__ = [
    "ALARM",
    "DATA_OUT",
    "FIFO_REQUEST",
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
    "VOLUME",
    "Engine",
    "TableClass",
    "accelerator",
    "cache_node",
    "instance",
    "read_capacity",
    "read_request",
    "serverless_storage",
    "serverless_unit",
    "storage",
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
