"""Key conditions say which keys a query asks for, and are refused as AWS refuses them."""

from typing import Any

import pytest

from perfkit.embedded.errors import DynamoDBError
from perfkit.embedded.expressions import (
    KeyOperator,
    KeyTerm,
    Placeholders,
    parse_key_condition,
)

P, S, T, N = {"S": "p"}, {"S": "s"}, {"S": "t"}, {"N": "1"}
VALUES: dict[str, dict[str, Any]] = {":p": P, ":s": S, ":t": T, ":n": N, ":flag": {"BOOL": True}}
NAMES = {"#p": "pk", "#s": "sort key"}


def parse(text: str) -> tuple[KeyTerm, ...]:
    return parse_key_condition(text, Placeholders(NAMES, VALUES))


@pytest.mark.parametrize(
    ("text", "terms"),
    [
        ("pk = :p", [KeyTerm("pk", KeyOperator.EQ, (P,))]),
        (":p = pk", [KeyTerm("pk", KeyOperator.EQ, (P,))]),
        (
            "#p = :p AND #s = :n",
            [KeyTerm("pk", KeyOperator.EQ, (P,)), KeyTerm("sort key", KeyOperator.EQ, (N,))],
        ),
        (
            "sk < :n AND pk = :p",
            [KeyTerm("sk", KeyOperator.LT, (N,)), KeyTerm("pk", KeyOperator.EQ, (P,))],
        ),
        ("sk <= :n", [KeyTerm("sk", KeyOperator.LE, (N,))]),
        ("sk > :n", [KeyTerm("sk", KeyOperator.GT, (N,))]),
        ("sk >= :n", [KeyTerm("sk", KeyOperator.GE, (N,))]),
        (":n < sk", [KeyTerm("sk", KeyOperator.GT, (N,))]),
        (":n <= sk", [KeyTerm("sk", KeyOperator.GE, (N,))]),
        (":n > sk", [KeyTerm("sk", KeyOperator.LT, (N,))]),
        (":n >= sk", [KeyTerm("sk", KeyOperator.LE, (N,))]),
        ("sk between :s AND :t", [KeyTerm("sk", KeyOperator.BETWEEN, (S, T))]),
        ("begins_with(sk, :s)", [KeyTerm("sk", KeyOperator.BEGINS_WITH, (S,))]),
        (
            "(pk = :p) AND (begins_with(sk, :s))",
            [KeyTerm("pk", KeyOperator.EQ, (P,)), KeyTerm("sk", KeyOperator.BEGINS_WITH, (S,))],
        ),
        (
            "(pk = :p AND (sk BETWEEN (:s) AND :t))",
            [KeyTerm("pk", KeyOperator.EQ, (P,)), KeyTerm("sk", KeyOperator.BETWEEN, (S, T))],
        ),
        (
            "a = :s AND b = :t AND c = :n AND d = :p AND e > :n",
            [
                KeyTerm("a", KeyOperator.EQ, (S,)),
                KeyTerm("b", KeyOperator.EQ, (T,)),
                KeyTerm("c", KeyOperator.EQ, (N,)),
                KeyTerm("d", KeyOperator.EQ, (P,)),
                KeyTerm("e", KeyOperator.GT, (N,)),
            ],
        ),
    ],
)
def test_terms_have_the_attribute_on_the_left_in_the_order_written(
    text: str, terms: list[KeyTerm]
) -> None:
    assert list(parse(text)) == terms


def test_values_are_canonical() -> None:
    placeholders = Placeholders(None, {":n": {"N": "1.0e1"}})

    (term,) = parse_key_condition("n = :n", placeholders)

    assert term.operands == ({"N": "10"},)


KCE = "Invalid KeyConditionExpression: "
NESTED = f"{KCE}KeyConditionExpressions cannot have conditions on nested attributes"
SEVERAL = (
    f"{KCE}Invalid condition in KeyConditionExpression: Multiple attribute names used in one"
    " condition"
)
NO_KEY = f"{KCE}Invalid condition in KeyConditionExpression: No key attribute specified"
OPERATION = f"{KCE}KeyConditionExpressions cannot contain nested operations"
ONE_EACH = f"{KCE}KeyConditionExpressions must only contain one condition per key"
OPERATOR = f"{KCE}Invalid operator used in KeyConditionExpression: "
FIRST = "Invalid KeyConditionExpression: Invalid condition in KeyConditionExpression: {} operator must have the key attribute as its first operand"
TYPE = (
    "Invalid KeyConditionExpression: Incorrect operand type for operator or function; "
    "operator or function: {}, operand type: {}"
)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("pk = :p OR sk = :s", f"{OPERATOR}OR"),
        ("pk = :p AND (sk = :s OR sk = :t)", f"{OPERATOR}OR"),
        ("NOT pk = :p", f"{OPERATOR}NOT"),
        ("pk <> :p", f"{OPERATOR}<>"),
        ("pk IN (:p)", f"{OPERATOR}IN"),
        ("attribute_exists(pk)", f"{OPERATOR}attribute_exists"),
        ("pk = :p AND attribute_not_exists(sk)", f"{OPERATOR}attribute_not_exists"),
        ("contains(pk, :p)", f"{OPERATOR}contains"),
        (":n BETWEEN sk AND :n", FIRST.format("BETWEEN")),
        ("begins_with(:s, sk)", FIRST.format("begins_with")),
        ("size(sk) > :n", OPERATION),
        (":n > size(sk)", OPERATION),
        ("size(b) > a AND a.b > b", OPERATION),
        ("b > a.b", SEVERAL),
        ("pk = sk", SEVERAL),
        ("begins_with(a, b)", SEVERAL),
        ("a BETWEEN b AND size(a)", SEVERAL),
        ("b.d > a AND c.d > e.f", NESTED),
        ("b[0] > a", NESTED),
        ("#p = :p AND #s.foo = :s", NESTED),
        (":n > :p", NO_KEY),
        ("pk = :p AND sk > :s AND sk < :t", ONE_EACH),
        ("pk = :p AND #p = :s", ONE_EACH),
        ("begins_with(sk, :n)", TYPE.format("begins_with", "N")),
        (":flag >= sk", TYPE.format(">=", "BOOL")),
        ("sk BETWEEN :flag AND :flag", TYPE.format("BETWEEN", "BOOL")),
        (
            "sk BETWEEN :n AND :s",
            (
                "Invalid KeyConditionExpression: The BETWEEN operator requires same data type for "
                "lower and upper bounds; lower bound operand: AttributeValue: {N:1}, "
                "upper bound operand: AttributeValue: {S:s}"
            ),
        ),
    ],
)
def test_what_no_index_can_answer_is_refused(text: str, message: str) -> None:
    with pytest.raises(DynamoDBError) as refused:
        parse(text)

    assert (refused.value.code, refused.value.message) == ("ValidationException", message)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("pk = :missing AND begins_with(sk, :n)", "attribute value: :missing"),
        ("begins_with(sk, :n) AND pk = :missing", "operand type: N"),
        ("pk = :p AND begins_with(sk, :n) AND sk = :missing", "operand type: N"),
        ("pk = :p AND begins_with(sk, :n) AND sk > :s", "operand type: N"),
        ("pk = :p OR begins_with(sk, :n)", "operand type: N"),
    ],
)
def test_clauses_are_checked_in_the_order_written(text: str, problem: str) -> None:
    with pytest.raises(DynamoDBError) as refused:
        parse(text)

    assert refused.value.message.endswith(problem)
