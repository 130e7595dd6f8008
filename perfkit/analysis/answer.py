"""The answer of a report: what was found and what it is worth, what is doubtful, what to do next."""

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from decimal import Decimal

from perfkit.analysis.caches import IN_TROUBLE, WARM
from perfkit.analysis.comparability import not_alike, too_old, unjudged
from perfkit.analysis.conditions import load_of
from perfkit.analysis.costs import Costs
from perfkit.analysis.findings import count_promises, unsure
from perfkit.analysis.outcome import Outcome, find_outcome
from perfkit.analysis.phases import sides_of
from perfkit.analysis.selection import Group, Selection
from perfkit.analysis.verdict import Ruling, Verdict, taken_together
from perfkit.cost import names
from perfkit.cost.bill import Use
from perfkit.cost.demand import State
from perfkit.cost.prices import PriceBook
from perfkit.errors import ConfigError, PriceError
from perfkit.measure.doubts import OTHERS_SHARE
from perfkit.runs import Comparison, DoubtKind, Modelled, Run, RunKind, Variant, WriteCost
from perfkit.units import format_many, format_share
from perfkit.workloads.outline import is_built_in, outline

__all__ = [
    "Answer",
    "CacheFinding",
    "Indexes",
    "MillionCalls",
    "MonthlyBill",
    "PatternFinding",
    "PhasesFinding",
    "find_answer",
    "next_steps_of",
    "warnings_of",
]

