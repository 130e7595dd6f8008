"""What a cache saves at a hit rate, and the hit rate at which its node pays for itself."""

from dataclasses import dataclass, replace

from perfkit.cost import names
from perfkit.cost.assumptions import MOST_HZ, Assumptions
from perfkit.cost.break_even import growing_crossing, straight_crossing
from perfkit.cost.demand import State, hit_rates, units_after
from perfkit.cost.evidence import Evidence
from perfkit.cost.prices import HOURS_A_MONTH, Amount, PriceBook
from perfkit.cost.quantities import SECONDS_A_MONTH, short
from perfkit.errors import ConfigError
from perfkit.units import TIMES
from perfkit.workloads.problems import nearest

__all__ = ["CacheEconomics", "HitShares", "cache_economics", "hit_shares", "node_cost"]


@dataclass(frozen=True, slots=True, kw_only=True)
class HitShares:
    """
    How much of the traffic is hits.

    Args:
        requests: Share of requests.
        units: Share of the read units that they would take without the cache: money follows this
            one, as what is asked seldom may be what is dear.
    """

    requests: float
    units: float


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
        hits: Shares of requests and of read units that need no read; a miss reads as before.
        held: The hit rate is given or of a run, and so the same at every rate of requests.
        break_even_rate: Share of read units from which on the node pays for itself; None if none
            does that cached patterns could have.
        break_even_hz: Requests a second from which on it does, at this hit rate where it is held,
            else at the one that each rate has; None if none does.
    """

    state: State
    reads_hz: float
    units: float
    without: Amount
    node: Amount
    hits: HitShares
    held: bool
    break_even_rate: float | None
    break_even_hz: float | None

    @property
    def saved_usd(self) -> float:
        """What is saved in reads."""
        return float(self.without.usd) * self.hits.units

    @property
    def net_usd(self) -> float:
        """What is left of that when the node is paid; negative where it costs more."""
        return self.saved_usd - float(self.node.usd)

    @property
    def arithmetic(self) -> str:
        """How `saved_usd` came about."""
        return f"({self.without.arithmetic}) {TIMES} {self.hits.units:.4%} of read units hit"


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


def _units_s(evidence: Evidence, assumptions: Assumptions, state: State) -> dict[str, float]:
    """Return the read units a second of each pattern without the cache."""
    rates = assumptions.reads_hz(each.name for each in evidence.patterns)
    return {
        each.name: rates[each.name]
        * (each.before.units if state is State.BEFORE else units_after(each, evidence))
        for each in evidence.patterns
    }


def _cached_share(evidence: Evidence, assumptions: Assumptions, state: State) -> float:
    """Return the share of read units that hits could take off at most: those of cached patterns."""
    return hit_shares(evidence, replace(assumptions, hit_rate=1.0), state).units


def hit_shares(evidence: Evidence, assumptions: Assumptions, state: State) -> HitShares:
    """
    Return how much is hits at the assumed traffic; nothing where nothing is asked.

    Raises:
        ConfigError: Traffic is assumed for a pattern that no run knows.
    """
    hits = hit_rates(evidence, assumptions)

    def share(weights: dict[str, float]) -> float:
        total = sum(weights.values())
        return sum(weights[name] * hits[name] for name in weights) / total if total else 0.0

    return HitShares(
        requests=share(assumptions.reads_hz(each.name for each in evidence.patterns)),
        units=share(_units_s(evidence, assumptions, state)),
    )


def cache_economics(
    evidence: Evidence,
    assumptions: Assumptions,
    book: PriceBook,
    state: State,
    hit_rate: float | None = None,
) -> CacheEconomics:
    """
    Return what a cache does to the reads of a state.

    Args:
        evidence: What runs say.
        assumptions: Traffic, and the node.
        book: Prices.
        state: BEFORE or AFTER: what a miss reads.
        hit_rate: Share of hits of every pattern that is cached, 0 to 1; None for each pattern's own,
            as assumed or modelled.

    Raises:
        PriceError: The book lacks a price.
        ConfigError: Traffic is assumed for a pattern that no run knows.
    """
    rates = assumptions.reads_hz(each.name for each in evidence.patterns)
    total_hz = sum(rates.values())
    units_s = sum(_units_s(evidence, assumptions, state).values())
    units = units_s / total_hz if total_hz else 0.0
    amount = book.price(names.read_request()).cost(units_s * SECONDS_A_MONTH)
    node = node_cost(assumptions, book)
    rate = straight_crossing(float(node.usd), float(amount.usd))
    reachable = _cached_share(evidence, assumptions, state)
    a_request = float(amount.usd) / total_hz if total_hz else 0.0
    if hit_rate is not None:
        assumptions = replace(assumptions, hit_rate=hit_rate)
    hits = hit_shares(evidence, assumptions, state)
    held = assumptions.hit_rate is not None

    def saved_usd(hz: float) -> float:
        return a_request * hz * hit_shares(evidence, assumptions.with_rps(hz), state).units

    if held or not a_request:
        break_even_hz = straight_crossing(float(node.usd), a_request * hits.units)
    else:
        break_even_hz = growing_crossing(float(node.usd), saved_usd, MOST_HZ)
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
        hits=hits,
        held=held,
        break_even_rate=rate if rate is not None and rate <= reachable else None,
        break_even_hz=break_even_hz,
    )
