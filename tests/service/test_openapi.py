"""What /openapi.json says is true: requests made from it are answered as it says."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis.errors import Unsatisfiable
from starlette.testclient import TestClient

from perfkit.service.tokens import DEMO_USER

BOUNDED = settings(
    max_examples=12,
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
)


@pytest.fixture
def url(make_app: Callable[..., Any], live: Callable[..., Any], data: Path) -> Iterator[str]:
    """Return the URL of a running service."""
    with live(make_app(data=data)) as url:
        yield url


@pytest.mark.parametrize("as_described", [True, False])
def test_the_service_answers_as_it_says(
    as_described: bool, url: str, token: Callable[..., str]
) -> None:
    """With requests that are as described, and with others that are not."""
    # takes half a second to import, which every worker would wait for
    import schemathesis
    from schemathesis import config

    headers = {"Authorization": f"Bearer {token(DEMO_USER)}"}
    generation = config.GenerationConfig(
        deterministic=True, max_examples=12, allow_extra_parameters=False
    )
    projects = config.ProjectsConfig(default=config.ProjectConfig(generation=generation))
    schema = schemathesis.openapi.from_url(
        f"{url}/openapi.json", config=config.SchemathesisConfig(projects=projects)
    )
    modes = schemathesis.GenerationMode
    mode = modes.POSITIVE if as_described else modes.NEGATIVE
    tried = []

    for found in schema.get_all_operations():
        operation: Any = found.ok()  # type: ignore[union-attr]

        @given(case=operation.as_strategy(generation_mode=mode))
        @BOUNDED
        def ask(case: Any) -> None:
            if as_described:
                # a token that leads on is nothing one can make from a description
                case.query.pop("next", None)
            case.call_and_validate(headers=headers)

        try:
            ask()
        except Unsatisfiable:
            # nothing about it can be wrong
            assert not as_described
            continue
        tried.append(operation.label)

    assert len(tried) >= 7


@pytest.fixture
def document(serve: Callable[..., Any]) -> dict[str, Any]:
    """Return the description."""
    with serve() as client:
        described: dict[str, Any] = client.get("/openapi.json").json()
    return described


def operations(document: dict[str, Any]) -> list[tuple[str, str, dict[str, Any]]]:
    return [
        (method.upper(), path, operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    ]


def test_every_endpoint_is_described(document: dict[str, Any]) -> None:
    assert {(method, path) for method, path, _ in operations(document)} == {
        ("GET", "/api/courses"),
        ("GET", "/api/instructors/{instructor_id}/courses"),
        ("GET", "/api/enrollments"),
        ("POST", "/api/enrollments"),
        ("DELETE", "/api/enrollments/{enrollment_id}"),
        ("GET", "/api/courses/{course_id}/enrollments"),
        ("GET", "/api/users/{user_id}/profile"),
        ("GET", "/healthz"),
        ("GET", "/metrics"),
    }


def test_successes_are_described_by_models(document: dict[str, Any]) -> None:
    models = {
        path: response["content"]["application/json"]["schema"]["$ref"].rpartition("/")[2]
        for method, path, operation in operations(document)
        if method == "GET" and path != "/metrics"
        for response in [operation["responses"]["200"]]
    }

    assert models["/api/courses"] == "CoursePage"
    assert models["/api/enrollments"] == "EnrollmentPage"
    assert models["/api/courses/{course_id}/enrollments"] == "SeatPage"
    assert models["/api/users/{user_id}/profile"] == "Profile"


def test_problems_are_described_as_problems(document: dict[str, Any]) -> None:
    for _, path, operation in operations(document):
        for status, response in operation["responses"].items():
            if int(status) >= 400:
                assert list(response["content"]) == ["application/problem+json"], path
        assert ("security" in operation) == path.startswith("/api/")
        assert ("401" in operation["responses"]) == path.startswith("/api/")


def test_all_references_lead_somewhere(document: dict[str, Any]) -> None:
    def references(value: Any) -> Iterator[str]:
        if isinstance(value, dict):
            if "$ref" in value:
                yield value["$ref"]
            for member in value.values():
                yield from references(member)
        elif isinstance(value, list):
            for member in value:
                yield from references(member)

    found = set(references(document))

    assert found
    for reference in found:
        name = reference.removeprefix("#/components/schemas/")
        assert name in document["components"]["schemas"]


def test_a_service_without_anything_optimised_describes_the_same(
    make_app: Callable[..., Any], document: dict[str, Any]
) -> None:
    with TestClient(make_app(0)) as client:
        assert client.get("/openapi.json").json() == document
