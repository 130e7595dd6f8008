"""PutItem, GetItem, UpdateItem, DeleteItem: what is kept, what comes back, what is refused."""

import json
from collections.abc import Callable
from typing import Any

import pytest

INVALID = "One or more parameter values were invalid: "
NOT_VALID = "One or more parameter values are not valid. "
ONE = "1 validation error detected: "
MISMATCH = "The provided key element does not match the schema"
CONDITION_FAILED = "ConditionalCheckFailedException"
A: dict[str, Any] = {"pk": {"S": "a"}}
NOT_FOUND = "Requested resource not found"


def deep(levels: int) -> dict[str, Any]:
    value: dict[str, Any] = {"S": "leaf"}
    for _ in range(levels):
        value = {"M": {"m": value}}
    return value


@pytest.fixture
def things(make_table: Callable[..., str]) -> str:
    return make_table("things")


@pytest.fixture
def put(client: Any, things: str) -> Callable[..., None]:
    """Return a function that stores an item under the key "a"."""

    def put(**attributes: Any) -> None:
        client.put_item(TableName=things, Item={**A, **attributes})

    return put


@pytest.fixture
def get(client: Any, things: str) -> Callable[[], Any]:
    """Return a function that reads the item under the key "a"; None if there is none."""

    def get() -> Any:
        return client.get_item(TableName=things, Key=A, ConsistentRead=True).get("Item")

    return get


@pytest.fixture
def update(client: Any, things: str) -> Callable[..., Any]:
    """Return a function that updates the item under the key "a"; keywords are values."""

    def update(expression: str, returning: str = "NONE", **values: Any) -> Any:
        more = (
            {"ExpressionAttributeValues": {f":{n}": v for n, v in values.items()}} if values else {}
        )
        return client.update_item(
            TableName=things,
            Key=A,
            UpdateExpression=expression,
            ReturnValues=returning,
            **more,
        )

    return update


# ---- what is kept ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "read"),
    [
        pytest.param({"S": "é𝄞\x00\n"}, None, id="text"),
        pytest.param({"S": ""}, None, id="empty text"),
        pytest.param({"B": bytes(range(256))}, None, id="binary"),
        pytest.param({"B": b""}, None, id="empty binary"),
        pytest.param({"BOOL": False}, None, id="false"),
        pytest.param({"NULL": True}, None, id="null"),
        pytest.param({"L": [{"S": ""}, {"L": []}, {"M": {}}]}, None, id="list"),
        pytest.param({"M": {"a": {"B": b"\x00"}, "": {"N": "1"}}}, {"refused": True}, id="empty map key"),
        pytest.param({"M": {"a": {"B": b"\x00"}, "ü": {"N": "1"}}}, None, id="map"),
        pytest.param({"SS": ["b", "", "a"]}, {"SS": ["", "a", "b"]}, id="text set sorted"),
        pytest.param({"NS": ["10", "9", "-1"]}, {"NS": ["-1", "9", "10"]}, id="number set sorted"),
        pytest.param({"BS": [b"b", b"\xff", b"a"]}, {"BS": [b"a", b"b", b"\xff"]}, id="binary set"),
        pytest.param({"N": "00042"}, {"N": "42"}, id="leading zeros"),
        pytest.param({"N": "-0"}, {"N": "0"}, id="minus zero"),
        pytest.param({"N": "1.0"}, {"N": "1"}, id="trailing zeros"),
        pytest.param({"N": "3.1400"}, {"N": "3.14"}, id="trailing zeros of a fraction"),
        pytest.param({"N": "1.5E2"}, {"N": "150"}, id="exponent"),
        pytest.param({"N": "1E125"}, {"N": "1" + "0" * 125}, id="largest power"),
        pytest.param({"N": "1E-130"}, {"N": "0." + "0" * 129 + "1"}, id="smallest power"),
        pytest.param({"N": "9" * 38}, None, id="38 digits"),
        pytest.param(
            {"N": f"9.{'9' * 37}E125"}, {"N": "9" * 38 + "0" * 88}, id="largest number"
        ),
        pytest.param({"N": f"-{'9' * 38}"}, None, id="38 digits below zero"),
        pytest.param({"N": "0E125"}, {"N": "0"}, id="zero with an exponent"),
        pytest.param(deep(31), None, id="31 levels"),
    ],
)  # fmt: skip
def test_values_come_back_in_dynamodbs_form(
    client: Any, things: str, refused: Any, get: Callable[[], Any], written: Any, read: Any
) -> None:
    item = {**A, "value": written}

    if read == {"refused": True}:
        with refused():
            client.put_item(TableName=things, Item=item)
        return
    client.put_item(TableName=things, Item=item)

    assert get() == {**A, "value": written if read is None else read}


def test_put_replaces_the_whole_item(put: Callable[..., None], get: Callable[[], Any]) -> None:
    put(old={"S": "x"}, both={"S": "x"})
    put(both={"S": "y"})

    assert get() == {**A, "both": {"S": "y"}}


