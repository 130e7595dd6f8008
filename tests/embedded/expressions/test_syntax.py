"""Expressions AWS refuses before it looks at any item: syntax, names, limits, placeholders."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perfkit.embedded.errors import DynamoDBError
from perfkit.embedded.expressions import (
    Placeholders,
    parse_condition,
    parse_key_condition,
    parse_projection,
    parse_update,
)
from perfkit.embedded.expressions.reserved import RESERVED_WORDS
from perfkit.embedded.values import InvalidValueError

Values = dict[str, dict[str, Any]]

PARSERS: dict[str, Callable[[str, Placeholders], object]] = {
    "ConditionExpression": lambda text, given: parse_condition(text, given, "ConditionExpression"),
    "KeyConditionExpression": parse_key_condition,
    "ProjectionExpression": parse_projection,
    "UpdateExpression": parse_update,
}


def refusal(
    kind: str, text: str, names: dict[str, str] | None = None, values: Values | None = None
) -> str:
    """Return the message an expression is refused with."""
    with pytest.raises(DynamoDBError) as refused:
        PARSERS[kind](text, Placeholders(names, values))
    assert refused.value.code == "ValidationException"
    return refused.value.message


@pytest.mark.parametrize("kind", PARSERS)
def test_an_empty_expression_is_refused(kind: str) -> None:
    assert refusal(kind, "") == f"Invalid {kind}: The expression can not be empty;"


@pytest.mark.parametrize(
    ("kind", "text", "token", "near"),
    [
        ("ConditionExpression", "a = = b", "=", "= = b"),
        ("ConditionExpression", "attribute_not_exists(", "<EOF>", "("),
        ("ConditionExpression", "attribute_not_exists()", ")", "()"),
        ("ConditionExpression", "a", "<EOF>", "a"),
        ("ConditionExpression", "(a)", "<EOF>", ")"),
        ("ConditionExpression", "a = :v AND", "<EOF>", "AND"),
        ("ConditionExpression", "a = :v AND b", "<EOF>", "b"),
        ("ConditionExpression", "a OR b = :v", "OR", "a OR b"),
        ("ConditionExpression", "NOT a", "<EOF>", "a"),
        ("ConditionExpression", "(a = :v", "<EOF>", ":v"),
        ("ConditionExpression", "a = :v)", ")", ":v)"),
        ("ConditionExpression", "(a = b) = c", "=", ") = c"),
        ("ConditionExpression", "a = (b = c)", "=", "b = c"),
        ("ConditionExpression", "a BETWEEN :v, :w", ",", ":v, :w"),
        ("ConditionExpression", "a IN ()", ")", "()"),
        ("ConditionExpression", "a IN :v", ":v", "IN :v"),
        ("ConditionExpression", "_a = :v", "_", "_a"),
        ("ConditionExpression", "a._b = :v", "_", "._b"),
        ("ConditionExpression", "a.and = :v", "and", ".and ="),
        ("ConditionExpression", "a[] = :v", "]", "[] ="),
        ("ConditionExpression", "a[b] = :v", "b", "[b]"),
        ("ConditionExpression", "a[:v] = :v", ":v", "[:v]"),
        ("ConditionExpression", "a[007] = :v", "0", "007"),
        ("ConditionExpression", "a = 5", "5", "= 5"),
        ("ConditionExpression", "a = 'x'", "'", "= 'x"),
        ("ConditionExpression", "a == :v", "=", "== :v"),
        ("ConditionExpression", "# = :v", "#", "# ="),
        ("ConditionExpression", "a = :", ":", "= :"),
        ("ConditionExpression", "   ", "<EOF>", ""),
        ("ProjectionExpression", "!!! INVALID !!!", "!", "!!"),
        ("ProjectionExpression", "a,", "<EOF>", ","),
        ("ProjectionExpression", "a b", "b", "a b"),
        ("ProjectionExpression", ":v", ":v", ":v"),
        ("UpdateExpression", "INVALID SYNTAX HERE", "INVALID", "INVALID SYNTAX"),
        ("UpdateExpression", "set _something = :v", "_", "set _something"),
        ("UpdateExpression", "ADD hits : incr", ":", "hits : incr"),
        ("UpdateExpression", "set a", "<EOF>", "a"),
        ("UpdateExpression", "add a", "<EOF>", "a"),
        ("UpdateExpression", "set a=set", "set", "=set"),
        ("UpdateExpression", "remove a = b", "=", "a = b"),
        ("UpdateExpression", "add a = b", "=", "a = b"),
        ("UpdateExpression", "delete a b", "b", "a b"),
        ("UpdateExpression", "remove a b", "b", "a b"),
        ("UpdateExpression", "set :a = b", ":a", "set :a ="),
        ("UpdateExpression", "set a = b / c", "/", "b / c"),
        ("UpdateExpression", "set a = b + c + d", "+", "c + d"),
        ("UpdateExpression", "set (a = b)", "(", "set (a"),
        ("UpdateExpression", "set a = (b.c).d + e", ".", ").d"),
        ("UpdateExpression", "set a = if_not_exists(a, :v + :w)", "+", ":v + :w"),
        ("UpdateExpression", "set a = :v, remove b", "remove", ", remove b"),
    ],
)
def test_syntax_errors_name_the_token_and_what_is_around_it(
    kind: str, text: str, token: str, near: str
) -> None:
    values: Values = {":v": {"N": "1"}, ":w": {"N": "2"}}

    message = refusal(kind, text, values=values)

    assert message == f'Invalid {kind}: Syntax error; token: "{token}", near: "{near}"'


@pytest.mark.parametrize(
    ("kind", "text", "problem"),
    [
        ("ConditionExpression", "((a = :v))", "The expression has redundant parentheses;"),
        (
            "ConditionExpression",
            "b = :v OR ((a = :v))",
            "The expression has redundant parentheses;",
        ),
        ("ConditionExpression", "((a)) = :v", "The expression has redundant parentheses;"),
        ("KeyConditionExpression", "((a = :v))", "The expression has redundant parentheses;"),
        ("ConditionExpression", "dog(a)", "Invalid function name; function: dog"),
        ("ConditionExpression", "SIZE(a) = :v", "Invalid function name; function: SIZE"),
        ("ConditionExpression", "f(g(a)) = :v", "Invalid function name; function: f"),
        ("UpdateExpression", "SET a = f(b, c, d)", "Invalid function name; function: f"),
        (
            "ConditionExpression",
            "size(a)",
            "The function is not allowed to be used this way in an expression; function: size",
        ),
        (
            "ConditionExpression",
            "contains(a, :v) = :v",
            "The function is not allowed to be used this way in an expression; function: contains",
        ),
        (
            "ConditionExpression",
            "if_not_exists(a, :v) = :v",
            "The function is not allowed in a condition expression; function: if_not_exists",
        ),
        (
            "UpdateExpression",
            "SET a = size(b)",
            "The function is not allowed in an update expression; function: size",
        ),
        (
            "UpdateExpression",
            "SET a = list_append(list_append(b, c), d)",
            (
                "The function is not allowed to be used this way in an expression; "
                "function: list_append"
            ),
        ),
        (
            "UpdateExpression",
            "SET a = :v REMOVE b SET c = :v",
            'The "SET" section can only be used once in an update expression;',
        ),
        (
            "ProjectionExpression",
            "l[2147483648]",
            "List index is not within the allowable range; index: [2147483648]",
        ),
        (
            "ProjectionExpression",
            "a" + ".b" * 32,
            "The document path has too many nesting levels; nesting levels: 33",
        ),
    ],
)
def test_misuses_are_refused_in_the_words_of_aws(kind: str, text: str, problem: str) -> None:
    message = refusal(kind, text, values={":v": {"N": "1"}})

    assert message == f"Invalid {kind}: {problem}"


@pytest.mark.parametrize(
    ("kind", "text", "word"),
    [
        ("ConditionExpression", "status = :v", "status"),
        ("ConditionExpression", "a.Views[0] = :v", "Views"),
        ("ProjectionExpression", "a, abOrt", "abOrt"),
        ("UpdateExpression", "SET a = Absolute", "Absolute"),
        ("KeyConditionExpression", "name = :v", "name"),
    ],
)
def test_reserved_words_need_a_placeholder_wherever_they_are(
    kind: str, text: str, word: str
) -> None:
    message = refusal(kind, text, values={":v": {"S": "x"}})

    assert message == (
        f"Invalid {kind}: Attribute name is a reserved keyword; reserved keyword: {word}"
    )


def test_all_reserved_words_are_known_and_allowed_behind_a_placeholder() -> None:
    assert len(RESERVED_WORDS) == 573
    assert {"STATUS", "NAME", "TTL", "YEAR", "ABORT", "ZONE"} <= RESERVED_WORDS

    projection = parse_projection("#s", Placeholders({"#s": "status"}, None))

    assert projection.attributes == {"status"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("((foo(a)))", "The expression has redundant parentheses;"),
        ("size(a) AND foo(a)", "Invalid function name; function: foo"),
        ("size(status)", "The function is not allowed to be used this way in an expression; "),
        ("status = :undefined", "Attribute name is a reserved keyword"),
        ("#undefined = :v", "An expression attribute name used in the document path is not"),
        ("contains(:undefined)", "An expression attribute value used in expression is not"),
        ("contains(a, a, a)", "Incorrect number of operands"),
        ("contains(a, a)", "The first operand must be distinct"),
    ],
)
def test_of_several_problems_aws_reports_the_first_in_its_order(text: str, expected: str) -> None:
    message = refusal("ConditionExpression", text, values={":v": {"S": "x"}})

    assert message.startswith(f"Invalid ConditionExpression: {expected}")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("SET a = b.name, c = f(d)", "Attribute name is a reserved keyword"),
        ("SET a = f(b) SET c = d", "Invalid function name"),
        ("SET a = #x SET c = d", 'The "SET" section can only be used once'),
        ("SET a = :undefined, c = #undefined", "An expression attribute name used in the document"),
        ("SET a = :undefined, a = b", "An expression attribute value used in expression"),
        ("SET a = b, a.c = b, d.e = b, d[0] = b", "Two document paths overlap"),
        ("SET a.c = b, a[0] = b ADD d :s", "Two document paths conflict"),
        ("SET a = list_append(b) ADD d :s", "Incorrect operand type for operator or function;"),
        ("SET a = list_append(b)", "Incorrect number of operands"),
    ],
)
def test_of_several_problems_of_an_update_aws_reports_the_first_in_its_order(
    text: str, expected: str
) -> None:
    message = refusal("UpdateExpression", text, values={":s": {"S": "x"}})

    assert message.startswith(f"Invalid UpdateExpression: {expected}")


def test_an_expression_may_have_4096_bytes() -> None:
    names = {f"#{'n' * 254}": "é"}
    text = " AND ".join([f"attribute_exists(#{'n' * 254})"] * 14)
    fits = text + " " * (4096 - len(text))

    parse_condition(fits, Placeholders(names, None), "ConditionExpression")

    assert refusal("ConditionExpression", fits + " ", names) == (
        "Invalid ConditionExpression: Expression size has exceeded the maximum allowed size; "
        "expression size: 4097"
    )
    assert refusal("UpdateExpression", "REMOVE a" + " " * 4089) == (
        "Invalid UpdateExpression: Expression size has exceeded the maximum allowed size;"
    )


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("a<b " + "or (a<b " * 149 + ")" * 149, id="nested or"),
        pytest.param("not " * 299 + "a<b", id="not"),
        pytest.param("not (" * 299 + "a<b" + ")" * 299, id="nested not"),
        pytest.param("a<b" + " and a<b" * 149, id="and"),
    ],
)
def test_299_operators_are_allowed_however_deep(text: str) -> None:
    condition = parse_condition(text, Placeholders(None, None), "ConditionExpression")

    assert isinstance(condition.matches({}), bool)


@pytest.mark.parametrize(
    "text",
    [
        "a<b " + "or (a<b " * 454 + ")" * 454,
        "not " * 1000 + "a<b",
        "a<b" + " and a<b" * 150,
        "a < " + "size(" * 680 + "b" + ")" * 680,
    ],
)
def test_more_than_300_operators_are_refused(text: str) -> None:
    assert refusal("ConditionExpression", text) == (
        "Invalid ConditionExpression: The expression contains too many operators; "
        "operator count: 301"
    )


@pytest.mark.parametrize("text", ["(" * 4096, "(" * 2040 + "a<b" + ")" * 2040, "a = " + "(" * 4000])
def test_endless_parentheses_are_refused_without_exhausting_the_stack(text: str) -> None:
    assert refusal("ConditionExpression", text).startswith("Invalid ConditionExpression: ")


@given(st.text("ab#:().,[]=<>+-0_ \n", max_size=30), st.sampled_from(sorted(PARSERS)))
def test_any_text_parses_or_is_refused(text: str, kind: str) -> None:
    names, values = {"#a": "a"}, {":a": {"S": "x"}}
    try:
        PARSERS[kind](text, Placeholders(names, values))
    except DynamoDBError as refused:
        assert refused.code == "ValidationException"  # noqa: PT017  parsing is as good


@pytest.mark.parametrize(
    ("names", "values", "message"),
    [
        ({}, None, "ExpressionAttributeNames must not be empty"),
        (None, {}, "ExpressionAttributeValues must not be empty"),
        (
            {"s": "a"},
            None,
            'ExpressionAttributeNames contains invalid key: Syntax error; key: "s"',
        ),
        (
            {"#a-b": "a"},
            None,
            'ExpressionAttributeNames contains invalid key: Syntax error; key: "#a-b"',
        ),
        (
            None,
            {"v": {"S": "a"}},
            'ExpressionAttributeValues contains invalid key: Syntax error; key: "v"',
        ),
        (
            {"#a": ""},
            None,
            "ExpressionAttributeNames contains invalid value: Empty attribute name for key #a",
        ),
        (
            {"#" + "a" * 255: "a"},
            None,
            (
                "ExpressionAttributeNames contains invalid key: The expression attribute map contains "
                "a key that is too long; size of key: 256"
            ),
        ),
        (
            {"#a": "a"},
            {"v": {}},
            'ExpressionAttributeValues contains invalid key: Syntax error; key: "v"',
        ),
        (
            None,
            {":v": {"N": "abc"}},
            "The parameter cannot be converted to a numeric value: abc",
        ),
    ],
)
def test_bad_placeholder_maps_are_refused(
    names: dict[str, str] | None, values: Values | None, message: str
) -> None:
    with pytest.raises(DynamoDBError) as refused:
        Placeholders(names, values)

    assert refused.value.message == message


def test_the_older_validation_says_which_value_is_bad() -> None:
    with pytest.raises(InvalidValueError) as refused:
        Placeholders(None, {":v": {"NS": ["1", "1"]}})

    assert refused.value.older_message == (
        "ExpressionAttributeValues contains invalid value: "
        "Input collection contains duplicates for key :v"
    )


def test_placeholders_that_are_no_json_object_are_a_serialization_error() -> None:
    names: Any = ["#a"]

    with pytest.raises(DynamoDBError) as refused:
        Placeholders(names, None)

    assert refused.value.code == "SerializationException"


@pytest.mark.parametrize(
    ("kind", "text", "problem"),
    [
        (
            "ProjectionExpression",
            "a.#b",
            (
                "An expression attribute name used in the document path is not defined; "
                "attribute name: #b"
            ),
        ),
        (
            "ConditionExpression",
            "a = :b",
            "An expression attribute value used in expression is not defined; attribute value: :b",
        ),
        (
            "UpdateExpression",
            "SET a = if_not_exists(:b, :c)",
            "An expression attribute value used in expression is not defined; attribute value: :b",
        ),
    ],
)
def test_undefined_placeholders_are_refused(kind: str, text: str, problem: str) -> None:
    assert refusal(kind, text) == f"Invalid {kind}: {problem}"


def test_a_placeholder_is_used_if_any_expression_of_the_request_uses_it() -> None:
    given_names = Placeholders({"#k": "k", "#a": "a", "#n": "n"}, {":k": {"S": "x"}})

    parse_key_condition("#k = :k", given_names)
    parse_projection("#a[0].#n", given_names)

    given_names.check_all_used()


@pytest.mark.parametrize(
    ("names", "values", "message"),
    [
        (
            {"#a": "a", "#unused": "b", "#b": "b"},
            {":v": {"S": "x"}, ":w": {"S": "x"}},
            "Value provided in ExpressionAttributeNames unused in expressions: keys: {#unused, #b}",
        ),
        (
            {"#a": "a"},
            {":v": {"S": "x"}, ":w": {"S": "x"}},
            "Value provided in ExpressionAttributeValues unused in expressions: keys: {:w}",
        ),
    ],
)
def test_unused_placeholders_are_refused(
    names: dict[str, str], values: Values, message: str
) -> None:
    """Names first; used means written, whether the evaluation gets there or not."""
    placeholders = Placeholders(names, values)
    parse_condition("attribute_exists(a) OR #a = :v", placeholders, "FilterExpression")

    with pytest.raises(DynamoDBError) as refused:
        placeholders.check_all_used()

    assert refused.value.message == message
