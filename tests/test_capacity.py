"""Sizes and units: every figure of the documentation and of published answers, worked by hand."""

import base64
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perfkit.capacity import (
    _WRITE_UNIT_BYTES,
    INDEX_ENTRY_OVERHEAD_BYTES,
    MAX_ITEM_BYTES,
    READ_UNIT_BYTES,
    Consistency,
    _number_size,
    attribute_value_size,
    index_write_units,
    item_size,
    read_units,
    replay_units,
    write_units,
)

EVENTUAL, STRONG, TRANSACTIONAL = Consistency

digits = st.text("0123456789", min_size=1, max_size=38)
numbers = st.builds(
    lambda sign, whole, fraction: f"{sign}{whole}.{fraction}" if fraction else f"{sign}{whole}",
    st.sampled_from(["", "-"]),
    digits,
    st.one_of(st.just(""), digits),
)
sizes_bytes = st.integers(0, MAX_ITEM_BYTES)

values: st.SearchStrategy[dict[str, Any]] = st.recursive(
    st.one_of(
        st.text(max_size=30).map(lambda text: {"S": text}),
        numbers.map(lambda number: {"N": number}),
        st.binary(max_size=30).map(lambda content: {"B": content}),
        st.booleans().map(lambda truth: {"BOOL": truth}),
        st.just({"NULL": True}),
        st.lists(st.text(max_size=5), min_size=1, unique=True).map(lambda texts: {"SS": texts}),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4).map(lambda elements: {"L": elements}),
        st.dictionaries(st.text(max_size=5), inner, max_size=4).map(lambda map_: {"M": map_}),
    ),
    max_leaves=10,
)


# ---- sizes -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("number", "size_bytes"),
    [
        ("0", 1),
        ("-0", 1),
        ("0.000", 1),
        ("0E10", 1),
        ("1", 2),
        ("15", 2),
        ("100", 2),
        ("1E125", 2),
        ("1E-100", 2),
        ("0.15", 2),
        ("0.0000001", 2),
        ("123", 3),
        ("1010", 3),
        ("1.5", 3),
        ("-42", 3),
        ("1.234", 4),
        ("100.5", 4),
        ("123456", 4),
        ("3.14159", 5),
        ("9" * 38, 20),
        ("-" + "9" * 38, 21),
        ("0042.1200", 3),
        ("+7", 2),
    ],
)
def test_a_number_takes_a_byte_and_one_for_each_pair_of_digits(
    number: str, size_bytes: int
) -> None:
    assert _number_size(number) == size_bytes


@given(numbers)
def test_number_size_counts_base_100_digits_of_the_value(number: str) -> None:
    value = Decimal(number)
    sign, figures, exponent = value.as_tuple()
    assert isinstance(exponent, int)
    whole = int("".join(map(str, figures))) * (10 if exponent % 2 else 1)
    while whole and whole % 100 == 0:
        whole //= 100
    groups = 0
    while whole:
        whole //= 100
        groups += 1

    assert _number_size(number) == (1 + groups + sign if value else 1)


@given(numbers, st.integers(0, 3), st.integers(0, 3))
def test_number_size_does_not_depend_on_the_spelling(
    number: str, zeros_before: int, zeros_after: int
) -> None:
    sign, rest = ("-", number[1:]) if number.startswith("-") else ("", number)
    point = "" if "." in rest else "."
    padded = f"{sign}{'0' * zeros_before}{rest}{point}{'0' * zeros_after}"

    assert _number_size(padded) == _number_size(number)
    assert _number_size(f"{rest}E0") == _number_size(rest)


