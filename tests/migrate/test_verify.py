"""`perfkit migrate verify`: indexes with wrong, missing and extra entries, planted in the file."""

import json
import random
import sqlite3
import stat
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from perfkit.cli import app
from perfkit.dynamodb.client import embedded_client

WORKLOAD = """
name = "mine"
description = "A table that is there"

[tables.Things]
partition_key = { name = "pk", type = "S" }
sort_key = { name = "sk", type = "N" }

[tables.Things.indexes]
ByOwner = { partition_key = { name = "owner", type = "S" }, projection = "KEYS_ONLY" }
ByShelf = { partition_key = [{ name = "hall", type = "S" }, { name = "row", type = "N" }], sort_key = { name = "tag", type = "B" }, projection = "INCLUDE", non_key_attributes = ["at", "words"] }
ByAge = { partition_key = { name = "age", type = "N" } }
"""

KEYS = {"ByOwner": ["owner"], "ByShelf": ["hall", "row", "tag"]}
TYPES = {"pk": "S", "sk": "N", "owner": "S", "hall": "S", "row": "N", "tag": "B"}


def perfkit(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, list(map(str, arguments)))


def create(client: Any, name: str = "Things") -> None:
    client.create_table(
        TableName=name,
        KeySchema=[
            {"AttributeName": "pk", "KeyType": "HASH"},
            {"AttributeName": "sk", "KeyType": "RANGE"},
        ],
        AttributeDefinitions=[
            {"AttributeName": name, "AttributeType": kind}
            for name, kind in TYPES.items()
            if name in {"pk", "sk"}
        ],
        BillingMode="PAY_PER_REQUEST",
    )


def add_index(client: Any, name: str, projection: dict[str, Any]) -> None:
    """Build an index from what is there, as `perfkit migrate apply` does."""
    names = KEYS[name]
    hash_keys = names[:2] if name == "ByShelf" else names
    client.update_table(
        TableName="Things",
        AttributeDefinitions=[
            {"AttributeName": each, "AttributeType": TYPES[each]} for each in ["pk", "sk", *names]
        ],
        GlobalSecondaryIndexUpdates=[
            {
                "Create": {
                    "IndexName": name,
                    "KeySchema": [
                        {
                            "AttributeName": each,
                            "KeyType": "HASH" if each in hash_keys else "RANGE",
                        }
                        for each in names
                    ],
                    "Projection": projection,
                }
            }
        ],
    )
    for _ in range(20):
        table = client.describe_table(TableName="Things")["Table"]
        if all(each["IndexStatus"] == "ACTIVE" for each in table["GlobalSecondaryIndexes"]):
            return
    pytest.fail("the index was not built")


def thing(number: int) -> dict[str, Any]:
    """Return an item; of each seven one is not for one of the indexes."""
    item = {
        "pk": {"S": f"P{number % 37}"},
        "sk": {"N": str(number)},
        "owner": {"S": f"O{number % 11}"},
        "hall": {"S": f"H{number % 3}"},
        "row": {"N": str(number % 5)},
        "tag": {"B": bytes([number % 251])},
        "at": {"S": f"2026-01-{number % 28:02}"},
        "words": {"SS": ["one", "two", str(number)]},
        "filler": {"S": "." * 100},
    }
    match number % 35:
        case 0:
            del item["owner"]
        case 7:
            item["owner"] = {"N": "7"}
        case 14:
            item["hall"] = {"S": ""}
        case 21:
            item["tag"] = {"B": b"x" * 1025}
        case 28:
            item["row"] = {"NULL": True}
    return item


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a file with a table of dirty data and two indexes that were built from it."""
    path = tmp_path_factory.mktemp("built") / "dynamodb.sqlite3"
    client = embedded_client(path)
    create(client)
    for begin in range(0, 700, 25):
        batch = [{"PutRequest": {"Item": thing(n)}} for n in range(begin, begin + 25)]
        client.batch_write_item(RequestItems={"Things": batch})
    add_index(client, "ByOwner", {"ProjectionType": "KEYS_ONLY"})
    add_index(client, "ByShelf", {"ProjectionType": "INCLUDE", "NonKeyAttributes": ["at", "words"]})
    client.close()
    return path


@pytest.fixture
def data(built: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a copy of it, in the current folder."""
    monkeypatch.chdir(tmp_path)
    Path("perfkit.toml").write_text(WORKLOAD)
    path = Path(".perfkit/dynamodb.sqlite3")
    path.parent.mkdir()
    with sqlite3.connect(built) as source, sqlite3.connect(path) as copy:
        source.backup(copy)
    return path


