"""A load test held against gates; one that is invalid passes none."""

from collections.abc import Sequence
from dataclasses import replace

from perfkit.analysis.load_runs import validity
from perfkit.analysis.measures import measures_of
from perfkit.gates import judge_all
from perfkit.runs import GateOutcome, Run
from perfkit.workloads.gates import Gate

__all__ = ["hold"]


def hold(run: Run, gates: Sequence[Gate]) -> Run:
    """Return a run with what becomes of each gate; a gate that is given twice is held once."""
    if run.load_test is None or not gates:
        return run
    why_invalid = validity(run.load_test).reason
    outcomes = tuple(
        GateOutcome(
            gate=str(each.gate),
            value=each.value,
            verdict=each.verdict.ruling,
            reason=each.verdict.reason or each.verdict.evidence,
        )
        for each in judge_all(dict.fromkeys(gates), measures_of(run), why_invalid=why_invalid)
    )
    return replace(run, load_test=replace(run.load_test, gates=outcomes))
