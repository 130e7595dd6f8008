"""`perfkit migrate apply` and `rollback`: a plan carried out on live tables, and the way back."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from perfkit.commands.options import (
    DataOption,
    JsonOption,
    ProfileOption,
    RegionOption,
    TargetOption,
    YesOption,
    make_permission,
    make_target,
    refuse_idle,
)
from perfkit.commands.output import (
    note,
    print_json,
    print_text,
    say,
    warn,
    wrap,
)
from perfkit.console import INTERRUPTED
from perfkit.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from perfkit.dynamodb.index_work import Changes, Event
    from perfkit.dynamodb.safety import Effect
    from perfkit.dynamodb.targets import Target
    from perfkit.migrate.applying import Ready, Taken
    from perfkit.migrate.journal import Journal
    from perfkit.migrate.plan import Plan

__all__ = ["apply", "migrate_command", "place_named", "plan_command", "rollback", "target_of"]

PlanArgument = Annotated[
    Path, typer.Argument(metavar="PLAN", help="A plan that `migrate plan --output` saved.")
]
QuietOption = Annotated[
    float | None,
    typer.Option(
        "--timeout",
        min=0,
        metavar="SECONDS",
        help="Stop waiting when nothing has moved for so long; what was begun goes on.",
    ),
]

_UNREAD_DAYS = 14


def apply(
    context: typer.Context,
    plan: PlanArgument,
    *,
    target: TargetOption = None,
    data: DataOption = None,
    region: RegionOption = None,
    profile: ProfileOption = None,
    timeout: QuietOption = None,
    confirm: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="The index to be removed, by name, where it is unknown who reads it.",
        ),
    ] = None,
    yes: YesOption = False,
    as_json: JsonOption = False,
) -> None:
    """
    Create, or remove, the indexes of a saved plan on live tables.

    Shows what will happen and asks. One index of a table at a time, tables side by side. Each step
    is noted before and after in .perfkit/migrations. May be interrupted: repeated, it goes on.

    Example: perfkit migrate apply plan.json
    """
    from perfkit.dynamodb.index_work import WaitPolicy
    from perfkit.dynamodb.safety import Preview, approve
    from perfkit.migrate import applying
    from perfkit.migrate.journal import journals
    from perfkit.migrate.plan_file import read_plan

    made = read_plan(plan)
    if not any(table.removals for table in made.tables):
        refuse_idle(context, {"confirm"}, "with a plan that removes no index")
    where = target_of(made, target, data, region, profile)
    names = [table.table for table in made.tables]
    applying.check(where, made)
    with journals(where, names, "migrate apply") as kept:
        # again, now that nobody else changes them from here
        ready = applying.check(where, made)
        applying.check_removals(made, ready, kept)
        for table in made.tables:
            for text in table.warnings:
                warn(f"{text}.")
        _check_unread(where, ready, confirm)
        _tell_preflight(ready, kept)
        preview = Preview(
            title=f"Apply {plan}",
            effects=tuple(effect for each in ready for effect in _effects(each)),
            always_ask=True,
        )
        permission = make_permission(yes=yes)
        if preview.effects and not approve(preview, where, permission, show=note):
            note("Nothing was done.")
            raise typer.Exit(1)
        started_s = time.monotonic()
        given = {"--target": target, "--data": data, "--region": region, "--profile": profile}
        again = plan_command("apply", plan, given)
        leaving = {(each.plan.table, index.name) for each in ready for index in each.to_remove}
        with _watching(_ready_names(ready), again, leaving) as watch:
            policy = WaitPolicy(quiet_s=timeout, watch=watch, stalled=note)
            changes = applying.apply(where, ready, kept, policy)
        _show(where, plan, changes, kept, time.monotonic() - started_s, as_json=as_json)
    if not as_json and any(table.creations for table in made.tables):
        verify = plan_command("verify", plan, {"--workload": _workload_option(made), **given})
        note(f"Next: {verify}\nThe way back: {plan_command('rollback', plan, given)}")


def rollback(
    plan: PlanArgument,
    *,
    target: TargetOption = None,
    data: DataOption = None,
    region: RegionOption = None,
    profile: ProfileOption = None,
    timeout: QuietOption = None,
    unread_days: Annotated[
        int, typer.Option(min=1, max=455, metavar="N", help="Days of reads to show.")
    ] = _UNREAD_DAYS,
    yes: YesOption = False,
    as_json: JsonOption = False,
) -> None:
    """
    Remove the indexes that `migrate apply` made of a plan, and nothing else.

    What was made is known by the journal in .perfkit/migrations. Shows first what reads the indexes,
    as far as anybody says, and asks. May be interrupted: repeated, it goes on.

    Example: perfkit migrate rollback plan.json
    """
    from perfkit.dynamodb.index_work import WaitPolicy
    from perfkit.dynamodb.safety import Effect, Preview, approve
    from perfkit.migrate import applying
    from perfkit.migrate.journal import journals
    from perfkit.migrate.plan_file import read_plan
    from perfkit.migrate.reads import recent_reads

    made = read_plan(plan)
    where = target_of(made, target, data, region, profile)
    names = [table.table for table in made.tables]
    with journals(where, names, "migrate rollback") as kept:
        taken, unknown = applying.find_taken(where, made, kept)
        for name in unknown:
            warn(f"index {name} is not recorded as made here and stays.")
        effects = []
        for each in taken:
            index = each.made.definition.name
            reads = recent_reads(where, each.state, index, days=unread_days, now=datetime.now(UTC))
            seen = "" if each.made.is_sure else ", asked for without an answer"
            effects.append(
                Effect(
                    text=f"remove index {index} of table {each.state.name}, made by"
                    f" {each.made.command} at {each.made.since[:16]}{seen}; {reads}"
                )
            )
        preview = Preview(title=f"Roll back {plan}", effects=tuple(effects), always_ask=True)
        if not approve(preview, where, make_permission(yes=yes), show=note):
            note("Nothing was done.")
            raise typer.Exit(1)
        started_s = time.monotonic()
        given = {"--target": target, "--data": data, "--region": region, "--profile": profile}
        again = plan_command("rollback", plan, given)
        leaving = {(each.state.name, each.made.definition.name) for each in taken}
        with _watching(_taken_names(taken), again, leaving) as watch:
            policy = WaitPolicy(quiet_s=timeout, watch=watch, stalled=note)
            changes = applying.roll_back(where, taken, kept, policy)
        _show(where, plan, changes, kept, time.monotonic() - started_s, as_json=as_json)


def target_of(
    made: "Plan",
    target: str | None,
    data: Path | None,
    region: str | None,
    profile: str | None,
) -> "Target":
    """
    Return the target that options name, or else the plan.

    Raises:
        ConfigError: There is no such target, or an option does not go with it.
    """
    target, region = place_named(made, target, data, region)
    return make_target(target, data, region, profile)


def place_named(
    made: "Plan", target: str | None, data: Path | None, region: str | None
) -> tuple[str | None, str | None]:
    """Return the target and the region that options name, or else the plan."""
    from perfkit.dynamodb.targets import parse_target

    place = made.place
    if target is None and data is None:
        target = place.endpoint or place.kind
    if region is None and place.kind != "embedded" and target not in {None, "embedded"}:
        # an address of AWS says its own
        region = (None if target == "aws" else parse_target(target).region) or place.region
    return target, region


def plan_command(what: str, plan: Path, given: "Mapping[str, object]") -> str:
    """Return a command about the plan with the options that were given, to be typed as it is."""
    import shlex

    return migrate_command(f"{what} {shlex.quote(str(plan))}", given)


def migrate_command(what: str, given: "Mapping[str, object]") -> str:
    """Return a command of `perfkit migrate` with the options that were given, to be typed as it is."""
    import shlex

    options = [
        f" {name} {shlex.quote(str(each))}"
        for name, value in given.items()
        for each in (value if isinstance(value, list) else [value])
        if each is not None
    ]
    return f"perfkit migrate {what}{''.join(options)}"


def _workload_option(made: "Plan") -> str | None:
    """Return what `verify` needs to know of the workload; None where it finds it by itself."""
    from perfkit.errors import PerfkitError
    from perfkit.workloads.loader import load

    try:
        found = load(None).name
    except PerfkitError:
        found = ""
    return None if found == made.workload else "FILE"


def _ready_names(ready: "Sequence[Ready]") -> list[str]:
    """Return what is worked on, as `table index`."""
    return [
        f"{each.plan.table} {index.name}"
        for each in ready
        for index in (
            *(creation.index for creation in each.plan.creations),
            *(removal.index for removal in each.plan.removals),
        )
    ]


def _taken_names(taken: "Sequence[Taken]") -> list[str]:
    """Return what is removed, as `table index`."""
    return [f"{each.state.name} {each.made.definition.name}" for each in taken]


def _effects(ready: "Ready") -> "Iterator[Effect]":
    from perfkit.dynamodb.safety import Effect
    from perfkit.units import format_count

    table = ready.plan
    regions = f", in {', '.join(table.replicas)}, too" if table.replicas else ""
    missing = {each.name for each in ready.missing}
    for creation in table.creations:
        index, figures = creation.index, creation.figures
        name = f"index {index.name} ({index.key_text}; {index.projection}) of table {table.table}"
        if index.name not in missing:
            there = ready.state.index(index.name)
            if there is not None and (there.status != "ACTIVE" or table.replicas):
                yield Effect(text=f"wait until {name} is active, which is being made")
            continue
        entries = format_count(round(figures.entries.value))
        yield Effect(
            text=f"create {name}{regions}, copying about {entries} items",
            write_units=figures.backfill_units.value * (1 + len(table.replicas)),
        )
        for scaling in table.scaling:
            yield Effect(
                text=f"let {scaling.dimension} of {index.name} scale between {scaling.least:,} and"
                f" {scaling.most:,}, as the table's"
            )
    for index in ready.to_remove:
        yield Effect(text=f"remove index {index.name} ({index.key_text}) of table {table.table}")
    if ready.state.is_busy and missing:
        yield Effect(text=f"first wait for the operation that runs on {table.table}")


def _tell_preflight(ready: "Sequence[Ready]", kept: "Mapping[str, Journal]") -> None:
    """Say what the newest preflight found of each table, or that there was none."""
    from perfkit.migrate.applying import definition_of
    from perfkit.units import format_count, format_duration

    is_unknown = False
    for each in ready:
        if not each.missing:
            continue
        found = kept[each.plan.table].looked(each.state)
        if found is None or not all(map(found.is_about, map(definition_of, each.missing))):
            is_unknown = True
            continue
        age_s = (datetime.now(UTC) - datetime.fromisoformat(found.at)).total_seconds()
        read = f"{format_count(found.items)} items{'' if found.whole else ' of a sample'}"
        text = (
            f"preflight of {each.plan.table} {format_duration(max(0.0, age_s))} ago:"
            f" {format_count(found.refused)} of {read} can no longer be written once"
            f" {', '.join(found.indexes)} {'exists' if len(found.indexes) == 1 else 'exist'}"
        )
        if found.refused:
            warn(f"{text}. Correct them and what writes them first.")
        else:
            note(f"{text[0].upper()}{text[1:]}.")
    if is_unknown:
        note(
            "`perfkit migrate preflight` finds items that would be refused: those whose\n"
            "attributes a new index cannot take as keys can then not be written to the table."
        )


def _check_unread(where: "Target", ready: "Sequence[Ready]", confirmed: str | None) -> None:
    """
    Look again whether anything reads an index that is to be removed.

    Raises:
        ConfigError: Something does, or that is unknown and its name was not typed.
    """
    from perfkit.migrate.reads import recent_reads

    for table in ready:
        for removal in table.plan.removals:
            name = removal.index.name
            if table.state.index(name) is None:
                continue
            reads = recent_reads(where, table.state, name, days=removal.days, now=datetime.now(UTC))
            if reads.units:
                msg = (
                    f"index {name} of {table.plan.table} was read meanwhile: {reads}; find out by"
                    " whom first. Nothing was changed"
                )
                raise ConfigError(msg)
            if reads.units is None or removal.read_units is None:
                warn(f"{name}: {reads}.")
                _check_typed(name, confirmed)


def _check_typed(name: str, confirmed: str | None) -> None:
    if confirmed is None and sys.stdin.isatty() and sys.stderr.isatty():
        confirmed = typer.prompt("Its name, to remove it all the same", err=True)
    if confirmed != name:
        msg = f"{name} was not removed; --confirm {name} removes it, unknown readers and all"
        raise ConfigError(msg)


@contextmanager
def _watching(
    names: list[str], again: str, leaving: "Collection[tuple[str, str]]"
) -> "Iterator[Callable[[Event], None]]":
    """
    Show how far indexes are, each named as `table index`; *removed* are those that are to go.

    Args:
        names: What is worked on, as `table index`.
        again: The command that goes on where this one was interrupted.
        leaving: Table and index of what is removed.

    Raises:
        typer.Exit: Ctrl-C, with exit code 130.
    """
    from perfkit.commands.progress import bars

    try:
        with bars(unit="") as shown:
            for name in names:
                shown.add(name, None)

            def watch(event: "Event") -> None:
                name = f"{event.table} {event.index}"
                if (event.table, event.index) in leaving:
                    # before its turn it is as it was
                    if event.status in {"DELETING", ""}:
                        shown.label(name, f"removing {event.index}")
                    if not event.status:
                        shown.label(name, f"{event.index}: removed")
                        shown.reach(name, 1.0, 1.0)
                    return
                if event.status:
                    stage, text = _event_text(event)
                    shown.label(name, text, step=f"{event.index}: {stage}")
                if event.status in {"ACTIVE", "UPDATING"}:
                    shown.reach(name, 1.0, 1.0)
                elif event.fraction is not None and event.backfilling:
                    shown.reach(name, event.fraction, 1.0)

            yield watch
    except KeyboardInterrupt as error:
        say(
            f"Interrupted: what was begun stays and goes on by itself; `{again}` continues, and"
            " `perfkit migrate status` shows how far it is.",
            fg="yellow",
        )
        raise typer.Exit(INTERRUPTED) from error


def _event_text(event: "Event") -> tuple[str, str]:
    """Return the stage of an index, and all that is known of it."""
    from perfkit.units import format_count, format_duration

    stage = {"ACTIVE": "ACTIVE", "UPDATING": "ACTIVE"}.get(event.status, event.status)
    if event.status == "CREATING":
        stage = "CREATING, items are copied" if event.backfilling else "CREATING, being allocated"
    parts = [f"{event.index}: {stage}"]
    if event.items_s is not None:
        parts.append(f"{format_count(round(event.items_s))} items/s")
    if event.left_s is not None:
        parts.append(f"about {format_duration(event.left_s)} left")
    if event.writing is not None:
        if event.writing.units_s is not None:
            parts.append(f"{event.writing.units_s:,.0f} WCU")
        if event.writing.throttles:
            parts.append(f"{event.writing.throttles:,.0f} writes throttled")
    parts += [f"{region}: {status}" for region, status in event.regions.items()]
    return stage, ", ".join(parts)


def _show(
    where: "Target",
    plan: Path,
    changes: "Changes",
    kept: "dict[str, Journal]",
    elapsed_s: float,
    *,
    as_json: bool,
) -> None:
    from perfkit.dynamodb.index_work import Change
    from perfkit.units import format_seconds

    if as_json:
        print_json(
            {
                "target": where.describe(),
                "plan": str(plan),
                "elapsed_s": elapsed_s,
                "journals": [str(each.path) for each in kept.values()],
                "indexes": [
                    {"table": table, "name": name, "change": str(change)}
                    for (table, name), change in changes.items()
                ],
            }
        )
        return
    texts = {
        Change.CREATED: f"Active, after {format_seconds(elapsed_s)}",
        Change.ALREADY_THERE: "Active already",
        Change.DROPPED: f"Removed, after {format_seconds(elapsed_s)}",
        Change.NOT_THERE: "Not there any more",
    }
    for change, text in texts.items():
        names = [
            f"{name} of {table}" for (table, name), became in changes.items() if became is change
        ]
        if names:
            print_text(wrap(f"{text}: {', '.join(names)}", sys.stdout, indent="  "))
    if not changes:
        print_text("Nothing to do.")
