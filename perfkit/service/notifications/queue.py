"""
The queue: what dramatiq keeps in Redis for perfkit, its messages, and what can be read of it.

Everything is written by dramatiq's own script, which keeps, under the namespace:

    QUEUE             list of the ids that wait           QUEUE.msgs     id -> message
    QUEUE.DQ          ids that wait for their retry       QUEUE.DQ.msgs
    QUEUE.XQ          sorted set of dead ids, by date     QUEUE.XQ.msgs
    __acks__.WORKER.QUEUE   ids that a worker holds       __heartbeats__
"""

import hashlib
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any, cast
from uuid import uuid4

import dramatiq
import orjson
from dramatiq.brokers.redis import RedisBroker

__all__ = [
    "ATTEMPTS",
    "COUNTERS",
    "DEAD_KEPT_S",
    "FAILURE",
    "NAMESPACE",
    "Counter",
    "Envelopes",
    "QueueName",
    "QueueStatistics",
    "actor_name",
    "count_command",
    "counter_field",
    "held_commands",
    "statistics_commands",
    "statistics_from",
]

NAMESPACE = "perfkit:queue"
COUNTERS = f"{NAMESPACE}:counters"

DEAD_KEPT_S = 7 * 86400.0

FAILURE = "failure"
"""The option of a message that says why it failed the last time."""

ATTEMPTS = "attempts"
"""The option that says how often it was tried."""

ACTOR = "deliver"

Command = tuple[str | bytes | int, ...]


class QueueName(StrEnum):
    """What is queued; also the queue's name in Redis."""

    MAIL = "mail"
    LOG = "log"


class Counter(StrEnum):
    """What is counted for each queue; logs are counted by the line."""

    ENQUEUED = "enqueued"
    DELIVERED = "delivered"
    RETRIED = "retried"
    DIED = "died"


def actor_name(queue: QueueName) -> str:
    """Return the name of the function that handles a queue's messages."""
    return f"{queue}.{ACTOR}"


def count_command(queue: QueueName, counter: Counter, count: int) -> Command:
    """Return the command that adds to a counter."""
    return ("HINCRBY", COUNTERS, counter_field(queue, counter), count)


def counter_field(queue: QueueName, counter: Counter) -> str:
    """Return where in the hash of counters one is."""
    return f"{queue}.{counter}"


# ---- messages ----------------------------------------------------------------------------


class _Script:
    """Stands for a script registered with a server: calling it writes the call down."""

    def __init__(self, text: bytes, calls: list[Command]) -> None:
        # what Redis itself calls a script
        self.sha = hashlib.sha1(text, usedforsecurity=False).hexdigest()
        self.text = text
        self._calls = calls

    def __call__(self, keys: Sequence[str] = (), args: Sequence[Any] = ()) -> int:
        if keys:
            self._calls.append(("EVALSHA", self.sha, len(keys), *keys, *args))
        # dramatiq asks one script, which takes no key, how many values the server can unpack
        return _UNPACKED


_UNPACKED = 7000


class _Recorder:
    """The part of a Redis client that dramatiq needs for enqueuing; nothing is sent."""

    def __init__(self) -> None:
        self.calls: list[Command] = []
        self.scripts: list[_Script] = []

    def register_script(self, text: bytes) -> _Script:
        script = _Script(text, self.calls)
        self.scripts.append(script)
        return script


class _RecordingBroker(RedisBroker):
    """A class of its own, because dramatiq remembers what a server can unpack in the class."""


