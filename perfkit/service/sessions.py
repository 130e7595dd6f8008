"""Who asks: a token verified each time, or once and then remembered in Redis as a session."""

import json
import time
from typing import Protocol

from perfkit.cache.aside import Cache
from perfkit.service.database import Session
from perfkit.service.store import SESSION, Store, User
from perfkit.service.timing import Stage, stage
from perfkit.service.tokens import Claims, Tokens, bad_token, claimed_user

__all__ = ["KeptSessions", "Sessions", "VerifiedEachTime"]


class Sessions(Protocol):
    """Knows the users of tokens."""

    async def user_of(self, token: str, session: Session) -> User:
        """
        Return the user of a token.

        Raises:
            Problem: 401: the token is not valid, or its user is not known.
        """


class VerifiedEachTime:
    """Verifies each token and loads its user from the database."""

    def __init__(self, tokens: Tokens, store: Store) -> None:
        self._tokens = tokens
        self._store = store

    async def user_of(self, token: str, session: Session) -> User:
        """Return the user of a token, by its signature."""
        return await self.load(self._tokens.verify(token), session)

    async def load(self, claims: Claims, session: Session) -> User:
        """Return the user a verified token names."""
        user = await session.ask(self._store.user, claims.user)
        if user is None:
            msg = "the user of the token is not known here"
            raise bad_token(msg)
        return user


class KeptSessions:
    """
    Remembers verified tokens in Redis.

    A session is kept like an answer to the question who a user is, a variant of it for each of
    his tokens under a digest of it. So it is forgotten when the user is changed, and one that was
    loaded before that is not stored after it. Under whose name to look the token itself says,
    unverified: a session is found only by somebody who has the very token that was verified.
    """

    def __init__(self, cache: Cache, tokens: Tokens, otherwise: VerifiedEachTime) -> None:
        self._cache = cache
        self._tokens = tokens
        self._otherwise = otherwise

    async def user_of(self, token: str, session: Session) -> User:
        """Return the user of a token, by its session, or else by its signature."""
        claimed = {":user": {"S": claimed_user(token)}}

        async def fill() -> bytes:
            claims = self._tokens.verify(token)
            loaded = await self._otherwise.load(claims, session)
            content = [loaded.id, loaded.email, loaded.active, claims.expires_at_s]
            with stage(Stage.SERIALIZE):
                return json.dumps(content).encode()

        kept = await self._cache.get_or_fill(
            SESSION, claimed, fill, variant=self._tokens.digest(token)
        )
        # a token may end before its session; it is then refused
        return _read(kept.body) or await self._otherwise.user_of(token, session)


def _read(body: bytes) -> User | None:
    """Return the user of a session, None if its token has expired meanwhile."""
    user, email, active, expires_at_s = json.loads(body)
    if expires_at_s <= time.time():
        return None
    return User(id=user, email=email, active=active)
