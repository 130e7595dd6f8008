"""A circuit breaker: once the server does not answer, nobody waits for it until it does again."""

from perfkit.measure.clock import Clock, RealClock

__all__ = ["CircuitBreaker"]


class CircuitBreaker:
    """
    Closed while the server answers, open from the first time it does not.

    So a request that asks several times waits in vain once. One probe is due at once, so that a
    passing fault costs little, and then one each `open_s`; a success closes the breaker.

    Args:
        open_s: Seconds from one probe to the next.
        clock: Where the time comes from.
    """

    def __init__(self, *, open_s: float = 0.2, clock: Clock | None = None) -> None:
        self._open_s = open_s
        self._clock = clock or RealClock()
        self._probe_at_s = 0.0
        self.closed = True
        """Whether to ask the server at all."""
        self.openings = 0
        """How often it opened."""

    def failed(self) -> None:
        """Take note that the server did not answer."""
        if self.closed:
            self.closed = False
            self.openings += 1
            self._probe_at_s = self._clock.now()

    def succeeded(self) -> None:
        """Take note that the server answered."""
        self.closed = True

    def take_probe(self) -> bool:
        """Return whether it is time to try the server again; True once for each time."""
        if self.closed or self._clock.now() < self._probe_at_s:
            return False
        self._probe_at_s = self._clock.now() + self._open_s
        return True
