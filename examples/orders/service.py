"""
The orders of a web shop, over HTTP.

    uvicorn service:app --port 8080

DynamoDB is where boto3 looks: AWS_ENDPOINT_URL_DYNAMODB, the region and credentials say.
With ORDERS_USE_INDEXES=1 it queries the indexes by-customer and by-coupon, which must be ACTIVE,
where it scans without.
Each answer says what it consumed: X-Consumed-Read-Units, X-Consumed-Write-Units.
"""

import os
import re
from collections.abc import Awaitable, Callable, Iterator
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import lru_cache
from typing import Annotated, Any, Literal
from uuid import uuid4

import boto3
from boto3.dynamodb.conditions import Attr, Key
from fastapi import Depends, FastAPI, HTTPException, Path, Request, Response
from pydantic import BaseModel, BeforeValidator, Field

app = FastAPI(title="Orders")


@lru_cache
def dynamodb() -> Any:
    """Return the client that all requests share; it takes and gives Python's own types."""
    client = boto3.resource("dynamodb").meta.client
    client.meta.events.register("before-parameter-build.dynamodb", ask_for_units)
    client.meta.events.register("after-call.dynamodb", count_units)
    return client


Database = Annotated[Any, Depends(dynamodb)]


def uses_indexes() -> bool:
    """Tell whether the indexes are there and may be asked; it is switched on once they are."""
    return os.environ.get("ORDERS_USE_INDEXES") == "1"


UsesIndexes = Annotated[bool, Depends(uses_indexes)]


# ---- what a request consumes -----------------------------------------------------------------


@dataclass
class Consumed:
    read_units: float = 0.0
    write_units: float = 0.0


consumed: ContextVar[Consumed] = ContextVar("consumed")


def ask_for_units(params: dict[str, Any], **_: Any) -> None:
    params["ReturnConsumedCapacity"] = "TOTAL"


def count_units(parsed: dict[str, Any], model: Any, **_: Any) -> None:
    units = parsed.get("ConsumedCapacity") or []
    total = sum(each["CapacityUnits"] for each in (units if isinstance(units, list) else [units]))
    if model.name in {"GetItem", "BatchGetItem", "Query", "Scan"}:
        consumed.get().read_units += total
    else:
        consumed.get().write_units += total


@app.middleware("http")
async def say_what_it_consumed(
    request: Request, call_next: Callable[[Request], Awaitable[Response]]
) -> Response:
    # threads that answer the request get a copy of the context, with this very object in it
    found = Consumed()
    consumed.set(found)
    response = await call_next(request)
    response.headers["X-Consumed-Read-Units"] = f"{found.read_units:g}"
    response.headers["X-Consumed-Write-Units"] = f"{found.write_units:g}"
    return response


# ---- what comes in and goes out --------------------------------------------------------------


def text_or_nothing(value: Any) -> str | None:
    """Orders from the old shop have numbers, or nothing at all, where ours have texts."""
    return None if value in {None, ""} else str(value)


OldText = Annotated[str | None, BeforeValidator(text_or_nothing)]
Status = Literal["paid", "packed", "shipped", "delivered", "returned"]
CustomerId = Annotated[str, Path(pattern=r"^C-\d{5}$")]


class Address(BaseModel):
    name: str
    street: str
    zip: str
    city: str
    country: str = Field(min_length=2, max_length=2)


class Line(BaseModel):
    category: str
    sku: str
    title: str
    price: Decimal
    quantity: int


class Order(BaseModel):
    order_id: str
    order_date: date
    status: Status
    total: Decimal
    currency: str
    lines: list[Line]
    address: Address
    customer_id: OldText = None
    placed_at: OldText = None
    coupon: OldText = None
    note: str | None = None


class Customer(BaseModel):
    customer_id: str
    name: str
    email: str
    address: Address
    interests: set[str] = set()


class Product(BaseModel):
    category: str
    sku: str
    title: str
    price: Decimal
    stock: int


class OrderWithCustomer(BaseModel):
    order_id: str
    order_date: date
    total: Decimal
    customer: Customer | None


class Parcel(BaseModel):
    order_id: str
    address: Address
    lines: list[Line]


