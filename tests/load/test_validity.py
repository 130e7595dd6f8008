"""Reports of processes added up, and what makes a measurement invalid; from made-up reports."""

import base64
from array import array
from collections.abc import Sequence
from typing import Any

import pytest

from perfkit.load.answers import Answer, AnswerCounts
from perfkit.load.gathering import Gathering
from perfkit.load.plan import LoadPlan
from perfkit.load.validity import find_faults

PLAN = LoadPlan(urls=("http://a",), users=10, duration_s=3.0, rate_hz=10.0)


def text(values: Sequence[float]) -> str:
    return base64.b64encode(array("d", values).tobytes()).decode()


def report(
    number: int, samples_s: Sequence[float], worker: int = 0, **changes: Any
) -> dict[str, Any]:
    counts = AnswerCounts()
    for each in samples_s:
        counts.add(Answer(each, each / 2, 200, "", {"x-cache": "HIT"}, 10))
    made: dict[str, Any] = {
        "number": number,
        "at_s": float(number),
        "worker": worker,
        "users": 5,
        "cpu_share": 0.3,
        "jump_s": 0.0,
        "lags": text([0.0001] * 50),
        "without_user": 0,
        "sent_late": 0,
        "ramp": {},
        "measured": {"ok": counts.to_json()},
    }
    return {**made, **changes}


def gathered(*reports: dict[str, Any], workers: int = 1) -> Gathering:
    gathering = Gathering(workers, 0.0, 3.0)
    for each in reports:
        gathering.add(each)
    return gathering


def faults(gathering: Gathering, **changes: Any) -> list[str]:
    variants = gathering.finish(3.0, "embedded", None)
    facts: dict[str, Any] = {"due": 30, "interrupted": False, "lost": 0, **changes}
    response = variants[0].latency_s if variants else None
    return list(find_faults(gathering, PLAN, response, **facts))


def test_processes_are_added_up_second_by_second_and_altogether() -> None:
    gathering = gathered(
        report(1, [0.1, 0.2], 0),
        report(1, [0.3], 1, cpu_share=0.5),
        report(2, [0.4], 0),
        report(2, [], 1),
        workers=2,
    )

    first, second = gathering.seconds
    total, endpoint = gathering.finish(2.0, "embedded", None)

    assert (first.requests, first.users, first.p50_s, first.p99_s) == (3, 10, 0.2, 0.3)
    assert first.generator_cpu_share == 0.5
    assert (second.requests, second.p50_s) == (1, 0.4)
    assert total.latency_s.count == endpoint.latency_s.count == 4
    assert total.latency_s.mean == pytest.approx(0.25)
    assert (total.latency_s.min, total.latency_s.max) == (0.1, 0.4)
    assert total.http is not None
    assert total.http.service_s.max == pytest.approx(0.2)
    assert total.http.requests_per_s == 2.0
    assert total.cache is not None
    assert total.cache.hits == 4


def test_a_process_that_is_gone_is_not_waited_for() -> None:
    gathering = gathered(report(1, [0.1], 0), workers=2)
    assert gathering.seconds == []

    gathering.lose()

    assert len(gathering.seconds) == 1


WELL = [report(number, [0.1] * 10) for number in (1, 2, 3)]


def test_a_generator_with_time_to_spare_measures() -> None:
    assert faults(gathered(*WELL)) == []


@pytest.mark.parametrize(
    ("changes", "facts", "words"),
    [
        pytest.param({"cpu_share": 0.95}, {}, "the generator was saturated: 95%", id="CPU"),
        pytest.param({"lags": text([0.08] * 50)}, {}, "the generator was late itself", id="lag"),
        pytest.param({"without_user": 1}, {}, "users ran out: 3 requests", id="users"),
        pytest.param({"sent_late": 1}, {}, "the rate was missed: 3 of 30", id="late"),
        pytest.param({}, {"due": 40}, "the rate was missed: 10 of 40", id="missing"),
        pytest.param({"jump_s": -2.0}, {}, "the clock jumped by 2.00 s", id="clock"),
        pytest.param({}, {"interrupted": True}, "cut short", id="interrupted"),
        pytest.param({}, {"lost": 2}, "2 processes that made requests ended", id="lost"),
    ],
)
def test_what_speaks_against_a_measurement_is_named(
    changes: dict[str, Any], facts: dict[str, Any], words: str
) -> None:
    found = faults(gathered(*({**each, **changes} for each in WELL)), **facts)

    assert len(found) == 1
    assert words in found[0]


def test_a_machine_that_stands_still_is_noticed() -> None:
    found = faults(gathered(WELL[0], report(2, [0.1] * 20, at_s=9.0)))

    assert "stood still for 8.00 s" in found[0]


def test_a_late_generator_does_not_matter_to_a_slow_service() -> None:
    slow = [report(number, [5.0] * 10, lags=text([0.05] * 50)) for number in (1, 2, 3)]

    assert faults(gathered(*slow)) == []


def test_a_run_without_a_request_says_so() -> None:
    assert faults(gathered(report(1, [], measured={}))) == [
        "no request was made after the ramp; give it more time with --duration"
    ]