_MILLION = 1_000_000
_FEW_CALLS = 10
_SCATTER = frozenset({DoubtKind.NOISY_ROUNDS, DoubtKind.SLOW_CALLS, DoubtKind.SLOW_FIRST_CALL})
"""Cautions that no other line of the answer is about."""
_WIDE = 2.0
"""An interval whose ends lie further apart than this leaves the ratio open."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PatternFinding:
    """An access pattern today and after: its run and what came of it."""

    run: Run
    outcome: Outcome

    @property
    def name(self) -> str:
        return self.run.scenario

    @property
    def before(self) -> Variant:
        return self.outcome.before

    @property
    def after(self) -> Variant | None:
        return self.outcome.after

    @property
    def comparison(self) -> Comparison | None:
        return self.outcome.comparison

    @property
    def modelled(self) -> Modelled | None:
        """By an index that does not exist: what costs less than all that was measured."""
        return self.outcome.modelled

    @property
    def best_units(self) -> float | None:
        """Read units of the best form, measured or modelled."""
        if self.modelled is not None:
            return self.modelled.capacity_units
        return (self.after or self.before).capacity_units

    @property
    def reads_less(self) -> bool:
        """Whether the better variant reads less, or may where units are not known."""
        if self.modelled is not None:
            return True
        comparison = self.comparison
        return comparison is not None and (comparison.capacity_ratio or 2.0) > 1


@dataclass(frozen=True, slots=True, kw_only=True)
class PhasesFinding:
    """
    What the service's phases change.

    Args:
        question: The first endpoint.
        before: Its first phase, warm.
        after: Its last.
        kept: Promises that hold.
        promises: All of them.
        verdict: On all of them; None where nothing is promised.
    """

    question: str
    before: Variant
    after: Variant
    kept: int
    promises: int
    verdict: Verdict | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheFinding:
    """
    What a cache changes.

    Args:
        ratios: Of each pattern that is surely faster from a warm cache, by how much.
        verdict: Pass if none of them failed and something is faster.
    """

    ratios: tuple[float, ...]
    verdict: Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Indexes:
    """
    What it takes to get there.

    Args:
        names: Indexes that the better variants read and that have to be made.
        there: Indexes that they read and that the workload says are there already.
        by_key: Patterns whose better variant reads a key of the table.
        batched: Patterns whose better variant asks in batches.
        stored_bytes: What the indexes store; None where no run says.
        insert_units: Write units that the indexes add to a new item in each table; None likewise.
    """

    names: tuple[str, ...]
    there: tuple[str, ...]
    by_key: tuple[str, ...]
    batched: tuple[str, ...]
    stored_bytes: float | None
    insert_units: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class MillionCalls:
    """
    US dollars of a million calls of each access pattern, on demand; modelled.

    Args:
        before: As it is today.
        after: With the better variants; None where there are none.
        inserts: What the indexes add to a million new items in each table; None if not known.
        region: Whose list prices, and why where it is not the runs' own.
    """

    before: Decimal
    after: Decimal | None
    inserts: Decimal | None
    region: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MonthlyBill:
    """
    US dollars a month at a rate that somebody stated; modelled. None where there is no such state.

    Args:
        rate_hz: Requests a second of all patterns together.
        before: As it is today.
        after: With the better variants.
        cached: With these behind the cache.
        reads_before: Of *before*, reads by pattern.
        reads_after: Reads by pattern with the better variants.
    """

    rate_hz: float
    before: Decimal
    after: Decimal | None
    cached: Decimal | None
    reads_before: Mapping[str, Decimal] = field(default_factory=dict)
    reads_after: Mapping[str, Decimal] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """
    What the runs over one workload on one target say.

    Args:
        group: The runs.
        days: First and last day of measuring, ISO 8601.
        items: Of the tables that were scanned; None if no run says.
        patterns: In the workload's order.
        phases: Of the service, if it was measured.
        cache: If it was measured.
        indexes: What it takes to get there; None where nothing reads less.
        money: For a month where the traffic is stated, else for a million calls; None without
            prices or units.
        doubts: The weightiest first, each a short phrase.
        steps: What would complete the runs.
    """

    group: Group
    days: tuple[str, str]
    items: int | None
    patterns: tuple[PatternFinding, ...]
    phases: PhasesFinding | None
    cache: CacheFinding | None
    indexes: Indexes | None
    money: MillionCalls | MonthlyBill | None
    doubts: tuple[str, ...]
    steps: tuple[str, ...]

    @property
    def better(self) -> tuple[PatternFinding, ...]:
        """Patterns that have a variant which reads less; where units are not known, one that is faster."""
        return tuple(each for each in self.patterns if each.reads_less)

    @property
    def quotes(self) -> bool:
        """Whether figures of a document belong beside these."""
        return any(
            run.quoted for run in self.group.runs if run.kind in {RunKind.SCENARIO, RunKind.PHASES}
        )


def find_answer(group: Group, selection: Selection) -> Answer:
    """
    Return the answer of one group of runs.

    Args:
        group: Runs over one workload on one target.
        selection: What the report shows, with what the reader wants to know about cost.
    """
    runs = group.runs
    patterns = tuple(
        PatternFinding(run=run, outcome=outcome)
        for run in runs
        if run.kind == RunKind.SCENARIO and (outcome := find_outcome(run)) is not None
    )
    costs = tuple(cost for run in runs for cost in run.write_costs)
    days = sorted(run.started_at[:10] for run in runs)
    known = outline(runs[0].workload, runs[0].workload_digest)
    # what today's form reads is there; without somebody's file so is all that was measured
    is_lost = known is None and not is_built_in(runs[0].workload, runs[0].workload_digest)
    there = (known.existing if known else frozenset()) | {
        (side.table or "", side.index)
        for each in patterns
        for side in (each.before, each.after if is_lost else None)
        if side is not None and side.index
    }
    counted = _counted(group, selection.costs)
    indexes = _indexes(
        [each for each in patterns if counted is None or each.name in counted], costs, there
    )
    return Answer(
        group=group,
        days=(days[0], days[-1]),
        items=_items(patterns),
        patterns=patterns,
        phases=next(filter(None, map(_phases, runs)), None),
        cache=next(filter(None, map(_cache, runs)), None),
        indexes=indexes,
        money=_money(group, patterns, indexes, selection.costs),
        doubts=tuple(_doubts(group, patterns, selection)),
        steps=next_steps_of(runs),
    )


def next_steps_of(runs: Sequence[Run]) -> tuple[str, ...]:
    """Return what the runs say comes next, each once, without what a newer one of them has seen done."""
    queried: dict[str, str] = {}
    for run in runs:
        for index in filter(None, (each.index for each in run.variants)):
            queried[index] = max(run.started_at, queried.get(index, ""))

    def is_done(step: str, started_at: str) -> bool:
        return any(
            when > started_at and re.search(rf"(?<![\w.-]){re.escape(index)}(?![\w-]|\.\w)", step)
            for index, when in queried.items()
        )

    steps = (step for run in runs for step in run.next_steps if not is_done(step, run.started_at))
    return tuple(dict.fromkeys(steps))


def _items(patterns: Sequence[PatternFinding]) -> int | None:
    """Return the items of the tables that were scanned."""
    found: dict[str | None, int] = {}
    for each in patterns:
        if each.before.operation == "Scan" and each.before.items_read:
            found.setdefault(each.before.table, each.before.items_read)
    return sum(found.values()) or None


def _phases(run: Run) -> PhasesFinding | None:
    sides = sides_of(run)
    if sides is None:
        return None
    return PhasesFinding(
        question=run.questions[0],
        before=sides[0],
        after=sides[1],
        kept=count_promises([run])[Ruling.PASS],
        promises=len(run.checks),
        verdict=taken_together(map(Verdict.of_check, run.checks)),
    )


def _cache(run: Run) -> CacheFinding | None:
    if run.kind != "cache" or not run.variants:
        return None
    troubled = [each for each in run.variants if each.name in IN_TROUBLE]
    failed = sum(each.errors for each in troubled)
    ratios = []
    for question in run.questions:
        warm = [
            each for each in run.comparisons if each.question == question and each.candidate == WARM
        ]
        # what answers best without a cache is its rival, not the scan
        rival = min(warm, key=lambda each: each.latency_ratio, default=None)
        if rival is not None and rival.significant and rival.latency_ratio > 1:
            ratios.append(rival.latency_ratio)
    if failed:
        verdict = Verdict(
            ruling=Ruling.FAIL,
            evidence=f"{format_many(failed, 'call')} failed with the cache's server down",
        )
    elif not ratios:
        verdict = Verdict.invalid("nothing measured is surely faster with it")
    else:
        verdict = Verdict.passed()
    return CacheFinding(
        ratios=tuple(sorted(ratios)),
        verdict=verdict,
    )


def _indexes(
    patterns: Sequence[PatternFinding],
    costs: Sequence[WriteCost],
    there: AbstractSet[tuple[str, str]],
) -> Indexes | None:
    modelled = [each.modelled for each in patterns if each.modelled is not None]
    after = [each for each in patterns if each.after is not None and each.modelled is None]
    if not after and not modelled:
        return None
    used: dict[tuple[str | None, str], None] = dict.fromkeys(
        (each.after.table, each.after.index) for each in after if each.after and each.after.index
    )
    used |= dict.fromkeys((each.table, each.index) for each in modelled)
    # each run over a table whose index does not exist says it of all its indexes
    found = {
        (each.table, each.index): each
        for each in costs
        if each.declared and (each.table, each.index) in used
    }
    chosen = list(found.values())
    measured = len(found) == len(used)
    return Indexes(
        names=tuple(index for table, index in used if index and (table, index) not in there),
        there=tuple(index for table, index in used if index and (table, index) in there),
        by_key=tuple(
            each.name
            for each in after
            if each.after and not each.after.index and not _is_batched(each.after)
        ),
        batched=tuple(each.name for each in after if each.after and _is_batched(each.after)),
        stored_bytes=sum(each.stored_bytes for each in chosen) if measured else None,
        insert_units=sum(each.units.get("insert", 0.0) * each.entries_share for each in chosen)
        if measured
        else None,
    )


def _is_batched(variant: Variant) -> bool:
    return variant.operation.endswith("BatchGetItem")


def _counted(group: Group, costs: Costs | None) -> AbstractSet[str] | None:
    """Return the patterns of which a month's bill has requests; None where there is no such bill."""
    if costs is None:
        return None
    try:
        if not costs.is_stated(costs.evidence(group.title, group.runs)):
            return None
        found = costs.estimate(group.title, group.runs)
    except (ConfigError, PriceError):
        return None
    return None if found is None else {each.name for each in found.patterns if each.reads_hz > 0}


