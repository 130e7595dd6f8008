"""What each switch of the service is worth: phase 3, and phase 3 with one of them turned off."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from perfkit.dynamodb.safety import Effect
from perfkit.results import Run, now_utc
from perfkit.scenarios.base import Context, Scenario
from perfkit.scenarios.services import HttpWay, endpoints_of, is_served, measure_endpoints, services
from perfkit.scenarios.turns import Budget, Facts, Way, compare_ways
from perfkit.workloads.model import Workload

__all__ = ["AblationScenario", "ablation_scenarios"]

NAME = "ablation"
WHOLE, WHOLE_COLD = "phase-3", "phase-3-cold"

_TURN_S = 0.2
_COLD_TURN_S = 0.05
_COLD_CALLS = 5
_MOST_S = 4.0


def ablation_scenarios(workload: Workload) -> Iterator[Scenario]:
    """Yield the scenario for the workload that the reference service serves."""
    if is_served(workload):
        yield AblationScenario()


def without(switch: str, *, cold: bool = False) -> str:
    """Return the name of the variant that lacks *switch*."""
    return f"without {switch}{'-cold' if cold else ''}"


@dataclass(frozen=True, slots=True)
class AblationScenario:
    """Phase 3 beside itself with each switch off alone, warm and with an empty cache."""

    name: str = NAME
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

        started_at, facts = now_utc(), Facts()
        whole = Switches.of_phase(3)
        names = [name for name in Switches.names() if name != "notify"]
        switches = {WHOLE: whole} | {
            without(name): replace(whole, **{name: False}) for name in names
        }
        endpoints = endpoints_of(context.workload)[:2]
        with services(context, switches) as running:
            ways = [
                HttpWay(
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
            measured = measure_endpoints(NAME, endpoints, ways, context, budget=_budget)
            helpers_cpu_s = running.helpers_cpu_s()
        comparisons, ratios = compare_ways(
            measured,
            [
                (endpoint.name, WHOLE_COLD if cold else WHOLE, without(name, cold=cold))
                for endpoint in endpoints
                for name in names
                for cold in (False, True)
            ],
        )
        return Run(
            kind="ablation",
            scenario=self.name,
            description=self.description,
            workload=context.workload.name,
            workload_digest=context.workload.digest,
            target=dict(context.target),
            started_at=started_at,
            variants=measured.variants,
            comparisons=comparisons,
            **facts.finish(context, measured, ratios, helpers_cpu_s=helpers_cpu_s),
        )


def _budget(way: Way) -> Budget:
    if way.concurrency == 1:
        return Budget(turn_s=_COLD_TURN_S, most_calls=_COLD_CALLS, most_s=_MOST_S)
    return Budget(turn_s=_TURN_S, least_calls=way.concurrency)
