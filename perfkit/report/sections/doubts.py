"""What a reader must know before the figures: warnings of the runs, and what is missing here."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from perfkit.analysis.comparability import earlier_versions, not_alike, too_old, unjudged
from perfkit.analysis.selection import Selection
from perfkit.report.model import Section, Statement, Statements, Tone

if TYPE_CHECKING:
    from perfkit.runs import Doubt

__all__ = ["build"]


def build(selection: Selection) -> Iterable[Section]:
    """Yield one section with every warning, or none."""
    statements = _warned_of(selection)
    if statements:
        yield Section(
            name="warnings",
            title="Warnings",
            blocks=(
                Statements(
                    name="warnings",
                    statements=tuple(
                        Statement(text=text, tone=Tone.WARNING) for text in statements
                    ),
                ),
            ),
        )


def _warned_of(selection: Selection) -> list[str]:
    """Return every warning of a report."""
    return [
        *_left_out(selection),
        *earlier_versions(selection),
        *_warnings(selection),
        *(
            text
            for group in selection.groups
            for text in not_alike(group, is_choice=selection.is_choice)
        ),
        *too_old(selection),
        *unjudged(selection),
        *_cautions(selection),
    ]


def _warnings(selection: Selection) -> Iterable[str]:
    """Yield each warning once, after the names of the scenarios it is about."""
    about: dict[Doubt, list[str]] = {}
    for run in selection.runs:
        for doubt in dict.fromkeys(run.warnings):
            about.setdefault(doubt, []).append(selection.title(run))
    for doubt, scenarios in about.items():
        everywhere = len(scenarios) == len(selection.runs) > 1
        yield f"{'all scenarios' if everywhere else ', '.join(scenarios)}: {doubt}"


def _cautions(selection: Selection) -> Iterable[str]:
    """Yield what limits the precision of a single run; of several, where it stands."""
    cautious = [run for run in selection.runs if run.cautions]
    if len(selection.runs) == 1:
        for run in cautious:
            yield from (f"{selection.title(run)}: {doubt}" for doubt in run.cautions)
    elif cautious:
        names = ", ".join(selection.title(run) for run in cautious)
        yield f"{names}: figures with a margin; what limits them stands with their tables."


def _left_out(selection: Selection) -> Iterable[str]:
    unreadable = len(selection.unreadable)
    if unreadable:
        yield f"{unreadable} run file{'s' * (unreadable > 1)} could not be read and left out."
    for run in selection.runs:
        if not (run.variants or run.write_costs or run.hours):
            yield f"{selection.title(run)}: the run holds no measurement; measure again."
