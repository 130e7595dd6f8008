"""Older runs of the same scenarios: how many there are, or which."""

from collections.abc import Iterable

from perfkit.analysis.outcome import find_outcome
from perfkit.analysis.selection import Selection, target_title
from perfkit.report.model import Column, Kind, Row, Section, Statement, Statements, Table, Tone
from perfkit.report.percentiles import median_cell
from perfkit.runs import Run

__all__ = ["build"]


def build(selection: Selection) -> Iterable[Section]:
    """Yield one section if there are older runs."""
    number = len(selection.older)
    if not number:
        return
    if selection.list_older:
        yield Section(name="older-runs", title="Older runs", blocks=(_table(selection.older),))
        return
    text = f"{number} older run{'s are' if number > 1 else ' is'} kept; --all lists what was measured when."
    yield Section(
        name="older-runs",
        title="",
        blocks=(
            Statements(name="older-runs", statements=(Statement(text=text, tone=Tone.FAINT),)),
        ),
    )


def _table(runs: tuple[Run, ...]) -> Table:
    return Table(
        name="older-runs",
        title="",
        columns=(
            Column(key="scenario", title="scenario", label=True),
            Column(key="started_at", title="started (UTC)"),
            Column(key="workload", title="workload"),
            Column(key="target", title="target"),
            Column(key="latency_before_s", title="before", kind=Kind.SECONDS, group="latency p50"),
            Column(key="latency_after_s", title="after", kind=Kind.SECONDS, group="latency p50"),
            Column(key="capacity_units_before", title="before", kind=Kind.CAPACITY, group="RCU"),
            Column(key="capacity_units_after", title="after", kind=Kind.CAPACITY, group="RCU"),
            Column(key="run", title="run"),
        ),
        rows=tuple(_row(run) for run in runs),
    )


def _row(run: Run) -> Row:
    outcome = find_outcome(run)
    before = outcome.before if outcome is not None else None
    after = outcome.after if outcome is not None else None
    return {
        "scenario": run.scenario,
        "started_at": run.started_at,
        "workload": run.workload,
        "target": target_title(run.target),
        "latency_before_s": median_cell(before) if before is not None else None,
        "latency_after_s": median_cell(after) if after is not None else None,
        "capacity_units_before": before.capacity_units if before is not None else None,
        "capacity_units_after": after.capacity_units if after is not None else None,
        "run": run.id,
    }