class Invoice(BaseModel):
    order: Order
    customer: Customer | None
    in_stock: dict[str, int]


class Wanted(BaseModel):
    category: str
    sku: str
    quantity: int = Field(ge=1, le=100)


class NewOrder(BaseModel):
    customer_id: str = Field(pattern=r"^C-\d{5}$")
    wanted: list[Wanted] = Field(min_length=1, max_length=50)
    address: Address
    channel: Literal["web", "app", "phone", "market"] = "web"
    coupon: str | None = Field(default=None, min_length=1)


class NewStatus(BaseModel):
    status: Status


# ---- orders ----------------------------------------------------------------------------------


@app.get("/orders")
def orders_of_a_day(db: Database, day: date) -> list[Order]:
    found = query_all(
        db,
        TableName="Orders",
        IndexName="by-day",
        KeyConditionExpression=Key("order_date").eq(str(day)),
    )
    return [Order(**each) for each in found]


@app.post("/orders", status_code=201)
def place_order(db: Database, new: NewOrder) -> Order:
    products = products_of(db, new.wanted)
    if len(products) < len({(each.category, each.sku) for each in new.wanted}):
        raise HTTPException(422, "no such product")
    lines = [
        {
            "category": each.category,
            "sku": each.sku,
            "title": products[each.category, each.sku]["title"],
            "price": products[each.category, each.sku]["price"],
            "quantity": each.quantity,
        }
        for each in new.wanted
    ]
    now = datetime.now(UTC)
    order = {
        "order_id": f"O-{uuid4().hex[:12]}",
        "customer_id": new.customer_id,
        "placed_at": f"{now:%Y-%m-%dT%H:%M:%SZ}",
        "order_date": f"{now:%Y-%m-%d}",
        "status": "paid",
        "pack_at": "W1",
        "channel": new.channel,
        "currency": "EUR",
        "total": sum(each["price"] * each["quantity"] for each in lines),
        "lines": lines,
        "address": new.address.model_dump(),
    }
    if new.coupon:
        order["coupon"] = new.coupon
    db.put_item(TableName="Orders", Item=order, ConditionExpression=Attr("order_id").not_exists())
    return Order.model_validate(order)


@app.get("/orders/{order_id}")
def order_by_id(db: Database, order_id: str) -> Order:
    return Order(**find(db, "Orders", {"order_id": order_id}))


@app.patch("/orders/{order_id}", status_code=204)
def change_status(db: Database, order_id: str, new: NewStatus) -> None:
    # whatever comes next, nobody has to pack it any more
    try:
        db.update_item(
            TableName="Orders",
            Key={"order_id": order_id},
            UpdateExpression="SET #status = :status REMOVE pack_at",
            ConditionExpression="attribute_exists(order_id)",
            ExpressionAttributeNames={"#status": "status"},
            ExpressionAttributeValues={":status": new.status},
        )
    except db.exceptions.ConditionalCheckFailedException as error:
        raise HTTPException(404) from error


@app.get("/orders/{order_id}/invoice")
def invoice(db: Database, order_id: str) -> Invoice:
    order = Order(**find(db, "Orders", {"order_id": order_id}))
    products = products_of(db, order.lines)
    return Invoice(
        order=order,
        customer=customer_of(db, order.customer_id),
        in_stock={sku: int(product["stock"]) for (_, sku), product in products.items()},
    )


@app.get("/statuses/{status}/orders")
def orders_with_customers(db: Database, status: Status) -> list[OrderWithCustomer]:
    found = query_all(
        db,
        TableName="Orders",
        IndexName="by-status",
        KeyConditionExpression=Key("status").eq(status),
    )
    return [
        OrderWithCustomer(
            order_id=each["order_id"],
            order_date=each["order_date"],
            total=each["total"],
            customer=customer_of(db, text_or_nothing(each.get("customer_id"))),
        )
        for each in found
    ]


@app.get("/warehouses/{warehouse}/parcels")
def parcels_to_pack(
    db: Database, warehouse: Annotated[str, Path(pattern=r"^W\d$")]
) -> list[Parcel]:
    found = query_all(
        db,
        TableName="Orders",
        IndexName="to-pack",
        KeyConditionExpression=Key("pack_at").eq(warehouse),
    )
    # address and lines are not in the index
    return [Parcel(**find(db, "Orders", {"order_id": each["order_id"]})) for each in found]


