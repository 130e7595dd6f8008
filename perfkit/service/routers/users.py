"""What belongs to the user who asks: enrollments and profile."""

from typing import Annotated, Any

from fastapi import APIRouter, Path, Response

from perfkit.service.dependencies import (
    AnswersDep,
    ClockDep,
    CurrentUser,
    NotificationsDep,
    SessionDep,
    StoreDep,
    WritesDep,
)
from perfkit.service.middleware import LARGEST_BODY_BYTES
from perfkit.service.models import Enrollment, EnrollmentPage, Identifier, NewEnrollment, Profile
from perfkit.service.paging import LARGEST_PAGE, Following, Limit, Page
from perfkit.service.problem_bodies import documented
from perfkit.service.problems import Problem
from perfkit.service.routers.courses import by_time

__all__ = ["router"]

router = APIRouter(prefix="/api", tags=["users"], responses=documented(401, 403, 422, 503))


@router.get("/enrollments", response_model=EnrollmentPage)
async def list_enrollments(
    user: CurrentUser,
    session: SessionDep,
    store: StoreDep,
    answers: AnswersDep,
    limit: Limit = LARGEST_PAGE,
    following: Following = None,
) -> Response:
    """Your enrollments with the titles of their courses, the oldest first."""
    page = Page.read(limit, following)

    async def fill() -> dict[str, Any]:
        rows = await session.ask(store.enrollments, user.id)
        return page.of(rows, by_time)

    body = await answers.get_or_fill(
        "enrollments", {"user": user.id}, EnrollmentPage, fill, variant=page.variant
    )
    return Response(body, media_type="application/json")


@router.post(
    "/enrollments",
    status_code=201,
    responses=documented(400, 404, 409),
    max_body_size=LARGEST_BODY_BYTES,
)
async def enroll(
    new: NewEnrollment,
    user: CurrentUser,
    session: SessionDep,
    store: StoreDep,
    writes: WritesDep,
    notifications: NotificationsDep,
    clock: ClockDep,
    response: Response,
) -> Enrollment:
    """Enroll in a course."""
    row = await writes.make(session, store.enroll, user.id, new.course_id, clock())
    await notifications.notify(user, f"enrolled in course {new.course_id}")
    response.headers["Location"] = f"/api/enrollments/{row['enrollment_id']}"
    return Enrollment.model_validate(row)


@router.delete(
    "/enrollments/{enrollment_id}",
    status_code=204,
    responses=documented(404),
)
async def withdraw(
    enrollment_id: Annotated[Identifier, Path(description="An enrollment of yours.")],
    user: CurrentUser,
    session: SessionDep,
    store: StoreDep,
    writes: WritesDep,
    notifications: NotificationsDep,
) -> None:
    """Leave a course."""
    course = await writes.make(session, store.withdraw, user.id, enrollment_id)
    await notifications.notify(user, f"left course {course}")


@router.get(
    "/users/{user_id}/profile",
    response_model=Profile,
    responses=documented(404),
)
async def get_profile(
    user_id: Annotated[Identifier, Path(description="The token's user.")],
    user: CurrentUser,
    session: SessionDep,
    store: StoreDep,
    answers: AnswersDep,
) -> Response:
    """Your profile."""
    if user_id != user.id:
        raise Problem(403, "what is kept of another user is not for you to read")

    async def fill() -> dict[str, Any] | None:
        return await session.ask(store.profile, user_id)

    body = await answers.get_or_fill("profile", {"user": user_id}, Profile, fill)
    if not body:
        raise Problem(404, f"there is no user {user_id}")
    return Response(body, media_type="application/json")
