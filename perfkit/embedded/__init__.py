"""The embedded DynamoDB: an engine over SQLite that bills and behaves as AWS does."""

from perfkit.embedded.engine import OPERATIONS, Engine
from perfkit.embedded.errors import DynamoDBError

__all__ = ["OPERATIONS", "DynamoDBError", "Engine"]
