"""Updates turn an old item into a new one, as DynamoDB does."""

from base64 import b64encode
from copy import deepcopy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perfkit.capacity import MAX_ITEM_BYTES, Item
from perfkit.embedded.errors import DynamoDBError
from perfkit.embedded.expressions import Placeholders, Update, parse_update
from perfkit.embedded.values import normalize_item

Values = dict[str, dict[str, Any]]

ITEM: dict[str, Any] = {
    "pk": {"S": "key"},
    "text": {"S": "hello"},
    "n": {"N": "5"},
    "l": {"L": [{"S": "0"}, {"S": "1"}, {"S": "2"}, {"S": "3"}]},
    "m": {"M": {"x": {"N": "1"}, "y": {"L": [{"M": {"k": {"S": "v"}}}]}}},
    "ss": {"SS": ["a", "b"]},
    "ns": {"NS": ["1", "10"]},
    "bs": {"BS": ["AA==", "/w=="]},
}

VALUES: Values = {
    ":v": {"S": "new"},
    ":w": {"S": "other"},
    ":n": {"N": "2"},
    ":minus": {"N": "-7.5"},
    ":l": {"L": [{"S": "x"}]},
    ":empty": {"L": []},
    ":ss": {"SS": ["b", "c"]},
    ":all": {"SS": ["a", "b"]},
    ":ns": {"NS": ["2", "1.0"]},
    ":bs": {"BS": ["AQ==", "AA=="]},
    ":m": {"M": {}},
    ":true": {"BOOL": True},
    ":null": {"NULL": True},
    ":b": {"B": "AA=="},
}
NAMES = {"#t": "text", "#dot": "a.b"}


def update(text: str, values: Values = VALUES) -> Update:
    return parse_update(text, Placeholders(NAMES, values))


def texts(*contents: str) -> dict[str, Any]:
    return {"L": [{"S": content} for content in contents]}


