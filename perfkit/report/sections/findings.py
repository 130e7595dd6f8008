"""The answer with which a report begins: what is paid or read today, what it could be, what it takes."""

from collections.abc import Iterable, Iterator

from perfkit.analysis.answer import Answer, find_answer
from perfkit.analysis.selection import Selection, target_title
from perfkit.cost.bill import Basis
from perfkit.report.answer import patterns_table, sentences, write_doubts
from perfkit.report.model import Block, Section, Statement, Statements, Tone
from perfkit.report.sections.cost import bills_of
from perfkit.units import format_usd

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
    doubts = (
        (Statement(text=f"Doubtful: {write_doubts(answer.doubts)}", tone=Tone.WARNING),)
        if answer.doubts
        else ()
    )
    rest = (*_architectures(answer, selection), *doubts)
    if len(answer.patterns) < 2:
        yield Statements(name="findings", statements=(*found, *rest))
        return
    # three sentences, the table, and then the rest
    yield Statements(name="findings", statements=found[:3])
    yield patterns_table(answer)
    rest = (*found[3:], *rest)
    if rest:
        yield Statements(name="findings-beside", statements=rest)


def _architectures(answer: Answer, selection: Selection) -> Iterator[Statement]:
    """Yield what a document, or a reader's file, says of the cost of what runs."""
    costs = selection.costs
    if costs is None or not (costs.options.architecture or answer.quotes):
        return
    written = [
        f"{'quoted' if each.basis is Basis.QUOTED else 'at list prices'}"
        f" {format_usd(each.before.total_usd)} before, {format_usd(each.after.total_usd)} after"
        for each in bills_of(selection)
        if each.before is not None and each.after is not None
    ]
    if written:
        yield Statement(
            text="Not measured here: a month of the architectures that are described costs"
            f" {'; '.join(written)}.",
            tone=Tone.FAINT,
        )
