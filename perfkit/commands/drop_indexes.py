"""`perfkit drop-indexes`: the way back from `perfkit create-indexes`."""

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from perfkit.commands.options import (
    DataOption,
    JsonOption,
    ProfileOption,
    RegionOption,
    TargetOption,
    TimeoutOption,
    WorkloadOption,
    YesOption,
    make_permission,
    make_target,
    read_workload,
)
from perfkit.commands.output import (
    note,
    note_left_alone,
    print_json,
    print_text,
    say,
    wrap,
)
from perfkit.console import INTERRUPTED
from perfkit.errors import ConfigError

if TYPE_CHECKING:
    from perfkit.dynamodb.index_work import Changes

__all__ = ["drop_indexes"]


def drop_indexes(
    *,
    workload: WorkloadOption = None,
    target: TargetOption = None,
    data: DataOption = None,
    region: RegionOption = None,
    profile: ProfileOption = None,
    index: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Only this index; may be repeated.")
    ] = None,
    wait: Annotated[
        bool, typer.Option("--wait/--no-wait", help="Return only when every index is gone.")
    ] = True,
    timeout: TimeoutOption = None,
    yes: YesOption = False,
    as_json: JsonOption = False,
) -> None:
    """
    Drop the indexes of a workload from tables that perfkit created; the items stay.

    Indexes that the workload does not name, or that differ from the workload's, stay, too.

    Example: perfkit drop-indexes --index CoursesBySemester
    """
    read = read_workload(workload)
    where = make_target(target, data, region, profile, workload=read)
    note_left_alone(read)

    from perfkit.dynamodb import indexes
    from perfkit.dynamodb.safety import approve
    from perfkit.migrate.journal import journals

    missing = indexes.IndexPlanState.MISSING
    plans = indexes.plan(where, read, index or ())
    permission = make_permission(yes=yes)
    if not approve(indexes.drop_preview(plans, read), where, permission, show=note):
        note("Nothing was done.")
        raise typer.Exit(1)
    try:
        tables = [each.table.name for each in plans if each.state is not missing]
        with journals(where, tables, "drop-indexes") as kept:
            changes = indexes.apply(
                where,
                plans,
                indexes.Goal.ABSENT,
                wait=wait,
                timeout_s=timeout,
                stalled=note,
                record=lambda noted: kept[noted.table.name].note(noted),
            )
    except KeyboardInterrupt as error:
        say(
            "Interrupted: what was begun stays; run the same command again for the rest.",
            fg="yellow",
        )
        raise typer.Exit(INTERRUPTED) from error
    if as_json:
        print_json(
            {
                "target": where.describe(),
                "indexes": [
                    {"table": table, "name": name, "change": str(change)}
                    for (table, name), change in changes.items()
                ],
            }
        )
    else:
        _print_changes(changes)
    different = "; ".join(
        f"index {each.index.name} of {each.table.name} differs from the workload's and was left"
        f" alone: {each.difference}"
        for each in plans
        if each.state is indexes.IndexPlanState.DIFFERENT
    )
    if different:
        raise ConfigError(different)


def _print_changes(changes: "Changes") -> None:
    from perfkit.dynamodb.indexes import Change

    texts = {
        Change.DROPPED: "Dropped",
        Change.NOT_THERE: "Not there",
        Change.UNDER_WAY: "Under way",
        Change.QUEUED: "Not started yet, one at a time on each table (run again)",
        Change.LEFT: "Left as it is",
    }
    for change, text in texts.items():
        names = [name for (_, name), became in changes.items() if became is change]
        if names:
            print_text(wrap(f"{text}: {', '.join(names)}", sys.stdout, indent="  "))
