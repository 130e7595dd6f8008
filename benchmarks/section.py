"""What a comparison has to say: tables, aims and whether they are met; written as Markdown."""

from collections.abc import Sequence
from dataclasses import dataclass

from tabulate import tabulate

from perfkit.units import TIMES

__all__ = ["Aim", "Section", "Table"]


@dataclass(frozen=True, slots=True)
class Aim:
    """
    One aim and what became of it; `at_least` and `at_most` make them.

    Args:
        text: What is aimed at.
        found: What was measured, as text.
        missed_by: Share of the limit by which it was missed, 0 if met; None if not measured.
    """

    text: str
    found: str
    missed_by: float | None

    @classmethod
    def at_least(cls, what: str, found: float, limit: float, unit: str = TIMES) -> "Aim":
        """Return an aim that is met by a large figure."""
        return cls(
            f"{what}: at least {limit:g}{unit}",
            f"{_figure(found)}{unit}",
            max(0.0, (limit - found) / limit),
        )

    @classmethod
    def at_most(cls, what: str, found: float, limit: float, unit: str = TIMES) -> "Aim":
        """Return an aim that is met by a small figure."""
        return cls(
            f"{what}: at most {limit:g}{unit}",
            f"{_figure(found)}{unit}",
            max(0.0, (found - limit) / (limit or 1.0)),
        )

    @classmethod
    def unknown(cls, what: str, why: str) -> "Aim":
        """Return an aim that could not be measured here."""
        return cls(what, why, None)

    def unjudged(self) -> "Aim":
        """Return it with what was found and no verdict, for sizes that it is not meant for."""
        return Aim(self.text, f"{self.found} in a quick run", None)

    @property
    def met(self) -> bool | None:
        """Whether it is met; None if it could not be measured."""
        return None if self.missed_by is None else self.missed_by == 0

    def to_markdown(self) -> str:
        """Return one line of a list."""
        if self.missed_by is None:
            verdict = "no verdict"
        elif self.met:
            verdict = "met"
        else:
            verdict = f"missed by {self.missed_by:.1%}"
        return f"- **{verdict}**: {self.text}; found {self.found}"


@dataclass(frozen=True, slots=True)
class Table:
    """Rows under headings; the first column is text, the others figures as text."""

    headers: Sequence[str]
    rows: Sequence[Sequence[str]]

    def to_markdown(self) -> str:
        """Return a table as GitHub shows it."""
        align = ("left", *["right"] * (len(self.headers) - 1))
        return tabulate(
            self.rows, self.headers, tablefmt="github", colalign=align, disable_numparse=True
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """
    One comparison.

    Args:
        method: How it was measured, one sentence a line.
        notes: What a reader should know about the figures.
        hides_cpu: Whether what it starts is not counted as its own, as a browser's processes are:
            then nobody can say what other programs used.
    """

    title: str
    method: str
    tables: Sequence[Table]
    aims: Sequence[Aim]
    notes: Sequence[str] = ()
    hides_cpu: bool = False

    def to_markdown(self) -> str:
        """Return the section under its heading."""
        parts = [
            f"## {self.title}",
            self.method,
            *(table.to_markdown() for table in self.tables),
            "\n".join(aim.to_markdown() for aim in self.aims),
            *self.notes,
        ]
        return "\n\n".join(parts) + "\n"


def _figure(value: float) -> str:
    return f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"
