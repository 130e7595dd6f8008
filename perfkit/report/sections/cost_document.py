"""What programs read of measured money."""

from collections.abc import Iterable

from perfkit.cost.demand import State
from perfkit.cost.measured import Measured
from perfkit.cost.monthly import total_usd
from perfkit.cost.prices import Amount

__all__ = ["document"]


def _number(amount: Amount | None) -> float | None:
    return None if amount is None else float(amount.usd)


def _text(amount: Amount | None) -> str | None:
    return None if amount is None else amount.arithmetic


def document(measured: Measured, subject: str) -> dict[str, object]:
    """
    Return the main figures for the top of a JSON document, in US dollars a month.

    Lines of bills are to cents, and totals sums of them; the rest is not rounded.
    """

    def lines(state: State) -> Iterable[dict[str, object]]:
        for line in measured.bills[state]:
            yield {
                "key": line.key,
                "service": line.title,
                "monthly": line.usd,
                "provenance": "modelled",
                "arithmetic": _text(line.amount),
            }

    names = {State.BEFORE: "before", State.AFTER: "after", State.CACHED: "cached"}
    assumptions = measured.assumptions
    return {
        "subject": subject,
        "currency": "USD",
        "region": measured.region,
        "runs": list(measured.evidence.runs),
        "traffic": {
            "requests_per_s": measured.rps,
            "patterns": {each.name: each.reads_hz for each in measured.patterns},
            "writes_per_s": {
                table: assumptions.writes_to(table) for table in measured.evidence.tables
            },
            "kept_s": {
                each.name: assumptions.ttl_of(each.name)
                for each in measured.patterns
                if each.hit_rate is not None
            },
            "mix": dict(assumptions.mix),
            "peak_ratio": assumptions.peak_ratio,
            "target_utilisation": assumptions.target_utilisation,
        },
        "free_tier": assumptions.free_tier,
        **{
            names[state]: {
                "total": float(total_usd(measured.bills[state])),
                "lines": list(lines(state)),
            }
            for state in measured.bills
        },
        "capacity_modes": [
            {
                "state": names[row.state],
                "table": None if row.demand is None else row.demand.table,
                "index": None if row.demand is None else row.demand.index,
                **{mode.value: float(cost.usd) for mode, cost in row.costs.items()},
                "cheapest": row.cheapest.value,
                "pays_from_requests_per_s": {
                    mode.value: rate for mode, rate in row.break_even_hz.items()
                },
            }
            for row in measured.modes
        ],
        "indexes": [
            {
                "table": each.cost.table,
                "index": each.cost.index,
                "projection": each.cost.projection,
                "declared": each.cost.declared,
                "patterns": list(each.patterns),
                "scan": _number(each.scan),
                "query": _number(each.query),
                "writes": _number(each.writes),
                "storage": _number(each.storage),
                "backfill_once": _number(each.backfill),
                "saved": each.saved_usd,
                "pays_from_requests_per_s": each.break_even_hz,
            }
            for each in measured.indexes
        ],
        "caches": [
            {
                "state": names[each.economics.state],
                "hit_rate": each.economics.hits.requests,
                "hit_rate_provenance": each.hit_rate.provenance,
                "hit_rate_of": each.hit_rate.source,
                "unit_hit_rate": each.economics.hits.units,
                "without": _number(each.economics.without),
                "saved": each.economics.saved_usd,
                "node": _number(each.economics.node),
                "net": each.economics.net_usd,
                "pays_from_hit_rate": each.economics.break_even_rate,
                "pays_from_requests_per_s": each.economics.break_even_hz,
            }
            for each in measured.caches
        ],
        "instances": [
            {
                "variant": each.variant,
                "type": assumptions.instance,
                "cpu_s": each.cpu_s,
                "count": each.need.count,
                "monthly": _number(each.amount),
                "provenance": "modelled",
            }
            for each in measured.instances
        ],
        "missing": [
            {"what": each.what, "command": each.command} for each in measured.evidence.missing()
        ],
        "warnings": list(measured.reasons),
    }
