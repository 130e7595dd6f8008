"""`perfkit compare`: two runs, or two folders of runs, side by side."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from perfkit.commands.options import JsonOption, refuse_idle
from perfkit.commands.report import ForceOption, choose_format, print_built, write_built
from perfkit.errors import ConfigError
from perfkit.report.formats import Format
from perfkit.settings import RUNS_FOLDER

__all__ = ["compare"]


class Only(StrEnum):
    """What alone is judged."""

    RCU = "rcu"


def compare(
    context: typer.Context,
    baseline: Annotated[
        str,
        typer.Argument(
            metavar="BASELINE",
            help="A run id or its first characters, a scenario (its newest run; courses~1 is the run before it),"
            " a run file, or a folder of runs.",
        ),
    ],
    candidate: Annotated[
        str, typer.Argument(metavar="CANDIDATE", help="The same; compared with the baseline.")
    ],
    *,
    fail_on_regression: Annotated[
        float | None,
        typer.Option(
            metavar="PCT",
            help="A gate: exit with 4 if latency surely rose by more than PCT percent, if read or write"
            " units did, or if calls fail or a variant is gone; with 3 if a latency may have.",
        ),
    ] = None,
    control: Annotated[
        list[str] | None,
        typer.Option(
            metavar="VARIANT",
            help="A variant that the change cannot have touched: latencies are compared as ratios"
            " to it. May be repeated; each question takes the first that it has.",
        ),
    ] = None,
    only: Annotated[
        Only | None,
        typer.Option(
            help="Judge read and write units alone, which are exact: one run a side is enough. Any"
            " rise is a regression unless --fail-on-regression allows some.",
        ),
    ] = None,
    edited: Annotated[
        bool,
        typer.Option("--edited", help="Compare even if the workload file was edited in between."),
    ] = False,
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
    as_json: JsonOption = False,
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Show all figures, doubts and methods.")
    ] = False,
) -> None:
    """
    Compare two runs of a scenario, or all scenarios of two folders: what changed, and how certainly.

    Without --fail-on-regression or --only it only informs, and exits with 0.

    Example: perfkit compare base branch --control scan --fail-on-regression 10
    """
    if output is None:
        refuse_idle(context, {"force"}, "without --output")
    chosen = choose_format(report_format, output, as_json=as_json)
    limit = _limit(fail_on_regression)
    if only is not None:
        if control:
            msg = (
                "--control is for latencies, which --only rcu does not judge; leave one of them out"
            )
            raise ConfigError(msg)
        limit = limit or 0.0

    from perfkit.analysis.comparing import compare_sides
    from perfkit.analysis.matching import match_sides
    from perfkit.analysis.sides import find_side
    from perfkit.report.comparison import build_comparison, shorten, why_invalid
    from perfkit.runs import RunStore

    store = RunStore(RUNS_FOLDER)
    before, after = find_side(baseline, store), find_side(candidate, store)
    compared = compare_sides(
        before,
        after,
        match_sides(before, after, edited=edited),
        limit=limit,
        controls=control or (),
        capacity_only=only is not None,
        others=store.list().runs,
    )
    built = build_comparison(compared)
    if output is not None:
        write_built(built, chosen, output, force=force)
    elif chosen is Format.TERMINAL and not verbose:
        print_built(shorten(built, compared), chosen)
    else:
        print_built(built, chosen)
    verdict = compared.verdict
    if verdict is None:
        return
    text = why_invalid(compared)
    if compared.regressions:
        by = (
            f"at or above --fail-on-regression {fail_on_regression or 0:g}"
            if len(compared.regressions) > len(compared.broken)
            else "a regression at any limit"
        )
        text = f"{'; '.join(compared.regressions)}: {by}"
    error = verdict.to_error(text)
    if error is not None:
        raise error


def _limit(percent: float | None) -> float | None:
    if percent is None:
        return None
    if not 0 <= percent <= 1_000_000:
        msg = (
            f"--fail-on-regression {percent:g} is no percentage from 0 on; 10 fails on what is 10%"
            " slower or more"
        )
        raise ConfigError(msg)
    return percent / 100
