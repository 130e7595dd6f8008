"""Bar charts as text, each bar on its own or stacked, with a key."""

from collections.abc import Iterator

from perfkit.report.bars import draw as draw_bars
from perfkit.report.drawings.pieces import Line, Piece, pad, shorten
from perfkit.report.figures import display_width, format_value, one_line
from perfkit.report.model import Bars

__all__ = ["draw"]

_FILLS = "█▒▓░▚■▞□"
_LONGEST, _SHORTEST = 60, 8


def draw(chart: Bars, width: int) -> tuple[Line, ...]:
    """Draw a chart within *width* cells; parts of a stack are in order, with a key below."""
    if chart.stacked:
        return tuple(_stacked(chart, width))
    return tuple(
        (
            Piece(f"{line.label}  "),
            Piece(f"{line.series}  "),
            Piece(line.bar, series=line.series_number),
            Piece(f" {line.figure}"),
        )
        for line in draw_bars(chart, width)
    )


def _stacked(chart: Bars, width: int) -> Iterator[Line]:
    labels = list(dict.fromkeys(bar.label for bar in chart.bars))
    series = list(dict.fromkeys(bar.series for bar in chart.bars))
    names = {label: shorten(one_line(label), width // 3) for label in labels}
    totals = {
        label: sum(max(bar.value, 0.0) for bar in chart.bars if bar.label == label)
        for label in labels
    }
    figures = {label: format_value(total, chart.kind) for label, total in totals.items()}
    beside = max(map(display_width, names.values()), default=0)
    room = width - beside - 3 - max(map(display_width, figures.values()), default=0)
    room = min(max(room, _SHORTEST), _LONGEST)
    longest = max(totals.values(), default=0.0)
    for label in labels:
        yield (
            Piece(f"{pad(names[label], beside)}  "),
            *_parts(chart, label, series, room / longest if longest else 0.0),
            Piece(f" {figures[label]}"),
        )
    yield from _key(series, width)


def _parts(chart: Bars, label: str, series: list[str], cells_each: float) -> Iterator[Piece]:
    """Yield the parts of one bar; their ends are rounded, so that they add up to the whole."""
    sum_so_far, drawn = 0.0, 0
    for bar in chart.bars:
        if bar.label != label or bar.value <= 0:
            continue
        sum_so_far += bar.value
        end = round(sum_so_far * cells_each)
        number = series.index(bar.series)
        yield Piece(_FILLS[number % len(_FILLS)] * (end - drawn), series=number)
        drawn = end


def _key(series: list[str], width: int) -> Iterator[Line]:
    line: list[Piece] = []
    taken = 0
    for number, name in enumerate(series):
        text = f" {shorten(one_line(name), width - 6)}"
        if line and taken + 4 + display_width(text) > width:
            yield tuple(line)
            line, taken = [], 0
        line += [
            Piece("   " if line else "  "),
            Piece(_FILLS[number % len(_FILLS)], series=number),
            Piece(text),
        ]
        taken += 4 + display_width(text)
    if line:
        yield tuple(line)
