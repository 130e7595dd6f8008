"""`perfkit run --full`: what the service does under load, before and after, in the main job."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import psutil
import pytest
from moto import mock_aws
from redis import Redis
from typer.testing import CliRunner

from perfkit.cli import app
from perfkit.commands.options import request_prices
from perfkit.dynamodb.safety import Permission
from perfkit.dynamodb.targets import Target
from perfkit.load.reference_service import ServiceUnderTest
from perfkit.runs import LoadModel, LoadSettings, LoadTest, Run, RunKind, RunStore, now_utc
from perfkit.scenarios import registry
from perfkit.settings import PAGE, RUNS_FOLDER

pytestmark = pytest.mark.processes


def _is_up(_: object) -> ServiceUnderTest:
    return ServiceUnderTest(
        urls=("http://127.0.0.1:1",), instances=lambda: (), switches={}, target={"kind": "aws"}
    )


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Return a client of a DynamoDB that is not AWS's."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    with mock_aws():
        yield boto3.client("dynamodb", region_name="eu-west-1")


def test_both_phases_are_loaded_and_stand_beside_the_document(
    monkeypatch: pytest.MonkeyPatch, redis_url: str
) -> None:
    # one that is up, elsewhere or at other limits, is another service
    monkeypatch.setattr("perfkit.load.reference_service.running_service", _is_up)
    # the rest of the main job is measured elsewhere
    monkeypatch.setattr(registry, "main_job", lambda *_, **__: [])
    # ten users think for a second: that none of them asks meanwhile is no chance to reckon with
    monkeypatch.setattr("perfkit.commands.run._LOAD_S", 5.0)

    result = CliRunner().invoke(
        app,
        ["run", "--full", "--scale", "0.01", "--max-cost", "5", "--redis-url", redis_url],
    )

    assert result.exit_code == 0, result.stderr
    with Redis.from_url(redis_url) as cache:
        assert next(cache.scan_iter("perfkit:*:courses:*"))
    runs = RunStore(RUNS_FOLDER).list().runs
    tests = [run.load_test for run in reversed(runs) if run.load_test is not None]
    assert [each.settings.phase for each in tests] == [0, 3]
    assert [each.settings.service_workers for each in tests] == [1, 1]
    assert [run.quoted is not None for run in runs] == [True, True]
    assert "Performance results, beside the document" in PAGE.read_text()
    # one sum for all of it: what the services read is in it, after the first one already
    said = [
        float(each.replace(",", "")) for each in re.findall(r"Consumed ([\d,.]+) ", result.stderr)
    ]
    (first,) = (run for run in runs if run.load_test and run.load_test.settings.phase == 0)
    total = first.variants[0]
    assert said[0] >= total.requests * (total.capacity_units or 0.0) > 0
    assert said == sorted(said)


def answering(asked: list[str], *, yes: bool) -> Callable[..., Permission]:
    """Return what stands for a person at a terminal, who keeps what is asked."""

    def ask(question: str) -> bool:
        asked.append(question)
        return yes

    return lambda **_: Permission(prices=request_prices, ask=ask)


def test_a_load_test_keeps_answers_in_the_server_that_is_named(redis_url: str) -> None:
    assert CliRunner().invoke(app, ["seed", "--scale", "0.01"]).exit_code == 0
    load = ["load", "--phase", "1", "--users", "2", "--ramp", "0s", "--duration", "1s"]
    with Redis.from_url(redis_url) as cache:
        cache.flushall()

        result = CliRunner().invoke(app, [*load, "--redis-url", redis_url])

        assert result.exit_code == 0, result.stderr
        assert next(cache.scan_iter("perfkit:*:courses:*"))
    wrong = CliRunner().invoke(app, [*load, "--redis-url", "http://127.0.0.1:1"])
    assert wrong.exit_code == 2
    assert "Starting the service" not in wrong.stderr


def test_on_aws_everything_is_asked_for_once_before_anything_begins(
    aws: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    run = ["run", "--target", "aws", "--scale", "0.1"]
    # with the loads it is too much, without them it is not
    limit = ["--max-cost", "0.12"]
    alone = CliRunner().invoke(app, [*run, *limit])
    refused = CliRunner().invoke(app, [*run, *limit, "--full", "--yes"])
    monkeypatch.setattr("perfkit.commands.run.make_permission", answering(asked, yes=False))
    result = CliRunner().invoke(app, [*run, "--full"])

    assert result.exit_code == 1, result.stderr
    assert asked == ["Go ahead?"]
    assert result.stderr.endswith("Nothing was done.\n")
    assert result.stderr.count("Roughly $") == 1
    for text in (
        "Seed workload courses; create indexes of workload courses; measure workload courses; load",
        "load the reference service in AWS account 123456789012, region eu-west-1:",
        "write up to 5,000 items to table Enrollments",
        # a tenth of 50,000 entries, before there is a table
        "create index EnrollmentsByUser on table Enrollments, copying about 5,000 items",
        # 5,000 items of 1,024 bytes at most, half a unit for 4 KB
        "read all of Enrollments in 3 ways, about 625 RCU each time",
        "load phase 0: up to 525 requests, each a scan of up to 625 RCU (Enrollments)",
        "load phase 3: up to 525 requests, which query and get",
    ):
        assert text in result.stderr
    assert alone.exit_code == 2
    assert "add --yes to go ahead" in alone.stderr
    assert refused.exit_code == 2
    assert "more than --max-cost 0.12; nothing was done" in refused.stderr
    assert aws.list_tables()["TableNames"] == []


def test_after_one_yes_nothing_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    permit = answering(asked, yes=True)
    monkeypatch.setattr(Target, "is_guarded", property(lambda _: True))
    monkeypatch.setattr("perfkit.commands.run.make_permission", permit)
    monkeypatch.setattr("perfkit.commands.load_aws.make_permission", permit)
    monkeypatch.setattr("perfkit.commands.run._LOAD_S", 0.5)
    monkeypatch.setattr("perfkit.commands.run._LOAD_USERS", 1)

    result = CliRunner().invoke(app, ["run", "--full", "--scale", "0.002", "--iterations", "1"])

    assert result.exit_code == 0, result.stderr
    assert asked == ["Go ahead?"]


_WITHOUT_THE_REST = """
from perfkit.scenarios import registry
from perfkit.cli import main

