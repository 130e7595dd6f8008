"""Which items belong in an index, and the count after it was created."""

import base64
import functools
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import boto3
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from moto import mock_aws
from typer.testing import CliRunner, Result

from perfkit.cli import app
from perfkit.dynamodb.client import embedded_client
from perfkit.dynamodb.connection import ClientConnection
from perfkit.dynamodb.index_items import violations
from perfkit.dynamodb.tables import Keys, TableState, describe

KEYS = Keys(partition=(("who", "S"),), sort=(("when", "N"),))
BINARY = Keys(partition=(("who", "B"),), sort=(("part", "S"),))

# the limits are AWS's: 2,048 bytes of a partition key, 1,024 of a sort key
CASES = [
    pytest.param({"who": {"S": "a"}, "when": {"N": "1"}}, KEYS, [], id="belongs"),
    pytest.param({"when": {"N": "1"}}, KEYS, [("who", "missing")], id="missing"),
    pytest.param({"who": {"NULL": True}, "when": {"N": "1"}}, KEYS, [("who", "NULL")], id="NULL"),
    pytest.param({"who": {"N": "7"}, "when": {"N": "1"}}, KEYS, [("who", "type")], id="type"),
    pytest.param({"who": {"S": ""}, "when": {"N": "1"}}, KEYS, [("who", "empty")], id="empty"),
    pytest.param({"who": {"S": "é" * 1_024}, "when": {"N": "1"}}, KEYS, [], id="2,048 bytes"),
    pytest.param(
        {"who": {"S": "é" * 1_024 + "e"}, "when": {"N": "1"}},
        KEYS,
        [("who", "too long")],
        id="2,049 bytes",
    ),
    pytest.param(
        {"who": {"S": ""}, "when": {"S": "1"}},
        KEYS,
        [("who", "empty"), ("when", "type")],
        id="both",
    ),
    pytest.param({"who": {"B": b"\0" * 2_048}, "part": {"S": "x" * 1_024}}, BINARY, [], id="bytes"),
    pytest.param(
        {"who": {"B": base64.b64encode(b"\0" * 2_048).decode()}, "part": {"S": "x" * 1_025}},
        BINARY,
        [("part", "too long")],
        id="base64",
    ),
    pytest.param(
        {"who": {"B": base64.b64encode(b"\0" * 2_049).decode()}, "part": {"S": "x"}},
        BINARY,
        [("who", "too long")],
        id="base64 too long",
    ),
]


@pytest.mark.parametrize(("item", "keys", "expected"), CASES)
def test_each_reason_is_named(item: Any, keys: Keys, expected: list[tuple[str, str]]) -> None:
    assert [(each.attribute, str(each.reason)) for each in violations(item, keys)] == expected


VALUES = st.one_of(
    st.just({"S": ""}),
    st.integers(1_000, 2_100).map(lambda size: {"S": "x" * size}),
    st.integers(0, 99).map(lambda number: {"N": str(number)}),
    st.just({"NULL": True}),
    st.just({"B": b"x"}),
    st.just({"SS": ["x"]}),
)


# each makes an engine; the cases above hold the limits
@settings(max_examples=20)
@given(
    items=st.lists(
        st.dictionaries(st.sampled_from(["who", "when"]), VALUES), min_size=1, max_size=15
    )
)
def test_the_rule_is_the_engines(session: boto3.Session, items: list[dict[str, Any]]) -> None:
    """The engine leaves out what AWS leaves out; see its own tests."""
    client = embedded_client(":memory:", session=session)
    client.create_table(
        TableName="things",
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "N"}],
        BillingMode="PAY_PER_REQUEST",
    )
    for number, item in enumerate(items):
        client.put_item(TableName="things", Item={"id": {"N": str(number)}, **item})
    schema, definitions = KEYS.to_wire()
    creation = {
        "IndexName": "ByWho",
        "KeySchema": schema,
        "Projection": {"ProjectionType": "KEYS_ONLY"},
    }
    client.update_table(
        TableName="things",
        AttributeDefinitions=definitions,
        GlobalSecondaryIndexUpdates=[{"Create": creation}],
    )
    while client.describe_table(TableName="things")["Table"]["TableStatus"] != "ACTIVE":
        pass

    entries = client.scan(TableName="things", IndexName="ByWho")["Items"]

    belonging = [number for number, item in enumerate(items) if not violations(item, KEYS)]
    assert sorted(int(entry["id"]["N"]) for entry in entries) == belonging


