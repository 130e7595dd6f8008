"""The page that leads from tables to a report: a test types what stands on it."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "tables-to-report.md").read_text()
WORKLOAD = tomllib.loads((ROOT / "examples" / "orders" / "perfkit.toml").read_text())


def script(port: str) -> str:
    """Return the page's console blocks as one script, with fewer orders and shorter times."""
    lines = "".join(re.findall(r"```console\n(.*?)```", PAGE, re.DOTALL))
    assert "--orders 20000" in lines
    lines = lines.replace("8000", port).replace("--orders 20000", "--orders 400")
    lines = re.sub(r"^perfkit bench.*", r"\g<0> --iterations 1", lines, flags=re.MULTILINE)
    # who types is slower than a server starts; and it ends whatever happens
    listening = f"until (exec 3<>/dev/tcp/127.0.0.1/{port}) 2>/dev/null; do sleep 0.1; done"
    return "trap 'kill $(jobs -p) 2>/dev/null' EXIT\n" + lines.replace("&\n", f"&\n{listening}\n")


@pytest.mark.processes
def test_every_command_on_the_page_works(
    isolated_folder: Path, free_port: Callable[[], int]
) -> None:
    shutil.copytree(ROOT / "examples", isolated_folder / "examples")
    bash = shutil.which("bash")
    assert bash
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("AWS_", "PERFKIT_"))}
    environment["PATH"] = f"{Path(sys.executable).parent}:{environment['PATH']}"

    done = subprocess.run(
        [bash, "--noprofile", "--norc", "-euo", "pipefail", "-c", script(str(free_port()))],
        cwd=isolated_folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    assert "8 access patterns" in done.stdout
    assert "orders-of-customer" in (isolated_folder / "report.html").read_text()


def test_what_it_shows_of_the_workload_is_in_the_workload() -> None:
    shown: dict[str, Any] = {}
    for block in re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL):
        for table, content in tomllib.loads(block).items():
            shown.setdefault(table, {}).update(content)

    assert shown["tables"]["Orders"]["indexes"].items() <= (
        WORKLOAD["tables"]["Orders"]["indexes"].items()
    )
    assert shown["patterns"].items() <= WORKLOAD["patterns"].items()
    assert shown["traffic"]["reads"].items() <= WORKLOAD["traffic"]["reads"].items()
