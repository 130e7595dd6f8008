"""Consumed capacity as real DynamoDB answered it, one row for each published answer."""

from collections.abc import Callable
from typing import Any

import pytest

# table pk/sk; GSI "gsi-inc" on gsiPk with INCLUDE[proj]; LSI "lsi-all" on lsiSk with ALL
MEMBER = {"gsiPk": {"S": "g"}, "lsiSk": {"S": "l"}, "proj": {"S": "p"}}
KEY = {"pk": {"S": "a"}, "sk": {"S": "b"}}


def text(size_bytes: int) -> dict[str, str]:
    return {"S": "x" * size_bytes}


def units(
    total: float, table: float, gsi: float | None = None, lsi: float | None = None, **split: str
) -> dict[str, Any]:
    """Return what ConsumedCapacity must be at INDEXES."""

    def arm(amount: float) -> dict[str, float]:
        return {"CapacityUnits": amount, **dict.fromkeys(split.values(), amount)}

    expected: dict[str, Any] = {"TableName": "things", **arm(total), "Table": arm(table)}
    if gsi is not None:
        expected["GlobalSecondaryIndexes"] = {"gsi-inc": arm(gsi)}
    if lsi is not None:
        expected["LocalSecondaryIndexes"] = {"lsi-all": arm(lsi)}
    return expected


@pytest.fixture
def things(make_table: Callable[..., str]) -> str:
    return make_table(
        "things",
        "pk sk",
        gsi={"gsi-inc": ("gsiPk", ["proj"])},
        lsi={"lsi-all": ("pk lsiSk", "ALL")},
    )


def put(**attributes: Any) -> tuple[str, dict[str, Any]]:
    return "put_item", {"Item": {**KEY, **attributes}}


def update(expression: str, **values: Any) -> tuple[str, dict[str, Any]]:
    request: dict[str, Any] = {"Key": KEY, "UpdateExpression": expression}
    if values:
        request["ExpressionAttributeValues"] = {f":{n}": value for n, value in values.items()}
    return "update_item", request


def delete() -> tuple[str, dict[str, Any]]:
    return "delete_item", {"Key": KEY}


