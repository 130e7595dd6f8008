"""Counts: complete, the same after a trip through a file, summed over workers, sent to CloudWatch."""

from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.exceptions import EndpointConnectionError
from botocore.stub import Stubber
from moto import mock_aws

from perfkit.cache import cloudwatch
from perfkit.cache.statistics import (
    Outcome,
    ServerCounts,
    Snapshot,
    Statistics,
    _Counts,
)
from perfkit.errors import TargetError


def counted(hits: int = 0, misses: int = 0, errors: int = 0, name: str = "courses") -> Snapshot:
    """Return the snapshot of a process that had so many requests: 2, 52 and 50 ms."""
    statistics = Statistics()
    pattern = statistics.pattern(name)
    pattern.counts = _Counts(hits=hits, misses=misses, errors=errors, fills=misses + errors)
    for outcome, count, sample_s in (
        (Outcome.HIT, hits, 0.002),
        (Outcome.MISS, misses, 0.052),
        (Outcome.ERROR, errors, 0.050),
        (Outcome.FILL, misses + errors, 0.050),
    ):
        for _ in range(count):
            pattern.record(outcome, sample_s)
    statistics.server.invalidated_keys = hits
    return statistics.snapshot()


# ---- counts ------------------------------------------------------------------------------


def test_the_reference_table_can_be_worked_out() -> None:
    pattern = counted(hits=990, misses=10, errors=1).patterns["courses"]

    means_s = {
        outcome: latency.sum_s / latency.count for outcome, latency in pattern.latencies.items()
    }
    assert pattern.counts.requests == 1001
    assert means_s[Outcome.HIT] == pytest.approx(0.002)
    assert means_s[Outcome.MISS] == pytest.approx(0.052)
    assert means_s[Outcome.ERROR] == pytest.approx(0.050)


def test_a_snapshot_stands_still() -> None:
    statistics = Statistics()
    statistics.pattern("courses").counts.hits = 1
    statistics.pattern("courses").record(Outcome.HIT, 0.001)

    before = statistics.snapshot()
    statistics.pattern("courses").counts.hits = 2
    statistics.pattern("courses").record(Outcome.HIT, 0.001)

    assert before.patterns["courses"].counts.hits == 1
    assert before.patterns["courses"].latencies[Outcome.HIT].count == 1


def test_processes_and_patterns_add_up() -> None:
    whole = Snapshot()
    for part in (counted(3, 1), counted(4, 0, 2), counted(5, 5, name="profile")):
        whole.add(part)

    assert whole.patterns["courses"].counts == _Counts(hits=7, misses=1, errors=2, fills=3)
    assert whole.patterns["courses"].latencies[Outcome.HIT].count == 7
    assert whole.total.counts == _Counts(hits=12, misses=6, errors=2, fills=8)
    assert whole.total.latencies[Outcome.FILL].sum_s == pytest.approx(8 * 0.05)
    assert whole.server == ServerCounts(invalidated_keys=12)


# ---- CloudWatch --------------------------------------------------------------------------


