"""Costs worked out from saved runs and an assumed traffic: once, for reports to show."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from typing import TypeVar

from perfkit.cost import names
from perfkit.cost.assumptions import MOST_HZ, Assumptions
from perfkit.cost.bill import Bill
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
from perfkit.cost.demand import State, hit_rates, load_of, reads_use, units_after
from perfkit.cost.evidence import Evidence
from perfkit.cost.index_economics import IndexEconomics, index_economics
from perfkit.cost.instances import Need, find_type, instances_needed
from perfkit.cost.prices import Amount, PriceBook
from perfkit.cost.traffic_bill import Case, bill_by_the_million, bill_of
from perfkit.cost.transfer import answer_bytes, data_out_use
from perfkit.errors import PriceError

__all__ = ["DataOut", "Estimate", "InstanceRow", "ModeRow", "PatternCost", "estimate"]

_Found = TypeVar("_Found")


@dataclass(frozen=True, slots=True, kw_only=True)
class PatternCost:
    """
    One pattern's reads, on demand, a month.

    Args:
        name: The pattern.
        reads_hz: Requests a second.
        units_before: Read units of one as the service asks today.
        units_after: By index or key, as today where there is neither; None where no pattern has one.
        hit_rate: Of the cache; None without a cache policy.
        before: As the service asks today.
        after: What *units_after* cost.
        cached: By index or key, of a pattern with a cache policy on a miss; the node is not in it.
            None where nothing is cached. Patterns sum to the bill of each state.
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
class InstanceRow:
    """Instances for the traffic at the processor time of one variant."""

    variant: str
    cpu_s: float
    need: Need
    amount: Amount | None


@dataclass(frozen=True, slots=True, kw_only=True)
class DataOut:
    """What a month of one pattern's answers costs to send in a state, at the first tier's price."""

    pattern: str
    state: State
    reads_hz: float
    body_bytes: int
    amount: Amount


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """
    Money out of the runs over one workload on one target; all of it is modelled.

    Args:
        evidence: What saved runs measured.
        assumptions: Traffic, hit rate, capacity mode and where it runs.
        book: Prices; those that were used are in `book.used`.
        is_stated: Somebody says how many requests come; else every month's amount is of an invented
            rate, and `by_the_million` is what is known.
        by_the_million: What a million calls and writes cost, by state; not known behind a cache.
        patterns: Reads by pattern.
        bills: The month's bill by state.
        demands: What each state asks of tables and indexes.
        modes: Tables, indexes and totals in every mode.
        indexes: Every index with each projection.
        caches: What a cache does.
        instances: How many each variant needs.
        data_out: What answers cost to send, by pattern and form.
        reasons: Why something is missing, each once.
    """

    evidence: Evidence
    assumptions: Assumptions
    book: PriceBook
    is_stated: bool
    by_the_million: Mapping[State, Bill]
    patterns: tuple[PatternCost, ...]
    bills: Mapping[State, Bill]
    demands: Mapping[State, tuple[Demand, ...]]
    modes: tuple[ModeRow, ...]
    indexes: tuple[IndexEconomics, ...]
    caches: tuple[CacheEconomics, ...]
    instances: tuple[InstanceRow, ...]
    data_out: tuple[DataOut, ...]
    reasons: tuple[str, ...]

    @property
    def rps(self) -> float:
        """Requests a second of all patterns together."""
        return sum(each.reads_hz for each in self.patterns)

    @property
    def reasons_shown(self) -> tuple[str, ...]:
        """Why something is missing of what may be shown: without a stated rate no month is."""
        if self.is_stated:
            return self.reasons
        bills = self.by_the_million.values()
        return tuple(dict.fromkeys(reason for bill in bills for reason in bill.reasons))

    @property
    def has_after(self) -> bool:
        """Whether any pattern was measured by index or key."""
        return State.AFTER in self.bills


def estimate(
    evidence: Evidence, assumptions: Assumptions, book: PriceBook, *, is_stated: bool = True
) -> Estimate:
    """
    Return everything that follows.

    What lacks a price is left out and named in `reasons`.

    Args:
        evidence: What saved runs measured.
        assumptions: Traffic, hit rate, capacity mode and where it runs.
        book: Prices.
        is_stated: Somebody says how many requests come.

    Raises:
        ConfigError: Traffic is assumed for a pattern or table that no run knows, or a type is not
            known.
    """
    work = _Work(evidence, assumptions, book)
    reasons: list[str] = []

    def tried(work_out: Callable[[], tuple[_Found, ...]]) -> tuple[_Found, ...]:
        try:
            return work_out()
        except PriceError as error:
            reasons.append(str(error))
            return ()

    bills = {
        state: bill_of(Case(assumptions=assumptions, state=state), evidence, book, demands)
        for state, demands in work.demands.items()
    }
    by_the_million: dict[State, Bill] = {
        state: bill_by_the_million(Case(assumptions=assumptions, state=state), evidence, book)
        for state in bills
        if state is not State.CACHED
    }
    for bill in (*bills.values(), *by_the_million.values()):
        reasons += bill.reasons
    patterns, modes = tried(work.patterns), tried(work.modes)
    indexes = tried(lambda: index_economics(evidence, assumptions, book))
    caches = tried(work.caches)
    return Estimate(
        evidence=evidence,
        assumptions=assumptions,
        book=book,
        is_stated=is_stated,
        by_the_million=by_the_million,
        patterns=patterns,
        bills=bills,
        demands=work.demands,
        modes=modes,
        indexes=indexes,
        caches=caches,
        instances=work.instances(),
        # the bill has named the price that the book lacks
        data_out=work.data_out() if names.DATA_OUT in book else (),
        reasons=tuple(dict.fromkeys(reasons)),
    )