SINGLE_WRITES = [
    # (stored before, operation and request, (total, table, gsi, lsi))
    pytest.param(None, put(gsiPk=text(1), proj=text(1)), (2, 1, 1, None), id="put into the GSI"),
    pytest.param(None, put(spare=text(1)), (1, 1, None, None), id="put a sparse item"),
    pytest.param(None, put(lsiSk=text(1)), (2, 1, None, 1), id="put into the LSI"),
    pytest.param(None, put(**MEMBER), (3, 1, 1, 1), id="put into both"),
    pytest.param(MEMBER, put(**MEMBER), (1, 1, None, None), id="identical overwrite"),
    pytest.param(
        MEMBER, update("SET spare = :v", v=text(1)), (2, 1, None, 1), id="set outside the GSI"
    ),
    pytest.param(
        MEMBER, update("SET proj = :v", v=text(2)), (3, 1, 1, 1), id="set a projected attribute"
    ),
    pytest.param(MEMBER, update("SET gsiPk = :v", v=text(2)), (4, 1, 2, 1), id="move in the GSI"),
    pytest.param(MEMBER, update("REMOVE gsiPk"), (3, 1, 1, 1), id="leave the GSI"),
    pytest.param(
        MEMBER, update("SET lsiSk = :v", v=text(2)), (3, 1, None, 2), id="move in the LSI"
    ),
    pytest.param(MEMBER, delete(), (3, 1, 1, 1), id="delete from both"),
    pytest.param({"spare": text(1)}, delete(), (1, 1, None, None), id="delete a sparse item"),
    pytest.param(None, delete(), (1, 1, None, None), id="delete a missing item"),
    pytest.param(
        None,
        update("SET gsiPk = :g, lsiSk = :l", g=text(1), l=text(1)),
        (3, 1, 1, 1),
        id="update creates a member of both",
    ),
    pytest.param(None, update("SET spare = :o", o=text(1)), (1, 1, None, None), id="upsert"),
    # an entry of pk, sk, gsiPk takes 13 bytes here, "proj" four and its value
    pytest.param(
        None, put(gsiPk=text(1), spare=text(3000)), (4, 3, 1, None), id="3 KB outside the GSI"
    ),
    pytest.param(
        {"gsiPk": text(1), "proj": text(3000)},
        put(gsiPk=text(1)),
        (6, 3, 3, None),
        id="entry shrinks in place",
    ),
    pytest.param(
        {"gsiPk": text(1)},
        put(gsiPk=text(1), proj=text(3000)),
        (6, 3, 3, None),
        id="entry grows in place",
    ),
    pytest.param(
        {"gsiPk": text(1), "proj": text(600)},
        put(gsiPk=text(1), proj={"S": "y" * 600}),
        (2, 1, 1, None),
        id="entry of 617 bytes changes in place",
    ),
    pytest.param(
        {"gsiPk": text(1), "proj": text(1500)},
        put(gsiPk=text(1), proj={"S": "y" * 1500}),
        (4, 2, 2, None),
        id="entry of 1,517 bytes changes in place",
    ),
    pytest.param(
        {"gsiPk": text(1), "proj": text(1500)},
        put(gsiPk={"S": "y"}, proj=text(1500)),
        (6, 2, 4, None),
        id="entry of 1,517 bytes moves",
    ),
    pytest.param(
        {"gsiPk": text(1), "proj": text(3000)},
        put(gsiPk={"S": "y"}),
        (7, 3, 4, None),
        id="entry of 3,017 bytes moves and shrinks",
    ),
    pytest.param(
        {"gsiPk": text(1), "proj": text(3000)}, delete(), (6, 3, 3, None), id="delete 3 KB"
    ),
    pytest.param(
        {"gsiPk": text(1), "proj": text(3000)},
        update("REMOVE gsiPk"),
        (6, 3, 3, None),
        id="an entry of 3 KB leaves",
    ),
    pytest.param(
        {"lsiSk": text(1)},
        put(lsiSk=text(1), spare=text(3000)),
        (6, 3, None, 3),
        id="LSI entry grows in place",
    ),
    pytest.param(
        {"lsiSk": text(1), "spare": text(3000)},
        put(lsiSk={"S": "y"}),
        (7, 3, None, 4),
        id="LSI entry moves and shrinks",
    ),
    pytest.param(
        {"tags": {"SS": ["a", "b"]}, "lsiSk": text(1)},
        put(tags={"SS": ["b", "a"]}, lsiSk=text(1)),
        (1, 1, None, None),
        id="a set in another order is identical",
    ),
    pytest.param(
        {"n": {"N": "100"}, "lsiSk": text(1)},
        put(n={"N": "1E2"}, lsiSk=text(1)),
        (1, 1, None, None),
        id="a number spelt otherwise is identical",
    ),
]


@pytest.mark.parametrize(("before", "write", "expected"), SINGLE_WRITES)
def test_a_write_costs_its_table_and_the_indexes_it_changes(
    client: Any,
    things: str,
    before: dict[str, Any] | None,
    write: tuple[str, dict[str, Any]],
    expected: tuple[float, float, float | None, float | None],
) -> None:
    operation, request = write
    if before is not None:
        client.put_item(TableName=things, Item={**KEY, **before})

    answer = getattr(client, operation)(
        TableName=things, ReturnConsumedCapacity="INDEXES", **request
    )

    assert answer["ConsumedCapacity"] == units(*expected)


@pytest.mark.parametrize(("before", "write", "expected"), SINGLE_WRITES)
def test_total_is_the_same_amount_without_the_arms(
    client: Any,
    things: str,
    before: dict[str, Any] | None,
    write: tuple[str, dict[str, Any]],
    expected: tuple[float, float, float | None, float | None],
) -> None:
    operation, request = write
    if before is not None:
        client.put_item(TableName=things, Item={**KEY, **before})

    answer = getattr(client, operation)(TableName=things, ReturnConsumedCapacity="TOTAL", **request)

    assert answer["ConsumedCapacity"] == {"TableName": things, "CapacityUnits": expected[0]}


