"""Latency that is modelled: what a request comes to by a profile, in virtual time."""

import threading
from pathlib import Path
from typing import Any

import pytest

from perfkit.dynamodb.connection import EngineConnection
from perfkit.embedded.engine import Engine
from perfkit.embedded.latency import Latency, LatencyProfile, read_profile
from perfkit.errors import ConfigError
from perfkit.measure.clock import FakeClock

TABLE: dict[str, Any] = {
    "TableName": "Things",
    "BillingMode": "PAY_PER_REQUEST",
    "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}],
    "AttributeDefinitions": [{"AttributeName": "id", "AttributeType": "S"}],
}
PROFILE = LatencyProfile(
    read_s=0.005,
    write_s=0.008,
    page_s=0.050,
    item_s=0.001,
    first_connection_s=0.1,
    cross_zone_s=0.001,
    load_balancer_s=0.002,
)


class Timed:
    """An engine whose answers take virtual time."""

    def __init__(self, profile: LatencyProfile = PROFILE) -> None:
        self.clock = FakeClock()
        latency = Latency(profile, clock=self.clock.now, pause=self.clock.sleep)
        self._connection = EngineConnection(Engine(":memory:", latency=latency))
        self.took("CreateTable", **TABLE)

    def took(self, operation: str, **request: Any) -> float:
        """Return the milliseconds of a request."""
        begun_s = self.clock.now()
        self._connection.execute(operation, request)
        return round((self.clock.now() - begun_s) * 1e3, 6)


def item(key: str, size: int = 1) -> dict[str, Any]:
    return {"id": {"S": key}, "text": {"S": "x" * size}}


def test_a_request_takes_what_its_operation_page_and_items_take() -> None:
    timed = Timed()

    assert timed.took("PutItem", TableName="Things", Item=item("a")) == 8
    assert timed.took("GetItem", TableName="Things", Key={"id": {"S": "a"}}) == 5
    puts = [{"PutRequest": {"Item": item(key, 300_000)}} for key in "abcdefg"]
    assert timed.took("BatchWriteItem", RequestItems={"Things": puts}) == 8 + 7
    keys = [{"id": {"S": key}} for key in "abc"]
    assert timed.took("BatchGetItem", RequestItems={"Things": {"Keys": keys}}) == 5 + 3
    # 1.2 MB are evaluated, which is one page, whatever a filter leaves of it
    values = {":z": {"S": "z"}}
    filtered = {"FilterExpression": "id = :z", "ExpressionAttributeValues": values}
    assert timed.took("Scan", TableName="Things", **filtered) == 5 + 50
    assert timed.took("Scan", TableName="Things", Limit=1) == pytest.approx(
        5 + 50 * 300_007 / (1 << 20)
    )


def test_the_first_request_of_each_connection_takes_longer() -> None:
    timed = Timed()
    seen: list[float] = []

    def call() -> None:
        seen.extend(
            timed.took("GetItem", TableName="Things", Key={"id": {"S": "a"}}) for _ in range(2)
        )

    thread = threading.Thread(target=call)
    thread.start()
    thread.join()

    assert seen == [105, 5]


def test_a_request_that_is_refused_takes_its_time_too() -> None:
    timed = Timed()
    begun_s = timed.clock.now()

    with pytest.raises(Exception, match="ResourceNotFound"):
        timed.took("GetItem", TableName="Nothing", Key={"id": {"S": "a"}})

    assert timed.clock.now() - begun_s == pytest.approx(0.005)


def test_what_the_engine_took_itself_is_part_of_it() -> None:
    clock = FakeClock()
    latency = Latency(PROFILE, clock=clock.now, pause=clock.sleep)

    latency.begin(writes=False)
    clock.advance(0.080)
    latency.wait()
    latency.begin(writes=True)
    clock.advance(0.003)
    latency.wait()

    # the first connection's 105 ms, and 8 ms
    assert clock.now() == pytest.approx(0.113)


def test_the_built_in_profile_is_what_is_published() -> None:
    """
    PutItem 8.5 ms, a page of a sequential scan about 55 ms, a new TLS connection about 5 ms.

    Between zones it is 0.5 to 1.5 ms and back; a load balancer is assumed to take 1 to 3.
    """
    aws = read_profile("aws")

    assert (aws.write_s, aws.read_s + aws.page_s, aws.first_connection_s) == pytest.approx(
        (0.0085, 0.055, 0.005)
    )
    assert 0.0005 <= aws.cross_zone_s <= 0.0015
    assert 0.001 <= aws.load_balancer_s <= 0.003


GOOD = (
    "read_ms = 5\nwrite_ms = 8\npage_ms = 50\nitem_ms = 0\nfirst_connection_ms = 5\n"
    "cross_zone_ms = 1\nload_balancer_ms = 2\n"
)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        pytest.param(GOOD.replace("read_ms = 5", "read_ms = -5"), "read_ms is -5", id="negative"),
        pytest.param(GOOD.replace("write_ms = 8\n", ""), "lacks write_ms", id="missing"),
        pytest.param(
            GOOD.replace("balancer_ms = 2", "balancer_ms = -2"),
            "load_balancer_ms is -2",
            id="negative, of the service",
        ),
        pytest.param(
            GOOD.replace("cross_zone_ms = 1\n", ""),
            "lacks cross_zone_ms",
            id="missing, of the service",
        ),
        pytest.param(GOOD.replace("50", "nan"), "page_ms is nan", id="no number"),
        pytest.param(GOOD.replace("50", "true"), "page_ms is True", id="a flag"),
        pytest.param(GOOD + "p99_ms = 20\n", "says p99_ms, which means nothing", id="unknown"),
        pytest.param("read_ms", "is no TOML", id="no TOML"),
        pytest.param(None, "cannot read latency profile", id="no file"),
    ],
)
def test_a_profile_that_will_not_do_is_refused_in_one_line(
    text: str | None, says: str, tmp_path: Path
) -> None:
    file = tmp_path / "mine.toml"
    if text is not None:
        file.write_text(text, encoding="utf-8")

    with pytest.raises(ConfigError, match=says) as error:
        read_profile(str(file))

    assert "\n" not in str(error.value)
    assert error.value.exit_code == 2
