"""The access patterns of a workload as scenarios: what the service does now against a query or get."""

import math
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from perfkit.capacity import READ_UNIT_BYTES
from perfkit.dynamodb.items import describe_difference
from perfkit.dynamodb.safety import Effect
from perfkit.dynamodb.tables import index_difference
from perfkit.errors import ResultsDifferError, TargetError
from perfkit.measure.rounds import FEWEST_ROUNDS
from perfkit.runs import Doubt, DoubtKind, Run, RunKind, Variant
from perfkit.scenarios import bounded_scan
from perfkit.scenarios.base import Context, Scenario
from perfkit.scenarios.bounded_scan import (
    BOUNDED_NAMES,
    check_part,
    doubt_bounded,
    extrapolated,
)
from perfkit.scenarios.described_table import (
    DescribedTable,
    describe,
    index_obstacle,
    lacks_index,
)
from perfkit.scenarios.parameter_sets import (
    DRAWING_UNITS,
    SETS,
    parameters_in_runs,
    with_parameters,
)
from perfkit.scenarios.pattern_reads import PatternReads, proposals
from perfkit.scenarios.read_sampler import measure_reads
from perfkit.scenarios.reading import Answer, Read
from perfkit.scenarios.recorder import Recorder
from perfkit.scenarios.twin_query import TwinFindings, ask_twin
from perfkit.units import format_count, format_many
from perfkit.workloads.equalities import equalities
from perfkit.workloads.generator import ItemGenerator
from perfkit.workloads.model import AccessPattern, Today, Workload

__all__ = ["AccessPatternScenario", "access_patterns"]

_PAGE_BYTES = 1_048_576
# for an upper bound only: AWS takes several times as long for a page
_FASTEST_PAGES_A_SECOND = 100


def access_patterns(workload: Workload) -> Iterator[Scenario]:
    """Yield one scenario for each question of *workload*."""
    for pattern in workload.patterns:
        yield AccessPatternScenario(pattern)


