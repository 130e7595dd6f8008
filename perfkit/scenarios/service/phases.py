"""The phases of the reference checklist over HTTP, each held against what the checklist promises."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from perfkit.analysis.phases import Promise, cold, hold_against, warm
from perfkit.dynamodb.safety import Effect
from perfkit.measure.comparison import compare
from perfkit.measure.measurement import Sampler
from perfkit.measure.rounds import Budget
from perfkit.runs import Run, RunKind
from perfkit.scenarios.base import Context
from perfkit.scenarios.recorder import Recorder
from perfkit.scenarios.service.services import (
    Endpoint,
    HttpSampler,
    Services,
    endpoints_of,
    measure_endpoints,
    services,
)
from perfkit.workloads.model import Workload

__all__ = ["PhasesScenario"]

_NAME = "phases"
_PHASES = (0, 1, 2, 3)

_TURN_S = 0.2
# each service has answered health checks by then, and a cold request comes before the warm ones
_COUNTS_FROM_S = 0.3
_COLD_TURN_S = 0.05
_COLD_CALLS = 5
# a cold request that takes longer is seen once: its read units have no scatter
_COLD_S = 1.2


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
    "scaling": {"phase-0": "frequent", "phase-3": "stable (no scale events needed)"},
    # what it says of the reads of phase 0, in read units a second
    "reads": {
        "requests_per_s": 20.0,
        # 10,000 courses of 1 KB, as DynamoDB bills a scan that is eventually consistent
        "units_a_request": 1250.0,
        "dashboard_units_per_s": 1000.0,
        "provisioned_units_per_s": 100.0,
    },
}
"""The request flow, both dashboards and both boxes of results, as the reference document has them."""

_PROMISES = (
    Promise(phase=1, figure="latency", share=0.80),
    Promise(phase=2, figure="read units", share=0.95),
    Promise(phase=3, figure="latency", share=0.99),
)


@dataclass(frozen=True, slots=True)
class PhasesScenario:
    """
    The reference service at phases 0 to 3, side by side.

    Args:
        short: Leave out endpoints that take very long at phase 0.
    """

    short: bool = False
    name: str = _NAME
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

        recorder = Recorder(RunKind.PHASES, self, context)
        switches = {warm(phase): Switches.of_phase(phase) for phase in _PHASES}
        endpoints = self._endpoints(context.workload)
        with services(context, switches) as running:
            samplers = [sampler for each in endpoints for sampler in _samplers(each, running)]
            measured = measure_endpoints(_NAME, endpoints, samplers, context, budget=_budget)
            helpers_cpu_s = running.helpers_cpu_s()
        comparisons = compare(
            measured,
            [
                (each.name, warm(0), name)
                for each in endpoints
                for phase in _PHASES[1:]
                for name in (warm(phase), cold(phase))
            ],
        )
        return recorder.finish(
            measured,
            comparisons,
            helpers_cpu_s=helpers_cpu_s,
            quoted=dict(QUOTED),
            checks=tuple(
                hold_against(_PROMISES, measured.variants(context.target_kind), comparisons)
            ),
        )

    def _endpoints(self, workload: Workload) -> tuple[Endpoint, ...]:
        every = endpoints_of(workload)
        return tuple(each for each in every if not (self.short and each.takes_long))


def _samplers(endpoint: Endpoint, running: Services) -> Iterator[HttpSampler]:
    for phase in _PHASES:
        service = running.by_name[warm(phase)]
        yield HttpSampler(warm(phase), endpoint, service, running)
        if phase > 0:
            yield HttpSampler(cold(phase), endpoint, service, running, cold=True)


def _budget(sampler: Sampler) -> Budget:
    if sampler.concurrency == 1:
        return Budget(
            turn_s=_COLD_TURN_S,
            most_calls=_COLD_CALLS,
            most_s=_COLD_S,
            counts_from_s=_COUNTS_FROM_S,
        )
    return Budget(turn_s=_TURN_S, least_calls=sampler.concurrency, counts_from_s=_COUNTS_FROM_S)


def _scan_units(workload: Workload, endpoint: Endpoint) -> float:
    table = workload.table(workload.pattern(endpoint.pattern).table)
    return table.items * (table.item_size.max_bytes if table.item_size else 4096) / 8192
