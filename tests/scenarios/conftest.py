"""What the tests of scenarios share: a small seeded target, and contexts on it."""

from collections.abc import Callable
from pathlib import Path

import pytest

from perfkit.dynamodb.targets import Target
from perfkit.measure.rounds import Plan
from perfkit.scenarios.base import Context, Options
from perfkit.workloads.loader import load
from perfkit.workloads.model import Workload


@pytest.fixture(scope="session")
def workload() -> Workload:
    return load("courses")


@pytest.fixture(scope="session")
def seeded(courses_data: Callable[..., Path]) -> Target:
    """Return a target with a fiftieth of the items (and all the pinned ones) and all indexes."""
    return Target(data=courses_data(0.02))


def make_context(target: Target, workload: Workload, *, iterations: int = 3) -> Context:
    return Context(
        workload=workload,
        client=target.client(),
        target=target.describe(),
        where=target.name,
        options=Options(plan=Plan(iterations=iterations)),
        source=target,
    )


@pytest.fixture(name="make_context", scope="session")
def _make_context() -> Callable[..., Context]:
    """Return `make_context`."""
    return make_context
