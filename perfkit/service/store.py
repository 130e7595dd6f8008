"""
The service's questions to DynamoDB; they run in threads, each with the session of its request.

How a question is asked, and how titles are fetched, are objects that the store is given; the
order of every answer is set here, because a scan and a query have none in common.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from hashlib import blake2b, sha256
from typing import Any, Protocol

from perfkit.capacity import AttributeValue, Item
from perfkit.embedded.errors import DynamoDBError
from perfkit.embedded.expressions import Placeholders, parse_condition
from perfkit.errors import ConfigError
from perfkit.service.database import Session
from perfkit.service.problems import Problem, unavailable
from perfkit.service.settings import Switches
from perfkit.workloads.model import AccessPattern, CachePolicy, GetForm, QueryForm, Workload

__all__ = ["COURSES", "ENROLLMENTS", "SESSION", "USERS", "Find", "FindByIndex"]
__all__ += ["FindByScan", "Store", "Titles", "User", "check_workload", "make_store"]
__all__ += ["titles_in_batches", "titles_one_by_one", "with_own_patterns"]

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
_LARGEST_INTEGER = (1 << 63) - 1

SEMESTER = "courses:semester"
"""The pattern of a semester's courses, of all departments."""

SESSION = "session"
"""The pattern of sessions: who the user of a token is."""

_SESSION_S = 1800.0
"""How long a session is kept; its token may end before, and the session with it."""


def with_own_patterns(workload: Workload) -> Workload:
    """Return the workload with what only this service asks and keeps."""
    anybody = {"S": "anybody"}
    semester = AccessPattern(
        name=SEMESTER,
        description="Courses of a semester, a page at a time",
        table=COURSES,
        parameters={":semester": {"S": "1"}},
        names={},
        # one without a department is in no index
        scan_filter="semester_id = :semester AND attribute_exists(department_id)",
        query=QueryForm(index="CoursesBySemester", key_condition="semester_id = :semester"),
        get=None,
        returns=(),
        cache=CachePolicy(key="courses:semester:{semester}", ttl_s=300.0),
        quoted=None,
    )
    session = AccessPattern(
        name=SESSION,
        description="The user of a token",
        table=USERS,
        parameters={":user": anybody},
        names={},
        scan_filter="user_id = :user",
        query=None,
        get=GetForm(key={"user_id": anybody}, parameters={"user_id": ":user"}),
        returns=(),
        cache=CachePolicy(key="session:user:{user}", ttl_s=_SESSION_S),
        quoted=None,
    )
    return replace(workload, patterns=(*workload.patterns, semester, session))


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
class User:
    """The user of a token, as far as a session remembers him."""

    id: str
    email: str
    active: bool


class Find(Protocol):
    """How to ask a pattern of the workload."""

    def __call__(
        self, session: Session, pattern: AccessPattern, *, most: int | None = None
    ) -> Iterator[list[Item]]:
        """
        Yield the items that answer *pattern*, in pieces.

        Args:
            pattern: With its values.
            most: Items in a piece, where the request can limit them.
        """


Titles = Callable[[Session, Iterable[str]], dict[str, str | None]]
"""Returns the titles of courses, by course; those there are not are left out."""