def stores(data: Path) -> dict[str, str]:
    """Return the SQL table of each index."""
    with sqlite3.connect(data) as file:
        ((definition,),) = file.execute("SELECT definition FROM catalog").fetchall()
    return {each["name"]: f"i{each['store']}" for each in json.loads(definition)["indexes"]}


def plant(data: Path, chance: random.Random, faults: int) -> set[tuple[str, str, str]]:
    """Spoil entries; return (index, sk, difference) of each."""
    planted = set()
    with sqlite3.connect(data) as file:
        for index, store in stores(data).items():
            rows = file.execute(f"SELECT k, item, size, data FROM {store}").fetchall()
            for number, (key, row, size, text) in enumerate(chance.sample(rows, faults)):
                entry = json.loads(text)
                sk = entry["sk"]["N"]
                match number % 4:
                    case 0:
                        file.execute(f"DELETE FROM {store} WHERE k = ?", (key,))
                        planted.add((index, sk, "missing"))
                    case 1 if index == "ByShelf":
                        attribute = chance.choice(["at", "words"])
                        entry[attribute] = {"S": "stale"}
                        file.execute(
                            f"UPDATE {store} SET data = ? WHERE k = ?", (json.dumps(entry), key)
                        )
                        planted.add((index, sk, "differs"))
                    case 2:
                        # of an item that is not there
                        entry["sk"] = {"N": f"9{sk}"}
                        file.execute(
                            f"INSERT INTO {store} VALUES (?, ?, ?, ?, ?)",
                            (key + b"\x01", row, size, size, json.dumps(entry)),
                        )
                        planted.add((index, f"9{sk}", "extra"))
                    case 3:
                        # a second one of an item, found under another key
                        entry[KEYS[index][0]] = {"S": "somewhere else"}
                        stored = stored_key(entry, index)
                        file.execute(
                            f"INSERT INTO {store} VALUES (?, ?, ?, ?, ?)",
                            (stored, row, size, size, json.dumps(entry)),
                        )
                        planted.add((index, sk, "extra"))
    return planted


def stored_key(entry: dict[str, Any], index: str) -> bytes:
    """Return where the engine looks for an entry."""
    from perfkit.embedded.schema import Keys

    names = KEYS[index]
    own = Keys(partition=tuple(names[:2]), sort=tuple(names[2:]))
    return own.stored(entry) + Keys(partition=("pk",), sort=("sk",)).stored(entry)


def found_in(path: Path) -> set[tuple[str, str, str]]:
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    found = {(each["index"], each["key"]["sk"]["N"], each["difference"]) for each in lines}
    assert len(found) == len(lines)
    return found


def test_an_index_built_from_dirty_data_is_equal(data: Path) -> None:
    result = perfkit("migrate", "verify", "--data", data, "--differences", "found.jsonl")

    assert result.exit_code == 0, result.output
    assert "2 of 2 indexes" in result.stdout
    # 700 items: of each 35 one lacks the owner and one has it as N, and so on, worked out by hand
    assert "Not in ByOwner, because its key does not allow it: 40 items" in result.stdout
    assert "20 lack owner" in result.stdout
    assert "20 have owner as N, where it wants S" in result.stdout
    for reason in (
        "20 have an empty hall",
        "20 have a tag of more than 1,024 bytes",
        "20 have NULL in row",
    ):
        assert reason in " ".join(result.stdout.split())
    assert Path("found.jsonl").read_text() == ""
    assert stat.S_IMODE(Path("found.jsonl").stat().st_mode) == 0o600
    # what a workload has and the table has not is for `migrate plan`
    assert "ByAge" not in result.stdout


