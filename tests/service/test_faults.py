"""When DynamoDB, Redis or the mail fail: what cannot be answered says so, the rest is answered."""

import asyncio
import gc
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from perfkit.cache.connection import CacheUnavailableError, Connection
from perfkit.dynamodb.client import embedded_client
from perfkit.dynamodb.targets import Target, TargetKind
from perfkit.processes import redis_server
from perfkit.service.database import RetryBudget
from perfkit.service.settings import Switches

COURSES = "/api/courses?semester=1&department=CS"
OTHERS = "/api/courses?semester=2&department=MA"
MINE = "/api/enrollments"

pytestmark = pytest.mark.usefixtures("quick_clients")


class Client:
    """A client of the embedded engine that fails when it is told to, and counts its calls."""

    def __init__(self, data: Path) -> None:
        self._client = embedded_client(data)
        self.failure: Callable[[str], Exception | None] = lambda _: None
        self.calls: list[str] = []

    def __getattr__(self, name: str) -> Any:
        def call(**request: Any) -> Any:
            self.calls.append(name)
            failure = self.failure(name)
            if failure is not None:
                raise failure
            return getattr(self._client, name)(**request)

        return call

    def close(self) -> None:
        """Nothing of its own."""


@pytest.fixture
def faulty(seeded: Path, monkeypatch: pytest.MonkeyPatch) -> Client:
    """Return the client that the service gets instead of its own."""
    client = Client(seeded)
    monkeypatch.setattr("perfkit.dynamodb.targets.Target.client", lambda *_, **__: client)
    return client


def refusal(code: str, status: int) -> Callable[[str], Exception | None]:
    """Return what fails every call with an answer of DynamoDB's."""
    metadata = {"HTTPStatusCode": status}
    answer = {"Error": {"Code": code, "Message": "no"}, "ResponseMetadata": metadata}
    error: Exception = ClientError(answer, "Query")
    return lambda _: error


throttled = refusal("ProvisionedThroughputExceededException", 400)
failing = refusal("InternalServerError", 500)


def away(_: str) -> Exception | None:
    error: Exception = EndpointConnectionError(
        endpoint_url="http://dynamodb.invalid", error="refused"
    )
    return error


FAILURES = [
    pytest.param(throttled, id="throttled"),
    pytest.param(failing, id="failing"),
    pytest.param(away, id="away"),
]


@pytest.mark.parametrize("failure", FAILURES)
def test_what_is_cached_is_still_served(
    failure: Callable[[str], Exception | None], serve: Callable[..., Any], faulty: Client
) -> None:
    with serve() as client:
        good = client.get(COURSES)
        faulty.failure = failure
        faulty.calls.clear()

        kept, lost, written = (
            client.get(COURSES),
            client.get(OTHERS),
            client.post(MINE, json={"course_id": "C00007"}),
        )
        health = client.get("/healthz").json()

    assert (kept.status_code, kept.content) == (200, good.content)
    for answer in (lost, written):
        assert answer.status_code == 503
        assert int(answer.headers["retry-after"]) >= 1
        assert answer.headers["content-type"] == "application/problem+json"
        assert "DynamoDB" in answer.json()["detail"]
    # three attempts for each of the two that ask
    assert 2 <= len([name for name in faulty.calls if name != "describe_table"]) <= 6
    assert health["status"] == "degraded"
    assert health["checks"]["dynamodb"]["status"] == "failing"
    assert health["checks"]["cache"]["status"] == "ok"


def test_an_answer_says_how_often_dynamodb_refused(
    serve: Callable[..., Any], faulty: Client
) -> None:
    left = iter([throttled(""), failing(""), throttled("")])
    with serve() as client:
        before = client.get(MINE)
        faulty.failure = lambda _: next(left)
        lost = client.get(OTHERS)
        kept = client.get(MINE)

    # what fails is no refusal
    assert lost.status_code == 503
    assert [each.headers["x-dynamodb-throttles"] for each in (before, lost, kept)] == [
        *("0", "2", "0")
    ]


def test_a_failure_that_passes_is_not_noticed(serve: Callable[..., Any], faulty: Client) -> None:
    left = iter([throttled(""), failing(""), None])
    with serve() as client:
        client.get(MINE)
        faulty.failure = lambda _: next(left)

        answer = client.get(COURSES)

    assert answer.status_code == 200
    assert len(answer.json()["items"]) == 50


@pytest.mark.parametrize("phase", [0, 3])
def test_there_is_no_storm_of_repeats(
    phase: int, serve: Callable[..., Any], faulty: Client
) -> None:
    """However many ask, the repeats are bounded: ten saved up, and a tenth of what succeeded."""
    with serve(Switches.of_phase(phase, cache=False)) as client:
        client.get(COURSES)
        faulty.failure = throttled
        faulty.calls.clear()

        answers = [client.get(COURSES) for _ in range(40)]

    assert {answer.status_code for answer in answers} == {503}
    assert len(faulty.calls) <= 40 + 11


