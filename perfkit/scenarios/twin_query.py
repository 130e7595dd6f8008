"""A pattern's query by an index that does not exist: what it would take, as a twin says."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean
from typing import Any

from perfkit.capacity import Item, item_size
from perfkit.dynamodb.estimates import index_entry
from perfkit.dynamodb.index_items import violations
from perfkit.dynamodb.items import from_client
from perfkit.dynamodb.requests import query_request
from perfkit.dynamodb.sample import SampleFacts
from perfkit.dynamodb.tables import Keys
from perfkit.dynamodb.twin_figures import IndexFigures, QueryFigures, TableTwin, query_units
from perfkit.embedded.errors import DynamoDBError
from perfkit.runs import Doubt, DoubtKind, Modelled, WriteCost
from perfkit.scenarios.base import Context
from perfkit.scenarios.index_cost import write_costs
from perfkit.units import format_count, format_share
from perfkit.workloads.model import AccessPattern, Index, QueryForm, Table
from perfkit.workloads.profile import Estimate

__all__ = ["TwinFindings", "ask_twin"]

_NAME = "query (twin)"


@dataclass(frozen=True, slots=True, kw_only=True)
class TwinFindings:
    """
    What a twin says of a pattern.

    Args:
        modelled: The query; None where nobody knows how many items the table has.
        write_costs: What the table and each of its indexes take at a write, from its own items.
        doubts: Why the figures may mislead.
    """

    modelled: Modelled | None
    write_costs: tuple[WriteCost, ...]
    doubts: tuple[Doubt, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    """One set of parameters: what it takes, and how the twin's two answers differ."""

    figures: QueryFigures
    more: int
    lost: int
    by_answer: bool


def ask_twin(
    pattern: AccessPattern,
    form: QueryForm,
    context: Context,
    answers: Sequence[Sequence[Item]] | None,
) -> TwinFindings | None:
    """
    Return what a query by an index that does not exist would take; None without twins.

    Where the query has no filter, it reads what today's form returned: then the units are those of
    these very items, and no sample is asked for them.

    Args:
        pattern: With its sets of parameters.
        form: The query, by index.
        context: With the command's twins.
        answers: Whole items that the form of today returned, for each set; None where they are not
            known.

    Raises:
        TargetError: The table cannot be read.
    """
    if context.twins is None or form.index is None:
        return None
    table = context.workload.table(pattern.table)
    index = table.index(form.index)
    twin = context.twins.of(table, context.reporter(pattern.name))
    facts = context.twins.facts(table.name)
    if facts is not None and not twin.counted and facts.cut:
        doubt = Doubt(
            DoubtKind.MODEL,
            f"{context.where} does not say how many items {table.name} has, so a sample says nothing"
            f" of what {index.name} would take",
            "AWS counts about every six hours; until then, --whole copies all",
        )
        return TwinFindings(modelled=None, write_costs=(), doubts=(doubt,))
    if form.filter is not None:
        answers = None
    asked = [
        _ask(twin, table, index, one, form, None if answers is None else answers[number])
        for number, one in enumerate(pattern.sets)
    ]
    entries = twin.entries(index.name)
    return TwinFindings(
        modelled=_modelled(table, index, twin, asked, entries),
        write_costs=_write_costs(context, table, twin),
        doubts=tuple(_doubts(table, index, twin, facts, asked, entries)),
    )


def _ask(
    twin: TableTwin,
    table: Table,
    index: Index,
    pattern: AccessPattern,
    form: QueryForm,
    answer: Sequence[Item] | None,
) -> _Asked:
    filtered = _wire(query_request(pattern, form, table.name))
    plain = filtered
    if form.filter is not None:
        plain = _wire(query_request(pattern, replace(form, filter=None), table.name))
    figures = twin.ask(plain, filtered if form.filter is not None else None)
    more = lost = 0
    if pattern.scan_filter is not None:
        names, values = pattern.placeholders(pattern.scan_filter)
        scan: dict[str, Any] = {"TableName": table.name, "FilterExpression": pattern.scan_filter}
        if names:
            scan["ExpressionAttributeNames"] = names
        if values:
            scan["ExpressionAttributeValues"] = values
        scanned, queried = twin.found("Scan", scan), twin.found("Query", filtered)
        more, lost = len(queried - scanned), len(scanned - queried)
    if answer is None or more:
        return _Asked(figures=figures, more=more, lost=lost, by_answer=False)
    keys = Keys.of(index)
    items = [{name: from_client(value) for name, value in item.items()} for item in answer]
    held = [item for item in items if not violations(item, keys)]
    size_bytes = sum(item_size(index_entry(table, index, item) or {}) for item in held)
    count = Estimate.exactly(len(held))
    known = QueryFigures(
        read_units=Estimate.exactly(query_units(size_bytes)),
        items_read=count,
        items_returned=count,
        hits=figures.hits,
    )
    return _Asked(figures=known, more=0, lost=len(items) - len(held), by_answer=True)


