"""The measuring every comparison shares: check the answers, take rounds, sum up, doubt."""

import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from perfkit.capacity import READ_UNIT_BYTES, Consistency, item_size, read_units
from perfkit.dynamodb.errors import aws_errors
from perfkit.errors import ResultsDifferError
from perfkit.measure.clock import Clock
from perfkit.measure.doubts import Doubt, doubt_intervals, doubt_machine, doubt_series
from perfkit.measure.histogram import Histogram
from perfkit.measure.machine import Load, LoadBetween, describe_machine
from perfkit.measure.rounds import (
    GC_POLICY,
    NO_WARM_UP_S,
    Plan,
    Series,
    TimedCall,
    measure_rounds,
    time_call,
)
from perfkit.measure.statistics import Ratio, paired_ratio, summarize
from perfkit.results import Comparison, Variant
from perfkit.scenarios.base import Answer, Contender, Context, Progress
from perfkit.scenarios.items import as_json
from perfkit.units import format_count, format_units

__all__ = ["Measured", "compare"]

_WARM_UP_S = 0.1
_WARM_UP_CALLS = 10

# Pages follow an internal encoding, so a page's size is not exactly the sum of its items'.
_CAPACITY_TOLERANCE = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """
    What measuring the contenders of one scenario gave.

    Args:
        doubts: Why figures may be wrong.
        cautions: Why figures are less exact than they look.
    """

    variants: tuple[Variant, ...]
    comparisons: tuple[Comparison, ...]
    doubts: tuple[Doubt, ...]
    cautions: tuple[Doubt, ...]
    machine: dict[str, Any]
    settings: dict[str, Any]
    duration_s: float


@dataclass(slots=True)
class _Total:
    """What the measured calls of one contender took together, and the last answer."""

    requests: int = 0
    retries: int = 0
    capacity_units: float | None = 0.0
    last: Answer | None = None
    fewest_items: int | None = None
    most_items: int = 0

    def add(self, answer: Answer) -> None:
        self.requests += answer.requests
        self.retries += answer.retries
        if self.capacity_units is not None:
            self.capacity_units = (
                None
                if answer.capacity_units is None
                else self.capacity_units + answer.capacity_units
            )
        count = len(answer.items)
        self.fewest_items = count if self.fewest_items is None else min(self.fewest_items, count)
        self.most_items = max(self.most_items, count)
        self.last = answer


def compare(
    scenario: str,
    contenders: Sequence[Contender],
    context: Context,
    check: Callable[[Mapping[str, Answer]], None],
) -> Measured:
    """
    Measure contenders against the first of them.

    Each is called once and the answers are checked; fast ones are called a few times more, so
    that all are warm, and the call of a slow one counts; then come the rounds; then the last answers are checked again, so that what
    is compared was equal before and after.

    Args:
        scenario: Name, for progress.
        contenders: At least one, each with a name of its own.
        context: What to measure with.
        check: Raises `ResultsDifferError` if the answers, by contender, do not belong together.

    Raises:
        ResultsDifferError: The answers differ, also when asked a second time.
        TargetError: The target refused a call.
    """
    clock, plan = context.clock, context.options.plan
    started_s, before = clock.now(), Load.now()
    with aws_errors(f"measuring {scenario}", context.where):
        pilots = _warm_up(scenario, contenders, context)
        try:
            check({name: pilot.answer for name, pilot in pilots.items()})
        except ResultsDifferError:
            # an index follows its table within moments: ask once more before calling it wrong
            pilots = _warm_up(scenario, contenders, context)
            check({name: pilot.answer for name, pilot in pilots.items()})
        strong = {each.name: _strong_units(each) for each in contenders}

        totals = {each.name: _Total() for each in contenders}
        series = measure_rounds(
            {each.name: each.call for each in contenders},
            plan,
            clock,
            expected_s={
                each.name: _settle(each, pilots[each.name].seconds, clock) for each in contenders
            },
            first=_slow_ones(pilots, plan),
            on_answer=lambda name, answer: totals[name].add(answer),
            on_round=lambda share: context.progress(Progress(scenario, "measuring", share)),
        )
    check({name: total.last for name, total in totals.items() if total.last is not None})

    load, machine = LoadBetween(before=before, after=Load.now()), describe_machine()
    capacity_doubts = list(_doubt_capacity(contenders, pilots))
    doubts = [
        *([Doubt(context.capacity_doubt, _TRUST)] if context.capacity_doubt else []),
        *capacity_doubts,
        *_doubt_changes(totals),
    ]
    variants = tuple(
        _variant(
            each,
            context,
            series=series[each.name],
            total=totals[each.name],
            strong_units=strong[each.name],
            believed=not capacity_doubts,
        )
        for each in contenders
    )
    ratios = {
        (variants[0].name, other.name): paired_ratio(variants[0].rounds_s, other.rounds_s)
        for other in variants[1:]
    }
    cautions = (
        *doubt_series(series, plan),
        *doubt_intervals(ratios, plan),
        *doubt_machine(load, machine["cores"]),
    )
    return Measured(
        variants=variants,
        comparisons=tuple(
            _comparison(variants[0], other, ratios[variants[0].name, other.name])
            for other in variants[1:]
        ),
        doubts=tuple(doubts),
        cautions=cautions,
        machine=machine,
        settings={
            **context.options.to_dict(),
            "rounds": len(variants[0].rounds_s),
            "garbage_collector": GC_POLICY,
            "others_cpu_share": load.others_share,
            "stolen_cpu_share": load.stolen_share,
        },
        duration_s=clock.now() - started_s,
    )


