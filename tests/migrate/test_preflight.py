"""`perfkit migrate preflight` at tables it did not make, with faults planted at random."""

import itertools
import json
import random
import shlex
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from perfkit.cli import app
from perfkit.dynamodb.client import embedded_client
from perfkit.dynamodb.connection import EngineConnection
from perfkit.embedded.errors import DynamoDBError
from perfkit.errors import StorageFullError
from perfkit.migrate.violations_file import ViolationsFile

PERFKIT = Path(sys.executable).with_name("perfkit")

WORKLOAD = """
name = "mine"
description = "A table that is there"

[tables.Things]
partition_key = { name = "pk", type = "S" }
sort_key = { name = "sk", type = "N" }

[tables.Things.indexes]
ByOwner = { partition_key = { name = "owner", type = "S" }, sort_key = { name = "at", type = "S" } }
ByShelf = { partition_key = [{ name = "hall", type = "S" }, { name = "row", type = "N" }], sort_key = [{ name = "tag", type = "B" }, { name = "at", type = "S" }] }
"""

KEYS = {
    "ByOwner": {"owner": ("S", 2048), "at": ("S", 1024)},
    "ByShelf": {"hall": ("S", 2048), "row": ("N", 0), "tag": ("B", 1024), "at": ("S", 1024)},
}
"""By index, its key attributes with type and most bytes, as the developer guide has them."""


def perfkit(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments))


def create(client: Any, name: str = "Things") -> None:
    client.create_table(
        TableName=name,
        KeySchema=[
            {"AttributeName": "pk", "KeyType": "HASH"},
            {"AttributeName": "sk", "KeyType": "RANGE"},
        ],
        AttributeDefinitions=[
            {"AttributeName": "pk", "AttributeType": "S"},
            {"AttributeName": "sk", "AttributeType": "N"},
        ],
        BillingMode="PAY_PER_REQUEST",
    )


def sound(number: int) -> dict[str, Any]:
    kind = ("order", "parcel", "note")[number % 3]
    return {
        "pk": {"S": f"P{number % 37}"},
        "sk": {"N": str(number)},
        "type": {"S": kind},
        "owner": {"S": f"O{number % 11}"},
        "at": {"S": f"2026-01-{number % 28:02}"},
        "hall": {"S": "é" * 1024},  # 2,048 bytes: as long as it may be
        "row": {"N": str(number % 5)},
        "tag": {"B": b"x" * 1024},
        "filler": {"S": "." * 400},
    }


def spoil(item: dict[str, Any], attribute: str, reason: str) -> None:
    """Plant a fault, whatever the attribute."""
    kinds = {each[attribute] for each in KEYS.values() if attribute in each}
    ((kind, most),) = kinds
    match reason:
        case "missing":
            del item[attribute]
        case "NULL":
            item[attribute] = {"NULL": True}
        case "type":
            item[attribute] = {"S": "seven"} if kind == "N" else {"N": "7"}
        case "empty":
            item[attribute] = {"S": ""} if kind == "S" else {"B": b""}
        case "too long":
            item[attribute] = {"S": "y" * (most + 1)} if kind == "S" else {"B": b"y" * (most + 1)}


def plant(client: Any, chance: random.Random, *, items: int, faults: int) -> set[tuple[str, ...]]:
    """Fill the table; return (pk, sk, index, attribute, reason) of every fault planted."""
    planted: set[tuple[str, ...]] = set()
    all_of_them = [sound(number) for number in range(items)]
    for item in all_of_them[:faults] if faults == items else chance.sample(all_of_them, faults):
        for attribute in chance.sample(
            ["owner", "at", "hall", "row", "tag"], chance.choice((1, 1, 2))
        ):
            reasons = ["missing", "NULL", "type"]
            reasons += [] if attribute == "row" else ["empty", "too long"]
            reason = chance.choice(reasons)
            spoil(item, attribute, reason)
            for index, keys in KEYS.items():
                if attribute in keys:
                    planted.add((item["pk"]["S"], item["sk"]["N"], index, attribute, reason))
    for begin in range(0, items, 25):
        batch = [{"PutRequest": {"Item": item}} for item in all_of_them[begin : begin + 25]]
        assert not client.batch_write_item(RequestItems={"Things": batch})["UnprocessedItems"]
    return planted


def found_in(path: Path) -> Counter[tuple[str, ...]]:
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert all(line["refused"] is (line["reason"] != "missing") for line in lines)
    assert {line["table"] for line in lines} == {"Things"}
    return Counter(
        (e["key"]["pk"]["S"], e["key"]["sk"]["N"], e["index"], e["attribute"], e["reason"])
        for e in lines
    )


