"""Everything about money that follows from saved runs, worked out once, for reports to show."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import TypeVar

from perfkit.cost import names
from perfkit.cost.assumptions import MOST_HZ, Assumptions
from perfkit.cost.cache_economics import CacheEconomics, cache_economics
from perfkit.cost.capacity_modes import (
    Demand,
    Mode,
    ModeCost,
    break_even_factor,
    break_even_rate,
    cheapest,
    cost_of,
)
from perfkit.cost.demand import State, demands, hit_rates, units_after
from perfkit.cost.evidence import Evidence, HitRate
from perfkit.cost.index_economics import IndexEconomics, index_economics
from perfkit.cost.instances import Need, find_type, instances_needed
from perfkit.cost.monthly import Case, MonthlyLine, monthly_lines
from perfkit.cost.prices import Amount, PriceBook
from perfkit.cost.quantities import SECONDS_A_MONTH, short
from perfkit.cost.transfer import answer_bytes, data_out
from perfkit.errors import PriceError
from perfkit.units import TIMES

__all__ = [
    "CacheRow",
    "InstanceRow",
    "Measured",
    "ModeRow",
    "PatternCost",
    "data_out_of",
    "work_out",
]

Found = TypeVar("Found")


@dataclass(frozen=True, slots=True, kw_only=True)
class PatternCost:
    """
    One pattern's reads, on demand, a month.

    Args:
        name: The pattern.
        reads_hz: Requests a second.
        units_before: Read units of one by scan.
        units_after: By index or key; None where there is neither.
        hit_rate: Of the cache; None without a cache policy.
        before: By scan.
        after: By index or key.
        cached: By index or key, of a pattern with a cache policy on a miss; the node is not in it.
            None where nothing is cached.
    """

    name: str
    reads_hz: float
    units_before: float
    units_after: float | None
    hit_rate: float | None
    before: Amount
    after: Amount | None
    cached: Amount | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ModeRow:
    """
    One table or index, or all of a state, in every mode.

    Args:
        state: How questions are answered.
        demand: What is asked of it; None for all together.
        read_units_s: Read units a second.
        write_units_s: Write units a second.
        costs: By mode.
        break_even_hz: Requests a second of all patterns from which on a mode is cheaper than on
            demand for good; None if none are, or nothing is read.
    """

    state: State
    demand: Demand | None
    read_units_s: float
    write_units_s: float
    costs: Mapping[Mode, ModeCost]
    break_even_hz: Mapping[Mode, float | None]

    @property
    def cheapest(self) -> Mode:
        return cheapest(self.costs.values()).mode


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheRow:
    """What a cache does at a hit rate, and where that rate comes from."""

    economics: CacheEconomics
    hit_rate: HitRate


@dataclass(frozen=True, slots=True, kw_only=True)
class InstanceRow:
    """Instances for the traffic at the processor time of one variant."""

    variant: str
    cpu_s: float
    need: Need
    amount: Amount | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """
    Money out of the runs over one workload on one target.

    Args:
        evidence: What runs say.
        assumptions: What is assumed.
        region: Whose prices.
        patterns: Reads by pattern.
        bills: The month's lines by state.
        modes: Tables, indexes and totals in every mode.
        indexes: Every index with each projection.
        caches: What a cache does.
        instances: How many each variant needs.
        reasons: Why something is missing, each once.
    """

    evidence: Evidence
    assumptions: Assumptions
    region: str
    patterns: tuple[PatternCost, ...]
    bills: Mapping[State, tuple[MonthlyLine, ...]]
    modes: tuple[ModeRow, ...]
    indexes: tuple[IndexEconomics, ...]
    caches: tuple[CacheRow, ...]
    instances: tuple[InstanceRow, ...]
    reasons: tuple[str, ...]

    @property
    def rps(self) -> float:
        """Requests a second of all patterns together."""
        return sum(each.reads_hz for each in self.patterns)

    @property
    def has_after(self) -> bool:
        """Whether any pattern was measured by index or key."""
        return any(each.after is not None for each in self.patterns)


def work_out(evidence: Evidence, assumptions: Assumptions, book: PriceBook) -> Measured:
    """
    Return everything that follows.

    What lacks a price is left out and said in `reasons`.

    Args:
        evidence: What runs say.
        assumptions: What is assumed.
        book: Prices.

    Raises:
        ConfigError: Traffic is assumed for a pattern or table that no run knows, or a type is not
            known.
    """
    reasons: list[str] = []

    def tried(work: Callable[[], tuple[Found, ...]]) -> tuple[Found, ...]:
        try:
            return work()
        except PriceError as error:
            reasons.append(str(error))
            return ()

    states = [State.BEFORE]
    if any(each.after for each in evidence.patterns):
        states += [State.AFTER, *([State.CACHED] if evidence.cached else [])]
    bills = {
        state: monthly_lines(Case(assumptions=assumptions, state=state), evidence, book)
        for state in states
    }
    reasons += [line.reason for lines in bills.values() for line in lines if line.reason]
    found = Measured(
        evidence=evidence,
        assumptions=assumptions,
        region=book.region,
        patterns=tried(lambda: _patterns(evidence, assumptions, book)),
        bills=bills,
        modes=tried(lambda: _modes(evidence, assumptions, book, states)),
        indexes=tried(lambda: index_economics(evidence, assumptions, book)),
        caches=tried(lambda: _caches(evidence, assumptions, book, states)),
        instances=_instances(evidence, assumptions, book),
        reasons=(),
    )
    return replace(found, reasons=tuple(dict.fromkeys(reasons)))


def _patterns(
    evidence: Evidence, assumptions: Assumptions, book: PriceBook
) -> tuple[PatternCost, ...]:
    rates = assumptions.reads_hz(each.name for each in evidence.patterns)
    hits = hit_rates(evidence, assumptions)
    price = book.price(names.read_request())

    def reads(units: float, hz: float) -> Amount:
        amount = price.cost(units * hz * SECONDS_A_MONTH)
        text = f"{short(units)} RRU {TIMES} {short(hz)}/s {TIMES} {SECONDS_A_MONTH:,} s: "
        return Amount(usd=amount.usd, arithmetic=text + amount.arithmetic)

    rows = []
    for pattern in evidence.patterns:
        hz, hit_rate = rates[pattern.name], hits[pattern.name]
        after = None if pattern.after is None else units_after(pattern, evidence)
        rows.append(
            PatternCost(
                name=pattern.name,
                reads_hz=hz,
                units_before=pattern.before.units,
                units_after=after,
                hit_rate=hit_rate if pattern.cached else None,
                before=reads(pattern.before.units, hz),
                after=None if after is None else reads(after, hz),
                cached=reads(after, hz * (1 - hit_rate))
                if after is not None and evidence.cached
                else None,
            )
        )
    return tuple(rows)


def _modes(
    evidence: Evidence, assumptions: Assumptions, book: PriceBook, states: Sequence[State]
) -> tuple[ModeRow, ...]:
    rows = []
    rps = sum(assumptions.reads_hz(each.name for each in evidence.patterns).values())
    for state in states:
        every = demands(evidence, assumptions, state)
        if state is State.AFTER or len(states) == 1:
            rows += [
                _mode_row(state, [each], each, assumptions, book, rps)
                for each in every
                if each.read_units_s or each.write_units_s
            ]
        row = _mode_row(state, every, None, assumptions, book, rps)
        if state is State.CACHED and assumptions.hit_rate is None and rps:
            rates = _cached_break_even(evidence, assumptions, book, every, rps)
            row = replace(row, break_even_hz=rates)
        rows.append(row)
    return tuple(rows)


def _cached_break_even(
    evidence: Evidence,
    assumptions: Assumptions,
    book: PriceBook,
    every: Sequence[Demand],
    rps: float,
) -> Mapping[Mode, float | None]:
    """Return the rates from which on modes are cheaper, each rate with the hits that it has."""

    # both modes are held against the same on demand, at nearly the same rates
    @cache
    def demands_at(hz: float) -> tuple[Demand, ...]:
        now = demands(evidence, assumptions.with_rps(hz), State.CACHED)
        return tuple(
            replace(each, write_units_s=asked.write_units_s * hz / rps)
            for each, asked in zip(now, every, strict=True)
        )

    return {
        mode: break_even_rate(
            demands_at,
            mode,
            book,
            Case(assumptions=assumptions).shape,
            most_hz=MOST_HZ,
            free_tier=assumptions.free_tier,
        )
        for mode in (Mode.PROVISIONED, Mode.AUTO_SCALING)
    }


def _mode_row(
    state: State,
    every: Sequence[Demand],
    demand: Demand | None,
    assumptions: Assumptions,
    book: PriceBook,
    rps: float,
) -> ModeRow:
    shape = Case(assumptions=assumptions).shape
    free_tier = assumptions.free_tier and demand is None
    break_even = {}
    for mode in (Mode.PROVISIONED, Mode.AUTO_SCALING):
        factor = break_even_factor(every, mode, book, shape, free_tier=free_tier)
        # without reads no rate of them says how often the writes come
        break_even[mode] = factor * rps if factor is not None and rps else None
    return ModeRow(
        state=state,
        demand=demand,
        read_units_s=sum(each.read_units_s for each in every),
        write_units_s=sum(each.write_units_s for each in every),
        costs={mode: cost_of(every, mode, book, shape, free_tier=free_tier) for mode in Mode},
        break_even_hz=break_even,
    )


def _caches(
    evidence: Evidence, assumptions: Assumptions, book: PriceBook, states: Sequence[State]
) -> tuple[CacheRow, ...]:
    rates = assumptions.reads_hz(each.name for each in evidence.patterns)
    if not any(rates[each.name] for each in evidence.patterns if each.cached):
        return ()
    source = "this traffic" if assumptions.hit_rate is None else "as assumed"
    rows = []
    for state in states:
        if state is State.CACHED:
            continue
        economics = cache_economics(evidence, assumptions, book, state)
        own = HitRate(rate=economics.hits.requests, provenance="modelled", source=source)
        rows.append(CacheRow(economics=economics, hit_rate=own))
        rows += [
            CacheRow(
                economics=cache_economics(evidence, assumptions, book, state, each.rate),
                hit_rate=each,
            )
            for each in evidence.hit_rates
        ]
    return tuple(rows)


def _instances(
    evidence: Evidence, assumptions: Assumptions, book: PriceBook
) -> tuple[InstanceRow, ...]:
    kind = find_type(assumptions.instance)
    rps = sum(assumptions.reads_hz(each.name for each in evidence.patterns).values())
    rps = rps if evidence.patterns else assumptions.rps
    rows = []
    for cpu in evidence.cpu:
        need = instances_needed(
            rps,
            cpu.seconds,
            kind,
            peak_ratio=assumptions.peak_ratio,
            cpu_target=assumptions.cpu_target,
        )
        try:
            amount = need.cost(kind, book, free_tier=assumptions.free_tier)
        except PriceError:
            # said once, by the bill
            amount = None
        rows.append(InstanceRow(variant=cpu.name, cpu_s=cpu.seconds, need=need, amount=amount))
    return tuple(rows)


def data_out_of(measured: Measured, book: PriceBook, state: State) -> Mapping[str, Amount]:
    """
    Return what each pattern's answers cost to send, at the first tier's price.

    Raises:
        PriceError: The book lacks the price.
    """
    rates = {each.name: each.reads_hz for each in measured.patterns}
    return {
        each.name: data_out(rates[each.name] * size_bytes, book)
        for each in measured.evidence.patterns
        if each.name in rates and (size_bytes := answer_bytes(each, state)) is not None
    }
