"""Rule: the same read again and again."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field

from perfkit.traffic.figures import Summary
from perfkit.traffic.findings import Finding, Rule, Settings
from perfkit.traffic.trace import Call
from perfkit.units import format_count, format_many, format_share, format_usd

__all__ = ["find_repeated_reads"]

_TTLS_S = {"1 s": 1.0, "10 s": 10.0, "1 min": 60.0, "5 min": 300.0}
_JUDGED_BY = 2
_LEAST_CALLS = 20
_LEAST_HITS = 0.5
_LEAST_SHARE = 0.05
_READS = ("GetItem", "Query", "BatchGetItem", "Scan")


@dataclass(slots=True)
class _Reads:
    """One fingerprint's reads through caches of each TTL, as they were recorded."""

    calls: int = 0
    hits: list[int] = field(default_factory=lambda: [0] * len(_TTLS_S))
    saved_units: float = 0.0
    questions: set[int] = field(default_factory=set)
    example: int = 0


def find_repeated_reads(summary: Summary, settings: Settings) -> Iterator[Finding]:
    """
    Yield the reads of which a cache for a minute would have answered half, and 5% of all cost.

    From the recorded sequence itself: a read is a hit if the same request came within the TTL and
    nothing wrote in between what it reads; for an index or a scan, nothing in its table.
    """
    total = summary.cost_usd
    for number, reads in _replay(summary).items():
        hits = [each / reads.calls for each in reads.hits]
        saved_usd = reads.saved_units * summary.prices.read_unit_usd
        if reads.calls < _LEAST_CALLS or hits[_JUDGED_BY] < _LEAST_HITS:
            continue
        if saved_usd < _LEAST_SHARE * total:
            continue
        rates = ", ".join(
            f"{format_share(hit)} for {ttl}" for ttl, hit in zip(_TTLS_S, hits, strict=True)
        )
        asked = format_many(len(reads.questions), "question")
        yield Finding(
            rule=Rule.REPEATED_READ,
            request=summary.trace.fingerprints[number].text,
            what=f"asks {asked} {format_count(reads.calls)} times",
            evidence=f"a cache would have answered {rates}; recorded writes end what it keeps",
            remedy=f"keep answers in a cache or in the process{_node(settings)}",
            worth_usd=summary.scaled_usd(saved_usd, reads.calls),
            example=reads.example,
        )


def _node(settings: Settings) -> str:
    if settings.cache_node_usd is None:
        return ""
    return f"; the smallest cache node costs {format_usd(settings.cache_node_usd)} a month"


def _replay(summary: Summary) -> dict[int, _Reads]:
    reading = {
        number: each
        for number, each in summary.trace.fingerprints.items()
        if each.operation in _READS
    }
    found: dict[int, _Reads] = defaultdict(_Reads)
    filled: dict[tuple[int, float], float] = {}
    written: dict[tuple[str, int], float] = {}
    for call in summary.trace.calls():
        fingerprint = reading.get(call.fingerprint)
        if call.error:
            continue
        if fingerprint is None:
            _note_writes(call, summary, written)
            continue
        reads = found[call.fingerprint]
        reads.calls += 1
        reads.questions.add(call.same)
        stale_s = _written_s(call, fingerprint.tables, bool(fingerprint.index), written)
        for place, ttl_s in enumerate(_TTLS_S.values()):
            since_s = filled.get((call.same, ttl_s))
            if since_s is not None and call.at_s - since_s <= ttl_s and since_s > stale_s:
                reads.hits[place] += 1
                if place == _JUDGED_BY:
                    reads.saved_units += call.total_units
                    reads.example = reads.example or call.number
            else:
                filled[call.same, ttl_s] = call.at_s
    return found


def _note_writes(call: Call, summary: Summary, written: dict[tuple[str, int], float]) -> None:
    for each in call.touched:
        if each.writes:
            for place in (0, each.partition, each.key):
                written[each.table, place] = call.end_s
    fingerprint = summary.trace.fingerprints[call.fingerprint]
    if not call.touched and any(arm for arm in call.units):
        # a statement, of which nobody knows what it wrote
        for table in fingerprint.tables:
            written[table, 0] = call.end_s


def _written_s(
    call: Call,
    tables: tuple[str, ...],
    by_index: bool,  # noqa: FBT001 - private
    written: dict[tuple[str, int], float],
) -> float:
    """Return when something was last written that a read reads; before everything if nothing."""
    if not call.touched or by_index:
        places = [(table, 0) for table in tables]
    else:
        places = [(each.table, each.key or each.partition) for each in call.touched]
    return max((written.get(place, -1.0) for place in places), default=-1.0)
