"""How a scenario's measuring becomes a run: what was asked, of what, where, and how doubtful."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from perfkit.dynamodb.limits import meter_of
from perfkit.measure.comparison import doubt_measured
from perfkit.measure.machine import Load, LoadBetween, describe_machine
from perfkit.measure.rounds import GC_POLICY, Measured
from perfkit.runs import Comparison, Doubt, DoubtKind, MachineLoad, Run, RunKind, Variant, now_utc
from perfkit.scenarios.base import Context, Scenario

__all__ = ["TRUST_CAPACITY", "Recorder"]

TRUST_CAPACITY = "compare capacity on the embedded target or on AWS"


def _doubt_pace(kind: RunKind, context: Context) -> Iterable[Doubt]:
    """Yield what a rate does to figures."""
    limits = None if context.source is None else context.source.limits
    if limits is None or not limits.rates:
        return
    if kind is RunKind.SCENARIO:
        waits = "latencies are those of calls once sent, without their waits"
    else:
        waits = "calls of the target waited, and their waits are in the latencies"
    yield Doubt(
        DoubtKind.PACED,
        f"held below {limits.rates}: {waits}",
        "calls that never overlap may be faster than in service; measure without the limit",
    )


class Recorder:
    """
    Begins a run, with its moment and how busy the machine was, and ends it.

    Args:
        kind: Of the run.
        scenario: What is measured.
        context: What it is measured with.
    """

    def __init__(self, kind: RunKind, scenario: Scenario, context: Context) -> None:
        self._kind = kind
        self._scenario = scenario
        self._context = context
        self._started_at = now_utc()
        self._started_s = context.clock.now()
        self._before = Load.now()

    def finish(
        self,
        measured: Measured | None = None,
        comparisons: Iterable[Comparison] = (),
        *,
        variants: tuple[Variant, ...] | None = None,
        doubts: Iterable[Doubt] = (),
        settings: Mapping[str, Any] | None = None,
        helpers_cpu_s: float = 0.0,
        units_checked: bool = False,
        **facts: Any,
    ) -> Run:
        """
        Return the run.

        Args:
            measured: The variants; None where nothing was timed, and then nothing is in it of how
                long and in what order, nor of how busy the machine was.
            comparisons: Of these variants.
            variants: Instead of those of *measured*, where more is known of them.
            doubts: Why figures may be wrong.
            settings: What else to know of how it was measured.
            helpers_cpu_s: Processor time of processes that are part of the measurement: theirs is
                no disturbance.
            units_checked: The target's units need no general doubt: what was wrong with these is
                among *doubts*.
            facts: Other fields of a run.

        Raises:
            LimitReachedError: A call was not sent, here or by a process of the service.
        """
        context, scenario = self._context, self._scenario
        if context.source is not None and context.source.limits is not None:
            meter_of(context.source.limits).check()
        comparisons = tuple(comparisons)
        machine = describe_machine()
        cautions: Iterable[Doubt] = ()
        used = dict(settings or {})
        busy = MachineLoad()
        if measured is not None:
            after = Load.now()
            after = replace(after, own_cpu_s=after.own_cpu_s + helpers_cpu_s)
            load = LoadBetween(before=self._before, after=after)
            rounds = (len(each.rounds) for each in measured.measurements.values())
            used = {
                **context.options.to_dict(),
                "rounds": max(rounds, default=0),
                "garbage_collector": GC_POLICY,
                **used,
            }
            busy = MachineLoad(others_share=load.others_share, stolen_share=load.stolen_share)
            cautions = doubt_measured(
                measured, comparisons, context.options.plan, load, machine["cores"]
            )
            if context.capacity_doubt and not units_checked:
                doubts = (
                    Doubt(DoubtKind.CAPACITY, context.capacity_doubt, TRUST_CAPACITY),
                    *doubts,
                )
            doubts = (*doubts, *_doubt_pace(self._kind, context))
            if variants is None:
                variants = measured.variants(context.target_kind)
        return Run(
            kind=self._kind,
            scenario=scenario.name,
            description=scenario.description,
            workload=context.workload.name,
            workload_digest=context.workload.digest,
            target=dict(context.target),
            started_at=self._started_at,
            duration_s=context.clock.now() - self._started_s,
            machine=machine,
            settings=used,
            load=busy,
            variants=variants or (),
            comparisons=comparisons,
            doubts=(*doubts, *cautions),
            **facts,
        )
