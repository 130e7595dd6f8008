"""Tables that exist already: keys with types, indexes that are there, nothing known of the items."""

import pytest

from perfkit.dynamodb.tables import Keys
from perfkit.workloads.loader import read
from perfkit.workloads.problems import InvalidWorkloadError

ORDERS = """
name = "orders"
description = "An order service"

[tables.Orders]
partition_key = { name = "order_id", type = "S" }
sort_key = { name = "line", type = "N" }

[tables.Orders.indexes]
ByStatus = { partition_key = { name = "status", type = "S" }, sort_key = "order_id", exists = true }
ByPlace = { partition_key = ["status", { name = "city", type = "S" }], sort_key = ["line", "order_id"] }
Local = { partition_key = "order_id", sort_key = "city", local = true }

[tables.Blobs]
partition_key = { name = "id", type = "B" }

[patterns.place]
description = "Orders of a place"
table = "Orders"
parameters = { status = "open", city = "Oslo", line = 3, none = ["not", { SS = ["a"] }] }
names = { status = "status" }
scan.filter = "#status = :status AND city = :city AND line = :line AND unheard_of <> :none"
query.index = "ByPlace"
query.key_condition = "#status = :status AND city = :city AND line = :line"
query.filter = "unheard_of <> :none"

[patterns.local]
description = "Lines of an order in a city"
table = "Orders"
parameters = { order = "A1", city = "Oslo" }
scan.filter = "order_id = :order AND city = :city"
query.index = "Local"
query.key_condition = "order_id = :order AND city = :city"

[patterns.blob]
description = "One blob"
table = "Blobs"
parameters = { id = { B = "AQI=" } }
scan.filter = "id = :id"
get = { id = ":id" }
"""


def test_a_table_without_items_and_attributes_exists_already() -> None:
    workload = read(ORDERS.encode(), source="orders.toml")

    assert [table.name for table in workload.existing] == ["Orders", "Blobs"]
    by_status, by_place, local = workload.table("Orders").indexes
    assert (by_status.exists, by_place.exists, local.exists, local.local) == (1, 0, 1, 1)
    assert Keys.of(by_place) == Keys(
        partition=(("status", "S"), ("city", "S")), sort=(("line", "N"), ("order_id", "S"))
    )
    assert workload.pattern("place").parameters[":none"] == {
        "L": [{"S": "not"}, {"SS": ["a"]}],
    }
    assert workload.pattern("blob").get.key == {"id": {"B": "AQI="}}  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        (
            '{ name = "status", type = "S" }',
            '"status"',
            (
                'orders.toml:10: tables.Orders.indexes.ByStatus.partition_key = "status": its type is'
                ' not known; expected { name = "status", type = "S" }, or N or B'
            ),
        ),
        (
            'sort_key = "order_id", exists',
            'sort_key = { name = "order_id", type = "N" }, exists',
            (
                'orders.toml:10: tables.Orders.indexes.ByStatus.sort_key.type = "N": order_id is S'
                " elsewhere in this table; expected one type"
            ),
        ),
        (
            'type = "B"',
            'type = "BOOL"',
            "orders.toml:15: tables.Blobs.partition_key.type = \"BOOL\": expected 'S', 'N' or 'B'",
        ),
        (
            'sort_key = "city", local',
            "local",
            (
                "orders.toml:12: tables.Orders.indexes.Local.sort_key: expected one sort key: a local"
                " index has another than the table"
            ),
        ),
        (
            'city = :city AND line = :line"\nquery.filter',
            'line = :line"\nquery.filter',
            (
                'orders.toml:24: patterns.place.query.key_condition = "#status = :status AND line ='
                ' :line": expected "city = …": a query reads one partition'
            ),
        ),
        (
            'id = { B = "AQI=" }',
            'id = "AQI="',
            'orders.toml:40: patterns.blob.get.id = ":id": expected binary, such as { B = "AQI=" }',
        ),
        (
            'id = { B = "AQI=" }',
            'id = { B = "?" }',
            (
                'orders.toml:38: patterns.blob.parameters.id = { B = "?" }: expected base64 text in'
                " { B = … }"
            ),
        ),
        (
            "[tables.Blobs]\n",
            '[tables.Blobs]\nitems = 3\nattributes = { id = { kind = "reference", table = "Orders" } }\n',
            (
                'orders.toml:16: tables.Blobs.attributes.id.table = "Orders": perfkit does not make the'
                " items of Orders; expected a table that it makes"
            ),
        ),
    ],
)
def test_what_cannot_be_is_named(old: str, new: str, problem: str) -> None:
    assert ORDERS.count(old) >= 1
    with pytest.raises(InvalidWorkloadError) as caught:
        read(ORDERS.replace(old, new, 1).encode(), source="orders.toml")

    assert problem in str(caught.value).splitlines()
