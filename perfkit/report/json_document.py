"""Reports as one JSON document for machines: raw values in SI units, nothing rounded."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import Any

from perfkit import __version__
from perfkit.report.model import (
    Bars,
    Block,
    Curves,
    Diagram,
    Gauges,
    Marked,
    Report,
    Row,
    Section,
    Statements,
    Table,
    Waterfall,
    plain,
)

__all__ = ["report_document", "write_document"]

# Formats so far:
#   1  the first one. Keys may be added to it; a change of meaning makes it 2.
_FORMAT = 1


def report_document(report: Report) -> dict[str, object]:
    """
    Return a report as plain JSON values.

    Tables keep their columns (key, title, kind, provenance) and their rows by column key; `null`
    is a figure that does not exist. `runs` are the run files behind the figures. A section may
    have a key of its own at the top, named as it is: `cost`, and `cost-measured` inside of it.
    """
    return {
        "format": _FORMAT,
        "kind": "report",
        "perfkit": __version__,
        "title": report.title,
        **_documents(report.sections),
        "sections": [_section(section) for section in report.sections],
        "runs": list(report.runs),
    }


def _documents(sections: Iterable[Section]) -> dict[str, object]:
    """Return what sections have for the top; what `cost-measured` has stands in `cost`."""
    found: dict[str, Any] = {}
    for section in sections:
        if section.document:
            *outer, name = section.name.split("-")
            place = found
            for each in outer:
                place = place.setdefault(each, {})
            place[name] = {**place.get(name, {}), **section.document}
    return found


def _table_document(table: Table) -> dict[str, object]:
    """Return one table as plain JSON values."""
    footnotes = [
        {"row": None, "column": column.key, "text": column.note}
        for column in table.columns
        if column.note is not None
    ]
    return {
        "block": "table",
        "name": table.name,
        "title": table.title,
        "columns": [
            {
                "key": column.key,
                "title": f"{column.group} {column.title}".strip(),
                "kind": column.kind,
                "provenance": column.provenance,
            }
            for column in table.columns
        ],
        "rows": [
            {column.key: plain(row.get(column.key)) for column in table.columns}
            for row in table.rows
        ],
        "footnotes": [
            *({"row": None, "column": None, "text": note} for note in table.notes),
            *footnotes,
            *_cell_notes(table.rows),
        ],
    }


def write_document(document: Mapping[str, object]) -> str:
    """Write JSON as text of ASCII characters, which any locale can print."""
    return json.dumps(document, indent=2, allow_nan=False) + "\n"


def _section(section: Section) -> dict[str, object]:
    return {
        "name": section.name,
        "subject": section.subject,
        "title": section.title,
        "facts": dict(section.facts),
        "blocks": [_block(block) for block in section.blocks],
    }


def _block(block: Block) -> dict[str, object]:
    match block:
        case Table():
            return _table_document(block)
        case Bars():
            return {
                "block": "bars",
                "name": block.name,
                "title": block.title,
                "kind": block.kind,
                "logarithmic": block.logarithmic,
                "stacked": block.stacked,
                "bars": [
                    {"label": bar.label, "series": bar.series, "value": bar.value}
                    for bar in block.bars
                ],
            }
        case Curves() | Waterfall() | Gauges() | Diagram():
            return {"block": block.block, **asdict(block)}
        case Statements():
            return {
                "block": "statements",
                "name": block.name,
                "title": block.title,
                "statements": [
                    {"text": each.text, "tone": each.tone, "note": each.note}
                    for each in block.statements
                ],
            }


def _cell_notes(rows: tuple[Row, ...]) -> Iterable[dict[str, object]]:
    for number, row in enumerate(rows):
        for key, cell in row.items():
            if isinstance(cell, Marked) and cell.note is not None:
                yield {"row": number, "column": key, "text": cell.note}
