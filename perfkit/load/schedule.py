"""
When requests of the open model are due; each process has its share of one schedule.

Only the standard library is imported: Locust must be the first that a process of its own loads.
"""

from math import sqrt

__all__ = ["Schedule"]


class Schedule:
    """
    Times at which requests are due, in seconds since the start.

    During the ramp the rate grows evenly from nothing; then it stays, so that requests are due
    1 / rate apart.

    Args:
        rate_hz: Requests a second of all processes together.
        ramp_s: Of the ramp.
        duration_s: After it.
        index: Which process this is, from 0.
        of: How many there are; the n-th request is of process n modulo *of*.
    """

    def __init__(
        self, rate_hz: float, ramp_s: float, duration_s: float, *, index: int = 0, of: int = 1
    ) -> None:
        self._rate_hz, self._ramp_s, self._of = rate_hz, ramp_s, of
        self._end_s = ramp_s + duration_s
        # requests of the ramp
        self._ramped = rate_hz * ramp_s / 2
        self._next = index

    def take(self) -> float | None:
        """Return when the next request is due, None if there is none any more."""
        number = self._next
        if number < self._ramped:
            due_s = sqrt(2 * number * self._ramp_s / self._rate_hz)
        else:
            due_s = self._ramp_s + (number - self._ramped) / self._rate_hz
        if due_s >= self._end_s:
            return None
        self._next += self._of
        return due_s
