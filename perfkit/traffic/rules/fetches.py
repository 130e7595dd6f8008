"""Reads one by one of what another answer named: what N+1 and narrow indexes have in common."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from perfkit.traffic.trace import Call

__all__ = ["Fetches", "fetches"]

LEAST = 5
"""As many similar reads behind one make an N+1."""

_LONGEST_GAP_S = 1.0
_MOST_NEEDED = 20
"""So many reads are enough, however many items the answer had; else half of them."""


@dataclass(slots=True, kw_only=True)
class Fetches:
    """
    Similar reads behind one answer, each begun when the one before had ended.

    Args:
        parent_fingerprint: Its fingerprint's number.
        parent_count: Items in its answer.
        fingerprint: That of the reads.
        calls: How many.
        duration_s: Time of all.
        units: Consumed by all.
        keys: Their distinct keys or partitions.
        of_parent: How many of them read an item that the parent itself had returned.
        traced: How many have a trace id, which says whose they are.
        first: Number of the first.
    """

    parent_fingerprint: int
    parent_count: int
    fingerprint: int
    calls: int = 0
    duration_s: float = 0.0
    units: float = 0.0
    keys: set[int] = field(default_factory=set)
    of_parent: int = 0
    traced: int = 0
    first: int = 0
    last_end_s: float = 0.0
    overlaps: int = 0


def fetches(calls: Iterable[Call]) -> Iterator[Fetches]:
    """
    Yield the reads behind one answer, where there are enough of them and one followed another.

    Without a trace id they may be of another request of the application, whose key was in the
    answer by chance: they count if half of such answers have them behind.
    """
    parents: dict[int, Call] = {}
    answers: Counter[int] = Counter()
    found: dict[tuple[int, int], Fetches] = {}
    for call in calls:
        if call.returned or call.count:
            parents[call.number] = call
            answers[call.fingerprint] += call.count >= LEAST
        if call.behind not in parents or call.error:
            continue
        parent = parents[call.behind]
        place = (call.behind, call.fingerprint)
        run = found.get(place)
        if run is None:
            run = found[place] = Fetches(
                parent_fingerprint=parent.fingerprint,
                parent_count=parent.count,
                fingerprint=call.fingerprint,
                first=call.number,
                last_end_s=parent.end_s,
            )
        if call.at_s < run.last_end_s or call.at_s - run.last_end_s > _LONGEST_GAP_S:
            run.overlaps += 1
        run.last_end_s = max(run.last_end_s, call.end_s)
        run.calls += 1
        run.traced += bool(call.caller)
        run.duration_s += call.duration_s
        run.units += call.total_units
        for each in call.touched:
            run.keys.add(each.key or each.partition)
            run.of_parent += bool(each.key) and each.key in parent.returned
    runs = list(filter(_is_loop, found.values()))
    kinds = Counter((run.parent_fingerprint, run.fingerprint) for run in runs)
    for run in runs:
        number = kinds[run.parent_fingerprint, run.fingerprint]
        if run.traced == run.calls or number * 2 >= answers[run.parent_fingerprint]:
            yield run


def _is_loop(run: Fetches) -> bool:
    # some may have waited for others by chance, and some items may be wanted for other reasons
    needed = min(run.parent_count / 2, _MOST_NEEDED)
    return len(run.keys) >= LEAST and run.calls >= needed and run.overlaps * 2 < run.calls
