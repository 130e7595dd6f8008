"""Courses: of a semester, of an instructor, and who is in one."""

from typing import Annotated, Any

from fastapi import APIRouter, Path, Query
from fastapi.responses import Response

from perfkit.service.dependencies import (
    AnswersDep,
    CurrentUser,
    NotificationsDep,
    SessionDep,
    StoreDep,
)
from perfkit.service.models import CoursePage, Identifier, SeatPage
from perfkit.service.paging import LARGEST_PAGE, Following, Key, Limit, Page
from perfkit.service.problem_bodies import documented
from perfkit.service.problems import Problem
from perfkit.service.store import SEMESTER

__all__ = ["router"]

router = APIRouter(prefix="/api", tags=["courses"], responses=documented(401, 403, 422, 503))


def by_course(row: dict[str, Any]) -> Key:
    """Return what courses of a department, or of an instructor, are ordered by."""
    return (row["course_id"],)


def by_department(row: dict[str, Any]) -> Key:
    """Return what courses of all departments are ordered by."""
    return (row["department_id"], row["course_id"])


def by_time(row: dict[str, Any]) -> Key:
    """Return what enrollments are ordered by."""
    return (row["enrolled_at"], row["enrollment_id"])


@router.get("/courses", response_model=CoursePage)
async def list_courses(
    user: CurrentUser,
    session: SessionDep,
    store: StoreDep,
    answers: AnswersDep,
    notifications: NotificationsDep,
    semester: Annotated[Identifier, Query(description="The semester, e.g. 1.")],
    department: Annotated[
        Identifier | None, Query(description="The department, e.g. CS; all if left out.")
    ] = None,
    limit: Limit = LARGEST_PAGE,
    following: Following = None,
) -> Response:
    """Courses of a semester and department by course, or of a semester by department and course."""
    page = Page.read(limit, following)
    if department is None:

        async def fill() -> dict[str, Any]:
            rows = await session.ask(store.semester, semester, page.after, page.limit + 1)
            return page.part(rows, by_department)

        pattern, parameters = SEMESTER, {"semester": semester}
    else:

        async def fill() -> dict[str, Any]:
            rows = await session.ask(store.courses, semester, department)
            return page.of(rows, by_course)

        pattern, parameters = "courses", {"semester": semester, "department": department}
    body = await answers.get_or_fill(pattern, parameters, CoursePage, fill, variant=page.variant)
    await notifications.notify(user, "looked at courses")
    return Response(body, media_type="application/json")


@router.get(
    "/instructors/{instructor_id}/courses",
    response_model=CoursePage,
    responses=documented(404),
)
async def list_courses_of_an_instructor(
    instructor_id: Annotated[Identifier, Path(description="The instructor, e.g. I042.")],
    _: CurrentUser,
    session: SessionDep,
    store: StoreDep,
    answers: AnswersDep,
    limit: Limit = LARGEST_PAGE,
    following: Following = None,
) -> Response:
    """Courses of an instructor, by course."""
    page = Page.read(limit, following)

    async def fill() -> dict[str, Any] | None:
        rows = await session.ask(store.instructor, instructor_id)
        return None if rows is None else page.of(rows, by_course)

    body = await answers.get_or_fill(
        "instructor", {"instructor": instructor_id}, CoursePage, fill, variant=page.variant
    )
    if not body:
        raise Problem(404, f"there is no instructor {instructor_id} with courses")
    return Response(body, media_type="application/json")


@router.get(
    "/courses/{course_id}/enrollments",
    response_model=SeatPage,
    responses=documented(404),
)
async def list_enrollments_of_a_course(
    course_id: Annotated[Identifier, Path(description="The course, e.g. C00101.")],
    _: CurrentUser,
    session: SessionDep,
    store: StoreDep,
    answers: AnswersDep,
    limit: Limit = LARGEST_PAGE,
    following: Following = None,
) -> Response:
    """Enrollments of a course, the oldest first, without their users."""
    page = Page.read(limit, following)

    async def fill() -> dict[str, Any] | None:
        rows = await session.ask(store.roster, course_id)
        return None if rows is None else page.of(rows, by_time)

    body = await answers.get_or_fill(
        "roster", {"course": course_id}, SeatPage, fill, variant=page.variant
    )
    if not body:
        raise Problem(404, f"there is no course {course_id}")
    return Response(body, media_type="application/json")
