"""The errors the embedded engine answers, named and worded as DynamoDB does."""

from typing import Any

__all__ = [
    "INVALID_VALUES",
    "DynamoDBError",
    "ThrottleError",
    "unknown_operation",
    "validation",
]

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


_EXCEEDED = (
    (
        "The level of configured provisioned throughput for the table was exceeded. Consider"
        " increasing your provisioning level with the UpdateTable API."
    ),
    (
        "The level of configured provisioned throughput for one or more global secondary indexes of"
        " the table was exceeded. Consider increasing your provisioning level for the"
        " under-provisioned global secondary indexes with the UpdateTable API"
    ),
)
_BEYOND_CAPACITY = (
    (
        "Throughput exceeds the current capacity of your table or index. DynamoDB is automatically"
        " scaling your table or index so please try again shortly. If exceptions persist, check if you"
        " have a hot key:"
        " https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/bp-partition-key-design.html"
    ),
    (
        "Throughput exceeds the current capacity for one or more global secondary indexes. DynamoDB is"
        " automatically scaling your index so please try again shortly."
    ),
)
_BEYOND_MAXIMUM = "Throughput exceeds the maximum OnDemandThroughput configured on table or index"


class ThrottleError(DynamoDBError):
    """
    A request that is refused for lack of throughput.

    Source of the messages: botocore's model, and AWS's developer guide, throttling-diagnosing.

    Args:
        reason: As AWS names it, e.g. `TableReadProvisionedThroughputExceeded`.
        resource: Resource name (ARN) of the table or the index.
        of_index: Whether it is an index.
        is_on_demand: Whether the table is.
        of_maximum: Whether it is the maximum that was set for it on demand.
    """

    def __init__(
        self, *, reason: str, resource: str, of_index: bool, is_on_demand: bool, of_maximum: bool
    ) -> None:
        code, member = "ProvisionedThroughputExceededException", "ThrottlingReasons"
        message = _EXCEEDED[of_index]
        if is_on_demand:
            # the two spell the member differently
            code, member = "ThrottlingException", "throttlingReasons"
            message = _BEYOND_MAXIMUM if of_maximum else _BEYOND_CAPACITY[of_index]
        super().__init__(code, message, extra={member: [{"reason": reason, "resource": resource}]})

    @property
    def cancellation(self) -> dict[str, str]:
        """The reason for which a transaction is cancelled by it."""
        on_demand = self.code == "ThrottlingException"
        code = "ThrottlingError" if on_demand else "ProvisionedThroughputExceeded"
        return {"Code": code, "Message": self.message}


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
