"""Records of runs: what a run file holds."""

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
    HistogramText,
    Moment,
    Ratio,
    Seconds,
    Share,
)

__all__ = [
    "FORMAT",
    "CacheFigures",
    "Check",
    "CloudMetric",
    "Comparison",
    "Doubt",
    "DoubtKind",
    "GateOutcome",
    "Hour",
    "HourTraffic",
    "HttpFigures",
    "InstanceSample",
    "LatencySummary",
    "LoadEvent",
    "LoadModel",
    "LoadSecond",
    "LoadSettings",
    "LoadStage",
    "LoadTest",
    "MachineLoad",
    "Modelled",
    "RateSearch",
    "RateTrial",
    "Run",
    "RunKind",
    "ServiceFigures",
    "Variant",
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
class LatencySummary:
    """Latencies of one variant's calls in seconds, as the caller waited for them."""

    count: AtLeastOne
    mean: Seconds
    p50: Seconds
    p90: Seconds
    p95: Seconds
    p99: Seconds
    max: Seconds
    min: Seconds | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheFigures:
    """
    How the calls of one variant met the cache: hits + misses + errors are those that looked.

    Each mean is that of its calls, None where there were none.
    """

    hits: Count
    misses: Count
    errors: Count
    hit_mean_s: Seconds | None = None
    miss_mean_s: Seconds | None = None
    error_mean_s: Seconds | None = None

    @property
    def requests(self) -> int:
        """Calls that looked into the cache."""
        return self.hits + self.misses + self.errors

    @property
    def hit_rate(self) -> float | None:
        """Hits among all calls; None if nothing looked."""
        return self.hits / self.requests if self.requests else None

    @property
    def worked_out_mean_s(self) -> float | None:
        """The mean of all calls, worked out from the shares and the mean of each."""
        parts = (
            (self.hits, self.hit_mean_s),
            (self.misses, self.miss_mean_s),
            (self.errors, self.error_mean_s),
        )
        if not self.requests or any(count and mean_s is None for count, mean_s in parts):
            return None
        return sum(count * (mean_s or 0.0) for count, mean_s in parts) / self.requests


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceFigures:
    """What a service showed while one variant was asked over HTTP."""

    # switch -> on
    switches: dict[str, Any]
    # answered in the time the requests took, at `Variant.concurrency` under way at once
    requests_per_s: Amount
    read_units_per_s: Amount | None
    # share of answers with a status of 500 or above, 0 to 1
    failed_share: Share
    # processes of the service that answered their health check, and how many there should be
    healthy: Count
    instances: Count
    # processor time of all processes of the service: for one request, and as a share of one core
    cpu_s: Seconds | None
    cpu_share: Amount | None
    # stage -> mean seconds of a request, in order, from the header Server-Timing
    stages_s: dict[str, Seconds]


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpFigures:
    """
    What a load test knows of requests over HTTP beside a variant's other figures.

    The variant's own latency is the response time, from when a request was due. The service time
    is from when it was sent; without a rate both are the same. Requests that failed are in both.
    """

    requests_per_s: Amount
    # status -> answers; a request without an answer has none
    statuses: dict[str, Count]
    # what went wrong, in words ("timeout", "status 503") -> requests; together the variant's errors
    errors_by_kind: dict[str, Count]
    service_s: LatencySummary
    # HdrHistogram V2, as the variant's
    service_histogram: HistogramText
    # of one request; None where the service does not say
    write_units: Amount | None = None
    # operation, as boto3's methods are called -> how often DynamoDB answered it; likewise
    operations: dict[str, Count] | None = None
    # how often DynamoDB refused for lack of capacity, over all requests; likewise
    throttles: Count | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """
    One way to answer the question, as measured.

    `calls`, `requests`, `errors` and `retries` count the whole measurement; every other figure
    is for one call. A call answers the question once and may take many requests (pages).
    """

    name: str
    operation: str
    calls: AtLeastOne
    requests: Count
    errors: Count
    # None where the target does not say
    items_read: Count | None
    # items in the answer, after every filter
    items_returned: Count
    # size of the items read; see bytes_read_source
    bytes_read: Count | None
    capacity_units: Amount | None
    # who counted: the kind of target ("embedded", "endpoint", "aws"); "modelled" where that answers
    # other units than DynamoDB's, and they are DynamoDB's arithmetic on what was read; or "none"
    capacity_source: str
    latency_s: LatencySummary
    # all calls: HdrHistogram V2, compressed, base64, in microseconds
    histogram: HistogramText
    client_cpu_s: Seconds | None = None
    retries: Count = 0
    # requests of one call
    requests_per_call: Amount | None = None
    # items that crossed the wire; a filter in the service receives more than it returns
    items_received: Count | None = None
    # "items": summed over the items themselves; "capacity": at most, from whole read units
    bytes_read_source: str = "none"
    # "eventual" or "strong"
    consistency: str = "eventual"
    # the same answer read strongly consistent, and whether that was "measured" or "modelled" (twice)
    capacity_units_strong: Amount | None = None
    capacity_strong_source: str = "none"
    table: str | None = None
    index: str | None = None
    # requests under way at once
    concurrency: AtLeastOne = 1
    # median latency of each round, in the order of the rounds
    rounds_s: tuple[Seconds, ...] = ()
    # which question it answers, where a run has several; only variants of one are compared
    question: str = ""
    # whole answer of one call: over HTTP as it came, otherwise its items as DynamoDB's JSON
    body_bytes: Count | None = None
    cache: CacheFigures | None = None
    service: ServiceFigures | None = None
    http: HttpFigures | None = None
    # where a question was asked with several sets of parameters, of one call with each: all other
    # counts are means over them
    capacity_units_by_set: tuple[Amount, ...] = ()
    items_returned_by_set: tuple[Count, ...] = ()
    # "modelled": of a scan of which some pages were read; every figure is that of the whole, and
    # the intervals are of 95%
    provenance: str = "measured"
    capacity_units_ci95: tuple[Amount, Amount] | None = None
    latency_mean_ci95: tuple[Seconds, Seconds] | None = None

    @property
    def items_wasted(self) -> int | None:
        """Items read and paid for that are not in the answer."""
        return None if self.items_read is None else self.items_read - self.items_returned

    @property
    def wasted_share(self) -> float | None:
        """Share of the items read that are not in the answer, 0 to 1."""
        if self.items_read is None or self.items_wasted is None:
            return None
        return self.items_wasted / self.items_read if self.items_read else 0.0

    @property
    def units_are_modelled(self) -> bool:
        """Whether its read units are DynamoDB's arithmetic, and not what a target answered."""
        return self.capacity_source == "modelled"

    @property
    def error_rate(self) -> float | None:
        """Share of the requests that failed; None without any."""
        return self.errors / self.requests if self.requests else None

    @property
    def hit_rate(self) -> float | None:
        """Share of looks into the cache that found an answer; None if nothing looked."""
        return None if self.cache is None else self.cache.hit_rate

    @property
    def requests_of_a_call(self) -> float | None:
        """Requests of one call, or of a call on average; None if there was none."""
        if self.requests_per_call is not None:
            return self.requests_per_call
        return self.requests / self.calls if self.calls else None


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


class LoadModel(StrEnum):
    """When the next request of a load test is made."""

    CLOSED = "closed"
    """A user makes it after the answer to the last one and a pause: a slow service is asked less."""
    OPEN = "open"
    """At its time, whatever became of the others: what is late for it counts as waiting."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadSettings:
    """What a load test was asked for."""

    model: LoadModel
    # at most, at a time
    users: AtLeastOne
    # measured, after the ramp
    duration_s: Seconds
    ramp_s: Seconds = 0.0
    # of a user between two requests, on average; None in the open model
    think_s: Seconds | None = None
    # requests a second, together; None in the closed model
    rate_hz: Amount | None = None
    # a request that takes longer has failed
    timeout_s: Seconds = 10.0
    # that make requests
    processes: AtLeastOne = 1
    # where the requests come from: a mix, a Locust file or a workload, by its name
    mix: str = ""
    # that file, as it was given; empty where there is none
    mix_file: str = ""
    # of the service, without credentials
    urls: tuple[str, ...] = ()
    # of the reference service: its phase, None where switches were set one by one, and switches
    phase: Count | None = None
    switches: dict[str, bool] | None = None
    # processes that answer in each of its instances; None where that is not known
    service_workers: AtLeastOne | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadSecond:
    """One second of a load test; requests are counted when they end, those of the ramp too."""

    # end of the second, since the first request could be made
    at_s: Seconds
    users: Count
    requests: Count
    errors: Count
    # response time; None where nothing ended
    p50_s: Seconds | None = None
    p95_s: Seconds | None = None
    p99_s: Seconds | None = None
    # None where the service does not say
    hit_rate: Share | None = None
    read_units: Amount | None = None
    write_units: Amount | None = None
    # how often DynamoDB refused for lack of capacity
    throttles: Count | None = None
    # of one core: the busiest process that makes requests
    generator_cpu_share: Amount | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadEvent:
    """Something that was done to a service, or to its tables, while it was under load."""

    # when it was done, as a second's time
    at_s: Seconds
    # in a word or two: "created", "phase 1"
    name: str
    # in a sentence, without its end
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadStage:
    """
    A part of a load test in which the service stayed as it was, in whole seconds.

    `figures` is of all requests that ended in it; None where none did.
    """

    name: str
    start_s: Seconds
    end_s: Seconds
    figures: Variant | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class InstanceSample:
    """One instance of the service at one moment, as it or its machine says; None is not known."""

    at_s: Seconds
    # its URL or another name
    instance: str
    healthy: bool | None = None
    # of the second that went before
    requests_per_s: Amount | None = None
    mean_s: Seconds | None = None
    p99_s: Seconds | None = None
    failed_share: Share | None = None
    read_units_per_s: Amount | None = None
    hit_rate: Share | None = None
    # of one core, all its processes
    cpu_share: Amount | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class GateOutcome:
    """A gate that a run was held against, and what became of it."""

    # as it is written: "GET /api/courses: p95_ms < 200"
    gate: str
    # in the metric's unit; None where it was not measured
    value: float | None
    # "pass", "fail" or "invalid", and why
    verdict: str
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RateTrial:
    """One rate that was tried."""

    rate_hz: Amount
    p95_s: Seconds | None
    kept: bool
    # why it was not kept, or why it says nothing
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RateSearch:
    """
    The search for the highest rate that keeps a limit; it lies between the two rates.

    None where no trial kept the limit, or none failed; `reason` says why the search ended there.
    """

    # of the 95th percentile of the response time
    limit_s: Seconds
    low_hz: Amount | None
    high_hz: Amount | None
    trials: tuple[RateTrial, ...] = ()
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CloudMetric:
    """A metric of CloudWatch while a load test went on, under CloudWatch's names."""

    namespace: str
    name: str
    # what it is of: TableName, LoadBalancer, …; empty where it is the whole account's
    dimensions: dict[str, str]
    # Sum, Average, Maximum, p99, …
    statistic: str
    # by the minute's beginning; where nothing was published there is none
    minutes: dict[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadTest:
    """
    What a run of kind `load` holds beside its variants.

    The first variant is all requests together, of question ""; the others are the endpoints, each
    with its name as question. All count the requests that were due after the ramp.
    `invalid` says why the measurement supports no verdict; empty where it does.
    """

    settings: LoadSettings
    invalid: tuple[str, ...] = ()
    # ended before its time; what was measured until then is here
    interrupted: bool = False
    # measured, after the ramp
    measured_s: Seconds = 0.0
    # of the open model: requests that were due meanwhile, and that no user was free for in time
    due: Count | None = None
    without_user: Count = 0
    # how late the generator itself was, at the 99th percentile; None where it was not looked at
    lag_p99_s: Seconds | None = None
    # of one core: the busiest process that made requests, on average
    generator_cpu_share: Amount | None = None
    seconds: tuple[LoadSecond, ...] = ()
    instances: tuple[InstanceSample, ...] = ()
    # what CloudWatch says of tables, load balancer and machines; empty where it was not asked
    cloudwatch: tuple[CloudMetric, ...] = ()
    # where the service was changed meanwhile; what is between two stages is of neither
    stages: tuple[LoadStage, ...] = ()
    events: tuple[LoadEvent, ...] = ()
    gates: tuple[GateOutcome, ...] = ()
    # of which this is the highest rate that kept the limit, or the last one tried
    search: RateSearch | None = None


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
