"""Queuing: what was called queued is in Redis, and what could not be is held."""

import asyncio
import json
import os
import signal
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import redis

from perfkit.processes.redis_server import RedisServer as Server
from perfkit.processes.redis_server import start
from perfkit.queue.mail import SmtpSettings
from perfkit.queue.model import Item, Notification, Outcome, RequestLog
from perfkit.queue.notifier import InlineNotifier, OffNotifier, QueuedNotifier
from perfkit.queue.sink import SinkServer
from perfkit.queue.streams import QueueName

pytestmark = pytest.mark.processes

MAIL, LOG = QueueName.MAIL, QueueName.LOG


def notification(key: str = "key") -> Notification:
    return Notification(
        kind="activity", recipient="a@b.c", subject="Hi", text="Hello", idempotency_key=key
    )


def request_log(path: str = "/") -> RequestLog:
    return RequestLog(method="GET", path=path, status=200, duration_s=0.01)


@pytest.fixture(scope="module")
def shared_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = start(tmp_path_factory.mktemp("queue"), persistent=True)
    yield server
    server.stop()


@pytest.fixture
def client(shared_server: Server) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(shared_server.url) as client:
        client.flushall()
        yield client


@pytest.fixture
def server(client: redis.Redis, shared_server: Server) -> Server:  # noqa: ARG001 - it empties it
    return shared_server


def with_notifier(
    url: str, use: Callable[[QueuedNotifier], Coroutine[Any, Any, Any]], **options: Any
) -> Any:
    async def main() -> Any:
        async with notifier_at(url, **options) as notifier:
            return await use(notifier)

    return asyncio.run(main())


@asynccontextmanager
async def notifier_at(url: str, **options: Any) -> AsyncIterator[QueuedNotifier]:
    # a busy machine is no subject of these tests
    notifier = QueuedNotifier(url, **{"time_limit_s": 5.0, **options})
    try:
        yield notifier
    finally:
        await notifier.close()


def messages(client: redis.Redis, queue: QueueName) -> list[Any]:
    """Return what a queue holds, in order, as Redis itself tells."""
    kept: Any = client.xrange(f"perfkit:queue:{queue}")
    return [json.loads(fields[b"content"]) for _, fields in kept]


def test_what_was_called_queued_is_in_redis(server: Server, client: redis.Redis) -> None:
    items: list[Item] = [notification("a"), request_log("/b")]

    async def use(notifier: QueuedNotifier) -> Outcome:
        return await notifier.notify(*items)

    assert with_notifier(server.url, use) is Outcome.QUEUED
    assert messages(client, MAIL) == [items[0].to_wire()]
    assert messages(client, LOG) == [items[1].to_wire()]


def test_a_request_that_is_cancelled_takes_no_other_along(
    server: Server, client: redis.Redis
) -> None:
    async def use(notifier: QueuedNotifier) -> list[Any]:
        waiting = [asyncio.create_task(notifier.notify(notification())) for _ in range(10)]
        await asyncio.sleep(0)
        waiting[3].cancel()
        return await asyncio.gather(*waiting, return_exceptions=True)

    outcomes = with_notifier(server.url, use)

    assert [outcome for outcome in outcomes if outcome is not outcomes[3]] == [Outcome.QUEUED] * 9
    assert len(messages(client, MAIL)) in {9, 10}