@pytest.fixture
def cloud(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    with mock_aws():
        yield boto3.client("cloudwatch", region_name="us-east-1")


class Recorder:
    """A client that keeps what it is given."""

    def __init__(self) -> None:
        self.requests: list[dict[str, Any]] = []

    def put_metric_data(self, **request: Any) -> None:
        self.requests.append(request)

    def values(self, pattern: str | None = None) -> dict[str, float]:
        """Return the plain metrics of a pattern, or those of all patterns together."""
        return {
            metric["MetricName"]: metric["Value"]
            for request in self.requests
            for metric in request["MetricData"]
            if "Value" in metric and _dimensions(metric).get("Pattern") == pattern
        }

    def latencies(self, outcome: Outcome) -> dict[float, float]:
        """Return how often each latency in ms occurred, all patterns together."""
        return {
            value: count
            for request in self.requests
            for metric in request["MetricData"]
            if _dimensions(metric) == {"Outcome": outcome.value}
            for value, count in zip(metric["Values"], metric["Counts"], strict=True)
        }


def _dimensions(metric: dict[str, Any]) -> dict[str, str]:
    return {pair["Name"]: pair["Value"] for pair in metric["Dimensions"]}


def test_cloudwatch_takes_the_metrics(cloud: Any) -> None:
    sent = cloudwatch._publish(counted(98, 1, 1), cloud, "Courses/Cache", {"Environment": "test"})

    listed = cloud.list_metrics(Namespace="Courses/Cache")["Metrics"]
    # each datum is there once, whatever moto makes of its values
    assert len({(metric["MetricName"], *_dimensions(metric).items()) for metric in listed}) == sent
    assert {metric["MetricName"] for metric in listed} == {
        *("Hits", "Misses", "Errors", "Fills", "FailedFills", "StampedesAvoided"),
        *("StaleWritesRefused", "TooLarge", "HitRate", "Latency"),
        *("InvalidatedKeys", "DelayedKeys", "BreakerOpenings"),
    }
    assert all(_dimensions(metric)["Environment"] == "test" for metric in listed)
    places = [tuple(_dimensions(metric).items()) for metric in listed]
    assert {place[1:] for place in places} >= {
        (),
        (("Pattern", "courses"),),
        (("Outcome", "hit"),),
        (("Pattern", "courses"), ("Outcome", "miss")),
    }


def test_what_was_sent_is_not_sent_again() -> None:
    client = Recorder()
    cloudwatch._publish(counted(30, 10), client, "n", before=counted(20, 5), by_pattern=False)

    sent = client.values()
    assert (sent["Hits"], sent["Misses"]) == (10, 5)
    assert sent["HitRate"] == pytest.approx(100 * 2 / 3)
    assert client.latencies(Outcome.HIT) == {2.0: 10}
    assert client.latencies(Outcome.MISS) == {52.0: 5}


def test_a_count_that_began_anew_is_sent_whole() -> None:
    client = Recorder()
    cloudwatch._publish(counted(3), client, "n", before=counted(20, 5))

    assert client.values()["Hits"] == 3
    assert client.latencies(Outcome.HIT) == {2.0: 3}


def test_a_time_without_requests_has_no_rate_and_no_latency() -> None:
    client = Recorder()
    cloudwatch._publish(counted(3), client, "n", before=counted(3))

    assert "HitRate" not in client.values()
    assert client.values("courses")["Hits"] == 0
    assert client.latencies(Outcome.HIT) == {}


def test_large_numbers_of_metrics_and_values_are_split() -> None:
    """CloudWatch takes 150 values in a metric, and 1 MB in a request."""
    snapshot = Snapshot()
    for number in range(20):
        snapshot.add(counted(1, name=f"pattern{number}"))
    for sample in range(1, 1000):
        snapshot.patterns["pattern0"].record(Outcome.HIT, 1.05**sample * 1e-6)
    client = Recorder()

    sent = cloudwatch._publish(snapshot, client, "n")

    sizes = [len(request["MetricData"]) for request in client.requests]
    assert sum(sizes) == sent
    assert len(sizes) > 1
    assert max(sizes) <= cloudwatch._METRICS_AT_ONCE
    assert all(
        len(metric.get("Values", ())) <= cloudwatch._VALUES_AT_ONCE
        for request in client.requests
        for metric in request["MetricData"]
    )
    assert sum(client.latencies(Outcome.HIT).values()) == 999 + 20


def test_a_refusal_is_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    client = boto3.client(
        "cloudwatch",
        region_name="us-east-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
    )
    with Stubber(client) as stubber:
        stubber.add_client_error("put_metric_data", "AccessDenied", "not you")
        with pytest.raises(TargetError, match=r"CloudWatch did not take .*AccessDenied.*not you"):
            cloudwatch._publish(counted(1), client, "n")

    def fail(**_: Any) -> None:
        raise EndpointConnectionError(endpoint_url="https://monitoring")

    monkeypatch.setattr(client, "put_metric_data", fail)
    with pytest.raises(TargetError, match="https://monitoring"):
        cloudwatch._publish(counted(1), client, "n")
