"""
What a service says it has done, as Prometheus text, and the metrics of a dashboard from it.

Of the reference service all eight are there. Of others what they offer under well-known names:
`process_cpu_seconds_total`, `process_resident_memory_bytes`, `http_requests_total`, a histogram or
summary of request times as client libraries, OpenTelemetry and Micrometer name it, and
`cache_hits_total` with `cache_misses_total`. Before such a name may stand a service's own, as in
`shop_http_requests_total`, if only one metric is called so.
"""

import math
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from perfkit.analysis.percentiles import exists

if TYPE_CHECKING:
    from prometheus_client.samples import Sample

__all__ = ["Counted", "read_counted"]

_OWN_FAMILY = "perfkit_requests"
_OWN_REQUESTS = "perfkit_requests_total"
_OWN_SECONDS = "perfkit_request_seconds"
_OWN_CACHE = "perfkit_cache_answers_total"
_OWN_READ_UNITS = "perfkit_consumed_read_units_total"
_NOT_ASKED_BY_USERS = frozenset({"/healthz", "/metrics"})

_REQUESTS = "http_requests_total"
_SECONDS = (
    "http_request_duration_seconds",
    "http_server_request_duration_seconds",
    "http_server_requests_seconds",
)
_STATUS_LABELS = ("status", "code", "status_code", "http_response_status_code")
_PREFIXED_REQUESTS = re.compile(r"[a-z0-9_:]+_(http_)?requests?_total")
_PREFIXED_SECONDS = re.compile(
    r"[a-z0-9_:]+_(http_)?(server_)?requests?_((duration|latency|time|processing)_)?seconds"
)
_OF_OTHERS = re.compile(
    r"(^|_)(client|outgoing|outbound|upstream|promhttp|redis|db|dynamodb|sql|s3|cache|grpc)(_|$)"
)
"""Requests that a service makes itself, or that are none of its users'."""
_HITS, _MISSES = "cache_hits_total", "cache_misses_total"
_CPU = "process_cpu_seconds_total"
_MEMORY = "process_resident_memory_bytes"


@dataclass(frozen=True, slots=True, kw_only=True)
class Counted:
    """
    What was counted up to a moment, or between two; None is what nobody counts.

    Args:
        requests: Requests answered; of the reference service, those of its users.
        failed: Of these, those answered with 5XX.
        timed: Requests whose time was taken.
        seconds: The sum of their times.
        buckets: How many took no longer than each bound, in seconds, infinity included.
        read_units: Read units DynamoDB said they consumed.
        hits: Requests that the cache answered.
        lookups: Requests that looked into the cache.
        cpu_s: Processor time.
        memory_bytes: Memory in use at the later moment; adds up over instances only.
    """

    requests: float | None = None
    failed: float | None = None
    timed: float | None = None
    seconds: float | None = None
    buckets: Mapping[float, float] = field(default_factory=dict)
    read_units: float | None = None
    hits: float | None = None
    lookups: float | None = None
    cpu_s: float | None = None
    memory_bytes: float | None = None

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing that perfkit knows."""
        return self == Counted()

    @property
    def mean_s(self) -> float | None:
        """The mean time of a request."""
        return self.seconds / self.timed if self.timed and self.seconds is not None else None

    @property
    def failed_share(self) -> float | None:
        """Requests answered with 5XX among all."""
        return self.failed / self.requests if self.requests and self.failed is not None else None

    @property
    def hit_rate(self) -> float | None:
        """Hits among the requests that looked into the cache."""
        return self.hits / self.lookups if self.lookups and self.hits is not None else None

    def percentile(self, fraction: float) -> float | None:
        """
        Return a percentile of the request times in seconds, None where too few were taken.

        It is right to its bucket only: inside, times are taken to be spread evenly, and a request
        that took longer than the last bound counts as that. Source: Prometheus,
        `histogram_quantile`.
        """
        ordered = sorted(self.buckets.items())
        total = ordered[-1][1] if ordered else 0.0
        if total < 1 or not exists(fraction, int(total)):
            return None
        rank = fraction * total
        lower_s = below = 0.0
        for upper_s, within in ordered:
            if within >= rank:
                if math.isinf(upper_s):
                    return lower_s or None
                return lower_s + (upper_s - lower_s) * (rank - below) / (within - below)
            lower_s, below = upper_s, within
        return None

    def since(self, earlier: "Counted") -> "Counted":
        """Return what was counted after an earlier look; counters that were set back began at 0."""
        before = Counted() if _was_set_back(earlier, self) else earlier

        def less(now: float | None, then: float | None) -> float | None:
            return None if now is None else max(now - (then or 0.0), 0.0)

        return Counted(
            **{name: less(getattr(self, name), getattr(before, name)) for name in _COUNTERS},
            buckets={
                bound: max(count - before.buckets.get(bound, 0.0), 0.0)
                for bound, count in self.buckets.items()
            },
            memory_bytes=self.memory_bytes,
        )

    def plus(self, other: "Counted") -> "Counted":
        """Return both together; what only one of them knows is that one's."""

        def add(one: float | None, two: float | None) -> float | None:
            return two if one is None else one + (two or 0.0)

        return Counted(
            **{
                name: add(getattr(self, name), getattr(other, name))
                for name in (*_COUNTERS, "memory_bytes")
            },
            buckets={
                bound: self.buckets.get(bound, 0.0) + other.buckets.get(bound, 0.0)
                for bound in {*self.buckets, *other.buckets}
            },
        )


