"""
The endpoints: what happens between a request and its answer, stage by stage.

A request on the hot path makes one round trip to Redis, which brings the token's session and
the answer together. What to fetch is guessed from the token before it is verified; what was
fetched is used only if the session, or else the signature, bears the guess out.
"""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime
from functools import lru_cache
from time import monotonic, perf_counter
from typing import Any, TypeVar

from perfkit.embedded.errors import DynamoDBError
from perfkit.service.activity import Activity
from perfkit.service.database import Database, Session, unavailable
from perfkit.service.encoding import encode_again, encode_row
from perfkit.service.memory import Look, Memory
from perfkit.service.middleware import TRACE, respond
from perfkit.service.paging import Page, Pager
from perfkit.service.problems import Problem
from perfkit.service.questions import (
    BY_INSTRUCTOR,
    BY_SEMESTER,
    OF_COURSE,
    OF_USER,
    PROFILE,
    Kind,
    Question,
)
from perfkit.service.requests import read_body, read_identifier, read_page, read_query
from perfkit.service.settings import Switches
from perfkit.service.store import Person, Store
from perfkit.service.timing import CacheState, Trace
from perfkit.service.tokens import Tokens, bad_token, bearer_token, claimed_user

__all__ = ["Clock", "Endpoints"]

Clock = Callable[[], datetime]
"""Returns the time of day, UTC."""

T = TypeVar("T")

_REMEMBERED = 1024
"""Queries of which a process need not read the same text again."""

_MEMBERS = frozenset({"course_id"})

_Asked = tuple[Question, Page | None]


class _Call:
    """One request while it is answered."""

    __slots__ = (
        "claimed",
        "did",
        "digest",
        "person",
        "receive",
        "scope",
        "session",
        "token",
        "trace",
    )

    def __init__(self, scope: Any, receive: Any, session: Session) -> None:
        self.scope = scope
        self.receive = receive
        self.session = session
        self.trace: Trace = scope[TRACE]
        self.token = b""
        self.claimed = ""
        self.digest = ""
        self.person: Person | None = None
        self.did: str | None = None
        """What to tell its user that he did."""


class _Answer:
    """A success."""

    __slots__ = ("body", "headers", "status")

    def __init__(
        self, body: bytes, status: int = 200, headers: dict[str, str] | None = None
    ) -> None:
        self.body = body
        self.status = status
        self.headers = headers