class Envelopes:
    """
    Turns items into the commands that queue them, exactly those that dramatiq would send.

    dramatiq sends one command at a time and waits for it. In an asyncio service the commands of
    concurrent requests go together instead, so they are written down here and sent by others.
    Writing one down through dramatiq takes 40 µs, so that is done once for each queue; the
    others are made after it, with names, times and a content of their own.
    """

    def __init__(self) -> None:
        self._recorder = _Recorder()
        self._broker = _RecordingBroker(  # type: ignore[no-untyped-call]
            client=self._recorder, middleware=[], namespace=NAMESPACE, maintenance_chance=0
        )
        self._patterns = {queue: self._pattern(queue) for queue in QueueName}

    def enqueue(self, queue: QueueName, content: Any) -> Command:
        """Return the command that queues one message with *content*, which is JSON."""
        command, place_of_time, message = self._patterns[queue]
        queued_as, now_ms = str(uuid4()), time.time_ns() // 1_000_000
        body = orjson.dumps(
            {
                **message,
                "args": (content,),
                "options": {"redis_message_id": queued_as},
                "message_id": str(uuid4()),
                "message_timestamp": now_ms,
            }
        )
        return (
            *command[:place_of_time],
            now_ms,
            *command[place_of_time + 1 : -2],
            queued_as,
            body,
        )

    def _pattern(self, queue: QueueName) -> tuple[Command, int, dict[str, Any]]:
        """Return a command as dramatiq makes it, where in it the time stands, and its message."""
        self._broker.enqueue(
            dramatiq.Message(
                queue_name=queue,
                actor_name=actor_name(queue),
                args=(None,),
                kwargs={},
                options={},
            )
        )
        command = self._recorder.calls.pop()
        message: dict[str, Any] = orjson.loads(cast("bytes", command[-1]))
        # the script is given its command, the time, the queue, …
        return command, command.index("enqueue") + 1, message

    def load_commands(self) -> list[Command]:
        """Return the commands that make the scripts known to a server that has just started."""
        return [("SCRIPT", "LOAD", script.text) for script in self._recorder.scripts]


# ---- what is in it -----------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueStatistics:
    """One queue: counters since it exists, and what is in it now."""

    enqueued: int
    delivered: int
    retried: int
    died: int
    """How often a message was given up, also one that was put back later."""
    waiting: int
    """Messages no worker has yet."""
    held: int
    """Messages a worker has, or had when it was killed."""
    delayed: int
    """Messages that failed and will be tried again."""
    dead: int
    """Messages that were given up and are kept."""
    oldest_s: float
    """Age of the next in line; 0 if nothing waits."""

    def to_dict(self) -> dict[str, float]:
        """Return the figures by name."""
        return asdict(self)


def held_commands() -> list[Command]:
    """Return the commands whose replies add up to the number of messages the server keeps."""
    return [
        ("HLEN", f"{NAMESPACE}:{queue}{part}.msgs")
        for queue in QueueName
        for part in ("", ".DQ", ".XQ")
    ]


_NEXT = "local id = redis.call('lindex', KEYS[1], 0) return id and redis.call('hget', KEYS[2], id)"


def statistics_commands() -> list[Command]:
    """Return the commands whose replies `statistics_from` reads."""
    commands: list[Command] = [("HGETALL", COUNTERS)]
    for queue in QueueName:
        key = f"{NAMESPACE}:{queue}"
        commands += [
            ("LLEN", key),
            ("HLEN", f"{key}.msgs"),
            ("HLEN", f"{key}.DQ.msgs"),
            ("HLEN", f"{key}.XQ.msgs"),
            ("EVAL", _NEXT, 2, key, f"{key}.msgs"),
        ]
    return commands


def statistics_from(replies: Sequence[Any]) -> Mapping[QueueName, QueueStatistics]:
    """Return the figures of each queue from the replies to `statistics_commands`."""
    replies = list(replies)
    pairs = replies.pop(0)
    counters = {
        name.decode(): int(count) for name, count in zip(pairs[::2], pairs[1::2], strict=True)
    }
    found = {}
    for queue in QueueName:
        waiting, kept, delayed, dead, following = (replies.pop(0) for _ in range(5))
        found[queue] = QueueStatistics(
            **{counter: counters.get(counter_field(queue, counter), 0) for counter in Counter},
            waiting=waiting,
            held=max(0, kept - waiting),
            delayed=delayed,
            dead=dead,
            oldest_s=_age_s(following),
        )
    return found


def _age_s(message: bytes | None) -> float:
    if message is None:
        return 0.0
    created_ms: int = orjson.loads(message)["message_timestamp"]
    return max(0.0, time.time() - created_ms / 1e3)
