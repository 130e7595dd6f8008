"""
Pages in headless Chromium: drawn, the same figures as in JSON, in the dark, on paper, by keyboard.

Without Chromium or Playwright these tests are skipped; where the variable CI is set, as on the
machines that decide about a change, that is a failure.
"""

import itertools
from collections.abc import Callable
from typing import Any

import pytest

from perfkit.report.figures import format_value
from perfkit.report.json_document import report_document
from perfkit.report.model import (
    Bar,
    Bars,
    Block,
    Column,
    Curve,
    Curves,
    Diagram,
    Edge,
    Kind,
    Node,
    Point,
    Report,
    Section,
    Table,
    Value,
    VerticalLine,
)

PAPER_WIDTH = 680
"""Pixels of a page of A4 within its margins."""

Open = Callable[..., Any]

DRAWN = """() => [...document.querySelectorAll('.drawing')].map((place) => ({
  texts: [...place.querySelectorAll('text')].map((text) => text.textContent),
  shapes: [...place.querySelectorAll('path')].filter((path) => {
    const box = path.getBBox();
    return box.width * box.height > 0 || box.width + box.height > 20;
  }).length,
  width: place.querySelector('svg')?.getBoundingClientRect().width ?? 0,
  room: place.getBoundingClientRect().width,
}))"""

TABLES = """() => [...document.querySelectorAll('.block > .wide > .scroll > table')].map((table) =>
  [...table.tBodies[0].rows].map((row) => [...row.cells].map((cell) => {
    const copy = cell.cloneNode(true);
    for (const note of copy.querySelectorAll('sup')) note.remove();
    return [cell.dataset.key, copy.textContent];
  })))"""


def test_a_page_opens_without_a_complaint_and_asks_for_nothing(
    open_page: Open, page_of_every_block: str, saved_report: Report
) -> None:
    for text in (page_of_every_block, saved_report):
        opened = open_page(text)

        assert opened.evaluate("document.documentElement.dataset.charts") == "drawn"
        assert opened.complaints == []
        assert [url.partition(":")[0] for url in opened.requests] == ["file"]


def test_every_chart_is_drawn(open_page: Open, page_of_every_block: str) -> None:
    drawings = open_page(page_of_every_block).evaluate(DRAWN)

    assert len(drawings) == 6
    # Bars and lines beside the lines of the grid; the waterfall after the fact has a single bar.
    assert [drawing["shapes"] > 2 for drawing in drawings] == [True] * 6
    assert all(drawing["width"] > 300 for drawing in drawings)
    assert {"487 ms", "217 ms", "2.14 ms", "1 s"} <= set(drawings[0]["texts"])
    assert {"90%", "99%", "percentile", "100 ms"} <= set(drawings[1]["texts"])
    assert {"$118.50", "$68.50", "before", "after"} <= set(drawings[2]["texts"])
    assert {"break-even of courses", "requests a second"} <= set(drawings[3]["texts"])
    assert {"10.0 ms", "4.80 s", "auth"} <= set(drawings[4]["texts"])


def test_lengths_on_a_logarithmic_scale_are_logarithms(
    open_page: Open, page_of_every_block: str
) -> None:
    widths = open_page(page_of_every_block).evaluate(
        """() => [...document.querySelectorAll('.drawing')[0].querySelectorAll('path')]
          .filter((path) => /before|after/.test(path.getAttribute('fill')))
          .map((path) => path.getBBox().width)"""
    )

    # 487.3, 217 and 2.14 ms on a scale that begins at 1 ms; the bar of 0 has no length.
    scan, profile, query, *rest = widths
    assert scan / query == pytest.approx(2.6878 / 0.3304, rel=0.03)
    assert profile / query == pytest.approx(2.3365 / 0.3304, rel=0.03)
    assert sum(rest) == 0


def test_lines_stand_where_curves_cross_and_their_names_apart(open_page: Open) -> None:
    """On an axis of thousandths, too: places are not rounded."""
    chart = Curves(
        name="break-even",
        title="Break-even",
        x_title="requests a second",
        x_kind=Kind.COUNT,
        y_title="a month",
        y_kind=Kind.USD,
        curves=(
            Curve(label="scans", points=(Point(0, 0), Point(0.01, 10))),
            Curve(label="queries", points=(Point(0, 4), Point(0.01, 4))),
        ),
        lines=(
            VerticalLine(x=0.004, label="queries pay from here on"),
            VerticalLine(x=0.0045, label="something else from here on"),
        ),
    )
    section = Section(name="cost", title="Cost", blocks=(chart,))
    opened = open_page(Report(title="Lines", sections=(section,)))

    places = opened.evaluate(
        """() => {
          const boxes = [...document.querySelectorAll('.drawing text')].map((text) => {
            const { x, y, width, height } = text.getBoundingClientRect();
            return [text.textContent, x + width / 2, y, height];
          });
          return Object.fromEntries(boxes.map(([text, ...place]) => [text, place]));
        }"""
    )

    first, second = (places[line.label] for line in chart.lines)
    left, right = places["0"][0], places["0.01"][0]
    assert (first[0] - left) / (right - left) == pytest.approx(0.4, abs=0.01)
    assert (second[0] - left) / (right - left) == pytest.approx(0.45, abs=0.01)
    assert abs(first[1] - second[1]) >= first[2] - 2