@pytest.mark.parametrize("mode", [None, "NONE"])
def test_nothing_is_reported_unless_asked_for(client: Any, things: str, mode: str | None) -> None:
    more = {} if mode is None else {"ReturnConsumedCapacity": mode}

    answers = [
        client.put_item(TableName=things, Item=KEY, **more),
        client.get_item(TableName=things, Key=KEY, **more),
        client.scan(TableName=things, **more),
        client.batch_get_item(RequestItems={things: {"Keys": [KEY]}}, **more),
        client.transact_get_items(
            TransactItems=[{"Get": {"TableName": things, "Key": KEY}}], **more
        ),
    ]

    assert not any("ConsumedCapacity" in answer for answer in answers)


def test_a_failed_condition_reports_no_capacity(client: Any, things: str, refused: Any) -> None:
    with refused("ConditionalCheckFailedException") as caught:
        client.put_item(
            TableName=things,
            Item=KEY,
            ConditionExpression="attribute_exists(pk)",
            ReturnConsumedCapacity="TOTAL",
        )

    assert "ConsumedCapacity" not in caught.value.response


# ---- batches -----------------------------------------------------------------------------


def test_a_batch_of_writes_sums_by_table(client: Any, things: str) -> None:
    writes = [
        {"PutRequest": {"Item": {**KEY, "gsiPk": text(1), "proj": text(1)}}},
        {"PutRequest": {"Item": {"pk": text(1), "sk": text(1)}}},
    ]

    answer = client.batch_write_item(
        RequestItems={things: writes}, ReturnConsumedCapacity="INDEXES"
    )

    assert answer["ConsumedCapacity"] == [units(3, 2, 1)]
    assert answer["UnprocessedItems"] == {}


def test_a_batch_charges_no_arm_for_what_does_not_change(client: Any, things: str) -> None:
    client.put_item(TableName=things, Item={**KEY, **MEMBER})
    writes = [
        {"PutRequest": {"Item": {**KEY, **MEMBER}}},
        {"DeleteRequest": {"Key": {"pk": text(1), "sk": text(1)}}},
    ]

    answer = client.batch_write_item(
        RequestItems={things: writes}, ReturnConsumedCapacity="INDEXES"
    )

    assert answer["ConsumedCapacity"] == [units(2, 2)]


def test_batches_report_one_entry_for_each_table(
    client: Any, make_table: Callable[..., str]
) -> None:
    make_table("one")
    make_table("two")
    put_one = [{"PutRequest": {"Item": {"pk": text(1)}}}]

    written = client.batch_write_item(
        RequestItems={"one": put_one, "two": put_one}, ReturnConsumedCapacity="TOTAL"
    )
    read = client.batch_get_item(
        RequestItems={"one": {"Keys": [{"pk": text(1)}]}, "two": {"Keys": [{"pk": text(2)}]}},
        ReturnConsumedCapacity="TOTAL",
    )

    assert written["ConsumedCapacity"] == [
        {"TableName": "one", "CapacityUnits": 1.0},
        {"TableName": "two", "CapacityUnits": 1.0},
    ]
    assert read["ConsumedCapacity"] == [
        {"TableName": "one", "CapacityUnits": 0.5},
        {"TableName": "two", "CapacityUnits": 0.5},
    ]


@pytest.mark.parametrize(("consistent", "total"), [(False, 1.5), (True, 3)])
def test_a_batch_of_reads_rounds_each_item_and_charges_missing_ones(
    client: Any, make_table: Callable[..., str], consistent: bool, total: float
) -> None:
    # "pk" and one letter take 3 bytes, "fill" 4
    make_table("plain")
    client.put_item(TableName="plain", Item={"pk": text(1), "fill": text(4096 - 7)})
    client.put_item(TableName="plain", Item={"pk": text(2)})
    keys = [{"pk": text(size)} for size in (1, 2, 3)]

    answer = client.batch_get_item(
        RequestItems={"plain": {"Keys": keys, "ConsistentRead": consistent}},
        ReturnConsumedCapacity="INDEXES",
    )

    assert answer["ConsumedCapacity"] == [
        {"TableName": "plain", "CapacityUnits": total, "Table": {"CapacityUnits": total}}
    ]


