"""Messages that were given up: what they are, why, and giving them another chance."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import dramatiq
import redis
from dramatiq.brokers.redis import RedisBroker

from perfkit.service.notifications.queue import ATTEMPTS, FAILURE, NAMESPACE, QueueName

__all__ = ["DeadLetter", "dead_letters", "retry_dead"]

_AT_ONCE = 500

# what the next life of a message must not know of
_OF_THE_LAST_LIFE = ("retries", "requeue_timestamp", "redis_message_id", "eta", FAILURE, ATTEMPTS)


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetter:
    """A message that was given up."""

    queue: QueueName
    id: str
    died_at: datetime
    attempts: int
    reason: str
    content: Any
    """A notification as JSON, or a list of log lines."""

    def to_dict(self) -> dict[str, Any]:
        """Return it in the types of JSON."""
        return {
            "queue": str(self.queue),
            "id": self.id,
            "died_at": self.died_at.isoformat(),
            "attempts": self.attempts,
            "reason": self.reason,
            "content": self.content,
        }


def dead_letters(client: redis.Redis) -> Iterator[DeadLetter]:
    """Yield all dead letters, of each queue the oldest first."""
    for queue in QueueName:
        for dead_id, died_at_ms, content in _contents(client, queue):
            died_at = datetime.fromtimestamp(died_at_ms / 1e3, UTC)
            try:
                message = dramatiq.Message.decode(content)
            except dramatiq.DecodeError:
                yield DeadLetter(
                    queue=queue,
                    id=dead_id.decode(errors="replace"),
                    died_at=died_at,
                    attempts=0,
                    reason="no message",
                    content=content.decode(errors="backslashreplace"),
                )
            else:
                yield DeadLetter(
                    queue=queue,
                    id=message.message_id,
                    died_at=died_at,
                    attempts=message.options.get(ATTEMPTS, 0),
                    reason=message.options.get(FAILURE, "nobody handles it"),
                    content=message.args[0],
                )


def retry_dead(client: redis.Redis) -> int:
    """
    Put all dead letters back into their queues, as if they were new; what is no message stays.

    Each is queued before it is removed: whatever happens in between, it is in one place at least.

    Returns:
        How many were put back.
    """
    broker = RedisBroker(  # type: ignore[no-untyped-call]
        client=client, middleware=[], namespace=NAMESPACE
    )
    count = 0
    for queue in QueueName:
        key = f"{NAMESPACE}:{queue}.XQ"
        for dead_id, _, content in list(_contents(client, queue)):
            try:
                message = dramatiq.Message.decode(content)
            except dramatiq.DecodeError:
                continue
            options = {k: v for k, v in message.options.items() if k not in _OF_THE_LAST_LIFE}
            broker.enqueue(
                dramatiq.Message(
                    queue_name=message.queue_name,
                    actor_name=message.actor_name,
                    args=message.args,
                    kwargs=message.kwargs,
                    options=options,
                    message_id=message.message_id,
                )
            )
            with client.pipeline(transaction=True) as removal:
                removal.zrem(key, dead_id)
                removal.hdel(f"{key}.msgs", dead_id)
                removal.execute()
            count += 1
    return count


def _contents(client: redis.Redis, queue: QueueName) -> Iterator[tuple[bytes, float, bytes]]:
    key = f"{NAMESPACE}:{queue}.XQ"
    dead: Any = client.zrange(key, 0, -1, withscores=True)
    for start in range(0, len(dead), _AT_ONCE):
        some = dead[start : start + _AT_ONCE]
        contents: Any = client.hmget(f"{key}.msgs", [dead_id for dead_id, _ in some])
        for (dead_id, died_at_ms), content in zip(some, contents, strict=True):
            # another process may have put it back meanwhile
            if content is not None:
                yield dead_id, died_at_ms, content
