"""Indexes: planned, created one at a time on each table, resumed, dropped; nothing rebuilt silently."""

import shutil
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar

import boto3
import pytest
from moto import mock_aws

from perfkit.dynamodb import indexes, seeding
from perfkit.dynamodb.index_progress import _CloudWatchProgress, _CountProgress
from perfkit.dynamodb.indexes import Change, Event, Goal, IndexPlanState
from perfkit.dynamodb.tables import TAG, IndexState, Keys, TableState, describe
from perfkit.dynamodb.targets import Target, TargetKind
from perfkit.embedded import DynamoDBError
from perfkit.errors import ConfigError, TargetError, WorkloadError
from perfkit.measure.clock import FakeClock
from perfkit.workloads.generator import ItemGenerator
from perfkit.workloads.loader import read

ZOO = read(
    b"""
name = "zoo"
description = "Animals"

[tables.Animals]
items = 600
item_size = 300
partition_key = "animal_id"

[tables.Animals.attributes]
animal_id = { kind = "sequence", format = "A{:05}" }
house     = { kind = "choice", values = ["birds", "apes", "reptiles"] }
weight    = { kind = "decimal", min = 1.0, max = 90.0, places = 2 }
ill_since = { kind = "timestamp", min = 2024-01-01, max = 2025-12-31, present = 0.1 }
notes     = { kind = "padding" }

[tables.Animals.indexes]
ByHouse = { partition_key = "house", sort_key = "weight" }

[tables.Animals.indexes.Ill]
partition_key = "ill_since"
projection = "INCLUDE"
non_key_attributes = ["weight", "house"]

[tables.Keepers]
items = 30
item_size = 3_000
partition_key = "keeper_id"

[tables.Keepers.attributes]
house     = { kind = "choice", values = ["birds", "apes", "reptiles"] }
keeper_id = { kind = "sequence" }
notes     = { kind = "padding" }

[tables.Keepers.indexes]
KeepersByHouse = { partition_key = "house", projection = "KEYS_ONLY" }
""",
    source="zoo.toml",
)


@pytest.fixture(autouse=True)
def _small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Copy an index in steps as few items long as these tables are small."""
    monkeypatch.setattr("perfkit.embedded.backfill._STEP_ITEMS", 250)


@pytest.fixture
def target(tmp_path: Path) -> Target:
    return Target(data=tmp_path / "data.sqlite3")


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a seeded data file, to be copied."""
    target = Target(data=tmp_path_factory.mktemp("zoo") / "data.sqlite3")
    seeding.seed(seeding.plan(target, ZOO), processes=1)
    return target.data


@pytest.fixture
def seeded(target: Target, filled: Path) -> Target:
    for file in filled.parent.glob(f"{filled.name}*"):
        shutil.copy(file, target.data.parent)
    return target


def ask(target: Target, operation: str, request: Mapping[str, Any]) -> dict[str, Any]:
    connection = target.connect()
    try:
        return connection.execute(operation, request)
    finally:
        connection.close()


def states(target: Target, *names: str) -> dict[str, str]:
    return {each.index.name: str(each.state) for each in indexes.plan(target, ZOO, names)}


def create(target: Target, *names: str, **options: Any) -> dict[str, str]:
    plans = indexes.plan(target, ZOO, names)
    changes = indexes.apply(target, plans, Goal.PRESENT, pause=lambda _: None, **options)
    return {name: str(change) for (_, name), change in changes.items()}


def drop(target: Target, *names: str, **options: Any) -> dict[str, str]:
    plans = indexes.plan(target, ZOO, names)
    changes = indexes.apply(target, plans, Goal.ABSENT, pause=lambda _: None, **options)
    return {name: str(change) for (_, name), change in changes.items()}


def creation(name: str = "ByHouse", **changes: Any) -> dict[str, Any]:
    """Return an UpdateTable request for an index of Animals."""
    return {
        "TableName": "Animals",
        "AttributeDefinitions": [
            {"AttributeName": "animal_id", "AttributeType": "S"},
            {"AttributeName": "house", "AttributeType": "S"},
            {"AttributeName": "weight", "AttributeType": "N"},
        ],
        "GlobalSecondaryIndexUpdates": [
            {
                "Create": {
                    "IndexName": name,
                    "KeySchema": [
                        {"AttributeName": "house", "KeyType": "HASH"},
                        {"AttributeName": "weight", "KeyType": "RANGE"},
                    ],
                    "Projection": {"ProjectionType": "ALL"},
                }
                | changes
            }
        ],
    }


