"""
Cache-aside: look in the cache, else ask the database and keep what it said.

The cache never fails a request. Whatever is wrong with it, the request is answered by its fill,
after the time limit at the latest.
"""

import random
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Self

from perfkit.cache.address import parse_url
from perfkit.cache.breaker import CircuitBreaker
from perfkit.cache.connection import (
    CacheError,
    CacheUnavailableError,
    Command,
    Connection,
    value,
)
from perfkit.cache.encoding import decode, encode
from perfkit.cache.fills import Fill, Fills, Job
from perfkit.cache.invalidation import Invalidations
from perfkit.cache.policy import Keys, Place
from perfkit.cache.settings import CacheSettings
from perfkit.cache.statistics import Outcome, Snapshot, Statistics
from perfkit.capacity import AttributeValue
from perfkit.measure.clock import Clock, RealClock

__all__ = ["SESSIONS", "Cache", "Fetched", "Lookup", "Status"]

SESSIONS = "@session"
"""The name under which sessions are counted, as if they were a pattern; no pattern has it."""

_NOT_ASKED = object()


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


@dataclass(frozen=True, slots=True)
class Fetched:
    """
    What one look into the cache found, to be handed on to `Cache.get_or_fill`.

    Attributes:
        place: Where the answer would be; None where nothing is kept for the pattern.
        body: The answer, if it was there.
        session: The session, if it was asked for and there.
        failed: The cache failed to answer for `body`.
        spent_s: What the look took.
    """

    place: Place | None
    body: bytes | None
    session: bytes | None
    failed: bool
    spent_s: float


