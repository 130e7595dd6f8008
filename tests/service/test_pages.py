"""Pages: a list in pieces, led through by tokens; and the courses of a semester, read in pieces."""

import base64
import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import redis
from hypothesis import given
from hypothesis import strategies as st
from starlette.testclient import TestClient

from perfkit.dynamodb.client import embedded_client
from perfkit.service.paging import Page, _read
from perfkit.service.problems import Problem

Row = dict[str, Any]

rows = st.lists(
    st.fixed_dictionaries(
        {
            "enrollment_id": st.integers(0, 999).map("E{:03}".format),
            "enrolled_at": st.sampled_from(["2024-01-01", "2024-01-02", "2025-01-01"]),
        }
    ),
    max_size=12,
    unique_by=lambda row: row["enrollment_id"],
)


def by_time(row: Row) -> tuple[str, str]:
    return (row["enrolled_at"], row["enrollment_id"])


@given(rows, st.integers(1, 5))
def test_pages_are_the_whole_in_pieces(found: list[Row], limit: int) -> None:
    whole = sorted(found, key=by_time)
    walked: list[Row] = []
    page = Page(limit)
    while True:
        part = page.of(whole, by_time)
        assert part["total"] == len(whole)
        assert len(part["items"]) <= limit
        walked += part["items"]
        if part["next"] is None:
            break
        page = Page(limit, _read(part["next"]))

    assert walked == whole


@given(rows.filter(lambda found: len(found) > 3), st.data())
def test_rows_that_come_or_go_move_no_other_to_another_page(
    found: list[Row], data: st.DataObject
) -> None:
    whole = sorted(found, key=by_time)
    following = _read(Page(2).of(whole, by_time)["next"])
    gone = data.draw(st.sampled_from(whole[:2]))

    second = Page(100, following).of([row for row in whole if row is not gone], by_time)

    assert second["items"] == whole[2:]


@given(
    st.text(max_size=100)
    | st.binary(max_size=60).map(lambda b: base64.urlsafe_b64encode(b).decode())
)
def test_made_up_tokens_are_a_key_or_a_problem(token: str) -> None:
    key: tuple[str, ...] = ()
    with contextlib.suppress(Problem):
        key = _read(token)

    assert all(part for part in key)


# ---- a semester, of all departments ------------------------------------------------------

SEMESTER = "/api/courses?semester=1"
PHASES = [0, 1, 2, 3]


def walk(client: TestClient, url: str) -> list[Any]:
    """Return all pages of a list, one after the other."""
    pages = [client.get(url)]
    while (following := pages[-1].json()["next"]) is not None:
        pages.append(client.get(f"{url}&next={following}"))
    return pages


def expected(data: Path) -> list[str]:
    """Return the courses of semester 1, by department and course, as DynamoDB itself has them."""
    found = [
        (item["department_id"]["S"], item["course_id"]["S"])
        for page in embedded_client(data).get_paginator("scan").paginate(TableName="Courses")
        for item in page["Items"]
        if item["semester_id"] == {"S": "1"}
    ]
    return [course for _, course in sorted(found)]


@pytest.mark.parametrize("phase", PHASES)
@pytest.mark.usefixtures("quick_clients")
def test_the_documents_own_request_is_answered(
    phase: int, serve: Callable[..., Any], seeded: Path
) -> None:
    with serve(phase) as client:
        answer = client.get("/api/courses?semester=1")

    assert answer.status_code == 200
    found = [course["course_id"] for course in answer.json()["items"]]
    assert found == expected(seeded)[:100]


@pytest.mark.parametrize(
    ("phase", "limit"),
    [*((phase, limit) for phase in PHASES for limit in (7, 100)), (3, 1), (0, 50)],
)
@pytest.mark.usefixtures("quick_clients")
def test_a_semester_is_walked_through_page_by_page(
    phase: int, limit: int, serve: Callable[..., Any], seeded: Path
) -> None:
    with serve(phase) as client:
        pages = walk(client, f"{SEMESTER}&limit={limit}")

    found = [course["course_id"] for page in pages for course in page.json()["items"]]
    assert found == expected(seeded)
    assert all(len(page.json()["items"]) <= limit for page in pages)
    # nobody counts what nobody asked for
    assert {page.json()["total"] for page in pages} == {None}


@pytest.mark.usefixtures("quick_clients")
def test_pages_of_a_semester_are_the_same_at_all_phases(serve: Callable[..., Any]) -> None:
    walked = []
    for phase in PHASES:
        with serve(phase) as client:
            walked.append([page.content for page in walk(client, f"{SEMESTER}&limit=20")])

    assert walked == [walked[0]] * 4


def test_a_semester_is_kept_under_the_documents_key(
    serve: Callable[..., Any], redis_url: str
) -> None:
    with serve() as client, redis.Redis.from_url(redis_url) as kept:
        states = [client.get(SEMESTER).headers["x-cache"] for _ in range(2)]
        states.append(client.get(f"{SEMESTER}&limit=5").headers["x-cache"])
        keys = list(kept.scan_iter("perfkit:*:courses:semester:1"))

        assert states == ["MISS", "HIT", "MISS"]
        assert len(keys) == 1
        # a value for each page, and all of them go together
        assert kept.hlen(keys[0]) == 2
        assert 200 < kept.ttl(keys[0]) <= 330


def test_a_page_of_a_semester_reads_no_more_than_it_takes(
    serve: Callable[..., Any], data: Path
) -> None:
    """Of 400 courses of 1 KB in 8 departments, 50 each, a page of 10 is in the first of them."""
    client = embedded_client(data)
    for number in range(400):
        client.put_item(
            TableName="Courses",
            Item={
                "course_id": {"S": f"N{number:03}"},
                "semester_id": {"S": "77"},
                "department_id": {"S": f"D{number % 8}"},
                "description": {"S": "x" * 950},
            },
        )
    with serve(data=data) as asking:
        asking.get("/api/enrollments")
        answer = asking.get("/api/courses?semester=77&limit=10")
        last = asking.get(f"/api/courses?semester=77&limit=10&next={answer.json()['next']}")

    assert [each["course_id"] for each in answer.json()["items"]] == [
        f"N{8 * number:03}" for number in range(10)
    ]
    assert [each["course_id"] for each in last.json()["items"]] == [
        f"N{8 * number:03}" for number in range(10, 20)
    ]
    # 400 KB are 50 units and more; one department, and what shows that it is all, is 7
    assert float(answer.headers["x-consumed-read-units"]) < 12
