"""A plan's indexes as code: Terraform and CloudFormation."""

import json
import re
from collections.abc import Iterator, Mapping
from hashlib import sha256
from typing import Any

from perfkit.dynamodb.tables import Keys, index_definition
from perfkit.migrate.forms import Emitted
from perfkit.migrate.plan import IndexDefinition, Plan, Scaling, TablePlan

__all__ = ["emit"]


def emit(plan: Plan, form: Emitted) -> str:
    """Return a plan's indexes as code."""
    return _terraform(plan) if form is Emitted.TERRAFORM else _cloudformation(plan)


def _definitions(table: TablePlan, indexes: tuple[IndexDefinition, ...]) -> dict[str, str]:
    """Return the types of all key attributes, of the table first."""
    keys = [*table.partition, *table.sort]
    for index in (*table.local, *indexes):
        keys += [*index.partition, *index.sort]
    return dict(keys)


def _indexes(table: TablePlan, created: int | None = None) -> tuple[IndexDefinition, ...]:
    """Return the global indexes there will be when so many are created; all if left out."""
    gone = {each.index.name for each in table.removals}
    there = [
        each.index
        for each in table.existing
        if each.status != "DELETING" and each.index.name not in gone
    ]
    return (*there, *(each.index for each in table.creations[:created]))


def _keys(definition: IndexDefinition | TablePlan) -> Keys:
    return Keys(partition=definition.partition, sort=definition.sort)


def _identifier(*parts: str) -> str:
    """Return a name in letters and digits that no other parts have."""
    return "".join(
        re.sub(r"[^A-Za-z0-9]", lambda each: f"x{ord(each[0]):x}", part) for part in parts
    )


# ---- CloudFormation ------------------------------------------------------------------------------------

_ONE_AT_A_TIME = (
    "CloudFormation creates one global index of a table in an update: this is update {step} of"
    " {steps}; it comes when the one before is done."
)
_WHAT_IS_HERE = (
    "Keys, capacity and indexes of tables, and nothing else of them. Where a stack has the table,"
    " copy AttributeDefinitions and GlobalSecondaryIndexes into its template; deployed in its place,"
    " this would take away whatever else the stack has. The change set must show nothing but the new"
    " index."
)


def _cloudformation(plan: Plan) -> str:
    """
    Return CloudFormation templates in JSON, one for each update that it takes, as a YAML stream.

    An update creates one global index of a table, so that several are several updates.
    """
    steps = max(1, *(len(table.creations) for table in plan.tables))
    documents = []
    for step in range(1, steps + 1):
        order = _ONE_AT_A_TIME.format(step=step, steps=steps) if steps > 1 else ""
        resources: dict[str, Any] = {}
        for table in plan.tables:
            resources |= _cloudformation_table(table, step)
        template = {
            "AWSTemplateFormatVersion": "2010-09-09",
            "Description": f"{order} {_WHAT_IS_HERE}".strip(),
            "Resources": resources,
        }
        documents.append(json.dumps(template, indent=2, ensure_ascii=False) + "\n")
    return "---\n".join(documents)


def _cloudformation_table(table: TablePlan, created: int) -> dict[str, Any]:
    name = _identifier(table.table)
    indexes = _indexes(table, created)
    properties: dict[str, Any] = {
        "TableName": table.table,
        "BillingMode": table.billing,
        "KeySchema": _keys(table).to_wire()[0],
        "AttributeDefinitions": [
            {"AttributeName": attribute, "AttributeType": kind}
            for attribute, kind in _definitions(table, indexes).items()
        ],
    }
    if indexes:
        properties["GlobalSecondaryIndexes"] = [_wire_index(each) for each in indexes]
    if table.throughput is not None:
        properties["ProvisionedThroughput"] = _wire_throughput(
            table.throughput.read, table.throughput.write
        )
    if table.local:
        properties["LocalSecondaryIndexes"] = [_wire_index(each) for each in table.local]
    resources: dict[str, Any] = {
        name: {
            "Type": "AWS::DynamoDB::Table",
            # whatever becomes of the stack, somebody's items stay
            "DeletionPolicy": "Retain",
            "UpdateReplacePolicy": "Retain",
            "Properties": properties,
        }
    }
    for creation in table.creations[:created]:
        for scaling in table.scaling:
            resources |= _cloudformation_scaling(table, creation.index, scaling, name)
    return resources


def _wire_throughput(read: int, write: int) -> dict[str, int]:
    return {"ReadCapacityUnits": read, "WriteCapacityUnits": write}


def _wire_index(index: IndexDefinition) -> dict[str, Any]:
    wire = index_definition(index, _keys(index))
    if index.throughput is not None:
        wire["ProvisionedThroughput"] = _wire_throughput(
            index.throughput.read, index.throughput.write
        )
    return wire


def _cloudformation_scaling(
    table: TablePlan, index: IndexDefinition, scaling: Scaling, after: str
) -> dict[str, Any]:
    name = f"{_identifier(table.table, index.name)}{scaling.dimension}"
    where = {
        "ServiceNamespace": "dynamodb",
        "ResourceId": f"table/{table.table}/index/{index.name}",
        "ScalableDimension": f"dynamodb:index:{scaling.dimension}",
    }
    resources: dict[str, Any] = {
        f"{name}Target": {
            "Type": "AWS::ApplicationAutoScaling::ScalableTarget",
            "DependsOn": after,
            "Properties": {
                **where, "MinCapacity": scaling.least, "MaxCapacity": scaling.most,
            },
        }
    }  # fmt: skip
    if scaling.target_percent is not None:
        resources[f"{name}Policy"] = {
            "Type": "AWS::ApplicationAutoScaling::ScalingPolicy",
            "DependsOn": f"{name}Target",
            "Properties": {
                **where,
                "PolicyName": f"{index.name}-{scaling.dimension}",
                "PolicyType": "TargetTrackingScaling",
                "TargetTrackingScalingPolicyConfiguration": {
                    "TargetValue": scaling.target_percent,
                    "PredefinedMetricSpecification": {"PredefinedMetricType": scaling.metric},
                },
            },
        }
    return resources


