"""`perfkit create-indexes`: give the tables of a workload their global indexes, while in use."""

import sys
import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from perfkit.commands.options import (
    DataOption,
    JsonOption,
    MaxCostOption,
    MaxRcuOption,
    ProfileOption,
    RegionOption,
    TargetOption,
    TimeoutOption,
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
    wrap,
)
from perfkit.console import INTERRUPTED
from perfkit.errors import ConfigError, ThresholdError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from perfkit.dynamodb.index_items import IndexCount
    from perfkit.dynamodb.index_work import Changes
    from perfkit.dynamodb.indexes import IndexPlan
    from perfkit.dynamodb.targets import Target

__all__ = ["check_counts", "create_indexes", "create_with_bars", "not_counted"]

_MOST_INDEXES = 12
"""Of a workload with more those are shown that are not there yet."""


def create_indexes(
    *,
    workload: WorkloadOption = None,
    target: TargetOption = None,
    data: DataOption = None,
    region: RegionOption = None,
    profile: ProfileOption = None,
    index: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Only this index; may be repeated.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show the plan and change nothing.")
    ] = False,
    wait: Annotated[
        bool, typer.Option("--wait/--no-wait", help="Return only when every index is active.")
    ] = True,
    timeout: TimeoutOption = None,
    max_rcu: MaxRcuOption = None,
    max_cost: MaxCostOption = None,
    yes: YesOption = False,
    as_json: JsonOption = False,
    verbose: VerboseOption = False,
) -> None:
    """
    Create the indexes of a workload on tables that perfkit created; they stay usable meanwhile.

    Existing indexes are left alone, even if they differ from the workload's. Items are checked
    before, and index entries counted after: on AWS those of new indexes only, elsewhere those of
    existing ones, too.

    Example: perfkit create-indexes --dry-run
    """
    read = read_workload(workload)
    where = make_target(
        target, data, region, profile, workload=read, max_rcu=max_rcu, max_cost=max_cost
    )
    note_left_alone(read)

    from perfkit.dynamodb import indexes
    from perfkit.dynamodb.safety import approve
    from perfkit.dynamodb.tables import NEW_NAME

    plans = indexes.plan(where, read, index or ())
    if not as_json and plans:
        _print_plan(plans, None if verbose else _MOST_INDEXES)
    if dry_run:
        indexes.check_types(plans)
        if as_json:
            print_json(_document(plans, where, {}, (), elapsed_s=0.0, dry_run=True))
        return
    permission = make_permission(yes=yes, max_cost=max_cost)
    if not approve(indexes.create_preview(plans, read), where, permission, show=note):
        note("Nothing was done.")
        raise typer.Exit(1)
    started_s = time.monotonic()
    changes, counts = create_with_bars(where, plans, wait=wait, timeout_s=timeout)
    elapsed_s = time.monotonic() - started_s
    say_consumption(where)
    if as_json:
        print_json(_document(plans, where, changes, counts, elapsed_s=elapsed_s, dry_run=False))
    else:
        _print_changes(changes, elapsed_s)
        proposed = any(
            not each.exists and not each.local for table in read.existing for each in table.indexes
        )
        if proposed:
            note("Next: perfkit migrate plan, for the indexes of tables that exist without perfkit")
        elif read.patterns:
            note("Next: perfkit bench")
    for text in not_counted(plans, counts):
        note(text)
    different = "; ".join(
        f"index {each.index.name} of {each.table.name} exists and differs: {each.difference}"
        for each in plans
        if each.state is indexes.IndexPlanState.DIFFERENT
    )
    try:
        check_counts(counts)
    except ThresholdError:
        # one error ends the command, and both are to be known
        if different:
            warn(different)
        raise
    if different:
        msg = f"{different}. It was left as it is: {NEW_NAME}"
        raise ConfigError(msg)


