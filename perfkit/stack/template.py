"""
The reference document's optimized architecture as a CloudFormation template.

Load balancer, instances in an auto-scaling group, cache, tables with their indexes, queue and
alarms. Counts, types and capacities are those of the architecture that `report --cost` prices, and
tables and indexes those of the workload, so that neither is written twice.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from perfkit.cost.architecture import Architecture
from perfkit.dynamodb.permissions import ANY, needs
from perfkit.dynamodb.tables import TAG, Keys, index_definition
from perfkit.service.permissions import ASKED
from perfkit.workloads.model import Index, Table, Workload

__all__ = ["make_template"]

_NAMESPACE = "perfkit"
"""Of the cache's metrics in CloudWatch."""

_Resources = dict[str, Any]

_PORT = 8000
_REDIS_PORT = 6379
_IMAGE = "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-x86_64"
_VOLUME_GB = 8
_CPU_PERCENT = 50
_SLOW_S = 0.2


def make_template(workload: Workload, architecture: Architecture) -> dict[str, Any]:
    """
    Return the template of an architecture.

    Args:
        workload: Its tables and indexes.
        architecture: How many instances of which type, which cache, and how many units in all.
    """
    return {
        "AWSTemplateFormatVersion": "2010-09-09",
        "Description": f"{workload.name}: {architecture.title}. Made by perfkit stack template.",
        "Parameters": _parameters(),
        "Conditions": {"HasCertificate": {"Fn::Not": [_equals("CertificateArn", "")]}},
        "Resources": {
            **_network(),
            **_role(workload),
            **_instances(architecture),
            **_load_balancer(),
            **_cache(architecture),
            **_tables(workload, architecture),
            **_queue(),
            **_alarms(workload),
        },
        "Outputs": {
            "LoadBalancerUrl": {
                "Description": "Where the service answers",
                "Value": {
                    "Fn::If": [
                        "HasCertificate",
                        _sub("https://${LoadBalancer.DNSName}"),
                        _sub("http://${LoadBalancer.DNSName}"),
                    ]
                },
            },
            "LoadBalancerName": {
                "Description": "For perfkit load --load-balancer",
                "Value": _get("LoadBalancer", "LoadBalancerName"),
            },
            "ScalingGroupName": {
                "Description": "For perfkit load --scaling-group",
                "Value": _ref("Group"),
            },
            "QueueUrl": {"Description": "The task queue", "Value": _ref("Queue")},
            "SecretArn": {
                "Description": "The key of the service's tokens",
                "Value": _ref("Secret"),
            },
        },
    }


def _ref(name: str) -> dict[str, str]:
    return {"Ref": name}


def _get(name: str, attribute: str) -> dict[str, list[str]]:
    return {"Fn::GetAtt": [name, attribute]}


def _sub(text: str) -> dict[str, str]:
    return {"Fn::Sub": text}


def _equals(parameter: str, value: str) -> dict[str, list[Any]]:
    return {"Fn::Equals": [_ref(parameter), value]}


def _parameters() -> dict[str, Any]:
    return {
        "VpcId": {"Type": "AWS::EC2::VPC::Id", "Description": "The network"},
        "SubnetIds": {
            "Type": "List<AWS::EC2::Subnet::Id>",
            "Description": "Public subnets in two zones at least",
        },
        "PackageBucket": {
            "Type": "String",
            "Description": "The S3 bucket that holds the service's wheel",
        },
        "PackageKey": {
            "Type": "String",
            "Description": "The wheel's key there, ending in its file name",
        },
        "AllowedCidr": {
            "Type": "String",
            "Description": "Who may ask the load balancer, as a range of addresses",
        },
        "CertificateArn": {
            "Type": "String",
            "Default": "",
            "Description": "A certificate for HTTPS; without one the load balancer speaks HTTP",
        },
        "ImageId": {
            "Type": "AWS::SSM::Parameter::Value<AWS::EC2::Image::Id>",
            "Default": _IMAGE,
            "Description": "Amazon Linux 2023",
        },
    }


