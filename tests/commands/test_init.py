"""`perfkit init` at tables that somebody else made: what it writes, and that it only reads."""

import json
import re
import stat
import tomllib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from perfkit.cli import app
from perfkit.dynamodb.client import embedded_client
from perfkit.dynamodb.sample import SampleLimits

READING = {"DescribeTable", "ListTables", "ListTagsOfResource", "Scan"}


def perfkit(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments))


def create(client: Any, name: str, keys: str, **more: Any) -> None:
    """Create a table whose keys are written `id:S at:N`."""
    parts = [part.split(":") for part in keys.split()]
    types = dict(parts) | more.pop("types", {})
    client.create_table(
        TableName=name,
        KeySchema=[
            {"AttributeName": part[0], "KeyType": kind}
            for part, kind in zip(parts, ("HASH", "RANGE"), strict=False)
        ],
        AttributeDefinitions=[
            {"AttributeName": each, "AttributeType": kind} for each, kind in types.items()
        ],
        BillingMode="PAY_PER_REQUEST",
        **more,
    )
    client.get_waiter("table_exists").wait(
        TableName=name, WaiterConfig={"Delay": 1, "MaxAttempts": 120}
    )


def fill(client: Any, name: str, items: list[dict[str, Any]]) -> None:
    for first in range(0, len(items), 25):
        puts = [{"PutRequest": {"Item": item}} for item in items[first : first + 25]]
        client.batch_write_item(RequestItems={name: puts})


def make_shop(client: Any, *, binary: bool = True) -> None:
    """Make tables of every awkward sort: dirty data, odd names, indexes, no items."""
    create(
        client,
        "Orders",
        "order_id:S",
        types={"customer": "S"},
        GlobalSecondaryIndexes=[
            {
                "IndexName": "OrdersByCustomer",
                "KeySchema": [{"AttributeName": "customer", "KeyType": "HASH"}],
                "Projection": {"ProjectionType": "KEYS_ONLY"},
            }
        ],
    )
    orders = [
        {
            "order_id": {"S": f"o-{number:04}"},
            "customer": {"S": f"c-{number % 17}"},
            # a reserved word
            "status": {"S": "open" if number % 2 else "sent"} if number % 3 else {"NULL": True},
            "lines": {"L": [{"M": {"sku": {"S": "a"}}}]},
            "secret": {"S": f"diary of {number}"},
            # one that tells nothing apart, and one that few have
            "currency": {"S": "USD" if number == 7 else "EUR"},
            **({"parked": {"S": "yes"}} if number < 8 else {}),
        }
        for number in range(120)
    ]
    fill(client, "Orders", orders)
    create(client, "my.app-Shop", "pk:S sk:N", types={"alt key": "S"}, **_local("alt key"))
    fill(
        client,
        "my.app-Shop",
        [
            {
                "pk": {"S": f'say "{number % 9}" \u00ad\n'},
                "sk": {"N": f"{number}.5"},
                "alt key": {"S": f"{number}"},
                "wéird #1": {"S": f"w{number % 4}"},
            }
            for number in range(40)
        ],
    )
    create(client, "empty", "id:N")
    if binary:
        create(client, "Bytes", "id:B")
        fill(client, "Bytes", [{"id": {"B": bytes([number, 255])}} for number in range(9)])


def _local(name: str) -> dict[str, Any]:
    keys = [("pk", "HASH"), (name, "RANGE")]
    return {
        "LocalSecondaryIndexes": [
            {
                "IndexName": "alternative",
                "KeySchema": [{"AttributeName": key, "KeyType": kind} for key, kind in keys],
                "Projection": {"ProjectionType": "ALL"},
            }
        ]
    }


def with_proposals(text: str) -> str:
    """Return a file in which every proposed pattern is active, as if its `# ` had been taken away."""
    lines, inside = [], False
    for line in text.splitlines():
        inside = line.startswith("#") and (inside or bool(re.match(r"# \[(patterns|tables)", line)))
        lines.append(line.removeprefix("#").removeprefix(" ") if inside else line)
    return "\n".join(lines)


@pytest.mark.processes
def test_what_it_wrote_is_measured_without_an_edit(
    server: str, client_of: Callable[[str], Any], record: Callable[[str], Any]
) -> None:
    client = client_of(server)
    make_shop(client)
    recorder = record(server)

    result = perfkit("init", "--target", recorder.url, "--yes")

    assert result.exit_code == 0, result.output
    assert set(recorder.operations) <= READING
    file = Path("perfkit.toml")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert "0600" in result.stderr
    text = file.read_text()
    # values of what is no key stay where they are
    assert "diary" not in text
    written = tomllib.loads(text)
    assert written["tables"].keys() == {"Orders", "my.app-Shop", "empty", "Bytes"}
    assert written["patterns"].keys() == {"orders-by-key", "my-app-shop-by-key", "bytes-by-key"}
    for parameters in written["patterns"]["orders-by-key"]["parameters"]:
        key = {"order_id": {"S": parameters["order_id"]}}
        assert "Item" in client.get_item(TableName="Orders", Key=key)
    for content in (text, with_proposals(text)):
        file.write_text(content)
        checked = perfkit("workload", "validate", "perfkit.toml")
        assert checked.exit_code == 0, checked.output

        measured = perfkit("bench", "--iterations", "1", "--yes")

        assert measured.exit_code == 0, measured.output
    assert set(recorder.operations) <= READING | {"GetItem", "Query"}