@pytest.mark.parametrize(
    ("value", "size_bytes"),
    [
        pytest.param({"S": "abc"}, 3, id="text"),
        pytest.param({"S": ""}, 0, id="empty text"),
        pytest.param({"S": "é𝄞"}, 6, id="text counts UTF-8 bytes"),
        pytest.param({"B": b"\x00\xff"}, 2, id="binary as bytes"),
        pytest.param({"B": ""}, 0, id="empty binary"),
        pytest.param({"B": "AA=="}, 1, id="base64 with two pads"),
        pytest.param({"B": "AAA="}, 2, id="base64 with one pad"),
        pytest.param({"B": "AAAA"}, 3, id="base64 without padding"),
        pytest.param({"BOOL": False}, 1, id="boolean"),
        pytest.param({"NULL": True}, 1, id="null"),
        pytest.param({"L": []}, 3, id="empty list"),
        pytest.param({"M": {}}, 3, id="empty map"),
        pytest.param({"L": [{"S": "ab"}, {"NULL": True}]}, 3 + 1 + 2 + 1 + 1, id="list"),
        pytest.param({"M": {"key": {"S": "ab"}}}, 3 + 1 + 3 + 2, id="map adds its keys"),
        pytest.param({"M": {"é": {"L": []}}}, 3 + 1 + 2 + 3, id="nested containers"),
        pytest.param({"SS": ["a", "bc", ""]}, 3, id="set of text is its members, no more"),
        pytest.param({"NS": ["1", "-42"]}, 5, id="set of numbers"),
        pytest.param({"BS": ["AA==", "AAAA"]}, 4, id="set of binary"),
    ],
)
def test_size_of_each_type(value: dict[str, Any], size_bytes: int) -> None:
    assert attribute_value_size(value) == size_bytes


def test_an_item_is_the_sum_of_its_names_and_values() -> None:
    item: dict[str, Any] = {
        "pk": {"S": "user#1"},
        "größe": {"N": "100"},
        "note": {"S": "ü"},
        "tags": {"SS": ["a", "b"]},
    }

    assert item_size(item) == (2 + 6) + (7 + 2) + (4 + 2) + (4 + 2)


@given(st.dictionaries(st.text(min_size=1, max_size=8), values, max_size=5))
def test_item_size_adds_up_attribute_by_attribute(item: dict[str, Any]) -> None:
    assert item_size(item) == sum(
        len(name.encode()) + attribute_value_size(value) for name, value in item.items()
    )


@given(st.binary(max_size=100))
def test_binary_has_one_size_whether_decoded_or_not(content: bytes) -> None:
    encoded = base64.b64encode(content).decode()

    assert attribute_value_size({"B": encoded}) == attribute_value_size({"B": content})
    assert attribute_value_size({"B": content}) == len(content)


def test_unknown_type_is_named() -> None:
    with pytest.raises(ValueError, match="no attribute type 'X'"):
        attribute_value_size({"X": 1})


def test_limits_are_dynamodbs() -> None:
    assert MAX_ITEM_BYTES == 400 * 1024 == 409_600
    assert READ_UNIT_BYTES == 4096
    assert _WRITE_UNIT_BYTES == 1024
    assert INDEX_ENTRY_OVERHEAD_BYTES == 100


# ---- reads -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("size_bytes", "eventual", "strong", "transactional"),
    [
        pytest.param(0, 0.5, 1, 2, id="missing item or empty page"),
        pytest.param(1, 0.5, 1, 2, id="tiny"),
        pytest.param(4096, 0.5, 1, 2, id="exactly one unit"),
        pytest.param(4097, 1, 2, 4, id="a byte more"),
        pytest.param(9 * 1024, 1.5, 3, 6, id="9 KB"),
        pytest.param(1 << 20, 128, 256, 512, id="a page of 1 MB"),
        pytest.param(409_600, 50, 100, 200, id="largest item"),
        pytest.param(10_000 * 1024, 1250, 2500, 5000, id="10,000 courses"),
        pytest.param(50 * 1024, 6.5, 13, 26, id="50 courses"),
        pytest.param(50_000 * 1024, 6250, 12_500, 25_000, id="50,000 enrollments"),
        pytest.param(5 * 1024, 1, 2, 4, id="5 enrollments"),
    ],
)
def test_read_units(size_bytes: int, eventual: float, strong: float, transactional: float) -> None:
    assert read_units(size_bytes) == eventual
    assert read_units(size_bytes, EVENTUAL) == eventual
    assert read_units(size_bytes, STRONG) == strong
    assert read_units(size_bytes, TRANSACTIONAL) == transactional


def test_a_batch_rounds_item_by_item_and_charges_missing_ones() -> None:
    sizes = [4096, 20, 0]

    assert sum(read_units(size, EVENTUAL) for size in sizes) == 1.5
    assert sum(read_units(size, STRONG) for size in sizes) == 3


