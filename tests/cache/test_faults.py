"""Whatever is wrong with the cache server, a request gets its answer, soon."""

import asyncio
import contextlib
import datetime as dt
import os
import random
import shutil
import signal
import ssl
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from perfkit.cache.address import parse_url
from perfkit.cache.aside import Cache, Lookup, Status
from perfkit.cache.breaker import CircuitBreaker
from perfkit.cache.connection import CacheUnavailableError, Connection
from perfkit.cache.policy import Keys
from perfkit.cache.settings import CacheSettings
from perfkit.measure.clock import FakeClock
from perfkit.processes import redis_server as server
from perfkit.processes.redis_server import unix_url
from perfkit.workloads.loader import load

pytestmark = pytest.mark.processes

COURSES = load("courses")
KEYS = Keys(COURSES, "1")
KEY = "perfkit:1:courses:semester:1:department:CS"
PARAMETERS = COURSES.pattern("courses").parameters

GENEROUS = CacheSettings(time_limit_s=5, index_lag_s=0, breaker_open_s=0.05, retry_s=0.05)
"""For servers that answer, if wrongly: a busy machine must not look like a fault."""

HASTY = CacheSettings(index_lag_s=0, breaker_open_s=0.2, retry_s=0.05)
"""With the default time limit, for servers that do not answer."""

TIMEOUT_S = 60.0


@pytest.fixture
def folder() -> Iterator[Path]:
    """Return a folder with a short path; whatever runs in it at the end is stopped."""
    path = Path(tempfile.mkdtemp(prefix="pk-"))
    yield path
    found = server.find(path)
    if found is not None:
        found.stop()
    shutil.rmtree(path)


def run(main: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(main())


async def fill() -> bytes:
    return b"[]"


async def ask(cache: Cache) -> Lookup:
    lookup = await cache.get_or_fill("courses", PARAMETERS, fill)
    assert lookup.body == b"[]"
    return lookup


async def until(cache: Cache, status: Status, clock: FakeClock | None = None) -> None:
    """
    Ask until the answer comes that way.

    A server that is late, as on a busy machine, is left alone for a time, which passes by *clock*.
    """
    deadline_s = time.monotonic() + TIMEOUT_S
    while (lookup := await ask(cache)).status is not status:
        assert time.monotonic() < deadline_s, lookup.status
        if clock is not None:
            clock.advance(HASTY.breaker_open_s)
        await asyncio.sleep(0.01)


async def tell(url: str, *commands: tuple[str | int, ...]) -> list[Any]:
    """Have the server do something, behind the cache's back."""
    connection = Connection(url, CircuitBreaker(), limit_s=5)
    replies = await connection.ask(*commands)
    await connection.close()
    return replies


def counts(cache: Cache) -> tuple[int, int, int]:
    found = cache.snapshot().patterns["courses"].counts
    return found.hits, found.misses, found.errors


# ---- servers that answer, but wrongly ----------------------------------------------------


@pytest.mark.parametrize(
    "command",
    [
        pytest.param(("RPUSH", KEY, "x"), id="a list"),
        pytest.param(("SET", KEY, "x"), id="a text"),
        pytest.param(("HSET", KEY, "", "not ours"), id="a foreign value"),
        pytest.param(("HSET", KEY, "", "zdamaged"), id="a damaged value"),
        pytest.param(("HSET", KEY, "", ""), id="nothing at all"),
    ],
)
def test_what_is_not_ours_under_our_key_is_left_alone(
    folder: Path, command: tuple[str, ...]
) -> None:
    async def main() -> None:
        url = server.start(folder).url
        await tell(url, command)
        async with Cache(url, KEYS, GENEROUS) as cache:
            assert [(await ask(cache)).status for _ in range(5)] == [Status.ERROR] * 5
            # a wrong key is no wrong server
            assert cache.snapshot().server.breaker_openings == 0
            assert await cache.invalidate([KEY])
            assert [(await ask(cache)).status for _ in range(2)] == [Status.MISS, Status.HIT]

    run(main)


def test_a_server_without_memory_still_gives_what_it_has(folder: Path) -> None:
    async def main() -> None:
        url = server.start(folder).url
        async with Cache(url, KEYS, GENEROUS) as cache:
            await ask(cache)
            await tell(
                url,
                ("CONFIG", "SET", "maxmemory-policy", "noeviction"),
                ("CONFIG", "SET", "maxmemory", 1),
            )

            assert (await ask(cache)).status is Status.HIT
            other = {":user": {"S": "u"}}
            lookup = await cache.get_or_fill("profile", other, fill)
            assert (lookup.status, lookup.body) == (Status.ERROR, b"[]")
            assert await cache.invalidate([KEY])
            assert (await ask(cache)).status is Status.ERROR

    run(main)


def test_a_read_only_replica_gives_what_it_has(folder: Path) -> None:
    async def main() -> None:
        url = server.start(folder).url
        async with Cache(url, KEYS, GENEROUS) as cache:
            await ask(cache)
            await tell(url, ("REPLICAOF", "127.0.0.1", 1))

            assert (await ask(cache)).status is Status.HIT
            # what cannot be forgotten is not used any more
            assert not await cache.invalidate([KEY])
            assert (await ask(cache)).status is Status.ERROR
            await tell(url, ("REPLICAOF", "NO", "ONE"))
            await until(cache, Status.HIT)
            assert cache.snapshot().server.delayed_keys == 1

    run(main)


def test_a_password_is_asked_for_and_given(folder: Path) -> None:
    async def main() -> None:
        started = server.start(folder)
        path = parse_url(started.url).path
        await tell(started.url, ("CONFIG", "SET", "requirepass", "s@fe"))
        for login, expected in [
            ("", Status.ERROR),
            (":wrong@", Status.ERROR),
            ("default:s%40fe@", Status.HIT),
            (":s%40fe@", Status.HIT),
        ]:
            async with Cache(f"unix://{login}{path}", KEYS, GENEROUS) as cache:
                await ask(cache)
                assert (await ask(cache)).status is expected, login
        await tell(f"unix://:s%40fe@{path}", ("CONFIG", "SET", "requirepass", ""))

    run(main)


Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Coroutine[Any, Any, None]]


