"""`perfkit migrate plan`: what it says against what an index on the same table then takes."""

import json
import random
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from math import ceil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import boto3
import pytest
from moto import mock_aws
from moto.dynamodb.models import dynamodb_backends
from typer.testing import CliRunner, Result

from perfkit.cli import app
from perfkit.dynamodb import tables
from perfkit.dynamodb.client import embedded_client
from perfkit.dynamodb.connection import EngineConnection
from perfkit.migrate.plan_file import encode, read_plan

WORKLOAD = """
name = "shop"
description = "A table that is there"

[tables.Orders]
partition_key = { name = "order_id", type = "S" }

[tables.Orders.indexes]
ByCustomer = { partition_key = { name = "customer", type = "S" }, sort_key = { name = "total", type = "N" }, projection = "INCLUDE", non_key_attributes = ["lines"] }

[patterns.by-customer]
description = "Orders of a customer above a sum"
table = "Orders"
parameters_from = "sample"
names = { customer = "customer", total = "total" }
today = "scan-filtered"
returns = ["order_id", "lines"]
scan.filter = "#customer = :the_customer AND #total = :sum"
query = { index = "ByCustomer", key_condition = "#customer = :the_customer AND #total = :sum" }
"""


def perfkit(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments))


def create(client: Any, **more: Any) -> None:
    client.create_table(
        TableName="Orders",
        KeySchema=[{"AttributeName": "order_id", "KeyType": "HASH"}],
        AttributeDefinitions=[
            {"AttributeName": "order_id", "AttributeType": "S"},
            *more.pop("definitions", ()),
        ],
        **({"BillingMode": "PAY_PER_REQUEST"} | more),
    )


def order(number: int, chance: random.Random) -> dict[str, Any]:
    item = {
        "order_id": {"S": f"O{number:05}"},
        "customer": {"S": f"C{number % 20}" if number % 4 else "C-big"},
        "total": {"N": str(number % 7)},
        "lines": {"S": "l" * chance.randrange(200, 2500)},
        "note": {"S": "n" * chance.randrange(10, 900)},
    }
    if number % 10 == 3:
        del item["customer"]
    return item


def fill(client: Any, count: int) -> list[dict[str, Any]]:
    chance = random.Random(7)
    items = [order(number, chance) for number in range(count)]
    put(client, "Orders", items)
    return items


def put(client: Any, table: str, items: Sequence[Mapping[str, Any]]) -> None:
    for first in range(0, len(items), 25):
        puts = [{"PutRequest": {"Item": item}} for item in items[first : first + 25]]
        client.batch_write_item(RequestItems={table: puts})


@pytest.fixture
def client() -> Any:
    Path("perfkit.toml").write_text(WORKLOAD)
    Path(".perfkit").mkdir()
    client = embedded_client(".perfkit/dynamodb.sqlite3")
    create(client)
    return client


CREATE = {
    "IndexName": "ByCustomer",
    "KeySchema": [
        {"AttributeName": "customer", "KeyType": "HASH"},
        {"AttributeName": "total", "KeyType": "RANGE"},
    ],
    "Projection": {"ProjectionType": "INCLUDE", "NonKeyAttributes": ["lines"]},
}
DEFINITIONS = [
    {"AttributeName": "order_id", "AttributeType": "S"},
    {"AttributeName": "customer", "AttributeType": "S"},
    {"AttributeName": "total", "AttributeType": "N"},
]


def plan(*options: str) -> dict[str, Any]:
    result = perfkit("migrate", "plan", "--json", *options)
    assert result.exit_code == 0, result.stderr
    document: dict[str, Any] = json.loads(result.stdout)
    return document


def entry_bytes(item: dict[str, Any]) -> int:
    """Return what an entry takes, added up by hand: names, texts, and a digit in two bytes."""
    total = 1 if item["total"]["N"] == "0" else 2
    return (
        len("order_id") + 6 + len("customer") + len(item["customer"]["S"])
        + len("total") + total + len("lines") + len(item["lines"]["S"])
    )  # fmt: skip


