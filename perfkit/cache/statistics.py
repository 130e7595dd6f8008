"""
What the cache did, counted for each pattern in one process and added up over several.

Each worker writes its counts to a file of its own in a folder they share, so that any of them
can tell the whole, also while the cache server is down, which is when it matters.
"""

import contextlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields
from enum import StrEnum
from pathlib import Path
from typing import Any, Self

from perfkit.errors import RunFileError
from perfkit.measure.histogram import Histogram

__all__ = [
    "Board",
    "Counts",
    "Latency",
    "Outcome",
    "PatternStatistics",
    "ServerCounts",
    "Snapshot",
    "Statistics",
]

FORMAT = 1


class Outcome(StrEnum):
    """The ways a request can go; each has a latency, from first to last."""

    HIT = "hit"
    MISS = "miss"
    ERROR = "error"
    FILL = "fill"
    """The query that is part of a miss or an error."""


@dataclass(slots=True, kw_only=True)
class Counts:
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

    @property
    def hit_rate(self) -> float | None:
        """Hits among all requests; None if there were none."""
        return self.hits / self.requests if self.requests else None

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

    def __init__(self, histogram: Histogram | None = None, sum_s: float = 0.0) -> None:
        self.histogram = histogram or Histogram()
        self.sum_s = sum_s

    def record(self, sample_s: float) -> None:
        """Add one latency in seconds."""
        self.histogram.record(sample_s)
        self.sum_s += sample_s

    @property
    def count(self) -> int:
        return self.histogram.count

    @property
    def mean_s(self) -> float | None:
        """The mean in seconds; None without a sample."""
        return self.sum_s / self.count if self.count else None

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
        self.counts = Counts()
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

    def to_json(self) -> dict[str, Any]:
        """Return a form that JSON can hold and `from_json` reads back."""
        return {
            "format": FORMAT,
            "patterns": {
                name: {
                    "counts": asdict(pattern.counts),
                    "latencies": {
                        outcome.value: {
                            "sum_s": latency.sum_s,
                            "histogram": latency.histogram.encode(),
                        }
                        for outcome, latency in pattern.latencies.items()
                    },
                }
                for name, pattern in self.patterns.items()
            },
            "server": asdict(self.server),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """
        Return the snapshot that `to_json` turned into *data*.

        Raises:
            RunFileError: *data* is nothing of the kind.
        """
        snapshot = cls()
        try:
            if data["format"] != FORMAT:
                msg = f"format {data['format']!r} is not {FORMAT}"
                raise ValueError(msg)  # noqa: TRY301 - told as the other faults are
            for name, saved in data["patterns"].items():
                pattern = snapshot.patterns[name] = PatternStatistics()
                pattern.counts = Counts(**saved["counts"])
                for outcome, latency in saved["latencies"].items():
                    histogram = Histogram.decode(latency["histogram"])
                    pattern.latencies[Outcome(outcome)] = Latency(histogram, latency["sum_s"])
            snapshot.server = ServerCounts(**data["server"])
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            msg = f"these are no cache statistics: {error}"
            raise RunFileError(msg) from error
        return snapshot


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


class Board:
    """
    The counts of all workers, one file each in a folder.

    What a worker counted stays when it ends, so that sums never go down; remove the folder
    before the first worker starts.

    Args:
        folder: Made if need be.
        worker: A name that no other worker of the folder has or had.
    """

    def __init__(self, folder: Path, worker: str) -> None:
        self._folder = folder
        self._own = folder / f"{worker}.json"

    def post(self, snapshot: Snapshot) -> None:
        """Write what this worker counted, in place of what it wrote before."""
        self._folder.mkdir(parents=True, exist_ok=True)
        # the name must not end like those that are read
        unfinished = self._own.with_suffix(".new")
        unfinished.write_text(json.dumps(snapshot.to_json()))
        unfinished.replace(self._own)

    def whole(self, own: Snapshot) -> Snapshot:
        """Return *own* together with what the other workers wrote last."""
        whole = Snapshot()
        whole.add(own)
        for other in self._others():
            whole.add(other)
        return whole

    def _others(self) -> Iterable[Snapshot]:
        for file in self._folder.glob("*.json"):
            # what another version left there, or somebody is just removing, is nobody's count
            with contextlib.suppress(OSError, ValueError, RunFileError):
                if file != self._own:
                    yield Snapshot.from_json(json.loads(file.read_text()))
