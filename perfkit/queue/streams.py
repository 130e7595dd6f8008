"""
The queue: Redis streams with a consumer group.

    perfkit:queue:mail, perfkit:queue:log     messages; one leaves when it has been delivered
    perfkit:queue:mail:dead, …                messages that were given up, and why
    perfkit:queue:counters                    what workers did

A message that a worker was given is *pending* in the group until the worker acknowledges it, and
Redis counts how often it was given to anybody and how long ago. So one mechanism serves retries
and dead workers: whatever is pending for longer than its pause is given to a worker again.
Source: https://redis.io/docs/latest/develop/data-types/streams/
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

import orjson
import redis
from redis.backoff import NoBackoff
from redis.exceptions import ResponseError
from redis.retry import Retry

from perfkit.cache.address import parse_url
from perfkit.cache.connection import Command
from perfkit.errors import TargetError
from perfkit.queue.model import Item, Notification

__all__ = ["COUNTERS", "GROUP", "NAMESPACE", "Counter", "DeadLetter", "QueueName"]
__all__ += ["QueueStatistics", "bury", "connect", "dead_letters", "put_command", "retry_dead"]
__all__ += ["statistics_commands", "statistics_from", "stream_of"]

NAMESPACE = "perfkit:queue"
COUNTERS = f"{NAMESPACE}:counters"
GROUP = "workers"

_DEAD_KEPT_S = 7 * 86400

CONTENT, ATTEMPTS, REASON = b"content", b"attempts", b"reason"

_ANSWER_S = 5.0
_AT_ONCE = 500


class QueueName(StrEnum):
    """What is queued; also the queue's name in Redis."""

    MAIL = "mail"
    LOG = "log"


class Counter(StrEnum):
    """What workers count for each queue."""

    DELIVERED = "delivered"
    RETRIED = "retried"
    DIED = "died"


def stream_of(queue: QueueName) -> str:
    """Return the key of a queue's messages."""
    return f"{NAMESPACE}:{queue}"


def _dead(queue: QueueName) -> str:
    return f"{stream_of(queue)}:dead"


def connect(redis_url: str) -> redis.Redis:
    """
    Return a client of the queue's server, for workers and commands.

    Raises:
        ConfigError: *redis_url* is none.
        TargetError: No server answers there.
    """
    address = parse_url(redis_url)
    client: redis.Redis = redis.Redis.from_url(
        redis_url,
        socket_timeout=_ANSWER_S,
        socket_connect_timeout=_ANSWER_S,
        # the caller knows better when to ask again
        retry=Retry(NoBackoff(), 0),
        protocol=2,
    )
    try:
        client.ping()
    except redis.RedisError as error:
        msg = f"no Redis server answers at {address}: {error}"
        raise TargetError(msg) from error
    return client


def put_command(item: Item) -> Command:
    """Return the command that queues an item."""
    queue = QueueName.MAIL if isinstance(item, Notification) else QueueName.LOG
    return ("XADD", stream_of(queue), "*", CONTENT, orjson.dumps(item.to_wire()))


# ---- what is in it -----------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueStatistics:
    """
    One queue: counters since it exists, and what is in it now.

    Attributes:
        delivered: Messages delivered.
        retried: Attempts that failed and are repeated.
        died: How often a message was given up, also one that was put back later.
        waiting: Messages no worker has had yet.
        pending: Messages a worker has, or that failed and will be tried again.
        dead: Messages that were given up and are kept.
        oldest_s: Age of the oldest that is not delivered; 0 if there is none.
    """

    delivered: int
    retried: int
    died: int
    waiting: int
    pending: int
    dead: int
    oldest_s: float

    def to_dict(self) -> dict[str, float]:
        """Return the figures by name."""
        return asdict(self)


def statistics_commands() -> list[Command]:
    """Return the commands whose replies `statistics_from` reads."""
    commands: list[Command] = [("HGETALL", COUNTERS)]
    for queue in QueueName:
        key = stream_of(queue)
        commands += [
            ("XLEN", key),
            ("XPENDING", key, GROUP),
            ("XLEN", _dead(queue)),
            ("XRANGE", key, "-", "+", "COUNT", 1),
        ]
    return commands


def statistics_from(replies: Sequence[Any]) -> Mapping[QueueName, QueueStatistics]:
    """Return the figures of each queue from the replies to `statistics_commands`."""
    counters, *rest = replies
    found = {}
    for number, queue in enumerate(QueueName):
        kept, pending, dead, first = rest[4 * number : 4 * number + 4]
        # before the first worker there is no group
        count = 0 if isinstance(pending, ResponseError) else pending["pending"]
        found[queue] = QueueStatistics(
            **{each: int(counters.get(f"{queue}.{each}".encode(), 0)) for each in Counter},
            waiting=kept - count,
            pending=count,
            dead=dead,
            oldest_s=max(0.0, time.time() - _time_of(first[0][0])) if first else 0.0,
        )
    return found


def _time_of(message_id: bytes) -> float:
    """Return when a message was queued, in seconds since 1970 by the server's clock."""
    return int(message_id.partition(b"-")[0]) / 1e3


# ---- what was given up -------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetter:
    """A message that was given up; its content is that of a notification, or of a log line."""

    queue: QueueName
    id: str
    died_at: datetime
    attempts: int
    reason: str
    content: Any

    def to_dict(self) -> dict[str, Any]:
        """Return it in the types of JSON."""
        return {**asdict(self), "queue": str(self.queue), "died_at": self.died_at.isoformat()}


def bury(commands: Any, queue: QueueName, content: bytes, *, attempts: int, reason: str) -> None:
    """Add to a pipeline what keeps a message among the dead ones."""
    oldest = f"{int((time.time() - _DEAD_KEPT_S) * 1e3)}-0"
    commands.xadd(
        _dead(queue), {CONTENT: content, ATTEMPTS: attempts, REASON: reason}, minid=oldest
    )


def dead_letters(client: redis.Redis) -> Iterator[DeadLetter]:
    """Yield all dead letters, of each queue the oldest first."""
    for queue in QueueName:
        for dead_id, fields in _dead_of(client, queue):
            yield DeadLetter(
                queue=queue,
                id=dead_id.decode(),
                died_at=datetime.fromtimestamp(_time_of(dead_id), UTC),
                attempts=int(fields[ATTEMPTS]),
                reason=fields[REASON].decode(),
                content=_content(fields[CONTENT]),
            )


def retry_dead(client: redis.Redis) -> int:
    """Put all dead letters back into their queues, as if they were new; return how many."""
    count = 0
    for queue in QueueName:
        for dead_id, fields in _dead_of(client, queue):
            with client.pipeline(transaction=True) as commands:
                commands.xadd(stream_of(queue), {CONTENT: fields[CONTENT]})
                commands.xdel(_dead(queue), dead_id)
                commands.execute()
            count += 1
    return count


def _dead_of(client: redis.Redis, queue: QueueName) -> Iterator[tuple[bytes, Any]]:
    start = "-"
    while some := _some(client, queue, start):
        yield from some
        start = f"({some[-1][0].decode()}"


def _some(client: redis.Redis, queue: QueueName, start: str) -> list[tuple[bytes, Any]]:
    found: Any = client.xrange(_dead(queue), start, "+", _AT_ONCE)
    return list(found)


def _content(content: bytes) -> Any:
    try:
        return orjson.loads(content)
    except orjson.JSONDecodeError:
        return content.decode(errors="backslashreplace")
