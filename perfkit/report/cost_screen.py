"""Costs on one screen: the bill before and after, what is largest in it, what is doubtful, what next."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from perfkit.analysis.answer import Answer, MillionCalls, find_answer, warnings_of
from perfkit.analysis.comparability import not_measured
from perfkit.analysis.costs import Costs, Described
from perfkit.analysis.selection import Group, Selection
from perfkit.cost.capacity_modes import Mode
from perfkit.cost.demand import State
from perfkit.cost.estimate import Estimate
from perfkit.cost.prices import age_warnings
from perfkit.cost.quantities import short
from perfkit.report.answer import begin, write_doubts, write_money
from perfkit.report.layout import first_rows
from perfkit.report.model import Block, Row, Statement, Statements, Table, Tone
from perfkit.report.sections import cost_tables
from perfkit.report.sections.cost import headline, side_by_side
from perfkit.report.sections.cost_consumption import consumed_blocks
from perfkit.report.sections.cost_words import bills, lost_file, spread, unbilled_writes
from perfkit.runs import DoubtKind
from perfkit.settings import RUNS_FOLDER
from perfkit.units import capitalised, format_usd

__all__ = ["cost_screen"]

_MOST_LINES = 12
_MOST_PATTERNS = 3
_MOST_DOUBTS = 300
_MOST_GROUPS = 3


def cost_screen(selection: Selection, *, more: str) -> tuple[Block, ...]:
    """
    Return what fits one screen.

    Args:
        selection: The runs, with what the reader wants to know about cost.
        more: Where everything else is.

    Raises:
        ArchitectureError: The architecture file will not do.
        ConfigError: Traffic is assumed for a pattern that was not measured.
        PriceError: Prices that were asked for are missing.
    """
    costs = selection.costs
    if costs is None:
        return ()
    found_by_title, refused = costs.estimates()
    estimates = [
        (group, found_by_title[group.title])
        for group in selection.groups
        if group.title in found_by_title
    ]
    doubts = [f"{title} is left out: {error}" for title, error in refused.items()]
    blocks: list[Block] = [
        first_rows(block, _MOST_LINES, what="tables and indexes", last=1)
        if isinstance(block, Table)
        else block
        for block in consumed_blocks(costs)
    ]
    for group, found in estimates[:1]:
        answer = find_answer(group, selection)
        blocks += _measured(answer, found, costs)
        doubts += _doubts(group, found, costs)
    others = [
        Statement(text=f"{group.title}: {bills(found)}.")
        for group, found in estimates[1 : 1 + _MOST_GROUPS]
        if found.is_stated
    ]
    if others:
        blocks.append(Statements(name="others", statements=tuple(others)))
    if selection.shows_a_document:
        described = costs.described
        if not selection.runs and not costs.options.architecture:
            blocks.insert(0, _nothing_measured())
        blocks += _described(costs, described, alone=not estimates)
        doubts += [each for each in described.warnings if each not in doubts]
    blocks.append(Statements(name="outlook", statements=tuple(_outlook(estimates, doubts, more))))
    return tuple(blocks)


def _measured(answer: Answer, found: Estimate, costs: Costs) -> Iterator[Block]:
    yield Statements(name="done", statements=(Statement(text=begin(answer)),))
    if isinstance(answer.money, MillionCalls):
        text = write_money(answer)
        yield Statements(
            name="by-the-million",
            statements=(Statement(text=f"{capitalised(text)} (modelled)."),),
        )
    if not found.is_stated:
        # a rate nobody stated makes no bill
        yield _largest_first(cost_tables.by_the_million(found))
        return
    yield _bill(found, costs)
    largest = tuple(_largest(found))
    if largest:
        yield Statements(name="largest", statements=largest)


def _bill(found: Estimate, costs: Costs) -> Table:
    free = ", free tier taken off" if costs.options.free_tier else ""
    title = (
        f"A month on demand, {short(found.rps)} requests/s, list prices of {found.book.place}{free}"
    )
    return replace(cost_tables.bill(found), title=title)


def _largest(found: Estimate) -> Iterator[Statement]:
    """Yield the patterns whose reads cost most, and what another capacity mode would."""
    costliest = sorted(found.patterns, key=lambda each: -each.before.usd)[:_MOST_PATTERNS]
    texts = []
    for each in costliest:
        same = each.after is None or each.after.usd == each.before.usd
        after = "" if each.after is None or same else f" → {format_usd(float(each.after.usd))}"
        texts.append(f"{each.name} {format_usd(float(each.before.usd))}{after}")
    if texts:
        yield Statement(text=f"Largest: reads of {', '.join(texts)}")
    totals = {row.state: row for row in found.modes if row.demand is None}
    now = totals.get(State.AFTER) or totals.get(State.BEFORE)
    if now is not None and now.cheapest is not Mode.ON_DEMAND:
        yield Statement(
            text=f"Capacity {now.state}: {format_usd(float(now.costs[now.cheapest].usd))} a month with"
            f" {now.cheapest}, {format_usd(float(now.costs[Mode.ON_DEMAND].usd))} on demand"
        )


def _nothing_measured() -> Statements:
    text = (
        f"No runs are saved in {RUNS_FOLDER}, so nothing here is about you: below are the bills of"
        " the reference document that perfkit brings along."
    )
    return Statements(name="nothing", statements=(Statement(text=text, tone=Tone.WARNING),))


def _described(costs: Costs, described: Described, *, alone: bool) -> Iterator[Block]:
    """Yield the bills of what is described; the lines where there is nothing measured, or a reader's file."""
    name = costs.architectures.name
    yield Statements(
        name="described",
        title=f"Described, not measured: {name}",
        statements=tuple(headline(each, costs, described) for each in described.comparisons),
    )
    comparisons = described.comparisons
    both = all(each.savings_usd is not None for each in comparisons)
    if both and (alone or costs.options.architecture):
        yield _largest_first(side_by_side(comparisons), last=1)


