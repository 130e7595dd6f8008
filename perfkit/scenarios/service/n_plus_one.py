"""The titles of a user's courses: a GetItem each (N+1 calls) against one BatchGetItem."""

from collections.abc import Sequence
from contextlib import ExitStack

from perfkit.scenarios.base import Context
from perfkit.scenarios.service.off_on import (
    OFF,
    ON,
    Call,
    InProcess,
    OffOnScenario,
    Reply,
    open_session,
)

__all__ = ["N_PLUS_ONE"]


def _variants(context: Context, stack: ExitStack) -> Sequence[InProcess]:
    # both on a client that is kept and by index: only the titles differ
    session = open_session(context, stack, pooled=True)

    def asking(*, batching: bool) -> Call:
        from perfkit.service.answers import encode
        from perfkit.service.models import EnrollmentPage
        from perfkit.service.settings import Switches
        from perfkit.service.store import make_store
        from perfkit.service.tokens import DEMO_USER

        switches = Switches(indexes=True, batching=batching)
        store = make_store(context.workload, switches, "n-plus-one")

        def call() -> Reply:
            opened = session()
            rows = store.enrollments(opened, DEMO_USER)
            courses = {row["course_id"] for row in rows}
            body = encode(EnrollmentPage, {"total": len(rows), "items": rows, "next": None})
            return Reply(body, opened.read_units, 1 + (1 if batching else len(courses)))

        return call

    return (
        InProcess(name=OFF, operation="Query, GetItem each", call=asking(batching=False)),
        InProcess(name=ON, operation="Query, BatchGetItem", call=asking(batching=True)),
    )


N_PLUS_ONE = OffOnScenario(
    name="n-plus-one",
    description="A user's enrollments with the titles of their courses: N+1 against a batch",
    variants=_variants,
)
