"""How many instances a rate needs, and what auto scaling makes of a load test's CPU; a model."""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from statistics import fmean

from perfkit.analysis.load_runs import sides_under_load, subject_of
from perfkit.analysis.percentiles import percentile
from perfkit.analysis.selection import select, target_title
from perfkit.cost.instances import InstanceType, Need, instances_needed
from perfkit.cost.prices import HOURS_A_MONTH, PriceBook
from perfkit.cost.quantities import short
from perfkit.cost.scaling import Policy, Replay, replay
from perfkit.errors import ConfigError, EvidenceError
from perfkit.runs import InstanceSample, Run, RunKind
from perfkit.units import TIMES, format_seconds, format_share

__all__ = [
    "REPLAYED_S",
    "Busy",
    "Fleet",
    "Measured",
    "Sides",
    "find_sides",
    "fleet_of",
    "measured_of",
    "replay_of",
]

REPLAYED_S = 3600
"""What a test used of its processors is repeated until it is so long."""

_MINUTE_S = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """
    What a load test says of the processors of the service it loaded.

    Args:
        run: The test.
        requests: That ended while it was measured, those that failed among them.
        rate_hz: The same a second.
        failed_share: Of them.
        p95_s: Of the response time; None where too few were made.
        cpu_s: Processor time of a request.
        cores: In use on average, in all instances.
        instances: How many were looked at.
        workers: Processes of an instance.
        seconds: Cores in use in each second that was measured, in all instances.
    """

    run: Run
    requests: int
    rate_hz: float
    failed_share: float
    p95_s: float | None
    cpu_s: float
    cores: float
    instances: int
    workers: int
    seconds: tuple[float, ...]

    @property
    def title(self) -> str:
        """What was loaded."""
        return subject_of(self.run)

    @property
    def busy_share(self) -> float:
        """Of a core: how busy a process of the service was, on average."""
        return self.cores / (self.instances * self.workers)


@dataclass(frozen=True, slots=True, kw_only=True)
class Busy:
    """The busiest that the processes of a service were seen with a limit of the response time kept."""

    share: float
    rate_hz: float
    run: str


def measured_of(run: Run) -> Measured | None:
    """Return what a load test says of its service's processors; None where nobody looked at them."""
    test = run.load_test
    if run.kind is not RunKind.LOAD or test is None or not run.variants or test.stages:
        return None
    total = run.variants[0]
    ramp_s = test.settings.ramp_s
    # those of the ramp take processor time until they end
    requests = sum(
        each.requests for each in test.seconds if ramp_s < each.at_s <= ramp_s + test.measured_s
    )
    known = [
        each
        for each in test.instances
        if each.cpu_share is not None and ramp_s < each.at_s <= ramp_s + test.measured_s
    ]
    if not known or not requests or not test.measured_s:
        return None
    rate_hz = requests / test.measured_s
    instances = len({each.instance for each in known})
    seconds = _seconds(known, instances)
    cores = fmean(seconds)
    # of an older run it is not known: as few as could have used so much
    workers = test.settings.service_workers or max(1, math.ceil(cores / instances))
    return Measured(
        run=run,
        requests=requests,
        rate_hz=rate_hz,
        failed_share=total.errors / total.requests,
        p95_s=percentile(total.latency_s, 0.95),
        cpu_s=cores / rate_hz,
        cores=cores,
        instances=instances,
        workers=workers,
        seconds=seconds,
    )


def _seconds(samples: Sequence[InstanceSample], instances: int) -> tuple[float, ...]:
    by_second: dict[int, list[float]] = {}
    for each in samples:
        by_second.setdefault(int(each.at_s), []).append(each.cpu_share or 0.0)
    # an instance that took longer to answer was as busy as the others
    return tuple(fmean(found) * instances for _, found in sorted(by_second.items()))


