"""How a request hands over what is to be sent: not at all, on the spot, or by the queue."""

import asyncio
import logging
from collections import Counter
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Protocol

from perfkit.cache.address import parse_url
from perfkit.cache.breaker import CircuitBreaker
from perfkit.service.notifications.log_file import LOG_FILE, LogFile
from perfkit.service.notifications.mail import Mailer, MailError, MailRefusedError, SmtpSettings
from perfkit.service.notifications.model import Item, Notification, Outcome, RequestLog
from perfkit.service.notifications.queue import QueueName, QueueStatistics
from perfkit.service.notifications.sender import MAX_HELD, MAX_QUEUED, TIME_LIMIT_S, Sender

__all__ = ["InlineNotifier", "Notifier", "OffNotifier", "Outcome", "QueuedNotifier"]

_LOGGER = logging.getLogger(__name__)

INLINE_THREADS = 40
"""Mails a process sends at a time; as many threads as FastAPI gives blocking endpoints."""


class Notifier(Protocol):
    """What the service hands notifications and request logs to."""

    async def notify(self, *items: Item) -> Outcome:
        """
        Hand over *items*, all at once; whatever goes wrong is counted, never raised.

        Returns:
            What became of them: the worst, if not the same of all.
        """

    def counts(self) -> Mapping[tuple[QueueName, Outcome], int]:
        """Return how many items of each kind had which outcome in this process."""

    async def statistics(self) -> Mapping[QueueName, QueueStatistics] | None:
        """Return what is in the queues, None if there is no queue or it does not answer."""

    async def close(self) -> None:
        """Finish what is under way."""


def _queue_of(item: Item) -> QueueName:
    return QueueName.MAIL if isinstance(item, Notification) else QueueName.LOG


class OffNotifier:
    """Drops everything."""

    async def notify(self, *items: Item) -> Outcome:  # noqa: ARG002 - the protocol's
        return Outcome.OFF

    def counts(self) -> Mapping[tuple[QueueName, Outcome], int]:
        return {}

    async def statistics(self) -> None:
        return None

    async def close(self) -> None:
        pass


class InlineNotifier:
    """
    Sends mails and writes logs while the request waits.

    Args:
        smtp: The mail server.
        folder: Where the log file is.
    """

    def __init__(self, smtp: SmtpSettings, folder: Path) -> None:
        self._mailer = Mailer(smtp)
        self._log_file = LogFile(folder / LOG_FILE)
        self._threads = ThreadPoolExecutor(INLINE_THREADS, "perfkit-mail")
        self._counts: Counter[tuple[QueueName, Outcome]] = Counter()

    async def notify(self, *items: Item) -> Outcome:
        loop = asyncio.get_running_loop()
        worst = Outcome.SENT
        for item in items:
            outcome = await loop.run_in_executor(self._threads, self._handle, item)
            self._counts[_queue_of(item), outcome] += 1
            if outcome is Outcome.FAILED:
                worst = outcome
        return worst

    def counts(self) -> Mapping[tuple[QueueName, Outcome], int]:
        return dict(self._counts)

    async def statistics(self) -> None:
        return None

    async def close(self) -> None:
        await asyncio.to_thread(self._threads.shutdown)
        self._mailer.close()
        self._log_file.sync()

    def _handle(self, item: Item) -> Outcome:
        try:
            match item:
                case Notification():
                    self._mailer.send(item)
                case RequestLog():
                    self._log_file.append([item.to_wire()])
        except (MailError, MailRefusedError, OSError) as error:
            _LOGGER.warning(
                "%s of request %s failed: %s", type(item).__name__, item.request_id, error
            )
            return Outcome.FAILED
        return Outcome.SENT


class QueuedNotifier:
    """
    Queues mails and logs, and answers when the queue has them.

    While the queue's server is away, this process holds what comes and queues it later.

    Args:
        redis_url: The queue's server.
        breaker: Shared with whoever else uses that server, so that only one of them has to find
            out that it is away.
        time_limit_s: Seconds a request waits for the queue at most.
        max_queued: Messages the server may keep; beyond, what comes fails, before the server
            runs out of memory: then it would not let workers take anything either.
        max_held: Messages this process may hold; beyond, what comes fails.
    """

    def __init__(
        self,
        redis_url: str,
        *,
        breaker: CircuitBreaker | None = None,
        time_limit_s: float = TIME_LIMIT_S,
        max_queued: int = MAX_QUEUED,
        max_held: int = MAX_HELD,
    ) -> None:
        self._sender = Sender(
            parse_url(redis_url),
            breaker or CircuitBreaker(),
            time_limit_s=time_limit_s,
            max_queued=max_queued,
            max_held=max_held,
        )
        self._counts: Counter[tuple[QueueName, Outcome]] = Counter()

    async def notify(self, *items: Item) -> Outcome:
        outcome = await self._sender.send(items)
        for item in items:
            self._counts[_queue_of(item), outcome] += 1
        return outcome

    def counts(self) -> Mapping[tuple[QueueName, Outcome], int]:
        return dict(self._counts)

    async def statistics(self) -> Mapping[QueueName, QueueStatistics] | None:
        return await self._sender.statistics()

    async def close(self) -> None:
        await self._sender.close()