class _Work:
    """
    Parts of an estimate over the same traffic.

    Args:
        evidence: What saved runs measured.
        assumptions: Traffic, hit rate, capacity mode and where it runs.
        book: Prices.
    """

    def __init__(self, evidence: Evidence, assumptions: Assumptions, book: PriceBook) -> None:
        self._evidence, self._assumptions, self._book = evidence, assumptions, book
        self._rates = assumptions.reads_hz(each.name for each in evidence.patterns)
        self._rps = sum(self._rates.values())
        self._hits = hit_rates(evidence, assumptions)
        states = [State.BEFORE]
        if any(each.after for each in evidence.patterns):
            states += [State.AFTER, *([State.CACHED] if evidence.has_cache_policy else [])]
        self._loads = {state: load_of(evidence, assumptions, state) for state in states}
        self.demands = {state: load.at(assumptions) for state, load in self._loads.items()}

    def patterns(self) -> tuple[PatternCost, ...]:
        rows = []
        for pattern in self._evidence.patterns:
            hz, hit_rate = self._rates[pattern.name], self._hits[pattern.name]
            # what has no better form goes on as today, as in the bills
            after = units_after(pattern, self._evidence) if State.AFTER in self.demands else None
            missed_hz = hz * (1 - hit_rate)
            rows.append(
                PatternCost(
                    name=pattern.name,
                    reads_hz=hz,
                    units_before=pattern.before.units,
                    units_after=after,
                    hit_rate=hit_rate if pattern.has_cache_policy else None,
                    before=reads_use(pattern.before.units, hz).cost(self._book),
                    after=None if after is None else reads_use(after, hz).cost(self._book),
                    cached=reads_use(after, missed_hz).cost(self._book)
                    if after is not None and State.CACHED in self.demands
                    else None,
                )
            )
        return tuple(rows)

    def modes(self) -> tuple[ModeRow, ...]:
        rows = []
        for state, demands in self.demands.items():
            if state is State.AFTER or len(self.demands) == 1:
                rows += [
                    self._mode_row(state, (each,), each)
                    for each in demands
                    if each.read_units_s or each.write_units_s
                ]
            rows.append(self._mode_row(state, demands, None))
        return tuple(rows)

    def _mode_row(
        self, state: State, demands: tuple[Demand, ...], demand: Demand | None
    ) -> ModeRow:
        free_tier = self._assumptions.free_tier and demand is None
        modelled = state is State.CACHED and self._assumptions.hit_rate is None and self._rps
        break_even = {}
        for mode in (Mode.PROVISIONED, Mode.AUTO_SCALING):
            if modelled:
                break_even[mode] = self._cached_break_even(mode)
                continue
            factor = break_even_factor(
                demands, mode, self._book, self._assumptions.shape, free_tier=free_tier
            )
            # without reads no rate of them says how often the writes come
            break_even[mode] = factor * self._rps if factor is not None and self._rps else None
        return ModeRow(
            state=state,
            demand=demand,
            read_units_s=sum(each.read_units_s for each in demands),
            write_units_s=sum(each.write_units_s for each in demands),
            costs={
                mode: cost_of(
                    demands, mode, self._book, self._assumptions.shape, free_tier=free_tier
                )
                for mode in Mode
            },
            break_even_hz=break_even,
        )

    def _cached_break_even(self, mode: Mode) -> float | None:
        """Return the rate from which on a mode is cheaper, each rate with the hits that it has."""
        return break_even_rate(
            self._cached_demands_at,
            mode,
            self._book,
            self._assumptions.shape,
            most_hz=MOST_HZ,
            free_tier=self._assumptions.free_tier,
        )

    @cached_property
    def _cached_demands_at(self) -> Callable[[float], tuple[Demand, ...]]:
        load = self._loads[State.CACHED]

        # both modes are held against the same on demand, at nearly the same rates
        @cache
        def demands_at(hz: float) -> tuple[Demand, ...]:
            return load.at(self._assumptions.with_rps(hz), hz / self._rps)

        return demands_at

    def caches(self) -> tuple[CacheEconomics, ...]:
        patterns = self._evidence.patterns
        if not any(self._rates[each.name] for each in patterns if each.has_cache_policy):
            return ()
        return tuple(
            cache_economics(self._evidence, self._assumptions, self._book, state, given)
            for state in self.demands
            if state is not State.CACHED
            for given in (None, *self._evidence.hit_rates)
        )

    def instances(self) -> tuple[InstanceRow, ...]:
        assumptions = self._assumptions
        kind = find_type(assumptions.instance, self._book)
        rows = []
        for cpu in self._evidence.cpu:
            need = instances_needed(
                self._rps if self._evidence.patterns else assumptions.rps,
                cpu.seconds,
                kind,
                peak_ratio=assumptions.peak_ratio,
                cpu_target=assumptions.cpu_target,
            )
            use = need.use(kind)
            # the bill has named the price that it lacks
            priced = use.price in self._book
            amount = use.cost(self._book, free_tier=assumptions.free_tier) if priced else None
            rows.append(InstanceRow(variant=cpu.name, cpu_s=cpu.seconds, need=need, amount=amount))
        return tuple(rows)

    def data_out(self) -> tuple[DataOut, ...]:
        states = [state for state in self.demands if state is not State.CACHED]
        return tuple(
            DataOut(
                pattern=pattern.name,
                state=state,
                reads_hz=self._rates[pattern.name],
                body_bytes=size_bytes,
                amount=data_out_use(self._rates[pattern.name] * size_bytes).cost(self._book),
            )
            for pattern in self._evidence.patterns
            for state in states
            if (size_bytes := answer_bytes(pattern, state)) is not None
        )
