"""The figures of each variant on both sides, and a judgement of their change."""

import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from perfkit.analysis.conditions import busy, load_of, loads_differ, pace_between
from perfkit.analysis.history import earlier_runs
from perfkit.analysis.matching import Match, Matching
from perfkit.analysis.percentiles import percentile
from perfkit.analysis.verdict import Ruling, Verdict, hold_below, taken_together
from perfkit.errors import ConfigError
from perfkit.measure.changes import (
    FEWEST_ROUNDS,
    STATED_SPREAD,
    Change,
    Method,
    Spread,
    change_between,
    find_spread,
)
from perfkit.runs import Run, Variant
from perfkit.units import format_change, format_units

__all__ = [
    "ROUNDING",
    "Amount",
    "Direction",
    "Figures",
    "Judgement",
    "VariantChange",
    "amount_of",
    "judge",
    "with_interval",
]

# float arithmetic of averages over calls, no more
ROUNDING = 1e-6


class Direction(StrEnum):
    """How a latency changed, as far as the evidence shows."""

    SLOWER = "slower"
    FASTER = "faster"
    NOT_SIGNIFICANT = "not significant"
    CANNOT_TELL = "cannot tell"
    """The evidence shows neither a change nor its absence."""


class Amount(StrEnum):
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
        change: Of the latency, or of its ratio to the control; None where it cannot be compared.
        reason: Why the latency cannot be judged; empty if it can.
        capacity: How consumed capacity changed.
        limit: Share from which on a rise is a regression; None for no gate.
        control: What its latency was divided by in each run, or nothing.
        is_control: Others are compared with it, so its own latency is not judged.
        capacity_only: No latency is judged.
    """

    match: Match
    question: str
    variant: str
    baseline: Figures
    candidate: Figures
    change: Change | None
    reason: str
    capacity: Amount
    limit: float | None
    control: str = ""
    is_control: bool = False
    capacity_only: bool = False

    @property
    def name(self) -> str:
        return _title(self.match, self.question, self.variant)

    @property
    def direction(self) -> Direction:
        """How the latency changed, where its interval shows that it did."""
        if self.change is None or self.change.interval is None:
            return Direction.CANNOT_TELL
        if not self.change.significant:
            return Direction.NOT_SIGNIFICANT
        return Direction.SLOWER if self.change.ratio > 1 else Direction.FASTER

    @property
    def capacity_ratio(self) -> float | None:
        before, after = self.baseline.capacity_units, self.candidate.capacity_units
        return after / before if before and after is not None else None

    @property
    def latency_verdict(self) -> Verdict | None:
        """Return what the limit makes of the latency; None for a control, or without a limit."""
        if self.limit is None or self.is_control or self.capacity_only:
            return None
        gate = None if self.change is None else self.change.gate
        if self.change is None or gate is None:
            return Verdict.invalid(self.reason)
        return hold_below(
            gate,
            1 + self.limit,
            why_invalid=self._why_undecided(self.change),
            evidence=f"{self.name}: latency {with_interval(self.change.ratio, gate)}",
        )

    def _why_undecided(self, change: Change) -> str:
        """Return why an interval includes the limit, and what would make it narrower."""
        if change.method is Method.SINGLE:
            return "the interval of a single run includes the limit; measure several runs a side, in turns"
        if change.spread is not None and not self.match.in_turns:
            return (
                "not measured in turns, so the interval includes the limit; measure in turns, or name"
                " a --control"
            )
        return "the interval includes the limit; measure more runs, in turns"

    @property
    def capacity_verdict(self) -> Verdict | None:
        """Return what the limit makes of consumed capacity; None where it is not judged."""
        if self.limit is None or self.capacity in {Amount.VARIES, Amount.NOT_KNOWN}:
            return None
        before, after = self.baseline.capacity_units, self.candidate.capacity_units
        evidence = (
            f"{self.name}: {format_units(before or 0)} → {format_units(after or 0)} read units"
        )
        # from nothing to something is beyond every limit
        risen = self.capacity_ratio is None or self.capacity_ratio - 1 >= self.limit - ROUNDING
        fails = self.capacity is Amount.MORE and risen
        return Verdict(ruling=Ruling.FAIL if fails else Ruling.PASS, evidence=evidence)

    @property
    def calls_fail(self) -> bool:
        """Whether calls fail where none did before."""
        return self.candidate.errors > 0 == self.baseline.errors

    @property
    def failure(self) -> str:
        """How many calls fail where none did before, in words; or nothing."""
        return f"{self.name}: {_failed(self.candidate)}, none before" if self.calls_fail else ""

    @property
    def verdicts(self) -> tuple[Verdict, ...]:
        """What the limit makes of it; calls that fail are a regression by every limit."""
        if self.limit is None:
            return ()
        broken = Verdict.failed(evidence=self.failure) if self.calls_fail else None
        # that calls fail is why the latency cannot be judged, and needs no second verdict
        latency = None if broken else self.latency_verdict
        return tuple(filter(None, (broken, latency, self.capacity_verdict)))

    @property
    def verdict(self) -> Verdict | None:
        return taken_together(self.verdicts)

    @property
    def regressed(self) -> bool:
        return any(each.ruling is Ruling.FAIL for each in self.verdicts)


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
    """One variant as it stands in all runs of both sides, and its control, if it has one."""

    match: Match
    question: str
    name: str
    before: tuple[Variant, ...]
    after: tuple[Variant, ...]
    obstacle: str
    control: "_Candidate | None" = None
    is_control: bool = False

    @property
    def all(self) -> tuple[Variant, ...]:
        return self.before + self.after


def judge(
    matching: Matching,
    limit: float | None = None,
    *,
    controls: Sequence[str] = (),
    capacity_only: bool = False,
    others: Sequence[Run] = (),
) -> Judgement:
    """
    Return the change of every variant, which are gone, and what is left out.

    Args:
        matching: The runs.
        limit: Share from which on a rise is a regression, 0.1 for 10%; None to judge without.
        controls: Variants that the change cannot have touched. Of each question the first of them
            that it has is its control: the ratios to it within each run are compared.
        others: Further runs of this machine, which may show how far its runs lie apart.

    Raises:
        ConfigError: No question has one of the controls.
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
        found = {}
        for question, name in keys:
            gone += _gone(match, question, name)
            one = _find(match, question, name)
            if isinstance(one, str):
                left_out.append(one)
            else:
                found[question, name] = one
        candidates += _with_controls(match, found, list(keys), controls)
    _check_controls(matching, controls)
    compared = sum(not each.obstacle and not each.is_control for each in candidates)
    earlier = {id(match): earlier_runs(match, others) for match in matching.matches}
    return Judgement(
        changes=tuple(
            replace(
                _judge(each, compared, limit, earlier[id(each.match)]), capacity_only=capacity_only
            )
            for each in candidates
        ),
        gone=tuple(gone),
        left_out=tuple(left_out),
    )