# ---- plan ---------------------------------------------------------------------------------------


def test_a_plan_says_what_building_takes(seeded: Target) -> None:
    by_house, ill, keepers = indexes.plan(seeded, ZOO)

    assert (by_house.state, by_house.entries, by_house.write_units) == (
        IndexPlanState.MISSING,
        600,
        600,
    )
    assert by_house.storage_bytes == 600 * (300 + 100)
    # one animal in ten is ill: the index is sparse, its entries small
    assert 30 < ill.entries < 100
    assert ill.write_units == pytest.approx(ill.entries, abs=1)
    assert ill.storage_bytes < ill.entries * 250
    # items of 3 KB, but only keys are projected
    assert (keepers.entries, keepers.write_units) == (30, 30)


def test_a_plan_changes_nothing_and_needs_tables(target: Target) -> None:
    with pytest.raises(
        TargetError, match=r"table Animals does not exist.*run `perfkit seed` first"
    ):
        indexes.plan(target, ZOO)

    assert not target.data.exists()


def test_an_unknown_index_is_named_with_the_choices(seeded: Target) -> None:
    with pytest.raises(WorkloadError, match="no index 'Bylaw'; choose from ByHouse, Ill, Keep"):
        indexes.plan(seeded, ZOO, ["Bylaw"])


# ---- create ------------------------------------------------------------------------------------------


def test_missing_indexes_are_created_and_answer(seeded: Target) -> None:
    changes = create(seeded)

    assert changes == {"ByHouse": "created", "Ill": "created", "KeepersByHouse": "created"}
    assert states(seeded) == {"ByHouse": "active", "Ill": "active", "KeepersByHouse": "active"}
    found = ask(
        seeded,
        "Query",
        {
            "TableName": "Animals",
            "IndexName": "ByHouse",
            "KeyConditionExpression": "house = :house",
            "ExpressionAttributeValues": {":house": {"S": "apes"}},
            "Select": "COUNT",
        },
    )
    generator = ItemGenerator(ZOO)
    apes = [item for item in generator.items("Animals", 0, 600) if item["house"]["S"] == "apes"]
    assert found["Count"] == len(apes) > 100


def test_creating_again_finds_them_there(seeded: Target) -> None:
    create(seeded, "ByHouse")

    changes = create(seeded)

    assert changes == {
        "ByHouse": "already there",
        "Ill": "created",
        "KeepersByHouse": "created",
    }


def test_one_operation_per_table_runs_at_a_time_and_tables_side_by_side(seeded: Target) -> None:
    looks: list[dict[str, str]] = []

    def watch(event: Event) -> None:
        if not looks or event.index in looks[-1]:
            looks.append({})
        looks[-1][event.index] = event.status

    create(seeded, watch=watch)

    of_animals = [(look.get("ByHouse", "ACTIVE"), look.get("Ill", "ACTIVE")) for look in looks]
    assert ("CREATING", "CREATING") not in of_animals
    assert any(
        "CREATING" in pair and look.get("KeepersByHouse") == "CREATING"
        for pair, look in zip(of_animals, looks, strict=True)
    )


def test_progress_grows_to_the_end(seeded: Target) -> None:
    fractions: list[float] = []

    def watch(event: Event) -> None:
        if event.index == "ByHouse" and event.fraction is not None:
            fractions.append(event.fraction)

    create(seeded, "ByHouse", watch=watch)

    assert fractions == sorted(fractions)
    assert len(set(fractions)) >= 3


def test_a_sparse_index_is_built_when_the_entries_that_it_will_have_are() -> None:
    half = replace(INDEX, items=50)

    assert _CountProgress().fraction(TABLE, half, entries=100) == 0.5
    assert _CountProgress().fraction(TABLE, half) == 0.01
    assert _CountProgress().fraction(TABLE, replace(INDEX, items=120), entries=100) == 1


def test_without_waiting_the_rest_is_said_to_be_open(seeded: Target) -> None:
    changes = create(seeded, wait=False)

    assert changes == {
        "ByHouse": "under way",
        "Ill": "not started",
        "KeepersByHouse": "under way",
    }
    assert states(seeded)["ByHouse"] == "creating"
    assert set(create(seeded).values()) == {"created"}


