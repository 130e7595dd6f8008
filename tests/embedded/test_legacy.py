"""Parameters from before expressions: what they match and change, and what AWS refuses."""

from collections.abc import Callable
from typing import Any

import pytest

INVALID = "One or more parameter values were invalid: "
ONE = "1 validation error detected: "
EMPTY = "Supplied AttributeValue is empty, must contain exactly one of the supported datatypes"
FAILED = "ConditionalCheckFailedException"

KEY = {"pk": {"S": "a"}, "sk": {"N": "1"}}

ITEM: dict[str, Any] = {
    **KEY,
    "n": {"N": "5"},
    "s": {"S": "hello"},
    "b": {"B": b"hi there"},
    "yes": {"BOOL": True},
    "nothing": {"NULL": True},
    "l": {"L": [{"N": "2"}, {"S": "x"}, {"BOOL": True}]},
    "m": {"M": {"k": {"S": "v"}}},
    "ns": {"NS": ["1", "2"]},
    "ss": {"SS": ["x", "yy"]},
    "bs": {"BS": [b"1", b"22"]},
}


def is_(operator: str, *values: Any) -> dict[str, Any]:
    """Return a condition; NULL and NOT_NULL have no values."""
    given = {"AttributeValueList": list(values)} if values else {}
    return {"ComparisonOperator": operator, **given}


# attribute, condition, whether ITEM meets it
CONDITIONS = [
    ("n", is_("EQ", {"N": "5.0"}), True),
    ("n", is_("EQ", {"N": "6"}), False),
    ("n", is_("EQ", {"S": "5"}), False),
    ("gone", is_("EQ", {"N": "5"}), False),
    ("ss", is_("EQ", {"SS": ["yy", "x"]}), True),
    ("ss", is_("EQ", {"SS": ["x"]}), False),
    ("l", is_("EQ", {"L": [{"N": "2"}, {"S": "x"}, {"BOOL": True}]}), True),
    ("m", is_("EQ", {"M": {"k": {"S": "v"}}}), True),
    ("yes", is_("EQ", {"BOOL": True}), True),
    ("yes", is_("EQ", {"BOOL": False}), False),
    ("nothing", is_("EQ", {"NULL": True}), True),
    ("n", is_("NE", {"N": "6"}), True),
    ("n", is_("NE", {"N": "5"}), False),
    ("n", is_("NE", {"S": "5"}), True),
    ("gone", is_("NE", {"N": "5"}), True),
    ("ns", is_("NE", {"NS": ["2", "1"]}), False),
    ("n", is_("LE", {"N": "5"}), True),
    ("n", is_("LE", {"N": "4.99"}), False),
    ("n", is_("LT", {"N": "5"}), False),
    ("n", is_("LT", {"N": "10"}), True),
    ("n", is_("GE", {"N": "5"}), True),
    ("n", is_("GT", {"N": "5"}), False),
    ("n", is_("GT", {"N": "-7"}), True),
    ("n", is_("GT", {"S": "4"}), False),
    ("s", is_("LT", {"S": "world"}), True),
    ("s", is_("GT", {"S": "Hello"}), True),
    ("b", is_("LE", {"B": b"hi"}), False),
    ("b", is_("GE", {"B": b"hi"}), True),
    ("gone", is_("LT", {"N": "5"}), False),
    ("gone", is_("GE", {"N": "5"}), False),
    ("n", is_("NOT_NULL"), True),
    ("gone", is_("NOT_NULL"), False),
    ("nothing", is_("NOT_NULL"), True),
    ("n", is_("NULL"), False),
    ("gone", is_("NULL"), True),
    ("nothing", is_("NULL"), False),
    ("s", is_("CONTAINS", {"S": "ell"}), True),
    ("s", is_("CONTAINS", {"S": "elf"}), False),
    ("s", is_("CONTAINS", {"N": "1"}), False),
    ("b", is_("CONTAINS", {"B": b"there"}), True),
    ("ns", is_("CONTAINS", {"N": "2.0"}), True),
    ("ns", is_("CONTAINS", {"N": "3"}), False),
    ("ss", is_("CONTAINS", {"S": "y"}), False),
    ("ss", is_("CONTAINS", {"S": "yy"}), True),
    ("bs", is_("CONTAINS", {"B": b"22"}), True),
    ("l", is_("CONTAINS", {"S": "x"}), True),
    ("l", is_("CONTAINS", {"BOOL": True}), True),
    ("l", is_("CONTAINS", {"N": "3"}), False),
    ("m", is_("CONTAINS", {"S": "k"}), False),
    ("gone", is_("CONTAINS", {"S": "x"}), False),
    ("s", is_("NOT_CONTAINS", {"S": "elf"}), True),
    ("s", is_("NOT_CONTAINS", {"S": "ell"}), False),
    ("s", is_("NOT_CONTAINS", {"N": "1"}), True),
    ("ns", is_("NOT_CONTAINS", {"N": "2"}), False),
    ("l", is_("NOT_CONTAINS", {"N": "3"}), True),
    # of an attribute that is not there, neither it nor its opposite holds
    ("gone", is_("NOT_CONTAINS", {"S": "x"}), False),
    ("s", is_("BEGINS_WITH", {"S": "he"}), True),
    ("s", is_("BEGINS_WITH", {"S": "lo"}), False),
    ("b", is_("BEGINS_WITH", {"B": b"hi"}), True),
    ("n", is_("BEGINS_WITH", {"S": "5"}), False),
    ("gone", is_("BEGINS_WITH", {"S": "x"}), False),
    ("n", is_("IN", {"N": "4"}, {"N": "5.00"}), True),
    ("n", is_("IN", {"N": "4"}), False),
    ("s", is_("IN", {"S": "hello"}), True),
    ("ss", is_("IN", {"S": "x"}), False),
    ("gone", is_("IN", {"S": "x"}), False),
    ("n", is_("BETWEEN", {"N": "5"}, {"N": "5"}), True),
    ("n", is_("BETWEEN", {"N": "5.1"}, {"N": "6"}), False),
    ("s", is_("BETWEEN", {"S": "a"}, {"S": "i"}), True),
    ("b", is_("BETWEEN", {"B": b"a"}, {"B": b"i"}), True),
    ("n", is_("BETWEEN", {"S": "4"}, {"S": "6"}), False),
    ("gone", is_("BETWEEN", {"N": "1"}, {"N": "9"}), False),
]