class Endpoints:
    """
    One method an endpoint, each an ASGI application.

    Args:
        switches: The optimisations.
        tokens: Verifies who asks.
        pager: Cuts answers into pages.
        store: Asks DynamoDB.
        database: Runs what the store does.
        memory: What is kept in Redis.
        activity: Told of what users do; None tells nobody.
        clock: Says when an enrollment was made.
    """

    def __init__(
        self,
        *,
        switches: Switches,
        tokens: Tokens,
        pager: Pager,
        store: Store,
        database: Database,
        memory: Memory,
        activity: Activity | None,
        clock: Clock,
    ) -> None:
        self._switches = switches
        self._tokens = tokens
        self._pager = pager
        self._store = store
        self._database = database
        self._memory = memory
        self._activity = activity
        self._clock = clock
        self._writing: set[asyncio.Task[Any]] = set()

        @lru_cache(maxsize=_REMEMBERED)
        def ask_courses(raw: bytes) -> _Asked:
            query = read_query(raw)
            semester = read_identifier("semester", query.get("semester"))
            department = read_identifier("department", query.get("department"))
            question = Question(BY_SEMESTER, semester, department)
            return question, read_page(query, self._pager, question)

        self._ask_courses = ask_courses

    async def close(self) -> None:
        """Wait for what is being written."""
        if self._writing:
            await asyncio.wait(self._writing)

    # -- reading

    async def courses(self, scope: Any, receive: Any, send: Any) -> None:
        """`GET /api/courses`: of a semester and department."""

        def ask(_: str) -> _Asked:
            return self._ask_courses(scope["query_string"])

        async def answer(call: _Call) -> _Answer:
            result = await self._read(call, ask)
            # who asks by HEAD has seen none
            if scope["method"] != "HEAD":
                call.did = "looked at courses"
            return result

        await self._answer(scope, receive, send, answer)

    async def instructor(self, scope: Any, receive: Any, send: Any) -> None:
        """`GET /api/instructors/{id}/courses`."""
        await self._answer_pages(scope, receive, send, BY_INSTRUCTOR, lambda _: _id(scope))

    async def enrollments(self, scope: Any, receive: Any, send: Any) -> None:
        """`GET /api/enrollments`: of whoever asks."""
        await self._answer_pages(scope, receive, send, OF_USER, lambda claimed: claimed)

    async def roster(self, scope: Any, receive: Any, send: Any) -> None:
        """`GET /api/courses/{id}/enrollments`."""
        await self._answer_pages(scope, receive, send, OF_COURSE, lambda _: _id(scope))

    async def profile(self, scope: Any, receive: Any, send: Any) -> None:
        """`GET /api/users/{id}/profile`."""

        def ask(_: str) -> _Asked:
            return Question(PROFILE, _id(scope)), None

        await self._answer(scope, receive, send, lambda call: self._read(call, ask))

    async def _answer_pages(
        self, scope: Any, receive: Any, send: Any, kind: Kind, value: Callable[[str], str]
    ) -> None:
        def ask(claimed: str) -> _Asked:
            question = Question(kind, value(claimed))
            query = read_query(scope["query_string"])
            return question, read_page(query, self._pager, question)

        await self._answer(scope, receive, send, lambda call: self._read(call, ask))

    async def _read(self, call: _Call, ask: Callable[[str], _Asked]) -> _Answer:
        trace = call.trace
        self._identify(call)
        started_s = perf_counter()
        try:
            question, page = ask(call.claimed)
        except Problem:
            # told only to those who may ask at all
            trace.parse_s = perf_counter() - started_s
            await self._authenticate(call, await self._look(call, None))
            raise
        trace.parse_s = perf_counter() - started_s
        look = await self._look(call, question)
        person = await self._authenticate(call, look)
        if question.user not in {None, person.user}:
            raise Problem(403, "what is kept of another user is not for you to read")
        body = await self._fill(call, question, look)
        if not body:
            raise question.not_found()
        started_s = perf_counter()
        again = trace.cache is CacheState.HIT and not self._switches.passthrough
        if page is not None:
            cut = self._pager.encode if again else self._pager.cut
            body = cut(body, page, question)
        elif again:
            body = encode_again(body)
        trace.serialize_s += perf_counter() - started_s
        return _Answer(body)

    def _identify(self, call: _Call) -> None:
        """Find out who the token says it is, without believing it."""
        started_s = perf_counter()
        call.token = bearer_token(_header(call.scope, b"authorization"))
        claimed = claimed_user(call.token)
        if claimed is None:
            raise bad_token()
        call.claimed = claimed
        if self._switches.sessions:
            call.digest = self._tokens.digest(call.token)
        call.trace.auth_s = perf_counter() - started_s

    async def _look(self, call: _Call, question: Question | None) -> Look:
        """Fetch what is kept, of the session and of the answer."""
        started_s = perf_counter()
        if question is not None and question.user not in {None, call.claimed}:
            # will be refused
            question = None
        look = await self._memory.look(call.claimed, call.digest, question)
        if question is not None and self._switches.cache:
            call.trace.cache_s = perf_counter() - started_s
        else:
            call.trace.auth_s += perf_counter() - started_s
        return look

    async def _authenticate(self, call: _Call, look: Look) -> Person:
        """Return the user of the token, by its session or else by its signature."""
        started_s = perf_counter()
        person = look.person
        if person is None:
            claims = self._tokens.verify(call.token.decode())

            async def load() -> Person:
                found = await self._run(
                    call.session, lambda session: self._store.person(session, claims.user)
                )
                if found is None:
                    msg = "the user of the token is not known here"
                    raise bad_token(msg)
                return found

            person = await self._memory.remember(claims, call.digest, look, load)
            # a client of the request's own is made for the first call, whatever that is
            call.trace.db_s += call.session.connecting_s
            started_s += call.session.connecting_s
        call.trace.auth_s += perf_counter() - started_s
        call.person = person
        if not person.active:
            raise Problem(403, "your account is switched off")
        return person

    async def _fill(self, call: _Call, question: Question, look: Look) -> bytes:
        """Return the whole answer: what was found, or else what DynamoDB says."""
        trace = call.trace
        started_s = perf_counter()
        filling_s = 0.0

        async def fill() -> bytes:
            nonlocal filling_s
            began_s = perf_counter()
            body, encoding_s = await self._run(call.session, ask)
            filling_s = perf_counter() - began_s
            trace.db_s += filling_s - encoding_s
            trace.serialize_s += encoding_s
            return body

        def ask(session: Session) -> tuple[bytes, float]:
            rows = question.answer(self._store, session)
            answered_s = perf_counter()
            body = question.encode(rows)
            return body, perf_counter() - answered_s

        body, trace.cache = await self._memory.fill(question, look, fill)
        if self._switches.cache:
            trace.cache_s += perf_counter() - started_s - filling_s
        return body

    # -- writing

    async def enroll(self, scope: Any, receive: Any, send: Any) -> None:
        """`POST /api/enrollments`."""

        async def answer(call: _Call) -> _Answer:
            person = await self._writer(call)
            started_s = perf_counter()
            content = await read_body(scope, receive, _MEMBERS)
            course = read_identifier("course_id", content.get("course_id"))
            call.trace.parse_s = perf_counter() - started_s
            now = self._clock()
            row = await self._write(
                call, lambda session: self._store.enroll(session, person.user, course, now)
            )
            call.did = f"enrolled in course {course}"
            location = f"/api/enrollments/{row['enrollment_id']}"
            return _Answer(encode_row(row), 201, {"Location": location})

        await self._answer(scope, receive, send, answer)

    async def withdraw(self, scope: Any, receive: Any, send: Any) -> None:
        """`DELETE /api/enrollments/{id}`."""

        async def answer(call: _Call) -> _Answer:
            person = await self._writer(call)
            enrollment = _id(scope)
            course = await self._write(
                call, lambda session: self._store.withdraw(session, person.user, enrollment)
            )
            call.did = f"left course {course}"
            return _Answer(b"", 204)

        await self._answer(scope, receive, send, answer)

    async def _writer(self, call: _Call) -> Person:
        self._identify(call)
        return await self._authenticate(call, await self._look(call, None))

    async def _write(self, call: _Call, work: Callable[[Session], T]) -> T:
        """
        Change something, and have forgotten what it makes untrue before anybody is told.

        When time is up it goes on without the request: what is written late is forgotten, too,
        and so is what may or may not have been written.
        """
        session = call.session

        async def write_and_forget() -> T:
            started_s = perf_counter()
            try:
                return await self._run(session, work, abandon=False)
            finally:
                written_s = perf_counter()
                call.trace.db_s += written_s - started_s
                await self._memory.forget(session.touched)
                call.trace.cache_s = perf_counter() - written_s

        task = asyncio.get_running_loop().create_task(write_and_forget())
        self._writing.add(task)
        task.add_done_callback(self._writing.discard)
        try:
            async with asyncio.timeout(session.expires_at_s - monotonic()):
                return await asyncio.shield(task)
        except TimeoutError as error:
            msg = "DynamoDB did not answer in time; whether it was done is not known yet"
            raise unavailable(msg) from error

    # -- both

    async def _answer(
        self, scope: Any, receive: Any, send: Any, answer: Callable[[_Call], Awaitable[_Answer]]
    ) -> None:
        """Send what *answer* returns, or its problem, and tell of it."""
        call = _Call(scope, receive, self._database.session())
        trace = call.trace
        try:
            success = await answer(call)
        except Problem as problem:
            await self._tell(call, problem.status)
            raise
        finally:
            call.session.close()
            trace.read_units = call.session.read_units
            trace.write_units = call.session.write_units
        await self._tell(call, success.status)
        await respond(send, success.status, success.body, headers=success.headers)

    async def _tell(self, call: _Call, status: int) -> None:
        if self._activity is None or call.person is None:
            return
        started_s = perf_counter()
        await self._activity.tell(call.trace, call.scope, status, call.person, call.did)
        call.trace.notify_s = perf_counter() - started_s

    async def _run(
        self, session: Session, work: Callable[[Session], T], *, abandon: bool = True
    ) -> T:
        try:
            return await self._database.run(session, work, abandon=abandon)
        except DynamoDBError as error:
            msg = f"DynamoDB answered {error.code}: {error.message}"
            raise RuntimeError(msg) from error


def _header(scope: Any, name: bytes) -> bytes | None:
    value: bytes
    for header, value in scope["headers"]:
        if header == name:
            return value
    return None


def _id(scope: Any) -> str:
    return read_identifier("id", scope["path_params"]["id"])
