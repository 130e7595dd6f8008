"""The access patterns of a workload as scenarios: every way to scan against the query or get."""

import math
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from difflib import get_close_matches
from typing import Any

from perfkit.capacity import READ_UNIT_BYTES, Consistency, Item
from perfkit.dynamodb.errors import aws_errors
from perfkit.dynamodb.items import describe_difference, to_client
from perfkit.dynamodb.ownership import unmarked
from perfkit.dynamodb.requests import asker, placeholders_of, query_request, scan_test
from perfkit.dynamodb.safety import Effect
from perfkit.dynamodb.tables import (
    NEW_NAME,
    IndexState,
    Keys,
    index_difference,
    index_states,
    key_difference,
    seeded_scale,
    table_state,
)
from perfkit.errors import ResultsDifferError, TargetError
from perfkit.measure.rounds import FEWEST_ROUNDS
from perfkit.runs import Comparison, Doubt, DoubtKind, Run, RunKind, Variant
from perfkit.scenarios.base import Context, Scenario
from perfkit.scenarios.bounded_scan import (
    PAGES,
    BoundedScan,
    doubt_bounded,
    extrapolate,
    scaled_comparison,
    scaled_variant,
)
from perfkit.scenarios.parameter_sets import (
    DRAWING_UNITS,
    SETS,
    parameters_in_runs,
    with_parameters,
)
from perfkit.scenarios.read_sampler import MeasuredReads, measure_reads
from perfkit.scenarios.reading import (
    Answer,
    FilteredScan,
    Get,
    ParallelScan,
    Query,
    Read,
    Scan,
    Steps,
)
from perfkit.scenarios.recorder import Recorder
from perfkit.scenarios.twin_query import TwinFindings, ask_twin
from perfkit.settings import WORKLOAD_FILE
from perfkit.units import format_count, format_many
from perfkit.workloads.equalities import equalities
from perfkit.workloads.generator import ItemGenerator
from perfkit.workloads.loader import BUILT_IN_SOURCE
from perfkit.workloads.model import (
    AccessPattern,
    GetForm,
    Index,
    QueryForm,
    Table,
    Today,
    Workload,
)
from perfkit.workloads.model import Steps as WorkloadSteps

__all__ = ["AccessPatternScenario", "access_patterns"]

_NOW = "query-today"
"""What the service's query is called where there is a better one."""

_BOUNDED = ("scan (modelled)", "scan-filtered (modelled)")
"""Scans of which some pages are read."""

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
        table = _describe(context, pattern.table)
        planned = context.workload.table(pattern.table)
        item_bytes = planned.item_size.max_bytes if planned.item_size else 0
        size_bytes = max(table.size_bytes, planned.items * item_bytes)
        what = f"read all of {pattern.table}"
        if _is_bounded(context, pattern, table):
            size_bytes = PAGES * _PAGE_BYTES
            scans = 2 if pattern.today is Today.SCAN else 1
            what = f"read {PAGES} pages of {pattern.table}"
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
            told = "it is described as empty"
            if table.items > 0:
                told = f"{format_many(table.items, 'item')}, size not told"
            takes = f", how much is not known ({told})"
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
        table = _describe(context, self.pattern.table)
        if not _lacks(context.workload.table(self.pattern.table), form, table):
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
        table = _describe(context, self.pattern.table)
        pattern = with_parameters(self.pattern, context)
        bounded = _is_bounded(context, pattern, table)
        sets = [_Ways(one, context, table, bounded=bounded).reads() for one in pattern.sets]
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
            variants, comparisons = _extrapolated(found, ways, table)
            bound = (_doubt_bounded(context, pattern, table, ways),)
        if not variants[0].items_returned and self.pattern.scan_filter is not None:
            # an index by a name that no item has would answer nothing
            proposals = _proposals(pattern, context.workload)
            next_steps = tuple(each for each in next_steps if each not in proposals)
            next_steps += (_unanswered(pattern),) if proposals else ()
        # some of an answer is no answer
        known = () if bounded else answered
        twin = self._ask_twin(context, pattern, table, ways[0][0], known)
        doubts = (
            *found.doubts,
            *bound,
            *(() if twin is None else twin.doubts),
            *_doubt_filling(context, pattern.table, table),
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
        table: "_TableFacts",
        today: Read,
        answered: Sequence[Answer],
    ) -> TwinFindings | None:
        """Return what the better query would take by an index that does not exist."""
        form = pattern.better_query
        if form is None or pattern.steps is not None:
            return None
        if not _lacks(context.workload.table(pattern.table), form, table):
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
        table = _describe(context, self.pattern.table)
        pattern = with_parameters(self.pattern, context)
        return _Ways(pattern.sets[0], context, table).reads()

    def _check(self, answers: Mapping[str, Answer], context: Context, table: "_TableFacts") -> None:
        scanned = [each for each in answers.values() if each.scanned]
        if scanned and all(each.items_read == 0 for each in scanned):
            made = not context.workload.table(self.pattern.table).exists
            way_out = "run `perfkit seed` to fill it" if made else "there is nothing to measure"
            msg = f"table {self.pattern.table} is empty on {context.where}; {way_out}"
            raise TargetError(msg)
        found = {name: answer.items for name, answer in answers.items()}
        if any(name in _BOUNDED for name in found):
            _check_part(self.name, found, table.keys)
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


