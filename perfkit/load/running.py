"""A load test from its first request to the run that is saved."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from perfkit.analysis.measures import means_of_instances, most_unhealthy
from perfkit.load.gathering import Gathering
from perfkit.load.plan import LoadPlan
from perfkit.load.probing import is_gone, probe
from perfkit.load.process import Generator, Place
from perfkit.load.stages import Stages
from perfkit.load.validity import find_faults
from perfkit.measure.machine import Load, LoadBetween, describe_machine
from perfkit.runs import (
    Doubt,
    InstanceSample,
    LoadModel,
    LoadSettings,
    LoadTest,
    MachineLoad,
    Run,
    RunKind,
    Variant,
    now_utc,
)

__all__ = ["InstanceSampler", "Subject", "run_load"]

_SCENARIO = "load"
"""The scenario of every load test."""


class InstanceSampler(Protocol):
    """Looks at the service each second while requests are made."""

    @property
    def samples(self) -> Sequence[InstanceSample]:
        """What it has seen so far; times count from `start`."""

    def start(self) -> None:
        """Begin to look."""

    def stop(self) -> None:
        """End."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """
    What is loaded.

    Args:
        mix: Where the requests come from, by name.
        mix_file: That file, as it was given; empty where there is none.
        workload: Of the service's tables; the name of the mix where that is not known.
        workload_digest: Of its file; empty where there is none.
        target: Where its tables are, as runs say it.
        phase: Of the reference service.
        switches: Of the reference service; None for another service.
        workers: Processes of each of its instances; None where that is not known.
        quoted: Figures of a document that belong beside those of the reference service.
        doubts: Why its figures may be wrong.
        samplers: Look at it each second.
    """

    mix: str
    workload: str
    mix_file: str = ""
    workload_digest: str = ""
    target: Mapping[str, Any] = field(default_factory=lambda: {"kind": "url"})
    phase: int | None = None
    switches: Mapping[str, bool] | None = None
    workers: int | None = None
    quoted: Mapping[str, Any] | None = None
    doubts: tuple[Doubt, ...] = ()
    samplers: tuple[InstanceSampler, ...] = ()


def run_load(
    plan: LoadPlan,
    subject: Subject,
    place: Place,
    *,
    show: Callable[[Gathering, Sequence[InstanceSample]], None],
    say: Callable[[str], None],
    stages: Stages | None = None,
) -> Run:
    """
    Make requests by a plan and return what became of them; Ctrl-C ends it early, and is in the run.

    Args:
        plan: What to do.
        subject: With what.
        place: Where the requests are made; in one process, where there are stages.
        show: Called a few times a second with what there is so far.
        say: Told what is waited for.
        stages: What is done to the service meanwhile; with the last of them the test ends, at the
            plan's end at the latest.

    Raises:
        ConfigError: A URL redirects or refuses the token, a port is taken, a Locust file is wrong.
        TargetError: The service cannot be reached, or the process that makes the requests ended.
    """
    probe(plan)
    started_at, before = now_utc(), Load.now()
    generator = Generator(plan, place)
    gathering = Gathering(generator.workers, plan.ramp_s, plan.duration_s)
    interrupted, lost = True, 0
    # a second Ctrl-C while this ends does not wait, and still gets what there is
    with suppress(KeyboardInterrupt), generator:
        try:
            for report in generator.reports():
                if report is not None:
                    lost += _take(report, gathering, subject.samplers, generator, say, stages)
                if stages is not None and stages.is_over:
                    generator.finish()
                show(gathering, _samples(subject.samplers))
            interrupted = False
        except KeyboardInterrupt:
            for report in generator.stop():
                _take(report, gathering, subject.samplers, generator, say, stages)
        finally:
            for sampler in subject.samplers:
                sampler.stop()
    return _to_run(
        plan,
        subject,
        gathering,
        workers=generator.workers,
        started_at=started_at,
        before=before,
        interrupted=interrupted,
        lost=lost,
        gone=not interrupted and is_gone(plan.urls),
        stages=stages,
    )


def _take(
    report: Mapping[str, Any],
    gathering: Gathering,
    samplers: Iterable[InstanceSampler],
    generator: Generator,
    say: Callable[[str], None],
    stages: Stages | None,
) -> int:
    """Add what a process says; return 1 if that is its end."""
    match report["type"]:
        case "second":
            gathering.add(report, "" if stages is None else stages.present)
            if stages is not None:
                stages.answered = gathering.requests_in(stages.present)
        case "started":
            if stages is not None:
                stages.begin()
            for sampler in samplers:
                sampler.start()
        case "lost":
            gathering.lose()
            say("A process that made requests has ended; the others go on.")
            return 1
        case "listening" if generator.expected:
            host, port = generator.address
            say(f"Waiting for {generator.expected} workers on {host}:{port}.")
        case "worker" if generator.expected:
            say(f"{report['count']} of {generator.expected} workers are here.")
    return 0


def _samples(samplers: Iterable[InstanceSampler]) -> tuple[InstanceSample, ...]:
    return tuple(sample for each in samplers for sample in each.samples)


def _to_run(
    plan: LoadPlan,
    subject: Subject,
    gathering: Gathering,
    *,
    workers: int,
    started_at: str,
    before: Load,
    interrupted: bool,
    lost: int,
    gone: bool,
    stages: Stages | None,
) -> Run:
    if stages is not None:
        # it was as long as what was done meanwhile took
        plan = replace(plan, duration_s=round(gathering.measured_s, 3))
    measured_s = gathering.measured_s if interrupted else plan.duration_s
    counted_by = str(subject.target.get("kind", "none"))
    variants = gathering.finish(measured_s, counted_by, subject.switches)
    samples = _samples(subject.samplers)
    due = None if plan.rate_hz is None else round(plan.rate_hz * measured_s)
    response = variants[0].latency_s if variants else None
    after = Load.now()
    between = LoadBetween(before=before, after=after)
    test = LoadTest(
        settings=LoadSettings(
            model=LoadModel.CLOSED if plan.rate_hz is None else LoadModel.OPEN,
            users=plan.users,
            duration_s=plan.duration_s,
            ramp_s=plan.ramp_s,
            think_s=plan.think_s if plan.rate_hz is None and plan.mix is not None else None,
            rate_hz=plan.rate_hz,
            timeout_s=plan.timeout_s,
            processes=workers,
            mix=subject.mix,
            mix_file=subject.mix_file,
            urls=plan.urls,
            phase=subject.phase,
            switches=None if subject.switches is None else dict(subject.switches),
            service_workers=subject.workers,
        ),
        invalid=tuple(
            find_faults(
                gathering,
                plan,
                response,
                due=None if interrupted else due,
                interrupted=interrupted,
                lost=lost,
                gone=gone,
            )
        ),
        interrupted=interrupted,
        measured_s=measured_s,
        due=due,
        without_user=gathering.without_user,
        lag_p99_s=gathering.lags.summary().p99 if gathering.lags.histogram.count else None,
        generator_cpu_share=gathering.generator_cpu_share,
        seconds=tuple(gathering.seconds),
        instances=samples,
        stages=gathering.stages(counted_by, subject.switches),
        events=() if stages is None else stages.events,
    )
    return Run(
        kind=RunKind.LOAD,
        scenario=_SCENARIO,
        description="A service over HTTP under load",
        workload=subject.workload,
        workload_digest=subject.workload_digest,
        target=dict(subject.target),
        started_at=started_at,
        duration_s=gathering.seconds[-1].at_s if gathering.seconds else 0.0,
        machine=describe_machine(),
        load=MachineLoad(stolen_share=between.stolen_share),
        variants=(*_with_instances(variants[:1], samples), *variants[1:]),
        doubts=subject.doubts,
        quoted=None if subject.quoted is None else dict(subject.quoted),
        load_test=test,
    )


def _with_instances(
    total: tuple[Variant, ...], samples: Sequence[InstanceSample]
) -> tuple[Variant, ...]:
    """Return all requests together with what the instances of the reference service took for it."""
    if not total or total[0].service is None or not samples:
        return total
    shares = means_of_instances(samples, "cpu_share")
    cpu_share = sum(shares) if shares else None
    instances = len({each.instance for each in samples})
    service = replace(
        total[0].service,
        instances=instances,
        healthy=instances - (most_unhealthy(samples) or 0),
        cpu_share=cpu_share,
        cpu_s=None if cpu_share is None else cpu_share / total[0].service.requests_per_s,
    )
    return (replace(total[0], service=service),)
