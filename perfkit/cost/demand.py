"""Traffic and what one call takes, made into units a second of every table and index."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from perfkit.cache.virtual_hour import Traffic, expected_hit_rate
from perfkit.capacity import Consistency, read_units
from perfkit.cost import names
from perfkit.cost.assumptions import Assumptions
from perfkit.cost.bill import Use
from perfkit.cost.capacity_modes import Demand
from perfkit.cost.evidence import Evidence, Pattern
from perfkit.cost.quantities import SECONDS_A_MONTH, short
from perfkit.runs import WriteCost
from perfkit.units import TIMES

__all__ = [
    "AS_DECLARED",
    "Load",
    "Place",
    "State",
    "hit_rates",
    "indexes_of",
    "load_of",
    "reads_use",
    "units_a_write",
    "units_after",
    "write_terms",
    "write_units_s",
]

AS_DECLARED = ""
"""Stands for the projection that the workload says."""

_GET_BYTES = 4096


class State(StrEnum):
    """How questions are answered."""

    BEFORE = "before"
    """By scan, without indexes."""

    AFTER = "after"
    """By index or key."""

    CACHED = "after, cached"
    """By index or key, on a miss of the cache only."""


def _index_writes(evidence: Evidence, projection: str = AS_DECLARED) -> tuple[WriteCost, ...]:
    """
    Return what each index takes with a projection, for an index that lacks it as it is declared.

    Args:
        evidence: What saved runs measured.
        projection: ALL, INCLUDE, KEYS_ONLY, or `AS_DECLARED`.
    """
    chosen: dict[tuple[str, str], WriteCost] = {}
    for each in evidence.writes:
        if each.index is None:
            continue
        place = (each.table, each.index)
        if each.projection == projection or (each.declared and place not in chosen):
            chosen[place] = each
    return tuple(chosen.values())


def indexes_of(
    state: State,
    evidence: Evidence,
    projection: str = AS_DECLARED,
    assumptions: Assumptions | None = None,
) -> tuple[WriteCost, ...]:
    """
    Return what each index that a state has takes.

    Before are those that are there already; after, too, and those that a better form asks.

    Args:
        state: How questions are answered.
        evidence: What saved runs measured.
        projection: Of all indexes.
        assumptions: Without requests a pattern asks for no index; None where all count.

    Raises:
        ConfigError: Traffic is assumed for a pattern that no run knows.
    """
    if state is State.BEFORE:
        projection = AS_DECLARED
    held = set(evidence.existing)
    if state is not State.BEFORE:
        patterns = evidence.patterns
        rates = {} if assumptions is None else assumptions.reads_hz(each.name for each in patterns)
        held |= {
            (each.table, each.best.index)
            for each in patterns
            if each.best.index is not None and rates.get(each.name, 1.0) > 0
        }
    return tuple(
        each
        for each in _index_writes(evidence, projection)
        if each.index is not None and (each.table, each.index) in held
    )


def units_after(pattern: Pattern, evidence: Evidence, projection: str = AS_DECLARED) -> float:
    """
    Return the read units of one call by index or key, by scan where there is neither.

    Measured where the index is as it was measured. With another projection modelled: all that the
    query evaluates, before its filter, is of that projection's mean size. If it lacks what the
    pattern returns, each item of the answer takes a read of the table more; if it lacks what the
    filter reads, each item that the query evaluates.
    """
    from_index, from_table = _units_of_call(pattern, evidence, projection)
    return from_index + from_table


def _units_of_call(pattern: Pattern, evidence: Evidence, projection: str) -> tuple[float, float]:
    """Return the read units of one call by index or key: of the index, and of the table."""
    after = pattern.after
    if after is None:
        return 0.0, pattern.before.units
    if after.index is None:
        return 0.0, after.units
    place = (pattern.table, after.index)
    forms = [each for each in evidence.writes if (each.table, each.index) == place]
    declared = next((each for each in forms if each.declared), None)
    chosen = next((each for each in forms if each.projection == projection), declared)
    if chosen is None or chosen.declared or _as_large(chosen, declared):
        return after.units, 0.0
    evaluated = pattern.items if after.items_read is None else after.items_read
    from_index = read_units(round(evaluated * chosen.entry_bytes), Consistency.EVENTUAL)
    if chosen.covers:
        return from_index, 0.0
    table = next(
        (each for each in evidence.writes if each.index is None and each.table == pattern.table),
        None,
    )
    item_bytes = round(table.entry_bytes) if table is not None else _GET_BYTES
    fetched = pattern.items if pattern.name in (chosen.filters or ()) else evaluated
    return from_index, fetched * read_units(item_bytes, Consistency.EVENTUAL)


def _as_large(chosen: WriteCost, declared: WriteCost | None) -> bool:
    """Return whether an index answers alone, of entries as large as those that were measured."""
    return chosen.covers and declared is not None and chosen.entry_bytes == declared.entry_bytes


def hit_rates(evidence: Evidence, assumptions: Assumptions) -> Mapping[str, float]:
    """
    Return the hit rate of each pattern: as assumed, else modelled from its traffic.

    It is 0 for a pattern without a cache policy: of it nothing is kept.
    """
    rates = assumptions.reads_hz(each.name for each in evidence.patterns)
    cached = {each.name for each in evidence.patterns if each.has_cache_policy}

    def hit_rate(name: str, rate_hz: float) -> float:
        if name not in cached or rate_hz <= 0:
            return 0.0
        if assumptions.hit_rate is not None:
            return assumptions.hit_rate
        return expected_hit_rate(
            Traffic(
                rate_hz=rate_hz,
                duration_s=3600,
                keys=assumptions.keys,
                skew=assumptions.skew,
                ttl_s=assumptions.ttl_of(name),
                writes_hz=assumptions.invalidations_hz,
            )
        )

    return {name: hit_rate(name, rate_hz) for name, rate_hz in rates.items()}


def units_a_write(cost: WriteCost, assumptions: Assumptions) -> float:
    """Return the write units that a mean write to its table makes a table or index take."""
    per_write = sum(share * _units_of(cost, change) for change, share in assumptions.mix.items())
    return per_write * cost.entries_share


def write_units_s(cost: WriteCost, assumptions: Assumptions) -> float:
    """Return the write units a second that writes to its table make a table or index take."""
    return assumptions.writes_to(cost.table) * units_a_write(cost, assumptions)


def write_terms(cost: WriteCost, assumptions: Assumptions) -> str:
    """Return how `write_units_s` comes about: writes a second, by share and units of each kind."""
    terms = " + ".join(
        f"{change} {short(share)} {TIMES} {short(_units_of(cost, change))}"
        for change, share in assumptions.mix.items()
        if share
    )
    # not every item has an entry
    entries = "" if cost.entries_share == 1 else f" {TIMES} {short(cost.entries_share)} entries"
    return (
        f"{short(assumptions.writes_to(cost.table))}/s {TIMES} ({terms}) WRU{entries}"
        f" = {short(write_units_s(cost, assumptions))} WRU/s"
    )


def _units_of(cost: WriteCost, change: str) -> float:
    if change == "key-change" and (cost.index is None or change not in cost.units):
        # to the table, and to an index whose own keys never change, another index's key is an
        # attribute like others
        change = "update"
    return float(cost.units.get(change, 0.0))


Place = tuple[str, str | None]
"""A table, or one of its indexes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """
    What requests and writes ask of tables and indexes in one state, however many come.

    Args:
        evidence: What saved runs measured.
        places: Every table, and every index where there are any.
        reads: Read units of one call that the cache does not answer, by pattern and place.
        writes: Write units a second by place.
        cached: The cache answers some of the calls.
    """

    evidence: Evidence
    places: tuple[Place, ...]
    reads: Mapping[str, Mapping[Place, float]]
    writes: Mapping[Place, float]
    cached: bool

    def at(self, assumptions: Assumptions, writes: float = 1.0) -> tuple[Demand, ...]:
        """
        Return the units a second of every place.

        Args:
            assumptions: Requests, and what the cache has of them.
            writes: So many times the writes.

        Raises:
            ConfigError: Traffic is assumed for a pattern that no run knows.
        """
        rates = assumptions.reads_hz(self.reads)
        hits = hit_rates(self.evidence, assumptions) if self.cached else {}
        read_units_s = dict.fromkeys(self.places, 0.0)
        for name, units in self.reads.items():
            hz = rates[name] * (1 - hits.get(name, 0.0))
            for place, each in units.items():
                read_units_s[place] += hz * each
        return tuple(
            Demand(
                table=place[0],
                index=place[1],
                read_units_s=read_units_s[place],
                write_units_s=self.writes.get(place, 0.0) * writes,
            )
            for place in self.places
        )


