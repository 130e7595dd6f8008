"""`perfkit bench` where an index does not exist: modelled on a twin, against the index once it does."""

import gc
import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from perfkit.cli import app
from perfkit.dynamodb import tables
from perfkit.dynamodb.client import embedded_client
from perfkit.dynamodb.permissions import needs
from perfkit.runs import Run, RunStore
from perfkit.workloads.loader import load

WORKLOAD = """
name = "orders"
description = "An order service"

[tables.Orders]
partition_key = { name = "order_id", type = "S" }
indexes.ByCustomer = { partition_key = { name = "customer", type = "S" } }

[patterns.of-customer]
description = "Orders of a customer"
table = "Orders"
today = "scan-filtered"
parameters = { customer = "c1" }
scan.filter = "customer = :customer"
query.index = "ByCustomer"
query.key_condition = "customer = :customer"

[patterns.paid]
description = "Paid orders of a customer"
table = "Orders"
today = "scan-filtered"
parameters = { customer = "c1", paid = "paid" }
names = { status = "status" }
scan.filter = "customer = :customer AND #status = :paid"
query.index = "ByCustomer"
query.key_condition = "customer = :customer"
query.filter = "#status = :paid"
"""

OPTIONS = ("--workload", "orders.toml", "--data", "data.sqlite3", "--iterations", "1")


