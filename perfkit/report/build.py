"""Reports out of saved runs."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from datetime import datetime

from perfkit.analysis.answer import find_answer
from perfkit.analysis.comparability import earlier_versions
from perfkit.analysis.selection import Selection, select
from perfkit.cost.options import CostOptions
from perfkit.report.answer import also, screen
from perfkit.report.cost_screen import cost_screen
from perfkit.report.model import Block, Report, Section, Statement, Statements, Tone
from perfkit.report.sections import (
    MISSING,
    OF_THE_SERVICE,
    SECTIONS,
    Topic,
    dashboard,
    names_of,
)
from perfkit.runs import Run
from perfkit.workloads.outline import is_built_in, outline

__all__ = ["build_cost_screen", "build_report", "build_screen"]


def build_report(
    runs: Iterable[Run],
    *,
    list_older: bool = False,
    problems: Sequence[Exception] = (),
    sections: Collection[str] | None = None,
    topics: Collection[Topic] = (),
    cost: CostOptions | None = None,
    now: datetime | None = None,
    title: str | None = None,
    is_choice: bool = False,
) -> Report:
    """
    Build the report of some runs.

    Args:
        runs: In any order; the newest of each scenario, workload and target is shown. None at
            all is fine for sections that need none.
        list_older: List older runs rather than count them.
        problems: Errors of run files that could not be read.
        sections: Names out of `SECTIONS`; None for all that *topics* choose.
        topics: What the reader asked for; none is everything. A topic of which there is nothing
            to show gets a line that says what would change that.
        cost: What the reader wants to know about cost; None for nothing.
        now: When the report is read, by which runs are old; None to leave their age alone.
        title: What a page calls itself; None for the description of its only workload.
        is_choice: The runs are what a command was asked to measure: no doubt about others.

    Returns:
        The report, for any of the renderers.
    """
    selection = select(
        runs, list_older=list_older, problems=problems, cost=cost, now=now, is_choice=is_choice
    )
    names = names_of(topics) if sections is None else sections
    about = selection
    order = [name for name in SECTIONS if name in names]
    if sections is None and set(topics) == {Topic.DASHBOARD}:
        # warnings of runs that have none are about nothing that is shown
        having = tuple(dashboard.shown_runs(selection))
        about = selection.only(having) if having else selection
        order.sort(key=lambda name: name != "dashboard")
    built = {
        name: tuple(SECTIONS[name].build(about if SECTIONS[name].always else selection))
        for name in order
    }
    shown = {name for name, parts in built.items() if parts}
    return Report(
        title=_title(about),
        sections=(
            *(section for parts in built.values() for section in parts),
            *_missing(topics, shown, selection),
        ),
        runs=tuple(run.to_dict() for run in selection.runs),
        heading=_heading(selection) if title is None else title,
    )


def build_screen(
    runs: Iterable[Run],
    *,
    next_step: str,
    more: str = "",
    problems: Sequence[Exception] = (),
    cost: CostOptions | None = None,
    now: datetime | None = None,
    is_choice: bool = False,
) -> tuple[Block, ...]:
    """
    Build the one screen that answers first.

    Args:
        runs: The newest of each scenario counts; of several workloads and targets the newest.
        next_step: What to type next where nothing is missing from the runs; empty for nothing.
        more: Where everything else is, if the next step does not say so.
        problems: Errors of run files that could not be read.
        cost: What the reader wants to know about cost; None for nothing.
        now: When the report is read, by which runs are old; None to leave their age alone.
        is_choice: As for `build_report`.

    Raises:
        ConfigError: Traffic is assumed for a pattern that was not measured.
    """
    selection = select(runs, problems=problems, cost=cost, now=now, is_choice=is_choice)
    if selection.costs is not None and selection.costs.options.rps:
        # a rate for nothing that was measured is a slip, and no reason to leave money out
        selection.costs.estimates()
    answers = [find_answer(group, selection) for group in selection.groups]
    blocks = [
        block for answer in answers[:1] for block in screen(answer, next_step=next_step, more=more)
    ]
    if not answers[1:]:
        return tuple(blocks)
    return (*blocks, also(answers[1:], tuple(earlier_versions(selection))))


def build_cost_screen(
    runs: Iterable[Run], *, cost: CostOptions, more: str, now: datetime | None = None
) -> tuple[Block, ...]:
    """
    Build the one screen about cost.

    Args:
        runs: As for `build_screen`; none at all is fine.
        cost: What the reader wants to know.
        more: Where everything else is.
        now: When the report is read.

    Raises:
        ArchitectureError: The architecture file will not do.
        ConfigError: Traffic is assumed for a pattern that was not measured.
        PriceError: Prices that were asked for are missing.
    """
    return cost_screen(select(runs, cost=cost, now=now), more=more)


def _missing(topics: Collection[Topic], shown: set[str], selection: Selection) -> Iterator[Section]:
    """Yield one section about the topics of which nothing is shown, or none."""
    statements = tuple(
        Statement(
            text=f"Nothing about {topic} yet: {_remedy(topic, selection)}.", tone=Tone.WARNING
        )
        for topic in Topic
        if topic in topics and not any(topic in SECTIONS[name].topics for name in shown)
    )
    if statements:
        yield Section(
            name="missing",
            title="Missing",
            blocks=(Statements(name="missing", statements=statements),),
        )


def _remedy(topic: Topic, selection: Selection) -> str:
    """Return what to do about a topic; nothing that the workload's scenarios would refuse."""
    served = [
        is_built_in(group.runs[0].workload, group.runs[0].workload_digest)
        for group in selection.groups
    ]
    if topic is Topic.DASHBOARD and served and not any(served):
        return "load the service with `perfkit load --url URL --mix FILE`"
    if topic in OF_THE_SERVICE and served and not any(served):
        return "it is measured of the reference service, which serves the built-in workload only"
    return MISSING[topic]


def _heading(selection: Selection) -> str:
    """Return what the only workload is about; its name where the file is not there any more."""
    if len(selection.groups) != 1:
        return ""
    run = selection.groups[0].runs[0]
    known = outline(run.workload, run.workload_digest)
    return (known and known.description) or f"Workload {run.workload}"


def _title(selection: Selection) -> str:
    if not selection.groups:
        return "perfkit report"
    if len(selection.groups) == 1:
        return f"perfkit report: {selection.groups[0].title}"
    return (
        f"perfkit report: {len(selection.groups)} workloads or targets, none compared with another"
    )
