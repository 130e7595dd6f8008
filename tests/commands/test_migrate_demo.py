"""`perfkit migrate demo`: once for real, in small, and what it refuses before it begins."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any, NoReturn

import psutil
import pytest
from typer.testing import CliRunner

from perfkit.cli import app
from perfkit.processes import proxy
from perfkit.runs import Run, RunStore

PERFKIT = Path(sys.executable).with_name("perfkit")
SMALL = ["migrate", "demo", "--pace", "1s", "--scale", "0.01"]


def processes_of(folder: Path) -> list[str]:
    """Return the command lines of the processes that work in a folder, this one left out."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.cwd() == str(folder) and process.pid != os.getpid():
                found.append(" ".join(process.cmdline()))
        except psutil.Error:
            continue
    return found


def number_in(text: str) -> int:
    """Return the first number of a text."""
    return int(re.findall(r"[0-9,]+", text)[0].replace(",", ""))


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, missing: Callable[[str], NoReturn]) -> Path:
    """Return the folder of the demo that the tests of this module share."""
    folder = tmp_path_factory.mktemp("demo")
    if not isinstance(proxy.find_proxy(folder), proxy.HaProxy):
        missing("haproxy is missing: install it with the system's package manager")
    return folder


def environment(home: Path) -> dict[str, str]:
    """Return one in which temporary files are in a folder of their own."""
    temporary = home / "temporary"
    temporary.mkdir(exist_ok=True)
    return {**os.environ, "TMPDIR": str(temporary)}


@pytest.fixture(scope="module")
def shown(home: Path) -> dict[str, Any]:
    """Return what a small demo, run for real, said of itself."""
    (home / "demo.html").write_text("somebody else's")
    done = subprocess.run(
        [str(PERFKIT), *SMALL, "--output", "demo.html", "--force", "--open", "--json"],
        cwd=home,
        env={**environment(home), "BROWSER": "true"},
        capture_output=True,
        text=True,
        check=False,
    )
    # a machine that is too busy for who makes the requests makes the measurement invalid
    assert done.returncode in {0, 3}, done.stderr
    document: dict[str, Any] = json.loads(done.stdout)
    assert all(each.startswith("the generator") for each in document["invalid"])
    return document


@pytest.fixture
def run(home: Path, shown: dict[str, Any]) -> Run:
    """Return the run as it was saved."""
    return RunStore(home / ".perfkit" / "runs").load(shown["run"])


@pytest.mark.processes
def test_no_request_fails_from_the_first_scan_to_the_last_query(shown: dict[str, Any]) -> None:
    assert (shown["errors"], shown["throttles"]) == (0, 0)
    assert shown["requests"] > 0
    assert shown["calm_from"] == "phase 0"
    assert [each["name"] for each in shown["stages"]] == [f"phase {n}" for n in range(4)]
    # scans take more than queries and what is cached, whatever was asked how often
    units = [each["measures"]["rcu_per_request"] for each in shown["stages"]]
    assert units[0] > units[3]


@pytest.mark.processes
def test_every_step_is_done_in_its_order(shown: dict[str, Any]) -> None:
    events = {each["name"]: each for each in shown["events"]}

    assert [*events] == [
        *("planned", "checked", "created", "verified"),
        *("phase 1: cache", "phase 2: indexes", "phase 3: all"),
    ]
    moments = [each["at_s"] for each in events.values()]
    assert moments == sorted(moments)
    assert events["planned"]["detail"].startswith("4 indexes on 2 tables")
    # every course and every enrollment is in two indexes
    items = number_in(events["checked"]["detail"])
    assert items > 500
    assert number_in(events["verified"]["detail"]) == 2 * items


@pytest.mark.processes
def test_nothing_is_left_but_the_run_and_the_page(home: Path, shown: dict[str, Any]) -> None:
    assert processes_of(home) == []
    assert [*(home / "temporary").iterdir()] == []
    assert not (home / ".perfkit" / "dynamodb.sqlite3").exists()
    assert [each.stem for each in (home / ".perfkit" / "runs").iterdir()] == [shown["run"]]
    assert not (home / ".perfkit" / "migrations").exists()


@pytest.mark.processes
def test_the_run_is_a_load_test_with_its_stages(run: Run) -> None:
    assert run.load_test is not None
    assert run.scenario == "migrate-demo"
    seconds, stages = run.load_test.seconds, run.load_test.stages

    # whole seconds, apart from each other, and no more requests than there were
    assert all(one.end_s <= two.start_s for one, two in pairwise(stages))
    counted = sum(each.figures.requests for each in stages if each.figures is not None)
    assert 0 < counted <= sum(each.requests for each in seconds)


