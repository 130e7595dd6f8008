"""The phases of the reference checklist over HTTP, each held against what the checklist promises."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from perfkit.dynamodb.safety import Effect
from perfkit.results import Check, Comparison, Run, Variant, now_utc
from perfkit.scenarios.base import Context, Scenario
from perfkit.scenarios.services import (
    Endpoint,
    HttpWay,
    Services,
    endpoints_of,
    is_served,
    measure_endpoints,
    services,
)
from perfkit.scenarios.turns import Budget, Facts, Way, compare_ways
from perfkit.workloads.model import Workload

__all__ = ["PROMISES", "PhasesScenario", "Promise", "hold_against", "phases_scenarios"]

NAME = "phases"
_PHASES = (0, 1, 2, 3)
_SOURCE = "reference architecture, implementation checklist"

_TURN_S = 0.2
# each service has answered health checks by then, and a cold request comes before the warm ones
_COUNTS_FROM_S = 0.3
_COLD_TURN_S = 0.05
_COLD_CALLS = 5
# a cold request that takes longer is seen once: its read units have no scatter
_COLD_S = 1.2


@dataclass(frozen=True, slots=True, kw_only=True)
class Promise:
    """
    What the checklist expects of a phase, against phase 0.

    Args:
        phase: Which.
        figure: `latency`, of warm requests, or `read units`, of requests that reach DynamoDB.
        share: By how much it should fall, at least.
    """

    phase: int
    figure: str
    share: float


QUOTED: Mapping[str, Any] = {
    "source": "reference architecture",
    "question": "GET /api/courses",
    "flow": {
        "phase-0": {"auth": 0.01, "parse": 0.005, "db": 4.8, "serialize": 0.2, "notify": 0.4},
        "phase-3": {
            "auth": 0.002,
            "parse": 0.005,
            "cache": 0.002,
            "serialize": 0.005,
            "notify": 0.001,
        },
    },
    "dashboard": {
        "phase-0": {
            "mean_s": 5.3,
            "p99_s": 8.5,
            "requests_per_s": 20.0,
            "unhealthy": 1,
            "failed_share": 0.12,
            "cpu_share": 0.8,
            "read_units_per_s": 1000.0,
            "hit_rate": None,
        },
        "phase-3": {
            "mean_s": 0.025,
            "p99_s": 0.15,
            "requests_per_s": 800.0,
            "unhealthy": 0,
            "failed_share": 0.0,
            "cpu_share": 0.25,
            "read_units_per_s": 50.0,
            "hit_rate": 0.99,
        },
    },
}
"""The request flow and the dashboard, before and after, as the reference document has them."""

PROMISES = (
    Promise(phase=1, figure="latency", share=0.80),
    Promise(phase=2, figure="read units", share=0.95),
    Promise(phase=3, figure="latency", share=0.99),
)


def phases_scenarios(workload: Workload) -> Iterator[Scenario]:
    """Yield the scenario for the workload that the reference service serves."""
    if is_served(workload):
        yield PhasesScenario()


def warm(phase: int) -> str:
    """Return the name of a phase's warm variant."""
    return f"phase-{phase}"


def cold(phase: int) -> str:
    """Return the name of a phase's cold variant; phase 0 keeps nothing, so it has none."""
    return warm(phase) if phase == 0 else f"phase-{phase}-cold"


@dataclass(frozen=True, slots=True)
class PhasesScenario:
    """
    The reference service at phases 0 to 3, side by side.

    Args:
        short: Leave out endpoints that take very long at phase 0.
    """

    short: bool = False
    name: str = NAME
    description: str = "The service over HTTP at phases 0, 1, 2 and 3"

    def effect(self, context: Context) -> Effect:
        """Return what the scans of phases 0 and 1 will read, which is nearly all of it."""
        workload, iterations = context.workload, context.options.plan.iterations or 5
        units = sum(
            _scan_units(workload, each) * (2 * iterations + 3) for each in self._endpoints(workload)
        )
        return Effect(
            text=f"{self.name}: ask the service at four phases, two of which scan",
            read_units=round(units),
        )

    def measure(self, context: Context) -> Run:
        """
        Measure the endpoints at every phase, warm and with an empty cache.

        Raises:
            ResultsDifferError: Two phases answered the same request differently.
            TargetError: A service does not start or does not answer.
        """
        from perfkit.service.settings import Switches

        started_at, facts = now_utc(), Facts()
        switches = {warm(phase): Switches.of_phase(phase) for phase in _PHASES}
        endpoints = self._endpoints(context.workload)
        with services(context, switches) as running:
            ways = [way for each in endpoints for way in _ways(each, running)]
            measured = measure_endpoints(NAME, endpoints, ways, context, budget=_budget)
            helpers_cpu_s = running.helpers_cpu_s()
        comparisons, ratios = compare_ways(
            measured,
            [
                (each.name, warm(0), name)
                for each in endpoints
                for phase in _PHASES[1:]
                for name in (warm(phase), cold(phase))
            ],
        )
        return Run(
            kind="phases",
            scenario=self.name,
            description=self.description,
            workload=context.workload.name,
            workload_digest=context.workload.digest,
            target=dict(context.target),
            started_at=started_at,
            variants=measured.variants,
            comparisons=comparisons,
            quoted=dict(QUOTED),
            checks=tuple(hold_against(PROMISES, measured.variants, comparisons)),
            **facts.finish(context, measured, ratios, helpers_cpu_s=helpers_cpu_s),
        )

    def _endpoints(self, workload: Workload) -> tuple[Endpoint, ...]:
        every = endpoints_of(workload)
        return tuple(each for each in every if not (self.short and each.takes_long))


