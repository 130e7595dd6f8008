"""`perfkit load`: what it says to requests that cannot be right, before anything starts."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from perfkit.cli import app
from perfkit.commands.load import _compare_hint
from perfkit.commands.load_view import _history
from perfkit.commands.options import parse_duration
from perfkit.errors import ConfigError
from perfkit.runs import LoadModel, Run, RunStore
from perfkit.settings import RUNS_FOLDER

MIX = '[requests.ok]\npath = "/ok"\n'


def load(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["load", *arguments])
    return result.exit_code, result.stderr


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("30s", 30.0), ("10m", 600.0), ("200ms", 0.2), ("1.5h", 5400.0), ("7", 7.0), (".5 s", 0.5)],
)
def test_durations_are_read_as_people_write_them(text: str, seconds: float) -> None:
    assert parse_duration(text, "--duration") == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["-5s", "soon", "", "5 parsecs", "nan", "1e9", "10d", "8000h"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="--duration"):
        parse_duration(text, "--duration")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        pytest.param(["--duration", "-5s"], "--duration '-5s' is no duration", id="negative"),
        pytest.param(["--duration", "0s"], "--duration 0s is out of range", id="no time"),
        pytest.param(["--think", "-1"], "--think '-1' is no duration", id="negative pause"),
        pytest.param(["--rate", "-3"], "--rate -3 is out of range", id="negative rate"),
        pytest.param(["--rate", "5", "--think", "1s"], "--think and --rate contradict", id="both"),
        pytest.param(["--url", "localhost:80"], "no URL", id="no scheme"),
        pytest.param(["--url", "http://a:b@c"], "would be written into the run", id="password"),
        pytest.param(["--url", "http://a/?b=c"], "has a query", id="query"),
        pytest.param(["--url", "http://a:99999"], "no URL", id="no such port"),
        pytest.param(["--url", "http://a"], "describe it with --mix", id="nothing to ask"),
        pytest.param(["--url", "http://a", "--phase", "1"], "contradict", id="two services"),
        pytest.param(["--mix", "none.toml"], "--mix none.toml: there is no such file", id="no mix"),
        pytest.param(
            ["--phase", "3", "--metrics", "http://a/metrics"],
            "--metrics goes with --url",
            id="none's",
        ),
        pytest.param([], "no service is up; give --phase", id="no service"),
        pytest.param(["--worker"], "give --master-host", id="no master"),
        pytest.param(["--master", "--processes", "2"], "leave --processes out", id="busy master"),
        pytest.param(["--find-max"], "--find-max needs a limit; add --p95", id="no limit"),
        pytest.param(["--p95", "1s"], "is the limit of --find-max", id="no search"),
        pytest.param(["--github"], "GITHUB_STEP_SUMMARY is not set", id="no job of GitHub's"),
        pytest.param(["--junit", "no/a.xml"], "there is no folder no", id="no folder"),
        pytest.param(["--gate", "speed < 3"], "no metric 'speed'", id="no such metric"),
    ],
)
def test_a_request_that_cannot_be_right_is_one_clear_line(
    arguments: list[str], words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("GITHUB_STEP_SUMMARY", raising=False)

    code, errors = load(*arguments)

    assert code == 2
    assert errors.startswith("Error: ")
    assert errors.count("\n") == 1
    assert words in errors


@pytest.mark.parametrize(
    ("mix", "words"),
    [
        pytest.param(MIX, "name: missing", id="no name"),
        pytest.param('name = "a"\n', "requests: missing", id="no requests"),
        pytest.param('name = "a"\n[requests.x]\npth = "/"\n', "did you mean 'path'", id="typo"),
        pytest.param('name = "a"\n[requests.x]\npath = "ok"\n', "from its slash on", id="path"),
        pytest.param(
            'name = "a"\n[requests.x]\npath = "/{who}"\n',
            "mix.toml:3: requests.x.path: no values for {who}; write [values.who]",
            id="no values",
        ),
        pytest.param(
            'name = "a"\n[values.u]\nfile = "u.csv"\n[requests.x]\npath = "/{u.nmae}"\n',
            "no column 'nmae'; did you mean 'name'",
            id="no such column",
        ),
        pytest.param(
            'name = "a"\n[values.u]\nfile = "gone"\n[requests.x]\npath = "/{u}"\n',
            "gone cannot be read: No such file or directory",
            id="no such file",
        ),
        pytest.param(
            'name = "a"\n[values.u]\nrange = [5, 1]\n[requests.x]\npath = "/{u}"\n',
            "expected a range from low to high",
            id="backwards",
        ),
        pytest.param(
            'name = "a"\n[values.u]\nlist = [1]\nrange = [1, 2]\n[requests.x]\npath = "/{u}"\n',
            "expected one of list, range, file and items, found list and range",
            id="two sources",
        ),
        pytest.param(
            'name = "a"\n[requests.x]\npath = "/"\nmethod = "FETCH"\n',
            "choose from GET, HEAD, POST",
            id="method",
        ),
        pytest.param(
            'name = "a"\n[requests.x]\npath = "/"\nweight = -1\n', "more than 0", id="weight"
        ),
        pytest.param("name = \n", "not valid TOML", id="no TOML"),
    ],
)
def test_what_is_wrong_with_a_mix_is_said_with_its_place(
    tmp_path: Path, mix: str, words: str
) -> None:
    (tmp_path / "mix.toml").write_text(mix)
    (tmp_path / "u.csv").write_text("id,name\n1,Ann\n")

    code, errors = load("--url", "http://127.0.0.1:1", "--mix", "mix.toml")

    assert code == 2
    assert words in errors


def test_a_history_is_as_high_as_its_highest_value() -> None:
    assert _history([0.0, 1.0, 2.0, 4.0]) == "▁▃▅█"
    assert _history([]) == ""
    assert _history([0.0, 0.0]) == "▁▁"


def test_a_load_test_is_compared_with_the_newest_before_it_that_compare_takes(
    make_load_run: Callable[..., Run],
) -> None:
    """Of three, the one between was made at a rate."""
    runs = [
        replace(make_load_run(phase), id="", started_at=f"2026-03-01T12:0{number}:00Z")
        for number, phase in enumerate((0, 3, 3))
    ]
    between = runs[1].load_test
    assert between is not None
    settings = replace(between.settings, model=LoadModel.OPEN, rate_hz=20.0)
    runs[1] = replace(runs[1], load_test=replace(between, settings=settings))
    store = RunStore(RUNS_FOLDER)
    store.prepare()
    hints = []

    for run in runs:
        saved = replace(run, id=store.save(run).stem)
        hints.append(_compare_hint(saved))

    assert hints[:2] == ["", ""]
    assert "`perfkit compare load~2 load` compares it with the newest before it" in hints[2]
    result = CliRunner().invoke(app, ["compare", "load~2", "load"])
    assert result.exit_code == 0, result.stderr
