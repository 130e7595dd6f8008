"""What runs of one report do not have in common, and what makes single ones doubtful."""

import json
from collections.abc import Collection, Iterator, Sequence
from datetime import UTC, datetime, timedelta

from perfkit.analysis.selection import Group, Selection
from perfkit.analysis.verdict import Ruling, Verdict
from perfkit.runs import Run, RunKind
from perfkit.workloads.outline import outline, stated_traffic

__all__ = ["earlier_versions", "not_alike", "not_measured", "too_old", "unjudged"]

_OLD = timedelta(days=30)
"""A run is old after this: code, data and machine have hardly stayed as they were."""

_SETTINGS = ("scale", "consistent", "segments", "iterations", "min_time_s")
"""Settings that a person chose; the others describe what happened while measuring."""


def not_alike(group: Group, *, is_choice: bool = False) -> Iterator[str]:
    """
    Yield what differs between runs that a reader will hold against one another.

    Args:
        group: The runs.
        is_choice: Access patterns that were left out are none of it.
    """
    versions = dict.fromkeys(run.perfkit for run in group.runs)
    if len(versions) > 1:
        yield (
            f"{group.title}: measured by perfkit {', '.join(sorted(versions))}; hold only runs of"
            " one version against one another, or measure all again"
        )
    machines = {json.dumps(run.machine, sort_keys=True) for run in group.runs if run.machine}
    if len(machines) > 1:
        yield (
            f"{group.title}: measured on {len(machines)} machines or with other versions of what"
            " is installed; their latencies are no comparison, read units are"
        )
    patterns = [run for run in group.runs if run.kind is RunKind.SCENARIO]
    for key in _SETTINGS:
        values = {json.dumps(run.settings.get(key)) for run in patterns}
        if len(values) > 1:
            yield (
                f"{group.title}: access patterns were measured with different settings"
                f" ({key.removesuffix('_s').replace('_', ' ')} {', '.join(sorted(values))});"
                " measure all again with the same"
            )
    missing = () if is_choice else _missing(patterns)
    if missing:
        run = group.runs[0]
        stated = stated_traffic(run.workload, run.workload_digest)
        # a rate of its own falls to no other pattern
        leave_out = (
            "sums, findings and costs leave them out"
            if stated is not None and stated.reads_hz
            else "sums and findings leave them out, and costs spread the traffic over the others"
        )
        yield (
            f"{group.title}: no run of {', '.join(missing)}; {leave_out}; measure them with"
            " `perfkit bench`"
        )


def _missing(patterns: Sequence[Run]) -> tuple[str, ...]:
    """Return access patterns of the workload that were left out; one run alone was a choice."""
    if len(patterns) < 2:
        return ()
    return not_measured(patterns, {run.scenario for run in patterns})


def not_measured(runs: Sequence[Run], measured: Collection[str]) -> tuple[str, ...]:
    """
    Return the access patterns of the runs' workload that are not among those measured.

    None where the workload cannot be read, or is another one by now.

    Args:
        runs: Runs over one workload, at least one.
        measured: Names of access patterns.
    """
    known = outline(runs[0].workload, runs[0].workload_digest)
    return () if known is None else tuple(each for each in known.ttls_s if each not in measured)


def earlier_versions(selection: Selection) -> Iterator[str]:
    """Yield which runs are of a workload's file as it was before: no table holds them with the newest."""
    present: set[tuple[str, str]] = set()
    for group in selection.groups:
        run = group.runs[0]
        identity = run.workload, json.dumps(run.target, sort_keys=True)
        if identity in present:
            yield (
                f"{', '.join(each.scenario for each in group.runs)} of {run.workload}: measured with"
                " an earlier version of the workload's file; `perfkit bench` measures all with the"
                " present one"
            )
        present.add(identity)


def too_old(selection: Selection) -> Iterator[str]:
    """Yield one warning about the runs that are old, if the moment of reading is known."""
    if selection.now is None:
        return
    ages = {selection.title(run): selection.now - _moment(run) for run in selection.runs}
    old = [title for title, age in ages.items() if age > _OLD]
    if old:
        oldest = max(ages.values()).days
        who = "all runs" if len(old) == len(ages) > 1 else ", ".join(old)
        yield (
            f"{who}: more than {_OLD.days} days old (up to {oldest}); measure again before relying"
            " on it"
        )


def _moment(run: Run) -> datetime:
    moment = datetime.fromisoformat(run.started_at)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def unjudged(selection: Selection) -> Iterator[str]:
    """Yield a warning for each run with promises that it cannot support a verdict on."""
    for run in selection.runs:
        verdicts = [Verdict.of_check(check) for check in run.checks]
        invalid = [each for each in verdicts if each.ruling is Ruling.INVALID]
        if invalid:
            reasons = "; ".join(dict.fromkeys(each.reason for each in invalid if each.reason))
            yield (
                f"{selection.title(run)}: {len(invalid)} of {len(run.checks)} promises cannot be"
                f" judged{f': {reasons}' if reasons else ''}."
            )
