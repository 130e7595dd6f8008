"""The order service and its loader, which know nothing of perfkit."""

import ast
import re
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

pytestmark = pytest.mark.processes

EXAMPLE = Path(__file__).parents[2] / "examples" / "orders"


def fault_of(order: dict[str, Any], attribute: str, limit: int) -> str | None:
    """Return what keeps an order out of an index on an attribute, by DynamoDB's rules."""
    if attribute not in order:
        return "missing"
    match order[attribute]:
        case None:
            return "NULL"
        case "":
            return "empty"
        case str() as text:
            return "too long" if len(text.encode()) > limit else None
        case _:
            return "number"


def ids(found: Sequence[dict[str, Any]]) -> list[str]:
    return [each["order_id"] for each in found]


@pytest.mark.parametrize("name", ["load.py", "service.py"])
def test_it_imports_nothing_of_perfkit(name: str) -> None:
    names = {
        name
        for node in ast.walk(ast.parse((EXAMPLE / name).read_text()))
        for name in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else []
        )
    }

    assert not [each for each in names if each.startswith("perfkit")]


def test_as_many_faults_as_it_says(loader: ModuleType) -> None:
    limits = {"customer_id": 2_048, "placed_at": 1_024}
    counted = {name: Counter[str | None]() for name in limits}
    empty_coupons = both = 0
    for order in loader.orders(seed=1, number_of_orders=20_000):
        faults = {name: fault_of(order, name, limit) for name, limit in limits.items()}
        for name, fault in faults.items():
            counted[name][fault] += 1
        empty_coupons += order.get("coupon") == ""
        both += None not in faults.values()

    assert {name: {**each, None: 0} for name, each in counted.items()} == {
        "customer_id": {
            "missing": 40, "NULL": 30, "empty": 25, "number": 20, "too long": 5, None: 0,
        },
        "placed_at": {
            "missing": 20, "NULL": 15, "empty": 10, "number": 50, "too long": 3, None: 0,
        },
    }  # fmt: skip
    assert (empty_coupons, both) == (1_600, 0)


def test_one_customer_has_an_eighth_of_the_orders(orders: list[dict[str, Any]]) -> None:
    common = Counter(str(order.get("customer_id")) for order in orders).most_common(2)

    assert common[0][0] == "C-00001"
    assert 0.1 < common[0][1] / len(orders) < 0.15
    assert common[1][1] / len(orders) < 0.06


# dynalite is filled where units are counted
@pytest.mark.parametrize("stand_in", ["moto", "ministack"], indirect=True)
def test_it_writes_what_it_says(
    stand_in: str, client_of: Callable[[str], Any], load: Callable[..., str]
) -> None:
    said = load(stand_in, 400)

    written = {
        name: int(number) for name, number in re.findall(r"^(\w+) +(\d+) items", said, re.MULTILINE)
    }
    client = client_of(stand_in)
    pages = {name: client.get_paginator("scan").paginate(TableName=name) for name in written}
    assert written == {"Orders": 400, "Customers": 50, "Products": 400}
    assert {name: sum(page["Count"] for page in each) for name, each in pages.items()} == written
    assert "customer_id  1 missing, 1 NULL, 1 empty, 1 number, 1 too long" in said


def test_it_leaves_tables_alone_that_are_there(filled: str, load: Callable[..., str]) -> None:
    with pytest.raises(AssertionError, match="already: Customers, Orders, Products"):
        load(filled)


def test_every_question_is_answered(shop: Any, orders: list[dict[str, Any]]) -> None:
    def of(**values: str) -> list[str]:
        return ids([each for each in orders if values.items() <= each.items()])

    def ask(path: str) -> list[str]:
        return ids(shop.http.get(path).raise_for_status().json())

    day, warehouse = orders[700]["order_date"], next(o["pack_at"] for o in orders if "pack_at" in o)
    newest_first = of(customer_id="C-00007")[::-1]

    assert ask(f"/orders?day={day}") == of(order_date=day) != []
    assert ask("/customers/C-00007/orders") == newest_first != []
    assert sorted(ask("/coupons/WELCOME/orders")) == of(coupon="WELCOME") != []
    assert ask("/statuses/returned/orders") == of(status="returned") != []
    assert ask(f"/warehouses/{warehouse}/parcels") == of(pack_at=warehouse) != []
    assert len(shop.http.get("/products?category=books").json()) == 50


def test_old_orders_are_answered_whatever_the_old_shop_left(
    shop: Any, orders: list[dict[str, Any]]
) -> None:
    delivered = ids([each for each in orders if each["status"] == "delivered"])

    answer = shop.http.get("/statuses/delivered/orders").raise_for_status().json()

    assert ids(answer) == delivered
    named = {each["order_id"]: each["customer"] for each in answer}
    for order in orders:
        whose = order.get("customer_id")
        if order["status"] == "delivered" and fault_of(order, "customer_id", 2_048) is None:
            assert named[order["order_id"]]["customer_id"] == whose