class Talks:
    """The conversations of a listening socket, to be waited for in the end."""

    def __init__(self, serve: Serve) -> None:
        self._serve = serve
        self._tasks: list[asyncio.Task[Any] | None] = []

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._tasks.append(asyncio.current_task())
        with contextlib.suppress(OSError):
            await self._serve(reader, writer)
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()

    async def end(self, listening: asyncio.Server) -> None:
        listening.close()
        await asyncio.gather(*(task for task in self._tasks if task is not None))


@contextlib.asynccontextmanager
async def fake(folder: Path, answer: Callable[[bytes], bytes | None]) -> AsyncIterator[str]:
    """Listen on a socket and answer what *answer* says, None to hang up; yield the URL."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(1 << 16):
            said = answer(data)
            if said is None:
                break
            writer.write(said)
            await writer.drain()

    talks = Talks(serve)
    path = str(folder / "fake.sock")
    listening = await asyncio.start_unix_server(talks, path)
    try:
        yield unix_url(path)
    finally:
        await talks.end(listening)


def pong(data: bytes) -> bytes | None:
    """Answer the login's PING and nothing else."""
    if b"PING" in data:
        return b"$16\r\n" + data.split(b"\r\n")[-2] + b"\r\n"
    return None


def after_pong(answer: bytes) -> Callable[[bytes], bytes | None]:
    return lambda data: pong(data) or answer


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(lambda _: b"HTTP/1.1 400 Bad Request\r\n\r\n", id="a web server"),
        pytest.param(lambda _: b"\x00\xff" * 100, id="noise"),
        pytest.param(lambda _: b"+OK\r\n", id="OK to everything"),
        pytest.param(lambda _: b"*-1\r\n", id="null to everything"),
        pytest.param(lambda _: b"-LOADING it takes a while\r\n", id="loading"),
        pytest.param(lambda _: b"-NOAUTH log in\r\n", id="no login"),
        pytest.param(lambda _: None, id="hangs up"),
        pytest.param(pong, id="hangs up later"),
        pytest.param(after_pong(b"?what\r\n"), id="noise later"),
        pytest.param(after_pong(b"$5\r\nab"), id="half an answer"),
        pytest.param(after_pong(b"$-1\r\n$-1\r\n"), id="two answers"),
        pytest.param(after_pong(b":5\r\n"), id="a number for a value"),
        pytest.param(after_pong(b"*1\r\n:5\r\n"), id="a list for a value"),
        pytest.param(after_pong(b"-ERR unknown command\r\n"), id="an error"),
        pytest.param(after_pong(b"$999999999999\r\nx"), id="a huge value"),
    ],
)
def test_a_server_that_talks_nonsense_costs_an_error_and_no_request(
    folder: Path, answer: Callable[[bytes], bytes | None]
) -> None:
    async def main() -> None:
        async with fake(folder, answer) as url, Cache(url, KEYS, HASTY) as cache:
            for _ in range(6):
                assert (await ask(cache)).status is Status.ERROR
            assert counts(cache) == (0, 0, 6)
            assert not await cache.invalidate([KEY])

    run(main)


