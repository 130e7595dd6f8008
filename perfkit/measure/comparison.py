"""Measured variants compared in the rounds they share, and what is doubtful about all of them."""

from collections.abc import Iterator, Sequence

from perfkit.measure.doubts import doubt_intervals, doubt_machine, doubt_series, join_alike
from perfkit.measure.machine import LoadBetween
from perfkit.measure.measurement import Measurement
from perfkit.measure.rounds import Measured, Plan
from perfkit.measure.statistics import Ratio, paired_ratio
from perfkit.runs import Comparison, Doubt

__all__ = ["compare", "doubt_measured"]


def compare(measured: Measured, pairs: Sequence[tuple[str, str, str]]) -> tuple[Comparison, ...]:
    """
    Compare variants of one question in the rounds that both took part in.

    Args:
        measured: The variants.
        pairs: Question, baseline, candidate. A pair that shares no round is left out.
    """
    comparisons = []
    for question, baseline, candidate in pairs:
        one = measured.measurements[question, baseline]
        other = measured.measurements[question, candidate]
        both = set(one.rounds) & set(other.rounds)
        shared = [number for number in one.rounds if number in both]
        if not shared:
            continue
        ratio = paired_ratio(one.rounds_in(shared), other.rounds_in(shared))
        comparisons.append(
            Comparison(
                question=question,
                baseline=baseline,
                candidate=candidate,
                latency_ratio=ratio.value,
                latency_ratio_ci95=ratio.interval,
                capacity_ratio=_capacity_ratio(one, other),
                # anything else has ended the scenario before
                results_equal=True,
                significant=ratio.significant,
                rounds=ratio.rounds,
            )
        )
    return tuple(comparisons)


def _capacity_ratio(one: Measurement, other: Measurement) -> float | None:
    if one.read_units is None or other.read_units is None:
        return None
    if not one.read_units or not other.read_units:
        # nothing against nothing is the same; anything against nothing is no number of times
        return 1.0 if one.read_units == other.read_units else None
    return (one.read_units / one.calls) / (other.read_units / other.calls)


def doubt_measured(
    measured: Measured,
    comparisons: Sequence[Comparison],
    plan: Plan,
    load: LoadBetween,
    cores: int,
) -> Iterator[Doubt]:
    """
    Yield why figures are less exact than they look.

    Args:
        measured: The variants.
        comparisons: Of these variants, as far as they are shown.
        plan: How long was measured.
        load: How busy the machine was meanwhile.
        cores: Of the machine.
    """
    series = {
        f"{question} {name}".strip(): one for (question, name), one in measured.measurements.items()
    }
    ratios = {
        (f"{each.question} {each.baseline}".strip(), each.candidate): Ratio(
            value=each.latency_ratio, interval=each.latency_ratio_ci95, rounds=each.rounds
        )
        for each in comparisons
    }
    yield from join_alike(doubt_series(series, plan))
    yield from join_alike(doubt_intervals(ratios, plan))
    yield from doubt_machine(load, cores)
