"""Tables as aligned text of a given width: which columns stand together, and what is cut where."""

import re
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby

from perfkit.report.figures import ABSENT, display_width, format_cell, one_line
from perfkit.report.model import Cell, Column, Kind, Marked, Provenance, Row, Table

__all__ = ["GAP", "Grid", "Marks", "first_rows", "lay_out", "left_out_line"]

GAP = 2
"""Blank cells between columns."""

_NARROWEST = 12
"""A text column is folded no narrower than this."""

_SUPERSCRIPTS = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")
_PROVENANCE_MARKS = {Provenance.MODELLED: "≈", Provenance.QUOTED: "†"}
_PROVENANCE_MEANINGS = {
    Provenance.MODELLED: "modelled by a formula",
    Provenance.QUOTED: "quoted from a document",
}


@dataclass(slots=True)
class Marks:
    """Footnotes and provenance marks, numbered as they are met while a report is written."""

    _notes: list[str] = field(default_factory=list)
    _provenances: set[Provenance] = field(default_factory=set)

    def copy(self) -> "Marks":
        """Return the same marks, to try what room a table needs."""
        return Marks(list(self._notes), set(self._provenances))

    def note(self, text: str | None) -> str:
        """Return the superscript number of a footnote; the same text has one number."""
        if text is None:
            return ""
        if text not in self._notes:
            self._notes.append(text)
        return str(self._notes.index(text) + 1).translate(_SUPERSCRIPTS)

    def provenance(self, provenance: Provenance) -> str:
        """Return the mark of figures that are not measured."""
        if provenance is Provenance.MEASURED:
            return ""
        self._provenances.add(provenance)
        return _PROVENANCE_MARKS[provenance]

    def legend(self, *, whole_report: bool) -> tuple[str, ...]:
        """
        Return the lines that explain every mark used so far.

        Args:
            whole_report: A report says where its figures come from even if none is marked.
        """
        marked = [
            f"{mark} marks figures {_PROVENANCE_MEANINGS[provenance]}"
            for provenance, mark in _PROVENANCE_MARKS.items()
            if provenance in self._provenances
        ]
        if marked or whole_report:
            others = "all others are" if marked else "All figures are"
            marked.append(f"{others} measured, unless their row says otherwise")
        return (
            *((f"{'; '.join(marked)}.",) if marked else ()),
            *(f"{self.note(text)} {one_line(text)}" for text in tuple(self._notes)),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Grid:
    """
    A table, or a part of one, as text.

    Args:
        columns: Columns shown, left to right.
        groups: Group heading over each column, on the first of its group only.
        titles: Heading of each column, with its marks.
        rows: Written values; a folded one has several lines.
        source: The values themselves, row by row.
        left_out: Titles of columns for which there was no room.
        elsewhere: What to do to see these.
    """

    columns: tuple[Column, ...]
    groups: tuple[str, ...]
    titles: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    source: tuple[Row, ...]
    left_out: tuple[str, ...] = ()
    elsewhere: str = "use --format json"

    @property
    def headings(self) -> tuple[str, ...]:
        """Return the headings, of two lines where the table has groups; all empty if it has none."""
        if not any(self.groups):
            return self.titles
        return tuple(
            f"{group}\n{title}" for group, title in zip(self.groups, self.titles, strict=True)
        )

    @property
    def right_aligned(self) -> tuple[bool, ...]:
        return tuple(column.kind is not Kind.TEXT for column in self.columns)

    @property
    def widths(self) -> tuple[int, ...]:
        return tuple(
            max(display_width(line) for text in texts for line in text.split("\n"))
            for texts in zip(self.headings, *self.rows, strict=True)
        )

    @property
    def height(self) -> int:
        """Return its lines, without what is drawn between them."""
        rows = (self.headings, *self.rows)
        return sum(1 + max(text.count("\n") for text in row) for row in rows)

    @property
    def width(self) -> int:
        return sum(self.widths) + GAP * (len(self.columns) - 1)


def first_rows(table: Table, most: int | None, *, what: str = "rows", last: int = 0) -> Table:
    """
    Return a table of no more rows than there is room for; its title then says of how many.

    Args:
        table: What there is.
        most: How many rows there is room for; None for all.
        what: What the rows are.
        last: How many rows at the end, such as a total, are kept whatever there is room for.
    """
    count = len(table.rows) - last
    if most is None or count <= most:
        return table
    title = f"{table.title}: the" if table.title else "The"
    return replace(
        table,
        title=f"{title} first {most} of {count} {what}",
        rows=(*table.rows[:most], *table.rows[count:]),
    )


def lay_out(table: Table, marks: Marks, width: int | None = None) -> tuple[Grid, ...]:
    """
    Write a table as one grid, or as several where one would be too wide.

    Columns that no row fills are dropped.
    A table that is too wide is cut between groups, with the label columns repeated in each part,
    or folded between words in one piece where that takes fewer lines.
    Where even one group is too wide, long text is folded and then columns of the least weight
    are left out, and the grid names them. A table of one piece is not cut but treated like that.

    Args:
        table: What to write.
        marks: Collects the footnotes and marks that the grids refer to.
        width: Terminal cells there are; None for no limit.

    Returns:
        At least one grid, each at most *width* wide unless a single column is wider.
    """
    shown = tuple(
        column
        for column in table.columns
        if not column.data_only
        and (column.label or not table.rows or _has_values(column, table.rows))
    )
    if width is None or _write(table, shown, marks.copy()).width <= width:
        return (_write(table, shown, marks),)
    labels = tuple(column for column in shown if column.label)
    if table.one_piece:
        part = tuple(column for column in shown if not column.label)
        return (_fit(table, labels, part, marks, width),)
    parts = [(_filled(table, part), part) for part in _parts(table, shown, labels, marks, width)]
    tried = marks.copy()
    cut = [_fit(filled, labels, part, tried, width) for filled, part in parts]
    folded = _fold(_write(table, shown, marks.copy()), width, words=False)
    if len(cut) > 1 and folded.width <= width and folded.height < sum(each.height for each in cut):
        return (_fold(_write(table, shown, marks), width, words=False),)
    return tuple(_fit(filled, labels, part, marks, width) for filled, part in parts)


def _parts(
    table: Table, shown: Sequence[Column], labels: tuple[Column, ...], marks: Marks, width: int
) -> list[tuple[Column, ...]]:
    """Divide the columns beside the labels into parts that fit, breaking only between groups."""
    parts: list[tuple[Column, ...]] = []
    groups = groupby(
        (column for column in shown if not column.label),
        key=lambda column: column.group or column.key,
    )
    for _, members in groups:
        group = tuple(members)
        if parts and _write(table, (*labels, *parts[-1], *group), marks.copy()).width <= width:
            parts[-1] = (*parts[-1], *group)
        else:
            parts.append(group)
    return parts or [()]


def _filled(table: Table, part: Sequence[Column]) -> Table:
    """Return the table without the rows that say nothing in this part of it."""
    return replace(
        table,
        rows=tuple(row for row in table.rows if any(_has_values(each, [row]) for each in part)),
    )


def _fit(
    table: Table, labels: tuple[Column, ...], part: tuple[Column, ...], marks: Marks, width: int
) -> Grid:
    words = not table.one_piece
    kept = list(part)

    def grid(marks: Marks) -> Grid:
        return _fold(_write(table, (*labels, *kept), marks), width, words=words)

    while len(kept) > 1 and grid(marks.copy()).width > width:
        # The last of the lightest goes first: columns are in order of interest.
        kept.remove(min(reversed(kept), key=lambda column: column.weight))
    return replace(
        _fold(grid(marks), width),
        left_out=tuple(_full_title(each, part) for each in part if each not in kept)
        if table.one_piece
        else tuple(each.title for each in part if each not in kept),
        elsewhere="add -v" if table.one_piece else "use --format json",
    )


def _full_title(column: Column, part: Sequence[Column]) -> str:
    """Return a heading, with its group's where another column has the same."""
    alike = sum(each.title == column.title for each in part)
    return f"{column.title} {column.group}" if alike > 1 else column.title


def _fold(grid: Grid, width: int, *, words: bool = True) -> Grid:
    """
    Fold the widest text column until the grid fits, or no column can be narrower.

    Words are broken, such as names, where *words* says so and nothing else makes room.
    """
    for broken in (False, True) if words else (False,):
        while grid.width > width:
            widths = grid.widths
            least = [_least(grid, index, broken=broken) for index in range(len(widths))]
            foldable = [
                index
                for index, column in enumerate(grid.columns)
                if column.kind is Kind.TEXT and widths[index] > least[index]
            ]
            if not foldable:
                break
            widest = max(foldable, key=lambda index: widths[index])
            room = max(least[widest], widths[widest] - (grid.width - width))
            rows = tuple(
                tuple(
                    _wrap(text, room) if index == widest else text for index, text in enumerate(row)
                )
                for row in grid.rows
            )
            grid = replace(grid, rows=rows)
            if grid.widths[widest] >= widths[widest]:
                break
    return grid


def _least(grid: Grid, index: int, *, broken: bool) -> int:
    """Return how narrow a text column may become."""
    longest = 0
    if not broken:
        words = (word for row in grid.rows for word in _spaced(row[index]).split())
        longest = max(map(display_width, words), default=0)
    return max(_NARROWEST, display_width(grid.titles[index]), longest)


def _spaced(text: str) -> str:
    """Return a text that can be broken before its arrows: between a form and the one it becomes."""
    return re.sub(r"(?<=\S)→", " →", text.replace("\n", " "))


def _wrap(text: str, width: int) -> str:
    if display_width(text) <= width:
        return text
    spaced = _spaced(text)
    broken = any(display_width(word) > width for word in spaced.split())
    return "\n".join(textwrap.wrap(spaced, width, break_on_hyphens=broken)) or text


def _write(table: Table, columns: Sequence[Column], marks: Marks) -> Grid:
    groups = [
        one_line(column.group) if index == 0 or columns[index - 1].group != column.group else ""
        for index, column in enumerate(columns)
    ]
    titles = [
        f"{marks.provenance(column.provenance)}{one_line(column.title)}{marks.note(column.note)}"
        for column in columns
    ]
    rows = [
        tuple(_text(row.get(column.key), column, marks) for column in columns) for row in table.rows
    ]
    labels = sum(column.label for column in columns)
    return Grid(
        columns=tuple(columns),
        groups=tuple(groups),
        titles=tuple(titles),
        rows=tuple(
            _without_repeats(row, rows[number - 1], labels) if number else row
            for number, row in enumerate(rows)
        ),
        source=table.rows,
    )


def _without_repeats(row: tuple[str, ...], above: tuple[str, ...], labels: int) -> tuple[str, ...]:
    """Blank the leading labels that the row above already has, but never all of them."""
    repeated = 0
    while repeated < labels - 1 and row[repeated] == above[repeated]:
        repeated += 1
    return (*[""] * repeated, *row[repeated:])


def _text(cell: Cell, column: Column, marks: Marks) -> str:
    text = format_cell(cell, column.kind)
    if not isinstance(cell, Marked):
        return text
    return f"{marks.provenance(cell.provenance)}{text}{marks.note(cell.note)}"


def _has_values(column: Column, rows: Sequence[Row]) -> bool:
    return any(format_cell(row.get(column.key), column.kind) not in {"", ABSENT} for row in rows)


def left_out_line(grid: Grid) -> str:
    """Return what to say under a grid that had no room for some columns."""
    if not grid.left_out:
        return ""
    return f"No room here for: {', '.join(map(one_line, grid.left_out))}. Widen the terminal, or {grid.elsewhere}."
