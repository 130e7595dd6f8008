"""The cache's counts as CloudWatch custom metrics."""

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import fields
from datetime import UTC, datetime
from typing import Any, TypeVar

from perfkit.cache.statistics import Latency, Outcome, PatternStatistics, Snapshot
from perfkit.errors import TargetError

__all__ = ["METRICS", "keep_publishing"]

_log = logging.getLogger("perfkit.cache")

_PUBLISH_S = 60.0

METRICS = 16
"""Metrics that all patterns together make, at most; each of them is billed."""

# CloudWatch takes 1,000 metrics and 1 MB in a request, and 150 values in a metric
_METRICS_AT_ONCE = 100
_VALUES_AT_ONCE = 150

_T = TypeVar("_T")


def _publish(
    now: Snapshot,
    client: Any,
    namespace: str,
    dimensions: Mapping[str, str] | None = None,
    *,
    before: Snapshot | None = None,
    by_pattern: bool = True,
) -> int:
    """
    Send what was counted since the last time to CloudWatch; return the number of metrics sent.

    Counts are sums over the time between, `HitRate` is a percentage of its requests, `Latency`
    holds the distribution for each outcome in milliseconds, to two digits, so that CloudWatch
    can show its percentiles. AWS bills each metric with its dimensions for itself.

    Args:
        now: What has been counted.
        client: A boto3 CloudWatch client.
        namespace: For example "perfkit".
        dimensions: On every metric: the environment, the host.
        before: What was sent already; what it counted is left out.
        by_pattern: Send each pattern by itself, too, with the dimension `Pattern`.

    Raises:
        TargetError: CloudWatch refused, or cannot be reached.
    """
    from botocore.exceptions import BotoCoreError, ClientError

    at = datetime.now(UTC)
    sent = 0
    metrics = _metrics(now, before or Snapshot(), dimensions or {}, by_pattern=by_pattern)
    try:
        for batch in _batches(list(metrics), _METRICS_AT_ONCE):
            data = [{"Timestamp": at, **metric} for metric in batch]
            client.put_metric_data(Namespace=namespace, MetricData=data)
            sent += len(data)
    except (BotoCoreError, ClientError) as error:
        msg = f"CloudWatch did not take the cache's metrics: {error}"
        raise TargetError(msg) from error
    return sent


def _metrics(
    now: Snapshot, before: Snapshot, dimensions: Mapping[str, str], *, by_pattern: bool
) -> Iterator[dict[str, Any]]:
    yield from _pattern(now.total, before.total, dimensions)
    yield from _counts(now.server, before.server, dimensions)
    if by_pattern:
        for name, pattern in now.patterns.items():
            earlier = before.patterns.get(name, PatternStatistics())
            yield from _pattern(pattern, earlier, {**dimensions, "Pattern": name})


def _pattern(
    now: PatternStatistics, before: PatternStatistics, dimensions: Mapping[str, str]
) -> Iterator[dict[str, Any]]:
    yield from _counts(now.counts, before.counts, dimensions)
    hits, misses, errors = (
        _since(getattr(now.counts, name), getattr(before.counts, name))
        for name in ("hits", "misses", "errors")
    )
    requests = hits + misses + errors
    if requests:
        rate = 100 * hits / requests
        yield _metric("HitRate", dimensions, Unit="Percent", Value=rate)
    for outcome, latency in now.latencies.items():
        earlier = before.latencies.get(outcome)
        yield from _latency(outcome, latency, earlier, dimensions)


def _counts(now: Any, before: Any, dimensions: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    """Yield each counter of a class of counters."""
    for item in fields(now):
        name = "".join(word.title() for word in item.name.split("_"))
        value = _since(getattr(now, item.name), getattr(before, item.name))
        yield _metric(name, dimensions, Unit="Count", Value=value)


def _since(now: int, before: int) -> int:
    # a count that went down started over
    return now - before if now >= before else now


def _latency(
    outcome: Outcome, now: Latency, before: Latency | None, dimensions: Mapping[str, str]
) -> Iterator[dict[str, Any]]:
    counts = _values_ms(now)
    if before is not None and before.count <= now.count:
        counts -= _values_ms(before)
    place = {**dimensions, "Outcome": outcome.value}
    for values in _batches(sorted(counts), _VALUES_AT_ONCE):
        numbers = [float(counts[value]) for value in values]
        yield _metric("Latency", place, Unit="Milliseconds", Values=values, Counts=numbers)


def _values_ms(latency: Latency) -> Counter[float]:
    """Return how often each latency was recorded, to two digits."""
    from hdrh.histogram import HdrHistogram

    histogram = HdrHistogram.decode(latency.histogram.encode().encode())
    counts: Counter[float] = Counter()
    for step in histogram.get_recorded_iterator():
        counts[float(f"{step.value_iterated_to / 1e3:.2g}")] += step.count_added_in_this_iter_step
    return counts


def _batches(items: Sequence[_T], size: int) -> Iterator[Sequence[_T]]:
    return (items[start : start + size] for start in range(0, len(items), size))


def _metric(name: str, dimensions: Mapping[str, str], **content: Any) -> dict[str, Any]:
    pairs = [{"Name": key, "Value": value} for key, value in dimensions.items()]
    return {"MetricName": name, "Dimensions": pairs, **content}


async def keep_publishing(snapshot: Callable[[], Snapshot], client: Any, namespace: str) -> None:
    """
    Send what a cache counts each minute, and the rest when cancelled; failures are only logged.

    Args:
        snapshot: Returns what has been counted.
        client: A boto3 CloudWatch client.
        namespace: For example "perfkit".
    """
    before = Snapshot()

    async def send() -> None:
        nonlocal before
        now = snapshot()
        try:
            await asyncio.to_thread(
                _publish, now, client, namespace, before=before, by_pattern=False
            )
        except TargetError as error:
            # the next one brings what this one could not
            _log.warning("%s", error)
        else:
            before = now

    try:
        while True:
            await asyncio.sleep(_PUBLISH_S)
            await send()
    finally:
        await send()