@pytest.mark.parametrize(
    ("text", "changed"),
    [
        ("SET a = :v", {"a": {"S": "new"}}),
        ("sEt a=:v,b  =  (:w)", {"a": {"S": "new"}, "b": {"S": "other"}}),
        ("SET #dot = :v", {"a.b": {"S": "new"}}),
        ("SET #t = :v, a = #t", {"text": {"S": "new"}, "a": {"S": "hello"}}),
        ("SET a = m.y[0].k", {"a": {"S": "v"}}),
        ("SET n = n + :n", {"n": {"N": "7"}}),
        ("SET n = :n - n", {"n": {"N": "-3"}}),
        ("SET n = (n + :minus)", {"n": {"N": "-2.5"}}),
        ("SET n = ((n) - (m.x))", {"n": {"N": "4"}}),
        ("SET a = n", {"a": {"N": "5"}}),
        ("SET a = if_not_exists(a, :n) + n", {"a": {"N": "7"}}),
        ("SET n = if_not_exists(n, :n)", {}),
        ("SET a = if_not_exists(gone, if_not_exists(n, :n))", {"a": {"N": "5"}}),
        ("SET a = if_not_exists(n, gone)", {"a": {"N": "5"}}),
        ("SET l = list_append(l, :l)", {"l": texts("0", "1", "2", "3", "x")}),
        ("SET l = list_append(:l, l)", {"l": texts("x", "0", "1", "2", "3")}),
        ("SET a = list_append(if_not_exists(a, :empty), :l)", {"a": texts("x")}),
        ("SET m.x = :v", {"m": {"M": {"x": {"S": "new"}, "y": ITEM["m"]["M"]["y"]}}}),
        (
            "SET m.z = :v, m.y[0].k = :w",
            {
                "m": {
                    "M": {
                        "x": {"N": "1"},
                        "y": {"L": [{"M": {"k": {"S": "other"}}}]},
                        "z": {"S": "new"},
                    }
                }
            },
        ),
        ("SET l[1] = :v", {"l": texts("0", "new", "2", "3")}),
        ("SET l[9] = :v", {"l": texts("0", "1", "2", "3", "new")}),
        ("SET l[84] = :v, l[4] = :w", {"l": texts("0", "1", "2", "3", "other", "new")}),
        ("SET l[0] = l[3], l[3] = l[0]", {"l": texts("3", "1", "2", "0")}),
        ("REMOVE l[0], l[2]", {"l": texts("1", "3")}),
        ("REMOVE l[1] SET l[3] = :v", {"l": texts("0", "2", "new")}),
        ("SET l[3] = :v, l[7] = :w REMOVE l[0]", {"l": texts("1", "2", "new", "other")}),
        ("REMOVE l[17], m.gone, gone", {}),
        ("REMOVE l[0], l[1], l[2], l[3]", {"l": {"L": []}}),
        ("REMOVE m.x, m.y", {"m": {"M": {}}}),
        ("ADD n :minus", {"n": {"N": "-2.5"}}),
        ("ADD a :n", {"a": {"N": "2"}}),
        (
            "ADD m.x :n, m.z :n",
            {"m": {"M": {"x": {"N": "3"}, "y": ITEM["m"]["M"]["y"], "z": {"N": "2"}}}},
        ),
        ("ADD ss :ss", {"ss": {"SS": ["a", "b", "c"]}}),
        ("ADD ns :ns", {"ns": {"NS": ["1", "2", "10"]}}),
        ("ADD bs :bs", {"bs": {"BS": ["AA==", "AQ==", "/w=="]}}),
        ("ADD a :ss", {"a": {"SS": ["b", "c"]}}),
        ("ADD l[9] :n", {"l": {"L": [*ITEM["l"]["L"], {"N": "2"}]}}),
        ("DELETE ss :ss", {"ss": {"SS": ["a"]}}),
        ("DELETE ns :ns", {"ns": {"NS": ["10"]}}),
        ("DELETE bs :bs", {"bs": {"BS": ["/w=="]}}),
        ("DELETE gone :ss", {}),
        (
            "REMOVE l[3] DELETE ss :ss SET a = :v ADD b :n",
            {"l": texts("0", "1", "2"), "ss": {"SS": ["a"]}, "a": {"S": "new"}, "b": {"N": "2"}},
        ),
    ],
)
def test_an_update_changes_what_it_says_and_nothing_else(
    text: str, changed: dict[str, Any]
) -> None:
    before = deepcopy(ITEM)

    updated = update(text).apply(ITEM)

    assert before == ITEM
    assert updated == ITEM | changed
    assert normalize_item(updated) == updated


def test_removed_attributes_and_emptied_sets_are_gone() -> None:
    updated = update("REMOVE n, #t DELETE ss :all").apply(ITEM)

    assert updated.keys() == ITEM.keys() - {"n", "text", "ss"}


def test_a_new_item_starts_from_its_key() -> None:
    updated = update("SET a = if_not_exists(a, :n) ADD b :n DELETE c :ss REMOVE d").apply(
        {"pk": {"S": "k"}}
    )

    assert updated == {"pk": {"S": "k"}, "a": {"N": "2"}, "b": {"N": "2"}}


