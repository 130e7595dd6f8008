"""A load test held against gates, as lines that other programs are given."""

from typing import Any

import pytest

from perfkit.gates.lines import State, counted
from perfkit.load.judging import lines_of
from perfkit.runs import (
    GateOutcome,
    LoadModel,
    LoadSettings,
    LoadTest,
    RateSearch,
    RateTrial,
)


def a_test(**values: Any) -> LoadTest:
    settings = LoadSettings(model=LoadModel.CLOSED, users=3, duration_s=3.0)
    return LoadTest(settings=settings, **values)


def test_each_gate_is_a_line_with_its_figure() -> None:
    lines = lines_of(
        a_test(
            gates=(
                GateOutcome(gate="errors == 0", value=0, verdict="pass", reason="errors is 0"),
                GateOutcome(gate="p95_ms < 9", value=12, verdict="fail", reason="p95_ms is 12"),
                GateOutcome(gate="cpu < 1", value=None, verdict="invalid", reason="not measured"),
            )
        )
    )

    assert [(each.title, each.state, each.reason) for each in lines] == [
        ("the measurement is valid", State.DONE, ""),
        ("errors == 0", State.DONE, ""),
        ("p95_ms < 9", State.NOT_DONE, "p95_ms is 12"),
        ("cpu < 1", State.INVALID, "not measured"),
    ]
    assert lines[1].verdict.evidence == "errors is 0"


def test_a_measurement_that_is_invalid_is_a_line_also_without_gates() -> None:
    (line,) = lines_of(a_test(invalid=("the run was cut short",), interrupted=True))

    assert (line.state, line.reason) == (State.INVALID, "the run was cut short")


@pytest.mark.parametrize(
    ("low_hz", "said"),
    [(40.0, "2 of 2 done"), (None, "1 of 2 done, 1 not done")],
    ids=["found", "none"],
)
def test_a_search_that_finds_no_rate_is_not_done(low_hz: float | None, said: str) -> None:
    trials = (RateTrial(rate_hz=20.0, p95_s=0.3, kept=False),)
    search = RateSearch(limit_s=0.2, low_hz=low_hz, high_hz=80.0, trials=trials)

    lines = lines_of(a_test(search=search))

    assert counted(lines) == said
    assert lines[1].title == "a rate keeps p95 below 200 ms"
