"""
Puts items into the queue: those of concurrent requests together, in one round trip.

One batch is on its way at a time; what arrives meanwhile goes with the next. A request is
answered when the server has acknowledged its batch, so that what was called queued is queued,
whatever happens to this process a moment later.

What a server that is away could not take is held in memory and sent when it is back.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Any

from hiredis import ReplyError

from perfkit.cache.address import Address
from perfkit.cache.breaker import CircuitBreaker
from perfkit.cache.connection import CacheUnavailableError, Connection
from perfkit.service.notifications.model import Item, Notification, Outcome
from perfkit.service.notifications.queue import (
    Command,
    Counter,
    Envelopes,
    QueueName,
    QueueStatistics,
    count_command,
    held_commands,
    statistics_commands,
    statistics_from,
)

__all__ = ["MAX_HELD", "MAX_QUEUED", "TIME_LIMIT_S", "Sender"]

_LOGGER = logging.getLogger(__name__)

TIME_LIMIT_S = 0.05

MAX_QUEUED = 100_000
"""About 100 MB of the server's memory, with messages of 500 bytes."""

MAX_BATCH = 256
"""Requests whose items go together; a batch keeps the server busy for some milliseconds."""

MAX_HELD = 10_000
"""Commands, some 10 MB: how much a process keeps for a server that is away."""

_NEVER = float("-inf")
_CATCH_UP_S = 0.1
_COUNT_S = 0.1
_COMPLAIN_S = 10.0


class _Pending:
    """The items of one request and who waits for them."""

    __slots__ = ("future", "items")

    def __init__(self, items: Sequence[Item], future: "asyncio.Future[Outcome]") -> None:
        self.items = items
        self.future = future


class _RefusedError(Exception):
    """The server answered, but did not take it."""


