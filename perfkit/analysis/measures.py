"""Figures of a load test under the names that gates ask for them by."""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from perfkit.analysis.percentiles import percentile
from perfkit.errors import PriceError
from perfkit.runs import InstanceSample, LatencySummary, LoadTest, Run, RunKind, Variant

if TYPE_CHECKING:
    from perfkit.cost.prices import PriceBook

__all__ = [
    "OVERALL",
    "means_of_instances",
    "measures_of",
    "measures_of_variant",
    "most_unhealthy",
]

OVERALL = ""
"""Stands for all requests together, where an endpoint is named."""

_MEASURES: Mapping[str, str] = {
    "requests": "requests, those that failed among them",
    "rate": "requests a second",
    "errors": "requests that failed",
    "error_rate": "share of requests that failed, 0 to 1",
    "status_4xx": "answers with a status of 400 to 499",
    "status_5xx": "answers with a status of 500 or above",
    "mean_ms": "mean response time",
    "p50_ms": "response time at the 50th percentile",
    "p90_ms": "response time at the 90th percentile",
    "p95_ms": "response time at the 95th percentile",
    "p99_ms": "response time at the 99th percentile",
    "max_ms": "longest response time",
    "service_mean_ms": "mean service time, from when a request was sent",
    "service_p95_ms": "service time at the 95th percentile",
    "service_p99_ms": "service time at the 99th percentile",
    "hit_rate": "share of looks into the cache that found an answer, 0 to 1",
    "rcu_per_request": "read units of a request",
    "wcu_per_request": "write units of a request",
    "usd_per_million": "what DynamoDB bills on demand for a million requests",
    "cpu": "CPU of the busiest instance on average, as a share of one core",
    "unhealthy": "most instances that were unhealthy at a time",
}
"""What there is, by name, in words. Times are in milliseconds; the response time counts from when
a request was due."""

Measures = Mapping[str, float | None]


def measures_of(run: Run) -> Mapping[str, Measures]:
    """
    Return the measures of a load test: by endpoint, then by name; `OVERALL` is all together.

    Every name of `_MEASURES` is there. None is what was not measured: a percentile that no request
    lies above, units that the service does not say, anything of instances nobody looked at, and,
    for a single endpoint, what is only known of an instance.

    Args:
        run: Of kind `load`; other runs have no measures, and nor has one without any request.
    """
    if run.kind is not RunKind.LOAD or run.load_test is None or not run.variants:
        return {}
    usd = _Usd(run)
    found = {each.question: _measures(each, usd) for each in run.variants}
    return {**found, OVERALL: {**found.get(OVERALL, {}), **_of_instances(run.load_test)}}


def measures_of_variant(run: Run, variant: Variant) -> Measures:
    """Return the measures of some requests of a load test: of a stage of it, say."""
    return _measures(variant, _Usd(run))


class _Usd:
    """What units cost on demand; the price list is only read where units are known."""

    def __init__(self, run: Run) -> None:
        self._region = run.target.get("region")
        self._book: PriceBook | None = None

    def per_million(self, read_units: float | None, write_units: float | None) -> float | None:
        if read_units is None:
            return None
        from perfkit.cost import names

        book = self._book = self._book or _load_book(self._region)
        read, write = book.price(names.read_request()), book.price(names.write_request())
        each = read_units * float(read.each_usd) + (write_units or 0.0) * float(write.each_usd)
        return each * 1e6


def _load_book(region: str | None) -> "PriceBook":
    from perfkit.cost.price_file import load_book

    try:
        return load_book(region)
    except PriceError:
        if region is None:
            raise
        return load_book()


def _measures(variant: Variant, usd: _Usd) -> Measures:
    http = variant.http
    write_units = None if http is None else http.write_units
    return {
        **dict.fromkeys(_MEASURES),
        "requests": variant.requests,
        "rate": None if http is None else http.requests_per_s,
        "errors": variant.errors,
        "error_rate": variant.error_rate,
        "status_4xx": _statuses(variant, 400, 499),
        "status_5xx": _statuses(variant, 500, 999),
        **_times("", variant.latency_s, {"p50": 0.5, "p90": 0.9, "p95": 0.95, "p99": 0.99}),
        "max_ms": variant.latency_s.max * 1e3,
        **({} if http is None else _times("service_", http.service_s, {"p95": 0.95, "p99": 0.99})),
        "hit_rate": variant.hit_rate,
        "rcu_per_request": variant.capacity_units,
        "wcu_per_request": write_units,
        "usd_per_million": usd.per_million(variant.capacity_units, write_units),
    }


def _times(prefix: str, summary: LatencySummary, percentiles: Mapping[str, float]) -> Measures:
    times_s = {"mean": summary.mean} | {
        name: percentile(summary, fraction) for name, fraction in percentiles.items()
    }
    return {
        f"{prefix}{name}_ms": None if time_s is None else time_s * 1e3
        for name, time_s in times_s.items()
    }


def _statuses(variant: Variant, least: int, most: int) -> int | None:
    if variant.http is None:
        return None
    return sum(
        count
        for status, count in variant.http.statuses.items()
        if status.isdecimal() and least <= int(status) <= most
    )


def _of_instances(test: LoadTest) -> Measures:
    return {
        "cpu": max(means_of_instances(test.instances, "cpu_share"), default=None),
        "unhealthy": most_unhealthy(test.instances),
    }


def means_of_instances(samples: Iterable[InstanceSample], figure: str) -> list[float]:
    """Return the mean of a figure for each instance that has it."""
    by_instance: dict[str, list[float]] = {}
    for sample in samples:
        value = getattr(sample, figure)
        if value is not None:
            by_instance.setdefault(sample.instance, []).append(value)
    return [sum(values) / len(values) for values in by_instance.values()]


def most_unhealthy(samples: Iterable[InstanceSample]) -> int | None:
    """Return how many instances were unhealthy at a time, at most; None where nobody looked."""
    last: dict[str, bool] = {}
    most: int | None = None
    # each is looked at at a moment of its own, and stays as it was until the next look
    for sample in sorted(samples, key=lambda each: each.at_s):
        if sample.healthy is not None:
            last[sample.instance] = sample.healthy
            most = max(most or 0, sum(not healthy for healthy in last.values()))
    return most
