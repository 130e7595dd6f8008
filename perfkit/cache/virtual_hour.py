"""
Traffic through a cache in virtual time: requests, keys that expire or are invalidated, fills.

Requests come at random moments (a Poisson process), for keys of which few are asked often (Zipf);
writes come likewise, and each invalidates one key. How long an answer is kept, jitter included,
is decided by the very code the cache uses. Nothing is waited for: an hour takes a fraction of a
second.
"""

import math
import random
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate

from perfkit.cache.settings import CacheSettings
from perfkit.errors import ConfigError

__all__ = ["Events", "Traffic", "arrivals", "expected_hit_rate", "read_changes", "simulate"]

_SINGLE_KEYS = 100

_CHANGES = {
    "rate": "rate_hz",
    "keys": "keys",
    "skew": "skew",
    "ttl": "ttl_s",
    "writes": "writes_hz",
    "errors": "error_share",
}
"""What may be changed of an hour's traffic, as people call it; writes are counted by the hour."""

_BOUNDS: Mapping[str, tuple[float, float]] = {
    # an hour of more than this takes minutes, and hit rates rise no further
    "rate": (0.001, 1_000),
    "keys": (1, 1_000_000),
    "skew": (0, 10),
    "ttl": (0.001, 30 * 86_400),
    "writes": (0, 3_600_000),
    "errors": (0, 1),
}
"""Smallest and largest of each, as people give them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Traffic:
    """
    What comes in.

    Args:
        rate_hz: Requests a second, on average.
        duration_s: How long they come.
        keys: Different questions.
        skew: Zipf's exponent: the n-th most wanted key is asked 1/n**skew as often as the first.
        ttl_s: How long answers are kept, jitter aside.
        writes_hz: Writes a second, each of which invalidates one key, wanted ones likelier.
        error_share: Share of requests for which the cache server fails.
        fill_s: What a query takes; who asks meanwhile waits for it.
        random_seed: Same seed, same traffic.
    """

    rate_hz: float
    duration_s: float
    keys: int
    skew: float
    ttl_s: float
    writes_hz: float = 0.0
    error_share: float = 0.0
    fill_s: float = 0.0
    random_seed: int = 1

    def __post_init__(self) -> None:
        for name in ("rate_hz", "duration_s", "keys", "ttl_s"):
            if getattr(self, name) <= 0:
                msg = f"{name} of the traffic must be above 0, got {getattr(self, name)}"
                raise ConfigError(msg)
        for name in ("skew", "writes_hz", "fill_s"):
            if getattr(self, name) < 0:
                msg = f"{name} of the traffic must be at least 0, got {getattr(self, name)}"
                raise ConfigError(msg)
        if not 0 <= self.error_share <= 1:
            msg = f"error_share of the traffic must be 0 to 1, got {self.error_share}"
            raise ConfigError(msg)


def read_changes(texts: Iterable[str]) -> dict[str, float]:
    """
    Return the fields of `Traffic` that texts such as "rate=50" change.

    Raises:
        ConfigError: A text is not NAME=NUMBER, there is no such name, or the number is out of
            bounds.
    """
    changes: dict[str, float] = {}
    for text in texts:
        name, _, number = text.partition("=")
        try:
            value = float(number)
        except ValueError:
            value = math.nan
        if name not in _CHANGES or not math.isfinite(value):
            msg = f"{text!r} is no traffic; write NAME=NUMBER with one of {', '.join(_CHANGES)}"
            raise ConfigError(msg)
        low, high = _BOUNDS[name]
        if not low <= value <= high:
            msg = f"--hour {name} must be {low:,} to {high:,}, got {number}"
            raise ConfigError(msg)
        if name == "keys":
            if value != int(value):
                msg = f"--hour keys must be a whole number, got {number}"
                raise ConfigError(msg)
            value = int(value)
        changes[_CHANGES[name]] = value / 3600 if name == "writes" else value
    return changes


@dataclass(slots=True, kw_only=True)
class Events:
    """
    What happened: hits + misses + errors are all requests.

    Attributes:
        fills: Queries made: one for the misses that came together, one for each error.
        peak_fills: Most fills that began in one second.
    """

    hits: int = 0
    misses: int = 0
    errors: int = 0
    fills: int = 0
    invalidations: int = 0
    peak_fills: int = 0

    @property
    def requests(self) -> int:
        return self.hits + self.misses + self.errors


def arrivals(traffic: Traffic) -> Iterator[tuple[float, int, bool]]:
    """Yield moment in seconds, key and whether it is a write, in the order of time."""
    rng = random.Random(traffic.random_seed)  # noqa: S311 - traffic, no secret
    keys = range(traffic.keys)
    weights = list(accumulate(1 / (rank + 1) ** traffic.skew for rank in keys))
    together_hz = traffic.rate_hz + traffic.writes_hz
    write_share = traffic.writes_hz / together_hz
    # the sum of two Poisson processes is one, each of whose events is of either at random
    at_s = rng.expovariate(together_hz)
    while at_s < traffic.duration_s:
        (key,) = rng.choices(keys, cum_weights=weights)
        yield at_s, key, rng.random() < write_share
        at_s += rng.expovariate(together_hz)


def simulate(traffic: Traffic, settings: CacheSettings) -> Events:
    """
    Return what happens to *traffic* at a cache that is empty when it begins.

    Args:
        traffic: What comes in.
        settings: Of the cache; the jitter is taken from them.
    """
    rng = random.Random(traffic.random_seed + 1)  # noqa: S311 - jitter, no secret
    events = Events()
    # until when a key is kept, and from when on it is there
    kept: dict[int, tuple[float, float]] = {}
    second, in_second = -1, 0
    for at_s, key, is_write in arrivals(traffic):
        if is_write:
            events.invalidations += 1
            kept.pop(key, None)
            continue
        failed = traffic.error_share > 0 and rng.random() < traffic.error_share
        there_s, gone_s = kept.get(key, (0.0, 0.0))
        if failed:
            events.errors += 1
        elif at_s < gone_s:
            # who comes while another's query is under way waits for it, and counts as a miss
            if at_s >= there_s:
                events.hits += 1
            else:
                events.misses += 1
            continue
        else:
            events.misses += 1
            there_s = at_s + traffic.fill_s
            kept[key] = (there_s, there_s + settings.kept_ms(traffic.ttl_s, rng) / 1e3)
        events.fills += 1
        if int(at_s) != second:
            second, in_second = int(at_s), 0
        in_second += 1
        events.peak_fills = max(events.peak_fills, in_second)
    return events


@lru_cache(maxsize=16)
def _shares(keys: int, skew: float) -> tuple[tuple[float, float], ...]:
    """
    Return how many keys have which share of all requests.

    The most wanted ones one by one. Of the others, neighbours are so alike that two of each
    twentieth stand for all of it (Gauss and Legendre's rule), to seven digits of a hit rate.
    """
    weights = [(1.0, 1 / rank**skew) for rank in range(1, min(keys, _SINGLE_KEYS) + 1)]
    first = _SINGLE_KEYS + 1
    while first <= keys:
        last = min(keys, first + first // 20)
        count = last - first + 1
        # as far from the middle as whole numbers are on average
        middle, apart = (first + last) / 2, math.sqrt((count**2 - 1) / 12)
        weights += [(count / 2, 1 / rank**skew) for rank in (middle - apart, middle + apart)]
        first = last + 1
    total = sum(count * weight for count, weight in weights)
    return tuple((count, weight / total) for count, weight in weights)


@lru_cache(maxsize=256)
def expected_hit_rate(traffic: Traffic) -> float:
    """
    Return the share of hits that `simulate` tends to once the cache is warm, worked out at once.

    A key that is there is there for its time to live or until a write forgets it, whichever comes
    first; while it is there all its requests are hits, and the one that finds it gone is a miss.
    Jitter evens out, and queries are taken to be short.

    Args:
        traffic: What comes in; its duration does not matter.
    """
    hits = 0.0
    for count, share in _shares(traffic.keys, traffic.skew):
        forgotten_hz = traffic.writes_hz * share
        stays_s = traffic.ttl_s
        if forgotten_hz * traffic.ttl_s > 1e-9:
            stays_s = -math.expm1(-forgotten_hz * traffic.ttl_s) / forgotten_hz
        in_a_life = traffic.rate_hz * share * stays_s
        hits += count * share * in_a_life / (1 + in_a_life)
    return hits * (1 - traffic.error_share)
