"""Cache-aside against a real server: what a request gets on a hit, on a miss, with a look ahead."""

import asyncio
import contextlib
import random
import shutil
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from perfkit.cache.aside import Cache, Lookup, Status
from perfkit.cache.breaker import CircuitBreaker
from perfkit.cache.connection import Connection
from perfkit.cache.policy import Keys
from perfkit.cache.settings import CacheSettings
from perfkit.cache.statistics import Outcome
from perfkit.errors import ConfigError
from perfkit.processes import redis_server as server
from perfkit.workloads.loader import load

pytestmark = pytest.mark.processes

COURSES = load("courses")
KEYS = Keys(COURSES, "1")
KEY = "perfkit:1:courses:semester:1:department:CS"
PARAMETERS = COURSES.pattern("courses").parameters

# the machine may be busy: only tests of the limit itself keep the default
SETTINGS = CacheSettings(time_limit_s=5, index_lag_s=0)


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """Return the URL of a server that the tests of this file share."""
    folder = Path(tempfile.mkdtemp(prefix="pk-"))
    started = server.start(folder)
    yield started.url
    started.stop()
    shutil.rmtree(folder)


@dataclass
class Database:
    """What the fills ask: it counts, and answers when told to."""

    body: bytes = b"[]"
    reads: int = 0
    began: asyncio.Event = field(default_factory=asyncio.Event)
    go_on: asyncio.Event = field(default_factory=asyncio.Event)

    async def read(self) -> bytes:
        self.reads += 1
        return self.body

    async def read_when_told(self) -> bytes:
        """Answer with what was there when the read began."""
        self.reads += 1
        body = self.body
        self.began.set()
        await self.go_on.wait()
        return body


class Redis:
    """A second way to the server, to look behind the cache."""

    def __init__(self, url: str) -> None:
        self._connection = Connection(url, CircuitBreaker(), limit_s=5)

    async def __call__(self, *command: str | bytes | int) -> Any:
        return (await self._connection.ask(command))[0]

    async def close(self) -> None:
        await self._connection.close()


@contextlib.asynccontextmanager
async def opened(url: str, **changes: Any) -> AsyncIterator[tuple[Cache, Redis, Database]]:
    """Open a cache on an empty server, with a way to look behind it and a database."""
    redis = Redis(url)
    await redis("FLUSHALL")
    async with Cache(url, KEYS, replace(SETTINGS, **changes), rng=random.Random(1)) as cache:
        yield cache, redis, Database()
    await redis.close()


