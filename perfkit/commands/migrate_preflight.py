"""`perfkit migrate preflight`: what a new index would leave out, and refuse to have written."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from perfkit.commands.migrate_apply import migrate_command, plan_command
from perfkit.commands.migrate_tables import find_lacking, is_approved, print_rows, say_nothing_lacks
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
    print_json,
    print_line,
    say,
    say_consumption,
    warn,
    warn_of_units,
)
from perfkit.console import INTERRUPTED
from perfkit.errors import PerfkitError, ThresholdError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from perfkit.dynamodb.targets import Target
    from perfkit.migrate.preflight import Findings, Preflight
    from perfkit.migrate.proposals import Proposal
    from perfkit.migrate.tally import IndexTally, Tally
    from perfkit.report.model import Row, Table
    from perfkit.workloads.profile import Estimate

__all__ = ["preflight"]

_PLAN = Path("plan.json")
"""As the documentation calls it."""

_MOST_ROWS = 8
"""Of each table; `-v` shows all."""

IndexOption = Annotated[
    list[str] | None,
    typer.Option(
        "--index",
        metavar="NAME",
        help="Only this index, whether or not it is there; may be repeated.",
    ),
]


def preflight(
    context: typer.Context,
    *,
    workload: WorkloadOption = None,
    target: TargetOption = None,
    data: DataOption = None,
    region: RegionOption = None,
    profile: ProfileOption = None,
    index: IndexOption = None,
    sample: Annotated[
        int | None,
        typer.Option(min=1, max=100_000, metavar="N", help="Read N items of each table, not all."),
    ] = None,
    segments: Annotated[
        int, typer.Option(min=1, max=10, metavar="N", help="Segments and threads of the scan.")
    ] = 4,
    violations: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Write the keys of violating items here (JSON lines, mode 0600)."
        ),
    ] = None,
    examples: Annotated[
        int | None,
        typer.Option(
            min=1,
            metavar="N",
            help="At most N keys of each index, attribute and reason (default: all).",
        ),
    ] = None,
    fail_on_violations: Annotated[
        bool,
        typer.Option("--fail-on-violations", help="Exit with 4 where writes would be refused."),
    ] = False,
    restart: Annotated[
        bool,
        typer.Option("--restart", help="Start over instead of continuing what was interrupted."),
    ] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Replace an existing file of violations.")
    ] = False,
    max_rcu: MaxRcuOption = None,
    max_cost: MaxCostOption = None,
    yes: YesOption = False,
    as_json: JsonOption = False,
    verbose: VerboseOption = False,
) -> None:
    """
    Find the items that a new index would leave out.

    Also those that DynamoDB would then refuse to write. Checks every index of the workload that its
    table does not have. Only reads, so the tables need not be perfkit's. Once interrupted, the same
    command continues.

    Example: perfkit migrate preflight --violations violations.jsonl --max-rcu 100
    """
    from perfkit.migrate.full_scan import page_units
    from perfkit.migrate.preflight import Preflight

    if violations is None:
        refuse_idle(context, {"examples", "force"}, "without --violations")
    if sample is not None:
        refuse_idle(context, {"restart"}, "with --sample, which always starts over")
    read = read_workload(workload)
    where = make_target(
        target, data, region, profile, workload=read, max_rcu=max_rcu, max_cost=max_cost
    )
    proposals = find_lacking(where, read, index or ())
    if not proposals:
        say_nothing_lacks(where, as_json=as_json)
        return
    looking = Preflight(
        where,
        read,
        proposals,
        violations=violations,
        most=examples,
        replace=force,
        segments=segments,
    )
    begun = 0 if restart or sample is not None else looking.begun_items()
    if not is_approved(
        where,
        proposals,
        sample,
        begun,
        yes=yes,
        max_cost=max_cost,
        page_units=page_units(max_rcu, segments),
    ):
        note("Nothing was done.")
        raise typer.Exit(1)
    if restart and sample is None:
        # not before: what was read may have cost something
        looking.forget()
    found = _read_with_bars(looking, proposals, sample)
    say_consumption(where)
    warn_of_units(where)
    if as_json:
        print_json(_document(found, where, violations))
    else:
        _print(found, where, None if verbose else _MOST_ROWS)
    refused = _warn(found)
    _keep(found, where)
    if violations is not None:
        note(f"{_written(found, violations, examples)}; only you may read it (mode 0600).")
    if refused and fail_on_violations:
        raise ThresholdError(refused)
    if not as_json:
        place = {"--target": target, "--data": data, "--region": region, "--profile": profile}
        same = {"--workload": workload, **place, "--index": index}
        note(_next(proposals, place, same, violations, is_refused=bool(refused)))


def _correction(file: Path) -> str:
    return f'correct the items of the lines with "refused": true in {file}, and what writes them'


def _keep(found: "Sequence[Findings]", where: "Target") -> None:
    """Note in the journals what was found, which `migrate apply` tells before it asks."""
    from perfkit.dynamodb.tables import Keys
    from perfkit.migrate.journal import journals

    names = [each.proposal.state.name for each in found]
    try:
        with journals(where, names, "migrate preflight") as kept:
            for each in found:
                total = each.tallies.total()
                kept[each.proposal.state.name].add_looked(
                    each.proposal.state,
                    {index.name: Keys.of(index) for index in each.proposal.indexes},
                    refused=total.refused,
                    items=total.items,
                    whole=each.tallies.whole,
                )
    except PerfkitError as error:
        warn(f"`migrate apply` will not know of this preflight: {error}.")


def _next(
    proposals: "Sequence[Proposal]",
    place: "Mapping[str, object]",
    same: "Mapping[str, object]",
    violations: Path | None,
    *,
    is_refused: bool,
) -> str:
    """Return what is to be done next; with the options that say where, and those that say of what."""
    if is_refused and violations is not None:
        again = migrate_command("preflight", same)
        return f"Next: {_correction(violations)}, then: {again}"
    if is_refused:
        keys = migrate_command("preflight", {"--violations": "violations.jsonl", **same})
        return f"Next: {keys}\n(the keys of the items to correct; then preflight again)"
    if _is_planned(proposals):
        return f"Next: {plan_command('apply', _PLAN, place)}"
    return f"Next: {migrate_command('plan', {'--output': _PLAN, **same})}"


def _is_planned(proposals: "Sequence[Proposal]") -> bool:
    """Return whether the folder's plan creates indexes of each of these very tables."""
    from perfkit.errors import ConfigError
    from perfkit.migrate.plan_file import read_plan

    try:
        made = read_plan(_PLAN)
    except ConfigError:
        return False
    planned = [each.identity for each in made.tables if each.creations]
    return all(each.state.identity in planned for each in proposals)


