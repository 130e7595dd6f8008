"""Items compared: equal in every order, and named where they differ."""

import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perfkit.dynamodb.items import canonical, describe_difference, to_client

SCALARS = st.one_of(
    st.builds(lambda text: {"S": text}, st.text()),
    st.builds(lambda number: {"N": str(number)}, st.integers()),
    st.builds(lambda flag: {"BOOL": flag}, st.booleans()),
    st.builds(lambda content: {"B": content}, st.binary()),
    st.just({"NULL": True}),
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.builds(lambda members: {"L": members}, st.lists(inner, max_size=3)),
        st.builds(lambda members: {"M": members}, st.dictionaries(st.text(), inner, max_size=3)),
    ),
)
ITEMS = st.dictionaries(st.text(min_size=1), VALUES, max_size=5)


@given(ITEMS, ITEMS)
def test_two_items_share_a_canonical_form_exactly_if_they_are_equal(
    one: dict[str, Any], other: dict[str, Any]
) -> None:
    assert canonical(one) == canonical(dict(reversed(one.items())))
    # bytes and their base64 text have different types in a real item
    assert (canonical(one) == canonical(other)) == (one == other)


def test_sets_have_no_order() -> None:
    assert canonical({"a": {"SS": ["x", "y"]}}) == canonical({"a": {"SS": ["y", "x"]}})
    assert canonical({"a": {"BS": [b"x", b"y"]}}) == canonical({"a": {"BS": [b"y", b"x"]}})
    assert canonical({"a": {"L": [{"S": "x"}, {"S": "y"}]}}) != canonical(
        {"a": {"L": [{"S": "y"}, {"S": "x"}]}}
    )


def test_only_the_named_attributes_count() -> None:
    one = {"id": {"S": "1"}, "seen": {"N": "7"}}
    other = {"id": {"S": "1"}, "seen": {"N": "8"}}

    assert canonical(one, ["id", "absent"]) == canonical(other, ["id", "absent"])
    assert canonical(one) != canonical(other)


def test_binary_becomes_bytes_for_boto3_at_any_depth() -> None:
    wire = {"M": {"a": {"B": "AAE="}, "b": {"L": [{"BS": ["AQ=="]}]}, "c": {"N": "1"}}}

    assert to_client(wire) == {
        "M": {"a": {"B": b"\x00\x01"}, "b": {"L": [{"BS": [b"\x01"]}]}, "c": {"N": "1"}}
    }


def make_items(*numbers: int, **more: Any) -> list[dict[str, Any]]:
    return [{"id": {"S": f"C{number}"}, "n": {"N": str(number)}, **more} for number in numbers]


@given(st.lists(st.integers(0, 5)), st.randoms(use_true_random=False))
def test_order_makes_no_difference_and_number_does(
    numbers: list[int], chance: random.Random
) -> None:
    shuffled = chance.sample(numbers, len(numbers))

    same = {"scan": make_items(*numbers), "query": make_items(*shuffled)}
    twice = {"scan": make_items(*numbers), "query": make_items(*shuffled, 9)}

    assert describe_difference(same, (), ["id"]) is None
    assert describe_difference(twice, (), ["id"]) is not None


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        pytest.param(
            make_items(1, 2), "scan and query returned different items: query lacks id=C3", id="one"
        ),
        pytest.param(make_items(1, 2, 3, 4), "scan lacks id=C4", id="extra"),
        pytest.param(make_items(1, 2, 4), "query lacks id=C3; scan lacks id=C4", id="both"),
        pytest.param(make_items(), "query lacks id=C1, id=C2, id=C3", id="all"),
        pytest.param(make_items(1, 2, 3, 3), "scan lacks id=C3", id="doubled"),
        pytest.param(
            make_items(1, 2) + make_items(3, extra={"S": "x"}),
            "both return id=C3 with different attributes",
            id="attributes",
        ),
    ],
)
def test_a_difference_names_the_items_and_who_lacks_them(
    query: list[dict[str, Any]], expected: str
) -> None:
    difference = describe_difference({"scan": make_items(1, 2, 3), "query": query}, (), ["id"])

    assert difference is not None
    assert expected in difference


def test_many_missing_items_are_counted_not_listed() -> None:
    difference = describe_difference({"scan": make_items(*range(5000)), "query": []}, (), ["id"])

    assert difference is not None
    assert difference.endswith("query lacks id=C0, id=C1, id=C2 and 4,997 more")


def test_the_variant_that_differs_is_the_one_named() -> None:
    answers = {"scan": make_items(1), "scan-filtered": make_items(1), "query": make_items(2)}

    assert "scan and query" in str(describe_difference(answers, (), ["id"]))
