"""One request to a service: it is the service that is meant, and nothing between."""

import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from perfkit.processes.http import ask, status_of

pytestmark = pytest.mark.processes


class _Service(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        moved = self.path == "/moved"
        self.send_response(307 if moved else 200)
        if moved:
            self.send_header("Location", "/elsewhere")
        if self.path == "/stream":
            # a stream whose first piece never comes
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            return
        self.end_headers()
        self.wfile.write(self.path.encode())

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def url() -> Iterator[str]:
    server = HTTPServer(("127.0.0.1", 0), _Service)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_service_is_asked_itself_where_a_proxy_is_set(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")

    assert ask(f"{url}/healthz?deep=1", timeout_s=60).body == b"/healthz?deep=1"


def test_where_a_redirect_leads_is_said_and_not_asked(url: str) -> None:
    answer = ask(f"{url}/moved", timeout_s=60)

    assert (answer.status, answer.location, answer.body) == (307, "/elsewhere", b"/moved")


def test_who_does_not_answer_has_no_status(url: str) -> None:
    assert status_of(url, timeout_s=60) == 200
    assert status_of("http://127.0.0.1:9/healthz", timeout_s=60) is None
    assert status_of("http://no host/healthz", timeout_s=60) is None


def test_the_status_of_a_stream_is_known_before_its_first_piece(url: str) -> None:
    assert status_of(f"{url}/stream", timeout_s=60) == 200


def test_an_address_of_ipv6_needs_no_port(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def connect(address: tuple[str, int], *_: object) -> socket.socket:
        asked.append(address)
        raise ConnectionRefusedError

    monkeypatch.setattr(socket, "create_connection", connect)

    assert status_of("http://[2001:db8::1]/healthz", timeout_s=60) is None
    assert status_of("https://[2001:db8::1]/healthz", timeout_s=60) is None
    assert asked == [("2001:db8::1", 80), ("2001:db8::1", 443)]
