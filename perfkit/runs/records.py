"""Records of runs: what a run file holds, beside variants and load tests."""

from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from perfkit import __version__
from perfkit.capacity import INDEX_ENTRY_OVERHEAD_BYTES
from perfkit.runs.bounds import (
    Amount,
    AtLeastOne,
    Count,
    Fall,
    Moment,
    Ratio,
    Seconds,
    Share,
)
from perfkit.runs.load_test import LoadTest
from perfkit.runs.variants import CacheFigures, Variant

__all__ = [
    "FORMAT",
    "Check",
    "Comparison",
    "Doubt",
    "DoubtKind",
    "Hour",
    "HourTraffic",
    "MachineLoad",
    "Modelled",
    "Run",
    "RunKind",
    "WriteCost",
    "now_utc",
]

# Formats so far; keys may be added to one, a change of meaning makes the next.
#   1  the first one; traffic and the load of the machine were among the settings, and doubts were
#      texts, `warnings` and `cautions`
#   2  they are `traffic`, `load` and `doubts`
FORMAT = 2


def now_utc() -> str:
    """Return the present moment as run files write it: UTC, ISO 8601, microseconds, `Z`."""
    return datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


class RunKind(StrEnum):
    """What was measured, and so what a run holds."""

    SCENARIO = "scenario"
    """One access pattern, read in several ways."""
    SWITCH = "switch"
    """One optimisation of the service, off and on, without HTTP."""
    CACHE = "cache"
    """Questions with and without a cache, well and in trouble."""
    CACHE_HOUR = "cache-hour"
    """Hours of traffic through a cache, in virtual time."""
    INDEX_COST = "index-cost"
    """What writes to tables and to their indexes take."""
    PHASES = "phases"
    """The service over HTTP at each phase."""
    ABLATION = "ablation"
    """The service at phase 3 with each switch off alone."""
    LOAD = "load"
    """A service over HTTP under load."""


class DoubtKind(StrEnum):
    """What figures are doubted for; doubts of one kind say the same of different variants."""

    CAPACITY = "capacity"
    CHANGED_ANSWER = "changed-answer"
    CONSISTENCY = "consistency"
    DATA = "data"
    FEW_CALLS = "few-calls"
    FEW_ROUNDS = "few-rounds"
    MACHINE = "machine"
    MODEL = "model"
    NOISY_ROUNDS = "noisy-rounds"
    PACED = "paced"
    SLOW_CALLS = "slow-calls"
    SLOW_FIRST_CALL = "slow-first-call"
    WIDE_INTERVAL = "wide-interval"
    OLD_WARNING = "warning"
    """One of a run of format 1, of which only the text is known; likewise a caution."""
    OLD_CAUTION = "caution"

    @property
    def is_warning(self) -> bool:
        """Whether figures may be wrong or beside the question, and not only less exact."""
        return self in _WARNINGS


_WARNINGS = frozenset(
    {
        DoubtKind.CAPACITY,
        DoubtKind.CHANGED_ANSWER,
        DoubtKind.CONSISTENCY,
        DoubtKind.DATA,
        DoubtKind.MODEL,
        DoubtKind.OLD_WARNING,
    }
)


@dataclass(frozen=True, slots=True)
class Doubt:
    """Why a figure may mislead, and what to do about it."""

    kind: DoubtKind
    reason: str
    hint: str = ""

    def __str__(self) -> str:
        return f"{self.reason}; {self.hint}" if self.hint else self.reason


@dataclass(frozen=True, slots=True, kw_only=True)
class HourTraffic:
    """The traffic of a virtual hour."""

    rate_hz: Amount
    # questions, of which the n-th is asked 1/n^skew as often as the first
    keys: AtLeastOne
    skew: Amount
    ttl_s: Seconds
    # of the time to live, at most, in either direction
    jitter_share: Share
    writes_an_hour: Amount
    # looks into the cache that fail
    error_share: Share


