"""Requests that are wrong: each gets a 4xx with a reason, never a 500, and the service goes on."""

import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starlette.testclient import TestClient

from perfkit.service.middleware import _LARGEST_HEADERS_BYTES, LARGEST_BODY_BYTES

COURSES = "/api/courses?semester=1&department=CS"


def assert_problem(answer: Any, status: int, *parts: str) -> None:
    """Make sure of a problem whose reason has *parts*."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert problem["status"] == status
    assert problem["type"] == "about:blank"
    assert problem["title"]
    for part in parts:
        assert part in problem["detail"]


@pytest.mark.parametrize(
    ("url", "parts"),
    [
        pytest.param("/api/courses", ["semester", "required"], id="nothing asked"),
        pytest.param("/api/courses?semester=&department=CS", ["semester"], id="empty"),
        pytest.param(f"/api/courses?semester={'9' * 65}&department=CS", ["semester"], id="long"),
        pytest.param("/api/courses?semester=%C3%A9&department=CS", ["semester"], id="not ASCII"),
        pytest.param("/api/courses?semester=%00&department=CS", ["semester"], id="NUL"),
        pytest.param("/api/courses?semester=%FF&department=CS", ["semester"], id="not UTF-8"),
        pytest.param(f"{COURSES}&limit=0", ["limit", "equal to 1"], id="limit 0"),
        pytest.param(f"{COURSES}&limit=-1", ["limit"], id="limit -1"),
        pytest.param(f"{COURSES}&limit=101", ["limit"], id="limit 101"),
        pytest.param(f"{COURSES}&limit={'9' * 5000}", ["limit"], id="limit of 5,000 digits"),
        pytest.param(f"{COURSES}&limit=1e1", ["limit"], id="limit 1e1"),
        pytest.param(f"{COURSES}&limit=", ["limit"], id="limit empty"),
        pytest.param(f"{COURSES}&next=", ["next", "token"], id="next empty"),
        pytest.param(f"{COURSES}&next=W10", ["next", "token"], id="next of nothing"),
        pytest.param(f"{COURSES}&next=WyIiXQ", ["next", "token"], id="next of an empty key"),
        pytest.param(f"{COURSES}&next=WyJcdWQ4MDAiXQ", ["next"], id="next of half a character"),
        pytest.param(f"{COURSES}&next=%C3%A9", ["next"], id="next not ASCII"),
        pytest.param(f"{COURSES}&next={'A' * 9000}", ["next"], id="next long"),
        pytest.param("/api/enrollments?limit=x", ["limit"], id="enrollments"),
        pytest.param("/api/courses/C00101/enrollments?limit=x", ["limit"], id="roster"),
        pytest.param("/api/instructors/I042/courses?limit=x", ["limit"], id="instructor"),
        pytest.param(f"/api/courses/{'x' * 65}/enrollments", ["_id"], id="long id"),
        pytest.param("/api/courses/%00/enrollments", ["_id"], id="NUL in an id"),
        pytest.param("/api/users/%FF/profile", ["_id"], id="id not UTF-8"),
    ],
)
def test_what_is_wrong_with_a_question_is_named(
    url: str, parts: list[str], serve: Callable[..., Any]
) -> None:
    with serve() as client:
        answer = client.get(url)

    assert_problem(answer, 422, *parts)
    assert answer.json()["errors"][0]["reason"]


@pytest.mark.parametrize(
    ("url", "part"),
    [
        ("/api/courses/C99999/enrollments", "there is no course C99999"),
        ("/api/instructors/I999/courses", "there is no instructor I999"),
        ("/api/nothing", "there is nothing at this address"),
        ("/", "there is nothing at this address"),
    ],
)
def test_what_is_not_there_is_not_found(url: str, part: str, serve: Callable[..., Any]) -> None:
    with serve() as client:
        # the second time from the cache
        answers = [client.get(url) for _ in range(2)]

    for answer in answers:
        assert_problem(answer, 404, part)


def test_another_users_enrollment_is_not_there_to_be_removed(
    serve: Callable[..., Any], data: Path, token: Callable[..., str]
) -> None:
    with serve(data=data) as client:
        (first, *_) = client.get("/api/enrollments").json()["items"]
        url = f"/api/enrollments/{first['enrollment_id']}"
        other = {"Authorization": f"Bearer {token('student7')}"}

        assert_problem(client.delete(url, headers=other), 404, "you have no enrollment")
        assert client.get("/api/enrollments").json()["items"][0] == first
        assert client.delete(url).status_code == 204


@pytest.mark.parametrize(
    ("method", "url"),
    [("DELETE", "/api/courses"), ("PUT", "/api/enrollments"), ("POST", "/metrics")],
)
def test_a_method_that_is_not_taken_is_refused(
    method: str, url: str, serve: Callable[..., Any]
) -> None:
    with serve() as client:
        answer = client.request(method, url)

    assert_problem(answer, 405)
    assert answer.headers["allow"]


@pytest.mark.parametrize(
    ("body", "status", "part"),
    [
        pytest.param(b"", 422, "required", id="none"),
        pytest.param(b"{", 422, "JSON", id="cut"),
        pytest.param(b"\xff\xfe", 422, "body", id="not UTF-8"),
        pytest.param(b"[]", 422, "body", id="list"),
        pytest.param(b"null", 422, "body", id="null"),
        pytest.param(b"[" * 50_000, 400, "body", id="deep"),
        pytest.param(b"{}", 422, "body.course_id", id="empty"),
        pytest.param(b'{"course_id": 5}', 422, "body.course_id", id="number"),
        pytest.param(b'{"course_id": ""}', 422, "body.course_id", id="empty text"),
        pytest.param(b'{"course_id": "\\ud800"}', 422, "body.course_id", id="half a character"),
        pytest.param(b'{"course_id": "C00001", "user": "x"}', 422, "body.user", id="more"),
        pytest.param(b'{"course_id": "none such"}', 404, "none such", id="unknown"),
    ],
)
def test_what_is_wrong_with_a_body_is_named(
    body: bytes, status: int, part: str, serve: Callable[..., Any]
) -> None:
    def in_pieces() -> Iterator[bytes]:
        # without a length in the header
        yield body[:1000]
        yield body[1000:]

    with serve() as client:
        for content in (body, in_pieces()):
            answer = client.post(
                "/api/enrollments", content=content, headers={"Content-Type": "application/json"}
            )

            assert_problem(answer, status, part)


def test_a_body_of_another_kind_is_refused(serve: Callable[..., Any]) -> None:
    with serve() as client:
        answer = client.post("/api/enrollments", data={"course_id": "C00001"})

    assert_problem(answer, 422, "body")


def test_a_large_body_is_refused(serve: Callable[..., Any]) -> None:
    body = b" " * LARGEST_BODY_BYTES + b"{}"

    with serve() as client:
        declared = client.post("/api/enrollments", content=body)
        unannounced = client.post("/api/enrollments", content=iter([body[:1000], body[1000:]]))
        unread = client.request("GET", COURSES, content=body)

    assert [each.status_code for each in (declared, unannounced, unread)] == [413] * 3


def test_large_headers_are_refused(serve: Callable[..., Any]) -> None:
    with serve() as client:
        answer = client.get(COURSES, headers={"x": "y" * (_LARGEST_HEADERS_BYTES + 1)})

    assert_problem(answer, 431, f"{_LARGEST_HEADERS_BYTES} bytes")


# ---- below HTTP --------------------------------------------------------------------------


@pytest.fixture
def talk(make_app: Callable[..., Any], live: Callable[..., Any]) -> Iterator[Callable[..., bytes]]:
    """Return a function that sends bytes and returns what is answered until the connection ends."""
    with live(make_app()) as url:
        address = (str(urlsplit(url).hostname), urlsplit(url).port)

        def talk(*pieces: bytes, hang_up: bool = False) -> bytes:
            heard = b""
            with socket.create_connection(address, timeout=60) as connection:
                try:
                    for piece in pieces:
                        connection.sendall(piece)
                    if hang_up:
                        connection.shutdown(socket.SHUT_WR)
                except OSError:
                    # it has heard enough; what it said is still to be read
                    pass
                try:
                    while piece := connection.recv(65536):
                        heard += piece
                except ConnectionResetError:
                    pass
            return heard

        yield talk
        # it goes on
        assert talk(b"GET /healthz HTTP/1.0\r\n\r\n").startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize(
    "request_bytes",
    [
        pytest.param(b"hello\r\n\r\n", id="no HTTP"),
        pytest.param(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc", id="TLS"),
        pytest.param(b"GET / HTTP/1.1\r\nHost\r\n\r\n", id="header without colon"),
        pytest.param(b"POST / HTTP/1.1\r\nContent-Length: -5\r\n\r\n", id="negative length"),
    ],
)
def test_what_is_no_http_is_refused(request_bytes: bytes, talk: Callable[..., bytes]) -> None:
    assert talk(request_bytes).startswith(b"HTTP/1.1 400")


def test_a_body_that_ends_early_harms_nobody(
    talk: Callable[..., bytes], token: Callable[..., str]
) -> None:
    head = (
        b"POST /api/enrollments HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n"
        b"Authorization: Bearer " + token("student123").encode() + b"\r\n\r\n"
    )

    assert talk(head, b'{"course', hang_up=True) == b""


def test_requests_sent_ahead_are_answered_in_their_order(talk: Callable[..., bytes]) -> None:
    one = b"GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n"
    two = b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"

    answer = talk(one + two)

    assert answer.index(b"404 Not Found") < answer.index(b"200 OK")


# ---- anything ----------------------------------------------------------------------------


@given(
    path=st.text(
        st.characters(min_codepoint=33, max_codepoint=126, exclude_characters="#"), max_size=40
    ),
    query=st.binary(max_size=40),
)
@settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_no_address_makes_it_fail(path: str, query: bytes, anything: Callable[..., int]) -> None:
    for start in ("/", "/api/courses/", "/api/users/", "/api/courses?semester=1&department="):
        status = anything(start + path, query)

        assert status < 500


@pytest.fixture
def anything(
    make_app: Callable[..., Any], token: Callable[..., str]
) -> Iterator[Callable[[str, bytes], int]]:
    """Return a function that asks the application for any address, as a server would."""
    app = make_app()
    with TestClient(app) as client:
        portal: Any = client.portal
        authorization = f"Bearer {token('student123')}".encode()

        def ask(path: str, query: bytes) -> int:
            path, _, asked = path.partition("?")
            scope = {
                "type": "http",
                "method": "GET",
                "path": path,
                "raw_path": path.encode(),
                "query_string": asked.encode() + query,
                "root_path": "",
                "headers": [(b"host", b"x"), (b"authorization", authorization)],
                "scheme": "http",
                "server": ("x", 80),
            }
            statuses: list[int] = []

            async def receive() -> Any:
                return {"type": "http.disconnect"}

            async def send(message: Any) -> None:
                if message["type"] == "http.response.start":
                    statuses.append(message["status"])

            portal.call(app, scope, receive, send)
            return statuses[0]

        yield ask