MISSING = "The provided expression refers to an attribute that does not exist in the item"
WRONG_TYPE = "An operand in the update expression has an incorrect data type"
BAD_PATH = "The document path provided in the update expression is invalid for update"
OVERFLOW = (
    "Number overflow. Attempting to store a number with magnitude larger than supported range"
)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("SET a = gone", MISSING),
        ("SET gone = gone", MISSING),
        ("SET x = :v, y = x", MISSING),
        ("SET a = m.gone", MISSING),
        ("SET a = l[9]", MISSING),
        ("SET a = gone + :n", MISSING),
        ("SET l = list_append(gone, :l)", MISSING),
        ("SET a = if_not_exists(gone, absent)", MISSING),
        ("SET n = n + #t", WRONG_TYPE),
        ("SET a = l - :n", WRONG_TYPE),
        ("SET l = list_append(l, n)", WRONG_TYPE),
        ("SET l = list_append(ss, l)", WRONG_TYPE),
        ("ADD #t :n", WRONG_TYPE),
        ("ADD n :ns", WRONG_TYPE),
        ("ADD ss :ns", WRONG_TYPE),
        ("ADD l :ss", WRONG_TYPE),
        ("DELETE ns :ss", WRONG_TYPE),
        ("DELETE n :ss", WRONG_TYPE),
        ("SET #t.x = :v", BAD_PATH),
        ("SET l.x = :v", BAD_PATH),
        ("SET m[0] = :v", BAD_PATH),
        ("SET gone.x = :v", BAD_PATH),
        ("SET gone[0] = :v", BAD_PATH),
        ("SET m.gone.x = :v", BAD_PATH),
        ("SET l[9].x = :v", BAD_PATH),
        ("REMOVE gone.x", BAD_PATH),
        ("REMOVE #t[0]", BAD_PATH),
        ("ADD gone.x :n", BAD_PATH),
        ("DELETE gone.x :ss", BAD_PATH),
    ],
)
def test_updates_that_do_not_fit_the_item_are_refused(text: str, message: str) -> None:
    parsed = update(text)

    with pytest.raises(DynamoDBError) as refused:
        parsed.apply(ITEM)

    assert (refused.value.code, refused.value.message) == ("ValidationException", message)


@pytest.mark.parametrize("text", ["SET n = n + :big", "ADD n :big"])
def test_arithmetic_that_does_not_fit_a_number_is_refused(text: str) -> None:
    parsed = update(text, {":big": {"N": "1e50"}})

    with pytest.raises(DynamoDBError) as refused:
        parsed.apply(ITEM)

    assert refused.value.message == OVERFLOW


def test_a_nested_value_may_not_make_the_item_too_deep() -> None:
    deep: Any = {"S": "leaf"}
    for _ in range(31):
        deep = {"M": {"n": deep}}

    update("SET a = :deep", {":deep": deep}).apply(ITEM)
    with pytest.raises(DynamoDBError, match="Nesting Levels"):
        update("SET m.a = :deep", {":deep": deep}).apply(ITEM)


TYPE = "Incorrect operand type for operator or function; "


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("SET a = :v + :n", f"{TYPE}operator or function: +, operand type: S"),
        ("SET a = n - :l", f"{TYPE}operator or function: -, operand type: L"),
        (
            "SET a = list_append(:l, :v)",
            f"{TYPE}operator or function: list_append, operand type: S",
        ),
        (
            "SET a = list_append(:l)",
            (
                "Incorrect number of operands for operator or function; "
                "operator or function: list_append, number of operands: 1"
            ),
        ),
        (
            "SET a = if_not_exists(a, b, c)",
            (
                "Incorrect number of operands for operator or function; "
                "operator or function: if_not_exists, number of operands: 3"
            ),
        ),
        (
            "SET a = if_not_exists(:v, :w)",
            "Operator or function requires a document path; operator or function: if_not_exists",
        ),
        (
            "SET a = if_not_exists(if_not_exists(a, :v), :w)",
            "Operator or function requires a document path; operator or function: if_not_exists",
        ),
        (
            "SET a = if_not_exists(m.x, m.x)",
            (
                "The first operand must be distinct from the remaining operands for this operator "
                "or function; operator: if_not_exists, first operand: [m, x]"
            ),
        ),
        (
            "ADD a :v",
            f"{TYPE}operator: ADD, operand type: STRING, typeSet: ALLOWED_FOR_ADD_OPERAND",
        ),
        ("ADD a :l", f"{TYPE}operator: ADD, operand type: LIST, typeSet: ALLOWED_FOR_ADD_OPERAND"),
        ("ADD a :m", f"{TYPE}operator: ADD, operand type: MAP, typeSet: ALLOWED_FOR_ADD_OPERAND"),
        (
            "ADD a :b",
            f"{TYPE}operator: ADD, operand type: BINARY, typeSet: ALLOWED_FOR_ADD_OPERAND",
        ),
        (
            "ADD a :null",
            f"{TYPE}operator: ADD, operand type: NULL, typeSet: ALLOWED_FOR_ADD_OPERAND",
        ),
        (
            "DELETE a :n",
            f"{TYPE}operator: DELETE, operand type: NUMBER, typeSet: ALLOWED_FOR_DELETE_OPERAND",
        ),
        (
            "DELETE a :true",
            f"{TYPE}operator: DELETE, operand type: BOOLEAN, typeSet: ALLOWED_FOR_DELETE_OPERAND",
        ),
        (
            "SET a = :v, a = :w",
            (
                "Two document paths overlap with each other; must remove or rewrite one of these "
                "paths; path one: [a], path two: [a]"
            ),
        ),
        (
            "SET m.x.#t = :v REMOVE m.x",
            (
                "Two document paths overlap with each other; must remove or rewrite one of these "
                "paths; path one: [m, x, text], path two: [m, x]"
            ),
        ),
        (
            "SET a.b = :v ADD a[1] :n",
            (
                "Two document paths conflict with each other; must remove or rewrite one of these "
                "paths; path one: [a, b], path two: [a, [1]]"
            ),
        ),
    ],
)
def test_what_no_item_can_make_right_is_refused_beforehand(text: str, problem: str) -> None:
    with pytest.raises(DynamoDBError) as refused:
        update(text)

    assert refused.value.message == f"Invalid UpdateExpression: {problem}"


