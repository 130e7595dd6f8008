"""The embedded engine: one request in, one answer out."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from time import monotonic, time
from typing import Any

import orjson

from perfkit.capacity import Item
from perfkit.embedded import (
    batches,
    features,
    lateness,
    reads,
    tables,
    time_to_live,
    transactions,
    writes,
)
from perfkit.embedded.damage import find_damage
from perfkit.embedded.errors import unknown_operation, validation
from perfkit.embedded.latency import Latency
from perfkit.embedded.loading import load_items
from perfkit.embedded.requests import check_legacy, check_request
from perfkit.embedded.storage import Storage
from perfkit.embedded.throughput import Enforcement
from perfkit.embedded.values import InvalidValueError
from perfkit.errors import DataFileError

__all__ = ["WRITES", "Engine"]

_Handler = Callable[[Storage, Mapping[str, Any]], dict[str, Any]]

_HANDLERS: dict[str, _Handler] = {
    "BatchGetItem": batches.batch_get_item,
    "BatchWriteItem": batches.batch_write_item,
    "CreateTable": tables.create_table,
    "DeleteItem": writes.delete_item,
    "DeleteTable": tables.delete_table,
    "DescribeContinuousBackups": features.describe_continuous_backups,
    "DescribeContributorInsights": features.describe_contributor_insights,
    "DescribeEndpoints": features.describe_endpoints,
    "DescribeKinesisStreamingDestination": features.describe_kinesis_streaming_destination,
    "DescribeLimits": tables.describe_limits,
    "DescribeTable": tables.describe_table,
    "DescribeTimeToLive": time_to_live.describe_time_to_live,
    "GetItem": reads.get_item,
    "GetResourcePolicy": features.get_resource_policy,
    "ListTables": tables.list_tables,
    "ListTagsOfResource": tables.list_tags_of_resource,
    "PutItem": writes.put_item,
    "Query": reads.query,
    "Scan": reads.scan,
    "TagResource": tables.tag_resource,
    "TransactGetItems": transactions.transact_get_items,
    "TransactWriteItems": transactions.transact_write_items,
    "UntagResource": tables.untag_resource,
    "UpdateItem": writes.update_item,
    "UpdateTable": tables.update_table,
    "UpdateTimeToLive": time_to_live.update_time_to_live,
}

_POLL_S = 1.0
"""At the first request after so long the engine removes what has expired meanwhile."""

# these still answer bad values as an earlier generation of AWS's validation does
_OLDER_WORDING = frozenset({"BatchWriteItem", "Scan"})

# what reading a damaged item, entry or definition ends with
_UNREADABLE = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)

_OPERATIONS = tuple(_HANDLERS)
"""What the engine answers; anything else is an UnknownOperationException that names it."""

WRITES = frozenset(
    name
    for name in _OPERATIONS
    if name.startswith(("BatchWrite", "Create", "Delete", "Put", "Tag", "TransactWrite", "U"))
)
"""Those that write, one at a time over all processes that have the file open."""


class Engine:
    """
    DynamoDB over one SQLite file.

    Any number of threads and processes may have the same file open.

    Args:
        path: Data file, made if missing; `:memory:` keeps everything in this object.
        read_only: Open a file that is there and write nothing, so that it can be read on a full
            disk and in a folder that may not be written to.
        enforcement: Refuses what is beyond the throughput of tables and indexes; None lets all be.
        latency: How long requests are to take, for `wait`; None as long as they take.
        index_delay_s: Let global indexes and eventually consistent reads lag by up to so long, in
            all processes that have the file open, from now on; 0 ends it, None leaves it as it is.

    Raises:
        DataFileError: The file is no data file of perfkit's, or from a newer version.
        ConfigError: The file cannot be written, or not be read without writing.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        read_only: bool = False,
        index_delay_s: float | None = None,
        enforcement: Enforcement | None = None,
        latency: Latency | None = None,
    ) -> None:
        self._storage = Storage(path, read_only=read_only, enforcement=enforcement, latency=latency)
        if index_delay_s is not None and not read_only:
            lateness.set_delay(self._storage, index_delay_s)
        self._next_poll_s = 0.0
        self._sound_state: object = None

    def execute(self, operation: str, request: dict[str, Any]) -> bytes:
        """
        Carry out one operation and return the JSON body of its answer.

        An answer from a damaged file may not be JSON: items go into it as they are stored.  The
        caller finds out when it decodes the answer, or by `check`.

        Args:
            operation: Name such as `PutItem`.
            request: The request as it is on the wire: binary values in base64.

        Raises:
            DynamoDBError: What AWS would answer instead; UnknownOperationException for what the
                engine leaves out.
            StorageFullError: The disk is full; nothing of the request was kept.
            DataFileError: The file is damaged.
        """
        handler = _HANDLERS.get(operation)
        if handler is None:
            raise unknown_operation(operation)
        # to AWS a null is a member that is not there
        if None in request.values():
            request = {name: value for name, value in request.items() if value is not None}
        if self._storage.latency is not None:
            self._storage.latency.begin(writes=operation in WRITES)
        check_request(operation, request)
        check_legacy(operation, request)
        try:
            if (now_s := monotonic()) >= self._next_poll_s and not self._storage.read_only:
                self._next_poll_s = now_s + _POLL_S
                time_to_live.remove_expired(self._storage, time())
            return orjson.dumps(handler(self._storage, request))
        except InvalidValueError as error:
            if operation in _OLDER_WORDING:
                raise validation(error.older_message) from error
            raise
        except _UNREADABLE as error:
            raise self.explain(error) from error

    def wait(self) -> None:
        """Wait until this thread's request has taken as long as it is to take."""
        if self._storage.latency is not None:
            self._storage.latency.wait()

    @property
    def index_delay_s(self) -> float:
        """By how many seconds at most global indexes and eventually consistent reads lag."""
        with self._storage.read() as transaction:
            return lateness.delay_of(transaction)

    def check(self, body: bytes) -> None:
        """
        Make sure that an answer is JSON.

        Raises:
            DataFileError: It is not, because the file is damaged.
        """
        try:
            orjson.loads(body)
        except ValueError as error:
            raise self.explain(error) from error

    def load(self, table: str, items: Sequence[Item]) -> float:
        """
        Write many items in one transaction, and return the write units.

        For filling a table quickly: the same as one PutItem for each, but for the time.

        Args:
            table: Name of the table.
            items: Wire form; no two with the same key.

        Raises:
            DynamoDBError: An item cannot be stored; then none is.
            StorageFullError: The disk is full; none is stored.
        """
        try:
            return load_items(self._storage, table, items)
        except _UNREADABLE as error:
            raise self.explain(error) from error

    def explain(self, error: Exception) -> Exception:
        """Return the error to raise for one that nothing but a damaged file should lead to."""
        # looking reads the whole file, so once for each state that it is in is enough
        if (state := self._storage.state()) == self._sound_state:
            return error
        damage = find_damage(self._storage)
        if damage is None:
            self._sound_state = state
            return error
        return DataFileError(
            f"{self._storage.path} is damaged: {damage} cannot be read; put a copy in its place, or"
            " move it away and seed again, or name another with --data"
        )

    def close(self) -> None:
        """Close the file in all threads."""
        self._storage.close()
        if self._storage.enforcement is not None:
            self._storage.enforcement.close()
