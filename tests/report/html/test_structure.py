"""Pages without a browser: what is in them, that names stay text, and that nothing is loaded."""

import base64
import hashlib
import itertools
import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perfkit.report.build import build_report
from perfkit.report.figures import format_value
from perfkit.report.html import render_report
from perfkit.report.html.colours import AFTER, BEFORE, assign
from perfkit.report.html.scales import axis_of
from perfkit.report.model import (
    Bar,
    Bars,
    Block,
    Column,
    Curve,
    Curves,
    Kind,
    Lane,
    Point,
    Report,
    Scale,
    Section,
    Span,
    Statement,
    Statements,
    Table,
    VerticalLine,
    Waterfall,
)
from perfkit.runs import RunStore

Read = Callable[[str], Any]


def report_of(*blocks: Block) -> Report:
    return Report(title="", sections=(Section(name="s", title="s", blocks=blocks),))


def pairs(*names: tuple[str, str]) -> Bars:
    bars = tuple(
        Bar(label=f"pattern {number}", series=series, value=1.0)
        for number, pair in enumerate(names)
        for series in pair
    )
    return Bars(name="b", title="b", kind=Kind.COUNT, bars=bars)


def test_a_page_has_every_block_with_its_figures(page_of_every_block: str, read: Read) -> None:
    page = read(page_of_every_block)

    for text in ("487 ms", "2.14 ms", "99.5%", "10,000", "$88.50", "$118.50", "4.80 s", "800/s"):
        assert text in page.text + page.data, text
    for text in ("Load balancer", "99% hits", "CRITICAL", "EXCELLENT", "Because of courses."):
        assert text in page.text
    assert "not on a page" not in page_of_every_block


def test_headings_form_an_outline_and_contents_lead_to_every_section(
    page_of_every_block: str, read: Read
) -> None:
    page = read(page_of_every_block)

    levels = [int(tag[1]) for tag, _ in page.elements if re.fullmatch("h[1-6]", tag)]
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in itertools.pairwise(levels))
    identities = {found["id"] for _, found in page.elements if "id" in found}
    links = {found["href"] for tag, found in page.elements if tag == "a"}
    assert {f"#section-{number}" for number in range(1, 6)} <= links
    assert {link.removeprefix("#") for link in links} <= identities
    assert page.count("main") == page.count("nav") == page.count("header") == 1


def test_every_chart_says_in_words_what_it_shows_and_has_its_table(
    page_of_every_block: str, read: Read
) -> None:
    page = read(page_of_every_block)

    charts = [found for _, found in page.elements if found.get("role") == "img"]
    assert [found["aria-label"].split(":")[0] for found in charts] == [
        "Bar chart",
        "Line chart",
        "Stacked bar chart",
        "Line chart",
        "Waterfall",
    ]
    assert (
        "The longest is courses scan 487 ms, the shortest profile get 0 s."
        in (charts[0]["aria-label"])
    )
    assert page.text.count("The figures of: ") == len(charts)
    assert page.count("table") == page.count("caption") == len(charts) + 1


def test_footnotes_and_marks_lead_to_what_they_mean(page_of_every_block: str, read: Read) -> None:
    page = read(page_of_every_block)

    assert '≈strong<sup><a href="#note-2"' in page_of_every_block
    assert '2.14 ms<sup><a href="#note-3" aria-label="footnote 3">3</a></sup>' in (
        page_of_every_block
    )
    assert '<li id="note-3">Of few calls.</li>' in page_of_every_block
    assert "≈ marks figures modelled by a formula; † marks figures quoted" in page.text
    assert "Run <code>perfkit bench</code> again." in page_of_every_block


def test_names_stay_text_everywhere(evil_report: Report, read: Read) -> None:
    text = render_report(evil_report)
    page = read(text)

    assert page.count("script") == 3
    assert "<script>alert" not in text
    # The heading, the title, each table, the contents, the diagram, the dashboard, the command.
    assert page.text.count("<script>alert(1)</script>") > 20
    assert "\\u003cscript\\u003e" in page.data
    assert any(
        "<script>alert(1)</script>" in json.dumps(drawing) for drawing in json.loads(page.data)
    )
    assert "\u2028" not in text


