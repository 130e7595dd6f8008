"""Conditions and filters decide as DynamoDB does, and their needles never reject a match."""

import re
from base64 import b64encode
from typing import Any

import orjson
import pytest
from hypothesis import given, reject
from hypothesis import strategies as st

from perfkit.capacity import AttributeValue, Item
from perfkit.embedded.errors import DynamoDBError
from perfkit.embedded.expressions import Condition, Placeholders, parse_condition
from perfkit.embedded.values import normalize_item, normalize_value

Values = dict[str, AttributeValue]


def base64(content: bytes) -> str:
    return b64encode(content).decode()


def condition(
    text: str, values: Values | None = None, names: dict[str, str] | None = None
) -> Condition:
    placeholders = Placeholders(names, values)
    parsed = parse_condition(text, placeholders, "FilterExpression")
    placeholders.check_all_used()
    return parsed


ITEM = normalize_item(
    {
        "words": {"S": "hello"},
        "accented": {"S": "é𝄞"},
        "one": {"N": "1.0"},
        "two": {"N": "2"},
        "big": {"N": "12345678901234567890123456789012345678"},
        "octets": {"B": base64(b"hi there")},
        "high": {"B": base64(b"\x80")},
        "yes": {"BOOL": True},
        "nothing": {"NULL": True},
        "strings": {"SS": ["b", "a", ""]},
        "numbers": {"NS": ["2", "4.0", "7"]},
        "binaries": {"BS": [base64(b"x"), base64(b"hi")]},
        "seq": {"L": [{"N": "2"}, {"S": "dog"}, {"NS": ["1", "2"]}, {"L": [{"N": "3"}]}]},
        "tree": {"M": {"x": {"N": "1"}, "seq": {"L": [{"N": "-1"}, {"M": {"k": {"S": "v"}}}]}}},
        "a.b": {"S": "dotted"},
        "status": {"S": "open"},
    }
)

VALUES: Values = {
    ":hello": {"S": "hello"},
    ":hell": {"S": "hell"},
    ":hi": {"B": base64(b"hi")},
    ":here": {"B": base64(b"here")},
    ":127": {"B": base64(b"\x7f")},
    ":zero": {"N": "0"},
    ":one": {"N": "1"},
    ":one_text": {"S": "1"},
    ":two": {"N": "2.00"},
    ":three": {"N": "3"},
    ":big": {"N": "12345678901234567890123456789012345677"},
    ":empty": {"S": ""},
    ":v": {"S": "v"},
    ":open": {"S": "open"},
    ":yes": {"BOOL": True},
    ":no": {"BOOL": False},
    ":null": {"NULL": True},
    ":strings": {"SS": ["", "a", "b"]},
    ":numbers": {"NS": ["7", "2.0", "4"]},
    ":one_two": {"NS": ["2", "1"]},
    ":list": {"L": [{"N": "3"}]},
    ":map": {"M": {"seq": {"L": []}, "x": {"N": "1"}}},
    ":S": {"S": "S"},
    ":N": {"S": "N"},
    ":SS": {"S": "SS"},
    ":M": {"S": "M"},
    ":NULL": {"S": "NULL"},
}


def holds(text: str, names: dict[str, str] | None = None) -> bool:
    """Return whether a condition over `VALUES` holds for `ITEM`."""
    placeholders = Placeholders(names, VALUES)
    return parse_condition(text, placeholders, "FilterExpression").matches(ITEM)


