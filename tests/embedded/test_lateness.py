"""`--index-delay`: global indexes and eventually consistent reads that lag, in virtual time."""

import json
import random
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from perfkit.cli import app
from perfkit.commands.options import make_target
from perfkit.dynamodb.client import embedded_client
from perfkit.embedded import lateness
from perfkit.errors import ConfigError

DELAY_S = 10.0


class Clock:
    """Seconds since 1970 that pass when told."""

    def __init__(self) -> None:
        self.now_s = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(lateness, "_now_s", made)
    return made


def create(client: Any, projection: dict[str, Any] | None = None) -> None:
    client.create_table(
        TableName="things",
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "n", "KeyType": "RANGE"}],
        AttributeDefinitions=[
            {"AttributeName": "pk", "AttributeType": "S"},
            {"AttributeName": "n", "AttributeType": "N"},
            {"AttributeName": "g", "AttributeType": "S"},
        ],
        BillingMode="PAY_PER_REQUEST",
        LocalSecondaryIndexes=[
            {
                "IndexName": "local",
                "KeySchema": [
                    {"AttributeName": "pk", "KeyType": "HASH"},
                    {"AttributeName": "g", "KeyType": "RANGE"},
                ],
                "Projection": {"ProjectionType": "ALL"},
            }
        ],
        GlobalSecondaryIndexes=[
            {
                "IndexName": "by-g",
                "KeySchema": [{"AttributeName": "g", "KeyType": "HASH"}],
                "Projection": projection or {"ProjectionType": "ALL"},
            }
        ],
    )  # fmt: skip


def thing(number: int, g: str, v: int = 0) -> dict[str, Any]:
    return {"pk": {"S": "p"}, "n": {"N": str(number)}, "g": {"S": g}, "v": {"N": str(v)}}


def by_g(client: Any, g: str, **more: Any) -> Any:
    return client.query(
        TableName="things",
        IndexName="by-g",
        KeyConditionExpression="g = :g",
        ExpressionAttributeValues={":g": {"S": g}, **more.pop("values", {})},
        **more,
    )


def numbers(answer: Any) -> list[int]:
    return sorted(int(item["n"]["N"]) for item in answer["Items"])


def test_a_write_shows_at_once_where_it_may_and_later_elsewhere(clock: Clock) -> None:
    client = embedded_client(":memory:", index_delay_s=DELAY_S)
    create(client)
    client.put_item(TableName="things", Item=thing(1, "a"))
    key = {"pk": {"S": "p"}, "n": {"N": "1"}}

    def seen() -> dict[str, bool]:
        wanted = {"TableName": "things", "Key": key}
        block = {"Keys": [key]}
        batch = client.batch_get_item(RequestItems={"things": block})
        strong = client.batch_get_item(RequestItems={"things": {**block, "ConsistentRead": True}})
        own = {
            "TableName": "things",
            "KeyConditionExpression": "pk = :p",
            "ExpressionAttributeValues": {":p": {"S": "p"}},
        }
        return {
            "get": "Item" in client.get_item(**wanted),
            "batch": bool(batch["Responses"]["things"]),
            "query": client.query(**own)["Count"] == 1,
            "scan": client.scan(TableName="things")["Count"] == 1,
            "index query": by_g(client, "a")["Count"] == 1,
            "index scan": client.scan(TableName="things", IndexName="by-g")["Count"] == 1,
            "strong get": "Item" in client.get_item(**wanted, ConsistentRead=True),
            "strong batch": bool(strong["Responses"]["things"]),
            "strong query": client.query(**own, ConsistentRead=True)["Count"] == 1,
            "strong scan": client.scan(TableName="things", ConsistentRead=True)["Count"] == 1,
            "local": client.query(**own, IndexName="local")["Count"] == 1,
            "transaction": "Item"
            in client.transact_get_items(TransactItems=[{"Get": wanted}])["Responses"][0],
        }

    assert [name for name, shown in seen().items() if shown] == [
        "strong get", "strong batch", "strong query", "strong scan", "local", "transaction",
    ]  # fmt: skip
    clock.now_s += DELAY_S
    assert all(seen().values())

    # a condition of a write never looks at what is late
    client.delete_item(TableName="things", Key=key)
    client.put_item(
        TableName="things", Item=thing(1, "b"), ConditionExpression="attribute_not_exists(pk)"
    )
    shown = seen()
    assert (shown["index query"], shown["get"], shown["strong get"]) == (True, True, True)
    clock.now_s += DELAY_S
    assert by_g(client, "a")["Count"] == 0
    assert by_g(client, "b")["Count"] == 1


