"""
What one request did: its stages, its cache state, the units it consumed; as response headers.

`Server-Timing` is the W3C header, in milliseconds. Stages do not overlap: while one is entered
inside another, the outer one's time stands still. What belongs to no other stage is `parse`:
routing, reading and checking the request, putting the response together.
"""

from contextvars import ContextVar
from enum import StrEnum
from time import perf_counter
from typing import Protocol

__all__ = ["CacheState", "Stage", "Trace", "begin_trace", "current_trace", "stage"]


class Stage(StrEnum):
    """What a request waits for."""

    AUTH = "auth"
    PARSE = "parse"
    CACHE = "cache"
    DB = "db"
    SERIALIZE = "serialize"
    NOTIFY = "notify"


_STAGES = tuple(Stage)


class CacheState(StrEnum):
    """What the cache had to say about a request."""

    HIT = "HIT"
    MISS = "MISS"
    ERROR = "ERROR"
    OFF = "OFF"


class _Consumer(Protocol):
    """What knows the units a request consumed: its session with the database."""

    read_units: float
    write_units: float
    operations: dict[str, int]
    throttles: int

    def close(self) -> None:
        """End what was opened for this request alone."""


class Trace:
    """Filled in while a request is answered; times in seconds."""

    __slots__ = (
        "_entered_s",
        "_spent_s",
        "_stage",
        "cache",
        "request_id",
        "session",
        "started_s",
        "status",
        "user",
    )

    def __init__(self) -> None:
        self.started_s = self._entered_s = perf_counter()
        self._stage = Stage.PARSE
        self._spent_s = dict.fromkeys(_STAGES, 0.0)
        self.cache = CacheState.OFF
        self.session: _Consumer | None = None
        self.user = ""
        self.request_id = ""
        self.status = 0

    @property
    def read_units(self) -> float:
        """Read units DynamoDB says the request consumed."""
        return 0.0 if self.session is None else self.session.read_units

    @property
    def write_units(self) -> float:
        """Write units DynamoDB says the request consumed."""
        return 0.0 if self.session is None else self.session.write_units

    def _operations(self) -> bytes:
        """Return the operations DynamoDB answered, `query=1, get_item=2`; empty for none."""
        operations = {} if self.session is None else self.session.operations
        return ", ".join(f"{name}={count}" for name, count in operations.items()).encode()

    def _throttles(self) -> int:
        """Return how often DynamoDB refused for lack of capacity."""
        return 0 if self.session is None else self.session.throttles

    def enter(self, entered: Stage) -> Stage:
        """Begin a stage, and return the one that is left for it."""
        now_s = perf_counter()
        left = self._stage
        self._spent_s[left] += now_s - self._entered_s
        self._stage, self._entered_s = entered, now_s
        return left

    def headers(self) -> list[tuple[bytes, bytes]]:
        """Return the headers that every response carries."""
        self.enter(self._stage)
        spent_s, total_s = self._spent_s, self._entered_s - self.started_s
        timing = (
            f"auth;dur={spent_s[Stage.AUTH] * 1e3:.3f}, parse;dur={spent_s[Stage.PARSE] * 1e3:.3f},"
            f" cache;dur={spent_s[Stage.CACHE] * 1e3:.3f}, db;dur={spent_s[Stage.DB] * 1e3:.3f},"
            f" serialize;dur={spent_s[Stage.SERIALIZE] * 1e3:.3f},"
            f" notify;dur={spent_s[Stage.NOTIFY] * 1e3:.3f}, total;dur={total_s * 1e3:.3f}"
        )
        return [
            (b"server-timing", timing.encode()),
            (b"x-cache", self.cache.encode()),
            (b"x-consumed-read-units", b"%.1f" % self.read_units),
            (b"x-consumed-write-units", b"%.1f" % self.write_units),
            (b"x-dynamodb-operations", self._operations()),
            (b"x-dynamodb-throttles", b"%d" % self._throttles()),
        ]


_current: ContextVar[Trace] = ContextVar("trace")


def begin_trace() -> Trace:
    """Return the trace of the request that begins in this task."""
    trace = Trace()
    _current.set(trace)
    return trace


def current_trace() -> Trace:
    """Return the trace of this task's request; one that nobody reads outside of requests."""
    return _current.get(None) or begin_trace()


class stage:  # noqa: N801 - used like a function
    """A context manager: what is done inside is of that stage."""

    __slots__ = ("_left", "_stage", "_trace")

    def __init__(self, entered: Stage) -> None:
        self._stage = entered

    def __enter__(self) -> None:
        self._trace = current_trace()
        self._left = self._trace.enter(self._stage)

    def __exit__(self, *_: object) -> None:
        self._trace.enter(self._left)
