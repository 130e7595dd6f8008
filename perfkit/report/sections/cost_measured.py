"""Money out of measurements: reads, capacity modes, indexes, the cache, instances, data out."""

from collections.abc import Iterable, Iterator

from perfkit.cost.architecture_file import load_architectures
from perfkit.cost.assumptions import Assumptions, as_in_run
from perfkit.cost.evidence import Evidence, gather
from perfkit.cost.measured import Measured, work_out
from perfkit.cost.options import QUOTED, CostOptions
from perfkit.cost.price_file import load_book
from perfkit.cost.prices import PriceBook, age_warnings, free_tier_note
from perfkit.errors import ArchitectureError, ConfigError, PriceError
from perfkit.report.mixed import not_measured
from perfkit.report.model import Block, Section, Statement, Statements, Tone
from perfkit.report.sections import cost_curves, cost_document, cost_tables, cost_words
from perfkit.report.selection import Group, Selection, target_title

__all__ = ["build", "headline"]


def build(selection: Selection) -> Iterable[Section]:
    """
    Yield a section for each workload and target of which something was measured.

    Raises:
        ConfigError: Traffic is assumed for a pattern that was not measured.
        PriceError: Prices that were asked for are missing.
    """
    options = selection.cost
    if options is None or options.prices == QUOTED:
        return
    groups = _answered(selection)
    if not groups:
        return
    try:
        book = load_book(options.region, options.price_file)
    except PriceError:
        # the section before this one has said so, unless somebody asked for these prices
        if options.region or options.prices:
            raise
        return
    several = len(selection.groups) > 1
    documented = False
    for group, evidence in groups:
        title = "Cost of what was measured"
        if several:
            title += f" ({group.title})"
        try:
            measured = work_out(evidence, _assumptions(options, evidence), book)
        except ConfigError as error:
            # of several workloads, traffic is given for the patterns of one
            if not several:
                raise
            yield _refused(group, title, error)
            continue
        run = group.runs[0]
        yield Section(
            name="cost-measured",
            subject=group.title if several else "",
            title=title,
            blocks=tuple(_blocks(group, measured, book, options)),
            facts={
                "workload": run.workload,
                "target": target_title(run.target),
                "region": book.region,
                "runs": list(evidence.runs),
            },
            document={} if documented else cost_document.document(measured, group.title),
        )
        documented = True


def _answered(selection: Selection) -> list[tuple[Group, Evidence]]:
    found = [(group, gather(group.runs)) for group in selection.groups]
    return [(group, evidence) for group, evidence in found if evidence.patterns]


def headline(group: Group, selection: Selection) -> str:
    """
    Return what a month of measured requests costs, for other sections.

    "" unless a reader states how many come: nobody's rate makes no headline. Why a bill cannot be
    made out, this section says.
    """
    options, evidence = selection.cost, gather(group.runs)
    if options is None or options.prices == QUOTED or not evidence.patterns:
        return ""
    try:
        stated = bool(options.rps) or load_architectures(options.architecture).traffic is not None
        if not stated:
            return ""
        book = load_book(options.region, options.price_file)
        return cost_words.bills(work_out(evidence, _assumptions(options, evidence), book))
    except (ArchitectureError, ConfigError, PriceError):
        return ""


def _assumptions(options: CostOptions, evidence: Evidence) -> Assumptions:
    given = load_architectures(options.architecture).traffic
    return options.traffic(as_in_run(given or Assumptions(), evidence.traffic, evidence.ttls))


def _refused(group: Group, title: str, error: ConfigError) -> Section:
    return Section(
        name="cost-measured",
        subject=group.title,
        title=title,
        blocks=(
            Statements(
                name="cost-measured-summary",
                statements=(Statement(text=f"Left out: {error}.", tone=Tone.WARNING),),
            ),
        ),
    )


def _blocks(
    group: Group, measured: Measured, book: PriceBook, options: CostOptions
) -> Iterator[Block]:
    old = age_warnings(book.used.values(), today=options.today, region=book.region)
    names = [each.name for each in measured.patterns]
    spread = cost_words.spread(measured.assumptions, names, not_measured(group.runs, names))
    yield Statements(
        name="cost-measured-summary",
        statements=(
            *(Statement(text=text, tone=Tone.WARNING) for text in old),
            *(Statement(text=f"{text}.", tone=Tone.WARNING) for text in [spread] if text),
            *cost_words.statements(measured),
            *(
                Statement(text=free_tier_note(book.used.values()), tone=Tone.FAINT)
                for _ in range(options.free_tier)
            ),
        ),
    )
    blocks: tuple[Block | None, ...] = (
        cost_tables.pattern_reads(measured),
        cost_tables.bill(measured),
        cost_tables.capacity_modes(measured),
        cost_curves.capacity_modes(measured, book),
        cost_tables.indexes(measured),
        cost_curves.indexes(measured),
        cost_tables.caches(measured),
        cost_curves.caches(measured),
        cost_tables.instances(measured),
        cost_tables.data_out(measured, book),
        cost_words.arithmetic(measured) if options.explain else None,
        cost_words.missing(measured),
    )
    yield from filter(None, blocks)
