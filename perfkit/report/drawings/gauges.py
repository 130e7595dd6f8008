"""Dashboards as text: a bar, a figure and a mark for each metric, and the status in a word."""

import textwrap
from collections.abc import Iterator
from itertools import zip_longest

from perfkit.report.drawings.pieces import Line, Piece, pad, shorten, width_of
from perfkit.report.figures import display_width, format_value, one_line
from perfkit.report.layout import Marks
from perfkit.report.model import Gauge, Gauges, Panel, Tone

__all__ = ["draw"]

_BAR = 20
_FILLED, _EMPTY = "█", "░"
_GAP = 4
_MARKS = {Tone.GOOD: "✓", Tone.WARNING: "!"}


def draw(dashboards: Gauges, marks: Marks, width: int) -> tuple[Line, ...]:
    """Draw the panels, two side by side where there is room for that."""
    figures = [_figure(gauge) for panel in dashboards.panels for gauge in panel.gauges]
    labels = [one_line(gauge.label) for panel in dashboards.panels for gauge in panel.gauges]
    if not labels:
        return ()
    beside = _BAR + 1 + max(map(display_width, figures)) + 2
    label_width = min(max(map(display_width, labels)), max(width - beside - 2, 8))
    panel_width = label_width + 2 + beside
    side_by_side = 2 * panel_width + _GAP <= width
    drawn = [
        tuple(_panel(panel, marks, label_width, panel_width if side_by_side else width))
        for panel in dashboards.panels
    ]
    if not side_by_side:
        return tuple(_below(drawn))
    pairs = [
        tuple(_beside(left, right, panel_width + _GAP))
        for left, right in zip_longest(drawn[::2], drawn[1::2], fillvalue=())
    ]
    return tuple(_below(pairs))


def _panel(panel: Panel, marks: Marks, label_width: int, width: int) -> Iterator[Line]:
    title = f"{marks.provenance(panel.provenance)}{one_line(panel.title)}"
    for line in textwrap.wrap(title, width) or [""]:
        yield (Piece(line, strong=True),)
    for gauge in panel.gauges:
        yield (
            Piece(f"{pad(shorten(one_line(gauge.label), label_width), label_width)}  "),
            Piece(_bar(gauge.fill), gauge.tone),
            Piece(f" {_figure(gauge)}"),
            Piece(f" {_MARKS.get(gauge.tone, '')}", gauge.tone),
        )
    status = f"Status: {one_line(panel.status)}"
    if panel.status:
        yield (Piece(status, panel.tone, strong=True),)
    for line in textwrap.wrap(one_line(panel.reason), width - 2):
        yield (Piece(f"  {line}"),)


def _bar(fill: float | None) -> str:
    if fill is None:
        return " " * _BAR
    cells = round(min(max(fill, 0.0), 1.0) * _BAR)
    return _FILLED * cells + _EMPTY * (_BAR - cells)


def _figure(gauge: Gauge) -> str:
    if isinstance(gauge.value, str):
        return one_line(gauge.value)
    unit = one_line(gauge.unit) if gauge.value is not None else ""
    return f"{format_value(gauge.value, gauge.kind)}{unit}"


def _below(drawings: list[tuple[Line, ...]]) -> Iterator[Line]:
    for number, lines in enumerate(drawings):
        if number:
            yield ()
        yield from lines


def _beside(left: tuple[Line, ...], right: tuple[Line, ...], width: int) -> Iterator[Line]:
    for one, other in zip_longest(left, right, fillvalue=()):
        yield (*one, Piece(" " * (width - width_of(one))), *other) if other else one
