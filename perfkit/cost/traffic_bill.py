"""The month's bill of one case, from measured units and an assumed traffic."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from perfkit.cost import names
from perfkit.cost.assumptions import Assumptions
from perfkit.cost.bill import Bill, Usage, Use, charge
from perfkit.cost.cache_economics import node_use
from perfkit.cost.capacity_modes import Demand, Mode, capacity_uses
from perfkit.cost.demand import (
    AS_DECLARED,
    State,
    hit_rates,
    indexes_of,
    load_of,
    units_a_write,
    units_after,
)
from perfkit.cost.evidence import Cpu, Evidence
from perfkit.cost.index_economics import storage_use
from perfkit.cost.instances import find_type, instances_needed
from perfkit.cost.prices import PriceBook
from perfkit.cost.quantities import short
from perfkit.cost.transfer import data_out_bytes_s, data_out_use
from perfkit.runs import WriteCost
from perfkit.units import TIMES

__all__ = ["ORDER", "Case", "bill_by_the_million", "bill_of"]

_MILLION = 1_000_000

ORDER = (
    *("reads", "table-writes", "index-writes", "table-storage", "index-storage"),
    *("cache", "instances", "data-out"),
)
"""Keys of all lines there can be, as a bill has them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """
    One way to run things.

    Args:
        assumptions: Traffic, and what it runs on.
        state: How questions are answered.
        mode: How capacity is billed.
        projection: Of all indexes; `AS_DECLARED` for what the workload says.
    """

    assumptions: Assumptions = field(default_factory=Assumptions)
    state: State = State.CACHED
    mode: Mode = Mode.ON_DEMAND
    projection: str = AS_DECLARED

    def demands(self, evidence: Evidence) -> tuple[Demand, ...]:
        """
        Return the units a second of every table, and of every index where there are any.

        Raises:
            ConfigError: Traffic is assumed for a pattern or table that no run knows.
        """
        load = load_of(evidence, self.assumptions, self.state, self.projection)
        return load.at(self.assumptions)


def bill_of(case: Case, evidence: Evidence, book: PriceBook, demands: Sequence[Demand]) -> Bill:
    """
    Return a month's bill; a line without a price says so and never is $0.

    Args:
        case: What runs.
        evidence: What saved runs measured; what they did not has no line.
        book: Prices.
        demands: What the case asks of tables and indexes.

    Raises:
        ConfigError: Traffic is assumed for a pattern or table that no run knows, or a type is not
            known.
    """
    usages = _usages(case, evidence, book, demands)
    return Bill(title=case.state, lines=charge(usages, book, free_tier=case.assumptions.free_tier))


def bill_by_the_million(case: Case, evidence: Evidence, book: PriceBook) -> Bill:
    """
    Return what a million calls of each pattern cost, and a million writes to each table, on demand.

    Storage is a month's. Nothing of it needs a rate, so its lines have no sum; what a cache answers,
    and a free allowance, would need one, so both are left out.

    Args:
        case: What runs; of its assumptions the mix of writes counts alone.
        evidence: What saved runs measured; what they did not has no line.
        book: Prices.
    """
    return Bill(title=case.state, lines=charge(_by_the_million(case, evidence), book))


def _by_the_million(case: Case, evidence: Evidence) -> Iterator[Usage]:
    for pattern in evidence.patterns:
        units = (
            pattern.before.units
            if case.state is State.BEFORE
            else units_after(pattern, evidence, case.projection)
        )
        yield Usage(
            key=f"calls {pattern.name}",
            service=f"a million calls of {pattern.name}",
            uses=(
                Use(
                    price=names.read_request(),
                    quantity=units * _MILLION,
                    arithmetic=f"{short(units)} RRU {TIMES} {_MILLION:,}",
                ),
            ),
        )
    own = [each for each in evidence.writes if each.index is None]
    indexes = indexes_of(case.state, evidence, case.projection)
    for table in dict.fromkeys(each.table for each in own):
        costs = [each for each in (*own, *indexes) if each.table == table]
        units = sum(units_a_write(each, case.assumptions) for each in costs)
        terms = " + ".join(short(units_a_write(each, case.assumptions)) for each in costs)
        yield Usage(
            key=f"writes {table}",
            service=f"a million writes to {table}",
            uses=(
                Use(
                    price=names.write_request(),
                    quantity=units * _MILLION,
                    arithmetic=f"({terms}) WRU {TIMES} {_MILLION:,}",
                ),
            ),
        )
    for what, stored in (("tables", own), ("indexes", indexes)):
        if stored:
            yield Usage(
                key=f"{what} storage",
                service=f"storage of {what}, a month",
                uses=tuple(_storage(stored, evidence)),
            )


