"""The errors the embedded engine answers, named and worded as DynamoDB does."""

from typing import Any

__all__ = ["INVALID_VALUES", "DynamoDBError", "unknown_operation", "validation"]

INVALID_VALUES = "One or more parameter values were invalid: "
"""What many messages of AWS begin with."""


class DynamoDBError(Exception):
    """
    One error answer of the DynamoDB protocol.

    Args:
        code: Exception name on the wire, e.g. `ResourceNotFoundException`.
        message: Text as AWS words it.
        status: HTTP status; AWS answers 400 to everything but its own failures.
        extra: Further members of the answer, e.g. `Item` or `CancellationReasons`.
    """

    def __init__(
        self, code: str, message: str, *, status: int = 400, extra: dict[str, Any] | None = None
    ) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.status = status
        self.extra = extra or {}


def validation(message: str) -> DynamoDBError:
    """Return the error DynamoDB answers to a request it cannot accept."""
    return DynamoDBError("ValidationException", message)


def unknown_operation(name: str) -> DynamoDBError:
    """Return the error for an operation that the embedded DynamoDB leaves out."""
    shown = repr(name) if name else "none"
    return DynamoDBError(
        "UnknownOperationException",
        f"the embedded DynamoDB has no such operation: {shown}; docs/embedded.md lists those it has",
    )
