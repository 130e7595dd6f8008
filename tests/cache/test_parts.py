"""The parts of the cache that need no server: breaker, addresses, what is stored, settings."""

import asyncio
import zlib
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perfkit.cache.address import Address, parse_url
from perfkit.cache.breaker import CircuitBreaker
from perfkit.cache.encoding import _UnreadableValueError, decode, encode
from perfkit.cache.settings import CacheSettings
from perfkit.errors import ConfigError
from perfkit.measure.clock import FakeClock
from perfkit.processes.redis_server import unix_url

# ---- the breaker -------------------------------------------------------------------------


def breaker(clock: FakeClock) -> CircuitBreaker:
    return CircuitBreaker(open_s=1.0, clock=clock)


def test_one_failure_opens_a_breaker_and_a_success_closes_it() -> None:
    tested = breaker(FakeClock())

    closed = [tested.closed]
    for happen in (tested.failed, tested.failed, tested.succeeded):
        happen()
        closed.append(tested.closed)

    assert closed == [True, False, False, True]
    assert tested.openings == 1
    assert not tested.take_probe()


def test_a_probe_is_due_at_once_and_then_one_each_time_it_was_open_long_enough() -> None:
    clock = FakeClock()
    tested = breaker(clock)
    tested.failed()

    assert [tested.take_probe(), tested.take_probe()] == [True, False]
    # the probe and those who asked before fail later: that puts off nothing
    tested.failed()
    clock.advance(0.99)
    assert not tested.take_probe()
    clock.advance(0.01)
    assert [tested.take_probe(), tested.take_probe()] == [True, False]
    assert tested.openings == 1


# ---- addresses ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("redis://cache", Address(host="cache")),
        ("redis://cache:7000/2", Address(host="cache", port=7000, database=2)),
        ("redis://:s%40fe@cache", Address(host="cache", password="s@fe")),
        ("redis://me:pw@[::1]:1", Address(host="::1", port=1, username="me", password="pw")),
        ("rediss://cache", Address(host="cache", tls=True)),
        (
            "rediss://cache/0?ssl_ca_certs=/etc/ca.pem",
            Address(host="cache", tls=True, ca_file="/etc/ca.pem"),
        ),
        ("unix:///run/a%20b.sock", Address(path="/run/a b.sock")),
        ("unix://:pw@/run/a.sock?db=3", Address(path="/run/a.sock", password="pw", database=3)),
    ],
)
def test_the_usual_urls_are_understood(url: str, address: Address) -> None:
    assert parse_url(url) == address


@settings(deadline=None)
@given(st.text(min_size=1).filter(lambda path: "\0" not in path and path.isprintable()))
def test_any_path_fits_into_a_url(path: str) -> None:
    assert parse_url(unix_url(f"/{path}")).path == f"/{path}"


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("cache:6379", "unknown scheme 'cache'"),
        ("http://cache", "unknown scheme 'http'"),
        ("", "unknown scheme ''"),
        ("redis://", "expected a host"),
        ("redis://cache:port", "Port could not be cast"),
        ("redis://cache:99999", "Port out of range"),
        ("redis://cache/first", "expected the number of a database, got 'first'"),
        ("redis://cache?timeout=1", "unknown option 'timeout'"),
        ("redis://cache?ssl_ca_certs=x", "unknown option 'ssl_ca_certs'"),
        ("unix://relative.sock", "expected the absolute path"),
        ("unix:///a?db=-1", "got '-1'"),
    ],
)
def test_a_wrong_url_is_explained(url: str, reason: str) -> None:
    with pytest.raises(ConfigError, match=reason) as caught:
        parse_url(url)

    assert "write redis://" in str(caught.value)


def test_no_message_shows_a_password() -> None:
    with pytest.raises(ConfigError) as caught:
        parse_url("redis://me:s@cr@et@cache/x")

    assert "cr" not in str(caught.value)
    assert "'redis://…@cache/x'" in str(caught.value)
    address = parse_url("redis://me:secret@cache")
    assert "secret" not in f"{address} {address!r}"


# ---- what is stored ----------------------------------------------------------------------


def there_and_back(body: bytes, compress_over_bytes: int) -> tuple[bytes, bytes]:
    async def main() -> tuple[bytes, bytes]:
        stored = await encode(body, compress_over_bytes)
        return stored, await decode(stored, 1 << 20)

    return asyncio.run(main())


@settings(deadline=None)
@given(st.binary() | st.binary(max_size=20).map(lambda piece: piece * 100), st.integers(0, 300))
def test_every_value_comes_back(body: bytes, compress_over_bytes: int) -> None:
    stored, again = there_and_back(body, compress_over_bytes)

    assert again == body
    assert len(stored) <= len(body) + 1


def test_only_large_values_are_compressed() -> None:
    small, _ = there_and_back(b"a" * 100, compress_over_bytes=100)
    large, _ = there_and_back(b"a" * 101, compress_over_bytes=100)

    assert len(small) == 101
    assert len(large) < 30


@settings(deadline=None)
@given(st.binary(max_size=50))
def test_damage_is_noticed(tail: bytes) -> None:
    for stored in (tail, b"z" + tail, b"z" + zlib.compress(b"body")[:-2], b"z" + tail[:1]):
        if not stored.startswith(b"="):
            with pytest.raises(_UnreadableValueError):
                asyncio.run(decode(stored, 1000))


def test_a_small_value_cannot_become_a_huge_one() -> None:
    bomb = b"z" + zlib.compress(bytes(10_000_000))

    with pytest.raises(_UnreadableValueError, match="over 1000 bytes"):
        asyncio.run(decode(bomb, 1000))


# ---- settings ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "wrong",
    [
        {"time_limit_s": 0},
        {"brief_s": 0},
        {"lease_s": -1},
        {"jitter": 1},
        {"jitter": -0.1},
        {"index_lag_s": -1},
        {"largest_bytes": -1},
    ],
)
def test_settings_that_cannot_work_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        CacheSettings(**wrong)
