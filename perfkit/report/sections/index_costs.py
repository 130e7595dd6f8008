"""What every index takes at each write and in storage, with its projections side by side."""

from collections.abc import Iterable

from perfkit.analysis.selection import Selection
from perfkit.report.about import about, facts_of
from perfkit.report.model import Section
from perfkit.report.write_costs import write_costs_table
from perfkit.runs import RunKind

__all__ = ["build"]


def build(selection: Selection) -> Iterable[Section]:
    """Yield a section for each run of the scenario."""
    for run in selection.runs:
        if run.kind is RunKind.INDEX_COST and run.write_costs:
            yield Section(
                name="index-cost",
                subject=run.scenario,
                title=selection.title(run),
                blocks=(about(run), write_costs_table(run)),
                facts=facts_of(run),
            )