def test_keys_that_look_alike_are_different_items(
    client: Any, make_table: Callable[..., str]
) -> None:
    make_table("pairs", "pk sk")
    # boundaries between the parts and zero bytes must not be confused
    keys = [
        ("a", "bc"),
        ("ab", "c"),
        ("a\x00", "bc"),
        ("a", "\x00bc"),
        ("a", "bc\x00"),
        ("A", "bc"),
    ]
    for number, (pk, sk) in enumerate(keys):
        item = {"pk": {"S": pk}, "sk": {"S": sk}, "n": {"N": str(number)}}
        client.put_item(TableName="pairs", Item=item)

    found = [
        client.get_item(TableName="pairs", Key={"pk": {"S": pk}, "sk": {"S": sk}})["Item"]["n"]["N"]
        for pk, sk in keys
    ]

    assert found == [str(number) for number in range(len(keys))]


def test_equal_numbers_are_one_key(client: Any, make_table: Callable[..., str]) -> None:
    make_table("numbers", "pk:N")
    for spelling in ("1", "1.0", "01", "10E-1"):
        client.put_item(TableName="numbers", Item={"pk": {"N": spelling}, "was": {"S": spelling}})

    found = client.get_item(TableName="numbers", Key={"pk": {"N": "0.1E1"}})["Item"]

    assert client.scan(TableName="numbers")["Count"] == 1
    assert found == {"pk": {"N": "1"}, "was": {"S": "10E-1"}}


def test_a_missing_item_is_an_empty_answer(client: Any, things: str) -> None:
    assert client.get_item(TableName=things, Key=A).keys() == {"ResponseMetadata"}
    assert client.delete_item(TableName=things, Key=A).keys() == {"ResponseMetadata"}


@pytest.mark.parametrize(
    ("projection", "expected"),
    [
        pytest.param("nothing", {}, id="nothing there leaves an empty item"),
        pytest.param("v", {"v": {"N": "1"}}, id="keys are not added"),
        pytest.param("m.a, m.b", {"m": {"M": {"a": {"S": "A"}, "b": {"S": "B"}}}}, id="merged"),
        pytest.param("l[2], l[0]", {"l": {"L": [{"N": "0"}, {"N": "2"}]}}, id="in list order"),
        pytest.param("m.x, v", {"v": {"N": "1"}}, id="missing path"),
    ],
)
def test_projections(
    client: Any, things: str, put: Callable[..., None], projection: str, expected: Any
) -> None:
    put(
        v={"N": "1"},
        m={"M": {"a": {"S": "A"}, "b": {"S": "B"}, "c": {"S": "C"}}},
        l={"L": [{"N": "0"}, {"N": "1"}, {"N": "2"}]},
    )

    answer = client.get_item(TableName=things, Key=A, ProjectionExpression=projection)

    assert answer["Item"] == expected


# ---- updates -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("expression", "values", "expected"),
    [
        pytest.param("SET n = n + :v", {"v": {"N": "5"}}, {"n": {"N": "15"}}, id="add"),
        pytest.param("SET n = n - :v", {"v": {"N": "0.1"}}, {"n": {"N": "9.9"}}, id="subtract"),
        pytest.param(
            "SET n = :v, m = n", {"v": {"N": "1"}}, {"n": {"N": "1"}, "m": {"N": "10"}},
            id="values are from before the update",
        ),
        pytest.param(
            "SET c = if_not_exists(c, :v), n = if_not_exists(n, :v)", {"v": {"N": "1"}},
            {"c": {"N": "1"}}, id="if_not_exists",
        ),
        pytest.param(
            "SET l = list_append(:v, l)", {"v": {"L": [{"S": "z"}]}},
            {"l": {"L": [{"S": "z"}, {"S": "a"}, {"S": "b"}]}}, id="list_append in front",
        ),
        pytest.param(
            "SET l[7] = :v, l[5] = :w", {"v": {"S": "seven"}, "w": {"S": "five"}},
            {"l": {"L": [{"S": "a"}, {"S": "b"}, {"S": "five"}, {"S": "seven"}]}},
            id="indexes past the end append in order",
        ),
        pytest.param("REMOVE l[0]", {}, {"l": {"L": [{"S": "b"}]}}, id="remove an element"),
        pytest.param("REMOVE gone, d.gone", {}, {}, id="remove what is not there"),
        pytest.param(
            "SET d.y = :v", {"v": {"S": "Y"}}, {"d": {"M": {"x": {"S": "X"}, "y": {"S": "Y"}}}},
            id="set in a map",
        ),
        pytest.param(
            "ADD n :v, c :v, s :s", {"v": {"N": "-3"}, "s": {"SS": ["b", "c"]}},
            {"n": {"N": "7"}, "c": {"N": "-3"}, "s": {"SS": ["a", "b", "c"]}}, id="ADD",
        ),
        pytest.param(
            "DELETE s :s", {"s": {"SS": ["b", "x"]}}, {"s": {"SS": ["a"]}}, id="DELETE some"
        ),
        pytest.param(
            "DELETE s :s", {"s": {"SS": ["b", "a"]}}, {"s": None}, id="DELETE all removes"
        ),
        pytest.param("DELETE gone :s", {"s": {"SS": ["b"]}}, {}, id="DELETE from nothing"),
    ],
)  # fmt: skip
def test_updates(
    put: Callable[..., None],
    get: Callable[[], Any],
    update: Callable[..., Any],
    expression: str,
    values: dict[str, Any],
    expected: dict[str, Any],
) -> None:
    before: dict[str, Any] = {
        "n": {"N": "10"},
        "l": {"L": [{"S": "a"}, {"S": "b"}]},
        "d": {"M": {"x": {"S": "X"}}},
        "s": {"SS": ["a", "b"]},
    }
    put(**before)

    update(expression, **values)

    after = {**A, **before, **expected}
    assert get() == {name: value for name, value in after.items() if value is not None}


