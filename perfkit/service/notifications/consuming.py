"""
dramatiq's worker, made fit for days when the server comes and goes.

- Its client waits for a server that is away instead of failing. A retry that cannot be enqueued
  is dropped by dramatiq and its message then acknowledged: it would be lost.
- Messages handed out in an answer that never arrived are held by nobody, but in the name of a
  living worker, so nobody else gets them either. After any such trouble a session is to be
  ended and another one begun: ending it gives back whatever is still in its name.
"""

import logging
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import dramatiq
import redis
from dramatiq.brokers.redis import RedisBroker
from dramatiq.common import dq_name
from dramatiq.middleware import Middleware, Retries
from redis.backoff import NoBackoff
from redis.retry import Retry

from perfkit.cache.address import parse_url
from perfkit.errors import TargetError
from perfkit.service.notifications.queue import (
    ATTEMPTS,
    DEAD_KEPT_S,
    FAILURE,
    NAMESPACE,
    Counter,
    QueueName,
    actor_name,
)

__all__ = ["HEARTBEAT_S", "FailedError", "RefusedError", "RetryPolicy", "Session", "connect"]

_LOGGER = logging.getLogger(__name__)

HEARTBEAT_S = 15.0
"""A worker silent for this long is taken for dead, and others get what it held."""

# An idle consumer asks this often; it is also how a worker shows that it lives.
_POLL_S = 0.25

# Chance, in a million, that a worker's request to the server also looks after dead workers.
_MAINTENANCE_CHANCE = 100_000

_ANSWER_S = 5.0
_AGAIN_S = 0.5
_REFUSED_AGAIN_S = 5.0
_AT_ONCE = 1000

# Lines are written in no time and should not wait behind mails.
_PRIORITIES = {QueueName.LOG: 0, QueueName.MAIL: 1}

Handler = Callable[[Any], None]
Count = Callable[[QueueName, Counter], None]


class FailedError(Exception):
    """A message could not be delivered this time."""


class RefusedError(Exception):
    """A message that will never be delivered; it is not tried again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """How often what failed is tried again, and when: each pause is twice the one before."""

    retries: int = 10
    first_s: float = 2.0
    longest_s: float = 600.0


def connect(redis_url: str) -> redis.Redis:
    """
    Return a client of the queue's server.

    Raises:
        ConfigError: *redis_url* is none.
        TargetError: No server answers there.
    """
    address = parse_url(redis_url)
    client: redis.Redis = redis.Redis.from_url(redis_url, **_options())
    try:
        client.ping()
    except redis.RedisError as error:
        msg = f"no Redis server answers at {address}: {error}"
        raise TargetError(msg) from error
    return client


def _options() -> dict[str, Any]:
    return {
        "socket_timeout": _ANSWER_S,
        "socket_connect_timeout": _ANSWER_S,
        "retry": Retry(NoBackoff(), 0),
    }


class _PatientRedis(redis.Redis):
    """A client that asks again until it gets an answer, or is told that there is no point."""

    def __init__(self, redis_url: str) -> None:
        super().__init__(connection_pool=redis.ConnectionPool.from_url(redis_url, **_options()))
        self.closing = threading.Event()
        """Set it, and what waits for the server fails."""
        self.trouble = threading.Event()
        """Set when an answer was not heard."""

    def execute_command(self, *args: Any, **options: Any) -> Any:
        while True:
            try:
                return super().execute_command(*args, **options)  # type: ignore[no-untyped-call]
            except (redis.ConnectionError, redis.TimeoutError) as error:
                # it may have done what it was asked to, and nobody heard the answer
                if not self.trouble.is_set():
                    self.trouble.set()
                    _LOGGER.warning("the queue's server is away: %s; waiting for it", error)
                if self.closing.wait(_AGAIN_S):
                    raise
            except (redis.ReadOnlyError, redis.OutOfMemoryError) as error:
                _LOGGER.warning("the queue's server refuses: %s; asking again", error)
                if self.closing.wait(_REFUSED_AGAIN_S):
                    raise


class _KeepingRetries(Retries):
    """Retries that never let a failed message be acknowledged unless its retry is enqueued."""

    def after_process_message(
        self,
        broker: dramatiq.Broker,
        message: dramatiq.MessageProxy,
        *,
        result: Any = None,
        exception: BaseException | None = None,
    ) -> None:
        if exception is not None:
            message.options[FAILURE] = str(exception) or type(exception).__name__
            message.options[ATTEMPTS] = message.options.get(ATTEMPTS, 0) + 1
        try:
            super().after_process_message(  # type: ignore[no-untyped-call]
                broker, message, result=result, exception=exception
            )
        except Exception as error:  # noqa: BLE001 - dramatiq would carry on as if nothing happened
            message.fail()
            message.options[FAILURE] += f"; and no retry could be queued: {error}"

    def before_enqueue(
        self,
        broker: dramatiq.Broker,  # noqa: ARG002 - the base class's
        message: dramatiq.Message[Any],
        delay: int | None,  # noqa: ARG002
    ) -> None:
        # some kilobytes in each message that waits, for what FAILURE says in a line
        message.options.pop("traceback", None)


# What a dead message is kept with must say why; dramatiq moves it as it was when it was queued.
# Only for one still held: writing another worker's would bring back what it has delivered.
_REWRITE = """
if redis.call('sismember', KEYS[1], ARGV[1]) == 1 then
    redis.call('hset', KEYS[2], ARGV[1], ARGV[2])