def _money(
    group: Group,
    patterns: Sequence[PatternFinding],
    indexes: Indexes | None,
    costs: Costs | None,
) -> MillionCalls | MonthlyBill | None:
    if costs is None:
        return None
    try:
        if costs.is_stated(costs.evidence(group.title, group.runs)):
            return _monthly(group, costs)
        return _by_the_million(patterns, indexes, costs.book)
    except (ConfigError, PriceError):
        # the sections about money say what is wrong with files and prices
        return None


def _monthly(group: Group, costs: Costs) -> MonthlyBill | None:
    found = costs.estimate(group.title, group.runs)
    if found is None:
        return None
    totals: Mapping[State, Decimal] = {state: bill.total_usd for state, bill in found.bills.items()}
    return MonthlyBill(
        rate_hz=found.rps,
        before=totals[State.BEFORE],
        after=totals.get(State.AFTER),
        cached=totals.get(State.CACHED),
        reads_before={each.name: each.before.usd for each in found.patterns},
        reads_after={
            each.name: each.after.usd for each in found.patterns if each.after is not None
        },
    )


def _by_the_million(
    patterns: Sequence[PatternFinding], indexes: Indexes | None, book: PriceBook
) -> MillionCalls | None:
    units = [each.before.capacity_units for each in patterns]
    known = [each for each in units if each is not None]
    if not known or len(known) < len(units):
        return None
    after = [each.best_units for each in patterns]
    known_after = [each for each in after if each is not None]

    def cost(price: str, units: float) -> Decimal:
        return Use(price=price, quantity=units * _MILLION).cost(book).usd

    added = None if indexes is None else indexes.insert_units
    return MillionCalls(
        before=cost(names.read_request(), sum(known)),
        after=cost(names.read_request(), sum(known_after))
        if indexes is not None and len(known_after) == len(after)
        else None,
        inserts=cost(names.write_request(), added) if added else None,
        region=book.place,
    )


