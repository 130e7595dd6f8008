"""`perfkit init`: write a workload from the tables that a target has."""

from decimal import Decimal
from pathlib import Path
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
    YesOption,
    make_permission,
    make_target,
    request_prices,
)
from perfkit.commands.output import (
    note,
    print_json,
    say,
    say_consumption,
    warn,
)
from perfkit.console import INTERRUPTED
from perfkit.errors import ConfigError, LimitReachedError, TargetError
from perfkit.settings import DATA_FILE, WORKLOAD_FILE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from perfkit.dynamodb.discover import Discovered, Found
    from perfkit.dynamodb.draft import Draft
    from perfkit.dynamodb.retries import RetryingConnection
    from perfkit.dynamodb.sample import SampleLimits
    from perfkit.dynamodb.tables import TableState
    from perfkit.dynamodb.targets import Target
    from perfkit.embedded.errors import DynamoDBError
    from perfkit.workloads.profile import Estimate

__all__ = ["init"]

_SAMPLE = "sample"
_MOST_TABLES = 20
_MOST_NAMED = 5


def init(
    *,
    table: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="Only this table; may be repeated, and may be a pattern such as 'orders-*'.",
        ),
    ] = None,
    output: Annotated[
        Path, typer.Option(metavar="FILE", help="The workload file to write.")
    ] = WORKLOAD_FILE,
    sample: Annotated[
        int, typer.Option(min=1, max=100_000, metavar="N", help="Items to read of each table.")
    ] = 1000,
    random_seed: Annotated[int, typer.Option(help="Another number samples other items.")] = 1,
    target: TargetOption = None,
    data: DataOption = None,
    region: RegionOption = None,
    profile: ProfileOption = None,
    max_rcu: MaxRcuOption = None,
    max_cost: MaxCostOption = None,
    yes: YesOption = False,
    force: Annotated[bool, typer.Option("--force", help="Replace an existing file.")] = False,
    as_json: JsonOption = False,
) -> None:
    """
    Write a workload file from existing tables and a sample of their items.

    Only reads: DescribeTable, and a Scan of a few items from all over each table. The file holds
    keys of real items and only its owner can read it. `perfkit bench` can use it as it is.

    Example: perfkit init --target aws --table Orders
    """
    from perfkit.dynamodb.discover import find_tables
    from perfkit.dynamodb.errors import answer_errors
    from perfkit.dynamodb.retries import RetryingConnection
    from perfkit.dynamodb.sample import SampleLimits

    _check_output(output, force=force)
    where = make_target(target, data, region, profile, max_rcu=max_rcu, max_cost=max_cost)
    limits = SampleLimits(items=sample)
    if not where.may_exist:
        msg = (
            f"no tables in {where.name}, which is not made yet; name the place of yours with"
            " --target, for example aws or http://localhost:8000"
        )
        raise ConfigError(msg)
    try:
        patient = RetryingConnection(
            where.connect(read_only=True), tell=lambda text: note(f"{where.name}: {text}.")
        )
        with patient as connection:
            with answer_errors("looking for tables", where.name):
                found = find_tables(connection, where, table or ())
            for reason in found.skipped:
                warn(f"{reason}.")
            if not found.tables:
                msg = f"none of the tables in {where.name} can be read now; run again later"
                raise TargetError(msg)
            if not _approved(found, where, limits, yes=yes, max_cost=max_cost):
                note("Nothing was done.")
                raise typer.Exit(1)
            with answer_errors("reading the tables", where.name):
                tables, gone = _read(connection, where, found, limits, seed=random_seed)
    except LimitReachedError as error:
        from perfkit.units import format_quantity

        msg = (
            f"--max-cost {format_quantity(Decimal(str(max_cost)))} was reached before all samples were taken; nothing was"
            " written. Raise it, or read less with --sample or --table"
        )
        raise LimitReachedError(msg) from error
    if not tables:
        msg = f"{'; '.join(gone)}; nothing was written"
        raise TargetError(msg)
    for reason in gone:
        warn(f"{reason}.")
    say_consumption(where)
    draft = _write(output, tables, where, (*found.skipped, *gone), force=force)
    if as_json:
        print_json(_document(output, where, tables, draft, (*found.skipped, *gone)))
    else:
        _print(output, where, tables, draft, (*found.skipped, *gone))


def _check_output(output: Path, *, force: bool) -> None:
    """
    Refuse what could not be written, before anything is read.

    Raises:
        ConfigError: It is there, or its folder is not.
    """
    if output.exists() and not force:
        msg = f"{output} is there already; --force replaces it, or give another --output"
        raise ConfigError(msg)
    if not output.parent.is_dir():
        msg = f"cannot write {output}: no folder {output.parent}; make it or give another --output"
        raise ConfigError(msg)


