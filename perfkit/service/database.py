"""
Calls to DynamoDB from an event loop: boto3 in a bounded number of threads, within a deadline.

What DynamoDB does not answer is repeated a little, and less the more it refuses: each repeat
spends a token that ten successful calls earn, so that a service in trouble sees at most a tenth
more calls than requests, not three times as many.
"""

import asyncio
import contextlib
import logging
import math
import random
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import Any, Concatenate, ParamSpec, TypeVar

from perfkit.capacity import Item
from perfkit.dynamodb.errors import CONNECTION_LOST, THROTTLES, as_answer, is_transient
from perfkit.dynamodb.ownership import LOOK_EVERY_S, Ownership, not_ours
from perfkit.dynamodb.tables import Identity, describe
from perfkit.dynamodb.targets import Target
from perfkit.embedded.errors import DynamoDBError
from perfkit.errors import PerfkitError
from perfkit.service.problems import Problem, unavailable
from perfkit.service.timing import Stage, stage

__all__ = ["Database", "RetryBudget", "Session"]

T = TypeVar("T")
P = ParamSpec("P")

Connect = Callable[[], Any]
"""Returns a boto3 client."""

_ATTEMPTS = 3
_FIRST_PAUSE_S = 0.025
_CONNECT_TIMEOUT_S = 2.0
_READ_TIMEOUT_S = 10.0
_LATE = "DynamoDB did not answer in time; try again later"
_AWAY = "DynamoDB does not answer; try again later"
_REFUSED = "DynamoDB refuses for lack of capacity; try again later"
_CROWDED = "too many requests wait for DynamoDB; try again later"

_log = logging.getLogger("perfkit.service")


class RetryBudget:
    """
    How many repeats the calls of a process may still make.

    Args:
        size: Repeats saved up at most, and at the start.
        earned: What one successful call adds.
    """

    def __init__(self, *, size: float = 10.0, earned: float = 0.1) -> None:
        self._size = size
        self._earned = earned
        self._left = size
        self._lock = threading.Lock()

    def succeeded(self) -> None:
        """Earn a little."""
        with self._lock:
            self._left = min(self._size, self._left + self._earned)

    def spend(self) -> bool:
        """Take one repeat; False if there is none left."""
        with self._lock:
            if self._left < 1:
                return False
            self._left -= 1
            return True


class _Own:
    """
    Lets nothing be written into a table that is not perfkit's.

    Looks again and again: a service may run for days, and somebody may put a table of his own
    in the place of the one it began with.
    """

    def __init__(self, target: Target) -> None:
        self._ownership = Ownership(target)
        self._where = target.name
        self._known: dict[str, tuple[Identity, float]] = {}

    def check(self, session: "Session", table: str) -> None:
        """
        Make sure of a table before a write.

        Raises:
            Problem: 503: it is somebody else's.
        """
        now_s = time.monotonic()
        identity, looked_s = self._known.get(table, (None, -math.inf))
        if now_s - looked_s < LOOK_EVERY_S:
            return
        connection = _SessionConnection(session)
        state = describe(connection, table)
        if state is None:
            # the write itself finds it missing
            return
        is_same = state.identity.is_known and state.identity == identity
        if not is_same and self._ownership.mark_of(connection, state) is None:
            _log.error("%s", not_ours([table], self._where))
            raise Problem(503, f"table {table} is not perfkit's: nothing is written into it")
        self._known[table] = state.identity, now_s


class _SessionConnection:
    """A session as `perfkit.dynamodb` asks a target."""

    def __init__(self, session: "Session") -> None:
        self._session = session

    def execute(self, operation: str, request: Mapping[str, Any]) -> dict[str, Any]:
        from botocore import xform_name

        return self._session.call(xform_name(operation), metered=False, **request)

    def close(self) -> None:
        """Leave that to the session's owner."""


