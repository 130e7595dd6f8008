"""A question of the kind "what if", as a report: what was set, two bills, and their arithmetic."""

from collections.abc import Iterator, Sequence

from perfkit.cost.bill import Line, Pair, difference_usd, key_of
from perfkit.cost.demand import State
from perfkit.cost.evidence import Missing
from perfkit.cost.prices import PriceBook, free_tier_note, number
from perfkit.cost.what_if import SETTINGS, WITHOUT_A_RATE, WhatIf
from perfkit.report.layout import first_rows
from perfkit.report.model import (
    Block,
    Cell,
    Column,
    Kind,
    Marked,
    Provenance,
    Report,
    Row,
    Section,
    Statement,
    Statements,
    Table,
    Tone,
)
from perfkit.report.sections import cost_words
from perfkit.report.sections.cost_tables import NO_PRICE
from perfkit.units import capitalised

__all__ = ["what_if_document", "what_if_report"]

_MODELLED = Provenance.MODELLED
_ANSWERED = {
    State.BEFORE: "today",
    State.AFTER: "index",
    State.CACHED: "index and cache",
}
_OTHER_HAS_NO_PRICE = "The other bill has no price for it, so it is in neither total."


def what_if_report(
    answer: WhatIf,
    book: PriceBook,
    *,
    subject: str,
    missing: Sequence[Missing] = (),
    warnings: Sequence[str] = (),
    explain: bool = False,
    most: int | None = None,
) -> Report:
    """
    Return the answer to show.

    Args:
        answer: The two bills.
        book: The prices they were made with.
        subject: Workload and target of the runs behind them.
        missing: What no run says.
        warnings: What to heed.
        explain: Show how each amount came about.
        most: Lines of a bill that there is room for; None for all.
    """
    blocks: list[Block] = []
    if warnings:
        blocks.append(
            Statements(
                name="warnings",
                statements=tuple(
                    Statement(text=capitalised(each), tone=Tone.WARNING) for each in warnings
                ),
            )
        )
    bills = first_rows(_bills(answer, book), most, what="lines", last=int(answer.per_month))
    # what was set comes before what it makes; what may be set is no answer
    blocks += [_settings(answer), bills] if answer.names else [bills, _settings(answer)]
    if any(case.assumptions.free_tier for case in (answer.baseline, answer.changed)):
        note = Statement(text=free_tier_note(book.used.values()), tone=Tone.FAINT)
        blocks.append(Statements(name="free-tier", statements=(note,)))
    if explain:
        blocks += _arithmetic(answer)
    lacking = cost_words.missing(missing, "missing")
    if lacking is not None:
        blocks.append(lacking)
    return Report(
        title="",
        sections=(
            Section(
                name="what-if", title=f"What if: {subject}", blocks=tuple(blocks), subject=subject
            ),
        ),
    )


def _settings(answer: WhatIf) -> Table:
    """Return what was set, or everything that may be where nothing was."""
    rows: list[Row] = []
    for name, setting in SETTINGS.items():
        # all of a month's bill depends on how much comes
        if answer.names and name not in answer.names and not (name == "rps" and answer.per_month):
            continue
        if not answer.per_month and name not in WITHOUT_A_RATE:
            continue
        row: dict[str, Cell] = {
            "setting": name,
            "baseline": setting.read(answer.baseline),
            "meaning": setting.meaning,
        }
        if answer.names:
            row["changed"] = setting.read(answer.changed)
        rows.append(row)
    return Table(
        name="settings",
        title="Traffic and settings" if answer.names else "What is assumed, and may be set",
        columns=(
            Column(key="setting", title="setting", label=True),
            Column(key="baseline", title="baseline" if answer.names else "value"),
            Column(key="changed", title="what if"),
            Column(key="meaning", title="meaning"),
        ),
        rows=tuple(rows),
    )


