"""Reads of DynamoDB as variants: answers checked item by item, capacity held against their size."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from perfkit.capacity import READ_UNIT_BYTES, Consistency, item_size, read_units
from perfkit.dynamodb.errors import aws_errors
from perfkit.measure.clock import Clock
from perfkit.measure.comparison import compare
from perfkit.measure.measurement import Measurement, add_known, sample_calls
from perfkit.measure.rounds import Budget, Measured, Plan, measure
from perfkit.runs import Comparison, Doubt, DoubtKind, Variant
from perfkit.scenarios.base import Context
from perfkit.scenarios.items import as_json
from perfkit.scenarios.reading import Answer, Read
from perfkit.scenarios.recorder import TRUST_CAPACITY
from perfkit.units import format_count, format_units

__all__ = ["MeasuredReads", "measure_reads"]

_WARM_UP_S = 0.1
_WANTED_ROUNDS = 20
_SHORTEST_TURN_S = 0.005
_LONGEST_TURN_S = 0.25

# Pages follow an internal encoding, so a page's size is not exactly the sum of its items'.
_CAPACITY_TOLERANCE = 0.1


@dataclass(slots=True)
class _ReadSampler:
    """Takes samples of one way to read, and keeps its last answer."""

    read: Read
    clock: Clock
    question: str = ""
    # of calls: a call of a parallel scan has several requests under way
    concurrency: int = 1
    switches: None = None
    last: Answer = field(default_factory=Answer)

    @property
    def name(self) -> str:
        return self.read.name

    @property
    def operation(self) -> str:
        return self.read.operation

    def sample(self, calls: int) -> Measurement:
        return sample_calls(self.read.call, calls, self.clock, self._count)

    def _count(self, turn: Measurement, answer: Answer) -> None:
        turn.requests += answer.requests
        turn.retries += answer.retries
        turn.read_units = add_known(turn.read_units, answer.capacity_units)
        turn.count_items(len(answer.items))
        self.last = answer


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasuredReads:
    """
    What measuring some ways to read gave.

    Args:
        measured: The samples.
        variants: What a run file says of them, with what is known of reads alone.
        comparisons: Each but the first against the first.
        doubts: Why figures may be wrong.
    """

    measured: Measured
    variants: tuple[Variant, ...]
    comparisons: tuple[Comparison, ...]
    doubts: tuple[Doubt, ...]


def measure_reads(
    scenario: str,
    reads: Sequence[Read],
    context: Context,
    check: Callable[[Mapping[str, Answer]], None],
) -> MeasuredReads:
    """
    Measure ways to read against the first of them.

    Each is called once and the answers are checked; fast ones are called a few times more, so
    that all are warm, and the call of a slow one counts; then come the rounds; then the last
    answers are checked again, so that what is compared was equal before and after.

    Args:
        scenario: Name, for progress.
        reads: At least one, each with a name of its own.
        context: What to measure with.
        check: Raises `ResultsDifferError` if the answers, by read, do not belong together.

    Raises:
        ResultsDifferError: The answers differ, also when asked a second time.
        TargetError: The target refused a call.
    """
    samplers = [_ReadSampler(each, context.clock) for each in reads]
    budget = _budget(context.options.plan, len(reads))
    with aws_errors(f"measuring {scenario}", context.where):
        measured = measure(
            samplers,
            context.options.plan,
            context.clock,
            budget=lambda _: budget,
            check=lambda: check({each.name: each.last for each in samplers}),
            progress=context.reporter(scenario),
        )
        strong = [_strong_units(each) for each in reads]
    doubts = tuple(doubt for each in samplers for doubt in _doubt_capacity(each.read, each.last))
    variants = tuple(
        _of_read(variant, each.read, each.last, strong_units=units, believed=not doubts)
        for variant, each, units in zip(
            measured.variants(context.target_kind), samplers, strong, strict=True
        )
    )
    first = reads[0].name
    return MeasuredReads(
        measured=measured,
        variants=variants,
        comparisons=tuple(
            # every read takes units: a target that says 0 says nothing that could be compared
            each if variants[0].capacity_units else replace(each, capacity_ratio=None)
            for each in compare(measured, [("", first, other.name) for other in reads[1:]])
        ),
        doubts=(*doubts, *_doubt_changes(measured)),
    )


def _budget(plan: Plan, reads: int) -> Budget:
    turn_s = plan.min_time_s / (_WANTED_ROUNDS * reads)
    return Budget(turn_s=min(max(turn_s, _SHORTEST_TURN_S), _LONGEST_TURN_S), warm_up_s=_WARM_UP_S)


def _strong_units(read: Read) -> float | None:
    """Return the units of a strongly consistent call that is not measured anyway."""
    return None if read.consistency is Consistency.STRONG else read.count_strong()


def _of_read(
    variant: Variant, read: Read, answer: Answer, *, strong_units: float | None, believed: bool
) -> Variant:
    units = variant.capacity_units
    strong_source = "measured"
    if read.consistency is Consistency.STRONG:
        strong_units = units
    elif strong_units is None and units is not None:
        strong_units, strong_source = units * 2, "modelled"
    size_bytes, size_source = _bytes_read(read, answer, believed=believed)
    return replace(
        variant,
        table=read.table,
        index=read.index,
        consistency=str(read.consistency),
        concurrency=read.concurrency,
        items_read=answer.items_read,
        items_received=answer.items_received,
        bytes_read=size_bytes,
        bytes_read_source=size_source,
        body_bytes=len(as_json(answer.items)),
        capacity_units_strong=strong_units,
        capacity_strong_source="none" if strong_units is None else strong_source,
    )


def _bytes_read(read: Read, answer: Answer, *, believed: bool) -> tuple[int | None, str]:
    """
    Return the size of the items read in one call, and how it is known.

    Exactly, where every item that was read is in the answer. Otherwise from the capacity: whole
    4 KB blocks a page, so at most so much; and not at all from capacity that cannot be right.
    """
    if answer.items_read == len(answer.items):
        return sum(item_size(item) for item in answer.items), "items"
    if answer.capacity_units is None or not believed:
        return None, "none"
    blocks = answer.capacity_units / read_units(0, read.consistency)
    return round(blocks * READ_UNIT_BYTES), "capacity"


def _doubt_capacity(read: Read, answer: Answer) -> Iterator[Doubt]:
    """
    Yield whether the first page was charged what its items cannot have cost.

    The items that came are a lower bound of what was read for them, and the whole of it where
    nothing was filtered.
    """
    if answer.page_units is None:
        yield Doubt(
            DoubtKind.CAPACITY,
            f"{read.name}: the target does not say what capacity it consumed",
            TRUST_CAPACITY,
        )
        return
    size_bytes = sum(item_size(item) for item in answer.page)
    due = read_units(size_bytes, read.consistency)
    lowest = due * (1 - _CAPACITY_TOLERANCE) - 0.5
    highest = due * (1 + _CAPACITY_TOLERANCE) + 0.5
    # a local index adds fetches from its table
    if answer.page_units < lowest or (
        answer.page_units > highest and not read.filtered and read.index is None
    ):
        yield Doubt(
            DoubtKind.CAPACITY,
            f"{read.name}: the target charges {format_units(answer.page_units)} RCU for a"
            f" page of {format_count(len(answer.page))} items of together"
            f" {format_count(size_bytes)} bytes, which DynamoDB bills as"
            f" {format_units(due)}",
            TRUST_CAPACITY,
        )


def _doubt_changes(measured: Measured) -> Iterator[Doubt]:
    for (_, name), one in measured.measurements.items():
        if one.fewest_items != one.most_items:
            yield Doubt(
                DoubtKind.CHANGED_ANSWER,
                f"{name}: the answer held {format_count(one.fewest_items or 0)} to"
                f" {format_count(one.most_items or 0)} items while it was measured",
                "measure when nobody writes",
            )
