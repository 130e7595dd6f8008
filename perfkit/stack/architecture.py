"""What a template runs, as an architecture file says it: read from the template itself."""

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from perfkit.cache.cloudwatch import METRICS

__all__ = ["architecture_file"]

_NOT_HERE = (
    "not billed here, because it follows from traffic: data out, load balancer capacity, queue"
    " requests, logs and stored gigabytes"
)


def architecture_file(template: Mapping[str, Any], name: str) -> str:
    """
    Return the architecture file of a template, which `report --cost --architecture` prices.

    Args:
        template: As `make_template` makes it.
        name: For people.
    """
    return "\n".join(_lines(template, name)) + "\n"


def _lines(template: Mapping[str, Any], name: str) -> Iterator[str]:
    resources: Mapping[str, Any] = template["Resources"]
    kinds = Counter(each["Type"] for each in resources.values())
    launch = _only(resources, "AWS::EC2::LaunchTemplate")["LaunchTemplateData"]
    group = _only(resources, "AWS::AutoScaling::AutoScalingGroup")
    cache = _only(resources, "AWS::ElastiCache::ReplicationGroup")
    public = launch["NetworkInterfaces"][0]["AssociatePublicIpAddress"]
    volume = sum(each["Ebs"]["VolumeSize"] for each in launch["BlockDeviceMappings"])
    yield f"# What the template of `perfkit stack template` runs, read from it: {name}."
    yield "# Traffic is none until you say it: data that leaves, requests of the queue."
    yield ""
    yield f'name = "{name}"'
    yield ""
    yield "[after]"
    yield 'title = "After optimization, as deployed"'
    yield "notes = ["
    yield f'  "{_NOT_HERE}",'
    yield '  "the secret of the tokens costs $0.40 a month beside this",'
    yield "]"
    yield ""
    yield "[[after.instances]]"
    yield f'type = "{launch["InstanceType"]}"'
    yield f"count = {int(group['DesiredCapacity'])}"
    yield f"volume_gb = {volume}"
    yield f"public_addresses = {int(public)}"
    yield ""
    yield "[after.load_balancer]"
    yield f"count = {kinds['AWS::ElasticLoadBalancingV2::LoadBalancer']}"
    yield "# one for each of two zones"
    yield "public_addresses = 2"
    yield ""
    yield "[[after.cache]]"
    yield f'engine = "{cache["Engine"]}"'
    yield f'type = "{cache["CacheNodeType"]}"'
    yield f"count = {cache['NumCacheClusters']}"
    for resource in resources.values():
        if resource["Type"] == "AWS::DynamoDB::Table":
            yield from _table(resource["Properties"])
    yield ""
    yield "[after.cloudwatch]"
    yield f"alarms = {kinds['AWS::CloudWatch::Alarm']}"
    yield "# those of the cache, at most"
    yield f"metrics = {METRICS}"


def _only(resources: Mapping[str, Any], kind: str) -> Mapping[str, Any]:
    (found,) = (each["Properties"] for each in resources.values() if each["Type"] == kind)
    properties: Mapping[str, Any] = found
    return properties


def _table(properties: Mapping[str, Any]) -> Iterator[str]:
    name = properties["TableName"]
    yield ""
    yield f'[after.tables."{name}"]'
    yield from _units(properties["ProvisionedThroughput"])
    for index in properties.get("GlobalSecondaryIndexes", ()):
        yield ""
        yield f'[after.tables."{name}".indexes."{index["IndexName"]}"]'
        yield from _units(index["ProvisionedThroughput"])


def _units(throughput: Mapping[str, int]) -> Iterator[str]:
    yield f"rcu = {throughput['ReadCapacityUnits']}"
    yield f"wcu = {throughput['WriteCapacityUnits']}"