@pytest.fixture(autouse=True)
def client(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """
    Return a client of 600 orders that perfkit did not make, in the current folder.

    Of customers c0 to c3 in turn; every hundredth has NULL for its customer.
    """
    monkeypatch.setattr(gc, "collect", lambda: 0)
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(temporary))
    Path("orders.toml").write_text(WORKLOAD, encoding="utf-8")
    client = embedded_client("data.sqlite3")
    client.create_table(
        TableName="Orders",
        KeySchema=[{"AttributeName": "order_id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "order_id", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    items = [
        {
            "order_id": {"S": f"o{number:04}"},
            "customer": {"NULL": True} if number % 100 == 0 else {"S": f"c{number % 4}"},
            "status": {"S": "paid" if number % 3 else "open"},
            "text": {"S": "x" * (100 + number % 200)},
        }
        for number in range(600)
    ]
    for first in range(0, 600, 25):
        puts = [{"PutRequest": {"Item": item}} for item in items[first : first + 25]]
        client.batch_write_item(RequestItems={"Orders": puts})
    return client


def bench(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["bench", *OPTIONS, *arguments])


def saved() -> dict[str, Run]:
    runs, _ = RunStore(Path(".perfkit/runs")).list()
    return {run.scenario: run for run in reversed(runs)}


def create_index(client: Any) -> float:
    """Create the index, and return what asking it for c1 takes."""
    client.update_table(
        TableName="Orders",
        AttributeDefinitions=[
            {"AttributeName": "order_id", "AttributeType": "S"},
            {"AttributeName": "customer", "AttributeType": "S"},
        ],
        GlobalSecondaryIndexUpdates=[
            {
                "Create": {
                    "IndexName": "ByCustomer",
                    "KeySchema": [{"AttributeName": "customer", "KeyType": "HASH"}],
                    "Projection": {"ProjectionType": "ALL"},
                }
            }
        ],
    )
    while any(
        each["IndexStatus"] != "ACTIVE"
        for each in client.describe_table(TableName="Orders")["Table"]["GlobalSecondaryIndexes"]
    ):
        pass
    answer = client.query(
        TableName="Orders",
        IndexName="ByCustomer",
        KeyConditionExpression="customer = :customer",
        ExpressionAttributeValues={":customer": {"S": "c1"}},
        ReturnConsumedCapacity="TOTAL",
    )
    units: float = answer["ConsumedCapacity"]["CapacityUnits"]
    return units


def test_what_an_index_would_take_is_modelled_and_holds_once_it_is_there(client: Any) -> None:
    result = bench("--sample", "200")

    assert result.exit_code == 0
    assert "query (twin)" in result.stdout
    assert "≈ marks figures modelled" in result.stdout
    runs = saved()
    (known,), (sampled,) = runs["of-customer"].modelled, runs["paid"].modelled
    client_units = create_index(client)
    # the items that the scan returned say it exactly; with a filter, a sample says it
    assert known.source == "answer"
    assert known.capacity_units == client_units
    assert known.items_read == 150
    assert sampled.source == "sample"
    low, high = sampled.capacity_units_ci95
    assert low <= client_units <= high
    assert low < high
    # 6 of 600
    assert sampled.violating_share_ci95[0] <= 0.01 <= sampled.violating_share_ci95[1]
    (alone, index) = [each for each in runs["paid"].write_costs if each.declared]
    assert alone.units["insert"] == index.units["insert"] == 1.0
    assert index.units["key-change"] == 2.0
    # nothing is left of the twin, and the target holds what it held
    assert not list(Path("temporary").glob("*"))


def test_a_whole_twin_is_exact_and_filters_count(client: Any) -> None:
    result = bench("--whole", "--scenario", "paid", "--json")

    assert result.exit_code == 0
    assert json.loads(result.stdout)
    (modelled,) = saved()["paid"].modelled
    assert modelled.source == "table"
    assert (modelled.items_read, modelled.items_returned) == (150, 100)
    assert modelled.violating_share == 0.01
    assert modelled.capacity_units_ci95 == (modelled.capacity_units,) * 2
    assert modelled.capacity_units == create_index(client)


def test_a_query_that_finds_other_items_is_never_shown_as_cheaper() -> None:
    text = WORKLOAD.replace('query.filter = "#status = :paid"\n', "")
    Path("orders.toml").write_text(text, encoding="utf-8")

    result = bench("--scenario", "paid")

    assert result.exit_code == 0
    (run,) = saved().values()
    assert run.modelled[0].differs
    assert "fewer RCU" not in result.stdout
    assert any("today's form does not return" in str(each) for each in run.doubts)


def test_a_table_that_nobody_counted_is_not_scaled_by_its_sample(
    client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """AWS describes a new table as empty for hours."""
    described = tables.describe

    def uncounted(connection: Any, name: str) -> Any:
        state = described(connection, name)
        return None if state is None else replace(state, items=0, size_bytes=0)

    monkeypatch.setattr("perfkit.scenarios.twins.describe", uncounted)

    bench("--scenario", "paid", "--sample", "40")
    partly = saved()["paid"]
    bench("--scenario", "paid")

    # a sample of 40 cuts what lies in each of its four segments
    assert partly.modelled == ()
    assert any("does not say how many items" in str(each) for each in partly.doubts)
    # 1,000 would be more than there are: all were read, and counted
    (whole,) = saved()["paid"].modelled
    assert (whole.source, whole.table_items) == ("table", 600)
    assert whole.capacity_units == create_index(client)


@pytest.mark.processes
def test_no_twin_is_left_by_a_process_that_is_ended(tmp_path: Path) -> None:
    code = (
        "import time\n"
        "from perfkit.dynamodb.client import embedded_client\n"
        "from perfkit.scenarios.twins import TwinOptions, Twins\n"
        "from perfkit.workloads.loader import load\n"
        "table = load('orders.toml').table('Orders')\n"
        "with Twins(TwinOptions(), embedded_client('data.sqlite3'), where='here') as twins:\n"
        "    twins.of(table, lambda *_: None)\n"
        "    print('made', flush=True)\n"
        "    time.sleep(600)\n"
    )
    folder = tmp_path / "its-own"
    folder.mkdir()
    with subprocess.Popen(
        [sys.executable, "-c", code],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "TMPDIR": str(folder)},
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline()
        assert list(folder.iterdir())
        process.send_signal(signal.SIGTERM)

    assert not list(folder.iterdir())


def test_without_a_twin_nothing_is_modelled() -> None:
    bench("--no-twin", "--scenario", "paid")
    refused = bench("--no-twin", "--whole")

    assert saved()["paid"].modelled == ()
    assert refused.exit_code == 2
    assert "--whole and --no-twin contradict each other" in refused.stderr


def test_the_policy_for_bench_allows_the_scan_that_a_twin_is_made_by() -> None:
    """Also of what is no scan today: copying the items is one."""
    Path("orders.toml").write_text(
        WORKLOAD[: WORKLOAD.index("[patterns")]
        + """
[patterns.of-order]
description = "An order, if it is a customer's"
table = "Orders"
today = "query"
parameters = { order = "o0001", customer = "c1" }
today_query = { key_condition = "order_id = :order", filter = "customer = :customer" }
query = { index = "ByCustomer", key_condition = "customer = :customer", filter = "order_id = :order" }
""",
        encoding="utf-8",
    )

    assert bench("--sample", "100").exit_code == 0

    assert saved()["of-order"].modelled
    assert needs("bench", load(Path("orders.toml")))["dynamodb:Scan"] == {"table/Orders"}