def _read_with_bars(
    looking: "Preflight", proposals: "Sequence[Proposal]", sample: int | None
) -> "tuple[Findings, ...]":
    """
    Read under a progress bar.

    Raises:
        PerfkitError: What was read so far is kept.
        typer.Exit: Ctrl-C, with exit code 130; likewise.
    """
    from perfkit.commands.progress import bars

    continues = "What was read so far is kept; the same command again continues."
    try:
        with bars(unit="items") as shown:
            totals = {
                each.state.name: min(each.state.items, sample or each.state.items) or None
                for each in proposals
            }
            for name, total in totals.items():
                shown.add(name, total)
            looking.watch(lambda name, items: shown.reach(name, items, totals[name]))
            return looking.read_all() if sample is None else looking.read_sample(sample)
    except KeyboardInterrupt as error:
        is_kept = sample is None and looking.begun_items()
        say(f"Interrupted. {continues if is_kept else 'Nothing is kept yet.'}", fg="yellow")
        raise typer.Exit(INTERRUPTED) from error
    except PerfkitError:
        if sample is None and looking.begun_items():
            note(continues)
        raise


# ---- what was found ----------------------------------------------------------------------------------


def _print(found: "Sequence[Findings]", where: "Target", most: int | None) -> None:
    from perfkit.units import format_many, format_units

    items = sum(each.tallies.total().items for each in found)
    whole = all(each.tallies.whole for each in found)
    units = format_units(sum(each.read_units for each in found))
    indexes = sum(len(each.proposal.indexes) for each in found)
    print_line(
        f"{format_many(indexes, 'proposed index', 'proposed indexes')} on"
        f" {format_many(len(found), 'table')} in {where.name}: {format_many(items, 'item')} read"
        f" ({'all' if whole else 'a sample'}), {units} RCU"
    )
    for table in (_entries(found), _reasons(found), _kinds(found)):
        print_rows(table, most, more="perfkit migrate preflight -v")


