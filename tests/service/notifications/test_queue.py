"""Queuing: acknowledged when the service is told so, cheap for many requests at once."""

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import dramatiq
import pytest
import redis
from dramatiq.brokers.redis import RedisBroker

from perfkit.cache.server import Server, start
from perfkit.service.notifications import (
    InlineNotifier,
    Notification,
    OffNotifier,
    Outcome,
    QueuedNotifier,
    RequestLog,
    SmtpSettings,
)
from perfkit.service.notifications.queue import NAMESPACE, Envelopes, QueueName
from perfkit.service.notifications.sink import SinkServer

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


def messages(client: redis.Redis, queue: QueueName) -> list[dramatiq.Message[Any]]:
    """Return what a queue holds, in order."""
    key = f"{NAMESPACE}:{queue}"
    ids: Any = client.lrange(key, 0, -1)
    found: Any = client.hmget(f"{key}.msgs", ids) if ids else []
    return [dramatiq.Message.decode(content) for content in found]


# ---- what is written ---------------------------------------------------------------------


def test_the_recorded_command_queues_what_dramatiq_itself_would_queue(client: redis.Redis) -> None:
    envelopes = Envelopes()
    broker = RedisBroker(client=client, middleware=[], namespace=NAMESPACE)  # type: ignore[no-untyped-call]
    theirs: dramatiq.Message[Any] = dramatiq.Message(
        queue_name="mail", actor_name="mail.deliver", args=({"a": 1},), kwargs={}, options={}
    )

    for command in envelopes.load_commands():
        client.execute_command(*command)  # type: ignore[no-untyped-call]
    client.execute_command(*envelopes.enqueue(MAIL, {"a": 1}))  # type: ignore[no-untyped-call]
    broker.enqueue(theirs)

    ours_read, theirs_read = messages(client, MAIL)
    assert ours_read.asdict().keys() == theirs_read.asdict().keys()
    assert ours_read.options.keys() == theirs_read.options.keys()
    assert (ours_read.queue_name, ours_read.actor_name, ours_read.args, ours_read.kwargs) == (
        theirs_read.queue_name,
        theirs_read.actor_name,
        theirs_read.args,
        theirs_read.kwargs,
    )


def test_what_was_called_queued_is_in_redis(server: Server, client: redis.Redis) -> None:
    async def use(notifier: QueuedNotifier) -> tuple[Outcome, int]:
        outcome = await notifier.notify(notification("key-1"), request_log("/api/courses"))
        # nothing may be left to do once it said so
        return outcome, len(messages(client, MAIL)) + len(messages(client, LOG))

    assert with_notifier(server.url, use) == (Outcome.QUEUED, 2)
    (mail,) = messages(client, MAIL)
    (log,) = messages(client, LOG)
    assert mail.args[0]["idempotency_key"] == "key-1"
    assert [line["path"] for line in log.args[0]] == ["/api/courses"]


def test_concurrent_requests_share_round_trips_and_log_messages(
    server: Server, client: redis.Redis
) -> None:
    async def use(notifier: QueuedNotifier) -> None:
        outcomes = await asyncio.gather(
            *(notifier.notify(notification(f"{i}"), request_log(f"/{i}")) for i in range(100))
        )
        assert set(outcomes) == {Outcome.QUEUED}

    with_notifier(server.url, use)

    assert {mail.args[0]["idempotency_key"] for mail in messages(client, MAIL)} == {
        f"{i}" for i in range(100)
    }
    logs = messages(client, LOG)
    assert [line["path"] for log in logs for line in log.args[0]] == [f"/{i}" for i in range(100)]
    assert len(logs) <= 2


def test_what_arrives_while_a_batch_is_on_its_way_goes_with_the_next(
    server: Server, client: redis.Redis
) -> None:
    async def use(notifier: QueuedNotifier) -> None:
        async def late(i: int) -> None:
            for _ in range(i % 7):
                await asyncio.sleep(0)
            assert await notifier.notify(notification(f"{i}")) is Outcome.QUEUED

        await asyncio.gather(*(late(i) for i in range(700)))

    with_notifier(server.url, use)

    assert len({mail.args[0]["idempotency_key"] for mail in messages(client, MAIL)}) == 700


