"""The access patterns of a workload as scenarios: every way to scan against the query or get."""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from perfkit.capacity import READ_UNIT_BYTES, Consistency, Item
from perfkit.dynamodb.errors import aws_errors
from perfkit.dynamodb.ownership import unmarked
from perfkit.dynamodb.safety import Effect
from perfkit.dynamodb.tables import (
    NEW_NAME,
    IndexState,
    Keys,
    index_difference,
    index_states,
    seeded_scale,
)
from perfkit.errors import ResultsDifferError, TargetError
from perfkit.measure.rounds import FEWEST_ROUNDS
from perfkit.runs import Doubt, DoubtKind, Run, RunKind, Variant
from perfkit.scenarios.base import Context, Scenario
from perfkit.scenarios.items import describe_difference, to_client
from perfkit.scenarios.read_sampler import measure_reads
from perfkit.scenarios.reading import (
    Answer,
    FilteredScan,
    Get,
    ParallelScan,
    Query,
    Read,
    Scan,
)
from perfkit.scenarios.recorder import Recorder
from perfkit.units import format_count
from perfkit.workloads.generator import ItemGenerator
from perfkit.workloads.model import AccessPattern, Index, Workload

__all__ = ["AccessPatternScenario", "access_patterns"]

_SCANS = 3
_PAGE_BYTES = 1_048_576
# for an upper bound only: AWS takes several times as long for a page
_FASTEST_PAGES_A_SECOND = 100


def access_patterns(workload: Workload) -> Iterator[Scenario]:
    """Yield one scenario for each question of *workload*."""
    for pattern in workload.patterns:
        yield AccessPatternScenario(pattern)