def not_counted(plans: "Sequence[IndexPlan]", counts: "Sequence[IndexCount]") -> list[str]:
    """Return how to look at indexes of perfkit's tables that were there and cost money to count."""
    from perfkit.dynamodb.indexes import IndexPlanState

    counted = {(count.table.name, count.check.index.name) for count in counts}
    texts = []
    for each in plans:
        table, index = each.table.name, each.index.name
        there = each.table_state.index(index)
        if each.state is not IndexPlanState.ACTIVE or not each.ours or (table, index) in counted:
            continue
        entries = 0 if there is None else there.items
        texts.append(
            f"{index} of {table} was there, and counting it on AWS costs its read units, so it was"
            f" not counted. AWS's own count, hours old, is {entries:,} entries of"
            f" {each.table_state.items:,} items; for today's:"
            f" aws dynamodb scan --table-name {table} --index-name {index} --select COUNT"
        )
    return texts


def check_counts(counts: "Sequence[IndexCount]") -> None:
    """
    Say what indexes lack.

    Raises:
        ThresholdError: One does not hold what it should.
    """
    from perfkit.dynamodb.index_items import shortfall

    lacking = [text for text in map(shortfall, counts) if text]
    if lacking:
        raise ThresholdError("; ".join(lacking))


def create_with_bars(
    target: "Target",
    plans: "Sequence[IndexPlan]",
    *,
    wait: bool = True,
    timeout_s: float | None = None,
) -> "tuple[Changes, tuple[IndexCount, ...]]":
    """
    Look at the items, create the indexes, count their entries; under progress bars.

    Raises:
        ConfigError: The workload describes an index wrongly; nothing was created.
        TargetError: The target failed, or it took too long.
        typer.Exit: Ctrl-C, with exit code 130.
    """
    from perfkit.commands.progress import bars
    from perfkit.dynamodb import indexes
    from perfkit.migrate.journal import journals
    from perfkit.units import format_many

    indexes.check_types(plans)
    try:
        with bars(unit="") as shown:
            names = [f"{each.table.name} {each.index.name}" for each in plans if each.is_to_create]
            stage = "items"
            step = (
                f"Creating {format_many(len(names), 'index', 'indexes')}" if names else "Counting"
            )
            if names or any(each.is_to_count_again for each in plans):
                shown.add(stage, None)
            checks = indexes.check_items(
                target,
                plans,
                stage=lambda text: shown.label(stage, text, step=step),
            )
            for name in names:
                shown.add(name, None)

            def watch(event: indexes.Event) -> None:
                name = f"{event.table} {event.index}"
                status = event.status.lower() or "waiting"
                shown.label(name, f"{event.index}: {status}", step=step)
                if event.status == "ACTIVE":
                    shown.reach(name, 1.0, 1.0)
                elif event.fraction is not None:
                    shown.reach(name, event.fraction, 1.0)

            tables = [each.table.name for each in plans if each.is_to_create]
            with journals(target, tables, "create-indexes") as kept:
                changes = indexes.apply(
                    target,
                    plans,
                    indexes.Goal.PRESENT,
                    wait=wait,
                    timeout_s=timeout_s,
                    watch=watch,
                    stalled=note,
                    record=lambda noted: kept[noted.table.name].note(noted),
                )
            counts = indexes.count(
                target,
                plans,
                checks,
                changes,
                stage=lambda text: shown.label(stage, text, step=step),
            )
    except KeyboardInterrupt as error:
        say(
            "Interrupted: what was begun stays; `perfkit status` shows how far it is, and running"
            " the same command again continues.",
            fg="yellow",
        )
        raise typer.Exit(INTERRUPTED) from error
    return changes, counts


