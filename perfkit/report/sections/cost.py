"""What runs before and after, as bills of a month: quoted by a document, and at list prices."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal

from perfkit.analysis.costs import Costs, Described
from perfkit.analysis.selection import Selection
from perfkit.cost.bill import Basis, Bill, Comparison, Line
from perfkit.cost.options import LIST, QUOTED
from perfkit.cost.prices import (
    HOURS_A_MONTH,
    Price,
    PriceBook,
    free_tier_note,
    number,
)
from perfkit.errors import ArchitectureError, PriceError
from perfkit.report import model
from perfkit.report.model import (
    Bar,
    Bars,
    Block,
    Column,
    Kind,
    Marked,
    Provenance,
    Row,
    Section,
    Statements,
    Table,
    Tone,
)
from perfkit.units import capitalised, format_share, format_usd

__all__ = ["bills_of", "build", "headline", "share_of", "side_by_side"]

_PROVENANCES = {Basis.QUOTED: Provenance.QUOTED, Basis.MODELLED: Provenance.MODELLED}
_WORDS = {Basis.QUOTED: QUOTED, Basis.MODELLED: LIST}
_SIDES = ("before", "after")


def build(selection: Selection) -> Iterable[Section]:
    """
    Yield the bills, if the report is to have them.

    Raises:
        ArchitectureError: The architecture file will not do.
        PriceError: Prices that were asked for are missing.
    """
    costs = selection.costs
    if costs is None or not selection.shows_a_document:
        return
    described = costs.described
    yield Section(
        name="cost",
        title=f"Cost of what runs: {costs.architectures.name}",
        blocks=tuple(_blocks(costs, described, measured=bool(selection.runs))),
        facts={
            "prices": _WORDS[described.comparisons[0].basis],
            "region": _region(described),
        },
        document=_document(costs, described),
    )


def bills_of(selection: Selection) -> tuple[Comparison, ...]:
    """Return the bills for other sections; none where this section shows none, or says why."""
    if selection.costs is None or not selection.shows_a_document:
        return ()
    try:
        return selection.costs.described.comparisons
    except (ArchitectureError, PriceError):
        return ()


def _region(described: Described) -> str | None:
    return None if described.book is None else described.book.region


# --- what people see


def _blocks(costs: Costs, described: Described, *, measured: bool) -> Iterator[Block]:
    comparisons = described.comparisons
    yield Statements(
        name="cost-summary", statements=tuple(_statements(costs, described, measured=measured))
    )
    for comparison in comparisons:
        for side, bill in zip(_SIDES, (comparison.before, comparison.after), strict=True):
            if bill is not None:
                yield _bill(side, bill, comparison, explain=costs.options.explain)
    if all(each.savings_usd is not None for each in comparisons):
        yield side_by_side(comparisons, main=not measured)
        yield _totals(comparisons)
    bars = tuple(_bars(comparisons))
    if bars:
        yield Bars(
            name="cost-by-service",
            title="US dollars a month, by service",
            kind=Kind.USD,
            stacked=True,
            bars=bars,
        )
    if described.book is not None:
        yield _prices(comparisons[-1], described.book)


def _statements(costs: Costs, described: Described, *, measured: bool) -> Iterator[model.Statement]:
    if not measured:
        whose = (
            ""
            if costs.options.architecture
            else "; the bills are those of the reference document that perfkit brings along"
        )
        yield model.Statement(
            text=f"No runs are saved, so nothing of it is measured{whose}:"
            " `perfkit run` adds what measured requests cost.",
            tone=Tone.WARNING,
        )
    for text in described.warnings:
        yield model.Statement(text=text, tone=Tone.WARNING)
    for comparison in described.comparisons:
        yield headline(comparison, costs, described)
        if costs.options.free_tier and comparison.basis is Basis.MODELLED:
            yield model.Statement(text=free_tier_note(comparison.prices), tone=Tone.FAINT)
    if not costs.architectures.file:
        yield model.Statement(
            text="`--architecture FILE` prices what you run instead of the reference document's.",
            tone=Tone.FAINT,
        )


def headline(comparison: Comparison, costs: Costs, described: Described) -> model.Statement:
    """Return what a pair of bills comes to, in one sentence."""
    origin = _origin(comparison, costs, described)
    if comparison.before is None or comparison.after is None:
        only = comparison.before or comparison.after
        total = Decimal(0) if only is None else only.total_usd
        return model.Statement(text=f"{origin}: {format_usd(total)} a month.")
    before, after = comparison.before.total_usd, comparison.after.total_usd
    savings = comparison.savings_usd or Decimal(0)
    text = f"{origin}: {format_usd(before)} a month before, {format_usd(after)} after"
    if not savings:
        return model.Statement(text=f"{text}; no difference.")
    verb = "saves" if savings > 0 else "costs"
    more = "" if savings > 0 else " more"
    share = share_of(comparison)
    share = f" ({share})" if share else ""
    annual = format_usd(abs(comparison.annual_savings_usd or savings)).removesuffix(".00")
    return model.Statement(
        text=f"{text}: {verb} {format_usd(abs(savings))}{more} a month{share}, {annual}{more} a year.",
        tone=Tone.GOOD if savings > 0 else Tone.WARNING,
    )


def _origin(comparison: Comparison, costs: Costs, described: Described) -> str:
    if comparison.basis is Basis.QUOTED:
        return f"Quoted ({costs.architectures.quoted_source or costs.architectures.name})"
    days = sorted(price.date for price in comparison.prices if price.date is not None)
    of = f", oldest of {days[0].isoformat()}" if days else ""
    free = ", free tier taken off" if costs.options.free_tier else ""
    return f"List prices ({_region(described)}{of}{free})"


def share_of(comparison: Comparison) -> str:
    """Return the saved share for people: a document's to the whole percent, as it writes them."""
    if comparison.reduction is None:
        return ""
    share = abs(comparison.reduction)
    if comparison.basis is Basis.QUOTED:
        return f"{share:.0%}"
    return format_share(float(round(share, 3)))


