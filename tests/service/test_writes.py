"""Enrolling and leaving: once, for oneself, and nobody reads what was before."""

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx2
import pytest
from botocore.exceptions import ReadTimeoutError
from starlette.testclient import TestClient

from perfkit.dynamodb.client import embedded_client
from perfkit.service.settings import Switches

PHASES = [pytest.param(0, id="phase 0"), pytest.param(3, id="phase 3")]
MINE = "/api/enrollments"

pytestmark = pytest.mark.usefixtures("quick_clients")


def enroll(client: TestClient, course: str = "C00007") -> Any:
    return client.post(MINE, json={"course_id": course})


@pytest.mark.parametrize("phase", PHASES)
def test_an_enrollment_is_answered_as_it_is_listed(
    phase: int, serve: Callable[..., Any], data: Path
) -> None:
    with serve(phase, data=data) as client:
        before = client.get(MINE).json()["items"]

        answer = enroll(client)
        listed = client.get(MINE).json()["items"]

    assert answer.status_code == 201
    assert answer.json() == listed[-1]
    assert listed[:-1] == before
    assert answer.json()["course_title"]
    assert answer.json()["enrolled_at"] == "2026-01-02T03:04:05Z"
    assert answer.headers["location"] == f"{MINE}/{answer.json()['enrollment_id']}"


@pytest.mark.parametrize("phase", PHASES)
def test_nobody_is_enrolled_twice(phase: int, serve: Callable[..., Any], data: Path) -> None:
    """Neither after the service enrolled him, nor if he was enrolled before there was one."""
    with serve(phase, data=data) as client:
        held = [
            row["course_id"]
            for row in client.get(MINE).json()["items"]
            if row["status"] != "withdrawn"
        ]
        answers = [enroll(client), enroll(client), enroll(client, held[0])]

        assert [answer.status_code for answer in answers] == [201, 409, 409]
        assert "already" in answers[1].json()["detail"]
        assert len(client.get(MINE).json()["items"]) == 6