registry.main_job = lambda *_, **__: []
main()
"""


@pytest.mark.parametrize(
    ("program", "options", "line"),
    [
        pytest.param(["-m", "perfkit"], ["--min-time", "30"], "Measuring courses", id="measuring"),
        pytest.param(["-c", _WITHOUT_THE_REST], ["--full"], " users", id="loading"),
    ],
)
def test_sigterm_ends_it_as_ctrl_c_does(
    program: list[str], options: list[str], line: str, tmp_path: Path
) -> None:
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    with subprocess.Popen(
        [sys.executable, *program, "run", "--scale", "0.01", "--max-cost", "5", *options],
        cwd=tmp_path,
        env={**os.environ, "TMPDIR": str(temporary)},
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stderr is not None
        said: list[str] = []
        while line not in (read := process.stderr.readline()):
            assert read, said
            said.append(read)
        started = psutil.Process(process.pid).children(recursive=True)
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate()

    assert process.returncode == 130, errors
    assert "Interrupted: " in errors
    assert " saved" in errors
    assert psutil.wait_procs(started, timeout=60)[1] == []
    assert [*temporary.iterdir()] == []
    runs = RunStore(tmp_path / ".perfkit" / "runs").list().runs
    assert [each.load_test.interrupted for each in runs if each.load_test] == (
        [True] if "--full" in options else []
    )


def test_ctrl_c_while_the_service_is_loaded_ends_the_command(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    test = LoadTest(
        settings=LoadSettings(model=LoadModel.CLOSED, users=50, duration_s=10.0), interrupted=True
    )
    cut_short = Run(
        kind=RunKind.LOAD, scenario="load", workload="courses", target={"kind": "embedded"},
        started_at=now_utc(), load_test=test,
    )  # fmt: skip
    loaded: list[int] = []

    def load(phase: int, *_: object, **__: object) -> Run:
        loaded.append(phase)
        return cut_short

    monkeypatch.setattr(registry, "main_job", lambda *_, **__: [])
    monkeypatch.setattr("perfkit.commands.run.load_phase", load)

    result = CliRunner().invoke(app, ["run", "--full", "--scale", "0.001"])

    assert result.exit_code == 130
    assert "Interrupted: what was measured is saved" in result.stderr
    assert loaded == [0]


def test_a_workload_that_the_service_does_not_serve_cannot_be_loaded(tmp_path: Path) -> None:
    Path("perfkit.toml").write_text(
        'name = "shop"\ndescription = "A shop"\n[tables.Orders]\nitems = 10\npartition_key = "id"\n'
        '[tables.Orders.attributes]\nid = { kind = "sequence", format = "{}" }\n'
        '[patterns.order]\ndescription = "An order"\ntable = "Orders"\nparameters = { id = "1" }\nget = { id = ":id" }\n'
    )

    result = CliRunner().invoke(app, ["run", "--full", "--data", str(tmp_path / "data.sqlite3")])

    assert result.exit_code == 2
    assert "serves the built-in workload courses and not shop" in result.stderr
