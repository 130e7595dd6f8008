"""Rule: N+1 reads, and reads one by one that one BatchGetItem could do."""

from collections import defaultdict
from collections.abc import Iterator
from itertools import pairwise
from typing import TYPE_CHECKING

from perfkit.traffic.figures import Summary
from perfkit.traffic.findings import Finding, Rule, Settings
from perfkit.traffic.rules.fetches import LEAST, Fetches, fetches
from perfkit.traffic.rules.narrow_index import is_narrow
from perfkit.units import format_count, format_many, format_seconds

if TYPE_CHECKING:
    from perfkit.traffic.trace import Call

__all__ = ["find_n_plus_one"]

_MOST_IN_A_BATCH = 100


def find_n_plus_one(summary: Summary, _: Settings) -> Iterator[Finding]:
    """
    Yield the reads behind one answer, and GetItems of one caller, that follow one another.

    Counted behind an answer only is what asks for a key that this very answer held, on the same
    connection or of the same caller; five different keys at least. Without an answer behind them
    reads count only where a trace id says that one request of the application made them all.
    """
    yield from _behind_answers(summary)
    yield from _of_one_caller(summary)


def _behind_answers(summary: Summary) -> Iterator[Finding]:
    found: dict[tuple[int, int], list[Fetches]] = defaultdict(list)
    for each in fetches(summary.trace.calls()):
        if not is_narrow(each, summary.trace):
            found[each.parent_fingerprint, each.fingerprint].append(each)
    fingerprints = summary.trace.fingerprints
    for (parent, child), runs in found.items():
        reads = sum(each.calls for each in runs)
        seconds = sum(each.duration_s for each in runs)
        fingerprint = fingerprints[child]
        batch = fingerprint.operation == "GetItem"
        yield Finding(
            rule=Rule.N_PLUS_ONE,
            request=fingerprint.text,
            what=f"asks for what {fingerprints[parent].text} named, one by one",
            evidence=f"{format_many(len(runs), 'time', 'times')},"
            f" {format_count(round(reads / len(runs)))} reads each, one after another, in"
            f" {format_seconds(seconds / len(runs))}",
            remedy="one BatchGetItem for up to 100 keys"
            if batch
            else "keep what is needed in the items that are read first, or ask at the same time",
            worth=_saved(seconds, reads, len(runs)) if batch else "",
            example=runs[0].first,
        )


def _saved(seconds: float, reads: int, runs: int) -> str:
    batches = runs * -(-round(reads / runs) // _MOST_IN_A_BATCH)
    saved_s = seconds * (1 - batches / reads) / runs
    return f"about {format_seconds(saved_s)} each time, and no units"


def _of_one_caller(summary: Summary) -> Iterator[Finding]:
    gets = {
        number for number, each in summary.trace.fingerprints.items() if each.operation == "GetItem"
    }
    found: dict[tuple[str, int], list[Call]] = defaultdict(list)
    for call in summary.trace.calls():
        if call.caller and call.fingerprint in gets and not (call.behind or call.error):
            found[call.caller, call.fingerprint].append(call)
    by_fingerprint: dict[int, list[list[Call]]] = defaultdict(list)
    for (_, number), calls in found.items():
        follow = all(a.end_s <= b.at_s for a, b in pairwise(calls))
        keys = {each.key for call in calls for each in call.touched}
        if follow and len(keys) >= LEAST:
            by_fingerprint[number].append(calls)
    for number, runs in by_fingerprint.items():
        reads = sum(map(len, runs))
        seconds = sum(call.duration_s for calls in runs for call in calls)
        yield Finding(
            rule=Rule.N_PLUS_ONE,
            request=summary.trace.fingerprints[number].text,
            what="is asked again and again for one request of the application",
            evidence=f"{format_many(len(runs), 'caller', 'callers')},"
            f" {format_count(round(reads / len(runs)))} reads each, one after another",
            remedy="one BatchGetItem for up to 100 keys",
            worth=_saved(seconds, reads, len(runs)),
            example=runs[0][0].number,
        )
