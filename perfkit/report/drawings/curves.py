"""Line charts as text: a grid of characters, with a mark of its own for each curve."""

from collections.abc import Iterator, Sequence
from itertools import pairwise

from perfkit.report.drawings.axes import Axis, axis_of
from perfkit.report.drawings.pieces import Line, Piece, pad, shorten
from perfkit.report.figures import display_width, one_line
from perfkit.report.layout import Marks
from perfkit.report.model import Curve, Curves, Kind, Scale

__all__ = ["draw"]

_HEIGHT = 13
_LONGEST = 72
_SHORTEST = 16
_MARKS = "●+▲○*◆□#▽■"
_VERTICAL = "┊"
_KEY_GAP = 3

_Grid = list[list[tuple[str, int | None]]]


def draw(chart: Curves, marks: Marks, width: int) -> tuple[Line, ...]:
    """Draw a chart with its axes and, below, which mark is which curve."""
    points = [point for curve in chart.curves for point in curve.points]
    x_axis = axis_of(
        chart.x_scale, [*(point.x for point in points), *(each.x for each in chart.lines)]
    )
    y_axis = axis_of(chart.y_scale, [point.y for point in points])
    if x_axis is None or y_axis is None:
        return ()
    labels = _y_labels(y_axis, chart.y_kind)
    beside = max(map(display_width, labels.values()), default=0)
    columns = min(max(width - beside - 3, _SHORTEST), _LONGEST)
    grid = _plotted(chart, x_axis, y_axis, columns)
    return (
        (Piece(_shown(chart.y_title, chart.y_scale)),),
        *(
            (
                Piece(f"{pad(labels.get(number, ''), beside, right=True)} "),
                Piece("┤" if number in labels else "│"),
                *(Piece(text, series=series) for text, series in _runs(row)),
            )
            for number, row in enumerate(grid)
        ),
        *_x_axis(x_axis, chart.x_kind, beside, columns),
        (
            Piece(
                pad(
                    shorten(_shown(chart.x_title, chart.x_scale), width),
                    beside + 2 + columns,
                    right=True,
                )
            ),
        ),
        *_key(chart, marks, width),
    )


def _shown(title: str, scale: Scale) -> str:
    # percentiles say themselves how they are divided
    return f"{one_line(title)}{' (logarithmic scale)' if scale is Scale.LOGARITHMIC else ''}"


def _y_labels(axis: Axis, kind: Kind) -> dict[int, str]:
    """Return labels by row, 0 at the top."""
    return {
        round((1 - place) * (_HEIGHT - 1)): text
        for value, text in axis.ticks(kind)
        if (place := axis.place(value)) is not None
    }


def _plotted(chart: Curves, x_axis: Axis, y_axis: Axis, columns: int) -> _Grid:
    grid: _Grid = [[(" ", None)] * columns for _ in range(_HEIGHT)]
    for line in chart.lines:
        place = x_axis.place(line.x)
        if place is not None and 0 <= place <= 1:
            for row in grid:
                row[round(place * (columns - 1))] = (_VERTICAL, None)
    for number, curve in enumerate(chart.curves):
        places = _places(curve, x_axis, y_axis)
        for column in range(columns):
            height = _height(places, column / max(columns - 1, 1))
            if height is not None:
                grid[round((1 - height) * (_HEIGHT - 1))][column] = (
                    _MARKS[number % len(_MARKS)],
                    number,
                )
    return grid


def _places(curve: Curve, x_axis: Axis, y_axis: Axis) -> list[tuple[float, float]]:
    """Return where a curve's points are on both axes, as far as these can show them."""
    return [
        (x, y)
        for point in curve.points
        if (x := x_axis.place(point.x)) is not None and (y := y_axis.place(point.y)) is not None
    ]


def _height(places: Sequence[tuple[float, float]], at: float) -> float | None:
    """Return where a curve is at a place of the x axis, on straight lines between its places."""
    if len(places) == 1 and abs(places[0][0] - at) < 0.01:
        return places[0][1]
    for (x0, y0), (x1, y1) in pairwise(places):
        if x0 <= at <= x1:
            return y1 if x1 == x0 else y0 + (y1 - y0) * (at - x0) / (x1 - x0)
    return None


def _x_axis(axis: Axis, kind: Kind, beside: int, columns: int) -> Iterator[Line]:
    ruler, labels, end = ["─"] * columns, "", -1
    for value, text in axis.ticks(kind):
        place = axis.place(value)
        if place is None:
            continue
        column = round(place * (columns - 1))
        # centred under its tick, but within the chart
        start = max(min(column - display_width(text) // 2, columns - display_width(text)), 0)
        if start > end:
            ruler[column] = "┬"
            labels = pad(labels, start) + text
            end = start + display_width(text) + 1
    indent = " " * (beside + 1)
    yield (Piece(f"{indent}└{''.join(ruler)}"),)
    yield (Piece(f"{indent} {labels}"),)


def _runs(row: list[tuple[str, int | None]]) -> Iterator[tuple[str, int | None]]:
    """Yield neighbouring cells of one series as one text."""
    text, series = "", None
    for character, number in row:
        if text and number != series:
            yield text, series
            text = ""
        text, series = text + character, number
    yield text, series


def _key(chart: Curves, marks: Marks, width: int) -> Iterator[Line]:
    """Yield which mark is which curve, and what stands at the vertical lines, as fits a line."""
    entries: list[tuple[str, str, int | None]] = [
        (
            _MARKS[number % len(_MARKS)],
            f"{marks.provenance(curve.provenance)}{one_line(curve.label)}",
            number,
        )
        for number, curve in enumerate(chart.curves)
    ]
    entries += [(_VERTICAL, one_line(line.label), None) for line in chart.lines]
    line: list[Piece] = []
    taken = 0
    for mark, label, series in entries:
        text = shorten(label, width - 2)
        needed = 2 + display_width(text)
        if line and taken + _KEY_GAP + needed > width:
            yield tuple(line)
            line, taken = [], 0
        if line:
            line.append(Piece(" " * _KEY_GAP))
            taken += _KEY_GAP
        line += [Piece(mark, series=series), Piece(f" {text}")]
        taken += needed
    yield tuple(line)
