"""What a check finds: lines, each with a state, its reason and what to do next."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from perfkit.analysis.verdict import Ruling, Verdict, taken_together

__all__ = ["Line", "State", "counted", "verdict_on"]


class State(StrEnum):
    """How a line stands."""

    DONE = "done"
    NOT_DONE = "not done"
    STALE = "stale"
    """What shows it is older than the last change."""
    INVALID = "invalid"
    """What there is supports neither."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """
    One thing that should be so.

    Args:
        group: The heading it stands under.
        title: What should be so, in a few words.
        verdict: Pass is done and fail is not; the reason says why not, the evidence what shows it.
        stale: The evidence is older than the last change; the verdict is invalid then.
        next_step: A command that helps; empty where it is done.
    """

    group: str
    title: str
    verdict: Verdict
    stale: bool = False
    next_step: str = ""

    @property
    def state(self) -> State:
        """How the line stands."""
        if self.stale:
            return State.STALE
        return _STATES[self.verdict.ruling]

    @property
    def reason(self) -> str:
        """Why it is not done; empty where it is."""
        if self.state is State.DONE:
            return ""
        return self.verdict.reason or self.verdict.evidence


_STATES = {
    Ruling.PASS: State.DONE,
    Ruling.FAIL: State.NOT_DONE,
    Ruling.INVALID: State.INVALID,
}


def counted(lines: Iterable[Line]) -> str:
    """Return how many lines stand how: `9 of 12 done, 2 not done, 1 stale`."""
    states = Counter(line.state for line in lines)
    parts = [f"{states[State.DONE]} of {states.total()} done"]
    parts += [f"{states[each]} {each}" for each in State if each is not State.DONE and states[each]]
    return ", ".join(parts)


def verdict_on(lines: Iterable[Line]) -> Verdict | None:
    """Return the verdict on all lines, which must all be done; None if there are none."""
    return taken_together(line.verdict for line in lines)
