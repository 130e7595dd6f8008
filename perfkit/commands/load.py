"""`perfkit load`: requests of many users on a service, measured and judged."""

from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from perfkit.commands.load_subject import (
    Where,
    check_subject,
    draws_items,
    most_requests,
    of_reference_service,
    of_urls,
)
from perfkit.commands.options import (
    DataOption,
    JsonOption,
    LikeAwsOption,
    MaxCostOption,
    MaxRcuOption,
    ProfileOption,
    RedisOption,
    RegionOption,
    TargetOption,
    VerboseOption,
    WorkloadOption,
    YesOption,
    is_typed,
    parse_duration,
    read_workload,
    refuse_idle,
)
from perfkit.commands.output import note, print_json, say
from perfkit.commands.written_lines import GithubOption, JunitOption, LineFiles
from perfkit.console import INTERRUPTED, terminate_as_interrupt
from perfkit.errors import ConfigError, EvidenceError, ThresholdError
from perfkit.settings import RUNS_FOLDER
from perfkit.units import format_many, format_seconds

if TYPE_CHECKING:
    from perfkit.dynamodb.safety import Effect
    from perfkit.dynamodb.targets import Target
    from perfkit.load.cloudwatch import Watched
    from perfkit.load.plan import LoadPlan
    from perfkit.load.process import Place
    from perfkit.load.running import Subject
    from perfkit.runs import RateSearch, Run
    from perfkit.workloads.gates import Gate
    from perfkit.workloads.model import Workload

__all__ = ["document_of", "load", "load_phase", "phase_effect"]

_MOST_USERS = 100_000
_USERS = 50
_THINK_S = 0.2
_BALANCER_S = 60.0
"""How long a load balancer of AWS waits for an answer by default. Source: ELB User Guide, idle timeout."""
_LONGEST_RAMP_S = 30.0
# answers may take so long before users run out, unless --users says how many there are
_LONGEST_ANSWER_S = 2.0
_FEWEST_FOR_A_RATE = 20
_FIRST_RATE = 20.0
_MOST_FOR_A_RATE = 5000
_PLURAL = {"does not hold": "do not hold", "cannot be judged": "cannot be judged"}
_OF_A_WORKER = frozenset({"worker", "master_host", "master_port", "locustfile"})
_OF_WHAT_IS_READ = frozenset({"data", "max_rcu", "max_cost"})
_OF_THE_TABLES = frozenset({"workload", "target", "region", "profile"})
_MASTER_PORT = 5557
"""Where Locust's own master listens."""
_WEB_PORT = 8089
"""Where Locust's own page is."""


