"""`perfkit migrate plan --emit`: parsed, linted and deployed, against the plan itself."""

import json
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto import mock_aws
from typer.testing import CliRunner, Result

from perfkit.cli import app

WORKLOAD = """
name = "shop"
description = "Tables that are there"

[tables."my.Orders"]
partition_key = { name = "order_id", type = "S" }
sort_key = { name = "line", type = "N" }

[tables."my.Orders".indexes]
ByCustomer = { partition_key = { name = "customer", type = "S" }, sort_key = { name = "total", type = "N" }, projection = "INCLUDE", non_key_attributes = ["lines", "${note}"] }
ByShelf = { partition_key = [{ name = "hall", type = "S" }, { name = "row", type = "N" }], sort_key = [{ name = "tag", type = "B" }, { name = "total", type = "N" }], projection = "KEYS_ONLY" }

[tables.Parcels]
partition_key = { name = "parcel", type = "S" }

[tables.Parcels.indexes]
ByOrder = { partition_key = { name = "order_id", type = "S" } }
"""


def perfkit(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments))


@pytest.fixture
def plan(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Any]]:
    """Return the saved plan for two tables of an account as moto plays it; the account goes on."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    Path("perfkit.toml").write_text(WORKLOAD)
    with mock_aws():
        dynamodb = boto3.client("dynamodb")
        dynamodb.create_table(
            TableName="my.Orders",
            KeySchema=[
                {"AttributeName": "order_id", "KeyType": "HASH"},
                {"AttributeName": "line", "KeyType": "RANGE"},
            ],
            AttributeDefinitions=[
                {"AttributeName": "order_id", "AttributeType": "S"},
                {"AttributeName": "line", "AttributeType": "N"},
                {"AttributeName": "day", "AttributeType": "S"},
            ],
            ProvisionedThroughput={"ReadCapacityUnits": 10, "WriteCapacityUnits": 20},
            GlobalSecondaryIndexes=[
                {
                    "IndexName": "ByDay",
                    "KeySchema": [{"AttributeName": "day", "KeyType": "HASH"}],
                    "Projection": {"ProjectionType": "ALL"},
                    "ProvisionedThroughput": {"ReadCapacityUnits": 3, "WriteCapacityUnits": 4},
                }
            ],
            LocalSecondaryIndexes=[
                {
                    "IndexName": "InOrder",
                    "KeySchema": [
                        {"AttributeName": "order_id", "KeyType": "HASH"},
                        {"AttributeName": "day", "KeyType": "RANGE"},
                    ],
                    "Projection": {"ProjectionType": "KEYS_ONLY"},
                }
            ],
        )
        dynamodb.create_table(
            TableName="Parcels",
            KeySchema=[{"AttributeName": "parcel", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "parcel", "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
        )
        puts: dict[str, list[Any]] = {}
        for number in range(30):
            item = {"order_id": {"S": "O1"}, "line": {"N": str(number)}, "day": {"S": "1"}}
            item |= {"customer": {"S": "C"}, "total": {"N": "2"}, "hall": {"S": "h"}}
            item |= {"row": {"N": "1"}, "tag": {"S": "no tag"}}
            parcel = {"parcel": {"S": str(number)}, "order_id": {"S": "O1"}}
            for name, new in (("my.Orders", item), ("Parcels", parcel)):
                puts.setdefault(name, []).append({"PutRequest": {"Item": new}})
        for name, requests in puts.items():
            for part in (requests[:25], requests[25:]):
                dynamodb.batch_write_item(RequestItems={name: part})
        scaling = boto3.client("application-autoscaling")
        where = {
            "ServiceNamespace": "dynamodb",
            "ResourceId": "table/my.Orders",
            "ScalableDimension": "dynamodb:table:WriteCapacityUnits",
        }
        scaling.register_scalable_target(**where, MinCapacity=20, MaxCapacity=90)
        scaling.put_scaling_policy(
            **where,
            PolicyName="writes",
            PolicyType="TargetTrackingScaling",
            TargetTrackingScalingPolicyConfiguration={"TargetValue": 70.0},
        )
        made = perfkit("migrate", "plan", "--target", "aws", "--yes", "--output", "plan.json")
        assert made.exit_code == 0, made.stderr
        yield json.loads(Path("plan.json").read_text())


def wanted(plan: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return by table and index what must be there in the end, as a description has it."""
    return {
        table["table"]: {
            each["index"]["name"]: (
                [(name, "HASH") for name, _ in each["index"]["partition"]]
                + [(name, "RANGE") for name, _ in each["index"]["sort"]],
                each["index"]["projection"],
                sorted(each["index"]["non_key_attributes"]),
                None
                if each["index"]["throughput"] is None
                else (each["index"]["throughput"]["read"], each["index"]["throughput"]["write"]),
            )
            for each in (*table["existing"], *table["creations"])
        }
        for table in plan["tables"]
    }


