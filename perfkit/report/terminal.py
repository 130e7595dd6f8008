"""Reports and tables drawn by Rich for people at a terminal; plain text where there is none."""

import io
import os
import re
from typing import TextIO

from rich.box import Box
from rich.console import Console
from rich.padding import Padding
from rich.rule import Rule
from rich.table import Table as RichTable
from rich.terminal_theme import DIMMED_MONOKAI as _SVG_THEME
from rich.text import Text

from perfkit.report import plain
from perfkit.report.drawings import Drawn, Piece, draw, title_of
from perfkit.report.figures import display_width, one_line
from perfkit.report.layout import GAP, Grid, Marks, lay_out, left_out_line
from perfkit.report.model import (
    Block,
    Cell,
    Column,
    Marked,
    Provenance,
    Report,
    Section,
    Statements,
    Table,
    Tone,
)

__all__ = ["print_blocks", "print_report", "print_screen", "print_table", "render_svg"]

_NARROWEST = 40

_TONE_STYLES = {
    Tone.PLAIN: "",
    Tone.GOOD: "green",
    Tone.WARNING: "yellow",
    Tone.FAINT: "dim",
    Tone.COMMAND: "bold cyan",
}
_PROVENANCE_STYLES = {Provenance.MODELLED: "italic", Provenance.QUOTED: "cyan"}
_SERIES_STYLES = ("magenta", "green", "blue", "yellow", "cyan", "red")

_FONT_FACE = re.compile(r"@font-face\s*\{.*?\}", re.DOTALL)

# A line under the headings and nothing else.
_BOX = Box("    \n    \n ── \n    \n    \n    \n    \n    \n")


def make_console(file: TextIO | None = None) -> Console:
    """
    Return a console for reports, on standard output unless *file* is given.

    Colours are used on a terminal only, and never when NO_COLOR is set. The width is the
    terminal's; elsewhere that of COLUMNS, or 120.
    """
    console = Console(file=file, highlight=False, markup=False, emoji=False)
    if isinstance(console.file, io.TextIOWrapper):
        # A terminal that knows no multiplication sign gets a question mark, not a traceback.
        console.file.reconfigure(errors="replace")
    if not console.is_terminal and not os.environ.get("COLUMNS"):
        console.width = plain.WIDTH
    return console


def print_table(table: Table, console: Console | None = None) -> None:
    """Print one table with its footnotes, as wide as the terminal allows."""
    print_blocks((table,), console)


def print_blocks(blocks: tuple[Block, ...], console: Console | None = None) -> None:
    """Print tables, bars and statements one below another, and then the footnotes of all."""
    console = console or make_console()
    if not console.is_terminal:
        console.file.write(plain.render_blocks(blocks, _width(console)))
        return
    printer = _Printer(console)
    printer.blocks(blocks)
    printer.legend(whole_report=False)


def print_report(report: Report, console: Console | None = None) -> None:
    """Print a report: each section under its heading, footnotes and the meaning of marks last."""
    console = console or make_console()
    if not console.is_terminal:
        console.file.write(plain.render_report(report, _width(console)))
        return
    printer = _Printer(console)
    if report.title:
        printer.line(one_line(report.title), "bold")
        console.print()
    for section in report.sections:
        printer.section(section)
        console.print()
    printer.legend(whole_report=True)


def print_screen(report: Report, *, more: str) -> None:
    """Print as much of a report as one screen has room for; *more* says where everything is."""
    console = make_console()
    print_report(plain.fit(report, width=_width(console), more=more), console)


def render_svg(report: Report) -> str:
    """
    Draw a report as a picture of a terminal, as wide as piped text is.

    Nothing in it is loaded from elsewhere: the reader's own monospaced font is used.
    """
    console = Console(
        file=io.StringIO(),
        width=plain.WIDTH,
        record=True,
        force_terminal=True,
        color_system="truecolor",
        no_color=False,
        highlight=False,
        markup=False,
        emoji=False,
    )
    print_report(report, console)
    drawn = console.export_svg(title="perfkit report", theme=_SVG_THEME)
    # Rich fetches its font from a server
    style, end, picture = drawn.partition("</style>")
    style = _FONT_FACE.sub("", style).replace("Fira Code", "ui-monospace")
    return f"{style}{end}{picture}"


