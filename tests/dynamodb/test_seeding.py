"""Seeding: the same items however it is run, interrupted, throttled or repeated."""

import multiprocessing
import os
import signal
import socket
import threading
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from moto import mock_aws

from perfkit.capacity import Item
from perfkit.commands.options import request_prices
from perfkit.dynamodb import seeding, writing
from perfkit.dynamodb.estimates import index_entry, sample, units_per_item
from perfkit.dynamodb.limits import Limits, Meter, MeteredConnection
from perfkit.dynamodb.ownership import Mark, Ownership
from perfkit.dynamodb.retries import Backoff, RetryingConnection
from perfkit.dynamodb.safety import limited
from perfkit.dynamodb.seeding import Found, SeedOutcome
from perfkit.dynamodb.tables import TAG, Identity, describe
from perfkit.dynamodb.targets import Target, TargetKind
from perfkit.dynamodb.writing import (
    Chunk,
    Job,
    Progress,
    _ChunkWriter,
    chunks_of,
    same_items,
    write,
)
from perfkit.embedded import DynamoDBError
from perfkit.errors import TargetError, ThrottledError
from perfkit.measure.clock import FakeClock
from perfkit.workloads.generator import ItemGenerator
from perfkit.workloads.loader import read
from perfkit.workloads.model import Workload

ZOO = read(
    b"""
name = "zoo"
description = "Animals"

[tables.Animals]
items = 2_120
item_size = 300
partition_key = "animal_id"

[tables.Animals.attributes]
animal_id = { kind = "sequence", format = "A{:05}" }
house     = { kind = "choice", values = ["birds", "apes", "reptiles"] }
weight    = { kind = "decimal", min = 1.0, max = 90.0, places = 2 }
notes     = { kind = "padding" }

[tables.Animals.indexes]
AnimalsByHouse = { partition_key = "house", sort_key = "weight" }

[tables.Keepers]
items = 30
item_size = { min = 100, max = 3_000 }
partition_key = "house"
sort_key = "keeper_id"

[tables.Keepers.attributes]
house     = { kind = "choice", values = ["birds", "apes", "reptiles"] }
keeper_id = { kind = "sequence" }
notes     = { kind = "padding" }
""",
    source="zoo.toml",
)
ITEMS = 2_150


@pytest.fixture
def target(tmp_path: Path) -> Target:
    return Target(data=tmp_path / "data.sqlite3")


def run(target: Target, workload: Workload = ZOO, **options: Any) -> SeedOutcome:
    processes = options.pop("processes", 1)
    return seeding.seed(seeding.plan(target, workload, **options), processes=processes)


def ask(target: Target, operation: str, request: Mapping[str, Any]) -> dict[str, Any]:
    connection = target.connect()
    try:
        return connection.execute(operation, request)
    finally:
        connection.close()


def everything(target: Target, table: str) -> list[Item]:
    items: list[Item] = []
    request: dict[str, Any] = {"TableName": table}
    while True:
        page = ask(target, "Scan", request)
        items += page["Items"]
        if "LastEvaluatedKey" not in page:
            return items
        request["ExclusiveStartKey"] = page["LastEvaluatedKey"]


def assert_seeded(target: Target, *names: str) -> None:
    """Compare every stored item with the one the workload makes."""
    generator = ItemGenerator(ZOO)
    for table in (ZOO.table(name) for name in names or ("Animals", "Keepers")):
        expected = list(generator.items(table.name, 0, generator.count(table.name)))
        keys = tuple(key.name for key in table.keys)
        connection = target.connect()
        try:
            same, _ = same_items(connection, table.name, keys, expected, backoff=Backoff())
        finally:
            connection.close()
        assert same
        assert len(everything(target, table.name)) == len(expected)


# ---- on the embedded engine --------------------------------------------------------------------


def test_an_empty_target_holds_exactly_the_workload_afterwards(target: Target) -> None:
    outcome = run(target)

    animals, keepers = outcome.tables
    assert (animals.items, animals.written, animals.already, animals.created) == (
        2_120,
        2_120,
        0,
        True,
    )
    assert animals.write_units == 2_120
    assert (keepers.items, keepers.found) == (30, Found.NOTHING)
    assert keepers.write_units >= keepers.least_write_units > 30
    assert outcome.remarks() == []
    assert_seeded(target)