def _entries(found: "Sequence[Findings]") -> "Table":
    from perfkit.report.model import Column, Table

    rows = []
    for each in found:
        for index in each.proposal.indexes:
            name = index.name
            rows.append(
                {
                    "index": name,
                    "table": each.proposal.state.name,
                    "left_out": _share_text(each, _counting(name, "left_out")),
                    "refused": _share_text(each, _counting(name, "refused")),
                }
            )
    return Table(
        name="indexes",
        title="Proposed indexes",
        columns=(
            Column(key="index", title="index", label=True),
            Column(key="table", title="table"),
            Column(key="left_out", title="items not in the index"),
            Column(key="refused", title="items no longer writable"),
        ),
        rows=tuple(rows),
    )


def _reasons(found: "Sequence[Findings]") -> "Table":
    from perfkit.dynamodb.index_items import Reason
    from perfkit.dynamodb.tables import Keys
    from perfkit.report.model import Column, Kind, Table

    rows: list[Row] = [
        {
            "index": index.name,
            "attribute": attribute,
            **{
                str(reason): _of(total, index.name).reasons.get(attribute, {}).get(reason, 0)
                for reason in Reason
            },
        }
        for each in found
        for total in (each.tallies.total(),)
        for index in each.proposal.indexes
        for attribute in Keys.of(index).names
        if attribute in _of(total, index.name).reasons
    ]
    return Table(
        name="reasons",
        title="Why: items by key attribute and reason",
        columns=(
            Column(key="index", title="index", label=True),
            Column(key="attribute", title="attribute"),
            *(
                Column(key=str(each), title=_TITLES.get(each, each), kind=Kind.COUNT)
                for each in Reason
            ),
        ),
        rows=tuple(rows),
    )


_TITLES = {"type": "wrong type"}


def _kinds(found: "Sequence[Findings]") -> "Table":
    from perfkit.report.model import Column, Kind, Table
    from perfkit.units import format_share

    rows: list[Row] = [
        {
            "index": index.name,
            "kind": kind,
            "items": items,
            "refused": refused,
            "share": format_share(refused / items),
        }
        for each in found
        if each.kinds_by is not None
        for total in (each.tallies.total(),)
        for index in each.proposal.indexes
        for kind, items in sorted(total.kinds.items(), key=lambda pair: (-pair[1], pair[0]))
        if (refused := _of(total, index.name).refused_kinds.get(kind, 0))
    ]
    return Table(
        name="kinds",
        title="No longer writable, by kind of item",
        columns=(
            Column(key="index", title="index", label=True),
            Column(key="kind", title="kind"),
            Column(key="items", title="items read", kind=Kind.COUNT),
            Column(key="refused", title="no longer writable", kind=Kind.COUNT),
            Column(key="share", title="share"),
        ),
        rows=tuple(rows),
    )


def _of(tally: "Tally", index: str) -> "IndexTally":
    from perfkit.migrate.tally import IndexTally

    return tally.indexes.get(index) or IndexTally()


def _counting(index: str, what: str) -> "Callable[[Tally], int]":
    """Return a function that gives a count of one index."""

    def count(tally: "Tally") -> int:
        return int(getattr(_of(tally, index), what))

    return count


