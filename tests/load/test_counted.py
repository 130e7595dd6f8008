"""What a service says it has done, read from its Prometheus text."""

import pytest
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from perfkit.load.counted import Counted, read_counted
from perfkit.service.metrics import Metrics
from perfkit.service.timing import CacheState, Trace


class Consumed:
    """A session that consumed read units."""

    read_units = 2.5
    write_units = 0.0
    throttles = 0

    def __init__(self) -> None:
        self.operations = {"query": 1}

    def close(self) -> None:
        """Nothing was opened."""


def answered(status: int, cache: CacheState) -> Trace:
    trace = Trace()
    trace.status, trace.cache, trace.session = status, cache, Consumed()
    return trace


def test_of_the_reference_service_the_requests_of_its_users_count() -> None:
    metrics = Metrics()
    for status, cache, route in (
        *[(200, CacheState.HIT, "/api/courses")] * 8,
        (200, CacheState.MISS, "/api/courses"),
        (503, CacheState.ERROR, "/api/enrollments"),
        (201, CacheState.OFF, "/api/enrollments"),
        *[(200, CacheState.OFF, "/healthz")] * 50,
        *[(200, CacheState.OFF, "/metrics")] * 50,
    ):
        metrics.observe(answered(status, cache), "GET", route, 0.02)

    counted = read_counted(metrics.render(None).decode())

    assert (counted.requests, counted.failed, counted.timed) == (11, 1, 11)
    assert (counted.hits, counted.lookups) == (8, 10)
    assert counted.mean_s == pytest.approx(0.02)
    assert counted.read_units == 11 * 2.5
    assert counted.cpu_s is None


def test_of_the_reference_service_nothing_is_0_before_the_first_request() -> None:
    counted = read_counted(Metrics().render(None).decode())

    assert (counted.requests, counted.failed, counted.read_units) == (0, 0, 0)
    assert counted.mean_s is None
    assert counted.hit_rate is None


def test_a_services_own_counters_under_the_names_client_libraries_give_them() -> None:
    registry = CollectorRegistry()
    requests = Counter("http_requests", "Requests.", ("method", "status"), registry=registry)
    seconds = Histogram(
        "http_request_duration_seconds", "Times.", buckets=(0.1, 0.2, 0.4), registry=registry
    )
    Gauge("process_resident_memory_bytes", "Memory.", registry=registry).set(1000)
    Counter("process_cpu_seconds", "Time.", registry=registry).inc(2.5)
    requests.labels("GET", "200").inc(298)
    requests.labels("POST", "503").inc(2)
    for _ in range(300):
        seconds.observe(0.15)

    counted = read_counted(generate_latest(registry).decode())

    assert (counted.requests, counted.failed) == (300, 2)
    assert counted.failed_share == pytest.approx(2 / 300)
    assert counted.mean_s == pytest.approx(0.15)
    # all are in the bucket from 0.1 to 0.2 s
    assert counted.percentile(0.99) == pytest.approx(0.199)
    assert (counted.cpu_s, counted.memory_bytes) == (2.5, 1000)
    assert counted.hit_rate is None
    assert counted.read_units is None


@pytest.mark.parametrize(
    ("name", "label"),
    [
        pytest.param("http_request_duration_seconds", "code", id="of a client library"),
        pytest.param(
            "http_server_request_duration_seconds", "http_response_status_code", id="OpenTelemetry"
        ),
        pytest.param("http_server_requests_seconds", "status", id="Micrometer"),
    ],
)
def test_a_histogram_counts_requests_where_nothing_else_does(name: str, label: str) -> None:
    text = "\n".join(
        f'{name}_{of}{{{label}="{status}"}} {value}'
        for of, status, value in (("count", 200, 8), ("count", 500, 2), ("sum", 200, 4))
    )

    counted = read_counted(text + "\n")

    assert (counted.requests, counted.failed, counted.mean_s) == (10, 2, 0.4)
    assert counted.percentile(0.5) is None


def test_where_no_status_is_told_nobody_knows_what_failed() -> None:
    assert read_counted("http_requests_total 5\n").failed is None


def test_a_percentile_of_few_requests_is_none() -> None:
    counted = Counted(timed=50, seconds=1, buckets={0.1: 20, 0.2: 50, float("inf"): 50})

    # the 25th of 50 is the fifth of the thirty from 0.1 to 0.2 s
    assert counted.percentile(0.5) == pytest.approx(0.1 + 0.1 * 5 / 30)
    assert counted.percentile(0.99) is None


def test_what_took_longer_than_the_last_bound_counts_as_that() -> None:
    counted = Counted(timed=200, seconds=1, buckets={0.1: 100, 0.4: 110, float("inf"): 200})

    assert counted.percentile(0.99) == 0.4


def test_counters_that_begin_anew_count_from_nothing() -> None:
    before = Counted(requests=1000, failed=3, cpu_s=50, buckets={1.0: 1000})
    after = Counted(requests=20, failed=1, cpu_s=0.5, buckets={1.0: 20})

    meanwhile = after.since(before)

    assert (meanwhile.requests, meanwhile.failed, meanwhile.cpu_s) == (20, 1, 0.5)
    assert meanwhile.buckets == {1.0: 20}


def test_a_worker_that_knows_of_the_others_late_is_no_new_beginning() -> None:
    meanwhile = Counted(requests=998, failed=0).since(Counted(requests=1000, failed=0))

    assert meanwhile.requests == 0


def test_a_service_that_names_its_metrics_after_itself() -> None:
    """What is called so of other programs, and what the service asks of others, is not taken."""
    registry = CollectorRegistry()
    requests = Counter("shop_http_requests", "Of users.", ("path", "status"), registry=registry)
    seconds = Histogram("shop_request_latency_seconds", "Times.", ("path",), registry=registry)
    requests.labels("/cart", "200").inc(97)
    requests.labels("/cart", "502").inc(3)
    for _ in range(4):
        seconds.labels("/cart").observe(0.5)
    Counter("shop_cache_hits", "Found.", registry=registry).inc(30)
    Counter("shop_cache_misses", "Not.", registry=registry).inc(10)
    for other in ("redis_requests", "promhttp_metric_handler_requests", "http_client_requests"):
        Counter(other, "Of others.", ("code",), registry=registry).labels("200").inc(1000)
    Histogram("http_client_request_duration_seconds", "Of others.", registry=registry).observe(9)

    counted = read_counted(generate_latest(registry).decode())

    assert (counted.requests, counted.failed) == (100, 3)
    assert (counted.timed, counted.mean_s) == (4, 0.5)
    assert counted.hit_rate == 0.75
    assert counted.read_units is None


def test_of_two_metrics_that_could_be_meant_none_is() -> None:
    text = 'shop_requests_total{status="200"} 5\nadmin_requests_total{status="200"} 7\n'

    assert read_counted(text).requests is None
