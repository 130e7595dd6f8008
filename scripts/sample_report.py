"""
Measure, and write one real sample of every format of `perfkit report` to `reports/`.

`make sample-report`; with `--runs FOLDER` from the runs saved there, without measuring.

With `--load` it is the load tests instead, `reports/load.*`: phases 0 and 3 as they are, like AWS,
and phase 0 like AWS with the read units of the reference document's bill. That takes about a quarter
of an hour and wants a machine without other work.

With `--users` it is the reference document's load tests, `reports/load-200-users.*` and
`reports/load-50-users.*`; that takes another quarter.
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

LOAD_DOCUMENTS = ("load.txt", "load.md", "load.html", "load.json")
LOAD_TITLE = "The reference service under load, before and after"
LOAD_S = 120
LOADED = (0, 3)
USERS = {200: "10m", 50: "5m"}
"""Of the reference document's load tests, and how long they ask."""

FLEET = ("fleet", "--rate", "200", "--p95", "200ms", "-v")
TABLES = ("Courses", "Enrollments", "Users")
BILL = {"ReadCapacityUnits": 100, "WriteCapacityUnits": 50}
"""What the reference document provisions before."""

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


def measure_load(folder: Path) -> None:
    """Load the service at its first and its last phase, as it is and as on AWS."""
    perfkit("seed", folder=folder)
    perfkit("create-indexes", "--yes", folder=folder)
    # the lag of indexes stays in the file, so those like AWS come last
    for like in ((), ("--like-aws",)):
        for phase in LOADED:
            load(phase, *like, folder=folder)
    with tempfile.TemporaryDirectory() as other:
        billed = Path(other)
        perfkit("seed", folder=billed)
        provision(billed / ".perfkit" / "dynamodb.sqlite3")
        load(0, "--like-aws", folder=billed)
        for run in (billed / ".perfkit" / "runs").glob("*.json"):
            shutil.copy(run, folder / ".perfkit" / "runs")


def load(phase: int, *options: str, folder: Path) -> None:
    """Load a phase; requests that fail are a result, not a reason to end."""
    command = [sys.executable, "-m", "perfkit", "load", "--phase", str(phase)]
    command += ["--duration", f"{LOAD_S}s", "--users", "50", "--timeout", "60s", *options]
    done = subprocess.run(command, cwd=folder, check=False)
    if done.returncode not in {0, 3}:
        sys.exit(f"loading phase {phase} ended with {done.returncode}")


def provision(data: Path) -> None:
    """Give tables the units of the document's bill."""
    from perfkit.dynamodb.client import embedded_client

    client = embedded_client(data)
    for name in TABLES:
        client.update_table(TableName=name, BillingMode="PROVISIONED", ProvisionedThroughput=BILL)
    client.close()


def write_load(folder: Path, samples: Path) -> None:
    """Write a report of the load tests in each format, and what a rate needs by them."""
    samples.mkdir(exist_ok=True)
    for name in LOAD_DOCUMENTS:
        shown = ["report", "--dashboard", "--output", str(samples / name)]
        if name.endswith(".html"):
            shown += ["--title", LOAD_TITLE]
        perfkit(*shown, folder=folder)
    done = subprocess.run(
        [sys.executable, "-m", "perfkit", *FLEET],
        cwd=folder,
        check=True,
        capture_output=True,
        text=True,
    )
    (samples / "fleet.txt").write_text(done.stdout, encoding="utf-8")


def measure_users(folder: Path) -> None:
    """Let many users ask the service at its last phase, in a folder for each number of them."""
    for users, duration in USERS.items():
        own = folder / str(users)
        own.mkdir()
        perfkit("seed", folder=own)
        perfkit("create-indexes", "--yes", folder=own)
        command = ["load", "--phase", "3", "--service-workers", "2"]
        perfkit(*command, "--users", str(users), "--duration", duration, folder=own)


def write_users(folder: Path, samples: Path) -> None:
    """Write what the service answered to each number of users, and its dashboard."""
    samples.mkdir(exist_ok=True)
    for users in USERS:
        for form in ("md", "html"):
            page = str(samples / f"load-{users}-users.{form}")
            shown = ["report", "--latency", "--dashboard", "--output", page]
            perfkit(*shown, folder=folder / str(users))


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
    parser.add_argument("--load", action="store_true", help="the load tests instead")
    parser.add_argument("--users", action="store_true", help="those of 200 and 50 users")
    options = parser.parse_args()
    measured, written = measure, write
    if options.load:
        measured, written = measure_load, write_load
    elif options.users:
        measured, written = measure_users, write_users
    if options.runs is not None:
        written(options.runs.resolve(), SAMPLES)
        return
    with tempfile.TemporaryDirectory() as made:
        measured(Path(made))
        written(Path(made), SAMPLES)


if __name__ == "__main__":
    main()