def test_tables_are_on_demand_and_carry_the_tag(target: Target) -> None:
    run(target)

    connection = target.connect()
    state = describe(connection, "Keepers")
    assert state is not None
    assert (state.billing, str(state.keys)) == (
        "PAY_PER_REQUEST",
        "house (S), keeper_id (N)",
    )
    assert Ownership(target).mark_of(connection, state) == Mark(scale=1.0)
    connection.close()


def test_seeding_again_finds_everything_and_writes_nothing(target: Target) -> None:
    run(target)

    outcome = run(target)

    assert [(table.found, table.written, table.already) for table in outcome.tables] == [
        (Found.EVERYTHING, 0, 2_120),
        (Found.EVERYTHING, 0, 30),
    ]
    assert sum(table.write_units for table in outcome.tables) == 0


def test_what_is_in_place_is_skipped_and_the_rest_written(target: Target) -> None:
    """An interrupted seeding leaves whole chunks, parts of chunks, and chunks not begun."""
    ask(target, "CreateTable", table_like_animals())
    planned = seeding.plan(target, ZOO)
    whole = Chunk(table="Animals", start=0, stop=1000, look_first=False)
    part = Chunk(table="Animals", start=1000, stop=1500, look_first=False)
    (state,) = (each.state for each in planned.tables if each.table.name == "Animals")
    assert state is not None
    job = replace(planned.job, identities={"Animals": state.identity})
    write(job, [whole, part], processes=1, report=lambda _: None)

    outcome = run(target, tables=["Animals"])

    (animals,) = outcome.tables
    assert (animals.found, animals.already, animals.written) == (Found.PART, 1_000, 1_120)
    assert_seeded(target, "Animals")


def test_a_chunk_that_another_seed_has_begun_to_replace_is_not_skipped(target: Target) -> None:
    run(target, tables=["Animals"])
    last = ItemGenerator(ZOO).item("Animals", 2_119)
    ask(target, "DeleteItem", {"TableName": "Animals", "Key": {"animal_id": last["animal_id"]}})
    other = ItemGenerator(ZOO, 2).item("Animals", 0)
    ask(target, "PutItem", {"TableName": "Animals", "Item": other})

    outcome = run(target, tables=["Animals"])

    (animals,) = outcome.tables
    assert (animals.found, animals.already) == (Found.PART, 1_000)
    assert_seeded(target, "Animals")


def table_like_animals(**changes: Any) -> dict[str, Any]:
    return {
        "TableName": "Animals",
        "KeySchema": [{"AttributeName": "animal_id", "KeyType": "HASH"}],
        "AttributeDefinitions": [{"AttributeName": "animal_id", "AttributeType": "S"}],
        "BillingMode": "PAY_PER_REQUEST",
        "Tags": [TAG],
    } | changes


def test_a_gap_that_skipping_overlooks_is_found_by_the_count(target: Target) -> None:
    run(target)
    ask(
        target,
        "DeleteItem",
        {
            "TableName": "Animals",
            "Key": {"animal_id": everything(target, "Animals")[7]["animal_id"]},
        },
    )

    outcome = run(target)

    assert outcome.tables[0].items == 2_120
    assert_seeded(target)


def test_items_of_another_seed_are_replaced_and_said(target: Target) -> None:
    run(target, random_seed=2)

    outcome = run(target)

    assert outcome.tables[0].found is Found.OTHER
    assert "Animals held items that differ" in outcome.remarks()[0]
    assert_seeded(target, "Animals")


def test_items_under_other_keys_become_foreign_ones(target: Target) -> None:
    """A keeper's key depends on the seed, an animal's does not."""
    run(target, random_seed=2, tables=["Keepers"])

    outcome = run(target, tables=["Keepers"])

    (keepers,) = outcome.tables
    assert keepers.foreign == len(everything(target, "Keepers")) - 30 > 0
    assert any("are not this workload's" in remark for remark in outcome.remarks())


