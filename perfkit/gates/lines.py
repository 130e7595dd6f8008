"""What a check finds: lines, each with a state, its reason and what to do next."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from perfkit.analysis.verdict import Ruling, Verdict, taken_together

__all__ = ["Line", "State", "condensed", "counted", "verdict_on"]

_MOST_NAMED = 3
_RUN = re.compile(r"\brun [\w.-]+")
_SCENARIO = re.compile(r" --scenario (\S+)")


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


def condensed(lines: Iterable[Line]) -> list[Line]:
    """
    Return few lines for many: what is open first, with why and what to do, and then what is done.

    Lines of one group with one reason and one remedy become one, which names the first of them.
    Those that one command helps stand together.
    """
    alike: dict[tuple[str, ...], list[Line]] = {}
    for line in lines:
        key = (line.group, _measured(line)[0], line.state, _RUN.sub("", line.reason))
        alike.setdefault(key, []).append(line)
    groups = list(dict.fromkeys(key[0] for key in alike))
    steps = list(dict.fromkeys(key[1] for key in alike))
    keys = sorted(
        alike,
        key=lambda key: (groups.index(key[0]), key[2] == State.DONE, steps.index(key[1])),
    )
    return [_as_one(alike[key]) for key in keys]


def _measured(line: Line) -> tuple[str, str]:
    """Return the command of a line that is about a pattern without the pattern, and the pattern."""
    found = _SCENARIO.search(line.next_step)
    if found is None or not line.title.startswith(found[1]):
        return line.next_step, ""
    return _SCENARIO.sub("", line.next_step), found[1]


def _as_one(lines: Sequence[Line]) -> Line:
    first = lines[0]
    command, _ = _measured(first)
    patterns = list(dict.fromkeys(pattern for each in lines if (pattern := _measured(each)[1])))
    if 0 < len(patterns) <= _MOST_NAMED:
        only = "".join(f" --scenario {each}" for each in patterns)
        command = command.replace("perfkit bench", f"perfkit bench{only}", 1)
    reason = first.reason
    if any(each.reason != reason for each in lines):
        reason = _RUN.sub(r"\g<0> (and others)", reason, count=1)
    titles = "; ".join(each.title for each in lines[:_MOST_NAMED])
    more = len(lines) - _MOST_NAMED
    return replace(
        first,
        title=f"{titles}; {more} more" if more > 0 else titles,
        verdict=replace(first.verdict, reason=reason),
        next_step=command,
    )


def verdict_on(lines: Iterable[Line]) -> Verdict | None:
    """Return the verdict on all lines, which must all be done; None if there are none."""
    return taken_together(line.verdict for line in lines)
