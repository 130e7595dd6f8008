"""Eight rules, each from a trace to findings; `docs/traffic.md` says how each avoids false alarms."""

from collections.abc import Iterator, Mapping

from perfkit.traffic.figures import Summary
from perfkit.traffic.findings import Finding, Rule, Settings, Sought
from perfkit.traffic.rules.filter import find_filters
from perfkit.traffic.rules.hot_key import find_hot_keys
from perfkit.traffic.rules.idle_index import find_idle_indexes
from perfkit.traffic.rules.n_plus_one import find_n_plus_one
from perfkit.traffic.rules.narrow_index import find_narrow_indexes
from perfkit.traffic.rules.repeated_read import find_repeated_reads
from perfkit.traffic.rules.scan import find_scans
from perfkit.traffic.rules.throttled import find_throttled

__all__ = ["RULES", "find"]

RULES: Mapping[Rule, Sought] = {
    Rule.SCAN: find_scans,
    Rule.FILTER: find_filters,
    Rule.N_PLUS_ONE: find_n_plus_one,
    Rule.REPEATED_READ: find_repeated_reads,
    Rule.HOT_KEY: find_hot_keys,
    Rule.IDLE_INDEX: find_idle_indexes,
    Rule.NARROW_INDEX: find_narrow_indexes,
    Rule.THROTTLED: find_throttled,
}


def find(summary: Summary, settings: Settings) -> Iterator[Finding]:
    """Yield what all rules find in a trace."""
    for rule in RULES.values():
        yield from rule(summary, settings)