def test_what_each_endpoint_asks(shop: Any, orders: list[dict[str, Any]]) -> None:
    """Scans, a query, N+1, an index whose entries lack something: the faults that are planted."""

    def asked(path: str) -> Counter[str]:
        shop.calls.clear()
        shop.http.get(path).raise_for_status()
        return Counter(shop.calls)

    returned = sum(each["status"] == "returned" for each in orders)
    to_pack = sum(each.get("pack_at") == "W1" for each in orders)
    assert returned > 5
    assert to_pack > 2
    assert asked("/orders/O-000900") == {"GetItem": 1}
    assert asked("/orders/O-000900/invoice") == {"GetItem": 2, "BatchGetItem": 1}
    assert asked(f"/orders?day={orders[5]['order_date']}") == {"Query": 1}
    assert asked("/customers/C-00001") == {"GetItem": 1}
    assert asked("/customers/C-00007/orders") == {"Scan": 1}
    assert asked("/coupons/SPRING/orders") == {"Scan": 1}
    assert asked("/statuses/returned/orders") == {"Query": 1, "GetItem": returned}
    assert asked("/warehouses/W1/parcels") == {"Query": 1, "GetItem": to_pack}
    assert asked("/products?category=toys") == {"Query": 1}


def test_each_answer_says_what_it_consumed(shop: Any) -> None:
    before = shop.http.get("/orders/O-000300").json()["status"]
    shop.read_units = 0.0
    found = shop.http.get("/statuses/returned/orders").headers
    changed = shop.http.patch("/orders/O-000300", json={"status": "shipped"}).headers
    missing = shop.http.get("/orders/none").headers

    assert before == "delivered"
    assert float(found["x-consumed-read-units"]) + 0.5 == shop.read_units > 5
    assert float(found["x-consumed-write-units"]) == 0
    # the order, and the one index that has its status, where it is removed and put
    assert float(changed["x-consumed-write-units"]) >= 1
    assert float(changed["x-consumed-read-units"]) == 0
    # an item that is not there takes as much as the smallest
    assert float(missing["x-consumed-read-units"]) == 0.5
    # other tests read these orders, too
    shop.http.patch("/orders/O-000300", json={"status": before}).raise_for_status()


def test_an_order_is_placed_packed_and_not_packed_again(shop: Any) -> None:
    new = {
        "customer_id": "C-00002",
        "wanted": [{"category": "toys", "sku": "TO-001", "quantity": 2}],
        "address": {
            "name": "Ada", "street": "Mill Road 1", "zip": "12345", "city": "Oakton", "country": "IE",
        },
    }  # fmt: skip
    placed = shop.http.post("/orders", json=new).raise_for_status().json()
    path = f"/orders/{placed['order_id']}"

    before = ids(shop.http.get("/warehouses/W1/parcels").json())
    shop.http.patch(path, json={"status": "packed"}).raise_for_status()
    after = ids(shop.http.get("/warehouses/W1/parcels").json())

    assert placed["order_id"] in before
    assert placed["order_id"] not in after
    assert shop.http.get(path).json()["status"] == "packed"
    assert shop.http.patch("/orders/none", json={"status": "packed"}).status_code == 404


def test_an_import_forgets_what_was_not_processed(shop: Any) -> None:
    """The fault that is planted: DynamoDB answers 200, and the service looks no further."""

    def take_the_first(params: dict[str, Any], **_: Any) -> dict[str, Any]:
        return params | {"RequestItems": {"Products": params["RequestItems"]["Products"][:1]}}

    def answer_so(parsed: dict[str, Any], **_: Any) -> None:
        left = {"category": {"S": "new"}, "sku": {"S": "NE-002"}}
        parsed["UnprocessedItems"] = {"Products": [{"PutRequest": {"Item": left}}]}

    shop.events.register("provide-client-params.dynamodb.BatchWriteItem", take_the_first)
    shop.events.register("after-call.dynamodb.BatchWriteItem", answer_so)
    products = [
        {"category": "new", "sku": sku, "title": "A lamp", "price": "9.5", "stock": 1}
        for sku in ("NE-001", "NE-002")
    ]

    said = shop.http.post("/products", json=products).json()

    there = shop.http.get("/products?category=new").json()
    assert said == {"imported": 2}
    assert [each["sku"] for each in there] == ["NE-001"]


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/orders/none", 404),
        ("/customers/C-99999", 404),
        ("/customers/somebody/orders", 422),
        ("/orders?day=yesterday", 422),
        ("/statuses/lost/orders", 422),
    ],
)
def test_what_is_not_there_or_makes_no_sense(shop: Any, path: str, status: int) -> None:
    assert shop.http.get(path).status_code == status
