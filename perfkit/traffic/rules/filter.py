"""Rule: a filter that throws away most of what is read."""

from collections.abc import Iterator

from perfkit.traffic.figures import Summary
from perfkit.traffic.findings import Finding, Rule, Settings
from perfkit.traffic.rules.scan import runs_of
from perfkit.units import format_count, format_share, format_units

__all__ = ["find_filters"]

_WASTED = 0.8
_LEAST_ITEMS = 20
_LEAST_UNITS = 1.0


def find_filters(summary: Summary, _: Settings) -> Iterator[Finding]:
    """
    Yield the filters of queries and scans that leave a fifth or less.

    Left alone: what reads fewer than 20 items, or less than one unit, which the minimum of a
    request costs anyway.
    """
    for each in summary.figures:
        fingerprint, wasted, runs = each.fingerprint, each.wasted, runs_of(each)
        if not fingerprint.filter or wasted is None or wasted < _WASTED:
            continue
        read, units = each.totals.scanned / runs, each.read_units / runs
        if read < _LEAST_ITEMS or units < _LEAST_UNITS:
            continue
        kept = each.totals.count / runs
        yield Finding(
            rule=Rule.FILTER,
            request=fingerprint.text,
            what=f"throws away {format_share(wasted)} of the items it reads",
            evidence=f"{format_count(round(read))} items and {format_units(units)} RCU for"
            f" {format_count(round(kept))} returned; a filter saves no units",
            remedy="make what is filtered for part of a key: of the sort key, or of an index",
            worth_usd=summary.scaled_usd(each.cost_usd * wasted, each.totals.calls),
            example=each.example.number if each.example else 0,
        )
