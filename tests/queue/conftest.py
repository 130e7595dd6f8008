"""What the tests of the queue share: sinks that accept mail when a test lets them."""

import asyncio
import threading
from collections.abc import Callable

import pytest

from perfkit.queue import sink


@pytest.fixture
def accept_some(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], Callable[[], None]]:
    """Return a function that makes sinks accept so many mails, and the rest when what it returns is called."""

    def accept_some(mails: int) -> Callable[[], None]:
        go_on = threading.Event()

        class Delays:
            """The module `asyncio`, but for its sleep."""

            accepted = 0

            def __getattr__(self, name: str) -> object:
                return getattr(asyncio, name)

            async def sleep(self, seconds: float) -> None:
                await asyncio.sleep(seconds)
                while True:
                    if self.accepted < mails or go_on.is_set():
                        break
                    await asyncio.sleep(0.02)
                self.accepted += 1

        monkeypatch.setattr(sink, "asyncio", Delays())
        return go_on.set

    return accept_some


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
