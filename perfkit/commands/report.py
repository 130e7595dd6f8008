"""`perfkit report`: what the saved runs found, without measuring again."""

import contextlib
import difflib
import errno
import os
import sys
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from enum import StrEnum
from functools import partial
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperCommand

from perfkit.commands.options import (
    JsonOption,
    ProfileOption,
    VerboseOption,
    WorkloadOption,
    list_runs,
    refuse_idle,
    runs_about,
)
from perfkit.commands.output import note
from perfkit.errors import ConfigError, UnknownScenarioError
from perfkit.report.formats import Format
from perfkit.settings import PAGE, RUNS_FOLDER

if TYPE_CHECKING:
    from perfkit.cost.options import CostOptions
    from perfkit.report.model import Report
    from perfkit.report.sections import Topic
    from perfkit.runs import Listing, Run

__all__ = [
    "ForceOption",
    "ReportCommand",
    "choose_format",
    "print_built",
    "report",
    "write_built",
]

ForceOption = Annotated[
    bool,
    typer.Option(
        "--force", help="Replace a file that --output names and that is no report of perfkit's."
    ),
]

_ARCHITECTURE = "--architecture"

_USUAL_DAYS = 14
"""Two whole weeks, so that every day of the week counts alike."""

_MOST_DAYS = 455
"""CloudWatch keeps sums of an hour for so long (its user guide, "metrics retention")."""


class TrafficSource(StrEnum):
    """Where the traffic of today is counted."""

    CLOUDWATCH = "cloudwatch"


class ReportCommand(TyperCommand):
    """Lets `--architecture` stand alone: Typer has no options whose value may be left out."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Give a lonely `--architecture` an empty value."""
        pairs = zip_longest(args, args[1:], fillvalue="-")
        return super().parse_args(
            ctx,
            [
                f"{each}=" if each == _ARCHITECTURE and following.startswith("-") else each
                for each, following in pairs
            ],
        )


def report(
    context: typer.Context,
    *,
    scenario: Annotated[
        str, typer.Option(metavar="NAME", help="Only runs of this scenario.")
    ] = "all",
    workload: WorkloadOption = None,
    report_format: Annotated[
        Format | None,
        typer.Option(
            "--format",
            help="Output format (default: by the name of --output, else terminal).",
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            metavar="PATH",
            help="Write to this file instead; CSV to this folder, one file per table.",
        ),
    ] = None,
    force: ForceOption = False,
    title: Annotated[
        str | None,
        typer.Option(metavar="TEXT", help="Title of the HTML page."),
    ] = None,
    as_json: JsonOption = False,
    verbose: VerboseOption = False,
    open_it: Annotated[
        bool,
        typer.Option(
            "--open",
            help=f"Write HTML, to {PAGE} unless --output says where, and open it in a browser.",
        ),
    ] = False,
    list_older: Annotated[
        bool,
        typer.Option(
            "--all", help="Show everything, with a list of the older runs of each scenario."
        ),
    ] = False,
    rcu: Annotated[bool, typer.Option("--rcu", help="Show read capacity.")] = False,
    latency: Annotated[bool, typer.Option("--latency", help="Show latencies.")] = False,
    cache: Annotated[bool, typer.Option("--cache", help="Show what a cache changes.")] = False,
    flow: Annotated[bool, typer.Option("--flow", help="Show requests stage by stage.")] = False,
    cost: Annotated[bool, typer.Option("--cost", help="Show what it costs a month.")] = False,
    dashboard: Annotated[
        bool, typer.Option("--dashboard", help="Show the eight metrics, before and after.")
    ] = False,
    architecture: Annotated[
        str | None,
        typer.Option(
            _ARCHITECTURE,
            metavar="[FILE]",
            help="Show what is running, before and after; with a file, what that costs.",
        ),
    ] = None,
    prices: Annotated[
        str | None,
        typer.Option(
            metavar="quoted|list|FILE",
            help="Cost: use only quoted prices, only list prices, or those of a price file.",
        ),
    ] = None,
    region: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Cost: AWS region of list prices (default: the runs', else us-east-1) and of --traffic (default: AWS_REGION).",
        ),
    ] = None,
    rps: Annotated[
        list[str] | None,
        typer.Option(
            metavar="RATE",
            help="Cost: requests a second: 20 for all patterns together, NAME=5 for one (repeatable).",
        ),
    ] = None,
    traffic: Annotated[
        TrafficSource | None,
        typer.Option(
            "--traffic",
            help="Cost: bill what the tables consumed on AWS, as CloudWatch counted it.",
        ),
    ] = None,
    traffic_days: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=_MOST_DAYS,
            metavar="DAYS",
            help="Cost: days that --traffic looks back (default: 14).",
        ),
    ] = None,
    profile: ProfileOption = None,
    explain: Annotated[
        bool,
        typer.Option(
            "--explain", help="Cost: show everything, and how each amount was worked out."
        ),
    ] = False,
    free_tier: Annotated[
        bool,
        typer.Option("--free-tier", help="Cost: subtract AWS's monthly free tier."),
    ] = False,
) -> None:
    """
    Show what the saved runs found, without measuring again: one screen, or with -v all of it.

    It is about the workload that --workload or the folder names, as far as there are runs of it.
    --rcu, --latency, --cache, --flow, --cost, --dashboard and --architecture choose what is
    shown; they can be combined, and without any of them everything is. Only the terminal is held
    to one screen: files and other formats are complete.

    Example: perfkit report --scenario courses --output courses.md
    """
    if open_it:
        output, report_format = _choose_opened(report_format, output, as_json=as_json)
    if output is None:
        refuse_idle(context, {"force"}, "without --output")
    chosen = choose_format(report_format, output, as_json=as_json)
    topics = _topics(
        rcu=rcu,
        latency=latency,
        cache=cache,
        flow=flow,
        # a file says what to price, and CloudWatch too
        cost=cost or bool(architecture) or traffic is not None,
        dashboard=dashboard,
        architecture=architecture == "",
    )

    from perfkit.cost.options import CostOptions, check_prices

    wanted = CostOptions(
        region=region,
        prices=check_prices(prices),
        architecture=Path(architecture) if architecture else None,
        cloudwatch_days=_days(traffic, traffic_days, profile),
        profile=profile,
        rps=tuple(rps or ()),
        explain=explain,
        free_tier=free_tier,
    )
    for text in _without_effect(wanted, topics):
        note(text)
    if title is not None and chosen is not Format.HTML:
        note("--title changes nothing but an HTML page; add --open or --format html.")
    if traffic is not None:
        note("Asks CloudWatch for 4 metrics of each table and index; AWS takes $0.01 for 1,000.")

    from perfkit.report.build import build_report

    listing = list_runs()
    runs = runs_about([run for run in listing.runs if scenario in {"all", run.scenario}], workload)
    if not runs and (listing.runs or _need_runs(topics)):
        raise _nothing_to_show(listing, scenario)
    if traffic is not None and runs and not any(run.target.get("kind") == "aws" for run in runs):
        note(
            "None of the runs were measured on AWS: what is billed are tables there that have the"
            " names of those measured."
        )
    if output is None and chosen is Format.TERMINAL and not (verbose or explain or list_older):
        _print_screen(runs, topics, wanted, listing.problems)
        return
    built = build_report(
        runs,
        list_older=list_older,
        problems=listing.problems,
        topics=topics,
        cost=wanted,
        now=datetime.now(UTC),
        title=title,
    )
    if output is None:
        print_built(built, chosen)
    else:
        if output == PAGE:
            PAGE.parent.mkdir(exist_ok=True)
        write_built(built, chosen, output, force=force)
    if open_it and output is not None:
        _open(output)


