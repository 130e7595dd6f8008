"""`perfkit traffic`: what a recording says."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from perfkit.commands.common import JsonOption, VerboseOption, request_prices
from perfkit.commands.report import ForceOption, choose_format, print_built, write_built
from perfkit.report.formats import Format
from perfkit.settings import TRACES_FOLDER

if TYPE_CHECKING:
    from perfkit.traffic.figures import Summary

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


@traffic.command(name="show")
def show(
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
    chosen = choose_format(report_format, output, as_json=as_json)

    from perfkit.report import terminal
    from perfkit.traffic.show import build_report, screen

    path = _newest() if trace is None else trace
    summary = _summary(path, region)
    if output is None and chosen is Format.TERMINAL and not verbose:
        more = "-v prints all figures, --output FILE writes a file"
        following = f"perfkit traffic check {path}"
        terminal.print_blocks(screen(summary, more=more, next_step=following))
        return
    built = build_report(summary)
    if output is None:
        print_built(built, chosen)
    else:
        write_built(built, chosen, output, force=force)


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
    from perfkit.errors import TraceError

    found = sorted(TRACES_FOLDER.glob("*.trace"))
    if not found:
        msg = f"no trace in {TRACES_FOLDER}; `perfkit record` makes one"
        raise TraceError(msg)
    return found[-1]