def test_an_index_that_lags_behind_enrolls_nobody_twice(
    serve: Callable[..., Any], data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is looked at before the write may be old; the condition on the write decides."""
    monkeypatch.setattr("perfkit.service.store.Store._all", lambda *_, **__: [])
    with serve(data=data) as client:
        answers = [enroll(client), enroll(client)]

    assert [answer.status_code for answer in answers] == [201, 409]


@pytest.mark.parametrize("phase", PHASES)
def test_nothing_is_written_into_a_table_that_took_the_place_of_perfkits(
    phase: int, serve: Callable[..., Any], data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("perfkit.service.database.LOOK_EVERY_S", 0.0)
    monkeypatch.setattr("perfkit.service.store.Store._all", lambda *_, **__: [])
    his = {"enrollment_id": {"S": "E-1"}, "user_id": {"S": "student123"}}
    with serve(phase, data=data) as client:
        before = enroll(client)
        theirs = embedded_client(data)
        definition = theirs.describe_table(TableName="Enrollments")["Table"]
        theirs.delete_table(TableName="Enrollments")
        theirs.create_table(
            TableName="Enrollments",
            KeySchema=definition["KeySchema"],
            AttributeDefinitions=[{"AttributeName": "enrollment_id", "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
        )
        theirs.put_item(TableName="Enrollments", Item=his)

        answer = enroll(client, "C00008")

        assert theirs.scan(TableName="Enrollments")["Items"] == [his]
    assert (before.status_code, answer.status_code) == (201, 503)
    assert answer.json()["detail"] == (
        "table Enrollments is not perfkit's: nothing is written into it"
    )
    assert "retry-after" not in answer.headers


def test_of_many_at_once_one_is_enrolled(
    make_app: Callable[..., Any], live: Callable[..., Any], data: Path, token: Callable[..., str]
) -> None:
    headers = {"Authorization": f"Bearer {token('student123')}"}
    statuses: list[int] = []
    with live(make_app(data=data)) as url, live(make_app(data=data)) as other:
        # FastAPI prepares its routes at the first request, and two services in one process that
        # do so at the same time get in each other's way
        for each in (url, other):
            httpx2.get(each + MINE, headers=headers, timeout=60)

        def ask(where: str) -> None:
            body = {"course_id": "C00007"}
            answer = httpx2.post(where + MINE, json=body, headers=headers, timeout=60)
            statuses.append(answer.status_code)

        threads = [threading.Thread(target=ask, args=[where]) for where in (url, other) * 6]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    assert sorted(statuses) == [201] + 11 * [409]


@pytest.mark.parametrize("phase", PHASES)
def test_who_left_may_enroll_again(phase: int, serve: Callable[..., Any], data: Path) -> None:
    with serve(phase, data=data) as client:
        for _ in range(2):
            answer = enroll(client)
            assert answer.status_code == 201
            assert client.delete(answer.headers["location"]).status_code == 204
        assert client.delete(answer.headers["location"]).status_code == 404
        assert len(client.get(MINE).json()["items"]) == 5


def test_after_a_write_nobody_reads_what_was_before(serve: Callable[..., Any], data: Path) -> None:
    """Not in another process either, and neither in the roster."""
    roster = "/api/courses/C00007/enrollments"
    with serve(data=data) as client, serve(data=data) as other:
        for each in (client, other, client, other):
            before = (each.get(MINE).content, each.get(roster).content)
        assert other.get(roster).headers["x-cache"] == "HIT"

        made = enroll(client)
        after = (other.get(MINE), other.get(roster))
        client.delete(made.headers["location"])
        at_last = (other.get(MINE).content, other.get(roster).content)

    assert [answer.headers["x-cache"] for answer in after] == ["MISS", "MISS"]
    assert made.json() in after[0].json()["items"]
    assert made.json()["enrollment_id"] in after[1].text
    assert at_last == before


def test_a_write_whose_fate_is_unknown_is_forgotten_too(
    serve: Callable[..., Any], data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """DynamoDB may have done what it did not answer to."""

    def done_but_not_answered(**request: Any) -> Any:
        embedded_client(data).put_item(**request)
        raise ReadTimeoutError(endpoint_url="http://dynamodb.invalid")

    with serve(data=data) as client:
        client.get(MINE)
        monkeypatch.setattr(
            "perfkit.dynamodb.targets.Target.client",
            lambda *_, **__: Faulty(embedded_client(data), put_item=done_but_not_answered),
        )
        with serve(data=data) as faulty:
            answer = enroll(faulty)
        listed = client.get(MINE)

    assert answer.status_code == 503
    assert answer.headers["retry-after"]
    assert listed.headers["x-cache"] == "MISS"
    assert len(listed.json()["items"]) == 6


class Faulty:
    """A client some of whose methods are others."""

    def __init__(self, client: Any, **methods: Callable[..., Any]) -> None:
        self._client = client
        self._methods = methods

    def __getattr__(self, name: str) -> Any:
        return self._methods.get(name) or getattr(self._client, name)


def test_a_write_goes_on_without_redis(
    make_app: Callable[..., Any], data: Path, token: Callable[..., str]
) -> None:
    headers = {"Authorization": f"Bearer {token('student123')}"}
    app = make_app(data=data, redis_url="unix:///nowhere/to/be/found.sock")
    with TestClient(app, headers=headers) as client:
        assert enroll(client).status_code == 201
        assert len(client.get(MINE).json()["items"]) == 6


@pytest.mark.parametrize("phase", PHASES)
def test_what_a_user_did_is_told_once(
    phase: int, serve: Callable[..., Any], data: Path, notifier: Any
) -> None:
    with serve(phase, data=data) as client:
        made = enroll(client)
        enroll(client)
        client.get("/api/courses?semester=1&department=CS")
        client.get("/api/courses")
        client.get(MINE)
        client.delete(made.headers["location"])

    mails = [item for item in notifier.items if hasattr(item, "recipient")]
    logs = [item for item in notifier.items if hasattr(item, "path")]
    assert [(mail.recipient, mail.subject) for mail in mails] == [
        ("student123@university.example", "You enrolled in course C00007"),
        ("student123@university.example", "You looked at courses"),
        ("student123@university.example", "You left course C00007"),
    ]
    assert [(log.method, log.status) for log in logs] == [
        ("POST", 201),
        ("POST", 409),
        ("GET", 200),
        ("GET", 422),
        ("GET", 200),
        ("DELETE", 204),
    ]
    assert {log.user for log in logs} == {"student123"}
    # a request's mail and its log line are told to be of one request
    assert {mail.request_id for mail in mails} < {log.request_id for log in logs}
    assert len({log.request_id for log in logs}) == len(logs)


def test_a_request_keeps_the_name_its_client_gave_it(
    serve: Callable[..., Any], notifier: Any
) -> None:
    with serve() as client:
        client.get(MINE, headers={"X-Request-ID": "mine-1"})
        client.get(MINE, headers={"X-Request-ID": "x" * 65})

    first, second = notifier.items
    assert first.request_id == "mine-1"
    assert len(second.request_id) == 16


def test_nobody_is_told_if_nobody_is_to_be(serve: Callable[..., Any], notifier: Any) -> None:
    with serve(Switches.of_phase(3, notify=False)) as client:
        answer = client.get("/api/courses?semester=1&department=CS")

    assert answer.status_code == 200
    assert notifier.items == []


@pytest.mark.parametrize("phase", PHASES)
def test_enrollments_of_courses_that_are_gone_have_no_title(
    phase: int, serve: Callable[..., Any], data: Path
) -> None:
    with serve(Switches.of_phase(phase, cache=False), data=data) as client:
        (first, *_) = client.get(MINE).json()["items"]
        embedded_client(data).delete_item(
            TableName="Courses", Key={"course_id": {"S": first["course_id"]}}
        )
        (again, *_) = client.get(MINE).json()["items"]

    assert again == first | {"course_title": None}
