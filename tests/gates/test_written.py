"""Lines as JUnit XML, and what GitHub shows and annotates."""

from xml.etree import ElementTree as ET

from perfkit.analysis.verdict import Ruling, Verdict
from perfkit.gates.lines import Line, counted
from perfkit.gates.written import annotations, junit, markdown

LINES = (
    Line(
        group="Phase 2: indexes",
        title="indexes are ACTIVE",
        verdict=Verdict(ruling=Ruling.PASS, evidence="4 of 4"),
    ),
    Line(
        group="Phase 2: indexes",
        title="no Scan is left",
        verdict=Verdict(
            ruling=Ruling.FAIL, reason="app|b.py:3: <table>.scan\x1b[31m 100%\nand more"
        ),
        next_step="perfkit check --source app",
    ),
    Line(
        group="Gates",
        title="GET /: p95_ms < 200, or so",
        verdict=Verdict(ruling=Ruling.INVALID, reason="older than the workload's file"),
        stale=True,
        next_step="perfkit load | head",
    ),
    Line(
        group="Gates",
        title="errors == 0",
        verdict=Verdict(ruling=Ruling.INVALID, reason="the generator was saturated"),
    ),
)

# of junit-10.xsd: attributes that an element must have, and those it may have
SCHEMA = {
    "testsuites": ({"name"}, {"time", "tests", "failures", "disabled", "errors"}),
    "testsuite": (
        {"name", "tests"},
        {"failures", "errors", "time", "disabled", "skipped", "timestamp", "hostname", "id"}
        | {"package"},
    ),
    "testcase": ({"name", "classname"}, {"assertions", "time", "status", "class", "file", "line"}),
    "failure": (set(), {"type", "message"}),
    "error": (set(), {"type", "message"}),
    "system-out": (set(), set()),
}
CHILDREN = {
    "testsuites": {"testsuite"},
    "testsuite": {"testcase"},
    "testcase": {"failure", "error", "system-out"},
}


def test_junit_keeps_to_the_schema_and_counts_right() -> None:
    root = ET.fromstring(junit(LINES, "courses"))

    for element in root.iter():
        must, may = SCHEMA[element.tag]
        assert must <= set(element.keys()) <= must | may
        assert {child.tag for child in element} <= CHILDREN.get(element.tag, set())
    assert {key: root.get(key) for key in ("tests", "failures", "errors")} == {
        "tests": "4",
        "failures": "1",
        "errors": "2",
    }
    for suite in root:
        assert int(suite.attrib["tests"]) == len(suite)
        assert int(suite.attrib["failures"]) == len(suite.findall("testcase/failure"))
        assert int(suite.attrib["errors"]) == len(suite.findall("testcase/error"))


def test_junit_says_why_and_what_next() -> None:
    root = ET.fromstring(junit(LINES, "courses"))

    failure = root.find(".//failure")
    assert failure is not None
    assert failure.get("type") == "not done"
    # XML has no escape character
    assert failure.get("message", "").startswith("app|b.py:3: <table>.scan\ufffd[31m 100%")
    assert (failure.text or "").endswith("next: perfkit check --source app")
    assert [error.get("type") for error in root.iter("error")] == ["stale", "invalid"]


def test_a_summary_has_a_row_for_each_line() -> None:
    text = markdown(LINES, "courses: check")

    assert text.startswith("## courses: check\n\n1 of 4 done, 1 not done, 1 stale, 1 invalid.\n")
    rows = [line for line in text.splitlines() if line[:3] in {"| ✅", "| ❌", "| ⌛", "| ❔"}]
    assert len(rows) == len(LINES)
    assert r"app\|b.py:3: \<table\>.scan" in rows[1]
    assert rows[2].endswith(r"Next: `perfkit load \| head` |")


def test_annotations_are_one_line_each() -> None:
    not_done, stale, invalid = annotations(LINES)

    assert not_done == (
        "::error title=no Scan is left::app|b.py:3: <table>.scan\x1b[31m 100%25%0Aand more"
        "%0Anext: perfkit check --source app"
    )
    assert stale == (
        "::warning title=GET /%3A p95_ms < 200%2C or so::older than the workload's file"
        "%0Anext: perfkit load | head"
    )
    assert invalid == "::warning title=errors == 0::the generator was saturated"


def test_what_is_done_is_counted_first() -> None:
    assert counted(LINES) == "1 of 4 done, 1 not done, 1 stale, 1 invalid"
    assert counted(LINES[:1]) == "1 of 1 done"
