"""`perfkit run`: how long it takes, and the read units it reports against DynamoDB's rules."""

import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.measuring import perfkit_command, run_command
from benchmarks.section import Aim, Section, Table
from perfkit.runs import Run, RunStore
from perfkit.settings import RUNS_FOLDER
from perfkit.units import format_units

__all__ = ["compare"]

_LIMIT_S = 100
_LIMIT_LINES = 60
_QUICK_SCALE = 0.05


@dataclass(frozen=True, slots=True)
class _Units:
    """Read units of one call as worked out by hand from 1,024-byte items."""

    scenario: str
    variant: str
    eventual: float
    strong: float | None


_EXPECTED = (
    _Units("courses", "scan", 1250, 2500),
    _Units("courses", "query", 6.5, None),
    _Units("enrollments", "scan", 6250, 12_500),
    _Units("enrollments", "query", 1.0, None),
)


def compare(*, quick: bool) -> Section:
    """Run everything once; a quick run a small part of it."""
    scale = _QUICK_SCALE if quick else 1.0
    options = ["--scale", f"{scale:g}", "--iterations", "3"] if quick else []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        start_s = time.perf_counter()
        printed = run_command([*perfkit_command(), "run", *options], folder)
        seconds = time.perf_counter() - start_s
        runs, _ = RunStore(folder / RUNS_FOLDER).list()
    rows = [["the whole command", f"{seconds:.1f} s"]]
    rows += [[f"measuring {run.scenario}", f"{run.duration_s:.1f} s"] for run in reversed(runs)]
    checked = list(_check_units(runs, scale))
    worst = max(error for _, error in checked)
    headers = ["read units a call", "eventual", "by the rules", "strong", "by the rules"]
    return Section(
        title="The main job, start to finish",
        method="`perfkit run` once, in a new folder, from the start of Python to the summary.",
        tables=[Table(["", "time"], rows), Table(headers, [row for row, _ in checked])],
        aims=[
            Aim.at_most("perfkit run", seconds, _LIMIT_S, " s"),
            Aim.at_most("its answer", len(printed.splitlines()), _LIMIT_LINES, " lines"),
            Aim.at_most("largest error of read units a page", worst, 0.5, " units"),
        ],
    )


def _check_units(runs: Sequence[Run], scale: float) -> Iterator[tuple[list[str], float]]:
    """Yield a row for each figure that is known, and its error a page."""
    for expected in _EXPECTED:
        run = next(run for run in runs if run.scenario == expected.scenario)
        variant = run.variant(expected.variant)
        if variant is None or variant.capacity_units is None:
            yield [f"{expected.scenario}, {expected.variant}", "none", "", "", ""], float("inf")
            continue
        # what a query finds is the same at every scale
        grown = scale if expected.variant == "scan" else 1.0
        eventual = expected.eventual * grown
        strong_expected = None if expected.strong is None else expected.strong * grown
        pages = variant.requests_per_call or 1.0
        strong = variant.capacity_units_strong if expected.strong else None
        errors = [abs(variant.capacity_units - eventual) / pages]
        if strong is not None and strong_expected is not None:
            errors.append(abs(strong - strong_expected) / pages)
        yield (
            [
                f"{expected.scenario}, {expected.variant}",
                format_units(variant.capacity_units),
                format_units(eventual),
                "" if strong is None else format_units(strong),
                "" if strong_expected is None else format_units(strong_expected),
            ],
            max(errors),
        )
