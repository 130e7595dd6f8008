"""Who may reach `perfkit dynamodb`, and what slow, half and huge requests do to it: nothing."""

import fcntl
import http.client
import http.server
import json
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from typer.testing import CliRunner

from perfkit.cli import app
from perfkit.embedded import server as server_module
from perfkit.embedded.http import Doors
from perfkit.embedded.server import Request, Response, Server

pytestmark = pytest.mark.processes

TARGET = "DynamoDB_20120810."
DENIED = "com.amazon.coral.service#AccessDeniedException"


@contextmanager
def connect_raw(url: str) -> Iterator[socket.socket]:
    address = urlsplit(url)
    with socket.create_connection((str(address.hostname), int(address.port or 0)), 60) as raw:
        yield raw


def ask(raw: socket.socket, *lines: str, body: bytes = b"{}") -> None:
    """Send a request for ListTables with further header lines."""
    head = [
        "POST / HTTP/1.1",
        f"X-Amz-Target: {TARGET}ListTables",
        f"Content-Length: {len(body)}",
        *lines,
    ]
    raw.sendall("\r\n".join([*head, "\r\n"]).encode() + body)


def read_answer(raw: socket.socket) -> tuple[int, dict[str, str], Any]:
    """Return status, headers in lower case, and decoded body of one answer."""
    response = http.client.HTTPResponse(raw)
    response.begin()
    content = response.read()
    headers = {name.lower(): value for name, value in response.getheaders()}
    return response.status, headers, json.loads(content) if content[:1] == b"{" else content


def answer_to(url: str, *lines: str, body: bytes = b"{}") -> tuple[int, dict[str, str], Any]:
    with connect_raw(url) as raw:
        ask(raw, *lines, body=body)
        return read_answer(raw)


# ---- Host and Origin -----------------------------------------------------------------------


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "127.0.0.1:8000",
        "127.9.9.9:1",
        "localhost",
        "LOCALHOST:65000",
        "localhost.:8000",
        "tables.localhost:8000",
        "[::1]:8000",
        "[::1]",
    ],
)
def test_this_machines_own_names_are_let_in(server: str, host: str) -> None:
    assert answer_to(server, f"Host: {host}")[0] == 200


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:8000",
        "localhost.evil.example",
        "notlocalhost",
        "127.0.0.1.evil.example",
        "evil.example#127.0.0.1",
        "user@localhost",
        "192.168.1.20:8000",
        "[fe80::1]:8000",
        "0.0.0.0:8000",
        "2130706433",
        "",
    ],
)
def test_a_name_that_leads_here_from_elsewhere_is_refused(server: str, host: str) -> None:
    """DNS rebinding: a page's own name is made to lead to 127.0.0.1."""
    status, _, answer = answer_to(server, f"Host: {host}")

    assert (status, answer["__type"]) == (403, DENIED)


def test_the_refusal_names_the_host_and_the_option(server: str) -> None:
    _, _, answer = answer_to(server, "Host: Box.example:8000")

    assert answer["Message"] == (
        "this request is refused: it was sent to the host 'Box.example:8000'; only if you gave"
        " this machine that name, start perfkit dynamodb with --allow-host box.example: web pages"
        " of that name can then read and write all tables"
    )


def test_a_refused_pages_name_is_not_spelled_out_to_be_allowed(server: str) -> None:
    _, _, answer = answer_to(server, "Host: localhost", "Origin: http://evil.example")

    assert answer["Message"] == (
        "this request is refused: it is from a web page of 'http://evil.example'; pages of this"
        " machine may ask, and those of hosts that perfkit dynamodb was started with --allow-host"
        " for, which can then read and write all tables"
    )


def test_one_good_host_does_not_let_a_second_in(server: str) -> None:
    assert answer_to(server, "Host: localhost", "Host: evil.example")[0] == 403


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        ("http://localhost:3000", 200),
        ("http://127.0.0.1", 200),
        ("http://[::1]:5173", 200),
        ("https://app.localhost", 200),
        ("http://evil.example", 403),
        ("http://localhost.evil.example", 403),
        ("http://evil.example:80@localhost", 403),
        ("http://192.168.1.20", 403),
        ("null", 403),
        ("file://", 403),
        ("http://[", 403),
        ("", 403),
    ],
)
def test_only_pages_of_this_machine_may_ask(server: str, origin: str, status: int) -> None:
    found, headers, _ = answer_to(server, "Host: localhost", f"Origin: {origin}")

    assert found == status
    # a page may read the answer exactly if it was let in
    assert headers.get("access-control-allow-origin") == (origin if status == 200 else None)


