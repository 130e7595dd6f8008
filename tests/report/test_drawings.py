"""Charts, dashboards and diagrams as text: what a reader without HTML sees."""
# ruff: noqa: RUF001 - the signs that reports print

import io
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from inline_snapshot import snapshot
from rich.console import Console

from perfkit.report import markdown, plain, terminal
from perfkit.report.drawings import Drawn, Line, draw, join
from perfkit.report.drawings.axes import axis_of
from perfkit.report.drawings.pieces import width_of
from perfkit.report.layout import Marks
from perfkit.report.model import (
    Bar,
    Bars,
    Column,
    Curve,
    Curves,
    Diagram,
    Edge,
    Gauge,
    Gauges,
    Kind,
    Lane,
    Node,
    Panel,
    Point,
    Provenance,
    Report,
    Scale,
    Section,
    Span,
    Table,
    Tone,
    VerticalLine,
    Waterfall,
)

PANEL = Panel(
    title="Before, as quoted",
    gauges=(
        Gauge(
            label="TargetResponseTime (avg)",
            value=5.3,
            kind=Kind.SECONDS,
            fill=1.0,
            tone=Tone.WARNING,
        ),
        Gauge(label="RequestCount", value=20, kind=Kind.COUNT, fill=0.16, unit="/s"),
        Gauge(label="HTTPCode_Target_5XX", value=0.0, kind=Kind.SHARE, fill=0.0, tone=Tone.GOOD),
        Gauge(label="Cache Hit Rate", value=None, kind=Kind.SHARE, fill=None),
    ),
    status="CRITICAL",
    reason="the average response takes longer than a second, which is more than anybody waits",
    tone=Tone.WARNING,
    provenance=Provenance.QUOTED,
)
GAUGES = Gauges(name="dashboard", title="Dashboard", panels=(PANEL, PANEL))

WATERFALL = Waterfall(
    name="flow",
    title="Request flow",
    lanes=(
        Lane(
            title="phase-0",
            spans=(
                Span(label="auth", start_s=0.0, duration_s=0.01),
                Span(label="db", start_s=0.01, duration_s=1.59),
                Span(label="notify", start_s=1.6, duration_s=0.4),
            ),
        ),
        Lane(
            title="phase-3",
            provenance=Provenance.QUOTED,
            spans=(Span(label="cache", start_s=0.0, duration_s=0.002),),
        ),
    ),
)

STACKED = Bars(
    name="cost",
    title="Cost a month",
    kind=Kind.USD,
    stacked=True,
    bars=(
        Bar(label="before", series="EC2", value=22.5),
        Bar(label="before", series="DynamoDB", value=30.0),
        Bar(label="before", series="data out", value=45.0),
        Bar(label="after", series="EC2", value=15.0),
        Bar(label="after", series="ElastiCache", value=11.0),
        Bar(label="after", series="DynamoDB", value=16.0),
        Bar(label="after", series="data out", value=4.5),
    ),
)

CURVES = Curves(
    name="percentiles",
    title="Latency by percentile",
    x_title="percentile",
    x_kind=Kind.SHARE,
    y_title="latency",
    y_kind=Kind.SECONDS,
    x_scale=Scale.PERCENTILE,
    y_scale=Scale.LOGARITHMIC,
    curves=(
        Curve(label="scan", points=(Point(0.0, 0.5), Point(0.9, 0.5), Point(0.999, 1.0))),
        Curve(
            label="cached",
            points=(Point(0.0, 0.001), Point(0.99, 0.002)),
            provenance=Provenance.MODELLED,
        ),
    ),
)
BREAK_EVEN = Curves(
    name="break-even",
    title="On demand against provisioned",
    x_title="requests a second",
    x_kind=Kind.COUNT,
    y_title="a month",
    y_kind=Kind.USD,
    curves=(
        Curve(label="on demand", points=(Point(0, 0), Point(100, 80))),
        Curve(label="provisioned", points=(Point(0, 30), Point(100, 30))),
    ),
    lines=(VerticalLine(x=37.5, label="the same at 37.5 requests a second"),),
)


def node(name: str, layer: int, *lines: str, tone: Tone = Tone.PLAIN) -> Node:
    return Node(id=name, title=name, lines=lines, layer=layer, tone=tone)


