"""The tables of costs modelled from measurements."""

from collections.abc import Iterable, Mapping
from dataclasses import replace

from perfkit.cost.bill import Bill
from perfkit.cost.capacity_modes import Mode
from perfkit.cost.demand import State
from perfkit.cost.estimate import Estimate, ModeRow, PatternCost
from perfkit.cost.instances import INSTANCE_CAVEAT, find_type
from perfkit.cost.prices import Amount, number
from perfkit.cost.quantities import GIGABYTE, SECONDS_A_MONTH, short
from perfkit.cost.traffic_bill import ORDER
from perfkit.report.model import (
    Cell,
    Column,
    Kind,
    Marked,
    Provenance,
    Row,
    Table,
    Tone,
)
from perfkit.units import format_duration, format_share

__all__ = [
    "NO_PRICE",
    "bill",
    "by_the_million",
    "caches",
    "capacity_modes",
    "data_out",
    "indexes",
    "instances",
    "pattern_reads",
]

_MODELLED = Provenance.MODELLED
_TOTAL = "TOTAL"

NO_PRICE = Marked(
    value=None, note="There is no price for it, so it is in no sum.", tone=Tone.WARNING
)
_TOGETHER_NOTE = (
    "All patterns are one line of the bill, rounded to cents once: cents of the rows may sum to a"
    " little more or less."
)
_NOT_CACHED_NOTE = "The workload has no cache policy for it, so no answer of it is ever kept."
_FETCH_NOTE = (
    "It lacks attributes that the patterns need: a read of the table for each item found is in"
    " its queries."
)
_MODE_NOTE = (
    "The rate from which on demand stays the more expensive mode, as all traffic grows alike, in"
    " requests a second of all patterns together; a dash where it never is, or nothing is read."
    " Behind the cache each rate has its own hit rate, unless one is given, which is held."
)
_INDEX_NOTE = (
    "On demand, reads of its patterns at the traffic above. The declared projection's queries are"
    " as measured, the others' modelled from measured sizes. Backfill is paid once."
)
_CACHE_NOTE = (
    "On demand. What is saved follows the hits weighted by read units: the expensive pattern may be"
    " one that is asked rarely, and one without a cache policy is never hit. For this traffic each"
    " rate of requests has its own hit rate; one that is given or of a run is held at all rates. A"
    " dash where no rate pays for the node; shorter answer times are not counted."
)

_DATA_NOTE = (
    "Bodies of answers alone, each pattern for itself; the bill has them together, with tiers and,"
    " if it is asked for, the free tier. A body is the answer's items as DynamoDB's JSON, types and"
    " all; a service that sends plain JSON sends less."
)


def _usd(key: str, title: str, group: str = "", note: str | None = None, weight: int = 1) -> Column:
    return Column(
        key=key,
        title=title,
        kind=Kind.USD,
        group=group,
        note=note,
        weight=weight,
        provenance=_MODELLED,
    )


def _explained(key: str = "arithmetic") -> Column:
    # in the arithmetic's own statements for people: a formula fits no column
    return Column(key=key, title=key, data_only=True)


def _rate(key: str, title: str, group: str = "") -> Column:
    return Column(key=key, title=title, kind=Kind.CAPACITY, group=group, provenance=_MODELLED)


def _text(amount: Amount | None) -> str | None:
    return None if amount is None else amount.arithmetic


def _three(value: float | None) -> float | None:
    """Return a number as people compare rates: four digits that count."""
    return None if value is None else float(f"{value:.4g}")


