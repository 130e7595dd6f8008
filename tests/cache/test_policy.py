"""Keys: every question has its own, and a write finds all of those it changes the answer to."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perfkit.cache.policy import Keys, Place
from perfkit.errors import ConfigError
from perfkit.workloads.loader import load
from perfkit.workloads.model import CachePolicy, GetForm, QueryForm, Workload

COURSES = load("courses")


def with_pattern(**changes: Any) -> Workload:
    """Return the course workload with one pattern, "courses", that is different."""
    pattern = replace(COURSES.pattern("courses"), **changes)
    return replace(COURSES, patterns=(pattern,))


def query(key_condition: str, **more: Any) -> dict[str, Any]:
    return {"query": QueryForm(index=None, key_condition=key_condition, **more)}


def template(text: str) -> dict[str, Any]:
    return {"cache": CachePolicy(key=text, ttl_s=60)}


def place(keys: Keys, parameters: dict[str, Any], variant: str = "") -> Place:
    found = keys.template("courses")
    assert found is not None
    return found.place(parameters, variant)


def text(**values: str) -> dict[str, dict[str, str]]:
    return {f":{name}": {"S": value} for name, value in values.items()}


def test_a_key_is_the_workloads_template_with_a_version() -> None:
    assert place(Keys(COURSES, "7"), text(semester="1", department="CS")) == (
        "perfkit:7:courses:semester:1:department:CS",
        b"",
    )


def test_a_template_without_the_patterns_name_gets_it() -> None:
    """Two patterns with the same template must not read each other's answers."""
    keys = Keys(COURSES, "1")
    found = keys.template("roster")

    assert found is not None
    assert found.place(text(course="C1")).key == "perfkit:1:roster:enrollments:course:C1"


def test_a_pattern_without_a_policy_has_no_keys() -> None:
    keys = Keys(with_pattern(cache=None), "1")

    assert keys.template("courses") is None
    assert keys.affected("Courses", {"semester_id": {"S": "1"}}) == ()
    assert keys.longest_ttl_s == 0


TEXTS = st.text(st.characters(codec=None, exclude_categories=())) | st.sampled_from(
    ["", ":", "*", "%", "%3A", "1:department:CS", "CS:", "a|b", "\ud800", "\x00", "ä", "a\u0308"]
)


@settings(deadline=None)
@given(TEXTS, TEXTS, TEXTS, TEXTS, TEXTS, TEXTS)
@pytest.mark.parametrize(
    "shape",
    [
        "courses:semester:{semester}:department:{department}",
        "{semester}{department}",
        "courses:{semester}x{department}",
        "courses:{semester}%3A{department}",
        "courses:{department}:{semester}:",
    ],
)
def test_no_two_questions_share_a_place(
    shape: str, a: str, b: str, variant: str, c: str, d: str, other: str
) -> None:
    keys = Keys(with_pattern(**template(shape)), "1")

    one = place(keys, text(semester=a, department=b), variant)
    two = place(keys, text(semester=c, department=d), other)

    assert (one == two) == ((a, b, variant) == (c, d, other))
    assert one.key.isascii()


@settings(deadline=None)
@given(TEXTS, TEXTS, TEXTS, TEXTS)
def test_no_two_ranges_share_a_place(a: str, b: str, c: str, d: str) -> None:
    keys = Keys(
        with_pattern(
            **query("semester_id = :semester AND department_id >= :department"),
            **template("courses:{semester}:{department}"),
        ),
        "1",
    )

    one = place(keys, text(semester="1", department=a), b)
    two = place(keys, text(semester="1", department=c), d)

    assert (one == two) == ((a, b) == (c, d))
    assert one.key == two.key == "perfkit:1:courses:1:*"


def test_equal_numbers_share_a_key() -> None:
    keys = Keys(with_pattern(parameters={":semester": {"N": "1"}, ":department": {"S": ""}}), "1")

    one = place(keys, {":semester": {"N": "10"}, ":department": {"S": "CS"}})
    two = place(keys, {":semester": {"N": "1.0E1"}, ":department": {"S": "CS"}})

    assert one == two