@pytest.fixture
def things(client: Any, make_table: Callable[..., str]) -> str:
    """Return a table with one item and an index on an attribute of it."""
    table = make_table(
        "things", "pk sk:N", gsi={"by-s": ("s n:N", "ALL")}, lsi={"by-n": ("pk n:N", "KEYS_ONLY")}
    )
    client.put_item(TableName=table, Item=ITEM)
    return table


@pytest.mark.parametrize(("attribute", "condition", "met"), CONDITIONS)
def test_a_condition_filters_and_is_expected(
    client: Any, things: str, refused: Any, attribute: str, condition: dict[str, Any], met: bool
) -> None:
    of_partition = {"pk": is_("EQ", KEY["pk"])}

    scanned = client.scan(TableName=things, ScanFilter={attribute: condition})
    queried = client.query(
        TableName=things, KeyConditions=of_partition, QueryFilter={attribute: condition}
    )

    assert (scanned["Count"], scanned["ScannedCount"]) == (int(met), 1)
    assert (queried["Count"], queried["ScannedCount"]) == (int(met), 1)
    update = {"TableName": things, "Key": KEY, "Expected": {attribute: condition}}
    if met:
        client.update_item(**update)
    else:
        with refused(FAILED, "The conditional request failed"):
            client.update_item(**update)


@pytest.mark.parametrize(
    ("expected", "met"),
    [
        ({"n": {"Value": {"N": "5"}}}, True),
        ({"n": {"Value": {"N": "4"}}}, False),
        ({"n": {"Exists": True, "Value": {"N": "5"}}}, True),
        ({"n": {"Exists": True, "Value": {"N": "4"}}}, False),
        ({"n": {"Exists": False}}, False),
        ({"gone": {"Exists": False}}, True),
        ({"n": {"ComparisonOperator": "GT", "Value": {"N": "4"}}}, True),
        ({"n": {"ComparisonOperator": "GT", "Value": {"N": "5"}}}, False),
        ({"n": {"Value": {"N": "5"}}, "gone": {"Exists": False}}, True),
        ({"n": {"Value": {"N": "5"}}, "s": {"Exists": False}}, False),
        ({}, True),
    ],
)
@pytest.mark.parametrize("operation", ["put_item", "update_item", "delete_item"])
def test_writes_expect_values(
    client: Any, things: str, refused: Any, operation: str, expected: Any, met: bool
) -> None:
    target: dict[str, Any] = (
        {"Item": {**KEY, "new": {"S": "x"}}} if operation == "put_item" else {"Key": KEY}
    )
    if operation == "update_item":
        target["AttributeUpdates"] = {"n": {"Value": {"N": "9"}}}
    request = {"TableName": things, **target, "Expected": expected}

    if met:
        getattr(client, operation)(**request)
    else:
        with refused(FAILED, "The conditional request failed"):
            getattr(client, operation)(**request)

    stored = client.get_item(TableName=things, Key=KEY).get("Item")
    after = {
        "put_item": {**KEY, "new": {"S": "x"}},
        "update_item": {**ITEM, "n": {"N": "9"}},
        "delete_item": None,
    }
    assert stored == (after[operation] if met else ITEM)


