"""`perfkit seed`: fill the tables of a workload."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from perfkit.commands.options import (
    DataOption,
    JsonOption,
    MaxCostOption,
    MaxRcuOption,
    MaxWcuOption,
    ProfileOption,
    RegionOption,
    TargetOption,
    VerboseOption,
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
    say_consumption,
    warn,
)
from perfkit.console import INTERRUPTED

if TYPE_CHECKING:
    from perfkit.dynamodb.seeding import SeedOutcome, SeedPlan
    from perfkit.dynamodb.writing import Progress

__all__ = ["seed", "seed_with_bars"]

_MOST_TABLES = 20
"""Of a workload with more the first are shown, and the sum of all."""


def seed(
    *,
    workload: WorkloadOption = None,
    target: TargetOption = None,
    data: DataOption = None,
    region: RegionOption = None,
    profile: ProfileOption = None,
    scale: Annotated[
        float, typer.Option(metavar="FACTOR", help="Multiplies the items of every table.")
    ] = 1.0,
    table: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Only this table; may be repeated.")
    ] = None,
    random_seed: Annotated[int, typer.Option(help="Another number makes other items.")] = 1,
    processes: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=64,
            help="Processes that write (default: one per core, up to 4; few items take one).",
        ),
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Write every item, even those already there.")
    ] = False,
    max_rcu: MaxRcuOption = None,
    max_wcu: MaxWcuOption = None,
    max_cost: MaxCostOption = None,
    yes: YesOption = False,
    as_json: JsonOption = False,
    verbose: VerboseOption = False,
) -> None:
    """
    Create the tables of a workload and fill them.

    May be interrupted and run again at any time: items that are already there are kept or written
    again, never duplicated. Tables that perfkit did not create are refused.

    Example: perfkit seed --scale 0.1
    """
    read = read_workload(workload)
    where = make_target(
        target,
        data,
        region,
        profile,
        workload=read,
        max_rcu=max_rcu,
        max_wcu=max_wcu,
        max_cost=max_cost,
    )
    note_left_alone(read)

    from perfkit.dynamodb import seeding
    from perfkit.dynamodb.safety import approve

    planned = seeding.plan(
        where,
        read,
        scale=scale,
        random_seed=random_seed,
        tables=table or (),
        force=force,
    )
    permission = make_permission(yes=yes, max_cost=max_cost)
    if not approve(seeding.preview(planned), where, permission, show=note):
        note("Nothing was done.")
        raise typer.Exit(1)
    count = processes or seeding.default_processes(planned.items)
    outcome = seed_with_bars(planned, count)
    for remark in outcome.remarks():
        warn(remark)
    written = sum(each.written for each in outcome.tables)
    if written:
        note(
            f"Wrote {written:,} items in {outcome.elapsed_s:.1f} s"
            f" ({written / outcome.elapsed_s:,.0f} items/s)."
        )
    say_consumption(where)
    if as_json:
        print_json(_document(planned, outcome))
    elif planned.tables:
        _print(outcome, None if verbose else _MOST_TABLES)
        if any(each.indexes for each in read.made):
            note("Next: perfkit create-indexes")


def seed_with_bars(planned: "SeedPlan", processes: int) -> "SeedOutcome":
    from perfkit.commands.progress import bars
    from perfkit.dynamodb import seeding

    done = 0
    try:
        with bars(unit="items") as shown:
            shown.add("seed", planned.items)

            def advance(progress: "Progress") -> None:
                nonlocal done
                done += progress.written + progress.skipped
                shown.advance("seed", progress.written + progress.skipped)

            return seeding.seed(
                planned,
                processes=processes,
                stage=lambda text: shown.label("seed", text, step="Seeding"),
                progress=advance,
            )
    except KeyboardInterrupt as error:
        say_consumption(planned.job.target)
        say(
            f"Interrupted: {done:,} of {planned.items:,} items are in; run the same command again"
            " to continue.",
            fg="yellow",
        )
        raise typer.Exit(INTERRUPTED) from error


def _print(outcome: "SeedOutcome", most: int | None) -> None:
    from perfkit.report import terminal
    from perfkit.report.layout import first_rows
    from perfkit.report.model import Column, Kind, Table

    rows = tuple(_with_total(outcome))
    table = Table(
        name="seeded",
        title="Seeded",
        columns=(
            Column(key="table", title="table", label=True),
            Column(
                key="items",
                title="items",
                kind=Kind.COUNT,
                note="Counted by reading the table to its end.",
            ),
            Column(key="written", title="written now", kind=Kind.COUNT),
            Column(key="already", title="already there", kind=Kind.COUNT),
            Column(key="write_units", title="WCU consumed", kind=Kind.CAPACITY),
            Column(
                key="read_units",
                title="RCU consumed",
                kind=Kind.CAPACITY,
                note="By counting and comparing.",
            ),
        ),
        rows=rows,
    )
    shown = first_rows(table, most, what="tables", last=len(rows) - len(outcome.tables))
    terminal.print_table(shown)
    if shown is not table:
        print_text("More: perfkit seed -v")


def _with_total(outcome: "SeedOutcome") -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = [
        {
            "table": each.name,
            "items": each.items,
            "written": each.written,
            "already": each.already,
            "write_units": each.write_units,
            "read_units": each.read_units,
        }
        for each in outcome.tables
    ]
    if len(rows) > 1:
        names = [name for name in rows[0] if name != "table"]
        rows.append({"table": "all", **{name: sum(row[name] for row in rows) for name in names}})
    return rows


def _document(planned: "SeedPlan", outcome: "SeedOutcome") -> dict[str, Any]:
    return {
        "workload": planned.job.workload.name,
        "target": planned.job.target.describe(),
        "scale": planned.job.scale,
        "random_seed": planned.job.random_seed,
        "elapsed_s": outcome.elapsed_s,
        "refusals": outcome.refusals,
        "remarks": outcome.remarks(),
        "tables": [
            {
                "name": each.name,
                "created": each.created,
                "found": str(each.found),
                "expected": each.expected,
                "items": each.items,
                "written": each.written,
                "already": each.already,
                "foreign": each.foreign,
                "write_units": each.write_units,
                "read_units": each.read_units,
            }
            for each in outcome.tables
        ],
    }
