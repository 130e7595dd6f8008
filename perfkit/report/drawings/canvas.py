"""A sheet of terminal cells that text is put on, anywhere and in any order."""

from itertools import groupby

from perfkit.report.drawings.pieces import Line, Piece
from perfkit.report.figures import display_width
from perfkit.report.model import Tone

__all__ = ["Canvas"]

_BLANK = (" ", Tone.PLAIN)


class Canvas:
    """Cells by column and row; it grows where something is put, to the right and down."""

    def __init__(self) -> None:
        self._rows: list[list[tuple[str, Tone]]] = []

    def put(self, x: int, y: int, text: str, tone: Tone = Tone.PLAIN) -> None:
        """Put *text* into row *y* from column *x* on, over what is there."""
        self._rows += [[] for _ in range(y + 1 - len(self._rows))]
        row = self._rows[y]
        row += [_BLANK] * (x + display_width(text) - len(row))
        for character in text:
            cells = display_width(character)
            if cells == 0:
                # an accent belongs to the letter before it
                row[x - 1] = (row[x - 1][0] + character, tone)
                continue
            row[x] = (character, tone)
            row[x + 1 : x + cells] = [("", tone)] * (cells - 1)
            x += cells

    def lines(self) -> tuple[Line, ...]:
        """Return the rows, top to bottom, neighbouring cells of one tone together."""
        return tuple(
            tuple(
                Piece("".join(text for text, _ in cells), tone)
                for tone, cells in groupby(row, key=lambda cell: cell[1])
            )
            for row in self._rows
        )