# ---- the commands ----------------------------------------------------------------------------------

WORKLOAD = """
name = "orders"
description = "Orders"

[tables.Orders]
items = {items}
item_size = 150
partition_key = "order_id"

[tables.Orders.attributes]
order_id = {{ kind = "sequence" }}
{attribute} = {kind}
notes = {{ kind = "padding" }}

[tables.Orders.indexes]
ByCustomer = {{ partition_key = "{attribute}" }}
"""
TEXT = '{ kind = "choice", values = ["c1", "c2", "c3"] }'
NUMBER = '{ kind = "integer", min = 1, max = 3 }'
SPARSE = '{ kind = "choice", values = ["c1", "c2"], present = 0.05 }'


def perfkit(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments))


def workload(attribute: str = "customer_id", kind: str = TEXT, items: int = 200) -> None:
    Path("perfkit.toml").write_text(WORKLOAD.format(attribute=attribute, kind=kind, items=items))


def seeded(*, kind: str = TEXT, items: int = 200) -> Any:
    """Seed the workload; return a client that may put other items in."""
    workload(kind=kind, items=items)
    result = perfkit("seed", "--processes", "1")
    assert result.exit_code == 0, result.output
    return embedded_client()


def put(client: Any, number: int, value: dict[str, Any] | None) -> None:
    item = {"order_id": {"N": str(10_000 + number)}}
    if value is not None:
        item["customer_id"] = value
    client.put_item(TableName="Orders", Item=item)


def has_index(client: Any) -> bool:
    return "GlobalSecondaryIndexes" in client.describe_table(TableName="Orders")["Table"]


@pytest.mark.parametrize("command", [("create-indexes",), ("create-indexes", "--no-wait")])
def test_a_type_that_the_items_have_not_is_an_error_before_anything_is_created(
    command: tuple[str, ...],
) -> None:
    client = seeded()
    for number in range(53):
        put(client, number, {"N": "7"})
    workload(kind=NUMBER)

    result = perfkit(*command)

    assert result.exit_code == 2
    assert (
        "index ByCustomer of Orders wants customer_id as N, and 200 of the 253 items that have it"
        " hold it as S" in result.stderr
    )
    assert not has_index(client)


def test_an_attribute_that_is_mostly_null_is_no_mistake_of_the_workload() -> None:
    client = seeded()
    for number in range(300):
        put(client, number, {"NULL": True})

    result = perfkit("create-indexes")

    assert result.exit_code == 4
    assert "300 have NULL in customer_id" in result.stderr
    assert has_index(client)


def test_a_misspelt_attribute_is_an_error_before_anything_is_created() -> None:
    client = seeded()
    workload(attribute="custmer_id")

    result = perfkit("create-indexes")

    assert result.exit_code == 2
    assert (
        "index ByCustomer of Orders wants custmer_id (S), and none of the table's 200 items has it"
        " (there is customer_id)" in result.stderr
    )
    assert not has_index(client)


@pytest.mark.parametrize("options", [(), ("--dry-run",)])
def test_a_type_that_the_table_defines_otherwise_is_an_error(options: tuple[str, ...]) -> None:
    client = seeded()
    client.update_table(
        TableName="Orders",
        AttributeDefinitions=[
            {"AttributeName": "order_id", "AttributeType": "N"},
            {"AttributeName": "customer_id", "AttributeType": "S"},
        ],
        GlobalSecondaryIndexUpdates=[
            {
                "Create": {
                    "IndexName": "Other",
                    "KeySchema": [{"AttributeName": "customer_id", "KeyType": "HASH"}],
                    "Projection": {"ProjectionType": "ALL"},
                }
            }
        ],
    )
    workload(kind=NUMBER)

    result = perfkit("create-indexes", *options)

    assert result.exit_code == 2
    assert "wants customer_id as N, and the table defines it as S" in result.stderr
    table = client.describe_table(TableName="Orders")["Table"]
    assert [index["IndexName"] for index in table["GlobalSecondaryIndexes"]] == ["Other"]


