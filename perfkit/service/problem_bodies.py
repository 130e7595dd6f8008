"""Refusals and failures as problem bodies. Source: RFC 9457, Problem Details for HTTP APIs."""

from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from perfkit.service.models import ProblemDetails
from perfkit.service.problems import Problem

__all__ = ["documented", "handle_problems", "problem_response"]

_DETAILS = {
    404: "there is nothing at this address; /openapi.json says what there is",
    405: "this address does not take that method",
}


class ProblemResponse(JSONResponse):
    """A problem as JSON."""

    media_type = "application/problem+json"


def problem_response(problem: Problem) -> ProblemResponse:
    """Return the response that says what the problem is."""
    content: dict[str, Any] = {
        "type": "about:blank",
        "title": HTTPStatus(problem.status).phrase,
        "status": problem.status,
        "detail": problem.detail,
    }
    if problem.errors:
        content["errors"] = [{"place": place, "reason": reason} for place, reason in problem.errors]
    return ProblemResponse(content, problem.status, problem.headers)


def handle_problems(app: FastAPI) -> None:
    """Have an application answer whatever goes wrong with a problem body."""

    @app.exception_handler(Problem)
    async def of_ours(_: Request, problem: Problem) -> ProblemResponse:
        return problem_response(problem)

    @app.exception_handler(RequestValidationError)
    async def of_the_request(_: Request, error: RequestValidationError) -> ProblemResponse:
        errors = tuple((_place(each["loc"]), str(each["msg"])) for each in error.errors())
        detail = "; ".join(f"{place}: {reason}" for place, reason in errors)
        return problem_response(Problem(422, detail, errors=errors))

    @app.exception_handler(HTTPException)
    async def of_the_router(_: Request, error: HTTPException) -> ProblemResponse:
        detail = _DETAILS.get(error.status_code, error.detail)
        return problem_response(Problem(error.status_code, detail, headers=error.headers))


def _place(location: tuple[int | str, ...]) -> str:
    """Return where in a request something is wrong: `limit`, `body.course_id`."""
    kind, *names = location
    return ".".join(str(name) for name in (names if names and kind != "body" else location))


def documented(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return what OpenAPI is to say of the problems a path function may answer with."""
    schema = ProblemDetails.model_json_schema(ref_template="#/components/schemas/{model}")
    schema.pop("$defs", None)
    return {
        status: {
            "description": HTTPStatus(status).phrase,
            "content": {ProblemResponse.media_type: {"schema": schema}},
        }
        for status in statuses
    }