def _warm_up(
    scenario: str, contenders: Sequence[Contender], context: Context
) -> dict[str, TimedCall[Answer]]:
    """Call each contender once; the cheapest, usually named last, go first and find errors soon."""
    pilots = {}
    for each in reversed(contenders):
        context.progress(Progress(scenario, f"checking {each.name}", 0.0))
        pilots[each.name] = time_call(each.call, context.clock)
    return {each.name: pilots[each.name] for each in contenders}


def _slow_ones(pilots: Mapping[str, TimedCall[Answer]], plan: Plan) -> dict[str, TimedCall[Answer]]:
    """Return the first calls that count; none where the number of calls after them is fixed."""
    if plan.iterations is not None:
        return {}
    return {name: pilot for name, pilot in pilots.items() if pilot.seconds >= NO_WARM_UP_S}


def _settle(contender: Contender, first_s: float, clock: Clock) -> float:
    """Call a fast contender until it is warm, and return what a call takes, about, in seconds."""
    taken_s = [first_s]
    while sum(taken_s) < _WARM_UP_S and len(taken_s) < _WARM_UP_CALLS:
        taken_s.append(time_call(contender.call, clock).seconds)
    return statistics.median(taken_s)


def _strong_units(contender: Contender) -> float | None:
    """Return the units of a strongly consistent call that is not measured anyway."""
    if contender.consistency is Consistency.STRONG:
        return None
    return contender.count_strong()


def _variant(
    contender: Contender,
    context: Context,
    *,
    series: Series,
    total: _Total,
    strong_units: float | None,
    believed: bool,
) -> Variant:
    answer = total.last or Answer()
    calls = series.calls
    units = None if total.capacity_units is None else total.capacity_units / calls
    strong_source = "measured"
    if contender.consistency is Consistency.STRONG:
        strong_units = units
    elif strong_units is None and units is not None:
        strong_units, strong_source = units * 2, "modelled"
    size_bytes, size_source = _bytes_read(contender, answer, believed=believed)
    return Variant(
        name=contender.name,
        operation=contender.operation,
        table=contender.table,
        index=contender.index,
        consistency=str(contender.consistency),
        concurrency=contender.concurrency,
        calls=calls,
        requests=total.requests,
        requests_per_call=total.requests / calls,
        retries=total.retries,
        # a call that fails ends the scenario with an error instead
        errors=0,
        items_read=answer.items_read,
        items_received=answer.items_received,
        items_returned=len(answer.items),
        bytes_read=size_bytes,
        bytes_read_source=size_source,
        body_bytes=len(as_json(answer.items)),
        capacity_units=units,
        capacity_source="none" if units is None else str(context.target.get("kind", "unknown")),
        capacity_units_strong=strong_units,
        capacity_strong_source="none" if strong_units is None else strong_source,
        latency_s=summarize(series.samples_s),
        histogram=Histogram(series.samples_s).encode(),
        client_cpu_s=series.cpu_s / calls,
        rounds_s=tuple(series.rounds_s),
    )


def _bytes_read(contender: Contender, answer: Answer, *, believed: bool) -> tuple[int | None, str]:
    """
    Return the size of the items read in one call, and how it is known.

    Exactly, where every item that was read is in the answer. Otherwise from the capacity: whole
    4 KB blocks a page, so at most so much; and not at all from capacity that cannot be right.
    """
    if answer.items_read == len(answer.items):
        return sum(item_size(item) for item in answer.items), "items"
    if answer.capacity_units is None or not believed:
        return None, "none"
    blocks = answer.capacity_units / read_units(0, contender.consistency)
    return round(blocks * READ_UNIT_BYTES), "capacity"


def _comparison(baseline: Variant, candidate: Variant, ratio: Ratio) -> Comparison:
    capacity_ratio = None
    # a target that says 0 says nothing that could be compared
    if baseline.capacity_units and candidate.capacity_units:
        capacity_ratio = baseline.capacity_units / candidate.capacity_units
    return Comparison(
        baseline=baseline.name,
        candidate=candidate.name,
        latency_ratio=ratio.value,
        latency_ratio_ci95=ratio.interval,
        capacity_ratio=capacity_ratio,
        # anything else has ended the scenario before
        results_equal=True,
        significant=ratio.significant,
        rounds=ratio.rounds,
    )


_TRUST = "compare capacity on the embedded target or on AWS"


def _doubt_capacity(
    contenders: Sequence[Contender], pilots: Mapping[str, TimedCall[Answer]]
) -> Iterator[Doubt]:
    """
    Yield variants whose first page was charged what its items cannot have cost.

    The items that came are a lower bound of what was read for them, and the whole of it where
    nothing was filtered.
    """
    for each in contenders:
        answer = pilots[each.name].answer
        if answer.page_units is None:
            yield Doubt(f"{each.name}: the target does not say what capacity it consumed", _TRUST)
            continue
        size_bytes = sum(item_size(item) for item in answer.page)
        due = read_units(size_bytes, each.consistency)
        lowest = due * (1 - _CAPACITY_TOLERANCE) - 0.5
        highest = due * (1 + _CAPACITY_TOLERANCE) + 0.5
        # a local index adds fetches from its table
        if answer.page_units < lowest or (
            answer.page_units > highest and not each.filtered and each.index is None
        ):
            yield Doubt(
                f"{each.name}: the target charges {format_units(answer.page_units)} RCU for a"
                f" page of {format_count(len(answer.page))} items of together"
                f" {format_count(size_bytes)} bytes, which DynamoDB bills as"
                f" {format_units(due)}",
                _TRUST,
            )


def _doubt_changes(totals: Mapping[str, _Total]) -> Iterator[Doubt]:
    for name, total in totals.items():
        if total.fewest_items is not None and total.fewest_items != total.most_items:
            yield Doubt(
                f"{name}: the answer held {format_count(total.fewest_items)} to"
                f" {format_count(total.most_items)} items while it was measured",
                "measure when nobody writes",
            )
