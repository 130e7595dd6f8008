"""Text from files that would act on a terminal, or fill it: shown as what it is, and cut."""

import json
import re
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from typer.testing import CliRunner

from perfkit.cli import app
from perfkit.report import formats, terminal
from perfkit.report.build import build_report
from perfkit.report.formats import Format
from perfkit.runs import Run
from perfkit.runs.codec import decode

SAMPLE = min(Path(__file__).with_name("runs").glob("*courses*.json"))
VALID = Path(__file__).parents[1].joinpath("workloads", "notes.toml").read_text()

HOSTILE = "\x1b]0;owned\x07\x9b31m\x9d0;owned\x9c\u202e"
OBEYED = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def run_called(name: str) -> Run:
    data: dict[str, Any] = json.loads(SAMPLE.read_text())
    data["scenario"] = name
    for variant in data["variants"]:
        variant["question"] = name
    for comparison in data["comparisons"]:
        comparison["question"] = name
    return decode(json.dumps(data), SAMPLE.name)


@pytest.mark.parametrize("form", [form for form in Format if form is not Format.TERMINAL])
def test_no_report_holds_what_a_terminal_obeys(form: Format) -> None:
    text = formats.render_text(build_report([run_called(f"courses{HOSTILE}")]), form)

    assert "owned" in text
    assert OBEYED.search(text) is None


@pytest.mark.parametrize("form", list(Format))
def test_a_name_of_200_000_characters_is_cut_where_people_read_it(form: Format) -> None:
    report = build_report([run_called("語" * 200_000)])

    if form is Format.TERMINAL:
        console = Console(file=StringIO(), force_terminal=True, width=100)
        terminal.print_report(report, console)
        text = console.file.getvalue()  # type: ignore[attr-defined]
    else:
        text = formats.render_text(report, form)

    # JSON and CSV are read by programs
    longest = max(map(len, re.findall("語+", text.replace("\n", ""))), default=0)
    whole = json.dumps("語")[1:-1] * 200_000 in text or longest == 200_000
    assert whole is (form in {Format.JSON, Format.CSV})


def test_errors_show_what_a_terminal_obeys() -> None:
    Path("w.toml").write_text(VALID.replace('"NotesByAuthor"', json.dumps(f"x{HOSTILE}")))

    validated = CliRunner().invoke(app, ["workload", "validate", "w.toml"])
    absent = CliRunner().invoke(app, ["report", "--runs", f"{HOSTILE}"])
    seeded = CliRunner().invoke(app, ["seed", "--target", f"http://{HOSTILE}"])
    named = CliRunner().invoke(app, ["bench", "--scenario", f"x{HOSTILE}"])

    for answer in (validated, absent, seeded, named):
        assert answer.exit_code != 0
        assert OBEYED.search(answer.stderr) is None, answer.stderr
    assert r"x\x1b]0;owned" in named.stderr


def test_status_and_workload_show_what_a_terminal_obeys() -> None:
    Path("w.toml").write_text(
        VALID.replace('["red", "green"]', '["red", "green", "\\u001B[31m\\u009B1m"]')
    )

    shown = CliRunner().invoke(app, ["workload", "show", "w.toml"])
    document = CliRunner().invoke(app, ["workload", "show", "w.toml", "--json"])

    assert shown.exit_code == document.exit_code == 0
    assert OBEYED.search(shown.stdout) is None
    assert OBEYED.search(document.stdout) is None
    assert "\x1b[31m\x9b1m" in json.dumps(json.loads(document.stdout), ensure_ascii=False) or (
        "\\u001b[31m" in document.stdout
    )