DIAGRAM = Diagram(
    name="after",
    title="After",
    nodes=(
        node("Internet", 0),
        node("Load balancer", 1, "800 requests/s"),
        node("Instance 1", 2, "CPU 25%"),
        node("Instance 2", 2, "CPU 25%"),
        node("Cache", 3, "99% hits", "TTL 5 min"),
        node("Queue", 3, "mails"),
        node("DynamoDB", 4, "Query, 50 RCU/s", tone=Tone.GOOD),
    ),
    edges=(
        Edge(source="Internet", target="Load balancer"),
        *(
            edge
            for each in ("Instance 1", "Instance 2")
            for edge in (
                Edge(source="Load balancer", target=each),
                Edge(source=each, target="Cache", label="99% hits"),
                Edge(source=each, target="Queue", label="afterwards"),
                Edge(source=each, target="DynamoDB", label="1% misses"),
            )
        ),
    ),
)

ALL: tuple[Drawn, ...] = (GAUGES, WATERFALL, STACKED, CURVES, BREAK_EVEN, DIAGRAM)


def drawn(block: Drawn, width: int = 80) -> str:
    lines = [join(line) for line in draw(block, Marks(), width)]
    return "\n" + "\n".join(lines) + "\n"


def test_dashboards_stand_below_one_another_in_a_narrow_place() -> None:
    assert drawn(replace(GAUGES, panels=(PANEL,))) == snapshot("""\

†Before, as quoted
TargetResponseTime (avg)  ████████████████████ 5.30 s !
RequestCount              ███░░░░░░░░░░░░░░░░░ 20/s
HTTPCode_Target_5XX       ░░░░░░░░░░░░░░░░░░░░ 0% ✓
Cache Hit Rate                                 –
Status: CRITICAL
  the average response takes longer than a second, which is more than anybody
  waits
""")


def test_dashboards_stand_side_by_side_where_there_is_room() -> None:
    assert drawn(GAUGES, 120) == snapshot("""\

†Before, as quoted                                         †Before, as quoted
TargetResponseTime (avg)  ████████████████████ 5.30 s !    TargetResponseTime (avg)  ████████████████████ 5.30 s !
RequestCount              ███░░░░░░░░░░░░░░░░░ 20/s        RequestCount              ███░░░░░░░░░░░░░░░░░ 20/s
HTTPCode_Target_5XX       ░░░░░░░░░░░░░░░░░░░░ 0% ✓        HTTPCode_Target_5XX       ░░░░░░░░░░░░░░░░░░░░ 0% ✓
Cache Hit Rate                                 –           Cache Hit Rate                                 –
Status: CRITICAL                                           Status: CRITICAL
  the average response takes longer than a second,           the average response takes longer than a second,
  which is more than anybody waits                           which is more than anybody waits
""")


def test_each_stage_lies_where_it_is_in_the_whole_request() -> None:
    """1.59 of 2 seconds are 48 of 60 cells; the notification begins after 80% of the time."""
    assert drawn(WATERFALL) == snapshot("""\

phase-0  2.00 s
  auth    █░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░  10.0 ms
  db      ████████████████████████████████████████████████░░░░░░░░░░░░   1.59 s
  notify  ░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░████████████   400 ms

†phase-3  2.00 ms
  cache   ████████████████████████████████████████████████████████████  2.00 ms
""")


def test_parts_of_a_stack_follow_one_another_with_their_sum_behind() -> None:
    assert drawn(STACKED) == snapshot("""\

before  ██████████████▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓ $97.50
after   █████████░░░░░░░▒▒▒▒▒▒▒▒▒▒▓▓▓ $46.50
  █ EC2   ▒ DynamoDB   ▓ data out   ░ ElastiCache
""")


def test_percentiles_are_drawn_by_nines_over_a_logarithmic_axis() -> None:
    assert drawn(CURVES) == snapshot("""\

latency (logarithmic scale)
   1 s ┤                                                   ●●●●●●●●●●●●●●●●●●●●
       │●●●●●●●●●●●●●●●●●●●●●●●●●●●●●●●●●●●●●●●●●●●●●●●●●●●
       │
       │
100 ms ┤
       │
       │
       │
 10 ms ┤
       │
       │
       │                    +++++++++++++++++++++++++++
  1 ms ┤++++++++++++++++++++
       └┬──────┬───────────────┬───────────────────────┬──────────────────────┬
        0%    50%             90%                     99%                 99.9%
                                                                     percentile
● scan   + ≈cached
""")