@dataclass(frozen=True, slots=True)
class AccessPatternScenario:
    """One question, answered as the service does now and by the form an index or key allows."""

    pattern: AccessPattern

    @property
    def name(self) -> str:
        return self.pattern.name

    @property
    def description(self) -> str:
        return self.pattern.description

    def effect(self, context: Context) -> Effect:
        """
        Return what the scans will read; what else is asked is not counted.

        How many items a key or a step has is known when it has been asked. The sizes that a table is
        described with are hours old on AWS, so the workload's count counts too.
        """
        pattern = self.pattern
        scans = _scans(pattern)
        twin, other_units = self._twin_effect(context)
        other_units += DRAWING_UNITS if pattern.drawn else 0.0
        if not scans:
            text = f"{self.name}: {_doing(pattern)}, again and again{twin}"
            return Effect(text=text, read_units=other_units, is_open=True)
        table = describe(context, pattern.table)
        planned = context.workload.table(pattern.table)
        item_bytes = planned.item_size.max_bytes if planned.item_size else 0
        size_bytes = max(table.size_bytes, planned.items * item_bytes)
        what = f"read all of {pattern.table}"
        if _is_bounded(context, pattern, table):
            size_bytes = bounded_scan.PAGES * _PAGE_BYTES
            scans = 2 if pattern.today is Today.SCAN else 1
            what = f"read {bounded_scan.PAGES} pages of {pattern.table}"
        plan = context.options.plan
        calls: float = plan.iterations or max(
            FEWEST_ROUNDS,
            plan.min_time_s * _FASTEST_PAGES_A_SECOND / max(1.0, size_bytes / _PAGE_BYTES),
        )
        # every set is asked before, and again where an index is a moment behind
        several = SETS if pattern.drawn else len(pattern.more_parameters) + 1
        calls += 2 * several if several > 1 else 0
        strong_units = size_bytes / READ_UNIT_BYTES
        # the warm-up, perhaps a second one, and the pass that counts strongly consistent units
        if context.options.consistent:
            units = (calls + 2) * strong_units
        else:
            units = (calls + 2) * strong_units / 2 + strong_units
        if context.capacity_doubt is not None:
            # to size what the target's own units are held against, a filter left out once more
            units += strong_units
        ways = "once more" if scans == 1 else f"in {scans} ways"
        each_units = strong_units if context.options.consistent else strong_units / 2
        takes = f", about {format_count(math.ceil(each_units))} RCU each time"
        if not each_units:
            known = "it is described as empty"
            if table.items > 0:
                known = f"{format_many(table.items, 'item')}, size not known"
            takes = f", how much is not known ({known})"
        then = ""
        if pattern.steps is not None:
            then = f", then ask {pattern.steps.then.table} for what is found"
        return Effect(
            text=f"{self.name}: {what} {ways}{takes}{then}, again and again{twin}",
            read_units=math.ceil(scans * units + other_units),
            is_open=not each_units
            or pattern.today not in {Today.SCAN, Today.SCAN_FILTERED}
            or pattern.better_query is not None
            or pattern.better_get is not None,
        )

    def _twin_effect(self, context: Context) -> tuple[str, float]:
        """Return what copying items for an index that does not exist adds, in words and in units."""
        form = self.pattern.better_query
        if context.twins is None or form is None or self.pattern.steps is not None:
            return "", 0.0
        table = describe(context, self.pattern.table)
        if not lacks_index(context, form, table):
            return "", 0.0
        is_made = context.before_seeding and not context.workload.table(self.pattern.table).exists
        if is_made and form.index not in table.global_indexes:
            # it will be there by then
            return "", 0.0
        text, units = context.twins.plan(self.pattern.table)
        return (f"; {text}" if text else ""), units

    def measure(self, context: Context) -> Run:
        """
        Measure what the service does now, then the other forms: against it.

        Without the index the others are measured alone, and the run says what to do next.

        Raises:
            ResultsDifferError: The variants returned different items.
            TargetError: The table is missing or empty, or the target refused.
        """
        recorder = Recorder(RunKind.SCENARIO, self, context)
        table = describe(context, self.pattern.table)
        pattern = with_parameters(self.pattern, context)
        bounded = _is_bounded(context, pattern, table)
        sets = [PatternReads(one, context, table, bounded=bounded).reads() for one in pattern.sets]
        next_steps = sets[0][1]
        ways = list(zip(*(reads for reads, _ in sets), strict=True))
        skipped: set[tuple[str, int]] = set()
        # of the form of today, to each set in turn
        answered: deque[Answer] = deque(maxlen=len(sets))

        def check(answers: Mapping[str, Answer]) -> None:
            self._check(answers, context, table)
            answered.append(answers[ways[0][0].name])
            skipped.update((name, each.skipped) for name, each in answers.items() if each.skipped)

        try:
            found = measure_reads(self.name, ways, context, check)
        finally:
            for read in (read for way in ways for read in way):
                read.close()
        variants, comparisons = found.variants, found.comparisons
        bound: tuple[Doubt, ...] = ()
        if bounded:
            variants, comparisons = extrapolated(found, ways, table)
            most_bytes = context.options.max_scan_bytes or 0
            bound = (doubt_bounded(table, compared=len(ways) > 1, most_bytes=most_bytes),)
        if not variants[0].items_returned and self.pattern.scan_filter is not None:
            # an index by a name that no item has would answer nothing
            proposed = proposals(pattern, context.workload)
            next_steps = tuple(each for each in next_steps if each not in proposed)
            next_steps += (_unanswered(pattern),) if proposed else ()
        # some of an answer is no answer
        known = () if bounded else answered
        twin = self._ask_twin(context, pattern, table, ways[0][0], known)
        doubts = (
            *found.doubts,
            *bound,
            *(() if twin is None else twin.doubts),
            *_doubt_filling(context, table),
            *_doubt_index(context, pattern, table),
            *self._doubts(context, pattern, ways, variants[0]),
            *_doubt_skipped(pattern, max((count for _, count in skipped), default=0)),
        )
        settings: dict[str, Any] = {"scale": table.scale}
        if len(sets) > 1:
            settings["parameter_sets"] = len(sets)
        quoted = pattern.quoted
        return recorder.finish(
            found.measured,
            comparisons,
            variants=variants,
            modelled=() if twin is None or twin.modelled is None else (twin.modelled,),
            write_costs=() if twin is None else twin.write_costs,
            doubts=doubts,
            settings=settings,
            units_checked=found.units_checked,
            cache_ttl_s=0.0 if pattern.cache is None else pattern.cache.ttl_s,
            parameters=dict(parameters_in_runs(self.pattern, context.workload)),
            next_steps=next_steps,
            quoted=None if quoted is None else asdict(quoted),
        )

    def _ask_twin(
        self,
        context: Context,
        pattern: AccessPattern,
        table: DescribedTable,
        today: Read,
        answered: Sequence[Answer],
    ) -> TwinFindings | None:
        """Return what the better query would take by an index that does not exist."""
        form = pattern.better_query
        if form is None or pattern.steps is not None:
            return None
        if not lacks_index(context, form, table):
            return None
        # what an index gives may be part of an item
        whole = today.index is None and bool(answered)
        return ask_twin(
            pattern, form, context, [each.items for each in answered] if whole else None
        )

    def reads(self, context: Context) -> tuple[list[Read], tuple[str, ...]]:
        """
        Return the ways to answer that this target allows now, and what would allow more.

        The first is what the service does now; asked is the first set of parameters. Close them
        after use.

        Raises:
            TargetError: The table is missing, or the target refused.
        """
        table = describe(context, self.pattern.table)
        pattern = with_parameters(self.pattern, context)
        return PatternReads(pattern.sets[0], context, table).reads()

    def _check(
        self, answers: Mapping[str, Answer], context: Context, table: DescribedTable
    ) -> None:
        scanned = [each for each in answers.values() if each.scanned]
        if scanned and all(each.items_read == 0 for each in scanned):
            made = not context.workload.table(self.pattern.table).exists
            way_out = "run `perfkit seed` to fill it" if made else "there is nothing to measure"
            msg = f"table {self.pattern.table} is empty on {context.where}; {way_out}"
            raise TargetError(msg)
        found = {name: answer.items for name, answer in answers.items()}
        if any(name in BOUNDED_NAMES for name in found):
            check_part(self.name, found, table.keys)
            return
        difference = describe_difference(found, self.pattern.returns, table.keys)
        if difference is not None:
            held = (
                f" ({self.pattern.table} held {format_count(scanned[0].items_read or 0)} items)"
                if scanned
                else ""
            )
            msg = (
                f"{self.name}: {difference}. Did somebody write meanwhile{held}?"
                " Measure again when nobody does; if it stays so, check this pattern's"
                f" scan.filter, query and returns in the workload ({context.workload.source})"
            )
            raise ResultsDifferError(msg)

    def _doubts(
        self,
        context: Context,
        pattern: AccessPattern,
        ways: Sequence[Sequence[Read]],
        today: Variant,
    ) -> Iterator[Doubt]:
        """Yield what limits these figures, whatever the clock said."""
        counts = today.items_returned_by_set
        if counts and not all(counts):
            yield Doubt(
                DoubtKind.DATA,
                f"no item answers this question with {counts.count(0)} of {len(counts)} sets of"
                " parameters",
                "a question that finds nothing says little: change the pattern's parameters",
            )
        elif not counts and not today.items_returned:
            written = parameters_in_runs(self.pattern, context.workload)
            values = ", ".join(
                f"{name} = {next(iter(written[name].values()))}" if name in written else name
                for name in pattern.parameters
            )
            again = "" if context.workload.table(pattern.table).exists else "seed again, or "
            yield Doubt(
                DoubtKind.DATA,
                f"no item answers this question ({values})",
                f"a question that finds nothing says little: {again}change the"
                " pattern's parameters",
            )
        read = {way[0].consistency for way in ways}
        if context.options.consistent and len(read) > 1:
            yield Doubt(
                DoubtKind.CONSISTENCY,
                "the scans were read strongly consistent, the query eventually",
                "a global index answers in no other way, and bills half",
            )