def _approved(
    found: "Found",
    where: "Target",
    limits: "SampleLimits",
    *,
    yes: bool,
    max_cost: float | None,
) -> bool:
    """Say which tables will be read and at what cost, and return whether that is allowed."""
    from perfkit.dynamodb.ownership import unmarked
    from perfkit.dynamodb.safety import Effect, Preview, approve, describe

    names = [state.name for state in found.tables]
    # a tunnel to somebody's production listens on this machine, too
    foreign = unmarked(where, names) if where.kind == "endpoint" and not where.is_aws else ()
    whose = ", of which perfkit did not create any" if len(foreign) == len(names) > 1 else ""
    if foreign and not whose:
        whose = f", which perfkit did not create ({len(foreign)} of {len(names)} tables)"
        whose = whose if len(names) > 1 else ", which perfkit did not create"
    preview = Preview(
        title=f"Read {'a sample of each table' if len(names) > 1 else 'a sample of ' + names[0]}{whose},",
        effects=tuple(
            Effect(
                text=_effect(state, limits),
                read_units=limits.for_table(state).read_units,
            )
            for state in found.tables
        ),
        always_ask=bool(foreign),
    )
    if not (where.is_guarded or foreign):
        for line in describe(preview, where, request_prices):
            note(line)
    return approve(preview, where, make_permission(yes=yes, max_cost=max_cost), show=note)


def _effect(state: "TableState", limits: "SampleLimits") -> str:
    from perfkit.units import format_bytes, format_count, format_units

    units = format_units(limits.for_table(state).read_units)
    if state.items <= 0:
        what = f"{format_count(limits.items)} items, if there are any; it is described as empty"
    else:
        what = (
            f"{format_count(limits.items)} of about {format_count(state.items)} items,"
            f" {format_bytes(state.size_bytes)}"
        )
    return f"{state.name}: read up to {what}; at most {units} read units"


def _read(
    connection: "RetryingConnection",
    where: "Target",
    found: "Found",
    limits: "SampleLimits",
    *,
    seed: int,
) -> "tuple[list[Discovered], tuple[str, ...]]":
    """Return what is known of the tables, and why some could not be read after all."""
    from perfkit.commands.progress import bars
    from perfkit.dynamodb.discover import read_table
    from perfkit.embedded.errors import DynamoDBError

    tables: list[Discovered] = []
    gone: list[str] = []
    try:
        with bars(unit="items") as shown:
            shown.add(_SAMPLE, sum(min(limits.items, each.items) for each in found.tables) or None)
            for state in found.tables:
                shown.label(_SAMPLE, state.name)
                try:
                    discovered = read_table(
                        connection,
                        state,
                        limits=limits.for_table(state),
                        seed=seed,
                        advance=lambda by: shown.advance(_SAMPLE, by),
                    )
                except DynamoDBError as error:
                    reason = _why_not(error, state.name, where)
                    if reason is None:
                        raise
                    gone.append(reason)
                else:
                    tables.append(discovered)
    except KeyboardInterrupt as error:
        say("Interrupted: nothing was written.", fg="yellow")
        raise typer.Exit(INTERRUPTED) from error
    return tables, tuple(gone)


def _why_not(error: "DynamoDBError", name: str, where: "Target") -> str | None:
    """Return why one table could not be read; None if that is nothing about this table."""
    from perfkit.dynamodb.errors import CONNECTION_LOST, explain

    if error.code == "ResourceNotFoundException":
        return f"{name} was deleted meanwhile"
    explained = explain(error, doing=f"{name} was not read", where=where.name)
    # wrong credentials and lost connections are the same for the next table
    if error.code == CONNECTION_LOST or isinstance(explained, ConfigError):
        return None
    return str(explained).rstrip(".")


def _write(
    output: Path,
    tables: "Sequence[Discovered]",
    where: "Target",
    skipped: "Sequence[str]",
    *,
    force: bool,
) -> "Draft":
    from perfkit.dynamodb.draft import write_draft
    from perfkit.files import write_private
    from perfkit.runs import now_utc

    stem = output.stem if output.name != WORKLOAD_FILE.name else output.resolve().parent.name
    draft = write_draft(
        tables,
        name=stem,
        source=where.name,
        target=_named(where),
        written_at=now_utc(),
        skipped=skipped,
    )
    write_private(output, draft.text, replace=force)
    return draft


