"""Retries with backoff and jitter, as DynamoDB asks for them."""

import random
import time
from collections.abc import Callable, Mapping
from typing import Any, Self

from perfkit.dynamodb.connection import Connection
from perfkit.dynamodb.errors import CONNECTION_LOST, THROTTLES, is_transient
from perfkit.embedded.errors import DynamoDBError

__all__ = ["Backoff", "Clock", "Pause", "RetryingConnection"]

Clock = Callable[[], float]
"""Returns seconds that only grow."""

Pause = Callable[[float], None]
"""Sleeps that many seconds."""

_FIRST_S = 0.05
_LONGEST_S = 20.0
_LONGEST_THROTTLED_S = 300.0
_LONGEST_FAILING_S = 30.0
_TOLD_AT = 4
"""Repeats that pass within a second or so, and that nobody needs to hear of."""


class Backoff:
    """
    Exponential backoff with full jitter: up to 50 ms, 100 ms, 200 ms, … 20 s.

    Full jitter (anything from nothing to the limit) spreads processes that were refused
    together. Source: AWS Architecture Blog, "Exponential Backoff and Jitter" (2015).

    Args:
        pause: Sleeps.
        rng: Returns numbers from 0 to 1.
    """

    def __init__(
        self, *, pause: Pause = time.sleep, rng: Callable[[], float] = random.random
    ) -> None:
        self._pause = pause
        self._rng = rng
        self.waits = 0

    def wait(self, attempt: int) -> None:
        """Sleep before repeat number *attempt*, counted from 0."""
        self.waits += 1
        # the exponent stops where the limit is long reached: 2.0 ** 1100 would overflow
        self._pause(self._rng() * min(_LONGEST_S, _FIRST_S * 2.0 ** min(attempt, 20)))


class RetryingConnection:
    """
    A connection that repeats what was throttled or failed on the way; leave the block to close it.

    Every operation perfkit sends may be sent twice: puts write the same item again, and
    creating what was just created answers that it exists.

    Args:
        connection: Where to send.
        backoff: How to wait between attempts.
        clock: Decides when it gives up: after 300 s of throttling, 30 s of failures or silence.
        tell: Called with what is waited for, once an operation was sent again several times.

    Attributes:
        repeats: How often something was sent again.
        throttles: How often of these because it was refused for lack of capacity.
    """

    def __init__(
        self,
        connection: Connection,
        *,
        backoff: Backoff | None = None,
        clock: Clock = time.monotonic,
        tell: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._tell = tell
        self._connection = connection
        self._backoff = backoff or Backoff()
        self._clock = clock
        self._answered = False
        self.repeats = 0
        self.throttles = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def execute(self, operation: str, request: Mapping[str, Any]) -> dict[str, Any]:
        """
        Return the answer to one operation.

        Raises:
            DynamoDBError: Another error answer, or it was repeated for long enough.
        """
        started_s = self._clock()
        attempt = 0
        while True:
            try:
                answer = self._connection.execute(operation, request)
            except DynamoDBError as error:
                if self._clock() - started_s >= self._retry_for_s(error):
                    raise
                self.repeats += 1
                self.throttles += error.code in THROTTLES
                if attempt == _TOLD_AT:
                    self._tell(
                        f"{operation} is answered by {error.code}; it is sent again for up to"
                        f" {self._retry_for_s(error):,.0f} s"
                    )
                self._backoff.wait(attempt)
                attempt += 1
            else:
                self._answered = True
                return answer

    def _retry_for_s(self, error: DynamoDBError) -> float:
        if error.code in THROTTLES:
            return _LONGEST_THROTTLED_S
        if not self._answered and (error.code == CONNECTION_LOST or error.code.isdigit()):
            # nothing there on the first call, or something that names no error of DynamoDB's: more
            # likely a wrong address than an outage
            return 0.0
        return _LONGEST_FAILING_S if is_transient(error) else 0.0

    def close(self) -> None:
        self._connection.close()
