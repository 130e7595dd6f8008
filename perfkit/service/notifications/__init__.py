"""Notifications and request logs: sent in the request, or queued in Redis and delivered later."""

from perfkit.service.notifications.mail import SmtpSettings
from perfkit.service.notifications.model import Item, Notification, Outcome, RequestLog
from perfkit.service.notifications.notifier import (
    InlineNotifier,
    Notifier,
    OffNotifier,
    QueuedNotifier,
)

__all__ = [
    "InlineNotifier",
    "Item",
    "Notification",
    "Notifier",
    "OffNotifier",
    "Outcome",
    "QueuedNotifier",
    "RequestLog",
    "SmtpSettings",
]