class Store:
    """
    Answers questions; every method is called in a thread, with the session of the request.

    Args:
        workload: Tables and patterns; see `check_workload`.
        find: How to ask.
        titles: How to get the titles of courses.
        secret: Makes the ids of new enrollments.
    """

    def __init__(self, workload: Workload, find: Find, titles: Titles, secret: str) -> None:
        self._workload = with_own_patterns(workload)
        self._find = find
        self._titles = titles
        self._id_key = sha256(b"perfkit enrollments " + secret.encode()).digest()

    # -- reading

    def user(self, session: Session, user: str) -> User | None:
        """Return the user a token names, None if there is none."""
        item = _get(session, USERS, user)
        if item is None:
            return None
        row = _plain(item, ("email", "active"))
        return User(id=user, email=str(row["email"]), active=row["active"] is True)

    def courses(self, session: Session, semester: str, department: str) -> list[Row]:
        """Return the courses of a semester and department, by course."""
        items = self._all(session, "courses", semester=semester, department=department)
        return _ordered((_plain(item, _COURSE) for item in items), "course_id")

    def semester(
        self, session: Session, semester: str, after: tuple[str, ...], count: int
    ) -> list[Row]:
        """
        Return the next courses of a semester, by department and course.

        No more is read of an index than that takes: it has the departments in order, and in a
        department the courses in none.

        Args:
            semester: Which.
            after: The department and course after which to begin; empty at the first one.
            count: How many.
        """
        pattern = self._pattern(SEMESTER, semester=semester)
        if after and pattern.query is not None:
            begun = "semester_id = :semester AND department_id >= :department"
            pattern = replace(
                pattern,
                parameters={**pattern.parameters, ":department": {"S": after[0]}},
                query=replace(pattern.query, key_condition=begun),
            )
        rows: list[Row] = []
        for piece in self._find(session, pattern, most=count):
            rows += (_plain(item, _COURSE) for item in piece)
            rows = [row for row in rows if (row["department_id"], row["course_id"]) > after]
            rows = _ordered(rows, "department_id", "course_id")
            # of the last department more may be to come
            known = [row for row in rows if row["department_id"] != rows[-1]["department_id"]]
            if len(known) >= count:
                return known[:count]
        return rows[:count]

    def instructor(self, session: Session, instructor: str) -> list[Row] | None:
        """Return the courses of an instructor, by course; None if there are none."""
        items = self._all(session, "instructor", instructor=instructor)
        return _ordered((_plain(item, _COURSE) for item in items), "course_id") or None

    def enrollments(self, session: Session, user: str) -> list[Row]:
        """Return a user's enrollments with the titles of their courses, by time."""
        items = self._all(session, "enrollments", user=user)
        rows = _ordered(
            (_plain(item, _ENROLLMENT) for item in items), "enrolled_at", "enrollment_id"
        )
        titles = self._titles(session, [row["course_id"] for row in rows])
        return [_with_title(row, titles.get(row["course_id"])) for row in rows]

    def roster(self, session: Session, course: str) -> list[Row] | None:
        """
        Return a course's enrollments by time, None if there is no such course.

        They do not say whose they are, nor his grade: that is for himself to read.
        """
        items = self._all(session, "roster", course=course)
        if not items and _get(session, COURSES, course) is None:
            return None
        return _ordered((_plain(item, _SEAT) for item in items), "enrolled_at", "enrollment_id")

    def profile(self, session: Session, user: str) -> Row | None:
        """Return a user, None if there is none."""
        items = self._all(session, "profile", user=user)
        return _plain(items[0], _USER) if items else None

    # -- writing

    def enroll(self, session: Session, user: str, course: str, now: datetime) -> Row:
        """
        Enroll a user in a course, once; return the enrollment with the course's title.

        Raises:
            Problem: 404: no such course; 409: enrolled already.
        """
        found = _get(session, COURSES, course)
        if found is None:
            raise Problem(404, f"there is no course {course}")
        # a place taken before this service ran has an id of another form
        held = self._all(session, "enrollments", user=user)
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
            _call(
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
        return _with_title(_plain(item, _ENROLLMENT), _title(found))

    def withdraw(self, session: Session, user: str, enrollment: str) -> str:
        """
        Remove an enrollment of a user's own; return its course.

        Raises:
            Problem: 404: there is none, or it is another user's.
        """
        # whether another user has one of that id must not be revealed
        missing = Problem(404, f"you have no enrollment {enrollment}")
        item = _get(session, ENROLLMENTS, enrollment)
        if item is None or item.get("user_id") != {"S": user}:
            raise missing
        session.touched.append((ENROLLMENTS, item))
        try:
            _call(
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

    def _all(self, session: Session, name: str, **values: str) -> list[Item]:
        """Return the items that answer a pattern, in no particular order."""
        pieces = self._find(session, self._pattern(name, **values))
        return [item for piece in pieces for item in piece]

    def _pattern(self, name: str, **values: str) -> AccessPattern:
        parameters: dict[str, AttributeValue] = {
            f":{each}": {"S": value} for each, value in values.items()
        }
        return replace(self._workload.pattern(name), parameters=parameters)


def make_store(workload: Workload, switches: Switches, secret: str) -> Store:
    """Return the store that the switches ask for."""
    find: Find = FindByIndex() if switches.indexes else FindByScan()
    titles: Titles = titles_in_batches if switches.batching else titles_one_by_one
    return Store(workload, find, titles, secret)


# ---- how to ask --------------------------------------------------------------------------


class FindByScan:
    """Reads the whole table; the service filters."""

    def __call__(
        self,
        session: Session,
        pattern: AccessPattern,
        *,
        most: int | None = None,  # noqa: ARG002 - a scan reads everything
    ) -> Iterator[list[Item]]:
        """Yield what matches, in one piece."""
        # the workload that is served has been checked to scan
        text = pattern.scan_filter or ""
        names, values = pattern.placeholders(text)
        placeholders = Placeholders(names or None, values or None)
        matches = parse_condition(text, placeholders, "FilterExpression").matches
        with _explained(pattern.table):
            yield [
                item
                # perfkit: allow-scan the switch "indexes" is off: phases 0 and 1 scan on purpose
                for page in session.pages("scan", TableName=pattern.table)
                for item in page
                if matches(item)
            ]


class FindByIndex:
    """Queries the pattern's index, or gets its key; a pattern with neither is scanned."""

    def __call__(
        self, session: Session, pattern: AccessPattern, *, most: int | None = None
    ) -> Iterator[list[Item]]:
        """Yield what DynamoDB finds, a piece for each of its pages."""
        if pattern.query is not None:
            yield from self._query(session, pattern, pattern.query, most)
        elif pattern.get is not None:
            asked = pattern.get.parameters.items()
            key = {**pattern.get.key} | {name: pattern.parameters[value] for name, value in asked}
            answer = _call(session, "get_item", TableName=pattern.table, Key=key)
            yield [answer["Item"]] if "Item" in answer else []
        else:
            yield from FindByScan()(session, pattern)

    @staticmethod
    def _query(
        session: Session, pattern: AccessPattern, query: QueryForm, most: int | None
    ) -> Iterator[list[Item]]:
        names, values = pattern.placeholders(query.key_condition, query.filter)
        request: dict[str, Any] = {
            "TableName": pattern.table,
            "IndexName": query.index,
            "KeyConditionExpression": query.key_condition,
            "ExpressionAttributeValues": values,
            "FilterExpression": query.filter,
            "ExpressionAttributeNames": names or None,
            "Limit": most,
        }
        given = {name: value for name, value in request.items() if value is not None}
        with _explained(pattern.table, query.index):
            yield from session.pages("query", **given)


def titles_one_by_one(session: Session, courses: Iterable[str]) -> dict[str, str | None]:
    """Return the titles of courses, by a GetItem for each: N + 1 calls for a list of N."""
    found = [(course, _get(session, COURSES, course)) for course in courses]
    return {course: _title(item) for course, item in found if item is not None}


def titles_in_batches(session: Session, courses: Iterable[str]) -> dict[str, str | None]:
    """Return the titles of courses, by BatchGetItem; what it leaves out is asked for again."""
    wanted = sorted(set(courses))
    titles: dict[str, str | None] = {}
    for start in range(0, len(wanted), _BATCH):
        keys = [{"course_id": {"S": course}} for course in wanted[start : start + _BATCH]]
        requested: dict[str, Any] = {COURSES: {"Keys": keys}}
        attempt = 0
        with _explained(COURSES):
            while requested:
                answer = session.call("batch_get_item", RequestItems=requested)
                for item in answer["Responses"].get(COURSES, []):
                    titles[item["course_id"]["S"]] = _title(item)
                requested = answer.get("UnprocessedKeys") or {}
                if requested:
                    attempt += 1
                    session.pause(attempt)
    return titles


def _get(session: Session, table: str, key: str) -> Item | None:
    answer = _call(session, "get_item", TableName=table, Key={_KEYS[table]: {"S": key}})
    item: Item | None = answer.get("Item")
    return item


def _call(
    session: Session, operation: str, *, writes: bool = False, **request: Any
) -> dict[str, Any]:
    with _explained(request["TableName"]):
        return session.call(operation, writes=writes, **request)


# ---- items as rows -----------------------------------------------------------------------


def _plain(item: Item, attributes: Iterable[str]) -> Row:
    """Return *attributes* of an item as JSON values, null where it has none."""
    return {name: _value(item[name]) if name in item else None for name in attributes}


def _value(value: AttributeValue) -> Any:
    ((kind, content),) = value.items()
    match kind:
        case "S" | "BOOL":
            return content
        case "N":
            return _number(content)
        case _:
            # nothing else has a place in an answer
            return None


def _number(text: str) -> int | float:
    # what JSON readers keep exactly is an int; anything else is the nearest double, which
    # survives being decoded and encoded again
    try:
        number = int(text)
    except ValueError:
        return float(text)
    return number if abs(number) <= _LARGEST_INTEGER else float(number)


@contextmanager
def _explained(table: str, index: str | None = None) -> Iterator[None]:
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
    return sorted(rows, key=lambda row: tuple(str(row[name]) for name in names))


def _title(item: Item) -> str | None:
    title: str | None = _plain(item, ("title",))["title"]
    return title


def _with_title(row: Mapping[str, Any], title: str | None) -> Row:
    return {**row, "course_title": title}


def _enrolled_already(course: str) -> Problem:
    return Problem(409, f"you are enrolled in course {course} already")
