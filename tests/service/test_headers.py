"""What every answer says of itself, and what /metrics and /healthz say of all of them."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from perfkit.service.settings import Switches
from perfkit.service.timing import _STAGES

COURSES = "/api/courses?semester=1&department=CS"
TIMING = re.compile(", ".join(rf"({stage});dur=(\d+\.\d{{3}})" for stage in (*_STAGES, "total")))

pytestmark = pytest.mark.usefixtures("quick_clients")


def timing(answer: Any) -> dict[str, float]:
    """Return the milliseconds of each stage."""
    found = TIMING.fullmatch(answer.headers["server-timing"])
    assert found is not None, answer.headers["server-timing"]
    parts = found.groups()
    return {name: float(value) for name, value in zip(parts[::2], parts[1::2], strict=True)}


@pytest.mark.parametrize("phase", [0, 1, 2, 3])
def test_every_answer_says_where_the_time_went(
    phase: int, serve: Callable[..., Any], data: Path
) -> None:
    with serve(phase, data=data) as client:
        answers = [
            client.get(COURSES),
            client.get(COURSES),
            client.get("/api/courses"),
            client.get("/api/enrollments"),
            client.get("/api/users/student7/profile"),
            client.get("/api/nothing"),
            client.put("/api/courses"),
            client.get("/api/enrollments", headers={"Authorization": "Bearer x"}),
            client.post("/api/enrollments", json={"course_id": "C00007"}),
            client.post("/api/enrollments", content=b"x"),
            client.delete("/api/enrollments/none"),
            client.get("/healthz"),
            client.get("/metrics"),
            client.get("/openapi.json"),
        ]

    for answer in answers:
        took_ms = timing(answer)
        total_ms = took_ms.pop("total")
        # each is rounded for itself
        assert sum(took_ms.values()) == pytest.approx(total_ms, abs=0.01)
        assert answer.headers["x-cache"] in {"HIT", "MISS", "ERROR", "OFF"}
        assert float(answer.headers["x-consumed-read-units"]) >= 0
        assert float(answer.headers["x-consumed-write-units"]) >= 0


def test_the_stages_of_a_scan_and_of_a_hit_are_told_apart(serve: Callable[..., Any]) -> None:
    with serve(0) as client:
        scan = timing(client.get(COURSES))
    with serve(3) as client:
        miss, hit = client.get(COURSES), client.get(COURSES)

    assert scan["cache"] == 0
    assert scan["db"] > scan["serialize"] > 0
    assert scan["auth"] > 0
    assert timing(miss)["db"] > 0
    assert timing(miss)["cache"] > 0
    assert timing(hit)["db"] == 0
    assert timing(hit)["cache"] > 0
    assert (miss.headers["x-cache"], hit.headers["x-cache"]) == ("MISS", "HIT")


def test_consumed_units_are_those_of_the_questions(serve: Callable[..., Any], data: Path) -> None:
    """Items are of 1,024 bytes and reads eventually consistent: 0.125 units each, a page rounded."""
    with serve(0, data=data) as client:
        scan = float(client.get(COURSES).headers["x-consumed-read-units"])
        mine = client.get("/api/enrollments")
    with serve(2, data=data) as client:
        query = client.get(COURSES)
        again = client.get(COURSES)
    with serve(3, data=data) as client:
        batched = client.get("/api/enrollments")
        made = client.post("/api/enrollments", json={"course_id": "C00007"})
        gone = client.delete(made.headers["location"])

    # 101 courses, and the user
    assert scan == 13.0 + 0.5
    assert query.headers["x-dynamodb-operations"] == "get_item=1, query=1"
    assert again.headers["x-dynamodb-operations"] == ""
    assert "scan=1" in mine.headers["x-dynamodb-operations"].split(", ")
    assert query.headers["x-consumed-read-units"] == "7.0"
    assert again.headers["x-consumed-read-units"] == "0.0"
    # 500 enrollments, a course for each of 5, and the user
    assert float(mine.headers["x-consumed-read-units"]) == 62.5 + 5 * 0.5 + 0.5
    assert float(batched.headers["x-consumed-read-units"]) <= 1.0 + 5 * 0.5 + 0.5
    # a small item, in the table and in both indexes
    assert made.headers["x-consumed-write-units"] == "3.0"
    assert gone.headers["x-consumed-write-units"] == "3.0"


def test_without_pooling_each_request_makes_a_client_of_its_own(
    serve: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    from perfkit.dynamodb.targets import Target

    made = []
    real = Target.client

    def count(self: Target, *args: Any, **options: Any) -> Any:
        made.append(options["pool_connections"])
        return real(self, *args, **options)

    monkeypatch.setattr(Target, "client", count)
    counts = []
    for pooling in (False, True):
        made.clear()
        with serve(Switches.of_phase(0, pooling=pooling), threads=5) as client:
            for _ in range(3):
                client.get("/api/enrollments")
        counts.append(len(made))

    assert counts == [3, 1]
    assert made == [5]


def metrics(client: Any) -> dict[str, float]:
    """Return the samples of /metrics."""
    answer = client.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    lines = [line for line in answer.text.splitlines() if not line.startswith("#")]
    return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines)}


def test_metrics_count_what_happened(serve: Callable[..., Any]) -> None:
    with serve() as client:
        for _ in range(4):
            client.get(COURSES)
        client.get("/api/courses?semester=2&department=MA")
        client.get("/api/courses")
        client.get("/nothing")

        found = metrics(client)

    def requests(route: str, status: int) -> float:
        return found[f'perfkit_requests_total{{method="GET",route="{route}",status="{status}"}}']

    assert requests("/api/courses", 200) == 5
    assert requests("/api/courses", 422) == 1
    assert requests("unmatched", 404) == 1
    assert found['perfkit_request_seconds_count{method="GET",route="/api/courses"}'] == 6
    assert found['perfkit_request_seconds_bucket{le="+Inf",method="GET",route="/api/courses"}'] == 6
    assert found['perfkit_cache_answers_total{route="/api/courses",state="HIT"}'] == 3
    assert found['perfkit_cache_answers_total{route="/api/courses",state="MISS"}'] == 2
    assert found['perfkit_cache_hits_total{pattern="courses"}'] == 3
    assert found['perfkit_cache_misses_total{pattern="courses"}'] == 2
    assert found['perfkit_cache_fills_total{pattern="courses"}'] == 2
    assert found['perfkit_cache_seconds_count{outcome="hit",pattern="courses"}'] == 3
    assert found["perfkit_cache_breaker_openings_total"] == 0
    assert found['perfkit_consumed_read_units_total{route="/api/courses"}'] > 7
    assert found["perfkit_cache_breaker_open"] == 0
    assert found['perfkit_cache_hits_total{pattern="session"}'] == 5
    assert found['perfkit_notifications_total{kind="mail",outcome="sent"}'] == 5
    assert found['perfkit_notifications_total{kind="log",outcome="sent"}'] == 6


def test_metrics_say_what_is_queued(serve: Callable[..., Any]) -> None:
    with serve(told=False) as client:
        for _ in range(3):
            assert client.get(COURSES).status_code == 200
        found = metrics(client)

    assert found['perfkit_notifications_total{kind="mail",outcome="queued"}'] == 3
    assert found['perfkit_queue_waiting{queue="mail"}'] == 3
    assert found['perfkit_queue_dead{queue="mail"}'] == 0


def test_health_says_what_is_on_and_what_it_depends_on(serve: Callable[..., Any]) -> None:
    with serve(0, user=None) as client:
        baseline = client.get("/healthz").json()
    with serve(3, user=None) as client:
        full = client.get("/healthz").json()

    assert baseline["status"] == "ok"
    assert not any(on for name, on in baseline["switches"].items() if name != "notify")
    assert {name: check["status"] for name, check in baseline["checks"].items()} == {
        "dynamodb": "ok",
        "cache": "off",
        "notifications": "off",
    }
    assert all(full["switches"].values())
    assert full["checks"]["cache"]["status"] == "ok"
    assert "indexes" in full["checks"]["dynamodb"]["detail"]
