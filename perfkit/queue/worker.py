"""The worker: delivers what is in the queue, mails to the mail server and logs to their file."""

import collections
import logging
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
import redis

from perfkit.queue.log_file import LOG_FILE, LogFile
from perfkit.queue.mail import Mailer, MailError, MailRefusedError, SmtpSettings
from perfkit.queue.model import Notification
from perfkit.queue.streams import (
    CONTENT,
    COUNTERS,
    GROUP,
    Counter,
    QueueName,
    bury,
    connect,
    stream_of,
)

__all__ = ["RetryPolicy", "Worker"]

_LOGGER = logging.getLogger(__name__)

_GRACE_S = 20.0
"""How long mails under way may take to finish when the worker is stopped."""

_THREADS = 32

# Redis knows since when a message is with somebody, and who that is does not matter: one that
# is in a worker's hands is claimed again and again, so that it never looks abandoned.
_CONSUMER = "worker"

_TICK_S = 1.0
_BLOCK_S = 0.25
_AWAY_S = 0.5
_LINES = 500
_LOOKS = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """
    How often what failed is tried again, and when: each pause is twice the one before.

    What a killed worker held is given to another after the first pause, too.
    """

    retries: int = 10
    first_s: float = 15.0
    longest_s: float = 600.0

    def pause_s(self, attempts: int) -> float:
        """Return how long to wait after so many attempts."""
        return min(self.first_s * 2.0 ** (attempts - 1), self.longest_s)


@dataclass(frozen=True, slots=True)
class _Message:
    """A message in this worker's hands; `attempts` counts this one."""

    queue: QueueName
    id: bytes
    content: bytes
    attempts: int