def test_values_on_screen_equal_those_of_the_json_report(
    open_page: Open, saved_report: Report
) -> None:
    opened = open_page(saved_report)
    tables, drawings = opened.evaluate(TABLES), opened.evaluate(DRAWN)

    blocks = [block for each in sections_of(saved_report) for block in each["blocks"]]
    documents = [block for block in blocks if block["block"] == "table"]
    assert len(tables) == len(documents) > 5
    figures = 0
    for table, document in zip(tables, documents, strict=True):
        kinds = {column["key"]: Kind(column["kind"]) for column in document["columns"]}
        assert len(table) == len(document["rows"])
        for cells, row in zip(table, document["rows"], strict=True):
            for key, text in cells:
                value = row[key]
                if isinstance(value, str):
                    assert text == value.replace("`", "")
                else:
                    assert text.lstrip("≈†") == format_value(value, kinds[key])
                    figures += 1
    assert figures > 100
    charts = [block for block in blocks if block["block"] == "bars"]
    assert len(charts) == len(drawings) == 2
    for chart, drawing in zip(charts, drawings, strict=True):
        for bar in chart["bars"]:
            assert format_value(bar["value"], Kind(chart["kind"])) in drawing["texts"]
            assert bar["label"] in drawing["texts"]


def sections_of(report: Report) -> list[Any]:
    sections: Any = report_document(report)["sections"]
    return list(sections)


COLOURS = """() => {
  const style = (element, property) => getComputedStyle(element)[property];
  const bar = document.querySelector('.drawing path[fill="var(--before)"]');
  const label = [...document.querySelectorAll('.drawing text')].find((text) => text.textContent);
  return [style(document.querySelector('.section:nth-child(2)'), 'backgroundColor'),
    style(bar, 'fill'), style(label, 'fill')];
}"""


def brightness(colour: str) -> float:
    red, green, blue = (int(part) for part in colour[4:-1].split(",")[:3])
    return (0.299 * red + 0.587 * green + 0.114 * blue) / 255


def test_the_dark_page_has_dark_paper_and_bright_charts(
    open_page: Open, page_of_every_block: str
) -> None:
    light = open_page(page_of_every_block, color_scheme="light").evaluate(COLOURS)
    dark = open_page(page_of_every_block, color_scheme="dark").evaluate(COLOURS)

    assert brightness(light[0]) > 0.95
    assert brightness(dark[0]) < 0.15
    assert brightness(dark[1]) > brightness(light[1])
    assert brightness(dark[2]) > 0.6
    assert brightness(light[2]) < 0.4


def test_the_button_overrides_the_theme_of_the_system(
    open_page: Open, page_of_every_block: str
) -> None:
    opened = open_page(page_of_every_block, color_scheme="dark")
    button = opened.page.get_by_role("button", name="Theme")

    button.click()

    assert button.inner_text() == "Theme: light"
    assert brightness(opened.evaluate(COLOURS)[0]) > 0.95
    opened.page.reload()
    assert brightness(opened.evaluate(COLOURS)[0]) > 0.95
    button.click()
    button.click()
    assert button.inner_text() == "Theme: automatic"


def test_paper_is_light_with_everything_open_and_nothing_cut(
    open_page: Open, page_of_every_block: str, saved_report: Report
) -> None:
    for text in (page_of_every_block, saved_report):
        opened = open_page(text, width=PAPER_WIDTH, color_scheme="dark")
        page = opened.page

        page.emulate_media(media="print", color_scheme="dark")
        page.wait_for_function("() => !document.querySelector('details:not([open])')")

        assert brightness(opened.evaluate(COLOURS)[0]) > 0.95
        assert not page.get_by_role("button", name="Theme").is_visible()
        assert not page.locator("nav").is_visible()
        assert page.locator("details table").first.is_visible()
        cut = opened.evaluate(
            """(width) => [...document.querySelectorAll('table, svg, .layers, .panel')]
              .filter((each) => each.getBoundingClientRect().right > width + 1)
              .map((each) => each.outerHTML.slice(0, 200))""",
            PAPER_WIDTH,
        )
        assert cut == []
        page.emulate_media(media="screen")
        page.wait_for_function("() => !document.querySelector('details[open]')")
        assert opened.complaints == []


