"""Tables on a target: made from a workload, described, counted, deleted."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from perfkit.dynamodb.connection import Connection, consumed_units
from perfkit.dynamodb.retries import Pause
from perfkit.embedded.errors import DynamoDBError
from perfkit.errors import TargetError
from perfkit.workloads.model import Index, Table

__all__ = [
    "NEW_NAME",
    "SCALE_TAG",
    "TAG",
    "TAGLESS",
    "Definition",
    "Identity",
    "IndexState",
    "Keys",
    "TableCount",
    "TableState",
    "check_keys",
    "count_items",
    "create",
    "delete",
    "describe",
    "index_definition",
    "index_difference",
    "index_states",
    "key_difference",
    "seeded_scale",
    "table_names",
    "table_state",
    "tags",
    "to_be_made",
    "wait_until_active",
    "wait_until_gone",
]

TAG = {"Key": "created-by", "Value": "perfkit"}
"""Put on every table perfkit creates; see `ownership`."""

TAGLESS = frozenset({"UnknownOperation", "UnknownOperationException"})
"""What a target answers that has no tags."""

SCALE_TAG = "perfkit-scale"
"""Says at which scale a table was filled, so that nobody mixes two."""

NEW_NAME = (
    "give the workload's index a new name and create that, switch the service to it, and remove"
    " the old one only when nothing reads it any more"
)
"""What to do about an index that differs from the workload's: something may be reading it."""

_POLL_S = 0.2
_MAX_POLL_S = 5.0
_ACTIVE_WITHIN_S = 600.0


class _KeyAttribute(Protocol):
    @property
    def name(self) -> str: ...
    @property
    def type(self) -> str: ...


class _Keyed(Protocol):
    """A table or an index of a workload."""

    @property
    def partition_keys(self) -> Sequence[_KeyAttribute]: ...
    @property
    def sort_keys(self) -> Sequence[_KeyAttribute]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Keys:
    """
    The key schema of a table or index: attributes as (name, type), type S, N or B.

    A global index may have several of each.
    """

    partition: tuple[tuple[str, str], ...]
    sort: tuple[tuple[str, str], ...] = ()

    @classmethod
    def of(cls, keyed: _Keyed) -> "Keys":
        """Return the keys a workload asks for."""
        return cls(
            partition=tuple((key.name, str(key.type)) for key in keyed.partition_keys),
            sort=tuple((key.name, str(key.type)) for key in keyed.sort_keys),
        )

    @classmethod
    def from_wire(cls, schema: list[dict[str, str]], types: Mapping[str, str]) -> "Keys":
        """Return the keys in an answer's KeySchema."""
        pairs = [
            (part["KeyType"], (part["AttributeName"], types.get(part["AttributeName"], "?")))
            for part in schema
        ]
        return cls(
            partition=tuple(pair for kind, pair in pairs if kind == "HASH"),
            sort=tuple(pair for kind, pair in pairs if kind == "RANGE"),
        )

    @property
    def names(self) -> tuple[str, ...]:
        """All key attributes, partition key first."""
        return tuple(name for name, _ in self.partition + self.sort)

    def to_wire(self) -> tuple[list[dict[str, str]], list[dict[str, str]]]:
        """Return KeySchema and AttributeDefinitions for a request."""
        schema = [{"AttributeName": name, "KeyType": "HASH"} for name, _ in self.partition]
        schema += [{"AttributeName": name, "KeyType": "RANGE"} for name, _ in self.sort]
        definitions = [
            {"AttributeName": name, "AttributeType": kind}
            for name, kind in self.partition + self.sort
        ]
        return schema, definitions

    def __str__(self) -> str:
        return ", ".join(f"{name} ({kind})" for name, kind in self.partition + self.sort)


class _Projecting(Protocol):
    """An index of a workload or of a plan."""

    @property
    def name(self) -> str: ...
    @property
    def projection(self) -> str: ...
    @property
    def non_key_attributes(self) -> Sequence[str]: ...


def index_definition(index: _Projecting, keys: Keys) -> dict[str, Any]:
    """Return an index as requests define it, without throughput."""
    schema, _ = keys.to_wire()
    projection: dict[str, Any] = {"ProjectionType": str(index.projection)}
    if index.projection == "INCLUDE":
        projection["NonKeyAttributes"] = list(index.non_key_attributes)
    return {"IndexName": index.name, "KeySchema": schema, "Projection": projection}


