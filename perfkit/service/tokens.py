"""JSON web tokens: issued for a user, verified with one algorithm and every claim required."""

import base64
import json
import time
from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b, sha256
from typing import Any

from perfkit.service.problems import Problem

__all__ = ["DEMO_USER", "Claims", "Tokens", "bad_token", "claimed_user"]
__all__ += ["no_token"]

_ALGORITHM = "HS256"
_ISSUER = "perfkit"
_AUDIENCE = "perfkit-service"
DEMO_USER = "student123"
_LIFETIME_S = 12 * 3600

_LONGEST_TOKEN = 4096
_LONGEST_USER = 64
_REMEMBERED = 4096
"""Tokens of which a process need not compute again what it only computes."""

_CHALLENGE = 'Bearer realm="perfkit"'


@dataclass(frozen=True, slots=True, kw_only=True)
class Claims:
    """What a verified token says."""

    user: str
    expires_at_s: float


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
        def digest(token: str) -> str:
            # keyed: with another secret no session of this one's tokens is found
            return blake2b(token.encode(), key=key, digest_size=32).hexdigest()

        self.digest = digest
        """Returns the name under which a token's session is kept: another token, another name."""

    def issue(self, user: str, *, lifetime_s: float = _LIFETIME_S) -> str:
        """Return a token for *user* that lasts *lifetime_s* seconds from now."""
        import jwt

        now_s = int(time.time())
        claims = {
            "iss": _ISSUER,
            "aud": _AUDIENCE,
            "sub": user,
            "iat": now_s,
            "exp": now_s + int(lifetime_s),
        }
        return jwt.encode(claims, self._secret, algorithm=_ALGORITHM)

    def verify(self, token: str) -> Claims:
        """
        Return the claims of a token.

        Raises:
            Problem: 401: it is forged, damaged, expired, or for something else.
        """
        import jwt

        if len(token) > _LONGEST_TOKEN:
            raise bad_token()
        try:
            claims = jwt.decode(
                token,
                self._secret,
                algorithms=[_ALGORITHM],
                issuer=_ISSUER,
                audience=_AUDIENCE,
                options={"require": ["exp", "iat", "iss", "aud", "sub"]},
            )
            expires_at_s = float(claims["exp"])
        except jwt.ExpiredSignatureError as error:
            msg = "the token has expired; sign in again"
            raise bad_token(msg) from error
        except (
            jwt.InvalidTokenError,
            # what stands where a time is to be
            TypeError,
            ValueError,
            OverflowError,
            RecursionError,
        ) as error:
            raise bad_token() from error
        if not _is_user(claims["sub"]):
            raise bad_token()
        return Claims(user=claims["sub"], expires_at_s=expires_at_s)


@lru_cache(maxsize=_REMEMBERED)
def claimed_user(token: str) -> str:
    """
    Return the user a token names, unverified: good for where to look, for nothing else.

    Raises:
        Problem: 401: it names none.
    """
    parts = token.split(".")
    if len(parts) != 3 or len(token) > _LONGEST_TOKEN:
        raise bad_token()
    try:
        content = base64.urlsafe_b64decode(parts[1].encode() + b"=" * (-len(parts[1]) % 4))
        payload: Any = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise bad_token() from error
    user = payload.get("sub") if isinstance(payload, dict) else None
    if not _is_user(user):
        raise bad_token()
    return str(user)


def _is_user(text: object) -> bool:
    return isinstance(text, str) and 0 < len(text) <= _LONGEST_USER and text.isprintable()


def bad_token(detail: str = "the token is not valid here") -> Problem:
    """
    Return the 401 for a token that is none of ours, or not any more. Source: RFC 6750, 3.1.

    Which check failed is not revealed, except that its time is up: that is of use only to somebody who
    forges tokens.
    """
    challenge = f'{_CHALLENGE}, error="invalid_token"'
    return Problem(401, detail, headers={"WWW-Authenticate": challenge})


def no_token() -> Problem:
    """Return the 401 for a request without a token."""
    detail = "no token; send the header `Authorization: Bearer TOKEN`"
    return Problem(401, detail, headers={"WWW-Authenticate": _CHALLENGE})
