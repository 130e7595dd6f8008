"""A service that is not perfkit's, with prometheus_client and names of its own, under load."""

import itertools
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.process_collector import ProcessCollector
from typer.testing import CliRunner

from perfkit.analysis.load_runs import figures_under_load
from perfkit.cli import app
from perfkit.runs import RunStore
from perfkit.settings import RUNS_FOLDER

pytestmark = pytest.mark.processes

MIX = 'name = "shop"\n[requests.cart]\npath = "/cart"\n'


@pytest.fixture
def shop() -> Iterator[str]:
    """Yield the URL of a shop of whose requests every fourth fails and every fifth is no hit."""
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    requests = Counter("shop_http_requests", "Carts.", ["path", "status"], registry=registry)
    seconds = Histogram("shop_request_latency_seconds", "Times.", ["path"], registry=registry)
    hits = Counter("shop_cache_hits", "Found.", registry=registry)
    misses = Counter("shop_cache_misses", "Not found.", registry=registry)
    Counter("payment_client_requests", "Of others.", ["status"], registry=registry).labels("200")
    number = itertools.count(1)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            if self.path == "/metrics":
                self.say(200, generate_latest(registry))
                return
            if self.path == "/healthz":
                self.say(200, b"fine")
                return
            turn = next(number)
            status = 503 if turn % 4 == 0 else 200
            (misses if turn % 5 == 0 else hits).inc()
            requests.labels("/cart", str(status)).inc()
            with seconds.labels("/cart").time():
                self.say(status, b"a cart")

        def say(self, status: int, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=[0.01])
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_seven_of_the_dashboards_metrics_come_from_a_service_that_counts(
    shop: str, tmp_path: Path
) -> None:
    (tmp_path / "mix.toml").write_text(MIX)

    result = CliRunner().invoke(
        app,
        [
            *("load", "--url", shop, "--mix", "mix.toml", "--metrics", f"{shop}/metrics"),
            *("--users", "3", "--think", "0.02", "--ramp", "0s", "--duration", "6s"),
        ],
    )

    # a busy machine may make the measurement itself invalid
    assert result.exit_code in {0, 3}, result.output
    (run,) = RunStore(RUNS_FOLDER).list().runs
    figures = figures_under_load(run)
    assert {key for key, value in figures.items() if value is None} <= {
        "read_units_per_s",
        # too few requests of a slow machine
        "p99_s",
    }
    assert figures["unhealthy"] == 0
    assert figures["failed_share"] == pytest.approx(0.25, abs=0.1)
    assert figures["hit_rate"] == pytest.approx(0.8, abs=0.1)
    assert "perfkit compare" not in result.stderr
    assert "Not offered: DynamoDB ConsumedRCU." in " ".join(result.stdout.split())
