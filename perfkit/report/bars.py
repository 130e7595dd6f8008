"""Bars as text: lengths on a linear or logarithmic scale, drawn in eighths of a cell."""

import math
from dataclasses import dataclass

from perfkit.report.figures import display_width, format_value, one_line
from perfkit.report.model import Bars

__all__ = ["BarLine", "draw", "scale_title"]

_EIGHTHS = " ▏▎▍▌▋▊▉"
_SHORTEST = 8
_LONGEST = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class BarLine:
    """One drawn bar; the label is empty where it repeats the line above."""

    label: str
    series: str
    bar: str
    figure: str
    series_number: int


def draw(chart: Bars, width: int) -> tuple[BarLine, ...]:
    """
    Draw each bar within *width* cells, with label, series and figure beside it.

    Args:
        chart: What to draw; values at or below zero have no bar.
        width: Terminal cells for a whole line.

    Returns:
        One line for each bar, its texts padded so that they stand under one another.
    """
    # The whole of a long name is in the table that the chart belongs to.
    labels = [_shortened(one_line(bar.label), width // 3) for bar in chart.bars]
    names = [_shortened(one_line(bar.series), width // 4) for bar in chart.bars]
    figures = [format_value(bar.value, chart.kind) for bar in chart.bars]
    series = list(dict.fromkeys(names))
    beside = (
        sum(max(map(display_width, texts), default=0) for texts in (labels, names, figures)) + 5
    )
    room = min(max(width - beside, _SHORTEST), _LONGEST)
    low, high = _ends(chart)
    return tuple(
        BarLine(
            label=_pad("" if index and labels[index - 1] == label else label, labels),
            series=_pad(name, names),
            bar=_bar(_fraction(bar.value, low, high, logarithmic=chart.logarithmic) * room),
            figure=figure,
            series_number=series.index(name),
        )
        for index, (bar, label, name, figure) in enumerate(
            zip(chart.bars, labels, names, figures, strict=True)
        )
    )


def scale_title(chart: Bars) -> str:
    """Return the chart's title, saying where a logarithmic scale begins and ends."""
    if not chart.logarithmic:
        return one_line(chart.title)
    low, high = (format_value(end, chart.kind) for end in _ends(chart))
    return f"{one_line(chart.title)} (logarithmic scale, {low} to {high})"


def _ends(chart: Bars) -> tuple[float, float]:
    """Return the values at the two ends of the scale: whole powers of ten on a logarithmic one."""
    values = [bar.value for bar in chart.bars if bar.value > 0] or [1.0]
    if not chart.logarithmic:
        return 0.0, max(values)
    # One step below the smallest, which would otherwise have no length at all.
    return 10.0 ** (math.ceil(math.log10(min(values))) - 1), 10.0 ** math.ceil(
        math.log10(max(values))
    )


def _fraction(value: float, low: float, high: float, *, logarithmic: bool) -> float:
    if value <= 0:
        return 0.0
    if logarithmic:
        return math.log(value / low) / math.log(high / low)
    return value / high


def _bar(cells: float) -> str:
    eighths = max(1, round(cells * 8)) if cells > 0 else 0
    return "█" * (eighths // 8) + _EIGHTHS[eighths % 8].strip()


def _shortened(text: str, width: int) -> str:
    while display_width(text) > width:
        text = f"{text[:-2]}…"
    return text


def _pad(text: str, texts: list[str]) -> str:
    return text + " " * (max(map(display_width, texts)) - display_width(text))