def test_an_index_that_another_process_creates_is_waited_for(seeded: Target) -> None:
    ask(seeded, "UpdateTable", creation())

    changes = create(seeded, "ByHouse")

    assert changes == {"ByHouse": "created"}


def test_another_index_under_way_is_waited_for(seeded: Target) -> None:
    """An index that the workload does not name blocks its table all the same."""
    ask(seeded, "UpdateTable", creation("Somebodys"))

    assert create(seeded, "ByHouse") == {"ByHouse": "created"}


@pytest.mark.parametrize(
    ("changed", "difference"),
    [
        pytest.param(
            {"Projection": {"ProjectionType": "KEYS_ONLY"}},
            "it projects KEYS_ONLY, the workload wants ALL",
            id="projection",
        ),
        pytest.param(
            {"KeySchema": [{"AttributeName": "weight", "KeyType": "HASH"}]},
            "its key is weight (N), the workload wants house (S), weight (N)",
            id="keys",
        ),
    ],
)
def test_an_index_that_differs_is_left_and_said(
    seeded: Target, changed: dict[str, Any], difference: str
) -> None:
    request = creation(**changed)
    used = [part["AttributeName"] for part in changed.get("KeySchema", [])]
    request["AttributeDefinitions"] = [
        part
        for part in request["AttributeDefinitions"]
        if not used or part["AttributeName"] in {"animal_id", *used}
    ]
    ask(seeded, "UpdateTable", request)

    changes = create(seeded, "ByHouse")

    (plan,) = indexes.plan(seeded, ZOO, ["ByHouse"])
    assert changes == {"ByHouse": "left as it is"}
    assert (plan.state, plan.difference) == (IndexPlanState.DIFFERENT, difference)


def test_included_attributes_may_be_listed_in_any_order(seeded: Target) -> None:
    create(seeded, "Ill")
    connection = seeded.connect()
    state = describe(connection, "Animals")
    connection.close()
    assert state is not None

    assert state.indexes[0].non_key_attributes == ("house", "weight")
    assert states(seeded, "Ill") == {"Ill": "active"}


def test_a_provisioned_table_lends_its_throughput(target: Target) -> None:
    definitions = [{"AttributeName": "keeper_id", "AttributeType": "N"}]
    ask(
        target,
        "CreateTable",
        {
            "TableName": "Keepers",
            "KeySchema": [{"AttributeName": "keeper_id", "KeyType": "HASH"}],
            "AttributeDefinitions": definitions,
            "ProvisionedThroughput": {"ReadCapacityUnits": 7, "WriteCapacityUnits": 9},
            "Tags": [TAG],
        },
    )

    create(target, "KeepersByHouse")

    table = ask(target, "DescribeTable", {"TableName": "Keepers"})["Table"]
    throughput = table["GlobalSecondaryIndexes"][0]["ProvisionedThroughput"]
    assert (throughput["ReadCapacityUnits"], throughput["WriteCapacityUnits"]) == (7, 9)


# ---- drop --------------------------------------------------------------------------------------------


def test_dropping_undoes_creating(seeded: Target) -> None:
    create(seeded, "ByHouse", "Ill")

    changes = drop(seeded)

    assert changes == {"ByHouse": "dropped", "Ill": "dropped", "KeepersByHouse": "not there"}
    assert set(states(seeded).values()) == {"missing"}


def test_only_indexes_of_the_workload_are_dropped(seeded: Target) -> None:
    ask(seeded, "UpdateTable", creation("Somebodys"))

    drop(seeded)

    connection = seeded.connect()
    state = describe(connection, "Animals")
    connection.close()
    assert state is not None
    assert state.index("Somebodys") is not None


def test_an_index_may_be_dropped_while_it_is_copied(seeded: Target) -> None:
    create(seeded, "ByHouse", wait=False)

    assert drop(seeded, "ByHouse") == {"ByHouse": "dropped"}


# ---- a target that is busy ---------------------------------------------------------------------------


class BusyTarget(Target):
    """The embedded engine, refusing UpdateTable as AWS does while somebody else is at it."""

    __slots__ = ()
    refusals: list[str]

    def connect(self, **_: Any) -> Any:
        real = super().connect()
        refusals = self.refusals  # of the class, because the dataclass is frozen

        class Busy:
            def execute(self, operation: str, request: Mapping[str, Any]) -> Any:
                if operation == "UpdateTable" and refusals:
                    raise DynamoDBError(refusals.pop(), "Only 1 online index can be created")
                return real.execute(operation, request)

            def close(self) -> None:
                real.close()

        return Busy()


