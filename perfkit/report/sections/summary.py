"""All access patterns of a workload at a glance: before and after, as a table and as bars."""

from collections.abc import Iterable

from perfkit.analysis.outcome import find_outcome
from perfkit.analysis.selection import Group, Selection, target_title
from perfkit.report.before_after import before_after
from perfkit.report.model import Bar, Bars, Block, Kind, Section, Statement, Statements
from perfkit.report.percentiles import median_title
from perfkit.runs import Run, RunKind, Variant

__all__ = ["build"]


def build(selection: Selection) -> Iterable[Section]:
    """Yield a section for each group with several scenarios; one needs no summary."""
    for group in selection.groups:
        runs = tuple(run for run in group.runs if run.kind is RunKind.SCENARIO and run.variants)
        if len(runs) < 2:
            continue
        yield Section(
            name="summary",
            subject="" if len(selection.groups) == 1 else group.title,
            title="Summary" if len(selection.groups) == 1 else f"Summary ({group.title})",
            blocks=tuple(_blocks(runs)),
            facts=_facts(group),
        )


def _blocks(runs: tuple[Run, ...]) -> Iterable[Block]:
    yield before_after(
        runs,
        name="summary",
        title="One call of each pattern, before and after (measured latency: p50)",
    )
    shown = [each for run in runs for each in _before_after(run)]
    for name, title, kind in (
        ("capacity", "RCU a call", Kind.CAPACITY),
        ("latency", median_title("Latency of a call", shown), Kind.SECONDS),
    ):
        bars = tuple(bar for run in runs for bar in _bars(run, kind))
        if bars:
            yield Bars(name=name, title=title, kind=kind, bars=bars, logarithmic=True)
    if not any(_has_after(run) for run in runs):
        yield Statements(
            name="nothing-better",
            statements=(Statement(text="No variant consumes less than the first one yet."),),
        )


def _has_after(run: Run) -> bool:
    outcome = find_outcome(run)
    return outcome is not None and (outcome.after is not None or outcome.modelled is not None)


def _before_after(run: Run) -> tuple[Variant, ...]:
    outcome = find_outcome(run)
    return () if outcome is None or outcome.after is None else (outcome.before, outcome.after)


def _bars(run: Run, kind: Kind) -> Iterable[Bar]:
    for variant in _before_after(run):
        value = variant.latency_s.p50 if kind is Kind.SECONDS else variant.capacity_units
        if value is not None:
            yield Bar(label=run.scenario, series=variant.name, value=value)


def _facts(group: Group) -> dict[str, object]:
    run = group.runs[0]
    return {"workload": run.workload, "target": target_title(run.target)}
