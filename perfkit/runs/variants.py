"""Records of what one way to answer a question took: latencies, counts, consumed capacity."""

from dataclasses import dataclass
from typing import Any

from perfkit.runs.bounds import (
    Amount,
    AtLeastOne,
    Count,
    HistogramText,
    Seconds,
    Share,
)

__all__ = ["CacheFigures", "HttpFigures", "LatencySummary", "ServiceFigures", "Variant"]


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
