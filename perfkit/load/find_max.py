"""The highest rate at which a service still answers in time, found by trials."""

from collections.abc import Callable
from dataclasses import dataclass

from perfkit.runs import RateSearch, RateTrial

__all__ = ["Tried", "search_rate"]

_APART = 1.1
"""The search ends when the lowest rate that failed is so many times the highest that kept the gate."""

_MOST_TRIALS = 30
_LOWEST_HZ = 0.5
_HIGHEST_HZ = 100_000.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Tried:
    """
    What one trial said.

    Args:
        p95_s: Response time; None where too few requests were measured.
        kept: Whether the gate held.
        reason: Why not; or why the trial says nothing.
        is_limit_of_generator: What makes the requests could not make as many: no verdict on the
            service, and none at higher rates either.
    """

    p95_s: float | None
    kept: bool
    reason: str = ""
    is_limit_of_generator: bool = False


def search_rate(limit_s: float, start_hz: float, attempt: Callable[[float], Tried]) -> RateSearch:
    """
    Return the interval that holds the highest rate which keeps a limit.

    The rate is doubled while it is kept, or halved until it is; then the interval between the
    highest that kept it and the lowest that did not is halved, on a scale of ratios, until they are
    within 10%. A rate that is not kept is tried once more, and fails if it fails twice: another
    program can make a service slow for a moment, and nothing makes it fast.

    Args:
        limit_s: The 95th percentile of the response time must be below it.
        start_hz: Where to begin.
        attempt: Makes requests at a rate for a while.
    """
    trials: list[RateTrial] = []
    low_hz: float | None = None
    high_hz: float | None = None
    rate_hz, reason, is_second = start_hz, "", False
    while len(trials) < _MOST_TRIALS:
        tried = attempt(rate_hz)
        trials.append(
            RateTrial(rate_hz=rate_hz, p95_s=tried.p95_s, kept=tried.kept, reason=tried.reason)
        )
        if not tried.kept and not is_second:
            is_second = True
            continue
        is_second = False
        if tried.is_limit_of_generator:
            reason = f"at {rate_hz:,.4g}/s: {tried.reason}"
            break
        if tried.kept:
            low_hz = rate_hz
        else:
            high_hz = rate_hz
        if high_hz is None:
            rate_hz *= 2
        elif low_hz is None:
            rate_hz /= 2
        elif high_hz <= _APART * low_hz:
            break
        else:
            # in digits that a person reads
            rate_hz = float(f"{(low_hz * high_hz) ** 0.5:.3g}")
        if not _LOWEST_HZ <= rate_hz <= _HIGHEST_HZ:
            reason = f"no rate from {_LOWEST_HZ:g} to {_HIGHEST_HZ:,.0f}/s was found beyond it"
            break
    else:
        reason = f"it is not narrower after {_MOST_TRIALS} trials"
    return RateSearch(
        limit_s=limit_s, low_hz=low_hz, high_hz=high_hz, trials=tuple(trials), reason=reason
    )
