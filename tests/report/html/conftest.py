"""A report with a block of every type, and reports of saved runs, as pages."""

from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from perfkit.report.build import build_report
from perfkit.report.html import render_report
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
    Marked,
    Node,
    Panel,
    Point,
    Provenance,
    Report,
    Scale,
    Section,
    Span,
    Statement,
    Statements,
    Table,
    Tone,
    VerticalLine,
    Waterfall,
)
from perfkit.runs import RunStore

RUNS = RunStore(Path(__file__).parents[1] / "runs")
EVIL = "<script>alert(1)</script><!--\u2028"
"""A name that would end a script, begin a comment, or break a line of a script."""


class Page(HTMLParser):
    """A page taken apart: its elements with their attributes, and its text outside of scripts."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.texts: list[str] = []
        self.data = ""
        self._inside = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = {name: value or "" for name, value in attrs}
        self.elements.append((tag, attributes))
        self._inside = attributes.get("id", "") if tag == "script" else ""
        if tag in {"script", "style"}:
            self._inside = attributes.get("id") or tag

    def handle_endtag(self, tag: str) -> None:
        if tag in {"script", "style"}:
            self._inside = ""

    def handle_data(self, data: str) -> None:
        if self._inside == "drawings":
            self.data += data
        elif not self._inside:
            self.texts.append(data)

    @property
    def text(self) -> str:
        return "".join(self.texts)

    def count(self, tag: str, **attributes: str) -> int:
        return sum(
            name == tag and attributes.items() <= found.items() for name, found in self.elements
        )


def every_block(name: str = "courses") -> Report:
    """Return a report with a block of every type; `name` stands wherever a name may stand."""
    table = Table(
        name="variants",
        title=f"One call of {name}",
        notes=("About the table.",),
        columns=(
            Column(key="pattern", title="pattern", label=True),
            Column(key="variant", title="variant", label=True),
            Column(key="items", title="items", kind=Kind.COUNT, group="reads"),
            Column(key="wasted", title="wasted", kind=Kind.SHARE, group="reads"),
            Column(
                key="units",
                title="strong",
                kind=Kind.CAPACITY,
                note="Counted as if strong.",
                provenance=Provenance.MODELLED,
            ),
            Column(key="p50_s", title="p50", kind=Kind.SECONDS),
            Column(key="hidden", title="hidden", data_only=True),
        ),
        rows=(
            {
                "pattern": name,
                "variant": "scan",
                "items": 10_000,
                "wasted": 0.995,
                "units": 2500,
                "p50_s": 0.4873,
                "hidden": "not on a page",
            },
            {
                "pattern": name,
                "variant": "query",
                "items": 50,
                "wasted": 0.0,
                "units": 13,
                "p50_s": Marked(value=0.00214, note="Of few calls.", tone=Tone.GOOD),
            },
        ),
    )
    bars = Bars(
        name="latency",
        title="Latency of a call",
        kind=Kind.SECONDS,
        logarithmic=True,
        bars=(
            Bar(label=name, series="scan", value=0.4873),
            Bar(label=name, series="query", value=0.00214),
            Bar(label="profile", series="scan", value=0.217),
            Bar(label="profile", series="get", value=0.0),
        ),
    )
    stacked = Bars(
        name="cost",
        title="Cost a month",
        kind=Kind.USD,
        stacked=True,
        bars=(
            Bar(label="before", series="EC2", value=30.0),
            Bar(label="before", series=name, value=88.5),
            Bar(label="after", series="EC2", value=15.0),
            Bar(label="after", series=name, value=53.5),
        ),
    )
    latency = Curves(
        name="latency",
        title="Latencies",
        x_title="percentile",
        x_kind=Kind.SHARE,
        y_title="latency",
        y_kind=Kind.SECONDS,
        x_scale=Scale.PERCENTILE,
        y_scale=Scale.LOGARITHMIC,
        curves=(
            Curve(label=name, points=(Point(0.5, 0.4), Point(0.9, 0.5), Point(0.99, 0.9))),
            Curve(
                label="query",
                points=(Point(0.5, 0.002), Point(0.9, 0.003), Point(0.99, 0.004)),
                provenance=Provenance.QUOTED,
            ),
        ),
    )
    break_even = Curves(
        name="break-even",
        title="Cost by traffic",
        x_title="requests a second",
        x_kind=Kind.COUNT,
        y_title="a month",
        y_kind=Kind.USD,
        curves=(
            Curve(label="on demand", points=tuple(Point(x, 2.0 * x) for x in range(101))),
            Curve(label="provisioned", points=(Point(0, 60.0), Point(100, 100.0))),
        ),
        lines=(VerticalLine(x=37.5, label=f"break-even of {name}"),),
    )
    flow = Waterfall(
        name="flow",
        title="Request flow",
        lanes=(
            Lane(
                title=name,
                spans=(
                    Span(label="auth", start_s=0.0, duration_s=0.01),
                    Span(label=name, start_s=0.01, duration_s=4.8),
                ),
            ),
            Lane(
                title="after",
                spans=(Span(label="cache", start_s=0.0, duration_s=0.002),),
                provenance=Provenance.QUOTED,
            ),
        ),
    )
    dashboard = Gauges(
        name="dashboard",
        title="Dashboard",
        panels=(
            Panel(
                title="before",
                status="CRITICAL",
                reason=f"Because of {name}.",
                tone=Tone.WARNING,
                gauges=(
                    Gauge(label="Mean", value=5.3, kind=Kind.SECONDS, fill=1.4, tone=Tone.WARNING),
                    Gauge(label="Hit rate", value=None, kind=Kind.SHARE, fill=None),
                ),
            ),
            Panel(
                title="after",
                status="EXCELLENT",
                reason="",
                tone=Tone.GOOD,
                gauges=(
                    Gauge(
                        label="Requests",
                        value=800,
                        kind=Kind.COUNT,
                        fill=0.5,
                        unit="/s",
                        tone=Tone.GOOD,
                    ),
                ),
            ),
        ),
    )
    diagram = Diagram(
        name="after",
        title="What is running",
        nodes=(
            Node(id="alb", title="Load balancer", lines=("health checks",), layer=0),
            Node(id="one", title="Instance 1", lines=("CPU 25%", name), layer=1, tone=Tone.GOOD),
            Node(id="two", title="Instance 2", lines=(), layer=1),
            Node(id="cache", title="Cache", lines=("99% hits",), layer=2),
            Node(id="table", title=name, lines=("6.5 RCU",), layer=3, tone=Tone.WARNING),
        ),
        edges=(
            Edge(source="alb", target="one"),
            Edge(source="alb", target="two"),
            Edge(source="one", target="cache", label="99% hits"),
            Edge(source="two", target="table", label=f"1% misses of {name}"),
        ),
    )
    commands = Statements(
        name="next",
        title="What now",
        statements=(
            Statement(text="Run `perfkit bench` again.", note="It takes a minute."),
            Statement(text=f"perfkit bench --scenario '{name}'", tone=Tone.COMMAND),
        ),
    )
    warning = Statement(text=f"{name}: other programs used 21% of the CPU", tone=Tone.WARNING)
    return Report(
        title=f"perfkit report: {name}",
        sections=(
            Section(
                name="warnings",
                title="Warnings",
                blocks=(Statements(name="warnings", statements=(warning,)),),
            ),
            Section(name="access-pattern", title=name, blocks=(table, bars, latency)),
            Section(name="cost", title="Cost", blocks=(stacked, break_even)),
            Section(name="service", title="The service", blocks=(flow, dashboard, diagram)),
            Section(name="next", title="", blocks=(commands,)),
        ),
        runs=({"started_at": "2026-01-01T10:00:00Z"},),
    )


@pytest.fixture(scope="session")
def saved_report() -> Report:
    """Return the report of the saved runs of the test suite."""
    return build_report(RUNS.list().runs)


@pytest.fixture(scope="session")
def evil_report() -> Report:
    """Return a report in which every name would like to be a script."""
    report = every_block(EVIL)
    run = replace(RUNS.list().runs[0], scenario=EVIL, workload=EVIL)
    return replace(report, sections=(*report.sections, *build_report([run]).sections))


@pytest.fixture
def read() -> type[Page]:
    """Return what takes a page apart."""
    return Page


@pytest.fixture(scope="session")
def page_of_every_block() -> str:
    return render_report(every_block())


@pytest.fixture(scope="session")
def page_of_two_curves() -> str:
    """Return a page on which one chart of curves follows another."""
    report = every_block()
    curves = [
        block for each in report.sections for block in each.blocks if isinstance(block, Curves)
    ]
    section = Section(name="latency", title="Latencies", blocks=tuple(curves))
    return render_report(replace(report, sections=(section,)))
