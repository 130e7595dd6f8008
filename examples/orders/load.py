"""
Fill the tables of the order service with data as it looks after some years and one takeover.

    python load.py --endpoint-url http://127.0.0.1:8000

The same number of orders and the same seed always make the same items.
"""

import argparse
import random
from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import boto3

CATEGORIES = ("books", "coffee", "garden", "kitchen", "lamps", "music", "paper", "toys")
WORDS = """
    amber birch cedar copper coral cotton crystal ebony fern forest golden granite harbour hazel
    indigo ivory jasmine lilac linen maple marble meadow mint oak ocean olive onyx opal pearl
    pine quartz river rose rowan ruby saffron sage satin silver slate spruce stone summer teal
    thistle velvet walnut willow winter wool
""".split()
COUNTRIES = ("AT", "CH", "DE", "DK", "FR", "IE", "NL", "SE")

COUPONS = {"WELCOME": 0.03, "SPRING": 0.01, "FRIENDS": 0.005}
"""Codes and the share of orders that have one; nobody typed in anything for most."""

WAREHOUSES = ("W1", "W2", "W3", "W4", "W5")

FAULTS = {
    "customer_id": {"missing": 40, "NULL": 30, "empty": 25, "number": 20, "too long": 5},
    "placed_at": {"missing": 20, "NULL": 15, "empty": 10, "number": 50, "too long": 3},
    "coupon": {"empty": 1_600},
}
"""What the old shop left behind: how many of 20,000 orders have which fault in which attribute."""

FAULTS_OF = 20_000

TOO_LONG = {"customer_id": 2_049, "placed_at": 1_025}
"""Bytes: one more than a partition key and a sort key may have."""

OLD_SHOP = 0.4
"""The share of orders, the first ones, that were taken over from the old shop."""

FIRST_DAY = datetime(2025, 1, 1, tzinfo=UTC)
LAST_DAY = datetime(2026, 1, 1, tzinfo=UTC)


def tables() -> list[dict[str, Any]]:
    """Return what CreateTable is asked for."""
    return [
        {
            "TableName": "Orders",
            "BillingMode": "PAY_PER_REQUEST",
            "KeySchema": key("order_id"),
            "AttributeDefinitions": texts("order_id", "status", "order_date", "pack_at", "channel"),
            "GlobalSecondaryIndexes": [
                index("by-day", "order_date", "order_id"),
                index("by-status", "status", "order_id", ["customer_id", "order_date", "total"]),
                # only orders that wait to be packed have pack_at
                index("to-pack", "pack_at", "order_id", ["order_date"]),
                index("by-channel", "channel", "order_date"),
            ],
        },
        {
            "TableName": "Customers",
            "BillingMode": "PAY_PER_REQUEST",
            "KeySchema": key("customer_id"),
            "AttributeDefinitions": texts("customer_id"),
        },
        {
            "TableName": "Products",
            "BillingMode": "PROVISIONED",
            "ProvisionedThroughput": {"ReadCapacityUnits": 50, "WriteCapacityUnits": 25},
            "KeySchema": key("category", "sku"),
            "AttributeDefinitions": texts("category", "sku"),
        },
    ]


def key(partition: str, sort: str | None = None) -> list[dict[str, str]]:
    parts = [{"AttributeName": partition, "KeyType": "HASH"}]
    return parts + ([{"AttributeName": sort, "KeyType": "RANGE"}] if sort else [])


def texts(*names: str) -> list[dict[str, str]]:
    return [{"AttributeName": name, "AttributeType": "S"} for name in names]


def index(
    name: str, partition: str, sort: str, included: list[str] | None = None
) -> dict[str, Any]:
    projection: dict[str, Any] = {"ProjectionType": "ALL"}
    if included:
        projection = {"ProjectionType": "INCLUDE", "NonKeyAttributes": included}
    return {"IndexName": name, "KeySchema": key(partition, sort), "Projection": projection}


