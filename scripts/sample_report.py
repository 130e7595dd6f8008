"""
Measure, and write one real sample of every format of `perfkit report` to `reports/`.

`make sample-report`; with `--runs FOLDER` from the runs saved there, without measuring.
"""

import argparse
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
SAMPLES = ROOT / "reports"
EXTRA_SCENARIOS = ("cache-hour", "ablation")
"""What `perfkit run` leaves out, and a full report shows."""

DOCUMENTS = ("report.txt", "report.md", "report.html", "report.json")
PICTURES = {"summary.svg": ("--rcu", "--scenario", "courses"), "dashboard.svg": ("--dashboard",)}
WIDTH, HEIGHT = 1280, 1600
"""Of the screenshots, in CSS pixels: the first screens of the page."""


def perfkit(*arguments: str, folder: Path) -> None:
    """Run a command as a user would, in a folder."""
    subprocess.run([sys.executable, "-m", "perfkit", *arguments], cwd=folder, check=True)


def measure(folder: Path) -> None:
    """Measure everything a report can show, with the defaults."""
    perfkit("run", "--yes", folder=folder)
    for scenario in EXTRA_SCENARIOS:
        perfkit("bench", "--scenario", scenario, folder=folder)


def write(folder: Path, samples: Path) -> None:
    """Write each format, the pictures of the terminal and the screenshots."""
    samples.mkdir(exist_ok=True)
    for name in DOCUMENTS:
        perfkit("report", "--output", str(samples / name), folder=folder)
    tables = samples / "csv"
    shutil.rmtree(tables, ignore_errors=True)
    perfkit("report", "--format", "csv", "--output", str(tables), folder=folder)
    for name, chosen in PICTURES.items():
        perfkit("report", *chosen, "--output", str(samples / name), folder=folder)
    for scheme in ("light", "dark"):
        photograph(samples / "report.html", samples / f"report-{scheme}.png", scheme)


def photograph(page: Path, picture: Path, scheme: str) -> None:
    """Take a screenshot of the first screens of a report in Chromium."""
    from playwright.sync_api import sync_playwright

    browser_path = shutil.which("chromium") or shutil.which("google-chrome")
    if browser_path is None:
        sys.exit("the screenshots need Chromium: apt-get install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=browser_path, args=["--no-sandbox", "--disable-quic"]
        )
        shown = browser.new_page(
            viewport={"width": WIDTH, "height": HEIGHT},
            color_scheme="dark" if scheme == "dark" else "light",
        )
        shown.goto(page.as_uri())
        shown.wait_for_function("document.documentElement.dataset.charts === 'drawn'")
        shown.screenshot(path=picture)
        browser.close()


def main() -> None:
    """Measure where no runs are given, then write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=Path, help="a folder that holds .perfkit/runs")
    folder = parser.parse_args().runs
    if folder is not None:
        write(folder.resolve(), SAMPLES)
        return
    with tempfile.TemporaryDirectory() as made:
        measure(Path(made))
        write(Path(made), SAMPLES)


if __name__ == "__main__":
    main()
