"""Waterfalls as text: what a request went through, each stage where it lies in the whole."""

from collections.abc import Iterator

from perfkit.report.drawings.pieces import Line, Piece, pad, shorten
from perfkit.report.figures import display_width, format_value, one_line
from perfkit.report.layout import Marks
from perfkit.report.model import Kind, Lane, Waterfall

__all__ = ["draw"]

_LONGEST, _SHORTEST = 60, 10
_FILLED, _EMPTY = "█", "░"


def draw(waterfall: Waterfall, marks: Marks, width: int) -> tuple[Line, ...]:
    """Draw the requests one below another, each over its own length."""
    spans = [span for lane in waterfall.lanes for span in lane.spans]
    if not spans:
        return ()
    labels = min(max(display_width(one_line(span.label)) for span in spans), max(width // 3, 8))
    figures = max(display_width(_seconds(span.duration_s)) for span in spans)
    room = min(max(width - labels - figures - 6, _SHORTEST), _LONGEST)
    lines: list[Line] = []
    for number, lane in enumerate(waterfall.lanes):
        if number:
            lines.append(())
        lines += _lane(lane, marks, labels, figures, room)
    return tuple(lines)


def _lane(lane: Lane, marks: Marks, labels: int, figures: int, room: int) -> Iterator[Line]:
    end_s = max((span.start_s + span.duration_s for span in lane.spans), default=0.0)
    title = f"{marks.provenance(lane.provenance)}{one_line(lane.title)}"
    yield (Piece(title, strong=True), Piece(f"  {_seconds(end_s)}"))
    for number, span in enumerate(lane.spans):
        first, last = _cells(span.start_s, span.duration_s, end_s, room)
        yield (
            Piece(f"  {pad(shorten(one_line(span.label), labels), labels)}  "),
            Piece(_EMPTY * first),
            Piece(_FILLED * (last - first), series=number),
            Piece(_EMPTY * (room - last)),
            Piece(f"  {pad(_seconds(span.duration_s), figures, right=True)}"),
        )


def _cells(start_s: float, duration_s: float, end_s: float, room: int) -> tuple[int, int]:
    """Return the first cell of a stage and the one after its last; every stage has one at least."""
    if end_s <= 0:
        return 0, 0
    first = min(int(start_s / end_s * room), room - 1)
    return first, min(max(first + 1, round((start_s + duration_s) / end_s * room)), room)


def _seconds(value_s: float) -> str:
    return format_value(value_s, Kind.SECONDS)