def _is_bounded(context: Context, pattern: AccessPattern, table: DescribedTable) -> bool:
    """Tell whether a pattern scans, and its table is too large to be read."""
    most = context.options.max_scan_bytes
    return most is not None and table.size_bytes > most and _scans(pattern) > 0


def _scans(pattern: AccessPattern) -> int:
    """Return in how many of its variants a pattern reads the whole table."""
    match pattern.today:
        case Today.SCAN:
            return 3
        case Today.SCAN_FILTERED:
            return 2
        case Today.STEPS if pattern.steps is not None and pattern.steps.first != Today.QUERY:
            return 2 if pattern.steps.then.key is not None else 1
        case Today.STEPS:
            return 0
        case _:
            return 1 if pattern.scan_filter is not None else 0


def _doing(pattern: AccessPattern) -> str:
    verb = "get items of" if pattern.today is Today.GET else "query"
    then = "" if pattern.steps is None else f" and ask {pattern.steps.then.table} for what is found"
    return f"{verb} {pattern.table}{then}"


def _unanswered(pattern: AccessPattern) -> str:
    """Return what to look at before an index is built for a question that finds nothing."""
    names = dict.fromkeys(name for _, name in equalities(pattern.scan_filter or "", pattern))
    check = f"the name{'s' if len(names) > 1 else ''} {' and '.join(names)}" if names else "names"
    return (
        f"no item answered {pattern.name}: check {check} in its scan.filter, and its parameters,"
        " before any index"
    )


def _doubt_filling(context: Context, table: DescribedTable) -> Iterator[Doubt]:
    """Yield a doubt about a table that seeding has not completed."""
    # AWS's count is six hours old
    if table.scale is None or context.target.get("kind") == "aws":
        return
    wanted = ItemGenerator(context.workload, scale=table.scale).count(table.name)
    if table.items < wanted:
        yield Doubt(
            DoubtKind.DATA,
            f"{table.name} holds {format_count(table.items)} of the {format_count(wanted)} items of"
            f" scale {table.scale:g}",
            "answers may lack items: run `perfkit seed` to the end, then measure again",
        )


def _doubt_skipped(pattern: AccessPattern, count: int) -> Iterator[Doubt]:
    if count and pattern.steps is not None:
        lack = "item found lacks" if count == 1 else "items found lack"
        yield Doubt(
            DoubtKind.DATA,
            f"{format_count(count)} {lack} what the second step asks {pattern.steps.then.table} with",
            "nothing was asked for them",
        )


def _doubt_index(
    context: Context, pattern: AccessPattern, table: DescribedTable
) -> Iterator[Doubt]:
    """Yield a doubt about an index that is not quite the workload's."""
    for form in (pattern.query_today, pattern.better_query):
        if form is None or form.index is None or form.index in table.local_indexes:
            continue
        wanted = context.workload.table(pattern.table).index(form.index)
        existing = table.global_indexes.get(form.index)
        difference = index_difference(wanted, existing)
        # with other keys it is not queried at all
        if difference and not index_obstacle(pattern.table, wanted, existing):
            yield Doubt(
                DoubtKind.DATA,
                f"index {form.index} of {pattern.table} differs: {difference}",
                "the figures are those of the index that is there",
            )
