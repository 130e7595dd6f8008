"""Options that several commands share, and what they mean together."""

import os
import re
import shlex
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from perfkit.errors import ConfigError
from perfkit.settings import (
    DATA_FILE,
    DATA_VARIABLE,
    ENFORCE_VARIABLE,
    INDEX_DELAY_VARIABLE,
    LATENCY_VARIABLE,
    REDIS_VARIABLE,
    RUNS_FOLDER,
    TARGET_VARIABLE,
    WORKLOAD_FILE,
    WORKLOAD_VARIABLE,
)
from perfkit.units import escape, one_line

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from perfkit.dynamodb.safety import Permission, RequestPrices
    from perfkit.dynamodb.targets import Target
    from perfkit.runs import Run
    from perfkit.runs.store import Listing
    from perfkit.workloads.model import Workload

from perfkit.commands.output import note, warn

__all__ = [
    "DataOption",
    "JsonOption",
    "LikeAwsOption",
    "MaxCostOption",
    "MaxRcuOption",
    "MaxWcuOption",
    "ProfileOption",
    "RedisOption",
    "RegionOption",
    "TargetOption",
    "TimeoutOption",
    "VerboseOption",
    "WorkloadOption",
    "YesOption",
    "is_typed",
    "list_runs",
    "make_permission",
    "make_redis_url",
    "make_target",
    "parse_duration",
    "read_workload",
    "refuse_idle",
    "report_command",
    "request_prices",
    "runs_about",
    "seconds",
]

WorkloadOption = Annotated[
    str | None,
    typer.Option(
        "--workload",
        envvar=WORKLOAD_VARIABLE,
        metavar="FILE",
        help="Workload file (default: ./perfkit.toml if there is one, else the built-in courses).",
    ),
]
TargetOption = Annotated[
    str | None,
    typer.Option(
        "--target",
        envvar=TARGET_VARIABLE,
        metavar="TARGET",
        help="embedded, aws, or the URL of an endpoint (default: the workload's, else embedded).",
    ),
]
DataOption = Annotated[
    Path | None,
    typer.Option(
        "--data",
        metavar="PATH",
        help=f"Data file of the embedded engine (default: {DATA_VARIABLE}, else {DATA_FILE}).",
    ),
]
RegionOption = Annotated[
    str | None,
    typer.Option("--region", metavar="NAME", help="AWS region (default: AWS_REGION)."),
]
ProfileOption = Annotated[
    str | None,
    typer.Option("--profile", metavar="NAME", help="AWS profile (default: AWS_PROFILE)."),
]
JsonOption = Annotated[
    bool, typer.Option("--json", help="Print one JSON document and nothing else.")
]
LikeAwsOption = Annotated[
    bool,
    typer.Option(
        "--like-aws",
        help="Enforce throughput, and answer as slowly and let indexes lag as on AWS, by a model"
        " of it; embedded target only.",
    ),
]
VerboseOption = Annotated[
    bool, typer.Option("--verbose", "-v", help="Print everything, not just one screen.")
]
YesOption = Annotated[bool, typer.Option("--yes", "-y", help="Go ahead without asking.")]
MaxCostOption = Annotated[
    float | None,
    typer.Option(
        "--max-cost",
        min=0,
        metavar="USD",
        help="Refuse what would cost more on AWS, and stop, on any target, once the units consumed would.",
    ),
]
MaxRcuOption = Annotated[
    float | None,
    typer.Option(
        "--max-rcu", metavar="UNITS", help="Consume at most this many read units a second."
    ),
]
MaxWcuOption = Annotated[
    float | None,
    typer.Option(
        "--max-wcu", metavar="UNITS", help="Consume at most this many write units a second."
    ),
]
RedisOption = Annotated[
    str | None,
    typer.Option(
        "--redis-url",
        envvar=REDIS_VARIABLE,
        metavar="URL",
        help="Redis server (default: the workload's, else perfkit starts one).",
    ),
]
TimeoutOption = Annotated[
    float | None,
    typer.Option("--timeout", min=0, metavar="SECONDS", help="Wait no longer than this."),
]