@terminate_as_interrupt()
def load(
    context: typer.Context,
    *,
    users: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=_MOST_USERS,
            metavar="N",
            help="Users at a time (default: 50; with --rate as many as answers of 2 s need).",
        ),
    ] = None,
    think: Annotated[
        str | None,
        typer.Option(
            metavar="TIME", help="Mean pause of a user between two requests (default: 0.2s)."
        ),
    ] = None,
    rate: Annotated[
        float | None,
        typer.Option(
            metavar="N",
            help="Requests a second, due at fixed times whatever the answers; times count from then.",
        ),
    ] = None,
    duration: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="Time that is measured, after the ramp (default: 30s)."),
    ] = None,
    ramp: Annotated[
        str | None,
        typer.Option(
            metavar="TIME",
            help="Time from none to all users (default: a tenth of --duration, 30s at most).",
        ),
    ] = None,
    timeout: Annotated[
        str, typer.Option(metavar="TIME", help="A request that takes longer has failed.")
    ] = "10s",
    phase: Annotated[
        int | None,
        typer.Option(
            min=0, max=3, help="Load the reference service at this phase; start it if need be."
        ),
    ] = None,
    service_workers: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=64,
            metavar="N",
            help="Processes of a service that is started for --phase (default: 1).",
        ),
    ] = None,
    url: Annotated[
        list[str] | None,
        typer.Option(
            metavar="URL", help="Load any service; again for each further instance of it."
        ),
    ] = None,
    mix: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Requests, weights and values: a small TOML file."),
    ] = None,
    locustfile: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Users of a Locust file instead.")
    ] = None,
    processes: Annotated[
        int,
        typer.Option(min=1, max=64, metavar="N", help="Processes of this machine that ask."),
    ] = 1,
    master: Annotated[
        bool, typer.Option("--master", help="Let workers on other machines ask; see --worker.")
    ] = False,
    expect_workers: Annotated[
        int, typer.Option(min=1, max=1000, metavar="N", help="Workers that a master waits for.")
    ] = 1,
    worker: Annotated[
        bool, typer.Option("--worker", help="Ask as the master at --master-host says.")
    ] = False,
    master_host: Annotated[
        str | None,
        typer.Option(metavar="HOST", help="Worker: where the master is. Master: where it listens."),
    ] = None,
    master_port: Annotated[
        int, typer.Option(min=1, max=65535, metavar="PORT", help="Of the master.")
    ] = _MASTER_PORT,
    web: Annotated[
        bool, typer.Option("--web", help="Show Locust's own page meanwhile, too.")
    ] = False,
    web_port: Annotated[
        int, typer.Option(min=1, max=65535, metavar="PORT", help="Of that page.")
    ] = _WEB_PORT,
    find_max: Annotated[
        bool,
        typer.Option(
            "--find-max",
            help="Search for the highest rate that keeps --p95; --duration (10s) is each trial's.",
        ),
    ] = False,
    p95: Annotated[
        str | None,
        typer.Option("--p95", metavar="TIME", help="Of --find-max: the limit, such as 200ms."),
    ] = None,
    metrics: Annotated[
        list[str] | None,
        typer.Option(
            metavar="URL",
            help="Prometheus metrics of the service, read each second; of several instances one for"
            " each --url, in their order.",
        ),
    ] = None,
    cloudwatch: Annotated[
        bool,
        typer.Option(
            "--cloudwatch",
            help="Read afterwards what CloudWatch says of the workload's tables, on target aws.",
        ),
    ] = False,
    load_balancer: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="And of this load balancer and its targets."),
    ] = None,
    scaling_group: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="And of the machines of this auto-scaling group."),
    ] = None,
    gate: Annotated[
        list[str] | None,
        typer.Option(
            metavar="EXPR", help="What must hold, such as 'p95_ms < 200'; exit code 4 if not."
        ),
    ] = None,
    gates: Annotated[
        Path | None, typer.Option(metavar="FILE", help="A TOML file with [gates].")
    ] = None,
    junit: JunitOption = None,
    github: GithubOption = False,
    workload: WorkloadOption = None,
    target: TargetOption = None,
    data: DataOption = None,
    region: RegionOption = None,
    profile: ProfileOption = None,
    max_rcu: MaxRcuOption = None,
    max_cost: MaxCostOption = None,
    like_aws: LikeAwsOption = False,
    redis_url: RedisOption = None,
    yes: YesOption = False,
    as_json: JsonOption = False,
    verbose: VerboseOption = False,
) -> None:
    """
    Load a service with requests and measure how it answers.

    Without --url it is the reference service: that of `perfkit up`, or with --phase one of its own.
    Users wait for their answers and think; with --rate requests come at their times instead, and
    what is late for them counts. A run whose generator was the bottleneck is INVALID and exits
    with 3. Ctrl-C or SIGTERM ends it early; what was measured is saved.

    Example: perfkit load --phase 3 --users 200 --duration 10m
    """
    _check_used(context, worker=worker, master=master, web=web, urls=bool(url))
    if worker:
        _work(master_host, master_port, locustfile)
        return
    limit_s = _read_limit(p95, think, locustfile, find_max=find_max)
    if duration is None:
        duration = "30s" if limit_s is None else "10s"
    if limit_s is not None:
        rate = rate or _FIRST_RATE
    asked = _read_settings(users, think, rate, duration, ramp, timeout, locustfile)
    urls = check_subject(phase, url, mix, locustfile, metrics)
    place = _make_place(
        processes, expect_workers, master_host, master_port, web_port, master=master, web=web
    )
    where = Where(
        workload,
        target,
        data,
        region,
        profile,
        max_rcu,
        max_cost,
        like_aws,
        redis_url,
        names_redis=is_typed(context, "redis_url"),
    )
    if urls and like_aws:
        msg = "--like-aws goes with the reference service, not with --url"
        raise ConfigError(msg)
    held = _read_gates(gate, gates)
    files = LineFiles.of_options(junit, github=github)
    cloud = _read_cloud(where, load_balancer, scaling_group, is_asked=cloudwatch)
    if urls:
        if not draws_items(mix):
            idle = _OF_WHAT_IS_READ if cloud is not None else _OF_WHAT_IS_READ | _OF_THE_TABLES
            refuse_idle(context, idle, "where no value of a mix is drawn from a table")
        test = of_urls(asked, urls, mix, locustfile, metrics, where, yes=yes)
        run = _measure(*test, place, held, limit_s, users, cloud)
    else:
        held = (*held, *read_workload(workload).gates)
        with of_reference_service(
            asked, phase, mix, service_workers, where, yes=yes, searches=limit_s is not None
        ) as test:
            run = _measure(*test, place, held, limit_s, users, cloud)
    _finish(run, files, as_json=as_json, verbose=verbose)


