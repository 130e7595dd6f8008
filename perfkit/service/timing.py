"""
What one request did: its stages, its cache state, the units it consumed; as response headers.

`Server-Timing` is the W3C header, in milliseconds. Stages do not overlap, each is the time the
request waited for it; `total` is all of it up to the first byte of the answer.
"""

from enum import StrEnum
from time import perf_counter

__all__ = ["CACHE_HEADER", "STAGES", "TIMING_HEADER", "UNITS_HEADER", "WRITE_UNITS_HEADER"]
__all__ += ["CacheState", "Trace"]

TIMING_HEADER = "Server-Timing"
CACHE_HEADER = "X-Cache"
UNITS_HEADER = "X-Consumed-Read-Units"
WRITE_UNITS_HEADER = "X-Consumed-Write-Units"

STAGES = ("auth", "parse", "cache", "db", "serialize", "notify")


class CacheState(StrEnum):
    """What the cache had to say about a request."""

    HIT = "HIT"
    MISS = "MISS"
    ERROR = "ERROR"
    OFF = "OFF"


_STATES = {state: state.encode() for state in CacheState}


class Trace:
    """Filled in while a request is answered; times in seconds."""

    __slots__ = (
        "auth_s",
        "cache",
        "cache_s",
        "db_s",
        "notify_s",
        "parse_s",
        "read_units",
        "route",
        "serialize_s",
        "started_s",
        "status",
        "write_units",
    )

    def __init__(self) -> None:
        self.started_s = perf_counter()
        self.auth_s = 0.0
        self.parse_s = 0.0
        self.cache_s = 0.0
        self.db_s = 0.0
        self.serialize_s = 0.0
        self.notify_s = 0.0
        self.cache = CacheState.OFF
        self.read_units = 0.0
        self.write_units = 0.0
        self.route = ""
        self.status = 0

    def headers(self) -> list[tuple[bytes, bytes]]:
        """Return the headers that every response carries."""
        total_s = perf_counter() - self.started_s
        timing = (
            f"auth;dur={self.auth_s * 1e3:.3f}, parse;dur={self.parse_s * 1e3:.3f},"
            f" cache;dur={self.cache_s * 1e3:.3f}, db;dur={self.db_s * 1e3:.3f},"
            f" serialize;dur={self.serialize_s * 1e3:.3f}, notify;dur={self.notify_s * 1e3:.3f},"
            f" total;dur={total_s * 1e3:.3f}"
        )
        return [
            (b"server-timing", timing.encode()),
            (b"x-cache", _STATES[self.cache]),
            (b"x-consumed-read-units", b"%.1f" % self.read_units),
            (b"x-consumed-write-units", b"%.1f" % self.write_units),
        ]
