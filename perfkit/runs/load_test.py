"""Records of a load test: what was asked for, each second, each instance, stages and gates."""

from dataclasses import dataclass
from enum import StrEnum

from perfkit.runs.bounds import (
    Amount,
    AtLeastOne,
    Count,
    Seconds,
    Share,
)
from perfkit.runs.variants import Variant

__all__ = [
    "CloudMetric",
    "GateOutcome",
    "InstanceSample",
    "LoadEvent",
    "LoadModel",
    "LoadSecond",
    "LoadSettings",
    "LoadStage",
    "LoadTest",
    "RateSearch",
    "RateTrial",
]


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
