"""The endpoints that the reference checklist names, and the access patterns behind them."""

from collections.abc import Mapping

from perfkit.workloads.model import Workload

__all__ = ["CACHED", "is_served"]

CACHED: Mapping[str, str] = {
    "GET /api/courses": "courses",
    "GET /api/enrollments": "enrollments",
    "GET /api/users/{id}/profile": "profile",
}
"""Endpoints whose answers phase 1 keeps in the cache, with the patterns that answer them."""


def is_served(workload: Workload) -> bool:
    """Tell whether the reference service serves *workload*: the built-in one only."""
    return workload.source == "built-in" and workload.name == "courses"
