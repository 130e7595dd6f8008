"""Modelled costs in words: what was found, what was assumed, how each amount was worked out."""

from collections.abc import Iterable, Iterator, Sequence

from perfkit.cost.assumptions import Assumptions
from perfkit.cost.demand import State
from perfkit.cost.estimate import Estimate
from perfkit.cost.evidence import Evidence, Missing
from perfkit.cost.quantities import short
from perfkit.cost.what_if import lives
from perfkit.report.model import Statement, Statements, Tone
from perfkit.settings import WORKLOAD_VARIABLE
from perfkit.units import capitalised, format_share, format_usd

__all__ = [
    "arithmetic",
    "arithmetic_by_the_million",
    "bills",
    "by_the_million",
    "lost_file",
    "missing",
    "spread",
    "statements",
    "unbilled_writes",
]


def statements(found: Estimate) -> Iterator[Statement]:
    """Yield what was found, what was assumed for it, and what to heed."""
    yield from _left_out(found)
    writes = unbilled_writes(found.assumptions, found.evidence)
    if writes:
        yield Statement(text=f"{capitalised(writes)}.", tone=Tone.WARNING)
    yield Statement(text=f"{bills(found)}; everything is on demand.")
    yield Statement(text=_assumed(found), tone=Tone.FAINT)


def by_the_million(found: Estimate) -> Iterator[Statement]:
    """Yield what makes a month of amounts that are for a million calls, and what to heed."""
    yield from _left_out(found)
    yield Statement(
        text="Nobody states how many requests come, so amounts are for a million calls, and for a"
        " million writes of the usual mix. A month's bill, capacity modes, the cache and instances"
        " take a rate: `--rps 20`, or `[traffic]` in the workload; `--traffic cloudwatch` bills what"
        " tables on AWS really consume."
    )


def lost_file(evidence: Evidence) -> str:
    """Return what is not known because a workload's file is not found, else ""."""
    if not evidence.lost_file:
        return ""
    return (
        f"the file of workload {evidence.lost_file} is not in this folder, so its traffic and its"
        f" cache policies may be missing: set {WORKLOAD_VARIABLE} to its path"
    )


def _left_out(found: Estimate) -> Iterator[Statement]:
    lost = lost_file(found.evidence)
    if lost:
        yield Statement(text=f"{capitalised(lost)}.", tone=Tone.WARNING)
    yield from (
        Statement(text=f"Left out: {each}.", tone=Tone.WARNING) for each in found.reasons_shown
    )


def bills(found: Estimate) -> str:
    """Return what the bills come to, and what they are of, in one sentence without its full stop."""
    totals = {state: float(bill.total_usd) for state, bill in found.bills.items()}
    before = totals[State.BEFORE]
    text = (
        f"{short(found.rps)} requests a second cost {format_usd(before)} a month today"
        f" at list prices of {found.book.place}"
    )
    if State.AFTER in totals:
        text += f", {format_usd(totals[State.AFTER])} by index"
    if State.CACHED in totals:
        text += f" and {format_usd(totals[State.CACHED])} by index behind the cache"
    return f"{text}{_only(found)}"


_PARTS = {
    "reads": "reads",
    "table-writes": "writes",
    "table-storage": "storage",
    "instances": "instances",
    "data-out": "data out",
}
"""Lines that a whole bill has, by key."""


def _only(found: Estimate) -> str:
    """Return what the bills are of, if that is not everything."""
    keys = {
        line.key for bill in found.bills.values() for line in bill.lines if line.usd is not None
    }
    if keys >= _PARTS.keys():
        return ""
    known = [text for key, text in {**_PARTS, "cache": "cache node"}.items() if key in keys]
    listed = " and ".join(filter(None, (", ".join(known[:-1]), *known[-1:])))
    return f": {listed or 'nothing'} only"


def spread(assumptions: Assumptions, measured: Sequence[str], lacking: Sequence[str]) -> str:
    """
    Return what to heed where traffic is spread over some patterns of a workload only, else "".

    Args:
        assumptions: The traffic; rates given for single patterns are not spread.
        measured: Patterns that the traffic is spread over.
        lacking: Other patterns of the workload.
    """
    if assumptions.patterns or not lacking:
        return ""
    one = len(lacking) == 1
    return (
        f"All {short(assumptions.rps)} requests a second are spread over {', '.join(measured)}:"
        f" {', '.join(lacking)} {'is' if one else 'are'} not among the runs, so"
        f" {'its' if one else 'their'} share falls to the others and amounts are not those of the"
        " whole workload; measure with `perfkit bench`"
    )


