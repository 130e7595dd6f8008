"""How a request hands over what is to be sent: not at all, on the spot, or by the queue."""

import asyncio
import logging
from collections import deque
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Protocol

from perfkit.cache.breaker import CircuitBreaker
from perfkit.cache.connection import CacheError, Command, Connection, value
from perfkit.queue.log_file import LOG_FILE, LogFile
from perfkit.queue.mail import Mailer, MailError, MailRefusedError, SmtpSettings
from perfkit.queue.model import Item, Notification, Outcome, RequestLog
from perfkit.queue.streams import (
    QueueName,
    QueueStatistics,
    put_command,
    statistics_commands,
    statistics_from,
)

__all__ = ["InlineNotifier", "Notifier", "OffNotifier", "QueuedNotifier"]

_LOGGER = logging.getLogger(__name__)

_INLINE_THREADS = 40
"""Mails a process sends at a time; as many threads as FastAPI gives blocking endpoints."""

_TIME_LIMIT_S = 0.05

_MAX_HELD = 10_000
"""Items, some 5 MB: how much a process keeps for a server that is away."""

_CATCH_UP_S = 0.1
_AT_ONCE = 200


class Notifier(Protocol):
    """What the service hands notifications and request logs to."""

    async def notify(self, *items: Item) -> Outcome:
        """
        Hand over *items*, all at once; whatever goes wrong is logged, never raised.

        Returns:
            What became of them: the worst, if not the same of all.
        """

    async def statistics(self) -> Mapping[QueueName, QueueStatistics] | None:
        """Return what is in the queues, None if there is no queue or it does not answer."""

    async def close(self) -> None:
        """Finish what is under way."""


class OffNotifier:
    """Drops everything."""

    async def notify(self, *items: Item) -> Outcome:  # noqa: ARG002 - the protocol's
        return Outcome.OFF

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
        self._threads = ThreadPoolExecutor(_INLINE_THREADS, "perfkit-mail")

    async def notify(self, *items: Item) -> Outcome:
        loop = asyncio.get_running_loop()
        worst = Outcome.SENT
        for item in items:
            outcome = await loop.run_in_executor(self._threads, self._handle, item)
            if outcome is Outcome.FAILED:
                worst = outcome
        return worst

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
        max_held: Items this process may hold; beyond, what comes fails.
        trip_s: Added to each trip to the server.
    """

    def __init__(
        self,
        redis_url: str,
        *,
        breaker: CircuitBreaker | None = None,
        time_limit_s: float = _TIME_LIMIT_S,
        max_held: int = _MAX_HELD,
        trip_s: float = 0.0,
    ) -> None:
        self._connection = Connection(
            redis_url, breaker or CircuitBreaker(), time_limit_s, trip_s=trip_s
        )
        self._max_held = max_held
        self._held: deque[Command] = deque()
        self._catching_up: asyncio.Task[None] | None = None

    async def notify(self, *items: Item) -> Outcome:
        commands = [put_command(item) for item in items]
        # what was held comes first: order is promised to nobody, but expected by everybody
        if self._held or not self._connection.usable():
            return self._hold(commands)
        try:
            await self._put(commands)
        except CacheError:
            return self._hold(commands)
        return Outcome.QUEUED

    async def statistics(self) -> Mapping[QueueName, QueueStatistics] | None:
        if not self._connection.usable():
            return None
        try:
            return statistics_from(await self._connection.ask(*statistics_commands()))
        except CacheError:
            return None

    async def close(self) -> None:
        if self._catching_up is not None:
            self._catching_up.cancel()
        await self._put_held()
        if self._held:
            _LOGGER.warning("%d notifications and log lines are lost", len(self._held))
        await self._connection.close()

    async def _put(self, commands: list[Command]) -> None:
        for reply in await self._connection.ask(*commands):
            value(reply)

    def _hold(self, commands: list[Command]) -> Outcome:
        if len(self._held) + len(commands) > self._max_held:
            return Outcome.FAILED
        self._held.extend(commands)
        if self._catching_up is None or self._catching_up.done():
            _LOGGER.warning("the queue's server is away; notifications are held until it is back")
            self._catching_up = asyncio.get_running_loop().create_task(self._catch_up())
        return Outcome.HELD

    async def _catch_up(self) -> None:
        while self._held:
            await asyncio.sleep(_CATCH_UP_S)
            if self._connection.usable():
                await self._put_held()

    async def _put_held(self) -> None:
        """Queue what is held, as far as the server takes it; one whose answer is lost, twice."""
        try:
            while self._held:
                some = [self._held[number] for number in range(min(_AT_ONCE, len(self._held)))]
                await self._put(some)
                for _ in some:
                    self._held.popleft()
        except CacheError:
            return