def read_workload(name_or_path: str | None) -> "Workload":
    """
    Return the workload an option names; warn of what it says and hardly means.

    Raises:
        WorkloadError: There is none, or it says something it may not.
    """
    from perfkit.workloads.loader import doubts, load

    workload = load(name_or_path)
    for doubt in doubts(workload):
        warn(doubt.at_line(workload.source))
    return workload


def list_runs() -> "Listing":
    """Return the saved runs; files that cannot be read are warned of."""
    from perfkit.runs import RunStore

    listing = RunStore(RUNS_FOLDER).list()
    for problem in listing.problems:
        warn(str(problem))
    return listing


def report_command(name_or_path: str | None) -> str:
    """Return `perfkit report`, with the option it takes to be about what was just measured."""
    named = os.environ.get(WORKLOAD_VARIABLE)
    if name_or_path in {None, named} or not (named or WORKLOAD_FILE.exists()):
        return "perfkit report"
    return f"perfkit report --workload {shlex.quote(name_or_path or '')}"


def runs_about(runs: "Sequence[Run]", name_or_path: str | None) -> "list[Run]":
    """
    Return the runs of the workload that an option or the folder names; say which others there are.

    All of them where the folder (or PERFKIT_WORKLOAD) names none, or one without runs. Load tests of
    another service are of no workload, and stay.

    Raises:
        ConfigError: The option names a workload that has no runs.
        WorkloadError: The option names none, or the file says something it may not.
    """
    if name_or_path is None and not WORKLOAD_FILE.exists():
        return list(runs)
    from perfkit.errors import WorkloadError
    from perfkit.runs import RunKind
    from perfkit.workloads.loader import load

    is_asked = name_or_path not in {None, os.environ.get(WORKLOAD_VARIABLE)}
    try:
        name = load(name_or_path).name
    except WorkloadError:
        if is_asked:
            raise
        # what was measured can be read without it
        return list(runs)
    of_a_service = {id(run) for run in runs if run.kind is RunKind.LOAD and not run.workload_digest}
    if all(run.workload != name or id(run) in of_a_service for run in runs):
        if not is_asked or not runs:
            return list(runs)
        saved = ", ".join(dict.fromkeys(one_line(run.workload) for run in runs))
        msg = f"no runs of workload {name} ({name_or_path}) are saved here; there are of {saved}"
        raise ConfigError(msg)
    about = [run for run in runs if run.workload == name or id(run) in of_a_service]
    shown = set(map(id, about))
    others = [run for run in runs if id(run) not in shown]
    if others:
        newest = max(run.started_at for run in about if run.workload == name)
        newer = [run for run in others if run.started_at > newest]
        names = ", ".join(dict.fromkeys(one_line(run.workload) for run in newer or others))
        note(
            f"About workload {name}; {'newer ' if newer else ''}runs of {names} are left out:"
            " --workload FILE shows them."
        )
    return about


