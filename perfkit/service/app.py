"""The application: a factory that puts the service together from its settings."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256

from fastapi import FastAPI

from perfkit import __version__
from perfkit.cache import cloudwatch
from perfkit.cache.aside import Cache
from perfkit.cache.policy import Keys
from perfkit.cache.settings import CacheSettings
from perfkit.dynamodb.targets import TargetKind
from perfkit.embedded.latency import read_profile
from perfkit.queue.mail import SmtpSettings
from perfkit.queue.notifier import InlineNotifier, Notifier, OffNotifier, QueuedNotifier
from perfkit.service.answers import (
    Answers,
    AskedEachTime,
    KeptInRedis,
    Writes,
    as_it_is,
    through_the_model,
)
from perfkit.service.database import Database
from perfkit.service.health import HealthReporter
from perfkit.service.metrics import Metrics
from perfkit.service.middleware import BehindLoadBalancer, Instrumented
from perfkit.service.notifications import Notifications, NotifiesNobody, NotifiesUsers
from perfkit.service.problem_bodies import documented, handle_problems
from perfkit.service.routers import courses, operations, users
from perfkit.service.sessions import KeptSessions, Sessions, VerifiedEachTime
from perfkit.service.settings import ServiceSettings
from perfkit.service.store import Store, check_workload, make_store, with_own_patterns
from perfkit.service.tokens import Tokens
from perfkit.workloads.loader import load
from perfkit.workloads.model import Workload

__all__ = ["Clock", "Parts", "create_app", "make_cache"]

Clock = Callable[[], datetime]
"""Returns the time of day, UTC."""

_SHAPE = 2
"""Raised when what is kept in Redis changes its form."""

_REDIS_LIMIT_S = 0.07
"""
What a command may take. The first that takes longer opens the breaker, which cache and queue share:
a server that hangs costs a request this once, and one that writes `CacheSettings.brief_s` more,
since what has become untrue is asked to be forgotten whatever the breaker says. So no request loses
100 ms, timers that fire late included.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What requests are answered with; dependencies hand them to path functions."""

    database: Database
    store: Store
    cache: Cache | None
    sessions: Sessions
    answers: Answers
    writes: Writes
    notifier: Notifier
    notifications: Notifications
    metrics: Metrics
    health: HealthReporter
    clock: Clock


def _assemble(
    settings: ServiceSettings, *, clock: Clock, notifier: Notifier | None = None
) -> Parts:
    """
    Return the parts that the switches ask for: each optimisation is one line here.

    Raises:
        ConfigError: The workload is another than the service serves, or a server's URL is wrong.
    """
    settings.check_servers()
    switches = settings.switches
    workload = load(settings.workload)
    check_workload(workload)
    tokens = Tokens(settings.secret)
    cache = make_cache(settings, workload) if switches.needs_cache else None

    # pooling: one boto3 client for all requests, or a new one for each
    database = Database(
        settings.target,
        pooled=switches.pooling,
        threads=settings.threads,
        waiting=settings.waiting,
        deadline_s=settings.deadline_s,
    )
    # indexes: queries, or scans; batching: titles in batches, or one by one
    store = make_store(workload, switches, settings.secret)
    # sessions: a token verified once, or each time
    sessions: Sessions = VerifiedEachTime(tokens, store)
    if cache is not None and switches.sessions:
        sessions = KeptSessions(cache, tokens, VerifiedEachTime(tokens, store))
    # cache: answers kept in Redis, or asked for each time; passthrough: used as they are
    answers: Answers = AskedEachTime()
    if cache is not None and switches.cache:
        answers = KeptInRedis(cache, as_it_is if switches.passthrough else through_the_model)
    # notify: mails and a log, or none; background: queued, or sent while the client waits
    if notifier is None:
        notifier = _make_notifier(settings, cache)
    metrics = Metrics(cache, settings.counts)
    notifications: Notifications = NotifiesNobody()
    if switches.notify:
        notifications = NotifiesUsers(notifier, metrics.count_notification)
    return Parts(
        database=database,
        store=store,
        cache=cache,
        sessions=sessions,
        answers=answers,
        writes=Writes(answers),
        notifier=notifier,
        notifications=notifications,
        metrics=metrics,
        health=HealthReporter(settings, workload, database, cache, notifier),
        clock=clock,
    )


def _make_notifier(settings: ServiceSettings, cache: Cache | None) -> Notifier:
    switches = settings.switches
    if not switches.notify:
        return OffNotifier()
    if switches.background:
        # one server: whichever finds out that it is away spares the other the wait
        breaker = None if cache is None else cache.breaker
        return QueuedNotifier(
            settings.redis_url or "",
            breaker=breaker,
            time_limit_s=_REDIS_LIMIT_S,
            trip_s=_trip_s(settings),
        )
    return InlineNotifier(SmtpSettings.from_url(settings.smtp_url or ""), settings.folder)


def make_cache(settings: ServiceSettings, workload: Workload) -> Cache:
    """
    Return the cache of a service; whoever changes its tables can invalidate with it, too.

    Raises:
        ConfigError: The URL of the server is none.
    """
    # the same tables elsewhere, or another workload's, are other answers
    source = sha256(f"{settings.target} {workload.digest}".encode()).hexdigest()
    keys = Keys(with_own_patterns(workload), f"{_SHAPE}-{source[:12]}")
    # the embedded engine's indexes lag behind its tables only where somebody asked for it
    embedded = settings.target.kind is TargetKind.EMBEDDED
    lag_s = settings.target.delay_s() if embedded else 1.0
    behaviour = CacheSettings(
        time_limit_s=_REDIS_LIMIT_S, index_lag_s=lag_s, trip_s=_trip_s(settings)
    )
    return Cache(settings.redis_url or "", keys, behaviour)


def _trip_s(settings: ServiceSettings) -> float:
    """Return how much further away cache and queue are taken to be: nothing, unless AWS is modelled."""
    latency = settings.target.latency
    return 0.0 if latency is None else read_profile(latency).cross_zone_s


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
        ConfigError: The workload is another than the service serves, or a server's URL is wrong.
    """
    parts = _assemble(settings, clock=clock, notifier=notifier)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        await parts.database.warm()
        tasks = [asyncio.create_task(parts.metrics.keep_posting())]
        if settings.cloudwatch is not None and parts.cache is not None:
            client = settings.cloudwatch_client()
            publishing = cloudwatch.keep_publishing(
                parts.cache.snapshot, client, settings.cloudwatch
            )
            tasks.append(asyncio.create_task(publishing))
        yield
        await parts.writes.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        parts.metrics.post()
        await parts.notifier.close()
        if parts.cache is not None:
            await parts.cache.close()
        parts.database.close()

    app = FastAPI(
        title="perfkit reference service",
        version=__version__,
        summary="Courses, enrollments and users, every optimisation a switch.",
        lifespan=lifespan,
        responses=documented(431),
        redirect_slashes=False,
    )
    app.state.parts = parts
    app.add_middleware(Instrumented, metrics=parts.metrics, notifications=parts.notifications)
    if settings.target.latency is not None:
        profile = read_profile(settings.target.latency)
        app.add_middleware(BehindLoadBalancer, takes_s=profile.load_balancer_s)
    handle_problems(app)
    for router in (courses.router, users.router, operations.router):
        app.include_router(router)
    return app


def from_environment() -> FastAPI:
    """Return the service as the environment describes it; for servers that want a factory."""
    return create_app(ServiceSettings.from_environment())
