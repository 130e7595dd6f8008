"""`perfkit workload` from the outside: what it explains and what it refuses."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from perfkit.cli import app

FOLDER = Path(__file__).parents[1] / "workloads"
NOTES = FOLDER / "notes.toml"


def perfkit_workload(*arguments: str | Path) -> Result:
    return CliRunner(env={"PERFKIT_WORKLOAD": None, "COLUMNS": None}).invoke(
        app, ["workload", *map(str, arguments)]
    )


def document(*arguments: str | Path) -> Any:
    result = perfkit_workload(*arguments, "--json")
    return json.loads(result.stdout)


def test_a_valid_file_is_summed_up_in_one_line() -> None:
    result = perfkit_workload("validate", NOTES)

    assert (result.exit_code, result.stdout) == (
        0,
        f"{NOTES} is a valid workload: notes, 2 tables, 110 items, 1 index, 2 access patterns\n",
    )


def test_tables_that_are_there_are_not_said_to_have_no_items() -> None:
    orders = Path(__file__).parents[2] / "examples" / "orders" / "perfkit.toml"

    result = perfkit_workload("validate", orders)

    assert result.stdout == (
        f"{orders} is a valid workload: orders, 3 tables (exist already), 6 indexes,"
        " 8 access patterns\n"
    )


def test_a_wrong_file_is_refused_with_every_problem_on_standard_error() -> None:
    Path("wrong.toml").write_text(
        NOTES.read_text().replace("items = 100", "items = -1").replace("ttl_s = 30", "ttl = 30")
    )

    result = perfkit_workload("validate", "wrong.toml")

    assert (result.exit_code, result.stdout, result.stderr) == (
        2,
        "",
        (
            "Error: wrong.toml:10: tables.Notes.items = -1: expected at least 0\n"
            "wrong.toml:40: patterns.by-author.cache.ttl_s: "
            "missing; expected how many seconds an answer is kept\n"
            "wrong.toml:40: patterns.by-author.cache.ttl: "
            "no such key; did you mean 'ttl_s'? choose from key, ttl_s\n"
        ),
    )


def test_problems_come_as_a_document_when_asked_for() -> None:
    Path("wrong.toml").write_text(NOTES.read_text().replace("items = 100", "items = -1"))

    result = perfkit_workload("validate", "wrong.toml", "--json")

    assert (result.exit_code, result.stderr) == (2, "")
    assert json.loads(result.stdout) == {
        "file": "wrong.toml",
        "valid": False,
        "problems": [
            {
                "line": 10,
                "key": "tables.Notes.items",
                "value": "-1",
                "message": "expected at least 0",
            }
        ],
    }
    valid = document("validate", NOTES)
    assert (valid["file"], valid["valid"], valid["problems"]) == (str(NOTES), True, [])


def test_a_file_that_is_not_there_is_an_error_with_the_choices() -> None:
    result = perfkit_workload("show", "none.toml")

    assert result.exit_code == 2
    assert "no workload 'none.toml': neither a file nor a built-in workload" in result.stderr
    assert "choose from courses" in result.stderr


def test_the_built_in_workload_is_explained_when_there_is_no_file() -> None:
    shown = perfkit_workload("show").stdout

    assert shown.startswith("courses (built-in): Courses, enrollments and users")
    Path("perfkit.toml").write_text(NOTES.read_text())
    assert perfkit_workload("show").stdout.startswith("notes (perfkit.toml): Notes and")
    named = perfkit_workload("show", "courses").stdout
    assert named.replace(" courses -v", " -v") == shown


@pytest.mark.parametrize("name", ["notes", "mixed"])
def test_show_explains_a_whole_file(name: str) -> None:
    """The text is kept beside the file it explains; run this test's command to renew it."""
    result = perfkit_workload("show", FOLDER / f"{name}.toml", "-v")

    expected = (FOLDER / f"{name}.txt").read_text()
    assert result.stdout.replace(f"{FOLDER}/", "") == expected


