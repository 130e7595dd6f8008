"""`perfkit drop-indexes`: the way back from `perfkit create-indexes`."""

from typing import Annotated

import typer

from perfkit.commands.common import (
    INTERRUPTED,
    DataOption,
    JsonOption,
    ProfileOption,
    RegionOption,
    TargetOption,
    UntaggedOption,
    WorkloadOption,
    YesOption,
    make_permission,
    make_target,
    note,
    print_json,
    print_text,
    read_workload,
    say,
)
from perfkit.errors import ConfigError

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
    untagged: UntaggedOption = False,
    yes: YesOption = False,
    as_json: JsonOption = False,
) -> None:
    """
    Drop the indexes of a workload; its items stay, and so do indexes it does not name.

    Example: perfkit drop-indexes --index CoursesBySemester
    """
    read = read_workload(workload)
    where = make_target(target, data, region, profile)

    from perfkit.dynamodb import indexes
    from perfkit.dynamodb.safety import approve

    plans = indexes.plan(where, read, index or ())
    existing = [each for each in plans if each.state is not indexes.State.MISSING]
    foreign = sorted({each.table.name for each in existing if not each.ours})
    if foreign and where.is_guarded and yes and not untagged:
        msg = (
            f"perfkit did not create {', '.join(foreign)} in {where.name}; add --untagged if their"
            " indexes are to be dropped all the same. Nothing was done"
        )
        raise ConfigError(msg)
    permission = make_permission(yes=yes)
    if not approve(indexes.drop_preview(plans, read), where, permission, show=note):
        note("Nothing was done.")
        raise typer.Exit(1)
    try:
        changes = indexes.apply(where, plans, indexes.Goal.ABSENT, wait=wait)
    except KeyboardInterrupt as error:
        say(
            "Interrupted: what was begun goes on; run the same command again for the rest.",
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
        return
    texts = {
        indexes.Change.DROPPED: "Dropped",
        indexes.Change.NOT_THERE: "Not there",
        indexes.Change.UNDER_WAY: "Under way",
        indexes.Change.QUEUED: "Not started yet, one at a time on each table (run again)",
    }
    for change, text in texts.items():
        names = [name for (_, name), became in changes.items() if became is change]
        if names:
            print_text(f"{text}: {', '.join(names)}")
