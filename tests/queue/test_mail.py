"""Sending mail, and the sink that takes it when there is no mail server."""

import smtplib
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from email import message_from_bytes, policy
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.smtp import SMTP, AuthResult
from hypothesis import given
from hypothesis import strategies as st

from perfkit.errors import ConfigError, TargetError
from perfkit.queue.mail import (
    Mailer,
    MailError,
    MailRefusedError,
    Security,
    SmtpSettings,
)
from perfkit.queue.model import Notification
from perfkit.queue.sink import (
    LocalSink,
    ReceivedMail,
    SinkServer,
    _find_sink,
    start_sink,
)

pytestmark = pytest.mark.processes


def notification(recipient: str = "student123@example.com", subject: str = "Hi") -> Notification:
    return Notification(
        kind="activity",
        recipient=recipient,
        subject=subject,
        text="You looked at the courses.",
        request_id="request-1",
        created_at=datetime(2026, 11, 22, 18, 30, tzinfo=UTC),
        idempotency_key="key-1",
    )


@pytest.fixture
def sink() -> Iterator[SinkServer]:
    with SinkServer(delay_s=0) as sink:
        yield sink


@pytest.fixture
def mailer_of() -> Iterator[Callable[[SmtpSettings], Mailer]]:
    """Return a function that makes mailers, whose connections are closed at the end."""
    mailers = []

    def make(settings: SmtpSettings) -> Mailer:
        mailers.append(Mailer(settings))
        return mailers[-1]

    yield make
    for mailer in mailers:
        mailer.close()


# ---- settings ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "security", "port"),
    [
        ("smtp://mail.example.com", Security.NONE, 25),
        ("smtp+starttls://mail.example.com", Security.STARTTLS, 587),
        ("smtps://mail.example.com", Security.TLS, 465),
        ("smtp://mail.example.com:2525", Security.NONE, 2525),
    ],
)
def test_the_url_says_host_port_and_encryption(url: str, security: Security, port: int) -> None:
    settings = SmtpSettings.from_url(url)

    assert (settings.host, settings.security, settings.port) == (
        "mail.example.com",
        security,
        port,
    )
    assert settings.sender == "perfkit@mail.example.com"


@given(username=st.text(), password=st.text(), sender=st.text(min_size=1))
def test_a_url_made_of_settings_makes_the_same_settings(
    username: str, password: str, sender: str
) -> None:
    settings = SmtpSettings(
        host="::1",
        port=587,
        security=Security.STARTTLS,
        username=username,
        password=password if username else "",
        sender=sender,
    )

    assert SmtpSettings.from_url(settings.url) == settings


@pytest.mark.parametrize(
    "url",
    [
        "mail.example.com",
        "http://user:secret@mail.example.com",
        "smtp://",
        "smtp://user:secret@mail.example.com:x",
        "smtp://user:secret@mail.example.com:99999",
        "smtp://mail.example.com/path",
        "smtps://user:secret@mail.example.com?to=you",
        "user:secret@mail.example.com",
    ],
)
def test_a_wrong_url_is_refused_without_repeating_the_password(url: str) -> None:
    with pytest.raises(ConfigError, match=r"is no mail server; write smtp://HOST") as caught:
        SmtpSettings.from_url(url)

    assert "secret" not in str(caught.value)


def test_a_password_is_not_sent_unencrypted() -> None:
    with pytest.raises(ConfigError, match="would be sent unencrypted") as caught:
        SmtpSettings.from_url("smtp://user:secret@mail.example.com")

    assert "secret" not in str(caught.value)


def test_the_password_is_in_no_representation() -> None:
    settings = SmtpSettings.from_url("smtps://user:secret@mail.example.com")

    assert "secret" not in f"{settings} {settings!r}"


def test_options_go_before_the_variable() -> None:
    environment = {"PERFKIT_SMTP_URL": "smtps://mail.example.com"}

    assert SmtpSettings.configured({}) is None
    assert SmtpSettings.configured(environment) == SmtpSettings.from_url("smtps://mail.example.com")
    given = SmtpSettings.configured(environment, host="other.example.com", port=2525)
    assert str(given) == "other.example.com:2525"
    with pytest.raises(ConfigError, match=r"port 2525 of which mail server\? Name it"):
        SmtpSettings.configured(environment, port=2525)


# ---- sending -----------------------------------------------------------------------------


