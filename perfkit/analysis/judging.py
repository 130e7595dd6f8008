"""The figures of each variant on both sides, and what may be said of their change."""

import statistics
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from perfkit.analysis.matching import Match, Matching
from perfkit.analysis.percentiles import percentile
from perfkit.measure.changes import FEWEST_ROUNDS, Change, change_between
from perfkit.measure.doubts import OTHERS_SHARE, STOLEN_SHARE
from perfkit.results import Run, Variant
from perfkit.units import format_share

__all__ = [
    "ROUNDING",
    "CapacityVerdict",
    "Figures",
    "Judgement",
    "LatencyVerdict",
    "VariantChange",
    "judge",
]

# float arithmetic of averages over calls, no more
ROUNDING = 1e-6


class LatencyVerdict(StrEnum):
    """What the latencies of two sides allow to say."""

    SLOWER = "slower"
    FASTER = "faster"
    NOT_SIGNIFICANT = "not significant"
    CANNOT_TELL = "cannot tell"
    """Too few rounds, a busy machine, failed calls: no statement either way."""

    INVALID = "invalid"
    """Different machines or answers: a statement would be wrong."""


class CapacityVerdict(StrEnum):
    """How consumed capacity changed; where it is counted, any change is one."""

    SAME = "the same"
    MORE = "more"
    LESS = "less"
    VARIES = "varies"
    """It depends on timing, such as on hits of a cache: shown, not judged."""

    NOT_KNOWN = "not known"


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """One side of a variant: counts of all its runs, and medians over them, for one call."""

    runs: int
    rounds: int
    calls: int
    errors: int
    p50_s: float
    p99_s: float | None
    mean_s: float
    capacity_units: float | None
    bytes_read: float | None
    requests: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class VariantChange:
    """
    One variant on both sides.

    Args:
        match: The runs it is from.
        question: Question it answers, where a scenario has several.
        variant: Its name.
        baseline: Figures of the side that the other is held against.
        candidate: Figures of the other.
        change: Of the latency; None where the sides cannot be compared.
        latency: The verdict on it.
        reason: Why there is none, for `CANNOT_TELL` and `INVALID`.
        capacity: The verdict on consumed capacity.
        limit: Share from which on a rise counts as a regression; None for never.
    """

    match: Match
    question: str
    variant: str
    baseline: Figures
    candidate: Figures
    change: Change | None
    latency: LatencyVerdict
    reason: str
    capacity: CapacityVerdict
    limit: float | None

    @property
    def name(self) -> str:
        return _title(self.match, self.question, self.variant)

    @property
    def capacity_ratio(self) -> float | None:
        before, after = self.baseline.capacity_units, self.candidate.capacity_units
        return after / before if before and after is not None else None

    @property
    def latency_regressed(self) -> bool:
        """Whether the whole interval is above no change, and the change itself at the limit."""
        return (
            self.limit is not None
            and self.change is not None
            and self.latency is LatencyVerdict.SLOWER
            and self.change.ratio - 1 >= self.limit
        )

    @property
    def capacity_regressed(self) -> bool:
        """Whether more capacity is consumed, and that by the limit."""
        if self.limit is None or self.capacity is not CapacityVerdict.MORE:
            return False
        # from nothing to something is beyond every limit
        return self.capacity_ratio is None or self.capacity_ratio - 1 >= self.limit - ROUNDING

    @property
    def calls_fail(self) -> bool:
        """Whether calls fail where none did before."""
        return self.candidate.errors > 0 == self.baseline.errors

    @property
    def failure(self) -> str:
        """How many calls fail where none did before, in words; or nothing."""
        return f"{self.name}: {_failed(self.candidate)}, none before" if self.calls_fail else ""

    @property
    def regressed(self) -> bool:
        """Whether any of it is a regression; calls that fail are one by every limit."""
        failed = self.limit is not None and self.calls_fail
        return failed or self.latency_regressed or self.capacity_regressed

    @property
    def judged(self) -> bool:
        """Whether anything could be said about the latency."""
        return self.latency not in {LatencyVerdict.CANNOT_TELL, LatencyVerdict.INVALID}


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """
    What there is to say of all variants.

    Args:
        changes: Of every variant that is in all runs of both sides.
        gone: Variants of the baseline that the candidate lacks, in words.
        left_out: What could not be compared, and why.
    """

    changes: tuple[VariantChange, ...]
    gone: tuple[str, ...]
    left_out: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Candidate:
    """One variant as it stands in all runs of both sides."""

    match: Match
    question: str
    name: str
    before: tuple[Variant, ...]
    after: tuple[Variant, ...]
    obstacle: tuple[LatencyVerdict, str] | None

    @property
    def all(self) -> tuple[Variant, ...]:
        return self.before + self.after


