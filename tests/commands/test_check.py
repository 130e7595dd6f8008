"""`perfkit check` from end to end on the embedded engine: what it prints, writes and exits with."""

import json
import os
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from typer.testing import CliRunner, Result

from perfkit.cli import app
from perfkit.runs import Run, RunStore
from perfkit.settings import RUNS_FOLDER

ORDERS = """
name = "orders"
description = "Orders by customer"

[tables.Orders]
items = 40
partition_key = "order_id"

[tables.Orders.attributes]
order_id = { kind = "sequence", format = "O{:04}" }
customer = { kind = "choice", values = ["a", "b"] }

[tables.Orders.indexes]
OrdersByCustomer = { partition_key = "customer" }

[patterns.by-customer]
description = "Orders of a customer"
table = "Orders"
parameters = { customer = "a" }
scan.filter = "customer = :customer"
query = { index = "OrdersByCustomer", key_condition = "customer = :customer" }

[gates]
by-customer = "rcu_per_request <= 1"
"""


def perfkit(*arguments: str) -> Result:
    return CliRunner().invoke(app, [*arguments])


def check(*arguments: str) -> tuple[int, dict[str, str], dict[str, str]]:
    """Return the exit code, and by title how lines stand and what they say to do next."""
    result = perfkit("check", "--json", *arguments)
    lines = json.loads(result.stdout)["lines"]
    return (
        result.exit_code,
        {line["title"]: line["state"] for line in lines},
        {line["title"]: line["next"] for line in lines},
    )


@pytest.mark.processes
def test_a_workload_gets_done_by_the_commands_that_the_lines_name(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    Path("perfkit.toml").write_text(ORDERS)
    Path("src").mkdir()
    Path("src/service.py").write_text("client.scan(TableName='Orders')\n")
    done: set[str] = set()

    for _ in range(4):
        code, states, steps = check("--source", "src")
        todo = [step for title, step in steps.items() if states[title] != "done"]
        # the scan in the source is changed by hand
        commands = [step for step in todo if step.startswith("perfkit ") and step not in done]
        command = next(iter(commands), None)
        if command is None:
            break
        assert code == 4
        done.add(command)
        more = ["--iterations", "3"] if "bench" in command else []
        assert perfkit(*command.split()[1:], *more).exit_code == 0

    assert done == {
        "perfkit seed",
        "perfkit create-indexes",
        "perfkit bench --scenario by-customer",
    }
    assert {title for title, state in states.items() if state != "done"} == {
        "no Scan is left in the source"
    }
    assert steps["no Scan is left in the source"].startswith("make src/service.py:1 a query or get")

    Path("src/service.py").write_text("client.query(TableName='Orders')\n")
    summary = Path("summary.md")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(summary))
    result = perfkit("check", "--source", "src", "--junit", "check.xml", "--github")

    assert result.exit_code == 0
    assert result.stdout.startswith("orders on embedded: 5 of 5 done\n")
    root = ET.fromstring(Path("check.xml").read_text())
    assert (root.get("tests"), root.get("failures"), root.get("errors")) == ("5", "0", "0")
    assert summary.read_text().startswith("## perfkit check: orders on embedded\n\n5 of 5 done.")

    # an edited workload is another one: what was measured is stale, and no gate passes by it
    Path("perfkit.toml").write_text(ORDERS.replace("<= 1", "<= 0.1"))
    code, states, _ = check("--source", "src")
    assert code == 3
    assert states["by-customer: rcu_per_request <= 0.1"] == "stale"

    Path("perfkit.toml").write_text(ORDERS)
    result = perfkit("check", "--source", "src", "--gate", "by-customer: rcu_per_request < 0.1")
    assert result.exit_code == 4
    assert "not done  by-customer: rcu_per_request < 0.1: rcu_per_request is 0.5" in result.stdout
    assert "Error: 5 of 6 done, 1 not done" in result.stderr