@pytest.mark.parametrize(
    "expression", ["REMOVE v", "REMOVE v, m.x", "DELETE v :v", "REMOVE w DELETE v :v"]
)
def test_an_update_that_only_removes_makes_no_item(
    client: Any, things: str, get: Callable[[], Any], expression: str
) -> None:
    """Anything else upserts."""
    values = {"ExpressionAttributeValues": {":v": {"SS": ["x"]}}} if ":v" in expression else {}

    answer = client.update_item(
        TableName=things,
        Key=A,
        UpdateExpression=expression,
        ReturnValues="ALL_NEW",
        ReturnConsumedCapacity="TOTAL",
        **values,
    )

    assert "Attributes" not in answer
    assert answer["ConsumedCapacity"]["CapacityUnits"] == 1
    assert get() is None


def test_update_creates_an_item_and_without_an_expression_only_its_key(
    client: Any, things: str, get: Callable[[], Any], update: Callable[..., Any]
) -> None:
    answer = client.update_item(TableName=things, Key=A, ReturnValues="ALL_OLD")
    bare = get()
    update("SET v = :v", v={"N": "1"})

    assert "Attributes" not in answer
    assert bare == A
    assert get() == {**A, "v": {"N": "1"}}


@pytest.mark.parametrize(
    ("expression", "values", "message"),
    [
        pytest.param(
            "SET pk = :v", {"v": {"S": "b"}},
            f"{INVALID}Cannot update attribute pk. This attribute is part of the key", id="key",
        ),
        pytest.param(
            "REMOVE pk", {},
            f"{INVALID}Cannot update attribute pk. This attribute is part of the key",
            id="remove the key",
        ),
        pytest.param(
            "SET x.y = :v", {"v": {"S": "b"}},
            "The document path provided in the update expression is invalid for update",
            id="no such map",
        ),
        pytest.param(
            "SET n[0] = :v", {"v": {"S": "b"}},
            "The document path provided in the update expression is invalid for update",
            id="no list",
        ),
        pytest.param(
            "SET v = gone", {},
            "The provided expression refers to an attribute that does not exist in the item",
            id="no such value",
        ),
        pytest.param(
            "SET n = t + :v", {"v": {"N": "1"}},
            "An operand in the update expression has an incorrect data type", id="text plus one",
        ),
        pytest.param(
            "ADD t :v", {"v": {"N": "1"}},
            "An operand in the update expression has an incorrect data type", id="ADD to text",
        ),
        pytest.param(
            "SET n = big + big", None,
            "Number overflow. Attempting to store a number with magnitude larger than supported"
            " range", id="overflow",
        ),
    ],
)  # fmt: skip
def test_an_update_that_fails_changes_nothing(
    put: Callable[..., None],
    get: Callable[[], Any],
    update: Callable[..., Any],
    refused: Any,
    expression: str,
    values: dict[str, Any] | None,
    message: str,
) -> None:
    put(n={"N": "1"}, t={"S": "x"}, big={"N": "9.9E125"})
    before = get()

    with refused("ValidationException", message):
        update(f"{expression}", **(values or {}))
    assert get() == before


# ---- return values -----------------------------------------------------------------------


OLD = {"v": {"N": "1"}, "m": {"M": {"x": {"S": "X"}, "y": {"S": "Y"}}}}


@pytest.mark.parametrize(
    ("operation", "wanted", "expected"),
    [
        pytest.param("put_item", "ALL_OLD", {**A, **OLD}, id="put, old"),
        pytest.param("put_item", "NONE", None, id="put, nothing"),
        pytest.param("delete_item", "ALL_OLD", {**A, **OLD}, id="delete, old"),
        pytest.param("update_item", "NONE", None, id="update, nothing"),
        pytest.param("update_item", "ALL_OLD", {**A, **OLD}, id="update, all old"),
        pytest.param(
            "update_item", "ALL_NEW",
            {**A, "v": {"N": "2"}, "m": {"M": {"x": {"S": "new"}, "y": {"S": "Y"}}}},
            id="update, all new",
        ),
        pytest.param(
            "update_item", "UPDATED_OLD", {"v": {"N": "1"}, "m": {"M": {"x": {"S": "X"}}}},
            id="update, touched paths before",
        ),
        pytest.param(
            "update_item", "UPDATED_NEW", {"v": {"N": "2"}, "m": {"M": {"x": {"S": "new"}}}},
            id="update, touched paths after",
        ),
    ],
)  # fmt: skip
def test_return_values(
    client: Any, things: str, put: Callable[..., None], operation: str, wanted: str, expected: Any
) -> None:
    requests: dict[str, dict[str, Any]] = {
        "put_item": {"Item": {**A, "v": {"N": "2"}}},
        "delete_item": {"Key": A},
        "update_item": {
            "Key": A,
            "UpdateExpression": "SET v = :v, m.x = :x",
            "ExpressionAttributeValues": {":v": {"N": "2"}, ":x": {"S": "new"}},
        },
    }
    put(**OLD)

    answer = getattr(client, operation)(
        TableName=things, ReturnValues=wanted, **requests[operation]
    )

    assert answer.get("Attributes") == expected


