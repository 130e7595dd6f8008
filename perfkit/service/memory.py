"""
What is kept in Redis: answers and sessions, as far as the switches want them kept.

A session is kept like an answer to the question who a user is, a form of it for each of his
tokens. So it is forgotten when the user is changed, one that was loaded before that is not
stored after it, and of many requests with a new token one loads the user.
"""

import time
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import replace
from functools import lru_cache
from time import perf_counter

import orjson

from perfkit.cache.aside import Cache, Fetched, Status
from perfkit.cache.breaker import CircuitBreaker
from perfkit.cache.policy import Place
from perfkit.capacity import Item
from perfkit.service.questions import Question
from perfkit.service.settings import Switches
from perfkit.service.store import USERS, Person
from perfkit.service.timing import CacheState
from perfkit.service.tokens import Claims
from perfkit.workloads.model import AccessPattern, CachePolicy, GetForm, Workload

__all__ = ["SESSION", "SESSION_S", "Look", "Memory", "ServiceCache", "with_sessions"]

SESSION = "session"
"""The pattern of sessions."""

SESSION_S = 1800.0
"""How long a session is kept; its token may end before, and the session with it."""

_STATES = {status: CacheState(status.value) for status in Status}
_REMEMBERED = 4096


def with_sessions(workload: Workload) -> Workload:
    """Return a workload in whose cache there is room for sessions."""
    anybody = {"S": "anybody"}
    sessions = AccessPattern(
        name=SESSION,
        description="The user of a token",
        table=USERS,
        parameters={":user": anybody},
        names={},
        scan_filter="user_id = :user",
        query=None,
        get=GetForm(key={"user_id": anybody}, parameters={"user_id": ":user"}),
        returns=(),
        cache=CachePolicy(key="session:user:{user}", ttl_s=SESSION_S),
        quoted=None,
    )
    return replace(workload, patterns=(*workload.patterns, sessions))


class ServiceCache(Cache):
    """A cache that is asked for several things in one round trip."""

    @property
    def breaker(self) -> CircuitBreaker:
        """What knows whether the server is there; for others that ask the same one."""
        return self._breaker

    async def fetch_places(self, *places: Place) -> list[Fetched]:
        """Look into several places; each result is for `get_or_fill`."""
        started_s = perf_counter()
        wanted = [place for place in places if not self._invalidations.owes(place.key)]
        replies = await self._replies([("HGET", *place) for place in wanted])
        # no replies at all if the server cannot be asked
        found = dict(zip(wanted, replies, strict=False))
        fetched = []
        for place in places:
            body, failed = None, True
            if place in found:
                body, failed = await self._decoded(found[place])
            fetched.append(Fetched(place, body, None, failed, perf_counter() - started_s))
        return fetched

    def count_hit(self, pattern: str) -> None:
        """Count an answer that was found and needs no `get_or_fill`."""
        self._statistics.pattern(pattern).counts.hits += 1


class Look:
    """
    What was found for a request.

    Attributes:
        person: The token's user, None if there is no session.
        session: For `Memory.remember`.
        answer: For `Memory.fill`.
    """

    __slots__ = ("answer", "person", "session")

    def __init__(self) -> None:
        self.person: Person | None = None
        self.session: Fetched | None = None
        self.answer: Fetched | None = None


class Memory:
    """
    Keeps answers and sessions.

    Args:
        cache: None if the switches keep nothing.
        switches: Which of the two to keep.
        now: Returns the time of day, in seconds.
    """

    def __init__(
        self,
        cache: ServiceCache | None,
        switches: Switches,
        *,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._cache = cache
        self._keeps_answers = switches.cache
        self._keeps_sessions = switches.sessions
        self._now = now

        @lru_cache(maxsize=_REMEMBERED)
        def place(pattern: str, variant: str, *values: tuple[str, str]) -> Place | None:
            parameters = {f":{name}": {"S": value} for name, value in values}
            template = None if cache is None else cache.keys.template(pattern)
            return None if template is None else template.place(parameters, variant)

        self._place = place

    async def look(self, claimed: str, digest: str, question: Question | None) -> Look:
        """
        Return what is kept of a token and a question, by one round trip at most.

        Args:
            claimed: Whom the token names; a session of anybody else's is none.
            digest: Of the token.
            question: None to look for the session only.
        """
        look = Look()
        if self._cache is None:
            return look
        session = answer = None
        if self._keeps_sessions:
            session = self._place(SESSION, digest, ("user", claimed))
        if self._keeps_answers and question is not None:
            answer = self._place(question.kind.pattern, "", *question.pairs)
        places = [place for place in (session, answer) if place is not None]
        fetched = await self._cache.fetch_places(*places) if places else []
        if answer is not None:
            look.answer = fetched[-1]
        if session is not None:
            look.session = fetched[0]
            look.person = self._read(fetched[0].body, claimed)
            if look.person is not None:
                self._cache.count_hit(SESSION)
        return look

    def _read(self, session: bytes | None, claimed: str) -> Person | None:
        if session is None:
            return None
        user, email, active, expires_at_s = orjson.loads(session)
        if user != claimed or expires_at_s <= self._now():
            return None
        return Person(user=user, email=email, active=active)

    async def remember(
        self, claims: Claims, digest: str, look: Look, load: Callable[[], Awaitable[Person]]
    ) -> Person:
        """Return the user of a verified token, from *load* unless somebody else loaded him."""
        if self._cache is None or look.session is None or look.session.body is not None:
            # there is a session that is out of date: it goes when its time is up
            return await load()

        async def fill() -> bytes:
            person = await load()
            return orjson.dumps([person.user, person.email, person.active, claims.expires_at_s])

        lookup = await self._cache.get_or_fill(
            SESSION, {":user": {"S": claims.user}}, fill, variant=digest, fetched=look.session
        )
        return self._read(lookup.body, claims.user) or await load()

    async def fill(
        self, question: Question, look: Look, fill: Callable[[], Awaitable[bytes]]
    ) -> tuple[bytes, CacheState]:
        """Return the answer that `look` found, or else that of *fill*, which is then kept."""
        if self._cache is None or not self._keeps_answers:
            return await fill(), CacheState.OFF
        lookup = await self._cache.get_or_fill(
            question.kind.pattern, question.parameters, fill, fetched=look.answer
        )
        return lookup.body, _STATES[lookup.status]

    async def forget(self, changed: Iterable[tuple[str, Item]]) -> None:
        """Forget what items, each with its table, are in."""
        if self._cache is None:
            return
        keys = self._cache.keys
        await self._cache.invalidate(
            dict.fromkeys(key for table, item in changed for key in keys.affected(table, item))
        )