def test_its_lines_are_as_wide_as_the_terminal_and_whole_elsewhere(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    whole = perfkit("check", "-v").stdout
    assert any(len(line) > 80 for line in whole.splitlines())

    monkeypatch.setenv("COLUMNS", "60")
    wrapped = perfkit("check", "-v").stdout

    commands = [line for line in wrapped.splitlines() if "-> " in line]
    # a path has no place to be broken, however long it is where perfkit is installed
    others = [line for line in wrapped.splitlines() if len(line.split()) > 1]
    assert max(len(line) for line in others if line not in commands) <= 60
    # commands can be copied
    assert commands == [line for line in whole.splitlines() if "-> " in line]
    assert wrapped.split() == whole.split()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--gate", "p59 < 1"], "gate 'p59 < 1', column 1: no metric 'p59'"),
        (["--gates", "none.toml"], "cannot read the gates in none.toml"),
        (["--source", "nowhere"], "no folder 'nowhere' to look for scans in"),
        (["--phase", "2", "--gate", "errors == 0"], "--phase leaves gates out"),
        (["--phase", "1"], "phase 1 is of the reference service"),
        (["--github"], "GITHUB_STEP_SUMMARY is not set"),
        (["--junit", "none/check.xml"], "cannot write none/check.xml"),
    ],
)
def test_a_wrong_request_is_refused(
    arguments: list[str], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("perfkit.toml").write_text(ORDERS)
    monkeypatch.delenv("GITHUB_STEP_SUMMARY", raising=False)

    result = perfkit("check", *arguments)

    assert result.exit_code == 2
    assert message in result.stderr


def test_a_folder_with_nothing_of_courses_is_not_held_against_its_checklist(
    make_load_run: Callable[..., Run],
) -> None:
    """It has load tests of another service, and no workload file."""
    store = RunStore(RUNS_FOLDER)
    store.prepare()
    store.save(replace(make_load_run(), workload="files", workload_digest="", id=""))
    Path("app.py").write_text("boto3.resource('dynamodb').Table('t').scan()\n")
    os.utime("app.py", (0, 0))

    refused = perfkit("check")
    assert refused.exit_code == 2
    assert "nothing of the built-in workload courses is here" in refused.stderr
    assert "saved are runs of files" in refused.stderr
    assert "--workload FILE" in refused.stderr
    held = perfkit("check", "--gate", "p95_ms < 200", "--source", "app.py")
    assert held.exit_code == 4, held.output
    assert "no workload: 1 of 2 done, 1 not done" in held.stdout
    assert "-> make app.py:1 a query or get" in held.stdout
    assert "Phase 1" in perfkit("check", "--workload", "courses").stdout


def test_looking_leaves_no_trace() -> None:
    result = perfkit("check")

    assert result.exit_code == 4
    assert "Phase 4: production deployment" in result.stdout
    assert not Path(".perfkit").exists()


def test_a_long_checklist_is_one_screen_and_all_of_it_is_behind_v(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("COLUMNS", "80")

    short = perfkit("check")
    whole = perfkit("check", "-v")

    assert (short.exit_code, whole.exit_code) == (4, 4)
    lines = short.stdout.splitlines()
    assert len(lines) <= 40
    assert not [line for line in lines if len(line) > 80 and "-> " not in line]
    assert (
        lines[0]
        == whole.stdout.splitlines()[0]
        == ("courses on embedded: 1 of 30 done, 29 not done")
    )
    assert "Phase 2: database indexes (1 of 10 done, 9 not done)" in lines
    assert "Redis is reachable: no server is named or running" in short.stdout
    assert lines[-1].startswith("More: the same with -v")
    # each command that helps is named
    assert set(re.findall(r"-> (.*)", short.stdout)) == set(re.findall(r"-> (.*)", whole.stdout))
    assert "p95 below 200 ms: no run shows it" in whole.stdout


def test_what_has_no_room_is_said_to_be_there_in_each_group(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("COLUMNS", "40")

    shown = perfkit("check").stdout

    assert len(shown.splitlines()) <= 40
    assert not [line for line in shown.splitlines() if len(line) > 40 and "-> " not in line]
    phases = shown.split("\n\n")[1:-1]
    assert [phase[:7] for phase in phases] == [f"Phase {number}" for number in range(1, 5)]
    assert all("-> perfkit " in phase for phase in phases)
    assert re.search(r"^  and more$", shown, re.MULTILINE)