@pytest.mark.parametrize("wanted", ["ALL_OLD", "UPDATED_OLD"])
def test_nothing_old_of_a_new_item(update: Callable[..., Any], wanted: str) -> None:
    assert "Attributes" not in update("SET v = :v", wanted, v={"N": "1"})


def test_removed_attributes_have_no_new_value(
    put: Callable[..., None], update: Callable[..., Any]
) -> None:
    put(v={"N": "1"})

    assert "Attributes" not in update("REMOVE v", "UPDATED_NEW")


# ---- conditions --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("operation", "request_"),
    [
        ("put_item", {"Item": {**A, "v": {"N": "2"}}}),
        ("delete_item", {"Key": A}),
        ("update_item", {"Key": A, "UpdateExpression": "REMOVE v"}),
    ],
)
def test_a_failed_condition_changes_nothing_and_shows_the_item_when_asked(
    client: Any,
    things: str,
    put: Callable[..., None],
    get: Callable[[], Any],
    refused: Any,
    operation: str,
    request_: dict[str, Any],
) -> None:
    put(v={"N": "1"}, b={"B": b"\x00\x01"})
    request_ = {**request_, "ConditionExpression": "attribute_not_exists(v)"}
    call = getattr(client, operation)

    with refused(CONDITION_FAILED, "The conditional request failed") as plain:
        call(TableName=things, **request_)
    with refused(CONDITION_FAILED, "The conditional request failed") as shown:
        call(TableName=things, ReturnValuesOnConditionCheckFailure="ALL_OLD", **request_)

    stored = {**A, "v": {"N": "1"}, "b": {"B": b"\x00\x01"}}
    assert "Item" not in plain.value.response
    assert shown.value.response["Item"] == stored
    assert get() == stored


def test_a_failed_condition_on_a_missing_item_leaves_no_ghost(
    client: Any, things: str, get: Callable[[], Any], refused: Any
) -> None:
    with refused(CONDITION_FAILED) as caught:
        client.update_item(
            TableName=things,
            Key=A,
            UpdateExpression="SET v = :v",
            ConditionExpression="attribute_exists(pk)",
            ExpressionAttributeValues={":v": {"N": "1"}},
            ReturnValuesOnConditionCheckFailure="ALL_OLD",
        )

    assert "Item" not in caught.value.response
    assert get() is None


@pytest.mark.parametrize(
    ("condition", "holds"),
    [
        ("v = :one", True),
        ("v <> :two", True),
        ("gone <> :one", True),
        ("gone = :one", False),
        ("gone < :one", False),
        ("v < :two AND NOT v > :two", True),
        ("v BETWEEN :one AND :two", True),
        ("v IN (:two, :one)", True),
        ("begins_with(t, :prefix)", True),
        ("contains(s, :prefix)", True),
        ("size(t) > :two", True),
        ("attribute_type(v, :n)", True),
        ("attribute_exists(m.x) AND attribute_not_exists(m.y)", True),
        ("t > :one", False),
    ],
)
def test_conditions_decide(
    client: Any,
    things: str,
    put: Callable[..., None],
    get: Callable[[], Any],
    refused: Any,
    condition: str,
    holds: bool,
) -> None:
    put(v={"N": "1"}, t={"S": "text"}, s={"SS": ["a", "te"]}, m={"M": {"x": {"N": "1"}}})
    known = {":one": {"N": "1.0"}, ":two": {"N": "2"}, ":prefix": {"S": "te"}, ":n": {"S": "N"}}
    values = {name: value for name, value in known.items() if name in condition}
    more = {"ExpressionAttributeValues": values} if values else {}

    if holds:
        client.delete_item(TableName=things, Key=A, ConditionExpression=condition, **more)
    else:
        with refused(CONDITION_FAILED):
            client.delete_item(TableName=things, Key=A, ConditionExpression=condition, **more)

    assert (get() is None) == holds


# ---- sizes -------------------------------------------------------------------------------


def test_an_item_of_409_600_bytes_is_the_largest(
    client: Any, things: str, get: Callable[[], Any], refused: Any
) -> None:
    # "pk" and "a" take 3 bytes, "fill" 4
    largest = {**A, "fill": {"S": "x" * (409_600 - 7)}}

    client.put_item(TableName=things, Item=largest)
    with refused("ValidationException", "Item size has exceeded the maximum allowed size"):
        client.put_item(TableName=things, Item={**A, "fill": {"S": "x" * (409_601 - 7)}})

    assert get() == largest


def test_an_update_may_not_grow_an_item_over_409_600_bytes(
    put: Callable[..., None], update: Callable[..., Any], get: Callable[[], Any], refused: Any
) -> None:
    put(fill={"S": "x" * (409_600 - 7 - 10)})

    update("SET v = :v", v={"S": "x" * 9})
    with refused(part="Item size to update has exceeded the maximum allowed size"):
        update("SET v = :v", v={"S": "x" * 10})

    assert get()["v"] == {"S": "x" * 9}


