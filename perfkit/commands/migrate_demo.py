"""`perfkit migrate demo`: a service goes from scans to queries under load, on tables of its own."""

import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from perfkit.commands.load import document_of
from perfkit.commands.options import JsonOption, LikeAwsOption, make_target, parse_duration
from perfkit.commands.output import note, print_json, say
from perfkit.console import INTERRUPTED, terminate_as_interrupt
from perfkit.errors import ConfigError, EvidenceError
from perfkit.settings import DEMO_PAGE, FOLDER, RUNS_FOLDER

if TYPE_CHECKING:
    from perfkit.dynamodb.targets import Target
    from perfkit.runs import LoadEvent, Run

__all__ = ["demo"]

_SCENARIO = "migrate-demo"
"""The scenario of every run of it."""

_WORKLOAD = "courses"
_THINK_S = 0.5
_TIMEOUT_S = 60.0
"""A scan on a busy machine is slow and no failure."""

_LONGEST_S = 4 * 3600.0
_LONGEST_PACE_S = 600.0


@terminate_as_interrupt()
def demo(
    *,
    users: Annotated[int, typer.Option(min=1, max=1000, metavar="N", help="Users at a time.")] = 8,
    pace: Annotated[
        str, typer.Option(metavar="TIME", help="Time that the service stays at each phase.")
    ] = "15s",
    scale: Annotated[
        float, typer.Option(metavar="FACTOR", help="Multiplies the items of every table.")
    ] = 0.05,
    like_aws: LikeAwsOption = False,
    data: Annotated[
        Path | None,
        typer.Option(
            metavar="PATH", help="Make the tables in this new file and keep it (default: neither)."
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help=f"Write the page here (default: {DEMO_PAGE})."),
    ] = None,
    force: Annotated[
        bool,
        typer.Option(
            "--force",
            help="Replace a file that --output names and that is no report of perfkit's.",
        ),
    ] = False,
    open_page: Annotated[bool, typer.Option("--open", help="Open the page in a browser.")] = False,
    as_json: JsonOption = False,
) -> None:
    """
    Show a migration under load: indexes made online, a service switched phase by phase.

    Users ask the reference service at phase 0 while indexes are planned, checked, created and
    verified; then it is switched to phases 1, 2 and 3, and no request fails. Takes about two
    minutes, on tables of its own, and leaves a page for an audience. With --like-aws the tables
    have the reference document's capacity, so requests fail until the indexes are asked. Ctrl-C
    or SIGTERM ends it early; what was measured is saved.

    Example: perfkit migrate demo --open
    """
    pace_s = parse_duration(pace, "--pace", least_s=1.0)
    if pace_s > _LONGEST_PACE_S:
        msg = f"--pace {pace} is out of range; it is from 1 s to {_LONGEST_PACE_S:g} s"
        raise ConfigError(msg)
    page = output or DEMO_PAGE
    if output is not None:
        _check_page(output, force=force)
    from perfkit.demo import check_proxy, check_room

    check_proxy(FOLDER / "service" / "proxy")
    if data is not None:
        check_room(data)
    try:
        with tempfile.TemporaryDirectory(prefix="perfkit-") as name:
            target = make_target(
                "embedded",
                data or Path(name) / "demo.sqlite3",
                like_aws=like_aws,
                is_kept=data is not None,
            )
            run = _measure(target, Path(name), users, pace_s, scale)
    except KeyboardInterrupt as error:
        say("Interrupted before there was anything to measure.", fg="yellow")
        raise typer.Exit(INTERRUPTED) from error
    _finish(run, page, open_page=open_page, as_json=as_json)


def _check_page(page: Path, *, force: bool) -> None:
    """
    Make sure, before anything is measured, that the page can be written.

    Raises:
        ConfigError: There is no such folder, or something else is there.
    """
    from functools import partial

    from perfkit.report import files, formats

    if page.is_dir():
        msg = f"{page} is a folder; give --output the name of a file in it"
        raise ConfigError(msg)
    alike = partial(formats.is_alike, new="", report_format=formats.Format.HTML)
    files.check_place(page, alike, force=force)


