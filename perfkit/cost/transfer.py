"""Data out to the internet, from measured sizes of answers."""

from perfkit.cost import names
from perfkit.cost.assumptions import Assumptions
from perfkit.cost.bill import Use
from perfkit.cost.demand import State
from perfkit.cost.evidence import Evidence, Pattern
from perfkit.cost.quantities import GIGABYTE, SECONDS_A_MONTH, short
from perfkit.units import TIMES

__all__ = ["answer_bytes", "data_out_bytes_s", "data_out_use"]


def data_out_bytes_s(evidence: Evidence, assumptions: Assumptions, state: State) -> float | None:
    """
    Return the bytes a second of answers in the form that a state has, headers left out.

    Returns:
        None where an answer that is asked for was not measured in every form: bills that are held
        against one another have this line all or none.
    """
    rates = assumptions.reads_hz(each.name for each in evidence.patterns)
    asked = [each for each in evidence.patterns if rates[each.name]]
    if any(each.unsized for each in asked):
        return None
    return sum(rates[each.name] * (answer_bytes(each, state) or 0) for each in asked)


def answer_bytes(pattern: Pattern, state: State) -> int | None:
    """Return the size of an answer by scan before, by the best way after; None if not measured."""
    return (pattern.before if state is State.BEFORE else pattern.best).body_bytes


def data_out_use(bytes_s: float) -> Use:
    """Return what a month of so many bytes a second takes to send."""
    return Use(
        price=names.DATA_OUT,
        quantity=bytes_s * SECONDS_A_MONTH / GIGABYTE,
        arithmetic=f"{short(bytes_s)} B/s {TIMES} {SECONDS_A_MONTH:,} s ÷ {GIGABYTE:,} B",
    )
