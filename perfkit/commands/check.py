"""`perfkit check`: the checklist and gates, held against saved runs, what runs, and the code."""

import sys
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from perfkit.commands.options import (
    DataOption,
    JsonOption,
    ProfileOption,
    RedisOption,
    RegionOption,
    TargetOption,
    VerboseOption,
    WorkloadOption,
    list_runs,
    make_redis_url,
    make_target,
    read_workload,
)
from perfkit.commands.output import print_json, print_text, wrap
from perfkit.commands.written_lines import GithubOption, JunitOption, LineFiles
from perfkit.errors import ConfigError, PerfkitError
from perfkit.settings import PAGE
from perfkit.units import one_line

if TYPE_CHECKING:
    from perfkit.dynamodb.targets import Target
    from perfkit.gates.checklist import Evidence
    from perfkit.gates.lines import Line
    from perfkit.runs import Run
    from perfkit.workloads.gates import Gate
    from perfkit.workloads.model import Workload

__all__ = ["check"]

_STACK = "perfkit"
_NAMESPACE = "perfkit"


def check(
    *,
    phase: Annotated[
        int | None,
        typer.Option(min=1, max=4, help="Only this phase of the checklist, without gates."),
    ] = None,
    gates: Annotated[
        Path | None,
        typer.Option("--gates", metavar="FILE", help="A file with [gates] beside the workload's."),
    ] = None,
    gate: Annotated[
        list[str] | None,
        typer.Option(
            metavar="GATE",
            help='A gate, such as "p95_ms < 200" or "GET /: errors == 0"; may be repeated.',
        ),
    ] = None,
    source: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Look for scan calls in the Python source here (default, for courses: the reference"
            " service's).",
        ),
    ] = None,
    stack: Annotated[
        str, typer.Option(metavar="NAME", help="CloudFormation stack of phase 4.")
    ] = _STACK,
    namespace: Annotated[
        str, typer.Option(metavar="NAME", help="CloudWatch namespace of the cache's metrics.")
    ] = _NAMESPACE,
    results: Annotated[
        Path, typer.Option(metavar="FILE", help="Where the results of phase 4 are written.")
    ] = PAGE,
    junit: JunitOption = None,
    github: GithubOption = False,
    workload: WorkloadOption = None,
    target: TargetOption = None,
    data: DataOption = None,
    region: RegionOption = None,
    profile: ProfileOption = None,
    redis_url: RedisOption = None,
    as_json: JsonOption = False,
    verbose: VerboseOption = False,
) -> None:
    """
    Hold the checklist and gates against saved runs, what runs now, and the code; changes nothing.

    Lines are done, not done, stale (what shows it is older than the last change) or invalid. Exits
    with 4 if one is not done, else with 3 if one is stale or invalid. What is open comes first;
    -v shows all lines one by one.

    Example: perfkit check --source src --gate "p95_ms < 200" --junit check.xml
    """
    from perfkit.gates.checklist import check as check_lines
    from perfkit.gates.checklist import check_apart, is_elsewhere
    from perfkit.gates.lines import counted, verdict_on
    from perfkit.gates.written import documents
    from perfkit.service.endpoints import is_served
    from perfkit.workloads.loader import BUILT_IN_SOURCE

    read = read_workload(workload)
    if phase is not None:
        _check_phase(phase, read, gates, gate, is_reference=is_served(read))
    asked = _read_gates(gates, gate)
    where = make_target(target, data, region, profile, workload=read)
    files = LineFiles.of_options(junit, github=github)
    evidence = _gather(
        read,
        where,
        source=source,
        redis_url=make_redis_url(redis_url, read),
        stack=stack,
        namespace=namespace,
        results=results,
        options=_options(workload, target, data, region, profile),
    )
    title = f"{read.name} on {where.name if where.is_guarded else where.kind}"
    unasked = workload is None and read.source == BUILT_IN_SOURCE and phase is None
    if unasked and is_elsewhere(evidence):
        if not asked and source is None:
            raise _nothing_here(evidence)
        title, lines = "no workload", check_apart(evidence, asked)
    else:
        lines = check_lines(evidence, phase=phase, gates=asked)
    verdict = verdict_on(lines)
    if verdict is None:
        msg = f"nothing to check: workload {read.name} has no indexes, patterns or gates"
        raise ConfigError(msg)
    if as_json:
        print_json(
            {
                "workload": read.name,
                "target": where.describe(),
                "verdict": str(verdict.ruling),
                "lines": documents(lines),
            }
        )
    else:
        _print(lines, title, verbose=verbose)
    files.write(lines, name=read.name, title=f"perfkit check: {title}")
    error = verdict.to_error(counted(lines))
    if error is not None:
        raise error


def _nothing_here(evidence: "Evidence") -> ConfigError:
    names = ", ".join(dict.fromkeys(one_line(run.workload) for run in evidence.runs))
    return ConfigError(
        f"nothing of the built-in workload {evidence.workload.name} is here, neither a table nor a"
        f" run; saved are runs of {names}. Give --workload FILE for what your service asks, or"
        ' --gate "p95_ms < 200" to hold the newest load test against it; --workload'
        f" {evidence.workload.name} shows its checklist all the same"
    )


def _check_phase(
    phase: int, read: "Workload", gates: Path | None, gate: list[str] | None, *, is_reference: bool
) -> None:
    if gates is not None or gate:
        msg = "--phase leaves gates out; leave out --phase, or --gates and --gate"
        raise ConfigError(msg)
    if phase != 2 and not is_reference:
        msg = (
            f"phase {phase} is of the reference service, which serves the built-in workload courses"
            f" and not {read.name}; leave out --phase, or give --phase 2"
        )
        raise ConfigError(msg)