@pytest.mark.parametrize(
    "text",
    [
        "words = :hello",
        ":hello = words",
        "(words) = (:hello)",
        "one = :one",
        "yes = :yes",
        "nothing = :null",
        "strings = :strings",
        "numbers = :numbers",
        "seq[2] = :one_two",
        "seq[3] = :list",
        "tree.x = :one",
        "tree.x = one",
        "tree.seq[1].k = :v",
        "one <> :two",
        "one <> :one_text",
        "yes <> :no",
        "gone <> :one",
        "gone <> absent",
        "words <> one",
        "one < two",
        "one < :two",
        ":two > one",
        ":zero < one",
        ":two >= two",
        "one <= :one",
        ":one <= one",
        "big > :big",
        "two >= :two",
        "words > :hell",
        "octets >= :hi",
        "high > :127",
        "one BETWEEN :zero AND :two",
        "one between :one and :one",
        "two BETWEEN one AND :two",
        "words BETWEEN :hell AND :hello",
        "high BETWEEN :127 AND high[0] OR high > :127",
        "one IN (:zero, :one)",
        "words IN (one, :one, :hello)",
        "strings IN (:strings)",
        "attribute_exists(words)",
        "attribute_exists(tree.seq[1].k)",
        "attribute_not_exists(gone)",
        "attribute_not_exists(tree.y)",
        "attribute_not_exists(words.x)",
        "attribute_not_exists(words[0])",
        "attribute_not_exists(tree.seq[2])",
        "attribute_type(words, :S)",
        "attribute_type(strings, :SS)",
        "attribute_type(tree, :M)",
        "attribute_type(nothing, :NULL)",
        "attribute_type(:one, :N)",
        "begins_with(words, :hell)",
        "begins_with(words, :empty)",
        "begins_with(octets, :hi)",
        "begins_with(:hello, words)",
        "contains(words, :hell)",
        "contains(words, :empty)",
        "contains(strings, :empty)",
        "contains(numbers, :two)",
        "contains(numbers, two)",
        "contains(binaries, :hi)",
        "contains(octets, :here)",
        "contains(seq, :two)",
        "contains(seq, :one_two)",
        "contains(seq, :list)",
        "contains(:strings, strings) OR contains(:hello, words)",
        "size(words) > size(seq)",
        "size(accented) = :three",
        "size(octets) > :three",
        "size(strings) = :three",
        "size(tree) = two",
        "size(tree.seq) <= :two",
        "size(:hello) > :two",
        "NOT one = :two",
        "NOT gone = :one",
        "NOT gone < :one",
        "NOT NOT NOT NOT one < two",
        "nOt one > two aNd two > one oR one = two",
        "one = two AND one = two OR one < two",
        "one < two OR one = two AND one = two",
        "NOT (one = two OR gone = :one)",
        "two BETWEEN one AND :three AND one < two",
        "(NOT (one = two))",
        "(one < two OR (two < one)) AND (one = :one)",
    ],
)
def test_holds(text: str) -> None:
    assert holds(text)


@pytest.mark.parametrize(
    "text",
    [
        "words = :hell",
        "one = :one_text",
        "gone = :one",
        "gone = absent",
        "one <> :one",
        "tree = :map",
        "one < :one_text",
        "words < :one",
        "gone < :one",
        ":one < gone",
        ":two < one",
        ":one > two",
        ":two <= one",
        "gone <= absent",
        "seq < :one",
        ":one >= seq",
        "high < :127",
        "one BETWEEN :two AND :three",
        "gone BETWEEN :zero AND :two",
        "one BETWEEN two AND :one",
        "one BETWEEN seq AND strings",
        "one IN (:two, :one_text, gone)",
        "gone IN (:one, absent)",
        "attribute_exists(gone)",
        "attribute_exists(tree.seq[7])",
        "attribute_exists(seq.x)",
        "attribute_exists(tree[0])",
        "attribute_not_exists(words)",
        "attribute_type(words, :N)",
        "attribute_type(gone, :S)",
        "begins_with(words, :open)",
        "begins_with(one, :one_text)",
        "begins_with(gone, :empty)",
        "begins_with(octets, words)",
        "contains(words, :one)",
        "contains(strings, :hello)",
        "contains(strings, :one)",
        "contains(numbers, :one_text)",
        "contains(octets, :hello)",
        "contains(tree, :one)",
        "contains(one, :one)",
        "contains(gone, :empty)",
        "size(one) = :one",
        "size(yes) < :two",
        "size(nothing) > :zero",
        "size(gone) = :zero",
        "size(words) = :hello",
        "NOT one = :one",
        "NOT one = two AND one = two",
        "one = two OR one = two AND one < two",
    ],
)
def test_does_not_hold(text: str) -> None:
    assert not holds(text)