# ---- network and permissions ---------------------------------------------------------------


def _network() -> _Resources:
    def group(what: str, ingress: list[dict[str, Any]]) -> dict[str, Any]:
        return {
            "Type": "AWS::EC2::SecurityGroup",
            "Properties": {
                "GroupDescription": what,
                "VpcId": _ref("VpcId"),
                "SecurityGroupIngress": ingress,
            },
        }

    def allow(port: int, **source: Any) -> dict[str, Any]:
        return {"IpProtocol": "tcp", "FromPort": port, "ToPort": port, **source}

    # nobody signs in by SSH: Session Manager needs no open port
    return {
        "LoadBalancerGroup": group(
            "The load balancer: asked from outside",
            [allow(port, CidrIp=_ref("AllowedCidr")) for port in (80, 443)],
        ),
        "ServiceGroup": group(
            "The service: asked by the load balancer",
            [allow(_PORT, SourceSecurityGroupId=_get("LoadBalancerGroup", "GroupId"))],
        ),
        "CacheGroup": group(
            "The cache: asked by the service",
            [allow(_REDIS_PORT, SourceSecurityGroupId=_get("ServiceGroup", "GroupId"))],
        ),
    }


def _role(workload: Workload) -> _Resources:
    """Return the service's role: what it asks of the tables, and nothing else of them."""
    alike: dict[tuple[str, ...], list[str]] = {}
    for action, resources in needs("serve", workload, service=ASKED).items():
        alike.setdefault(tuple(sorted(resources)), []).append(action)
    statements: list[dict[str, Any]] = [
        {
            "Effect": "Allow",
            "Action": sorted(actions),
            "Resource": [_arn(each) for each in resources],
        }
        for resources, actions in sorted(alike.items())
    ]
    statements += [
        {
            "Effect": "Allow",
            "Action": "cloudwatch:PutMetricData",
            "Resource": ANY,
            "Condition": {"StringEquals": {"cloudwatch:namespace": _NAMESPACE}},
        },
        {
            "Effect": "Allow",
            "Action": [
                "sqs:ChangeMessageVisibility",
                "sqs:DeleteMessage",
                "sqs:ReceiveMessage",
                "sqs:SendMessage",
            ],
            "Resource": _get("Queue", "Arn"),
        },
        {
            "Effect": "Allow",
            "Action": "secretsmanager:GetSecretValue",
            "Resource": _ref("Secret"),
        },
        {
            "Effect": "Allow",
            "Action": "s3:GetObject",
            "Resource": _sub("arn:${AWS::Partition}:s3:::${PackageBucket}/${PackageKey}"),
        },
    ]
    return {
        "Secret": {
            "Type": "AWS::SecretsManager::Secret",
            "Properties": {
                "Description": "The key of the service's tokens, the same on all instances",
                "GenerateSecretString": {"PasswordLength": 64, "ExcludePunctuation": True},
            },
        },
        "Role": {
            "Type": "AWS::IAM::Role",
            "Properties": {
                "AssumeRolePolicyDocument": {
                    "Version": "2012-10-17",
                    "Statement": [
                        {
                            "Effect": "Allow",
                            "Principal": {"Service": "ec2.amazonaws.com"},
                            "Action": "sts:AssumeRole",
                        }
                    ],
                },
                "ManagedPolicyArns": [
                    _sub("arn:${AWS::Partition}:iam::aws:policy/AmazonSSMManagedInstanceCore")
                ],
                "Policies": [
                    {
                        "PolicyName": "service",
                        "PolicyDocument": {"Version": "2012-10-17", "Statement": statements},
                    }
                ],
            },
        },
        "Profile": {
            "Type": "AWS::IAM::InstanceProfile",
            "Properties": {"Roles": [_ref("Role")]},
        },
    }


def _arn(resource: str) -> Any:
    if resource == ANY:
        return ANY
    return _sub(f"arn:${{AWS::Partition}}:dynamodb:${{AWS::Region}}:${{AWS::AccountId}}:{resource}")


