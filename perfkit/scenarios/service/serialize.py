"""A cached answer decoded and encoded again against its bytes passed through."""

from collections.abc import Sequence
from contextlib import ExitStack

from perfkit.scenarios.base import Context
from perfkit.scenarios.service.off_on import OFF, ON, InProcess, OffOnScenario, Reply, open_session

__all__ = ["SERIALIZE"]


def _variants(context: Context, stack: ExitStack) -> Sequence[InProcess]:
    from perfkit.service.answers import as_it_is, encode, through_the_model
    from perfkit.service.models import CoursePage
    from perfkit.service.paging import Page
    from perfkit.service.routers.courses import by_course
    from perfkit.service.settings import Switches
    from perfkit.service.store import make_store

    values = [
        str(next(iter(value.values())))
        for value in context.workload.pattern("courses").parameters.values()
    ]
    store = make_store(context.workload, Switches(indexes=True), "serialize")
    session = open_session(context, stack, pooled=True)
    # what a miss would have kept
    rows = store.courses(session(), *values)
    body = encode(CoursePage, Page().of(rows, by_course))

    def decode_and_encode() -> Reply:
        return Reply(through_the_model(body, CoursePage), requests=0)

    def pass_through() -> Reply:
        return Reply(as_it_is(body, CoursePage), requests=0)

    return (
        InProcess(name=OFF, operation="decode, encode", call=decode_and_encode),
        InProcess(name=ON, operation="pass through", call=pass_through),
    )


SERIALIZE = OffOnScenario(
    name="serialize",
    description="A cached list of courses: decoded and encoded again against passed through",
    variants=_variants,
)