def test_a_request_that_is_cancelled_takes_no_other_along(server: Server) -> None:
    async def use(notifier: QueuedNotifier) -> Outcome:
        impatient = asyncio.create_task(notifier.notify(notification()))
        patient = asyncio.create_task(notifier.notify(notification()))
        await asyncio.sleep(0)
        impatient.cancel()
        return await patient

    assert with_notifier(server.url, use) is Outcome.QUEUED


def test_nothing_is_asked_of_the_server_for_nothing(tmp_path: Path) -> None:
    async def use(notifier: QueuedNotifier) -> Outcome:
        return await notifier.notify()

    assert with_notifier(f"unix://{tmp_path}/nobody", use) is Outcome.QUEUED


# ---- the server fails --------------------------------------------------------------------


def test_a_server_that_lost_its_scripts_is_told_them_again(
    server: Server, client: redis.Redis
) -> None:
    async def use(notifier: QueuedNotifier) -> list[Outcome]:
        outcomes = []
        for _ in range(2):
            client.script_flush()
            outcomes += await asyncio.gather(*(notifier.notify(notification()) for _ in range(3)))
        return outcomes

    assert set(with_notifier(server.url, use)) == {Outcome.QUEUED}
    assert len(messages(client, MAIL)) == 6


def test_without_a_server_items_are_held_which_is_counted_and_waits_for_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, within: Callable[..., Any]
) -> None:
    async def use(notifier: QueuedNotifier) -> tuple[set[Outcome], Any, Any]:
        outcomes = {await notifier.notify(notification(), request_log()) for _ in range(5)}
        for _ in range(100):
            outcomes |= set(await within(0, notifier.notify(notification(), request_log())))
        return outcomes, notifier.counts(), await notifier.statistics()

    outcomes, counts, statistics = with_notifier(f"unix://{tmp_path}/nobody", use)

    assert outcomes == {Outcome.HELD}
    assert counts == {(MAIL, Outcome.HELD): 105, (LOG, Outcome.HELD): 105}
    assert statistics is None
    assert caplog.messages[-1] == "notifications are lost: 420 commands never sent"


def test_no_more_is_held_than_allowed(tmp_path: Path) -> None:
    async def use(notifier: QueuedNotifier) -> list[Outcome]:
        return [await notifier.notify(notification()) for _ in range(4)]

    # a message and its count are a command each
    outcomes = with_notifier(f"unix://{tmp_path}/nobody", use, max_held=5)

    assert outcomes == [Outcome.HELD, Outcome.HELD, Outcome.FAILED, Outcome.FAILED]


def test_a_hanging_server_keeps_a_request_no_longer_than_allowed(
    tmp_path: Path, within: Callable[..., Any]
) -> None:
    server = start(tmp_path)

    async def use(notifier: QueuedNotifier) -> tuple[list[Outcome], float]:
        await notifier.notify(notification())
        assert server.pid is not None
        os.kill(server.pid, signal.SIGSTOP)
        try:
            started_s = time.perf_counter()
            # the second is behind the first, and must not wait for its turn to fail
            waiting = [asyncio.create_task(notifier.notify(notification())) for _ in range(2)]
            await asyncio.sleep(0.1)
            waiting.append(asyncio.create_task(notifier.notify(notification())))
            outcomes = await within(1.7, *waiting)
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
        start(tmp_path, persistent=True, detached=True)
        deadline_s = time.monotonic() + 60
        while await notifier.notify(notification("after")) is Outcome.HELD:
            assert time.monotonic() < deadline_s
            await asyncio.sleep(0.05)
        return outcomes

    try:
        assert with_notifier(url, use) == [Outcome.QUEUED] + [Outcome.HELD] * 300
        with redis.Redis.from_url(url) as client:
            keys = [mail.args[0]["idempotency_key"] for mail in messages(client, MAIL)]
            paths = [line["path"] for log in messages(client, LOG) for line in log.args[0]]
    finally:
        start(tmp_path).stop()

    assert list(dict.fromkeys(keys)) == ["before", *(f"{i}" for i in range(300)), "after"]
    assert paths == ["/before", *(f"/{i}" for i in range(300))]


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

    # the server may have taken it the first time too: same id, same message
    kept: Any = client.hlen(f"{NAMESPACE}:mail.msgs")
    assert kept == 1


