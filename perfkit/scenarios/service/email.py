"""A notification sent while the request waits against one that is queued; all of them arrive."""

import asyncio
import tempfile
import threading
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from perfkit.errors import ResultsDifferError
from perfkit.scenarios.base import Context
from perfkit.scenarios.service.off_on import OFF, ON, Call, InProcess, OffOnScenario, Reply

__all__ = ["EMAIL"]

_DELIVERY_S = 60.0
_POLL_S = 0.05
# a queue fills far faster than 400 ms mails leave it, and the scenario waits for the last one
_MOST_QUEUED = 20


def _variants(_: Context, stack: ExitStack) -> Sequence[InProcess]:
    from perfkit.processes import redis_server
    from perfkit.queue.model import Notification, Outcome
    from perfkit.queue.notifier import InlineNotifier, Notifier, QueuedNotifier
    from perfkit.queue.sink import start_sink
    from perfkit.queue.worker import Worker

    folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="perfkit-")))
    started = redis_server.start(folder, persistent=True)
    stack.callback(started.stop)
    sink = start_sink()
    stack.callback(sink.stop)
    runner = stack.enter_context(asyncio.Runner())
    handed_over = [0]

    def notifying(notifier: Notifier, expected: Outcome) -> Call:
        stack.callback(lambda: runner.run(notifier.close()))

        def call() -> Reply:
            notification = Notification(
                kind="activity",
                recipient="demo@university.example",
                subject="You looked at courses",
                text="You looked at courses.\n",
            )
            outcome = runner.run(notifier.notify(notification))
            if outcome is not expected:
                msg = f"a notification was {outcome} instead of {expected}"
                raise ResultsDifferError(msg)
            handed_over[0] += 1
            return Reply(b"taken")

        return call

    def deliver() -> None:
        """Deliver what is queued, and make sure that every notification has arrived once."""
        worker = Worker(started.url, sink.settings, folder)
        stop = threading.Event()
        thread = threading.Thread(target=worker.run, args=(stop,))
        thread.start()
        try:
            deadline_s = time.monotonic() + _DELIVERY_S
            while sink.received < handed_over[0] and time.monotonic() < deadline_s:
                time.sleep(_POLL_S)
        finally:
            stop.set()
            thread.join()
        if sink.received != handed_over[0]:
            msg = f"{handed_over[0]} notifications were taken and {sink.received} arrived"
            raise ResultsDifferError(msg)

    return (
        InProcess(
            name=OFF,
            operation="SMTP",
            call=notifying(InlineNotifier(sink.settings, folder), Outcome.SENT),
        ),
        InProcess(
            name=ON,
            operation="enqueue",
            call=notifying(QueuedNotifier(started.url), Outcome.QUEUED),
            finish=deliver,
        ),
    )


EMAIL = OffOnScenario(
    name="email",
    description="A notification: sent while the request waits against queued",
    variants=_variants,
    most_calls=_MOST_QUEUED,
)
