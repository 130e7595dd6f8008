"""What the commands of `perfkit migrate` share: which indexes lack, and whether tables may be read."""

from typing import TYPE_CHECKING

from perfkit.commands.options import make_permission
from perfkit.commands.output import note, print_json, print_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from perfkit.dynamodb.targets import Target
    from perfkit.migrate.proposals import Proposal
    from perfkit.report.model import Table
    from perfkit.workloads.model import Workload

__all__ = ["check_made", "find_lacking", "is_approved", "print_rows", "say_nothing_lacks"]


def find_lacking(
    where: "Target", read: "Workload", names: "Sequence[str]"
) -> "tuple[Proposal, ...]":
    """
    Return the tables that lack indexes of a workload, and which.

    Raises:
        PerfkitError: See `find_proposals`; or there are no tables at all.
    """
    from perfkit.dynamodb.retries import RetryingConnection
    from perfkit.migrate.proposals import find_proposals

    check_made(where)
    with RetryingConnection(where.connect(read_only=True)) as connection:
        return find_proposals(connection, where, read, names)


def check_made(where: "Target") -> None:
    """
    Make sure that there can be tables.

    Raises:
        TargetError: The embedded engine's file is not made yet.
    """
    from perfkit.errors import TargetError

    if not where.may_exist:
        msg = (
            f"no tables in {where.name}, which is not made yet; name the place of yours with"
            " --target, for example aws or http://localhost:8000"
        )
        raise TargetError(msg)


def print_rows(table: "Table", most: int | None, *, more: str, cut: bool = False) -> None:
    """
    Print a table that has any rows, not more than *most* of them, and where the others are.

    Args:
        table: The table.
        most: How many rows there is room for; None for all.
        more: The command that shows all.
        cut: What was printed before was cut, too.
    """
    from perfkit.report import terminal
    from perfkit.report.layout import first_rows

    shown = first_rows(table, most, what="rows")
    if table.rows:
        print_text()
        terminal.print_table(shown)
    if cut or shown is not table:
        print_text(f"More: {more}")


def say_nothing_lacks(where: "Target", *, as_json: bool) -> None:
    """Say that there is nothing to do."""
    if as_json:
        print_json({"target": where.describe(), "tables": []})
    else:
        print_text("Every index of the workload is there.")


def is_approved(
    where: "Target",
    proposals: "Sequence[Proposal]",
    sample: int | None,
    begun: int,
    *,
    yes: bool,
    max_cost: float | None,
    page_units: float = 128.0,
) -> bool:
    """
    Say what will be read and at what cost, and return whether that is allowed.

    Args:
        where: The target.
        proposals: The tables.
        sample: Items to read of each; None for all.
        begun: Items that were read before.
        yes: Not to ask.
        max_cost: Dollars to spend at most.
        page_units: Read units of a page where all items are read; by default of 1 MB.
    """
    from perfkit.dynamodb.ownership import unmarked
    from perfkit.dynamodb.safety import Effect, Preview, approve
    from perfkit.dynamodb.sample import SampleLimits
    from perfkit.migrate.full_scan import full_units
    from perfkit.units import format_bytes, format_count

    names = [each.state.name for each in proposals]
    # a tunnel to somebody's production listens on this machine, too
    foreign = unmarked(where, names) if where.kind == "endpoint" else ()
    effects = []
    for each in proposals:
        state = each.state
        size = "how many is not known: it is described as empty"
        if state.items > 0:
            size = format_bytes(state.size_bytes) if state.size_bytes else "size not known"
            size = f"about {format_count(state.items)} items, {size}"
        if sample is not None:
            units = SampleLimits(items=sample).for_table(state).read_units
            text = f"read {format_count(sample)} of the items of {state.name} ({size})"
        else:
            units = full_units(each, page_units)
            text = f"read all items of {state.name} once ({size})"
        effects.append(Effect(text=text, read_units=units))
    if begun:
        note(
            f"Continues a preflight that had read {format_count(begun)} items; --restart starts over."
        )
    whose = f", of which perfkit did not create {', '.join(foreign)}," if foreign else ""
    preview = Preview(
        title=f"Look at items for new indexes{whose}",
        effects=tuple(effects),
        always_ask=bool(foreign),
    )
    return approve(preview, where, make_permission(yes=yes, max_cost=max_cost), show=note)
