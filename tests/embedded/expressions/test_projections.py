"""Projections pick the parts of an item a request asks for."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perfkit.embedded.errors import DynamoDBError
from perfkit.embedded.expressions import Placeholders, Projection, parse_projection

ITEM: dict[str, Any] = {
    "p": {"S": "key"},
    "a": {
        "M": {
            "b": {"L": [{"N": "2"}, {"N": "4"}, {"M": {"x": {"S": "hi"}, "y": {"S": "yo"}}}]},
            "c": {"N": "5"},
            "e": {"M": {}},
        }
    },
    "b": {"S": "hello"},
    "a.b": {"S": "dotted"},
    "n": {"L": [{"L": [{"N": "0"}, {"N": "1"}]}, {"L": [{"N": "2"}]}]},
}


def projection(text: str, names: dict[str, str] | None = None) -> Projection:
    return parse_projection(text, Placeholders(names, None))


@pytest.mark.parametrize(
    ("text", "picked"),
    [
        ("p", {"p": {"S": "key"}}),
        ("b, p, gone", {"b": {"S": "hello"}, "p": {"S": "key"}}),
        ("a", {"a": ITEM["a"]}),
        ("a.c", {"a": {"M": {"c": {"N": "5"}}}}),
        ("a.e", {"a": {"M": {"e": {"M": {}}}}}),
        ("a.b[0]", {"a": {"M": {"b": {"L": [{"N": "2"}]}}}}),
        ("a.b[2].y", {"a": {"M": {"b": {"L": [{"M": {"y": {"S": "yo"}}}]}}}}),
        ("a.b[1], a.b[0]", {"a": {"M": {"b": {"L": [{"N": "2"}, {"N": "4"}]}}}}),
        (
            "a.b[2].y, a.b[2].x, a.b[0]",
            {
                "a": {
                    "M": {
                        "b": {"L": [{"N": "2"}, {"M": {"y": {"S": "yo"}, "x": {"S": "hi"}}}]},
                    }
                }
            },
        ),
        ("a.b[0], a.c", {"a": {"M": {"b": {"L": [{"N": "2"}]}, "c": {"N": "5"}}}}),
        ("n[1][0], n[0][1]", {"n": {"L": [{"L": [{"N": "1"}]}, {"L": [{"N": "2"}]}]}}),
        ("gone", {}),
        ("a.x", {}),
        ("a.x.y", {}),
        ("a.b[3]", {}),
        ("a.b[3].x", {}),
        ("a.b.x", {}),
        ("a[0]", {}),
        ("a.b[0].x", {}),
        ("a.b[0][0]", {}),
        ("b.x", {}),
        ("a.e.x", {}),
        ("a.x, a.b[0], x, a.b[3].x", {"a": {"M": {"b": {"L": [{"N": "2"}]}}}}),
    ],
)
def test_only_what_is_there_is_picked_and_lists_close_up(text: str, picked: dict[str, Any]) -> None:
    assert projection(text).apply(ITEM) == picked


def test_a_placeholder_with_a_dot_is_one_name() -> None:
    names = {"#ab": "a.b", "#a": "a", "#c": "c"}

    picked = projection("#ab, #a.#c", names).apply(ITEM)

    assert picked == {"a.b": {"S": "dotted"}, "a": {"M": {"c": {"N": "5"}}}}


def test_a_projection_knows_the_attributes_it_reads() -> None:
    assert projection("a.b[0], a.c, p").attributes == {"a", "p"}


@pytest.mark.parametrize(
    ("text", "clash", "one", "two"),
    [
        ("a, a", "overlap", "[a]", "[a]"),
        ("#a, a", "overlap", "[a]", "[a]"),
        ("a, a.b", "overlap", "[a]", "[a, b]"),
        ("a.b, a", "overlap", "[a, b]", "[a]"),
        ("l, l[0]", "overlap", "[l]", "[l, [0]]"),
        ("a, b, a.b.c", "overlap", "[a]", "[a, b, c]"),
        ("a.b[0], a.b[0]", "overlap", "[a, b, [0]]", "[a, b, [0]]"),
        ("#index, #index.b", "overlap", "[[3]]", "[[3], b]"),
        ("a.b, a[1]", "conflict", "[a, b]", "[a, [1]]"),
        ("a[1].b, a.b", "conflict", "[a, [1], b]", "[a, b]"),
        ("a.b, a[0], a.b", "overlap", "[a, b]", "[a, b]"),
    ],
)
def test_paths_may_neither_overlap_nor_conflict(text: str, clash: str, one: str, two: str) -> None:
    with pytest.raises(DynamoDBError) as refused:
        projection(text, {"#a": "a", "#index": "[3]"})

    assert refused.value.message == (
        f"Invalid ProjectionExpression: Two document paths {clash} with each other; "
        f"must remove or rewrite one of these paths; path one: {one}, path two: {two}"
    )


@pytest.mark.parametrize("text", ["a, b", "a.b, a.c", "a.b.d, a.b.e", "a[1], a[2]", "a.b, a.c[2]"])
def test_paths_with_a_common_beginning_are_fine(text: str) -> None:
    projection(text)


@given(st.sets(st.sampled_from(sorted(ITEM)), min_size=1))
def test_top_level_attributes_come_back_whole(names: set[str]) -> None:
    aliases = {f"#n{i}": name for i, name in enumerate(sorted(names))}

    picked = projection(", ".join(aliases), aliases).apply(ITEM)

    assert picked == {name: ITEM[name] for name in names}
