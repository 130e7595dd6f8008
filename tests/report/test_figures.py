"""How reports write numbers and names."""
# ruff: noqa: RUF001 - the signs that reports print

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perfkit.report.figures import display_width, format_cell, format_value, one_line
from perfkit.report.model import Cell, Kind, Marked


@pytest.mark.parametrize(
    ("value", "kind", "written"),
    [
        pytest.param(1250.0, Kind.CAPACITY, "1,250", id="whole units"),
        pytest.param(6.5, Kind.CAPACITY, "6.5", id="half units"),
        pytest.param(0.0301, Kind.SECONDS, "30.1 ms", id="milliseconds"),
        pytest.param(4.8, Kind.SECONDS, "4.80 s", id="seconds"),
        pytest.param(96, Kind.RATIO, "96×", id="a quoted ratio stays as quoted"),
        pytest.param(58.31, Kind.RATIO, "58.3×", id="a ratio below 100"),
        pytest.param(6250.4, Kind.RATIO, "6,250×", id="a ratio above 100"),
        pytest.param(0.995, Kind.SHARE, "99.5%", id="a share"),
        pytest.param(49_995 / 50_000, Kind.SHARE, "99.99%", id="nearly all is not all"),
        pytest.param(10_240_000, Kind.BYTES, "10.2 MB", id="bytes"),
        pytest.param(50_000, Kind.COUNT, "50,000", id="a count"),
        pytest.param(10.5, Kind.COUNT, "10.5", id="an average count"),
        pytest.param(None, Kind.COUNT, "–", id="no figure"),
        pytest.param(float("nan"), Kind.SECONDS, "–", id="no number"),
    ],
)
def test_values_are_written_with_their_units(value: float | None, kind: Kind, written: str) -> None:
    assert format_value(value, kind) == written


def test_a_marked_cell_is_written_like_a_bare_one() -> None:
    cell: Cell = Marked(value=6.5, note="A footnote.")

    assert format_cell(cell, Kind.CAPACITY) == "6.5"


@pytest.mark.parametrize(
    ("text", "written"),
    [
        pytest.param("a\nb", r"a\nb", id="line feed"),
        pytest.param("\x1b[31mred", r"\x1b[31mred", id="terminal colour"),
        pytest.param("a\u202eb", r"a\u202eb", id="right to left override"),
        pytest.param("\ud800", r"\ud800", id="half a character"),
        pytest.param("[red]Kürze 日本", "[red]Kürze 日本", id="ordinary text"),
    ],
)
def test_what_could_disturb_a_terminal_is_made_visible(text: str, written: str) -> None:
    assert one_line(text) == written


@given(st.text())
def test_text_always_stays_on_one_line(text: str) -> None:
    written = one_line(text)

    assert len(written.splitlines()) <= 1
    assert not any(unicodedata.category(character) in {"Cc", "Cs"} for character in written)


@pytest.mark.parametrize(
    ("text", "cells"),
    [
        pytest.param("courses", 7, id="ascii"),
        pytest.param("192×", 4, id="one cell each"),
        pytest.param("日本", 4, id="two cells each"),
        pytest.param("e\u0301", 1, id="a combined accent"),
    ],
)
def test_width_is_counted_in_terminal_cells(text: str, cells: int) -> None:
    assert display_width(text) == cells