def test_placeholders_stand_for_one_name_each_anywhere_in_a_path() -> None:
    names = {"#s": "status", "#ab": "a.b", "#m": "tree", "#l": "seq"}

    assert holds("#s = :open", names)
    assert attribute_matches("#ab", names)
    assert holds("#m.#l[1].k = :v", names)
    assert not holds("attribute_exists(#m.#s)", names)


def attribute_matches(path: str, names: dict[str, str]) -> bool:
    return holds(f"attribute_exists({path})", names)


def test_a_missing_item_is_an_item_without_attributes() -> None:
    assert condition("attribute_not_exists(pk)").matches({})
    assert condition("pk <> :v", {":v": {"S": "x"}}).matches({})
    assert not condition("pk = :v", {":v": {"S": "x"}}).matches({})


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("contains(words)", "{count}contains, number of operands: 1"),
        ("size(words, words) = :one", "{count}size, number of operands: 2"),
        ("attribute_exists(words, one)", "{count}attribute_exists, number of operands: 2"),
        ("attribute_exists(:one)", "{path}attribute_exists"),
        ("attribute_not_exists(size(words))", "{path}attribute_not_exists"),
        ("begins_with(words, :one)", "{type}begins_with, operand type: N"),
        ("begins_with(:yes, words)", "{type}begins_with, operand type: BOOL"),
        ("begins_with(size(words), words)", "{type}begins_with, operand type: N"),
        ("size(:one) = :one", "{type}size, operand type: N"),
        ("size(:null) = :one", "{type}size, operand type: NULL"),
        ("size(size(words)) = :one", "{type}size, operand type: N"),
        ("words < :yes", "{type}<, operand type: BOOL"),
        (":list >= words", "{type}>=, operand type: L"),
        ("words > :strings", "{type}>, operand type: SS"),
        ("words <= :map", "{type}<=, operand type: M"),
        ("words BETWEEN :null AND :null", "{type}BETWEEN, operand type: NULL"),
        ("attribute_type(words, :one)", "{type}attribute_type, operand type: N"),
        (
            "attribute_type(words, one)",
            "{type}attribute_type, operand type: {{NS,SS,L,BS,N,M,B,BOOL,NULL,S}}",
        ),
        (
            "attribute_type(words, :open)",
            (
                "Invalid attribute type name found; type: open, "
                "valid types: {{B,NULL,SS,BOOL,L,BS,N,NS,S,M}}"
            ),
        ),
        ("words = words", "{distinct}=, first operand: [words]"),
        ("tree.seq[0] < tree.seq[0]", "{distinct}<, first operand: [tree, seq, [0]]"),
        ("contains(#n, #n)", "{distinct}contains, first operand: [data]"),
        ("one IN (:one, one)", "{distinct}IN, first operand: [one]"),
        ("one BETWEEN :one AND one", "{distinct}BETWEEN, first operand: [one]"),
        (
            "one BETWEEN :one AND :hello",
            (
                "The BETWEEN operator requires same data type for lower and upper bounds; "
                "lower bound operand: AttributeValue: {{N:1}}, "
                "upper bound operand: AttributeValue: {{S:hello}}"
            ),
        ),
        (
            "words BETWEEN :hello AND :hell",
            (
                "The BETWEEN operator requires upper bound to be greater than or equal to lower "
                "bound; lower bound operand: AttributeValue: {{S:hello}}, "
                "upper bound operand: AttributeValue: {{S:hell}}"
            ),
        ),
        (
            "octets BETWEEN :hi AND :here",
            (
                "The BETWEEN operator requires upper bound to be greater than or equal to lower "
                "bound; lower bound operand: AttributeValue: "
                "{{B:java.nio.HeapByteBuffer[pos=0 lim=2 cap=2]}}, "
                "upper bound operand: AttributeValue: "
                "{{B:java.nio.HeapByteBuffer[pos=0 lim=4 cap=4]}}"
            ),
        ),
    ],
)
def test_operands_wrong_for_every_item_are_refused(text: str, problem: str) -> None:
    expected = problem.format(
        count="Incorrect number of operands for operator or function; operator or function: ",
        path="Operator or function requires a document path; operator or function: ",
        type="Incorrect operand type for operator or function; operator or function: ",
        distinct="The first operand must be distinct from the remaining operands for this "
        "operator or function; operator: ",
    )

    with pytest.raises(DynamoDBError) as refused:
        holds(text, {"#n": "data"})

    assert refused.value.message == f"Invalid FilterExpression: {expected}"


