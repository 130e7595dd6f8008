"""Attribute values are checked as AWS checks them and come out in one canonical form."""

from base64 import b64encode
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perfkit.capacity import AttributeValue
from perfkit.embedded.errors import DynamoDBError
from perfkit.embedded.values import (
    InvalidValueError,
    check_levels,
    compare,
    key_bytes,
    normalize_item,
    normalize_value,
)

INVALID = "One or more parameter values were invalid: "
EMPTY = "Supplied AttributeValue is empty, must contain exactly one of the supported datatypes"
SEVERAL = (
    "Supplied AttributeValue has more than one datatypes set, "
    "must contain exactly one of the supported datatypes"
)
JAVA_VALUE = "com.amazonaws.dynamodb.v20120810.AttributeValue"
TOO_DEEP = (
    "Nesting Levels have exceeded supported limits: "
    "Attributes in the item have nested levels beyond supported limit"
)


def base64(content: bytes) -> str:
    return b64encode(content).decode()


def nested(wraps: int) -> Any:
    """Text inside so many maps."""
    value: Any = {"S": "leaf"}
    for _ in range(wraps):
        value = {"M": {"n": value}}
    return value


def test_an_item_keeps_its_values_and_gets_canonical_numbers_and_sets() -> None:
    item = {
        "text": {"S": "Zürich"},
        "empty": {"S": ""},
        "number": {"N": "1.50E1"},
        "binary": {"B": "AQID"},
        "flag": {"BOOL": False},
        "nothing": {"NULL": True},
        "list": {"L": [{"N": "007"}, {"M": {"k": {"N": "-0"}}}]},
        "strings": {"SS": ["b", "", "ä", "a"]},
        "numbers": {"NS": ["10", "9.0", "-1"]},
        "binaries": {"BS": ["/w==", "AA==", ""]},
    }

    assert normalize_item(item) == {
        "text": {"S": "Zürich"},
        "empty": {"S": ""},
        "number": {"N": "15"},
        "binary": {"B": "AQID"},
        "flag": {"BOOL": False},
        "nothing": {"NULL": True},
        "list": {"L": [{"N": "7"}, {"M": {"k": {"N": "0"}}}]},
        "strings": {"SS": ["", "a", "b", "ä"]},
        "numbers": {"NS": ["-1", "9", "10"]},
        "binaries": {"BS": ["", "AA==", "/w=="]},
    }


def test_the_given_item_stays_as_it_is() -> None:
    item = {"n": {"N": "01"}, "l": {"L": [{"NS": ["2", "1"]}]}}

    normalize_item(item)

    assert item == {"n": {"N": "01"}, "l": {"L": [{"NS": ["2", "1"]}]}}


def test_bytes_as_boto3_has_them_become_base64() -> None:
    item = {"b": {"B": b"\x01\x02"}, "s": {"BS": [b"\xff", bytearray(b"\x00")]}}

    assert normalize_item(item) == {"b": {"B": "AQI="}, "s": {"BS": ["AA==", "/w=="]}}


def test_unknown_and_null_members_are_ignored() -> None:
    assert normalize_value({"S": "a", "X": 1, "N": None}) == {"S": "a"}


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({}, EMPTY),
        (None, EMPTY),
        ({"X": "a"}, EMPTY),
        ({"S": None}, EMPTY),
        ({"L": [{}]}, EMPTY),
        ({"M": {"k": {}}}, EMPTY),
        ({"S": "a", "N": "1"}, SEVERAL),
        ({"M": {"k": {"S": "a", "BOOL": True}}}, SEVERAL),
        ({"S": "a", "N": "b"}, "The parameter cannot be converted to a numeric value: b"),
        ({"NULL": False}, f"{INVALID}Null attribute value types must have the value of true"),
        ({"SS": []}, f"{INVALID}An string set  may not be empty"),
        ({"NS": []}, f"{INVALID}An number set  may not be empty"),
        ({"BS": []}, f"{INVALID}Binary sets should not be empty"),
        ({"M": {"k": {"SS": []}}}, f"{INVALID}An string set  may not be empty"),
        ({"NS": ["1", ""]}, "The parameter cannot be converted to a numeric value: "),
        ({"SS": ["a", "a"]}, f'{INVALID}Input collection ["a", "a"] contains duplicates.'),
        (
            {"SS": ["b", "a", "b", "c", "c"]},
            f'{INVALID}Input collection ["a", "b", "b", "c", "c"] contains duplicates.',
        ),
        (
            {"BS": ["/w==", "AA==", "AA=="]},
            f'{INVALID}Input collection ["AA==","/w==","AA=="]of type BS contains duplicates.',
        ),
        ({"NS": ["1", "2", "1.0"]}, f"{INVALID}Input collection contains duplicates."),
        (nested(32), TOO_DEEP),
        (nested(3000), TOO_DEEP),
        ({"M": {"": {"S": "a"}}}, "Empty attribute name"),
    ],
)
def test_bad_values_are_refused_in_the_words_of_aws(value: Any, message: str) -> None:
    with pytest.raises(InvalidValueError) as refusal:
        normalize_item({"a": value})

    assert refusal.value.code == "ValidationException"
    assert refusal.value.message == message


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"SS": ["b", "a", "b"]}, f"{INVALID}Input collection [b, a, b] contains duplicates."),
        (
            {"BS": ["/w==", "AA==", "AA=="]},
            f"{INVALID}Input collection [/w==, AA==, AA==]of type BS contains duplicates.",
        ),
        ({"NS": ["2", "1", "2"]}, "Input collection contains duplicates"),
        ({}, EMPTY),
    ],
)
def test_the_older_validation_words_duplicates_differently(value: Any, message: str) -> None:
    with pytest.raises(InvalidValueError) as refusal:
        normalize_value(value)

    assert refusal.value.older_message == message


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"S": True}, "TRUE_VALUE cannot be converted to String"),
        ({"S": 23}, "NUMBER_VALUE cannot be converted to String"),
        ({"N": 34.56}, "DECIMAL_VALUE cannot be converted to String"),
        ({"S": []}, "Unrecognized collection type class java.lang.String"),
        ({"S": {}}, "Start of structure or map found where not expected"),
        ({"SS": [1]}, "NUMBER_VALUE cannot be converted to String"),
        ({"SS": [None]}, "NULL_VALUE cannot be converted to String"),
        ({"SS": "a"}, "Unexpected field type"),
        ({"NS": {}}, "Start of structure or map found where not expected"),
        ({"BOOL": "23"}, "Unexpected token received from parser"),
        ({"BOOL": 23}, "NUMBER_VALUE cannot be converted to Boolean"),
        ({"NULL": []}, "Unrecognized collection type class java.lang.Boolean"),
        ({"B": 23}, "only base-64-encoded strings are convertible to bytes"),
        ({"B": []}, "Unrecognized collection type class java.nio.ByteBuffer"),
        (
            {"B": "23456"},
            "Base64 encoded length is expected a multiple of 4 bytes but found: 5",
        ),
        ({"B": "=+/="}, "Invalid last non-pad Base64 character dectected"),
        ({"B": "AB=="}, "Invalid last non-pad Base64 character dectected"),
        ({"B": "AA*="}, "Invalid Base64 character: '*'"),
        ({"BS": ["AA==", "\u00e9AA="]}, "Invalid Base64 character: '\u00e9'"),
        ({"L": "a"}, "Unexpected field type"),
        ({"M": "a"}, "Unexpected field type"),
        (
            {"M": []},
            f"Unrecognized collection type java.util.Map<java.lang.String, {JAVA_VALUE}>",
        ),
        ("a", "Unexpected value type in payload"),
        ({"L": ["a"]}, "Unexpected value type in payload"),
        ([], f"Unrecognized collection type class {JAVA_VALUE}"),
    ],
)
def test_json_of_the_wrong_type_is_a_serialization_error(value: Any, message: str) -> None:
    with pytest.raises(DynamoDBError) as refusal:
        normalize_item({"a": value})

    assert (refusal.value.code, refusal.value.message) == ("SerializationException", message)