def test_a_pdf_can_be_made_and_the_page_is_as_before(
    open_page: Open, page_of_every_block: str
) -> None:
    opened = open_page(page_of_every_block)
    before = opened.evaluate(DRAWN)

    pdf = opened.page.pdf(prefer_css_page_size=True)

    assert pdf.startswith(b"%PDF")
    # A4 in points.
    assert b"/MediaBox [0 0 595" in pdf or b"/MediaBox [0 0 594" in pdf
    assert opened.evaluate(DRAWN) == before


@pytest.mark.parametrize("width", [320, 400])
def test_a_narrow_page_never_scrolls_sideways(
    open_page: Open, page_of_every_block: str, saved_report: Report, width: int
) -> None:
    for text in (page_of_every_block, saved_report):
        opened = open_page(text, width=width)

        opened.evaluate("document.querySelectorAll('details').forEach((each) => each.open = true)")

        assert opened.evaluate("document.documentElement.scrollWidth") <= width
        for drawing in opened.evaluate(DRAWN):
            assert 150 < drawing["width"] <= drawing["room"] + 1
        wide = opened.page.locator(".scroll").first
        assert wide.evaluate("(each) => getComputedStyle(each).overflowX") == "auto"


def test_charts_follow_the_width_of_the_window(open_page: Open, page_of_every_block: str) -> None:
    opened = open_page(page_of_every_block)

    opened.page.set_viewport_size({"width": 500, "height": 900})
    opened.page.wait_for_function(
        "() => document.querySelector('.drawing svg').getBoundingClientRect().width < 500"
    )

    for drawing in opened.evaluate(DRAWN):
        assert drawing["width"] <= drawing["room"] + 1
    assert "487 ms" in opened.evaluate(DRAWN)[0]["texts"]


def test_an_axis_without_room_for_all_of_its_values_keeps_the_first_and_the_last(
    open_page: Open,
) -> None:
    """From 1 to 100,000,000 there are nine powers of ten, and no room for nine at 400 pixels."""
    bars = Bars(
        name="b",
        title="RCU",
        kind=Kind.CAPACITY,
        logarithmic=True,
        bars=tuple(
            Bar(label="courses", series=str(value), value=float(value))
            for value in (10, 50_000_000)
        ),
    )

    (drawing,) = open_page(report_of(bars), width=400).evaluate(DRAWN)

    assert {"1", "100,000,000"} <= set(drawing["texts"])
    assert "10,000,000" not in drawing["texts"]


def test_charts_of_one_kind_stand_side_by_side_where_there_is_room(
    open_page: Open, page_of_two_curves: str
) -> None:
    places = """() => [...document.querySelectorAll('figure.of-curves.half')]
      .map((each) => each.getBoundingClientRect().top)"""

    wide = open_page(page_of_two_curves).evaluate(places)
    narrow = open_page(page_of_two_curves, width=800).evaluate(places)

    assert wide[0] == wide[1]
    assert narrow[0] < narrow[1]
    for width in (800, 1280):
        for drawing in open_page(page_of_two_curves, width=width).evaluate(DRAWN):
            assert drawing["room"] - 2 <= drawing["width"] <= drawing["room"] + 1


FOCUSED = """() => {
  const element = document.activeElement;
  const style = getComputedStyle(element);
  return [element.className.split(' ')[0] || element.tagName.toLowerCase(),
    element.textContent.trim().slice(0, 30), parseFloat(style.outlineWidth) > 1,
    element.getBoundingClientRect().top];
}"""


def test_the_keyboard_reaches_everything_in_order(
    open_page: Open, page_of_every_block: str
) -> None:
    opened = open_page(page_of_every_block)
    expected = opened.evaluate(
        """() => [...document.querySelectorAll('a[href], button, summary, [tabindex="0"]')]
          .filter((each) => each.checkVisibility()).length"""
    )
    stops = []
    for _ in range(expected):
        opened.page.keyboard.press("Tab")
        stops.append(opened.evaluate(FOCUSED))

    assert [name for name, *_ in stops[:3]] == ["skip", "theme", "a"]
    assert [text for _, text, *_ in stops[2:7]] == [
        "Warnings",
        "courses",
        "Cost",
        "The service",
        "Next",
    ]
    assert all(outlined for _, _, outlined, _ in stops)
    names = [name for name, *_ in stops]
    assert names.count("summary") == 6
    assert names.count("pre") == 1


