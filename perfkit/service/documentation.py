"""
What OpenAPI says of the endpoints: parameters, bodies, answers, problems, headers.

The service reads requests by hand, so this is a description beside the code; a test holds the
two against each other with requests generated from what is served here.
"""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from perfkit.service.paging import LARGEST_PAGE
from perfkit.service.problems import CONTENT_TYPE
from perfkit.service.requests import LARGEST_BODY_BYTES
from perfkit.service.timing import (
    CACHE_HEADER,
    TIMING_HEADER,
    UNITS_HEADER,
    WRITE_UNITS_HEADER,
    CacheState,
)

__all__ = ["SECURITY", "SECURITY_SCHEMES", "operation", "page_parameters", "path_parameter"]
__all__ += ["query_parameter", "schemas"]

SECURITY: list[dict[str, list[str]]] = [{"bearer": []}]
SECURITY_SCHEMES = {"bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}}

_PRINTABLE = "^[ -~]+$"
_IDENTIFIER = {"type": "string", "minLength": 1, "maxLength": 64, "pattern": _PRINTABLE}


Total = Annotated[int, Field(ge=0, description="Rows on all pages together.")]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Course(_Model):
    """A course."""

    course_id: str
    semester_id: str | None
    department_id: str | None
    instructor_id: str | None
    title: str | None
    credits: int | float | None
    capacity: int | float | None
    updated_at: str | None
    description: str | None


class Enrollment(_Model):
    """An enrollment of whoever asks, with the title of its course."""

    enrollment_id: str
    user_id: str
    course_id: str
    enrolled_at: str
    status: str | None
    grade: int | float | None
    notes: str | None
    course_title: str | None


class Seat(_Model):
    """An enrollment as everybody may see it."""

    enrollment_id: str
    course_id: str
    enrolled_at: str
    status: str | None


class Profile(_Model):
    """A user."""

    user_id: str
    email: str | None
    full_name: str | None
    role: str | None
    active: bool | None
    created_at: str | None
    about: str | None


class CoursePage(_Model):
    """Courses, ordered by course."""

    total: Total
    items: list[Course]
    next: str | None


class EnrollmentPage(_Model):
    """Enrollments, the oldest first."""

    total: Total
    items: list[Enrollment]
    next: str | None


class SeatPage(_Model):
    """Enrollments of a course, the oldest first."""

    total: Total
    items: list[Seat]
    next: str | None


class NewEnrollment(_Model):
    """What to enroll in."""

    course_id: Annotated[str, Field(min_length=1, max_length=64, pattern=_PRINTABLE)]


class Check(_Model):
    """One thing the service depends on."""

    status: Literal["ok", "failing", "off"]
    detail: str


class Health(_Model):
    """Whether the service works; `degraded` answers what it can."""

    status: Literal["ok", "degraded"]
    switches: dict[str, bool]
    checks: dict[str, Check]


class Place(_Model):
    """What part of a request is wrong."""

    place: str
    reason: str


class ProblemDetails(BaseModel):
    """A problem. Source: RFC 9457."""

    type: str
    title: str
    status: int
    detail: str
    errors: list[Place] | None = None


MODELS = (
    CoursePage,
    EnrollmentPage,
    Enrollment,
    SeatPage,
    Profile,
    NewEnrollment,
    Health,
    ProblemDetails,
)

_HEADERS: dict[str, Any] = {
    TIMING_HEADER: {
        "description": "Milliseconds of the stages auth, parse, cache, db, serialize, notify, and"
        " of all together as total (W3C Server Timing).",
        "required": True,
        "schema": {"type": "string"},
    },
    CACHE_HEADER: {
        "description": "What the cache had to say.",
        "required": True,
        "schema": {"type": "string", "enum": [state.value for state in CacheState]},
    },
    UNITS_HEADER: {
        "description": "Read units the request consumed, as DynamoDB says.",
        "required": True,
        "schema": {"type": "number", "minimum": 0},
    },
    WRITE_UNITS_HEADER: {
        "description": "Write units the request consumed, as DynamoDB says.",
        "required": True,
        "schema": {"type": "number", "minimum": 0},
    },
}
_CHALLENGE = {
    "WWW-Authenticate": {"required": True, "schema": {"type": "string"}},
}
_RETRY_AFTER = {
    "Retry-After": {
        "description": "Seconds to wait.",
        "required": True,
        "schema": {"type": "integer", "minimum": 1},
    },
}
_ALLOW = {
    "Allow": {
        "description": "The methods it takes.",
        "required": True,
        "schema": {"type": "string"},
    },
}
_PROBLEMS = {
    400: "The request cannot be read.",
    401: "No token, or one that is not valid here.",
    403: "Of another user, or the account is switched off.",
    404: "There is no such thing.",
    405: "The address does not take that method.",
    409: "Enrolled already.",
    413: f"The body is larger than {LARGEST_BODY_BYTES} bytes.",
    415: "The body is not application/json.",
    422: "A parameter or the body is not as described.",
    431: "Too many headers, or too large.",
    503: "DynamoDB does not answer, or refuses for lack of capacity.",
}


def _reference(model: type[BaseModel]) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{model.__name__}"}


def schemas() -> dict[str, Any]:
    """Return the schemas that operations refer to."""
    from pydantic.json_schema import models_json_schema

    _, found = models_json_schema(
        [(model, "serialization") for model in MODELS],
        ref_template="#/components/schemas/{model}",
    )
    definitions: dict[str, Any] = found["$defs"]
    return definitions


def query_parameter(name: str, description: str) -> dict[str, Any]:
    """Return a required parameter of the query."""
    return {
        "name": name,
        "in": "query",
        "required": True,
        "description": description,
        "schema": _IDENTIFIER,
    }


def path_parameter(description: str) -> dict[str, Any]:
    """Return the parameter `id` of a path."""
    # a slash would be the next part of the path
    schema = _IDENTIFIER | {"pattern": "^[ -.0-~]+$"}
    return {
        "name": "id",
        "in": "path",
        "required": True,
        "description": description,
        "schema": schema,
    }


def page_parameters() -> list[dict[str, Any]]:
    """Return the parameters of an answer in pages."""
    return [
        {
            "name": "limit",
            "in": "query",
            "required": False,
            "description": "Rows on a page.",
            "schema": {
                "type": "integer",
                "minimum": 1,
                "maximum": LARGEST_PAGE,
                "default": LARGEST_PAGE,
            },
        },
        {
            "name": "next",
            "in": "query",
            "required": False,
            "description": "The member `next` of the page before; nothing else is accepted.",
            "schema": {"type": "string", "minLength": 1, "maxLength": 512},
        },
    ]


def operation(
    *,
    status: int = 200,
    answer: type[BaseModel] | None,
    said: str,
    problems: tuple[int, ...],
    parameters: list[dict[str, Any]] | None = None,
    body: type[BaseModel] | None = None,
    secured: bool = True,
    content_type: str = "application/json",
    headers: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """
    Return what OpenAPI says of an operation.

    Args:
        status: Of success.
        answer: What success looks like; None if it is text or nothing.
        said: What success means.
        problems: Statuses of the problems it may answer.
        parameters: In path and query.
        body: What it takes.
        secured: Whether it wants a token.
        content_type: Of success; empty for no content.
        headers: Of success, besides those every answer has.
    """
    success: dict[str, Any] = {"description": said, "headers": _HEADERS | (headers or {})}
    if content_type:
        schema = _reference(answer) if answer is not None else {"type": "string"}
        success["content"] = {content_type: {"schema": schema}}
    described: dict[str, Any] = {"responses": {str(status): success}}
    for problem in problems:
        extra = {401: _CHALLENGE, 405: _ALLOW, 503: _RETRY_AFTER}.get(problem, {})
        described["responses"][str(problem)] = {
            "description": _PROBLEMS[problem],
            "headers": _HEADERS | extra,
            "content": {CONTENT_TYPE: {"schema": _reference(ProblemDetails)}},
        }
    if parameters:
        described["parameters"] = parameters
    if body is not None:
        described["requestBody"] = {
            "required": True,
            "content": {"application/json": {"schema": _reference(body)}},
        }
    if secured:
        described["security"] = SECURITY
    return described
