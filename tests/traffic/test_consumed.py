"""Asking for consumed capacity and taking it out again: nothing else in the bytes may change."""

import json
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from perfkit.traffic.consumed import MOST_BODY_BYTES, cut, with_capacity

ONE = (
    '{"TableName":"Orders","CapacityUnits":3.0,"Table":{"CapacityUnits":1.0},'
    '"GlobalSecondaryIndexes":{"by-day":{"CapacityUnits":1.0},"Table":{"CapacityUnits":1.0}}}'
)
TOTAL = '{"TableName":"Orders","CapacityUnits":3.0}'


@pytest.mark.parametrize(
    ("body", "sent"),
    [
        pytest.param(
            b'{"TableName":"T"}',
            b'{"ReturnConsumedCapacity":"INDEXES","TableName":"T"}',
            id="nothing said",
        ),
        pytest.param(b" { }", b' {"ReturnConsumedCapacity":"INDEXES" }', id="nothing at all"),
        pytest.param(
            b'{"ReturnConsumedCapacity" : "NONE","TableName":"T"}',
            b'{"ReturnConsumedCapacity":"INDEXES","TableName":"T"}',
            id="none",
        ),
        pytest.param(
            b'{"TableName":"T","ReturnConsumedCapacity":"TOTAL"}',
            b'{"TableName":"T","ReturnConsumedCapacity":"INDEXES"}',
            id="total",
        ),
        pytest.param(
            b'{"ReturnConsumedCapacity":"INDEXES"}',
            b'{"ReturnConsumedCapacity":"INDEXES"}',
            id="indexes",
        ),
        pytest.param(
            b'{"ReturnConsumedCapacity":"BOGUS"}', b'{"ReturnConsumedCapacity":"BOGUS"}', id="bogus"
        ),
        pytest.param(b'{"ReturnConsumedCapacity":7}', b'{"ReturnConsumedCapacity":7}', id="number"),
    ],
)
def test_a_request_is_made_to_ask(body: bytes, sent: bytes) -> None:
    assert with_capacity(body, orjson.loads(body)) == sent


def test_a_value_that_looks_like_the_parameter_is_left_alone() -> None:
    body = (
        b'{"Item":{"a":{"M":{"ReturnConsumedCapacity":"TOTAL"}}},"ReturnConsumedCapacity":"TOTAL"}'
    )

    sent = orjson.loads(with_capacity(body, orjson.loads(body)))

    assert sent["Item"] == {"a": {"M": {"ReturnConsumedCapacity": "TOTAL"}}}
    assert sent["ReturnConsumedCapacity"] == "INDEXES"


def test_a_request_as_large_as_dynamodb_takes_is_not_made_larger() -> None:
    body = b'{"TableName":"' + b"T" * (MOST_BODY_BYTES - 16) + b'"}'

    assert with_capacity(body, {"TableName": "…"}) is body


@pytest.mark.parametrize(
    ("answer", "none", "total"),
    [
        pytest.param(
            f'{{"Item":{{}},"ConsumedCapacity":{ONE}}}',
            '{"Item":{}}',
            f'{{"Item":{{}},"ConsumedCapacity":{TOTAL}}}',
            id="last",
        ),
        pytest.param(
            f'{{"ConsumedCapacity":{ONE},"Item":{{}}}}',
            '{"Item":{}}',
            f'{{"ConsumedCapacity":{TOTAL},"Item":{{}}}}',
            id="first",
        ),
        pytest.param(
            f'{{"ConsumedCapacity":{ONE}}}', "{}", f'{{"ConsumedCapacity":{TOTAL}}}', id="only"
        ),
        pytest.param(
            f'{{"Responses":{{}},"ConsumedCapacity":[{ONE},{ONE}]}}',
            '{"Responses":{}}',
            f'{{"Responses":{{}},"ConsumedCapacity":[{TOTAL},{TOTAL}]}}',
            id="several",
        ),
        pytest.param('{"Count":1.50e0}', '{"Count":1.50e0}', '{"Count":1.50e0}', id="none given"),
    ],
)
def test_an_answer_has_what_was_asked_for(answer: str, none: str, total: str) -> None:
    body = answer.encode()

    assert cut(body, "NONE").body.decode() == none
    assert cut(body, "TOTAL").body.decode() == total
    assert cut(body, "INDEXES").body is body


_NAMES = st.sampled_from(
    ["ConsumedCapacity", '"ConsumedCapacity":', 'x"ConsumedCapacity', "Table", "é", "}{"]
)
_VALUES = st.recursive(
    st.builds(lambda text: {"S": text}, _NAMES | st.text(max_size=8)),
    lambda inner: (
        st.builds(lambda given: {"M": given}, st.dictionaries(_NAMES, inner, max_size=3))
        | st.builds(lambda given: {"L": given}, st.lists(inner, max_size=3))
    ),
    max_leaves=6,
)


@given(
    items=st.lists(st.dictionaries(_NAMES, _VALUES, max_size=3), max_size=3),
    place=st.integers(0, 2),
    spaces=st.sampled_from([(",", ":"), (", ", ": "), (" ,\n", " : ")]),
    ascii_only=st.booleans(),
)
def test_attributes_of_any_name_stay(
    items: list[dict[str, Any]], place: int, spaces: tuple[str, str], *, ascii_only: bool
) -> None:
    members: list[tuple[str, Any]] = [("Count", len(items)), ("Items", items)]

    def written(members: list[tuple[str, Any]]) -> str:
        return json.dumps(dict(members), separators=spaces, ensure_ascii=ascii_only)

    body = written([*members[:place], ("ConsumedCapacity", json.loads(ONE)), *members[place:]])

    done = cut(body.encode(), "NONE")

    assert json.loads(done.body) == dict(members)
    assert done.consumed == (json.loads(ONE),)