def test_what_an_index_lacks_is_said_with_its_size_and_why() -> None:
    client = seeded()
    values: list[dict[str, Any] | None] = [
        *[{"N": "7"}] * 5,
        *[{"S": ""}] * 4,
        *[{"S": "x" * 2_049}] * 3,
        *[{"NULL": True}] * 2,
        None,
    ]
    for number, value in enumerate(values):
        put(client, number, value)

    result = perfkit("create-indexes", "--json")

    assert result.exit_code == 4
    (index,) = json.loads(result.stdout)["indexes"]
    assert (index["items"], index["items_that_belong"], index["entries"]) == (215, 200, 200)
    said = index["shortfall"]
    assert said.startswith("index ByCustomer of Orders holds 200 of 215 items: ")
    for part in (
        "5 have customer_id as N, where it wants S",
        "4 have an empty customer_id",
        "3 have a customer_id of more than 2,048 bytes",
        "2 have NULL in customer_id",
        "1 lacks customer_id",
    ):
        assert part in said
    assert said in result.stderr


def test_a_run_says_it_too_and_measures_all_the_same() -> None:
    client = seeded()
    put(client, 1, {"S": ""})
    text = Path("perfkit.toml").read_text()
    Path("perfkit.toml").write_text(
        text
        + """
[patterns.customer]
description = "Orders of a customer"
table = "Orders"
parameters = { customer = "c1" }
scan.filter = "customer_id = :customer"
query.index = "ByCustomer"
query.key_condition = "customer_id = :customer"
"""
    )

    result = perfkit("run", "--patterns-only", "--iterations", "1")

    assert result.exit_code == 4, result.output
    assert "holds 200 of 201 items: 1 has an empty customer_id" in result.stderr
    assert "customer" in result.stdout
    again = perfkit("run", "--patterns-only", "--iterations", "1")
    assert again.exit_code == 4
    assert "holds 200 of 201 items: 1 has an empty customer_id" in again.stderr


def test_what_an_index_lacks_is_said_as_long_as_it_does() -> None:
    client = seeded()
    put(client, 1, {"S": ""})
    put(client, 2, {"N": "7"})

    results = [perfkit("create-indexes", "--json") for _ in range(2)]
    plain = perfkit("create-indexes")
    for number in (1, 2):
        client.delete_item(TableName="Orders", Key={"order_id": {"N": str(10_000 + number)}})
    mended = perfkit("create-indexes", "--json")

    first, second = (json.loads(result.stdout)["indexes"][0] for result in results)
    assert (first["change"], second["change"]) == ("created", "already there")
    assert [result.exit_code for result in (*results, plain)] == [4, 4, 4]
    assert first["shortfall"] == second["shortfall"] != ""
    assert second["shortfall"] in plain.stderr
    assert mended.exit_code == 0
    (index,) = json.loads(mended.stdout)["indexes"]
    assert (index["items"], index["entries"], index["shortfall"]) == (200, 200, "")


def test_an_index_made_with_a_wrong_type_says_so_whenever_it_is_looked_at() -> None:
    client = seeded()
    for number in range(53):
        put(client, number, {"N": "7"})
    client.update_table(
        TableName="Orders",
        AttributeDefinitions=[{"AttributeName": "customer_id", "AttributeType": "N"}],
        GlobalSecondaryIndexUpdates=[
            {
                "Create": {
                    "IndexName": "ByCustomer",
                    "KeySchema": [{"AttributeName": "customer_id", "KeyType": "HASH"}],
                    "Projection": {"ProjectionType": "ALL"},
                }
            }
        ],
    )
    while client.describe_table(TableName="Orders")["Table"]["TableStatus"] != "ACTIVE":
        pass
    workload(kind=NUMBER)

    result = perfkit("create-indexes")

    assert result.exit_code == 4
    assert (
        "index ByCustomer of Orders holds 53 of 253 items: 200 have customer_id as S, where it"
        " wants N" in result.stderr
    )


@pytest.mark.parametrize("command", ["create-indexes", "seed", "run"])
def test_a_rate_that_nothing_keeps_is_refused(command: str) -> None:
    seeded()

    result = perfkit(command, "--max-rcu", "0")

    assert result.exit_code == 2
    assert "--max-rcu must be above 0 units a second, got 0" in result.stderr