def _largest_first(bills: Table, *, last: int = 0) -> Table:
    """
    Return a table of bills, by amount and shorter where there is no room for all of its lines.

    Args:
        bills: All lines.
        last: How many rows at the end are a total.
    """
    end = len(bills.rows) - last
    if end <= _MOST_LINES:
        return bills

    def amount(row: Row) -> float:
        return max((value for value in row.values() if isinstance(value, float)), default=0.0)

    ordered = (*sorted(bills.rows[:end], key=amount, reverse=True), *bills.rows[end:])
    return first_rows(replace(bills, rows=ordered), _MOST_LINES, what="lines", last=last)


def _doubts(group: Group, found: Estimate, costs: Costs) -> Iterator[str]:
    yield from warnings_of(group.runs, {DoubtKind.CAPACITY})
    lost = lost_file(found.evidence)
    if lost:
        yield lost
    names = [each.name for each in found.patterns]
    lacking = found.is_stated and spread(found.assumptions, names, not_measured(group.runs, names))
    if lacking:
        yield lacking
    unbilled = unbilled_writes(found.assumptions, found.evidence)
    if found.is_stated and unbilled:
        yield unbilled
    written = dict.fromkeys(each.table for each in found.evidence.writes)
    assumed = [table for table in written if not costs.states_writes(found, table)]
    if found.is_stated and assumed:
        rate = short(found.assumptions.writes_hz)
        yield f"writes to {', '.join(assumed)} are assumed, {rate}/s to each: nobody states them"
    yield from (f"left out: {reason}" for reason in found.reasons_shown)
    if found.is_stated and found.instances:
        yield "instances go by processor time measured on this machine"
    yield from (f"not measured: {each.what}" for each in found.evidence.missing())
    yield from age_warnings(
        found.book.used.values(), today=costs.options.today, region=found.book.region
    )


def _outlook(
    estimates: Sequence[tuple[Group, Estimate]], doubts: Sequence[str], more: str
) -> Iterator[Statement]:
    if doubts:
        text = write_doubts(doubts, _MOST_DOUBTS, more="`perfkit report --cost -v`")
        yield Statement(text=f"Doubtful: {text}", tone=Tone.WARNING)
    missing = [each for _, found in estimates[:1] for each in found.evidence.missing()]
    if not estimates:
        yield Statement(text="Next: `perfkit run` measures what requests cost")
    elif not estimates[0][1].is_stated:
        yield Statement(
            text="Next: `perfkit report --cost --rps RATE`, the requests a second you have"
        )
    elif missing:
        yield Statement(text=f"Next: `{missing[0].command}` measures {missing[0].what}")
    else:
        yield Statement(text="Next: `perfkit cost what-if` shows what a change would cost")
    yield Statement(text=f"More: {more}")
