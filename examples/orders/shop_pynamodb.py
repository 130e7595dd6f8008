"""
What the order service asks, asked through PynamoDB.

    python shop_pynamodb.py [QUESTION ...]

asks each of the questions below as service.py does, faults included; without a name all of them.
DynamoDB is where boto3 looks: AWS_ENDPOINT_URL_DYNAMODB, the region and credentials say.
"""

import re
import sys
from collections.abc import Callable
from typing import Any
from uuid import uuid4

from pynamodb.attributes import (
    ListAttribute,
    MapAttribute,
    NumberAttribute,
    UnicodeAttribute,
)
from pynamodb.indexes import AllProjection, GlobalSecondaryIndex, IncludeProjection
from pynamodb.models import Model


class OldText(UnicodeAttribute):
    """Orders from the old shop have numbers where ours have texts."""

    def get_value(self, value: dict[str, Any]) -> str:
        return str(next(iter(value.values())))


class ByDay(GlobalSecondaryIndex["Order"]):  # type: ignore[no-untyped-call]
    class Meta:
        index_name = "by-day"
        projection = AllProjection()

    order_date = UnicodeAttribute(hash_key=True)
    order_id = UnicodeAttribute(range_key=True)


class ByStatus(GlobalSecondaryIndex["Order"]):  # type: ignore[no-untyped-call]
    class Meta:
        index_name = "by-status"
        projection = IncludeProjection(["customer_id", "order_date", "total"])

    status = UnicodeAttribute(hash_key=True)
    order_id = UnicodeAttribute(range_key=True)


class ToPack(GlobalSecondaryIndex["Order"]):  # type: ignore[no-untyped-call]
    class Meta:
        index_name = "to-pack"
        projection = IncludeProjection(["order_date"])

    pack_at = UnicodeAttribute(hash_key=True)
    order_id = UnicodeAttribute(range_key=True)


class Order(Model):
    class Meta:
        table_name = "Orders"

    order_id = UnicodeAttribute(hash_key=True)
    customer_id = OldText(null=True)
    placed_at = OldText(null=True)
    order_date = UnicodeAttribute()
    status = UnicodeAttribute()
    pack_at = UnicodeAttribute(null=True)
    channel = UnicodeAttribute()
    currency = UnicodeAttribute()
    coupon = UnicodeAttribute(null=True)
    total = NumberAttribute()
    lines: ListAttribute[Any] = ListAttribute()
    address: MapAttribute[str, str] = MapAttribute()  # type: ignore[no-untyped-call]
    by_day = ByDay()
    by_status = ByStatus()
    to_pack = ToPack()


class Customer(Model):
    class Meta:
        table_name = "Customers"

    customer_id = UnicodeAttribute(hash_key=True)
    name = UnicodeAttribute()
    email = UnicodeAttribute()


class Product(Model):
    class Meta:
        table_name = "Products"

    category = UnicodeAttribute(hash_key=True)
    sku = UnicodeAttribute(range_key=True)
    title = UnicodeAttribute()
    price = NumberAttribute()
    stock = NumberAttribute()


# ---- with faults -----------------------------------------------------------------------------


def orders_of_a_customer() -> None:
    """Scan all orders, and filter them here."""
    found = [order for order in Order.scan() if order.customer_id == "C-00007"]
    print(f"C-00007 has {len(found)} orders")


def orders_with_coupon() -> None:
    """Scan all orders for one attribute."""
    found = list(Order.scan(filter_condition=Order.coupon == "FRIENDS"))
    print(f"FRIENDS was used for {len(found)} orders")


def orders_with_customers() -> None:
    """Query, and get the customer of each order: N+1."""
    found = [(order, customer_of(order)) for order in Order.by_status.query("shipped")]
    print(f"{len(found)} orders are on their way")


def parcels() -> None:
    """Query an index that lacks lines and address, and get each order for them."""
    for number in range(6):
        place_order(number)
    found = [Order.get(entry.order_id) for entry in Order.to_pack.query("W1")]
    print(f"W1 has {len(found)} orders to pack")


def start_page() -> None:
    """Ask for the same products again and again."""
    for _ in range(40):
        found = list(Product.query("books"))
    print(f"there are {len(found)} books")


def customers() -> None:
    """Ask for one customer three times as often as for all others: a hot key."""
    for number in range(1, 51):
        Customer.get(f"C-{number:05}")
        for _ in range(3):
            Customer.get("C-00001")


def import_products() -> None:
    """Write in batches, and forget what comes back unprocessed; `Product.batch_write` would not."""
    products = [
        Product("toys", f"N-{number}", title="New", price=1, stock=3) for number in range(30)
    ]
    for start in range(0, len(products), 25):
        items = [each.serialize() for each in products[start : start + 25]]
        Product._get_connection().batch_write_item(put_items=items)  # noqa: SLF001
    print(f"{len(products)} products imported")


# ---- as it should be -------------------------------------------------------------------------


def clean() -> None:
    """Ask what is asked as it should be."""
    for number in range(1, 8):
        order = Order.get(f"O-{number * 100:06}")
        wanted = [(line["category"], line["sku"]) for line in order.lines]
        list(Product.batch_get(wanted))
        customer_of(order)
        list(Order.by_day.query(f"2025-11-{number:02}"))
        Order(order.order_id).update(
            actions=[Order.status.set("shipped"), Order.pack_at.remove()],
            condition=Order.order_id.exists(),
        )
        place_order(number)


def place_order(number: int) -> None:
    (product,) = Product.batch_get([("books", f"BO-{number + 1:03}")])
    line = {"category": "books", "sku": product.sku, "title": product.title, "quantity": 1}
    Order(
        f"O-{uuid4().hex[:12]}",
        customer_id="C-00002",
        placed_at="2026-01-01T12:00:00Z",
        order_date="2026-01-01",
        status="paid",
        pack_at="W1",
        channel="web",
        currency="EUR",
        total=product.price,
        lines=[line | {"price": product.price}],
        address={"name": "A", "street": "B", "zip": "1", "city": "C", "country": "DE"},
    ).save(condition=Order.order_id.does_not_exist())


def customer_of(order: Order) -> Customer | None:
    """Return an order's customer, where the order names one that there is."""
    if not re.fullmatch(r"C-\d{5}", order.customer_id or ""):
        return None
    try:
        return Customer.get(order.customer_id)
    except Customer.DoesNotExist:
        return None


QUESTIONS: dict[str, Callable[[], None]] = {
    "orders-of-a-customer": orders_of_a_customer,
    "orders-with-coupon": orders_with_coupon,
    "orders-with-customers": orders_with_customers,
    "parcels": parcels,
    "start-page": start_page,
    "customers": customers,
    "import-products": import_products,
    "clean": clean,
}


if __name__ == "__main__":
    for name in sys.argv[1:] or QUESTIONS:
        QUESTIONS[name]()
