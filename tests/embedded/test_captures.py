"""Answers of the real service that were captured in eu-west-2, word for word."""

import re
from collections.abc import Callable
from typing import Any

import pytest

ONE = "1 validation error detected: "
TOO_DEEP = (
    "Nesting Levels have exceeded supported limits: Attributes in the item have nested levels"
    " beyond supported limit"
)
OLDER_RETURN_VALUES = (
    f"{ONE}Value 'BOGUS' at 'returnValues' failed to satisfy constraint: Member must satisfy enum"
    " value set: [ALL_NEW, UPDATED_OLD, ALL_OLD, NONE, UPDATED_NEW]"
)
OLDER_OPERATOR = (
    f"{ONE}Value 'XOR' at 'conditionalOperator' failed to satisfy constraint: Member must satisfy"
    " enum value set: [OR, AND]"
)
ENUM = "Failed to satisfy constraint: Member must satisfy enum value set:"
ONLY_OLD = "ReturnValues can only be ALL_OLD or NONE"
MAP_VALUE = (
    "failed to satisfy constraint: Map value must satisfy constraint: [Member must have length"
    " less than or equal to 25, Member must have length greater than or equal to 1]"
)
MAP_KEYS = (
    "failed to satisfy constraint: Map keys must satisfy constraint: [Member must have length less"
    " than or equal to 255, Member must have length greater than or equal to 3, Member must"
    " satisfy regular expression pattern: [a-zA-Z0-9_.-]+]"
)
KCE = "Invalid KeyConditionExpression: "
KEYS_ARE_SCALARS = (
    "Key attributes must be scalars; list random access '[]' and map lookup '.' are not allowed:"
)


def deep(wraps: int, name: str = "n") -> dict[str, Any]:
    """Return text in so many maps, each with an attribute of one *name*."""
    value: dict[str, Any] = {"S": "leaf"}
    for _ in range(wraps):
        value = {"M": {name: value}}
    return value


KEY = {"pk": {"S": "a"}}
GONE = {"TableName": "nothing"}


def compared_with(wraps: int) -> dict[str, Any]:
    return {
        "ConditionExpression": "d = :deep",
        "ExpressionAttributeValues": {":deep": deep(wraps)},
    }


