"""`perfkit bench`: measure the access patterns of a workload, its cache, and the service."""

import re
from contextlib import nullcontext
from typing import TYPE_CHECKING, Annotated

import typer

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
    make_permission,
    make_redis_url,
    make_target,
    read_workload,
    refuse_idle,
    report_command,
)
from perfkit.commands.output import note, say, say_consumption
from perfkit.console import INTERRUPTED
from perfkit.errors import ConfigError, LimitReachedError, PerfkitError
from perfkit.settings import RUNS_FOLDER

if TYPE_CHECKING:
    from collections.abc import Sequence

    from perfkit.dynamodb.safety import Preview
    from perfkit.dynamodb.targets import Target
    from perfkit.runs import Run
    from perfkit.scenarios.base import Context, Options, Scenario
    from perfkit.scenarios.twins import TwinOptions
    from perfkit.workloads.model import Workload

__all__ = [
    "bench",
    "check_budgets",
    "make_context",
    "make_options",
    "measure_with_bars",
    "preview_measuring",
]

_SEGMENTS = 4
"""Segments of a parallel scan where none are asked for."""

_SCENARIOS = "scenarios"


def bench(
    context: typer.Context,
    *,
    scenario: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="Scenario to measure, or all; may be repeated (default: every access pattern).",
        ),
    ] = None,
    iterations: Annotated[
        int | None,
        typer.Option(min=1, metavar="N", help="Call every variant exactly N times."),
    ] = None,
    min_time: Annotated[
        float | None,
        typer.Option(metavar="S", help="Measure each scenario for S seconds (default: 3)."),
    ] = None,
    consistent: Annotated[
        bool,
        typer.Option(
            "--consistent", help="Use strongly consistent reads, except from global indexes."
        ),
    ] = False,
    segments: Annotated[
        int, typer.Option(metavar="N", help="Segments and threads of the parallel scan.")
    ] = _SEGMENTS,
    hour: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=NUMBER",
            help="For cache-hour: rate, keys, skew, ttl, writes (per hour) or errors (share).",
        ),
    ] = None,
    max_scan: Annotated[
        str,
        typer.Option(
            metavar="SIZE",
            help="Of a larger table read some pages and model its scans; 0 reads all of it.",
        ),
    ] = "100MB",
    sample: Annotated[
        int | None,
        typer.Option(
            min=20,
            metavar="N",
            help="Items to copy into the twin of a table that lacks an index (default: 1000).",
        ),
    ] = None,
    whole: Annotated[
        bool, typer.Option("--whole", help="Copy all items of such a table instead.")
    ] = False,
    no_twin: Annotated[
        bool, typer.Option("--no-twin", help="Say nothing of indexes that do not exist.")
    ] = False,
    traffic: Annotated[list[str] | None, typer.Option(hidden=True)] = None,
    workload: WorkloadOption = None,
    target: TargetOption = None,
    data: DataOption = None,
    region: RegionOption = None,
    profile: ProfileOption = None,
    redis_url: RedisOption = None,
    max_rcu: MaxRcuOption = None,
    max_cost: MaxCostOption = None,
    like_aws: LikeAwsOption = False,
    yes: YesOption = False,
    as_json: JsonOption = False,
    verbose: VerboseOption = False,
) -> None:
    """
    Measure access patterns, the scan against the query or get, or other scenarios.

    Only reads, so the tables need not be perfkit's. Checks first that all variants answer the same.
    A query by an index that does not exist yet is modelled on a twin: a sample of the items, copied
    into a temporary file and indexed there. Each run is saved as it finishes; `perfkit report` shows
    them again. Exits with 4 if a pattern consumes more read units than its max_rcu.

    Example: perfkit bench --scenario courses --min-time 10
    """
    from perfkit.dynamodb.safety import approve
    from perfkit.scenarios import registry

    if traffic:
        msg = f"--traffic of bench is called --hour now; give --hour {traffic[0]}"
        raise ConfigError(msg)
    options = make_options(
        iterations,
        min_time,
        segments=segments,
        consistent=consistent,
        hour=hour or (),
        max_scan_bytes=_read_size(max_scan),
    )
    read = read_workload(workload)
    chosen = registry.find(read, scenario or [registry.PATTERNS])
    if hour:
        _check_taken(chosen)
    _check_used(context, chosen)
    where = make_target(
        target,
        data,
        region,
        profile,
        workload=read,
        max_rcu=max_rcu,
        max_cost=max_cost,
        like_aws=like_aws,
    )
    twins = _make_twins(sample, whole=whole, no_twin=no_twin)
    measuring = make_context(where, read, options, make_redis_url(redis_url, read), twins)
    with measuring.twins or nullcontext():
        preview = preview_measuring(chosen, measuring, where)
        if preview is not None and not approve(
            preview, where, make_permission(yes=yes, max_cost=max_cost), show=note
        ):
            note("Nothing was done.")
            raise typer.Exit(1)
        runs = measure_with_bars(chosen, measuring)
    say_consumption(where)
    _print(runs, report_command(workload), as_json=as_json, verbose=verbose)
    check_budgets(runs, read)


