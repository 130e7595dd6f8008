"""Rule: a query of an index whose entries lack what is then fetched one by one."""

from collections import defaultdict
from collections.abc import Iterator

from perfkit.traffic.exchange import MOST_RETURNED
from perfkit.traffic.figures import Summary
from perfkit.traffic.findings import Finding, Rule, Settings
from perfkit.traffic.rules.fetches import Fetches, fetches
from perfkit.traffic.trace import Trace
from perfkit.units import format_count, format_many, format_units

__all__ = ["find_narrow_indexes", "is_narrow"]


def find_narrow_indexes(summary: Summary, _: Settings) -> Iterator[Finding]:
    """
    Yield the indexes behind whose queries the same items are fetched from their table.

    By key: the items that are fetched are those that the query returned. Indexes that hold whole
    items are left alone.
    """
    trace = summary.trace
    found: dict[tuple[int, int], list[Fetches]] = defaultdict(list)
    for each in fetches(trace.calls()):
        if is_narrow(each, trace):
            found[each.parent_fingerprint, each.fingerprint].append(each)
    for (parent, child), runs in found.items():
        query, fetch = trace.fingerprints[parent], trace.fingerprints[child]
        reads = sum(each.calls for each in runs)
        units = sum(each.units for each in runs)
        schema = trace.schemas.get(query.table)
        index = schema.indexes.get(query.index) if schema else None
        holds = ", ".join(index.included) if index and index.included else "only keys"
        yield Finding(
            rule=Rule.NARROW_INDEX,
            request=query.text,
            what=f"lacks what {fetch.operation} then fetches from {fetch.table}",
            evidence=f"{format_many(len(runs), 'query', 'queries')} of an index that holds {holds},"
            f" and {format_count(round(reads / len(runs)))} fetches after each:"
            f" {format_units(round(units / len(runs), 1))} RCU",
            remedy="a new index that also projects the attributes that are used; entries grow, and"
            " so may writes",
            worth_usd=summary.scaled_usd(units * summary.prices.read_unit_usd, len(runs)),
            worth=f"{format_count(round(reads / len(runs)))} round trips each time",
            example=runs[0].first,
        )


def is_narrow(run: Fetches, trace: Trace) -> bool:
    """Return whether reads fetch from its table what a query of an index has returned in part."""
    query, fetch = trace.fingerprints[run.parent_fingerprint], trace.fingerprints[run.fingerprint]
    if not query.index or fetch.operation != "GetItem" or fetch.table != query.table:
        return False
    schema = trace.schemas.get(query.table)
    index = schema.indexes.get(query.index) if schema else None
    if index is not None and index.projection == "ALL":
        return False
    # of more than a hundred returned items the keys are not known
    return run.of_parent * 2 > min(run.calls, MOST_RETURNED)