def _with_controls(
    match: Match,
    found: Mapping[tuple[str, str], _Candidate],
    keys: Sequence[tuple[str, str]],
    controls: Sequence[str],
) -> Iterator[_Candidate]:
    """Yield what was found, each beside the control of its question."""
    named = {
        question: next((name for name in controls if (question, name) in keys), "")
        for question, _ in keys
    }
    for (question, name), each in found.items():
        wanted = named[question]
        if not wanted:
            yield replace(each, obstacle=each.obstacle or _load_obstacle(match))
        elif name == wanted:
            yield replace(each, is_control=True)
        elif (question, wanted) not in found:
            missing = f"the control {wanted} is not in all runs"
            yield replace(each, obstacle=each.obstacle or missing)
        else:
            control = found[question, wanted]
            of_control = f"the control {wanted}: {control.obstacle}" if control.obstacle else ""
            obstacle = each.obstacle or of_control or _load_obstacle(match)
            yield replace(each, control=control, obstacle=obstacle)


def _check_controls(matching: Matching, controls: Sequence[str]) -> None:
    names = dict.fromkeys(
        variant.name for match in matching.matches for run in match.runs for variant in run.variants
    )
    for name in controls:
        if name not in names:
            msg = f"no variant named {name!r} to serve as --control; there are {', '.join(names)}"
            raise ConfigError(msg)


def _load_obstacle(match: Match) -> str:
    """Return why the load on the two sides forbids a statement about latencies, or nothing."""
    before, after = load_of(match.baseline), load_of(match.candidate)
    if not match.in_turns and loads_differ(before, after):
        return f"other programs used {before} of the CPU before and {after} after; measure in turns"
    return ""


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


def _obstacle(match: Match, before: Sequence[Variant], after: Sequence[Variant]) -> str:
    """Return what stands in the way of comparing latencies, if anything does."""
    everything = (*before, *after)
    if match.other_machine:
        return "different machines"
    if any(run.load_test is not None and run.load_test.invalid for run in match.runs):
        return "a measurement is invalid"
    if pace := pace_between(match.baseline, match.candidate):
        return pace
    if any(variant.errors for variant in everything):
        return "calls failed"
    if len({(variant.items_returned, variant.consistency) for variant in everything}) > 1:
        return "the answers differ"
    fewest = min(len(variant.rounds_s) for variant in everything)
    single = min(len(before), len(after)) < 2
    if fewest < (FEWEST_ROUNDS if single else 1):
        return "1 round is too few" if fewest == 1 else f"{fewest} rounds are too few"
    # with several runs a side, what others did to them is in the interval
    return next(filter(None, map(busy, match.runs)), "") if single else ""