@pytest.mark.parametrize("code", ["LimitExceededException", "ResourceInUseException"])
def test_a_busy_table_is_asked_again(seeded: Target, code: str) -> None:
    target = BusyTarget(data=seeded.data)
    type(target).refusals = [code, code]

    assert create(target, "ByHouse") == {"ByHouse": "created"}
    assert target.refusals == []


def test_an_index_that_another_process_began_a_moment_earlier_is_waited_for(
    seeded: Target,
) -> None:
    target = BusyTarget(data=seeded.data)
    type(target).refusals = ["ValidationException"]
    plans = indexes.plan(seeded, ZOO, ["ByHouse"])

    def be_faster(event: Event) -> None:
        if not event.status:
            ask(seeded, "UpdateTable", creation())

    changes = indexes.apply(target, plans, Goal.PRESENT, watch=be_faster, pause=lambda _: None)

    assert changes == {("Animals", "ByHouse"): Change.CREATED}


def test_an_index_that_vanishes_is_not_created_for_ever(seeded: Target) -> None:
    deletion = {
        "TableName": "Animals",
        "GlobalSecondaryIndexUpdates": [{"Delete": {"IndexName": "ByHouse"}}],
    }

    def delete_it(event: Event) -> None:
        if event.fraction:
            ask(seeded, "UpdateTable", deletion)

    with pytest.raises(TargetError, match="ByHouse of Animals vanished while it was being built"):
        create(seeded, "ByHouse", watch=delete_it)


# ---- AWS ---------------------------------------------------------------------------------------------


@pytest.fixture
def _credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "mine")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "mine")


@mock_aws
@pytest.mark.usefixtures("_credentials")
def test_indexes_are_created_and_dropped_through_boto3() -> None:
    target = Target(kind=TargetKind.AWS, region="eu-west-1")
    seeding.seed(seeding.plan(target, ZOO, scale=0.1), processes=1)

    assert set(create(target).values()) == {"created"}
    assert set(states(target).values()) == {"active"}
    assert set(drop(target).values()) == {"dropped"}


TABLE = TableState(
    name="Animals",
    arn="",
    status="UPDATING",
    keys=Keys(partition=(("animal_id", "S"),)),
    items=5_000,
    size_bytes=0,
    billing="PAY_PER_REQUEST",
    read_capacity=0,
    write_capacity=0,
    indexes=(),
)
INDEX = IndexState(
    name="ByHouse",
    status="CREATING",
    backfilling=True,
    keys=Keys(partition=(("house", "S"),)),
    projection="ALL",
    non_key_attributes=(),
    items=0,
    size_bytes=0,
)


@mock_aws
@pytest.mark.usefixtures("_credentials")
def test_progress_on_aws_is_the_newest_figure_of_cloudwatch() -> None:
    cloudwatch = boto3.client("cloudwatch", region_name="eu-west-1")
    now = datetime.now(UTC)
    for minutes, percent in ((5, 20.0), (2, 65.0), (3, 40.0)):
        cloudwatch.put_metric_data(
            Namespace="AWS/DynamoDB",
            MetricData=[
                {
                    "MetricName": "OnlineIndexPercentageProgress",
                    "Dimensions": [
                        {"Name": "TableName", "Value": "Animals"},
                        {"Name": "GlobalSecondaryIndexName", "Value": "ByHouse"},
                    ],
                    "Timestamp": now - timedelta(minutes=minutes),
                    "Value": percent,
                }
            ],
        )

    assert _CloudWatchProgress(cloudwatch).fraction(TABLE, INDEX) == pytest.approx(0.65)


@pytest.mark.usefixtures("_credentials")
def test_progress_on_aws_is_unknown_without_the_permission() -> None:
    from botocore.stub import Stubber

    clock = FakeClock()
    cloudwatch = boto3.client("cloudwatch", region_name="eu-west-1")
    with Stubber(cloudwatch) as stub:
        stub.add_client_error("get_metric_statistics", "AccessDenied")
        progress = _CloudWatchProgress(cloudwatch, clock=clock.now)

        # the second look is too soon to ask again: the stub has one answer only
        assert [progress.fraction(TABLE, INDEX) for _ in range(2)] == [None, None]


