"""Options that would do nothing are refused in one line, before anything else happens."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from perfkit.cli import app
from perfkit.load.reference_service import ServiceUnderTest

MIX = 'name = "m"\n[requests.a]\npath = "/"\n'
URL = ("load", "--url", "http://127.0.0.1:1", "--mix", "mix.toml")


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        pytest.param(
            (*URL, "--service-workers", "2"),
            "--service-workers does nothing with --url, whose service perfkit does not start",
            id="load workers of another service",
        ),
        pytest.param(
            (*URL, "--redis-url", "redis://127.0.0.1:1"),
            "--redis-url does nothing with --url, whose service perfkit does not start",
            id="load cache of another service",
        ),
        pytest.param(
            ("load", "--phase", "0", "--redis-url", "redis://127.0.0.1:1"),
            "--redis-url does nothing at phase 0, whose service has neither cache nor queue",
            id="load without a cache",
        ),
        pytest.param(
            (*URL, "--expect-workers", "2"),
            "--expect-workers does nothing without --master",
            id="load workers of no master",
        ),
        pytest.param(
            (*URL, "--master-host", "10.0.0.5", "--master-port", "5558"),
            "--master-host and --master-port do nothing without --master or --worker",
            id="load address of no master",
        ),
        pytest.param(
            (*URL, "--web-port", "8090"), "--web-port does nothing without --web", id="load page"
        ),
        pytest.param(
            (*URL, "--max-cost", "1"),
            "--max-cost does nothing where no value of a mix is drawn from a table",
            id="load cost of tables that are not read",
        ),
        pytest.param(
            ("load", "--worker", "--master-host", "10.0.0.5", "--users", "10"),
            "--users does nothing with --worker, which asks as the master says",
            id="load as a worker",
        ),
        pytest.param(
            ("bench", "--redis-url", "redis://127.0.0.1:1"),
            "--redis-url does nothing without --scenario cache or cache-hour",
            id="bench without a cache",
        ),
        pytest.param(
            ("bench", "--scenario", "phases", "--no-twin"),
            "--no-twin does nothing where no access pattern is measured",
            id="bench without patterns",
        ),
        pytest.param(
            ("run", "--patterns-only", "--redis-url", "redis://127.0.0.1:1"),
            "--redis-url does nothing where no cache is measured",
            id="run without a cache",
        ),
        pytest.param(
            ("migrate", "plan", "--saved", "plan.json", "--output", "plan.md", "--index", "A"),
            "--index and --output do nothing with --saved, which shows a plan as it was made",
            id="migrate plan of another time",
        ),
        pytest.param(
            ("migrate", "plan", "--unread-days", "7"),
            "--unread-days does nothing without --remove",
            id="migrate plan days",
        ),
        pytest.param(
            ("migrate", "plan", "--remove", "A", "--sample", "7"),
            "--sample does nothing with --remove, which reads no item",
            id="migrate plan removal",
        ),
        pytest.param(
            ("migrate", "plan", "--force"),
            "--force does nothing without --output",
            id="migrate plan file",
        ),
        pytest.param(
            ("migrate", "preflight", "--examples", "7"),
            "--examples does nothing without --violations",
            id="migrate preflight file",
        ),
        pytest.param(
            ("migrate", "preflight", "--sample", "7", "--restart"),
            "--restart does nothing with --sample, which always starts over",
            id="migrate preflight sample",
        ),
        pytest.param(
            ("migrate", "verify", "--force"),
            "--force does nothing without --differences",
            id="migrate verify file",
        ),
        pytest.param(
            ("migrate", "status", "plan.json", "--workload", "courses"),
            "--workload does nothing with a plan, which names its tables",
            id="migrate status",
        ),
        pytest.param(
            ("traffic", "show", "--force"), "--force does nothing without --output", id="recording"
        ),
        pytest.param(
            ("compare", "a", "b", "--force"),
            "--force does nothing without --output",
            id="comparison",
        ),
        pytest.param(
            ("report", "--force"), "--force does nothing without --output", id="report file"
        ),
    ],
)
def test_an_option_that_would_do_nothing_is_refused(arguments: tuple[str, ...], line: str) -> None:
    Path("mix.toml").write_text(MIX)

    result = CliRunner().invoke(app, list(arguments))

    assert result.exit_code == 2, result.stderr
    assert result.stderr.startswith(f"Error: {line}; leave ")
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (("--service-workers", "2"), "--service-workers are of a service that is started, and"),
        (
            ("--redis-url", "redis://h"),
            "--redis-url is of a service that is started, and one is up",
        ),
    ],
)
def test_how_a_service_that_is_up_was_started_is_no_matter_of_a_load_test(
    arguments: tuple[str, ...], line: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    up = ServiceUnderTest(
        urls=("http://127.0.0.1:1",), instances=lambda: (), switches={}, target={}
    )
    monkeypatch.setattr("perfkit.load.reference_service.running_service", lambda _: up)
    monkeypatch.setenv("PERFKIT_REDIS_URL", "redis://elsewhere")

    result = CliRunner().invoke(app, ["load", "--phase", "0", *arguments])
    alone = CliRunner().invoke(app, ["load", "--phase", "0"])

    assert result.exit_code == 2
    assert line in result.stderr
    # what the environment says is for what is started
    assert "--redis-url" not in alone.stderr


def test_what_the_environment_says_for_all_commands_is_no_mistake(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    Path("mix.toml").write_text(MIX)
    monkeypatch.setenv("PERFKIT_TARGET", "embedded")

    result = CliRunner().invoke(app, list(URL))

    assert result.exit_code == 3
    assert "http://127.0.0.1:1 cannot be reached" in result.stderr
