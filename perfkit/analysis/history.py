"""How much runs of the same code differ on this machine, from earlier runs where there are any."""

from collections.abc import Sequence
from datetime import datetime

from perfkit.analysis.matching import Match, same_work
from perfkit.runs import Run

__all__ = ["earlier_runs"]

_FEWEST = 5
"""Earlier runs from which on they show how far runs lie apart."""


def earlier_runs(match: Match, runs: Sequence[Run]) -> tuple[Run, ...]:
    """
    Return the runs that show how far those of a match may lie apart by chance; none if too few.

    They are of the same scenario, workload, target, settings, machine and versions (perfkit, boto3,
    Python), started before those of the match, and lie apart in time as far as its two sides do: what was
    measured within a minute says nothing about the difference between two days.

    Args:
        match: Runs of two sides.
        runs: Others, in any order.
    """
    first = match.runs[0]
    own = {run.id for run in match.runs}
    start_s = min(map(_moment, match.runs))
    found = [
        run
        for run in runs
        if run.id not in own
        and _moment(run) < start_s
        and run.perfkit == first.perfkit
        and run.scenario == first.scenario
        and same_work(first, run)
        and run.machine == first.machine
    ]
    if len(found) < _FEWEST:
        return ()
    moments_s = sorted(map(_moment, found))
    return tuple(found) if moments_s[-1] - moments_s[0] >= _apart(match) else ()


def _apart(match: Match) -> float:
    """Return how far the middles of two sides lie apart, in seconds."""
    middles = []
    for runs in (match.baseline, match.candidate):
        moments_s = [_moment(run) for run in runs]
        middles.append((min(moments_s) + max(moments_s)) / 2)
    return abs(middles[1] - middles[0])


def _moment(run: Run) -> float:
    return datetime.fromisoformat(run.started_at).timestamp()
