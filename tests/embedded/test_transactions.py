"""Transactions: all or nothing, reasons for cancelling, tokens, and what is refused beforehand."""

from collections.abc import Callable
from typing import Any

import pytest

INVALID = "One or more parameter values were invalid: "
NOT_VALID = "One or more parameter values are not valid. "
ONE = "1 validation error detected: "
MISMATCH = "The provided key element does not match the schema"
SAME_ITEM = "Transaction request cannot include multiple operations on one item"
CANCELLED = "TransactionCanceledException"
EMPTY_KEY = f"{NOT_VALID}The AttributeValue for a key attribute cannot contain an empty"
TOO_DEEP = (
    "Nesting Levels have exceeded supported limits: Attributes in the item have nested levels"
    " beyond supported limit"
)
FAILED = {"Code": "ConditionalCheckFailed", "Message": "The conditional request failed"}
NONE = {"Code": "None"}


def key(name: str) -> dict[str, Any]:
    return {"pk": {"S": name}}


def put(name: str, table: str = "things", **attributes: Any) -> dict[str, Any]:
    return {"Put": {"TableName": table, "Item": {**key(name), **attributes}}}


def delete(name: str, **more: Any) -> dict[str, Any]:
    return {"Delete": {"TableName": "things", "Key": key(name), **more}}


def update(name: str, expression: str, value: Any = None, **more: Any) -> dict[str, Any]:
    request = {"TableName": "things", "Key": key(name), "UpdateExpression": expression, **more}
    if value is not None:
        request["ExpressionAttributeValues"] = {":v": value}
    return {"Update": request}


def check(name: str, condition: str, **more: Any) -> dict[str, Any]:
    return {
        "ConditionCheck": {
            "TableName": "things",
            "Key": key(name),
            "ConditionExpression": condition,
            **more,
        }
    }


def get(name: str, table: str = "things", **more: Any) -> dict[str, Any]:
    return {"Get": {"TableName": table, "Key": key(name), **more}}


def deep(levels: int) -> dict[str, Any]:
    value: dict[str, Any] = {"S": "leaf"}
    for _ in range(levels):
        value = {"M": {"m": value}}
    return value


@pytest.fixture
def things(client: Any, make_table: Callable[..., str]) -> str:
    """Return a table with the items "a" (v is 1) and "b", and an index on "g"."""
    make_table("things", gsi={"by-g": ("g", "ALL")})
    client.put_item(TableName="things", Item={**key("a"), "v": {"N": "1"}, "b": {"B": b"\xff"}})
    client.put_item(TableName="things", Item=key("b"))
    return "things"


@pytest.fixture
def contents(client: Any, things: str) -> Callable[[], Any]:
    """Return a function that reads the whole table and its index."""

    def contents() -> Any:
        return [
            sorted(client.scan(TableName=things, **more)["Items"], key=str)
            for more in ({}, {"IndexName": "by-g"})
        ]

    return contents


@pytest.mark.usefixtures("things")
def test_all_actions_take_effect_together(client: Any, contents: Callable[[], Any]) -> None:
    answer = client.transact_write_items(
        TransactItems=[
            put("new", g={"S": "x"}),
            update("a", "SET v = v + :v", {"N": "1"}),
            delete("b"),
            check("missing", "attribute_not_exists(pk)"),
        ]
    )

    items, index = contents()
    assert answer.keys() == {"ResponseMetadata"}
    assert items == sorted(
        [{**key("a"), "v": {"N": "2"}, "b": {"B": b"\xff"}}, {**key("new"), "g": {"S": "x"}}],
        key=str,
    )
    assert index == [{**key("new"), "g": {"S": "x"}}]


