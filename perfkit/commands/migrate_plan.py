"""`perfkit migrate plan`: what the indexes that live tables lack take, cost and change."""

import sys
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from perfkit.commands.migrate_apply import migrate_command, plan_command
from perfkit.commands.migrate_tables import find_lacking, is_approved, say_nothing_lacks
from perfkit.commands.options import (
    DataOption,
    JsonOption,
    MaxCostOption,
    MaxRcuOption,
    ProfileOption,
    RegionOption,
    TargetOption,
    VerboseOption,
    WorkloadOption,
    YesOption,
    make_target,
    read_workload,
    refuse_idle,
)
from perfkit.commands.output import (
    note,
    print_line,
    print_text,
    say,
    say_consumption,
    warn,
    warn_of_units,
    wrap,
)
from perfkit.console import INTERRUPTED
from perfkit.errors import ConfigError
from perfkit.migrate.forms import Emitted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from perfkit.cost.prices import PriceBook
    from perfkit.dynamodb.targets import Target
    from perfkit.migrate.plan import Creation, Plan, Range
    from perfkit.migrate.proposals import Proposal
    from perfkit.report.model import Row, Table

__all__ = ["plan"]

_OF_A_SAVED_PLAN = frozenset({"saved", "emit", "as_json", "verbose"})
_MOST_ROWS = 8
"""Of each table; `-v` shows all."""


def plan(
    context: typer.Context,
    *,
    workload: WorkloadOption = None,
    target: TargetOption = None,
    data: DataOption = None,
    region: RegionOption = None,
    profile: ProfileOption = None,
    index: Annotated[
        list[str] | None,
        typer.Option("--index", metavar="NAME", help="Only this index; may be repeated."),
    ] = None,
    sample: Annotated[
        int,
        typer.Option(min=1, max=100_000, metavar="N", help="Items to read of each table."),
    ] = 1000,
    backfill_wcu: Annotated[
        float | None,
        typer.Option(
            min=1,
            metavar="UNITS",
            help="Write units a second to build with; left out, the table's, or 1,000 on demand.",
        ),
    ] = None,
    emit: Annotated[
        Emitted | None,
        typer.Option(help="Print the tables' indexes, the new ones among them, as code instead."),
    ] = None,
    remove: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="Plan the removal of this index instead, if nothing reads it."
        ),
    ] = None,
    unread_days: Annotated[
        int,
        typer.Option(min=1, max=455, metavar="N", help="With --remove: days without a read."),
    ] = 14,
    confirm: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="With --remove: the name again, where it is unknown who reads the index.",
        ),
    ] = None,
    saved: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Show or emit this saved plan; look at no table."),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Save the plan; as Markdown if the name ends in .md."),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace a file that is there.")] = False,
    max_rcu: MaxRcuOption = None,
    max_cost: MaxCostOption = None,
    yes: YesOption = False,
    as_json: JsonOption = False,
    verbose: VerboseOption = False,
) -> None:
    """
    Plan the indexes that live tables lack.

    Shows what each takes, costs and changes. Reads a sample of each table and changes nothing.
    Figures are modelled from the sample.

    Example: perfkit migrate plan --output plan.json
    """
    from perfkit.commands.progress import bars
    from perfkit.migrate.plan_file import read_plan
    from perfkit.migrate.planning import make_plan, plan_removal, sample_tables
    from perfkit.runs import now_utc

    if emit is not None and as_json:
        msg = "--emit and --json both say what is printed; give one of them"
        raise ConfigError(msg)
    if remove is not None and index:
        msg = "--index plans indexes to create, --remove is a plan of its own; give one of them"
        raise ConfigError(msg)
    _check_used(
        context, saved=saved is not None, remove=remove is not None, output=output is not None
    )
    if saved is not None:
        following = plan_command("apply", saved, {})
        _show(read_plan(saved), emit, following, as_json=as_json, verbose=verbose)
        return
    if output is not None and output.exists() and not force:
        msg = f"{output} is there already; --force replaces it, or give another --output"
        raise ConfigError(msg)
    read = read_workload(workload)
    where = make_target(
        target, data, region, profile, workload=read, max_rcu=max_rcu, max_cost=max_cost
    )
    place = {"--target": target, "--data": data, "--region": region, "--profile": profile}
    following = migrate_command("preflight", {"--workload": workload, **place, "--index": index})
    if remove is not None:
        removal = plan_removal(where, read, remove, days=unread_days, now=datetime.now(UTC))
        _check_confirmed(removal, confirm)
        _write(removal, output, force=force)
        _show(removal, emit, following, as_json=as_json, verbose=verbose)
        return
    proposals = find_lacking(where, read, index or ())
    if not proposals:
        say_nothing_lacks(where, as_json=as_json)
        return
    if not is_approved(where, proposals, sample, 0, yes=yes, max_cost=max_cost):
        note("Nothing was done.")
        raise typer.Exit(1)
    try:
        with bars(unit="") as shown:
            shown.add("sample", None)
            samples = sample_tables(
                where,
                proposals,
                sample,
                begin=lambda name: shown.label("sample", f"reading {name}"),
            )
    except KeyboardInterrupt as error:
        say("Interrupted: there is no plan.", fg="yellow")
        raise typer.Exit(INTERRUPTED) from error
    made = make_plan(
        where,
        read,
        proposals,
        samples,
        book=_book(where),
        backfill_wcu=backfill_wcu,
        created_at=now_utc(),
    )
    say_consumption(where)
    if where.limits is not None:
        warn_of_units(where)
    _say_names(proposals)
    if not made.tables:
        say_nothing_lacks(where, as_json=as_json)
        return
    _write(made, output, force=force)
    _show(made, emit, following, as_json=as_json, verbose=verbose)