def _print_plan(plans: "Sequence[IndexPlan]", most: int | None) -> None:
    from perfkit.dynamodb.indexes import IndexPlanState
    from perfkit.dynamodb.tables import Keys
    from perfkit.report import terminal
    from perfkit.report.layout import first_rows
    from perfkit.report.model import Column, Kind, Marked, Table, Tone

    tones = {IndexPlanState.ACTIVE: Tone.GOOD, IndexPlanState.DIFFERENT: Tone.WARNING}
    table = Table(
        name="indexes",
        title="Indexes",
        columns=(
            Column(key="index", title="index", label=True),
            Column(key="table", title="table"),
            Column(key="keys", title="keys"),
            Column(key="projection", title="projection"),
            Column(key="state", title="state"),
            Column(
                key="entries",
                title="items to copy",
                kind=Kind.COUNT,
                note="Estimated from a sample of the workload's items.",
            ),
            Column(key="write_units", title="est. WCU", kind=Kind.CAPACITY),
            Column(key="storage_bytes", title="est. size", kind=Kind.BYTES),
        ),
        rows=tuple(
            {
                "index": each.index.name,
                "table": each.table.name,
                "keys": ", ".join(Keys.of(each.index).names),
                "projection": _projection(each),
                "state": Marked(value=str(each.state), tone=tones.get(each.state, Tone.PLAIN)),
                **(
                    _estimates(each)
                    if each.state in {IndexPlanState.MISSING, IndexPlanState.DELETING}
                    else {}
                ),
            }
            # what will be created, or needs somebody to look at it, comes first
            for each in sorted(plans, key=lambda each: each.state is IndexPlanState.ACTIVE)
        ),
    )
    shown = first_rows(table, most, what="indexes")
    terminal.print_table(shown)
    if shown is not table:
        print_text("More: perfkit create-indexes -v")


def _projection(each: "IndexPlan") -> str:
    attributes = ", ".join(each.index.non_key_attributes)
    return f"{each.index.projection}" + (f" ({attributes})" if attributes else "")


def _estimates(each: "IndexPlan") -> dict[str, Any]:
    return {
        "entries": each.entries,
        "write_units": float(round(each.write_units)),
        "storage_bytes": each.storage_bytes,
    }


def _print_changes(changes: "Changes", elapsed_s: float) -> None:
    from perfkit.dynamodb.indexes import Change
    from perfkit.units import format_seconds

    by_change: dict[Change, list[str]] = {}
    for (_, name), change in changes.items():
        by_change.setdefault(change, []).append(name)
    texts = {
        Change.CREATED: f"Created, and active after {format_seconds(elapsed_s)}",
        Change.ALREADY_THERE: "Already there",
        Change.UNDER_WAY: "Under way (`perfkit status` shows how far)",
        Change.QUEUED: "Not started yet, one at a time on each table (run the command again)",
    }
    print_text()
    for change, text in texts.items():
        if change in by_change:
            print_text(wrap(f"{text}: {', '.join(by_change[change])}", sys.stdout, indent="  "))


def _document(
    plans: "Sequence[IndexPlan]",
    target: "Target",
    changes: "Changes",
    counts: "Sequence[IndexCount]",
    *,
    elapsed_s: float,
    dry_run: bool,
) -> dict[str, Any]:
    from perfkit.dynamodb.index_items import shortfall
    from perfkit.dynamodb.tables import Keys

    counted = {(count.table.name, count.check.index.name): count for count in counts}
    return {
        "target": target.describe(),
        "dry_run": dry_run,
        "elapsed_s": elapsed_s,
        "indexes": [
            {
                "table": each.table.name,
                "name": each.index.name,
                "keys": list(Keys.of(each.index).names),
                "projection": str(each.index.projection),
                "non_key_attributes": list(each.index.non_key_attributes),
                "state_before": str(each.state),
                "difference": each.difference,
                "change": str(changes.get((each.table.name, each.index.name), "")),
                **(
                    {
                        "items": count.check.items,
                        "items_that_belong": count.check.belonging,
                        "entries": count.entries,
                        "shortfall": shortfall(count),
                    }
                    if (count := counted.get((each.table.name, each.index.name)))
                    else {}
                ),
                **(
                    {}
                    if str(each.state) in {"active", "creating", "different"}
                    else {
                        "items_to_copy": each.entries,
                        "estimated_write_units": each.write_units,
                        "estimated_storage_bytes": each.storage_bytes,
                    }
                ),
            }
            for each in plans
        ],
    }
