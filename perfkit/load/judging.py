"""A load test held against gates; one that is invalid passes none."""

from collections.abc import Sequence
from dataclasses import replace

from perfkit.analysis.load_runs import validity
from perfkit.analysis.measures import measures_of
from perfkit.analysis.verdict import Ruling, Verdict
from perfkit.gates import judge_all
from perfkit.gates.lines import Line
from perfkit.runs import GateOutcome, LoadTest, RateSearch, Run
from perfkit.units import format_seconds
from perfkit.workloads.gates import Gate

__all__ = ["hold", "lines_of"]

_GROUP = "Load test"


def hold(run: Run, gates: Sequence[Gate]) -> Run:
    """Return a run with the outcome of each gate; a gate that is given twice is judged once."""
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


def lines_of(test: LoadTest) -> list[Line]:
    """Return what had to be so of a test: that it is valid, the limit of a search, its gates."""
    found = [Line(group=_GROUP, title="the measurement is valid", verdict=validity(test))]
    if test.search is not None:
        limit = f"a rate keeps p95 below {format_seconds(test.search.limit_s)}"
        found.append(Line(group=_GROUP, title=limit, verdict=_of_search(test.search)))
    for each in test.gates:
        ruling = Ruling(each.verdict)
        reason, evidence = ("", each.reason) if ruling is Ruling.PASS else (each.reason, "")
        verdict = Verdict(ruling=ruling, reason=reason, evidence=evidence)
        found.append(Line(group=_GROUP, title=each.gate, verdict=verdict))
    return found


def _of_search(search: RateSearch) -> Verdict:
    if search.low_hz is None:
        slowest = f"{search.trials[-1].rate_hz:,.3g} requests/s does not" if search.trials else ""
        return Verdict.failed(slowest or search.reason)
    return Verdict.passed(f"{search.low_hz:,.4g} requests/s does")
