"""Reports out of saved runs."""

from collections.abc import Collection, Iterable, Sequence

from perfkit.report.model import Report
from perfkit.report.sections import SECTIONS
from perfkit.report.selection import Selection, select
from perfkit.results import Run

__all__ = ["build_report"]


def build_report(
    runs: Iterable[Run],
    *,
    list_older: bool = False,
    problems: Sequence[Exception] = (),
    sections: Collection[str] | None = None,
) -> Report:
    """
    Build the report of some runs.

    Args:
        runs: In any order; the newest of each scenario, workload and target is shown.
        list_older: List older runs rather than count them.
        problems: Errors of run files that could not be read.
        sections: Names out of `SECTIONS`; None for all of them.

    Returns:
        The report, for any of the renderers.
    """
    selection = select(runs, list_older=list_older, problems=problems)
    return Report(
        title=_title(selection),
        sections=tuple(
            section
            for name, build in SECTIONS.items()
            if sections is None or name in sections
            for section in build(selection)
        ),
        runs=tuple(run.to_dict() for run in selection.runs),
    )


def _title(selection: Selection) -> str:
    if len(selection.groups) == 1:
        return f"perfkit report: {selection.groups[0].title}"
    return (
        f"perfkit report: {len(selection.groups)} workloads or targets, none compared with another"
    )
