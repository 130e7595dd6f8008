"""What the tests of the queue share: a sink that accepts no mail before there are several."""

import asyncio
from collections.abc import Callable

import pytest

from perfkit.queue import sink


@pytest.fixture
def accept_together(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Return a function that makes sinks accept no mail, delay or not, before so many wait."""

    def accept_together(mails: int) -> None:
        class Delays:
            """The module `asyncio`, but for its sleep."""

            barrier = asyncio.Barrier(mails)

            def __getattr__(self, name: str) -> object:
                return getattr(asyncio, name)

            async def sleep(self, seconds: float) -> None:
                await asyncio.sleep(seconds)
                # mails that come one after the other would never be accepted
                async with asyncio.timeout(60):
                    await self.barrier.wait()

        monkeypatch.setattr(sink, "asyncio", Delays())

    return accept_together
