"""How tables find room: cut between groups, folded, and with columns left out last of all."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perfkit.report import plain
from perfkit.report.layout import Marks, lay_out
from perfkit.report.model import Column, Kind, Marked, Provenance, Row, Table


def table(*columns: Column, rows: tuple[Row, ...]) -> Table:
    return Table(name="t", title="", columns=columns, rows=rows)


def count(key: str, *, group: str = "", weight: int = 1) -> Column:
    return Column(key=key, title=key, kind=Kind.COUNT, group=group, weight=weight)


NAME = Column(key="name", title="name", label=True)


def test_a_table_that_fits_is_one_grid() -> None:
    wide = table(NAME, count("first"), count("second"), rows=({"name": "a", "first": 1},))

    grids = lay_out(wide, Marks(), 80)

    assert [grid.titles for grid in grids] == [("name", "first")]


def test_a_table_too_wide_is_cut_between_groups_and_repeats_its_labels() -> None:
    wide = table(
        NAME,
        count("read", group="items"),
        count("returned", group="items"),
        count("billed", group="RCU"),
        count("strong", group="RCU"),
        rows=({"name": "scan", "read": 1, "returned": 1, "billed": 1, "strong": 1},),
    )

    grids = lay_out(wide, Marks(), 26)

    assert [grid.titles for grid in grids] == [
        ("name", "read", "returned"),
        ("name", "billed", "strong"),
    ]


@pytest.mark.parametrize(("width", "parts"), [(17, 1), (16, 2)])
def test_a_table_is_cut_only_where_it_must_be_and_loses_nothing(width: int, parts: int) -> None:
    wide = table(
        NAME,
        count("first", group="a"),
        count("last", group="b"),
        rows=({"name": "a", "first": 1, "last": 2},),
    )

    grids = lay_out(wide, Marks(), width)

    assert len(grids) == parts
    assert not any(grid.left_out for grid in grids)


def test_rows_that_say_nothing_in_a_part_are_left_out_of_it() -> None:
    wide = table(
        NAME,
        count("first", group="one"),
        count("second", group="two"),
        rows=({"name": "a", "first": 1, "second": 2}, {"name": "b", "first": 1}),
    )

    grids = lay_out(wide, Marks(), 11)

    assert [grid.rows for grid in grids] == [(("a", "1"), ("b", "1")), (("a", "2"),)]


def test_a_row_below_its_namesake_has_its_name_where_that_one_is_left_out() -> None:
    """Blank, the twin's 57 would stand under the pattern above it."""
    wide = table(
        NAME,
        Column(key="by", title="by", label=True),
        count("first", group="one"),
        count("second", group="two"),
        rows=(
            {"name": "a", "by": "scan", "first": 1, "second": 2},
            {"name": "b", "by": "scan", "first": 1},
            {"name": "b", "by": "twin", "second": 57},
            {"name": "b", "by": "quoted", "second": 58},
        ),
    )

    grids = lay_out(wide, Marks(), 19)

    assert [grid.rows for grid in grids] == [
        (("a", "scan", "1"), ("b", "scan", "1")),
        (("a", "scan", "2"), ("b", "twin", "57"), ("", "quoted", "58")),
    ]


def test_a_table_of_one_piece_folds_ways_and_leaves_out_columns_but_breaks_no_name() -> None:
    whole = replace(
        table(
            NAME,
            Column(key="by", title="by", label=True),
            count("RCU", group="today", weight=2),
            count("median", group="today", weight=0),
            count("items", group="after"),
            rows=(
                {
                    "name": "orders-by-customer",
                    "by": "scan-filtered→query (twin)",
                    "RCU": 172,
                    "median": 9,
                    "items": 1,
                },
            ),
        ),
        one_piece=True,
    )

    (grid,) = lay_out(whole, Marks(), 48)

    assert grid.rows == (("orders-by-customer", "scan-filtered\n→query (twin)", "172", "1"),)
    assert grid.left_out == ("median",)


def test_text_of_several_words_is_folded_before_a_name_is_broken() -> None:
    """A name broken in two is neither read nor copied."""
    plan = table(
        Column(key="index", title="index", label=True),
        Column(key="entries", title="entries"),
        rows=({"index": "sensor.readings.v2BySite", "entries": "2,964 (2,932 to 2,982)"},),
    )

    (grid,) = lay_out(plan, Marks(), 42)

    assert grid.rows == (("sensor.readings.v2BySite", "2,964 (2,932 to\n2,982)"),)


def test_a_table_is_folded_rather_than_cut_where_that_takes_fewer_lines() -> None:
    short: list[Row] = [{"name": str(n), "first": n, "words": "some words"} for n in range(4)]
    wide = table(
        NAME,
        count("first"),
        Column(key="words", title="words"),
        rows=(
            *short,
            {"name": "4", "first": 4, "words": "some more words than the others have"},
        ),
    )

    (grid,) = lay_out(wide, Marks(), 30)

    assert grid.rows[-1] == ("4", "4", "some more words\nthan the others\nhave")


