"""`perfkit traffic`: what a recording says."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from perfkit.commands.options import (
    JsonOption,
    VerboseOption,
    refuse_idle,
    request_prices,
    seconds,
)
from perfkit.commands.output import note, print_text
from perfkit.commands.report import ForceOption, choose_format, print_built, write_built
from perfkit.errors import ConfigError, EvidenceError, PriceError, ThresholdError, TraceError
from perfkit.report.formats import Format
from perfkit.settings import TRACES_FOLDER, WORKLOAD_FILE
from perfkit.units import format_many

if TYPE_CHECKING:
    from perfkit.traffic.figures import Summary
    from perfkit.traffic.findings import Rule
    from perfkit.workloads.model import Ignored

__all__ = ["traffic"]

traffic = typer.Typer(
    no_args_is_help=True, help="Show what a recording holds, and check it for what is wrong."
)

TraceArgument = Annotated[
    Path | None,
    typer.Argument(
        metavar="[TRACE]", help=f"What `perfkit record` wrote (default: newest in {TRACES_FOLDER})."
    ),
]
PricesOption = Annotated[
    str | None,
    typer.Option(
        "--region",
        metavar="NAME",
        help="AWS region of the list prices (default: the target's, else us-east-1).",
    ),
]


@traffic.callback()
def _traffic() -> None:
    """Show what a recording holds, and check it for what is wrong."""


@traffic.command(name="show", short_help="Show requests, the most expensive first.")
def show(
    context: typer.Context,
    trace: TraceArgument = None,
    *,
    report_format: Annotated[
        Format | None,
        typer.Option(
            "--format", help="Output format (default: by the name of --output, else terminal)."
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
    region: PricesOption = None,
    as_json: JsonOption = False,
    verbose: VerboseOption = False,
) -> None:
    """
    Show what an application asks of DynamoDB, the most expensive first.

    Requests that differ only in values are one kind. Units are what DynamoDB answered; dollars are
    modelled: those units at on-demand list prices, at the recorded rate.

    Example: perfkit traffic show app.trace --output traffic.html
    """
    if output is None:
        refuse_idle(context, {"force"}, "without --output")
    chosen = choose_format(report_format, output, as_json=as_json)

    from perfkit.report import terminal
    from perfkit.traffic.show import build_report, screen

    path = _newest() if trace is None else trace
    summary = _summary(path, region)
    if output is None and chosen is Format.TERMINAL and not verbose:
        more = "-v prints all figures, --output FILE writes a file"
        following = f"perfkit traffic check {path}"
        console = terminal.make_console()
        shown = screen(summary, more=more, next_step=following, width=console.width)
        terminal.print_blocks(shown, console)
        return
    built = build_report(summary)
    if output is None:
        print_built(built, chosen)
    else:
        write_built(built, chosen, output, force=force)


@traffic.command(name="check", short_help="Say what is wrong with what an application asks.")
def check(
    trace: TraceArgument = None,
    *,
    fail_on: Annotated[
        str | None,
        typer.Option(
            "--fail-on",
            metavar="RULES",
            help="Rules whose findings end in exit code 4, e.g. scan,n-plus-one; all for any.",
        ),
    ] = None,
    max_rcu_per_request: Annotated[
        float | None,
        typer.Option(
            "--max-rcu-per-request",
            min=0,
            metavar="UNITS",
            help="End in exit code 4 where a request consumed more.",
        ),
    ] = None,
    index_time: Annotated[
        str | None,
        typer.Option(
            "--index-time",
            metavar="TIME",
            help="Name indexes that nothing read, if so long was recorded, e.g. 24h.",
        ),
    ] = None,
    ignore: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help=f"File with [[ignore]] (default: ./{WORKLOAD_FILE} if there is one).",
        ),
    ] = None,
    junit: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the result as JUnit XML, too.")
    ] = None,
    region: PricesOption = None,
    as_json: JsonOption = False,
    verbose: VerboseOption = False,
) -> None:
    """
    Say what is wrong with what an application asks, what to do, and what that is worth.

    Rules: scan, filter, n-plus-one, repeated-read, hot-key, idle-index, narrow-index, throttled.
    In GitHub Actions each finding is an annotation, too.

    Example: perfkit traffic check app.trace --fail-on scan,n-plus-one
    """
    from perfkit.report import terminal
    from perfkit.report.files import write_text
    from perfkit.report.formats import render_text
    from perfkit.traffic import check as checking
    from perfkit.traffic.findings import Settings

    path = _newest() if trace is None else trace
    rules = _rules(fail_on)
    known = _known(ignore)
    summary = _summary(path, region)
    if summary.trace.failures.is_all:
        if junit is not None:
            write_text(junit, checking.junit_unanswered(summary.trace.failures))
        msg = f"{path}: {summary.trace.failures.warning}"
        raise EvidenceError(msg)
    settings = Settings(
        idle_after_s=seconds("--index-time", index_time),
        cache_node_usd=_cache_node_usd(summary.prices.region),
    )
    checked = checking.check(
        summary, settings, ignored=known, fail_on=rules, max_rcu=max_rcu_per_request
    )
    if junit is not None:
        write_text(junit, checking.junit(checked, rules))
    if os.environ.get("GITHUB_ACTIONS") == "true":
        for line in checking.annotations(checked, rules):
            note(line)
    if as_json:
        print_text(render_text(checking.build_report(checked), Format.JSON).rstrip("\n"))
    elif verbose:
        terminal.print_report(checking.build_report(checked))
    else:
        terminal.print_blocks(checking.screen(checked, more="-v and --json print everything"))
    if checked.failing:
        msg = f"{format_many(len(checked.failing), 'finding', 'findings')} that must not be"
        raise ThresholdError(msg)


@traffic.command(name="workload", short_help="Write a workload of what was recorded.")
def workload(
    trace: TraceArgument = None,
    *,
    output: Annotated[
        Path, typer.Option(metavar="FILE", help="The workload file to write.")
    ] = WORKLOAD_FILE,
    force: Annotated[bool, typer.Option("--force", help="Replace a file that is there.")] = False,
) -> None:
    """
    Write a workload of what was recorded, for bench, report --cost, migrate plan and load.

    Tables with their indexes, each question in the form it has today, and how often it was asked.
    Parameters are recorded values where `record --keep-values` kept them; elsewhere bench takes
    them from the items. The file is yours to finish: an index that does not exist yet, a better
    form, a cache.

    Example: perfkit traffic workload app.trace --output perfkit.toml
    """
    from perfkit.files import write_private
    from perfkit.traffic.workload import write_workload
    from perfkit.workloads.loader import read

    path = _newest() if trace is None else trace
    written = write_workload(_summary(path, None))
    if not written.patterns:
        reasons = "; ".join(written.left_out) or "it holds no reads"
        msg = f"nothing in {path} makes an access pattern: {reasons}"
        raise EvidenceError(msg)
    # what a command of perfkit's would refuse is a fault of this one
    read(written.text.encode(), source=str(output))
    write_private(output, written.text, replace=force)
    many = format_many(len(written.patterns), "access pattern", "access patterns")
    rates = (
        "with recorded rates"
        if written.has_rates
        else "without rates, as it was recorded for less than a minute: they stand as a comment"
    )
    note(f"Wrote {output}: {many} {rates}. Next: perfkit bench --workload {output}")
    for text in written.differences:
        note(f"Otherwise: {text}.")
    for text in written.left_out:
        note(f"Left out: {text}.")


def _rules(text: str | None) -> "tuple[Rule, ...]":
    """
    Return the rules that an option names.

    Raises:
        ConfigError: There is no such rule.
    """
    from perfkit.traffic.findings import Rule

    if text is None:
        return ()
    if text == "all":
        return tuple(Rule)
    names = [name.strip() for name in text.split(",")]
    unknown = [name for name in names if name not in set(Rule)]
    if unknown:
        msg = f"--fail-on: no rule {unknown[0]!r}; choose from {', '.join(Rule)}, or give all"
        raise ConfigError(msg)
    return tuple(map(Rule, names))


def _known(path: Path | None) -> "tuple[Ignored, ...]":
    """
    Return the ignore list.

    Raises:
        ConfigError: It names a rule that there is not.
        WorkloadError: It says what it may not.
    """
    from perfkit.traffic.findings import Rule
    from perfkit.workloads.loader import load_ignored

    if path is None and not WORKLOAD_FILE.exists():
        return ()
    found = load_ignored(path or WORKLOAD_FILE)
    for each in found:
        if each.rule not in {*Rule, "*"}:
            msg = (
                f"{path or WORKLOAD_FILE}: [[ignore]] names the rule {each.rule!r}; choose from"
                f" {', '.join(Rule)}, or *"
            )
            raise ConfigError(msg)
    return found


def _cache_node_usd(region: str) -> float | None:
    """Return what a small cache node costs a month; None where the prices do not say."""
    from perfkit.cost import names
    from perfkit.cost.price_file import load_book
    from perfkit.cost.prices import HOURS_A_MONTH

    try:
        price = load_book(region).price(names.cache_node(names.Engine.REDIS, "cache.t3.micro"))
    except PriceError:
        return None
    return float(price.each_usd) * HOURS_A_MONTH


def _summary(path: Path, region: str | None) -> "Summary":
    from perfkit.cost.price_file import DEFAULT_REGION
    from perfkit.traffic.figures import summarize
    from perfkit.traffic.trace import read_trace

    found = read_trace(path)
    return summarize(found, request_prices(region or found.region or DEFAULT_REGION))


def _newest() -> Path:
    """
    Return the newest trace.

    Raises:
        TraceError: There is none.
    """
    found = sorted(TRACES_FOLDER.glob("*.trace"))
    if not found:
        msg = f"no trace in {TRACES_FOLDER}; `perfkit record` makes one"
        raise TraceError(msg)
    return found[-1]