def pattern_reads(found: Estimate) -> Table | None:
    """Return each pattern's reads before, after and behind the cache."""
    if not found.patterns:
        return None
    rows: list[Row] = [
        {
            "pattern": each.name,
            "reads_per_s": _three(each.reads_hz),
            "units_before": each.units_before,
            "units_after": each.units_after,
            "hit_rate": _hit_rate(each),
            "before_usd": number(each.before),
            "after_usd": number(each.after),
            "cached_usd": number(each.cached),
            "before_arithmetic": _text(each.before),
            "after_arithmetic": _text(each.after),
            "cached_arithmetic": _text(each.cached),
        }
        for each in found.patterns
    ]

    def total(key: str) -> float | None:
        values = [row[key] for row in rows]
        numbers = [value for value in values if isinstance(value, float)]
        return sum(numbers) if numbers else None

    rows.append(
        {
            "pattern": Marked(value=_TOTAL, note=_TOGETHER_NOTE),
            "reads_per_s": _three(found.rps),
            "before_usd": total("before_usd"),
            "after_usd": total("after_usd"),
            "cached_usd": total("cached_usd"),
        }
    )
    return Table(
        name="cost-patterns",
        title="Reads a month, on demand",
        columns=(
            Column(key="pattern", title="pattern", label=True),
            _rate("reads_per_s", "requests/s"),
            Column(key="units_before", title="before", kind=Kind.CAPACITY, group="RCU a request"),
            Column(key="units_after", title="after", kind=Kind.CAPACITY, group="RCU a request"),
            Column(key="hit_rate", title="hit rate", kind=Kind.SHARE, provenance=_MODELLED),
            _usd("before_usd", "before", "a month"),
            _usd("after_usd", "after", "a month"),
            _usd(
                "cached_usd",
                "after, cached",
                "a month",
                "Reads of misses, and all of what has no cache policy; the node is in the bill below.",
            ),
            *(_explained(f"{side}_arithmetic") for side in ("before", "after", "cached")),
        ),
        rows=tuple(rows),
    )


def _hit_rate(pattern: PatternCost) -> Cell:
    if pattern.cached is None:
        return None
    if pattern.hit_rate is None:
        return Marked(value=None, note=_NOT_CACHED_NOTE)
    return round(pattern.hit_rate, 4)


def bill(found: Estimate) -> Table:
    """Return the month's lines by state."""
    table = _side_by_side(found.bills, ORDER, "a month")
    total: dict[str, Cell] = {"line": _TOTAL}
    for state, bill in found.bills.items():
        total[f"{_SIDES[state]}_usd"] = float(bill.total_usd)
    return replace(
        table,
        name="cost-measured-bill",
        title="The month's bill, on demand",
        rows=(*table.rows, total),
    )


def by_the_million(found: Estimate) -> Table:
    """Return what a million calls and a million writes cost, and what storage does."""
    keys = dict.fromkeys(line.key for bill in found.by_the_million.values() for line in bill.lines)
    return replace(
        _side_by_side(found.by_the_million, keys, "US dollars"),
        name="cost-million-calls",
        title=f"A million calls or writes, on demand, list prices of {found.book.place}",
    )


_SIDES = dict(zip(State, ("before", "after", "cached"), strict=True))


def _side_by_side(bills: Mapping[State, Bill], keys: Iterable[str], group: str) -> Table:
    """Return the lines of several states' bills in a row for each key."""
    lines = {(state, line.key): line for state, bill in bills.items() for line in bill.lines}
    rows: list[dict[str, Cell]] = []
    for key in keys:
        row: dict[str, Cell] = {}
        for state, side in _SIDES.items():
            line = lines.get((state, key))
            if line is None:
                continue
            row |= {
                "line": line.service,
                f"{side}_usd": NO_PRICE if line.usd is None else float(line.usd),
                f"{side}_arithmetic": None if line.usd is None else line.arithmetic,
            }
        if row:
            rows.append(row)
    return Table(
        name="",
        title="",
        columns=(
            Column(key="line", title="for", label=True),
            *(_usd(f"{side}_usd", state.value, group) for state, side in _SIDES.items()),
            *(_explained(f"{side}_arithmetic") for side in _SIDES.values()),
        ),
        rows=tuple(rows),
    )


def capacity_modes(found: Estimate) -> Table | None:
    """Return tables, indexes and totals in every mode, the cheapest and from when on."""
    if not found.modes:
        return None
    return Table(
        name="cost-capacity-modes",
        title="Capacity modes",
        notes=(_MODE_NOTE,),
        columns=(
            Column(key="state", title="answers", label=True),
            Column(key="resource", title="table or index", label=True),
            _rate("read_units_per_s", "RCU/s"),
            _rate("write_units_per_s", "WCU/s"),
            *(_usd(f"{_key(mode)}_usd", mode.value, "a month") for mode in Mode),
            Column(key="cheapest", title="cheapest"),
            *(
                _rate(f"{_key(mode)}_from_rps", mode.value, "pays from requests/s")
                for mode in (Mode.PROVISIONED, Mode.AUTO_SCALING)
            ),
        ),
        rows=tuple(map(_mode_row, found.modes)),
    )