def preview_measuring(
    chosen: "Sequence[Scenario]", context: "Context", where: "Target"
) -> "Preview | None":
    """Return what measuring will read, to be shown before; None where nobody has to be asked."""
    from perfkit.dynamodb.ownership import unmarked
    from perfkit.dynamodb.safety import Preview

    title = f"Measure workload {context.workload.name}"
    foreign: tuple[str, ...] = ()
    if where.kind == "endpoint":
        # a tunnel to somebody's production listens on this machine, too
        foreign = unmarked(where, _tables_read(chosen, context.workload))
        if foreign:
            title = f"Read {', '.join(foreign)}, which perfkit did not create,"
    if not where.is_guarded and not foreign:
        return None
    effects = tuple(each.effect(context) for each in chosen)
    return Preview(title=title, effects=effects, always_ask=bool(foreign))


def _tables_read(chosen: "Sequence[Scenario]", workload: "Workload") -> list[str]:
    from perfkit.scenarios.access_pattern import AccessPatternScenario

    own = [each.pattern for each in chosen if isinstance(each, AccessPatternScenario)]
    # the other scenarios ask several patterns
    patterns = own if len(own) == len(chosen) else workload.patterns
    read = {each.table for each in patterns}
    read |= {each.steps.then.table for each in patterns if each.steps is not None}
    return [table.name for table in workload.tables if table.name in read]


def check_budgets(runs: "Sequence[Run]", workload: "Workload") -> None:
    """
    Hold the better, or only, form of each pattern against the read units it may take.

    Raises:
        ThresholdError: One takes more.
        EvidenceError: The target does not say what one takes.
    """
    from perfkit.analysis.budgets import judge_budgets

    verdict = judge_budgets(
        runs, {each.name: each.max_rcu for each in workload.patterns if each.max_rcu is not None}
    )
    error = None if verdict is None else verdict.to_error(verdict.evidence or verdict.reason)
    if error is not None:
        raise error


def _check_taken(chosen: "Sequence[Scenario]") -> None:
    from perfkit.scenarios.cache_hour import NAME

    if all(each.name != NAME for each in chosen):
        msg = f"--hour changes {NAME} only; add --scenario {NAME}"
        raise ConfigError(msg)


def _check_used(context: typer.Context, chosen: "Sequence[Scenario]") -> None:
    """
    Refuse options that are of other scenarios.

    Raises:
        ConfigError: One was given.
    """
    from perfkit.scenarios.access_pattern import AccessPatternScenario

    names = {each.name for each in chosen}
    if not names & {"cache", "cache-hour"}:
        refuse_idle(context, {"redis_url"}, "without --scenario cache or cache-hour")
    if not any(isinstance(each, AccessPatternScenario) for each in chosen):
        refuse_idle(context, {"sample", "whole", "no_twin"}, "where no access pattern is measured")


def make_options(
    iterations: int | None,
    min_time: float | None,
    *,
    segments: int = _SEGMENTS,
    consistent: bool = False,
    hour: "Sequence[str]" = (),
    max_scan_bytes: int | None = None,
) -> "Options":
    """
    Return how to measure.

    Raises:
        ConfigError: The options contradict each other or are out of bounds.
    """
    from perfkit.cache.virtual_hour import read_changes
    from perfkit.measure.rounds import Plan
    from perfkit.scenarios.base import Options

    if iterations is not None and min_time is not None:
        msg = "--iterations and --min-time contradict each other; give one of them"
        raise ConfigError(msg)
    plan = Plan(iterations=iterations) if min_time is None else Plan(min_time_s=min_time)
    return Options(
        plan=plan,
        consistent=consistent,
        segments=segments,
        traffic=read_changes(hour),
        max_scan_bytes=max_scan_bytes,
    )


def _read_size(text: str) -> int | None:
    """
    Return a size in bytes, of `0`, `500KB`, `100MB`, `2GB` or `1TB`; None for 0, no limit.

    Raises:
        ConfigError: It is none.
    """
    found = re.fullmatch(r"([0-9]+(?:[.][0-9]+)?)\s*([kmgt]?b?)", text.strip().lower())
    if found is None or (not found[2] and float(found[1])):
        msg = f"--max-scan takes a size such as 100MB or 2GB, or 0 for no limit, got {text!r}"
        raise ConfigError(msg)
    factor = 1000 ** " kmgt".index(found[2].rstrip("b") or " ")
    return round(float(found[1]) * factor) or None


