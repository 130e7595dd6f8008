"""Tables of a page: headings with their groups, row names, figures with marks and tones."""

from dataclasses import dataclass
from itertools import groupby

from markupsafe import Markup

from perfkit.report.figures import format_cell, one_line
from perfkit.report.html.texts import LinkedMarks, plain_text, sentence, with_notes
from perfkit.report.layout import Grid, lay_out
from perfkit.report.model import Kind, Marked, Provenance, Table, Tone

__all__ = ["CellView", "HeadingView", "TableView", "simple_table", "view_table"]

_SHORT = 24
"""Text of so many characters stays on one line; a date folded at its hyphens is hard to read."""

_MANY = 9


@dataclass(frozen=True, slots=True, kw_only=True)
class HeadingView:
    """
    A heading: over one column, over a group of them, or over one in two rows.

    Args:
        text: What it says.
        columns: Columns that it stands over.
        rows: Rows of headings that it takes.
        right: It stands over figures.
        names_rows: The column under it has the names of the rows, which stay where a table scrolls.
    """

    text: Markup
    columns: int = 1
    rows: int = 1
    right: bool = False
    names_rows: bool = False

    @property
    def classes(self) -> str:
        """Names of the style sheet."""
        names = {"group": self.columns > 1, "figure": self.right, "name": self.names_rows}
        return " ".join(name for name, given in names.items() if given)


@dataclass(frozen=True, slots=True, kw_only=True)
class CellView:
    """
    A cell.

    Args:
        text: What it shows.
        heading: It names its row.
        right: A figure, aligned with the others.
        classes: Names of the style sheet.
        repeated: It says what the cell above says, and is only read aloud.
        key: The column's key in JSON, for those who read the page with a program.
    """

    text: Markup
    heading: bool = False
    right: bool = False
    classes: str = ""
    repeated: bool = False
    key: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class TableView:
    """A table: its headings in one row or in two, and its rows."""

    title: Markup
    label: str
    headings: tuple[tuple[HeadingView, ...], ...]
    rows: tuple[tuple[CellView, ...], ...]

    @property
    def many(self) -> bool:
        """Whether its columns are so many that they had better stand closer together."""
        return max(map(len, self.rows), default=0) >= _MANY


def view_table(table: Table, marks: LinkedMarks) -> TableView:
    """Prepare a table of the report."""
    title = one_line(table.title) + "".join(marks.note(note) for note in table.notes)
    (grid,) = lay_out(table, marks)
    return TableView(
        title=with_notes(title),
        label=one_line(table.title) or one_line(table.name).replace("-", " ").capitalize(),
        headings=_headings(grid),
        rows=_rows(grid),
    )


def simple_table(
    label: str, titles: tuple[str, ...], rows: tuple[tuple[str, ...], ...], *, labels: int
) -> TableView:
    """Prepare a table of texts; the first *labels* columns name the rows, the rest are figures."""
    return TableView(
        title=Markup(""),
        label=label,
        headings=(
            tuple(
                HeadingView(
                    text=with_notes(title),
                    right=number >= labels,
                    names_rows=number == labels - 1,
                )
                for number, title in enumerate(titles)
            ),
        ),
        rows=tuple(
            tuple(
                CellView(
                    text=with_notes(text), heading=number == labels - 1, right=number >= labels
                )
                for number, text in enumerate(row)
            )
            for row in rows
        ),
    )


def _headings(grid: Grid) -> tuple[tuple[HeadingView, ...], ...]:
    right = grid.right_aligned
    named = _naming(grid)
    if not any(grid.groups):
        return (
            tuple(
                HeadingView(text=with_notes(title), right=right[number], names_rows=number == named)
                for number, title in enumerate(grid.titles)
            ),
        )
    upper: list[HeadingView] = []
    lower: list[HeadingView] = []
    for group, members in groupby(
        range(len(grid.columns)), key=lambda number: grid.columns[number].group
    ):
        numbers = list(members)
        if not group:
            upper += [
                HeadingView(
                    text=with_notes(grid.titles[number]),
                    rows=2,
                    right=right[number],
                    names_rows=number == named,
                )
                for number in numbers
            ]
            continue
        upper.append(HeadingView(text=with_notes(one_line(group)), columns=len(numbers)))
        lower += [
            HeadingView(
                text=with_notes(grid.titles[number]),
                right=right[number],
                names_rows=number == named,
            )
            for number in numbers
        ]
    return tuple(upper), tuple(lower)


def _naming(grid: Grid) -> int | None:
    """Return the number of the column that names the rows, if one does."""
    return max((number for number, each in enumerate(grid.columns) if each.label), default=None)


def _rows(grid: Grid) -> tuple[tuple[CellView, ...], ...]:
    named = _naming(grid)
    return tuple(
        tuple(
            _cell(grid, row, number, text, heading=number == named)
            for number, text in enumerate(texts)
        )
        for row, texts in enumerate(grid.rows)
    )


def _cell(grid: Grid, row: int, number: int, text: str, *, heading: bool) -> CellView:
    column = grid.columns[number]
    source = grid.source[row].get(column.key)
    repeated = not text and column.label
    if repeated:
        text = format_cell(source, column.kind)
    tone, provenance = Tone.PLAIN, Provenance.MEASURED
    if isinstance(source, Marked):
        # That of a whole column is marked in its heading.
        tone, provenance = source.tone, source.provenance
    classes = [
        *([f"tone-{tone}"] if tone is not Tone.PLAIN else []),
        *([str(provenance)] if provenance is not Provenance.MEASURED else []),
        *(["drawn"] if _is_drawn(text) else []),
        *(["short"] if len(text) <= _SHORT else []),
    ]
    written = sentence(text) if column.kind is Kind.TEXT else with_notes(text)
    return CellView(
        text=written,
        heading=heading,
        right=grid.right_aligned[number],
        classes=" ".join(classes),
        repeated=repeated,
        key=column.key,
    )


def _is_drawn(text: str) -> bool:
    """Whether a text is a bar made of blocks, which must stay in one piece."""
    return bool(text) and set(plain_text(text)) <= set("█▉▊▋▌▍▎▏░ ")