def test_a_failed_condition_undoes_everything_and_says_which(
    client: Any, things: str, contents: Callable[[], Any], refused: Any
) -> None:
    before = contents()
    message = (
        "Transaction cancelled, please refer cancellation reasons for specific reasons"
        " [None, ConditionalCheckFailed, None, ConditionalCheckFailed]"
    )

    with refused(CANCELLED, message) as caught:
        client.transact_write_items(
            TransactItems=[
                put("new", g={"S": "x"}),
                check("a", "v > :v", ExpressionAttributeValues={":v": {"N": "1"}}),
                delete("b"),
                update("missing", "SET v = pk", ConditionExpression="attribute_exists(pk)"),
            ],
            ReturnConsumedCapacity="TOTAL",
        )

    assert caught.value.response["CancellationReasons"] == [NONE, FAILED, NONE, FAILED]
    assert "ConsumedCapacity" not in caught.value.response
    assert contents() == before
    assert client.describe_table(TableName=things)["Table"]["ItemCount"] == 2


@pytest.mark.usefixtures("things")
def test_a_reason_shows_the_item_when_asked(client: Any, refused: Any) -> None:
    asked = {
        "ConditionExpression": "attribute_not_exists(pk)",
        "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
    }

    with refused(CANCELLED) as caught:
        client.transact_write_items(
            TransactItems=[delete("a", **asked), check("b", asked["ConditionExpression"])]
        )

    stored = {**key("a"), "v": {"N": "1"}, "b": {"B": b"\xff"}}
    assert caught.value.response["CancellationReasons"] == [{**FAILED, "Item": stored}, FAILED]


# action, message of its reason
CANCELLING = [
    pytest.param(
        {"Put": {"TableName": "things", "Item": {"pk": {"N": "1"}}}},
        f"{INVALID}Type mismatch for key pk expected: S actual: N",
        id="put with a number for its key",
    ),
    pytest.param(
        {"Put": {"TableName": "things", "Item": {"pk": {"L": []}}}},
        f"{INVALID}Type mismatch for key pk expected: S actual: L",
        id="put with a list for its key",
    ),
    *(
        pytest.param(
            {kind: {"TableName": "things", "Key": {"pk": wrong}, **more}},
            MISMATCH,
            id=f"{kind} with {name}",
        )
        for kind, more in [
            ("Delete", {}),
            ("Update", {"UpdateExpression": "REMOVE v"}),
            ("ConditionCheck", {"ConditionExpression": "attribute_exists(v)"}),
        ]
        for name, wrong in [("a number", {"N": "1"}), ("a map", {"M": {}})]
    ),
    pytest.param(
        put("c", g={"N": "1"}),
        f"{INVALID}Type mismatch for Index Key g Expected: S Actual: N IndexName: by-g",
        id="put with a number for an index key",
    ),
    pytest.param(
        update("c", "SET g = :v", {"L": []}),
        f"{INVALID}Type mismatch for Index Key g Expected: S Actual: L IndexName: by-g",
        id="update with a list for an index key",
    ),
    pytest.param(
        update("c", "SET v = gone"),
        "The provided expression refers to an attribute that does not exist in the item",
        id="update from nothing",
    ),
]


@pytest.mark.parametrize(("action", "message"), CANCELLING)
@pytest.mark.usefixtures("things")
def test_an_action_that_cannot_be_done_cancels(
    client: Any,
    contents: Callable[[], Any],
    refused: Any,
    action: dict[str, Any],
    message: str,
) -> None:
    before = contents()

    with refused(CANCELLED) as caught:
        client.transact_write_items(TransactItems=[put("new"), action])

    reasons = caught.value.response["CancellationReasons"]
    assert reasons == [NONE, {"Code": "ValidationError", "Message": message}]
    assert contents() == before