def test_show_has_a_line_for_each_pattern_on_one_screen(monkeypatch: pytest.MonkeyPatch) -> None:
    orders = Path(__file__).parents[2] / "examples" / "orders" / "perfkit.toml"
    monkeypatch.setenv("COLUMNS", "80")

    shown = CliRunner().invoke(app, ["workload", "show", str(orders)]).stdout
    lines = shown.splitlines()

    assert len(lines) <= 40
    assert max(map(len, lines[1:-1])) <= 80
    rows = [re.split(r"\s{2,}", line.strip()) for line in lines]
    assert ["orders-with-coupon", "Orders", "scan-filtered", "query by-coupon"] in rows
    assert ["returned", "Orders", "query, then more"] in rows
    assert ["products", "Products", "query by key", "60 s"] in rows
    assert ["by-status", "Orders", "status, order_id", "INCLUDE 3 attributes", "exists"] in rows
    assert "Traffic: 13.35 calls a second (8 patterns), 0.5 writes a second (1 table)" in lines
    assert lines[-1] == f"More: perfkit workload show {orders} -v"


def test_a_large_workload_is_one_screen_too_and_whole_behind_v(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    tables = "".join(
        f"""
        [tables.Table{number:02}]
        items = 1
        partition_key = "id"
        [tables.Table{number:02}.attributes]
        id = {{ kind = "sequence", format = "{{}}" }}
        holder = {{ kind = "sequence", format = "{{}}" }}
        [tables.Table{number:02}.indexes.Index{number:02}]
        partition_key = "holder"
        [patterns.pattern-{number:02}]
        description = "A question that takes a whole line of eighty columns, and then some more"
        table = "Table{number:02}"
        parameters = {{ a_name_that_is_long = "1", a_name_that_is_as_long = "2" }}
        scan.filter = "id = :a_name_that_is_long AND holder = :a_name_that_is_as_long"
        query.index = "Index{number:02}"
        query.key_condition = "holder = :a_name_that_is_as_long"
        """
        for number in range(20)
    )
    Path("large.toml").write_text(f'name = "large"\ndescription = "Many"\n{tables}')

    short = CliRunner().invoke(app, ["workload", "show", "large.toml"]).stdout.splitlines()
    whole = CliRunner().invoke(app, ["workload", "show", "large.toml", "-v"]).stdout.splitlines()

    assert len(short) <= 45
    assert "Access patterns: the first 14 of 20 patterns" in short
    assert not [line for line in whole if len(line) > 80]
    assert (
        "pattern-19: A question that takes a whole line of eighty columns, and then some" in whole
    )


def test_show_gives_sizes_entries_and_examples_as_values() -> None:
    shown = document("show", NOTES)

    authors, notes = shown["tables"]
    assert (notes["items"], notes["total_bytes"], notes["exact"]) == (100, 60_000, True)
    assert notes["partition_key"] == {"name": "note_id", "type": "N"}
    assert notes["indexes"][0]["entries"] == 10
    assert notes["indexes"][0]["exact"] is False
    (entity,) = notes["entities"]
    assert entity["example"]["note_id"] == {"N": "1"}
    assert entity["exactly"] == [
        {"items": 3, "where": {"author_id": {"S": "A7"}, "color": {"S": "red"}}}
    ]
    # active 6 + 1, author_id 9 + "A1" to "A9" 2 or "A10" 3
    assert authors["entities"][0]["item_bytes"] == {"min": 18, "mean": 18.1, "max": 19}
    assert authors["exact"] is False


def test_show_gives_every_pattern_with_its_cache_and_quoted_figures() -> None:
    patterns = {pattern["name"]: pattern for pattern in document("show", "courses")["patterns"]}

    assert patterns["profile"]["get"] == {"key": {"user_id": {"S": "student123"}}}
    assert patterns["profile"]["query"] is None
    courses = patterns["courses"]
    assert courses["query"]["index"] == "CoursesBySemester"
    assert courses["cache"] == {
        "key": "courses:semester:{semester}:department:{department}",
        "ttl_s": 300.0,
    }
    assert courses["quoted"]["before"]["rcu"] == 2500