def test_what_an_index_takes_is_what_it_then_took(client: Any) -> None:
    items = fill(client, 300)
    having = [item for item in items if "customer" in item]

    figures = plan("--backfill-wcu", "10")["tables"][0]["creations"][0]["figures"]
    client.update_table(
        TableName="Orders",
        AttributeDefinitions=DEFINITIONS,
        GlobalSecondaryIndexUpdates=[{"Create": CREATE}],
    )
    while True:
        described = client.describe_table(TableName="Orders")["Table"]["GlobalSecondaryIndexes"][0]
        if described["IndexStatus"] == "ACTIVE":
            break

    assert figures["entries"]["value"] == described["ItemCount"] == len(having)
    sizes = [entry_bytes(item) for item in having]
    units = sum(ceil(size / 1024) for size in sizes)
    assert figures["backfill_units"] == {"value": units, "low": units, "high": units}
    assert figures["backfill_hours"] == pytest.approx(units / 10 / 3600)
    # $0.625 a million write request units in us-east-1
    assert figures["backfill_usd"] == pytest.approx(units * 0.625e-6)
    stored = sum(sizes) + 100 * len(sizes)
    assert figures["stored_bytes"]["value"] == pytest.approx(stored)
    big = sum(item["customer"]["S"] == "C-big" for item in having) / len(having)
    assert figures["largest_key"]["value"] == pytest.approx(big)
    for item in items:
        client.delete_item(TableName="Orders", Key={"order_id": item["order_id"]})
    taken = [
        client.put_item(TableName="Orders", Item=item, ReturnConsumedCapacity="INDEXES")[
            "ConsumedCapacity"
        ]
        for item in items
    ]
    table_units = [each["Table"]["CapacityUnits"] for each in taken]
    index_units = [
        each.get("GlobalSecondaryIndexes", {}).get("ByCustomer", {}).get("CapacityUnits", 0.0)
        for each in taken
    ]
    assert figures["table_write_units"] == pytest.approx(sum(table_units) / 300)
    assert figures["index_write_units"] == pytest.approx(sum(index_units) / 300)


