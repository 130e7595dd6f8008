"""`perfkit up`: the reference service in the background."""

import sys
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
)
from perfkit.commands.output import print_text, wrap
from perfkit.commands.serve import (
    BackgroundOption,
    BatchingOption,
    CacheOption,
    CloudWatchOption,
    HostOption,
    IndexesOption,
    NotifyOption,
    PassthroughOption,
    PhaseOption,
    PoolingOption,
    PortOption,
    SessionsOption,
    SmtpHostOption,
    SmtpPortOption,
    WorkersOption,
    announce,
    look_for_redis,
    make_plan,
)

if TYPE_CHECKING:
    from perfkit.service.launch import Running

__all__ = ["up"]

InstancesOption = Annotated[
    int | None,
    typer.Option(
        min=1,
        max=16,
        help="Instances, each a service of its own, behind haproxy or nginx if installed.",
    ),
]


def up(
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
    instances: InstancesOption = None,
    max_rcu: MaxRcuOption = None,
    max_wcu: MaxWcuOption = None,
    max_cost: MaxCostOption = None,
    like_aws: LikeAwsOption = False,
) -> None:
    """
    Run the service, its mail worker and its cache server in the background.

    Processes that die are started again. `perfkit status` shows how they are, `perfkit down`
    stops them. At --max-cost everything ends.

    Example: perfkit up --phase 3 --workers 2
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
        instances=instances,
        max_rcu=max_rcu,
        max_wcu=max_wcu,
        max_cost=max_cost,
        like_aws=like_aws,
    )
    from perfkit.service import launch

    # the mail worker does not begin without its queue
    look_for_redis(plan, needed=plan.settings.switches.needs_queue)
    running = launch.up(plan)
    announce(plan, running.url)
    if instances is not None:
        _say_instances(running)
    print_text("`perfkit status` shows how it is, `perfkit down` stops it.")


def _say_instances(running: "Running") -> None:
    count = len(running.instances)
    what = f"{count} instance{'s' if count > 1 else ''}"
    if running.proxy is not None:
        spread = f"{running.proxy} spreads requests over {what}, by /healthz:"
    else:
        spread = f"Neither haproxy nor nginx is installed; {what}, for clients to choose from:"
    print_text(wrap(spread, sys.stdout))
    for instance in running.instances:
        print_text(f"  {instance.name}: {instance.url}")