@dataclass(frozen=True, slots=True, kw_only=True)
class Definition:
    """
    A global index as it is to be, or was made.

    Args:
        capacity: Provisioned units a second, (read, write); None for the table's.
    """

    name: str
    keys: Keys
    projection: str
    non_key_attributes: tuple[str, ...] = ()
    capacity: tuple[int, int] | None = None

    @classmethod
    def of(cls, index: Index) -> "Definition":
        """Return an index as a workload wants it."""
        return cls(
            name=index.name,
            keys=Keys.of(index),
            projection=str(index.projection),
            non_key_attributes=tuple(index.non_key_attributes),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexState:
    """
    A global index as the target describes it.

    Args:
        status: `CREATING`, `ACTIVE`, `UPDATING` or `DELETING`.
        backfilling: Whether the table's items are being copied; before that, while it is
            CREATING, the index cannot be deleted.
        items: Entries, as far as the target knows; about six hours old on AWS.
        read_capacity: Provisioned units a second, 0 on demand.
        write_capacity: Likewise.
    """

    name: str
    status: str
    backfilling: bool
    keys: Keys
    projection: str
    non_key_attributes: tuple[str, ...]
    items: int
    size_bytes: int
    read_capacity: int = 0
    write_capacity: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """
    What tells a table from another one made later under the same name.

    Args:
        table_id: `TableId`, empty where the target gives none.
        created_s: `CreationDateTime` in seconds since 1970, to the millisecond; None where the
            target gives none.
    """

    table_id: str = ""
    created_s: float | None = None

    @property
    def is_known(self) -> bool:
        """Whether the target reported anything that identifies the table."""
        # a stand-in that says 0 of every table says nothing
        return bool(self.table_id) or bool(self.created_s)


@dataclass(frozen=True, slots=True, kw_only=True)
class TableState:
    """
    A table as the target describes it.

    Args:
        identity: Which table of that name it is.
        attributes: Types of the attributes that the table defines: those of its own keys and
            of all its indexes' keys.
        items: Items, as far as the target knows; about six hours old on AWS.
        billing: `PAY_PER_REQUEST` or `PROVISIONED`.
        read_capacity: Provisioned units a second, 0 on demand.
        write_capacity: Likewise.
        local_indexes: Local secondary indexes, which exist since the table does.
        table_class: `STANDARD` or `STANDARD_INFREQUENT_ACCESS`.
        replicas: Other regions that hold the same global table.
    """

    name: str
    arn: str
    status: str
    keys: Keys
    items: int
    size_bytes: int
    billing: str
    read_capacity: int
    write_capacity: int
    indexes: tuple[IndexState, ...]
    identity: Identity = field(default_factory=Identity)
    attributes: Mapping[str, str] = field(default_factory=dict)
    local_indexes: tuple[IndexState, ...] = ()
    table_class: str = "STANDARD"
    replicas: tuple[str, ...] = ()

    def index(self, name: str) -> IndexState | None:
        """Return the index of that name, None if there is none."""
        return next((index for index in self.indexes if index.name == name), None)

    @property
    def is_busy(self) -> bool:
        """Whether a table or index operation runs, so that another would be refused."""
        # a table is described as ACTIVE again a moment before its last index is
        return self.status != "ACTIVE" or any(index.status != "ACTIVE" for index in self.indexes)


@dataclass(frozen=True, slots=True, kw_only=True)
class TableCount:
    """What a count found, and the read units it took."""

    items: int
    read_units: float


def describe(connection: Connection, name: str) -> TableState | None:
    """
    Return a table's state, None if there is no such table.

    On the embedded engine this also moves an unfinished index on by a step.
    """
    try:
        answer = connection.execute("DescribeTable", {"TableName": name})
    except DynamoDBError as error:
        if error.code == "ResourceNotFoundException":
            return None
        raise
    return table_state(answer["Table"])


def to_be_made(table: Table) -> TableState:
    """Return a table of the workload as it will be once it is made, and not filled yet."""
    return TableState(
        name=table.name,
        arn="",
        status="ACTIVE",
        keys=Keys.of(table),
        items=0,
        size_bytes=0,
        billing="PAY_PER_REQUEST",
        read_capacity=0,
        write_capacity=0,
        indexes=(),
    )


def table_state(table: Mapping[str, Any]) -> TableState:
    """Return a table's state, of the `Table` in an answer of DescribeTable."""
    types = _types(table)
    throughput = table.get("ProvisionedThroughput", {})
    return TableState(
        name=table["TableName"],
        arn=table.get("TableArn", ""),
        status=table["TableStatus"],
        keys=Keys.from_wire(table["KeySchema"], types),
        items=table.get("ItemCount", 0),
        size_bytes=table.get("TableSizeBytes", 0),
        read_capacity=throughput.get("ReadCapacityUnits", 0),
        write_capacity=throughput.get("WriteCapacityUnits", 0),
        billing=table.get("BillingModeSummary", {}).get("BillingMode", "PROVISIONED"),
        indexes=index_states(table),
        identity=_identity(table),
        attributes=types,
        local_indexes=tuple(
            _index_state(index, types) for index in table.get("LocalSecondaryIndexes", ())
        ),
        table_class=table.get("TableClassSummary", {}).get("TableClass", "STANDARD"),
        replicas=tuple(each["RegionName"] for each in table.get("Replicas") or ()),
    )


def _identity(table: Mapping[str, Any]) -> Identity:
    created = table.get("CreationDateTime")
    if isinstance(created, datetime):
        created = created.timestamp()
    return Identity(
        table_id=table.get("TableId") or "",
        created_s=None if created is None else round(float(created), 3),
    )


def index_states(table: Mapping[str, Any]) -> tuple[IndexState, ...]:
    """Return the global indexes of a table, of the `Table` in an answer of DescribeTable."""
    types = _types(table)
    return tuple(_index_state(index, types) for index in table.get("GlobalSecondaryIndexes", ()))


def _types(table: Mapping[str, Any]) -> dict[str, str]:
    return {part["AttributeName"]: part["AttributeType"] for part in table["AttributeDefinitions"]}


def key_difference(wanted: Table | Index, existing: TableState | IndexState) -> str:
    """Return how the key of a table or index differs from the workload's; "" if it does not."""
    return _key_difference(Keys.of(wanted), existing, "workload")


def _key_difference(keys: Keys, existing: TableState | IndexState, whose: str) -> str:
    return "" if existing.keys == keys else f"its key is {existing.keys}, the {whose} wants {keys}"


def index_difference(
    wanted: Index | Definition, existing: IndexState | None, *, whose: str = "workload"
) -> str:
    """Return how an index differs from the one of that name in a workload or plan; "" if it does not."""
    if existing is None:
        return ""
    definition = wanted if isinstance(wanted, Definition) else Definition.of(wanted)
    parts = [part for part in [_key_difference(definition.keys, existing, whose)] if part]
    there = _projection_text(existing.projection, existing.non_key_attributes)
    projection = _projection_text(definition.projection, definition.non_key_attributes)
    if there != projection:
        parts.append(f"it projects {there}, the {whose} wants {projection}")
    return "; ".join(parts)


def _projection_text(projection: str, attributes: Sequence[str]) -> str:
    return f"INCLUDE ({', '.join(sorted(attributes))})" if projection == "INCLUDE" else projection


def _index_state(index: dict[str, Any], types: Mapping[str, str]) -> IndexState:
    projection = index.get("Projection", {})
    throughput = index.get("ProvisionedThroughput") or {}
    return IndexState(
        name=index["IndexName"],
        status=index.get("IndexStatus", "ACTIVE"),
        backfilling=bool(index.get("Backfilling", False)),
        keys=Keys.from_wire(index["KeySchema"], types),
        projection=projection.get("ProjectionType", "ALL"),
        non_key_attributes=tuple(sorted(projection.get("NonKeyAttributes", ()))),
        items=index.get("ItemCount", 0),
        size_bytes=index.get("IndexSizeBytes", 0),
        read_capacity=throughput.get("ReadCapacityUnits", 0),
        write_capacity=throughput.get("WriteCapacityUnits", 0),
    )


def check_keys(table: Table, state: TableState, *, where: str) -> None:
    """
    Refuse a table that exists with other keys than the workload's.

    Raises:
        TargetError: The key schemas differ; names both.
    """
    wanted = Keys.of(table)
    if state.keys != wanted:
        msg = (
            f"table {table.name} exists in {where} with the key {state.keys}, the workload wants"
            f" {wanted}; give the workload's table another name"
        )
        raise TargetError(msg)


def create(connection: Connection, table: Table) -> TableState | None:
    """
    Ask for a workload's table, on demand and with perfkit's tag, without its global indexes.

    Returns:
        The table this call created; None if there was one of that name, whoever made it.
    """
    schema, definitions = Keys.of(table).to_wire()
    try:
        answer = connection.execute(
            "CreateTable",
            {
                "TableName": table.name,
                "KeySchema": schema,
                "AttributeDefinitions": definitions,
                "BillingMode": "PAY_PER_REQUEST",
                "Tags": [TAG],
            },
        )
    except DynamoDBError as error:
        if error.code == "ResourceInUseException":
            return None
        raise
    return table_state(answer["TableDescription"])


def _intervals() -> Iterator[float]:
    """Yield how long to wait before each look, until it has been too long."""
    waited_s, next_s = 0.0, _POLL_S
    while waited_s < _ACTIVE_WITHIN_S:
        yield next_s
        waited_s += next_s
        next_s = min(next_s * 1.5, _MAX_POLL_S)


def wait_until_active(connection: Connection, name: str, *, pause: Pause) -> TableState:
    """
    Return the state of a table once it takes requests.

    A table whose indexes are being built (status UPDATING) takes them too.

    Raises:
        TargetError: It did not within ten minutes, or is being deleted.
    """
    state = describe(connection, name)
    for interval_s in _intervals():
        if state is not None and state.status in {"ACTIVE", "UPDATING"}:
            return state
        if state is not None and state.status == "DELETING":
            msg = f"table {name} is being deleted; run again when it is gone"
            raise TargetError(msg)
        pause(interval_s)
        state = describe(connection, name)
    msg = f"table {name} did not become active in {_ACTIVE_WITHIN_S:.0f} s; see `perfkit status`"
    raise TargetError(msg)


def delete(connection: Connection, name: str) -> None:
    """Ask for a table's deletion; one that is gone already is no error."""
    try:
        connection.execute("DeleteTable", {"TableName": name})
    except DynamoDBError as error:
        if error.code != "ResourceNotFoundException":
            raise


def wait_until_gone(connection: Connection, name: str, *, pause: Pause) -> None:
    """
    Wait until a deleted table is gone.

    Raises:
        TargetError: It was still there after ten minutes.
    """
    for interval_s in _intervals():
        if describe(connection, name) is None:
            return
        pause(interval_s)
    msg = f"table {name} is still being deleted after {_ACTIVE_WITHIN_S:.0f} s"
    raise TargetError(msg)


def count_items(connection: Connection, name: str) -> TableCount:
    """
    Count a table's items by reading all of them, strongly consistent.

    The count DescribeTable gives is hours old on AWS; an eventual read could miss the last
    writes, which are the ones in question.

    Args:
        connection: Where the table is.
        name: The table.
    """
    request: dict[str, Any] = {
        "TableName": name,
        "Select": "COUNT",
        "ConsistentRead": True,
        "ReturnConsumedCapacity": "TOTAL",
    }
    items, units = 0, 0.0
    while True:
        answer = connection.execute("Scan", request)
        page_units = consumed_units(answer) or 0.0
        items += answer["Count"]
        units += page_units
        if "LastEvaluatedKey" not in answer:
            return TableCount(items=items, read_units=units)
        request["ExclusiveStartKey"] = answer["LastEvaluatedKey"]


def table_names(connection: Connection) -> list[str]:
    """Return the names of all tables on the target."""
    names: list[str] = []
    request: dict[str, Any] = {}
    while True:
        answer = connection.execute("ListTables", request)
        names += answer["TableNames"]
        if "LastEvaluatedTableName" not in answer:
            return names
        request["ExclusiveStartTableName"] = answer["LastEvaluatedTableName"]


def tags(connection: Connection, state: TableState) -> dict[str, str]:
    """Return a table's tags; none where there is no such thing."""
    request: dict[str, Any] = {"ResourceArn": state.arn}
    found: dict[str, str] = {}
    while True:
        try:
            answer = connection.execute("ListTagsOfResource", request)
        except DynamoDBError as error:
            # a stand-in without tags, or a table deleted by now
            if error.code in TAGLESS | {"ResourceNotFoundException"}:
                return found
            raise
        found |= {tag["Key"]: tag["Value"] for tag in answer.get("Tags", ())}
        if not answer.get("NextToken"):
            return found
        request["NextToken"] = answer["NextToken"]


def seeded_scale(found: Mapping[str, str]) -> float | None:
    """Return the scale a table was filled at, as its tags say; None if they do not."""
    try:
        return float(found[SCALE_TAG])
    except (KeyError, ValueError):
        return None