# actions, code, message; all refused before anything of the transaction is done
REFUSED = [
    pytest.param([put("c"), delete("c")], "ValidationException", SAME_ITEM, id="same item twice"),
    pytest.param(
        [check("a", "attribute_exists(pk)"), update("a", "REMOVE v")],
        "ValidationException",
        SAME_ITEM,
        id="check and change the same item",
    ),
    pytest.param(
        [put("c"), put("d", table="nothing")],
        "ResourceNotFoundException",
        "Requested resource not found",
        id="missing table",
    ),
    pytest.param(
        [put("")], "ValidationException", f"{EMPTY_KEY} string value. Key: pk", id="put empty key"
    ),
    pytest.param(
        [put("c"), delete("")],
        "ValidationException",
        f"{EMPTY_KEY} string value. Key: pk",
        id="delete empty key",
    ),
    pytest.param(
        [put("c", g={"S": ""})],
        "ValidationException",
        f"{NOT_VALID}A value specified for a secondary index key is not supported. The"
        " AttributeValue for a key attribute cannot contain an empty string value. IndexName: by-g,"
        " IndexKey: g",
        id="put empty index key",
    ),
    pytest.param(
        [update("c", "SET g = :v", {"S": ""})],
        "ValidationException",
        f"{NOT_VALID}The update expression attempted to update a secondary index key to a value"
        " that is not supported. The AttributeValue for a key attribute cannot contain an empty"
        " string value.",
        id="update empty index key",
    ),
    pytest.param(
        [put("c", fill={"S": "x" * 409_600})],
        "ValidationException",
        "Item size has exceeded the maximum allowed size",
        id="put more than 400 KB",
    ),
    pytest.param(
        [put("c", v={"N": "abc"})],
        "ValidationException",
        "The parameter cannot be converted to a numeric value: abc",
        id="bad number",
    ),
    pytest.param(
        [update("c", "SET v = :v", {"N": ""})],
        "ValidationException",
        "The parameter cannot be converted to a numeric value: ",
        id="bad number in an expression",
    ),
    pytest.param([put("c", v=deep(32))], "ValidationException", TOO_DEEP, id="too deep"),
    pytest.param(
        [check("a", "")],
        "ValidationException",
        "Invalid ConditionExpression: The expression can not be empty;",
        id="empty condition",
    ),
    pytest.param(
        [check("a", "attribute_not_exists(")],
        "ValidationException",
        'Invalid ConditionExpression: Syntax error; token: "<EOF>", near: "("',
        id="bad condition",
    ),
    pytest.param(
        [delete("a", ConditionExpression="attribute_exists(pk)", ExpressionAttributeValues={":v": {"S": "x"}})],
        "ValidationException",
        "Value provided in ExpressionAttributeValues unused in expressions: keys: {:v}",
        id="unused value",
    ),
    pytest.param(
        [put("d", table="nothing"), put("d", table="nothing"), check("a", "a = = b")],
        "ValidationException",
        'Invalid ConditionExpression: Syntax error; token: "=", near: "= = b"',
        id="syntax before tables and duplicates",
    ),
    pytest.param(
        [check("a", "a = = b"), put("c", v=deep(32))],
        "ValidationException",
        'Invalid ConditionExpression: Syntax error; token: "=", near: "= = b"',
        id="the first action with a problem",
    ),
    pytest.param(
        [put("c", v=deep(32)), check("a", "a = = b")],
        "ValidationException",
        TOO_DEEP,
        id="the first action with a problem, turned",
    ),
    pytest.param(
        [{"Put": {"TableName": "things", "Item": {**key("c"), "": {"S": "x"}}}}],
        "ValidationException",
        "Empty attribute name",
        id="empty attribute name",
    ),
    pytest.param(
        [put("c", table="bad!name")],
        "ValidationException",
        f"{ONE}Value 'bad!name' at 'transactItems.1.member.put.tableName' failed to satisfy"
        " constraint: Member must satisfy regular expression pattern: [a-zA-Z0-9_.-]+",
        id="bad table name",
    ),
    pytest.param(
        [{}],
        "ValidationException",
        f"{ONE}Value '' at 'transactItems' failed to satisfy constraint: TransactWriteRequest"
        " should contain Delete or Put or Update or ConditionCheck",
        id="no action",
    ),
    pytest.param(
        [],
        "ValidationException",
        f"{ONE}Value at 'TransactItems' failed to satisfy constraint: Member must have length"
        " greater than or equal to 1",
        id="nothing at all",
    ),
    pytest.param(
        [put(str(number)) for number in range(101)],
        "ValidationException",
        f"{ONE}Value at 'TransactItems' failed to satisfy constraint: Member must have length less"
        " than or equal to 100",
        id="101 actions",
    ),
    pytest.param(
        [put(str(number), fill={"S": "x" * 350_000}) for number in range(12)],
        "ValidationException",
        None,
        id="more than 4 MB",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("actions", "code", "message"), REFUSED)
@pytest.mark.usefixtures("things")
def test_a_bad_transaction_is_refused_as_a_whole(
    client: Any,
    contents: Callable[[], Any],
    refused: Any,
    actions: list[dict[str, Any]],
    code: str,
    message: str | None,
) -> None:
    before = contents()

    with refused(code, message):
        client.transact_write_items(TransactItems=actions)
    assert contents() == before


@pytest.mark.parametrize(
    ("more", "part"),
    [
        pytest.param(
            {"ReturnConsumedCapacity": "BOGUS"},
            f"{ONE}Value 'BOGUS' at 'returnConsumedCapacity' failed",
            id="bad choice",
        ),
        pytest.param(
            {"ReturnConsumedCapacity": "BOGUS", "ReturnItemCollectionMetrics": "BOGUS2"},
            "Member must satisfy enum value set: [INDEXES, TOTAL, NONE]; Value 'BOGUS2' at"
            " 'returnItemCollectionMetrics' failed to satisfy constraint: Member must satisfy enum"
            " value set: [SIZE, NONE]",
            id="two bad choices",
        ),
        pytest.param(
            {"ClientRequestToken": "x" * 37},
            f"{ONE}Value '{'x' * 37}' at 'clientRequestToken' failed to satisfy constraint: Member"
            " must have length less than or equal to 36",
            id="long token",
        ),
    ],
)
def test_choices_are_checked_before_tables(
    client: Any, refused: Any, more: dict[str, Any], part: str
) -> None:
    with refused("ValidationException", part=part):
        client.transact_write_items(TransactItems=[put("a", table="nothing")], **more)


def test_100_actions_and_almost_4_mb_are_fine(client: Any, things: str) -> None:
    client.transact_write_items(
        TransactItems=[put(f"n{number}") for number in range(98)]
        + [put("x", fill={"S": "x" * 350_000}), put("y", fill={"S": "x" * 350_000})]
    )
    client.transact_write_items(
        TransactItems=[put(f"l{number}", fill={"S": "x" * 350_000}) for number in range(10)]
    )

    assert client.describe_table(TableName=things)["Table"]["ItemCount"] == 2 + 100 + 10


TOO_LARGE = "Item size to update has exceeded the maximum allowed size"


def test_a_transaction_is_held_to_what_an_update_states(
    client: Any, things: str, refused: Any
) -> None:
    # 3 + 19 bytes for the statement and 1 for the name
    largest = {"S": "x" * (409_600 - 3 - 19 - 1)}
    too_large = {"S": f"{largest['S']}x"}

    client.transact_write_items(TransactItems=[update("c", "SET v = :v", largest)])
    with refused("ValidationException", TOO_LARGE):
        client.transact_write_items(TransactItems=[update("d", "SET v = :v", too_large)])

    assert client.get_item(TableName=things, Key=key("c"))["Item"]["v"] == largest
    assert "Item" not in client.get_item(TableName=things, Key=key("d"))


def test_an_item_that_an_update_makes_too_large_cancels(
    client: Any, things: str, refused: Any
) -> None:
    half = {"S": "x" * 300_000}
    client.put_item(TableName=things, Item={**key("c"), "half": half})

    with refused(CANCELLED) as caught:
        client.transact_write_items(TransactItems=[update("c", "SET v = :v", half)])

    reasons = caught.value.response["CancellationReasons"]
    assert reasons == [{"Code": "ValidationError", "Message": TOO_LARGE}]


# ---- tokens ------------------------------------------------------------------------------


def test_a_repeated_token_does_nothing_again(client: Any, things: str) -> None:
    request = {
        "TransactItems": [update("a", "SET v = v + :v", {"N": "1"})],
        "ClientRequestToken": "token",
    }

    for _ in range(3):
        client.transact_write_items(**request)
    client.transact_write_items(**{**request, "ClientRequestToken": "another"})

    assert client.get_item(TableName=things, Key=key("a"))["Item"]["v"] == {"N": "3"}


def test_a_token_is_for_one_request_only(client: Any, things: str, refused: Any) -> None:
    client.transact_write_items(TransactItems=[put("c")], ClientRequestToken="token")

    with refused("IdempotentParameterMismatchException"):
        client.transact_write_items(TransactItems=[put("d")], ClientRequestToken="token")
    assert "Item" not in client.get_item(TableName=things, Key=key("d"))


@pytest.mark.usefixtures("things")
def test_a_cancelled_transaction_may_be_tried_again_under_its_token(
    client: Any, refused: Any
) -> None:
    request = {
        "TransactItems": [put("c"), check("d", "attribute_exists(pk)")],
        "ClientRequestToken": "token",
    }

    with refused(CANCELLED):
        client.transact_write_items(**request)
    client.put_item(TableName="things", Item=key("d"))
    client.transact_write_items(**request)

    assert "Item" in client.get_item(TableName="things", Key=key("c"))


def test_tokens_are_kept_in_the_file_and_end_after_ten_minutes(
    connect: Callable[..., Any],
    make_table: Callable[..., str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    request = {
        "TransactItems": [update("a", "ADD v :v", {"N": "1"})],
        "ClientRequestToken": "token",
    }
    make_table("things", on=connect("data.sqlite3"))
    now = [1e9]
    monkeypatch.setattr("perfkit.embedded.transactions.time.time", lambda: now[0])

    def value_after(moment_s: float) -> str:
        now[0] = moment_s
        client = connect("data.sqlite3")
        client.transact_write_items(**request)
        return str(client.get_item(TableName="things", Key=key("a"))["Item"]["v"]["N"])

    assert value_after(1e9) == "1"
    assert value_after(1e9 + 599) == "1"
    assert value_after(1e9 + 601) == "2"


# ---- reads -------------------------------------------------------------------------------


@pytest.mark.usefixtures("things")
def test_reads_come_in_the_order_asked_for(client: Any) -> None:
    answer = client.transact_get_items(
        TransactItems=[
            get("missing"),
            get("b"),
            get("a", ProjectionExpression="v"),
        ]
    )

    assert answer["Responses"] == [{}, {"Item": key("b")}, {"Item": {"v": {"N": "1"}}}]


@pytest.mark.usefixtures("things")
def test_a_projection_that_matches_nothing_leaves_no_item(client: Any) -> None:
    answer = client.transact_get_items(TransactItems=[get("a", ProjectionExpression="gone")])

    assert answer["Responses"] == [{}]


@pytest.mark.parametrize(
    ("gets", "code", "message"),
    [
        pytest.param([get("a"), get("a")], "ValidationException", SAME_ITEM, id="same item twice"),
        pytest.param(
            [get("a"), get("a", table="nothing")],
            "ResourceNotFoundException",
            "Requested resource not found",
            id="missing table",
        ),
        pytest.param(
            [get("a", ProjectionExpression="!!!")],
            "ValidationException",
            'Invalid ProjectionExpression: Syntax error; token: "!", near: "!!"',
            id="bad projection",
        ),
        pytest.param(
            [get("")], "ValidationException", f"{EMPTY_KEY} string value. Key: pk", id="empty key"
        ),
        pytest.param(
            [get("a", table="bad!name")],
            "ValidationException",
            f"{ONE}Value 'bad!name' at 'transactItems.1.member.get.tableName' failed to satisfy"
            " constraint: Member must satisfy regular expression pattern: [a-zA-Z0-9_.-]+",
            id="bad table name",
        ),
        pytest.param(
            [get(str(number)) for number in range(101)],
            "ValidationException",
            f"{ONE}Value at 'TransactItems' failed to satisfy constraint: Member must have length"
            " less than or equal to 100",
            id="101 reads",
        ),
        pytest.param([], "ValidationException", None, id="nothing"),
        pytest.param(
            [{"Get": {"TableName": "things", "Key": {}}}, get("a")],
            CANCELLED,
            "Transaction cancelled, please refer cancellation reasons for specific reasons"
            " [ValidationError, None]",
            id="no key",
        ),
    ],
)
@pytest.mark.usefixtures("things")
def test_bad_reads_are_refused(
    client: Any, refused: Any, gets: list[dict[str, Any]], code: str, message: str | None
) -> None:
    with refused(code, message):
        client.transact_get_items(TransactItems=gets)