@pytest.mark.parametrize(
    ("parameters", "told"),
    [
        pytest.param(text(semester="1"), "needs :department", id="missing"),
        pytest.param(
            {":semester": {"N": "1"}, ":department": {"S": "CS"}}, "got {'N': '1'}", id="type"
        ),
        pytest.param(
            {":semester": {"S": 1}, ":department": {"S": "CS"}}, "no text", id="not a text"
        ),
    ],
)
def test_a_wrong_parameter_is_named(parameters: dict[str, Any], told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        place(Keys(COURSES, "1"), parameters)


def test_a_number_that_is_none_is_refused() -> None:
    keys = Keys(with_pattern(parameters={":semester": {"N": "1"}, ":department": {"S": ""}}), "1")

    with pytest.raises(ConfigError, match="no number for a cache key: 'one'"):
        place(keys, {":semester": {"N": "one"}, ":department": {"S": "CS"}})


# ---- what a write affects ----------------------------------------------------------------

COURSE = {
    "course_id": {"S": "C1"},
    "semester_id": {"S": "1"},
    "department_id": {"S": "CS"},
    "instructor_id": {"S": "I042"},
}


def test_a_new_item_affects_every_answer_it_is_in() -> None:
    assert Keys(COURSES, "1").affected("Courses", None, COURSE) == (
        "perfkit:1:courses:semester:1:department:CS",
        "perfkit:1:instructor:courses:instructor:I042",
    )


def test_a_change_affects_the_answers_before_and_after() -> None:
    moved = {**COURSE, "semester_id": {"S": "2"}}

    assert Keys(COURSES, "1").affected("Courses", COURSE, moved) == (
        "perfkit:1:courses:semester:1:department:CS",
        "perfkit:1:courses:semester:2:department:CS",
        "perfkit:1:instructor:courses:instructor:I042",
    )


def test_the_key_of_a_write_is_the_key_of_the_question() -> None:
    """For every pattern: what is read under a place is found again from the item."""
    keys = Keys(COURSES, "1")
    items = {
        "courses": {"semester_id": {"S": "1:2"}, "department_id": {"S": "Ü*"}},
        "instructor": {"instructor_id": {"S": "{I}"}},
        "enrollments": {"user_id": {"S": "a/b"}},
        "roster": {"course_id": {"S": ""}},
        "profile": {"user_id": {"S": "%"}},
    }
    parameters = {
        "courses": text(semester="1:2", department="Ü*"),
        "instructor": text(instructor="{I}"),
        "enrollments": text(user="a/b"),
        "roster": text(course=""),
        "profile": text(user="%"),
    }

    for pattern in COURSES.patterns:
        found = keys.template(pattern.name)
        assert found is not None
        key = found.place(parameters[pattern.name], "any").key
        assert keys.affected(pattern.table, items[pattern.name]) == (key,)


def test_an_item_without_the_attribute_is_in_no_answer() -> None:
    keys = Keys(COURSES, "1")

    assert keys.affected("Courses", {"semester_id": {"S": "1"}}) == ()
    assert keys.affected("Courses", {**COURSE, "department_id": {"N": "1"}})[0].startswith(
        "perfkit:1:instructor:"
    )


def test_another_table_affects_nothing() -> None:
    assert Keys(COURSES, "1").affected("Rooms", COURSE) == ()


@pytest.mark.parametrize(
    "more",
    [
        pytest.param(query("semester_id = :semester AND department_id > :department"), id="range"),
        pytest.param(
            query("semester_id = :semester", filter="begins_with(title, :department)"), id="filter"
        ),
        pytest.param(
            query("semester_id = :semester", filter="credits = :department OR title = :department"),
            id="either",
        ),
        pytest.param(query("semester_id = :semester", filter="a.b = :department"), id="nested"),
    ],
)
def test_what_an_item_does_not_determine_is_left_to_the_variant(more: dict[str, Any]) -> None:
    """All the answers the item may be in are under one key, so one invalidation reaches them."""
    keys = Keys(with_pattern(**more, **template("{department}/{semester}")), "1")

    one = place(keys, text(semester="1", department="A"))
    two = place(keys, text(semester="1", department="B"))

    assert one != two
    assert keys.affected("Courses", COURSE) == (one.key,) == (two.key,)


def test_a_filter_for_equality_determines_too() -> None:
    keys = Keys(
        with_pattern(
            names={"#d": "department_id"},
            **query("semester_id = :semester", filter="credits > :x AND (:department = #d)"),
            **template("{semester}:{department}"),
        ),
        "1",
    )

    assert keys.affected("Courses", COURSE) == ("perfkit:1:courses:1:CS",)


def test_one_parameter_for_two_attributes_needs_both() -> None:
    keys = Keys(
        with_pattern(
            **query("semester_id = :semester", filter="department_id = :semester"),
            **template("{semester}"),
        ),
        "1",
    )

    assert keys.affected("Courses", COURSE) == ()
    assert keys.affected("Courses", {**COURSE, "department_id": {"S": "1"}}) == (
        "perfkit:1:courses:1",
    )


def test_a_read_of_one_key_has_its_constants() -> None:
    get = GetForm(key={"pk": {"S": "u1"}, "sk": {"S": "PROFILE"}}, parameters={"pk": ":semester"})
    keys = Keys(with_pattern(query=None, get=get, **template("{semester}")), "1")

    assert keys.affected("Courses", {"pk": {"S": "u1"}, "sk": {"S": "PROFILE"}}) == (
        "perfkit:1:courses:u1",
    )
    assert keys.affected("Courses", {"pk": {"S": "u1"}, "sk": {"S": "ORDER"}}) == ()


def test_flags_and_numbers_of_an_item_are_found() -> None:
    keys = Keys(
        with_pattern(
            parameters={":semester": {"N": "1"}, ":department": {"BOOL": True}},
            **template("{semester}:{department}"),
        ),
        "1",
    )

    item: dict[str, Any] = {"semester_id": {"N": "2.50"}, "department_id": {"BOOL": False}}
    assert keys.affected("Courses", item) == ("perfkit:1:courses:2.5:false",)


def test_versions_are_apart() -> None:
    one, two = (place(Keys(COURSES, v), text(semester="1", department="")) for v in ("1", "1:x"))

    assert one != two
    assert two.key.startswith("perfkit:1%3Ax:courses:")