def test_in_takes_100_operands_and_not_one_more() -> None:
    values: Values = {f":v{i}": {"N": str(i)} for i in range(101)}
    hundred = ", ".join(f":v{i}" for i in range(100))

    assert condition(f"one IN ({hundred}) OR one = :v100", values).matches(ITEM)
    with pytest.raises(DynamoDBError) as refused:
        condition(f"one IN ({hundred}, :v100)", values)
    assert refused.value.message == (
        "Invalid FilterExpression: The IN operator is provided with too many operands; "
        "number of operands: 101"
    )


def test_a_condition_knows_the_attributes_it_looks_at_and_into() -> None:
    values: Values = {":v": {"N": "1"}}

    parsed = condition("a = :v AND (size(b[0]) > :v OR NOT contains(c.d, e))", values)

    assert parsed.attributes == {"a", "b", "c", "e"}
    assert parsed.nested_attributes == {"b", "c"}


@pytest.mark.parametrize(
    ("text", "needles"),
    [
        ("a = :s", [b'"a":{"S":"x\\"\xc3\xa9"}']),
        (":n = a", [b'"a":{"N":"100"}']),
        ("a = :b", [b'"a":{"B":"AQI="}']),
        ("a = :t", [b'"a":{"BOOL":true}']),
        ("a = :z", [b'"a":{"NULL":true}']),
        (
            "a = :n AND (b = :s AND c > :n)",
            [b'"a":{"N":"100"}', b'"b":{"S":"x\\"\xc3\xa9"}', b'"c":{"N":'],
        ),
        (":n >= a AND b BETWEEN :s AND :s", [b'"a":{"N":', b'"b":{"S":']),
        ("begins_with(a, :s) AND contains(b, :n)", [b'"a":{"S":', b'"b":{']),
        ("attribute_exists(m.a) AND a IN (:n, :s)", [b'"a":{', b'"a":{']),
        ("attribute_not_exists(a)", []),
        ("attribute_exists(a[0])", []),
        ("size(a) > :n", []),
        ("m.a = :n", [b'"a":{"N":"100"}']),
        ("l[0] = :n", []),
        ("a = :set", []),
        ("a = :map", []),
        ("a <> :n", []),
        ("a = b", []),
        ("NOT a = :n", []),
        ("NOT (a = :n AND b = :n)", []),
        ("a = :n OR b = :s", []),
        ("(a = :n OR b = :s) AND c = :t", [b'"c":{"BOOL":true}']),
    ],
)
def test_needles_come_from_what_every_match_must_contain(text: str, needles: list[bytes]) -> None:
    placeholders = Placeholders(
        None,
        {
            ":s": {"S": 'x"é'},
            ":n": {"N": "1e2"},
            ":b": {"B": base64(b"\x01\x02")},
            ":t": {"BOOL": True},
            ":z": {"NULL": True},
            ":set": {"SS": ["a"]},
            ":map": {"M": {}},
        },
    )

    parsed = parse_condition(text, placeholders, "FilterExpression")

    assert list(parsed.needles) == needles