@given(st.text())
def test_no_name_ends_the_script_that_holds_it(name: str) -> None:
    chart = Bars(
        name="b", title="t", kind=Kind.COUNT, bars=(Bar(label=name, series=name, value=1.0),)
    )

    text = render_report(report_of(chart))

    data = text.split('id="drawings">', 1)[1].split("</script>", 1)[0]
    assert len(json.loads(data)) == 1
    assert text.count("<script") == text.count("</script>") == 3


def test_a_page_loads_nothing_and_runs_only_its_own_scripts(
    page_of_every_block: str, read: Read
) -> None:
    page = read(page_of_every_block)

    for _, found in page.elements:
        assert "src" not in found
        assert found.get("href", "#")[0] == "#" or found["href"] == "data:,"
    policy = next(
        found["content"]
        for _, found in page.elements
        if found.get("http-equiv") == "Content-Security-Policy"
    )
    assert policy.startswith("default-src 'none'; ")
    scripts = re.findall(r"<script>(.*?)</script>", page_of_every_block, re.DOTALL)
    for script in scripts:
        digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
        assert f"'sha256-{digest}'" in policy
    assert len(scripts) == 2


def test_a_page_is_smaller_than_the_limit(page_of_every_block: str) -> None:
    assert len(page_of_every_block.encode()) < 1_500_000


def test_the_page_of_an_empty_report_is_whole(read: Read) -> None:
    page = read(render_report(Report(title="", sections=())))

    assert page.count("h1") == page.count("main") == 1
    assert json.loads(page.data) == []


@pytest.mark.parametrize(
    "chart",
    [
        pytest.param(Bars(name="b", title="b", kind=Kind.COUNT, bars=()), id="no bars"),
        pytest.param(
            Curves(
                name="c",
                title="c",
                x_title="x",
                x_kind=Kind.COUNT,
                y_title="y",
                y_kind=Kind.COUNT,
                curves=(Curve(label="l", points=()),),
            ),
            id="no points",
        ),
    ],
)
def test_a_chart_of_nothing_is_left_out(chart: Bars | Curves, read: Read) -> None:
    assert read(render_report(report_of(chart))).count("figure") == 0


def test_a_word_keeps_the_accents_and_control_characters_of_a_name_show() -> None:
    text = render_report(report_of(Statements(name="s", statements=(Statement(text="é\x1b[1m"),))))

    assert "é\\x1b[1m" in text


def test_before_and_after_have_one_colour_each_in_the_whole_report() -> None:
    curve = Curve(label="query", points=())
    curves = Curves(
        name="c",
        title="c",
        x_title="x",
        x_kind=Kind.COUNT,
        y_title="y",
        y_kind=Kind.COUNT,
        curves=(curve, Curve(label="other", points=())),
    )

    colours = assign(report_of(curves, pairs(("scan", "query"), ("scan", "get"))))

    assert colours == {"scan": BEFORE, "query": AFTER, "get": AFTER, "other": "c1"}


def test_numbered_series_are_steps_from_before_to_after() -> None:
    phases = tuple(
        Bar(label="GET /", series=f"phase-{number}", value=1.0) for number in (0, 1, 2, 3)
    )

    colours = assign(report_of(Bars(name="b", title="b", kind=Kind.COUNT, bars=phases)))

    assert list(colours.values()) == [BEFORE, "step1", "step2", AFTER]


def test_series_of_one_chart_have_different_colours() -> None:
    parts = tuple(Bar(label="x", series=f"part {letter}", value=1.0) for letter in "abcdefgh")
    stack = Bars(name="b", title="b", kind=Kind.USD, bars=parts, stacked=True)

    assert len(set(assign(report_of(stack)).values())) == 8


