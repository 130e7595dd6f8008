"""Latencies of separate runs compared: how much they changed, and how certainly."""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from perfkit.measure.statistics import CONFIDENCE, find_centre, log_of, t_quantile

__all__ = [
    "FEWEST_ROUNDS",
    "STATED_SPREAD",
    "Change",
    "Method",
    "Spread",
    "change_between",
    "find_spread",
]

FEWEST_ROUNDS = 3
"""Rounds that a single run needs: of fewer nobody knows how far they scatter."""

_WIDEST_FACTOR = 1_000
"""An interval that reaches further than by this factor, either way, says nothing."""

_LEAST_SPREAD = 0.08
"""What runs of the same code differed by at least where that was measured (docs/compare.md)."""

_FEWEST_PAIRS = 3
_FEWEST_RUNS = 2
# Only whole runs that were disturbed are left out here: the centre of a run's rounds has dealt with
# disturbed rounds, and of 5 pairs two are too many to lose.
_TRIM = 0.125
_LARGEST_DEGREES = 1_000.0


class Method(StrEnum):
    """How an interval came about."""

    PAIRED = "paired-runs"
    """Runs of the two sides took turns: each pair gives one ratio."""

    RUNS = "runs"
    """Several runs a side: Welch's t on the runs."""

    SINGLE = "single-run"
    """A side of one run, which cannot show how far the next one would be from it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """
    How far runs of the same code are known to lie apart, and from how much.

    Args:
        deviation: Standard deviation of the logarithms, about the share by which they differ.
        degrees: Degrees of freedom of this figure.
        runs: How many earlier runs it is from; 0 where it is stated.
    """

    deviation: float
    degrees: float = _LARGEST_DEGREES
    runs: int = 0


STATED_SPREAD = Spread(deviation=0.25)
"""
What runs of the same code are taken to differ by where no earlier ones show it.

Whole runs, measured again and again on a shared machine, differed by 8% to 25% (docs/compare.md):
the larger of the two, because an alarm that is none costs more than one that waits for more runs.
"""


def find_spread(runs: Sequence[Sequence[float]]) -> Spread:
    """
    Return how far runs of the same code lie apart, at least `_LEAST_SPREAD`.

    Args:
        runs: For each run a value of each round, in seconds or as a ratio; two runs or more.
    """
    deviation = statistics.stdev(_middles(runs))
    return Spread(deviation=max(deviation, _LEAST_SPREAD), degrees=len(runs) - 1.0, runs=len(runs))


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """
    How many times as long the candidate takes as the baseline: 1.3 is 30% slower.

    Args:
        ratio: By estimate.
        interval: Holds with 95% together with those of all other comparisons; None where there is
            too little to tell: too few rounds or runs, or so few for so many comparisons that it
            is wider than `_WIDEST_FACTOR`.
        highest: Upper end of the interval that holds with 95% for this comparison alone. A gate
            passes only if each of its comparisons passes, so none needs to allow for the others.
        method: How the interval came about; None without one.
        spread: What runs are taken to differ by, where the interval needed that.
    """

    ratio: float
    interval: tuple[float, float] | None
    highest: float | None
    method: Method | None
    spread: Spread | None = None

    @property
    def significant(self) -> bool:
        """Whether the interval leaves out 1, "no change"."""
        return self.interval is not None and not self.interval[0] <= 1 <= self.interval[1]

    @property
    def gate(self) -> tuple[float, float] | None:
        """
        The interval that a limit is held against: both ends are wrong in 2.5% of cases at most.

        The lower end in 2.5% of whole comparisons, because one false alarm is enough to fail; the
        upper end in 2.5% of single ones, because all must pass.
        """
        if self.interval is None or self.highest is None:
            return None
        return self.interval[0], self.highest


def change_between(
    baseline: Sequence[Sequence[float]],
    candidate: Sequence[Sequence[float]],
    *,
    in_turns: bool = False,
    controlled: bool = False,
    spread: Spread = STATED_SPREAD,
    comparisons: int = 1,
) -> Change:
    """
    Compare one variant in separate runs.

    All arithmetic is on logarithms, as a change is a factor. A run counts as one value, the centre
    of its rounds: what differs between runs of the same code is then in the interval.

    - Runs in turns are compared pair by pair, so that what drifts slowly cancels.
    - Otherwise a side may lie off as a whole, because the machine was another one in that hour, and
      its runs cannot show it however many they are. Each side is allowed what runs are known to
      differ by, unless the values are ratios to a control of the same run, which cancels it.
    - One run a side is allowed it in any case, and what its rounds scatter.

    Sources: Student (1908); Welch (1947) and Satterthwaite (1946) for unequal spreads; Georges,
    Buytaert & Eeckhout, "Statistically rigorous Java performance evaluation" (2007), for runs
    rather than rounds as the unit; Dunn (1961) for several intervals at once (Bonferroni); Berger
    (1982) for a gate of which all must pass (intersection-union).

    Args:
        baseline: For each run the median latency of each round in seconds, or its ratio to the
            control of that round.
        candidate: The same of the other side.
        in_turns: The runs took turns, in the order given, one of each side at a time.
        controlled: The values are ratios to a control.
        spread: What runs are known to differ by.
        comparisons: How many comparisons are looked at together.

    Raises:
        ValueError: A side has no run, or a run no round.
    """
    before, after = _middles(baseline), _middles(candidate)
    used: Spread | None = None
    if in_turns and len(before) == len(after) >= _FEWEST_PAIRS:
        method = Method.PAIRED
        pairs = [late - early for early, late in zip(before, after, strict=True)]
        centre = find_centre(pairs, trim=_TRIM)
        shift, parts = centre.value, [(centre.variance, centre.degrees)]
    else:
        method = Method.SINGLE
        if min(len(before), len(after)) >= _FEWEST_RUNS:
            method = Method.RUNS
        centres = [find_centre(side, trim=_TRIM) for side in (before, after)]
        shift = centres[1].value - centres[0].value
        parts = []
        allowed = 0
        for side, values, centre in zip(
            (baseline, candidate), (before, after), centres, strict=True
        ):
            single = len(values) < _FEWEST_RUNS
            if single and len(side[0]) < FEWEST_ROUNDS:
                return Change(ratio=math.exp(shift), interval=None, highest=None, method=None)
            of_rounds = find_centre([log_of(each) for each in side[0]]) if single else centre
            parts.append((of_rounds.variance, of_rounds.degrees))
            allowed += single or not controlled
        if allowed:
            used = spread
            parts.append((allowed * spread.deviation**2, spread.degrees))
    variance = math.fsum(part for part, _ in parts)
    doubt = math.fsum(part**2 / degrees for part, degrees in parts)
    degrees = min(variance**2 / doubt, _LARGEST_DEGREES) if doubt > 0 else _LARGEST_DEGREES
    together = t_quantile(1 - (1 - CONFIDENCE) / comparisons, degrees) * math.sqrt(variance)
    alone = t_quantile(CONFIDENCE, degrees) * math.sqrt(variance)
    if together > math.log(_WIDEST_FACTOR):
        return Change(ratio=math.exp(shift), interval=None, highest=None, method=None, spread=used)
    return Change(
        ratio=math.exp(shift),
        interval=(math.exp(shift - together), math.exp(shift + together)),
        highest=math.exp(shift + alone),
        method=method,
        spread=used,
    )


def _middles(side: Sequence[Sequence[float]]) -> list[float]:
    if not side or not all(side):
        msg = "a comparison needs at least one run on each side, and each run a round"
        raise ValueError(msg)
    return [find_centre(list(map(log_of, values))).value for values in side]
