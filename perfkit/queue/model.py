"""What is sent after a request: notifications and request logs, and their JSON on the wire."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Self
from uuid import uuid4

__all__ = ["Item", "Notification", "Outcome", "RequestLog"]


def _now() -> datetime:
    return datetime.now(UTC)


def _new_key() -> str:
    return str(uuid4())


@dataclass(frozen=True, slots=True, kw_only=True)
class Notification:
    """
    An e-mail to one person.

    Nothing is checked here: a wrong address is found out by who delivers it, and must not fail
    the request that caused it.
    """

    kind: str
    """What it is about, e.g. "activity"."""
    recipient: str
    subject: str
    text: str
    request_id: str = ""
    created_at: datetime = field(default_factory=_now)
    idempotency_key: str = field(default_factory=_new_key)
    """The same for each delivery of the same notification, and for no other."""

    def to_wire(self) -> dict[str, Any]:
        """Return it in the types of JSON."""
        # written out: asdict takes ten times as long, and this is done in every request
        return {
            "kind": self.kind,
            "recipient": self.recipient,
            "subject": self.subject,
            "text": self.text,
            "request_id": self.request_id,
            "created_at": self.created_at.isoformat(),
            "idempotency_key": self.idempotency_key,
        }

    @classmethod
    def from_wire(cls, wire: dict[str, Any]) -> Self:
        """Return what `to_wire` was given."""
        return cls(**{**wire, "created_at": datetime.fromisoformat(wire["created_at"])})


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestLog:
    """A line about one request."""

    method: str
    path: str
    status: int
    duration_s: float
    request_id: str = ""
    user: str = ""
    cache: str = ""
    created_at: datetime = field(default_factory=_now)

    def to_wire(self) -> dict[str, Any]:
        """Return it in the types of JSON, as it stands in the log file."""
        return {
            "method": self.method,
            "path": self.path,
            "status": self.status,
            "duration_s": self.duration_s,
            "request_id": self.request_id,
            "user": self.user,
            "cache": self.cache,
            "created_at": self.created_at.isoformat(),
        }


Item = Notification | RequestLog


class Outcome(StrEnum):
    """What became of an item that was handed over."""

    OFF = "off"
    SENT = "sent"
    """The mail server has it."""
    QUEUED = "queued"
    """The queue has it, and keeps it until it is delivered."""
    HELD = "held"
    """The queue does not answer; this process keeps it, and queues it when it can."""
    FAILED = "failed"
    """It will not be delivered."""
