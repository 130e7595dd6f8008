"""Rule: throttles and unprocessed items, hidden by retries or ignored."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

from perfkit.traffic.exchange import is_throttle
from perfkit.traffic.figures import Summary
from perfkit.traffic.findings import Finding, Rule, Settings
from perfkit.traffic.trace import Call
from perfkit.units import format_count, format_many, format_share

__all__ = ["find_throttled"]

_LEAST_THROTTLES = 5
_LEAST_SHARE = 0.01
_WITHIN_S = 60.0


def find_throttled(summary: Summary, _: Settings) -> Iterator[Finding]:
    """
    Yield the requests that were throttled, and the batches whose rest nobody sent again.

    A rest counts as sent again if a later batch of the same kind, on the same connection or of
    the same caller, names one of its keys. A throttle now and then is no finding.
    """
    yield from _throttles(summary)
    yield from _forgotten(summary)


def _throttles(summary: Summary) -> Iterator[Finding]:
    helped = _helped(summary)
    for each in summary.figures:
        totals = each.totals
        share = totals.throttles / totals.calls
        if totals.throttles < _LEAST_THROTTLES or share < _LEAST_SHARE:
            continue
        hidden = helped.get(each.number, 0)
        yield Finding(
            rule=Rule.THROTTLED,
            request=each.fingerprint.text,
            what=f"{format_share(share)} of its attempts were throttled",
            evidence=f"{format_count(totals.throttles)} of {format_count(totals.calls)};"
            f" {format_many(hidden, 'call was', 'calls were')} answered after a retry, which hides"
            " it",
            remedy="more capacity or on-demand mode; where one key is hot, another key",
            worth="retries are time that users wait",
        )


def _helped(summary: Summary) -> dict[int, int]:
    """Return by fingerprint how many calls were throttled at first and answered in the end."""
    throttled: set[int] = set()
    helped: dict[int, int] = defaultdict(int)
    for call in summary.trace.calls():
        if not call.invocation:
            continue
        if is_throttle(call.error):
            throttled.add(call.invocation)
        elif call.invocation in throttled and not call.error:
            throttled.discard(call.invocation)
            helped[call.fingerprint] += 1
    return helped


@dataclass(slots=True)
class _Rest:
    call: Call
    keys: frozenset[int]


def _forgotten(summary: Summary) -> Iterator[Finding]:
    waiting: dict[tuple[str | int, int], list[_Rest]] = defaultdict(list)
    left: dict[int, list[Call]] = defaultdict(list)
    for call in summary.trace.calls():
        place = (call.caller or call.connection, call.fingerprint)
        keys = frozenset(each.key for each in call.touched if each.key)
        rests = waiting.get(place, ())
        for rest in rests:
            if keys & rest.keys and call.at_s - rest.call.end_s <= _WITHIN_S:
                waiting[place].remove(rest)
                break
        if call.unprocessed:
            waiting[place].append(_Rest(call, keys))
    for (_, number), rests in waiting.items():
        left[number] += [rest.call for rest in rests]
    for number, calls in left.items():
        items = sum(call.unprocessed for call in calls)
        if not items:
            continue
        fingerprint = summary.trace.fingerprints[number]
        writes = fingerprint.operation == "BatchWriteItem"
        member = "UnprocessedItems" if writes else "UnprocessedKeys"
        yield Finding(
            rule=Rule.THROTTLED,
            request=fingerprint.text,
            what=f"{format_many(items, 'item', 'items')} came back unprocessed and were not"
            f" {'written' if writes else 'read'}",
            evidence=f"{format_many(len(calls), 'answer', 'answers')} with {member}, and no request"
            " for them after it",
            remedy=f"send {member} again until there are none, with growing pauses",
            worth="data that is lost" if writes else "data that is missing",
            example=calls[0].number,
        )
