"""`perfkit report` from the outside: what it prints, where, and what it refuses."""

import json
import os
import shutil
import subprocess
import sys
from importlib.resources import files
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from perfkit.commands.options import report_command
from perfkit.commands.report import ReportCommand, report
from perfkit.errors import PerfkitError
from perfkit.report.model import Section
from perfkit.report.sections import SECTIONS, Entry, Topic

RUNS = Path(__file__).parents[1] / "report" / "runs"

APP = typer.Typer()
APP.command(cls=ReportCommand)(report)


@pytest.fixture(autouse=True)
def _folder_with_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(RUNS, tmp_path / ".perfkit" / "runs")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("COLUMNS", raising=False)


def perfkit_report(*arguments: str) -> Result:
    return CliRunner().invoke(APP, list(arguments))


def refusal(*arguments: str) -> tuple[int, str]:
    """Return the exit code and the line that the error boundary makes of an error."""
    result = perfkit_report(*arguments)
    assert isinstance(result.exception, PerfkitError)
    assert result.stdout == ""
    return result.exception.exit_code, str(result.exception)


def add_run_of_another_workload() -> None:
    """Save a newer run of a workload `elsewhere`."""
    written = max(Path(".perfkit/runs").glob("*-courses-*.json"))
    run = json.loads(written.read_text())
    run |= {"workload": "elsewhere", "workload_digest": "0" * 64, "scenario": "by-other"}
    run["started_at"] = "2026-01-02T10:00:00Z"
    Path(".perfkit/runs/20260102T100000Z-by-other-0a1b2c.json").write_text(json.dumps(run))


def test_it_is_about_the_workload_that_the_folder_names(monkeypatch: pytest.MonkeyPatch) -> None:
    add_run_of_another_workload()
    assert perfkit_report().stdout.startswith("elsewhere: ")

    text = files("perfkit.workloads").joinpath("courses.toml").read_text(encoding="utf-8")
    Path("perfkit.toml").write_text(text, encoding="utf-8")
    for chosen in ((), ("--cost",), ("--format", "csv"), ("--json",)):
        result = perfkit_report(*chosen)
        assert result.exit_code == 0
        assert ("courses" in result.stdout, "elsewhere" in result.stdout) == (True, False)
        assert "About workload courses; newer runs of elsewhere are left out" in result.stderr
    Path("perfkit.toml").unlink()
    monkeypatch.setenv("PERFKIT_WORKLOAD", "courses")
    assert perfkit_report().stdout.startswith("courses: ")


def test_what_follows_measuring_another_workload_is_about_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert report_command("other.toml") == "perfkit report"
    Path("perfkit.toml").write_text("")
    assert report_command(None) == "perfkit report"
    assert report_command("my other.toml") == "perfkit report --workload 'my other.toml'"
    monkeypatch.setenv("PERFKIT_WORKLOAD", "other.toml")
    assert report_command("other.toml") == "perfkit report"


def test_a_workload_chooses_its_runs() -> None:
    add_run_of_another_workload()
    Path("third.toml").write_text(
        'name = "third"\ndescription = "A table"\n[tables.Third]\n'
        'partition_key = { name = "id", type = "S" }\n'
    )

    assert perfkit_report("--workload", "courses").stdout.startswith("courses: ")
    code, said = refusal("--workload", "third.toml")
    assert code == 2
    assert "no runs of workload third (third.toml) are saved here; there are of elsewhere" in said
    # one that the folder names may be without any
    Path("third.toml").rename("perfkit.toml")
    assert perfkit_report().stdout.startswith("elsewhere: ")


@pytest.mark.parametrize("width", [80, 100, 120])
@pytest.mark.parametrize(
    "chosen", [(), ("--cost",), ("--rcu", "--latency"), ("--scenario", "courses")]
)
def test_one_screen_says_where_the_rest_is(
    width: int, chosen: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))

    lines = perfkit_report(*chosen).stdout.splitlines()

    assert len(lines) <= 60
    assert max(map(len, lines)) <= width
    assert "-v prints all figures, --open shows a page, --output FILE writes a file" in " ".join(
        line.strip() for line in lines
    )


def test_everything_is_shown_with_v() -> None:
    result = perfkit_report("-v")

    assert (result.exit_code, result.stderr) == (0, "")
    headings = [line for line in result.stdout.splitlines() if set(line) == {"-"}]
    assert "Summary\n-------\n" in result.stdout
    assert len(headings) >= 8


