"""Modelled costs for programs: what the JSON document holds of them."""

from perfkit.cost.bill import Bill
from perfkit.cost.demand import State
from perfkit.cost.estimate import Estimate
from perfkit.cost.prices import number

__all__ = ["document"]


def document(found: Estimate, subject: str) -> dict[str, object]:
    """
    Return the main figures for the top of a JSON document, in US dollars a month.

    Lines of bills are to cents, and totals sums of them; the rest is not rounded. Where nobody
    states how many requests come, `traffic.stated` is false and months are of an assumed rate:
    `million_calls` is what is known.
    """

    def lines(bill: Bill, amount: str) -> list[dict[str, object]]:
        return [
            {
                "key": line.key,
                "service": line.service,
                amount: number(line.usd),
                "provenance": line.basis.value,
                "arithmetic": None if line.usd is None else line.arithmetic,
            }
            for line in bill.lines
        ]

    def bill_document(bill: Bill) -> dict[str, object]:
        return {"total": float(bill.total_usd), "lines": lines(bill, "monthly")}

    names = {State.BEFORE: "before", State.AFTER: "after", State.CACHED: "cached"}
    assumptions = found.assumptions
    return {
        "subject": subject,
        "currency": "USD",
        "region": found.book.region,
        "runs": list(found.evidence.runs),
        "million_calls": {
            names[state]: lines(bill, "usd") for state, bill in found.by_the_million.items()
        },
        "traffic": {
            "stated": found.is_stated,
            "requests_per_s": found.rps,
            "patterns": {each.name: each.reads_hz for each in found.patterns},
            "writes_per_s": {
                table: assumptions.writes_to(table) for table in found.evidence.tables
            },
            "kept_s": {
                each.name: assumptions.ttl_of(each.name)
                for each in found.patterns
                if each.hit_rate is not None
            },
            "mix": dict(assumptions.mix),
            "peak_ratio": assumptions.peak_ratio,
            "target_utilisation": assumptions.target_utilisation,
        },
        "free_tier": assumptions.free_tier,
        **{names[state]: bill_document(bill) for state, bill in found.bills.items()},
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
            for row in found.modes
        ],
        "indexes": [
            {
                "table": each.cost.table,
                "index": each.cost.index,
                "projection": each.cost.projection,
                "declared": each.cost.declared,
                "patterns": list(each.patterns),
                "scan": number(each.scan),
                "query": number(each.query),
                "writes": number(each.writes),
                "storage": number(each.storage),
                "backfill_once": number(each.backfill),
                "saved": each.saved_usd,
                "pays_from_requests_per_s": each.break_even_hz,
            }
            for each in found.indexes
        ],
        "caches": [
            {
                "state": names[each.state],
                "hit_rate": each.request_hits,
                "hit_rate_provenance": "modelled",
                "hit_rate_of": each.source,
                "unit_hit_rate": each.unit_hits,
                "without": number(each.without),
                "saved": each.saved_usd,
                "node": number(each.node),
                "net": each.net_usd,
                "pays_from_hit_rate": each.break_even_rate,
                "pays_from_requests_per_s": each.break_even_hz,
            }
            for each in found.caches
        ],
        "instances": [
            {
                "variant": each.variant,
                "type": assumptions.instance,
                "cpu_s": each.cpu_s,
                "count": each.need.count,
                "monthly": number(each.amount),
                "provenance": "modelled",
            }
            for each in found.instances
        ],
        "missing": [
            {"what": each.what, "command": each.command} for each in found.evidence.missing()
        ],
        "warnings": list(found.reasons),
    }
