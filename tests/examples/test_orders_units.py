"""What perfkit measures of the order service against what the service itself consumes."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from perfkit.cli import app

pytestmark = pytest.mark.processes

WORKLOAD = Path(__file__).parents[2] / "examples" / "orders" / "perfkit.toml"

READS = {
    "ListTables", "DescribeTable", "DescribeLimits", "ListTagsOfResource",
    "GetItem", "BatchGetItem", "Query", "Scan",
}  # fmt: skip

# an endpoint for each set of parameters of each access pattern
ENDPOINTS = {
    "orders-of-customer": ["/customers/C-00007/orders"],
    "orders-with-coupon": ["/coupons/FRIENDS/orders"],
    "returned": ["/statuses/returned/orders"],
    "parcels": ["/warehouses/W1/parcels", "/warehouses/W2/parcels"],
    "products": ["/products?category=books"],
    "orders-of-day": ["/orders?day=2025-11-03"],
    "order": ["/orders/O-000300"],
    "customer": ["/customers/C-00001"],
}


@pytest.fixture(params=["perfkit", "dynalite"])
def url(request: pytest.FixtureRequest, load: Callable[..., str]) -> str:
    """Return the URL of filled tables, behind a server of ours and behind one that is not."""
    if request.param == "perfkit":
        return str(request.getfixturevalue("filled"))
    found = str(request.getfixturevalue("empty_stand_in")(request.param))
    load(found)
    return found


def test_today_costs_what_the_service_consumes(
    url: str,
    open_shop: Callable[[str], Any],
    client_of: Callable[[str], Any],
    record: Callable[[str], Any],
) -> None:
    recorder = record(url)
    perfkit("init", recorder.url, "--yes", "--json")
    perfkit("doctor", recorder.url, "--workload", WORKLOAD, "--json")
    measured = bench(recorder.url)
    shop = open_shop(url)

    for name, paths in ENDPOINTS.items():
        shop.read_units = 0.0
        shop.calls.clear()
        for path in paths:
            shop.http.get(path).raise_for_status()
        today = measured[name][0]
        assert (name, today["capacity_units"], today["requests_per_call"]) == (
            name,
            shop.read_units / len(paths),
            shop.calls.total() / len(paths),
        )
    assert measured.keys() == ENDPOINTS.keys()

    steps, batch = measured["returned"]
    calls, units = ask_in_a_batch(client_of(url))
    assert (steps["name"], batch["name"], calls) == ("steps", "batch", 2)
    assert (batch["requests_per_call"], batch["capacity_units"]) == (calls, units)
    assert steps["requests_per_call"] > 5 * calls
    assert steps["capacity_units"] > units

    # these tables are not perfkit's
    assert recorder.operations.keys() <= READS


def bench(url: str) -> dict[str, list[dict[str, Any]]]:
    """Return the variants that `perfkit bench` measures of each access pattern, today's first."""
    found = perfkit("bench", url, "--workload", WORKLOAD, "--iterations", 1, "--yes", "--json")
    return {run["scenario"]: run["variants"] for run in found["runs"]}


def perfkit(command: str, url: str, *options: object) -> dict[str, Any]:
    """Return the document that a command prints."""
    result = CliRunner().invoke(app, [command, "--target", url, *map(str, options)])
    assert result.exit_code == 0, result.output
    document: dict[str, Any] = json.loads(result.stdout)
    return document


def ask_in_a_batch(client: Any) -> tuple[int, float]:
    """Return calls and read units of the returned orders and their customers, by boto3 alone."""
    orders = client.query(
        TableName="Orders",
        IndexName="by-status",
        KeyConditionExpression="#status = :status",
        ExpressionAttributeNames={"#status": "status"},
        ExpressionAttributeValues={":status": {"S": "returned"}},
        ReturnConsumedCapacity="TOTAL",
    )
    whose = {each["customer_id"]["S"] for each in orders["Items"]}
    customers = client.batch_get_item(
        RequestItems={"Customers": {"Keys": [{"customer_id": {"S": each}} for each in whose]}},
        ReturnConsumedCapacity="TOTAL",
    )
    units = [each["CapacityUnits"] for each in customers["ConsumedCapacity"]]
    return 2, orders["ConsumedCapacity"]["CapacityUnits"] + sum(units)
