"""The example, a shop in single-table design: nothing in perfkit is special about courses."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from perfkit.capacity import Item, item_size
from perfkit.cli import app
from perfkit.workloads.generator import ItemGenerator
from perfkit.workloads.loader import load
from perfkit.workloads.model import Projection, Workload

SHOP = Path(__file__).parents[2] / "examples" / "shop.toml"


@pytest.fixture(scope="module")
def shop() -> Workload:
    return load(SHOP)


@pytest.fixture(scope="module")
def items(shop: Workload) -> list[Item]:
    generator = ItemGenerator(shop)
    return list(generator.items("Shop", 0, generator.count("Shop")))


def of_kind(items: list[Item], prefix: str) -> list[Item]:
    return [item for item in items if item["sk"]["S"].startswith(prefix)]


def test_it_shows_what_courses_does_not(shop: Workload) -> None:
    (table,) = shop.tables

    assert [key.type for key in table.keys] == ["S", "S"]
    by_status = shop.table("Shop").index("OrdersByStatus")
    assert [key.type for key in by_status.keys] == ["S", "N"]
    assert by_status.projection is Projection.INCLUDE
    assert table.item_size is not None
    assert table.item_size.min_bytes < table.item_size.max_bytes


def test_every_item_has_a_key_of_its_own(items: list[Item]) -> None:
    assert len({(item["pk"]["S"], item["sk"]["S"]) for item in items}) == len(items) == 19_500


def test_items_of_a_customer_stand_together(items: list[Item]) -> None:
    customers = {item["pk"]["S"] for item in of_kind(items, "PROFILE")}
    orders = of_kind(items, "ORDER#")

    assert {order["pk"]["S"] for order in orders} <= customers
    assert Counter(order["pk"]["S"] for order in orders)["CUSTOMER#00042"] == 12
    assert all(order["pk"]["S"] == f"CUSTOMER#{order['customer_id']['S']}" for order in orders)


def test_lines_belong_to_orders_and_products_that_exist(items: list[Item]) -> None:
    lines = of_kind(items, "LINE#")

    assert {line["order_id"]["S"] for line in lines} <= {
        order["order_id"]["S"] for order in of_kind(items, "ORDER#")
    }
    assert {line["product_id"]["S"] for line in lines} <= {
        product["product_id"]["S"] for product in of_kind(items, "DETAILS")
    }


def test_one_index_is_sparse(shop: Workload, items: list[Item]) -> None:
    index = shop.table("Shop").index("OrdersToReview")

    held = sum(all(key.name in item for key in index.keys) for item in items)

    # 2% of 6,000 orders
    assert 80 < held < 170


def test_sizes_are_mixed_as_the_file_says(items: list[Item]) -> None:
    assert {item_size(item) for item in of_kind(items, "ORDER#")} == {500, 900, 2500}
    products = [item_size(item) for item in of_kind(items, "DETAILS")]
    assert min(products) >= 1_000
    assert max(products) <= 6_000
    assert len(set(products)) > 400


def test_it_goes_all_the_way_from_seed_to_report() -> None:
    def perfkit(*arguments: str) -> Any:
        result = CliRunner().invoke(app, [*arguments, "--json"])
        assert result.exit_code == 0, result.output
        return json.loads(result.stdout)

    workload = ("--workload", str(SHOP))

    perfkit("seed", *workload, "--scale", "0.05", "--processes", "1")
    perfkit("create-indexes", *workload)
    perfkit("bench", *workload, "--iterations", "2")
    report = perfkit("report")

    runs = {run["scenario"]: run for run in report["runs"]}
    assert set(runs) == {"orders", "returned", "review", "product"}
    for run in runs.values():
        assert run["workload"] == "shop"
        assert all(comparison["results_equal"] for comparison in run["comparisons"])
    orders = {variant["name"]: variant for variant in runs["orders"]["variants"]}
    assert orders["scan"]["items_read"] == 975
    assert orders["query"]["items_read"] == orders["query"]["items_returned"] == 12
    assert all(each["items_returned"] for each in runs["returned"]["variants"])
    product = {variant["name"]: variant for variant in runs["product"]["variants"]}
    assert product["get"]["items_returned"] == 1
