"""Creating and deleting an index on a live table: its states, and its contents while it grows."""

import os
import random
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from perfkit.embedded import backfill

BY_G = "by-g"
NOT_READY = f"Cannot read from backfilling global secondary index: {BY_G}"
LIMIT = (
    "Subscriber limit exceeded: Only 1 online index can be created or deleted simultaneously per"
    " table"
)


@pytest.fixture
def steps_of_10(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let one look at the table copy ten items."""
    monkeypatch.setattr(backfill, "_STEP_ITEMS", 10)


@pytest.fixture
def creation(build: Any) -> Callable[..., dict[str, Any]]:
    """Return a function that builds the UpdateTable request for an index on "g"."""

    def creation(name: str = BY_G, keys: str = "g", projection: Any = "ALL") -> dict[str, Any]:
        return {
            "TableName": "things",
            "AttributeDefinitions": build.definitions(keys),
            "GlobalSecondaryIndexUpdates": [{"Create": build.index(name, keys, projection)}],
        }

    return creation


def deletion(name: str = BY_G) -> dict[str, Any]:
    return {
        "TableName": "things",
        "GlobalSecondaryIndexUpdates": [{"Delete": {"IndexName": name}}],
    }


def item(number: int, **more: Any) -> dict[str, Any]:
    return {"pk": {"S": f"k{number:04}"}, "g": {"S": f"g{number % 3}"}, **more}


def fill(client: Any, count: int, start: int = 0) -> None:
    for first in range(start, start + count, 25):
        numbers = range(first, min(first + 25, start + count))
        client.batch_write_item(
            RequestItems={"things": [{"PutRequest": {"Item": item(n)}} for n in numbers]}
        )


def look(client: Any) -> tuple[str, str | None, bool | None]:
    """Return the status of the table, and status and Backfilling of its only index."""
    table = client.describe_table(TableName="things")["Table"]
    (index,) = table.get("GlobalSecondaryIndexes", [{}])
    return table["TableStatus"], index.get("IndexStatus"), index.get("Backfilling")


def finish(client: Any) -> int:
    """Look until the table is ACTIVE and return how often that took."""
    for count in range(1, 10_000):
        if look(client)[0] == "ACTIVE":
            return count
    pytest.fail("the index never became active")


@pytest.fixture
def same(client: Any, walk: Callable[..., Any]) -> Callable[..., None]:
    """Return a function that asserts that an index holds what its table says it must."""

    def same(
        *,
        on: Any = client,
        names: set[str] | None = None,
        member: Callable[[Any], bool] | None = None,
    ) -> None:
        items = walk(on.scan, TableName="things", ConsistentRead=True)
        entries = walk(on.scan, TableName="things", IndexName=BY_G)
        expected = [
            {name: value for name, value in found.items() if names is None or name in names}
            for found in items
            if (member or (lambda found: "S" in found.get("g", {})))(found)
        ]
        described = on.describe_table(TableName="things")["Table"]
        (index,) = described["GlobalSecondaryIndexes"]
        assert sorted(entries, key=str) == sorted(expected, key=str)
        assert described["ItemCount"] == len(items)
        assert index["ItemCount"] == len(expected)

    return same


# ---- states ------------------------------------------------------------------------------


@pytest.mark.usefixtures("steps_of_10")
def test_an_index_goes_from_allocating_over_copying_to_active(
    client: Any, make_table: Callable[..., str], creation: Any, refused: Any, same: Any
) -> None:
    make_table("things")
    fill(client, 25)

    updating = client.update_table(**creation())["TableDescription"]
    (index,) = updating["GlobalSecondaryIndexes"]
    states: list[tuple[str, str | None, bool | None]] = []
    for _ in range(4):
        with refused("ValidationException", NOT_READY):
            client.scan(TableName="things", IndexName=BY_G)
        states.append(look(client))
    states.append(look(client))

    assert (updating["TableStatus"], index["IndexStatus"], index["Backfilling"]) == (
        "UPDATING",
        "CREATING",
        False,
    )
    assert {"AttributeName": "g", "AttributeType": "S"} in updating["AttributeDefinitions"]
    assert states == [
        ("UPDATING", "CREATING", False),
        ("UPDATING", "CREATING", True),
        ("UPDATING", "CREATING", True),
        ("UPDATING", "CREATING", True),
        ("ACTIVE", "ACTIVE", None),
    ]
    same()


def test_an_index_of_an_empty_table_becomes_active_too(
    client: Any, make_table: Callable[..., str], creation: Any
) -> None:
    make_table("things")
    client.update_table(**creation())

    assert finish(client) <= 3
    assert client.scan(TableName="things", IndexName=BY_G)["Count"] == 0


@pytest.mark.usefixtures("steps_of_10")
def test_reading_other_indexes_and_the_table_goes_on(
    client: Any, make_table: Callable[..., str], creation: Any, refused: Any
) -> None:
    make_table("things", gsi={"other": ("g", "KEYS_ONLY")})
    fill(client, 25)
    client.update_table(**creation())

    assert client.scan(TableName="things")["Count"] == 25
    assert client.scan(TableName="things", IndexName="other")["Count"] == 25
    with refused("ValidationException", NOT_READY):
        client.query(
            TableName="things",
            IndexName=BY_G,
            KeyConditionExpression="g = :g",
            ExpressionAttributeValues={":g": {"S": "g0"}},
        )


@pytest.mark.usefixtures("steps_of_10")
def test_only_one_index_operation_runs_at_a_time(
    client: Any, make_table: Callable[..., str], creation: Any, refused: Any
) -> None:
    make_table("things", gsi={"old": ("g", "KEYS_ONLY")})
    make_table("beside")
    fill(client, 25)
    two = creation()
    two["GlobalSecondaryIndexUpdates"] += creation("second")["GlobalSecondaryIndexUpdates"]

    with refused("LimitExceededException", LIMIT):
        client.update_table(**two)
    client.update_table(**creation())

    for _ in range(2):
        with refused("LimitExceededException", LIMIT):
            client.update_table(**creation("second"))
        with refused("LimitExceededException", LIMIT):
            client.update_table(**deletion("old"))
        with refused("ResourceInUseException"):
            client.delete_table(TableName="things")
        with refused("ResourceInUseException"):
            client.update_table(
                TableName="things",
                BillingMode="PROVISIONED",
                ProvisionedThroughput={"ReadCapacityUnits": 1, "WriteCapacityUnits": 1},
            )
        client.describe_table(TableName="things")
    # another table is free to go on
    client.update_table(**{**creation(), "TableName": "beside"})
    for _ in range(9):
        client.describe_table(TableName="things")
    client.update_table(**creation("second"))
    names = {
        index["IndexName"]
        for index in client.describe_table(TableName="things")["Table"]["GlobalSecondaryIndexes"]
    }
    assert names == {"old", BY_G, "second"}


def test_an_index_that_is_allocated_cannot_be_deleted_but_one_that_copies_can(
    client: Any, make_table: Callable[..., str], creation: Any, refused: Any
) -> None:
    make_table("things")
    fill(client, 25)
    client.update_table(**creation())

    with refused("ResourceInUseException"):
        client.update_table(**deletion())
    assert look(client) == ("UPDATING", "CREATING", False)
    deleting = client.update_table(**deletion())["TableDescription"]

    assert deleting["GlobalSecondaryIndexes"][0]["IndexStatus"] == "DELETING"
    assert look(client) == ("UPDATING", "DELETING", None)
    assert look(client) == ("ACTIVE", None, None)
    assert client.scan(TableName="things")["Count"] == 25


def test_a_deleted_index_takes_its_attribute_definitions_along(
    client: Any, make_table: Callable[..., str], creation: Any, refused: Any
) -> None:
    make_table("things", gsi={BY_G: ("g", "ALL"), "other": ("pk h", "ALL")})

    client.update_table(**deletion())
    with refused("ValidationException"):
        client.scan(TableName="things", IndexName=BY_G)
    client.describe_table(TableName="things")
    client.put_item(TableName="things", Item=item(1, g={"N": "1"}))
    table = client.describe_table(TableName="things")["Table"]

    assert [index["IndexName"] for index in table["GlobalSecondaryIndexes"]] == ["other"]
    assert {entry["AttributeName"] for entry in table["AttributeDefinitions"]} == {"pk", "h"}
    # the name is free again, with another key type
    client.update_table(**creation(keys="g:N"))
    for _ in range(3):
        client.describe_table(TableName="things")
    assert client.scan(TableName="things", IndexName=BY_G)["Count"] == 1


@pytest.mark.parametrize(
    ("change", "code", "part"),
    [
        pytest.param(
            {"name": "old"}, "ValidationException", "Duplicate index name: old", id="name"
        ),
        pytest.param(
            {"AttributeDefinitions": []},
            "ValidationException",
            "Some index key attributes are not defined in AttributeDefinitions. Keys: [g]",
            id="undefined key",
        ),
        pytest.param(
            {
                "keys": "pk g",
                "AttributeDefinitions": [{"AttributeName": "g", "AttributeType": "S"}],
            },
            "ValidationException",
            "Some index key attributes are not defined in AttributeDefinitions. Keys: [pk, g]",
            id="the table's key must be defined again",
        ),
        pytest.param(
            {"projection": "INCLUDE"},
            "ValidationException",
            "ProjectionType is INCLUDE, but NonKeyAttributes is not specified",
            id="INCLUDE of nothing",
        ),
    ],
)
def test_a_wrong_index_is_refused(
    client: Any,
    make_table: Callable[..., str],
    creation: Any,
    refused: Any,
    change: dict[str, Any],
    code: str,
    part: str,
) -> None:
    make_table("things", gsi={"old": ("old-key", "KEYS_ONLY")})
    given = {n: v for n, v in change.items() if n in ("name", "keys", "projection")}
    request = creation(**given) | {n: v for n, v in change.items() if n not in given}

    with refused(code, part=part):
        client.update_table(**request)
    assert client.describe_table(TableName="things")["Table"]["TableStatus"] == "ACTIVE"


def test_definitions_merge_and_never_change_a_stored_type(
    client: Any, make_table: Callable[..., str], build: Any, creation: Any
) -> None:
    make_table("things")
    request = creation() | {"AttributeDefinitions": build.definitions("pk:N g unused")}

    described = client.update_table(**request)["TableDescription"]

    assert described["AttributeDefinitions"] == build.definitions("pk g")


# ---- what is left out --------------------------------------------------------------------

UNFIT = [
    pytest.param({"g": {"N": "1"}}, id="number"),
    pytest.param({"g": {"S": ""}}, id="empty"),
    pytest.param({"g": {"S": "x" * 2049}}, id="too long"),
    pytest.param({"g": {"L": []}}, id="list"),
    pytest.param({"g": {"NULL": True}}, id="null"),
    pytest.param({"other": {"S": "x"}}, id="missing"),
]


@pytest.mark.parametrize("attributes", UNFIT)
def test_items_that_cannot_be_keyed_are_left_out_silently_and_later_refused(
    client: Any,
    make_table: Callable[..., str],
    creation: Any,
    refused: Any,
    attributes: dict[str, Any],
) -> None:
    make_table("things")
    unfit = {"pk": {"S": "unfit"}, **attributes}
    client.put_item(TableName="things", Item=unfit)
    client.put_item(TableName="things", Item=item(1))
    client.update_table(**creation())
    finish(client)

    assert client.scan(TableName="things", IndexName=BY_G)["Items"] == [item(1)]
    if "g" in attributes:
        with refused("ValidationException"):
            client.put_item(TableName="things", Item=unfit)
    # an unfit item can still be changed elsewhere, put right, and deleted
    client.update_item(
        TableName="things",
        Key={"pk": {"S": "unfit"}},
        UpdateExpression="SET v = :v",
        ExpressionAttributeValues={":v": {"S": "x"}},
    )
    client.update_item(
        TableName="things",
        Key={"pk": {"S": "unfit"}},
        UpdateExpression="SET g = :g",
        ExpressionAttributeValues={":g": {"S": "good"}},
    )
    assert client.scan(TableName="things", IndexName=BY_G)["Count"] == 2
    client.delete_item(TableName="things", Key={"pk": {"S": "unfit"}})
    assert client.scan(TableName="things", IndexName=BY_G)["Count"] == 1


# ---- writing while it grows --------------------------------------------------------------


def change_at_random(client: Any, dice: random.Random, count: int) -> None:
    """Put, update and delete items, new and old, in single writes, batches and transactions."""
    for _ in range(count):
        number = dice.randrange(200)
        key = {"pk": {"S": f"k{number:04}"}}
        g = {"S": f"g{dice.randrange(4)}"}
        match dice.randrange(7):
            case 0:
                client.put_item(TableName="things", Item={**key, "g": g, "v": {"N": "1"}})
            case 1:
                client.put_item(TableName="things", Item=key)
            case 2:
                client.delete_item(TableName="things", Key=key)
            case 3:
                client.update_item(
                    TableName="things",
                    Key=key,
                    UpdateExpression="SET g = :g",
                    ExpressionAttributeValues={":g": g},
                )
            case 4:
                client.update_item(TableName="things", Key=key, UpdateExpression="REMOVE g")
            case 5:
                # touches nothing the index holds unless it projects everything
                client.update_item(
                    TableName="things",
                    Key=key,
                    UpdateExpression="SET spare = :s",
                    ExpressionAttributeValues={":s": {"N": str(dice.randrange(9))}},
                )
            case _:
                other = {"pk": {"S": f"k{(number + 1) % 200:04}"}}
                client.transact_write_items(
                    TransactItems=[
                        {"Put": {"TableName": "things", "Item": {**key, "g": g}}},
                        {"Delete": {"TableName": "things", "Key": other}},
                    ]
                )


@pytest.mark.usefixtures("steps_of_10")
@pytest.mark.parametrize(
    ("projection", "names", "seed"),
    [("ALL", None, 1), ("KEYS_ONLY", {"pk", "g"}, 2), (["v"], {"pk", "g", "v"}, 3)],
    ids=["ALL", "KEYS_ONLY", "INCLUDE"],
)
def test_writes_between_the_steps_end_up_in_the_index(
    client: Any,
    make_table: Callable[..., str],
    creation: Any,
    same: Any,
    projection: Any,
    names: set[str] | None,
    seed: int,
) -> None:
    dice = random.Random(seed)
    make_table("things")
    fill(client, 150)
    change_at_random(client, dice, 20)

    client.update_table(**creation(projection=projection))
    change_at_random(client, dice, 20)
    looks = 0
    while look(client)[0] == "UPDATING":
        looks += 1
        change_at_random(client, dice, 12)
    same(names=names)
    change_at_random(client, dice, 50)

    assert looks > 5
    same(names=names)


@pytest.mark.usefixtures("steps_of_10")
def test_writes_while_it_grows_are_billed_for_the_index(
    client: Any, make_table: Callable[..., str], creation: Any
) -> None:
    make_table("things")
    fill(client, 25)
    client.update_table(**creation())
    look(client)
    look(client)

    written = client.put_item(TableName="things", Item=item(500), ReturnConsumedCapacity="INDEXES")

    assert written["ConsumedCapacity"]["GlobalSecondaryIndexes"] == {BY_G: {"CapacityUnits": 1.0}}


@pytest.mark.usefixtures("steps_of_10")
def test_several_clients_may_watch_one_file(
    connect: Callable[..., Any], make_table: Callable[..., str], creation: Any, same: Any
) -> None:
    watchers = [connect("data.sqlite3") for _ in range(3)]
    make_table("things", on=watchers[0])
    fill(watchers[0], 60)
    watchers[1].update_table(**creation())

    states = [look(watchers[turn % 3]) for turn in range(9)]

    assert states[0] == ("UPDATING", "CREATING", False)
    assert states[1:8] == [("UPDATING", "CREATING", True)] * 7
    assert states[8] == ("ACTIVE", "ACTIVE", None)
    same(on=watchers[2])


WATCH = """
    import sys
    from pathlib import Path
    from perfkit.dynamodb.targets import Target
    from perfkit.embedded import backfill
    backfill._STEP_ITEMS = 20
    connection = Target(data=Path("data.sqlite3")).connect()
    # a look for each line
    for _ in sys.stdin:
        table = connection.execute("DescribeTable", {"TableName": "things"})["Table"]
        print(table["TableStatus"], flush=True)
        if table["TableStatus"] == "ACTIVE":
            break
"""


def watcher() -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(WATCH)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


@pytest.mark.processes
def test_a_backfill_survives_its_watchers_being_killed(
    connect: Callable[..., Any],
    make_table: Callable[..., str],
    creation: Any,
    same: Any,
) -> None:
    client = connect("data.sqlite3")
    make_table("things", on=client)
    fill(client, 2000)
    client.update_table(**creation())
    client.close()

    for looks in (3, 10, 20):
        with watcher() as process:
            assert process.stdin is not None
            assert process.stdout is not None
            for _ in range(looks):
                process.stdin.write("\n")
                process.stdin.flush()
                assert process.stdout.readline() == "UPDATING\n"
            # and somewhere in one more
            process.stdin.write("\n")
            process.stdin.flush()
            os.kill(process.pid, signal.SIGKILL)
    both = [watcher(), watcher()]
    for process in both:
        output, _ = process.communicate("\n" * 200, timeout=60)
        assert process.returncode == 0
        assert output.split()[-1] == "ACTIVE"

    assert Path("data.sqlite3").exists()
    same(on=connect("data.sqlite3"))
