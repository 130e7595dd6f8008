"""What the processes that make requests report, added up: to figures of a run, and second by second."""

from __future__ import annotations

import base64
import math
from array import array
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from perfkit.measure.histogram import Histogram
from perfkit.measure.statistics import percentile
from perfkit.runs import (
    CacheFigures,
    HttpFigures,
    LatencySummary,
    LoadSecond,
    LoadStage,
    ServiceFigures,
    Variant,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Gathering", "Latencies"]

_VARIANT = "load"
"""The name of every variant of a load test."""

_ALL = "all requests"

_MOST_ROUNDS = 20
_BEHIND_S = 3


class Latencies:
    """Latencies of any number, whose histogram is exact to 0.1%, and mean and extremes altogether."""

    def __init__(self) -> None:
        self.histogram = Histogram()
        self._sum_s = 0.0
        self._least_s = math.inf
        self._most_s = 0.0

    def add(self, samples_s: array[float]) -> None:
        """Add some."""
        for sample_s in samples_s:
            self.histogram.record(sample_s)
        if samples_s:
            self._sum_s += math.fsum(samples_s)
            self._least_s = min(self._least_s, *samples_s)
            self._most_s = max(self._most_s, *samples_s)

    def merge(self, other: Latencies) -> None:
        """Add those of another."""
        self.histogram.add(other.histogram)
        self._sum_s += other._sum_s
        self._least_s = min(self._least_s, other._least_s)
        self._most_s = max(self._most_s, other._most_s)

    def summary(self) -> LatencySummary:
        """Return count, mean, extremes and percentiles of at least one latency."""

        def at(fraction: float) -> float:
            # the histogram's cells are a little wide, the extremes are not
            return min(max(self.histogram.percentile(fraction), self._least_s), self._most_s)

        count = self.histogram.count
        return LatencySummary(
            count=count,
            mean=min(max(self._sum_s / count, self._least_s), self._most_s),
            p50=at(0.50),
            p90=at(0.90),
            p95=at(0.95),
            p99=at(0.99),
            max=self._most_s,
            min=self._least_s,
        )


@dataclass
class _Counts:
    """What answers said of themselves, added up; the names are those of `AnswerCounts`."""

    statuses: dict[str, int] = field(default_factory=dict)
    errors: dict[str, int] = field(default_factory=dict)
    cache: dict[str, tuple[int, float]] = field(default_factory=dict)
    stages_s: dict[str, float] = field(default_factory=dict)
    read_units: float = 0.0
    write_units: float = 0.0
    units_reported: int = 0
    operations: dict[str, int] = field(default_factory=dict)
    operations_reported: int = 0
    throttles: int = 0
    throttles_reported: int = 0
    body_bytes: int = 0

    def add(self, more: Mapping[str, Any]) -> None:
        """Add what others say, by the same names."""
        for name, before in vars(self).items():
            if name == "cache":
                for state, (count, taken_s) in more[name].items():
                    counted, known_s = self.cache.get(state, (0, 0.0))
                    self.cache[state] = (counted + int(count), known_s + taken_s)
            elif isinstance(before, dict):
                _add_up(before, more[name])
            else:
                setattr(self, name, before + more[name])

    @property
    def hits_and_looks(self) -> tuple[int, int]:
        """How many requests found an answer in the cache, and how many looked for one."""
        looks = [self.cache.get(state, (0, 0.0))[0] for state in ("HIT", "MISS", "ERROR")]
        return looks[0], sum(looks)


class _Endpoint:
    """Measured requests of one name."""

    def __init__(self) -> None:
        self.response = Latencies()
        self.service = Latencies()
        self.counts = _Counts()
        self.rounds_s: list[float] = []
        self._round_s: array[float] = array("d")

    def add(self, counts: Mapping[str, Any]) -> None:
        response_s = _numbers(counts["response_s"])
        self.response.add(response_s)
        self.service.add(_numbers(counts["service_s"]))
        self._round_s.extend(response_s)
        self.counts.add(counts)

    def end_round(self) -> None:
        """Take what came since the last one as a round."""
        if self._round_s:
            self.rounds_s.append(percentile(sorted(self._round_s), 0.5))
            self._round_s = array("d")

    def merge(self, other: _Endpoint) -> None:
        self.response.merge(other.response)
        self.service.merge(other.service)
        self.counts.add(vars(other.counts))

    @property
    def requests(self) -> int:
        return self.response.histogram.count

    def variant(
        self, name: str, measured_s: float, counted_by: str, switches: Mapping[str, bool] | None
    ) -> Variant:
        requests, counts = self.requests, self.counts
        # of those that said it: a request that failed on its way says nothing
        units = counts.read_units / counts.units_reported if counts.units_reported else None
        return Variant(
            name=_VARIANT,
            question=name,
            operation=name or _ALL,
            calls=requests,
            requests=requests,
            requests_per_call=1.0,
            errors=sum(counts.errors.values()),
            items_read=None,
            items_returned=0,
            bytes_read=None,
            capacity_units=units,
            capacity_source="none" if units is None else counted_by,
            latency_s=self.response.summary(),
            histogram=self.response.histogram.encode(),
            rounds_s=tuple(self.rounds_s),
            body_bytes=round(counts.body_bytes / requests),
            cache=self._cache(),
            service=self._service(measured_s, units, switches),
            http=HttpFigures(
                requests_per_s=requests / measured_s,
                statuses=dict(sorted(counts.statuses.items())),
                errors_by_kind=dict(sorted(counts.errors.items(), key=lambda each: -each[1])),
                service_s=self.service.summary(),
                service_histogram=self.service.histogram.encode(),
                write_units=counts.write_units / counts.units_reported
                if counts.units_reported
                else None,
                operations=dict(sorted(counts.operations.items()))
                if counts.operations_reported
                else None,
                throttles=counts.throttles if counts.throttles_reported else None,
            ),
        )

    def _cache(self) -> CacheFigures | None:
        found = self.counts.cache
        if not found.keys() & {"HIT", "MISS", "ERROR"}:
            return None
        counts = {state: found.get(state, (0, 0.0)) for state in ("HIT", "MISS", "ERROR")}
        means = {
            state: taken / count if count else None for state, (count, taken) in counts.items()
        }
        return CacheFigures(
            hits=counts["HIT"][0],
            misses=counts["MISS"][0],
            errors=counts["ERROR"][0],
            hit_mean_s=means["HIT"],
            miss_mean_s=means["MISS"],
            error_mean_s=means["ERROR"],
        )

    def _service(
        self, measured_s: float, units: float | None, switches: Mapping[str, bool] | None
    ) -> ServiceFigures | None:
        if switches is None:
            return None
        statuses = self.counts.statuses
        answered = sum(statuses.values())
        failed = sum(count for status, count in statuses.items() if status >= "500")
        return ServiceFigures(
            switches=dict(switches),
            requests_per_s=self.requests / measured_s,
            read_units_per_s=None if units is None else self.counts.read_units / measured_s,
            failed_share=failed / self.requests,
            healthy=1,
            instances=1,
            cpu_s=None,
            cpu_share=None,
            stages_s={
                stage: taken_s / answered
                for stage, taken_s in self.counts.stages_s.items()
                if answered
            },
        )


@dataclass(slots=True)
class _Second:
    """What the processes report of one second."""

    workers: set[int] = field(default_factory=set)
    at_s: float = 0.0
    users: int = 0
    samples_s: array[float] = field(default_factory=lambda: array("d"))
    counts: _Counts = field(default_factory=_Counts)
    cpu_share: float = 0.0

    def add(self, report: Mapping[str, Any]) -> None:
        self.workers.add(report.get("worker", 0))
        self.at_s = max(self.at_s, report["at_s"])
        self.users += report["users"]
        self.cpu_share = max(self.cpu_share, report["cpu_share"])
        for counts in (*report["ramp"].values(), *report["measured"].values()):
            self.samples_s.extend(_numbers(counts["response_s"]))
            self.counts.add(counts)

    def to_record(self) -> LoadSecond:
        ordered_s = sorted(self.samples_s)
        counts = self.counts
        hits, looks = counts.hits_and_looks
        p50_s, p95_s, p99_s = (
            (percentile(ordered_s, each) if ordered_s else None) for each in (0.5, 0.95, 0.99)
        )
        return LoadSecond(
            at_s=self.at_s,
            users=self.users,
            requests=len(ordered_s),
            errors=sum(counts.errors.values()),
            p50_s=p50_s,
            p95_s=p95_s,
            p99_s=p99_s,
            hit_rate=hits / looks if looks else None,
            read_units=counts.read_units if counts.units_reported else None,
            write_units=counts.write_units if counts.units_reported else None,
            throttles=counts.throttles if counts.throttles_reported else None,
            generator_cpu_share=self.cpu_share,
        )


@dataclass(slots=True)
class _Stage:
    """The seconds of a stage."""

    start_s: float
    end_s: float = 0.0
    figures: _Endpoint = field(default_factory=_Endpoint)


class Gathering:
    """
    Adds up reports.

    Args:
        workers: Processes that report.
        ramp_s: Of the test; not measured.
        duration_s: Measured.
    """

    def __init__(self, workers: int, ramp_s: float, duration_s: float) -> None:
        self._workers = workers
        self._ramp_s = ramp_s
        self._round_s = max(duration_s / _MOST_ROUNDS, 1.0)
        self._round_ends_s = ramp_s + self._round_s
        self._endpoints: dict[str, _Endpoint] = {}
        self._open: dict[int, _Second] = {}
        self._cpu_s: dict[int, tuple[float, float]] = {}
        self.seconds: list[LoadSecond] = []
        self.lags = Latencies()
        self.without_user = 0
        self.sent_late = 0
        self.errors: dict[str, int] = {}
        """By kind, those of the ramp too."""
        self.jumps_s: list[float] = []
        """By how much a clock was put forward or back, from one second to the next."""
        self.stands_s: list[float] = []
        """How long a process did nothing, where that was longer than it should be."""
        self._last_s: dict[int, float] = {}
        self._stages: dict[str, _Stage] = {}
        self._stage_before: dict[int, str] = {}

    def add(self, report: Mapping[str, Any], stage: str = "") -> None:
        """
        Add what a process says of a second.

        Args:
            report: That.
            stage: What the present stage is called; "" where there is none.
        """
        worker, at_s = report.get("worker", 0), report["at_s"]
        self._open.setdefault(report["number"], _Second()).add(report)
        self.lags.add(_numbers(report["lags"]))
        self.without_user += report["without_user"]
        self.sent_late += report["sent_late"]
        self.jumps_s.append(report["jump_s"])
        before_s = self._last_s.get(worker, 0.0)
        self._last_s[worker] = at_s
        self.stands_s.append(at_s - before_s)
        if before_s >= self._ramp_s:
            busy_s, whole_s = self._cpu_s.get(worker, (0.0, 0.0))
            length_s = at_s - before_s
            self._cpu_s[worker] = (busy_s + report["cpu_share"] * length_s, whole_s + length_s)
        for counts in (*report["ramp"].values(), *report["measured"].values()):
            _add_up(self.errors, counts["errors"])
        for name, counts in report["measured"].items():
            self._endpoints.setdefault(name, _Endpoint()).add(counts)
        # a second in which a stage began or ended is of none
        if stage and stage == self._stage_before.get(worker):
            found = self._stages.setdefault(stage, _Stage(before_s))
            found.end_s = at_s
            for counts in report["measured"].values():
                found.figures.add(counts)
        self._stage_before[worker] = stage
        if min(self._last_s.values()) >= self._round_ends_s:
            self._end_round()
        self._close_seconds()

    def requests_in(self, stage: str) -> int:
        """Return how many requests ended in whole seconds of a stage so far."""
        found = self._stages.get(stage)
        return 0 if found is None else found.figures.requests

    def _end_round(self) -> None:
        for endpoint in self._endpoints.values():
            endpoint.end_round()
        self._round_ends_s += self._round_s

    def lose(self) -> None:
        """Wait for one process less."""
        self._workers -= 1
        self._close_seconds()

    def _close_seconds(self, *, all_of_them: bool = False) -> None:
        newest = max(self._open, default=0)
        for number in sorted(self._open):
            second = self._open[number]
            if (
                not all_of_them
                and len(second.workers) < self._workers
                and number > newest - _BEHIND_S
            ):
                break
            self.seconds.append(self._open.pop(number).to_record())

    @property
    def generator_cpu_share(self) -> float | None:
        """Of the busiest process after the ramp, as a share of one core."""
        return max((busy / whole for busy, whole in self._cpu_s.values() if whole), default=None)

    @property
    def measured_s(self) -> float:
        """How long it measured so far, of the process that is furthest behind."""
        return max(min(self._last_s.values(), default=0.0) - self._ramp_s, 0.0)

    def finish(
        self, measured_s: float, counted_by: str, switches: Mapping[str, bool] | None
    ) -> tuple[Variant, ...]:
        """
        Return the variants of a run: all requests, then each endpoint; none without a request.

        Args:
            measured_s: In which they were due.
            counted_by: Who counted the capacity that answers say.
            switches: Of the reference service; None for another.
        """
        self._close_seconds(all_of_them=True)
        total = _Endpoint()
        for endpoint in self._endpoints.values():
            endpoint.end_round()
            total.merge(endpoint)
        if not total.requests or measured_s <= 0:
            return ()
        total.rounds_s = self._rounds_of_all()
        named = sorted(self._endpoints.items(), key=lambda each: -each[1].requests)
        return tuple(
            each.variant(name, measured_s, counted_by, switches)
            for name, each in (("", total), *named)
        )

    def stages(self, counted_by: str, switches: Mapping[str, bool] | None) -> tuple[LoadStage, ...]:
        """Return the stages that had whole seconds, in order; arguments as for `finish`."""
        found = []
        for name, each in self._stages.items():
            figures = None
            if each.figures.requests:
                figures = each.figures.variant(
                    name, each.end_s - each.start_s, counted_by, switches
                )
            found.append(
                LoadStage(name=name, start_s=each.start_s, end_s=each.end_s, figures=figures)
            )
        return tuple(found)

    def _rounds_of_all(self) -> list[float]:
        medians: dict[int, list[float]] = {}
        for second in self.seconds:
            if second.p50_s is not None and second.at_s > self._ramp_s:
                number = int((second.at_s - self._ramp_s) // self._round_s)
                medians.setdefault(number, []).append(second.p50_s)
        return [percentile(sorted(each), 0.5) for each in medians.values()]


def _numbers(text: str) -> array[float]:
    numbers = array("d")
    numbers.frombytes(base64.b64decode(text))
    return numbers


def _add_up(totals: dict[str, Any], more: Mapping[str, Any]) -> None:
    for key, value in more.items():
        totals[key] = totals.get(key, 0) + value