def test_without_a_server_items_are_held(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def use(notifier: QueuedNotifier) -> tuple[set[Outcome], Any]:
        outcomes = {await notifier.notify(notification(), request_log()) for _ in range(105)}
        return outcomes, await notifier.statistics()

    outcomes, statistics = with_notifier(f"unix://{tmp_path}/nobody", use)

    assert outcomes == {Outcome.HELD}
    assert statistics is None
    assert caplog.messages[-1] == "210 notifications and log lines are lost"


def test_no_more_is_held_than_allowed(tmp_path: Path) -> None:
    async def use(notifier: QueuedNotifier) -> list[Outcome]:
        return [await notifier.notify(notification()) for _ in range(4)]

    outcomes = with_notifier(f"unix://{tmp_path}/nobody", use, max_held=2)

    assert outcomes == [Outcome.HELD, Outcome.HELD, Outcome.FAILED, Outcome.FAILED]


def test_a_hanging_server_keeps_a_request_no_longer_than_allowed(tmp_path: Path) -> None:
    server = start(tmp_path)

    async def use(notifier: QueuedNotifier) -> tuple[list[Outcome], float]:
        # it is there, if late on a busy machine
        for _ in range(600):
            if await notifier.notify(notification()) is Outcome.QUEUED:
                break
            await asyncio.sleep(0.05)
        assert server.pid is not None
        os.kill(server.pid, signal.SIGSTOP)
        try:
            started_s = time.perf_counter()
            waiting = [asyncio.create_task(notifier.notify(notification())) for _ in range(20)]
            outcomes = await asyncio.gather(*waiting)
            return outcomes, time.perf_counter() - started_s
        finally:
            os.kill(server.pid, signal.SIGCONT)

    try:
        outcomes, elapsed_s = with_notifier(server.url, use, time_limit_s=1.0)
    finally:
        server.stop()

    assert set(outcomes) == {Outcome.HELD}
    assert elapsed_s >= 1.0


def test_what_was_held_is_queued_when_the_server_is_back(tmp_path: Path) -> None:
    server = start(tmp_path, persistent=True)
    url = server.url

    async def use(notifier: QueuedNotifier) -> list[Outcome]:
        outcomes = [await notifier.notify(notification("before"), request_log("/before"))]
        server.stop()
        outcomes += [
            await notifier.notify(notification(f"{i}"), request_log(f"/{i}")) for i in range(300)
        ]
        start(tmp_path, persistent=True)
        deadline_s = time.monotonic() + 60
        while await notifier.notify(notification("after")) is Outcome.HELD:
            assert time.monotonic() < deadline_s
            await asyncio.sleep(0.05)
        return outcomes

    try:
        assert with_notifier(url, use) == [Outcome.QUEUED] + [Outcome.HELD] * 300
        with redis.Redis.from_url(url) as client:
            keys = [mail["idempotency_key"] for mail in messages(client, MAIL)]
            paths = [line["path"] for line in messages(client, LOG)]
    finally:
        start(tmp_path).stop()

    assert list(dict.fromkeys(keys)) == ["before", *(f"{i}" for i in range(300)), "after"]
    assert list(dict.fromkeys(paths)) == ["/before", *(f"/{i}" for i in range(300))]


def test_what_is_held_when_the_service_ends_is_queued_if_the_server_is_there(
    server: Server, client: redis.Redis
) -> None:
    async def use(notifier: QueuedNotifier) -> Outcome:
        assert server.pid is not None
        os.kill(server.pid, signal.SIGSTOP)
        try:
            return await notifier.notify(notification())
        finally:
            os.kill(server.pid, signal.SIGCONT)

    assert with_notifier(server.url, use, time_limit_s=0.5) is Outcome.HELD

    # the server may have taken it the first time too: then it is there twice, with one key
    assert {mail["idempotency_key"] for mail in messages(client, MAIL)} == {"key"}


def test_a_server_without_memory_gets_it_when_it_has_some(
    server: Server, client: redis.Redis
) -> None:
    async def use(notifier: QueuedNotifier) -> list[Outcome]:
        outcomes = [await notifier.notify(notification())]
        before: Any = client.config_get("maxmemory")
        client.config_set("maxmemory", "1")
        try:
            outcomes.append(await notifier.notify(notification()))
        finally:
            client.config_set("maxmemory", before["maxmemory"])
        return [*outcomes, await notifier.notify(notification())]

    outcomes = with_notifier(server.url, use)

    assert outcomes[:2] == [Outcome.QUEUED, Outcome.HELD]
    assert len(messages(client, MAIL)) == 3


# ---- figures -----------------------------------------------------------------------------


def test_the_figures_tell_what_is_in_the_queues(server: Server) -> None:
    async def use(notifier: QueuedNotifier) -> Any:
        before = await notifier.statistics()
        await notifier.notify(notification(), request_log(), request_log())
        await asyncio.sleep(0.05)
        return before, await notifier.statistics()

    before, after = with_notifier(server.url, use)

    assert set(before[MAIL].to_dict().values()) == {0}
    assert (after[MAIL].waiting, after[MAIL].pending, after[MAIL].delivered) == (1, 0, 0)
    assert after[LOG].waiting == 2
    assert after[MAIL].oldest_s >= 0.05


# ---- without a queue ---------------------------------------------------------------------


def test_off_drops_everything(tmp_path: Path) -> None:
    notifier = OffNotifier()

    assert asyncio.run(notifier.notify(notification(), request_log())) is Outcome.OFF
    assert list(tmp_path.iterdir()) == []


def test_inline_has_sent_the_mail_and_written_the_line_when_it_returns(tmp_path: Path) -> None:
    async def use(sink: SinkServer) -> tuple[Outcome, int, float]:
        notifier = InlineNotifier(sink.settings, tmp_path)
        started_s = time.perf_counter()
        outcome = await notifier.notify(notification(), request_log())
        seen = sink.received, time.perf_counter() - started_s
        await notifier.close()
        return outcome, *seen

    with SinkServer() as sink:
        outcome, received, elapsed_s = asyncio.run(use(sink))

    assert (outcome, received) == (Outcome.SENT, 1)
    assert elapsed_s >= 0.4
    assert (tmp_path / "requests.jsonl").read_text().count("\n") == 1


def test_inline_does_not_stop_other_requests(tmp_path: Path) -> None:
    async def use(sink: SinkServer) -> None:
        notifier = InlineNotifier(sink.settings, tmp_path)
        sending = asyncio.create_task(notifier.notify(notification()))
        turns = 0
        while not sending.done():
            await asyncio.sleep(0.01)
            turns += 1
        assert turns > 1
        await notifier.close()

    with SinkServer(delay_s=0.4) as sink:
        asyncio.run(use(sink))


def test_inline_survives_a_mail_server_that_is_away(tmp_path: Path) -> None:
    async def use(settings: SmtpSettings) -> Outcome:
        notifier = InlineNotifier(settings, tmp_path)
        outcome = await notifier.notify(notification(), request_log())
        await notifier.close()
        return outcome

    sink = SinkServer().start()
    sink.stop()

    assert asyncio.run(use(sink.settings)) is Outcome.FAILED
    assert (tmp_path / "requests.jsonl").read_text().count("\n") == 1
