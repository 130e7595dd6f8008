"""Several processes on one file: nothing acknowledged is lost, every reader sees whole states."""

import random
import sqlite3
import subprocess
import sys
import textwrap
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.processes

DATA = "data.sqlite3"

# boto3 takes longer to load than a process has to do, and is no part of what is shown here
PRELUDE = """
import sys
from pathlib import Path
from perfkit.dynamodb.targets import Target
from perfkit.embedded import DynamoDBError
me = sys.argv[1]
connection = Target(data=Path("data.sqlite3")).connect()

class Client:
    def __getattr__(self, name):
        operation = "".join(word.capitalize() for word in name.split("_"))
        return lambda **request: connection.execute(operation, request)

client = Client()
"""


def run(script: str, *names: str) -> list["subprocess.Popen[str]"]:
    """Start one process of *script* for each name."""
    return [
        subprocess.Popen(
            [sys.executable, "-c", PRELUDE + textwrap.dedent(script), name],
            stdout=subprocess.PIPE,
            text=True,
        )
        for name in names
    ]


def finish(processes: list["subprocess.Popen[str]"]) -> list[str]:
    """Return what each printed; all must succeed."""
    outputs = [process.communicate(timeout=60)[0] for process in processes]
    assert [process.returncode for process in processes] == [0] * len(processes)
    return outputs


def check_file() -> None:
    """Assert that SQLite finds nothing wrong with the file."""
    connection = sqlite3.connect(DATA)
    try:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    finally:
        connection.close()


@pytest.fixture
def shared(connect: Callable[..., Any], make_table: Callable[..., str]) -> Any:
    """Return a client on a file with the table "things", indexed by "g"."""
    client = connect(DATA)
    make_table("things", "pk", gsi={"by-g": ("g", ["n"])}, on=client)
    return client


def same_as_index(client: Any, walk: Callable[..., Any]) -> None:
    items = walk(client.scan, TableName="things", ConsistentRead=True)
    entries = walk(client.scan, TableName="things", IndexName="by-g")
    expected = [
        {name: value for name, value in item.items() if name in ("pk", "g", "n")}
        for item in items
        if "g" in item
    ]
    table = client.describe_table(TableName="things")["Table"]
    assert sorted(entries, key=str) == sorted(expected, key=str)
    assert table["ItemCount"] == len(items)
    assert table["GlobalSecondaryIndexes"][0]["ItemCount"] == len(expected)


def test_processes_that_write_at_once_lose_nothing(shared: Any, walk: Any) -> None:
    script = """
        for number in range(100):
            item = {"pk": {"S": f"{me}-{number}"}, "g": {"S": me}, "n": {"N": str(number)}}
            if number % 10:
                client.put_item(TableName="things", Item=item)
            else:
                writes = [{"PutRequest": {"Item": {**item, "pk": {"S": f"{me}-{number}-{i}"}}}}
                          for i in range(5)]
                client.batch_write_item(RequestItems={"things": writes})
    """

    finish(run(script, "a", "b", "c"))

    items = walk(shared.scan, TableName="things")
    assert Counter(item["g"]["S"] for item in items) == dict.fromkeys("abc", 90 + 50)
    same_as_index(shared, walk)
    check_file()


def test_a_counter_that_all_increment_adds_up(shared: Any) -> None:
    """Half of them add in the engine, half read and write back under a condition."""
    shared.put_item(TableName="things", Item={"pk": {"S": "counter"}, "n": {"N": "0"}})
    script = """
        key = {"pk": {"S": "counter"}}
        done = 0
        while done < 60:
            if me in "ab":
                client.update_item(TableName="things", Key=key, UpdateExpression="ADD n :one",
                                   ExpressionAttributeValues={":one": {"N": "1"}})
                done += 1
                continue
            n = client.get_item(TableName="things", Key=key, ConsistentRead=True)["Item"]["n"]
            try:
                client.put_item(
                    TableName="things", Item={**key, "n": {"N": str(int(n["N"]) + 1)}},
                    ConditionExpression="n = :n", ExpressionAttributeValues={":n": n})
                done += 1
            except DynamoDBError as error:
                assert error.code == "ConditionalCheckFailedException"
    """

    finish(run(script, "a", "b", "c", "d"))

    counter = shared.get_item(TableName="things", Key={"pk": {"S": "counter"}})["Item"]
    assert counter["n"] == {"N": "240"}


def test_transfers_between_accounts_keep_the_total_at_every_moment(shared: Any) -> None:
    """Writers move amounts in transactions; readers must never see money appear or vanish."""
    for number in range(5):
        item = {"pk": {"S": str(number)}, "g": {"S": "all"}, "n": {"N": "100"}}
        shared.put_item(TableName="things", Item=item)
    script = """
        import random
        dice = random.Random(me)
        def change(name, amount):
            return {"Update": {
                "TableName": "things", "Key": {"pk": {"S": name}},
                "UpdateExpression": "ADD n :v",
                "ExpressionAttributeValues": {":v": {"N": str(amount)}}}}
        def move():
            one, two = dice.sample("01234", 2)
            amount = dice.randrange(50)
            client.transact_write_items(TransactItems=[change(one, amount), change(two, -amount)])
        move()
        print("moving", flush=True)
        while not Path("enough").exists():
            move()
    """
    writers = run(script, "a", "b")
    for writer in writers:
        assert writer.stdout is not None
        assert writer.stdout.readline() == "moving\n"

    for _ in range(40):
        pages = [
            shared.scan(TableName="things", ConsistentRead=True),
            shared.scan(TableName="things", IndexName="by-g"),
            shared.query(
                TableName="things",
                IndexName="by-g",
                KeyConditionExpression="g = :g",
                ExpressionAttributeValues={":g": {"S": "all"}},
            ),
        ]
        reads = [{"Get": {"TableName": "things", "Key": {"pk": {"S": name}}}} for name in "01234"]
        responses = shared.transact_get_items(TransactItems=reads)["Responses"]
        pages.append({"Items": [response["Item"] for response in responses]})
        keys = {"Keys": [read["Get"]["Key"] for read in reads]}
        batch = shared.batch_get_item(RequestItems={"things": keys})["Responses"]["things"]
        pages.append({"Items": batch})
        for page in pages:
            assert sum(int(item["n"]["N"]) for item in page["Items"]) == 500

    Path("enough").touch()
    finish(writers)