def _share_note(comparison: Comparison) -> str | None:
    if comparison.basis is Basis.MODELLED or comparison.reduction is None:
        return None
    return f"{abs(comparison.reduction):.2%}, rounded to the whole percent as quoted"


def _bill(side: str, bill: Bill, comparison: Comparison, *, explain: bool) -> Table:
    word = _WORDS[comparison.basis]
    listed = comparison.basis is Basis.MODELLED
    hours = f"Hourly prices are for {HOURS_A_MONTH} hours a month unless the file says otherwise."
    return Table(
        name=f"cost-{side}-{word}",
        title=f"{bill.title}, {'list prices' if listed else 'quoted'}",
        columns=(
            Column(key="service", title="service", label=True),
            Column(key="configuration", title="configuration"),
            Column(
                key="monthly_usd",
                title="a month",
                kind=Kind.USD,
                provenance=_PROVENANCES[comparison.basis],
            ),
            Column(key="mark", title="mark"),
            Column(
                key="arithmetic",
                title="arithmetic",
                data_only=not explain,
                weight=0,
            ),
            Column(key="provenance", title="provenance", data_only=True),
        ),
        rows=(*map(_line, bill.lines), *_sums(side, bill, comparison)),
        notes=(
            *(f"{capitalised(note)}." for note in bill.notes),
            *((hours,) if listed else ()),
        ),
    )


def _line(line: Line) -> Row:
    return {
        "service": line.service,
        "configuration": line.configuration,
        "monthly_usd": number(line.usd),
        "mark": line.mark,
        "arithmetic": line.arithmetic,
        "provenance": line.basis.value,
    }