def test_a_mail_arrives_as_it_was_meant(
    sink: SinkServer, mailer_of: Callable[[SmtpSettings], Mailer]
) -> None:
    mailer_of(sink.settings).send(notification(subject="Grüße"))

    assert sink.received == 1
    mail = sink.mails[0]
    assert (mail.recipients, mail.subject) == (("student123@example.com",), "Grüße")
    assert mail.idempotency_key == "key-1"
    message = message_from_bytes(mail.content, policy=policy.default)
    assert message["Message-ID"] == "<key-1@perfkit>"
    assert message["Date"] == "Sun, 22 Nov 2026 18:30:00 +0000"
    assert message["From"] == "perfkit@localhost"
    assert message["X-Request-ID"] == "request-1"
    assert message.get_content().splitlines() == ["You looked at the courses."]


def test_a_thread_keeps_its_connection(
    sink: SinkServer,
    mailer_of: Callable[[SmtpSettings], Mailer],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    opened = []
    connect = smtplib.SMTP.connect

    def counted(self: smtplib.SMTP, host: str, port: int) -> tuple[int, bytes]:
        opened.append(port)
        return connect(self, host, port)

    monkeypatch.setattr(smtplib.SMTP, "connect", counted)
    mailer = mailer_of(sink.settings)

    for _ in range(3):
        mailer.send(notification())

    assert (sink.received, len(opened)) == (3, 1)


def test_a_connection_the_server_closed_is_no_failure(
    mailer_of: Callable[[SmtpSettings], Mailer], free_port: Callable[[], int]
) -> None:
    port = free_port()
    with SinkServer(delay_s=0, port=port) as sink:
        mailer = mailer_of(sink.settings)
        mailer.send(notification())

    with SinkServer(delay_s=0, port=port) as successor:
        mailer.send(notification())

        assert successor.received == 1


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        pytest.param("451 greylisted, come back", MailError, id="temporary"),
        pytest.param("552 too big", MailRefusedError, id="for good"),
    ],
)
def test_what_the_server_answers_decides_whether_to_try_again(
    answer: str, expected: type[Exception], mailer_of: Callable[[SmtpSettings], Mailer]
) -> None:
    with SinkServer(delay_s=0, on_mail=lambda _: answer) as sink:
        with pytest.raises(expected, match=answer):
            mailer_of(sink.settings).send(notification())

        assert sink.received == 0


def test_what_the_server_says_fits_into_a_line(
    mailer_of: Callable[[SmtpSettings], Mailer],
) -> None:
    answer = "552-too big\r\n552 see \x1b[31m help"

    with (
        SinkServer(delay_s=0, on_mail=lambda _: answer) as sink,
        pytest.raises(MailRefusedError) as caught,
    ):
        mailer_of(sink.settings).send(notification())

    assert str(caught.value) == "552 too big see help"


@pytest.mark.parametrize(
    ("recipient", "subject"),
    [
        pytest.param("a@b.c\r\nBcc: all@example.com", "Hi", id="line break in the address"),
        pytest.param("a@b.c", "Hi\r\nBcc: all@example.com", id="line break in the subject"),
        pytest.param("", "Hi", id="no address"),
        pytest.param("no address", "Hi", id="no address at all"),
        pytest.param("a@b.c\ud800", "Hi", id="not even text"),
        pytest.param("<<<@>>>", "Hi", id="nonsense"),
    ],
)
def test_a_mail_that_cannot_be_is_refused_and_nobody_gets_it(
    recipient: str,
    subject: str,
    sink: SinkServer,
    mailer_of: Callable[[SmtpSettings], Mailer],
) -> None:
    with pytest.raises(MailRefusedError):
        mailer_of(sink.settings).send(notification(recipient, subject))

    assert sink.received == 0


@given(recipient=st.text(st.characters(), max_size=30), subject=st.text(st.characters()))
def test_any_text_is_sent_to_one_recipient_or_refused(recipient: str, subject: str) -> None:
    mailer = Mailer(_shared_sink().settings)
    before = _shared_sink().received

    try:
        mailer.send(notification(recipient, subject))
        sent = 1
    except MailRefusedError:
        sent = 0
    finally:
        mailer.close()

    assert _shared_sink().received - before == sent
    if sent:
        assert len(_shared_sink().mails[-1].recipients) == 1
        assert b"\nBcc:" not in _shared_sink().mails[-1].content


