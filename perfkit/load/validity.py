"""Whether a load test measured the service, and not what made the requests."""

from collections.abc import Iterator

from perfkit.load.gathering import Gathering
from perfkit.load.plan import LoadPlan
from perfkit.runs import LatencySummary
from perfkit.units import format_many, format_seconds, format_share

__all__ = ["find_faults"]

_FULL_SHARE = 0.9
"""Of a core: a process that needs more has no time to spare, and its requests wait for it."""

_LATE_S = 0.02
_LATE_SHARE = 0.5
"""At the 99th percentile a generator may be late by so much of what it measures there."""

_MISSED_SHARE = 0.01
_JUMP_S = 0.5
_STAND_S = 3.0


def find_faults(
    gathering: Gathering,
    plan: LoadPlan,
    response: LatencySummary | None,
    *,
    due: int | None,
    interrupted: bool,
    lost: int,
    gone: bool = False,
) -> Iterator[str]:
    """
    Yield why a measurement supports no verdict, each with what to do about it.

    Args:
        gathering: What was reported.
        plan: What was asked for.
        response: Response times of all measured requests; None without any.
        due: Requests that were due in the open model.
        interrupted: It was ended before its time.
        lost: Processes that ended before their time.
        gone: Nothing of the service takes connections at the end.
    """
    if interrupted:
        yield "the run was cut short; let it run to its end"
    if lost:
        ended = format_many(lost, "process", "processes")
        yield f"{ended} that made requests ended; measure again"
    if gone:
        yield "the service was gone at the end and takes no connections; see in its log why it ended"
    if response is None:
        yield "no request was made after the ramp; give it more time with --duration"
        return
    yield from _saturation(gathering, response)
    if gathering.without_user:
        waited = format_many(gathering.without_user, "request")
        yield (
            f"users ran out: {waited} came due while all {plan.users} users waited for answers;"
            " raise --users"
        )
    if due is not None:
        missed = gathering.sent_late + max(due - response.count, 0)
        # one more or less falls into the time by how the rate divides it
        if missed > max(_MISSED_SHARE * due, 1):
            yield (
                f"the rate was missed: {missed:,} of {due:,} requests were not made in time; lower"
                " --rate, or raise --users or --processes"
            )
    jump_s = max(gathering.jumps_s, key=abs, default=0.0)
    if abs(jump_s) > _JUMP_S:
        yield f"the clock jumped by {format_seconds(abs(jump_s))}; measure again"
    stand_s = max(gathering.stands_s, default=0.0)
    if stand_s > _STAND_S:
        yield (
            f"the generator stood still for {format_seconds(stand_s)}; measure on a machine that is"
            " not suspended or overloaded"
        )


def _saturation(gathering: Gathering, response: LatencySummary) -> Iterator[str]:
    share = gathering.generator_cpu_share
    if share is not None and share > _FULL_SHARE:
        yield (
            f"the generator was saturated: {format_share(round(share, 2))} of a core; raise"
            " --processes, or make requests on more machines"
        )
        return
    if not gathering.lags.histogram.count:
        return
    lag_s = gathering.lags.summary().p99
    if lag_s > max(_LATE_S, _LATE_SHARE * response.p99):
        yield (
            f"the generator was late itself, by {format_seconds(lag_s)} at the 99th percentile of"
            f" its own clock, where requests took {format_seconds(response.p99)}; close other"
            " programs, lower the load, or make requests on another machine"
        )
