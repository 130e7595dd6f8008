"""
Charts, dashboards and diagrams as lines of text, for a terminal, a pipe, and code in Markdown.

A drawing says how its parts are meant, and each renderer gives that colours or leaves it.
"""

from perfkit.report.bars import scale_title
from perfkit.report.drawings import bar_charts, curves, diagrams, gauges, waterfalls
from perfkit.report.drawings.pieces import Line, Piece, join
from perfkit.report.figures import one_line
from perfkit.report.layout import Marks
from perfkit.report.model import Bars, Curves, Diagram, Gauges, Waterfall

__all__ = ["Drawn", "Line", "Piece", "draw", "join", "title_of"]

Drawn = Bars | Curves | Diagram | Gauges | Waterfall
"""Blocks that are drawn."""


def title_of(block: Drawn) -> str:
    """Return the heading of a drawing, with a note on its scale where it needs one."""
    return scale_title(block) if isinstance(block, Bars) else one_line(block.title)


def draw(block: Drawn, marks: Marks, width: int) -> tuple[Line, ...]:
    """
    Draw a block without its title.

    Args:
        block: What to draw.
        marks: Notes which marks are used.
        width: Terminal cells for a whole line.

    Returns:
        Lines from top to bottom; none where there is nothing to draw.
    """
    match block:
        case Bars():
            return bar_charts.draw(block, width)
        case Curves():
            return curves.draw(block, marks, width)
        case Diagram():
            return diagrams.draw(block, width)
        case Gauges():
            return gauges.draw(block, marks, width)
        case Waterfall():
            return waterfalls.draw(block, marks, width)
