"""Reads of DynamoDB as variants: answers checked item by item, capacity held against their size."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from statistics import fmean

from perfkit.capacity import READ_UNIT_BYTES, Consistency, item_size, read_units
from perfkit.dynamodb.errors import aws_errors
from perfkit.dynamodb.items import as_json
from perfkit.errors import ResultsDifferError
from perfkit.measure.clock import Clock
from perfkit.measure.comparison import compare
from perfkit.measure.measurement import Measurement, add_known, sample_calls
from perfkit.measure.rounds import Budget, Measured, Plan, measure
from perfkit.runs import Comparison, Doubt, DoubtKind, Variant
from perfkit.scenarios.base import Context
from perfkit.scenarios.billed import BilledClient
from perfkit.scenarios.reading import Answer, Query, Read
from perfkit.scenarios.recorder import TRUST_CAPACITY
from perfkit.units import format_count, format_units

__all__ = ["MeasuredReads", "measure_reads"]

_WARM_UP_S = 0.1
_WANTED_ROUNDS = 20
_SHORTEST_TURN_S = 0.005
_LONGEST_TURN_S = 0.25

_OTHER_UNITS = (
    "this server's units are not DynamoDB's: RCU are modelled, by DynamoDB's arithmetic on the sizes"
    " of what was read"
)

# Pages follow an internal encoding, so a page's size is not exactly the sum of its items'.
_CAPACITY_TOLERANCE = 0.1


@dataclass(slots=True)
class _ReadSampler:
    """
    Takes samples of one way to read, and keeps its last answer to each set of parameters.

    Calls go through the sets, one after the other.
    """

    reads: Sequence[Read]
    clock: Clock
    question: str = ""
    # of calls: a call of a parallel scan has several requests under way
    concurrency: int = 1
    switches: None = None
    answers: dict[int, Answer] = field(default_factory=dict)
    _next: int = 0

    @property
    def read(self) -> Read:
        """The way to read, with the first set."""
        return self.reads[0]

    @property
    def name(self) -> str:
        return self.read.name

    @property
    def operation(self) -> str:
        return self.read.operation

    def sample(self, calls: int) -> Measurement:
        return sample_calls(self._ask, calls, self.clock, self._count)

    def ask_all(self) -> None:
        """Ask with every set once, unmeasured."""
        for number, read in enumerate(self.reads):
            self.answers[number] = read.call()

    def _ask(self) -> tuple[int, Answer]:
        number = self._next
        self._next = (number + 1) % len(self.reads)
        return number, self.reads[number].call()

    def _count(self, measurement: Measurement, numbered: tuple[int, Answer]) -> None:
        number, answer = numbered
        measurement.requests += answer.requests
        measurement.retries += answer.retries
        measurement.read_units = add_known(measurement.read_units, answer.capacity_units)
        # answers to different questions differ in size: only those to one must not
        measurement.count_items(len(answer.items) if number == 0 else len(self.answers[0].items))
        self.answers[number] = answer


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasuredReads:
    """
    What measuring some variants gave.

    Args:
        measured: The samples.
        variants: What a run file says of them, with what is known of reads alone.
        comparisons: Each but the first against the first.
        doubts: Why figures may be wrong.
        units_checked: Units of a target that may not bill as DynamoDB were held against its
            arithmetic, and where they are not the same replaced by it.
    """

    measured: Measured
    variants: tuple[Variant, ...]
    comparisons: tuple[Comparison, ...]
    doubts: tuple[Doubt, ...]
    units_checked: bool = False


def measure_reads(
    scenario: str,
    variants: Sequence[Sequence[Read]],
    context: Context,
    check: Callable[[Mapping[str, Answer]], None],
) -> MeasuredReads:
    """
    Measure variants against the first of them.

    A variant holds one read for each set of parameters. With several sets all variants are asked
    with each of them before anything is measured, calls go through the sets, and the counts of a variant are
    means over the sets: exact, however many calls there were.

    Each is called once and the answers are checked; fast ones are called a few times more, so
    that all are warm, and the call of a slow one counts; then come the rounds; then the last
    answers are checked again, so that what is compared was equal before and after.

    Args:
        scenario: Name, for progress.
        variants: At least one, each with a name of its own, and all with as many sets.
        context: What to measure with.
        check: Raises `ResultsDifferError` if the answers to one set, by read, do not belong
            together.

    Raises:
        ResultsDifferError: The answers differ, also when asked a second time.
        TargetError: The target refused a call.
    """
    samplers = [_ReadSampler(each, context.clock) for each in variants]
    sets = len(variants[0])
    budget = _budget(context.options.plan, len(variants))

    def check_all() -> None:
        for number in range(sets):
            check({each.name: each.answers[number] for each in samplers})

    with aws_errors(f"measuring {scenario}", context.where):
        if sets > 1:
            _ask_all(samplers, check_all, context.reporter(scenario))
        measured = measure(
            samplers,
            context.options.plan,
            context.clock,
            budget=lambda _: budget,
            check=check_all,
            progress=context.reporter(scenario),
        )
        billed = context.capacity_doubt is not None and _bill(samplers, context, scenario)
        strong = [None if billed else _strong_units(each) for each in variants]
    if billed:
        doubts: tuple[Doubt, ...] = (Doubt(DoubtKind.CAPACITY, _OTHER_UNITS, TRUST_CAPACITY),)
    else:
        doubts = tuple(doubt for each in samplers for doubt in _doubt_variant(each))
    described = tuple(
        _of_read(variant, each, strong_units=units, billed=billed, believed=billed or not doubts)
        for variant, each, units in zip(
            measured.variants(context.target_kind), samplers, strong, strict=True
        )
    )
    first, by_name = samplers[0].name, {each.name: each for each in described}
    return MeasuredReads(
        measured=measured,
        variants=described,
        comparisons=tuple(
            replace(each, capacity_ratio=_capacity_ratio(described[0], by_name[each.candidate]))
            for each in compare(measured, [("", first, other.name) for other in samplers[1:]])
        ),
        doubts=(*doubts, *_doubt_changes(measured)),
        units_checked=context.capacity_doubt is not None,
    )


def _capacity_ratio(one: Variant, other: Variant) -> float | None:
    # every read takes units: a target that says 0 says nothing that could be compared
    if not one.capacity_units or not other.capacity_units:
        return None
    return one.capacity_units / other.capacity_units


def _budget(plan: Plan, reads: int) -> Budget:
    turn_s = plan.min_time_s / (_WANTED_ROUNDS * reads)
    return Budget(turn_s=min(max(turn_s, _SHORTEST_TURN_S), _LONGEST_TURN_S), warm_up_s=_WARM_UP_S)


def _ask_all(
    samplers: Sequence[_ReadSampler],
    check: Callable[[], None],
    progress: Callable[[str, float], None],
) -> None:
    """Ask every way with every set of parameters, and once more where answers differ."""
    for last in (False, True):
        for each in reversed(samplers):
            progress(f"checking {each.name}", 0.0)
            each.ask_all()
        try:
            check()
        except ResultsDifferError:
            # an index follows its table within moments
            if last:
                raise
        else:
            return


def _strong_units(variant: Sequence[Read]) -> float | None:
    """Return the mean units of strongly consistent calls that are not measured anyway."""
    if variant[0].consistency is Consistency.STRONG:
        return None
    # a scan reads the whole table whatever is asked
    asked = variant[:1] if variant[0].operation == "Scan" else variant
    return _mean(read.count_strong() for read in asked)


def _bill(samplers: Sequence[_ReadSampler], context: Context, scenario: str) -> bool:
    """
    Tell whether the target charges other than DynamoDB, and put DynamoDB's units in place of its own.

    All of them or none: units of two arithmetics cannot be compared.
    """
    client = BilledClient(context.client)
    units: list[list[float | None]] = []
    for each in samplers:
        context.reporter(scenario)(f"sizing {each.name}", 1.0)
        # a scan reads the whole table whatever is asked
        asked = each.reads[:1] if each.operation == "Scan" else each.reads
        due = [_billed(read, client) for read in asked]
        units.append(due * len(each.reads) if len(asked) < len(each.reads) else due)
    if not any(
        _differs(each.read, each.answers[number].capacity_units, one)
        for each, due in zip(samplers, units, strict=True)
        for number, one in enumerate(due)
    ):
        return False
    for each, due in zip(samplers, units, strict=True):
        for number, one in enumerate(due):
            each.answers[number].capacity_units = one
    return True


def _billed(read: Read, client: BilledClient) -> float | None:
    sized = read.through(client)
    try:
        return sized.call().capacity_units
    finally:
        sized.close()


def _differs(read: Read, charged: float | None, due: float | None) -> bool:
    # a local index adds fetches from its table
    is_local = isinstance(read, Query) and read.index is not None and read.strong_possible
    if is_local and charged is not None and due is not None and charged > due:
        return False
    return charged != due


def _mean(values: Iterable[float | None]) -> float | None:
    """Return the mean, None if one of the values is not known."""
    found = list(values)
    known = [value for value in found if value is not None]
    return fmean(known) if len(known) == len(found) else None


def _rounded(value: float | None) -> int | None:
    return None if value is None else round(value)


def _of_read(
    variant: Variant,
    sampler: _ReadSampler,
    *,
    strong_units: float | None,
    billed: bool,
    believed: bool,
) -> Variant:
    read = sampler.read
    answers = [sampler.answers[number] for number in range(len(sampler.reads))]
    if len(answers) > 1:
        variant = _over_sets(variant, answers)
    if billed:
        mean = _mean(answer.capacity_units for answer in answers)
        variant = replace(variant, capacity_units=mean, capacity_source="modelled")
    units = variant.capacity_units
    strong_source = "measured"
    if read.consistency is Consistency.STRONG:
        strong_units = units
    elif strong_units is None and units is not None:
        strong_units, strong_source = units * 2, "modelled"
    sizes = [_bytes_read(read, answer, believed=believed) for answer in answers]
    return replace(
        variant,
        table=read.table,
        index=read.index,
        consistency=str(read.consistency),
        concurrency=read.concurrency,
        items_read=_rounded(_mean(answer.items_read for answer in answers)),
        items_received=round(fmean(answer.items_received for answer in answers)),
        bytes_read=_rounded(_mean(size_bytes for size_bytes, _ in sizes)),
        # of several sources the one that says least
        bytes_read_source=max((source for _, source in sizes), key=_SOURCES.index),
        body_bytes=round(fmean(len(as_json(answer.items)) for answer in answers)),
        capacity_units_strong=strong_units,
        capacity_strong_source="none" if strong_units is None else strong_source,
    )


def _over_sets(variant: Variant, answers: Sequence[Answer]) -> Variant:
    """Return a variant with means over its sets: some of them may have had a call more."""
    units = [answer.capacity_units for answer in answers]
    known = tuple(each for each in units if each is not None)
    return replace(
        variant,
        capacity_units=_mean(units),
        capacity_units_by_set=known if len(known) == len(units) else (),
        requests_per_call=fmean(answer.requests for answer in answers),
        items_returned=round(fmean(len(answer.items) for answer in answers)),
        items_returned_by_set=tuple(len(answer.items) for answer in answers),
    )


_SOURCES = ("items", "capacity", "none")
"""How a size is known, the best first."""


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


def _doubt_variant(sampler: _ReadSampler) -> Iterator[Doubt]:
    """Yield the first doubt about what a way was charged, whatever it was asked with."""
    answers = sampler.answers.values()
    found = (doubt for answer in answers for doubt in _doubt_capacity(sampler.read, answer))
    yield from islice(found, 1)


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