# ---- reads -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("size_bytes", "eventual", "strong"),
    [
        pytest.param(None, 0.5, 1, id="missing"),
        pytest.param(100, 0.5, 1, id="small"),
        pytest.param(4096, 0.5, 1, id="4 KB"),
        pytest.param(4097, 1, 2, id="a byte over 4 KB"),
        pytest.param(409_600, 50, 100, id="largest"),
    ],
)
def test_get_item(
    client: Any,
    make_table: Callable[..., str],
    size_bytes: int | None,
    eventual: float,
    strong: float,
) -> None:
    make_table("plain")
    if size_bytes is not None:
        client.put_item(TableName="plain", Item={"pk": text(1), "fill": text(size_bytes - 7)})

    answers = [
        client.get_item(
            TableName="plain",
            Key={"pk": text(1)},
            ConsistentRead=consistent,
            ReturnConsumedCapacity="INDEXES",
        )
        for consistent in (False, True)
    ]

    assert [answer["ConsumedCapacity"] for answer in answers] == [
        {"TableName": "plain", "CapacityUnits": amount, "Table": {"CapacityUnits": amount}}
        for amount in (eventual, strong)
    ]


@pytest.fixture
def filled(client: Any, things: str) -> str:
    """Return a table with six items of exactly 1,500 bytes, of which four are in the GSI."""
    for number in range(6):
        item = {"pk": text(1), "sk": {"S": str(number)}, "lsiSk": {"S": str(number)}}
        if number < 4:
            item["gsiPk"] = {"S": "g"}
            # pk, sk, gsiPk take 3 + 3 + 6 bytes; with proj the entry has 1,000
            item["proj"] = text(1000 - 12 - 4)
        used = sum(len(name) + len(value["S"]) for name, value in item.items())
        item["fill"] = text(1500 - used - 4)
        client.put_item(TableName=things, Item=item)
    return things


PAGE = {
    "KeyConditionExpression": "pk = :p",
    "ExpressionAttributeValues": {":p": {"S": "x"}},
}
BY_GSI = {
    "IndexName": "gsi-inc",
    "KeyConditionExpression": "gsiPk = :g",
    "ExpressionAttributeValues": {":g": {"S": "g"}},
}


@pytest.mark.parametrize(
    ("operation", "request_", "expected"),
    [
        # 6 items of 1,500 bytes: 3 units
        pytest.param("query", PAGE, units(1.5, 1.5), id="query"),
        pytest.param("query", {**PAGE, "ConsistentRead": True}, units(3, 3), id="strong query"),
        pytest.param("scan", {}, units(1.5, 1.5), id="scan"),
        pytest.param("query", {**PAGE, "Select": "COUNT"}, units(1.5, 1.5), id="count"),
        pytest.param("query", {**PAGE, "Limit": 2}, units(0.5, 0.5), id="limit"),
        pytest.param(
            "query",
            {**PAGE, "FilterExpression": "attribute_not_exists(fill)"},
            units(1.5, 1.5),
            id="a filter that keeps nothing",
        ),
        pytest.param(
            "query", {**PAGE, "ProjectionExpression": "sk"}, units(1.5, 1.5), id="a projection"
        ),
        pytest.param(
            "query",
            {**PAGE, "ExpressionAttributeValues": {":p": {"S": "nobody"}}},
            units(0.5, 0.5),
            id="nothing found",
        ),
        # 4 entries of 1,000 bytes: 1 unit, however large the items
        pytest.param("query", BY_GSI, units(0.5, 0, 0.5), id="query by the GSI"),
        pytest.param("scan", {"IndexName": "gsi-inc"}, units(0.5, 0, 0.5), id="scan of the GSI"),
        pytest.param(
            "query",
            {**BY_GSI, "ExpressionAttributeValues": {":g": {"S": "nobody"}}},
            units(0.5, 0, 0.5),
            id="nothing found in the GSI",
        ),
        pytest.param(
            "query",
            {**PAGE, "IndexName": "lsi-all", "ConsistentRead": True},
            units(3, 0, lsi=3),
            id="strong query by the LSI",
        ),
    ],
)
def test_a_page_is_summed_before_filter_and_projection_and_rounded_once(
    client: Any, filled: str, operation: str, request_: dict[str, Any], expected: dict[str, Any]
) -> None:
    answer = getattr(client, operation)(
        TableName=filled, ReturnConsumedCapacity="INDEXES", **request_
    )

    assert answer["ConsumedCapacity"] == expected