def test_a_table_is_a_stop_of_the_tab_key_only_where_it_scrolls(
    open_page: Open, page_of_every_block: str
) -> None:
    stops = "document.querySelectorAll('.block > .wide > .scroll[tabindex]').length"

    assert open_page(page_of_every_block).evaluate(stops) == 0
    # The table; the diagram's two boxes beside each other have room.
    assert open_page(page_of_every_block, width=400).evaluate(stops) == 1


def report_of(*blocks: Block) -> Report:
    return Report(title="r", sections=(Section(name="s", title="Section", blocks=blocks),))


def titled(title: str, *rows: dict[str, Value]) -> Table:
    """Return a table of dollars under the names that the rows have; the first names the row."""
    first, *others = rows[0]
    return Table(
        name="t",
        title=title,
        columns=(
            Column(key=first, title=first, label=True),
            *(
                Column(key=key, title=key, kind=Kind.TEXT if isinstance(value, str) else Kind.USD)
                for key, value in rows[0].items()
                if key in others
            ),
        ),
        rows=rows,
    )


INDEXES = titled(
    "What indexes cost and save",
    {
        "index": "EnrollmentsByCourse",
        "projection": "KEYS_ONLY",
        "asked by": "enrollments",
        "≈RCU a query": 20.5,
        "≈scans": 8212.5,
        "≈queries": 26.94,
        "≈writes": 1.15,
        "≈storage": 0.000331,
        "≈saves a month": 8184.41,
        "≈backfill, once": 0.03,
        "≈pays from requests/s": 0.0001,
        "≈the other way too": 0.0001,
    },
)
BILL = titled(
    "Before optimization, list prices",
    {"service": "Application Load Balancer", "what for": "10 GB of data, 730 hours", "$": 22.5},
    {"service": "Amazon DynamoDB", "what for": "5 GB, 3,300,000 reads", "$": 53.25},
)
INSIDE = """() => [...document.querySelectorAll('.of-table .scroll')].map((each) => {
  const edge = (side) => getComputedStyle(each.parentElement, side).opacity;
  return [each.scrollWidth - each.clientWidth, edge('::before'), edge('::after')];
})"""


def test_a_table_of_twelve_columns_fits_a_page_of_1280_pixels(open_page: Open) -> None:
    ((cut, *shadows),) = open_page(report_of(INDEXES, BILL)).evaluate(INSIDE)[:1]

    assert cut <= 0
    assert shadows == ["0", "0"]


def test_a_short_table_fits_a_page_of_400_pixels(open_page: Open) -> None:
    ((cut, *_),) = open_page(report_of(BILL), width=400).evaluate(INSIDE)

    assert cut <= 0


def test_a_table_that_scrolls_shows_on_which_side_there_is_more(open_page: Open) -> None:
    """At its beginning to the right, in the middle on both sides, at its end to the left."""
    opened = open_page(report_of(INDEXES), width=400)
    scroll = opened.page.locator(".of-table .scroll")
    for left, shown in ((0, ["0", "1"]), (100, ["1", "1"]), (10_000, ["1", "0"])):
        scroll.evaluate("(each, left) => { each.scrollLeft = left; }", left)
        for _ in range(600):
            if (seen := opened.evaluate(INSIDE)[0][1:]) == shown:
                break
            opened.page.wait_for_timeout(100)
        assert seen == shown
        # The name of the row stays where it is.
        name = scroll.locator("tbody th").bounding_box()
        assert name["x"] >= scroll.bounding_box()["x"]


@pytest.mark.parametrize("width", [400, 1280])
def test_a_label_of_a_diagram_lies_on_its_own_arrow_alone(open_page: Open, width: int) -> None:
    """Three arrows leave one box: no label may reach into their bends, or to another label."""
    nodes = [("service", 0), ("cache", 1), ("Queue and worker", 1), ("database", 2)]
    labels = {"cache": "100% hits", "Queue and worker": "background work", "database": "0% misses"}
    diagram = Diagram(
        name="d",
        title="After",
        nodes=tuple(
            Node(id=name, title=name, lines=("sent after the answer",), layer=layer)
            for name, layer in nodes
        ),
        edges=tuple(Edge(source="service", target=to, label=text) for to, text in labels.items()),
    )

    opened = open_page(report_of(diagram), width=width)

    places = opened.evaluate(
        """() => ['.edge', '.gap svg', '.layers', '.diagram .scroll'].map((name) =>
          [...document.querySelectorAll(name)].map((each) => {
            const box = each.getBoundingClientRect();
            return [box.left, box.right, box.top, box.bottom];
          }))"""
    )
    written, bends, (layers,), (frame,) = places
    assert opened.page.locator(".edge").all_inner_texts() == [
        "100% hits",
        "0% misses",
        "background work",
    ]

    def apart(one: list[float], other: list[float]) -> bool:
        return one[1] <= other[0] or other[1] <= one[0] or one[3] <= other[2] or other[3] <= one[2]

    assert all(apart(label, bend) for label in written for bend in bends)
    assert all(apart(*pair) for pair in itertools.combinations(written, 2))
    assert layers[1] <= frame[1] + 1