def _bills(answer: WhatIf, book: PriceBook) -> Table:
    rows = [_row(pair) for pair in answer.pairs]
    left_out = ", ".join(_title(pair) for pair in answer.bills.left_out)
    baseline, changed = answer.bills.totals_usd
    same = "; both totals are of the same lines" if answer.names else ""
    if answer.per_month:
        rows.append(
            {
                "line": Marked(
                    value="TOTAL",
                    note=f"Without {left_out}{same}." if left_out else None,
                ),
                "baseline_usd": float(baseline),
                "changed_usd": float(changed),
                "difference_usd": float(changed - baseline),
            }
        )
    columns = [
        Column(key="line", title="a month" if answer.per_month else "for", label=True),
        Column(key="baseline_usd", title="baseline", kind=Kind.USD, provenance=_MODELLED),
    ]
    if answer.names:
        columns += [
            Column(key="changed_usd", title="what if", kind=Kind.USD, provenance=_MODELLED),
            Column(key="difference_usd", title="difference", kind=Kind.USD, provenance=_MODELLED),
        ]
    return Table(
        name="bills",
        title=f"US dollars{' a month' if answer.per_month else ''} at list prices of {book.place};"
        f" baseline: {_ANSWERED[answer.baseline.state]}",
        columns=tuple(columns),
        rows=tuple(rows),
        main=True,
    )


def _row(pair: Pair) -> Row:
    difference = difference_usd(*pair)

    def cell(line: Line | None) -> Cell:
        if line is None:
            return None
        if line.usd is None:
            return NO_PRICE
        if difference is None:
            return Marked(value=float(line.usd), note=_OTHER_HAS_NO_PRICE)
        return float(line.usd)

    return {
        "line": _title(pair),
        "baseline_usd": cell(pair[0]),
        "changed_usd": cell(pair[1]),
        "difference_usd": number(difference),
    }


def _title(pair: Pair) -> str:
    return " → ".join(dict.fromkeys(line.service for line in pair if line is not None))


def _arithmetic(answer: WhatIf) -> Iterator[Statements]:
    for title, pick in (("baseline", 0), ("what if", 1)):
        if pick and not answer.names:
            continue
        lines = (pair[pick] for pair in answer.pairs)
        yield Statements(
            name=f"arithmetic-{title.replace(' ', '-')}",
            title=f"How it came about: {title}",
            statements=tuple(
                Statement(text=f"{line.service}: {line.arithmetic}.")
                for line in lines
                if line is not None and line.usd is not None
            ),
        )


def what_if_document(
    answer: WhatIf,
    book: PriceBook,
    *,
    subject: str,
    missing: Sequence[Missing] = (),
    warnings: Sequence[str] = (),
) -> dict[str, object]:
    """
    Return the answer as plain JSON values: US dollars, to cents as shown.

    They are of a month; where nobody states a rate, of a million calls and writes, which have no
    total.
    """
    baseline, changed = answer.bills.totals_usd if answer.per_month else (None, None)
    return {
        "format": 1,
        "kind": "what-if",
        "subject": subject,
        "region": book.region,
        "currency": "USD",
        "per": "month" if answer.per_month else "million",
        "settings": {
            name: {
                "baseline": setting.read(answer.baseline),
                "changed": setting.read(answer.changed),
                "set": name in answer.names,
            }
            for name, setting in SETTINGS.items()
            if answer.per_month or name in WITHOUT_A_RATE
        },
        "lines": [
            {
                "key": key_of((before, after)),
                "title": _title((before, after)),
                "provenance": answer.bills.basis.value,
                "baseline": None if before is None else number(before.usd),
                "changed": None if after is None else number(after.usd),
                "difference": number(difference_usd(before, after)),
                "baseline_arithmetic": _text(before),
                "changed_arithmetic": _text(after),
            }
            for before, after in answer.pairs
        ],
        "baseline": {"total": number(baseline)},
        "changed": {"total": number(changed)},
        "difference": None if baseline is None or changed is None else float(changed - baseline),
        "not_in_totals": [key_of(pair) for pair in answer.bills.left_out],
        "missing": [{"what": each.what, "command": each.command} for each in missing],
        "warnings": [*warnings, *answer.bills.reasons],
    }


def _text(line: Line | None) -> str | None:
    return None if line is None or line.usd is None else line.arithmetic