class Cache:
    """
    A cache in front of the database, for one event loop; any number of processes may share it.

    Args:
        url: Of the Redis server.
        keys: What is kept, where and how long.
        settings: How to behave.
        clock: For the breaker.
        dice: For jitter.
    """

    def __init__(
        self,
        url: str,
        keys: Keys,
        settings: CacheSettings | None = None,
        *,
        clock: Clock | None = None,
        dice: random.Random | None = None,
    ) -> None:
        self.keys = keys
        self._settings = settings = settings or CacheSettings()
        self._statistics = Statistics()
        clock = clock or RealClock()
        self._breaker = CircuitBreaker(
            failures=settings.breaker_failures, open_s=settings.breaker_open_s, clock=clock
        )
        self._connection = Connection(parse_url(url), self._breaker, settings.time_limit_s)
        self._dice = dice or random.Random()  # noqa: S311 - for jitter
        self._fills = Fills(self._connection, settings, self._dice)
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
        self._statistics.server.breaker_openings = self._breaker.openings
        return self._statistics.snapshot()

    # ---- answers -------------------------------------------------------------------------

    async def get_or_fill(
        self,
        pattern: str,
        parameters: Mapping[str, AttributeValue],
        fill: Fill,
        *,
        variant: str = "",
        fetched: Fetched | None = None,
    ) -> Lookup:
        """
        Return the answer to a question, from the cache if it is there, else from *fill*.

        Args:
            pattern: The question; one without a cache policy is always filled.
            parameters: Its values in wire form, by ":name".
            fill: Asks the database. It may be left out if another request is asking already.
            variant: Tells apart the forms of one answer, its pages say; forgotten together.
            fetched: What `fetch` found for the same question, to save the look.

        Raises:
            ConfigError: A parameter of the cache key is missing or of the wrong type.
            Exception: Whatever *fill*, or the fill this request waited for, raised.
        """
        if fetched is None:
            fetched = await self.fetch(pattern, parameters, variant=variant)
        template = self.keys.template(pattern)
        if template is None or fetched.place is None:
            started_s = time.perf_counter()
            body = await fill()
            return Lookup(body, Status.OFF, 0.0, time.perf_counter() - started_s)
        statistics = self._statistics.pattern(pattern)
        if fetched.body is not None:
            statistics.counts.hits += 1
            statistics.record(Outcome.HIT, fetched.spent_s)
            return Lookup(fetched.body, Status.HIT, fetched.spent_s, 0.0)
        job = Job(
            place=fetched.place,
            ttl_s=template.ttl_s,
            fill=fill,
            spent_s=fetched.spent_s,
            statistics=statistics,
        )
        return await self._without(job, failed=fetched.failed)

    async def fetch(
        self,
        pattern: str,
        parameters: Mapping[str, AttributeValue],
        *,
        variant: str = "",
        session: str | None = None,
    ) -> Fetched:
        """
        Look for an answer, and for a session as well, in one round trip.

        Args:
            pattern: The question.
            parameters: Its values in wire form, by ":name".
            variant: As in `get_or_fill`.
            session: Digest of a token.

        Raises:
            ConfigError: A parameter of the cache key is missing or of the wrong type.
        """
        started_s = time.perf_counter()
        template = self.keys.template(pattern)
        place = None if template is None else template.place(parameters, variant)
        look = None if place is None or self._invalidations.owes(place.key) else ("HGET", *place)
        commands: list[Command] = [] if look is None else [look]
        if session is not None:
            commands.append(("GET", self.keys.session(session)))
        replies = await self._replies(commands)
        body, failed = None, place is not None
        if look is not None and replies:
            body, failed = await self._decoded(replies[0])
        found = None
        if session is not None:
            reply = replies[-1] if replies else _NOT_ASKED
            found = await self._session(reply, started_s)
        return Fetched(place, body, found, failed, time.perf_counter() - started_s)

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

    # ---- sessions ------------------------------------------------------------------------

    async def get_session(self, digest: str) -> bytes | None:
        """Return what `put_session` kept for a token, None if nothing or the cache fails."""
        started_s = time.perf_counter()
        replies = await self._replies([("GET", self.keys.session(digest))])
        return await self._session(replies[0] if replies else _NOT_ASKED, started_s)

    async def put_session(self, digest: str, body: bytes, ttl_s: float) -> bool:
        """
        Keep what is known of a token; return False if the cache fails.

        Args:
            digest: Of the token: what is in the cache must not let anybody in.
            body: What to keep.
            ttl_s: Never kept longer than this, so that a token cannot outlive itself.
        """
        stored = await encode(body, self._settings.compress_over_bytes)
        share = self._dice.uniform(1 - self._settings.jitter, 1)
        ttl_ms = max(round(ttl_s * share * 1e3), 1)
        command = ("SET", self.keys.session(digest), stored, "PX", ttl_ms)
        kept = await self._replies([command]) == [b"OK"]
        self._statistics.pattern(SESSIONS).counts.fills += kept
        return kept

    # ---- parts ---------------------------------------------------------------------------

    async def _without(self, job: Job, *, failed: bool) -> Lookup:
        """Return the answer that was not found, counted as what it turns out to be."""
        counts = job.statistics.counts
        started_s = time.perf_counter()
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
        whole_s = job.spent_s + time.perf_counter() - started_s
        job.statistics.record(Outcome.ERROR if failed else Outcome.MISS, whole_s)
        return Lookup(body, Status.ERROR if failed else Status.MISS, whole_s - fill_s, fill_s)

    async def _replies(self, commands: Sequence[Command]) -> list[Any]:
        """Return the replies to *commands*; none if the server cannot be asked."""
        if not commands or not self._connection.usable():
            return []
        try:
            return await self._connection.ask(*commands, limit_s=self._settings.time_limit_s)
        except CacheUnavailableError:
            return []

    async def _decoded(self, reply: Any) -> tuple[bytes | None, bool]:
        """Return the value in a reply, None if it holds none, and whether the cache failed."""
        try:
            match value(reply):
                case None:
                    return None, False
                case bytes(stored):
                    return await decode(stored, self._settings.largest_bytes), False
                case _:
                    return None, True
        except CacheError:
            return None, True

    async def _session(self, reply: Any, started_s: float) -> bytes | None:
        """Return the session in a reply, and count it."""
        statistics = self._statistics.pattern(SESSIONS)
        body, failed = (None, True) if reply is _NOT_ASKED else await self._decoded(reply)
        if failed:
            outcome = Outcome.ERROR
            statistics.counts.errors += 1
        elif body is None:
            outcome = Outcome.MISS
            statistics.counts.misses += 1
        else:
            outcome = Outcome.HIT
            statistics.counts.hits += 1
        statistics.record(outcome, time.perf_counter() - started_s)
        return body
