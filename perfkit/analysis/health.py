"""The health of a service: that of the worst metric of its dashboard."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import IntEnum

from perfkit.analysis.verdict import Ruling, Verdict
from perfkit.units import format_seconds, format_share, format_units

__all__ = ["HITS", "LIMITS", "Health", "Status", "find_health", "status_of"]


class Status(IntEnum):
    """How a service is doing; the worst of its metrics decides."""

    EXCELLENT = 0
    GOOD = 1
    STRAINED = 2
    CRITICAL = 3

    @property
    def passes(self) -> bool:
        return self <= Status.GOOD


LIMITS: Mapping[str, tuple[float, float, float]] = {
    # up to the first EXCELLENT, up to the second GOOD, up to the third STRAINED
    "mean_s": (0.1, 0.2, 1.0),
    "p99_s": (0.2, 0.5, 2.0),
    "failed_share": (0.0, 0.001, 0.01),
    "unhealthy": (0.0, 0.0, float("inf")),
}
HITS = (0.9, 0.8)
"""Hit rates from which a cache is EXCELLENT and GOOD; below it is STRAINED."""

_WORDS: Mapping[str, tuple[str, Callable[[float], str]]] = {
    "mean_s": ("average response time", format_seconds),
    "p99_s": ("99th percentile", format_seconds),
    "unhealthy": ("unhealthy instances", format_units),
    "failed_share": ("failed requests", format_share),
    "hit_rate": ("cache hits", format_share),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """
    How a service is doing.

    Args:
        status: The worst of its metrics; None if there is none to judge.
        verdict: Pass for EXCELLENT and GOOD; the evidence is the metrics that decided.
    """

    status: Status | None
    verdict: Verdict

    @property
    def name(self) -> str:
        """The status in a word, INVALID where there is none."""
        return self.status.name if self.status is not None else self.verdict.ruling.upper()


def find_health(figures: Mapping[str, float | None]) -> Health:
    """
    Return how a service is doing, and which metrics say so.

    How many requests, read units and how much processor time there are depends on what was asked
    and is not judged; neither is a figure that does not exist.

    Args:
        figures: By metric, such as `mean_s`, `p99_s`, `failed_share`, `unhealthy`, `hit_rate`.
    """
    judged = {
        key: (status, figure)
        for key in _WORDS
        if (figure := figures.get(key)) is not None
        and (status := status_of(key, figure)) is not None
    }
    if not judged:
        reason = "there is no figure to judge by"
        return Health(status=None, verdict=Verdict.invalid(reason))
    worst = max(status for status, _ in judged.values())
    named = ", ".join(
        f"{words} {write(judged[key][1])}"
        for key, (words, write) in _WORDS.items()
        if key in judged and judged[key][0] is worst
    )
    ruling = Ruling.PASS if worst.passes else Ruling.FAIL
    return Health(status=worst, verdict=Verdict(ruling=ruling, evidence=named))


def status_of(key: str, value: float | None) -> Status | None:
    """Return how a single metric stands; None if it is not judged, or not there."""
    if value is None:
        return None
    if key == "hit_rate":
        excellent, good = HITS
        if value >= excellent:
            return Status.EXCELLENT
        return Status.GOOD if value >= good else Status.STRAINED
    if key not in LIMITS:
        return None
    return Status(sum(value > limit for limit in LIMITS[key]))
