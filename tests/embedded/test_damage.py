"""Data files with flipped, overwritten and missing bytes: an answer, or one line that names the file."""

import random
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import orjson
import pytest
from typer.testing import CliRunner, Result

from perfkit.cli import app
from perfkit.dynamodb.targets import Target
from perfkit.embedded import Engine
from perfkit.errors import DataFileError

pytestmark = pytest.mark.processes

DATA = Path("data.sqlite3")


@pytest.fixture
def filled(connect: Callable[..., Any], make_table: Callable[..., str]) -> bytes:
    """Return the bytes of a data file with a table of 40 items and two indexes."""
    client = connect(DATA)
    gsi = {"by-g": ("g", "ALL"), "by-h": ("g pk", "KEYS_ONLY")}
    make_table("things", gsi=gsi, on=client)
    for number in range(40):
        item = {
            "pk": {"S": f"k{number}"},
            "g": {"S": f"g{number % 3}"},
            "n": {"N": str(number)},
            "deep": {"L": [{"M": {"set": {"SS": ["a", "b"]}}}]},
            "fill": {"S": "words " * 30},
        }
        client.put_item(TableName="things", Item=item)
    with closing(sqlite3.connect(DATA)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return DATA.read_bytes()


def spoil(statement: str, *values: object) -> None:
    with closing(sqlite3.connect(DATA)) as connection, connection:
        connection.execute(statement, values)


ITEM = "UPDATE t1 SET data = ? WHERE id = 7"


@pytest.mark.parametrize(
    ("statement", "value", "place"),
    [
        pytest.param(ITEM, b'{"pk":{"S":"k6"', "an item of table things", id="cut"),
        pytest.param(ITEM, b'{"pk":{"S":"k\xff"}}', "an item of table things", id="no UTF-8"),
        pytest.param(
            "UPDATE catalog SET definition = ?",
            b'{"name":"things","keys":',
            "the definition of table things",
            id="a definition cut",
        ),
        pytest.param(
            "UPDATE catalog SET definition = ?",
            b'{"name":"things"}',
            "the definition of table things",
            id="a definition without members",
        ),
        pytest.param(
            "UPDATE catalog SET definition = replace(definition, ?, 'thinks')",
            "things",
            "the definition of table things",
            id="a definition of another table",
        ),
    ],
)
def test_what_cannot_be_read_is_named_with_the_file(
    statement: str,
    value: object,
    place: str,
    filled: bytes,
    connect: Callable[..., Any],
) -> None:
    assert filled
    spoil(statement.replace("t1", store_of("things")), value)
    wanted = (
        f"data.sqlite3 is damaged: {place} cannot be read; put a copy in its place, or move it"
        " away and seed again, or name another with --data"
    )

    with pytest.raises(DataFileError) as caught:
        connect(DATA).scan(TableName="things")

    assert str(caught.value) == wanted
    assert caught.value.exit_code == 3


def test_a_long_answer_with_a_damaged_item_is_not_an_empty_one(
    filled: bytes, connect: Callable[..., Any], start_server: Callable[..., Any], refused: Any
) -> None:
    assert filled
    client = connect(DATA)
    for number in range(40):
        item = {"pk": {"S": f"k{number}"}, "long": {"S": "x" * 5_000}}
        client.put_item(TableName="things", Item=item)
    spoil(ITEM.replace("t1", store_of("things")), b'{"pk":{"S":"k6"')
    wanted = "an item of table things cannot be read"

    with pytest.raises(DataFileError, match=wanted):
        client.scan(TableName="things")
    with pytest.raises(DataFileError, match=wanted):
        Target(data=DATA).connect().execute("Scan", {"TableName": "things"})
    with start_server(DATA) as (url, _), refused("InternalServerError", part=wanted):
        connect(url).scan(TableName="things")


def test_a_short_answer_is_decoded_once(
    filled: bytes, connect: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the engine decodes itself would count as time that it takes to answer."""
    assert filled
    client = connect(DATA)
    decoded: list[bytes] = []
    loads = orjson.loads

    def note(text: bytes) -> Any:
        decoded.append(text)
        return loads(text)

    monkeypatch.setattr(orjson, "loads", note)

    assert client.scan(TableName="things")["Count"] == 40

    # but the request, and the table's definition
    assert not [text for text in decoded if b"words" in bytes(text)]


def test_a_strange_request_reads_the_file_once(
    filled: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A request that the engine fails on must be no way to keep it busy."""
    assert filled
    engine = Engine(DATA)
    looks: list[object] = []

    def look(storage: Any) -> None:
        looks.append(storage)

    monkeypatch.setattr("perfkit.embedded.engine.find_damage", look)
    bug = TypeError("of the engine itself")

    assert [engine.explain(bug) for _ in range(3)] == [bug] * 3
    assert len(looks) == 1
    engine.execute("PutItem", {"TableName": "things", "Item": {"pk": {"S": "new"}}})
    assert engine.explain(bug) is bug
    assert len(looks) == 2


def store_of(table: str) -> str:
    with closing(sqlite3.connect(DATA)) as connection:
        names = connection.execute("SELECT name FROM sqlite_schema WHERE name GLOB 't[0-9]*'")
        (name,) = [row[0] for row in names]
    assert table
    return str(name)


def test_a_server_names_it_too(
    filled: bytes, connect: Callable[..., Any], start_server: Callable[..., Any], refused: Any
) -> None:
    assert filled
    spoil("UPDATE catalog SET definition = ?", b'{"name":"things"}')

    with start_server(DATA) as (url, _), refused("InternalServerError", part="of table things"):
        connect(url).scan(TableName="things")


def test_commands_end_with_one_line_and_code_3() -> None:
    def perfkit(command: str, *options: str) -> Result:
        return CliRunner().invoke(app, [command, "--data", "own.sqlite3", *options])

    assert perfkit("seed", "--scale", "0.002").exit_code == 0
    with closing(sqlite3.connect("own.sqlite3")) as connection, connection:
        connection.execute("UPDATE catalog SET definition = substr(definition, 1, 50)")

    for command in ("status", "bench", "seed", "create-indexes"):
        answer = perfkit(command)

        assert answer.exit_code == 3, answer.stderr
        assert answer.stderr.startswith("Error: own.sqlite3 is damaged: the definition of table ")
        assert len(answer.stderr.splitlines()) == 1


def damaged(content: bytes, chance: random.Random) -> bytes:
    spoilt = bytearray(content)
    at = chance.randrange(len(spoilt))
    match chance.choice(["flip", "flip", "flip", "burst", "page", "cut"]):
        case "flip":
            spoilt[at] ^= 1 << chance.randrange(8)
        case "burst":
            spoilt[at : at + 20] = chance.randbytes(len(spoilt[at : at + 20]))
        case "page":
            spoilt[at & ~4095 : (at & ~4095) + 4096] = bytes(4096)
        case _:
            del spoilt[at:]
    return bytes(spoilt)


def requests(client: Any) -> Iterator[Callable[[], Any]]:
    key, one = {"pk": {"S": "k7"}}, {":one": {"N": "1"}}
    yield lambda: client.describe_table(TableName="things")
    yield lambda: client.get_item(TableName="things", Key=key)
    yield lambda: client.scan(TableName="things")
    yield lambda: client.scan(
        TableName="things", FilterExpression="n > :one", ExpressionAttributeValues=one
    )
    grouped = {
        "TableName": "things",
        "KeyConditionExpression": "g = :g",
        "ExpressionAttributeValues": {":g": {"S": "g1"}},
    }
    yield lambda: client.query(**grouped, IndexName="by-g")
    yield lambda: client.query(**grouped, IndexName="by-h")
    yield lambda: client.put_item(
        TableName="things", Item={**key, "g": {"S": "g9"}}, ReturnValues="ALL_OLD"
    )
    yield lambda: client.update_item(
        TableName="things",
        Key={"pk": {"S": "k8"}},
        UpdateExpression="SET n = n + :one",
        ExpressionAttributeValues=one,
    )


def test_damage_anywhere_is_an_answer_or_one_line(
    filled: bytes, connect: Callable[..., Any]
) -> None:
    chance = random.Random(20261130)
    errors: list[tuple[Path, DataFileError]] = []
    for number in range(60):
        path = Path(f"{number}.sqlite3")
        path.write_bytes(damaged(filled, chance))
        try:
            for request in requests(connect(path)):
                try:
                    request()
                except DataFileError as error:
                    errors.append((path, error))
        except DataFileError as error:
            # already when it is opened
            errors.append((path, error))

    assert len(errors) > 20
    for path, caught in errors:
        assert str(path) in str(caught)
        assert "\n" not in str(caught)
