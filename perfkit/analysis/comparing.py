"""Two sides compared: what changed, the verdict on it, and all that a reader should doubt."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from perfkit.analysis.conditions import Load, load_of, pace_between
from perfkit.analysis.judging import ROUNDING, VariantChange, judge
from perfkit.analysis.matching import Match, Matching
from perfkit.analysis.sides import Side
from perfkit.analysis.verdict import Ruling, Verdict, taken_together
from perfkit.analysis.writes import WriteChange, compare_writes
from perfkit.runs import Run, RunKind, Variant
from perfkit.units import format_many, format_share, format_units

__all__ = ["BestForm", "Compared", "Conditions", "compare_sides"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Conditions:
    """
    Under what the runs of a match were measured.

    Args:
        match: The runs.
        before: Load while those of the baseline were; None where it is not known.
        after: Of the candidate.
        controls: What latencies are divided by.
        spread: What runs are taken to differ by where that counts, in words; or nothing.
    """

    match: Match
    before: Load | None
    after: Load | None
    controls: tuple[str, ...]
    spread: str

    @property
    def load(self) -> str:
        """The load on both sides, in words."""
        if self.before is None or self.after is None:
            return "load: how much of the CPU other programs used is not known"
        if str(self.before) == str(self.after):
            return f"load: other programs used {self.before} of the CPU, before as after"
        return f"load: other programs used {self.before} of the CPU before, {self.after} after"

    @property
    def pace(self) -> str:
        """The rates that the runs of the two sides were held below, where they differ; or nothing."""
        pace = pace_between(self.match.baseline, self.match.candidate)
        return f"{pace}, so latencies are no comparison" if pace else ""

    @property
    def order(self) -> str:
        """How the runs of the two sides followed one another, and what that means; or nothing."""
        match = self.match
        if min(len(match.baseline), len(match.candidate)) == 1:
            text = "one run a side cannot show how far the next would be from it"
        elif match.in_turns:
            return ""
        elif self.controls and not self.spread:
            return (
                f"not measured in turns; only {', '.join(self.controls)} says what the machine did"
            )
        else:
            counts = len(match.baseline), len(match.candidate)
            pairs = (
                "" if counts[0] == counts[1] else f" ({counts[0]} runs before, {counts[1]} after)"
            )
            text = f"not measured in turns{pairs}, so either side may lie off as a whole"
        return f"{text}; allowed for: {self.spread}" if self.spread else text


@dataclass(frozen=True, slots=True, kw_only=True)
class BestForm:
    """
    The form of an access pattern that takes the fewest read units, where the sides differ in it.

    Args:
        title: The pattern's.
        before: The baseline's best form.
        after: The candidate's.
    """

    title: str
    before: Variant
    after: Variant

    @property
    def rises(self) -> bool:
        """Whether the best form takes more than it did."""
        return (self.after.capacity_units or 0.0) > (self.before.capacity_units or 0.0)

    def __str__(self) -> str:
        return (
            f"{self.title}: the best form took {_units(self.before)} before and takes"
            f" {_units(self.after)} now"
        )


def _units(variant: Variant) -> str:
    about = "≈" if variant.provenance == "modelled" else ""
    return f"{about}{format_units(variant.capacity_units or 0.0)} RCU ({variant.name})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """
    Two sides beside each other.

    Args:
        baseline: The side that the other is held against.
        candidate: The other.
        matching: Their runs, brought together.
        changes: Of each variant.
        writes: Of what writes take.
        gone: Variants that the candidate lacks, in words.
        best: Of each access pattern whose best form became another one, as by an index.
        left_out: What could not be compared, and why.
        conditions: Of each match.
        limit: Share from which on a rise is a regression; None for no gate.
        capacity_only: Latencies are neither judged nor shown.
    """

    baseline: Side
    candidate: Side
    matching: Matching
    changes: tuple[VariantChange, ...]
    writes: tuple[WriteChange, ...]
    gone: tuple[str, ...]
    best: tuple[BestForm, ...]
    left_out: tuple[str, ...]
    conditions: tuple[Conditions, ...]
    limit: float | None
    capacity_only: bool = False

    @property
    def broken(self) -> tuple[str, ...]:
        """What the candidate cannot do any more, in words; a regression by every limit."""
        return (*self.gone, *(change.failure for change in self.changes if change.calls_fail))

    @property
    def verdicts(self) -> tuple[Verdict, ...]:
        """One for everything the limit is held against; none without a limit."""
        if self.limit is None:
            return ()
        return (
            *(Verdict.failed(evidence=text) for text in self.gone),
            *(verdict for change in self.changes for verdict in change.verdicts),
            *(write.verdict for write in self.writes if write.verdict is not None),
        )

    @property
    def verdict(self) -> Verdict | None:
        """The verdict on all of it; None without a limit."""
        if self.limit is None:
            return None
        nothing = Verdict.invalid("there was nothing to judge")
        return taken_together(self.verdicts) or nothing

    @property
    def regressions(self) -> tuple[str, ...]:
        """What got worse by the limit, in words."""
        return tuple(each.evidence for each in self.verdicts if each.ruling is Ruling.FAIL)

    @property
    def undecided(self) -> tuple[VariantChange, ...]:
        """Variants whose latency the limit cannot be held against."""
        return tuple(
            change
            for change in self.changes
            if any(each.ruling is Ruling.INVALID for each in change.verdicts)
        )

    @property
    def cautions(self) -> tuple[str, ...]:
        """What limits the precision of single runs, each with the run it is from."""
        return tuple(
            f"{run.id}: {doubt}"
            for match in self.matching.matches
            for run in match.runs
            for doubt in run.cautions
        )

    @property
    def cautious_runs(self) -> int:
        """How many of the runs have cautions."""
        return sum(bool(run.cautions) for match in self.matching.matches for run in match.runs)


def compare_sides(
    baseline: Side,
    candidate: Side,
    matching: Matching,
    *,
    limit: float | None = None,
    controls: Sequence[str] = (),
    capacity_only: bool = False,
    others: Sequence[Run] = (),
) -> Compared:
    """
    Compare what two sides have in common.

    Args:
        baseline: The side that the other is held against.
        candidate: The other.
        matching: Their runs, as `match_sides` brought them together.
        limit: Share from which on a rise is a regression, 0.1 for 10%; None for no gate.
        controls: Variants that the change cannot have touched.
        capacity_only: Judge no latencies.
        others: Further runs of this machine, which may show how far its runs lie apart.

    Raises:
        ConfigError: There is no variant by the name of a control.
    """
    found = judge(matching, limit, controls=controls, capacity_only=capacity_only, others=others)
    writes, writes_left_out = compare_writes(matching, limit)
    only = (
        f"{', '.join(names)}: only in {side.title}."
        for side, names in (
            (baseline, matching.only_baseline),
            (candidate, matching.only_candidate),
        )
        if names
    )
    return Compared(
        baseline=baseline,
        candidate=candidate,
        matching=matching,
        changes=found.changes,
        writes=writes,
        gone=found.gone,
        best=tuple(filter(None, map(_best_form, matching.matches))),
        left_out=(*found.left_out, *writes_left_out, *only),
        conditions=tuple(_conditions(match, found.changes) for match in matching.matches),
        limit=limit,
        capacity_only=capacity_only,
    )


def _best_form(match: Match) -> BestForm | None:
    """Return how the best form of an access pattern differs; None where it is the same, or not known."""
    if match.runs[0].kind is not RunKind.SCENARIO:
        return None
    before, after = _best_of(match.baseline), _best_of(match.candidate)
    if before is None or after is None or before.name == after.name:
        return None
    moved = abs((before.capacity_units or 0.0) - (after.capacity_units or 0.0))
    return BestForm(title=match.title, before=before, after=after) if moved > ROUNDING else None


def _best_of(runs: Sequence[Run]) -> Variant | None:
    """Return the form that takes the fewest read units, of those that all runs of a side have."""
    found = [
        each
        for each in runs[-1].variants
        if each.capacity_units is not None
        and not each.errors
        and all(run.variant(each.name, each.question) is not None for run in runs)
    ]
    # of equal ones the first measured, which is today's
    return min(found, key=lambda each: each.capacity_units or 0.0, default=None)


def _conditions(match: Match, changes: Sequence[VariantChange]) -> Conditions:
    own = [each for each in changes if each.match is match]
    return Conditions(
        match=match,
        before=load_of(match.baseline),
        after=load_of(match.candidate),
        controls=tuple(dict.fromkeys(each.control for each in own if each.control)),
        spread="; ".join(_spreads(own)),
    )


def _spreads(changes: Sequence[VariantChange]) -> Iterator[str]:
    spreads = [
        each.change.spread for each in changes if each.change and each.change.spread is not None
    ]
    if any(not each.runs for each in spreads):
        stated = next(each for each in spreads if not each.runs)
        yield (
            f"{format_share(stated.deviation)} a side, stated for want of earlier runs: what runs of"
            " the same code differed by on a shared machine"
        )
    known = sorted((each.deviation, each.runs) for each in spreads if each.runs)
    if known:
        least, most = (format_share(round(each[0], 2)) for each in (known[0], known[-1]))
        reach = least if least == most else f"{least} to {most}"
        yield (
            f"{reach} a side, by which {format_many(known[0][1], 'earlier run')} of the same code"
            " differed here"
        )
