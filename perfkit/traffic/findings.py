"""What a rule found: what is wrong, how it is known, what to do, and what that is worth."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from perfkit.traffic.figures import Summary

__all__ = ["Finding", "Rule", "Settings", "Sought"]


class Rule(StrEnum):
    """The rules, by the names that options and the ignore list use; `docs/traffic.md` explains each."""

    SCAN = "scan"
    FILTER = "filter"
    N_PLUS_ONE = "n-plus-one"
    REPEATED_READ = "repeated-read"
    HOT_KEY = "hot-key"
    IDLE_INDEX = "idle-index"
    NARROW_INDEX = "narrow-index"
    THROTTLED = "throttled"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """
    Something wrong.

    Args:
        rule: Which rule found it.
        request: The fingerprint it is about, as text; of an index its name.
        what: What is wrong, in a sentence.
        evidence: How it is known, with the numbers.
        remedy: What to do.
        worth_usd: What that saves, in the summary's basis (a month, or a million calls); 0 where
            it saves no units.
        worth: What else it saves, in words; may be empty.
        example: Number of a recorded request that shows it; 0 for none.
    """

    rule: Rule
    request: str
    what: str
    evidence: str
    remedy: str
    worth_usd: float = 0.0
    worth: str = ""
    example: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """
    What a user says to the rules.

    Args:
        idle_after_s: Indexes that nothing read are named if so long was recorded; None leaves
            them alone.
        cache_node_usd: What the smallest cache node costs a month; None where no price is known.
    """

    idle_after_s: float | None = None
    cache_node_usd: float | None = None


Sought = Callable[[Summary, Settings], Iterator[Finding]]
"""A rule: from a trace to findings."""