def _wire(request: Mapping[str, Any]) -> dict[str, Any]:
    values = request.get("ExpressionAttributeValues")
    if values is None:
        return dict(request)
    return {
        **request,
        "ExpressionAttributeValues": {name: from_client(each) for name, each in values.items()},
    }


def _modelled(
    table: Table, index: Index, twin: TableTwin, asked: Sequence[_Asked], entries: IndexFigures
) -> Modelled:
    units = _mean([each.figures.read_units for each in asked])
    read = _mean([each.figures.items_read for each in asked])
    population = max(twin.table_items, 1)
    if all(each.by_answer for each in asked):
        source = "answer"
    else:
        source = "table" if twin.whole else "sample"
    share = entries.violating
    return Modelled(
        name=_NAME,
        operation="Query",
        table=table.name,
        index=index.name,
        capacity_units=units.value,
        capacity_units_ci95=(units.low, units.high),
        items_read=read.value,
        items_read_ci95=(read.low, read.high),
        items_returned=fmean(each.figures.items_returned.value for each in asked),
        source=source,
        sample_items=twin.items,
        table_items=twin.table_items,
        stored_bytes=entries.stored_bytes.value,
        stored_bytes_ci95=(entries.stored_bytes.low, entries.stored_bytes.high),
        violating_share=share.value / population,
        violating_share_ci95=(share.low / population, min(1.0, share.high / population)),
        left_out=tuple(violation.describe(items) for violation, items in entries.left_out.items()),
        differs=any(each.more or each.lost for each in asked),
    )


def _mean(estimates: Sequence[Estimate]) -> Estimate:
    """Return the mean of figures of one sample, which err together."""
    return Estimate(
        value=fmean(each.value for each in estimates),
        low=fmean(each.low for each in estimates),
        high=fmean(each.high for each in estimates),
    )


def _write_costs(context: Context, table: Table, twin: TableTwin) -> tuple[WriteCost, ...]:
    try:
        costs = list(write_costs(context.workload, table, twin.some_items, twin.table_items))
    except DynamoDBError:
        # items of a table with other keys than the workload says: the query itself ends with that error
        return ()
    # all items of the twin say how large an index is, not only those that were written
    return tuple(_sized(twin, each) if each.declared else each for each in costs)


def _sized(twin: TableTwin, cost: WriteCost) -> WriteCost:
    if cost.index is None:
        return cost
    found = twin.entries(cost.index)
    share = min(1.0, found.entries.value / max(twin.table_items, 1))
    return replace(cost, entry_bytes=found.entry_bytes, entries_share=share)


def _doubts(
    table: Table,
    index: Index,
    twin: TableTwin,
    facts: SampleFacts | None,
    asked: Sequence[_Asked],
    entries: IndexFigures,
) -> Iterator[Doubt]:
    by_answer = all(each.by_answer for each in asked)
    lost, more = sum(each.lost for each in asked), sum(each.more for each in asked)
    if lost:
        of = "returned" if by_answer else "returned of the twin"
        yield Doubt(
            DoubtKind.DATA,
            f"{format_count(lost)} of the items that today's form {of} would not be in index"
            f" {index.name}, for what they have in its keys",
            "the query would not return them: correct the items or choose other keys",
        )
    if more:
        yield Doubt(
            DoubtKind.DATA,
            f"the query by {index.name} finds {format_count(more)} items of the twin that today's"
            " form does not return",
            "check this pattern's scan.filter and query in the workload",
        )
    if entries.violating.value:
        share = entries.violating.value / max(twin.table_items, 1)
        yield Doubt(
            DoubtKind.DATA,
            f"about {format_share(share)} of {table.name}'s items have a key attribute of"
            f" {index.name} that it cannot hold",
            "once the index is there DynamoDB refuses to write such items",
        )
    if facts is None or twin.whole or by_answer:
        return
    if not twin.counted:
        yield Doubt(
            DoubtKind.MODEL,
            f"the target does not say how many items {table.name} has; the twin is scaled by the"
            " part of the key space that was read",
            "AWS counts about every six hours",
        )
    if facts.ignores_segments:
        yield Doubt(
            DoubtKind.MODEL,
            f"the twin of {table.name} holds its first items, because the target knows no parallel"
            " scans",
            "its interval is that of a single observation: use --whole",
        )
    elif facts.cut:
        yield Doubt(
            DoubtKind.MODEL,
            f"{table.name} has partition keys with more items than a sample can hold",
            "the interval reckons with it; --sample or --whole narrows it",
        )