def test_a_global_tables_replicas_cost_as_much_again(
    client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No stand-in keeps replicas, so the answer gets what AWS documents of them."""
    fill(client, 50)
    alone = plan()["tables"][0]
    ask = EngineConnection.execute

    def execute(connection: Any, operation: str, request: Any) -> dict[str, Any]:
        answer = ask(connection, operation, request)
        if operation == "DescribeTable":
            answer["Table"]["Replicas"] = [
                {"RegionName": name, "ReplicaStatus": "ACTIVE"}
                for name in ("eu-west-1", "eu-west-3")
            ]
        return answer

    monkeypatch.setattr(EngineConnection, "execute", execute)

    table = plan()["tables"][0]

    assert table["replicas"] == ["eu-west-1", "eu-west-3"]
    assert "eu-west-1, eu-west-3 build each index too" in " ".join(table["warnings"])
    before, after = (each["creations"][0]["figures"] for each in (alone, table))
    for name in ("backfill_usd", "storage_usd_month", "write_usd_million"):
        assert after[name] == pytest.approx(3 * before[name])
    assert after["backfill_units"] == before["backfill_units"]


def test_a_key_that_one_partition_cannot_build_is_pointed_out(client: Any) -> None:
    """Of 3,000 WCU 28% are no 1,000, which a partition takes; of 20,000 they are more."""
    fill(client, 100)

    slow, fast = (plan("--backfill-wcu", wcu)["tables"][0] for wcu in ("3000", "20000"))

    assert slow["warnings"] == []
    assert "ByCustomer: one key has 28% of the entries" in fast["warnings"][0]


def test_a_sample_says_how_far_it_may_be_off(client: Any) -> None:
    items = fill(client, 1500)
    units = sum(ceil(entry_bytes(item) / 1024) for item in items if "customer" in item)

    table = plan("--sample", "300")["tables"][0]

    assert (table["whole"], 150 <= table["sampled"] <= 450) == (False, True)
    figures = table["creations"][0]["figures"]
    for name, truth in (("entries", 1350), ("backfill_units", units)):
        value, low, high = (figures[name][each] for each in ("value", "low", "high"))
        # twice the interval of 95%: by chance one in ten thousand is outside
        assert 2 * low - value <= truth <= 2 * high - value
        assert low < value < high


def test_entries_are_their_share_of_a_counted_table_however_uneven_its_keys(client: Any) -> None:
    """Where one partition key has half of the items, most of it is not in the sample."""
    Path("perfkit.toml").write_text(
        """
name = "gigs"
description = "Tickets of gigs"
tables.Tickets.partition_key = { name = "gig", type = "S" }
tables.Tickets.sort_key = { name = "seat", type = "N" }
tables.Tickets.indexes.ByBuyer = { partition_key = { name = "buyer", type = "S" }, projection = "ALL" }
"""
    )
    client.create_table(
        TableName="Tickets",
        KeySchema=[
            {"AttributeName": "gig", "KeyType": "HASH"},
            {"AttributeName": "seat", "KeyType": "RANGE"},
        ],
        AttributeDefinitions=[
            {"AttributeName": "gig", "AttributeType": "S"},
            {"AttributeName": "seat", "AttributeType": "N"},
        ],
        BillingMode="PAY_PER_REQUEST",
    )
    tickets = []
    for seat in range(1200):
        gig = "big" if seat % 2 else f"gig-{seat % 400}"
        buyer = {"buyer": {"S": f"b{seat % 70}"}} if seat % 10 > 1 else {}
        tickets.append({"gig": {"S": gig}, "seat": {"N": str(seat)}, **buyer})
    put(client, "Tickets", tickets)

    figures = plan("--sample", "600")["tables"][0]["creations"][0]["figures"]

    # eight in ten have a buyer, and every entry takes one unit
    entries, units = figures["entries"], figures["backfill_units"]
    assert entries["value"] == pytest.approx(units["value"], rel=0.01)
    assert entries["low"] <= 960 <= entries["high"]
    assert entries["value"] == pytest.approx(960, rel=0.1)


def test_a_table_that_nobody_counted_is_not_taken_to_be_its_sample(
    client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """AWS describes a new table as empty for hours."""
    fill(client, 1500)
    described = tables.describe

    def uncounted(connection: Any, name: str) -> Any:
        state = described(connection, name)
        return None if state is None else replace(state, items=0, size_bytes=0)

    monkeypatch.setattr("perfkit.migrate.proposals.describe", uncounted)

    table, cut = (plan("--sample", items)["tables"][0] for items in ("300", "20"))

    entries = table["creations"][0]["figures"]["entries"]
    assert entries["value"] == pytest.approx(1350, rel=0.2)
    assert (entries["low"] <= table["sampled"] < 1000, entries["high"]) == (True, None)
    assert "nobody says how many items Orders has" in table["warnings"][0]
    assert "only the first items" not in table["warnings"][0]
    # no bound: the segments that were read may be the ones with many items
    assert "of some only the first items, and lean low" in cut["warnings"][0]


def test_a_plan_is_saved_private_and_read_again(client: Any) -> None:
    fill(client, 30)

    result = perfkit("migrate", "plan", "--output", "plan.json")
    again = perfkit("migrate", "plan", "--output", "plan.json")

    assert result.exit_code == 0, result.stderr
    assert len(result.stdout.splitlines()) <= 40
    path = Path("plan.json")
    assert path.stat().st_mode & 0o777 == 0o600
    table = client.describe_table(TableName="Orders")["Table"]
    saved = read_plan(path)
    assert encode(saved) == path.read_text()
    assert saved.tables[0].identity.table_id == table["TableId"]
    assert saved.tables[0].arn == table["TableArn"]
    assert "C-big" not in path.read_text()
    assert (again.exit_code, "--force replaces it" in again.stderr) == (2, True)
    assert "GlobalSecondaryIndexes" not in table


def run_python(code: str, client: Any, the_customer: str, total: str) -> list[str]:
    namespace: dict[str, Any] = {
        "client": client, "items": [], "the_customer": the_customer, "sum": total, "str": str,
    }  # fmt: skip
    exec(code, namespace)
    return sorted(each["order_id"]["S"] for each in namespace["items"])


def test_the_calls_before_and_after_run_and_answer_the_same(client: Any) -> None:
    items = fill(client, 200)
    call = plan()["tables"][0]["creations"][0]["calls"][0]
    client.update_table(
        TableName="Orders",
        AttributeDefinitions=DEFINITIONS,
        GlobalSecondaryIndexUpdates=[{"Create": CREATE}],
    )
    while any(
        each["IndexStatus"] != "ACTIVE"
        for each in client.describe_table(TableName="Orders")["Table"]["GlobalSecondaryIndexes"]
    ):
        pass

    before, after = (
        run_python(call[f"{when}_boto3"], client, "C-big", "4") for when in ("before", "after")
    )

    wanted = sorted(
        item["order_id"]["S"]
        for item in items
        if item.get("customer") == {"S": "C-big"} and item["total"] == {"N": "4"}
    )
    assert before == after == wanted != []
    assert "paginateScan" in call["before_javascript"]
    assert 'IndexName: "ByCustomer"' in call["after_javascript"]


@pytest.mark.parametrize("parameter", ["from", "items", "1"])
def test_a_parameter_called_as_the_language_has_it_makes_a_variable(
    client: Any, parameter: str
) -> None:
    fill(client, 40)
    path = Path("perfkit.toml")
    path.write_text(path.read_text().replace(":the_customer", f":{parameter}"))
    call = plan()["tables"][0]["creations"][0]["calls"][0]

    found: list[Any] = []
    names = {"client": client, f"value_{parameter}": "C-big", "sum": "4", "items": found}
    exec(call["before_boto3"], {**names, "str": str})

    assert f'":{parameter}": {{"S": value_{parameter}}}' in call["after_boto3"]
    assert {each["customer"]["S"] for each in found} <= {"C-big"}


@pytest.mark.processes
@pytest.mark.parametrize("parameter", ["the_customer", "case"])
def test_the_calls_in_javascript_are_javascript(client: Any, missing: Any, parameter: str) -> None:
    node = shutil.which("node") or missing("no node on the PATH")
    fill(client, 5)
    path = Path("perfkit.toml")
    path.write_text(path.read_text().replace(":the_customer", f":{parameter}"))
    call = plan()["tables"][0]["creations"][0]["calls"][0]
    script = Path("calls.mjs")
    for code in (call["before_javascript"], call["after_javascript"]):
        script.write_text(f"async function ask(client, items) {{\n{code}\n}}\n")

        checked = subprocess.run([node, "--check", script], capture_output=True, check=False)

        assert checked.returncode == 0, checked.stderr


def test_an_index_with_another_key_stays_and_a_new_one_gets_a_new_name(client: Any) -> None:
    client.delete_table(TableName="Orders")
    other = {**CREATE, "Projection": {"ProjectionType": "ALL"}}
    create(client, definitions=DEFINITIONS[1:], GlobalSecondaryIndexes=[other])
    fill(client, 20)

    result = perfkit("migrate", "plan")
    table = plan()["tables"][0]

    assert [each["index"]["name"] for each in table["creations"]] == ["ByCustomer-v2"]
    assert table["creations"][0]["replaces"] == "ByCustomer"
    assert [each["index"]["name"] for each in table["existing"]] == ["ByCustomer"]
    assert "it projects ALL, the workload wants INCLUDE (lines)" in result.stdout
    assert "perfkit migrate plan --remove ByCustomer" in result.stderr
    assert 'IndexName="ByCustomer-v2"' in table["creations"][0]["calls"][0]["after_boto3"]
    client.update_table(
        TableName="Orders",
        AttributeDefinitions=DEFINITIONS,
        GlobalSecondaryIndexUpdates=[{"Create": {**CREATE, "IndexName": "ByCustomer-v2"}}],
    )
    done = perfkit("migrate", "plan")
    assert "Every index of the workload is there" in done.stdout
    assert (
        "ByCustomer of Orders is there as ByCustomer-v2: call it so in the workload" in done.stderr
    )


def test_the_twenty_first_index_and_the_hundred_and_first_attribute_are_refused(
    client: Any,
) -> None:
    client.delete_table(TableName="Orders")
    there = [
        {
            "IndexName": f"Index{number}",
            "KeySchema": [{"AttributeName": "customer", "KeyType": "HASH"}],
            "Projection": {"ProjectionType": "KEYS_ONLY"},
        }
        for number in range(20)
    ]
    create(client, definitions=DEFINITIONS[1:2], GlobalSecondaryIndexes=there)
    full = perfkit("migrate", "plan")
    client.delete_table(TableName="Orders")
    there[0]["Projection"] = {
        "ProjectionType": "INCLUDE", "NonKeyAttributes": [f"a{n}" for n in range(20)],
    }  # fmt: skip
    create(client, definitions=DEFINITIONS[1:2], GlobalSecondaryIndexes=there[:1])
    names = ", ".join(f'"b{number}"' for number in range(81))
    Path("perfkit.toml").write_text(
        WORKLOAD.replace('["lines"]', f"[{names}]").partition("[patterns")[0]
    )

    wide = perfkit("migrate", "plan")

    assert full.exit_code == 2
    assert "Orders would have 21 global indexes, and DynamoDB allows 20" in full.stderr
    assert wide.exit_code == 2
    assert "include" in wide.stderr
    assert "100" in wide.stderr


@pytest.fixture
def account(monkeypatch: pytest.MonkeyPatch) -> Iterator[SimpleNamespace]:
    """Return clients of an account as moto plays it, with a provisioned table in it."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    Path("perfkit.toml").write_text(WORKLOAD)
    with mock_aws():
        dynamodb = boto3.client("dynamodb")
        create(
            dynamodb,
            BillingMode="PROVISIONED",
            ProvisionedThroughput={"ReadCapacityUnits": 30, "WriteCapacityUnits": 200},
        )
        fill(dynamodb, 40)
        yield SimpleNamespace(dynamodb=dynamodb, scaling=boto3.client("application-autoscaling"))


def test_a_provisioned_tables_index_gets_capacity_and_its_scaling_policy(
    account: SimpleNamespace,
) -> None:
    bare = perfkit("migrate", "plan", "--json", "--target", "aws", "--yes")
    where = {
        "ServiceNamespace": "dynamodb",
        "ResourceId": "table/Orders",
        "ScalableDimension": "dynamodb:table:WriteCapacityUnits",
    }
    account.scaling.register_scalable_target(**where, MinCapacity=100, MaxCapacity=900)
    account.scaling.put_scaling_policy(
        **where,
        PolicyName="writes",
        PolicyType="TargetTrackingScaling",
        TargetTrackingScalingPolicyConfiguration={
            "TargetValue": 70.0,
            "PredefinedMetricSpecification": {
                "PredefinedMetricType": "DynamoDBWriteCapacityUtilization"
            },
        },
    )

    scaled = perfkit("migrate", "plan", "--json", "--target", "aws", "--yes")

    assert "Orders is provisioned and has no scaling policy" in bare.stderr
    assert "no scaling policy" not in scaled.stderr
    assert "Orders has no point-in-time recovery" in scaled.stderr
    document = json.loads(scaled.stdout)
    assert document["place"]["account"] == "123456789012"
    table = document["tables"][0]
    assert table["scaling"] == [
        {"dimension": "WriteCapacityUnits", "least": 100, "most": 900, "target_percent": 70.0}
    ]
    creation = table["creations"][0]
    figures = creation["figures"]
    # for each unit of the table as many of the index as items take in both, of 200
    needed = ceil(200 * figures["index_write_units"] / figures["table_write_units"])
    assert creation["index"]["throughput"] == {"read": 30, "write": needed}
    assert figures["backfill_capacity"] == 200


REMOVE = ("migrate", "plan", "--remove", "ByDay")


def with_index(client: Any) -> None:
    client.update_table(
        TableName="Orders",
        AttributeDefinitions=[{"AttributeName": "day", "AttributeType": "S"}],
        GlobalSecondaryIndexUpdates=[
            {
                "Create": {
                    "IndexName": "ByDay",
                    "KeySchema": [{"AttributeName": "day", "KeyType": "HASH"}],
                    "Projection": {"ProjectionType": "ALL"},
                    "ProvisionedThroughput": {"ReadCapacityUnits": 1, "WriteCapacityUnits": 1},
                }
            }
        ],
    )


def test_where_nobody_knows_who_reads_an_index_its_name_must_be_typed(client: Any) -> None:
    client.update_table(
        TableName="Orders",
        AttributeDefinitions=DEFINITIONS,
        GlobalSecondaryIndexUpdates=[{"Create": {**CREATE, "IndexName": "ByDay"}}],
    )

    bare = perfkit(*REMOVE, "--output", "p.json")
    wrong = perfkit(*REMOVE, "--output", "p.json", "--confirm", "ByNight")
    nothing_yet = Path("p.json").exists()
    typed = perfkit(*REMOVE, "--output", "p.json", "--confirm", "ByDay")

    assert [bare.exit_code, wrong.exit_code, typed.exit_code] == [2, 2, 0], typed.stderr
    assert not nothing_yet
    assert "it is unknown who reads ByDay" in bare.stderr
    assert "who reads it is unknown" in typed.stdout
    removal = read_plan(Path("p.json")).tables[0].removals[0]
    assert (removal.index.name, removal.read_units) == ("ByDay", None)
    described = client.describe_table(TableName="Orders")["Table"]
    assert [each["IndexName"] for each in described["GlobalSecondaryIndexes"]] == ["ByDay"]


def test_an_index_that_a_pattern_asks_or_no_table_has_is_not_removed(client: Any) -> None:
    client.update_table(
        TableName="Orders",
        AttributeDefinitions=DEFINITIONS,
        GlobalSecondaryIndexUpdates=[{"Create": CREATE}],
    )

    asked = perfkit("migrate", "plan", "--remove", "ByCustomer", "--confirm", "ByCustomer")
    absent = perfkit(*REMOVE, "--confirm", "ByDay")

    assert (asked.exit_code, "is asked by by-customer" in asked.stderr) == (2, True)
    assert (absent.exit_code, "no table of workload shop has" in absent.stderr) == (2, True)


def test_an_index_that_was_read_is_not_removed_and_one_that_was_not_is(
    account: SimpleNamespace,
) -> None:
    with_index(account.dynamodb)
    aws = ("--target", "aws", "--yes", "--json")
    young = perfkit(*REMOVE, *aws)
    table = dynamodb_backends["123456789012"]["us-east-1"].tables["Orders"]
    table.created_at = datetime.now(UTC) - timedelta(days=90)
    unread = perfkit(*REMOVE, *aws)
    shown = perfkit(*REMOVE, *aws[:-1]).stdout
    boto3.client("cloudwatch").put_metric_data(
        Namespace="AWS/DynamoDB",
        MetricData=[
            {
                "MetricName": "ConsumedReadCapacityUnits",
                "Dimensions": [
                    {"Name": "TableName", "Value": "Orders"},
                    {"Name": "GlobalSecondaryIndexName", "Value": "ByDay"},
                ],
                "Timestamp": datetime.now(UTC) - timedelta(days=10),
                "Value": 0.5,
            }
        ],
    )

    read = perfkit(*REMOVE, *aws)
    lately = perfkit(*REMOVE, *aws, "--unread-days", "7")

    assert (young.exit_code, "the table is younger than 14 days" in young.stderr) == (2, True)
    assert (unread.exit_code, lately.exit_code) == (0, 0), unread.stderr
    assert json.loads(unread.stdout)["tables"][0]["removals"][0]["read_units"] == 0
    assert "counted no read in the 14 days" in shown
    assert "since when the index is there" in " ".join(shown.split())
    assert read.exit_code == 2
    assert "was read in the last 14 days (0.5 RCU, by CloudWatch)" in read.stderr