def test_every_change_has_words_of_its_own() -> None:
    assert len({str(change) for change in Change}) == len(Change)


# ---- waiting -----------------------------------------------------------------------------------------


class StuckTarget(Target):
    """The embedded engine with an index that does not get on."""

    __slots__ = ()

    def connect(self, **_: Any) -> Any:
        real = super().connect()

        class Stuck:
            stuck: ClassVar[dict[str, Any]] = {}

            def execute(self, operation: str, request: Mapping[str, Any]) -> Any:
                if operation == "DescribeTable" and self.stuck:
                    return self.stuck
                answer = real.execute(operation, request)
                if operation == "DescribeTable" and answer["Table"]["TableStatus"] == "UPDATING":
                    self.stuck.update(answer)
                return answer

            def close(self) -> None:
                real.close()

        return Stuck()


def wait(target: Target, goal: Goal, clock: FakeClock, **options: Any) -> Any:
    plans = indexes.plan(target, ZOO, ["ByHouse"])
    return indexes.apply(target, plans, goal, clock=clock.now, pause=clock.sleep, **options)


@pytest.mark.parametrize("goal", [Goal.PRESENT, Goal.ABSENT])
def test_waiting_ends_and_says_so_when_nothing_moves(seeded: Target, goal: Goal) -> None:
    if goal is Goal.ABSENT:
        create(seeded, "ByHouse")
    target, clock, said = StuckTarget(data=seeded.data), FakeClock(), []

    def say(text: str) -> None:
        said.append((clock.now(), text))

    with pytest.raises(TargetError) as caught:
        wait(target, goal, clock, timeout_s=100.0, stalled=say)

    status = "CREATING" if goal is Goal.PRESENT else "DELETING"
    assert str(caught.value) == (
        f"not done after 100 s: ByHouse of Animals ({status}). What was begun stays: `perfkit"
        " status` shows how far it is, and the same command waits for the rest"
    )
    # once for every 30 s, and not a look longer
    assert [round(when_s / 30) for when_s, _ in said] == [1, 2, 3]
    assert said[0][1].startswith(f"Nothing has moved for 30 s: ByHouse of Animals ({status}); ")
    assert clock.now() == pytest.approx(100.0)
    # it goes on from where it is
    again = create if goal is Goal.PRESENT else drop
    again(seeded, "ByHouse")
    assert states(seeded, "ByHouse") == {"ByHouse": "active" if goal is Goal.PRESENT else "missing"}


def test_nothing_is_said_while_something_moves(seeded: Target) -> None:
    clock = FakeClock()
    said: list[str] = []

    def slow(seconds: float) -> None:
        clock.sleep(seconds + 29.0)

    plans = indexes.plan(seeded, ZOO, ["ByHouse"])
    indexes.apply(seeded, plans, Goal.PRESENT, clock=clock.now, pause=slow, stalled=said.append)

    assert clock.now() > 29.0
    assert said == []


@pytest.mark.parametrize("goal", [Goal.PRESENT, Goal.ABSENT])
def test_an_index_that_somebody_puts_in_its_place_is_left_alone(seeded: Target, goal: Goal) -> None:
    if goal is Goal.ABSENT:
        create(seeded, "ByHouse")
    plans = indexes.plan(seeded, ZOO, ["ByHouse"])
    if goal is Goal.ABSENT:
        drop(seeded, "ByHouse")
    ask(seeded, "UpdateTable", creation(Projection={"ProjectionType": "KEYS_ONLY"}))

    with pytest.raises(ConfigError, match=r"ByHouse of Animals was re-created .* KEYS_ONLY"):
        indexes.apply(seeded, plans, goal, pause=lambda _: None)

    assert states(seeded, "ByHouse") == {"ByHouse": "different"}


def test_an_index_that_differs_is_not_dropped(seeded: Target) -> None:
    ask(seeded, "UpdateTable", creation(Projection={"ProjectionType": "KEYS_ONLY"}))
    create(seeded, "Ill")

    changes = drop(seeded)

    assert changes == {
        "ByHouse": "left as it is",
        "Ill": "dropped",
        "KeepersByHouse": "not there",
    }
    assert states(seeded, "ByHouse") == {"ByHouse": "different"}