def test_one_scenario_can_be_chosen() -> None:
    result = perfkit_report("--scenario", "profile", "-v")

    assert "\nprofile\n-------\n" in result.stdout
    assert "courses\n-------" not in result.stdout


def headings(result: Result) -> list[str]:
    assert (result.exit_code, result.stderr) == (0, "")
    document = json.loads(result.stdout)
    return [section["name"] for section in document["sections"]]


def test_a_flag_chooses_the_sections_about_it() -> None:
    shown = headings(perfkit_report("--json", "--rcu"))

    assert "summary" in shown
    assert "machine" not in shown


@pytest.mark.parametrize(
    ("arguments", "note"),
    [
        (
            ("--rcu", "--rps", "50"),
            "--rps changes nothing of a report without costs; add --cost.\n",
        ),
        (
            ("--rcu", "--explain", "--prices", "list", "--free-tier"),
            "--explain, --prices and --free-tier change nothing of a report without costs; add --cost.\n",
        ),
        (
            ("--cost", "--prices", "quoted", "--region", "eu-west-1", "--free-tier"),
            "--region and --free-tier change nothing of amounts as quoted; leave out --prices quoted.\n",
        ),
        (("--cost", "--prices", "list", "--rps", "50", "--explain", "--free-tier"), ""),
        (("--dashboard", "--prices", "list"), ""),
        (("--prices", "quoted", "--explain"), ""),
    ],
)
def test_options_about_cost_that_change_nothing_are_named(
    arguments: tuple[str, ...], note: str
) -> None:
    result = perfkit_report(*arguments)

    assert (result.exit_code, result.stderr) == (0, note)


@pytest.mark.parametrize(("arguments", "is_idle"), [((), True), (("--output", "r.html"), False)])
def test_a_title_without_a_page_is_not_ignored_silently(
    arguments: tuple[str, ...], is_idle: bool
) -> None:
    result = perfkit_report("--title", "Mine", *arguments)

    assert ("--title changes nothing but an HTML page" in result.stderr) == is_idle


def test_several_flags_choose_what_each_of_them_does() -> None:
    """The missing part is named, and does not hide the rest."""
    shown = headings(perfkit_report("--json", "--cost", "--rcu"))

    assert {"warnings", "summary", "access-pattern"} <= set(shown)


@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param(("--architecture", "--json"), id="before another option"),
        pytest.param(("--json", "--architecture"), id="last"),
    ],
)
def test_architecture_may_stand_alone(arguments: tuple[str, ...]) -> None:
    assert "summary" not in headings(perfkit_report(*arguments))


def test_a_topic_without_runs_says_which_command_measures_it() -> None:
    result = perfkit_report("--dashboard")

    assert (
        "Nothing about dashboard yet: measure the service with `perfkit bench --scenario phases`"
        " or `perfkit load`." in " ".join(result.stdout.split())
    )


@pytest.mark.parametrize("output", [(), ("--output", "tables"), ("--output", "t.csv")])
def test_csv_of_a_report_without_tables_is_an_error(
    output: tuple[str, ...], tmp_path: Path
) -> None:
    """The saved runs have no service, so its dashboard is a sentence on how to measure it."""
    code, message = refusal("--dashboard", "--format", "csv", *output)

    assert code == 2
    assert message.startswith("nothing of this report is a table, and CSV has tables only; ")
    assert not (tmp_path / "tables").exists()
    assert not (tmp_path / "t.csv").exists()


def test_topics_that_need_runs_are_refused_without_any(tmp_path: Path) -> None:
    shutil.rmtree(tmp_path / ".perfkit")

    assert refusal("--rcu") == (
        2,
        "no runs saved in .perfkit/runs; measure with `perfkit bench` first",
    )