def _key(mode: Mode) -> str:
    return mode.value.replace("-", "_")


def _mode_row(row: ModeRow) -> Row:
    demand = row.demand
    return {
        "state": row.state.value,
        "resource": _TOTAL if demand is None else demand.index or demand.table,
        "read_units_per_s": _three(row.read_units_s),
        "write_units_per_s": _three(row.write_units_s),
        **{f"{_key(mode)}_usd": float(cost.usd) for mode, cost in row.costs.items()},
        "cheapest": Marked(value=row.cheapest.value, tone=Tone.GOOD),
        **{f"{_key(mode)}_from_rps": _three(rate) for mode, rate in row.break_even_hz.items()},
    }


def indexes(found: Estimate) -> Table | None:
    """Return every index with its projections side by side."""
    if not found.indexes:
        return None
    rows = []
    for each in found.indexes:
        projection: Cell = each.cost.projection
        if not each.cost.covers:
            projection = Marked(value=each.cost.projection, note=_FETCH_NOTE, tone=Tone.WARNING)
        rows.append(
            {
                "index": each.cost.index,
                "projection": projection,
                "declared": "yes" if each.cost.declared else "",
                "patterns": ", ".join(each.patterns),
                "query_units": round(each.query_units, 3),
                "scan_usd": number(each.scan),
                "query_usd": number(each.query),
                "writes_usd": number(each.writes),
                "storage_usd": number(each.storage),
                "saved_usd": each.saved_usd,
                "backfill_usd": number(each.backfill),
                "break_even_rps": _three(each.break_even_hz),
                "writes_arithmetic": _text(each.writes),
                "storage_arithmetic": _text(each.storage),
                "backfill_arithmetic": _text(each.backfill),
            }
        )
    return Table(
        name="cost-indexes",
        title="What indexes cost and save",
        notes=(_INDEX_NOTE,),
        columns=(
            Column(key="index", title="index", label=True),
            Column(key="projection", title="projection", label=True),
            Column(key="declared", title="declared", data_only=True),
            Column(key="patterns", title="asked by", weight=0),
            _rate("query_units", "RCU a query"),
            _usd("scan_usd", "today", "reads a month", weight=0),
            _usd("query_usd", "queries", "reads a month"),
            _usd("writes_usd", "writes", "the index a month"),
            _usd("storage_usd", "storage", "the index a month"),
            _usd("saved_usd", "saves a month"),
            _usd("backfill_usd", "backfill, once"),
            _rate("break_even_rps", "pays from requests/s"),
            *(_explained(f"{part}_arithmetic") for part in ("writes", "storage", "backfill")),
        ),
        rows=tuple(rows),
    )


def caches(found: Estimate) -> Table | None:
    """Return what a cache saves at each hit rate there is, and when its node is paid."""
    if not found.caches:
        return None
    return Table(
        name="cost-cache",
        title=f"What the cache saves and costs ({found.assumptions.node})",
        notes=(_CACHE_NOTE,),
        columns=(
            Column(key="misses_by", title="instead of", label=True),
            Column(key="rate_of", title="hit rate of", label=True),
            Column(key="hit_rate", title="requests", kind=Kind.SHARE, group="hits of"),
            Column(key="unit_hit_rate", title="read units", kind=Kind.SHARE, group="hits of"),
            _usd("without_usd", "without", "reads a month"),
            _usd("saved_usd", "saved", "reads a month"),
            _usd("node_usd", "node", "a month"),
            _usd("net_usd", "left", "a month"),
            Column(
                key="break_even_hit_rate",
                title="of read units",
                kind=Kind.SHARE,
                group="the node pays from",
                provenance=_MODELLED,
            ),
            _rate("break_even_rps", "requests/s", "the node pays from"),
            _explained(),
        ),
        rows=tuple(
            {
                "misses_by": "today" if each.state is State.BEFORE else "queries",
                "rate_of": each.source,
                "hit_rate": Marked(
                    value=round(each.request_hits, 4),
                    provenance=_MODELLED,
                ),
                "unit_hit_rate": Marked(
                    value=round(each.unit_hits, 4),
                    provenance=_MODELLED,
                ),
                "without_usd": number(each.without),
                "saved_usd": each.saved_usd,
                "node_usd": number(each.node),
                "net_usd": each.net_usd,
                "break_even_hit_rate": _three(each.break_even_rate),
                "break_even_rps": _three(each.break_even_hz),
                "arithmetic": each.arithmetic,
            }
            for each in found.caches
        ),
    )