def described(indexes: list[dict[str, Any]]) -> dict[str, Any]:
    """Return indexes in DynamoDB's own form as `wanted` has them."""
    found = {}
    for each in indexes:
        throughput = each.get("ProvisionedThroughput") or {}
        units = (throughput.get("ReadCapacityUnits", 0), throughput.get("WriteCapacityUnits", 0))
        found[each["IndexName"]] = (
            [(part["AttributeName"], part["KeyType"]) for part in each["KeySchema"]],
            each["Projection"]["ProjectionType"],
            sorted(each["Projection"].get("NonKeyAttributes", ())),
            units if any(units) else None,
        )
    return found


# moto deploys the tables and knows nothing of scaling in a template
@pytest.mark.filterwarnings("ignore:Tried to parse AWS..ApplicationAutoScaling")
def test_cloudformation_makes_the_indexes_of_the_plan_one_at_a_time(plan: dict[str, Any]) -> None:
    """Each update adds one index of a table; what is deployed in the end is the plan."""
    # takes a second to import, which every worker would wait for
    from cfnlint import api as cfnlint

    result = perfkit("migrate", "plan", "--saved", "plan.json", "--emit", "cloudformation")

    assert result.exit_code == 0, result.stderr
    templates = result.stdout.split("---\n")
    assert len(templates) == 2
    counts = [
        [
            len(resource["Properties"]["GlobalSecondaryIndexes"])
            for resource in json.loads(template)["Resources"].values()
            if resource["Type"] == "AWS::DynamoDB::Table"
        ]
        for template in templates
    ]
    assert counts == [[2, 1], [3, 1]]
    for template in templates:
        assert cfnlint.lint(template, regions=["us-east-1"]) == []
    dynamodb = boto3.client("dynamodb")
    for name in wanted(plan):
        dynamodb.delete_table(TableName=name)
    boto3.client("cloudformation").create_stack(StackName="shop", TemplateBody=templates[-1])
    for name, indexes in wanted(plan).items():
        table = dynamodb.describe_table(TableName=name)["Table"]
        assert described(table["GlobalSecondaryIndexes"]) == indexes
    orders = dynamodb.describe_table(TableName="my.Orders")["Table"]
    assert [each["IndexName"] for each in orders["LocalSecondaryIndexes"]] == ["InOrder"]
    types = {
        each["AttributeName"]: each["AttributeType"] for each in orders["AttributeDefinitions"]
    }
    assert types == {
        "order_id": "S", "line": "N", "day": "S", "customer": "S",
        "total": "N", "hall": "S", "row": "N", "tag": "B",
    }  # fmt: skip
    targets = {
        resource["Properties"]["ResourceId"]
        for resource in json.loads(templates[-1])["Resources"].values()
        if resource["Type"] == "AWS::ApplicationAutoScaling::ScalableTarget"
    }
    assert targets == {f"table/my.Orders/index/{name}" for name in ("ByCustomer", "ByShelf")}


