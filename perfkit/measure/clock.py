"""Clocks: the real one, and one for tests that moves only when asked to."""

import time
from typing import Protocol

__all__ = ["Clock", "FakeClock", "RealClock"]


class Clock(Protocol):
    """What measuring needs to know about time; all values in seconds."""

    def now(self) -> float:
        """Return a moment on a clock that never goes back."""

    def cpu(self) -> float:
        """Return the CPU time of this process so far: all threads, user and kernel."""

    def sleep(self, seconds: float) -> None:
        """Let *seconds* pass."""


class RealClock:
    """The machine's monotonic clock and this process's CPU time."""

    def now(self) -> float:
        return time.perf_counter()

    def cpu(self) -> float:
        return time.process_time()

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)


class FakeClock:
    """A clock that stands still between calls of `advance`, so timing tests are exact."""

    def __init__(self) -> None:
        self._now_s = 0.0
        self._cpu_s = 0.0

    def now(self) -> float:
        return self._now_s

    def cpu(self) -> float:
        return self._cpu_s

    def sleep(self, seconds: float) -> None:
        self.advance(seconds)

    def advance(self, seconds: float, *, cpu_s: float = 0.0) -> None:
        """Let *seconds* pass, of which this process computed for *cpu_s*."""
        self._now_s += seconds
        self._cpu_s += cpu_s