@pytest.mark.parametrize(
    ("fill_bytes", "consistent", "total", "table", "lsi"),
    [
        pytest.param(10, False, 2, 1.5, 0.5, id="small items"),
        pytest.param(9 * 1024 - 40, False, 5, 4.5, 0.5, id="9 KB items"),
        pytest.param(9 * 1024 - 40, True, 10, 9, 1, id="9 KB items, strong"),
    ],
)
@pytest.mark.parametrize(
    "wanted", [{"Select": "ALL_ATTRIBUTES"}, {"ProjectionExpression": "fill"}], ids=["all", "some"]
)
def test_a_local_index_fetches_what_it_lacks_item_by_item(
    client: Any,
    make_table: Callable[..., str],
    wanted: dict[str, str],
    fill_bytes: int,
    consistent: bool,
    total: float,
    table: float,
    lsi: float,
) -> None:
    make_table("things", "pk sk", lsi={"keys": ("pk lsiSk", "KEYS_ONLY")})
    for number in range(3):
        item = {"pk": text(1), "sk": {"S": str(number)}, "lsiSk": text(1), "fill": text(fill_bytes)}
        client.put_item(TableName="things", Item=item)

    answer = client.query(
        TableName="things",
        IndexName="keys",
        ConsistentRead=consistent,
        ReturnConsumedCapacity="INDEXES",
        **PAGE,
        **wanted,
    )

    assert answer["Count"] == 3
    assert answer["Items"][0]["fill"] == text(fill_bytes)
    assert answer["ConsumedCapacity"] == {
        "TableName": "things",
        "CapacityUnits": total,
        "Table": {"CapacityUnits": table},
        "LocalSecondaryIndexes": {"keys": {"CapacityUnits": lsi}},
    }


def test_a_full_page_costs_about_128_units(client: Any, make_table: Callable[..., str]) -> None:
    make_table("plain", "pk sk")
    for number in range(20):
        item = {"pk": text(1), "sk": {"S": f"{number:02}"}, "fill": text(60_000)}
        client.put_item(TableName="plain", Item=item)

    page = client.query(TableName="plain", ReturnConsumedCapacity="TOTAL", **PAGE)

    assert 17 <= page["Count"] < 20
    assert 128 <= page["ConsumedCapacity"]["CapacityUnits"] <= 136
    assert page["LastEvaluatedKey"]["sk"] == {"S": f"{page['Count'] - 1:02}"}


# ---- transactions ------------------------------------------------------------------------


def action(kind: str, **more: Any) -> dict[str, Any]:
    target: dict[str, Any] = {"Item": {**KEY, **more.pop("item")}} if kind == "Put" else {}
    if kind != "Put":
        target["Key"] = KEY
    return {kind: {"TableName": "things", **target, **more}}


def tx_update(expression: str, **values: Any) -> dict[str, Any]:
    request = update(expression, **values)[1]
    return {"Update": {"TableName": "things", **request}}


EXISTS = "attribute_exists(pk)"


