"""
A twin: items of live tables copied into a temporary embedded file, where they may be indexed and asked.

The file is readable by its owner alone and goes when the twin is closed, when the process ends, and
at the latest when the next twin is made: one whose process was killed is removed then.
"""

import os
from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, Self

from perfkit.capacity import Item
from perfkit.dynamodb.connection import EngineConnection
from perfkit.dynamodb.tables import Keys, index_definition
from perfkit.files import TemporaryFolder
from perfkit.workloads.model import Index

__all__ = ["Twin"]

_PREFIX = "perfkit-twin-"
_ITEMS_A_WRITE = 1000


class Twin:
    """
    An embedded DynamoDB in a temporary file, for copies of somebody's items.

    Args:
        parent: Folder to put the file's own folder into; the system's for temporary files unless
            given.

    Attributes:
        connection: To ask it anything that DynamoDB is asked.
        path: Its file.
    """

    def __init__(self, parent: Path | None = None) -> None:
        from perfkit.embedded import Engine

        self._folder = TemporaryFolder(_PREFIX, parent)
        try:
            self.path = self._folder.path / "data.sqlite3"
            # SQLite gives its other files the mode of this one
            os.close(os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
            self.connection = EngineConnection(Engine(self.path))
        except BaseException:
            self._folder.remove()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close and delete the file."""
        self.connection.close()
        self._folder.remove()

    def make_table(self, name: str, keys: Keys) -> None:
        """
        Make a table without indexes.

        Raises:
            DynamoDBError: There is one of that name.
        """
        schema, definitions = keys.to_wire()
        self.connection.execute(
            "CreateTable",
            {
                "TableName": name,
                "KeySchema": schema,
                "AttributeDefinitions": definitions,
                "BillingMode": "PAY_PER_REQUEST",
            },
        )

    def load(self, table: str, items: Iterable[Item]) -> None:
        """
        Copy items into a table; of two with one key the later stays.

        Args:
            table: Its name.
            items: As on the wire.
        """
        keys = self._keys(table)
        rest = iter(items)
        while some := list(islice(rest, _ITEMS_A_WRITE)):
            # an item that was moved on while the table was read may come twice
            different = {repr([item[name] for name in keys]): item for item in some}
            self.connection.load(table, list(different.values()))

    def add_index(self, table: str, index: Index) -> None:
        """
        Index a table as DynamoDB does: items that violate the index's keys are left out of it.

        Raises:
            DynamoDBError: The index contradicts the table.
        """
        keys = Keys.of(index)
        _, definitions = keys.to_wire()
        known = self._describe(table)["AttributeDefinitions"]
        types = {each["AttributeName"]: each for each in (*known, *definitions)}
        self.connection.execute(
            "UpdateTable",
            {
                "TableName": table,
                "AttributeDefinitions": list(types.values()),
                "GlobalSecondaryIndexUpdates": [{"Create": index_definition(index, keys)}],
            },
        )
        # each look moves it on
        while any(
            each["IndexStatus"] != "ACTIVE"
            for each in self._describe(table)["GlobalSecondaryIndexes"]
        ):
            pass

    def pages(self, operation: str, request: Mapping[str, Any]) -> Iterable[dict[str, Any]]:
        """Yield every page of a query or scan, with what it consumed."""
        asked = {**request, "ReturnConsumedCapacity": "TOTAL"}
        while True:
            page = self.connection.execute(operation, asked)
            yield page
            if "LastEvaluatedKey" not in page:
                return
            asked["ExclusiveStartKey"] = page["LastEvaluatedKey"]

    def _describe(self, table: str) -> dict[str, Any]:
        described: dict[str, Any] = self.connection.execute("DescribeTable", {"TableName": table})[
            "Table"
        ]
        return described

    def _keys(self, table: str) -> Sequence[str]:
        return [part["AttributeName"] for part in self._describe(table)["KeySchema"]]