def test_pages_counts_filters_and_units_are_those_of_what_is_returned(clock: Clock) -> None:
    client = embedded_client(":memory:", index_delay_s=DELAY_S)
    create(client, {"ProjectionType": "INCLUDE", "NonKeyAttributes": ["v"]})
    for number in range(10):
        client.put_item(TableName="things", Item=thing(number, "a", v=number % 2))
    clock.now_s += DELAY_S
    # three go, three change their value, two come
    for number in range(3):
        client.delete_item(TableName="things", Key={"pk": {"S": "p"}, "n": {"N": str(number)}})
    for number in range(3, 6):
        client.put_item(
            TableName="things", Item=thing(number, "a", v=7) | {"pad": {"S": "x" * 9000}}
        )
    for number in range(10, 12):
        client.put_item(TableName="things", Item=thing(number, "a", v=1))

    # what was there before: ten entries of 10 to 11 bytes, half a unit
    whole = by_g(client, "a", ReturnConsumedCapacity="TOTAL")
    assert (numbers(whole), whole["ScannedCount"]) == (list(range(10)), 10)
    assert whole["ConsumedCapacity"]["CapacityUnits"] == 0.5
    assert by_g(client, "a", Select="COUNT")["Count"] == 10
    odd = by_g(client, "a", FilterExpression="v = :v", values={":v": {"N": "1"}})
    assert (numbers(odd), odd["ScannedCount"]) == ([1, 3, 5, 7, 9], 10)
    pages = []
    for forward in (True, False):
        found: list[int] = []
        start: dict[str, Any] = {}
        while True:
            page = by_g(client, "a", Limit=3, ScanIndexForward=forward, **start)
            found += [int(item["n"]["N"]) for item in page["Items"]]
            pages.append(page["Count"])
            if "LastEvaluatedKey" not in page:
                break
            start = {"ExclusiveStartKey": page["LastEvaluatedKey"]}
        assert found == (list(range(10)) if forward else list(range(9, -1, -1)))
    assert pages == [3, 3, 3, 1] * 2
    # the table, too: without the 27 KB that were added since, and with the three that are gone
    late = client.scan(TableName="things", ReturnConsumedCapacity="TOTAL")
    assert late["ConsumedCapacity"]["CapacityUnits"] == 0.5
    assert numbers(late) == list(range(10))
    assert client.scan(TableName="things", Select="COUNT", Limit=2)["Count"] == 2
    clock.now_s += DELAY_S
    now = client.scan(TableName="things", ReturnConsumedCapacity="TOTAL")
    assert numbers(now) == list(range(3, 12))
    # 27,0xx and some bytes: seven blocks of 4 KB, at half a unit
    assert now["ConsumedCapacity"]["CapacityUnits"] == 3.5
    assert numbers(by_g(client, "a")) == list(range(3, 12))


@pytest.mark.parametrize("projection", ["ALL", "KEYS_ONLY"])
def test_an_index_shows_one_state_that_each_item_was_in_and_never_an_older_one(
    clock: Clock, projection: str
) -> None:
    """Random writes and looks, against the list of everything each item ever was."""
    chance = random.Random(5)
    client = embedded_client(":memory:", index_delay_s=DELAY_S)
    create(client, {"ProjectionType": projection})
    states: dict[int, list[tuple[float, str | None]]] = {
        number: [(clock.now_s, None)] for number in range(6)
    }
    reached = dict.fromkeys(states, 0)
    lags = set()
    for _ in range(200):
        clock.now_s += chance.choice([0.1, 0.5, 4.0])
        number = chance.randrange(6)
        g = chance.choice(["a", "b", "c", None])
        if g is None:
            client.delete_item(TableName="things", Key={"pk": {"S": "p"}, "n": {"N": str(number)}})
        else:
            client.put_item(TableName="things", Item=thing(number, g))
        if states[number][-1][1] != g:
            states[number].append((clock.now_s, g))
        clock.now_s += 0.05
        shown: dict[int, list[str]] = {number: [] for number in states}
        for item in client.scan(TableName="things", IndexName="by-g")["Items"]:
            shown[int(item["n"]["N"])].append(item["g"]["S"])
        by_key = {g: numbers(by_g(client, g)) for g in "abc"}
        for number, history in states.items():
            assert by_key == {
                g: sorted(each for each, entries in shown.items() if g in entries) for g in "abc"
            }
            assert len(shown[number]) <= 1
            state = shown[number][0] if shown[number] else None
            # the earliest it may be in: no later state is due by now, and none older than before
            due = [
                at for at, (since_s, _) in enumerate(history) if since_s + DELAY_S <= clock.now_s
            ]
            first = max(reached[number], due[-1] if due else 0)
            fitting = [at for at in range(first, len(history)) if history[at][1] == state]
            assert fitting, (number, state, history[first:], first)
            reached[number] = fitting[0]
            lags.add(len(history) - 1 - fitting[0])
    # it did lag, by several states at times
    assert max(lags) > 2
    clock.now_s += DELAY_S
    left = {
        int(item["n"]["N"]) for item in client.scan(TableName="things", IndexName="by-g")["Items"]
    }
    assert left == {number for number, history in states.items() if history[-1][1] is not None}