_COUNTERS = (
    *("requests", "failed", "timed", "seconds"),
    *("read_units", "hits", "lookups", "cpu_s"),
)


def _was_set_back(earlier: Counted, later: Counted) -> bool:
    # a little less is no new beginning: the workers of an instance answer in turn, and each knows
    # of the others what they had counted a second ago
    return any(
        (getattr(later, name) or 0.0) < (getattr(earlier, name) or 0.0) / 2 for name in _COUNTERS
    )


def read_counted(text: str) -> Counted:
    """
    Return what a service has counted.

    Args:
        text: Prometheus' exposition format.

    Raises:
        ValueError: It is not that.
    """
    from prometheus_client.parser import text_string_to_metric_families

    samples: dict[str, list[Sample]] = {}
    is_ours = False
    for family in text_string_to_metric_families(text):
        is_ours = is_ours or family.name == _OWN_FAMILY
        for sample in family.samples:
            samples.setdefault(sample.name, []).append(sample)
    return _read_own(samples) if is_ours else _read_known(samples)


def _read_own(samples: "Mapping[str, list[Sample]]") -> Counted:
    """Read what the reference service counts; what it says nothing of has not happened yet."""

    def of_users(name: str) -> "list[Sample]":
        return [
            each
            for each in samples.get(name, ())
            if each.labels.get("route") not in _NOT_ASKED_BY_USERS
        ]

    requests = of_users(_OWN_REQUESTS)
    states = [each for each in of_users(_OWN_CACHE) if each.labels.get("state") != "OFF"]
    return Counted(
        requests=_sum(requests),
        failed=_sum(each for each in requests if each.labels.get("status", "").startswith("5")),
        **_times(of_users, _OWN_SECONDS),
        read_units=_sum(of_users(_OWN_READ_UNITS)),
        hits=_sum(each for each in states if each.labels.get("state") == "HIT"),
        lookups=_sum(states),
    )


def _read_known(samples: "Mapping[str, list[Sample]]") -> Counted:
    def find(name: str | None) -> "list[Sample]":
        return samples.get(name, []) if name else []

    timed = {name.removesuffix("_count") for name in samples if name.endswith("_count")}
    seconds = next((name for name in _SECONDS if name in timed), None) or _only(
        timed, _PREFIXED_SECONDS
    )
    requests = find(_REQUESTS) or find(_only(samples, _PREFIXED_REQUESTS))
    requests = requests or (find(f"{seconds}_count") if seconds else [])
    says_status = any(_status(each) is not None for each in requests)
    hits, misses = _find_cache(samples)
    return Counted(
        requests=_sum(requests) if requests else None,
        failed=_sum(each for each in requests if (_status(each) or "").startswith("5"))
        if says_status
        else None,
        **(_times(find, seconds) if seconds else {}),
        hits=_sum(find(hits)) if hits else None,
        lookups=_sum([*find(hits), *find(misses)]) if hits else None,
        cpu_s=_sum(find(_CPU)) if find(_CPU) else None,
        memory_bytes=_sum(find(_MEMORY)) if find(_MEMORY) else None,
    )


def _only(names: "Iterable[str]", pattern: re.Pattern[str]) -> str | None:
    """Return the one name that is meant; of several nobody knows which."""
    found = [each for each in names if pattern.fullmatch(each) and not _OF_OTHERS.search(each)]
    return found[0] if len(found) == 1 else None


def _find_cache(samples: "Mapping[str, list[Sample]]") -> tuple[str, str] | tuple[None, None]:
    """Return the names under which a service counts what its one cache had and lacked."""
    found = [
        (name, misses)
        for name in samples
        if re.fullmatch(f"([a-z0-9_:]+_)?{_HITS}", name)
        and (misses := name.removesuffix(_HITS) + _MISSES) in samples
    ]
    return found[0] if len(found) == 1 else (None, None)


def _times(find: "Callable[[str], list[Sample]]", name: str) -> dict[str, Any]:
    buckets: dict[float, float] = {}
    for each in find(f"{name}_bucket"):
        bound = float(each.labels["le"])
        buckets[bound] = buckets.get(bound, 0.0) + each.value
    return {
        "timed": _sum(find(f"{name}_count")),
        "seconds": _sum(find(f"{name}_sum")),
        "buckets": buckets,
    }


def _status(sample: "Sample") -> str | None:
    return next((sample.labels[name] for name in _STATUS_LABELS if name in sample.labels), None)


def _sum(samples: "Iterable[Sample]") -> float:
    return math.fsum(each.value for each in samples)
