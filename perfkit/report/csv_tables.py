"""Reports as CSV, one text for each kind of table: raw values in SI units, one record a line."""

import csv
import io
from collections.abc import Mapping

from perfkit.report.model import Cell, Marked, Report, Table
from perfkit.units import one_line

__all__ = ["main_table", "render_tables"]

_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


def render_tables(report: Report) -> dict[str, str]:
    """
    Write the tables of a report.

    Tables of the same name and columns are one table, each row led by the facts of its section:
    the variants of all scenarios are in `variants`, with columns that say of which.

    Returns:
        CSV text by table name, the main table first.
    """
    merged: dict[str, list[dict[str, str]]] = {}
    names: list[tuple[bool, str]] = []
    for section in report.sections:
        for table in section.tables:
            if table.name not in merged:
                names.append((table.main, table.name))
            merged.setdefault(table.name, []).extend(_records(table, section.facts))
    # False sorts first; the sort is stable.
    return {name: _write(merged[name]) for _, name in sorted(names, key=lambda each: not each[0])}


def main_table(report: Report) -> tuple[str, tuple[str, ...]]:
    """Return the CSV text of the main table and the names of the others."""
    (_, text), *others = list(render_tables(report).items()) or [("", "")]
    return text, tuple(name for name, _ in others)


def _records(table: Table, facts: Mapping[str, object]) -> list[dict[str, str]]:
    keys = {column.key for column in table.columns}
    leading = {
        key: _text(value)
        for key, value in facts.items()
        if key not in keys and isinstance(value, str | int | float)
    }
    return [
        leading | {column.key: _text(row.get(column.key)) for column in table.columns}
        for row in table.rows
    ]


def _write(records: list[dict[str, str]]) -> str:
    file = io.StringIO()
    columns = dict.fromkeys(key for record in records for key in record)
    writer = csv.DictWriter(file, list(columns), restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(records)
    return file.getvalue()


def _text(cell: Cell | object) -> str:
    value = cell.value if isinstance(cell, Marked) else cell
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return repr(value)
    text = one_line(str(value))
    # A spreadsheet would run it as a formula; an apostrophe makes it text.
    return f"'{text}" if text.startswith(_FORMULA_STARTS) else text
