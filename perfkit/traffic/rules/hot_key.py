"""Rule: a hot key, against what one partition of a table can do."""

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field

from perfkit.traffic.exchange import is_write
from perfkit.traffic.figures import Summary
from perfkit.traffic.findings import Finding, Rule, Settings
from perfkit.units import format_count, format_share, format_units

__all__ = ["find_hot_keys"]

_READ_LIMIT = 3_000
_WRITE_LIMIT = 1_000
"""Units a second that one partition gives (developer guide, "partitions and data distribution")."""

_LEAST_REQUESTS = 100
_LEAST_KEYS = 20
_LEAST_SHARE = 0.25
_TIMES_FAIR = 10
_WINDOW_S = 1.0
_MOST_KEYS = 200_000


@dataclass(slots=True)
class _Use:
    units: Counter[int] = field(default_factory=Counter)
    requests: int = 0
    window: Counter[tuple[int, int]] = field(default_factory=Counter)
    fingerprints: Counter[int] = field(default_factory=Counter)
    example: dict[int, int] = field(default_factory=dict)


def find_hot_keys(summary: Summary, _: Settings) -> Iterator[Finding]:
    """
    Yield the partition keys that take a quarter of a table's or an index's units.

    Only where the table was asked a hundred times for twenty keys at least, and the key takes ten
    times its fair share.
    """
    for (table, index, writes), use in _uses(summary).items():
        total = sum(use.units.values())
        if use.requests < _LEAST_REQUESTS or len(use.units) < _LEAST_KEYS or not total:
            continue
        key, units = use.units.most_common(1)[0]
        share = units / total
        if share < _LEAST_SHARE or share * len(use.units) < _TIMES_FAIR:
            continue
        limit = _WRITE_LIMIT if writes else _READ_LIMIT
        kind = "WCU" if writes else "RCU"
        peak = max(number for (each, _), number in use.window.items() if each == key)
        where = f"{table}.{index}" if index else table
        number = use.fingerprints.most_common(1)[0][0]
        yield Finding(
            rule=Rule.HOT_KEY,
            request=summary.trace.fingerprints[number].text,
            what=f"one key takes {format_share(share)} of what {where} is asked"
            f" {'to write' if writes else 'for'}",
            evidence=f"of {format_count(len(use.units))} keys; its busiest second took"
            f" {format_units(round(peak, 1))} {kind} of the {limit:,} that a partition gives; with"
            f" this share {where} as a whole ends at {format_count(round(limit / share))} {kind}/s",
            remedy="split the key over several, and write to one of them at random"
            if writes
            else "keep its answer in a cache, or split the key over several",
            worth="a limit that more capacity does not move",
            example=use.example[key],
        )


def _uses(summary: Summary) -> dict[tuple[str, str, bool], _Use]:
    found: dict[tuple[str, str, bool], _Use] = defaultdict(_Use)
    writing = {number for number, each in summary.trace.fingerprints.items() if is_write(each)}
    for call in summary.trace.calls():
        # of a batch nobody knows which item took what
        if len(call.touched) != 1 or call.error:
            continue
        touched = call.touched[0]
        if not touched.partition:
            continue
        use = found[touched.table, touched.index, call.fingerprint in writing]
        units = sum(
            units
            for table, index, units in call.units
            if (table, index) == (touched.table, touched.index)
        )
        use.requests += 1
        if touched.partition in use.units or len(use.units) < _MOST_KEYS:
            use.units[touched.partition] += units  # type: ignore[assignment]
            use.window[touched.partition, int(call.at_s // _WINDOW_S)] += units  # type: ignore[assignment]
            use.fingerprints[call.fingerprint] += 1
            use.example.setdefault(touched.partition, call.number)
    return found