def test_the_first_items_of_an_interrupted_other_seed_are_noticed(target: Target) -> None:
    run(target)
    other = ItemGenerator(ZOO, 2)
    ask(target, "PutItem", {"TableName": "Animals", "Item": other.item("Animals", 1000)})

    outcome = run(target)

    assert outcome.tables[0].found is Found.OTHER
    assert_seeded(target)


def test_foreign_items_are_left_alone_and_said(target: Target) -> None:
    run(target)
    stranger = {"animal_id": {"S": "unicorn"}}
    ask(target, "PutItem", {"TableName": "Animals", "Item": stranger})

    outcome = run(target)

    animals = outcome.tables[0]
    assert (animals.found, animals.items, animals.foreign) == (Found.MORE, 2_121, 1)
    assert animals.written == 2_120
    assert "Animals holds 1 items that are not this workload's" in outcome.remarks()[0]
    assert stranger in everything(target, "Animals")


def test_force_writes_everything_again(target: Target) -> None:
    run(target)

    outcome = run(target, force=True)

    assert [table.written for table in outcome.tables] == [2_120, 30]
    assert outcome.tables[0].write_units == 2_120


def test_scale_and_tables_can_be_chosen(target: Target) -> None:
    outcome = run(target, scale=0.5, tables=["Keepers"])

    assert [(table.name, table.items) for table in outcome.tables] == [("Keepers", 15)]
    assert ask(target, "ListTables", {}) == {"TableNames": ["Keepers"]}


def test_a_table_with_another_key_is_refused_untouched(target: Target) -> None:
    schema = [{"AttributeName": "name", "KeyType": "HASH"}]
    definitions = [{"AttributeName": "name", "AttributeType": "N"}]
    changed = table_like_animals(KeySchema=schema, AttributeDefinitions=definitions)
    ask(target, "CreateTable", changed)

    with pytest.raises(TargetError) as caught:
        run(target)

    assert "with the key name (N), the workload wants animal_id (S)" in str(caught.value)
    assert ask(target, "ListTables", {}) == {"TableNames": ["Animals"]}


def test_items_that_vanish_while_seeding_are_noticed(target: Target) -> None:
    def delete_one(_: Progress) -> None:
        key = {"animal_id": ItemGenerator(ZOO).item("Animals", 0)["animal_id"]}
        ask(target, "DeleteItem", {"TableName": "Animals", "Key": key})

    with pytest.raises(
        TargetError, match="2,120 items of Animals were written, and it holds 2,119"
    ):
        seeding.seed(seeding.plan(target, ZOO), processes=1, progress=delete_one)


def test_few_items_are_not_worth_a_second_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(8)), raising=False)

    processes = [seeding.default_processes(items) for items in (0, 19_999, 20_000, 65_000)]

    assert processes == [1, 1, 2, 4]


@pytest.mark.processes
def test_an_interrupt_waits_until_processes_are_started() -> None:
    """Half-started ones end with a traceback; and a thread that draws progress may receive it."""
    done, started, interrupted = threading.Event(), False, False
    received, receives = socket.socketpair()
    receives.setblocking(False)
    before = signal.set_wakeup_fd(receives.fileno())
    other = threading.Thread(target=done.wait)
    other.start()
    try:
        with received, receives, writing._interrupts_held():
            os.kill(os.getpid(), signal.SIGINT)
            assert received.recv(1)
            started = True
    except KeyboardInterrupt:
        interrupted = True
    finally:
        signal.set_wakeup_fd(before)
        done.set()
        other.join()

    assert (started, interrupted) == (True, True)


@pytest.mark.processes
def test_several_processes_write_what_one_would(target: Target) -> None:
    seen: list[Progress] = []
    planned = seeding.plan(target, ZOO)

    outcome = seeding.seed(planned, processes=2, progress=seen.append)

    assert sum(progress.written for progress in seen) == ITEMS
    assert sum(table.write_units for table in outcome.tables) == sum(
        progress.write_units for progress in seen
    )
    assert multiprocessing.active_children() == []
    assert_seeded(target)


