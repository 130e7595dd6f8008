"""A question of the kind "what if", as a report: what was set, two bills, and their arithmetic."""

from collections.abc import Iterator, Sequence

from perfkit.cost.evidence import Missing
from perfkit.cost.monthly import MonthlyLine
from perfkit.cost.prices import PriceBook, free_tier_note
from perfkit.cost.what_if import SETTINGS, Pair, WhatIf
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

__all__ = ["what_if_document", "what_if_report"]

_MODELLED = Provenance.MODELLED
_NO_PRICE = "There is no price for it, so it is in no sum."
_OTHER_HAS_NO_PRICE = "The other bill has no price for it, so it is in neither total."


def what_if_report(
    answer: WhatIf,
    book: PriceBook,
    *,
    subject: str,
    missing: Sequence[Missing] = (),
    warnings: Sequence[str] = (),
    explain: bool = False,
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
    """
    blocks: list[Block] = []
    if warnings:
        blocks.append(
            Statements(
                name="warnings",
                statements=tuple(Statement(text=each, tone=Tone.WARNING) for each in warnings),
            )
        )
    blocks += [_settings(answer), _bills(answer, book)]
    if any(case.assumptions.free_tier for case in (answer.baseline, answer.changed)):
        note = Statement(text=free_tier_note(book.used.values()), tone=Tone.FAINT)
        blocks.append(Statements(name="free-tier", statements=(note,)))
    if explain:
        blocks += _arithmetic(answer)
    if missing:
        blocks.append(_missing(missing))
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
        if answer.names and name not in answer.names:
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
        title="Set" if answer.names else "What is assumed, and may be set",
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
    left_out = ", ".join(pair.title for pair in answer.left_out)
    same = "; both totals are of the same lines" if answer.names else ""
    rows.append(
        {
            "line": Marked(
                value="TOTAL",
                note=f"Without {left_out}{same}." if left_out else None,
            ),
            "baseline_usd": answer.baseline_usd,
            "changed_usd": answer.changed_usd,
            "difference_usd": answer.difference_usd,
        }
    )
    columns = [
        Column(key="line", title="a month", label=True),
        Column(key="baseline_usd", title="baseline", kind=Kind.USD, provenance=_MODELLED),
    ]
    if answer.names:
        columns += [
            Column(key="changed_usd", title="what if", kind=Kind.USD, provenance=_MODELLED),
            Column(key="difference_usd", title="difference", kind=Kind.USD, provenance=_MODELLED),
        ]
    return Table(
        name="bills",
        title=f"US dollars a month at list prices of {book.region}",
        columns=tuple(columns),
        rows=tuple(rows),
        main=True,
    )


def _row(pair: Pair) -> Row:
    def cell(line: MonthlyLine | None) -> Cell:
        if line is None:
            return None
        if line.usd is None:
            return Marked(value=None, note=_NO_PRICE, tone=Tone.WARNING)
        if pair.difference_usd is None:
            return Marked(value=line.usd, note=_OTHER_HAS_NO_PRICE)
        return line.usd

    return {
        "line": pair.title,
        "baseline_usd": cell(pair.baseline),
        "changed_usd": cell(pair.changed),
        "difference_usd": pair.difference_usd,
    }


def _arithmetic(answer: WhatIf) -> Iterator[Statements]:
    for title, pick in (("baseline", 0), ("what if", 1)):
        if pick and not answer.names:
            continue
        lines = ((pair.baseline, pair.changed)[pick] for pair in answer.pairs)
        yield Statements(
            name=f"arithmetic-{title.replace(' ', '-')}",
            title=f"How it came about: {title}",
            statements=tuple(
                Statement(text=f"{line.title}: {line.amount.arithmetic}.")
                for line in lines
                if line is not None and line.amount is not None
            ),
        )


def _missing(missing: Sequence[Missing]) -> Statements:
    return Statements(
        name="missing",
        title="What no run says, and what measures it",
        statements=tuple(
            Statement(text=f"{each.what}: `{each.command}`", tone=Tone.FAINT) for each in missing
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
    """Return the answer as plain JSON values: US dollars a month, to cents as shown."""
    return {
        "format": 1,
        "kind": "what-if",
        "subject": subject,
        "region": book.region,
        "currency": "USD",
        "settings": {
            name: {
                "baseline": setting.read(answer.baseline),
                "changed": setting.read(answer.changed),
                "set": name in answer.names,
            }
            for name, setting in SETTINGS.items()
        },
        "lines": [
            {
                "key": pair.key,
                "title": pair.title,
                "provenance": "modelled",
                "baseline": None if pair.baseline is None else pair.baseline.usd,
                "changed": None if pair.changed is None else pair.changed.usd,
                "difference": pair.difference_usd,
                "baseline_arithmetic": _text(pair.baseline),
                "changed_arithmetic": _text(pair.changed),
            }
            for pair in answer.pairs
        ],
        "baseline": {"total": answer.baseline_usd},
        "changed": {"total": answer.changed_usd},
        "difference": answer.difference_usd,
        "not_in_totals": [pair.key for pair in answer.left_out],
        "missing": [{"what": each.what, "command": each.command} for each in missing],
        "warnings": [*warnings, *answer.reasons],
    }


def _text(line: MonthlyLine | None) -> str | None:
    return None if line is None or line.amount is None else line.amount.arithmetic
