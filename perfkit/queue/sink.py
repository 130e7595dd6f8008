"""A local mail server that keeps all mail and delivers none, as slow as the real one it stands for."""

import asyncio
import json
import logging
import os
import smtplib
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from email import policy
from email.parser import BytesHeaderParser
from pathlib import Path
from types import TracebackType
from typing import Self

from aiosmtpd.smtp import SMTP, Envelope, Session

from perfkit.errors import ConfigError, TargetError
from perfkit.files import replace_file
from perfkit.queue.mail import KEY_HEADER, SmtpSettings

__all__ = ["LocalSink", "ReceivedMail", "SinkServer", "start_sink"]

_DELAY_S = 0.4
"""What sending a mail takes in the reference document."""

_FILE = "mail-sink.json"
_HOST = "127.0.0.1"

_IDENT = "perfkit mail sink"
_MAX_BYTES = 1 << 20
# one that is well may take its time on a machine that is busy
_FIND_S = 5.0
_HEADERS = BytesHeaderParser(policy=policy.default)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceivedMail:
    """A mail that arrived."""

    sender: str
    recipients: tuple[str, ...]
    subject: str
    idempotency_key: str
    content: bytes


class SinkServer:
    """
    An SMTP server on the loopback interface, in a thread of its own; also a context manager.

    Args:
        delay_s: Seconds from a mail's last byte to its acceptance; mails do not wait for another.
        port: 0 takes a free one.
        keep: How many of the last mails to keep.
        on_mail: Called in the server's thread with each mail, before it is accepted. A string it
            returns is the answer instead of the acceptance: "451 come back later".
    """

    def __init__(
        self,
        *,
        delay_s: float = _DELAY_S,
        port: int = 0,
        keep: int = 1000,
        on_mail: Callable[[ReceivedMail], str | None] | None = None,
    ) -> None:
        self.host = _HOST
        self.port = port
        self.received = 0
        """How many mails were accepted."""
        self.mails: deque[ReceivedMail] = deque(maxlen=keep)
        self._delay_s = delay_s
        self._on_mail = on_mail
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="perfkit-mail-sink", daemon=True)
        self._server: asyncio.Server | None = None
        self._file: Path | None = None

    @property
    def settings(self) -> SmtpSettings:
        """How to send mail to it."""
        return SmtpSettings(host=self.host, port=self.port)

    def start(self) -> Self:
        """
        Listen.

        Raises:
            TargetError: The port is taken.
        """
        # it repeats each conversation, addresses and all
        logging.getLogger("mail.log").setLevel(logging.ERROR)
        self._thread.start()
        try:
            asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result()
        except OSError as error:
            self.stop()
            reason = os.strerror(error.errno) if error.errno else error
            msg = f"no mail sink on port {self.port}: {reason}; choose another port"
            raise TargetError(msg) from error
        return self

    def stop(self) -> None:
        """Hang up on everybody."""
        # by now another sink may have been announced
        if self._file is not None and _announced(self._file) == self.settings:
            self._file.unlink(missing_ok=True)
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()

    def announce(self, folder: Path) -> None:
        """Write down in *folder* where the sink is, so that `_find_sink` finds it."""
        folder.mkdir(parents=True, exist_ok=True)
        self._file = folder / _FILE
        replace_file(self._file, json.dumps({"host": self.host, "port": self.port}).encode())

    def __enter__(self) -> Self:
        return self if self._thread.is_alive() else self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: ARG002, N802 - named by aiosmtpd
        """Take a mail, in the time it takes."""
        content = envelope.original_content or b""
        headers = _HEADERS.parsebytes(content)
        mail = ReceivedMail(
            sender=envelope.mail_from or "",
            recipients=tuple(envelope.rcpt_tos),
            subject=str(headers.get("Subject", "")),
            idempotency_key=str(headers.get(KEY_HEADER, "")),
            content=content,
        )
        await asyncio.sleep(self._delay_s)
        answer = self._on_mail(mail) if self._on_mail else None
        if answer is None:
            self.mails.append(mail)
            self.received += 1
            answer = "250 OK"
        return answer

    def _protocol(self) -> SMTP:
        return SMTP(
            self,
            hostname="localhost",
            ident=_IDENT,
            data_size_limit=_MAX_BYTES,
            enable_SMTPUTF8=True,
            loop=self._loop,
        )

    def _run(self) -> None:
        self._loop.run_forever()
        self._loop.run_until_complete(self._hang_up())
        self._loop.close()

    async def _listen(self) -> None:
        self._server = await self._loop.create_server(
            self._protocol, self.host, self.port, backlog=1024
        )
        self.port = self._server.sockets[0].getsockname()[1]

    async def _hang_up(self) -> None:
        if self._server is not None:
            self._server.close()
        conversations = asyncio.all_tasks() - {asyncio.current_task()}
        for conversation in conversations:
            conversation.cancel()
        await asyncio.gather(*conversations, return_exceptions=True)


def start_sink(*, folder: Path | None = None, delay_s: float = _DELAY_S) -> SinkServer:
    """
    Return a running sink; end it with its `stop`.

    Args:
        folder: perfkit's folder, where workers look for it; None writes nothing.
        delay_s: Seconds it takes to accept a mail.
    """
    sink = SinkServer(delay_s=delay_s).start()
    if folder is not None:
        sink.announce(folder)
    return sink


def _find_sink(folder: Path) -> SmtpSettings | None:
    """Return how to reach the sink announced in *folder*, None if none is there any more."""
    settings = _announced(folder / _FILE)
    if settings is None:
        return None
    try:
        with smtplib.SMTP(timeout=_FIND_S) as client:
            _, greeting = client.connect(settings.host, settings.port)
    except OSError:
        # smtplib's own errors are OSErrors too
        return None
    return settings if _IDENT.encode() in greeting else None


def _announced(file: Path) -> SmtpSettings | None:
    try:
        place = json.loads(file.read_text())
        return SmtpSettings(host=place["host"], port=place["port"])
    except (OSError, ValueError, KeyError, TypeError, ConfigError):
        return None


class LocalSink:
    """The sink of a folder, looked up at each call; without one, an own one is started."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._own: SinkServer | None = None

    def __str__(self) -> str:
        return "the local sink"

    def __call__(self) -> SmtpSettings:
        """Return how to reach it."""
        with self._lock:
            if self._own is None:
                found = _find_sink(self._folder)
                if found is not None:
                    return found
                self._own = start_sink()
            return self._own.settings

    def close(self) -> None:
        """End the own one, if there is one."""
        if self._own is not None:
            self._own.stop()
