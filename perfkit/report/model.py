"""What a report is made of, before anybody decides how it looks: tables, bars, statements, sections."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import ClassVar

__all__ = [
    "Bar",
    "Bars",
    "Block",
    "Cell",
    "Column",
    "Curve",
    "Curves",
    "Diagram",
    "Edge",
    "Gauge",
    "Gauges",
    "Kind",
    "Lane",
    "Marked",
    "Node",
    "Panel",
    "Point",
    "Provenance",
    "Report",
    "Row",
    "Scale",
    "Section",
    "Span",
    "Statement",
    "Statements",
    "Table",
    "Tone",
    "Value",
    "VerticalLine",
    "Waterfall",
    "plain",
]


class Provenance(StrEnum):
    """Where a figure comes from."""

    MEASURED = "measured"
    """A clock or a counter in this run."""

    MODELLED = "modelled"
    """A formula over measured figures."""

    QUOTED = "quoted"
    """The reference document that the workload names."""


class Kind(StrEnum):
    """What a value is, and so how it is written; values themselves are always in SI units."""

    TEXT = "text"
    COUNT = "count"
    CAPACITY = "capacity"
    SECONDS = "seconds"
    RATIO = "ratio"
    SHARE = "share"
    """A fraction: 0.995 is written 99.5%."""

    BYTES = "bytes"
    USD = "usd"


class Tone(StrEnum):
    """How a statement is meant, for renderers that have colours."""

    PLAIN = "plain"
    GOOD = "good"
    WARNING = "warning"
    FAINT = "faint"
    COMMAND = "command"
    """Something to type; Markdown sets it as code."""


Value = str | int | float | None
"""A raw value; None is "there is no such figure" and is written as a dash."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Marked:
    """A value with a footnote, a tone or a provenance of its own."""

    value: Value
    note: str | None = None
    tone: Tone = Tone.PLAIN
    provenance: Provenance = Provenance.MEASURED


Cell = Value | Marked
"""One value of a table."""


def plain(cell: Cell) -> Value:
    """Return the value of a cell, marked or not."""
    return cell.value if isinstance(cell, Marked) else cell