# ---- Terraform -----------------------------------------------------------------------------------------

_TERRAFORM_HEAD = """\
# Keys, capacity and indexes of tables, and nothing else of them. Where a resource has the table, copy
# the attribute and global_secondary_index blocks into it. The provider creates one index after the
# other; `terraform plan` must show nothing but the new ones.
"""


def _terraform(plan: Plan) -> str:
    """Return Terraform resources for the AWS provider, index keys as `key_schema` blocks."""
    lines = [_TERRAFORM_HEAD]
    for table in plan.tables:
        lines += [*_terraform_table(table), ""]
        for creation in table.creations:
            for scaling in table.scaling:
                lines += [*_terraform_scaling(table, creation.index, scaling), ""]
    return "\n".join(lines)


def _text(value: str) -> str:
    # what HCL would take for a template
    return json.dumps(value, ensure_ascii=False).replace("${", "$${").replace("%{", "%%{")


def _block(head: str, content: Mapping[str, Any], *inner: list[str]) -> list[str]:
    """Return a block; values that are no text are written as they are."""
    width = max(map(len, content), default=0)
    lines = [f"{head} {{"]
    for name, value in content.items():
        shown = _text(value) if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        lines.append(f"  {name:<{width}} = {shown}")
    for block in inner:
        lines += ["", *(f"  {line}" if line else "" for line in block)]
    return [*lines, "}"]


def _terraform_table(table: TablePlan) -> list[str]:
    indexes = _indexes(table)
    content: dict[str, Any] = {"name": table.table, "billing_mode": table.billing}
    content["hash_key"] = table.partition[0][0]
    if table.sort:
        content["range_key"] = table.sort[0][0]
    if table.throughput is not None:
        content["read_capacity"] = table.throughput.read
        content["write_capacity"] = table.throughput.write
    return _block(
        f'resource "aws_dynamodb_table" {_text(_resource(table.table))}',
        content,
        *(
            _block("attribute", {"name": name, "type": kind})
            for name, kind in _definitions(table, indexes).items()
        ),
        *(_terraform_local(each) for each in table.local),
        *(_terraform_index(each) for each in indexes),
        # whatever becomes of the configuration, somebody's items stay
        _block("lifecycle", {"prevent_destroy": True}),
    )


def _resource(table: str, index: str = "", dimension: str = "") -> str:
    """
    Return a resource's name, which no other table or index has, whatever else a plan holds.

    Where names cannot be written as they are, or where they would be the same once joined, the
    first digits of their SHA-256 tell them apart.
    """
    names = [name for name in (table, index, dimension) if name]
    text = "_".join(names)
    written = re.sub(r"[^A-Za-z0-9_-]", "_", text if text[0].isalpha() else f"t_{text}")
    is_joined = bool(index) and "_" in table + index
    if written == text and not is_joined:
        return text
    return f"{written}_{sha256('/'.join(names).encode()).hexdigest()[:8]}"


def _projected(index: IndexDefinition) -> Iterator[tuple[str, Any]]:
    yield "projection_type", index.projection
    if index.projection == "INCLUDE":
        yield "non_key_attributes", list(index.non_key_attributes)


def _terraform_local(index: IndexDefinition) -> list[str]:
    # a local index has the table's partition key, and one sort key
    content = {"name": index.name, "range_key": index.sort[0][0], **dict(_projected(index))}
    return _block("local_secondary_index", content)


def _terraform_index(index: IndexDefinition) -> list[str]:
    content: dict[str, Any] = {"name": index.name, **dict(_projected(index))}
    if index.throughput is not None:
        content["read_capacity"] = index.throughput.read
        content["write_capacity"] = index.throughput.write
    return _block(
        "global_secondary_index",
        content,
        *(
            _block(
                "key_schema",
                {"attribute_name": each["AttributeName"], "key_type": each["KeyType"]},
            )
            for each in _keys(index).to_wire()[0]
        ),
    )


def _terraform_scaling(table: TablePlan, index: IndexDefinition, scaling: Scaling) -> list[str]:
    name = _resource(table.table, index.name, scaling.dimension)
    table_resource = f"aws_dynamodb_table.{_resource(table.table)}"
    lines = _block(
        f'resource "aws_appautoscaling_target" {_text(name)}',
        {
            "service_namespace": "dynamodb",
            "resource_id": f"table/{table.table}/index/{index.name}",
            "scalable_dimension": f"dynamodb:index:{scaling.dimension}",
            "min_capacity": scaling.least,
            "max_capacity": scaling.most,
        },
    )
    lines[-1:] = ["", f"  depends_on = [{table_resource}]", "}"]
    if scaling.target_percent is None:
        return lines
    policy = _block(
        f'resource "aws_appautoscaling_policy" {_text(name)}',
        {
            "name": f"{index.name}-{scaling.dimension}",
            "policy_type": "TargetTrackingScaling",
            "service_namespace": "dynamodb",
            "resource_id": f"table/{table.table}/index/{index.name}",
            "scalable_dimension": f"dynamodb:index:{scaling.dimension}",
        },
        _block(
            "target_tracking_scaling_policy_configuration",
            {"target_value": scaling.target_percent},
            _block("predefined_metric_specification", {"predefined_metric_type": scaling.metric}),
        ),
    )
    policy[-1:] = ["", f"  depends_on = [aws_appautoscaling_target.{name}]", "}"]
    return [*lines, "", *policy]
