"""Reports as pictures of a terminal: complete, and loading nothing from anywhere."""

import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from dataclasses import replace
from pathlib import Path

import pytest

from perfkit.report.build import build_report
from perfkit.report.formats import Format, guess_format, render_text
from perfkit.report.model import Report
from perfkit.runs import Run, RunStore

FOLDER = Path(__file__).parent / "runs"


def run_of(scenario: str) -> Run:
    return next(run for run in RunStore(FOLDER).list().runs if run.scenario == scenario)


def text_of(report: Report) -> str:
    drawn = ET.fromstring(render_text(report, Format.SVG))
    texts = ("".join(each.itertext()) for each in drawn.iter("{http://www.w3.org/2000/svg}text"))
    return " ".join(texts).replace("\xa0", " ")


def test_the_picture_shows_the_figures() -> None:
    shown = text_of(build_report([run_of("courses")]))

    assert "1,250" in shown
    assert "487 ms" in shown


def test_nothing_is_loaded_from_elsewhere() -> None:
    drawn = render_text(build_report([run_of("courses")]), Format.SVG)

    assert "url(" not in re.sub(r"url\(#[^)]*\)", "", drawn)
    assert "@font-face" not in drawn
    assert not re.search(r"""(href|src)\s*=\s*["']""", drawn)


def test_a_scenario_called_script_stays_text() -> None:
    name = "<script>alert(1)</script>"

    report = build_report([replace(run_of("courses"), scenario=name)])

    assert "<script" not in render_text(report, Format.SVG)
    assert name in text_of(report)


def test_the_picture_has_colours_where_there_is_no_terminal_and_none_are_wanted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    report = build_report([run_of("courses")])
    with_colours = render_text(report, Format.SVG)

    monkeypatch.setenv("NO_COLOR", "1")

    assert render_text(report, Format.SVG) == with_colours


@pytest.mark.processes
def test_the_name_of_the_file_asks_for_it(tmp_path: Path) -> None:
    runs = tmp_path / ".perfkit" / "runs"
    runs.mkdir(parents=True)
    for path in FOLDER.glob("*-courses-0a1b2c.json"):
        (runs / path.name).write_text(path.read_text())

    subprocess.run(
        [sys.executable, "-m", "perfkit", "report", "--rcu", "--output", "picture.svg"],
        cwd=tmp_path,
        check=True,
    )

    assert guess_format(Path("x.SVG")) is Format.SVG
    ET.fromstring((tmp_path / "picture.svg").read_text())