@pytest.mark.processes
def test_a_killed_process_ends_the_others_and_loses_nothing(target: Target) -> None:
    # so slowly that both are still at it when one is killed
    slow = limited(target, request_prices, max_wcu=2500)
    planned = seeding.plan(slow, ZOO, scale=8)

    def kill_one(_: Progress) -> None:
        for child in multiprocessing.active_children()[:1]:
            child.kill()

    with pytest.raises(TargetError, match="was killed by signal 9; nothing that was written"):
        seeding.seed(planned, processes=2, progress=kill_one)

    assert multiprocessing.active_children() == []
    again = run(target, scale=8).tables[0]
    assert (again.items, again.foreign) == (len(everything(target, "Animals")), 0)


@pytest.mark.processes
def test_a_failure_in_a_process_is_the_failure_of_all() -> None:
    nowhere = Target(kind=TargetKind.ENDPOINT, endpoint_url="http://127.0.0.1:1")
    job = Job(
        target=nowhere,
        workload=ZOO,
        random_seed=1,
        scale=1.0,
        identities={"Animals": Identity()},
    )
    chunks = list(chunks_of("Animals", 2_120, look_first=False))

    with pytest.raises(TargetError, match="connection refused"):
        write(job, chunks, processes=2, report=lambda _: None)

    assert multiprocessing.active_children() == []


@mock_aws
def test_aws_is_seeded_through_boto3(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "mine")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "mine")
    target = Target(kind=TargetKind.AWS, region="eu-west-1")

    first = run(target, scale=0.1)
    again = run(target, scale=0.1)

    assert [table.items for table in first.tables] == [212, 3]
    assert [table.found for table in again.tables] == [Found.EVERYTHING] * 2


# ---- writing, against a target that refuses ------------------------------------------------------


class RefusingConnection:
    """Stores items in a dictionary; refuses as told, call by call."""

    def __init__(self, clock: FakeClock, refusals: list[Any]) -> None:
        self.clock = clock
        self.refusals = refusals
        self.stored: dict[str, Item] = {}
        self.calls = 0

    def execute(self, operation: str, request: Mapping[str, Any]) -> dict[str, Any]:
        assert operation == "BatchWriteItem"
        self.calls += 1
        self.clock.advance(0.01)
        refusal = self.refusals.pop(0) if self.refusals else 0
        if isinstance(refusal, str):
            raise DynamoDBError(refusal, "no")
        ((table, entries),) = request["RequestItems"].items()
        left, taken = entries[:refusal], entries[refusal:]
        for entry in taken:
            item = entry["PutRequest"]["Item"]
            self.stored[item["animal_id"]["S"]] = item
        return {
            "UnprocessedItems": {table: left} if left else {},
            "ConsumedCapacity": [{"TableName": table, "CapacityUnits": float(len(taken))}],
        }

    def close(self) -> None:
        """Hold nothing open."""


def write_animals(
    connection: RefusingConnection, *, max_wcu: float | None = None, items: int = 60
) -> Progress:
    clock = connection.clock
    backoff = Backoff(pause=clock.sleep, rng=lambda: 1.0)
    total = Progress(table="Animals")

    def add(progress: Progress) -> None:
        nonlocal total
        total += progress

    direct: Any = connection
    if max_wcu is not None:
        limits = Limits.start(max_wcu=max_wcu, read_unit_usd=0, write_unit_usd=0, price="nobody")
        meter = Meter(limits, clock=clock.now, pause=clock.sleep)
        direct = MeteredConnection(connection, meter)
    writer = _ChunkWriter(
        connection=RetryingConnection(direct, backoff=backoff, clock=clock.now),
        generator=ItemGenerator(ZOO),
        workload=ZOO,
        backoff=backoff,
        report=add,
        check=lambda _: None,
        clock=clock.now,
    )
    writer.write(Chunk(table="Animals", start=0, stop=items, look_first=False))
    return total


@given(
    st.lists(st.one_of(st.integers(0, 25), st.sampled_from(["ThrottlingException"])), max_size=9)
)
def test_every_item_gets_in_whatever_is_refused_on_the_way(refusals: list[Any]) -> None:
    connection = RefusingConnection(FakeClock(), refusals)

    total = write_animals(connection)

    expected = list(ItemGenerator(ZOO).items("Animals", 0, 60))
    assert sorted(connection.stored.values(), key=str) == sorted(expected, key=str)
    assert (total.written, total.write_units) == (60, 60.0)