def test_a_reply_never_goes_to_another_request(folder: Path) -> None:
    """One who gave up leaves its reply behind; the next must get its own."""

    async def main() -> None:
        async with Cache(server.start(folder).url, KEYS, GENEROUS) as cache:
            parameters = [{":user": {"S": f"u{number}"}} for number in range(20)]
            for number, place in enumerate(parameters):
                body = str(number).encode()

                async def read(body: bytes = body) -> bytes:
                    return body

                await cache.get_or_fill("profile", place, read)
            rng = random.Random(1)
            for _ in range(200):
                numbers = [rng.randrange(20) for _ in range(5)]
                requests = [
                    asyncio.create_task(cache.get_or_fill("profile", parameters[number], fill))
                    for number in numbers
                ]
                for _ in range(rng.randrange(3)):
                    await asyncio.sleep(0)
                given_up = rng.randrange(5)
                requests[given_up].cancel()
                found = await asyncio.gather(*requests, return_exceptions=True)
                for position, (number, lookup) in enumerate(zip(numbers, found, strict=True)):
                    if position != given_up:
                        assert isinstance(lookup, Lookup)
                        assert (lookup.status, lookup.body) == (Status.HIT, str(number).encode())

    run(main)


# ---- servers that do not answer ----------------------------------------------------------


def test_a_dead_server_costs_nothing_once_it_is_known(
    folder: Path, connections: list[object]
) -> None:
    async def main() -> None:
        clock = FakeClock()
        url = unix_url(str(folder / "nobody.sock"))
        async with Cache(url, KEYS, HASTY, clock=clock) as cache:
            found = [await ask(cache) for _ in range(100)]

            assert {lookup.status for lookup in found} == {Status.ERROR}
            assert cache.snapshot().server.breaker_openings == 1
            assert counts(cache) == (0, 0, 100)
            # the first opens the breaker, one probe follows, and from then on nobody tries
            assert len(connections) <= 2

    run(main)


def test_a_hanging_server_costs_its_first_request_the_time_limit(
    folder: Path, connections: list[object], within: Callable[..., Any]
) -> None:
    async def main() -> None:
        clock = FakeClock()
        started = server.start(folder)
        assert started.pid is not None
        async with Cache(started.url, KEYS, HASTY, clock=clock) as cache:
            await until(cache, Status.HIT, clock)
            connections.clear()
            os.kill(started.pid, signal.SIGSTOP)
            try:
                found = [await ask(cache)]
                # the breaker is open: nobody waits for a timer any more
                found += await within(0, *(ask(cache) for _ in range(50)))

                assert {lookup.status for lookup in found} == {Status.ERROR}
                assert found[0].cache_s >= HASTY.time_limit_s
                # the first found the connection it had, the probe tries to open one
                assert len(connections) <= 1
            finally:
                os.kill(started.pid, signal.SIGCONT)
            clock.advance(HASTY.breaker_open_s)
            await until(cache, Status.HIT, clock)

    run(main)


def test_a_hanging_server_holds_up_those_who_come_together_once(
    folder: Path, within: Callable[..., Any]
) -> None:
    async def main() -> None:
        started = server.start(folder)
        assert started.pid is not None
        async with Cache(started.url, KEYS, HASTY) as cache:
            await until(cache, Status.HIT)
            os.kill(started.pid, signal.SIGSTOP)
            try:
                started_s = time.perf_counter()
                found = await within(1.0, *(ask(cache) for _ in range(50)))
                took_s = time.perf_counter() - started_s
            finally:
                os.kill(started.pid, signal.SIGCONT)

            assert {lookup.status for lookup in found} == {Status.ERROR}
            assert took_s >= 0.05

    run(main)


def test_a_server_that_hangs_in_the_middle_of_a_miss_is_given_up(folder: Path) -> None:
    """The answer is there and only storing it hangs: nobody waits longer than the limit."""

    async def main() -> None:
        started = server.start(folder)
        assert started.pid is not None
        pid = started.pid
        async with Cache(started.url, KEYS, HASTY) as cache:
            await until(cache, Status.HIT)
            await tell(started.url, ("DEL", KEY))

            async def fill_and_stop() -> bytes:
                os.kill(pid, signal.SIGSTOP)
                return b"[]"

            try:
                lookup = await cache.get_or_fill("courses", PARAMETERS, fill_and_stop)
            finally:
                os.kill(pid, signal.SIGCONT)

            assert (lookup.status, lookup.body) == (Status.ERROR, b"[]")

    run(main)


