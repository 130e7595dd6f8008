"""What somebody types who knows SQL, JSON, YAML or DynamoDB's console, and what he is told to write."""

import json
import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from perfkit.cli import app
from perfkit.workloads.answers import unanswered
from perfkit.workloads.lines import Lines
from perfkit.workloads.loader import doubts, load, read
from perfkit.workloads.problems import InvalidWorkloadError

FOLDER = Path(__file__).parent
VALID = FOLDER.joinpath("notes.toml").read_text()
COURSES = Path(__file__).parents[2] / "perfkit" / "workloads" / "courses.toml"
EXAMPLE = Path(__file__).parents[2] / "examples" / "shop.toml"

COUNT = "items = 100"
SIZE = "item_size = 600"
KIND = 'status = { kind = "words", min = 1, max = 2 }'
FILTER = 'scan.filter = "note_id = :note AND #page = :page"'
QUERY = 'query.key_condition = "author_id = :author AND pinned_at > :since"'
TTL = "ttl_s = 30"
SINCE = "since = 1_700_000_000"


def problem(old: str, new: str) -> str:
    assert VALID.count(old) == 1
    with pytest.raises(InvalidWorkloadError) as caught:
        read(VALID.replace(old, new).encode(), source="notes.toml")
    return str(caught.value)


