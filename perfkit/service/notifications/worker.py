"""The worker: delivers what is in the queue, mails to the mail server and logs to their file."""

import logging
import threading
from collections import Counter as Tally
from collections.abc import Callable
from pathlib import Path
from typing import Any

import redis

from perfkit.service.notifications.consuming import (
    HEARTBEAT_S,
    FailedError,
    RefusedError,
    RetryPolicy,
    Session,
    connect,
)
from perfkit.service.notifications.log_file import LOG_FILE, LogFile
from perfkit.service.notifications.mail import Mailer, MailError, MailRefusedError, SmtpSettings
from perfkit.service.notifications.model import Notification
from perfkit.service.notifications.queue import COUNTERS, Counter, QueueName, counter_field

__all__ = ["Worker"]

_LOGGER = logging.getLogger(__name__)

GRACE_S = 20.0
"""How long mails under way may take to finish when the worker is stopped."""

THREADS = 32

_TICK_S = 0.25
_TICKS_A_SECOND = 4


class Worker:
    """
    Delivers what is queued, until it is told to stop.

    Args:
        redis_url: The queue's server.
        smtp: The mail server, or what to call for where it is now.
        folder: Where the log file is.
        threads: Messages delivered at a time.
        policy: What to do about failures.
        heartbeat_s: Silence after which a worker counts as dead.

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
        threads: int = THREADS,
        policy: RetryPolicy | None = None,
        heartbeat_s: float = HEARTBEAT_S,
    ) -> None:
        self._redis_url = redis_url
        self._threads = threads
        self._policy = policy or RetryPolicy()
        self._heartbeat_s = heartbeat_s
        self._client = connect(redis_url)
        self._mailer = Mailer(smtp)
        self._log_file = LogFile(folder / LOG_FILE)
        self._lock = threading.Lock()
        self._tally: Tally[tuple[QueueName, Counter]] = Tally()

    def run(self, stop: threading.Event, *, started: Callable[[], None] = lambda: None) -> None:
        """
        Deliver until *stop* is set, then finish what is under way and give back the rest.

        Args:
            stop: Set it from another thread or a signal handler.
            started: Called once messages are taken.
        """
        session = self._begin()
        started()
        ticks = 0
        while not stop.wait(_TICK_S):
            ticks += 1
            if ticks % _TICKS_A_SECOND == 0:
                self._publish()
                self._log_file.sync()
            if not session.is_sound() and self._server_answers():
                _LOGGER.warning("the queue's server answers; starting over")
                session.stop(GRACE_S)
                session = self._begin()
        if self._server_answers():
            session.stop(GRACE_S)
            self._mailer.close()
            self._publish()
        else:
            session.abandon()
            _LOGGER.warning("the queue's server is away; what was under way is delivered again")
        self._log_file.sync()
        self._client.close()

    def _begin(self) -> Session:
        session = Session(
            self._redis_url,
            {QueueName.MAIL: self._deliver_mail, QueueName.LOG: self._deliver_logs},
            self._count,
            threads=self._threads,
            policy=self._policy,
            heartbeat_s=self._heartbeat_s,
        )
        session.start()
        return session

    def _deliver_mail(self, wire: Any) -> None:
        try:
            notification = Notification.from_wire(wire)
        except (TypeError, ValueError, KeyError) as error:
            msg = f"no notification: {error!r}"
            raise RefusedError(msg) from error
        try:
            self._mailer.send(notification)
        except MailRefusedError as error:
            raise RefusedError(str(error)) from error
        except MailError as error:
            raise FailedError(str(error)) from error
        self._count(QueueName.MAIL, Counter.DELIVERED)

    def _deliver_logs(self, records: Any) -> None:
        try:
            self._log_file.append(records)
        except OSError as error:
            msg = f"{self._log_file.path}: {error.strerror}"
            raise FailedError(msg) from error
        self._count(QueueName.LOG, Counter.DELIVERED, len(records))

    # ---- counters ------------------------------------------------------------------------

    def _count(self, queue: QueueName, counter: Counter, count: int = 1) -> None:
        with self._lock:
            self._tally[queue, counter] += count

    def _publish(self) -> None:
        """Add to the counters in Redis what happened since the last time."""
        with self._lock:
            tally, self._tally = self._tally, Tally()
        if not tally:
            return
        commands = self._client.pipeline(transaction=True)
        for (queue, counter), count in tally.items():
            commands.hincrby(COUNTERS, counter_field(queue, counter), count)
        try:
            commands.execute()
        except redis.RedisError:
            with self._lock:
                self._tally.update(tally)

    def _server_answers(self) -> bool:
        try:
            self._client.ping()
        except redis.RedisError:
            return False
        return True
