"""`perfkit compare`: two runs, or two folders of runs, side by side."""

from pathlib import Path
from typing import Annotated

import typer

from perfkit.commands.common import JsonOption
from perfkit.commands.report import choose_format, print_built, write_built
from perfkit.errors import ConfigError, TargetError, ThresholdError
from perfkit.report.formats import Format
from perfkit.settings import RUNS_FOLDER

__all__ = ["compare"]


def compare(
    baseline: Annotated[
        str,
        typer.Argument(
            metavar="BASELINE",
            help="A run id or its beginning, a scenario (courses~1: its newest run but one),"
            " a run file, or a folder of runs.",
        ),
    ],
    candidate: Annotated[
        str, typer.Argument(metavar="CANDIDATE", help="The same; held against the first.")
    ],
    *,
    fail_on_regression: Annotated[
        float | None,
        typer.Option(
            metavar="PCT",
            help="Exit with 4 if latency rose by PCT percent or more, significantly, or read or write units,"
            " or if calls fail or a variant is gone.",
        ),
    ] = None,
    edited: Annotated[
        bool,
        typer.Option("--edited", help="Accept that the workload's file was edited in between."),
    ] = False,
    report_format: Annotated[
        Format | None,
        typer.Option(
            "--format",
            help="How to write it; left out, what the name of --output asks for, else terminal.",
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            metavar="PATH",
            help="Write to this file instead; CSV to a folder, one file for each table.",
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """
    Compare two runs of a scenario, or all scenarios of two folders: what changed, and how surely.

    Noise is no change: what is not significant is printed as such.

    Example: perfkit compare courses~1 courses --fail-on-regression 10
    """
    chosen = choose_format(report_format, output, as_json=as_json)
    limit = _limit(fail_on_regression)

    from perfkit.analysis.matching import match_sides
    from perfkit.analysis.sides import find_side
    from perfkit.report.comparison import Outcome, compare_sides
    from perfkit.results import RunStore

    store = RunStore(RUNS_FOLDER)
    before, after = find_side(baseline, store), find_side(candidate, store)
    result = compare_sides(before, after, match_sides(before, after, edited=edited), limit=limit)
    if output is None:
        print_built(result.report, chosen)
    else:
        write_built(result.report, chosen, output)
    if result.outcome is Outcome.FAIL:
        by = (
            f"at or above --fail-on-regression {fail_on_regression:g}"
            if len(result.regressions) > len(result.broken)
            else "a regression at any limit"
        )
        msg = f"{'; '.join(result.regressions)}: {by}"
        raise ThresholdError(msg)
    if result.outcome is Outcome.INVALID:
        msg = (
            "no latency could be judged, so --fail-on-regression was not tested;"
            " the verdicts say why"
        )
        raise TargetError(msg)


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
