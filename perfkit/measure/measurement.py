"""What the calls of one variant took, added up round by round, and the variant of a run it becomes."""

# array[float] is no type at run time before Python 3.12
from __future__ import annotations

import statistics
from array import array
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol, TypeVar

from perfkit.measure.histogram import Histogram
from perfkit.measure.statistics import summarize
from perfkit.runs import CacheFigures, ServiceFigures, Variant

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from perfkit.measure.clock import Clock

__all__ = ["Measurement", "Sampler", "add_known", "sample_calls", "to_variant"]

T = TypeVar("T")
N = TypeVar("N", int, float)


@dataclass(slots=True, kw_only=True)
class Measurement:
    """
    What calls of a variant took: those of one round, or of all rounds added together.

    Attributes:
        samples_s: Latency of each call.
        elapsed_s: Of the rounds, as far as they are measured.
        cpu_s: Processor time of what answered, this process or the service; None if unknown.
        read_units: Of all calls; None if the target does not say.
        requests: To DynamoDB or to the service.
        retries: Requests made again.
        errors: Calls that failed.
        items: In the last answer.
        fewest_items: In any answer, as far as each was looked at.
        most_items: Likewise.
        body_bytes: Size of the last answer.
        digest: Of the last answer, in any order of its items; "" if answers are compared otherwise.
        cache: By state of the cache (HIT, MISS, ERROR): calls, and seconds together.
        stages_s: By stage, seconds of all calls together.
        unhealthy: Rounds after which the service was not healthy.
        rounds: Numbers of the rounds in which the variant was called.
        rounds_s: Median latency of each of them.
    """

    samples_s: array[float] = field(default_factory=lambda: array("d"))
    elapsed_s: float = 0.0
    cpu_s: float | None = 0.0
    read_units: float | None = 0.0
    requests: int = 0
    retries: int = 0
    errors: int = 0
    items: int = 0
    fewest_items: int | None = None
    most_items: int | None = None
    body_bytes: int | None = None
    digest: str = ""
    cache: dict[str, tuple[int, float]] = field(default_factory=dict)
    stages_s: dict[str, float] = field(default_factory=dict)
    unhealthy: int = 0
    rounds: list[int] = field(default_factory=list)
    rounds_s: list[float] = field(default_factory=list)

    @property
    def calls(self) -> int:
        """How many calls were measured."""
        return len(self.samples_s)

    @property
    def median_s(self) -> float:
        """The median latency of its calls, of which there is at least one."""
        return statistics.median(self.samples_s)

    def count_items(self, count: int) -> None:
        """Note how many items one answer held."""
        self.items = count
        self.fewest_items = count if self.fewest_items is None else min(self.fewest_items, count)
        self.most_items = count if self.most_items is None else max(self.most_items, count)

    def count_cache(self, state: str, calls: int, seconds: float) -> None:
        """Add calls that the cache answered with *state*."""
        count, together_s = self.cache.get(state, (0, 0.0))
        self.cache[state] = (count + calls, together_s + seconds)

    def add(self, number: int, measurement: Measurement) -> None:
        """Add what was measured in round *number*."""
        self.samples_s.extend(measurement.samples_s)
        self.rounds.append(number)
        self.rounds_s.append(measurement.median_s)
        self.elapsed_s += measurement.elapsed_s
        self.cpu_s = add_known(self.cpu_s, measurement.cpu_s)
        self.read_units = add_known(self.read_units, measurement.read_units)
        self.requests += measurement.requests
        self.retries += measurement.retries
        self.errors += measurement.errors
        for count in (measurement.fewest_items, measurement.most_items):
            if count is not None:
                self.count_items(count)
        self.items, self.body_bytes = measurement.items, measurement.body_bytes
        self.digest = measurement.digest
        self.unhealthy += measurement.unhealthy
        for state, (calls, seconds) in measurement.cache.items():
            self.count_cache(state, calls, seconds)
        for stage, seconds in measurement.stages_s.items():
            self.stages_s[stage] = self.stages_s.get(stage, 0.0) + seconds

    def rounds_in(self, numbers: Sequence[int]) -> list[float]:
        """Return the median of each of these rounds."""
        by_round = dict(zip(self.rounds, self.rounds_s, strict=True))
        return [by_round[number] for number in numbers]


