"""
What CloudWatch says of a load test: of tables, a load balancer and its machines, minute by minute.

Sources: the DynamoDB developer guide, "DynamoDB metrics and dimensions"; the guide to application
load balancers, "CloudWatch metrics for your Application Load Balancer"; the EC2 user guide, "List
the available CloudWatch metrics for your instances".
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from perfkit.dynamodb.cloudwatch import Metric, read_metrics
from perfkit.dynamodb.errors import aws_errors
from perfkit.dynamodb.targets import Target
from perfkit.errors import ConfigError
from perfkit.runs import CloudMetric

__all__ = ["LATE_S", "Watched", "collect", "find_watched"]

LATE_S = 180.0
"""After so long a minute's figures are there, as a rule: those of load balancers come last."""

_MINUTE_S = 60
_DYNAMODB, _BALANCER, _MACHINES = "AWS/DynamoDB", "AWS/ApplicationELB", "AWS/EC2"
_PLACE = "loadbalancer/"


@dataclass(frozen=True, slots=True, kw_only=True)
class Watched:
    """
    What is asked for.

    Args:
        tables: Names, each with those of its global indexes.
        balancer: The load balancer as CloudWatch calls it: `app/NAME/ID`; empty for none.
        groups: Its target groups, likewise: `targetgroup/NAME/ID`.
        scaling_group: The auto-scaling group of the machines; empty for none.
    """

    tables: tuple[tuple[str, tuple[str, ...]], ...] = ()
    balancer: str = ""
    groups: tuple[str, ...] = ()
    scaling_group: str = ""

    def metrics(self) -> Iterator[Metric]:
        """Yield the metrics of all of it."""
        for table, indexes in self.tables:
            own = (("TableName", table),)
            of_indexes = [(*own, ("GlobalSecondaryIndexName", index)) for index in indexes]
            for dimensions in (own, *of_indexes):
                for name in ("ConsumedReadCapacityUnits", "ConsumedWriteCapacityUnits"):
                    yield Metric(namespace=_DYNAMODB, name=name, dimensions=dimensions)
                for name in ("ReadThrottleEvents", "WriteThrottleEvents"):
                    yield Metric(namespace=_DYNAMODB, name=name, dimensions=dimensions)
        if self.tables:
            # of the whole account in this region: it has no dimensions
            yield Metric(namespace=_DYNAMODB, name="UserErrors")
        if self.balancer:
            yield from self._of_balancer()
        if self.scaling_group:
            for statistic in ("Average", "Maximum"):
                yield Metric(
                    namespace=_MACHINES,
                    name="CPUUtilization",
                    dimensions=(("AutoScalingGroupName", self.scaling_group),),
                    statistic=statistic,
                )

    def _of_balancer(self) -> Iterator[Metric]:
        own = (("LoadBalancer", self.balancer),)
        for name, statistic in (
            ("RequestCount", "Sum"),
            ("TargetResponseTime", "Average"),
            ("TargetResponseTime", "p99"),
            ("HTTPCode_Target_5XX_Count", "Sum"),
            ("HTTPCode_ELB_5XX_Count", "Sum"),
        ):
            yield Metric(namespace=_BALANCER, name=name, dimensions=own, statistic=statistic)
        for group in self.groups:
            yield Metric(
                namespace=_BALANCER,
                name="UnHealthyHostCount",
                dimensions=(*own, ("TargetGroup", group)),
                statistic="Maximum",
            )


def find_watched(
    target: Target,
    tables: Iterable[tuple[str, tuple[str, ...]]] = (),
    *,
    balancer: str = "",
    scaling_group: str = "",
) -> Watched:
    """
    Return what CloudWatch is asked for, with the names that it has for a load balancer.

    Args:
        target: AWS.
        tables: Names, each with those of its global indexes.
        balancer: The load balancer's name; empty for none.
        scaling_group: The auto-scaling group's name; empty for none.

    Raises:
        ConfigError: There is no such load balancer, or credentials may not look for it.
        TargetError: AWS does not answer.
    """
    if not balancer:
        return Watched(tables=tuple(tables), scaling_group=scaling_group)
    client = target.client("elbv2")
    with aws_errors(f"looking for load balancer {balancer}", target.name):
        try:
            (found,) = client.describe_load_balancers(Names=[balancer])["LoadBalancers"]
        except client.exceptions.LoadBalancerNotFoundException as error:
            msg = (
                f"there is no load balancer {balancer} in {target.resolved_region()}; `aws elbv2"
                " describe-load-balancers` lists them"
            )
            raise ConfigError(msg) from error
        arn = found["LoadBalancerArn"]
        groups = client.describe_target_groups(LoadBalancerArn=arn)["TargetGroups"]
    return Watched(
        tables=tuple(tables),
        balancer=arn.partition(_PLACE)[2],
        groups=tuple(each["TargetGroupArn"].rpartition(":")[2] for each in groups),
        scaling_group=scaling_group,
    )


def collect(
    target: Target, watched: Watched, start: datetime, end: datetime
) -> tuple[CloudMetric, ...]:
    """
    Return each metric's values in every minute that a load test touched.

    Args:
        target: AWS.
        watched: What to ask for.
        start: When the test began.
        end: When it ended.

    Raises:
        ConfigError: Credentials may not ask.
        TargetError: CloudWatch does not answer.
    """
    first = start.astimezone(UTC).replace(second=0, microsecond=0)
    found = read_metrics(
        target,
        list(watched.metrics()),
        first,
        # the end is no part of what is asked for
        end.astimezone(UTC).replace(second=0, microsecond=0) + timedelta(seconds=_MINUTE_S),
        period_s=_MINUTE_S,
        doing="asking CloudWatch about the test",
    )
    return tuple(
        CloudMetric(
            namespace=metric.namespace,
            name=metric.name,
            dimensions=dict(metric.dimensions),
            statistic=metric.statistic,
            minutes={
                f"{at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}": values[at] for at in sorted(values)
            },
        )
        for metric, values in found.items()
    )
