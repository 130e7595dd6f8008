"""Samples of a running service: what its metrics and its health check say, second by second."""

import os
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import psutil
import pytest

from perfkit.errors import ConfigError
from perfkit.load.counted import Counted
from perfkit.load.service_samples import (
    Endpoint,
    Sample,
    ServiceSampler,
    figures_of,
    parse_base_url,
)
from perfkit.measure.clock import FakeClock

pytestmark = pytest.mark.processes


class Answers:
    """What a server of the test's own answers to each path; nothing is a 404."""

    def __init__(self) -> None:
        self.url = ""
        self.by_path: dict[str, tuple[int, bytes]] = {}

    def say(self, path: str, body: str | bytes, status: int = 200) -> None:
        self.by_path[path] = (status, body.encode() if isinstance(body, str) else body)


@contextmanager
def answering() -> Iterator[Answers]:
    answers = Answers()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, body = answers.by_path.get(self.path, (404, b"not here"))
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=[0.01])
    thread.start()
    answers.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield answers
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def other() -> Iterator[Answers]:
    """Yield a service that is not ours, and what it answers."""
    with answering() as answers:
        yield answers


def sampler_of(*endpoints: Endpoint) -> tuple[ServiceSampler, FakeClock]:
    clock = FakeClock()
    return ServiceSampler(lambda: endpoints, clock=clock), clock


def test_an_instance_is_compared_with_itself_a_second_before(other: Answers) -> None:
    sampler, clock = sampler_of(Endpoint.of_service("one", other.url))
    other.say("/healthz", "fine")
    other.say("/metrics", 'http_requests_total{status="200"} 100\n')
    (first,) = sampler.sample()
    clock.advance(2)
    other.say(
        "/metrics", 'http_requests_total{status="200"} 150\nhttp_requests_total{status="500"} 10\n'
    )
    (second,) = sampler.sample()

    assert first.healthy
    assert first.requests_per_s is None
    assert second.requests_per_s == 30
    assert second.figures()["failed_share"] == pytest.approx(10 / 60)
    assert second.figures()["unhealthy"] == 0


@pytest.mark.parametrize(
    ("status", "body", "healthy", "problem"),
    [
        pytest.param(200, "fine", True, "", id="works"),
        pytest.param(503, "full", False, "/healthz answers 503", id="refuses"),
        pytest.param(302, "", False, "/healthz answers 302", id="redirects"),
        pytest.param(
            200,
            '{"status": "degraded", "checks": {"cache": {"status": "failing", "detail": "gone"}}}',
            True,
            "cache: gone",
            id="lives, but something it needs fails",
        ),
        pytest.param(404, "", True, "", id="has no health check, but metrics"),
    ],
)
def test_health(other: Answers, status: int, body: str, *, healthy: bool, problem: str) -> None:
    sampler, _ = sampler_of(Endpoint.of_service("one", other.url))
    other.say("/metrics", "http_requests_total 1\n")
    other.say("/healthz", body, status)

    (sample,) = sampler.sample()

    assert sample.healthy is healthy
    assert sample.problem.removeprefix(other.url) == problem
    assert sample.figures()["unhealthy"] == (0 if healthy else 1)


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        pytest.param("<html><body>hello</body></html>\n", "is no Prometheus text", id="a page"),
        pytest.param("up 1\n", "no metric that perfkit knows", id="nothing known"),
    ],
)
def test_metrics_that_say_nothing(other: Answers, body: str, problem: str) -> None:
    sampler, _ = sampler_of(Endpoint.of_service("one", other.url))
    other.say("/healthz", "fine")
    other.say("/metrics", body)

    (sample,) = sampler.sample()

    assert sample.healthy
    assert problem in sample.problem


def test_an_instance_that_is_gone_is_unhealthy_and_no_error(
    other: Answers, free_port: Callable[[], int]
) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    other.say("/healthz", "fine")
    other.say("/metrics", "http_requests_total 1\n")
    sampler, _ = sampler_of(Endpoint.of_service("a", url), Endpoint.of_service("b", other.url))

    samples = sampler.sample()

    assert [sample.healthy for sample in samples] == [False, True]
    assert "refused" in samples[0].problem
    assert figures_of(samples)["unhealthy"] == 1