def test_killed_writers_lose_nothing_that_was_acknowledged(shared: Any, walk: Any) -> None:
    """A line is printed only after the answer; each write is an item, its index entry, its count."""
    script = """
        number = 0
        while True:
            number += 1
            item = {"pk": {"S": f"{me}-{number}"}, "g": {"S": me}, "n": {"N": str(number)}}
            client.put_item(TableName="things", Item=item)
            print(number, flush=True)
    """
    dice = random.Random(7)
    acknowledged: dict[str, int] = {}

    for turn in range(3):
        processes = run(script, f"{turn}a", f"{turn}b")
        for process in processes:
            assert process.stdout is not None
            process.stdout.readline()
        time.sleep(dice.uniform(0.01, 0.2))
        for name, process in zip("ab", processes, strict=True):
            process.kill()
            output, _ = process.communicate()
            # the last line may be cut short
            lines = output[: output.rfind("\n")].split()
            acknowledged[f"{turn}{name}"] = max(map(int, lines), default=1)
        check_file()

    found = {item["pk"]["S"] for item in walk(shared.scan, TableName="things")}
    for name, last in acknowledged.items():
        assert {f"{name}-{number}" for number in range(1, last + 1)} <= found
        # at most the one in flight is there besides
        assert f"{name}-{last + 2}" not in found
    same_as_index(shared, walk)
    shared.put_item(TableName="things", Item={"pk": {"S": "after"}})


def test_a_killed_batch_or_transaction_is_there_whole_or_not_at_all(shared: Any, walk: Any) -> None:
    script = """
        number = 0
        while True:
            number += 1
            items = [{"pk": {"S": f"{me}-{number}-{i}"}, "g": {"S": f"{me}-{number}"}}
                     for i in range(20)]
            if me == "batch":
                client.batch_write_item(
                    RequestItems={"things": [{"PutRequest": {"Item": item}} for item in items]})
            else:
                client.transact_write_items(
                    TransactItems=[{"Put": {"TableName": "things", "Item": item}} for item in items])
            if number == 1:
                print("ready", flush=True)
    """
    processes = run(script, "batch", "transaction")
    for process in processes:
        assert process.stdout is not None
        process.stdout.readline()
    time.sleep(0.3)
    for process in processes:
        process.kill()
        process.communicate()

    sizes = Counter(item["g"]["S"] for item in walk(shared.scan, TableName="things"))
    assert sizes
    assert set(sizes.values()) == {20}
    same_as_index(shared, walk)
    check_file()


def test_a_table_made_elsewhere_is_seen_at_once(shared: Any, connect: Callable[..., Any]) -> None:
    script = """
        client.delete_table(TableName="things")
        client.create_table(
            TableName="things", BillingMode="PAY_PER_REQUEST",
            KeySchema=[{"AttributeName": "other", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "other", "AttributeType": "N"}])
        client.put_item(TableName="things", Item={"other": {"N": "1"}})
    """
    other = connect(DATA)
    assert other.scan(TableName="things")["Count"] == 0

    finish(run(script, "a"))

    for client in (shared, other):
        assert client.scan(TableName="things")["Items"] == [{"other": {"N": "1"}}]


def test_threads_may_share_a_client(shared: Any, walk: Any) -> None:
    def write(name: str) -> None:
        for number in range(40):
            item = {"pk": {"S": f"{name}-{number}"}, "g": {"S": name}}
            shared.put_item(TableName="things", Item=item)
            assert "Item" in shared.get_item(TableName="things", Key={"pk": item["pk"]})

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(write, "abcd"))

    assert shared.describe_table(TableName="things")["Table"]["ItemCount"] == 160
    same_as_index(shared, walk)


def test_threads_may_share_a_client_in_memory(
    client: Any, make_table: Callable[..., str], walk: Any
) -> None:
    make_table("things", "pk", gsi={"by-g": ("g", ["n"])})

    def write(name: str) -> None:
        for number in range(40):
            item = {"pk": {"S": f"{name}-{number}"}, "g": {"S": name}}
            client.put_item(TableName="things", Item=item)
            client.scan(TableName="things", Limit=5)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(write, "abcd"))

    same_as_index(client, walk)


def test_a_client_may_be_carried_over_a_fork(shared: Any) -> None:
    shared.put_item(TableName="things", Item={"pk": {"S": "parent"}})
    script = """
        import os
        from perfkit.embedded.storage import Storage
        client.put_item(TableName="things", Item={"pk": {"S": "before"}})
        storage = Storage("data.sqlite3")
        with storage._lent() as opened:
            pass
        child = os.fork()
        # each process must open the file for itself: SQLite's locks are not inherited
        with storage._lent() as lent:
            assert (lent is opened) == (child != 0)
        for number in range(20):
            item = {"pk": {"S": f"{'child' if child == 0 else 'parent'}-{number}"}}
            client.put_item(TableName="things", Item=item)
        if child == 0:
            os._exit(0)
        _, status = os.waitpid(child, 0)
        sys.exit(status)
    """

    finish(run(script, "a"))

    assert shared.describe_table(TableName="things")["Table"]["ItemCount"] == 42
    check_file()
