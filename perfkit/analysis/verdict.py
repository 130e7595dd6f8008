"""One verdict for everything that is judged: pass, fail or invalid, with its reason and evidence."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Self

from perfkit.errors import EvidenceError, PerfkitError, ThresholdError
from perfkit.runs import Check

__all__ = ["Ruling", "Verdict", "hold_above", "hold_below", "taken_together"]


class Ruling(StrEnum):
    """What evidence allows to say of a condition."""

    PASS = "pass"  # noqa: S105 - a verdict
    FAIL = "fail"
    INVALID = "invalid"
    """The evidence supports neither."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """
    What became of a condition.

    Args:
        ruling: Whether it holds.
        reason: Why it is invalid, and what would help; or what decided. May be empty.
        evidence: The figures it rests on, as people read them. May be empty.
    """

    ruling: Ruling
    reason: str = ""
    evidence: str = ""

    @classmethod
    def of_check(cls, check: Check) -> Self:
        """Return the verdict that a run file holds; one in other words than ours is invalid."""
        if check.verdict in set(Ruling):
            return cls(ruling=Ruling(check.verdict), reason=check.reason)
        return cls.invalid(f"the run file says {check.verdict!r}")

    @classmethod
    def passed(cls, evidence: str = "") -> Self:
        """Return that a condition holds, and what shows it."""
        return cls(ruling=Ruling.PASS, evidence=evidence)

    @classmethod
    def failed(cls, reason: str = "", evidence: str = "") -> Self:
        """Return that a condition does not hold, and why."""
        return cls(ruling=Ruling.FAIL, reason=reason, evidence=evidence)

    @classmethod
    def invalid(cls, reason: str, evidence: str = "") -> Self:
        """Return that there is no verdict, and why."""
        return cls(ruling=Ruling.INVALID, reason=reason, evidence=evidence)

    def to_error(self, text: str) -> PerfkitError | None:
        """
        Return what a command raises that was asked for a verdict; None if it passed.

        Args:
            text: What failed, or what could not be judged and why, in one line.

        Returns:
            `ThresholdError`, exit code 4, or `EvidenceError`, exit code 3.
        """
        match self.ruling:
            case Ruling.PASS:
                return None
            case Ruling.FAIL:
                return ThresholdError(text)
            case Ruling.INVALID:
                return EvidenceError(text)


_Interval = tuple[float, float]


def hold_below(
    interval: _Interval, limit: float, *, why_invalid: str, evidence: str = ""
) -> Verdict:
    """Return pass where a whole interval lies below a limit, fail where it lies above."""
    return _hold(
        passes=interval[1] < limit,
        fails=interval[0] > limit,
        why_invalid=why_invalid,
        evidence=evidence,
    )


def hold_above(
    interval: _Interval, limit: float, *, why_invalid: str, evidence: str = ""
) -> Verdict:
    """Return pass where a whole interval reaches a limit, fail where it lies below."""
    return _hold(
        passes=interval[0] >= limit,
        fails=interval[1] < limit,
        why_invalid=why_invalid,
        evidence=evidence,
    )


def _hold(*, passes: bool, fails: bool, why_invalid: str, evidence: str) -> Verdict:
    if passes:
        return Verdict.passed(evidence)
    if fails:
        return Verdict.failed(evidence=evidence)
    return Verdict.invalid(why_invalid, evidence=evidence)


def taken_together(verdicts: Iterable[Verdict]) -> Verdict | None:
    """
    Return the verdict on conditions that must all hold; None if there are none.

    One that fails decides; then one that is invalid.
    """
    found = list(verdicts)
    for ruling in (Ruling.FAIL, Ruling.INVALID, Ruling.PASS):
        alike = [each for each in found if each.ruling is ruling]
        if alike:
            reasons = dict.fromkeys(each.reason for each in alike if each.reason)
            evidence = dict.fromkeys(each.evidence for each in alike if each.evidence)
            return Verdict(ruling=ruling, reason="; ".join(reasons), evidence="; ".join(evidence))
    return None
