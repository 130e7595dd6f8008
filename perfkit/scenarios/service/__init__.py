"""Scenarios about the reference service: its phases, its switches, its endpoints over HTTP."""

from collections.abc import Iterator

from perfkit.scenarios.base import Scenario
from perfkit.workloads.model import Workload

__all__ = ["every_scenario", "service_scenarios"]


def every_scenario() -> tuple[Scenario, ...]:
    """Return what can be measured of the reference service."""
    from perfkit.scenarios.service.ablation import AblationScenario
    from perfkit.scenarios.service.auth import AUTH
    from perfkit.scenarios.service.email import EMAIL
    from perfkit.scenarios.service.n_plus_one import N_PLUS_ONE
    from perfkit.scenarios.service.phases import PhasesScenario
    from perfkit.scenarios.service.pooling import POOLING
    from perfkit.scenarios.service.serialize import SERIALIZE

    return PhasesScenario(), AblationScenario(), N_PLUS_ONE, POOLING, EMAIL, AUTH, SERIALIZE


def service_scenarios(workload: Workload) -> Iterator[Scenario]:
    """Yield the scenarios for the workload that the reference service serves."""
    from perfkit.service.endpoints import is_served

    if is_served(workload):
        yield from every_scenario()