def make_target(
    text: str | None,
    data: Path | None,
    region: str | None = None,
    profile: str | None = None,
    *,
    workload: "Workload | None" = None,
    max_rcu: float | None = None,
    max_wcu: float | None = None,
    max_cost: float | None = None,
    like_aws: bool = False,
    is_kept: bool = True,
) -> "Target":
    """
    Return the target that options name, or the environment, or the workload's file, in this order.

    What the file says of region, profile and data goes with the target it names, so it is left
    out where another one is chosen.

    Args:
        text: What `--target` or its variable says.
        data: What `--data` says.
        region: What `--region` says.
        profile: What `--profile` says.
        workload: The workload, whose file may name a target; None where there is none yet.
        max_rcu: Most read units a second that all reads there may consume.
        max_wcu: Likewise writes.
        max_cost: Stop there before all units together cost more.
        like_aws: Model AWS's limits and delays on the embedded target.
        is_kept: Whether its tables stay when the command has ended.

    Raises:
        ConfigError: There is no such target, or an option does not go with it.
    """
    from perfkit.dynamodb.safety import limited
    from perfkit.dynamodb.targets import parse_target
    from perfkit.workloads.model import TargetDefaults

    file = TargetDefaults() if workload is None else workload.target
    named = file.at or "embedded"
    # an option about one kind of target is a choice of that kind
    chosen = text or ("embedded" if data is not None else named)
    if chosen != "embedded":
        # read here and not by boto3, so that they come before the file
        variables = [os.environ.get(name) for name in ("AWS_REGION", "AWS_DEFAULT_REGION")]
        region = region or next(filter(None, variables), None)
        profile = profile or os.environ.get("AWS_PROFILE")
    elif data is None and (from_environment := os.environ.get(DATA_VARIABLE)):
        # read here and not by Typer: it is a default for the embedded engine, and no
        # contradiction to naming another target
        data = Path(from_environment)
    if chosen == named:
        region, profile = region or file.region, profile or file.profile
        data = data or (None if file.data is None else Path(file.data))
    target = parse_target(chosen, data, region=region, profile=profile)
    if target.redirected:
        note(
            f"AWS's own settings (AWS_ENDPOINT_URL_DYNAMODB, AWS_ENDPOINT_URL or the profile) send"
            f" aws to {target.name}: an endpoint, not AWS."
        )
    if target.kind == "embedded":
        target = _modelled(target, like_aws=like_aws, is_kept=is_kept)
    elif like_aws:
        msg = (
            f"--like-aws goes with the embedded target only, not with {target.name}; what answers"
            " there has its own limits and delays (`perfkit dynamodb --like-aws` serves the model)"
        )
        raise ConfigError(msg)
    return limited(target, request_prices, max_rcu=max_rcu, max_wcu=max_wcu, max_cost_usd=max_cost)


def _modelled(target: "Target", *, like_aws: bool, is_kept: bool) -> "Target":
    """Return the embedded target with the limits and delays of AWS that are asked for."""
    from perfkit.embedded.latency import AWS, read_profile
    from perfkit.settings import LIKE_AWS_DELAY_S

    delay = os.environ.get(INDEX_DELAY_VARIABLE)
    latency = os.environ.get(LATENCY_VARIABLE) or (AWS if like_aws else None)
    if latency is not None:
        # a profile that will not do shows before anything is done
        read_profile(latency)
    target = replace(
        target,
        index_delay_s=_seconds(delay) if delay else LIKE_AWS_DELAY_S if like_aws else None,
        enforce_throughput=like_aws or _is_on(ENFORCE_VARIABLE),
        latency=latency,
    )
    if like_aws:
        stays = f" (the lag stays in {target.data} until {INDEX_DELAY_VARIABLE}=0)"
        _note_once(
            f"Modelled as on AWS: throughput is enforced, latency is profile {latency}, and indexes"
            f" lag by up to {target.index_delay_s:g} s{stays * is_kept}."
        )
    return target


@cache
def _note_once(text: str) -> None:
    # a command may make its target, and then that of the service it starts
    note(text)


def _seconds(text: str) -> float:
    try:
        return float(text)
    except ValueError as error:
        msg = f"{INDEX_DELAY_VARIABLE} is {text!r}, which is no number of seconds"
        raise ConfigError(msg) from error


def _is_on(variable: str) -> bool:
    """Return whether a variable of the environment turns something on, as Typer reads them."""
    text = os.environ.get(variable, "").strip().lower()
    if text in {"", "0", "false", "f", "no", "n", "off"}:
        return False
    if text in {"1", "true", "t", "yes", "y", "on"}:
        return True
    msg = f"{variable} is {text!r}; set it to 1 or 0"
    raise ConfigError(msg)


