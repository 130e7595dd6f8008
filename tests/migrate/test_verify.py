"""`perfkit migrate verify`: indexes with wrong, missing and extra entries, planted in the file."""

import itertools
import json
import random
import sqlite3
import stat
import subprocess
import sys
from bisect import bisect
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from perfkit.cli import app
from perfkit.dynamodb.client import embedded_client
from perfkit.dynamodb.connection import ClientConnection, EngineConnection
from perfkit.dynamodb.tables import describe
from perfkit.embedded import Engine, lateness
from perfkit.migrate.entries import Suspect
from perfkit.migrate.plan_file import encode, read_plan
from perfkit.migrate.second_look import Outcome, SecondLook, Settling, StrongReader

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
    result = perfkit("migrate", "verify", "-v", "--data", data, "--differences", "found.jsonl")

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


def test_the_server_is_blamed_for_entries_that_dynamodb_would_not_keep(data: Path) -> None:
    """There is an entry of item 7, whose key attribute has another type."""
    fault = "keeps entries that DynamoDB would not"
    innocent = perfkit("migrate", "verify", "--data", data)
    with sqlite3.connect(data) as file:
        store = stores(data)["ByOwner"]
        ((row,),) = file.execute(f"SELECT item FROM {store} LIMIT 1").fetchall()
        entry = {"pk": {"S": "P7"}, "sk": {"N": "7"}, "owner": {"S": "7"}}
        values = (stored_key(entry, "ByOwner"), row, 50, 50, json.dumps(entry))
        file.execute(f"INSERT INTO {store} VALUES (?, ?, ?, ?, ?)", values)

    blamed = perfkit("migrate", "verify", "--data", data, "--settle", "0.1")

    assert (innocent.exit_code, fault in innocent.stdout) == (0, False)
    assert blamed.exit_code == 4, blamed.output
    said = " ".join(blamed.stdout.split())
    assert f"dynamodb.sqlite3) {fault}" in said
    assert "correct these items (`perfkit migrate preflight --violations FILE` lists them)" in said
    # an entry that is missing is nobody's fault of that kind
    with sqlite3.connect(data) as file:
        file.execute(f"DELETE FROM {store} WHERE k = ?", (stored_key(entry, "ByOwner"),))
        file.execute(f"DELETE FROM {store} WHERE k = (SELECT k FROM {store} LIMIT 1)")
    missing = perfkit("migrate", "verify", "--data", data, "--settle", "0.1")
    assert (missing.exit_code, fault in missing.stdout) == (4, False)


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


def test_an_index_with_another_key_than_the_workloads_could_not_be_verified(data: Path) -> None:
    file = Path("perfkit.toml")
    file.write_text(file.read_text().replace('"owner", type = "S"', '"age", type = "N"'))

    result = perfkit("migrate", "verify", "--data", data)

    assert result.exit_code == 3
    assert "ByOwner of Things has another key or projection than the workload's" in result.stderr


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


OTHERS = """
name = "others"
description = "Another table that is there"
tables.Others.partition_key = { name = "pk", type = "S" }
tables.Others.indexes.ByTag = { partition_key = { name = "tag", type = "S" }, projection = "ALL" }
"""


def test_a_plan_says_what_is_verified_and_of_which_table(data: Path) -> None:
    client = embedded_client(data)
    client.update_table(
        TableName="Things", GlobalSecondaryIndexUpdates=[{"Delete": {"IndexName": "ByOwner"}}]
    )
    while len(client.describe_table(TableName="Things")["Table"]["GlobalSecondaryIndexes"]) > 1:
        pass
    planned = perfkit("migrate", "plan", "--index", "ByOwner", "--output", "plan.json")
    assert planned.exit_code == 0, planned.output

    early = perfkit("migrate", "verify", "plan.json")
    add_index(client, "ByOwner", {"ProjectionType": "KEYS_ONLY"})
    then = perfkit("migrate", "verify", "plan.json")
    unknown = perfkit("migrate", "verify", "plan.json", "--index", "ByShelf")
    client.delete_table(TableName="Things")
    create(client)
    other = perfkit("migrate", "verify", "plan.json")

    assert (early.exit_code, then.exit_code) == (3, 0), then.output
    assert "ByOwner of Things is not there; `perfkit migrate apply` creates it" in early.stderr
    assert "ByShelf" not in then.stdout
    assert (unknown.exit_code, other.exit_code) == (2, 2)
    assert "the plan creates no index 'ByShelf'; it creates ByOwner" in unknown.stderr
    assert "is another one than the plan's" in other.stderr