def _check_used(context: typer.Context, *, saved: bool, remove: bool, output: bool) -> None:
    """
    Refuse options that are of another kind of plan.

    Raises:
        ConfigError: One was given.
    """
    if saved:
        others = {each.name for each in context.command.params if each.name} - _OF_A_SAVED_PLAN
        refuse_idle(context, others, "with --saved, which shows a plan as it was made")
    if remove:
        idle = {"sample", "backfill_wcu", "max_rcu", "max_cost"}
        refuse_idle(context, idle, "with --remove, which reads no item")
    else:
        refuse_idle(context, {"confirm", "unread_days"}, "without --remove")
    if not output:
        refuse_idle(context, {"force"}, "without --output")


def _say_names(proposals: "Sequence[Proposal]") -> None:
    """Say which indexes are there under another name."""
    from perfkit.migrate.planning import name_there

    for each in proposals:
        for wanted in each.indexes:
            name = name_there(each.state, wanted)
            if name not in {"", wanted.name}:
                note(
                    f"{wanted.name} of {each.table.name} is there as {name}: call it so in the workload."
                )


def _write(made: "Plan", output: Path | None, *, force: bool) -> None:
    from perfkit.files import write_private
    from perfkit.migrate.plan_file import encode

    if output is not None:
        text = _markdown(made) if output.suffix.lower() == ".md" else encode(made)
        write_private(output, text, replace=force)
        note(f"Wrote {output}; nothing was changed.")


def _check_confirmed(made: "Plan", confirmed: str | None) -> None:
    """
    Have the name of an index typed where it is unknown who reads it.

    Raises:
        ConfigError: It was not, or another one.
    """
    removal = made.tables[0].removals[0]
    name = removal.index.name
    if removal.read_units is not None:
        return
    warn(f"it is unknown who reads {name}: {removal.unknown_because}.")
    if confirmed is None and sys.stdin.isatty() and sys.stderr.isatty():
        confirmed = typer.prompt("Its name, to plan its removal all the same", err=True)
    if confirmed != name:
        msg = f"the removal of {name} was not planned; --confirm {name} plans it, unknown readers and all"
        raise ConfigError(msg)


def _show(
    made: "Plan", emitted: Emitted | None, following: str, *, as_json: bool, verbose: bool
) -> None:
    from perfkit.migrate.emit import emit
    from perfkit.migrate.plan_file import encode

    if emitted is not None:
        typer.echo(emit(made, emitted), nl=False)
    elif as_json:
        typer.echo(encode(made), nl=False)
    else:
        _print_plan(made, None if verbose else _MOST_ROWS, following)
    for table in made.tables:
        for text in table.warnings:
            warn(f"{text}.")


