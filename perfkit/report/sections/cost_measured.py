"""Costs modelled from measurements: reads, capacity modes, indexes, the cache, instances, data out."""

from collections.abc import Iterable, Iterator

from perfkit.analysis.answer import MillionCalls, find_answer
from perfkit.analysis.comparability import not_measured
from perfkit.analysis.costs import Costs
from perfkit.analysis.selection import Group, Selection, target_title
from perfkit.cost.estimate import Estimate
from perfkit.cost.prices import age_warnings, free_tier_note
from perfkit.errors import ConfigError
from perfkit.report.answer import write_money
from perfkit.report.model import Block, Section, Statement, Statements, Tone
from perfkit.report.sections import cost_curves, cost_document, cost_tables, cost_words
from perfkit.units import capitalised

__all__ = ["build"]


def build(selection: Selection) -> Iterable[Section]:
    """
    Yield a section for each workload and target of which something was measured.

    Raises:
        ArchitectureError: The architecture file will not do.
        ConfigError: Traffic is assumed for a pattern that was measured in none of them.
        PriceError: Prices that were asked for are missing.
    """
    costs = selection.costs
    if costs is None:
        return
    several = len(selection.groups) > 1
    estimates, refused = costs.estimates()
    documented = False
    for group in selection.groups:
        found = estimates.get(group.title)
        if found is None:
            continue
        title = "Cost of what was measured"
        if several:
            title += f" ({group.title})"
        run = group.runs[0]
        yield Section(
            name="cost-measured",
            subject=group.title if several else "",
            title=title,
            blocks=(_by_the_million(group, selection), *_blocks(group, found, costs)),
            facts={
                "workload": run.workload,
                "target": target_title(run.target),
                "region": found.book.region,
                "runs": list(found.evidence.runs),
            },
            document={} if documented else cost_document.document(found, group.title),
        )
        documented = True
    for name, error in refused.items():
        yield _refused(name, error)


def _by_the_million(group: Group, selection: Selection) -> Statements:
    """Return what a million calls cost: a rate that nobody states makes no headline."""
    answer = find_answer(group, selection)
    found = answer.money
    if not isinstance(found, MillionCalls):
        return Statements(name="cost-by-the-million", statements=())
    text = f"{write_money(answer)}; modelled, on demand, list prices of {found.region}."
    return Statements(
        name="cost-by-the-million",
        statements=(Statement(text=capitalised(text)),),
    )


def _refused(title: str, error: ConfigError) -> Section:
    return Section(
        name="cost-measured",
        subject=title,
        title=f"Cost of what was measured ({title})",
        blocks=(
            Statements(
                name="cost-measured-summary",
                statements=(Statement(text=f"Left out: {error}.", tone=Tone.WARNING),),
            ),
        ),
    )


def _blocks(group: Group, found: Estimate, costs: Costs) -> Iterator[Block]:
    options, used = costs.options, found.book.used.values()
    old = age_warnings(used, today=options.today, region=found.book.region)
    names = [each.name for each in found.patterns]
    spread = ""
    if found.is_stated:
        spread = cost_words.spread(found.assumptions, names, not_measured(group.runs, names))
    free = [free_tier_note(used)] if options.free_tier and found.is_stated else []
    yield Statements(
        name="cost-measured-summary",
        statements=(
            *(Statement(text=text, tone=Tone.WARNING) for text in old),
            *(Statement(text=f"{text}.", tone=Tone.WARNING) for text in [spread] if text),
            *(
                cost_words.statements(found)
                if found.is_stated
                else cost_words.by_the_million(found)
            ),
            *(Statement(text=text, tone=Tone.FAINT) for text in free),
        ),
    )
    if not found.is_stated:
        yield cost_tables.by_the_million(found)
        unstated = (
            cost_words.arithmetic_by_the_million(found) if options.explain else None,
            cost_words.missing(found.evidence.missing(), "cost-missing"),
        )
        yield from filter(None, unstated)
        return
    blocks: tuple[Block | None, ...] = (
        cost_tables.pattern_reads(found),
        cost_tables.bill(found),
        cost_tables.capacity_modes(found),
        cost_curves.capacity_modes(found),
        cost_tables.indexes(found),
        cost_curves.indexes(found),
        cost_tables.caches(found),
        cost_curves.caches(found),
        cost_tables.instances(found),
        cost_tables.data_out(found),
        cost_words.arithmetic(found) if options.explain else None,
        cost_words.missing(found.evidence.missing(), "cost-missing"),
    )
    yield from filter(None, blocks)
