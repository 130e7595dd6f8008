"""`perfkit clean`: remove what perfkit made, after asking."""

import sys
from typing import Annotated

import typer

from perfkit.commands.options import (
    DataOption,
    ProfileOption,
    RegionOption,
    TargetOption,
    WorkloadOption,
    YesOption,
    make_permission,
    make_target,
    read_workload,
)
from perfkit.commands.output import note, note_left_alone, print_text, wrap
from perfkit.settings import FOLDER, PAGE, RUNS_FOLDER

__all__ = ["clean"]


def clean(
    *,
    workload: WorkloadOption = None,
    target: TargetOption = None,
    data: DataOption = None,
    region: RegionOption = None,
    profile: ProfileOption = None,
    runs: Annotated[bool, typer.Option("--runs", help="Remove the saved runs, too.")] = False,
    yes: YesOption = False,
) -> None:
    """
    Remove what perfkit made: its tables, its data file and, with --runs, the saved runs and their page.

    Only tables that carry perfkit's mark are deleted: all of them in the embedded data file,
    those of the workload elsewhere. What else perfkit keeps in .perfkit stays and is named.

    Example: perfkit clean --runs
    """
    read = read_workload(workload)
    where = make_target(target, data, region, profile, workload=read)

    from perfkit.dynamodb import cleaning
    from perfkit.dynamodb.safety import approve

    planned = cleaning.plan(where, read, RUNS_FOLDER if runs else None, page=PAGE if runs else None)
    note_left_alone(read)
    existing = {table.name for table in read.existing}
    for name in (each for each in planned.kept if each not in existing):
        note(f"Table {name} stays: it does not carry the mark of tables that perfkit created.")
    if planned.other_files:
        files = "1 file" if planned.other_files == 1 else f"{planned.other_files:,} files"
        note(f"What stays in {RUNS_FOLDER}, because it cannot be read as a run: {files}.")
    if not planned.effects and not planned.foreign:
        print_text("Nothing to remove.")
        _say_what_stays()
        return
    if not approve(planned.preview(), where, make_permission(yes=yes), show=note):
        note("Nothing was removed.")
        raise typer.Exit(1)
    effects = planned.effects
    cleaning.clean(planned, read)
    for effect in effects:
        print_text(wrap(f"Removed {effect}", sys.stdout, indent="  "))
    _say_what_stays()


_STAYING = {
    "migrations": "the record of who made which index",
    "runs": "--runs removes the saved runs",
    "tables": "the record of which tables are perfkit's",
    "traces": "recordings",
}


def _say_what_stays() -> None:
    """Name what is left in perfkit's folder, with the reason where it has one."""
    try:
        left = sorted(each for each in FOLDER.iterdir() if each.is_file() or any(each.iterdir()))
    except OSError:
        return
    texts = [
        f"{each.name} ({_STAYING[each.name]})" if each.name in _STAYING else each.name
        for each in left
    ]
    if texts:
        note(f"What stays in {FOLDER}: {', '.join(texts)}.")
