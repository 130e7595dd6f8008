"""What the tests of the service's scenarios share: a small seeded target, and contexts on it."""

import os
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

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


@pytest.fixture
def within_this_process(live: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """Run services in threads of this process, each with its own port, where many are compared."""
    from perfkit.service.app import create_app
    from perfkit.service.running import Plan

    class Running:
        pids = (os.getpid(),)
        url = ""

        def __init__(self, plan: Plan) -> None:
            self._plan = plan
            self._open = ExitStack()

        def start(self) -> None:
            self.url = self._open.enter_context(live(create_app(self._plan.settings)))

        def stop(self) -> None:
            self._open.close()

    monkeypatch.setattr("perfkit.service.running.RunningService", Running)
