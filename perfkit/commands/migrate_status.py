"""`perfkit migrate status`: how the indexes of tables stand, and what was done to them from here."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from perfkit.commands.migrate_apply import migrate_command, plan_command, target_of
from perfkit.commands.options import (
    DataOption,
    JsonOption,
    ProfileOption,
    RegionOption,
    TargetOption,
    VerboseOption,
    WorkloadOption,
    make_target,
    read_workload,
    refuse_idle,
)
from perfkit.commands.output import note, print_json, print_text, warn, wrap
from perfkit.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from perfkit.migrate.standing import Standing, TableStanding
    from perfkit.report.model import Row, Table

__all__ = ["status"]

_MOST_INDEXES = 12
_MOST_LINES = 3
_MOST_NOTED = 4


def status(
    context: typer.Context,
    plan: Annotated[
        Path | None,
        typer.Argument(metavar="[PLAN]", help="A saved plan; left out, the workload's tables."),
    ] = None,
    *,
    table: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Only this table; may be repeated."),
    ] = None,
    workload: WorkloadOption = None,
    target: TargetOption = None,
    data: DataOption = None,
    region: RegionOption = None,
    profile: ProfileOption = None,
    as_json: JsonOption = False,
    verbose: VerboseOption = False,
) -> None:
    """
    Show how the indexes of live tables stand, and what was done to them from this folder.

    Looks and changes nothing; works without the plan and without the journal. -v shows all of the
    journal.

    Example: perfkit migrate status plan.json
    """
    from perfkit.migrate.applying import check_place
    from perfkit.migrate.plan_file import read_plan
    from perfkit.migrate.standing import stand

    if plan is not None:
        refuse_idle(context, {"workload"}, "with a plan, which names its tables")
    made, read = (None if plan is None else read_plan(plan)), None
    if made is not None:
        where = target_of(made, target, data, region, profile)
        check_place(where, made)
        known = [each.table for each in made.tables]
        for name in table or ():
            if name not in known:
                msg = f"the plan says nothing of table {name}; it is about {', '.join(known)}"
                raise ConfigError(msg)
    else:
        # of a table that it does not name, too, the workload says where it is
        read = read_workload(workload)
        where = make_target(target, data, region, profile, workload=read)
        known = [each.name for each in read.tables]
    found = stand(where, tuple(table or known), made, read)
    if as_json:
        print_json({"target": where.describe(), "tables": [_document(each) for each in found]})
        return
    _print(found, None if verbose else _MOST_INDEXES, None if verbose else _MOST_LINES)
    for each in found:
        if each.is_planned is False:
            warn(f"{each.state.name} was re-created since the plan.")
        for index in each.indexes:
            if index.difference:
                warn(f"{index.definition.name} of {each.state.name}: {index.difference}.")
    given = {"--target": target, "--data": data, "--region": region, "--profile": profile}
    if plan is None:
        if any(one.index is None or one.difference for each in found for one in each.indexes):
            note(f"Next: {migrate_command('plan', {'--workload': workload, **given})}")
    else:
        left = [one for each in found for one in each.indexes if not one.is_done]
        if any(one.difference for one in left) or any(each.is_planned is False for each in found):
            note(f"The plan no longer fits. Next: {migrate_command('plan', given)}")
        else:
            again = plan_command("apply", plan, given)
            note(f"Next: {again}" if left else "All of the plan is done.")


def _print(found: "Sequence[TableStanding]", most: int | None, most_lines: int | None) -> None:
    from perfkit.report import terminal
    from perfkit.report.layout import first_rows
    from perfkit.units import format_many

    terminal.print_table(first_rows(_table(found), most, what="indexes"))
    noted = [each for each in found if each.lines]
    shown = noted
    if most_lines is not None and len(noted) > _MOST_NOTED:
        # of many, those that something was done to last
        shown = sorted(noted, key=lambda each: str(each.lines[-1]["at"]))[-_MOST_NOTED:]
    for each in shown:
        lines = each.lines if most_lines is None else each.lines[-most_lines:]
        some = f"the last {len(lines)} of " if len(lines) < len(each.lines) else ""
        more = "; -v shows all" if some else ""
        steps = format_many(len(each.lines), "step")
        print_text()
        print_text(wrap(f"Noted of {each.state.name}, {some}{steps}{more}:", sys.stdout))
        for line in lines:
            index: Any = line.get("index") or {}
            parts = [str(line["at"])[:19], line["command"], line["step"], index.get("name")]
            detail = line.get("detail")
            text = "  ".join(str(part) for part in parts if part)
            text = f"  {text}" + (f" ({detail})" if detail else "")
            print_text(wrap(text, sys.stdout, indent="  "))
    if len(shown) < len(noted):
        left = format_many(len(noted) - len(shown), "further table")
        print_text()
        print_text(wrap(f"Steps of {left} are noted; -v shows all.", sys.stdout))


def _table(found: "Sequence[TableStanding]") -> "Table":
    from perfkit.report.model import Column, Kind, Table

    return Table(
        name="indexes",
        title="Indexes",
        columns=(
            Column(key="index", title="index", label=True),
            Column(key="table", title="table"),
            Column(key="status", title="status"),
            Column(key="copied", title="copied"),
            Column(key="entries", title="entries", kind=Kind.COUNT),
            Column(key="planned", title="plan"),
            Column(key="made", title="asked for here"),
        ),
        rows=tuple(_row(table, each) for table in found for each in table.indexes),
    )


def _row(table: "TableStanding", each: "Standing") -> "Row":
    from perfkit.units import format_share

    return {
        "index": each.definition.name,
        "table": table.state.name,
        "status": each.status,
        "copied": None if each.fraction is None else format_share(each.fraction),
        "entries": None if each.index is None else each.index.items,
        "planned": each.outcome or None,
        "made": None if each.made is None else each.made.since[:16],
    }


def _document(table: "TableStanding") -> dict[str, Any]:
    return {
        "name": table.state.name,
        "arn": table.state.arn,
        "status": table.state.status,
        "is_planned": table.is_planned,
        "indexes": [
            {
                "name": each.definition.name,
                "keys": list(each.definition.keys.names),
                "projection": each.definition.projection,
                "status": None if each.index is None else each.index.status,
                "backfilling": None if each.index is None else each.index.backfilling,
                "fraction": each.fraction,
                "entries": None if each.index is None else each.index.items,
                "planned": each.planned or None,
                "difference": each.difference,
                "asked_for_here": None if each.made is None else each.made.since,
                "by": None if each.made is None else each.made.command,
            }
            for each in table.indexes
        ],
        "journal": list(table.lines),
    }
