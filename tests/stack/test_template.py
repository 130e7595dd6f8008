"""The template of the reference's "after": sound, deployed on moto, and priced as what it is."""

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto import mock_aws
from typer.testing import CliRunner

from perfkit.cli import app
from perfkit.cost.architecture_file import load_architectures
from perfkit.dynamodb.ownership import unmarked
from perfkit.dynamodb.targets import parse_target
from perfkit.gates.probing import look_at_stack, look_at_tables
from perfkit.workloads.loader import load

REGION = "us-east-1"


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the template and its architecture, as the command writes them."""
    folder = tmp_path_factory.mktemp("stack")
    arguments = [
        *("--output", str(folder / "stack.json")),
        *("--architecture", str(folder / "stack.toml")),
    ]
    result = CliRunner().invoke(app, ["stack", "template", *arguments])
    assert (result.exit_code, result.stdout) == (0, ""), result.stderr
    return folder


@pytest.fixture(scope="module")
def resources(files: Path) -> dict[str, Any]:
    template: dict[str, Any] = json.loads((files / "stack.json").read_text())
    resources: dict[str, Any] = template["Resources"]
    return resources


def of_kind(resources: dict[str, Any], kind: str) -> list[dict[str, Any]]:
    return [each["Properties"] for each in resources.values() if each["Type"] == kind]


def test_cfn_lint_has_nothing_to_say(files: Path) -> None:
    from cfnlint import api as cfnlint

    text = (files / "stack.json").read_text()

    assert cfnlint.lint(text, regions=["us-east-1", "eu-west-1"]) == []


def test_it_has_what_the_document_draws(resources: dict[str, Any]) -> None:
    kinds = Counter(each["Type"].removeprefix("AWS::") for each in resources.values())

    assert kinds["ElasticLoadBalancingV2::LoadBalancer"] == 1
    assert kinds["DynamoDB::Table"] == 3
    (launch,) = of_kind(resources, "AWS::EC2::LaunchTemplate")
    assert launch["LaunchTemplateData"]["InstanceType"] == "t3.micro"
    (group,) = of_kind(resources, "AWS::AutoScaling::AutoScalingGroup")
    assert (group["MinSize"], group["HealthCheckType"]) == ("2", "ELB")
    (tracking,) = of_kind(resources, "AWS::AutoScaling::ScalingPolicy")
    assert tracking["PolicyType"] == "TargetTrackingScaling"
    (targets,) = of_kind(resources, "AWS::ElasticLoadBalancingV2::TargetGroup")
    assert targets["HealthCheckPath"] == "/healthz"
    (cache,) = of_kind(resources, "AWS::ElastiCache::ReplicationGroup")
    assert (cache["CacheNodeType"], cache["NumCacheClusters"]) == ("cache.t3.micro", 1)
    alarms = {each["MetricName"] for each in of_kind(resources, "AWS::CloudWatch::Alarm")}
    assert {"UserErrors", "ReadThrottleEvents", "HTTPCode_Target_5XX_Count"} <= alarms


def test_nothing_is_open_that_need_not_be(resources: dict[str, Any]) -> None:
    rules = {
        name: properties["Properties"]["SecurityGroupIngress"]
        for name, properties in resources.items()
        if properties["Type"] == "AWS::EC2::SecurityGroup"
    }

    ports = {name: [rule["FromPort"] for rule in each] for name, each in rules.items()}
    assert ports == {"LoadBalancerGroup": [80, 443], "ServiceGroup": [8000], "CacheGroup": [6379]}
    from_addresses = [
        name for name, each in rules.items() if any("CidrIp" in rule for rule in each)
    ]
    assert from_addresses == ["LoadBalancerGroup"]
    (role,) = of_kind(resources, "AWS::IAM::Role")
    statements = role["Policies"][0]["PolicyDocument"]["Statement"]
    everywhere = [each["Action"] for each in statements if each["Resource"] in ("*", ["*"])]
    assert everywhere == ["cloudwatch:PutMetricData"]
    listed = [each["Action"] for each in statements]
    actions = [action for each in listed for action in ([each] if isinstance(each, str) else each)]
    assert not any("*" in action for action in actions)
    assert "dynamodb:DeleteTable" not in actions


def test_the_architecture_is_the_template_and_bills_as_the_document_describes_it(
    files: Path, resources: dict[str, Any]
) -> None:
    ours = load_architectures(files / "stack.toml").after
    theirs = load_architectures().after
    assert ours is not None
    assert theirs is not None

    def units(side: Any) -> tuple[int, int, list[tuple[int, int]]]:
        tables = side.tables.values()
        return (
            sum(table.rcu for table in tables),
            sum(table.wcu for table in tables),
            [(index.rcu, index.wcu) for _, index in side.indexes],
        )

    assert units(ours) == units(theirs) == (20, 10, [(5, 1)] * 4)
    assert [(each.type, each.count) for each in ours.instances] == [("t3.micro", 2)]
    assert [(each.type, each.count, each.engine) for each in ours.cache] == [
        (each.type, each.count, each.engine) for each in theirs.cache
    ]
    assert ours.cloudwatch.alarms == len(of_kind(resources, "AWS::CloudWatch::Alarm"))
    assert {name: set(table.indexes) for name, table in ours.tables.items()} == {
        table.name: {index.name for index in table.indexes} for table in load("courses").tables
    }


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", REGION)
    with mock_aws():
        yield parse_target("aws", None, region=REGION, profile=None)


@pytest.mark.filterwarnings("ignore")
def test_it_deploys_and_its_tables_are_what_perfkit_fills(files: Path, aws: Any) -> None:
    ec2 = boto3.client("ec2")
    vpc = ec2.describe_vpcs()["Vpcs"][0]["VpcId"]
    subnets = [each["SubnetId"] for each in ec2.describe_subnets()["Subnets"][:2]]
    given = {
        "VpcId": vpc,
        "SubnetIds": ",".join(subnets),
        "PackageBucket": "wheels",
        "PackageKey": "perfkit-0.1.0-py3-none-any.whl",
        "AllowedCidr": "192.0.2.0/24",
        "ImageId": "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-x86_64",
    }
    boto3.client("cloudformation").create_stack(
        StackName="perfkit",
        # moto deploys no ElastiCache, so nothing can ask for its address
        TemplateBody=(files / "stack.json")
        .read_text()
        .replace("${Cache.PrimaryEndPoint.Address}", "cache.example"),
        Parameters=[
            {"ParameterKey": name, "ParameterValue": value} for name, value in given.items()
        ],
        Capabilities=["CAPABILITY_IAM"],
    )

    verdict, url = look_at_stack(aws, "perfkit")
    assert verdict.evidence == "stack perfkit is CREATE_COMPLETE"
    assert url.startswith("http://")
    workload = load("courses")
    tables = look_at_tables(aws, workload)
    for table in workload.tables:
        state = tables[table.name]
        assert state is not None
        assert {each.name for each in state.indexes} == {each.name for each in table.indexes}
    assert unmarked(aws, [table.name for table in workload.tables]) == ()
    (group,) = boto3.client("autoscaling").describe_auto_scaling_groups()["AutoScalingGroups"]
    assert (group["DesiredCapacity"], len(group["Instances"])) == (2, 2)
    (balancer,) = boto3.client("elbv2").describe_load_balancers()["LoadBalancers"]
    assert url == f"http://{balancer['DNSName']}"
