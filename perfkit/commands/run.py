"""`perfkit run`: the main job from start to finish."""

import time
from contextlib import nullcontext
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

from perfkit.commands.bench import check_budgets, measure_with_bars, preview_measuring
from perfkit.commands.create_indexes import check_counts, create_with_bars, not_counted
from perfkit.commands.load import load_phase, phase_effect
from perfkit.commands.load_subject import Where
from perfkit.commands.options import (
    DataOption,
    JsonOption,
    LikeAwsOption,
    MaxCostOption,
    MaxRcuOption,
    MaxWcuOption,
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
from perfkit.commands.output import (
    note,
    note_left_alone,
    say,
    say_consumption,
    warn,
)
from perfkit.commands.seed import seed_with_bars
from perfkit.console import INTERRUPTED, terminate_as_interrupt
from perfkit.errors import ConfigError
from perfkit.settings import PAGE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from perfkit.dynamodb.index_items import IndexCount
    from perfkit.dynamodb.safety import Preview
    from perfkit.dynamodb.seeding import SeedPlan
    from perfkit.dynamodb.targets import Target
    from perfkit.runs import Run
    from perfkit.scenarios.base import Context, Scenario
    from perfkit.workloads.model import Workload

__all__ = ["run"]

_PHASES_LOADED = (0, 3)
_LOAD_S = 10.0
_LOAD_USERS = 10
"""At phase 0 one process answers a request or two a second: more users would only wait longer."""


@terminate_as_interrupt()
def run(
    context: typer.Context,
    *,
    workload: WorkloadOption = None,
    target: TargetOption = None,
    data: DataOption = None,
    region: RegionOption = None,
    profile: ProfileOption = None,
    redis_url: RedisOption = None,
    scale: Annotated[
        float, typer.Option(metavar="FACTOR", help="Multiplies the items of every table.")
    ] = 1.0,
    iterations: Annotated[
        int | None,
        typer.Option(min=1, metavar="N", help="Call every variant exactly N times."),
    ] = None,
    min_time: Annotated[
        float | None,
        typer.Option(metavar="S", help="Measure each scenario for S seconds (default: 3)."),
    ] = None,
    patterns_only: Annotated[
        bool,
        typer.Option(
            "--patterns-only", help="Leave out the service and the cache; saves about a minute."
        ),
    ] = False,
    full: Annotated[
        bool,
        typer.Option(
            "--full", help="Also load the service for 10 s at its first and its last phase."
        ),
    ] = False,
    max_rcu: MaxRcuOption = None,
    max_wcu: MaxWcuOption = None,
    max_cost: MaxCostOption = None,
    like_aws: LikeAwsOption = False,
    yes: YesOption = False,
    as_json: JsonOption = False,
    verbose: VerboseOption = False,
) -> None:
    """
    Seed, create the indexes, measure access patterns, service and cache; show what changed.

    The service is measured at its phases with the built-in workload, the cache where a pattern
    has a cache policy. A query by an index that an existing table lacks is modelled on a twin, as
    `perfkit bench` does. On AWS all of it is shown and asked for once, before it begins. Each step
    keeps what is already there, so it may be interrupted and run again. --max-rcu, --max-wcu and
    --max-cost also hold while measuring. With --full the report has what the service does under
    load, before and after, and how auto scaling would fare.

    Example: perfkit run --scale 0.1
    """
    from perfkit.commands.bench import make_context, make_options
    from perfkit.dynamodb import seeding
    from perfkit.dynamodb.safety import approve
    from perfkit.scenarios import registry
    from perfkit.scenarios.twins import TwinOptions

    started_s = time.monotonic()
    options = make_options(iterations, min_time)
    read = read_workload(workload)
    chosen = registry.main_job(read, patterns_only=patterns_only)
    if not full and all(each.name != "cache" for each in chosen):
        refuse_idle(context, {"redis_url"}, "where no cache is measured")
    if not read.made:
        refuse_idle(context, {"scale", "max_wcu"}, "where perfkit fills no table of the workload")
    if full:
        _check_full(read, patterns_only=patterns_only)
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
    redis_url = make_redis_url(redis_url, read)
    note_left_alone(read)
    measuring = make_context(where, read, options, redis_url, TwinOptions())
    planned = seeding.plan(where, read, scale=scale) if read.made else None
    permission = make_permission(yes=yes, max_cost=max_cost)
    counts: tuple[IndexCount, ...] = ()
    with measuring.twins or nullcontext():
        if not approve(
            _preview(planned, chosen, measuring, where, full=full), where, permission, show=note
        ):
            note("Nothing was done.")
            raise typer.Exit(1)
        if planned is not None:
            _seed(planned)
            counts = _create_indexes(where, read)
        runs = measure_with_bars(chosen, measuring)
    if full:
        given = Where(
            workload, target, data, region, profile, max_rcu, max_cost, like_aws, redis_url
        )
        for phase in _PHASES_LOADED:
            note(f"Loading the service at phase {phase} for {_LOAD_S:g} s.")
            loaded = load_phase(phase, given, where, users=_LOAD_USERS, duration_s=_LOAD_S)
            runs.append(loaded)
            if loaded.load_test is not None and loaded.load_test.interrupted:
                say(
                    "Interrupted: what was measured is saved; `perfkit report` shows it.",
                    fg="yellow",
                )
                raise typer.Exit(INTERRUPTED)
    say_consumption(where)
    _print(runs, report_command(workload), as_json=as_json, verbose=verbose)
    note(f"Done in {time.monotonic() - started_s:.0f} s.")
    check_counts(counts)
    check_budgets(runs, read)


def _check_full(read: "Workload", *, patterns_only: bool) -> None:
    """
    Make sure that there is a service to load.

    Raises:
        ConfigError: There is none for the workload, or it is to be left out.
    """
    from perfkit.service.endpoints import is_served

    if patterns_only:
        msg = "--full and --patterns-only contradict each other; leave one out"
        raise ConfigError(msg)
    if not is_served(read):
        msg = (
            "--full loads the reference service, which serves the built-in workload courses and not"
            f" {read.name}; `perfkit load --url` loads a service of your own"
        )
        raise ConfigError(msg)


def _print(runs: "list[Run]", report_with: str, *, as_json: bool, verbose: bool) -> None:
    from datetime import UTC, datetime

    from perfkit.cost.options import CostOptions
    from perfkit.report import files, formats, terminal
    from perfkit.report.build import build_report, build_screen

    cost = CostOptions()
    report = build_report(runs, cost=cost, now=datetime.now(UTC))
    if as_json:
        from perfkit.report.json_document import report_document, write_document

        typer.echo(write_document(report_document(report)), nl=False)
    else:
        step = f"open {PAGE}, or `{report_with} -v` for every figure here"
        terminal.print_blocks(build_screen(runs, cost=cost, next_step=step))
        if verbose:
            typer.echo()
            terminal.print_report(report)
    files.write_text(PAGE, formats.render_text(report, formats.Format.HTML))
    note(f"Wrote {PAGE}.")


def _preview(
    planned: "SeedPlan | None",
    chosen: "Sequence[Scenario]",
    context: "Context",
    where: "Target",
    *,
    full: bool,
) -> "Preview":
    """Return what all of it will do, before there are tables."""
    from perfkit.dynamodb import indexes, seeding
    from perfkit.dynamodb.safety import Preview

    parts: list[Preview] = []
    read = context.workload
    if planned is not None:
        parts.append(seeding.preview(planned))
        if parts[0].foreign:
            return parts[0]
        scale = planned.job.scale
        if where.is_guarded:
            expected = indexes.plan(where, read, seeded=scale)
            parts.append(indexes.create_preview(expected, read))
        read = read.scaled(scale)
    context = replace(context, workload=read, before_seeding=True)
    if (measuring := preview_measuring(chosen, context, where)) is not None:
        parts.append(measuring)
    if full and where.is_guarded:
        effects = [
            phase_effect(phase, where, read, users=_LOAD_USERS, duration_s=_LOAD_S)
            for phase in _PHASES_LOADED
        ]
        parts.append(Preview(title="Load the reference service", effects=tuple(effects)))
    titles = [each.title for each in parts]
    return Preview(
        title="; ".join(titles[:1] + [each[0].lower() + each[1:] for each in titles[1:]]),
        effects=tuple(effect for each in parts for effect in each.effects),
        always_ask=any(each.always_ask for each in parts),
        foreign=tuple(name for each in parts for name in each.foreign),
    )


def _seed(planned: "SeedPlan") -> None:
    from perfkit.dynamodb import seeding

    outcome = seed_with_bars(planned, seeding.default_processes(planned.items))
    for remark in outcome.remarks():
        warn(remark)
    items = sum(each.items for each in outcome.tables)
    units = sum(each.write_units for each in outcome.tables)
    note(
        f"Seeded {items:,} items in {len(outcome.tables)} tables in {outcome.elapsed_s:.1f} s,"
        f" {units:,.0f} write units."
    )


def _create_indexes(where: "Target", read: "Workload") -> "tuple[IndexCount, ...]":
    from perfkit.dynamodb import indexes
    from perfkit.dynamodb.tables import NEW_NAME

    plans = indexes.plan(where, read)
    started_s = time.monotonic()
    changes, counts = create_with_bars(where, plans)
    created = sum(change is indexes.Change.CREATED for change in changes.values())
    note(
        f"Created {created} of {len(plans)} indexes while the tables stayed in use, in"
        f" {time.monotonic() - started_s:.1f} s."
    )
    for text in not_counted(plans, counts):
        note(text)
    for each in plans:
        if each.state is indexes.IndexPlanState.DIFFERENT:
            warn(
                f"index {each.index.name} of {each.table.name} differs: {each.difference};"
                f" {NEW_NAME}"
            )
    return counts
