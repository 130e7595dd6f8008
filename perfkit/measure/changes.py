"""Latencies of separate runs compared: what changed, how certain that is, and when nobody can tell."""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache

__all__ = [
    "CONFIDENCE",
    "FEWEST_ROUNDS",
    "RUN_TO_RUN",
    "WIDEST_FACTOR",
    "Change",
    "Method",
    "change_between",
    "t_quantile",
]

CONFIDENCE = 0.95

RUN_TO_RUN = 0.05
"""
Standard deviation, as a share, by which a whole run lies off the next one of the same code, at least.

Rounds of one run do not show it: the process, its memory and the moment are the same for all of
them. It stands in where a side has one run only, unless the runs of the other differ by more; several
runs a side show their own.
"""

FEWEST_ROUNDS = 3
"""Rounds a single run needs for a spread worth the name: at two, Student's t is 12.7."""

WIDEST_FACTOR = 1_000
"""An interval that reaches further than by this factor, either way, says nothing."""

_FEWEST_PAIRS = 3
_FEWEST_RUNS = 2
# a clock tick too short to see must not become the logarithm of zero
_SHORTEST_S = 1e-9
_LARGEST_DEGREES = 1_000


class Method(StrEnum):
    """How an interval came about."""

    PAIRED = "paired-runs"
    """Runs of the two sides took turns: Student's t on the ratio of each pair."""

    RUNS = "runs"
    """Several runs a side: Welch's t on the runs."""

    ONE = "one-against-runs"
    """One run against several: Student's t on the runs, with what differs between the several."""

    ROUNDS = "rounds"
    """One run a side: Welch's t on the rounds, widened by what they cannot show."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """
    How many times as long the candidate takes as the baseline: 1.3 is 30% slower.

    `interval` is None, and `method` with it, where there is too little to tell: too few rounds or
    runs, or so few for so many comparisons that the interval is wider than `WIDEST_FACTOR`.
    """

    ratio: float
    interval: tuple[float, float] | None
    method: Method | None

    @property
    def significant(self) -> bool:
        """Whether the interval leaves out 1, "no change"."""
        return self.interval is not None and not self.interval[0] <= 1 <= self.interval[1]


def change_between(
    baseline: Sequence[Sequence[float]],
    candidate: Sequence[Sequence[float]],
    *,
    in_turns: bool = False,
    comparisons: int = 1,
) -> Change:
    """
    Compare one variant's latencies in separate runs.

    All arithmetic is on logarithms, as a change is a factor. Where both sides have several runs a
    run counts as one value, the median of its rounds: what differs between runs of the same code
    is then in the interval. Runs in turns are compared pair by pair, so that what drifts
    slowly cancels. With one run a side a whole run may lie off as far as one of its rounds, and by
    `RUN_TO_RUN` at least; one against several may also lie off as far as these from each other.
    Runs measured again and again here differed by 0.15 where their
    rounds differed by 0.2 (docs/compare.md).

    The intervals of *comparisons* comparisons hold together with 95%: who looks at twenty of them
    is misled by noise no more often than who looks at one.

    Sources: Student (1908); Welch (1947) for unequal spreads; Georges, Buytaert & Eeckhout,
    "Statistically rigorous Java performance evaluation" (2007), for runs rather than rounds as the
    unit; Dunn (1961) for several intervals at once (Bonferroni).

    Args:
        baseline: For each run the median latency of each round, in seconds.
        candidate: The same of the other side.
        in_turns: The runs took turns, in the order given, one of each side at a time.
        comparisons: How many comparisons are looked at together.

    Raises:
        ValueError: A side has no run, or a run no round.
    """
    level = 1 - (1 - CONFIDENCE) / comparisons
    variance, degrees = 0.0, 1.0
    before, after = _middles(baseline), _middles(candidate)
    method: Method | None = None
    if in_turns and len(before) == len(after) >= _FEWEST_PAIRS:
        method = Method.PAIRED
        logs = [late - early for early, late in zip(before, after, strict=True)]
        shift, variance = statistics.fmean(logs), statistics.variance(logs) / len(logs)
        degrees = len(logs) - 1.0
    elif min(len(before), len(after)) >= _FEWEST_RUNS:
        method = Method.RUNS
        shift, variance, degrees = _welch(before, after)
    else:
        shift = statistics.fmean(after) - statistics.fmean(before)
        several = max(before, after, key=len)
        fewest = min(len(rounds_s) for side in (baseline, candidate) for rounds_s in side)
        if fewest >= FEWEST_ROUNDS and len(several) >= _FEWEST_RUNS:
            method = Method.ONE
            alone = baseline if len(before) == 1 else candidate
            variance, degrees = _one(_rounds(alone), several)
        elif fewest >= FEWEST_ROUNDS:
            method = Method.ROUNDS
            sides = _rounds(baseline), _rounds(candidate)
            shift, variance, degrees = _welch(*sides, single_runs=True)
    half = math.inf if method is None else t_quantile(level, degrees) * math.sqrt(variance)
    if half > math.log(WIDEST_FACTOR):
        return Change(ratio=math.exp(shift), interval=None, method=None)
    return Change(
        ratio=math.exp(shift),
        interval=(math.exp(shift - half), math.exp(shift + half)),
        method=method,
    )


def _welch(
    before: Sequence[float], after: Sequence[float], *, single_runs: bool = False
) -> tuple[float, float, float]:
    """
    Return the difference of two means, its variance and the degrees of freedom.

    With *single_runs*, the values are rounds of one run a side, which may lie off as a whole.
    """
    shift = statistics.fmean(after) - statistics.fmean(before)
    variance = doubt = 0.0
    for side in (before, after):
        share = statistics.variance(side) / len(side)
        if single_runs:
            share, least = _allowance(side)
            # what is known beforehand adds no doubt about itself
            variance += least - share
        variance += share
        doubt += share**2 / (len(side) - 1)
    degrees = variance**2 / doubt if doubt > 0 else float(_LARGEST_DEGREES)
    return shift, variance, degrees


def _one(rounds: Sequence[float], runs: Sequence[float]) -> tuple[float, float]:
    """
    Return the variance of one run less the mean of several others, and the degrees of freedom.

    Where the several differ most, this is the interval that foretells one more of them; see
    Student (1908). What they show too little of, the rounds and `RUN_TO_RUN` make up for.
    """
    between = statistics.variance(runs)
    share, least = _allowance(rounds)
    whole = max(between, least)
    doubt = max(between**2 / (len(runs) - 1), share**2 / (len(rounds) - 1))
    degrees = whole**2 / doubt if doubt > 0 else float(_LARGEST_DEGREES)
    return whole * (1 + 1 / len(runs)), degrees


def _allowance(rounds: Sequence[float]) -> tuple[float, float]:
    """Return the variance of a single run as its rounds have it, and what it is taken for at least."""
    spread = statistics.variance(rounds)
    share = spread / len(rounds)
    return share + spread, share + max(spread, RUN_TO_RUN**2)


def _middles(side: Sequence[Sequence[float]]) -> list[float]:
    if not side or not all(side):
        msg = "a comparison needs at least one run on each side, and each run a round"
        raise ValueError(msg)
    return [statistics.median(map(_log, rounds_s)) for rounds_s in side]


def _rounds(side: Sequence[Sequence[float]]) -> list[float]:
    return [_log(value_s) for rounds_s in side for value_s in rounds_s]


def _log(value_s: float) -> float:
    return math.log(max(value_s, _SHORTEST_S))


@lru_cache(maxsize=1024)
def t_quantile(level: float, degrees: float) -> float:
    """
    Return how far Student's t lies from 0 at most, with probability *level*.

    A fraction of a degree of freedom is dropped, which errs on the side of caution.

    Args:
        level: Probability in (0, 1), of both sides: 0.95 gives the 97.5% point.
        degrees: Degrees of freedom, at least 1.
    """
    if not 0 < level < 1 or degrees < 1:
        msg = f"Student's t needs a level within 0 and 1 and a degree of freedom, got {level}, {degrees}"
        raise ValueError(msg)
    whole = min(int(degrees), _LARGEST_DEGREES)
    low, high = 0.0, 1.0
    while _t_within(high, whole) < level:
        low, high = high, high * 2
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if _t_within(middle, whole) < level else (low, middle)
    return high


def _t_within(limit: float, degrees: int) -> float:
    """
    Return the probability that Student's t lies within ±*limit*.

    Source: Abramowitz & Stegun 26.7.3 and 26.7.4, exact for whole degrees of freedom.
    """
    angle = math.atan(limit / math.sqrt(degrees))
    sine, cosine = math.sin(angle), math.cos(angle)
    odd = degrees % 2 == 1
    term = cosine if odd else 1.0
    total = term if degrees > 1 else 0.0
    for each in range(3 if odd else 2, degrees - 1, 2):
        term *= cosine**2 * (each - 1) / each
        total += term
    return 2 / math.pi * (angle + sine * total) if odd else sine * total
