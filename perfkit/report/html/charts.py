"""Charts of a page: what the script draws, the same in words, and the same as a table."""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from perfkit.report.bars import scale_title
from perfkit.report.figures import ABSENT, format_value, one_line
from perfkit.report.html.colours import Colours
from perfkit.report.html.scales import Axis, axis_of
from perfkit.report.html.tables import TableView, simple_table
from perfkit.report.layout import Marks
from perfkit.report.model import (
    Bar,
    Bars,
    Curve,
    Curves,
    Kind,
    Lane,
    Provenance,
    Scale,
    VerticalLine,
    Waterfall,
)

__all__ = ["ChartView", "LegendEntry", "view_chart"]

_MOST_ROWS = 20
_NUMBER = re.compile(r"[0-9][0-9,]*(?:\.[0-9]+)?")
_LINE_TYPES = ("solid", "dashed", "dotted")


@dataclass(frozen=True, slots=True, kw_only=True)
class LegendEntry:
    """A series beside its colour."""

    name: str
    colour: str
    line: str = "bar"


@dataclass(frozen=True, slots=True, kw_only=True)
class ChartView:
    """
    A chart.

    Args:
        title: Heading for people, with what they must know of the scale.
        words: What can be seen, for those who cannot.
        legend: Series and their colours; empty where the chart says it itself.
        drawings: What the script draws.
        captions: What stands over each drawing; empty where the title says enough.
        table: The chart's values.
        remark: What stands under the table.
    """

    title: str
    words: str
    legend: tuple[LegendEntry, ...]
    drawings: tuple[Mapping[str, object], ...]
    table: TableView
    captions: tuple[str, ...] = ()
    remark: str = ""


def view_chart(
    block: Bars | Curves | Waterfall, colours: Colours, marks: Marks
) -> ChartView | None:
    """Prepare a chart; None if it has nothing to show."""
    match block:
        case Bars():
            return _bars(block, colours) if block.bars else None
        case Curves():
            return _curves(block, colours, marks) if any(c.points for c in block.curves) else None
        case Waterfall():
            return _waterfall(block, colours, marks) if block.lanes else None


def _bars(chart: Bars, colours: Colours) -> ChartView:
    labels = tuple(dict.fromkeys(bar.label for bar in chart.bars))
    groups = [[bar for bar in chart.bars if bar.label == label] for label in labels]
    logarithmic = chart.logarithmic and not chart.stacked
    ends = (
        [sum(max(bar.value, 0.0) for bar in group) for group in groups]
        if chart.stacked
        else [bar.value for bar in chart.bars]
    )
    axis = axis_of(
        ends, chart.kind, Scale.LOGARITHMIC if logarithmic else Scale.LINEAR, from_zero=True
    )
    series = _stacked(chart, groups) if chart.stacked else _grouped(groups)
    several = len(dict.fromkeys(bar.series for bar in chart.bars)) > 1
    drawing: dict[str, object] = {
        "draw": "bars",
        "stacked": chart.stacked,
        "labels": [one_line(label) for label in labels],
        "axis": _axis(axis),
        "series": [
            [None if bar is None else _bar(bar, chart.kind, axis, colours) for bar in bars]
            for bars in series
        ],
        "totals": [format_value(end, chart.kind) for end in ends] if chart.stacked else None,
    }
    return ChartView(
        title=scale_title(chart),
        words=_bars_in_words(chart, labels),
        legend=_legend(tuple(bar.series for bar in chart.bars), colours) if several else (),
        drawings=(drawing,),
        table=simple_table(
            _figures_of(chart.title),
            ("bar", "series", "value"),
            tuple(
                (one_line(bar.label), one_line(bar.series), format_value(bar.value, chart.kind))
                for bar in chart.bars
            ),
            labels=2,
        ),
    )


def _grouped(groups: Sequence[Sequence[Bar]]) -> list[list[Bar | None]]:
    """Return the first bar of each group, then the second: no room is left for absent ones."""
    longest = max(map(len, groups))
    return [
        [group[place] if place < len(group) else None for group in groups]
        for place in range(longest)
    ]


def _stacked(chart: Bars, groups: Sequence[Sequence[Bar]]) -> list[list[Bar | None]]:
    names = dict.fromkeys(bar.series for bar in chart.bars)
    return [
        [next((bar for bar in group if bar.series == name), None) for group in groups]
        for name in names
    ]


