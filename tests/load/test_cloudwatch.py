"""A load test's figures from CloudWatch, as moto keeps them."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import pytest
from moto import mock_aws
from moto.cloudwatch.models import cloudwatch_backends
from moto.core.models import DEFAULT_ACCOUNT_ID

from perfkit.dynamodb.targets import Target, TargetKind
from perfkit.errors import ConfigError
from perfkit.load.cloudwatch import Watched, collect, find_watched

REGION = "eu-west-1"
TARGET = Target(kind=TargetKind.AWS, region=REGION)
MINUTE = datetime(2026, 11, 30, 12, 34, tzinfo=UTC)


@pytest.fixture(autouse=True)
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    with mock_aws():
        yield


def put(namespace: str, metric: str, value: float, at: datetime, **dimensions: str) -> None:
    """Put a value as AWS itself does; CloudWatch refuses names that begin with AWS from others."""
    datum: dict[str, Any] = {
        "MetricName": metric,
        "Dimensions": [{"Name": name, "Value": of} for name, of in dimensions.items()],
        "Value": value,
        "Timestamp": at.replace(tzinfo=None),
    }
    cloudwatch_backends[DEFAULT_ACCOUNT_ID][REGION].put_metric_data(namespace, [datum])


def test_every_minute_that_the_test_touched_is_there_and_no_other() -> None:
    watched = Watched(tables=(("Orders", ("ByCustomer",)),), scaling_group="shop")
    for minute in range(-1, 4):
        at = MINUTE + timedelta(minutes=minute, seconds=5)
        put("AWS/DynamoDB", "ConsumedReadCapacityUnits", 600, at, TableName="Orders")
    put(
        "AWS/DynamoDB", "ConsumedReadCapacityUnits", 30, MINUTE,
        TableName="Orders", GlobalSecondaryIndexName="ByCustomer",
    )  # fmt: skip
    put("AWS/DynamoDB", "ReadThrottleEvents", 7, MINUTE, TableName="Orders")
    put("AWS/DynamoDB", "UserErrors", 2, MINUTE)
    put("AWS/EC2", "CPUUtilization", 40, MINUTE, AutoScalingGroupName="shop")
    put("AWS/EC2", "CPUUtilization", 60, MINUTE, AutoScalingGroupName="shop")

    found = collect(
        TARGET, watched, MINUTE + timedelta(seconds=20), MINUTE + timedelta(minutes=2, seconds=1)
    )

    by_name = {
        (each.name, each.statistic, *each.dimensions.values()): each.minutes for each in found
    }
    assert by_name["ConsumedReadCapacityUnits", "Sum", "Orders"] == {
        "2026-11-30T12:34:00Z": 600.0,
        "2026-11-30T12:35:00Z": 600.0,
        "2026-11-30T12:36:00Z": 600.0,
    }
    assert by_name["ConsumedReadCapacityUnits", "Sum", "Orders", "ByCustomer"] == {
        "2026-11-30T12:34:00Z": 30.0
    }
    assert list(by_name["ReadThrottleEvents", "Sum", "Orders"].values()) == [7.0]
    assert list(by_name["UserErrors", "Sum"].values()) == [2.0]
    assert list(by_name["CPUUtilization", "Average", "shop"].values()) == [50.0]
    assert list(by_name["CPUUtilization", "Maximum", "shop"].values()) == [60.0]
    assert by_name["WriteThrottleEvents", "Sum", "Orders"] == {}


def make_balancer() -> tuple[str, str]:
    """Make a load balancer with a target group; return their ARNs."""
    ec2 = boto3.client("ec2", region_name=REGION)
    subnets = ec2.describe_subnets()["Subnets"]
    client = boto3.client("elbv2", region_name=REGION)
    balancer = client.create_load_balancer(
        Name="shop", Subnets=[each["SubnetId"] for each in subnets[:2]]
    )["LoadBalancers"][0]["LoadBalancerArn"]
    group = client.create_target_group(
        Name="shop-targets", Protocol="HTTP", Port=80, VpcId=subnets[0]["VpcId"]
    )["TargetGroups"][0]["TargetGroupArn"]
    client.create_listener(
        LoadBalancerArn=balancer,
        Protocol="HTTP",
        Port=80,
        DefaultActions=[{"Type": "forward", "TargetGroupArn": group}],
    )
    return balancer, group


def test_a_load_balancer_is_found_by_its_name() -> None:
    balancer, group = make_balancer()
    # as AWS writes these dimensions: the ends of the ARNs
    balancer_name = balancer.split(":loadbalancer/")[1]
    group_name = group.split(":")[-1]
    of_balancer = {"LoadBalancer": balancer_name}
    put("AWS/ApplicationELB", "RequestCount", 1200, MINUTE, **of_balancer)
    put("AWS/ApplicationELB", "HTTPCode_Target_5XX_Count", 3, MINUTE, **of_balancer)
    put(
        "AWS/ApplicationELB", "UnHealthyHostCount", 1, MINUTE, **of_balancer, TargetGroup=group_name
    )

    watched = find_watched(TARGET, balancer="shop")
    found = collect(TARGET, watched, MINUTE, MINUTE)

    assert balancer_name.startswith("app/shop/")
    assert group_name.startswith("targetgroup/shop-targets/")
    values = {each.name: sum(each.minutes.values()) for each in found}
    assert values["RequestCount"] == 1200
    assert values["HTTPCode_Target_5XX_Count"] == 3
    assert values["UnHealthyHostCount"] == 1
    # tables were not asked for
    assert "UserErrors" not in values


def test_a_load_balancer_that_is_not_there_is_named() -> None:
    with pytest.raises(ConfigError, match="there is no load balancer shop in eu-west-1"):
        find_watched(TARGET, balancer="shop")