def _judge(
    each: _Candidate, compared: int, limit: float | None, earlier: Sequence[Run]
) -> VariantChange:
    change: Change | None = None
    reason = each.obstacle
    if not reason and not each.is_control:
        change = change_between(
            _values(each.before, each.control.before if each.control else ()),
            _values(each.after, each.control.after if each.control else ()),
            in_turns=each.match.in_turns,
            controlled=each.control is not None,
            spread=_known_spread(each, earlier),
            comparisons=compared,
        )
        reason = "" if change.interval is not None else _too_few(each, compared)
    return VariantChange(
        match=each.match,
        question=each.question,
        variant=each.name,
        baseline=_figures(each.before),
        candidate=_figures(each.after),
        change=change,
        reason=reason,
        capacity=_capacity(each),
        limit=limit,
        control=each.control.name if each.control else "",
        is_control=each.is_control,
    )


def _values(
    variants: Sequence[Variant], controls: Sequence[Variant]
) -> tuple[tuple[float, ...], ...]:
    """Return for each run what its rounds took, as ratios to its control where there is one."""
    if not controls:
        return tuple(variant.rounds_s for variant in variants)
    return tuple(
        _ratios(variant.rounds_s, control.rounds_s)
        for variant, control in zip(variants, controls, strict=True)
    )


def _ratios(rounds_s: Sequence[float], control_s: Sequence[float]) -> tuple[float, ...]:
    # a round too short to see must not be divided by
    shortest_s = 1e-9
    if len(rounds_s) == len(control_s):
        return tuple(
            one / max(other, shortest_s) for one, other in zip(rounds_s, control_s, strict=True)
        )
    # they did not take part in the same rounds
    middle_s = max(statistics.median(control_s), shortest_s)
    return tuple(one / middle_s for one in rounds_s)


def _known_spread(each: _Candidate, earlier: Sequence[Run]) -> Spread:
    found: list[Sequence[float]] = []
    for run in earlier:
        variant = run.variant(each.name, each.question)
        control = run.variant(each.control.name, each.question) if each.control else None
        if variant is None or not variant.rounds_s or variant.errors:
            return STATED_SPREAD
        if each.control is not None and (control is None or not control.rounds_s):
            return STATED_SPREAD
        found += _values((variant,), () if control is None else (control,))
    return find_spread(found) if found else STATED_SPREAD


def _too_few(each: _Candidate, compared: int) -> str:
    """Return why an interval came out too wide to say anything."""
    fewest = min(len(each.before), len(each.after))
    few = f"{fewest} runs a side are too few"
    if fewest < 2:
        few = f"{len(each.before)} against {len(each.after)} runs are too few"
    return f"{few} for {compared} comparisons" if compared > 1 else f"{few} for such a spread"


def _capacity(each: _Candidate) -> Amount:
    sides = [[variant.capacity_units for variant in side] for side in (each.before, each.after)]
    known = [[units for units in side if units is not None] for side in sides]
    if any(len(side) < len(all_of_it) for side, all_of_it in zip(known, sides, strict=True)):
        return Amount.NOT_KNOWN
    if any(variant.cache or variant.service for variant in each.all):
        return Amount.VARIES
    if any(max(side) - min(side) > ROUNDING * max(side) for side in known):
        return Amount.VARIES
    return amount_of(known[0][0], known[1][0])


def amount_of(before: float, after: float) -> Amount:
    """Return how units moved; what rounding makes of them does not count."""
    if abs(after - before) <= ROUNDING * max(before, after):
        return Amount.SAME
    return Amount.MORE if after > before else Amount.LESS


def with_interval(ratio: float, interval: tuple[float, float] | None) -> str:
    """Return a change with its interval: `+45% (+30% to +60%)`."""
    if interval is None:
        return format_change(ratio)
    low, high = map(format_change, interval)
    return f"{format_change(ratio)} ({low} to {high})"


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
        requests=middle(lambda variant: variant.requests_of_a_call),
    )


def _failed(figures: Figures) -> str:
    return f"{figures.errors:,} of {figures.calls:,} calls failed"


def _known(variants: Sequence[Variant], read: Callable[[Variant], float | None]) -> Iterator[float]:
    for variant in variants:
        value = read(variant)
        if value is not None:
            yield value