def test_a_server_killed_and_started_again_under_load_fails_nothing(folder: Path) -> None:
    async def main() -> None:
        started = server.start(folder)
        async with Cache(started.url, KEYS, GENEROUS) as cache:
            await until(cache, Status.HIT)
            over = asyncio.Event()
            found: list[Lookup] = []

            async def load() -> None:
                while not over.is_set():
                    found.append(await ask(cache))
                    await asyncio.sleep(0.001)

            users = [asyncio.create_task(load()) for _ in range(10)]
            for _ in range(3):
                await asyncio.sleep(0.1)
                again = server.find(folder)
                assert again is not None
                assert again.pid is not None
                os.kill(again.pid, signal.SIGKILL)
                await asyncio.sleep(0.1)
                server.start(folder)
            await until(cache, Status.HIT)
            over.set()
            await asyncio.gather(*users)

            assert {lookup.status for lookup in found} == {Status.HIT, Status.MISS, Status.ERROR}
            hits, misses, errors = counts(cache)
            assert hits + misses + errors >= len(found)
            # a broken connection is no trouble once there is a server again
            assert [(await ask(cache)).status for _ in range(20)] == [Status.HIT] * 20

    run(main)


def test_an_idle_connection_that_was_closed_costs_nothing(folder: Path) -> None:
    async def main() -> None:
        started = server.start(folder)
        async with Cache(started.url, KEYS, GENEROUS) as cache:
            await until(cache, Status.HIT)
            await tell(started.url, ("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"))
            await asyncio.sleep(0.05)

            assert (await ask(cache)).status is Status.HIT
            assert counts(cache)[2] == 0

    run(main)


def test_uvloop_takes_faults_as_well(folder: Path) -> None:
    """It reports a broken connection in ways of its own."""
    import uvloop

    async def main() -> None:
        started = server.start(folder)
        async with Cache(started.url, KEYS, GENEROUS) as cache:
            await until(cache, Status.HIT)
            for _ in range(3):
                again = server.find(folder)
                assert again is not None
                assert again.pid is not None
                os.kill(again.pid, signal.SIGKILL)
                await asyncio.gather(*(ask(cache) for _ in range(20)))
                server.start(folder)
                await until(cache, Status.HIT)

    uvloop.run(main())


# ---- invalidations that cannot be done at once -------------------------------------------


def test_an_invalidation_that_fails_is_done_later(folder: Path) -> None:
    async def main() -> None:
        started = server.start(folder)
        assert started.pid is not None
        body = b"old"

        async def read() -> bytes:
            return body

        async with (
            Cache(started.url, KEYS, HASTY) as writer,
            Cache(started.url, KEYS, replace(HASTY, time_limit_s=5)) as reader,
        ):
            await reader.get_or_fill("courses", PARAMETERS, read)
            os.kill(started.pid, signal.SIGSTOP)
            try:
                body = b"new"
                assert not await writer.invalidate([KEY])
                lookup = await writer.get_or_fill("courses", PARAMETERS, read)
                assert (lookup.status, lookup.body) == (Status.ERROR, b"new")
            finally:
                os.kill(started.pid, signal.SIGCONT)

            deadline_s = time.monotonic() + TIMEOUT_S
            while (await reader.get_or_fill("courses", PARAMETERS, read)).body == b"old":
                assert time.monotonic() < deadline_s
                await asyncio.sleep(0.01)
            while (found := writer.snapshot().server).invalidated_keys == 0:
                assert time.monotonic() < deadline_s
                await asyncio.sleep(0.01)
            assert found.delayed_keys == 1

    run(main)


def test_who_has_waited_in_vain_waits_but_briefly_to_forget(folder: Path) -> None:
    """A write asks twice: for the session before it, and to forget after it."""

    async def main() -> None:
        started = server.start(folder)
        assert started.pid is not None
        settings = replace(HASTY, time_limit_s=60)
        async with Cache(started.url, KEYS, settings) as cache:
            await until(cache, Status.HIT)
            os.kill(started.pid, signal.SIGSTOP)
            try:
                # as the look for a session leaves it
                cache.breaker.failed()
                async with asyncio.timeout(TIMEOUT_S):
                    assert not await cache.invalidate([KEY])
            finally:
                os.kill(started.pid, signal.SIGCONT)

            # it was only late, and is not forgotten to forget
            await until(cache, Status.MISS)
            assert cache.snapshot().server.invalidated_keys == 1

    run(main)


