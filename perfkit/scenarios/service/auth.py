"""Who asks: a token verified and its user loaded each time against a session that is kept."""

import asyncio
import json
import secrets
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from perfkit.errors import TargetError
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

__all__ = ["AUTH"]


def _variants(context: Context, stack: ExitStack) -> Sequence[InProcess]:
    from perfkit.cache.aside import Cache
    from perfkit.cache.policy import Keys
    from perfkit.cache.settings import CacheSettings
    from perfkit.processes import redis_server
    from perfkit.service.problems import Problem
    from perfkit.service.sessions import KeptSessions, Sessions, VerifiedEachTime
    from perfkit.service.settings import Switches
    from perfkit.service.store import make_store, with_own_patterns
    from perfkit.service.tokens import DEMO_USER, Tokens

    tokens = Tokens(secrets.token_hex(32))
    token = tokens.issue(DEMO_USER)
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="perfkit-")))
    started = redis_server.start(folder)
    stack.callback(started.stop)
    runner = stack.enter_context(asyncio.Runner())
    session = open_session(context, stack, pooled=True)
    store = make_store(context.workload, Switches(indexes=True), "auth")
    keys = Keys(with_own_patterns(context.workload), "auth")
    cache = Cache(started.url, keys, CacheSettings(index_lag_s=0.0))
    stack.callback(lambda: runner.run(cache.close()))
    verified = VerifiedEachTime(tokens, store)

    def asking(sessions: Sessions) -> Call:
        def call() -> Reply:
            opened = session()
            try:
                user = runner.run(sessions.user_of(token, opened))
            except Problem as problem:
                if problem.status != 401:
                    raise
                msg = f"the demo user is not on {context.where}; run `perfkit seed` to fill it"
                raise TargetError(msg) from problem
            body = json.dumps([user.id, user.email, user.active]).encode()
            return Reply(body, opened.read_units)

        return call

    kept = asking(KeptSessions(cache, tokens, verified))
    # the session is there before it is measured
    kept()
    return (
        InProcess(name=OFF, operation="verify, GetItem", call=asking(verified)),
        InProcess(name=ON, operation="HGET", call=kept),
    )


AUTH = OffOnScenario(
    name="auth",
    description="The user of a token: verified and loaded against a session in the cache",
    variants=_variants,
)