ALPHABET = 'ab"\\/\u00e9\u2028\U0001d11e\x00'
small_values = st.one_of(
    st.text(ALPHABET, max_size=2).map(lambda text: {"S": text}),
    st.sampled_from(["0", "1", "-1", "1.50", "1e2"]).map(lambda number: {"N": number}),
    st.binary(max_size=2).map(lambda content: {"B": base64(content)}),
    st.booleans().map(lambda flag: {"BOOL": flag}),
    st.just({"NULL": True}),
    st.just({"SS": ["b", "a"]}),
    st.just({"M": {"a": {"S": "a"}}}),
    st.just({"L": [{"N": "1"}]}),
)
small_items = st.dictionaries(st.sampled_from(["a", "b", 'c"é']), small_values)


FORMS = (
    "{0} = {1}",
    "{1} = {0}",
    "NOT {0} = {1}",
    "{0} <> {1}",
    "{0} <= {1}",
    "{1} < {0}",
    "{0} BETWEEN {1} AND {1}",
    "{0} IN ({1})",
    "begins_with({0}, {1})",
    "contains({0}, {1})",
    "attribute_exists({0})",
    "attribute_not_exists({0})",
)


@given(st.data())
def test_every_matching_item_contains_every_needle(data: st.DataObject) -> None:
    item = normalize_item(data.draw(small_items))
    # values of the item make matches likely
    candidates = [*item.values(), normalize_value(data.draw(small_values))]
    parts = []
    values: Values = {}
    for i in range(data.draw(st.integers(1, 3))):
        path = data.draw(st.sampled_from(["a", "b", "#c", "a.a", "b[0]"]))
        values[f":v{i}"] = data.draw(st.sampled_from(candidates))
        form = data.draw(st.sampled_from(FORMS))
        parts.append(form.format(path, f":v{i}"))
    text = data.draw(st.sampled_from([" AND ", " OR "])).join(parts)
    placeholders = Placeholders({"#c": 'c"é'}, values)

    try:
        parsed = parse_condition(text, placeholders, "FilterExpression")
    except DynamoDBError:
        # an order of values that have none
        reject()

    if parsed.matches(item):
        json = orjson.dumps(item)
        assert all(needle in json for needle in parsed.needles)


@st.composite
def boolean_texts(draw: st.DrawFn, depth: int = 4) -> str:
    """A text over `yes` and `no` that means the same in Python."""
    kind = draw(st.sampled_from(["leaf", "not", "and", "or"])) if depth else "leaf"
    if kind == "leaf":
        return draw(st.sampled_from(["yes", "no"]))
    if kind == "not":
        inner = draw(boolean_texts(depth=depth - 1))
        return f"not {inner}" if inner in {"yes", "no"} else f"not ({inner})"
    parts = draw(st.lists(boolean_texts(depth=depth - 1), min_size=2, max_size=3))
    return f" {kind} ".join(
        f"({part})" if " " in part and draw(st.booleans()) else part for part in parts
    )


@given(boolean_texts())
def test_and_or_not_bind_as_everywhere(text: str) -> None:
    expected = eval(text, {"yes": True, "no": False})
    expression = re.sub(r"\byes\b", "t = :t", re.sub(r"\bno\b", "f = :t", text))

    assert condition(expression, {":t": {"BOOL": True}}).matches({"t": {"BOOL": True}}) == expected


def test_seqare_not_changed_by_matching() -> None:
    item: Item = {"a": {"SS": ["a"]}, "n": {"N": "1"}}
    before: Any = orjson.dumps(item)

    condition("contains(a, :v) AND size(a) = n", {":v": {"S": "a"}}).matches(item)

    assert orjson.dumps(item) == before
