"""`perfkit record`: what an application asks of DynamoDB, recorded on its way."""

import sys
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from perfkit.commands.options import (
    DataOption,
    ProfileOption,
    RegionOption,
    make_target,
    seconds,
)
from perfkit.commands.output import note, say, warn
from perfkit.errors import ConfigError, EvidenceError
from perfkit.settings import TARGET_VARIABLE, TRACES_FOLDER

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from perfkit.dynamodb.targets import Target
    from perfkit.traffic.record import Live, Recorded
    from perfkit.traffic.shapes import Fingerprint
    from perfkit.traffic.trace_file import Totals

__all__ = ["record"]


def record(
    *,
    command: Annotated[
        list[str] | None,
        typer.Argument(metavar="[-- COMMAND …]", help="What to run; recording ends with it."),
    ] = None,
    target: Annotated[
        str | None,
        typer.Option(
            "--target",
            envvar=TARGET_VARIABLE,
            metavar="TARGET",
            help="embedded, aws, or the URL of an endpoint (default: embedded).",
        ),
    ] = None,
    data: DataOption = None,
    region: RegionOption = None,
    profile: ProfileOption = None,
    port: Annotated[
        int | None,
        typer.Option(
            min=0,
            max=65535,
            help="Port to listen on, on 127.0.0.1; 0 takes a free one (default: 8001, with a"
            " command a free one).",
        ),
    ] = None,
    allow_host: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="Name under which clients and web pages may reach it, beside this machine's own;"
            " repeatable.",
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help=f"The trace (default: one named by the time, in {TRACES_FOLDER})."
        ),
    ] = None,
    duration: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="How long at most, e.g. 90s, 10m or 2h."),
    ] = None,
    max_size: Annotated[
        float,
        typer.Option(
            "--max-size",
            min=1,
            metavar="MB",
            help="Size of the trace beyond which details are thinned out; counts stay exact.",
        ),
    ] = 256,
    keep_values: Annotated[
        bool,
        typer.Option(
            "--keep-values", help="Keep requests with all values. Only for your own test data."
        ),
    ] = False,
    live: Annotated[
        bool,
        typer.Option("--live", help="Show what is asked while it is recorded; needs a terminal."),
    ] = False,
) -> None:
    """
    Record what an application asks of DynamoDB, and pass it on.

    The application runs unchanged: with a command, perfkit sets AWS_ENDPOINT_URL_DYNAMODB for it,
    and returns its exit code. Without one, it listens until Ctrl-C. Keys are kept as keyed
    hashes, and other values not at all. With --target aws requests are signed again, with your own
    credentials.

    Example: perfkit record --target http://localhost:8000 -- pytest tests/integration
    """
    from perfkit.processes.sockets import bind, url_of
    from perfkit.traffic.record import Options, default_path
    from perfkit.traffic.record import record as run

    where = make_target(target, data, region, profile)
    wanted = tuple(command or ())
    path = output or default_path(TRACES_FOLDER, datetime.now(UTC))
    if output is not None and not output.parent.is_dir():
        msg = f"cannot write {output}: no folder {output.parent}; make it or give another --output"
        raise ConfigError(msg)
    options = Options(
        target=where,
        path=path,
        most_bytes=round(max_size * 1e6),
        allowed=tuple(allow_host or ()),
        command=wanted,
        duration_s=seconds("--duration", duration),
        keep_values=keep_values,
    )
    listener = bind(options.host, port if port is not None else 0 if wanted else 8001)
    with listener:
        url = url_of(listener, options.host)

        def started() -> None:
            if keep_values:
                warn(f"{path} will hold all values of all requests (mode 0600).")
            if not wanted:
                note(
                    f"Recording in front of {where.name}. Start your application with"
                    f"\n  AWS_ENDPOINT_URL_DYNAMODB={url}\nCtrl-C ends it."
                )

        with _live(wanted=live) as shown:
            done = run(options, listener, started=started, warn=warn, live=shown)
    _conclude(done, path, url, where)


@contextmanager
def _live(*, wanted: bool) -> "Iterator[Live | None]":
    """
    Yield what shows the totals on standard error, in place; None where nobody wants it.

    Raises:
        ConfigError: Standard error is no terminal.
    """
    if not wanted:
        yield None
        return
    if not sys.stderr.isatty():
        msg = "--live needs a terminal; leave it out and look with perfkit traffic show"
        raise ConfigError(msg)
    from rich.console import Console
    from rich.live import Live as Display
    from rich.text import Text

    from perfkit.report.plain import render_blocks
    from perfkit.traffic.show import live_table

    console = Console(stderr=True, highlight=False)
    with Display(console=console, auto_refresh=False) as display:

        def show(totals: "Mapping[Fingerprint, Totals]", elapsed_s: float) -> None:
            blocks = live_table(
                totals, elapsed_s, rows=max(console.height - 6, 3), width=console.width
            )
            display.update(Text(render_blocks(blocks, console.width)), refresh=True)

        yield show


def _conclude(done: "Recorded", path: Path, url: str, target: "Target") -> None:
    from perfkit.units import format_duration, format_many

    if done.unread:
        what = format_many(done.unread, "request was", "requests were")
        warn(f"{what} passed on and could not be read.")
    if done.requests:
        say(
            f"Recorded {format_many(done.requests, 'request', 'requests')} in"
            f" {format_duration(done.duration_s)} to {path}"
        )
        note(f"Next: perfkit traffic show {path}")
        if done.failures.is_all:
            warn(done.failures.warning)
    if done.exit_code:
        if not done.requests:
            warn(_nothing(url, target, done.away))
        raise typer.Exit(done.exit_code)
    if not done.requests:
        raise EvidenceError(_nothing(url, target, done.away))


def _nothing(url: str, target: "Target", away: str) -> str:
    if away:
        return (
            f"{target.name} cannot be reached ({away}), and no request came by, so there is no trace;"
            " start it, or give another --target"
        )
    seen = f"no request to DynamoDB came by, so there is no trace of {target.name}."
    return (
        f"{seen} The application must use the address that perfkit gives it: SDKs from late 2023"
        " on read AWS_ENDPOINT_URL_DYNAMODB; for older ones, or where the code names an endpoint,"
        f" set it in the code to a fixed port (perfkit record --port 8001: {_fixed(url)})"
    )


def _fixed(url: str) -> str:
    return f"{url.rpartition(':')[0]}:8001"
