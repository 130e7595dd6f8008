"""What an index costs and saves, with each of its projections, and when it pays for itself."""

from dataclasses import dataclass

from perfkit.capacity import INDEX_ENTRY_OVERHEAD_BYTES
from perfkit.cost import names
from perfkit.cost.assumptions import Assumptions
from perfkit.cost.bill import Use
from perfkit.cost.break_even import straight_crossing
from perfkit.cost.demand import reads_use, units_after, write_terms, write_units_s
from perfkit.cost.evidence import Evidence, Pattern
from perfkit.cost.prices import Amount, PriceBook
from perfkit.cost.quantities import GIGABYTE, SECONDS_A_MONTH, short
from perfkit.runs import WriteCost
from perfkit.units import TIMES

__all__ = ["IndexEconomics", "index_economics", "storage_use"]


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexEconomics:
    """
    One index with one projection, on demand, a month.

    Args:
        cost: What was measured of it.
        patterns: The questions that ask it.
        reads_hz: Their requests a second together.
        query_units: With it.
        scan: Reads without it.
        query: Reads with it.
        writes: What it adds to writes.
        storage: What it adds to storage.
        backfill: Writing all its entries, once.
        break_even_hz: Requests a second from which on it pays for itself, writes as assumed; None
            where a query is no cheaper than the scan.
    """

    cost: WriteCost
    patterns: tuple[str, ...]
    reads_hz: float
    query_units: float
    scan: Amount
    query: Amount
    writes: Amount
    storage: Amount
    backfill: Amount
    break_even_hz: float | None

    @property
    def saved_usd(self) -> float:
        """What it saves a month, backfill aside; negative where it costs more."""
        return float(self.scan.usd - self.query.usd - self.writes.usd - self.storage.usd)


def index_economics(
    evidence: Evidence, assumptions: Assumptions, book: PriceBook
) -> tuple[IndexEconomics, ...]:
    """
    Return every index that a measured pattern asks, with each projection.

    Free tiers are left out: they are an account's, and no index has a claim to them.

    Raises:
        PriceError: The book lacks a price.
        ConfigError: Traffic is assumed for a pattern that no run knows.
    """
    rates = assumptions.reads_hz(each.name for each in evidence.patterns)
    found = []
    for cost in evidence.writes:
        asking = [
            each
            for each in evidence.patterns
            if cost.index is not None
            and each.table == cost.table
            and each.after is not None
            and each.after.index == cost.index
        ]
        if asking:
            found.append(_one(cost, asking, rates, evidence, assumptions, book))
    return tuple(found)


def _one(
    cost: WriteCost,
    asking: list[Pattern],
    rates: dict[str, float],
    evidence: Evidence,
    assumptions: Assumptions,
    book: PriceBook,
) -> IndexEconomics:
    total_hz = sum(rates[each.name] for each in asking)
    # the mix of its patterns stays when traffic grows; without traffic they are alike
    shares = {
        each.name: rates[each.name] / total_hz if total_hz else 1 / len(asking) for each in asking
    }
    scan_units = sum(shares[each.name] * each.before.units for each in asking)
    query_units = sum(
        shares[each.name] * units_after(each, evidence, "" if cost.declared else cost.projection)
        for each in asking
    )
    entries, inserted = evidence.items_of(cost), float(cost.units.get("insert", 0.0))
    written_s = write_units_s(cost, assumptions)
    writes = Use(
        price=names.write_request(),
        quantity=written_s * SECONDS_A_MONTH,
        arithmetic=f"{write_terms(cost, assumptions)}; {short(written_s)} WRU/s {TIMES}"
        f" {SECONDS_A_MONTH:,} s",
    ).cost(book)
    storage = storage_use(cost, entries).cost(book)
    saved_usd = (
        (scan_units - query_units)
        * float(book.price(names.read_request()).each_usd)
        * SECONDS_A_MONTH
    )
    return IndexEconomics(
        cost=cost,
        patterns=tuple(each.name for each in asking),
        reads_hz=total_hz,
        query_units=query_units,
        scan=reads_use(scan_units, total_hz).cost(book),
        query=reads_use(query_units, total_hz).cost(book),
        writes=writes,
        storage=storage,
        backfill=Use(
            price=names.write_request(),
            quantity=round(entries * inserted, 6),
            arithmetic=f"{short(entries)} entries {TIMES} {short(inserted)} WRU",
        ).cost(book),
        break_even_hz=straight_crossing(float(writes.usd + storage.usd), saved_usd),
    )


def storage_use(cost: WriteCost, entries: float) -> Use:
    """Return what storing a table or an index takes a month, 100 bytes an entry included."""
    return Use(
        price=names.storage(),
        quantity=entries * (cost.entry_bytes + INDEX_ENTRY_OVERHEAD_BYTES) / GIGABYTE,
        arithmetic=f"{short(entries)} {TIMES} ({short(cost.entry_bytes)} +"
        f" {INDEX_ENTRY_OVERHEAD_BYTES}) B ÷ {GIGABYTE:,} B",
    )