_SHARED: list[SinkServer] = []


def _shared_sink() -> SinkServer:
    if not _SHARED:
        _SHARED.append(SinkServer(delay_s=0).start())
    return _SHARED[0]


@pytest.fixture(scope="module", autouse=True)
def _stop_shared_sink() -> Iterator[None]:
    yield
    while _SHARED:
        _SHARED.pop().stop()


def test_no_server_is_a_failure_for_now(mailer_of: Callable[[SmtpSettings], Mailer]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        settings = SmtpSettings(host="127.0.0.1", port=taken.getsockname()[1])

        with pytest.raises(MailError, match="refused"):
            mailer_of(settings).send(notification())


def test_a_silent_server_is_given_up_in_time(mailer_of: Callable[[SmtpSettings], Mailer]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        settings = SmtpSettings(host="127.0.0.1", port=silent.getsockname()[1], timeout_s=0.1)

        with pytest.raises(MailError, match="timed out"):
            mailer_of(settings).send(notification())


# ---- encryption and login ------------------------------------------------------------------

# of nobody, for localhost, valid for a hundred years
CERTIFICATE = """\
-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg2wMNude2MN3yPu/r
1KhjujU+mToB6On7KMctQm+c2AuhRANCAARErGSNPlhNPgAqnWxcBkpkKhJr15Jq
utidIGeiPFKXBQejToe8Ibnxv3WADdTwksvg/+C9by4z4G166dXvCsT9
-----END PRIVATE KEY-----
-----BEGIN CERTIFICATE-----
MIIBmzCCAUGgAwIBAgIUKDey9Qkl/shdqojtd4Co18E3kyMwCgYIKoZIzj0EAwIw
FDESMBAGA1UEAwwJbG9jYWxob3N0MCAXDTI2MTEyMjE5MTMxMVoYDzIxMjYxMDI5
MTkxMzExWjAUMRIwEAYDVQQDDAlsb2NhbGhvc3QwWTATBgcqhkjOPQIBBggqhkjO
PQMBBwNCAARErGSNPlhNPgAqnWxcBkpkKhJr15JqutidIGeiPFKXBQejToe8Ibnx
v3WADdTwksvg/+C9by4z4G166dXvCsT9o28wbTAdBgNVHQ4EFgQUCgcwc2i1k9mE
tqZFsxb/1CwsM0gwHwYDVR0jBBgwFoAUCgcwc2i1k9mEtqZFsxb/1CwsM0gwDwYD
VR0TAQH/BAUwAwEB/zAaBgNVHREEEzARgglsb2NhbGhvc3SHBH8AAAEwCgYIKoZI
zj0EAwIDSAAwRQIgI7wB+K022IyL20vLYLnh08D6QpDMBURT+uLNGOFhC4QCIQDk
AAxwFKaJJnc6OfxEAFCrRCJA3KwgdmPIf9CawIdvQg==
-----END CERTIFICATE-----
"""


class SecureSink(SinkServer):
    """Takes mail only over an encrypted connection, from one who knows the password."""

    def __init__(self, certificate: Path) -> None:
        super().__init__(delay_s=0)
        self._context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self._context.load_cert_chain(certificate)

    def _protocol(self) -> SMTP:
        def check(*arguments: Any) -> AuthResult:
            login = arguments[-1]
            known = (login.login, login.password) == (b"user", b"secret")
            return AuthResult(success=known, handled=False)

        return SMTP(
            self,
            hostname="localhost",
            tls_context=self._context,
            require_starttls=True,
            auth_required=True,
            authenticator=check,
            loop=self._loop,
        )


@pytest.fixture
def secure(tmp_path: Path) -> Iterator[SecureSink]:
    (tmp_path / "certificate.pem").write_text(CERTIFICATE)
    with SecureSink(tmp_path / "certificate.pem") as sink:
        yield sink


def test_a_mail_goes_over_an_encrypted_connection_after_a_login(
    secure: SecureSink,
    tmp_path: Path,
    mailer_of: Callable[[SmtpSettings], Mailer],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "certificate.pem"))
    url = f"smtp+starttls://user:secret@localhost:{secure.port}?from=perfkit@example.com"

    mailer_of(SmtpSettings.from_url(url)).send(notification())

    assert [mail.sender for mail in secure.mails] == ["perfkit@example.com"]


def test_a_wrong_password_is_no_fault_of_the_mail_and_is_not_repeated(
    secure: SecureSink,
    tmp_path: Path,
    mailer_of: Callable[[SmtpSettings], Mailer],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "certificate.pem"))
    url = f"smtp+starttls://user:wrong-word@localhost:{secure.port}"

    with pytest.raises(MailError, match=r"^535 ") as caught:
        mailer_of(SmtpSettings.from_url(url)).send(notification())

    assert "wrong-word" not in str(caught.value)