Row = Mapping[str, Cell]
"""Values by column key; a key that is missing is None."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """
    One column of a table.

    Args:
        key: Name in JSON and CSV, with the unit in it: `p50_s`.
        title: Heading for people.
        kind: What the values are.
        group: Heading that neighbouring columns share; a table too wide for its place is cut
            between groups.
        note: Footnote on the heading.
        provenance: Where all of the column's figures come from; other than measured is marked.
            Where only some are not measured, those cells are `Marked`.
        label: This column names the row, and is repeated in every part of a table that was cut.
        weight: When even one group is too wide, columns of the least weight are left out first.
        data_only: Present in JSON and CSV, where a person would find it noise.
    """

    key: str
    title: str
    kind: Kind = Kind.TEXT
    group: str = ""
    note: str | None = None
    provenance: Provenance = Provenance.MEASURED
    label: bool = False
    weight: int = 1
    data_only: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """
    Rows under typed columns.

    Args:
        name: Short name, used for files and in JSON; unique within its section.
        title: Heading for people; may be empty.
        columns: Columns, left to right.
        rows: Values by column key.
        notes: Footnotes on the whole table.
        main: A reader with room for one table wants this one.
        data_only: A drawing beside it writes the same figures, so text formats leave it out;
            JSON and CSV have it, and HTML as the chart's table.
        one_piece: Where it is too wide, columns of the least weight are left out and it is not cut.
    """

    block: ClassVar[str] = "table"

    name: str
    title: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    notes: tuple[str, ...] = ()
    main: bool = False
    data_only: bool = False
    one_piece: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """One bar; bars with the same label stand together."""

    label: str
    series: str
    value: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Bars:
    """
    A bar chart of values above zero that a table of the same section also holds.

    Args:
        name: Short name, unique within its section.
        title: Heading for people.
        kind: What the values are.
        bars: The bars, top to bottom.
        logarithmic: Each step of the scale is a factor of ten; the renderer says so.
        stacked: Bars with the same label are parts of one bar, in order.
    """

    block: ClassVar[str] = "bars"

    name: str
    title: str
    kind: Kind
    bars: tuple[Bar, ...]
    logarithmic: bool = False
    stacked: bool = False


class Scale(StrEnum):
    """How an axis is divided."""

    LINEAR = "linear"
    LOGARITHMIC = "logarithmic"
    PERCENTILE = "percentile"
    """Shares from 0 to below 1, each further nine as wide as the one before: 0.9, 0.99, 0.999."""


@dataclass(frozen=True, slots=True)
class Point:
    """One point of a curve, in SI units."""

    x: float
    y: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """One line of a chart; its points in order of x."""

    label: str
    points: tuple[Point, ...]
    provenance: Provenance = Provenance.MEASURED


@dataclass(frozen=True, slots=True, kw_only=True)
class VerticalLine:
    """A place on the x axis worth naming, such as a break-even."""

    x: float
    label: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Curves:
    """
    A line chart whose figures a table of the same section also holds, at least its main ones.

    Args:
        name: Short name, unique within its section.
        title: Heading for people.
        x_title: What the x axis shows.
        x_kind: What its values are.
        y_title: What the y axis shows.
        y_kind: What its values are.
        curves: The lines.
        x_scale: How the x axis is divided.
        y_scale: How the y axis is divided; never by percentiles.
        lines: Places on the x axis.
        wide: It is one of several over the same x axis, which ends with the last of all points, and
            needs the whole width.
    """

    block: ClassVar[str] = "curves"

    name: str
    title: str
    x_title: str
    x_kind: Kind
    y_title: str
    y_kind: Kind
    curves: tuple[Curve, ...]
    x_scale: Scale = Scale.LINEAR
    y_scale: Scale = Scale.LINEAR
    lines: tuple[VerticalLine, ...] = ()
    wide: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """A stage of a request: when it begins and how long it takes, in seconds."""

    label: str
    start_s: float
    duration_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Lane:
    """One request, stage by stage."""

    title: str
    spans: tuple[Span, ...]
    provenance: Provenance = Provenance.MEASURED


@dataclass(frozen=True, slots=True, kw_only=True)
class Waterfall:
    """Requests as waterfalls, each drawn over its own length, which the renderer says."""

    block: ClassVar[str] = "waterfall"

    name: str
    title: str
    lanes: tuple[Lane, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Gauge:
    """
    One figure of a dashboard.

    Args:
        label: The metric's name.
        value: In SI units; None where there is none.
        kind: What the value is.
        fill: Share of the bar that is filled, 0 to 1; None for no bar.
        tone: GOOD, WARNING or PLAIN.
        unit: Written behind the value, e.g. "/s".
    """

    label: str
    value: Value
    kind: Kind
    fill: float | None
    tone: Tone = Tone.PLAIN
    unit: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """A dashboard at one moment: its gauges and, in a word and a sentence, how things are."""

    title: str
    gauges: tuple[Gauge, ...]
    status: str
    reason: str
    tone: Tone = Tone.PLAIN
    provenance: Provenance = Provenance.MEASURED


@dataclass(frozen=True, slots=True, kw_only=True)
class Gauges:
    """Dashboards side by side, or one below another where there is no room."""

    block: ClassVar[str] = "gauges"

    name: str
    title: str
    panels: tuple[Panel, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """
    A box of a diagram.

    Args:
        id: Name within the diagram.
        title: First line in the box.
        lines: What else stands in it, top to bottom.
        layer: Row of the diagram, 0 at the top; boxes of a row stand side by side in order.
        tone: GOOD, WARNING or PLAIN.
    """

    id: str
    title: str
    lines: tuple[str, ...]
    layer: int
    tone: Tone = Tone.PLAIN


@dataclass(frozen=True, slots=True, kw_only=True)
class Edge:
    """An arrow from a box to one of a lower row."""

    source: str
    target: str
    label: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagram:
    """Boxes in rows with arrows between them; everything in it is text already."""

    block: ClassVar[str] = "diagram"

    name: str
    title: str
    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """One sentence."""

    text: str
    tone: Tone = Tone.PLAIN
    note: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Statements:
    """Sentences, one a line."""

    block: ClassVar[str] = "statements"

    name: str
    statements: tuple[Statement, ...]
    title: str = ""


Block = Table | Bars | Curves | Waterfall | Gauges | Diagram | Statements


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """
    A heading with blocks under it.

    Args:
        name: What kind of section this is; the same for each access pattern's.
        subject: What it is about where there are several of a kind: a scenario's name.
        title: Heading for people.
        blocks: What stands under the heading.
        facts: Raw values that identify the subject, for JSON.
        document: What programs look for first: it stands at the top of the JSON document, under
            the section's name.
    """

    name: str
    title: str
    blocks: tuple[Block, ...]
    subject: str = ""
    facts: Mapping[str, object] = field(default_factory=dict)
    document: Mapping[str, object] = field(default_factory=dict)

    @property
    def tables(self) -> tuple[Table, ...]:
        return tuple(block for block in self.blocks if isinstance(block, Table))


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """
    Everything that a renderer shows.

    Args:
        title: Heading for people; may be empty.
        sections: Top to bottom.
        runs: The saved runs behind the figures, as they were saved.
        heading: What a page calls itself instead of the title; may be empty.
    """

    title: str
    sections: tuple[Section, ...]
    runs: tuple[Mapping[str, object], ...] = ()
    heading: str = ""
