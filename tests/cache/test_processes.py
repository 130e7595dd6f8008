"""
Several processes on one server: one fill for all, and nothing old after an invalidation.

The file is a program, too: the tests run it as their workers.
"""

import asyncio
import json
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from perfkit.cache.aside import Cache, Status
from perfkit.cache.breaker import CircuitBreaker
from perfkit.cache.connection import Connection
from perfkit.cache.policy import Keys
from perfkit.cache.settings import CacheSettings
from perfkit.processes import redis_server as server
from perfkit.workloads.loader import load

pytestmark = pytest.mark.processes

COURSES = load("courses")
KEYS = Keys(COURSES, "1")

# a busy machine must not look like a fault
SETTINGS = CacheSettings(time_limit_s=10, wait_s=10, index_lag_s=0)

STUDENTS = 3
READERS = 2
MODEL_S = 2.5
LONGEST_S = 60.0
"""By then it means nothing: in the model's time everything happens often, unless the machine is busy."""


class Store:
    """The database: another one of the same server, so that all processes share it."""

    def __init__(self, url: str) -> None:
        self._connection = Connection(f"{url}?db=1", CircuitBreaker(), limit_s=10)

    async def __call__(self, *command: str | int) -> Any:
        return (await self._connection.ask(command))[0]

    async def close(self) -> None:
        await self._connection.close()


# ---- workers -----------------------------------------------------------------------------


async def rush(cache: Cache, store: Store, _: random.Random) -> dict[str, Any]:
    """Be 25 requests for one cold key."""

    async def fill() -> bytes:
        number = await store("INCR", "fills")
        await asyncio.sleep(0.3)
        return str(number).encode()

    found = await asyncio.gather(
        *(cache.get_or_fill("profile", student(0), fill) for _ in range(25))
    )
    counts = cache.snapshot().patterns["profile"].counts
    return {
        "bodies": sorted({lookup.body.decode() for lookup in found}),
        "errors": sum(lookup.status is Status.ERROR for lookup in found),
        "fills": counts.fills,
        "avoided": counts.stampedes_avoided,
    }


async def write(cache: Cache, store: Store, rng: random.Random) -> dict[str, Any]:
    """Raise versions; say of each which one no reader may fall below from now on."""
    me = rng.random()
    writes = 0
    begun_s = time.monotonic()
    while time.monotonic() < begun_s + MODEL_S or (
        int(await store("GET", "satisfied") or 0) < READERS
        and time.monotonic() < begun_s + LONGEST_S
    ):
        number = rng.randrange(STUDENTS)
        version = await store("INCR", f"version:{number}")
        keys = KEYS.affected("Users", {"user_id": {"S": f"student{number}"}})
        assert await cache.invalidate(keys)
        await store("HSET", f"floor:{number}", str(me), version)
        writes += 1
        await asyncio.sleep(rng.uniform(0, 0.02))
    return {"writes": writes}


async def read(cache: Cache, store: Store, rng: random.Random) -> dict[str, Any]:
    """Read versions and compare each with what it must at least be."""
    stale: list[str] = []
    statuses = dict.fromkeys(Status, 0)
    begun_s = time.monotonic()

    def has_seen_it_all() -> bool:
        found = cache.snapshot().patterns.get("profile")
        often = min(statuses[Status.HIT], statuses[Status.MISS]) > 5
        return often and found is not None and found.counts.stale_writes_refused > 0

    async def reader() -> None:
        while time.monotonic() < begun_s + MODEL_S or (
            not has_seen_it_all() and time.monotonic() < begun_s + LONGEST_S
        ):
            number = rng.randrange(STUDENTS)

            async def fill(number: int = number) -> bytes:
                version: bytes = await store("GET", f"version:{number}") or b"0"
                # long enough for an invalidation to come between
                await asyncio.sleep(rng.uniform(0, 0.015))
                return version

            floor = max(map(int, await store("HVALS", f"floor:{number}")), default=0)
            lookup = await cache.get_or_fill("profile", student(number), fill)
            statuses[lookup.status] += 1
            if int(lookup.body) < floor:
                stale.append(f"{lookup.status} {int(lookup.body)} < {floor}")

    await asyncio.gather(*(reader() for _ in range(4)))
    await store("INCR", "satisfied")
    counts = cache.snapshot().patterns["profile"].counts
    return {"stale": stale, "refused": counts.stale_writes_refused, "statuses": statuses}


def student(number: int) -> dict[str, dict[str, str]]:
    return {":user": {"S": f"student{number}"}}


Role = Callable[[Cache, Store, random.Random], Awaitable[dict[str, Any]]]
ROLES: dict[str, Role] = {"rush": rush, "write": write, "read": read}


async def work(role: str, url: str, seed: int) -> None:
    async with Cache(url, KEYS, SETTINGS) as cache:
        store = Store(url)
        await store("PING")
        await cache.answers()
        print("ready", flush=True)  # noqa: T201
        sys.stdin.readline()
        result = await ROLES[role](cache, store, random.Random(seed))
        print(json.dumps(result))  # noqa: T201
        await store.close()


# ---- tests -------------------------------------------------------------------------------


@pytest.fixture
def url() -> Iterator[str]:
    folder = Path(tempfile.mkdtemp(prefix="pk-"))
    started = server.start(folder)
    yield started.url
    started.stop()
    shutil.rmtree(folder)


def together(url: str, roles: Sequence[str]) -> list[dict[str, Any]]:
    """Run a process for each role, all from the same moment on; return what they report."""
    processes = [
        subprocess.Popen(
            [sys.executable, __file__, role, url, str(seed)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for seed, role in enumerate(roles)
    ]
    try:
        for process in processes:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
        for process in processes:
            assert process.stdin is not None
            process.stdin.write("go\n")
            process.stdin.flush()
        return [json.loads(process.communicate(timeout=180)[0]) for process in processes]
    finally:
        for process in processes:
            process.kill()
            process.communicate()


def test_fifty_requests_in_two_processes_make_one_fill(url: str) -> None:
    reports = together(url, ["rush", "rush"])

    assert [report["bodies"] for report in reports] == [["1"], ["1"]]
    assert sum(report["fills"] for report in reports) == 1
    assert sum(report["errors"] for report in reports) == 0
    # some may have come so late that it was a plain hit
    assert 24 <= sum(report["avoided"] for report in reports) <= 49


def test_after_an_invalidation_no_reader_gets_what_was_before(url: str) -> None:
    """Two writers and two processes of readers, on few enough keys that they meet all the time."""
    reports = together(url, ["write", "write", *["read"] * READERS])

    writers, readers = reports[:2], reports[2:]
    assert [report["stale"] for report in readers] == [[], []]
    assert all(report["statuses"]["ERROR"] == 0 for report in readers)
    # the test means something only if both happened, and a race was lost now and then
    assert sum(report["writes"] for report in writers) > 5
    assert min(report["statuses"]["HIT"] for report in readers) > 5
    assert min(report["statuses"]["MISS"] for report in readers) > 5
    assert min(report["refused"] for report in readers) > 0


if __name__ == "__main__":
    asyncio.run(work(sys.argv[1], sys.argv[2], int(sys.argv[3])))