def test_no_page_is_named_where_none_asks(server: str) -> None:
    _, headers, _ = answer_to(server, "Host: localhost")

    assert not [name for name in headers if name.startswith("access-control")]


@pytest.mark.parametrize(("origin", "status"), [("localhost:3000", 204), ("evil.example", 403)])
def test_a_browsers_question_before_the_request(server: str, origin: str, status: int) -> None:
    with connect_raw(server) as raw:
        raw.sendall(
            f"OPTIONS / HTTP/1.1\r\nHost: localhost:8000\r\nOrigin: http://{origin}\r\n"
            "Access-Control-Request-Method: POST\r\n"
            "Access-Control-Request-Headers: content-type,x-amz-target\r\n\r\n".encode()
        )
        found, headers, _ = read_answer(raw)
        # and the connection is good for the request itself
        ask(raw, "Host: localhost")
        assert read_answer(raw)[0] == 200

    assert found == status
    if status == 204:
        assert headers["access-control-allow-origin"] == f"http://{origin}"
        assert headers["access-control-allow-methods"] == "POST"
        assert headers["access-control-allow-headers"] == "content-type,x-amz-target"
        assert headers["vary"] == "origin"
    else:
        assert not [name for name in headers if name.startswith("access-control")]


def test_names_can_be_allowed(start_server: Callable[..., Any]) -> None:
    options = ("--allow-host", "Dynamo", "--allow-host", "app.example")
    with start_server(":memory:", *options) as (url, _):
        assert answer_to(url, "Host: dynamo:8000")[0] == 200
        assert answer_to(url, "Host: localhost", "Origin: https://app.example")[0] == 200
        assert answer_to(url, "Host: other.example")[0] == 403


def test_listening_everywhere_takes_addresses_and_no_names(
    start_server: Callable[..., Any],
) -> None:
    """An address in Host is where the request went; only names can be led elsewhere."""
    with start_server(":memory:", "--allow-host", "0.0.0.0") as (url, _):
        assert answer_to(url, "Host: 192.168.1.20:8000")[0] == 200
        assert answer_to(url, "Host: evil.example")[0] == 403


EVERYWHERE = [
    ("--host", "0.0.0.0"),
    ("--host", "::"),
    ("--allow-host", "0.0.0.0"),
    ("--allow-host", "::"),
    ("--allow-host", "0:0::0"),
]


@pytest.mark.parametrize("options", EVERYWHERE, ids=" ".join)
def test_listening_everywhere_lets_no_page_from_elsewhere_in(options: tuple[str, str]) -> None:
    """An address in Origin says where a page is from, which may be anybody's server."""
    name, value = options
    doors = Doors(value) if name == "--host" else Doors("127.0.0.1", [value])

    def refused(origin: str) -> bool:
        headers = {"host": ["192.168.1.20:8000"], "origin": [origin]}
        return doors.refusal(headers["host"], headers["origin"]) is not None

    strange = ["http://203.0.113.5", "http://192.168.1.20:8000", "http://[2001:db8::1]", "null"]
    assert [refused(origin) for origin in strange] == [True] * 4
    own = ["http://localhost:3000", "http://127.0.0.1", "http://[::1]:5173"]
    assert [refused(origin) for origin in own] == [False] * 3


def test_a_page_of_an_address_that_was_named_is_let_in() -> None:
    doors = Doors("0.0.0.0", ["192.168.1.20"])
    headers = {"host": ["192.168.1.20:8000"], "origin": ["http://192.168.1.20:3000"]}

    assert doors.refusal(headers["host"], headers["origin"]) is None


@pytest.mark.parametrize("name", ["http://box", "box:8000", "a b", "", "*"])
def test_a_name_that_is_none_is_refused_at_once(name: str) -> None:
    arguments = ["dynamodb", "--port", "0", "--data", ":memory:", "--allow-host", name]

    done = CliRunner().invoke(app, arguments)

    assert done.exit_code == 2
    assert f"{name!r} is no name of a host; give it bare" in done.output.replace("\n", " ")


