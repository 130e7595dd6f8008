"""perfkit's mark: a tag, or a record where a target keeps no tags; tables replaced in between."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from perfkit.cli import app
from perfkit.commands.options import request_prices
from perfkit.dynamodb import indexes, seeding, writing
from perfkit.dynamodb.client import embedded_client
from perfkit.dynamodb.connection import ClientConnection
from perfkit.dynamodb.indexes import Goal
from perfkit.dynamodb.safety import limited
from perfkit.dynamodb.targets import Target, TargetKind
from perfkit.dynamodb.writing import Progress
from perfkit.errors import ConfigError
from perfkit.workloads.loader import read
from perfkit.workloads.model import Workload

TEXT = b"""
name = "zoo"
description = "Animals"

[tables.Animals]
items = 60
item_size = 200
partition_key = "animal_id"

[tables.Animals.attributes]
animal_id = { kind = "sequence", format = "A{:05}" }
house     = { kind = "choice", values = ["birds", "apes", "reptiles"] }
notes     = { kind = "padding" }

[tables.Animals.indexes]
ByHouse = { partition_key = "house" }

[patterns.house]
description = "Animals of a house"
table = "Animals"
parameters = { house = "apes" }
scan.filter = "house = :house"
query.index = "ByHouse"
query.key_condition = "house = :house"
"""
RECORDS = Path(".perfkit/tables")

TABLE_OF_SOMEBODY: dict[str, Any] = {
    "TableName": "Somebodys",
    "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}],
    "AttributeDefinitions": [{"AttributeName": "id", "AttributeType": "S"}],
    "BillingMode": "PAY_PER_REQUEST",
}


@pytest.fixture
def zoo() -> Workload:
    Path("perfkit.toml").write_bytes(TEXT)
    return read(TEXT, source="zoo.toml")


def perfkit(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments))


def animals(client: Any) -> None:
    """Make the table as somebody else would, and put one item into it."""
    client.create_table(
        TableName="Animals",
        KeySchema=[{"AttributeName": "animal_id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "animal_id", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    # dynalite makes them in its own time, too
    client.get_waiter("table_exists").wait(
        TableName="Animals", WaiterConfig={"Delay": 1, "MaxAttempts": 120}
    )
    client.put_item(TableName="Animals", Item={"animal_id": {"S": "A00001"}, "dear": {"S": "yes"}})


def replace_animals(client: Any) -> None:
    client.delete_table(TableName="Animals")
    # dynalite deletes in its own time
    client.get_waiter("table_not_exists").wait(
        TableName="Animals", WaiterConfig={"Delay": 1, "MaxAttempts": 120}
    )
    animals(client)


def is_untouched(client: Any) -> bool:
    items = client.scan(TableName="Animals")["Items"]
    return bool(items == [{"animal_id": {"S": "A00001"}, "dear": {"S": "yes"}}])


CHANGING = (("seed",), ("run", "--patterns-only"), ("create-indexes",), ("clean",))


@pytest.mark.usefixtures("zoo")
def test_on_every_server_perfkit_knows_its_own_tables_again(
    stand_in: str, client_of: Callable[[str], Any]
) -> None:
    first = perfkit("seed", "--target", stand_in)
    again = perfkit("seed", "--target", stand_in, "--json")

    assert (first.exit_code, again.exit_code) == (0, 0), first.output + again.output
    (table,) = json.loads(again.stdout)["tables"]
    assert (table["found"], table["already"]) == ("everything", 60)
    smaller = perfkit("seed", "--target", stand_in, "--scale", "0.5")
    assert "was filled at scale 1" in smaller.stderr
    # a name of the same machine
    cleaned = perfkit("clean", "--yes", "--target", stand_in.replace("127.0.0.1", "localhost"))
    assert cleaned.stdout.startswith("Removed table Animals with")
    assert client_of(stand_in).list_tables()["TableNames"] == []
    assert not list(RECORDS.glob("*.json"))


@pytest.mark.usefixtures("zoo")
def test_on_every_server_a_table_made_anew_is_not_taken_for_ours(
    stand_in: str, client_of: Callable[[str], Any]
) -> None:
    assert perfkit("seed", "--target", stand_in).exit_code == 0
    client = client_of(stand_in)
    replace_animals(client)

    for command in CHANGING:
        result = perfkit(*command, "--yes", "--target", stand_in)

        assert result.exit_code == 2, result.output
        assert "does not carry perfkit's mark" in result.stderr
    assert is_untouched(client)


@pytest.fixture
def tagless(start_server: Callable[..., Any], record: Callable[[str], Any], tmp_path: Path) -> Any:
    """Return a server that knows no tags; `upstream` is one that does, on the same tables."""
    with start_server(tmp_path / "behind.sqlite3") as (url, _):
        recorder = record(url)
        recorder.tagless = True
        recorder.upstream = url
        yield recorder


@pytest.mark.usefixtures("zoo")
def test_without_tags_a_record_says_whose_a_table_is(
    tagless: Any, client_of: Callable[[str], Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert perfkit("seed", "--target", tagless.url).exit_code == 0
    described = client_of(tagless.upstream).describe_table(TableName="Animals")["Table"]

    (record,) = RECORDS.glob("*.json")
    port = tagless.url.rpartition(":")[2]
    assert json.loads(record.read_text()) == {
        "format": 1,
        "endpoint": f"http://localhost:{port}",
        "region": "us-east-1",
        "table": "Animals",
        "table_id": described["TableId"],
        "created_s": described["CreationDateTime"].timestamp(),
        "scale": 1.0,
    }
    for command in (("create-indexes",), ("drop-indexes",), ("seed",)):
        assert perfkit(*command, "--target", tagless.url).exit_code == 0
    # another folder has no record, and another region is another place
    assert perfkit("seed", "--target", tagless.url, "--region", "eu-west-1").exit_code == 2
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "perfkit.toml").write_bytes(TEXT)
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert perfkit("seed", "--target", tagless.url).exit_code == 2


@pytest.mark.usefixtures("zoo")
def test_aws_sent_to_a_server_without_tags_has_records_too(
    tagless: Any, client_of: Callable[[str], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else nobody could go on with the tables, nor remove them."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "somebody")
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    monkeypatch.setenv("AWS_ENDPOINT_URL_DYNAMODB", tagless.url)
    aws = ("--target", "aws", "--yes")

    first, again = (perfkit("seed", *aws, "--json") for _ in range(2))

    assert (first.exit_code, again.exit_code) == (0, 0), first.output + again.output
    assert json.loads(again.stdout)["tables"][0]["found"] == "everything"
    # called what it is: it has no account, and nothing there costs money
    assert f"send aws to {tagless.url}: an endpoint, not AWS" in first.stderr
    assert "$" not in first.stderr
    # the same place, called by its address
    assert perfkit("seed", "--target", tagless.url).exit_code == 0
    client = client_of(tagless.upstream)
    replace_animals(client)
    for command in CHANGING:
        assert perfkit(*command, *aws).exit_code == 2
    assert is_untouched(client)


@pytest.mark.usefixtures("zoo")
def test_a_time_that_a_server_says_of_every_table_proves_nothing(
    tagless: Any, client_of: Callable[[str], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    send = ClientConnection.execute

    def execute(connection: Any, operation: str, request: Any) -> dict[str, Any]:
        answer = send(connection, operation, request)
        for table in (answer.get("Table"), answer.get("TableDescription")):
            if table is not None:
                table.pop("TableId")
                table["CreationDateTime"] = 0
        return answer

    monkeypatch.setattr(ClientConnection, "execute", execute)
    perfkit("seed", "--target", tagless.url)
    client = client_of(tagless.upstream)
    replace_animals(client)

    for command in CHANGING:
        assert perfkit(*command, "--yes", "--target", tagless.url).exit_code == 2

    assert is_untouched(client)


@pytest.mark.usefixtures("zoo")
def test_a_record_that_cannot_be_read_proves_nothing(tagless: Any) -> None:
    assert perfkit("seed", "--target", tagless.url).exit_code == 0
    (record,) = RECORDS.glob("*.json")
    record.write_text(record.read_text()[:40])

    assert perfkit("seed", "--target", tagless.url).exit_code == 2


@pytest.mark.usefixtures("zoo")
def test_a_table_made_anew_without_tags_is_somebody_elses(
    tagless: Any, client_of: Callable[[str], Any]
) -> None:
    assert perfkit("seed", "--target", tagless.url).exit_code == 0
    client = client_of(tagless.upstream)
    replace_animals(client)

    for command in CHANGING:
        assert perfkit(*command, "--yes", "--target", tagless.url).exit_code == 2

    assert is_untouched(client)


def test_a_record_that_cannot_be_written_comes_before_the_table(
    tagless: Any, zoo: Workload, client_of: Callable[[str], Any]
) -> None:
    Path(".perfkit").write_text("a file in the way")
    target = Target(kind=TargetKind.ENDPOINT, endpoint_url=tagless.url)

    with pytest.raises(ConfigError, match=r"cannot note in \.perfkit/tables"):
        seeding.seed(seeding.plan(target, zoo), processes=1)

    assert client_of(tagless.upstream).list_tables()["TableNames"] == []


# ---- races ---------------------------------------------------------------------------------------


def test_who_creates_a_table_a_moment_earlier_owns_it(
    tagless: Any, zoo: Workload, client_of: Callable[[str], Any]
) -> None:
    client = client_of(tagless.upstream)
    target = Target(kind=TargetKind.ENDPOINT, endpoint_url=tagless.url)
    planned = seeding.plan(target, zoo)

    def be_faster(operation: str) -> None:
        if operation == "CreateTable":
            animals(client)

    tagless.before = be_faster
    with pytest.raises(ConfigError, match=r"Animals .* does not carry perfkit's mark"):
        seeding.seed(planned, processes=1)

    assert is_untouched(client)


def test_a_table_replaced_after_the_plan_is_not_seeded(zoo: Workload) -> None:
    target = Target()
    seeding.seed(seeding.plan(target, zoo), processes=1)
    planned = seeding.plan(target, zoo, force=True)
    client = embedded_client()
    replace_animals(client)

    with pytest.raises(ConfigError, match="re-created by somebody else"):
        seeding.seed(planned, processes=1)

    assert is_untouched(client)


@pytest.mark.processes
@pytest.mark.parametrize("processes", [1, 2])
def test_a_table_replaced_before_the_first_item_is_not_written_to(
    processes: int, zoo: Workload
) -> None:
    """In every process that writes."""
    target = Target()
    client = embedded_client()
    scale = 50.0

    def replace_it(text: str) -> None:
        if text == "writing items":
            replace_animals(client)

    with pytest.raises(ConfigError, match="re-created by somebody else"):
        seeding.seed(seeding.plan(target, zoo, scale=scale), processes=processes, stage=replace_it)

    assert is_untouched(client)


@pytest.mark.parametrize("max_wcu", [None, 1e6], ids=["loaded", "in batches"])
def test_a_table_replaced_while_it_is_filled_is_not_written_to(
    max_wcu: float | None, zoo: Workload, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writing, "LOOK_EVERY_S", 0.0)
    monkeypatch.setattr(writing, "_REPORT_EVERY_S", 0.0)
    target = limited(Target(), request_prices, max_wcu=max_wcu)
    client = embedded_client()
    reports: list[Progress] = []

    def replace_it(progress: Progress) -> None:
        reports.append(progress)
        if len(reports) == 2:
            replace_animals(client)

    planned = seeding.plan(target, zoo, scale=50.0)
    with pytest.raises(ConfigError, match="re-created by somebody else"):
        seeding.seed(planned, processes=1, progress=replace_it)

    assert is_untouched(client)


def test_no_table_is_deleted_where_one_of_them_was_replaced() -> None:
    """All are looked at before the first goes."""
    from perfkit.dynamodb import cleaning

    zebras = TEXT.partition(b"\n\n")[2].replace(b"Animals", b"Zebras")
    both = read(TEXT + zebras.replace(b"patterns.house", b"patterns.stable"), source="zoo.toml")
    target = Target()
    seeding.seed(seeding.plan(target, both), processes=1)
    client = embedded_client()
    client.create_table(**TABLE_OF_SOMEBODY)
    planned = cleaning.plan(target, both, None)
    names = [table.name for table in planned.tables]
    client.delete_table(TableName=names[-1])
    client.create_table(**TABLE_OF_SOMEBODY | {"TableName": names[-1]})

    with pytest.raises(ConfigError, match="re-created by somebody else"):
        cleaning.clean(planned, both)

    assert client.list_tables()["TableNames"] == ["Animals", "Somebodys", "Zebras"]


@pytest.mark.parametrize("goal", [Goal.PRESENT, Goal.ABSENT])
def test_a_table_replaced_after_the_plan_keeps_its_indexes(goal: Goal, zoo: Workload) -> None:
    target = Target()
    seeding.seed(seeding.plan(target, zoo), processes=1)
    if goal is Goal.ABSENT:
        indexes.apply(target, indexes.plan(target, zoo), Goal.PRESENT, pause=lambda _: None)
    plans = indexes.plan(target, zoo)
    client = embedded_client()
    replace_animals(client)
    before = client.describe_table(TableName="Animals")["Table"]

    with pytest.raises(ConfigError, match="re-created by somebody else"):
        indexes.apply(target, plans, goal, pause=lambda _: None)

    assert client.describe_table(TableName="Animals")["Table"] == before


@pytest.mark.usefixtures("zoo")
def test_a_file_that_somebody_uses_after_the_question_is_not_removed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from perfkit.dynamodb.safety import Permission

    assert perfkit("seed").exit_code == 0

    def answer(_: str) -> bool:
        client = embedded_client()
        client.create_table(
            TableName="Theirs",
            KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
        )
        return True

    monkeypatch.setattr(
        "perfkit.commands.clean.make_permission",
        lambda **_: Permission(prices=request_prices, ask=answer),
    )

    result = perfkit("clean")

    assert result.exit_code == 2
    assert embedded_client().list_tables()["TableNames"] == ["Animals", "Theirs"]