def test_an_invalidation_cut_off_is_done_all_the_same(folder: Path) -> None:
    """The database was written; that the client went away changes nothing about it."""

    async def main() -> None:
        started = server.start(folder)
        async with Cache(started.url, KEYS, GENEROUS) as cache:
            await until(cache, Status.HIT)
            request = asyncio.create_task(cache.invalidate([KEY]))
            await asyncio.sleep(0)
            request.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await request

            await until(cache, Status.MISS)

    run(main)


def test_what_was_not_invalidated_is_forgotten_when_it_must_have_expired(folder: Path) -> None:
    async def main() -> None:
        clock = FakeClock()
        url = unix_url(str(folder / "nobody.sock"))
        async with Cache(url, KEYS, GENEROUS, clock=clock) as cache:
            assert not await cache.invalidate([KEY])
            debts = cache._invalidations._debts
            assert list(debts) == [KEY]

            # the longest time to live with jitter, and a lease
            clock.advance(300 * 1.1 + 10)
            for _ in range(1000):
                if not debts:
                    break
                await asyncio.sleep(0.02)
            assert not debts

    run(main)


def test_a_closed_cache_still_answers(folder: Path) -> None:
    async def main() -> None:
        cache = Cache(server.start(folder).url, KEYS, GENEROUS)
        await ask(cache)
        await cache.close()
        await cache.close()

        assert (await ask(cache)).status is Status.ERROR
        assert not await cache.invalidate([KEY])

    run(main)


def test_closing_while_connecting_fails_nobody(folder: Path) -> None:
    async def main() -> None:
        async with fake(folder, lambda _: b"") as url:
            cache = Cache(url, KEYS, GENEROUS)
            request = asyncio.create_task(ask(cache))
            await asyncio.sleep(0.05)
            await cache.close()

            assert (await request).status is Status.ERROR

    run(main)


# ---- other ways to reach a server --------------------------------------------------------


@contextlib.asynccontextmanager
async def forwarder(url: str, context: ssl.SSLContext | None) -> AsyncIterator[int]:
    """Make the server of a Unix socket reachable at a TCP port of 127.0.0.1."""

    async def copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(1 << 16):
                writer.write(data)
                await writer.drain()
        writer.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_unix_connection(parse_url(url).path)
        await asyncio.gather(copy(reader, back), copy(there, writer))

    talks = Talks(serve)
    listening = await asyncio.start_server(talks, "127.0.0.1", 0, ssl=context)
    try:
        yield listening.sockets[0].getsockname()[1]
    finally:
        await talks.end(listening)


def certificate(folder: Path) -> Path:
    """Write a certificate for 127.0.0.1, with its key, to a file."""
    import ipaddress

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "cache")])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]),
            critical=False,
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    file = folder / "cert.pem"
    file.write_bytes(
        made.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return file


def test_a_server_is_reached_over_the_network(folder: Path) -> None:
    async def main() -> None:
        async with (
            forwarder(server.start(folder).url, None) as port,
            Cache(f"redis://127.0.0.1:{port}", KEYS, GENEROUS) as cache,
        ):
            assert [(await ask(cache)).status for _ in range(2)] == [Status.MISS, Status.HIT]

    run(main)


def test_tls_is_checked(folder: Path) -> None:
    async def main() -> None:
        file = certificate(folder)
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(file)
        async with forwarder(server.start(folder).url, context) as port:
            url = f"rediss://127.0.0.1:{port}"
            async with Cache(f"{url}?ssl_ca_certs={file}", KEYS, GENEROUS) as cache:
                assert [(await ask(cache)).status for _ in range(2)] == [Status.MISS, Status.HIT]
            # nobody vouches for it
            async with Cache(url, KEYS, GENEROUS) as cache:
                assert (await ask(cache)).status is Status.ERROR
            async with Cache(f"{url}?ssl_ca_certs={folder}/none", KEYS, GENEROUS) as cache:
                assert (await ask(cache)).status is Status.ERROR

    run(main)


def test_the_reason_is_told(folder: Path) -> None:
    async def main() -> None:
        url = unix_url(str(folder / "nobody.sock"))
        connection = Connection(url, CircuitBreaker(), limit_s=5)
        with pytest.raises(CacheUnavailableError, match=r"no connection to .*/nobody\.sock: "):
            await connection.ask(("PING",))
        await connection.close()

    run(main)