def run(main: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(main())


async def ask(cache: Cache, fill: Callable[[], Awaitable[bytes]], **more: Any) -> Lookup:
    return await cache.get_or_fill("courses", PARAMETERS, fill, **more)


def counts(cache: Cache, pattern: str = "courses") -> dict[str, int]:
    """Return the counters that are not 0."""
    found = cache.snapshot().patterns[pattern].counts
    return {name: n for name in found.__slots__ if (n := getattr(found, name))}


# ---- hits and misses ---------------------------------------------------------------------


@pytest.mark.parametrize(
    "body", [b'[{"course_id": "C1"}]', b"", b"[]", bytes(range(256)), b"x" * 500_000]
)
def test_a_miss_fills_and_then_it_is_a_hit(url: str, body: bytes) -> None:
    """Empty answers too: what does not exist is asked for as often as anything else."""

    async def main() -> None:
        async with opened(url) as (cache, _, database):
            database.body = body

            first = await ask(cache, database.read)
            second = await ask(cache, database.read)

            assert (first.status, first.body) == (Status.MISS, body)
            assert (second.status, second.body, second.fill_s) == (Status.HIT, body, 0)
            assert first.fill_s > 0
            assert first.cache_s > 0
            assert database.reads == 1
            assert counts(cache) == {"hits": 1, "misses": 1, "fills": 1}
            latencies = cache.snapshot().patterns["courses"].latencies
            assert {outcome: latency.count for outcome, latency in latencies.items()} == {
                Outcome.HIT: 1,
                Outcome.MISS: 1,
                Outcome.FILL: 1,
            }

    run(main)


def test_other_questions_and_variants_are_apart(url: str) -> None:
    async def main() -> None:
        async with opened(url) as (cache, _, database):
            other = {**PARAMETERS, ":department": {"S": "MA"}}

            await ask(cache, database.read)
            found = [
                (await ask(cache, database.read, variant="page=2")).status,
                (await ask(cache, database.read, variant="page=2\ud800ä")).status,
                (await cache.get_or_fill("courses", other, database.read)).status,
                (await ask(cache, database.read)).status,
                (await ask(cache, database.read, variant="page=2")).status,
            ]

            assert found == [Status.MISS] * 3 + [Status.HIT] * 2

    run(main)


def test_answers_expire_with_jitter(url: str) -> None:
    """Some sooner, some later, none by more than the share that is documented."""

    async def main() -> None:
        async with opened(url) as (cache, redis, database):
            left_s = []
            for number in range(40):
                place = {":user": {"S": f"u{number}"}}
                await cache.get_or_fill("profile", place, database.read)
                left_s.append(await redis("PTTL", f"perfkit:1:profile:user:u{number}") / 1e3)

            assert min(left_s) > 180 * 0.9 - 10
            assert max(left_s) <= 180 * 1.1
            assert max(left_s) - min(left_s) > 15

    run(main)


def test_a_late_variant_does_not_keep_the_others_longer(url: str) -> None:
    async def main() -> None:
        async with opened(url) as (cache, redis, database):
            await ask(cache, database.read)
            await redis("PEXPIRE", KEY, 60_000)

            await ask(cache, database.read, variant="page=2")

            assert 0 < await redis("PTTL", KEY) <= 60_000

    run(main)


def test_what_expired_is_filled_again(url: str) -> None:
    async def main() -> None:
        async with opened(url) as (cache, redis, database):
            await ask(cache, database.read)
            await redis("PEXPIRE", KEY, 1)
            await asyncio.sleep(0.01)

            assert (await ask(cache, database.read)).status is Status.MISS
            assert database.reads == 2

    run(main)


def test_large_answers_are_stored_compressed(url: str) -> None:
    async def main() -> None:
        async with opened(url) as (cache, redis, database):
            database.body = b"0123456789" * 20_000

            await ask(cache, database.read)

            assert await redis("HSTRLEN", KEY, "") < 5000
            assert (await ask(cache, database.read)).body == database.body

    run(main)


def test_too_large_answers_are_not_stored(url: str) -> None:
    async def main() -> None:
        async with opened(url, largest_bytes=1000) as (cache, redis, database):
            database.body = random.Random(1).randbytes(1001)

            found = [await ask(cache, database.read) for _ in range(2)]

            assert [lookup.status for lookup in found] == [Status.MISS] * 2
            assert counts(cache) == {"misses": 2, "fills": 2, "too_large": 2}
            assert await redis("DBSIZE") == 0

    run(main)


def test_a_pattern_without_a_policy_is_off(url: str) -> None:
    async def main() -> None:
        database = Database()
        bare = replace(
            COURSES, patterns=tuple(replace(one, cache=None) for one in COURSES.patterns)
        )
        async with Cache(url, Keys(bare, "1")) as cache:
            found = [await ask(cache, database.read) for _ in range(2)]

            assert [lookup.status for lookup in found] == [Status.OFF] * 2
            assert database.reads == 2
            assert cache.snapshot().patterns == {}

    run(main)


def test_a_new_version_does_not_read_the_old_shape(url: str) -> None:
    async def main() -> None:
        async with opened(url) as (cache, _, database):
            await ask(cache, database.read)
            async with Cache(url, Keys(COURSES, "2"), SETTINGS) as newer:
                assert (await ask(newer, database.read)).status is Status.MISS

    run(main)


def test_a_wrong_parameter_is_the_callers_mistake(url: str) -> None:
    async def main() -> None:
        async with opened(url) as (cache, _, database):
            with pytest.raises(ConfigError, match="needs :semester"):
                await cache.get_or_fill("courses", {}, database.read)

    run(main)


def test_a_database_of_ones_own_is_chosen_by_url(url: str) -> None:
    async def main() -> None:
        async with opened(url) as (cache, redis, database):
            async with Cache(f"{url}?db=3", KEYS, SETTINGS) as other:
                await ask(other, database.read)

            assert await redis("DBSIZE") == 0
            assert (await ask(cache, database.read)).status is Status.MISS

    run(main)


# ---- one fill ----------------------------------------------------------------------------


def test_requests_that_come_together_share_one_fill(url: str) -> None:
    async def main() -> None:
        async with opened(url) as (cache, _, database):
            requests = [asyncio.create_task(ask(cache, database.read_when_told)) for _ in range(20)]
            await database.began.wait()
            requests.append(asyncio.create_task(ask(cache, database.read_when_told)))
            await asyncio.sleep(0.02)
            database.go_on.set()
            found = await asyncio.gather(*requests)

            assert database.reads == 1
            assert {lookup.body for lookup in found} == {b"[]"}
            assert {lookup.status for lookup in found} == {Status.MISS}
            assert [lookup.fill_s > 0 for lookup in found].count(True) == 1
            assert counts(cache) == {"misses": 21, "fills": 1, "stampedes_avoided": 20}

    run(main)


def test_a_failed_fill_fails_those_who_waited_and_nobody_else(url: str) -> None:
    """Twenty requests must not hit a failing database one after the other."""

    async def main() -> None:
        async with opened(url) as (cache, redis, database):

            async def fail() -> bytes:
                await database.read_when_told()
                msg = "throttled"
                raise RuntimeError(msg)

            requests = [asyncio.create_task(ask(cache, fail)) for _ in range(20)]
            await database.began.wait()
            database.go_on.set()
            found = await asyncio.gather(*requests, return_exceptions=True)

            assert {str(error) for error in found} == {"throttled"}
            assert database.reads == 1
            assert counts(cache) == {"misses": 20, "fills": 1, "failed_fills": 1}
            # nobody need wait for the lease of the one who failed
            assert await redis("DBSIZE") == 0
            assert (await ask(cache, database.read)).status is Status.MISS

    run(main)


def test_a_request_that_gives_up_does_not_take_the_fill_along(url: str) -> None:
    async def main() -> None:
        async with opened(url) as (cache, _, database):
            first = asyncio.create_task(ask(cache, database.read_when_told))
            await database.began.wait()
            second = asyncio.create_task(ask(cache, database.read))
            await asyncio.sleep(0.02)

            first.cancel()
            database.go_on.set()

            assert (await second).status is Status.MISS
            assert database.reads == 1
            assert (await ask(cache, database.read)).status is Status.HIT

    run(main)


def test_another_process_that_died_filling_holds_nobody_up_for_long(url: str) -> None:
    async def main() -> None:
        async with opened(url, wait_s=0.1) as (cache, _, database):
            abandoned = asyncio.create_task(ask(cache, database.read_when_told))
            await database.began.wait()
            async with Cache(url, KEYS, replace(SETTINGS, wait_s=0.1)) as other:
                lookup = await ask(other, database.read)

                assert (lookup.status, lookup.body) == (Status.MISS, b"[]")
                assert lookup.cache_s >= 0.1
            database.go_on.set()
            await abandoned

    run(main)


def test_a_lease_ends_by_itself(url: str) -> None:
    async def main() -> None:
        async with opened(url) as (cache, redis, database):
            settings = replace(SETTINGS, lease_s=0.15)
            async with Cache(url, KEYS, settings) as dying:
                lost = asyncio.create_task(ask(dying, database.read_when_told))
                await database.began.wait()

                lookup = await ask(cache, database.read)

                assert lookup.fill_s > 0
                assert (await ask(cache, database.read)).status is Status.HIT
                # what the first one brings in the end is no longer wanted
                database.go_on.set()
                await lost
                assert counts(dying)["stale_writes_refused"] == 1
            assert await redis("HLEN", KEY) == 1

    run(main)


# ---- invalidation ------------------------------------------------------------------------


def test_an_invalidation_forgets_every_variant(url: str) -> None:
    async def main() -> None:
        async with opened(url) as (cache, redis, database):
            await ask(cache, database.read)
            await ask(cache, database.read, variant="page=2")
            database.body = b"[1]"

            assert await cache.invalidate([KEY])

            assert (await ask(cache, database.read)).body == b"[1]"
            assert (await ask(cache, database.read, variant="page=2")).body == b"[1]"
            assert cache.snapshot().server.invalidated_keys == 1
            assert await redis("EXISTS", f"changed:{{{KEY}}}") == 0

    run(main)


def test_a_fill_that_began_before_an_invalidation_is_not_stored(url: str) -> None:
    async def main() -> None:
        async with opened(url) as (cache, redis, database):
            old = asyncio.create_task(ask(cache, database.read_when_told))
            await database.began.wait()
            database.body = b"[1]"
            assert await cache.invalidate([KEY])
            database.go_on.set()

            assert (await old).body == b"[]"
            assert await redis("EXISTS", KEY) == 0
            assert (await ask(cache, database.read)).body == b"[1]"
            assert counts(cache)["stale_writes_refused"] == 1

    run(main)


def test_who_asks_after_an_invalidation_does_not_join_an_older_fill(url: str) -> None:
    """The two requests are in one process, so no server can keep them apart."""

    async def main() -> None:
        async with opened(url) as (cache, _, database):
            old = asyncio.create_task(ask(cache, database.read_when_told))
            await database.began.wait()
            database.body = b"[1]"
            assert await cache.invalidate([KEY])

            new = asyncio.create_task(ask(cache, database.read))
            await asyncio.sleep(0.05)
            database.go_on.set()

            assert ((await old).body, (await new).body) == (b"[]", b"[1]")

    run(main)


def test_while_an_index_may_lag_answers_are_kept_shortly(url: str) -> None:
    """On AWS an index may answer with what was before for a moment after the write."""

    async def main() -> None:
        async with opened(url, index_lag_s=60.0) as (cache, redis, database):
            assert await cache.invalidate([KEY])
            await ask(cache, database.read)

            assert 0 < await redis("PTTL", KEY) <= 60_000
            # a minute later
            for key in (KEY, f"changed:{{{KEY}}}"):
                await redis("PEXPIRE", key, 1)
            await asyncio.sleep(0.01)
            assert (await ask(cache, database.read)).status is Status.MISS
            assert await redis("PTTL", KEY) > 200_000

    run(main)


def test_many_keys_are_forgotten_in_one_call(url: str) -> None:
    async def main() -> None:
        async with opened(url) as (cache, redis, _):
            keys = [f"perfkit:1:x:{number}" for number in range(250)]
            for key in keys:
                await redis("SET", key, "of a wrong type, too")

            assert await cache.invalidate(iter(keys))
            assert await cache.invalidate([])

            assert await redis("DBSIZE") == 0
            assert cache.snapshot().server.invalidated_keys == 250

    run(main)