def _measure(target: "Target", folder: Path, users: int, pace_s: float, scale: float) -> "Run":
    """Make the tables, start the service, load it while it is migrated, and save the run."""
    from perfkit import demo
    from perfkit.commands.load_view import live_view
    from perfkit.commands.progress import bars
    from perfkit.load.instances import InstanceWatch
    from perfkit.load.plan import LoadPlan
    from perfkit.load.process import Place
    from perfkit.load.reference_service import own_mix, started_service
    from perfkit.load.running import Subject, run_load
    from perfkit.load.stages import Stages
    from perfkit.runs import Doubt, DoubtKind, RunStore
    from perfkit.workloads.loader import load

    store = RunStore(RUNS_FOLDER)
    store.prepare()
    read = load(_WORKLOAD)
    with bars(unit="items") as shown:
        shown.add("seed", None)
        shown.label("seed", "making the tables")
        made = demo.prepare(target, read, scale)
    note(f"Made {made.items:,} items in {len(made.tables)} tables, without indexes.")
    plan = demo.service_plan(target, _WORKLOAD)
    mix = own_mix(demo.beside_limits(target), plan.settings.secret)
    note("Starting the service at phase 0.")
    stages = Stages(on_event=_show)
    with started_service(plan) as service:
        migration = demo.Migration(
            target,
            read,
            service,
            stages,
            folder=folder / "journal",
            users=users,
            pace_s=pace_s,
        )
        load_plan = LoadPlan(
            urls=service.urls,
            mix=mix,
            users=users,
            think_s=_THINK_S,
            duration_s=_LONGEST_S,
            timeout_s=_TIMEOUT_S,
        )
        doubt = demo.doubt_of(target, made)
        subject = Subject(
            mix=mix.name,
            workload=read.name,
            workload_digest=read.digest,
            target=target.condition(),
            doubts=(Doubt(DoubtKind.MODEL, doubt),) if doubt else (),
            samplers=(InstanceWatch(service.endpoints), migration),
        )
        with live_view(load_plan, lambda: migration.doing) as view:
            run = run_load(load_plan, subject, Place(), show=view, say=note, stages=stages)
    settings = {"scale": scale, "items": made.items, "pace_s": pace_s, **made.units}
    run = replace(run, scenario=_SCENARIO, description=demo.__doc__ or "", settings=settings)
    test, error = run.load_test, migration.error
    if error is None or test is None or test.interrupted:
        return replace(run, id=store.save(run).stem)
    reason = f"the migration did not come to its end: {error}"
    saved = store.save(replace(run, load_test=replace(test, invalid=(*test.invalid, reason))))
    note(f"What was measured until then is saved as {saved.stem}.")
    raise error


def _show(event: "LoadEvent") -> None:
    from perfkit.units import format_duration

    note(f"{format_duration(event.at_s)}: {event.name}: {event.detail}.")


def _finish(run: "Run", page: Path, *, open_page: bool, as_json: bool) -> None:
    """
    Print what was found and write the page.

    Raises:
        ConfigError: The page cannot be written.
        EvidenceError: The measurement supports no verdict.
        ThresholdError: Requests failed that should not.
        typer.Exit: It was interrupted, with exit code 130.
    """
    from perfkit.analysis.load_stages import passage_of
    from perfkit.commands.browser import open_in_browser
    from perfkit.report import files, html, terminal
    from perfkit.report.build import build_report
    from perfkit.report.sections import load_stages

    test = run.load_test
    assert test is not None  # noqa: S101 - every run of this kind has one
    built = build_report(
        [run],
        sections=("load-stages", "load", "machine"),
        title=load_stages.headline(run),
    )
    files.write_text(page, html.render_report(built))
    if as_json:
        print_json(_document(run, page))
    else:
        terminal.print_blocks(load_stages.screen(run))
    note(f"Wrote {page}; saved as {run.id}.")
    if open_page and not open_in_browser(page):
        note(f"There is no browser to open here; open {page} yourself.")
    if test.interrupted:
        say("Interrupted: what was measured is saved, and marked as cut short.", fg="yellow")
        raise typer.Exit(INTERRUPTED)
    passage = passage_of(run)
    if passage is None or test.invalid:
        msg = f"the measurement is invalid: {'; '.join(test.invalid) or 'nothing was answered'}"
        raise EvidenceError(msg)
    verdict = passage.judge(throttled="throughput" in run.modelled_of_aws)
    error = verdict.to_error(verdict.reason)
    if error is not None:
        raise error


def _document(run: "Run", page: Path) -> dict[str, Any]:
    """Return what programs want to know of it: that of a load test, and its stages and events."""
    from dataclasses import asdict

    from perfkit.analysis.load_stages import passage_of
    from perfkit.analysis.measures import measures_of_variant

    test, passage = run.load_test, passage_of(run)
    assert test is not None  # noqa: S101 - every run of this kind has one
    return document_of(run) | {
        "page": str(page),
        "requests": sum(each.requests for each in test.seconds),
        "errors": sum(each.errors for each in test.seconds),
        "throttles": None if passage is None else passage.throttles,
        "calm_from": None if passage is None else passage.calm_from or None,
        "stages": [
            {
                "name": each.name,
                "start_s": each.start_s,
                "end_s": each.end_s,
                "throttles": None
                if each.figures is None or each.figures.http is None
                else each.figures.http.throttles,
                "measures": None
                if each.figures is None
                else measures_of_variant(run, each.figures),
            }
            for each in test.stages
        ],
        "events": [asdict(each) for each in test.events],
    }
