"""
Counters and latencies of the service as Prometheus text, added up over all its workers.

Each worker writes its numbers into files of its own in a folder they share, so that any of them
can answer for all, and what a worker counted outlives it. The service's own numbers go through
memory maps and are exact at once; those of the cache are written each second.
"""

import asyncio
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from perfkit.cache.statistics import Board, Outcome, Snapshot
from perfkit.service.memory import ServiceCache
from perfkit.service.timing import CacheState, Trace

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from prometheus_client.metrics_core import Metric

    from perfkit.service.notifications.queue import QueueName, QueueStatistics

    Queues = Mapping[QueueName, QueueStatistics]

__all__ = ["CONTENT_TYPE", "FOLDER_VARIABLE", "CacheCounts", "Metrics"]

FOLDER_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"
"""Where the workers' files are; read by prometheus_client when it is first imported."""

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_BUCKETS_S = (
    *(0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5),
    *(1.0, 2.5, 5.0, 10.0, 30.0),
)


_POST_S = 1.0

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
_QUEUE_COUNTERS = {
    "enqueued": "Messages queued.",
    "delivered": "Messages delivered.",
    "retried": "Attempts that failed and were repeated.",
    "died": "Messages given up.",
}
_QUEUE_GAUGES = {
    "waiting": "Messages no worker has yet.",
    "held": "Messages a worker has.",
    "delayed": "Messages that wait for their next attempt.",
    "dead": "Messages given up and kept.",
    "oldest_s": "Age of the next in line, in seconds.",
}
_SERVER_COUNTERS = {
    "invalidated_keys": "Keys forgotten after writes.",
    "delayed_keys": "Those that could not be forgotten at once.",
    "breaker_openings": "Times the cache server was given up for a while.",
}


class Metrics:
    """
    The numbers of one process, and those of all as text.

    Args:
        cache: The cache's numbers, None without a cache.
    """

    def __init__(self, cache: "CacheCounts | None" = None) -> None:
        from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

        self._cache_counts = cache
        # where the workers share a folder their registries only hold the definitions
        self._registry = CollectorRegistry()
        self._requests = Counter(
            "perfkit_requests",
            "Requests answered.",
            ("method", "route", "status"),
            registry=self._registry,
        )
        self._seconds = Histogram(
            "perfkit_request_seconds",
            "From the request's headers to the end of its answer.",
            ("method", "route"),
            buckets=_BUCKETS_S,
            registry=self._registry,
        )
        self._cache = Counter(
            "perfkit_cache_answers",
            "What the cache had to say: HIT, MISS, ERROR or OFF.",
            ("route", "state"),
            registry=self._registry,
        )
        self._read_units = Counter(
            "perfkit_consumed_read_units",
            "Read units DynamoDB says requests consumed.",
            ("route",),
            registry=self._registry,
        )
        self._write_units = Counter(
            "perfkit_consumed_write_units",
            "Write units DynamoDB says requests consumed.",
            ("route",),
            registry=self._registry,
        )
        self._breaker_open = Gauge(
            "perfkit_cache_breaker_open",
            "Whether a worker has given up the cache server for now.",
            registry=self._registry,
            multiprocess_mode="livemax",
        )
        self._told = Counter(
            "perfkit_notifications",
            "Mails and lines of the request log, by what became of them.",
            ("kind", "outcome"),
            registry=self._registry,
        )
        self._known_told: dict[tuple[str, str], Any] = {}
        self._known: dict[tuple[str, str, int, CacheState], tuple[Any, Any, Any]] = {}

    def observe(self, trace: Trace, method: str, elapsed_s: float) -> None:
        """Count one answered request."""
        kind = (method, trace.route, trace.status, trace.cache)
        known = self._known.get(kind)
        if known is None:
            known = self._known[kind] = (
                self._requests.labels(method, trace.route, str(trace.status)).inc,
                self._seconds.labels(method, trace.route).observe,
                self._cache.labels(trace.route, trace.cache.value).inc,
            )
        count, observe, count_cache = known
        count()
        observe(elapsed_s)
        count_cache()
        if trace.read_units:
            self._read_units.labels(trace.route).inc(trace.read_units)
        if trace.write_units:
            self._write_units.labels(trace.route).inc(trace.write_units)

    def count_told(self, kind: str, outcome: str) -> None:
        """Count what became of a mail or a line of the request log."""
        known = self._known_told.get((kind, outcome))
        if known is None:
            known = self._known_told[kind, outcome] = self._told.labels(kind, outcome).inc
        known()

    async def keep_posting(self) -> None:
        """Let the other workers know each second what is not theirs to see, until cancelled."""
        while True:
            self.post()
            await asyncio.sleep(_POST_S)

    def post(self) -> None:
        """Let the other workers know now."""
        if self._cache_counts is not None:
            self._cache_counts.post()
            self._breaker_open.set(not self._cache_counts.breaker_closed)

    def render(self, queues: "Queues | None") -> bytes:
        """
        Return the numbers of all workers.

        Args:
            queues: What is in the queues, None if there are none or nobody knows.
        """
        from prometheus_client import CollectorRegistry, generate_latest
        from prometheus_client.multiprocess import MultiProcessCollector

        registry = self._registry
        if FOLDER_VARIABLE in os.environ:
            registry = CollectorRegistry()
            MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
        text = generate_latest(registry)
        if self._cache_counts is not None:
            text += generate_latest(self._cache_counts)
        if queues is not None:
            text += generate_latest(_QueueCounts(queues))
        return text


class CacheCounts:
    """
    What the caches of all workers counted, for Prometheus.

    Args:
        cache: This worker's.
    """

    def __init__(self, cache: ServiceCache) -> None:
        self._cache = cache
        folder = os.environ.get(FOLDER_VARIABLE)
        self._board = None
        if folder is not None:
            # a process number may come again
            worker = f"{os.getpid()}-{time.time_ns()}"
            self._board = Board(Path(folder) / "cache", worker)

    @property
    def breaker_closed(self) -> bool:
        """Whether this worker asks the cache server."""
        return self._cache.breaker.closed

    def post(self) -> None:
        """Let the other workers know now."""
        if self._board is not None:
            self._board.post(self._cache.snapshot())

    def _whole(self) -> Snapshot:
        own = self._cache.snapshot()
        return own if self._board is None else self._board.whole(own)

    def collect(self) -> "Iterator[Metric]":
        """Yield the numbers, as prometheus_client wants them of a collector."""
        from prometheus_client.core import CounterMetricFamily, SummaryMetricFamily

        whole = self._whole()
        patterns = sorted(whole.patterns.items())
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
            value = getattr(whole.server, name)
            yield CounterMetricFamily(f"perfkit_cache_{name}", help_text, value=value)


class _QueueCounts:
    """What is in the queues, for Prometheus."""

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
