"""What the service asks of DynamoDB beside what follows from the tables and indexes it reads."""

from collections.abc import Mapping

from perfkit.dynamodb.permissions import Pair
from perfkit.service.store import COURSES, ENROLLMENTS, USERS

__all__ = ["ASKED"]

# how it names the courses of a list: one by one, and in batches
_TITLES: tuple[Pair, ...] = (
    ("GetItem", f"table/{COURSES}"),
    ("BatchGetItem", f"table/{COURSES}"),
)

_SERVED: tuple[Pair, ...] = (
    *_TITLES,
    ("GetItem", f"table/{USERS}"),
    # it writes only into a table of perfkit's own
    ("ListTagsOfResource", f"table/{ENROLLMENTS}"),
    ("GetItem", f"table/{ENROLLMENTS}"),
    ("PutItem", f"table/{ENROLLMENTS}"),
    ("DeleteItem", f"table/{ENROLLMENTS}"),
)

ASKED: Mapping[str, tuple[Pair, ...]] = {
    # measured are the requests that read
    "bench": _TITLES,
    "run": _TITLES,
    "serve": _SERVED,
    "load": _SERVED,
    "up": _SERVED,
}
"""By command."""