# ---- instances and what is in front of them ------------------------------------------------

_START = f"""\
#!/bin/bash
set -euo pipefail
dnf install -y python3.11 python3.11-pip
useradd --system --create-home --home-dir /var/lib/perfkit perfkit
cd /var/lib/perfkit
aws s3 cp "s3://${{PackageBucket}}/${{PackageKey}}" .
python3.11 -m venv venv
venv/bin/pip install ./*.whl
install -d -m 0700 .perfkit/service
(umask 077; aws secretsmanager get-secret-value --region "${{AWS::Region}}" \\
  --secret-id "${{Secret}}" --query SecretString --output text | tr -d '\\n' \\
  > .perfkit/service/secret)
chown -R perfkit:perfkit .
cat > /etc/systemd/system/perfkit.service <<'UNIT'
[Unit]
After=network-online.target
Wants=network-online.target

[Service]
User=perfkit
WorkingDirectory=/var/lib/perfkit
Environment=AWS_REGION=${{AWS::Region}}
Environment=PERFKIT_REDIS_URL=rediss://${{Cache.PrimaryEndPoint.Address}}:{_REDIS_PORT}
ExecStart=/var/lib/perfkit/venv/bin/perfkit serve --phase 3 --no-notify --target aws --host 0.0.0.0 --port {_PORT} --workers 2 --cloudwatch {_NAMESPACE}
Restart=always

[Install]
WantedBy=multi-user.target
UNIT
systemctl enable --now perfkit
"""


def _instances(architecture: Architecture) -> _Resources:
    (instances,) = architecture.instances
    return {
        "Launch": {
            "Type": "AWS::EC2::LaunchTemplate",
            "Properties": {
                "LaunchTemplateData": {
                    "ImageId": _ref("ImageId"),
                    "InstanceType": instances.type,
                    "IamInstanceProfile": {"Arn": _get("Profile", "Arn")},
                    "MetadataOptions": {"HttpTokens": "required"},
                    "BlockDeviceMappings": [
                        {
                            "DeviceName": "/dev/xvda",
                            "Ebs": {
                                "VolumeSize": _VOLUME_GB,
                                "VolumeType": "gp3",
                                "Encrypted": True,
                            },
                        }
                    ],
                    "NetworkInterfaces": [
                        {
                            "DeviceIndex": 0,
                            # to reach DynamoDB and S3 without a NAT gateway, which costs more
                            "AssociatePublicIpAddress": True,
                            "Groups": [_get("ServiceGroup", "GroupId")],
                        }
                    ],
                    "UserData": {"Fn::Base64": _sub(_START)},
                }
            },
        },
        "Group": {
            "Type": "AWS::AutoScaling::AutoScalingGroup",
            "UpdatePolicy": {
                "AutoScalingRollingUpdate": {"MinInstancesInService": 1, "MaxBatchSize": 1}
            },
            "Properties": {
                "MinSize": str(instances.count),
                "MaxSize": str(instances.count * 3),
                "DesiredCapacity": str(instances.count),
                "VPCZoneIdentifier": _ref("SubnetIds"),
                "TargetGroupARNs": [_ref("Targets")],
                "HealthCheckType": "ELB",
                "HealthCheckGracePeriod": 300,
                "LaunchTemplate": {
                    "LaunchTemplateId": _ref("Launch"),
                    "Version": _get("Launch", "LatestVersionNumber"),
                },
            },
        },
        "Tracking": {
            "Type": "AWS::AutoScaling::ScalingPolicy",
            "Properties": {
                "AutoScalingGroupName": _ref("Group"),
                "PolicyType": "TargetTrackingScaling",
                "TargetTrackingConfiguration": {
                    "TargetValue": _CPU_PERCENT,
                    "PredefinedMetricSpecification": {
                        "PredefinedMetricType": "ASGAverageCPUUtilization"
                    },
                },
            },
        },
    }


