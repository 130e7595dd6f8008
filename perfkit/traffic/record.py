"""Recording from beginning to end: the proxy, the trace, and the application where it is started here."""

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import uvloop
from multidict import CIMultiDict

from perfkit import __version__
from perfkit.dynamodb.targets import Target
from perfkit.errors import ConfigError
from perfkit.hosts import is_loopback
from perfkit.traffic.failures import Failures, failures_of
from perfkit.traffic.proxy import Proxy
from perfkit.traffic.shapes import Fingerprint
from perfkit.traffic.trace_file import Totals, TraceWriter
from perfkit.traffic.upstream import NoAnswerError, Upstream, open_upstream

__all__ = ["Live", "Options", "Recorded", "default_path", "record"]

_ENDPOINT_VARIABLE = "AWS_ENDPOINT_URL_DYNAMODB"
"""What SDKs read where DynamoDB is: all current ones; see `docs/traffic.md` for older ones."""

_PASSED_ON = tuple(
    getattr(signal, name)
    for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT", "SIGUSR1", "SIGUSR2")
    if hasattr(signal, name)
)
_ENDS = (signal.SIGINT, signal.SIGTERM)
_LIVE_EVERY_S = 1.0
_ANSWER_S = 5.0

Live = Callable[[Mapping[Fingerprint, Totals], float], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """
    How to record.

    Args:
        target: What is recorded in front of.
        path: The trace.
        most_bytes: Size of the trace beyond which details are thinned out.
        host: Address that is listened on.
        allowed: Names of hosts beside those of this machine.
        command: What to run; empty for nothing.
        duration_s: How long; None until interrupted or the command ends.
        keep_values: Keep requests as they were.
    """

    target: Target
    path: Path
    most_bytes: int
    host: str = "127.0.0.1"
    allowed: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    duration_s: float | None = None
    keep_values: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """
    What became of a recording.

    Args:
        requests: How many were recorded.
        unread: How many were passed on and could not be.
        duration_s: How long it took.
        exit_code: The command's, 128 and the number of a signal that ended it; None without one.
        failures: What went wrong among the requests.
        away: Why a target that nothing was asked of cannot be reached; "" where it can, or was
            asked.
    """

    requests: int
    unread: int
    duration_s: float
    exit_code: int | None
    failures: Failures
    away: str


def record(
    options: Options,
    listener: socket.socket,
    *,
    started: Callable[[], None] = lambda: None,
    warn: Callable[[str], None],
    live: Live | None = None,
) -> Recorded:
    """
    Record until the command ends, the time is over, or somebody interrupts.

    Args:
        options: How.
        listener: A socket, bound.
        started: Called once connections are accepted.
        warn: Called once, from any thread, when recording has to stop.
        live: Called every second with the totals so far and the seconds that went by.

    Raises:
        ConfigError: The trace, the target's credentials, a host's name or the command will not do.
        StorageFullError: There is no space for a trace.
    """
    _refuse_itself(options.target, listener)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_record(options, listener, started, warn, live))


async def _record(
    options: Options,
    listener: socket.socket,
    started: Callable[[], None],
    warn: Callable[[str], None],
    live: Live | None,
) -> Recorded:
    upstream = await open_upstream(options.target)
    try:
        writer = TraceWriter(options.path, _meta(options), most_bytes=options.most_bytes, warn=warn)
    except BaseException:
        await upstream.close()
        raise
    began_s = time.monotonic()
    proxy: Proxy | None = None
    try:
        proxy = Proxy(
            upstream,
            writer,
            host=options.host,
            allowed=options.allowed,
            keep_values=options.keep_values,
            doubt_of=options.target.doubt_of,
        )
        await proxy.start(listener)
        started()
        telling = asyncio.create_task(_tell(live, writer, proxy)) if live else None
        code = await _run(options, listener)
        if telling is not None:
            telling.cancel()
        duration_s = time.monotonic() - began_s
        away = "" if writer.recorded else await _why_away(options.target, upstream)
        await proxy.stop()
        writer.note(complete=True, duration_s=duration_s, unread=proxy.unread)
    except BaseException:
        await (upstream.close() if proxy is None else proxy.stop())
        raise
    finally:
        writer.close()
        if not writer.recorded:
            # nothing is no trace
            options.path.unlink(missing_ok=True)
    return Recorded(
        requests=writer.recorded,
        unread=proxy.unread,
        duration_s=duration_s,
        exit_code=code,
        failures=failures_of(writer.totals().values()),
        away=away,
    )


async def _why_away(target: Target, upstream: Upstream) -> str:
    """Return why a target's endpoint gives no answer; "" for what is no endpoint of one's own."""
    if target.is_aws or not target.endpoint_url:
        return ""
    try:
        async with asyncio.timeout(_ANSWER_S):
            await upstream.send("GET", "/", CIMultiDict(), b"")
    except NoAnswerError as error:
        return str(error)
    except TimeoutError:
        return f"no answer within {_ANSWER_S:g} s"
    return ""


