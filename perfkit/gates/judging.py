"""Gates held against measured figures."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from perfkit.analysis.verdict import Ruling, Verdict
from perfkit.workloads.gates import OVERALL, Gate, plain_number
from perfkit.workloads.problems import nearest

__all__ = ["Judged", "Measures", "judge", "judge_all"]

Measures = Mapping[str, Mapping[str, float | None]]
"""
Figures by metric, by what they are about: an endpoint, an access pattern, or "" for all requests.

A figure that was not measured is None, or not there.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """
    A gate and what became of it.

    Args:
        gate: The condition.
        value: The figure it was held against, in the metric's unit; None where there is none.
        verdict: Pass, fail, or invalid where there is no figure or none that supports a verdict.
    """

    gate: Gate
    value: float | None
    verdict: Verdict


def judge(gate: Gate, measures: Measures, *, why_invalid: str = "") -> Judged:
    """
    Judge a gate.

    Args:
        gate: The condition.
        measures: What was measured, exactly: a rounded figure may stand on the other side.
        why_invalid: Why the run supports no verdict; empty where it does.
    """
    if gate.scope not in measures:
        known = [each or OVERALL for each in measures]
        what = f"there are no figures of {gate.scope or OVERALL!r}; {nearest(gate.scope, known)}"
        return Judged(gate=gate, value=None, verdict=Verdict.invalid(what))
    value = measures[gate.scope].get(gate.metric)
    if value is None:
        return Judged(
            gate=gate, value=None, verdict=Verdict.invalid(f"{gate.metric} was not measured")
        )
    holds = gate.comparator.holds(value, gate.limit)
    evidence = f"{gate.metric} is {_shown(gate, value, holds=holds)}"
    if why_invalid:
        invalid = Verdict.invalid(why_invalid, evidence=evidence)
        return Judged(gate=gate, value=value, verdict=invalid)
    ruling = Ruling.PASS if holds else Ruling.FAIL
    return Judged(gate=gate, value=value, verdict=Verdict(ruling=ruling, evidence=evidence))


def judge_all(
    gates: Iterable[Gate], measures: Measures, *, why_invalid: str = ""
) -> tuple[Judged, ...]:
    """Judge each gate, in their order."""
    return tuple(judge(gate, measures, why_invalid=why_invalid) for gate in gates)


def _shown(gate: Gate, value: float, *, holds: bool) -> str:
    """Return a figure for people, in as many digits as show on which side of the limit it is."""
    short = float(f"{value:.4g}")
    return plain_number(short if gate.comparator.holds(short, gate.limit) is holds else value)
