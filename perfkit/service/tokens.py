"""JSON web tokens: issued for a user, verified with one algorithm and every claim required."""

import base64
import binascii
import json
import time
from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b, sha256
from typing import Any

from perfkit.service.problems import Problem

__all__ = ["AUDIENCE", "DEMO_USER", "ISSUER", "Claims", "Tokens", "bad_token", "bearer_token"]
__all__ += ["claimed_user", "is_identifier"]

ALGORITHM = "HS256"
ISSUER = "perfkit"
AUDIENCE = "perfkit-service"
DEMO_USER = "student123"
LIFETIME_S = 12 * 3600

_LONGEST_TOKEN = 4096
_LAST_TIME_S = 253_402_300_799
"""The end of the year 9999; nothing here keeps or writes a later time."""

_TIMES = ("exp", "iat", "nbf")
_REMEMBERED = 4096
"""Tokens of which a process need not compute again what it only computes."""

_CHALLENGE = 'Bearer realm="perfkit"'


@dataclass(frozen=True, slots=True, kw_only=True)
class Claims:
    """What a verified token says."""

    user: str
    expires_at_s: int


class Tokens:
    """
    Issues and verifies the tokens of one key.

    Args:
        secret: The key, at least 32 bytes.
    """

    def __init__(self, secret: str) -> None:
        self._secret = secret
        key = sha256(b"perfkit session " + secret.encode()).digest()

        @lru_cache(maxsize=_REMEMBERED)
        def digest(token: bytes) -> str:
            # keyed: with another secret no session of this one's tokens is found
            return blake2b(token, key=key, digest_size=32).hexdigest()

        self.digest = digest
        """Returns the name under which a token's session is kept: another token, another name."""

    def issue(self, user: str, *, lifetime_s: float = LIFETIME_S) -> str:
        """Return a token for *user* that lasts *lifetime_s* seconds from now."""
        import jwt

        now_s = int(time.time())
        claims = {
            "iss": ISSUER,
            "aud": AUDIENCE,
            "sub": user,
            "iat": now_s,
            "exp": now_s + int(lifetime_s),
        }
        return jwt.encode(claims, self._secret, algorithm=ALGORITHM)

    def verify(self, token: str) -> Claims:
        """
        Return the claims of a token.

        Raises:
            Problem: 401: it is forged, damaged, expired, or for something else.
        """
        import jwt

        try:
            claims = jwt.decode(
                token,
                self._secret,
                algorithms=[ALGORITHM],
                issuer=ISSUER,
                audience=AUDIENCE,
                options={"require": ["exp", "iat", "iss", "aud", "sub"]},
            )
        except jwt.ExpiredSignatureError as error:
            msg = "the token has expired; sign in again"
            raise bad_token(msg) from error
        except (jwt.InvalidTokenError, ValueError, OverflowError, RecursionError) as error:
            raise bad_token() from error
        user = claims["sub"]
        if not is_identifier(user) or not all(
            _is_time(claims[name]) for name in _TIMES if name in claims
        ):
            raise bad_token()
        return Claims(user=user, expires_at_s=int(claims["exp"]))


def bearer_token(authorization: bytes | None) -> bytes:
    """
    Return the token in an Authorization header.

    Raises:
        Problem: 401: there is none.
    """
    if authorization is None:
        msg = "no Authorization header; send `Authorization: Bearer TOKEN`"
        raise _no_token(msg)
    scheme, _, token = authorization.partition(b" ")
    token = token.strip()
    if scheme.lower() != b"bearer" or not token:
        msg = "the Authorization header is not `Bearer TOKEN`"
        raise _no_token(msg)
    if len(token) > _LONGEST_TOKEN or not token.isascii():
        raise bad_token()
    return token


@lru_cache(maxsize=_REMEMBERED)
def claimed_user(token: bytes) -> str | None:
    """
    Return the user a token names, unverified: good for guessing what to fetch, for nothing else.
    """
    parts = token.split(b".")
    if len(parts) != 3:
        return None
    try:
        payload: Any = json.loads(base64.urlsafe_b64decode(parts[1] + b"=" * (-len(parts[1]) % 4)))
    except (binascii.Error, ValueError, RecursionError):
        return None
    user = payload.get("sub") if isinstance(payload, dict) else None
    return user if is_identifier(user) else None


def is_identifier(text: object) -> bool:
    """Tell whether *text* can be a name of something here: 1 to 64 printable ASCII characters."""
    return isinstance(text, str) and 0 < len(text) <= 64 and text.isascii() and text.isprintable()


def _is_time(value: object) -> bool:
    """Tell whether a claim can be a time: a number of seconds since 1970. Source: RFC 7519, 2."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    # false for what is not a number, too
    return 0 <= value <= _LAST_TIME_S


def bad_token(detail: str = "the token is not valid here") -> Problem:
    """
    Return the 401 for a token that is none of ours, or not any more. Source: RFC 6750, 3.1.

    Which check failed is not told, except that its time is up: that is of use only to somebody who
    forges tokens.
    """
    challenge = f'{_CHALLENGE}, error="invalid_token"'
    return Problem(401, detail, headers={"WWW-Authenticate": challenge})


def _no_token(detail: str) -> Problem:
    return Problem(401, detail, headers={"WWW-Authenticate": _CHALLENGE})