def test_a_full_queue_refuses_until_there_is_room(server: Server, client: redis.Redis) -> None:
    async def use(notifier: QueuedNotifier) -> list[Outcome]:
        outcomes = []
        for _ in range(8):
            outcomes.append(await notifier.notify(notification()))
            # the queue is measured once in a while
            await asyncio.sleep(0.11)
        client.flushall()
        return [*outcomes, await notifier.notify(notification())]

    outcomes = with_notifier(server.url, use, max_queued=5)

    assert outcomes == [Outcome.QUEUED] * 5 + [Outcome.FAILED] * 3 + [Outcome.QUEUED]


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


def test_a_mistake_in_a_message_fails_it_and_nothing_hangs(server: Server) -> None:
    async def use(notifier: QueuedNotifier) -> Outcome:
        wrong: Any = {1, 2, 3}
        wrong_item = Notification(kind="activity", recipient="a@b.c", subject=wrong, text="")
        assert await notifier.notify(wrong_item) is Outcome.FAILED
        return await notifier.notify(notification())

    assert with_notifier(server.url, use) is Outcome.QUEUED


# ---- figures -----------------------------------------------------------------------------


def test_the_figures_tell_what_is_in_the_queues(server: Server) -> None:
    async def use(notifier: QueuedNotifier) -> Any:
        before = await notifier.statistics()
        began_s = time.time()
        await notifier.notify(notification(), request_log(), request_log())
        await asyncio.sleep(0.05)
        after = await notifier.statistics()
        return before, after, notifier.counts(), time.time() - began_s

    before, after, counts, age_s = with_notifier(server.url, use)

    assert set(before[MAIL].to_dict().values()) == {0}
    assert (after[MAIL].enqueued, after[MAIL].waiting, after[MAIL].delivered) == (1, 1, 0)
    assert (after[LOG].enqueued, after[LOG].waiting) == (2, 1)
    assert 0.05 <= after[MAIL].oldest_s <= age_s + 0.001
    assert counts == {(MAIL, Outcome.QUEUED): 1, (LOG, Outcome.QUEUED): 2}


# ---- without a queue ---------------------------------------------------------------------


def test_off_drops_everything(tmp_path: Path) -> None:
    notifier = OffNotifier()

    assert asyncio.run(notifier.notify(notification(), request_log())) is Outcome.OFF
    assert (notifier.counts(), list(tmp_path.iterdir())) == ({}, [])


def test_inline_has_sent_the_mail_and_written_the_line_when_it_returns(tmp_path: Path) -> None:
    async def use(sink: SinkServer) -> tuple[Outcome, int, float, Any]:
        notifier = InlineNotifier(sink.settings, tmp_path)
        started_s = time.perf_counter()
        outcome = await notifier.notify(notification(), request_log())
        seen = sink.received, time.perf_counter() - started_s
        await notifier.close()
        return outcome, *seen, notifier.counts()

    with SinkServer() as sink:
        outcome, received, elapsed_s, counts = asyncio.run(use(sink))

    assert (outcome, received) == (Outcome.SENT, 1)
    assert elapsed_s >= 0.4
    assert (tmp_path / "requests.jsonl").read_text().count("\n") == 1
    assert counts == {(MAIL, Outcome.SENT): 1, (LOG, Outcome.SENT): 1}


def test_inline_does_not_stop_other_requests(
    tmp_path: Path, accept_together: Callable[[int], None]
) -> None:
    async def use(sink: SinkServer) -> list[Outcome]:
        notifier = InlineNotifier(sink.settings, tmp_path)
        outcomes = await asyncio.gather(*(notifier.notify(notification()) for _ in range(4)))
        await notifier.close()
        return outcomes

    accept_together(4)
    with SinkServer(delay_s=0) as sink:
        assert asyncio.run(use(sink)) == [Outcome.SENT] * 4


def test_inline_survives_a_mail_server_that_is_away(tmp_path: Path) -> None:
    async def use(settings: SmtpSettings) -> tuple[Outcome, Any]:
        notifier = InlineNotifier(settings, tmp_path)
        outcome = await notifier.notify(notification(), request_log())
        await notifier.close()
        return outcome, notifier.counts()

    sink = SinkServer().start()
    sink.stop()
    outcome, counts = asyncio.run(use(sink.settings))

    assert outcome is Outcome.FAILED
    assert counts == {(MAIL, Outcome.FAILED): 1, (LOG, Outcome.SENT): 1}
