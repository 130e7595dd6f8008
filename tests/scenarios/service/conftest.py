"""What the tests of the service's scenarios share."""

import os
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import pytest


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
