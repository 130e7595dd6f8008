"""The application: a factory that puts the service together from its settings."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

from fastapi import FastAPI
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Match, Route

from perfkit import __version__
from perfkit.cache.policy import Keys
from perfkit.cache.settings import CacheSettings
from perfkit.dynamodb.targets import TargetKind
from perfkit.service import documentation as said
from perfkit.service.activity import Activity
from perfkit.service.database import Database
from perfkit.service.endpoints import Clock, Endpoints
from perfkit.service.health import Health
from perfkit.service.memory import Memory, ServiceCache, with_sessions
from perfkit.service.metrics import CONTENT_TYPE as METRICS_TYPE
from perfkit.service.metrics import CacheCounts, Metrics
from perfkit.service.middleware import TRACE, Application, Instrumented, respond
from perfkit.service.notifications.mail import SmtpSettings
from perfkit.service.notifications.notifier import InlineNotifier, Notifier, QueuedNotifier
from perfkit.service.paging import Pager
from perfkit.service.problems import CONTENT_TYPE as PROBLEM_TYPE
from perfkit.service.problems import Problem, encode_problem
from perfkit.service.settings import ServiceSettings
from perfkit.service.store import Store, check_workload
from perfkit.service.tokens import Tokens
from perfkit.workloads.loader import load
from perfkit.workloads.model import Workload

__all__ = ["create_app", "from_environment", "make_cache"]

_SHAPE = 1
"""Raised when what is kept in Redis changes its form."""

_QUEUE_LIMIT_S = 0.03
"""With the 50 ms of the cache, a server that hangs costs no request 100 ms, timers that fire late included."""


_OTHER_METHOD = "this address does not take that method; the header Allow says which it takes"


class _Endpoint(APIRoute):
    """
    A route to an ASGI application, which reads the request itself.

    FastAPI's own reading and validating takes longer than the whole rest of a cached answer.
    """

    def __init__(
        self, method: str, path: str, application: Application, summary: str, **described: Any
    ) -> None:
        super().__init__(
            path,
            _takes_nothing,
            methods=[method],
            name=summary,
            summary=summary,
            operation_id=f"{method.lower()}{path.replace('/', '_').replace('{id}', 'of')}",
            status_code=min(int(status) for status in described["responses"]),
            # only said, not used: without a media type FastAPI leaves that to the description
            response_class=Response,
            openapi_extra=described,
        )

        self.application = application

        async def labelled(scope: Any, receive: Any, send: Any) -> None:
            scope[TRACE].route = path
            await application(scope, receive, send)

        self.app = labelled


class _Others:
    """
    What is asked of a path with any other method than its endpoints': HEAD is a GET, the rest 405.

    Source: RFC 9110, 9.1 and 15.5.6.
    """

    def __init__(self, path: str, endpoints: list[_Endpoint]) -> None:
        self._path = path
        methods = {method: each.application for each in endpoints for method in each.methods or ()}
        self._get = methods.get("GET")
        self._allowed = ", ".join(sorted(methods | ({"HEAD": None} if self._get else {})))

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer one request."""
        scope[TRACE].route = self._path
        if self._get is None or scope["method"] != "HEAD":
            raise Problem(405, _OTHER_METHOD, headers={"Allow": self._allowed})
        await self._get(scope, receive, send)


async def _takes_nothing() -> None:
    # FastAPI looks here for parameters and for a text; it is told both by the description
    ...