def test_on_stand_ins_too(stand_in: str, client_of: Callable[[str], Any]) -> None:
    # moto fails at a parallel scan of binary keys
    make_shop(client_of(stand_in), binary=False)

    result = perfkit("init", "--target", stand_in, "--yes")

    assert result.exit_code == 0, result.output
    measured = perfkit("bench", "--iterations", "1", "--yes")
    assert measured.exit_code == 0, measured.output


def test_it_says_what_is_there_as_the_target_describes_it() -> None:
    make_shop(embedded_client())

    result = perfkit("init", "--json")

    assert result.exit_code == 0, result.output
    # shown before, though nothing is asked in one's own file
    assert "my.app-Shop: read up to 1,000 of about 40 items" in result.stderr
    tables = {each["name"]: each for each in json.loads(result.stdout)["tables"]}
    orders = tables["Orders"]
    assert (orders["items"], orders["indexes"]) == (120, ["OrdersByCustomer"])
    assert orders["sample"]["whole_table"]
    attributes = {each["name"]: each for each in orders["attributes"]}
    assert attributes["status"]["types"] == {"S": 80, "NULL": 40}
    assert attributes["customer"]["distinct"] == {"value": 17, "low": 17, "high": 17}
    assert orders["proposed_patterns"] == [
        "orders-by-customer",
        "orders-by-parked",
        "orders-by-status",
    ]
    assert tables["empty"]["patterns"] == []
    text = Path("perfkit.toml").read_text()
    assert "Beware: 40 sampled items of 120 with status" in text
    shop = tomllib.loads(text)["tables"]["my.app-Shop"]
    assert shop["sort_key"] == {"name": "sk", "type": "N"}
    assert shop["indexes"]["alternative"] == {
        "partition_key": {"name": "pk", "type": "S"},
        "sort_key": {"name": "alt key", "type": "S"},
        "projection": "ALL",
        "exists": True,
        "local": True,
    }


@pytest.mark.processes
def test_nothing_is_read_of_somebodys_tables_unasked(
    start_server: Callable[..., Any],
    client_of: Callable[[str], Any],
    record: Callable[[str], Any],
    tmp_path: Path,
) -> None:
    with start_server(tmp_path / "data.sqlite3") as (url, _):
        create(client_of(url), "things", "id:S")
        recorder = record(url)

        result = perfkit("init", "--target", recorder.url)

    assert result.exit_code == 2
    assert "which perfkit did not create" in result.stderr
    assert "add --yes" in result.stderr
    assert "Scan" not in recorder.operations
    assert not Path("perfkit.toml").exists()


@pytest.mark.processes
def test_a_table_that_is_deleted_meanwhile_is_left_out(
    start_server: Callable[..., Any],
    client_of: Callable[[str], Any],
    record: Callable[[str], Any],
    tmp_path: Path,
) -> None:
    with start_server(tmp_path / "data.sqlite3") as (url, _):
        client = client_of(url)
        for name in ("first", "second"):
            create(client, name, "id:S")
            fill(client, name, [{"id": {"S": f"{number}"}} for number in range(30)])
        recorder = record(url)

        def delete(operation: str) -> None:
            if operation == "Scan" and recorder.operations["Scan"] == 1:
                client.delete_table(TableName="first")

        recorder.before = delete

        result = perfkit("init", "--target", recorder.url, "--yes")

        assert result.exit_code == 0, result.output
        assert "Warning: first was deleted meanwhile." in result.stderr
        assert (
            "Warning: left out: first; the comments at the top of perfkit.toml say" in result.stderr
        )
        assert tomllib.loads(Path("perfkit.toml").read_text())["tables"].keys() == {"second"}

        client.delete_table(TableName="second")
        nothing = perfkit("init", "--target", url, "--force", "--yes")

    assert nothing.exit_code == 2
    assert nothing.stderr.startswith(f"Error: no tables in {url} (region us-east-1, access key")


def test_a_file_that_is_there_is_replaced_only_if_asked() -> None:
    create(embedded_client(), "things", "id:S")
    file = Path("perfkit.toml")
    file.write_text("mine")
    file.chmod(0o644)

    refused = perfkit("init")
    kept = file.read_text()
    forced = perfkit("init", "--force")

    assert refused.exit_code == 2
    assert "--force replaces it" in refused.stderr
    assert kept == "mine"
    assert forced.exit_code == 0
    assert "things" in file.read_text()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert list(Path().glob(".perfkit.toml*")) == []


