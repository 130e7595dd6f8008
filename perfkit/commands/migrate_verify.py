"""`perfkit migrate verify`: whether an index holds what its table does."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from perfkit.commands.migrate_apply import place_named
from perfkit.commands.migrate_tables import check_made, print_rows
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
    make_permission,
    make_target,
    read_workload,
    refuse_idle,
)
from perfkit.commands.output import (
    note,
    print_json,
    print_line,
    print_text,
    say,
    say_consumption,
    warn_of_units,
)
from perfkit.console import INTERRUPTED

if TYPE_CHECKING:
    from collections.abc import Sequence

    from perfkit.analysis.verdict import Verdict
    from perfkit.dynamodb.targets import Target
    from perfkit.migrate.answers import Answer
    from perfkit.migrate.verify import Finding, Subject, Verification, Verified
    from perfkit.report.model import Table

__all__ = ["verify"]

_MOST_ROWS = 8
"""Of each table; `-v` shows all."""

_MOST_SENTENCES = 4
_MOST_REASONS = 3


def verify(
    context: typer.Context,
    plan: Annotated[
        Path | None,
        typer.Argument(metavar="PLAN", help="Verify what this plan creates.", show_default=False),
    ] = None,
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
        typer.Option(
            min=0, metavar="N", help="Keys to ask each pattern with, both ways; 0 for all."
        ),
    ] = 3000,
    settle: Annotated[
        float,
        typer.Option(
            min=0.1,
            metavar="SECONDS",
            help="An index lags by less: what differs longer, while its item stays, counts.",
        ),
    ] = 10.0,
    segments: Annotated[
        int, typer.Option(min=1, max=10, metavar="N", help="Segments and threads of the scans.")
    ] = 4,
    differences: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Write the keys of differing items here (JSON lines, mode 0600)."
        ),
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Replace an existing file of differences.")
    ] = False,
    max_rcu: MaxRcuOption = None,
    max_cost: MaxCostOption = None,
    yes: YesOption = False,
    as_json: JsonOption = False,
    verbose: VerboseOption = False,
) -> None:
    """
    Prove that an index holds what its table does, while both are in use.

    Items without entries, entries without items, entries that differ; and whether the workload's
    patterns find by the index what they find today. Only reads, so the tables need not be perfkit's.
    Without a plan, verifies the indexes of the workload that are there. Exit code 4 if something
    differs, 3 if it could not be verified.

    Example: perfkit migrate verify --differences differences.jsonl --max-rcu 100
    """
    from perfkit.migrate.full_scan import page_units
    from perfkit.migrate.plan_file import read_plan
    from perfkit.migrate.verify import Verification, verdict_on

    if differences is None:
        refuse_idle(context, {"force"}, "without --differences")
    read = read_workload(workload)
    planned = None if plan is None else read_plan(plan)
    if planned is not None:
        target, region = place_named(planned, target, data, region)
    where = make_target(
        target, data, region, profile, workload=read, max_rcu=max_rcu, max_cost=max_cost
    )
    if differences is not None:
        _check_free(differences, force=force)
    subjects = _find(where, read, planned, index or ())
    if not _is_approved(where, subjects, yes=yes, max_cost=max_cost):
        note("Nothing was done.")
        raise typer.Exit(1)
    verification = Verification(
        where,
        settle_s=settle,
        keys=sample or None,
        segments=segments,
        page_units=None if max_rcu is None else page_units(max_rcu, segments),
    )
    verified = _compare_with_bars(verification, subjects)
    found = [finding for each in verified for finding in each.findings]
    answers = [answer for each in verified for answer in each.answers]
    verdict = verdict_on(verified)
    say_consumption(where)
    warn_of_units(where)
    if differences is not None:
        _write(differences, found, answers, force=force)
    if as_json:
        print_json(_document(found, answers, verification, where, differences))
    else:
        _print(found, answers, verification, where, None if verbose else _MOST_ROWS)
    error = None if verdict is None else verdict.to_error(verdict.reason)
    if error is not None:
        raise error
    if plan is not None and not as_json:
        note(
            "Next: have the service ask the indexes, as `perfkit migrate plan --saved"
            f" {plan} -v` shows; as code: perfkit migrate plan --saved {plan} --emit terraform"
        )


def _check_free(path: Path, *, force: bool) -> None:
    """
    Refuse a file that is there, before anything is read.

    Raises:
        ConfigError: It is.
    """
    from perfkit.errors import ConfigError

    if path.exists() and not (force and path.is_file()):
        msg = f"{path} is there already; --force replaces it, or give another --differences"
        raise ConfigError(msg)


def _find(
    where: "Target", read: Any, planned: Any, names: "Sequence[str]"
) -> "tuple[Subject, ...]":
    from perfkit.dynamodb.retries import RetryingConnection
    from perfkit.migrate.subjects import subjects_of

    check_made(where)
    with RetryingConnection(where.connect(read_only=True)) as connection:
        return subjects_of(connection, where, read, plan=planned, names=names)


def _is_approved(
    where: "Target", subjects: "Sequence[Subject]", *, yes: bool, max_cost: float | None
) -> bool:
    """Say what will be read and at what cost, and return whether that is allowed."""
    from perfkit.capacity import read_units
    from perfkit.dynamodb.ownership import unmarked
    from perfkit.dynamodb.safety import Effect, Preview, approve
    from perfkit.units import format_bytes, format_count

    readable = [each for each in subjects if each.indexes]
    sizes = [
        size
        for each in readable
        for size in (
            (each.state.name, each.state.items, each.state.size_bytes),
            *(
                (f"index {index.name} of {each.state.name}", index.items, index.size_bytes)
                for index in each.indexes
            ),
        )
    ]
    effects = []
    for name, items, size_bytes in sizes:
        size = "how large is not known: it is described as empty"
        if items > 0:
            size = format_bytes(size_bytes) if size_bytes else "size not known"
            size = f"about {format_count(items)} items, {size}"
        effects.append(
            Effect(
                text=f"read all of {name} once ({size}), and again what seems to differ",
                read_units=read_units(size_bytes) if size_bytes else 0.0,
                is_open=True,
            )
        )
    foreign = (
        unmarked(where, [each.state.name for each in readable]) if where.kind == "endpoint" else ()
    )
    whose = f", of which perfkit did not create {', '.join(foreign)}," if foreign else ""
    preview = Preview(
        title=f"Compare tables with their indexes{whose}",
        effects=tuple(effects),
        always_ask=bool(foreign),
    )
    return approve(preview, where, make_permission(yes=yes, max_cost=max_cost), show=note)


def _compare_with_bars(
    verification: "Verification", subjects: "Sequence[Subject]"
) -> "list[Verified]":
    """
    Compare under a progress bar.

    Raises:
        PerfkitError: It could not be done.
        typer.Exit: Ctrl-C, with exit code 130.
    """
    from perfkit.commands.progress import bars

    try:
        with bars(unit="items") as shown:
            totals = {}
            for each in subjects:
                for index in each.indexes:
                    totals[f"{each.state.name}/{index.name}"] = index.items or None
                if each.indexes:
                    totals[each.state.name] = each.state.items or None
            for name in sorted(totals):
                shown.add(name, totals[name])
            verification.watch(lambda name, read: shown.reach(name, read, totals[name]))
            return [verification.compare(each) for each in subjects]
    except KeyboardInterrupt as error:
        say("Interrupted. Nothing is kept; the same command again starts over.", fg="yellow")
        raise typer.Exit(INTERRUPTED) from error


# ---- what was found ----------------------------------------------------------------------------------


def _print(
    found: "Sequence[Finding]",
    answers: "Sequence[Answer]",
    verification: "Verification",
    where: "Target",
    most: int | None,
) -> None:
    from perfkit.analysis.verdict import Ruling
    from perfkit.migrate.verify import verdict_of, verdict_of_answer
    from perfkit.report import terminal
    from perfkit.report.layout import first_rows
    from perfkit.units import format_many, format_units

    verdicts = [verdict_of(each) for each in found]
    equal = sum(each.ruling is Ruling.PASS for each in verdicts)
    print_line(
        f"{equal} of {format_many(len(found), 'index', 'indexes')} in {where.name}"
        f" {'holds' if equal == 1 else 'hold'} exactly what"
        f" {'its table does' if equal == 1 else 'their tables do'}"
        f" ({format_units(verification.read_units)} RCU)"
    )
    print_text()
    # what does not pass comes first
    ordered = sorted(
        zip(found, verdicts, strict=True), key=lambda each: each[1].ruling is Ruling.PASS
    )
    asked = sorted(answers, key=lambda each: verdict_of_answer(each).ruling is Ruling.PASS)
    sentences, reasons = (None, None) if most is None else (_MOST_SENTENCES, _MOST_REASONS)
    terminal.print_table(first_rows(_indexes(ordered), most, what="indexes"))
    left_out = [each for each, _ in ordered if each.left_out]
    if left_out:
        print_text()
    for each in left_out[:sentences]:
        print_line(_left_out(each, reasons))
    if not where.is_aws and any(
        difference.is_refused for each in found for difference in each.differences
    ):
        print_text()
        print_line(
            f"{where.name} keeps entries that DynamoDB would not: of items whose key attribute has"
            " another type, or no value that a key may have. That is this server's fault, not the"
            " migration's: correct these items (`perfkit migrate preflight --violations FILE` lists"
            " them), then verify again."
        )
    if asked:
        print_text()
    for answer in asked[:sentences]:
        print_line(_answer(answer))
    cut = most is not None and (
        len(found) > most
        or max(len(left_out), len(asked)) > _MOST_SENTENCES
        or any(len(each.left_out) > _MOST_REASONS for each in left_out)
    )
    more = "perfkit migrate verify -v, or --differences FILE"
    print_rows(_differences(found, answers), most, more=more, cut=cut)


def _left_out(finding: "Finding", most: int | None) -> str:
    """Return how many items are not for an index, and for which reasons, the most frequent first."""
    from perfkit.units import format_many

    counted = finding.left_out.most_common()
    reasons = [violation.describe(items) for violation, items in counted[:most]]
    left = len(counted) - len(reasons)
    reasons += [f"and {format_many(left, 'more reason')}"] if left else []
    total = format_many(sum(finding.left_out.values()), "item")
    return (
        f"Not in {finding.index}, because its key does not allow it: {total} ({', '.join(reasons)})"
    )


def _answer(answer: "Answer") -> str:
    """Return how many answers of today's form an index gives."""
    from perfkit.migrate.verify import verdict_of_answer
    from perfkit.units import format_many

    held = f" ({format_many(answer.unheld, 'item')} not in the index)" if answer.unheld else ""
    every = "all of them, " if answer.whole and answer.keys else ""
    evidence = verdict_of_answer(answer).evidence
    return f"Today's form against {answer.index}: {every}{evidence}{held}"


