"""What a cache saves at a hit rate, and the hit rate at which its node pays for itself."""

from dataclasses import dataclass

from perfkit.cost import names
from perfkit.cost.assumptions import Assumptions
from perfkit.cost.break_even import straight_crossing
from perfkit.cost.demand import State, units_after
from perfkit.cost.evidence import Evidence
from perfkit.cost.prices import HOURS_A_MONTH, Amount, PriceBook
from perfkit.cost.quantities import SECONDS_A_MONTH, short
from perfkit.errors import ConfigError
from perfkit.units import TIMES
from perfkit.workloads.problems import nearest

__all__ = ["CacheEconomics", "cache_economics", "node_cost"]


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheEconomics:
    """
    A cache before the reads of one state, on demand, a month.

    Args:
        state: What answers a miss: scans before, queries after.
        reads_hz: Requests a second of all patterns.
        units: Read units of a mean miss.
        without: Reads without the cache.
        node: The cache node.
        hit_rate: Share of requests that need no read; a miss reads as before.
        break_even_rate: Hit rate from which on the node pays for itself; None if none does.
        break_even_hz: Requests a second from which on it does at this hit rate; None if none does.
    """

    state: State
    reads_hz: float
    units: float
    without: Amount
    node: Amount
    hit_rate: float
    break_even_rate: float | None
    break_even_hz: float | None

    @property
    def saved_usd(self) -> float:
        """What is saved in reads."""
        return float(self.without.usd) * self.hit_rate

    @property
    def net_usd(self) -> float:
        """What is left of that when the node is paid; negative where it costs more."""
        return self.saved_usd - float(self.node.usd)

    @property
    def arithmetic(self) -> str:
        """How `saved_usd` came about."""
        return f"({self.without.arithmetic}) {TIMES} {self.hit_rate:.4%} hits"


def node_cost(assumptions: Assumptions, book: PriceBook) -> Amount:
    """
    Return what the cache node costs a month.

    Raises:
        PriceError: The book lacks the price.
        ConfigError: There is no such engine.
    """
    engines = {each.value: each for each in names.Engine}
    if assumptions.engine not in engines:
        msg = f"no cache engine {assumptions.engine!r}; {nearest(assumptions.engine, engines)}"
        raise ConfigError(msg)
    price = book.price(names.cache_node(engines[assumptions.engine], assumptions.node))
    return price.cost(HOURS_A_MONTH, free_tier=assumptions.free_tier)


def cache_economics(
    evidence: Evidence,
    assumptions: Assumptions,
    book: PriceBook,
    state: State,
    hit_rate: float,
) -> CacheEconomics:
    """
    Return what a cache does to the reads of a state.

    Args:
        evidence: What runs say.
        assumptions: Traffic, and the node.
        book: Prices.
        state: BEFORE or AFTER: what a miss reads.
        hit_rate: Share of hits, 0 to 1.

    Raises:
        PriceError: The book lacks a price.
        ConfigError: Traffic is assumed for a pattern that no run knows.
    """
    rates = assumptions.reads_hz(each.name for each in evidence.patterns)
    total_hz = sum(rates.values())
    units_s = sum(
        rates[each.name]
        * (each.before.units if state is State.BEFORE else units_after(each, evidence))
        for each in evidence.patterns
    )
    units = units_s / total_hz if total_hz else 0.0
    amount = book.price(names.read_request()).cost(units_s * SECONDS_A_MONTH)
    node = node_cost(assumptions, book)
    rate = straight_crossing(float(node.usd), float(amount.usd))
    a_request = float(amount.usd) / total_hz if total_hz else 0.0
    return CacheEconomics(
        state=state,
        reads_hz=total_hz,
        units=units,
        without=Amount(
            usd=amount.usd,
            arithmetic=f"{short(units)} RRU {TIMES} {short(total_hz)}/s {TIMES}"
            f" {SECONDS_A_MONTH:,} s: {amount.arithmetic}",
        ),
        node=node,
        hit_rate=hit_rate,
        break_even_rate=rate if rate is not None and rate <= 1 else None,
        break_even_hz=straight_crossing(float(node.usd), a_request * hit_rate),
    )
