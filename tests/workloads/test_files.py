"""Finding workload files, reading them, and what becomes of them."""

import pickle
from pathlib import Path

import pytest

from perfkit.errors import WorkloadError
from perfkit.workloads.loader import load, read
from perfkit.workloads.model import ItemSize, Key, Projection, Workload
from perfkit.workloads.problems import InvalidWorkloadError

VALID = Path(__file__).with_name("notes.toml").read_text()


def parse(text: str) -> Workload:
    return read(text.encode(), source="notes.toml")


def test_a_file_becomes_a_workload_with_types_inferred_from_generators() -> None:
    workload = parse(VALID)

    notes = workload.table("Notes")
    assert notes.keys == (Key(name="note_id", type="N"), Key(name="page", type="N"))
    index = workload.table("Notes").index("NotesByAuthor")
    assert index.keys == (Key(name="author_id", type="S"), Key(name="pinned_at", type="N"))
    assert index.projection is Projection.INCLUDE
    assert notes.projected(index) == frozenset(
        {"note_id", "page", "author_id", "pinned_at", "color"}
    )
    assert notes.item_size == ItemSize(min_bytes=600, max_bytes=600)
    assert workload.table("Authors").item_size is None
    assert [attribute.type for attribute in workload.table("Authors").attributes] == ["S", "BOOL"]


def test_a_pattern_has_its_values_on_the_wire_and_keeps_its_text() -> None:
    workload = parse(VALID)

    pattern = workload.pattern("by-author")
    assert pattern.parameters == {":author": {"S": "A7"}, ":since": {"N": "1700000000"}}
    assert pattern.query is not None
    assert pattern.query.index == "NotesByAuthor"
    assert pattern.get is None
    page = workload.pattern("page")
    assert page.get is not None
    assert page.get.key == {"note_id": {"N": "5"}, "page": {"N": "3"}}
    assert page.placeholders("note_id = :note") == ({}, {":note": {"N": "5"}})
    assert page.placeholders("#page = :page", None) == (
        {"#page": "page"},
        {":page": {"N": "3"}},
    )


def test_a_workload_can_be_sent_to_another_process() -> None:
    workload = parse(VALID)

    assert pickle.loads(pickle.dumps(workload)) == workload


def test_the_digest_tells_files_apart() -> None:
    assert parse(VALID).digest == parse(VALID).digest
    assert parse(VALID).digest != parse(VALID + "\n").digest


@pytest.mark.parametrize(
    ("content", "message"),
    [
        pytest.param(
            b"name = ",
            "w.toml:1: not valid TOML: Invalid value (at the end of the file); expected the value on"
            " the line of its key",
            id="cut short",
        ),
        pytest.param(
            b'name = "x"\n[tables.A\nitems = 3',
            "w.toml:2: not valid TOML: Expected ']' at the end of a table declaration (column 10)",
            id="bracket missing",
        ),
        pytest.param(
            b'name = "x"\nname = "y"',
            "w.toml:2: not valid TOML: Cannot overwrite a value (at the end of the file); it is there"
            " already, further up; keep one of the two",
            id="key twice",
        ),
        pytest.param(b'name = "x"\n# \xff', "w.toml:2: not UTF-8 text", id="not UTF-8"),
        pytest.param(
            b"",
            "w.toml: name: missing; expected a short name for the workload\n"
            "w.toml: description: missing; expected one sentence for people\n"
            "w.toml: tables: missing; expected at least one table, such as [tables.Orders]",
            id="empty",
        ),
        pytest.param(
            b'name = "x"\ndescription = "y"\ntables = 3',
            "w.toml:3: tables = 3: expected a table",
            id="no table",
        ),
    ],
)
def test_a_file_that_cannot_be_read_says_where(content: bytes, message: str) -> None:
    with pytest.raises(InvalidWorkloadError) as caught:
        read(content, source="w.toml")

    assert str(caught.value) == message


def test_the_built_in_workload_is_used_when_there_is_no_file() -> None:
    assert load().name == "courses"
    assert load(None).source == "built-in"
    assert load("courses").digest == load().digest


def test_perfkit_toml_of_the_current_folder_comes_first() -> None:
    Path("perfkit.toml").write_text(VALID)

    assert load().name == "notes"
    assert load().source == "perfkit.toml"
    assert load("courses").name == "courses"


def test_a_file_is_found_by_path_and_named_in_its_problems(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(VALID.replace("items = 100", "items = -1"))

    with pytest.raises(WorkloadError, match="expected at least 0") as caught:
        load(file)

    assert str(caught.value).startswith(f"{file}:10: tables.Notes.items")


def test_a_workload_that_is_not_there_lists_what_is() -> None:
    Path("shop.toml").write_text(VALID)
    Path("pyproject.toml").touch()

    with pytest.raises(WorkloadError) as caught:
        load("corses")

    assert str(caught.value) == (
        "no workload 'corses': neither a file nor a built-in workload; "
        "choose from courses, shop.toml, or give a path"
    )


def test_a_folder_is_no_workload(tmp_path: Path) -> None:
    with pytest.raises(WorkloadError, match="cannot be read: Is a directory"):
        load(tmp_path)


def test_unknown_parts_of_a_workload_name_the_nearest() -> None:
    workload = parse(VALID)

    with pytest.raises(WorkloadError, match=r"no table 'Note'; did you mean 'Notes'\?"):
        workload.table("Note")
    with pytest.raises(WorkloadError, match="Notes has no index 'x'; choose from NotesByAuthor"):
        workload.table("Notes").index("x")
    with pytest.raises(WorkloadError, match="no access pattern 'pages'; did you mean 'page'"):
        workload.pattern("pages")