class Worker:
    """
    Delivers what is queued, until it is stopped.

    Args:
        redis_url: The queue's server.
        smtp: The mail server, or what to call for where it is now.
        folder: Where the log file is.
        threads: Mails delivered at a time.
        policy: What to do about failures.

    Raises:
        ConfigError: *redis_url* is none.
        TargetError: No server answers there.
    """

    def __init__(
        self,
        redis_url: str,
        smtp: SmtpSettings | Callable[[], SmtpSettings],
        folder: Path,
        *,
        threads: int = _THREADS,
        policy: RetryPolicy | None = None,
    ) -> None:
        self._client = connect(redis_url)
        self._mailer = Mailer(smtp)
        self._log_file = LogFile(folder / LOG_FILE)
        self._threads = threads
        self._policy = policy or RetryPolicy()
        self._lock = threading.Lock()
        self._counts: collections.Counter[str] = collections.Counter()
        self._in_hand: dict[bytes, _Message] = {}
        self._looked_to = dict.fromkeys(QueueName, "-")
        self._tick_s = min(_TICK_S, self._policy.first_s / 4)
        self._ticked_s = 0.0

    def run(self, stop: threading.Event, *, started: Callable[[], None] = lambda: None) -> None:
        """
        Deliver until *stop* is set, then finish what is under way.

        Args:
            stop: Set it from another thread or a signal handler.
            started: Called once messages are taken.
        """
        self._make_groups()
        started()
        # never more than it has threads: what is in hand has begun
        pool = ThreadPoolExecutor(self._threads, "perfkit-mail")
        away = False
        while not stop.is_set():
            try:
                self._turn(pool)
                away = False
            except redis.RedisError as error:
                if not away:
                    _LOGGER.warning("the queue's server fails: %s; asking again", error)
                away = True
                stop.wait(_AWAY_S)
        pool.shutdown(wait=False)
        self._finish()
        self._log_file.sync()

    def _finish(self) -> None:
        deadline_s = time.monotonic() + _GRACE_S
        try:
            while self._in_hand and time.monotonic() < deadline_s:
                self._hold()
                time.sleep(_BLOCK_S / 5)
            self._publish()
        except redis.RedisError as error:
            _LOGGER.warning("%s; what was under way may be delivered again", error)
        self._mailer.close()
        self._client.close()

    def _make_groups(self) -> None:
        for queue in QueueName:
            try:
                self._client.xgroup_create(stream_of(queue), GROUP, "0", mkstream=True)
            except redis.ResponseError as error:
                if "BUSYGROUP" not in str(error):
                    raise

    # ---- taking --------------------------------------------------------------------------

    def _turn(self, pool: ThreadPoolExecutor) -> None:
        """Take what there is, and hand it to those who deliver it."""
        if time.monotonic() - self._ticked_s >= self._tick_s:
            self._ticked_s = time.monotonic()
            self._hold()
            self._publish()
            self._log_file.sync()
            self._deliver_logs(self._due(QueueName.LOG, _LINES))
            self._submit(pool, self._due(QueueName.MAIL, self._room))
        try:
            lines = self._take(QueueName.LOG, _LINES)
            self._deliver_logs(lines)
            if self._room:
                # lines that come meanwhile wait no longer than this
                block_s = None if lines else _BLOCK_S
                self._submit(pool, self._take(QueueName.MAIL, self._room, block_s=block_s))
            elif not lines:
                time.sleep(_BLOCK_S / 5)
        except redis.ResponseError as error:
            # the server has lost what it had, or was emptied; also while this waited for a message
            if not str(error).startswith(("NOGROUP", "UNBLOCKED")):
                raise
            self._make_groups()

    @property
    def _room(self) -> int:
        return self._threads - len(self._in_hand)

    def _take(
        self, queue: QueueName, count: int, *, block_s: float | None = None
    ) -> list[_Message]:
        """Return messages nobody has had yet."""
        answer: Any = self._client.xreadgroup(
            GROUP,
            _CONSUMER,
            {stream_of(queue): ">"},
            count=count,
            block=None if block_s is None else round(block_s * 1e3),
        )
        return [
            _Message(queue, message_id, fields.get(CONTENT, b""), 1)
            for _, messages in answer or ()
            for message_id, fields in messages
        ]

    def _due(self, queue: QueueName, count: int) -> list[_Message]:
        """Return messages that failed, or whose worker is gone, and whose pause is over."""
        key, policy = stream_of(queue), self._policy
        start = self._looked_to[queue]
        found: Any = self._client.xpending_range(
            key, GROUP, start, "+", _LOOKS, idle=round(policy.first_s * 1e3)
        )
        # the next look goes on from here: there may be many that must still wait
        last = found[-1]["message_id"].decode() if len(found) == _LOOKS else None
        self._looked_to[queue] = "-" if last is None else f"({last}"
        due: list[_Message] = []
        for each in found:
            attempts, pause_s = each["times_delivered"], policy.pause_s(each["times_delivered"])
            if (
                len(due) >= count
                or each["time_since_delivered"] < pause_s * 1e3
                or each["message_id"] in self._in_hand
            ):
                continue
            claimed: Any = self._client.xclaim(
                key, GROUP, _CONSUMER, round(pause_s * 1e3), [each["message_id"]]
            )
            # another worker may have been quicker
            due += [
                _Message(queue, message_id, fields.get(CONTENT, b""), attempts + 1)
                for message_id, fields in claimed
                if message_id is not None
            ]
        return due

    def _hold(self) -> None:
        """Show that what is in hand is being worked on."""
        mails: list[Any] = list(self._in_hand)
        if mails:
            self._client.xclaim(
                stream_of(QueueName.MAIL), GROUP, _CONSUMER, 0, mails, idle=0, justid=True
            )

    # ---- delivering ----------------------------------------------------------------------

    def _submit(self, pool: ThreadPoolExecutor, mails: Sequence[_Message]) -> None:
        for mail in mails:
            self._in_hand[mail.id] = mail
            pool.submit(self._deliver_mail, mail)

    def _deliver_mail(self, message: _Message) -> None:
        try:
            try:
                notification = Notification.from_wire(orjson.loads(message.content))
            except (TypeError, ValueError, KeyError) as error:
                self._give_up(message, f"no notification: {error!r}")
                return
            try:
                self._mailer.send(notification)
            except MailRefusedError as error:
                self._give_up(message, str(error))
            except MailError as error:
                self._failed(message, str(error))
            except Exception as error:
                # without the content of the message, which is nobody's business
                _LOGGER.exception("a mistake in perfkit")
                self._failed(message, repr(error))
            else:
                self._delivered([message])
        except redis.RedisError as error:
            _LOGGER.warning("mail %s may be sent again: %s", message.id.decode(), error)
        finally:
            del self._in_hand[message.id]

    def _deliver_logs(self, lines: Sequence[_Message]) -> None:
        records, good = [], []
        for line in lines:
            try:
                records.append(orjson.loads(line.content))
                good.append(line)
            except orjson.JSONDecodeError as error:
                self._give_up(line, f"no log line: {error}")
        try:
            self._log_file.append(records)
        except OSError as error:
            for line in good:
                self._failed(line, f"{self._log_file.path}: {error.strerror}")
        else:
            self._delivered(good)

    def _delivered(self, messages: Sequence[_Message]) -> None:
        if not messages:
            return
        self._remove(messages)
        self._count(messages[0].queue, Counter.DELIVERED, len(messages))

    def _failed(self, message: _Message, reason: str) -> None:
        """Leave a message pending until its pause is over, unless that was its last attempt."""
        if message.attempts > self._policy.retries:
            self._give_up(message, reason)
            return
        self._count(message.queue, Counter.RETRIED)
        _LOGGER.warning("%s %s is tried again: %s", message.queue, message.id.decode(), reason)

    def _give_up(self, message: _Message, reason: str) -> None:
        _LOGGER.warning("%s %s is given up: %s", message.queue, message.id.decode(), reason)
        self._remove([message], reason=reason)
        self._count(message.queue, Counter.DIED)

    def _remove(self, messages: Sequence[_Message], *, reason: str | None = None) -> None:
        """Take messages out of their queue; with a reason they are kept among the dead ones."""
        key, ids = stream_of(messages[0].queue), [message.id for message in messages]
        with self._client.pipeline(transaction=True) as commands:
            if reason is not None:
                for each in messages:
                    bury(
                        commands,
                        each.queue,
                        each.content,
                        attempts=each.attempts,
                        reason=reason,
                    )
            commands.xack(key, GROUP, *ids)
            commands.xdel(key, *ids)
            commands.execute()

    # ---- counters ------------------------------------------------------------------------

    def _count(self, queue: QueueName, counter: Counter, count: int = 1) -> None:
        with self._lock:
            self._counts[f"{queue}.{counter}"] += count

    def _publish(self) -> None:
        """Add to the counters in Redis what happened since the last time."""
        with self._lock:
            counts, self._counts = self._counts, collections.Counter()
        try:
            for name, count in counts.items():
                self._client.hincrby(COUNTERS, name, count)
        except redis.RedisError:
            with self._lock:
                self._counts.update(counts)
            raise