def _days(traffic: TrafficSource | None, days: int | None, profile: str | None) -> int | None:
    """Return how many days of CloudWatch to bill, None for none."""
    if traffic is not None:
        return days or _USUAL_DAYS
    given = [name for name, value in (("--traffic-days", days), ("--profile", profile)) if value]
    if given:
        msg = f"{' and '.join(given)} changes nothing without --traffic cloudwatch; add it"
        raise ConfigError(msg)
    return None


_MORE = "-v prints all figures, --open shows a page, --output FILE writes a file"


def _print_screen(
    runs: "Sequence[Run]",
    topics: "tuple[Topic, ...]",
    cost: "CostOptions",
    problems: "Sequence[Exception]",
) -> None:
    from perfkit.report import build, terminal
    from perfkit.report.sections import Topic

    now = datetime.now(UTC)
    with _standard_output():
        if topics == (Topic.COST,):
            terminal.print_blocks(build.build_cost_screen(runs, cost=cost, more=_MORE, now=now))
        elif topics:
            report = build.build_report(runs, problems=problems, topics=topics, cost=cost, now=now)
            terminal.print_screen(report, more=_MORE)
        else:
            terminal.print_blocks(
                build.build_screen(
                    runs, next_step="", more=_MORE, problems=problems, cost=cost, now=now
                )
            )
        sys.stdout.flush()


def _choose_opened(
    report_format: Format | None, output: Path | None, *, as_json: bool
) -> tuple[Path, Format]:
    chosen = choose_format(report_format, output or PAGE, as_json=as_json)
    if chosen is not Format.HTML:
        msg = f"--open shows HTML, and {chosen} was asked for too; leave one of them out"
        raise ConfigError(msg)
    return output or PAGE, chosen


def _open(path: Path) -> None:
    from perfkit.commands.browser import open_in_browser

    if not open_in_browser(path):
        note(f"No browser here; open {path.resolve()} in one.")


def choose_format(report_format: Format | None, output: Path | None, *, as_json: bool) -> Format:
    from perfkit.report.formats import guess_format

    if as_json:
        if report_format not in {None, Format.JSON}:
            msg = f"--json and --format {report_format} contradict each other; give one of them"
            raise ConfigError(msg)
        return Format.JSON
    if report_format is not None:
        return report_format
    return Format.TERMINAL if output is None else guess_format(output)


def _topics(**asked: bool) -> "tuple[Topic, ...]":
    from perfkit.report.sections import Topic

    return tuple(Topic(name) for name, wanted in asked.items() if wanted)