@pytest.mark.parametrize(
    ("old", "new", "advice"),
    [
        # numbers
        (COUNT, "items = 20,000", "write 20_000"),
        (COUNT, 'items = "20,000"', "write 20_000"),
        (COUNT, 'items = "20k"', "write 20_000"),
        (COUNT, "items = 20k", "write the number out, such as 20_000"),
        (COUNT, "items = 20 000", "write 20_000"),
        (COUNT, "items = 2e4", "write 20_000"),
        (COUNT, "items = 020000", "a number has no leading zero"),
        (COUNT, "count = 100", "did you mean 'items'?"),
        (COUNT, "rows = 100", "did you mean 'items'?"),
        # sizes
        (SIZE, 'item_size = "200B-4KB"', "write { min = 200, max = 4_096 }, in bytes"),
        (SIZE, 'item_size = "200 to 4000"', "write { min = 200, max = 4_000 }, in bytes"),
        (SIZE, "item_size = [200, 4000]", "write { min = 200, max = 4_000 }, in bytes"),
        (SIZE, 'item_size = "1 KB"', "write 1_024, the number of bytes"),
        (SIZE, "item_size = 1KB", "write the number of bytes, such as 4_096"),
        (SIZE, 'size = "1KB"', "did you mean 'item_size'?"),
        # times and shares
        (TTL, 'ttl_s = "5m"', "write 300"),
        (TTL, "ttl_s = 5m", "write the number of seconds, such as 300"),
        (TTL, "ttl = 30", "did you mean 'ttl_s'?"),
        ("present = 0.1", 'present = "10%"', "write 0.1"),
        ("present = 0.1", "present = 10", "write 0.1 for 10%"),
        ("present = 0.1", "present = 10%", "write a share, such as 0.5"),
        ("epoch = true", 'epoch = "yes"', "write true, without quotes"),
        ("epoch = true", "epoch = True", "write true or false"),
        ("min = 2025-01-01", "min = 01/01/2025", "write a date as 2026-01-31"),
        # kinds and keys
        (KIND, 'status = { kind = "uuid" }', 'nearest is kind = "sequence"'),
        (KIND, 'status = { kind = "string" }', 'nearest is kind = "words"'),
        (KIND, 'status = { kind = "enum" }', 'nearest is kind = "choice"'),
        (KIND, 'status = { kind = "foreign_key" }', 'nearest is kind = "reference"'),
        (KIND, 'status = { kind = "datetime" }', 'nearest is kind = "timestamp"'),
        (KIND, 'status = { kind = "float" }', 'nearest is kind = "decimal"'),
        (KIND, 'status = { kind = "constant" }', "write the value itself"),
        (KIND, 'status = { type = "words", min = 1, max = 2 }', "a table with a kind"),
        ('sort_key = "page"', 'range_key = "page"', "did you mean 'sort_key'?"),
        ('partition_key = "note_id"', 'hash_key = "note_id"', "did you mean 'partition_key'?"),
        ('projection = "INCLUDE"', 'projection = "include"', "'INCLUDE'"),
        ('values = ["red", "green"]', 'values = "red,green"', 'write ["red", "green"]'),
        # conditions
        (QUERY, QUERY.replace(" = :a", " == :a"), "equality is written ="),
        (QUERY, QUERY.replace("pinned_at >", "pinned_at !="), "inequality is written <>"),
        (QUERY, QUERY.replace("AND", "&&"), "write AND"),
        (
            QUERY,
            QUERY.replace("> :since", "> :since AND pinned_at < :until"),
            ":until is no parameter of the pattern",
        ),
        (
            f"{SINCE} }}",
            f"{SINCE}, until = 1_800_000_000 }}",
            "no expression uses :until",
        ),
        (QUERY, QUERY.replace("pinned_at > :since", "pinned_at LIKE :since"), "begins_with("),
        (QUERY, QUERY.replace("pinned_at > :since", "contains(pinned_at, :since)"), "begins_with"),
        (QUERY, QUERY.replace("AND", "OR"), "a query reads one partition"),
        (QUERY, QUERY.replace("pinned_at >", "pinned_at <>"), "a key condition knows ="),
        # filters
        (FILTER, 'scan.filter = "note_id LIKE :note AND #page = :page"', "contains(attribute, :text)"),
        (FILTER, 'scan.filter = "note_id = 5 AND #page = :page"', "parameters = { note_id = 5 }"),
        (
            FILTER,
            "scan.filter = \"color = 'red' AND note_id = :note AND #page = :page\"",
            'parameters = { color = "red" }',
        ),
        (FILTER, 'scan.filter = "note_id IS NULL"', "write attribute_not_exists(note_id)"),
        (FILTER, 'scan.filter = "note_id is not null"', "write attribute_exists(note_id)"),
        (FILTER, 'scan.filter = "note_id IN :note"', "IN (:a, :b)"),
        (FILTER, 'scan.filter = "note_id NOT IN (:note)"', "write NOT note_id IN (:a, :b)"),
        (FILTER, 'scan.filter = "note_id BETWEEN :note, :page"', "write BETWEEN :a AND :b"),
        (FILTER, 'scan.filter = "starts_with(label, :note)"', "begins_with"),
        (FILTER, 'scan.filter = "length(label) > :note"', "the function is called size"),
        (FILTER, 'scan.filter = "lower(label) = :note"', "there is no such function"),
        (FILTER, 'scan.filter = "SELECT * FROM Notes WHERE note_id = :note"', "the condition alone"),
        (FILTER, 'scan.filter = "note_id = :note ORDER BY page"', "descending = true"),
        (FILTER, 'scan.filter = "note_id = @note"', "a parameter is written :note"),
        (FILTER, 'scan.filter = "note_id = {note}"', "a parameter is written :note"),
        (FILTER, 'scan.filter = "note_id = ?"', "a parameter is written with its name"),
        (FILTER, 'scan.filter = "`page` = :page"', "is written #page"),
        (FILTER, 'scan.filter = "note_id = :note;"', "leave out the semicolon"),
        (FILTER, 'scan = "note_id = :note"', "write scan.filter"),
        # syntax of other files
        (COUNT, "items: 100", "TOML writes key = value"),
        (COUNT, "items == 100", "write one = between key and value"),
        (COUNT, "items = 100;", "leave out what follows the value"),
        (COUNT, "items = 100 // many", "a comment starts with #"),
        (COUNT, "// many\nitems = 100", "a comment starts with #"),
        (COUNT, "-- many\nitems = 100", "a comment starts with #"),
        (COUNT, "items = null", "there is no null"),
        ('partition_key = "note_id"', "partition_key = note_id", 'put text in quotes: "note_id"'),
        ('partition_key = "note_id"', "partition_key = “note_id”", "write straight quotes"),
        ('partition_key = "note_id"', 'partition_key = "note_id', "a text ends on its line"),
        (KIND, 'status = { "kind": "words", "min": 1, "max": 2 }', 'not { "key": value }'),
        (COUNT, "items = 100\nitems = 200", "it is there already"),
    ],
)  # fmt: skip
def test_what_was_meant_is_said(old: str, new: str, advice: str) -> None:
    assert advice in problem(old, new)


def test_two_bounds_of_a_key_are_written_as_between() -> None:
    text = VALID.replace(f"{SINCE} }}", f"{SINCE}, until = 1_800_000_000 }}").replace(
        "pinned_at > :since", "pinned_at > :since AND pinned_at < :until"
    )

    with pytest.raises(InvalidWorkloadError) as caught:
        read(text.encode(), source="notes.toml")

    assert "write pinned_at BETWEEN :since AND :until, which takes in both ends" in str(
        caught.value
    )


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (COUNT, "items = 20,000"),
        (COUNT, "items = -5"),
        ('["red", "green"]', '[\n  "red",\n  3,\n]'),
        (TTL, "ttl_s = 0"),
        ('note_id = ":note"', 'note_id = ":nte"'),
        (FILTER, FILTER.replace("note_id", "nota_id")),
        ('color = "red"', 'color = "blue"'),
    ],
)
def test_a_problem_names_its_line(old: str, new: str) -> None:
    changed = VALID.replace(old, new)
    lines = [
        number
        for number, (was, now) in enumerate(
            zip(VALID.splitlines(), changed.splitlines(), strict=False), start=1
        )
        if was != now
    ]

    message = problem(old, new)

    assert message.startswith(f"notes.toml:{lines[0]}: ")