def request_prices(region: str) -> "RequestPrices":
    """
    Return what a unit costs on demand in a region, by its price book; us-east-1's without one.

    Raises:
        PriceError: The user's own price file will not do.
    """
    from perfkit.cost import names
    from perfkit.cost.price_file import DEFAULT_REGION, load_book
    from perfkit.dynamodb.safety import RequestPrices
    from perfkit.errors import PriceError

    try:
        book = load_book(region)
        read, write = book.price(names.read_request()), book.price(names.write_request())
    except PriceError:
        if region == DEFAULT_REGION:
            raise
        return request_prices(DEFAULT_REGION)
    day = "undated" if read.date is None else read.date.isoformat()
    return RequestPrices(
        region=region,
        read_unit_usd=float(read.each_usd),
        write_unit_usd=float(write.each_usd),
        source=f"{read.source}, {day}",
    )


def make_redis_url(url: str | None, workload: "Workload") -> str | None:
    """
    Return the Redis server that an option names, or the environment, or the workload's file.

    Raises:
        ConfigError: It is no URL of a Redis server.
    """
    url = url or workload.target.redis_url
    if url is not None:
        from perfkit.cache.address import parse_url

        parse_url(url)
    return url


def make_permission(*, yes: bool, max_cost: float | None = None) -> "Permission":
    """Return what the options allow; a person is asked only where one sits at a terminal."""
    from perfkit.dynamodb.safety import Permission

    ask: Callable[[str], bool] | None = None
    if sys.stdin.isatty() and sys.stderr.isatty():
        ask = _ask
    return Permission(prices=request_prices, yes=yes, max_cost_usd=max_cost, ask=ask)


def _ask(question: str) -> bool:
    try:
        return typer.confirm(escape(question), err=True)
    except typer.Abort as error:
        # the end of the input is a no
        if isinstance(error.__context__, KeyboardInterrupt):
            raise KeyboardInterrupt from error
        return False


_LONGEST_TEST_S = 7 * 86_400.0
_LONGEST_S = 366 * 86_400.0
_UNITS_S = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}
_DURATION = re.compile(r"(\d+(?:\.\d+)?|\.\d+) ?(ms|s|m|h|d)?")


def parse_duration(
    text: str, option: str, *, least_s: float = 0.0, most_s: float = _LONGEST_TEST_S
) -> float:
    """
    Return the seconds of `10m`, `30s`, `200ms`, `1.5h`, `1d`, or of a plain number.

    Raises:
        ConfigError: It is no duration, or too short or too long.
    """
    found = _DURATION.fullmatch(text.strip())
    if found is None:
        msg = f"{option} {text!r} is no duration; write one such as 30s, 10m or 200ms"
        raise ConfigError(msg)
    seconds = float(found[1]) * _UNITS_S[found[2] or "s"]
    if not least_s <= seconds <= most_s:
        msg = (
            f"{option} {text} is out of range; it is from {least_s:g} s to {most_s / 86_400:g} days"
        )
        raise ConfigError(msg)
    return seconds


def seconds(option: str, text: str | None) -> float | None:
    """
    Return the time in seconds that an option says, up to a year; None where it is not given.

    Raises:
        ConfigError: It is no duration, or too short or too long.
    """
    if text is None:
        return None
    return parse_duration(text, option, least_s=0.001, most_s=_LONGEST_S)


def refuse_idle(context: typer.Context, names: "Collection[str]", why: str) -> None:
    """
    Refuse options of the command line that would do nothing.

    What a variable of the environment says holds for every command that can use it.

    Args:
        context: Of the command.
        names: Of the options, as parameters of the command's function.
        why: They do nothing, in words: `without --master`.

    Raises:
        ConfigError: One was given.
    """
    given = [
        next(option for option in each.opts if option.startswith("--"))
        for each in context.command.params
        if each.name in names and is_typed(context, each.name)
    ]
    if given:
        does, them = ("does", "it") if len(given) == 1 else ("do", "them")
        msg = f"{' and '.join(given)} {does} nothing {why}; leave {them} out"
        raise ConfigError(msg)


def is_typed(context: typer.Context, name: str) -> bool:
    """Return whether an option stands on the command line, not in the environment."""
    source = context.get_parameter_source(name)
    return source is not None and source.name == "COMMANDLINE"
