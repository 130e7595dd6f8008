"""Numbers keep their value exactly, and their keys keep their order."""

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from perfkit.embedded.numbers import (
    InvalidValueError,
    add,
    canonical_number,
    number_key,
    subtract,
)

OVERFLOW = (
    "Number overflow. Attempting to store a number with magnitude larger than supported range"
)
UNDERFLOW = (
    "Number underflow. Attempting to store a number with magnitude smaller than supported range"
)
NOT_NUMERIC = "The parameter cannot be converted to a numeric value"
TOO_PRECISE = "Attempting to store more than 38 significant digits in a Number"

LARGEST = "9" * 38 + "0" * 88
SMALLEST = "0." + "0" * 129 + "1"


@st.composite
def numbers(draw: st.DrawFn) -> Decimal:
    """Any number DynamoDB can store."""
    digits = draw(st.text("0123456789", min_size=1, max_size=38)).lstrip("0")
    if not digits:
        return Decimal(0)
    magnitude = draw(st.integers(-130, 125))
    sign = draw(st.sampled_from(["", "-"]))
    return Decimal(f"{sign}{digits[0]}.{digits[1:]}E{magnitude}")


@pytest.mark.parametrize(
    ("written", "canonical"),
    [
        ("0", "0"),
        ("-0", "0"),
        ("0e125", "0"),
        ("00042", "42"),
        ("+7", "7"),
        ("1.0", "1"),
        ("1.", "1"),
        (".5", "0.5"),
        ("3.1400", "3.14"),
        ("0042.1200", "42.12"),
        ("1.5E2", "150"),
        ("-2.50e-3", "-0.0025"),
        ("1e0000000000000000000000002", "100"),
        ("1E125", "1" + "0" * 125),
        ("9." + "9" * 37 + "E+125", LARGEST),
        ("1e-130", SMALLEST),
        ("1" + "0" * 38, "1" + "0" * 38),
    ],
)
def test_numbers_are_answered_as_plain_decimals(written: str, canonical: str) -> None:
    assert canonical_number(written) == canonical


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ("abc", f"{NOT_NUMERIC}: abc"),
        ("", f"{NOT_NUMERIC}: "),
        (" 1", f"{NOT_NUMERIC}:  1"),
        ("1 ", f"{NOT_NUMERIC}: 1 "),
        ("1.2.3", f"{NOT_NUMERIC}: 1.2.3"),
        ("0x10", f"{NOT_NUMERIC}: 0x10"),
        ("1e", f"{NOT_NUMERIC}: 1e"),
        (".", f"{NOT_NUMERIC}: ."),
        ("NaN", f"{NOT_NUMERIC}: NaN"),
        ("Infinity", f"{NOT_NUMERIC}: Infinity"),
        ("1_000", f"{NOT_NUMERIC}: 1_000"),
        ("\u0661", f"{NOT_NUMERIC}: \u0661"),
        ("1e9223372036854775808", f"{NOT_NUMERIC}: 1e9223372036854775808"),
        ("1e126", OVERFLOW),
        ("-1e126", OVERFLOW),
        ("11e125", OVERFLOW),
        ("1e99999999999", OVERFLOW),
        ("0e126", OVERFLOW),
        ("1e-131", UNDERFLOW),
        ("0.9e-130", UNDERFLOW),
        ("0e-131", UNDERFLOW),
        ("1" * 39, TOO_PRECISE),
        pytest.param(
            "1" * 100_000 + "x", f"{NOT_NUMERIC}: {'1' * 100_000}x", id="a long text, at once"
        ),
        ("1." + "0" * 37 + "1", TOO_PRECISE),
    ],
)
def test_what_is_no_storable_number_is_refused_in_the_words_of_aws(
    written: str, message: str
) -> None:
    with pytest.raises(InvalidValueError) as refusal:
        canonical_number(written)

    assert refusal.value.message == message


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ("", NOT_NUMERIC),
        ("abc", f"{NOT_NUMERIC}: abc"),
        ("1e126", OVERFLOW),
        ("1e2147483647", UNDERFLOW),
        ("1e2147483648", OVERFLOW),
    ],
)
def test_the_older_validation_words_some_refusals_differently(written: str, message: str) -> None:
    with pytest.raises(InvalidValueError) as refusal:
        canonical_number(written)

    assert refusal.value.older_message == message


@given(numbers())
def test_canonical_text_keeps_the_value_and_is_stable(number: Decimal) -> None:
    canonical = canonical_number(str(number))

    assert Decimal(canonical) == number
    assert canonical_number(canonical) == canonical


@given(numbers(), st.sampled_from(["f", "E", "e"]))
def test_one_number_has_one_text_however_it_is_written(number: Decimal, style: str) -> None:
    assert canonical_number(format(number, style)) == canonical_number(str(number))


@given(numbers(), numbers())
def test_keys_sort_as_the_numbers_do(first: Decimal, second: Decimal) -> None:
    first_key, second_key = number_key(str(first)), number_key(str(second))

    assert (first_key < second_key) == (first < second)
    assert (first_key == second_key) == (first == second)


@given(numbers(), numbers())
def test_no_key_is_the_beginning_of_another(first: Decimal, second: Decimal) -> None:
    """So keys can be joined to the key of several attributes and still sort."""
    first_key, second_key = number_key(str(first)), number_key(str(second))

    assert first_key == second_key or not second_key.startswith(first_key)


def test_equal_numbers_have_equal_keys() -> None:
    assert number_key("100") == number_key("1e2") == number_key("+100.00")


def fits(number: Fraction) -> bool:
    """Return whether DynamoDB holds a number: 38 digits, a magnitude of -130 to 125, or zero."""
    if number == 0:
        return True
    if not Fraction(10) ** -130 <= abs(number) < Fraction(10) ** 126:
        return False
    # as a whole number of the last place that the smallest number with 38 digits has
    places = abs(number) * 10**167
    return len(str(places.numerator).rstrip("0")) <= 38


@given(numbers(), numbers())
@example(Decimal(0), Decimal("1.1E-130"))
@example(Decimal("-1.1E-130"), Decimal("1.1E-130"))
@example(Decimal("1.12E-129"), Decimal("-1.11E-129"))
def test_sums_and_differences_are_exact_or_do_not_fit(first: Decimal, second: Decimal) -> None:
    one, two = canonical_number(str(first)), canonical_number(str(second))
    truth = Fraction(first) + Fraction(second)
    if not fits(truth):
        with pytest.raises(InvalidValueError):
            add(one, two)
        return

    total = add(one, two)

    assert Fraction(total) == truth
    assert subtract(total, two) == one


@pytest.mark.parametrize(
    ("left", "right", "total"),
    [
        ("1", "10000000000000000000000", "10000000000000000000001"),
        ("0.1", "0.2", "0.3"),
        ("5", "-5", "0"),
        ("1" + "0" * 37, "0.5", None),
        (LARGEST, "1", None),
        ("9" + "0" * 125, "9" + "0" * 125, None),
    ],
)
def test_a_sum_that_does_not_fit_overflows(left: str, right: str, total: str | None) -> None:
    if total is not None:
        assert add(left, right) == total
        return
    with pytest.raises(InvalidValueError, match="Number overflow"):
        add(left, right)


def test_a_difference_too_small_underflows() -> None:
    left, right = canonical_number("1.12e-129"), canonical_number("1.11e-129")

    with pytest.raises(InvalidValueError, match="Number underflow"):
        subtract(left, right)
