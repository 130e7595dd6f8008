"""Forgetting answers: at once where the server can be reached, else as soon as it can again."""

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import islice

from perfkit.cache import scripts
from perfkit.cache.connection import CacheError, CacheUnavailableError, Connection, value
from perfkit.cache.settings import CacheSettings
from perfkit.cache.statistics import ServerCounts
from perfkit.measure.clock import Clock

__all__ = ["Invalidations"]

_KEYS_AT_ONCE = 100


@dataclass(slots=True)
class _Debt:
    """An invalidation that is not done; `failed` once an attempt is known to have failed."""

    until_s: float
    failed: bool


class Invalidations:
    """
    The invalidations of this process, done and still owed.

    Args:
        connection: To the server.
        settings: Its time limit and the pause between attempts.
        counts: Where to count.
        clock: Tells when what is owed has become pointless.
        expired_after_s: When that is: no answer that is stored now is kept as long.
    """

    def __init__(
        self,
        connection: Connection,
        settings: CacheSettings,
        counts: ServerCounts,
        clock: Clock,
        expired_after_s: float,
    ) -> None:
        self._connection = connection
        self._settings = settings
        self._counts = counts
        self._clock = clock
        self._expired_after_s = expired_after_s
        self._debts: dict[str, _Debt] = {}
        self._retrying: asyncio.Task[None] | None = None
        self._closed = False

    def owes(self, key: str) -> bool:
        """Return whether what the server has under *key* may be older than an invalidation."""
        debt = self._debts.get(key)
        return debt is not None and debt.failed

    async def invalidate(self, keys: Iterable[str]) -> bool:
        """Forget *keys*; return False if that is not done yet, but will be tried again."""
        until_s = self._clock.now() + self._expired_after_s
        debts = {key: _Debt(until_s, failed=self.owes(key)) for key in keys}
        # noted first, so that it is not forgotten if the request is broken off
        self._debts.update(debts)
        # a request that has found out that nobody answers has waited already; the command is sent
        # all the same, so that a server that was only late gets it at once
        brief_s = None if self._connection.usable() else self._settings.brief_s
        try:
            async with asyncio.timeout(brief_s):
                await self._pay(debts)
        except (CacheError, TimeoutError):
            self._counts.delayed_keys += len(debts)
            return False
        finally:
            self._note_failures(debts)
        return True

    async def close(self) -> None:
        """Try no more; what is still owed expires by itself."""
        self._closed = True
        if self._retrying is not None:
            self._retrying.cancel()
            await asyncio.gather(self._retrying, return_exceptions=True)

    def _note_failures(self, debts: Mapping[str, _Debt]) -> None:
        unpaid = [debt for key, debt in debts.items() if self._debts.get(key) is debt]
        for debt in unpaid:
            debt.failed = True
        idle = self._retrying is None or self._retrying.done()
        if unpaid and idle and not self._closed:
            self._retrying = asyncio.get_running_loop().create_task(self._retry())

    async def _pay(self, debts: Mapping[str, _Debt]) -> None:
        lag_ms = round(self._settings.index_lag_s * 1e3)
        rest = iter(debts.items())
        while batch := dict(islice(rest, _KEYS_AT_ONCE)):
            commands = [scripts.invalidate(key, lag_ms) for key in batch]
            replies = await self._connection.ask(*commands)
            for (key, debt), reply in zip(batch.items(), replies, strict=True):
                if value(reply) != scripts.DONE:
                    msg = f"no answer to an invalidation: {reply!r:.80}"
                    raise CacheUnavailableError(msg)
                self._counts.invalidated_keys += 1
                # a later invalidation of the same key is for the one who asked for it
                if self._debts.get(key) is debt:
                    del self._debts[key]

    async def _retry(self) -> None:
        while self._debts:
            await asyncio.sleep(self._settings.retry_s)
            now_s = self._clock.now()
            for key in [key for key, debt in self._debts.items() if debt.until_s <= now_s]:
                del self._debts[key]
            if self._debts and self._connection.usable():
                try:
                    await self._pay({key: debt for key, debt in self._debts.items() if debt.failed})
                except CacheError:
                    continue