def unbilled_writes(assumptions: Assumptions, evidence: Evidence) -> str:
    """Return which writes that somebody states are in no bill, as no run says what they take, else ""."""
    stated = {} if evidence.stated is None else evidence.stated.writes_hz
    known = {each.table for each in evidence.writes if each.index is None}
    lacking = ", ".join(
        f"{table} {short(hz)}/s"
        for table, hz in {**stated, **assumptions.writes}.items()
        if hz and table not in known
    )
    return (
        f"your writes ({lacking}) are in no amount: no run says what they take" if lacking else ""
    )


def _assumed(found: Estimate) -> str:
    assumptions = found.assumptions
    rates = ", ".join(f"{each.name} {short(each.reads_hz)}/s" for each in found.patterns)
    mix = ", ".join(f"{share:.0%} {kind}" for kind, share in assumptions.mix.items() if share)
    writes = {
        table: assumptions.writes_to(table)
        for table in dict.fromkeys(each.table for each in found.evidence.writes)
    }
    written = ", ".join(f"{table} {short(rate)}/s" for table, rate in writes.items())
    parts = [f"Assumed: reads {rates or 'none'}"]
    if written:
        parts.append(f"writes {written} ({mix})")
    parts.append(
        f"the busiest hour {short(assumptions.peak_ratio)} times the mean one of a day"
        f" ({'cosine' if assumptions.peak_ratio <= 2 else 'raised cosine'})"
    )
    parts.append(f"auto scaling at {format_share(assumptions.target_utilisation)}")
    not_cached = ", ".join(
        each.name for each in found.evidence.patterns if not each.has_cache_policy
    )
    if found.evidence.has_cache_policy:
        kept = (
            f"{assumptions.keys:,} questions of each pattern, skew"
            f" {short(assumptions.skew)}, kept {lives(assumptions, ' s')}"
            f"{' as the workload says' if assumptions.ttls else ''},"
            f" {short(assumptions.invalidations_hz * 3600)} invalidations an hour"
            if assumptions.hit_rate is None
            else f"{format_share(assumptions.hit_rate)} hits"
        )
        never = f"; {not_cached} never, without a cache policy" if not_cached else ""
        parts.append(f"cache: {kept}{never}")
    parts.append(f"free tier {'taken off' if assumptions.free_tier else 'not counted'}")
    return "; ".join(parts) + "."


def missing(lacking: Sequence[Missing], name: str) -> Statements | None:
    """Return what no run says, with the commands that would measure it; None for nothing."""
    if not lacking:
        return None
    return Statements(
        name=name,
        title="What no run says, and what measures it",
        statements=tuple(
            Statement(text=f"{each.what}: `{each.command}`", tone=Tone.FAINT) for each in lacking
        ),
    )


def arithmetic_by_the_million(found: Estimate) -> Statements:
    """Return how the amounts of a million calls and writes came about."""
    return _how(
        f"{line.service}, {state}: {line.arithmetic}"
        for state, bill in found.by_the_million.items()
        for line in bill.lines
        if line.usd is not None
    )


def arithmetic(found: Estimate) -> Statements:
    """Return how the amounts came about."""
    texts: list[str] = []
    for each in found.patterns:
        parts = (("before", each.before), ("after", each.after), ("cached", each.cached))
        texts += [
            f"Reads of {each.name}, {side}: {amount.arithmetic}"
            for side, amount in parts
            if amount is not None
        ]
    for state, bill in found.bills.items():
        texts += [
            f"{line.service}, {state}: {line.arithmetic}"
            for line in bill.lines
            if line.usd is not None and line.key != "reads"
        ]
    for row in found.modes:
        if row.demand is None:
            texts += [
                f"Capacity {row.state}, {cost.mode}: reads {cost.reads.arithmetic};"
                f" writes {cost.writes.arithmetic}"
                for cost in row.costs.values()
            ]
    texts += [
        f"{index.cost.index} {index.cost.projection}: scans {index.scan.arithmetic};"
        f" queries {index.query.arithmetic}; writes {index.writes.arithmetic};"
        f" storage {index.storage.arithmetic}; backfill {index.backfill.arithmetic}"
        for index in found.indexes
    ]
    return _how(texts)


def _how(texts: Iterable[str]) -> Statements:
    return Statements(
        name="cost-arithmetic",
        title="How it came about",
        statements=tuple(Statement(text=f"{text}.") for text in texts),
    )