@dataclass(frozen=True, slots=True, kw_only=True)
class MachineLoad:
    """Shares of the machine's CPU time while a run was measured; None where they are not known."""

    # of other programs
    others_share: Share | None = None
    # taken away by the hypervisor
    stolen_share: Share | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Modelled:
    """
    A query by an index that does not exist, as a twin of its table says; nothing here is measured.

    Figures are for one call, means over the sets of parameters; intervals are of 95%. There is no
    latency: a twin is somewhere else. `source` says what the figures rest on: "answer", the items
    that the form of today returned in this run; "sample", those of a sample of the table; "table",
    all of its items.
    """

    name: str
    operation: str
    table: str
    index: str
    capacity_units: Amount
    capacity_units_ci95: tuple[Amount, Amount]
    items_read: Amount
    items_read_ci95: tuple[Amount, Amount]
    items_returned: Amount
    source: str
    # items in the twin, of so many in the table
    sample_items: Count
    table_items: Count
    # of the whole index, as billed, with what each entry takes beside its size
    stored_bytes: Amount
    stored_bytes_ci95: tuple[Amount, Amount]
    # items of the table that have a key attribute of the index and violate it
    violating_share: Share
    violating_share_ci95: tuple[Share, Share]
    # why items of the twin are not in the index, in words
    left_out: tuple[str, ...] = ()
    # it would not return the same items as the form of today: never compare it
    differs: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """
    Two variants of one run; ratios are baseline ÷ candidate, so above 1 the candidate wins.

    `significant` is False when the interval contains 1, or when there is no interval because
    there were too few rounds. `unchecked`: a side is modelled from some pages of a scan, so answers
    were not compared as a whole; `results_equal` is False then.
    """

    baseline: str
    candidate: str
    latency_ratio: Ratio
    latency_ratio_ci95: tuple[Ratio, Ratio] | None
    capacity_ratio: Ratio | None
    results_equal: bool
    significant: bool = False
    rounds: Count = 0
    question: str = ""
    unchecked: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """
    A promise held against what was measured.

    `promised` and `measured` are shares by which a figure fell, 0.8 for 80% less. The verdict is
    "pass" or "fail" where the whole interval is on one side of the promise, else "invalid", and
    `reason` says why no verdict is possible.
    """

    name: str
    question: str
    figure: str
    promised: Fall
    measured: Fall | None
    interval: tuple[Fall, Fall] | None
    verdict: str
    reason: str = ""
    baseline: str = ""
    candidate: str = ""
    source: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hour:
    """
    Some time of traffic through a cache.

    `provenance` is "modelled" for virtual time, "measured" for a real run, "quoted" for a document;
    the latencies behind `mean_s` are in `cache`.
    """

    name: str
    provenance: str
    # of the latencies: "measured" in this run or "quoted"
    latencies: str
    duration_s: Seconds
    ttl_s: Seconds | None
    cache: CacheFigures
    # queries made: misses and errors, less those that shared another's
    fills: Count | None = None
    invalidations: Count | None = None
    # mean of all requests; None takes what `cache` works out
    mean_s: Seconds | None = None
    read_units: Amount | None = None
    # busiest second
    peak_fills_per_s: Count | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class WriteCost:
    """
    What a table, or one index of it, takes for each kind of write, and how large its entries are.

    Means over a sample of the workload's items, for an index over those that have an entry; `units`
    maps a kind of change ("insert", "unchanged", "update", "key-change", "delete") to write units,
    and lacks what cannot be done.
    """

    table: str
    # None: the table itself, without any index
    index: str | None
    units: dict[str, Amount]
    # mean size of an entry, or of an item where this is the table; overhead not counted
    entry_bytes: Amount
    # items of the whole table, and the share of them that have an entry
    items: Count
    entries_share: Share = 1.0
    sample_items: Count = 0
    projection: str = ""
    # attributes other than keys that an INCLUDE projection holds
    attributes: tuple[str, ...] = ()
    # the projection is the one that the workload says
    declared: bool = True
    # which patterns ask the index, and whether it holds all that they need
    patterns: tuple[str, ...] = ()
    covers: bool = True
    # those of them that filter nothing, or by what it holds; None in a run that does not say
    filters: tuple[str, ...] | None = None

    @property
    def entries(self) -> float:
        """Entries of the whole index, or items of the table."""
        return self.items * self.entries_share

    @property
    def stored_bytes(self) -> float:
        """What is billed as stored, overhead included."""
        return self.entries * (self.entry_bytes + INDEX_ENTRY_OVERHEAD_BYTES)


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One execution of a scenario or a load test: the content of one run file."""

    kind: RunKind
    scenario: str
    workload: str
    target: dict[str, Any]
    started_at: Moment
    machine: dict[str, Any] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)
    load: MachineLoad = field(default_factory=MachineLoad)
    variants: tuple[Variant, ...] = ()
    comparisons: tuple[Comparison, ...] = ()
    # by indexes that do not exist
    modelled: tuple[Modelled, ...] = ()
    doubts: tuple[Doubt, ...] = ()
    # what would complete this run, e.g. the command that creates a missing index
    next_steps: tuple[str, ...] = ()
    # figures of a document, as the workload quotes them
    quoted: dict[str, Any] | None = None
    # promises held against the figures
    checks: tuple[Check, ...] = ()
    # traffic through a cache, in virtual and in real time
    hours: tuple[Hour, ...] = ()
    # that of the virtual hour
    traffic: HourTraffic | None = None
    load_test: LoadTest | None = None
    # what writes to tables and to their indexes take
    write_costs: tuple[WriteCost, ...] = ()
    description: str = ""
    # wire form, ":name" -> {"S": "..."}
    parameters: dict[str, Any] = field(default_factory=dict)
    workload_digest: str = ""
    # how long the workload keeps an answer to the question in its cache, 0 where it has no cache
    # policy; None in a run that does not say
    cache_ttl_s: Seconds | None = None
    duration_s: Seconds = 0.0
    # name of its file without ".json"; given when saved
    id: str = ""
    perfkit: str = __version__
    format: int = FORMAT

    def variant(self, name: str, question: str | None = None) -> Variant | None:
        """Return the variant called *name*, of *question* if given, or None if there is none."""
        return next(
            (
                variant
                for variant in self.variants
                if variant.name == name and question in {None, variant.question}
            ),
            None,
        )

    @property
    def modelled_of_aws(self) -> tuple[str, ...]:
        """Return which limits and delays of AWS the target modelled, e.g. `throughput`."""
        modelled = self.target.get("modelled")
        return tuple(map(str, modelled)) if isinstance(modelled, dict) else ()

    @property
    def warnings(self) -> tuple[Doubt, ...]:
        """Return why figures may be wrong or beside the question."""
        return tuple(each for each in self.doubts if each.kind.is_warning)

    @property
    def cautions(self) -> tuple[Doubt, ...]:
        """Return why figures have a margin: few calls, outliers, a busy machine."""
        return tuple(each for each in self.doubts if not each.kind.is_warning)

    @property
    def questions(self) -> tuple[str, ...]:
        """Return what the variants answer, each question once, in their order."""
        return tuple(dict.fromkeys(variant.question for variant in self.variants))

    def to_dict(self) -> dict[str, Any]:
        """Return the run as plain JSON values, `format` first."""
        data = asdict(self)
        return {"format": data.pop("format"), "perfkit": data.pop("perfkit"), **data}
