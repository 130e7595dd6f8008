"""Limits: rates and a sum of money held over threads, processes and ways to ask; what is counted."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Thread
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.awsrequest import AWSResponse
from hypothesis import given
from hypothesis import strategies as st

from perfkit.commands.options import request_prices
from perfkit.dynamodb import seeding
from perfkit.dynamodb.limits import Limits, Meter, MeteredConnection, PacedClock, meter_of
from perfkit.dynamodb.safety import limited
from perfkit.dynamodb.targets import Target
from perfkit.embedded import DynamoDBError
from perfkit.errors import ConfigError, LimitReachedError, TargetError
from perfkit.measure.clock import FakeClock
from perfkit.scenarios.reading import ParallelScan
from perfkit.workloads.loader import load

# of us-east-1, on demand. Source: AWS Price List
READ_UNIT_USD, WRITE_UNIT_USD = 0.125e-6, 0.625e-6


@pytest.fixture
def data(courses_data: Callable[..., Path]) -> Path:
    return courses_data(0.02)


def test_threads_and_ways_to_ask_share_one_rate(data: Path) -> None:
    target = limited(Target(data=data), request_prices, max_rcu=200)
    client, connection = target.client(), target.connect()

    def scan(number: int) -> None:
        # a scan of 200 items of about 1 KB: 25 units
        if number % 2:
            client.scan(TableName="Courses")
        else:
            connection.execute("Scan", {"TableName": "Courses"})

    started_s = time.monotonic()
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(scan, range(8)))
    elapsed_s = time.monotonic() - started_s
    connection.close()

    assert target.limits is not None
    used = meter_of(target.limits).consumed
    assert (used.calls, used.read_units) == (8, 200)
    # four calls of which nothing was known may go at once; all others wait until these are paid
    assert elapsed_s >= (200 - 4 * 25) / 200


@pytest.mark.processes
@pytest.mark.parametrize("elsewhere", [False, True], ids=["here", "in another container"])
def test_the_file_of_a_command_that_was_killed_goes_with_the_next(
    elsewhere: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The number of a process of another container is nobody's here, or somebody else's."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    code = (
        "import time\n"
        "from perfkit.commands.options import request_prices\n"
        "from perfkit.dynamodb.safety import limited\n"
        "from perfkit.dynamodb.targets import Target\n"
        "limited(Target(), request_prices, max_rcu=1)\n"
        "print('made', flush=True)\n"
        "time.sleep(600)\n"
    )
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    command = [sys.executable, "-c", code]
    with (
        subprocess.Popen(command, env=environment, stdout=subprocess.PIPE) as killed,
        subprocess.Popen(command, env=environment, stdout=subprocess.PIPE) as going_on,
    ):
        for process in (killed, going_on):
            assert process.stdout is not None
            assert process.stdout.readline()
        left = {path.name for path in tmp_path.iterdir()}
        killed.kill()
        killed.wait()
        if elsewhere:
            monkeypatch.setattr("psutil.pid_exists", lambda _: False)
        target = limited(Target(), request_prices, max_rcu=1)
        after = {path.name for path in tmp_path.iterdir()}
        going_on.kill()

    assert target.limits is not None
    assert len(left) == 2
    assert after == {each for each in left if f"-{killed.pid}-" not in each} | {
        target.limits.file.parent.name
    }


@pytest.mark.processes
def test_processes_share_one_rate_and_one_sum(tmp_path: Path) -> None:
    target = limited(Target(data=tmp_path / "data.sqlite3"), request_prices, max_wcu=1500)
    started_s = time.monotonic()

    # three chunks, of up to 1,000 items of one unit
    plan = seeding.plan(target, load("courses"), scale=0.03)
    outcome = seeding.seed(plan, processes=2)

    elapsed_s = time.monotonic() - started_s
    written = sum(each.write_units for each in outcome.tables)
    assert target.limits is not None
    assert meter_of(target.limits).consumed.write_units == written > 1500
    assert elapsed_s >= (written - 2 * 25) / 1500


def test_a_sum_is_never_passed_once_a_call_is_known(data: Path) -> None:
    target = limited(Target(data=data), request_prices, max_cost_usd=110 * READ_UNIT_USD)
    client = target.client()

    for _ in range(4):
        client.scan(TableName="Courses")
    with pytest.raises(LimitReachedError, match=r"100\.0 read and 0\.0 write units were consumed"):
        client.scan(TableName="Courses")

    assert target.limits is not None
    meter = meter_of(target.limits)
    assert meter.consumed.cost_usd == pytest.approx(100 * READ_UNIT_USD)
    with pytest.raises(LimitReachedError):
        meter.check()
    # what costs nothing goes on
    assert client.describe_table(TableName="Courses")["Table"]["ItemCount"] == 200


def test_what_one_process_learns_the_others_know(data: Path) -> None:
    limits = limited(Target(data=data), request_prices, max_cost_usd=30 * READ_UNIT_USD).limits
    assert limits is not None
    # as two processes have them
    one, other = Meter(limits), Meter(limits)
    one.allow("Scan")
    one.settle("Scan", {"ConsumedCapacity": {"CapacityUnits": 25.0}})

    with pytest.raises(LimitReachedError, match=r"25\.0 read"):
        other.allow("Scan")
    assert one.consumed.read_units == 25


def test_latencies_are_of_calls_once_sent(data: Path) -> None:
    target = limited(Target(data=data), request_prices, max_rcu=0.1)
    assert target.limits is not None
    client, clock = target.client(), PacedClock(target.limits)
    client.scan(TableName="Courses")
    # the first scan, of 25 units, is paid off in some minutes: a test cannot wait so long
    meter_of(target.limits)._pause = lambda wanted_s: time.sleep(min(wanted_s, 0.2))

    real_s, paced_s = time.perf_counter(), clock.now()
    client.scan(TableName="Courses")
    paced_s, real_s = clock.now() - paced_s, time.perf_counter() - real_s

    assert 0.2 <= real_s - paced_s < real_s


def test_without_a_limit_nothing_is_asked_of_a_call(data: Path) -> None:
    assert limited(Target(data=data), request_prices) == Target(data=data)
    assert "ConsumedCapacity" not in Target(data=data).client().scan(TableName="Courses")


class Answers:
    """A connection that gives prepared answers in turn."""

    def __init__(self, *answers: Any) -> None:
        self._answers = list(answers)
        self.requests: list[Mapping[str, Any]] = []

    def execute(self, _: str, request: Mapping[str, Any]) -> dict[str, Any]:
        self.requests.append(request)
        answer = self._answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return dict(answer)

    def close(self) -> None:
        """Nothing is open."""


def meter_at(clock: FakeClock, **rates: float) -> Meter:
    """Return a meter of new limits that waits in virtual time."""
    limits = Limits.start(**rates, read_unit_usd=0, write_unit_usd=0, price="nobody")
    return Meter(limits, clock=clock.now, pause=clock.sleep)


def start() -> Limits:
    limits = limited(Target(), request_prices, max_cost_usd=1.0).limits
    assert limits is not None
    return limits


def test_what_is_refused_and_what_fails_is_counted() -> None:
    limits = start()
    some = {"CapacityUnits": 2.0}
    throttle = DynamoDBError("ProvisionedThroughputExceededException", "")
    answers = Answers(
        throttle,
        DynamoDBError("InternalServerError", "", status=500),
        DynamoDBError("ValidationException", ""),
        {"ConsumedCapacity": [some, some], "UnprocessedItems": {"T": [{}]}},
        {"ConsumedCapacity": some},
    )
    connection = MeteredConnection(answers, meter_of(limits))

    for _ in range(3):
        with pytest.raises(DynamoDBError):
            connection.execute("PutItem", {})
    connection.execute("BatchWriteItem", {})
    connection.execute("Query", {"ReturnConsumedCapacity": "INDEXES"})

    used = meter_of(limits).consumed
    assert (used.calls, used.throttled, used.failed) == (5, 2, 1)
    assert (used.write_units, used.read_units) == (4.0, 2.0)
    assert used.cost_usd == pytest.approx(4 * WRITE_UNIT_USD + 2 * READ_UNIT_USD)
    # what is to be known is asked for, and what was asked for is left
    assert [each["ReturnConsumedCapacity"] for each in answers.requests[-2:]] == [
        "TOTAL",
        "INDEXES",
    ]


def test_attempts_of_boto3_are_counted(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # between attempts boto3 waits for up to three seconds
    monkeypatch.setattr("botocore.endpoint.time", SimpleNamespace(sleep=lambda _: None))
    target = limited(Target(data=data), request_prices, max_cost_usd=1.0)
    client = target.client(max_attempts=3)
    refusals = [b'{"__type": "x#ThrottlingException"}'] * 2

    def refuse(request: Any, **_: Any) -> Any:
        if not refusals:
            return None
        response = AWSResponse(request.url, 400, {}, None)
        response._content = refusals.pop()
        return response

    client.meta.events.register_first("before-send.dynamodb", refuse)

    client.get_item(TableName="Users", Key={"user_id": {"S": "user_1"}})

    assert target.limits is not None
    used = meter_of(target.limits).consumed
    assert (used.calls, used.throttled) == (3, 2)


def test_a_target_that_does_not_say_cannot_be_held() -> None:
    with pytest.raises(TargetError, match="does not say what its calls consume"):
        MeteredConnection(Answers({}), meter_of(start())).execute("Query", {})


def test_an_interrupted_wait_leaves_nothing_under_way() -> None:
    limits = start()

    def interrupt(_: float) -> None:
        raise KeyboardInterrupt

    meter = Meter(
        Limits.start(max_rcu=1, read_unit_usd=0, write_unit_usd=0, price=limits.price),
        pause=interrupt,
    )
    meter.allow("Scan")
    meter.settle("Scan", {"ConsumedCapacity": {"CapacityUnits": 10.0}})
    with pytest.raises(KeyboardInterrupt):
        meter.allow("Scan")

    idle_s = meter.idle_s
    assert meter.idle_s == idle_s


def test_who_waits_for_minutes_can_be_ended(data: Path) -> None:
    """As Ctrl-C ends a parallel scan at a low rate: its threads wait, and nothing reaches them."""
    target = limited(Target(data=data), request_prices, max_rcu=0.05)
    client = target.client()
    request = {
        "TableName": "Courses",
        "FilterExpression": "course_id = :id",
        "ExpressionAttributeValues": {":id": {"S": "x"}},
    }
    scan = ParallelScan(client=client, request=request, segments=2)
    ended: list[type[BaseException]] = []

    def call() -> None:
        try:
            scan.call()
        except InterruptedError as error:
            ended.append(type(error))

    # 25 units, which at this rate are paid off in some minutes
    client.scan(TableName="Courses")
    waiting = Thread(target=call)
    waiting.start()
    assert target.limits is not None
    meter = meter_of(target.limits)
    while meter._waiting < 2:
        time.sleep(0.01)

    scan.close()
    waiting.join()

    assert ended == [InterruptedError]
    assert meter.consumed.read_units == 25


@given(
    st.floats(0.5, 1000),
    st.lists(st.tuples(st.floats(0, 5), st.floats(0, 50)), min_size=1, max_size=30),
)
def test_no_more_is_consumed_than_the_rate_a_second_and_one_call(
    rate: float, calls: list[tuple[float, float]]
) -> None:
    clock = FakeClock()
    meter = meter_at(clock, max_rcu=rate)
    sent: list[tuple[float, float]] = []

    for takes_s, units in calls:
        meter.allow("Query")
        sent.append((clock.now(), units))
        clock.advance(takes_s)
        meter.settle("Query", {"ConsumedCapacity": {"CapacityUnits": units}})

    for first, (start_s, _) in enumerate(sent):
        for last in range(first, len(sent)):
            # what is sent was paid for by waiting, but for the last one
            consumed = sum(units for _, units in sent[first:last])
            assert consumed <= rate * (sent[last][0] - start_s + 1) + 1e-6


def test_a_rate_is_reached_though_calls_are_slow_now_and_then() -> None:
    """As on a busy machine: every tenth call takes a second, of which it paid for a tenth."""
    clock = FakeClock()
    meter = meter_at(clock, max_rcu=100)

    for number in range(300):
        meter.allow("Query")
        clock.advance(0.9 if number % 10 == 0 else 0.01)
        meter.settle("Query", {"ConsumedCapacity": {"CapacityUnits": 10.0}})

    # 3,000 units at 100 a second
    assert clock.now() == pytest.approx(30, rel=0.05)


def test_an_idle_minute_is_not_saved_up() -> None:
    clock = FakeClock()
    meter = meter_at(clock, max_rcu=10)
    meter.allow("Query")
    meter.settle("Query", {"ConsumedCapacity": {"CapacityUnits": 10.0}})
    clock.advance(60)

    for _ in range(5):
        meter.allow("Query")
        meter.settle("Query", {"ConsumedCapacity": {"CapacityUnits": 10.0}})

    # one for the second that is made up for, one for now, and each of the others pays a second
    assert clock.now() == 63


@pytest.mark.parametrize(
    "wrong", [{"max_rcu": 0.0}, {"max_wcu": -1.0}, {"max_cost_usd": float("nan")}]
)
def test_limits_that_nothing_could_keep_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match="must be"):
        limited(Target(), request_prices, **wrong)
