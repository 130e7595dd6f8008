"""Rule: an index that nothing read in this recording, and every write pays for."""

from collections.abc import Iterator

from perfkit.traffic.figures import Summary
from perfkit.traffic.findings import Finding, Rule, Settings
from perfkit.units import format_duration, format_units

__all__ = ["find_idle_indexes"]


def find_idle_indexes(summary: Summary, settings: Settings) -> Iterator[Finding]:
    """
    Yield the indexes that writes paid for and nothing read, if for long enough was recorded.

    What is long enough only the user knows: a report may read an index once a month.
    """
    trace = summary.trace
    if settings.idle_after_s is None or trace.duration_s < settings.idle_after_s:
        return
    read: set[tuple[str, str]] = set()
    written: dict[tuple[str, str], float] = {}
    for each in summary.figures:
        if each.fingerprint.index:
            read.add((each.fingerprint.table, each.fingerprint.index))
        for arm in each.arms:
            place = (arm.table, arm.index)
            if arm.read_units:
                read.add(place)
            if arm.index and arm.write_units:
                written[place] = written.get(place, 0.0) + arm.write_units
    writes = sum(each.totals.count for each in summary.figures if each.write_units)
    for (table, index), units in written.items():
        if (table, index) in read:
            continue
        yield Finding(
            rule=Rule.IDLE_INDEX,
            request=f"{table}.{index}",
            what=f"nothing read it in this recording of {format_duration(trace.duration_s)}, and"
            " writes paid for it",
            evidence=f"{format_units(units)} WCU for its entries",
            remedy="look at its reads in CloudWatch over a whole season, and then at"
            " `perfkit migrate plan --remove`; other applications may read it",
            worth_usd=summary.scaled_usd(units * summary.prices.write_unit_usd, max(writes, 1)),
        )
