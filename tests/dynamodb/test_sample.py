"""Samples of live tables: how many, from where, at what price, and that only reads are sent."""

import random
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from perfkit.dynamodb.client import embedded_client
from perfkit.dynamodb.limits import Limits, Meter, MeteredConnection
from perfkit.dynamodb.retries import Backoff, RetryingConnection
from perfkit.dynamodb.sample import Sample, SampleLimits, take_sample
from perfkit.dynamodb.tables import describe
from perfkit.dynamodb.targets import Target, parse_target
from perfkit.embedded.errors import DynamoDBError
from perfkit.measure.clock import FakeClock


def fill(client: Any, items: list[dict[str, Any]], *, sort: bool = False) -> None:
    """Make the table things and put *items* into it."""
    keys = [("pk", "HASH"), ("sk", "RANGE")][: 2 if sort else 1]
    client.create_table(
        TableName="things",
        KeySchema=[{"AttributeName": name, "KeyType": kind} for name, kind in keys],
        AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name, _ in keys],
        BillingMode="PAY_PER_REQUEST",
    )
    for first in range(0, len(items), 25):
        puts = [{"PutRequest": {"Item": item}} for item in items[first : first + 25]]
        client.batch_write_item(RequestItems={"things": puts})


def numbered(count: int, size: int = 50) -> list[dict[str, Any]]:
    return [{"pk": {"S": f"{number:05}"}, "text": {"S": "x" * size}} for number in range(count)]


def sample(
    target: Target,
    *,
    items: int = 1000,
    read_units: float = 2500.0,
    meter: Meter | None = None,
    **more: Any,
) -> Sample:
    direct = target.connect()
    direct = direct if meter is None else MeteredConnection(direct, meter)
    connection = RetryingConnection(direct, backoff=Backoff(pause=lambda _: None))
    try:
        state = describe(connection, "things")
        assert state is not None
        limits = SampleLimits(items=items, read_units=read_units)
        return take_sample(connection, state, limits=limits, **more)
    finally:
        connection.close()


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Target:
    """Return a target with a table of 3,000 items."""
    target = Target(data=tmp_path_factory.mktemp("large") / "data.sqlite3")
    fill(embedded_client(target.data), numbered(3000))
    return target