@pytest.mark.parametrize(
    ("expression", "costs_bytes"),
    [
        # 3 for the statement, 19 for each SET or ADD, the target's name, the value each time
        pytest.param("SET v = :v", 3 + 19 + 1, id="set"),
        pytest.param("SET v = if_not_exists(v, :v)", 3 + 19 + 1 + 39 + 1 + 14 + 1, id="function"),
        pytest.param("SET v = :v REMOVE w", 3 + 19 + 1 + 1 + 1, id="set and remove"),
    ],
)
def test_what_an_update_states_is_limited_too(
    client: Any,
    things: str,
    update: Callable[..., Any],
    refused: Any,
    expression: str,
    costs_bytes: int,
) -> None:
    room = 409_600 - costs_bytes

    update(expression, v={"S": "x" * room})
    client.delete_item(TableName=things, Key=A)
    with refused(part="Item size to update has exceeded the maximum allowed size"):
        update(expression, v={"S": "x" * (room + 1)})


@pytest.mark.parametrize(
    ("pk_bytes", "sk_bytes", "message"),
    [
        pytest.param(2048, 1024, None, id="largest"),
        pytest.param(
            2049, 1,
            f"{INVALID}Size of hashkey has exceeded the maximum size limit of2048 bytes",
            id="partition key",
        ),
        pytest.param(
            1, 1025,
            f"{INVALID}Aggregated size of all range keys has exceeded the size limit of 1024"
            " bytes",
            id="sort key",
        ),
    ],
)  # fmt: skip
def test_key_sizes(
    client: Any,
    make_table: Callable[..., str],
    refused: Any,
    pk_bytes: int,
    sk_bytes: int,
    message: str | None,
) -> None:
    make_table("pairs", "pk sk")
    key = {"pk": {"S": "x" * pk_bytes}, "sk": {"S": "x" * sk_bytes}}

    if message is None:
        client.put_item(TableName="pairs", Item=key)
        assert client.get_item(TableName="pairs", Key=key)["Item"] == key
        return
    with refused("ValidationException", message):
        client.put_item(TableName="pairs", Item=key)
    with refused("ValidationException", message):
        client.get_item(TableName="pairs", Key=key)


# ---- keys --------------------------------------------------------------------------------


EMPTY_KEY = f"{NOT_VALID}The AttributeValue for a key attribute cannot contain an empty"


@pytest.mark.parametrize(
    ("item", "message"),
    [
        pytest.param({"v": {"S": "x"}}, f"{INVALID}Missing the key pk in the item", id="missing"),
        pytest.param(
            {"pk": {"N": "1"}}, f"{INVALID}Type mismatch for key pk expected: S actual: N",
            id="number",
        ),
        pytest.param(
            {"pk": {"L": []}}, f"{INVALID}Type mismatch for key pk expected: S actual: L",
            id="list",
        ),
        pytest.param(
            {"pk": {"NULL": True}}, f"{INVALID}Type mismatch for key pk expected: S actual: NULL",
            id="null",
        ),
        pytest.param({"pk": {"S": ""}}, f"{EMPTY_KEY} string value. Key: pk", id="empty"),
    ],
)  # fmt: skip
def test_put_refuses_a_wrong_key(
    client: Any, things: str, refused: Any, item: dict[str, Any], message: str
) -> None:
    with refused("ValidationException", message):
        client.put_item(TableName=things, Item=item)


@pytest.mark.parametrize("operation", ["get_item", "delete_item", "update_item"])
@pytest.mark.parametrize(
    ("key", "message"),
    [
        pytest.param({}, MISMATCH, id="empty key"),
        pytest.param({"sk": {"S": "x"}}, MISMATCH, id="another name"),
        pytest.param({"pk": {"S": "a"}, "sk": {"S": "x"}}, MISMATCH, id="one too many"),
        pytest.param({"pk": {"N": "1"}}, MISMATCH, id="number"),
        pytest.param({"pk": {"M": {}}}, MISMATCH, id="map"),
        pytest.param({"pk": {"S": ""}}, f"{EMPTY_KEY} string value. Key: pk", id="empty text"),
    ],
)
def test_a_key_must_be_exactly_the_tables(
    client: Any, things: str, refused: Any, operation: str, key: dict[str, Any], message: str
) -> None:
    with refused("ValidationException", message):
        getattr(client, operation)(TableName=things, Key=key)


def test_an_empty_binary_key_is_refused(
    client: Any, make_table: Callable[..., str], refused: Any
) -> None:
    make_table("blobs", "pk:B")

    with refused("ValidationException", f"{EMPTY_KEY} binary value. Key: pk"):
        client.put_item(TableName="blobs", Item={"pk": {"B": b""}})


@pytest.mark.parametrize("operation", ["get_item", "delete_item", "update_item", "put_item"])
def test_a_missing_table(client: Any, refused: Any, operation: str) -> None:
    request = {"Item": A} if operation == "put_item" else {"Key": A}

    with refused("ResourceNotFoundException", NOT_FOUND):
        getattr(client, operation)(TableName="nothing", **request)


# ---- index keys --------------------------------------------------------------------------