def test_processor_time_and_memory_are_those_of_the_processes(other: Answers) -> None:
    """The truth is a thread's worth of work in this very process, and the kernel's own count."""
    process = psutil.Process()
    sampler, clock = sampler_of(Endpoint.of_service("one", other.url, [process.pid, 2**22 + 1]))
    other.say("/healthz", "fine")
    other.say("/metrics", "http_requests_total 1\n")
    sampler.sample()
    before = process.cpu_times()
    while (times := process.cpu_times()).user + times.system < before.user + before.system + 0.2:
        sum(range(10_000))
    clock.advance(1)
    (sample,) = sampler.sample()

    assert sample.cpu_share is not None
    assert sample.cpu_share > 0.19
    assert sample.counted.memory_bytes is not None
    assert sample.counted.memory_bytes > 10_000_000


def test_a_process_has_no_processor_time_before_its_second_look(other: Answers) -> None:
    """This one has used seconds since it began, and the instance is looked at after one."""
    endpoints = [Endpoint.of_service("one", other.url, [os.getppid()])]
    clock = FakeClock()
    sampler = ServiceSampler(lambda: endpoints, clock=clock)
    other.say("/healthz", "fine")
    other.say("/metrics", "process_cpu_seconds_total 1\n")
    sampler.sample()
    # the instance is replaced
    endpoints[:] = [Endpoint.of_service("one", other.url, [os.getpid()])]
    shares = []
    for _ in range(2):
        clock.advance(1)
        shares += [sample.cpu_share for sample in sampler.sample()]

    assert shares[0] is None
    assert shares[1] is not None


def test_instances_together() -> None:
    def sample(instance: str, requests: float, cpu_s: float, *, healthy: bool = True) -> Sample:
        counted = Counted(
            requests=requests, failed=0, cpu_s=cpu_s, read_units=50, hits=8, lookups=10
        )
        return Sample(
            instance=instance,
            at_s=0,
            healthy=healthy,
            interval_s=1 if requests else 0,
            counted=counted,
        )

    figures = figures_of(
        [
            *(sample("a", 100, 0.2), sample("a", 300, 0.4)),
            *(sample("b", 50, 0.1), sample("b", 50, 0.1, healthy=False)),
        ]
    )

    # 400 in two seconds beside 100 in two
    assert figures["requests_per_s"] == 250
    assert figures["read_units_per_s"] == 100
    assert figures["cpu_share"] == pytest.approx((0.3 + 0.1) / 2)
    assert figures["hit_rate"] == 0.8
    assert figures["unhealthy"] == 1


def test_each_second_goes_on_while_an_instance_hangs(
    other: Answers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("perfkit.load.service_samples._EVERY_S", 0.05)
    monkeypatch.setattr("perfkit.load.service_samples._HEALTH_S", 60.0)
    other.say("/healthz", "fine")
    other.say("/metrics", "http_requests_total 1\n")
    stop = threading.Event()
    seen: list[Sample] = []
    # takes connections and never answers
    with socket.create_server(("127.0.0.1", 0)) as hanging:
        url = f"http://127.0.0.1:{hanging.getsockname()[1]}"
        sampler = ServiceSampler(
            lambda: [Endpoint.of_service("hangs", url), Endpoint.of_service("works", other.url)]
        )
        for samples in sampler.each_second(stop):
            seen += samples
            if len(seen) == 3:
                stop.set()
        asked = [hanging.accept()[0]]
        hanging.setblocking(False)
        with pytest.raises(BlockingIOError):
            asked.append(hanging.accept()[0])
        asked[0].close()

    assert [sample.instance for sample in seen] == ["works"] * 3


@pytest.mark.parametrize("text", ["", "127.0.0.1:80", "ftp://a", "http://", "http://a:99999"])
def test_what_is_no_url_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="no URL of a service"):
        parse_base_url(text)