def _sums(side: str, bill: Bill, comparison: Comparison) -> Iterator[Row]:
    empty: Row = {
        "configuration": "",
        # a column without marks is left out
        "mark": "" if any(line.mark for line in bill.lines) else None,
        "arithmetic": "",
        "provenance": comparison.basis.value,
    }
    yield {**empty, "service": "TOTAL", "monthly_usd": float(bill.total_usd)}
    savings = comparison.savings_usd
    if side == "before" or savings is None:
        return
    # the document writes a saving with a minus sign: it is how the bill changes
    label = "INCREASE" if savings < 0 else "SAVINGS"
    yield {**empty, "service": label, "monthly_usd": float(-savings)}
    if comparison.reduction is not None:
        yield {
            **empty,
            "service": "Increase" if savings < 0 else "Reduction",
            "monthly_usd": Marked(
                value=share_of(comparison),
                note=_share_note(comparison),
                provenance=_PROVENANCES[comparison.basis],
            ),
        }


def side_by_side(comparisons: Sequence[Comparison], *, main: bool = False) -> Table:
    """
    Return all bills in one table; lines of the same name in two of them stand in one row.

    Args:
        comparisons: What is shown.
        main: The report has no measured table that a reader would rather have.
    """
    rows: dict[tuple[str, str], dict[str, model.Cell]] = {}
    for comparison in comparisons:
        word = _WORDS[comparison.basis]
        names = _names(comparison)
        for before, after in comparison.pairs:
            line = after or before
            if line is None:
                continue
            name = names[line.key]
            # two lines of one service may even say the same
            place = ("", name) if name == line.service else (word, line.key)
            row = rows.setdefault(place, {"service": name})
            row[f"{word}_before_usd"] = None if before is None else number(before.usd)
            row[f"{word}_after_usd"] = None if after is None else number(after.usd)
            # what is gone costs less
            row[f"{word}_mark"] = "↓" if after is None else after.mark
    total: dict[str, model.Cell] = {"service": "TOTAL"}
    for comparison in comparisons:
        word = _WORDS[comparison.basis]
        total[f"{word}_mark"] = ""
        for side, bill in zip(_SIDES, (comparison.before, comparison.after), strict=True):
            total[f"{word}_{side}_usd"] = None if bill is None else float(bill.total_usd)
    columns = [Column(key="service", title="service", label=True)]
    for comparison in comparisons:
        word = _WORDS[comparison.basis]
        provenance = _PROVENANCES[comparison.basis]
        columns += [
            Column(
                key=f"{word}_{side}_usd",
                title=side,
                kind=Kind.USD,
                group=word,
                provenance=provenance,
            )
            for side in _SIDES
        ]
        columns.append(Column(key=f"{word}_mark", title="mark", group=word))
    return Table(
        name="cost-before-and-after",
        title="US dollars a month, before and after",
        columns=tuple(columns),
        rows=(*rows.values(), total),
        main=main,
    )


def _names(comparison: Comparison) -> Mapping[str, str]:
    """Return what to call the lines of two bills, by key: those of one service by what they are for."""
    lines = {line.key: line for pair in comparison.pairs for line in pair if line is not None}
    services = Counter(line.service for line in lines.values())
    return {
        key: line.service
        if services[line.service] == 1
        else f"{line.service}: {line.configuration}"
        for key, line in lines.items()
    }


def _totals(comparisons: Sequence[Comparison]) -> Table:
    rows: list[Row] = []
    for comparison in comparisons:
        provenance = _PROVENANCES[comparison.basis]
        before, after = comparison.before, comparison.after
        # a document's share is shown to the whole percent, as it writes them
        places = 2 if comparison.basis is Basis.QUOTED else 4
        reduction = None if comparison.reduction is None else round(comparison.reduction, places)

        def usd(amount: Decimal | None, provenance: Provenance = provenance) -> model.Cell:
            return Marked(value=number(amount), provenance=provenance)

        rows.append(
            {
                "prices": _WORDS[comparison.basis],
                "before_usd": usd(None if before is None else before.total_usd),
                "after_usd": usd(None if after is None else after.total_usd),
                "change_usd": usd(-(comparison.savings_usd or Decimal(0))),
                "reduction": Marked(
                    value=number(reduction),
                    note=_share_note(comparison),
                    provenance=provenance,
                ),
                "annual_savings_usd": usd(comparison.annual_savings_usd),
            }
        )
    return Table(
        name="cost-totals",
        title="Totals",
        columns=(
            Column(key="prices", title="prices", label=True),
            Column(key="before_usd", title="before", kind=Kind.USD),
            Column(key="after_usd", title="after", kind=Kind.USD),
            Column(key="change_usd", title="change a month", kind=Kind.USD),
            Column(key="reduction", title="reduction", kind=Kind.SHARE),
            Column(key="annual_savings_usd", title="saves a year", kind=Kind.USD),
        ),
        rows=tuple(rows),
    )