def _without_effect(wanted: "CostOptions", topics: "tuple[Topic, ...]") -> Iterator[str]:
    """Yield a note on each group of options about cost that change nothing in this report."""
    from perfkit.cost.options import QUOTED
    from perfkit.report.sections import Topic

    of_prices = {
        "--prices": wanted.prices is not None,
        "--region": wanted.region is not None,
        "--free-tier": wanted.free_tier,
    }
    of_what_is_shown = {"--rps": bool(wanted.rps), "--explain": wanted.explain}
    if topics and Topic.COST not in topics:
        # the dashboard says what the bills are, and nothing about traffic
        idle = of_what_is_shown | ({} if Topic.DASHBOARD in topics else of_prices)
        why = "of a report without costs; add --cost"
    elif wanted.prices == QUOTED:
        idle = {**of_prices, "--rps": bool(wanted.rps), "--prices": False}
        why = "of amounts as quoted; leave out --prices quoted"
    else:
        return
    given = [option for option, is_given in idle.items() if is_given]
    if given:
        verb = "changes" if len(given) == 1 else "change"
        yield f"{' and '.join(filter(None, (', '.join(given[:-1]), given[-1])))} {verb} nothing {why}."


def _need_runs(topics: "tuple[Topic, ...]") -> bool:
    """Return whether some topic, or the whole report, has nothing to show without a saved run."""
    from perfkit.report.sections import SECTIONS

    return not topics or any(
        all(entry.needs_runs for entry in SECTIONS.values() if topic in entry.topics)
        for topic in topics
    )


def _nothing_to_show(listing: "Listing", scenario: str) -> ConfigError:
    if not listing.runs:
        return ConfigError(f"no runs saved in {RUNS_FOLDER}; measure with `perfkit bench` first")
    saved = sorted({run.scenario for run in listing.runs})
    near = difflib.get_close_matches(scenario, saved, n=1)
    hint = f"did you mean '{near[0]}'? Saved are" if near else "saved are"
    return UnknownScenarioError(
        f"no saved run of a scenario named '{scenario}'; {hint} {', '.join(saved)}"
    )


def print_built(built: "Report", chosen: Format) -> None:
    from perfkit.report import formats, terminal

    if chosen is Format.CSV and not any(section.tables for section in built.sections):
        raise _no_table()
    with _standard_output():
        if chosen is Format.TERMINAL:
            terminal.print_report(built)
        else:
            # A page says itself that it is UTF-8; other texts follow the locale.
            encoding = "utf-8" if chosen is Format.HTML else sys.stdout.encoding or "utf-8"
            text = formats.render_text(built, chosen)
            typer.echo(text.encode(encoding, "replace"), nl=False)
        sys.stdout.flush()
    if chosen is Format.CSV:
        _tell_other_tables(built)


def write_built(built: "Report", chosen: Format, output: Path, *, force: bool) -> None:
    """
    Write a report to a file, or its tables into a folder.

    Raises:
        ConfigError: There is no such place, or something else is there and not to be replaced.
        StorageFullError: No room.
    """
    from perfkit.report import csv_tables, files, formats

    if chosen is Format.CSV and output.suffix.lower() != ".csv":
        texts = csv_tables.render_tables(built)
        if not texts:
            raise _no_table()
        named = {f"{name}.csv": text for name, text in texts.items()}
        files.check_place(output, lambda _: True)
        if output.is_dir():
            for name, text in named.items():
                check = partial(formats.is_alike, new=text, report_format=chosen)
                files.check_place(output / name, check, force=force)
        written = files.write_folder(output, named)
        note(f"Wrote {', '.join(map(str, written))}")
        return
    if output.is_dir():
        msg = f"{output} is a folder; give --output the name of a file in it"
        raise ConfigError(msg)
    if chosen is Format.CSV and not any(section.tables for section in built.sections):
        raise _no_table()
    text = formats.render_text(built, chosen)
    check = partial(formats.is_alike, new=text, report_format=chosen)
    files.check_place(output, check, force=force)
    files.write_text(output, text)
    note(f"Wrote {output}")
    if chosen is Format.CSV:
        _tell_other_tables(built)


def _no_table() -> ConfigError:
    return ConfigError(
        "nothing of this report is a table, and CSV has tables only; give another --format,"
        " or leave out what chooses its sections"
    )


def _tell_other_tables(built: "Report") -> None:
    from perfkit.report import csv_tables

    _, others = csv_tables.main_table(built)
    if others:
        note(f"Left out: {', '.join(others)}. Give --output a folder for one file each.")


@contextlib.contextmanager
def _standard_output() -> Iterator[None]:
    """Explain a full disk behind `> file`; a reader that is not there is the caller's affair."""
    from perfkit.report.files import explain_write_error

    try:
        yield
    except OSError as error:
        if error.errno in {errno.EBADF, errno.EIO, errno.EPIPE}:
            raise
        # What is still buffered cannot be written either, and Python would try again at exit.
        with contextlib.suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise explain_write_error(error, "standard output") from error