def _bar(bar: Bar, kind: Kind, axis: Axis, colours: Colours) -> dict[str, object]:
    return {
        "place": axis.place(bar.value),
        "text": format_value(bar.value, kind),
        "series": one_line(bar.series),
        "colour": colours[bar.series],
    }


def _bars_in_words(chart: Bars, labels: Sequence[str]) -> str:
    most, least = (pick(chart.bars, key=lambda bar: bar.value) for pick in (max, min))

    def named(bar: Bar) -> str:
        return f"{one_line(bar.label)} {one_line(bar.series)} {format_value(bar.value, chart.kind)}"

    kind = "Stacked bar chart" if chart.stacked else "Bar chart"
    words = f"{kind}: {scale_title(chart)}. {len(chart.bars)} bars in {len(labels)} groups."
    if len(chart.bars) > 1:
        words += f" The longest is {named(most)}, the shortest {named(least)}."
    return words


def _curves(chart: Curves, colours: Colours, marks: Marks) -> ChartView:
    points = [point for curve in chart.curves for point in curve.points]
    across = axis_of(
        [*(point.x for point in points), *(line.x for line in chart.lines)],
        chart.x_kind,
        chart.x_scale,
    )
    if chart.wide:
        across = across.ending_at(max((point.x for point in points), default=across.high))
    up = axis_of([point.y for point in points], chart.y_kind, chart.y_scale)
    drawing: dict[str, object] = {
        "draw": "curves",
        "wide": chart.wide,
        "x": _axis(across) | {"title": one_line(chart.x_title)},
        "y": _axis(up) | {"title": one_line(chart.y_title)},
        "curves": [
            _curve(chart, curve, number, across, up, colours)
            for number, curve in enumerate(chart.curves)
        ],
        "lines": [
            {"place": across.place(line.x), "text": one_line(line.label)}
            for line in sorted(chart.lines, key=lambda line: line.x)
            if across.place(line.x) is not None
        ],
    }
    table, remark = _curve_table(chart, marks)
    return ChartView(
        title=_scaled(chart),
        words=_curves_in_words(chart),
        legend=tuple(
            LegendEntry(
                name=_marked(curve.label, curve.provenance, marks),
                colour=colours[curve.label],
                line=_LINE_TYPES[number % len(_LINE_TYPES)],
            )
            for number, curve in enumerate(chart.curves)
        ),
        drawings=(drawing,),
        table=table,
        remark=remark,
    )


def _curve(
    chart: Curves, curve: Curve, number: int, across: Axis, up: Axis, colours: Colours
) -> dict[str, object]:
    return {
        "name": one_line(curve.label),
        "colour": colours[curve.label],
        "line": _LINE_TYPES[number % len(_LINE_TYPES)],
        "points": [
            [
                across.place(point.x),
                up.place(point.y),
                _along(point.x, chart.x_kind),
                format_value(point.y, chart.y_kind),
            ]
            for point in curve.points
            if across.place(point.x) is not None and up.place(point.y) is not None
        ],
    }


def _along(value: float, kind: Kind) -> str:
    """Write a place on the x axis, to four digits: it was chosen for the drawing, or worked out."""
    if kind is Kind.COUNT and math.isfinite(value) and value != round(value):
        value = float(f"{value:.4g}")
    return format_value(value, kind)


def _named_place(line: VerticalLine, kind: Kind) -> str:
    """Return the name of a place on the x axis, with its value unless the name says it already."""
    label = one_line(line.label)
    numbers = [float(each.replace(",", "")) for each in _NUMBER.findall(label)]
    if any(math.isclose(each, line.x, rel_tol=0.005) for each in numbers):
        return label
    return f"{label}: {_along(line.x, kind)}"


def _scaled(chart: Curves) -> str:
    scales = {
        axis: scale
        for axis, scale in (("across", chart.x_scale), ("up", chart.y_scale))
        if scale is Scale.LOGARITHMIC
    }
    title = one_line(chart.title)
    return f"{title} (logarithmic scale {' and '.join(scales)})" if scales else title


def _curves_in_words(chart: Curves) -> str:
    words = f"Line chart: {_scaled(chart)}. {one_line(chart.y_title)} against {one_line(chart.x_title)}."
    for curve in chart.curves[:6]:
        if curve.points:
            first, last = curve.points[0], curve.points[-1]
            words += (
                f" {one_line(curve.label)}: from {format_value(first.y, chart.y_kind)} at"
                f" {_along(first.x, chart.x_kind)} to {format_value(last.y, chart.y_kind)} at"
                f" {_along(last.x, chart.x_kind)}."
            )
    for line in chart.lines[:6]:
        words += f" {_named_place(line, chart.x_kind)}."
    return words