def _indexes(found: "Sequence[tuple[Finding, Verdict]]") -> "Table":
    from perfkit.report.model import Column, Kind, Table

    return Table(
        name="indexes",
        title="Indexes",
        columns=(
            Column(key="index", title="index", label=True),
            Column(key="table", title="table"),
            Column(key="items", title="items", kind=Kind.COUNT),
            Column(key="out", title="not for it", kind=Kind.COUNT),
            Column(key="entries", title="entries", kind=Kind.COUNT),
            Column(key="missing", title="missing", kind=Kind.COUNT),
            Column(key="extra", title="extra", kind=Kind.COUNT),
            Column(key="differs", title="differ", kind=Kind.COUNT),
            Column(key="verdict", title="verdict"),
        ),
        rows=tuple(
            {
                "index": each.index,
                "table": each.table,
                "items": each.items,
                "out": sum(each.left_out.values()),
                "entries": each.entries,
                **_counts(each),
                "verdict": str(verdict.ruling),
            }
            for each, verdict in found
        ),
    )


def _counts(finding: "Finding") -> dict[str, int]:
    from perfkit.migrate.second_look import DifferenceKind

    return {
        str(kind): sum(each.kind is kind for each in finding.differences) for kind in DifferenceKind
    }


def _differences(found: "Sequence[Finding]", answers: "Sequence[Answer]") -> "Table":
    from perfkit.migrate.entries import as_text
    from perfkit.report.model import Column, Table

    return Table(
        name="differences",
        title="What differs",
        columns=(
            Column(key="index", title="index", label=True),
            Column(key="key", title="item"),
            Column(key="reason", title="why"),
        ),
        rows=tuple(
            {
                "index": index,
                "key": ", ".join(
                    f"{part}={next(iter(value.values()))}" for part, value in key.items()
                ),
                "reason": reason,
            }
            for index, key, reason in [
                *(
                    (each.index, each.key, each.reason)
                    for finding in found
                    for each in sorted(finding.differences, key=lambda each: as_text(each.key))
                ),
                *(
                    (answer.index, key, f"{answer.pattern}: {reason}")
                    for answer in answers
                    for key, reason in answer.differences
                ),
            ]
        ),
    )


