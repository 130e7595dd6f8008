"""The answer with which a report begins: what is paid or read today, what it could be, what it takes."""

from collections.abc import Iterable, Iterator
from decimal import Decimal

from perfkit.analysis.answer import Answer, MonthlyBill, find_answer
from perfkit.analysis.selection import Selection, target_title
from perfkit.cost.bill import Basis
from perfkit.cost.prices import number
from perfkit.cost.quantities import short
from perfkit.report.answer import patterns_table, sentences, write_doubts
from perfkit.report.model import (
    Block,
    Column,
    Kind,
    Marked,
    Provenance,
    Row,
    Section,
    Statement,
    Statements,
    Table,
    Tone,
)
from perfkit.report.sections.cost import bills_of

__all__ = ["build"]


def build(selection: Selection) -> Iterable[Section]:
    """Yield a section for each group that has something to say."""
    several = len(selection.groups) > 1
    for group in selection.groups:
        answer = find_answer(group, selection)
        found = tuple(sentences(answer))
        if not found:
            continue
        yield Section(
            name="findings",
            subject=group.title if several else "",
            title=f"Findings ({group.title})" if several else "Findings",
            blocks=tuple(_blocks(answer, found, selection)),
            facts={
                "workload": group.runs[0].workload,
                "target": target_title(group.runs[0].target),
            },
        )


def _blocks(answer: Answer, found: tuple[Statement, ...], selection: Selection) -> Iterator[Block]:
    # all of them stand with what they are about
    short_doubts = write_doubts(answer.doubts, more="beside their figures")
    doubts = (
        (Statement(text=f"Doubtful: {short_doubts}", tone=Tone.WARNING),) if answer.doubts else ()
    )
    costs = _costs(answer, selection)
    if len(answer.patterns) < 2:
        yield Statements(name="findings", statements=(*found, *doubts))
        if costs.rows:
            yield costs
        return
    # three sentences, what they are about, and then the rest
    yield Statements(name="findings", statements=found[:3])
    yield patterns_table(answer)
    if costs.rows:
        yield costs
    rest = (*found[3:], *doubts)
    if rest:
        yield Statements(name="findings-beside", statements=rest)


def _costs(answer: Answer, selection: Selection) -> Table:
    """Return what is paid, before and after: of what was measured, and of what is described."""
    rows = [*_measured(answer), *_described(answer, selection)]
    return Table(
        name="answer-cost",
        title="Cost, US dollars",
        columns=(
            Column(key="what", title="of", label=True),
            Column(key="before_usd", title="today", kind=Kind.USD),
            Column(key="after_usd", title="after", kind=Kind.USD),
            Column(key="cached_usd", title="after, cached", kind=Kind.USD),
        ),
        rows=tuple(rows),
    )


def _usd(amount: Decimal | None, basis: Basis = Basis.MODELLED) -> Marked:
    return Marked(value=number(amount), provenance=Provenance(basis.value))


def _measured(answer: Answer) -> Iterator[Row]:
    money = answer.money
    if isinstance(money, MonthlyBill):
        yield {
            "what": f"a month at {short(money.rate_hz)} requests/s",
            "before_usd": _usd(money.before),
            "after_usd": _usd(money.after),
            "cached_usd": _usd(money.cached),
        }
    elif money is not None:
        each = " of each pattern" if len(answer.patterns) > 1 else ""
        yield {
            "what": f"a million calls{each}",
            "before_usd": _usd(money.before),
            "after_usd": _usd(money.after),
        }
        if money.inserts is not None:
            yield {
                "what": "what the indexes add to a million new items in each table",
                "after_usd": _usd(money.inserts),
            }


def _described(answer: Answer, selection: Selection) -> Iterator[Row]:
    """Yield what a document, or a reader's file, says of the cost of what runs."""
    costs = selection.costs
    if costs is None or not (costs.options.architecture or answer.quotes):
        return
    for each in bills_of(selection):
        if each.before is None or each.after is None:
            continue
        prices = "quoted" if each.basis is Basis.QUOTED else "at list prices"
        yield {
            "what": Marked(
                value=f"a month of all services, {prices}",
                note=f"Of what is described ({costs.architectures.name}); not measured here.",
            ),
            "before_usd": _usd(each.before.total_usd, each.basis),
            "after_usd": _usd(each.after.total_usd, each.basis),
        }
