"""Load tests in words: what was asked of what, and whether the measurement holds."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from perfkit.analysis.measures import means_of_instances, most_unhealthy
from perfkit.analysis.percentiles import percentile
from perfkit.analysis.verdict import Ruling, Verdict, taken_together
from perfkit.runs import (
    CloudMetric,
    InstanceSample,
    LoadModel,
    LoadTest,
    Run,
    RunKind,
    Variant,
)
from perfkit.units import (
    format_duration,
    format_many,
    format_quantity,
    format_seconds,
    format_share,
)

__all__ = ["asked", "figures_under_load", "of_another_service", "outcome_of", "sides_under_load"]
__all__ += ["subject_of", "summary_of", "validity"]


_MINUTE = timedelta(minutes=1)


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
        return Verdict.invalid("; ".join(test.invalid))
    return Verdict.passed()


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
    if total.hit_rate is not None:
        parts.append(f"hits {format_share(round(total.hit_rate, 3))}")
    return f"{subject_of(run)}: {', '.join(parts)}"


def sides_under_load(runs: Iterable[Run]) -> tuple[tuple[Run, Variant], ...]:
    """
    Return the tests of the reference service with the fewest and the most phases, if there are.

    Of several at a phase, with other mixes, it is the newest; where all are at one, only that.
    """
    newest: dict[int, Run] = {}
    for run in sorted(runs, key=lambda each: each.started_at):
        phase = None if run.load_test is None else run.load_test.settings.phase
        if run.kind is RunKind.LOAD and phase is not None and run.variants:
            newest[phase] = run
    ends = dict.fromkeys((min(newest), max(newest))) if newest else {}
    return tuple((newest[phase], newest[phase].variants[0]) for phase in ends)


def of_another_service(runs: Iterable[Run]) -> tuple[Run, ...]:
    """Return the load tests of services that are not the reference service."""
    return tuple(
        run
        for run in runs
        if run.kind is RunKind.LOAD
        and run.load_test is not None
        and run.load_test.settings.switches is None
        # one that was changed meanwhile has no figures of the whole
        and not run.load_test.stages
        and run.variants
    )


def figures_under_load(run: Run) -> dict[str, float | None]:
    """
    Return the metrics of the dashboard of a service that is not ours, None for what it does not offer.

    Times, requests and failures are as those saw it who asked. What only the service knows comes
    from the headers of its answers, else from its metrics, else from CloudWatch.
    """
    test = run.load_test
    if test is None or not run.variants:
        return {}
    total = run.variants[0]
    rate = None if total.http is None else total.http.requests_per_s
    failed = None
    if total.http is not None and total.requests:
        # as a load balancer counts: what answered, and said that it failed
        statuses = total.http.statuses.items()
        failed = sum(count for status, count in statuses if status >= "500") / total.requests
    units = None
    if total.capacity_units is not None and rate is not None:
        units = total.capacity_units * rate
    hits = total.hit_rate
    unhealthy: float | None = most_unhealthy(test.instances)
    cpu = _mean(means_of_instances(test.instances, "cpu_share"))
    cloud = _Cloud(test.cloudwatch)
    began = datetime.fromisoformat(run.started_at).astimezone(UTC)
    began += timedelta(seconds=test.settings.ramp_s)
    ended = began + timedelta(seconds=test.measured_s)
    if unhealthy is None:
        unhealthy = cloud.most("UnHealthyHostCount")
    if cpu is None and (percent := cloud.mean("CPUUtilization")) is not None:
        cpu = percent / 100
    return {
        "mean_s": total.latency_s.mean,
        "p99_s": percentile(total.latency_s, 0.99),
        "requests_per_s": rate,
        "unhealthy": unhealthy,
        "failed_share": failed,
        "cpu_share": cpu,
        "read_units_per_s": units
        if units is not None
        else _first(
            _sum(means_of_instances(test.instances, "read_units_per_s")),
            cloud.read_units_per_s(began, ended),
        ),
        "hit_rate": hits if hits is not None else _hit_rate(test.instances),
    }


class _Cloud:
    """Figures of a test from CloudWatch's minutes."""

    def __init__(self, metrics: Iterable[CloudMetric]) -> None:
        self._metrics = tuple(metrics)

    def most(self, name: str) -> float | None:
        return max(self._values(name, "Maximum"), default=None)

    def mean(self, name: str) -> float | None:
        return _mean(self._values(name, "Average"))

    def read_units_per_s(self, start: datetime, end: datetime) -> float | None:
        """
        Return the mean of all tables and indexes over the whole minutes of a time.

        A minute without a figure is one in which nothing was read. Where no minute is whole it is
        the busiest: others are of less time.
        """
        by_minute: dict[str, float] = {}
        for each in self._metrics:
            if each.name == "ConsumedReadCapacityUnits":
                for minute, units in each.minutes.items():
                    by_minute[minute] = by_minute.get(minute, 0.0) + units
        if not by_minute:
            return None
        first = start.replace(second=0, microsecond=0)
        minutes = [first + _MINUTE * number for number in range(int((end - first) / _MINUTE))]
        whole = [each for each in minutes if each >= start]
        if not whole:
            return max(by_minute.values()) / 60
        units = sum(by_minute.get(f"{each:%Y-%m-%dT%H:%M:%SZ}", 0.0) for each in whole)
        return units / len(whole) / 60

    def _values(self, name: str, statistic: str) -> list[float]:
        return [
            value
            for each in self._metrics
            if each.name == name and each.statistic == statistic
            for value in each.minutes.values()
        ]


def _hit_rate(samples: Iterable[InstanceSample]) -> float | None:
    """Return the share of all seconds together: one with few requests counts for little."""
    known = [
        (each.hit_rate, 1.0 if each.requests_per_s is None else each.requests_per_s)
        for each in samples
        if each.hit_rate is not None
    ]
    whole = sum(weight for _, weight in known)
    return sum(share * weight for share, weight in known) / whole if whole else None


def _mean(values: list[float]) -> float | None:
    return sum(values) / len(values) if values else None


def _sum(values: list[float]) -> float | None:
    return sum(values) if values else None


def _first(*values: float | None) -> float | None:
    return next((value for value in values if value is not None), None)