def load_of(
    evidence: Evidence, assumptions: Assumptions, state: State, projection: str = AS_DECLARED
) -> Load:
    """
    Return what traffic asks in a state.

    Args:
        evidence: What saved runs measured.
        assumptions: Writes.
        state: How questions are answered.
        projection: Of all indexes.

    Raises:
        ConfigError: Writes are assumed for a table that no run knows.
    """
    assumptions.check_tables(evidence.tables)
    reads: dict[str, dict[Place, float]] = {}
    for pattern in evidence.patterns:
        table: Place = (pattern.table, None)
        if state is State.BEFORE or pattern.after is None:
            reads[pattern.name] = {(pattern.table, pattern.before.index): pattern.before.units}
            continue
        # what an index does not hold is read from the table
        from_index, from_table = _units_of_call(pattern, evidence, projection)
        reads[pattern.name] = {table: from_table}
        if pattern.after.index is not None:
            reads[pattern.name][pattern.table, pattern.after.index] = from_index
    costs = [each for each in evidence.writes if each.index is None]
    costs += indexes_of(state, evidence, projection, assumptions)
    writes = {(each.table, each.index): write_units_s(each, assumptions) for each in costs}
    asked = (place for units in reads.values() for place in units)
    return Load(
        evidence=evidence,
        places=tuple(
            dict.fromkeys([*((table, None) for table in evidence.tables), *asked, *writes])
        ),
        reads=reads,
        writes=writes,
        cached=state is State.CACHED,
    )


def reads_use(units: float, hz: float) -> Use:
    """Return what a month of so many requests a second takes on demand, each of so many units."""
    return Use(
        price=names.read_request(),
        quantity=units * hz * SECONDS_A_MONTH,
        arithmetic=f"{short(units)} RRU {TIMES} {short(hz)}/s {TIMES} {SECONDS_A_MONTH:,} s",
    )
