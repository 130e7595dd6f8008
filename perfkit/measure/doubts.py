"""Reasons to doubt a measured figure, each with advice that knows the options used."""

import statistics
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from perfkit.runs import Doubt, DoubtKind
from perfkit.units import format_ratio, format_seconds, format_share

if TYPE_CHECKING:
    # a report asks for a limit here, and need not wait for what measures
    from perfkit.measure.machine import LoadBetween
    from perfkit.measure.measurement import Measurement
    from perfkit.measure.rounds import Plan
    from perfkit.measure.statistics import Ratio

__all__ = [
    "OTHERS_SHARE",
    "STOLEN_SHARE",
    "doubt_intervals",
    "doubt_machine",
    "doubt_series",
    "join_alike",
]

# Ten standard deviations of ordinary scatter, as hyperfine has it.
_OUTLIER_SCORE = 10.0
# Latencies have long tails by nature, which p95 and p99 show; so many make even p95 an outlier.
_OUTLIER_SHARE = 0.05
_FEW_CALLS = 10
_SPREAD = 0.25
OTHERS_SHARE = 0.15
"""From here on other programs' share of the machine's CPU time makes latencies doubtful."""
STOLEN_SHARE = 0.02
"""Likewise what the hypervisor took away."""
_WIDE_INTERVAL = 2.0


def _modified_z_scores(values: Sequence[float]) -> list[float]:
    """
    Return how far each value lies above the median, in standard deviations of ordinary scatter.

    Source: Iglewicz & Hoaglin, "How to detect and handle outliers" (1993): 0.6745 * (x - median) /
    MAD, and the mean absolute deviation in its place where more than half the values are equal.
    """
    middle = statistics.median(values)
    distances = [abs(value - middle) for value in values]
    mad = statistics.median(distances)
    if mad > 0:
        return [0.6745 * (value - middle) / mad for value in values]
    mean = statistics.fmean(distances)
    if mean > 0:
        return [0.7979 * (value - middle) / mean for value in values]
    return [0.0] * len(values)


# kinds that each variant or ratio has a doubt of its own of, and how to count the others
_ALIKE = {
    DoubtKind.SLOW_CALLS: ("1 other variant has", "{} other variants have", "such calls"),
    DoubtKind.WIDE_INTERVAL: ("1 other ratio is", "{} other ratios are", "as uncertain"),
}


def join_alike(doubts: Iterable[Doubt]) -> list[Doubt]:
    """
    Return one doubt for all those of a kind that each variant has on its own.

    With dozens of variants one sentence each would bury the others.
    """
    joined: list[Doubt] = []
    alike: dict[DoubtKind, list[Doubt]] = {}
    for doubt in doubts:
        if doubt.kind in _ALIKE:
            alike.setdefault(doubt.kind, []).append(doubt)
        else:
            joined.append(doubt)
    for kind, found in alike.items():
        one, several, likewise = _ALIKE[kind]
        others = len(found) - 1
        subject = one if others == 1 else several.format(others)
        more = f", and {subject} {likewise}" if others else ""
        joined.append(replace(found[0], reason=f"{found[0].reason}{more}"))
    return joined


def doubt_series(series: "Mapping[str, Measurement]", plan: "Plan") -> Iterator[Doubt]:
    """Yield what is doubtful about the variants' latencies."""
    more = _more(plan)
    few = [name for name, one in series.items() if one.calls < _FEW_CALLS]
    if few:
        calls = _counted([series[name].calls for name in few], "call")
        yield Doubt(
            DoubtKind.FEW_CALLS, f"{_names(few)}: only {calls}, too few for p90, p95 and p99", more
        )
    for name, one in series.items():
        yield from _doubt_tail(name, one, plan)
    noisy = [name for name, one in series.items() if _spread(one.rounds_s) > _SPREAD]
    if noisy:
        worst = max(_spread(series[name].rounds_s) for name in noisy)
        yield Doubt(
            DoubtKind.NOISY_ROUNDS,
            f"{_names(noisy)}: latency differs by up to {format_share(round(worst, 2))} between"
            " rounds",
            f"close other programs, or {more}",
        )


