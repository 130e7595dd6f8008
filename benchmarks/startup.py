"""How long `perfkit --help` takes, against the smallest Typer application, and a bill."""

import statistics
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from benchmarks.html_report import sample_runs
from benchmarks.measuring import interleave, perfkit_command, run_command, timed
from benchmarks.section import Aim, Section, Table
from perfkit.runs import RunStore
from perfkit.settings import RUNS_FOLDER
from perfkit.units import format_ratio

__all__ = ["compare"]

_LIMIT = 1.3
_PERFKIT = "perfkit --help"
_SMALLEST = "smallest Typer application, --help"
_PLAIN = "the same without Rich"
_PYTHON = "python -c pass"
_BILLS = "perfkit report --cost, no runs"
_MEASURED = "perfkit report --cost, a full run"
_COST_LIMIT_S = 1.0

_APPLICATION = """\
import typer

app = typer.Typer({options})


@app.command()
def hello(name: str) -> None:
    typer.echo(f"Hello {{name}}")


app()
"""


def compare(*, quick: bool) -> Section:
    """Measure the help of both."""
    rounds = 5 if quick else 30
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        smallest, plain = folder / "smallest.py", folder / "plain.py"
        smallest.write_text(_APPLICATION.format(options=""))
        plain.write_text(_APPLICATION.format(options="rich_markup_mode=None"))

        full = folder / "full"
        full.mkdir()
        for each in sample_runs()[0]:
            RunStore(full / RUNS_FOLDER).save(each)

        def run(*command: str, where: Path = folder) -> Callable[[], object]:
            return lambda: run_command(command, where)

        commands = {
            _PERFKIT: run(*perfkit_command(), "--help"),
            _SMALLEST: run(sys.executable, str(smallest), "--help"),
            _PLAIN: run(sys.executable, str(plain), "--help"),
            _PYTHON: run(sys.executable, "-c", "pass"),
            _BILLS: run(*perfkit_command(), "report", "--cost"),
            _MEASURED: run(*perfkit_command(), "report", "--cost", where=full),
        }
        for warm_up in commands.values():
            warm_up()
        turns = {name: timed(command) for name, command in commands.items()}
        seconds = interleave(turns, rounds=rounds)
    medians = {name: statistics.median(times) for name, times in seconds.items()}
    rows = [
        [name, f"{median * 1e3:.0f}", format_ratio(median / medians[_SMALLEST])]
        for name, median in medians.items()
    ]
    ratio = medians[_PERFKIT] / medians[_SMALLEST]
    return Section(
        title="Start of the command line",
        method=f"Medians of {rounds} interleaved runs, each a new process.",
        tables=[Table(["", "ms", "÷ smallest"], rows)],
        aims=[
            Aim.at_most("perfkit --help ÷ the smallest Typer application's", ratio, _LIMIT),
            Aim.at_most(_BILLS, medians[_BILLS], _COST_LIMIT_S, " s"),
            Aim.at_most(_MEASURED, medians[_MEASURED], _COST_LIMIT_S, " s"),
        ],
    )
