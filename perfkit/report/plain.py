"""Reports as plain text: tables by tabulate, no colours, nothing wider than asked."""

import textwrap
from dataclasses import replace
from itertools import chain

from tabulate import SEPARATING_LINE, DataRow, Line, TableFormat, tabulate

from perfkit.report.drawings import draw, join, title_of
from perfkit.report.figures import one_line
from perfkit.report.layout import Grid, Marks, lay_out, left_out_line
from perfkit.report.model import (
    Block,
    Report,
    Section,
    Statement,
    Statements,
    Table,
    Tone,
)
from perfkit.units import format_many

__all__ = ["WIDTH", "fit", "render_blocks", "render_report"]

WIDTH = 120
"""Width where there is no terminal to ask: every table of a report fits in one piece."""

# "simple", but headings go in as rows: beside real ones tabulate reserves two more cells a column.
_FORMAT = TableFormat(
    lineabove=None,
    linebelowheader=Line("", "-", "--", ""),
    linebetweenrows=None,
    linebelow=None,
    headerrow=None,
    datarow=DataRow("", "  ", ""),
    padding=0,
    with_header_hide=None,
)


_ROOM = 45
"""Lines of one screen, less the report's title, its footnotes and its last line."""
_HEADING = 4
"""Lines of a section's heading, with the blank ones around it."""


def fit(report: Report, *, width: int, more: str) -> Report:
    """
    Return as much of a report as one screen has room for, in its order, and a line about the rest.

    Args:
        report: What was asked for.
        width: Cells of a line.
        more: Where everything is.
    """
    left, hidden = _ROOM, 0
    shown: list[Section] = []
    for section in report.sections:
        kept: list[Block] = []
        for block in section.blocks:
            lines = 1 + render_blocks((block,), width).count("\n")
            lines += _HEADING * (not kept)
            if isinstance(block, Table) and block.data_only:
                continue
            if lines > left:
                hidden += 1
                continue
            left -= lines
            kept.append(block)
        if kept:
            shown.append(replace(section, blocks=tuple(kept)))
    what = f"{format_many(hidden, 'further table or drawing', 'further tables and drawings')}; "
    line = Statement(text=f"More: {what if hidden else ''}{more}")
    last = Section(name="more", title="", blocks=(Statements(name="more", statements=(line,)),))
    return replace(report, sections=(*shown, last))


def render_report(report: Report, width: int = WIDTH) -> str:
    """Write a report: each section under its heading, footnotes and the meaning of marks last."""
    marks = Marks()
    parts = [_underlined(report.title, "=", width)] if report.title else []
    parts += [_section(section, marks, width) for section in report.sections]
    return _join([*parts, *_legend(marks, width, whole_report=True)])


def render_blocks(blocks: tuple[Block, ...], width: int = WIDTH) -> str:
    """Write tables, bars and statements one below another, and then the footnotes of all."""
    marks = Marks()
    return _join(
        [
            *(_block(block, marks, width) for block in blocks),
            *_legend(marks, width, whole_report=False),
        ]
    )


def _join(parts: list[str]) -> str:
    text = "\n\n".join(part for part in parts if part)
    return "\n".join(line.rstrip() for line in text.split("\n")) + "\n"


def _legend(marks: Marks, width: int, *, whole_report: bool) -> list[str]:
    lines = [_wrapped(line, width, hang=2) for line in marks.legend(whole_report=whole_report)]
    return ["\n".join(lines)] if lines else []


def _section(section: Section, marks: Marks, width: int) -> str:
    parts = [_underlined(section.title, "-", width)] if section.title else []
    blocks = (_block(block, marks, width) for block in section.blocks)
    return "\n\n".join(filter(None, [*parts, *blocks]))


def _underlined(title: str, line: str, width: int) -> str:
    text = _wrapped(one_line(title), width)
    return f"{text}\n{line * max(map(len, text.splitlines()))}"


def _block(block: Block, marks: Marks, width: int) -> str:
    match block:
        case Table(data_only=True):
            return ""
        case Table():
            return _table(block, marks, width)
        case Statements():
            lines = [_wrapped(one_line(block.title), width)] if block.title else []
            lines += [
                _statement(each.text + marks.note(each.note), each.tone, width)
                for each in block.statements
            ]
            return "\n".join(lines)
        case _:
            title = _wrapped(title_of(block), width)
            drawn = [join(line) for line in draw(block, marks, width)]
            return "\n".join([*([title] if title else ()), *drawn] if drawn else ())


def _statement(text: str, tone: Tone, width: int) -> str:
    # A command must stay in one piece to be copied.
    return (
        f"  {one_line(text)}" if tone is Tone.COMMAND else _wrapped(one_line(text), width, hang=2)
    )


def _table(table: Table, marks: Marks, width: int) -> str:
    title = one_line(table.title) + "".join(marks.note(note) for note in table.notes)
    grids = [_grid(grid, width) for grid in lay_out(table, marks, width)]
    return "\n".join(filter(None, [_wrapped(title, width), "\n\n".join(grids)]))


def _grid(grid: Grid, width: int) -> str:
    drawn = tabulate(
        [*_headings(grid), *chain(*map(_lines, grid.rows))],
        tablefmt=_FORMAT,
        # Ready-made text: tabulate must not read "1,250" or "0012" as numbers.
        disable_numparse=True,
        colalign=["right" if right else "left" for right in grid.right_aligned],
    )
    return "\n".join(filter(None, [drawn, _wrapped(left_out_line(grid), width, hang=2)]))


def _headings(grid: Grid) -> list[list[str] | str]:
    return [*_lines(grid.headings, top=False), SEPARATING_LINE] if any(grid.headings) else []


def _lines(texts: tuple[str, ...], *, top: bool = True) -> list[list[str]]:
    """Return one row of cells for each line of the longest text; short ones stand at the top."""
    split = [text.split("\n") for text in texts]
    height = max(map(len, split))
    padding = [[""] * (height - len(lines)) for lines in split]
    padded = [
        lines + blank if top else blank + lines for lines, blank in zip(split, padding, strict=True)
    ]
    return [list(row) for row in zip(*padded, strict=True)]


def _wrapped(text: str, width: int, *, hang: int = 0) -> str:
    return textwrap.fill(text, width, subsequent_indent=" " * hang, break_on_hyphens=False)
