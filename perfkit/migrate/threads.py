"""Threads that read a table side by side, and end together."""

import threading
import time
from collections.abc import Callable, Sequence

from perfkit.dynamodb.limits import waiting_by

__all__ = ["ReadingThreads"]

_LOOK_S = 0.05
_LEAVE_WITHIN_S = 5.0


class _LeftError(Exception):
    """A thread is asked to end."""


class ReadingThreads:
    """
    Threads that end when all are done, when one fails, or when whoever waits for them is interrupted.

    Attributes:
        stop: Set when they are to end, and from then on; cleared, they can be used again.
    """

    def __init__(self) -> None:
        self.stop = threading.Event()
        self._failures: list[BaseException] = []

    def run(
        self, works: Sequence[Callable[[], None]], meanwhile: Callable[[], None] = lambda: None
    ) -> None:
        """
        Do each work in a thread of its own, and raise what the first raised that failed.

        Args:
            works: What to do; each looks at `stop` between its pages.
            meanwhile: Called again and again by the thread that waits.
        """
        # daemons, because a page may be waited for longer than somebody who gave up waits
        threads = [
            threading.Thread(target=self._follow, args=(work,), daemon=True) for work in works
        ]
        try:
            for thread in threads:
                thread.start()
            while any(thread.is_alive() for thread in threads) and not self._failures:
                for thread in threads:
                    thread.join(_LOOK_S)
                meanwhile()
        finally:
            self.stop.set()
            ends_s = time.monotonic() + _LEAVE_WITHIN_S
            for thread in threads:
                if thread.ident is not None:
                    thread.join(max(0.0, ends_s - time.monotonic()))
        if self._failures:
            raise self._failures[0]

    def _follow(self, work: Callable[[], None]) -> None:
        try:
            with waiting_by(self.pause):
                work()
        except _LeftError:
            pass
        except BaseException as error:  # noqa: BLE001 - raised again by the thread that waits
            self._failures.append(error)

    def pause(self, seconds: float) -> None:
        """Sleep in one of the threads, which ends here if it is asked to."""
        if self.stop.wait(seconds):
            raise _LeftError