EMPTY_INDEX_KEY = (
    f"{NOT_VALID}A value specified for a secondary index key is not supported. The AttributeValue"
    " for a key attribute cannot contain an empty {} value. IndexName: {}, IndexKey: {}"
)
EMPTY_BY_UPDATE = (
    f"{NOT_VALID}The update expression attempted to update a secondary index key to a value that"
    " is not supported. The AttributeValue for a key attribute cannot contain an empty {} value."
)


@pytest.fixture
def indexed(make_table: Callable[..., str]) -> str:
    return make_table(
        "things",
        "pk sk",
        gsi={"gsi1": ("i", "ALL"), "gsib": ("b:B", "ALL")},
        lsi={"lsi1": ("pk i", "ALL")},
    )


@pytest.mark.parametrize(
    ("attributes", "message"),
    [
        pytest.param(
            {"i": {"N": "1"}},
            f"{INVALID}Type mismatch for Index Key i Expected: S Actual: N IndexName: gsi1",
            id="number",
        ),
        pytest.param(
            {"i": {"L": []}},
            f"{INVALID}Type mismatch for Index Key i Expected: S Actual: L IndexName: gsi1",
            id="list",
        ),
        pytest.param(
            {"i": {"S": ""}}, EMPTY_INDEX_KEY.format("string", "gsi1", "i"), id="empty text"
        ),
        pytest.param(
            {"b": {"B": b""}}, EMPTY_INDEX_KEY.format("binary", "gsib", "b"), id="empty binary"
        ),
    ],
)
def test_put_refuses_a_wrong_index_key(
    client: Any, indexed: str, refused: Any, attributes: dict[str, Any], message: str
) -> None:
    with refused("ValidationException", message):
        client.put_item(TableName=indexed, Item={**A, "sk": {"S": "x"}, **attributes})


@pytest.mark.parametrize(
    ("expression", "value", "message"),
    [
        pytest.param(
            "SET i = :v", {"N": "1"},
            f"{INVALID}Type mismatch for Index Key i Expected: S Actual: N IndexName: gsi1",
            id="number",
        ),
        pytest.param("SET i = :v", {"S": ""}, EMPTY_BY_UPDATE.format("string"), id="empty text"),
        pytest.param("SET b = :v", {"B": b""}, EMPTY_BY_UPDATE.format("binary"), id="empty binary"),
        pytest.param(
            "SET i.x = :v", {"S": "x"},
            "Key attributes must be scalars; list random access '[]' and map lookup '.' are not"
            " allowed: IndexKey: i",
            id="path into an index key",
        ),
    ],
)  # fmt: skip
def test_update_refuses_a_wrong_index_key(
    client: Any, indexed: str, refused: Any, expression: str, value: Any, message: str
) -> None:
    with refused("ValidationException", message):
        client.update_item(
            TableName=indexed,
            Key={**A, "sk": {"S": "x"}},
            UpdateExpression=expression,
            ExpressionAttributeValues={":v": value},
        )


# ---- refusals that need no table ---------------------------------------------------------

NOT_A_NUMBER = "The parameter cannot be converted to a numeric value: "
TOO_DEEP = (
    "Nesting Levels have exceeded supported limits: Attributes in the item have nested levels"
    " beyond supported limit"
)
OVERFLOW = (
    "Number overflow. Attempting to store a number with magnitude larger than supported range"
)
UNDERFLOW = (
    "Number underflow. Attempting to store a number with magnitude smaller than supported range"
)

BAD_VALUES = [
    pytest.param({"N": "abc"}, f"{NOT_A_NUMBER}abc", id="no number"),
    pytest.param({"N": ""}, NOT_A_NUMBER, id="empty number"),
    pytest.param({"N": " 1"}, f"{NOT_A_NUMBER} 1", id="number after a space"),
    pytest.param({"N": "NaN"}, f"{NOT_A_NUMBER}NaN", id="NaN"),
    pytest.param({"N": "1E126"}, OVERFLOW, id="too large"),
    pytest.param({"N": "-1E126"}, OVERFLOW, id="too large below zero"),
    pytest.param({"N": "1E-131"}, UNDERFLOW, id="too small"),
    pytest.param(
        {"N": "1" * 39}, "Attempting to store more than 38 significant digits in a Number",
        id="39 digits",
    ),
    pytest.param({"SS": []}, f"{INVALID}An string set  may not be empty", id="empty text set"),
    pytest.param({"NS": []}, f"{INVALID}An number set  may not be empty", id="empty number set"),
    pytest.param({"BS": []}, f"{INVALID}Binary sets should not be empty", id="empty binary set"),
    pytest.param(
        {"SS": ["b", "a", "b"]},
        f'{INVALID}Input collection ["a", "b", "b"] contains duplicates.', id="text twice",
    ),
    pytest.param(
        {"NS": ["2", "1", "2.0"]}, f"{INVALID}Input collection contains duplicates.",
        id="number twice",
    ),
    pytest.param(
        {"BS": [b"\xff", b"\x00", b"\x00"]},
        f'{INVALID}Input collection ["AA==","/w==","AA=="]of type BS contains duplicates.',
        id="binary twice",
    ),
    pytest.param(
        {"NULL": False}, f"{INVALID}Null attribute value types must have the value of true",
        id="null that is false",
    ),
    pytest.param({"L": [{"N": "x"}]}, f"{NOT_A_NUMBER}x", id="inside a list"),
    pytest.param(deep(32), TOO_DEEP, id="33 levels"),
]  # fmt: skip