@app.get("/coupons/{code}/orders")
def orders_with_coupon(
    db: Database, indexed: UsesIndexes, code: Annotated[str, Path(pattern=r"^[A-Z]{3,20}$")]
) -> list[Order]:
    if indexed:
        entries = query_all(
            db,
            TableName="Orders",
            IndexName="by-coupon",
            KeyConditionExpression=Key("coupon").eq(code),
        )
        return [Order(**each) for each in entries]
    pages = db.get_paginator("scan").paginate(
        TableName="Orders", FilterExpression=Attr("coupon").eq(code)
    )
    return [Order(**each) for page in pages for each in page["Items"]]


# ---- customers -------------------------------------------------------------------------------


@app.get("/customers/{customer_id}")
def customer_by_id(db: Database, customer_id: CustomerId) -> Customer:
    return Customer(**find(db, "Customers", {"customer_id": customer_id}))


@app.get("/customers/{customer_id}/orders")
def orders_of_a_customer(
    db: Database, indexed: UsesIndexes, customer_id: CustomerId
) -> list[Order]:
    """Newest first."""
    if indexed:
        entries = query_all(
            db,
            TableName="Orders",
            IndexName="by-customer",
            KeyConditionExpression=Key("customer_id").eq(customer_id),
            ScanIndexForward=False,
        )
        return [Order(**each) for each in entries]
    found, asked = [], {"TableName": "Orders"}
    while True:
        page = db.scan(**asked)
        found += [each for each in page["Items"] if each.get("customer_id") == customer_id]
        if "LastEvaluatedKey" not in page:
            break
        asked["ExclusiveStartKey"] = page["LastEvaluatedKey"]
    orders = [Order(**each) for each in found]
    return sorted(orders, key=lambda order: order.placed_at or "", reverse=True)


# ---- products --------------------------------------------------------------------------------


@app.get("/products")
def products_of_a_category(db: Database, category: str) -> list[Product]:
    """What the start page shows."""
    found = query_all(db, TableName="Products", KeyConditionExpression=Key("category").eq(category))
    return [Product(**each) for each in found]


@app.post("/products")
def import_products(
    db: Database, products: Annotated[list[Product], Field(min_length=1, max_length=1_000)]
) -> dict[str, int]:
    for start in range(0, len(products), 25):
        batch = products[start : start + 25]
        db.batch_write_item(
            RequestItems={
                "Products": [{"PutRequest": {"Item": each.model_dump()}} for each in batch]
            }
        )
    return {"imported": len(products)}


# ---- how it is asked -------------------------------------------------------------------------


def query_all(db: Any, **asked: Any) -> Iterator[dict[str, Any]]:
    """Yield the items of all pages of a query."""
    for page in db.get_paginator("query").paginate(**asked):
        yield from page["Items"]


def find(db: Any, table: str, key: dict[str, str]) -> dict[str, Any]:
    item: dict[str, Any] | None = db.get_item(TableName=table, Key=key).get("Item")
    if item is None:
        raise HTTPException(404)
    return item


def customer_of(db: Any, customer_id: str | None) -> Customer | None:
    """Return an order's customer, where the order names one that there is."""
    if not customer_id or not re.fullmatch(r"C-\d{5}", customer_id):
        return None
    item = db.get_item(TableName="Customers", Key={"customer_id": customer_id}).get("Item")
    return Customer(**item) if item else None


def products_of(db: Any, lines: list[Line] | list[Wanted]) -> dict[tuple[str, str], dict[str, Any]]:
    """Return the products of some lines by category and number."""
    keys = {
        (each.category, each.sku): each.model_dump(include={"category", "sku"}) for each in lines
    }
    wanted = {"Products": {"Keys": list(keys.values())}}
    found = {}
    while wanted:
        answer = db.batch_get_item(RequestItems=wanted)
        for each in answer["Responses"]["Products"]:
            found[each["category"], each["sku"]] = each
        wanted = answer["UnprocessedKeys"]
    return found