def _check_used(
    context: typer.Context, *, worker: bool, master: bool, web: bool, urls: bool
) -> None:
    """
    Refuse options that are of another kind of test.

    Raises:
        ConfigError: One was given.
    """
    if worker:
        others = {each.name for each in context.command.params if each.name} - _OF_A_WORKER
        refuse_idle(context, others, "with --worker, which asks as the master says")
        return
    if not master:
        refuse_idle(context, {"expect_workers"}, "without --master")
        refuse_idle(context, {"master_host", "master_port"}, "without --master or --worker")
    if not web:
        refuse_idle(context, {"web_port"}, "without --web")
    if urls:
        why = "with --url, whose service perfkit does not start"
        refuse_idle(context, {"service_workers", "redis_url"}, why)


def _read_limit(
    p95: str | None, think: str | None, locustfile: Path | None, *, find_max: bool
) -> float | None:
    """
    Return the limit of a search for the highest rate; None where nothing is searched for.

    Raises:
        ConfigError: An option is missing, or does not go with a search.
    """
    if not find_max:
        if p95 is not None:
            msg = "--p95 is the limit of --find-max; add that, or write --gate 'p95 < ...'"
            raise ConfigError(msg)
        return None
    if p95 is None:
        msg = "--find-max needs a limit; add --p95 200ms"
        raise ConfigError(msg)
    if think is not None or locustfile is not None:
        msg = "--find-max tries rates, at which nobody thinks; leave --think and --locustfile out"
        raise ConfigError(msg)
    return parse_duration(p95, "--p95", least_s=0.001)


def _read_gates(written: list[str] | None, file: Path | None) -> "tuple[Gate, ...]":
    """
    Return the gates that options say.

    Raises:
        GateError: One says something else.
    """
    from perfkit.workloads.gates import parse_gate
    from perfkit.workloads.loader import load_gates

    found = tuple(map(parse_gate, written or ()))
    return found if file is None else (*found, *load_gates(file))


def _read_cloud(
    where: Where, balancer: str | None, scaling_group: str | None, *, is_asked: bool
) -> "tuple[Target, Watched] | None":
    """
    Return what CloudWatch is asked afterwards, and where; None where it is not.

    Raises:
        ConfigError: The target is not AWS, or there is no such load balancer.
    """
    from perfkit.commands.load_aws import find_metrics

    if not (is_asked or balancer or scaling_group):
        return None
    read = read_workload(where.workload)
    target = where.target(read)
    return target, find_metrics(target, read, balancer=balancer, scaling_group=scaling_group)


def _read_settings(
    users: int | None,
    think: str | None,
    rate: float | None,
    duration: str,
    ramp: str | None,
    timeout: str,
    locustfile: Path | None,
) -> dict[str, Any]:
    """
    Return how long and how often requests are made.

    Raises:
        ConfigError: An option says something it may not, or two contradict each other.
    """
    duration_s = parse_duration(duration, "--duration", least_s=0.1)
    ramp_s = (
        min(duration_s / 10, _LONGEST_RAMP_S) if ramp is None else parse_duration(ramp, "--ramp")
    )
    if rate is not None:
        if not 0 < rate <= 1e6:
            msg = f"--rate {rate:g} is out of range; it is above 0, and a million at most"
            raise ConfigError(msg)
        if think is not None:
            msg = (
                "--think and --rate contradict each other: with a rate nobody thinks; leave one out"
            )
            raise ConfigError(msg)
    if locustfile is not None and (rate is not None or think is not None):
        msg = "a Locust file says itself when users ask; leave --rate and --think out"
        raise ConfigError(msg)
    if users is None:
        users = _USERS if rate is None else _users_for(rate)
    return {
        "users": users,
        "think_s": _THINK_S if think is None else parse_duration(think, "--think"),
        "rate_hz": rate,
        "duration_s": duration_s,
        "ramp_s": ramp_s,
        "timeout_s": parse_duration(timeout, "--timeout", least_s=0.001),
    }


