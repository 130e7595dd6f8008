"""What each fingerprint of a trace costs and how it behaves."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from math import ceil

from perfkit.cost.quantities import SECONDS_A_MONTH
from perfkit.dynamodb.safety import RequestPrices
from perfkit.traffic.exchange import is_write
from perfkit.traffic.shapes import Fingerprint
from perfkit.traffic.trace import Call, Trace
from perfkit.traffic.trace_file import Totals

__all__ = ["Arm", "Figures", "Summary", "summarize"]

_SHORTEST_RATE_S = 60.0
"""A recording shorter than this says nothing of a month."""

_MOST_KEYS = 100_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Arm:
    """Units that requests consumed of a table (`index` is "") or of one of its indexes."""

    table: str
    index: str
    read_units: float
    write_units: float


@dataclass(slots=True, kw_only=True)
class Figures:
    """
    What is known of the requests with one fingerprint.

    Args:
        number: The fingerprint's number in the trace.
        fingerprint: The fingerprint.
        totals: Exact sums.
        arms: Units by table and index.
        cost_usd: What these requests cost on demand.
        durations_s: Of those whose details were kept, ascending.
        chains: Queries and scans that took several pages.
        paged_calls: Requests that are pages of these.
        keys: How often each partition or item was asked for; hashes.
        item_bytes: Sizes of items seen.
        example: The request that consumed most.
    """

    number: int
    fingerprint: Fingerprint
    totals: Totals
    arms: tuple[Arm, ...]
    cost_usd: float
    durations_s: list[float] = field(default_factory=list)
    chains: set[int] = field(default_factory=set)
    paged_calls: int = 0
    keys: Counter[int] = field(default_factory=Counter)
    item_bytes: list[int] = field(default_factory=list)
    example: Call | None = None

    @property
    def read_units(self) -> float:
        """Read units of all arms."""
        return sum(each.read_units for each in self.arms)

    @property
    def write_units(self) -> float:
        """Write units of all arms."""
        return sum(each.write_units for each in self.arms)

    @property
    def wasted(self) -> float | None:
        """Share of the evaluated items that were not returned; None where none were."""
        scanned = self.totals.scanned
        if self.fingerprint.operation not in {"Query", "Scan"} or not scanned:
            return None
        return 1 - min(self.totals.count, scanned) / scanned

    @property
    def largest_share(self) -> float | None:
        """Share of the most wanted key in all requests; None where no keys are known."""
        number = sum(self.keys.values())
        return max(self.keys.values()) / number if number else None

    def percentile_s(self, fraction: float) -> float | None:
        """Return a nearest-rank percentile of the durations; None where none were kept."""
        if not self.durations_s:
            return None
        rank = ceil(round(fraction * len(self.durations_s), 6))
        return self.durations_s[max(rank, 1) - 1]


@dataclass(frozen=True, kw_only=True)
class Summary:
    """
    What a trace says, fingerprint by fingerprint, the most expensive first.

    Args:
        trace: The trace.
        prices: What units cost.
        figures: By cost, then by time.
    """

    trace: Trace
    prices: RequestPrices
    figures: tuple[Figures, ...]

    @cached_property
    def cost_usd(self) -> float:
        """What all recorded requests cost on demand."""
        return sum(each.cost_usd for each in self.figures)

    @cached_property
    def duration_s(self) -> float:
        """Time of all recorded requests together."""
        return sum(each.totals.duration_s for each in self.figures)

    @property
    def has_rate(self) -> bool:
        """Whether it was recorded for long enough to speak of a month."""
        return self.trace.observed_s >= _SHORTEST_RATE_S

    def money_usd(self, figures: Figures) -> float:
        """Return a month's cost at the recorded rate, or that of a million calls without one."""
        return self.scaled_usd(figures.cost_usd, figures.totals.calls)

    def scaled_usd(self, cost_usd: float, calls: int) -> float:
        """Return what some cost of the recording is in a month, or for a million calls."""
        if self.has_rate:
            return cost_usd / self.trace.observed_s * SECONDS_A_MONTH
        return cost_usd / calls * 1e6 if calls else 0.0

    @property
    def money_basis(self) -> str:
        """What `money_usd` is about, for people."""
        return "a month" if self.has_rate else "per million calls"


def summarize(trace: Trace, prices: RequestPrices) -> Summary:
    """
    Work out the figures of a trace.

    Args:
        trace: The trace.
        prices: What units cost on demand.

    Raises:
        TraceError: The trace is damaged.
    """
    found = {
        number: _figures(number, fingerprint, trace.totals[number], prices)
        for number, fingerprint in trace.fingerprints.items()
        if number in trace.totals
    }
    for call in trace.calls():
        if call.fingerprint in found:
            _add(found[call.fingerprint], call)
    for each in found.values():
        each.durations_s.sort()
    ranked = sorted(found.values(), key=lambda each: (-each.cost_usd, -each.totals.duration_s))
    return Summary(trace=trace, prices=prices, figures=tuple(ranked))


def _figures(
    number: int, fingerprint: Fingerprint, totals: Totals, prices: RequestPrices
) -> Figures:
    writes = is_write(fingerprint)
    arms = []
    for name, units in totals.units.items():
        table, index = _split_arm(name, fingerprint.tables)
        arms.append(
            Arm(
                table=table,
                index=index,
                read_units=0.0 if writes else units,
                write_units=units if writes else 0.0,
            )
        )
    each_usd = prices.write_unit_usd if writes else prices.read_unit_usd
    return Figures(
        number=number,
        fingerprint=fingerprint,
        totals=totals,
        arms=tuple(arms),
        cost_usd=sum(totals.units.values()) * each_usd,
    )


def _split_arm(name: str, tables: Sequence[str]) -> tuple[str, str]:
    """Return table and index of an arm's name; both may have dots in them."""
    for table in sorted(tables, key=len, reverse=True):
        if name == table:
            return table, ""
        if name.startswith(f"{table}."):
            return table, name[len(table) + 1 :]
    table, _, index = name.partition(".")
    return table, index


def _add(figures: Figures, call: Call) -> None:
    figures.durations_s.append(call.duration_s)
    if call.chain:
        figures.chains.add(call.chain)
        figures.paged_calls += 1
    if call.item_bytes:
        figures.item_bytes.append(call.item_bytes)
    for each in call.touched:
        key = each.key or each.partition
        if key and (key in figures.keys or len(figures.keys) < _MOST_KEYS):
            figures.keys[key] += 1
    example = figures.example
    if example is None or call.total_units > example.total_units:
        figures.example = call