TRUE = is_("EQ", {"N": "5"})
FALSE = is_("EQ", {"N": "6"})


@pytest.mark.parametrize(
    ("operator", "first", "second", "met"),
    [
        (None, TRUE, is_("NOT_NULL"), True),
        (None, FALSE, is_("NOT_NULL"), False),
        ("AND", TRUE, is_("NOT_NULL"), True),
        ("AND", TRUE, is_("NULL"), False),
        ("OR", FALSE, is_("NOT_NULL"), True),
        ("OR", TRUE, is_("NULL"), True),
        ("OR", FALSE, is_("NULL"), False),
    ],
)
def test_conditions_are_joined(
    client: Any, things: str, refused: Any, operator: str | None, first: Any, second: Any, met: bool
) -> None:
    conditions = {"n": first, "s": second}
    joined = {"ConditionalOperator": operator} if operator else {}

    scanned = client.scan(TableName=things, ScanFilter=conditions, **joined)

    assert scanned["Count"] == int(met)
    delete = {"TableName": things, "Key": KEY, "Expected": conditions, **joined}
    if met:
        client.delete_item(**delete)
    else:
        with refused(FAILED):
            client.delete_item(**delete)


def test_a_failed_expectation_answers_the_item_where_that_is_asked(
    client: Any, things: str, refused: Any
) -> None:
    with refused(FAILED) as caught:
        client.delete_item(
            TableName=things,
            Key=KEY,
            Expected={"n": {"Exists": False}},
            ReturnValuesOnConditionCheckFailure="ALL_OLD",
        )

    assert caught.value.response["Item"] == ITEM


def test_names_and_values_are_taken_as_they_are(
    client: Any, make_table: Callable[..., str]
) -> None:
    table = make_table()
    # a reserved word, what looks like a placeholder, and what looks like a path
    odd = {"pk": {"S": "a"}, "size": {"N": "1"}, "#n": {"S": "x"}, "a.b[0]": {"S": ":v"}}
    client.put_item(TableName=table, Item=odd)

    found = client.scan(
        TableName=table,
        ScanFilter={name: is_("EQ", value) for name, value in odd.items()},
        AttributesToGet=["#n", "a.b[0]", "size"],
    )
    updated = client.update_item(
        TableName=table,
        Key={"pk": {"S": "a"}},
        AttributeUpdates={"#n": {"Action": "DELETE"}, "a.b[0]": {"Value": {"S": "y"}}},
        ReturnValues="ALL_NEW",
    )

    assert found["Items"] == [{name: odd[name] for name in ("#n", "a.b[0]", "size")}]
    assert updated["Attributes"] == {"pk": {"S": "a"}, "size": {"N": "1"}, "a.b[0]": {"S": "y"}}


def test_a_filter_may_name_thousands_of_values(client: Any, things: str) -> None:
    values = [{"N": str(number)} for number in range(27_500)]

    assert client.scan(TableName=things, ScanFilter={"n": is_("IN", *values)})["Count"] == 1


# ---- AttributeUpdates --------------------------------------------------------------------

UPDATES: list[Any] = [
    pytest.param({"b": {"Action": "PUT", "Value": {"S": "x"}}}, {"b": {"S": "x"}}, id="put"),
    pytest.param({"new": {"Value": {"M": {}}}}, {"new": {"M": {}}}, id="put without an action"),
    pytest.param({"n": {"Action": "ADD", "Value": {"N": "-7.5"}}}, {"n": {"N": "-2.5"}}, id="add"),
    pytest.param(
        {"new": {"Action": "ADD", "Value": {"N": "3"}}}, {"new": {"N": "3"}}, id="add to nothing"
    ),
    pytest.param(
        {"ns": {"Action": "ADD", "Value": {"NS": ["2", "3"]}}},
        {"ns": {"NS": ["1", "2", "3"]}},
        id="add to a set",
    ),
    pytest.param(
        {"new": {"Action": "ADD", "Value": {"SS": ["b", "a"]}}},
        {"new": {"SS": ["a", "b"]}},
        id="add a set to nothing",
    ),
    pytest.param(
        {"l": {"Action": "ADD", "Value": {"L": [{"S": "y"}, {"S": "y"}]}}},
        {"l": {"L": [*ITEM["l"]["L"], {"S": "y"}, {"S": "y"}]}},
        id="add to a list",
    ),
    pytest.param(
        {"new": {"Action": "ADD", "Value": {"L": [{"S": "y"}]}}},
        {"new": {"L": [{"S": "y"}]}},
        id="add a list to nothing",
    ),
    pytest.param({"n": {"Action": "DELETE"}}, {"n": None}, id="delete"),
    pytest.param({"gone": {"Action": "DELETE"}}, {}, id="delete nothing"),
    pytest.param(
        {"ss": {"Action": "DELETE", "Value": {"SS": ["x", "zz"]}}},
        {"ss": {"SS": ["yy"]}},
        id="delete from a set",
    ),
    pytest.param(
        {"ss": {"Action": "DELETE", "Value": {"SS": ["x", "yy"]}}},
        {"ss": None},
        id="delete all of a set",
    ),
    pytest.param(
        {"gone": {"Action": "DELETE", "Value": {"SS": ["x"]}}}, {}, id="delete from no set"
    ),
    pytest.param(
        {
            "n": {"Action": "ADD", "Value": {"N": "1"}},
            "s": {"Action": "DELETE"},
            "m": {"Value": {"S": "x"}},
        },
        {"n": {"N": "6"}, "s": None, "m": {"S": "x"}},
        id="several",
    ),
    pytest.param({}, {}, id="none"),
]