def test_the_skip_link_leads_past_the_contents(open_page: Open, page_of_every_block: str) -> None:
    opened = open_page(page_of_every_block)
    keyboard = opened.page.keyboard

    keyboard.press("Tab")
    assert opened.page.get_by_role("link", name="Skip to the report").bounding_box()["x"] >= 0
    keyboard.press("Enter")
    keyboard.press("Tab")

    inside = "document.getElementById('report').contains(document.activeElement)"
    assert opened.evaluate(inside)


def test_the_figures_of_a_chart_open_by_keyboard(open_page: Open, page_of_every_block: str) -> None:
    page = open_page(page_of_every_block).page
    summary = page.locator("summary").first

    summary.focus()
    page.keyboard.press("Enter")

    table = page.get_by_role("table", name="The figures of: Latency of a call")
    assert table.is_visible()
    assert table.get_by_role("rowheader", name="query").is_visible()


def test_names_that_would_be_scripts_stay_text(open_page: Open, evil_report: Report) -> None:
    opened = open_page(evil_report)

    assert opened.complaints == []
    assert [url.partition(":")[0] for url in opened.requests] == ["file"]
    assert opened.evaluate("document.scripts.length") == 3
    name = "<script>alert(1)</script><!--\\u2028"
    assert name in opened.page.title()
    assert opened.page.locator("h1").inner_text() == f"workload {name}" or name in (
        opened.page.locator("h1").inner_text()
    )
    texts = [text for drawing in opened.evaluate(DRAWN) for text in drawing["texts"]]
    assert any(text.startswith("<script>alert(") for text in texts)
    assert any(text == f"break-even of {name}" for text in texts)


def test_a_tip_on_a_line_shows_its_point_as_text(open_page: Open, evil_report: Report) -> None:
    page = open_page(evil_report).page
    page.evaluate("document.querySelectorAll('details.more').forEach((each) => each.open = true)")
    place = page.locator(".drawing").nth(1)
    place.scroll_into_view_if_needed()
    dot = place.locator('path[fill="var(--c1)"]').first.bounding_box()

    page.mouse.move(dot["x"] + dot["width"] / 2, dot["y"] + dot["height"] / 2)

    tip = page.locator(".tip-box")
    tip.wait_for()
    assert "<script>alert(1)</script>" in tip.inner_text()
    assert "400 ms at 50%" in tip.inner_text()


def test_without_scripts_every_table_is_there(open_page: Open, page_of_every_block: str) -> None:
    page = open_page(page_of_every_block, java_script_enabled=False).page

    for name in ("Latency of a call", "Latencies", "Cost a month", "Request flow"):
        assert page.get_by_role("table", name=f"The figures of: {name}").is_visible()
    assert not page.locator(".drawings").first.is_visible()
    assert not page.get_by_role("button", name="Theme").is_visible()


def test_a_chart_that_cannot_be_drawn_leaves_its_table_open(
    open_page: Open, page_of_every_block: str
) -> None:
    sabotage = """Object.defineProperty(window, 'echarts', {
      value: { init() { throw new Error('no charts today'); } }, writable: false });"""

    opened = open_page(page_of_every_block, before=sabotage)

    tables = opened.page.locator("figure.chart table")
    assert tables.count() == 5
    assert all(tables.nth(number).is_visible() for number in range(5))
    assert any("no charts today" in complaint for complaint in opened.complaints)


@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 400)])
def test_axe_finds_nothing_to_complain_of(
    open_page: Open, page_of_every_block: str, saved_report: Report, scheme: str, width: int
) -> None:
    from axe_playwright_python.sync_playwright import Axe

    for text in (page_of_every_block, saved_report):
        opened = open_page(text, width=width, color_scheme=scheme)
        opened.evaluate("document.querySelectorAll('details').forEach((each) => each.open = true)")

        results = Axe().run(opened.page)

        assert results.violations_count == 0, results.generate_report()
