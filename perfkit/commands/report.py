"""`perfkit report`: what the saved runs found, without measuring again."""

import contextlib
import difflib
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from perfkit.commands.common import JsonOption, note, warn
from perfkit.errors import ConfigError, UnknownScenarioError
from perfkit.report.formats import Format
from perfkit.settings import RUNS_FOLDER

if TYPE_CHECKING:
    from perfkit.report.model import Report
    from perfkit.results import Listing

__all__ = ["report"]


def report(
    *,
    scenario: Annotated[
        str, typer.Option(metavar="NAME", help="Only runs of this scenario.")
    ] = "all",
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
    list_older: Annotated[
        bool, typer.Option("--all", help="List the older runs of each scenario too.")
    ] = False,
) -> None:
    """
    Show what the saved runs found, newest first, without measuring again.

    Example: perfkit report --scenario courses --output reports/courses.md
    """
    chosen = _choose_format(report_format, output, as_json=as_json)

    from perfkit.report.build import build_report
    from perfkit.results import RunStore

    listing = RunStore(RUNS_FOLDER).list()
    for problem in listing.problems:
        warn(str(problem))
    runs = [run for run in listing.runs if scenario in {"all", run.scenario}]
    if not runs:
        raise _nothing_to_show(listing, scenario)
    built = build_report(runs, list_older=list_older, problems=listing.problems)
    if output is None:
        _print(built, chosen)
    else:
        _write(built, chosen, output)


def _choose_format(report_format: Format | None, output: Path | None, *, as_json: bool) -> Format:
    from perfkit.report.formats import guess_format

    if as_json:
        if report_format not in {None, Format.JSON}:
            msg = f"--json and --format {report_format} contradict each other; give one of them"
            raise ConfigError(msg)
        return Format.JSON
    if report_format is not None:
        return report_format
    return Format.TERMINAL if output is None else guess_format(output)


def _nothing_to_show(listing: "Listing", scenario: str) -> ConfigError:
    if not listing.runs:
        return ConfigError(f"no runs saved in {RUNS_FOLDER}; measure with `perfkit bench` first")
    saved = sorted({run.scenario for run in listing.runs})
    near = difflib.get_close_matches(scenario, saved, n=1)
    hint = f"did you mean '{near[0]}'? Saved are" if near else "saved are"
    return UnknownScenarioError(
        f"no saved run of a scenario named '{scenario}'; {hint} {', '.join(saved)}"
    )


def _print(built: "Report", chosen: Format) -> None:
    from perfkit.report import formats, terminal

    with _standard_output():
        if chosen is Format.TERMINAL:
            terminal.print_report(built)
        else:
            encoding = sys.stdout.encoding or "utf-8"
            text = formats.render_text(built, chosen)
            typer.echo(text.encode(encoding, "replace"), nl=False)
        sys.stdout.flush()
    if chosen is Format.CSV:
        _tell_other_tables(built)


def _write(built: "Report", chosen: Format, output: Path) -> None:
    from perfkit.report import csv_tables, files, formats

    if chosen is Format.CSV and output.suffix.lower() != ".csv":
        texts = csv_tables.render_tables(built)
        written = files.write_folder(output, {f"{name}.csv": text for name, text in texts.items()})
        note(f"Wrote {', '.join(map(str, written))}")
        return
    if output.is_dir():
        msg = f"{output} is a folder; give --output the name of a file in it"
        raise ConfigError(msg)
    files.write_text(output, formats.render_text(built, chosen))
    note(f"Wrote {output}")
    if chosen is Format.CSV:
        _tell_other_tables(built)


def _tell_other_tables(built: "Report") -> None:
    from perfkit.report import csv_tables

    _, others = csv_tables.main_table(built)
    if others:
        note(f"Left out: {', '.join(others)}. Give --output a folder for one file each.")


@contextlib.contextmanager
def _standard_output() -> Iterator[None]:
    """Explain a full disk behind `> file`; a reader that went away is the caller's affair."""
    from perfkit.report.files import explain_write_error

    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        # What is still buffered cannot be written either, and Python would try again at exit.
        with contextlib.suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise explain_write_error(error, "standard output") from error