@pytest.mark.parametrize(("updates", "changes"), UPDATES)
def test_attributes_are_updated(
    client: Any, things: str, updates: dict[str, Any], changes: dict[str, Any]
) -> None:
    changed = {name: value for name, value in (ITEM | changes).items() if value is not None}
    request = {"TableName": things, "Key": KEY, "AttributeUpdates": updates}

    answers = {}
    for wanted in ("ALL_OLD", "UPDATED_OLD", "ALL_NEW", "UPDATED_NEW"):
        client.put_item(TableName=things, Item=ITEM)
        answers[wanted] = client.update_item(**request, ReturnValues=wanted).get("Attributes", {})

    assert client.get_item(TableName=things, Key=KEY)["Item"] == changed
    assert answers == {
        "ALL_OLD": ITEM,
        "UPDATED_OLD": {name: ITEM[name] for name in updates if name in ITEM},
        "ALL_NEW": changed,
        "UPDATED_NEW": {name: changed[name] for name in updates if name in changed},
    }


@pytest.mark.parametrize(
    ("updates", "item"),
    [
        ({"v": {"Value": {"S": "x"}}}, {"v": {"S": "x"}}),
        ({"v": {"Action": "ADD", "Value": {"N": "2"}}}, {"v": {"N": "2"}}),
        ({}, {}),
        ({"v": {"Action": "DELETE"}}, None),
        ({"v": {"Action": "DELETE", "Value": {"SS": ["x"]}}}, None),
    ],
)
def test_an_update_makes_an_item_unless_it_only_deletes(
    client: Any, things: str, updates: Any, item: Any
) -> None:
    key = {"pk": {"S": "new"}, "sk": {"N": "1"}}

    client.update_item(TableName=things, Key=key, AttributeUpdates=updates)

    stored = client.get_item(TableName=things, Key=key).get("Item")
    assert stored == (None if item is None else {**key, **item})


@pytest.mark.parametrize(
    ("updates", "message"),
    [
        ({"s": {"Action": "ADD", "Value": {"N": "1"}}}, "Type mismatch for attribute to update"),
        ({"ns": {"Action": "ADD", "Value": {"SS": ["1"]}}}, "Type mismatch for attribute to update"),
        ({"ns": {"Action": "ADD", "Value": {"L": []}}}, "Type mismatch for attribute to update"),
        ({"n": {"Action": "DELETE", "Value": {"NS": ["5"]}}}, "Type mismatch for attribute to update"),
        (
            {"sk": {"Action": "ADD", "Value": {"N": "1"}}},
            f"{INVALID}Cannot update attribute sk. This attribute is part of the key",
        ),
        (
            {"pk": {"Action": "DELETE"}},
            f"{INVALID}Cannot update attribute pk. This attribute is part of the key",
        ),
        (
            {"s": {"Value": {"N": "1"}}},
            f"{INVALID}Type mismatch for Index Key s Expected: S Actual: N IndexName: by-s",
        ),
        (
            {"v": {"Value": {"S": "x" * 409_600}}},
            "Item size to update has exceeded the maximum allowed size",
        ),
    ],
)  # fmt: skip
def test_updates_that_do_not_fit_the_item_are_refused(
    client: Any, things: str, refused: Any, updates: dict[str, Any], message: str
) -> None:
    with refused("ValidationException", message):
        client.update_item(TableName=things, Key=KEY, AttributeUpdates=updates)

    assert client.get_item(TableName=things, Key=KEY)["Item"] == ITEM