def _users_for(rate_hz: float) -> int:
    return min(max(round(rate_hz * _LONGEST_ANSWER_S), _FEWEST_FOR_A_RATE), _MOST_FOR_A_RATE)


def _make_place(
    processes: int,
    expect_workers: int,
    master_host: str | None,
    master_port: int,
    web_port: int,
    *,
    master: bool,
    web: bool,
) -> "Place":
    from perfkit.load.process import LOOPBACK, Place

    if master and processes > 1:
        msg = "a master asks nothing itself; start workers with --worker, and leave --processes out"
        raise ConfigError(msg)
    page = (LOOPBACK, web_port) if web else None
    if page is not None:
        note(f"Locust's page: http://{LOOPBACK}:{web_port}")
    if not master:
        return Place(processes=processes, web=page)
    return Place(expected=expect_workers, bind=(master_host or LOOPBACK, master_port), web=page)


def phase_effect(
    phase: int, target: "Target", workload: "Workload", *, users: int, duration_s: float
) -> "Effect":
    """Return what `load_phase` reads, to be shown before."""
    from perfkit.commands.load_aws import requests_effect
    from perfkit.load.drawing import drawing_effects
    from perfkit.load.mix_file import drawn_tables
    from perfkit.load.reference_service import mix_of
    from perfkit.service.settings import Switches

    requests = requests_effect(
        target,
        workload,
        asdict(Switches.of_phase(phase)),
        most_requests(_of_phase(users, duration_s)),
        phase,
    )
    tables = drawn_tables(mix_of(None))
    drawn = drawing_effects(target, tables)
    return replace(
        requests,
        text=f"load phase {phase}: {requests.text}; items of {', '.join(tables)} for their values",
        read_units=requests.read_units + sum(each.read_units for each in drawn),
    )


def _of_phase(users: int, duration_s: float) -> dict[str, Any]:
    return {
        "users": users,
        "think_s": _THINK_S,
        "rate_hz": None,
        "duration_s": duration_s,
        "ramp_s": duration_s / 10,
        # one that takes long is to be seen, and not only that it took longer
        "timeout_s": _BALANCER_S,
    }


def load_phase(
    phase: int, where: Where, target: "Target", *, users: int, duration_s: float
) -> "Run":
    """
    Load a reference service of its own at a phase for a while, and save and return the run.

    Args:
        phase: That.
        where: What options say of the tables.
        target: Where they are, with the limits that hold for all of the command.
        users: At a time.
        duration_s: That is measured.

    Raises:
        TargetError: The service does not start or does not answer.
    """
    from perfkit.load.process import Place

    asked = _of_phase(users, duration_s)
    with of_reference_service(asked, phase, None, 1, where, target=target) as test:
        return _measure(*test, Place(), (), None, users, None)


def _measure(
    plan: "LoadPlan",
    subject: "Subject",
    place: "Place",
    gates: "Sequence[Gate]",
    limit_s: float | None,
    users: int | None,
    cloud: "tuple[Target, Watched] | None",
) -> "Run":
    """Make the requests under a live view, hold the run against gates, and save it."""
    from perfkit.commands.load_aws import add_cloudwatch
    from perfkit.commands.load_view import live_view
    from perfkit.load.judging import hold
    from perfkit.load.running import run_load
    from perfkit.load.searching import find_highest
    from perfkit.runs import RunStore

    store = RunStore(RUNS_FOLDER)
    store.prepare()

    def measure(plan: "LoadPlan") -> "Run":
        with live_view(plan) as view:
            return run_load(plan, subject, place, show=view, say=note)

    def at(rate_hz: float) -> "LoadPlan":
        return replace(plan, rate_hz=rate_hz, users=users or _users_for(rate_hz))

    if limit_s is None:
        run = measure(plan)
    else:
        run = find_highest(limit_s, plan.rate_hz or _FIRST_RATE, at, measure, say=note)
    run = hold(run, gates)
    run = replace(run, id=store.save(run).stem)
    if cloud is not None:
        # kept before, so that nothing is lost while CloudWatch is waited for
        run = add_cloudwatch(run, *cloud)
        store.save(run)
    return run


