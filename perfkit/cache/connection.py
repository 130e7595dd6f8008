"""
The way to a Redis server that may come and go: redis-py behind a time limit and a breaker.

redis-py keeps the connections, writes, reads and connects again; it repeats nothing, since a
request that has lost its time does better without an answer. What a process's requests ask
while others are being answered goes to the server together, as one pipeline: with many requests
at a time that costs each of them a fraction of a round trip of its own.
"""

import asyncio
from collections import deque
from dataclasses import dataclass
from typing import Any

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError, ResponseError
from redis.exceptions import TimeoutError as RedisTimeoutError

from perfkit.cache.address import parse_url
from perfkit.cache.breaker import CircuitBreaker

__all__ = ["CacheError", "CacheUnavailableError", "Command", "CommandRefusedError", "Connection"]
__all__ += ["value"]

Command = tuple[str | bytes | int | float, ...]
"""A command and its arguments."""

AT_ONCE = 64
"""Requests whose commands go together; the first waits for the reply to the last."""

# A reply may be there and this process too busy to have read it; so its time is up only when the
# loop has come round so often without it.
_TICKS = 5

LONGEST_S = 1.0
"""For a reply before which others keep coming; then the server is too slow to be of use."""


_CLOSED = "the cache is closed"


class CacheError(Exception):
    """The cache cannot be used for a request. It stays in perfkit: requests go on without."""


class CacheUnavailableError(CacheError):
    """The server cannot be reached, does not answer in time, or does not speak the protocol."""


class CommandRefusedError(CacheError):
    """The server answered a command with an error: a wrong type, no memory, a read-only replica."""


def value(reply: Any) -> Any:
    """
    Return *reply*, one of those that `Connection.ask` returned.

    Raises:
        CommandRefusedError: It is an error.
    """
    if isinstance(reply, ResponseError):
        raise CommandRefusedError(str(reply))
    return reply


@dataclass(slots=True, eq=False)
class _Asked:
    """Commands of a request, and where their replies go."""

    commands: tuple[Command, ...]
    limit_s: float
    replies: "asyncio.Future[list[Any]]"


class Connection:
    """
    A Redis client for one event loop.

    Failures open the breaker; from then on a probe in the background, once in a while, finds
    out when the server is back, and nobody need wait for that.

    Args:
        url: Of the server.
        breaker: Told whether the server answers.
        limit_s: How long a command may take unless it says otherwise.

    Raises:
        ConfigError: *url* is none.
    """

    def __init__(self, url: str, breaker: CircuitBreaker, limit_s: float) -> None:
        self._address = parse_url(url)
        self._breaker = breaker
        self._limit_s = limit_s
        self._client = Redis.from_url(
            url,
            retry=Retry(NoBackoff(), 0),
            # the limit below is of the whole: waiting for a connection, connecting, the reply
            socket_timeout=None,
            socket_connect_timeout=None,
        )
        self._waiting: deque[_Asked] = deque()
        # one pipeline at a time: more of them would be shorter ones, and cost more
        self._sending: asyncio.Task[None] | None = None
        self.heard_at_s = float("-inf")
        """When the server last answered anybody."""
        self._probe: asyncio.Task[None] | None = None
        self._closed = False

    def usable(self) -> bool:
        """Return whether it is worth asking; if not, see to it that this is looked into."""
        if self._breaker.closed:
            return True
        if not self._closed and self._breaker.take_probe():
            self._probe = asyncio.get_running_loop().create_task(self._look())
        return False

    async def ask(self, *commands: Command, limit_s: float | None = None) -> list[Any]:
        """
        Return the replies to *commands*, sent in one go, whatever the breaker says.

        A command that the server refuses has an error for a reply: see `value`.

        Args:
            commands: At least one.
            limit_s: Seconds from when they are sent.

        Raises:
            CacheUnavailableError: There is no connection, or no answer in time.
        """
        if self._closed:
            raise CacheUnavailableError(_CLOSED)
        loop = asyncio.get_running_loop()
        limit_s = self._limit_s if limit_s is None else limit_s
        asked = _Asked(commands, limit_s, loop.create_future())
        self._waiting.append(asked)
        if self._sending is None:
            self._sending = loop.create_task(self._send_all())
        return await asked.replies

    async def _send_all(self) -> None:
        """Send what waits, and what comes meanwhile, until nothing does."""
        batch: list[_Asked] = []
        try:
            while self._waiting:
                batch = [self._waiting.popleft() for _ in range(min(AT_ONCE, len(self._waiting)))]
                replies = iter(await self._send(batch))
                for asked in batch:
                    mine = [next(replies) for _ in asked.commands]
                    # whoever asked may be gone
                    if not asked.replies.done():
                        asked.replies.set_result(mine)
        except CacheError as error:
            # those who came meanwhile have waited, too, and would in vain
            self._fail([*batch, *self._waiting], str(error))
            self._waiting.clear()
        except BaseException:
            self._fail(batch, _CLOSED)
            raise
        finally:
            # at once: whoever asks next must know that nobody sends any more
            self._sending = None

    @staticmethod
    def _fail(batch: list["_Asked"], reason: str) -> None:
        for asked in batch:
            if not asked.replies.done():
                asked.replies.set_exception(CacheUnavailableError(reason))

    async def _send(self, batch: list["_Asked"]) -> list[Any]:
        """Return the replies to all commands of *batch*."""
        limit_s = max(asked.limit_s for asked in batch)
        pipeline = self._client.pipeline(transaction=False)
        for asked in batch:
            for command in asked.commands:
                pipeline.execute_command(*command)
        try:
            async with asyncio.timeout(None) as given_up:
                with _Patience(self, given_up, limit_s):
                    replies: list[Any] = await pipeline.execute(raise_on_error=False)
        except (TimeoutError, RedisTimeoutError) as error:
            self._breaker.failed()
            msg = f"no answer from {self._address} within {limit_s * 1e3:.0f} ms"
            raise CacheUnavailableError(msg) from error
        except (RedisError, OSError, ValueError) as error:
            self._breaker.failed()
            msg = f"no connection to {self._address}: {str(error) or type(error).__name__}"
            raise CacheUnavailableError(msg) from error
        self._breaker.succeeded()
        self.heard_at_s = asyncio.get_running_loop().time()
        return replies

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
        self._fail(list(self._waiting), _CLOSED)
        await self._client.aclose()


class _Patience:
    """
    Gives up a command when its time is up, unless it is this process that is behind.

    Then giving up would send all its requests to the database and put it further behind. So what
    counts are ticks, each a look at the sockets, and none of them while others get replies.
    """

    def __init__(self, connection: Connection, given_up: asyncio.Timeout, limit_s: float) -> None:
        self._connection = connection
        self._given_up = given_up
        self._tick_s = limit_s / _TICKS
        self._longest_s = max(limit_s, LONGEST_S)

    def __enter__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._asked_at_s = self._looked_at_s = self._loop.time()
        self._left = _TICKS
        self._timer = self._loop.call_later(self._tick_s, self._tick)

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()

    def _tick(self) -> None:
        if self._connection.heard_at_s >= self._looked_at_s:
            self._left = _TICKS
        self._looked_at_s = self._loop.time()
        self._left -= 1
        if self._left and self._looked_at_s < self._asked_at_s + self._longest_s:
            self._timer = self._loop.call_later(self._tick_s, self._tick)
        else:
            self._given_up.reschedule(self._looked_at_s)