def test_an_update_by_attributes_costs_what_one_by_expression_costs(
    client: Any, make_table: Callable[..., str]
) -> None:
    table = make_table("things", "pk", gsi={"by-g": ("g", "ALL")})
    fill = {"S": "x" * 2_000}
    one = {"TableName": table, "ReturnConsumedCapacity": "INDEXES"}

    by_attributes = client.update_item(
        **one,
        Key={"pk": {"S": "a"}},
        AttributeUpdates={"v": {"Value": fill}, "g": {"Value": {"S": "x"}}},
    )
    by_expression = client.update_item(
        **one,
        Key={"pk": {"S": "b"}},
        UpdateExpression="SET v = :v, g = :g",
        ExpressionAttributeValues={":v": fill, ":g": {"S": "x"}},
    )

    # 2,005 bytes take 2 units, in the table and in its index
    assert by_attributes["ConsumedCapacity"] == by_expression["ConsumedCapacity"]
    assert by_attributes["ConsumedCapacity"]["CapacityUnits"] == 4


# ---- AttributesToGet ---------------------------------------------------------------------


def test_attributes_are_chosen(client: Any, things: str) -> None:
    wanted = ["s", "gone", "sk"]
    chosen = {"s": ITEM["s"], "sk": ITEM["sk"]}
    of_partition = {"pk": is_("EQ", KEY["pk"])}
    asked = {"TableName": things, "AttributesToGet": wanted}
    batch = {things: {"Keys": [KEY], "AttributesToGet": wanted}}

    assert client.get_item(Key=KEY, **asked)["Item"] == chosen
    assert client.batch_get_item(RequestItems=batch)["Responses"][things] == [chosen]
    assert client.scan(**asked)["Items"] == [chosen]
    assert client.scan(**asked, Select="SPECIFIC_ATTRIBUTES")["Items"] == [chosen]
    assert client.query(**asked, KeyConditions=of_partition)["Items"] == [chosen]


def test_attributes_that_a_local_index_lacks_are_fetched_and_billed(
    client: Any, things: str
) -> None:
    page = client.query(
        TableName=things,
        IndexName="by-n",
        KeyConditions={"pk": is_("EQ", KEY["pk"])},
        AttributesToGet=["s"],
        ReturnConsumedCapacity="INDEXES",
    )

    assert page["Items"] == [{"s": ITEM["s"]}]
    assert page["ConsumedCapacity"]["Table"] == {"CapacityUnits": 0.5}


# ---- KeyConditions -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        (is_("EQ", {"N": "3"}), [3]),
        (is_("LT", {"N": "3"}), [1, 2]),
        (is_("LE", {"N": "3"}), [1, 2, 3]),
        (is_("GT", {"N": "3"}), [4, 5]),
        (is_("GE", {"N": "3"}), [3, 4, 5]),
        (is_("BETWEEN", {"N": "2"}, {"N": "4"}), [2, 3, 4]),
        (None, [1, 2, 3, 4, 5]),
    ],
)
@pytest.mark.parametrize("forward", [True, False])
def test_keys_are_queried(
    client: Any, make_table: Callable[..., str], condition: Any, expected: list[int], forward: bool
) -> None:
    table = make_table("things", "pk sk:N", gsi={"by-g": ("g sk:N", "ALL")})
    for number in range(1, 6):
        for partition in "ab":
            key = {"pk": {"S": partition}, "sk": {"N": str(number)}}
            client.put_item(TableName=table, Item={**key, "g": {"S": partition}})
    sort = {} if condition is None else {"sk": condition}

    pages = [
        client.query(
            TableName=table,
            KeyConditions={**sort, partition: is_("EQ", {"S": "a"})},
            ScanIndexForward=forward,
            **index,
        )
        for partition, index in (("pk", {}), ("g", {"IndexName": "by-g"}))
    ]

    for page in pages:
        found = [int(item["sk"]["N"]) for item in page["Items"]]
        assert found == (expected if forward else expected[::-1])
        assert {item["pk"]["S"] for item in page["Items"]} == {"a"}


def test_keys_that_begin_with_something_are_queried_page_by_page(
    client: Any, make_table: Callable[..., str], walk: Callable[..., list[Any]]
) -> None:
    table = make_table("things", "pk sk")
    for text in ("a", "ab", "abc", "b", "aÿ"):
        client.put_item(TableName=table, Item={"pk": {"S": "p"}, "sk": {"S": text}})

    found = walk(
        client.query,
        TableName=table,
        KeyConditions={"pk": is_("EQ", {"S": "p"}), "sk": is_("BEGINS_WITH", {"S": "a"})},
        Limit=1,
    )

    assert [item["sk"]["S"] for item in found] == ["a", "ab", "abc", "aÿ"]


def test_key_conditions_may_stand_beside_expressions(client: Any, things: str) -> None:
    page = client.query(
        TableName=things,
        KeyConditions={"pk": is_("EQ", KEY["pk"])},
        FilterExpression="n > :n",
        ProjectionExpression="#s",
        ExpressionAttributeNames={"#s": "s"},
        ExpressionAttributeValues={":n": {"N": "4"}},
    )

    assert page["Items"] == [{"s": ITEM["s"]}]


# ---- what AWS refuses --------------------------------------------------------------------

