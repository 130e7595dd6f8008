"""What goes over the wire: bodies of requests and responses."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

__all__ = ["Check", "Course", "CoursePage", "Enrollment", "EnrollmentPage", "Health"]
__all__ += ["Identifier", "NewEnrollment", "ProblemDetails", "Profile", "Seat", "SeatPage"]

Identifier = Annotated[
    str, StringConstraints(min_length=1, max_length=64, pattern=r"^[\x20-\x7e]+$")
]
"""A name of something here: 1 to 64 printable ASCII characters."""

Total = Annotated[
    int | None,
    Field(ge=0, description="Items on all pages; null where only this page was asked for."),
]
Next = Annotated[str | None, Field(description="Leads to the next page; null on the last one.")]


class Course(BaseModel):
    """A course."""

    course_id: str
    semester_id: str
    department_id: str
    instructor_id: str | None
    title: str | None
    credits: int | float | None
    capacity: int | float | None
    updated_at: str | None
    description: str | None


class Enrollment(BaseModel):
    """An enrollment of one's own, with the title of its course."""

    enrollment_id: str
    user_id: str
    course_id: str
    enrolled_at: str
    status: str | None
    grade: int | float | None
    notes: str | None
    course_title: str | None = None


class Seat(BaseModel):
    """An enrollment as everybody may see it."""

    enrollment_id: str
    course_id: str
    enrolled_at: str
    status: str | None


class Profile(BaseModel):
    """A user."""

    user_id: str
    email: str | None
    full_name: str | None
    role: str | None
    active: bool | None
    created_at: str | None
    about: str | None


class CoursePage(BaseModel):
    """Courses."""

    total: Total
    items: list[Course]
    next: Next


class EnrollmentPage(BaseModel):
    """Enrollments, the oldest first."""

    total: Total
    items: list[Enrollment]
    next: Next


class SeatPage(BaseModel):
    """Enrollments of a course, the oldest first."""

    total: Total
    items: list[Seat]
    next: Next


class NewEnrollment(BaseModel):
    """What to enroll in."""

    model_config = ConfigDict(extra="forbid")

    course_id: Identifier


class Check(BaseModel):
    """One thing the service depends on."""

    status: Literal["ok", "failing", "off"]
    detail: str


class Health(BaseModel):
    """Whether the service works; `degraded` answers what it can."""

    status: Literal["ok", "degraded"]
    switches: dict[str, bool]
    checks: dict[str, Check]


class ProblemDetails(BaseModel):
    """A problem. Source: RFC 9457."""

    type: str
    title: str
    status: int
    detail: str
    errors: Annotated[list[dict[str, str]], Field(description="Places, each with a reason.")] = []
