"""Commands about a large workload answer on one screen, and say how to see the rest."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from perfkit.cli import app

TABLES = 25
MOST_LINES = 60


@pytest.mark.processes
def test_many_tables_and_indexes_stay_on_one_screen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Seeded, indexed and looked at: 25 tables with an item and an index each."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")
    tables = "".join(
        f"""
        [tables.Table{number:02}]
        items = 1
        partition_key = "id"
        [tables.Table{number:02}.attributes]
        id = {{ kind = "sequence", format = "{{}}" }}
        other = {{ kind = "sequence", format = "{{}}" }}
        [tables.Table{number:02}.indexes.Index{number:02}]
        partition_key = "other"
        """
        for number in range(TABLES)
    )
    Path("perfkit.toml").write_text(f'name = "large"\ndescription = "Many tables"\n{tables}')

    for arguments in (
        ["seed", "--processes", "1"],
        ["create-indexes", "--dry-run"],
        ["status"],
    ):
        short = CliRunner().invoke(app, arguments)
        whole = CliRunner().invoke(app, [*arguments, "-v"])

        assert (short.exit_code, whole.exit_code) == (0, 0), short.output
        assert len(short.stdout.splitlines()) <= MOST_LINES
        assert f"of {TABLES}" in short.stdout
        assert f"More: perfkit {arguments[0]} -v" in short.stdout
        # the last one stands in the whole alone
        last = f"Table{TABLES - 1}"
        assert last not in short.stdout
        assert last in whole.stdout

    assert CliRunner().invoke(app, ["create-indexes"]).exit_code == 0
    for arguments in (
        ["migrate", "verify"],
        ["migrate", "status"],
        ["doctor"],
        ["workload", "show"],
    ):
        short = CliRunner().invoke(app, arguments)
        whole = CliRunner().invoke(app, [*arguments, "-v"])

        assert (short.exit_code, whole.exit_code) == (0, 0), short.output
        assert len(short.stdout.splitlines()) <= 45
        assert max(map(len, short.stdout.splitlines())) <= 80
        assert last in whole.stdout
        assert len(whole.stdout.splitlines()) > len(short.stdout.splitlines())