end
"""


class _Bookkeeping(Middleware):
    """Counts what happens to messages, and writes down why one dies."""

    def __init__(self, count: Count) -> None:
        self._count = count

    def after_process_message(
        self,
        broker: dramatiq.Broker,  # noqa: ARG002 - the base class's
        message: dramatiq.MessageProxy,
        *,
        result: Any = None,  # noqa: ARG002
        exception: BaseException | None = None,
    ) -> None:
        if exception is None:
            return
        queue = QueueName(message.queue_name)
        reason = message.options[FAILURE]
        if message.failed:
            _LOGGER.warning("%s %s is given up: %s", queue, message.message_id, reason)
        else:
            self._count(queue, Counter.RETRIED)
            _LOGGER.warning("%s %s is tried again later: %s", queue, message.message_id, reason)

    def before_nack(self, broker: Any, message: dramatiq.MessageProxy) -> None:
        queue = message.queue_name
        broker.client.eval(
            _REWRITE,
            2,
            f"{NAMESPACE}:__acks__.{broker.broker_id}.{queue}",
            f"{NAMESPACE}:{queue}.msgs",
            message.options["redis_message_id"],
            message.encode(),
        )

    def after_nack(self, broker: dramatiq.Broker, message: dramatiq.MessageProxy) -> None:  # noqa: ARG002
        self._count(QueueName(message.queue_name), Counter.DIED)


def _guarded(handler: Handler) -> Handler:
    def handle(content: Any) -> None:
        try:
            handler(content)
        except RefusedError:
            raise
        except FailedError as error:
            raise dramatiq.Retry(str(error)) from error
        except Exception as error:
            # dramatiq would log the message too, and with it what is nobody's business
            _LOGGER.exception("a mistake in perfkit")
            raise dramatiq.Retry(repr(error)) from error

    return handle


class Session:
    """
    A dramatiq worker from its start to its end, under a name of its own.

    Args:
        redis_url: The queue's server.
        handlers: What is done with the content of each queue's messages. A message is
            acknowledged once its handler has returned, tried again after a FailedError, and given
            up after a RefusedError.
        count: Told what happens; called from any thread.
        threads: Messages handled at a time.
        policy: What to do about failures.
        heartbeat_s: Silence after which a worker counts as dead.
    """

    def __init__(
        self,
        redis_url: str,
        handlers: Mapping[QueueName, Handler],
        count: Count,
        *,
        threads: int,
        policy: RetryPolicy,
        heartbeat_s: float,
    ) -> None:
        # what it has to say is said here, without the content of messages
        logging.getLogger("dramatiq").setLevel(logging.CRITICAL)
        self._client = _PatientRedis(redis_url)
        self._broker = RedisBroker(  # type: ignore[no-untyped-call]
            client=self._client,
            middleware=[
                # called in this order before, and in the opposite order after something happens
                _Bookkeeping(count),
                _KeepingRetries(
                    max_retries=policy.retries,
                    min_backoff=round(policy.first_s * 1e3),
                    max_backoff=round(policy.longest_s * 1e3),
                ),
            ],
            namespace=NAMESPACE,
            maintenance_chance=_MAINTENANCE_CHANCE,
            heartbeat_timeout=round(heartbeat_s * 1e3),
            dead_message_ttl=round(DEAD_KEPT_S * 1e3),
        )
        for queue, handler in handlers.items():
            declare = dramatiq.actor(
                broker=self._broker,
                actor_name=actor_name(queue),
                queue_name=queue,
                priority=_PRIORITIES[queue],
                throws=RefusedError,
            )
            declare(_guarded(handler))
        self._worker = dramatiq.Worker(
            self._broker, worker_threads=threads, worker_timeout=round(_POLL_S * 1e3)
        )
        self._consumers: dict[str, object] = {}

    def start(self) -> None:
        """Begin to take messages."""
        self._worker.start()

    def is_sound(self) -> bool:
        """Return whether nothing happened after which messages may be held by nobody."""
        if self._client.trouble.is_set():
            return False
        for name, thread in self._worker.consumers.items():
            consumer = thread.consumer
            # dramatiq replaces a consumer that failed; what that one had at hand is held by nobody
            if consumer is not None and self._consumers.setdefault(name, consumer) is not consumer:
                return False
            if not thread.is_alive():
                return False
        return all(thread.is_alive() for thread in self._worker.workers)

    def stop(self, grace_s: float) -> None:
        """
        Finish what is under way, then give back everything that is still in this worker's name.

        Args:
            grace_s: How long the handlers may take.
        """
        limit = threading.Timer(2 * grace_s, self._client.closing.set)
        limit.daemon = True
        limit.start()
        try:
            self._worker.stop(timeout=round(grace_s * 1e3))
            self._give_back()
        except redis.RedisError as error:
            self.abandon()
            _LOGGER.warning("messages could not be given back: %s; others get them later", error)
        finally:
            limit.cancel()
            self._client.close()

    def abandon(self) -> None:
        """Leave everything as it is; other workers get it once this one counts as dead."""
        self._client.closing.set()

    def _give_back(self) -> None:
        for name in [name for queue in QueueName for name in (str(queue), dq_name(queue))]:
            held: Any = self._client.smembers(
                f"{NAMESPACE}:__acks__.{self._broker.broker_id}.{name}"
            )
            ids = sorted(held)
            for start in range(0, len(ids), _AT_ONCE):
                some = ids[start : start + _AT_ONCE]
                contents: Any = self._client.hmget(f"{NAMESPACE}:{name}.msgs", some)
                for message_id, content in zip(some, contents, strict=True):
                    # it would only make the next consumer fail, and the ones at hand with it
                    if content is not None and not _is_message(content):
                        self._broker.do_nack(name, message_id)
                self._broker.do_requeue(name, *some)


def _is_message(content: bytes) -> bool:
    try:
        dramatiq.Message.decode(content)
    except dramatiq.DecodeError:
        return False
    return True