def judge(matching: Matching, limit: float | None) -> Judgement:
    """
    Return the change of every variant, which are gone, and what is left out.

    Args:
        matching: The runs.
        limit: Share from which on a rise is a regression, 0.1 for 10%; None to judge without.
    """
    candidates: list[_Candidate] = []
    gone: list[str] = []
    left_out: list[str] = []
    for match in matching.matches:
        keys = dict.fromkeys(
            (variant.question, variant.name) for run in match.runs for variant in run.variants
        )
        if not keys and not any(run.write_costs for run in match.runs):
            left_out.append(f"{match.title}: its runs hold no variants.")
        for question, name in keys:
            gone += _gone(match, question, name)
            found = _find(match, question, name)
            if isinstance(found, str):
                left_out.append(found)
            else:
                candidates.append(found)
    compared = sum(each.obstacle is None for each in candidates)
    return Judgement(
        changes=tuple(_judge(each, compared, limit) for each in candidates),
        gone=tuple(gone),
        left_out=tuple(left_out),
    )


def _gone(match: Match, question: str, name: str) -> Iterator[str]:
    """Say whether all runs of the baseline have a variant, and not all of the candidate."""
    before, after = (
        [run.variant(name, question) is not None for run in runs]
        for runs in (match.baseline, match.candidate)
    )
    if all(before) and not all(after):
        lacking = f" in {after.count(False)} of {len(after)} runs" if any(after) else ""
        yield f"{_title(match, question, name)} is gone{lacking}"


def _title(match: Match, question: str, name: str) -> str:
    return ", ".join(part for part in (match.title, question, name) if part)


def _find(match: Match, question: str, name: str) -> "_Candidate | str":
    sides = []
    title = _title(match, question, name)
    for runs in (match.baseline, match.candidate):
        variants = [run.variant(name, question) for run in runs]
        sides.append([variant for variant in variants if variant is not None])
    before, after = sides
    if not before or not after:
        return f"{title}: only in the {'baseline' if before else 'candidate'}."
    if len(before) + len(after) < len(match.runs):
        return f"{title}: missing in some of the runs, so it is left out."
    return _Candidate(
        match=match,
        question=question,
        name=name,
        before=tuple(before),
        after=tuple(after),
        obstacle=_obstacle(match, before, after),
    )


def _obstacle(
    match: Match, before: Sequence[Variant], after: Sequence[Variant]
) -> tuple[LatencyVerdict, str] | None:
    """Return what stands in the way of comparing latencies, if anything does."""
    everything = (*before, *after)
    if match.other_machine:
        return LatencyVerdict.INVALID, "different machines"
    if any(variant.errors for variant in everything):
        return LatencyVerdict.CANNOT_TELL, "calls failed"
    if len({(variant.items_returned, variant.consistency) for variant in everything}) > 1:
        return LatencyVerdict.INVALID, "the answers differ"
    fewest = min(len(variant.rounds_s) for variant in everything)
    single = min(len(before), len(after)) < 2
    if fewest < (FEWEST_ROUNDS if single else 1):
        return LatencyVerdict.CANNOT_TELL, f"{fewest} round{'s' * (fewest != 1)} are too few"
    # with several runs a side, what others did to them is in the interval
    busy = next(filter(None, map(_busy, match.runs)), "") if single else ""
    return (LatencyVerdict.CANNOT_TELL, busy) if busy else None