@pytest.mark.parametrize(
    ("before", "actions", "expected"),
    [
        pytest.param(
            None,
            [action("Put", item={"gsiPk": text(1), "proj": text(1)})],
            (3, 2, 1, None),
            id="put into the GSI",
        ),
        pytest.param(None, [action("Put", item={})], (2, 2, None, None), id="put into neither"),
        pytest.param(None, [action("Put", item=MEMBER)], (4, 2, 1, 1), id="put into both"),
        pytest.param(
            MEMBER, [action("Put", item=MEMBER)], (2, 2, None, None), id="identical overwrite"
        ),
        pytest.param(
            {},
            [action("Put", item={}, ConditionExpression=EXISTS)],
            (2, 2, None, None),
            id="a passing condition adds nothing",
        ),
        pytest.param(
            MEMBER,
            [tx_update("SET spare = :v", v=text(1))],
            (3, 2, None, 1),
            id="update outside the GSI",
        ),
        pytest.param(
            MEMBER, [tx_update("SET gsiPk = :v", v=text(2))], (5, 2, 2, 1), id="move in the GSI"
        ),
        pytest.param(MEMBER, [action("Delete")], (4, 2, 1, 1), id="delete from both"),
        pytest.param(None, [action("Delete")], (2, 2, None, None), id="delete a missing item"),
        pytest.param(
            MEMBER,
            [action("ConditionCheck", ConditionExpression=EXISTS)],
            (2, 2, None, None),
            id="condition check of a small item",
        ),
        pytest.param(
            {"spare": text(3000)},
            [action("ConditionCheck", ConditionExpression=EXISTS)],
            (6, 6, None, None),
            id="condition check of a 3 KB item",
        ),
        pytest.param(
            None,
            [action("ConditionCheck", ConditionExpression="attribute_not_exists(pk)")],
            (2, 2, None, None),
            id="condition check of a missing item",
        ),
        pytest.param(
            None,
            [
                action("Put", item=MEMBER),
                {"Put": {"TableName": "things", "Item": {**KEY, **MEMBER, "sk": {"S": "c"}}}},
            ],
            (8, 4, 2, 2),
            id="two puts into both",
        ),
        pytest.param(
            {"gsiPk": text(1), "proj": text(3000)},
            [action("Delete")],
            (9, 6, 3, None),
            id="delete 3 KB, sized on what was stored",
        ),
        pytest.param(
            {"spare": text(3000)},
            [action("Put", item={})],
            (6, 6, None, None),
            id="put shrinks 3 KB to its keys",
        ),
        pytest.param(
            {"gsiPk": text(1), "proj": text(1500)},
            [tx_update("SET gsiPk = :v", v=text(2))],
            (8, 4, 4, None),
            id="an entry of 1.5 KB moves",
        ),
        pytest.param(
            {"gsiPk": text(1), "proj": text(3000)},
            [tx_update("SET proj = :v", v=text(1))],
            (9, 6, 3, None),
            id="an entry of 3 KB shrinks",
        ),
        pytest.param(
            None,
            [tx_update("SET gsiPk = :g, lsiSk = :l", g=text(1), l=text(1))],
            (4, 2, 1, 1),
            id="update creates a member of both",
        ),
        pytest.param(
            {"spare": text(3000)},
            [action("Put", item={"spare": text(3000)})],
            (6, 6, None, None),
            id="identical overwrite of 3 KB",
        ),
    ],
)
def test_a_transaction_doubles_the_table_and_not_the_indexes(
    client: Any,
    things: str,
    before: dict[str, Any] | None,
    actions: list[dict[str, Any]],
    expected: tuple[float, float, float | None, float | None],
) -> None:
    if before is not None:
        client.put_item(TableName=things, Item={**KEY, **before})

    answer = client.transact_write_items(TransactItems=actions, ReturnConsumedCapacity="INDEXES")

    assert answer["ConsumedCapacity"] == [units(*expected, split="WriteCapacityUnits")]


def test_a_transaction_at_total_gives_the_write_units_too(client: Any, things: str) -> None:
    answer = client.transact_write_items(
        TransactItems=[action("Put", item=MEMBER)], ReturnConsumedCapacity="TOTAL"
    )

    assert answer["ConsumedCapacity"] == [
        {"TableName": things, "CapacityUnits": 4.0, "WriteCapacityUnits": 4.0}
    ]


def test_a_transaction_over_two_tables_reports_both(
    client: Any, things: str, make_table: Callable[..., str]
) -> None:
    make_table("plain")

    answer = client.transact_write_items(
        TransactItems=[
            action("Put", item=MEMBER),
            {
                "ConditionCheck": {
                    "TableName": "plain",
                    "Key": {"pk": text(1)},
                    "ConditionExpression": "attribute_not_exists(pk)",
                }
            },
        ],
        ReturnConsumedCapacity="INDEXES",
    )

    by_table = {entry["TableName"]: entry for entry in answer["ConsumedCapacity"]}
    assert by_table == {
        things: units(4, 2, 1, 1, split="WriteCapacityUnits"),
        "plain": {
            "TableName": "plain",
            "CapacityUnits": 2.0,
            "WriteCapacityUnits": 2.0,
            "Table": {"CapacityUnits": 2.0, "WriteCapacityUnits": 2.0},
        },
    }


NINE_KB = {"spare": text(9000)}


