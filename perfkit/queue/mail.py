"""E-mail over SMTP: where it goes, and sending one notification."""

import smtplib
import ssl
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.utils import format_datetime
from enum import StrEnum
from typing import Self
from urllib.parse import parse_qsl, quote, unquote, urlsplit

from perfkit.errors import ConfigError
from perfkit.hosts import is_loopback
from perfkit.queue.model import Notification

__all__ = ["MailError", "MailRefusedError", "Mailer", "Security", "SmtpSettings"]

_URL_VARIABLE = "PERFKIT_SMTP_URL"

KEY_HEADER = "X-Idempotency-Key"

# Servers drop idle clients, often after 30 s or 60 s, and limit messages per connection.
_IDLE_S = 20.0
_PER_CONNECTION = 100


class Security(StrEnum):
    """How the connection to the mail server is encrypted: the scheme of its URL."""

    NONE = "smtp"
    STARTTLS = "smtp+starttls"
    TLS = "smtps"


_PORTS = {Security.NONE: 25, Security.STARTTLS: 587, Security.TLS: 465}
_FORM = "smtp://HOST[:PORT], smtp+starttls://[USER:PASSWORD@]HOST or smtps://…, [?from=ADDRESS]"


class MailError(Exception):
    """The mail was not accepted this time; a later attempt may succeed."""


