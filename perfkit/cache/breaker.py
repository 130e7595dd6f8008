"""A circuit breaker: after a few failures in a row nobody waits for the server any more."""

from perfkit.measure.clock import Clock, RealClock

__all__ = ["CircuitBreaker"]


class CircuitBreaker:
    """
    Closed while the server answers, open once it failed too often in a row.

    While open, one probe is due each `open_s`; its success closes the breaker.

    Args:
        failures: Failures in a row that open it.
        open_s: Seconds from a failure to the next probe.
        clock: Where the time comes from.
    """

    def __init__(
        self, *, failures: int = 3, open_s: float = 1.0, clock: Clock | None = None
    ) -> None:
        self._allowed = failures
        self._open_s = open_s
        self._clock = clock or RealClock()
        self._failures = 0
        self._probe_at_s = 0.0
        self.closed = True
        """Whether to ask the server at all."""
        self.openings = 0
        """How often it opened."""

    def failed(self) -> None:
        """Take note that the server did not answer."""
        self._failures += 1
        if self._failures >= self._allowed:
            self.openings += self.closed
            self.closed = False
            self._probe_at_s = self._clock.now() + self._open_s

    def succeeded(self) -> None:
        """Take note that the server answered."""
        self._failures = 0
        self.closed = True

    def take_probe(self) -> bool:
        """Return whether it is time to try the server again; True once for each time."""
        if self.closed or self._clock.now() < self._probe_at_s:
            return False
        self._probe_at_s = self._clock.now() + self._open_s
        return True
