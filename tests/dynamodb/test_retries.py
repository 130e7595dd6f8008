"""What is said while an operation is sent again and again."""

from collections.abc import Mapping
from typing import Any

import pytest

from perfkit.dynamodb.retries import Backoff, RetryingConnection
from perfkit.embedded.errors import DynamoDBError


class Failing:
    """A connection that answers its first call, and then fails."""

    def __init__(self) -> None:
        self.calls = 0

    def execute(self, operation: str, request: Mapping[str, Any]) -> dict[str, Any]:  # noqa: ARG002
        self.calls += 1
        if self.calls == 1:
            return {}
        code = "InternalServerError"
        raise DynamoDBError(code, "broken")

    def close(self) -> None:
        pass


def test_it_says_once_what_it_waits_for() -> None:
    now_s = 0.0

    def pause(_: float) -> None:
        nonlocal now_s
        now_s += 1.0

    said: list[str] = []
    connection = RetryingConnection(
        Failing(), backoff=Backoff(pause=pause), clock=lambda: now_s, tell=said.append
    )

    connection.execute("Scan", {})
    with pytest.raises(DynamoDBError):
        connection.execute("Scan", {})

    assert said == ["Scan is answered by InternalServerError; it is sent again for up to 30 s"]