def counted(document: dict[str, Any]) -> Counter[tuple[str, str, str]]:
    return Counter(
        {
            (index["name"], each["attribute"], each["reason"]): each["items"]
            for index in document["tables"][0]["indexes"]
            for each in index["violations"]
        }
    )


def check(document: dict[str, Any], path: Path, planted: set[tuple[str, ...]]) -> None:
    """Hold what was reported and what was written against what was planted."""
    assert found_in(path) == Counter(planted)
    assert path.stat().st_mode & 0o777 == 0o600
    assert counted(document) == Counter(fault[2:] for fault in planted)
    table = document["tables"][0]
    refused = {fault[:2] for fault in planted if fault[4] != "missing"}
    assert table["refused_items"] == len(refused)
    for index in table["indexes"]:
        of_index = [fault for fault in planted if fault[2] == index["name"]]
        assert index["items_left_out"] == len({fault[:2] for fault in of_index})
        refused_here = {fault[:2] for fault in of_index if fault[4] != "missing"}
        assert index["items_refused"] == len(refused_here)
        kinds = Counter(("order", "parcel", "note")[int(sk) % 3] for _, sk in refused_here)
        assert {each["kind"]: each["refused"] for each in index["refused_kinds"]} == kinds


@pytest.mark.processes
@pytest.mark.parametrize("engine", ["embedded", "ministack", "moto"])
def test_every_planted_violation_is_found_and_none_else(
    engine: str, empty_stand_in: Callable[[str], str], client_of: Callable[[str], Any]
) -> None:
    Path("perfkit.toml").write_text(WORKLOAD)
    chance = random.Random(4)
    where: tuple[str, ...] = ()
    if engine == "embedded":
        Path(".perfkit").mkdir()
        client = embedded_client(".perfkit/dynamodb.sqlite3")
    else:
        url = empty_stand_in(engine)
        client, where = client_of(url), ("--target", url)
    create(client)
    planted = plant(client, chance, items=300, faults=150)
    output = Path("violations.jsonl")

    result = perfkit("migrate", "preflight", "--json", "--yes", "--violations", str(output), *where)

    assert result.exit_code == 0, result.stderr
    document = json.loads(result.stdout)
    assert document["tables"][0]["items_read"] == 300
    check(document, output, planted)
    assert "DynamoDB refuses to write items of Things like these" in result.stderr
    doubt = "is moto: it answers constants in place of consumed capacity" in result.stderr
    assert doubt is (engine == "moto")
    missing = sum(fault[4] == "missing" for fault in planted)
    assert (
        f"{len(planted)} keys in violations.jsonl: {len(planted) - missing} of what would be refused,"
        f" {missing} of what only lacks the attribute; only you may read it (mode 0600)."
    ) in result.stderr
    assert not client.describe_table(TableName="Things")["Table"].get("GlobalSecondaryIndexes")
    assert not list(Path(".perfkit/migrations").glob("*.json"))


@pytest.mark.processes
def test_killed_at_any_point_it_continues_without_losing_or_doubling(
    client_of: Callable[[str], Any], start_server: Callable[..., Any]
) -> None:
    Path("perfkit.toml").write_text(WORKLOAD)
    chance = random.Random(5)
    with start_server("elsewhere.sqlite3") as (url, _):
        client = client_of(url)
        create(client)
        planted = plant(client, chance, items=1000, faults=400)
        read = 0
        for _ in range(2):
            kept = begin(url, chance, "--max-rcu", "20", "--violations", "v.jsonl", beyond=read)
            read = items_in(kept)
            with Path("v.jsonl").open("a") as file:
                # of a page that was written and whose position was not yet
                file.write('{"table": "Things", "key"')
        done = perfkit(
            "migrate", "preflight", "--json", "--yes", "--target", url, "--violations", "v.jsonl"
        )

    assert done.exit_code == 0, done.stderr
    assert f"Continues a preflight that had read {read:,} items" in done.stderr
    check(json.loads(done.stdout), Path("v.jsonl"), planted)
    assert not kept.exists()


def items_in(kept: Path) -> int:
    """Return how many items are counted in a file that says how far a preflight is."""
    content = json.loads(kept.read_text())
    return sum(each["tally"]["items"] for table in content["tables"] for each in table["segments"])