@pytest.mark.parametrize("segments", ["1", "4"])
def test_every_planted_difference_is_named_and_none_else(data: Path, segments: str) -> None:
    planted = plant(data, random.Random(int(segments)), faults=40)

    result = perfkit(
        "migrate", "verify", "--settle", "0.1", "--segments", segments,
        "--differences", "found.jsonl", "--json",
    )  # fmt: skip

    assert result.exit_code == 4, result.output
    assert found_in(Path("found.jsonl")) == planted
    document = json.loads(result.stdout)
    counted = {
        (each["name"], kind): each[kind]
        for each in document["indexes"]
        for kind in ("missing", "extra", "differs")
    }
    assert counted == {
        (index, kind): sum(each[::2] == (index, kind) for each in planted)
        for index in KEYS
        for kind in ("missing", "extra", "differs")
    }
    assert {each["verdict"] for each in document["indexes"]} == {"fail"}
    # values of items are for the file alone
    assert "P1" not in result.stdout


def test_a_difference_is_shown_with_its_reason(data: Path) -> None:
    store = stores(data)["ByShelf"]
    with sqlite3.connect(data) as file:
        (key, text) = file.execute(f"SELECT k, data FROM {store} WHERE item = 2").fetchone()
        entry = json.loads(text) | {"at": {"S": "stale"}}
        file.execute(f"UPDATE {store} SET data = ? WHERE k = ?", (json.dumps(entry), key))

    result = perfkit("migrate", "verify", "--settle", "0.1", "--index", "ByShelf")

    assert result.exit_code == 4
    assert "ByShelf  pk=P1, sk=1  its entry has another at" in result.stdout
    assert "Error: 1 item differs from ByShelf of Things" in result.stderr
    assert "ByOwner" not in result.stdout


def test_what_is_not_there_or_not_built_could_not_be_verified(data: Path) -> None:
    result = perfkit("migrate", "verify", "--index", "ByAge")

    assert result.exit_code == 3
    assert "ByAge of Things is not there; `perfkit migrate plan` says" in result.stderr

    client = embedded_client(data)
    client.update_table(
        TableName="Things",
        AttributeDefinitions=[
            {"AttributeName": each, "AttributeType": kind}
            for each, kind in (*TYPES.items(), ("age", "N"))
        ],
        GlobalSecondaryIndexUpdates=[
            {
                "Create": {
                    "IndexName": "ByAge",
                    "KeySchema": [{"AttributeName": "age", "KeyType": "HASH"}],
                    "Projection": {"ProjectionType": "ALL"},
                }
            }
        ],
    )

    result = perfkit("migrate", "verify", "--json")

    verdicts = {each["name"]: each["verdict"] for each in json.loads(result.stdout)["indexes"]}
    assert (result.exit_code, verdicts) == (
        3,
        {"ByOwner": "pass", "ByShelf": "pass", "ByAge": "invalid"},
    )
    assert "ByAge of Things is CREATING; run again when it is ACTIVE" in result.stderr


def test_a_file_of_differences_is_not_replaced_unasked(data: Path) -> None:
    Path("kept.txt").write_text("mine")

    result = perfkit("migrate", "verify", "--data", data, "--differences", "kept.txt")

    assert result.exit_code == 2
    assert "kept.txt is there already; --force replaces it" in result.stderr
    assert Path("kept.txt").read_text() == "mine"


def test_a_limit_ends_it_and_nothing_is_said_of_the_index(data: Path) -> None:
    result = perfkit("migrate", "verify", "--data", data, "--max-cost", "0.000001")

    assert result.exit_code == 3
    assert "--max-cost 0.000001 is reached" in result.stderr
    assert "pass" not in result.stdout