def _read_gates(file: Path | None, texts: list[str] | None) -> "list[Gate]":
    from perfkit.workloads.gates import parse_gate
    from perfkit.workloads.loader import load_gates

    return [
        *(load_gates(file) if file is not None else ()),
        *(parse_gate(text) for text in texts or ()),
    ]


def _options(
    workload: str | None,
    target: str | None,
    data: Path | None,
    region: str | None,
    profile: str | None,
) -> str:
    """Return the options a next step needs to be about the same: those that were given."""
    import shlex

    given = {
        "--workload": workload,
        "--target": target,
        "--data": data,
        "--region": region,
        "--profile": profile,
    }
    return "".join(
        f" {name} {shlex.quote(str(value))}" for name, value in given.items() if value is not None
    )


def _gather(
    read: "Workload",
    where: "Target",
    *,
    source: Path | None,
    redis_url: str | None,
    stack: str,
    namespace: str,
    results: Path,
    options: str,
) -> "Evidence":
    import perfkit.service
    from perfkit.gates.checklist import Evidence
    from perfkit.gates.probing import (
        look_at_cache_metrics,
        look_at_redis,
        look_at_stack,
        look_at_tables,
        look_at_user_errors,
    )
    from perfkit.gates.source import find_scans
    from perfkit.service.endpoints import is_served
    from perfkit.service.launch import health

    named = "" if source is None else str(source)
    if source is None and is_served(read):
        # the service that serves it is perfkit's own
        source = Path(perfkit.service.__file__).parent
    # a slip in the command comes before anything is asked
    found = None if source is None else find_scans(source)
    listing = list_runs()
    tables, tables_problem = {}, ""
    try:
        tables = look_at_tables(where, read)
    except PerfkitError as error:
        tables_problem = str(error)
    deployed, url = look_at_stack(where, stack)
    return Evidence(
        workload=read,
        target=where.describe(),
        runs=listing.runs,
        tables=tables,
        tables_problem=tables_problem,
        redis=look_at_redis(redis_url, health()),
        source=found,
        source_name=named,
        user_errors=look_at_user_errors(where, _since(listing.runs)),
        cache_metrics=look_at_cache_metrics(where, namespace),
        stack=deployed,
        stack_url=url,
        results=_text(results),
        results_name=str(results),
        options=options,
    )


def _since(runs: "Sequence[Run]") -> datetime | None:
    """Return when the newest load test began."""
    newest = next((run for run in runs if run.load_test is not None), None)
    return None if newest is None else datetime.fromisoformat(newest.started_at)


def _text(file: Path) -> str | None:
    try:
        return file.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None


_MOST_LINES = 36
"""Beside the verdict on all, so that what a check says is one screen."""


def _print(lines: "Sequence[Line]", title: str, *, verbose: bool) -> None:
    from perfkit.gates.lines import State, condensed, counted

    print_text(wrap(f"{title}: {counted(lines)}", sys.stdout, indent="  "))
    groups = {each.group: [line for line in lines if line.group == each.group] for each in lines}
    if verbose:
        for group, members in groups.items():
            print_text("\n".join(["", group, *_drawn(members, verbose=True)]))
        return
    shown = {group: condensed(members) for group, members in groups.items()}
    counts = {group: len(members) for group, members in shown.items()}
    headings = {
        group: wrap(f"{group} ({counted(members)})", sys.stdout, indent="  ").splitlines()
        for group, members in groups.items()
    }
    while True:
        drawn = {
            group: ["", *headings[group], *_drawn_first(each, counts[group])]
            for group, each in shown.items()
        }
        cuttable = [group for group, count in counts.items() if count > 1]
        if not cuttable or sum(map(len, drawn.values())) <= _MOST_LINES:
            break
        # what is done goes first, and then the last of the longest
        cut = max(
            cuttable,
            key=lambda group: (
                shown[group][counts[group] - 1].state is State.DONE,
                len(drawn[group]),
            ),
        )
        counts[cut] -= 1
    for each in drawn.values():
        print_text("\n".join(each))
    if sum(counts.values()) < len(lines):
        more = f"More: the same with -v (all {len(lines)} lines, and what shows what is done)"
        print_text()
        print_text(wrap(more, sys.stdout, indent="  "))


def _drawn_first(lines: "Sequence[Line]", count: int) -> list[str]:
    """Draw the first of some lines, and say where there is more to do."""
    from perfkit.gates.lines import State

    is_open = any(line.state is not State.DONE for line in lines[count:])
    return [*_drawn(lines[:count]), *(["  and more"] if is_open else ())]


def _drawn(lines: "Sequence[Line]", *, verbose: bool = False) -> list[str]:
    from perfkit.gates.lines import State

    drawn = []
    for number, line in enumerate(lines):
        shows_what = verbose and line.state is State.DONE
        detail = line.verdict.evidence if shows_what else line.reason
        shown = f"  {line.state:<8}  {line.title}{f': {detail}' if detail else ''}"
        drawn += wrap(shown, sys.stdout, indent=" " * 14).splitlines()
        # a command that helps several lines stands below the last of them
        repeated = number + 1 < len(lines) and lines[number + 1].next_step == line.next_step
        if line.next_step and not repeated:
            drawn.append(f"            -> {line.next_step}")
    return drawn