def test_a_column_in_which_no_row_says_anything_is_left_out() -> None:
    against = Column(key="against", title="against get (95% interval)")

    (grid,) = lay_out(table(NAME, against, rows=({"name": "get", "against": ""},)), Marks())

    assert grid.titles == ("name",)


def test_a_footnote_of_a_column_without_room_is_not_explained() -> None:
    noted = replace(count("needs", weight=0), note="Write capacity.")
    whole = replace(
        table(NAME, count("units"), noted, rows=({"name": "a", "units": 1, "needs": 2},)),
        one_piece=True,
    )

    assert "Write capacity." not in plain.render_blocks((whole,), 14)
    assert "Write capacity." in plain.render_blocks((whole,), 80)


def test_the_lightest_columns_are_left_out_where_one_group_is_too_wide_and_named() -> None:
    wide = table(
        NAME,
        count("requests", group="reads"),
        count("items", group="reads", weight=2),
        count("returned", group="reads"),
        rows=({"name": "scan", "requests": 10, "items": 10_000, "returned": 50},),
    )

    text = plain.render_blocks((wide,), 22)

    assert text == (
        "         reads\n"
        "name  requests   items\n"
        "----------------------\n"
        "scan        10  10,000\n"
        "No room here for:\n"
        "  returned. Widen the\n"
        "  terminal, or use\n"
        "  --format json.\n"
    )


def test_long_names_are_folded_before_figures_are_left_out() -> None:
    long = table(NAME, count("items"), rows=({"name": "x" * 30, "items": 5},))

    (grid,) = lay_out(long, Marks(), 27)

    assert grid.rows == (("x" * 20 + "\n" + "x" * 10, "5"),)


def test_labels_are_not_repeated_from_the_row_above() -> None:
    figures = Column(key="figures", title="figures", label=True)
    rows = tuple(
        {"name": name, "figures": figures, "items": 1}
        for name in ("courses", "profile")
        for figures in ("measured", "quoted")
    )

    (grid,) = lay_out(table(NAME, figures, count("items"), rows=rows), Marks())

    assert [row[0] for row in grid.rows] == ["courses", "", "profile", ""]


def test_a_column_that_no_row_fills_is_dropped() -> None:
    rows: tuple[Row, ...] = ({"name": "a", "items": 0, "errors": None},)

    (grid,) = lay_out(table(NAME, count("items"), count("errors"), rows=rows), Marks())

    assert grid.titles == ("name", "items")


def test_marks_are_explained_once_however_often_they_are_used() -> None:
    marks = Marks()
    modelled = Column(
        key="strong",
        title="strong",
        kind=Kind.COUNT,
        provenance=Provenance.MODELLED,
        note="Twice the billed.",
    )
    rows: tuple[Row, ...] = ({"name": Marked(value="a", note="A name."), "strong": 2},)

    (grid,) = lay_out(table(NAME, modelled, rows=rows), marks)
    lay_out(table(NAME, modelled, rows=rows), marks)

    assert grid.titles == ("name", "≈strong¹")
    assert grid.rows == (("a²", "2"),)
    assert marks.legend(whole_report=False) == (
        (
            "≈ marks figures modelled by a formula; all others are measured, unless their row says"
            " otherwise."
        ),
        "¹ Twice the billed.",
        "² A name.",
    )


def test_single_figures_are_marked_where_a_column_mixes_provenances() -> None:
    strong = Column(key="strong", title="strong", kind=Kind.COUNT)
    rows: tuple[Row, ...] = (
        {"name": "scan", "strong": 2500},
        {"name": "query", "strong": Marked(value=13, provenance=Provenance.MODELLED)},
    )

    (grid,) = lay_out(table(NAME, strong, rows=rows), Marks())

    assert grid.rows == (("scan", "2,500"), ("query", "≈13"))


@given(
    st.lists(
        st.tuples(st.text(min_size=1, max_size=30), st.sampled_from(["", "a", "b"])),
        min_size=1,
        max_size=8,
    ),
    st.lists(st.lists(st.integers(0, 10**9), min_size=8, max_size=8), min_size=1, max_size=3),
    st.integers(1, 120),
)
def test_no_figure_disappears_without_being_named(
    headings: list[tuple[str, str]], figures: list[list[int]], width: int
) -> None:
    columns = tuple(
        Column(key=str(number), title=title, kind=Kind.COUNT, group=group)
        for number, (title, group) in enumerate(headings)
    )
    rows: tuple[Row, ...] = tuple(
        {"name": "x" * 20, **{str(number): value for number, value in enumerate(row)}}
        for row in figures
    )

    grids = lay_out(table(NAME, *columns, rows=rows), Marks(), width)

    shown = [column for grid in grids for column in grid.columns if not column.label]
    left_out = [title for grid in grids for title in grid.left_out]
    assert sorted([*(column.title for column in shown), *left_out]) == sorted(
        column.title for column in columns
    )
    # One label column and one figure cannot be narrower than they are.
    assert all(grid.width <= width or len(grid.columns) == 2 for grid in grids)
