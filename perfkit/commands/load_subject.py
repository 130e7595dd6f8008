"""What a load test asks: any service by its URLs, or the reference service, started if need be."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from perfkit.commands.options import make_target, read_workload
from perfkit.commands.output import note, say_consumption, warn
from perfkit.errors import ConfigError, TargetError
from perfkit.settings import FOLDER

if TYPE_CHECKING:
    from perfkit.dynamodb.targets import Target
    from perfkit.load.plan import LoadPlan, Mix
    from perfkit.load.reference_service import ServiceUnderTest
    from perfkit.load.running import InstanceSampler, Subject
    from perfkit.workloads.model import Workload

__all__ = [
    "Where",
    "check_subject",
    "draws_items",
    "most_requests",
    "of_reference_service",
    "of_urls",
]


@dataclass(frozen=True, slots=True)
class Where:
    """
    What options say of the tables, and of the cache of a service that is started.

    `names_redis` says that `redis_url` was typed: the environment's is for other services, too.
    """

    workload: str | None
    name: str | None
    data: Path | None
    region: str | None
    profile: str | None
    max_rcu: float | None
    max_cost: float | None
    like_aws: bool
    redis_url: str | None = None
    names_redis: bool = False

    def target(self, workload: "Workload") -> "Target":
        """
        Return where the tables are.

        Raises:
            ConfigError: There is no such target.
        """
        return make_target(
            self.name,
            self.data,
            self.region,
            self.profile,
            workload=workload,
            max_rcu=self.max_rcu,
            max_cost=self.max_cost,
            like_aws=self.like_aws,
        )


def check_subject(
    phase: int | None,
    urls: list[str] | None,
    mix: Path | None,
    locustfile: Path | None,
    metrics: list[str] | None,
) -> tuple[str, ...]:
    """
    Return the URLs that were given.

    Raises:
        ConfigError: One is none, a file is missing, or options contradict each other.
    """
    from perfkit.load.probing import check_url

    checked = tuple(dict.fromkeys(map(check_url, urls or ())))
    if urls and phase is not None:
        msg = "--url and --phase contradict each other; leave one out"
        raise ConfigError(msg)
    if metrics and not urls:
        msg = "--metrics goes with --url; the reference service is looked at without it"
        raise ConfigError(msg)
    if mix is not None and locustfile is not None:
        msg = "--mix and --locustfile contradict each other; leave one out"
        raise ConfigError(msg)
    for option, file in (("--mix", mix), ("--locustfile", locustfile)):
        if file is not None and not file.is_file():
            msg = f"{option} {file}: there is no such file"
            raise ConfigError(msg)
    if urls and mix is None and locustfile is None:
        msg = (
            "what is asked of a --url is not known; describe it with --mix FILE (docs/load.md), or"
            " give a --locustfile"
        )
        raise ConfigError(msg)
    if locustfile is not None and not urls:
        msg = "a Locust file needs to know where the service is; give its --url"
        raise ConfigError(msg)
    if locustfile is not None and len(urls or ()) > 1:
        msg = "users of a Locust file ask one --url; leave the others out"
        raise ConfigError(msg)
    return checked


def of_urls(
    asked: dict[str, Any],
    urls: tuple[str, ...],
    mix: Path | None,
    locustfile: Path | None,
    metrics: list[str] | None,
    where: Where,
    *,
    yes: bool,
) -> "tuple[LoadPlan, Subject]":
    """Return a test of any service."""
    from perfkit.load.plan import LoadPlan
    from perfkit.load.running import Subject

    samplers = _watch(urls, metrics)
    if locustfile is not None:
        plan = LoadPlan(urls=urls, locustfile=str(locustfile.resolve()), **asked)
        name, tables = locustfile.name, locustfile.stem
        return plan, Subject(mix=name, workload=tables, samplers=samplers)
    assert mix is not None  # noqa: S101 - checked before
    read = _read_mix(mix, where, yes=yes)
    subject = Subject(mix=read.name, mix_file=str(mix), workload=read.name, samplers=samplers)
    return LoadPlan(urls=urls, mix=read, **asked), subject


def draws_items(mix: Path | None) -> bool:
    """
    Return whether values of a mix are drawn from items of tables.

    Raises:
        ConfigError: The file says what it may not.
    """
    from perfkit.load.mix_file import drawn_tables

    return mix is not None and bool(drawn_tables(mix.read_bytes()))


def _watch(urls: tuple[str, ...], metrics: list[str] | None) -> "tuple[InstanceSampler, ...]":
    """
    Return what looks at a service each second, by its health checks and Prometheus metrics.

    Raises:
        ConfigError: What should have metrics is no URL.
        TargetError: There are none.
    """
    from perfkit.load.instances import InstanceWatch
    from perfkit.load.probing import has_health_check
    from perfkit.load.service_samples import Endpoint, ServiceSampler, parse_base_url

    read = [parse_base_url(each) for each in metrics or ()]
    only = [Endpoint(name=each, metrics_url=each) for each in read]
    for sample in ServiceSampler(lambda: only).sample() if only else ():
        if not sample.healthy:
            msg = f"--metrics {sample.instance} cannot be read: {sample.problem}"
            raise TargetError(msg)
        if sample.problem:
            warn(sample.problem)
    checks = {url: f"{url}/healthz" for url in urls if has_health_check(url)}
    if len(read) == len(urls):
        endpoints = [
            Endpoint(name=url, health_url=checks.get(url), metrics_url=each)
            for url, each in zip(urls, read, strict=True)
        ]
    else:
        endpoints = only + [Endpoint(name=url, health_url=check) for url, check in checks.items()]
    return (InstanceWatch(lambda: endpoints),) if endpoints else ()


def _read_mix(file: Path, where: Where, *, yes: bool) -> "Mix":
    from perfkit.commands.load_aws import approve_load
    from perfkit.load.drawing import draw_from
    from perfkit.load.mix_file import drawn_tables, read_mix

    content = file.read_bytes()
    draw = None
    # only a mix that asks for items needs tables
    if drawn_tables(content):
        workload = read_workload(where.workload)
        target = where.target(workload)
        title = "Draw values of requests from tables"
        approve_load(target, content, title=title, yes=yes, max_cost=where.max_cost)
        draw = draw_from(target, {}, _seeded(workload))
    return read_mix(content, source=str(file), folder=file.parent, draw=draw)


def _seeded(workload: "Workload") -> frozenset[str]:
    """Return the names of the tables that `perfkit seed` creates."""
    return frozenset(table.name for table in workload.made)


def _check_running(running: "ServiceUnderTest", where: Where, workers: int | None) -> None:
    """
    Make sure that options do not ask of the service that is up what it was not started with.

    Raises:
        ConfigError: It models no AWS and should, or is to be held to a rate, or have so many
            processes or another cache.
    """
    if workers is not None:
        msg = (
            "--service-workers are of a service that is started, and one is up; end it with"
            " `perfkit down`, or start it with `perfkit up --workers`"
        )
        raise ConfigError(msg)
    if where.names_redis:
        msg = (
            "--redis-url is of a service that is started, and one is up; end it with `perfkit down`,"
            " or start it with `perfkit up --redis-url`"
        )
        raise ConfigError(msg)
    if where.like_aws and "modelled" not in running.target:
        msg = (
            "--like-aws goes with a service that models AWS, and the one that is up does not; end it"
            " with `perfkit down`, or start it with `perfkit up --like-aws`"
        )
        raise ConfigError(msg)
    if where.max_rcu is not None:
        msg = (
            "--max-rcu holds from the start of a service, and one is up; end it with `perfkit down`,"
            " or start it with `perfkit up --max-rcu`"
        )
        raise ConfigError(msg)


def _check_place(running: "ServiceUnderTest", target: "Target") -> None:
    """
    Make sure that the service that is up has its tables where this command takes them to be.

    Raises:
        ConfigError: It has them elsewhere.
    """
    from perfkit.analysis.selection import target_title

    there = {key: value for key, value in running.target.items() if key != "modelled"}
    if there and there != target.describe():
        msg = (
            f"the service that is up has its tables on {target_title(there)}, and this command's"
            f" target is {target.name}; name the service's with --target, or end the service with"
            " `perfkit down`"
        )
        raise ConfigError(msg)


@contextmanager
def of_reference_service(
    asked: dict[str, Any],
    phase: int | None,
    mix: Path | None,
    workers: int | None,
    where: Where,
    *,
    yes: bool = False,
    searches: bool = False,
    target: "Target | None" = None,
) -> "Iterator[tuple[LoadPlan, Subject]]":
    """
    Yield a test of the reference service; one that is started for it ends with the block.

    With *target* it is a part of a longer command, which has asked, and starts its own.

    Raises:
        ConfigError: The service that is up models no AWS and should, is to be held to a rate, or has
            its tables elsewhere; or the one to start needs no server of Redis, and one is named.
    """
    from perfkit.commands.load_aws import approve_load, requests_effect
    from perfkit.commands.serve import make_plan
    from perfkit.load.instances import InstanceWatch
    from perfkit.load.plan import LoadPlan
    from perfkit.load.reference_service import mix_of, own_mix, running_service, started_service
    from perfkit.load.running import Subject
    from perfkit.runs import Doubt, DoubtKind
    from perfkit.scenarios.service.phases import QUOTED
    from perfkit.service.launch import read_secret
    from perfkit.service.settings import Switches

    wanted = None if phase is None else Switches.of_phase(phase)
    is_part = target is not None
    # a part is refused by nothing that happens to be up
    running = None if is_part else running_service(wanted)
    if running is None and phase is None:
        msg = "no service is up; give --phase to start one, or --url for another service"
        raise ConfigError(msg)
    if running is not None:
        _check_running(running, where, workers)
    elif where.names_redis and wanted is not None and not wanted.needs_redis:
        msg = (
            f"--redis-url does nothing at phase {phase}, whose service has neither cache nor queue;"
            " leave it out"
        )
        raise ConfigError(msg)
    read = read_workload(where.workload)
    target = target or where.target(read)
    if running is not None:
        _check_place(running, target)
    switches = running.switches if running is not None else asdict(wanted or Switches())
    if target.kind != "embedded" and not is_part:
        approve_load(
            target,
            mix_of(mix),
            title="Load the reference service",
            requests=requests_effect(
                target,
                read,
                switches,
                None if searches else most_requests(asked),
                phase if running is None else running.phase,
            ),
            yes=yes,
            max_cost=where.max_cost,
        )
    with ExitStack() as stack:
        if running is None:
            plan = make_plan(
                phase or 0,
                {},
                where.workload,
                where.name,
                where.data,
                where.region,
                where.profile,
                workers=workers or 1,
                port=0,
                host="127.0.0.1",
                redis_url=where.redis_url,
                smtp_host=None,
                smtp_port=None,
                cloudwatch=None,
                like_aws=where.like_aws,
            )
            # one count of units, whoever consumes them
            plan = replace(plan, settings=replace(plan.settings, target=target))
            drawn = own_mix(target, plan.settings.secret, mix, _seeded(read))
            note(f"Starting the service at phase {phase}.")
            running = stack.enter_context(started_service(plan))
        else:
            note(f"Loading the service that is up at {running.urls[0]}.")
            drawn = own_mix(target, read_secret(FOLDER), mix, _seeded(read))
        doubt = target.capacity_doubt()
        subject = Subject(
            mix=drawn.name,
            workload=read.name,
            workload_digest=read.digest,
            # what the service models and not what this command would
            target=running.target or target.condition(),
            phase=running.phase,
            switches=running.switches,
            workers=running.workers,
            # a document speaks of its own requests
            quoted=QUOTED if mix is None else None,
            doubts=(Doubt(DoubtKind.CAPACITY, doubt),) if doubt else (),
            samplers=(InstanceWatch(running.endpoints),),
        )
        yield LoadPlan(urls=running.urls, mix=drawn, **asked), subject
        say_consumption(target)


def most_requests(asked: dict[str, Any]) -> int:
    """Return how many requests a test makes if every answer comes at once."""
    rate: float = asked["rate_hz"] or asked["users"] / max(asked["think_s"], 0.05)
    whole_s: float = asked["duration_s"] + asked["ramp_s"] / 2
    return round(rate * whole_s)