def _busy(run: Run) -> str:
    others, stolen = run.settings.get("others_cpu_share"), run.settings.get("stolen_cpu_share")
    if isinstance(others, int | float) and others > OTHERS_SHARE:
        return f"other programs used {format_share(round(others, 2))} of the CPU"
    if isinstance(stolen, int | float) and stolen > STOLEN_SHARE:
        return f"the hypervisor took {format_share(round(stolen, 2))} of the CPU"
    return ""


def _judge(each: _Candidate, compared: int, limit: float | None) -> VariantChange:
    change: Change | None = None
    if each.obstacle is None:
        change = change_between(
            [variant.rounds_s for variant in each.before],
            [variant.rounds_s for variant in each.after],
            in_turns=each.match.in_turns,
            comparisons=compared,
        )
        verdict = _latency_verdict(change)
        reason = "" if change.interval is not None else _too_few(each, compared)
    else:
        verdict, reason = each.obstacle
    return VariantChange(
        match=each.match,
        question=each.question,
        variant=each.name,
        baseline=_figures(each.before),
        candidate=_figures(each.after),
        change=change,
        latency=verdict,
        reason=reason,
        capacity=_capacity_verdict(each),
        limit=limit,
    )


def _latency_verdict(change: Change) -> LatencyVerdict:
    if change.interval is None:
        return LatencyVerdict.CANNOT_TELL
    if not change.significant:
        return LatencyVerdict.NOT_SIGNIFICANT
    return LatencyVerdict.SLOWER if change.ratio > 1 else LatencyVerdict.FASTER


def _too_few(each: _Candidate, compared: int) -> str:
    """Return why an interval came out too wide to say anything."""
    fewest = min(len(each.before), len(each.after))
    if fewest < 2 <= max(len(each.before), len(each.after)):
        few = f"{len(each.before)} against {len(each.after)} runs are too few"
    elif fewest < 2:
        fewest = min(len(variant.rounds_s) for variant in each.all)
        few = f"{fewest} rounds are too few"
    else:
        few = f"{fewest} runs a side are too few"
    return f"{few} for {compared} comparisons" if compared > 1 else f"{few} for such a spread"


def _capacity_verdict(each: _Candidate) -> CapacityVerdict:
    sides = [[variant.capacity_units for variant in side] for side in (each.before, each.after)]
    known = [[units for units in side if units is not None] for side in sides]
    if any(len(side) < len(all_of_it) for side, all_of_it in zip(known, sides, strict=True)):
        return CapacityVerdict.NOT_KNOWN
    if any(variant.cache or variant.service for variant in each.all):
        return CapacityVerdict.VARIES
    if any(max(side) - min(side) > ROUNDING * max(side) for side in known):
        return CapacityVerdict.VARIES
    before, after = known[0][0], known[1][0]
    if abs(after - before) <= ROUNDING * max(before, after):
        return CapacityVerdict.SAME
    return CapacityVerdict.MORE if after > before else CapacityVerdict.LESS


def _figures(variants: Sequence[Variant]) -> Figures:
    def middle(read: Callable[[Variant], float | None]) -> float | None:
        values = list(_known(variants, read))
        return statistics.median(values) if len(values) == len(variants) else None

    def latency(read: Callable[[Variant], float]) -> float:
        return statistics.median(map(read, variants))

    return Figures(
        runs=len(variants),
        rounds=sum(len(variant.rounds_s) for variant in variants),
        calls=sum(variant.calls for variant in variants),
        errors=sum(variant.errors for variant in variants),
        p50_s=latency(lambda variant: variant.latency_s.p50),
        p99_s=middle(lambda variant: percentile(variant.latency_s, 0.99)),
        mean_s=latency(lambda variant: variant.latency_s.mean),
        capacity_units=middle(lambda variant: variant.capacity_units),
        bytes_read=middle(lambda variant: variant.bytes_read),
        requests=middle(_requests),
    )


def _failed(figures: Figures) -> str:
    return f"{figures.errors:,} of {figures.calls:,} calls failed"


def _known(variants: Sequence[Variant], read: Callable[[Variant], float | None]) -> Iterator[float]:
    for variant in variants:
        value = read(variant)
        if value is not None:
            yield value


def _requests(variant: Variant) -> float | None:
    if variant.requests_per_call is not None:
        return variant.requests_per_call
    return variant.requests / variant.calls if variant.calls else None