def _curve_table(chart: Curves, marks: Marks) -> tuple[TableView, str]:
    """Return the values of all curves, a row for each x; of many only some."""
    known = {
        number: {point.x: point.y for point in curve.points}
        for number, curve in enumerate(chart.curves)
    }
    places = sorted({x for values in known.values() for x in values})
    every = math.ceil(len(places) / _MOST_ROWS)
    # The ends of an axis are what one looks for first.
    chosen = sorted({*places[::every], places[-1]})
    titles = (
        one_line(chart.x_title),
        *(_marked(curve.label, curve.provenance, marks) for curve in chart.curves),
    )
    rows = tuple(
        (
            _along(x, chart.x_kind),
            *(
                format_value(known[number][x], chart.y_kind) if x in known[number] else ABSENT
                for number in known
            ),
        )
        for x in chosen
    )
    rows += tuple((_named_place(line, chart.x_kind), *[""] * len(known)) for line in chart.lines)
    remark = f"{len(chosen)} of {len(places)} points; the JSON report has all." if every > 1 else ""
    return simple_table(_figures_of(chart.title), titles, rows, labels=1), remark


def _waterfall(chart: Waterfall, colours: Colours, marks: Marks) -> ChartView:
    words = f"Waterfall: {one_line(chart.title)}. Each request is drawn over its own length."
    for lane in chart.lanes[:6]:
        words += f" {one_line(lane.title)}: {format_value(_length_s(lane), Kind.SECONDS)}."
    return ChartView(
        title=_own_length(chart),
        words=words,
        legend=(),
        drawings=tuple(_lane(lane, colours) for lane in chart.lanes),
        captions=tuple(
            f"{_marked(lane.title, lane.provenance, marks)}:"
            f" {format_value(_length_s(lane), Kind.SECONDS)}"
            for lane in chart.lanes
        ),
        table=simple_table(
            _figures_of(chart.title),
            ("request", "stage", "from", "takes"),
            tuple(
                (
                    _marked(lane.title, lane.provenance, marks),
                    one_line(span.label),
                    format_value(span.start_s, Kind.SECONDS),
                    format_value(span.duration_s, Kind.SECONDS),
                )
                for lane in chart.lanes
                for span in lane.spans
            ),
            labels=2,
        ),
    )


def _own_length(chart: Waterfall) -> str:
    title = one_line(chart.title)
    says_so = "own length" in title or len(chart.lanes) == 1
    return title if says_so else f"{title} (each drawn over its own length)"


def _lane(lane: Lane, colours: Colours) -> dict[str, object]:
    length_s = _length_s(lane)
    axis = axis_of([length_s], Kind.SECONDS, Scale.LINEAR, from_zero=True)
    return {
        "draw": "waterfall",
        # "phase-0, quoted" has the colour of phase-0.
        "colour": colours.get(lane.title) or colours.get(lane.title.split(",")[0], "c1"),
        "axis": _axis(axis) | {"high": length_s or 1.0},
        "spans": [
            {
                "label": one_line(span.label),
                "start": span.start_s,
                "duration": span.duration_s,
                "text": format_value(span.duration_s, Kind.SECONDS),
            }
            for span in lane.spans
        ],
    }


def _length_s(lane: Lane) -> float:
    return max((span.start_s + span.duration_s for span in lane.spans), default=0.0)


def _axis(axis: Axis) -> dict[str, object]:
    return {
        "low": axis.low,
        "high": axis.high,
        "ticks": [{"place": tick.place, "text": tick.text} for tick in axis.ticks],
    }


def _legend(names: Sequence[str], colours: Colours) -> tuple[LegendEntry, ...]:
    """Return the series; those of one colour together, as the two sides of a pair are."""
    together: dict[str, list[str]] = {}
    for name in dict.fromkeys(names):
        together.setdefault(colours[name], []).append(one_line(name))
    return tuple(
        LegendEntry(name=", ".join(members), colour=colour) for colour, members in together.items()
    )


def _marked(label: str, provenance: Provenance, marks: Marks) -> str:
    return f"{marks.provenance(provenance)}{one_line(label)}"


def _figures_of(title: str) -> str:
    return f"The figures of: {one_line(title)}"
