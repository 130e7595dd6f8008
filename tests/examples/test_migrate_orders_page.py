"""The page that leads from a plan to an index and back: a test types what stands on it."""

import re
import shlex
import shutil
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from typer.testing import CliRunner

from perfkit.cli import app

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "migrate-orders.md").read_text()
BEFORE = (ROOT / "docs" / "tables-to-report.md").read_text()
THERE = {"by-day", "by-status", "to-pack", "by-channel"}
NEW = {"by-customer", "by-coupon"}
ORDERS = 400


def commands(page: str) -> list[str]:
    blocks = re.findall(r"```console\n(.*?)```", page, re.DOTALL)
    return [line for block in blocks for line in block.splitlines()]


def run(line: str) -> str:
    """Run a command of perfkit within this process; return what it prints."""
    words = shlex.split(line)
    path = words.pop() if words[-2] == ">" else None
    done = CliRunner().invoke(app, words[1 : -1 if path else None])
    assert done.exit_code == 0, (line, done.output)
    if path is not None:
        Path(path).write_text(done.stdout)
    return done.output


def has(order: dict[str, Any], attribute: str, longest_bytes: int) -> bool:
    """Tell whether an order has what DynamoDB takes as a key of an index."""
    value = order.get(attribute)
    return isinstance(value, str) and 0 < len(value.encode()) <= longest_bytes


def expected(orders: list[dict[str, Any]]) -> dict[str, list[str]]:
    """Return the orders that the new indexes can have."""
    fits = {
        "by-customer": [o for o in orders if has(o, "customer_id", 2048) and has(o, "placed_at", 1024)],
        "by-coupon": [o for o in orders if has(o, "coupon", 2048) and has(o, "order_date", 1024)],
    }  # fmt: skip
    return {name: sorted(each["order_id"] for each in some) for name, some in fits.items()}


def entries(client: Any, index: str) -> list[str]:
    pages = client.get_paginator("scan").paginate(TableName="Orders", IndexName=index)
    return sorted(each["order_id"]["S"] for page in pages for each in page["Items"])


def table(client: Any) -> dict[str, Any]:
    found = dict(client.describe_table(TableName="Orders")["Table"])
    return {name: found[name] for name in ("TableArn", "KeySchema", "ItemCount")}


def indexes(client: Any) -> set[str]:
    described = client.describe_table(TableName="Orders")["Table"]
    return {each["IndexName"] for each in described["GlobalSecondaryIndexes"]}


@pytest.mark.processes
def test_every_command_on_the_page_works(
    server: str,
    load: Callable[..., str],
    loader: ModuleType,
    anybody: dict[str, str],
    client_of: Callable[[str], Any],
    isolated_folder: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in {**anybody, "PERFKIT_TARGET": server}.items():
        monkeypatch.setenv(name, value)
    client = client_of(server)
    shutil.copytree(ROOT / "examples", isolated_folder / "examples")
    outputs: dict[str, str] = {}

    # another test types the lines that the other page has, too
    for line in commands(PAGE):
        words = shlex.split(line)
        if words[:2] == ["perfkit", "migrate"]:
            soon = " --settle 0.2" if words[2] == "verify" else ""
            outputs[words[2]] = run(line + soon)
        elif words[0] == "python":
            load(server, ORDERS)
            before = table(client)
        elif words[0] == "cp":
            shutil.copy(words[1], words[2])
        else:
            assert line in commands(BEFORE)
        if words[2:3] == ["apply"]:
            made = {name: entries(client, name) for name in NEW}

    wanted = expected(list(loader.orders(seed=1, number_of_orders=ORDERS)))
    assert made == wanted
    assert "2 of 2 indexes" in outputs["verify"]
    assert Path("differences.jsonl").read_text() == ""
    declared = re.findall(r'^    name +?= "(.*)"$', Path("indexes.tf").read_text(), re.MULTILINE)
    assert set(declared) >= THERE | NEW
    assert Path("indexes.json").read_text().count('"by-coupon"') == 1
    assert Path("violations.jsonl").stat().st_mode & 0o777 == 0o600
    assert indexes(client) == THERE
    assert table(client) == before
