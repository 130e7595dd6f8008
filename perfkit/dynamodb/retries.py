"""Retries with backoff and jitter, as DynamoDB asks for them, and a limit on units a second."""

import random
import time
from collections.abc import Callable, Mapping
from math import isfinite
from typing import Any

from perfkit.dynamodb.connection import Connection
from perfkit.dynamodb.errors import CONNECTION_LOST, THROTTLES, is_transient
from perfkit.embedded.errors import DynamoDBError
from perfkit.errors import ConfigError

__all__ = ["Backoff", "Clock", "Pacer", "Pause", "RetryingConnection", "check_rates"]

Clock = Callable[[], float]
"""Returns seconds that only grow."""

Pause = Callable[[float], None]
"""Sleeps that many seconds."""

_FIRST_S = 0.05
_LONGEST_S = 20.0
_LONGEST_THROTTLED_S = 300.0
_LONGEST_FAILING_S = 30.0


class Backoff:
    """
    Exponential backoff with full jitter: up to 50 ms, 100 ms, 200 ms, … 20 s.

    Full jitter (anything from nothing to the limit) spreads processes that were refused
    together. Source: AWS Architecture Blog, "Exponential Backoff and Jitter" (2015).

    Args:
        pause: Sleeps.
        chance: Returns numbers from 0 to 1.
    """

    def __init__(
        self, *, pause: Pause = time.sleep, chance: Callable[[], float] = random.random
    ) -> None:
        self._pause = pause
        self._chance = chance
        self.waits = 0

    def wait(self, attempt: int) -> None:
        """Sleep before repeat number *attempt*, counted from 0."""
        self.waits += 1
        # the exponent stops where the limit is long reached: 2.0 ** 1100 would overflow
        self._pause(self._chance() * min(_LONGEST_S, _FIRST_S * 2.0 ** min(attempt, 20)))


class RetryingConnection:
    """
    A connection that repeats what was throttled or failed on the way.

    Every operation perfkit sends may be sent twice: puts write the same item again, and
    creating what was just created answers that it exists.

    Args:
        connection: Where to send.
        backoff: How to wait between attempts.
        clock: Decides when it gives up: after 300 s of throttling, 30 s of failures or silence.

    Attributes:
        repeats: How often something was sent again.
        throttles: How often of these because it was refused for lack of capacity.
    """

    def __init__(
        self, connection: Connection, *, backoff: Backoff, clock: Clock = time.monotonic
    ) -> None:
        self._connection = connection
        self._backoff = backoff
        self._clock = clock
        self._answered = False
        self.repeats = 0
        self.throttles = 0

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


def check_rates(*, max_rcu: float | None = None, max_wcu: float | None = None) -> None:
    """
    Refuse limits that nothing could keep.

    Args:
        max_rcu: Read units a second; None for no limit.
        max_wcu: Likewise write units.

    Raises:
        ConfigError: One is not a number above 0.
    """
    for option, value in (("--max-rcu", max_rcu), ("--max-wcu", max_wcu)):
        if value is not None and not (isfinite(value) and value > 0):
            msg = f"{option} must be above 0 units a second, got {value:g}"
            raise ConfigError(msg)


class Pacer:
    """
    Holds consumption at or below a rate: each call waits until the ones before are paid off.

    The units of a call are known only afterwards, so it is the next one that waits. Over any
    stretch of time no more than the rate and one call are consumed; unused time is not saved
    up.

    Args:
        units_per_s: The limit; None for no limit.
        clock: Seconds that only grow.
        pause: Sleeps.
    """

    def __init__(
        self, units_per_s: float | None, *, clock: Clock = time.monotonic, pause: Pause = time.sleep
    ) -> None:
        self._units_per_s = units_per_s
        self._clock = clock
        self._pause = pause
        self._free_at_s = clock()

    def wait(self) -> None:
        """Sleep until the next call may go."""
        delay_s = self._free_at_s - self._clock()
        if delay_s > 0:
            self._pause(delay_s)

    def spend(self, units: float) -> None:
        """Account for the units a call consumed."""
        if self._units_per_s is not None:
            self._free_at_s = max(self._free_at_s, self._clock()) + units / self._units_per_s