def test_it_takes_so_many_different_items_from_all_over_the_table(large: Target) -> None:
    taken = sample(large, items=200)

    assert len({each.item["pk"]["S"] for each in taken.items}) == 200
    assert taken.facts.items == 200
    assert taken.facts.segments_read == 20
    assert not taken.facts.whole
    # the names pk and text, five digits, 50 letters
    assert {each.size_bytes for each in taken.items} == {2 + 5 + 4 + 50}
    # a page of ten is 610 bytes: half a unit
    assert taken.facts.read_units == taken.facts.modelled_units == taken.facts.pages * 0.5
    # those of the whole table, cut into as many stretches, are met about as often
    places = Counter(each.segment * 20 // taken.facts.segments for each in taken.items)
    assert len(places) == 20
    assert max(places.values()) == 10


def test_a_seed_repeats_the_sample_and_another_takes_other_items(large: Target) -> None:
    first, again, other = (
        [each.item["pk"]["S"] for each in sample(large, items=100, seed=seed).items]
        for seed in (7, 7, 8)
    )

    assert first == again
    assert len(set(first) & set(other)) < 60


def test_a_small_table_is_taken_whole(large: Target) -> None:
    taken = sample(large, items=5000)

    assert taken.facts.whole
    assert taken.facts.items == taken.facts.table_items == 3000
    assert len({each.item["pk"]["S"] for each in taken.items}) == 3000


def test_it_ends_at_its_read_units(large: Target) -> None:
    taken = sample(large, read_units=5)

    assert taken.facts.read_units is not None
    assert 4.5 <= taken.facts.read_units <= 5
    assert 0 < taken.facts.items < 1000
    assert taken.facts.spent_limit == 5
    assert sample(large, items=100).facts.spent_limit is None


def test_huge_items_do_not_exceed_the_units() -> None:
    fill(embedded_client(), numbered(12, size=399_000))

    # two items, 798,022 bytes, are 195 blocks of 4 KB at half a unit; a third would exceed 120
    taken = sample(Target(), read_units=120)

    assert taken.facts.items == 2
    assert taken.facts.read_units == 97.5


def test_it_reads_no_faster_than_it_may(large: Target) -> None:
    clock = FakeClock()
    limits = Limits.start(max_rcu=2.0, read_unit_usd=0, write_unit_usd=0, price="nobody")
    meter = Meter(limits, clock=clock.now, pause=clock.sleep)

    taken = sample(large, items=200, meter=meter)

    # the last page need not be paid off
    assert taken.facts.read_units is not None
    assert clock.now() == pytest.approx((taken.facts.read_units - 0.5) / 2.0)


def test_it_says_where_large_partitions_were_cut() -> None:
    # 40 keys, of which one has most of the items
    items = [{"pk": {"S": f"k{key}"}, "sk": {"S": "only"}} for key in range(40)]
    items += [{"pk": {"S": "hot"}, "sk": {"S": f"{number:04}"}} for number in range(960)]
    fill(embedded_client(), items, sort=True)

    taken = sample(Target(), items=100)

    assert taken.facts.cut_segments >= 1
    hot = [each.item["sk"]["S"] for each in taken.items if each.item["pk"]["S"] == "hot"]
    assert hot == [f"{number:04}" for number in range(len(hot))]


def test_an_empty_table_is_whole_and_has_no_items() -> None:
    fill(embedded_client(), [])

    taken = sample(Target())

    assert taken.items == ()
    assert taken.facts.whole


@pytest.mark.processes
def test_binary_values_are_text_whatever_the_target(
    start_server: Callable[..., Any], client_of: Callable[[str], Any], tmp_path: Path
) -> None:
    item = {"pk": {"S": "a"}, "raw": {"B": b"\x00\xff"}, "deep": {"L": [{"BS": [b"z"]}]}}
    with start_server(tmp_path / "data.sqlite3") as (url, _):
        fill(client_of(url), [item])

        (found,) = sample(parse_target(url)).items

    assert found.item["raw"] == {"B": "AP8="}
    assert found.item["deep"] == {"L": [{"BS": ["eg=="]}]}


class Between:
    """A connection that does something to requests or answers of another one."""

    def __init__(self, inner: Any, change: Callable[[str, dict[str, Any]], None]) -> None:
        self._inner = inner
        self._change = change

    def execute(self, operation: str, request: Mapping[str, Any]) -> dict[str, Any]:
        changed = dict(request)
        self._change(operation, changed)
        answer: dict[str, Any] = self._inner.execute(operation, changed)
        return answer

    def close(self) -> None:
        self._inner.close()


def sample_through(
    target: Target, change: Callable[[str, dict[str, Any]], None], items: int
) -> Sample:
    connection = RetryingConnection(
        Between(target.connect(), change), backoff=Backoff(pause=lambda _: None)
    )
    try:
        state = describe(connection, "things")
        assert state is not None
        return take_sample(connection, state, limits=SampleLimits(items=items), seed=1)
    finally:
        connection.close()


def test_a_target_that_ignores_segments_is_read_in_order(large: Target) -> None:
    """DynamoDB Local answers every segment with the whole table."""

    def ignore(_: str, request: dict[str, Any]) -> None:
        for name in ("Segment", "TotalSegments"):
            request.pop(name, None)

    taken = sample_through(large, ignore, 200)

    assert taken.facts.ignores_segments
    assert len({each.item["pk"]["S"] for each in taken.items}) == 200


def test_throttles_are_waited_for_and_counted(large: Target) -> None:
    chance = random.Random(3)
    sent = Counter[str]()

    def throttle(operation: str, _: dict[str, Any]) -> None:
        sent[operation] += 1
        if operation == "Scan" and chance.random() < 0.3:
            sent["refused"] += 1
            code = "ThrottlingException"
            raise DynamoDBError(code, "slow down")

    taken = sample_through(large, throttle, 200)

    assert taken.facts.items == 200
    assert taken.facts.throttles == taken.facts.retries == sent["refused"] > 0
    assert sent.keys() == {"DescribeTable", "Scan", "refused"}
