"""The same answer whatever is switched on: every endpoint, every parameter, every variant."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from perfkit.service.settings import PHASES, Switches

pytestmark = pytest.mark.usefixtures("quick_clients")

ANSWER = tuple[str, int, str | None, bytes]

READS = (
    "/api/courses?semester=1&department=CS",
    "/api/courses?department=CS&semester=1",
    "/api/courses?semester=1&department=CS&limit=50",
    "/api/courses?semester=1&department=CS&limit=49",
    "/api/courses?semester=1&department=CS&limit=1",
    "/api/courses?semester=2&department=MA",
    "/api/courses?semester=9&department=none%20such",
    "/api/courses?semester=1",
    "/api/courses?semester=1&department=CS&limit=0",
    "/api/courses?semester=1&department=CS&limit=101",
    "/api/courses?semester=1&department=CS&next=nonsense",
    "/api/instructors/I042/courses",
    "/api/instructors/I042/courses?limit=3",
    "/api/instructors/nobody/courses",
    "/api/enrollments",
    "/api/enrollments?limit=2",
    "/api/courses/C00101/enrollments",
    "/api/courses/C00101/enrollments?limit=7",
    "/api/courses/nothing/enrollments",
    "/api/users/student123/profile",
    "/api/users/student124/profile",
    "/api/nothing",
)

VARIANTS = {
    **{f"phase {phase}": Switches.of_phase(phase) for phase in PHASES},
    **{f"3 without {name}": Switches.of_phase(3, **{name: False}) for name in Switches.names()},
}


def ask(client: TestClient, method: str, url: str, **more: Any) -> ANSWER:
    response = client.request(method, url, **more)
    return (
        f"{method} {url}",
        response.status_code,
        response.headers.get("content-type"),
        response.content,
    )


def walk_pages(client: TestClient, url: str) -> list[ANSWER]:
    """Return all pages of a list, one after the other."""
    answers: list[ANSWER] = []
    following = ""
    while True:
        response = client.get(url + following)
        answers.append((url + following, response.status_code, None, response.content))
        if response.json()["next"] is None:
            return answers
        following = f"&next={response.json()['next']}"


def transcript(client: TestClient) -> list[ANSWER]:
    """Return every answer of a conversation that reads, writes and reads again."""
    answers = []
    for _ in ("cold", "warm"):
        answers += [ask(client, "GET", url) for url in READS]
        answers += walk_pages(client, "/api/courses?semester=1&department=CS&limit=20")
        answers += walk_pages(client, "/api/courses/C00101/enrollments?limit=15")
    enrolled = ask(client, "POST", "/api/enrollments", json={"course_id": "C00007"})
    answers += [enrolled, ask(client, "POST", "/api/enrollments", json={"course_id": "C00007"})]
    written = ("/api/enrollments", "/api/courses/C00007/enrollments")
    answers += [ask(client, "GET", url) for url in written * 2]
    enrollment = client.get("/api/enrollments").json()["items"][-1]["enrollment_id"]
    answers += [ask(client, "DELETE", f"/api/enrollments/{enrollment}") for _ in range(2)]
    answers += [ask(client, "GET", url) for url in written * 2]
    answers += [
        ask(client, "POST", "/api/enrollments", json={"course_id": "no such course"}),
        ask(client, "POST", "/api/enrollments", json={"course": "C00007"}),
        ask(client, "POST", "/api/enrollments", content=b"not json"),
        ask(client, "DELETE", "/api/enrollments/E000001"),
        ask(client, "PUT", "/api/enrollments"),
    ]
    return answers


@pytest.fixture(scope="module")
def remembered() -> list[ANSWER]:
    """Return what phase 0 answered, empty until it was asked."""
    return []


@pytest.fixture
def expected(
    serve: Callable[..., Any], seeded: Path, tmp_path: Path, remembered: list[ANSWER]
) -> list[ANSWER]:
    """Return what phase 0 answers."""
    if not remembered:
        shutil.copytree(seeded.parent, tmp_path / "for phase 0")
        with serve(0, data=tmp_path / "for phase 0" / seeded.name) as client:
            remembered += transcript(client)
    return remembered


@pytest.mark.parametrize("name", VARIANTS)
def test_all_variants_answer_the_same(
    name: str, serve: Callable[..., Any], data: Path, expected: list[ANSWER]
) -> None:
    with serve(VARIANTS[name], data=data) as client:
        answers = transcript(client)

    assert {status for _, status, _, _ in answers} == {200, 201, 204, 403, 404, 405, 409, 422}
    for answer, wanted in zip(answers, expected, strict=True):
        assert answer == wanted


def test_lists_are_ordered_whatever_order_dynamodb_has(serve: Callable[..., Any]) -> None:
    for switches in (0, 3):
        with serve(switches) as client:
            courses = client.get("/api/courses?semester=1&department=CS").json()["items"]
            seats = client.get("/api/courses/C00101/enrollments").json()["items"]

        assert len(courses) == 50
        assert [each["course_id"] for each in courses] == sorted(
            each["course_id"] for each in courses
        )
        assert len(seats) == 40
        assert seats == sorted(seats, key=lambda each: (each["enrolled_at"], each["enrollment_id"]))


def test_a_roster_does_not_say_who_is_enrolled(serve: Callable[..., Any]) -> None:
    with serve() as client:
        answer = client.get("/api/courses/C00101/enrollments")

    assert {tuple(each) for each in answer.json()["items"]} == {
        ("enrollment_id", "course_id", "enrolled_at", "status")
    }
    assert "student" not in answer.text


def test_a_restarted_service_understands_the_tokens_it_gave(serve: Callable[..., Any]) -> None:
    url = "/api/courses?semester=1&department=CS&limit=20"
    with serve(0) as client:
        following = client.get(url).json()["next"]
    with serve(3) as client:
        answer = client.get(f"{url}&next={following}")

    assert answer.status_code == 200
    assert len(answer.json()["items"]) == 20
