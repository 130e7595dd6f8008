"""The document's boxes and dashboards beside load tests that a hand put together."""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from perfkit.report.build import build_report
from perfkit.report.json_document import report_document, write_document
from perfkit.report.model import Section
from perfkit.report.plain import render_blocks
from perfkit.report.sections import Topic
from perfkit.runs import Run
from perfkit.scenarios.service.phases import QUOTED
from perfkit.units import TIMES

MakeRun = Callable[..., Run]
LIKE_AWS: dict[str, object] = {"kind": "embedded", "modelled": {"throughput": "enforced"}}


def sections(name: str, *runs: Run) -> list[Section]:
    return [each for each in build_report(runs).sections if each.name == name]


def loaded(make_load_run: MakeRun, phase: int, **given: Any) -> Run:
    """Return a test with all requests and those of the page that the document speaks of."""
    run = make_load_run(phase, quoted=dict(QUOTED), **given)
    (total,) = run.variants
    own = replace(total, question="GET /api/courses", operation="GET /api/courses",
                  capacity_units=1250.0 if phase == 0 else 0.1)  # fmt: skip
    return replace(run, variants=(total, own))


def before(make_load_run: MakeRun, **given: Any) -> Run:
    return loaded(make_load_run, 0, cores=[0.99] * 60, rate_hz=9.0, p95_s=5.0, errors=30, **given)


def test_both_boxes_stand_beside_what_was_measured(make_load_run: MakeRun) -> None:
    (section,) = sections("results", before(make_load_run), loaded(make_load_run, 3))

    text = render_blocks(section.blocks[:1], 120)
    rows = {line.split("  ")[0].strip(): line for line in text.splitlines()}
    assert "phase 0" in text
    assert "phase 3" in text
    for figure, words in {
        "Response time": ("5.30 s", "5.00 s", "25.0 ms", "20.0 ms"),
        "Throughput": ("20 requests/s", "9 requests/s", "800 requests/s", "250 requests/s"),
        "CPU": ("80%", "99%", "25%", "50%"),
        "Error rate": ("12%", "3%", "0%", "0%"),
    }.items():
        positions = [rows[figure].find(word) for word in words]
        assert -1 not in positions, (figure, rows[figure])
        assert positions[0] < positions[1] < positions[2]
    flat = " ".join(text.split())
    assert "frequent" in flat
    assert "1 scale event (1 → 2)" in flat
    assert "no scale events³" in flat


def test_the_notes_say_what_excludes_what_with_the_arithmetic(make_load_run: MakeRun) -> None:
    (section,) = sections("results", before(make_load_run))

    (table,) = (each for each in section.tables if each.name == "readings")
    assert (
        f"20 scans a second {TIMES} 1,250 units are 25,000 RCU/s; its dashboard says 1,000, which is 0.8"
        f" scans a second, and its bill 100, which is 0.08. A full burst, 300 s {TIMES} 100 = 30,000 units,"
        " is 24 scans."
    ) in table.notes[0]
    figures = [(row["read_units_per_s"], row.get("scans_per_s")) for row in table.rows[:-1]]
    assert figures == [(25_000, 20), (1000, 0.8), (100, 0.08), (200, 0.16)]
    assert table.rows[-1]["capacity_units"] == 1250
    assert table.rows[-1]["requests_per_s"] == 9


def test_the_dashboards_under_load_have_the_documents_beside_them(make_load_run: MakeRun) -> None:
    runs = (before(make_load_run), loaded(make_load_run, 3))

    (section,) = sections("dashboard", *runs)

    text = render_blocks(section.blocks[:1], 120)
    assert [title in text for title in ("phase 0, measured", "phase 3, measured")] == [True] * 2
    assert [title in text for title in ("phase-0, quoted", "phase-3, quoted")] == [True] * 2
    assert "8.50 s" in text


def test_runs_like_aws_have_a_section_of_their_own(make_load_run: MakeRun) -> None:
    runs = [
        each
        for number, target in enumerate(({"kind": "embedded"}, LIKE_AWS))
        for each in (
            before(make_load_run, target=target, run_id=f"load-a{number}"),
            loaded(make_load_run, 3, target=target, run_id=f"load-b{number}"),
        )
    ]

    found = sections("results", *runs)

    texts = [render_blocks(each.blocks, 160) for each in found]
    assert len(texts) == 2
    assert sorted("like AWS (modelled)" in text for text in texts) == [False, True]


def test_a_report_about_another_workload_has_nothing_of_the_document(
    make_load_run: MakeRun,
) -> None:
    runs = [replace(make_load_run(phase), workload="shop") for phase in (0, 3)]

    report = build_report(runs, topics=[Topic.DASHBOARD])

    assert "results" not in {each.name for each in report.sections}
    written = json.loads(write_document(report_document(report)))
    assert "quoted" not in json.dumps(written["sections"])


def test_programs_find_the_figures_at_the_top(make_load_run: MakeRun) -> None:
    report = build_report([before(make_load_run)], topics=[Topic.DASHBOARD])

    (found,) = report_document(report)["results"].values()  # type: ignore[attr-defined]
    assert found["quoted"]["requests_per_s"] == 20
    assert found["measured"]["requests_per_s"] == 9
    assert found["measured"]["failed_share"] == 0.03
    assert found["modelled"] == {"scale_events": 1}
