"""What CloudWatch says of an account: metrics under their own names, a value for each period."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from perfkit.dynamodb.errors import aws_errors
from perfkit.dynamodb.targets import Target
from perfkit.errors import TargetError

__all__ = ["Metric", "read_metrics"]

_QUERIES_A_CALL = 500
"""Most that GetMetricData takes at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """
    One metric.

    Args:
        namespace: Of the service that publishes it, such as `AWS/DynamoDB`.
        name: CloudWatch's.
        dimensions: What it is of; a metric is another one under other dimensions.
        statistic: `Sum`, `Average`, `Maximum`, `p99`.
    """

    namespace: str
    name: str
    dimensions: tuple[tuple[str, str], ...] = ()
    statistic: str = "Sum"


def read_metrics(
    target: Target,
    metrics: Sequence[Metric],
    start: datetime,
    end: datetime,
    *,
    period_s: int,
    doing: str,
) -> dict[Metric, dict[datetime, float]]:
    """
    Return the values of each metric by the beginning of their period; none where nothing came.

    Args:
        target: AWS.
        metrics: What is asked for.
        start: The first period's beginning.
        end: The last period's end.
        period_s: Seconds of a period: 60, or a multiple of it.
        doing: What to call this in messages.

    Raises:
        ConfigError: There are no usable credentials, or they may not ask.
        TargetError: CloudWatch does not answer, or not for all.
    """
    values: dict[Metric, dict[datetime, float]] = {each: {} for each in metrics}
    for first in range(0, len(metrics), _QUERIES_A_CALL):
        some = {f"q{n}": each for n, each in enumerate(metrics[first : first + _QUERIES_A_CALL])}
        asked = [
            {
                "Id": name,
                "MetricStat": {
                    "Metric": {
                        "Namespace": each.namespace,
                        "MetricName": each.name,
                        "Dimensions": [{"Name": key, "Value": of} for key, of in each.dimensions],
                    },
                    "Period": period_s,
                    "Stat": each.statistic,
                },
            }
            for name, each in some.items()
        ]
        status: dict[str, str] = {}
        with aws_errors(doing, target.name):
            pages = target.client("cloudwatch").get_paginator("get_metric_data")
            for page in pages.paginate(MetricDataQueries=asked, StartTime=start, EndTime=end):
                for found in page["MetricDataResults"]:
                    of = values[some[found["Id"]]]
                    of.update(zip(found["Timestamps"], found["Values"], strict=True))
                    status[found["Id"]] = found.get("StatusCode", "Complete")
        lacking = [each for name, each in some.items() if status.get(name) != "Complete"]
        if lacking:
            names = dict.fromkeys(
                dict(each.dimensions).get("TableName") or each.name for each in lacking
            )
            msg = f"CloudWatch has not answered for all of {', '.join(names)}; try again"
            raise TargetError(msg)
    return values