@pytest.mark.parametrize(
    ("before", "actions", "first", "replay"),
    [
        pytest.param(None, [action("Put", item={"spare": text(1500)})], 4, 2, id="1.5 KB put"),
        pytest.param(NINE_KB, [action("Put", item={})], 18, 6, id="put shrinks 9 KB"),
        pytest.param({}, [action("Put", item=NINE_KB)], 18, 6, id="put grows to 9 KB"),
        pytest.param(NINE_KB, [action("Delete")], 18, 6, id="delete 9 KB"),
        pytest.param(
            NINE_KB,
            [action("ConditionCheck", ConditionExpression=EXISTS)],
            18,
            6,
            id="condition check of 9 KB",
        ),
        pytest.param(
            NINE_KB,
            [
                action("Delete"),
                {"Put": {"TableName": "things", "Item": {**KEY, "sk": {"S": "small"}}}},
            ],
            20,
            8,
            id="9 KB delete and small put",
        ),
    ],
)
def test_a_repeated_token_is_charged_as_a_read(
    client: Any,
    things: str,
    before: dict[str, Any] | None,
    actions: list[dict[str, Any]],
    first: float,
    replay: float,
) -> None:
    if before is not None:
        client.put_item(TableName=things, Item={**KEY, **before})
    request = {"TransactItems": actions, "ClientRequestToken": "token"}

    answers = [
        client.transact_write_items(ReturnConsumedCapacity="INDEXES", **request)["ConsumedCapacity"]
        for _ in range(2)
    ]

    assert answers == [
        [units(first, first, split="WriteCapacityUnits")],
        [units(replay, replay, split="ReadCapacityUnits")],
    ]


def test_a_replay_answers_at_the_level_it_asks_for(client: Any, things: str) -> None:
    request = {"TransactItems": [action("Put", item=MEMBER)], "ClientRequestToken": "token"}
    client.transact_write_items(**request)

    total = client.transact_write_items(ReturnConsumedCapacity="TOTAL", **request)
    nothing = client.transact_write_items(**request)

    assert total["ConsumedCapacity"] == [
        {"TableName": things, "CapacityUnits": 2.0, "ReadCapacityUnits": 2.0}
    ]
    assert "ConsumedCapacity" not in nothing


def test_transactional_reads_cost_two_units_for_4_kb_and_charge_missing_items(
    client: Any, things: str
) -> None:
    client.put_item(TableName=things, Item={**KEY, **NINE_KB})
    missing = {**KEY, "sk": {"S": "missing"}}

    def read(*keys: dict[str, Any], mode: str) -> Any:
        return client.transact_get_items(
            TransactItems=[{"Get": {"TableName": things, "Key": key}} for key in keys],
            ReturnConsumedCapacity=mode,
        )["ConsumedCapacity"]

    assert read(KEY, mode="INDEXES") == [units(6, 6, split="ReadCapacityUnits")]
    assert read(KEY, missing, mode="TOTAL") == [
        {"TableName": things, "CapacityUnits": 8.0, "ReadCapacityUnits": 8.0}
    ]


# ---- item collections --------------------------------------------------------------------


@pytest.mark.parametrize(
    "write", [put(**MEMBER), update("SET a = :v", v=text(1)), delete()], ids=["put", "up", "del"]
)
def test_item_collections_are_sized_where_there_are_local_indexes(
    client: Any,
    things: str,
    make_table: Callable[..., str],
    write: tuple[str, dict[str, Any]],
) -> None:
    make_table("plain", "pk sk")
    operation, request = write

    with_local = getattr(client, operation)(
        TableName=things, ReturnItemCollectionMetrics="SIZE", **request
    )
    without = getattr(client, operation)(
        TableName="plain", ReturnItemCollectionMetrics="SIZE", **request
    )
    unasked = getattr(client, operation)(
        TableName=things, ReturnItemCollectionMetrics="NONE", **request
    )

    assert with_local["ItemCollectionMetrics"] == {
        "ItemCollectionKey": {"pk": KEY["pk"]},
        "SizeEstimateRangeGB": [0, 1],
    }
    assert "ItemCollectionMetrics" not in without
    assert "ItemCollectionMetrics" not in unasked
