"""
One interface to every target: an operation's name and a request in, the answer out.

For perfkit's own work: seeding, counting, indexes.  Measurements do not come through
here, they use an ordinary boto3 client.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from perfkit.capacity import Item
from perfkit.dynamodb.errors import CONNECTION_LOST, as_answer
from perfkit.embedded.errors import DynamoDBError
from perfkit.errors import TargetError

__all__ = ["ClientConnection", "Connection", "EngineConnection", "check_answer", "consumed_units"]

Answer = dict[str, Any]


class Connection(Protocol):
    """A target that can be asked; raises `DynamoDBError` for error answers."""

    def execute(self, operation: str, request: Mapping[str, Any]) -> Answer:
        """Return the answer to one operation, e.g. `execute("DescribeTable", {...})`."""

    def close(self) -> None:
        """Give back sockets and files."""


class EngineConnection:
    """The embedded engine, called directly: no botocore, no socket, a tenth of the time."""

    def __init__(self, engine: Any) -> None:
        self._engine = engine

    def execute(self, operation: str, request: Mapping[str, Any]) -> Answer:
        import orjson

        try:
            body = self._engine.execute(operation, dict(request))
        finally:
            self._engine.wait()
        try:
            answer: Answer = orjson.loads(body)
        except ValueError as error:
            raise self._engine.explain(error) from error
        return answer

    def load(self, table: str, items: Sequence[Item]) -> float:
        """Write items in one transaction and return the write units."""
        units: float = self._engine.load(table, items)
        return units

    def close(self) -> None:
        self._engine.close()


def consumed_units(answer: Mapping[str, Any]) -> float | None:
    """Return the units that an answer about one table consumed; None if it does not say."""
    units: float | None = answer.get("ConsumedCapacity", {}).get("CapacityUnits")
    return units


# what every answer to them has
_MEMBERS = {
    "DescribeTable": "Table",
    "ListTables": "TableNames",
    "Query": "Count",
    "Scan": "Count",
    "UpdateTable": "TableDescription",
}


def check_answer(operation: str, answer: Mapping[str, Any], where: str) -> None:
    """
    Make sure that an answer is DynamoDB's: botocore takes any page of the web for an empty one.

    Raises:
        TargetError: It is not.
    """
    if operation in _MEMBERS and _MEMBERS[operation] not in answer:
        msg = f"what answers at {where} is not DynamoDB; check --target"
        raise TargetError(msg)


class ClientConnection:
    """A boto3 client; its own retries should be off, the callers here have theirs."""

    def __init__(self, client: Any, *, where: str) -> None:
        self._client = client
        self._where = where
        self._is_known = False

    def execute(self, operation: str, request: Mapping[str, Any]) -> Answer:
        from botocore import xform_name
        from botocore.exceptions import BotoCoreError, ClientError
        from botocore.parsers import ResponseParserError

        call = getattr(self._client, xform_name(operation))
        try:
            answer: Answer = call(**request)
        except (BotoCoreError, ClientError, ResponseParserError) as error:
            raise as_answer(error, where=self._where) from error
        if self._is_known and _MEMBERS.get(operation, "ResponseMetadata") not in answer:
            # botocore takes half an answer for an empty one
            raise DynamoDBError(CONNECTION_LOST, "the answer was cut short")
        check_answer(operation, answer, self._where)
        self._is_known = True
        return answer

    def close(self) -> None:
        self._client.close()
