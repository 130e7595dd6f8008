"""What becomes of gates: pass, fail, or invalid with a reason."""

import pytest

from perfkit.analysis.verdict import Ruling
from perfkit.gates import Measures, judge
from perfkit.workloads.gates import parse_gate

MEASURES: Measures = {
    "": {"p95_ms": 143.25, "errors": 0.0, "hit_rate": 0.9, "usd_per_million": None},
    "GET /api/courses": {"p95_ms": 200.00001, "rcu_per_request": 6.5},
}


@pytest.mark.parametrize(
    ("gate", "ruling", "evidence"),
    [
        ("p95_ms < 200", "pass", "p95_ms is 143.2"),
        ("p95_ms < 143.25", "fail", "p95_ms is 143.25"),
        ("p95_ms <= 143.25", "pass", "p95_ms is 143.2"),
        ("errors == 0", "pass", "errors is 0"),
        ("hit_rate > 90%", "fail", "hit_rate is 0.9"),
        ("hit_rate >= 90%", "pass", "hit_rate is 0.9"),
        # what would be rounded to the limit is still beyond it
        ("GET /api/courses: p95_ms <= 200", "fail", "p95_ms is 200.00001"),
        ("GET /api/courses: rcu_per_request <= 6.5", "pass", "rcu_per_request is 6.5"),
    ],
)
def test_a_gate_is_held_against_the_exact_figure(gate: str, ruling: str, evidence: str) -> None:
    judged = judge(parse_gate(gate), MEASURES)

    assert (judged.verdict.ruling, judged.verdict.evidence) == (ruling, evidence)


@pytest.mark.parametrize(
    ("gate", "reason"),
    [
        ("usd_per_million < 2", "usd_per_million was not measured"),
        ("requests > 1000", "requests was not measured"),
        (
            "GET /api/course: errors == 0",
            "there are no figures of 'GET /api/course'; did you mean 'GET /api/courses'?",
        ),
    ],
)
def test_a_gate_without_a_figure_is_invalid(gate: str, reason: str) -> None:
    judged = judge(parse_gate(gate), MEASURES)

    assert judged.verdict.ruling is Ruling.INVALID
    assert judged.verdict.reason.startswith(reason)


def test_an_invalid_run_passes_no_gate() -> None:
    judged = judge(parse_gate("errors == 0"), MEASURES, why_invalid="the run was cut short")

    assert judged.verdict.ruling is Ruling.INVALID
    assert judged.verdict.reason == "the run was cut short"
    assert judged.value == 0
