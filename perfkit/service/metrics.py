"""
Counters and latencies of the service as Prometheus text, added up over all its workers.

Each worker counts in memory and writes its numbers each second into a file of its own, in a
folder they share, so that any of them can answer for all, and what a worker counted outlives it.
A disk that is full only keeps the others from hearing what is new.
"""

import asyncio
import logging
import os
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from perfkit.cache.aside import Cache
from perfkit.cache.statistics import Outcome
from perfkit.service.timing import CacheState, Trace

if TYPE_CHECKING:
    from prometheus_client.metrics_core import Metric

    from perfkit.queue.streams import QueueName, QueueStatistics

    Queues = Mapping[QueueName, QueueStatistics]

__all__ = ["Metrics"]

_BUCKETS_S = (
    *(0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5),
    *(1.0, 2.5, 5.0, 10.0, 30.0),
)

_POST_S = 1.0
_FRESH_S = 5.0

_CACHE_COUNTERS = {
    "hits": "Answers found.",
    "misses": "Answers not found.",
    "errors": "Requests the cache server failed; they were answered all the same.",
    "fills": "Answers fetched from DynamoDB.",
    "failed_fills": "Those that could not be had.",
    "stampedes_avoided": "Misses that waited for the fill of another.",
    "stale_writes_refused": "Fills not kept, since an invalidation came between.",
    "too_large": "Answers not kept for their size.",
}
_SERVER_COUNTERS = {
    "invalidated_keys": "Keys forgotten after writes.",
    "delayed_keys": "Those that could not be forgotten at once.",
    "breaker_openings": "Times the cache server was given up for a while.",
}
_QUEUE_COUNTERS = {
    "delivered": "Messages delivered.",
    "retried": "Attempts that failed and were repeated.",
    "died": "Messages given up.",
}
_QUEUE_GAUGES = {
    "waiting": "Messages no worker has had yet.",
    "pending": "Messages a worker has, or that wait for their next attempt.",
    "dead": "Messages given up and kept.",
    "oldest_s": "Age of the oldest message that is not delivered, in seconds.",
}

_log = logging.getLogger("perfkit.service")


class Metrics:
    """
    The numbers of one process, and those of all as text.

    Args:
        cache: Its numbers are reported, too; None without a cache.
        folder: Where the workers tell each other; None if there is but one.
    """

    def __init__(self, cache: Cache | None = None, folder: Path | None = None) -> None:
        from prometheus_client import (
            CollectorRegistry,
            Counter,
            Histogram,
            disable_created_metrics,
        )

        # when a worker was started is no number that adds up
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self._registry = registry = CollectorRegistry()
        self._board = None if folder is None else _Board(folder)
        self._requests = Counter(
            "perfkit_requests",
            "Requests answered.",
            ("method", "route", "status"),
            registry=registry,
        )
        self._seconds = Histogram(
            "perfkit_request_seconds",
            "From the request's headers to the end of its answer.",
            ("method", "route"),
            buckets=_BUCKETS_S,
            registry=registry,
        )
        self._states = Counter(
            "perfkit_cache_answers",
            "What the cache had to say: HIT, MISS, ERROR or OFF.",
            ("route", "state"),
            registry=registry,
        )
        self._read_units = Counter(
            "perfkit_consumed_read_units",
            "Read units DynamoDB says requests consumed.",
            ("route",),
            registry=registry,
        )
        self._write_units = Counter(
            "perfkit_consumed_write_units",
            "Write units DynamoDB says requests consumed.",
            ("route",),
            registry=registry,
        )
        self._notifications = Counter(
            "perfkit_notifications",
            "Mails and lines of the request log, by what became of them.",
            ("kind", "outcome"),
            registry=registry,
        )
        if cache is not None:
            registry.register(_CacheNumbers(cache))
        self._known: dict[tuple[str, str, int, CacheState], tuple[Any, Any, Any]] = {}

    def observe(self, trace: Trace, method: str, route: str, elapsed_s: float) -> None:
        """Count one answered request."""
        kind = (method, route, trace.status, trace.cache)
        known = self._known.get(kind)
        if known is None:
            known = self._known[kind] = (
                self._requests.labels(method, route, str(trace.status)).inc,
                self._seconds.labels(method, route).observe,
                self._states.labels(route, trace.cache.value).inc,
            )
        count, observe, count_state = known
        count()
        observe(elapsed_s)
        count_state()
        if trace.read_units:
            self._read_units.labels(route).inc(trace.read_units)
        if trace.write_units:
            self._write_units.labels(route).inc(trace.write_units)

    def count_notification(self, kind: str, outcome: str) -> None:
        """Count what became of a mail or a line of the request log."""
        self._notifications.labels(kind, outcome).inc()

    async def keep_posting(self) -> None:
        """Let the other workers know each second what was counted here, until cancelled."""
        while True:
            self.post()
            await asyncio.sleep(_POST_S)

    def post(self) -> None:
        """Let the other workers know now."""
        from prometheus_client import generate_latest

        if self._board is not None:
            self._board.post(generate_latest(self._registry))

    def render(self, queues: "Queues | None") -> bytes:
        """
        Return the numbers of all workers.

        Args:
            queues: What is in the queues, None if there are none or nobody knows.
        """
        from prometheus_client import CollectorRegistry, generate_latest

        own = generate_latest(self._registry)
        if self._board is None:
            text = own
        else:
            whole = CollectorRegistry()
            whole.register(_Sum([(own.decode(), True), *self._board.others()]))
            text = generate_latest(whole)
        if queues is not None:
            of_queues = CollectorRegistry()
            of_queues.register(_QueueNumbers(queues))
            text += generate_latest(of_queues)
        return text


