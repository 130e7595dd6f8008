"""What writes take, on both sides: counted, so that any difference is a change."""

import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from perfkit.analysis.judging import ROUNDING, Amount, amount_of
from perfkit.analysis.matching import Match, Matching
from perfkit.analysis.verdict import Verdict
from perfkit.runs import Run, RunKind, WriteCost
from perfkit.units import format_units

__all__ = ["WriteChange", "compare_writes"]

_Key = tuple[str, str | None, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class WriteChange:
    """
    What one write takes of a table, or of one index with one projection, on both sides.

    Args:
        match: The runs it is from.
        table: The table.
        index: Its index; None for the table itself.
        projection: Of the index; "KEYS_ONLY → ALL" where the workload's own was edited.
        declared: The projection is the workload's, so that somebody pays for it.
        units: Kind of change -> write units of both sides; None where it cannot be done, or where
            the runs of a side differ.
        limit: Share from which on a rise counts as a regression; None for never.
    """

    match: Match
    table: str
    index: str | None
    projection: str
    declared: bool
    units: Mapping[str, tuple[float | None, float | None]]
    limit: float | None

    @property
    def name(self) -> str:
        of_index = f", {self.index} ({self.projection})" if self.index is not None else ""
        return f"{self.match.title}, {self.table}{of_index}"

    def direction(self, kind: str) -> Amount:
        """Return how the units of a kind of change moved."""
        before, after = self.units[kind]
        if before is None or after is None:
            return Amount.NOT_KNOWN
        return amount_of(before, after)

    @property
    def directions(self) -> frozenset[Amount]:
        return frozenset(map(self.direction, self.units))

    @property
    def regressions(self) -> tuple[str, ...]:
        """Kinds of change that take more, and that by the limit, where somebody pays for them."""
        if self.limit is None or not self.declared:
            return ()
        return tuple(
            kind
            for kind, (before, after) in self.units.items()
            if self.direction(kind) is Amount.MORE
            # from nothing to something is beyond every limit
            and (not before or (after or 0.0) / before - 1 >= self.limit - ROUNDING)
        )

    @property
    def verdict(self) -> Verdict | None:
        """Return what the limit makes of it; None without one, or where nobody pays for it."""
        if self.limit is None or not self.declared:
            return None
        moved = [f"{kind} {self.moved(kind)}" for kind in self.regressions]
        if not moved:
            return Verdict.passed()
        evidence = f"{self.name}: {', '.join(moved)} write units"
        return Verdict.failed(evidence=evidence)

    def moved(self, kind: str) -> str:
        """Return the units of a kind of change on both sides, once if they are the same."""
        before, after = ("–" if each is None else format_units(each) for each in self.units[kind])  # noqa: RUF001 - a dash
        return before if before == after else f"{before} → {after}"


def compare_writes(
    matching: Matching, limit: float | None
) -> tuple[tuple[WriteChange, ...], tuple[str, ...]]:
    """
    Return what writes take on both sides, and what only one of them has.

    The projection that the workload says stands beside that which it says on the other side, and
    every other beside the same.
    """
    changes: list[WriteChange] = []
    left_out: list[str] = []
    for match in matching.matches:
        sides = [_by_key(match.baseline), _by_key(match.candidate)]
        for key in dict.fromkeys([*sides[0], *sides[1]]):
            before, after = (side.get(key, []) for side in sides)
            one = (before or after)[0]
            projections = [costs[0].projection for costs in (before, after) if costs]
            change = WriteChange(
                match=match,
                table=one.table,
                index=one.index,
                projection=" → ".join(dict.fromkeys(projections)),
                declared=one.declared,
                units=_units(before, after),
                limit=limit,
            )
            if before and after:
                changes.append(change)
            else:
                left_out.append(
                    f"{change.name}: only in the {'baseline' if before else 'candidate'}."
                )
    return tuple(changes), tuple(left_out)


def _by_key(runs: Sequence[Run]) -> dict[_Key, list[WriteCost]]:
    found: dict[_Key, list[WriteCost]] = {}
    for run in runs:
        if run.kind is not RunKind.INDEX_COST:
            # a twin's are of a sample: another one takes other units
            continue
        for cost in run.write_costs:
            key = cost.table, cost.index, "" if cost.declared else cost.projection
            found.setdefault(key, []).append(cost)
    return found


def _units(
    before: Sequence[WriteCost], after: Sequence[WriteCost]
) -> dict[str, tuple[float | None, float | None]]:
    kinds = dict.fromkeys(kind for cost in (*before, *after) for kind in cost.units)
    return {kind: (_agreed(before, kind), _agreed(after, kind)) for kind in kinds}


def _agreed(costs: Sequence[WriteCost], kind: str) -> float | None:
    """Return what all runs of a side say of a kind of change, or None."""
    values = list(_known(costs, kind))
    if not values or len(values) < len(costs) or max(values) - min(values) > ROUNDING * max(values):
        return None
    return round(statistics.median(values), 3)


def _known(costs: Sequence[WriteCost], kind: str) -> Iterator[float]:
    for cost in costs:
        value = cost.units.get(kind)
        if isinstance(value, int | float):
            yield float(value)
