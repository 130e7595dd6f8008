"""`perfkit up`: the reference service in the background."""

from perfkit.commands.common import (
    DataOption,
    ProfileOption,
    RedisOption,
    RegionOption,
    TargetOption,
    WorkloadOption,
    print_text,
)
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

__all__ = ["up"]


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
) -> None:
    """
    Run the service, its mail worker and its cache server in the background.

    Processes that die are started again. `perfkit status` shows how they are, `perfkit down`
    stops them.

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
    )
    from perfkit.service import launch

    # the mail worker does not begin without its queue
    look_for_redis(plan, needed=plan.settings.switches.needs_queue)
    running = launch.up(plan)
    announce(plan, running.url)
    print_text("`perfkit status` shows how it is, `perfkit down` stops it.")