def _make_twins(sample: int | None, *, whole: bool, no_twin: bool) -> "TwinOptions | None":
    """
    Return how to make twins of tables that lack an index; None for none.

    Raises:
        ConfigError: The options contradict each other.
    """
    from perfkit.scenarios.twins import SAMPLE_ITEMS, TwinOptions

    given = {"--sample": sample is not None, "--whole": whole, "--no-twin": no_twin}
    chosen = [name for name, is_given in given.items() if is_given]
    if len(chosen) > 1:
        msg = f"{' and '.join(chosen)} contradict each other; give one of them"
        raise ConfigError(msg)
    return None if no_twin else TwinOptions(items=sample or SAMPLE_ITEMS, whole=whole)


def make_context(
    where: "Target",
    read: "Workload",
    options: "Options",
    redis_url: str | None = None,
    twins: "TwinOptions | None" = None,
) -> "Context":
    """Return what scenarios measure *where* with: an ordinary boto3 client; close its twins."""
    from perfkit.dynamodb.limits import PacedClock
    from perfkit.measure.clock import RealClock
    from perfkit.scenarios.base import Context
    from perfkit.scenarios.twins import Twins

    client = where.client(pool_connections=max(10, options.segments))
    seed = options.plan.random_seed
    return Context(
        workload=read,
        client=client,
        target=where.condition(),
        where=where.name,
        options=options,
        source=where,
        redis_url=redis_url,
        capacity_doubt=where.capacity_doubt(),
        clock=RealClock() if where.limits is None else PacedClock(where.limits),
        twins=None if twins is None else Twins(twins, client, where=where.name, seed=seed),
    )


def measure_with_bars(chosen: "Sequence[Scenario]", context: "Context") -> "list[Run]":
    """
    Measure and save scenarios under a progress bar, and return their runs.

    Raises:
        PerfkitError: A scenario could not be measured; those before it are saved.
        typer.Exit: Ctrl-C, with exit code 130; the scenarios that had finished are saved.
    """
    from dataclasses import replace

    from perfkit.commands.progress import bars
    from perfkit.runs import RunStore
    from perfkit.scenarios.base import Progress
    from perfkit.scenarios.registry import measure_scenarios

    store = RunStore(RUNS_FOLDER)
    store.prepare()
    runs: list[Run] = []
    try:
        with bars(unit="") as shown:
            shown.add(_SCENARIOS, len(chosen))

            def show(progress: Progress) -> None:
                shown.label(
                    _SCENARIOS,
                    f"{progress.scenario}: {progress.doing}",
                    step=f"Measuring {progress.scenario} ({len(runs) + 1} of {len(chosen)})",
                )
                shown.reach(_SCENARIOS, len(runs) + progress.share, len(chosen))

            for run in measure_scenarios(chosen, replace(context, progress=show), store):
                runs.append(run)  # noqa: PERF402 - an interrupt must leave those it has
    except KeyboardInterrupt as error:
        if context.source is not None:
            say_consumption(context.source)
        say(f"Interrupted: {_saved(runs, chosen)}", fg="yellow")
        raise typer.Exit(INTERRUPTED) from error
    except PerfkitError as error:
        if runs:
            note(_saved(runs, chosen))
        elif isinstance(error, LimitReachedError):
            note(
                f"Not even {chosen[0].name} was finished within the limit, and it starts over each"
                " time: allow more, or take less with --iterations 1 or a smaller --max-scan."
            )
        _check_limits(context)
        raise
    return runs


def _check_limits(context: "Context") -> None:
    """
    Say that a limit was the reason, where a process of the service met it.

    Raises:
        LimitReachedError: One was reached.
    """
    from perfkit.dynamodb.limits import meter_of

    if context.source is not None and context.source.limits is not None:
        meter_of(context.source.limits).check()


def _saved(runs: "Sequence[Run]", chosen: "Sequence[Scenario]") -> str:
    text = f"{len(runs)} of {len(chosen)} scenarios were measured and are saved"
    if runs:
        text += "; `perfkit report` shows them"
    left = " ".join(f"--scenario {each.name}" for each in chosen[len(runs) :])
    return f"{text}. For the rest: `perfkit bench {left}`, with the options as before."


def _print(runs: "Sequence[Run]", report: str, *, as_json: bool, verbose: bool) -> None:
    from perfkit.report import terminal
    from perfkit.report.build import build_report, build_screen

    if as_json:
        from perfkit.report.json_document import report_document, write_document

        typer.echo(write_document(report_document(build_report(runs, is_choice=True))), nl=False)
    elif verbose:
        terminal.print_report(build_report(runs, is_choice=True))
    else:
        terminal.print_blocks(
            build_screen(
                runs,
                next_step=f"`{report} -v` shows every figure, --open as a page",
                is_choice=True,
            )
        )
