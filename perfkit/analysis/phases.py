"""Runs over the phases of the reference checklist: their variants' names, and what was promised."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from perfkit.analysis.verdict import Verdict, hold_above
from perfkit.runs import Check, Comparison, Run, RunKind, Variant

__all__ = ["Promise", "cold", "hold_against", "is_cold", "sides_of", "warm"]

_COLD = "-cold"
"""How the names of variants end whose cache is empty before every request."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Promise:
    """
    What the checklist expects of a phase, against phase 0.

    Args:
        phase: Which.
        figure: `latency`, of warm requests, or `read units`, of requests that reach DynamoDB.
        share: By how much it should fall, at least.
        source: Who promises it.
    """

    phase: int
    figure: str
    share: float
    source: str = "reference architecture, implementation checklist"


def warm(phase: int) -> str:
    """Return the name of a phase's warm variant."""
    return f"phase-{phase}"


def cold(phase: int) -> str:
    """Return the name of a phase's cold variant; phase 0 keeps nothing, so it has none."""
    return warm(phase) if phase == 0 else f"{warm(phase)}{_COLD}"


def is_cold(name: str) -> bool:
    """Tell whether a variant's cache is empty before every request."""
    return name.endswith(_COLD)


def sides_of(run: Run) -> tuple[Variant, Variant] | None:
    """Return the first and the last phase of a run's first endpoint, warm; None without two."""
    if run.kind is not RunKind.PHASES or not run.variants:
        return None
    warm = [
        each
        for each in run.variants
        if each.question == run.questions[0] and not is_cold(each.name)
    ]
    return (warm[0], warm[-1]) if len(warm) > 1 else None


def hold_against(
    promises: Sequence[Promise], variants: Sequence[Variant], comparisons: Sequence[Comparison]
) -> Iterator[Check]:
    """
    Yield each promise beside what was measured, for every endpoint.

    The verdict is pass or fail only where the whole 95% interval is on one side; read units are
    counted and have no scatter.
    """
    by_name: Mapping[tuple[str, str], Variant] = {
        (variant.question, variant.name): variant for variant in variants
    }
    compared = {(each.question, each.candidate): each for each in comparisons}
    for question in dict.fromkeys(variant.question for variant in variants):
        for promise in promises:
            name = warm(promise.phase) if promise.figure == "latency" else cold(promise.phase)
            before, after = by_name[question, warm(0)], by_name[question, name]
            if promise.figure == "latency":
                measured, interval = _fall_of_latency(compared.get((question, name)))
            else:
                measured, interval = _fall_of_units(before, after)
            verdict = _judge(promise.share, measured, interval, before, after)
            yield Check(
                name=f"phase {promise.phase}",
                question=question,
                figure=promise.figure,
                promised=promise.share,
                measured=measured,
                interval=interval,
                verdict=verdict.ruling,
                reason=verdict.reason,
                baseline=before.name,
                candidate=after.name,
                source=promise.source,
            )


_Fall = tuple[float | None, tuple[float, float] | None]


def _fall_of_latency(comparison: Comparison | None) -> _Fall:
    if comparison is None:
        return None, None
    interval = comparison.latency_ratio_ci95
    return (
        1 - 1 / comparison.latency_ratio,
        None if interval is None else (1 - 1 / interval[0], 1 - 1 / interval[1]),
    )


def _fall_of_units(before: Variant, after: Variant) -> _Fall:
    if not before.capacity_units or after.capacity_units is None:
        return None, None
    fall = 1 - after.capacity_units / before.capacity_units
    return fall, (fall, fall)


def _judge(
    promised: float,
    measured: float | None,
    interval: tuple[float, float] | None,
    before: Variant,
    after: Variant,
) -> Verdict:
    failed = [each.name for each in (before, after) if each.errors]
    if failed:
        return Verdict.invalid(f"requests failed at {', '.join(failed)}")
    if measured is None:
        return Verdict.invalid("the target does not say what it consumed")
    if interval is None:
        return Verdict.invalid("too few rounds for an interval")
    return hold_above(interval, promised, why_invalid="the interval includes the promise")
