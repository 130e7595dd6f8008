"""Where a Redis server is: its URL, checked and taken apart."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, unquote, urlsplit

from perfkit.errors import ConfigError

__all__ = ["HIDDEN", "Address", "parse_url", "without_password"]

_FORMS = (
    "redis://[[USER]:PASSWORD@]HOST[:PORT][/DATABASE], "
    "rediss://… for TLS (?ssl_ca_certs=FILE) or unix:///PATH[?db=DATABASE]"
)
_PORT = 6379

HIDDEN = "…"
"""Stands for user and password in a URL that is shown or saved."""

_DATABASES = 1 << 31


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """A server, and what it takes to log in; the password is never shown."""

    path: str = ""
    """Unix socket; empty for TCP."""
    host: str = ""
    port: int = _PORT
    tls: bool = False
    ca_file: str | None = None
    """Certificates to trust instead of the system's."""
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    database: int = 0

    def __str__(self) -> str:
        return self.path or f"{self.host}:{self.port}"


def parse_url(url: str) -> Address:
    """
    Return the server that *url* names.

    Args:
        url: As redis-cli and redis-py take it.

    Raises:
        ConfigError: It is none of the accepted forms; the message does not repeat a password.
    """
    try:
        parts = urlsplit(url)
        port = parts.port or _PORT
    except ValueError as error:
        raise _refusal(url, str(error)) from error
    options = dict(parse_qsl(parts.query, keep_blank_values=True))
    username = unquote(parts.username) if parts.username else None
    password = unquote(parts.password) if parts.password else None
    match parts.scheme:
        case "unix":
            path = unquote(parts.path)
            if parts.hostname or not path.startswith("/"):
                raise _refusal(url, "expected the absolute path of a socket after unix://")
            database = _database(url, options.pop("db", "0"))
            _check_no_more(url, options)
            return Address(path=path, username=username, password=password, database=database)
        case "redis" | "rediss" as scheme:
            if not parts.hostname:
                raise _refusal(url, "expected a host")
            ca_file = options.pop("ssl_ca_certs", None) if scheme == "rediss" else None
            database = _database(url, parts.path.strip("/") or options.pop("db", "0"))
            _check_no_more(url, options)
            return Address(
                host=parts.hostname,
                port=port,
                tls=scheme == "rediss",
                ca_file=ca_file,
                username=username,
                password=password,
                database=database,
            )
        case _:
            raise _refusal(url, f"unknown scheme {parts.scheme!r}")


def _database(url: str, text: str) -> int:
    if text.isascii() and text.isdigit() and int(text) < _DATABASES:
        return int(text)
    raise _refusal(url, f"expected the number of a database, got {text!r}")


def _check_no_more(url: str, options: Mapping[str, str]) -> None:
    if options:
        raise _refusal(url, f"unknown option {next(iter(options))!r}")


def _refusal(url: str, reason: str) -> ConfigError:
    return ConfigError(f"{without_password(url)!r} is no Redis URL: {reason}; write {_FORMS}")


def without_password(url: str) -> str:
    """Return *url* fit for a message: everything between the scheme and the last @ is left out."""
    start, at, rest = url.rpartition("@")
    if not at:
        return url
    scheme, colon, _ = start.partition("://")
    return f"{scheme}://{HIDDEN}@{rest}" if colon else f"{HIDDEN}@{rest}"