@pytest.fixture(scope="module")
def chromium(program: Callable[..., str]) -> Iterator[Any]:
    """Return a browser for which all names under .example lead to this machine."""
    from playwright.sync_api import sync_playwright

    arguments = [
        "--no-sandbox",
        "--host-resolver-rules=MAP *.example 127.0.0.1",
        # newer browsers ask before a page reaches into the local network; older ones do not
        "--disable-features=LocalNetworkAccessChecks",
    ]
    executable = program("chromium", "chromium-browser")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=arguments)
        yield browser
        browser.close()


@pytest.fixture
def page_port() -> Iterator[int]:
    """Return the port of a server of web pages, as a developer's own or a stranger's."""

    class Page(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("content-type", "text/html")
            self.send_header("content-length", "8")
            self.end_headers()
            self.wfile.write(b"<p>page</")

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Page) as pages:
        thread = threading.Thread(target=pages.serve_forever)
        thread.start()
        yield pages.server_port
        pages.shutdown()
        thread.join()


_FETCH = """async ([url, target, body, type]) => {
  try {
    const headers = {"content-type": type};
    if (target) headers["x-amz-target"] = target;
    const answer = await fetch(url, {method: "POST", headers, body});
    return [answer.status, await answer.text()];
  } catch (error) {
    return [0, String(error)];
  }
}"""


def test_a_browser_keeps_strange_pages_out_and_own_ones_in(
    chromium: Any,
    page_port: int,
    start_server: Callable[..., Any],
    connect: Callable[..., Any],
    make_table: Callable[..., str],
) -> None:
    listed = [f"{TARGET}ListTables", "{}", "application/x-amz-json-1.0"]
    with start_server(":memory:") as (url, _), closing(chromium.new_page()) as page:
        make_table("secret", on=connect(url))
        port = urlsplit(url).port

        page.goto(f"http://localhost:{page_port}/")
        own = page.evaluate(_FETCH, [url, *listed])
        page.goto(f"http://evil.example:{page_port}/")
        strange = page.evaluate(_FETCH, [url, *listed])
        # without a question before: a form's type, and no header of AWS's
        simple = page.evaluate(_FETCH, [url, "", "{}", "text/plain"])
        # the page's own name, led to this machine after the page was loaded from elsewhere
        rebound = f"http://evil.example:{port}/"
        page.route(
            f"{rebound}page", lambda route: route.fulfill(body="<p>", content_type="text/html")
        )
        page.goto(f"{rebound}page")
        same_origin = page.evaluate(_FETCH, [rebound, *listed])

    assert (own[0], json.loads(own[1])) == (200, {"TableNames": ["secret"]})
    assert (strange[0], simple[0]) == (0, 0)
    assert same_origin[0] == 403
    assert "secret" not in same_origin[1]


# ---- limits ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "lines",
    [
        pytest.param([f"X-{number}: x" for number in range(200)], id="many"),
        pytest.param([f"X: {'x' * (70 << 10)}"], id="one long"),
        pytest.param([f"X-{number}: {'x' * 1000}" for number in range(90)], id="long together"),
    ],
)
def test_too_many_headers_are_refused(server: str, lines: list[str]) -> None:
    status, headers, answer = answer_to(server, "Host: localhost", *lines)

    assert status == 431
    assert headers["connection"] == "close"
    assert answer["Message"] == "a request may have 100 headers, of 64 KB in all"


@pytest.mark.parametrize("start", [b"POST /", b"POST / HTTP/1.1\r\nX: "], ids=["URL", "header"])
def test_a_line_without_an_end_is_refused(server: str, start: bytes) -> None:
    with connect_raw(server) as raw:
        raw.sendall(start)
        for _ in range(10):
            raw.sendall(b"x" * (32 << 10))
        assert read_answer(raw)[0] == 431


def test_an_ordinary_requests_headers_are_far_below_the_limits(server: str) -> None:
    """A session token takes a few KB, and proxies add lines of their own."""
    lines = [f"X-{number}: {'x' * 500}" for number in range(60)]

    assert answer_to(server, "Host: localhost", *lines)[0] == 200


