"""The status of a service: the worst metric decides, and it is a verdict like any other."""

import pytest

from perfkit.analysis.health import find_health
from perfkit.analysis.verdict import Ruling


@pytest.mark.parametrize(
    ("figures", "status"),
    [
        pytest.param(
            {"mean_s": 0.1, "p99_s": 0.2, "hit_rate": 0.9}, "EXCELLENT", id="at the limits"
        ),
        pytest.param({"mean_s": 0.101, "hit_rate": 0.99}, "GOOD", id="a little slower"),
        pytest.param({"mean_s": 0.01, "hit_rate": 0.8}, "GOOD", id="fewer hits"),
        pytest.param({"mean_s": 0.01, "hit_rate": 0.79}, "STRAINED", id="few hits"),
        pytest.param({"mean_s": 0.01, "unhealthy": 1}, "STRAINED", id="an instance is down"),
        pytest.param({"mean_s": 0.01, "failed_share": 0.011}, "CRITICAL", id="requests fail"),
        pytest.param({"p99_s": 2.01}, "CRITICAL", id="some wait very long"),
        pytest.param({"mean_s": 0.01, "cpu_share": 1.0}, "EXCELLENT", id="busy is no fault"),
        pytest.param({}, "INVALID", id="nothing is known"),
    ],
)
def test_the_worst_metric_decides_the_status(figures: dict[str, float], status: str) -> None:
    assert find_health(figures).name == status


@pytest.mark.parametrize(
    ("figures", "ruling", "words"),
    [
        ({"mean_s": 0.15}, Ruling.PASS, "average response time 150 ms"),
        ({"mean_s": 0.15, "p99_s": 9.0}, Ruling.FAIL, "99th percentile 9.00 s"),
        ({"cpu_share": 1.0}, Ruling.INVALID, "there is no figure to judge by"),
    ],
)
def test_a_status_is_a_verdict_with_the_figures_it_rests_on(
    figures: dict[str, float], ruling: Ruling, words: str
) -> None:
    verdict = find_health(figures).verdict

    assert verdict.ruling is ruling
    assert words in (verdict.evidence, verdict.reason)
