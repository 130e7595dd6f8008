"""How far the building of an index is, from whatever the target tells."""

import time
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

from perfkit.dynamodb.retries import Clock
from perfkit.dynamodb.tables import IndexState, TableState
from perfkit.dynamodb.targets import Target

__all__ = ["BuildProgress", "build_progress"]

_LOOK_EVERY_S = 30.0


class BuildProgress(Protocol):
    """Tells how much of an index is built."""

    def fraction(self, table: TableState, index: IndexState) -> float | None:
        """Return the part that is copied, 0 to 1, or None if that is unknown."""


class CountProgress:
    """Entries of the index against items of the table; exact where counts are kept up to date."""

    def fraction(self, table: TableState, index: IndexState) -> float | None:
        return min(1.0, index.items / table.items) if table.items else None


class CloudWatchProgress:
    """
    The metric AWS publishes once a minute while it builds an index.

    Needs the permission cloudwatch:GetMetricStatistics; without it there is no figure, and no
    error either: the index is built all the same.

    Args:
        cloudwatch: A boto3 CloudWatch client.
        clock: Seconds that only grow.
    """

    def __init__(self, cloudwatch: Any, *, clock: Clock = time.monotonic) -> None:
        self._cloudwatch = cloudwatch
        self._clock = clock
        self._known: dict[tuple[str, str], tuple[float, float | None]] = {}

    def fraction(self, table: TableState, index: IndexState) -> float | None:
        key = (table.name, index.name)
        looked_s, fraction = self._known.get(key, (None, None))
        if looked_s is None or self._clock() - looked_s >= _LOOK_EVERY_S:
            fraction = self._look(*key)
            self._known[key] = (self._clock(), fraction)
        return fraction

    def _look(self, table: str, index: str) -> float | None:
        from botocore.exceptions import BotoCoreError, ClientError

        now = datetime.now(UTC)
        try:
            answer = self._cloudwatch.get_metric_statistics(
                Namespace="AWS/DynamoDB",
                MetricName="OnlineIndexPercentageProgress",
                Dimensions=[
                    {"Name": "TableName", "Value": table},
                    {"Name": "GlobalSecondaryIndexName", "Value": index},
                ],
                StartTime=now - timedelta(minutes=15),
                EndTime=now,
                Period=60,
                Statistics=["Maximum"],
            )
        except (BotoCoreError, ClientError):
            return None
        points = sorted(answer["Datapoints"], key=lambda point: point["Timestamp"])
        return min(1.0, points[-1]["Maximum"] / 100) if points else None


def build_progress(target: Target) -> BuildProgress:
    """Return what knows best how far indexes are on *target*."""
    if target.is_aws:
        return CloudWatchProgress(target.client("cloudwatch"))
    return CountProgress()
