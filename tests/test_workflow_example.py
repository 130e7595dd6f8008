"""The workflow that the documentation offers, with its steps run as a runner would run them."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

pytestmark = pytest.mark.processes

ROOT = Path(__file__).parents[1]
EXAMPLE = ROOT / "examples" / "github-actions.yml"
WORKLOAD = """\
name = "lists"
description = "Lists of people"

[tables.Lists]
items = 1_000
item_size = 1024
partition_key = "id"
exactly = [{ items = ITEMS, where = { person = "o1" } }]

[tables.Lists.attributes]
id    = { kind = "sequence", format = "L{:04}" }
person = { kind = "integer", min = 1, max = 900, format = "o{}" }
text  = { kind = "padding" }

[tables.Lists.indexes]
ByPerson = { partition_key = "person", sort_key = "id" }

[patterns.lists]
description = "Lists of an person"
table = "Lists"
parameters = { person = "o1" }
scan.filter = "person = :person"
query.index = "ByPerson"
query.key_condition = "person = :person"
"""


def workflow() -> dict[Any, Any]:
    document = yaml.safe_load(EXAMPLE.read_text())
    assert isinstance(document, dict)
    return document


def steps() -> dict[str, dict[str, Any]]:
    return {each["name"]: each for each in workflow()["jobs"]["compare"]["steps"]}


def test_it_asks_for_no_more_than_to_read() -> None:
    assert workflow()["permissions"] == {"contents": "read"}
    # YAML 1.1 reads the key "on" as true
    assert workflow()[True] == {"pull_request": None}


def test_it_checks_out_the_base_beside_the_branch() -> None:
    checkouts = [
        each["with"] for each in steps().values() if each.get("uses", "").startswith("actions/ch")
    ]

    assert [each["path"] for each in checkouts] == ["branch", "base"]
    assert checkouts[1]["ref"] == "${{ github.event.pull_request.base.sha }}"


SIDES = ("base", "branch", "unchanged")


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """
    A runner's folder in which everything is done but the comparison; pip is not run again.

    The branch reads ten times as much as its base; a third checkout is as the base is.
    """
    folder = tmp_path_factory.mktemp("runner")
    for side in SIDES:
        programs = folder / side / ".venv" / "bin"
        programs.mkdir(parents=True)
        perfkit = programs / "perfkit"
        perfkit.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m perfkit "$@"\n')
        perfkit.chmod(0o755)
        write_workload(folder / side, items=100 if side == "branch" else 10)
    assert [take(name, folder) for name in ("Prepare", "Measure")] == [0, 0]
    return folder


@pytest.fixture
def runner(measured: Path, tmp_path: Path) -> Path:
    """A copy of that folder."""
    return Path(shutil.copytree(measured, tmp_path / "runner"))


def write_workload(side: Path, *, items: int) -> None:
    (side / "perfkit.toml").write_text(WORKLOAD.replace("ITEMS", str(items)))


def take(name: str, folder: Path) -> int:
    """Run a step as GitHub does, with `bash -e`, in one short turn; return its exit code."""
    script = steps()[name]["run"].replace("1 2 3 4 5 6 7 8", "1")
    script = script.replace("in base branch;", f"in {' '.join(SIDES)};")
    script = script.replace("--min-time 1)", "--min-time 0.1)")
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("AWS_", "PERFKIT_"))}
    environment |= {k: str(v) for k, v in workflow()["env"].items()}
    environment |= {
        "SCENARIOS": "--scenario lists",
        "GITHUB_STEP_SUMMARY": str(folder / "summary.md"),
    }
    bash = shutil.which("bash")
    assert bash
    done = subprocess.run(
        [bash, "--noprofile", "--norc", "-eo", "pipefail", "-c", script],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert "Traceback" not in done.stderr
    return done.returncode


def test_a_pull_request_that_reads_ten_times_as_much_fails(runner: Path) -> None:
    """10 items of 1,024 bytes are 1.5 read units, 100 are 12.5 (facts: half a unit each 4 KB)."""
    assert take("Compare", runner) == 4

    summary = (runner / "summary.md").read_text()
    assert "query" in summary
    assert "1.5" in summary
    assert "12.5" in summary


def test_a_pull_request_that_changes_nothing_does_not_fail(runner: Path) -> None:
    (runner / "branch").rename(runner / "changed")
    (runner / "unchanged").rename(runner / "branch")

    # 3: on a machine that is too busy to judge a latency
    assert take("Compare", runner) in {0, 3}
    assert (runner / "summary.md").exists()


def test_a_comparison_that_is_refused_fails_the_job(runner: Path) -> None:
    shutil.rmtree(runner / "base" / ".perfkit" / "runs")

    assert take("Compare", runner) not in {0, 4}
    assert not (runner / "summary.md").exists()
