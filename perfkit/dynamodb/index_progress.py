"""How far the building of an index is, from what the target reports."""

import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

from perfkit.dynamodb.retries import Clock
from perfkit.dynamodb.tables import IndexState, TableState
from perfkit.dynamodb.targets import Target

__all__ = ["BuildProgress", "Writing", "build_progress"]

_LOOK_EVERY_S = 30.0
_PERIOD_S = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Writing:
    """
    What copying items into an index takes.

    Args:
        units_s: Write units a second; None if that is unknown.
        throttles: Writes that were throttled in the last 15 minutes.
    """

    units_s: float | None
    throttles: float


class BuildProgress(Protocol):
    """Tells how much of an index is built."""

    def fraction(
        self, table: TableState, index: IndexState, entries: float | None = None
    ) -> float | None:
        """
        Return the part that is copied, 0 to 1, or None if that is unknown.

        *entries* is how many the index will have, None if nobody worked that out.
        """

    def writing(self, table: TableState, index: IndexState) -> Writing | None:
        """Return what copying takes, or None where nobody says."""


class _CountProgress:
    """
    Entries of the index against those that it will have, by default all items of the table.

    As exact as that is, where counts are kept up to date: a sparse index has fewer.
    """

    def fraction(
        self, table: TableState, index: IndexState, entries: float | None = None
    ) -> float | None:
        expected = table.items if entries is None else entries
        return min(1.0, index.items / expected) if expected else None

    def writing(self, table: TableState, index: IndexState) -> None:  # noqa: ARG002 - it has no metrics
        return None


class _CloudWatchProgress:
    """
    The metrics AWS publishes once a minute while it builds an index.

    Needs the permission cloudwatch:GetMetricStatistics; without it there is no figure, and no
    error either: the index is built all the same.

    Args:
        cloudwatch: A boto3 CloudWatch client.
        clock: Seconds that only grow.
    """

    def __init__(self, cloudwatch: Any, *, clock: Clock = time.monotonic) -> None:
        self._cloudwatch = cloudwatch
        self._clock = clock
        self._known: dict[tuple[str, str, str], tuple[float, list[float] | None]] = {}

    def fraction(
        self,
        table: TableState,
        index: IndexState,
        entries: float | None = None,  # noqa: ARG002 - AWS counts the items that it has looked at
    ) -> float | None:
        points = self._points(table, index, "OnlineIndexPercentageProgress", "Maximum")
        return min(1.0, points[-1] / 100) if points else None

    def writing(self, table: TableState, index: IndexState) -> Writing | None:
        units = self._points(table, index, "OnlineIndexConsumedWriteCapacity", "Sum")
        throttles = self._points(table, index, "OnlineIndexThrottleEvents", "Sum")
        if not units and not throttles:
            return None
        return Writing(
            units_s=units[-1] / _PERIOD_S if units else None, throttles=sum(throttles or ())
        )

    def _points(
        self, table: TableState, index: IndexState, metric: str, statistic: str
    ) -> list[float] | None:
        """Return a metric's values of the last minutes, oldest first; None if nobody says."""
        key = (table.name, index.name, metric)
        looked_s, points = self._known.get(key, (None, None))
        if looked_s is None or self._clock() - looked_s >= _LOOK_EVERY_S:
            points = self._look(*key, statistic)
            self._known[key] = (self._clock(), points)
        return points

    def _look(self, table: str, index: str, metric: str, statistic: str) -> list[float] | None:
        from botocore.exceptions import BotoCoreError, ClientError

        now = datetime.now(UTC)
        try:
            answer = self._cloudwatch.get_metric_statistics(
                Namespace="AWS/DynamoDB",
                MetricName=metric,
                Dimensions=[
                    {"Name": "TableName", "Value": table},
                    {"Name": "GlobalSecondaryIndexName", "Value": index},
                ],
                StartTime=now - timedelta(minutes=15),
                EndTime=now,
                Period=_PERIOD_S,
                Statistics=[statistic],
            )
        except (BotoCoreError, ClientError):
            return None
        points = sorted(answer["Datapoints"], key=lambda point: point["Timestamp"])
        return [float(point[statistic]) for point in points]


def build_progress(target: Target) -> BuildProgress:
    """Return what knows best how far indexes are on *target*."""
    if target.is_aws:
        return _CloudWatchProgress(target.client("cloudwatch"))
    return _CountProgress()