class Session:
    """
    One request's conversation with DynamoDB: its calls, and the units they consume.

    Not for two threads at a time.

    Args:
        database: Lends threads.
        connect: Returns a client; called in a thread, when the first call is made.
        own: Knows which tables may be written to.
        owns_client: Whether the client is this session's own, to be closed with it.
        expires_at_s: On `time.monotonic`: no call starts after it.
    """

    def __init__(
        self,
        database: "Database",
        connect: Connect,
        budget: RetryBudget,
        own: _Own,
        *,
        owns_client: bool,
        expires_at_s: float,
        where: str,
    ) -> None:
        self._database = database
        self._connect = connect
        self._owns_client = owns_client
        self._client: Any = None
        self._budget = budget
        self._own = own
        self._where = where
        self.expires_at_s = expires_at_s
        self.read_units = 0.0
        self.write_units = 0.0
        self.operations: dict[str, int] = {}
        """How often DynamoDB answered each operation, as the client's methods are called."""
        self.throttles = 0
        """How often DynamoDB refused for lack of capacity."""
        self.touched: list[tuple[str, Item]] = []
        """Items, with their tables, that were or may have been written."""

    async def ask(
        self, work: Callable[Concatenate["Session", P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """
        Return what *work* returns; it is called in a thread, with this session first.

        Raises:
            Problem: 503 if there are too many requests, DynamoDB cannot be asked or is too late.
            DynamoDBError: DynamoDB answered an error *work* did not expect.
        """
        with stage(Stage.DB):
            return await self._database.run(self, lambda session: work(session, *args, **kwargs))

    async def write(
        self, work: Callable[Concatenate["Session", P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Do what `ask` does, but wait for *work* even when time is up: it may be done by then."""
        with stage(Stage.DB):
            return await self._database.run(
                self, lambda session: work(session, *args, **kwargs), abandon=False
            )

    def call(
        self, operation: str, *, writes: bool = False, metered: bool = True, **request: Any
    ) -> dict[str, Any]:
        """
        Return the answer to one operation.

        Args:
            operation: As the client's method is called, e.g. `get_item`.
            writes: Whether it changes something: then it is repeated only if DynamoDB refused
                it, not if the answer was lost, since it may have been done.
            metered: Whether the operation says what it consumed.

        Raises:
            DynamoDBError: DynamoDB answered an error that a repeat does not change.
            Problem: 503: it cannot be asked, refuses, or time is up.
            ConfigError: It would write into a table that is not perfkit's.
        """
        if writes:
            self._own.check(self, request["TableName"])
        if metered:
            request["ReturnConsumedCapacity"] = "TOTAL"
        attempt = 0
        while True:
            if time.monotonic() >= self.expires_at_s:
                raise unavailable(_LATE)
            try:
                answer = self._send(operation, request)
            except DynamoDBError as error:
                refused = error.code in THROTTLES
                self.throttles += refused
                if not refused and not is_transient(error):
                    raise
                attempt += 1
                if not self._may_repeat(attempt, refused=refused, writes=writes):
                    raise _as_problem(error) from error
            else:
                self._budget.succeeded()
                self._count(answer, writes=writes)
                self.operations[operation] = self.operations.get(operation, 0) + 1
                return answer

    def _may_repeat(self, attempt: int, *, refused: bool, writes: bool) -> bool:
        if attempt >= _ATTEMPTS or (writes and not refused) or not self._budget.spend():
            return False
        pause_s = random.random() * _FIRST_PAUSE_S * 2**attempt  # noqa: S311 - no secret
        if time.monotonic() + pause_s >= self.expires_at_s:
            return False
        time.sleep(pause_s)
        return True

    def _send(self, operation: str, request: dict[str, Any]) -> dict[str, Any]:
        from botocore.exceptions import BotoCoreError, ClientError
        from botocore.parsers import ResponseParserError

        try:
            if self._client is None:
                self._client = self._connect()
            answer: dict[str, Any] = getattr(self._client, operation)(**request)
        except (BotoCoreError, ClientError, ResponseParserError) as error:
            raise as_answer(error, where=self._where) from error
        return answer

    def _count(self, answer: dict[str, Any], *, writes: bool) -> None:
        consumed = answer.get("ConsumedCapacity") or []
        entries = consumed if isinstance(consumed, list) else [consumed]
        units = sum(float(entry["CapacityUnits"]) for entry in entries)
        if writes:
            self.write_units += units
        else:
            self.read_units += units

    def describe(self, table: str) -> dict[str, Any] | None:
        """Return what DynamoDB says of a table, None if there is none."""
        try:
            answer: dict[str, Any] = self.call("describe_table", metered=False, TableName=table)[
                "Table"
            ]
        except DynamoDBError as error:
            if error.code == "ResourceNotFoundException":
                return None
            raise
        return answer

    def pages(self, operation: str, **request: Any) -> Iterator[list[Item]]:
        """Yield the items of each page of a `scan` or `query`."""
        while True:
            answer = self.call(operation, **request)
            yield answer["Items"]
            if "LastEvaluatedKey" not in answer:
                return
            request["ExclusiveStartKey"] = answer["LastEvaluatedKey"]

    def pause(self, attempt: int) -> None:
        """
        Wait before asking again for what a batch left out.

        Raises:
            Problem: 503: the budget or the time is used up.
        """
        self.throttles += 1
        if not self._may_repeat(attempt, refused=True, writes=False):
            raise unavailable(_REFUSED)

    def close(self) -> None:
        """Close the connection if it was made for this request."""
        if self._owns_client and self._client is not None:
            self._client.close()


class Database:
    """
    Runs work in threads, never more than `threads` at a time.

    Args:
        target: Where DynamoDB is.
        pooled: One client for all requests; else each makes a new session, client and connection.
        threads: Threads, and connections of the pooled client.
        waiting: Requests that may wait for a thread.
        deadline_s: Seconds from a request's first call to the end of its last.
    """

    def __init__(
        self, target: Target, *, pooled: bool, threads: int, waiting: int, deadline_s: float
    ) -> None:
        self._own = _Own(target)
        self._where = target.name
        self._deadline_s = deadline_s
        self._room = threads + waiting
        self._inside = 0
        self._slots = asyncio.Semaphore(threads)
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="dynamodb")
        self._budget = RetryBudget()
        make = partial(_client, target, threads, deadline_s)
        self._shared = _SharedClient(make) if pooled else None
        self._connect: Connect = make if self._shared is None else self._shared

    async def warm(self) -> None:
        """Do before the first request what the first would otherwise wait for."""
        await asyncio.get_running_loop().run_in_executor(self._pool, self._warm)

    def _warm(self) -> None:
        import boto3  # noqa: F401 - importing it is the point
        import jwt  # noqa: F401 - likewise

        if self._shared is not None:
            # callers are told what is wrong
            with contextlib.suppress(PerfkitError):
                self._shared()

    def session(self) -> Session:
        """Return a session for one request; its deadline runs from now."""
        return Session(
            self,
            self._connect,
            self._budget,
            self._own,
            owns_client=self._shared is None,
            expires_at_s=time.monotonic() + self._deadline_s,
            where=self._where,
        )

    async def run(
        self, session: Session, work: Callable[[Session], T], *, abandon: bool = True
    ) -> T:
        """
        Return what *work* returns; it is called with *session* in a thread.

        Args:
            abandon: When time is up, let the thread alone, which then ends with its next call;
                else wait for it all the same.

        Raises:
            Problem: 503 if there are too many requests, DynamoDB cannot be asked or is too late.
            DynamoDBError: DynamoDB answered an error *work* did not expect.
        """
        if self._inside >= self._room:
            raise unavailable(_CROWDED)
        self._inside += 1
        try:
            async with asyncio.timeout(session.expires_at_s - time.monotonic()):
                await self._slots.acquire()
        except TimeoutError as error:
            self._inside -= 1
            raise unavailable(_CROWDED) from error
        except BaseException:
            self._inside -= 1
            raise
        future = self._pool.submit(_guarded, work, session)
        loop = asyncio.get_running_loop()
        future.add_done_callback(lambda done: self._done(loop, done))
        if not abandon:
            return await asyncio.wrap_future(future)
        answer = asyncio.wrap_future(future)
        # what a thread that was let alone ends with is nobody's business, nor a line in the log
        answer.add_done_callback(lambda done: done.cancelled() or done.exception())
        try:
            async with asyncio.timeout(session.expires_at_s - time.monotonic()):
                return await asyncio.shield(answer)
        except TimeoutError as error:
            raise unavailable(_LATE) from error

    def _done(self, loop: asyncio.AbstractEventLoop, _: "Future[Any]") -> None:
        try:
            loop.call_soon_threadsafe(self._leave)
        except RuntimeError:
            # the loop was closed while the thread was still at work: nobody waits any more
            return

    def _leave(self) -> None:
        self._inside -= 1
        self._slots.release()

    def close(self) -> None:
        """Let the threads end with what they are doing."""
        self._pool.shutdown(wait=False, cancel_futures=True)
        if self._shared is not None:
            self._shared.close()


class _SharedClient:
    """One client for everybody, made when it is first asked for."""

    def __init__(self, make: Connect) -> None:
        self._make = make
        self._client: Any = None
        self._making = threading.Lock()

    def __call__(self) -> Any:
        with self._making:
            if self._client is None:
                self._client = self._make()
            return self._client

    def close(self) -> None:
        if self._client is not None:
            self._client.close()


def _client(target: Target, threads: int, deadline_s: float) -> Any:
    return target.client(
        # repeats are this module's business: a client of one request cannot know what the
        # others were refused
        max_attempts=1,
        pool_connections=threads,
        connect_timeout_s=_CONNECT_TIMEOUT_S,
        read_timeout_s=min(_READ_TIMEOUT_S, deadline_s),
    )


def _guarded(work: Callable[[Session], T], session: Session) -> T:
    try:
        return work(session)
    except PerfkitError as error:
        # of interest to whoever runs the service, not to its users
        _log.error("%s", error)
        raise unavailable(_AWAY) from error


def _as_problem(error: DynamoDBError) -> Problem:
    if error.code in THROTTLES:
        return unavailable(_REFUSED)
    reason = error.message if error.code == CONNECTION_LOST else error.code
    _log.warning("DynamoDB does not answer: %s", reason)
    return unavailable(_AWAY)