@pytest.mark.parametrize(("value", "message"), BAD_VALUES)
def test_single_writes_refuse_bad_values_in_an_envelope(
    client: Any, refused: Any, value: Any, message: str
) -> None:
    """The table need not exist: values are looked at first."""
    with refused("ValidationException", ONE + message):
        client.put_item(TableName="nothing", Item={**A, "v": value})
    with refused("ValidationException", ONE + message):
        client.update_item(
            TableName="nothing",
            Key=A,
            UpdateExpression="SET v = :v",
            ExpressionAttributeValues={":v": value},
        )


def test_reads_refuse_bad_keys_without_the_envelope(client: Any, refused: Any) -> None:
    with refused("ValidationException", f"{NOT_A_NUMBER}abc"):
        client.get_item(TableName="nothing", Key={"pk": {"N": "abc"}})
    with refused("ValidationException", f"{ONE}{NOT_A_NUMBER}abc"):
        client.delete_item(TableName="nothing", Key={"pk": {"N": "abc"}})


@pytest.mark.parametrize(
    ("value", "message"),
    [
        pytest.param(
            {}, "Supplied AttributeValue is empty, must contain exactly one of the supported"
            " datatypes", id="no type",
        ),
        pytest.param(
            {"S": "a", "BOOL": True},
            "Supplied AttributeValue has more than one datatypes set, must contain exactly one of"
            " the supported datatypes", id="two types",
        ),
        pytest.param({"S": "a", "N": "b"}, f"{ONE}{NOT_A_NUMBER}b", id="bad number first"),
    ],
)  # fmt: skip
def test_values_have_exactly_one_type(client: Any, refused: Any, value: Any, message: str) -> None:
    with refused("ValidationException", message):
        client.put_item(TableName="nothing", Item={**A, "v": value})


