"""Load tests in words: what was asked of what, and whether the measurement holds."""

from collections.abc import Iterable
from decimal import Decimal

from perfkit.analysis.percentiles import percentile
from perfkit.analysis.verdict import Ruling, Verdict, taken_together
from perfkit.runs import LoadModel, LoadTest, Run, RunKind, Variant
from perfkit.units import (
    format_duration,
    format_many,
    format_quantity,
    format_seconds,
    format_share,
)

__all__ = ["asked", "outcome_of", "sides_under_load", "subject_of", "summary_of", "validity"]


def subject_of(run: Run) -> str:
    """Return what was loaded, in a few words: `phase 3`, `http://…`."""
    test = run.load_test
    if test is None:
        return run.scenario
    if test.stages:
        like = ", like AWS (modelled)" if run.modelled_of_aws else ""
        return f"{test.stages[0].name} to {test.stages[-1].name}{like}"
    if test.settings.phase is not None:
        like = " like AWS (modelled)" if run.modelled_of_aws else ""
        return f"phase {test.settings.phase}{like}"
    return ", ".join(test.settings.urls) or test.settings.mix


def asked(test: LoadTest) -> str:
    """Return what was asked for: `200 users with 0.2 s to think, for 10 minutes`."""
    settings = test.settings
    users = format_many(settings.users, "user")
    if settings.model is LoadModel.OPEN:
        rate = format_quantity(Decimal(str(settings.rate_hz))) if settings.rate_hz else "?"
        text = f"{rate} requests/s, due at fixed times, by at most {users}"
    elif settings.think_s is None:
        text = f"{users} of a Locust file"
    else:
        text = f"{users} with {settings.think_s:g} s to think"
    text += f", for {_few_seconds(settings.duration_s)}"
    if settings.ramp_s:
        text += f" after a ramp of {_few_seconds(settings.ramp_s)}"
    if settings.processes > 1:
        text += f", from {settings.processes} processes"
    return text


def _few_seconds(value_s: float) -> str:
    # whole seconds would say that half a second is none
    return f"{value_s:g} s" if value_s < 10 else format_duration(value_s)


def validity(test: LoadTest) -> Verdict:
    """Return the verdict on the measurement itself; one that is invalid passes no gate."""
    if test.invalid:
        return Verdict(ruling=Ruling.INVALID, reason="; ".join(test.invalid))
    return Verdict(ruling=Ruling.PASS)


def outcome_of(test: LoadTest) -> Verdict:
    """Return the verdict on the gates that a test was held against; on itself where there are none."""
    valid = validity(test)
    if valid.ruling is Ruling.INVALID:
        return valid
    gates = (
        Verdict(ruling=Ruling(each.verdict), reason=f"{each.gate}: {each.reason}")
        for each in test.gates
        if each.verdict in set(Ruling)
    )
    return taken_together(gates) or valid


def summary_of(run: Run) -> str:
    """Return what a load test found, in a line; what it was asked for first."""
    test = run.load_test
    if test is None or not run.variants:
        return f"{subject_of(run)}: no request was measured"
    total = run.variants[0]
    p95_s = percentile(total.latency_s, 0.95)
    parts = [f"{format_many(test.settings.users, 'user')}"]
    if total.http is not None:
        parts.append(f"{total.http.requests_per_s:,.4g} requests/s")
    if p95_s is not None:
        parts.append(f"p95 {format_seconds(p95_s)}")
    parts.append(format_many(total.errors, "error") if total.errors else "no errors")
    if total.cache is not None and total.cache.hit_rate is not None:
        parts.append(f"hits {format_share(round(total.cache.hit_rate, 3))}")
    return f"{subject_of(run)}: {', '.join(parts)}"


def sides_under_load(runs: Iterable[Run]) -> tuple[tuple[Run, Variant], ...]:
    """Return the tests of the reference service with the fewest and the most phases, if there are."""
    tests = sorted(
        (
            (run.load_test.settings.phase, run.started_at, run)
            for run in runs
            if run.kind is RunKind.LOAD
            and run.load_test is not None
            and run.load_test.settings.phase is not None
            and run.variants
        ),
        key=lambda each: each[:2],
    )
    found = [(run, run.variants[0]) for _, _, run in tests]
    return (found[0], found[-1]) if len(found) > 1 else tuple(found)