GONE = {"TableName": "nothing"}
PUT = ("put_item", {"Item": {"pk": {"S": "a"}}})
UPDATE = ("update_item", {"Key": {"pk": {"S": "a"}}})
DELETE = ("delete_item", {"Key": {"pk": {"S": "a"}}})
GET = ("get_item", {"Key": {"pk": {"S": "a"}}})
SCAN: tuple[str, dict[str, Any]] = ("scan", {})
QUERY = ("query", {"KeyConditions": {"pk": is_("EQ", {"S": "a"})}})
V = {"S": "x"}
WITHOUT = "ConditionalOperator cannot be used without Filter or Expected"
TWO = "ConditionalOperator can only be used when Filter or Expected has two or more elements"


def mixed(legacy: str, modern: str) -> str:
    return (
        "Can not use both expression and non-expression parameters in the same request:"
        f" Non-expression parameters: {{{legacy}}} Expression parameters: {{{modern}}}"
    )


def count(operator: str) -> str:
    return f"{INVALID}Invalid number of argument(s) for the {operator} ComparisonOperator"


def of_type(operator: str, kind: str) -> str:
    return f"{INVALID}ComparisonOperator {operator} is not valid for {kind} AttributeValue type"


DUPLICATE = f"{INVALID}Duplicate value in attribute name: v"
SAME_TYPE = f"{INVALID}AttributeValues inside AttributeValueList must be of same type"
ORDER = (
    "The BETWEEN condition was provided a range where the lower bound is greater than the upper"
    " bound"
)
TWICE = ["w", "v", "v"]