def _write(
    path: Path, found: "Sequence[Finding]", answers: "Sequence[Answer]", *, force: bool
) -> None:
    import json

    from perfkit.files import write_private
    from perfkit.units import format_many

    lines = [
        json.dumps(
            {
                "table": finding.table,
                "key": each.key,
                "index": each.index,
                "difference": str(each.kind),
                "reason": each.reason,
            },
            ensure_ascii=False,
        )
        for finding in found
        for each in finding.differences
    ]
    lines += [
        json.dumps(
            {
                "table": answer.table,
                "key": key,
                "index": answer.index,
                "difference": "answer",
                "reason": f"{answer.pattern}: {reason}",
            },
            ensure_ascii=False,
        )
        for answer in answers
        for key, reason in answer.differences
    ]
    write_private(
        path,
        "".join(f"{line}\n" for line in lines),
        replace=force,
        advice="give another --differences",
    )
    note(f"{format_many(len(lines), 'key')} in {path}; only you may read it (mode 0600).")


def _document(
    found: "Sequence[Finding]",
    answers: "Sequence[Answer]",
    verification: "Verification",
    where: "Target",
    differences: Path | None,
) -> dict[str, Any]:
    from perfkit.migrate.verify import verdict_of, verdict_of_answer

    return {
        "target": where.describe(),
        "read_units": verification.read_units,
        "differences_file": None if differences is None else str(differences),
        "indexes": [
            {
                "name": each.index,
                "table": each.table,
                "verdict": str(verdict.ruling),
                "reason": verdict.reason,
                "items": each.items,
                "entries": each.entries,
                "items_left_out": sum(each.left_out.values()),
                "left_out": [
                    {
                        "attribute": violation.attribute,
                        "reason": str(violation.reason),
                        "items": items,
                    }
                    for violation, items in each.left_out.most_common()
                ],
                "looked_again": each.looked_again,
                "undecided": len(each.undecided),
                **_counts(each),
            }
            for each in found
            for verdict in (verdict_of(each),)
        ],
        "patterns": [
            {
                "name": answer.pattern,
                "table": answer.table,
                "index": answer.index,
                "verdict": str(verdict.ruling),
                "reason": verdict.reason,
                "keys": answer.keys,
                "all_keys": answer.whole,
                "keys_differing": len(answer.differing),
                "items_differing": len(answer.differences),
                "items_left_out": answer.unheld,
                "undecided": answer.undecided,
            }
            for answer in answers
            for verdict in (verdict_of_answer(answer),)
        ],
    }