def plain(value: Any) -> Any:
    """Return what python-hcl2 parsed without the quotes it keeps."""
    if isinstance(value, dict):
        return {plain(name): plain(each) for name, each in value.items() if name != "__is_block__"}
    if isinstance(value, list):
        return [plain(each) for each in value]
    if isinstance(value, str) and value[:1] == value[-1:] == '"':
        return json.loads(value)
    return value


def test_terraform_has_the_indexes_of_the_plan_as_key_schema_blocks(plan: dict[str, Any]) -> None:
    import hcl2

    result = perfkit("migrate", "plan", "--saved", "plan.json", "--emit", "terraform")

    assert result.exit_code == 0, result.stderr
    parsed = plain(hcl2.loads(result.stdout))
    found, types = {}, {}
    for resource in parsed["resource"]:
        for table in resource.get("aws_dynamodb_table", {}).values():
            types[table["name"]] = {each["name"]: each["type"] for each in table["attribute"]}
            found[table["name"]] = {
                each["name"]: (
                    [(part["attribute_name"], part["key_type"]) for part in each["key_schema"]],
                    each["projection_type"],
                    sorted(
                        name.replace("$${", "${") for name in each.get("non_key_attributes", ())
                    ),
                    (each["read_capacity"], each["write_capacity"])
                    if "read_capacity" in each
                    else None,
                )
                for each in table["global_secondary_index"]
            }
            assert not any("hash_key" in each for each in table["global_secondary_index"])
    assert found == wanted(plan)
    assert types["Parcels"] == {"parcel": "S", "order_id": "S"}
    scaled = [
        target
        for resource in parsed["resource"]
        for target in resource.get("aws_appautoscaling_target", {}).values()
    ]
    assert {
        (each["resource_id"], each["min_capacity"], each["max_capacity"]) for each in scaled
    } == {(f"table/my.Orders/index/{name}", 20, 90) for name in ("ByCustomer", "ByShelf")}


def test_names_that_terraform_cannot_hold_stay_distinct_and_the_same_each_time(
    plan: dict[str, Any],
) -> None:
    import hcl2

    (scaled,) = [each for each in plan["tables"] if each["scaling"]]
    names = {"a.b": ["c"], "a_b": ["c"], "a": ["b_c", "b.c"], "9": ["c"], "t_9": ["c"]}
    tables = []
    for table, indexes in names.items():
        creations = deepcopy(scaled["creations"][: len(indexes)])
        for creation, index in zip(creations, indexes, strict=True):
            creation["index"]["name"] = index
        tables.append(scaled | {"table": table, "creations": creations})

    def emitted(*chosen: dict[str, Any]) -> list[tuple[str, str]]:
        Path("plan.json").write_text(json.dumps(plan | {"tables": chosen}))
        result = perfkit("migrate", "plan", "--saved", "plan.json", "--emit", "terraform")
        assert result.exit_code == 0, result.stderr
        return [
            (kind, name)
            for resource in plain(hcl2.loads(result.stdout))["resource"]
            for kind, named in resource.items()
            for name in named
        ]

    together = emitted(*tables)

    assert len(set(together)) == len(together)
    # what else a plan holds changes no name
    assert sorted(each for table in tables for each in emitted(table)) == sorted(together)
    assert ("aws_dynamodb_table", "a_b") in emitted(tables[1])


def test_a_plan_that_cannot_be_read_is_refused(plan: dict[str, Any]) -> None:
    assert plan["format"] == 1
    path = Path("plan.json")
    text = path.read_text()
    for spoilt, message in (
        (text[: len(text) // 2], "is cut short"),
        ("{}", "is no plan of a migration"),
        (text.replace('"format": 1', '"format": 99'), "plan format 99"),
        (text.replace('"table": "Parcels"', '"table": 7'), "is damaged"),
    ):
        path.write_text(spoilt)

        result = perfkit("migrate", "plan", "--saved", "plan.json", "--emit", "terraform")

        assert (result.exit_code, message in result.stderr) == (2, True), result.stderr
        assert result.stdout == ""