def _load_balancer() -> _Resources:
    forward = [{"Type": "forward", "TargetGroupArn": _ref("Targets")}]
    return {
        "LoadBalancer": {
            "Type": "AWS::ElasticLoadBalancingV2::LoadBalancer",
            "Properties": {
                "Type": "application",
                "Scheme": "internet-facing",
                "Subnets": _ref("SubnetIds"),
                "SecurityGroups": [_get("LoadBalancerGroup", "GroupId")],
            },
        },
        "Targets": {
            "Type": "AWS::ElasticLoadBalancingV2::TargetGroup",
            "Properties": {
                "VpcId": _ref("VpcId"),
                "Protocol": "HTTP",
                "Port": _PORT,
                "HealthCheckPath": "/healthz",
                "HealthCheckIntervalSeconds": 10,
                "HealthyThresholdCount": 2,
                "UnhealthyThresholdCount": 2,
                "Matcher": {"HttpCode": "200"},
            },
        },
        "Http": {
            "Type": "AWS::ElasticLoadBalancingV2::Listener",
            "Properties": {
                "LoadBalancerArn": _ref("LoadBalancer"),
                "Port": {"Fn::If": ["HasCertificate", 443, 80]},
                "Protocol": {"Fn::If": ["HasCertificate", "HTTPS", "HTTP"]},
                "Certificates": {
                    "Fn::If": [
                        "HasCertificate",
                        [{"CertificateArn": _ref("CertificateArn")}],
                        _ref("AWS::NoValue"),
                    ]
                },
                "DefaultActions": forward,
            },
        },
    }


def _cache(architecture: Architecture) -> _Resources:
    (cache,) = architecture.cache
    return {
        "CacheSubnets": {
            "Type": "AWS::ElastiCache::SubnetGroup",
            "Properties": {"Description": "Of the cache", "SubnetIds": _ref("SubnetIds")},
        },
        "Cache": {
            "Type": "AWS::ElastiCache::ReplicationGroup",
            "DeletionPolicy": "Delete",
            "UpdateReplacePolicy": "Delete",
            "Properties": {
                "ReplicationGroupDescription": "Answers and sessions of the service",
                "Engine": str(cache.engine),
                "CacheNodeType": cache.type,
                "NumCacheClusters": cache.count,
                "AutomaticFailoverEnabled": False,
                "TransitEncryptionEnabled": True,
                "AtRestEncryptionEnabled": True,
                "CacheSubnetGroupName": _ref("CacheSubnets"),
                "SecurityGroupIds": [_get("CacheGroup", "GroupId")],
            },
        },
    }


# ---- tables, queue, alarms -----------------------------------------------------------------


def _tables(workload: Workload, architecture: Architecture) -> _Resources:
    (whole,) = architecture.tables.values()
    tables = workload.tables
    indexes = [index for table in tables for index in table.indexes]
    reads, writes = _shared(whole.rcu or 0, len(tables)), _shared(whole.wcu or 0, len(tables))
    of_indexes = dict(zip((index.name for index in indexes), whole.indexes.values(), strict=True))
    return {
        _id(table.name): _table(
            table,
            (read, write),
            {
                index.name: (of_indexes[index.name].rcu or 1, of_indexes[index.name].wcu or 1)
                for index in table.indexes
            },
        )
        for table, read, write in zip(tables, reads, writes, strict=True)
    }


