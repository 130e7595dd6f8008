"""
The service's questions to DynamoDB, in the form its switches ask for; they run in threads.

With `indexes` a question takes the workload's query or key form, without it the scan form,
whose pages are filtered here. The order of every answer is set here too, because a scan and a
query have none in common.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from hashlib import blake2b, sha256
from typing import Any

from perfkit.capacity import Item
from perfkit.embedded.errors import DynamoDBError
from perfkit.embedded.expressions import Placeholders, parse_condition
from perfkit.errors import ConfigError
from perfkit.service.database import Session, unavailable
from perfkit.service.encoding import plain
from perfkit.service.problems import Problem
from perfkit.service.settings import Switches
from perfkit.workloads.model import AccessPattern, QueryForm, Workload

__all__ = ["COURSES", "ENROLLMENTS", "USERS", "Person", "Store", "check_workload"]

Row = dict[str, Any]

COURSES, ENROLLMENTS, USERS = "Courses", "Enrollments", "Users"

_COURSE = (
    "course_id",
    "semester_id",
    "department_id",
    "instructor_id",
    "title",
    "credits",
    "capacity",
    "updated_at",
    "description",
)
_ENROLLMENT = ("enrollment_id", "user_id", "course_id", "enrolled_at", "status", "grade", "notes")
_SEAT = ("enrollment_id", "course_id", "enrolled_at", "status")
_USER = ("user_id", "email", "full_name", "role", "active", "created_at", "about")

_PARAMETERS = {
    "courses": {":semester", ":department"},
    "instructor": {":instructor"},
    "enrollments": {":user"},
    "roster": {":course"},
    "profile": {":user"},
}
_KEYS = {COURSES: "course_id", ENROLLMENTS: "enrollment_id", USERS: "user_id"}

_BATCH = 100
"""Keys BatchGetItem takes."""

_WITHDRAWN = "withdrawn"
_CONDITION_FAILED = "ConditionalCheckFailedException"


def check_workload(workload: Workload) -> None:
    """
    Make sure that a workload has the tables and patterns this service asks about.

    Raises:
        ConfigError: It has not.
    """
    for reason in _differences(workload):
        msg = f"the service serves the workload courses, and {workload.name} is another: {reason}"
        raise ConfigError(msg)


def _differences(workload: Workload) -> Iterator[str]:
    tables = {table.name: table for table in workload.tables}
    patterns = {pattern.name: pattern for pattern in workload.patterns}
    for name, key in _KEYS.items():
        if name not in tables or [each.name for each in tables[name].keys] != [key]:
            yield f"it has no table {name} with the key {key}"
    for name, parameters in _PARAMETERS.items():
        if name not in patterns or set(patterns[name].parameters) != parameters:
            yield f"it has no pattern {name} with the parameters {', '.join(sorted(parameters))}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """The user of a token, as far as a session remembers him."""

    user: str
    email: str
    active: bool


class Store:
    """
    Answers questions; every method is called in a thread, with the session of the request.

    Args:
        workload: Tables and patterns; see `check_workload`.
        switches: Which way to ask.
        secret: Makes the ids of new enrollments.
    """

    def __init__(self, workload: Workload, switches: Switches, secret: str) -> None:
        self._workload = workload
        self._switches = switches
        self._id_key = sha256(b"perfkit enrollments " + secret.encode()).digest()

    # -- reading

    def person(self, session: Session, user: str) -> Person | None:
        """Return the user a token names, None if there is none."""
        item = self._get(session, USERS, user)
        if item is None:
            return None
        row = plain(item, ("email", "active"))
        return Person(user=user, email=str(row["email"]), active=row["active"] is True)

    def courses(self, session: Session, semester: str, department: str) -> list[Row]:
        """Return the courses of a semester and department, by course."""
        items = self._ask(session, "courses", semester=semester, department=department)
        return _ordered((plain(item, _COURSE) for item in items), "course_id")

    def instructor(self, session: Session, instructor: str) -> list[Row] | None:
        """Return the courses of an instructor, by course; None if there are none."""
        items = self._ask(session, "instructor", instructor=instructor)
        return _ordered((plain(item, _COURSE) for item in items), "course_id") or None

    def enrollments(self, session: Session, user: str) -> list[Row]:
        """Return a user's enrollments with the titles of their courses, by time."""
        items = self._ask(session, "enrollments", user=user)
        rows = _ordered(
            (plain(item, _ENROLLMENT) for item in items), "enrolled_at", "enrollment_id"
        )
        titles = self._titles(session, [row["course_id"] for row in rows])
        return [_with_title(row, titles.get(row["course_id"])) for row in rows]

    def roster(self, session: Session, course: str) -> list[Row] | None:
        """
        Return a course's enrollments by time, None if there is no such course.

        They do not say whose they are, nor his grade: that is for himself to read.
        """
        items = self._ask(session, "roster", course=course)
        if not items and self._get(session, COURSES, course) is None:
            return None
        rows = _ordered(
            (plain(item, _ENROLLMENT) for item in items), "enrolled_at", "enrollment_id"
        )
        return [{name: row[name] for name in _SEAT} for row in rows]

    def profile(self, session: Session, user: str) -> Row | None:
        """Return a user, None if there is none."""
        items = self._ask(session, "profile", user=user)
        return plain(items[0], _USER) if items else None

    # -- writing

    def enroll(self, session: Session, user: str, course: str, now: datetime) -> Row:
        """
        Enroll a user in a course, once; return the enrollment with the course's title.

        Raises:
            Problem: 404: no such course; 409: enrolled already.
        """
        found = self._get(session, COURSES, course)
        if found is None:
            raise Problem(404, f"there is no course {course}")
        # a place taken before this service ran has an id of another form
        held = self._ask(session, "enrollments", user=user)
        taken = [each for each in held if each["course_id"]["S"] == course]
        if any(each.get("status") != {"S": _WITHDRAWN} for each in taken):
            raise _enrolled_already(course)
        item: Item = {
            "enrollment_id": {"S": self._enrollment_id(user, course)},
            "user_id": {"S": user},
            "course_id": {"S": course},
            "enrolled_at": {"S": now.strftime("%Y-%m-%dT%H:%M:%SZ")},
            "status": {"S": "active"},
        }
        session.touched.append((ENROLLMENTS, item))
        try:
            self._call(
                session,
                "put_item",
                writes=True,
                TableName=ENROLLMENTS,
                Item=item,
                ConditionExpression="attribute_not_exists(enrollment_id)",
            )
        except DynamoDBError as error:
            if error.code == _CONDITION_FAILED:
                raise _enrolled_already(course) from error
            raise
        return _with_title(plain(item, _ENROLLMENT), _title(found))

    def withdraw(self, session: Session, user: str, enrollment: str) -> str:
        """
        Remove an enrollment of a user's own; return its course.

        Raises:
            Problem: 404: there is none, or it is another user's.
        """
        # whether another user has one of that id is not to be told
        missing = Problem(404, f"you have no enrollment {enrollment}")
        item = self._get(session, ENROLLMENTS, enrollment)
        if item is None or item.get("user_id") != {"S": user}:
            raise missing
        session.touched.append((ENROLLMENTS, item))
        try:
            self._call(
                session,
                "delete_item",
                writes=True,
                TableName=ENROLLMENTS,
                Key={"enrollment_id": {"S": enrollment}},
                ConditionExpression="user_id = :user",
                ExpressionAttributeValues={":user": {"S": user}},
            )
        except DynamoDBError as error:
            if error.code == _CONDITION_FAILED:
                raise missing from error
            raise
        return str(item["course_id"]["S"])

    def _enrollment_id(self, user: str, course: str) -> str:
        # one id for a user and a course: of two requests at once DynamoDB lets one through.
        # Keyed, so that nobody finds out by trying who is behind an id
        made = blake2b(f"{user}\n{course}".encode(), key=self._id_key, digest_size=12)
        return f"E-{made.hexdigest()}"

    # -- how to ask

    def _ask(self, session: Session, name: str, **values: str) -> list[Item]:
        """Return the items that answer a pattern of the workload, in no particular order."""
        pattern = self._workload.pattern(name)
        pattern = replace(
            pattern, parameters={f":{name}": {"S": value} for name, value in values.items()}
        )
        if self._switches.indexes and pattern.query is not None:
            return self._query(session, pattern, pattern.query)
        if self._switches.indexes and pattern.get is not None:
            asked = pattern.get.parameters.items()
            key = {**pattern.get.key} | {name: pattern.parameters[value] for name, value in asked}
            answer = self._call(session, "get_item", TableName=pattern.table, Key=key)
            return [answer["Item"]] if "Item" in answer else []
        return self._scan(session, pattern)

    def _scan(self, session: Session, pattern: AccessPattern) -> list[Item]:
        names, values = pattern.placeholders(pattern.scan_filter)
        placeholders = Placeholders(names or None, values or None)
        matches = parse_condition(pattern.scan_filter, placeholders, "FilterExpression").matches
        with _told(pattern.table):
            return [
                item
                for page in session.pages("scan", TableName=pattern.table)
                for item in page
                if matches(item)
            ]

    def _query(self, session: Session, pattern: AccessPattern, query: QueryForm) -> list[Item]:
        names, values = pattern.placeholders(query.key_condition, query.filter)
        request: dict[str, Any] = {
            "TableName": pattern.table,
            "KeyConditionExpression": query.key_condition,
            "ExpressionAttributeValues": values,
        }
        if query.index is not None:
            request["IndexName"] = query.index
        if query.filter is not None:
            request["FilterExpression"] = query.filter
        if names:
            request["ExpressionAttributeNames"] = names
        with _told(pattern.table, query.index):
            return [item for page in session.pages("query", **request) for item in page]

    def _get(self, session: Session, table: str, key: str) -> Item | None:
        answer = self._call(session, "get_item", TableName=table, Key={_KEYS[table]: {"S": key}})
        item: Item | None = answer.get("Item")
        return item

    def _call(
        self, session: Session, operation: str, *, writes: bool = False, **request: Any
    ) -> dict[str, Any]:
        with _told(request["TableName"]):
            return session.call(operation, writes=writes, **request)

    def _titles(self, session: Session, courses: Iterable[str]) -> dict[str, str | None]:
        if not self._switches.batching:
            found = [(course, self._get(session, COURSES, course)) for course in courses]
            return {course: _title(item) for course, item in found if item is not None}
        wanted = sorted(set(courses))
        titles: dict[str, str | None] = {}
        for start in range(0, len(wanted), _BATCH):
            keys = [{"course_id": {"S": course}} for course in wanted[start : start + _BATCH]]
            for item in self._get_batch(session, keys):
                titles[item["course_id"]["S"]] = _title(item)
        return titles

    @staticmethod
    def _get_batch(session: Session, keys: list[Item]) -> Iterable[Item]:
        requested: dict[str, Any] = {COURSES: {"Keys": keys}}
        attempt = 0
        with _told(COURSES):
            while requested:
                answer = session.call("batch_get_item", RequestItems=requested)
                yield from answer["Responses"].get(COURSES, [])
                requested = answer.get("UnprocessedKeys") or {}
                if requested:
                    attempt += 1
                    session.pause(attempt)


@contextmanager
def _told(table: str, index: str | None = None) -> Iterator[None]:
    """Explain that a table or an index is not there (yet): the service runs before its data."""
    try:
        yield
    except DynamoDBError as error:
        if error.code == "ResourceNotFoundException":
            msg = f"table {table} is not there; `perfkit seed` creates it"
            raise unavailable(msg) from error
        if index is not None and "index" in error.message.lower():
            msg = f"index {index} is not ready; `perfkit create-indexes` creates it"
            raise unavailable(msg) from error
        raise


def _ordered(rows: Iterable[Row], *names: str) -> list[Row]:
    key: Callable[[Row], Any] = lambda row: tuple(str(row[name]) for name in names)  # noqa: E731
    return sorted(rows, key=key)


def _title(item: Item) -> str | None:
    title: str | None = plain(item, ("title",))["title"]
    return title


def _with_title(row: Mapping[str, Any], title: str | None) -> Row:
    return {**row, "course_title": title}


def _enrolled_already(course: str) -> Problem:
    return Problem(409, f"you are enrolled in course {course} already")
