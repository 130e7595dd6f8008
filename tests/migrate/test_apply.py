"""`perfkit migrate apply`, `status` and `rollback`: exactly the plan, noted, resumed, taken back."""

import json
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import boto3
import pytest
from moto import mock_aws
from typer.testing import CliRunner, Result

from benchmarks.faulty import faulty
from perfkit.cli import app
from perfkit.commands.migrate_apply import _event_text
from perfkit.dynamodb import index_work, tables
from perfkit.dynamodb.client import embedded_client
from perfkit.dynamodb.errors import CONNECTION_LOST
from perfkit.dynamodb.index_progress import _CloudWatchProgress
from perfkit.dynamodb.tables import Identity
from perfkit.dynamodb.targets import Target
from perfkit.embedded import DynamoDBError, backfill
from perfkit.errors import ConfigError, TargetError
from perfkit.measure.clock import FakeClock
from perfkit.migrate import applying
from perfkit.migrate.checkpoint import held
from perfkit.migrate.journal import journals
from perfkit.migrate.plan_file import read_plan
from perfkit.migrate.reads import recent_reads

PERFKIT = Path(sys.executable).with_name("perfkit")
WORKLOAD = """
name = "shop"
description = "A table that is there"

[tables.Orders]
partition_key = { name = "order_id", type = "S" }

[tables.Orders.indexes]
ByCustomer = { partition_key = { name = "customer", type = "S" }, projection = "KEYS_ONLY" }
ByTotal = { partition_key = { name = "total", type = "N" }, projection = "KEYS_ONLY" }
"""
ITEMS = 120


def perfkit(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments))