@given(sizes_bytes, sizes_bytes)
def test_one_page_never_costs_more_than_its_parts(first: int, second: int) -> None:
    together = read_units(first + second)

    assert together <= read_units(first) + read_units(second)
    assert together >= max(read_units(first), read_units(second))


@given(sizes_bytes)
def test_strong_is_twice_eventual_and_half_transactional(size_bytes: int) -> None:
    strong = read_units(size_bytes, STRONG)

    assert strong == 2 * read_units(size_bytes, EVENTUAL)
    assert strong == read_units(size_bytes, TRANSACTIONAL) / 2
    assert 4096 * (strong - 1) < max(size_bytes, 1) <= 4096 * strong


# ---- writes ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("old_bytes", "new_bytes", "units"),
    [
        pytest.param(None, 1, 1, id="small put"),
        pytest.param(None, 1024, 1, id="exactly one unit"),
        pytest.param(None, 1025, 2, id="a byte more"),
        pytest.param(3000, 10, 3, id="shrinking is sized before"),
        pytest.param(10, 3000, 3, id="growing is sized after"),
        pytest.param(3000, None, 3, id="delete is sized on what was stored"),
        pytest.param(None, None, 1, id="delete of a missing item"),
        pytest.param(None, 409_600, 400, id="largest item"),
    ],
)
def test_write_units(old_bytes: int | None, new_bytes: int | None, units: float) -> None:
    assert write_units(old_bytes, new_bytes) == units
    assert write_units(old_bytes, new_bytes, transactional=True) == 2 * units


@pytest.mark.parametrize(
    ("old_bytes", "new_bytes", "key_changed", "view_changed", "units"),
    [
        pytest.param(None, None, False, False, 0, id="never in the index"),
        pytest.param(None, 18, True, True, 1, id="enters"),
        pytest.param(None, 3017, True, True, 3, id="enters with 3 KB"),
        pytest.param(3017, None, True, True, 3, id="leaves with 3 KB"),
        pytest.param(18, None, True, True, 1, id="leaves small"),
        pytest.param(617, 617, False, False, 0, id="same view"),
        pytest.param(3017, 18, False, True, 3, id="shrinks in place"),
        pytest.param(18, 3020, False, True, 3, id="grows in place"),
        pytest.param(617, 617, False, True, 1, id="changes in place, below 1 KB"),
        pytest.param(1517, 1517, False, True, 2, id="changes in place, above 1 KB"),
        pytest.param(2017, 117, False, True, 2, id="shrinks from 2 KB in place"),
        pytest.param(18, 18, True, True, 2, id="moves small"),
        pytest.param(1517, 1517, True, True, 4, id="moves, each end rounded"),
        pytest.param(3017, 18, True, True, 4, id="moves and shrinks"),
    ],
)
def test_index_write_units(
    old_bytes: int | None,
    new_bytes: int | None,
    key_changed: bool,
    view_changed: bool,
    units: float,
) -> None:
    found = index_write_units(
        old_bytes, new_bytes, key_changed=key_changed, view_changed=view_changed
    )

    assert found == units


@given(sizes_bytes, sizes_bytes)
def test_moving_an_entry_costs_its_removal_and_its_insertion(old: int, new: int) -> None:
    moved = index_write_units(old, new, key_changed=True, view_changed=True)
    removed = index_write_units(old, None, key_changed=True, view_changed=True)
    inserted = index_write_units(None, new, key_changed=True, view_changed=True)
    in_place = index_write_units(old, new, key_changed=False, view_changed=True)

    assert moved == removed + inserted
    assert in_place == max(removed, inserted)


@pytest.mark.parametrize(
    ("sizes", "units"),
    [
        pytest.param([9 * 1024], 6, id="9 KB before or after"),
        pytest.param([9 * 1024, 20], 8, id="rounded action by action"),
        pytest.param([1500], 2, id="1.5 KB"),
        pytest.param([0], 2, id="missing item"),
    ],
)
def test_repeating_a_transaction_reads_its_items(sizes: list[int], units: float) -> None:
    assert replay_units(sizes) == units