def test_repeats_are_earned_by_successes() -> None:
    budget = RetryBudget(size=2, earned=0.5)
    assert [budget.spend() for _ in range(3)] == [True, True, False]

    budget.succeeded()
    assert budget.spend() is False
    budget.succeeded()
    assert budget.spend() is True

    for _ in range(100):
        budget.succeeded()
    assert [budget.spend() for _ in range(3)] == [True, True, False]


def test_keys_a_batch_leaves_out_are_asked_for_again(
    serve: Callable[..., Any], seeded: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = embedded_client(seeded)
    asked = []

    class Stingy(Client):
        def batch_get_item(self, **request: Any) -> Any:
            keys = request["RequestItems"]["Courses"]["Keys"]
            asked.append(len(keys))
            request["RequestItems"]["Courses"]["Keys"] = keys[:2]
            answer = real.batch_get_item(**request)
            if keys[2:]:
                answer["UnprocessedKeys"] = {"Courses": {"Keys": keys[2:]}}
            return answer

    with serve(0) as client:
        expected = client.get(MINE).content
    monkeypatch.setattr("perfkit.dynamodb.targets.Target.client", lambda *_, **__: Stingy(seeded))
    with serve() as client:
        answer = client.get(MINE)

    assert answer.content == expected
    assert len(asked) > 1
    assert asked == list(range(asked[0], 0, -2))


def test_who_waits_too_long_is_told_to_come_back(
    serve: Callable[..., Any], faulty: Client, caplog: pytest.LogCaptureFixture
) -> None:
    go_on = threading.Event()
    with serve(deadline_s=0.2) as client:
        client.get(MINE)

        said: list[bool] = []

        def hang(_: str) -> Exception:
            said.append(go_on.wait(60))
            error: Exception = EndpointConnectionError(endpoint_url="http://nowhere.invalid")
            return error

        faulty.failure = hang
        answer = client.get(COURSES)
        nothing_said = said == []
        faulty.failure = lambda _: None
        go_on.set()
        # the thread that was let alone ends meanwhile
        for _ in range(3):
            client.get(MINE)
    gc.collect()

    assert answer.status_code == 503
    assert "in time" in answer.json()["detail"]
    assert nothing_said
    assert "never retrieved" not in caplog.text


def test_others_are_answered_while_dynamodb_hangs(
    make_app: Callable[..., Any],
    live: Callable[..., Any],
    token: Callable[..., str],
    faulty: Client,
) -> None:
    """Threads wait, the event loop does not; and who finds all threads waiting is sent away."""
    go_on = threading.Event()
    headers = {"Authorization": f"Bearer {token('student123')}"}
    switches = Switches.of_phase(3, notify=False)
    with live(make_app(switches, threads=2, waiting=0, deadline_s=20)) as url:

        def get(path: str) -> Any:
            return httpx2.get(url + path, headers=headers, timeout=30)

        assert get(COURSES).status_code == 200

        def hang(_: str) -> None:
            go_on.wait(20)

        faulty.failure = hang
        before = len(faulty.calls)
        late: list[int] = []
        threads = [
            threading.Thread(
                target=lambda number=number: late.append(
                    get(f"/api/courses?semester=1&department=X{number}").status_code
                )
            )
            for number in range(2)
        ]
        for thread in threads:
            thread.start()
        while len(faulty.calls) < before + 2:
            time.sleep(0.01)
        kept = get(COURSES)
        crowded = get(OTHERS)
        go_on.set()
        for thread in threads:
            thread.join()

    assert kept.status_code == 200
    assert kept.headers["x-cache"] == "HIT"
    assert "too many requests" in crowded.json()["detail"]
    assert late == [200, 200]


@pytest.mark.parametrize("phase", [0, 2])
def test_missing_tables_and_indexes_are_said_to_be_missing(
    phase: int, serve: Callable[..., Any], tmp_path: Path, data: Path
) -> None:
    from perfkit.dynamodb import indexes
    from perfkit.workloads.loader import load

    with serve(phase, data=tmp_path / "empty.sqlite3") as client:
        nothing = client.get(COURSES)
    target = Target(data=data)
    indexes.apply(target, indexes.plan(target, load("courses")), indexes.Goal.ABSENT)
    with serve(phase, data=data) as client:
        without_indexes = client.get(COURSES)
        health = client.get("/healthz").json()["checks"]["dynamodb"]

    assert nothing.status_code == 503
    assert "perfkit seed" in nothing.json()["detail"]
    if phase == 0:
        assert without_indexes.status_code == 200
        assert health["status"] == "ok"
    else:
        assert without_indexes.status_code == 503
        assert "perfkit create-indexes" in without_indexes.json()["detail"]
        assert "CoursesBySemester" in health["detail"]


def test_an_endpoint_that_nobody_listens_on_is_told_about(serve: Callable[..., Any]) -> None:
    nowhere = Target(kind=TargetKind.ENDPOINT, endpoint_url="http://127.0.0.1:1")
    with serve(target=nowhere) as client:
        answer = client.get(COURSES)

    assert answer.status_code == 503
    assert "127.0.0.1" not in answer.text


# ---- Redis -------------------------------------------------------------------------------


@pytest.fixture
def own_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[redis_server.RedisServer]:
    """Return a cache server that may be killed."""
    running = redis_server.start(tmp_path_factory.mktemp("cache"))
    yield running
    running.stop()


def test_a_redis_that_goes_away_costs_no_answer(
    serve: Callable[..., Any], own_server: redis_server.RedisServer
) -> None:
    with serve(Switches.of_phase(3, notify=False), redis_url=own_server.url) as client:
        good = [client.get(COURSES) for _ in range(2)]
        own_server.stop()
        alone = [client.get(COURSES) for _ in range(10)]
        health = client.get("/healthz").json()

    assert [answer.headers["x-cache"] for answer in good] == ["MISS", "HIT"]
    for answer in alone:
        assert answer.status_code == 200
        assert answer.content == good[0].content
        assert answer.headers["x-cache"] == "ERROR"
        assert float(answer.headers["x-consumed-read-units"]) > 0
    assert health["checks"]["cache"]["status"] == "failing"


def test_a_redis_that_hangs_and_comes_back_costs_no_answer(
    serve: Callable[..., Any], own_server: redis_server.RedisServer
) -> None:
    with serve(told=False, hasty=True, redis_url=own_server.url) as client:
        # on a busy machine it may be late at first, too
        while client.get(COURSES).headers["x-cache"] != "HIT":
            pass
        before = metric(client, "perfkit_cache_breaker_openings_total")
        assert own_server.pid is not None
        os.kill(own_server.pid, signal.SIGSTOP)
        try:
            hanging = [client.get(COURSES) for _ in range(10)]
            failing = metric(client, "perfkit_cache_breaker_openings_total") - before
        finally:
            os.kill(own_server.pid, signal.SIGCONT)
        deadline_s = time.monotonic() + 60
        while (answer := client.get(COURSES)).headers["x-cache"] != "HIT":
            assert answer.status_code == 200
            assert time.monotonic() < deadline_s
        errors = metric(client, 'perfkit_cache_errors_total{pattern="courses"}')

    assert {answer.status_code for answer in hanging} == {200}
    assert {answer.headers["x-cache"] for answer in hanging} == {"ERROR"}
    assert failing == 1
    assert errors >= 10


def test_a_request_waits_once_for_a_redis_that_hangs(
    serve: Callable[..., Any],
    own_server: redis_server.RedisServer,
    data: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It asks for its session, its answer and the queue; one of them finds out for all."""
    waits: list[Any] = []
    ask = Connection.ask

    async def counted(connection: Connection, *commands: Any) -> list[Any]:
        try:
            return await ask(connection, *commands)
        except (CacheUnavailableError, asyncio.CancelledError):
            waits.append(commands[0][0])
            raise

    # longer than a busy machine takes
    monkeypatch.setattr("perfkit.service.app._REDIS_LIMIT_S", 0.5)
    with serve(told=False, hasty=True, data=data, redis_url=own_server.url) as client:
        while client.get(COURSES).headers["x-cache"] != "HIT":
            pass
        assert own_server.pid is not None
        os.kill(own_server.pid, signal.SIGSTOP)
        try:
            monkeypatch.setattr(Connection, "ask", counted)
            read = [client.get(COURSES) for _ in range(5)]
            reading = [name for name in waits if name != "PING"]
            waits.clear()
            written = client.post(MINE, json={"course_id": "C00007"})
            writing = [name for name in waits if name != "PING"]
        finally:
            os.kill(own_server.pid, signal.SIGCONT)

    assert {answer.status_code for answer in read} == {200}
    assert reading == ["HGET"]
    # what is untrue now must be forgotten if there is any way; nothing else is tried
    assert written.status_code == 201
    assert writing == ["EVAL"]


def metric(client: Any, name: str) -> float:
    (line,) = (line for line in client.get("/metrics").text.splitlines() if line.startswith(name))
    return float(line.rpartition(" ")[2])


# ---- mail --------------------------------------------------------------------------------


@pytest.mark.parametrize("phase", [0, 3])
def test_mails_that_cannot_be_handed_over_cost_no_answer(
    phase: int, serve: Callable[..., Any]
) -> None:
    gone = "unix:///nowhere/to/be/found.sock"
    with serve(phase, told=False, smtp_url="smtp://127.0.0.1:1", redis_url=gone) as client:
        answer = client.get(COURSES)

    assert answer.status_code == 200
    assert "notify;dur=" in answer.headers["server-timing"]
