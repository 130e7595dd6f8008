"""What each switch of the service is worth: phase 3, and phase 3 with one of them turned off."""

from dataclasses import dataclass, replace

from perfkit.dynamodb.safety import Effect
from perfkit.measure.comparison import compare
from perfkit.measure.measurement import Sampler
from perfkit.measure.rounds import Budget
from perfkit.runs import Run, RunKind
from perfkit.scenarios.base import Context
from perfkit.scenarios.recorder import Recorder
from perfkit.scenarios.service.services import (
    HttpSampler,
    endpoints_of,
    measure_endpoints,
    services,
)

__all__ = ["AblationScenario"]

_NAME = "ablation"
WHOLE, WHOLE_COLD = "phase-3", "phase-3-cold"

_TURN_S = 0.2
_COLD_TURN_S = 0.05
_COLD_CALLS = 5
_MOST_S = 4.0


def _without(switch: str, *, cold: bool = False) -> str:
    """Return the name of the variant that lacks *switch*."""
    return f"without {switch}{'-cold' if cold else ''}"


@dataclass(frozen=True, slots=True)
class AblationScenario:
    """Phase 3 beside itself with each switch off alone, warm and with an empty cache."""

    name: str = _NAME
    description: str = "Phase 3 of the service with each switch turned off alone"

    def effect(self, context: Context) -> Effect:
        """Return what the service without indexes will scan, which is nearly all of it."""
        calls = (context.options.plan.iterations or 3) + 1
        workload = context.workload
        items = sum(
            workload.table(workload.pattern(each.pattern).table).items
            for each in endpoints_of(workload)[:2]
        )
        return Effect(
            text=f"{self.name}: ask the service with each switch off, once by scans",
            read_units=round(items / 8 * calls),
        )

    def measure(self, context: Context) -> Run:
        """
        Measure the lists of courses and of enrollments with every switch off alone.

        Raises:
            ResultsDifferError: A service answered the same request differently.
            TargetError: A service does not start or does not answer.
        """
        from perfkit.service.settings import Switches

        recorder = Recorder(RunKind.ABLATION, self, context)
        whole = Switches.of_phase(3)
        names = [name for name in Switches.names() if name != "notify"]
        switches = {WHOLE: whole} | {
            _without(name): replace(whole, **{name: False}) for name in names
        }
        endpoints = endpoints_of(context.workload)[:2]
        with services(context, switches) as running:
            samplers = [
                HttpSampler(
                    f"{name}-cold" if cold else name,
                    endpoint,
                    running.by_name[name],
                    running,
                    cold=cold,
                )
                for endpoint in endpoints
                for name in switches
                for cold in (False, True)
            ]
            measured = measure_endpoints(_NAME, endpoints, samplers, context, budget=_budget)
            helpers_cpu_s = running.helpers_cpu_s()
        comparisons = compare(
            measured,
            [
                (endpoint.name, WHOLE_COLD if cold else WHOLE, _without(name, cold=cold))
                for endpoint in endpoints
                for name in names
                for cold in (False, True)
            ],
        )
        return recorder.finish(measured, comparisons, helpers_cpu_s=helpers_cpu_s)


def _budget(sampler: Sampler) -> Budget:
    if sampler.concurrency == 1:
        return Budget(turn_s=_COLD_TURN_S, most_calls=_COLD_CALLS, most_s=_MOST_S)
    return Budget(turn_s=_TURN_S, least_calls=sampler.concurrency)