def _print(
    output: Path,
    where: "Target",
    tables: "Sequence[Discovered]",
    draft: "Draft",
    skipped: "Sequence[str]",
) -> None:
    from perfkit.report import terminal
    from perfkit.report.layout import first_rows
    from perfkit.report.model import Column, Kind, Table
    from perfkit.units import format_many, format_units

    table = first_rows(
        Table(
            name="tables",
            title=f"Tables in {where.name}",
            columns=(
                Column(key="table", title="table", label=True),
                Column(key="items", title="items", kind=Kind.COUNT),
                Column(key="size_bytes", title="size", kind=Kind.BYTES),
                Column(key="indexes", title="indexes", kind=Kind.COUNT),
                Column(key="sampled", title="items read", kind=Kind.COUNT),
                Column(key="read_units", title="RCU consumed", kind=Kind.CAPACITY),
                Column(key="active", title="patterns", kind=Kind.COUNT),
                Column(key="proposed", title="proposed", kind=Kind.COUNT),
            ),
            rows=tuple(
                {
                    "table": each.table.name,
                    "items": each.facts.table_items,
                    "size_bytes": each.table.size_bytes,
                    "indexes": len(each.table.indexes) + len(each.table.local_indexes),
                    "sampled": each.facts.items,
                    "read_units": each.facts.read_units,
                    "active": len(draft.active[each.table.name]),
                    "proposed": len(draft.proposed[each.table.name]),
                }
                for each in tables
            ),
        ),
        _MOST_TABLES,
        what=f"tables; {output} has all",
    )
    terminal.print_table(table)
    cut = [each for each in tables if each.facts.spent_limit is not None]
    for each in cut[:_MOST_NAMED]:
        note(
            f"{each.table.name}: {each.facts.items:,} items read and no more, because of its limit"
            f" of {format_units(each.facts.spent_limit or 0.0)} read units; by the sizes of its items"
            f" {format_units(each.facts.modelled_units)} are due."
        )
    if len(cut) > _MOST_NAMED:
        more = format_many(len(cut) - _MOST_NAMED, "more table")
        note(f"So it is with {more}; {output} says of which.")
    active = sum(map(len, draft.active.values()))
    note(f"Wrote {output}: {format_many(active, 'pattern')} to measure, others as comments.")
    if skipped:
        # each reason begins with its table's name
        names = ", ".join(reason.split()[0] for reason in skipped)
        warn(f"left out: {names}; the comments at the top of {output} say why.")
    if active:
        note("It holds keys of real items; only you may read it (mode 0600).")
    else:
        note("Next: put an item into a table and run this again; without one nothing can be asked.")
        return
    file = "" if output == WORKLOAD_FILE else f" --workload {output}"
    note(f"Next: perfkit bench{file}")


def _named(where: "Target") -> dict[str, str]:
    """Return what a workload file says of where its tables are."""
    if where.kind == "embedded":
        return {} if where.data == DATA_FILE else {"data": str(where.data)}
    # an address without the password that somebody may have put into it
    at = "aws" if where.kind == "aws" or where.redirected else where.name
    named = {"at": at, "region": where.region, "profile": where.profile}
    return {key: value for key, value in named.items() if value}


def _document(
    output: Path,
    where: "Target",
    tables: "Sequence[Discovered]",
    draft: "Draft",
    skipped: "Sequence[str]",
) -> dict[str, Any]:
    return {
        "target": where.describe(),
        "workload_file": str(output),
        "skipped": list(skipped),
        "tables": [
            {
                "name": each.table.name,
                "status": each.table.status,
                "items": each.table.items,
                "size_bytes": each.table.size_bytes,
                "billing": each.table.billing,
                "table_class": each.table.table_class,
                "indexes": [
                    index.name for index in (*each.table.indexes, *each.table.local_indexes)
                ],
                "sample": {
                    "items": each.facts.items,
                    "size_bytes": each.facts.size_bytes,
                    "whole_table": each.facts.whole,
                    "segments": each.facts.segments,
                    "segments_read": each.facts.segments_read,
                    "segments_cut": each.facts.cut_segments,
                    "ignores_segments": each.facts.ignores_segments,
                    "pages": each.facts.pages,
                    "read_units": each.facts.read_units,
                    "read_units_modelled": each.facts.modelled_units,
                    "retries": each.facts.retries,
                    "throttles": each.facts.throttles,
                },
                **_profile(each),
                "patterns": list(draft.active[each.table.name]),
                "proposed_patterns": list(draft.proposed[each.table.name]),
            }
            for each in tables
        ],
    }


def _profile(found: "Discovered") -> dict[str, Any]:
    """Return what a sample says; of values of items nothing but what tells their kinds apart."""
    from dataclasses import asdict

    profile = found.profile
    return {
        "item_sizes": None if profile.sizes is None else asdict(profile.sizes),
        "kinds_by": profile.kinds_by or ("keys" if profile.kinds else None),
        "kinds": [asdict(kind) for kind in profile.kinds],
        "attributes": [
            {
                "name": each.name,
                "types": dict(each.types),
                "share": asdict(each.share),
                "distinct": None if each.values is None else _finite(each.values.distinct),
                "top_share": None if each.values is None else asdict(each.values.top_share),
            }
            for each in profile.attributes
        ],
    }


def _finite(estimate: "Estimate") -> dict[str, float | None]:
    """Return an estimate as JSON can hold it: null where there is no upper end."""
    from dataclasses import asdict
    from math import isfinite

    return {name: value if isfinite(value) else None for name, value in asdict(estimate).items()}
