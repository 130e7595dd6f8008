"""What text drawings are made of: pieces of text that say how they are meant, not how they look."""

from dataclasses import dataclass

from perfkit.report.figures import display_width
from perfkit.report.model import Tone

__all__ = ["Line", "Piece", "join", "pad", "shorten", "width_of"]


@dataclass(frozen=True, slots=True)
class Piece:
    """
    Some text of one line.

    Args:
        text: Without line feeds.
        tone: How it is meant.
        series: Number of the series it belongs to, for renderers with colours.
        strong: It is a heading within the drawing.
    """

    text: str
    tone: Tone = Tone.PLAIN
    series: int | None = None
    strong: bool = False


Line = tuple[Piece, ...]
"""One line of a drawing, left to right."""


def join(line: Line) -> str:
    """Return a line as text, without blanks at its end."""
    return "".join(piece.text for piece in line).rstrip()


def width_of(line: Line) -> int:
    """Return how many terminal cells a line takes."""
    return sum(display_width(piece.text) for piece in line)


def pad(text: str, width: int, *, right: bool = False) -> str:
    """Return *text* filled with blanks to *width* terminal cells."""
    blanks = " " * (width - display_width(text))
    return blanks + text if right else text + blanks


def shorten(text: str, width: int) -> str:
    """Return *text*, cut with an ellipsis where it would take more than *width* terminal cells."""
    if display_width(text) <= width:
        return text
    while text and display_width(text) > width - 1:
        text = text[:-1]
    return f"{text}…"