class MailRefusedError(Exception):
    """The mail will never be accepted: the address or the content is wrong."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SmtpSettings:
    """A mail server, and what it takes to log in; the password is never shown."""

    host: str
    port: int
    security: Security = Security.NONE
    username: str = ""
    password: str = field(default="", repr=False)
    sender: str = "perfkit@localhost"
    timeout_s: float = 10.0
    """For connecting, and for each answer of the server."""

    def __post_init__(self) -> None:
        if not 0 < self.port < 65536:
            msg = f"the SMTP port is a number from 1 to 65535, got {self.port}"
            raise ConfigError(msg)
        if self.password and self.security is Security.NONE and not is_loopback(self.host):
            msg = (
                f"the password for {self.host} would be sent unencrypted; "
                "write smtp+starttls:// or smtps://"
            )
            raise ConfigError(msg)

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"

    @property
    def url(self) -> str:
        """What `from_url` takes; it contains the password."""
        login = f"{quote(self.username, '')}:{quote(self.password, '')}@" if self.username else ""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.security}://{login}{host}:{self.port}?from={quote(self.sender, '@')}"

    @classmethod
    def configured(
        cls, environment: Mapping[str, str], *, host: str | None = None, port: int | None = None
    ) -> Self | None:
        """
        Return the mail server that was asked for, None if none was.

        Args:
            environment: Where PERFKIT_SMTP_URL is looked up.
            host: A server without encryption and login, instead of the variable's.
            port: Its port.

        Raises:
            ConfigError: The variable has a value it may not have, or a port comes without a host.
        """
        if host is not None:
            return cls(host=host, port=port or _PORTS[Security.NONE], sender=f"perfkit@{host}")
        if port is not None:
            msg = f"port {port} of which mail server? Name it with --smtp-host"
            raise ConfigError(msg)
        url = environment.get(_URL_VARIABLE)
        return cls.from_url(url) if url else None

    @classmethod
    def from_url(cls, url: str) -> Self:
        """
        Return the mail server that *url* names.

        Raises:
            ConfigError: It is none of the accepted forms; the message does not repeat a password.
        """
        try:
            parts = urlsplit(url)
            security = Security(parts.scheme)
            port = parts.port or _PORTS[security]
        except ValueError as error:
            raise _refusal(url) from error
        options = dict(parse_qsl(parts.query))
        sender = options.pop("from", f"perfkit@{parts.hostname}")
        if not parts.hostname or parts.path.strip("/") or options:
            raise _refusal(url)
        return cls(
            host=parts.hostname,
            port=port,
            security=security,
            username=unquote(parts.username or ""),
            password=unquote(parts.password or ""),
            sender=sender,
        )


def _refusal(url: str) -> ConfigError:
    start, at, rest = url.rpartition("@")
    shown = (
        f"{start.partition('://')[0]}://…@{rest}"
        if at and "://" in start
        else f"{at and '…@'}{rest}"
    )
    return ConfigError(f"{shown!r} is no mail server; write {_FORM}")


@dataclass(slots=True, eq=False)
class _Open:
    """A connection that stays open for the next mail of the same thread."""

    client: smtplib.SMTP
    sender: str
    used_at_s: float = 0.0
    sent: int = 0

    def is_fresh(self) -> bool:
        return self.sent < _PER_CONNECTION and time.monotonic() - self.used_at_s < _IDLE_S

    def send(self, message: EmailMessage, recipient: str) -> None:
        # a second attempt may be over another connection
        del message["From"]
        message["From"] = self.sender
        self.client.send_message(message, self.sender, [recipient])
        self.sent += 1
        self.used_at_s = time.monotonic()


class Mailer:
    """
    Sends notifications, from any number of threads; each keeps its connection for a while.

    Args:
        smtp: The mail server, or what to call before each connection for where it is now.
    """

    def __init__(self, smtp: SmtpSettings | Callable[[], SmtpSettings]) -> None:
        self._locate: Callable[[], SmtpSettings] = (
            (lambda: smtp) if isinstance(smtp, SmtpSettings) else smtp
        )
        self._mine = threading.local()
        self._all: set[_Open] = set()

    def send(self, notification: Notification) -> None:
        """
        Deliver *notification* to the mail server; once it returns the server has taken it.

        Raises:
            MailError: Not this time: no connection, no answer, or a temporary refusal.
            MailRefusedError: Never: the server refused for good, or no mail can be made of it.
        """
        try:
            message = _compose(notification)
        except (ValueError, IndexError, AttributeError) as error:
            # the standard library's header parser fails in all of these ways on odd addresses
            msg = f"no mail can be made for {notification.recipient!r}: {error}"
            raise MailRefusedError(msg) from error
        try:
            self._send(message, notification.recipient)
        except (smtplib.SMTPException, OSError) as error:
            self._hang_up()
            raise _translated(error) from error
        except ValueError as error:
            # SMTP has no way to write this address; nothing was sent
            self._hang_up()
            msg = f"no mail can be sent to {notification.recipient!r}: {error}"
            raise MailRefusedError(msg) from error

    def close(self) -> None:
        """Close the connections of all threads; none may be sending."""
        while self._all:
            self._all.pop().client.close()

    def _hang_up(self) -> None:
        kept: _Open | None = getattr(self._mine, "open", None)
        if kept is not None:
            self._mine.open = None
            self._all.discard(kept)
            kept.client.close()

    def _send(self, message: EmailMessage, recipient: str) -> None:
        kept: _Open | None = getattr(self._mine, "open", None)
        if kept is not None and kept.is_fresh():
            try:
                kept.send(message, recipient)
            except (smtplib.SMTPServerDisconnected, ConnectionError):
                # the server may close what was idle; that says nothing about this mail
                pass
            else:
                return
        self._hang_up()
        settings = self._locate()
        kept = _Open(_connect(settings), settings.sender)
        self._mine.open = kept
        self._all.add(kept)
        kept.send(message, recipient)


def _compose(notification: Notification) -> EmailMessage:
    if "@" not in notification.recipient:
        msg = "that is no address"
        raise ValueError(msg)
    message = EmailMessage()
    message["To"] = notification.recipient
    message["Subject"] = notification.subject
    message["Date"] = format_datetime(notification.created_at)
    message["Message-ID"] = f"<{notification.idempotency_key}@perfkit>"
    message[KEY_HEADER] = notification.idempotency_key
    message["X-Request-ID"] = notification.request_id
    message.set_content(notification.text)
    return message


def _connect(settings: SmtpSettings) -> smtplib.SMTP:
    client: smtplib.SMTP
    if settings.security is Security.TLS:
        client = smtplib.SMTP_SSL(
            settings.host,
            settings.port,
            local_hostname="localhost",
            timeout=settings.timeout_s,
            context=ssl.create_default_context(),
        )
    else:
        # without a name smtplib asks the resolver for this machine's, which may take seconds
        client = smtplib.SMTP(
            settings.host, settings.port, local_hostname="localhost", timeout=settings.timeout_s
        )
    try:
        if settings.security is Security.STARTTLS:
            client.starttls(context=ssl.create_default_context())
        if settings.username:
            client.login(settings.username, settings.password)
    except BaseException:
        client.close()
        raise
    return client


def _translated(error: smtplib.SMTPException | OSError) -> MailError | MailRefusedError:
    match error:
        case smtplib.SMTPRecipientsRefused():
            code, reason = next(iter(error.recipients.values()))
            return _by_code(code, reason)
        case smtplib.SMTPDataError():
            return _by_code(error.smtp_code, error.smtp_error)
        case smtplib.SMTPResponseException():
            # greeting, login or sender: what is wrong concerns all mails, not this one
            return MailError(f"{error.smtp_code} {_text(error.smtp_error)}")
        case smtplib.SMTPNotSupportedError():
            return MailRefusedError(str(error))
        case _:
            return MailError(str(error) or type(error).__name__)


def _by_code(code: int, reason: bytes | str) -> MailError | MailRefusedError:
    kind = MailRefusedError if 500 <= code < 600 else MailError
    return kind(f"{code} {_text(reason)}")


def _text(reason: bytes | str) -> str:
    text = reason.decode(errors="replace") if isinstance(reason, bytes) else reason
    # an answer of several lines, or worse, must not look like several lines of our log
    return " ".join(word for word in text.split() if word.isprintable())
