"""The embedded DynamoDB: an engine over SQLite that bills and behaves as AWS does."""

from typing import TYPE_CHECKING, Any

from perfkit.embedded.errors import DynamoDBError

if TYPE_CHECKING:
    from perfkit.embedded.engine import Engine

__all__ = ["DynamoDBError", "Engine"]


def __getattr__(name: str) -> Any:
    # who reads expressions or errors only, as a workload does, needs no engine and no SQLite
    if name == "Engine":
        from perfkit.embedded.engine import Engine

        return Engine
    msg = f"module {__name__!r} has no attribute {name!r}"
    raise AttributeError(msg)
