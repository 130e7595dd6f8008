"""What a service that was just started is said to lack."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

import pytest

from perfkit.service.health_report import await_healthy

pytestmark = pytest.mark.processes


@contextmanager
def answering(status: int, body: bytes) -> Iterator[str]:
    """Yield the address of a service whose health check answers that."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_what_fails_is_said() -> None:
    checks = {
        "redis": {"status": "failing", "detail": "no answer from Redis"},
        "dynamodb": {"status": "ok", "detail": ""},
    }
    body = json.dumps({"status": "failing", "checks": checks}).encode()

    with answering(503, body) as url:
        assert await_healthy(url, 0.0) == "redis: no answer from Redis"


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b'{"status": 503, "title": "overloaded"}'])
def test_an_answer_that_names_no_check_is_said_by_its_status(body: bytes) -> None:
    with answering(503, body) as url:
        assert await_healthy(url, 0.0) == f"{url}/healthz answers 503"
