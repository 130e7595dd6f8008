"""Every command at tables that somebody else made and filled: nothing in them changes."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from perfkit.cli import app
from perfkit.dynamodb.client import embedded_client

pytestmark = pytest.mark.processes

SHOP = str(Path(__file__).parents[2] / "examples" / "shop.toml")

THEIRS = """
name = "theirs"
description = "A table that is there"

[tables.Shop]
partition_key = { name = "pk", type = "S" }
sort_key = { name = "sk", type = "S" }

[patterns.profile]
description = "One item"
table = "Shop"
parameters = { customer = "CUSTOMER#00001", kind = "PROFILE" }
get = { pk = ":customer", sk = ":kind" }
"""

READING = {
    "BatchGetItem",
    "DescribeTable",
    "GetItem",
    "ListTables",
    "ListTagsOfResource",
    "Query",
    "Scan",
}


def perfkit(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments))


def fill(client: Any) -> None:
    """Make and fill a table as somebody would who never heard of perfkit; its data is dirty."""
    client.create_table(
        TableName="Shop",
        KeySchema=[
            {"AttributeName": "pk", "KeyType": "HASH"},
            {"AttributeName": "sk", "KeyType": "RANGE"},
        ],
        AttributeDefinitions=[
            {"AttributeName": name, "AttributeType": "S"} for name in ("pk", "sk", "status")
        ],
        GlobalSecondaryIndexes=[
            {
                # as the workload calls it, with another key
                "IndexName": "OrdersByStatus",
                "KeySchema": [{"AttributeName": "status", "KeyType": "HASH"}],
                "Projection": {"ProjectionType": "ALL"},
                "ProvisionedThroughput": {"ReadCapacityUnits": 50, "WriteCapacityUnits": 50},
            }
        ],
        ProvisionedThroughput={"ReadCapacityUnits": 500, "WriteCapacityUnits": 500},
    )
    client.get_waiter("table_exists").wait(
        TableName="Shop", WaiterConfig={"Delay": 1, "MaxAttempts": 120}
    )
    for number in range(40):
        # the very keys of the workload's customers
        item = {
            "pk": {"S": f"CUSTOMER#{number:05}"},
            "sk": {"S": "PROFILE"},
            "note": {"S": "precious"},
        }
        client.put_item(TableName="Shop", Item=item)
    for number in range(40):
        item = {"pk": {"S": f"ORDER#{number}"}, "sk": {"S": "HEAD"}, "total": {"S": "twelve"}}
        if number % 3:
            item["status"] = {"S": "open" if number % 2 else "returned"}
        client.put_item(TableName="Shop", Item=item)


def everything(client: Any) -> dict[str, Any]:
    """Return all that a client can see: tables, their indexes, tags and items."""
    found = {}
    for name in client.list_tables()["TableNames"]:
        table = client.describe_table(TableName=name)["Table"]
        items = client.scan(TableName=name, ConsistentRead=True)["Items"]
        try:
            tags = client.list_tags_of_resource(ResourceArn=table["TableArn"])["Tags"]
        except client.exceptions.ClientError:
            tags = None
        found[name] = {
            "id": (table.get("TableId"), table["CreationDateTime"]),
            "count": table["ItemCount"],
            "indexes": sorted(
                (each["IndexName"], str(each["KeySchema"]))
                for each in table["GlobalSecondaryIndexes"]
            ),
            "tags": tags,
            "items": sorted(map(repr, items)),
        }
    return found


COMMANDS: dict[str, tuple[str, ...]] = {
    "seed": ("seed", "--yes"),
    "seed --force": ("seed", "--force", "--yes"),
    "run": ("run", "--yes"),
    "run --patterns-only": ("run", "--patterns-only", "--yes"),
    "create-indexes": ("create-indexes", "--yes"),
    "create-indexes --no-wait": ("create-indexes", "--no-wait", "--yes"),
    "create-indexes --json": ("create-indexes", "--json", "--yes"),
    "clean": ("clean", "--yes"),
    "clean --runs": ("clean", "--runs", "--yes"),
}
"""What would change the tables: refused."""

HARMLESS: dict[str, tuple[str, ...]] = {
    # the one index of the workload that is there differs: it is named and left
    "drop-indexes": ("drop-indexes", "--yes"),
    "create-indexes --dry-run": ("create-indexes", "--dry-run"),
    "status": ("status",),
    "bench": ("bench", "--scenario", "product", "--iterations", "1", "--yes"),
}
THOROUGH: dict[str, tuple[str, ...]] = {
    "bench all": ("bench", "--scenario", "all", "--iterations", "1", "--yes"),
}


def check_all(
    client: Any, *where: str, harmless: dict[str, tuple[str, ...]] = HARMLESS
) -> Iterator[str]:
    """Run every command, compare after each; yields its name when it was as it should be."""
    before = everything(client)
    for name, command in {**COMMANDS, **harmless}.items():
        result = perfkit(*command, "--workload", SHOP, *where)

        if name in COMMANDS:
            assert result.exit_code == 2, (name, result.output)
            assert "does not carry perfkit's mark" in result.stderr, (name, result.output)
            assert "Nothing was changed" in result.stderr
            assert (
                "which perfkit did not create" in result.stderr or "create index" in result.stderr
            )
        assert everything(client) == before, name
        yield name


def test_no_command_changes_a_table_on_a_server(
    stand_in: str, client_of: Callable[[str], Any], record: Callable[[str], Any]
) -> None:
    client = client_of(stand_in)
    fill(client)
    recorder = record(stand_in)

    checked = list(check_all(client, "--target", recorder.url))

    assert len(checked) == len(COMMANDS) + len(HARMLESS)
    # not even tried
    assert set(recorder.operations) <= READING
    assert recorder.operations["Scan"]


def test_no_command_changes_a_table_that_perfkit_serves(
    start_server: Callable[..., Any], client_of: Callable[[str], Any], tmp_path: Path
) -> None:
    with start_server(tmp_path / "somebodys.sqlite3") as (url, _):
        client = client_of(url)
        fill(client)

        assert list(check_all(client, "--target", url))


def test_no_command_changes_a_table_in_the_embedded_file() -> None:
    client = embedded_client()
    fill(client)

    assert list(check_all(client, harmless={**HARMLESS, **THOROUGH}))


THREE = """
name = "three"
description = "Three tables, of which the last is there already"
"""
for _name in ("First", "Second", "Third"):
    THREE += f"""