@pytest.mark.parametrize("chunked", [False, True], ids=["announced", "chunked"])
def test_a_body_of_more_than_16_mb_is_refused(server: str, chunked: bool) -> None:
    with connect_raw(server) as raw:
        size = (16 << 20) + 1
        head = "POST / HTTP/1.1\r\nHost: localhost\r\n"
        if chunked:
            raw.sendall(f"{head}Transfer-Encoding: chunked\r\n\r\n{size:x}\r\n".encode())
        else:
            raw.sendall(f"{head}Content-Length: {size}\r\n\r\n".encode())
        # all of it is sent before the answer is read, as clients do
        raw.sendall(b"x" * size)
        status, headers, answer = read_answer(raw)

    assert status == 413
    assert headers["connection"] == "close"
    assert answer["__type"].endswith("#RequestEntityTooLargeException")


def test_a_client_that_asks_first_need_not_send_what_is_too_large(server: str) -> None:
    with connect_raw(server) as raw:
        raw.sendall(
            b"POST / HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\n"
            b"Content-Length: 100000000\r\n\r\n"
        )
        assert read_answer(raw)[0] == 413


def test_a_client_that_asks_first_is_told_to_go_on(server: str) -> None:
    with connect_raw(server) as raw:
        head = (
            "POST / HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\n"
            f"X-Amz-Target: {TARGET}ListTables\r\nContent-Length: 2\r\n\r\n"
        )
        raw.sendall(head.encode())
        go_on = raw.recv(100)
        raw.sendall(b"{}")
        status, _, answer = read_answer(raw)

    assert go_on == b"HTTP/1.1 100 Continue\r\n\r\n"
    assert (status, answer) == (200, {"TableNames": []})


SHORT = "import perfkit.embedded.server as server\n"


