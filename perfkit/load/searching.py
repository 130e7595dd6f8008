"""Trials of rates on a service, and the run that is kept of them."""

from collections.abc import Callable
from dataclasses import replace

from perfkit.analysis.percentiles import percentile
from perfkit.load.find_max import Tried, search_rate
from perfkit.load.plan import LoadPlan
from perfkit.load.probing import settle
from perfkit.runs import Run
from perfkit.units import format_seconds

__all__ = ["find_highest"]

_GENERATOR = ("the generator", "the clock", "processes")
"""How reasons begin that are none of the service's."""


class _Interrupted(Exception):  # noqa: N818 - never leaves this module
    """Ctrl-C ended a trial."""


def find_highest(
    limit_s: float,
    start_hz: float,
    plan_at: Callable[[float], LoadPlan],
    measure: Callable[[LoadPlan], Run],
    *,
    say: Callable[[str], None],
) -> Run:
    """
    Return the run of the highest rate that keeps a limit, with the search; the last one if none does.

    Args:
        limit_s: The 95th percentile of the response time must be below it, and nothing may fail.
        start_hz: The first rate.
        plan_at: Returns what to do at a rate.
        measure: Makes the requests.
        say: Told of each trial.
    """
    runs: list[tuple[Run, bool]] = []

    def attempt(rate_hz: float) -> Tried:
        plan = plan_at(rate_hz)
        if runs:
            # what the trial before left in its queues is not charged to this one
            settle(plan, limit_s)
        run = measure(plan)
        tried = _judge(run, limit_s)
        runs.append((run, tried.kept))
        if run.load_test is not None and run.load_test.interrupted:
            raise _Interrupted
        word = "keeps it" if tried.kept else f"does not: {tried.reason}"
        shown = "–" if tried.p95_s is None else format_seconds(tried.p95_s)  # noqa: RUF001
        say(f"{rate_hz:,.4g} requests/s: p95 {shown}, {word}")
        return tried

    try:
        search = search_rate(limit_s, start_hz, attempt)
    except _Interrupted:
        return runs[-1][0]
    kept = [run for run, held in runs if held]
    best = max(kept, key=_rate_of) if kept else runs[-1][0]
    if best.load_test is None:
        return best
    return replace(best, load_test=replace(best.load_test, search=search))


def _rate_of(run: Run) -> float:
    return 0.0 if run.load_test is None else run.load_test.settings.rate_hz or 0.0


def _judge(run: Run, limit_s: float) -> Tried:
    test = run.load_test
    total = run.variants[0] if run.variants else None
    if test is None or total is None:
        return Tried(p95_s=None, kept=False, reason="no request was measured")
    p95_s = percentile(total.latency_s, 0.95)
    for reason in test.invalid:
        ours = reason.startswith(_GENERATOR)
        return Tried(p95_s=p95_s, kept=False, reason=reason, is_limit_of_generator=ours)
    if total.errors:
        return Tried(p95_s=p95_s, kept=False, reason=f"{total.errors:,} errors")
    if p95_s is None:
        return Tried(p95_s=None, kept=False, reason="too few requests; raise --duration")
    if p95_s >= limit_s:
        return Tried(p95_s=p95_s, kept=False, reason=f"the limit is {format_seconds(limit_s)}")
    return Tried(p95_s=p95_s, kept=True)