[tables.{_name}]
items = 30
item_size = 100
partition_key = "id"

[tables.{_name}.attributes]
id = {{ kind = "sequence" }}
color = {{ kind = "choice", values = ["red", "blue"] }}
notes = {{ kind = "padding" }}

[tables.{_name}.indexes]
By{_name} = {{ partition_key = "color" }}
"""


def test_all_tables_are_checked_before_the_first_is_made(tmp_path: Path) -> None:
    (tmp_path / "perfkit.toml").write_text(THREE)
    client = embedded_client()
    client.create_table(
        TableName="Third",
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "N"}],
        BillingMode="PAY_PER_REQUEST",
    )

    results = [perfkit(command, "--yes") for command in ("seed", "run")]

    assert [result.exit_code for result in results] == [2, 2]
    assert client.list_tables()["TableNames"] == ["Third"]


def test_all_tables_are_checked_before_the_first_index_is_made(tmp_path: Path) -> None:
    (tmp_path / "perfkit.toml").write_text(THREE)
    assert perfkit("seed").exit_code == 0
    client = embedded_client()
    arn = client.describe_table(TableName="Third")["Table"]["TableArn"]
    client.untag_resource(ResourceArn=arn, TagKeys=["created-by"])

    result = perfkit("create-indexes", "--yes")

    assert result.exit_code == 2
    first = client.describe_table(TableName="First")["Table"]
    assert "GlobalSecondaryIndexes" not in first


@pytest.mark.parametrize("command", ["serve", "up"])
def test_no_service_writes_into_somebody_elses_enrollments(command: str) -> None:
    assert perfkit("seed", "--scale", "0.01", "--processes", "1").exit_code == 0
    client = embedded_client()
    arn = client.describe_table(TableName="Enrollments")["Table"]["TableArn"]
    client.untag_resource(ResourceArn=arn, TagKeys=["created-by"])

    result = perfkit(command, "--phase", "0", "--port", "0")

    assert result.exit_code == 2
    assert "table Enrollments in the embedded engine" in result.stderr


def test_reading_somebodys_tables_through_an_address_is_asked_for(
    start_server: Callable[..., Any], client_of: Callable[[str], Any], tmp_path: Path
) -> None:
    """What listens on this machine may be a tunnel to where reading costs money."""
    with start_server(tmp_path / "somebodys.sqlite3") as (url, _):
        fill(client_of(url))

        workload = tmp_path / "theirs.toml"
        workload.write_text(THEIRS)
        common = ("--iterations", "1", "--workload", str(workload), "--target", url)
        results = [perfkit("bench", *common), perfkit("run", "--patterns-only", *common)]

    for result in results:
        assert result.exit_code == 2
        assert "Read Shop, which perfkit did not create" in result.stderr
        assert "add --yes" in result.stderr
