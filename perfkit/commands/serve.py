"""`perfkit serve`: the reference service, with every optimisation a switch."""

import logging
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from perfkit.commands.options import (
    DataOption,
    LikeAwsOption,
    MaxCostOption,
    MaxRcuOption,
    MaxWcuOption,
    ProfileOption,
    RedisOption,
    RegionOption,
    TargetOption,
    WorkloadOption,
    make_redis_url,
    make_target,
    read_workload,
)
from perfkit.commands.output import note, print_text, say_consumption, warn
from perfkit.errors import TargetError
from perfkit.hosts import is_loopback
from perfkit.settings import FOLDER

if TYPE_CHECKING:
    from perfkit.service.running import Plan, RunningService
    from perfkit.service.settings import ServiceSettings

__all__ = ["announce", "look_for_redis", "make_plan", "serve"]

PhaseOption = Annotated[
    int,
    typer.Option(
        min=0,
        max=3,
        help="0 no optimisation, 1 with cache, 2 with indexes too, 3 with everything.",
    ),
]
CacheOption = Annotated[
    bool | None, typer.Option("--cache/--no-cache", help="Keep answers in Redis.")
]
SessionsOption = Annotated[
    bool | None,
    typer.Option("--sessions/--no-sessions", help="Remember verified tokens in Redis."),
]
IndexesOption = Annotated[
    bool | None,
    typer.Option("--indexes/--no-indexes", help="Query by index, instead of scanning."),
]
PoolingOption = Annotated[
    bool | None,
    typer.Option("--pooling/--no-pooling", help="One DynamoDB client, not one per request."),
]
BatchingOption = Annotated[
    bool | None,
    typer.Option("--batching/--no-batching", help="Get courses in batches, not one by one."),
]
BackgroundOption = Annotated[
    bool | None,
    typer.Option("--background/--no-background", help="Queue mail, instead of sending it."),
]
PassthroughOption = Annotated[
    bool | None,
    typer.Option(
        "--passthrough/--no-passthrough", help="Answer cached bytes without decoding them."
    ),
]
NotifyOption = Annotated[
    bool | None,
    typer.Option("--notify/--no-notify", help="Notify by mail and write request logs."),
]
WorkersOption = Annotated[int, typer.Option(min=1, max=64, help="Processes that answer requests.")]
PortOption = Annotated[
    int, typer.Option(min=0, max=65535, help="Port to listen on; 0 takes a free one.")
]
HostOption = Annotated[str, typer.Option(help="Address to listen on.")]
SmtpHostOption = Annotated[
    str | None,
    typer.Option(
        "--smtp-host",
        metavar="HOST",
        help="Mail server (default: PERFKIT_SMTP_URL, else a local sink that keeps all mail).",
    ),
]
SmtpPortOption = Annotated[
    int | None,
    typer.Option("--smtp-port", min=1, max=65535, help="Port of the mail server (default: 25)."),
]
CloudWatchOption = Annotated[
    str | None,
    typer.Option(
        "--cloudwatch",
        metavar="NAMESPACE",
        help="Publish the cache's metrics to AWS CloudWatch each minute; AWS bills them.",
    ),
]


def serve(
    *,
    phase: PhaseOption = 3,
    cache: CacheOption = None,
    sessions: SessionsOption = None,
    indexes: IndexesOption = None,
    pooling: PoolingOption = None,
    batching: BatchingOption = None,
    background: BackgroundOption = None,
    passthrough: PassthroughOption = None,
    notify: NotifyOption = None,
    workers: WorkersOption = 1,
    port: PortOption = 8080,
    host: HostOption = "127.0.0.1",
    redis_url: RedisOption = None,
    smtp_host: SmtpHostOption = None,
    smtp_port: SmtpPortOption = None,
    cloudwatch: CloudWatchOption = None,
    workload: WorkloadOption = None,
    target: TargetOption = None,
    data: DataOption = None,
    region: RegionOption = None,
    profile: ProfileOption = None,
    max_rcu: MaxRcuOption = None,
    max_wcu: MaxWcuOption = None,
    max_cost: MaxCostOption = None,
    like_aws: LikeAwsOption = False,
) -> None:
    """
    Serve the reference service: courses, enrollments and profiles over DynamoDB.

    A phase sets all switches, and options override it, one by one. At --max-cost it ends.

    Example: perfkit serve --phase 3 --no-pooling --workers 2
    """
    plan = make_plan(
        phase,
        {
            "cache": cache,
            "sessions": sessions,
            "indexes": indexes,
            "pooling": pooling,
            "batching": batching,
            "background": background,
            "passthrough": passthrough,
            "notify": notify,
        },
        workload,
        target,
        data,
        region,
        profile,
        workers=workers,
        port=port,
        host=host,
        redis_url=redis_url,
        smtp_host=smtp_host,
        smtp_port=smtp_port,
        cloudwatch=cloudwatch,
        max_rcu=max_rcu,
        max_wcu=max_wcu,
        max_cost=max_cost,
        like_aws=like_aws,
    )
    from perfkit.service import launch

    look_for_redis(plan)
    logging.basicConfig(format="%(asctime)s %(process)d %(levelname)s %(message)s")

    def started(service: "RunningService") -> None:
        announce(plan, service.url)
        if plan.settings.switches.needs_queue:
            note("Notifications are queued; `perfkit worker` delivers them.")
        print_text("Ctrl-C ends it.")

    try:
        launch.serve(plan, started=started)
    finally:
        say_consumption(plan.settings.target)


