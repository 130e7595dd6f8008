"""What is done to a service while it is under load: stages in which it stays as it is, and events."""

import time
from collections.abc import Callable

from perfkit.runs import LoadEvent

__all__ = ["Stages"]


class Stages:
    """
    What is changed of a service, noted by the thread that changes it while requests are made.

    Args:
        on_event: Called with each event.
        clock: Seconds that only grow.
    """

    def __init__(
        self,
        *,
        on_event: Callable[[LoadEvent], None] = lambda _: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._on_event = on_event
        self._clock = clock
        self._start_s: float | None = None
        self._events: list[LoadEvent] = []
        self.present = ""
        """What the present stage is called; "" between two of them."""
        self.answered = 0
        """Requests that ended in whole seconds of it."""
        self.is_over = False
        """Whether nothing more is to be done."""

    @property
    def events(self) -> tuple[LoadEvent, ...]:
        """What was done so far; times count from the first request."""
        return tuple(self._events)

    def begin(self) -> None:
        """Requests are made from now on."""
        self._start_s = self._clock()

    @property
    def elapsed_s(self) -> float:
        """Seconds since the first request could be made."""
        now_s = self._clock()
        return now_s - (now_s if self._start_s is None else self._start_s)

    def enter(self, name: str) -> None:
        """From now on the service stays as it is; "" if it is being changed."""
        self.present, self.answered = name, 0

    def note(self, name: str, detail: str = "") -> None:
        """Note what was done just now."""
        event = LoadEvent(at_s=round(self.elapsed_s, 3), name=name, detail=detail)
        self._events.append(event)
        self._on_event(event)

    def end(self) -> None:
        """Nothing more is to be done."""
        self.present, self.is_over = "", True
