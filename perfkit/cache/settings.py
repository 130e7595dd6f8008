"""How the cache behaves, with defaults for a server next door."""

import random
from dataclasses import dataclass

from perfkit.errors import ConfigError

__all__ = ["CacheSettings"]


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheSettings:
    """
    How the cache behaves.

    Attributes:
        time_limit_s: How long a command may take; then the server is left alone.
        brief_s: How long an invalidation waits for a server that is left alone.
        jitter: An answer is kept for its time to live, more or less up to this share of it, so
            that what was stored together does not expire together.
        index_lag_s: How long after an invalidation a query may still read what was before, as
            a global secondary index on AWS may. What is read in that time is kept only for
            that time. 0 where indexes never lag.
        lease_s: How long one fill may hold off the others for its key.
        wait_s: How long a process waits for another one's fill before it asks for itself.
        compress_over_bytes: Larger answers are stored compressed.
        largest_bytes: Larger answers are not stored.
        breaker_open_s: Seconds between looks whether a server that was left alone is back.
        retry_s: Seconds between attempts to make up for a failed invalidation.
        trip_s: Added to each trip to the server, as if it were further away; within the limit.
    """

    time_limit_s: float = 0.05
    brief_s: float = 0.015
    jitter: float = 0.1
    index_lag_s: float = 1.0
    lease_s: float = 10.0
    wait_s: float = 2.0
    compress_over_bytes: int = 128 * 1024
    largest_bytes: int = 8 * 1024 * 1024
    breaker_open_s: float = 0.2
    retry_s: float = 0.25
    trip_s: float = 0.0

    def kept_ms(self, ttl_s: float, rng: random.Random) -> int:
        """Return how long to keep one answer: its time to live, jittered."""
        share = rng.uniform(1 - self.jitter, 1 + self.jitter)
        return max(round(ttl_s * share * 1e3), 1)

    def __post_init__(self) -> None:
        for name in ("time_limit_s", "brief_s", "lease_s", "breaker_open_s", "retry_s"):
            if getattr(self, name) <= 0:
                msg = f"{name} of the cache must be above 0, got {getattr(self, name)}"
                raise ConfigError(msg)
        for name in ("index_lag_s", "wait_s", "compress_over_bytes", "largest_bytes", "trip_s"):
            if getattr(self, name) < 0:
                msg = f"{name} of the cache must be at least 0, got {getattr(self, name)}"
                raise ConfigError(msg)
        if not 0 <= self.jitter < 1:
            msg = f"jitter of the cache must be at least 0 and below 1, got {self.jitter}"
            raise ConfigError(msg)
