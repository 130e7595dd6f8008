"""The built-in workload shows every figure of the reference architecture."""

from collections import Counter
from pathlib import Path

import pytest

import perfkit
from perfkit.capacity import Item, item_size
from perfkit.workloads.generator import ItemGenerator
from perfkit.workloads.loader import load, read
from perfkit.workloads.model import Quote, Workload

Tables = dict[str, list[Item]]


@pytest.fixture(scope="module")
def courses() -> Workload:
    return load("courses")


@pytest.fixture(scope="module")
def tables(courses: Workload) -> Tables:
    """Return all items of the usual seed; that facts hold at others small workloads show."""
    generator = ItemGenerator(courses, random_seed=1)
    return {
        table.name: list(generator.items(table.name, 0, generator.count(table.name)))
        for table in courses.tables
    }


def test_tables_have_their_items(tables: Tables) -> None:
    assert {name: len(items) for name, items in tables.items()} == {
        "Courses": 10_000,
        "Enrollments": 50_000,
        "Users": 5_000,
    }


def test_every_item_is_one_unit_of_storage(tables: Tables) -> None:
    for name, items in tables.items():
        assert Counter(map(item_size, items)) == {1024: len(items)}, name


def test_every_key_is_there_once(courses: Workload, tables: Tables) -> None:
    for table in courses.tables:
        keys = {item[table.partition_key.name]["S"] for item in tables[table.name]}
        assert len(keys) == table.items


def test_exactly_fifty_courses_are_in_semester_1_and_department_cs(tables: Tables) -> None:
    found = Counter(
        (item["semester_id"]["S"], item["department_id"]["S"]) for item in tables["Courses"]
    )

    assert found["1", "CS"] == 50
    # not one item more or less than its neighbours would have by chance
    assert min(found.values()) > 20
    assert max(found.values()) < 90


def test_exactly_five_enrollments_are_those_of_student123(tables: Tables) -> None:
    found = Counter(item["user_id"]["S"] for item in tables["Enrollments"])

    assert found["student123"] == 5
    assert 4_950 < len(found) <= 5_000


def test_every_enrollment_refers_to_a_user_and_a_course_that_exist(tables: Tables) -> None:
    users = {item["user_id"]["S"] for item in tables["Users"]}
    courses = {item["course_id"]["S"] for item in tables["Courses"]}

    assert "student123" in users
    assert {item["user_id"]["S"] for item in tables["Enrollments"]} <= users
    assert {item["course_id"]["S"] for item in tables["Enrollments"]} <= courses


def test_popular_courses_have_many_times_the_enrollments_of_others(tables: Tables) -> None:
    found = Counter(item["course_id"]["S"] for item in tables["Enrollments"])

    counts = sorted(found.values(), reverse=True)

    # a tenth of the courses has about half of the enrollments, as Zipf's law with 0.7 has it
    assert 0.45 < sum(counts[:1_000]) / 50_000 < 0.52
    assert counts[0] > 700


def test_every_index_holds_every_item(courses: Workload, tables: Tables) -> None:
    indexes = {
        index.name: (table, tuple(key.name for key in index.keys))
        for table in courses.tables
        for index in table.indexes
    }

    assert {name: keys for name, (_, keys) in indexes.items()} == {
        "CoursesBySemester": ("semester_id", "department_id"),
        "CoursesByInstructor": ("instructor_id", "course_id"),
        "EnrollmentsByUser": ("user_id", "enrolled_at"),
        "EnrollmentsByCourse": ("course_id", "enrolled_at"),
    }
    for table, keys in indexes.values():
        assert all(key in item for item in tables[table.name] for key in keys)


def test_patterns_ask_what_the_reference_service_asks(courses: Workload) -> None:
    caches = {
        pattern.name: (pattern.table, pattern.cache.key, pattern.cache.ttl_s)
        for pattern in courses.patterns
        if pattern.cache is not None
    }

    assert caches == {
        "courses": ("Courses", "courses:semester:{semester}:department:{department}", 300),
        "instructor": ("Courses", "courses:instructor:{instructor}", 300),
        "enrollments": ("Enrollments", "enrollments:user:{user}", 300),
        "roster": ("Enrollments", "enrollments:course:{course}", 300),
        "profile": ("Users", "profile:user:{user}", 180),
    }


@pytest.mark.parametrize(
    ("pattern", "attribute", "found"),
    [
        pytest.param("instructor", "instructor_id", 20, id="courses of an instructor"),
        pytest.param("roster", "course_id", 40, id="enrollments of a course"),
        pytest.param("profile", "user_id", 1, id="a user"),
    ],
)
def test_the_other_patterns_find_a_sensible_number_of_items(
    courses: Workload, tables: Tables, pattern: str, attribute: str, found: int
) -> None:
    asked = courses.pattern(pattern)
    (value,) = asked.parameters.values()

    assert sum(item[attribute] == value for item in tables[asked.table]) == found


def test_quoted_figures_are_those_of_the_reference_document(courses: Workload) -> None:
    quoted = {pattern.name: pattern.quoted for pattern in courses.patterns if pattern.quoted}

    assert set(quoted) == {"courses", "enrollments"}
    assert {each.source for each in quoted.values()} == {"reference architecture"}
    first, second = quoted["courses"], quoted["enrollments"]
    assert first.before == Quote(latency_s=4.8, rcu=2500, items_read=10_000, wasted=9_950)
    assert first.after == Quote(latency_s=0.05, rcu=13, items_read=50, wasted=0)
    assert (first.latency_ratio, first.capacity_ratio) == (96, 192)
    assert second.before == Quote(latency_s=8, rcu=12_500, items_read=50_000, wasted=49_995)
    assert second.after == Quote(latency_s=0.04, rcu=2, items_read=5, wasted=0)
    assert (second.latency_ratio, second.capacity_ratio) == (200, 6250)


def test_the_built_in_workload_is_read_like_anybodys_file(courses: Workload) -> None:
    file = Path(perfkit.__file__).parent / "workloads" / "courses.toml"

    mine = read(file.read_bytes(), source="mine.toml")

    assert mine.tables == courses.tables
    assert mine.patterns == courses.patterns
    assert mine.digest == courses.digest