def _doubt_tail(name: str, one: "Measurement", plan: "Plan") -> Iterator[Doubt]:
    samples_s = one.samples_s
    if len(samples_s) < 3:
        return
    rest_s = statistics.median(samples_s[1:])
    scores = _modified_z_scores(samples_s)
    # one slow call among a hundred is where p99 begins; among fewer it weighs on every figure
    slow_first = (
        one.calls < 100
        and samples_s[0] == max(samples_s)
        # a few calls have no scatter to speak of: compare the first with the others
        and (samples_s[0] > 1.5 * rest_s if one.calls < _FEW_CALLS else scores[0] > _OUTLIER_SCORE)
    )
    if slow_first:
        yield Doubt(
            DoubtKind.SLOW_FIRST_CALL,
            f"{name}: the first call took {format_seconds(samples_s[0])}, the others"
            f" {format_seconds(rest_s)} at the median, although a warm-up went before",
            f"measure again, or {_more(plan)}",
        )
        return
    outliers = sum(score > _OUTLIER_SCORE for score in scores)
    if one.calls >= _FEW_CALLS and outliers / one.calls > _OUTLIER_SHARE:
        yield Doubt(
            DoubtKind.SLOW_CALLS,
            f"{name}: {outliers} of {one.calls} calls took far longer than the others"
            f" (up to {format_seconds(max(samples_s))})",
            f"look at p50 rather than the mean, close other programs, or {_more(plan)}",
        )


def doubt_intervals(ratios: "Mapping[tuple[str, str], Ratio]", plan: "Plan") -> Iterator[Doubt]:
    """Yield comparisons, by (baseline, candidate), that say less than they seem to."""
    few = {pair: ratio.rounds for pair, ratio in ratios.items() if ratio.interval is None}
    if few:
        rounds = _counted(few.values(), "round")
        subject = "no difference" if len(few) == len(ratios) else "none of these differences"
        yield Doubt(
            DoubtKind.FEW_ROUNDS,
            f"{'; '.join(_pairs(few))}: only {rounds}, too few for an interval, so {subject} is"
            " significant",
            _more(plan),
        )
    for (baseline, candidate), ratio in ratios.items():
        if ratio.interval is not None and ratio.interval[1] > _WIDE_INTERVAL * ratio.interval[0]:
            low, high = map(format_ratio, ratio.interval)
            yield Doubt(
                DoubtKind.WIDE_INTERVAL,
                f"{baseline} against {candidate}: after {ratio.rounds} rounds the ratio may be anything"
                f" from {low} to {high}",
                f"more rounds narrow it: {_more(plan)}",
            )


def doubt_machine(load: "LoadBetween", cores: int) -> Iterator[Doubt]:
    """Yield what else the machine did meanwhile."""
    stolen, others = load.stolen_share, load.others_share
    if stolen is not None and stolen > STOLEN_SHARE:
        yield Doubt(
            DoubtKind.MACHINE,
            f"the hypervisor took {format_share(round(stolen, 3))} of this machine's CPU time away",
            "measure on a quieter host, and trust ratios more than latencies",
        )
    if others is not None and others > OTHERS_SHARE:
        yield Doubt(
            DoubtKind.MACHINE,
            f"other programs used {format_share(round(others, 2))} of this machine's CPU time",
            "close them and measure again",
        )
    average = load.before.load_average
    if others is None and average is not None and average > cores:
        yield Doubt(
            DoubtKind.MACHINE,
            f"the machine was busy before measuring began (load average {average:.1f} on"
            f" {cores} cores)",
            "close other programs and measure again",
        )


def _spread(rounds_s: Sequence[float]) -> float:
    """Return how far the middle half of the rounds spreads, as a share of their median."""
    if len(rounds_s) < 3:
        return 0.0
    middle = statistics.median(rounds_s)
    if middle <= 0:
        return 0.0
    lower, _, upper = statistics.quantiles(rounds_s, n=4, method="inclusive")
    return (upper - lower) / middle


def _more(plan: "Plan") -> str:
    """Return how to measure for longer than *plan* did."""
    if plan.iterations is not None:
        return f"raise --iterations above {plan.iterations}"
    return f"raise --min-time above {plan.min_time_s:g}, or give --iterations"


def _counted(counts: Collection[int], word: str) -> str:
    """Return `3 calls`, or `1 to 6 calls` where the counts differ."""
    least, most = min(counts), max(counts)
    number = f"{most}" if least == most else f"{least} to {most}"
    return f"{number} {word}{'s' * (most != 1)}"


def _pairs(pairs: Iterable[tuple[str, str]]) -> Iterator[str]:
    """Yield each baseline with all that are compared with it."""
    by_baseline: dict[str, list[str]] = {}
    for baseline, candidate in pairs:
        by_baseline.setdefault(baseline, []).append(candidate)
    for baseline, candidates in by_baseline.items():
        yield f"{baseline} against {_names(candidates)}"


def _names(names: Sequence[str]) -> str:
    return ", ".join(names)
