"""What the cache did, counted for each pattern in one process and added up over several."""

from dataclasses import dataclass, field, fields
from enum import StrEnum
from typing import Self

from perfkit.measure.histogram import Histogram

__all__ = ["Latency", "Outcome", "PatternStatistics", "ServerCounts", "Snapshot", "Statistics"]


class Outcome(StrEnum):
    """The ways a request can go; each has a latency, from first to last."""

    HIT = "hit"
    MISS = "miss"
    ERROR = "error"
    FILL = "fill"
    """The query that is part of a miss or an error."""


@dataclass(slots=True, kw_only=True)
class _Counts:
    """
    What happened to the requests for one pattern: hits + misses + errors are all of them.

    Attributes:
        hits: Answers found.
        misses: Answers not found, then filled or brought by another's fill.
        errors: Requests for which the cache server failed; they were answered all the same.
        fills: Queries made because an answer was not found or could not be looked for.
        failed_fills: Queries that raised, and so did the requests.
        stampedes_avoided: Requests that found no answer and got it from another's fill.
        stale_writes_refused: Fills not stored, as the answer was invalidated meanwhile.
        too_large: Fills not stored for their size.
    """

    hits: int = 0
    misses: int = 0
    errors: int = 0
    fills: int = 0
    failed_fills: int = 0
    stampedes_avoided: int = 0
    stale_writes_refused: int = 0
    too_large: int = 0

    @property
    def requests(self) -> int:
        return self.hits + self.misses + self.errors

    def add(self, other: Self) -> None:
        """Take in what *other* counted."""
        for item in fields(self):
            setattr(self, item.name, getattr(self, item.name) + getattr(other, item.name))


@dataclass(slots=True, kw_only=True)
class ServerCounts:
    """
    What happened between a process and the cache server.

    Attributes:
        invalidated_keys: Keys that an invalidation forgot.
        delayed_keys: Keys whose invalidation failed at first and is, or was, tried again.
        breaker_openings: Times the server was given up for a while.
    """

    invalidated_keys: int = 0
    delayed_keys: int = 0
    breaker_openings: int = 0

    def add(self, other: Self) -> None:
        """Take in what *other* counted."""
        for item in fields(self):
            setattr(self, item.name, getattr(self, item.name) + getattr(other, item.name))


class Latency:
    """Latencies of one outcome: all of them in a histogram, and their sum for an exact mean."""

    __slots__ = ("histogram", "sum_s")

    def __init__(self) -> None:
        self.histogram = Histogram()
        self.sum_s = 0.0

    def record(self, sample_s: float) -> None:
        """Add one latency in seconds."""
        self.histogram.record(sample_s)
        self.sum_s += sample_s

    @property
    def count(self) -> int:
        return self.histogram.count

    def add(self, other: Self) -> None:
        """Take in all latencies of *other*."""
        self.histogram.add(other.histogram)
        self.sum_s += other.sum_s


class PatternStatistics:
    """
    Counts and latencies of the requests for one pattern.

    Attributes:
        counts: What happened.
        latencies: How long it took, for each outcome there was.
    """

    __slots__ = ("counts", "latencies")

    def __init__(self) -> None:
        self.counts = _Counts()
        self.latencies: dict[Outcome, Latency] = {}

    def record(self, outcome: Outcome, sample_s: float) -> None:
        """Add the latency of one request, in seconds."""
        latency = self.latencies.get(outcome)
        if latency is None:
            latency = self.latencies[outcome] = Latency()
        latency.record(sample_s)

    def add(self, other: Self) -> None:
        """Take in what *other* counted."""
        self.counts.add(other.counts)
        for outcome, latency in other.latencies.items():
            self.latencies.setdefault(outcome, Latency()).add(latency)


@dataclass(slots=True)
class Snapshot:
    """What was counted up to a moment, in one process or in several."""

    patterns: dict[str, PatternStatistics] = field(default_factory=dict)
    server: ServerCounts = field(default_factory=ServerCounts)

    @property
    def total(self) -> PatternStatistics:
        """All patterns together."""
        total = PatternStatistics()
        for pattern in self.patterns.values():
            total.add(pattern)
        return total

    def add(self, other: Self) -> None:
        """Take in what another process counted."""
        for name, pattern in other.patterns.items():
            self.patterns.setdefault(name, PatternStatistics()).add(pattern)
        self.server.add(other.server)


class Statistics:
    """What this process counts."""

    def __init__(self) -> None:
        self._live = Snapshot()
        self.server = self._live.server

    def pattern(self, name: str) -> PatternStatistics:
        """Return where to count the requests for a pattern."""
        found = self._live.patterns.get(name)
        if found is None:
            found = self._live.patterns[name] = PatternStatistics()
        return found

    def snapshot(self) -> Snapshot:
        """Return a copy that does not change any more."""
        copy = Snapshot()
        copy.add(self._live)
        return copy