class Sender:
    """
    The way into the queue, for all requests of a process.

    Args:
        address: The queue's server.
        breaker: Told of failures; while it is open nothing is tried.
        time_limit_s: Seconds for a batch.
        max_queued: Messages the server may keep.
        max_held: Commands to keep for a server that is away.
    """

    def __init__(
        self,
        address: Address,
        breaker: CircuitBreaker,
        *,
        time_limit_s: float = TIME_LIMIT_S,
        max_queued: int = MAX_QUEUED,
        max_held: int = MAX_HELD,
    ) -> None:
        self._connection = Connection(address, breaker, time_limit_s)
        self._time_limit_s = time_limit_s
        self._max_queued = max_queued
        self._max_held = max_held
        self._envelopes = Envelopes()
        self._pending: list[_Pending] = []
        self._task: asyncio.Task[None] | None = None
        self._held: deque[Command] = deque()
        self._catching_up: asyncio.Task[None] | None = None
        self._queued = 0
        self._counted_s = _NEVER
        self._complained_s = _NEVER

    async def send(self, items: Sequence[Item]) -> Outcome:
        """Return whether *items* are queued, held or failed, as soon as that is known."""
        if not items:
            return Outcome.QUEUED
        loop = asyncio.get_running_loop()
        pending = _Pending(items, loop.create_future())
        self._pending.append(pending)
        if self._task is None:
            self._task = loop.create_task(self._work())
        return await pending.future

    async def statistics(self) -> Mapping[QueueName, QueueStatistics] | None:
        """Return what is in the queues, None if the server does not answer."""
        if not self._connection.usable():
            return None
        try:
            return statistics_from(await self._ask(statistics_commands()))
        except (CacheUnavailableError, _RefusedError):
            return None

    async def close(self) -> None:
        """Send what waits and, if the server is there, what is held; then hang up."""
        if self._task is not None:
            await asyncio.wait([self._task])
        if self._catching_up is not None:
            self._catching_up.cancel()
            await asyncio.wait([self._catching_up])
        await self._send_held()
        if self._held:
            _LOGGER.warning("notifications are lost: %d commands never sent", len(self._held))
        await self._connection.close()

    # ---- batches -------------------------------------------------------------------------

    async def _work(self) -> None:
        """Send batch after batch until nothing waits."""
        batch: list[_Pending] = []
        try:
            while self._pending:
                batch, self._pending = self._pending[:MAX_BATCH], self._pending[MAX_BATCH:]
                self._settle(batch, await self._deliver(self._commands(batch)))
        finally:
            # unless there is a mistake in what was to be sent, there is nobody left
            self._settle([*batch, *self._pending], Outcome.FAILED)
            self._pending = []
            self._task = None

    @staticmethod
    def _settle(batch: Sequence[_Pending], outcome: Outcome) -> None:
        for pending in batch:
            # the request may have been cancelled
            if not pending.future.done():
                pending.future.set_result(outcome)

    async def _deliver(self, commands: Sequence[Command]) -> Outcome:
        # what was held comes first: order is promised to nobody, but expected by everybody
        if self._held or not self._connection.usable():
            return self._hold(commands)
        try:
            if not await self._has_room():
                return Outcome.FAILED
            await self._send(commands)
        except (CacheUnavailableError, _RefusedError) as error:
            self._complain("the queue's server fails: %s", error)
            return self._hold(commands)
        return Outcome.QUEUED

    async def _send(self, commands: Sequence[Command]) -> None:
        if asyncio.get_running_loop().time() - self._counted_s < _COUNT_S:
            await self._ask(commands)
        else:
            held = held_commands()
            replies = await self._ask([*commands, *held])
            self._set_queued(replies[-len(held) :])

    async def _has_room(self) -> bool:
        if self._queued >= self._max_queued:
            self._set_queued(await self._ask(held_commands()))
        if self._queued < self._max_queued:
            return True
        self._complain("the queue is full: %d messages", self._queued)
        return False

    def _set_queued(self, lengths: Sequence[int]) -> None:
        self._queued = sum(lengths)
        self._counted_s = asyncio.get_running_loop().time()

    def _complain(self, text: str, detail: object) -> None:
        # under load there may be thousands a second; the counters have them all
        now_s = asyncio.get_running_loop().time()
        if now_s - self._complained_s >= _COMPLAIN_S:
            self._complained_s = now_s
            _LOGGER.warning(text, detail)

    # ---- what the server could not take --------------------------------------------------

    def _hold(self, commands: Sequence[Command]) -> Outcome:
        """Keep *commands* until the server is back; sent again, they keep their ids."""
        if len(self._held) + len(commands) > self._max_held:
            self._complain("no more is held for the queue's server: %d commands", len(self._held))
            return Outcome.FAILED
        self._held.extend(commands)
        if self._catching_up is None:
            self._catching_up = asyncio.get_running_loop().create_task(self._catch_up())
        return Outcome.HELD

    async def _catch_up(self) -> None:
        try:
            while self._held:
                await asyncio.sleep(_CATCH_UP_S)
                await self._send_held()
        finally:
            self._catching_up = None

    async def _send_held(self) -> None:
        """Send what is held, as far as the server takes it."""
        try:
            while self._held and self._connection.usable() and await self._has_room():
                some = list(islice(self._held, MAX_BATCH))
                await self._send(some)
                for _ in some:
                    self._held.popleft()
        except (CacheUnavailableError, _RefusedError) as error:
            self._complain("the queue's server fails: %s", error)

    # ---- commands ------------------------------------------------------------------------

    def _commands(self, batch: Sequence[_Pending]) -> list[Command]:
        mails: list[dict[str, Any]] = []
        logs: list[dict[str, Any]] = []
        for pending in batch:
            for item in pending.items:
                (mails if isinstance(item, Notification) else logs).append(item.to_wire())
        commands: list[Command] = []
        if mails:
            commands += [self._envelopes.enqueue(QueueName.MAIL, mail) for mail in mails]
            commands.append(count_command(QueueName.MAIL, Counter.ENQUEUED, len(mails)))
        if logs:
            # lines cannot fail one by one, so one message carries them all
            commands.append(self._envelopes.enqueue(QueueName.LOG, logs))
            commands.append(count_command(QueueName.LOG, Counter.ENQUEUED, len(logs)))
        return commands

    async def _ask(self, commands: Sequence[Command]) -> list[Any]:
        """Return the replies, after telling the server the scripts if it does not know them."""
        replies = await self._connection.ask(*commands, limit_s=self._time_limit_s)
        unknown = [i for i, reply in enumerate(replies) if _is_unknown_script(reply)]
        if unknown:
            again = [*self._envelopes.load_commands(), *(commands[i] for i in unknown)]
            answers = await self._connection.ask(*again, limit_s=self._time_limit_s)
            for i, answer in zip(unknown, answers[-len(unknown) :], strict=True):
                replies[i] = answer
        for reply in replies:
            if isinstance(reply, ReplyError):
                msg = f"the server refused: {reply}"
                raise _RefusedError(msg)
        return replies


def _is_unknown_script(reply: object) -> bool:
    return isinstance(reply, ReplyError) and str(reply).startswith("NOSCRIPT")
