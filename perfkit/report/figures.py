"""Values written for people: numbers with units, and text that cannot disturb what is around it."""

import math
import unicodedata

from perfkit import units
from perfkit.analysis.verdict import Ruling, Verdict
from perfkit.report.model import Cell, Kind, Tone, plain

__all__ = [
    "ABSENT",
    "display_width",
    "format_cell",
    "format_value",
    "one_line",
    "rounded_share",
    "tone_of",
]

ABSENT = "–"  # noqa: RUF001  # an en dash, as tables print a figure that does not exist


_LONGEST = 4_000


def tone_of(verdict: Verdict) -> Tone:
    """Return how a verdict is meant: what is invalid deserves a look as what fails."""
    return Tone.GOOD if verdict.ruling is Ruling.PASS else Tone.WARNING


def rounded_share(share: float | None) -> float | None:
    """Return a share to the tenth of a percent, or finer where that would read 0% or 100%."""
    if share is None:
        return None
    for places in (3, 4, 5, 6):
        rounded = round(share, places)
        if rounded not in {0.0, 1.0} or rounded == share:
            return rounded
    return share


def format_cell(cell: Cell, kind: Kind) -> str:
    """Write a table's value as people read it, without its footnote."""
    value = plain(cell)
    if isinstance(value, str):
        return one_line(value)
    return format_value(value, kind)


def format_value(value: float | None, kind: Kind) -> str:
    """
    Write a number in SI units as people read it.

    Args:
        value: Seconds, bytes, units or a plain number; a fraction for a share.
        kind: What the number is.

    Returns:
        `1,250`, `6.5`, `30.1 ms`, `99.5%`; a dash when there is no number.
    """
    if value is None or not math.isfinite(value):
        return ABSENT
    match kind:
        case Kind.SECONDS:
            return units.format_seconds(value)
        case Kind.BYTES:
            return units.format_bytes(round(value))
        case Kind.USD:
            return units.format_usd(value)
        case Kind.RATIO:
            # A document's 96 is not 96.0.
            return (
                f"{value:,.0f}{units.TIMES}" if value == round(value) else units.format_ratio(value)
            )
        case Kind.SHARE:
            return units.format_share(value)
        case _:
            return units.format_units(value)


def one_line(text: str) -> str:
    """Write text so that it stays on its line and can be read: beyond 4,000 characters it is cut."""
    if len(text) > _LONGEST:
        more = len(text) - _LONGEST
        text = f"{text[:_LONGEST]}… ({units.format_count(more)} more characters)"
    return units.one_line(text)


def display_width(text: str) -> int:
    """Return how many terminal cells *text* takes: two for a wide character, none for an accent."""
    if text.isascii():
        return len(text)
    return sum(map(_cells, text))


def _cells(character: str) -> int:
    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in {"W", "F"} else 1
