"""`perfkit bench --max-scan`: a table that is too large is not read to know what reading it costs."""

import gc
import random
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from perfkit.cli import app
from perfkit.commands.bench import _read_size
from perfkit.dynamodb.client import embedded_client
from perfkit.embedded import Engine
from perfkit.errors import ConfigError
from perfkit.runs import Run, RunStore
from perfkit.scenarios.bounded_scan import BoundedScan, extrapolate

WORKLOAD = """
name = "logs"
description = "Lines of a log"

[tables.Lines]
partition_key = { name = "id", type = "S" }
indexes.ByLevel = { partition_key = { name = "severity", type = "S" } }
indexes.ByHost = { partition_key = { name = "host", type = "S" }, exists = true }

[patterns.errors]
description = "Errors"
table = "Lines"
today = "scan-filtered"
parameters = { severity = "error" }
scan.filter = "severity = :severity"
query.index = "ByLevel"
query.key_condition = "severity = :severity"

[patterns.of-host]
description = "Lines of a host"
table = "Lines"
parameters = { host = "h1" }
scan.filter = "host = :host"
query.index = "ByHost"
query.key_condition = "host = :host"
"""

ITEMS = 600


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a file with a table of about 6 MB: six pages."""
    path = tmp_path_factory.mktemp("lines") / "data.sqlite3"
    client = embedded_client(path)
    client.create_table(
        TableName="Lines",
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[
            {"AttributeName": "id", "AttributeType": "S"},
            {"AttributeName": "host", "AttributeType": "S"},
        ],
        GlobalSecondaryIndexes=[
            {
                "IndexName": "ByHost",
                "KeySchema": [{"AttributeName": "host", "KeyType": "HASH"}],
                "Projection": {"ProjectionType": "ALL"},
            }
        ],
        BillingMode="PAY_PER_REQUEST",
    )
    chance = random.Random(1)
    items = [
        {
            "id": {"S": f"{number:04}"},
            "severity": {"S": "error" if number % 10 == 0 else "info"},
            "host": {"S": f"h{number % 20}"},
            "text": {"S": "x" * chance.randint(5_000, 15_000)},
        }
        for number in range(ITEMS)
    ]
    Engine(path).load("Lines", items)
    return path


@pytest.fixture(autouse=True)
def _prepared(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gc, "collect", lambda: 0)
    # of ten pages nothing would be left here
    monkeypatch.setattr("perfkit.scenarios.bounded_scan.PAGES", 3)
    Path("logs.toml").write_text(WORKLOAD, encoding="utf-8")


def bench(data: Path, *arguments: str) -> Result:
    options = ("--workload", "logs.toml", "--data", str(data), "--iterations", "2")
    return CliRunner().invoke(app, ["bench", *options, *arguments])


def saved() -> dict[str, Run]:
    runs, _ = RunStore(Path(".perfkit/runs")).list()
    return {run.scenario: run for run in reversed(runs)}


def scanned(data: Path) -> float:
    """Return what reading the whole table takes."""
    pages = embedded_client(data).get_paginator("scan")
    total = 0.0
    for page in pages.paginate(TableName="Lines", ReturnConsumedCapacity="TOTAL"):
        total += page["ConsumedCapacity"]["CapacityUnits"]
    return total


def test_a_large_table_is_modelled_from_some_of_its_pages(data: Path) -> None:
    result = bench(data, "--max-scan", "3MB", "--sample", "100")

    assert result.exit_code == 0
    run = saved()["errors"]
    (scan,) = run.variants
    assert (scan.name, scan.provenance) == ("scan-filtered (modelled)", "modelled")
    assert scan.capacity_units_ci95 is not None
    low, high = scan.capacity_units_ci95
    assert low <= scanned(data) <= high < 2 * low
    assert scan.items_read == ITEMS
    # three requests a call, of two calls and perhaps some to warm up
    assert scan.requests == 3 * scan.calls
    assert "scan-filtered (modelled)" in result.stdout
    # what some pages hold is not the answer: the index is modelled from a sample
    assert run.modelled[0].source == "sample"


def test_what_was_not_compared_is_never_called_equal(data: Path) -> None:
    result = bench(data, "--max-scan", "3MB", "--scenario", "of-host")
    shown = CliRunner().invoke(app, ["report", "-v"])

    run = saved()["of-host"]
    assert [each.name for each in run.variants] == [
        "scan (modelled)",
        "scan-filtered (modelled)",
        "query",
    ]
    assert {(each.results_equal, each.unchecked) for each in run.comparisons} == {(False, True)}
    assert "was not checked" in " ".join(shown.stdout.split())
    assert "≈ marks figures modelled" in result.stdout


def test_all_of_it_is_read_on_request(data: Path) -> None:
    bench(data, "--max-scan", "0", "--scenario", "of-host")

    run = saved()["of-host"]
    assert run.variants[0].name == "scan"
    assert run.variants[0].capacity_units == scanned(data)
    assert all(each.results_equal for each in run.comparisons)


class _NoSegments:
    """A target that gives every segment the whole table, as DynamoDB Local does."""

    def __init__(self, client: Any) -> None:
        self._client = client

    def scan(self, **request: Any) -> Any:
        request.pop("Segment", None)
        request.pop("TotalSegments", None)
        return self._client.scan(**request)


def test_a_target_without_segments_is_read_on_in_order(data: Path) -> None:
    read = BoundedScan(
        client=_NoSegments(embedded_client(data)),
        request={"TableName": "Lines"},
        size_bytes=6_000_000,
        name="scan",
        pages=3,
    )

    answer = read.call()

    assert len({item["id"]["S"] for item in answer.items}) == len(answer.items) < ITEMS
    found = extrapolate(read, table_items=ITEMS)
    assert found is not None
    assert found.read_units.low <= scanned(data) <= found.read_units.high


@pytest.mark.parametrize(
    ("text", "size"), [("0", None), ("100MB", 100_000_000), ("1.5 gb", 1_500_000_000)]
)
def test_sizes_are_decimal(text: str, size: int | None) -> None:
    assert _read_size(text) == size


def test_what_is_no_size_is_refused() -> None:
    with pytest.raises(ConfigError, match="such as 100MB"):
        _read_size("large")
