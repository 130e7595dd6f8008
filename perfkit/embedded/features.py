"""
Questions about what the engine leaves out: AWS's answers for a table that does not use it.

Consoles, Terraform and the like ask them of every table before they show or change anything.
"""

from collections.abc import Mapping
from typing import Any

from perfkit.embedded.errors import DynamoDBError
from perfkit.embedded.keys import table_name
from perfkit.embedded.storage import Storage
from perfkit.embedded.tables import find_described, find_resource

__all__ = [
    "describe_continuous_backups",
    "describe_contributor_insights",
    "describe_endpoints",
    "describe_kinesis_streaming_destination",
    "get_resource_policy",
]

_ENDPOINT_MINUTES = 1_440


def describe_continuous_backups(storage: Storage, request: Mapping[str, Any]) -> dict[str, Any]:
    """Answer DescribeContinuousBackups: none can be restored."""
    name = table_name(request["TableName"])
    with storage.read() as transaction:
        if transaction.table(name) is None:
            raise DynamoDBError("TableNotFoundException", f"Table not found: {name}")
    return {
        "ContinuousBackupsDescription": {
            "ContinuousBackupsStatus": "DISABLED",
            "PointInTimeRecoveryDescription": {"PointInTimeRecoveryStatus": "DISABLED"},
        }
    }


def describe_contributor_insights(storage: Storage, request: Mapping[str, Any]) -> dict[str, Any]:
    """Answer DescribeContributorInsights."""
    with storage.read() as transaction:
        table = find_described(transaction, request)
    return {"TableName": table.name, "ContributorInsightsStatus": "DISABLED"}


def describe_kinesis_streaming_destination(
    storage: Storage, request: Mapping[str, Any]
) -> dict[str, Any]:
    """Answer DescribeKinesisStreamingDestination."""
    with storage.read() as transaction:
        table = find_described(transaction, request)
    return {"TableName": table.name, "KinesisDataStreamDestinations": []}


def get_resource_policy(storage: Storage, request: Mapping[str, Any]) -> dict[str, Any]:
    """Answer GetResourcePolicy: there is none."""
    with storage.read() as transaction:
        find_resource(transaction, request)
    raise DynamoDBError(
        "PolicyNotFoundException",
        f"Resource-based policy not found for the provided ResourceArn: {request['ResourceArn']}",
    )


def describe_endpoints(storage: Storage, request: Mapping[str, Any]) -> dict[str, Any]:  # noqa: ARG001
    """
    Answer DescribeEndpoints with this machine.

    An SDK that goes where it is sent must not come to AWS with what is meant for here.
    """
    return {"Endpoints": [{"Address": "localhost", "CachePeriodInMinutes": _ENDPOINT_MINUTES}]}