@pytest.mark.parametrize("file", [*sorted(FOLDER.glob("*.toml")), COURSES], ids=lambda p: p.name)
def test_every_key_of_a_file_stands_where_it_is_said_to(file: Path) -> None:
    text = file.read_text()
    lines = Lines(text)
    written = text.splitlines()

    def walk(value: object, path: tuple[str | int, ...]) -> None:
        line = lines.line(path) if path else None
        if path and isinstance(path[-1], str):
            assert line is not None
            # a dotted key or a heading names several
            assert path[-1] in written[line - 1], path
        if isinstance(value, dict):
            for key, inner in value.items():
                walk(inner, (*path, key))
        elif isinstance(value, list):
            for number, inner in enumerate(value):
                walk(inner, (*path, number))

    walk(tomllib.loads(text), ())


@given(st.text(max_size=200))
def test_any_text_either_works_or_is_refused_with_a_reason(text: str) -> None:
    try:
        data = tomllib.loads(text)
    except ValueError:
        with pytest.raises(InvalidWorkloadError):
            read(text.encode("utf-8", "surrogatepass"), source="notes.toml")
    else:
        for key in data:
            assert Lines(text).line((key,)) is not None


# ---- questions without an answer ---------------------------------------------------------


@pytest.mark.parametrize(
    ("old", "new", "doubt"),
    [
        pytest.param(
            'author = "A7", since',
            'author = "A11", since',
            'notes.toml:35: patterns.by-author.parameters.author = "A11": no item has this'
            " author_id: they are A1 to A10; nothing will be found",
            id="a reference",
        ),
        pytest.param(
            "note = 5, page = 3",
            "note = 101, page = 3",
            "notes.toml:45: patterns.page.parameters.note = 101: no item has this note_id: they are"
            " 1 to 100; nothing will be found",
            id="a sequence",
        ),
        pytest.param(
            "note = 5, page = 3",
            "note = 5, page = 12",
            "notes.toml:45: patterns.page.parameters.page = 12: no item has this page: it is one of"
            " 1 to 9; nothing will be found",
            id="an integer",
        ),
    ],
)
def test_a_parameter_that_no_item_has_is_pointed_out(
    old: str, new: str, doubt: str, tmp_path: Path
) -> None:
    file = tmp_path / "notes.toml"
    file.write_text(VALID.replace(old, new))

    found = [each.at_line("notes.toml") for each in doubts(load(file))]

    assert found == [doubt]


def test_values_that_never_occur_together_are_found_among_few_items() -> None:
    """Each note has a page, so of two pages of one note at least one has no item."""
    texts = [VALID.replace("note = 5, page = 3", f"note = 5, page = {page}") for page in (3, 4)]
    workloads = [read(text.encode(), source="notes.toml") for text in texts]

    assert [list(unanswered(each)) for each in workloads] == [[], []]
    found = [problem.key for each in workloads for problem in unanswered(each, make_items=True)]

    assert "patterns.page.scan.filter" in found


@pytest.mark.parametrize("name", ["courses", str(EXAMPLE)])
def test_the_workloads_that_come_with_perfkit_have_answers(name: str) -> None:
    assert doubts(load(name), make_items=True) == []


def test_commands_that_measure_warn_and_validate_lists_the_warning(tmp_path: Path) -> None:
    file = tmp_path / "notes.toml"
    file.write_text(VALID.replace("page = 3 }", "page = 12 }"))
    warning = f"{file}:45: patterns.page.parameters.page = 12: no item has this page"

    checked = CliRunner().invoke(app, ["workload", "validate", str(file)])
    listed = CliRunner().invoke(app, ["workload", "validate", str(file), "--json"])
    seeded = CliRunner().invoke(app, ["seed", "--workload", str(file)])

    assert (checked.exit_code, listed.exit_code, seeded.exit_code) == (0, 0, 0)
    assert f"Warning: {warning}" in checked.stderr
    keys = [each["key"] for each in json.loads(listed.stdout)["warnings"]]
    assert "patterns.page.parameters.page" in keys
    assert f"Warning: {warning}" in seeded.stderr