def test_a_server_that_cannot_prove_who_it_is_gets_neither_password_nor_mail(
    secure: SecureSink, mailer_of: Callable[[SmtpSettings], Mailer]
) -> None:
    url = f"smtp+starttls://user:secret@localhost:{secure.port}"

    with pytest.raises(MailError, match="CERTIFICATE_VERIFY_FAILED"):
        mailer_of(SmtpSettings.from_url(url)).send(notification())

    assert secure.received == 0


# ---- the sink ----------------------------------------------------------------------------


def test_the_sink_takes_its_time_for_each_mail_but_for_all_at_once(
    mailer_of: Callable[[SmtpSettings], Mailer], accept_together: Callable[[int], None]
) -> None:
    accept_together(10)
    with SinkServer(delay_s=0.4) as sink, ThreadPoolExecutor(10) as threads:
        mailer = mailer_of(sink.settings)
        started_s = time.perf_counter()

        list(threads.map(lambda _: mailer.send(notification()), range(10)))

        elapsed_s = time.perf_counter() - started_s
        assert sink.received == 10
        assert elapsed_s >= 0.4


def test_the_sink_keeps_the_last_mails_and_counts_all(
    mailer_of: Callable[[SmtpSettings], Mailer],
) -> None:
    with SinkServer(delay_s=0, keep=2) as sink:
        for number in range(3):
            mailer_of(sink.settings).send(notification(subject=f"{number}"))

        assert sink.received == 3
        assert [mail.subject for mail in sink.mails] == ["1", "2"]


def test_the_sink_of_a_folder_is_found_until_it_stops(tmp_path: Path) -> None:
    assert _find_sink(tmp_path) is None
    sink = start_sink(folder=tmp_path, delay_s=0)

    assert _find_sink(tmp_path) == sink.settings
    sink.stop()
    assert _find_sink(tmp_path) is None


@pytest.mark.parametrize(
    "content", ["", "[]", "{}", '{"host": "127.0.0.1", "port": 0}', '{"host": 1, "port": "x"}']
)
def test_a_spoilt_announcement_is_no_sink(content: str, tmp_path: Path) -> None:
    (tmp_path / "mail-sink.json").write_text(content)

    assert _find_sink(tmp_path) is None


def test_another_server_on_the_sinks_port_is_not_taken_for_it(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        (tmp_path / "mail-sink.json").write_text(f'{{"host": "127.0.0.1", "port": {port}}}')

        def answer() -> None:
            with other.accept()[0] as connection:
                connection.sendall(b"220 postfix\r\n")

        answering = threading.Thread(target=answer)
        answering.start()

        found = _find_sink(tmp_path)
        answering.join()

    assert found is None


def test_a_sink_that_stops_does_not_take_down_the_sign_of_another(tmp_path: Path) -> None:
    first = start_sink(folder=tmp_path)
    with start_sink(folder=tmp_path) as second:
        first.stop()

        assert _find_sink(tmp_path) == second.settings


def test_a_taken_port_is_said(sink: SinkServer) -> None:
    with pytest.raises(TargetError, match=f"no mail sink on port {sink.port}: .*choose another"):
        SinkServer(port=sink.port).start()


def test_the_local_sink_moves_with_its_folder(tmp_path: Path) -> None:
    local = LocalSink(tmp_path)
    with start_sink(folder=tmp_path) as first:
        assert local() == first.settings
    with start_sink(folder=tmp_path) as second:
        assert local() == second.settings

    own = local()

    assert own.port != second.port
    assert local() == own
    local.close()


def test_each_mail_is_shown_before_it_is_accepted(
    mailer_of: Callable[[SmtpSettings], Mailer],
) -> None:
    seen: list[ReceivedMail] = []

    with SinkServer(delay_s=0, on_mail=seen.append) as sink:
        mailer_of(sink.settings).send(notification())

    assert [mail.idempotency_key for mail in seen] == ["key-1"]