REFUSED: list[Any] = [
    # expressions and what was before them
    (GET, {"AttributesToGet": ["v"], "ProjectionExpression": "v"},
     mixed("AttributesToGet", "ProjectionExpression")),
    (PUT, {"Expected": {}, "ConditionExpression": "!"},
     ONE + mixed("Expected", "ConditionExpression")),
    (DELETE, {"ConditionalOperator": "OR", "ConditionExpression": "!"},
     ONE + mixed("ConditionalOperator", "ConditionExpression")),
    (UPDATE, {"AttributeUpdates": {}, "Expected": {}, "ConditionalOperator": "AND",
              "UpdateExpression": "!", "ConditionExpression": "!"},
     ONE + mixed("AttributeUpdates, Expected, ConditionalOperator",
                 "UpdateExpression, ConditionExpression")),
    (SCAN, {"AttributesToGet": ["v"], "ScanFilter": {}, "ConditionalOperator": "AND",
            "FilterExpression": "!", "ProjectionExpression": "!"},
     mixed("AttributesToGet, ScanFilter, ConditionalOperator",
           "ProjectionExpression, FilterExpression")),
    (SCAN, {"ScanFilter": {}, "ProjectionExpression": "v"},
     mixed("ScanFilter", "ProjectionExpression")),
    (QUERY, {"QueryFilter": {}, "ConditionalOperator": "OR", "FilterExpression": "!",
             "ProjectionExpression": "!", "KeyConditionExpression": "!"},
     mixed("QueryFilter, ConditionalOperator, KeyConditions",
           "ProjectionExpression, FilterExpression, KeyConditionExpression")),
    (QUERY, {"AttributesToGet": ["v"], "FilterExpression": "!"},
     mixed("AttributesToGet", "FilterExpression")),
    (PUT, {"Expected": {"v": {"Exists": False}}, "ExpressionAttributeNames": {"#v": "v"}},
     f"{ONE}ExpressionAttributeNames can only be specified when using expressions"),
    # ConditionalOperator
    (PUT, {"ConditionalOperator": "AND"}, ONE + WITHOUT),
    (UPDATE, {"ConditionalOperator": "OR", "Expected": {}}, ONE + WITHOUT),
    (DELETE, {"ConditionalOperator": "OR", "Expected": {"v": {"Exists": False}}}, ONE + TWO),
    (SCAN, {"ConditionalOperator": "AND"}, WITHOUT),
    (SCAN, {"ConditionalOperator": "AND", "AttributesToGet": ["v"]}, WITHOUT),
    (SCAN, {"ConditionalOperator": "AND", "ScanFilter": {"v": is_("NULL")}}, TWO),
    (QUERY, {"ConditionalOperator": "AND"}, WITHOUT),
    (QUERY, {"ConditionalOperator": "AND", "QueryFilter": {"v": is_("NULL")}}, TWO),
    (SCAN, {"ConditionalOperator": "XOR", "ScanFilter": {"v": is_("NULL"), "w": is_("NULL")}},
     (f"{ONE}Value 'XOR' at 'conditionalOperator' failed to satisfy constraint: Member must satisfy"
     " enum value set: [OR, AND]")),
    # Expected
    (DELETE, {"Expected": {"a": {}}},
     f"{ONE}{INVALID}Value must be provided when Exists is null for Attribute: a"),
    (DELETE, {"Expected": {"a": {"Exists": True}}},
     f"{ONE}{INVALID}Value must be provided when Exists is true for Attribute: a"),
    (DELETE, {"Expected": {"a": {"Exists": False, "Value": V}}},
     f"{ONE}{INVALID}Value cannot be used when Exists is false for Attribute: a"),
    (DELETE, {"Expected": {"a": {"Value": V, **is_("EQ", V)}}},
     f"{ONE}{INVALID}Value and AttributeValueList cannot be used together for Attribute: a"),
    (DELETE, {"Expected": {"a": {"AttributeValueList": [V]}}},
     f"{ONE}{INVALID}AttributeValueList can only be used with a ComparisonOperator for Attribute: a"),
    (DELETE, {"Expected": {"a": {"Exists": False, **is_("EQ", V)}}},
     f"{ONE}{INVALID}Exists and ComparisonOperator cannot be used together for Attribute: a"),
    (DELETE, {"Expected": {"a": is_("EQ")}},
     (f"{ONE}{INVALID}Value or AttributeValueList must be used with ComparisonOperator: EQ for"
     " Attribute: a")),
    (DELETE, {"Expected": {"a": is_("BETWEEN", V)}}, ONE + count("BETWEEN")),
    (PUT, {"Expected": {"a": {"ComparisonOperator": "NULL", "Value": V}}}, ONE + count("NULL")),
    (PUT, {"Expected": {"a": {"ComparisonOperator": "IN", "AttributeValueList": []}}},
     ONE + count("IN")),
    (PUT, {"Expected": {"a": is_("BEGINS_WITH", {"N": "1"})}}, ONE + of_type("BEGINS_WITH", "N")),
    (PUT, {"Expected": {"a": is_("IN", {"N": "1"}, V)}}, ONE + SAME_TYPE),
    (PUT, {"Expected": {"a": is_("BETWEEN", {"S": "b"}, {"S": "a"})}}, ONE + ORDER),
    (PUT, {"Expected": {"a": {"Value": {}}}}, EMPTY),
    (PUT, {"Expected": {"a": {"Value": {"N": "x"}}}},
     f"{ONE}The parameter cannot be converted to a numeric value: x"),
    # AttributeUpdates
    (UPDATE, {"AttributeUpdates": {"a": {}}},
     f"{ONE}{INVALID}Only DELETE action is allowed when no attribute value is specified"),
    (UPDATE, {"AttributeUpdates": {"a": {"Action": "ADD"}}},
     f"{ONE}{INVALID}Only DELETE action is allowed when no attribute value is specified"),
    (UPDATE, {"AttributeUpdates": {"a": {"Action": "DELETE", "Value": V}}},
     f"{ONE}{INVALID}DELETE action with value is not supported for the type S"),
    (UPDATE, {"AttributeUpdates": {"a": {"Action": "ADD", "Value": V}}},
     f"{ONE}{INVALID}ADD action is not supported for the type S"),
    (UPDATE, {"AttributeUpdates": {"a": {"Action": "ADD", "Value": {"M": {}}}}},
     f"{ONE}{INVALID}ADD action is not supported for the type M"),
    (UPDATE, {"AttributeUpdates": {"a": {"Value": {"SS": []}}}},
     f"{ONE}{INVALID}An string set  may not be empty"),
    # filters
    (SCAN, {"ScanFilter": {"a": is_("EQ")}}, count("EQ")),
    (SCAN, {"ScanFilter": {"a": is_("EQ", V, V)}}, count("EQ")),
    (SCAN, {"ScanFilter": {"a": is_("NULL", V)}}, count("NULL")),
    (SCAN, {"ScanFilter": {"a": is_("BETWEEN", V)}}, count("BETWEEN")),
    (SCAN, {"ScanFilter": {"a": is_("LT", {"BOOL": True})}}, of_type("LT", "BOOL")),
    (SCAN, {"ScanFilter": {"a": is_("CONTAINS", {"SS": ["a"]})}}, of_type("CONTAINS", "SS")),
    (SCAN, {"ScanFilter": {"a": is_("IN", {"L": []})}}, of_type("IN", "L")),
    (SCAN, {"ScanFilter": {"a": is_("BETWEEN", {"N": "1"}, V)}}, SAME_TYPE),
    (SCAN, {"ScanFilter": {"a": is_("BETWEEN", {"N": "10"}, {"N": "9"})}}, ORDER),
    (SCAN, {"ScanFilter": {"a": {"ComparisonOperator": "eq"}}},
     (f"{ONE}Value 'eq' at 'scanFilter.a.member.comparisonOperator' failed to satisfy constraint:"
     " Member must satisfy enum value set: [IN, NULL, BETWEEN, LT, NOT_CONTAINS, EQ, GT, NOT_NULL,"
     " NE, LE, BEGINS_WITH, GE, CONTAINS]")),
    (SCAN, {"ScanFilter": {"a": {}}},
     (f"{ONE}Value null at 'scanFilter.a.member.comparisonOperator' failed to satisfy constraint:"
     " Member must not be null")),
    (SCAN, {"ScanFilter": {"a": is_("EQ", {"N": ""})}},
     "The parameter cannot be converted to a numeric value"),
    (QUERY, {"QueryFilter": {"a": is_("EQ", {"N": ""})}},
     "The parameter cannot be converted to a numeric value: "),
    (QUERY, {"QueryFilter": {"a": is_("GE", {"M": {}})}}, of_type("GE", "M")),
    # AttributesToGet
    (GET, {"AttributesToGet": TWICE}, DUPLICATE),
    (SCAN, {"AttributesToGet": TWICE}, DUPLICATE),
    (QUERY, {"AttributesToGet": TWICE}, DUPLICATE),
    (GET, {"AttributesToGet": []},
     (f"{ONE}Value '[]' at 'attributesToGet' failed to satisfy constraint: Member must have length"
     " greater than or equal to 1")),
    # KeyConditions
    (QUERY, {"KeyConditions": {}}, "Conditions can be of length 1 or 2 only"),
    (QUERY, {"KeyConditions": dict.fromkeys("abc", is_("NULL"))},
     "Conditions can be of length 1 or 2 only"),
    (QUERY, {"KeyConditions": {"a": is_("EQ")}}, count("EQ")),
    (QUERY, {"KeyConditions": {"a": is_("BEGINS_WITH", {"N": "1"})}},
     of_type("BEGINS_WITH", "N")),
    (("query", {}), {},
     ("Either the KeyConditions or KeyConditionExpression parameter must be specified in the"
     " request.")),
]  # fmt: skip


