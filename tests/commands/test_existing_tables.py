"""Tables that the workload says exist: every command that writes leaves them alone and says so."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from perfkit.cli import app
from perfkit.dynamodb.client import embedded_client

WORKLOAD = """
name = "mixed"
description = "A table that is there and one that perfkit makes"

[tables.Orders]
partition_key = { name = "order_id", type = "S" }

[tables.Orders.indexes]
ByStatus = { partition_key = { name = "status", type = "S" } }

[tables.Made]
items = 3
partition_key = "id"
attributes = { id = { kind = "sequence" }, group = "a" }

[tables.Made.indexes]
ByGroup = { partition_key = "group" }

[patterns.by-status]
description = "Orders of a status"
table = "Orders"
parameters_from = "sample"
names = { status = "status" }
today = "scan-filtered"
scan.filter = "#status = :status"
"""

LEFT_ALONE = "Left alone: Orders, which the workload says exists without perfkit."


@pytest.fixture
def orders() -> Any:
    """Return a client on the data file, with a table in it that somebody else made."""
    Path("perfkit.toml").write_text(WORKLOAD)
    Path(".perfkit").mkdir()
    client = embedded_client(".perfkit/dynamodb.sqlite3")
    client.create_table(
        TableName="Orders",
        KeySchema=[{"AttributeName": "order_id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "order_id", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    for number in range(5):
        item = {"order_id": {"S": f"O{number}"}, "status": {"S": "open"}}
        client.put_item(TableName="Orders", Item=item)
    return client


def perfkit(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments))


def test_the_main_job_makes_its_own_table_and_reads_the_other(orders: Any) -> None:
    result = perfkit("run", "--iterations", "1", "--patterns-only")

    assert result.exit_code == 0, result.stderr
    assert LEFT_ALONE in result.stderr
    assert "Seeded 3 items in 1 tables" in result.stderr
    assert "Created 1 of 1 indexes" in result.stderr
    assert "by-status" in result.stdout
    assert "scan-filtered" in result.stdout
    described = orders.describe_table(TableName="Orders")["Table"]
    assert "GlobalSecondaryIndexes" not in described
    assert orders.scan(TableName="Orders")["Count"] == 5

    status = json.loads(perfkit("status", "--json").stdout)
    assert [(table["name"], table["made"]) for table in status["tables"]] == [
        ("Orders", False),
        ("Made", True),
    ]
    for command in ("seed", "create-indexes", "drop-indexes"):
        again = perfkit(command)
        assert (again.exit_code, LEFT_ALONE in again.stderr) == (0, True)
    cleaned = perfkit("clean", "--yes")
    assert (cleaned.exit_code, LEFT_ALONE in cleaned.stderr) == (0, True)
    assert orders.list_tables()["TableNames"] == ["Orders"]


QUERY = """
query.index = "ByStatus"
query.key_condition = "#status = :status"
"""


@pytest.mark.usefixtures("orders")
def test_the_main_job_shows_what_an_index_would_change_as_bench_does() -> None:
    Path("perfkit.toml").write_text(WORKLOAD + QUERY)

    result = perfkit("run", "--iterations", "1", "--patterns-only")

    assert result.exit_code == 0, result.stderr
    assert "query (twin)" in result.stdout, result.stdout


def test_an_index_that_is_asked_for_by_name_is_refused(orders: Any) -> None:
    result = perfkit("create-indexes", "--index", "ByStatus")

    assert result.exit_code == 2
    assert "index ByStatus is on Orders, a table that perfkit did not create" in result.stderr
    assert "`perfkit migrate plan` plans it" in result.stderr
    assert "GlobalSecondaryIndexes" not in orders.describe_table(TableName="Orders")["Table"]


@pytest.mark.usefixtures("orders")
def test_indexes_of_existing_tables_are_for_a_plan() -> None:
    made = WORKLOAD.index("[tables.Made]"), WORKLOAD.index("[patterns")
    Path("perfkit.toml").write_text(WORKLOAD[: made[0]] + WORKLOAD[made[1] :])

    result = perfkit("create-indexes")

    assert result.exit_code == 0
    assert LEFT_ALONE in result.stderr
    assert "Next: perfkit migrate plan" in result.stderr


@pytest.mark.usefixtures("orders")
def test_nothing_is_advised_that_is_refused_where_a_table_is_somebody_elses() -> None:
    """The workload says that perfkit makes it, and it carries no mark."""
    Path("perfkit.toml").write_text("""
