"""
The way to a Redis server that may come and go: redis-py behind a time limit and a breaker.

What a process's requests ask while others are being answered goes to the server together, as one
pipeline. With 50 requests at a time that halves what the service spends on Redis: a command of its
own on a connection from redis-py's pool costs each request more than the server does.
"""

import asyncio
from collections import deque
from collections.abc import Coroutine
from itertools import islice
from typing import Any

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError, ResponseError

from perfkit.cache.address import parse_url
from perfkit.cache.breaker import CircuitBreaker

__all__ = ["CacheError", "CacheUnavailableError", "Command", "Connection"]
__all__ += ["value"]

Command = tuple[str | bytes | int | float, ...]
"""A command and its arguments."""

_AT_ONCE = 64
"""Requests whose commands go together; the first waits for the reply to the last."""

_PARTS = 5

_CLOSED = "the cache is closed"


class CacheError(Exception):
    """The cache cannot be used for a request. It stays in perfkit: requests go on without."""


class CacheUnavailableError(CacheError):
    """The server cannot be reached, does not answer in time, or does not speak the protocol."""


class _CommandRefusedError(CacheError):
    """The server answered a command with an error: a wrong type, no memory, a read-only replica."""


def value(reply: Any) -> Any:
    """
    Return *reply*, one of those that `Connection.ask` returned.

    Raises:
        CommandRefusedError: It is an error.
    """
    if isinstance(reply, ResponseError):
        raise _CommandRefusedError(str(reply))
    return reply


class Connection:
    """
    A Redis client for one event loop.

    A server that does not answer opens the breaker at once, so a request waits for it in vain once
    at most; from then on a probe in the background finds out when it is back.

    Args:
        url: Of the server.
        breaker: Opens when the server does not answer, and is closed when it does.
        limit_s: How long connecting and the replies may take.
        trip_s: Added to each trip, as if the server were further away; part of the limit.

    Raises:
        ConfigError: *url* is none.
    """

    def __init__(
        self, url: str, breaker: CircuitBreaker, limit_s: float, *, trip_s: float = 0.0
    ) -> None:
        self._address = parse_url(url)
        self._trip_s = trip_s
        self._breaker = breaker
        self._limit_s = limit_s
        # a request that has lost its time does better without an answer than with another attempt;
        # the limit is of the whole, where redis-py's would be of each step
        self._client = Redis.from_url(
            url, retry=Retry(NoBackoff(), 0), socket_timeout=None, socket_connect_timeout=None
        )
        self._waiting: deque[tuple[tuple[Command, ...], asyncio.Future[list[Any]]]] = deque()
        # one pipeline at a time: more of them would be shorter ones, and cost more
        self._sending: asyncio.Task[None] | None = None
        self._probe: asyncio.Task[None] | None = None
        self._closed = False

    def usable(self) -> bool:
        """Return whether it is worth asking; if not, see to it that this is looked into."""
        if self._breaker.closed:
            return True
        if not self._closed and self._breaker.take_probe():
            self._probe = asyncio.get_running_loop().create_task(self._look())
        return False

    async def ask(self, *commands: Command) -> list[Any]:
        """
        Return the replies to *commands*, sent in one go, whatever the breaker says.

        A command that the server refuses has an error for a reply: see `value`.

        Raises:
            CacheUnavailableError: There is no connection, or no answer in time.
        """
        if self._closed:
            raise CacheUnavailableError(_CLOSED)
        loop = asyncio.get_running_loop()
        replies: asyncio.Future[list[Any]] = loop.create_future()
        self._waiting.append((commands, replies))
        if self._sending is None:
            self._sending = loop.create_task(self._send_all())
        return await replies

    async def _send_all(self) -> None:
        """Send what waits, and what comes meanwhile, until nothing does."""
        batch: list[tuple[tuple[Command, ...], asyncio.Future[list[Any]]]] = []
        reason = _CLOSED
        try:
            while self._waiting:
                batch = [self._waiting.popleft() for _ in range(min(_AT_ONCE, len(self._waiting)))]
                commands = [command for commands, _ in batch for command in commands]
                replies = iter(await self._send(commands))
                for asked, future in batch:
                    mine = list(islice(replies, len(asked)))
                    # the caller may be gone
                    if not future.done():
                        future.set_result(mine)
        except CacheUnavailableError as error:
            reason = str(error)
        finally:
            # at once: the next caller must know that nobody sends any more
            self._sending = None
            # those who came meanwhile have waited, too, and would in vain
            for _, future in (*batch, *self._waiting):
                if not future.done():
                    future.set_exception(CacheUnavailableError(reason))
            self._waiting.clear()

    async def _send(self, commands: list[Command]) -> list[Any]:
        pipeline = self._client.pipeline(transaction=False)
        for command in commands:
            pipeline.execute_command(*command)
        try:
            replies = await self._in_time(self._execute(pipeline))
        except TimeoutError as error:
            self._breaker.failed()
            msg = f"no answer from {self._address} within {self._limit_s * 1e3:.0f} ms"
            raise CacheUnavailableError(msg) from error
        except (RedisError, OSError, ValueError) as error:
            self._breaker.failed()
            msg = f"no connection to {self._address}: {str(error) or type(error).__name__}"
            raise CacheUnavailableError(msg) from error
        self._breaker.succeeded()
        return replies

    async def _execute(self, pipeline: Any) -> list[Any]:
        if self._trip_s:
            await asyncio.sleep(self._trip_s)
        replies: list[Any] = await pipeline.execute(raise_on_error=False)
        return replies

    async def _in_time(self, execution: Coroutine[Any, Any, list[Any]]) -> list[Any]:
        """
        Return what *execution* does, or raise `TimeoutError`.

        The replies may be there and this process too busy to have read them. Giving up then would
        send its requests to the database and put it further behind; so the limit is waited for in
        parts, between which the loop looks at its sockets.
        """
        task = asyncio.create_task(execution)
        try:
            for _ in range(_PARTS):
                done, _ = await asyncio.wait({task}, timeout=self._limit_s / _PARTS)
                if done:
                    return task.result()
            raise TimeoutError
        finally:
            task.cancel()

    async def _look(self) -> None:
        try:
            await self.ask(("PING",))
        except CacheError:
            return

    async def close(self) -> None:
        """End all connections; nothing is asked any more."""
        self._closed = True
        tasks = [task for task in (self._sending, self._probe) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._client.aclose()