def _width(console: Console) -> int:
    return max(console.width, _NARROWEST)


class _Printer:
    """Prints on one console and remembers which marks were used."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.marks = Marks()

    def line(self, text: str, style: str = "", *, hang: int = 0) -> None:
        # Always Text: in a string Rich would read brackets as markup.
        line = Text(text, style=style)
        line.highlight_regex("`[^`]+`", "bold")
        lines = line.wrap(self.console, _width(self.console) - hang)
        for number, line in enumerate(lines):
            line.rstrip()
            self.console.print(Padding(line, (0, 0, 0, hang if number else 0), expand=False))

    def legend(self, *, whole_report: bool) -> None:
        for line in self.marks.legend(whole_report=whole_report):
            self.line(line, "dim", hang=2)

    def section(self, section: Section) -> None:
        title = one_line(section.title)
        if display_width(title) > _width(self.console) - 4:
            self.line(title, "bold")
        elif title:
            self.console.print(Rule(Text(title, style="bold"), align="left", style="dim"))
        self.blocks(section.blocks)

    def blocks(self, blocks: tuple[Block, ...]) -> None:
        shown = (each for each in blocks if not (isinstance(each, Table) and each.data_only))
        for number, block in enumerate(shown):
            if number:
                self.console.print()
            match block:
                case Table():
                    self.table(block)
                case Statements():
                    self.statements(block)
                case _:
                    self.drawing(block)

    def statements(self, block: Statements) -> None:
        if block.title:
            self.line(one_line(block.title), "bold")
        for each in block.statements:
            text, style = one_line(each.text) + self.marks.note(each.note), _TONE_STYLES[each.tone]
            if each.tone is Tone.COMMAND:
                # Left to the terminal to fold, so that it is copied in one piece.
                self.console.print(Text(f"  {text}", style=style), soft_wrap=True)
            else:
                self.line(text, style, hang=2)

    def drawing(self, block: Drawn) -> None:
        lines = draw(block, self.marks, _width(self.console))
        title = title_of(block)
        if lines and title:
            self.line(title, "bold")
        for line in lines:
            pieces = ((piece.text, _piece_style(piece)) for piece in line)
            self.console.print(Text.assemble(*pieces), soft_wrap=True)

    def table(self, table: Table) -> None:
        title = one_line(table.title) + "".join(self.marks.note(note) for note in table.notes)
        if title:
            self.line(title, "bold")
        for number, grid in enumerate(lay_out(table, self.marks, _width(self.console))):
            if number:
                self.console.print()
            self.console.print(_drawn(grid))
            if grid.left_out:
                self.line(left_out_line(grid), "dim")


def _piece_style(piece: Piece) -> str:
    if piece.series is not None:
        return _SERIES_STYLES[piece.series % len(_SERIES_STYLES)]
    style = _TONE_STYLES[piece.tone]
    return f"bold {style}".strip() if piece.strong else style


def _drawn(grid: Grid) -> RichTable:
    drawn = RichTable(
        box=_BOX,
        show_edge=False,
        pad_edge=False,
        padding=(0, GAP - 1, 0, 0),
        show_header=any(grid.headings),
        header_style="dim",
    )
    for column, heading, right, width in zip(
        grid.columns, grid.headings, grid.right_aligned, grid.widths, strict=True
    ):
        # The grid has been made to fit; Rich only draws it.
        drawn.add_column(
            Text(heading, style=_PROVENANCE_STYLES.get(column.provenance, "")),
            justify="right" if right else "left",
            min_width=width,
            no_wrap=True,
        )
    for row, texts in zip(grid.source, grid.rows, strict=True):
        drawn.add_row(
            *(
                Text(text, style=_cell_style(row.get(column.key), column, first=not number))
                for number, (column, text) in enumerate(zip(grid.columns, texts, strict=True))
            )
        )
    return drawn


def _cell_style(cell: Cell, column: Column, *, first: bool) -> str:
    if isinstance(cell, Marked) and cell.tone is not Tone.PLAIN:
        return _TONE_STYLES[cell.tone]
    return "bold" if column.label and first else _PROVENANCE_STYLES.get(column.provenance, "")
