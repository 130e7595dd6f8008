"""What a cache saves at a hit rate, and the hit rate at which its node pays for itself."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from perfkit.cost import names
from perfkit.cost.assumptions import MOST_HZ, Assumptions
from perfkit.cost.bill import Use
from perfkit.cost.break_even import growing_crossing, straight_crossing
from perfkit.cost.demand import State, hit_rates, reads_use, units_after
from perfkit.cost.evidence import Evidence, HitRate
from perfkit.cost.prices import HOURS_A_MONTH, Amount, PriceBook
from perfkit.cost.quantities import SECONDS_A_MONTH
from perfkit.errors import ConfigError
from perfkit.units import TIMES
from perfkit.workloads.problems import nearest

__all__ = ["CacheEconomics", "cache_economics", "node_use"]


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
        source: Where the hit rate comes from; it is modelled or given, never measured.
        request_hits: Share of requests that are hits.
        unit_hits: Share of the read units that they would take without the cache: money follows
            this one, as what is asked seldom may be what is dear.
        unit_hits_at: Returns that share at another rate of requests.
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
    source: str
    request_hits: float
    unit_hits: float
    unit_hits_at: Callable[[float], float]
    held: bool
    break_even_rate: float | None
    break_even_hz: float | None

    @property
    def saved_usd(self) -> float:
        """What is saved in reads."""
        return float(self.without.usd) * self.unit_hits

    @property
    def net_usd(self) -> float:
        """What is left of that when the node is paid; negative where it costs more."""
        return self.saved_usd - float(self.node.usd)

    @property
    def arithmetic(self) -> str:
        """How `saved_usd` came about."""
        return f"({self.without.arithmetic}) {TIMES} {self.unit_hits:.4%} of read units hit"


def node_use(assumptions: Assumptions) -> Use:
    """
    Return what a month of the cache node takes.

    Raises:
        ConfigError: There is no such engine.
    """
    engines = {each.value: each for each in names.Engine}
    if assumptions.engine not in engines:
        msg = f"no cache engine {assumptions.engine!r}; {nearest(assumptions.engine, engines)}"
        raise ConfigError(msg)
    return Use(
        price=names.cache_node(engines[assumptions.engine], assumptions.node),
        quantity=HOURS_A_MONTH,
    )


def _share(weights: Mapping[str, float], hits: Mapping[str, float]) -> float:
    total = sum(weights.values())
    return sum(weights[name] * hits[name] for name in weights) / total if total else 0.0


def cache_economics(
    evidence: Evidence,
    assumptions: Assumptions,
    book: PriceBook,
    state: State,
    given: HitRate | None = None,
) -> CacheEconomics:
    """
    Return what a cache does to the reads of a state.

    Args:
        evidence: What saved runs measured.
        assumptions: Traffic, and the node.
        book: Prices.
        state: BEFORE or AFTER: what a miss reads.
        given: Hit rate of every pattern that is cached; None for each pattern's own, as assumed or
            modelled.

    Raises:
        PriceError: The book lacks a price.
        ConfigError: Traffic is assumed for a pattern that no run knows.
    """
    source = "this traffic" if assumptions.hit_rate is None else "as assumed"
    if given is not None:
        assumptions, source = replace(assumptions, hit_rate=given.rate), given.source
    units = {
        each.name: each.before.units if state is State.BEFORE else units_after(each, evidence)
        for each in evidence.patterns
    }

    def units_s(traffic: Assumptions) -> dict[str, float]:
        """Return the read units a second of each pattern without the cache."""
        return {name: hz * units[name] for name, hz in traffic.reads_hz(units).items()}

    def unit_hits_at(hz: float) -> float:
        traffic = assumptions.with_rps(hz)
        return _share(units_s(traffic), hit_rates(evidence, traffic))

    rates, hits = assumptions.reads_hz(units), hit_rates(evidence, assumptions)
    total_hz, total_units_s = sum(rates.values()), sum(units_s(assumptions).values())
    mean_units = total_units_s / total_hz if total_hz else 0.0
    without = replace(
        reads_use(mean_units, total_hz), quantity=total_units_s * SECONDS_A_MONTH
    ).cost(book)
    node = node_use(assumptions).cost(book, free_tier=assumptions.free_tier)
    unit_hits = _share(units_s(assumptions), hits)
    a_request = float(without.usd) / total_hz if total_hz else 0.0
    held = assumptions.hit_rate is not None
    if held or not a_request:
        break_even_hz = straight_crossing(float(node.usd), a_request * unit_hits)
    else:
        break_even_hz = growing_crossing(
            float(node.usd), lambda hz: a_request * hz * unit_hits_at(hz), MOST_HZ
        )
    rate = straight_crossing(float(node.usd), float(without.usd))
    # hits can take off no more than all reads of patterns that are cached
    most = _share(
        units_s(assumptions), {each.name: each.has_cache_policy for each in evidence.patterns}
    )
    return CacheEconomics(
        state=state,
        reads_hz=total_hz,
        units=mean_units,
        without=without,
        node=node,
        source=source,
        request_hits=_share(rates, hits),
        unit_hits=unit_hits,
        unit_hits_at=(lambda _: unit_hits) if held else unit_hits_at,
        held=held,
        break_even_rate=rate if rate is not None and rate <= most else None,
        break_even_hz=break_even_hz,
    )