def _bars(comparisons: Sequence[Comparison]) -> Iterator[Bar]:
    for comparison in comparisons:
        word = _WORDS[comparison.basis]
        for side, bill in zip(_SIDES, (comparison.before, comparison.after), strict=True):
            services: dict[str, Decimal] = {}
            for line in bill.lines if bill is not None else ():
                usd = line.usd or Decimal(0)
                services[line.service] = services.get(line.service, Decimal(0)) + usd
            for service, usd in services.items():
                if usd > 0:
                    yield Bar(label=f"{side}, {word}", series=service, value=float(usd))


def _prices(listed: Comparison, book: PriceBook) -> Table:
    return Table(
        name="cost-prices",
        title=f"List prices used, {book.region}",
        columns=(
            Column(key="name", title="price", label=True),
            Column(key="usd", title="US dollars", provenance=Provenance.QUOTED),
            Column(key="unit", title="unit"),
            Column(key="source", title="source"),
            Column(key="date", title="date"),
        ),
        rows=tuple(map(_price, listed.prices)),
        notes=(f"Prices from {', then '.join(book.sources)}; `perfkit prices show -v` has all.",),
    )


_SECOND_HAND = "second-hand: not from AWS or a copy of its price list"


def _price(price: Price) -> Row:
    day = "undated" if price.date is None else price.date.isoformat()
    first = price.written(price.tiers[0])
    return {
        "name": price.name,
        "usd": Marked(
            value=first if price.flat_usd is not None else f"{first}, then less",
            note=_SECOND_HAND if price.second_hand else None,
        ),
        "unit": price.unit,
        "source": price.source,
        "date": day,
    }


# --- what programs read


def _document(costs: Costs, described: Described) -> Mapping[str, object]:
    """Return the bills for the top of a JSON document: US dollars a month, nothing rounded."""
    first, *others = described.comparisons
    return {
        "currency": "USD",
        "architecture": costs.architectures.name,
        "region": _region(described),
        "free_tier": costs.options.free_tier,
        "warnings": list(described.warnings),
        **_comparison(first),
        **{_WORDS[each.basis]: _comparison(each) for each in others},
    }


def _comparison(comparison: Comparison) -> dict[str, object]:
    reduction = comparison.reduction
    return {
        "prices": _WORDS[comparison.basis],
        "before": _bill_document(comparison.before),
        "after": _bill_document(comparison.after),
        "savings": number(comparison.savings_usd),
        "reduction_percent": None if reduction is None else float(100 * reduction),
        "annual_savings": number(comparison.annual_savings_usd),
    }


def _bill_document(bill: Bill | None) -> dict[str, object] | None:
    if bill is None:
        return None
    return {
        "title": bill.title,
        "total": float(bill.total_usd),
        "lines": [
            {
                "service": line.service,
                "configuration": line.configuration,
                "monthly": number(line.usd),
                "mark": line.mark,
                "provenance": line.basis.value,
                "arithmetic": line.arithmetic,
                "prices": [
                    {
                        "name": price.name,
                        "source": price.source,
                        "date": None if price.date is None else price.date.isoformat(),
                        "second_hand": price.second_hand,
                    }
                    for price in line.prices
                ],
            }
            for line in bill.lines
        ],
    }