name = "mistaken"
description = "A table that somebody else made"

[tables.Orders]
items = 10
partition_key = "order_id"
attributes = { order_id = { kind = "sequence", format = "O{}" }, status = "open" }

[tables.Orders.indexes]
ByStatus = { partition_key = "status" }
""")

    status, doctor = perfkit("status"), perfkit("doctor")

    assert perfkit("create-indexes", "--yes").exit_code == 2
    for said in (status.output, doctor.output):
        assert "create-indexes" not in said
        assert "`perfkit migrate plan`" in " ".join(said.split())
    assert "perfkit did not create Orders" in " ".join(status.output.split())
    assert re.search("table Orders: .* perfkit did not create it", " ".join(doctor.output.split()))


def bench_of(old: str, new: str) -> Result:
    Path("perfkit.toml").write_text(WORKLOAD.replace(old, new))
    return perfkit("bench", "--iterations", "1")


@pytest.mark.usefixtures("orders")
def test_a_workload_that_names_a_table_or_its_key_wrongly_is_told_what_is_there() -> None:
    misspelt = bench_of("Orders", "Order")
    assert misspelt.exit_code == 3
    assert "no table Order on the embedded engine" in misspelt.stderr
    assert "did you mean 'Orders'?" in misspelt.stderr
    assert "seed" not in misspelt.stderr

    wrong = bench_of('"order_id", type = "S"', '"order_id", type = "B"')
    assert wrong.exit_code == 3
    assert "its key is order_id (S), the workload wants order_id (B)" in wrong.stderr


@pytest.mark.usefixtures("orders")
def test_doctor_fails_where_the_workload_is_wrong_and_not_where_it_proposes() -> None:
    proposed = perfkit("doctor", "--json")
    assert proposed.exit_code == 0
    checks = {each["name"]: each for each in json.loads(proposed.stdout)["checks"]}
    assert checks["table Orders"]["state"] == "ok"
    assert "proposed: ByStatus" in checks["table Orders"]["found"]

    for old, new, said in (
        ('type = "S" } }', 'type = "S" }, exists = true }', "no index ByStatus"),
        ('"order_id", type = "S"', '"id", type = "B"', "its key is order_id (S), the workload"),
    ):
        Path("perfkit.toml").write_text(WORKLOAD.replace(old, new))
        wrong = perfkit("doctor")
        assert wrong.exit_code == 3
        assert f"failed      table Orders: {said}" in wrong.stdout


@pytest.mark.usefixtures("orders")
def test_a_workload_without_patterns_is_nothing_to_measure() -> None:
    Path("perfkit.toml").write_text(WORKLOAD.partition("[patterns")[0])

    result = perfkit("bench", "--yes")

    assert result.exit_code == 2
    assert "nothing to measure: no pattern in workload mixed (perfkit.toml)" in result.stderr
    assert perfkit("run", "--patterns-only").exit_code == 2
    # it is known before anything is made
    assert not json.loads(perfkit("status", "--json").stdout)["tables"][1]["items"]


@pytest.mark.usefixtures("orders")
def test_several_tables_that_exist_are_spoken_of_as_several() -> None:
    made = WORKLOAD.index("[tables.Made]"), WORKLOAD.index("[patterns")
    more = '[tables.More]\npartition_key = { name = "id", type = "S" }\n\n'
    Path("perfkit.toml").write_text(WORKLOAD[: made[0]] + more + WORKLOAD[made[1] :])

    assert (
        "mixed, 2 tables (exist already), 1 index"
        in perfkit("workload", "validate", "perfkit.toml").stdout
    )
    assert "Orders, More, which the workload says exist without perfkit." in perfkit("seed").stderr


def test_a_forgotten_workload_is_not_answered_with_seeding_alone(server: str) -> None:
    result = perfkit("bench", "--target", server, "--yes")

    assert result.exit_code == 3
    assert "courses is built in" in result.stderr
    assert "`perfkit init` writes one" in result.stderr
