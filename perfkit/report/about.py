"""What stands above the figures of every run: what was asked, when and where it was measured."""

from collections.abc import Mapping
from datetime import UTC, datetime

from perfkit.analysis.selection import target_title
from perfkit.report.model import Statement, Statements, Tone
from perfkit.runs import Run

__all__ = ["about", "cautions", "facts_of"]


def facts_of(run: Run) -> Mapping[str, object]:
    """Return the raw values that identify a run, for JSON and CSV."""
    return {
        "scenario": run.scenario,
        "workload": run.workload,
        "target": target_title(run.target),
        "started_at": run.started_at,
        "run": run.id,
    }


def about(run: Run) -> Statements:
    """Return the question of a run, and when and where it was asked."""
    asked = ", ".join(
        f"{name.lstrip(':')} {_written(value)}" for name, value in run.parameters.items()
    )
    question = run.description or "An access pattern"
    moment = datetime.fromisoformat(run.started_at).astimezone(UTC)
    measured = f"{moment:%Y-%m-%d %H:%M} UTC, target {target_title(run.target)}"
    return Statements(
        name="about",
        statements=(
            Statement(text=f"{question} ({asked})." if asked else f"{question}."),
            Statement(text=f"{measured}, run {run.id}" if run.id else measured, tone=Tone.FAINT),
        ),
    )


def cautions(run: Run) -> Statements:
    """Return what limits the precision of a run."""
    return Statements(
        name="cautions",
        title="What limits these figures",
        statements=tuple(Statement(text=str(each)) for each in run.cautions),
    )


def _written(value: object) -> str:
    """Return what a wire value such as `{"S": "CS"}` holds."""
    return (
        str(next(iter(value.values())))
        if isinstance(value, dict) and len(value) == 1
        else str(value)
    )
