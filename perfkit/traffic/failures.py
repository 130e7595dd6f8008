"""How many of the recorded requests went wrong, and of what."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from perfkit.traffic.trace_file import Totals
from perfkit.units import format_count, format_many

__all__ = ["Failures", "failures_of"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Failures:
    """
    Requests that went wrong; throttles and conditions that do not hold are none.

    Args:
        requests: All requests.
        by_error: How many went wrong, by the code of the error, the most frequent first.
    """

    requests: int
    by_error: Mapping[str, int]

    @property
    def is_all(self) -> bool:
        """Whether no request was answered as it was meant to be."""
        return 0 < self.requests == sum(self.by_error.values())

    @property
    def text(self) -> str:
        """What went wrong, for people, without a full stop; empty if nothing did."""
        failed = sum(self.by_error.values())
        if not failed:
            return ""
        errors = list(self.by_error)
        if errors[1:]:
            errors = [f"{format_count(count)} {each}" for each, count in self.by_error.items()]
        all_requests = format_many(self.requests, "request", "requests")
        return f"{format_count(failed)} of {all_requests} failed: {', '.join(errors)}"

    @property
    def warning(self) -> str:
        """The text as a sentence, and what it means where all failed."""
        asks = "; no request was answered; is the target right?" if self.is_all else "."
        return f"{self.text}{asks}"


def failures_of(totals: Iterable[Totals]) -> Failures:
    """Return what went wrong among all requests of these sums."""
    requests = 0
    by_error: Counter[str] = Counter()
    for each in totals:
        requests += each.calls
        by_error.update(each.failures)
    return Failures(requests=requests, by_error=dict(by_error.most_common()))
