"""`perfkit run --full`: what the service does under load, before and after, in the main job."""

import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from perfkit.cli import app
from perfkit.load.reference_service import ServiceUnderTest
from perfkit.runs import LoadModel, LoadSettings, LoadTest, Run, RunKind, RunStore, now_utc
from perfkit.scenarios import registry
from perfkit.settings import PAGE, RUNS_FOLDER

pytestmark = pytest.mark.processes


def _is_up(_: object) -> ServiceUnderTest:
    return ServiceUnderTest(
        urls=("http://127.0.0.1:1",), instances=lambda: (), switches={}, target={"kind": "aws"}
    )


def test_both_phases_are_loaded_and_stand_beside_the_document(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # one that is up, elsewhere or at other limits, is another service
    monkeypatch.setattr("perfkit.load.reference_service.running_service", _is_up)
    # the rest of the main job is measured elsewhere
    monkeypatch.setattr(registry, "main_job", lambda *_, **__: [])
    monkeypatch.setattr("perfkit.commands.run._LOAD_S", 1.0)
    # at phase 0 fifty wait longer than the timeout on a busy machine
    monkeypatch.setattr("perfkit.commands.run._LOAD_USERS", 2)

    result = CliRunner().invoke(app, ["run", "--full", "--scale", "0.01", "--max-cost", "5"])

    assert result.exit_code == 0, result.stderr
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
