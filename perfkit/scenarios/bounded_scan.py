"""Scans of tables too large to be read: some pages from all over the table, and what all would take."""

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import ceil, floor
from typing import Any

from perfkit.capacity import Consistency, Item
from perfkit.dynamodb.connection import consumed_units
from perfkit.dynamodb.twin_figures import query_units
from perfkit.errors import ResultsDifferError, TargetError
from perfkit.measure.cluster_sample import ClusterSample, count_in_table, sum_in_table
from perfkit.measure.histogram import Histogram
from perfkit.measure.statistics import summarize
from perfkit.runs import Comparison, Doubt, DoubtKind, Variant
from perfkit.scenarios.described_table import DescribedTable
from perfkit.scenarios.read_sampler import MeasuredReads
from perfkit.scenarios.reading import Answer, Read, Request
from perfkit.units import format_bytes, format_count
from perfkit.workloads.profile import Estimate

__all__ = [
    "BOUNDED_NAMES",
    "PAGES",
    "BoundedScan",
    "Extrapolation",
    "check_part",
    "doubt_bounded",
    "extrapolate",
    "extrapolated",
]

PAGES = 10
"""Pages of up to 1 MB that a call reads."""

BOUNDED_NAMES = ("scan (modelled)", "scan-filtered (modelled)")
"""Of the variants: what the service filters, and what DynamoDB does."""

_PAGE_BYTES = 1_048_576
_PAGES_A_SEGMENT = 4
_MOST_SEGMENTS = 1_000_000


@dataclass(frozen=True, slots=True)
class _Page:
    items: int
    hits: int
    units: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class BoundedScan(Request):
    """
    The first pages of some segments of a parallel scan, chosen by chance; the same ones each call.

    Args:
        size_bytes: Of the table.
        matches: The filter where the service applies it; None where DynamoDB does.
        seed: Another one chooses other segments.
        pages: How many to read.
    """

    size_bytes: int
    matches: Callable[[Item], bool] | None = None
    name: str
    operation: str = "Scan"
    index: str | None = None
    concurrency: int = 1
    seed: int = 0
    pages: int = PAGES
    last: list[_Page] = field(default_factory=list)

    @property
    def filtered(self) -> bool:
        return self.matches is None

    def call(self) -> Answer:
        answer = Answer(scanned=True)
        self.last.clear()
        for page in self._pages():
            items = page["Items"]
            found = (
                items if self.matches is None else [each for each in items if self.matches(each)]
            )
            read = page.get("ScannedCount", len(items))
            answer.count(page, items, read)
            answer.items += found
            units = consumed_units(page)
            self.last.append(_Page(read, len(found), units))
        return answer

    def _pages(self) -> Iterator[Any]:
        request = {**self.request, "ReturnConsumedCapacity": "TOTAL"}
        if self.consistency is Consistency.STRONG:
            request["ConsistentRead"] = True
        segments = ceil(self.size_bytes / _PAGE_BYTES / _PAGES_A_SEGMENT)
        segments = min(max(segments, self.pages), _MOST_SEGMENTS)
        rng = random.Random(self.seed)  # noqa: S311 - repeatable, and nothing is secret
        ends: list[Any] = []
        for number in rng.sample(range(segments), self.pages):
            page = self.client.scan(**request, Segment=number, TotalSegments=segments)
            end = page.get("LastEvaluatedKey")
            if end is not None and end in ends:
                # a target that knows no segments gives the first page again
                yield from self._in_order(request, end, self.pages - len(ends))
                return
            ends.append(end)
            yield page

    def _in_order(self, request: dict[str, Any], start: Any, pages: int) -> Iterator[Any]:
        for _ in range(pages):
            page = self.client.scan(**request, ExclusiveStartKey=start)
            yield page
            start = page.get("LastEvaluatedKey")
            if start is None:
                return

    def count_strong(self) -> float | None:
        """Return None: what would be counted is not the whole."""
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Extrapolation:
    """
    How many times more a whole scan is than the pages read, and what it takes.

    Args:
        factor: Read units of the whole by those of the pages; time grows alike.
        read_units: Of the whole.
        items_returned: Items that match.
    """

    factor: Estimate
    read_units: Estimate
    items_returned: Estimate


def extrapolate(read: BoundedScan, *, table_items: int) -> Extrapolation | None:
    """
    Return what a scan of the whole table takes, from the pages of its last call.

    Units are those of as many bytes as the table is described with. Their interval is that of
    units an item times the described number of items, widened to hold them.

    Args:
        read: Called at least once.
        table_items: As described.

    Returns:
        None where the target does not say what pages take.
    """
    pages = read.last
    known = [page.units for page in pages if page.units is not None]
    read_items = sum(page.items for page in pages)
    if len(known) < len(pages) or not sum(known) or not read_items:
        return None
    sample = ClusterSample(
        sizes={number: page.items for number, page in enumerate(pages)},
        clusters=max(len(pages), ceil(read.size_bytes / _PAGE_BYTES)),
        population=max(table_items, read_items),
    )
    by_items = sum_in_table(dict(enumerate(known)), sample)
    strong = 2 if read.consistency is Consistency.STRONG else 1
    value = query_units(read.size_bytes) * strong
    units = Estimate(
        value=value,
        low=min(value, floor(2 * by_items.low) / 2),
        high=max(value, min(ceil(2 * by_items.high) / 2, 10 * value)),
    )
    total = sum(known)
    hits = {number: page.hits for number, page in enumerate(pages)}
    return Extrapolation(
        factor=Estimate(value=units.value / total, low=units.low / total, high=units.high / total),
        read_units=units,
        items_returned=count_in_table(hits, sample, effect=1.0),
    )