def test_an_update_knows_what_it_writes_and_where_it_looks_inside() -> None:
    parsed = update("SET a = b.c, m.x = :v REMOVE l[0] ADD n :n")

    assert parsed.attributes == {"a", "m", "l", "n"}
    assert parsed.nested_attributes == {"b", "m", "l"}
    assert not parsed.only_removes


@pytest.mark.parametrize("text", ["REMOVE a", "DELETE a :ss", "REMOVE a.b, c DELETE d :ss"])
def test_an_update_of_removals_only_says_so(text: str) -> None:
    """AWS does not create an item for it."""
    assert update(text).only_removes


@pytest.mark.parametrize(
    ("text", "old", "new"),
    [
        ("SET a = :v", {}, {"a": {"S": "new"}}),
        ("SET n = :v", {"n": {"N": "5"}}, {"n": {"S": "new"}}),
        ("REMOVE n", {"n": {"N": "5"}}, {}),
        ("SET m.x = :v", {"m": {"M": {"x": {"N": "1"}}}}, {"m": {"M": {"x": {"S": "new"}}}}),
        ("SET m.z = :v", {}, {"m": {"M": {"z": {"S": "new"}}}}),
        ("SET l[1] = :v", {"l": texts("1")}, {"l": texts("new")}),
        (
            "SET l[1] = :v, n = :v",
            {"l": texts("1"), "n": {"N": "5"}},
            {"l": texts("new"), "n": {"S": "new"}},
        ),
        ("REMOVE l[1], l[9]", {"l": texts("1")}, {"l": texts("2")}),
        ("SET l[9] = :v", {}, {}),
    ],
)
def test_the_updated_view_has_the_written_parts_only(text: str, old: Item, new: Item) -> None:
    parsed = update(text)

    updated = parsed.apply(ITEM)

    assert parsed.updated_view(ITEM) == old
    assert parsed.updated_view(updated) == new