async def _tell(live: Live, writer: TraceWriter, proxy: Proxy) -> None:
    while True:
        await asyncio.sleep(_LIVE_EVERY_S)
        live(writer.totals(), proxy.elapsed_s)


def _meta(options: Options) -> dict[str, Any]:
    return {
        "perfkit": __version__,
        "started_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "target": options.target.describe(),
        "command": Path(options.command[0]).name if options.command else "",
        "keeps_values": options.keep_values,
        "complete": False,
    }


def _refuse_itself(target: Target, listener: socket.socket) -> None:
    parts = urlsplit(target.endpoint_url or "")
    if is_loopback(parts.hostname) and parts.port == listener.getsockname()[1]:
        msg = (
            f"the target {target.name} is this recorder's own address; give another --port, or"
            " with --target where DynamoDB is"
        )
        raise ConfigError(msg)


# ---- the application -----------------------------------------------------------------------


async def _run(options: Options, listener: socket.socket) -> int | None:
    """Run the command to its end, or wait; return its exit code."""
    if not options.command:
        await _wait(options.duration_s)
        return None
    url = f"http://{options.host}:{listener.getsockname()[1]}"
    with _started(options, url) as process:
        loop = asyncio.get_running_loop()
        for each in _PASSED_ON:
            loop.add_signal_handler(each, _pass_on, process, each)
        try:
            ended = asyncio.create_task(asyncio.to_thread(process.wait))
            done, _ = await asyncio.wait({ended}, timeout=options.duration_s)
            if not done:
                process.terminate()
            code = await ended
        finally:
            for each in _PASSED_ON:
                loop.remove_signal_handler(each)
    return 128 - code if code < 0 else code


async def _wait(duration_s: float | None) -> None:
    loop, enough = asyncio.get_running_loop(), asyncio.Event()
    for each in _ENDS:
        loop.add_signal_handler(each, enough.set)
    try:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(enough.wait(), duration_s)
    finally:
        for each in _ENDS:
            loop.remove_signal_handler(each)


def _pass_on(process: "subprocess.Popen[bytes]", number: signal.Signals) -> None:
    # what is typed at a terminal reaches the command too
    if number in {signal.SIGINT, signal.SIGQUIT} and _is_in_front():
        return
    with contextlib.suppress(ProcessLookupError):
        process.send_signal(number)


def _is_in_front() -> bool:
    try:
        return os.tcgetpgrp(0) == os.getpgrp()
    except OSError:
        return False


@contextlib.contextmanager
def _started(options: Options, url: str) -> "Iterator[subprocess.Popen[bytes]]":
    command = options.command
    try:
        process = subprocess.Popen(  # noqa: S603 - what the user gave
            command, env={**os.environ, **_environment(options.target, url, os.environ)}
        )
    except OSError as error:
        msg = f"cannot run {command[0]} ({error.strerror}); is it on the PATH?"
        raise ConfigError(msg) from error
    try:
        yield process
    finally:
        if process.poll() is None:
            process.terminate()
            process.wait()


def _environment(target: Target, url: str, given: Mapping[str, str]) -> dict[str, str]:
    """
    Return what a command's environment gets, so that SDKs in it come here.

    A region and credentials only where there are none and the target checks neither.
    """
    added = {_ENDPOINT_VARIABLE: url}
    if given.get("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "false").lower() == "true":
        added["AWS_IGNORE_CONFIGURED_ENDPOINT_URLS"] = "false"
    for name in ("NO_PROXY", "no_proxy"):
        if any(given.get(each) for each in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy")):
            added[name] = ",".join(filter(None, [given.get(name), "127.0.0.1"]))
    if target.is_aws:
        return added
    has_region, has_credentials = _configured()
    # some SDKs read one of them, some the other
    names = ("AWS_REGION", "AWS_DEFAULT_REGION")
    region = next(filter(None, map(given.get, names)), "")
    if region or not has_region:
        region = region or target.resolved_region()
        added |= {name: region for name in names if not given.get(name)}
    if not has_credentials:
        added |= dict.fromkeys(("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"), "perfkit")
    return added


def _configured() -> tuple[bool, bool]:
    """Return whether AWS's own settings have a region, and credentials."""
    import botocore.session

    session = botocore.session.get_session()
    # asking a cloud machine for its role takes seconds where there is none
    session.get_component("credential_provider").remove("iam-role")
    region = session.get_config_variable("region") or os.environ.get("AWS_REGION")
    try:
        return bool(region), session.get_credentials() is not None
    except Exception:  # noqa: BLE001 - whatever is wrong with them, they are there
        return bool(region), True


def default_path(folder: Path, now: datetime) -> Path:
    """Return where a trace goes that nobody named."""
    return folder / f"{now:%Y-%m-%dT%H-%M-%S}.trace"
