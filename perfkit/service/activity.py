"""What users did, told by e-mail and written to the request log, through whichever notifier."""

from collections.abc import Callable
from secrets import token_hex
from time import perf_counter
from typing import Any

from perfkit.service.notifications.model import Notification, RequestLog
from perfkit.service.notifications.notifier import Notifier
from perfkit.service.store import Person
from perfkit.service.timing import Trace
from perfkit.service.tokens import is_identifier

__all__ = ["Activity"]


class Activity:
    """
    Hands over a request's notification and its log line, together.

    Args:
        notifier: To whom.
        count: Told what became of each, by its kind.
    """

    def __init__(self, notifier: Notifier, count: Callable[[str, str], None]) -> None:
        self._notifier = notifier
        self._count = count

    async def tell(
        self, trace: Trace, scope: Any, status: int, person: Person, did: str | None
    ) -> None:
        """
        Tell of one request.

        Args:
            trace: Of the request, so far.
            scope: The request.
            status: Of its answer.
            person: Who asked.
            did: What to write to him about, None for nothing.
        """
        request_id = _request_id(scope)
        log = RequestLog(
            request_id=request_id,
            method=scope["method"],
            path=scope["path"],
            status=status,
            duration_s=perf_counter() - trace.started_s,
            user=person.user,
            cache=trace.cache.value,
        )
        if did is None:
            self._count("log", await self._notifier.notify(log))
            return
        notification = Notification(
            request_id=request_id,
            kind="activity",
            recipient=person.email,
            subject=f"You {did}",
            text=f"Hello {person.user},\n\nyou {did}.\nIf it was not you, tell us.\n",
        )
        outcome = await self._notifier.notify(notification, log)
        self._count("mail", outcome)
        self._count("log", outcome)


def _request_id(scope: Any) -> str:
    """Return the name the client gave its request, else a new one."""
    given = dict(scope["headers"]).get(b"x-request-id", b"").decode("latin-1")
    return str(given) if is_identifier(given) else token_hex(8)