def create_app(
    settings: ServiceSettings,
    *,
    clock: Clock = lambda: datetime.now(UTC),
    notifier: Notifier | None = None,
) -> FastAPI:
    """
    Return the service.

    Args:
        settings: Its switches and where everything is.
        clock: Says when an enrollment was made.
        notifier: Instead of the one the switches ask for.

    Raises:
        ConfigError: The workload is another than the service serves, or the mail server's
            settings are wrong.
    """
    settings.check_servers()
    switches = settings.switches
    workload = load(settings.workload)
    check_workload(workload)
    cache = make_cache(settings, workload) if switches.needs_cache else None
    if notifier is None and switches.notify:
        notifier = _notifier(settings, cache)
    database = Database(
        settings.target,
        pooled=switches.pooling,
        threads=settings.threads,
        waiting=settings.waiting,
        deadline_s=settings.deadline_s,
    )
    memory = Memory(cache, switches)
    metrics = Metrics(None if cache is None else CacheCounts(cache))
    health = Health(settings, workload, database, cache, notifier)
    endpoints = Endpoints(
        switches=switches,
        tokens=Tokens(settings.secret),
        pager=Pager(settings.secret),
        store=Store(workload, switches, settings.secret),
        database=database,
        memory=memory,
        activity=None if notifier is None else Activity(notifier, metrics.count_told),
        clock=clock,
    )

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        await database.warm()
        posting = asyncio.create_task(metrics.keep_posting())
        yield
        await endpoints.close()
        posting.cancel()
        metrics.post()
        if notifier is not None:
            await notifier.close()
        if cache is not None:
            await cache.close()
        database.close()

    app = FastAPI(
        title="perfkit reference service",
        version=__version__,
        description="Courses, enrollments and users, every optimisation a switch.",
        lifespan=lifespan,
        redoc_url=None,
        # looking for somebody to tell costs a tenth of a cached answer; /metrics tells everybody
        telemetry={"tracing": False, "metrics": False, "logs": False},
        redirect_slashes=False,
        exception_handlers={HTTPException: _problem},
    )
    routes = _routes(endpoints, health, metrics, notifier)
    of_path: dict[str, list[_Endpoint]] = {}
    for route in routes:
        of_path.setdefault(route.path, []).append(route)
    others = [
        Route(path, _Others(path, found), include_in_schema=False)
        for path, found in of_path.items()
    ]
    app.router.routes += [*routes, *others]

    def route_of(scope: Any) -> str:
        return next((each.path for each in others if each.matches(scope)[0] is Match.FULL), "")

    app.add_middleware(Instrumented, metrics=metrics, route_of=route_of)
    _describe(app)
    return app


def make_cache(settings: ServiceSettings, workload: Workload) -> ServiceCache:
    """
    Return the cache of a service; whoever changes its tables can invalidate with it, too.

    Raises:
        ConfigError: The URL of the server is none.
    """
    # the same tables elsewhere, or another workload's, are other answers
    source = sha256(f"{settings.target} {workload.digest}".encode()).hexdigest()
    keys = Keys(with_sessions(workload), f"{_SHAPE}-{source[:12]}")
    # the embedded engine's indexes never lag behind its tables
    lag_s = 0.0 if settings.target.kind is TargetKind.EMBEDDED else 1.0
    return ServiceCache(settings.redis_url or "", keys, CacheSettings(index_lag_s=lag_s))


def from_environment() -> FastAPI:
    """Return the service as the environment describes it; for servers that want a factory."""
    return create_app(ServiceSettings.from_environment())


def _notifier(settings: ServiceSettings, cache: ServiceCache | None) -> Notifier:
    if settings.switches.background:
        # one server: whichever finds out that it is away spares the other the wait
        breaker = None if cache is None else cache.breaker
        return QueuedNotifier(
            settings.redis_url or "", breaker=breaker, time_limit_s=_QUEUE_LIMIT_S
        )
    return InlineNotifier(SmtpSettings.from_url(settings.smtp_url or ""), settings.folder)