SHAPES = [
    pytest.param(
        "put_item", {},
        "2 validation errors detected: Value null at 'tableName' failed to satisfy constraint:"
        " Member must not be null; Value null at 'item' failed to satisfy constraint: Member must"
        " not be null", id="put nothing",
    ),
    pytest.param(
        "get_item", {},
        "2 validation errors detected: Value null at 'tableName' failed to satisfy constraint:"
        " Member must not be null; Value null at 'key' failed to satisfy constraint: Member must"
        " not be null", id="get nothing",
    ),
    pytest.param(
        "put_item", {"Item": A},
        f"{ONE}Value null at 'tableName' failed to satisfy constraint: Member must not be null",
        id="no table name",
    ),
    pytest.param(
        "put_item", {"TableName": "", "Item": {}, "ReturnValues": "INVALID"},
        f"{ONE}Value at 'TableName' failed to satisfy constraint: Member must have length greater"
        " than or equal to 1", id="an empty table name hides the rest",
    ),
    pytest.param(
        "put_item", {"TableName": "bad table!@#", "Item": A},
        f"{ONE}Value 'bad table!@#' at 'tableName' failed to satisfy constraint: Member must"
        " satisfy regular expression pattern: [a-zA-Z0-9_.-]+", id="bad table name",
    ),
    pytest.param(
        "put_item", {"TableName": "x" * 256, "Item": A},
        f"{ONE}Value '{'x' * 256}' at 'tableName' failed to satisfy constraint: Member must have"
        " length less than or equal to 255", id="long table name",
    ),
    pytest.param(
        "update_item", {"TableName": ""},
        "2 validation errors detected: Value '' at 'tableName' failed to satisfy constraint:"
        " Member must have length greater than or equal to 1; Value null at 'key' failed to"
        " satisfy constraint: Member must not be null", id="empty table name and no key",
    ),
    pytest.param(
        "update_item",
        {"TableName": "", "ReturnValues": "INVALID", "ReturnConsumedCapacity": "INVALID"},
        "4 validation errors detected: Value 'INVALID' at 'returnConsumedCapacity' failed to"
        " satisfy constraint: Member must satisfy enum value set: [INDEXES, TOTAL, NONE]; Value ''"
        " at 'tableName' failed to satisfy constraint: Member must have length greater than or"
        " equal to 1; Value 'INVALID' at 'returnValues' failed to satisfy constraint: Member must"
        " satisfy enum value set: [ALL_NEW, UPDATED_OLD, ALL_OLD, NONE, UPDATED_NEW]; Value null"
        " at 'key' failed to satisfy constraint: Member must not be null",
        id="four complaints without a key",
    ),
    pytest.param(
        "put_item",
        {
            "TableName": "nothing", "Item": A, "ReturnValues": "INVALID",
            "ReturnConsumedCapacity": "INVALID", "ReturnItemCollectionMetrics": "INVALID",
        },
        "3 validation errors detected: Value 'INVALID' at 'returnConsumedCapacity' failed to"
        " satisfy constraint: Member must satisfy enum value set: [INDEXES, TOTAL, NONE]; Failed"
        " to satisfy constraint: Member must satisfy enum value set: [ALL_OLD, UPDATED_OLD,"
        " ALL_NEW, UPDATE_NEW, NONE]; Value 'INVALID' at 'returnItemCollectionMetrics' failed to"
        " satisfy constraint: Member must satisfy enum value set: [SIZE, NONE]",
        id="three bad choices",
    ),
    pytest.param(
        "update_item",
        {
            "TableName": "nothing", "Key": A, "ReturnValues": "INVALID",
            "ReturnConsumedCapacity": "INVALID",
        },
        f"{ONE}Failed to satisfy constraint: Member must satisfy enum value set: [ALL_OLD,"
        " UPDATED_OLD, ALL_NEW, UPDATE_NEW, NONE]",
        id="update stops at its ReturnValues",
    ),
    pytest.param(
        "delete_item", {"TableName": "nothing", "Key": A, "ReturnValues": "ALL_NEW"},
        f"{ONE}ReturnValues can only be ALL_OLD or NONE", id="delete has nothing new",
    ),
    pytest.param(
        "put_item",
        {"TableName": "nothing", "Item": A, "ExpressionAttributeValues": {":v": {"S": "x"}}},
        f"{ONE}ExpressionAttributeValues can only be specified when using expressions",
        id="values without an expression",
    ),
    pytest.param(
        "put_item",
        {
            "TableName": "nothing", "Item": A, "ConditionExpression": "attribute_exists(pk)",
            "Expected": {"pk": {"Exists": False}},
        },
        f"{ONE}Can not use both expression and non-expression parameters in the same request:"
        " Non-expression parameters: {Expected} Expression parameters: {ConditionExpression}",
        id="old and new conditions",
    ),
    pytest.param(
        "update_item",
        {
            "TableName": "nothing", "Key": A, "UpdateExpression": "REMOVE v",
            "AttributeUpdates": {"v": {"Action": "DELETE"}},
        },
        f"{ONE}Can not use both expression and non-expression parameters in the same request:"
        " Non-expression parameters: {AttributeUpdates} Expression parameters: {UpdateExpression}",
        id="old and new updates",
    ),
    pytest.param(
        "update_item",
        {"TableName": "nothing", "Key": A, "UpdateExpression": "INVALID SYNTAX HERE"},
        f'{ONE}Invalid UpdateExpression: Syntax error; token: "INVALID", near: "INVALID SYNTAX"',
        id="bad update",
    ),
    pytest.param(
        "update_item",
        {
            "TableName": "nothing", "Key": A, "UpdateExpression": "REMOVE v",
            "ExpressionAttributeNames": {"#unused": "x"},
        },
        f"{ONE}Value provided in ExpressionAttributeNames unused in expressions: keys: {{#unused}}",
        id="unused name",
    ),
    pytest.param(
        "get_item",
        {"TableName": "nothing", "Key": A, "ProjectionExpression": "!!! INVALID !!!"},
        'Invalid ProjectionExpression: Syntax error; token: "!", near: "!!"',
        id="bad projection",
    ),
    pytest.param(
        "get_item",
        {"TableName": "nothing", "Key": A, "ExpressionAttributeNames": {"#v": "v"}},
        "ExpressionAttributeNames can only be specified when using expressions",
        id="names without an expression",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("operation", "request_", "message"), SHAPES)
def test_the_form_of_a_request_is_checked_before_its_table(
    client: Any, refused: Any, operation: str, request_: dict[str, Any], message: str
) -> None:
    with refused("ValidationException", message):
        getattr(client, operation)(**request_)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        pytest.param({"TableName": 23}, "NUMBER_VALUE cannot be converted to String", id="number"),
        pytest.param({"TableName": True}, "TRUE_VALUE cannot be converted to String", id="true"),
        pytest.param(
            {"TableName": 34.5}, "DECIMAL_VALUE cannot be converted to String", id="decimal"
        ),
        pytest.param(
            {"TableName": []}, "Unrecognized collection type class java.lang.String", id="list"
        ),
        pytest.param(
            {"TableName": {}}, "Start of structure or map found where not expected", id="map"
        ),
        pytest.param(
            {"ConsistentRead": "23"}, "Unexpected token received from parser", id="not boolean"
        ),
        pytest.param({"Key": "x"}, "Unexpected field type", id="no map"),
        pytest.param(
            {"Key": []},
            "Unrecognized collection type java.util.Map<java.lang.String,"
            " com.amazonaws.dynamodb.v20120810.AttributeValue>",
            id="list for a map",
        ),
        pytest.param(
            {"Key": {"pk": "x"}}, "Unexpected value type in payload", id="no attribute value"
        ),
        pytest.param(
            {"Key": {"pk": {"S": 1}}}, "NUMBER_VALUE cannot be converted to String", id="S"
        ),
        pytest.param(
            {"Key": {"pk": {"B": "23456"}}},
            "Base64 encoded length is expected a multiple of 4 bytes but found: 5",
            id="base64 of five characters",
        ),
    ],
)
def test_wrong_json_types_are_serialization_errors(changes: dict[str, Any], message: str) -> None:
    from perfkit.embedded import Engine
    from perfkit.embedded.transport import answer

    request = {"TableName": "nothing", "Key": A, **changes}

    status, body = answer(
        Engine(":memory:"), "DynamoDB_20120810.GetItem", json.dumps(request).encode()
    )

    assert status == 400
    assert json.loads(body) == {
        "__type": "com.amazon.coral.service#SerializationException",
        "Message": message,
    }