def _doubts(
    group: Group, patterns: Sequence[PatternFinding], selection: Selection
) -> Iterator[str]:
    """Yield what a reader should not take for certain."""
    runs = group.runs
    yield from warnings_of(runs)
    if selection.unreadable:
        yield f"{format_many(len(selection.unreadable), 'run file')} could not be read"
    differing = not_alike(group, is_choice=selection.is_choice)
    yield from (text.removeprefix(f"{group.title}: ") for text in differing)
    if group is selection.groups[0]:
        yield from too_old(selection)
        yield from (text.removesuffix(".") for text in unjudged(selection))
    load = load_of([run for run in runs if run.load.others_share is not None])
    if load is not None and load.most > OTHERS_SHARE:
        least, most = (format_share(round(share, 2)) for share in (load.least, load.most))
        reach = most if least == most else f"{least} to {most}"
        yield f"other programs used {reach} of the CPU"
    yield from _few_calls(patterns)
    modelled = dict.fromkeys(each for run in runs for each in run.modelled_of_aws)
    if modelled:
        yield f"{_listed(list(modelled))} are modelled on AWS's, and no measurement of AWS"
    elif any(run.target.get("kind") == "embedded" for run in runs):
        yield "latencies are the embedded engine's, without network or AWS"
    wide = [each.name for each in patterns if _is_wide(each.comparison)]
    if wide:
        yield f"{_listed(wide)}: how much faster is uncertain"
    alike, total = unsure(runs)
    if alike:
        yield f"{alike} of {total} comparisons show no significant difference"
    scattered = [run.scenario for run in runs if any(each.kind in _SCATTER for each in run.doubts)]
    if scattered:
        yield f"{_listed(scattered)}: calls or rounds of one variant lie far apart"


def warnings_of(runs: Iterable[Run], kinds: Collection[DoubtKind] | None = None) -> Iterator[str]:
    """
    Yield each warning once, after the scenarios it is about, without advice on measuring.

    Those that a variant's own figures gave rise to come before what holds for a whole target.

    Args:
        runs: Whose.
        kinds: Of which kinds; None for all.
    """
    about: dict[str, list[str]] = {}
    of_variants: set[str] = set()
    for run in runs:
        variants = {each.name for each in run.variants}
        chosen = (each for each in run.warnings if kinds is None or each.kind in kinds)
        for reason in dict.fromkeys(each.reason for each in chosen):
            about.setdefault(reason, []).append(run.scenario)
            if reason.partition(":")[0] in variants:
                of_variants.add(reason)
    for reason, scenarios in sorted(about.items(), key=lambda each: each[0] not in of_variants):
        yield f"{_listed(scenarios)}: {reason.removesuffix('.')}"


def _few_calls(patterns: Sequence[PatternFinding]) -> Iterator[str]:
    counts = {
        variant.name: variant.latency_s.count
        for each in patterns
        for variant in (each.before, each.after)
        if variant is not None and variant.latency_s.count < _FEW_CALLS
    }
    calls = sorted(
        variant.latency_s.count
        for each in patterns
        for variant in (each.before, each.after)
        if variant is not None and variant.latency_s.count < _FEW_CALLS
    )
    if calls:
        reach = f"{calls[0]}" if calls[0] == calls[-1] else f"{calls[0]} to {calls[-1]}"
        yield f"only {reach} call{'s' * (calls[-1] != 1)} of {_listed(tuple(counts))}"


def _is_wide(comparison: Comparison | None) -> bool:
    interval = None if comparison is None else comparison.latency_ratio_ci95
    return interval is not None and interval[1] / interval[0] > _WIDE


def _listed(names: Sequence[str]) -> str:
    if len(names) > 3:
        return f"{', '.join(names[:2])} and {len(names) - 2} more"
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))