@pytest.mark.processes
def test_the_page_shows_every_event_on_every_chart(
    home: Path, shown: dict[str, Any], open_page: Callable[..., Any]
) -> None:
    page = (home / "demo.html").read_text()
    names = {each["name"] for each in shown["events"]}
    for options in ({}, {"color_scheme": "dark"}, {"width": 400}):
        opened = open_page(page, **options)

        assert opened.complaints == []
        texts = opened.evaluate(
            """() => [...document.querySelectorAll('.of-load-stages .drawing')].map((place) =>
              [...place.querySelectorAll('text')].map((text) => text.textContent))"""
        )
        # no request failed, and of failures there is no chart
        assert len(texts) == 3
        assert all(names <= set(each) for each in texts)
        assert opened.evaluate("document.documentElement.scrollWidth <= innerWidth")
        assert [url.partition(":")[0] for url in opened.requests] == ["file"]
    assert "From phase 0 to phase 3 without a failed request" in page


@pytest.mark.processes
def test_sigterm_ends_it_early_with_what_there_is(home: Path, tmp_path: Path) -> None:
    """As Ctrl-C does; with the limits of AWS, and tables that are kept."""
    command = [str(PERFKIT), *SMALL, "--pace", "60s", "--like-aws", "--data", "tables.sqlite3"]
    with subprocess.Popen(
        command,
        cwd=tmp_path,
        env=environment(home),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stderr is not None
        # a line about the load: requests are made
        while "users" not in (line := process.stderr.readline()):
            assert line, "it ended"
        time.sleep(2.5)
        process.send_signal(signal.SIGTERM)
        output, errors = process.communicate()

    assert process.returncode == 130, errors
    assert "Interrupted after" in output
    (saved,) = RunStore(tmp_path / ".perfkit" / "runs").list().runs
    assert saved.load_test is not None
    assert saved.load_test.interrupted
    assert saved.modelled_of_aws == ("throughput", "latency", "index delay")
    assert (saved.settings["read_units"], saved.settings["write_units"]) == (34, 17)
    assert "each index gets as many of its own" in str(saved.doubts[0])
    assert (tmp_path / ".perfkit" / "demo.html").exists()
    assert (tmp_path / "tables.sqlite3").exists()
    for _ in range(600):
        if not processes_of(tmp_path):
            break
        time.sleep(0.1)
    assert processes_of(tmp_path) == []
    assert [*(home / "temporary").iterdir()] == []


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        pytest.param(["--pace", "soon"], "--pace 'soon' is no duration", id="no time"),
        pytest.param(["--pace", "0.1s"], "--pace 0.1s is out of range", id="too short"),
        pytest.param(["--pace", "1h"], "--pace 1h is out of range", id="too long"),
        pytest.param(["--data", "there"], "there is there already", id="a file is there"),
        pytest.param(["--output", "no/a.html"], "no folder no", id="no folder"),
        pytest.param(["--output", "."], ". is a folder", id="a folder"),
        pytest.param(["--output", "there"], "--force replaces it", id="another file"),
    ],
)
def test_what_cannot_be_is_one_clear_line(
    arguments: list[str], words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("there").write_text("mine")
    monkeypatch.setattr("perfkit.demo.find_proxy", lambda folder: proxy.HaProxy("haproxy", folder))

    result = CliRunner().invoke(app, ["migrate", "demo", *arguments])

    assert result.exit_code == 2
    assert words in result.stderr
    assert result.stderr.startswith("Error: ")
    assert result.stderr.count("\n") == 1
    assert Path("there").read_text() == "mine"


def test_without_haproxy_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """nginx would do for instances that stay, and cannot be told of others."""
    monkeypatch.setattr("perfkit.demo.find_proxy", lambda folder: proxy._Nginx("nginx", folder))

    result = CliRunner().invoke(app, ["migrate", "demo"])

    assert result.exit_code == 2
    assert "haproxy is not installed" in result.stderr
    assert "apt install haproxy" in result.stderr
    assert not Path(".perfkit").exists()


def test_a_scale_of_nothing_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("perfkit.demo.find_proxy", lambda folder: proxy.HaProxy("haproxy", folder))

    result = CliRunner().invoke(app, ["migrate", "demo", "--scale", "0"])

    assert result.exit_code == 2
    assert "scale" in result.stderr
