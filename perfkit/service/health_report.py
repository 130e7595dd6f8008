"""What a running service says of its health, to whoever started it."""

import json
import time
from collections.abc import Mapping
from typing import Any

from perfkit.processes.http import ask

__all__ = ["await_healthy", "failing_checks"]

# a service that is well may take its time on a machine that is busy
_TIMEOUT_S = 30.0
_ASK_AGAIN_S = 0.2


def failing_checks(report: Mapping[str, Any]) -> str:
    """
    Return what a service needs and does not work, by the body of its health check; "" if all does.

    Raises:
        AttributeError, KeyError, TypeError: It is another service's health check.
    """
    return "; ".join(
        f"{name}: {check['detail']}"
        for name, check in report["checks"].items()
        if check["status"] == "failing"
    )


def await_healthy(url: str, within_s: float) -> str:
    """Wait for a service that has just been started; return what still fails, "" for nothing."""
    deadline_s = time.monotonic() + within_s
    while (failing := _failing(url)) and time.monotonic() < deadline_s:
        time.sleep(_ASK_AGAIN_S)
    return failing


def _failing(url: str) -> str:
    try:
        answer = ask(f"{url}/healthz", timeout_s=_TIMEOUT_S)
        report = json.loads(answer.body)
        if answer.status == 200 and report["status"] == "ok":
            return ""
        return failing_checks(report) or f"status {answer.status}"
    except (OSError, ValueError, KeyError) as error:
        return str(error) or type(error).__name__