def _scaled_variant(
    variant: Variant, found: Extrapolation, samples_s: Sequence[float], *, table_items: int
) -> Variant:
    """
    Return the variant of a bounded scan as one of the whole table would be; modelled.

    Args:
        variant: Of the pages.
        found: What the whole takes.
        samples_s: Latencies of its calls.
        table_items: As described.
    """
    factor = found.factor
    scaled_s = [each * factor.value for each in samples_s]
    strong = variant.capacity_units_strong
    mean_s = sum(samples_s) / len(samples_s)
    return replace(
        variant,
        provenance="modelled",
        capacity_units=found.read_units.value,
        capacity_units_ci95=(found.read_units.low, found.read_units.high),
        capacity_units_strong=None if strong is None else strong * factor.value,
        capacity_strong_source="none" if strong is None else "modelled",
        capacity_units_by_set=(),
        items_returned_by_set=(),
        items_read=table_items,
        items_returned=round(found.items_returned.value),
        items_received=None
        if variant.items_received is None
        else round(variant.items_received * factor.value),
        bytes_read=None,
        bytes_read_source="none",
        body_bytes=None,
        requests_per_call=round((variant.requests_per_call or 0.0) * factor.value),
        latency_s=summarize(scaled_s),
        latency_mean_ci95=(mean_s * factor.low, mean_s * factor.high),
        histogram=Histogram(scaled_s).encode(),
        client_cpu_s=None if variant.client_cpu_s is None else variant.client_cpu_s * factor.value,
        rounds_s=tuple(each * factor.value for each in variant.rounds_s),
    )


def _scaled_comparison(
    comparison: Comparison,
    *,
    baseline: Variant,
    candidate: Variant,
    factors: dict[str, Estimate],
) -> Comparison:
    """Return a comparison of which a side, or both, were extrapolated: answers were not compared."""
    over = factors.get(comparison.baseline, Estimate.exactly(1.0))
    under = factors.get(comparison.candidate, Estimate.exactly(1.0))
    interval = comparison.latency_ratio_ci95
    if interval is not None:
        interval = (interval[0] * over.low / under.high, interval[1] * over.high / under.low)
    units = candidate.capacity_units
    ratio = None
    if baseline.capacity_units and units:
        ratio = baseline.capacity_units / units
    return replace(
        comparison,
        latency_ratio=comparison.latency_ratio * over.value / under.value,
        latency_ratio_ci95=interval,
        significant=interval is not None and not interval[0] <= 1 <= interval[1],
        capacity_ratio=ratio,
        results_equal=False,
        unchecked=True,
    )


def doubt_bounded(table: DescribedTable, *, compared: bool, most_bytes: int) -> Doubt:
    """
    Return the doubt that belongs to figures of a table that was not read.

    Args:
        table: Larger than the limit.
        compared: Other forms answered, too.
        most_bytes: The limit.
    """
    answers = (
        "; that all forms return the same items was not checked over the whole table"
        if compared
        else ""
    )
    return Doubt(
        DoubtKind.MODEL,
        f"{table.name} is described with {format_bytes(table.size_bytes)}, more than --max-scan"
        f" {format_bytes(most_bytes)}: {format_count(PAGES)} pages were read and scans are"
        f" modelled from them{answers}",
        "--max-scan 0 reads all of it",
    )


def check_part(name: str, answers: Mapping[str, Sequence[Item]], keys: Sequence[str]) -> None:
    """
    Check that what was found on some pages of a scan is in every other form's answer.

    Raises:
        ResultsDifferError: A form lacks some of it.
    """

    def named(items: Sequence[Item]) -> set[str]:
        return {repr([item.get(key) for key in keys]) for item in items}

    part = named(next(items for form, items in answers.items() if form in BOUNDED_NAMES))
    for form, items in answers.items():
        lacking = len(part - named(items))
        if lacking:
            msg = (
                f"{name}: {form} lacks {format_count(lacking)} of the {format_count(len(part))}"
                " items that some pages of the scan hold. Did somebody write meanwhile? Measure"
                " again when nobody does; if it stays so, check this pattern's scan.filter and query"
            )
            raise ResultsDifferError(msg)


def extrapolated(
    found: MeasuredReads, ways: Sequence[Sequence[Read]], table: DescribedTable
) -> tuple[tuple[Variant, ...], tuple[Comparison, ...]]:
    """
    Return variants and comparisons with scans of some pages as those of the whole table.

    Raises:
        TargetError: The target does not say what pages take.
    """
    variants: dict[str, Variant] = {each.name: each for each in found.variants}
    factors = {}
    for way in ways:
        first = way[0]
        if not isinstance(first, BoundedScan):
            continue
        whole = extrapolate(first, table_items=table.items)
        if whole is None:
            msg = (
                f"the target does not say what reading {first.table} takes, so nothing can be"
                " worked out from some of its pages: give --max-scan 0 to read all of it"
            )
            raise TargetError(msg)
        factors[first.name] = whole.factor
        samples_s = found.measured.measurements["", first.name].samples_s
        variants[first.name] = _scaled_variant(
            variants[first.name], whole, samples_s, table_items=table.items
        )
    comparisons = tuple(
        _scaled_comparison(
            each,
            baseline=variants[each.baseline],
            candidate=variants[each.candidate],
            factors=factors,
        )
        if factors.keys() & {each.baseline, each.candidate}
        else each
        for each in found.comparisons
    )
    return tuple(variants.values()), comparisons