def instances(found: Estimate) -> Table | None:
    """Return how many instances the traffic needs at each variant's processor time."""
    if not found.instances:
        return None
    kind = find_type(found.assumptions.instance, found.book)
    target = format_share(found.assumptions.cpu_target)
    note = f"{kind.name}: {kind.vcpus} vCPUs, "
    if kind.burst_s is None:
        note += "all of which may be used for good: its baseline. "
    else:
        note += (
            f"of which {short(kind.baseline_vcpus)} may be used for good;"
            f" {short(kind.most_credits)} credits at most, which is"
            f" {format_duration(kind.burst_s)} in full. "
        )
    note += (
        f"A day's mean must stay within that baseline, and the busiest hour within {target} of all"
        f" vCPUs. Source: {kind.source}."
    )
    return Table(
        name="cost-instances",
        title=f"Instances for {short(found.rps)} requests a second",
        notes=(INSTANCE_CAVEAT, note),
        columns=(
            Column(key="variant", title="variant", label=True),
            Column(key="cpu_s", title="CPU a request", kind=Kind.SECONDS),
            _rate("mean_vcpus", "mean", "vCPUs in use"),
            _rate("peak_vcpus", "busiest hour", "vCPUs in use"),
            Column(key="count", title=kind.name, kind=Kind.COUNT, provenance=_MODELLED),
            Column(key="bound", title="decided by"),
            _usd("monthly_usd", "a month"),
            _explained(),
        ),
        rows=tuple(
            {
                "variant": each.variant,
                "cpu_s": each.cpu_s,
                "mean_vcpus": _three(each.need.mean_vcpus),
                "peak_vcpus": _three(each.need.peak_vcpus),
                "count": each.need.count,
                "bound": each.need.bound,
                "monthly_usd": number(each.amount),
                "arithmetic": each.need.arithmetic,
            }
            for each in found.instances
        ),
    )


def data_out(found: Estimate) -> Table | None:
    """Return what answers weigh a month, pattern by pattern, by scan and in their best form."""
    sides = {State.BEFORE: "before", **({State.AFTER: "after"} if found.has_after else {})}
    rows: dict[str, dict[str, Cell]] = {}
    for each in found.data_out:
        side, hz = sides[each.state], each.reads_hz
        row = rows.setdefault(each.pattern, {"pattern": each.pattern, "reads_per_s": _three(hz)})
        row |= {
            f"{side}_body_bytes": each.body_bytes,
            f"{side}_gb": _three(hz * each.body_bytes * SECONDS_A_MONTH / GIGABYTE),
            f"{side}_usd": float(each.amount.usd),
            f"{side}_arithmetic": each.amount.arithmetic,
        }
    if not rows:
        return None
    return Table(
        name="cost-data-out",
        title="Data out a month",
        notes=(_DATA_NOTE,),
        columns=(
            Column(key="pattern", title="pattern", label=True),
            _rate("reads_per_s", "requests/s"),
            *(
                Column(key=f"{key}_body_bytes", title=key, kind=Kind.BYTES, group="an answer")
                for key in sides.values()
            ),
            *(_rate(f"{key}_gb", key, "GB a month") for key in sides.values()),
            *(_usd(f"{key}_usd", key, "a month") for key in sides.values()),
            *(_explained(f"{key}_arithmetic") for key in sides.values()),
        ),
        rows=tuple(rows.values()),
    )
