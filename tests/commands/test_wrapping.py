"""What commands say to a person is as wide as the terminal, and commands to copy stay whole."""

import io

import pytest
from typer.testing import CliRunner

from perfkit.cli import app
from perfkit.commands.output import wrap

COPIED = "`perfkit migrate apply plan.json --target http://127.0.0.1:8000 --yes`"


def test_lines_are_wrapped_below_where_they_begin(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")

    wrapped = wrap(
        "Read from a target of your own:\n  - Look at Parcels, which holds 3,000 items",
        io.StringIO(),
    )

    assert wrapped == (
        "Read from a target of your own:\n  - Look at Parcels, which holds 3,000\n    items"
    )


@pytest.mark.parametrize(
    "copied",
    [
        pytest.param(COPIED, id="in backticks"),
        pytest.param(f"Next: {COPIED.strip('`')}", id="what is next"),
        pytest.param(f"-> {COPIED.strip('`')}", id="after an arrow"),
    ],
)
def test_a_command_is_not_broken(copied: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")

    wrapped = wrap(f"Some of its items cannot be held by it: {copied}", io.StringIO())

    command = COPIED.strip("`")
    assert any(command in line for line in wrapped.splitlines())
    assert len(wrapped.splitlines()) > 1


def test_what_is_piped_keeps_its_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)

    assert wrap("word " * 40, io.StringIO()) == "word " * 40


@pytest.mark.parametrize(
    "arguments",
    [
        ["doctor", "--target", "http://127.0.0.1:1"],
        ["bench", "no-such-pattern"],
        ["doctor", "--policy", "down"],
        ["workload", "validate", "a-file-that-is-not-there-but-has-a-long-name.toml"],
        ["workload", "validate", "courses"],
    ],
)
def test_checks_and_errors_are_wrapped(
    arguments: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "60")

    result = CliRunner().invoke(app, arguments)

    lines = result.output.splitlines()
    assert lines
    assert not [line for line in lines if len(line) > 60 and "`" not in line]


def test_the_names_of_four_indexes_fit_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    commands = [["seed", "--scale", "0.002"], ["create-indexes"], ["drop-indexes"]]

    answers = [CliRunner().invoke(app, command) for command in commands]

    for answer in answers:
        assert answer.exit_code == 0, answer.output
        assert max(map(len, answer.stdout.splitlines())) <= 80
    assert "EnrollmentsByCourse" in answers[2].stdout
    monkeypatch.setenv("COLUMNS", "50")
    noted = CliRunner().invoke(app, ["migrate", "status"]).stdout
    assert "Noted of Enrollments, the last 3 of 14 steps" in noted
    assert max(map(len, noted.splitlines())) <= 50


def test_a_service_of_several_instances_fits_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    health = {
        "state": "degraded",
        "url": "http://127.0.0.1:8080",
        "log": ".perfkit/service/service.log",
        "checks": {
            "cache": {"status": "failing", "detail": "no answer within a tenth of a second"}
        },
        "instances": [
            {"url": f"http://127.0.0.1:{port}", "state": "up"} for port in range(8081, 8085)
        ],
        "proxy": "haproxy",
    }
    monkeypatch.setattr("perfkit.service.launch.health", lambda: health)
    monkeypatch.setenv("COLUMNS", "60")

    shown = CliRunner().invoke(app, ["status"]).stdout

    assert max(map(len, shown.splitlines())) <= 60
    assert "cache failing: no answer within a tenth of a second" in " ".join(shown.split())
    assert "http://127.0.0.1:8084 up" in " ".join(shown.split())