def _is_bounded(context: Context, pattern: AccessPattern, table: "_TableFacts") -> bool:
    """Tell whether a pattern scans, and its table is too large to be read."""
    most = context.options.max_scan_bytes
    return most is not None and table.size_bytes > most and _scans(pattern) > 0


def _check_part(name: str, answers: Mapping[str, Sequence[Item]], keys: Sequence[str]) -> None:
    """
    Check that what was found on some pages of a scan is in every other form's answer.

    Raises:
        ResultsDifferError: A form lacks some of it.
    """

    def named(items: Sequence[Item]) -> set[str]:
        return {repr([item.get(key) for key in keys]) for item in items}

    part = named(next(items for form, items in answers.items() if form in _BOUNDED))
    for form, items in answers.items():
        lacking = len(part - named(items))
        if lacking:
            msg = (
                f"{name}: {form} lacks {format_count(lacking)} of the {format_count(len(part))}"
                " items that some pages of the scan hold. Did somebody write meanwhile? Measure"
                " again when nobody does; if it stays so, check this pattern's scan.filter and query"
            )
            raise ResultsDifferError(msg)


def _extrapolated(
    found: MeasuredReads, ways: Sequence[Sequence[Read]], table: "_TableFacts"
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
        variants[first.name] = scaled_variant(
            variants[first.name], whole, samples_s, table_items=table.items
        )
    comparisons = tuple(
        scaled_comparison(
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


def _doubt_bounded(
    context: Context,
    pattern: AccessPattern,
    table: "_TableFacts",
    ways: Sequence[Sequence[Read]],
) -> Doubt:
    return doubt_bounded(
        pattern.table,
        size_bytes=table.size_bytes,
        pages=PAGES,
        compared=len(ways) > 1,
        most_bytes=context.options.max_scan_bytes or 0,
    )


def _lacks(table: Table, form: QueryForm, facts: "_TableFacts") -> bool:
    """Tell whether a query's index is not there, or has other keys than the workload says."""
    if form.index is None or form.index in facts.local_indexes:
        return False
    wanted, existing = table.index(form.index), facts.global_indexes.get(form.index)
    if existing is None:
        # one that should be there is a mistake, and no proposal
        return not wanted.exists
    return existing.keys != Keys.of(wanted)


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


class _Ways:
    """
    The ways to ask one question with one set of parameters, the first what the service does now.

    Args:
        pattern: The question.
        context: What it is measured with.
        table: Its table, as the target describes it.
        bounded: It is too large to be read.
    """

    def __init__(
        self,
        pattern: AccessPattern,
        context: Context,
        table: "_TableFacts",
        *,
        bounded: bool = False,
    ) -> None:
        self._bounded = bounded
        self._pattern = pattern
        self._context = context
        self._table = table
        strong = context.options.consistent
        self._consistency = Consistency.STRONG if strong else Consistency.EVENTUAL

    def reads(self) -> tuple[list[Read], tuple[str, ...]]:
        """
        Return the ways that this target allows now, and what would allow more.

        Raises:
            TargetError: It does not allow what the service does now.
        """
        if self._pattern.steps is not None:
            if self._bounded and self._pattern.steps.first != Today.QUERY:
                msg = (
                    f"{self._pattern.name} scans {self._pattern.table}, which is larger than"
                    " --max-scan, as the first of several steps: give --max-scan 0 to read all of"
                    " it, or --scenario to leave this pattern out"
                )
                raise TargetError(msg)
            return self._steps(self._pattern.steps)
        today = self._today()
        better, next_steps = self._better()
        return [*today, *better], next_steps

    def _today(self) -> list[Read]:
        pattern = self._pattern
        match pattern.today:
            case Today.SCAN if self._bounded:
                return [self._bounded_scan(), self._bounded_scan(filtered=True)]
            case Today.SCAN_FILTERED if self._bounded:
                return [self._bounded_scan(filtered=True)]
            case Today.SCAN:
                return [self._scan(), self._filtered_scan(), self._parallel_scan()]
            case Today.SCAN_FILTERED:
                return [self._filtered_scan(), self._parallel_scan()]
            case Today.GET if pattern.get is not None:
                first: Read = self._get(pattern.get)
            case _:
                first = self._query_today("query" if pattern.better_query is None else _NOW)
        if pattern.scan_filter is None or self._bounded:
            return [first]
        return [first, self._filtered_scan()]

    def _better(self) -> tuple[list[Read], tuple[str, ...]]:
        pattern = self._pattern
        if pattern.better_get is not None:
            return [self._get(pattern.better_get)], ()
        if pattern.better_query is not None:
            obstacle = self._obstacle(pattern.table, pattern.better_query, self._table)
            if obstacle:
                return [], (obstacle,)
            return [self._query(pattern.better_query)], ()
        return [], _proposals(pattern, self._context.workload)

    def _steps(self, steps: WorkloadSteps) -> tuple[list[Read], tuple[str, ...]]:
        """Return the sequence, the same in batches, and both after a better first step."""
        pattern, gets = self._pattern, steps.then.key is not None

        def first() -> Read:
            match steps.first:
                case Today.SCAN:
                    return self._scan()
                case Today.SCAN_FILTERED:
                    return self._filtered_scan()
                case _:
                    return self._query_today("query")

        ways: list[Read] = [self._sequence(first(), steps, name="steps")]
        if gets:
            ways.append(self._sequence(first(), steps, name="batch", batched=True))
        next_steps: tuple[str, ...] = ()
        if pattern.better_query is not None:
            obstacle = self._obstacle(pattern.table, pattern.better_query, self._table)
            if obstacle:
                next_steps = (obstacle,)
            else:
                query = self._query(pattern.better_query)
                name = "query-batch" if gets else "query-steps"
                ways.append(self._sequence(query, steps, name=name, batched=gets))
        elif steps.first != Today.QUERY:
            next_steps = _proposals(pattern, self._context.workload)
        if not gets:
            next_steps += (
                (
                    f"{pattern.name} queries {steps.then.table} once for each item found, and DynamoDB"
                    " has no batch of queries: only keeping what is asked for with the item, or under"
                    " one partition key, makes it one"
                ),
            )
        return ways, next_steps

    def _sequence(
        self, first: Read, steps: WorkloadSteps, *, name: str, batched: bool = False
    ) -> Steps:
        then = steps.then
        gets = then.key is not None
        consistency = self._consistency
        if then.query is not None and then.query.index is not None:
            facts = _describe(self._context, then.table)
            obstacle = self._obstacle(then.table, then.query, facts)
            if obstacle:
                raise TargetError(obstacle)
            if then.query.index not in facts.local_indexes:
                consistency = Consistency.EVENTUAL
        each = "BatchGetItem" if batched else "GetItem each" if gets else "Query each"
        return Steps(
            client=self._context.client,
            first=first,
            ask=asker(then, self._pattern, self._context.workload.table(then.table)),
            operation=f"{first.operation}, {each}",
            name=name,
            gets=gets,
            batched=batched,
            then_consistency=consistency,
        )

    def _scan(self) -> Scan:
        return Scan(
            client=self._context.client,
            request={"TableName": self._pattern.table},
            matches=scan_test(self._pattern),
            consistency=self._consistency,
        )

    def _scan_request(self) -> dict[str, Any]:
        text = self._pattern.scan_filter or ""
        return {
            "TableName": self._pattern.table,
            "FilterExpression": text,
            **placeholders_of(self._pattern, text),
        }

    def _bounded_scan(self, *, filtered: bool = False) -> BoundedScan:
        request = self._scan_request() if filtered else {"TableName": self._pattern.table}
        return BoundedScan(
            client=self._context.client,
            request=request,
            size_bytes=self._table.size_bytes,
            matches=None if filtered else scan_test(self._pattern),
            consistency=self._consistency,
            name=_BOUNDED[filtered],
            seed=self._context.options.plan.random_seed,
            pages=PAGES,
        )

    def _filtered_scan(self) -> FilteredScan:
        return FilteredScan(
            client=self._context.client,
            request=self._scan_request(),
            consistency=self._consistency,
        )

    def _parallel_scan(self) -> ParallelScan:
        return ParallelScan(
            client=self._context.client,
            request=self._scan_request(),
            segments=self._context.options.segments,
            consistency=self._consistency,
        )

    def _get(self, form: GetForm) -> Get:
        key = {name: to_client(value) for name, value in form.key.items()}
        return Get(
            client=self._context.client,
            request={"TableName": self._pattern.table, "Key": key},
            consistency=self._consistency,
        )

    def _query_today(self, name: str) -> Query:
        form = self._pattern.query_today
        if form is None:
            msg = f"pattern {self._pattern.name} does not query today"
            raise ValueError(msg)
        obstacle = self._obstacle(self._pattern.table, form, self._table)
        if obstacle:
            raise TargetError(obstacle)
        return self._query(form, name=name)

    def _query(self, form: QueryForm, *, name: str = "query") -> Query:
        is_global = form.index is not None and form.index not in self._table.local_indexes
        return Query(
            client=self._context.client,
            request=query_request(self._pattern, form, self._pattern.table),
            consistency=Consistency.EVENTUAL if is_global else self._consistency,
            strong_possible=not is_global,
            name=name,
        )

    def _obstacle(self, table: str, form: QueryForm, facts: "_TableFacts") -> str:
        """Return why a query cannot be asked on this target, and what to do; "" if it can."""
        if form.index is None or form.index in facts.local_indexes:
            return ""
        workload = self._context.workload.table(table)
        wanted, existing = workload.index(form.index), facts.global_indexes.get(form.index)
        if existing is None and workload.exists:
            return (
                f"index {form.index} is not on {table}, though the workload says that it"
                " exists: check its name and the target"
                if wanted.exists
                else f"`perfkit migrate preflight` finds the items of {table} that {form.index},"
                " which is proposed and not there, could not hold; `perfkit migrate plan` says"
                " what building it takes"
            )
        if existing is None and _is_foreign(self._context, table):
            return (
                f"no index {form.index} on {table}, and perfkit adds none to a table that it"
                " did not create: under another name in the workload, `perfkit seed` and"
                " `perfkit create-indexes` make one of its own to measure"
            )
        if existing is not None and workload.exists:
            return _obstacle_of_theirs(table, wanted, existing)
        return _obstacle(table, wanted, existing)


def _proposals(pattern: AccessPattern, workload: Workload) -> tuple[str, ...]:
    """Return what would be next for a pattern that has nothing better than a scan."""
    if pattern.scan_filter is None or pattern.today not in {
        Today.SCAN,
        Today.SCAN_FILTERED,
        Today.STEPS,
    }:
        return ()
    equal = [attribute for _, attribute in equalities(pattern.scan_filter, pattern)]
    table = workload.table(pattern.table)
    if not equal:
        return (
            (
                f"{pattern.name} has no condition with = that a key could answer: no index replaces"
                " this scan as it is asked"
            ),
        )
    if table.partition_key.name in equal:
        way = f"the key of {table.name} answers it"
    else:
        way = f"an index of {table.name} by {' or '.join(dict.fromkeys(equal))} would answer it"
    return (f"{pattern.name} has no better form in the workload, and {way}: add it as query",)


def _unanswered(pattern: AccessPattern) -> str:
    """Return what to look at before an index is built for a question that finds nothing."""
    names = dict.fromkeys(name for _, name in equalities(pattern.scan_filter or "", pattern))
    check = f"the name{'s' if len(names) > 1 else ''} {' and '.join(names)}" if names else "names"
    return (
        f"no item answered {pattern.name}: check {check} in its scan.filter, and its parameters,"
        " before any index"
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _TableFacts:
    """What measuring needs to know of a table: its key, and its indexes with their state."""

    keys: tuple[str, ...]
    items: int
    scale: float | None
    size_bytes: int
    global_indexes: Mapping[str, IndexState]
    local_indexes: frozenset[str]


def _describe(context: Context, table: str) -> _TableFacts:
    from botocore.exceptions import ClientError

    with aws_errors(f"looking at table {table}", context.where):
        try:
            description = context.client.describe_table(TableName=table)["Table"]
        except ClientError as error:
            if error.response.get("Error", {}).get("Code") != "ResourceNotFoundException":
                raise
            planned = context.workload.table(table)
            if context.before_seeding and not planned.exists:
                return _TableFacts(
                    keys=tuple(key.name for key in planned.keys),
                    items=planned.items,
                    scale=None,
                    size_bytes=0,
                    global_indexes={},
                    local_indexes=frozenset(),
                )
            raise _no_table(context, table) from error
    _check_keys(context, table, description)
    return _TableFacts(
        keys=tuple(part["AttributeName"] for part in description["KeySchema"]),
        items=description.get("ItemCount", 0),
        scale=_scale(context, description.get("TableArn", "")),
        size_bytes=description.get("TableSizeBytes", 0),
        global_indexes={index.name: index for index in index_states(description)},
        local_indexes=frozenset(
            index["IndexName"] for index in description.get("LocalSecondaryIndexes", ())
        ),
    )


def _no_table(context: Context, table: str) -> TargetError:
    """Return what to do about a table that is not there."""
    from botocore.exceptions import BotoCoreError, ClientError

    workload = context.workload
    text = f"no table {table} on {context.where}"
    if workload.table(table).exists:
        try:
            there = context.client.list_tables()["TableNames"]
        except (BotoCoreError, ClientError):
            # not everybody may list them
            there = []
        near = get_close_matches(table, there, n=1)
        check = f"did you mean '{near[0]}'? Else check" if near else "check"
        return TargetError(
            f"{text}, which the workload says exists: {check} the target, region and credentials"
        )
    if workload.source == BUILT_IN_SOURCE and context.target_kind != "embedded":
        return TargetError(
            f"{text}: workload {workload.name} is built in, and is used where there is no"
            f" {WORKLOAD_FILE} and no --workload; `perfkit init` writes one from the tables"
            f" there, `perfkit seed` creates those of {workload.name}"
        )
    return TargetError(
        f"{text}: `perfkit seed` creates and fills it; where it should be there, check --target,"
        " --region and --profile"
    )


def _check_keys(context: Context, table: str, description: Mapping[str, Any]) -> None:
    """
    Check that a table has the key that the workload says.

    Raises:
        TargetError: It has another one, by which nothing could be asked.
    """
    workload = context.workload
    difference = key_difference(workload.table(table), table_state(description))
    if difference:
        at = "" if workload.source == BUILT_IN_SOURCE else f" in {workload.source}"
        msg = f"table {table} on {context.where}: {difference}; correct the key{at}"
        raise TargetError(msg)


def _scale(context: Context, arn: str) -> float | None:
    """Return the scale a table was seeded at, if it says so."""
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        found = context.client.list_tags_of_resource(ResourceArn=arn).get("Tags", ())
    except (BotoCoreError, ClientError):
        # not every stand-in knows tags, and not every account may read them
        return None
    return seeded_scale({tag["Key"]: tag["Value"] for tag in found})


def _is_foreign(context: Context, table: str) -> bool:
    """Tell whether perfkit did not create a table, as far as the target is known."""
    return context.source is not None and bool(unmarked(context.source, [table]))


def _doubt_filling(context: Context, name: str, table: _TableFacts) -> Iterator[Doubt]:
    """Yield a doubt about a table that seeding has not completed."""
    # AWS's count is six hours old
    if table.scale is None or context.target.get("kind") == "aws":
        return
    wanted = ItemGenerator(context.workload, scale=table.scale).count(name)
    if table.items < wanted:
        yield Doubt(
            DoubtKind.DATA,
            f"{name} holds {format_count(table.items)} of the {format_count(wanted)} items of"
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


def _doubt_index(context: Context, pattern: AccessPattern, table: _TableFacts) -> Iterator[Doubt]:
    """Yield a doubt about an index that is not quite the workload's."""
    for form in (pattern.query_today, pattern.better_query):
        if form is None or form.index is None or form.index in table.local_indexes:
            continue
        wanted = context.workload.table(pattern.table).index(form.index)
        existing = table.global_indexes.get(form.index)
        difference = index_difference(wanted, existing)
        # with other keys it is not queried at all
        if difference and not _obstacle(pattern.table, wanted, existing):
            yield Doubt(
                DoubtKind.DATA,
                f"index {form.index} of {pattern.table} differs: {difference}",
                "the figures are those of the index that is there",
            )


def _obstacle_of_theirs(table: str, wanted: Index, existing: IndexState) -> str:
    """Return why an index of a table that exists already cannot be queried; "" if it can."""
    if existing.keys != Keys.of(wanted):
        remedy = "correct them" if wanted.exists else "give the one that is proposed another name"
        return (
            f"index {wanted.name} of {table} has other keys than in the workload"
            f" ({index_difference(wanted, existing)}): {remedy}"
        )
    if existing.status not in {"ACTIVE", "UPDATING"}:
        return (
            f"index {wanted.name} of {table} is {existing.status}: wait until it is ACTIVE and"
            " measure again"
        )
    return ""


def _obstacle(table: str, wanted: Index, existing: IndexState | None) -> str:
    """Return why an index cannot be queried, and what to do about it; "" if it can."""
    if existing is None:
        return (
            f"no index {wanted.name} on {table}: run `perfkit create-indexes`, then measure again"
        )
    if existing.keys != Keys.of(wanted):
        return (
            f"index {wanted.name} of {table} has other keys, so it is not queried"
            f" ({index_difference(wanted, existing)}); {NEW_NAME}"
        )
    if existing.status == "CREATING":
        return (
            f"index {wanted.name} of {table} is still being created: `perfkit create-indexes`"
            " waits for it; then measure again"
        )
    if existing.status not in {"ACTIVE", "UPDATING"}:
        return (
            f"index {wanted.name} of {table} is {existing.status}: wait until it is ACTIVE and"
            " measure again"
        )
    return ""
