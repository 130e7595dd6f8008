"""`perfkit migrate demo`, ten times: how many requests failed, and what the phases changed."""

import statistics
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.measuring import perfkit_command, run_command
from benchmarks.section import Aim, Section, Table
from perfkit.runs import Run, RunStore
from perfkit.settings import RUNS_FOLDER
from perfkit.units import format_many, format_seconds, format_units

__all__ = ["compare"]

_SMALL = ["--users", "2", "--pace", "1s", "--scale", "0.01"]


def compare(*, quick: bool) -> Section:
    """Show the migration again and again, and once with the limits of AWS; quickly, once and small."""
    times, options = (1, _SMALL) if quick else (10, [])
    runs = [_show(options) for _ in range(times)]
    like_aws = _show(["--like-aws"]) if not quick else None
    totals = [_totals(run) for run in runs]
    aims = [
        Aim.at_most("failed requests, all times together", sum(each[1] for each in totals), 0, ""),
        Aim.at_least("the least requests of a time", min(each[0] for each in totals), 1, ""),
    ]
    tables = [
        Table(
            ["", "requests", "failed", "throttled calls"],
            [
                [str(number), f"{requests:,}", f"{errors:,}", f"{throttles:,}"]
                for number, (requests, errors, throttles) in enumerate(totals, start=1)
            ],
        ),
        Table(["medians of all times", "p50", "p95", "RCU a request"], _stages(runs)),
    ]
    if like_aws is not None:
        tables.append(
            Table(["as on AWS (modelled)", "requests", "failed", "throttled"], _rows(like_aws))
        )
        test = like_aws.load_test
        last = test.stages[-1].figures if test is not None and test.stages else None
        aims.append(
            Aim.at_most(
                "failed or throttled in the last phase as on AWS",
                float("inf") if last is None else last.errors + _throttles(last),
                0,
                "",
            )
        )
    return Section(
        title="A migration under load",
        method=(
            f"`perfkit migrate demo{' '.join(['', *options])}`, {format_many(times, 'time')}, each in"
            " a new folder:"
            " indexes planned, checked, created and verified, and the service switched from phase 0"
            " to phase 3, while users ask it.\n"
            "Requests are all that were made, those while instances were replaced too."
        ),
        tables=tables,
        aims=aims,
    )


def _show(options: list[str]) -> Run:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        run_command([*perfkit_command(), "migrate", "demo", *options], folder)
        (run,), _ = RunStore(folder / RUNS_FOLDER).list()
    return run


def _totals(run: Run) -> tuple[int, int, int]:
    seconds = () if run.load_test is None else run.load_test.seconds
    return (
        sum(each.requests for each in seconds),
        sum(each.errors for each in seconds),
        sum(each.throttles or 0 for each in seconds),
    )


def _throttles(figures: Any) -> int:
    return 0 if figures.http is None else figures.http.throttles or 0


def _stages(runs: list[Run]) -> list[list[str]]:
    by_name: dict[str, list[Any]] = {}
    for run in runs:
        for stage in () if run.load_test is None else run.load_test.stages:
            if stage.figures is not None:
                by_name.setdefault(stage.name, []).append(stage.figures)
    return [
        [
            name,
            format_seconds(statistics.median(each.latency_s.p50 for each in found)),
            format_seconds(statistics.median(each.latency_s.p95 for each in found)),
            format_units(statistics.median(each.capacity_units or 0.0 for each in found)),
        ]
        for name, found in by_name.items()
    ]


def _rows(run: Run) -> list[list[str]]:
    return [
        [
            stage.name,
            f"{stage.figures.requests:,}",
            f"{stage.figures.errors:,}",
            f"{_throttles(stage.figures):,}",
        ]
        for stage in (() if run.load_test is None else run.load_test.stages)
        if stage.figures is not None
    ]