def test_half_requests_hold_nobody_up_and_end(start_server: Callable[..., Any]) -> None:
    setup = f"{SHORT}server._REQUEST_WITHIN_S = 1.0"
    with start_server(":memory:", setup=setup) as (url, _):
        halves = [
            b"P",
            b"POST / HTTP/1.1\r\nHost: localhost\r\n",
            b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{",
        ]
        opened = [
            socket.create_connection(("127.0.0.1", int(urlsplit(url).port or 0)), 60)
            for _ in range(60)
        ]
        try:
            for number, raw in enumerate(opened):
                raw.sendall(halves[number % len(halves)])
            assert answer_to(url, "Host: localhost")[0] == 200
            answers = [read_answer(raw) for raw in opened]
        finally:
            for raw in opened:
                raw.close()

    assert {status for status, _, _ in answers} == {408}
    assert answers[0][2]["Message"] == "a request must be complete within 1 s"


def test_a_byte_now_and_then_does_not_buy_time(start_server: Callable[..., Any]) -> None:
    setup = f"{SHORT}server._REQUEST_WITHIN_S = 1.0"
    with start_server(":memory:", setup=setup) as (url, _), connect_raw(url) as raw:
        raw.settimeout(0.1)
        answer = b""
        raw.sendall(b"POST / HTTP/1.1\r\nHost: localhost\r\nX: ")
        while not answer:
            try:
                raw.sendall(b"x")
                answer = raw.recv(1000)
            except TimeoutError:
                continue

    assert answer.startswith(b"HTTP/1.1 408 ")


def test_silent_clients_make_room_for_others(start_server: Callable[..., Any]) -> None:
    setup = f"{SHORT}server._MOST_CONNECTIONS = 5"
    with start_server(":memory:", setup=setup) as (url, _):
        port = int(urlsplit(url).port or 0)
        silent = [socket.create_connection(("127.0.0.1", port), 60) for _ in range(20)]
        try:
            assert answer_to(url, "Host: localhost")[0] == 200
            # the one that was silent for longest was ended
            assert silent[0].recv(1) == b""
        finally:
            for raw in silent:
                raw.close()


def test_few_descriptors_are_enough_for_many_clients(
    start_server: Callable[..., Any], connect: Callable[..., Any], make_table: Callable[..., str]
) -> None:
    setup = "import resource\nresource.setrlimit(resource.RLIMIT_NOFILE, (40, 40))"
    with start_server("data.sqlite3", setup=setup) as (url, process):
        port = int(urlsplit(url).port or 0)
        silent = [socket.create_connection(("127.0.0.1", port), 60) for _ in range(100)]
        try:
            client = connect(url)
            make_table("things", on=client)
            client.put_item(TableName="things", Item={"pk": {"S": "a"}})
            assert client.scan(TableName="things")["Count"] == 1
        finally:
            for raw in silent:
                raw.close()
        assert process.poll() is None


def test_a_client_that_does_not_read_holds_nobody_up(
    start_server: Callable[..., Any], connect: Callable[..., Any], make_table: Callable[..., str]
) -> None:
    with start_server(":memory:") as (url, _):
        client = connect(url)
        make_table("things", on=client)
        for number in range(10):
            item = {"pk": {"S": str(number)}, "fill": {"S": "x" * 300_000}}
            client.put_item(TableName="things", Item=item)
        body = b'{"TableName": "things"}'
        head = (
            f"POST / HTTP/1.1\r\nHost: localhost\r\nX-Amz-Target: {TARGET}Scan\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        ).encode()
        with connect_raw(url) as deaf:
            deaf.sendall((head + body) * 50)
            time.sleep(0.2)
            assert answer_to(url, "Host: localhost")[0] == 200


PUT = b'{"TableName": "things", "Item": {"pk": {"S": "%d"}}}'


def put(number: int, *lines: str) -> bytes:
    """Return the bytes of a request for PutItem."""
    body = PUT % number
    head = [
        "POST / HTTP/1.1",
        "Host: localhost",
        f"X-Amz-Target: {TARGET}PutItem",
        f"Content-Length: {len(body)}",
        *lines,
    ]
    return "\r\n".join([*head, "\r\n"]).encode() + body


@pytest.mark.parametrize(
    ("sent", "statuses"),
    [
        pytest.param([put(1), put(2), b"junk\r\n\r\n"], [200, 200, 400], id="junk"),
        pytest.param(
            [put(1), put(2), b"POST / HTTP/1.1\r\nContent-Length: 99999999\r\n\r\n"],
            [200, 200, 413],
            id="a body that is too large",
        ),
        pytest.param(
            [put(1), put(2, "Connection: close"), b"more"], [200, 200], id="more after the end"
        ),
    ],
)
def test_requests_before_one_that_is_refused_are_answered(
    sent: list[bytes],
    statuses: list[int],
    start_server: Callable[..., Any],
    connect: Callable[..., Any],
    make_table: Callable[..., str],
) -> None:
    with start_server(":memory:") as (url, _), connect_raw(url) as raw:
        client = connect(url)
        make_table("things", on=client)
        raw.sendall(b"".join(sent))

        assert [_read_one(raw) for _ in statuses] == statuses
        assert raw.recv(1) == b""
        assert client.scan(TableName="things")["Count"] == 2


def test_a_client_that_sends_does_not_make_room_for_others(
    start_server: Callable[..., Any],
) -> None:
    setup = f"{SHORT}server._MOST_CONNECTIONS = 3"
    with start_server(":memory:", setup=setup) as (url, _), ExitStack() as stack:
        sending, silent, last = [stack.enter_context(connect_raw(url)) for _ in range(3)]
        # connections are accepted in order, so all three are now
        ask(last, "Host: localhost")
        assert read_answer(last)[0] == 200
        head = f"X-Amz-Target: {TARGET}ListTables\r\nContent-Length: 2\r\n"
        sending.sendall(
            f"POST / HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\n{head}\r\n".encode()
        )
        assert sending.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"

        assert answer_to(url, "Host: localhost")[0] == 200
        assert silent.recv(1) == b""
        sending.sendall(b"{}")
        assert read_answer(sending)[0] == 200


def test_a_client_that_does_not_read_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """After the time for sending, however long a connection may be idle."""
    monkeypatch.setattr(server_module, "_REQUEST_WITHIN_S", 0.1)
    monkeypatch.setattr(server_module, "_IDLE_S", 3_600.0)
    closed = threading.Event()
    forget = Server._forget

    def note(server: Server, connection: Any) -> None:
        forget(server, connection)
        closed.set()

    monkeypatch.setattr(Server, "_forget", note)
    answer = Response(200, bytes(64 << 20), {})

    with (
        serving(lambda _: answer) as port,
        socket.create_connection(("127.0.0.1", port), 60) as deaf,
    ):
        deaf.sendall(b"GET / HTTP/1.1\r\n\r\n")
        assert closed.wait(60)


def test_a_client_of_http_1_0_gets_one_answer_and_no_question(server: str) -> None:
    """`100 Continue` is none of its words, nor is a connection kept without a word about it."""
    with connect_raw(server) as raw:
        body = b"{}"
        head = (
            "POST / HTTP/1.0\r\nHost: localhost\r\nConnection: keep-alive\r\n"
            f"Expect: 100-continue\r\nX-Amz-Target: {TARGET}ListTables\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        )
        raw.sendall(head.encode())
        raw.sendall(body)
        status, headers, answer = read_answer(raw)

        assert (status, answer) == (200, {"TableNames": []})
        assert headers["connection"] == "close"
        assert raw.recv(1) == b""


WAITING = """
import fcntl
flock = fcntl.flock

def waiting(file, operation):
    try:
        flock(file, operation | fcntl.LOCK_NB)
    except BlockingIOError:
        print("waiting", flush=True)
        flock(file, operation)

fcntl.flock = waiting
"""


def test_it_ends_while_a_write_waits_for_another_process(
    start_server: Callable[..., Any], connect: Callable[..., Any], make_table: Callable[..., str]
) -> None:
    setup = f"{WAITING}{SHORT}server._FINISH_WITHIN_S = 0.1"
    with start_server("data.sqlite3", setup=setup) as (url, process), connect_raw(url) as raw:
        make_table("things", on=connect(url))
        body = b'{"TableName": "things", "Item": {"pk": {"S": "a"}}}'
        with Path("data.sqlite3-lock").open("rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            head = f"POST / HTTP/1.1\r\nHost: localhost\r\nX-Amz-Target: {TARGET}PutItem\r\n"
            raw.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
            assert process.stdout.readline() == "waiting\n"
            process.terminate()
            _, errors = process.communicate(timeout=60)

    assert (process.returncode, errors) == (0, "")


def test_writes_that_wait_leave_room_for_reads() -> None:
    """As many writes as there are turns, all of which wait for another process."""
    written, may_write = threading.Semaphore(0), threading.Event()

    def writes(request: Request) -> bool:
        written.release()
        return request.method == "PUT"

    def respond(request: Request) -> Response:
        if request.method == "PUT":
            may_write.wait()
        return Response(200, b"{}", {})

    with serving(respond, writes) as port, ExitStack() as stack:
        clients = [
            stack.enter_context(socket.create_connection(("127.0.0.1", port), 60))
            for _ in range(17)
        ]
        try:
            for raw in clients[:16]:
                raw.sendall(b"PUT / HTTP/1.1\r\n\r\n")
            for _ in range(16):
                written.acquire()
            clients[16].sendall(b"GET / HTTP/1.1\r\n\r\n")
            assert read_answer(clients[16])[0] == 200
        finally:
            may_write.set()
        assert {read_answer(raw)[0] for raw in clients[:16]} == {200}


@contextmanager
def serving(
    respond: Callable[[Request], Response], writes: Callable[[Request], bool] = lambda _: False
) -> Iterator[int]:
    """Run a server in this process, and yield its port."""

    def refuse(status: int, message: str) -> Response:
        return Response(status, message.encode(), {})

    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = Server(listener, respond, refuse, writes)
        threading.Thread(target=_run, args=(server,)).start()
        yield listener.getsockname()[1]
        # wakes accept
        listener.shutdown(socket.SHUT_RDWR)


def _run(server: Server) -> None:
    with suppress(OSError):
        server.run()


def test_it_ends_at_once_with_half_requests_open(start_server: Callable[..., Any]) -> None:
    with start_server(":memory:") as (url, process), connect_raw(url) as raw:
        raw.sendall(b"POST / HTTP/1.1\r\nHost: localhost\r\n")
        assert answer_to(url, "Host: localhost")[0] == 200
        process.terminate()
        output, errors = process.communicate(timeout=60)

    assert (process.returncode, output, errors) == (0, "", "")


# ---- an offer of HTTP/2 ------------------------------------------------------------------

OFFER = (
    "Host: localhost",
    "Connection: Upgrade, HTTP2-Settings",
    "Upgrade: h2c",
    "HTTP2-Settings: AAEAAEAAAAIAAAABAAMAAABkAAQBAAAAAAUAAEAA",
)


def test_an_offer_of_http2_is_ignored_and_the_connection_stays_good(server: str) -> None:
    with connect_raw(server) as raw:
        for _ in range(3):
            ask(raw, *OFFER)
            assert read_answer(raw)[::2] == (200, {"TableNames": []})
        ask(raw, "Host: localhost")
        assert read_answer(raw)[0] == 200
        # several at once, in one packet
        body = b"{}"
        head = "\r\n".join(
            ["POST / HTTP/1.1", f"X-Amz-Target: {TARGET}ListTables", "Content-Length: 2", *OFFER]
        )
        raw.sendall((f"{head}\r\n\r\n".encode() + body) * 3)
        assert [_read_one(raw) for _ in range(3)] == [200, 200, 200]


def _read_one(raw: socket.socket) -> int:
    """Read one answer and no byte of the next."""
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        head += raw.recv(1)
    length = next(
        int(line.split(b":")[1])
        for line in head.split(b"\r\n")
        if line.lower().startswith(b"content-length")
    )
    while length:
        length -= len(raw.recv(length))
    return int(head.split()[1])


@pytest.mark.parametrize("parts", [1, 7, 50])
def test_an_offer_that_comes_in_pieces(server: str, parts: int) -> None:
    head = ["POST / HTTP/1.1", f"X-Amz-Target: {TARGET}ListTables", "Content-Length: 2", *OFFER]
    request = "\r\n".join([*head, "\r\n"]).encode() + b"{}"
    with connect_raw(server) as raw:
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        step = -(-len(request) // parts)
        for start in range(0, len(request), step):
            raw.sendall(request[start : start + step])
            time.sleep(0.002)
        assert read_answer(raw)[0] == 200
        ask(raw, "Host: localhost")
        assert read_answer(raw)[0] == 200


def test_curl_offers_http2(server: str, program: Callable[..., str], missing: Any) -> None:
    curl = program("curl")
    features = subprocess.run([curl, "-V"], capture_output=True, text=True, check=True).stdout
    if "HTTP2" not in features:
        missing("this curl was built without HTTP/2")
    headers = ["-H", f"X-Amz-Target: {TARGET}ListTables"]
    command = [curl, "-sS", "--http2", *headers, "-d", "{}", "-w", " %{http_code}\n", server]

    # twice on one connection
    done = subprocess.run(
        [*command, "--next", *command[1:]], capture_output=True, text=True, check=True
    )

    assert done.stdout == '{"TableNames":[]} 200\n' * 2


_JAVA = """
import java.net.URI;
import java.net.http.*;

class Ask {
    public static void main(String[] arguments) throws Exception {
        HttpClient client = HttpClient.newHttpClient();
        for (int number = 0; number < 3; number++) {
            HttpRequest request = HttpRequest.newBuilder(URI.create(arguments[0]))
                .header("X-Amz-Target", "DynamoDB_20120810.ListTables")
                .POST(HttpRequest.BodyPublishers.ofString("{}")).build();
            HttpResponse<String> answer =
                client.send(request, HttpResponse.BodyHandlers.ofString());
            System.out.println(answer.statusCode() + " " + answer.body());
        }
    }
}
"""


def test_the_jdks_client_offers_http2(
    server: str, tmp_path: Path, program: Callable[..., str], missing: Any
) -> None:
    java = program("java")
    source = tmp_path / "Ask.java"
    source.write_text(_JAVA)

    done = subprocess.run([java, str(source), server], capture_output=True, text=True, check=False)
    if "no compiler" in done.stderr or "jdk.compiler" in done.stderr:
        missing("this java has no compiler: the JDK's HttpClient is not tried")

    assert (done.stdout, done.stderr) == ('200 {"TableNames":[]}\n' * 3, "")
