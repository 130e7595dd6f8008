"""What a scenario is, what it is given, and what it hands back."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from perfkit.capacity import Consistency, Item
from perfkit.dynamodb.safety import Effect
from perfkit.dynamodb.targets import Target
from perfkit.errors import ConfigError
from perfkit.measure.clock import Clock, RealClock
from perfkit.measure.rounds import Plan
from perfkit.results import Run
from perfkit.workloads.model import Workload

__all__ = ["Answer", "Contender", "Context", "Options", "Progress", "Scenario"]

_MOST_SEGMENTS = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """
    How to measure.

    Args:
        plan: Number of calls, or time.
        consistent: Read strongly consistent wherever the target can.
        segments: Segments, and threads, of a parallel scan.
        traffic: What differs from the usual traffic of `cache-hour`.
    """

    plan: Plan = field(default_factory=Plan)
    consistent: bool = False
    segments: int = 4
    traffic: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not 2 <= self.segments <= _MOST_SEGMENTS:
            msg = f"segments must be 2 to {_MOST_SEGMENTS}, got {self.segments}"
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
        capacity_doubt: Why the target's capacity answers may be wrong, if there is a reason.
        clock: Time.
        progress: Told how far things are.
    """

    workload: Workload
    client: Any
    target: Mapping[str, Any]
    where: str
    options: Options = field(default_factory=Options)
    source: Target | None = None
    capacity_doubt: str | None = None
    clock: Clock = field(default_factory=RealClock)
    progress: Callable[[Progress], None] = _no_progress


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


@dataclass(slots=True)
class Answer:
    """
    What one call found, and what the target said it took.

    Counters are None where the target does not say. `page` holds the items of the first page as
    they came, `page_units` what that page was charged: together they show whether the target
    counts capacity as DynamoDB does.
    """

    items: list[Item] = field(default_factory=list)
    requests: int = 0
    retries: int = 0
    items_read: int | None = 0
    items_received: int = 0
    capacity_units: float | None = 0.0
    page: list[Item] = field(default_factory=list)
    page_units: float | None = None

    def count(self, response: Mapping[str, Any], received: list[Item], read: int | None) -> None:
        """Add one response: the items that came with it, and how many were read for it."""
        units = response.get("ConsumedCapacity", {}).get("CapacityUnits")
        if self.requests == 0:
            self.page, self.page_units = received, units
        self.requests += 1
        self.retries += response.get("ResponseMetadata", {}).get("RetryAttempts", 0)
        self.items_received += len(received)
        self.items_read = _sum(self.items_read, read)
        self.capacity_units = _sum(self.capacity_units, units)

    def merge(self, other: "Answer") -> None:
        """Add what another part of the same call found; its first page is dropped."""
        self.items += other.items
        if self.requests == 0:
            self.page, self.page_units = other.page, other.page_units
        self.requests += other.requests
        self.retries += other.retries
        self.items_received += other.items_received
        self.items_read = _sum(self.items_read, other.items_read)
        self.capacity_units = _sum(self.capacity_units, other.capacity_units)


def _sum(total: Any, more: Any) -> Any:
    """Return the sum, or None once any part is not known."""
    return None if total is None or more is None else total + more


class Contender(Protocol):
    """One way to answer a scenario's question; measured, it becomes a variant of the run."""

    @property
    def name(self) -> str:
        """What the variant is called: `scan`, `query`, …"""

    @property
    def operation(self) -> str:
        """The DynamoDB operation behind it."""

    @property
    def table(self) -> str:
        """The table it reads."""

    @property
    def index(self) -> str | None:
        """The index it reads, if it does."""

    @property
    def consistency(self) -> Consistency:
        """How it reads."""

    @property
    def concurrency(self) -> int:
        """Requests under way at once."""

    @property
    def filtered(self) -> bool:
        """Whether the target leaves out items it has read."""

    def call(self) -> Answer:
        """Answer the question once; this is what is timed."""

    def count_strong(self) -> float | None:
        """Return the units of one strongly consistent call, None if it cannot be done."""

    def close(self) -> None:
        """Stop what was started."""