class _Board:
    """The numbers of all workers of a service, a file each; those of dead workers stay."""

    def __init__(self, folder: Path) -> None:
        # a process number may come again
        self._own = folder / f"{os.getpid()}-{time.time_ns()}.prom"
        self._complained = False

    def post(self, text: bytes) -> None:
        # the name must not end like those that are read
        unfinished = self._own.with_suffix(".new")
        try:
            unfinished.write_bytes(text)
            unfinished.replace(self._own)
            self._complained = False
        except OSError as error:
            if not self._complained:
                _log.warning("other workers cannot report what this one counts: %s", error)
            self._complained = True

    def others(self) -> Iterator[tuple[str, bool]]:
        """Yield what other workers wrote last, and whether that is how things are now."""
        for file in self._own.parent.glob("*.prom"):
            if file != self._own:
                try:
                    fresh = time.time() - file.stat().st_mtime < _FRESH_S
                    yield file.read_text(), fresh
                except OSError as error:
                    _log.warning("what another worker counted cannot be read: %s", error)


class _Sum:
    """Several workers' numbers as one: counters are added, of gauges the highest counts."""

    def __init__(self, texts: Iterable[tuple[str, bool]]) -> None:
        self._texts = texts

    def collect(self) -> "Iterator[Metric]":
        """Yield the numbers, as prometheus_client wants them of a collector."""
        from prometheus_client import Metric
        from prometheus_client.parser import text_string_to_metric_families

        families: dict[str, Metric] = {}
        samples: dict[str, dict[tuple[str, tuple[tuple[str, str], ...]], float]] = {}
        for text, is_current in self._texts:
            for family in text_string_to_metric_families(text):
                is_gauge = family.type == "gauge"
                if is_gauge and not is_current:
                    continue
                families.setdefault(
                    family.name, Metric(family.name, family.documentation, family.type)
                )
                found = samples.setdefault(family.name, {})
                for sample in family.samples:
                    key = (sample.name, tuple(sorted(sample.labels.items())))
                    before = found.get(key, 0.0)
                    found[key] = max(before, sample.value) if is_gauge else before + sample.value
        for name, metric in families.items():
            for (sample_name, labels), value in samples[name].items():
                metric.add_sample(sample_name, dict(labels), value)
            yield metric


class _CacheNumbers:
    """What this worker's cache counted."""

    def __init__(self, cache: Cache) -> None:
        self._cache = cache

    def collect(self) -> "Iterator[Metric]":
        """Yield the numbers, as prometheus_client wants them of a collector."""
        from prometheus_client.core import (
            CounterMetricFamily,
            GaugeMetricFamily,
            SummaryMetricFamily,
        )

        counted = self._cache.snapshot()
        patterns = sorted(counted.patterns.items())
        for name, help_text in _CACHE_COUNTERS.items():
            counter = CounterMetricFamily(f"perfkit_cache_{name}", help_text, labels=["pattern"])
            for pattern, statistics in patterns:
                counter.add_metric([pattern], getattr(statistics.counts, name))
            yield counter
        seconds = SummaryMetricFamily(
            "perfkit_cache_seconds", "How long each way took.", labels=["pattern", "outcome"]
        )
        for pattern, statistics in patterns:
            for outcome in Outcome:
                latency = statistics.latencies.get(outcome)
                if latency is not None:
                    seconds.add_metric([pattern, outcome.value], latency.count, latency.sum_s)
        yield seconds
        for name, help_text in _SERVER_COUNTERS.items():
            value = getattr(counted.server, name)
            yield CounterMetricFamily(f"perfkit_cache_{name}", help_text, value=value)
        yield GaugeMetricFamily(
            "perfkit_cache_breaker_open",
            "Whether a worker has given up the cache server for now.",
            value=not self._cache.breaker.closed,
        )


class _QueueNumbers:
    """What is in the queues."""

    def __init__(self, queues: "Queues") -> None:
        self._queues = queues

    def collect(self) -> "Iterator[Metric]":
        """Yield the numbers, as prometheus_client wants them of a collector."""
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

        for kinds, family in (
            (_QUEUE_COUNTERS, CounterMetricFamily),
            (_QUEUE_GAUGES, GaugeMetricFamily),
        ):
            for name, help_text in kinds.items():
                metric = family(f"perfkit_queue_{name}", help_text, labels=["queue"])
                for queue, statistics in self._queues.items():
                    metric.add_metric([queue.value], getattr(statistics, name))
                yield metric
