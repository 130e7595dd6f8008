"""Whether access patterns keep the read units that the workload allows them."""

from collections.abc import Iterable, Iterator, Mapping

from perfkit.analysis.outcome import find_outcome
from perfkit.analysis.verdict import Ruling, Verdict, taken_together
from perfkit.runs import Run, RunKind, Variant
from perfkit.units import format_units

__all__ = ["judge_budgets", "most_units"]


def judge_budgets(runs: Iterable[Run], budgets: Mapping[str, float]) -> Verdict | None:
    """
    Return the verdict on all budgets; None where none of the runs has one.

    Held against a budget is a call of the pattern's better form, or of what the service does
    today where none is better; of several sets of parameters the one that takes most.

    Args:
        runs: Of access patterns and others.
        budgets: By pattern, the most read units that a call may take.
    """
    return taken_together(_verdicts(runs, budgets))


def _verdicts(runs: Iterable[Run], budgets: Mapping[str, float]) -> Iterator[Verdict]:
    for run in runs:
        budget = budgets.get(run.scenario)
        outcome = find_outcome(run) if run.kind is RunKind.SCENARIO else None
        if budget is None or outcome is None:
            continue
        form = outcome.after or outcome.before
        units = most_units(form)
        if units is None:
            reason = (
                f"{run.scenario}: the target does not say what {form.name} takes, so max_rcu ="
                f" {budget:g} cannot be judged"
            )
            yield Verdict.invalid(reason)
            continue
        sets = len(form.capacity_units_by_set)
        of_sets = f" with one of {sets} sets of parameters" if sets > 1 else ""
        evidence = (
            f"{run.scenario}: {form.name} takes {format_units(units)} RCU a call{of_sets},"
            f" and max_rcu is {budget:g}"
        )
        ruling = Ruling.FAIL if units > budget else Ruling.PASS
        yield Verdict(ruling=ruling, evidence=evidence)


def most_units(form: Variant) -> float | None:
    """Return what a call takes at most: a mean over sets of parameters would hide the largest."""
    return max(form.capacity_units_by_set, default=form.capacity_units)