@pytest.mark.parametrize(
    ("values", "kind", "scale", "from_zero", "texts"),
    [
        pytest.param(
            [0.00214, 0.4873],
            Kind.SECONDS,
            Scale.LOGARITHMIC,
            True,
            ["1 ms", "10 ms", "100 ms", "1 s"],
            id="logarithmic bars",
        ),
        pytest.param(
            [1.0, 1000.0],
            Kind.CAPACITY,
            Scale.LOGARITHMIC,
            True,
            ["0.1", "1", "10", "100", "1,000"],
            id="a bar of a whole power has a length",
        ),
        pytest.param(
            [68.5, 118.5], Kind.USD, Scale.LINEAR, True,
            ["$0", "$20", "$40", "$60", "$80", "$100", "$120"], id="money from zero",
        ),
        pytest.param(
            [0.5, 0.999], Kind.SHARE, Scale.PERCENTILE, False,
            ["0%", "50%", "90%", "99%", "99.9%"], id="percentiles",
        ),
        pytest.param(
            [0.1, 0.3], Kind.COUNT, Scale.LINEAR, True,
            ["0", "0.05", "0.1", "0.15", "0.2", "0.25", "0.3"], id="tenths",
        ),
    ],
)  # fmt: skip
def test_axes_have_round_values(
    values: list[float], kind: Kind, scale: Scale, from_zero: bool, texts: list[str]
) -> None:
    axis = axis_of(values, kind, scale, from_zero=from_zero)

    assert [tick.text for tick in axis.ticks] == texts


@given(
    st.lists(st.floats(1e-9, 1e12), min_size=1, max_size=20),
    st.sampled_from([Scale.LINEAR, Scale.LOGARITHMIC]),
    st.booleans(),
)
def test_every_value_lies_on_its_axis(values: list[float], scale: Scale, from_zero: bool) -> None:
    axis = axis_of(values, Kind.COUNT, scale, from_zero=from_zero)

    places = [axis.place(value) for value in values]
    assert all(place is not None for place in places)
    slack = (axis.high - axis.low) * 1e-6
    assert all(axis.low - slack <= place <= axis.high + slack for place in places if place)
    assert 2 <= len(axis.ticks) <= 9


@given(st.lists(st.floats(0, 0.99999), min_size=1, max_size=20))
def test_percentiles_keep_their_order(shares: list[float]) -> None:
    axis = axis_of(shares, Kind.SHARE, Scale.PERCENTILE)

    places = [axis.place(share) or 0.0 for share in sorted(shares)]
    assert places == sorted(places)
    assert places[-1] <= axis.high + 1e-9


def test_the_table_of_a_chart_is_folded_and_not_shown_twice(read: Read) -> None:
    bars = (Bar(label="courses", series="scan", value=0.4873),)
    chart = Bars(name="b", title="Latency", kind=Kind.SECONDS, bars=bars)
    column = Column(key="p50_s", title="p50", kind=Kind.SECONDS)
    table = Table(
        name="t", title="By pattern", columns=(column,), rows=({"p50_s": 0.4873},), data_only=True
    )

    page = read(render_report(report_of(chart, table)))

    assert page.count("table") == page.count("details") == 1
    assert "The figures: By pattern" in page.text
    assert "487 ms" in page.text


def test_values_in_a_chart_are_written_as_in_a_table(page_of_every_block: str, read: Read) -> None:
    drawing = json.loads(read(page_of_every_block).data)[0]

    texts = [bar["text"] for row in drawing["series"] for bar in row]
    assert texts == [format_value(each, Kind.SECONDS) for each in (0.4873, 0.217, 0.00214, 0.0)]
    assert drawing["series"][1][1]["place"] is None