def _shared(units: int, parts: int) -> list[int]:
    """Return units in whole parts, as even as they go."""
    return [units // parts + (number < units % parts) for number in range(parts)]


def _id(table: str) -> str:
    return f"{''.join(each for each in table if each.isalnum())}Table"


def _throughput(units: tuple[int, int]) -> dict[str, int]:
    return {"ReadCapacityUnits": units[0], "WriteCapacityUnits": units[1]}


def _table(
    table: Table, units: tuple[int, int], of_indexes: Mapping[str, tuple[int, int]]
) -> dict[str, Any]:
    schema, _ = Keys.of(table).to_wire()
    types = dict(
        pair
        for keyed in _keyed(table)
        for pair in (*Keys.of(keyed).partition, *Keys.of(keyed).sort)
    )
    return {
        "Type": "AWS::DynamoDB::Table",
        # whatever becomes of the stack, somebody's items stay
        "DeletionPolicy": "Retain",
        "UpdateReplacePolicy": "Retain",
        "Properties": {
            "TableName": table.name,
            "BillingMode": "PROVISIONED",
            "KeySchema": schema,
            "AttributeDefinitions": [
                {"AttributeName": name, "AttributeType": kind} for name, kind in types.items()
            ],
            "ProvisionedThroughput": _throughput(units),
            **(
                {
                    "GlobalSecondaryIndexes": [
                        {
                            **index_definition(index, Keys.of(index)),
                            "ProvisionedThroughput": _throughput(of_indexes[index.name]),
                        }
                        for index in table.indexes
                    ]
                }
                if table.indexes
                else {}
            ),
            # the mark by which perfkit knows its own: seeding fills no other table
            "Tags": [TAG],
        },
    }


def _keyed(table: Table) -> Iterator[Table | Index]:
    yield table
    yield from table.indexes


def _queue() -> _Resources:
    encrypted = {"SqsManagedSseEnabled": True}
    return {
        "DeadLetters": {
            "Type": "AWS::SQS::Queue",
            "Properties": {**encrypted, "MessageRetentionPeriod": 1_209_600},
        },
        "Queue": {
            "Type": "AWS::SQS::Queue",
            "Properties": {
                **encrypted,
                "RedrivePolicy": {
                    "deadLetterTargetArn": _get("DeadLetters", "Arn"),
                    "maxReceiveCount": 5,
                },
            },
        },
    }


def _alarms(workload: Workload) -> _Resources:
    balancer = [{"Name": "LoadBalancer", "Value": _get("LoadBalancer", "LoadBalancerFullName")}]
    of_targets = [
        *balancer,
        {"Name": "TargetGroup", "Value": _get("Targets", "TargetGroupFullName")},
    ]
    lb, dynamodb = "AWS/ApplicationELB", "AWS/DynamoDB"
    alarms = {
        "UserErrorsAlarm": _alarm(dynamodb, "UserErrors", "DynamoDB refuses requests"),
        "Target5xxAlarm": _alarm(
            lb, "HTTPCode_Target_5XX_Count", "The service answers 5XX", balancer
        ),
        "Balancer5xxAlarm": _alarm(
            lb, "HTTPCode_ELB_5XX_Count", "The load balancer answers 5XX", balancer
        ),
        "SlowAlarm": _alarm(
            lb, "TargetResponseTime", "Answers take long", balancer,
            limit=_SLOW_S, statistic="Average",
        ),
        "UnhealthyAlarm": _alarm(
            lb, "UnHealthyHostCount", "An instance is unhealthy", of_targets, statistic="Maximum"
        ),
    }  # fmt: skip
    for table in workload.tables:
        for kind in ("Read", "Write"):
            alarms[f"{_id(table.name)}{kind}ThrottleAlarm"] = _alarm(
                dynamodb,
                f"{kind}ThrottleEvents",
                f"{table.name} is throttled",
                [{"Name": "TableName", "Value": _ref(_id(table.name))}],
            )
    return alarms


def _alarm(
    namespace: str,
    metric: str,
    what: str,
    dimensions: Iterable[Mapping[str, Any]] = (),
    *,
    limit: float = 0,
    statistic: str = "Sum",
) -> dict[str, Any]:
    return {
        "Type": "AWS::CloudWatch::Alarm",
        "Properties": {
            "AlarmDescription": what,
            "Namespace": namespace,
            "MetricName": metric,
            "Dimensions": list(dimensions),
            "Statistic": statistic,
            "Period": 60,
            "EvaluationPeriods": 1,
            "ComparisonOperator": "GreaterThanThreshold",
            "Threshold": limit,
            "TreatMissingData": "notBreaching",
        },
    }
