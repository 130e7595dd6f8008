"""The ways to read the answer to one question: as the service does now, and what could be better."""

from typing import Any

from perfkit.capacity import Consistency
from perfkit.dynamodb.items import to_client
from perfkit.dynamodb.requests import asker, placeholders_of, query_request, scan_test
from perfkit.errors import TargetError
from perfkit.scenarios import bounded_scan
from perfkit.scenarios.base import Context
from perfkit.scenarios.bounded_scan import BOUNDED_NAMES, BoundedScan
from perfkit.scenarios.described_table import DescribedTable, describe, query_obstacle
from perfkit.scenarios.reading import (
    FilteredScan,
    Get,
    ParallelScan,
    Query,
    Read,
    Scan,
    Steps,
)
from perfkit.workloads.equalities import equalities
from perfkit.workloads.model import AccessPattern, GetForm, QueryForm, Today, Workload
from perfkit.workloads.model import Steps as WorkloadSteps

__all__ = ["PatternReads", "proposals"]

_NOW = "query-today"
"""What the service's query is called where there is a better one."""


class PatternReads:
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
        table: DescribedTable,
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
            obstacle = query_obstacle(self._context, pattern.better_query, self._table)
            if obstacle:
                return [], (obstacle,)
            return [self._query(pattern.better_query)], ()
        return [], proposals(pattern, self._context.workload)

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
            obstacle = query_obstacle(self._context, pattern.better_query, self._table)
            if obstacle:
                next_steps = (obstacle,)
            else:
                query = self._query(pattern.better_query)
                name = "query-batch" if gets else "query-steps"
                ways.append(self._sequence(query, steps, name=name, batched=gets))
        elif steps.first != Today.QUERY:
            next_steps = proposals(pattern, self._context.workload)
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
            table = describe(self._context, then.table)
            obstacle = query_obstacle(self._context, then.query, table)
            if obstacle:
                raise TargetError(obstacle)
            if then.query.index not in table.local_indexes:
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
            name=BOUNDED_NAMES[filtered],
            seed=self._context.options.plan.random_seed,
            pages=bounded_scan.PAGES,
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
        obstacle = query_obstacle(self._context, form, self._table)
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


def proposals(pattern: AccessPattern, workload: Workload) -> tuple[str, ...]:
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
