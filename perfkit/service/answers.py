"""
Whole answers, kept in Redis or asked of the database each time: the switches decide which.

A list is kept page by page, each as the bytes that go to the client; all pages of a list are
under one key, and so are forgotten together.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from time import monotonic
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar

from pydantic import BaseModel

from perfkit.cache.aside import Cache, Status
from perfkit.service.database import Session
from perfkit.service.problems import unavailable
from perfkit.service.timing import CacheState, Stage, current_trace, stage

__all__ = ["Answers", "AskedEachTime", "Fill", "KeptInRedis", "as_it_is", "through_the_model"]
__all__ += ["Writes", "encode"]

P = ParamSpec("P")
T = TypeVar("T")

Fill = Callable[[], Awaitable[dict[str, Any] | None]]
"""Asks the database; None if there is no such thing."""

Model = type[BaseModel]

Reuse = Callable[[bytes, Model], bytes]
"""Returns the answer that goes to the client from the bytes that were kept."""

_STATES = {status: CacheState(status.value) for status in Status}


def encode(model: Model, content: dict[str, Any] | None) -> bytes:
    """Return an answer as it goes to the client; nothing at all if there is no such thing."""
    if content is None:
        return b""
    return model.model_validate(content).model_dump_json().encode()


def as_it_is(body: bytes, model: Model) -> bytes:  # noqa: ARG001 - the other way needs it
    """Return the kept bytes."""
    return body


def through_the_model(body: bytes, model: Model) -> bytes:
    """Return the same bytes by way of decoding and encoding them, as a response model would."""
    return model.model_validate_json(body).model_dump_json().encode() if body else body


class Answers(Protocol):
    """Where path functions get their answers."""

    async def get_or_fill(
        self,
        pattern: str,
        parameters: Mapping[str, str],
        model: Model,
        fill: Fill,
        *,
        variant: str = "",
    ) -> bytes:
        """
        Return an answer, from the cache or from *fill*.

        Args:
            pattern: The workload's name of the question.
            parameters: Its values.
            model: What the answer is.
            fill: Asks the database.
            variant: Tells apart the pages of one answer.

        Returns:
            JSON; nothing at all if there is no such thing.
        """

    async def forget(self, session: Session) -> None:
        """Forget every answer that items are in which *session* wrote, or may have written."""


class AskedEachTime:
    """Keeps nothing."""

    async def get_or_fill(
        self,
        pattern: str,  # noqa: ARG002 - the protocol's
        parameters: Mapping[str, str],  # noqa: ARG002
        model: Model,
        fill: Fill,
        *,
        variant: str = "",  # noqa: ARG002
    ) -> bytes:
        """Return what *fill* brings."""
        content = await fill()
        with stage(Stage.SERIALIZE):
            return encode(model, content)

    async def forget(self, session: Session) -> None:
        """There is nothing to forget."""


class KeptInRedis:
    """
    Looks into the cache first, and keeps there what it had to ask for.

    Args:
        cache: Whatever is wrong with it, a request is answered.
        reuse: What to do with kept bytes.
    """

    def __init__(self, cache: Cache, reuse: Reuse) -> None:
        self._cache = cache
        self._reuse = reuse

    async def get_or_fill(
        self,
        pattern: str,
        parameters: Mapping[str, str],
        model: Model,
        fill: Fill,
        *,
        variant: str = "",
    ) -> bytes:
        """Return what is kept, else what *fill* brings; of many that ask at once, one fills."""

        async def fill_bytes() -> bytes:
            content = await fill()
            with stage(Stage.SERIALIZE):
                return encode(model, content)

        values = {f":{name}": {"S": value} for name, value in parameters.items()}
        with stage(Stage.CACHE):
            lookup = await self._cache.get_or_fill(pattern, values, fill_bytes, variant=variant)
        current_trace().cache = _STATES[lookup.status]
        if lookup.status is not Status.HIT:
            return lookup.body
        with stage(Stage.SERIALIZE):
            return self._reuse(lookup.body, model)

    async def forget(self, session: Session) -> None:
        """Forget before anybody is notified of the change; if Redis is away, as soon as it is back."""
        keys = self._cache.keys
        changed = [key for table, item in session.touched for key in keys.affected(table, item)]
        with stage(Stage.CACHE):
            await self._cache.invalidate(dict.fromkeys(changed))


class Writes:
    """
    Changes that are made, and make answers untrue.

    Args:
        answers: Forgets what has become untrue before anybody is notified of the change.
    """

    def __init__(self, answers: Answers) -> None:
        self._answers = answers
        self._under_way: set[asyncio.Task[Any]] = set()

    async def make(
        self,
        session: Session,
        change: Callable[Concatenate[Session, P], T],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        """
        Return what *change* returns, once it is done and what it makes untrue is forgotten.

        When time is up it goes on without the request: what is written late is forgotten, too,
        and so is what may or may not have been written.

        Raises:
            Problem: What *change* raises, or 503.
        """

        async def write_and_forget() -> T:
            try:
                return await session.write(change, *args, **kwargs)
            finally:
                await self._answers.forget(session)

        task = asyncio.get_running_loop().create_task(write_and_forget())
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)
        try:
            async with asyncio.timeout(session.expires_at_s - monotonic()):
                return await asyncio.shield(task)
        except TimeoutError as error:
            msg = "DynamoDB did not answer in time; whether it was done is not known yet"
            raise unavailable(msg) from error

    async def close(self) -> None:
        """Wait for what is being written."""
        if self._under_way:
            await asyncio.wait(self._under_way)