def make_plan(
    phase: int,
    switches: dict[str, bool | None],
    workload: str | None,
    target: str | None,
    data: Path | None,
    region: str | None,
    profile: str | None,
    *,
    workers: int,
    port: int,
    host: str,
    redis_url: str | None,
    smtp_host: str | None,
    smtp_port: int | None,
    cloudwatch: str | None,
    instances: int | None = None,
    max_rcu: float | None = None,
    max_wcu: float | None = None,
    max_cost: float | None = None,
    like_aws: bool = False,
) -> "Plan":
    """
    Return what options ask for, once there is something to serve.

    Raises:
        ConfigError: An option, or a variable of the environment, says something it may not.
        TargetError: Tables or indexes are missing.
    """
    from perfkit.queue.mail import SmtpSettings
    from perfkit.service import launch
    from perfkit.service.running import Plan
    from perfkit.service.settings import ServiceSettings, Switches

    chosen = Switches.of_phase(phase, **switches)
    smtp = SmtpSettings.configured(os.environ, host=smtp_host, port=smtp_port)
    read = read_workload(workload)
    redis_url = make_redis_url(redis_url, read)
    where = make_target(
        target,
        data,
        region,
        profile,
        workload=read,
        max_rcu=max_rcu,
        max_wcu=max_wcu,
        max_cost=max_cost,
        like_aws=like_aws,
    )
    launch.check_tables(where, read, chosen)
    settings = ServiceSettings(
        switches=chosen,
        secret=launch.read_secret(FOLDER),
        target=where,
        workload=workload,
        redis_url=redis_url,
        smtp_url=None if smtp is None else smtp.url,
        cloudwatch=cloudwatch,
    )
    if cloudwatch is not None:
        _look_at_cloudwatch(settings, cloudwatch)
    return Plan(settings=settings, host=host, port=port, workers=workers, instances=instances)


def _look_at_cloudwatch(settings: "ServiceSettings", namespace: str) -> None:
    """
    Say what publishing costs, before anything is published.

    Raises:
        ConfigError: There is nothing to publish, nowhere to, or no such name.
    """
    from perfkit.cache.cloudwatch import METRICS
    from perfkit.errors import ConfigError

    if not settings.switches.needs_cache:
        msg = "--cloudwatch publishes the cache's metrics, and the switches keep nothing"
        raise ConfigError(msg)
    if not namespace.strip() or namespace.startswith(("AWS/", ":")) or len(namespace) > 255:
        msg = f"{namespace!r} is no namespace of one's own for CloudWatch; try perfkit"
        raise ConfigError(msg)
    region = settings.cloudwatch_client().meta.region_name
    note(
        f"Up to {METRICS} custom metrics go to CloudWatch in {region} as {namespace}, each minute;"
        f" at $0.30 a metric that is ${METRICS * 0.30:.2f} a month."
    )


def look_for_redis(plan: "Plan", *, needed: bool = False) -> None:
    """
    Warn if the server of cache and queue is not there; it may come later.

    Raises:
        TargetError: It is not there, and is needed from the start.
    """
    from perfkit.queue.streams import connect

    settings = plan.settings
    if settings.redis_url is None or not settings.switches.needs_redis:
        return
    try:
        connect(settings.redis_url).close()
    except TargetError as error:
        if needed:
            raise
        warn(f"{error}; until one does nothing is cached, and what is to be queued is held")


def announce(plan: "Plan", url: str) -> None:
    """Say where the service is, what is on, and how to ask it."""
    from dataclasses import asdict

    from perfkit.service.tokens import DEMO_USER, Tokens

    settings = plan.settings
    on = [name for name, is_on in asdict(settings.switches).items() if is_on]
    token = Tokens(settings.secret).issue(DEMO_USER)
    each = " an instance" if plan.instances is not None else ""
    print_text(f"Service at {url}, {plan.workers} worker{'s' if plan.workers > 1 else ''}{each}")
    print_text(f"On: {', '.join(on) or 'nothing'}")
    print_text(f"Token of {DEMO_USER}: {token}")
    print_text(
        f"Try: curl -i -H 'Authorization: Bearer {token}'"
        f" '{url}/api/courses?semester=1&department=CS'"
    )
    if not is_loopback(plan.host):
        warn(f"{plan.host} is reachable from other machines; anybody with a token can use it")
