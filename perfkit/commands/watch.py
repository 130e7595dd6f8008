"""`perfkit watch`: the dashboard of a running service, live."""

import sys
import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from perfkit.commands.options import JsonOption, seconds
from perfkit.commands.output import note, print_json, print_text
from perfkit.console import stop_on_signals
from perfkit.errors import TargetError
from perfkit.settings import FOLDER

if TYPE_CHECKING:
    from rich.console import RenderableType

    from perfkit.load.board import Board, Line
    from perfkit.load.service_samples import Endpoint, Sample, ServiceSampler

__all__ = ["watch"]

_BARS = "▁▂▃▄▅▆▇█"
_HEADINGS = {
    "mean_s": "avg",
    "p99_s": "p99",
    "requests_per_s": "req/s",
    "unhealthy": "down",
    "failed_share": "5XX",
    "cpu_share": "CPU",
    "read_units_per_s": "RCU/s",
    "hit_rate": "hits",
}


def watch(
    *,
    url: Annotated[
        list[str] | None,
        typer.Option(
            metavar="URL",
            help="A service with /metrics, or one of its instances; repeatable"
            " (default: the one that perfkit up runs here).",
        ),
    ] = None,
    duration: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="End after this, e.g. 90s or 10m (default: at Ctrl-C)."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """
    Show how a running service does, second by second: the eight metrics of its dashboard.

    Each instance has a line, and figures are of the last 10 seconds. Without a terminal a line is
    printed each second; --json prints one document at the end, of all that was seen.

    Example: perfkit watch --url http://127.0.0.1:8080 --duration 10m
    """
    from perfkit.load.service_samples import ServiceSampler

    duration_s = seconds("--duration", duration)
    instances = _Instances(url or [])
    sampler = ServiceSampler(instances.look)
    first = sampler.sample()
    if not any(sample.healthy for sample in first):
        where = ", ".join(url) if url else "perfkit status"
        msg = f"no instance is healthy: {first[0].problem}; see {where}"
        if url:
            msg = f"nothing to watch at {where}: {first[0].problem}; is the service running?"
        raise TargetError(msg)
    stop = stop_on_signals()
    if duration_s is not None:
        ending = threading.Timer(duration_s, stop.set)
        ending.daemon = True
        ending.start()
    if as_json:
        _print_document(first, sampler, stop)
    elif sys.stdout.isatty():
        _show(instances, first, sampler, stop)
    else:
        _print_lines(first, sampler, stop)


class _Instances:
    """The instances of the moment: of the service that runs in this folder, or those named."""

    def __init__(self, urls: Sequence[str]) -> None:
        """
        Find them.

        Raises:
            ConfigError: What was named is no URL.
            TargetError: Nothing was named, and no service is running here.
        """
        from perfkit.load.service_samples import Endpoint, parse_base_url
        from perfkit.service import launch

        running = launch.find(FOLDER)
        # behind its proxy each look would meet another instance
        own = [] if running is None else [running.url]
        self._named = bool(urls) and [each.rstrip("/") for each in urls] != own
        self._last = [
            Endpoint.of_service(each, parse_base_url(each)) for each in dict.fromkeys(urls)
        ]
        if not self._named and not self.look():
            msg = "no service is running here; start one with perfkit up, or name one with --url"
            raise TargetError(msg)

    def look(self) -> "list[Endpoint]":
        """Return them; when a service is gone, where it was."""
        if not self._named:
            from perfkit.load.service_samples import endpoints_of
            from perfkit.service import launch

            running = launch.find(FOLDER)
            if running is not None:
                self._last = endpoints_of(running)
        return self._last


# ---- at a terminal -----------------------------------------------------------------------


def _show(
    instances: _Instances, first: "list[Sample]", sampler: "ServiceSampler", stop: threading.Event
) -> None:
    from rich.live import Live

    from perfkit.load.board import Board
    from perfkit.report.terminal import make_console

    board = Board()
    board.add(first)
    with Live(_draw(board), console=make_console(), auto_refresh=False) as live:
        for samples in sampler.each_second(stop):
            board.keep([each.name for each in instances.look()])
            board.add(samples)
            live.update(_draw(board), refresh=True)


def _draw(board: "Board") -> "RenderableType":
    """Return the screen: a line for each instance, what is wrong, and the last minute."""
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    from perfkit.report.sections.dashboard import METRICS

    table = Table(box=None, padding=(0, 1, 0, 0), header_style="bold")
    table.add_column("instance", no_wrap=True, max_width=17)
    for metric in METRICS:
        table.add_column(_HEADINGS[metric.key], justify="right", no_wrap=True)
    table.add_column("status", no_wrap=True)
    lines = board.lines()
    whole = board.whole()
    for line in [*lines, whole] if len(lines) > 1 else lines:
        cells = [
            Text(_written(line, metric.key), style=_style(line, metric.key)) for metric in METRICS
        ]
        passes = line.health.status is not None and line.health.status.passes
        colour = "red" if line.is_down else "green" if passes else "yellow"
        status = Text(line.status, style=colour)
        table.add_row(line.name.removeprefix("http://"), *cells, status)
    rows: list[RenderableType] = [table, Text()]
    rows += [
        Text(f"{line.name}: {line.problem}", style="yellow", overflow="ellipsis", no_wrap=True)
        for line in lines
        if line.problem
    ]
    rows.append(Text(f"requests/s {_sparkline(list(board.history))} {board.history[-1]:,.0f}"))
    rows.append(
        Text("Figures of the last 10 s; CPU as a share of one core. Ctrl-C ends.", style="dim")
    )
    return Group(*rows)


def _style(line: "Line", key: str) -> str:
    from perfkit.analysis.health import Status, status_of

    status = status_of(key, line.figures.get(key))
    if status is None:
        return ""
    return "green" if status.passes else "red" if status is Status.CRITICAL else "yellow"


def _written(line: "Line", key: str) -> str:
    from perfkit.report.figures import format_value
    from perfkit.report.sections.dashboard import METRICS, rounded

    metric = next(each for each in METRICS if each.key == key)
    return format_value(rounded(key, line.figures.get(key)), metric.kind)


def _sparkline(values: Sequence[float]) -> str:
    """Return a bar for each value, the highest as high as the line."""
    most = max(values, default=0.0)
    if not most:
        return _BARS[0] * len(values)
    return "".join(_BARS[min(int(each / most * len(_BARS)), len(_BARS) - 1)] for each in values)


# ---- elsewhere ---------------------------------------------------------------------------


def _print_lines(first: "list[Sample]", sampler: "ServiceSampler", stop: threading.Event) -> None:
    from datetime import datetime

    from perfkit.load.board import Board

    board = Board()
    board.add(first)
    for samples in sampler.each_second(stop):
        board.add(samples)
        whole = board.whole()
        figures = ", ".join(f"{title} {_written(whole, key)}" for key, title in _HEADINGS.items())
        at = datetime.fromtimestamp(samples[-1].at_s).astimezone()
        print_text(f"{at:%H:%M:%S} {whole.status}: {figures}")
        sys.stdout.flush()


def _print_document(
    first: "list[Sample]", sampler: "ServiceSampler", stop: threading.Event
) -> None:
    from perfkit.load.service_samples import figures_of

    note("Watching; the document comes at the end.")
    seen = list(first)
    for samples in sampler.each_second(stop):
        seen += samples
    names = list(dict.fromkeys(each.instance for each in seen))
    by_name = {name: [each for each in seen if each.instance == name] for name in names}
    print_json(
        {
            "started_at": _moment(seen[0].at_s),
            "ended_at": _moment(seen[-1].at_s),
            "all": _judged(figures_of(seen)),
            "instances": [
                {
                    "name": name,
                    "problem": samples[-1].problem,
                    **_judged(figures_of(samples)),
                    "samples": [
                        {
                            "at": _moment(each.at_s),
                            "interval_s": each.interval_s,
                            "memory_bytes": each.counted.memory_bytes,
                            **each.figures(),
                        }
                        for each in samples
                    ],
                }
                for name, samples in by_name.items()
            ],
        }
    )


def _judged(figures: dict[str, float | None]) -> dict[str, Any]:
    from perfkit.analysis.health import find_health

    health = find_health(figures)
    return {"status": health.name, "evidence": health.verdict.evidence, **figures}


def _moment(at_s: float) -> str:
    from datetime import UTC, datetime

    return datetime.fromtimestamp(at_s, UTC).isoformat()
