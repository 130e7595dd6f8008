"""Traffic and what one call takes, made into units a second of every table and index."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from perfkit.cache.virtual_hour import Traffic, expected_hit_rate
from perfkit.capacity import Consistency, read_units
from perfkit.cost.assumptions import Assumptions
from perfkit.cost.capacity_modes import Demand
from perfkit.cost.evidence import Evidence, Pattern
from perfkit.cost.quantities import short
from perfkit.results import WriteCost
from perfkit.units import TIMES

__all__ = [
    "AS_DECLARED",
    "State",
    "demands",
    "hit_rates",
    "index_writes",
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


def index_writes(evidence: Evidence, projection: str = AS_DECLARED) -> tuple[WriteCost, ...]:
    """
    Return what each index takes with a projection, for an index that lacks it as it is declared.

    Args:
        evidence: What runs say.
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
    cached = {each.name for each in evidence.patterns if each.cached}

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


def write_units_s(cost: WriteCost, assumptions: Assumptions) -> float:
    """Return the write units a second that writes to its table make a table or index take."""
    per_write = sum(share * _units_of(cost, change) for change, share in assumptions.mix.items())
    return assumptions.writes_to(cost.table) * per_write * cost.entries_share


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


@dataclass(slots=True)
class _Units:
    read: float = 0.0
    write: float = 0.0


def demands(
    evidence: Evidence,
    assumptions: Assumptions,
    state: State,
    projection: str = AS_DECLARED,
) -> tuple[Demand, ...]:
    """
    Return the units a second of every table, and of every index where there are any.

    Args:
        evidence: What runs say.
        assumptions: Traffic.
        state: How questions are answered.
        projection: Of all indexes.

    Raises:
        ConfigError: Traffic is assumed for a pattern or table that no run knows.
    """
    rates = assumptions.reads_hz(each.name for each in evidence.patterns)
    assumptions.check_tables(evidence.tables)
    hits = hit_rates(evidence, assumptions) if state is State.CACHED else {}
    units: dict[tuple[str, str | None], _Units] = {
        (table, None): _Units() for table in evidence.tables
    }
    for pattern in evidence.patterns:
        hz = rates[pattern.name] * (1 - hits.get(pattern.name, 0.0))
        if state is State.BEFORE or pattern.after is None:
            units[pattern.table, None].read += hz * pattern.before.units
            continue
        # what an index does not hold is read from the table
        from_index, from_table = _units_of_call(pattern, evidence, projection)
        units[pattern.table, None].read += hz * from_table
        if pattern.after.index is not None:
            units.setdefault((pattern.table, pattern.after.index), _Units()).read += hz * from_index
    costs = [each for each in evidence.writes if each.index is None]
    if state is not State.BEFORE:
        costs += index_writes(evidence, projection)
    for cost in costs:
        place = (cost.table, cost.index)
        units.setdefault(place, _Units()).write += write_units_s(cost, assumptions)
    return tuple(
        Demand(table=table, index=index, read_units_s=each.read, write_units_s=each.write)
        for (table, index), each in units.items()
    )