def create(client: Any, **more: Any) -> None:
    client.create_table(
        TableName="Orders",
        KeySchema=[{"AttributeName": "order_id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "order_id", "AttributeType": "S"}],
        **({"BillingMode": "PAY_PER_REQUEST"} | more),
    )


def fill(client: Any, items: int = ITEMS) -> None:
    for first in range(0, items, 25):
        puts = [
            {
                "PutRequest": {
                    "Item": {
                        "order_id": {"S": f"O{number:06}"},
                        "customer": {"S": f"C{number % 7}"},
                        "total": {"N": str(number % 5)},
                    }
                }
            }
            for number in range(first, min(first + 25, items))
        ]
        client.batch_write_item(RequestItems={"Orders": puts})


def creation(name: str, attribute: str = "customer", kind: str = "S") -> dict[str, Any]:
    """Return an UpdateTable request for an index of Orders."""
    return {
        "TableName": "Orders",
        "AttributeDefinitions": [
            {"AttributeName": "order_id", "AttributeType": "S"},
            {"AttributeName": attribute, "AttributeType": kind},
        ],
        "GlobalSecondaryIndexUpdates": [
            {
                "Create": {
                    "IndexName": name,
                    "KeySchema": [{"AttributeName": attribute, "KeyType": "HASH"}],
                    "Projection": {"ProjectionType": "KEYS_ONLY"},
                }
            }
        ],
    }


def deletion(name: str) -> dict[str, Any]:
    """Return an UpdateTable request that deletes an index of Orders."""
    return {
        "TableName": "Orders",
        "GlobalSecondaryIndexUpdates": [{"Delete": {"IndexName": name}}],
    }


def indexes(client: Any) -> dict[str, str]:
    table = client.describe_table(TableName="Orders")["Table"]
    return {
        each["IndexName"]: each["IndexStatus"] for each in table["GlobalSecondaryIndexes"] or ()
    }


def there(client: Any) -> dict[str, Any]:
    """Return a table without what only moves by itself."""
    table = client.describe_table(TableName="Orders")["Table"]
    for name in ("GlobalSecondaryIndexes", "AttributeDefinitions", "TableStatus"):
        table.pop(name, None)
    return dict(table)


def names(client: Any) -> set[str]:
    table = client.describe_table(TableName="Orders")["Table"]
    return {each["IndexName"] for each in table.get("GlobalSecondaryIndexes", ())}


def entries(client: Any, index: str) -> list[str]:
    """Return the keys of the items that an index has, sorted: an entry too much would show."""
    found: list[str] = []
    request: dict[str, Any] = {"TableName": "Orders", "IndexName": index}
    while True:
        page = client.scan(**request)
        found += [each["order_id"]["S"] for each in page["Items"]]
        if "LastEvaluatedKey" not in page:
            return sorted(found)
        request["ExclusiveStartKey"] = page["LastEvaluatedKey"]


def steps(folder: Path = Path()) -> list[tuple[str, str]]:
    """Return what the journal tells, as step and index."""
    (path,) = (folder / ".perfkit/migrations").glob("journal-*.jsonl")
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    return [(each["step"], each.get("index", {}).get("name", "")) for each in lines]


MADE = [(step, name) for name in ("ByCustomer", "ByTotal") for step in ("asked", "accepted", "backfilling", "done")]  # fmt: skip
EVERY = [f"O{number:06}" for number in range(ITEMS)]


def make_plan(*options: str) -> None:
    result = perfkit("migrate", "plan", "--output", "plan.json", *options)
    assert result.exit_code == 0, result.output


def make_plan_for(index: str) -> None:
    Path("plan.json").unlink()
    make_plan("--index", index)


@pytest.fixture
def client(session: boto3.Session) -> Any:
    """Return a client of a table that perfkit did not make, with a plan for two indexes of it."""
    Path("perfkit.toml").write_text(WORKLOAD)
    Path(".perfkit").mkdir()
    client = embedded_client(".perfkit/dynamodb.sqlite3", session=session)
    create(client)
    fill(client)
    make_plan()
    return client


def apply(*options: str) -> Result:
    return perfkit("migrate", "apply", "plan.json", "--yes", *options)


def rollback(*options: str) -> Result:
    return perfkit("migrate", "rollback", "plan.json", "--yes", *options)


def test_a_plan_is_applied_as_it_was_shown_and_taken_back(client: Any) -> None:
    before = there(client)

    applied = apply()

    assert applied.exit_code == 0, applied.output
    assert "create index ByCustomer (customer; KEYS_ONLY) of table Orders" in applied.stderr
    assert indexes(client) == {"ByCustomer": "ACTIVE", "ByTotal": "ACTIVE"}
    assert entries(client, "ByCustomer") == entries(client, "ByTotal") == EVERY
    assert there(client) == before
    assert steps() == MADE
    (journal,) = Path(".perfkit/migrations").glob("journal-*.jsonl")
    assert journal.stat().st_mode & 0o777 == 0o600
    again = apply()
    assert "Active already: ByCustomer of Orders, ByTotal of Orders\n" in again.stdout
    assert steps() == MADE

    client.update_table(**creation("Theirs"))
    rolled = rollback("--json")

    assert rolled.exit_code == 0, rolled.output
    assert [each["change"] for each in json.loads(rolled.stdout)["indexes"]] == ["dropped"] * 2
    assert "who reads it is unknown" in rolled.stderr
    assert names(client) == {"Theirs"}
    assert steps()[len(MADE) :] == [
        (step, name) for name in ("ByCustomer", "ByTotal") for step in ("asked", "accepted", "done")
    ]
    assert rollback().exit_code == 0


def test_without_a_yes_nothing_is_done(client: Any) -> None:
    refused = perfkit("migrate", "apply", "plan.json")

    assert refused.exit_code == 2
    assert "create index ByCustomer" in refused.stderr
    assert "`perfkit migrate preflight` finds items that would be refused" in refused.stderr
    assert "add --yes" in refused.stderr
    assert names(client) == set()
    assert not list(Path(".perfkit/migrations").glob("*.jsonl"))


def test_it_tells_first_what_the_newest_preflight_found(client: Any) -> None:
    client.put_item(TableName="Orders", Item={"order_id": {"S": "odd"}, "customer": {"N": "7"}})
    assert perfkit("migrate", "preflight", "--index", "ByTotal", "--yes").exit_code == 0
    of_one = perfkit("migrate", "apply", "plan.json").stderr
    assert perfkit("migrate", "preflight", "--yes").exit_code == 0
    of_both = perfkit("migrate", "apply", "plan.json").stderr
    client.delete_item(TableName="Orders", Key={"order_id": {"S": "odd"}})
    assert perfkit("migrate", "preflight", "--yes").exit_code == 0
    clean = perfkit("migrate", "apply", "plan.json").stderr

    generic = "`perfkit migrate preflight` finds items that would be refused"
    assert generic in of_one
    assert "Preflight of Orders" not in of_one
    said = " ".join(of_both.split())
    assert "preflight of Orders" in said
    assert "ago: 1 of 121 items can no longer be written" in said
    assert generic not in of_both
    assert "ago: 0 of 120 items can no longer be written once ByCustomer, ByTotal exist." in clean


@pytest.mark.usefixtures("client")
def test_no_name_is_confirmed_where_no_index_is_removed() -> None:
    result = apply("--confirm", "ByCustomer")

    assert result.exit_code == 2
    assert "--confirm does nothing with a plan that removes no index" in result.stderr


def edit(*path: Any, value: Any) -> None:
    plan = json.loads(Path("plan.json").read_text())
    part = plan
    for name in path[:-1]:
        part = part[name]
    part[path[-1]] = value
    Path("plan.json").write_text(json.dumps(plan))


def cut(_: Any) -> None:
    Path("plan.json").write_text(Path("plan.json").read_text()[:700])


def make_anew(client: Any) -> None:
    client.delete_table(TableName="Orders")
    create(client)


def other_keys(client: Any) -> None:
    client.update_table(**creation("ByTotal"))


def remake(client: Any) -> None:
    client.update_table(**creation("Theirs"))


@pytest.mark.parametrize(
    ("change", "code", "text"),
    [
        pytest.param(cut, 2, "is cut short", id="cut"),
        pytest.param(make_anew, 2, "was re-created since the plan", id="another-table"),
        pytest.param(other_keys, 2, "ByTotal of Orders is there, and another one: its key is custo", id="other-keys"),
        pytest.param(remake, 2, "older than the indexes of Orders: Theirs is new", id="older"),
        pytest.param(
            lambda _: edit("tables", 0, "digest", value="0" * 64),
            2, "older than the indexes of Orders: the plan's file was changed", id="digest",
        ),
        pytest.param(lambda _: edit("place", "kind", value="aws"), 2, "no region for AWS", id="aws"),
        pytest.param(
            lambda _: edit("tables", 0, "arn", value="arn:aws:dynamodb:eu-west-1:999:table/Orders"),
            2, "another account or region", id="account",
        ),
        pytest.param(lambda client: client.delete_table(TableName="Orders"), 3, "Orders does not exist", id="gone"),
    ],
)  # fmt: skip
def test_what_does_not_fit_the_plan_is_refused(
    client: Any, change: Callable[[Any], None], code: int, text: str
) -> None:
    change(client)
    exist = client.list_tables()["TableNames"]
    before = names(client) if exist else set()

    result = apply()

    assert result.exit_code == code, result.output
    assert text in result.stderr
    assert result.stderr.count("\n") == 1
    assert client.list_tables()["TableNames"] == exist
    assert (names(client) if exist else set()) == before
    assert not list(Path(".perfkit").glob("migrations/*.jsonl"))


def test_the_twenty_first_index_is_refused(client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(19):
        client.update_table(**creation(f"Own{number}"))
        while "CREATING" in indexes(client).values():
            pass
    # made as if there had been room
    edit("tables", 0, "digest", value=digest_now())

    result = apply()

    assert result.exit_code == 2
    assert "has 19 global indexes and would have 21, and DynamoDB allows 20" in result.stderr
    assert len(names(client)) == 19
    plan = Path("plan.json").read_text()
    edit("tables", 0, "digest", value="0" * 64)
    # what changed since the plan is told in one line, whatever it is
    assert "Own0 is new; Own1 is new; Own10 is new; Own11 is new; 15 more; plan" in apply().stderr
    Path("plan.json").write_text(plan)
    monkeypatch.setattr(backfill, "advance", lambda *_: None)
    client.update_table(**deletion("Own7"))
    with_room = perfkit("migrate", "apply", "plan.json")
    assert "add --yes to go ahead" in with_room.stderr


def test_an_index_that_is_being_deleted_is_shown_as_one_to_create(
    client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    client.update_table(**creation("ByCustomer"))
    while indexes(client)["ByCustomer"] != "ACTIVE":
        pass
    with monkeypatch.context() as patched:
        patched.setattr(backfill, "advance", lambda *_: None)
        client.update_table(**deletion("ByCustomer"))
        shown = perfkit("migrate", "apply", "plan.json")

    assert "create index ByCustomer (customer; KEYS_ONLY) of table Orders" in shown.stderr
    assert "wait until index ByCustomer" not in shown.stderr
    assert apply().exit_code == 0
    assert ("accepted", "ByCustomer") in steps()


def digest_now() -> str:
    from perfkit.dynamodb.tables import describe
    from perfkit.dynamodb.targets import Target
    from perfkit.migrate.checkpoint import state_digest

    connection = Target().connect()
    state = describe(connection, "Orders")
    connection.close()
    assert state is not None
    return state_digest(state)


def test_rollback_says_of_each_index_once_that_it_goes_and_is_gone(client: Any) -> None:
    assert apply().exit_code == 0

    said = rollback().stderr.splitlines()

    assert names(client) == set()
    for name in ("ByCustomer", "ByTotal"):
        assert [each for each in said if name in each][-2:] == [
            f"removing {name}",
            f"{name}: removed",
        ]
    assert not [each for each in said if "ACTIVE" in each]


def test_rollback_leaves_what_it_has_no_record_of(client: Any) -> None:
    assert apply().exit_code == 0
    folder = Path(".perfkit/migrations")
    shutil.move(folder, "elsewhere")

    unknown = rollback()

    assert unknown.exit_code == 2
    assert "ByCustomer of Orders, ByTotal of Orders was made here" in unknown.stderr
    assert names(client) == {"ByCustomer", "ByTotal"}
    shutil.rmtree(folder)
    shutil.move("elsewhere", folder)
    client.update_table(
        TableName="Orders",
        GlobalSecondaryIndexUpdates=[{"Delete": {"IndexName": "ByTotal"}}],
    )
    while "ByTotal" in indexes(client):
        pass
    client.update_table(**creation("ByTotal"))
    another = rollback()

    assert another.exit_code == 2
    assert "ByTotal of Orders is another one than was made here" in another.stderr
    assert names(client) == {"ByCustomer", "ByTotal"}


def until_gone(client: Any, name: str) -> None:
    while name in names(client):
        pass


def test_an_index_that_somebody_makes_anew_after_a_rollback_is_his(
    client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: Any, **__: Any) -> Any:
        raise KeyboardInterrupt

    assert apply().exit_code == 0
    with monkeypatch.context() as patched:
        patched.setattr(index_work._Waiting, "allow", interrupt)
        assert rollback().exit_code == 130
    until_gone(client, "ByCustomer")
    client.update_table(**creation("ByCustomer"))

    rolled = rollback()
    status = json.loads(perfkit("migrate", "status", "plan.json", "--json").stdout)

    assert rolled.exit_code == 0, rolled.output
    assert "index ByCustomer of Orders is not recorded as made here and stays" in rolled.stderr
    assert names(client) == {"ByCustomer"}
    made = {each["name"]: each["by"] for each in status["tables"][0]["indexes"]}
    assert made == {"ByCustomer": None, "ByTotal": None}


def test_a_table_that_cannot_be_told_from_a_later_one_is_left_alone(
    client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    nothing = Identity()
    monkeypatch.setattr(tables, "_identity", lambda _: nothing)
    Path("plan.json").unlink()
    make_plan()
    assert apply().exit_code == 0

    rolled = rollback()

    assert rolled.exit_code == 2
    assert "says neither TableId nor CreationDateTime of table Orders" in rolled.stderr
    assert names(client) == {"ByCustomer", "ByTotal"}


def test_nobody_is_told_to_delete_an_index_of_somebody_elses(
    client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    connect = Target.connect

    def connect_then(target: Target, **options: Any) -> Any:
        if not options.get("read_only") and not names(client):
            client.update_table(**creation("Theirs"))
            # now its items are copied
            client.describe_table(TableName="Orders")
            monkeypatch.setattr(backfill, "advance", lambda *_: None)
        return connect(target, **options)

    monkeypatch.setattr(Target, "connect", connect_then)
    result = apply("--timeout", "0.2")

    assert result.exit_code == 3
    assert "Theirs is being created by somebody else" in result.stderr
    assert "deleted" not in result.stderr


@pytest.mark.usefixtures("client")
def test_two_at_a_time_do_not_go() -> None:
    assert apply().exit_code == 0
    (journal,) = Path(".perfkit/migrations").glob("journal-*.jsonl")

    with held(journal):
        results = [apply(), rollback()]

    for result in results:
        assert result.exit_code == 2
        assert "another command changes the indexes of Orders from this folder" in result.stderr


def test_a_line_that_was_cut_off_does_not_count_and_another_damaged_one_does(client: Any) -> None:
    assert apply().exit_code == 0
    (journal,) = Path(".perfkit/migrations").glob("journal-*.jsonl")
    whole = journal.read_text()
    journal.write_text(whole + '{"format": 1, "st')

    assert rollback().exit_code == 0
    assert names(client) == set()
    assert journal.read_text().startswith(whole)
    assert len(steps()) == len(MADE) + 6

    for line in (
        '{"format": 1, "st',
        '{"format": "one"}',
        '{"format": 1}',
        '{"format": 1, "at": 5}',
    ):
        journal.write_text(line.splitlines()[0] + "\n" + whole)
        damaged = apply()
        assert damaged.exit_code == 2, damaged.output
        assert "line 1 of journal" in damaged.stderr
    assert names(client) == set()


def test_an_index_is_removed_by_a_plan_of_its_own(client: Any) -> None:
    client.update_table(**creation("Old"))
    while indexes(client)["Old"] != "ACTIVE":
        pass
    Path("plan.json").unlink()
    make_plan("--remove", "Old", "--confirm", "Old")

    untyped = apply()
    removed = apply("--confirm", "Old")
    again = apply("--confirm", "Old")

    assert untyped.exit_code == 2
    assert "--confirm Old removes it, unknown readers and all" in untyped.stderr
    assert removed.exit_code == 0, removed.output
    assert "Removed, after" in removed.stdout
    assert "Not there any more: Old of Orders\n" in again.stdout
    assert names(client) == set()
    assert "a removal has no way back" in rollback().stderr

    client.update_table(**creation("Old"))
    anew = apply("--confirm", "Old")
    Path("plan.json").unlink()
    make_plan("--remove", "Old", "--confirm", "Old")
    assert anew.exit_code == 2
    assert "Old of Orders was removed since the plan, and somebody re-created it" in anew.stderr
    assert names(client) == {"Old"}
    assert apply("--confirm", "Old").exit_code == 0


def test_status_says_how_far_it_is_with_and_without_the_journal(client: Any) -> None:
    client.update_table(**creation("ByCustomer"))

    before = json.loads(perfkit("migrate", "status", "plan.json", "--json").stdout)["tables"][0]
    assert apply().exit_code == 0
    after = json.loads(perfkit("migrate", "status", "plan.json", "--json").stdout)["tables"][0]
    shown_after = perfkit("migrate", "status", "plan.json").stdout
    everything = perfkit("migrate", "status", "plan.json", "-v").stdout
    shutil.rmtree(".perfkit/migrations")
    without = json.loads(perfkit("migrate", "status", "--table", "Orders", "--json").stdout)

    shown = {each["name"]: (each["status"], each["planned"]) for each in before["indexes"]}
    assert shown == {"ByCustomer": ("CREATING", "create"), "ByTotal": (None, "create")}
    assert before["journal"] == []
    asked = {each["name"]: (each["status"], each["by"]) for each in after["indexes"]}
    theirs, ours = (each for each in shown_after.splitlines() if each.startswith("By"))
    assert "there already" in theirs
    assert "created" in ours
    assert "Noted of Orders, the last 3 of " in shown_after
    assert "; -v shows all:" in shown_after
    assert "the last" not in everything
    # the first one is somebody else's, and was waited for
    assert asked == {"ByCustomer": ("ACTIVE", None), "ByTotal": ("ACTIVE", "migrate apply")}
    assert [each["status"] for each in without["tables"][0]["indexes"]] == ["ACTIVE", "ACTIVE"]
    rolled = rollback()
    assert rolled.exit_code == 2


def test_status_without_a_plan_shows_what_the_workload_wants_and_what_is_next(client: Any) -> None:
    options = ("--data", ".perfkit/dynamodb.sqlite3")

    before = perfkit("migrate", "status", "--table", "Orders", *options)
    client.update_table(**creation("ByCustomer", "total", "N"))
    differing = perfkit("migrate", "status", *options)

    shown = [line.split()[:4] for line in before.stdout.splitlines() if line.startswith("By")]
    assert shown == [[name, "Orders", "not", "there"] for name in ("ByCustomer", "ByTotal")]
    assert before.stderr == "Next: perfkit migrate plan --data .perfkit/dynamodb.sqlite3\n"
    assert "the workload wants customer (S)" in differing.stderr


def test_status_of_a_table_looks_where_the_workload_says(session: boto3.Session) -> None:
    create(embedded_client("elsewhere.sqlite3", session=session))
    Path("perfkit.toml").write_text(f'{WORKLOAD}\n[target]\ndata = "elsewhere.sqlite3"\n')

    result = perfkit("migrate", "status", "--table", "Orders")

    assert (result.exit_code, "ByTotal" in result.stdout) == (0, True), result.output


def test_status_does_not_take_another_index_for_the_plans(client: Any) -> None:
    make_plan_for("ByTotal")
    other_keys(client)
    while indexes(client)["ByTotal"] != "ACTIVE":
        pass

    result = perfkit("migrate", "status", "plan.json")

    assert "ByTotal of Orders: its key is customer (S), the plan wants total (N)" in result.stderr
    assert "The plan no longer fits. Next: perfkit migrate plan" in result.stderr


@pytest.mark.usefixtures("client")
def test_the_next_commands_are_about_the_same_place() -> None:
    Path("perfkit.toml").rename("shop.toml")
    options = ("--data", ".perfkit/dynamodb.sqlite3")

    before = perfkit("migrate", "status", "plan.json", *options)
    applied = apply(*options)

    assert (
        "Next: perfkit migrate apply plan.json --data .perfkit/dynamodb.sqlite3\n" in before.stderr
    )
    assert (
        "Next: perfkit migrate verify plan.json --workload FILE --data .perfkit/dynamodb.sqlite3\n"
        "The way back: perfkit migrate rollback plan.json --data .perfkit/dynamodb.sqlite3\n"
    ) in applied.stderr


# ---- what goes wrong in between --------------------------------------------------------------


@pytest.fixture
def shop(server: str, client_of: Callable[[str], Any]) -> Any:
    """Return a client of a server with the table, and the workload in this folder."""
    Path("perfkit.toml").write_text(WORKLOAD)
    client = client_of(server)
    if client.list_tables()["TableNames"]:
        client.delete_table(TableName="Orders")
    create(client)
    return client


def check_told(changed: list[tuple[str, str]]) -> None:
    """Make sure that the journal tells what the server did, each thing once and in order."""
    (path,) = Path(".perfkit/migrations").glob("journal-*.jsonl")
    told = [
        ("create" if line["goal"] == "present" else "delete", line["index"]["name"])
        for line in map(json.loads, path.read_text().splitlines())
        if line["step"] in {"accepted", "found"}
    ]
    assert told == changed


def test_killed_at_any_point_it_goes_on(shop: Any, server: str) -> None:
    fill(shop, 1500)
    make_plan("--target", server, "--yes")
    command = [str(PERFKIT), "migrate", "apply", "plan.json", "--yes"]
    chance = random.Random(0)

    for killed_at in sorted(chance.sample(range(8), 4)):
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
            while process.poll() is None and lines_noted() < killed_at:
                time.sleep(0.001)
            process.kill()
    finished = subprocess.run(command, capture_output=True, text=True, check=False)

    assert finished.returncode == 0, finished.stderr
    every = [f"O{number:06}" for number in range(1500)]
    assert entries(shop, "ByCustomer") == entries(shop, "ByTotal") == every
    check_told([("create", "ByCustomer"), ("create", "ByTotal")])
    assert rollback().exit_code == 0
    assert names(shop) == set()


def lines_noted() -> int:
    return sum(
        path.read_bytes().count(b"\n") for path in Path(".perfkit").glob("migrations/*.jsonl")
    )


def until_done(*arguments: str) -> int:
    """Repeat a command until it is done, and return how often that was; each end has a clear word."""
    for number in range(1, 60):
        result = perfkit(*arguments)
        if result.exit_code == 0:
            return number
        assert result.exit_code in {2, 3}, (arguments, result.output, result.exception)
        error = result.stderr.splitlines()[-1]
        assert error.startswith("Error: "), result.stderr
        assert result.exit_code == 3 or "credentials" in error, result.stderr
    pytest.fail(f"{arguments} is never done")


def test_no_fault_loses_or_doubles_anything(
    shop: Any, server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(shop)
    monkeypatch.setitem(Target.client.__kwdefaults__ or {}, "read_timeout_s", 0.5)
    with faulty(server, faults=16, seed=3) as proxy:
        to_it = ("--target", proxy.url, "--yes")
        until_done("migrate", "plan", *to_it, "--output", "plan.json")
        until_done("migrate", "preflight", *to_it)
        until_done("migrate", "apply", "plan.json", "--yes")
        assert entries(shop, "ByCustomer") == entries(shop, "ByTotal") == EVERY
        until_done("migrate", "rollback", "plan.json", "--yes")
        changed = [
            (what, name) for what in ("create", "delete") for name in ("ByCustomer", "ByTotal")
        ]
        assert len(proxy.injected) >= 6
        assert proxy.changed == changed

    assert names(shop) == set()
    check_told(changed)


def test_an_answer_that_is_lost_is_no_index_of_somebody_elses(
    shop: Any, server: str, record: Callable[[str], Any]
) -> None:
    """Nor is one that somebody makes before the request comes our own."""
    fill(shop)
    recorder = record(server)
    make_plan("--target", recorder.url, "--yes", "--index", "ByTotal")

    def be_faster(operation: str) -> None:
        if operation == "UpdateTable":
            shop.update_table(**creation("ByTotal", "total", "N"))
            recorder.before = lambda _: None

    recorder.before = be_faster
    applied = apply()

    assert applied.exit_code == 0, applied.output
    assert [step for step, _ in steps()] == ["asked", "refused", "backfilling", "done"]
    assert "Next: perfkit migrate verify plan.json\n" in applied.stderr
    assert perfkit("migrate", "verify", "plan.json", "--settle", "0.2", "--yes").exit_code == 0
    assert "ByTotal of Orders was made here" in rollback().stderr
    assert names(shop) == {"ByTotal"}


def test_a_request_that_was_throttled_claims_nothing_that_somebody_made_meanwhile(
    client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_plan_for("ByTotal")
    connect = Target.connect

    def connect_slowly(target: Target, **options: Any) -> Any:
        connection = connect(target, **options)
        execute = connection.execute

        def throttle(operation: str, request: Any) -> Any:
            if operation == "UpdateTable" and not names(client):
                client.update_table(**creation("ByTotal", "total", "N"))
                code, text = "ThrottlingException", "Rate exceeded"
                raise DynamoDBError(code, text)
            return execute(operation, request)

        return SimpleNamespace(execute=throttle, close=connection.close)

    monkeypatch.setattr(Target, "connect", connect_slowly)
    applied = apply()

    assert applied.exit_code == 0, applied.output
    assert ("refused", "ByTotal") in steps()
    assert "ByTotal of Orders was made here" in rollback().stderr
    assert names(client) == {"ByTotal"}


@pytest.mark.parametrize(("stale", "code"), [(3, 0), (1000, 3)])
def test_a_description_that_is_late_is_no_index_that_vanished(
    client: Any, monkeypatch: pytest.MonkeyPatch, stale: int, code: int
) -> None:
    make_plan_for("ByTotal")
    before = client.describe_table(TableName="Orders")["Table"]
    connect, left = Target.connect, [0]

    def connect_late(target: Target, **options: Any) -> Any:
        connection = connect(target, **options)

        def execute(operation: str, request: Any) -> Any:
            answer = connection.execute(operation, request)
            if operation == "UpdateTable":
                left[0] = stale
            elif operation == "DescribeTable" and left[0]:
                left[0] -= 1
                return {"Table": before}
            return answer

        return SimpleNamespace(execute=execute, close=connection.close)

    monkeypatch.setattr(Target, "connect", connect_late)
    result = apply()

    assert result.exit_code == code, result.output
    assert ("vanished while it was being built" in result.stderr) == bool(code)
    assert [step for step, _ in steps()][:2] == ["asked", "accepted"]


def test_a_full_disk_is_met_before_anything_is_done(shop: Any, server: str, tmp_path: Path) -> None:
    fill(shop)
    make_plan("--target", server, "--yes")
    folder = tmp_path / ".perfkit" / "migrations"
    folder.mkdir(parents=True)
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)], check=False
    )
    if mounted.returncode:
        pytest.skip("no file system of its own for this test")
    try:
        with (folder / "full").open("wb", buffering=0) as file:
            for size in (1 << 12, 1):
                with suppress(OSError):
                    while file.write(bytes(size)):
                        pass
        result = apply()
        assert result.exit_code == 3, result.output
        assert "no space left" in result.stderr.splitlines()[-1]
        assert names(shop) == set()

        (folder / "full").unlink()
        assert apply().exit_code == 0
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)
    assert names(shop) == {"ByCustomer", "ByTotal"}


def test_ctrl_c_says_how_to_go_on(client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: Any, **__: Any) -> Any:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(index_work._Waiting, "allow", interrupt)
        result = apply()

    assert result.exit_code == 130
    assert "`perfkit migrate apply plan.json` continues" in result.stderr
    assert steps()[-1] == ("stopped", "")
    assert apply().exit_code == 0
    assert [step for step, name in steps() if name == "ByCustomer"].count("asked") == 1
    assert entries(client, "ByCustomer") == EVERY


def test_when_nothing_moves_it_says_what_can_be_done(
    client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(backfill, "advance", lambda *_: None)
        result = apply("--timeout", "0.2")

    assert result.exit_code == 3
    assert "nothing has moved for 0.2 s: ByCustomer of Orders (CREATING)" in result.stderr
    assert "cannot be deleted before it is filled" in result.stderr
    assert apply().exit_code == 0
    assert indexes(client) == {"ByCustomer": "ACTIVE", "ByTotal": "ACTIVE"}


@pytest.mark.parametrize("stand_in", ["moto", "ministack"], indirect=True)
def test_other_engines_go_there_and_back(stand_in: str, client_of: Callable[[str], Any]) -> None:
    Path("perfkit.toml").write_text(WORKLOAD)
    client = client_of(stand_in)
    create(client)
    fill(client)
    make_plan("--target", stand_in, "--yes")

    applied = apply()

    assert applied.exit_code == 0, applied.output
    assert names(client) == {"ByCustomer", "ByTotal"}
    assert rollback().exit_code == 0
    assert names(client) == set()


# ---- AWS -------------------------------------------------------------------------------------


@pytest.fixture
def account(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Return clients of an account with a provisioned table whose capacity scales, and a plan."""
    Path("perfkit.toml").write_text(WORKLOAD)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "mine")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    monkeypatch.setattr(
        "perfkit.dynamodb.index_work._intervals",
        lambda _: index_work._Intervals(0.001, 0.01),
    )
    with mock_aws():
        made = {name: boto3.client(name) for name in ("dynamodb", "cloudwatch")}
        scaling = boto3.client("application-autoscaling")
        create(
            made["dynamodb"],
            BillingMode="PROVISIONED",
            ProvisionedThroughput={"ReadCapacityUnits": 10, "WriteCapacityUnits": 10},
        )
        fill(made["dynamodb"])
        scaling.register_scalable_target(**WRITES, ResourceId="table/Orders", ScalableDimension="dynamodb:table:WriteCapacityUnits")  # fmt: skip
        scaling.put_scaling_policy(
            ServiceNamespace="dynamodb",
            ResourceId="table/Orders",
            ScalableDimension="dynamodb:table:WriteCapacityUnits",
            PolicyName="writes",
            PolicyType="TargetTrackingScaling",
            TargetTrackingScalingPolicyConfiguration={
                "TargetValue": 70.0,
                "PredefinedMetricSpecification": {
                    "PredefinedMetricType": "DynamoDBWriteCapacityUtilization"
                },
            },
        )
        make_plan("--target", "aws", "--yes")
        yield SimpleNamespace(scaling=scaling, **made)


def refuse(*_: Any, **__: Any) -> None:
    msg = "not allowed"
    raise TargetError(msg)


WRITES = {"ServiceNamespace": "dynamodb", "MinCapacity": 10, "MaxCapacity": 90}


@pytest.mark.usefixtures("account")
def test_a_plan_says_its_region_and_no_other_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    commands = ("apply", "rollback", "status")

    for command in commands:
        named = perfkit("migrate", command, "plan.json", "--target", "aws")
        other = perfkit("migrate", command, "plan.json", "--region", "us-east-1")
        both = perfkit("migrate", command, "plan.json", "--target", "aws", "--region", "us-east-1")
        elsewhere = perfkit("migrate", command, "plan.json", "--target", "embedded")

        # nothing but the yes is missing, or the indexes that there are none of
        assert "region" not in named.stderr.replace("region eu-west-1", "")
        for each in (other, both):
            assert each.exit_code == 2
            assert each.stderr == (
                "Error: the plan is for region eu-west-1, not for us-east-1; check --region and"
                " --profile\n"
            )
        assert elsewhere.exit_code == 2
        assert "Error: the plan is for aws, not for the embedded engine" in elsewhere.stderr
    assert perfkit("migrate", "status", "plan.json", "--target", "aws").exit_code == 0
    assert "region eu-west-1" in perfkit("migrate", "apply", "plan.json", "--target", "aws").stderr


def test_on_aws_indexes_scale_as_their_table_and_reads_are_shown_before_rollback(
    account: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused = perfkit("migrate", "apply", "plan.json", "--region", "us-east-1", "--yes")
    applied = apply()

    assert refused.exit_code == 2
    assert "the plan is for region eu-west-1, not for us-east-1" in refused.stderr
    assert applied.exit_code == 0, applied.output
    assert "let WriteCapacityUnits of ByTotal scale between 10 and 90" in applied.stderr
    place = "table/Orders/index/ByTotal"

    def scaled() -> list[tuple[int, int]]:
        found = account.scaling.describe_scalable_targets(
            ServiceNamespace="dynamodb", ResourceIds=[place]
        )["ScalableTargets"]
        return [(each["MinCapacity"], each["MaxCapacity"]) for each in found]

    assert scaled() == [(10, 90)]
    policies = account.scaling.describe_scaling_policies(
        ServiceNamespace="dynamodb", ResourceId=place
    )["ScalingPolicies"]
    assert "ByTotal-WriteCapacityUnits" in {each["PolicyName"] for each in policies}
    account.cloudwatch.put_metric_data(
        Namespace="AWS/DynamoDB",
        MetricData=[
            {
                "MetricName": "ConsumedReadCapacityUnits",
                "Dimensions": [
                    {"Name": "TableName", "Value": "Orders"},
                    {"Name": "GlobalSecondaryIndexName", "Value": "ByTotal"},
                ],
                "Value": 12.5,
                # requests have whole seconds, so moto leaves out what is of this one
                "Timestamp": datetime.now(UTC) - timedelta(minutes=1),
            }
        ],
    )
    asked = perfkit("migrate", "rollback", "plan.json")
    assert "CloudWatch counted 12.5 RCU in the last 14 days" in asked.stderr
    assert "CloudWatch counted no read in the last 14 days" in asked.stderr
    with monkeypatch.context() as patched:
        patched.setattr(applying, "_carry", refuse)
        failed = rollback()
    assert (failed.exit_code, scaled()) == (3, [])
    assert apply().exit_code == 0
    assert scaled() == [(10, 90)]
    rolled = rollback()
    assert rolled.exit_code == 0, rolled.output
    assert scaled() == []
    assert names(account.dynamodb) == set()

    monkeypatch.setattr(Target, "account", lambda _: "999999999999")
    other = apply()
    assert other.exit_code == 2
    assert "the plan is for account 123456789012, not for 999999999999" in other.stderr


# ---- a target that misbehaves, by a clock that only moves when it is told to -----------------


class BentTarget(Target):
    """The embedded engine, with something between it and whoever asks it."""

    bend: Callable[[str, str, Callable[[], Any]], Any]

    def connect(self, *, read_only: bool = False) -> Any:
        # a replica's region is not the embedded engine's business
        real = Target(data=self.data).connect(read_only=read_only)
        bend, region = type(self).bend, self.region or ""

        def execute(operation: str, request: dict[str, Any]) -> Any:
            return bend(region, operation, lambda: real.execute(operation, request))

        return SimpleNamespace(execute=execute, close=real.close)


def carry(
    bend: Callable[[str, str, Callable[[], Any]], Any],
    clock: FakeClock,
    watch: Callable[[index_work.Event], None] = lambda _: None,
) -> dict[str, str]:
    """Apply the plan in this process; return what became of each index."""
    target = BentTarget()
    BentTarget.bend = staticmethod(bend)
    plan = read_plan(Path("plan.json"))
    with journals(target, ["Orders"], "migrate apply") as kept:
        ready = applying.check(target, plan)
        policy = index_work.WaitPolicy(watch=watch, clock=clock.now, pause=clock.sleep)
        changes = applying.apply(target, ready, kept, policy)
    return {name: str(change) for (_, name), change in changes.items()}


CREATED = {"ByCustomer": "created", "ByTotal": "created"}


def test_an_index_is_done_when_every_region_has_it(client: Any) -> None:
    """And the next one is not begun before."""
    elsewhere = {"eu-west-1": ["CREATING"] * 3, "eu-west-3": ["", "CREATING"]}
    left: dict[tuple[str, str], list[str]] = {}
    seen = []

    def bend(region: str, operation: str, pass_on: Callable[[], Any]) -> Any:
        answer = pass_on()
        if operation != "DescribeTable":
            return answer
        table = answer["Table"]
        if not region:
            table["Replicas"] = [{"RegionName": each} for each in elsewhere]
        for index in table.get("GlobalSecondaryIndexes", ()) if region else ():
            statuses = left.setdefault((region, index["IndexName"]), [*elsewhere[region]])
            index["IndexStatus"] = statuses.pop(0) if statuses else "ACTIVE"
        if region:
            here = table.get("GlobalSecondaryIndexes", [])
            table["GlobalSecondaryIndexes"] = [each for each in here if each["IndexStatus"]]
        return answer

    def watch(event: index_work.Event) -> None:
        if event.regions:
            seen.append((event.index, dict(event.regions)))
            assert "ByTotal" not in names(client) or event.index == "ByTotal"

    assert carry(bend, FakeClock(), watch) == CREATED
    for name in CREATED:
        assert [regions for index, regions in seen if index == name] == [
            {"eu-west-1": "CREATING", "eu-west-3": "not there yet"},
            {"eu-west-1": "CREATING", "eu-west-3": "CREATING"},
            {"eu-west-1": "CREATING"},
        ]


@pytest.mark.parametrize(("silent_s", "is_done"), [(540.0, True), (1e9, False)])
@pytest.mark.usefixtures("client")
def test_a_target_that_falls_silent_is_asked_for_ten_minutes(
    silent_s: float, *, is_done: bool
) -> None:
    clock = FakeClock()
    since: list[float] = []

    def bend(_: str, operation: str, pass_on: Callable[[], Any]) -> Any:
        if since and clock.now() - since[0] < silent_s:
            clock.advance(1.0)
            raise DynamoDBError(CONNECTION_LOST, "Connection refused")
        answer = pass_on()
        if operation == "UpdateTable" and not since:
            since.append(clock.now())
        return answer

    if is_done:
        assert carry(bend, clock) == CREATED
        assert clock.now() >= silent_s
        return
    with pytest.raises(TargetError, match=r"no answer from .*What was begun stays: .* goes on"):
        carry(bend, clock)
    assert 600 <= clock.now() - since[0] < 700
    assert [step for step, _ in steps()][:2] == ["asked", "accepted"]
    assert steps()[-1] == ("stopped", "")
    assert apply().exit_code == 0


@pytest.mark.usefixtures("client")
def test_credentials_that_expire_end_it_at_once_and_fresh_ones_go_on() -> None:
    clock = FakeClock()
    expired = DynamoDBError("ExpiredTokenException", "The security token has expired")
    begun: list[str] = []

    def bend(_: str, operation: str, pass_on: Callable[[], Any]) -> Any:
        if begun:
            raise expired
        if operation == "UpdateTable":
            begun.append(operation)
        return pass_on()

    with pytest.raises(ConfigError, match=r"have expired .* sign in again.* goes on"):
        carry(bend, clock)
    assert clock.now() < 30
    assert apply().exit_code == 0
    assert [step for step, name in steps() if name == "ByCustomer"] == [
        "asked", "accepted", "backfilling", "done",
    ]  # fmt: skip


def test_a_table_that_is_being_deleted_is_left_alone(client: Any) -> None:
    def bend(_: str, operation: str, pass_on: Callable[[], Any]) -> Any:
        answer = pass_on()
        if operation == "DescribeTable":
            answer["Table"]["TableStatus"] = "DELETING"
        return answer

    with pytest.raises(TargetError, match=r"Orders is DELETING .* Nothing was changed"):
        carry(bend, FakeClock())
    assert names(client) == set()


def test_somebody_elses_index_that_is_begun_meanwhile_is_waited_for(client: Any) -> None:
    theirs: list[Any] = []

    def bend(_: str, operation: str, pass_on: Callable[[], Any]) -> Any:
        if operation == "UpdateTable" and not theirs:
            theirs.append(client.update_table(**creation("Theirs")))
        return pass_on()

    assert carry(bend, FakeClock()) == CREATED
    assert indexes(client) == dict.fromkeys(["ByCustomer", "ByTotal", "Theirs"], "ACTIVE")
    assert [step for step, name in steps() if name == "ByCustomer"] == [
        "asked", "refused", "asked", "accepted", "backfilling", "done",
    ]  # fmt: skip
    assert rollback().exit_code == 0
    assert names(client) == {"Theirs"}


def test_what_cloudwatch_counts_of_building_is_shown(account: Any) -> None:
    """Items a second, time left, write units a second, throttled writes: on one line."""
    now = datetime.now(UTC)
    for metric, values in {
        "OnlineIndexConsumedWriteCapacity": (30_000.0, 57_000.0),
        "OnlineIndexThrottleEvents": (5.0, 7.0),
    }.items():
        for minutes, value in zip((3, 2), values, strict=True):
            account.cloudwatch.put_metric_data(
                Namespace="AWS/DynamoDB",
                MetricData=[
                    {
                        "MetricName": metric,
                        "Dimensions": [
                            {"Name": "TableName", "Value": "Orders"},
                            {"Name": "GlobalSecondaryIndexName", "Value": "ByTotal"},
                        ],
                        "Timestamp": now - timedelta(minutes=minutes),
                        "Value": value,
                    }
                ],
            )
    named = SimpleNamespace(name="Orders"), SimpleNamespace(name="ByTotal")
    event = index_work.Event(
        table="Orders",
        index="ByTotal",
        status="CREATING",
        fraction=0.4,
        backfilling=True,
        items_s=1200.0,
        left_s=90.0,
        writing=_CloudWatchProgress(account.cloudwatch).writing(*cast("Any", named)),
        regions={},
    )

    stage, text = _event_text(event)

    assert stage == "CREATING, items are copied"
    assert text == (
        "ByTotal: CREATING, items are copied, 1,200 items/s, about 1 min 30 s left, 950 WCU,"
        " 12 writes throttled"
    )


@pytest.mark.parametrize("days", [1, 14, 90, 455])
def test_no_more_points_are_asked_of_cloudwatch_than_it_gives(days: int) -> None:
    """1,440 an answer, by its API reference; moto gives any number."""
    asked: dict[str, Any] = {}

    def answer(**request: Any) -> dict[str, Any]:
        asked.update(request)
        return {"Datapoints": []}

    target: Any = SimpleNamespace(
        is_aws=True, name="AWS", client=lambda _: SimpleNamespace(get_metric_statistics=answer)
    )
    state: Any = SimpleNamespace(name="Orders", replicas=())

    found = recent_reads(target, state, "Old", days=days, now=datetime.now(UTC))

    assert found.units == 0
    assert asked["Period"] % 3600 == 0
    assert (asked["EndTime"] - asked["StartTime"]).total_seconds() / asked["Period"] <= 1440