def test_nothing_is_kept_or_looked_up_unless_asked_for(tmp_path: Path) -> None:
    data = tmp_path / "data.sqlite3"
    client = embedded_client(data)
    create(client)
    client.put_item(TableName="things", Item=thing(1, "a"))

    assert by_g(client, "a")["Count"] == 1
    assert tables_of(data).isdisjoint({"late", "delay"})

    late = embedded_client(data, index_delay_s=DELAY_S)
    client.put_item(TableName="things", Item=thing(2, "a"))
    # by whoever has the file open
    assert by_g(client, "a")["Count"] == by_g(late, "a")["Count"] == 1
    off = embedded_client(data, index_delay_s=0)
    assert by_g(client, "a")["Count"] == by_g(off, "a")["Count"] == 2
    for each in (client, late, off):
        each.close()


def tables_of(data: Path) -> set[str]:
    import sqlite3

    with sqlite3.connect(data) as file:
        return {name for (name,) in file.execute("SELECT name FROM sqlite_schema")}


@pytest.mark.parametrize("seconds", [-1.0, float("nan"), float("inf"), 3601.0])
def test_a_delay_that_is_none_is_refused(seconds: float) -> None:
    with pytest.raises(ConfigError, match="an index delay is a number of seconds from 0 to 3600"):
        embedded_client(":memory:", index_delay_s=seconds)


def test_a_variable_turns_it_on_and_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    data = Path(".perfkit/dynamodb.sqlite3")
    create(embedded_client(data))

    def status() -> Any:
        return CliRunner().invoke(app, ["status"])

    monkeypatch.setenv("PERFKIT_INDEX_DELAY", "soon")
    refused = status()
    assert (refused.exit_code, "PERFKIT_INDEX_DELAY is 'soon'" in refused.stderr) == (2, True)
    monkeypatch.setenv("PERFKIT_INDEX_DELAY", "3600")
    where = make_target("embedded", data)
    where.client().put_item(TableName="things", Item=thing(1, "a"))
    assert by_g(embedded_client(data), "a")["Count"] == 0
    monkeypatch.setenv("PERFKIT_INDEX_DELAY", "0")
    make_target("embedded", data).connect().close()
    assert by_g(embedded_client(data), "a")["Count"] == 1


@pytest.mark.processes
def test_a_write_of_a_killed_process_is_late_and_not_lost(clock: Clock, tmp_path: Path) -> None:
    data = tmp_path / "data.sqlite3"
    client = embedded_client(data, index_delay_s=DELAY_S)
    create(client)
    client.put_item(TableName="things", Item=thing(1, "a"))
    clock.now_s += DELAY_S
    script = f"""
        import os, signal
        from perfkit.dynamodb.client import embedded_client
        from perfkit.embedded import lateness
        lateness._now_s = lambda: {clock.now_s}
        client = embedded_client({str(data)!r})
        client.put_item(TableName="things", Item={json.dumps(thing(1, "b"))})
        os.kill(os.getpid(), signal.SIGKILL)
    """
    killed = subprocess.run([sys.executable, "-c", textwrap.dedent(script)], check=False)
    assert killed.returncode == -signal.SIGKILL

    again = embedded_client(data)
    assert (by_g(again, "a")["Count"], by_g(again, "b")["Count"]) == (1, 0)
    clock.now_s += DELAY_S
    assert (by_g(again, "a")["Count"], by_g(again, "b")["Count"]) == (0, 1)
    for each in (client, again):
        each.close()


@pytest.mark.processes
def test_a_server_says_that_it_lags(start_server: Callable[..., Any], tmp_path: Path) -> None:
    with start_server(tmp_path / "data.sqlite3", "--index-delay", "1.5") as (_, process):
        process.terminate()
        _, errors = process.communicate()

    assert "lag by up to 1.5 s; --index-delay 0 ends that" in errors