def begin(url: str, chance: random.Random, *options: str, beyond: int = 0) -> Path:
    """Run a preflight, end it somewhere after more than *beyond* items, and return what it kept."""
    with subprocess.Popen(
        [PERFKIT, "migrate", "preflight", "--yes", "--target", url, *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        folder = Path(".perfkit/migrations")
        while not (kept := list(folder.glob("preflight-*.json"))) or items_in(kept[0]) <= beyond:
            assert process.poll() is None, process.communicate()
            time.sleep(0.05)
        time.sleep(chance.uniform(0, 0.5))
        process.send_signal(chance.choice([signal.SIGKILL, signal.SIGINT]))
        process.communicate()
    return kept[0]


@pytest.fixture
def things() -> Any:
    """Return a client on the embedded engine with a table of somebody else's."""
    Path("perfkit.toml").write_text(WORKLOAD)
    Path(".perfkit").mkdir()
    client = embedded_client(".perfkit/dynamodb.sqlite3")
    create(client)
    return client


def test_what_was_begun_is_private_and_not_continued_on_another_table_or_with_other_indexes(
    things: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    plant(things, random.Random(1), items=300, faults=0)
    ask, scans = EngineConnection.execute, itertools.count()

    def execute(connection: Any, operation: str, request: Any) -> Any:
        if request.get("TotalSegments") == 4 and next(scans) >= 6:
            raise KeyboardInterrupt
        return ask(connection, operation, {**request, "Limit": 5})

    with monkeypatch.context() as patched:
        patched.setattr(EngineConnection, "execute", execute)
        ended = perfkit("migrate", "preflight")
    assert (ended.exit_code, "the same command again continues" in ended.stderr) == (130, True)
    kept = next(Path(".perfkit/migrations").glob("*.json"))
    command = ("migrate", "preflight")

    assert kept.stat().st_mode & 0o777 == 0o600
    other = perfkit(*command, "--index", "ByOwner")
    assert (other.exit_code, "--restart starts over" in other.stderr) == (2, True)
    elsewhere = perfkit(*command, "--violations", "v.jsonl")
    assert (elsewhere.exit_code, "without --violations" in elsewhere.stderr) == (2, True)
    things.delete_table(TableName="Things")
    create(things)
    anew = perfkit(*command)
    assert (anew.exit_code, "was re-created" in anew.stderr) == (2, True)
    kept.write_text(kept.read_text()[:100])
    damaged = perfkit(*command)
    assert (damaged.exit_code, "is damaged" in damaged.stderr) == (2, True)
    things.put_item(TableName="Things", Item=sound(1))
    with monkeypatch.context() as patched:
        patched.setattr("perfkit.dynamodb.targets.Target.is_guarded", True)
        refused = perfkit(*command, "--restart")
    assert (refused.exit_code, kept.exists()) == (2, True), refused.stderr
    restarted = perfkit(*command, "--restart")
    assert restarted.exit_code == 0, restarted.stderr
    assert "1 item read (all)" in restarted.stdout


def test_a_file_put_in_the_place_of_its_own_is_left_as_it_is(
    things: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    plant(things, random.Random(2), items=200, faults=100)
    ask, scans = EngineConnection.execute, itertools.count()

    def execute(connection: Any, operation: str, request: Any) -> Any:
        if request.get("TotalSegments") == 4 and next(scans) >= 12:
            raise KeyboardInterrupt
        return ask(connection, operation, {**request, "Limit": 10})

    command = ("migrate", "preflight", "--violations", "v.jsonl")
    with monkeypatch.context() as patched:
        patched.setattr(EngineConnection, "execute", execute)
        assert perfkit(*command).exit_code == 130
    own = Path("v.jsonl").read_bytes()
    for theirs in (b"my notes\n" * len(own), own[:-1] + b" and my notes\n" * 9):
        Path("v.jsonl").write_bytes(theirs)

        result = perfkit(*command)

        assert (result.exit_code, "not what this preflight wrote" in result.stderr) == (2, True)
        assert Path("v.jsonl").read_bytes() == theirs
    Path("v.jsonl").write_bytes(own)
    assert perfkit(*command).exit_code == 0


def test_nothing_is_wider_than_the_terminal(things: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    plant(things, random.Random(3), items=60, faults=20)

    for command in ("plan", "preflight"):
        shown = perfkit("migrate", command)
        wide = [each for each in shown.output.splitlines() if len(each) > 80]
        assert (shown.exit_code, wide) == (0, [])


def test_violations_are_a_warning_unless_a_gate_is_asked_for(things: Any) -> None:
    plant(things, random.Random(3), items=60, faults=20)

    plain, gate = (
        perfkit("migrate", "preflight", *more) for more in ((), ("--fail-on-violations",))
    )

    assert plain.exit_code == 0, plain.stderr
    assert "Warning: once ByOwner, ByShelf exist" in plain.stderr
    assert "Next: perfkit migrate preflight --violations violations.jsonl\n" in plain.stderr
    assert gate.exit_code == 4
    assert len(plain.stdout.splitlines()) <= 40
    for line in ("ByOwner", "owner", "No longer writable, by kind of item", "parcel"):
        assert line in plain.stdout


def test_a_table_without_violations_passes_the_gate(things: Any) -> None:
    plant(things, random.Random(3), items=40, faults=0)

    result = perfkit("migrate", "preflight", "--fail-on-violations", "--violations", "v.jsonl")
    again = perfkit("migrate", "preflight", "--violations", "v.jsonl")

    assert result.exit_code == 0, result.stderr
    assert Path("v.jsonl").read_text() == ""
    assert (again.exit_code, "--force replaces it" in again.stderr) == (2, True)


def test_what_a_plan_says_is_next_looks_at_the_same_indexes_of_the_same_tables() -> None:
    client = embedded_client("elsewhere.sqlite3")
    create(client)
    plant(client, random.Random(3), items=20, faults=0)
    Path("the things.toml").write_text(WORKLOAD)
    where = ("--workload", "the things.toml", "--data", "elsewhere.sqlite3")
    given = (*where, "--index", "ByOwner")

    planned = perfkit("migrate", "plan", *given, "--output", "plan.json")
    saved = perfkit("migrate", "plan", "--saved", "plan.json")

    following = [
        shlex.split(line.removeprefix("Next: perfkit "))
        for each in (planned, saved)
        for line in each.stdout.splitlines()
        if line.startswith("Next: ")
    ]
    assert following == [["migrate", "preflight", *given], ["migrate", "apply", "plan.json"]]
    looked = perfkit(*following[0])
    assert looked.exit_code == 0, looked.stderr
    assert looked.stdout.startswith("1 proposed index on 1 table")


def test_what_is_next_is_the_plan_of_this_folder_or_to_make_one(things: Any) -> None:
    plant(things, random.Random(3), items=20, faults=0)

    before = perfkit("migrate", "preflight")
    assert perfkit("migrate", "plan", "--output", "plan.json").exit_code == 0
    after = perfkit("migrate", "preflight")
    things.delete_table(TableName="Things")
    create(things)
    plant(things, random.Random(3), items=20, faults=0)
    anew = perfkit("migrate", "preflight", "--index", "ByOwner")

    assert before.stderr.endswith("Next: perfkit migrate plan --output plan.json\n")
    assert after.stderr.endswith("Next: perfkit migrate apply plan.json\n")
    assert anew.stderr.endswith("plan --output plan.json --index ByOwner\n")


def test_a_low_rate_takes_hardly_more_units(things: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("perfkit.migrate.preflight._FIRST_LOOK", 20)
    small = [
        {name: value for name, value in sound(number).items() if name not in {"hall", "tag"}}
        for number in range(250)
    ]
    for begin in range(0, 250, 25):
        batch = [{"PutRequest": {"Item": item}} for item in small[begin : begin + 25]]
        things.batch_write_item(RequestItems={"Things": batch})
    command = ["migrate", "preflight", "--index", "ByOwner", "--segments", "1", "--json"]

    units = [
        json.loads(perfkit(*command, *more).stdout)["tables"][0]["read_units"]
        for more in ((), ("--max-rcu", "10"))
    ]

    # of small pages each would be rounded up to half a unit
    assert units[0] <= units[1] <= 1.1 * units[0]


def test_an_interrupt_during_the_first_look_does_not_say_that_something_is_kept(
    things: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    plant(things, random.Random(3), items=60, faults=20)
    ask = EngineConnection.execute

    def execute(connection: Any, operation: str, request: Any) -> Any:
        if operation == "Scan":
            raise KeyboardInterrupt
        return ask(connection, operation, request)

    monkeypatch.setattr(EngineConnection, "execute", execute)
    ended = perfkit("migrate", "preflight")

    assert ended.exit_code == 130
    assert "Interrupted. Nothing is kept yet.\n" in ended.stderr


@pytest.mark.parametrize("trouble", ["expired credentials", "full disk", "a sum of money"])
def test_what_ends_it_in_between_loses_and_doubles_nothing(
    things: Any, monkeypatch: pytest.MonkeyPatch, trouble: str
) -> None:
    planted = plant(things, random.Random(9), items=400, faults=200)
    command = ["migrate", "preflight", "--json", "--violations", "v.jsonl"]
    monkeypatch.setattr("perfkit.migrate.preflight._FIRST_LOOK", 20)
    scans = itertools.count()
    with monkeypatch.context() as patched:
        if trouble == "expired credentials":
            ask = EngineConnection.execute
            expired = DynamoDBError("ExpiredTokenException", "expired")

            def execute(connection: Any, operation: str, request: Any) -> Any:
                if request.get("TotalSegments") == 4 and next(scans) >= 6:
                    raise expired
                return ask(connection, operation, {**request, "Limit": 25})

            patched.setattr(EngineConnection, "execute", execute)
        elif trouble == "full disk":
            write = ViolationsFile.write

            def full(file: ViolationsFile, *arguments: Any) -> None:
                if next(scans) == 100:
                    file._file.write(b'{"half of a line')
                    raise StorageFullError("no space left")  # noqa: EM101, TRY003
                write(file, *arguments)

            patched.setattr(ViolationsFile, "write", full)

        # at a rate pages are small, so that there is something in between
        money = ["--max-cost", "0.000012", "--max-rcu", "100"]
        options = money if trouble == "a sum of money" else []
        ended = perfkit(*command, *options)

    assert ended.exit_code == {"expired credentials": 2}.get(trouble, 3), ended.stderr
    assert ended.stdout == ""
    kept = list(Path(".perfkit/migrations").glob("*.json"))
    assert len(kept) == 1

    done = perfkit(*command)

    assert done.exit_code == 0, done.stderr
    check(json.loads(done.stdout), Path("v.jsonl"), planted)


@pytest.mark.processes
def test_a_table_that_is_described_as_empty_may_have_items_that_nobody_counts(
    server: str, client_of: Callable[[str], Any]
) -> None:
    Path("perfkit.toml").write_text(WORKLOAD)
    create(client_of(server))

    looked = perfkit("migrate", "preflight", "--yes", "--target", server)
    shown = perfkit("status", "--target", server)

    assert looked.exit_code == shown.exit_code == 0, looked.output
    assert "once (how many is not known: it is described as empty)" in looked.stderr
    assert "items" not in shown.stdout
    assert "0 B" not in shown.stdout


def test_what_is_no_ordinary_file_is_not_written_to(things: Any) -> None:
    plant(things, random.Random(9), items=4, faults=0)

    result = perfkit("migrate", "preflight", "--violations", "/dev/null", "--force")

    assert (result.exit_code, "is no ordinary file" in result.stderr) == (2, True)
    assert Path("/dev/null").stat().st_mode & 0o666 == 0o666


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        pytest.param(
            '"owner", type = "S"',
            '"owner", type = "N"',
            'hold it as S; write { name = "owner", type = "S" } in',
            id="type",
        ),
        pytest.param('"owner"', '"ownr"', "most have owner", id="misspelt"),
        pytest.param('"owner"', '"landlord"', "none of the table's 60 items has it", id="unknown"),
    ],
)
def test_a_workload_that_contradicts_the_items_is_an_error(
    things: Any, old: str, new: str, message: str
) -> None:
    plant(things, random.Random(3), items=60, faults=0)
    Path("perfkit.toml").write_text(WORKLOAD.replace(old, new))

    result = perfkit("migrate", "preflight")

    assert result.exit_code == 2
    assert message in result.stderr
    assert not list(Path(".perfkit/migrations").glob("*.json"))


def test_a_sample_has_an_interval_that_holds_the_truth(things: Any) -> None:
    """Of 2,000 items 500 have a fault; a sample of 400 cannot be far off, nor exact."""
    planted = plant(things, random.Random(5), items=2000, faults=500)

    result = perfkit("migrate", "preflight", "--sample", "400", "--json")

    assert result.exit_code == 0, result.stderr
    table = json.loads(result.stdout)["tables"][0]
    refused = len({fault[:2] for fault in planted if fault[4] != "missing"})
    assert (table["whole_table"], table["items_read"] <= 400) == (False, True)
    # twice the interval of 95%: by chance one in ten thousand is outside
    low, high, value = (table["refused_share"][name] for name in ("low", "high", "value"))
    assert 2 * low - value <= refused / 2000 <= 2 * high - value
    assert low < value < high


def test_a_sample_that_agrees_says_as_much_as_it_has_partition_keys(things: Any) -> None:
    plant(things, random.Random(5), items=600, faults=0)

    result = perfkit("migrate", "preflight", "--sample", "200", "--json")

    table = json.loads(result.stdout)["tables"][0]
    assert (table["items_read"], table["refused_share"]["value"]) == (200, 0)
    # Wilson's upper end of none in 37, the table's partition keys: z² ÷ (37 + z²)
    assert table["refused_share"]["high"] >= 3.8415 / (37 + 3.8415)
