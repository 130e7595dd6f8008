"""
How long a browser takes to open and draw an HTML report, and how large the file is.

`python -m benchmarks.html_report FOLDER` measures the report of the runs in a folder instead.
"""

import json
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.section import Aim, Section, Table
from perfkit.report.build import build_report
from perfkit.report.html import render_report
from perfkit.report.model import Bars, Curves, Report, Waterfall
from perfkit.report.model import Table as ReportTable
from perfkit.runs import Run, RunStore
from perfkit.runs.codec import decode
from perfkit.units import format_bytes, format_count

__all__ = ["compare", "sample_runs"]

_ROOT = Path(__file__).parents[1]
_SAMPLE = _ROOT / "reports" / "report.json"
_SMALL = _ROOT / "tests" / "report" / "runs"
_LIMIT_S = 1.0
_LIMIT_MB = 1.5
_ARGUMENTS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
]  # fmt: skip
_DRAWN = "a full report opened and drawn in Chromium, median"
# The second frame begins when the first, with every chart in it, has been handed to the screen.
_WAIT = """() => new Promise((done) => {
  if (document.documentElement.dataset.charts !== 'drawn') throw new Error('not drawn');
  requestAnimationFrame(() => requestAnimationFrame(() => done(performance.now() / 1000)));
})"""


def compare(*, quick: bool) -> Section:
    """Measure the report of the committed sample, or of the test suite's runs without one."""
    runs, source = sample_runs()
    return _measure(runs, source, rounds=3 if quick else 15)


def sample_runs() -> tuple[tuple[Run, ...], str]:
    """Return the runs of the committed sample, or the test suite's, and what to call them."""
    if _SAMPLE.exists():
        document = json.loads(_SAMPLE.read_text(encoding="utf-8"))
        runs = tuple(decode(json.dumps(run), str(_SAMPLE)) for run in document["runs"])
        return runs, f"the runs in `{_SAMPLE.relative_to(_ROOT)}`"
    small = tuple(RunStore(_SMALL).list().runs)
    return small, "the runs of the test suite, which are fewer than a full run"


def _measure(runs: Sequence[Run], source: str, *, rounds: int) -> Section:
    report = build_report(runs)
    start_s = time.perf_counter()
    text = render_report(report)
    written_s = time.perf_counter() - start_s
    size_mb = len(text.encode()) / 1e6
    opened_s = _open(text, rounds)
    rows = [
        ["written by perfkit, once, templates read", f"{written_s * 1e3:.0f} ms"],
        ["size", format_bytes(len(text.encode()))],
        ["charts", format_count(_count(report, Bars, Curves, Waterfall))],
        ["tables", format_count(_count(report, ReportTable))],
    ]
    aims = [Aim.at_most("size of the file", size_mb, _LIMIT_MB, " MB")]
    if opened_s:
        rows += [
            ["opened and drawn, median", f"{statistics.median(opened_s) * 1e3:.0f} ms"],
            ["opened and drawn, slowest", f"{max(opened_s) * 1e3:.0f} ms"],
        ]
        aims.insert(0, Aim.at_most(_DRAWN, statistics.median(opened_s), _LIMIT_S, " s"))
    else:
        aims.insert(0, Aim.unknown(_DRAWN, "no chromium on the PATH"))
    return Section(
        title="An HTML report in a browser",
        method=(
            f"The report of {source}, opened {rounds} times from disk, each time in a new context of"
            " one headless Chromium, 1,280 by 900 pixels.\n"
            "Timed from the start of the navigation to the frame after every chart was drawn;"
            " the start of Chromium is not in it."
        ),
        tables=[Table(["", "full report"], rows)],
        aims=aims,
        hides_cpu=True,
    )


def _count(report: Report, *kinds: type) -> int:
    return sum(isinstance(block, kinds) for each in report.sections for block in each.blocks)


def _open(text: str, rounds: int) -> list[float]:
    """Return the seconds of each opening; none without a browser."""
    from playwright.sync_api import sync_playwright

    program = shutil.which("chromium") or shutil.which("chromium-browser")
    if program is None:
        return []
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        path = Path(folder) / "report.html"
        path.write_text(text, encoding="utf-8")
        browser = playwright.chromium.launch(executable_path=program, args=_ARGUMENTS)
        # The first page pays for starting the processes that draw.
        _open_once(browser, path)
        seconds = [_open_once(browser, path) for _ in range(rounds)]
        browser.close()
    return seconds


def _open_once(browser: Any, path: Path) -> float:
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    page = context.new_page()
    page.goto(path.as_uri())
    seconds = float(page.evaluate(_WAIT))
    context.close()
    return seconds


if __name__ == "__main__":
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else None
    section = (
        _measure(RunStore(folder).list().runs, f"the runs in `{folder}`", rounds=15)
        if folder is not None
        else compare(quick=False)
    )
    print(section.to_markdown())
