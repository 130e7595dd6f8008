"""Everything a workload file may not say, and the line that says so."""

import json
import re
import tomllib
from collections.abc import Iterator
from datetime import date, time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perfkit.errors import WorkloadError
from perfkit.workloads.generator import ItemGenerator
from perfkit.workloads.loader import read
from perfkit.workloads.model import Workload
from perfkit.workloads.problems import InvalidWorkloadError

FOLDER = Path(__file__).parent
VALID = FOLDER.joinpath("notes.toml").read_text()
ENTITIES = FOLDER.joinpath("mixed.toml").read_text()


def parse(text: str) -> Workload:
    return read(text.encode(), source="notes.toml")


def problems(text: str) -> list[str]:
    with pytest.raises(InvalidWorkloadError) as caught:
        parse(text)
    lines = str(caught.value).splitlines()
    assert all(re.match(r"notes\.toml(:\d+)?: ", line) for line in lines)
    return [line.split(": ", 1)[1] for line in lines]


def changed(old: str, new: str) -> str:
    assert VALID.count(old) == 1, f"{old!r} must name one place"
    return VALID.replace(old, new)


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        pytest.param(case["replace"], case["by"], case["says"], id=case["when"])
        for case in tomllib.loads(FOLDER.joinpath("problems.toml").read_text())["problem"]
    ],
)
def test_what_a_file_may_not_say_is_named_with_what_it_may(
    old: str, new: str, problem: str
) -> None:
    assert problem in problems(changed(old, new))


def test_every_problem_of_a_step_is_listed_one_a_line() -> None:
    text = changed("items = 100", "items = -1").replace("zipf = 0.9", "zipf = -1")

    assert problems(text) == [
        "tables.Notes.items = -1: expected at least 0",
        "tables.Notes.attributes.author_id.zipf = -1: expected more than 0",
    ]


def test_a_fact_that_every_item_shows_is_refused() -> None:
    text = changed('["red", "green"]', '["red"]').replace('author_id = "A7", color', "color")

    assert problems(text) == [
        (
            "tables.Notes.exactly[0].where: "
            "every item has these values; expected an attribute that has others too"
        )
    ]


def test_a_fact_may_not_set_what_is_unique() -> None:
    text = changed("max = 9 }", "max = 900, unique = true }").replace(
        '{ author_id = "A7", color = "red" }', "{ page = 3 }"
    )

    assert problems(text) == [
        (
            "tables.Notes.exactly[0].where.page = 3: "
            "cannot be set where every value is unique; expected unique to be left out"
        )
    ]


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        pytest.param(
            "DOG{}",
            "CAT{}",
            "tables.Mixed.entities.dog.attributes.pk: an item could have the same key as one of "
            "cat; expected a key that starts with another text",
            id="the same keys",
        ),
        pytest.param(
            'pk = { kind = "sequence", format = "DOG{}" }',
            'pk = { kind = "sequence" }',
            "tables.Mixed.entities.dog.attributes.pk: "
            "a key has one type in all items; expected the same one, got N and S",
            id="keys of two types",
        ),
        pytest.param(
            "n = 2",
            'n = { kind = "reference" }',
            "tables.Mixed.entities.dog.attributes.n: Mixed has items of several kinds: "
            "say which with entity = one of cat, dog",
            id="a reference without an entity",
        ),
        pytest.param(
            "n = 2",
            'n = { kind = "reference", entity = "cow" }',
            'tables.Mixed.entities.dog.attributes.n.entity = "cow": Mixed has no such entity; '
            "choose from cat, dog",
            id="a reference to no entity",
        ),
        pytest.param(
            "[tables.Mixed.entities.dog]",
            "[tables.Mixed.entities.Dog]",
            'tables.Mixed.entities.Dog = "Dog": '
            "expected a name of small letters, digits, '-' and '_', other than 'all'",
            id="a name in capitals",
        ),
    ],
)
def test_problems_of_entities_name_the_entity(old: str, new: str, problem: str) -> None:
    assert parse(ENTITIES).table("Mixed").items == 4
    assert ENTITIES.count(old) == 1

    assert problem in problems(ENTITIES.replace(old, new))


def test_parts_that_run_together_make_no_unique_key() -> None:
    """1 and 23 would make the same text as 12 and 3."""
    more = 'a = { kind = "integer", min = 1, max = 99 }\nb = { kind = "sequence" }\n'
    key = 'pk = { kind = "sequence", format = "DOG{}" }'
    template = 'pk = { kind = "template", format = "DOG{a}%s{b}" }\n' + more

    assert parse(ENTITIES.replace(key, template % "-")).name == "mixed"
    (problem,) = problems(ENTITIES.replace(key, template % ""))

    assert problem.startswith(
        "tables.Mixed.entities.dog.attributes.pk: two items could have the same key"
    )


def toml(value: Any) -> str:
    """Write *value* as TOML on one line."""
    match value:
        case dict():
            inner = ", ".join(f"{json.dumps(key)} = {toml(item)}" for key, item in value.items())
            return f"{{ {inner} }}"
        case list():
            return f"[{', '.join(map(toml, value))}]"
        case str() | bool():
            return json.dumps(value)
        case date() | time():
            return value.isoformat()
        case _:
            return str(value)


def paths(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield path
    if isinstance(value, dict):
        for key in value:
            yield from paths(value[key], (*path, key))
    elif isinstance(value, list):
        for number, item in enumerate(value):
            yield from paths(item, (*path, number))


BASE = tomllib.loads(VALID)
PATHS = [path for path in paths(BASE) if path]
PLAIN = (
    st.integers(-(10**20), 10**20)
    | st.floats()
    | st.booleans()
    | st.sampled_from(["", "note_id", "color", "sequence", "{x", "{color}", ":note", "é", "a\nb"])
    | st.dates()
    | st.times()
)
ANY = st.recursive(
    PLAIN,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["kind", "min", "x", "values", "item"]), inner, max_size=3
        )
    ),
    max_leaves=5,
)


def replaced(value: Any, path: tuple[Any, ...], new: Any) -> Any:
    if not path:
        return new
    step, rest = path[0], path[1:]
    if isinstance(value, list):
        return [replaced(v, rest, new) if i == step else v for i, v in enumerate(value)]
    if isinstance(value, dict):
        return {k: replaced(v, rest, new) if k == step else v for k, v in value.items()}
    # an earlier change has put something else here
    return value


@settings(max_examples=6 * settings().max_examples)
@given(changes=st.lists(st.tuples(st.sampled_from(PATHS), ANY), min_size=1, max_size=2))
def test_any_file_either_works_or_is_refused_with_a_reason(
    changes: list[tuple[tuple[Any, ...], Any]],
) -> None:
    data: Any = BASE
    for path, new in changes:
        data = replaced(data, path, new)
    text = "\n".join(f"{json.dumps(key)} = {toml(value)}" for key, value in data.items())

    try:
        workload = parse(text)
        generator = ItemGenerator(workload)
        for table in workload.tables:
            list(generator.items(table.name, 0, min(5, generator.count(table.name))))
    except WorkloadError as error:
        assert str(error)  # noqa: PT017 - either outcome is right
