"""What a scenario is, what it is given, and what it hands back."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from perfkit.dynamodb.safety import Effect
from perfkit.dynamodb.targets import Target
from perfkit.errors import ConfigError
from perfkit.measure.clock import Clock, RealClock
from perfkit.measure.rounds import Plan
from perfkit.runs import Run
from perfkit.scenarios.twins import Twins
from perfkit.workloads.model import Workload

__all__ = ["MOST_ROUNDS", "Context", "Options", "Progress", "Scenario"]

_MOST_SEGMENTS = 64

MOST_ROUNDS = 10
"""Rounds of a scenario of many variants or long turns, however short they are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """
    How to measure.

    Args:
        plan: Number of calls, or time.
        consistent: Read strongly consistent wherever the target can.
        segments: Segments, and threads, of a parallel scan.
        traffic: What differs from the usual traffic of `cache-hour`.
        max_scan_bytes: Larger tables are not read by a pattern's scans: some pages say what all
            would take; None reads them, whatever their size.
    """

    plan: Plan = field(default_factory=Plan)
    consistent: bool = False
    segments: int = 4
    traffic: Mapping[str, float] = field(default_factory=dict)
    max_scan_bytes: int | None = None

    def __post_init__(self) -> None:
        if not 2 <= self.segments <= _MOST_SEGMENTS:
            msg = f"--segments must be 2 to {_MOST_SEGMENTS}, got {self.segments}"
            raise ConfigError(msg)

    def to_dict(self) -> dict[str, Any]:
        """Return the options as a run file keeps them."""
        fixed = self.plan.iterations is not None
        return {
            "iterations": self.plan.iterations,
            "min_time_s": None if fixed else self.plan.min_time_s,
            "random_seed": self.plan.random_seed,
            "consistent": self.consistent,
            "segments": self.segments,
        }


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a scenario is: what it does, and which share of its measuring is done, 0 to 1."""

    scenario: str
    doing: str
    share: float


def _no_progress(_: Progress) -> None:
    """Take no notice."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """
    What a scenario measures with.

    Args:
        workload: Tables and questions.
        client: An ordinary boto3 DynamoDB client.
        target: What a run file says of the target; `kind` at least.
        where: The target, as it is called in messages.
        options: How to measure.
        source: The target itself, for scenarios whose processes connect on their own; None where
            there is only the client.
        redis_url: A Redis server to measure the cache with; None is one of perfkit's own.
        capacity_doubt: Why the target's capacity answers may be wrong, if there is a reason.
        clock: Time.
        progress: Called with how far measuring is.
        twins: Copies of tables whose indexes do not exist yet; None where none are wanted.
        before_seeding: Tables that are missing will have been made before anything is measured.
    """

    workload: Workload
    client: Any
    target: Mapping[str, Any]
    where: str
    options: Options = field(default_factory=Options)
    source: Target | None = None
    redis_url: str | None = field(default=None, repr=False)
    capacity_doubt: str | None = None
    clock: Clock = field(default_factory=RealClock)
    progress: Callable[[Progress], None] = _no_progress
    twins: Twins | None = None
    before_seeding: bool = False

    @property
    def target_kind(self) -> str:
        """Return the kind of target, which counts the capacity."""
        return str(self.target.get("kind", "unknown"))

    def reporter(
        self, scenario: str, share: tuple[float, float] = (0.0, 1.0)
    ) -> Callable[[str, float], None]:
        """
        Return what takes progress within a part of a scenario.

        Args:
            scenario: Its name.
            share: The part, from and to.
        """
        low, high = share

        def report(doing: str, done: float) -> None:
            self.progress(Progress(scenario, doing, low + (high - low) * done))

        return report


class Scenario(Protocol):
    """One comparison that can be measured by name."""

    @property
    def name(self) -> str:
        """What `--scenario` calls it."""

    @property
    def description(self) -> str:
        """The question it answers, in one line."""

    def effect(self, context: Context) -> Effect:
        """Return what measuring will do to the target, and what that takes at most."""

    def measure(self, context: Context) -> Run:
        """
        Measure, and leave nothing running or behind, however it ends.

        Raises:
            TargetError: The target could not be measured.
        """