def test_a_request_has_the_colour_of_its_series_wherever_its_figures_come_from(
    read: Read,
) -> None:
    spans = (Span(label="db", start_s=0.0, duration_s=1.0),)
    titles = ("scan", "query, quoted", "neither")
    lanes = tuple(Lane(title=title, spans=spans) for title in titles)
    flow = Waterfall(name="w", title="Flow", lanes=lanes)

    page = read(render_report(report_of(pairs(("scan", "query")), flow)))

    drawings = json.loads(page.data)[1:]
    assert [drawing["colour"] for drawing in drawings] == [BEFORE, AFTER, "c1"]


def test_places_on_an_axis_have_four_digits(read: Read) -> None:
    curve = Curve(label="on demand", points=(Point(1.1296789, 5.0), Point(12345.0, 7.0)))
    chart = Curves(
        name="c",
        title="c",
        x_title="requests a second",
        x_kind=Kind.COUNT,
        y_title="y",
        y_kind=Kind.USD,
        curves=(curve,),
    )

    text = read(render_report(report_of(chart))).text

    assert "1.13\n" in text
    assert "12,345\n" in text


def test_a_place_whose_name_says_its_value_is_not_written_twice(read: Read) -> None:
    chart = Curves(
        name="c",
        title="c",
        x_title="requests a second",
        x_kind=Kind.COUNT,
        y_title="y",
        y_kind=Kind.USD,
        curves=(Curve(label="on demand", points=(Point(1.0, 5.0), Point(5.0, 7.0))),),
        lines=(
            VerticalLine(x=3.5584, label="provisioned from 3.558/s on"),
            VerticalLine(x=2.0, label="now"),
        ),
    )

    text = read(render_report(report_of(chart))).text

    assert "provisioned from 3.558/s on\n" in text
    assert "now: 2\n" in text


def test_a_date_in_a_text_is_not_folded_and_stays_text(read: Read) -> None:
    said = Statement(text="priced on 2026-09-29, run 20260929T1000-2026-1 <b>")

    page = read(render_report(report_of(Statements(name="s", statements=(said,)))))

    assert page.count("span", **{"class": "date"}) == 1
    assert "priced on 2026-09-29, run 20260929T1000-2026-1 <b>" in page.text


def test_a_page_begins_with_the_answer_and_folds_the_rest() -> None:
    """Nothing about how it was measured, no run and no address stands above the first fold."""
    runs = RunStore(Path(__file__).parents[1] / "main_job").list().runs
    elsewhere = [
        replace(run, target={"kind": "endpoint", "endpoint": "http://x:1"}) for run in runs
    ]
    text = render_report(build_report(elsewhere))
    above = text.partition('<main id="report"')[2].partition('<details class="more" open>')[0]

    assert "<h1>Courses, enrollments and users of a university" in text
    assert above.count("<h2") == 1
    assert (
        "http://" not in text.partition("<h1>")[2].partition("</main>")[0].partition("<details")[0]
    )
    assert not any(run.id in above for run in runs)
    assert above.count("<table") == 1


def test_a_page_is_called_what_the_reader_says() -> None:
    runs = RunStore(Path(__file__).parents[1] / "main_job").list().runs

    assert "<h1>Orders &lt;1&gt;</h1>" in render_report(build_report(runs, title="Orders <1>"))


def test_charts_stand_two_by_two_and_an_odd_one_alone() -> None:
    runs = RunStore(Path(__file__).parents[1] / "main_job").list().runs
    report = build_report(runs, sections=["latency"])
    curves = [each for each in report.sections[0].blocks if isinstance(each, Curves)]

    halves = render_report(report).count('<figure class="block chart of-curves half">')

    assert halves == len(curves) - len(curves) % 2


def test_names_are_shown_as_they_are_written() -> None:
    """`audit_log-by-key` is what is typed after `perfkit bench`, and no other pattern."""
    text = render_report(report_of(Statements(name="s", statements=(Statement(text="x"),))))

    headings = [line for line in text.splitlines() if "::first-letter" in line]
    assert not [line for line in headings if "h1" in line or "h2" in line or "contents" in line]