def test_waits_double_while_nothing_is_accepted() -> None:
    clock = FakeClock()
    connection = RefusingConnection(clock, [25, 25, 25, "ThrottlingException"])

    total = write_animals(connection, items=25)

    # 50 + 100 + 200 ms for items sent back, 50 ms for the refused call, 10 ms each of 5 calls
    assert clock.now() == pytest.approx(0.05 + 0.1 + 0.2 + 0.05 + 5 * 0.01)
    assert total.refusals == 4


def test_it_gives_up_when_nothing_is_accepted_for_minutes() -> None:
    clock = FakeClock()

    with pytest.raises(ThrottledError, match="none of 25 items was accepted for 300 s"):
        write_animals(RefusingConnection(clock, [25] * 1000))

    assert 300 <= clock.now() < 330


def test_an_error_that_waiting_does_not_help_is_raised_at_once() -> None:
    connection = RefusingConnection(FakeClock(), ["ValidationException"])

    with pytest.raises(DynamoDBError):
        write_animals(connection)

    assert connection.calls == 1


def test_writes_are_held_below_the_rate() -> None:
    clock = FakeClock()

    write_animals(RefusingConnection(clock, []), max_wcu=10, items=100)

    # 100 units at 10 a second, the last batch of 25 not waited for
    assert 7.5 <= clock.now() < 8


def test_a_lost_connection_is_no_outage_on_the_first_call() -> None:
    clock = FakeClock()
    backoff = Backoff(pause=clock.sleep, rng=lambda: 1.0)
    connection = RetryingConnection(
        RefusingConnection(clock, ["ConnectionLost"]), backoff=backoff, clock=clock.now
    )

    with pytest.raises(DynamoDBError):
        connection.execute("BatchWriteItem", {"RequestItems": {"Animals": []}})

    connection.execute("BatchWriteItem", {"RequestItems": {"Animals": []}})
    assert backoff.waits == 0


def test_a_lost_connection_is_waited_for_later() -> None:
    clock = FakeClock()

    total = write_animals(RefusingConnection(clock, [0, "ConnectionLost", "InternalServerError"]))

    assert (total.written, total.refusals) == (60, 2)


# ---- arithmetic --------------------------------------------------------------------------------


@given(st.integers(0, 20_000))
def test_chunks_cover_every_item_once(items: int) -> None:
    chunks = list(chunks_of("Animals", items, look_first=True))

    covered = [number for chunk in chunks for number in range(chunk.start, chunk.stop)]
    assert covered == list(range(items))


@given(st.integers(0, 5000))
def test_a_wait_never_exceeds_the_limit(attempt: int) -> None:
    waited: list[float] = []

    Backoff(pause=waited.append, rng=lambda: 1.0).wait(attempt)

    assert 0 < waited[0] <= 20.0


def test_estimates_follow_the_billing_rules() -> None:
    keepers = ZOO.table("Keepers")
    animals = ZOO.table("Animals")
    generator = ItemGenerator(ZOO)

    assert units_per_item(animals, (), sample(generator, "Animals")) == 1.0
    assert units_per_item(animals, animals.indexes, sample(generator, "Animals")) == 2.0
    assert 1.0 < units_per_item(keepers, (), sample(generator, "Keepers")) < 3.0


def test_an_item_without_the_key_is_not_in_the_index() -> None:
    animals = ZOO.table("Animals")

    assert index_entry(animals, animals.indexes[0], {"animal_id": {"S": "A1"}}) is None


def test_keys_that_are_never_processed_end_the_comparison() -> None:
    class Refusing:
        """Answers every BatchGetItem with nothing but unprocessed keys."""

        def execute(self, operation: str, request: Mapping[str, Any]) -> dict[str, Any]:
            assert operation == "BatchGetItem"
            return {"Responses": {}, "UnprocessedKeys": request["RequestItems"]}

        def close(self) -> None:
            pass

    pauses: list[float] = []

    with pytest.raises(ThrottledError, match="none of 1 keys was processed"):
        same_items(
            Refusing(),
            "Animals",
            ("id",),
            [{"id": {"S": "a1"}}],
            backoff=Backoff(pause=pauses.append, rng=lambda: 1.0),
        )

    assert 20 < len(pauses) < 40
    assert pauses[:3] == [0.1, 0.2, 0.4]