def test_a_break_even_is_drawn_and_named() -> None:
    assert drawn(BREAK_EVEN, 60) == snapshot("""\

a month
$80 ┤                    ┊                              ●●●
    │                    ┊                          ●●●●
    │                    ┊                     ●●●●●
$60 ┤                    ┊                 ●●●●
    │                    ┊             ●●●●
    │                    ┊        ●●●●●
$40 ┤                    ┊    ●●●●
    │                    ●●●●●
    │++++++++++++++++++++++++++++++++++++++++++++++++++++++
$20 ┤            ●●●●    ┊
    │       ●●●●●        ┊
    │   ●●●●             ┊
 $0 ┤●●●                 ┊
    └┬─────────────────────────┬──────────────────────────┬
     0                        50                        100
                                          requests a second
● on demand   + provisioned
┊ the same at 37.5 requests a second
""")


def test_arrows_pass_rows_they_only_cross() -> None:
    assert drawn(DIAGRAM) == snapshot("""\

         ┌──────────┐
         │ Internet │
         └─────┬────┘
               │
               ▼
      ┌────────────────┐
      │ Load balancer  │
      │ 800 requests/s │
      └────────┬───────┘
       ┌───────┴────────┐
       ▼                ▼
┌────────────┐   ┌────────────┐
│ Instance 1 │   │ Instance 2 │
│ CPU 25%    │   │ CPU 25%    │
└──────┬─────┘   └──────┬─────┘
      ┌┴────────┬───────┴┐
  99% hits      │   afterwards
      ▼         │        ▼
┌───────────┐   │    ┌───────┐
│   Cache   │   │    │ Queue │
│ 99% hits  │   │    │ mails │
│ TTL 5 min │   │    │       │
└───────────┘   │    └───────┘
                │
            1% misses
                ▼
       ┌─────────────────┐
       │    DynamoDB     │
       │ Query, 50 RCU/s │
       └─────────────────┘
""")


def test_lines_that_cross_are_not_joined() -> None:
    crossing = Diagram(
        name="crossing",
        title="",
        nodes=(node("A", 0), node("B", 0), node("C", 1), node("D", 1), node("E", 1)),
        edges=(
            Edge(source="A", target="E"),
            Edge(source="B", target="C"),
            Edge(source="B", target="D"),
        ),
    )

    assert drawn(crossing) == snapshot("""\

    ┌───┐   ┌───┐
    │ A │   │ B │
    └─┬─┘   └─┬─┘
      └───────│───┐
  ┌───────┬───┘   │
  ▼       ▼       ▼
┌───┐   ┌───┐   ┌───┐
│ C │   │ D │   │ E │
└───┘   └───┘   └───┘
""")


def test_boxes_that_have_no_room_become_a_list() -> None:
    row = Diagram(
        name="row",
        title="",
        nodes=(
            node("balancer", 0),
            *(node(f"instance {number}", 1, "CPU 1%") for number in range(4)),
        ),
        edges=(Edge(source="balancer", target="instance 2", label="half"),),
    )

    assert drawn(row, 44) == snapshot("""\

balancer
  → instance 2: half
instance 0
  CPU 1%
instance 1
  CPU 1%
instance 2
  CPU 1%
instance 3
  CPU 1%
""")


def test_an_arrow_to_a_box_that_is_not_there_is_left_out() -> None:
    lonely = Diagram(
        name="lonely",
        title="",
        nodes=(node("A", 0), node("B", 1)),
        edges=(Edge(source="A", target="Z", label="?"), Edge(source="B", target="A", label="up")),
    )

    assert "▼" not in drawn(lonely)
    assert "up" not in drawn(lonely)


@pytest.mark.parametrize("width", [40, 80, 120])
@pytest.mark.parametrize("block", ALL, ids=lambda block: block.name)
def test_nothing_is_wider_than_asked(block: Drawn, width: int) -> None:
    assert max(map(width_of, draw(block, Marks(), width))) <= width


names = st.text(
    st.characters(codec="utf-8", exclude_characters="\n"), min_size=1, max_size=40
).filter(str.strip)