def test_an_empty_attribute_name_is_reported_before_a_value_too_deep() -> None:
    with pytest.raises(DynamoDBError, match="Empty attribute name"):
        normalize_item({"d": nested(40), "": {"S": "x"}})


def test_thirty_two_levels_are_stored_and_one_more_is_not() -> None:
    deepest = normalize_value(nested(31))

    check_levels(deepest)
    with pytest.raises(InvalidValueError, match="Nesting Levels"):
        check_levels({"L": [deepest]})


scalars = st.one_of(
    st.text(max_size=4).map(lambda text: {"S": text}),
    st.integers(-99, 99).map(lambda number: {"N": str(number)}),
    st.binary(max_size=3).map(lambda content: {"B": base64(content)}),
    st.booleans().map(lambda flag: {"BOOL": flag}),
    st.just({"NULL": True}),
    st.sets(st.text(max_size=2), min_size=1).map(lambda texts: {"SS": list(texts)}),
    st.sets(st.integers(-99, 99), min_size=1).map(lambda ns: {"NS": [str(n) for n in ns]}),
    st.sets(st.binary(max_size=2), min_size=1).map(lambda bs: {"BS": [base64(b) for b in bs]}),
)
values = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(lambda elements: {"L": elements}),
        st.dictionaries(st.text(min_size=1, max_size=2), inner, max_size=3).map(
            lambda members: {"M": members}
        ),
    ),
    max_leaves=6,
)


@given(values)
def test_normalizing_twice_changes_nothing_more(value: AttributeValue) -> None:
    once = normalize_value(value)

    assert normalize_value(once) == once


@given(st.permutations(["b", "a", "c"]), st.permutations(["1", "2.0", "10"]))
def test_sets_are_equal_in_any_order(texts: list[str], numbers: list[str]) -> None:
    value = {"L": [{"SS": texts}, {"NS": numbers}]}
    same = {"L": [{"SS": ["a", "b", "c"]}, {"NS": ["1.0", "2", "1e1"]}]}

    assert normalize_value(value) == normalize_value(same)


@given(st.text(max_size=5), st.text(max_size=5))
def test_text_sorts_by_its_utf8_bytes(first: str, second: str) -> None:
    one, two = {"S": first}, {"S": second}

    assert (compare(one, two) < 0) == (first.encode() < second.encode())
    assert (key_bytes(one) < key_bytes(two)) == (compare(one, two) < 0)


@given(st.binary(max_size=5), st.binary(max_size=5))
def test_binary_sorts_by_unsigned_bytes(first: bytes, second: bytes) -> None:
    one, two = {"B": base64(first)}, {"B": base64(second)}

    assert (compare(one, two) < 0) == (first < second)
    assert key_bytes(one) == first


@given(st.decimals(-1000, 1000, places=3), st.decimals(-1000, 1000, places=3))
def test_numbers_sort_by_value(first: Decimal, second: Decimal) -> None:
    one, two = (normalize_value({"N": str(number)}) for number in (first, second))

    assert compare(one, two) == (first > second) - (first < second)
    assert (key_bytes(one) < key_bytes(two)) == (first < second)


def test_only_scalars_are_keys() -> None:
    with pytest.raises(ValueError, match="no key has type 'SS'; keys are S, N or B"):
        key_bytes({"SS": ["a"]})
