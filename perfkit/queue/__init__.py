"""Notifications and request logs: sent in the request, or queued in Redis and delivered later."""