@settings(max_examples=40)
@given(
    titles=st.lists(names, min_size=1, max_size=6, unique=True),
    layers=st.lists(st.integers(0, 3), min_size=6, max_size=6),
    pairs=st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5), names), max_size=10),
    width=st.integers(40, 130),
)
def test_any_diagram_is_drawn_within_its_width_and_loses_no_box(
    titles: list[str], layers: list[int], pairs: list[tuple[int, int, str]], width: int
) -> None:
    nodes = tuple(
        Node(id=str(number), title=title, lines=(f"box {number}",), layer=layers[number])
        for number, title in enumerate(titles)
    )
    edges = tuple(Edge(source=str(a), target=str(b), label=label) for a, b, label in pairs)

    lines = draw(Diagram(name="any", title="", nodes=nodes, edges=edges), Marks(), width)

    text = "\n".join(map(join, lines))
    assert all(f"box {number}" in text for number in range(len(titles)))
    if titles == [title for title in titles if title.isascii()]:
        assert max(map(width_of, lines)) <= width


@given(
    st.sampled_from(Scale),
    st.lists(st.floats(1e-9, 1e9) | st.floats(0, 0.99999), min_size=1),
)
def test_every_value_that_has_a_place_lies_on_its_axis(scale: Scale, values: list[float]) -> None:
    axis = axis_of(scale, values)

    if axis is None:
        assert scale is not Scale.LINEAR
        return
    places = [place for each in values if (place := axis.place(each)) is not None]
    assert all(-1e-9 <= place <= 1 + 1e-9 for place in places)
    ticks = [value for value, _ in axis.ticks(Kind.COUNT)]
    assert ticks == sorted(ticks)
    assert all(axis.low <= value <= axis.high for value in ticks)


@given(
    st.lists(st.floats(0.01, 1e6), min_size=1, max_size=6),
    st.integers(60, 120),
)
def test_a_whole_stack_is_as_long_as_one_bar_of_its_sum(parts: list[float], width: int) -> None:
    bars = tuple(
        Bar(label="x", series=str(number), value=value) for number, value in enumerate(parts)
    )
    chart = Bars(name="x", title="", kind=Kind.CAPACITY, bars=bars, stacked=True)
    whole = replace(chart, bars=(Bar(label="x", series="0", value=sum(parts)),))

    assert cells(draw(chart, Marks(), width)) == cells(draw(whole, Marks(), width))


def cells(lines: tuple[Line, ...]) -> int:
    return sum(len(piece.text) for piece in lines[0] if piece.series is not None)


def report(*blocks: Drawn | Table) -> Report:
    return Report(title="", sections=(Section(name="x", title="X", blocks=blocks),))


def test_markdown_has_drawings_as_code_under_a_heading() -> None:
    text = markdown.render_report(report(WATERFALL))

    assert "### Request flow\n\n```text\nphase-0  2.00 s\n  auth" in text


@pytest.mark.parametrize("block", ALL, ids=lambda block: block.name)
def test_a_terminal_shows_the_same_as_a_pipe(block: Drawn) -> None:
    console = Console(file=io.StringIO(), force_terminal=True, no_color=True, width=80)
    terminal.print_report(report(block), console)

    assert isinstance(console.file, io.StringIO)
    text = terminal_text(console.file.getvalue())
    assert drawn(block).strip("\n") in text


def terminal_text(written: str) -> str:
    from rich.text import Text

    return "\n".join(line.rstrip() for line in Text.from_ansi(written).plain.splitlines())


def test_tones_are_colours_at_a_terminal() -> None:
    console = Console(
        file=io.StringIO(), force_terminal=True, color_system="standard", width=80, highlight=False
    )
    terminal.print_report(report(GAUGES), console)

    assert isinstance(console.file, io.StringIO)
    assert "\x1b[33m████████████████████\x1b[0m" in console.file.getvalue()


def test_marks_of_drawings_are_explained_once() -> None:
    text = plain.render_report(report(CURVES, WATERFALL))

    assert "≈ marks figures modelled by a formula; † marks figures quoted from a document" in text


def test_a_table_that_a_drawing_repeats_is_left_to_programs() -> None:
    table = Table(
        name="stages",
        title="Stages",
        columns=(Column(key="stage", title="stage"),),
        rows=({"stage": "auth"},),
        data_only=True,
    )
    console = Console(file=io.StringIO(), force_terminal=True, no_color=True, width=80)
    terminal.print_report(report(table), console)

    assert isinstance(console.file, io.StringIO)
    for text in (
        console.file.getvalue(),
        plain.render_report(report(table)),
        markdown.render_report(report(table)),
    ):
        assert "Stages" not in text