def test_without_an_option_a_plan_says_where_its_tables_are(data: Path) -> None:
    client = embedded_client(data)
    client.create_table(
        TableName="Others",
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    Path("others.toml").write_text(OTHERS)
    planned = perfkit("migrate", "plan", "--workload", "others.toml", "--output", "plan.json")
    assert planned.exit_code == 0, planned.output
    plan = read_plan(Path("plan.json"))
    place = replace(plan.place, kind="endpoint", endpoint="http://127.0.0.1:1", region="eu-west-1")
    Path("plan.json").write_text(encode(replace(plan, place=place)))

    result = perfkit("migrate", "verify", "plan.json", "--workload", "others.toml")

    assert result.exit_code == 3
    assert "127.0.0.1:1" in result.stderr


def test_an_interrupt_ends_it_and_leaves_nothing_behind(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("perfkit.migrate.entries.Entries.meet", interrupt)
    before = set(Path().rglob("*"))

    result = perfkit("migrate", "verify", "--data", data, "--differences", "found.jsonl")

    assert result.exit_code == 130
    assert "the same command again starts over" in result.stderr
    assert {path for path in Path().rglob("*") if "sqlite3-" not in path.name} <= before


# ---- while others write --------------------------------------------------------------------------


class Clock:
    """Seconds that pass when told, and what happens meanwhile."""

    def __init__(self, meanwhile: Callable[[float], None]) -> None:
        self.now_s = 1_800_000_000.0
        self._meanwhile = meanwhile

    def __call__(self) -> float:
        return self.now_s

    def pause(self, seconds: float) -> None:
        self.now_s += seconds
        self._meanwhile(seconds)


def looked_at(
    data: Path, monkeypatch: pytest.MonkeyPatch, meanwhile: Callable[[Any, float], None]
) -> Outcome:
    """Look again at P1/1 to P3/3 in ByOwner, in virtual time, of indexes that lag by 2 s."""
    client = embedded_client(data, index_delay_s=2.0)
    clock = Clock(lambda seconds: meanwhile(client, seconds))
    monkeypatch.setattr(lateness, "_now_s", clock)
    connection = EngineConnection(Engine(data))
    state = describe(connection, "Things")
    assert state is not None
    look = SecondLook(
        StrongReader(connection, state, raw_binary=False, pause=clock.pause),
        state,
        Settling(settle_s=10.0, clock=clock, pause=clock.pause),
    )
    suspects = [
        Suspect(index="ByOwner", key={"pk": {"S": f"P{n}"}, "sk": {"N": str(n)}})
        for n in range(1, 4)
    ]
    meanwhile(client, 0.0)
    outcome = look.decide(suspects)
    connection.close()
    client.close()
    return outcome


def test_an_index_that_lags_is_no_difference(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def write_once(client: Any, seconds: float) -> None:
        if not seconds:
            for number in range(1, 4):
                moved = thing(number) | {"owner": {"S": "somebody else"}}
                client.put_item(TableName="Things", Item=moved)

    outcome = looked_at(data, monkeypatch, write_once)

    assert (outcome.differences, outcome.undecided) == ((), ())


def test_an_item_that_is_always_written_is_undecided_and_a_lost_one_is_found(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with sqlite3.connect(data) as file:
        for row in (3, 4):
            file.execute(f"DELETE FROM {stores(data)['ByOwner']} WHERE item = ?", (row,))
    written = itertools.count()

    def write_on(client: Any, _: float) -> None:
        # the first moves to and fro, and the third, whose entry is lost, gets a new attribute only
        moved = thing(1) | {"owner": {"S": f"somebody {next(written)}"}}
        client.put_item(TableName="Things", Item=moved)
        client.put_item(TableName="Things", Item=thing(3) | {"at": {"S": str(next(written))}})

    outcome = looked_at(data, monkeypatch, write_on)

    assert [(each.key["sk"]["N"], each.kind) for each in outcome.differences] == [
        ("2", "missing"),
        ("3", "missing"),
    ]
    assert [each.key["sk"]["N"] for each in outcome.undecided] == ["1"]


class Flipping:
    """An item written to and fro between two states, as it is and as an index shows it later."""

    def __init__(self, chance: random.Random) -> None:
        at_s = due_s = -5.0
        self._writes: list[float] = []
        self._seen: list[float] = []
        while at_s < 60:
            at_s += chance.expovariate(3)
            due_s = max(due_s, at_s + 2 * chance.random())
            self._writes.append(at_s)
            self._seen.append(due_s)

    def look(self, now_s: float) -> SimpleNamespace:
        sides = [bisect(times, now_s) % 2 for times in (self._writes, self._seen)]
        state = bytes(sides)
        return SimpleNamespace(
            suspect=self, is_equal=sides[0] == sides[1], state=state, wanted=state
        )


def test_items_that_flip_between_two_states_are_no_difference() -> None:
    """Each look alone sees the same as often as not; no write of theirs leaves a trace."""
    chance = random.Random(1)
    items = [Flipping(chance) for _ in range(3000)]
    clock = Clock(lambda _: None)
    clock.now_s = 0.0
    settling = Settling(settle_s=10.0, clock=clock, pause=clock.pause)

    differing, _ = settling.decide(items, lambda left: [each.look(clock.now_s) for each in left])

    assert differing == []


WRITER = """
import random, sys, time
sys.path.insert(0, {folder!r})
from test_verify import thing
from perfkit.dynamodb.client import embedded_client
client = embedded_client({data!r})
chance = random.Random(3)
print("writing", flush=True)
while True:
    number = chance.randrange(700)
    item = thing(number)
    match chance.randrange(4):
        case 0:
            client.delete_item(TableName="Things", Key={{k: item[k] for k in ("pk", "sk")}})
        case 1 if number % 7:
            item["owner"] = {{"S": f"O{{chance.randrange(11)}}"}}
            client.put_item(TableName="Things", Item=item)
        case _ if number % 7:
            item["at"] = {{"S": str(chance.random())}}
            client.put_item(TableName="Things", Item=item)
    time.sleep(0.02)
"""


@pytest.mark.processes
def test_live_writes_of_another_process_and_a_lagging_index_hide_nothing(data: Path) -> None:
    """50 writes a second, a lag of up to 0.5 s: what is planted is found, and nothing else."""
    embedded_client(data, index_delay_s=0.5).close()
    lost = {f"9{n}" for n in range(5)}
    with sqlite3.connect(data) as file:
        for number in range(5):
            entry = {"owner": {"S": "O1"}, "pk": {"S": "gone"}, "sk": {"N": f"9{number}"}}
            file.execute(
                f"INSERT INTO {stores(data)['ByOwner']} VALUES (?, 1, 20, 20, ?)",
                (stored_key(entry, "ByOwner"), json.dumps(entry)),
            )
    script = WRITER.format(folder=str(Path(__file__).parent), data=str(data))
    with subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, text=True
    ) as writer:
        try:
            assert writer.stdout is not None
            assert writer.stdout.readline() == "writing\n"
            # a busy machine may let nobody write while it reads, and then nothing is proved
            for _ in range(50):
                result = perfkit(
                    *("migrate", "verify", "--settle", "1.5", "--force", "--json"),
                    *("--differences", "found.jsonl"),
                )
                looked_again = [
                    each["looked_again"] for each in json.loads(result.stdout)["indexes"]
                ]
                if sum(looked_again) > len(lost):
                    break
        finally:
            writer.kill()

    assert found_in(Path("found.jsonl")) == {("ByOwner", sk, "extra") for sk in lost}
    assert result.exit_code == 4
    assert sum(looked_again) > len(lost)


# ---- today's form against the index's -----------------------------------------------------------

PATTERNS = """
[patterns.of-owner]
description = "Things of an owner"
table = "Things"
parameters_from = "sample"
names = { owner = "owner", at = "at" }
today = "scan-filtered"
returns = ["pk", "sk"]
scan.filter = "#owner = :owner AND begins_with(pk, :p)"
query = { index = "ByOwner", key_condition = "#owner = :owner" }

[patterns.on-shelf]
description = "Things on a shelf"
table = "Things"
parameters_from = "sample"
today = "scan"
names = { hall = "hall", row = "row" }
returns = ["pk", "sk", "at"]
scan.filter = "#hall = :hall AND #row = :row"
query = { index = "ByShelf", key_condition = "#hall = :hall AND #row = :row" }
"""


def with_patterns(of_owner: str) -> None:
    text = PATTERNS.replace(" AND begins_with(pk, :p)", of_owner).replace(', at = "at" ', " ")
    Path("perfkit.toml").write_text(WORKLOAD + text)


def test_each_pattern_is_asked_both_ways_with_every_key(data: Path) -> None:
    with_patterns("")

    result = perfkit("migrate", "verify", "--data", data, "--json")

    assert result.exit_code == 0, result.output
    patterns = {each["name"]: each for each in json.loads(result.stdout)["patterns"]}
    # 11 owners; and of 3 halls and 5 rows all pairs. Of the 100 things that are not for ByShelf
    # 20 have a tag that is too long, so today's form finds them; 40 have no such hall or row
    assert patterns["of-owner"]["keys"] == 11
    assert patterns["of-owner"]["items_left_out"] == 0
    assert (patterns["on-shelf"]["keys"], patterns["on-shelf"]["all_keys"]) == (15, True)
    assert patterns["on-shelf"]["items_left_out"] == 20


def test_a_sample_of_keys_says_how_sure_it_is(data: Path) -> None:
    with_patterns("")

    result = perfkit("migrate", "verify", "--data", data, "--sample", "10")

    assert result.exit_code == 0, result.output
    # 1 - 0.05 ** (1 / 10), by hand 25.9%
    assert "0 of 10 keys of on-shelf differed: fewer than 25.9% at 95%" in result.stdout


def test_a_form_that_finds_something_else_is_found_out(data: Path) -> None:
    """Today's form leaves out what is in the hall H1; the query of the index does not."""
    with_patterns(' AND NOT hall = \\"H1\\"'.replace('\\"H1\\"', ":hall"))
    text = Path("perfkit.toml").read_text()
    Path("perfkit.toml").write_text(
        text.replace(
            'parameters_from = "sample"\nnames = { owner',
            'parameters = { owner = "O2", hall = "H1" }\nnames = { owner',
        )
    )
    in_hall = {
        str(n) for n in range(700) if n % 11 == 2 and n % 3 == 1 and n % 35 not in {0, 7, 14}
    }

    result = perfkit(
        "migrate", "verify", "--data", data, "--settle", "0.1", "--differences", "found.jsonl"
    )

    assert result.exit_code == 4, result.output
    assert "1 of 1 key of of-owner differed" in " ".join(result.stdout.split())
    assert found_in(Path("found.jsonl")) == {("ByOwner", sk, "answer") for sk in in_hall}
    assert "and today's form does not" in Path("found.jsonl").read_text()


# ---- engines of others ---------------------------------------------------------------------------

ELSEWHERE = """
name = "mine"
description = "A table that is there"

[tables.Things]
partition_key = { name = "pk", type = "S" }
sort_key = { name = "sk", type = "N" }

[tables.Things.indexes]
ByHall = { partition_key = { name = "hall", type = "S" }, sort_key = { name = "tag", type = "B" }, projection = "INCLUDE", non_key_attributes = ["at", "words"] }

[patterns.in-hall]
description = "Things in a hall with a tag"
table = "Things"
parameters_from = "sample"
today = "scan-filtered"
names = { hall = "hall", tag = "tag" }
returns = ["pk", "sk", "words"]
scan.filter = "#hall = :hall AND #tag = :tag"
query = { index = "ByHall", key_condition = "#hall = :hall AND #tag = :tag" }
"""


@pytest.mark.processes
def test_entries_that_another_engine_loses_or_changes_are_found(
    stand_in: str,
    client_of: Callable[[str], Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("perfkit.toml").write_text(ELSEWHERE)
    client = client_of(stand_in)
    client.create_table(
        TableName="Things",
        KeySchema=[
            {"AttributeName": "pk", "KeyType": "HASH"},
            {"AttributeName": "sk", "KeyType": "RANGE"},
        ],
        AttributeDefinitions=[
            {"AttributeName": each, "AttributeType": TYPES[each]}
            for each in ("pk", "sk", "hall", "tag")
        ],
        BillingMode="PAY_PER_REQUEST",
        GlobalSecondaryIndexes=[
            {
                "IndexName": "ByHall",
                "KeySchema": [
                    {"AttributeName": "hall", "KeyType": "HASH"},
                    {"AttributeName": "tag", "KeyType": "RANGE"},
                ],
                "Projection": {"ProjectionType": "INCLUDE", "NonKeyAttributes": ["at", "words"]},
            }
        ],
    )
    client.get_waiter("table_exists").wait(
        TableName="Things", WaiterConfig={"Delay": 1, "MaxAttempts": 120}
    )
    for number in range(1, 60):
        item = thing(number)
        if number % 35 == 14:
            del item["hall"]
        if number % 35 == 21:
            del item["tag"]
        client.put_item(TableName="Things", Item=item)
    ask = ("migrate", "verify", "--target", stand_in, "--yes", "--settle", "0.1")

    result = perfkit(*ask)

    assert result.exit_code == 0, result.output
    assert "consumed capacity" in result.stderr
    # 14, 21, 49 and 56 of 59
    words = " ".join(result.stdout.split())
    assert "Not in ByHall, because its key does not allow it: 4 items" in words
    assert "0 of 55 keys of in-hall differed" in words

    execute = ClientConnection.execute

    def spoiled(self: ClientConnection, operation: str, request: Any) -> Any:
        answer = execute(self, operation, request)
        if request.get("IndexName") == "ByHall":
            answer["Items"] = [
                each | {"words": {"SS": ["other"]}} if each["sk"]["N"] == "8" else each
                for each in answer["Items"]
                if each["sk"]["N"] != "5"
            ]
        return answer

    monkeypatch.setattr(ClientConnection, "execute", spoiled)
    result = perfkit(*ask, "--differences", "found.jsonl")

    assert result.exit_code == 4, result.output
    assert found_in(Path("found.jsonl")) == {
        ("ByHall", "5", "missing"),
        ("ByHall", "8", "differs"),
        ("ByHall", "5", "answer"),
        ("ByHall", "8", "answer"),
    }