@pytest.mark.parametrize(("operation", "more", "message"), REFUSED)
def test_what_makes_no_sense_is_refused_before_the_table_is_looked_for(
    client: Any, refused: Any, operation: tuple[str, dict[str, Any]], more: Any, message: str
) -> None:
    name, request = operation

    with refused("ValidationException", message):
        getattr(client, name)(**GONE, **{**request, **more})


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"KeyConditions": {"sk": is_("EQ", {"N": "1"})}},
         "Query condition missed key schema element: pk"),
        ({"KeyConditions": {"pk": is_("EQ", V), "n": is_("NULL")}},
         "Query condition missed key schema element: sk"),
        ({"KeyConditions": {"pk": is_("NE", V)}},
         "Attempted conditional constraint is not an indexable operation"),
        ({"KeyConditions": {"pk": is_("EQ", V), "sk": is_("CONTAINS", {"N": "1"})}},
         "Attempted conditional constraint is not an indexable operation"),
        ({"KeyConditions": {"pk": is_("NOT_NULL")}},
         "Attempted conditional constraint is not an indexable operation"),
        ({"KeyConditions": {"pk": is_("LT", V)}}, "Query key condition not supported"),
        ({"KeyConditions": {"pk": is_("EQ", {"N": "1"})}},
         f"{INVALID}Condition parameter type does not match schema type"),
        ({"KeyConditions": {"pk": is_("EQ", {"S": "x" * 2_049})}},
         f"{INVALID}Size of hashkey has exceeded the maximum size limit of2048 bytes"),
        ({"KeyConditions": {"pk": is_("EQ", V)}, "QueryFilter": {"sk": is_("NULL")}},
         "QueryFilter can only contain non-primary key attributes: Primary key attribute: sk"),
        ({"KeyConditions": {"pk": is_("EQ", V)}, "QueryFilter": {"pk": is_("EQ", V)}},
         "QueryFilter can only contain non-primary key attributes: Primary key attribute: pk"),
    ],
)  # fmt: skip
def test_key_conditions_must_fit_the_table(
    client: Any, things: str, refused: Any, more: dict[str, Any], message: str
) -> None:
    with refused("ValidationException", message):
        client.query(TableName=things, **more)


def test_a_batch_does_not_mix_forms_even_for_different_tables(client: Any, refused: Any) -> None:
    keys = {"Keys": [{"pk": {"S": "a"}}]}

    with refused("ValidationException", mixed("AttributesToGet", "ProjectionExpression")):
        client.batch_get_item(
            RequestItems={
                "one-table": {**keys, "AttributesToGet": ["v"]},
                "other-table": {**keys, "ProjectionExpression": "v"},
            }
        )
    with refused("ValidationException", DUPLICATE):
        client.batch_get_item(RequestItems={"one-table": {**keys, "AttributesToGet": TWICE}})