def add_known(total: N | None, more: N | None) -> N | None:
    """Return the sum, or None once any part of it is not known."""
    return None if total is None or more is None else total + more


class Sampler(Protocol):
    """
    Takes samples of one variant.

    Variants of one question must answer alike.
    """

    @property
    def name(self) -> str:
        """What the variant is called."""

    @property
    def question(self) -> str:
        """What it answers, where a scenario has several questions."""

    @property
    def operation(self) -> str:
        """What is called."""

    @property
    def concurrency(self) -> int:
        """Calls under way at once."""

    @property
    def switches(self) -> Mapping[str, bool] | None:
        """Switches of the service that answers; None where there is none."""

    def sample(self, calls: int) -> Measurement:
        """Answer so often, and return what it took; what is prepared before is not measured."""


def sample_calls(
    call: Callable[[], T], calls: int, clock: Clock, count: Callable[[Measurement, T], None]
) -> Measurement:
    """
    Make calls one after the other in this process, and return what they took.

    Args:
        call: Answers the question once; this is what is timed.
        calls: How often, at least once.
        clock: Time.
        count: Gets each answer, after its time was taken, to add what else it took.
    """
    measurement, now = Measurement(), clock.now
    cpu_s = clock.cpu()
    for _ in range(calls):
        start_s = now()
        answer = call()
        measurement.samples_s.append(now() - start_s)
        count(measurement, answer)
    measurement.cpu_s = clock.cpu() - cpu_s
    measurement.elapsed_s = sum(measurement.samples_s)
    return measurement


def to_variant(sampler: Sampler, measurement: Measurement, counted_by: str) -> Variant:
    """
    Return what a run file says of a variant.

    Args:
        sampler: Which took the samples.
        measurement: All of them, at least one.
        counted_by: The kind of target, which reported the capacity it consumed.
    """
    calls = measurement.calls
    units = None if measurement.read_units is None else measurement.read_units / calls
    in_process = sampler.switches is None and measurement.cpu_s is not None
    return Variant(
        name=sampler.name,
        question=sampler.question,
        operation=sampler.operation,
        concurrency=sampler.concurrency,
        calls=calls,
        requests=measurement.requests,
        requests_per_call=measurement.requests / calls,
        retries=measurement.retries,
        errors=measurement.errors,
        items_read=None,
        items_returned=measurement.items,
        bytes_read=None,
        capacity_units=units,
        capacity_source="none" if units is None else counted_by,
        latency_s=summarize(measurement.samples_s),
        histogram=Histogram(measurement.samples_s).encode(),
        client_cpu_s=(measurement.cpu_s or 0.0) / calls if in_process else None,
        rounds_s=tuple(measurement.rounds_s),
        body_bytes=measurement.body_bytes,
        cache=_cache_figures(measurement),
        service=_service_figures(sampler.switches, measurement),
    )


def _cache_figures(measurement: Measurement) -> CacheFigures | None:
    found = measurement.cache
    if not found.keys() & {"HIT", "MISS", "ERROR"}:
        return None
    means = {state: seconds / count for state, (count, seconds) in found.items() if count}
    return CacheFigures(
        hits=found.get("HIT", (0,))[0],
        misses=found.get("MISS", (0,))[0],
        errors=found.get("ERROR", (0,))[0],
        hit_mean_s=means.get("HIT"),
        miss_mean_s=means.get("MISS"),
        error_mean_s=means.get("ERROR"),
    )


def _service_figures(
    switches: Mapping[str, bool] | None, measurement: Measurement
) -> ServiceFigures | None:
    if switches is None:
        return None
    calls, elapsed_s = measurement.calls, max(measurement.elapsed_s, 1e-9)
    units, cpu_s = measurement.read_units, measurement.cpu_s
    return ServiceFigures(
        switches=dict(switches),
        requests_per_s=calls / elapsed_s,
        read_units_per_s=None if units is None else units / elapsed_s,
        failed_share=measurement.errors / calls,
        healthy=int(not measurement.unhealthy),
        instances=1,
        cpu_s=None if cpu_s is None else cpu_s / calls,
        cpu_share=None if cpu_s is None else cpu_s / elapsed_s,
        stages_s={stage: seconds / calls for stage, seconds in measurement.stages_s.items()},
    )
