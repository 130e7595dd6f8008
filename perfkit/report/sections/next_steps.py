"""What would complete the runs: what to do next."""

from collections.abc import Iterable

from perfkit.analysis.answer import next_steps_of
from perfkit.analysis.selection import Selection
from perfkit.report.model import Section, Statement, Statements

__all__ = ["build"]


def build(selection: Selection) -> Iterable[Section]:
    """Yield one section with each step once, or none."""
    steps = dict.fromkeys(step for each in selection.groups for step in next_steps_of(each.runs))
    if steps:
        yield Section(
            name="next-steps",
            title="Next",
            blocks=(
                Statements(
                    name="next-steps",
                    statements=tuple(Statement(text=step) for step in steps),
                ),
            ),
        )
