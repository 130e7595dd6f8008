"""What has read a global index in the last days, as far as anybody says: unknown is not zero."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from math import ceil
from typing import Any

from perfkit.dynamodb.errors import aws_errors
from perfkit.dynamodb.tables import TableState
from perfkit.dynamodb.targets import Target
from perfkit.errors import PerfkitError
from perfkit.units import format_units

__all__ = ["Reads", "recent_reads"]

_HOUR_S = 3600
_MOST_POINTS = 1440
"""CloudWatch refuses to answer with more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reads:
    """
    Reads of an index.

    Args:
        days: So many days were looked back, up to now.
        units: Read units consumed; None if that is unknown.
        because: Why it is unknown.
    """

    days: int
    units: float | None = None
    because: str = ""

    def __str__(self) -> str:
        if self.units is None:
            return f"who reads it is unknown: {self.because}"
        counted = f"{format_units(self.units)} RCU" if self.units else "no read"
        return f"CloudWatch counted {counted} in the last {self.days} days"


def recent_reads(
    target: Target, state: TableState, index: str, *, days: int, now: datetime
) -> Reads:
    """Return what was read of an index up to this hour; CloudWatch is some minutes late."""
    if not target.is_aws:
        return Reads(days=days, because="this target keeps no record of reads")
    if state.replicas:
        regions = ", ".join(state.replicas)
        return Reads(days=days, because=f"reads in {regions} are counted there")
    try:
        with aws_errors("asking CloudWatch for reads", target.name):
            answer: dict[str, Any] = target.client("cloudwatch").get_metric_statistics(
                Namespace="AWS/DynamoDB",
                MetricName="ConsumedReadCapacityUnits",
                Dimensions=[
                    {"Name": "TableName", "Value": state.name},
                    {"Name": "GlobalSecondaryIndexName", "Value": index},
                ],
                StartTime=now - timedelta(days=days),
                EndTime=now,
                Period=_HOUR_S * ceil(days * 24 / _MOST_POINTS),
                Statistics=["Sum"],
            )
    except PerfkitError as error:
        return Reads(days=days, because=str(error))
    return Reads(days=days, units=sum(float(point["Sum"]) for point in answer["Datapoints"]))
