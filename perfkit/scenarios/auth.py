"""Who asks: a token verified and its user loaded each time against a session that is kept."""

import asyncio
import secrets
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import cast

from perfkit.errors import TargetError
from perfkit.scenarios.base import Context, Scenario
from perfkit.scenarios.off_on import OFF, ON, InProcess, OffOnScenario, Reply, open_session
from perfkit.scenarios.services import is_served
from perfkit.workloads.model import Workload

__all__ = ["auth_scenarios"]


def auth_scenarios(workload: Workload) -> Iterator[Scenario]:
    """Yield the scenario for the workload that the reference service serves."""
    if is_served(workload):
        yield OffOnScenario(
            name="auth",
            description="The user of a token: verified and loaded against a session in the cache",
            ways=_ways,
        )


def _ways(context: Context, stack: ExitStack) -> Sequence[InProcess]:
    from perfkit.cache import server
    from perfkit.cache.policy import Keys
    from perfkit.cache.settings import CacheSettings
    from perfkit.service.encoding import encode
    from perfkit.service.memory import Memory, ServiceCache, with_sessions
    from perfkit.service.settings import Switches
    from perfkit.service.store import Person, Store
    from perfkit.service.tokens import DEMO_USER, Tokens

    tokens = Tokens(secrets.token_hex(32))
    token = tokens.issue(DEMO_USER)
    session = open_session(context, stack, pooled=True)
    store = Store(context.workload, Switches(indexes=True, pooling=True), "auth")
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="perfkit-")))
    started = server.start(folder)
    stack.callback(started.stop)
    runner = stack.enter_context(asyncio.Runner())
    keys = Keys(with_sessions(context.workload), "auth")
    cache = ServiceCache(started.url, keys, CacheSettings(index_lag_s=0.0))
    stack.callback(lambda: runner.run(cache.close()))
    memory = Memory(cache, Switches(sessions=True))

    def described(person: Person | None) -> bytes:
        if person is None:
            msg = f"the demo user is not on {context.where}; run `perfkit seed` to fill it"
            raise TargetError(msg)
        return encode([person.user, person.email, person.active])

    def verify() -> Reply:
        claims = tokens.verify(token)
        opened = session()
        return Reply(described(store.person(opened, claims.user)), opened.read_units)

    def look() -> Reply:
        digest = tokens.digest(token.encode())
        found = runner.run(memory.look(DEMO_USER, digest, None))
        return Reply(b"" if found.person is None else described(found.person))

    async def remember() -> None:
        async def load() -> Person:
            person = store.person(session(), DEMO_USER)
            described(person)
            return cast("Person", person)

        digest = tokens.digest(token.encode())
        found = await memory.look(DEMO_USER, digest, None)
        await memory.remember(tokens.verify(token), digest, found, load)

    runner.run(remember())
    return (
        InProcess(name=OFF, operation="verify, GetItem", call=verify),
        InProcess(name=ON, operation="HGET", call=look),
    )
