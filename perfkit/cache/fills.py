"""
One fill per key: of all requests that miss, in all processes, one asks the database.

Requests of a process share a *flight*: a task that gets the lease, asks the database and stores
the answer. Flights of several processes meet at the lease: one is granted it, the others look
again until the answer is there.

Nobody may be given an answer older than an invalidation that ended before they asked. A flight
found or stored its answer under a lease that no invalidation took away, so it is good for all
who waited; one that was refused is good only for those who came before it asked the database.
"""

import asyncio
import contextlib
import random
import secrets
import time
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from functools import partial
from typing import Any

from perfkit.cache import scripts
from perfkit.cache.connection import (
    CacheError,
    CacheUnavailableError,
    Command,
    Connection,
    value,
)
from perfkit.cache.encoding import decode, encode
from perfkit.cache.policy import Place
from perfkit.cache.settings import CacheSettings
from perfkit.cache.statistics import Outcome, PatternStatistics

__all__ = ["Answer", "Fill", "Fills", "Job"]

Fill = Callable[[], Awaitable[bytes]]
"""What asks the database."""

# between looks for the answer of another process
_FIRST_PAUSE_S = 0.004
_LONGEST_PAUSE_S = 0.025


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """
    What to do for a request that missed.

    Attributes:
        place: Where its answer belongs.
        ttl_s: How long it is kept there.
        fill: How to get it.
        statistics: Where to count.
    """

    place: Place
    ttl_s: float
    fill: Fill
    statistics: PatternStatistics


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """
    What a flight brought.

    Attributes:
        body: The answer.
        current: Nothing was invalidated while it was fetched: good for everybody who waits.
        failed: The cache server failed on the way.
        filled: It comes from the database, by this very flight.
        fill_s: What that took.
    """

    body: bytes
    current: bool
    failed: bool
    filled: bool
    fill_s: float = 0.0


class _Flight:
    """A task that gets an answer; `reading` once it may have begun to ask the database."""

    __slots__ = ("reading", "task")

    def __init__(self, answer: "Callable[[_Flight], Coroutine[Any, Any, Answer]]") -> None:
        self.reading = False
        self.task = asyncio.get_running_loop().create_task(answer(self))


class Fills:
    """
    The fills of this process.

    Args:
        connection: To the server, where fills of several processes meet.
        settings: How long to wait, to hold a lease, to keep an answer.
        rng: For jitter.
    """

    def __init__(self, connection: Connection, settings: CacheSettings, rng: random.Random) -> None:
        self._connection = connection
        self._settings = settings
        self._rng = rng
        self._flights: dict[Place, _Flight] = {}

    async def bring(self, job: Job) -> tuple[Answer, bool]:
        """
        Return an answer, and whether this call's own fill, or look into the cache, brought it.

        Raises:
            Exception: Whatever the fill raised, for everybody who waited for it.
        """
        while True:
            flight = self._flights.get(job.place)
            own = flight is None
            if flight is None:
                flight = self._flights[job.place] = _Flight(partial(self._fly, job))
            in_time = not flight.reading
            # who waits may give up; the others still want the answer
            answer = await asyncio.shield(flight.task)
            if own or in_time or answer.current:
                return answer, own

    async def fill(self, job: Job) -> tuple[bytes, float]:
        """Return what the database says, and the seconds that took."""
        counts = job.statistics.counts
        counts.fills += 1
        started_s = time.perf_counter()
        try:
            body = await job.fill()
        except Exception:
            counts.failed_fills += 1
            raise
        fill_s = time.perf_counter() - started_s
        job.statistics.record(Outcome.FILL, fill_s)
        return body, fill_s

    async def _fly(self, job: Job, flight: _Flight) -> Answer:
        try:
            return await self._answer(job, flight)
        finally:
            del self._flights[job.place]

    async def _answer(self, job: Job, flight: _Flight) -> Answer:
        token = secrets.token_hex(8)
        granted: bytes | int | None = None
        failed = False
        try:
            granted = await self._await_lease(job.place, token)
            if isinstance(granted, bytes):
                body = await decode(granted, self._settings.largest_bytes)
                return Answer(body=body, current=True, failed=False, filled=False)
        except CacheError:
            granted, failed = None, True
        flight.reading = True
        try:
            body, fill_s = await self.fill(job)
        except Exception:
            if granted is not None:
                await self._give_back(job.place, token)
            raise
        stored = False
        if granted is not None:
            try:
                stored = await self._store(job, token, body, granted)
            except CacheError:
                failed = True
        return Answer(body=body, current=stored, failed=failed, filled=True, fill_s=fill_s)

    async def _await_lease(self, place: Place, token: str) -> bytes | int | None:
        """
        Return the value, or for how many ms one may be kept, or None if another takes too long.
        """
        settings = self._settings
        command = scripts.acquire(*place, token, round(settings.lease_s * 1e3))
        deadline_s = time.perf_counter() + settings.wait_s
        pause_s = _FIRST_PAUSE_S
        while (reply := await self._ask(command)) == scripts.BUSY:
            if time.perf_counter() >= deadline_s:
                return None
            await asyncio.sleep(pause_s * self._rng.uniform(0.5, 1))
            pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)
        if isinstance(reply, bytes | int):
            return reply
        msg = f"no answer to a request for a lease: {reply!r:.80}"
        raise CacheUnavailableError(msg)

    async def _store(self, job: Job, token: str, body: bytes, lag_ms: int) -> bool:
        """Store the answer unless it was invalidated meanwhile; return whether it is stored."""
        settings = self._settings
        stored = await encode(body, settings.compress_over_bytes)
        if len(stored) > settings.largest_bytes:
            job.statistics.counts.too_large += 1
            await self._give_back(job.place, token)
            return False
        ttl_ms = settings.kept_ms(job.ttl_s, self._rng)
        if lag_ms > 0:
            ttl_ms = min(ttl_ms, lag_ms)
        if await self._ask(scripts.store(*job.place, token, stored, ttl_ms)) == scripts.DONE:
            return True
        job.statistics.counts.stale_writes_refused += 1
        return False

    async def _give_back(self, place: Place, token: str) -> None:
        # if this fails, the lease expires
        with contextlib.suppress(CacheError):
            await self._ask(scripts.release(*place, token))

    async def _ask(self, command: Command) -> Any:
        (reply,) = await self._connection.ask(command)
        return value(reply)
