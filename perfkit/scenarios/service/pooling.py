"""A profile read with a new boto3 client each time against one client that is kept."""

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

__all__ = ["POOLING"]


def _variants(context: Context, stack: ExitStack) -> Sequence[InProcess]:
    def asking(*, pooled: bool) -> Call:
        from perfkit.service.answers import encode
        from perfkit.service.models import Profile
        from perfkit.service.settings import Switches
        from perfkit.service.store import make_store
        from perfkit.service.tokens import DEMO_USER

        session = open_session(context, stack, pooled=pooled)
        store = make_store(context.workload, Switches(indexes=True), "pooling")

        def call() -> Reply:
            opened = session()
            try:
                row = store.profile(opened, DEMO_USER)
            finally:
                opened.close()
            return Reply(encode(Profile, row), opened.read_units)

        return call

    return (
        InProcess(name=OFF, operation="connect, GetItem", call=asking(pooled=False)),
        InProcess(name=ON, operation="GetItem", call=asking(pooled=True)),
    )


POOLING = OffOnScenario(
    name="pooling",
    description="A user's profile: a client for each request against one that is kept",
    variants=_variants,
)