def _usages(
    case: Case, evidence: Evidence, book: PriceBook, demands: Sequence[Demand]
) -> Iterator[Usage]:
    assumptions = case.assumptions
    tables = [each for each in demands if each.index is None]
    indexes = [each for each in demands if each.index is not None]

    def usage(key: str, service: str, *uses: Use) -> Usage:
        return Usage(key=key, service=service, uses=uses)

    if evidence.patterns:
        reads, _ = capacity_uses([*tables, *indexes], case.mode, assumptions.shape)
        yield usage("reads", "DynamoDB reads", reads)
    if evidence.writes:
        for key, owners in (("table", tables), ("index", indexes)):
            if owners:
                _, writes = capacity_uses(owners, case.mode, assumptions.shape)
                plural = "tables" if key == "table" else "indexes"
                yield usage(f"{key}-writes", f"DynamoDB writes to {plural}", writes)
        own = [each for each in evidence.writes if each.index is None]
        yield usage("table-storage", "storage of tables", *_storage(own, evidence))
        entries = indexes_of(case.state, evidence, case.projection, assumptions)
        if entries or case.state is not State.BEFORE:
            yield usage("index-storage", "storage of indexes", *_storage(entries, evidence))
    if case.state is State.CACHED:
        yield usage("cache", f"cache node ({assumptions.node})", node_use(assumptions))
    cpu_s = _cpu_of(case, evidence)
    if cpu_s is not None:
        kind = find_type(assumptions.instance, book)
        need = instances_needed(
            sum(assumptions.reads_hz(each.name for each in evidence.patterns).values()),
            cpu_s,
            kind,
            peak_ratio=assumptions.peak_ratio,
            cpu_target=assumptions.cpu_target,
        )
        yield usage("instances", f"instances ({assumptions.instance})", need.use(kind))
    bytes_s = data_out_bytes_s(evidence, assumptions, case.state)
    if evidence.patterns and bytes_s is not None:
        yield usage("data-out", "data out", data_out_use(bytes_s))


def _storage(costs: Sequence[WriteCost], evidence: Evidence) -> Iterator[Use]:
    for cost in costs:
        use = storage_use(cost, evidence.items_of(cost))
        yield replace(use, arithmetic=f"{cost.index or cost.table}: {use.arithmetic}")


def _cpu_of(case: Case, evidence: Evidence) -> float | None:
    """
    Return the processor time of a mean request, None if no run measured it.

    Before: of the first variant of the phases. Otherwise of the last one, with an empty cache for
    misses, and of the same one warm for hits.
    """
    if not evidence.cpu:
        return None
    if case.state is State.BEFORE:
        return evidence.cpu[0].seconds
    by_name: dict[str, Cpu] = {each.name: each for each in evidence.cpu}
    warm = [each for each in evidence.cpu if not each.name.endswith("-cold")][-1]
    cold = by_name.get(f"{warm.name}-cold", warm)
    if case.state is State.AFTER:
        return cold.seconds
    rates = case.assumptions.reads_hz(each.name for each in evidence.patterns)
    hits, total = hit_rates(evidence, case.assumptions), sum(rates.values())
    hit_rate = sum(rates[name] * hits[name] for name in rates) / total if total else 0.0
    return hit_rate * warm.seconds + (1 - hit_rate) * cold.seconds