@pytest.mark.parametrize(
    ("text", "bytes_besides_pad"),
    [
        pytest.param("", 0, id="only the pad"),
        pytest.param("SET c = :y", 19 + 1 + 1, id="value"),
        pytest.param("SET c = abcdefghij", 19 + 1 + 15 + 10, id="path"),
        pytest.param("SET c = m.a.z", 19 + 1 + 1 + 3 * 15, id="nested path"),
        pytest.param("SET c = l[10]", 19 + 1 + 1 + 15 + 16, id="list element"),
        pytest.param("SET d.leaf = :y", 19 + 1 + 4 + 4 + 1, id="nested target"),
        pytest.param("SET d[0] = :y", 19 + 1 + 4 + 1 + 1, id="list target"),
        pytest.param("SET n = n + :one", 19 + 1 + 34 + 16 + 2, id="sum"),
        pytest.param("SET n = n - :one", 19 + 1 + 37 + 16 + 2, id="difference"),
        pytest.param("SET c = if_not_exists(c, :y)", 19 + 1 + 39 + 16 + 1, id="if_not_exists"),
        pytest.param("SET l = list_append(l, :list)", 19 + 1 + 37 + 16 + 14, id="list_append"),
        pytest.param("SET c = :y, e = :y", 2 * (19 + 1 + 1), id="value used twice"),
        pytest.param("REMOVE abcdefghij", 1 + 10, id="removal"),
        pytest.param("REMOVE m.yy", 1 + 1 + 4 + 2, id="nested removal"),
        pytest.param("REMOVE l[10]", 1 + 1 + 4 + 2, id="list removal"),
        pytest.param("ADD abcdefghij :one", 19 + 10 + 2, id="number"),
        pytest.param("ADD ss :set", 19 + 2 + 500, id="set"),
        pytest.param("DELETE ss :set", 1 + 2, id="set removal"),
    ],
)
def test_the_statement_is_sized_as_aws_sizes_it(text: str, bytes_besides_pad: int) -> None:
    """Each figure is a limit found on the real service."""
    values: Values = {
        ":pad": {"S": "p" * 1000},
        ":y": {"S": "y"},
        ":one": {"N": "1"},
        ":list": {"L": [{"S": "y" * 10}]},
        ":set": {"SS": ["s" * 500]},
    }
    whole = f"SET b = :pad, {text[4:]}" if text.startswith("SET") else f"SET b = :pad {text}"

    sized = parse_update(whole, Placeholders(None, values)).statement_bytes

    assert sized == 3 + 19 + 1 + 1000 + bytes_besides_pad
    assert sized < MAX_ITEM_BYTES


@given(
    st.integers(0, 6),
    st.dictionaries(st.integers(0, 9), st.booleans(), min_size=1, max_size=6),
)
def test_list_indexes_mean_the_list_before_the_update(
    length: int, actions: dict[int, bool]
) -> None:
    """Model: replace in place, append what is past the end in order, then drop the removed."""
    sets = sorted(index for index, is_set in actions.items() if is_set)
    removes = sorted(index for index, is_set in actions.items() if not is_set)
    clauses = []
    if sets:
        clauses.append("SET " + ", ".join(f"l[{index}] = :v{index}" for index in sets))
    if removes:
        clauses.append("REMOVE " + ", ".join(f"l[{index}]" for index in removes))
    values = {f":v{index}": {"S": f"new{index}"} for index in sets} or None
    old = [f"old{i}" for i in range(length)]
    expected: list[str | None] = list(old)
    for index in sets:
        if index < length:
            expected[index] = f"new{index}"
        else:
            expected.append(f"new{index}")
    for index in removes:
        if index < length:
            expected[index] = None

    parsed = parse_update(" ".join(clauses), Placeholders(None, values))

    assert parsed.apply({"l": texts(*old)}) == {
        "l": texts(*(content for content in expected if content is not None))
    }


@given(
    st.sets(st.binary(max_size=2), min_size=1),
    st.sets(st.binary(max_size=2), min_size=1),
)
def test_sets_unite_and_differ(old: set[bytes], given_members: set[bytes]) -> None:
    def binaries(contents: set[bytes]) -> dict[str, Any]:
        return {"BS": [b64encode(content).decode() for content in sorted(contents)]}

    values = {":b": binaries(given_members)}
    item = {"b": binaries(old)}

    united = parse_update("ADD b :b", Placeholders(None, values)).apply(item)
    left = parse_update("DELETE b :b", Placeholders(None, values)).apply(item)

    assert united == {"b": binaries(old | given_members)}
    assert left == ({"b": binaries(old - given_members)} if old - given_members else {})
