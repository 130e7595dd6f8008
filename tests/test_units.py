"""Figures as text: three digits where digits are noise, every digit where they are money."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perfkit.units import (
    _MINUS,
    TIMES,
    escape,
    escape_json,
    format_bytes,
    format_count,
    format_duration,
    format_ratio,
    format_seconds,
    format_share,
    format_units,
    format_usd,
    one_line,
)


@pytest.mark.parametrize(
    ("value_s", "text"),
    [
        (0, "0 s"),
        (4.8, "4.80 s"),
        (0.0012345, "1.23 ms"),
        (0.99949, "999 ms"),
        (0.99951, "1.00 s"),
        (0.09996, "100 ms"),
        (9.996e-3, "10.0 ms"),
        (52e-6, "52.0 µs"),
        (3e-9, "3.00 ns"),
        (4e-10, "0.400 ns"),
        (5400, "5,400 s"),
        (-0.002, "-2.00 ms"),
    ],
)
def test_seconds_have_three_digits_and_a_fitting_unit(value_s: float, text: str) -> None:
    assert format_seconds(value_s) == text


@given(st.floats(1e-9, 1e4))
def test_seconds_read_back_within_half_a_percent(value_s: float) -> None:
    number, unit = format_seconds(value_s).split()
    scale = {"s": 1.0, "ms": 1e-3, "µs": 1e-6, "ns": 1e-9}[unit]

    assert float(number.replace(",", "")) * scale == pytest.approx(value_s, rel=0.0051)


@pytest.mark.parametrize(
    ("value_s", "text"),
    [(8.4, "8 s"), (59.7, "1 min 00 s"), (125, "2 min 05 s"), (3720, "1 h 02 min")],
)
def test_durations_are_whole_and_never_sixty(value_s: float, text: str) -> None:
    assert format_duration(value_s) == text


@pytest.mark.parametrize(
    ("value_bytes", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1024, "1.02 kB"),
        (10_240_000, "10.2 MB"),
        (999_999, "1.00 MB"),
        (51_200_000_000, "51.2 GB"),
        (-2048, "-2.05 kB"),
    ],
)
def test_bytes_are_decimal(value_bytes: int, text: str) -> None:
    assert format_bytes(value_bytes) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1250.0, "1,250"),
        (6.5, "6.5"),
        (0.5, "0.5"),
        (12_500.0, "12,500"),
        (0.0, "0"),
        (2.737e-05, "0.00002737"),
    ],
)
def test_capacity_units_are_exact(value: float, text: str) -> None:
    assert format_units(value) == text


@given(st.integers(0, 10**11))
def test_half_units_lose_nothing(halves: int) -> None:
    assert float(format_units(halves / 2).replace(",", "")) == halves / 2


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (192.3, "192"),
        (6250.0, "6,250"),
        (96.34, "96.3"),
        (99.96, "100"),
        (9.996, "10.0"),
        (1.04, "1.04"),
        (0.52, "0.52"),
        (0.0001, "0.000100"),
    ],
)
def test_ratios_have_three_digits(value: float, text: str) -> None:
    assert format_ratio(value) == text + TIMES


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0%"),
        (1.0, "100%"),
        (0.25, "25%"),
        (0.995, "99.5%"),
        (49_995 / 50_000, "99.99%"),
        (4_999_999 / 5_000_000, "99.99998%"),
        (5 / 50_000, "0.01%"),
        (1e-15, "<0.0000000001%"),
    ],
)
def test_a_share_is_all_or_nothing_only_if_it_is(value: float, text: str) -> None:
    assert format_share(value) == text


def test_a_share_below_nothing_has_a_minus_sign() -> None:
    assert (format_share(-2.001), format_share(-1)) == (f"{_MINUS}200.1%", f"{_MINUS}100%")


def test_counts_are_exact() -> None:
    assert format_count(49_995) == "49,995"


@pytest.mark.parametrize(
    ("value_usd", "text"),
    [
        (118.5, "$118.50"),
        (-50, f"{_MINUS}$50.00"),
        (1_234_567.891, "$1,234,567.89"),
        (0, "$0.00"),
        (0.1 + 0.2 - 0.3, "$0.00"),
        # half a cent goes up, whatever is next to it as a binary fraction
        (2053.125, "$2,053.13"),
        (-2053.125, f"{_MINUS}$2,053.13"),
        (1.005, "$1.01"),
        (0.005, "$0.01"),
        (0.00013, "$0.00013"),
        (1.25e-7, "$0.000000125"),
        (2.3e-9, "$0.0000000023"),
    ],
)
def test_amounts_have_cents_and_prices_all_their_digits(value_usd: float, text: str) -> None:
    assert format_usd(value_usd) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        pytest.param("plain text with é, 語, 👩\N{ZERO WIDTH JOINER}💻", None, id="text"),
        pytest.param("\x1b]0;title\x07\x1b[31m", r"\x1b]0;title\x07\x1b[31m", id="escape codes"),
        pytest.param("\x9b31m\x9d0;x\x9c", r"\x9b31m\x9d0;x\x9c", id="C1 codes"),
        pytest.param("a\tb\r\nc\x7f", r"a\tb\r\nc\x7f", id="lines"),
        pytest.param("\u202egnp.exe\u2066\u200f", r"\u202egnp.exe\u2066\u200f", id="direction"),
        pytest.param("caf\udce9\u2028", r"caf\udce9\u2028", id="no text"),
    ],
)
def test_what_a_terminal_obeys_is_shown_instead(text: str, shown: str | None) -> None:
    assert one_line(text) == (shown or text)
    assert escape(f"{text}\n{text}") == escape(text) + "\n" + escape(text)
    assert json.loads(escape_json(json.dumps([text], ensure_ascii=False))) == [text]
    assert escape_json(json.dumps(text, ensure_ascii=False)).isprintable() is (shown is not None)