def _routes(
    endpoints: Endpoints, health: Health, metrics: Metrics, notifier: Notifier | None
) -> list[_Endpoint]:
    anywhere = (400, 405, 413, 431)
    reading = (*anywhere, 401, 403, 422, 503)
    pages = said.page_parameters()

    async def answer_health(scope: Any, receive: Any, send: Any) -> None:
        del scope, receive
        await respond(send, 200, await health.report())

    async def answer_metrics(scope: Any, receive: Any, send: Any) -> None:
        del scope, receive
        queues = None if notifier is None else await notifier.statistics()
        await respond(send, 200, metrics.render(queues), content_type=METRICS_TYPE.encode())

    return [
        _Endpoint(
            "GET",
            "/api/courses",
            endpoints.courses,
            "Courses of a semester and department",
            **said.operation(
                answer=said.CoursePage,
                said="The courses, by course.",
                parameters=[
                    said.query_parameter("semester", "The semester, e.g. 1."),
                    said.query_parameter("department", "The department, e.g. CS."),
                    *pages,
                ],
                problems=reading,
            ),
        ),
        _Endpoint(
            "GET",
            "/api/instructors/{id}/courses",
            endpoints.instructor,
            "Courses of an instructor",
            **said.operation(
                answer=said.CoursePage,
                said="The courses, by course.",
                parameters=[said.path_parameter("The instructor, e.g. I042."), *pages],
                problems=(*reading, 404),
            ),
        ),
        _Endpoint(
            "GET",
            "/api/enrollments",
            endpoints.enrollments,
            "Your enrollments",
            **said.operation(
                answer=said.EnrollmentPage,
                said="The enrollments of the token's user, the oldest first.",
                parameters=pages,
                problems=reading,
            ),
        ),
        _Endpoint(
            "POST",
            "/api/enrollments",
            endpoints.enroll,
            "Enroll in a course",
            **said.operation(
                status=201,
                answer=said.Enrollment,
                said="You are enrolled.",
                body=said.NewEnrollment,
                headers={"Location": {"required": True, "schema": {"type": "string"}}},
                problems=(*reading, 404, 409, 415),
            ),
        ),
        _Endpoint(
            "DELETE",
            "/api/enrollments/{id}",
            endpoints.withdraw,
            "Leave a course",
            **said.operation(
                status=204,
                answer=None,
                content_type="",
                said="The enrollment is gone.",
                parameters=[said.path_parameter("An enrollment of yours.")],
                problems=(*reading, 404),
            ),
        ),
        _Endpoint(
            "GET",
            "/api/courses/{id}/enrollments",
            endpoints.roster,
            "Enrollments of a course",
            **said.operation(
                answer=said.SeatPage,
                said="The enrollments, the oldest first; whose they are is not told.",
                parameters=[said.path_parameter("The course, e.g. C00101."), *pages],
                problems=(*reading, 404),
            ),
        ),
        _Endpoint(
            "GET",
            "/api/users/{id}/profile",
            endpoints.profile,
            "Your profile",
            **said.operation(
                answer=said.Profile,
                said="The user.",
                parameters=[said.path_parameter("The token's user.")],
                problems=(*reading, 404),
            ),
        ),
        _Endpoint(
            "GET",
            "/healthz",
            answer_health,
            "Whether the service works",
            **said.operation(
                answer=said.Health,
                said="It lives; what it depends on may be failing.",
                secured=False,
                problems=anywhere,
            ),
        ),
        _Endpoint(
            "GET",
            "/metrics",
            answer_metrics,
            "Counters, for Prometheus",
            **said.operation(
                answer=None,
                said="Of all workers.",
                content_type="text/plain",
                secured=False,
                problems=anywhere,
            ),
        ),
    ]


def _describe(app: FastAPI) -> None:
    """Add to the OpenAPI document what routes only refer to."""
    generate = app.openapi

    def openapi() -> dict[str, Any]:
        document = generate()
        components = document.setdefault("components", {})
        components["schemas"] = said.schemas()
        components["securitySchemes"] = said.SECURITY_SCHEMES
        return document

    app.openapi = openapi  # type: ignore[method-assign]


async def _problem(_: Request, error: Any) -> Response:
    """Answer what no endpoint is there for."""
    details = {
        404: "there is nothing at this address; /openapi.json says what there is",
        405: _OTHER_METHOD,
    }
    detail = details.get(error.status_code, error.detail)
    return Response(
        encode_problem(error.status_code, detail),
        error.status_code,
        headers=error.headers,
        media_type=PROBLEM_TYPE,
    )