# operation, request, message; the table is looked for only afterwards
NESTED = [
    pytest.param("put_item", {"Item": {**KEY, "d": deep(32)}}, ONE + TOO_DEEP, id="put 33 levels"),
    pytest.param("put_item", {"Item": {**KEY, "d": deep(62)}}, ONE + TOO_DEEP, id="put 63 levels"),
    pytest.param("put_item", {"Item": {**KEY, "d": deep(63)}}, TOO_DEEP, id="put 64 levels"),
    pytest.param(
        "put_item", {"Item": {**KEY, "d": deep(62, "M")}}, ONE + TOO_DEEP,
        id="put 63 levels of attributes called M",
    ),
    pytest.param(
        "put_item", {"Item": {**KEY, "L": deep(62, "L")}}, ONE + TOO_DEEP,
        id="put 63 levels of attributes called L",
    ),
    pytest.param(
        "update_item", {"Key": KEY, "UpdateExpression": "SET a = :deep", **compared_with(32)},
        ONE + TOO_DEEP, id="update 33 levels",
    ),
    pytest.param(
        "update_item", {"Key": KEY, "UpdateExpression": "SET a = :deep", **compared_with(63)},
        f"ExpressionAttributeValues contains invalid value: {TOO_DEEP} for key :deep",
        id="update 64 levels",
    ),
    pytest.param(
        "delete_item", {"Key": KEY, **compared_with(40), "ReturnValues": "BOGUS"},
        f"{ONE}{ENUM} [ALL_OLD, UPDATED_OLD, ALL_NEW, UPDATE_NEW, NONE]",
        id="delete with bad ReturnValues",
    ),
    pytest.param(
        "delete_item", {"Key": KEY, **compared_with(63), "ReturnValues": "BOGUS"},
        OLDER_RETURN_VALUES, id="delete 64 levels with bad ReturnValues",
    ),
    pytest.param(
        "delete_item",
        {"Key": KEY, "Expected": {"d": {"Value": deep(63)}}, "ReturnValues": "BOGUS"},
        OLDER_RETURN_VALUES, id="delete expecting 64 levels with bad ReturnValues",
    ),
    pytest.param(
        "delete_item", {"Key": {"pk": deep(100)}, "ReturnValues": "BOGUS"},
        OLDER_RETURN_VALUES, id="delete by a deep key with bad ReturnValues",
    ),
    pytest.param(
        "delete_item", {"Key": KEY, **compared_with(100), "ReturnValues": "UPDATED_NEW"},
        ONLY_OLD, id="delete 101 levels with ReturnValues of updates",
    ),
    pytest.param(
        "delete_item", {"Key": KEY, "ReturnValues": "UPDATED_NEW"},
        ONE + ONLY_OLD, id="delete with ReturnValues of updates",
    ),
    pytest.param(
        "put_item",
        {
            "Item": KEY, "ConditionalOperator": "XOR",
            "Expected": {"a": {"Value": deep(100)}, "b": {"Exists": False}},
        },
        OLDER_OPERATOR, id="put expecting 101 levels with a bad operator",
    ),
    pytest.param(
        "put_item",
        {
            "Item": KEY, "ConditionalOperator": "XOR",
            "Expected": {"a": {"Value": deep(40)}, "b": {"Exists": False}},
        },
        f"{ONE}{ENUM} [ALL, OR]", id="put expecting 41 levels with a bad operator",
    ),
    pytest.param(
        "scan",
        {
            "ScanFilter": {"a": {"ComparisonOperator": "EQ", "AttributeValueList": [deep(40)]}},
            "ConditionalOperator": "AND",
        },
        "ConditionalOperator can only be used when Filter or Expected has two or more elements",
        id="scan for 41 levels with an operator for one condition",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("operation", "request_", "message"), NESTED)
def test_values_that_nest_too_deep(
    client: Any, refused: Any, operation: str, request_: dict[str, Any], message: str
) -> None:
    with refused("ValidationException", message):
        getattr(client, operation)(**GONE, **request_)


def put(**item: Any) -> dict[str, Any]:
    return {"Put": {**GONE, "Item": {**KEY, **item}}}


EMPTY_NAME = {"Put": {**GONE, "Item": {**KEY, "": {"S": "x"}}}}
EMPTY_NAME_INSIDE = {"M": {"": {"S": "x"}}}


@pytest.mark.parametrize(
    "actions",
    [
        pytest.param([put(d=deep(32))], id="put"),
        pytest.param([put(d=deep(40)), EMPTY_NAME], id="the first problem"),
        pytest.param([put(m=EMPTY_NAME_INSIDE, d=deep(40))], id="before a name inside a map"),
        pytest.param([put(d=deep(40), m=EMPTY_NAME_INSIDE)], id="before a later name"),
        pytest.param([{"ConditionCheck": {**GONE, "Key": KEY, **compared_with(32)}}], id="check"),
        pytest.param(
            [
                {
                    "Update": {
                        **GONE,
                        "Key": KEY,
                        "UpdateExpression": "SET d = :deep",
                        "ExpressionAttributeValues": {":deep": deep(32)},
                    }
                }
            ],
            id="update",
        ),
        pytest.param([{"Delete": {**GONE, "Key": {"pk": deep(40)}}}], id="delete"),
    ],
)
def test_a_transaction_refuses_33_levels_by_themselves(
    client: Any, refused: Any, actions: list[Any]
) -> None:
    with refused("ValidationException", TOO_DEEP):
        client.transact_write_items(TransactItems=actions)


def test_a_transaction_takes_32_levels(client: Any, make_table: Callable[..., str]) -> None:
    table = make_table()

    client.transact_write_items(
        TransactItems=[{"Put": {"TableName": table, "Item": {**KEY, "d": deep(31)}}}]
    )

    assert client.get_item(TableName=table, Key=KEY)["Item"]["d"] == deep(31)


# ---- batches -----------------------------------------------------------------------------


def test_a_batch_with_nothing_for_a_table(client: Any, refused: Any) -> None:
    message = f"{ONE}Value '{{nothing=[]}}' at 'requestItems' {MAP_VALUE}"

    with refused("ValidationException", message):
        client.batch_write_item(RequestItems={"nothing": []})


ITEM_SHOWN = r"\{pk=com\.amazonaws\.dynamodb\.v20120810\.AttributeValue@[0-9a-f]+\}"
PUT_SHOWN = rf"WriteRequest\(putRequest=PutRequest\(item={ITEM_SHOWN}\), deleteRequest=null\)"
DELETE_SHOWN = rf"WriteRequest\(putRequest=null, deleteRequest=DeleteRequest\(key={ITEM_SHOWN}\)\)"


@pytest.mark.parametrize(
    ("table", "writes", "shown", "rule"),
    [
        pytest.param("nothing", [{"PutRequest": {"Item": KEY}}] * 26,
                     ", ".join([PUT_SHOWN] * 26), MAP_VALUE, id="26 writes"),
        pytest.param("bad!name", [{"PutRequest": {"Item": KEY}}], PUT_SHOWN, MAP_KEYS,
                     id="bad name"),
        pytest.param("bad!name", [{"DeleteRequest": {"Key": KEY}}], DELETE_SHOWN, MAP_KEYS,
                     id="bad name of a delete"),
    ],
)  # fmt: skip
def test_a_refused_batch_is_shown_as_java_prints_it(
    client: Any, refused: Any, table: str, writes: list[Any], shown: str, rule: str
) -> None:
    with refused("ValidationException") as caught:
        client.batch_write_item(RequestItems={table: writes})

    message = caught.value.response["Error"]["Message"]
    pattern = rf"{ONE}Value '\{{{table}=\[{shown}\]\}}' at 'requestItems' {re.escape(rule)}"
    assert re.fullmatch(pattern, message)


# ---- reads -------------------------------------------------------------------------------

BY_KEY = {"KeyConditionExpression": "pk = :k", "ExpressionAttributeValues": {":k": {"S": "a"}}}
CONDITIONS = {"pk": {"ComparisonOperator": "EQ", "AttributeValueList": [{"S": "a"}]}}
ABSENT = {"ComparisonOperator": "NULL"}
BY_INDEX = "ALL_PROJECTED_ATTRIBUTES can be used only when Querying using an IndexName"
NO_ATTRIBUTES = (
    "Must specify the AttributesToGet or ProjectionExpression when choosing to get"
    " SPECIFIC_ATTRIBUTES"
)


def not_both(member: str, what: str) -> str:
    return f"Cannot specify the {member} when choosing to get {what}"


READS = [
    pytest.param(
        "query",
        {
            "KeyConditions": CONDITIONS, "QueryFilter": {"b": ABSENT, "c": ABSENT},
            "ConditionalOperator": "XOR", "Select": "BOGUS",
        },
        f"{ENUM} [ALL, OR]", id="query, bad operator and Select",
    ),
    pytest.param("query", {**BY_KEY, "Select": "ALL_PROJECTED_ATTRIBUTES"}, ONE + BY_INDEX,
                 id="query, projected attributes of a table"),
    pytest.param("scan", {"Select": "ALL_PROJECTED_ATTRIBUTES"}, BY_INDEX,
                 id="scan, projected attributes of a table"),
    pytest.param("query", {**BY_KEY, "Select": "SPECIFIC_ATTRIBUTES"}, ONE + NO_ATTRIBUTES,
                 id="query, no attributes"),
    pytest.param("scan", {"Select": "SPECIFIC_ATTRIBUTES"}, NO_ATTRIBUTES, id="scan, no attributes"),
    pytest.param(
        "query", {**BY_KEY, "Select": "COUNT", "ProjectionExpression": "v"},
        ONE + not_both("ProjectionExpression", "only the Count"), id="query, count and projection",
    ),
    pytest.param(
        "scan", {"Select": "ALL_ATTRIBUTES", "ProjectionExpression": "v"},
        not_both("ProjectionExpression", "ALL_ATTRIBUTES"), id="scan, all and projection",
    ),
    pytest.param(
        "query", {"KeyConditions": CONDITIONS, "Select": "COUNT", "AttributesToGet": ["v"]},
        ONE + not_both("AttributesToGet", "only the Count"), id="query, count and attributes",
    ),
    pytest.param(
        "scan", {"Select": "ALL_ATTRIBUTES", "AttributesToGet": ["v"]},
        not_both("AttributesToGet", "ALL_ATTRIBUTES"), id="scan, all and attributes",
    ),
    pytest.param(
        "scan", {"Segment": 4, "TotalSegments": 4},
        "The Segment parameter is zero-based and must be less than parameter TotalSegments:"
        " Segment: 4 is not less than TotalSegments: 4", id="segment",
    ),
    pytest.param(
        "query", {**BY_KEY, "KeyConditionExpression": "pk = :k OR sk = :k"},
        f"{KCE}Invalid operator used in KeyConditionExpression: OR", id="key condition, OR",
    ),
    pytest.param(
        "query", {**BY_KEY, "KeyConditionExpression": "pk = :k AND sk[0] = :k"},
        f"{KCE}KeyConditionExpressions cannot have conditions on nested attributes",
        id="key condition, nested",
    ),
    pytest.param(
        "query", {**BY_KEY, "KeyConditionExpression": "contains(pk, :k)", "FilterExpression": ""},
        "Invalid FilterExpression: The expression can not be empty;",
        id="empty filter before what a key condition asks",
    ),
    pytest.param(
        "query",
        {**BY_KEY, "KeyConditionExpression": "begins_with(pk, size(pk))", "FilterExpression": ""},
        f"{KCE}Incorrect operand type for operator or function; operator or function:"
        " begins_with, operand type: N",
        id="operands of a key condition before an empty filter",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("operation", "request_", "message"), READS)
def test_reads_are_refused_in_the_words_of_aws(
    client: Any, refused: Any, operation: str, request_: dict[str, Any], message: str
) -> None:
    with refused("ValidationException", message):
        getattr(client, operation)(**GONE, **request_)


@pytest.mark.parametrize(
    ("projection", "member"),
    [
        ("#key.b", "Key: pk"),
        ("#key[0]", "Key: pk"),
        ("v, sk.b.c", "Key: sk"),
        ("g[1]", "IndexKey: g"),
    ],
)
@pytest.mark.parametrize("operation", ["get_item", "query", "scan", "batch_get_item", "transact"])
def test_a_projection_looks_into_no_key(
    client: Any,
    make_table: Callable[..., str],
    refused: Any,
    operation: str,
    projection: str,
    member: str,
) -> None:
    table = make_table("things", "pk sk", gsi={"by-g": ("g", "ALL")})
    names = {"ExpressionAttributeNames": {"#key": "pk"}} if "#key" in projection else {}
    asked = {"ProjectionExpression": projection, **names}
    key = {**KEY, "sk": {"S": "s"}}
    get = {"TableName": table, "Key": key, **asked}

    with refused("ValidationException", f"{KEYS_ARE_SCALARS} {member}"):
        match operation:
            case "get_item":
                client.get_item(**get)
            case "query":
                client.query(TableName=table, **BY_KEY, **asked)
            case "scan":
                client.scan(TableName=table, **asked)
            case "batch_get_item":
                client.batch_get_item(RequestItems={table: {"Keys": [key], **asked}})
            case _:
                client.transact_get_items(TransactItems=[{"Get": get}])


# ---- keys --------------------------------------------------------------------------------

HASH_TOO_LONG = (
    "One or more parameter values were invalid: Size of hashkey has exceeded the maximum size"
    " limit of2048 bytes"
)
RANGE_TOO_LONG = (
    "One or more parameter values were invalid: Aggregated size of all range keys has exceeded the"
    " size limit of 1024 bytes"
)


@pytest.mark.parametrize(
    ("condition", "lengths", "message"),
    [
        ("pk = :a", (2048,), None),
        ("pk = :a", (2049,), HASH_TOO_LONG),
        ("pk = :a AND sk = :b", (2048, 1024), None),
        ("pk = :a AND sk = :b", (1, 1025), RANGE_TOO_LONG),
        ("pk = :a AND sk BETWEEN :b AND :c", (1, 1, 1025), RANGE_TOO_LONG),
        ("pk = :a AND begins_with(sk, :b)", (1, 1025), RANGE_TOO_LONG),
    ],
)
def test_a_query_takes_keys_as_long_as_they_may_be(
    client: Any,
    make_table: Callable[..., str],
    refused: Any,
    condition: str,
    lengths: tuple[int, ...],
    message: str | None,
) -> None:
    values = {
        f":{name}": {"S": name * length} for name, length in zip("abc", lengths, strict=False)
    }
    request = {
        "TableName": make_table("things", "pk sk"),
        "KeyConditionExpression": condition,
        "ExpressionAttributeValues": values,
    }

    if message is None:
        assert client.query(**request)["Count"] == 0
    else:
        with refused("ValidationException", message):
            client.query(**request)


@pytest.mark.parametrize("kind", ["S", "N"])
def test_an_attribute_is_defined_once(client: Any, build: Any, refused: Any, kind: str) -> None:
    request = build.table("things", "pk")
    request["AttributeDefinitions"].append({"AttributeName": "pk", "AttributeType": kind})

    with refused("ValidationException", "Cannot have two attributes with the same name"):
        client.create_table(**request)