def _share_text(found: "Findings", count: "Callable[[Tally], int]") -> str:
    """Return a count with its share; of a sample, the share with its interval."""
    from perfkit.units import format_count, format_share

    items, share = count(found.tallies.total()), found.tallies.share(count)
    if share is None:
        return "no items"
    if found.tallies.whole:
        return format_count(items) + (f" ({format_share(share.value)})" if items else "")
    if not items:
        return f"none seen (at most {format_share(share.high)})"
    return f"{format_share(share.value)} ({format_share(share.low)} to {format_share(share.high)})"


def _warn(found: "Sequence[Findings]") -> str:
    """Say what is to be heeded, and return what a gate on it says; empty if nothing is refused."""
    lines = []
    for each in found:
        for name, attributes in each.unseen.items():
            warn(
                f"no item of the sample has {', '.join(attributes)}, which {name} is keyed on; without"
                " --sample it becomes clear whether any does."
            )
        total = each.tallies.total()
        if not total.refused:
            continue
        table = each.proposal.state.name
        names = [index.name for index in each.proposal.indexes if _of(total, index.name).refused]
        share = _share_text(each, lambda tally: tally.refused)
        exist = "exists" if len(names) == 1 else "exist"
        lines.append(
            f"once {', '.join(names)} {exist}, DynamoDB refuses to write items of {table} like these,"
            f" to the table too: {share}"
        )
        warn(f"{lines[-1]}. Correct the items and what writes them first.")
    return "; ".join(lines)


def _written(found: "Sequence[Findings]", file: Path, most: int | None) -> str:
    """Return what is in the file of violations: a line for each item, index and key attribute."""
    from perfkit.dynamodb.index_items import Reason
    from perfkit.units import format_count, format_many

    lines = dict.fromkeys(Reason, 0)
    for each in found:
        for seen in each.tallies.total().indexes.values():
            for reasons in seen.reasons.values():
                for reason, items in reasons.items():
                    lines[reason] += items if most is None else min(items, most)
    total, missing = sum(lines.values()), lines[Reason.MISSING]
    text = f"{format_many(total, 'key')} in {file}"
    if total:
        text += (
            f": {format_count(total - missing)} of what would be refused, {format_count(missing)}"
            " of what only lacks the attribute"
        )
    return text


def _document(
    found: "Sequence[Findings]", where: "Target", violations: Path | None
) -> dict[str, Any]:
    return {
        "target": where.describe(),
        "violations_file": None if violations is None else str(violations),
        "tables": [_table_document(each) for each in found],
    }


def _table_document(found: "Findings") -> dict[str, Any]:
    from perfkit.dynamodb.tables import Keys

    total, tallies = found.tallies.total(), found.tallies
    return {
        "table": found.proposal.state.name,
        "items_read": total.items,
        "whole_table": tallies.whole,
        "read_units": found.read_units,
        "kinds_by": None if found.kinds_by is None else found.kinds_by or "keys",
        "refused_items": total.refused,
        "refused_share": _estimate(tallies.share(lambda tally: tally.refused)),
        "indexes": [
            {
                "name": index.name,
                "missing": found.proposal.is_missing(index),
                "keys": [list(key) for key in Keys.of(index).partition + Keys.of(index).sort],
                "items_left_out": seen.left_out,
                "left_out_share": _estimate(tallies.share(_counting(index.name, "left_out"))),
                "items_refused": seen.refused,
                "refused_share": _estimate(tallies.share(_counting(index.name, "refused"))),
                "violations": [
                    {"attribute": attribute, "reason": str(reason), "items": items}
                    for attribute, reasons in seen.reasons.items()
                    for reason, items in sorted(reasons.items())
                ],
                "refused_kinds": [
                    {"kind": kind, "items": total.kinds[kind], "refused": refused}
                    for kind, refused in sorted(seen.refused_kinds.items())
                    if found.kinds_by is not None
                ],
                "unseen_attributes": list(found.unseen.get(index.name, ())),
            }
            for index in found.proposal.indexes
            for seen in (_of(total, index.name),)
        ],
    }


def _estimate(share: "Estimate | None") -> dict[str, float] | None:
    from dataclasses import asdict

    return None if share is None else asdict(share)