def _ways(endpoint: Endpoint, running: Services) -> Iterator[HttpWay]:
    for phase in _PHASES:
        service = running.by_name[warm(phase)]
        yield HttpWay(warm(phase), endpoint, service, running)
        if phase > 0:
            yield HttpWay(cold(phase), endpoint, service, running, cold=True)


def _budget(way: Way) -> Budget:
    if way.concurrency == 1:
        return Budget(
            turn_s=_COLD_TURN_S,
            most_calls=_COLD_CALLS,
            most_s=_COLD_S,
            counts_from_s=_COUNTS_FROM_S,
        )
    return Budget(turn_s=_TURN_S, least_calls=way.concurrency, counts_from_s=_COUNTS_FROM_S)


def _scan_units(workload: Workload, endpoint: Endpoint) -> float:
    table = workload.table(workload.pattern(endpoint.pattern).table)
    return table.items * (table.item_size.max_bytes if table.item_size else 4096) / 8192


def hold_against(
    promises: Sequence[Promise], variants: Sequence[Variant], comparisons: Sequence[Comparison]
) -> Iterator[Check]:
    """
    Yield each promise beside what was measured, for every endpoint.

    The verdict is pass or fail only where the whole 95% interval is on one side; read units are
    counted and have no scatter.
    """
    by_name: Mapping[tuple[str, str], Variant] = {
        (variant.question, variant.name): variant for variant in variants
    }
    compared = {(each.question, each.candidate): each for each in comparisons}
    for question in dict.fromkeys(variant.question for variant in variants):
        for promise in promises:
            name = warm(promise.phase) if promise.figure == "latency" else cold(promise.phase)
            before, after = by_name[question, warm(0)], by_name[question, name]
            if promise.figure == "latency":
                measured, interval = _fall_of_latency(compared.get((question, name)))
            else:
                measured, interval = _fall_of_units(before, after)
            verdict, reason = _judge(promise.share, measured, interval, before, after)
            yield Check(
                name=f"phase {promise.phase}",
                question=question,
                figure=promise.figure,
                promised=promise.share,
                measured=measured,
                interval=interval,
                verdict=verdict,
                reason=reason,
                baseline=before.name,
                candidate=after.name,
                source=_SOURCE,
            )


_Fall = tuple[float | None, tuple[float, float] | None]


def _fall_of_latency(comparison: Comparison | None) -> _Fall:
    if comparison is None:
        return None, None
    interval = comparison.latency_ratio_ci95
    return (
        1 - 1 / comparison.latency_ratio,
        None if interval is None else (1 - 1 / interval[0], 1 - 1 / interval[1]),
    )


def _fall_of_units(before: Variant, after: Variant) -> _Fall:
    if not before.capacity_units or after.capacity_units is None:
        return None, None
    fall = 1 - after.capacity_units / before.capacity_units
    return fall, (fall, fall)


def _judge(
    promised: float,
    measured: float | None,
    interval: tuple[float, float] | None,
    before: Variant,
    after: Variant,
) -> tuple[str, str]:
    failed = [each.name for each in (before, after) if each.errors]
    if failed:
        return "invalid", f"requests failed at {', '.join(failed)}"
    if measured is None:
        return "invalid", "the target does not say what it consumed"
    if interval is None:
        return "invalid", "too few rounds for an interval; raise --min-time"
    if interval[0] >= promised:
        return "pass", ""
    if interval[1] < promised:
        return "fail", ""
    return "invalid", "the interval holds the promise; raise --min-time"
