"""
Cache-aside: look in the cache, else ask the database and keep its answer.

The cache never fails a request. Whatever is wrong with it, the request is answered by its fill,
after one time limit at the latest: the first command that takes longer opens the breaker.
"""

import random
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Self

from perfkit.cache.breaker import CircuitBreaker
from perfkit.cache.connection import CacheError, CacheUnavailableError, Connection, value
from perfkit.cache.encoding import decode
from perfkit.cache.fills import Fill, Fills, Job
from perfkit.cache.invalidation import Invalidations
from perfkit.cache.policy import Keys, Place
from perfkit.cache.settings import CacheSettings
from perfkit.cache.statistics import Outcome, Snapshot, Statistics
from perfkit.capacity import AttributeValue
from perfkit.measure.clock import Clock, RealClock

__all__ = ["Cache", "Lookup", "Status"]


class Status(StrEnum):
    """How a request was answered; the value of the header X-Cache."""

    HIT = "HIT"
    MISS = "MISS"
    ERROR = "ERROR"
    """The cache failed; the answer is right all the same."""
    OFF = "OFF"
    """Nothing is kept for this pattern."""


@dataclass(frozen=True, slots=True)
class Lookup:
    """
    An answer and where it came from.

    Attributes:
        body: As the fill returned it, now or before.
        status: Where it came from.
        cache_s: Seconds spent on the cache, waiting for another's fill included.
        fill_s: Seconds of this request's own fill; 0 if it needed none.
    """

    body: bytes
    status: Status
    cache_s: float
    fill_s: float


class Cache:
    """
    A cache in front of the database, for one event loop; any number of processes may share it.

    Attributes:
        keys: What is kept, where and how long.
        breaker: Knows whether the server is there; for others that ask the same one.

    Args:
        url: Of the Redis server.
        keys: What is kept, where and how long.
        settings: How to behave.
        clock: For the breaker.
        rng: For jitter.
    """

    def __init__(
        self,
        url: str,
        keys: Keys,
        settings: CacheSettings | None = None,
        *,
        clock: Clock | None = None,
        rng: random.Random | None = None,
    ) -> None:
        self.keys = keys
        self._settings = settings = settings or CacheSettings()
        self._statistics = Statistics()
        clock = clock or RealClock()
        self.breaker = CircuitBreaker(open_s=settings.breaker_open_s, clock=clock)
        self._connection = Connection(
            url, self.breaker, settings.time_limit_s, trip_s=settings.trip_s
        )
        rng = rng or random.Random()  # noqa: S311 - for jitter
        self._fills = Fills(self._connection, settings, rng)
        self._invalidations = Invalidations(
            self._connection,
            settings,
            self._statistics.server,
            clock,
            expired_after_s=keys.longest_ttl_s * (1 + settings.jitter) + settings.lease_s,
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """End the connection. Requests that still come are answered by their fills."""
        await self._invalidations.close()
        await self._connection.close()

    def snapshot(self) -> Snapshot:
        """Return what this process has counted so far."""
        self._statistics.server.breaker_openings = self.breaker.openings
        return self._statistics.snapshot()

    # ---- answers -------------------------------------------------------------------------

    async def get_or_fill(
        self,
        pattern: str,
        parameters: Mapping[str, AttributeValue],
        fill: Fill,
        *,
        variant: str = "",
    ) -> Lookup:
        """
        Return the answer to a question, from the cache if it is there, else from *fill*.

        Args:
            pattern: The question; one without a cache policy is always filled.
            parameters: Its values in wire form, by ":name".
            fill: Asks the database. It may be left out if another request is asking already.
            variant: Tells apart the forms of one answer, its pages say; forgotten together.

        Raises:
            ConfigError: A parameter of the cache key is missing or of the wrong type.
            Exception: Whatever *fill*, or the fill this request waited for, raised.
        """
        started_s = time.perf_counter()
        template = self.keys.template(pattern)
        if template is None:
            body = await fill()
            return Lookup(body, Status.OFF, 0.0, time.perf_counter() - started_s)
        place = template.place(parameters, variant)
        statistics = self._statistics.pattern(pattern)
        try:
            found = await self._look(place)
        except CacheError:
            found, failed = None, True
        else:
            failed = False
        if found is not None:
            spent_s = time.perf_counter() - started_s
            statistics.counts.hits += 1
            statistics.record(Outcome.HIT, spent_s)
            return Lookup(found, Status.HIT, spent_s, 0.0)
        job = Job(place=place, ttl_s=template.ttl_s, fill=fill, statistics=statistics)
        return await self._without(job, started_s, failed=failed)

    async def answers(self) -> bool:
        """Return whether the server answers."""
        if not self._connection.usable():
            return False
        try:
            await self._connection.ask(("PING",))
        except CacheError:
            return False
        return True

    async def invalidate(self, keys: Iterable[str]) -> bool:
        """
        Forget answers: when this has returned True, no reader gets what was there before.

        Call it after the write to the database. A fill that began before it and is still under
        way is not stored.

        Args:
            keys: From `Keys.affected`.

        Returns:
            False if the server cannot be reached. This process then leaves these keys alone and
            keeps trying; other processes may see old answers until it succeeds, or until they
            expire.
        """
        return await self._invalidations.invalidate(keys)

    # ---- parts ---------------------------------------------------------------------------

    async def _look(self, place: Place) -> bytes | None:
        """
        Return what is kept, None if there is nothing.

        Raises:
            CacheError: The cache cannot be asked, or holds something that is not ours.
        """
        if self._invalidations.owes(place.key) or not self._connection.usable():
            msg = "the cache is not asked"
            raise CacheUnavailableError(msg)
        (reply,) = await self._connection.ask(("HGET", *place))
        stored = value(reply)
        if stored is None:
            return None
        if isinstance(stored, bytes):
            return await decode(stored, self._settings.largest_bytes)
        msg = f"no answer to a look: {stored!r:.80}"
        raise CacheUnavailableError(msg)

    async def _without(self, job: Job, started_s: float, *, failed: bool) -> Lookup:
        """Return the answer that was not found, counted as what it turns out to be."""
        counts = job.statistics.counts
        shared = False
        try:
            if failed:
                body, fill_s = await self._fills.fill(job)
            else:
                answer, own = await self._fills.bring(job)
                body, failed = answer.body, answer.failed
                shared = not (own and answer.filled)
                fill_s = 0.0 if shared else answer.fill_s
        finally:
            counts.errors += failed
            counts.misses += not failed
        counts.stampedes_avoided += shared
        whole_s = time.perf_counter() - started_s
        job.statistics.record(Outcome.ERROR if failed else Outcome.MISS, whole_s)
        return Lookup(body, Status.ERROR if failed else Status.MISS, whole_s - fill_s, fill_s)