def _book(where: "Target") -> "PriceBook | None":
    from perfkit.cost.price_file import load_book
    from perfkit.errors import PriceError

    try:
        return load_book(where.resolved_region())
    except PriceError as error:
        warn(f"the plan has no amounts: {error}.")
        return None


def _print_plan(made: "Plan", most: int | None, following: str) -> None:
    from perfkit.report import terminal
    from perfkit.report.layout import first_rows
    from perfkit.units import format_many

    count = sum(len(table.creations) for table in made.tables)
    if not count:
        for line in _removals(made):
            print_text(wrap(line, sys.stdout, indent="  "))
        return
    print_line(
        f"{made.workload}: {format_many(count, 'index', 'indexes')} to create on"
        f" {format_many(len(made.tables), 'table')} in {_place(made)}; one at a time on each table"
    )
    for table in made.tables:
        there = [
            each.index.name + (f" (differs: {each.difference})" if each.difference else "")
            for each in table.existing
        ]
        if there:
            print_line(f"{table.table} has {', '.join(there)}")
    print_text()
    tables = (replace(each, one_piece=most is not None) for each in _tables(made))
    terminal.print_blocks(tuple(first_rows(each, most, what="rows") for each in tables))
    if most is None:
        for each in (creation for table in made.tables for creation in table.creations):
            for call in each.calls:
                print_text(f"\n{call.pattern} by {each.index.name}, before:\n{call.before_boto3}")
                print_text(f"after:\n{call.after_boto3}")
                print_text(f"in JavaScript, before:\n{call.before_javascript}")
                print_text(f"after:\n{call.after_javascript}")
    print_text()
    print_text(wrap(f"Next: {following}", sys.stdout, indent="  "))
    if most is not None:
        print_text("(each pattern's call, before and after: -v)")


def _removals(made: "Plan") -> list[str]:
    """Return what a plan removes, a line each."""
    lines = []
    for table in made.tables:
        for each in table.removals:
            seen = "who reads it is unknown"
            if each.read_units is not None:
                # a new index that nothing asks yet is unread, too
                seen = (
                    f"CloudWatch counted no read in the {each.days} days until {each.until};"
                    " AWS does not say since when the index is there"
                )
            lines.append(
                f"{made.workload}: index {each.index.name} of {table.table} in {_place(made)} is to"
                f" be removed; {seen}"
            )
    return lines


def _place(made: "Plan") -> str:
    place = made.place
    if place.kind == "embedded":
        return "the embedded engine"
    account = f"account {place.account or '(number unknown)'}, region {place.region}"
    return place.endpoint or f"AWS, {account}"


