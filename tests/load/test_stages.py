"""What is done to a service under load: events at their times, seconds in their stages."""

from typing import Any

import pytest

from perfkit.load.answers import Answer, AnswerCounts
from perfkit.load.gathering import Gathering
from perfkit.load.plan import LoadPlan, Mix, Request
from perfkit.load.process import Place
from perfkit.load.running import Subject, run_load
from perfkit.load.stages import Stages
from perfkit.runs import LoadEvent
from perfkit.runs.codec import decode, encode


class Clock:
    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def test_events_count_from_the_first_request() -> None:
    clock = Clock()
    heard: list[LoadEvent] = []
    stages = Stages(on_event=heard.append, clock=clock)
    stages.begin()
    clock.now_s += 2.5
    stages.note("created", "4 indexes")

    assert stages.events == (LoadEvent(at_s=2.5, name="created", detail="4 indexes"),)
    assert tuple(heard) == stages.events


def report(number: int, response_s: float, *, throttles: int | None = None) -> dict[str, Any]:
    """Return what a process says of a second in which one request ended."""
    counts = AnswerCounts()
    headers = {"x-consumed-read-units": "3.0"}
    if throttles is not None:
        headers["x-dynamodb-throttles"] = str(throttles)
    counts.add(
        Answer(
            response_s=response_s,
            service_s=response_s,
            status=200,
            error="",
            headers=headers,
            body_bytes=2,
        )
    )
    return {
        "number": number, "at_s": float(number), "users": 1, "cpu_share": 0.1, "jump_s": 0.0,
        "lags": "", "without_user": 0, "sent_late": 0, "ramp": {},
        "measured": {"GET /ok": counts.to_json()},
    }  # fmt: skip


def test_a_second_in_which_a_stage_begins_or_ends_is_of_none() -> None:
    gathering = Gathering(1, 0.0, 10.0)
    for number, stage in enumerate(["a", "a", "a", "", "b", "b", ""], start=1):
        gathering.add(report(number, number / 10), stage)
    first, second = gathering.stages("embedded", None)

    # "a" was entered in the first second and left in the fourth, "b" entered in the fifth
    assert (first.name, first.start_s, first.end_s) == ("a", 1.0, 3.0)
    assert first.figures is not None
    assert first.figures.requests == 2
    assert (first.figures.latency_s.min, first.figures.latency_s.max) == (0.2, 0.3)
    assert first.figures.capacity_units == 3.0
    assert first.figures.http is not None
    assert first.figures.http.requests_per_s == 1.0
    assert (second.name, second.start_s, second.end_s) == ("b", 5.0, 6.0)


def test_throttles_are_those_that_a_service_tells_of() -> None:
    gathering = Gathering(1, 0.0, 10.0)
    gathering.add(report(1, 0.1, throttles=3))
    gathering.add(report(2, 0.1, throttles=0))
    gathering.add(report(3, 0.1))
    (total, _) = gathering.finish(3.0, "embedded", None)

    assert [each.throttles for each in gathering.seconds] == [3, 0, None]
    assert total.http is not None
    assert total.http.throttles == 3


@pytest.mark.processes
def test_a_load_ends_with_the_last_stage_and_counts_what_was_under_way(tiny_service: Any) -> None:
    """The plan would go on for an hour, and the last answers are slow to come."""
    mix = Mix(name="tiny", requests=(Request(name="GET /ok", method="GET", path="/ok"),))
    plan = LoadPlan(urls=(tiny_service.url,), mix=mix, users=4, think_s=0.01, duration_s=3600.0)
    stages = Stages()

    def show(gathering: Gathering, _: Any) -> None:
        asked = tiny_service.asked.total()
        if not stages.events:
            stages.enter("first")
            stages.note("entered")
        elif len(gathering.seconds) >= 2 and not tiny_service.stalls_at:
            tiny_service.stalls_s, tiny_service.stalls_at = 1.0, asked + 20
        elif tiny_service.stalls_at and asked >= tiny_service.stalls_at:
            stages.end()

    run = run_load(
        plan, Subject(mix="tiny", workload="tiny"), Place(), show=show, say=print, stages=stages
    )
    test = run.load_test

    assert test is not None
    assert not test.interrupted
    assert 2.0 <= test.settings.duration_s < 60.0
    assert [each.name for each in test.events] == ["entered"]
    assert [each.name for each in test.stages] == ["first"]
    # one more went before to see if anybody is there
    assert sum(each.requests for each in test.seconds) == tiny_service.asked["/ok"] - 1
    assert decode(encode(run), "a run").load_test == test