@pytest.fixture
def _account(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An account as moto plays it, polled without waiting as long as AWS takes."""
    from perfkit.dynamodb import indexes

    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    for function in (indexes.apply, indexes.count):
        quick = functools.partial(function, pause=lambda _: None)
        monkeypatch.setattr(indexes, function.__name__, quick)
    with mock_aws():
        yield


AWS = ("--target", "aws", "--yes")


@pytest.mark.usefixtures("_account")
def test_on_aws_all_reads_are_in_the_preview(monkeypatch: pytest.MonkeyPatch) -> None:
    workload()
    perfkit("seed", "--processes", "1", *AWS)
    client = boto3.client("dynamodb")
    scans = []
    send = ClientConnection.execute

    def execute(connection: Any, operation: str, request: Any) -> dict[str, Any]:
        answer = send(connection, operation, request)
        if operation == "Scan":
            scans.append(request.get("IndexName", request["TableName"]))
            # an index that lacks an entry, and no read helps
            answer["Count"] -= request.get("IndexName") == "ByCustomer"
        return answer

    monkeypatch.setattr(ClientConnection, "execute", execute)

    result = perfkit("create-indexes", *AWS)

    # 200 items of 150 bytes, strongly consistent: 30,000 / 4,096 are 8 units; entries of 250 bytes,
    # eventually consistent: 50,000 / 4,096 are 13 halves. Twice, because one is missing
    assert "about 200 write and 29 read units" in result.stderr
    assert scans == ["Orders", "ByCustomer"] * 2
    assert result.exit_code == 4
    table = client.describe_table(TableName="Orders")["Table"]
    assert table["GlobalSecondaryIndexes"][0]["IndexStatus"] == "ACTIVE"


@pytest.mark.usefixtures("_account")
def test_on_aws_what_was_there_is_not_counted_and_it_is_said_how_to() -> None:
    workload()
    perfkit("seed", "--processes", "1", *AWS)
    assert perfkit("create-indexes", *AWS).exit_code == 0

    result = perfkit("create-indexes", "--target", "aws", "--max-cost", "0")

    assert result.exit_code == 0
    assert "Already there: ByCustomer" in result.stdout
    assert (
        "aws dynamodb scan --table-name Orders --index-name ByCustomer --select COUNT"
        in result.stderr
    )


@pytest.mark.usefixtures("_account")
def test_on_aws_the_estimate_follows_the_scale_a_table_was_filled_at(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """AWS counts a table's items every six hours, so right after seeding it knows of none."""
    from perfkit.dynamodb import indexes

    workload()
    perfkit("seed", "--processes", "1", "--scale", "5", *AWS)

    def describe_late(*given: Any) -> TableState:
        state = describe(*given)
        assert state is not None
        return replace(state, items=0)

    monkeypatch.setattr(indexes, "describe", describe_late)

    result = perfkit("create-indexes", *AWS)

    assert "create index ByCustomer on table Orders, copying about 1,000 items" in result.stderr


def test_an_index_that_is_meant_to_be_sparse_is_no_alarm() -> None:
    client = seeded(kind=SPARSE)

    result = perfkit("create-indexes", "--json")

    assert (result.exit_code, result.stderr) == (0, "Creating 1 index\n")
    (index,) = json.loads(result.stdout)["indexes"]
    having = client.scan(TableName="Orders", FilterExpression="attribute_exists(customer_id)")
    assert 0 < index["entries"] == index["items_that_belong"] == having["Count"] < 200


def test_a_sparse_index_may_be_empty() -> None:
    """Of ten items with an attribute in one of twenty, none is no mistake."""
    client = seeded(kind=SPARSE, items=10)
    for item in client.scan(TableName="Orders")["Items"]:
        client.put_item(TableName="Orders", Item={"order_id": item["order_id"]})

    result = perfkit("create-indexes", "--json")

    assert result.exit_code == 0, result.stderr
    assert json.loads(result.stdout)["indexes"][0]["entries"] == 0


def test_entries_that_a_target_loses_are_missed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Looked for again a few times, because an index lags behind its table."""
    from perfkit.dynamodb import indexes
    from perfkit.dynamodb.index_items import shortfall
    from perfkit.dynamodb.targets import Target
    from perfkit.workloads.loader import load

    seeded()
    target, read = Target(), load(None)
    plans = indexes.plan(target, read)
    checks = indexes.check_items(target, plans)
    changes = indexes.apply(target, plans, indexes.Goal.PRESENT, pause=lambda _: None)
    counted = iter([150, 160, 170, 180, 190, 195])
    monkeypatch.setattr("perfkit.dynamodb.indexes.count_entries", lambda *_, **__: next(counted))
    waits: list[float] = []

    (count,) = indexes.count(target, plans, checks, changes, pause=waits.append)

    assert shortfall(count) == (
        "index ByCustomer of Orders holds 195 of 200 items: 5 have its keys and are not in it all"
        " the same"
    )
    assert waits == [1.0] * 5