def products(seed: int) -> list[dict[str, Any]]:
    rng = random.Random(f"products {seed}")
    return [
        {
            "category": category,
            "sku": f"{category[:2].upper()}-{number:03}",
            "title": " ".join(rng.sample(WORDS, 3)).capitalize(),
            "price": Decimal(rng.randrange(199, 19_999)) / 100,
            "stock": rng.randrange(200),
            "dimensions": {"width_mm": rng.randrange(20, 900), "height_mm": rng.randrange(20, 900)},
            "description": " ".join(rng.choices(WORDS, k=rng.randrange(20, 120))),
        }
        for category in CATEGORIES
        for number in range(1, 51)
    ]


def customers(seed: int, orders: int) -> list[dict[str, Any]]:
    """Return the customers; the old shop's were taken over last and are the second half."""
    rng = random.Random(f"customers {seed}")
    found = []
    for number in range(1, max(50, orders // 20) + 1):
        name = f"{rng.choice(WORDS)} {rng.choice(WORDS)}".title()
        customer = {
            "customer_id": f"C-{number:05}",
            "name": name,
            "email": f"{name.replace(' ', '.').lower()}{number}@example.com",
            "address": address(rng, name),
            "newsletter": rng.random() < 0.3,
            "joined": str(date(2020, 1, 1) + timedelta(days=rng.randrange(1_800))),
        }
        if rng.random() < 0.4:
            customer["interests"] = set(rng.sample(CATEGORIES, rng.randrange(1, 4)))
        found.append(customer)
    return found


def address(rng: random.Random, name: str) -> dict[str, Any]:
    return {
        "name": name,
        "street": f"{rng.choice(WORDS).capitalize()} Road {rng.randrange(1, 200)}",
        "city": f"{rng.choice(WORDS).capitalize()}ton",
        "zip": f"{rng.randrange(10_000, 99_999)}",
        "country": rng.choice(COUNTRIES),
    }


def orders(seed: int, number_of_orders: int) -> Iterator[dict[str, Any]]:
    """Yield the orders in the order in which they were placed, with the faults among them."""
    rng = random.Random(f"orders {seed}")
    catalogue, buyers = products(seed), customers(seed, number_of_orders)
    half = len(buyers) // 2
    old_orders = int(number_of_orders * OLD_SHOP)
    faults = faults_by_order(seed, number_of_orders)
    for number in range(number_of_orders):
        old = number < old_orders
        when = FIRST_DAY + (LAST_DAY - FIRST_DAY) * number / number_of_orders
        if not old and rng.random() < 0.125 / (1 - OLD_SHOP):
            # a reseller, C-00001, has an eighth of all orders
            buyer = buyers[0]
        else:
            buyer = rng.choice(buyers[half:] if old else buyers)
        order = {
            "order_id": f"O-{number + 1:06}",
            "customer_id": buyer["customer_id"],
            "placed_at": f"{when:%Y-%m-%dT%H:%M:%SZ}",
            "order_date": f"{when:%Y-%m-%d}",
            "status": "delivered" if old else status(rng),
            "channel": rng.choice(("web", "web", "web", "app", "app", "phone", "market")),
            "currency": "EUR",
            "address": buyer["address"],
            "lines": [line(rng, catalogue) for _ in range(rng.choice((1, 1, 2, 2, 3, 4, 6)))],
        }
        order["total"] = sum(each["price"] * each["quantity"] for each in order["lines"])
        if order["status"] == "paid":
            order["pack_at"] = rng.choice(WAREHOUSES)
        if rng.random() < 0.2:
            order["note"] = " ".join(rng.choices(WORDS, k=rng.randrange(5, 60))).capitalize()
        if rng.random() < 0.1:
            order["wishes"] = set(rng.sample(("gift", "express", "no plastic", "call first"), 2))
        code = coupon(rng)
        if code:
            order["coupon"] = code
        for attribute, fault in faults.get(number, {}).items():
            spoil(order, attribute, fault, when)
        yield order


def status(rng: random.Random) -> str:
    states = ("paid", "packed", "shipped", "delivered", "returned")
    return rng.choices(states, weights=(25, 10, 40, 915, 10))[0]


def line(rng: random.Random, catalogue: list[dict[str, Any]]) -> dict[str, Any]:
    # what is first in the catalogue is bought most
    product = catalogue[int(len(catalogue) * rng.random() ** 2)]
    copied = {name: product[name] for name in ("category", "sku", "title", "price")}
    return copied | {"quantity": rng.choice((1, 1, 1, 2, 3))}


def coupon(rng: random.Random) -> str | None:
    chance = rng.random()
    for code, share in COUPONS.items():
        if chance < share:
            return code
        chance -= share
    return None


def planned_faults(number_of_orders: int) -> dict[str, dict[str, int]]:
    """Return how many orders have which fault in which attribute: at least one of each."""
    return {
        attribute: {
            fault: max(1, round(number * number_of_orders / FAULTS_OF))
            for fault, number in numbers.items()
        }
        for attribute, numbers in FAULTS.items()
    }


def faults_by_order(seed: int, number_of_orders: int) -> dict[int, dict[str, str]]:
    """Return attributes and faults by number of order; only the old shop's orders have any."""
    rng = random.Random(f"faults {seed}")
    old_orders = range(int(number_of_orders * OLD_SHOP))
    found: dict[int, dict[str, str]] = {}
    for attributes in (("customer_id", "placed_at"), ("coupon",)):
        # an order has at most one fault in what could be the key of "orders of a customer"
        wanted = [
            (attribute, fault)
            for attribute in attributes
            for fault, number in planned_faults(number_of_orders)[attribute].items()
            for _ in range(number)
        ]
        for number, (attribute, fault) in zip(
            rng.sample(old_orders, len(wanted)), wanted, strict=True
        ):
            found.setdefault(number, {})[attribute] = fault
    return found


def spoil(order: dict[str, Any], attribute: str, fault: str, when: datetime) -> None:
    if fault == "missing":
        del order[attribute]
    elif fault == "NULL":
        order[attribute] = None
    elif fault == "empty":
        order[attribute] = ""
    elif fault == "number":
        # the old shop's own customer numbers, and Unix time
        number = int(when.timestamp())
        order[attribute] = number if attribute == "placed_at" else number % 100_000
    else:
        pasted = f"{order[attribute]} (see mail: {' '.join(WORDS * 8)}"
        order[attribute] = pasted[: TOO_LONG[attribute]]


def write(table: Any, items: Iterable[dict[str, Any]]) -> int:
    """Write items in batches; what comes back unprocessed, boto3 sends again."""
    number = 0
    with table.batch_writer() as batch:
        for item in items:
            batch.put_item(Item=item)
            number += 1
    return number


def main() -> None:
    parser = argparse.ArgumentParser(
        description="Make the tables of the order service and fill them."
    )
    parser.add_argument("--endpoint-url", help="where DynamoDB is; left out, where boto3 looks")
    parser.add_argument("--region", help="left out, as AWS_REGION or the profile says")
    parser.add_argument("--orders", type=int, default=20_000, help="at least 400 (%(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="other numbers make other items")
    options = parser.parse_args()
    if options.orders < 400:
        parser.error("--orders: at least 400, so that every fault has room")

    database = boto3.resource(
        "dynamodb", endpoint_url=options.endpoint_url, region_name=options.region
    )
    wanted = tables()
    there = {table.name for table in database.tables.all()}
    taken = sorted(there & {each["TableName"] for each in wanted})
    if taken:
        parser.error(f"there are tables of this name already: {', '.join(taken)}")
    for definition in wanted:
        database.create_table(**definition).wait_until_exists()

    made = {
        "Orders": orders(options.seed, options.orders),
        "Customers": customers(options.seed, options.orders),
        "Products": products(options.seed),
    }
    for name, items in made.items():
        print(f"{name:10} {write(database.Table(name), items):7,} items")
    print("Faults in Orders, left by the old shop:")
    for attribute, numbers in planned_faults(options.orders).items():
        listed = ", ".join(f"{number:,} {fault}" for fault, number in numbers.items())
        print(f"  {attribute:12} {listed}")


if __name__ == "__main__":
    main()