def _tables(made: "Plan") -> "tuple[Table, ...]":
    """Return the plan as tables: what is created, and what it takes."""
    from perfkit.report.model import Column, Kind, Provenance, Table

    created = [(table, each) for table in made.tables for each in table.creations]
    modelled = Provenance.MODELLED
    sampled = sum(table.sampled for table in made.tables)
    prices = made.prices or "without prices"
    indexes = Table(
        name="indexes",
        title="Indexes to create, in order",
        columns=(
            Column(key="index", title="index", label=True),
            Column(key="table", title="table", weight=0),
            Column(key="key", title="key", weight=2),
            Column(key="projection", title="projection"),
            Column(key="replaces", title="beside"),
            Column(key="entries", title="entries", provenance=modelled),
            Column(key="largest", title="largest key", weight=0, provenance=modelled),
        ),
        rows=tuple(
            {
                "index": each.index.name,
                "table": table.table,
                "key": each.index.key_text,
                "projection": _projection(each),
                "replaces": each.replaces or None,
                "entries": _count(each.figures.entries),
                "largest": _share(each.figures.largest_key),
            }
            for table, each in created
        ),
    )
    amounts = Table(
        name="amounts",
        title="What they take",
        columns=(
            Column(key="index", title="index", label=True),
            Column(key="units", title="write units", group="build", provenance=modelled),
            Column(
                key="at",
                title="at WCU",
                kind=Kind.CAPACITY,
                group="build",
                weight=0,
                provenance=modelled,
            ),
            Column(key="hours", title="takes", group="build", weight=2, provenance=modelled),
            Column(
                key="usd",
                title="costs",
                kind=Kind.USD,
                group="build",
                weight=2,
                provenance=modelled,
            ),
            Column(
                key="stored", title="stored", kind=Kind.BYTES, group="then", provenance=modelled
            ),
            Column(
                key="month",
                title="a month",
                kind=Kind.USD,
                group="then",
                weight=2,
                provenance=modelled,
            ),
            Column(key="write", title="WCU a new item", group="then", provenance=modelled),
            Column(
                key="million",
                title="a million new",
                kind=Kind.USD,
                group="then",
                provenance=modelled,
            ),
            Column(
                key="needed",
                title="needs WCU",
                kind=Kind.CAPACITY,
                group="then",
                provenance=modelled,
                note="Write capacity with which it does not throttle its table; none where nothing"
                " says how much is written.",
            ),
        ),
        rows=tuple(_amounts(each) for _, each in created),
        notes=(
            f"Estimated from {sampled:,} items, with intervals of 95%; without the minutes that AWS takes to allocate an index; {prices}.",
        ),
    )
    return indexes, amounts


def _amounts(creation: "Creation") -> "Row":
    from math import ceil

    from perfkit.units import format_duration

    figures, needed = creation.figures, creation.figures.needed_write_capacity
    more = figures.index_write_units / figures.table_write_units if figures.table_write_units else 0
    return {
        "index": creation.index.name,
        "units": _count(figures.backfill_units),
        "at": figures.backfill_capacity,
        "hours": format_duration(figures.backfill_hours * 3600),
        "usd": figures.backfill_usd,
        "stored": round(figures.stored_bytes.value),
        "month": figures.storage_usd_month,
        "write": f"+{figures.index_write_units:.3g} (+{more:.0%})",
        "million": figures.write_usd_million,
        "needed": None if needed is None else float(ceil(needed)),
    }


def _projection(creation: "Creation") -> str:
    included = ", ".join(creation.index.non_key_attributes)
    return creation.index.projection + (f" ({included})" if included else "")


def _count(figure: "Range") -> str:
    from perfkit.units import format_count

    text = format_count(round(figure.value))
    if figure.low == figure.high:
        return text
    high = "?" if figure.high is None else format_count(round(figure.high))
    return f"{text} ({format_count(round(figure.low))} to {high})"


def _share(figure: "Range | None") -> str | None:
    from perfkit.units import format_share

    if figure is None:
        return None
    text = format_share(figure.value)
    if figure.low == figure.high:
        return text
    return f"{text} ({format_share(figure.low)} to {format_share(figure.high or 1.0)})"


def _markdown(made: "Plan") -> str:
    from perfkit.report.markdown import render_report
    from perfkit.report.model import Report, Section

    title = f"Migration of {made.workload}"
    if removed := _removals(made):
        return "\n".join([f"# {title}", "", *removed]) + "\n"
    text = render_report(
        Report(
            title=title,
            sections=(Section(name="plan", title="Plan", blocks=_tables(made)),),
        )
    )
    parts = [text.rstrip()]
    heeded = [f"- {line}." for table in made.tables for line in table.warnings]
    if heeded:
        parts.append("\n".join(["## To heed", "", *heeded]))
    for each in (creation for table in made.tables for creation in table.creations):
        for call in each.calls:
            parts.append(f"## {call.pattern}, by {each.index.name}")
            for title, language, code in (
                ("Before", "python", call.before_boto3),
                ("After", "python", call.after_boto3),
                ("Before, in JavaScript", "javascript", call.before_javascript),
                ("After, in JavaScript", "javascript", call.after_javascript),
            ):
                parts.append(f"{title}:\n\n```{language}\n{code}\n```")
    return "\n\n".join(parts) + "\n"
