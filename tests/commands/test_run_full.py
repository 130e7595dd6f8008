"""`perfkit run --full`: what the service does under load, before and after, in the main job."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from perfkit.cli import app
from perfkit.runs import RunStore
from perfkit.scenarios import registry
from perfkit.settings import PAGE, RUNS_FOLDER

pytestmark = pytest.mark.processes


def test_both_phases_are_loaded_and_stand_beside_the_document(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # the rest of the main job is measured elsewhere
    monkeypatch.setattr(registry, "main_job", lambda *_, **__: [])
    monkeypatch.setattr("perfkit.commands.run._LOAD_S", 1.0)

    result = CliRunner().invoke(app, ["run", "--full", "--scale", "0.01"])

    assert result.exit_code == 0, result.stderr
    runs = RunStore(RUNS_FOLDER).list().runs
    tests = [run.load_test for run in reversed(runs) if run.load_test is not None]
    assert [each.settings.phase for each in tests] == [0, 3]
    assert [each.settings.service_workers for each in tests] == [1, 1]
    assert [run.quoted is not None for run in runs] == [True, True]
    assert "Performance results, beside the document" in PAGE.read_text()


def test_a_workload_that_the_service_does_not_serve_cannot_be_loaded(tmp_path: Path) -> None:
    Path("perfkit.toml").write_text(
        'name = "shop"\ndescription = "A shop"\n[tables.Orders]\nitems = 10\npartition_key = "id"\n'
        '[tables.Orders.attributes]\nid = { kind = "sequence", format = "{}" }\n'
        '[patterns.order]\ndescription = "An order"\ntable = "Orders"\nparameters = { id = "1" }\nget = { id = ":id" }\n'
    )

    result = CliRunner().invoke(app, ["run", "--full", "--data", str(tmp_path / "data.sqlite3")])

    assert result.exit_code == 2
    assert "serves the built-in workload courses and not shop" in result.stderr
