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
    "Kind",
    "Marked",
    "Provenance",
    "Report",
    "Row",
    "Section",
    "Statement",
    "Statements",
    "Table",
    "Tone",
    "Value",
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
    """

    block: ClassVar[str] = "table"

    name: str
    title: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    notes: tuple[str, ...] = ()
    main: bool = False


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
    """

    block: ClassVar[str] = "bars"

    name: str
    title: str
    kind: Kind
    bars: tuple[Bar, ...]
    logarithmic: bool = False


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


Block = Table | Bars | Statements


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
    """

    name: str
    title: str
    blocks: tuple[Block, ...]
    subject: str = ""
    facts: Mapping[str, object] = field(default_factory=dict)

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
    """

    title: str
    sections: tuple[Section, ...]
    runs: tuple[Mapping[str, object], ...] = ()
