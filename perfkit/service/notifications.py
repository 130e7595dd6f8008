"""What users are notified of by mail, and the line about each request in the log."""

from collections.abc import Callable
from typing import Any, Protocol

from perfkit.queue.model import Notification, RequestLog
from perfkit.queue.notifier import Notifier
from perfkit.service.store import User
from perfkit.service.timing import Stage, Trace, current_trace, stage

__all__ = ["Notifications", "NotifiesNobody", "NotifiesUsers"]


class Notifications(Protocol):
    """What path functions tell of."""

    async def notify(self, user: User, did: str) -> None:
        """Tell a user what he did: "looked at courses"."""

    async def log(self, scope: Any, trace: Trace, duration_s: float) -> None:
        """Write down an answered request."""


class NotifiesNobody:
    """Sends and writes nothing."""

    async def notify(self, user: User, did: str) -> None:
        """Do nothing."""

    async def log(self, scope: Any, trace: Trace, duration_s: float) -> None:
        """Do nothing."""


class NotifiesUsers:
    """
    Sends mails and writes the log, or queues both: as the notifier does.

    Args:
        notifier: Never fails a request.
        count: Called with the kind and the outcome of each.
    """

    def __init__(self, notifier: Notifier, count: Callable[[str, str], None]) -> None:
        self._notifier = notifier
        self._count = count

    async def notify(self, user: User, did: str) -> None:
        """Send or queue a mail."""
        with stage(Stage.NOTIFY):
            notification = Notification(
                request_id=current_trace().request_id,
                kind="activity",
                recipient=user.email,
                subject=f"You {did}",
                text=f"Hello {user.id},\n\nyou {did}.\nIf it was not you, tell us.\n",
            )
            self._count("mail", await self._notifier.notify(notification))

    async def log(self, scope: Any, trace: Trace, duration_s: float) -> None:
        """Write or queue a line."""
        with stage(Stage.NOTIFY):
            line = RequestLog(
                request_id=trace.request_id,
                method=scope["method"],
                path=scope["path"],
                status=trace.status,
                duration_s=duration_s,
                user=trace.user,
                cache=trace.cache.value,
            )
            self._count("log", await self._notifier.notify(line))