@dataclass(frozen=True, slots=True)
class AccessPatternScenario:
    """One question, answered by scanning in three ways and by the form an index or key allows."""

    pattern: AccessPattern

    @property
    def name(self) -> str:
        return self.pattern.name

    @property
    def description(self) -> str:
        return self.pattern.description

    def effect(self, context: Context) -> Effect:
        """
        Return what the scans will read.

        The sizes a table is described with are hours old on AWS, so the workload's count too.
        """
        table = _describe(context, self.pattern.table)
        planned = context.workload.table(self.pattern.table)
        item_bytes = planned.item_size.max_bytes if planned.item_size else 0
        size_bytes = max(table.size_bytes, planned.items * item_bytes)
        plan = context.options.plan
        calls: float = plan.iterations or max(
            FEWEST_ROUNDS,
            plan.min_time_s * _FASTEST_PAGES_A_SECOND / max(1.0, size_bytes / _PAGE_BYTES),
        )
        strong_units = size_bytes / READ_UNIT_BYTES
        # the warm-up, perhaps a second one, and the pass that counts strongly consistent units
        if context.options.consistent:
            units = (calls + 2) * strong_units
        else:
            units = (calls + 2) * strong_units / 2 + strong_units
        return Effect(
            text=f"{self.name}: read all of {self.pattern.table} in {_SCANS} ways, again and again",
            read_units=math.ceil(_SCANS * units),
        )

    def measure(self, context: Context) -> Run:
        """
        Measure `scan`, `scan-filtered`, `scan-parallel` and `query` or `get`.

        Without the index the scans alone are measured, and the run says what to do next.

        Raises:
            ResultsDifferError: The variants returned different items.
            TargetError: The table is missing or empty, or the target refused.
        """
        recorder = Recorder(RunKind.SCENARIO, self, context)
        table = _describe(context, self.pattern.table)
        reads, next_steps = self._reads(context, table)
        try:
            found = measure_reads(
                self.name, reads, context, lambda answers: self._check(answers, context, table)
            )
        finally:
            for read in reads:
                read.close()
        doubts = (
            *found.doubts,
            *_doubt_filling(context, self.pattern.table, table),
            *_doubt_index(context, self.pattern, table),
            *self._doubts(context, reads, found.variants[0]),
        )
        quoted = self.pattern.quoted
        return recorder.finish(
            found.measured,
            found.comparisons,
            variants=found.variants,
            doubts=doubts,
            settings={"scale": table.scale},
            cache_ttl_s=0.0 if self.pattern.cache is None else self.pattern.cache.ttl_s,
            parameters=dict(self.pattern.parameters),
            next_steps=next_steps,
            quoted=None if quoted is None else asdict(quoted),
        )

    def reads(self, context: Context) -> tuple[list[Read], tuple[str, ...]]:
        """
        Return the ways to answer that this target allows now, and what would allow more.

        Close them after use.

        Raises:
            TargetError: The table is missing, or the target refused.
        """
        return self._reads(context, _describe(context, self.pattern.table))

    def _reads(self, context: Context, table: "_TableFacts") -> tuple[list[Read], tuple[str, ...]]:
        """Return the ways to answer that this target allows now, and what would allow more."""
        pattern, client = self.pattern, context.client
        consistency = Consistency.STRONG if context.options.consistent else Consistency.EVENTUAL
        request = {
            "TableName": pattern.table,
            "FilterExpression": pattern.scan_filter,
            **self._placeholders(pattern.scan_filter),
        }
        scans: list[Read] = [
            Scan(
                client=client,
                table=pattern.table,
                matches=self._matcher(),
                consistency=consistency,
            ),
            FilteredScan(client=client, request=request, consistency=consistency),
            ParallelScan(
                client=client,
                request=request,
                segments=context.options.segments,
                consistency=consistency,
            ),
        ]
        if pattern.get is not None:
            key = {name: to_client(value) for name, value in pattern.get.key.items()}
            request = {"TableName": pattern.table, "Key": key}
            return [*scans, Get(client=client, request=request, consistency=consistency)], ()
        if pattern.query is None:
            return scans, ()
        index = pattern.query.index
        is_global = index is not None and index not in table.local_indexes
        if index is not None and is_global:
            wanted = context.workload.table(pattern.table).index(index)
            obstacle = _obstacle(pattern.table, wanted, table.global_indexes.get(index))
            if index not in table.global_indexes and context.workload.table(pattern.table).exists:
                obstacle = (
                    f"index {index} is not on {pattern.table}, though the workload says that it"
                    " exists: check its name and the target"
                    if wanted.exists
                    else f"index {index} is proposed and not on {pattern.table}, so only what the"
                    " service does today was measured"
                )
            elif index not in table.global_indexes and _is_foreign(context, pattern.table):
                obstacle = (
                    f"no index {index} on {pattern.table}, and perfkit adds none to a table that it"
                    " did not create: under another name in the workload, `perfkit seed` and"
                    " `perfkit create-indexes` make one of its own to measure"
                )
            if obstacle:
                return scans, (obstacle,)
        query = Query(
            client=client,
            request=self._query_request(),
            consistency=Consistency.EVENTUAL if is_global else consistency,
            strong_possible=not is_global,
        )
        return [*scans, query], ()

    def _matcher(self) -> Callable[[Item], bool]:
        """Return the scan filter as the service itself applies it."""
        from perfkit.embedded.expressions import Placeholders, parse_condition

        names, values = self.pattern.placeholders(self.pattern.scan_filter)
        placeholders = Placeholders(names or None, values or None)
        return parse_condition(self.pattern.scan_filter, placeholders, "FilterExpression").matches

    def _query_request(self) -> dict[str, Any]:
        form = self.pattern.query
        if form is None:
            msg = f"pattern {self.name} has no query form"
            raise ValueError(msg)
        request: dict[str, Any] = {
            "TableName": self.pattern.table,
            "KeyConditionExpression": form.key_condition,
            **self._placeholders(form.key_condition, form.filter),
        }
        if form.index is not None:
            request["IndexName"] = form.index
        if form.filter is not None:
            request["FilterExpression"] = form.filter
        if form.descending:
            request["ScanIndexForward"] = False
        return request

    def _placeholders(self, *expressions: str | None) -> dict[str, Any]:
        """Return what *expressions* refer to; DynamoDB refuses placeholders that are not used."""
        names, values = self.pattern.placeholders(*expressions)
        request: dict[str, Any] = {}
        if names:
            request["ExpressionAttributeNames"] = names
        if values:
            request["ExpressionAttributeValues"] = {
                name: to_client(value) for name, value in values.items()
            }
        return request

    def _check(self, answers: Mapping[str, Answer], context: Context, table: "_TableFacts") -> None:
        scan = answers["scan"]
        if scan.items_read == 0:
            made = not context.workload.table(self.pattern.table).exists
            way_out = "run `perfkit seed` to fill it" if made else "there is nothing to measure"
            msg = f"table {self.pattern.table} is empty on {context.where}; {way_out}"
            raise TargetError(msg)
        difference = describe_difference(
            {name: answer.items for name, answer in answers.items()},
            self.pattern.returns,
            table.keys,
        )
        if difference is not None:
            msg = (
                f"{self.name}: {difference}. Did somebody write meanwhile"
                f" ({self.pattern.table} held {format_count(scan.items_read or 0)} items)?"
                " Measure again when nobody does; if it stays so, check this pattern's"
                f" scan.filter, query and returns in the workload ({context.workload.source})"
            )
            raise ResultsDifferError(msg)

    def _doubts(self, context: Context, reads: list[Read], scan: Variant) -> Iterator[Doubt]:
        """Yield what limits these figures, whatever the clock said."""
        if not scan.items_returned:
            values = ", ".join(
                f"{name} = {next(iter(value.values()))}"
                for name, value in self.pattern.parameters.items()
            )
            yield Doubt(
                DoubtKind.DATA,
                f"no item answers this question ({values})",
                "a question that finds nothing says little: seed again, or change the"
                " pattern's parameters",
            )
        if context.options.consistent and any(
            each.consistency is Consistency.EVENTUAL for each in reads
        ):
            yield Doubt(
                DoubtKind.CONSISTENCY,
                "the scans were read strongly consistent, the query eventually",
                "a global index answers in no other way, and bills half",
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
    # a missing table comes back as an error that names `perfkit seed`
    with aws_errors(f"looking at table {table}", context.where):
        description = context.client.describe_table(TableName=table)["Table"]
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


def _doubt_index(context: Context, pattern: AccessPattern, table: _TableFacts) -> Iterator[Doubt]:
    """Yield a doubt about an index that is not quite the workload's."""
    name = None if pattern.query is None else pattern.query.index
    if name is None:
        return
    wanted, existing = (
        context.workload.table(pattern.table).index(name),
        table.global_indexes.get(name),
    )
    difference = index_difference(wanted, existing)
    # with other keys it is not queried at all
    if difference and not _obstacle(pattern.table, wanted, existing):
        yield Doubt(
            DoubtKind.DATA,
            f"index {name} of {pattern.table} differs: {difference}",
            "the figures are those of the index that is there",
        )


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
