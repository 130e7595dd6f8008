"""What `perfkit load` shows and asks before it reads somebody's tables, and CloudWatch after it."""

import time
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import typer

from perfkit.commands.options import make_permission
from perfkit.commands.output import note, warn
from perfkit.errors import ConfigError, PerfkitError
from perfkit.settings import RUNS_FOLDER
from perfkit.units import format_many, format_units

if TYPE_CHECKING:
    from perfkit.dynamodb.safety import Effect
    from perfkit.dynamodb.targets import Target
    from perfkit.load.cloudwatch import Watched
    from perfkit.runs import Run
    from perfkit.workloads.model import Workload

__all__ = ["add_cloudwatch", "approve_load", "find_metrics", "requests_effect"]

_BYTES_A_UNIT = 8192


def approve_load(
    target: "Target",
    mix: bytes,
    *,
    title: str,
    requests: "Effect | None" = None,
    yes: bool,
    max_cost: float | None,
) -> None:
    """
    Show what a load test reads where that is somebody's or costs money, and go on only if allowed.

    Args:
        target: Where the tables are.
        mix: The mix file, which may draw its values from items of tables.
        title: What is about to be done.
        requests: What the requests take; None where perfkit does not know the service's tables.
        yes: Go on without asking.
        max_cost: Refuse what costs more.

    Raises:
        ConfigError: It costs more than allowed, or nobody is there to ask.
        TargetError: The target does not answer.
        typer.Exit: The answer was no.
    """
    from perfkit.dynamodb.ownership import unmarked
    from perfkit.dynamodb.safety import Preview, approve
    from perfkit.load.drawing import drawing_effects
    from perfkit.load.mix_file import drawn_tables

    drawn = drawn_tables(mix)
    foreign = () if target.is_aws else unmarked(target, drawn)
    if target.kind == "embedded":
        if foreign:
            note(f"Drawing values from {', '.join(foreign)}, which perfkit did not create.")
        return
    effects = drawing_effects(target, drawn) if target.is_guarded or foreign else ()
    whose = f", of which perfkit did not create {', '.join(foreign)}," if foreign else ""
    preview = Preview(
        title=f"{title}{whose}",
        effects=(*effects, *(() if requests is None else (requests,))),
        # a tunnel to somebody's production listens on this machine, too
        always_ask=bool(foreign),
    )
    if not approve(preview, target, make_permission(yes=yes, max_cost=max_cost), show=note):
        note("Nothing was done.")
        raise typer.Exit(1)


def requests_effect(
    target: "Target",
    workload: "Workload",
    switches: Mapping[str, bool],
    requests: int | None,
    phase: int | None,
) -> "Effect":
    """
    Return what the requests on the reference service will read, as far as that is known before.

    An earlier load test of the same phase says what a request takes; else what a scan takes is
    the whole table, and what queries take is not known.

    Args:
        target: Where the tables are.
        workload: Whose they are.
        switches: Of the service.
        requests: How many at most; None where rates are searched for.
        phase: Of the service; None where its switches are no phase's.
    """
    from perfkit.dynamodb.safety import Effect

    many = "requests at rates that are searched for"
    if requests is not None:
        many = f"up to {format_many(requests, 'request')}"
    known = _measured_units(workload, phase)
    if known is not None:
        units, run_id = known
        return Effect(
            text=f"{many} of {format_units(units)} RCU each, as in run {run_id}",
            read_units=units * (requests or 0),
            is_open=requests is None,
        )
    if switches.get("indexes"):
        return Effect(text=f"{many}, which query and get", is_open=True)
    table, units = _largest_scan(target, workload)
    scan = f"a scan of up to {format_units(units)} RCU ({table})"
    if switches.get("cache"):
        text = f"{many}, of which each that the cache cannot answer is {scan}"
        return Effect(text=text, is_open=True)
    return Effect(
        text=f"{many}, each {scan}",
        read_units=units * (requests or 0),
        is_open=requests is None,
    )


def _measured_units(workload: "Workload", phase: int | None) -> tuple[float, str] | None:
    from perfkit.runs import RunStore

    for run in RunStore(RUNS_FOLDER).list().runs:
        test = run.load_test
        if (
            phase is not None
            and test is not None
            and test.settings.phase == phase
            and run.workload_digest == workload.digest
            and run.variants
            and (units := run.variants[0].capacity_units) is not None
        ):
            return units, run.id
    return None


def _largest_scan(target: "Target", workload: "Workload") -> tuple[str, float]:
    from perfkit.load.drawing import describe_tables

    described = describe_tables(target, [table.name for table in workload.tables])
    sizes = {
        # a description is hours old on AWS, so the workload's count counts too
        table.name: max(
            described[table.name].size_bytes if table.name in described else 0,
            table.items * (table.item_size.max_bytes if table.item_size else 0),
        )
        for table in workload.tables
    }
    largest = max(sizes, key=lambda name: sizes[name])
    return largest, sizes[largest] / _BYTES_A_UNIT


# ---- CloudWatch --------------------------------------------------------------------------


def find_metrics(
    target: "Target",
    workload: "Workload",
    *,
    balancer: str | None,
    scaling_group: str | None,
) -> "Watched":
    """
    Return what CloudWatch is asked after a test.

    Raises:
        ConfigError: The target is not AWS, or there is no such load balancer.
        TargetError: AWS does not answer.
    """
    from perfkit.load.cloudwatch import find_watched

    if not target.is_aws:
        msg = f"CloudWatch is AWS's, and the target is {target.name}; add --target aws"
        raise ConfigError(msg)
    return find_watched(
        target,
        [
            (table.name, tuple(index.name for index in table.indexes if not index.local))
            for table in workload.tables
        ],
        balancer=balancer or "",
        scaling_group=scaling_group or "",
    )


def add_cloudwatch(run: "Run", target: "Target", watched: "Watched") -> "Run":
    """Return a run with what CloudWatch says of it, once that is there; Ctrl-C waits no longer."""
    from perfkit.load import cloudwatch

    test = run.load_test
    if test is None:
        return run
    started, ended = datetime.fromisoformat(run.started_at), datetime.now(UTC)
    if test.search is not None:
        # of the trial that was kept: others came after it
        settings = test.settings
        longest_s = settings.ramp_s + settings.duration_s + settings.timeout_s
        ended = min(ended, started + timedelta(seconds=longest_s))
    if cloudwatch.LATE_S:
        note(
            f"Saved as {run.id}. CloudWatch is late by up to {cloudwatch.LATE_S / 60:g} minutes;"
            " waiting for it. Ctrl-C takes what is there."
        )
    try:
        time.sleep(cloudwatch.LATE_S)
    except KeyboardInterrupt:
        note("Not waited for; the last minutes may lack.")
    try:
        found = cloudwatch.collect(target, watched, started, ended)
    except PerfkitError as error:
        # the run itself is measured, whatever CloudWatch says
        warn(f"{error}; the run has no figures of CloudWatch")
        return run
    return replace(run, load_test=replace(test, cloudwatch=found))