def _busiest(runs: Sequence[Measured], limit_s: float) -> Busy | None:
    """
    Return the busiest of some tests that kept a limit, as `load --find-max` keeps it.

    Args:
        runs: Of the same service, at any rates.
        limit_s: The 95th percentile of the response time was below it, and nothing failed.
    """
    kept = [
        Busy(share=each.busy_share, rate_hz=each.rate_hz, run=each.run.id)
        for each in runs
        if each.p95_s is not None
        and each.p95_s < limit_s
        and not each.failed_share
        and each.run.load_test is not None
        and not each.run.load_test.invalid
    ]
    return max(kept, key=lambda each: each.share, default=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sides:
    """
    Two load tests, before and after.

    Args:
        before: None where there is none.
        after: Likewise.
        others: All tests that are saved, those two among them.
        problems: Tests that should be one of the two and say nothing of processors.
    """

    before: Measured | None
    after: Measured | None
    others: tuple[Measured, ...]
    problems: tuple[str, ...] = ()

    def alike(self, measured: Measured) -> tuple[Measured, ...]:
        """Return the tests of the same service with the same optimisations, at any load."""
        state = _state(measured.run)
        return (measured, *(each for each in self.others if _state(each.run) == state))


def _state(run: Run) -> tuple[object, ...]:
    settings = None if run.load_test is None else run.load_test.settings
    if settings is None:
        return ()
    service = settings.switches or settings.urls
    return (run.workload, run.workload_digest, run.target, settings.mix, service)


def find_sides(runs: Iterable[Run], before: Run | None = None, after: Run | None = None) -> Sides:
    """
    Return the tests to model: of the reference service's first and last phase, the newest of each.

    Args:
        runs: All that are saved.
        before: Another one, instead of the first phase's.
        after: Another one, instead of the last phase's.

    Raises:
        ConfigError: The two were measured with different workloads or on different targets, or one
            of them with limits or delays of AWS modelled and the other otherwise.
        EvidenceError: One that was named says nothing of processors.
    """
    runs = tuple(runs)
    named = {"before": before, "after": after}
    for run in filter(None, named.values()):
        if measured_of(run) is None:
            msg = f"{run.id} says nothing of processor time: {_why_no_cpu(run)}"
            raise EvidenceError(msg)
    if before is not None and after is not None:
        if before.workload != after.workload:
            msg = (
                f"{before.id} was measured with workload {before.workload} and {after.id} with"
                f" workload {after.workload}; only runs of the same one are compared"
            )
            raise ConfigError(msg)
        if before.target != after.target:
            msg = (
                f"{before.id} was measured on {target_title(before.target)} and {after.id} on"
                f" {target_title(after.target)}; only runs on the same one are compared"
            )
            raise ConfigError(msg)
        chosen = named
    else:
        first, last = _ends(runs, before or after)
        chosen = {"before": before or first, "after": after or last}
    measured = {side: None if run is None else measured_of(run) for side, run in chosen.items()}
    return Sides(
        before=measured["before"],
        after=measured["after"],
        others=tuple(filter(None, map(measured_of, runs))),
        problems=tuple(
            f"{run.id} says nothing of processor time: {_why_no_cpu(run)}"
            for side, run in chosen.items()
            if run is not None and measured[side] is None
        ),
    )


def _ends(runs: Sequence[Run], beside: Run | None) -> tuple[Run | None, Run | None]:
    """
    Return the tests of the first and the last phase, on one target; None where there is none.

    Args:
        runs: All that are saved.
        beside: One that is to stand beside the other; None for none.
    """
    found: tuple[Run | None, Run | None] = (None, None)
    # newest first, and both before one
    for group in select(runs).groups:
        if beside is not None and group.runs[0].target != beside.target:
            continue
        tests = [run for run, _ in sides_under_load(group.runs)]
        if beside is not None:
            tests = [run for run in tests if _state(run) != _state(beside)]
        if len(tests) > 1:
            return tests[0], tests[-1]
        if tests and found == (None, None):
            is_first = tests[0].load_test is not None and tests[0].load_test.settings.phase == 0
            found = (tests[0], None) if is_first else (None, tests[0])
    return found


def _why_no_cpu(run: Run) -> str:
    if run.kind is not RunKind.LOAD:
        return "it is no load test"
    if not run.variants:
        return "no request was measured"
    test = run.load_test
    if test is not None and test.stages:
        return "the service was changed meanwhile"
    if test is not None and any(
        each.cpu_share is not None and each.at_s > test.settings.ramp_s for each in test.instances
    ):
        return "no request ended while it was measured; raise --duration of `perfkit load`"
    return (
        "nobody looked at the service's processes; `perfkit load` looks at those of the reference"
        " service, and --metrics URL at process_cpu_seconds_total of another"
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Fleet:
    """
    Instances of one type for a rate, at what a load test measured.

    Args:
        measured: The test.
        kind: The type.
        limit_s: Of the 95th percentile of the response time.
        busy: How busy processes may be, as far as it was seen; None where no test kept the limit.
        for_good: Instances that carry the rate around the clock, on what they may use for good.
        bursting: Instances that carry it as long as they use all of their processors; None where
            the limit was never kept, or nothing is won.
        lasts_s: How long those do so, from a full balance of credits.
        usd: A month of `for_good`; None without a price.
        priced: How that came about; empty likewise.
        scaling: What auto scaling makes of the test.
    """

    measured: Measured
    kind: InstanceType
    limit_s: float
    busy: Busy | None
    for_good: Need
    bursting: int | None
    lasts_s: float | None
    usd: float | None
    priced: str
    scaling: Replay

    def arithmetic(self) -> Iterator[str]:
        """Yield how each figure came about."""
        measured, kind = self.measured, self.kind
        yield (
            f"CPU a request: {short(measured.cores)} cores of {measured.instances}"
            f" {TIMES} {measured.workers} processes ÷ {short(measured.rate_hz)} requests/s"
            f" = {short(measured.cpu_s * 1e3)} ms (run {measured.run.id})"
        )
        if kind.credits_an_hour is not None:
            yield (
                f"{kind.name}: {short(kind.credits_an_hour)} credits an hour ÷ 60 ="
                f" {short(kind.baseline_vcpus)} vCPU for good, of {kind.vcpus}; a balance of"
                f" {short(kind.most_credits)} credits {TIMES} 60 s ="
                f" {short(kind.most_credits * 60)} vCPU seconds"
            )
        if self.busy is not None:
            yield (
                f"p95 below {format_seconds(self.limit_s)} was kept with processes"
                f" {format_share(round(self.busy.share, 3))} busy, at most, at"
                f" {short(self.busy.rate_hz)} requests/s (run {self.busy.run}); so busy may the"
                " vCPUs be"
            )
        yield f"instances for good: {self.for_good.arithmetic}"
        if self.bursting is not None and self.lasts_s is not None:
            each = self.for_good.mean_vcpus / self.bursting
            yield (
                f"on credits: {short(self.for_good.mean_vcpus)} vCPU ÷ {self.bursting} ="
                f" {short(each)} vCPU each; {short(kind.most_credits * 60)} ÷ ({short(each)} -"
                f" {short(kind.baseline_vcpus)}) = {short(self.lasts_s)} s"
            )
        if self.priced:
            yield f"a month of {self.for_good.count} {TIMES} {HOURS_A_MONTH} h: {self.priced}"


def fleet_of(
    measured: Measured,
    alike: Sequence[Measured],
    rate_hz: float,
    limit_s: float,
    kind: InstanceType,
    policy: Policy,
    book: PriceBook,
) -> Fleet:
    """
    Return the instances for a rate around the clock.

    A rate needs so many that on average each uses no more than its baseline, so that credits never
    run out, and that none is busier than the processes were in the busiest test that kept the
    limit: no formula says how long requests queue beyond what was measured. A vCPU there is taken
    for a core here, with a process of the service on each.

    Args:
        measured: The test whose processor time counts.
        alike: Tests of the same service, among which the busiest that kept the limit is found.
        rate_hz: Requests a second.
        limit_s: Of the 95th percentile of the response time.
        kind: Type of the instances.
        policy: How auto scaling keeps them.
        book: Prices.
    """
    busy = _busiest(alike, limit_s)
    share = 1.0 if busy is None else min(busy.share, 1.0)
    need = instances_needed(rate_hz, measured.cpu_s, kind, peak_ratio=1.0, cpu_target=share)
    bursting = None
    if busy is not None and kind.credits_an_hour is not None:
        fewest = max(1, math.ceil(round(need.mean_vcpus / (kind.vcpus * share), 9)))
        bursting = fewest if fewest < need.count else None
    use = need.use(kind)
    # how many they are stands by itself
    amount = replace(use, arithmetic="").cost(book) if use.price in book else None
    return Fleet(
        measured=measured,
        kind=kind,
        limit_s=limit_s,
        busy=busy,
        for_good=need,
        bursting=bursting,
        lasts_s=None if bursting is None else kind.lasts_s(need.mean_vcpus / bursting),
        usd=None if amount is None else float(amount.usd),
        priced="" if amount is None else amount.arithmetic,
        scaling=replay_of(measured, policy),
    )


def replay_of(measured: Measured, policy: Policy) -> Replay:
    """
    Return what target tracking makes of a test's processor time, over and over for an hour.

    The group begins with as many instances as were measured, or its least. Their processors are
    taken to be as busy as the processes of the service were, which had a core each.

    Args:
        measured: The test.
        policy: Of the group.
    """
    # in instances that are busy all the time
    seconds = [each / measured.workers for each in measured.seconds]
    hour = [seconds[number % len(seconds)] for number in range(REPLAYED_S)]
    minutes = [fmean(hour[at : at + _MINUTE_S]) for at in range(0, REPLAYED_S, _MINUTE_S)]
    return replay(minutes, min(max(measured.instances, policy.least), policy.most), policy)