def test_a_topic_that_needs_no_runs_is_shown_without_any(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What things cost by list price is known before anything was measured."""
    shutil.rmtree(tmp_path / ".perfkit")
    prices = Section(name="cost", title="Prices", blocks=())
    entry = Entry(lambda _: [prices], frozenset({Topic.COST}), needs_runs=False)
    monkeypatch.setattr("perfkit.report.sections.SECTIONS", {**SECTIONS, "cost": entry})
    monkeypatch.setattr("perfkit.report.build.SECTIONS", {**SECTIONS, "cost": entry})

    result = perfkit_report("--cost", "--json")

    document = json.loads(result.stdout)
    assert document["title"] == "perfkit report"
    assert [section["name"] for section in document["sections"]] == ["cost"]


def test_json_is_one_document_and_nothing_else() -> None:
    result = perfkit_report("--json")

    assert json.loads(result.stdout)["kind"] == "report"
    assert result.stdout == perfkit_report("--format", "json").stdout


def test_csv_on_standard_output_is_the_main_table_and_names_the_others() -> None:
    result = perfkit_report("--format", "csv")

    assert result.stdout.startswith("scenario,workload,target,started_at,run,variant,")
    assert result.stderr == (
        "Left out: answer, answer-cost, summary, comparisons, beside-quoted, cost-before-quoted, cost-after-quoted,"
        " cost-before-list, cost-after-list, cost-before-and-after, cost-totals, cost-prices,"
        " cost-million-calls, machine. Give --output a folder for one file each.\n"
    )


@pytest.mark.parametrize(
    ("name", "beginning"),
    [
        ("courses.md", "# perfkit report: workload courses"),
        ("courses.json", '{\n  "format": 1,\n  "kind": "report"'),
        ("courses.txt", "perfkit report: workload courses"),
        ("courses.csv", "scenario,workload,target"),
        ("courses.html", "<!doctype html>"),
    ],
)
def test_output_goes_to_the_file_in_the_format_of_its_name(
    name: str, beginning: str, tmp_path: Path
) -> None:
    result = perfkit_report("--output", name)

    assert (result.exit_code, result.stdout) == (0, "")
    assert result.stderr.startswith(f"Wrote {name}\n")
    written = tmp_path / name
    assert written.read_text(encoding="utf-8").startswith(beginning)

    # a report may take the place of one, and of nothing else
    assert perfkit_report("--output", name).exit_code == 0
    written.write_text("# perf notes of mine\n")
    code, message = refusal("--output", name)
    assert code == 2
    assert message.startswith(
        f"{name} is there already, and is no such report of perfkit's; --force"
    )
    assert written.read_text() == "# perf notes of mine\n"
    assert perfkit_report("--output", name, "--force").exit_code == 0
    assert written.read_text(encoding="utf-8").startswith(beginning)


def test_csv_into_a_folder_is_one_file_for_each_table(tmp_path: Path) -> None:
    result = perfkit_report("--format", "csv", "--output", "tables")

    written = sorted(path.name for path in (tmp_path / "tables").iterdir())
    assert result.exit_code == 0
    assert written == [
        "answer-cost.csv",
        "answer.csv",
        "beside-quoted.csv",
        "comparisons.csv",
        "cost-after-list.csv",
        "cost-after-quoted.csv",
        "cost-before-and-after.csv",
        "cost-before-list.csv",
        "cost-before-quoted.csv",
        "cost-million-calls.csv",
        "cost-prices.csv",
        "cost-totals.csv",
        "machine.csv",
        "summary.csv",
        "variants.csv",
    ]


def test_a_damaged_run_file_is_a_warning_and_the_rest_is_shown(tmp_path: Path) -> None:
    damaged = tmp_path / ".perfkit" / "runs" / "20260101T100020Z-profile-0a1b2c.json"
    damaged.write_bytes(damaged.read_bytes()[:1000])

    result = perfkit_report("-v")

    assert result.exit_code == 0
    assert result.stderr.startswith("Warning: run file .perfkit/runs/20260101T100020Z-profile")
    assert "leave it out and measure again" in result.stderr
    assert "1 run file could not be read and left out." in result.stdout
    assert "\nenrollments\n-----------\n" in result.stdout


def test_no_runs_at_all_is_one_line_with_what_to_do(tmp_path: Path) -> None:
    shutil.rmtree(tmp_path / ".perfkit")

    assert refusal() == (
        2,
        "no runs saved in .perfkit/runs; measure with `perfkit bench` first",
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        pytest.param(
            ("--scenario", "course"),
            (
                "no saved run of a scenario named 'course'; did you mean 'courses'?"
                " Saved are courses, enrollments, instructor, profile"
            ),
            id="a scenario misspelt",
        ),
        pytest.param(
            ("--scenario", "42"),
            (
                "no saved run of a scenario named '42';"
                " saved are courses, enrollments, instructor, profile"
            ),
            id="a scenario nobody knows",
        ),
        pytest.param(
            ("--json", "--format", "csv"),
            "--json and --format csv contradict each other; give one of them",
            id="two formats",
        ),
        pytest.param(
            ("--output", ".perfkit", "--format", "json"),
            ".perfkit is a folder; give --output the name of a file in it",
            id="a folder for a file",
        ),
        pytest.param(
            ("--output", "out/report.md"),
            "cannot write out/report.md: no folder out; make it or give another --output",
            id="no folder",
        ),
    ],
)
def test_what_cannot_be_is_refused(arguments: tuple[str, ...], message: str) -> None:
    assert refusal(*arguments) == (2, message)


def test_an_unknown_format_is_refused_with_the_choices() -> None:
    result = perfkit_report("--format", "pdf")

    assert result.exit_code == 2
    assert "terminal" in result.stderr


def _in_process(
    arguments: str, stdout: int, **environment: str
) -> subprocess.CompletedProcess[str]:
    program = f"import sys\nfrom tests_app import APP\nAPP({arguments!r}.split())"
    Path("tests_app.py").write_text(
        "import typer\nfrom perfkit.commands.report import report\n"
        "APP = typer.Typer(pretty_exceptions_enable=False)\nAPP.command()(report)\n"
    )
    return subprocess.run(
        [sys.executable, "-c", program],
        stdout=stdout,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": ".", **environment},
    )


@pytest.mark.processes
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
@pytest.mark.parametrize("arguments", ["", "--scenario profile", "--json", "--format markdown"])
def test_a_full_disk_behind_a_redirection_is_one_error(arguments: str) -> None:
    with Path("/dev/full").open("wb") as full:
        result = _in_process(arguments, full.fileno())

    last_line = result.stderr.splitlines()[-1]
    assert result.returncode == 1
    assert last_line == (
        "perfkit.errors.StorageFullError: no space left to write the report to standard output;"
        " free some and try again"
    )


@pytest.mark.processes
def test_a_locale_without_the_signs_gets_question_marks() -> None:
    result = _in_process(
        "--scenario courses", subprocess.PIPE, PYTHONIOENCODING="ascii", PYTHONUTF8="0"
    )

    assert (result.returncode, result.stderr) == (0, "")
    assert "228? faster" in result.stdout


@pytest.fixture
def browser(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make a browser that only notes what it was asked to open, and return where."""
    opened = tmp_path / "opened.txt"
    program = tmp_path / "browser"
    program.write_text(f'#!/bin/sh\nprintf %s "$1" > "{opened}"\n')
    program.chmod(0o755)
    forget_browsers(monkeypatch)
    monkeypatch.setenv("BROWSER", str(program))
    return opened


def forget_browsers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let Python look for browsers again, as a new process does."""
    monkeypatch.setattr("webbrowser._tryorder", None)
    monkeypatch.setattr("webbrowser._browsers", {})


@pytest.mark.processes
def test_open_writes_a_page_and_shows_it(browser: Path, tmp_path: Path) -> None:
    result = perfkit_report("--open")

    page = tmp_path / ".perfkit" / "report.html"
    assert (result.exit_code, result.stderr) == (0, "Wrote .perfkit/report.html\n")
    assert page.read_text().startswith("<!doctype html>")
    assert browser.read_text() == page.as_uri()


@pytest.mark.processes
def test_open_shows_the_page_that_output_names(browser: Path, tmp_path: Path) -> None:
    perfkit_report("--open", "--output", "a b#c.html")

    assert browser.read_text() == (tmp_path / "a b#c.html").as_uri()
    assert browser.read_text().endswith("/a%20b%23c.html")


def test_open_without_a_browser_says_where_the_page_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A browser inside the terminal would take it over, so it counts as none."""
    programs = tmp_path / "programs"
    programs.mkdir()
    (programs / "lynx").symlink_to("/bin/false")
    forget_browsers(monkeypatch)
    for variable in ("BROWSER", "DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("PATH", str(programs))
    monkeypatch.setenv("TERM", "xterm")

    result = perfkit_report("--open")

    page = tmp_path / ".perfkit" / "report.html"
    assert result.exit_code == 0
    assert result.stderr == (f"Wrote .perfkit/report.html\nNo browser here; open {page} in one.\n")


@pytest.mark.parametrize(
    ("arguments", "asked"),
    [
        pytest.param(("--json",), "json", id="json"),
        pytest.param(("--format", "markdown"), "markdown", id="a format"),
        pytest.param(("--output", "report.md"), "markdown", id="a file name"),
    ],
)
def test_open_refuses_another_format(arguments: tuple[str, ...], asked: str) -> None:
    assert refusal("--open", *arguments) == (
        2,
        f"--open shows HTML, and {asked} was asked for too; leave one of them out",
    )