def test_a_sum_of_money_that_is_used_up_leaves_no_half_of_a_file() -> None:
    client = embedded_client()
    create(client, "things", "id:S")
    fill(client, "things", [{"id": {"S": f"{number}"}} for number in range(200)])

    # three half units at $1.25e-7 each
    result = perfkit("init", "--max-cost", "0.00000019")

    assert result.exit_code == 3
    assert "was reached before all samples were taken; nothing was written" in result.stderr
    assert not Path("perfkit.toml").exists()

    enough = perfkit("init", "--max-cost", "1")
    assert enough.stderr.count("Consumed") == 1, enough.stderr


def test_a_sample_that_its_limit_ended_says_which_limit_and_what_its_items_take(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As where a description is hours old, and the items are larger than it says."""
    client = embedded_client()
    create(client, "things", "id:S")
    items = [{"id": {"S": f"{number:03}"}, "text": {"S": "x" * 4000}} for number in range(200)]
    fill(client, "things", items)

    whole = perfkit("init", "--json")
    monkeypatch.setattr(SampleLimits, "for_table", lambda self, _: replace(self, read_units=20.0))
    cut = perfkit("init", "--force")
    written = Path("perfkit.toml").read_text()
    (table,) = json.loads(perfkit("init", "--force", "--json").stdout)["tables"]

    assert whole.exit_code == cut.exit_code == 0
    assert "because of its limit" not in whole.stderr
    found, units = table["sample"]["items"], table["sample"]["read_units_modelled"]
    assert 0 < found < 200
    assert (
        f"things: {found} items read and no more, because of its limit of 20 read units; by the"
        f" sizes of its items {units:g} are due."
    ) in " ".join(cut.stderr.split())
    # 4,009 bytes an item, and half a unit for each 4 KB of a page
    assert units >= found * 4009 / 8192
    assert "It has fewer items than wanted, because its 20 read" in written


def test_two_hundred_tables_are_counted_and_chosen_from() -> None:
    client = embedded_client()
    for number in range(200):
        create(client, f"{'orders' if number < 3 else 'other'}-{number:03}", "id:S")

    all_of_them = perfkit("init")
    chosen = perfkit("init", "--table", "orders-*", "--table", "other-199")
    missing = perfkit("init", "--table", "nothing", "--output", "other.toml")
    wanted = perfkit("init", "--table", "*", "--output", "all.toml")

    assert all_of_them.exit_code == 2
    assert "has 200 tables (orders-000, orders-001" in all_of_them.stderr
    assert chosen.exit_code == 0
    tables = tomllib.loads(Path("perfkit.toml").read_text())["tables"]
    assert list(tables) == ["other-199", "orders-000", "orders-001", "orders-002"]
    assert missing.exit_code == 2
    assert "no table nothing in" in missing.stderr
    assert wanted.exit_code == 0
    assert "the first 20 of 200 tables; all.toml has all" in wanted.stdout
    assert len(tomllib.loads(Path("all.toml").read_text())["tables"]) == 200


@pytest.mark.processes
def test_where_it_looked_is_said_without_a_secret(
    server: str, monkeypatch: pytest.MonkeyPatch, client_of: Callable[[str], Any]
) -> None:
    for name in client_of(server).list_tables()["TableNames"]:
        client_of(server).delete_table(TableName=name)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wJalrXUtnFEMI")

    result = perfkit("init", "--target", server, "--region", "eu-west-1")

    assert result.exit_code == 2
    assert "(region eu-west-1, access key AKIA…MPLE)" in result.stderr
    assert "wJalr" not in result.output
    assert "OSFODNN" not in result.output


@pytest.mark.parametrize(
    ("arguments", "code", "part"),
    [
        pytest.param(["--target", "http://127.0.0.1:9"], 3, "is it running?", id="nobody there"),
        pytest.param(["--target", "aws"], 2, "no region for AWS", id="no region"),
        pytest.param(
            ["--target", "aws", "--region", "eu-west-1"],
            2,
            "no complete credentials",
            id="no credentials",
        ),
        pytest.param([], 2, "not made yet", id="no file"),
        pytest.param(["--output", "no/such/x.toml"], 2, "no folder no/such", id="no folder"),
        pytest.param(["--output", "."], 2, "is there already", id="a folder"),
        pytest.param(["--max-rcu", "0"], 2, "--max-rcu must be above 0", id="no units"),
    ],
)
def test_what_is_wrong_is_one_line(
    monkeypatch: pytest.MonkeyPatch, arguments: list[str], code: int, part: str
) -> None:
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")

    result = perfkit("init", *arguments)

    assert result.exit_code == code, result.output
    assert part in result.stderr
    assert result.stderr.count("\n") == 1
    assert not Path("perfkit.toml").exists()
