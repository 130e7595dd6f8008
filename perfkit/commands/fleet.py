"""`perfkit fleet`: how many instances a rate needs, and what auto scaling does, from saved load tests."""

from typing import TYPE_CHECKING, Annotated

import typer

from perfkit.commands.options import JsonOption, VerboseOption, parse_duration
from perfkit.commands.output import print_json, warn
from perfkit.errors import ConfigError, EvidenceError
from perfkit.settings import RUNS_FOLDER

if TYPE_CHECKING:
    from collections.abc import Sequence

    from perfkit.analysis.fleet import Measured
    from perfkit.runs import Run, RunStore

__all__ = ["fleet"]

_MOST_HZ = 1e7
_LOAD = "load"
"""The scenario of load tests."""
_PHASES = "`perfkit load --phase 0` and `perfkit load --phase 3`, or name two runs with --before and --after"


def fleet(
    *,
    rate: Annotated[float, typer.Option(metavar="N", help="Requests a second, around the clock.")],
    p95: Annotated[
        str,
        typer.Option("--p95", metavar="TIME", help="Limit of the response time, such as 200ms."),
    ] = "200ms",
    instance: Annotated[
        str, typer.Option(metavar="TYPE", help="Type of the instances.")
    ] = "t3.micro",
    before: Annotated[
        str | None,
        typer.Option(
            metavar="RUN",
            help="A load test (default: the newest of the first phase); an id, load~1 or a file.",
        ),
    ] = None,
    after: Annotated[
        str | None,
        typer.Option(metavar="RUN", help="Another (default: the newest of the last phase)."),
    ] = None,
    target_cpu: Annotated[
        float, typer.Option(metavar="PERCENT", help="That auto scaling keeps the instances at.")
    ] = 50.0,
    least: Annotated[
        int, typer.Option("--min", metavar="N", help="Instances at least, in auto scaling.")
    ] = 1,
    most: Annotated[
        int, typer.Option("--max", metavar="N", help="Instances at most, in auto scaling.")
    ] = 10,
    region: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="AWS region of the list prices (default: us-east-1)."),
    ] = None,
    as_json: JsonOption = False,
    verbose: VerboseOption = False,
) -> None:
    """
    Show how many instances a rate needs before and after, and how auto scaling would fare.

    All of it is modelled, from the processor time that saved load tests measured: instances by what
    a type may use for good and what it has saved up in credits, and an hour of a test's CPU under a
    target tracking policy. Nothing is measured again; -v shows the arithmetic.

    Example: perfkit fleet --rate 200 --p95 200ms
    """
    from perfkit.analysis.fleet import find_sides, fleet_of
    from perfkit.cost.instances import find_type
    from perfkit.cost.price_file import load_book
    from perfkit.cost.scaling import Policy
    from perfkit.report import terminal
    from perfkit.report.fleet import commands_for, fleet_blocks, fleet_document
    from perfkit.runs import RunStore

    if not 0 < rate <= _MOST_HZ:
        msg = f"--rate {rate:g} is out of range; it is above 0, and {_MOST_HZ:,.0f} at most"
        raise ConfigError(msg)
    limit_s = parse_duration(p95, "--p95", least_s=0.001)
    if not 0 < target_cpu <= 100:
        msg = f"--target-cpu {target_cpu:g} is out of range; it is above 0, and 100 at most"
        raise ConfigError(msg)
    policy = Policy(target=target_cpu / 100, least=least, most=most)
    book = load_book(region)
    kind = find_type(instance, book)
    store = RunStore(RUNS_FOLDER)
    listing = store.list()
    for problem in listing.problems:
        warn(str(problem))
    sides = find_sides(listing.runs, _run(before, store), _run(after, store))
    for text in sides.problems:
        warn(text)
    measured = {"before": sides.before, "after": sides.after}
    fleets = {
        side: fleet_of(each, sides.alike(each), rate, limit_s, kind, policy, book)
        for side, each in measured.items()
        if each is not None
    }
    if not fleets:
        raise EvidenceError(_why_none(listing.runs, sides.others))
    there = next(iter(fleets.values())).measured.run
    missing = commands_for(tuple(side for side in measured if side not in fleets), there)
    if as_json:
        print_json(fleet_document(fleets, rate, limit_s, missing))
        return
    terminal.print_blocks(fleet_blocks(fleets, rate, missing, verbose=verbose))


def _why_none(runs: "Sequence[Run]", others: "Sequence[Measured]") -> str:
    """
    Return why nothing can be said, and what to do about it.

    Args:
        runs: All that are saved, newest first.
        others: Those that say how busy their service was, and are not of the reference service.
    """
    if others:
        tests = [run for run in runs if run.scenario == _LOAD]
        names = {run.id: f"{_LOAD}~{back}" if back else _LOAD for back, run in enumerate(tests)}
        newest, *older = (each.run for each in others)
        # only runs on the same target are compared
        pair = [newest, *(run for run in older if run.target == newest.target)][:2]
        found = [names.get(run.id, run.id) for run in reversed(pair)]
        options = zip(("--before", "--after")[-len(found) :], found, strict=True)
        named = " ".join(f"{option} {name}" for option, name in options)
        return (
            f"no load test in {RUNS_FOLDER} that says how busy its service was is of the reference"
            f" service; name others with `{named}`"
        )
    text = f"no load test in {RUNS_FOLDER} says how busy its service was"
    if any(run.load_test is not None and run.load_test.stages for run in runs):
        text += " with nothing changed meanwhile, as `perfkit migrate demo` changes it"
    return f"{text}; measure with {_PHASES}"


def _run(text: str | None, store: "RunStore") -> "Run | None":
    """
    Return the run that an option names.

    Raises:
        ConfigError: There is none, or it is a folder.
    """
    if text is None:
        return None
    from perfkit.analysis.sides import find_side

    side = find_side(text, store)
    if side.is_folder:
        msg = f"{text} is a folder; name one run of it"
        raise ConfigError(msg)
    return side.runs[0]
