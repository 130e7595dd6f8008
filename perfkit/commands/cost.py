"""`perfkit cost`: quick questions about money, answered from saved runs."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperCommand

from perfkit.commands.options import (
    JsonOption,
    VerboseOption,
    WorkloadOption,
    list_runs,
    runs_about,
)
from perfkit.commands.output import note, print_json, warn
from perfkit.errors import ConfigError
from perfkit.settings import RUNS_FOLDER

if TYPE_CHECKING:
    from perfkit.analysis.selection import Group
    from perfkit.cost.evidence import Evidence

__all__ = ["cost"]

cost = typer.Typer(
    no_args_is_help=True, help="Work out what it costs a month, and what would change that."
)


_MOST_LINES = 15


class _WhatIfCommand(TyperCommand):
    """Lists in its help what may be set; made when it is asked for, as it takes imports."""

    def format_epilog(self, ctx: Any, formatter: Any) -> None:
        """Write the settings below the options."""
        from perfkit.cost.what_if import SETTINGS

        super().format_epilog(ctx, formatter)
        with formatter.section("What may be set"):
            formatter.write_dl(
                [(each.name, f"{each.meaning}: {each.accepts}") for each in SETTINGS.values()]
            )


@cost.callback()
def _cost() -> None:
    """Work out what it costs a month, and what would change that."""


@cost.command(name="what-if", cls=_WhatIfCommand)
def what_if(
    *,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="NAME=VALUE", help="What to change; may be repeated. See below."
        ),
    ] = None,
    workload: WorkloadOption = None,
    rps: Annotated[
        list[str] | None,
        typer.Option(
            metavar="RATE",
            help="Requests a second: 20 for all patterns together, courses=5 for one (repeatable).",
        ),
    ] = None,
    region: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="AWS region of the list prices (default: the runs', else us-east-1).",
        ),
    ] = None,
    prices: Annotated[
        str | None,
        typer.Option(
            metavar="list|FILE",
            help="The region's list prices (the default), or a price file of your own.",
        ),
    ] = None,
    architecture: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Architecture file with a [traffic] table.")
    ] = None,
    free_tier: Annotated[
        bool, typer.Option("--free-tier", help="Subtract AWS's monthly free tier.")
    ] = False,
    explain: Annotated[
        bool, typer.Option("--explain", help="Show how each amount was worked out.")
    ] = False,
    as_json: JsonOption = False,
    verbose: VerboseOption = False,
) -> None:
    """
    Show a month's bill from saved runs as it is, and as it would be.

    What it is compared with is today; for settings of the cache, indexes behind the cache, and for
    another projection indexes.

    All amounts are modelled: measured units and sizes, times a stated traffic (--rps, or [traffic]
    in the workload or an architecture file), at list prices. Without a traffic they are for a
    million calls, and only some settings apply.

    Example: perfkit cost what-if --rps 20 --set cache.ttl=600 --set rps=200
    """
    from perfkit.analysis.costs import Costs
    from perfkit.cost import what_if as asked
    from perfkit.cost.options import QUOTED, CostOptions, check_prices
    from perfkit.cost.prices import age_warnings
    from perfkit.cost.traffic_bill import Case
    from perfkit.report.sections import cost_words
    from perfkit.report.what_if import what_if_document, what_if_report

    if prices == QUOTED:
        msg = (
            "--prices quoted: nothing of this bill is quoted; give list or the path of a price file"
        )
        raise ConfigError(msg)
    options = CostOptions(
        region=region,
        prices=check_prices(prices),
        architecture=architecture,
        rps=tuple(rps or ()),
        free_tier=free_tier,
    )
    group, evidence, lacking = _evidence(workload)
    subject, costs = group.title, Costs(options, {group.title: group.runs})
    assumptions, book = costs.assumptions(evidence), costs.book
    baseline = Case(assumptions=assumptions, state=asked.baseline_state(settings or (), evidence))
    if costs.is_stated(evidence):
        answer = asked.what_if(baseline, settings or (), evidence, book)
    else:
        answer = asked.what_if_by_the_million(baseline, settings or (), evidence, book)
        note("Nobody states how many requests come, so it is for a million calls; --rps says it.")
    missing = evidence.missing()
    old = age_warnings(book.used.values(), today=None, region=book.region)
    spread = ""
    if answer.per_month:
        spread = cost_words.spread(assumptions, [each.name for each in evidence.patterns], lacking)
    unbilled = cost_words.unbilled_writes(assumptions, evidence) if answer.per_month else ""
    lost = cost_words.lost_file(evidence)
    warnings = (*old, *(f"{each}." for each in (spread, unbilled, lost) if each))
    if as_json:
        print_json(
            what_if_document(answer, book, subject=subject, missing=missing, warnings=warnings)
        )
        return
    for reason in answer.bills.reasons:
        warn(reason)

    from perfkit.report import terminal

    terminal.print_report(
        what_if_report(
            answer,
            book,
            subject=subject,
            missing=missing,
            warnings=warnings,
            explain=explain,
            most=None if verbose else _MOST_LINES,
        )
    )
    if not verbose and len(answer.pairs) > _MOST_LINES:
        note("More: -v shows all lines of the bill.")


def _evidence(workload: str | None) -> "tuple[Group, Evidence, tuple[str, ...]]":
    """
    Return over what the newest runs were, what they say, and which access patterns they lack.

    Raises:
        ConfigError: No access pattern was measured.
    """
    from perfkit.analysis.comparability import not_measured
    from perfkit.analysis.selection import select
    from perfkit.cost.evidence import Evidence, gather

    listing = list_runs()
    groups = select(runs_about(listing.runs, workload)).groups
    found = [(group, gather(group.runs)) for group in groups]
    answered = [each for each in found if each[1].patterns]
    if not answered:
        nothing = found[0][1] if found else Evidence(table_items={}, traffic=None)
        wanted = "; ".join(f"{each.what}: {each.command}" for each in nothing.missing())
        msg = (
            f"no access pattern measured in {RUNS_FOLDER}; `perfkit run` measures all that"
            f" is needed, or one by one: {wanted}"
        )
        raise ConfigError(msg)
    group, evidence = answered[0]
    if len(answered) > 1:
        others = ", ".join(other.title for other, _ in answered[1:])
        note(f"Of {group.title}, measured last; not of {others}.")
    lacking = not_measured(group.runs, {each.name for each in evidence.patterns})
    return group, evidence, lacking