def _finish(run: "Run", files: LineFiles, *, as_json: bool, verbose: bool) -> None:
    """
    Print what was found, and write what became of it.

    Raises:
        ConfigError: A file cannot be written.
        EvidenceError: The measurement supports no verdict, or a gate's figure is not there.
        ThresholdError: A gate does not hold.
        typer.Exit: It was interrupted, with exit code 130.
    """
    from perfkit.load.judging import lines_of

    test = run.load_test
    assert test is not None  # noqa: S101 - every run of this kind has one
    if as_json:
        print_json(document_of(run))
    else:
        _print(run, verbose=verbose)
    files.write(lines_of(test), name=run.workload, title=f"perfkit load: {run.workload}")
    if test.interrupted:
        say("Interrupted: what was measured is saved, and marked as cut short.", fg="yellow")
        raise typer.Exit(INTERRUPTED)
    if test.search is not None and test.search.low_hz is None:
        msg = f"no rate keeps p95 below {format_seconds(test.search.limit_s)}: {_last_reason(test.search)}"
        raise ThresholdError(msg)
    if test.invalid:
        msg = f"the measurement is invalid: {'; '.join(test.invalid)}"
        raise EvidenceError(msg)
    for verdict, error in (("fail", ThresholdError), ("invalid", EvidenceError)):
        found = [each for each in test.gates if each.verdict == verdict]
        if found:
            what = "; ".join(f"{each.gate} ({each.reason})" for each in found)
            word = "does not hold" if verdict == "fail" else "cannot be judged"
            msg = f"{format_many(len(found), 'gate')} {word if len(found) == 1 else _PLURAL[word]}: {what}"
            raise error(msg)


def _last_reason(search: "RateSearch") -> str:
    last = search.trials[-1]
    return f"not even {last.rate_hz:,.3g} requests/s ({last.reason})"


def _print(run: "Run", *, verbose: bool) -> None:
    from perfkit.report import terminal

    if verbose:
        from perfkit.report.build import build_report

        terminal.print_report(build_report([run]))
    else:
        from perfkit.report.sections.load import blocks_of

        terminal.print_blocks(blocks_of(run))
    note(f"Saved as {run.id}{_compare_hint(run)}.")


def _compare_hint(run: "Run") -> str:
    """Return how to compare a run with the newest before it that was under the same load, if any."""
    from perfkit.analysis.matching import comparable
    from perfkit.runs import RunStore

    alike = [each for each in RunStore(RUNS_FOLDER).list().runs if each.scenario == run.scenario]
    for back, each in enumerate(alike):
        if each.id != run.id and comparable(each, run):
            when = "the one before" if back == 1 else "the newest before it under the same load"
            return (
                f"; `perfkit compare {run.scenario}~{back} {run.scenario}` compares it with {when}"
            )
    return ""


def document_of(run: "Run") -> dict[str, Any]:
    """Return what programs want to know of a load test."""
    from perfkit.analysis.measures import OVERALL, measures_of

    test = run.load_test
    assert test is not None  # noqa: S101 - every run of this kind has one
    measures = measures_of(run)
    errors = run.variants[0].http.errors_by_kind if run.variants and run.variants[0].http else {}
    return {
        "run": run.id,
        "settings": asdict(test.settings),
        "valid": not test.invalid,
        "invalid": list(test.invalid),
        "interrupted": test.interrupted,
        "measured_s": test.measured_s,
        "errors_by_kind": errors,
        "gates": [asdict(each) for each in test.gates],
        "search": None if test.search is None else asdict(test.search),
        "overall": measures.get(OVERALL, {}),
        "endpoints": {name: each for name, each in measures.items() if name != OVERALL},
    }


def _work(host: str | None, port: int, locustfile: Path | None) -> None:
    """
    Make requests as a master elsewhere says, until it is done.

    Raises:
        ConfigError: It is not said where the master is.
        TargetError: It does not answer.
    """
    from perfkit.load.process import work_for

    if host is None:
        msg = "--worker needs to know where the master is; give --master-host"
        raise ConfigError(msg)
    work_for(host, port, None if locustfile is None else str(locustfile.resolve()), say=note)
